//! Sine, cosine and tangent of arguments of any size.
//!
//! `|x| = (q + t) pi/2` with a whole `q` and `|t| <= 1/2`; the function of `r = t pi/2` is a polynomial, and the two
//! low bits of `q` say which. The product of `|x|` and `2/pi` keeps what matters below the point however large `x` is
//! (Payne and Hanek's reduction), in one of three ways:
//!
//! - f32 where the machine has tables: that of `turns`.
//! - f32 elsewhere: `2/pi` in parts of 26 bits, whose products with a 24-bit number are exact in f64. Parts whose product
//!   is a multiple of 4 are left out; after each other part the whole number is taken away, so that no digit is lost.
//!   This is the one place where an f32 function (with `pow`) computes in f64, without lanes.
//! - f64: the bits of `2/pi` that matter are looked up by selects and multiplied in 32-bit digits.

use super::{
    math::{Math, Pair, Poly},
    *,
};

/// `(sin(r)/r - 1) / r^2` in `r^2` for `|r| <= pi/4`; relative errors 2^-28.0 and 2^-57.9.
const SIN: Poly = Poly {
    single: &[-0.1666665454, 0.008332156052, -0.0001951463172],
    double: &[
        -0.1666666666666663,
        0.008333333333322005,
        -0.00019841269829495503,
        2.755731358762251e-06,
        -2.505074230839634e-08,
        1.5895904767938178e-10,
    ],
};

/// `(cos(r) - 1 + r^2/2) / r^4` in `r^2`; relative errors 2^-33.0 and 2^-63.9.
const COS: Poly = Poly {
    single: &[0.04166664555, -0.001388730987, 2.443241316e-05],
    double: &[
        0.041666666666666595,
        -0.0013888888888872895,
        2.4801587288748217e-05,
        -2.755731414862887e-07,
        2.08756965730051e-09,
        -1.1358310499358369e-11,
    ],
};

/// `2/pi` in parts of 26 bits; the last has 53.
const TWO_OVER_PI: [f64; 6] = [
    0.6366197615861893,
    1.0781392001391055e-08,
    7.166494634684664e-17,
    2.7653040292560713e-24,
    1.0181664073134233e-32,
    3.1436547554916045e-40,
];

/// The bits of `2/pi` behind the point, in 32-bit digits.
const DIGITS: [u32; 40] = [
    0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561, 0xb7246e3a,
    0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484, 0xe99c7026, 0xb45f7e41,
    0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f, 0xef2f118b, 0x5a0a6d1f, 0x6d367ecf,
    0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b, 0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08,
    0x56033046, 0xfc7b6bab, 0xf0cfbc20, 0x9af4361d,
];

/// The bits that an f64 argument below 1 would need in front of those of `2/pi`.
const LEADING_ZEROS: i64 = 64;

