//! Resizing, and its gradients. Positions are computed in f32 step by step as TensorFlow does, because an ulp decides which pixel is near.

pub(super) mod crop;
pub(super) mod cubic;
pub(super) mod spans;

use super::{
    Import, Outputs, Stop, TfOp,
    build::{one, widened},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Gather, Iota, Outside, Scatter, Window},
    tensor::{DType, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "ResizeNearestNeighbor", import: nearest },
    TfOp { name: "ResizeBilinear", import: bilinear },
    TfOp { name: "ResizeNearestNeighborGrad", import: nearest_gradient },
    TfOp { name: "ResizeBilinearGrad", import: bilinear_gradient },
];

/// Operands and attributes that all resizes share.
struct Resize {
    /// The image; of a gradient, that of the result.
    x: NodeId,
    from: [Dim; 2],
    to: [Dim; 2],
    align_corners: bool,
    half_pixel: bool,
}

fn resize(cx: &mut Import) -> Result<Resize> {
    let x = cx.arg(0)?;
    if cx.rank(x) != 4 {
        return Err(format!("expected rank 4, got {}", cx.rank(x)).into());
    }
    let Ok(to) = <[Dim; 2]>::try_from(cx.dims(1, "the size")?) else { return Err("expected two sizes".into()) };
    for (size, from) in to.iter().zip(&cx.shape(x)[1..3]) {
        cx.require_at_most(&Dim::one(), size, "the size of the result")?;
        cx.require_at_most(&Dim::one(), from, "the size of the image")?;
    }
    cx.require_at_most(&Dim::one(), &cx.shape(x)[3].clone(), "the number of channels")?;
    let from = spatial(cx, x);
    with_flags(cx, x, from, to)
}

fn spatial(cx: &Import, x: NodeId) -> [Dim; 2] {
    [cx.shape(x)[1].clone(), cx.shape(x)[2].clone()]
}

fn with_flags(cx: &Import, x: NodeId, from: [Dim; 2], to: [Dim; 2]) -> Result<Resize> {
    let (align_corners, half_pixel) = (cx.node.attr_bool("align_corners")?, cx.node.attr_bool("half_pixel_centers")?);
    // One kernel takes both.
    if align_corners && half_pixel && cx.node.op != "ResizeNearestNeighborGrad" {
        return Err("`align_corners` and `half_pixel_centers` exclude each other".into());
    }
    Ok(Resize { x, from, to, align_corners, half_pixel })
}

/// The resize whose gradient the current node is, by the gradient of its result and the sizes of its image.
fn gradient(cx: &mut Import, from: [Dim; 2]) -> Result<Resize> {
    let x = cx.arg(0)?;
    if cx.rank(x) != 4 {
        return Err(format!("expected rank 4, got {}", cx.rank(x)).into());
    }
    for size in &from {
        cx.require_at_most(&Dim::one(), size, "the size of the image")?;
    }
    let to = spatial(cx, x);
    with_flags(cx, x, from, to)
}

impl Resize {
    /// 1 where the result has the image's size, and 0 elsewhere.
    fn keeps_size(&self) -> Dim {
        self.from.iter().zip(&self.to).map(|(from, to)| from.equals(to)).fold(Dim::one(), |both, one| both * one)
    }
    /// The position in the image for each place of the result along one spatial axis, as f32; and the last position.
    fn positions(&self, cx: &mut Import, axis: usize) -> Result<(NodeId, NodeId)> {
        let (from, to) = (self.from[axis - 1].clone(), self.to[axis - 1].clone());
        let place = cx.add(Iota { shape: vec![to.clone()], axis: 0, dtype: DType::F32 }, &[])?;
        let corners = self.align_corners && !to.is(1);
        let (n, m) = if corners { (&from - 1, (&to - 1).at_least(&Dim::one())) } else { (from.clone(), to) };
        let (n, m) = (cx.dim_scalar(&n, DType::F32)?, cx.dim_scalar(&m, DType::F32)?);
        let scale = cx.div(n, m)?;
        let position = if self.half_pixel {
            let half = cx.scalar(DType::F32, 0.5)?;
            let centre = cx.add_(place, half)?;
            cx.mul(centre, scale)?
        } else {
            cx.mul(place, scale)?
        };
        let last = cx.dim_scalar(&(from - 1), DType::I64)?;
        Ok((position, last))
    }
}

/// Indices that were clamped into the axis.
fn pick(cx: &mut Import, x: NodeId, at: NodeId, axis: usize) -> Result<NodeId> {
    cx.add(Gather { axis, batch: 0, checked: false }, &[x, at])
}

fn clamped(cx: &mut Import, at: NodeId, last: NodeId) -> Result<NodeId> {
    let zero = cx.scalar(DType::I64, 0.0)?;
    let at = cx.binary(BinaryFn::Max, at, zero)?;
    cx.binary(BinaryFn::Min, at, last)
}

