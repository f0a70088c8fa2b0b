//! Arithmetic on registers: one element or all lanes alike, since Cranelift's instructions take both.
//!
//! Nothing here traps and nothing calls a library: divisions are guarded, and what an instruction set lacks is spelled
//! out. f16 and bf16 are computed in f32 and rounded after every operation.

use cranelift_codegen::ir::{
    InstBuilder, InstructionData, MemFlagsData, Type, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::{
    expr::{Val, register},
    kernel::Lower,
};
use crate::{
    loops::{BinaryFn, CompareFn, UnaryFn},
    native::elementary,
    tensor::{DType, Scalar},
};

impl Lower<'_, '_> {
    pub fn type_of(&self, x: Value) -> Type {
        self.b.func.dfg.value_type(x)
    }
    /// The integer `n` in every lane of a type.
    pub fn int(&mut self, ty: Type, n: i64) -> Value {
        self.constant(ty, Scalar::Int(n))
    }
    /// The float `x` in every lane of a type.
    pub fn float(&mut self, ty: Type, x: f64) -> Value {
        let scalar = if ty.lane_type() == types::F32 { Scalar::F32(x as f32) } else { Scalar::F64(x) };
        self.constant(ty, scalar)
    }
    /// The same bits; vectors keep their lanes.
    pub fn as_type(&mut self, ty: Type, x: Value) -> Value {
        if self.type_of(x) == ty {
            return x;
        }
        let order = match self.info.big_endian {
            true => cranelift_codegen::ir::Endianness::Big,
            false => cranelift_codegen::ir::Endianness::Little,
        };
        self.b.ins().bitcast(ty, MemFlagsData::new().with_endianness(order), x)
    }
    /// `cond ? a : b`, by a bool or by masks.
    pub fn choose(&mut self, cond: Value, a: Value, b: Value) -> Value {
        let ty = self.type_of(a);
        if !ty.is_vector() {
            return self.b.ins().select(cond, a, b);
        }
        let mask = self.as_type(ty, cond);
        self.b.ins().bitselect(mask, a, b)
    }

    /// The size of one float with the sign of another.
    fn copy_sign(&mut self, size: Value, sign: Value) -> Value {
        let ty = self.type_of(size);
        if !ty.is_vector() {
            return self.b.ins().fcopysign(size, sign);
        }
        let bits = ty.as_int();
        let mask = self.int(bits, if ty.lane_bits() == 32 { 1 << 31 } else { i64::MIN });
        let (size, sign) = (self.as_type(bits, size), self.as_type(bits, sign));
        let all = self.b.ins().bitselect(mask, sign, size);
        self.as_type(ty, all)
    }

    /// What f16 and bf16 can hold of an f32.
    pub fn rounded(&mut self, dtype: DType, x: Value) -> Value {
        match dtype {
            DType::F16 | DType::BF16 if self.type_of(x).is_vector() => self.rounded_lanes(dtype, x),
            DType::F16 | DType::BF16 => {
                let half = self.narrow_half(dtype, x);
                self.widen_half(dtype, half)
            }
            _ => x,
        }
    }

    pub fn unary(&mut self, f: UnaryFn, dtype: DType, x: Value) -> Value {
        let float = dtype.is_float();
        let ty = self.type_of(x);
        match f {
            UnaryFn::Neg if float => self.b.ins().fneg(x),
            UnaryFn::Neg => self.b.ins().ineg(x),
            UnaryFn::Abs if float => self.b.ins().fabs(x),
            UnaryFn::Abs if dtype.is_unsigned_int() => x,
            UnaryFn::Abs => {
                let (zero, negated) = (self.int(ty, 0), self.b.ins().ineg(x));
                let below = self.b.ins().icmp(IntCC::SignedLessThan, x, zero);
                self.choose(below, negated, x)
            }
            UnaryFn::Not if dtype == DType::Bool && !ty.is_vector() => self.b.ins().bxor_imm_u(x, 1),
            UnaryFn::Not => self.b.ins().bnot(x),
            UnaryFn::Sqrt => {
                let root = self.b.ins().sqrt(x);
                self.rounded(dtype, root)
            }
            // Whole numbers of f16 and bf16 are representable again, or are the operand.
            UnaryFn::Floor | UnaryFn::Ceil | UnaryFn::Trunc | UnaryFn::Round => self.whole_number(f, x),
            f => {
                debug_assert!(elementary::is_elementary(f));
                panic!("{f:?} reaches machine code unexpanded")
            }
        }
    }

    fn whole_number(&mut self, f: UnaryFn, x: Value) -> Value {
        match f {
            UnaryFn::Floor => self.b.ins().floor(x),
            UnaryFn::Ceil => self.b.ins().ceil(x),
            UnaryFn::Trunc => self.b.ins().trunc(x),
            _ => self.b.ins().nearest(x),
        }
    }

    pub fn mul_add(&mut self, dtype: DType, a: Value, b: Value, c: Value) -> Value {
        if matches!(dtype, DType::F32 | DType::F64) && self.info.has_fma {
            return self.b.ins().fma(a, b, c);
        }
        let product = self.binary(BinaryFn::Mul, dtype, a, b);
        self.binary(BinaryFn::Add, dtype, product, c)
    }

    pub fn binary(&mut self, f: BinaryFn, dtype: DType, x: Value, y: Value) -> Value {
        if dtype.is_float() {
            let value = match f {
                BinaryFn::Add => self.b.ins().fadd(x, y),
                BinaryFn::Sub => self.b.ins().fsub(x, y),
                BinaryFn::Mul => self.b.ins().fmul(x, y),
                BinaryFn::Div => self.b.ins().fdiv(x, y),
                BinaryFn::Rem => self.float_rem(x, y),
                BinaryFn::Max | BinaryFn::Min => return self.float_extremum(f, x, y, false, false),
                other => panic!("{other:?} of {dtype} reaches machine code"),
            };
            return self.rounded(dtype, value);
        }
        match f {
            BinaryFn::Add => self.b.ins().iadd(x, y),
            BinaryFn::Sub => self.b.ins().isub(x, y),
            BinaryFn::Mul => self.b.ins().imul(x, y),
            BinaryFn::Div | BinaryFn::Rem => self.divide(f, dtype, x, y),
            BinaryFn::Max | BinaryFn::Min => {
                let order = if f == BinaryFn::Max { CompareFn::Gt } else { CompareFn::Lt };
                let second = self.compare(order, dtype, y, x);
                self.choose(second, y, x)
            }
            BinaryFn::And => self.b.ins().band(x, y),
            BinaryFn::Or => self.b.ins().bor(x, y),
            BinaryFn::Xor => self.b.ins().bxor(x, y),
            BinaryFn::Pow => self.int_power(x, y),
            BinaryFn::Shl | BinaryFn::Shr | BinaryFn::Atan2 => panic!("{f:?} of {dtype} reaches machine code"),
        }
    }

    pub fn compare(&mut self, f: CompareFn, dtype: DType, x: Value, y: Value) -> Value {
        if dtype.is_float() {
            let condition = match f {
                CompareFn::Eq => FloatCC::Equal,
                CompareFn::Ne => FloatCC::NotEqual,
                CompareFn::Lt => FloatCC::LessThan,
                CompareFn::Le => FloatCC::LessThanOrEqual,
                CompareFn::Gt => FloatCC::GreaterThan,
                CompareFn::Ge => FloatCC::GreaterThanOrEqual,
            };
            return self.b.ins().fcmp(condition, x, y);
        }
        let condition = match (f, dtype.is_signed_int()) {
            (CompareFn::Eq, _) => IntCC::Equal,
            (CompareFn::Ne, _) => IntCC::NotEqual,
            (CompareFn::Lt, true) => IntCC::SignedLessThan,
            (CompareFn::Le, true) => IntCC::SignedLessThanOrEqual,
            (CompareFn::Gt, true) => IntCC::SignedGreaterThan,
            (CompareFn::Ge, true) => IntCC::SignedGreaterThanOrEqual,
            (CompareFn::Lt, false) => IntCC::UnsignedLessThan,
            (CompareFn::Le, false) => IntCC::UnsignedLessThanOrEqual,
            (CompareFn::Gt, false) => IntCC::UnsignedGreaterThan,
            (CompareFn::Ge, false) => IntCC::UnsignedGreaterThanOrEqual,
        };
        self.b.ins().icmp(condition, x, y)
    }

    /// `Max` or `Min`. Compare and select is the one form that every instruction set has; an operand that is known not
    /// to be NaN saves half of it.
    pub fn float_extremum(&mut self, f: BinaryFn, x: Value, y: Value, x_fine: bool, y_fine: bool) -> Value {
        // What a fold starts with changes nothing.
        let least = if f == BinaryFn::Max { f64::NEG_INFINITY } else { f64::INFINITY };
        if self.is_constant(x, least) {
            return y;
        }
        if self.is_constant(y, least) {
            return x;
        }
        if x_fine && !y_fine {
            // y is taken unless it is no better; NaN is not. (Not every vector unit compares for both at once.)
            let no_better = if f == BinaryFn::Max { FloatCC::LessThanOrEqual } else { FloatCC::GreaterThanOrEqual };
            let first = self.b.ins().fcmp(no_better, y, x);
            return self.choose(first, x, y);
        }
        // In terms of "less", which x86-64 has one instruction for, selection included.
        let (less, greater) = if f == BinaryFn::Max { (x, y) } else { (y, x) };
        let second = self.b.ins().fcmp(FloatCC::LessThan, less, greater);
        let extremum = self.choose(second, y, x);
        if y_fine {
            return extremum;
        }
        let nan = self.b.ins().fcmp(FloatCC::NotEqual, y, y);
        self.choose(nan, y, extremum)
    }

    /// Whether a value is known to be a float, in every lane.
    fn is_constant(&self, value: Value, float: f64) -> bool {
        let dfg = &self.b.func.dfg;
        let Some(inst) = dfg.value_def(value).inst() else { return false };
        match dfg.insts[inst] {
            InstructionData::UnaryIeee32 { imm, .. } => f64::from(imm.as_f32()) == float,
            InstructionData::UnaryIeee64 { imm, .. } => imm.as_f64() == float,
            InstructionData::UnaryConst { constant_handle, .. } => {
                let bytes = dfg.constants.get(constant_handle).as_slice();
                match self.type_of(value).lane_type() {
                    types::F32 => bytes.chunks(4).all(|lane| lane == (float as f32).to_le_bytes()),
                    types::F64 => bytes.chunks(8).all(|lane| lane == float.to_le_bytes()),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// Shifts by an amount that is clamped to `0..=bits`; lanes are shifted alike.
    pub fn shift(&mut self, f: BinaryFn, dtype: DType, x: Value, amount: Val) -> Value {
        let (bits, signed) = (i64::from(dtype.bits()), dtype.is_signed_int());
        // Filling with the sign is what shifting by one bit less does already.
        let fills = f == BinaryFn::Shr && signed;
        let (amount, all) = match amount {
            Val::Const(scalar) => {
                let n = match scalar {
                    Scalar::Uint(n) => i64::try_from(n).unwrap_or(i64::MAX),
                    scalar => scalar.as_i64().unwrap_or(0),
                };
                if n >= bits && !fills {
                    return self.int(self.type_of(x), 0);
                }
                (self.b.ins().iconst(types::I32, n.clamp(0, bits - 1)), None)
            }
            amount => {
                let y = self.narrow(amount, dtype);
                let ty = self.type_of(y);
                let (zero, most) = (self.int(ty, 0), self.int(ty, bits - 1));
                let all = self.compare(CompareFn::Gt, dtype, y, most);
                let least = if signed { self.binary(BinaryFn::Max, dtype, y, zero) } else { y };
                (self.binary(BinaryFn::Min, dtype, least, most), (!fills).then_some(all))
            }
        };
        let shifted = match (f, signed) {
            (BinaryFn::Shl, _) => self.b.ins().ishl(x, amount),
            (_, true) => self.b.ins().sshr(x, amount),
            (_, false) => self.b.ins().ushr(x, amount),
        };
        let Some(all) = all else { return shifted };
        // One condition for all lanes.
        let zero = self.int(self.type_of(x), 0);
        self.b.ins().select(all, zero, shifted)
    }

    /// Integer division and remainder. A zero divisor is checked for elsewhere; here it must only not trap, because
    /// what a loop does not change may be computed before the check.
    fn divide(&mut self, f: BinaryFn, dtype: DType, x: Value, y: Value) -> Value {
        let (narrow, signed) = (self.type_of(x), dtype.is_signed_int());
        let ty = if narrow.bits() < 32 { types::I32 } else { narrow };
        let extend = |l: &mut Self, v: Value| match (narrow == ty, signed) {
            (true, _) => v,
            (false, true) => l.b.ins().sextend(ty, v),
            (false, false) => l.b.ins().uextend(ty, v),
        };
        let (x, y) = (extend(self, x), extend(self, y));
        let one = self.int(ty, 1);
        let zero_divisor = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
        let result = if signed {
            let minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
            let special = self.b.ins().bor(zero_divisor, minus_one);
            let divisor = self.b.ins().select(special, one, y);
            if f == BinaryFn::Div {
                let quotient = self.b.ins().sdiv(x, divisor);
                let negated = self.b.ins().ineg(x);
                self.b.ins().select(minus_one, negated, quotient)
            } else {
                self.b.ins().srem(x, divisor)
            }
        } else {
            let divisor = self.b.ins().select(zero_divisor, one, y);
            match f {
                BinaryFn::Div => self.b.ins().udiv(x, divisor),
                _ => self.b.ins().urem(x, divisor),
            }
        };
        if narrow == ty { result } else { self.b.ins().ireduce(narrow, result) }
    }

    /// `x^y` by squaring, wrapping.
    fn int_power(&mut self, x: Value, y: Value) -> Value {
        let ty = self.type_of(x);
        let [head, odd, next, done] = [(); 4].map(|()| self.b.create_block());
        let [power, base, left] = [(); 3].map(|()| self.b.declare_var(ty));
        let one = self.int(ty, 1);
        self.b.def_var(power, one);
        self.b.def_var(base, x);
        self.b.def_var(left, y);
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let now = self.b.use_var(left);
        let low = self.b.ins().band_imm_u(now, 1);
        self.b.ins().brif(low, odd, &[], next, &[]);
        self.b.switch_to_block(odd);
        self.b.seal_block(odd);
        let (p, b) = (self.b.use_var(power), self.b.use_var(base));
        let product = self.b.ins().imul(p, b);
        self.b.def_var(power, product);
        self.b.ins().jump(next, &[]);
        self.b.switch_to_block(next);
        self.b.seal_block(next);
        let b = self.b.use_var(base);
        let square = self.b.ins().imul(b, b);
        self.b.def_var(base, square);
        let now = self.b.use_var(left);
        let halved = self.b.ins().ushr_imm_u(now, 1);
        self.b.def_var(left, halved);
        self.b.ins().brif(halved, head, &[], done, &[]);
        self.b.seal_block(head);
        self.b.switch_to_block(done);
        self.b.seal_block(done);
        self.b.use_var(power)
    }

    /// The exact remainder: multiples of the divisor by falling powers of two are subtracted, all of it exactly.
    fn float_rem(&mut self, x: Value, y: Value) -> Value {
        let ty = self.type_of(x);
        let [grow, double, shrink, take, keep, halve, done] = [(); 7].map(|()| self.b.create_block());
        let [rest, multiple] = [(); 2].map(|()| self.b.declare_var(ty));
        let (size, by) = (self.b.ins().fabs(x), self.b.ins().fabs(y));
        let (zero, infinity) = (self.float(ty, 0.0), self.float(ty, f64::INFINITY));
        let finite = self.b.ins().fcmp(FloatCC::LessThan, size, infinity);
        let divides = self.b.ins().fcmp(FloatCC::GreaterThan, by, zero);
        let defined = self.b.ins().band(finite, divides);
        let nan = self.float(ty, f64::NAN);
        self.b.def_var(rest, nan);
        self.b.def_var(multiple, by);
        self.b.ins().brif(defined, grow, &[], done, &[]);

        self.b.switch_to_block(grow);
        let m = self.b.use_var(multiple);
        let twice = self.b.ins().fadd(m, m);
        let fits = self.b.ins().fcmp(FloatCC::LessThanOrEqual, twice, size);
        self.b.def_var(rest, size);
        self.b.ins().brif(fits, double, &[], shrink, &[]);
        self.b.switch_to_block(double);
        self.b.seal_block(double);
        self.b.def_var(multiple, twice);
        self.b.ins().jump(grow, &[]);
        self.b.seal_block(grow);

        self.b.switch_to_block(shrink);
        let (r, m) = (self.b.use_var(rest), self.b.use_var(multiple));
        let fits = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, r, m);
        self.b.ins().brif(fits, take, &[], keep, &[]);
        self.b.switch_to_block(take);
        self.b.seal_block(take);
        let less = self.b.ins().fsub(r, m);
        self.b.def_var(rest, less);
        self.b.ins().jump(keep, &[]);
        self.b.switch_to_block(keep);
        self.b.seal_block(keep);
        let last = self.b.ins().fcmp(FloatCC::LessThanOrEqual, m, by);
        self.b.ins().brif(last, done, &[], halve, &[]);
        self.b.switch_to_block(halve);
        self.b.seal_block(halve);
        let half = self.float(ty, 0.5);
        let half = self.b.ins().fmul(m, half);
        self.b.def_var(multiple, half);
        self.b.ins().jump(shrink, &[]);
        self.b.seal_block(shrink);

        self.b.switch_to_block(done);
        self.b.seal_block(done);
        let r = self.b.use_var(rest);
        self.copy_sign(r, x)
    }

    /// The same bits under another dtype of the same size.
    pub fn reinterpret(&mut self, from: DType, to: DType, x: Value) -> Value {
        let half = |d: DType| matches!(d, DType::F16 | DType::BF16);
        let bits = if half(from) { self.narrow_half(from, x) } else { x };
        if half(to) {
            return self.widen_half(to, bits);
        }
        let lane = register(to);
        let ty = self.type_of(bits);
        let ty = if ty.is_vector() { lane.by(ty.lane_count()).expect("a vector type") } else { lane };
        self.as_type(ty, bits)
    }
}
