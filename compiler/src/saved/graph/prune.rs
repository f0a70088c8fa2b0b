//! Leaves what outputs and effects need, in an order in which operands come first.
//!
//! Everything that was collected would be executed, so every node with an effect is a root beside the outputs and the
//! predicates of decisions. From the roots, data edges decide what lives. A control edge then leads to the nearest living
//! nodes behind which state is read or changed, and vanishes when there are none; where it would lead to many through
//! one dropped node, that node stays as a `NoOp`, so that the number of edges does not multiply.
//!
//! Nodes behind a `Switch` may not run, those in a loop run often. What has no operands runs with the nodes it waits for, so these stay where they
//! may not run: the constants of a branch hang on its pivot.

use std::collections::HashMap;

use super::{Node, NodeOutput, Origin, TfGraph, effect};
use crate::base::{Arena, Id, Problems};

/// Edges through a dropped node are spelled out up to this number, joined in a `NoOp` beyond.
const SPELLED_OUT: usize = 4;

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

/// `has_effect` answers for functional control flow too.
pub fn prune(mut graph: TfGraph, has_effect: impl Fn(&Node) -> bool) -> Result<TfGraph, Problems> {
    let pivots = pivots(&graph, &has_effect);
    let mut kept = live_nodes(&graph, &pivots, &has_effect);
    refuse_unfed(&graph, &kept)?;
    // Where nothing is changed, the order of reading does not matter.
    let changes = graph.nodes.iter().any(|(_, n)| has_effect(n));
    let controls = if changes { control_edges(&graph, &mut kept) } else { vec![vec![]; graph.nodes.len()] };
    for ((id, mut controls), pivots) in graph.nodes.ids().zip(controls).zip(pivots) {
        controls.extend(&pivots);
        if kept[id.index()] && !pivots.is_empty() {
            graph.gates.insert(id, pivots);
        }
        controls.sort_unstable();
        controls.dedup();
        graph.nodes[id].controls = controls;
    }
    let order = operands_first(&graph, &kept)?;
    Ok(rebuild(graph, &order))
}

/// The nodes that stay whatever their users are.
fn roots(graph: &TfGraph) -> impl Iterator<Item = Id<Node>> {
    let ports = graph.inputs.iter().chain(&graph.outputs).map(|p| p.source.node);
    ports.chain(graph.decisions.iter().map(|d| d.predicate.node))
}

fn live_nodes(graph: &TfGraph, pivots: &[Vec<Id<Node>>], has_effect: &impl Fn(&Node) -> bool) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    let effects = graph.nodes.iter().filter(|(_, n)| has_effect(n)).map(|(id, _)| id);
    let mut todo: Vec<_> = roots(graph).chain(effects).collect();
    while let Some(id) = todo.pop() {
        if !std::mem::replace(&mut live[id.index()], true) {
            todo.extend(graph.nodes[id].inputs.iter().map(|i| i.node));
            todo.extend(&pivots[id.index()]);
        }
    }
    live
}

/// Branches and loops within each other, at most.
const MAX_DEPTH: usize = 64;

/// The nodes that may not run, or run often, and that decide whether others do: each node that has an effect, or no such
/// operands, waits for them.
fn pivots(graph: &TfGraph, has_effect: &impl Fn(&Node) -> bool) -> Vec<Vec<Id<Node>>> {
    let is = |id: Id<Node>, ops: [&str; 2]| ops.contains(&graph.nodes[id].op.as_str());
    let is_gate =
        |id: Id<Node>| is(id, ["Switch", "RefSwitch"]) || is(id, ["Enter", "RefEnter"]) || heads_loop(graph, id);
    let switches: Vec<_> = graph.nodes.ids().filter(|&id| is_gate(id)).collect();
    let mut pivots = vec![vec![]; graph.nodes.len()];
    if switches.is_empty() {
        return pivots;
    }
    let mut users = vec![vec![]; graph.nodes.len()];
    for (id, node) in graph.nodes.iter() {
        let before = node.inputs.iter().map(|i| i.node).chain(node.controls.iter().copied());
        before.for_each(|b| users[b.index()].push(id));
    }
    // How many gates are open around what a node hands on: a `Merge` closes one. Nodes within loops are behind the gate where
    // the loop begins.
    let mut depths = vec![0; graph.nodes.len()];
    let mut todo = switches;
    todo.iter().for_each(|&id| depths[id.index()] = 1);
    while let Some(id) = todo.pop() {
        let node = &graph.nodes[id];
        if node.op == "NextIteration" || node.op == "RefNextIteration" {
            continue;
        }
        for &user in &users[id.index()] {
            let before: usize = depths[id.index()];
            let depth = match is_gate(user) {
                true => before + 1,
                false => before - usize::from(is(user, ["Merge", "RefMerge"])),
            };
            // A graph that waits for itself is refused later.
            if depth > depths[user.index()] && depth < MAX_DEPTH {
                depths[user.index()] = depth;
                todo.push(user);
            }
        }
    }
    let is_free = |node: &Node| node.inputs.iter().all(|input| depths[input.node.index()] == 0);
    // A node that waits for a `Merge` lies where the branch lies that ends there.
    let gate = |id: Id<Node>| match is(id, ["Merge", "RefMerge"]) && !is_gate(id) {
        true => switch_of(graph, &depths, id).unwrap_or(id),
        false => id,
    };
    for (id, node) in graph.nodes.iter().filter(|(_, n)| is_free(n) || has_effect(n)) {
        let waits = node.controls.iter().copied().filter(|c| depths[c.index()] > 0 && *c != id);
        pivots[id.index()] = waits.map(gate).collect();
    }
    pivots
}

