//! Where the extreme of an axis lies.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::{DType, Scalar},
};

/// The index of the greatest (`max`) or least element along `axis`, which stays with extent 1: the first of equals.
/// NaN is passed over; 0 where nothing is left. The index has the integer type `to`, into which it wraps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgReduce {
    pub max: bool,
    pub axis: usize,
    pub to: DType,
}

impl Primitive for ArgReduce {
    const NAME: &'static str = "arg_reduce";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_axis(self.axis, x)?;
        if !(x.dtype.is_int() || x.dtype.is_float()) || !self.to.is_int() {
            return Err(format!("{} has no extremes with indices of type {}", x.dtype, self.to));
        }
        let mut shape = x.shape.clone();
        shape[self.axis] = Dim::one();
        Ok(TensorType::new(self.to, shape))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let x = inputs[0];
        let mut from = vec![0; out.len()];
        Ok(Tensor::from_fn(self.to, out, |ix| {
            from.copy_from_slice(ix);
            let mut best: Option<(usize, Scalar)> = None;
            for i in 0..x.shape[self.axis] {
                from[self.axis] = i;
                let value = x.at(&from);
                let beats = |old: Scalar| match (value, old) {
                    (Scalar::Int(a), Scalar::Int(b)) => {
                        if self.max {
                            a > b
                        } else {
                            a < b
                        }
                    }
                    (Scalar::Uint(a), Scalar::Uint(b)) => {
                        if self.max {
                            a > b
                        } else {
                            a < b
                        }
                    }
                    (a, b) => {
                        let (a, b) = (a.as_f64(), b.as_f64());
                        if self.max { a > b } else { a < b }
                    }
                };
                let is_nan = value.as_f64().is_some_and(f64::is_nan);
                if !is_nan && best.is_none_or(|(_, old)| beats(old)) {
                    best = Some((i, value));
                }
            }
            Scalar::from_i64(self.to, best.map_or(0, |(i, _)| i as i64))
        }))
    }
    /// The first found is marked by an index below 0, so that an axis of infinities has an extreme too.
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let dtype = at.ty(0).dtype;
        let extent = at.shape(0)[self.axis].clone();
        let beats = if self.max { CompareFn::Gt } else { CompareFn::Lt };
        let (best, place) = (at.w.local(dtype, []), at.w.local(DType::I64, []));
        let (zero, zero_index, none) = (at.w.int(dtype, 0), at.w.int(DType::I64, 0), at.w.int(DType::I64, -1));
        at.w.assign(best, &[], zero);
        at.w.assign(place, &[], none);
        at.each(&extent, LoopKind::Seq, |at, i| {
            let mut from = ix.to_vec();
            from[self.axis] = i.clone();
            let value = at.read(0, &from);
            let value = at.w.set(value);
            let (old, old_place) = (at.w.read(best, &[]), at.w.read(place, &[]));
            let greater = at.w.compare(beats, value, old);
            let none_yet = at.w.compare(CompareFn::Lt, old_place, zero_index);
            let is_number = at.w.compare(CompareFn::Eq, value, value);
            let first = at.w.binary(BinaryFn::And, none_yet, is_number);
            let takes = at.w.binary(BinaryFn::Or, greater, first);
            let takes = at.w.set(takes);
            let here = at.w.index(i.clone());
            let place_now = at.w.select(takes, here, old_place);
            let best_now = at.w.select(takes, value, old);
            at.w.assign(place, &[], place_now);
            at.w.assign(best, &[], best_now);
        });
        let found = at.w.read(place, &[]);
        let found = at.w.binary(BinaryFn::Max, found, zero_index);
        let found = at.w.cast(self.to, found);
        at.w.set(found)
    }
}
