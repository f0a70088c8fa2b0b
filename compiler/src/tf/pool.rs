//! Pooling. Places outside the operand count for nothing: a maximum passes over them, a mean does not divide by them.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    conv::{Layout, Margin, Step, margins},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{ArgReduce, Gather, Iota, Window},
    tensor::DType,
};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "MaxPool", import: max_pool },
    TfOp { name: "MaxPoolV2", import: max_pool },
    TfOp { name: "MaxPool3D", import: max_pool },
    TfOp { name: "MaxPoolWithArgmax", import: max_pool_with_argmax },
    TfOp { name: "AvgPool", import: avg_pool },
    TfOp { name: "AvgPool3D", import: avg_pool },
];

/// The window over all axes of the operand.
fn window(cx: &mut Import, f: BinaryFn) -> Result<(NodeId, Window), Stop> {
    let x = cx.arg(0)?;
    let rank = if cx.node.op.ends_with("3D") { 5 } else { 4 };
    if cx.rank(x) != rank {
        return Err(format!("expected rank {rank}, got {}", cx.rank(x)).into());
    }
    let layout = Layout::of(cx.node.attr_str("data_format")?, rank)?;
    let (size, stride) = sizes(cx, rank, (cx.node.op == "MaxPoolV2").then_some(1))?;
    let shape = cx.shape(x);
    require_axes(cx, &layout, &size, &stride, &shape)?;
    Ok((x, placed(cx, &layout, &shape, f, size, stride)?))
}

/// Sizes and strides of the window for each axis: attributes, or two operands from number `operand` on.
pub(super) fn sizes(cx: &Import, rank: usize, operand: Option<usize>) -> Result<(Vec<i64>, Vec<i64>), Stop> {
    let (size, stride) = match operand {
        Some(n) => (cx.ints(n, "the window")?, cx.ints(n + 1, "the strides")?),
        None => (cx.node.attr_ints("ksize")?.to_vec(), cx.node.attr_ints("strides")?.to_vec()),
    };
    if [size.len(), stride.len()] != [rank; 2] || size.iter().chain(&stride).any(|&n| n < 1) {
        return Err(format!("window {size:?} and strides {stride:?} do not fit rank {rank}").into());
    }
    Ok((size, stride))
}

/// The window of these sizes and strides over an image of this shape, with the margins that the padding asks for.
pub(super) fn placed(
    cx: &mut Import,
    layout: &Layout,
    shape: &[Dim],
    f: BinaryFn,
    size: Vec<i64>,
    stride: Vec<i64>,
) -> Result<Window, Stop> {
    let rank = shape.len();
    let axes: Vec<usize> =
        if cx.node.attr_str("padding")? == "EXPLICIT" { layout.spatial().collect() } else { (0..rank).collect() };
    let extents: Vec<Dim> = axes.iter().map(|&a| shape[a].clone()).collect();
    let steps: Vec<Step> =
        axes.iter().map(|&a| Step { size: size[a].into(), stride: stride[a], dilation: 1 }).collect();
    let (mut low, mut high) = (vec![Dim::zero(); rank], vec![Dim::zero(); rank]);
    for (&a, Margin { low: l, high: h }) in axes.iter().zip(margins(cx, layout, &extents, &steps)?) {
        if l.as_int() >= Some(size[a]) || h.as_int() >= Some(size[a]) {
            return Err(format!("paddings {l} and {h} are not smaller than the window {}", size[a]).into());
        }
        (low[a], high[a]) = (l, h);
    }
    Ok(Window { f, size, stride, dilation: vec![1; rank], low, high })
}

/// A window moves over the spatial axes; that of a maximum over images may take the channels in equal parts instead.
fn require_axes(cx: &mut Import, layout: &Layout, size: &[i64], stride: &[i64], shape: &[Dim]) -> Result<(), Stop> {
    let c = layout.channels;
    let moves = |a: usize| size[a] > 1 || stride[a] > 1;
    if !moves(0) && !moves(c) {
        return Ok(());
    }
    let max_over_images = layout.rank == 4 && cx.node.op.starts_with("Max");
    if moves(0) || !max_over_images || layout.spatial().any(moves) || size[c] != stride[c] {
        return Err(format!(
            "a window {size:?} with strides {stride:?} works on batch or channels, which is not supported"
        )
        .into());
    }
    let channels = shape[c].clone();
    let parts = channels.floor_div(&Dim::from(size[c]));
    cx.require_equal(&channels, &(parts * size[c]), "the channels and a multiple of the window")
}

