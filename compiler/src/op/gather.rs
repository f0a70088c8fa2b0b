//! Picks slices by computed indices.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, Bound, Combine, CompareFn},
    tensor::{DType, Scalar, flat_index},
};

/// `params` and integer `indices` give `params[..axis] ++ indices[batch..] ++ params[axis+1..]`: the slices of `params`
/// along `axis` at the indices. The leading `batch` axes, at most `axis`, are shared by both.
///
/// When `checked`, an index outside `0..extent` is [`Fault::IndexOutOfRange`]; otherwise the maker promises that there
/// is none, and such an index is clamped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gather {
    pub axis: usize,
    pub batch: usize,
    pub checked: bool,
}

impl Gather {
    /// The index of the indices, the outer and the inner part of the index of the params.
    fn split<'a, T: Clone>(&self, ix: &'a [T], indices_rank: usize) -> (Vec<T>, &'a [T], &'a [T]) {
        let (outer, rest) = ix.split_at(self.axis);
        let (picked, inner) = rest.split_at(indices_rank - self.batch);
        ([&outer[..self.batch], picked].concat(), outer, inner)
    }
}

impl Primitive for Gather {
    const NAME: &'static str = "gather";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [params, indices] = operands(inputs)?;
        check_axis(self.axis, params)?;
        if !indices.dtype.is_int() {
            return Err(format!("{indices} are not indices"));
        }
        let shared = self.batch <= self.axis
            && self.batch <= indices.rank()
            && (0..self.batch).all(|a| facts.equal(&params.shape[a], &indices.shape[a]));
        if !shared {
            return Err(format!("{params} and {indices} do not share {} axes before axis {}", self.batch, self.axis));
        }
        let parts = [&params.shape[..self.axis], &indices.shape[self.batch..], &params.shape[self.axis + 1..]];
        Ok(TensorType::new(params.dtype, parts.concat()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let [params, indices] = [inputs[0], inputs[1]];
        let extent = params.shape[self.axis];
        let index = |s: Scalar| s.as_i64().and_then(|i| usize::try_from(i).ok()).filter(|&i| i < extent);
        if self.checked && indices.scalars().any(|s| index(s).is_none()) {
            return Err(Fault::IndexOutOfRange);
        }
        let clamped = |s: Scalar| index(s).unwrap_or(if s.as_i64().is_some_and(|i| i < 0) { 0 } else { extent - 1 });
        let mut from = vec![0; params.rank()];
        Ok(pick::pick(params.dtype, out, |ix| {
            let (which, outer, inner) = self.split(ix, indices.rank());
            from[..self.axis].copy_from_slice(outer);
            from[self.axis] = clamped(indices.at(&which));
            from[self.axis + 1..].copy_from_slice(inner);
            (params, flat_index(&params.shape, &from))
        }))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (dtype, indices_rank) = (at.ty(0).dtype, at.ty(1).rank());
        let extent = at.shape(0)[self.axis].clone();
        let (which, outer, inner) = self.split(ix, indices_rank);
        let index = at.read(1, &which);
        let index = at.w.cast(DType::I64, index);
        let index = at.w.set(index);
        let (zero, end) = (at.w.int(DType::I64, 0), at.w.index(extent.clone()));
        let safe = if self.checked {
            let (above, below) = (at.w.compare(CompareFn::Ge, index, zero), at.w.compare(CompareFn::Lt, index, end));
            let inside = at.w.binary(BinaryFn::And, above, below);
            at.w.check(inside, Fault::IndexOutOfRange);
            index
        } else {
            let last = at.w.index(&extent - 1);
            let low = at.w.binary(BinaryFn::Min, index, last);
            at.w.binary(BinaryFn::Max, low, zero)
        };
        let place = at.w.set_index(safe, Some(extent.clone()));
        let from = [outer, &[place], inner].concat();
        // An empty axis has no place to clamp to.
        let bounds = if self.checked { vec![] } else { vec![Bound { index: Dim::zero(), extent }] };
        at.within(bounds, |at| at.read(0, &from), |at| at.w.constant(dtype, Scalar::zero(dtype)))
    }
    /// The sum of the gradients of all places that an element went to.
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (params, indices, g) = (at.operands[0], at.operands[1], at.gradient);
        let (shape, which) = (at.shape(params), at.shape(indices));
        let (batch, axis, rank) = (self.batch, self.axis, shape.len());
        let picked = which.len() - batch;
        at.first(|at| {
            // Batch axes, the axis of the indices, and the rest; the gradient's likewise.
            let rest: Vec<usize> = (batch..axis).chain(axis + 1..rank).collect();
            let order: Vec<usize> = (0..batch).chain([axis]).chain(rest).collect();
            let back: Vec<usize> = (0..rank).filter_map(|a| order.iter().position(|&from| from == a)).collect();
            let turned: Vec<Dim> = order.iter().map(|&a| shape[a].clone()).collect();
            let ends = (batch..axis).chain(axis + picked..rank - 1 + picked);
            let g_order: Vec<usize> = (0..batch).chain(axis..axis + picked).chain(ends).collect();
            let g = at.transpose(g, &g_order)?;
            let dtype = at.dtype(g);
            let none = at.filled(dtype, &turned, 0.0)?;
            let column = [&which[..], &[Dim::one()]].concat();
            let mut parts = vec![];
            let index_type = at.dtype(indices);
            for batch_axis in 0..batch {
                parts.push(at.add(Iota { shape: column.clone(), axis: batch_axis, dtype: index_type }, &[])?);
            }
            parts.push(at.reshape(indices, &column)?);
            let places = if parts.len() == 1 { parts[0] } else { at.add(Concat { axis: which.len() }, &parts)? };
            // The gather has refused what is out of range.
            let sums = Scatter { f: Combine::Add, depth: batch + 1, below: Outside::Drop, above: Outside::Drop };
            let sums = at.add(sums, &[none, places, g])?;
            at.transpose(sums, &back)
        })
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        let none = Bindings::new();
        let (params, indices) = (inputs[0]?, inputs[1]?);
        let (from, which, out) = (types[0].concrete(&none)?, types[1].concrete(&none)?, out.concrete(&none)?);
        let mut dims: Vec<Option<Number>> = vec![];
        crate::tensor::for_each_index(&out, |ix| {
            let (at, outer, inner) = self.split(ix, which.len());
            let place =
                indices[flat_index(&which, &at)].as_dim().and_then(Dim::as_int).and_then(|i| usize::try_from(i).ok());
            let place = place.filter(|&i| i < from[self.axis]);
            dims.push(place.map(|i| params[flat_index(&from, &[outer, &[i], inner].concat())].clone()));
        });
        dims.into_iter().collect()
    }
}
