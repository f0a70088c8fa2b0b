//! Folds a sliding window.

mod adjoint;

use serde::{Deserialize, Serialize};

use super::{fold::Fold, *};
use crate::{
    loops::{BinaryFn, Bound, CompareFn},
    tensor::{DType, Scalar},
};

/// `f` over the `size[a]` elements, `dilation[a]` apart, of each window; windows are `stride[a]` apart and the operand
/// is surrounded by `low[a]` and `high[a]` places that count for nothing. All lists have an entry for every axis `a`;
/// a window that covers one element leaves an axis alone.
///
/// Result extents are `max(0, floor((n + low + high - ((size - 1) * dilation + 1)) / stride) + 1)`. `f` is Add, Mul, Max,
/// Min, And or Or. Max starts at the least finite value and Min at the greatest; both pass over NaN; the
/// others start at the identity. f16 and bf16 are summed in f32 and rounded once; `eval` sums all floats in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub f: BinaryFn,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
    pub low: Vec<Dim>,
    pub high: Vec<Dim>,
}

/// The number of places that a window of `size` elements spaced by `dilation` takes while it moves by `stride` over
/// `extent` elements, borders included.
pub(super) fn places(extent: &Dim, size: &Dim, stride: i64, dilation: i64) -> Dim {
    let span = (size - 1) * dilation + 1;
    ((extent - span).floor_div(&Dim::from(stride)) + 1).at_least(&Dim::zero())
}

impl Window {
    /// The value that an empty window has, in code.
    pub fn start(&self, dtype: DType) -> Scalar {
        match self.f {
            BinaryFn::Max | BinaryFn::Min if dtype.is_float() => {
                let greatest = dtype.greatest();
                Scalar::from_f64(dtype, if self.f == BinaryFn::Max { -greatest } else { greatest })
            }
            f => identity(f, dtype),
        }
    }
}

impl Window {
    fn folded(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        let x = inputs[0];
        let low = values(&self.low, bind);
        let size: Vec<usize> = self.size.iter().map(|&n| n as usize).collect();
        let extreme = matches!(self.f, BinaryFn::Max | BinaryFn::Min) && x.dtype.is_float();
        let (mut from, steps, pace) = (vec![0; out.len()], size.iter().product(), how.pace());
        let result = Tensor::from_fn(x.dtype, out, |ix| {
            if !pace.goes_on(steps) {
                return Scalar::zero(x.dtype);
            }
            let mut fold = Fold::new(self.f, x.dtype, how.sums);
            crate::tensor::for_each_index(&size, |k| {
                for a in 0..ix.len() {
                    let i = ix[a] as i64 * self.stride[a] + k[a] as i64 * self.dilation[a] - low[a];
                    if i < 0 || i >= x.shape[a] as i64 {
                        return;
                    }
                    from[a] = i as usize;
                }
                let value = x.at(&from);
                if !(extreme && value.as_f64().is_some_and(f64::is_nan)) {
                    fold.add(value);
                }
            });
            let bottom = lowest_finite(x.dtype);
            match (self.f, fold.finish(fold.of_nothing())) {
                (BinaryFn::Max, value) if extreme && value.as_f64() < bottom => {
                    Scalar::from_f64(x.dtype, bottom.unwrap_or(0.0))
                }
                (BinaryFn::Min, value) if extreme && value.as_f64() > bottom.map(|b| -b) => {
                    Scalar::from_f64(x.dtype, -bottom.unwrap_or(0.0))
                }
                (_, value) => value,
            }
        });
        pace.or(result)
    }
}

impl Primitive for Window {
    const NAME: &'static str = "window";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        if !fold::folds(self.f, x.dtype) {
            return Err(format!("{:?} does not fold {}", self.f, x.dtype));
        }
        let lists = [self.size.len(), self.stride.len(), self.dilation.len(), self.low.len(), self.high.len()];
        if lists != [x.rank(); 5] {
            return Err(format!("expected {} sizes, strides, dilations and paddings for {x}", x.rank()));
        }
        if [&self.size, &self.stride, &self.dilation].into_iter().flatten().any(|&n| n < 1) {
            return Err("sizes, strides and dilations are at least 1".into());
        }
        if self.low.iter().chain(&self.high).any(is_negative) {
            return Err(format!("paddings {} and {} are negative", show(&self.low), show(&self.high)));
        }
        let shape = (0..x.rank()).map(|a| {
            let padded = &x.shape[a] + &self.low[a] + &self.high[a];
            places(&padded, &Dim::from(self.size[a]), self.stride[a], self.dilation[a])
        });
        Ok(TensorType::new(x.dtype, shape.collect::<Vec<_>>()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Result<Tensor, Fault> {
        self.folded(inputs, out, bind, Evaluation::WHOLE).map_err(Stop::fault)
    }
    fn eval_by(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        self.folded(inputs, out, bind, how)
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        adjoint::window(self, at)
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (dtype, shape) = (at.ty(0).dtype, at.shape(0));
        let extreme = matches!(self.f, BinaryFn::Max | BinaryFn::Min);
        // Extremes need no wider type.
        let wide = if extreme { dtype } else { accumulator(dtype) };
        let start = at.w.constant(wide, self.start(wide));
        let size: Vec<Dim> = self.size.iter().map(|&n| Dim::from(n)).collect();
        let folded = at.fold(self.f, start, &size, |at, k| {
            let from: Vec<Dim> =
                (0..ix.len()).map(|a| &ix[a] * self.stride[a] + &k[a] * self.dilation[a] - &self.low[a]).collect();
            let bounds = from.iter().zip(&shape);
            let bounds = bounds.map(|(index, extent)| Bound { index: index.clone(), extent: extent.clone() }).collect();
            at.within(
                bounds,
                |at| {
                    let x = at.read(0, &from);
                    let x = at.w.cast(wide, x);
                    if !(extreme && wide.is_float()) {
                        return x;
                    }
                    let x = at.w.set(x);
                    let is_number = at.w.compare(CompareFn::Eq, x, x);
                    at.w.select(is_number, x, start)
                },
                |_| start,
            )
        });
        at.w.cast(dtype, folded)
    }
}

/// The least finite value of a float type.
fn lowest_finite(dtype: DType) -> Option<f64> {
    match dtype {
        DType::F16 => Some(-65504.0),
        DType::BF16 => Some(-(2f64.powi(128) - 2f64.powi(120))),
        DType::F32 => Some(f32::MIN as f64),
        DType::F64 => Some(f64::MIN),
        _ => None,
    }
}
