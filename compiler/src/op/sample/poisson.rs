//! Poisson numbers: for small rates a product of fractions, for others Hörmann's transformed rejection.

use std::f64::consts::TAU;

use super::{
    draws::{Draws, Floats, Source, when},
    hormann::{is_inside, log_ratio, spread},
};
use crate::loops::{CompareFn, Emit, ExprId, UnaryFn};

pub fn small(source: &mut Source, rounds: i64, rate: f64) -> Option<f64> {
    let end = (-rate).exp();
    let mut product = 1.0;
    for n in 0..rounds {
        product *= source.fraction();
        if product <= end {
            return Some(n as f64);
        }
    }
    None
}

pub fn emit_small(at: &mut Emit<'_>, draws: &Draws, rounds: i64, rate: ExprId) {
    let mut f = Floats { w: at.w };
    let minus = f.unary(UnaryFn::Neg, rate);
    let end = f.unary(UnaryFn::Exp, minus);
    draws.count(at, rounds, 1.0, |f, product, u| {
        let product = f.mul(product, u);
        (product, f.is(product, CompareFn::Le, end))
    });
}

/// Terms of Stirling's series for the logarithm of the gamma function: by what the odd powers of 1/x are multiplied.
const SERIES: [f64; 5] = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
/// From here on the next term is below 1e-16.
const LARGE: i64 = 17;

/// The logarithm of the gamma function at a whole number from 1 on.
fn log_gamma(x: f64) -> f64 {
    if x < LARGE as f64 {
        return (1..x as i64).map(|n| n as f64).product::<f64>().ln();
    }
    let series: f64 = SERIES.iter().rev().fold(0.0, |sum, term| sum / (x * x) + term) / x;
    (x - 0.5) * x.ln() - x + 0.5 * TAU.ln() + series
}

/// The same as code: a small argument is moved up, and the logarithm of what is between is taken away.
fn emit_log_gamma(f: &mut Floats<'_>, x: ExprId) -> ExprId {
    let limit = f.number(LARGE as f64);
    let is_small = f.is(x, CompareFn::Lt, limit);
    let mut between = x;
    for n in 1..LARGE - 1 {
        let next = f.plus(x, n as f64);
        between = f.mul(between, next);
    }
    let (one, zero) = (f.number(1.0), f.number(0.0));
    let between = f.select(is_small, between, one);
    let up = f.number((LARGE - 1) as f64);
    let up = f.select(is_small, up, zero);
    let x = f.add(x, up);
    let (over, log) = (f.over(1.0, x), f.log(x));
    let square = f.mul(over, over);
    let mut series = f.number(0.0);
    for term in SERIES.into_iter().rev() {
        let scaled = f.mul(series, square);
        series = f.plus(scaled, term);
    }
    let series = f.mul(series, over);
    let half = f.plus(x, -0.5);
    let main = f.mul(half, log);
    let main = f.sub(main, x);
    let main = f.plus(main, 0.5 * TAU.ln());
    let sum = f.add(main, series);
    let less = f.log(between);
    f.sub(sum, less)
}

pub fn large(source: &mut Source, rounds: i64, rate: f64) -> Option<f64> {
    let log_rate = rate.ln();
    let b = 0.931 + 2.53 * rate.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    for _ in 0..rounds {
        let u = source.fraction() - 0.5;
        let v = source.fraction();
        let left = 0.5 - u.abs();
        let k = ((2.0 * a / left + b) * u + rate + 0.43).floor();
        if left >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2.0) {
            return Some(k);
        }
        if k < 0.0 || left < 0.013 && v > left {
            continue;
        }
        let s = (v * inverse_alpha / (a / (left * left) + b)).ln();
        if s <= -rate + k * log_rate - log_gamma(k + 1.0) {
            return Some(k);
        }
    }
    None
}

pub fn emit_large(at: &mut Emit<'_>, draws: &Draws, rounds: i64, rate: ExprId) {
    let mut f = Floats { w: at.w };
    let (log_rate, root) = (f.log(rate), f.unary(UnaryFn::Sqrt, rate));
    let b = f.times(2.53, root);
    let b = f.plus(b, 0.931);
    let a = f.times(0.02483, b);
    let a = f.plus(a, -0.059);
    let less = f.plus(b, -3.4);
    let share = f.over(1.1328, less);
    let inverse_alpha = f.plus(share, 1.1239);
    let less = f.plus(b, -2.0);
    let share = f.over(3.6224, less);
    let most = f.from(0.9277, share);
    draws.attempts(at, rounds, |at| {
        let u = draws.fraction(at);
        let v = draws.fraction(at);
        let mut f = Floats { w: at.w };
        let (left, k) = spread(&mut f, u, [a, b]);
        let k = f.add(k, rate);
        let k = f.plus(k, 0.43);
        let k = f.unary(UnaryFn::Floor, k);
        let soon = is_inside(&mut f, left, v, most);
        let (zero, edge) = (f.number(0.0), f.number(0.013));
        let (negative, outer) = (f.is(k, CompareFn::Lt, zero), f.is(left, CompareFn::Lt, edge));
        let above = f.is(v, CompareFn::Gt, left);
        let outer = f.both(outer, above);
        let refused = f.either(negative, outer);
        let kept = f.unary(UnaryFn::Not, refused);
        let s = log_ratio(&mut f, v, inverse_alpha, left, [a, b]);
        let minus = f.unary(UnaryFn::Neg, rate);
        let (scaled, next) = (f.mul(k, log_rate), f.plus(k, 1.0));
        let t = f.add(minus, scaled);
        let log_gamma = emit_log_gamma(&mut f, next);
        let t = f.sub(t, log_gamma);
        let below = f.is(s, CompareFn::Le, t);
        let late = f.both(kept, below);
        let fits = f.either(soon, late);
        when(at, fits, |at| draws.take(at, k));
    });
}

/// The sum of logarithms, which is exact enough to tell the series from a wrong one.
#[test]
fn the_series_is_the_logarithm_of_the_gamma_function() {
    let mut sum = 0.0;
    for n in 1..200 {
        let x = f64::from(n);
        assert!((log_gamma(x) - sum).abs() <= 1e-14 * sum.max(1.0), "at {n}: {} and {sum}", log_gamma(x));
        sum += x.ln();
    }
}
