//! Operators that draw random numbers from a generator of their own: its place is a variable that no checkpoint has.
//!
//! TensorFlow keeps it in the kernel, which lives as long as the loaded model. With a seed the generator begins where that
//! says; without one it begins anywhere, and there is no such variable.

use std::sync::Arc;

use smc_proto::DataType;

use super::{
    graph::{Node, TfGraph},
    types::{TfShape, TfType},
    variables::Variable,
};
use crate::base::Id;

/// The last part of the keys of such variables.
const GENERATOR: &str = ".GENERATOR";

/// Whether an operator has a generator of its own.
pub fn has_generator(op: &str) -> bool {
    matches!(
        op,
        "RandomUniform"
            | "RandomUniformInt"
            | "RandomStandardNormal"
            | "TruncatedNormal"
            | "RandomShuffle"
            | "Multinomial"
            | "RandomGamma"
            | "RandomPoissonV2"
    )
}

/// Where the generator of a node begins: the counter, low half first, and the key.
fn beginning(node: &Node) -> Option<[i64; 3]> {
    let seed = |name| node.attr_int(name).ok();
    let (key, high) = (seed("seed")?, seed("seed2")?);
    (has_generator(&node.op) && (key, high) != (0, 0)).then_some([0, high, key])
}

/// The nodes of a graph whose generators have no variable yet, each with the place where it begins.
fn without(graph: &TfGraph) -> Vec<(Id<Node>, [i64; 3])> {
    let open = graph.nodes.iter().filter(|(id, _)| !graph.variables.contains_key(id));
    open.filter_map(|(id, node)| Some((id, beginning(node)?))).collect()
}

/// Whether a graph or a body in it has such nodes.
fn lacks_some(graph: &TfGraph) -> bool {
    !without(graph).is_empty() || graph.bodies.values().flatten().any(|body| lacks_some(body))
}

/// Adds a variable for each generator of a graph, and notes that the graph changes it. `scope` tells the graph's nodes from
/// others of their names. Bodies that are functions have their own already; others are parts of the graph.
pub(super) fn add(graph: &mut TfGraph, scope: &str) {
    for (id, beginning) in without(graph) {
        let node = graph.nodes[id].name.clone();
        let (name, key) = (format!("{node}/generator"), format!("{scope}{node}/{GENERATOR}"));
        let ty = TfType { dtype: DataType::DtInt64, shape: TfShape(Some(vec![Some(3)])) };
        graph.updates.insert(key.clone(), node.clone());
        let (part, initial, assigned_by) = (None, None, Some(node));
        let variable = Variable { name, ty, key, part, initial, begins: Some(beginning), assigned_by };
        graph.variables.insert(id, variable);
    }
    for ((id, which), body) in &mut graph.bodies {
        let Ok(body) = body else { continue };
        if lacks_some(body) {
            let scope = format!("{scope}{}/{which}/", graph.nodes[*id].name);
            add(Arc::make_mut(body), &scope);
        }
        let moved = body.updates.iter().filter(|(key, _)| key.ends_with(GENERATOR));
        graph.updates.extend(moved.map(|(key, by)| (key.clone(), by.clone())));
    }
}
