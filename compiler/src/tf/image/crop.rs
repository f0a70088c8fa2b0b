//! Parts of images by boxes, made of one size, and the gradients of that.
//!
//! A box is two corners, of which 0 and 1 are the middles of the outermost pixels. Positions are computed in f32 step by step as
//! TensorFlow does.

use super::clamped;
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Gather, Iota, Outside, Reduce, Scatter},
    tensor::{DType, count},
    tf::{
        Import, Outputs, Stop, TfOp,
        build::{one, widened},
    },
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "CropAndResize", import: crop },
    TfOp { name: "CropAndResizeGradImage", import: gradient_of_image },
    TfOp { name: "CropAndResizeGradBoxes", import: gradient_of_boxes },
];

/// What the places of the crops take along one axis of the image, each `[boxes, places]`.
struct Line {
    position: NodeId,
    /// Whether the position lies in the image.
    inside: NodeId,
    /// The pixels before and behind it, and how far it is from the former.
    low: NodeId,
    high: NodeId,
    fraction: NodeId,
}

/// Boxes on images.
struct Boxes {
    boxes: NodeId,
    /// The image of each box, `i64[boxes]`.
    image: NodeId,
    /// Height and width of images and of crops.
    from: [Dim; 2],
    to: [Dim; 2],
}

/// A dim that is 1 where an extent is 1, and else 0.
fn is_one(extent: &Dim) -> Dim {
    extent.equals(&Dim::one())
}

/// `one` where an extent is 1, and else `more`.
fn where_one(cx: &mut Import, extent: &Dim, one: NodeId, more: NodeId) -> Result<NodeId> {
    let holds = is_one(extent);
    match () {
        () if holds.is(1) => Ok(one),
        () if holds.is(0) => Ok(more),
        () => {
            let (holds, zero) = (cx.dim_scalar(&holds, DType::I64)?, cx.scalar(DType::I64, 0.0)?);
            let holds = cx.compare(CompareFn::Ne, holds, zero)?;
            cx.select(holds, one, more)
        }
    }
}

