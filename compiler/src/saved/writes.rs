//! Which variables a graph changes: by its own nodes, in branches and loops, and in the functions that those call,
//! through handles that are passed in as well as handles that a body makes.
//!
//! Where it cannot be told which operand of a node a function writes through, all of them count as written.

use std::collections::{BTreeMap, BTreeSet};

use smc_proto::{NameAttrList, attr_value::Value};

use super::{
    body::{MAX_NESTING, body},
    graph::{Library, Node, NodeOutput, TfGraph, has_effect, is_branch},
    restore::{handed_on, is_variable},
};
use crate::base::{Diagnostic, Id, Problems};

/// The variables that a graph changes, each with the name of a node that does.
#[derive(Default)]
pub(super) struct Writes {
    /// By their nodes in the graph.
    pub nodes: BTreeMap<Id<Node>, String>,
    /// Those whose handles bodies make.
    pub inside: Vec<(Node, String)>,
}

/// What a function changes.
#[derive(Clone, Default)]
struct Written {
    args: BTreeSet<usize>,
    /// The nodes that make handles, by function and name.
    inside: BTreeMap<(String, String), Node>,
}

type Memo = BTreeMap<String, Written>;

/// The variables that a graph changes.
pub(super) fn writes(graph: &TfGraph, library: &Library) -> Result<Writes, Problems> {
    let mut writes = Writes::default();
    for (source, writer) in written(graph, library, &mut Memo::new(), 0)? {
        match source {
            Source::Here(id) if is_variable(&graph.nodes[id].op) => drop(writes.nodes.entry(id).or_insert(writer)),
            Source::Here(_) => {}
            Source::Inside(_, node) => writes.inside.push((*node, writer)),
        }
    }
    Ok(writes)
}

/// Where a handle that is written through comes from.
enum Source {
    /// A node of the graph.
    Here(Id<Node>),
    /// A node of some body.
    Inside((String, String), Box<Node>),
}

/// Every handle that a graph writes through, each with the writing node's name.
fn written(
    graph: &TfGraph,
    library: &Library,
    memo: &mut Memo,
    nesting: usize,
) -> Result<Vec<(Source, String)>, Problems> {
    let mut found = Vec::new();
    for (_, node) in graph.nodes.iter() {
        let through =
            |input: &NodeOutput| origins(graph, *input).into_iter().map(|id| (Source::Here(id), node.name.clone()));
        if has_effect(&node.op) {
            found.extend(node.inputs.iter().flat_map(through));
        }
        for function in functions_of(node).filter(|f| library.has_effect(&f.name)) {
            let Written { args, inside } = written_by(function, library, memo, nesting)?;
            let operands = args.iter().map(|&arg| operand(&node.op, arg)).collect::<Option<Vec<_>>>();
            match operands {
                Some(at) => found.extend(at.into_iter().filter_map(|n| node.inputs.get(n)).flat_map(through)),
                None => found.extend(node.inputs.iter().flat_map(through)),
            }
            found
                .extend(inside.into_iter().map(|(key, made)| (Source::Inside(key, Box::new(made)), node.name.clone())));
        }
    }
    Ok(found)
}

/// Which operand of a node is argument `arg` of its functions; `None` for operators of which it is not known.
fn operand(op: &str, arg: usize) -> Option<usize> {
    match op {
        "While" | "StatelessWhile" | "MapDefun" => Some(arg),
        op if is_branch(op) => Some(arg + 1),
        // Start, limit and step stand before what the body takes behind its counter.
        "For" => Some(arg + 2),
        _ => None,
    }
}

/// The nodes that a handle may come from: several where a branch hands one of its operands on.
fn origins(graph: &TfGraph, handle: NodeOutput) -> Vec<Id<Node>> {
    let (mut found, mut todo, mut seen) = (Vec::new(), vec![handle], BTreeSet::new());
    while let Some(handle) = todo.pop() {
        let origin = handed_on(graph, handle).node;
        if !seen.insert(origin) {
            continue;
        }
        found.push(origin);
        if is_branch(&graph.nodes[origin].op) {
            todo.extend(&graph.nodes[origin].inputs);
        }
    }
    found
}

fn functions_of(node: &Node) -> impl Iterator<Item = &NameAttrList> {
    node.attrs.values().flat_map(|attr| match &attr.value {
        Some(Value::Func(f)) => std::slice::from_ref(f),
        Some(Value::List(list)) => &list.func[..],
        _ => &[],
    })
}

/// What a function writes.
fn written_by(
    function: &NameAttrList,
    library: &Library,
    memo: &mut Memo,
    nesting: usize,
) -> Result<Written, Problems> {
    if let Some(known) = memo.get(&function.name) {
        return Ok(known.clone());
    }
    if nesting > MAX_NESTING {
        return Err(Diagnostic::error(format!("control flow is nested more than {MAX_NESTING} deep")).into());
    }
    // A function that reaches itself adds nothing on the way round.
    memo.insert(function.name.clone(), Written::default());
    let graph = body(library, function)?;
    let mut result = Written::default();
    for (source, _) in written(&graph, library, memo, nesting + 1)? {
        match source {
            Source::Here(id) => match graph.inputs.iter().position(|port| port.source.node == id) {
                Some(arg) => drop(result.args.insert(arg)),
                None if is_variable(&graph.nodes[id].op) => {
                    let node = graph.nodes[id].clone();
                    result.inside.insert((function.name.clone(), node.name.clone()), node);
                }
                None => {}
            },
            Source::Inside(key, node) => drop(result.inside.insert(key, *node)),
        }
    }
    memo.insert(function.name.clone(), result.clone());
    Ok(result)
}
