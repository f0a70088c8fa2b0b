//! Inverse trigonometric functions.
//!
//! `asin` is an odd polynomial up to 1/2; beyond, `asin(x) = pi/2 - 2 asin(sqrt((1-x)/2))`. `atan` of a number of at
//! most 1 is an odd polynomial up to 0.546; beyond, `atan(t) = pi/4 + atan((t-1)/(t+1))`, which is there at least 1/2, so
//! that the errors of the quotient count half.

use super::{
    math::{Math, Pair, Poly},
    *,
};

/// `(asin(x)/x - 1) / x^2` in `x^2` for `|x| <= 1/2`; relative errors 2^-27.6 and 2^-59.9.
const ASIN: Poly = Poly {
    single: &[0.1666675248, 0.07495297657, 0.04547037451, 0.02417952076, 0.04216629978],
    double: &[
        0.1666666666666676,
        0.07499999999970798,
        0.0446428571746132,
        0.030381942707729225,
        0.02237221498894399,
        0.017351611994042556,
        0.013980820746398247,
        0.011398910806170717,
        0.010780260029286757,
        0.003706382825743394,
        0.021707508379689336,
        -0.020999148135715608,
        0.032628677103297754,
    ],
};

/// `(atan(x)/x - 1) / x^2` in `x^2` for `|x| <= 0.5465`; relative errors 2^-34.4 and 2^-66.9.
const ATAN: Poly = Poly {
    single: &[-0.3333333212, 0.1999989382, -0.1428254925, 0.1106585665, -0.08737461912, 0.06109315032, -0.02597881683],
    double: &[
        -0.3333333333333333,
        0.19999999999999726,
        -0.1428571428568053,
        0.11111111109003573,
        -0.09090909012390651,
        0.07692305782573423,
        -0.06666634613387287,
        0.058819682425981,
        -0.05259781254645222,
        0.047399485281831355,
        -0.04241522535038442,
        0.03617415869069377,
        -0.02687614487606252,
        0.014757523760483547,
        -0.0042701560344178355,
    ],
};

