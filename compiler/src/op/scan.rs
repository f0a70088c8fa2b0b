//! Running folds.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::{DType, Scalar},
};

/// The fold of the elements up to each one along `axis`, by `f`: Add, Mul, Max or Min. `exclusive` leaves the element
/// itself out, so that the first result is the identity; `reverse` runs from the last element. Values are kept in the
/// operand's type, rounded at each step, strictly in order; `eval` keeps f32 in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    pub f: BinaryFn,
    pub axis: usize,
    pub exclusive: bool,
    pub reverse: bool,
}

impl Scan {
    fn scanned(&self, inputs: &[&Tensor], out: &[usize], sums: Sums) -> Result<Tensor, Fault> {
        let x = inputs[0];
        // f32 is widened; the half types round at each step, because their results are defined so.
        let dtype = if x.dtype == DType::F32 && sums == Sums::Wide { DType::F64 } else { x.dtype };
        let n = out[self.axis];
        let inner: usize = out[self.axis + 1..].iter().product();
        let mut result = vec![Scalar::zero(x.dtype); x.count()];
        for line in (0..x.count()).filter(|p| (p / inner.max(1)).is_multiple_of(n)) {
            let mut sum = fold::Fold::new(self.f, dtype, sums).of_nothing();
            for step in 0..n {
                let place = line + inner * if self.reverse { n - 1 - step } else { step };
                let widened = match x.get(place) {
                    Scalar::F32(v) if dtype == DType::F64 => Scalar::F64(v as f64),
                    value => value,
                };
                let next = pointwise::eval::binary(self.f, dtype, sum, widened)?;
                result[place] = match if self.exclusive { sum } else { next } {
                    Scalar::F64(v) => Scalar::from_f64(x.dtype, v),
                    value => value,
                };
                sum = next;
            }
        }
        Ok(Tensor::from_scalars(x.dtype, out, result))
    }
}

impl Primitive for Scan {
    const NAME: &'static str = "scan";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_axis(self.axis, x)?;
        let known = matches!(self.f, BinaryFn::Add | BinaryFn::Mul | BinaryFn::Max | BinaryFn::Min);
        if !known || !fold::folds(self.f, x.dtype) {
            return Err(format!("{:?} does not scan {}", self.f, x.dtype));
        }
        Ok(x.clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        self.scanned(inputs, out, Sums::Wide)
    }
    fn eval_by(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        self.scanned(inputs, out, how.sums).map_err(Stop::Fault)
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("a scan is written as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let dtype = at.ty(0).dtype;
        let start = at.w.constant(dtype, identity(self.f, dtype));
        let sum = at.w.local(dtype, []);
        let mut lines = shape.to_vec();
        lines[self.axis] = Dim::one();
        at.nest(&lines, LoopKind::Seq, |at, line| {
            at.w.assign(sum, &[], start);
            at.each(&shape[self.axis], LoopKind::Seq, |at, step| {
                let mut ix = line.to_vec();
                ix[self.axis] = if self.reverse { &shape[self.axis] - 1 - step } else { step.clone() };
                let old = at.w.read(sum, &[]);
                let old = at.w.set(old);
                let x = at.read(0, &ix);
                let next = at.w.binary(self.f, old, x);
                let next = at.w.set(next);
                at.w.store(out, shape, &ix, if self.exclusive { old } else { next });
                at.w.assign(sum, &[], next);
            });
        });
    }
    /// A product's is what models are trained with: what follows is divided by the element, and 0 where that is 0.
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let back = Scan { f: BinaryFn::Add, reverse: !self.reverse, ..self.clone() };
        let (x, y, g) = (at.operands[0], at.result, at.gradient);
        match self.f {
            BinaryFn::Add => at.first(|at| at.add(back, &[g])),
            BinaryFn::Mul => at.first(|at| {
                let products = at.mul(y, g)?;
                let sums = at.add(back, &[products])?;
                let zero = at.number(x, 0.0)?;
                let divides = at.compare(CompareFn::Ne, x, zero)?;
                let slope = at.div(sums, x)?;
                at.only(divides, slope)
            }),
            f => Err(format!("a running {f:?} has no derivative")),
        }
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        let (known, shape) = (inputs[0]?, out.concrete(&Bindings::new())?);
        let dtype = types[0].dtype;
        // The value before the first element. That of a maximum is not tracked.
        let start = match self.f {
            BinaryFn::Add => number::constant(Scalar::from_i64(dtype, 0)),
            BinaryFn::Mul => number::constant(Scalar::from_i64(dtype, 1)),
            _ => None,
        };
        let (n, inner) = (shape[self.axis], shape[self.axis + 1..].iter().product::<usize>().max(1));
        let mut results: Vec<Option<Number>> = vec![None; known.len()];
        for line in (0..known.len()).filter(|p| (p / inner).is_multiple_of(n)) {
            let mut sum: Option<Number> = None;
            for step in 0..n {
                let place = line + inner * if self.reverse { n - 1 - step } else { step };
                let next = match &sum {
                    None => known[place].clone(),
                    Some(sum) => number::binary(self.f, dtype, sum, &known[place])?,
                };
                results[place] = if self.exclusive { sum.or_else(|| start.clone()) } else { Some(next.clone()) };
                sum = Some(next);
            }
        }
        results.into_iter().collect()
    }
}