fn max_pool(cx: &mut Import) -> Outputs {
    let (x, window) = window(cx, BinaryFn::Max)?;
    one(cx.add(window, &[x])?)
}

/// The sum over the number of places inside the operand, which a window over ones counts.
fn avg_pool(cx: &mut Import) -> Outputs {
    let (x, window) = window(cx, BinaryFn::Add)?;
    one(cx.in_single(x, |cx, x| {
        let sum = cx.add(window.clone(), &[x])?;
        let shape = cx.shape(x);
        match counts(cx, &window, &shape, cx.dtype(x))? {
            Some(count) => cx.div(sum, count),
            None => Ok(sum),
        }
    })?)
}

/// How many places of each window lie inside an image of this shape, in a shape that repeats to that of the result;
/// none where that is 1.
pub(super) fn counts(cx: &mut Import, window: &Window, shape: &[Dim], dtype: DType) -> Result<Option<NodeId>, Stop> {
    let padded = |a: usize| !window.low[a].is(0) || !window.high[a].is(0);
    if !(0..window.size.len()).any(padded) {
        return Ok(Some(cx.scalar(dtype, window.size.iter().product::<i64>() as f64)?));
    }
    let mut count: Option<NodeId> = None;
    for a in (0..window.size.len()).filter(|&a| window.size[a] > 1) {
        let along = count_along(cx, window, &shape[a], dtype, a)?;
        count = Some(match count {
            Some(count) => cx.mul(count, along)?,
            None => along,
        });
    }
    Ok(count)
}

/// How many places of each window lie inside the operand on one axis.
fn count_along(cx: &mut Import, window: &Window, extent: &Dim, dtype: DType, a: usize) -> Result<NodeId, Stop> {
    let mut shape = vec![Dim::one(); window.size.len()];
    shape[a] = extent.clone();
    let unit = cx.scalar(dtype, 1.0)?;
    let ones = cx.broadcast_to(unit, &shape)?;
    let none = vec![Dim::zero(); shape.len()];
    let mut along = Window { f: BinaryFn::Add, low: none.clone(), high: none, ..window.clone() };
    for other in (0..shape.len()).filter(|&other| other != a) {
        (along.size[other], along.stride[other]) = (1, 1);
    }
    (along.low[a], along.high[a]) = (window.low[a].clone(), window.high[a].clone());
    cx.add(along, &[ones])
}

/// The first of the greatest elements of each window, and its place among all elements of its image, or of the batch.
///
/// TensorFlow takes the first element of a window and then every greater one: NaN stays where it is the first, and is
/// passed over elsewhere. Windows are made of the nearest elements inside of the operand, which changes neither the
/// first of them nor which is the first of the greatest.
fn max_pool_with_argmax(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let layout = Layout::of("NHWC", 4)?;
    if cx.rank(x) != 4 {
        return Err(format!("expected rank 4, got {}", cx.rank(x)).into());
    }
    let (size, stride) = (layout.spatial_attr(cx, "ksize")?, layout.spatial_attr(cx, "strides")?);
    let shape = cx.shape(x);
    cx.require_at_most(&Dim::one(), &crate::tensor::count(&shape), "the number of elements")?;
    let steps: Vec<Step> =
        size.iter().zip(&stride).map(|(&n, &stride)| Step { size: n.into(), stride, dilation: 1 }).collect();
    let margins = margins(cx, &layout, &shape[1..3], &steps)?;
    let windows: Vec<Along> = (0..2)
        .map(|a| {
            let padded = &shape[a + 1] + &margins[a].low + &margins[a].high;
            let places = ((padded - size[a]).floor_div(&Dim::from(stride[a])) + 1).at_least(&Dim::zero());
            Along {
                extent: shape[a + 1].clone(),
                places,
                size: size[a],
                stride: stride[a],
                low: margins[a].low.clone(),
            }
        })
        .collect();

    let (place, place_in_batch) = places_of_greatest(cx, x, &windows)?;
    let flat = cx.reshape(x, &[crate::tensor::count(&shape)])?;
    let values = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[flat, place_in_batch])?;
    let place = if cx.node.attr_bool("include_batch_in_index")? { place_in_batch } else { place };
    let places = cx.cast(place, cx.attr_dtype("Targmax")?)?;
    Ok(vec![values.into(), places.into()])
}

