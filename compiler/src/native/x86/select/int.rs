//! Integers in general registers.

use cranelift_codegen::ir::{Opcode, Type, Value, types};

use super::{
    super::inst::{Mem, Op, Operand, Reg, Size},
    Select, folds, size,
};

impl Select<'_> {
    pub fn int_operation(&mut self, opcode: Opcode, ty: Type, args: &[Value]) -> Option<Reg> {
        if !ty.is_int() || ty.bits() > 64 {
            return None;
        }
        let size = size(ty);
        match (opcode, args) {
            (Opcode::Iadd, &[a, b]) => self.add(size, a, b),
            (Opcode::Isub, &[a, b]) => self.two(Op::Sub, size, a, b),
            (Opcode::Band, &[a, b]) => self.commutes(Op::And, size, a, b),
            (Opcode::Bor, &[a, b]) => self.commutes(Op::Or, size, a, b),
            (Opcode::Bxor, &[a, b]) => self.commutes(Op::Xor, size, a, b),
            (Opcode::Imul, &[a, b]) => match folds::constant(self.f, b).filter(|n| i32::try_from(*n).is_ok()) {
                Some(n) => {
                    let a = self.reg(a)?;
                    Some(self.int(Op::ImulImm, size, &[a.into(), Operand::Imm(n)]))
                }
                None => self.commutes(Op::Imul, size, a, b),
            },
            (Opcode::Ineg, &[a]) => self.one(Op::Neg, size, a),
            (Opcode::Bnot, &[a]) => self.one(Op::Not, size, a),
            (Opcode::Ishl, &[a, n]) => self.shift(Op::ShlImm, Op::Shlx, size, ty, a, n),
            (Opcode::Ushr, &[a, n]) => self.shift(Op::ShrImm, Op::Shrx, size, ty, a, n),
            (Opcode::Sshr, &[a, n]) => self.shift(Op::SarImm, Op::Sarx, size, ty, a, n),
            (Opcode::Uextend, &[a]) => {
                let source = self.narrow_operand(a)?;
                Some(match self.ty(a) {
                    types::I8 => self.int(Op::MovzxB, Size::B4, &[source]),
                    types::I16 => self.int(Op::MovzxW, Size::B4, &[source]),
                    _ => self.int(Op::Mov, Size::B4, &[source]),
                })
            }
            (Opcode::Sextend, &[a]) => {
                let source = self.narrow_operand(a)?;
                Some(match self.ty(a) {
                    types::I8 => self.int(Op::MovsxB, size, &[source]),
                    types::I16 => self.int(Op::MovsxW, size, &[source]),
                    _ => self.int(Op::MovsxD, Size::B8, &[source]),
                })
            }
            (Opcode::Ireduce, &[a]) => self.reg(a),
            (Opcode::Sdiv, &[a, b]) if ty.bits() >= 32 => self.divide(Op::Idiv, size, a, b),
            (Opcode::Udiv, &[a, b]) if ty.bits() >= 32 => self.divide(Op::Div, size, a, b),
            (Opcode::Srem, &[a, b]) if ty.bits() >= 32 => self.divide(Op::Irem, size, a, b),
            (Opcode::Urem, &[a, b]) if ty.bits() >= 32 => self.divide(Op::Rem, size, a, b),
            _ => None,
        }
    }

    fn one(&mut self, op: Op, size: Size, a: Value) -> Option<Reg> {
        let a = self.reg(a)?;
        Some(self.int(op, size, &[a.into()]))
    }

    fn two(&mut self, op: Op, size: Size, a: Value, b: Value) -> Option<Reg> {
        let a = self.reg(a)?;
        let b = match op {
            // No immediate.
            Op::Imul => match self.int_operand(b)? {
                Operand::Imm(_) => self.reg(b)?.into(),
                other => other,
            },
            _ => self.int_operand(b)?,
        };
        Some(self.int(op, size, &[a.into(), b]))
    }

    /// Constants and loads come second.
    fn commutes(&mut self, op: Op, size: Size, a: Value, b: Value) -> Option<Reg> {
        let folded = |v: Value| folds::definition(self.f, v).is_some_and(|i| self.folds.is_folded(i));
        if folded(a) && !folded(b) { self.two(op, size, b, a) } else { self.two(op, size, a, b) }
    }

    /// Without an operand overwritten when both live on.
    fn add(&mut self, size: Size, a: Value, b: Value) -> Option<Reg> {
        let shared = |v: Value| self.folds.uses(self.f, v) > 1;
        match folds::constant(self.f, b).and_then(|n| i32::try_from(n).ok()) {
            Some(n) if shared(a) => {
                let a = self.reg(a)?;
                Some(self.int(Op::Lea, size, &[Mem::new(a, n).into()]))
            }
            None if shared(a) && shared(b) => {
                let (a, b) = (self.reg(a)?, self.reg(b)?);
                Some(self.int(Op::Lea, size, &[Mem::indexed(a, b, 0, 0).into()]))
            }
            _ => self.commutes(Op::Add, size, a, b),
        }
    }

    fn shift(&mut self, by_constant: Op, by_register: Op, size: Size, ty: Type, a: Value, n: Value) -> Option<Reg> {
        let constant = folds::constant(self.f, n);
        let amount = if constant.is_none() { Some(self.reg(n)?) } else { None };
        let mut x = self.reg(a)?;
        // The bits that are shifted in are those of the narrow value.
        x = match (by_constant, ty) {
            (Op::ShrImm, types::I8) => self.int(Op::MovzxB, Size::B4, &[x.into()]),
            (Op::ShrImm, types::I16) => self.int(Op::MovzxW, Size::B4, &[x.into()]),
            (Op::SarImm, types::I8) => self.int(Op::MovsxB, Size::B4, &[x.into()]),
            (Op::SarImm, types::I16) => self.int(Op::MovsxW, Size::B4, &[x.into()]),
            _ => x,
        };
        Some(match (constant, amount) {
            (Some(n), _) => {
                let n = n & i64::from(ty.bits() - 1);
                self.int(by_constant, size, &[x.into(), Operand::Imm(n)])
            }
            (None, Some(amount)) => self.int(by_register, size, &[x.into(), amount.into()]),
            (None, None) => return None,
        })
    }

    /// A narrow integer in a register or, when its load is folded, in memory.
    fn narrow_operand(&mut self, v: Value) -> Option<Operand> {
        let folded = folds::definition(self.f, v).is_some_and(|i| self.folds.is_folded(i));
        if folded && folds::constant(self.f, v).is_none() {
            return self.operand(Op::Mov, v);
        }
        self.reg(v).map(Operand::Reg)
    }

    fn divide(&mut self, op: Op, size: Size, a: Value, b: Value) -> Option<Reg> {
        let (a, b) = (self.reg(a)?, self.reg(b)?);
        Some(self.int(op, size, &[a.into(), b.into()]))
    }
}
