//! Vector constants and constant masks in registers.
//!
//! A constant that an instruction in a loop reads from the pool becomes a virtual register that is loaded before the
//! outermost loop. The allocator finds it worth little beside what is computed; where no register is left it is read
//! from the pool again, so nothing is lost. A mask of constant bits is made there too.
//!
//! Only innermost loops have their constants loaded: around another loop a constant would take a register from it. What
//! a register makes of itself, zeros and ones, is made where it is needed.

use std::collections::{HashMap, HashSet};

use super::{bundle::can_repeat, dominators::Dominators};
use crate::native::x86::{
    function::{BlockId, Function},
    inst::{Access, Base, Class, Inst, Mem, Op, Operand, Reg, Size},
    rows::Tuple,
};

/// The function with its loops' vector constants loaded before them.
pub fn hoist(f: &Function) -> Function {
    let mut out = f.clone();
    let homes = homes(f);
    let mut known: HashMap<(BlockId, Op, Size, u32, i32), Reg> = HashMap::new();
    let numbers = numbers(f);
    let mut masks: HashMap<(BlockId, Op, i64), Reg> = HashMap::new();
    let mut same: HashMap<Reg, Reg> = HashMap::new();
    for id in f.blocks.ids().filter(|id| is_innermost(f, *id) && !f.blocks[*id].cold) {
        let home = homes[id.index()];
        if home == id {
            continue;
        }
        let mut insts = std::mem::take(&mut out.blocks[id].insts);
        insts.retain_mut(|inst| {
            let vector = inst.def().is_some_and(|r| r.class() == Class::Vec && r.is_virtual());
            if vector && can_repeat(inst) && inst.operands.len() > 1 {
                out.blocks[home].insts.push(inst.clone());
                return false;
            }
            if let [Operand::Reg(mask), Operand::Reg(source)] = inst.operands[..]
                && inst.op == Op::KmovqFromInt
                && let Some(&bits) = numbers.get(&source)
            {
                let made = *masks.entry((home, inst.op, bits)).or_insert_with(|| {
                    let number = out.register(Class::Int, 8);
                    let load = Inst::new(Op::Mov, Size::B8, [number.into(), bits.into()]);
                    let move_over = Inst::new(inst.op, inst.size, [mask.into(), number.into()]);
                    out.blocks[home].insts.extend([load, move_over]);
                    mask
                });
                same.insert(mask, made);
                return false;
            }
            for n in 0..inst.operands.len() {
                let Some((op, size, m)) = load_of(inst, n) else { continue };
                let Base::Pool(entry) = m.base else { continue };
                let r = *known.entry((home, op, size, entry, m.disp)).or_insert_with(|| {
                    let r = out.register(Class::Vec, size.bytes());
                    out.blocks[home].insts.push(Inst::new(op, size, [r.into(), m.into()]));
                    r
                });
                inst.operands[n] = r.into();
            }
            true
        });
        out.blocks[id].insts = insts;
    }
    if !same.is_empty() {
        rename(&mut out, &same);
    }
    drop_unread(&mut out);
    out
}

/// Whether a block is in a loop that has no loop inside: a stretch of blocks as deep as it, or deeper.
fn is_innermost(f: &Function, id: BlockId) -> bool {
    let depth = f.blocks[id].depth;
    let depths = |n: usize| f.blocks[BlockId::new(n)].depth;
    let before = (0..id.index()).rev().map(depths).take_while(|d| *d >= depth);
    let behind = (id.index()..f.blocks.len()).map(depths).take_while(|d| *d >= depth);
    depth > 0 && before.chain(behind).all(|d| d == depth)
}

/// Drops constants that nothing reads.
fn drop_unread(f: &mut Function) {
    let mut read: HashSet<Reg> = HashSet::new();
    for (_, block) in f.blocks.iter() {
        block.insts.iter().for_each(|inst| {
            inst.visit(|r, access| {
                if access == Access::Use {
                    read.insert(r);
                }
            })
        });
        read.extend(block.end.edges().flat_map(|e| &e.args));
    }
    for id in f.blocks.ids() {
        let is_read = |inst: &Inst| inst.def().is_none_or(|r| !r.is_virtual() || read.contains(&r));
        f.blocks[id].insts.retain(|inst| is_read(inst) || !can_repeat(inst));
    }
}

/// The integers that are constants.
fn numbers(f: &Function) -> HashMap<Reg, i64> {
    let of = |inst: &Inst| match inst.operands[..] {
        [Operand::Reg(r), Operand::Imm(n)] if inst.op == Op::Mov && inst.size == Size::B8 => Some((r, n)),
        [Operand::Reg(r), Operand::Imm(n)] if inst.op == Op::Mov && inst.size == Size::B4 => {
            Some((r, i64::from(n as u32)))
        }
        _ => None,
    };
    f.blocks.iter().flat_map(|(_, block)| block.insts.iter().filter_map(of)).collect()
}

/// Replaces registers that are read by others of the same value.
fn rename(f: &mut Function, same: &HashMap<Reg, Reg>) {
    for id in f.blocks.ids() {
        let block = &mut f.blocks[id];
        for inst in &mut block.insts {
            inst.map(|r, access| if access == Access::Use { *same.get(&r).unwrap_or(&r) } else { r });
        }
        for arg in block.end.edges_mut().flat_map(|e| &mut e.args) {
            *arg = *same.get(arg).unwrap_or(arg);
        }
    }
}

/// The instruction that loads an operand from memory as the instruction reads it, when that reads a vector.
fn load_of(inst: &Inst, n: usize) -> Option<(Op, Size, Mem)> {
    let row = inst.op.row();
    let letter = row.operands.as_bytes()[n];
    match (inst.operands[n], row.tuple) {
        (Operand::Splat(m), Tuple::Full(4) | Tuple::Half(4)) => Some((Op::Broadcastss, inst.size, m)),
        (Operand::Splat(m), Tuple::Full(8)) if inst.size > Size::B16 => Some((Op::Broadcastsd, inst.size, m)),
        (Operand::Mem(m), Tuple::Full(_) | Tuple::Part(1)) if letter == b'v' => Some((Op::Movups, inst.size, m)),
        (Operand::Mem(m), Tuple::Fixed(4)) if letter == b'x' => Some((Op::MovssLoad, Size::Scalar, m)),
        (Operand::Mem(m), Tuple::Fixed(8)) if letter == b'x' => Some((Op::MovsdLoad, Size::Scalar, m)),
        _ => None,
    }
}

/// For each block the nearest of those that every way to it passes and that are in no loop; itself if there is none.
fn homes(f: &Function) -> Vec<BlockId> {
    let dominators = Dominators::new(f);
    f.blocks.ids().map(|id| dominators.of(id).find(|b| f.blocks[*b].depth == 0).unwrap_or(id)).collect()
}
