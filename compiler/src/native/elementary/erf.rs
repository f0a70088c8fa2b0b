//! The error function and its complement.
//!
//! Near 0 `erf` is an odd polynomial. Beyond, f32 takes `erf(x) = 1 - exp(p(x))` with a polynomial for the logarithm of
//! `erfc`; all else takes `erfc(x) = exp(-x^2) q(t) / (1+2x)` with a polynomial in `t = (x-K)/(x+K)`, which maps the
//! half line to an interval on which the scaled function is smooth (Shepherd and Laframboise, 1981).
//! Where the machine has tables, f32 goes the way of `cells`.

use super::{
    math::{Math, Pair, Poly},
    *,
};

/// `erf(x)/x - 1` in `x^2` for `|x| <= 0.85`; relative errors 2^-27.3 and 2^-62.4.
const ERF: Poly = Poly {
    single: &[0.1283791602, -0.3761257184, 0.112827174, -0.02680254778, 0.005051094829, -0.000631512929],
    double: &[
        0.1283791670955126,
        -0.3761263890318374,
        0.11283791670954658,
        -0.026866170645011532,
        0.005223977623853933,
        -0.0008548326898858196,
        0.00012055326770960708,
        -1.4925445950477428e-05,
        1.645760809213646e-06,
        -1.629979390000594e-07,
        1.4185510058258105e-08,
        -8.82699384353817e-10,
    ],
};

/// `log(erfc(x))` for x from 0.85 to 4; its error is 2^-33.1 of `erf(x)`.
const LOG_ERFC: Poly = Poly {
    single: &[
        0.0001545019752,
        -1.129415625,
        -0.6335520115,
        -0.1080497788,
        0.02496769525,
        -0.004112451849,
        0.0004221779414,
        -2.001773664e-05,
    ],
    double: &[],
};

/// `(1+2x) exp(x^2) erfc(x)` in `t` for x from 0.45 to 10.3 and 27.5; relative errors 2^-27.6 and 2^-59.6.
const ERFC: Poly = Poly {
    single: &[
        1.276978387,
        -0.09276376735,
        -0.1660309983,
        0.1640489926,
        -0.05420858374,
        -0.008009360555,
        0.008646293127,
        0.001164082791,
        -0.001246532504,
        -0.0002516715042,
    ],
    double: &[
        1.2423492448711544,
        -0.14000918013761943,
        -0.01055559633221839,
        0.09751909515326032,
        -0.11508959816018549,
        0.087983153824797,
        -0.04882332582805534,
        0.0190993309436819,
        -0.004215019906038871,
        -0.00030226789077932736,
        0.0005643844069941016,
        -0.00012151233676377528,
        -4.278219436716178e-05,
        2.4260599912494496e-05,
        2.328235985162404e-06,
        -3.8135756931792127e-06,
        -4.415412650865816e-08,
        5.989730708627266e-07,
        -7.982412913344818e-09,
        -9.206445113458496e-08,
        5.872030208335417e-10,
        1.007232685574321e-08,
    ],
};

/// The `K` of `t`.
const MIDDLE: (f64, f64) = (2.0, 3.5);

impl Math<'_> {
    /// `erf` of a named number of at most 0.85.
    fn erf_near(&mut self, x: ExprId) -> ExprId {
        let z = self.mul(x, x);
        let z = self.name(z);
        let p = self.poly(&ERF, z);
        self.mul_add(x, p, x)
    }
    /// `erfc` of a named number of at least 0.45.
    fn erfc_far(&mut self, x: ExprId) -> ExprId {
        let x = self.at_most(x, self.pick(10.3, 27.5));
        let x = self.name(x);
        let Pair(square, low) = self.product(x, x);
        let (minus, minus_low) = (self.neg(square), self.neg(low));
        let middle = self.pick(MIDDLE.0, MIDDLE.1);
        let (above, below) = (self.add_c(x, -middle), self.add_c(x, middle));
        let t = self.div(above, below);
        let t = self.name(t);
        let q = self.poly(&ERFC, t);
        let twice = self.mul_c(x, 2.0);
        let scale = self.add_c(twice, 1.0);
        let q = self.div(q, scale);
        let q = self.name(q);
        self.exp_times(minus, Some(minus_low), 0, Some(q))
    }
    pub fn erf(&mut self, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        if self.single() && self.machine.has_tables {
            let y = self.erf_by_cells(size);
            return self.with_sign(y, sign);
        }
        let size = self.name(size);
        let near = self.is_c(CompareFn::Le, size, 0.85);
        let near = self.name(near);
        let small = self.erf_near(size);
        let one = self.c(1.0);
        let rest = if self.single() {
            let size = self.at_most(size, 4.0);
            let size = self.name(size);
            let p = self.poly(&LOG_ERFC, size);
            let p = self.name(p);
            self.exp(p)
        } else {
            self.erfc_far(size)
        };
        let large = self.sub(one, rest);
        let y = self.select(near, small, large);
        self.with_sign(y, sign)
    }
    pub fn erfc(&mut self, x: ExprId) -> ExprId {
        let size = self.abs(x);
        let size = self.name(size);
        let by_cells = self.single() && self.machine.looks_up_at_once();
        let far = if by_cells { self.erfc_by_cells(size) } else { self.erfc_far(size) };
        let far = self.name(far);
        let (negative, two) = (self.is_c(CompareFn::Lt, x, 0.0), self.c(2.0));
        let opposite = self.sub(two, far);
        let far = self.select(negative, opposite, far);
        if by_cells {
            return far;
        }
        let near = self.is_c(CompareFn::Le, size, 0.5);
        let small = self.erf_near(x);
        let one = self.c(1.0);
        let small = self.sub(one, small);
        self.select(near, small, far)
    }
}