impl Math<'_> {
    pub fn sin(&mut self, x: ExprId) -> ExprId {
        let (q, r) = self.quadrant(x);
        let sign = self.sign(x);
        let y = self.sin_or_cos(q, r);
        let flip = self.shl(q, self.pick(30, 62));
        let flip = self.f(BinaryFn::Xor, flip, sign);
        self.flipped(y, flip)
    }
    /// The sine a quarter turn later.
    pub fn cos(&mut self, x: ExprId) -> ExprId {
        let (q, r) = self.quadrant(x);
        let one = self.i(1);
        let q = self.add(q, one);
        let q = self.name(q);
        let y = self.sin_or_cos(q, r);
        let flip = self.shl(q, self.pick(30, 62));
        self.flipped(y, flip)
    }
    pub fn tan(&mut self, x: ExprId) -> ExprId {
        let (q, r) = self.quadrant(x);
        let sign = self.sign(x);
        let (sin, cos) = self.polynomials(r);
        let (sin, cos) = (self.name(sin), self.name(cos));
        let odd = self.is_odd(q);
        let odd = self.name(odd);
        let (above, below) = (self.select(odd, cos, sin), self.select(odd, sin, cos));
        let y = self.div(above, below);
        // An odd quadrant gives -1/tan.
        let flip = self.shl(q, self.pick(31, 63));
        let flip = self.f(BinaryFn::Xor, flip, sign);
        self.flipped(y, flip)
    }
    /// Flips the sign where the sign bit of `flip` is set.
    fn flipped(&mut self, y: ExprId, flip: ExprId) -> ExprId {
        let mask = self.i(self.pick(i32::MIN.into(), i64::MIN));
        let flip = self.both(flip, mask);
        let bits = self.bits(y);
        let bits = self.f(BinaryFn::Xor, bits, flip);
        self.float_of_bits(bits)
    }
    fn is_odd(&mut self, q: ExprId) -> ExprId {
        let (one, zero) = (self.i(1), self.i(0));
        let low = self.both(q, one);
        self.is(CompareFn::Ne, low, zero)
    }
    fn sin_or_cos(&mut self, q: ExprId, r: Pair) -> ExprId {
        let (sin, cos) = self.polynomials(r);
        let odd = self.is_odd(q);
        self.select(odd, cos, sin)
    }
    /// `sin(r)` and `cos(r)`; the low part of `r` counts at first order.
    fn polynomials(&mut self, Pair(r, low): Pair) -> (ExprId, ExprId) {
        let z = self.mul(r, r);
        let z = self.name(z);
        let p = self.poly(&SIN, z);
        let cube = self.mul(z, r);
        let half = self.mul_c(z, 0.5);
        let half = self.name(half);
        let q = self.poly(&COS, z);
        let square = self.mul(z, z);
        let one = self.c(1.0);
        let head = self.sub(one, half);
        let head = self.name(head);
        // sin(r + l) = sin r + l (1 - r^2/2), cos(r + l) = cos r - l r.
        let more = self.mul(low, head);
        let more = self.mul_add(cube, p, more);
        let sin = self.add(r, more);
        let lost = self.sub(one, head);
        let lost = self.sub(lost, half);
        let down = self.mul(r, low);
        let lost = self.sub(lost, down);
        let tail = self.mul_add(square, q, lost);
        (sin, self.add(head, tail))
    }
    /// `q`, in the low bits of a named integer, and `r`, named, of `|x|`.
    fn quadrant(&mut self, x: ExprId) -> (ExprId, Pair) {
        match (self.single(), self.machine.stays_single()) {
            (true, true) => self.quadrant_by_tables(x),
            (true, false) => self.quadrant_of_single(x),
            (false, _) => self.quadrant_of_double(x),
        }
    }
    fn quadrant_of_single(&mut self, x: ExprId) -> (ExprId, Pair) {
        let size = self.abs(x);
        let (q, r) = {
            let mut m = self.double();
            let size = m.w.cast(DType::F64, size);
            let size = m.name(size);
            let (mut rest, mut count) = (None, m.c(0.0));
            for (n, part) in TWO_OVER_PI.into_iter().enumerate() {
                let mut product = m.mul_c(size, part);
                // A float at least this great has an ulp whose product with the part's is at least 4.
                let limit = 2f64.powi(51 + 26 * n as i32);
                if limit < f32::MAX.into() {
                    let (fits, zero) = (m.is_c(CompareFn::Lt, size, limit), m.c(0.0));
                    product = m.select(fits, product, zero);
                }
                let sum = rest.map_or(product, |rest| m.add(rest, product));
                let sum = m.name(sum);
                let magic = m.magic();
                let shifted = m.add_c(sum, magic);
                let whole = m.add_c(shifted, -magic);
                let whole = m.name(whole);
                let fraction = m.sub(sum, whole);
                rest = Some(m.name(fraction));
                count = m.add(count, whole);
            }
            let t = rest.unwrap_or(size);
            let r = m.mul_c(t, std::f64::consts::FRAC_PI_2);
            let r = m.name(r);
            let high = m.w.cast(DType::F32, r);
            let high = m.name(high);
            let back = m.w.cast(DType::F64, high);
            let low = m.sub(r, back);
            let low = m.w.cast(DType::F32, low);
            let magic = m.magic();
            let shifted = m.add_c(count, magic);
            let bits = m.bits(shifted);
            (m.w.cast(DType::I32, bits), Pair(high, m.name(low)))
        };
        (self.name(q), r)
    }
}

