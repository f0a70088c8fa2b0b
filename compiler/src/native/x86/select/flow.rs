//! Comparisons, flags, branches and choices.

use cranelift_codegen::ir::{
    BlockCall, InstructionData, Type, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::{
    super::{
        function::{Edge, End, Test},
        inst::{Class, Cond, Inst, Op, Operand, Reg, Size},
    },
    Select, folds, size,
};

fn int_condition(cc: IntCC) -> Cond {
    match cc {
        IntCC::Equal => Cond::E,
        IntCC::NotEqual => Cond::Ne,
        IntCC::SignedLessThan => Cond::L,
        IntCC::SignedGreaterThanOrEqual => Cond::Ge,
        IntCC::SignedGreaterThan => Cond::G,
        IntCC::SignedLessThanOrEqual => Cond::Le,
        IntCC::UnsignedLessThan => Cond::B,
        IntCC::UnsignedGreaterThanOrEqual => Cond::Ae,
        IntCC::UnsignedGreaterThan => Cond::A,
        IntCC::UnsignedLessThanOrEqual => Cond::Be,
    }
}

/// The immediate of a vector comparison that is quiet for NaN.
pub fn float_predicate(cc: FloatCC) -> Option<i64> {
    Some(match cc {
        FloatCC::Equal => 0x00,
        FloatCC::LessThan => 0x11,
        FloatCC::LessThanOrEqual => 0x12,
        FloatCC::Unordered => 0x03,
        FloatCC::NotEqual => 0x04,
        FloatCC::Ordered => 0x07,
        FloatCC::GreaterThanOrEqual => 0x1d,
        FloatCC::GreaterThan => 0x1e,
        _ => return None,
    })
}

impl Select<'_> {
    pub fn edge(&mut self, call: BlockCall) -> Option<Edge> {
        let target = self.blocks[&call.block(&self.f.dfg.value_lists)];
        let values: Vec<_> = call.args(&self.f.dfg.value_lists).collect();
        let mut args = vec![];
        for value in values {
            args.push(self.reg(value.as_value()?)?);
        }
        Some(Edge { target, args })
    }

    pub fn branch(&mut self, condition: Value, yes: BlockCall, no: BlockCall) -> Option<()> {
        // What the edges carry comes before the flags.
        let (yes, no) = (self.edge(yes)?, self.edge(no)?);
        let test = self.test(condition)?;
        self.end(End::Branch(test, yes, no));
        Some(())
    }

    /// Sets the flags so that the test holds when the condition is not zero. No other instruction may come between.
    fn test(&mut self, condition: Value) -> Option<Test> {
        let folded = folds::definition(self.f, condition).filter(|i| self.folds.is_folded(*i));
        match folded.map(|i| self.f.dfg.insts[i]) {
            Some(InstructionData::IntCompare { args, cond, .. }) => self.int_flags(cond, args),
            Some(InstructionData::FloatCompare { args, cond, .. }) => self.float_flags(cond, args),
            _ => {
                let size = Size::int(self.ty(condition).bytes());
                let x = self.reg(condition)?;
                self.push(Inst::new(Op::Test, size, [x.into(), x.into()]));
                Some(Test::If(Cond::Ne))
            }
        }
    }

    fn int_flags(&mut self, cc: IntCC, [a, b]: [Value; 2]) -> Option<Test> {
        let size = Size::int(self.ty(a).bytes());
        let x = self.reg(a)?;
        let y = self.int_operand(b)?;
        match (y, cc) {
            (Operand::Imm(0), IntCC::Equal | IntCC::NotEqual) => {
                self.push(Inst::new(Op::Test, size, [x.into(), x.into()]))
            }
            _ => self.push(Inst::new(Op::Cmp, size, [x.into(), y])),
        }
        Some(Test::If(int_condition(cc)))
    }

    fn float_flags(&mut self, cc: FloatCC, [a, b]: [Value; 2]) -> Option<Test> {
        // "Above" is false for NaN; "below" is not.
        let (a, b, test) = match cc {
            FloatCC::Equal => (a, b, Test::Both(Cond::E, Cond::Np)),
            FloatCC::NotEqual => (a, b, Test::Either(Cond::Ne, Cond::P)),
            FloatCC::GreaterThan => (a, b, Test::If(Cond::A)),
            FloatCC::GreaterThanOrEqual => (a, b, Test::If(Cond::Ae)),
            FloatCC::LessThan => (b, a, Test::If(Cond::A)),
            FloatCC::LessThanOrEqual => (b, a, Test::If(Cond::Ae)),
            FloatCC::Ordered => (a, b, Test::If(Cond::Np)),
            FloatCC::Unordered => (a, b, Test::If(Cond::P)),
            _ => return None,
        };
        let op = if self.ty(a) == types::F32 { Op::Ucomiss } else { Op::Ucomisd };
        let x = self.reg(a)?;
        let y = self.operand(op, b)?;
        self.push(Inst::new(op, Size::Scalar, [x.into(), y]));
        Some(test)
    }

    /// 0 or 1 by flags.
    fn flag_value(&mut self, test: Test) -> Reg {
        let mut set = |cond: Cond| self.int(Op::Setcc, Size::Scalar, &[cond.into()]);
        let (a, b) = match test {
            Test::If(c) => (set(c), None),
            Test::Both(a, b) => (set(a), Some((Op::And, set(b)))),
            Test::Either(a, b) => (set(a), Some((Op::Or, set(b)))),
        };
        let all = match b {
            Some((op, b)) => self.int(op, Size::B4, &[a.into(), b.into()]),
            None => a,
        };
        self.int(Op::MovzxB, Size::B4, &[all.into()])
    }

    pub fn int_compare(&mut self, cc: IntCC, args: [Value; 2]) -> Option<Reg> {
        if self.ty(args[0]).is_vector() {
            return self.compare_lanes(cc, args);
        }
        let test = self.int_flags(cc, args)?;
        Some(self.flag_value(test))
    }

    pub fn float_compare(&mut self, cc: FloatCC, [a, b]: [Value; 2]) -> Option<Reg> {
        let ty = self.ty(a);
        if !ty.is_vector() {
            let test = self.float_flags(cc, [a, b])?;
            return Some(self.flag_value(test));
        }
        let double = ty.lane_bits() == 64;
        let op = match (self.is_avx512(), double) {
            (true, false) => Op::CmppsMask,
            (true, true) => Op::CmppdMask,
            (false, false) => Op::Cmpps,
            (false, true) => Op::Cmppd,
        };
        let predicate = Operand::Imm(float_predicate(cc)?);
        let x = self.reg(a)?;
        let y = self.operand(op, b)?;
        Some(match self.is_avx512() {
            true => self.mask(op, ty, &[x.into(), y, predicate]),
            false => self.vector(op, ty, &[x.into(), y, predicate]),
        })
    }

    /// `condition ? yes : no`, by a condition of one bool.
    pub fn choose(&mut self, ty: Type, [condition, yes, no]: [Value; 3]) -> Option<Reg> {
        if ty.is_int() {
            let (yes, no) = (self.reg(yes)?, self.reg(no)?);
            let test = self.test(condition)?;
            let size = size(ty);
            let mut choose =
                |cond: Cond, yes: Reg, no: Reg| self.int(Op::Cmov, size, &[no.into(), yes.into(), cond.into()]);
            return Some(match test {
                Test::If(c) => choose(c, yes, no),
                Test::Either(a, b) => {
                    let first = choose(a, yes, no);
                    choose(b, yes, first)
                }
                Test::Both(a, b) => {
                    let first = choose(a.not(), no, yes);
                    choose(b.not(), no, first)
                }
            });
        }
        let (yes, no) = (self.reg(yes)?, self.reg(no)?);
        if let Some(inst) = folds::definition(self.f, condition).filter(|i| self.folds.is_folded(*i))
            && let InstructionData::FloatCompare { args, cond, .. } = self.f.dfg.insts[inst]
            && self.ty(args[0]) == ty
        {
            return self.choose_float(ty, cond, args, yes, no);
        }
        let test = self.test(condition)?;
        let one = self.flag_value(test);
        // All ones or zeros.
        let all = self.int(Op::Neg, Size::B8, &[one.into()]);
        let wide = if ty.is_vector() { ty } else { ty.by(16 / ty.bytes())? };
        if self.is_avx512() {
            let mask = self.mask(Op::KmovqFromInt, wide, &[all.into()]);
            return Some(self.blend(wide, mask, yes, no));
        }
        let low = self.vector(Op::MovqToVec, types::F64, &[all.into()]);
        let mask = match ty.is_vector() {
            true => self.vector(Op::Pbroadcastq, wide, &[low.into()]),
            false => low,
        };
        Some(self.blend(wide, mask, yes, no))
    }

    fn choose_float(&mut self, ty: Type, cc: FloatCC, [a, b]: [Value; 2], yes: Reg, no: Reg) -> Option<Reg> {
        let predicate = Operand::Imm(float_predicate(cc)?);
        let double = ty == types::F64;
        let op = match (self.is_avx512(), double) {
            (true, false) => Op::CmpssMask,
            (true, true) => Op::CmpsdMask,
            (false, false) => Op::Cmpss,
            (false, true) => Op::Cmpsd,
        };
        let x = self.reg(a)?;
        let y = self.operand(op, b)?;
        let mask = match self.is_avx512() {
            true => self.mask(op, ty, &[x.into(), y, predicate]),
            false => self.vector(op, ty, &[x.into(), y, predicate]),
        };
        Some(self.blend(ty.by(16 / ty.bytes())?, mask, yes, no))
    }

    /// Lanes of `yes` where the mask (whole lanes of ones, or a mask register) is set, of `no` elsewhere.
    pub fn blend(&mut self, ty: Type, mask: Reg, yes: Reg, no: Reg) -> Reg {
        let bits = ty.lane_bits();
        if mask.class() == Class::Mask {
            let op = match bits {
                8 => Op::Pblendmb,
                16 => Op::Pblendmw,
                32 => Op::Blendmps,
                _ => Op::Blendmpd,
            };
            let result = self.out.register(Class::Vec, ty.bytes());
            self.push(Inst::new(op, size(ty), [result.into(), no.into(), yes.into()]).masked(mask));
            return result;
        }
        let op = match bits {
            32 => Op::Blendvps,
            64 => Op::Blendvpd,
            _ => Op::Pblendvb,
        };
        self.vector(op, ty, &[no.into(), yes.into(), mask.into()])
    }
}
