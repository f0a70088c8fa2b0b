//! Matrix products.

use serde::{Deserialize, Serialize};

use super::{
    product::{Contraction, Number, add_products, by_rows, contract},
    *,
};
use crate::loops::BinaryFn;

/// `[B.., M, K]` times `[B.., K, N]` is `[B.., M, N]`, with equal batch axes. Integers wrap; f16 and bf16 are summed in
/// f32 and rounded once; the order of additions is free. `eval` sums all floats in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dot {}

/// `[B, M, K]` times `[B, K, N]`, batch axes as one.
struct Rows {
    batches: usize,
    m: usize,
    k: usize,
    n: usize,
}

impl Contraction for Rows {
    fn contract<T: Number>(&self, a: &[T], b: &[T], how: Evaluation<'_>) -> Result<Vec<T>, Stop> {
        let &Rows { batches, m, k, n } = self;
        by_rows(batches * m, m, n, k, how, |row, sums, pace| {
            let right = &b[row / m * k * n..][..k * n];
            let steps = sums.len();
            for (i, b) in right.chunks_exact(n).enumerate().take_while(|_| pace.goes_on(steps)) {
                for (r, sums) in sums.chunks_exact_mut(n).enumerate() {
                    add_products(sums, a[(row + r) * k + i], b);
                }
            }
        })
    }
}

impl Dot {
    fn product(inputs: &[&Tensor], out: &[usize], how: Evaluation<'_>) -> Result<Tensor, Stop> {
        let rank = out.len();
        let rows = Rows {
            batches: out[..rank - 2].iter().product(),
            m: out[rank - 2],
            k: inputs[0].shape[rank - 1],
            n: out[rank - 1],
        };
        contract(&rows, inputs[0], inputs[1], out, how)
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
        Dot::product(inputs, out, Evaluation::WHOLE).map_err(Stop::fault)
    }
    fn eval_by(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        Dot::product(inputs, out, how)
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (a, b, g) = (at.operands[0], at.operands[1], at.gradient);
        at.each(|at, n| {
            let other = at.turned(if n == 0 { b } else { a })?;
            if n == 0 { at.dot(g, other) } else { at.dot(other, g) }
        })
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
