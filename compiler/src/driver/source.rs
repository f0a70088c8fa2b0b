//! A signature's graph as the rest of the compiler sees it: branches whose predicates are known are taken, round by
//! round, because a function that is inlined may hold further branches.

use super::{Options, initial, state::Keys};
use crate::{
    base::Problems,
    saved::{Model, Signature, TfGraph, graph::Branches},
    tf,
};

/// What the user fixes of this signature's inputs, where these variables are state.
pub fn import_options(signature: &Signature, options: &Options, state: &Keys) -> tf::Options {
    let has = |key: &str| signature.inputs.iter().any(|slot| slot.key == key);
    let shapes = options.shapes.iter().filter(|s| has(&s.input));
    let shapes = shapes.map(|s| (s.input.clone(), s.extents.clone())).collect();
    let bounds = options.bounds.iter().map(|b| (b.name.clone(), b.most)).collect();
    tf::Options { batch: options.batch, shapes, bounds, state: Some(state.clone()), differentiable: false }
}

/// The flat graph of an entry point.
pub fn graph(model: &Model, signature: &Signature, options: &tf::Options) -> Result<TfGraph, Problems> {
    taken(model, signature, options).map(|(graph, _)| graph)
}

/// The same, with control flow as the file writes it: the branches that are taken whatever a caller gives.
pub fn as_written(model: &Model, signature: &Signature) -> Result<TfGraph, Problems> {
    let (_, taken) = taken(model, signature, &tf::Options::default())?;
    model.graph_as_written(signature, &taken)
}

fn taken(model: &Model, signature: &Signature, options: &tf::Options) -> Result<(TfGraph, Branches), Problems> {
    let mut taken = Branches::new();
    loop {
        let graph = model.graph_taking(signature, &taken)?;
        if graph.sites.is_empty() {
            return Ok((graph, taken));
        }
        let before = taken.len();
        taken.extend(tf::known_branches(&graph, &|variable| initial::read(model, variable), options));
        if taken.len() == before {
            return Ok((graph, taken));
        }
    }
}
