//! New dense layers behind a value.

use smc_proto::{AttrValue, DataType};

use super::{
    Call, New,
    names::Names,
    nodes::{BESIDE, Nodes, node, ty},
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
        let product = if last == 1 { "MatMul" } else { "BatchMatMulV2" };
        at = layer.with(product, at, &kernel);
        at = layer.with("BiasAdd", at, &bias);
        if let Some(Call { op, attrs }) = activation {
            let own = attrs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            at = layer.add(op, op, vec![at], own);
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

    fn add(&mut self, what: &str, op: &str, input: Vec<String>, mut attrs: Vec<(&str, AttrValue)>) -> String {
        let name = self.names.take(&format!("{}/{what}", self.scope), &[]);
        attrs.push(("T", ty(self.dtype)));
        self.nodes.defs.push(node(&name, op, input, attrs));
        name
    }

    /// An operator of a value and of what a variable holds.
    fn with(&mut self, op: &str, value: String, variable: &Kept) -> String {
        let read = self.names.take(&format!("{}/{op}/ReadVariableOp", self.scope), &[]);
        let dtype = vec![("dtype", ty(self.dtype))];
        self.nodes.defs.push(node(&read, "ReadVariableOp", vec![variable.name.clone()], dtype));
        self.add(op, op, vec![value, read], vec![])
    }
}
