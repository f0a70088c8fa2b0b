//! Floats, single and in lanes, and what they are converted from and to.

use cranelift_codegen::ir::{Opcode, Type, Value, types};

use super::{
    super::{
        function::Level,
        inst::{Class, Op, Operand, Reg, Size},
    },
    Select,
    folds::{self, Extremum},
};

/// The rows of an operation for f32 and f64, in lanes and single.
fn row(ty: Type, [ps, pd, ss, sd]: [Op; 4]) -> Op {
    match (ty.is_vector(), ty.lane_bits()) {
        (true, 32) => ps,
        (true, _) => pd,
        (false, 32) => ss,
        (false, _) => sd,
    }
}

const ADD: [Op; 4] = [Op::Addps, Op::Addpd, Op::Addss, Op::Addsd];
const SUB: [Op; 4] = [Op::Subps, Op::Subpd, Op::Subss, Op::Subsd];
const MUL: [Op; 4] = [Op::Mulps, Op::Mulpd, Op::Mulss, Op::Mulsd];
const DIV: [Op; 4] = [Op::Divps, Op::Divpd, Op::Divss, Op::Divsd];
const MIN: [Op; 4] = [Op::Minps, Op::Minpd, Op::Minss, Op::Minsd];
const MAX: [Op; 4] = [Op::Maxps, Op::Maxpd, Op::Maxss, Op::Maxsd];
const SQRT: [Op; 4] = [Op::Sqrtps, Op::Sqrtpd, Op::Sqrtss, Op::Sqrtsd];
const ROUND: [Op; 4] = [Op::Roundps, Op::Roundpd, Op::Roundss, Op::Roundsd];
const SCALE: [Op; 4] = [Op::Scalefps, Op::Scalefpd, Op::Scalefss, Op::Scalefsd];
const GETEXP: [Op; 4] = [Op::Getexpps, Op::Getexppd, Op::Getexpss, Op::Getexpsd];
const GETMANT: [Op; 4] = [Op::Getmantps, Op::Getmantpd, Op::Getmantss, Op::Getmantsd];
/// Of `vgetmant`: from 3/4 up to 3/2; the sign of zero is dropped, and what is below it gives NaN.
const MANTISSA: i64 = 0b1111;
const FMA: [Op; 4] = [Op::Fmaddps, Op::Fmaddpd, Op::Fmaddss, Op::Fmaddsd];