/// A `Switch` of the branch that a `Merge` ends: it lies where the `Merge` lies, around that branch.
fn switch_of(graph: &TfGraph, depths: &[usize], merge: Id<Node>) -> Option<Id<Node>> {
    let depth = depths[merge.index()];
    let is_own =
        |id: Id<Node>| matches!(graph.nodes[id].op.as_str(), "Switch" | "RefSwitch") && depths[id.index()] == depth + 1;
    let mut seen = vec![false; graph.nodes.len()];
    let mut todo = vec![merge];
    while let Some(id) = todo.pop() {
        if is_own(id) {
            return Some(id);
        }
        if !std::mem::replace(&mut seen[id.index()], true) {
            let node = &graph.nodes[id];
            let before = node.inputs.iter().map(|i| i.node).chain(node.controls.iter().copied());
            todo.extend(before.filter(|b| depths[b.index()] > depth));
        }
    }
    None
}

/// Whether a node is the `Merge` at which a loop of TensorFlow 1 begins each iteration.
fn heads_loop(graph: &TfGraph, id: Id<Node>) -> bool {
    let node = &graph.nodes[id];
    let from_enter = |input: &NodeOutput| matches!(graph.nodes[input.node].op.as_str(), "Enter" | "RefEnter");
    matches!(node.op.as_str(), "Merge" | "RefMerge") && node.inputs.iter().any(from_enter)
}

/// Every placeholder that is needed must be an input.
fn refuse_unfed(graph: &TfGraph, kept: &[bool]) -> Result<(), Problems> {
    let unfed = |id: Id<Node>, n: &Node| {
        kept[id.index()] && matches!(n.op.as_str(), "Placeholder" | "PlaceholderV2") && n.origin != Origin::Input
    };
    let fault = |n: &Node| {
        n.fault("the outputs need this placeholder, which the signature does not feed")
            .help("export a signature that has it among its inputs")
    };
    Problems(graph.nodes.iter().filter(|(id, n)| unfed(*id, n)).map(|(_, n)| fault(n)).collect()).or(())
}

/// The nodes each node waits for; joins are added to `kept`.
fn control_edges(graph: &TfGraph, kept: &mut [bool]) -> Vec<Vec<Id<Node>>> {
    // What waiting for a node amounts to.
    let mut through: Vec<Vec<Id<Node>>> = vec![vec![]; graph.nodes.len()];
    let mut edges = through.clone();
    let mut marks = vec![Mark::New; graph.nodes.len()];
    let live: Vec<_> = graph.nodes.ids().filter(|id| kept[id.index()]).collect();
    let mut todo: Vec<_> = live.iter().flat_map(|&id| graph.nodes[id].controls.iter().copied()).collect();
    while let Some(&id) = todo.last() {
        let node = &graph.nodes[id];
        let before = || node.controls.iter().copied().chain(node.inputs.iter().map(|i| i.node));
        let is_live = kept[id.index()];
        match marks[id.index()] {
            Mark::Done => drop(todo.pop()),
            Mark::New if is_live && (effect::is_stateful(&node.op) || effect::is_functional(&node.op)) => {
                through[id.index()] = vec![id];
                marks[id.index()] = Mark::Done;
            }
            Mark::New => {
                marks[id.index()] = Mark::Open;
                todo.extend(before().filter(|b| marks[b.index()] == Mark::New));
            }
            Mark::Open => {
                marks[id.index()] = Mark::Done;
                let met = union(before(), &through);
                through[id.index()] = match met.len() {
                    0 => vec![],
                    _ if is_live => vec![id],
                    n if n <= SPELLED_OUT => met,
                    _ => {
                        kept[id.index()] = true;
                        edges[id.index()] = met;
                        vec![id]
                    }
                };
            }
        }
    }
    for id in live {
        edges[id.index()] = union(graph.nodes[id].controls.iter().copied(), &through);
        edges[id.index()].retain(|&waited| waited != id);
    }
    edges
}

/// The nodes of a graph so that operands come first, with names made unique.
pub fn sorted(graph: TfGraph) -> Result<TfGraph, Problems> {
    let all = vec![true; graph.nodes.len()];
    graph.keep(&all)
}

