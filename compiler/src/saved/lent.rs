//! Leaves out what branches and loops are lent and do not need: nobody computes it then, and nothing has to be known of it.
//!
//! A function captures what its code names, also where the result of that code is dropped. Of a branch an argument goes that
//! no body needs. Of a loop one goes that condition and body need for nothing and that the body gives back as it is, where
//! nobody takes that result: captured tensors are carried so.

use std::{collections::BTreeSet, sync::Arc};

use super::graph::{Node, NodeOutput, TfGraph, has_effect};
use crate::base::Id;

/// Bodies have been seen to before.
pub fn leave_out(graph: &mut TfGraph) {
    let ids: Vec<Id<Node>> = graph.nodes.ids().collect();
    for id in ids {
        let node = &graph.nodes[id];
        let count = node.regions().len();
        let Some(bodies) = bodies(graph, id, count) else { continue };
        match (node.op.as_str(), &bodies[..]) {
            ("While" | "StatelessWhile", [condition, body]) => {
                let (condition, body) = (condition.clone(), body.clone());
                let unused: BTreeSet<usize> = (0..node.inputs.len())
                    .filter(|&n| is_carried_for_nothing(graph, id, n, &condition, &body))
                    .collect();
                drop_arguments(graph, id, count, &unused, 0);
                drop_results(graph, id, &unused);
            }
            ("While" | "StatelessWhile", _) | (_, []) => {}
            (_, branches) => {
                let needed: Vec<BTreeSet<usize>> = branches.iter().map(|body| needed(body, None)).collect();
                let arguments = 0..node.inputs.len().saturating_sub(1);
                let unused = arguments.filter(|n| needed.iter().all(|needed| !needed.contains(n))).collect();
                drop_arguments(graph, id, count, &unused, 1);
            }
        }
    }
}

/// All bodies of a node, if there are any and each takes what the node is given.
fn bodies(graph: &TfGraph, id: Id<Node>, count: usize) -> Option<Vec<Arc<TfGraph>>> {
    let node = &graph.nodes[id];
    let before = usize::from(!node.op.ends_with("While"));
    let body = |which| graph.bodies.get(&(id, which))?.as_ref().ok().cloned();
    let bodies: Vec<Arc<TfGraph>> = (0..count).map(body).collect::<Option<_>>()?;
    let fits = |body: &Arc<TfGraph>| body.inputs.len() + before == node.inputs.len();
    (count > 0 && bodies.iter().all(fits)).then_some(bodies)
}

/// The arguments that a body needs for what it does, and for its results but `except`.
fn needed(body: &TfGraph, except: Option<usize>) -> BTreeSet<usize> {
    let results = body.outputs.iter().enumerate().filter(|(n, _)| Some(*n) != except).map(|(_, port)| port.source.node);
    let effects = body.nodes.iter().filter(|(id, node)| has_effect(&node.op) || body.effects.contains_key(id));
    let decisions = body.decisions.iter().map(|decision| decision.predicate.node);
    let mut todo: Vec<Id<Node>> = results.chain(effects.map(|(id, _)| id)).chain(decisions).collect();
    let mut seen = vec![false; body.nodes.len()];
    while let Some(id) = todo.pop() {
        if !std::mem::replace(&mut seen[id.index()], true) {
            let node = &body.nodes[id];
            let gates = body.gates.get(&id).into_iter().flatten();
            todo.extend(node.inputs.iter().map(|input| input.node).chain(node.controls.iter().chain(gates).copied()));
        }
    }
    let is_needed = |n: &usize| seen[body.inputs[*n].source.node.index()];
    (0..body.inputs.len()).filter(is_needed).collect()
}

fn is_carried_for_nothing(graph: &TfGraph, id: Id<Node>, n: usize, condition: &TfGraph, body: &TfGraph) -> bool {
    let given_back = body.outputs.get(n).map(|port| origin(body, port.source)) == Some(body.inputs[n].source);
    let is_result = |at: NodeOutput| at.node == id && at.index as usize == n;
    let taken = || {
        let operands = graph.nodes.iter().flat_map(|(_, node)| &node.inputs).copied();
        let outputs = graph.outputs.iter().map(|port| port.source);
        operands.chain(outputs).chain(graph.decisions.iter().map(|decision| decision.predicate)).any(is_result)
    };
    given_back && !needed(condition, None).contains(&n) && !needed(body, Some(n)).contains(&n) && !taken()
}

/// What an output is the same as.
fn origin(graph: &TfGraph, mut at: NodeOutput) -> NodeOutput {
    while let ("Identity", [input, ..]) = (graph.nodes[at.node].op.as_str(), &graph.nodes[at.node].inputs[..]) {
        at = *input;
    }
    at
}

/// Drops arguments of all bodies of a node; `before` operands of the node are none of them.
fn drop_arguments(graph: &mut TfGraph, id: Id<Node>, count: usize, unused: &BTreeSet<usize>, before: usize) {
    if unused.is_empty() {
        return;
    }
    drop_at(&mut graph.nodes[id].inputs, unused, before);
    for which in 0..count {
        if let Some(Ok(body)) = graph.bodies.get_mut(&(id, which)) {
            drop_at(&mut Arc::make_mut(body).inputs, unused, 0);
        }
    }
}

/// Drops results of a loop, which nobody takes: those behind them have other numbers then.
fn drop_results(graph: &mut TfGraph, id: Id<Node>, unused: &BTreeSet<usize>) {
    if unused.is_empty() {
        return;
    }
    if let Some(Ok(body)) = graph.bodies.get_mut(&(id, 1)) {
        drop_at(&mut Arc::make_mut(body).outputs, unused, 0);
    }
    let renumber = |at: &mut NodeOutput| {
        if at.node == id {
            at.index -= unused.iter().filter(|&&n| n < at.index as usize).count() as u32;
        }
    };
    let ids: Vec<Id<Node>> = graph.nodes.ids().collect();
    ids.into_iter().for_each(|user| graph.nodes[user].inputs.iter_mut().for_each(renumber));
    graph.outputs.iter_mut().for_each(|port| renumber(&mut port.source));
    graph.decisions.iter_mut().for_each(|decision| renumber(&mut decision.predicate));
}

fn drop_at<T>(all: &mut Vec<T>, unused: &BTreeSet<usize>, before: usize) {
    for &n in unused.iter().rev() {
        all.remove(before + n);
    }
}
