//! The gradients of a convolution, which are convolutions, and a convolution by a filter that only a call knows.
//!
//! With element `i` of the input at `i * input_dilation` between zeros, a result is
//! `y[o] = sum over k of filter[k] * x[o * stride + k * dilation - low]`. So the input has the sum over `k` of
//! `filter[k] * g[(i + low - k * dilation) / stride]`, a convolution of what the strides spread with the filter turned
//! round; and tap `k` of the filter has the sum over `o` of `x[o * stride + k * dilation - low] * g[o]`, in which stride and
//! dilation change places.

use super::*;

pub fn conv(of: &Conv, at: &mut Adjoint<'_>) -> Gradients {
    let (x, filter, g) = (at.operands[0], at.operands[1], at.gradient);
    at.each(|at, n| {
        let shape = at.shape(at.operands[n]);
        let gradient = match n {
            0 => of.gradient_of_input(at, filter, g, &shape[1..shape.len() - 1])?,
            _ => of.gradient_of_filter(at, x, g, &shape)?,
        };
        // An extent that is not negative is the greater one of itself and 0.
        at.slice(gradient, &vec![Dim::zero(); shape.len()], &shape)
    })
}

impl Conv {
    /// The convolution. What surrounds the operand is the plan's concern where the filter follows from constants, so that it
    /// knows whether zeros may be multiplied. Where nobody knows, the border is made here and is multiplied: an infinity in a
    /// filter then makes NaN at the border.
    pub fn convolve(mut self, c: &mut Compose<'_>, x: Value, filter: Value) -> Infer<Value> {
        if c.0.follows_from_constants(filter) {
            return c.add(self, &[x, filter]);
        }
        let spread = self.input_dilation.clone();
        let outside = |cut: &mut [Dim]| {
            let mut padding = vec![Dim::zero(); cut.len() + 2];
            for (axis, (d, &spread)) in cut.iter_mut().zip(&spread).enumerate() {
                padding[axis + 1] = d.at_least(&Dim::zero()).ceil_div(&Dim::from(spread));
                *d = &*d - &padding[axis + 1] * spread;
            }
            padding
        };
        let (low, high) = (outside(&mut self.low), outside(&mut self.high));
        let x = c.padded(x, &low, &high)?;
        c.add(self, &[x, filter])
    }

    /// The gradient of an input with these spatial extents, by the filter and the gradient `g` of the result.
    pub fn gradient_of_input(&self, c: &mut Compose<'_>, filter: Value, g: Value, extents: &[Dim]) -> Infer<Value> {
        let (taps, out) = (c.shape(filter), c.shape(g));
        let n = self.spatial();
        let filter = c.reverse(filter, 0..n)?;
        // Inputs and outputs of a group change places.
        let groups = Dim::from(self.groups);
        let (depth, each) = (taps[n].clone(), taps[n + 1].floor_div(&groups));
        let spatial = &taps[..n];
        let filter = c.reshape(filter, &[spatial, &[depth.clone(), groups.clone(), each.clone()]].concat())?;
        let order: Vec<usize> = (0..n).chain([n + 2, n + 1, n]).collect();
        let filter = c.transpose(filter, &order)?;
        let filter = c.reshape(filter, &[spatial, &[each, groups * depth]].concat())?;
        let (mut low, mut high) = (vec![], vec![]);
        for a in 0..n {
            let reach = (&taps[a] - 1) * self.dilation[a];
            low.push(reach - &self.low[a]);
            let last = (&extents[a] - 1) * self.input_dilation[a];
            high.push(last + &self.low[a] - (&out[a + 1] - 1) * self.stride[a]);
        }
        let back = Conv {
            stride: self.input_dilation.clone(),
            dilation: self.dilation.clone(),
            input_dilation: self.stride.clone(),
            low,
            high,
            groups: self.groups,
        };
        back.convolve(c, g, filter)
    }

    /// The gradient of a filter of this shape, by the input and the gradient `g` of the result, which takes the filter's part:
    /// the batch is a spatial axis, as long as the filter, so that it is summed over. What a group has of channels is another
    /// one, if there is more than one, and each of them is a place. So neither tensor is transposed.
    pub fn gradient_of_filter(&self, c: &mut Compose<'_>, x: Value, g: Value, shape: &[Dim]) -> Infer<Value> {
        let n = self.spatial();
        let (from, to) = (c.shape(x), c.shape(g));
        let (images, within, outputs) = (&from[..=n], &shape[n], &to[n + 1]);
        let places = if within.is(1) { vec![] } else { vec![within.clone()] };
        let (one, many) = ([Dim::one()], [Dim::from(self.groups)]);
        let apart = c.reshape(x, &[images, &many, &places].concat())?;
        let last: Vec<usize> = (0..=n).chain((0..places.len()).map(|a| n + 2 + a)).chain([n + 1]).collect();
        let x = c.transpose(apart, &last)?;
        let x = c.reshape(x, &[&one[..], images, &places, &many].concat())?;
        let ones = vec![Dim::one(); places.len() + 1];
        let filter = c.reshape(g, &[&to[..=n], &ones, std::slice::from_ref(outputs)].concat())?;
        let along = |list: &[i64]| [&[1][..], list, &vec![1; places.len()]].concat();
        let (mut low, mut high) = (vec![Dim::zero(); 1 + n + places.len()], vec![Dim::zero(); 1 + n + places.len()]);
        for a in 0..n {
            let spread = (&from[a + 1] - 1) * self.input_dilation[a] + 1;
            let reach = (&shape[a] - 1) * self.dilation[a] + (&to[a + 1] - 1) * self.stride[a] + 1;
            // Places behind the last tap are cut off.
            (low[a + 1], high[a + 1]) = (self.low[a].clone(), reach - spread - &self.low[a]);
        }
        let over_batch = Conv {
            stride: along(&self.dilation),
            dilation: along(&self.stride),
            input_dilation: along(&self.input_dilation),
            low,
            high,
            groups: self.groups,
        };
        let y = over_batch.convolve(c, x, filter)?;
        c.reshape(y, shape)
    }
}
