//! The exact remainder of floats.
//!
//! That of f32 takes away multiples of the divisor, shifted by so many bits at a time that the quotient is a whole number
//! that the sum with a great float rounds to, and the multiple is exact: 22 in f32 where there are multiply-adds, 28 in f64
//! elsewhere. A quotient off by less than 1 leaves less than the divisor, of either sign.
//!
//! f64: with `x = a 2^i` and `y = b 2^j` in whole numbers and `i > j`, the remainder is `(a 2^(i-j) mod b) 2^j`. The power of
//! two modulo `b` comes from squaring along the bits of `i-j`. Each product modulo `b` is exact: a quotient of floats
//! tells it up to a few `b`, and the difference is taken in integers that wrap.

use super::{math::Math, *};

impl Math<'_> {
    fn u64(&mut self, n: u64) -> ExprId {
        self.constant(DType::U64, Scalar::Uint(n))
    }
    /// The mantissa as a whole number and the exponent, at least 1 as a denormal's is, of a magnitude.
    fn decoded(&mut self, bits: ExprId) -> (ExprId, ExprId) {
        let (width, mask) = (self.u64(52), self.u64((1 << 52) - 1));
        let exponent = self.f(BinaryFn::Shr, bits, width);
        let exponent = self.name(exponent);
        let fraction = self.both(bits, mask);
        let (zero, hidden, one) = (self.u64(0), self.u64(1 << 52), self.u64(1));
        let normal = self.is(CompareFn::Ne, exponent, zero);
        let hidden = self.select(normal, hidden, zero);
        let whole = self.either(fraction, hidden);
        let exponent = self.f(BinaryFn::Max, exponent, one);
        (self.name(whole), self.name(exponent))
    }
    /// `x y mod b` of numbers below `b`, which is not 0 and below 2^53; `inverse` is about `1/b`.
    fn product_mod(&mut self, x: ExprId, y: ExprId, b: ExprId, inverse: ExprId) -> ExprId {
        let (xf, yf) = (self.w.cast(DType::F64, x), self.w.cast(DType::F64, y));
        let quotient = self.mul(xf, yf);
        let quotient = self.mul(quotient, inverse);
        // Below 2^53, and at most 2 off.
        let quotient = self.w.cast(DType::I64, quotient);
        let quotient = self.w.bits(DType::U64, quotient);
        let (product, multiple) = (self.mul(x, y), self.mul(quotient, b));
        let rest = self.sub(product, multiple);
        let four = self.u64(4);
        let offset = self.mul(b, four);
        let rest = self.add(rest, offset);
        // Between 0 and 8 b now.
        let mut rest = self.name(rest);
        for times in [4, 2, 1] {
            let times = self.u64(times);
            let less = self.mul(b, times);
            let less = self.sub(rest, less);
            // What went below 0 has wrapped and is greater.
            let least = self.f(BinaryFn::Min, rest, less);
            rest = self.name(least);
        }
        rest
    }
    /// Remainders of what f32 can hold, in f32 with multiply-adds or in f64.
    pub fn rem_of_single(&mut self, x: ExprId, y: ExprId) -> ExprId {
        let (sign, x_size, y_size) = (self.sign(x), self.abs(x), self.abs(y));
        let (x_size, y_size) = (self.name(x_size), self.name(y_size));
        let ((a, i), (b, j)) = (self.normalised(x_size), self.normalised(y_size));
        // a 2^distance mod b, both from 1 to 2.
        let distance = self.sub(i, j);
        let mut distance = self.float_of_int(distance);
        let (over, less) = (self.is(CompareFn::Ge, a, b), self.sub(a, b));
        let mut rest = self.select(over, less, a);
        let (one, opposite, magic) = (self.c(1.0), self.neg(b), self.c(self.magic()));
        let opposite = self.name(opposite);
        let inverse = self.div(one, b);
        let inverse = self.name(inverse);
        // The greatest f32 is 276 powers of two above the least.
        let bits = self.pick(22, 28);
        for _ in 0..276u32.div_ceil(bits) {
            distance = self.name(distance);
            let step = self.at_most(distance, bits.into());
            let step = self.name(step);
            distance = self.sub(distance, step);
            let shifted = self.shifted(rest, step);
            let shifted = self.name(shifted);
            let quotient = self.mul_add(shifted, inverse, magic);
            let quotient = self.add_c(quotient, -self.magic());
            rest = self.mul_add(quotient, opposite, shifted);
            rest = self.name(rest);
        }
        let (negative, more) = (self.is_c(CompareFn::Lt, rest, 0.0), self.add(rest, b));
        let rest = self.select(negative, more, rest);
        let unit = self.div(y_size, b);
        let value = self.mul(rest, unit);
        self.with_rules_of_remainders(x_size, y_size, sign, value)
    }
    /// The mantissa, from 1 to 2, and the exponent of a magnitude, which may be denormal if the type is f32.
    fn normalised(&mut self, size: ExprId) -> (ExprId, ExprId) {
        let (mut normal, mut by) = (size, self.i(0));
        if self.single() {
            let tiny = self.is_c(CompareFn::Lt, size, f32::MIN_POSITIVE.into());
            let tiny = self.name(tiny);
            let up = self.mul_c(size, 2f64.powi(24));
            normal = self.select(tiny, up, size);
            let down = self.i(24);
            by = self.select(tiny, down, by);
        }
        let bits = self.bits(normal);
        let bits = self.name(bits);
        let exponent = self.shr(bits, self.mantissa());
        let exponent = self.sub(exponent, by);
        let mask = self.i((1 << self.mantissa()) - 1);
        let (fraction, one) = (self.both(bits, mask), self.i(self.bias() << self.mantissa()));
        let mantissa = self.either(fraction, one);
        let mantissa = self.float_of_bits(mantissa);
        (self.name(mantissa), exponent)
    }
    /// `x 2^n` for a small whole number.
    fn shifted(&mut self, x: ExprId, n: ExprId) -> ExprId {
        if self.machine.has_scaling {
            return self.scaled(x, n);
        }
        let sum = self.add_c(n, self.magic() + self.bias() as f64);
        let bits = self.bits(sum);
        let bits = self.shl(bits, self.mantissa());
        let power = self.float_of_bits(bits);
        self.mul(x, power)
    }
    /// The remainder of magnitudes where it is not that of finite numbers of which the first is not less.
    fn with_rules_of_remainders(&mut self, x_size: ExprId, y_size: ExprId, sign: ExprId, value: ExprId) -> ExprId {
        let less = self.is(CompareFn::Lt, x_size, y_size);
        let value = self.select(less, x_size, value);
        let infinity = self.c(f64::INFINITY);
        let (finite, zero) = (self.is(CompareFn::Lt, x_size, infinity), self.is_c(CompareFn::Gt, y_size, 0.0));
        let fine = self.both(finite, zero);
        let nothing = self.c(f64::NAN);
        let value = self.select(fine, value, nothing);
        self.with_sign(value, sign)
    }
    /// Remainders of f64.
    pub fn rem(&mut self, x: ExprId, y: ExprId) -> ExprId {
        let (sign, x_size, y_size) = (self.sign(x), self.abs(x), self.abs(y));
        let (x_size, y_size) = (self.name(x_size), self.name(y_size));
        let (x_bits, y_bits) = (self.w.bits(DType::U64, x_size), self.w.bits(DType::U64, y_size));
        let (x_bits, y_bits) = (self.name(x_bits), self.name(y_bits));
        let ((a, i), (b, j)) = (self.decoded(x_bits), self.decoded(y_bits));
        let one = self.u64(1);
        let b = self.f(BinaryFn::Max, b, one);
        let b = self.name(b);
        let greater = self.f(BinaryFn::Max, i, j);
        let distance = self.sub(greater, j);
        let distance = self.name(distance);
        let b_float = self.w.cast(DType::F64, b);
        let unit = self.c(1.0);
        let inverse = self.div(unit, b_float);
        let inverse = self.name(inverse);
        // 2^distance mod b; the distance is below 2^11.
        let mut power = self.product_mod_start(b);
        for bit in (0..11).rev() {
            if bit < 10 {
                power = self.product_mod(power, power, b, inverse);
            }
            let (by, zero) = (self.u64(1 << bit), self.u64(0));
            let set = self.both(distance, by);
            let set = self.is(CompareFn::Ne, set, zero);
            let twice = self.add(power, power);
            let twice = self.name(twice);
            let less = self.sub(twice, b);
            let twice = self.f(BinaryFn::Min, twice, less);
            let next = self.select(set, twice, power);
            power = self.name(next);
        }
        let a = self.reduced_below(a, b, inverse);
        let rest = self.product_mod(a, power, b, inverse);
        // rest 2^j: exact, in two steps that neither overflow nor lose bits.
        let value = self.w.cast(DType::F64, rest);
        let scale = self.scale(j);
        let value = self.mul(value, scale.0);
        let value = self.mul(value, scale.1);
        self.with_rules_of_remainders(x_size, y_size, sign, value)
    }
    /// 1 mod b.
    fn product_mod_start(&mut self, b: ExprId) -> ExprId {
        let (one, zero) = (self.u64(1), self.u64(0));
        let unit = self.is(CompareFn::Eq, b, one);
        let start = self.select(unit, zero, one);
        self.name(start)
    }
    /// `a mod b` of any mantissas.
    fn reduced_below(&mut self, a: ExprId, b: ExprId, inverse: ExprId) -> ExprId {
        let one = self.u64(1);
        self.product_mod(a, one, b, inverse)
    }
    /// Two powers of two whose product is `2^(j - 1075)`.
    fn scale(&mut self, j: ExprId) -> (ExprId, ExprId) {
        // A whole number below 2^53 times 2^-1074 needs the whole range: 2^-52 first, then 2^(j-1023).
        let width = self.u64(52);
        let bits = self.f(BinaryFn::Shl, j, width);
        let second = self.w.bits(DType::F64, bits);
        (self.c(2f64.powi(-52)), second)
    }
}
