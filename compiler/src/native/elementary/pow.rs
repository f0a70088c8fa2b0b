//! Powers.
//!
//! `x^y = exp(y log|x|)` with C's rules around zeros, infinities and negative bases. f32 goes the way of `pow_single` where
//! the machine has tables, and elsewhere computes the middle in f64, which needs no more than the plain functions; f64
//! takes the logarithm and the product as pairs, since an error in the exponent counts up to 745 times. Integers square
//! and multiply.

use super::{
    math::{Math, Pair},
    *,
};

impl Math<'_> {
    /// The power of a named `x` to a named `y`, which may be known.
    pub fn pow(&mut self, x: ExprId, y: ExprId, known: Option<f64>) -> ExprId {
        let size = self.abs(x);
        let size = self.name(size);
        let power = if self.single() && self.machine.stays_single() {
            self.power_by_tables(size, y, known)
        } else if self.single() {
            let mut m = self.double();
            let (size, y) = (m.w.cast(DType::F64, size), m.w.cast(DType::F64, y));
            let size = m.name(size);
            let log = m.log(size);
            let exponent = m.mul(log, y);
            let exponent = m.name(exponent);
            let power = m.exp(exponent);
            m.w.cast(DType::F32, power)
        } else {
            // Beyond this, any other base than 1 overflows or vanishes.
            let y = self.clamp(y, -1e20, 1e20);
            let y = self.name(y);
            let Pair(log, low) = self.log_pair(size);
            let Pair(product, rest) = self.product(log, y);
            let rest = self.mul_add(low, y, rest);
            let product = self.clamp(product, -1e4, 1e4);
            let rest = self.clamp(rest, -1e-3, 1e-3);
            // Zero and infinity are as far as can be, whatever the exponent.
            let zero = self.c(0.0);
            let infinity = self.c(f64::INFINITY);
            let (none, all) = (self.is(CompareFn::Eq, size, zero), self.is(CompareFn::Eq, size, infinity));
            let none = self.name(none);
            let extreme = self.either(none, all);
            let extreme = self.name(extreme);
            let down = self.is(CompareFn::Lt, y, zero);
            let down = self.f(BinaryFn::Xor, down, none);
            let (least, greatest) = (self.c(-1e4), self.c(1e4));
            let far = self.select(down, least, greatest);
            let product = self.select(extreme, far, product);
            let product = self.name(product);
            let rest = self.select(extreme, zero, rest);
            self.exp_scaled(product, Some(rest), 0)
        };
        match known {
            Some(exponent) if exponent.is_finite() && exponent != 0.0 => {
                self.with_rules_of_exponent(x, exponent, size, power)
            }
            _ => self.with_rules(x, y, size, power),
        }
    }
    /// The power of a named `x` to an exponent that takes a few multiplications, a division or a root; within 1 ulp.
    pub fn short_power(&mut self, x: ExprId, exponent: f64) -> Option<ExprId> {
        let one = self.c(1.0);
        if exponent == 1.0 {
            return Some(x);
        } else if exponent == -1.0 {
            return Some(self.div(one, x));
        } else if exponent == 0.5 {
            // The root of -0.0 is -0.0, its power is not; and -inf has a power.
            let root = self.sqrt(x);
            let root = self.abs(root);
            let infinity = self.c(f64::INFINITY);
            let least = self.is_c(CompareFn::Eq, x, f64::NEG_INFINITY);
            return Some(self.select(least, infinity, root));
        } else if ![2.0, 3.0, 4.0].contains(&exponent) {
            return None;
        }
        let square = self.mul(x, x);
        let square = self.name(square);
        Some(match exponent {
            3.0 => self.mul(square, x),
            4.0 => self.mul(square, square),
            _ => square,
        })
    }
    /// What C adds to `|x|^y` for a finite `y` other than 0.
    fn with_rules_of_exponent(&mut self, x: ExprId, exponent: f64, size: ExprId, power: ExprId) -> ExprId {
        let (nothing, unlike) = (self.c(f64::NAN), self.is(CompareFn::Ne, x, x));
        let power = self.select(unlike, nothing, power);
        if exponent % 2.0 != 0.0 && exponent.fract() == 0.0 {
            let sign = self.sign(x);
            return self.with_sign(power, sign);
        } else if exponent.fract() == 0.0 {
            return power;
        }
        let (negative, finite) = (self.is_c(CompareFn::Lt, x, 0.0), self.is_c(CompareFn::Lt, size, f64::INFINITY));
        let wrong = self.both(negative, finite);
        self.select(wrong, nothing, power)
    }
    /// What C adds to `|x|^y`.
    fn with_rules(&mut self, x: ExprId, y: ExprId, size: ExprId, power: ExprId) -> ExprId {
        // Whether y is whole, and odd: what is great is even.
        let y_size = self.abs(y);
        let y_size = self.name(y_size);
        let limit = self.pick(2f64.powi(24), 2f64.powi(53));
        let great = self.is_c(CompareFn::Ge, y_size, limit);
        let great = self.name(great);
        let truncated = self.w.cast(self.int(), y_size);
        let truncated = self.name(truncated);
        let back = self.w.cast(self.float, truncated);
        let equal = self.is(CompareFn::Eq, back, y_size);
        let whole = self.either(great, equal);
        let whole = self.name(whole);
        let (one, zero) = (self.i(1), self.i(0));
        let low = self.both(truncated, one);
        let odd = self.is(CompareFn::Ne, low, zero);
        let small = self.not(great);
        let odd = self.both(odd, small);
        let odd = self.both(odd, whole);
        let odd = self.name(odd);
        // A negative base, or -0.0, gives its sign to odd powers; the powers that are not whole do not exist.
        let (sign, none) = (self.sign(x), self.i(0));
        let sign = self.select(odd, sign, none);
        let power = self.with_sign(power, sign);
        let negative = self.is_c(CompareFn::Lt, x, 0.0);
        let finite = self.is_c(CompareFn::Lt, size, f64::INFINITY);
        let broken = self.not(whole);
        let wrong = self.both(negative, finite);
        let wrong = self.both(wrong, broken);
        let nothing = self.c(f64::NAN);
        let result = self.select(wrong, nothing, power);
        // Infinite exponents: |x| = 1 gives 1, which the product of 0 and infinity does not.
        let unit = self.is_c(CompareFn::Eq, size, 1.0);
        let forever = self.is_c(CompareFn::Eq, y_size, f64::INFINITY);
        let stays = self.both(unit, forever);
        let (one, x_is_one) = (self.c(1.0), self.is_c(CompareFn::Eq, x, 1.0));
        let y_is_zero = self.is_c(CompareFn::Eq, y, 0.0);
        let stays = self.either(stays, x_is_one);
        let stays = self.either(stays, y_is_zero);
        let (x_nan, y_nan) = (self.is(CompareFn::Ne, x, x), self.is(CompareFn::Ne, y, y));
        let nan = self.either(x_nan, y_nan);
        let result = self.select(nan, nothing, result);
        self.select(stays, one, result)
    }
}

