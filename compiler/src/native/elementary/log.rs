//! The logarithm and its relatives.
//!
//! `log(x) = e ln 2 + log(1+f)` with `1+f` between `sqrt(1/2)` and `sqrt(2)`; denormal numbers are scaled first.
//! f32 takes a polynomial in `f`; f64 takes one in the square of `s = f/(2+f)`, as `log(1+f) = log((1+s)/(1-s))`.

use super::{
    math::{Math, Pair, Poly},
    *,
};

/// `(log(1+f) - f + f^2/2) / f^3` for `1+f` from `sqrt(1/2)` to `sqrt(2)`; relative error 2^-30.3.
const LOG_F: Poly = Poly {
    single: &[
        0.333333126,
        -0.250000096,
        0.2000211864,
        -0.1666799593,
        0.1421955275,
        -0.1240558811,
        0.1188815904,
        -0.1167565455,
        0.06746649788,
    ],
    double: &[],
};

/// `(log((1+s)/(1-s))/s - 2) / s^2` in `s^2`; relative error 2^-66.7.
const LOG_S: Poly = Poly {
    single: &[],
    double: &[
        0.6666666666666666,
        0.4000000000000624,
        0.2857142856908736,
        0.22222222646570616,
        0.18181775683852064,
        0.15387089946050125,
        0.13250136624543937,
        0.13251159334525536,
    ],
};

/// What `LOG_S` has beyond 2/3, divided by `s^2`; relative error 2^-73.6.
const LOG_TAIL: Poly = Poly {
    single: &[],
    double: &[
        0.3999999999999998,
        0.285714285714451,
        0.22222222217539342,
        0.18181818869961094,
        0.15384556895139034,
        0.1333631648958528,
        0.11674837387756698,
        0.11988855799536004,
    ],
};

