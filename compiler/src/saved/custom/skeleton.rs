//! A declaration to begin with: what a model says of an operator that nobody declared.

use std::fmt::Write;

use smc_proto::{AttrValue, OpDef, attr_value::Value, op_def::ArgDef};

use super::{Operators, type_name};
use crate::{
    saved::{
        Node,
        types::{TfShape, data_type, host_type},
    },
    tensor::{DType, TensorType},
};

/// TOML for the operator of a node: what the model's own definition of it says, the node's attributes, and the types of its
/// operands as far as they are known. What is not known is left to fill in, with a comment.
pub fn skeleton(all: &Operators, node: &Node, operands: &[Option<TensorType>]) -> String {
    let def = all.defined.get(&node.op);
    let (mut text, stateful) = (String::new(), def.is_some_and(|def| def.is_stateful));
    let _ = writeln!(text, "[[operator]]");
    let _ = writeln!(text, "name = {:?}", node.op);
    let _ = writeln!(text, "symbol = {:?}", symbol(&node.op));
    if stateful {
        let _ = writeln!(text, "effect = true # the operator is stateful: false where it may be left out when unused");
    }
    let inputs = (0..node.inputs.len()).map(|n| {
        let arg = def.filter(|def| def.input_arg.len() == node.inputs.len()).map(|def| &def.input_arg[n]);
        let (name, known) = (name_of(arg, "x", n), operands.get(n).and_then(Option::as_ref));
        let dtype = arg.and_then(|arg| dtype_of(node, arg)).or(known.map(|ty| ty.dtype));
        let shape = known.map_or(String::new(), |ty| format!(" # here {ty}"));
        format!("  {{ name = {name:?}, type = {} }},{shape}\n", told(dtype))
    });
    let inputs: String = inputs.collect();
    let _ = write!(text, "inputs = [\n{inputs}]\n");
    let shapes = output_shapes(node);
    let args = def.map_or(&[][..], |def| &def.output_arg);
    let count = args.len().max(shapes.len()).max(usize::from(!stateful));
    let outputs = (0..count).map(|n| {
        let (arg, name) = (args.get(n), name_of(args.get(n), "y", n));
        let shape = match shapes.get(n).and_then(|shape| shape.0.clone()) {
            Some(extents) if extents.iter().all(Option::is_some) => {
                let extents: Vec<String> = extents.iter().flatten().map(u64::to_string).collect();
                format!("\"[{}]\"", extents.join(", "))
            }
            Some(extents) => format!("\"[{}]\"", vec!["?"; extents.len()].join(", ")),
            None => "\"?\"".into(),
        };
        format!("  {{ name = {name:?}, type = {}, shape = {shape} }},\n", told(arg.and_then(|arg| dtype_of(node, arg))))
    });
    let outputs: String = outputs.collect();
    let _ = write!(text, "outputs = [\n{outputs}]\n");
    let attributes: String = attributes(def, node).into_iter().map(|line| format!("  {line},\n")).collect();
    if !attributes.is_empty() {
        let _ = write!(text, "attributes = [\n{attributes}]\n");
    }
    text
}

/// A C name for an operator's function.
fn symbol(op: &str) -> String {
    let mut name = String::new();
    let mut before = '_';
    for c in op.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            name.push('_');
        }
        before = c;
        name.push(c.to_ascii_lowercase());
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("op_{name}") } else { name }
}

fn name_of(arg: Option<&ArgDef>, stem: &str, n: usize) -> String {
    match arg.filter(|arg| !arg.name.is_empty()) {
        Some(arg) => arg.name.clone(),
        None if n == 0 => stem.into(),
        None => format!("{stem}{n}"),
    }
}

fn told(dtype: Option<DType>) -> String {
    format!("{:?}", dtype.map_or("?", type_name))
}

/// The type of an argument, which is fixed or an attribute of the node.
fn dtype_of(node: &Node, arg: &ArgDef) -> Option<DType> {
    let number = match node.attrs.get(&arg.type_attr).and_then(|attr| attr.value.as_ref()) {
        Some(Value::Type(number)) => *number,
        _ => arg.r#type,
    };
    host_type(data_type(number))
}

/// What TensorFlow wrote down of the shapes of outputs.
fn output_shapes(node: &Node) -> Vec<TfShape> {
    match node.attrs.get("_output_shapes").and_then(|attr| attr.value.as_ref()) {
        Some(Value::List(list)) => list.shape.iter().map(|shape| TfShape::from_proto(Some(shape))).collect(),
        _ => vec![],
    }
}

/// Those that are no types of arguments, each as TOML.
fn attributes(def: Option<&OpDef>, node: &Node) -> Vec<String> {
    let of_types = |name: &str| {
        let args = def.into_iter().flat_map(|def| def.input_arg.iter().chain(&def.output_arg));
        args.into_iter().any(|arg| arg.type_attr == name)
    };
    let mut all: Vec<(&str, String)> = vec![];
    for attr in def.into_iter().flat_map(|def| &def.attr).filter(|attr| !of_types(&attr.name)) {
        all.push((&attr.name, attr.r#type.clone()));
    }
    for (name, value) in &node.attrs {
        let listed = name.starts_with('_') || all.iter().any(|(known, _)| known == name) || of_types(name);
        if let Some(kind) = kind(value).filter(|_| !listed) {
            all.push((name, kind.into()));
        }
    }
    let line = |(name, kind): (&str, String)| format!("{{ name = {name:?}, type = {kind:?} }}");
    all.into_iter().map(line).collect()
}

fn kind(attr: &AttrValue) -> Option<&'static str> {
    Some(match attr.value.as_ref()? {
        Value::S(_) => "string",
        Value::I(_) => "int",
        Value::F(_) => "float",
        Value::B(_) => "bool",
        Value::Type(_) => return None,
        Value::Shape(_) => "shape",
        Value::List(list) if !list.f.is_empty() => "list(float)",
        Value::List(list) if !list.i.is_empty() => "list(int)",
        _ => return None,
    })
}

#[test]
fn symbols_are_c_names() {
    assert_eq!(symbol("My>ScaledRelu2D"), "my_scaled_relu2_d");
    assert_eq!(symbol("3Way"), "op_3_way");
}
