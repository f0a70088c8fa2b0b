//! Convolutions and their transposes. The primitive has channels last; channels first is a transpose around it.
//!
//! SAME padding: the result has `ceil(n / stride)` places, and of the padding that this needs the smaller half comes
//! first. A transposed convolution spreads its operand by the stride and is padded so that it undoes the forward one
//! whose input sizes it is given: the sizes decide the alignment.

use super::{
    Import, Outputs, Stop, TfOp,
    build::{one, part},
};
use crate::{base::Dim, graph::NodeId, op::Conv, tensor::DType};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Conv2D", import: conv },
    TfOp { name: "Conv3D", import: conv },
    TfOp { name: "DepthwiseConv2dNative", import: depthwise },
    TfOp { name: "Conv2DBackpropInput", import: |cx| by_sizes(cx, 0, transposed) },
    TfOp { name: "Conv2DBackpropInputV2", import: |cx| by_shape(cx, 0, transposed) },
    TfOp { name: "Conv3DBackpropInput", import: |cx| by_shape(cx, 0, transposed) },
    TfOp { name: "Conv3DBackpropInputV2", import: |cx| by_sizes(cx, 0, transposed) },
    TfOp { name: "DepthwiseConv2dNativeBackpropInput", import: |cx| by_sizes(cx, 0, depthwise_transposed) },
];

/// Where the channels and the spatial axes of a data format lie.
pub(super) struct Layout {
    pub rank: usize,
    pub channels: usize,
}

impl Layout {
    pub fn of(format: &str, rank: usize) -> Result<Layout> {
        let channels = match (format, rank) {
            ("NHWC", 4) | ("NDHWC", 5) => rank - 1,
            ("NCHW", 4) | ("NCDHW", 5) => 1,
            _ => return Err(format!("data format {format} is not supported for rank {rank}").into()),
        };
        Ok(Layout { rank, channels })
    }
    pub fn spatial(&self) -> impl Iterator<Item = usize> + use<> {
        let channels = self.channels;
        (1..self.rank).filter(move |&a| a != channels)
    }
    /// Moves the channels last.
    pub fn channels_last(&self) -> Vec<usize> {
        [0].into_iter().chain(self.spatial()).chain([self.channels]).collect()
    }
    /// Moves the channels, which are last, where the format has them.
    pub fn back(&self) -> Vec<usize> {
        let to = self.channels_last();
        (0..self.rank).map(|a| to.iter().position(|&p| p == a).unwrap_or(a)).collect()
    }
    /// The spatial entries of an attribute with one entry per axis; batch and channels must have 1.
    pub fn spatial_attr(&self, cx: &Import, name: &str) -> Result<Vec<i64>> {
        let list = cx.node.attr_ints(name)?;
        if list.len() != self.rank {
            return Err(format!("attribute `{name}` has {} entries for rank {}", list.len(), self.rank).into());
        }
        if list[0] != 1 || list[self.channels] != 1 {
            return Err(format!("attribute `{name}` works on batch or channels, which is not supported").into());
        }
        if list.iter().any(|&n| n < 1) {
            return Err(format!("attribute `{name}` has an entry below 1").into());
        }
        Ok(self.spatial().map(|a| list[a]).collect())
    }
}

/// What surrounds one spatial axis.
pub(super) struct Margin {
    pub low: Dim,
    pub high: Dim,
}

/// How a window moves along one spatial axis.
pub(super) struct Step {
    pub size: Dim,
    pub stride: i64,
    pub dilation: i64,
}

impl Step {
    /// The extent that the window covers.
    fn span(&self) -> Dim {
        (&self.size - 1) * self.dilation + 1
    }
}

