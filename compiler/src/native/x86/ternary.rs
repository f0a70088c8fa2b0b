//! Two bit operations as one, with AVX-512: what brings a masked part into other bits, as a sign into a magnitude.

use std::collections::HashMap;

use super::{
    broadcast::uses,
    function::{Block, Function, Level},
    inst::{Base, Inst, Op, Operand, Reg},
};

/// `a | (b & c)` of `vpternlog`'s three operands.
const OR_OF_AND: i64 = 0xf8;

/// Joins each `or` with an `and` that only it uses.
pub fn join(f: &mut Function) {
    if f.level < Level::Avx512 {
        return;
    }
    let uses = uses(f);
    for id in f.blocks.ids() {
        block(&mut f.blocks[id], &uses);
    }
}

fn block(block: &mut Block, uses: &HashMap<Reg, u32>) {
    let mut masked: HashMap<Reg, usize> = HashMap::new();
    let mut joined = vec![];
    for n in 0..block.insts.len() {
        let inst = &block.insts[n];
        if let Some((and, fresh)) = ternary(inst, &masked, &block.insts) {
            joined.push(and);
            block.insts[n] = fresh;
        } else if let (Op::Pandd, None, &[Operand::Reg(r), _, c]) = (inst.op, inst.masking, &inst.operands[..])
            && uses.get(&r) == Some(&1)
            && is_lasting(c)
        {
            masked.insert(r, n);
        }
    }
    let mut n = 0;
    block.insts.retain(|_| {
        n += 1;
        !joined.contains(&(n - 1))
    });
}

/// Whether an operand is the same further on: no memory that may be stored to.
fn is_lasting(operand: Operand) -> bool {
    match operand {
        Operand::Mem(m) | Operand::Splat(m) => !matches!(m.base, Base::Reg(_)),
        _ => true,
    }
}

/// An `or` and the `and` before it as one instruction, and where the `and` is.
fn ternary(or: &Inst, masked: &HashMap<Reg, usize>, insts: &[Inst]) -> Option<(usize, Inst)> {
    let (Op::Pord, None, &[result, Operand::Reg(x), Operand::Reg(y)]) = (or.op, or.masking, &or.operands[..]) else {
        return None;
    };
    let (other, &and) = [(y, x), (x, y)].into_iter().find_map(|(other, r)| Some((other, masked.get(&r)?)))?;
    let &[_, b, c] = &insts[and].operands[..] else { return None };
    if insts[and].size != or.size {
        return None;
    }
    let operands = vec![result, other.into(), b, c, Operand::Imm(OR_OF_AND)];
    Some((and, Inst { op: Op::Pternlogd, size: or.size, operands, masking: None }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::x86::{
        function::Convention,
        inst::{Class, Mem, Size},
    };

    /// The operations that are left of a sign that comes into a magnitude, when it is used so often.
    fn joined(level: Level, uses: usize) -> Vec<Op> {
        let mut f = Function::new(level, Convention::SystemV);
        let entry = f.block(0);
        let base = f.register(Class::Int, 8);
        let [x, y, mask, sign] = [0; 4].map(|_| f.register(Class::Vec, 32));
        f.blocks[entry].params = vec![base, x, y, mask];
        let mut insts = vec![Inst::new(Op::Pandd, Size::B32, [sign.into(), x.into(), mask.into()])];
        for n in 0..uses {
            let signed = f.register(Class::Vec, 32);
            insts.push(Inst::new(Op::Pord, Size::B32, [signed.into(), y.into(), sign.into()]));
            let to = Mem::new(base, 32 * n as i32);
            insts.push(Inst::new(Op::MovupsStore, Size::B32, [to.into(), signed.into()]));
        }
        f.blocks[entry].insts = insts;
        join(&mut f);
        f.blocks[entry].insts.iter().map(|inst| inst.op).collect()
    }

    #[test]
    fn an_and_that_only_an_or_uses_is_part_of_it() {
        assert_eq!(joined(Level::Avx512, 1), [Op::Pternlogd, Op::MovupsStore]);
        assert_eq!(joined(Level::Avx2, 1), [Op::Pandd, Op::Pord, Op::MovupsStore]);
        assert_eq!(joined(Level::Avx512, 2)[..2], [Op::Pandd, Op::Pord]);
    }
}