/// The floor of the position; with aligned corners the nearest one, halves away from zero.
fn nearest(cx: &mut Import) -> Outputs {
    let resize = resize(cx)?;
    let mut x = resize.x;
    for axis in [1, 2] {
        let at = resize.nearest(cx, axis)?;
        x = pick(cx, x, at, axis)?;
    }
    one(x)
}

impl Resize {
    /// For each place of the result along one spatial axis the pixel that it takes.
    fn nearest(&self, cx: &mut Import, axis: usize) -> Result<NodeId> {
        let (mut position, last) = self.positions(cx, axis)?;
        if self.align_corners {
            // Half away from zero without the rounding of an addition: the fraction is exact.
            let floor = cx.unary(UnaryFn::Floor, position)?;
            let fraction = cx.sub(position, floor)?;
            let half = cx.scalar(DType::F32, 0.5)?;
            let up = cx.compare(CompareFn::Ge, fraction, half)?;
            let up = cx.cast(up, DType::F32)?;
            position = cx.add_(floor, up)?;
        } else {
            position = cx.unary(UnaryFn::Floor, position)?;
        }
        let at = cx.cast(position, DType::I64)?;
        clamped(cx, at, last)
    }
    /// For each place of the result along one spatial axis the pixels before and behind it, and how far it is from the
    /// former.
    fn around(&self, cx: &mut Import, axis: usize) -> Result<[NodeId; 3]> {
        let (mut position, last) = self.positions(cx, axis)?;
        if self.half_pixel {
            let half = cx.scalar(DType::F32, 0.5)?;
            position = cx.sub(position, half)?;
        }
        let (floor, ceil) = (cx.unary(UnaryFn::Floor, position)?, cx.unary(UnaryFn::Ceil, position)?);
        let fraction = cx.sub(position, floor)?;
        let (low, high) = (cx.cast(floor, DType::I64)?, cx.cast(ceil, DType::I64)?);
        Ok([clamped(cx, low, last)?, clamped(cx, high, last)?, fraction])
    }
    /// Values for each place along one spatial axis, in the shape of an image.
    fn along(&self, cx: &mut Import, values: NodeId, axis: usize) -> Result<NodeId> {
        let mut along = vec![Dim::one(); 4];
        along[axis] = self.to[axis - 1].clone();
        cx.reshape(values, &along)
    }
    /// Adds the pixels of `g` to those of the images at rows and columns, `[batch * height * width, channels]`.
    fn scatter(&self, cx: &mut Import, onto: NodeId, g: NodeId, rows: NodeId, columns: NodeId) -> Result<NodeId> {
        let mut shape = cx.shape(g);
        let (batch, size) = (shape[0].clone(), &self.from[0] * &self.from[1]);
        let image =
            cx.add(Iota { shape: vec![batch, Dim::one(), Dim::one(), Dim::one()], axis: 0, dtype: DType::I64 }, &[])?;
        let (size, width) = (cx.dim_scalar(&size, DType::I64)?, cx.dim_scalar(&self.from[1].clone(), DType::I64)?);
        let (rows, columns) = (self.along(cx, rows, 1)?, self.along(cx, columns, 2)?);
        let (image, rows) = (cx.mul(image, size)?, cx.mul(rows, width)?);
        let at = cx.add_(image, rows)?;
        let at = cx.add_(at, columns)?;
        shape[3] = Dim::one();
        let at = cx.broadcast_to(at, &shape)?;
        // Indices were clamped.
        let scatter = Scatter { f: Combine::Add, depth: 1, below: Outside::Drop, above: Outside::Drop };
        cx.add(scatter, &[onto, at, g])
    }
    /// The shape of the image, and zeros for its pixels.
    fn zeros(&self, cx: &mut Import, dtype: DType) -> Result<(Vec<Dim>, NodeId)> {
        let of_result = cx.shape(self.x);
        let shape = vec![of_result[0].clone(), self.from[0].clone(), self.from[1].clone(), of_result[3].clone()];
        let zero = cx.scalar(dtype, 0.0)?;
        let zeros = cx.broadcast_to(zero, &[count(&shape[..3]), shape[3].clone()])?;
        Ok((shape, zeros))
    }
}

/// How often each pixel in turn is taken, where all are equally often.
fn repeats(cx: &Import, at: NodeId, extent: &Dim) -> Option<i64> {
    let (at, extent) = (cx.known_ints(at)?, extent.as_int()?);
    let times = at.len() as i64 / extent.max(1);
    let regular =
        times > 0 && (0..).zip(&at).all(|(n, &pixel)| n / times == pixel) && at.len() as i64 == times * extent;
    regular.then_some(times)
}

