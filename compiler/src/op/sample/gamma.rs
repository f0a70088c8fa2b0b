//! Gamma numbers: a cube of a normal number that is moved, by Marsaglia and Tsang; a shape below 1 is that of one more, times a
//! power of a fraction.

use super::draws::{Draws, Floats, Source, when};
use crate::loops::{CompareFn, Emit, ExprId, UnaryFn};

/// By which the fourth power of a normal number is multiplied where a fraction fits without logarithms.
const SQUEEZE: f64 = 0.0331;

pub fn exponential(source: &mut Source) -> f64 {
    -(-source.fraction()).ln_1p()
}

pub fn emit_exponential(at: &mut Emit<'_>, draws: &Draws) {
    let u = draws.fraction(at);
    let mut f = Floats { w: at.w };
    let u = f.unary(UnaryFn::Neg, u);
    let log = f.unary(UnaryFn::Log1p, u);
    let number = f.unary(UnaryFn::Neg, log);
    draws.take(at, number);
}

pub fn number(source: &mut Source, rounds: i64, alpha: f64) -> Option<f64> {
    let is_small = alpha < 1.0;
    let d = alpha + if is_small { 2.0 / 3.0 } else { -1.0 / 3.0 };
    let c = 1.0 / 3.0 / d.sqrt();
    for _ in 0..rounds {
        let x = source.normal();
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        let u = source.fraction();
        let squeeze = 1.0 - SQUEEZE * (x * x) * (x * x);
        if u < squeeze || u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            let power = if is_small { source.fraction().powf(1.0 / alpha) } else { 1.0 };
            return Some(d * v * power);
        }
    }
    None
}

pub fn emit(at: &mut Emit<'_>, draws: &Draws, rounds: i64, alpha: ExprId) {
    let mut f = Floats { w: at.w };
    let (zero, one) = (f.number(0.0), f.number(1.0));
    let is_small = f.is(alpha, CompareFn::Lt, one);
    let (up, down) = (f.number(2.0 / 3.0), f.number(-1.0 / 3.0));
    let moved = f.select(is_small, up, down);
    let d = f.add(alpha, moved);
    let root = f.unary(UnaryFn::Sqrt, d);
    let c = f.over(1.0 / 3.0, root);
    draws.attempts(at, rounds, |at| {
        let x = draws.normal(at);
        let mut f = Floats { w: at.w };
        let cx = f.mul(c, x);
        let v = f.plus(cx, 1.0);
        let outside = f.is(v, CompareFn::Le, zero);
        let inside = f.unary(UnaryFn::Not, outside);
        when(at, inside, |at| {
            let u = draws.fraction(at);
            let mut f = Floats { w: at.w };
            let (square, v_square) = (f.mul(x, x), f.mul(v, v));
            let v = f.mul(v_square, v);
            let fits = fits(&mut f, u, x, square, v, d);
            when(at, fits, |at| {
                let number = Floats { w: at.w }.mul(d, v);
                draws.take(at, number);
                when(at, is_small, |at| {
                    let b = draws.fraction(at);
                    let mut f = Floats { w: at.w };
                    let exponent = f.over(1.0, alpha);
                    let power = f.pow(b, exponent);
                    let number = f.mul(number, power);
                    draws.take(at, number);
                });
            });
        });
    });
}

/// Whether a fraction lets a normal number count, whose cube is `v`.
fn fits(f: &mut Floats<'_>, u: ExprId, x: ExprId, square: ExprId, v: ExprId, d: ExprId) -> ExprId {
    let part = f.times(SQUEEZE, square);
    let part = f.mul(part, square);
    let squeeze = f.from(1.0, part);
    let soon = f.is(u, CompareFn::Lt, squeeze);
    let half = f.times(0.5, x);
    let half = f.mul(half, x);
    let (rest, log) = (f.from(1.0, v), f.log(v));
    let rest = f.add(rest, log);
    let rest = f.mul(d, rest);
    let bound = f.add(half, rest);
    let log = f.log(u);
    let late = f.is(log, CompareFn::Lt, bound);
    f.either(soon, late)
}