impl Select<'_> {
    /// An operation whose result or operand is a float.
    pub fn float_operation(&mut self, opcode: Opcode, ty: Type, args: &[Value]) -> Option<Reg> {
        match (opcode, args) {
            (Opcode::Fadd, &[a, b]) => self.float_commutes(row(ty, ADD), ty, a, b),
            (Opcode::Fmul, &[a, b]) => self.float_commutes(row(ty, MUL), ty, a, b),
            (Opcode::Fsub, &[a, b]) => self.float_two(row(ty, SUB), ty, a, b),
            (Opcode::Fdiv, &[a, b]) => self.float_two(row(ty, DIV), ty, a, b),
            (Opcode::Sqrt, &[a]) => self.float_one(row(ty, SQRT), ty, a, None),
            (Opcode::Nearest, &[a]) => self.float_one(row(ty, ROUND), ty, a, Some(8)),
            (Opcode::Floor, &[a]) => self.float_one(row(ty, ROUND), ty, a, Some(9)),
            (Opcode::Ceil, &[a]) => self.float_one(row(ty, ROUND), ty, a, Some(10)),
            (Opcode::Trunc, &[a]) => self.float_one(row(ty, ROUND), ty, a, Some(11)),
            (Opcode::Fma, &[a, b, c]) => self.multiply_add(ty, a, b, c),
            (Opcode::Fneg, &[a]) => self.with_bits(Op::Xorps, ty, a, true),
            (Opcode::Fabs, &[a]) => self.with_bits(Op::Andps, ty, a, false),
            (Opcode::Fcopysign, &[a, b]) => {
                let (size, sign) = (self.with_bits(Op::Andps, ty, a, false)?, self.with_bits(Op::Andps, ty, b, true)?);
                Some(self.make(Op::Orps, Size::B16, (Class::Vec, ty.bytes()), &[size.into(), sign.into()]))
            }
            (Opcode::Fpromote, &[a]) if ty == types::F64 => self.float_one_of(Op::Cvtss2sd, ty, a),
            (Opcode::Fdemote, &[a]) if ty == types::F32 => self.float_one_of(Op::Cvtsd2ss, ty, a),
            (Opcode::FcvtFromSint, &[a]) => self.float_of_signed(ty, a),
            (Opcode::FcvtFromUint, &[a]) if !ty.is_vector() => self.float_of_unsigned(ty, a),
            (Opcode::FcvtToSintSat, &[a]) if !ty.is_vector() => self.signed_of_float(ty, a),
            (Opcode::X86Cvtt2dq, &[a]) => {
                let a = self.operand(Op::Cvttps2dq, a)?;
                Some(self.vector(Op::Cvttps2dq, ty, &[a]))
            }
            (Opcode::Splat, &[a]) => self.splat(ty, a),
            _ => None,
        }
    }

    fn float_two(&mut self, op: Op, ty: Type, a: Value, b: Value) -> Option<Reg> {
        let a = self.source(a)?;
        let b = self.operand(op, b)?;
        Some(self.vector(op, ty, &[a.into(), b]))
    }

    /// Constants and loads come second.
    fn float_commutes(&mut self, op: Op, ty: Type, a: Value, b: Value) -> Option<Reg> {
        if self.prefers_memory(a) && !self.prefers_memory(b) {
            return self.float_two(op, ty, b, a);
        }
        self.float_two(op, ty, a, b)
    }

    /// `x * 2^floor(n)`.
    pub fn scale(&mut self, x: Value, n: Value) -> Option<Reg> {
        let ty = self.ty(x);
        self.is_avx512().then_some(())?;
        self.float_two(row(ty, SCALE), ty, x, n)
    }

    /// `floor(log2 |x|)`.
    pub fn exponent(&mut self, x: Value) -> Option<Reg> {
        let ty = self.ty(x);
        self.is_avx512().then_some(())?;
        self.float_one(row(ty, GETEXP), ty, x, None)
    }

    /// `x 2^-k`, from 3/4 up to 3/2.
    pub fn mantissa(&mut self, x: Value) -> Option<Reg> {
        let ty = self.ty(x);
        self.is_avx512().then_some(())?;
        self.float_one(row(ty, GETMANT), ty, x, Some(MANTISSA))
    }

    /// The lanes of a table at the low bits of indices. A register of AVX2 holds half of one: where the halves differ, the
    /// index's fourth bit chooses.
    pub fn table(&mut self, ty: Type, index: Value, table: Value) -> Option<Reg> {
        let mut at = self.reg(index)?;
        if !ty.is_vector() {
            at = self.vector(Op::MovdToVec, types::F32, &[at.into()]);
        }
        if self.is_avx512() {
            let table = self.operand(Op::Permps, table)?;
            return Some(self.make(Op::Permps, Size::B64, (Class::Vec, ty.bytes()), &[at.into(), table]));
        }
        let bytes = folds::definition(self.f, table).and_then(|inst| self.constant_bytes(inst))?;
        let (low, high) = bytes.split_at(bytes.len() / 2);
        let mut half = |half: &[u8]| {
            let half = self.out.pool.add(half);
            self.make(Op::Permps, Size::B32, (Class::Vec, ty.bytes()), &[at.into(), half.into()])
        };
        if low == high {
            return Some(half(low));
        }
        let (low, high) = (half(low), half(high));
        let lanes = if ty.is_vector() { ty } else { types::F32X4 };
        let upper = self.vector(Op::PslldImm, lanes, &[at.into(), Operand::Imm(28)]);
        Some(self.blend(lanes, upper, high, low))
    }

    /// Whether a value is folded, so that it is better an operand in memory than in a register.
    fn prefers_memory(&self, v: Value) -> bool {
        folds::definition(self.f, v).is_some_and(|i| self.folds.is_folded(i))
    }

    /// A function of one operand; single floats take the other lanes from it too.
    fn float_one(&mut self, op: Op, ty: Type, a: Value, immediate: Option<i64>) -> Option<Reg> {
        let mut sources = vec![];
        if ty.is_vector() {
            sources.push(self.operand(op, a)?);
        } else {
            let a = self.reg(a)?;
            sources.extend([Operand::Reg(a), Operand::Reg(a)]);
        }
        sources.extend(immediate.map(Operand::Imm));
        Some(self.vector(op, ty, &sources))
    }

    fn float_one_of(&mut self, op: Op, ty: Type, a: Value) -> Option<Reg> {
        let a = self.reg(a)?;
        Some(self.vector(op, ty, &[a.into(), a.into()]))
    }

    /// `a * b + c`, with one operand in memory if one is folded.
    fn multiply_add(&mut self, ty: Type, a: Value, b: Value, c: Value) -> Option<Reg> {
        let op = row(ty, FMA);
        let mut memory = [c, b, a].into_iter().find(|v| self.prefers_memory(*v));
        let mut operand = |s: &mut Self, v: Value| match memory {
            Some(m) if m == v => {
                memory = None;
                s.operand(op, v)
            }
            _ => s.reg(v).map(Operand::Reg),
        };
        let (a, b, c) = (operand(self, a)?, operand(self, b)?, operand(self, c)?);
        Some(self.vector(op, ty, &[c, a, b]))
    }

    /// The sign bit, or all others, of every lane.
    fn sign_bits(ty: Type, sign: bool) -> Vec<u8> {
        match (ty.lane_bits(), sign) {
            (32, true) => (1u32 << 31).to_le_bytes().to_vec(),
            (32, false) => (!(1u32 << 31)).to_le_bytes().to_vec(),
            (_, true) => (1u64 << 63).to_le_bytes().to_vec(),
            (_, false) => (!(1u64 << 63)).to_le_bytes().to_vec(),
        }
    }

    /// A bit operation on a float and the sign bits, or all others.
    fn with_bits(&mut self, op: Op, ty: Type, a: Value, sign: bool) -> Option<Reg> {
        let op = match (op, ty.lane_bits()) {
            (Op::Xorps, 64) => Op::Xorpd,
            (Op::Andps, 64) => Op::Andpd,
            (op, _) => op,
        };
        let a = self.reg(a)?;
        let bits = Self::sign_bits(ty, sign);
        let bits = self.every_lane(op, ty, &bits);
        let (size, bytes) =
            if ty.is_vector() { (Size::vector(ty.bytes()), ty.bytes().max(16)) } else { (Size::B16, ty.bytes()) };
        Some(self.make(op, size, (Class::Vec, bytes), &[a.into(), bits]))
    }

    pub fn extremum(&mut self, ty: Type, extremum: Extremum) -> Option<Reg> {
        let (a, b) = extremum.values;
        let op = match (ty.lane_type().is_float(), extremum.max) {
            (true, true) => row(ty, MAX),
            (true, false) => row(ty, MIN),
            (false, max) => match self.int_extremum(ty, max, extremum.unsigned) {
                Some(op) => op,
                // AVX2 has none for 64 bits: compare and choose.
                None => {
                    let mask = self.greater(ty, a, b, extremum.unsigned)?;
                    let (a, b) = (self.reg(a)?, self.reg(b)?);
                    let (yes, no) = if max { (a, b) } else { (b, a) };
                    return Some(self.blend(ty, mask, yes, no));
                }
            },
        };
        self.float_two(op, ty, a, b)
    }

    fn float_of_signed(&mut self, ty: Type, a: Value) -> Option<Reg> {
        let from = self.ty(a);
        let op = match (ty.is_vector(), from.lane_type(), ty.lane_type()) {
            (true, types::I32, types::F32) => Op::Cvtdq2ps,
            (true, types::I64, types::F64) if self.out.level == Level::Avx512 => Op::Cvtqq2pd,
            (true, ..) => return None,
            (false, types::I32, types::F32) => Op::CvtsiToSs,
            (false, types::I64, types::F32) => Op::CvtsqToSs,
            (false, types::I32, types::F64) => Op::CvtsiToSd,
            (false, types::I64, types::F64) => Op::CvtsqToSd,
            _ => return None,
        };
        if ty.is_vector() {
            let a = self.operand(op, a)?;
            return Some(self.vector(op, ty, &[a]));
        }
        let a = self.reg(a)?;
        Some(self.convert(op, ty, a))
    }

    /// From a general register; the lanes beyond the first are zero, so nothing is waited for.
    fn convert(&mut self, op: Op, ty: Type, a: Reg) -> Reg {
        let rest = self.zero(ty);
        self.vector(op, ty, &[rest.into(), a.into()])
    }

    fn float_of_unsigned(&mut self, ty: Type, a: Value) -> Option<Reg> {
        let double = ty == types::F64;
        match self.ty(a) {
            types::I32 => {
                let a = self.reg(a)?;
                let wide = self.int(Op::Mov, Size::B4, &[a.into()]);
                Some(self.convert(if double { Op::CvtsqToSd } else { Op::CvtsqToSs }, ty, wide))
            }
            types::I64 if self.is_avx512() => {
                let a = self.reg(a)?;
                Some(self.convert(if double { Op::CvtusqToSd } else { Op::CvtusqToSs }, ty, a))
            }
            types::I64 => {
                // From 2^63 on: half of it, with a last bit that says whether anything was lost, doubled.
                let a = self.reg(a)?;
                let op = if double { Op::CvtsqToSd } else { Op::CvtsqToSs };
                let half = self.int(Op::ShrImm, Size::B8, &[a.into(), Operand::Imm(1)]);
                let low = self.int(Op::And, Size::B8, &[a.into(), Operand::Imm(1)]);
                let half = self.int(Op::Or, Size::B8, &[half.into(), low.into()]);
                let half = self.convert(op, ty, half);
                let twice = self.vector(row(ty, ADD), ty, &[half.into(), half.into()]);
                let whole = self.convert(op, ty, a);
                let sign = self.int(Op::SarImm, Size::B8, &[a.into(), Operand::Imm(63)]);
                let mask = self.vector(Op::MovqToVec, types::F64, &[sign.into()]);
                Some(self.blend(ty.by(16 / ty.bytes())?, mask, twice, whole))
            }
            _ => None,
        }
    }

    /// Toward zero; NaN gives 0, and what does not fit the nearest integer that there is.
    fn signed_of_float(&mut self, ty: Type, a: Value) -> Option<Reg> {
        use super::super::inst::{Cond, Inst};
        let from = self.ty(a);
        let (op, compare, limit): (Op, Op, Vec<u8>) = match (from, ty) {
            (types::F32, types::I32) => (Op::CvttssToSi, Op::Ucomiss, 2147483648f32.to_le_bytes().to_vec()),
            (types::F32, types::I64) => (Op::CvttssToSq, Op::Ucomiss, 9223372036854775808f32.to_le_bytes().to_vec()),
            (types::F64, types::I32) => (Op::CvttsdToSi, Op::Ucomisd, 2147483648f64.to_le_bytes().to_vec()),
            (types::F64, types::I64) => (Op::CvttsdToSq, Op::Ucomisd, 9223372036854775808f64.to_le_bytes().to_vec()),
            _ => return None,
        };
        let size = Size::int(ty.bytes());
        let a = self.reg(a)?;
        let whole = self.int(op, Size::Scalar, &[a.into()]);
        let greatest = if ty == types::I32 { i64::from(i32::MAX) } else { i64::MAX };
        let greatest = self.int(Op::Mov, size, &[Operand::Imm(greatest)]);
        let zero = self.int(Op::Mov, size, &[Operand::Imm(0)]);
        let limit = self.out.pool.add(&limit);
        self.push(Inst::new(compare, Size::Scalar, [a.into(), limit.into()]));
        let whole = self.int(Op::Cmov, size, &[whole.into(), greatest.into(), Cond::Ae.into()]);
        Some(self.int(Op::Cmov, size, &[whole.into(), zero.into(), Cond::P.into()]))
    }
}