/// A wrapping integer power: one squaring per bit of the exponent, in a loop over registers.
pub fn integer_power(w: &mut Writer, x: ExprId, y: ExprId) -> ExprId {
    let dtype = w.dtype(x);
    let known = match w.kernel.exprs[y].expr {
        Expr::Const(value) => value.as_i64(),
        _ => None,
    };
    if let Some(exponent) = known
        && (0..=64).contains(&exponent)
    {
        let mut result = w.int(dtype, 1);
        let mut square = w.set(x);
        for bit in 0..7 {
            if exponent >> bit & 1 == 1 {
                result = w.binary(BinaryFn::Mul, result, square);
            }
            if exponent >> bit > 1 {
                square = w.binary(BinaryFn::Mul, square, square);
                square = w.set(square);
            }
        }
        return result;
    }
    let [result, square, rest] = [0; 3].map(|_| w.local(dtype, []));
    let (one, zero) = (w.int(dtype, 1), w.int(dtype, 0));
    for (local, value) in [(result, one), (square, x), (rest, y)] {
        w.assign(local, &[], value);
    }
    let bits = i64::from(dtype.bits()) - i64::from(dtype.is_signed_int());
    let step = w.loop_var(Dim::from(bits));
    w.open_block();
    let [r, s, e] = [result, square, rest].map(|local| w.read(local, &[]));
    let odd = w.binary(BinaryFn::And, e, one);
    let odd = w.compare(CompareFn::Ne, odd, zero);
    let factor = w.select(odd, s, one);
    let product = w.binary(BinaryFn::Mul, r, factor);
    w.assign(result, &[], product);
    let squared = w.binary(BinaryFn::Mul, s, s);
    w.assign(square, &[], squared);
    let halved = w.binary(BinaryFn::Shr, e, one);
    w.assign(rest, &[], halved);
    w.close_for(step, LoopKind::Seq);
    let value = w.read(result, &[]);
    w.set(value)
}