/// The margins that the `padding` attribute asks for around the spatial extents, which have to hold the window.
pub(super) fn margins(cx: &mut Import, layout: &Layout, extents: &[Dim], steps: &[Step]) -> Result<Vec<Margin>> {
    let margins: Vec<Margin> = match cx.node.attr_str("padding")? {
        "VALID" => extents.iter().map(|_| Margin { low: Dim::zero(), high: Dim::zero() }).collect(),
        "SAME" => return Ok(extents.iter().zip(steps).map(|(n, step)| same(n, step)).collect()),
        "EXPLICIT" => {
            let list = cx.node.attr_ints("explicit_paddings")?;
            if list.len() != 2 * layout.rank || list.iter().any(|&n| n < 0) {
                return Err(format!("explicit paddings {list:?} do not fit rank {}", layout.rank).into());
            }
            if [0, layout.channels].iter().any(|&a| list[2 * a] != 0 || list[2 * a + 1] != 0) {
                return Err("paddings of batch or channels are not supported".into());
            }
            layout.spatial().map(|a| Margin { low: list[2 * a].into(), high: list[2 * a + 1].into() }).collect()
        }
        other => return Err(format!("padding {other} is not supported").into()),
    };
    for ((n, step), margin) in extents.iter().zip(steps).zip(&margins) {
        require_window(cx, &(n + &margin.low + &margin.high), step)?;
    }
    Ok(margins)
}

/// TensorFlow counts `(n - span + stride) / stride` places, rounded toward zero, and raises where that is negative: a
/// window that is larger than the image by less than two strides has no place, and is no mistake. Its kernels for single
/// and half precision take that badly, though: they abort, or give memory that nothing wrote. There the image has to hold
/// the window; the forward image of a transposed convolution, and that of a mean, need not.
fn require_window(cx: &mut Import, padded: &Dim, step: &Step) -> Result<()> {
    let dtype = cx.dtype(cx.arg(0)?);
    let op = &cx.node.op;
    let held = dtype.is_float() && dtype != DType::F64 && !op.starts_with("Avg") && !op.starts_with("Dilation");
    let span = step.span();
    let least = if held && !span.is(1) { span } else { span - 2 * step.stride + 1 };
    cx.require_at_most(&least, padded, "a window is larger than what it moves over")
}

fn same(n: &Dim, step: &Step) -> Margin {
    let places = n.ceil_div(&Dim::from(step.stride));
    let total = ((places - 1) * step.stride + step.span() - n).at_least(&Dim::zero());
    let low = total.floor_div(&Dim::from(2));
    Margin { high: total - &low, low }
}

pub(super) fn steps(cx: &Import, layout: &Layout, sizes: &[Dim]) -> Result<Vec<Step>> {
    let (strides, dilations) = (layout.spatial_attr(cx, "strides")?, layout.spatial_attr(cx, "dilations")?);
    let step = |a: usize| Step { size: sizes[a].clone(), stride: strides[a], dilation: dilations[a] };
    Ok((0..sizes.len()).map(step).collect())
}

/// The spatial rank is the operator's; the operands must have it. The first gradients in three dimensions have channels
/// last, and no attribute that says so.
pub(super) fn layout(cx: &Import, x: NodeId, other: NodeId) -> Result<Layout> {
    let op = &cx.node.op[..];
    let rank = if op.starts_with("Conv3D") { 5 } else { 4 };
    if [cx.rank(x), cx.rank(other)] != [rank; 2] {
        return Err(format!("expected operands of rank {rank}, got {} and {}", cx.rank(x), cx.rank(other)).into());
    }
    let first = matches!(op, "Conv3DBackpropInput" | "Conv3DBackpropFilter");
    Layout::of(if first { "NDHWC" } else { cx.node.attr_str("data_format")? }, rank)
}

pub(super) fn fixed(dim: &Dim, what: &str) -> Result<usize> {
    let n = dim.as_int().and_then(|n| usize::try_from(n).ok());
    n.ok_or_else(|| format!("{what} must be fixed, but is {dim}").into())
}

fn forward(cx: &mut Import, x: NodeId, filter: NodeId, layout: &Layout, groups: usize) -> Result<NodeId> {
    let x = cx.transpose(x, &layout.channels_last())?;
    let n = layout.rank - 2;
    let (shape, sizes) = (cx.shape(x), cx.shape(filter)[..n].to_vec());
    let steps = steps(cx, layout, &sizes)?;
    let margins = margins(cx, layout, &shape[1..=n], &steps)?;
    let conv = primitive(&steps, &margins, groups);
    let y = cx.composed(|c| conv.convolve(c, part(x), part(filter)))?;
    cx.transpose(y, &layout.back())
}

