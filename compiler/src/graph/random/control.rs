//! Branches, loops and replaced parts, of a few operators each.

use std::sync::Arc;

use super::grow::{Grower, NUMERIC};
use crate::{
    base::{Dim, Symbol},
    graph::{Graph, If, Loop, NodeId},
    loops::{BinaryFn, Combine, CompareFn},
    op::{Binary, Broadcast, Cast, Compare, Concat, Control, ControlResult, Gather, Op, Put, Reshape, Scatter, Slice},
    tensor::{DType, Tensor, TensorType},
};

/// Functions that fault for no operands.
const SAFE: [BinaryFn; 4] = [BinaryFn::Add, BinaryFn::Sub, BinaryFn::Max, BinaryFn::Min];

impl Grower {
    /// Tries to replace a box of something.
    pub(super) fn put(&mut self) -> Option<NodeId> {
        let base = self.operand(&NUMERIC, 0);
        let ty = self.ty(base);
        let (mut start, mut shape) = (vec![], vec![]);
        for of in &ty.shape {
            let extent = self.size(of);
            let first = self.rng.range(0, 2).min(extent);
            start.push(Dim::from(first));
            let part = self.rng.range(0, 2).min(extent - first);
            shape.push(if self.rng.once_in(2) { of - first } else { Dim::from(part) });
        }
        let part = self.same(&TensorType::new(ty.dtype, shape));
        self.add(Put { start }, &[base, part])
    }
    /// Tries to add the results of one branch or loop; the last one stands for all.
    pub(super) fn control(&mut self) -> Option<NodeId> {
        if self.rng.once_in(2) { self.branch() } else { self.repeat() }
    }
    fn branch(&mut self) -> Option<NodeId> {
        let which = self.operand(&[DType::I64], 0);
        let rank = self.rank(which);
        let (start, one) = (vec![Dim::zero(); rank], vec![Dim::one(); rank]);
        if self.shape(which).iter().any(|n| self.size(n) == 0) {
            return None;
        }
        let which = self.add(Slice { start, stride: vec![1; rank], shape: one }, &[which])?;
        let which = self.add(Reshape { shape: vec![] }, &[which])?;
        let x = self.operand(&NUMERIC, 0);
        let ty = self.ty(x);
        let y = self.same(&ty);
        let count = self.rng.range(1, 3);
        let branches = (0..count).map(|_| self.region(&[ty.clone(), ty.clone()], None, 1)).collect::<Option<_>>()?;
        self.results(Arc::new(If { branches }), &[which, x, y])
    }
    fn repeat(&mut self) -> Option<NodeId> {
        let x = self.operand(&NUMERIC, 0);
        let ty = self.ty(x);
        let (y, fixed) = (self.same(&ty), self.same(&ty));
        self.steps += 1;
        let step = Symbol::new(&format!("step{}", self.steps));
        let dim = self.dim();
        let count = if (0..=8).contains(&self.size(&dim)) { dim } else { Dim::from(self.rng.range(0, 4)) };
        let types = [ty.clone(), ty.clone(), ty.clone()];
        let body = self.region(&types, Some(&step), 2)?;
        let condition = if self.rng.once_in(3) { Some(self.condition(&types, &step)?) } else { None };
        let control = Loop { carried: 2, count: Some(count), condition, step, body };
        self.results(Arc::new(control), &[x, y, fixed])
    }
    fn results(&mut self, control: Arc<dyn Control>, operands: &[NodeId]) -> Option<NodeId> {
        let types: Vec<_> = operands.iter().map(|&id| self.ty(id)).collect();
        let count = control.infer(&types.iter().collect::<Vec<_>>()).ok()?.len();
        let result = |result| ControlResult { control: control.clone(), result };
        (0..count).filter_map(|n| self.add(Op::Control(result(n)), operands)).last()
    }

    /// A graph of a few operators that takes these types, with so many outputs of the first one.
    fn region(&mut self, types: &[TensorType], step: Option<&Symbol>, outputs: usize) -> Option<Graph> {
        let mut graph = Graph::with_facts(self.facts());
        let ty = types[0].clone();
        let mut values: Vec<NodeId> =
            types.iter().enumerate().map(|(n, ty)| graph.input(format!("x{n}"), ty.clone())).collect();
        if let Some(step) = step {
            let number = graph.extent(Dim::from(step));
            let number = graph.add(Cast { to: ty.dtype }, &[number]).ok()?;
            let number = graph.add(Reshape { shape: vec![Dim::one(); ty.rank()] }, &[number]).ok()?;
            values.push(graph.add(Broadcast::to(ty.shape.clone()), &[number]).ok()?);
        }
        for _ in 0..self.rng.range(0, 4) {
            let (a, b) = (self.rng.pick(&values), self.rng.pick(&values));
            let f = self.rng.pick(&SAFE);
            values.push(graph.add(Binary { f }, &[a, b]).ok()?);
        }
        for n in 0..outputs {
            let mut value = self.rng.pick(&values);
            if self.rng.once_in(2) && ty.shape.first().is_some_and(|n| self.size(n) > 0) {
                // Mostly a row of the carried value itself, which can be replaced where it lies.
                let base = if self.rng.once_in(3) { value } else { values[n] };
                let from = self.rng.pick(&values);
                let last = self.size(&ty.shape[0]) - 1;
                value = match self.rng.once_in(2) {
                    true => replaced_row(&mut graph, base, from)?,
                    // What is read before is written, and may be read again.
                    false => exchanged_rows(&mut graph, base, from, self.rng.range(0, last))?,
                };
                values.push(value);
            }
            graph.output(format!("y{n}"), value);
        }
        Some(graph)
    }
    /// Whether the number of the iteration is small.
    fn condition(&mut self, types: &[TensorType], step: &Symbol) -> Option<Graph> {
        let mut graph = Graph::with_facts(self.facts());
        types.iter().enumerate().for_each(|(n, ty)| {
            graph.input(format!("x{n}"), ty.clone());
        });
        let number = graph.extent(Dim::from(step));
        let most = graph.constant(Tensor::from_i64([], &[self.rng.range(0, 3)]));
        let holds = graph.add(Compare { f: CompareFn::Lt }, &[number, most]).ok()?;
        graph.output("goes_on", holds);
        Some(graph)
    }
}

/// A value with the first row of another one of its type.
fn replaced_row(graph: &mut Graph, base: NodeId, from: NodeId) -> Option<NodeId> {
    let mut shape = graph.shape(base).to_vec();
    shape[0] = Dim::one();
    let (start, stride) = (vec![Dim::zero(); shape.len()], vec![1; shape.len()]);
    let row = graph.add(Slice { start: start.clone(), stride, shape }, &[from]).ok()?;
    graph.add(Put { start }, &[base, row]).ok()
}

/// A value whose first row and another one are rows of `from`, which may be the value itself, in their other order.
fn exchanged_rows(graph: &mut Graph, base: NodeId, from: NodeId, other: i64) -> Option<NodeId> {
    let rows = |places: [i64; 2]| Tensor::from_i64([2], &places);
    let (places, read) = (graph.constant(rows([0, other])), graph.constant(rows([other, 0])));
    let both = graph.add(Gather { axis: 0, batch: 0, checked: false }, &[from, read]).ok()?;
    // A kernel of its own reads them: a gather would be code within the scatter.
    let both = graph.add(Concat { axis: 0 }, &[both]).ok()?;
    let places = graph.add(Reshape { shape: vec![2.into(), Dim::one()] }, &[places]).ok()?;
    graph.add(Scatter::checked(Combine::Set, 1), &[base, places, both]).ok()
}
