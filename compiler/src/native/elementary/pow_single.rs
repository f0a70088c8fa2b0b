//! Powers of f32 where the machine has tables and multiply-adds: `x^y = 2^(y log2 x)` in f32 alone.
//!
//! `x = 2^e m` with `m` in one of 16 cells around 1, each of which has a `c` near `1/m` of so few bits that `r = m c - 1` is
//! exact. `log2 x = e - log2 c + log2(1+r)` is a pair within `2^-33` of its value, for an error in the exponent counts up
//! to 90 times. So is its product with `y`, whose fraction to the nearest sixteenth goes into a polynomial.

use super::{
    exp::SIXTEENTHS,
    math::{Math, Pair, Poly},
    *,
};

/// The bits of the float at which the first cell begins; each has `2^19` of them.
const START: i64 = 0x3f31_8000;

/// `c`, of multiples of 1/32.
const INVERSES: [f32; TABLE] = [
    1.40625, 1.34375, 1.3125, 1.25, 1.1875, 1.15625, 1.125, 1.0625, 1.03125, 1.0, 0.96875, 0.90625, 0.84375, 0.8125,
    0.78125, 0.75,
];

/// `-log2 c` in multiples of `2^-16`, so that the sum with an exponent is exact; and the rest.
const LOGS: [f32; TABLE] = [
    -0.4918518,
    -0.42626953,
    -0.39231873,
    -0.32192993,
    -0.2479248,
    -0.2094574,
    -0.16992188,
    -0.08746338,
    -0.044387817,
    0.0,
    0.045806885,
    0.14201355,
    0.24511719,
    0.29956055,
    0.35614014,
    0.41503906,
];
const LOGS_LOW: [f32; TABLE] = [
    -1.2896891e-06,
    4.776548e-06,
    1.3028072e-06,
    1.8367533e-06,
    -2.708756e-06,
    4.031832e-06,
    -3.1264424e-06,
    5.376559e-07,
    -6.3019756e-06,
    0.0,
    -3.1951524e-06,
    5.455068e-06,
    -4.6896635e-06,
    -2.650161e-07,
    3.6735066e-06,
    -1.5632212e-06,
];

/// `2 (log(1+r) - r + r^2/2) / r^3` for `|r| <= 0.0412`; its error is at most 2^-44.5 of the logarithm of any cell's end.
const LOG_OF_CELL: Poly =
    Poly { single: &[0.666666667, -0.4999995831, 0.399999064, -0.3339958304, 0.2865341469], double: &[] };

/// `log2 e` less its f32.
const LOG2_E_LOW: f64 = 1.925963e-08;

/// `(2^f - 1) / f` for `|f| <= 1/32`; relative error 2^-29.2 of `2^f`.
#[allow(clippy::approx_constant, reason = "it is a coefficient among others")]
const EXP2_OF_SIXTEENTHS: Poly = Poly { single: &[0.69314718, 0.2402344446, 0.05550598692], double: &[] };

/// `2^(i/16)` less its f32.
const SIXTEENTHS_LOW: [f32; TABLE] = [
    0.0,
    4.83347e-08,
    -1.307754e-08,
    5.3862223e-08,
    3.7976353e-08,
    4.496838e-08,
    -4.0189995e-08,
    -1.0123349e-08,
    2.4203235e-08,
    -4.500899e-08,
    8.070905e-09,
    9.836217e-09,
    -2.4755327e-08,
    -9.23577e-09,
    -1.1239278e-08,
    9.845328e-09,
];

