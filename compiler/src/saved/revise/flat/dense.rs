//! New dense layers behind a value.

use smc_proto::{AttrValue, DataType, TensorProto, attr_value::Value};

use super::{
    Call, New,
    names::Names,
    nodes::{BESIDE, Nodes, attr, constant, node, ty},
    saver::Kept,
};
use crate::{
    base::{Diagnostic, Rng},
    saved::{TfType, bundle::Content, revise::glorot::glorot, types::host_type},
    tensor::Tensor,
};

/// A tensor that the model gives out, or a layer takes.
pub struct End {
    pub at: String,
    pub ty: TfType,
}

/// Adds layers, each a product with a kernel, a bias and perhaps an activation. They apply to the last axis.
pub fn behind(
    end: End,
    layers: &[New],
    nodes: &mut Nodes,
    kept: &mut Vec<Kept>,
    names: &mut Names,
    seed: u64,
) -> Result<End, Diagnostic> {
    let mut rng = Rng::new(seed);
    let End { mut at, mut ty } = end;
    for New { name, units, activation } in layers {
        let shown = ty.to_string();
        let unfit = |why: &str| {
            let what = format!("a dense layer does not take {shown}: {why}");
            Diagnostic::error(what).help("`--from` names another place to cut the model at")
        };
        let held = host_type(ty.dtype).filter(|held| held.is_float()).ok_or_else(|| unfit("it takes floats"))?;
        let extents = ty.shape.0.as_mut().filter(|extents| extents.len() >= 2);
        let extents = extents.ok_or_else(|| unfit("it takes a row for each example"))?;
        let last = extents.len() - 1;
        let inputs = extents[last].and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let inputs = inputs.ok_or_else(|| unfit("how long a row is has to be known, and more than 0"))?;
        let is_key = |name: &str| {
            let below = format!("{name}/");
            kept.iter().any(|kept| kept.key == name || kept.key.starts_with(&below))
        };
        let scope = names.scope(name, is_key);
        let mut layer = Layer { scope, dtype: ty.dtype, nodes: &mut *nodes, names: &mut *names };
        let kernel = layer.variable("kernel", glorot(held, inputs, *units, &mut rng));
        let bias = layer.variable("bias", Tensor::zeros(held, vec![*units]));
        let whole = at.clone();
        if last > 1 {
            at = layer.rows(at, inputs);
        }
        at = layer.with("MatMul", at, &kernel);
        at = layer.with("BiasAdd", at, &bias);
        if let Some(Call { op, attrs }) = activation {
            let own = attrs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            at = layer.add(op, op, vec![at], own);
        }
        if last > 1 {
            at = layer.shaped(at, &whole, last, *units);
        }
        kept.extend([kernel, bias]);
        extents[last] = Some(*units as u64);
    }
    Ok(End { at, ty })
}

/// A layer in the making.
struct Layer<'n> {
    scope: String,
    dtype: DataType,
    nodes: &'n mut Nodes,
    names: &'n mut Names,
}

impl Layer<'_> {
    fn variable(&mut self, what: &str, value: Tensor) -> Kept {
        let name = self.names.take(&format!("{}/{what}", self.scope), BESIDE);
        self.nodes.variable(&name, self.dtype, &value.shape, false);
        let content = Content::Value(self.dtype, value);
        let key = name.clone();
        Kept { name, key, dtype: self.dtype, is_reference: false, trainable: true, learns: true, content }
    }

    /// An operator of values of the layer's type.
    fn add(&mut self, what: &str, op: &str, input: Vec<String>, mut attrs: Vec<(&str, AttrValue)>) -> String {
        attrs.push(("T", ty(self.dtype)));
        let name = self.name(what);
        self.nodes.defs.push(node(&name, op, input, attrs));
        name
    }

    fn name(&mut self, what: &str) -> String {
        self.names.take(&format!("{}/{what}", self.scope), &[])
    }

    /// A vector of int32.
    fn numbers(&mut self, what: &str, numbers: &[i32]) -> String {
        let name = self.name(what);
        let contents = TensorProto { int_val: numbers.to_vec(), ..Default::default() };
        self.nodes.defs.push(constant(&name, DataType::DtInt32, &[numbers.len()], contents));
        name
    }

    /// The rows of a value of higher rank, as a matrix: TensorFlow 2.21 does not multiply such a value with a matrix right in
    /// all cases, by `BatchMatMulV2`.
    fn rows(&mut self, value: String, inputs: usize) -> String {
        let extents = self.numbers("rows/shape", &[-1, inputs as i32]);
        self.add("rows", "Reshape", vec![value, extents], vec![("Tshape", ty(DataType::DtInt32))])
    }

    /// Rows in the shape of a value that has this many axes before its rows.
    fn shaped(&mut self, rows: String, like: &str, axes: usize, units: usize) -> String {
        let int = || ty(DataType::DtInt32);
        let (shape, outer, whole) = (self.name("shape"), self.name("shape/outer"), self.name("shape/whole"));
        let whose = vec![("T", ty(self.dtype)), ("out_type", int())];
        self.nodes.defs.push(node(&shape, "Shape", vec![like.into()], whose));
        let slice = [("begin", 0), ("end", axes as i32), ("strides", 1)];
        let mut input = vec![shape];
        input.extend(slice.map(|(what, number)| self.numbers(&format!("shape/{what}"), &[number])));
        let types = vec![("T", int()), ("Index", int())];
        self.nodes.defs.push(node(&outer, "StridedSlice", input, types));
        let (units, axis) = (self.numbers("shape/units", &[units as i32]), self.name("shape/axis"));
        self.nodes.defs.push(constant(&axis, DataType::DtInt32, &[], TensorProto::default()));
        let types = vec![("N", attr(Value::I(2))), ("T", int()), ("Tidx", int())];
        self.nodes.defs.push(node(&whole, "ConcatV2", vec![outer, units, axis], types));
        self.add("shaped", "Reshape", vec![rows, whole], vec![("Tshape", int())])
    }

    /// An operator of a value and of what a variable holds.
    fn with(&mut self, op: &str, value: String, variable: &Kept) -> String {
        let read = self.names.take(&format!("{}/{op}/ReadVariableOp", self.scope), &[]);
        let dtype = vec![("dtype", ty(self.dtype))];
        self.nodes.defs.push(node(&read, "ReadVariableOp", vec![variable.name.clone()], dtype));
        self.add(op, op, vec![value, read], vec![])
    }
}
