//! Convolutions (cross-correlations, as networks use the word) of any number of spatial axes.

mod adjoint;

use serde::{Deserialize, Serialize};

use super::{
    product::{Contraction, Number, add_products, by_rows, contract},
    *,
};
use crate::loops::{BinaryFn, Bound};

/// `x [N, spatial.., C]` with `filter [spatial.., C/groups, O]` gives `[N, out.., O]`.
///
/// On each spatial axis, `input_dilation - 1` zeros come between the elements of x, then `low` zeros before and `high`
/// after them (negative ones crop); the filter's elements are `dilation` apart and it moves by `stride`. Extents are
/// `max(0, floor((m + low + high - ((k - 1) * dilation + 1)) / stride) + 1)` with `m = (n - 1) * input_dilation + 1`,
/// also when n is 0. Output channel `o` sees the input channels of group `o / (O / groups)` only. Zeros between and around
/// are never multiplied, so that they do not meet an infinity. Sums are those of [`Dot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv {
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
    pub input_dilation: Vec<i64>,
    pub low: Vec<Dim>,
    pub high: Vec<Dim>,
    pub groups: usize,
}

impl Conv {
    /// The number of spatial axes.
    pub fn spatial(&self) -> usize {
        self.stride.len()
    }
    fn product(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        let [x, filter] = [inputs[0], inputs[1]];
        let taps = Taps { conv: self, low: values(&self.low, bind), x: &x.shape, filter: &filter.shape, out };
        contract(&taps, x, filter, out, how)
    }
}

/// A convolution of operands of these shapes.
struct Taps<'a> {
    conv: &'a Conv,
    low: Vec<i64>,
    x: &'a [usize],
    filter: &'a [usize],
    out: &'a [usize],
}

impl Taps<'_> {
    /// Where the channels of `x` begin that each tap of one result reads; `None` in the zeros between and around.
    fn places(&self, position: usize) -> Vec<Option<usize>> {
        let n = self.conv.spatial();
        let mut at = vec![0; n + 1];
        let mut rest = position;
        for axis in (0..=n).rev() {
            at[axis] = rest % self.out[axis];
            rest /= self.out[axis];
        }
        let mut places = vec![];
        crate::tensor::for_each_index(&self.filter[..n], |k| {
            let mut pixel = Some(at[0]);
            for s in 0..n {
                let (conv, extent) = (self.conv, self.x[s + 1]);
                let i = at[s + 1] as i64 * conv.stride[s] + k[s] as i64 * conv.dilation[s] - self.low[s];
                let place = i / conv.input_dilation[s];
                let inside = i >= 0 && i % conv.input_dilation[s] == 0 && place < extent as i64;
                pixel = pixel.filter(|_| inside).map(|pixel| pixel * extent + place as usize);
            }
            places.push(pixel.map(|pixel| pixel * self.x[n + 1]));
        });
        places
    }
}

impl Contraction for Taps<'_> {
    fn contract<T: Number>(&self, a: &[T], b: &[T], how: Evaluation<'_>) -> Result<Vec<T>, Stop> {
        let n = self.conv.spatial();
        let (depth, filters) = (self.filter[n], self.filter[n + 1]);
        let (taps, per_group) = (self.filter[..n].iter().product::<usize>(), filters / self.conv.groups);
        let positions = self.out[..=n].iter().product::<usize>();
        by_rows(positions, positions, filters, taps * depth, how, |first, sums, pace| {
            let places: Vec<_> = (0..sums.len() / filters).map(|r| self.places(first + r)).collect();
            let steps = sums.len();
            for tap in (0..taps).take_while(|_| pace.goes_on(steps)) {
                let weights = &b[tap * depth * filters..][..depth * filters];
                let rows = sums.chunks_exact_mut(filters).zip(&places);
                let mut seen: Vec<_> = rows.filter_map(|(sums, places)| Some((sums, &a[places[tap]?..]))).collect();
                if depth == 1 {
                    // Depthwise: each channel meets its own filters alone.
                    for (sums, x) in &mut seen {
                        let groups = sums.chunks_exact_mut(per_group).zip(weights.chunks_exact(per_group));
                        groups.zip(x.iter()).for_each(|((sums, weights), &x)| add_products(sums, x, weights));
                    }
                    continue;
                }
                let depths = weights.chunks_exact(filters).enumerate();
                for (d, weights) in depths.take_while(|_| pace.goes_on(steps)) {
                    for (sums, x) in &mut seen {
                        let groups = sums.chunks_exact_mut(per_group).zip(weights.chunks_exact(per_group));
                        groups.enumerate().for_each(|(g, (sums, w))| add_products(sums, x[g * depth + d], w));
                    }
                }
            }
        })
    }
}

