//! Resizing. Positions are computed in f32 step by step as TensorFlow does, because an ulp decides which pixel is near.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Gather, Iota},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] =
    &[TfOp { name: "ResizeNearestNeighbor", import: nearest }, TfOp { name: "ResizeBilinear", import: bilinear }];

/// Operands and attributes that all resizes share.
struct Resize {
    x: NodeId,
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
    let (align_corners, half_pixel) = (cx.node.attr_bool("align_corners")?, cx.node.attr_bool("half_pixel_centers")?);
    if align_corners && half_pixel {
        return Err("`align_corners` and `half_pixel_centers` exclude each other".into());
    }
    Ok(Resize { x, to, align_corners, half_pixel })
}

impl Resize {
    /// 1 where the result has the image's size, and 0 elsewhere.
    fn keeps_size(&self, cx: &Import) -> Dim {
        let from = &cx.shape(self.x)[1..3];
        from.iter().zip(&self.to).map(|(from, to)| from.equals(to)).fold(Dim::one(), |both, one| both * one)
    }
    /// The position in the image for each place of the result along one spatial axis, as f32; and the last position.
    fn positions(&self, cx: &mut Import, axis: usize) -> Result<(NodeId, NodeId)> {
        let (from, to) = (cx.shape(self.x)[axis].clone(), self.to[axis - 1].clone());
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
        let (mut position, last) = resize.positions(cx, axis)?;
        if resize.align_corners {
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
        let at = clamped(cx, at, last)?;
        x = pick(cx, x, at, axis)?;
    }
    one(x)
}

/// Between the four pixels around the position; the result is f32. A position on a row of pixels has that row on both sides,
/// and an image that keeps its size is not computed: a neighbour that counts for nothing may be infinite or NaN.
fn bilinear(cx: &mut Import) -> Outputs {
    let resize = resize(cx)?;
    let image = cx.cast(resize.x, DType::F32)?;
    let keeps_size = resize.keeps_size(cx);
    if keeps_size.is(1) {
        return one(image);
    }
    let mut corners = vec![image];
    let mut fractions = vec![];
    for axis in [1, 2] {
        let (mut position, last) = resize.positions(cx, axis)?;
        if resize.half_pixel {
            let half = cx.scalar(DType::F32, 0.5)?;
            position = cx.sub(position, half)?;
        }
        let (floor, ceil) = (cx.unary(UnaryFn::Floor, position)?, cx.unary(UnaryFn::Ceil, position)?);
        let fraction = cx.sub(position, floor)?;
        let (low, high) = (cx.cast(floor, DType::I64)?, cx.cast(ceil, DType::I64)?);
        let (low, high) = (clamped(cx, low, last)?, clamped(cx, high, last)?);
        corners = corners
            .into_iter()
            .flat_map(|x| [(x, low), (x, high)])
            .map(|(x, at)| pick(cx, x, at, axis))
            .collect::<Result<Vec<_>>>()?;
        let mut along = vec![Dim::one(); 4];
        along[axis] = resize.to[axis - 1].clone();
        fractions.push(cx.reshape(fraction, &along)?);
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
