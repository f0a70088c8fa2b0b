//! Gradients that a model has of its own, by `tf.custom_gradient`. TensorFlow writes an `IdentityN` of the results and operands,
//! whose attribute names a function that the file may hold. That function is not read: where a gradient would pass such a node
//! the training is refused, but for the one that TensorFlow's `silu` has, which is the derivative.

use std::collections::BTreeSet;

use smc_proto::attr_value::Value;

use crate::{
    base::{Diagnostic, Id, Problems},
    driver::state::Keys,
    saved::{
        TfGraph,
        graph::{Node, NodeOutput},
    },
};

/// Refuses a graph in which a gradient passes such a node on its way from the outputs to variables that learn.
pub fn check(graph: &TfGraph, learning: &Keys) -> Result<(), Problems> {
    let learns = |id: &Id<Node>| graph.variables.get(id).is_some_and(|variable| learning.contains(&variable.key));
    for id in behind(graph, graph.outputs.iter().map(|port| port.source)) {
        let node = &graph.nodes[id];
        if let Some(own) = own_gradient(graph, id)
            && behind(graph, node.inputs.iter().copied()).iter().any(learns)
        {
            let what = format!("node `{own}` has a gradient of its own (`tf.custom_gradient`), which is not supported");
            let help = "freeze what comes before it by `--freeze`, or export a signature that trains";
            return Err(Diagnostic::error(what).help(help).into());
        }
    }
    Ok(())
}

/// The nodes that these edges depend on, as far as gradients go.
fn behind(graph: &TfGraph, edges: impl Iterator<Item = NodeOutput>) -> BTreeSet<Id<Node>> {
    let mut found = BTreeSet::new();
    let mut todo: Vec<Id<Node>> = edges.map(|edge| edge.node).collect();
    while let Some(id) = todo.pop() {
        let node = &graph.nodes[id];
        if node.op != "StopGradient" && found.insert(id) {
            todo.extend(node.inputs.iter().map(|input| input.node));
        }
    }
    found
}

/// The name of the node with a gradient of its own that this one is, or that a body of it has.
fn own_gradient(graph: &TfGraph, id: Id<Node>) -> Option<&str> {
    let node = &graph.nodes[id];
    let attr = node.attrs.get("_gradient_op_type").and_then(|attr| attr.value.as_ref());
    if matches!(attr, Some(Value::S(name)) if name.starts_with(b"CustomGradient")) && !is_silu(graph, node) {
        return Some(&node.name);
    }
    let bodies = graph.bodies.range((id, 0)..=(id, usize::MAX)).filter_map(|(_, body)| body.as_ref().ok());
    bodies.flat_map(|body| body.nodes.ids().filter_map(|id| own_gradient(body, id))).next()
}

/// Whether these are `x * sigmoid(beta * x)`, `x` and, in newer versions, `beta`.
fn is_silu(graph: &TfGraph, node: &Node) -> bool {
    let &[y, x, ..] = &node.inputs[..] else { return false };
    let factor_beside_x = |product: NodeOutput| match &graph.nodes[product.node] {
        node if node.op == "Mul" => match node.inputs[..] {
            [a, b] if a == x => Some(b),
            [a, b] if b == x => Some(a),
            _ => None,
        },
        _ => None,
    };
    let is_gate = |gate: NodeOutput| {
        let node = &graph.nodes[gate.node];
        let of_x = |&of: &NodeOutput| of == x || factor_beside_x(of).is_some();
        node.op == "Sigmoid" && node.inputs.first().is_some_and(of_x)
    };
    factor_beside_x(y).is_some_and(is_gate)
}
