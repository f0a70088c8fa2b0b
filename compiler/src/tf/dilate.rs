//! Dilation of images in the sense of morphology, the greatest sum of a window and a filter, and its gradients.
//!
//! A window's steps are written out. Sums that are not more than the least finite number count for nothing, as NaN does, and of
//! equal ones the first is taken.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    conv::{Layout, Margin, Step, fixed, margins},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Iota, Outside, Scatter, identity},
    tensor::{DType, Scalar, Tensor, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Dilation2D", import: dilation },
    TfOp { name: "Dilation2DBackpropInput", import: gradient_of_image },
    TfOp { name: "Dilation2DBackpropFilter", import: gradient_of_filter },
];

/// Steps of a window that are written out at most.
const MOST_STEPS: usize = 256;

/// How the windows of a filter lie over images.
struct Windows {
    image: NodeId,
    filter: NodeId,
    /// Rows and columns of the filter.
    size: [usize; 2],
    stride: Vec<i64>,
    rate: Vec<i64>,
    low: [Dim; 2],
    padded: NodeId,
    /// Whether something is padded.
    has_margin: bool,
    /// The shape of the result: `[batch, rows, columns, channels]`.
    places: Vec<Dim>,
}

fn windows(cx: &mut Import) -> Result<Windows> {
    let (image, filter) = (cx.arg(0)?, cx.arg(1)?);
    let (shape, filters) = (cx.shape(image), cx.shape(filter));
    let ([_, _, _, channels], [rows, columns, depth]) = (&shape[..], &filters[..]) else {
        let ranks = format!("{} and {}", shape.len(), filters.len());
        return Err(format!("expected images of rank 4 and a filter of rank 3, got ranks {ranks}").into());
    };
    cx.require_equal(channels, depth, "the channels of images and filter")?;
    let size =
        [fixed(rows, "the number of rows of the filter")?, fixed(columns, "the number of columns of the filter")?];
    if !(1..=MOST_STEPS).contains(&(size[0] * size[1])) {
        return Err(format!("a filter of {} by {} elements is not supported", size[0], size[1]).into());
    }
    let layout = Layout::of("NHWC", 4)?;
    let (stride, rate) = (layout.spatial_attr(cx, "strides")?, layout.spatial_attr(cx, "rates")?);
    let step = |a: usize| Step { size: size[a].into(), stride: stride[a], dilation: rate[a] };
    let steps = [step(0), step(1)];
    let margins = margins(cx, &layout, &shape[1..3], &steps)?;
    let mut places = shape.clone();
    for a in 0..2 {
        let span = (size[a] as i64 - 1) * rate[a] + 1;
        let whole = &shape[a + 1] + &margins[a].low + &margins[a].high;
        places[a + 1] = ((whole - span).floor_div(&Dim::from(stride[a])) + 1).at_least(&Dim::zero());
    }
    let around =
        |of: fn(&Margin) -> &Dim| vec![Dim::zero(), of(&margins[0]).clone(), of(&margins[1]).clone(), Dim::zero()];
    let (low, high) = (around(|m| &m.low), around(|m| &m.high));
    let has_margin = low.iter().chain(&high).any(|d| !d.is(0));
    let zero = cx.scalar_like(image, 0.0)?;
    let padded = cx.pad(image, zero, &low, &high)?;
    let low = [low[1].clone(), low[2].clone()];
    Ok(Windows { image, filter, size, stride, rate, low, padded, has_margin, places })
}

