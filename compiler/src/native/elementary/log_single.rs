//! The logarithm of f32 where the machine has tables and instructions for the parts of a float.
//!
//! `x = 2^e m` with `m` from 3/4 up to 3/2, which the top four bits of its mantissa put in one of 16 cells. Each cell has a
//! `c` of six bits with `r = m c - 1` near 0, so `log(x) = e ln 2 - log(c) + log(1+r)`, and `log(1+r)` is a short
//! polynomial. Cells below 1 have a mantissa of the binade before: their entries have one `ln 2` more, which `e` lacks.
//! The cells beside 1 have a `c` of 1, so that nothing cancels there.
//!
//! What a logarithm is elsewhere comes by itself: the exponent of 0 and of infinity, a mantissa that is NaN.

use super::{
    math::{Math, Poly},
    *,
};

/// `c` in each cell.
const INVERSES: [f32; TABLE] = [
    1.0, 0.90625, 0.875, 0.8125, 0.78125, 0.75, 0.71875, 0.6875, 1.3125, 1.25, 1.21875, 1.15625, 1.125, 1.09375,
    1.0625, 1.0,
];

/// `-log(c)`, with `ln 2` in the upper half, in two parts; the first is a multiple of 2^-16.
#[allow(clippy::approx_constant, reason = "it is an entry among others")]
const LOGS: [f32; TABLE] = [
    0.0, 0.09843445, 0.13352966, 0.2076416, 0.24685669, 0.2876892, 0.33024597, 0.37469482, 0.42121887, 0.47000122,
    0.49531555, 0.5479584, 0.57536316, 0.6035309, 0.6325226, 0.69314575,
];
const LOGS_LOW: [f32; TABLE] = [
    0.0,
    5.6245713e-06,
    1.7295386e-06,
    -2.2367842e-06,
    3.3884785e-06,
    -7.1365325e-06,
    -4.284809e-06,
    -1.3747773e-06,
    -5.406994e-06,
    2.4085425e-06,
    5.885472e-06,
    6.796692e-06,
    9.857239e-07,
    4.1380813e-06,
    -2.4264303e-08,
    1.4286068e-06,
];

/// `(log(1+r) - r) / r^2` for r from -0.0372 to 1/16; relative error 2^-28.0.
const LOG_OF_REST: Poly = Poly { single: &[-0.4999999165, 0.3333452654, -0.2502404952, 0.190808528], double: &[] };

impl Math<'_> {
    pub fn log_by_cells(&mut self, x: ExprId) -> ExprId {
        let (e, m) = (self.exponent_part(x), self.mantissa_part(x));
        let (e, m) = (self.name(e), self.name(m));
        let bits = self.bits(m);
        let index = self.shr(bits, 19);
        let index = self.name(index);
        let (inverse, minus) = (self.table(INVERSES, index), self.c(-1.0));
        let r = self.mul_add(m, inverse, minus);
        let r = self.name(r);
        let (high, ln2) = (self.table(LOGS, index), self.c(LN2_HIGH.0));
        let high = self.mul_add(e, ln2, high);
        let (low, ln2) = (self.table(LOGS_LOW, index), self.c(LN2_LOW.0));
        let low = self.mul_add(e, ln2, low);
        let q = self.poly(&LOG_OF_REST, r);
        let square = self.mul(r, r);
        let low = self.mul_add(square, q, low);
        let low = self.add(r, low);
        self.add(high, low)
    }
}
