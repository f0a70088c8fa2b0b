//! Resizing by cubic convolution, and its gradient.
//!
//! On each axis a place takes four pixels, by polynomials of how far it is from the second one (Keys, "Cubic convolution
//! interpolation for digital image processing", 1981). TensorFlow rounds that to 1/1024, and has two kinds: with half pixels the
//! slope is -1/2, and pixels beyond the border count for nothing, so that the others' weights are made to add up to 1; else
//! the slope is -3/4, and the pixel at the border stands for those beyond.

use super::{Resize, clamped, gradient_of_image, pick, resize};
use crate::{
    graph::NodeId,
    loops::{CompareFn, UnaryFn},
    tensor::DType,
    tf::{Import, Outputs, Stop, TfOp, build::one},
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] =
    &[TfOp { name: "ResizeBicubic", import: cubic }, TfOp { name: "ResizeBicubicGrad", import: cubic_gradient }];

/// A pixel for each place along an axis, and how much it counts.
type Tap = (NodeId, NodeId);

/// The polynomial `((c[0] * x + c[1]) * x + c[2]) * x + c[3]`, in double precision.
fn polynomial(cx: &mut Import, x: NodeId, c: [f64; 4]) -> Result<NodeId> {
    let mut sum = cx.scalar(DType::F64, c[0])?;
    for c in &c[1..] {
        let (part, c) = (cx.mul(sum, x)?, cx.scalar(DType::F64, *c)?);
        sum = cx.add_(part, c)?;
    }
    Ok(sum)
}

impl Resize {
    /// The four pixels that each place along one spatial axis takes.
    fn taps(&self, cx: &mut Import, axis: usize) -> Result<[Tap; 4]> {
        let (mut position, last) = self.positions(cx, axis)?;
        if self.half_pixel {
            let half = cx.scalar(DType::F32, 0.5)?;
            position = cx.sub(position, half)?;
        }
        let floor = cx.unary(UnaryFn::Floor, position)?;
        let fraction = cx.sub(position, floor)?;
        let fine = cx.scalar(DType::F32, 1024.0)?;
        let steps = cx.mul(fraction, fine)?;
        let steps = cx.unary(UnaryFn::Round, steps)?;
        let steps = cx.cast(steps, DType::F64)?;
        let inverse = cx.scalar(DType::F64, 1.0 / 1024.0)?;
        let down = cx.mul(steps, inverse)?;
        let unit = cx.scalar(DType::F64, 1.0)?;
        let up = cx.sub(unit, down)?;
        let a = if self.half_pixel { -0.5 } else { -0.75 };
        let (near, far) = ([a + 2.0, -(a + 3.0), 0.0, 1.0], [a, -5.0 * a, 8.0 * a, -4.0 * a]);
        let (beyond_down, beyond_up) = (cx.add_(down, unit)?, cx.add_(up, unit)?);
        let weights = [
            polynomial(cx, beyond_down, far)?,
            polynomial(cx, down, near)?,
            polynomial(cx, up, near)?,
            polynomial(cx, beyond_up, far)?,
        ];
        let mut taps = [(floor, floor); 4];
        let first = cx.cast(floor, DType::I64)?;
        for (n, (tap, weight)) in taps.iter_mut().zip(weights).enumerate() {
            let offset = cx.scalar(DType::I64, n as f64 - 1.0)?;
            let at = cx.add_(first, offset)?;
            let inside = clamped(cx, at, last)?;
            let mut weight = cx.cast(weight, DType::F32)?;
            if self.half_pixel {
                let (counts, zero) = (cx.compare(CompareFn::Eq, at, inside)?, cx.scalar(DType::F32, 0.0)?);
                weight = cx.select(counts, weight, zero)?;
            }
            *tap = (inside, weight);
        }
        if self.half_pixel { normalised(cx, taps) } else { Ok(taps) }
    }
}

/// Weights over their sum, where that is not next to nothing.
fn normalised(cx: &mut Import, mut taps: [Tap; 4]) -> Result<[Tap; 4]> {
    let mut sum = taps[0].1;
    for tap in &taps[1..] {
        sum = cx.add_(sum, tap.1)?;
    }
    let (unit, least) = (cx.scalar(DType::F32, 1.0)?, cx.scalar(DType::F32, f64::from(1000.0 * f32::MIN_POSITIVE))?);
    let magnitude = cx.unary(UnaryFn::Abs, sum)?;
    let counts = cx.compare(CompareFn::Ge, magnitude, least)?;
    let inverse = cx.div(unit, sum)?;
    let factor = cx.select(counts, inverse, unit)?;
    for tap in &mut taps {
        tap.1 = cx.mul(tap.1, factor)?;
    }
    Ok(taps)
}

/// Rows first, then columns; the result is f32.
fn cubic(cx: &mut Import) -> Outputs {
    let resize = resize(cx)?;
    let mut image = cx.cast(resize.x, DType::F32)?;
    for axis in [1, 2] {
        let mut sum = None;
        for (at, weight) in resize.taps(cx, axis)? {
            let pixels = pick(cx, image, at, axis)?;
            let weight = resize.along(cx, weight, axis)?;
            let part = cx.mul(pixels, weight)?;
            sum = Some(match sum {
                Some(sum) => cx.add_(sum, part)?,
                None => part,
            });
        }
        image = sum.ok_or_else(|| Stop::from("a place takes no pixel"))?;
    }
    one(image)
}

/// Operands: the gradient of the result, f32, and the image, whose type the gradient gets. Each place gives to its 16 pixels
/// what it took of them.
fn cubic_gradient(cx: &mut Import) -> Outputs {
    let (resize, dtype) = gradient_of_image(cx)?;
    let (shape, mut sum) = resize.zeros(cx, dtype)?;
    let g = cx.cast(resize.x, dtype)?;
    let (rows, columns) = (resize.taps(cx, 1)?, resize.taps(cx, 2)?);
    for (row, of_row) in rows {
        let of_row = resize.along(cx, of_row, 1)?;
        let of_row = cx.cast(of_row, dtype)?;
        let part = cx.mul(g, of_row)?;
        for (column, of_column) in columns {
            let of_column = resize.along(cx, of_column, 2)?;
            let of_column = cx.cast(of_column, dtype)?;
            let part = cx.mul(part, of_column)?;
            sum = resize.scatter(cx, sum, part, row, column)?;
        }
    }
    one(cx.reshape(sum, &shape)?)
}
