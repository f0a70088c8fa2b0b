//! Values that leave a loop, under names of their own.
//!
//! What a loop computed may have to share the registers with much more behind the loop than in it. When the block behind
//! a loop takes such values as parameters, each is two virtual registers: the one in the loop can keep its register
//! though the one behind it is in memory.

use std::collections::HashSet;

use super::{dominators::Dominators, ranges::Ranges};
use crate::native::x86::{
    function::{BlockId, Function},
    inst::{Access, Class, Reg},
};

/// The function with a parameter for every vector that leaves a loop, and these parameters.
pub fn name(f: &Function) -> (Function, HashSet<Reg>) {
    let ranges = Ranges::new(f);
    let dominators = Dominators::new(f);
    let depths = depths(f, &ranges);
    let mut out = f.clone();
    let mut names = HashSet::new();
    let mut done: Vec<(Reg, BlockId)> = vec![];
    for exit in f.blocks.ids().filter(|id| leaves_a_loop(f, *id)) {
        let depth = f.blocks[exit].depth;
        let inside: Vec<BlockId> = f.blocks.ids().filter(|id| dominators.dominates(exit, *id)).collect();
        for (n, written) in depths.iter().enumerate() {
            let r = ranges.register(n);
            let leaves = r.class() == Class::Vec && written.is_some_and(|d| d > depth);
            let named = || done.iter().any(|(known, at)| *known == r && dominators.dominates(*at, exit));
            if !leaves || !ranges.is_live(n, 2 * ranges.blocks[exit.index()].0) || named() {
                continue;
            }
            let name = out.register(Class::Vec, f.bytes(r));
            for &block in &inside {
                rename(&mut out, block, r, name);
            }
            out.blocks[exit].params.push(name);
            for id in f.blocks.ids() {
                out.blocks[id].end.edges_mut().filter(|e| e.target == exit).for_each(|e| e.args.push(r));
            }
            names.insert(name);
            done.push((r, exit));
        }
    }
    (out, names)
}

/// Whether every way to a block comes from a deeper one.
fn leaves_a_loop(f: &Function, exit: BlockId) -> bool {
    let before = f.blocks.iter().filter(|(_, block)| block.end.edges().any(|e| e.target == exit));
    let mut depths = before.map(|(_, block)| block.depth).peekable();
    depths.peek().is_some() && depths.all(|d| d > f.blocks[exit].depth)
}

/// For each virtual register the number of loops around where it is written.
fn depths(f: &Function, ranges: &Ranges) -> Vec<Option<u32>> {
    let mut depths = vec![None; ranges.of.len()];
    for (_, block) in f.blocks.iter() {
        let written = block.insts.iter().filter_map(|inst| inst.def()).chain(block.params.iter().copied());
        written.filter(|r| r.is_virtual()).for_each(|r| depths[ranges.index(r)] = Some(block.depth));
    }
    depths
}

/// Replaces a register that a block reads.
fn rename(f: &mut Function, block: BlockId, from: Reg, to: Reg) {
    let block = &mut f.blocks[block];
    for inst in &mut block.insts {
        inst.map(|r, access| if access == Access::Use && r == from { to } else { r });
    }
    block.end.edges_mut().flat_map(|e| &mut e.args).filter(|arg| **arg == from).for_each(|arg| *arg = to);
}
