//! How the values of a loop's body depend on the iteration, and what they are outside of it, for all iterations at once.

use std::collections::HashMap;

use super::rewrite::divides;
use crate::{
    base::{Dim, Symbol},
    graph::{Graph, Loop, NodeId},
    op::{Broadcast, Op, Reshape, Slice},
};

/// How a value of the body depends on the iteration.
#[derive(Clone, Debug, PartialEq)]
pub enum Class {
    Varying,
    Fixed,
    /// The element at this index of a tensor that does not: one more axis comes first.
    At(Dim),
}

/// The class of every value of the body.
pub fn classes(repeat: &Loop) -> Vec<Class> {
    let (body, step) = (&repeat.body, &repeat.step);
    let mut classes: Vec<Class> = vec![];
    let carried: Vec<NodeId> = body.inputs[..repeat.carried].iter().map(|port| port.node).collect();
    for (id, node) in body.iter() {
        let class = match &node.op {
            Op::Input if carried.contains(&id) => Class::Varying,
            Op::Input | Op::Const(_) => Class::Fixed,
            // A size is that of an iteration.
            _ if body.names_found(id) => Class::Varying,
            _ => class(body, id, step, &classes),
        };
        classes.push(class);
    }
    classes
}

fn class(body: &Graph, id: NodeId, step: &Symbol, classes: &[Class]) -> Class {
    let node = body.node(id);
    let of: Vec<&Class> = node.inputs.iter().map(|i| &classes[i.index()]).collect();
    let names_step = node.op.inner_dims().into_iter().any(|dim| dim.symbols().contains(step));
    if names_step {
        return match &node.op {
            Op::Slice(op) if *of[0] == Class::Fixed && takes_one(op, body.shape(node.inputs[0])) => {
                Class::At(op.start[0].clone())
            }
            _ => Class::Varying,
        };
    }
    let Some(index) = of.iter().find_map(|class| if let Class::At(index) = class { Some(index) } else { None }) else {
        let fixed = of.iter().all(|class| **class == Class::Fixed) && cannot_fault(body, id);
        return if fixed { Class::Fixed } else { Class::Varying };
    };
    let alike = of.iter().all(|class| match class {
        Class::Varying => false,
        Class::Fixed => true,
        Class::At(other) => other == index,
    });
    let fixed_weights = of.len() == 2 && *of[1] == Class::Fixed;
    let by_slice = match &node.op {
        Op::Unary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Reshape(_) => true,
        Op::Binary(_) => cannot_fault(body, id),
        Op::Dot(_) => fixed_weights && body.shape(node.inputs[0]).len() == 2,
        Op::Conv(_) => fixed_weights,
        _ => false,
    };
    if alike && by_slice { Class::At(index.clone()) } else { Class::Varying }
}

/// Whether a slice is one element of the first axis, whole.
fn takes_one(op: &Slice, from: &[Dim]) -> bool {
    let whole = (1..from.len()).all(|axis| op.start[axis].is(0) && op.shape[axis] == from[axis]);
    op.stride.iter().all(|&by| by == 1) && op.shape.first().is_some_and(|n| n.is(1)) && whole
}

fn cannot_fault(body: &Graph, id: NodeId) -> bool {
    match body.op(id) {
        op @ Op::Binary(_) => !divides(op, body.ty(id).dtype),
        Op::Unary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Bitcast(_) | Op::Extent(_) | Op::Iota(_) => {
            true
        }
        Op::Broadcast(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Pad(_) | Op::Concat(_) => true,
        Op::Reduce(_) | Op::Window(_) | Op::Dot(_) | Op::Conv(_) => true,
        _ => false,
    }
}

/// Nodes of the body as they are outside of the loop, for all iterations at once.
pub struct Whole<'a> {
    pub outer: &'a mut Graph,
    body: &'a Graph,
    classes: &'a [Class],
    operands: HashMap<NodeId, NodeId>,
    made: HashMap<NodeId, NodeId>,
}

