//! What runs at all: branches of a `Switch` on a known predicate, and nodes that only have effects.
//!
//! Deadness spreads along the edges from a `Switch` whose predicate is known; a `Merge` asks for it before it asks for
//! its operands, so that nothing is imported for a branch that is not taken.

use super::{Import, Stop};
use crate::{
    base::{Diagnostic, Id},
    saved::{Node, NodeOutput, graph::has_effect},
};

/// Which outputs of a node are computed at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Life {
    Alive,
    Dead,
    /// A `Switch` on a known predicate: this output only.
    Only(u32),
}

impl<'a> Import<'a> {
    /// Whether an edge carries nothing, or the predicate that has to be imported to tell.
    pub(super) fn is_dead(&mut self, edge: NodeOutput) -> Result<bool, Id<Node>> {
        let mut stack = vec![edge.node];
        while let Some(&id) = stack.last() {
            let node = &self.tf.nodes[id];
            // Edges lead back but for those of loops, so this ends.
            let edges: Vec<NodeOutput> = life_edges(node).into_iter().filter(|e| e.node < id).collect();
            if self.life.contains_key(&id) {
                stack.pop();
                continue;
            }
            if let Some(next) = edges.iter().find(|e| !self.life.contains_key(&e.node)) {
                stack.push(next.node);
                continue;
            }
            let is_dead = |e: &NodeOutput| match self.life.get(&e.node) {
                Some(Life::Dead) => true,
                Some(Life::Only(index)) => *index != e.index,
                _ => false,
            };
            let life = if is_merge(node) {
                if !edges.is_empty() && edges.iter().all(is_dead) { Life::Dead } else { Life::Alive }
            } else if edges.iter().any(is_dead) {
                Life::Dead
            } else if is_switch(node) && node.inputs.len() == 2 {
                let predicate = node.inputs[1];
                if self.done[predicate.node.index()].is_none() && !self.entered[predicate.node.index()] {
                    return Err(predicate.node);
                }
                self.known_bool(predicate).map_or(Life::Alive, |taken| Life::Only(taken as u32))
            } else {
                Life::Alive
            };
            self.life.insert(id, life);
            stack.pop();
        }
        Ok(match self.life[&edge.node] {
            Life::Alive => false,
            Life::Dead => true,
            Life::Only(index) => index != edge.index,
        })
    }

    /// Nodes that only control edges reach: assertions that hold vanish, others are dropped with a note, and whatever
    /// changes a variable is refused.
    pub(super) fn look_at_effects(&mut self) -> Result<(), Stop> {
        let mut seen = vec![false; self.tf.nodes.len()];
        let mut stack: Vec<Id<Node>> = self.tf.outputs.iter().map(|p| p.source.node).collect();
        let mut reached = vec![];
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.index()], true) || self.life.get(&id) == Some(&Life::Dead) {
                continue;
            }
            let node = &self.tf.nodes[id];
            stack.extend(&node.controls);
            stack.extend(
                node.inputs
                    .iter()
                    .map(|e| e.node)
                    .filter(|n| self.done[id.index()].is_none() || self.done[n.index()].is_some()),
            );
            if self.done[id.index()].is_none() && has_effect(&node.op) {
                reached.push(id);
            }
        }
        reached.sort();
        let mut unchecked = vec![];
        for id in reached {
            let node = &self.tf.nodes[id];
            match node.op.as_str() {
                "Assert" => {
                    if self.assertion(node)? != Some(true) {
                        unchecked.push(node);
                    }
                }
                "Print" | "PrintV2" | "LoggingOps" => self.notes.push(
                    Diagnostic::note("the model prints a message here; compiled code does not").at_node(&node.name),
                ),
                _ => self.unsupported.entry(&node.op).or_default().push(node),
            }
        }
        if let Some(first) = unchecked.first() {
            let many = if unchecked.len() > 1 {
                format!("{} assertions are", unchecked.len())
            } else {
                "an assertion is".into()
            };
            self.notes.push(Diagnostic::note(format!("{many} not checked by the compiled code")).at_node(&first.name));
        }
        Ok(())
    }

    /// What is known of an assertion's condition; problems on the way to it are not the user's.
    fn assertion(&mut self, node: &'a Node) -> Result<Option<bool>, Stop> {
        let Some(&condition) = node.inputs.first() else { return Ok(None) };
        let (problems, unsupported) = (self.problems.clone(), self.unsupported.clone());
        self.demand(condition.node)?;
        (self.problems, self.unsupported) = (problems, unsupported);
        let known = self.known_bool(condition);
        if known == Some(false) {
            return Err(node.fault("the assertion fails for every input").into());
        }
        Ok(known)
    }
}

pub(super) fn is_merge(node: &Node) -> bool {
    matches!(node.op.as_str(), "Merge" | "RefMerge")
}

fn is_switch(node: &Node) -> bool {
    matches!(node.op.as_str(), "Switch" | "RefSwitch")
}

/// The edges that decide whether a node runs. A node without operands runs with the nodes that control it: the
/// constants of a branch hang on its pivot. Back edges of loops are left out.
fn life_edges(node: &Node) -> Vec<NodeOutput> {
    if node.op == "NextIteration" {
        return vec![];
    }
    if node.inputs.is_empty() {
        return node.controls.iter().map(|&node| NodeOutput { node, index: 0 }).collect();
    }
    node.inputs.clone()
}
