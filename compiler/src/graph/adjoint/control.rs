//! The gradients of branches and loops.
//!
//! A branch is computed once more, with its gradients behind it. A loop whose number of iterations is known runs once more
//! and keeps what each iteration began with, as far as its gradients need that, and the products that it made of it; then a
//! second loop goes through the iterations backwards, and gives each the gradients of what it left. What a product is
//! small beside is computed again from these.

use std::sync::Arc;

use super::*;
use crate::{
    base::{Symbol, dim::Atom},
    op::{Control, ControlResult, Put, Slice},
};

/// A product that is as cheap to compute again as it is to keep has fewer terms than this.
const MIN_DEPTH: i64 = 8;

type Result<T> = std::result::Result<T, NoDerivative>;

fn plain(why: String) -> NoDerivative {
    NoDerivative { why, origin: None }
}

impl Graph {
    /// The nodes that are results of the same operator with the same operands, in their order.
    pub(super) fn results_beside(&self, id: NodeId, of: &ControlResult) -> Vec<(usize, NodeId)> {
        let inputs = &self.node(id).inputs;
        let beside = |(other, node): (NodeId, &Node)| match &node.op {
            Op::Control(own) if own.is_beside(of) && node.inputs == *inputs => Some((own.result, other)),
            _ => None,
        };
        self.iter().filter_map(beside).collect()
    }

    /// The gradients of the operands, where they are wanted, from those of the results, of which some have none.
    pub(super) fn through(
        &mut self,
        of: &ControlResult,
        inputs: &[NodeId],
        results: &[Option<NodeId>],
        wanted: &[bool],
    ) -> Result<Vec<Option<NodeId>>> {
        match Regions::of(&*of.control) {
            Regions::If(branch) => self.through_branch(branch, inputs, results, wanted),
            Regions::Loop(repeat) => self.through_loop(repeat, inputs, results, wanted),
            Regions::Call(call) => {
                let why = format!("the custom operator `{}` has no derivative", call.symbol);
                if wanted.contains(&true) { Err(plain(why)) } else { Ok(vec![None; inputs.len()]) }
            }
        }
    }

    fn through_branch(
        &mut self,
        branch: &If,
        inputs: &[NodeId],
        results: &[Option<NodeId>],
        wanted: &[bool],
    ) -> Result<Vec<Option<NodeId>>> {
        let given: Vec<usize> = (0..results.len()).filter(|&n| results[n].is_some()).collect();
        let backwards = |branch: &Graph| {
            let mut region = branch.clone();
            let outputs = std::mem::take(&mut region.outputs);
            let pairs = given.iter().map(|&n| {
                let ty = region.ty(outputs[n].node).clone();
                (outputs[n].node, region.input(format!("gradient{n}"), ty))
            });
            let pairs: Vec<_> = pairs.collect();
            let by: Vec<NodeId> = (1..wanted.len()).filter(|&n| wanted[n]).map(|n| region.inputs[n - 1].node).collect();
            for (n, gradient) in region.gradients(&pairs, &by)?.into_iter().enumerate() {
                region.output(format!("y{n}"), gradient);
            }
            Ok(region)
        };
        let branches = branch.branches.iter().map(backwards).collect::<Result<_>>()?;
        let operands: Vec<NodeId> = inputs.iter().copied().chain(results.iter().flatten().copied()).collect();
        let made = self.control(Arc::new(If { branches }), &operands).map_err(plain)?;
        let mut made = made.into_iter();
        Ok(wanted.iter().enumerate().map(|(n, wanted)| (n > 0 && *wanted).then(|| made.next()).flatten()).collect())
    }