impl Math<'_> {
    /// By integers: `|x| = m 2^e`, and `m` times six digits of `2/pi` from where the product's whole part is below 4.
    fn quadrant_of_double(&mut self, x: ExprId) -> (ExprId, Pair) {
        let size = self.abs(x);
        let size = self.name(size);
        let bits = self.w.bits(DType::U64, size);
        let bits = self.name(bits);
        let exponent = self.u_shr(bits, 52);
        let fraction = self.u_and(bits, (1 << 52) - 1);
        let hidden = self.u(1 << 52);
        let m = self.either(fraction, hidden);
        let m = self.name(m);
        // The first bit that counts; numbers near 0, for which there are not enough zeros in front, go another way.
        let start = self.u((1075 - LEADING_ZEROS + 2) as u64);
        let exponent = self.f(BinaryFn::Max, exponent, start);
        let start = self.sub(exponent, start);
        let start = self.name(start);
        let digits = self.window(start);
        let product = self.high_product(m, &digits);
        self.turn(size, product)
    }
    fn u(&mut self, n: u64) -> ExprId {
        self.constant(DType::U64, Scalar::Uint(n))
    }
    fn u_shl(&mut self, x: ExprId, by: u64) -> ExprId {
        let by = self.u(by);
        self.f(BinaryFn::Shl, x, by)
    }
    fn u_shr(&mut self, x: ExprId, by: u64) -> ExprId {
        let by = self.u(by);
        self.f(BinaryFn::Shr, x, by)
    }
    fn u_and(&mut self, x: ExprId, mask: u64) -> ExprId {
        let mask = self.u(mask);
        self.both(x, mask)
    }
    /// Six 32-bit digits of `2/pi`, with zeros in front, from a bit on; the most significant first.
    fn window(&mut self, start: ExprId) -> Vec<ExprId> {
        const NEEDED: usize = 7;
        let zeros = LEADING_ZEROS as usize / 32;
        let all = std::iter::repeat_n(0, zeros).chain(DIGITS);
        let mut digits: Vec<ExprId> = all.map(|d| self.u(d.into())).collect();
        // Each bit of the digit's number halves what is left to choose from.
        for bit in (0..6).rev() {
            let by = 1usize << bit;
            let test = self.u_and(start, 32 << bit);
            let zero = self.u(0);
            let on = self.is(CompareFn::Ne, test, zero);
            let on = self.name(on);
            digits = (0..digits.len().min(NEEDED + by - 1))
                .map(|n| match digits.get(n + by) {
                    Some(&far) => {
                        let chosen = self.select(on, far, digits[n]);
                        self.name(chosen)
                    }
                    None => digits[n],
                })
                .collect();
        }
        let shift = self.u_and(start, 31);
        let shift = self.name(shift);
        let pairs: Vec<_> = digits.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pairs
            .into_iter()
            .map(|(high, low)| {
                let high = self.u_shl(high, 32);
                let both = self.either(high, low);
                let aligned = self.f(BinaryFn::Shl, both, shift);
                let digit = self.u_shr(aligned, 32);
                self.name(digit)
            })
            .collect()
    }
    /// The four leading digits of `m` times the digits, modulo 2^192, as two words.
    fn high_product(&mut self, m: ExprId, digits: &[ExprId]) -> (ExprId, ExprId) {
        const MASK: u64 = u32::MAX as u64;
        let (low, high) = (self.u_and(m, MASK), self.u_shr(m, 32));
        let (low, high) = (self.name(low), self.name(high));
        let last = self.mul(low, digits[5]);
        let mut carried = self.u_shr(last, 32);
        let mut results = vec![];
        for n in (0..5).rev() {
            let (a, b) = (self.mul(low, digits[n]), self.mul(high, digits[n + 1]));
            let (a, b) = (self.name(a), self.name(b));
            let (a_low, b_low) = (self.u_and(a, MASK), self.u_and(b, MASK));
            let sum = self.add(a_low, b_low);
            let sum = self.add(sum, carried);
            let sum = self.name(sum);
            results.push(self.u_and(sum, MASK));
            let (a, b, sum) = (self.u_shr(a, 32), self.u_shr(b, 32), self.u_shr(sum, 32));
            let up = self.add(a, b);
            let up = self.add(up, sum);
            carried = self.name(up);
        }
        let mut word = |high: ExprId, low: ExprId| {
            let high = self.u_shl(high, 32);
            let word = self.either(high, low);
            self.name(word)
        };
        (word(results[4], results[3]), word(results[2], results[1]))
    }
    /// `q` and `r` from a product whose first two bits are before the point.
    fn turn(&mut self, size: ExprId, (high, low): (ExprId, ExprId)) -> (ExprId, Pair) {
        let half = self.u(1 << 61);
        let q = self.add(high, half);
        let q = self.u_shr(q, 62);
        let q = self.w.bits(DType::I64, q);
        let (up, down) = (self.u_shl(high, 2), self.u_shr(low, 62));
        let first = self.either(up, down);
        let first = self.w.bits(DType::I64, first);
        let first = self.name(first);
        let second = self.u_shl(low, 2);
        let second = self.w.bits(DType::I64, second);
        let second = self.name(second);
        // The fraction, between -1/2 and 1/2, in pieces of 32 bits that are exact as floats.
        let mask = self.i(u32::MAX.into());
        let mut pieces = vec![self.shr(first, 32), self.both(first, mask)];
        let top = self.shr(second, 32);
        pieces.extend([self.both(top, mask), self.both(second, mask)]);
        let pieces: Vec<_> = pieces
            .into_iter()
            .zip(1..)
            .map(|(piece, n)| {
                let piece = self.float_of_int(piece);
                self.mul_c(piece, 2f64.powi(-32 * n))
            })
            .collect();
        let Pair(sum, rest) = self.sum(pieces[0], pieces[1]);
        let Pair(sum, more) = self.sum(sum, pieces[2]);
        let rest = self.add(rest, more);
        let rest = self.add(rest, pieces[3]);
        let t = self.fast_sum(sum, rest);
        let (pi, pi_low) = (self.c(std::f64::consts::FRAC_PI_2), self.c(6.123233995736766e-17));
        let r = self.pair_product(t, Pair(pi, pi_low));
        let near = self.is_c(CompareFn::Lt, size, 0.75);
        let near = self.name(near);
        let (none, zero) = (self.i(0), self.c(0.0));
        let q = self.select(near, none, q);
        let (q, high) = (self.name(q), self.select(near, size, r.0));
        let low = self.select(near, zero, r.1);
        // Infinities and NaN have no angle.
        let (finite, nothing) = (self.is_c(CompareFn::Lt, size, f64::INFINITY), self.c(f64::NAN));
        let high = self.select(finite, high, nothing);
        (q, Pair(self.name(high), self.name(low)))
    }
}