impl Primitive for Conv {
    const NAME: &'static str = "conv";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, filter] = operands(inputs)?;
        let n = self.spatial();
        let lists = [self.dilation.len(), self.input_dilation.len(), self.low.len(), self.high.len()];
        if n == 0 || [x.rank(), filter.rank()] != [n + 2; 2] || lists != [n; 4] {
            return Err(format!(
                "expected one spatial axis or more, with a stride, dilations and paddings for each, for {x} and {filter}"
            ));
        }
        if x.dtype != filter.dtype || !(x.dtype.is_int() || x.dtype.is_float()) {
            return Err(format!("cannot convolve {x} with {filter}"));
        }
        if [&self.stride, &self.dilation, &self.input_dilation].into_iter().flatten().any(|&n| n < 1) {
            return Err("strides and dilations are at least 1".into());
        }
        let (channels, filters) = (&filter.shape[n], &filter.shape[n + 1]);
        let groups = Dim::from(self.groups);
        if self.groups == 0 || !facts.equal(&(channels * &groups), &x.shape[n + 1]) {
            return Err(format!("{x} does not have {} times the {channels} channels of {filter}", self.groups));
        }
        if !facts.equal(&(filters.floor_div(&groups) * &groups), filters) {
            return Err(format!("{} groups do not divide the {filters} filters of {filter}", self.groups));
        }
        let mut shape = vec![x.shape[0].clone()];
        for a in 0..n {
            let spread = (&x.shape[a + 1] - 1) * self.input_dilation[a] + 1;
            let padded = spread + &self.low[a] + &self.high[a];
            shape.push(window::places(&padded, &filter.shape[a], self.stride[a], self.dilation[a]));
        }
        shape.push(filters.clone());
        Ok(TensorType::new(x.dtype, shape))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Result<Tensor, Fault> {
        self.product(inputs, out, bind, Evaluation::WHOLE).map_err(Stop::fault)
    }
    fn eval_by(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        self.product(inputs, out, bind, how)
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        adjoint::conv(self, at)
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (dtype, n) = (at.ty(0).dtype, self.spatial());
        let (shape, filter) = (at.shape(0), at.shape(1));
        let per_group = filter[n + 1].floor_div(&Dim::from(self.groups));
        // Without groups or filters there is nothing to divide by.
        let group = if self.groups == 1 || per_group.is(0) { Dim::zero() } else { at.w.div(&ix[n + 1], &per_group) };
        let wide = accumulator(dtype);
        let zero = at.w.int(wide, 0);
        let sum = at.fold(BinaryFn::Add, zero, &filter[..=n], |at, r| {
            let (mut from, mut weight) = (ix.to_vec(), r.to_vec());
            weight.push(ix[n + 1].clone());
            from[n + 1] = &group * &filter[n] + &r[n];
            let mut bounds = vec![];
            for s in 0..n {
                let spread = Dim::from(self.input_dilation[s]);
                let i = &ix[s + 1] * self.stride[s] + &r[s] * self.dilation[s] - &self.low[s];
                from[s + 1] = at.w.div(&i, &spread);
                bounds.push(Bound { index: i - &from[s + 1] * &spread, extent: Dim::one() });
                bounds.push(Bound { index: from[s + 1].clone(), extent: shape[s + 1].clone() });
            }
            at.within(
                bounds,
                |at| {
                    let (x, w) = (at.read(0, &from), at.read(1, &weight));
                    let (x, w) = (at.w.cast(wide, x), at.w.cast(wide, w));
                    at.w.binary(BinaryFn::Mul, x, w)
                },
                |_| zero,
            )
        });
        at.w.cast(dtype, sum)
    }
}