impl Windows {
    /// Row and column of each element of the filter, in order.
    fn elements(&self) -> impl DoubleEndedIterator<Item = [usize; 2]> + use<> {
        let columns = self.size[1];
        (0..self.size[0] * columns).map(move |n| [n / columns, n % columns])
    }
    /// The number of the row or column of images where each window begins, `i64` in a shape that repeats to the result's.
    fn begins(&self, cx: &mut Import, axis: usize) -> Result<NodeId> {
        let mut shape = vec![Dim::one(); 4];
        shape[axis + 1] = self.places[axis + 1].clone();
        let place = cx.add(Iota { shape, axis: axis + 1, dtype: DType::I64 }, &[])?;
        let (stride, low) =
            (cx.scalar(DType::I64, self.stride[axis] as f64)?, cx.dim_scalar(&self.low[axis], DType::I64)?);
        let place = cx.mul(place, stride)?;
        cx.sub(place, low)
    }
    /// Numbers of rows or columns by those of an element of the filter.
    fn at(&self, cx: &mut Import, axis: usize, element: NodeId) -> Result<NodeId> {
        let (begins, rate) = (self.begins(cx, axis)?, cx.scalar(DType::I64, self.rate[axis] as f64)?);
        let further = cx.mul(element, rate)?;
        cx.add_(begins, further)
    }
    /// Whether an element of the filter lies over the image, for each window.
    fn covers(&self, cx: &mut Import, element: [usize; 2]) -> Result<NodeId> {
        let mut covers = cx.scalar(DType::Bool, 1.0)?;
        for (axis, number) in element.into_iter().enumerate() {
            let number = cx.scalar(DType::I64, number as f64)?;
            let at = self.at(cx, axis, number)?;
            let (zero, end) =
                (cx.scalar(DType::I64, 0.0)?, cx.dim_scalar(&cx.shape(self.image)[axis + 1].clone(), DType::I64)?);
            let (low, high) = (cx.compare(CompareFn::Ge, at, zero)?, cx.compare(CompareFn::Lt, at, end)?);
            let within = cx.and(low, high)?;
            covers = cx.and(covers, within)?;
        }
        Ok(covers)
    }
    /// The least finite number.
    fn least(&self, cx: &mut Import) -> Result<NodeId> {
        let dtype = cx.dtype(self.image);
        let least = match dtype.is_float() {
            true => Scalar::from_f64(dtype, -dtype.greatest()),
            false => identity(BinaryFn::Max, dtype),
        };
        cx.constant(Tensor::scalar(dtype, least))
    }
    /// The sums of all windows with one element of the filter, and the least number where they count for nothing.
    fn sums(&self, cx: &mut Import, element: [usize; 2]) -> Result<NodeId> {
        let start = (0..2).map(|a| Dim::from(element[a] as i64 * self.rate[a]));
        let start: Vec<Dim> = [Dim::zero()].into_iter().chain(start).chain([Dim::zero()]).collect();
        let stride = vec![1, self.stride[0], self.stride[1], 1];
        let pixels = cx.slice(self.padded, start, stride, self.places.clone())?;
        let channels = self.places[3].clone();
        let start = vec![element[0].into(), element[1].into(), Dim::zero()];
        let weights = cx.slice(self.filter, start, vec![1; 3], vec![Dim::one(), Dim::one(), channels.clone()])?;
        let weights = cx.reshape(weights, &[channels])?;
        let sums = cx.add_(pixels, weights)?;
        let least = self.least(cx)?;
        let mut counts = cx.compare(CompareFn::Gt, sums, least)?;
        if self.has_margin {
            let covers = self.covers(cx, element)?;
            counts = cx.and(counts, covers)?;
        }
        cx.select(counts, sums, least)
    }
    fn greatest(&self, cx: &mut Import) -> Result<NodeId> {
        let mut greatest = None;
        for element in self.elements() {
            let sums = self.sums(cx, element)?;
            greatest = Some(match greatest {
                Some(greatest) => cx.binary(BinaryFn::Max, greatest, sums)?,
                None => sums,
            });
        }
        greatest.ok_or_else(|| Stop::from("a filter has no elements"))
    }
    /// The row and the column of the filter's element of which the sum was taken, and whether there is one.
    fn chosen(&self, cx: &mut Import) -> Result<[NodeId; 3]> {
        let greatest = self.greatest(cx)?;
        let zero = cx.scalar(DType::I64, 0.0)?;
        let (mut row, mut column) = (zero, zero);
        for element in self.elements().rev() {
            let sums = self.sums(cx, element)?;
            let is_it = cx.compare(CompareFn::Eq, sums, greatest)?;
            let [r, c] = element.map(|n| cx.scalar(DType::I64, n as f64));
            (row, column) = (cx.select(is_it, r?, row)?, cx.select(is_it, c?, column)?);
        }
        let least = self.least(cx)?;
        Ok([row, column, cx.compare(CompareFn::Gt, greatest, least)?])
    }
    /// Operand 2, the gradient of the result.
    fn gradient(&self, cx: &mut Import) -> Result<NodeId> {
        let g = cx.arg(2)?;
        let given = cx.shape(g);
        if given.len() != 4 {
            return Err(format!("expected a gradient of rank 4, got {}", given.len()).into());
        }
        for (a, b) in given.iter().zip(&self.places) {
            cx.require_equal(a, b, "the extents of the gradient and of the windows")?;
        }
        cx.reshape(g, &self.places)
    }
}

