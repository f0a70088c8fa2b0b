//! Where the greatest elements lie.

use std::slice::from_ref;

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, CompareFn, UnaryFn},
    tensor::{DType, Scalar},
};

/// The indices of the `k` greatest elements along the last axis, the greatest first, the lower index first among
/// equals; NaN is less than every number. `k` is at most the extent of the axis. The indices have the integer type
/// `to`, into which they wrap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    pub k: Dim,
    pub to: DType,
}

impl Primitive for TopK {
    const NAME: &'static str = "top_k";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        if !(x.dtype.is_int() || x.dtype.is_float()) || !self.to.is_int() {
            return Err(format!("{} has no greatest elements with indices of type {}", x.dtype, self.to));
        }
        let Some(n) = x.shape.last() else { return Err("a scalar has no last axis".into()) };
        if is_negative(&self.k) || is_negative(&(n - &self.k)) {
            return Err(format!("there are no {} greatest among {n}", self.k));
        }
        let mut shape = x.shape.clone();
        shape[x.rank() - 1] = self.k.clone();
        Ok(TensorType::new(self.to, shape))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let x = inputs[0];
        let (n, k) = (x.shape[x.rank() - 1], out[x.rank() - 1]);
        let greater_first = |a: Scalar, b: Scalar| match (a, b) {
            (Scalar::Int(a), Scalar::Int(b)) => b.cmp(&a),
            (Scalar::Uint(a), Scalar::Uint(b)) => b.cmp(&a),
            (a, b) => {
                let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
                b.partial_cmp(&a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }
        };
        let mut best = vec![];
        let rows: usize = out[..out.len() - 1].iter().product();
        for row in 0..rows {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&i, &j| greater_first(x.get(row * n + i), x.get(row * n + j)));
            best.extend(order.into_iter().take(k).map(|i| Scalar::from_i64(self.to, i as i64)));
        }
        Ok(Tensor::from_scalars(self.to, out, best))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("a top-k is written as a whole")
    }
    /// Each of the `k` rounds finds the first of the greatest elements that come after the last one found.
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let dtype = at.ty(0).dtype;
        let n = at.shape(0)[shape.len() - 1].clone();
        let rows = &shape[..shape.len() - 1];
        let [last, best] = [(); 2].map(|()| at.w.local(dtype, []));
        let [last_at, best_at] = [(); 2].map(|()| at.w.local(DType::I64, []));
        let (zero, zero_index, none) = (at.w.int(dtype, 0), at.w.int(DType::I64, 0), at.w.int(DType::I64, -1));
        at.nest(rows, LoopKind::Seq, |at, row| {
            at.w.assign(last, &[], zero);
            at.w.assign(last_at, &[], none);
            at.each(&self.k, LoopKind::Seq, |at, round| {
                at.w.assign(best, &[], zero);
                at.w.assign(best_at, &[], none);
                at.each(&n, LoopKind::Seq, |at, i| {
                    let x = at.read(0, &[row, from_ref(i)].concat());
                    let x = at.w.set(x);
                    let here = at.w.index(i.clone());
                    let [last, last_at, best_now, best_at_now] =
                        [last, last_at, best, best_at].map(|l| at.w.read(l, &[]));
                    // After the last one: in the first round all are; later the lesser, and the equal further right.
                    let first_round = at.w.compare(CompareFn::Lt, last_at, zero_index);
                    let less = greater(at, last, x);
                    let more = greater(at, x, last);
                    let further = at.w.compare(CompareFn::Gt, here, last_at);
                    let not_more = at.w.unary(UnaryFn::Not, more);
                    let equal_further = at.w.binary(BinaryFn::And, not_more, further);
                    let after = at.w.binary(BinaryFn::Or, less, equal_further);
                    let after = at.w.binary(BinaryFn::Or, after, first_round);
                    let none_yet = at.w.compare(CompareFn::Lt, best_at_now, zero_index);
                    let beats = greater(at, x, best_now);
                    let beats = at.w.binary(BinaryFn::Or, beats, none_yet);
                    let takes = at.w.binary(BinaryFn::And, after, beats);
                    let takes = at.w.set(takes);
                    let place = at.w.select(takes, here, best_at_now);
                    let value = at.w.select(takes, x, best_now);
                    at.w.assign(best_at, &[], place);
                    at.w.assign(best, &[], value);
                });
                let found = at.w.read(best_at, &[]);
                let found = at.w.binary(BinaryFn::Max, found, zero_index);
                let found = at.w.set(found);
                at.w.assign(last_at, &[], found);
                let value = at.w.read(best, &[]);
                at.w.assign(last, &[], value);
                let index = at.w.cast(self.to, found);
                at.w.store(out, shape, &[row, from_ref(round)].concat(), index);
            });
        });
    }
}

/// Whether `a` comes before `b`: NaN comes last.
fn greater(at: &mut Emit<'_>, a: ExprId, b: ExprId) -> ExprId {
    let more = at.w.compare(CompareFn::Gt, a, b);
    if !at.w.dtype(a).is_float() {
        return more;
    }
    let (number, nan) = (at.w.compare(CompareFn::Eq, a, a), at.w.compare(CompareFn::Ne, b, b));
    let over_nan = at.w.binary(BinaryFn::And, number, nan);
    at.w.binary(BinaryFn::Or, more, over_nan)
}
