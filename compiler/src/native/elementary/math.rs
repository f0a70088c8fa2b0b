//! Writes formulas of one float type as loop IR: names for the parts of floats, polynomials, double-word arithmetic.

use super::Machine;
use crate::{
    loops::{BinaryFn, CompareFn, Expr, ExprId, TABLE, UnaryFn, Writer},
    tensor::{DType, Scalar},
};

/// The coefficients of a polynomial for f32 and for f64, that of the constant first.
pub struct Poly {
    pub single: &'static [f64],
    pub double: &'static [f64],
}

/// An unevaluated sum, the second far smaller than the first.
#[derive(Clone, Copy)]
pub struct Pair(pub ExprId, pub ExprId);

/// Constants that are written already.
pub type Constants = Vec<(DType, u64, ExprId)>;

/// A cursor that computes in one float type.
pub struct Math<'a> {
    pub w: &'a mut Writer,
    pub constants: &'a mut Constants,
    pub machine: Machine,
    /// f32 or f64.
    pub float: DType,
}

impl Math<'_> {
    /// The same cursor for f64.
    pub fn double(&mut self) -> Math<'_> {
        Math { w: self.w, constants: self.constants, machine: self.machine, float: DType::F64 }
    }
    pub fn single(&self) -> bool {
        self.float == DType::F32
    }
    /// The signed integer type of the float's size.
    pub fn int(&self) -> DType {
        self.pick(DType::I32, DType::I64)
    }
    /// The one for f32 or the one for f64.
    pub fn pick<T>(&self, single: T, double: T) -> T {
        if self.single() { single } else { double }
    }
    /// The stored bits of the mantissa.
    pub fn mantissa(&self) -> i64 {
        self.pick(23, 52)
    }
    pub fn bias(&self) -> i64 {
        self.pick(127, 1023)
    }

    // Constants.

    pub fn constant(&mut self, dtype: DType, value: Scalar) -> ExprId {
        let bits = match value {
            Scalar::F32(x) => u64::from(x.to_bits()),
            Scalar::F64(x) => x.to_bits(),
            Scalar::Uint(n) => n,
            value => value.as_i64().unwrap_or_default() as u64,
        };
        if let Some(&(.., known)) = self.constants.iter().find(|(d, b, _)| (*d, *b) == (dtype, bits)) {
            return known;
        }
        let fresh = self.w.constant(dtype, value);
        self.constants.push((dtype, bits, fresh));
        fresh
    }
    /// A float, rounded to the type.
    pub fn c(&mut self, x: f64) -> ExprId {
        self.constant(self.float, Scalar::from_f64(self.float, x))
    }
    /// An integer as wide as the float.
    pub fn i(&mut self, n: i64) -> ExprId {
        self.constant(self.int(), Scalar::from_i64(self.int(), n))
    }

    // Arithmetic of floats or integers.

    /// Names a value that is used several times.
    pub fn name(&mut self, x: ExprId) -> ExprId {
        if matches!(self.w.kernel.exprs[x].expr, Expr::Var(_) | Expr::Const(_)) { x } else { self.w.set(x) }
    }
    pub fn f(&mut self, f: BinaryFn, x: ExprId, y: ExprId) -> ExprId {
        self.w.binary(f, x, y)
    }
    pub fn add(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.f(BinaryFn::Add, x, y)
    }
    pub fn sub(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.f(BinaryFn::Sub, x, y)
    }
    pub fn mul(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.f(BinaryFn::Mul, x, y)
    }
    pub fn div(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.f(BinaryFn::Div, x, y)
    }
    /// `x * y + z`, in one rounding where that is as cheap.
    pub fn mul_add(&mut self, x: ExprId, y: ExprId, z: ExprId) -> ExprId {
        if self.machine.has_fma {
            return self.w.mul_add(x, y, z);
        }
        let product = self.mul(x, y);
        self.add(product, z)
    }
    pub fn neg(&mut self, x: ExprId) -> ExprId {
        self.w.unary(UnaryFn::Neg, x)
    }
    pub fn abs(&mut self, x: ExprId) -> ExprId {
        self.w.unary(UnaryFn::Abs, x)
    }
    pub fn sqrt(&mut self, x: ExprId) -> ExprId {
        self.w.unary(UnaryFn::Sqrt, x)
    }
    pub fn add_c(&mut self, x: ExprId, c: f64) -> ExprId {
        let c = self.c(c);
        self.add(x, c)
    }
    pub fn mul_c(&mut self, x: ExprId, c: f64) -> ExprId {
        let c = self.c(c);
        self.mul(x, c)
    }

    // Choices.

    pub fn is(&mut self, f: CompareFn, x: ExprId, y: ExprId) -> ExprId {
        self.w.compare(f, x, y)
    }
    pub fn is_c(&mut self, f: CompareFn, x: ExprId, c: f64) -> ExprId {
        let c = self.c(c);
        self.is(f, x, c)
    }
    pub fn both(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.f(BinaryFn::And, x, y)
    }
    pub fn either(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.f(BinaryFn::Or, x, y)
    }
    pub fn not(&mut self, x: ExprId) -> ExprId {
        self.w.unary(UnaryFn::Not, x)
    }
    pub fn select(&mut self, cond: ExprId, x: ExprId, y: ExprId) -> ExprId {
        self.w.select(cond, x, y)
    }
    /// `x`, or a bound that it passes; NaN passes none.
    pub fn clamp(&mut self, x: ExprId, low: f64, high: f64) -> ExprId {
        let x = self.name(x);
        let at_most = self.at_most(x, high);
        let at_most = self.name(at_most);
        let low = self.c(low);
        let below = self.is(CompareFn::Lt, at_most, low);
        self.select(below, low, at_most)
    }
    /// The lesser; NaN stays.
    pub fn at_most(&mut self, x: ExprId, high: f64) -> ExprId {
        let (x, high) = (self.name(x), self.c(high));
        let above = self.is(CompareFn::Gt, x, high);
        self.select(above, high, x)
    }

    // Bits.

    pub fn bits(&mut self, x: ExprId) -> ExprId {
        self.w.bits(self.int(), x)
    }
    pub fn float_of_bits(&mut self, bits: ExprId) -> ExprId {
        self.w.bits(self.float, bits)
    }
    /// Shifts an integer of the float's width by a constant: left, or arithmetically right.
    pub fn shl(&mut self, x: ExprId, by: i64) -> ExprId {
        let by = self.i(by);
        self.f(BinaryFn::Shl, x, by)
    }
    pub fn shr(&mut self, x: ExprId, by: i64) -> ExprId {
        let by = self.i(by);
        self.f(BinaryFn::Shr, x, by)
    }
    /// The sign bit alone.
    pub fn sign(&mut self, x: ExprId) -> ExprId {
        let (bits, mask) = (self.bits(x), self.i(self.pick(i32::MIN.into(), i64::MIN)));
        self.both(bits, mask)
    }
    /// Adds a sign bit to a value that is not negative.
    pub fn with_sign(&mut self, x: ExprId, sign: ExprId) -> ExprId {
        let bits = self.bits(x);
        let signed = self.either(bits, sign);
        self.float_of_bits(signed)
    }
    /// Adding `1.5 * 2^mantissa` to a number below a quarter of two to the mantissa's bits pushes its fraction out.
    pub fn magic(&self) -> f64 {
        self.pick(12_582_912.0, 6_755_399_441_055_744.0)
    }
    /// A small integer as a float.
    pub fn float_of_int(&mut self, n: ExprId) -> ExprId {
        if self.single() {
            return self.w.cast(DType::F32, n);
        }
        let zero = self.i(self.magic().to_bits() as i64);
        let bits = self.add(n, zero);
        let sum = self.float_of_bits(bits);
        self.add_c(sum, -self.magic())
    }

    // What few machines have.

    /// `x * 2^floor(n)`, rounded once.
    pub fn scaled(&mut self, x: ExprId, n: ExprId) -> ExprId {
        if self.machine.has_scaling {
            return self.w.scale(x, n);
        }
        // The powers of two that there are, and the least times that of a mantissa: what is normal stays so until the
        // last step, or vanishes.
        let (least, greatest) = (self.pick(-126.0, -1022.0), self.pick(127.0, 1023.0));
        let down = least + self.mantissa() as f64 + 1.0;
        let n = self.floor(n);
        let mut n = self.clamp(n, 3.0 * least, 3.0 * greatest);
        let mut x = x;
        for _ in 0..2 {
            n = self.name(n);
            let (below, above) = (self.is_c(CompareFn::Lt, n, least), self.is_c(CompareFn::Gt, n, greatest));
            let (down, up, none) = (self.c(down), self.c(greatest), self.c(0.0));
            let step = self.select(above, up, none);
            let step = self.select(below, down, step);
            let step = self.name(step);
            let power = self.power_of_two(step);
            x = self.mul(x, power);
            n = self.sub(n, step);
        }
        let n = self.clamp(n, least, greatest);
        let power = self.power_of_two(n);
        self.mul(x, power)
    }
    /// The exponent of a float as a float.
    pub fn exponent_part(&mut self, x: ExprId) -> ExprId {
        if self.machine.has_parts {
            return self.w.exponent(x);
        }
        let (size, bits, down) = self.normal_bits(x);
        let e = self.shr(bits, self.mantissa());
        let bias = self.i(-self.bias());
        let e = self.add(e, bias);
        let e = self.float_of_int(e);
        let e = self.add(e, down);
        let (zero, least) = (self.is_c(CompareFn::Eq, size, 0.0), self.c(f64::NEG_INFINITY));
        let finite = self.is_c(CompareFn::Lt, size, f64::INFINITY);
        let e = self.select(finite, e, size);
        self.select(zero, least, e)
    }
    /// The mantissa of a float, from 3/4 up to 3/2.
    pub fn mantissa_part(&mut self, x: ExprId) -> ExprId {
        if self.machine.has_parts {
            return self.w.mantissa(x);
        }
        let (_, bits, _) = self.normal_bits(x);
        let one = self.i(self.bias() << self.mantissa());
        let mask = self.i((1 << self.mantissa()) - 1);
        let m = self.both(bits, mask);
        let m = self.either(m, one);
        let m = self.float_of_bits(m);
        let m = self.name(m);
        let (small, half) = (self.is_c(CompareFn::Lt, m, 1.5), self.mul_c(m, 0.5));
        let m = self.select(small, m, half);
        let (fine, nothing) = (self.is_c(CompareFn::Ge, x, 0.0), self.c(f64::NAN));
        self.select(fine, m, nothing)
    }
    /// `|x|`, the bits of `|x| 2^-k`, which is no denormal number, and `k`.
    fn normal_bits(&mut self, x: ExprId) -> (ExprId, ExprId, ExprId) {
        let size = self.abs(x);
        let size = self.name(size);
        let tiny = self.is_c(CompareFn::Lt, size, self.pick(f32::MIN_POSITIVE.into(), f64::MIN_POSITIVE));
        let tiny = self.name(tiny);
        let up = self.mul_c(size, (1i64 << self.mantissa()) as f64);
        let normal = self.select(tiny, up, size);
        let bits = self.bits(normal);
        let (by, none) = (self.c(-self.mantissa() as f64), self.c(0.0));
        let by = self.select(tiny, by, none);
        (size, self.name(bits), by)
    }
    fn floor(&mut self, x: ExprId) -> ExprId {
        let x = self.name(x);
        if self.machine.has_rounding { self.w.unary(UnaryFn::Floor, x) } else { self.whole(UnaryFn::Floor, x) }
    }
    /// `2^n` for a whole number for which that is a normal float. What is no number counts for NaN.
    fn power_of_two(&mut self, n: ExprId) -> ExprId {
        let n = self.name(n);
        let sum = self.add_c(n, self.magic() + self.bias() as f64);
        let bits = self.bits(sum);
        let bits = self.shl(bits, self.mantissa());
        let power = self.float_of_bits(bits);
        let number = self.is(CompareFn::Eq, n, n);
        self.select(number, power, n)
    }
    /// The entry of a table at the low bits of an i32.
    pub fn table(&mut self, entries: [f32; TABLE], index: ExprId) -> ExprId {
        if self.machine.has_tables {
            return self.w.table(entries, index);
        }
        let index = self.name(index);
        let mut left: Vec<ExprId> = entries.iter().map(|x| self.constant(DType::F32, Scalar::F32(*x))).collect();
        for bit in 0..TABLE.ilog2() {
            let (by, zero) = (self.w.int(DType::I32, 1 << bit), self.w.int(DType::I32, 0));
            let set = self.both(index, by);
            let set = self.is(CompareFn::Ne, set, zero);
            let set = self.name(set);
            left = left.chunks(2).map(|pair| self.select(set, pair[1], pair[0])).collect();
        }
        left[0]
    }

    // Polynomials and pairs.

    /// Horner's scheme.
    pub fn poly(&mut self, poly: &Poly, x: ExprId) -> ExprId {
        let coefficients = self.pick(poly.single, poly.double);
        let (last, rest) = coefficients.split_last().expect("a polynomial for the type");
        let last = self.c(*last);
        rest.iter().rev().fold(last, |sum, &c| {
            let c = self.c(c);
            self.mul_add(sum, x, c)
        })
    }
    /// A pair, the high part named, times a constant of two parts, where there are multiply-adds.
    pub fn times(&mut self, Pair(high, low): Pair, factor: f64, factor_low: f64) -> Pair {
        let (product, back) = (self.mul_c(high, factor), self.mul_c(high, -factor));
        let (factor, factor_low) = (self.c(factor), self.c(factor_low));
        let rest = self.mul_add(high, factor, back);
        let rest = self.mul_add(high, factor_low, rest);
        Pair(product, self.mul_add(low, factor, rest))
    }
    /// `x + y` exactly, for `|x| >= |y|` or x = 0.
    pub fn fast_sum(&mut self, x: ExprId, y: ExprId) -> Pair {
        let (x, y) = (self.name(x), self.name(y));
        let sum = self.add(x, y);
        let sum = self.name(sum);
        let rest = self.sub(sum, x);
        let rest = self.sub(y, rest);
        Pair(sum, self.name(rest))
    }
    /// `x + y` exactly (Knuth's two-sum).
    pub fn sum(&mut self, x: ExprId, y: ExprId) -> Pair {
        let (x, y) = (self.name(x), self.name(y));
        let sum = self.add(x, y);
        let sum = self.name(sum);
        let other = self.sub(sum, x);
        let other = self.name(other);
        let first = self.sub(sum, other);
        let (x, y) = (self.sub(x, first), self.sub(y, other));
        let rest = self.add(x, y);
        Pair(sum, self.name(rest))
    }
    /// `x * y` exactly: by a multiply-add where there is one, else from halves (Dekker). Far from overflow.
    pub fn product(&mut self, x: ExprId, y: ExprId) -> Pair {
        let (x, y) = (self.name(x), self.name(y));
        let product = self.mul(x, y);
        let product = self.name(product);
        if self.machine.has_fma {
            let back = self.neg(product);
            let rest = self.mul_add(x, y, back);
            return Pair(product, self.name(rest));
        }
        let (Pair(a, b), Pair(c, d)) = (self.halves(x), self.halves(y));
        let high = self.mul(a, c);
        let mut rest = self.sub(high, product);
        for (x, y) in [(a, d), (b, c), (b, d)] {
            let part = self.mul(x, y);
            rest = self.add(rest, part);
        }
        Pair(product, self.name(rest))
    }
    /// Two numbers of half the digits (Veltkamp).
    fn halves(&mut self, x: ExprId) -> Pair {
        let scaled = self.mul_c(x, self.pick(4097.0, 134_217_729.0));
        let scaled = self.name(scaled);
        let low = self.sub(scaled, x);
        let high = self.sub(scaled, low);
        let high = self.name(high);
        let low = self.sub(x, high);
        Pair(high, self.name(low))
    }
}