/// The forward convolution.
pub(super) fn primitive(steps: &[Step], margins: &[Margin], groups: usize) -> Conv {
    Conv {
        stride: steps.iter().map(|s| s.stride).collect(),
        dilation: steps.iter().map(|s| s.dilation).collect(),
        input_dilation: vec![1; steps.len()],
        low: margins.iter().map(|m| m.low.clone()).collect(),
        high: margins.iter().map(|m| m.high.clone()).collect(),
        groups,
    }
}

fn conv(cx: &mut Import) -> Outputs {
    let (x, filter) = (cx.arg(0)?, cx.arg(1)?);
    let layout = layout(cx, x, filter)?;
    let filters = cx.shape(filter);
    let (inner, depth) = (&filters[layout.rank - 2], cx.shape(x)[layout.channels].clone());
    let groups = group_count(cx, &depth, inner)?;
    one(forward(cx, x, filter, &layout, groups)?)
}

/// The channels of the operand over those of the filter.
pub(super) fn group_count(cx: &mut Import, channels: &Dim, per_group: &Dim) -> Result<usize> {
    if channels == per_group {
        return Ok(1);
    }
    let per_group = fixed(per_group, "the number of channels of the filter")?;
    let Some(channels) = channels.as_int() else {
        cx.require_equal(channels, &per_group.into(), "the channels of the operand and the filter")?;
        return Ok(1);
    };
    match channels as usize {
        n if per_group > 0 && n.is_multiple_of(per_group) => Ok(n / per_group),
        n => Err(format!("{n} channels are not a multiple of the filter's {per_group}").into()),
    }
}

/// Filter `[h, w, C, M]`: output channel `c * M + m`.
fn depthwise(cx: &mut Import) -> Outputs {
    let (x, filter) = (cx.arg(0)?, cx.arg(1)?);
    let layout = layout(cx, x, filter)?;
    let mut shape = cx.shape(filter);
    cx.require_equal(&cx.shape(x)[layout.channels], &shape[2], "the channels of the operand and the filter")?;
    let channels = fixed(&shape[2], "the number of channels")?;
    shape[3] = &shape[2] * &shape[3];
    shape[2] = Dim::one();
    let filter = cx.reshape(filter, &shape)?;
    one(forward(cx, x, filter, &layout, channels)?)
}

/// A gradient for a tensor of these sizes.
type Gradient = fn(&mut Import, Vec<Dim>) -> Outputs;

/// The sizes of the result are an operand.
pub(super) fn by_sizes(cx: &mut Import, operand: usize, gradient: Gradient) -> Outputs {
    let sizes = cx.dims(operand, "the sizes")?;
    gradient(cx, sizes)
}

/// The result has the shape of an operand whose values do not matter.
pub(super) fn by_shape(cx: &mut Import, operand: usize, gradient: Gradient) -> Outputs {
    let sizes = cx.shape(cx.arg(operand)?);
    gradient(cx, sizes)
}

/// Operands: what says the sizes of the result, the filter `[spatial.., I/groups, O]`, the tensor `[N, spatial.., O]`.
fn transposed(cx: &mut Import, sizes: Vec<Dim>) -> Outputs {
    let (filter, grad) = (cx.arg(1)?, cx.arg(2)?);
    let layout = layout(cx, grad, filter)?;
    let grad = cx.transpose(grad, &layout.channels_last())?;
    let sizes = whole_sizes(cx, sizes, &layout, grad)?;
    let (depth, inner) = (&sizes[layout.rank - 1], &cx.shape(filter)[layout.rank - 2]);
    let groups = group_count(cx, depth, inner)?;
    one(transposed_by(cx, &layout, &sizes, filter, grad, groups)?)
}