    fn through_loop(
        &mut self,
        repeat: &Loop,
        inputs: &[NodeId],
        results: &[Option<NodeId>],
        wanted: &[bool],
    ) -> Result<Vec<Option<NodeId>>> {
        let Some(count) = repeat.count.clone().filter(|_| repeat.condition.is_none()) else {
            return Err(plain("a loop that data end has no derivative: give it a number of iterations".into()));
        };
        let (carried, step) = (repeat.carried, &repeat.step);
        let floats: Vec<usize> = (0..carried).filter(|&n| self.ty(inputs[n]).dtype.is_float()).collect();
        let invariants: Vec<usize> = (carried..inputs.len()).filter(|&n| wanted[n]).collect();

        // The iterations backwards: their gradients by what they began with and by what stays.
        let back = Symbol::new(&format!("{}_back", step.name()));
        let number = &count - 1 - Dim::from(&back);
        let body = repeat.body.with_symbol(step, &number).map_err(plain)?;
        let mut region = body.clone();
        let outputs = std::mem::take(&mut region.outputs);
        let mut behind = vec![];
        for &n in &floats {
            let ty = region.ty(outputs[n].node).clone();
            behind.push((outputs[n].node, region.input(format!("behind{n}"), ty)));
        }
        let by: Vec<NodeId> = floats.iter().chain(&invariants).map(|&n| body.inputs[n].node).collect();
        let gradients = region.gradients(&behind, &by)?;
        let begun: Vec<NodeId> = body.inputs[..carried].iter().map(|port| port.node).collect();
        let products = products(&body, &region, &region.needed(gradients.iter().copied()), &begun);
        let needed = region.needed_but(gradients.iter().copied(), &products);
        let kept: Vec<NodeId> = begun.into_iter().filter(|id| needed[id.index()]).chain(products).collect();

        let histories = self.histories(repeat, inputs, &kept, &count).map_err(plain)?;
        let backwards = Backwards { body: &body, region: &region, needed: &needed, count: &count, number: &number };
        let backwards = backwards.region([&floats, &invariants], &kept, &behind, &gradients, carried);
        let backwards = backwards.map_err(plain)?;

        let mut operands = vec![];
        for &n in &floats {
            operands.push(match results[n] {
                Some(gradient) => gradient,
                None => self.zeros_like(inputs[n]).map_err(plain)?,
            });
        }
        for &n in &invariants {
            operands.push(self.zeros_like(inputs[n]).map_err(plain)?);
        }
        let own = operands.len();
        operands.extend(histories);
        operands.extend(&inputs[carried..]);
        let again = Loop { carried: own, count: Some(count), condition: None, step: back, body: backwards };
        let made = self.control(Arc::new(again), &operands).map_err(plain)?;
        let mut gradients = vec![None; inputs.len()];
        for (&n, gradient) in floats.iter().chain(&invariants).zip(made) {
            gradients[n] = Some(gradient);
        }
        Ok(gradients)
    }

    /// For each of these values of the body, those of all iterations, one behind the other.
    fn histories(&mut self, repeat: &Loop, inputs: &[NodeId], kept: &[NodeId], count: &Dim) -> Infer<Vec<NodeId>> {
        if kept.is_empty() {
            return Ok(vec![]);
        }
        let carried = repeat.carried;
        let mut operands = inputs[..carried].to_vec();
        let types: Vec<TensorType> = kept.iter().map(|&id| stacked(repeat.body.ty(id), count)).collect();
        for ty in &types {
            operands.push(self.zeros(ty.dtype, &ty.shape)?);
        }
        operands.extend(&inputs[carried..]);
        let mut body = repeat.body.clone();
        let rest = body.inputs.split_off(carried);
        for (n, (ty, &value)) in types.iter().zip(kept).enumerate() {
            let history = body.input(format!("kept{n}"), ty.clone());
            let next = body.with_element(history, &Dim::from(&repeat.step), value)?;
            body.output(format!("kept{n}"), next);
        }
        body.inputs.extend(rest);
        let recording = Loop { carried: carried + kept.len(), body, ..repeat.clone() };
        Ok(self.control(Arc::new(recording), &operands)?.split_off(carried))
    }

    /// The graph with a dim in place of a symbol that no extent names.
    fn with_symbol(&self, symbol: &Symbol, dim: &Dim) -> Infer<Graph> {
        let put = |d: &Dim| d.substitute(&|atom| (*atom == Atom::Sym(symbol.clone())).then(|| dim.clone()));
        let all = |dims: &[Dim]| dims.iter().map(&put).collect::<Vec<_>>();
        let mut made = Graph::with_facts(self.facts.clone());
        let mut regions: Vec<(ControlResult, Arc<dyn Control>)> = vec![];
        for (id, node) in self.iter() {
            made.origin = self.origin(id).cloned();
            let op = match &node.op {
                Op::Extent(d) => Op::Extent(put(d)),
                Op::Slice(slice) => Slice { start: all(&slice.start), ..slice.clone() }.into(),
                Op::Put(into) => Put { start: all(&into.start) }.into(),
                Op::Control(of) => {
                    let control = match regions.iter().find(|(known, _)| known.is_beside(of)) {
                        Some((_, control)) => control.clone(),
                        None => {
                            let inside = Regions::of(&*of.control);
                            let graphs = inside.graphs().into_iter().map(|graph| graph.with_symbol(symbol, dim));
                            let control = inside.with(graphs.collect::<Infer<_>>()?);
                            let control = Regions::of(&*control).counted(put);
                            regions.push((of.clone(), control.clone()));
                            control
                        }
                    };
                    Op::Control(ControlResult { control, result: of.result })
                }
                op => op.clone(),
            };
            match op {
                Op::Input | Op::Const(_) | Op::Extent(_) => made.push(op, vec![], node.ty.clone()),
                op => made.add(op, &node.inputs)?,
            };
        }
        (made.inputs, made.outputs) = (self.inputs.clone(), self.outputs.clone());
        made.origin = None;
        Ok(made)
    }
}

