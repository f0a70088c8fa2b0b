//! The error function and its complement.
//!
//! Near 0 `erf` is an odd polynomial. Beyond, f32 takes `erf(x) = 1 - exp(p(x))` with a polynomial for the logarithm of
//! `erfc`; all else takes `erfc(x) = exp(-x^2) q(t) / (1+2x)` with a polynomial in `t = (x-K)/(x+K)`, which maps the
//! half line to an interval on which the scaled function is smooth (Shepherd and Laframboise, 1981).
//!
//! Where the machine has tables, f32 takes polynomials of `erf` and of the scaled `erfc` in 16 cells, one for each entry.

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

/// The same for `|x| <= 4.11` in cells of 17/64, whose first is about 0, as tables of coefficients; relative error 2^-25.4.
const ERF_CELLS: [[f32; TABLE]; 6] = [
    [
        0.0, 0.29282323, 0.54752845, 0.740237, 0.8670583, 0.93965334, 0.9757977, 0.9914503, 0.997346, 0.9992774,
        0.9998277, 0.99996406, 0.99999344, 0.999999, 0.9999999, 1.0,
    ],
    [
        1.1283791,
        1.0515084,
        0.850914,
        0.5979624,
        0.3649029,
        0.1933731,
        0.088987716,
        0.035561442,
        0.0123408185,
        0.0037189808,
        0.0009732388,
        0.00022117219,
        4.364731e-05,
        7.479983e-06,
        1.1131672e-06,
        1.4385911e-07,
    ],
    [
        0.0,
        -0.27929968,
        -0.45203957,
        -0.47649762,
        -0.38771117,
        -0.25682753,
        -0.14182694,
        -0.06612289,
        -0.026223933,
        -0.008890149,
        -0.0025847966,
        -0.00064606476,
        -0.00013906385,
        -2.5811523e-05,
        -4.135402e-06,
        -5.7236946e-07,
    ],
    [
        -0.3761217,
        -0.30106872,
        -0.1235554,
        0.053810224,
        0.15298939,
        0.16293901,
        0.1210281,
        0.07011191,
        0.03303809,
        0.012929804,
        0.0042532296,
        0.0011849138,
        0.00028101218,
        5.6940404e-05,
        9.884288e-06,
        1.4729649e-06,
    ],
    [
        0.0,
        0.13197938,
        0.18221827,
        0.13684256,
        0.048238464,
        -0.022004431,
        -0.04875143,
        -0.043015894,
        -0.026408207,
        -0.012573303,
        -0.004842924,
        -0.0015418039,
        -0.00041085776,
        -9.239188e-05,
        -1.7631808e-05,
        -2.8671259e-06,
    ],
    [
        0.11213,
        0.07710357,
        -0.0009821529,
        -0.059122402,
        -0.06587869,
        -0.036907848,
        -0.0051862267,
        0.010870986,
        0.012429581,
        0.008072888,
        0.0038346534,
        0.0014330387,
        0.0004353233,
        0.00010944099,
        2.3024655e-05,
        4.0840973e-06,
    ],
];
const ERF_CELL: f64 = 17.0 / 64.0;

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

