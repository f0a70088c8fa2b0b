//! Binomial numbers of probabilities up to 1/2: for small means a sum of geometric numbers, for others Hörmann's transformed
//! rejection.

use super::{
    draws::{Draws, Floats, Source, when},
    hormann::{is_inside, log_ratio, spread},
};
use crate::loops::{CompareFn, Emit, ExprId, UnaryFn};

pub fn small(source: &mut Source, rounds: i64, count: f64, prob: f64) -> Option<f64> {
    let mut sum = 0.0;
    for n in 0..rounds {
        sum += (source.fraction().ln() / (-prob).ln_1p()).ceil();
        if sum > count {
            return Some(n as f64);
        }
    }
    None
}

pub fn emit_small(at: &mut Emit<'_>, draws: &Draws, rounds: i64, count: ExprId, prob: ExprId) {
    let mut f = Floats { w: at.w };
    let minus = f.unary(UnaryFn::Neg, prob);
    let by = f.unary(UnaryFn::Log1p, minus);
    draws.count(at, rounds, 0.0, |f, sum, u| {
        let log = f.log(u);
        let share = f.div(log, by);
        let geometric = f.unary(UnaryFn::Ceil, share);
        let sum = f.add(sum, geometric);
        (sum, f.is(sum, CompareFn::Gt, count))
    });
}

/// What Stirling's formula lacks of the logarithm of k!, for k from 0 to 9.
const TAIL: [f64; 10] = [
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
];

fn tail(k: f64) -> f64 {
    if k <= 9.0 {
        return TAIL.get(k as usize).copied().unwrap_or(0.0);
    }
    let square = (k + 1.0) * (k + 1.0);
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / (k + 1.0)
}

fn emit_tail(f: &mut Floats<'_>, k: ExprId) -> ExprId {
    let next = f.plus(k, 1.0);
    let square = f.mul(next, next);
    let part = f.over(1.0 / 1260.0, square);
    let part = f.from(1.0 / 360.0, part);
    let part = f.div(part, square);
    let part = f.from(1.0 / 12.0, part);
    let mut tail = f.div(part, next);
    for (n, known) in TAIL.into_iter().enumerate().rev() {
        let (at, known) = (f.number(n as f64), f.number(known));
        let is_here = f.is(k, CompareFn::Le, at);
        tail = f.select(is_here, known, tail);
    }
    tail
}

pub fn large(source: &mut Source, rounds: i64, count: f64, prob: f64) -> Option<f64> {
    let deviation = (count * prob * (1.0 - prob)).sqrt();
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * prob;
    let c = count * prob + 0.5;
    let most = 0.92 - 4.2 / b;
    let odds = prob / (1.0 - prob);
    let alpha = (2.83 + 5.1 / b) * deviation;
    let m = ((count + 1.0) * prob).floor();
    for _ in 0..rounds {
        let u = source.fraction();
        let v = source.fraction();
        let u = u - 0.5;
        let left = 0.5 - u.abs();
        let k = ((2.0 * a / left + b) * u + c).floor();
        if left >= 0.07 && v <= most {
            return Some(k);
        }
        if k < 0.0 || k > count {
            continue;
        }
        let v = (v * alpha / (a / (left * left) + b)).ln();
        let bound = (m + 0.5) * ((m + 1.0) / (odds * (count - m + 1.0))).ln()
            + (count + 1.0) * ((count - m + 1.0) / (count - k + 1.0)).ln()
            + (k + 0.5) * (odds * (count - k + 1.0) / (k + 1.0)).ln()
            + tail(m)
            + tail(count - m)
            - tail(k)
            - tail(count - k);
        if v <= bound {
            return Some(k);
        }
    }
    None
}

/// What follows from the parameters.
struct Curve {
    count: ExprId,
    a: ExprId,
    b: ExprId,
    c: ExprId,
    most: ExprId,
    odds: ExprId,
    alpha: ExprId,
    m: ExprId,
}

impl Curve {
    fn new(f: &mut Floats<'_>, count: ExprId, prob: ExprId) -> Curve {
        let (mean, rest) = (f.mul(count, prob), f.from(1.0, prob));
        let variance = f.mul(mean, rest);
        let deviation = f.unary(UnaryFn::Sqrt, variance);
        let b = f.times(2.53, deviation);
        let b = f.plus(b, 1.15);
        let (first, second) = (f.times(0.0248, b), f.times(0.01, prob));
        let a = f.plus(first, -0.0873);
        let a = f.add(a, second);
        let c = f.plus(mean, 0.5);
        let share = f.over(4.2, b);
        let most = f.from(0.92, share);
        let odds = f.div(prob, rest);
        let share = f.over(5.1, b);
        let alpha = f.plus(share, 2.83);
        let alpha = f.mul(alpha, deviation);
        let more = f.plus(count, 1.0);
        let m = f.mul(more, prob);
        let m = f.unary(UnaryFn::Floor, m);
        Curve { count, a, b, c, most, odds, alpha, m }
    }
    /// The logarithm of how likely `k` is beside the likeliest number.
    fn bound(&self, f: &mut Floats<'_>, k: ExprId) -> ExprId {
        let (beyond_m, beyond_k) = (f.sub(self.count, self.m), f.sub(self.count, k));
        let (over_m, over_k) = (f.plus(beyond_m, 1.0), f.plus(beyond_k, 1.0));
        let (next, scaled) = (f.plus(self.m, 1.0), f.mul(self.odds, over_m));
        let first = self.product(f, self.m, 0.5, next, scaled);
        let second = self.product(f, self.count, 1.0, over_m, over_k);
        let (scaled, next) = (f.mul(self.odds, over_k), f.plus(k, 1.0));
        let third = self.product(f, k, 0.5, scaled, next);
        let sum = f.add(first, second);
        let mut sum = f.add(sum, third);
        for (x, adds) in [(self.m, true), (beyond_m, true), (k, false), (beyond_k, false)] {
            let tail = emit_tail(f, x);
            sum = if adds { f.add(sum, tail) } else { f.sub(sum, tail) };
        }
        sum
    }
    /// `(x + more) * log(above / below)`.
    fn product(&self, f: &mut Floats<'_>, x: ExprId, more: f64, above: ExprId, below: ExprId) -> ExprId {
        let factor = f.plus(x, more);
        let ratio = f.div(above, below);
        let log = f.log(ratio);
        f.mul(factor, log)
    }
}

pub fn emit_large(at: &mut Emit<'_>, draws: &Draws, rounds: i64, count: ExprId, prob: ExprId) {
    let curve = Curve::new(&mut Floats { w: at.w }, count, prob);
    draws.attempts(at, rounds, |at| {
        let u = draws.fraction(at);
        let v = draws.fraction(at);
        let mut f = Floats { w: at.w };
        let (left, k) = spread(&mut f, u, [curve.a, curve.b]);
        let k = f.add(k, curve.c);
        let k = f.unary(UnaryFn::Floor, k);
        let soon = is_inside(&mut f, left, v, curve.most);
        let zero = f.number(0.0);
        let (negative, beyond) = (f.is(k, CompareFn::Lt, zero), f.is(k, CompareFn::Gt, count));
        let refused = f.either(negative, beyond);
        let kept = f.unary(UnaryFn::Not, refused);
        let log = log_ratio(&mut f, v, curve.alpha, left, [curve.a, curve.b]);
        let bound = curve.bound(&mut f, k);
        let below = f.is(log, CompareFn::Le, bound);
        let late = f.both(kept, below);
        let fits = f.either(soon, late);
        when(at, fits, |at| draws.take(at, k));
    });
}