/// Numbers along axes of extents after the first one, as one number: `((a * n + b) * m + c) ..`.
fn linear(cx: &mut Import, parts: &[NodeId], extents: &[Dim]) -> Result<NodeId> {
    let mut whole = parts[0];
    for (&part, extent) in parts[1..].iter().zip(extents) {
        let extent = cx.dim_scalar(extent, DType::I64)?;
        let scaled = cx.mul(whole, extent)?;
        whole = cx.add_(scaled, part)?;
    }
    Ok(whole)
}

/// Zeros of a shape, with the elements of a gradient added where their numbers say.
fn scattered(cx: &mut Import, shape: &[Dim], at: NodeId, g: NodeId) -> Outputs {
    let zero = cx.scalar_like(g, 0.0)?;
    let zeros = cx.broadcast_to(zero, &[count(shape)])?;
    let at = cx.broadcast_to(at, &cx.shape(g))?;
    let at = cx.insert_axes(at, &[4])?;
    let scatter = Scatter { f: Combine::Add, depth: 1, below: Outside::Drop, above: Outside::Drop };
    let sum = cx.add(scatter, &[zeros, at, g])?;
    one(cx.reshape(sum, shape)?)
}

fn numbers(cx: &mut Import, axis: usize, extent: &Dim) -> Result<NodeId> {
    let mut shape = vec![Dim::one(); 4];
    shape[axis] = extent.clone();
    cx.add(Iota { shape, axis, dtype: DType::I64 }, &[])
}

fn dilation(cx: &mut Import) -> Outputs {
    let windows = windows(cx)?;
    one(windows.greatest(cx)?)
}

/// Operands: images, filter, the gradient of the result. A window without a sum that counts passes its gradient to where it
/// begins.
fn gradient_of_image(cx: &mut Import) -> Outputs {
    let windows = windows(cx)?;
    let g = windows.gradient(cx)?;
    let [row, column, some] = windows.chosen(cx)?;
    let shape = cx.shape(windows.image);
    let mut parts = vec![numbers(cx, 0, &shape[0])?];
    for (axis, element) in [row, column].into_iter().enumerate() {
        let (at, begins, zero) =
            (windows.at(cx, axis, element)?, windows.begins(cx, axis)?, cx.scalar(DType::I64, 0.0)?);
        let begins = cx.binary(BinaryFn::Max, begins, zero)?;
        parts.push(cx.select(some, at, begins)?);
    }
    parts.push(numbers(cx, 3, &shape[3])?);
    let at = linear(cx, &parts, &shape[1..])?;
    scattered(cx, &shape, at, g)
}

/// Operands: images, filter, the gradient of the result. A window without a sum that counts passes its gradient to the first
/// element.
fn gradient_of_filter(cx: &mut Import) -> Outputs {
    let windows = windows(cx)?;
    let g = windows.gradient(cx)?;
    let [row, column, some] = windows.chosen(cx)?;
    let shape = cx.shape(windows.filter);
    let zero = cx.scalar(DType::I64, 0.0)?;
    let (row, column) = (cx.select(some, row, zero)?, cx.select(some, column, zero)?);
    let channel = numbers(cx, 3, &shape[2])?;
    let at = linear(cx, &[row, column, channel], &shape[1..])?;
    scattered(cx, &shape, at, g)
}
