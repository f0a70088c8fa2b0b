//! Random expressions of a wanted type.

use super::*;

const COMPARES: [CompareFn; 6] =
    [CompareFn::Eq, CompareFn::Ne, CompareFn::Lt, CompareFn::Le, CompareFn::Gt, CompareFn::Ge];

/// A value of the type: mostly small, sometimes extreme.
pub fn scalar(rng: &mut Rng, dtype: DType) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(rng.chance(50)),
        d if d.is_int() => {
            let bits = rng.bits() as i64;
            let n = if rng.chance(70) { bits % 16 } else { bits };
            Scalar::from_i64(d, n)
        }
        d => {
            let special = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 6e-8, 65504.0, 3e38];
            let x = match rng.below(10) {
                0 => rng.pick(&special),
                1..4 => (rng.bits() % 17) as f64 / 2.0 - 4.0,
                _ => (rng.bits() as i64 as f64) / (1u64 << 61) as f64,
            };
            Scalar::from_f64(d, x)
        }
    }
}

impl Generator {
    /// An expression of type `dtype`, at most `depth` deep or a little more.
    pub(super) fn value(&mut self, dtype: DType, depth: usize) -> ExprId {
        let value = if depth == 0 || self.rng.chance(20) { self.leaf(dtype) } else { self.inner(dtype, depth - 1) };
        if self.rng.chance(20) {
            self.pool.push(value);
        }
        value
    }
    fn leaf(&mut self, dtype: DType) -> ExprId {
        let known: Vec<_> = self.pool.iter().copied().filter(|&x| self.w.dtype(x) == dtype).collect();
        match self.rng.below(5) {
            0 | 1 if !known.is_empty() => self.rng.pick(&known),
            0 if !self.indices.is_empty() => {
                let (index, _) = self.rng.pick(&self.indices.clone());
                let value = self.w.index(index);
                self.w.cast(dtype, value)
            }
            1..=3 => self.load(dtype),
            _ => {
                let value = scalar(&mut self.rng, dtype);
                self.w.constant(dtype, value)
            }
        }
    }
    /// A load from a buffer of its own, long enough for the index.
    fn load(&mut self, dtype: DType) -> ExprId {
        let count = self.rng.below(3);
        let (mut index, mut len) = (Dim::from(self.rng.below(3)), Dim::from(3));
        for _ in 0..count.min(self.indices.len()) {
            let (i, n) = self.rng.pick(&self.indices.clone());
            let (i, n) = match self.rng.below(6) {
                0 => (n.clone() - 1 - i, n),
                1 => (i.floor_div(&Dim::from(3)), n),
                2 => (&i - i.floor_div(&Dim::from(4)) * 4, Dim::from(4)),
                3 => (i * 3, n * 3),
                _ => (i, n),
            };
            (index, len) = (index + i, len + n);
        }
        let buffer = self.w.buffer(dtype, len, false);
        self.w.load_flat(buffer, index)
    }
    fn inner(&mut self, dtype: DType, depth: usize) -> ExprId {
        match self.rng.below(10) {
            0 => {
                let cond = self.value(DType::Bool, depth);
                let (x, y) = (self.value(dtype, depth), self.value(dtype, depth));
                self.w.select(cond, x, y)
            }
            1 => {
                let from = self.dtype();
                let x = self.value(from, depth);
                self.w.cast(dtype, x)
            }
            2 => self.bits(dtype, depth),
            3 | 4 => self.unary(dtype, depth),
            5 if dtype.is_int() || dtype.is_float() && !self.options.exact => {
                let [x, y, z] = [0; 3].map(|_| self.value(dtype, depth));
                self.w.mul_add(x, y, z)
            }
            6 if matches!(dtype, DType::F32 | DType::F64) => self.power_of_two(dtype, depth),
            7 if dtype == DType::F32 => self.table(depth),
            _ if dtype == DType::Bool => self.bool(depth),
            _ => self.binary(dtype, depth),
        }
    }
    /// Brings one in or takes one out.
    fn power_of_two(&mut self, dtype: DType, depth: usize) -> ExprId {
        if self.rng.chance(50) {
            return self.scale(dtype, depth);
        }
        let x = self.value(dtype, depth);
        if self.rng.chance(50) { self.w.exponent(x) } else { self.w.mantissa(x) }
    }
    /// By a power that is not infinite.
    fn scale(&mut self, dtype: DType, depth: usize) -> ExprId {
        let (x, n) = (self.value(dtype, depth), self.value(dtype, depth));
        let by = self.rng.pick(&[2.0, 200.0, 1e9]);
        let (least, greatest) = (self.w.float(dtype, -by), self.w.float(dtype, by));
        let n = self.w.binary(BinaryFn::Max, n, least);
        let n = self.w.binary(BinaryFn::Min, n, greatest);
        self.w.scale(x, n)
    }
    fn table(&mut self, depth: usize) -> ExprId {
        let index = self.value(DType::I32, depth);
        let entries = [0; TABLE].map(|_| match scalar(&mut self.rng, DType::F32) {
            Scalar::F32(x) if !x.is_nan() => x,
            _ => 1.0,
        });
        self.w.table(entries, index)
    }
    fn bool(&mut self, depth: usize) -> ExprId {
        if self.rng.chance(30) {
            let f = self.rng.pick(&[BinaryFn::And, BinaryFn::Or, BinaryFn::Xor]);
            let (x, y) = (self.value(DType::Bool, depth), self.value(DType::Bool, depth));
            return self.w.binary(f, x, y);
        }
        let of = self.dtype();
        let f = self.rng.pick(if of == DType::Bool { &COMPARES[..2] } else { &COMPARES });
        let (x, y) = (self.value(of, depth), self.value(of, depth));
        self.w.compare(f, x, y)
    }
    /// The bits of a value that is not NaN when exactness matters.
    fn bits(&mut self, dtype: DType, depth: usize) -> ExprId {
        let same: Vec<_> =
            DTYPES.into_iter().filter(|&d| d != DType::Bool && d != dtype && d.size() == dtype.size()).collect();
        if dtype == DType::Bool || same.is_empty() {
            return self.leaf(dtype);
        }
        let from = self.rng.pick(&same);
        let x = self.value(from, depth);
        if !from.is_float() || !self.options.exact {
            return self.w.bits(dtype, x);
        }
        let one = self.w.float(from, 1.0);
        let number = self.w.compare(CompareFn::Eq, x, x);
        let x = self.w.select(number, x, one);
        self.w.bits(dtype, x)
    }
    fn unary(&mut self, dtype: DType, depth: usize) -> ExprId {
        let x = self.value(dtype, depth);
        let f = match dtype {
            DType::Bool => UnaryFn::Not,
            d if d.is_int() => self.rng.pick(&[UnaryFn::Neg, UnaryFn::Abs, UnaryFn::Not]),
            _ if !self.options.exact && self.rng.chance(60) => self.rng.pick(&UnaryFn::ELEMENTARY),
            _ => self.rng.pick(&[
                UnaryFn::Neg,
                UnaryFn::Abs,
                UnaryFn::Sqrt,
                UnaryFn::Floor,
                UnaryFn::Ceil,
                UnaryFn::Trunc,
                UnaryFn::Round,
            ]),
        };
        self.w.unary(f, x)
    }
    /// Arithmetic whose preconditions are made to hold.
    fn binary(&mut self, dtype: DType, depth: usize) -> ExprId {
        use BinaryFn::{Add, And, Atan2, Div, Max, Min, Mul, Or, Pow, Rem, Shl, Shr, Sub, Xor};
        let f = if dtype.is_int() {
            self.rng.pick(&[Add, Sub, Mul, Div, Rem, Max, Min, And, Or, Xor, Shl, Shr, Pow])
        } else if self.options.exact {
            self.rng.pick(&[Add, Sub, Mul, Div, Rem, Max, Min])
        } else {
            self.rng.pick(&[Add, Sub, Mul, Div, Rem, Max, Min, Pow, Atan2])
        };
        let (mut x, mut y) = (self.value(dtype, depth), self.value(dtype, depth));
        if dtype == DType::U64 && f == Mul && self.rng.chance(50) {
            // Products of halves.
            let (mask, bits) = (self.w.int(dtype, u32::MAX.into()), self.w.int(dtype, 32));
            x = self.w.binary(And, x, mask);
            y = self.w.binary(Shr, y, bits);
        } else if dtype.is_int() && matches!(f, Div | Rem) {
            let zero = self.w.int(dtype, 0);
            let one = self.w.int(dtype, 1);
            let wrong = self.w.compare(CompareFn::Eq, y, zero);
            y = self.w.select(wrong, one, y);
        } else if dtype.is_int() && f == Pow {
            let mask = self.w.int(dtype, 7);
            y = self.w.binary(And, y, mask);
        }
        self.w.binary(f, x, y)
    }
}