impl Boxes {
    /// Operands `first` and the next one; an image that is not below `batch` is a fault.
    fn of(cx: &mut Import, first: usize, batch: &Dim, from: [Dim; 2], to: [Dim; 2]) -> Result<Boxes> {
        let (boxes, image) = (cx.arg(first)?, cx.arg(first + 1)?);
        let ([n, four], [m]) = (&cx.shape(boxes)[..], &cx.shape(image)[..]) else {
            let ranks = format!("{} and {}", cx.rank(boxes), cx.rank(image));
            return Err(format!("expected a matrix of boxes and a vector of their images, got ranks {ranks}").into());
        };
        cx.require_equal(four, &Dim::from(4), "the columns of boxes")?;
        cx.require_equal(m, n, "the numbers of boxes and of their images")?;
        for (extent, what) in from.iter().map(|d| (d, "image")).chain(to.iter().map(|d| (d, "crop"))) {
            cx.require_at_most(&Dim::one(), extent, &format!("the size of the {what}"))?;
        }
        let all = cx.add(Iota { shape: vec![batch.clone()], axis: 0, dtype: DType::I64 }, &[])?;
        let image = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[all, image])?;
        Ok(Boxes { boxes, image, from, to })
    }
    fn number(&self, cx: &Import) -> Dim {
        cx.shape(self.boxes)[0].clone()
    }
    /// Column `at` of the boxes, `[boxes, 1]`.
    fn side(&self, cx: &mut Import, at: usize) -> Result<NodeId> {
        cx.slice_axis(self.boxes, 1, at.into(), Dim::one())
    }
    /// The numbers of the places along an axis, `f32[1, places]`, and the last position in the image.
    fn places(&self, cx: &mut Import, axis: usize) -> Result<(NodeId, NodeId)> {
        let place = cx.add(Iota { shape: vec![Dim::one(), self.to[axis].clone()], axis: 1, dtype: DType::F32 }, &[])?;
        Ok((place, cx.dim_scalar(&(&self.from[axis] - 1), DType::F32)?))
    }
    /// How many pixels lie between neighbouring places of a box that is the whole image; for one place that says nothing.
    fn ratio(&self, cx: &mut Import, axis: usize) -> Result<NodeId> {
        let last = cx.dim_scalar(&(&self.from[axis] - 1), DType::F32)?;
        let gaps = cx.dim_scalar(&(&self.to[axis] - 1).at_least(&Dim::one()), DType::F32)?;
        cx.div(last, gaps)
    }
    /// A line; by the gradient of the boxes the width of a box is multiplied by a ratio.
    fn line(&self, cx: &mut Import, axis: usize, by_ratio: bool) -> Result<Line> {
        let (low, high) = (self.side(cx, axis)?, self.side(cx, axis + 2)?);
        let (place, last) = self.places(cx, axis)?;
        let width = cx.sub(high, low)?;
        let scale = if by_ratio {
            let ratio = self.ratio(cx, axis)?;
            cx.mul(width, ratio)?
        } else {
            let gaps = cx.dim_scalar(&(&self.to[axis] - 1).at_least(&Dim::one()), DType::F32)?;
            let width = cx.mul(width, last)?;
            cx.div(width, gaps)?
        };
        let (start, way) = (cx.mul(low, last)?, cx.mul(place, scale)?);
        let spread = cx.add_(start, way)?;
        let (both, half) = (cx.add_(low, high)?, cx.scalar(DType::F32, 0.5)?);
        let middle = cx.mul(both, half)?;
        let middle = cx.mul(middle, last)?;
        let position = where_one(cx, &self.to[axis], middle, spread)?;
        let zero = cx.scalar(DType::F32, 0.0)?;
        let (above, below) = (cx.compare(CompareFn::Ge, position, zero)?, cx.compare(CompareFn::Le, position, last)?);
        let inside = cx.and(above, below)?;
        let (floor, ceil) = (cx.unary(UnaryFn::Floor, position)?, cx.unary(UnaryFn::Ceil, position)?);
        let fraction = cx.sub(position, floor)?;
        let end = cx.dim_scalar(&(&self.from[axis] - 1), DType::I64)?;
        let (low, high) = (cx.cast(floor, DType::I64)?, cx.cast(ceil, DType::I64)?);
        Ok(Line { position, inside, low: clamped(cx, low, end)?, high: clamped(cx, high, end)?, fraction })
    }
    /// The nearest pixels along a line, halves upwards.
    fn nearest(&self, cx: &mut Import, axis: usize, line: &Line) -> Result<NodeId> {
        let floor = cx.unary(UnaryFn::Floor, line.position)?;
        let half = cx.scalar(DType::F32, 0.5)?;
        let up = cx.compare(CompareFn::Ge, line.fraction, half)?;
        let (floor, up) = (cx.cast(floor, DType::I64)?, cx.cast(up, DType::I64)?);
        let at = cx.add_(floor, up)?;
        let end = cx.dim_scalar(&(&self.from[axis] - 1), DType::I64)?;
        clamped(cx, at, end)
    }
    /// The numbers of pixels among all of all images, `i64[boxes, height, width]`, by those of rows and columns.
    fn pixels(&self, cx: &mut Import, rows: NodeId, columns: NodeId) -> Result<NodeId> {
        let [height, width] = [0, 1].map(|axis| cx.dim_scalar(&self.from[axis], DType::I64));
        let (height, width) = (height?, width?);
        let image = cx.insert_axes(self.image, &[1])?;
        let row = cx.mul(image, height)?;
        let row = cx.add_(row, rows)?;
        let row = cx.mul(row, width)?;
        let [row, column] = [cx.insert_axes(row, &[2])?, cx.insert_axes(columns, &[1])?];
        cx.add_(row, column)
    }
}

/// Values of rows and of columns, in the shape of crops `[boxes, height, width, channels]`.
fn spread(cx: &mut Import, rows: NodeId, columns: NodeId) -> Result<[NodeId; 2]> {
    Ok([cx.insert_axes(rows, &[2, 3])?, cx.insert_axes(columns, &[1, 3])?])
}

/// Whether places lie in the image, `bool[boxes, height, width]`.
fn inside(cx: &mut Import, y: &Line, x: &Line) -> Result<NodeId> {
    let [row, column] = [cx.insert_axes(y.inside, &[2])?, cx.insert_axes(x.inside, &[1])?];
    cx.and(row, column)
}

/// Height, width and channels of an image, and the batch.
fn image_shape(cx: &Import, x: NodeId) -> Result<[Dim; 4]> {
    <[Dim; 4]>::try_from(cx.shape(x)).map_err(|shape| format!("expected rank 4, got {}", shape.len()).into())
}

/// All pixels, `[batch * height * width, channels]`, as f32.
fn flat(cx: &mut Import, image: NodeId) -> Result<NodeId> {
    let shape = cx.shape(image);
    let image = cx.cast(image, DType::F32)?;
    cx.reshape(image, &[count(&shape[..3]), shape[3].clone()])
}

