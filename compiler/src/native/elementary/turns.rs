//! Angles of f32 in turns, where the machine has tables and multiply-adds: Payne and Hanek's reduction in f32 alone.
//!
//! `x / 2 pi` needs of `1 / 2 pi` neither the bits whose product with any `x` of a size is whole nor those that are too
//! small to count. What is between is looked up by the exponent, for 16 exponents at a time, as a sum of four floats. With
//! `u` the spacing of floats at `x`, the first is a multiple of some `g` for which `u g` is at least `2^-24`, the second a
//! multiple of `2^-24 g` that is at most `g / 2`, the third at most half of the last bit of the second, and so on. Hence:
//!
//! - The first product without its whole part is a multiple of `u g` of at most 1/2: exact.
//! - In each sum below the first term is a multiple of the last bit of the second, or not less than it, so three
//!   operations give it and its rest exactly (Dekker's sum under the condition of Jeannerod and Zimmermann).
//! - What is rounded where the terms cancel is below `2^-58` of a turn, and no float but those near 0 is nearer than
//!   `2^-32` to a multiple of a quarter.

use super::{
    math::{Math, Pair},
    *,
};

/// `2^48 / 2 pi` without what is whole: its parts, for x up to `2^(16n + 17)`.
#[allow(clippy::approx_constant, reason = "it is an entry among others")]
const PARTS: [[f32; TABLE / 2]; 4] = [
    [
        70368744000000.0,
        44798656000000.0,
        -6964936700.0,
        1807249.0,
        17.020668,
        0.00016015995,
        2.2900668e-09,
        -4.0893653e-14,
    ],
    [
        -25570612000000.0,
        -522480770.0,
        5009.0205,
        0.02066797,
        -5.7314537e-08,
        1.9967989e-11,
        -3.7447432e-17,
        -1.813003e-21,
    ],
    [1807249.0, 17.020668, 0.00016015997, 2.2900668e-09, -4.0893656e-14, 7.164709e-19, -1.3057672e-23, 3.110774e-28],
    [
        0.020667972,
        -5.731458e-08,
        5.4160747e-12,
        -3.7447446e-17,
        1.5751291e-21,
        2.2121504e-26,
        2.66223e-31,
        1.13343836e-35,
    ],
];

/// The factor that makes the parts normal numbers, which `x` is divided by.
const SCALE: f64 = (1u64 << 48) as f64;

/// What rounding `2 pi` to f32 leaves.
const TURN_LOW: f64 = -1.7484555e-07;

impl Math<'_> {
    /// `q`, in the low bits of a named integer, and `r` of `|x|`.
    pub fn quadrant_by_tables(&mut self, x: ExprId) -> (ExprId, Pair) {
        let size = self.abs(x);
        let size = self.name(size);
        let (bits, two) = (self.bits(size), self.i(2f32.to_bits().into()));
        let bits = self.f(BinaryFn::Max, bits, two);
        let index = self.shr(bits, 27);
        let index = self.name(index);
        let [first, second, third, fourth] = PARTS.map(|part| {
            // The fourth bit of an exponent's number is no part of its number among 16.
            let entry = self.table(std::array::from_fn(|n| part[n % part.len()]), index);
            self.name(entry)
        });
        let (scaled, opposite) = (self.mul_c(size, 1.0 / SCALE), self.mul_c(size, -1.0 / SCALE));
        let (scaled, opposite) = (self.name(scaled), self.name(opposite));
        // The first product may be far beyond 2^24, and what it rounds away still have a whole part.
        let whole = self.mul(opposite, first);
        let whole = self.w.unary(UnaryFn::Round, whole);
        let rest = self.mul_add(scaled, first, whole);
        let head = self.without_whole(rest);
        let head = self.name(head);
        // The others, negative, and what they round away.
        let product = self.mul(opposite, second);
        let product = self.name(product);
        let lost = self.mul_add(scaled, second, product);
        let whole = self.w.unary(UnaryFn::Round, product);
        let next = self.sub(whole, product);
        let next = self.name(next);
        let small = self.mul(opposite, third);
        let small = self.name(small);
        let least = self.mul_add(scaled, third, small);
        let least = self.mul_add(scaled, fourth, least);
        let small = self.neg(small);
        // Without the nearest quarter, whose number the magic sum has in its low bits.
        let (sum, four, magic) = (self.add(head, next), self.c(4.0), self.c(self.magic()));
        let shifted = self.mul_add(sum, four, magic);
        let shifted = self.name(shifted);
        let q = self.bits(shifted);
        let q = self.name(q);
        let (quarters, back) = (self.add_c(shifted, -self.magic()), self.c(-0.25));
        let head = self.mul_add(quarters, back, head);
        let Pair(high, rest) = self.fast_sum(head, next);
        let Pair(low, more) = self.fast_sum(lost, small);
        let Pair(high, low) = self.fast_sum(high, low);
        let least = self.add(more, least);
        let rest = self.add(rest, least);
        let low = self.add(low, rest);
        let low = self.name(low);
        // In radians; what is near 0 needs no reduction, and its products would vanish.
        let Pair(angle, rest) = self.times(Pair(high, low), std::f64::consts::TAU, TURN_LOW);
        let (near, zero) = (self.is_c(CompareFn::Lt, size, 0.75), self.c(0.0));
        let near = self.name(near);
        let (angle, rest) = (self.select(near, size, angle), self.select(near, zero, rest));
        (q, Pair(self.name(angle), self.name(rest)))
    }
    fn without_whole(&mut self, x: ExprId) -> ExprId {
        let x = self.name(x);
        let whole = self.w.unary(UnaryFn::Round, x);
        self.sub(x, whole)
    }
}