impl Math<'_> {
    /// The power of a named `x` that is not negative; 1 to an infinite power and anything to the power 0 are not covered.
    pub fn power_by_tables(&mut self, x: ExprId, y: ExprId, known: Option<f64>) -> ExprId {
        let Pair(log, low) = self.log2_pair(x);
        // Beyond this, any other base than 1 overflows or vanishes.
        let limit = 2f64.powi(33);
        let y = match known {
            Some(exponent) => self.c(exponent.clamp(-limit, limit)),
            None => self.clamp(y, -limit, limit),
        };
        let Pair(product, rest) = self.product(y, log);
        let rest = self.mul_add(low, y, rest);
        let rest = self.name(rest);
        // The product of an infinite logarithm has no rest, and one that overflows or vanishes needs none.
        let (size, zero) = (self.abs(rest), self.c(0.0));
        let counts = self.is_c(CompareFn::Le, size, 1.0);
        let rest = self.select(counts, rest, zero);
        let product = self.clamp(product, -160.0, 130.0);
        let (product, rest) = (self.name(product), self.name(rest));
        self.exp2_of_pair(Pair(product, rest))
    }
    /// The binary logarithm of a named number that is not negative, the high part infinite for 0 and infinity.
    fn log2_pair(&mut self, x: ExprId) -> Pair {
        let tiny = self.is_c(CompareFn::Lt, x, f32::MIN_POSITIVE.into());
        let tiny = self.name(tiny);
        let up = self.mul_c(x, 8_388_608.0);
        let normal = self.select(tiny, up, x);
        let bits = self.bits(normal);
        let bits = self.name(bits);
        let start = self.i(START);
        let offset = self.sub(bits, start);
        let offset = self.name(offset);
        let (e, index) = (self.shr(offset, 23), self.shr(offset, 19));
        let (e, index) = (self.name(e), self.name(index));
        let shifted = self.shl(e, 23);
        let m = self.sub(bits, shifted);
        let m = self.float_of_bits(m);
        let [c, log, log_low] = [INVERSES, LOGS, LOGS_LOW].map(|entries| self.table(entries, index));
        let minus = self.c(-1.0);
        let r = self.mul_add(m, c, minus);
        let r = self.name(r);
        let (by, none) = (self.c(-23.0), self.c(0.0));
        let (e, by) = (self.float_of_int(e), self.select(tiny, by, none));
        let e = self.add(e, by);
        let whole = self.add(e, log);
        // r - r^2/2 exactly, and the rest of the series.
        let (half, less) = (self.mul_c(r, 0.5), self.mul_c(r, -0.5));
        let square = self.mul(half, r);
        let square = self.name(square);
        let lost = self.mul_add(less, r, square);
        let high = self.sub(r, square);
        let high = self.name(high);
        let rest = self.sub(r, high);
        let rest = self.sub(rest, square);
        let cube = self.mul(square, r);
        let tail = self.poly(&LOG_OF_CELL, r);
        let rest = self.mul_add(cube, tail, rest);
        let rest = self.add(rest, lost);
        // Times log2 e.
        let Pair(scaled, low) = self.times(Pair(high, rest), std::f64::consts::LOG2_E, LOG2_E_LOW);
        let low = self.add(low, log_low);
        // Exact, for the first term is a multiple of 2^-16 that is 0 in the cell of 1.
        let Pair(sum, left) = self.fast_sum(whole, scaled);
        let low = self.add(left, low);
        let (infinity, least) = (self.c(f64::INFINITY), self.c(f64::NEG_INFINITY));
        let infinite = self.is(CompareFn::Eq, x, infinity);
        let sum = self.select(infinite, infinity, sum);
        let zero = self.is_c(CompareFn::Eq, x, 0.0);
        let sum = self.select(zero, least, sum);
        Pair(self.name(sum), self.name(low))
    }
    /// `2^(x + low)` for named parts, `x` from -160 to 130 and `low` between -1 and 1.
    fn exp2_of_pair(&mut self, Pair(x, low): Pair) -> ExprId {
        let offset = if self.machine.has_scaling { 0 } else { 2 * self.bias() };
        let magic = self.magic() / TABLE as f64 + offset as f64;
        let sum = self.add(x, low);
        let sum = self.add_c(sum, magic);
        let sum = self.name(sum);
        let n = self.add_c(sum, -magic);
        let n = self.name(n);
        let f = self.sub(x, n);
        let f = self.add(f, low);
        let f = self.name(f);
        let bits = self.bits(sum);
        let bits = self.name(bits);
        let [t, t_low] = [SIXTEENTHS, SIXTEENTHS_LOW].map(|entries| self.table(entries, bits));
        let t = self.name(t);
        let q = self.poly(&EXP2_OF_SIXTEENTHS, f);
        let more = self.mul(f, q);
        let more = self.mul_add(t, more, t_low);
        let y = self.add(t, more);
        if self.machine.has_scaling {
            return self.scaled(y, n);
        }
        let whole = self.shr(bits, TABLE.ilog2().into());
        self.scaled_in_two_steps(y, whole)
    }
}
