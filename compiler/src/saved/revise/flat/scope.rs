//! Which nodes and functions a flat model has, and what it cannot have.

use std::collections::{BTreeMap, BTreeSet};

use smc_proto::{AttrValue, attr_value::Value};

use super::Flat;
use crate::{
    base::{Diagnostic, Problems},
    saved::{
        Model, TfGraph,
        graph::{Node, Port, has_effect, only_tells},
        restore::is_variable,
    },
};

/// The graph up to the value that is wanted. Its inputs are the signature's, all of them.
pub fn cut(flat: &Flat<'_>) -> Result<TfGraph, Problems> {
    refuse_changes(flat)?;
    let mut graph = flat.graph.clone();
    graph.outputs = vec![Port { key: flat.output.clone(), source: flat.source, ty: flat.ty.clone() }];
    graph.decisions.clear();
    // What only tells something, and that nothing waits for, is left out.
    let live = graph.needed(|_| false);
    let graph = graph.keep(&live)?;
    let mut problems = Problems::default();
    for (_, node) in graph.nodes.iter() {
        if let Some(what) = held(&node.op) {
            problems.push(
                node.fault(format!("`{}` needs {what}, which is neither in the graph nor in the checkpoint", node.op))
                    .help(HELP),
            );
        }
    }
    let library = flat.model.library();
    for name in functions(&graph, flat.model) {
        let nodes = library.function(&name).map_or(&[][..], |scope| scope.nodes);
        let odd = nodes.iter().find(|node| is_variable(&node.op) || held(&node.op).is_some());
        if let Some(node) = odd {
            let what = format!("function `{name}` makes a {} of its own, which is not written alone", node.op);
            problems.push(Diagnostic::error(what).at_node(&node.name).help(HELP));
        }
    }
    if within(&graph) {
        let node = &graph.nodes[graph.outputs[0].source.node];
        problems.push(node.fault("the value lies within a branch or a loop, which may not run, or run often"));
    }
    problems.or(graph)
}

const HELP: &str = "`--head` without --from and --append changes the model in place; or save the model in TensorFlow up to \
                    the layer, as a signature of its own";

/// A signature that changes something does more than its outputs tell.
fn refuse_changes(flat: &Flat<'_>) -> Result<(), Diagnostic> {
    let changes = |op: &str| {
        let is_local = op.starts_with("TensorArray") || op.starts_with("Stack");
        has_effect(op) && !only_tells(op) && !is_local
    };
    for (id, node) in flat.graph.nodes.iter() {
        let within = flat.graph.effects.get(&id).into_iter().flatten();
        let inside = within.map(|(op, node)| (op.as_str(), node.as_str()));
        let own = std::iter::once((node.op.as_str(), node.name.as_str()));
        if let Some((op, by)) = own.chain(inside).find(|(op, _)| changes(op)) {
            let what = format!("signature `{}` does more than compute: {op} (node `{by}`)", flat.signature.name);
            return Err(node.fault(what).help("name a signature that only infers: `--signature KEY`"));
        }
    }
    Ok(())
}

/// What a node holds that is neither in the graph nor in the checkpoint.
fn held(op: &str) -> Option<&'static str> {
    let is_table = op.contains("HashTable") || op.starts_with("LookupTable") || op.starts_with("InitializeTable");
    Some(match op {
        "CapturedResource" => "a table, or something like it",
        _ if is_table => "a table",
        "ReadFile" | "MatchingFiles" | "Restore" | "RestoreSlice" | "RestoreV2" => "what is in a file",
        "TemporaryVariable" => "a variable of its own",
        _ if op.starts_with("Stack") => "a stack",
        _ if op.contains("Iterator") || op.contains("Dataset") || op.contains("Queue") || op.contains("Barrier") => {
            "examples"
        }
        _ => return None,
    })
}

/// Whether the output lies between a gate of a branch or a loop of TensorFlow 1 and its end.
fn within(graph: &TfGraph) -> bool {
    let mut depths = vec![0usize; graph.nodes.len()];
    for (id, node) in graph.nodes.iter() {
        let before = node.inputs.iter().map(|input| input.node).chain(node.controls.iter().copied());
        // A loop is closed by a node that comes later.
        let depth = before.map(|before| depths[before.index()]).max().unwrap_or(0);
        let is_loop = |node: &Node| node.inputs.iter().any(|input| input.node.index() >= id.index());
        depths[id.index()] = match node.op.as_str() {
            "Switch" | "RefSwitch" | "Enter" | "RefEnter" => depth + 1,
            "Merge" | "RefMerge" if !is_loop(node) => depth.saturating_sub(1),
            // Out of the loop's `Switch` and `Enter`.
            "Exit" | "RefExit" => depth.saturating_sub(2),
            _ => depth,
        };
    }
    depths[graph.outputs[0].source.node.index()] > 0
}

/// The functions that nodes run, and those that these run.
pub fn functions(graph: &TfGraph, model: &Model) -> BTreeSet<String> {
    let library = model.library();
    let mut found = BTreeSet::new();
    let mut todo = vec![];
    graph.nodes.iter().for_each(|(_, node)| named(&node.op, &node.attrs, &mut todo));
    while let Some(name) = todo.pop() {
        let Some(scope) = library.function(&name) else { continue };
        if found.insert(name) {
            scope.nodes.iter().for_each(|node| named(&node.op, &node.attr, &mut todo));
        }
    }
    found
}

/// The functions that a node may name: by its operator, and in its attributes.
fn named(op: &str, attrs: &BTreeMap<String, AttrValue>, into: &mut Vec<String>) {
    into.push(op.into());
    for attr in attrs.values() {
        let functions = match &attr.value {
            Some(Value::Func(function)) => std::slice::from_ref(function),
            Some(Value::List(list)) => &list.func[..],
            _ => &[],
        };
        functions.iter().for_each(|function| named(&function.name, &function.attr, into));
    }
}
