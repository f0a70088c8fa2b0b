//! The text form of a flat graph, for people: one node per line.
//!
//! `NAME = OP(INPUT, NAME:1, ...) ^AFTER {attribute=value}`; attributes are left out that hold tensors or that no reader
//! asks for (those of TensorFlow's own bookkeeping start with an underscore).

use std::fmt;

use smc_proto::attr_value::Value;

use super::{NodeOutput, TfGraph};
use crate::saved::types::{TfShape, data_type, type_name};

impl fmt::Display for TfGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |output: &NodeOutput| match output.index {
            0 => self.nodes[output.node].name.clone(),
            index => format!("{}:{index}", self.nodes[output.node].name),
        };
        for port in &self.inputs {
            writeln!(f, "input {} {} = {}", port.key, port.ty, named(&port.source))?;
        }
        for (id, node) in self.nodes.iter() {
            let inputs: Vec<_> = node.inputs.iter().map(named).collect();
            write!(f, "{} = {}({})", node.name, node.op, inputs.join(", "))?;
            for control in &node.controls {
                write!(f, " ^{}", self.nodes[*control].name)?;
            }
            let attrs = node.attrs.iter().filter(|(name, _)| !name.starts_with('_'));
            let shown = attrs.filter_map(|(name, attr)| Some(format!("{name}={}", value(attr.value.as_ref()?)?)));
            let shown: Vec<_> = shown.collect();
            if !shown.is_empty() {
                write!(f, " {{{}}}", shown.join(" "))?;
            }
            if let Some(variable) = self.variables.get(&id) {
                write!(f, " <- {} of {}", variable.ty, variable.key)?;
            }
            writeln!(f)?;
        }
        for port in &self.outputs {
            writeln!(f, "output {} {} = {}", port.key, port.ty, named(&port.source))?;
        }
        Ok(())
    }
}

/// `None` for tensors and for lists of shapes.
fn value(value: &Value) -> Option<String> {
    Some(match value {
        Value::S(s) => format!("\"{}\"", s.escape_ascii()),
        Value::I(i) => i.to_string(),
        Value::F(x) => x.to_string(),
        Value::B(b) => b.to_string(),
        Value::Type(t) => type_name(data_type(*t)),
        Value::Shape(s) => TfShape::from_proto(Some(s)).to_string(),
        Value::Func(func) => func.name.clone(),
        Value::Placeholder(name) => format!("${name}"),
        Value::List(list) if !list.i.is_empty() => format!("{:?}", list.i),
        Value::List(list) if !list.func.is_empty() => {
            format!("{:?}", list.func.iter().map(|f| &f.name).collect::<Vec<_>>())
        }
        Value::List(_) | Value::Tensor(_) => return None,
    })
}
