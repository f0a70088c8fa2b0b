//! Computes at compile time what does not depend on inputs.
//!
//! The largest fixed parts of the graph are evaluated whole, by the reference evaluator. A part stays as it is when it
//! faults, when it takes long, or when its result or something on the way takes much more memory than the constants it is
//! made from: [`MAX_GROWTH`] bounds what folding adds to the object. Broadcasts and counts are code, not constants.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fuel, Rewrite, rewrite::fixed};
use crate::{
    base::{Bindings, Dim},
    graph::{Graph, NodeId, evaluate},
    op::Op,
    tensor::{Tensor, TensorType},
};

/// Bytes that a folded constant may take beyond those of its operands.
const MAX_GROWTH: usize = 64 << 10;
/// Values on the way to a result may be this many times as large as the result may be.
const MAX_DETOUR: usize = 4;
/// Steps that the evaluation of one operator may take.
const MAX_WORK: u128 = 1 << 28;

pub fn fold(mut graph: Graph, fuel: &mut Fuel) -> Graph {
    let (live, fixed) = (graph.live(), fixed(&graph));
    // Only what something unfixed uses, a port, or an input has to exist; everything else vanishes inside.
    let mut needed: Vec<bool> = graph.iter().map(|(id, _)| live[id.index()] && !fixed[id.index()]).collect();
    graph.inputs.iter().chain(&graph.outputs).for_each(|p| needed[p.node.index()] = true);
    let mut values: Vec<Option<Tensor>> = vec![None; graph.len()];
    let mut users = graph.use_counts();
    for id in graph.ids().rev() {
        let node = graph.node(id);
        let computes = !node.inputs.is_empty() || matches!(node.op, Op::Iota(_));
        if needed[id.index()] && fixed[id.index()] && computes && is_data(&graph, id) {
            values[id.index()] = value(&graph, id).filter(|_| fuel.take());
        }
        let stays = needed[id.index()] && values[id.index()].is_none();
        for input in node.inputs.clone() {
            users[input.index()] -= 1;
            needed[input.index()] |= stays;
            // All users have been looked at, and those that stay do not use it.
            if users[input.index()] == 0 && !needed[input.index()] {
                graph.forget(input);
            }
        }
    }
    Rewrite::of(&graph).rebuild(&needed, |rw, id| values[id.index()].take().map(|value| rw.new.constant(value)))
}

/// Whether a node carries information, as opposed to a count or copies of something smaller.
fn is_data(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let count = |id: NodeId| graph.ty(id).count().as_int();
    match &node.op {
        Op::Iota(_) => count(id).is_some_and(|n| n <= 16),
        Op::Broadcast(_) => count(id) == count(node.inputs[0]),
        Op::Reshape(_) | Op::Transpose(_) => {
            !matches!(graph.op(node.inputs[0]), Op::Broadcast(_) | Op::Iota(_)) || is_data(graph, node.inputs[0])
        }
        _ => true,
    }
}

/// The value of a fixed node, if it is worth its size and does not fault.
fn value(graph: &Graph, id: NodeId) -> Option<Tensor> {
    // The part above the node, as a graph of its own.
    let mut above = BTreeSet::from([id]);
    let mut open = vec![id];
    while let Some(at) = open.pop() {
        open.extend(graph.node(at).inputs.iter().filter(|&&i| above.insert(i)));
    }
    let is_leaf = |at: &NodeId| matches!(graph.op(*at), Op::Const(_));
    let mut budget = MAX_GROWTH;
    for at in above.iter().copied().filter(is_leaf) {
        budget = budget.saturating_add(bytes(graph.ty(at))?);
    }
    let mut part = Graph::default();
    let mut map: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for at in above {
        let node = graph.node(at);
        if !is_leaf(&at) && (bytes(&node.ty)? > budget.saturating_mul(MAX_DETOUR) || work(graph, at) > MAX_WORK) {
            return None;
        }
        let operands: Vec<NodeId> = node.inputs.iter().map(|i| map.get(i).copied()).collect::<Option<_>>()?;
        map.insert(at, part.add(node.op.clone(), &operands).ok()?);
    }
    if bytes(graph.ty(id))? > budget {
        return None;
    }
    part.output("", *map.get(&id)?);
    evaluate(&part, &[], &Bindings::new()).ok()?.pop()
}

/// About how many steps the evaluator takes for one operator.
fn work(graph: &Graph, id: NodeId) -> u128 {
    let node = graph.node(id);
    let product = |extents: &[Dim]| extents.iter().fold(1u128, |n, d| n.saturating_mul(extent(d)));
    let operand = |n: usize| &graph.ty(node.inputs[n]).shape[..];
    let places = product(&node.ty.shape);
    match &node.op {
        Op::Dot(_) => places.saturating_mul(operand(0).last().map_or(1, extent)),
        Op::Conv(_) => places.saturating_mul(product(&operand(1)[..operand(1).len() - 1])),
        Op::Window(op) => places.saturating_mul(op.size.iter().fold(1, |n, &k| n.saturating_mul(k as u128))),
        Op::Reduce(_) | Op::ArgReduce(_) | Op::TopK(_) => product(operand(0)).saturating_mul(16),
        Op::Forest(_) => places.saturating_mul(64),
        Op::Scatter(_) => places.saturating_add(product(operand(2)).saturating_mul(16)),
        _ => places,
    }
}

fn extent(dim: &Dim) -> u128 {
    dim.as_int().and_then(|n| u128::try_from(n).ok()).unwrap_or(u128::MAX)
}

/// The size of a value of fixed type, in bytes; of strings their spans alone.
fn bytes(ty: &TensorType) -> Option<usize> {
    let shape = ty.concrete(&Bindings::new())?;
    shape.iter().try_fold(ty.dtype.size(), |bytes, &n| bytes.checked_mul(n))
}
