//! Computes before a loop what its iterations would compute again and again, or each for a part.
//!
//! - What depends on nothing that changes is computed once.
//! - What depends on the iteration's slice of a sequence alone is computed for all slices at once: the product of each
//!   step's input with weights becomes one contraction over time, and the body takes its slice of the result.
//!
//! Only contractions and folds, with what is computed from them element by element, are worth their memory. An iteration
//! that never runs may be computed in vain, so nothing that may fault leaves its loop.

use std::{collections::HashMap, sync::Arc};

use super::{Fuel, Rewrite, rebuilt::Rebuilt, rewrite::divides};
use crate::{
    base::{Dim, Symbol},
    graph::{Graph, Loop, NodeId, Regions},
    op::{Broadcast, Control, ControlResult, Op, Reshape, Slice},
};

pub fn hoist(graph: Graph, fuel: &mut Fuel) -> Graph {
    if !graph.iter().any(|(_, node)| matches!(node.op, Op::Control(_))) {
        return graph;
    }
    let mut done: Vec<Hoisted> = vec![];
    Rewrite::of(&graph).run(|rw, id| {
        let Op::Control(of) = &rw.node(id).op else { return None };
        let Regions::Loop(repeat) = Regions::of(&*of.control) else { return None };
        let operands: Vec<NodeId> = rw.node(id).inputs.iter().map(|&i| rw.new_of(i)).collect();
        let known = done.iter().position(|h| h.of.is_beside(of) && h.operands == operands);
        let hoisted = match known {
            Some(known) => &done[known],
            None => {
                let (control, more) = before(&mut rw.new, repeat, &operands, fuel)?;
                done.push(Hoisted { of: of.clone(), operands: operands.clone(), control, more });
                done.last()?
            }
        };
        let operands = [&operands[..], &hoisted.more].concat();
        rw.add(Op::Control(ControlResult { control: hoisted.control.clone(), result: of.result }), &operands)
    })
}

/// A loop that some results have been made of.
struct Hoisted {
    of: ControlResult,
    operands: Vec<NodeId>,
    control: Arc<dyn Control>,
    /// The operands that it has besides.
    more: Vec<NodeId>,
}

/// How a value of the body depends on the iteration.
#[derive(Clone, Debug, PartialEq)]
enum Class {
    Varying,
    Fixed,
    /// The element at this index of a tensor that does not: one more axis comes first.
    At(Dim),
}

/// The loop without what can be computed before, and the values of that; none when there is nothing.
fn before(
    outer: &mut Graph,
    repeat: &Loop,
    operands: &[NodeId],
    fuel: &mut Fuel,
) -> Option<(Arc<dyn Control>, Vec<NodeId>)> {
    let body = &repeat.body;
    let classes = classes(repeat);
    let targets = targets(body, &classes);
    if targets.is_empty() || !fuel.take() {
        return None;
    }
    let mut whole = Whole { outer, body, classes: &classes, operands: HashMap::new(), made: HashMap::new() };
    body.inputs.iter().zip(operands).for_each(|(port, &operand)| {
        whole.operands.insert(port.node, operand);
    });
    let more: Vec<NodeId> = targets.iter().map(|&id| whole.of(id)).collect::<Option<_>>()?;
    let outer = whole.outer;

    let mut inner = Rebuilt::new(body, 0..body.inputs.len());
    for (&id, &value) in targets.iter().zip(&more) {
        let input = inner.new.input(format!("before{}", inner.new.inputs.len()), outer.ty(value).clone());
        let taken = match &classes[id.index()] {
            Class::At(index) => part(&mut inner.new, input, index, body.shape(id))?,
            _ => input,
        };
        inner.map[id.index()] = Some(taken);
    }
    let body = inner.finish(body, 0..body.outputs.len())?;
    let condition = repeat.condition.as_ref().map(|condition| {
        let mut condition = condition.clone();
        more.iter().for_each(|&value| {
            condition.input(format!("before{}", condition.inputs.len()), outer.ty(value).clone());
        });
        condition
    });
    Some((Arc::new(Loop { condition, body, ..repeat.clone() }), more))
}

/// `x[index]`, in the shape of an element.
fn part(graph: &mut Graph, x: NodeId, index: &Dim, shape: &[Dim]) -> Option<NodeId> {
    let start = [std::slice::from_ref(index), &vec![Dim::zero(); shape.len()]].concat();
    let one = [&[Dim::one()], shape].concat();
    let slice = Slice { start, stride: vec![1; one.len()], shape: one };
    let slice = graph.add(slice, &[x]).ok()?;
    graph.add(Reshape { shape: shape.to_vec() }, &[slice]).ok()
}