/// The four pixels around each place: top left, top right, bottom left, bottom right.
fn corners(cx: &mut Import, boxes: &Boxes, flat: NodeId, y: &Line, x: &Line) -> Result<[NodeId; 4]> {
    let mut corners = [flat; 4];
    let places = [(y.low, x.low), (y.low, x.high), (y.high, x.low), (y.high, x.high)];
    for (corner, (row, column)) in corners.iter_mut().zip(places) {
        let at = boxes.pixels(cx, row, column)?;
        *corner = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[flat, at])?;
    }
    Ok(corners)
}

/// Whether pixels are blended, and not the nearest one taken.
fn blends(cx: &Import) -> Result<bool> {
    match cx.node.attr_str("method")? {
        "bilinear" => Ok(true),
        "nearest" => Ok(false),
        other => Err(format!("the method {other} is not supported").into()),
    }
}

fn between(cx: &mut Import, a: NodeId, b: NodeId, fraction: NodeId) -> Result<NodeId> {
    let way = cx.sub(b, a)?;
    let part = cx.mul(way, fraction)?;
    cx.add_(a, part)
}

/// The crops, f32. A place outside of the image has the value that an attribute gives.
fn crop(cx: &mut Import) -> Outputs {
    let image = cx.arg(0)?;
    let [batch, height, width, _] = image_shape(cx, image)?;
    let Ok(to) = <[Dim; 2]>::try_from(cx.dims(3, "the size")?) else { return Err("expected two sizes".into()) };
    let mut boxes = Boxes::of(cx, 1, &batch, [height, width], to)?;
    let (magnitude, greatest) = (cx.unary(UnaryFn::Abs, boxes.boxes)?, cx.scalar(DType::F32, f64::from(f32::MAX))?);
    let finite = cx.compare(CompareFn::Le, magnitude, greatest)?;
    let finite = cx.add(Reduce { f: BinaryFn::And, axes: vec![0, 1] }, &[finite])?;
    let finite = cx.reshape(finite, &[])?;
    boxes.boxes = cx.provided(boxes.boxes, finite, "all boxes are finite")?;
    let (y, x) = (boxes.line(cx, 0, false)?, boxes.line(cx, 1, false)?);
    let flat = flat(cx, image)?;
    let value = if blends(cx)? {
        let [a, b, c, d] = corners(cx, &boxes, flat, &y, &x)?;
        let [down, across] = spread(cx, y.fraction, x.fraction)?;
        let (top, bottom) = (between(cx, a, b, across)?, between(cx, c, d, across)?);
        between(cx, top, bottom, down)?
    } else {
        let (rows, columns) = (boxes.nearest(cx, 0, &y)?, boxes.nearest(cx, 1, &x)?);
        let at = boxes.pixels(cx, rows, columns)?;
        cx.add(Gather { axis: 0, batch: 0, checked: false }, &[flat, at])?
    };
    let outside = cx.node.attr_float("extrapolation_value")?;
    let (inside, outside) = (inside(cx, &y, &x)?, cx.scalar(DType::F32, f64::from(outside))?);
    let inside = cx.insert_axes(inside, &[3])?;
    one(cx.select(inside, value, outside)?)
}

/// Operand 0, the gradient of crops: `[boxes, height, width, channels]`, and its extents.
fn of_crops(cx: &Import) -> Result<(NodeId, [Dim; 4])> {
    let g = cx.arg(0)?;
    Ok((g, image_shape(cx, g)?))
}

