//! What Hörmann's transformed rejections of all laws compute alike, as code.

use super::draws::Floats;
use crate::loops::{CompareFn, ExprId, UnaryFn};

/// How far a fraction is from 0 and 1, whichever is nearer, as `left`; and `(2a / left + b) (u - 1/2)`.
pub fn spread(f: &mut Floats<'_>, u: ExprId, [a, b]: [ExprId; 2]) -> (ExprId, ExprId) {
    let u = f.plus(u, -0.5);
    let size = f.unary(UnaryFn::Abs, u);
    let left = f.from(0.5, size);
    let twice = f.times(2.0, a);
    let slope = f.div(twice, left);
    let slope = f.add(slope, b);
    (left, f.mul(slope, u))
}

/// Whether a pair lies in the rectangle below the curve.
pub fn is_inside(f: &mut Floats<'_>, left: ExprId, v: ExprId, most: ExprId) -> ExprId {
    let edge = f.number(0.07);
    let (far, low) = (f.is(left, CompareFn::Ge, edge), f.is(v, CompareFn::Le, most));
    f.both(far, low)
}

/// `log(v * by / (a / left^2 + b))`.
pub fn log_ratio(f: &mut Floats<'_>, v: ExprId, by: ExprId, left: ExprId, [a, b]: [ExprId; 2]) -> ExprId {
    let scaled = f.mul(v, by);
    let square = f.mul(left, left);
    let slope = f.div(a, square);
    let slope = f.add(slope, b);
    let ratio = f.div(scaled, slope);
    f.log(ratio)
}