impl TfGraph {
    /// The nodes that outputs, decisions and effects need, of the nodes with an effect those that are wanted.
    pub(in crate::saved) fn needed(&self, wanted: impl Fn(Id<Node>) -> bool) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        let is_effect = |id: Id<Node>| effect::has_effect(&self.nodes[id].op) || self.effects.contains_key(&id);
        let effects = self.nodes.ids().filter(|&id| is_effect(id) && wanted(id));
        let mut todo: Vec<_> = roots(self).chain(effects).collect();
        while let Some(id) = todo.pop() {
            if !std::mem::replace(&mut live[id.index()], true) {
                let node = &self.nodes[id];
                todo.extend(node.inputs.iter().map(|i| i.node).chain(node.controls.iter().copied()));
            }
        }
        live
    }
    /// The graph of these nodes, which read no others.
    pub(in crate::saved) fn keep(self, nodes: &[bool]) -> Result<TfGraph, Problems> {
        let order = operands_first(&self, nodes)?;
        Ok(rebuild(self, &order))
    }
}

fn union(ids: impl Iterator<Item = Id<Node>>, sets: &[Vec<Id<Node>>]) -> Vec<Id<Node>> {
    let mut all: Vec<_> = ids.flat_map(|id| sets[id.index()].iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The kept nodes in an order in which operands come first; only a loop's `NextIteration` may come after its reader.
fn operands_first(graph: &TfGraph, kept: &[bool]) -> Result<Vec<Id<Node>>, Problems> {
    let closes_loop = |id: Id<Node>| matches!(&graph.nodes[id].op[..], "NextIteration" | "RefNextIteration");
    let mut order = Vec::new();
    let mut marks = vec![Mark::New; graph.nodes.len()];
    let roots: Vec<_> = roots(graph).chain(graph.nodes.ids().filter(|id| kept[id.index()])).collect();
    for root in roots {
        let mut todo = vec![root];
        while let Some(&id) = todo.last() {
            let node = &graph.nodes[id];
            let is_join = node.op.starts_with("Merge") || node.op.starts_with("RefMerge");
            match marks[id.index()] {
                Mark::Done => drop(todo.pop()),
                Mark::Open => {
                    todo.pop();
                    marks[id.index()] = Mark::Done;
                    order.push(id);
                }
                Mark::New => {
                    marks[id.index()] = Mark::Open;
                    let operands = node.inputs.iter().map(|i| i.node).filter(|&i| !(is_join && closes_loop(i)));
                    // Reversed, so that the first operand comes first.
                    let before: Vec<_> = node.controls.iter().copied().chain(operands).collect();
                    if before.iter().any(|b| marks[b.index()] == Mark::Open && !(closes_loop(id) && *b == id)) {
                        return Err(node.fault("the graph has a cycle through this node").into());
                    }
                    todo.extend(before.into_iter().rev().filter(|b| marks[b.index()] == Mark::New));
                }
            }
        }
    }
    Ok(order)
}

/// The graph of the listed nodes, with names made unique.
fn rebuild(mut graph: TfGraph, order: &[Id<Node>]) -> TfGraph {
    let mut new_ids: Vec<Option<Id<Node>>> = vec![None; graph.nodes.len()];
    order.iter().enumerate().for_each(|(n, id)| new_ids[id.index()] = Some(Id::new(n)));
    let renumber = |id: Id<Node>| new_ids[id.index()].expect("operands of kept nodes are kept");
    let moved = |output: NodeOutput| NodeOutput { node: renumber(output.node), ..output };
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut nodes = Arena::default();
    for &id in order {
        let mut node = std::mem::replace(&mut graph.nodes[id], Node::empty());
        node.name = unique(&mut taken, node.name);
        node.inputs.iter_mut().for_each(|i| *i = moved(*i));
        node.controls = node.controls.iter().map(|&c| renumber(c)).collect();
        nodes.push(node);
    }
    for port in graph.inputs.iter_mut().chain(&mut graph.outputs) {
        port.source = moved(port.source);
    }
    graph.decisions.iter_mut().for_each(|d| d.predicate = moved(d.predicate));
    let placed = std::mem::take(&mut graph.sites).into_iter();
    graph.sites = placed.filter_map(|(id, site)| Some((new_ids[id.index()]?, site))).collect();
    let gates = std::mem::take(&mut graph.gates).into_iter().filter(|(id, _)| new_ids[id.index()].is_some());
    let renumbered = |all: Vec<Id<Node>>| all.into_iter().filter_map(|id| new_ids[id.index()]).collect();
    graph.gates = gates.map(|(id, gates)| (renumber(id), renumbered(gates))).collect();
    let variables = std::mem::take(&mut graph.variables).into_iter();
    graph.variables = variables.filter_map(|(id, variable)| Some((new_ids[id.index()]?, variable))).collect();
    let effects = std::mem::take(&mut graph.effects).into_iter();
    graph.effects = effects.filter_map(|(id, effects)| Some((new_ids[id.index()]?, effects))).collect();
    let bodies = std::mem::take(&mut graph.bodies).into_iter();
    graph.bodies = bodies.filter_map(|((id, which), body)| Some(((new_ids[id.index()]?, which), body))).collect();
    TfGraph { nodes, ..graph }
}

fn unique(taken: &mut HashMap<String, usize>, name: String) -> String {
    let mut candidate = name.clone();
    while taken.contains_key(&candidate) {
        let number = taken.get_mut(&name).expect("the name itself is taken first");
        *number += 1;
        candidate = format!("{name}_{number}");
    }
    taken.insert(candidate.clone(), 0);
    candidate
}
