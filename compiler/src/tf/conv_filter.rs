//! Gradients of convolutions by their filters, composed beside the primitive (`op/conv/adjoint.rs`); those of large depthwise
//! ones are summed image by image.

use super::{
    Import, Outputs, Stop, TfOp,
    build::{one, part},
    conv::{
        Margin, Step, by_shape, by_sizes, fixed, group_count, layout, margins, primitive, refuse_dilations,
        require_places, steps,
    },
    matrix::sum,
};
use crate::{
    base::Dim,
    graph::NodeId,
    op::{Gather, Iota, accumulator},
    tensor::{DType, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Conv2DBackpropFilter", import: |cx| by_sizes(cx, 1, gradient) },
    TfOp { name: "Conv2DBackpropFilterV2", import: |cx| by_shape(cx, 1, gradient) },
    TfOp { name: "Conv3DBackpropFilter", import: |cx| by_shape(cx, 1, gradient) },
    TfOp { name: "Conv3DBackpropFilterV2", import: |cx| by_sizes(cx, 1, gradient) },
    TfOp { name: "DepthwiseConv2dNativeBackpropFilter", import: |cx| by_sizes(cx, 1, depthwise) },
];

/// A forward convolution whose filter is asked for: the operand and the gradient of the result, channels last, and how the
/// window moves along each spatial axis.
struct Forward {
    x: NodeId,
    grad: NodeId,
    steps: Vec<Step>,
    margins: Vec<Margin>,
}

impl Forward {
    /// Operands: the tensor `[N, spatial.., I]`, what says the sizes of the filter, the gradient `[N, spatial.., O]`.
    fn of(cx: &mut Import, sizes: &[Dim]) -> Result<Forward> {
        let (x, grad) = (cx.arg(0)?, cx.arg(2)?);
        let layout = layout(cx, x, grad)?;
        if sizes.len() != layout.rank {
            return Err(format!("{} sizes of a filter do not fit rank {}", sizes.len(), layout.rank).into());
        }
        for size in sizes {
            cx.require_at_most(&Dim::zero(), size, "a size of the filter is negative")?;
        }
        let n = layout.rank - 2;
        let x = cx.transpose(x, &layout.channels_last())?;
        let grad = cx.transpose(grad, &layout.channels_last())?;
        let (from, to) = (cx.shape(x), cx.shape(grad));
        cx.require_equal(&from[0], &to[0], "the batch of the operand and of the gradient")?;
        let steps = steps(cx, &layout, &sizes[..n])?;
        let margins = margins(cx, &layout, &from[1..=n], &steps)?;
        require_places(cx, &from[1..=n], &to[1..=n], &steps, &margins)?;
        Ok(Forward { x, grad, steps, margins })
    }
    /// The operand with its padding.
    fn padded(&self, cx: &mut Import) -> Result<NodeId> {
        let around = |side: fn(&Margin) -> &Dim| {
            let inner = self.margins.iter().map(|margin| side(margin).clone());
            [Dim::zero()].into_iter().chain(inner).chain([Dim::zero()]).collect::<Vec<Dim>>()
        };
        let zero = cx.scalar_like(self.x, 0.0)?;
        cx.pad(self.x, zero, &around(|m| &m.low), &around(|m| &m.high))
    }
    /// `[spatial.., within, O]`, where the operand's channels are `groups` of `within`, each with as many of the O.
    fn gradient(&self, cx: &mut Import, groups: usize, within: &Dim) -> Result<NodeId> {
        let outputs = cx.shape(self.grad)[self.steps.len() + 1].clone();
        let taps = self.steps.iter().map(|step| step.size.clone());
        let shape: Vec<Dim> = taps.chain([within.clone(), outputs]).collect();
        let forward = primitive(&self.steps, &self.margins, groups);
        cx.composed(|c| forward.gradient_of_filter(c, part(self.x), part(self.grad), &shape))
    }
    /// `[spatial.., C]`, where each channel has a filter of its own: the products of the gradient with what each tap meets,
    /// summed over an image and then over all, so that an image is read for all taps while it is near.
    fn by_image(&self, cx: &mut Import) -> Result<NodeId> {
        let (n, to, dtype) = (self.steps.len(), cx.shape(self.grad), cx.dtype(self.x));
        let wide = accumulator(dtype);
        let mut met = self.padded(cx)?;
        for (a, step) in self.steps.iter().enumerate() {
            let shape = vec![step.size.clone(), to[a + 1].clone()];
            let mut at = cx.scalar(DType::I64, 0.0)?;
            for (axis, apart) in [(0, step.dilation), (1, step.stride)] {
                let place = cx.add(Iota { shape: shape.clone(), axis, dtype: DType::I64 }, &[])?;
                let apart = cx.scalar(DType::I64, apart as f64)?;
                let place = cx.mul(place, apart)?;
                at = cx.add_(at, place)?;
            }
            met = cx.add(Gather { axis: 1 + 2 * a, batch: 0, checked: false }, &[met, at])?;
        }
        let taps: Vec<usize> = (0..n).map(|a| 1 + 2 * a).collect();
        let places: Vec<usize> = (0..n).map(|a| 2 + 2 * a).collect();
        let grad = cx.insert_axes(self.grad, &taps)?;
        let (met, grad) = (cx.cast(met, wide)?, cx.cast(grad, wide)?);
        let products = cx.mul(met, grad)?;
        let sums = sum(cx, products, places)?;
        let sums = sum(cx, sums, vec![0])?;
        let sums = cx.cast(sums, dtype)?;
        let taps = self.steps.iter().map(|step| step.size.clone());
        cx.reshape(sums, &taps.chain([to[n + 1].clone()]).collect::<Vec<_>>())
    }
    /// Whether all operands are known to stay in a near cache.
    fn is_near(&self, cx: &Import) -> bool {
        let bytes = |x: NodeId| Some(count(&cx.shape(x)).as_int()? * cx.dtype(x).size() as i64);
        bytes(self.x).zip(bytes(self.grad)).is_some_and(|(x, grad)| x + grad <= NEAR)
    }
}

/// What is read again and again should be no more bytes than this, so that it stays in a cache.
const NEAR: i64 = 1 << 21;

/// A filter `[spatial.., I/groups, O]`.
fn gradient(cx: &mut Import, sizes: Vec<Dim>) -> Outputs {
    let forward = Forward::of(cx, &sizes)?;
    let (inner, outer) = (&sizes[sizes.len() - 2], &sizes[sizes.len() - 1]);
    let channels = |cx: &Import, x: NodeId| cx.shape(x)[sizes.len() - 1].clone();
    cx.require_equal(outer, &channels(cx, forward.grad), "the channels of the gradient and the filter")?;
    let depth = channels(cx, forward.x);
    let groups = group_count(cx, &depth, inner)?;
    one(forward.gradient(cx, groups, inner)?)
}

/// A filter `[h, w, C, M]`.
fn depthwise(cx: &mut Import, sizes: Vec<Dim>) -> Outputs {
    let forward = Forward::of(cx, &sizes)?;
    refuse_dilations(cx, &layout(cx, forward.x, forward.grad)?)?;
    let (channels, each) = (&sizes[2], &sizes[3]);
    cx.require_equal(channels, &cx.shape(forward.x)[3], "the channels of the operand and the filter")?;
    cx.require_equal(&(channels * each), &cx.shape(forward.grad)[3], "the channels of the gradient and the filter")?;
    let groups = fixed(channels, "the number of channels")?;
    let far = each.is(1) && !forward.is_near(cx);
    let y = if far { forward.by_image(cx)? } else { forward.gradient(cx, groups, &Dim::one())? };
    one(cx.reshape(y, &sizes)?)
}