/// The place of the first of the greatest elements of each window, among all elements of its image and of the batch.
pub(super) fn places_of_greatest(cx: &mut Import, x: NodeId, windows: &[Along]) -> Result<(NodeId, NodeId), Stop> {
    let shape = cx.shape(x);
    let mut elements = x;
    for (a, along) in windows.iter().enumerate() {
        // The extent becomes places and the elements of each window.
        let (place, offset) = (index_along(cx, 2, 0, &along.places)?, index_along(cx, 2, 1, &along.size.into())?);
        let rows = along.element(cx, place, offset)?;
        elements = cx.add(Gather { axis: 1 + 2 * a, batch: 0, checked: false }, &[elements, rows])?;
    }
    let elements = cx.transpose(elements, &[0, 1, 3, 5, 2, 4])?;
    let out = [&shape[0], &windows[0].places, &windows[1].places, &shape[3]].map(Dim::clone);
    let elements = cx.reshape(elements, &[&out[..], &[Dim::from(windows[0].size * windows[1].size)]].concat())?;
    let mut which = cx.add(ArgReduce { max: true, axis: 4, to: DType::I64 }, &[elements])?;
    if cx.dtype(x).is_float() {
        let first = cx.slice_axis(elements, 4, Dim::zero(), Dim::one())?;
        let number = cx.compare(CompareFn::Eq, first, first)?;
        let zero = cx.scalar(DType::I64, 0.0)?;
        which = cx.select(number, which, zero)?;
    }
    let which = cx.reshape(which, &out)?;
    let place = place_of(cx, which, windows, &shape[3])?;
    let batch = index_along(cx, 4, 0, &shape[0])?;
    let count = cx.dim_scalar(&crate::tensor::count(&shape[1..]), DType::I64)?;
    let before = cx.mul(batch, count)?;
    Ok((place, cx.add_(before, place)?))
}

/// How windows lie along one spatial axis.
pub(super) struct Along {
    pub extent: Dim,
    pub places: Dim,
    pub size: i64,
    pub stride: i64,
    pub low: Dim,
}

impl Along {
    /// The index of element `offset` of the window at `place`, or of the nearest one inside of the operand.
    fn element(&self, cx: &mut Import, place: NodeId, offset: NodeId) -> Result<NodeId, Stop> {
        let [stride, low, last] =
            [Dim::from(self.stride), self.low.clone(), &self.extent - 1].map(|dim| cx.dim_scalar(&dim, DType::I64));
        let start = cx.mul(place, stride?)?;
        let start = cx.sub(start, low?)?;
        let at = cx.add_(start, offset)?;
        let zero = cx.scalar(DType::I64, 0.0)?;
        let at = cx.binary(BinaryFn::Min, at, last?)?;
        cx.binary(BinaryFn::Max, at, zero)
    }
}

/// The place in its image of element `which` of each window.
fn place_of(cx: &mut Import, which: NodeId, windows: &[Along], channels: &Dim) -> Result<NodeId, Stop> {
    let columns = cx.scalar(DType::I64, windows[1].size as f64)?;
    let (row, column) = (cx.div(which, columns)?, cx.binary(BinaryFn::Rem, which, columns)?);
    let place = index_along(cx, 4, 1, &windows[0].places)?;
    let row = windows[0].element(cx, place, row)?;
    let place = index_along(cx, 4, 2, &windows[1].places)?;
    let column = windows[1].element(cx, place, column)?;
    let [width, depth] = [&windows[1].extent, channels].map(|dim| cx.dim_scalar(dim, DType::I64));
    let above = cx.mul(row, width?)?;
    let pixel = cx.add_(above, column)?;
    let before = cx.mul(pixel, depth?)?;
    let channel = index_along(cx, 4, 3, channels)?;
    cx.add_(before, channel)
}

/// The index along one axis, in a tensor of that rank that is repeated along the others.
fn index_along(cx: &mut Import, rank: usize, axis: usize, extent: &Dim) -> Result<NodeId, Stop> {
    let mut shape = vec![Dim::one(); rank];
    shape[axis] = extent.clone();
    cx.add(Iota { shape, axis, dtype: DType::I64 }, &[])
}
