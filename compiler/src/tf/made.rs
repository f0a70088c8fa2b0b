//! What rows make of graphs within the current one: branches that data choose, and faults that data decide.

use std::sync::Arc;

use super::{Import, Stop};
use crate::{
    base::Dim,
    graph::{Graph, If, NodeId},
    op::Gather,
    tensor::{DType, TensorType},
};

type Result<T> = std::result::Result<T, Stop>;

impl Import<'_> {
    /// A graph of inputs of these types, made by rows.
    pub(super) fn region(
        &mut self,
        types: &[TensorType],
        body: impl FnOnce(&mut Import, &[NodeId]) -> Result<Vec<NodeId>>,
    ) -> Result<Graph> {
        let facts = self.graph.facts().clone();
        let outer = std::mem::replace(&mut self.graph, Graph::with_facts(facts));
        let (bounds, fed_by) = (std::mem::take(&mut self.bounds), std::mem::take(&mut self.fed_by));
        self.graph.set_origin(Some(self.shown(&self.node.name).into()));
        let inputs: Vec<NodeId> =
            types.iter().enumerate().map(|(n, ty)| self.graph.input(format!("x{n}"), ty.clone())).collect();
        let outputs = body(self, &inputs);
        let mut graph = std::mem::replace(&mut self.graph, outer);
        (self.bounds, self.fed_by) = (bounds, fed_by);
        for (n, id) in outputs?.into_iter().enumerate() {
            graph.output(format!("y{n}"), id);
        }
        Ok(graph)
    }

    /// What `yes` makes of the operands where a bool scalar holds, and else `no`: only one of both is computed.
    pub(super) fn either(
        &mut self,
        holds: NodeId,
        operands: &[NodeId],
        yes: impl FnOnce(&mut Import, &[NodeId]) -> Result<NodeId>,
        no: impl FnOnce(&mut Import, &[NodeId]) -> Result<NodeId>,
    ) -> Result<NodeId> {
        if let Some(known) = self.known_ints(holds) {
            return if known == [0] { no(self, operands) } else { yes(self, operands) };
        }
        let types: Vec<TensorType> = operands.iter().map(|&id| self.graph.ty(id).clone()).collect();
        let no = self.region(&types, |cx, inputs| Ok(vec![no(cx, inputs)?]))?;
        let yes = self.region(&types, |cx, inputs| Ok(vec![yes(cx, inputs)?]))?;
        let which = self.cast(holds, DType::I64)?;
        let results = self.graph.control(Arc::new(If { branches: vec![no, yes] }), &[&[which], operands].concat())?;
        Ok(results[0])
    }

    /// `x`, provided that a bool scalar holds. Where extents tell whether it does, that is asked of every call; else it is a
    /// fault at run time, if `x` has elements.
    pub(super) fn provided(&mut self, x: NodeId, holds: NodeId, what: &str) -> Result<NodeId> {
        if let Some([known]) = self.graph.dims(holds) {
            let known = known.clone();
            if known.is(0) {
                return Err(format!("it does not hold that {what}").into());
            }
            self.require_equal(&known, &Dim::one(), &format!("whether {what}, and 1,"))?;
            return Ok(x);
        }
        let (first, nowhere) = (self.scalar(DType::I64, 0.0)?, self.scalar(DType::I64, -1.0)?);
        let place = self.select(holds, first, nowhere)?;
        let one = self.insert_axes(x, &[0])?;
        self.add(Gather { axis: 0, batch: 0, checked: true }, &[one, place])
    }
}
