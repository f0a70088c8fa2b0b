//! Broadcasts from memory that only one instruction uses become its operand.
//!
//! A tile that is one vector wide multiplies every element once; the machine then spends as much on the broadcasts as on
//! the products, unless they are one instruction. Elements that are used several times stay in registers, which loads
//! them once. AVX-512 only.

use std::collections::HashMap;

use super::{
    function::{Block, Function, Level},
    inst::{Access, Base, Inst, Mem, Op, Operand, Reg},
    rows::{Encodings, Tuple},
};

/// Puts broadcasts into the instructions that use them.
pub fn fold(f: &mut Function) {
    if f.level < Level::Avx512 {
        return;
    }
    let uses = uses(f);
    for id in f.blocks.ids() {
        block(&mut f.blocks[id], &uses);
    }
}

/// How often each register is read.
pub fn uses(f: &Function) -> HashMap<Reg, u32> {
    let mut uses: HashMap<Reg, u32> = HashMap::new();
    for (_, block) in f.blocks.iter() {
        for inst in &block.insts {
            inst.visit(|r, access| *uses.entry(r).or_default() += u32::from(access == Access::Use));
        }
        block.end.edges().flat_map(|e| &e.args).for_each(|r| *uses.entry(*r).or_default() += 1);
    }
    uses
}

fn block(block: &mut Block, uses: &HashMap<Reg, u32>) {
    // Broadcasts that may still be read where they are used: a store behind one may be to the same place.
    let mut open: HashMap<Reg, (usize, Mem)> = HashMap::new();
    let mut folded = vec![];
    for n in 0..block.insts.len() {
        let inst = &block.insts[n];
        let candidate = (1..inst.operands.len()).find_map(|k| match inst.operands[k] {
            Operand::Reg(r) => open.get(&r).map(|&(made, mem)| (k, made, mem)),
            _ => None,
        });
        if let Some((k, made, mem)) = candidate
            && takes(inst, k, &block.insts[made])
        {
            block.insts[n].operands[k] = Operand::Splat(mem);
            folded.push(made);
        }
        let inst = &block.insts[n];
        if matches!(inst.operands.first(), Some(Operand::Mem(_))) {
            open.clear();
        }
        if let (Some(r), Some(&Operand::Mem(mem))) = (inst.def(), inst.operands.get(1))
            && element(inst.op).is_some()
            && inst.masking.is_none()
            && matches!(mem.base, Base::Reg(_))
            && uses.get(&r) == Some(&1)
        {
            open.insert(r, (n, mem));
        }
    }
    let mut n = 0;
    block.insts.retain(|_| {
        n += 1;
        !folded.contains(&(n - 1))
    });
}

/// The bytes of what an instruction broadcasts.
fn element(op: Op) -> Option<u8> {
    match op {
        Op::Broadcastss | Op::Pbroadcastd => Some(4),
        Op::Broadcastsd | Op::Pbroadcastq => Some(8),
        _ => None,
    }
}

/// Whether operand `k` may be the memory of a broadcast instead.
fn takes(inst: &Inst, k: usize, broadcast: &Inst) -> bool {
    let row = inst.op.row();
    let reads_memory = inst.operands.iter().any(|o| matches!(o, Operand::Mem(_) | Operand::Splat(_)));
    !reads_memory
        && inst.size == broadcast.size
        && row.form.memory().contains(&k)
        && matches!(row.encodings, Encodings::Evex | Encodings::Both)
        && matches!((row.tuple, element(broadcast.op)), (Tuple::Full(n), Some(element)) if n == element)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::x86::{
        function::Convention,
        inst::{Class, Size},
    };

    /// The block's text, when so many products read one broadcast, with or without a store before them.
    fn folded(level: Level, products: usize, store: bool) -> String {
        let mut f = Function::new(level, Convention::SystemV);
        let entry = f.block(0);
        let base = f.register(Class::Int, 8);
        let [x, a] = [0; 2].map(|_| f.register(Class::Vec, 32));
        f.blocks[entry].params = vec![base];
        let mut insts = vec![
            Inst::new(Op::Movups, Size::B32, [x.into(), Mem::new(base, 0).into()]),
            Inst::new(Op::Broadcastss, Size::B32, [a.into(), Mem::new(base, 64).into()]),
        ];
        if store {
            insts.push(Inst::new(Op::MovupsStore, Size::B32, [Mem::new(base, 64).into(), x.into()]));
        }
        for _ in 0..products {
            let next = f.register(Class::Vec, 32);
            insts.push(Inst::new(Op::Fmaddps, Size::B32, [next.into(), x.into(), a.into(), x.into()]));
        }
        f.blocks[entry].insts = insts;
        fold(&mut f);
        f.to_string()
    }

    #[test]
    fn a_broadcast_that_is_used_once_becomes_an_operand() {
        let is_folded = |text: String| text.contains("{1toN}") && !text.contains("vbroadcastss");
        assert!(is_folded(folded(Level::Avx512, 1, false)));
        for (level, products, store) in [(Level::Avx512, 2, false), (Level::Avx512, 1, true), (Level::Avx2, 1, false)] {
            assert!(!is_folded(folded(level, products, store)), "{level:?} {products} {store}");
        }
    }
}