/// The values of an iteration that are kept since they would cost a product to compute again: what products of values that
/// change lead to, as far as that is what gradients need. `begun` is what iterations begin with.
fn products(body: &Graph, region: &Graph, needed: &[bool], begun: &[NodeId]) -> Vec<NodeId> {
    let mut changes = vec![false; body.len()];
    let mut users: Vec<Vec<NodeId>> = vec![vec![]; body.len()];
    for (id, node) in region.iter().filter(|(id, _)| needed[id.index()]) {
        for i in node.inputs.iter().filter(|i| i.index() < body.len()) {
            users[i.index()].push(id);
        }
    }
    let mut kept = vec![];
    for (id, node) in body.iter() {
        changes[id.index()] = begun.contains(&id) || node.inputs.iter().any(|i| changes[i.index()]);
        let is_product = match &node.op {
            Op::Dot(_) => body.shape(node.inputs[0]).last().is_none_or(|n| n.as_int().is_none_or(|n| n >= MIN_DEPTH)),
            Op::Conv(_) => true,
            _ => false,
        };
        if !is_product || !changes[id.index()] || !needed[id.index()] || body.names_found(id) {
            continue;
        }
        let mut last = id;
        while let [next] = users[last.index()][..]
            && next.index() < body.len()
            && matches!(body.op(next), Op::Binary(_) | Op::Unary(_))
            && body.ty(next) == body.ty(last)
        {
            last = next;
        }
        if !kept.contains(&last) {
            kept.push(last);
        }
    }
    kept
}

/// What the body of a loop over the iterations backwards is made of.
struct Backwards<'g> {
    /// An iteration of the first loop, by the number of that of the second.
    body: &'g Graph,
    /// The same with nodes for its gradients, and which of them these need.
    region: &'g Graph,
    needed: &'g [bool],
    count: &'g Dim,
    /// The number of the iteration in the first loop.
    number: &'g Dim,
}

impl Backwards<'_> {
    /// Inputs are the gradients behind the iteration, the sums so far of those of what stays, what iterations kept, and what
    /// stays; outputs are the first two, before the iteration. Floats and invariants are numbers of operands.
    fn region(
        &self,
        [floats, invariants]: [&[usize]; 2],
        kept: &[NodeId],
        behind: &[(NodeId, NodeId)],
        gradients: &[NodeId],
        carried: usize,
    ) -> Infer<Graph> {
        let mut made = Graph::with_facts(self.region.facts().clone());
        let mut known: Vec<Option<NodeId>> = vec![None; self.region.len()];
        let own = |n: usize| self.body.inputs[n].node;
        for (&n, &(_, input)) in floats.iter().zip(behind) {
            known[input.index()] = Some(made.input(format!("behind{n}"), self.region.ty(input).clone()));
        }
        let mut sums = vec![];
        for &n in invariants {
            sums.push(made.input(format!("sum{n}"), self.body.ty(own(n)).clone()));
        }
        let mut histories = vec![];
        for (n, &id) in kept.iter().enumerate() {
            histories.push(made.input(format!("kept{n}"), stacked(self.body.ty(id), self.count)));
        }
        for (n, port) in self.body.inputs.iter().enumerate().skip(carried) {
            known[own(n).index()] = Some(made.input(port.name.clone(), self.body.ty(port.node).clone()));
        }
        for (&id, history) in kept.iter().zip(histories) {
            known[id.index()] = Some(made.element(history, self.number)?);
        }
        for (id, node) in self.region.iter().filter(|(id, _)| self.needed[id.index()]) {
            if known[id.index()].is_some() {
                continue;
            }
            made.origin = self.region.origin(id).cloned();
            let operands: Option<Vec<NodeId>> = node.inputs.iter().map(|i| known[i.index()]).collect();
            let operands = operands.ok_or("an iteration needs what nothing kept")?;
            known[id.index()] = Some(match &node.op {
                Op::Input => return Err("an iteration needs an input that nothing kept".into()),
                op => made.add_copy(op, &operands)?,
            });
        }
        made.origin = None;
        for (place, gradient) in gradients.iter().enumerate() {
            let mut gradient = known[gradient.index()].ok_or("a gradient is missing")?;
            if let Some(&sum) = place.checked_sub(floats.len()).and_then(|n| sums.get(n)) {
                gradient = made.added(sum, gradient)?;
            }
            made.output(format!("y{place}"), gradient);
        }
        Ok(made)
    }
}
