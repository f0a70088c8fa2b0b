//! Elements of one and two bytes by lanes of four, on machines with wide vectors.
//!
//! An integer lies in its lane extended by its sign or by zeros, and is brought back into that form after every
//! operation that may leave it; f16 and bf16 are the f32 that equals them, bools are masks. Loads widen and stores
//! narrow, so nothing between them is special.

use cranelift_codegen::ir::{
    InstBuilder, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::kernel::Lower;
use crate::{native::intrinsic::Intrinsic, tensor::DType};

/// Whether lanes of a dtype are wider than its elements.
pub(super) fn is_narrow(dtype: DType) -> bool {
    dtype.size() < 4
}

impl Lower<'_, '_> {
    /// The lanes at a pointer.
    pub fn load_narrow(&mut self, dtype: DType, pointer: Value) -> Value {
        let lanes = self.lane_type(dtype);
        let ints = lanes.as_int();
        let (f, returns) = match dtype {
            DType::I8 => (Intrinsic::LoadI8, ints),
            DType::I16 => (Intrinsic::LoadI16, ints),
            DType::U16 | DType::BF16 => (Intrinsic::LoadU16, ints),
            DType::F16 => (Intrinsic::LoadF16, lanes),
            _ => (Intrinsic::LoadU8, ints),
        };
        let args: Vec<Value> = self.mask(lanes).into_iter().chain([pointer]).collect();
        let value = self.intrinsic(f, &args, Some(returns)).unwrap_or_else(|| unreachable!("it returns lanes"));
        match dtype {
            DType::Bool => {
                let zero = self.int(ints, 0);
                self.b.ins().icmp(IntCC::NotEqual, value, zero)
            }
            DType::BF16 => self.float_of_high_half(value),
            _ => value,
        }
    }

    /// Stores lanes at a pointer.
    pub fn store_narrow(&mut self, dtype: DType, pointer: Value, value: Value) {
        let ints = self.type_of(value).as_int();
        let (f, value) = match dtype {
            DType::F16 => (Intrinsic::StoreF16, value),
            DType::BF16 => (Intrinsic::Store16, self.high_half_of(value)),
            DType::Bool => {
                let one = self.int(ints, 1);
                (Intrinsic::Store8, self.b.ins().band(value, one))
            }
            _ if dtype.size() == 2 => (Intrinsic::Store16, value),
            _ => (Intrinsic::Store8, value),
        };
        let mask = self.mask(self.type_of(value));
        let args: Vec<Value> = mask.into_iter().chain([pointer, value]).collect();
        self.intrinsic(f, &args, None);
    }

    /// What f16 and bf16 can hold of lanes of f32.
    pub fn rounded_lanes(&mut self, dtype: DType, x: Value) -> Value {
        if dtype == DType::BF16 {
            let bits = self.high_half_of(x);
            return self.float_of_high_half(bits);
        }
        let ty = self.type_of(x);
        self.intrinsic(Intrinsic::RoundF16, &[x], Some(ty)).unwrap_or_else(|| unreachable!("it returns lanes"))
    }

    /// The f32 whose upper half are the lanes' low 16 bits.
    fn float_of_high_half(&mut self, bits: Value) -> Value {
        let high = self.b.ins().ishl_imm_u(bits, 16);
        let floats = types::F32.by(self.type_of(bits).lane_count()).expect("a vector type");
        self.as_type(floats, high)
    }

    /// The 16 bits of bf16 nearest to lanes of f32.
    fn high_half_of(&mut self, x: Value) -> Value {
        let ty = self.type_of(x).as_int();
        let bits = self.as_type(ty, x);
        let high = self.b.ins().ushr_imm_u(bits, 16);
        let (one, bias, quiet) = (self.int(ty, 1), self.int(ty, 0x7fff), self.int(ty, 0x40));
        let odd = self.b.ins().band(high, one);
        let bias = self.b.ins().iadd(odd, bias);
        let sum = self.b.ins().iadd(bits, bias);
        let nearest = self.b.ins().ushr_imm_u(sum, 16);
        let quiet = self.b.ins().bor(high, quiet);
        let nan = self.b.ins().fcmp(FloatCC::NotEqual, x, x);
        self.choose(nan, quiet, nearest)
    }

    /// Lanes of an integer brought back into its range.
    pub fn wrapped(&mut self, dtype: DType, x: Value) -> Value {
        if !dtype.is_int() || !is_narrow(dtype) {
            return x;
        }
        let ty = self.type_of(x);
        let bits = dtype.bits() as i64;
        if dtype.is_unsigned_int() {
            let mask = self.int(ty, (1 << bits) - 1);
            return self.b.ins().band(x, mask);
        }
        let high = self.b.ins().ishl_imm_u(x, 32 - bits);
        self.b.ins().sshr_imm_u(high, 32 - bits)
    }
}
