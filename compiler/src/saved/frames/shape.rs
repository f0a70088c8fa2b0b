//! The parts of one loop: its variables, what stays the same in it, its condition, and the ways out of it.

use std::collections::{HashMap, HashSet};

use smc_proto::DataType;

use super::{nest::Nest, part::Edge};
use crate::{
    base::{Diagnostic, Id},
    saved::graph::{Node, NodeOutput, TfGraph},
};

const READ_BESIDE: &str = "the first value of a loop's variable is read beside the Merge of the loop";

/// A value that goes round: `Enter` gives the first one, the operand of `NextIteration` the next.
pub struct Variable {
    pub enter: Id<Node>,
    pub next: NodeOutput,
}

/// A loop as it is written.
pub struct Shape {
    frame: usize,
    /// What `LoopCond` reads.
    pub condition: NodeOutput,
    pub variables: Vec<Variable>,
    /// The `Enter`s of values that stay the same.
    pub constants: Vec<Id<Node>>,
    /// Each `Exit` with its variable.
    pub exits: Vec<(Id<Node>, usize)>,
    merges: HashMap<Id<Node>, usize>,
    switches: HashMap<Id<Node>, usize>,
    /// The place of each of `constants`.
    places: HashMap<Id<Node>, usize>,
}

impl Shape {
    pub fn read(graph: &TfGraph, nest: &Nest, frame: usize) -> Result<Shape, Diagnostic> {
        let nodes = &nest.frames[frame].nodes;
        let all = |ops: &[&str]| -> Vec<Id<Node>> {
            nodes.iter().copied().filter(|&id| ops.contains(&graph.nodes[id].op.as_str())).collect()
        };
        let loop_cond = match all(&["LoopCond"])[..] {
            [one] => one,
            [] => return Err(graph.nodes[nodes[0]].fault(format!("{} has no LoopCond", called(nest, frame)))),
            [_, second, ..] => {
                return Err(graph.nodes[second].fault(format!("{} has a second LoopCond", called(nest, frame))));
            }
        };
        let mut shape = Shape {
            frame,
            condition: operand(&graph.nodes[loop_cond], 0)?,
            variables: vec![],
            constants: vec![],
            exits: vec![],
            merges: HashMap::new(),
            switches: HashMap::new(),
            places: HashMap::new(),
        };
        for id in all(&["Merge", "RefMerge"]) {
            if let Some(variable) = shape.variable(graph, nest, id)? {
                shape.merges.insert(id, shape.variables.len());
                shape.variables.push(variable);
            }
        }
        for id in all(&["Switch", "RefSwitch"]) {
            let node = &graph.nodes[id];
            if node.inputs.get(1).is_some_and(|predicate| predicate.node == loop_cond) {
                let of = operand(node, 0)?;
                let variable = shape.merges.get(&of.node).filter(|_| of.index == 0);
                let none =
                    || node.fault(format!("this {} by a loop's condition is of no variable of the loop", node.op));
                shape.switches.insert(id, *variable.ok_or_else(none)?);
            }
        }
        let begins: HashSet<Id<Node>> = shape.variables.iter().map(|variable| variable.enter).collect();
        for id in all(&["Enter", "RefEnter"]) {
            operand(&graph.nodes[id], 0)?;
            if !begins.contains(&id) {
                if !graph.nodes[id].attr_bool("is_constant")? {
                    return Err(graph.nodes[id].fault(READ_BESIDE));
                }
                shape.places.insert(id, shape.constants.len());
                shape.constants.push(id);
            }
        }
        for &id in &nest.frames[frame].exits {
            let node = &graph.nodes[id];
            let from = operand(node, 0)?;
            let none = || node.fault(format!("this {} is of no variable of {}", node.op, called(nest, frame)));
            let variable = shape.switches.get(&from.node).filter(|_| from.index == 0).ok_or_else(none)?;
            shape.exits.push((id, *variable));
        }
        Ok(shape)
    }

