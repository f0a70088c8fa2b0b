//! Reverse-mode differentiation: nodes for the gradients of one number, or of weighted results, by what it depends on.
//!
//! The rules are the primitives' ([`Op::adjoint`]). A node is met when all its users have been: its gradient is the sum of
//! what they gave. What does not depend on anything asked for costs nothing. Integers, bools and what follows from them alone
//! have no gradients.

mod control;
mod pieces;

use std::sync::Arc;

use super::*;
use crate::{
    loops::BinaryFn,
    op::{Adjoint, Binary, Compose, Grow, Value},
};

const SUM: Binary = Binary { f: BinaryFn::Add };

/// What stands in the way of a derivative, and the source node it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoDerivative {
    pub why: String,
    pub origin: Option<Arc<str>>,
}

impl Grow for Graph {
    fn grow(&mut self, op: Op, operands: &[Value]) -> Infer<Value> {
        let operands: Vec<NodeId> = operands.iter().map(|x| NodeId::new(x.0)).collect();
        let made = match op {
            Op::Const(value) => self.constant(value),
            Op::Extent(dim) => self.extent(dim),
            op => self.add(op, &operands)?,
        };
        Ok(Value(made.index()))
    }
    fn ty(&self, value: Value) -> &TensorType {
        Graph::ty(self, NodeId::new(value.0))
    }
    fn follows_from_constants(&self, value: Value) -> bool {
        Graph::follows_from_constants(self, NodeId::new(value.0))
    }
}

impl Graph {
    /// Appends nodes for the gradients of `sum over i of results[i].0 * results[i].1` by each of `by`, in their order: the
    /// second of each pair has the type of the first, which is of floats. What the sum does not depend on has zeros.
    pub fn gradients(&mut self, results: &[(NodeId, NodeId)], by: &[NodeId]) -> Result<Vec<NodeId>, NoDerivative> {
        let plain = |why| NoDerivative { why, origin: None };
        let depends = self.depending(by);
        let mut found: Vec<Vec<NodeId>> = vec![vec![]; self.len()];
        let Some(last) = results.iter().map(|(node, _)| node.index()).max() else { return Ok(vec![]) };
        for &(node, weight) in results {
            self.contribute(&mut found, node, weight).map_err(plain)?;
        }
        for id in (0..=last).rev().map(NodeId::new) {
            // All results of an operator are met at its first one, of whatever type, when the users of all have been.
            if let Op::Control(of) = &self.node(id).op {
                let (of, node) = (of.clone(), self.node(id).clone());
                let beside = self.results_beside(id, &of);
                if beside.first().is_some_and(|(_, first)| *first == id) {
                    self.meet_control(&of, &node.inputs, &beside, &mut found, &depends)?;
                }
                continue;
            }
            if !depends[id.index()] || by.contains(&id) && self.node(id).inputs.is_empty() {
                continue;
            }
            let node = self.node(id).clone();
            let origin = self.origin(id).cloned();
            let told = |why: String| NoDerivative { why, origin: origin.clone() };
            let outer = std::mem::replace(&mut self.origin, origin.clone());
            let Some(gradient) = self.settle(&mut found, id).map_err(told)? else {
                self.origin = outer;
                continue;
            };
            let wanted: Vec<bool> =
                node.inputs.iter().map(|i| depends[i.index()] && self.ty(*i).dtype.is_float()).collect();
            let operands: Vec<Value> = node.inputs.iter().map(|i| Value(i.index())).collect();
            let gradients = node.op.adjoint(&mut Adjoint {
                compose: Compose(self),
                operands: &operands,
                result: Value(id.index()),
                gradient: Value(gradient.index()),
                wanted: &wanted,
            });
            let gradients = gradients.map_err(told)?;
            for ((&operand, gradient), wanted) in node.inputs.iter().zip(gradients).zip(wanted) {
                if let Some(gradient) = gradient.filter(|_| wanted) {
                    self.contribute(&mut found, operand, NodeId::new(gradient.0)).map_err(told)?;
                }
            }
            self.origin = outer;
        }
        let gradient = |&id: &NodeId| match self.settle(&mut found, id)? {
            Some(gradient) => Ok(gradient),
            None => self.zeros_like(id),
        };
        by.iter().map(gradient).collect::<Infer<_>>().map_err(plain)
    }

    /// Goes through an operator that owns graphs, whose results lie in these nodes.
    fn meet_control(
        &mut self,
        of: &ControlResult,
        inputs: &[NodeId],
        beside: &[(usize, NodeId)],
        found: &mut [Vec<NodeId>],
        depends: &[bool],
    ) -> Result<(), NoDerivative> {
        let origin = beside.first().and_then(|(_, id)| self.origin(*id).cloned());
        let told = |why: String| NoDerivative { why, origin: origin.clone() };
        let types: Vec<&TensorType> = inputs.iter().map(|&i| self.ty(i)).collect();
        let count = of.control.infer(&types).map_err(told)?.len();
        let mut given = vec![vec![]; count];
        beside.iter().for_each(|&(result, id)| given[result].extend(&found[id.index()]));
        let results: Vec<Option<NodeId>> =
            given.into_iter().map(|given| self.sum(given)).collect::<Infer<_>>().map_err(told)?;
        let wanted: Vec<bool> = inputs.iter().map(|i| depends[i.index()] && self.ty(*i).dtype.is_float()).collect();
        if results.iter().all(Option::is_none) || !wanted.contains(&true) {
            return Ok(());
        }
        let outer = std::mem::replace(&mut self.origin, origin.clone());
        let gradients = self.through(of, inputs, &results, &wanted);
        let gradients =
            gradients.map_err(|none| NoDerivative { origin: none.origin.or_else(|| origin.clone()), ..none })?;
        for ((&operand, gradient), wanted) in inputs.iter().zip(gradients).zip(wanted) {
            if let Some(gradient) = gradient.filter(|_| wanted) {
                self.contribute(found, operand, gradient).map_err(told)?;
            }
        }
        self.origin = outer;
        Ok(())
    }

    /// The nodes that depend on one of these smoothly: by floats all the way.
    fn depending(&self, by: &[NodeId]) -> Vec<bool> {
        let mut depends = vec![false; self.len()];
        for (id, node) in self.iter() {
            let from_operands = node.inputs.iter().any(|i| depends[i.index()]);
            depends[id.index()] = node.ty.dtype.is_float() && (from_operands || by.contains(&id));
        }
        depends
    }

    /// Notes what one user gives of a node's gradient.
    fn contribute(&self, found: &mut [Vec<NodeId>], to: NodeId, gradient: NodeId) -> Infer<()> {
        let (wanted, given) = (self.ty(to), self.ty(gradient));
        if wanted.dtype != given.dtype || wanted.rank() != given.rank() {
            return Err(format!("the gradient of a {wanted} is a {given}"));
        }
        found[to.index()].push(gradient);
        Ok(())
    }

    /// A node's gradient, when all its users have given theirs.
    fn settle(&mut self, found: &mut [Vec<NodeId>], id: NodeId) -> Infer<Option<NodeId>> {
        let sum = self.sum(std::mem::take(&mut found[id.index()]))?;
        found[id.index()].extend(sum);
        Ok(sum)
    }

    fn zeros_like(&mut self, id: NodeId) -> Infer<NodeId> {
        let ty = self.ty(id).clone();
        self.zeros(ty.dtype, &ty.shape)
    }
}

#[cfg(test)]
mod tests;
