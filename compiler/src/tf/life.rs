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
            let edges: Vec<NodeOutput> = self.life_edges(id).into_iter().filter(|e| e.node < id).collect();
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

    /// Nodes that run for their effects alone, and functions that do: checks that hold vanish, other checks and messages
    /// are dropped with a note, and assignments of variables are imported; whatever else has an effect is refused.
    pub(super) fn look_at_effects(&mut self) -> Result<(), Stop> {
        let mut unchecked = vec![];
        for (id, node) in self.tf.nodes.iter() {
            let within = self.tf.effects.get(&id);
            // What the outputs needed is imported, or refused already.
            if self.done[id.index()].is_some() || !(has_effect(&node.op) || within.is_some()) || !self.runs(id)? {
                continue;
            }
            if writes_array(&node.op) || within.is_some_and(|ops| ops.keys().any(|op| writes_array(op))) {
                continue;
            }
            // An operator without a row is refused here, and so are those in the functions of others.
            let changes = within.into_iter().flatten().any(|(op, _)| effect_of(op) == Effect::Change);
            if has_effect(&node.op) && effect_of(&node.op) == Effect::Change || changes {
                self.demand(id)?;
                continue;
            }
            let own = has_effect(&node.op).then_some(node.op.as_str());
            let ops = || own.into_iter().chain(within.into_iter().flatten().map(|(op, _)| op.as_str()));
            if ops().any(|op| effect_of(op) == Effect::Message) {
                self.notes.push(Diagnostic::note(NOT_PRINTED).at_node(&node.name));
            }
            if ops().any(|op| effect_of(op) == Effect::Numbers) {
                self.notes.push(Diagnostic::note(NUMBERS_UNCHECKED).at_node(&node.name));
            }
            let asserts = ops().any(|op| effect_of(op) == Effect::Assertion);
            if asserts && !(own.is_some() && self.assertion(node)? == Some(true)) {
                unchecked.push(node);
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

    /// What a write to an array of TensorFlow 1 gives has to be needed: otherwise others may see the array as it left it
    /// because they wait for it, which is not followed.
    pub(super) fn look_at_arrays(&mut self) -> Result<(), Stop> {
        for (id, node) in self.tf.nodes.iter() {
            let within = self.tf.effects.get(&id).into_iter().flatten().map(|(op, _)| op.as_str());
            let op = within.chain([node.op.as_str()]).find(|op| writes_array(op));
            if let Some(op) = op.filter(|_| self.done[id.index()].is_none())
                && self.runs(id)?
            {
                let problem = format!("{op} changes an array here, and nobody reads the flow that it returns");
                let help = "read what the write returns: `array = array.write(i, x)`";
                self.problems.push(node.fault(problem).help(help));
            }
        }
        Ok(())
    }

    /// Whether a node is executed: a node on a branch that is not taken is not.
    pub(super) fn runs(&mut self, id: Id<Node>) -> Result<bool, Stop> {
        let node = &self.tf.nodes[id];
        let gates = self.tf.gates.get(&id).into_iter().flatten();
        let before = gates.map(|&node| (NodeOutput { node, index: 0 }, true));
        for (edge, control) in node.inputs.iter().map(|&input| (input, false)).chain(before) {
            let dead = loop {
                match self.is_dead(edge) {
                    Ok(dead) => break if control { self.life[&edge.node] == Life::Dead } else { dead },
                    Err(predicate) => self.demand_quietly(predicate)?,
                }
            };
            if dead {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The edges that decide whether a node runs: the constants of a branch hang on its pivot. Back edges of loops are
    /// left out.
    fn life_edges(&self, id: Id<Node>) -> Vec<NodeOutput> {
        let node = &self.tf.nodes[id];
        if node.op == "NextIteration" {
            return vec![];
        }
        // A `Switch` runs whichever side it leads to.
        let gates = self.tf.gates.get(&id).into_iter().flatten().filter(|&&gate| !is_switch(&self.tf.nodes[gate]));
        let gates = gates.filter(|_| !is_merge(node)).map(|&node| NodeOutput { node, index: 0 });
        node.inputs.iter().copied().chain(gates).collect()
    }

    /// Imports what only decides whether something else is told; problems on the way are not the user's.
    fn demand_quietly(&mut self, id: Id<Node>) -> Result<(), Stop> {
        let told = (self.problems.clone(), self.unsupported.clone());
        self.demand(id)?;
        (self.problems, self.unsupported) = told;
        Ok(())
    }

    /// What is known of an assertion's condition.
    fn assertion(&mut self, node: &'a Node) -> Result<Option<bool>, Stop> {
        let Some(&condition) = node.inputs.first() else { return Ok(None) };
        self.demand_quietly(condition.node)?;
        let known = self.known_bool(condition);
        if known == Some(false) && !self.conditional {
            return Err(node.fault("the assertion fails for every input").into());
        }
        Ok(known)
    }
}

/// Whether an operator writes to an array of TensorFlow 1.
fn writes_array(op: &str) -> bool {
    op.starts_with("TensorArray") && !op.starts_with("TensorArrayGrad") && has_effect(op)
}

/// What is said of a message that is left out.
pub(super) const NOT_PRINTED: &str = "the model prints a message here; compiled code does not";

/// What is said of a check of numbers that is left out.
pub(super) const NUMBERS_UNCHECKED: &str = "the compiled code does not look for NaN and infinities here";

/// What an operator does beside computing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// It refuses values that do not meet a condition.
    Assertion,
    /// It refuses NaN and infinities.
    Numbers,
    /// It prints.
    Message,
    /// It changes a variable or the world, or nobody knows.
    Change,
}

fn effect_of(op: &str) -> Effect {
    match op {
        "Assert" => Effect::Assertion,
        "CheckNumerics" | "CheckNumericsV2" => Effect::Numbers,
        "Print" | "PrintV2" => Effect::Message,
        _ => Effect::Change,
    }
}

pub(super) fn is_merge(node: &Node) -> bool {
    matches!(node.op.as_str(), "Merge" | "RefMerge")
}

fn is_switch(node: &Node) -> bool {
    matches!(node.op.as_str(), "Switch" | "RefSwitch")
}
