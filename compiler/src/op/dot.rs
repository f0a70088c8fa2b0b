//! Matrix products.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::BinaryFn,
    tensor::{DType, Scalar},
};

/// `[B.., M, K]` times `[B.., K, N]` is `[B.., M, N]`, with equal batch axes. Integers wrap; f16 and bf16 are summed in
/// f32 and rounded once; the order of additions is free. `eval` sums all floats in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dot {}

/// The elements of a tensor as `eval` multiplies and adds them: floats in f64, integers in 64 bits, where every narrower
/// type wraps to the same result.
pub(super) enum Elements {
    Float(Vec<f64>),
    Int(Vec<i64>),
}

impl Elements {
    pub fn of(x: &Tensor) -> Elements {
        let int = |s: Scalar| match s {
            Scalar::Uint(n) => n as i64,
            s => s.as_i64().expect("an integer"),
        };
        if x.dtype.is_float() {
            Elements::Float(x.scalars().map(|s| s.as_f64().expect("a real number")).collect())
        } else {
            Elements::Int(x.scalars().map(int).collect())
        }
    }
    /// The sum of products of this tensor's elements and those of `other`, over the runs that `terms` names.
    pub fn sum_of_products(&self, other: &Elements, dtype: DType, terms: impl FnOnce(&mut dyn FnMut(Run))) -> Scalar {
        match (self, other) {
            (Elements::Float(a), Elements::Float(b)) => {
                let mut sum = 0.0;
                terms(&mut |run| run.pairs(a, b).for_each(|(x, y)| sum += x * y));
                Scalar::from_f64(dtype, sum)
            }
            (Elements::Int(a), Elements::Int(b)) => {
                let mut sum = 0i64;
                terms(&mut |run| run.pairs(a, b).for_each(|(x, y)| sum = sum.wrapping_add(x.wrapping_mul(y))));
                Scalar::from_i64(dtype, sum)
            }
            _ => unreachable!("infer gives both operands one type"),
        }
    }
}

/// The tensor with its last two axes exchanged, so that what is summed over lies together.
pub(super) fn swapped(x: &Tensor) -> Tensor {
    let (mut shape, mut steps, last) = (x.shape.clone(), pick::row_major(&x.shape), x.rank() - 1);
    shape.swap(last - 1, last);
    steps.swap(last - 1, last);
    pick::strided(x, &shape, 0, &steps)
}

/// `len` neighbours of the left tensor from `left` on, each with one of the right tensor from `right` on.
pub(super) struct Run {
    pub left: usize,
    pub right: usize,
    pub len: usize,
}

impl Run {
    fn pairs<T: Copy>(self, a: &[T], b: &[T]) -> impl Iterator<Item = (T, T)> {
        let (a, b) = (&a[self.left..][..self.len], &b[self.right..][..self.len]);
        a.iter().copied().zip(b.iter().copied())
    }
}

impl Primitive for Dot {
    const NAME: &'static str = "dot";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [a, b] = operands(inputs)?;
        let rank = a.rank();
        let fits = rank >= 2
            && b.rank() == rank
            && a.dtype == b.dtype
            && (0..rank - 2).all(|i| facts.equal(&a.shape[i], &b.shape[i]))
            && facts.equal(&a.shape[rank - 1], &b.shape[rank - 2]);
        if !fits || !(a.dtype.is_int() || a.dtype.is_float()) {
            return Err(format!("cannot multiply {a} by {b}"));
        }
        let mut shape = a.shape.clone();
        shape[rank - 1] = b.shape[rank - 1].clone();
        Ok(TensorType::new(a.dtype, shape))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let rank = out.len();
        let (m, k, n) = (out[rank - 2], inputs[0].shape[rank - 1], out[rank - 1]);
        let (a, b) = (Elements::of(inputs[0]), Elements::of(&swapped(inputs[1])));
        let dtype = inputs[0].dtype;
        Ok(Tensor::from_fn(dtype, out, |ix| {
            let batch = crate::tensor::flat_index(&out[..rank - 2], &ix[..rank - 2]);
            let (row, column) = (batch * m + ix[rank - 2], ix[rank - 1]);
            a.sum_of_products(&b, dtype, |add| add(Run { left: row * k, right: (batch * n + column) * k, len: k }))
        }))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (dtype, rank) = (at.ty(0).dtype, ix.len());
        let depth = at.shape(0)[rank - 1].clone();
        let wide = accumulator(dtype);
        let start = at.w.int(wide, 0);
        let sum = at.fold(BinaryFn::Add, start, &[depth], |at, k| {
            let (mut left, mut right) = (ix.to_vec(), ix.to_vec());
            left[rank - 1] = k[0].clone();
            right[rank - 2] = k[0].clone();
            let (a, b) = (at.read(0, &left), at.read(1, &right));
            let (a, b) = (at.w.cast(wide, a), at.w.cast(wide, b));
            at.w.binary(BinaryFn::Mul, a, b)
        });
        at.w.cast(dtype, sum)
    }
}
