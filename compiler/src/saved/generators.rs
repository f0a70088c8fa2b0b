//! Operators that draw random numbers from a generator of their own: its place is a variable that no checkpoint has.
//!
//! TensorFlow keeps it in the kernel, which lives as long as the loaded model. With a seed the generator begins where that
//! says. Without one TensorFlow begins anywhere; here the key is the caller's seed, and the high half of the counter follows
//! from the node, so that no two nodes draw the same numbers.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use smc_proto::DataType;

use super::{
    graph::{Node, TfGraph},
    types::{TfShape, TfType},
    variables::Variable,
};
use crate::base::Id;

/// The last part of the keys of such variables.
const GENERATOR: &str = ".GENERATOR";

/// The key of generators that nobody seeds.
const NO_SEED: i64 = 0;

/// Where a generator begins that an operator has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The counter, low half first, and the key.
    pub place: [i64; 3],
    /// Whether the key is the caller's to choose: the model gives no seed.
    pub unseeded: bool,
}

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
            | "NonDeterministicInts"
    )
}

/// The two seeds of a node that has a generator; zeros are none.
fn seeds(node: &Node) -> Option<(i64, i64)> {
    let seed = |name| node.attr_int(name).ok();
    match node.op.as_str() {
        "NonDeterministicInts" => Some((0, 0)),
        op if has_generator(op) => Some((seed("seed")?, seed("seed2")?)),
        _ => None,
    }
}

/// Where a generator of these seeds begins, whose variable has this key.
fn beginning(seeds: (i64, i64), key: &str) -> Beginning {
    match seeds {
        (0, 0) => {
            let digest: [u8; 32] = Sha256::digest(key).into();
            let high = i64::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
            Beginning { place: [0, high, NO_SEED], unseeded: true }
        }
        (key, high) => Beginning { place: [0, high, key], unseeded: false },
    }
}

/// The nodes of a graph whose generators have no variable yet, each with its seeds.
fn without(graph: &TfGraph) -> Vec<(Id<Node>, (i64, i64))> {
    let open = graph.nodes.iter().filter(|(id, _)| !graph.variables.contains_key(id));
    open.filter_map(|(id, node)| Some((id, seeds(node)?))).collect()
}

/// Whether a graph or a body in it has such nodes.
fn lacks_some(graph: &TfGraph) -> bool {
    !without(graph).is_empty() || graph.bodies.values().flatten().any(|body| lacks_some(body))
}

/// Adds a variable for each generator of a graph, and notes that the graph changes it. `scope` tells the graph's nodes from
/// others of their names. Bodies that are functions have their own already; others are parts of the graph.
pub(super) fn add(graph: &mut TfGraph, scope: &str) {
    for (id, seeds) in without(graph) {
        let node = graph.nodes[id].name.clone();
        let (name, key) = (format!("{node}/generator"), format!("{scope}{node}/{GENERATOR}"));
        let ty = TfType { dtype: DataType::DtInt64, shape: TfShape(Some(vec![Some(3)])) };
        graph.updates.insert(key.clone(), node.clone());
        let (part, initial, assigned_by) = (None, None, Some(node));
        let begins = Some(beginning(seeds, &key));
        let variable = Variable { name, ty, key, part, initial, begins, unset: false, assigned_by };
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
