//! Follows a resource through a graph, stacks and gradients of arrays: which edges carry its handle, and who gets it.

use super::part::effects_of;
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::graph::{Node, NodeOutput, TfGraph, is_branch},
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

/// What the handles are in a body of a node.
pub fn inside(graph: &TfGraph, id: Id<Node>, handles: &[NodeOutput], body: &TfGraph) -> Vec<NodeOutput> {
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
pub fn look_at_effects(graph: &mut TfGraph, id: Id<Node>) {
    let all = graph.bodies.range((id, 0)..=(id, usize::MAX));
    let effects = effects_of(all.filter_map(|(_, body)| body.as_deref().ok()));
    match effects.is_empty() {
        true => graph.effects.remove(&id),
        false => graph.effects.insert(id, effects),
    };
}

/// One of several problems.
pub fn first(problems: Problems) -> Diagnostic {
    problems.0.into_iter().next().expect("what failed says why")
}

/// What a node reads at a place.
pub fn operand(node: &Node, n: usize) -> Result<NodeOutput, Diagnostic> {
    node.inputs.get(n).copied().ok_or_else(|| node.fault(format!("{} lacks its operand {n}", node.op)))
}
