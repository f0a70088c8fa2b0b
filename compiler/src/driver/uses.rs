//! What a signature does with variables that outlive calls, and which of its outputs have sizes that data decide.

use serde::Serialize;

use super::Entry;
use crate::{base::Dim, graph::Port, tf::Kept};

/// A variable that outlives calls, as a signature uses it.
#[derive(Clone, Debug, Serialize)]
pub struct Use {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub reads: bool,
    pub changes: bool,
    /// Whether it is the place of a generator that an operator has to itself: by the seed of the model, or by the caller's.
    pub generator: Option<Seeded>,
}

/// Whose seed a generator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Seeded {
    Model,
    Caller,
}

/// An output of which data decide an extent.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    pub output: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub sizes: Vec<Size>,
}

/// A size that data decide.
#[derive(Clone, Debug, Serialize)]
pub struct Size {
    pub name: String,
    /// The most that it can be.
    pub bound: Dim,
}

/// The variables of an entry that is not planned yet.
pub fn uses(entry: &Entry) -> Vec<Use> {
    let graph = &entry.optimised;
    let needed = graph.needed(graph.outputs.iter().map(|port| port.node));
    let of = |kept: &Kept| {
        let (node, variable) = (graph.inputs[kept.input].node, &kept.variable);
        let whose = |unseeded| if unseeded { Seeded::Caller } else { Seeded::Model };
        Use {
            name: variable.short_key().into(),
            ty: graph.ty(node).to_string(),
            reads: needed[node.index()],
            changes: kept.output.is_some(),
            generator: variable.begins.map(|begins| whose(begins.unseeded)),
        }
    };
    entry.state.iter().map(of).collect()
}

/// The outputs of such an entry whose extents data decide.
pub fn found(entry: &Entry) -> Vec<Found> {
    let graph = &entry.optimised;
    let of = |port: &Port| {
        let ty = graph.ty(port.node);
        let symbols: Vec<_> = ty.shape.iter().flat_map(Dim::symbols).collect();
        let named = graph.binds().filter(|(_, bind)| symbols.contains(&bind.symbol));
        let size = |bind: &crate::op::Bind| Size { name: bind.symbol.name().into(), bound: bind.bound.clone() };
        let sizes: Vec<Size> = named.map(|(_, bind)| size(bind)).collect();
        (!sizes.is_empty()).then(|| Found { output: port.name.clone(), ty: ty.to_string(), sizes })
    };
    entry.ports(graph).1.iter().filter_map(of).collect()
}