/// `exp(x^2) erfc(x)` for x up to 10.1 in cells of a quarter of a power of two of `x + 3/4`, at the low bits of its
/// exponent and the first two of its mantissa; relative error 2^-23.5.
const ERFC_CELLS: [[f32; TABLE]; 6] = [
    [
        0.32158542,
        0.25539568,
        0.21080637,
        0.17900115,
        0.14558974,
        0.116302714,
        0.096698776,
        0.08269506,
        0.06789493,
        0.054784585,
        0.93320626,
        0.8191813,
        0.68585724,
        0.5568139,
        0.46431157,
        0.39569807,
    ],
    [
        -0.16362292,
        -0.10679646,
        -0.07434735,
        -0.05437226,
        -0.036456257,
        -0.023503449,
        -0.016343217,
        -0.0119959,
        -0.008112989,
        -0.0052951416,
        -1.0117284,
        -0.8211862,
        -0.61398625,
        -0.4323618,
        -0.3158339,
        -0.23805849,
    ],
    [
        0.076146856,
        0.04180144,
        0.024937531,
        0.015884187,
        0.00887788,
        0.00466111,
        0.002725208,
        0.0017227039,
        0.00096265797,
        0.00050940976,
        0.8699721,
        0.66520816,
        0.45560607,
        0.28658488,
        0.18795556,
        0.1278816,
    ],
    [
        -0.032930177,
        -0.015460385,
        -0.008001477,
        -0.0044793957,
        -0.0021071252,
        -0.0009080641,
        -0.00044858624,
        -0.00024499028,
        -0.00011346604,
        -4.8943923e-05,
        -0.6382369,
        -0.46430638,
        -0.29542112,
        -0.16882949,
        -0.10091424,
        -0.06279385,
    ],
    [
        0.013555525,
        0.00549663,
        0.002486921,
        0.0012309051,
        0.00049753406,
        0.00017622966,
        7.362628e-05,
        3.476248e-05,
        1.3558407e-05,
        4.422981e-06,
        0.41582307,
        0.28958064,
        0.17349444,
        0.09102399,
        0.05006155,
        0.028735826,
    ],
    [
        -0.005199004,
        -0.0018470951,
        -0.0007386452,
        -0.0003259627,
        -0.0001124973,
        -3.318136e-05,
        -1.1819739e-05,
        -4.850451e-06,
        -1.5763228e-06,
        -6.1013446e-07,
        -0.24516468,
        -0.16420345,
        -0.092655845,
        -0.045056783,
        -0.023000367,
        -0.012275123,
    ],
];
const ERFC_START: f64 = 0.75;

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
    /// The polynomial of the cell that an index names.
    fn of_cell(&mut self, cells: &[[f32; TABLE]; 6], index: ExprId, u: ExprId) -> ExprId {
        let (index, u) = (self.name(index), self.name(u));
        let [rest @ .., last] = cells;
        let last = self.table(*last, index);
        rest.iter().rev().fold(last, |sum, &entries| {
            let c = self.table(entries, index);
            self.mul_add(sum, u, c)
        })
    }
    /// `erf` of a magnitude, by cells of one width.
    fn erf_by_cells(&mut self, size: ExprId) -> ExprId {
        // From 3.92 on the function rounds to 1; the last cell ends at 4.117.
        let size = self.at_most(size, 4.1);
        let size = self.name(size);
        let (inverse, magic) = (self.c(1.0 / ERF_CELL), self.c(self.magic()));
        let sum = self.mul_add(size, inverse, magic);
        let sum = self.name(sum);
        let (index, number) = (self.bits(sum), self.add_c(sum, -self.magic()));
        let width = self.c(-ERF_CELL);
        let u = self.mul_add(number, width, size);
        self.of_cell(&ERF_CELLS, index, u)
    }
    /// `erfc` of a named magnitude, by cells of a power of two each.
    fn erfc_by_cells(&mut self, size: ExprId) -> ExprId {
        let size = self.at_most(size, 10.1);
        let size = self.name(size);
        let below = self.neg(size);
        let Pair(minus, minus_low) = self.product(below, size);
        let y = self.add_c(size, ERFC_START);
        let y = self.name(y);
        let bits = self.bits(y);
        let index = self.shr(bits, 21);
        let (cell, half) = (self.i(-1 << 21), self.i(1 << 20));
        let middle = self.both(bits, cell);
        let middle = self.either(middle, half);
        let middle = self.float_of_bits(middle);
        let u = self.sub(y, middle);
        let scaled = self.of_cell(&ERFC_CELLS, index, u);
        self.exp_bounded(minus, Some(minus_low), 0, Some(scaled))
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
        let by_cells = self.single() && self.machine.has_tables;
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