impl Math<'_> {
    /// `e` as a float, and `f`, of a normal positive number; anything of the right type otherwise.
    fn parts(&mut self, x: ExprId) -> (ExprId, ExprId) {
        let ix = self.bits(x);
        let ix = self.name(ix);
        // The bits of sqrt(1/2): what lies below it in its binade belongs to the exponent before.
        let start = self.i(self.pick(0x3f35_04f3, 0x3fe6_a09e_667f_3bcd));
        let offset = self.sub(ix, start);
        let e = self.shr(offset, self.mantissa());
        let e = self.name(e);
        let shifted = self.shl(e, self.mantissa());
        let m = self.sub(ix, shifted);
        let m = self.float_of_bits(m);
        let f = self.add_c(m, -1.0);
        let f = self.name(f);
        (self.float_of_int(e), f)
    }
    /// The parts of any positive number.
    fn scaled_parts(&mut self, x: ExprId) -> (ExprId, ExprId) {
        let least = self.pick(f32::MIN_POSITIVE.into(), f64::MIN_POSITIVE);
        let tiny = self.is_c(CompareFn::Lt, x, least);
        let tiny = self.name(tiny);
        let up = self.mul_c(x, self.pick(8_388_608.0, 4_503_599_627_370_496.0));
        let x = self.select(tiny, up, x);
        let (e, f) = self.parts(x);
        let (by, none) = (self.c(-self.mantissa() as f64), self.c(0.0));
        let by = self.select(tiny, by, none);
        (self.add(e, by), f)
    }
    /// `e ln 2 + log(1+f) + rest`.
    fn log_of_parts(&mut self, e: ExprId, f: ExprId, rest: Option<ExprId>) -> ExprId {
        let e = self.name(e);
        let square = self.mul(f, f);
        let square = self.name(square);
        let low = self.c(self.pick(LN2_LOW.0, LN2_LOW.1));
        let high = self.c(self.pick(LN2_HIGH.0, LN2_HIGH.1));
        if self.single() {
            let p = self.poly(&LOG_F, f);
            let cube = self.mul(f, square);
            let y = self.mul(cube, p);
            let y = self.mul_add(e, low, y);
            let y = rest.map_or(y, |rest| self.add(y, rest));
            let half = self.c(-0.5);
            let y = self.mul_add(square, half, y);
            let y = self.add(f, y);
            return self.mul_add(e, high, y);
        }
        let below = self.add_c(f, 2.0);
        let s = self.div(f, below);
        let s = self.name(s);
        let z = self.mul(s, s);
        let z = self.name(z);
        let p = self.poly(&LOG_S, z);
        let half = self.mul_c(square, 0.5);
        let half = self.name(half);
        let y = self.mul_add(z, p, half);
        let y = self.mul(s, y);
        let y = self.mul_add(e, low, y);
        let y = rest.map_or(y, |rest| self.add(y, rest));
        let y = self.sub(half, y);
        let y = self.sub(f, y);
        self.mul_add(e, high, y)
    }
    /// `y` for a positive finite `x`; what the logarithm is elsewhere.
    fn where_positive(&mut self, x: ExprId, y: ExprId) -> ExprId {
        let (infinity, nothing) = (self.c(f64::INFINITY), self.c(f64::NAN));
        let finite = self.is(CompareFn::Lt, x, infinity);
        let y = self.select(finite, y, x);
        let (least, zero) = (self.c(f64::NEG_INFINITY), self.is_c(CompareFn::Eq, x, 0.0));
        let other = self.select(zero, least, nothing);
        let positive = self.is_c(CompareFn::Gt, x, 0.0);
        self.select(positive, y, other)
    }
    pub fn log(&mut self, x: ExprId) -> ExprId {
        if self.single() && self.machine.stays_single() && self.machine.has_parts {
            return self.log_by_cells(x);
        }
        let (e, f) = self.scaled_parts(x);
        let y = self.log_of_parts(e, f, None);
        self.where_positive(x, y)
    }
    /// The logarithm of `u = 1 + x`, and what rounding took from `u`, divided by `u`.
    pub fn log1p(&mut self, x: ExprId) -> ExprId {
        let one = self.c(1.0);
        let Pair(u, lost) = self.sum(one, x);
        let lost = self.div(lost, u);
        let (e, f) = self.parts(u);
        let y = self.log_of_parts(e, f, Some(lost));
        let y = self.where_positive(u, y);
        let zero = self.is_c(CompareFn::Eq, x, 0.0);
        self.select(zero, x, y)
    }
    /// The logarithm of a positive finite f64 to about 2^-64 of its value, for powers: the leading terms of the series
    /// in `s` as pairs.
    pub fn log_pair(&mut self, x: ExprId) -> Pair {
        let (e, f) = self.scaled_parts(x);
        let e = self.name(e);
        // s = f / (2 + f) with its rest.
        let two = self.c(2.0);
        let Pair(below, below_low) = self.fast_sum(two, f);
        let s = self.div(f, below);
        let s = self.name(s);
        let Pair(product, product_low) = self.product(s, below);
        let rest = self.sub(f, product);
        let rest = self.sub(rest, product_low);
        let more = self.mul(s, below_low);
        let rest = self.sub(rest, more);
        let s_low = self.div(rest, below);
        let s_low = self.name(s_low);
        // z = s^2, c = 2/3 + z (...), and s z c.
        let Pair(z, z_low) = self.product(s, s);
        let twice = self.mul_c(s, 2.0);
        let more = self.mul(twice, s_low);
        let z_low = self.add(z_low, more);
        let z_low = self.name(z_low);
        let tail = self.poly(&LOG_TAIL, z);
        let tail = self.mul(z, tail);
        // What rounding takes from 2/3.
        let tail = self.add_c(tail, 3.700743415417188e-17);
        let two_thirds = self.c(2.0 / 3.0);
        let c = self.fast_sum(two_thirds, tail);
        let cube = self.pair_product(Pair(s, s_low), Pair(z, z_low));
        let term = self.pair_product(cube, c);
        // e ln 2 + 2 s + s z c, from the greatest to the least.
        let high = self.c(LN2_HIGH.1);
        let first = self.mul(e, high);
        let twice = self.name(twice);
        let double_low = self.mul_c(s_low, 2.0);
        let Pair(sum, low) = self.sum(first, twice);
        let Pair(sum, low2) = self.sum(sum, term.0);
        let ln2_low = self.c(LN2_LOW.1);
        let e_low = self.mul(e, ln2_low);
        let low = self.add(low, low2);
        let low = self.add(low, double_low);
        let low = self.add(low, term.1);
        let low = self.add(low, e_low);
        self.fast_sum(sum, low)
    }
    pub fn pair_product(&mut self, x: Pair, y: Pair) -> Pair {
        let Pair(high, low) = self.product(x.0, y.0);
        let low = self.mul_add(x.0, y.1, low);
        let low = self.mul_add(x.1, y.0, low);
        self.fast_sum(high, low)
    }

    /// `log1p(2a / (1-a)) / 2`.
    pub fn atanh(&mut self, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        let size = self.name(size);
        let one = self.c(1.0);
        let (twice, below) = (self.mul_c(size, 2.0), self.sub(one, size));
        let ratio = self.div(twice, below);
        let ratio = self.name(ratio);
        let y = self.log1p(ratio);
        let y = self.mul_c(y, 0.5);
        self.with_sign(y, sign)
    }
    /// `log1p(a + a^2 / (1 + sqrt(a^2 + 1)))`, or `log(a) + ln 2` for large `a`.
    pub fn asinh(&mut self, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        let size = self.name(size);
        let square = self.mul(size, size);
        let square = self.name(square);
        let root = self.add_c(square, 1.0);
        let root = self.sqrt(root);
        let below = self.add_c(root, 1.0);
        let ratio = self.div(square, below);
        let sum = self.add(size, ratio);
        let y = self.log1p_or_log(size, sum);
        self.with_sign(y, sign)
    }
    /// `log1p(t + sqrt(t (t + 2)))` with `t = x - 1`, or `log(x) + ln 2` for large `x`.
    pub fn acosh(&mut self, x: ExprId) -> ExprId {
        let t = self.add_c(x, -1.0);
        let t = self.name(t);
        let more = self.add_c(t, 2.0);
        let square = self.mul(t, more);
        let root = self.sqrt(square);
        let sum = self.add(t, root);
        let y = self.log1p_or_log(x, sum);
        let (below, nothing) = (self.is_c(CompareFn::Lt, x, 1.0), self.c(f64::NAN));
        self.select(below, nothing, y)
    }
    /// `log1p(sum)`, or `log(2x)` where `x` is so large that its square may overflow.
    fn log1p_or_log(&mut self, x: ExprId, sum: ExprId) -> ExprId {
        let large = self.is_c(CompareFn::Gt, x, self.pick(2f64.powi(30), 2f64.powi(60)));
        let large = self.name(large);
        let argument = self.select(large, x, sum);
        let argument = self.name(argument);
        let y = self.log1p(argument);
        let (by, none) = (self.c(std::f64::consts::LN_2), self.c(0.0));
        let by = self.select(large, by, none);
        self.add(y, by)
    }
}