/// Filter `[h, w, C, M]`: channel `c * M + m` of the tensor belongs to channel `c` of the result.
fn depthwise_transposed(cx: &mut Import, sizes: Vec<Dim>) -> Outputs {
    let (filter, grad) = (cx.arg(1)?, cx.arg(2)?);
    let layout = layout(cx, grad, filter)?;
    refuse_dilations(cx, &layout)?;
    let grad = cx.transpose(grad, &layout.channels_last())?;
    let sizes = whole_sizes(cx, sizes, &layout, grad)?;
    let mut shape = cx.shape(filter);
    cx.require_equal(&sizes[3], &shape[2], "the channels of the sizes and the filter")?;
    let channels = fixed(&shape[2], "the number of channels")?;
    shape[3] = &shape[2] * &shape[3];
    shape[2] = Dim::one();
    let filter = cx.reshape(filter, &shape)?;
    one(transposed_by(cx, &layout, &sizes, filter, grad, channels)?)
}

/// TensorFlow's kernels for the gradients of depthwise convolutions pass over dilations, without a word.
pub(super) fn refuse_dilations(cx: &Import, layout: &Layout) -> Result<()> {
    match layout.spatial_attr(cx, "dilations")?.iter().all(|&n| n == 1) {
        true => Ok(()),
        false => {
            Err("gradients of depthwise convolutions with dilations are not supported: TensorFlow's are wrong".into())
        }
    }
}

/// The convolution that undoes one with this filter; `sizes` and the tensor `grad` have their channels last.
fn transposed_by(
    cx: &mut Import,
    layout: &Layout,
    sizes: &[Dim],
    filter: NodeId,
    grad: NodeId,
    groups: usize,
) -> Result<NodeId> {
    let (rank, n) = (layout.rank, layout.rank - 2);
    let filter_shape = cx.shape(filter);
    let steps = steps(cx, layout, &filter_shape[..n])?;
    let margins = margins(cx, layout, &sizes[1..=n], &steps)?;
    let shape = cx.shape(grad);
    cx.require_equal(&sizes[0], &shape[0], "the batch of the sizes and the operand")?;
    cx.require_equal(&filter_shape[n + 1], &shape[rank - 1], "the channels of the operand and the filter")?;
    require_places(cx, &sizes[1..=n], &shape[1..=n], &steps, &margins)?;
    let filters = fixed(&filter_shape[n + 1], "the number of filters")?;
    if !filters.is_multiple_of(groups.max(1)) {
        return Err(format!("{groups} groups do not divide {filters} filters").into());
    }
    let forward = primitive(&steps, &margins, groups);
    let y = cx.composed(|c| forward.gradient_of_input(c, part(filter), part(grad), &sizes[1..=n]))?;
    cx.transpose(y, &layout.back())
}

/// A forward convolution of extents `sizes` has to have `extents`.
pub(super) fn require_places(
    cx: &mut Import,
    sizes: &[Dim],
    extents: &[Dim],
    steps: &[Step],
    margins: &[Margin],
) -> Result<()> {
    for (((size, extent), step), margin) in sizes.iter().zip(extents).zip(steps).zip(margins) {
        cx.require_at_most(&Dim::zero(), size, "a size is negative")?;
        let moves = (size + &margin.low + &margin.high - step.span()).floor_div(&Dim::from(step.stride));
        let places = (moves + 1).at_least(&Dim::zero());
        cx.require_equal(&places, extent, "the extent of the operand and what its size calls for")?;
    }
    Ok(())
}

/// The sizes of the result, channels last; the second version of an operator may give the spatial ones only.
fn whole_sizes(cx: &mut Import, given: Vec<Dim>, layout: &Layout, grad: NodeId) -> Result<Vec<Dim>> {
    if given.len() == layout.rank {
        return Ok(layout.channels_last().into_iter().map(|a| given[a].clone()).collect());
    }
    if given.len() != layout.rank - 2 {
        return Err(format!("{} sizes do not fit rank {}", given.len(), layout.rank).into());
    }
    let filter = cx.arg(1)?;
    let (batch, channels) = (cx.shape(grad)[0].clone(), cx.shape(filter)[layout.rank - 2].clone());
    Ok([batch].into_iter().chain(given).chain([channels]).collect())
}
