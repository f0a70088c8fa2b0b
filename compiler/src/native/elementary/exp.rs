//! The exponential function and its relatives.
//!
//! `exp(x) = 2^n exp(r)` with `n` the whole number nearest to `x / ln 2`, and `r` what remains, computed with `ln 2` in
//! two parts of which the first times `n` is exact. `exp(r)` is a polynomial. Where the machine has tables, `n` is a
//! multiple of 1/16 instead, and the power of its fraction comes from a table, so that the polynomial is short.

use super::{
    math::{Math, Poly},
    *,
};

/// `(exp(r) - 1 - r) / r^2` for `|r| <= ln(2)/2`; relative errors 2^-28.2 and 2^-63.8.
const EXP: Poly = Poly {
    single: &[0.4999999305, 0.1666651479, 0.04166845679, 0.008369418835, 0.001381314468],
    double: &[
        0.5,
        0.16666666666666685,
        0.04166666666666603,
        0.008333333333315703,
        0.0013888888889134208,
        0.00019841269899726767,
        2.480158690381658e-05,
        2.7557231482119317e-06,
        2.755759239931699e-07,
        2.511322636916994e-08,
        2.082562934061113e-09,
    ],
};

/// The same, where its error counts against `exp(r) - 1`; relative errors 2^-31.9 and 2^-61.6.
const EXPM1: Poly = Poly {
    single: &[0.5000000049, 0.1666666683, 0.04166634213, 0.008333270623, 0.001394204599, 0.0001991562386],
    double: &[
        0.5,
        0.16666666666666677,
        0.041666666666666706,
        0.008333333333320654,
        0.0013888888888865033,
        0.00019841269888893248,
        2.480158736413583e-05,
        2.7557241163715696e-06,
        2.7557239697454003e-07,
        2.5110179010177768e-08,
        2.092538869085595e-09,
    ],
};

/// `(1 - exp(-2r)) / r` for `|r| <= ln(2)/4`; relative error 2^-26.4.
const TANH: Poly =
    Poly { single: &[2.000000023, -1.99999992, 1.333319977, -0.6666744852, 0.2678331715, -0.08888876414], double: &[] };

/// `(sinh(x)/x - 1) / x^2` in `x^2` for `|x| <= 1.5`; relative errors 2^-36.6 and 2^-72.9.
const SINH: Poly = Poly {
    single: &[0.1666666669, 0.008333331965, 0.0001984155733, 2.753117106e-06, 2.612336109e-08],
    double: &[
        0.16666666666666666,
        0.008333333333333333,
        0.00019841269841269917,
        2.755731922396255e-06,
        2.5052108389479156e-08,
        1.605904341616003e-10,
        7.647190668455952e-13,
        2.810420524329218e-15,
        8.440347892657043e-18,
    ],
};

/// The same for `|r| <= ln(2)/32`; relative error 2^-29.2.
const EXP_OF_SIXTEENTHS: [f64; 2] = [0.5000161897, 0.1666671856];

/// `2^(i/16)`.
#[allow(clippy::approx_constant, reason = "it is an entry among others")]
pub const SIXTEENTHS: [f32; TABLE] = [
    1.0, 1.0442737, 1.0905077, 1.1387886, 1.1892071, 1.2418578, 1.2968396, 1.3542556, 1.4142135, 1.4768262, 1.5422108,
    1.6104903, 1.6817929, 1.7562522, 1.8340081, 1.9152066,
];

/// A number as `n ln 2 + r`.
struct Reduced {
    /// A float whose low bits are those of `n + offset`, or of `16 n`.
    sum: ExprId,
    n: ExprId,
    r: ExprId,
}

