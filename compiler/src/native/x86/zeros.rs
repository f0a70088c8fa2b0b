//! Zeros of general registers in two or three bytes: a register xor itself, where nothing reads the flags that stood
//! before. Physical registers only.

use super::{
    function::{Block, End, Function},
    inst::{Class, Inst, Op, Operand, Size},
    rows::Form,
};

pub fn shorten(f: &mut Function) {
    for id in f.blocks.ids() {
        let block = &mut f.blocks[id];
        for n in 0..block.insts.len() {
            if is_zero(&block.insts[n]) && flags_are_free(block, n) {
                let r = block.insts[n].operands[0];
                block.insts[n] = Inst { op: Op::Xor, size: Size::B4, operands: vec![r, r, r], masking: None };
            }
        }
    }
}

fn is_zero(inst: &Inst) -> bool {
    inst.op == Op::Mov
        && matches!(inst.size, Size::B4 | Size::B8)
        && matches!(inst.operands[..], [Operand::Reg(r), Operand::Imm(0)] if r.class() == Class::Int)
}

/// Whether the flags are written before they are read behind an instruction. No flags pass from block to block.
fn flags_are_free(block: &Block, at: usize) -> bool {
    for inst in &block.insts[at + 1..] {
        match inst.op.row().form {
            Form::AluFlags(_) | Form::Alu(..) => return true,
            Form::Setcc | Form::Cmov => return false,
            _ => {}
        }
    }
    !matches!(block.end, End::Branch(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::x86::{
        function::{Convention, Level},
        inst::{Cond, Reg},
    };

    #[test]
    fn a_zero_keeps_flags_that_are_read() {
        let r = |n| Reg::physical(Class::Int, n);
        let zero = |n| Inst::new(Op::Mov, Size::B8, [r(n).into(), 0.into()]);
        let mut f = Function::new(Level::Avx2, Convention::SystemV);
        let block = f.block(0);
        f.blocks[block].insts = vec![
            zero(1),
            Inst::new(Op::Cmp, Size::B8, [r(3).into(), r(6).into()]),
            zero(2),
            Inst::new(Op::Setcc, Size::Scalar, [r(7).into(), Cond::L.into()]),
            zero(8),
        ];
        shorten(&mut f);
        let ops: Vec<Op> = f.blocks[block].insts.iter().map(|i| i.op).collect();
        assert_eq!(ops, [Op::Xor, Op::Cmp, Op::Mov, Op::Setcc, Op::Xor]);
    }
}
