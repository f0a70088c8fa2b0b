//! Says why a value is not known at compile time: by the inputs whose values or extents it depends on, and what helps.

use std::collections::BTreeSet;

use super::{Import, Stop};
use crate::{
    base::{Diagnostic, Dim, Symbol},
    graph::NodeId,
    op::Op,
    tensor::DType,
};

/// Inputs by their keys.
pub(super) fn inputs(keys: &[String]) -> String {
    quoted(keys, "input", "inputs")
}

impl Import<'_> {
    /// The problem that `what` of the current node would have to be known.
    pub(super) fn unknown(&self, id: NodeId, what: &str) -> Stop {
        let op = &self.node.op;
        let (values, symbols) = self.sources(id);
        if !values.is_empty() {
            let inputs = quoted(&values, "input", "inputs");
            return format!("{what} of {op} depends on the values of {inputs}, which is not supported yet").into();
        }
        let of = |key: &String| {
            let ports = self.graph.inputs.iter().filter(|p| p.name == *key);
            ports.flat_map(|p| self.graph.shape(p.node)).flat_map(Dim::symbols).any(|s| symbols.contains(&s))
        };
        let open: Vec<String> = self.graph.inputs.iter().map(|p| p.name.clone()).filter(of).collect();
        let problem = Diagnostic::error(format!(
            "{what} of {op} depends on the extents of {} in a way that is not supported yet",
            quoted(&open, "input", "inputs")
        ));
        let fixed: Vec<String> = open.iter().map(|key| format!("`--input {key}={}`", self.example(key))).collect();
        problem.help(format!("extents that are fixed settle it: {}", fixed.join(" "))).into()
    }

    /// The keys of the inputs whose values a node depends on, and the symbols.
    pub(super) fn sources(&self, id: NodeId) -> (Vec<String>, BTreeSet<Symbol>) {
        let (mut seen, mut open) = (BTreeSet::from([id]), vec![id]);
        let (mut values, mut symbols) = (vec![], BTreeSet::new());
        while let Some(at) = open.pop() {
            let node = self.graph.node(at);
            symbols.extend(node.ty.shape.iter().chain(node.op.inner_dims()).flat_map(Dim::symbols));
            if node.op == Op::Input {
                let port = self.graph.inputs.iter().find(|p| p.node == at);
                match self.fed_by.get(&at) {
                    Some(keys) => values.extend(keys.iter().cloned()),
                    None => values.extend(port.map(|p| p.name.clone())),
                }
            }
            open.extend(node.inputs.iter().filter(|&&i| seen.insert(i)));
        }
        values.sort();
        values.dedup();
        (values, symbols)
    }

    /// Whether a value depends on inputs, and on no others than strings.
    pub(super) fn is_of_strings(&self, id: NodeId) -> bool {
        let (mut seen, mut open, mut found) = (BTreeSet::from([id]), vec![id], false);
        while let Some(at) = open.pop() {
            let node = self.graph.node(at);
            if node.op == Op::Input {
                if node.ty.dtype != DType::Str {
                    return false;
                }
                found = true;
            }
            open.extend(node.inputs.iter().filter(|&&i| seen.insert(i)));
        }
        found
    }

    /// A shape for an input with numbers for what is open.
    fn example(&self, key: &str) -> String {
        let shape = self.graph.inputs.iter().find(|p| p.name == key).map(|p| self.graph.shape(p.node));
        let extent = |d: &Dim| d.as_int().map_or_else(|| "N".to_owned(), |n| n.to_string());
        shape.map_or(String::new(), |shape| shape.iter().map(extent).collect::<Vec<_>>().join(","))
    }
}

/// `input `x``, or `inputs `x` and `y``.
fn quoted(keys: &[String], one: &str, several: &str) -> String {
    let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match &names[..] {
        [] => format!("the {several}"),
        [name] => format!("{one} {name}"),
        [before @ .., last] => format!("{several} {} and {last}", before.join(", ")),
    }
}
