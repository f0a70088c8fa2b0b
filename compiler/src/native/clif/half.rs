//! f16 and bf16 as storage, by integer operations: no instruction set level that is targeted has conversions of both.
//!
//! The 16 bits are an i16; the value is the f32 that equals it. Rounding is to nearest, halves to even.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::kernel::Lower;
use crate::tensor::DType;

impl Lower<'_, '_> {
    /// The f32 that equals 16 bits of f16 or bf16.
    pub fn widen_half(&mut self, dtype: DType, bits: Value) -> Value {
        let wide = self.b.ins().uextend(types::I32, bits);
        if dtype == DType::BF16 {
            let shifted = self.b.ins().ishl_imm_u(wide, 16);
            return self.as_type(types::F32, shifted);
        }
        let sign = self.b.ins().band_imm_u(wide, 0x8000);
        let sign = self.b.ins().ishl_imm_u(sign, 16);
        let size = self.b.ins().band_imm_u(wide, 0x7fff);
        let moved = self.b.ins().ishl_imm_u(size, 13);
        // The exponent is 112 too small, which multiplication repairs for subnormals too.
        let small = self.as_type(types::F32, moved);
        let scale = self.b.ins().f32const(f32::from_bits((127 + 112) << 23));
        let scaled = self.b.ins().fmul(small, scale);
        let finite = self.as_type(types::I32, scaled);
        let special = self.b.ins().bor_imm_u(moved, 0x7f80_0000);
        let is_special = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, size, 0x7c00);
        let size = self.b.ins().select(is_special, special, finite);
        let all = self.b.ins().bor(size, sign);
        self.as_type(types::F32, all)
    }

    /// The 16 bits of f16 or bf16 nearest to an f32.
    pub fn narrow_half(&mut self, dtype: DType, value: Value) -> Value {
        let bits = self.as_type(types::I32, value);
        let half = if dtype == DType::BF16 { self.bf16_bits(bits) } else { self.f16_bits(bits) };
        self.b.ins().ireduce(types::I16, half)
    }

    fn bf16_bits(&mut self, bits: Value) -> Value {
        let high = self.b.ins().ushr_imm_u(bits, 16);
        let odd = self.b.ins().band_imm_u(high, 1);
        let bias = self.b.ins().iadd_imm_s(odd, 0x7fff);
        let rounded = self.b.ins().iadd(bits, bias);
        let rounded = self.b.ins().ushr_imm_u(rounded, 16);
        let quiet = self.b.ins().bor_imm_u(high, 0x40);
        let size = self.b.ins().band_imm_u(bits, 0x7fff_ffff);
        let nan = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, size, 0x7f80_0000);
        self.b.ins().select(nan, quiet, rounded)
    }

    fn f16_bits(&mut self, bits: Value) -> Value {
        let sign = self.b.ins().ushr_imm_u(bits, 16);
        let sign = self.b.ins().band_imm_u(sign, 0x8000);
        let size = self.b.ins().band_imm_u(bits, 0x7fff_ffff);
        // Normal: the exponent moves by 112 and 13 bits are rounded away; a carry into the exponent is right.
        let high = self.b.ins().ushr_imm_u(size, 13);
        let odd = self.b.ins().band_imm_u(high, 1);
        let biased = self.b.ins().iadd_imm_s(size, 0xfff - (112 << 23));
        let rounded = self.b.ins().iadd(biased, odd);
        let normal = self.b.ins().ushr_imm_u(rounded, 13);
        // Subnormal: adding 0.5 lets the float unit shift and round.
        let magic = self.b.ins().f32const(0.5);
        let small = self.as_type(types::F32, size);
        let aligned = self.b.ins().fadd(small, magic);
        let aligned = self.as_type(types::I32, aligned);
        let subnormal = self.b.ins().iadd_imm_s(aligned, -0x3f00_0000);
        let is_subnormal = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, size, 113 << 23);
        let finite = self.b.ins().select(is_subnormal, subnormal, normal);
        // From 65536 on: infinity or NaN.
        let (infinity, quiet) = (self.int(types::I32, 0x7c00), self.int(types::I32, 0x7e00));
        let nan = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, size, 0x7f80_0000);
        let special = self.b.ins().select(nan, quiet, infinity);
        let is_special = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, size, 143 << 23);
        let half = self.b.ins().select(is_special, special, finite);
        self.b.ins().bor(half, sign)
    }
}
