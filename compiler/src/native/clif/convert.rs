//! Conversions between dtypes, as `Expr::Cast` defines them.

use cranelift_codegen::ir::{
    InstBuilder, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::{expr::register, kernel::Lower};
use crate::tensor::DType;

impl Lower<'_, '_> {
    pub fn cast(&mut self, from: DType, to: DType, x: Value) -> Value {
        if from == to {
            return x;
        }
        if self.type_of(x).is_vector() {
            return self.cast_lanes(from, to, x);
        }
        match (from, to) {
            (_, DType::Bool) if from.is_float() => {
                let zero = self.float(self.type_of(x), 0.0);
                self.b.ins().fcmp(FloatCC::NotEqual, x, zero)
            }
            (_, DType::Bool) => self.b.ins().icmp_imm_s(IntCC::NotEqual, x, 0),
            _ if from.is_float() && to.is_float() => self.float_to_float(from, to, x),
            _ if from.is_float() => self.float_to_int(to, x),
            _ if to.is_float() => self.int_to_float(from, to, x),
            _ => self.int_to_int(from, to, x),
        }
    }

    fn int_to_int(&mut self, from: DType, to: DType, x: Value) -> Value {
        let (a, b) = (register(from), register(to));
        if a.bits() > b.bits() {
            self.b.ins().ireduce(b, x)
        } else if a.bits() == b.bits() {
            x
        } else if from.is_signed_int() {
            self.b.ins().sextend(b, x)
        } else {
            self.b.ins().uextend(b, x)
        }
    }

    fn float_to_float(&mut self, from: DType, to: DType, x: Value) -> Value {
        match (from, to) {
            (DType::F64, DType::F32) => self.b.ins().fdemote(types::F32, x),
            (DType::F64, _) => {
                let odd = self.demote_to_odd(x);
                self.rounded(to, odd)
            }
            (_, DType::F64) => self.b.ins().fpromote(types::F64, x),
            _ => self.rounded(to, x),
        }
    }

    /// An f64 as f32, with the last bit set when it is not exact: a second rounding then errs on neither side.
    fn demote_to_odd(&mut self, x: Value) -> Value {
        let near = self.b.ins().fdemote(types::F32, x);
        let back = self.b.ins().fpromote(types::F64, near);
        let (size, back_size) = (self.b.ins().fabs(x), self.b.ins().fabs(back));
        let bits = self.as_type(types::I32, near);
        let above = self.b.ins().fcmp(FloatCC::GreaterThan, back_size, size);
        let above = self.b.ins().uextend(types::I32, above);
        let toward_zero = self.b.ins().isub(bits, above);
        // NaN is ordered with nothing and stays as it is.
        let (less, greater) =
            (self.b.ins().fcmp(FloatCC::LessThan, back, x), self.b.ins().fcmp(FloatCC::GreaterThan, back, x));
        let inexact = self.b.ins().bor(less, greater);
        let inexact = self.b.ins().uextend(types::I32, inexact);
        let odd = self.b.ins().bor(toward_zero, inexact);
        self.as_type(types::F32, odd)
    }

    fn int_to_float(&mut self, from: DType, to: DType, x: Value) -> Value {
        let bits = register(from).bits();
        let wide = if bits < 32 {
            match from.is_signed_int() {
                true => self.b.ins().sextend(types::I32, x),
                false => self.b.ins().uextend(types::I32, x),
            }
        } else {
            x
        };
        // Narrow unsigned values and bools are not negative as an i32.
        let signed = from.is_signed_int() || bits < 32;
        let convert = |l: &mut Self, ty, x| match signed {
            true => l.b.ins().fcvt_from_sint(ty, x),
            false => l.b.ins().fcvt_from_uint(ty, x),
        };
        match to {
            DType::F32 => convert(self, types::F32, wide),
            DType::F64 => convert(self, types::F64, wide),
            // Exact in f32, or beyond f16.
            DType::F16 => {
                let single = convert(self, types::F32, wide);
                self.rounded(to, single)
            }
            _ if bits <= 32 => {
                let double = convert(self, types::F64, wide);
                let odd = self.demote_to_odd(double);
                self.rounded(to, odd)
            }
            _ => {
                let sticky = self.sticky(signed, wide);
                let double = convert(self, types::F64, sticky);
                let odd = self.demote_to_odd(double);
                self.rounded(to, odd)
            }
        }
    }

    /// A 64-bit integer that an f64 holds exactly; where that loses low bits, the last kept one says whether any was set.
    fn sticky(&mut self, signed: bool, x: Value) -> Value {
        let low = self.b.ins().band_imm_u(x, 0xfff);
        let any = self.b.ins().icmp_imm_s(IntCC::NotEqual, low, 0);
        let any = self.b.ins().uextend(types::I64, any);
        let any = self.b.ins().ishl_imm_u(any, 12);
        let high = self.b.ins().band_imm_s(x, !0xfff);
        let kept = self.b.ins().bor(high, any);
        let top = match signed {
            true => self.b.ins().sshr_imm_u(x, 52),
            false => self.b.ins().ushr_imm_u(x, 52),
        };
        let next = self.b.ins().iadd_imm_s(top, 1);
        let large = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, next, 1);
        self.b.ins().select(large, kept, x)
    }

    /// Toward zero, as the definition of a cast says for what does not fit.
    fn float_to_int(&mut self, to: DType, x: Value) -> Value {
        match to {
            DType::I64 => self.whole(types::I64, x),
            DType::U32 => {
                let wide = self.whole(types::I64, x);
                self.b.ins().ireduce(types::I32, wide)
            }
            DType::U64 => {
                let ty = self.type_of(x);
                let (half, all) = (self.float(ty, 9223372036854775808.0), self.float(ty, 18446744073709551616.0));
                let above = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, half);
                let below = self.b.ins().fcmp(FloatCC::LessThan, x, all);
                let upper = self.b.ins().band(above, below);
                let less = self.b.ins().fsub(x, half);
                let operand = self.b.ins().select(upper, less, x);
                let low = self.whole(types::I64, operand);
                let high = self.b.ins().bxor_imm_s(low, i64::MIN);
                self.b.ins().select(upper, high, low)
            }
            _ => {
                let wide = self.whole(types::I32, x);
                self.int_to_int(DType::I32, to, wide)
            }
        }
    }

    /// A float as i32 or i64; the least value stands for all that does not fit.
    fn whole(&mut self, ty: cranelift_codegen::ir::Type, x: Value) -> Value {
        let from = self.type_of(x);
        let saturated = self.b.ins().fcvt_to_sint_sat(ty, x);
        let (limit, least) = if ty.lane_type() == types::I32 {
            (2147483648.0, i64::from(i32::MIN))
        } else {
            (9223372036854775808.0, i64::MIN)
        };
        // What is too small saturates to the least value by itself.
        let limit = self.float(from, limit);
        let fits = self.b.ins().fcmp(FloatCC::LessThan, x, limit);
        let least = self.int(ty, least);
        self.choose(fits, saturated, least)
    }

    /// Between lanes of one width; `lanes` decides which there are.
    fn cast_lanes(&mut self, from: DType, to: DType, x: Value) -> Value {
        let ty = self.type_of(x);
        let target = self.lane_type(to);
        match (from, to) {
            (DType::Bool, _) => {
                // A mask cuts the bits of one out of all ones.
                let one = if to.is_float() { self.float(target, 1.0) } else { self.int(target, 1) };
                let mask = self.as_type(target.as_int(), x);
                let one = self.as_type(target.as_int(), one);
                let bits = self.b.ins().band(mask, one);
                self.as_type(target, bits)
            }
            (_, DType::Bool) if from.is_float() => {
                let zero = self.float(ty, 0.0);
                self.b.ins().fcmp(FloatCC::NotEqual, x, zero)
            }
            (_, DType::Bool) => {
                let zero = self.int(ty, 0);
                self.b.ins().icmp(IntCC::NotEqual, x, zero)
            }
            _ if from.is_int() && to.is_int() => self.as_type(target, x),
            _ if from.is_int() => {
                let single = self.b.ins().fcvt_from_sint(target, x);
                self.rounded(to, single)
            }
            _ if to.is_float() => self.rounded(to, x),
            _ if self.target.is_x64() => self.b.ins().x86_cvtt2dq(target, x),
            _ if to.is_int() => self.whole(target, x),
            _ => panic!("lanes of {from} are not converted to {to}"),
        }
    }
}