    /// What a `Merge` joins, where it is the head of the loop.
    fn variable(&self, graph: &TfGraph, nest: &Nest, id: Id<Node>) -> Result<Option<Variable>, Diagnostic> {
        let node = &graph.nodes[id];
        let of = |ops: [&str; 2]| -> Vec<Id<Node>> {
            let all = node.inputs.iter().map(|input| input.node);
            all.filter(|&input| {
                ops.contains(&graph.nodes[input].op.as_str()) && nest.of[input.index()] == Some(self.frame)
            })
            .collect()
        };
        let enters = of(["Enter", "RefEnter"]);
        let next = of(["NextIteration", "RefNextIteration"]);
        match (&enters[..], &next[..], node.inputs.len()) {
            (_, [], _) if !node.inputs.iter().any(|input| is_next(&graph.nodes[input.node])) => Ok(None),
            (&[enter], [_], 2) if graph.nodes[enter].attr_bool("is_constant")? => {
                Err(graph.nodes[enter].fault("a loop's variable begins as a value that the loop calls constant"))
            }
            (&[enter], &[next], 2) => Ok(Some(Variable { enter, next: operand(&graph.nodes[next], 0)? })),
            _ => Err(node.fault(format!(
                "a loop's variable begins with one Enter and goes on with one NextIteration of that loop, but this {} has \
                 other operands",
                node.op
            ))),
        }
    }

    /// What an edge is for the loop's condition and body: the variables are their first arguments, then come the values
    /// that stay the same.
    pub fn sort(&self, graph: &TfGraph, nest: &Nest, edge: NodeOutput) -> Result<Edge, Diagnostic> {
        let node = &graph.nodes[edge.node];
        if let Some(&variable) = self.switches.get(&edge.node) {
            return match edge.index {
                1 => Ok(Edge::Argument(variable)),
                _ => Err(node.fault("what a loop ends with is read before its Exit")),
            };
        }
        if let Some(&variable) = self.merges.get(&edge.node) {
            return match edge.index {
                0 => Ok(Edge::Argument(variable)),
                _ => Err(node.fault("which operand a loop's Merge took is not supported as a value")),
            };
        }
        if let Some(n) = self.places.get(&edge.node) {
            return Ok(Edge::Argument(self.variables.len() + n));
        }
        if nest.of[edge.node.index()] != Some(self.frame) {
            return Ok(Edge::Outside(edge));
        }
        match node.op.as_str() {
            "Enter" | "RefEnter" => Err(node.fault(READ_BESIDE)),
            "NextIteration" | "RefNextIteration" => {
                Err(node.fault("the next value of a loop's variable is read by no Merge of the loop"))
            }
            _ => Ok(Edge::Inside),
        }
    }

    /// The nodes that run once for each iteration, and not where the loop ends.
    pub fn is_gate(&self, id: Id<Node>) -> bool {
        self.switches.contains_key(&id)
    }

    pub fn is_head(&self, id: Id<Node>) -> bool {
        self.merges.contains_key(&id)
    }

    /// Names and types of the arguments.
    pub fn arguments(&self, graph: &TfGraph) -> Vec<(String, DataType)> {
        let enters = self.variables.iter().map(|variable| variable.enter).chain(self.constants.iter().copied());
        let given = enters.map(|id| {
            let node = &graph.nodes[id];
            (node.name.clone(), node.attr_type("T").unwrap_or(DataType::DtInvalid))
        });
        given.collect()
    }
}

fn is_next(node: &Node) -> bool {
    matches!(node.op.as_str(), "NextIteration" | "RefNextIteration")
}

fn called(nest: &Nest, frame: usize) -> String {
    format!("the loop of frame `{}`", nest.frames[frame].name)
}

fn operand(node: &Node, n: usize) -> Result<NodeOutput, Diagnostic> {
    node.inputs.get(n).copied().ok_or_else(|| node.fault(format!("{} lacks its operand {n}", node.op)))
}
