//! Lanes: integers in vectors, masks, and moving lanes about.

use cranelift_codegen::ir::{Opcode, Type, Value, condcodes::IntCC, types};

use super::{
    super::inst::{Class, Inst, Op, Operand, Reg, Size},
    Select, folds, size,
};

/// The row for lanes of 8, 16, 32 or 64 bits.
pub fn row(ty: Type, [b, w, d, q]: [Op; 4]) -> Op {
    match ty.lane_bits() {
        8 => b,
        16 => w,
        32 => d,
        _ => q,
    }
}

/// The row of a bit operation; lanes matter for broadcasts only.
fn bits(ty: Type, d: Op, q: Op) -> Op {
    if ty.lane_bits() == 64 { q } else { d }
}

impl Select<'_> {
    pub fn lanes_operation(&mut self, opcode: Opcode, ty: Type, args: &[Value]) -> Option<Reg> {
        match (opcode, args) {
            (Opcode::Iadd, &[a, b]) if self.is_zero(b) => self.reg(a),
            (Opcode::Iadd, &[a, b]) => self.lanes(row(ty, [Op::Paddb, Op::Paddw, Op::Paddd, Op::Paddq]), ty, a, b),
            (Opcode::Isub, &[a, b]) => self.lanes(row(ty, [Op::Psubb, Op::Psubw, Op::Psubd, Op::Psubq]), ty, a, b),
            (Opcode::Imul, &[a, b]) => self.multiply(ty, a, b),
            (Opcode::Ineg, &[a]) => {
                let op = row(ty, [Op::Psubb, Op::Psubw, Op::Psubd, Op::Psubq]);
                let zero = self.zero(ty);
                let a = self.operand(op, a)?;
                Some(self.vector(op, ty, &[zero.into(), a]))
            }
            (Opcode::Band | Opcode::Bor | Opcode::Bxor, &[a, b]) => {
                if self.is_avx512() && self.is_mask(a) && self.is_mask(b) {
                    let op = match opcode {
                        Opcode::Band => Op::Kandq,
                        Opcode::Bor => Op::Korq,
                        _ => Op::Kxorq,
                    };
                    let (a, b) = (self.mask_reg(a)?, self.mask_reg(b)?);
                    return Some(self.mask(op, ty, &[a.into(), b.into()]));
                }
                if opcode == Opcode::Band
                    && self.is_avx512()
                    && let Some((mask, other)) = [(a, b), (b, a)].into_iter().find(|(m, _)| self.is_mask(*m))
                {
                    return self.zero_elsewhere(ty, mask, other);
                }
                let op = match opcode {
                    Opcode::Band => bits(ty, Op::Pandd, Op::Pandq),
                    Opcode::Bor => bits(ty, Op::Pord, Op::Porq),
                    _ => bits(ty, Op::Pxord, Op::Pxorq),
                };
                self.lanes(op, ty, a, b)
            }
            (Opcode::Bnot, &[a]) => {
                if self.is_avx512() && self.is_mask(a) {
                    let a = self.mask_reg(a)?;
                    return Some(self.mask(Op::Knotq, ty, &[a.into()]));
                }
                let a = self.reg(a)?;
                Some(self.complement(ty, a))
            }
            (Opcode::Ishl | Opcode::Ushr | Opcode::Sshr, &[a, n]) => self.shift_lanes(opcode, ty, a, n),
            (Opcode::Splat, &[a]) => self.splat(ty, a),
            _ => None,
        }
    }

    fn lanes(&mut self, op: Op, ty: Type, a: Value, b: Value) -> Option<Reg> {
        let folded = |v: Value| folds::definition(self.f, v).is_some_and(|i| self.folds.is_folded(i));
        let turns = folded(a) && !folded(b) && !matches!(op, Op::Psubb | Op::Psubw | Op::Psubd | Op::Psubq);
        let (a, b) = if turns { (b, a) } else { (a, b) };
        let a = self.reg(a)?;
        let b = self.operand(op, b)?;
        Some(self.vector(op, ty, &[a.into(), b]))
    }

    fn complement(&mut self, ty: Type, a: Reg) -> Reg {
        if self.is_avx512() {
            return self.vector(Op::Pternlogd, ty, &[a.into(), a.into(), a.into(), Operand::Imm(0x55)]);
        }
        let ones = self.ones(ty);
        self.vector(Op::Pxord, ty, &[a.into(), ones.into()])
    }

    /// `other` where the mask is set, zeros elsewhere.
    fn zero_elsewhere(&mut self, ty: Type, mask: Value, other: Value) -> Option<Reg> {
        let op = row(ty, [Op::Movdqu8, Op::Movdqu16, Op::Movdqu32, Op::Movdqu64]);
        let mask = self.mask_reg(mask)?;
        let other = self.reg(other)?;
        let result = self.out.register(Class::Vec, ty.bytes().max(16));
        self.push(Inst::new(op, size(ty), [result.into(), other.into()]).zeroing(mask));
        Some(result)
    }

    fn multiply(&mut self, ty: Type, a: Value, b: Value) -> Option<Reg> {
        match ty.lane_bits() {
            16 => self.lanes(Op::Pmullw, ty, a, b),
            32 => self.lanes(Op::Pmulld, ty, a, b),
            64 if self.is_half(a) && self.is_half(b) => self.lanes(Op::Pmuludq, ty, a, b),
            64 if self.is_avx512() => self.lanes(Op::Pmullq, ty, a, b),
            64 => {
                // The low halves' product, and the low halves with the high ones, moved up.
                let (a, b) = (self.reg(a)?, self.reg(b)?);
                let mut high = |x: Reg| self.vector(Op::PsrlqImm, ty, &[x.into(), Operand::Imm(32)]);
                let (high_a, high_b) = (high(a), high(b));
                let mut product = |x: Reg, y: Reg| self.vector(Op::Pmuludq, ty, &[x.into(), y.into()]);
                let (low, left, right) = (product(a, b), product(high_a, b), product(a, high_b));
                let cross = self.vector(Op::Paddq, ty, &[left.into(), right.into()]);
                let cross = self.vector(Op::PsllqImm, ty, &[cross.into(), Operand::Imm(32)]);
                Some(self.vector(Op::Paddq, ty, &[low.into(), cross.into()]))
            }
            _ => None,
        }
    }

    /// Whether lanes of 64 bits, or one such integer, are known to be below 2^32.
    fn is_half(&self, v: Value) -> bool {
        let Some(inst) = folds::definition(self.f, v) else { return false };
        let args = self.f.dfg.inst_args(inst);
        match self.f.dfg.insts[inst].opcode() {
            Opcode::Iconst => folds::constant(self.f, v).is_some_and(|n| u32::try_from(n).is_ok()),
            Opcode::Vconst => {
                let bytes = self.constant_bytes(inst).unwrap_or_default();
                bytes.len() >= 8 && bytes.chunks(8).all(|lane| lane.iter().skip(4).all(|byte| *byte == 0))
            }
            Opcode::Ushr => folds::constant(self.f, args[1]).is_some_and(|bits| (32..64).contains(&bits)),
            Opcode::Band => args.iter().any(|a| self.is_half(*a)),
            Opcode::Bor | Opcode::Bxor => args.iter().all(|a| self.is_half(*a)),
            Opcode::Splat => self.is_half(args[0]),
            _ => false,
        }
    }

    fn shift_lanes(&mut self, opcode: Opcode, ty: Type, a: Value, n: Value) -> Option<Reg> {
        let x = self.reg(a)?;
        let bits = i64::from(ty.lane_bits());
        let (by_constant, by_register) = match (opcode, bits) {
            (Opcode::Ishl, 16) => (Op::PsllwImm, Op::Psllw),
            (Opcode::Ishl, 32) => (Op::PslldImm, Op::Pslld),
            (Opcode::Ishl, 64) => (Op::PsllqImm, Op::Psllq),
            (Opcode::Ushr, 16) => (Op::PsrlwImm, Op::Psrlw),
            (Opcode::Ushr, 32) => (Op::PsrldImm, Op::Psrld),
            (Opcode::Ushr, 64) => (Op::PsrlqImm, Op::Psrlq),
            (Opcode::Sshr, 16) => (Op::PsrawImm, Op::Psraw),
            (Opcode::Sshr, 32) => (Op::PsradImm, Op::Psrad),
            (Opcode::Sshr, 64) if self.is_avx512() => (Op::PsraqImm, Op::Psraq),
            (Opcode::Sshr, 64) => {
                // Shifted with zeros, then the sign that came along is extended.
                let sign = self.every_lane(Op::Movups, ty, &(1u64 << 63).to_le_bytes());
                let sign = self.vector(Op::Movups, ty, &[sign]);
                let shift = |x: Reg, s: &mut Self| s.shift_by(Op::PsrlqImm, Op::Psrlq, ty, x, n, bits);
                let (shifted, sign) = (shift(x, self)?, shift(sign, self)?);
                let flipped = self.vector(Op::Pxorq, ty, &[shifted.into(), sign.into()]);
                return Some(self.vector(Op::Psubq, ty, &[flipped.into(), sign.into()]));
            }
            _ => return None,
        };
        self.shift_by(by_constant, by_register, ty, x, n, bits)
    }

    fn shift_by(&mut self, by_constant: Op, by_register: Op, ty: Type, x: Reg, n: Value, bits: i64) -> Option<Reg> {
        if let Some(n) = folds::constant(self.f, n) {
            return Some(self.vector(by_constant, ty, &[x.into(), Operand::Imm(n & (bits - 1))]));
        }
        let amount = self.reg(n)?;
        let amount = self.int(Op::And, Size::B4, &[amount.into(), Operand::Imm(bits - 1)]);
        let amount = self.vector(Op::MovdToVec, types::F64, &[amount.into()]);
        Some(self.vector(by_register, ty, &[x.into(), amount.into()]))
    }

    /// Whether lanes of bools lie in a mask register, with AVX-512.
    pub fn is_mask(&self, v: Value) -> bool {
        self.regs.get(&self.f.dfg.resolve_aliases(v)).is_some_and(|r| r.class() == Class::Mask)
    }

    /// Bit by bit `yes` where the mask is set, `no` elsewhere.
    pub fn bit_select(&mut self, ty: Type, [mask, yes, no]: [Value; 3]) -> Option<Reg> {
        if self.is_mask(mask) {
            if self.is_mask(yes) && self.is_mask(no) {
                let (mask, yes, no) = (self.mask_reg(mask)?, self.mask_reg(yes)?, self.mask_reg(no)?);
                let yes = self.mask(Op::Kandq, ty, &[mask.into(), yes.into()]);
                let no = self.mask(Op::Kandnq, ty, &[mask.into(), no.into()]);
                return Some(self.mask(Op::Korq, ty, &[yes.into(), no.into()]));
            }
            let (mask, yes, no) = (self.mask_reg(mask)?, self.reg(yes)?, self.reg(no)?);
            return Some(self.blend(ty, mask, yes, no));
        }
        let whole = self.has_whole_lanes(mask);
        let (mask, yes, no) = (self.reg(mask)?, self.reg(yes)?, self.reg(no)?);
        if self.is_avx512() {
            return Some(self.vector(Op::Pternlogd, ty, &[mask.into(), yes.into(), no.into(), Operand::Imm(0xca)]));
        }
        if whole {
            return Some(self.blend(ty, mask, yes, no));
        }
        let yes = self.vector(Op::Pandd, ty, &[mask.into(), yes.into()]);
        let no = self.vector(Op::Pandnd, ty, &[mask.into(), no.into()]);
        Some(self.vector(Op::Pord, ty, &[yes.into(), no.into()]))
    }

    /// Whether each lane is known to be all ones or all zeros.
    fn has_whole_lanes(&self, v: Value) -> bool {
        let Some(inst) = folds::definition(self.f, v) else { return false };
        let args = self.f.dfg.inst_args(inst);
        match self.f.dfg.insts[inst].opcode() {
            Opcode::Icmp | Opcode::Fcmp => true,
            Opcode::Bitcast => self.ty(args[0]).lane_bits() == self.ty(v).lane_bits() && self.has_whole_lanes(args[0]),
            Opcode::Band | Opcode::Bor | Opcode::Bxor | Opcode::Bnot => args.iter().all(|a| self.has_whole_lanes(*a)),
            Opcode::Call => folds::intrinsic(self.f, inst) == Some(crate::native::intrinsic::Intrinsic::First),
            _ => false,
        }
    }

    pub fn int_extremum(&self, ty: Type, max: bool, unsigned: bool) -> Option<Op> {
        let op = match (max, unsigned) {
            (false, false) => row(ty, [Op::Pminsb, Op::Pminsw, Op::Pminsd, Op::Pminsq]),
            (false, true) => row(ty, [Op::Pminub, Op::Pminuw, Op::Pminud, Op::Pminuq]),
            (true, false) => row(ty, [Op::Pmaxsb, Op::Pmaxsw, Op::Pmaxsd, Op::Pmaxsq]),
            (true, true) => row(ty, [Op::Pmaxub, Op::Pmaxuw, Op::Pmaxud, Op::Pmaxuq]),
        };
        (self.is_avx512() || ty.lane_bits() < 64).then_some(op)
    }

    /// Lanes of ones where `a > b`, without AVX-512.
    pub fn greater(&mut self, ty: Type, a: Value, b: Value, unsigned: bool) -> Option<Reg> {
        let (mut a, mut b) = (self.reg(a)?, self.reg(b)?);
        if unsigned {
            // With the top bit turned, unsigned order is signed order.
            let top = match ty.lane_bits() {
                8 => vec![0x80],
                16 => 0x8000u16.to_le_bytes().to_vec(),
                32 => (1u32 << 31).to_le_bytes().to_vec(),
                _ => (1u64 << 63).to_le_bytes().to_vec(),
            };
            let top = self.every_lane(Op::Pxord, ty, &top);
            a = self.vector(Op::Pxord, ty, &[a.into(), top]);
            b = self.vector(Op::Pxord, ty, &[b.into(), top]);
        }
        let op = row(ty, [Op::Pcmpgtb, Op::Pcmpgtw, Op::Pcmpgtd, Op::Pcmpgtq]);
        Some(self.vector(op, ty, &[a.into(), b.into()]))
    }

    pub fn compare_lanes(&mut self, cc: IntCC, [a, b]: [Value; 2]) -> Option<Reg> {
        use IntCC::*;
        let ty = self.ty(a);
        let unsigned =
            matches!(cc, UnsignedLessThan | UnsignedLessThanOrEqual | UnsignedGreaterThan | UnsignedGreaterThanOrEqual);
        if self.is_avx512() {
            let predicate = match cc {
                Equal => 0,
                SignedLessThan | UnsignedLessThan => 1,
                SignedLessThanOrEqual | UnsignedLessThanOrEqual => 2,
                NotEqual => 4,
                SignedGreaterThanOrEqual | UnsignedGreaterThanOrEqual => 5,
                SignedGreaterThan | UnsignedGreaterThan => 6,
            };
            let op = match unsigned {
                false => row(ty, [Op::PcmpbMask, Op::PcmpwMask, Op::PcmpdMask, Op::PcmpqMask]),
                true => row(ty, [Op::PcmpubMask, Op::PcmpuwMask, Op::PcmpudMask, Op::PcmpuqMask]),
            };
            let a = self.reg(a)?;
            let b = self.operand(op, b)?;
            return Some(self.mask(op, ty, &[a.into(), b, Operand::Imm(predicate)]));
        }
        let equal = row(ty, [Op::Pcmpeqb, Op::Pcmpeqw, Op::Pcmpeqd, Op::Pcmpeqq]);
        let (mask, inverted) = match cc {
            Equal | NotEqual => (self.lanes(equal, ty, a, b)?, cc == NotEqual),
            SignedGreaterThan | UnsignedGreaterThan => (self.greater(ty, a, b, unsigned)?, false),
            SignedLessThan | UnsignedLessThan => (self.greater(ty, b, a, unsigned)?, false),
            SignedLessThanOrEqual | UnsignedLessThanOrEqual => (self.greater(ty, a, b, unsigned)?, true),
            SignedGreaterThanOrEqual | UnsignedGreaterThanOrEqual => (self.greater(ty, b, a, unsigned)?, true),
        };
        Some(if inverted { self.complement(ty, mask) } else { mask })
    }

    /// The same bits as another type.
    pub fn bitcast(&mut self, ty: Type, a: Value) -> Option<Reg> {
        let from = self.ty(a);
        if from.bits() != ty.bits() {
            return None;
        }
        match (from, ty) {
            // A mask register has lanes of its type.
            _ if from.is_vector() && ty.is_vector() => match from.lane_bits() == ty.lane_bits() {
                true => self.any_reg(a),
                false => self.reg(a),
            },
            (types::I32, types::F32) => {
                let a = self.reg(a)?;
                Some(self.vector(Op::MovdToVec, ty, &[a.into()]))
            }
            (types::I64, types::F64) => {
                let a = self.reg(a)?;
                Some(self.vector(Op::MovqToVec, ty, &[a.into()]))
            }
            (types::F32, types::I32) => {
                let a = self.reg(a)?;
                Some(self.int(Op::MovdToInt, Size::Scalar, &[a.into()]))
            }
            (types::F64, types::I64) => {
                let a = self.reg(a)?;
                Some(self.int(Op::MovqToInt, Size::Scalar, &[a.into()]))
            }
            _ if from == ty => self.reg(a),
            _ => None,
        }
    }
}