/// Operands: the gradient of the result, the sizes of the image. Each pixel adds up what the places get that take it;
/// where all are taken equally often these are windows.
fn nearest_gradient(cx: &mut Import) -> Outputs {
    let Ok(from) = <[Dim; 2]>::try_from(cx.dims(1, "the size")?) else { return Err("expected two sizes".into()) };
    let resize = gradient(cx, from)?;
    let (rows, columns) = (resize.nearest(cx, 1)?, resize.nearest(cx, 2)?);
    let size = (repeats(cx, rows, &resize.from[0]), repeats(cx, columns, &resize.from[1]));
    one(cx.in_single(resize.x, |cx, g| {
        if let (Some(height), Some(width)) = size {
            let (size, none) = (vec![1, height, width, 1], vec![Dim::zero(); 4]);
            let stride = size.clone();
            let window = Window { f: BinaryFn::Add, size, stride, dilation: vec![1; 4], low: none.clone(), high: none };
            return cx.add(window, &[g]);
        }
        let (shape, zeros) = resize.zeros(cx, cx.dtype(g))?;
        let sum = resize.scatter(cx, zeros, g, rows, columns)?;
        cx.reshape(sum, &shape)
    })?)
}

/// What a gradient is of: operands are the gradient of the result, f32, and the image, whose element type comes along.
fn gradient_of_image(cx: &mut Import) -> Result<(Resize, DType)> {
    let image = cx.arg(1)?;
    let dtype = cx.dtype(image);
    let [_, height, width, channels] = &cx.shape(image)[..] else {
        return Err(format!("expected rank 4, got {}", cx.rank(image)).into());
    };
    let channels = channels.clone();
    let resize = gradient(cx, [height.clone(), width.clone()])?;
    for size in &resize.to {
        cx.require_at_most(&Dim::one(), size, "the size of the result")?;
    }
    cx.require_equal(&cx.shape(resize.x)[3].clone(), &channels, "the channels of the gradient and the image")?;
    Ok((resize, dtype))
}

/// Operands: the gradient of the result, f32, and the image, whose type the gradient gets. Each place gives to the four
/// pixels around it what it took of them; a share of 0 counts, so that an infinite one is NaN.
fn bilinear_gradient(cx: &mut Import) -> Outputs {
    let (resize, dtype) = gradient_of_image(cx)?;
    let (shape, mut sum) = resize.zeros(cx, widened(dtype))?;
    let [top, bottom, down] = resize.around(cx, 1)?;
    let [left, right, across] = resize.around(cx, 2)?;
    let (down, across) = (resize.along(cx, down, 1)?, resize.along(cx, across, 2)?);
    let unit = cx.scalar(DType::F32, 1.0)?;
    let (up, back) = (cx.sub(unit, down)?, cx.sub(unit, across)?);
    for (row, of_row) in [(top, up), (bottom, down)] {
        let part = cx.mul(resize.x, of_row)?;
        for (column, of_column) in [(left, back), (right, across)] {
            let part = cx.mul(part, of_column)?;
            let part = cx.cast(part, widened(dtype))?;
            sum = resize.scatter(cx, sum, part, row, column)?;
        }
    }
    let sum = cx.reshape(sum, &shape)?;
    one(cx.cast(sum, dtype)?)
}

/// Between the four pixels around the position; the result is f32. A position on a row of pixels has that row on both sides,
/// and an image that keeps its size is not computed: a neighbour that counts for nothing may be infinite or NaN.
fn bilinear(cx: &mut Import) -> Outputs {
    let resize = resize(cx)?;
    let image = cx.cast(resize.x, DType::F32)?;
    let keeps_size = resize.keeps_size();
    if keeps_size.is(1) {
        return one(image);
    }
    let mut corners = vec![image];
    let mut fractions = vec![];
    for axis in [1, 2] {
        let [low, high, fraction] = resize.around(cx, axis)?;
        corners = corners
            .into_iter()
            .flat_map(|x| [(x, low), (x, high)])
            .map(|(x, at)| pick(cx, x, at, axis))
            .collect::<Result<Vec<_>>>()?;
        fractions.push(resize.along(cx, fraction, axis)?);
    }
    // Corners are top-left, top-right, bottom-left, bottom-right.
    let top = between(cx, corners[0], corners[1], fractions[1])?;
    let bottom = between(cx, corners[2], corners[3], fractions[1])?;
    let blend = between(cx, top, bottom, fractions[0])?;
    if keeps_size.is(0) {
        return one(blend);
    }
    let zero = cx.scalar(DType::I64, 0.0)?;
    let keeps_size = cx.dim_scalar(&keeps_size, DType::I64)?;
    let keeps_size = cx.compare(CompareFn::Ne, keeps_size, zero)?;
    one(cx.select(keeps_size, corners[0], blend)?)
}

fn between(cx: &mut Import, a: NodeId, b: NodeId, fraction: NodeId) -> Result<NodeId> {
    let way = cx.sub(b, a)?;
    let part = cx.mul(way, fraction)?;
    cx.add_(a, part)
}
