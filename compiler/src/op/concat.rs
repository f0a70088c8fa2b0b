//! Joins tensors along an axis.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::*;
use crate::{loops::Bound, tensor::flat_index};

/// The operands, one or more, one after the other along `axis`; their other axes are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concat {
    pub axis: usize,
}

impl Primitive for Concat {
    const NAME: &'static str = "concat";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let Some(first) = inputs.first() else { return Err("expected at least one operand".into()) };
        check_axis(self.axis, first)?;
        let mut shape = first.shape.clone();
        shape[self.axis] = Dim::zero();
        for x in inputs {
            let fits = |a: usize| a == self.axis || facts.equal(&x.shape[a], &first.shape[a]);
            if x.dtype != first.dtype || x.rank() != first.rank() || !(0..x.rank()).all(fits) {
                return Err(format!("cannot join {first} and {x} along axis {}", self.axis));
            }
            shape[self.axis] = &shape[self.axis] + &x.shape[self.axis];
        }
        Ok(TensorType::new(first.dtype, shape))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let mut from = vec![0; out.len()];
        Ok(pick::pick(inputs[0].dtype, out, |ix| {
            from.copy_from_slice(ix);
            let mut n = 0;
            while from[self.axis] >= inputs[n].shape[self.axis] {
                from[self.axis] -= inputs[n].shape[self.axis];
                n += 1;
            }
            (inputs[n], flat_index(&inputs[n].shape, &from))
        }))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        self.read_from(at, 0..at.count(), ix)
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let g = at.gradient;
        let mut start = vec![Dim::zero(); at.shape(g).len()];
        let mut all = vec![];
        for (n, &x) in at.operands.iter().enumerate() {
            let shape = at.shape(x);
            all.push(if at.wants(n) { Some(at.slice(g, &start, &shape)?) } else { None });
            start[self.axis] = &start[self.axis] + &shape[self.axis];
        }
        Ok(all)
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], _: &TensorType) -> Option<Vec<Number>> {
        let none = Bindings::new();
        let shapes: Vec<Vec<usize>> = types.iter().map(|t| t.concrete(&none)).collect::<Option<_>>()?;
        let known: Vec<&[Number]> = inputs.iter().copied().collect::<Option<_>>()?;
        let outer: usize = shapes[0][..self.axis].iter().product();
        let mut dims = vec![];
        for row in 0..outer {
            for (x, shape) in known.iter().zip(&shapes) {
                let len: usize = shape[self.axis..].iter().product();
                dims.extend_from_slice(&x[row * len..(row + 1) * len]);
            }
        }
        Some(dims)
    }
}

impl Concat {
    /// The element at `ix` of what the `operands` make together. Halving keeps the tests few and the nesting shallow.
    fn read_from(&self, at: &mut Emit<'_>, operands: Range<usize>, ix: &[Dim]) -> ExprId {
        if operands.len() == 1 {
            return at.read(operands.start, ix);
        }
        let middle = operands.start.midpoint(operands.end);
        let (left, right) = (operands.start..middle, middle..operands.end);
        let extent = left.clone().fold(Dim::zero(), |sum, n| sum + &at.shape(n)[self.axis]);
        let mut rest = ix.to_vec();
        rest[self.axis] = &ix[self.axis] - &extent;
        let bound = Bound { index: ix[self.axis].clone(), extent };
        at.within(vec![bound], |at| self.read_from(at, left, ix), |at| self.read_from(at, right, &rest))
    }
}