/// Operands: the gradient of the crops, boxes, their images, and the extents of the images. Each place gives to its pixels
/// what it took of them.
fn gradient_of_image(cx: &mut Import) -> Outputs {
    let (g, [number, rows, columns, channels]) = of_crops(cx)?;
    let Ok([batch, height, width, depth]) = <[Dim; 4]>::try_from(cx.dims(3, "the extents of the images")?) else {
        return Err("expected four extents".into());
    };
    cx.require_at_most(&Dim::zero(), &batch, "the number of images")?;
    cx.require_equal(&channels, &depth, "the channels of the gradient and of the images")?;
    let shape = [batch.clone(), height.clone(), width.clone(), depth];
    let boxes = Boxes::of(cx, 1, &batch, [height, width], [rows, columns])?;
    cx.require_equal(&number, &boxes.number(cx), "the numbers of crops and of boxes")?;
    let dtype = cx.attr_dtype("T")?;
    let (y, x) = (boxes.line(cx, 0, false)?, boxes.line(cx, 1, false)?);
    let inside = inside(cx, &y, &x)?;
    let nowhere = cx.scalar(DType::I64, -1.0)?;
    let zero = cx.scalar(widened(dtype), 0.0)?;
    let mut sum = cx.broadcast_to(zero, &[count(&shape[..3]), shape[3].clone()])?;
    let mut scatter = |cx: &mut Import, rows: NodeId, columns: NodeId, part: NodeId| {
        let at = boxes.pixels(cx, rows, columns)?;
        let at = cx.select(inside, at, nowhere)?;
        let at = cx.insert_axes(at, &[3])?;
        let part = cx.cast(part, widened(dtype))?;
        // Only what is nowhere lies outside.
        let scatter = Scatter { f: Combine::Add, depth: 1, below: Outside::Drop, above: Outside::Drop };
        sum = cx.add(scatter, &[sum, at, part])?;
        Ok::<_, Stop>(())
    };
    if blends(cx)? {
        let [down, across] = spread(cx, y.fraction, x.fraction)?;
        let unit = cx.scalar(DType::F32, 1.0)?;
        let (up, back) = (cx.sub(unit, down)?, cx.sub(unit, across)?);
        for (row, of_row) in [(y.low, up), (y.high, down)] {
            let part = cx.mul(of_row, g)?;
            for (column, of_column) in [(x.low, back), (x.high, across)] {
                let part = cx.mul(of_column, part)?;
                scatter(cx, row, column, part)?;
            }
        }
    } else {
        let (rows, columns) = (boxes.nearest(cx, 0, &y)?, boxes.nearest(cx, 1, &x)?);
        scatter(cx, rows, columns, g)?;
    }
    let sum = cx.reshape(sum, &shape)?;
    one(cx.cast(sum, dtype)?)
}

/// Operands: the gradient of the crops, the images, boxes, and their images. How much a corner moves a place is how far the
/// place is from the other one.
fn gradient_of_boxes(cx: &mut Import) -> Outputs {
    let (g, [number, rows, columns, channels]) = of_crops(cx)?;
    let image = cx.arg(1)?;
    let [batch, height, width, depth] = image_shape(cx, image)?;
    if !blends(cx)? {
        return Err("the nearest pixel has no gradient by its box".into());
    }
    cx.require_equal(&channels, &depth, "the channels of the gradient and of the images")?;
    let boxes = Boxes::of(cx, 2, &batch, [height, width], [rows, columns])?;
    cx.require_equal(&number, &boxes.number(cx), "the numbers of crops and of boxes")?;
    let (y, x) = (boxes.line(cx, 0, true)?, boxes.line(cx, 1, true)?);
    let flat = flat(cx, image)?;
    let [a, b, c, d] = corners(cx, &boxes, flat, &y, &x)?;
    let [down, across] = spread(cx, y.fraction, x.fraction)?;
    let inside = inside(cx, &y, &x)?;
    let inside = cx.insert_axes(inside, &[3])?;
    // What the image changes by along one axis, between both sides of the other one.
    let slope = |cx: &mut Import, first: [NodeId; 2], second: [NodeId; 2], fraction: NodeId| {
        let unit = cx.scalar(DType::F32, 1.0)?;
        let rest = cx.sub(unit, fraction)?;
        let (first, second) = (cx.sub(first[1], first[0])?, cx.sub(second[1], second[0])?);
        let (first, second) = (cx.mul(rest, first)?, cx.mul(fraction, second)?);
        let slope = cx.add_(first, second)?;
        let slope = cx.mul(slope, g)?;
        let zero = cx.scalar(DType::F32, 0.0)?;
        cx.select(inside, slope, zero)
    };
    let slopes = [slope(cx, [a, c], [b, d], across)?, slope(cx, [a, b], [c, d], down)?];
    let mut of_sides = [[g; 2]; 2];
    for (axis, slope) in slopes.into_iter().enumerate() {
        let (place, last) = boxes.places(cx, axis)?;
        let ratio = boxes.ratio(cx, axis)?;
        let far = cx.mul(place, ratio)?;
        let near = cx.sub(last, far)?;
        let half = cx.scalar(DType::F32, 0.5)?;
        let middle = cx.mul(half, last)?;
        for (end, factor) in [near, far].into_iter().enumerate() {
            let middle = cx.broadcast_to(middle, &cx.shape(factor))?;
            let factor = where_one(cx, &boxes.to[axis], middle, factor)?;
            let factor = cx.insert_axes(factor, if axis == 0 { &[2, 3] } else { &[1, 3] })?;
            let parts = cx.mul(slope, factor)?;
            let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1, 2, 3] }, &[parts])?;
            of_sides[end][axis] = cx.drop_axes(sum, &[2, 3])?;
        }
    }
    one(cx.concat(&of_sides.concat(), 1)?)
}
