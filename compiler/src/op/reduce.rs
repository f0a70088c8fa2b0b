//! Folds whole axes.

use serde::{Deserialize, Serialize};

use super::{fold::Fold, *};
use crate::loops::{BinaryFn, CompareFn};

/// `f` over the elements along `axes`, which stay with extent 1. `f` is Add, Mul, Max, Min, And or Or; `axes` ascend.
/// Without elements the result is the identity of `f`. NaN wins over every other value in Max and Min. The order of
/// additions is free; f16 and bf16 are summed in f32 and rounded once. `eval` sums all floats in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    pub f: BinaryFn,
    pub axes: Vec<usize>,
}

impl Reduce {
    fn folded(&self, inputs: &[&Tensor], out: &[usize], how: Evaluation<'_>) -> Result<Tensor, Stop> {
        let x = inputs[0];
        let folded: Vec<usize> = self.axes.iter().map(|&a| x.shape[a]).collect();
        let (mut from, pace) = (vec![0; out.len()], how.pace());
        let result = Tensor::from_fn(x.dtype, out, |ix| {
            let mut fold = Fold::new(self.f, x.dtype, how.sums);
            from.copy_from_slice(ix);
            crate::tensor::for_each_index(&folded, |r| {
                if pace.goes_on(1) {
                    self.axes.iter().zip(r).for_each(|(&a, &i)| from[a] = i);
                    fold.add(x.at(&from));
                }
            });
            fold.finish(fold.of_nothing())
        });
        pace.or(result)
    }
}

impl Reduce {
    /// For each element the product of the others that are folded with it.
    fn products_of_others(&self, at: &mut Adjoint<'_>, x: Value) -> Infer<Value> {
        let shape = at.shape(x);
        let kept = (0..shape.len()).filter(|axis| !self.axes.contains(axis));
        let order: Vec<usize> = kept.chain(self.axes.iter().copied()).collect();
        let back: Vec<usize> =
            (0..order.len()).filter_map(|axis| order.iter().position(|&from| from == axis)).collect();
        let turned = at.transpose(x, &order)?;
        let apart = at.shape(turned);
        let (outer, folded) = apart.split_at(shape.len() - self.axes.len());
        let line = [outer, &[crate::tensor::count(folded)]].concat();
        let rows = at.reshape(turned, &line)?;
        let scan = |reverse| Scan { f: BinaryFn::Mul, axis: outer.len(), exclusive: true, reverse };
        let (before, behind) = (at.add(scan(false), &[rows])?, at.add(scan(true), &[rows])?);
        let others = at.mul(before, behind)?;
        let others = at.reshape(others, &apart)?;
        at.transpose(others, &back)
    }
}

impl Primitive for Reduce {
    const NAME: &'static str = "reduce";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        if !fold::folds(self.f, x.dtype) {
            return Err(format!("{:?} does not fold {}", self.f, x.dtype));
        }
        self.axes.iter().try_for_each(|&a| check_axis(a, x))?;
        if !self.axes.is_sorted_by(|a, b| a < b) {
            return Err(format!("axes {:?} do not ascend", self.axes));
        }
        let mut shape = x.shape.clone();
        self.axes.iter().for_each(|&a| shape[a] = Dim::one());
        Ok(TensorType::new(x.dtype, shape))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        self.folded(inputs, out, Evaluation::WHOLE).map_err(Stop::fault)
    }
    fn eval_by(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        self.folded(inputs, out, how)
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (dtype, shape) = (at.ty(0).dtype, at.shape(0));
        let wide = accumulator(dtype);
        let start = at.w.constant(wide, identity(self.f, wide));
        let extents: Vec<Dim> = self.axes.iter().map(|&a| shape[a].clone()).collect();
        let folded = at.fold(self.f, start, &extents, |at, r| {
            let mut from = ix.to_vec();
            self.axes.iter().zip(r).for_each(|(&a, i)| from[a] = i.clone());
            let x = at.read(0, &from);
            at.w.cast(wide, x)
        });
        at.w.cast(dtype, folded)
    }
    /// Equal extremes share alike. The product of the other factors is that of those before and those behind, so that
    /// zeros do no harm.
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, y, g) = (at.operands[0], at.result, at.gradient);
        let shape = at.shape(x);
        at.first(|at| {
            let all = at.broadcast(g, &shape)?;
            match self.f {
                BinaryFn::Add => Ok(all),
                BinaryFn::Mul => {
                    let others = self.products_of_others(at, x)?;
                    at.mul(all, others)
                }
                BinaryFn::Max | BinaryFn::Min => {
                    let best = at.broadcast(y, &shape)?;
                    let is_best = at.compare(CompareFn::Eq, x, best)?;
                    let dtype = at.dtype(x);
                    let is_best = at.add(Cast { to: dtype }, &[is_best])?;
                    let count = at.summed(is_best, self.axes.clone())?;
                    let count = at.broadcast(count, &shape)?;
                    let share = at.div(is_best, count)?;
                    at.mul(share, all)
                }
                f => Err(format!("{f:?} has no derivative")),
            }
        })
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        let none = Bindings::new();
        let (known, shape, out) = (inputs[0]?, types[0].concrete(&none)?, out.concrete(&none)?);
        let dtype = types[0].dtype;
        // In which order floats are added is not said.
        if dtype.is_float() && !matches!(self.f, BinaryFn::Max | BinaryFn::Min) {
            return None;
        }
        let mut folds: Vec<Option<Number>> = vec![None; out.iter().product()];
        let mut fits = true;
        crate::tensor::for_each_index(&shape, |ix| {
            let to: Vec<usize> = (0..ix.len()).map(|a| if self.axes.contains(&a) { 0 } else { ix[a] }).collect();
            let x = &known[crate::tensor::flat_index(&shape, ix)];
            let folded = &mut folds[crate::tensor::flat_index(&out, &to)];
            *folded = match folded.take() {
                None => Some(x.clone()),
                Some(y) => number::binary(self.f, dtype, &y, x),
            };
            fits &= folded.is_some();
        });
        let logical = dtype == crate::tensor::DType::Bool;
        let empty = match self.f {
            BinaryFn::Add => Some(Dim::zero()),
            BinaryFn::Mul => Some(Dim::one()),
            BinaryFn::And if logical => Some(Dim::one()),
            BinaryFn::Or if logical => Some(Dim::zero()),
            _ => None,
        };
        fits.then_some(())?;
        folds.into_iter().map(|n| n.or_else(|| empty.clone().map(Number::Int))).collect()
    }
}
