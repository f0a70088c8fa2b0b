//! Nodes as a file has them: those of a graph, its variables each with what reads it and gives it a first value, and new ones.

use std::collections::BTreeMap;

use smc_proto::{AttrValue, DataType, NodeDef, TensorProto, attr_value::Value};

use super::{Values, names::Names, saver::Kept};
use crate::{
    base::{Id, Problems},
    saved::{
        Model, TfGraph, TfShape, Variable,
        bundle::Content,
        graph::{Node, NodeOutput},
        restore::{ANONYMOUS, is_variable},
        types::host_type,
    },
};

/// What stands behind a variable's name in those of the nodes that belong to it.
pub const ASSIGN: &str = "/Assign";
pub const READ: &str = "/Read/ReadVariableOp";
pub const READ_REFERENCE: &str = "/read";
pub const ZEROS: &str = "/Initializer/zeros";
const DIMS: &str = "/Initializer/dims";
const ZERO: &str = "/Initializer/value";
pub const BESIDE: &[&str] = &[ASSIGN, READ, READ_REFERENCE, ZEROS, DIMS, ZERO];

pub fn attr(value: Value) -> AttrValue {
    AttrValue { value: Some(value) }
}

pub fn ty(dtype: DataType) -> AttrValue {
    attr(Value::Type(dtype as i32))
}

fn text(text: &str) -> AttrValue {
    attr(Value::S(text.as_bytes().to_vec().into()))
}

pub fn node(name: &str, op: &str, input: Vec<String>, attrs: Vec<(&str, AttrValue)>) -> NodeDef {
    let attr = attrs.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    NodeDef { name: name.into(), op: op.into(), input, attr }
}

/// A constant, whose contents are in the fields of a tensor that has neither type nor shape yet.
pub fn constant(name: &str, dtype: DataType, extents: &[usize], contents: TensorProto) -> NodeDef {
    let shape = TfShape(Some(extents.iter().map(|&n| Some(n as u64)).collect())).to_proto();
    let tensor = TensorProto { dtype: dtype as i32, tensor_shape: Some(shape), ..contents };
    node(name, "Const", vec![], vec![("dtype", ty(dtype)), ("value", attr(Value::Tensor(tensor)))])
}

/// The nodes of a file in the making.
pub struct Nodes {
    pub defs: Vec<NodeDef>,
    names: BTreeMap<Id<Node>, String>,
}

impl Nodes {
    /// The nodes of a graph, and its variables, each once.
    pub fn of(
        graph: &TfGraph,
        model: &Model,
        names: &mut Names,
        values: &Values<'_>,
    ) -> Result<(Nodes, Vec<Kept>), Problems> {
        let mut nodes = Nodes { defs: vec![], names: BTreeMap::new() };
        for (id, node) in graph.nodes.iter().filter(|(_, node)| !is_variable(&node.op)) {
            nodes.names.insert(id, names.take(&node.name, &[]));
        }
        let mut kept: Vec<Kept> = vec![];
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let mut problems = Problems::default();
        for (id, node) in graph.nodes.iter().filter(|(_, node)| is_variable(&node.op)) {
            let Some(variable) = graph.variables.get(&id) else {
                problems.push(node.fault("the variable has no value"));
                continue;
            };
            if let Some(name) = known.get(&variable.place()) {
                nodes.names.insert(id, name.clone());
                continue;
            }
            match content(model, variable, node, values) {
                Ok(content) => {
                    let one = nodes.keep(model, variable, node, content, &kept, names);
                    known.insert(variable.place(), one.name.clone());
                    nodes.names.insert(id, one.name.clone());
                    kept.push(one);
                }
                Err(more) => problems.extend(more),
            }
        }
        problems.or(())?;
        for (id, node) in graph.nodes.iter().filter(|(_, node)| !is_variable(&node.op)) {
            let mut input: Vec<String> = node.inputs.iter().map(|&at| nodes.reference(at)).collect();
            let waits = node.controls.iter().filter(|&&before| !is_variable(&graph.nodes[before].op));
            input.extend(waits.map(|before| format!("^{}", nodes.names[before])));
            let attr = node.attrs.iter().filter(|(name, _)| stays(name)).map(|(k, v)| (k.clone(), v.clone()));
            let name = nodes.names[&id].clone();
            nodes.defs.push(NodeDef { name, op: node.op.clone(), input, attr: attr.collect() });
        }
        Ok((nodes, kept))
    }

