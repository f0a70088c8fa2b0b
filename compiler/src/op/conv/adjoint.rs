//! The gradients of a convolution, which are convolutions.
//!
//! With element `i` of the input at `i * input_dilation` between zeros, a result is
//! `y[o] = sum over k of filter[k] * x[o * stride + k * dilation - low]`. So the input has the sum over `k` of
//! `filter[k] * g[(i + low - k * dilation) / stride]`, a convolution of what the strides spread with the filter turned
//! round; and tap `k` of the filter has the sum over `o` of `x[o * stride + k * dilation - low] * g[o]`, a convolution over
//! the batch, in which stride and dilation change places.

use super::*;

pub fn conv(of: &Conv, at: &mut Adjoint<'_>) -> Gradients {
    at.each(|at, n| if n == 0 { of.of_input(at) } else { of.of_filter(at) })
}

impl Conv {
    fn of_input(&self, at: &mut Adjoint<'_>) -> Infer<Value> {
        let (x, filter, g) = (at.operands[0], at.operands[1], at.gradient);
        let (shape, taps, out) = (at.shape(x), at.shape(filter), at.shape(g));
        let n = self.spatial();
        let filter = at.reverse(filter, 0..n)?;
        // Inputs and outputs of a group change places.
        let groups = Dim::from(self.groups);
        let (depth, each) = (taps[n].clone(), taps[n + 1].floor_div(&groups));
        let spatial = &taps[..n];
        let filter = at.reshape(filter, &[spatial, &[depth.clone(), groups.clone(), each.clone()]].concat())?;
        let order: Vec<usize> = (0..n).chain([n + 2, n + 1, n]).collect();
        let filter = at.transpose(filter, &order)?;
        let filter = at.reshape(filter, &[spatial, &[each, groups * depth]].concat())?;
        let (mut low, mut high) = (vec![], vec![]);
        for a in 0..n {
            let reach = (&taps[a] - 1) * self.dilation[a];
            low.push(&reach - &self.low[a]);
            high.push((&shape[a + 1] - 1) * self.input_dilation[a] + &self.low[a] - (&out[a + 1] - 1) * self.stride[a]);
        }
        let back = Conv {
            stride: self.input_dilation.clone(),
            dilation: self.dilation.clone(),
            input_dilation: self.stride.clone(),
            low,
            high,
            groups: self.groups,
        };
        let result = at.add(back, &[g, filter])?;
        // An extent that is not negative is the greater one of itself and 0.
        at.slice(result, &vec![Dim::zero(); n + 2], &shape)
    }

    fn of_filter(&self, at: &mut Adjoint<'_>) -> Infer<Value> {
        let (x, filter, g) = (at.operands[0], at.operands[1], at.gradient);
        let (shape, taps, out) = (at.shape(x), at.shape(filter), at.shape(g));
        let n = self.spatial();
        let groups = Dim::from(self.groups);
        let (depth, batch) = (taps[n].clone(), shape[0].clone());
        // The channels of a group become the batch, and groups times batch the channels.
        let apart = [&shape[..=n], &[groups.clone(), depth.clone()]].concat();
        let x = at.reshape(x, &apart)?;
        let order: Vec<usize> = [n + 2].into_iter().chain(1..=n).chain([n + 1, 0]).collect();
        let x = at.transpose(x, &order)?;
        let x = at.reshape(x, &[&[depth], &shape[1..=n], &[groups * &batch]].concat())?;
        let order: Vec<usize> = (1..=n).chain([0, n + 1]).collect();
        let g = at.transpose(g, &order)?;
        let high = (0..n).map(|a| {
            let spread = (&shape[a + 1] - 1) * self.input_dilation[a] + 1;
            (&taps[a] - 1) * self.dilation[a] + (&out[a + 1] - 1) * self.stride[a] + 1 - spread - &self.low[a]
        });
        let over_batch = Conv {
            stride: self.dilation.clone(),
            dilation: self.stride.clone(),
            input_dilation: self.input_dilation.clone(),
            low: self.low.clone(),
            high: high.collect(),
            groups: self.groups,
        };
        let result = at.add(over_batch, &[x, g])?;
        let order: Vec<usize> = (1..=n).chain([0, n + 1]).collect();
        let result = at.transpose(result, &order)?;
        at.slice(result, &vec![Dim::zero(); n + 2], &taps)
    }
}
