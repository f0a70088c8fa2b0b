//! Follows a resource through a graph, stacks and gradients of arrays: which edges carry its handle, and who gets it.

use std::sync::Arc;

use super::part::effects_of;
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::graph::{Node, NodeOutput, TfGraph, is_branch, sorted},
};

/// The operands of a node that are such handles.
pub fn places<'g>(graph: &'g TfGraph, node: &'g Node, handles: &'g [NodeOutput]) -> impl Iterator<Item = usize> + 'g {
    let is_handle = |edge: NodeOutput| handles.contains(&handed_on(graph, edge));
    node.inputs.iter().enumerate().filter(move |(_, edge)| is_handle(**edge)).map(|(n, _)| n)
}

/// What a handle is behind nodes that hand it on.
pub fn handed_on(graph: &TfGraph, mut edge: NodeOutput) -> NodeOutput {
    while let Node { op, inputs, .. } = &graph.nodes[edge.node]
        && matches!(op.as_str(), "Identity" | "RefIdentity")
        && let Some(&before) = inputs.first().filter(|before| before.node < edge.node)
    {
        edge = before;
    }
    edge
}

/// The bodies of a node, with their numbers and what the handles are in each.
pub fn bodies<'g>(
    graph: &'g TfGraph,
    id: Id<Node>,
    handles: &'g [NodeOutput],
) -> impl Iterator<Item = (usize, &'g TfGraph, Vec<NodeOutput>)> {
    let all = graph.bodies.range((id, 0)..=(id, usize::MAX));
    all.filter_map(move |(&(_, which), body)| {
        let body = body.as_ref().ok()?;
        Some((which, &**body, inside(graph, id, handles, body)))
    })
}

/// Whether a graph or a body in it has such a node.
pub fn has_any(graph: &TfGraph, is: fn(&Node) -> bool) -> bool {
    let within = |body: &Result<Arc<TfGraph>, Problems>| body.as_ref().is_ok_and(|body| has_any(body, is));
    graph.nodes.iter().any(|(_, node)| is(node)) || graph.bodies.values().any(within)
}

/// Makes each body that has such a node another graph.
pub fn bodies_first(graph: &mut TfGraph, is: fn(&Node) -> bool, change: fn(TfGraph) -> Result<TfGraph, Problems>) {
    for body in graph.bodies.values_mut() {
        if let Ok(inner) = body
            && has_any(inner, is)
        {
            *body = change(TfGraph::clone(inner)).map(Arc::new);
        }
    }
}

/// Changes the bodies of a node, each with its number and what the handles are in it, and notes anew what they do beside
/// computing.
pub fn change_bodies(
    graph: &mut TfGraph,
    id: Id<Node>,
    handles: &[NodeOutput],
    mut change: impl FnMut(usize, &mut TfGraph, Vec<NodeOutput>) -> Result<(), Problems>,
) -> Result<(), Problems> {
    let all: Vec<(usize, Vec<NodeOutput>)> =
        bodies(graph, id, handles).map(|(which, _, handles)| (which, handles)).collect();
    for (which, handles) in all {
        let Some(Ok(body)) = graph.bodies.get_mut(&(id, which)) else { continue };
        let inner = Arc::make_mut(body);
        change(which, inner, handles)?;
        *inner = sorted(std::mem::take(inner))?;
    }
    look_at_effects(graph, id);
    Ok(())
}

/// What the handles are in a body of a node.
fn inside(graph: &TfGraph, id: Id<Node>, handles: &[NodeOutput], body: &TfGraph) -> Vec<NodeOutput> {
    let node = &graph.nodes[id];
    let arguments = places(graph, node, handles).filter_map(|n| n.checked_sub(first_argument(node)));
    arguments.filter_map(|n| Some(body.inputs.get(n)?.source)).collect()
}

/// The operand of a node that is the first argument of its bodies.
pub fn first_argument(node: &Node) -> usize {
    usize::from(is_branch(&node.op))
}

/// Takes away what a node does; others may wait for it.
pub fn do_nothing(node: &mut Node) {
    node.op = "NoOp".into();
    node.inputs.clear();
    node.attrs.clear();
}

/// Lets those who read one edge read another one.
pub fn replace(graph: &mut TfGraph, from: NodeOutput, to: NodeOutput) {
    let change = |edge: &mut NodeOutput| {
        if *edge == from {
            *edge = to;
        }
    };
    let ids: Vec<Id<Node>> = graph.nodes.ids().collect();
    ids.into_iter().for_each(|id| graph.nodes[id].inputs.iter_mut().for_each(change));
    graph.outputs.iter_mut().for_each(|port| change(&mut port.source));
    graph.decisions.iter_mut().for_each(|decision| change(&mut decision.predicate));
}

/// Notes anew what the bodies of a node do beside computing.
fn look_at_effects(graph: &mut TfGraph, id: Id<Node>) {
    let all = graph.bodies.range((id, 0)..=(id, usize::MAX));
    let effects = effects_of(all.filter_map(|(_, body)| body.as_deref().ok()));
    match effects.is_empty() {
        true => graph.effects.remove(&id),
        false => graph.effects.insert(id, effects),
    };
}

/// Whether edges say that a node runs before another one, which stands behind it.
pub fn runs_before(graph: &TfGraph, before: Id<Node>, id: Id<Node>) -> bool {
    let mut seen = vec![false; graph.nodes.len()];
    let mut todo = vec![id];
    while let Some(at) = todo.pop() {
        let edges = graph.nodes[at].inputs.iter().map(|edge| edge.node).chain(graph.nodes[at].controls.iter().copied());
        for edge in edges.filter(|&edge| edge >= before && edge < at) {
            if edge == before {
                return true;
            }
            if !std::mem::replace(&mut seen[edge.index()], true) {
                todo.push(edge);
            }
        }
    }
    false
}

/// What a node reads at a place.
pub fn operand(node: &Node, n: usize) -> Result<NodeOutput, Diagnostic> {
    node.inputs.get(n).copied().ok_or_else(|| node.fault(format!("{} lacks its operand {n}", node.op)))
}