    /// How nodes refer to a tensor.
    pub fn reference(&self, at: NodeOutput) -> String {
        let name = &self.names[&at.node];
        if at.index == 0 { name.clone() } else { format!("{name}:{}", at.index) }
    }

    fn keep(
        &mut self,
        model: &Model,
        variable: &Variable,
        node: &Node,
        content: Content,
        others: &[Kept],
        names: &mut Names,
    ) -> Kept {
        // Variables that share nothing have one name together.
        let is_own = variable.name != ANONYMOUS && !variable.name.is_empty();
        let name = names.take(if is_own { &variable.name } else { &node.name }, BESIDE);
        let has_key = variable.part.is_none() && !others.iter().any(|other| other.key == variable.key);
        let key = if has_key { variable.key.clone() } else { name.clone() };
        let dtype = variable.ty.dtype;
        let is_float = host_type(dtype).is_some_and(|held| held.is_float());
        let trainable = is_float && model.is_trainable(variable) != Some(false);
        let learns = trainable && !model.is_frozen(variable);
        let is_reference = node.op != "VarHandleOp";
        let extents = variable.ty.shape.fixed().unwrap_or_default();
        self.variable(&name, dtype, &extents, is_reference);
        Kept { name, key, dtype, is_reference, trainable, learns, content }
    }

    /// A variable, what reads it, and what gives it zeros, which no served model runs.
    pub fn variable(&mut self, name: &str, dtype: DataType, extents: &[usize], is_reference: bool) {
        let at = |ending: &str| format!("{name}{ending}");
        let own = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let shape = TfShape(Some(extents.iter().map(|&n| Some(n as u64)).collect())).to_proto();
        let dims = TensorProto { int_val: extents.iter().map(|&n| n as i32).collect(), ..Default::default() };
        let mut attrs = vec![("dtype", ty(dtype)), ("shape", attr(Value::Shape(shape)))];
        if !is_reference {
            attrs.push(("shared_name", text(name)));
        }
        let op = if is_reference { "VariableV2" } else { "VarHandleOp" };
        self.defs.push(node(name, op, vec![], attrs));
        self.defs.push(match is_reference {
            true => node(&at(READ_REFERENCE), "Identity", own(&[name]), vec![("T", ty(dtype))]),
            false => node(&at(READ), "ReadVariableOp", own(&[name]), vec![("dtype", ty(dtype))]),
        });
        self.defs.push(constant(&at(DIMS), DataType::DtInt32, &[extents.len()], dims));
        self.defs.push(constant(&at(ZERO), dtype, &[], TensorProto::default()));
        let types = vec![("T", ty(dtype)), ("index_type", ty(DataType::DtInt32))];
        self.defs.push(node(&at(ZEROS), "Fill", own(&[&at(DIMS), &at(ZERO)]), types));
        self.defs.push(assignment(&at(ASSIGN), name, at(ZEROS), dtype, is_reference));
    }
}

/// What assigns a value to a variable.
pub fn assignment(name: &str, variable: &str, value: String, dtype: DataType, is_reference: bool) -> NodeDef {
    let (op, attrs) = match is_reference {
        true => ("Assign", vec![("T", ty(dtype))]),
        false => ("AssignVariableOp", vec![("dtype", ty(dtype))]),
    };
    node(name, op, vec![variable.into(), value], attrs)
}

/// Whether an attribute goes with its node: those of TensorFlow's own passes tell of places, shapes and functions that may be
/// others here, and say nothing of what is computed.
fn stays(attr: &str) -> bool {
    !attr.starts_with('_') || attr == "_lower_using_switch_merge"
}

/// What the new checkpoint holds of a variable.
fn content(model: &Model, variable: &Variable, node: &Node, values: &Values<'_>) -> Result<Content, Problems> {
    let dtype = variable.ty.dtype;
    if variable.unset || variable.begins.is_some() {
        let what = format!("variable `{}` has no value before a signature assigns one", variable.name);
        return Err(node.fault(what).help("save the model with the variable in its checkpoint").into());
    }
    if variable.initial.is_some() {
        // Such as the place of a file of the model, which is another one at each start.
        if dtype == DataType::DtString {
            let what = format!("variable `{}` is a text that is set when the model is initialised", variable.name);
            return Err(node.fault(what).into());
        }
        return Ok(Content::Value(dtype, values(variable)?));
    }
    let is_plain = model.bundle().is_some_and(|bundle| bundle.is_plain(&variable.key));
    match variable.part.is_none() && is_plain {
        true => Ok(Content::Stored(variable.key.clone())),
        false => Ok(Content::Value(dtype, model.read(variable)?)),
    }
}