impl<'a> Whole<'a> {
    /// For the body of a loop with these operands.
    pub fn new(outer: &'a mut Graph, body: &'a Graph, classes: &'a [Class], operands: &[NodeId]) -> Whole<'a> {
        let operands = body.inputs.iter().map(|port| port.node).zip(operands.iter().copied()).collect();
        Whole { outer, body, classes, operands, made: HashMap::new() }
    }
    /// None where an operator does not work on all slices at once.
    pub fn of(&mut self, target: NodeId) -> Option<NodeId> {
        // Operands have smaller numbers, so one walk over what is needed makes them first.
        let mut needed = vec![false; target.index() + 1];
        needed[target.index()] = true;
        for id in self.body.ids().rev().filter(|id| id.index() <= target.index()) {
            if needed[id.index()] && !self.made.contains_key(&id) {
                self.body.node(id).inputs.iter().for_each(|i| needed[i.index()] = true);
            }
        }
        for id in self.body.ids().filter(|id| id.index() <= target.index()) {
            if needed[id.index()] && !self.made.contains_key(&id) {
                let made = self.make(id)?;
                self.made.insert(id, made);
            }
        }
        self.made.get(&target).copied()
    }

    fn make(&mut self, id: NodeId) -> Option<NodeId> {
        let node = self.body.node(id);
        self.outer.set_origin(self.body.origin(id).cloned());
        let inputs: Vec<NodeId> = node.inputs.iter().map(|i| self.made.get(i).copied()).collect::<Option<_>>()?;
        match (&node.op, &self.classes[id.index()]) {
            (Op::Input, _) => self.operands.get(&id).copied(),
            (op, Class::Fixed) => self.outer.add_copy(op, &inputs).ok(),
            (Op::Slice(_), _) => {
                let rows = self.outer.shape(inputs[0])[0].clone();
                self.reshaped(inputs[0], &rows, &node.ty.shape)
            }
            (op, _) => self.for_all(id, op, &inputs),
        }
    }

    /// An operator on elements of sequences, for all of them.
    fn for_all(&mut self, id: NodeId, op: &Op, inputs: &[NodeId]) -> Option<NodeId> {
        let node = self.body.node(id);
        let along = node.inputs.iter().zip(inputs).find(|(i, _)| self.classes[i.index()] != Class::Fixed)?.1;
        let rows = self.outer.shape(*along)[0].clone();
        match op {
            Op::Reshape(_) => self.reshaped(inputs[0], &rows, &node.ty.shape),
            Op::Dot(_) | Op::Conv(_) => {
                // The sequence is one more part of the rows.
                let inner = self.body.shape(node.inputs[0]);
                let merged = |shape: &[Dim]| [&[&rows * &shape[0]], &shape[1..]].concat();
                let x = self.outer.add(Reshape { shape: merged(inner) }, &inputs[..1]).ok()?;
                let y = self.outer.add(op.clone(), &[x, inputs[1]]).ok()?;
                (self.outer.shape(y) == merged(&node.ty.shape)).then_some(())?;
                self.reshaped(y, &rows, &node.ty.shape)
            }
            op => {
                let operand = |whole: &mut Self, n: usize| match &whole.classes[node.inputs[n].index()] {
                    Class::Fixed => whole.repeated(inputs[n], &rows),
                    _ => Some(inputs[n]),
                };
                let inputs: Vec<NodeId> = (0..inputs.len()).map(|n| operand(self, n)).collect::<Option<_>>()?;
                self.outer.add(op.clone(), &inputs).ok()
            }
        }
    }
    fn reshaped(&mut self, x: NodeId, rows: &Dim, shape: &[Dim]) -> Option<NodeId> {
        let shape = [std::slice::from_ref(rows), shape].concat();
        if self.outer.shape(x) == shape { Some(x) } else { self.outer.add(Reshape { shape }, &[x]).ok() }
    }
    fn repeated(&mut self, x: NodeId, rows: &Dim) -> Option<NodeId> {
        let shape = self.outer.shape(x).to_vec();
        let one = self.reshaped(x, &Dim::one(), &shape)?;
        let all = [std::slice::from_ref(rows), &shape].concat();
        self.outer.add(Broadcast::to(all), &[one]).ok()
    }
}