impl Math<'_> {
    /// The parts of the sum of a named `x` that is not huge and a tiny rest, all named: `n` is a multiple of `1/steps`.
    fn reduced(&mut self, x: ExprId, rest: Option<ExprId>, offset: i64, steps: f64) -> Reduced {
        let Reduced { sum, n, r } = self.reduced_times(1.0, x, offset, steps);
        let r = rest.map_or(r, |rest| self.add(r, rest));
        Reduced { sum, n, r: self.name(r) }
    }
    /// The parts of `sign x = n ln 2 + sign r`.
    fn reduced_times(&mut self, sign: f64, x: ExprId, offset: i64, steps: f64) -> Reduced {
        let magic = self.magic() / steps + offset as f64;
        let (scale, shift) = (self.c(sign * std::f64::consts::LOG2_E), self.c(magic));
        let sum = self.mul_add(x, scale, shift);
        let sum = self.name(sum);
        let n = self.add_c(sum, -magic);
        let n = self.name(n);
        let high = self.c(-sign * self.pick(LN2_HIGH.0, LN2_HIGH.1));
        let low = self.c(-sign * self.pick(LN2_LOW.0, LN2_LOW.1));
        let r = self.mul_add(n, high, x);
        let r = self.mul_add(n, low, r);
        Reduced { sum, n, r }
    }
    /// The power of two whose exponent's bits, with a 0 for the sign, are the low ones of an integer.
    fn exponent(&mut self, bits: ExprId) -> ExprId {
        let bits = self.shl(bits, self.mantissa());
        self.float_of_bits(bits)
    }
    /// `x 2^n` by two powers, so that results may overflow and underflow gradually; the low bits of an integer are those
    /// of `n` and twice the bias.
    pub fn scaled_in_two_steps(&mut self, x: ExprId, bits: ExprId) -> ExprId {
        let bits = self.name(bits);
        let half = self.shr(bits, 1);
        let half = self.name(half);
        let rest = self.sub(bits, half);
        let (first, second) = (self.exponent(half), self.exponent(rest));
        let x = self.mul(x, first);
        self.mul(x, second)
    }
    /// `2^k exp(x + low)`, `low` being tiny.
    pub fn exp_scaled(&mut self, x: ExprId, low: Option<ExprId>, k: i64) -> ExprId {
        self.exp_times(x, low, k, None)
    }
    /// `2^k exp(x + low) factor`, which may underflow though the factor does not.
    pub fn exp_times(&mut self, x: ExprId, low: Option<ExprId>, k: i64, factor: Option<ExprId>) -> ExprId {
        let (least, greatest) = self.exp_range();
        let x = self.clamp(x, least, greatest);
        let x = self.name(x);
        if !self.machine.has_scaling {
            let Reduced { sum, r, .. } = self.reduced(x, low, 2 * self.bias() + k, 1.0);
            let p = self.exp_of_rest(r);
            let p = factor.map_or(p, |factor| self.mul(p, factor));
            let bits = self.bits(sum);
            return self.scaled_in_two_steps(p, bits);
        }
        let in_sixteenths = self.machine.has_tables && self.single();
        let Reduced { sum, n, r } = self.reduced(x, low, 0, if in_sixteenths { TABLE as f64 } else { 1.0 });
        let p = if in_sixteenths {
            let index = self.bits(sum);
            self.exp_of_sixteenths(factor, index, r, 1.0)
        } else {
            let p = self.exp_of_rest(r);
            factor.map_or(p, |factor| self.mul(p, factor))
        };
        let n = if k == 0 { n } else { self.add_c(n, k as f64) };
        self.scaled(p, n)
    }
    /// `factor 2^(i/16) exp(r)`, or `exp(-r)` for a sign of -1, for a named `|r| <= ln(2)/32` and the index `i`.
    pub fn exp_of_sixteenths(&mut self, factor: Option<ExprId>, index: ExprId, r: ExprId, sign: f64) -> ExprId {
        let t = self.table(SIXTEENTHS, index);
        let t = factor.map_or(t, |factor| self.mul(t, factor));
        let t = self.name(t);
        let [second, third] = EXP_OF_SIXTEENTHS;
        let (second, third, first) = (self.c(second), self.c(sign * third), self.c(sign));
        let q = self.mul_add(third, r, second);
        let q = self.mul_add(q, r, first);
        let more = self.mul(t, r);
        self.mul_add(more, q, t)
    }
    /// `exp(r)` for `|r| <= ln(2)/2`.
    fn exp_of_rest(&mut self, r: ExprId) -> ExprId {
        let one = self.c(1.0);
        let q = self.poly(&EXP, r);
        let p = self.mul_add(q, r, one);
        self.mul_add(p, r, one)
    }
    /// Beyond these numbers the result is 0 or infinity.
    fn exp_range(&self) -> (f64, f64) {
        self.pick((-105.0, 90.0), (-746.0, 711.0))
    }
    pub fn exp(&mut self, x: ExprId) -> ExprId {
        self.exp_scaled(x, None, 0)
    }
    /// `exp(-x)`, in the same steps as `exp(x)` where the machine has tables and scaling.
    pub fn exp_of_opposite(&mut self, x: ExprId) -> ExprId {
        if !(self.single() && self.machine.looks_up_at_once()) {
            let x = self.neg(x);
            let x = self.name(x);
            return self.exp(x);
        }
        let (least, greatest) = self.exp_range();
        let x = self.clamp(x, -greatest, -least);
        let x = self.name(x);
        let Reduced { sum, n, r } = self.reduced_times(-1.0, x, 0, TABLE as f64);
        let (index, r) = (self.bits(sum), self.name(r));
        let p = self.exp_of_sixteenths(None, index, r, -1.0);
        self.scaled(p, n)
    }
    /// `2 (s (exp(r) - 1) + (s - 1/2))` with `s = 2^(n-1)`.
    pub fn expm1(&mut self, x: ExprId) -> ExprId {
        let (least, greatest) = self.pick((-18.0, 89.0), (-38.0, 709.9));
        let clamped = self.clamp(x, least, greatest);
        let clamped = self.name(clamped);
        let Reduced { sum, r, .. } = self.reduced(clamped, None, self.bias() - 1, 1.0);
        let bits = self.bits(sum);
        let square = self.mul(r, r);
        let q = self.poly(&EXPM1, r);
        let p = self.mul_add(square, q, r);
        let s = self.exponent(bits);
        let s = self.name(s);
        let rest = self.add_c(s, -0.5);
        let y = self.mul_add(s, p, rest);
        let y = self.mul_c(y, 2.0);
        // So near 0 that the result is the operand.
        let size = self.abs(x);
        let near = self.is_c(CompareFn::Lt, size, self.pick(2f64.powi(-26), 2f64.powi(-55)));
        self.select(near, x, y)
    }
    /// `e / (2 - e)` with `e = 1 - exp(-2a)` for f32; `e / (e + 2)` with `e = exp(2a) - 1` for f64. f32 goes the way of
    /// `cells` where looking up is one step.
    pub fn tanh(&mut self, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        if self.single() && self.machine.looks_up_at_once() {
            let y = self.tanh_by_cells(size);
            return self.with_sign(y, sign);
        }
        let size = self.at_most(size, 20.0);
        let size = self.name(size);
        let y = if self.single() {
            let e = self.lost_by_twice(size);
            let e = self.name(e);
            let two = self.c(2.0);
            let below = self.sub(two, e);
            self.div(e, below)
        } else {
            let twice = self.mul_c(size, 2.0);
            let twice = self.name(twice);
            let e = self.expm1(twice);
            let e = self.name(e);
            let below = self.add_c(e, 2.0);
            self.div(e, below)
        };
        self.with_sign(y, sign)
    }
    /// `1 - exp(-2a)` of a named f32 from 0 to 20. What the power of two lacks counts little where it is not 1, so one
    /// part of `ln 2` will do.
    fn lost_by_twice(&mut self, a: ExprId) -> ExprId {
        let magic = self.magic() + self.bias() as f64;
        let (scale, shift) = (self.c(-2.0 * std::f64::consts::LOG2_E), self.c(magic));
        let sum = self.mul_add(a, scale, shift);
        let sum = self.name(sum);
        let (n, half) = (self.add_c(sum, -magic), self.c(std::f64::consts::LN_2 / 2.0));
        let r = self.mul_add(n, half, a);
        let r = self.name(r);
        let bits = self.bits(sum);
        let s = self.exponent(bits);
        let s = self.name(s);
        let p = self.poly(&TANH, r);
        let (one, more) = (self.c(1.0), self.mul(s, r));
        let rest = self.sub(one, s);
        self.mul_add(more, p, rest)
    }
    /// `x + x^3 p(x^2)`.
    pub fn odd(&mut self, poly: &Poly, x: ExprId) -> ExprId {
        let square = self.mul(x, x);
        let square = self.name(square);
        let p = self.poly(poly, square);
        let cube = self.mul(square, x);
        self.mul_add(cube, p, x)
    }
    /// `t - 1/(4t)` with `t = exp(a)/2`, and a polynomial near 0.
    pub fn sinh(&mut self, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        let size = self.name(size);
        let (t, rest) = self.half_exp(size);
        let large = self.sub(t, rest);
        let small = self.odd(&SINH, size);
        let near = self.is_c(CompareFn::Lt, size, 1.5);
        let y = self.select(near, small, large);
        self.with_sign(y, sign)
    }
    pub fn cosh(&mut self, x: ExprId) -> ExprId {
        let size = self.abs(x);
        let size = self.name(size);
        let (t, rest) = self.half_exp(size);
        self.add(t, rest)
    }
    /// `exp(a)/2` and `exp(-a)/2`.
    fn half_exp(&mut self, size: ExprId) -> (ExprId, ExprId) {
        let t = self.exp_scaled(size, None, -1);
        let t = self.name(t);
        let quarter = self.c(0.25);
        let rest = self.div(quarter, t);
        (t, rest)
    }
}