fn classes(repeat: &Loop) -> Vec<Class> {
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

/// What is worth computing before the loop and is read by what is not.
fn targets(body: &Graph, classes: &[Class]) -> Vec<NodeId> {
    let mut worth = vec![false; body.len()];
    let mut read = vec![false; body.len()];
    let live = body.live();
    for (id, node) in body.iter().filter(|(id, _)| live[id.index()]) {
        let heavy = matches!(node.op, Op::Dot(_) | Op::Conv(_) | Op::Reduce(_) | Op::Window(_));
        // Folds of each slice are as cheap in the loop.
        let heavy = heavy && (classes[id.index()] == Class::Fixed || matches!(node.op, Op::Dot(_) | Op::Conv(_)));
        let varies = classes[id.index()] == Class::Varying;
        worth[id.index()] = !varies && (heavy || node.inputs.iter().any(|i| worth[i.index()]));
        if varies {
            node.inputs.iter().for_each(|i| read[i.index()] = true);
        }
    }
    body.outputs.iter().for_each(|port| read[port.node.index()] = true);
    body.ids().filter(|id| worth[id.index()] && read[id.index()]).collect()
}

/// Nodes of the body as they are outside of the loop, for all iterations at once.
struct Whole<'a> {
    outer: &'a mut Graph,
    body: &'a Graph,
    classes: &'a [Class],
    operands: HashMap<NodeId, NodeId>,
    made: HashMap<NodeId, NodeId>,
}

impl Whole<'_> {
    fn of(&mut self, target: NodeId) -> Option<NodeId> {
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
            (Op::Const(value), _) => Some(self.outer.constant(value.clone())),
            (Op::Extent(dim), _) => Some(self.outer.extent(dim.clone())),
            (op, Class::Fixed) => self.outer.add(op.clone(), &inputs).ok(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Bindings, Rng},
        graph::{evaluate, random, text},
    };

    /// A recurrence: a product of each step's input and a bias, added to what is carried.
    const RECURRENCE: &str = r#"
        input "x" %x
        input "h" %h
        input "w" %w
        %x = input : f32[T,N,3]
        %h = input : f32[N,4]
        %w = input : f32[3,4]
        regions 0 loop {"carried":1,"count":"T","conditional":false,"step":"s"}
        graph {
        input "h" %h
        input "x" %x
        input "w" %w
        %h = input : f32[N,4]
        %x = input : f32[T,N,3]
        %w = input : f32[3,4]
        %at = slice {"start":["T-1-s",0,0],"stride":[1,1,1],"shape":[1,"N",3]} %x
        %row = reshape {"shape":["N",3]} %at
        %in = dot %row %w
        %bias = const [1.0,2.0,3.0,4.0] : f32[1,4]
        %wide = broadcast {"shape":["N",4]} %bias
        %biased = binary {"f":"add"} %in %wide
        %sum = binary {"f":"add"} %biased %h
        %next = unary {"f":"tanh"} %sum
        output "h" %next
        }
        end
        %y = control {"of":0,"result":0} %h %x %w
        output "y" %y"#;

    #[test]
    fn products_of_a_sequence_are_one_product() {
        let graph = text::parse(RECURRENCE, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
        let hoisted = hoist(graph.clone(), &mut Fuel::unlimited());
        hoisted.verify().unwrap();
        let dots = |graph: &Graph| graph.iter().filter(|(_, node)| matches!(node.op, Op::Dot(_))).count();
        let body = hoisted.ids().find_map(|id| hoisted.regions(id)).unwrap().graphs()[0];
        assert_eq!((dots(&hoisted), dots(body)), (1, 0), "{}", text::print(&hoisted).0);
        for (t, n) in [(0, 2), (1, 1), (5, 3), (4, 0)] {
            let bind: Bindings = [("T", t), ("N", n)].map(|(name, n)| (Symbol::new(name), n)).into();
            let mut rng = Rng::new(3);
            let inputs: Vec<_> =
                graph.inputs.iter().map(|port| random::tensor(&mut rng, graph.ty(port.node), &bind)).collect();
            let (before, after) = (evaluate(&graph, &inputs, &bind), evaluate(&hoisted, &inputs, &bind));
            let same =
                before.unwrap()[0].scalars().zip(after.unwrap()[0].scalars()).all(|(a, b)| a.same_bits(b) || a == b);
            assert!(same, "{t} {n}");
        }
    }
}