impl Math<'_> {
    /// What rounding `pi/2` to the type leaves.
    fn half_pi_low(&self) -> f64 {
        self.pick(-4.371138828673793e-08, 6.123233995736766e-17)
    }
    /// Whether `a <= 1/2`; and `asin` of `a` there, or of `sqrt((1-a)/2)` beyond, as the argument and what is added.
    fn asin_core(&mut self, size: ExprId) -> (ExprId, Pair) {
        let near = self.is_c(CompareFn::Le, size, 0.5);
        let near = self.name(near);
        let (half, halved) = (self.c(0.5), self.mul_c(size, 0.5));
        let rest = self.sub(half, halved);
        let rest = self.name(rest);
        let root = self.sqrt(rest);
        let square = self.mul(size, size);
        let z = self.select(near, square, rest);
        let z = self.name(z);
        let s = self.select(near, size, root);
        let s = self.name(s);
        let p = self.poly(&ASIN, z);
        let cube = self.mul(z, s);
        let more = self.mul(cube, p);
        (near, Pair(s, self.name(more)))
    }
    pub fn asin(&mut self, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        let size = self.name(size);
        let (near, Pair(s, more)) = self.asin_core(size);
        // The greater terms first: what is rounded last counts once.
        let (minus, high, low) = (self.c(-2.0), self.c(std::f64::consts::FRAC_PI_2), self.c(self.half_pi_low()));
        let high = self.mul_add(s, minus, high);
        let low = self.mul_add(more, minus, low);
        let (small, far) = (self.add(s, more), self.add(high, low));
        let y = self.select(near, small, far);
        self.with_sign(y, sign)
    }
    /// `pi/2 - asin(x)` up to 1/2; `2 asin(sqrt((1-x)/2))` beyond, and `pi` minus that below -1/2.
    pub fn acos(&mut self, x: ExprId) -> ExprId {
        let size = self.abs(x);
        let size = self.name(size);
        let (near, Pair(s, more)) = self.asin_core(size);
        let y = self.add(s, more);
        let y = self.name(y);
        let negative = self.is_c(CompareFn::Lt, x, 0.0);
        let negative = self.name(negative);
        let opposite = self.neg(y);
        let toward = self.select(negative, y, opposite);
        let toward = self.add_c(toward, self.half_pi_low());
        let middle = self.add_c(toward, std::f64::consts::FRAC_PI_2);
        let twice = self.mul_c(y, 2.0);
        let twice = self.name(twice);
        let low = self.c(2.0 * self.half_pi_low());
        let left = self.sub(low, twice);
        let left = self.add_c(left, std::f64::consts::PI);
        let far = self.select(negative, left, twice);
        self.select(near, middle, far)
    }
    /// The arctangent of a named number from 0 to 1.
    fn atan_core(&mut self, t: ExprId) -> ExprId {
        let far = self.is_c(CompareFn::Gt, t, 0.546);
        let far = self.name(far);
        let (down, up) = (self.add_c(t, -1.0), self.add_c(t, 1.0));
        let ratio = self.div(down, up);
        let t = self.select(far, ratio, t);
        let t = self.name(t);
        let y = self.odd(&ATAN, t);
        let (quarter, none) = (self.c(std::f64::consts::FRAC_PI_4), self.c(0.0));
        let (low, start) = (self.c(0.5 * self.half_pi_low()), self.select(far, quarter, none));
        let low = self.select(far, low, none);
        let y = self.add(y, low);
        self.add(start, y)
    }
    pub fn atan(&mut self, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        let size = self.name(size);
        let y = self.atan_ratio(size, None);
        self.with_sign(y, sign)
    }
    /// The angle of a named `a` over a named `b`, or over 1, both at least 0: through the lesser over the greater.
    fn atan_ratio(&mut self, a: ExprId, b: Option<ExprId>) -> ExprId {
        let one = self.c(1.0);
        let b = b.unwrap_or(one);
        let steep = self.is(CompareFn::Gt, a, b);
        let steep = self.name(steep);
        let (less, more) = (self.select(steep, b, a), self.select(steep, a, b));
        let t = self.div(less, more);
        let t = self.name(t);
        let y = self.atan_core(t);
        let y = self.name(y);
        let low = self.c(self.half_pi_low());
        let rest = self.sub(low, y);
        let rest = self.add_c(rest, std::f64::consts::FRAC_PI_2);
        self.select(steep, rest, y)
    }
    /// C `atan2`: zeros and infinities have the angle of their signs.
    pub fn atan2(&mut self, y: ExprId, x: ExprId) -> ExprId {
        let (a, b) = (self.abs(y), self.abs(x));
        let (a, b) = (self.name(a), self.name(b));
        // Two zeros are as 0 over 1, two infinities as 1 over 1; a NaN stays one.
        let infinity = self.c(f64::INFINITY);
        let (a_inf, b_inf) = (self.is(CompareFn::Eq, a, infinity), self.is(CompareFn::Eq, b, infinity));
        let (a_zero, b_zero) = (self.is_c(CompareFn::Eq, a, 0.0), self.is_c(CompareFn::Eq, b, 0.0));
        let (infinite, zero) = (self.both(a_inf, b_inf), self.both(a_zero, b_zero));
        let infinite = self.name(infinite);
        let odd = self.either(infinite, zero);
        let one = self.c(1.0);
        let (a, b) = (self.select(infinite, one, a), self.select(odd, one, b));
        let (a, b) = (self.name(a), self.name(b));
        let angle = self.atan_ratio(a, Some(b));
        let angle = self.name(angle);
        let low = self.c(2.0 * self.half_pi_low());
        let left = self.sub(low, angle);
        let left = self.add_c(left, std::f64::consts::PI);
        let (bits, none) = (self.bits(x), self.i(0));
        let negative = self.is(CompareFn::Lt, bits, none);
        let angle = self.select(negative, left, angle);
        let sign = self.sign(y);
        self.with_sign(angle, sign)
    }
}
