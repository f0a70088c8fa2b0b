//! Values that leave a loop, under names of their own.
//!
//! What a loop computed may have to share the registers with much more behind the loop than in it. When the block behind
//! a loop takes such values as parameters, each is two virtual registers: the one in the loop can keep its register
//! though the one behind it is in memory.

use std::collections::{HashMap, HashSet};

use super::{dominators::Dominators, ranges::Ranges};
use crate::native::x86::{
    function::{BlockId, Function},
    inst::{Access, Class, Reg},
};

/// The function with a parameter for every vector that leaves a loop, and these parameters.
pub fn name(f: &Function) -> (Function, HashSet<Reg>) {
    let (out, names, _) = name_in_steps(f);
    (out, names)
}

/// As [`name`], with the number of blocks, registers and edges that were looked at: a function may have thousands of
/// loops, one behind the other.
fn name_in_steps(f: &Function) -> (Function, HashSet<Reg>, usize) {
    let ranges = Ranges::new(f);
    let dominators = Dominators::new(f);
    let before = predecessors(f);
    let mut readers = readers(f);
    let leaving = leaving(f, &ranges, &before);
    let mut steps = f.blocks.len() + ranges.of.len() + leaving.len();
    let mut out = f.clone();
    let mut names = HashSet::new();
    // Where a register has another name, by its number.
    let mut done: HashMap<Reg, Vec<BlockId>> = HashMap::new();
    for (exit, n) in leaving {
        let r = ranges.register(n);
        let named = done.entry(r).or_default();
        steps += named.len();
        if named.iter().any(|at| dominators.dominates(*at, exit)) {
            continue;
        }
        named.push(exit);
        let name = out.register(Class::Vec, f.bytes(r));
        for &block in readers.get(&r).into_iter().flatten() {
            steps += 1;
            if dominators.dominates(exit, block) {
                rename(&mut out, block, r, name);
            }
        }
        out.blocks[exit].params.push(name);
        for &from in &before[exit.index()] {
            steps += 1;
            out.blocks[from].end.edges_mut().filter(|e| e.target == exit).for_each(|e| e.args.push(r));
            readers.entry(r).or_default().push(from);
        }
        names.insert(name);
    }
    (out, names, steps)
}

/// The blocks that lead to each block, each once.
fn predecessors(f: &Function) -> Vec<Vec<BlockId>> {
    let mut before: Vec<Vec<BlockId>> = vec![vec![]; f.blocks.len()];
    for (id, block) in f.blocks.iter() {
        for edge in block.end.edges() {
            let known = &mut before[edge.target.index()];
            if known.last() != Some(&id) {
                known.push(id);
            }
        }
    }
    before
}

/// For each vector, the blocks that read it.
fn readers(f: &Function) -> HashMap<Reg, Vec<BlockId>> {
    let mut readers: HashMap<Reg, Vec<BlockId>> = HashMap::new();
    for (id, block) in f.blocks.iter() {
        let mut note = |r: Reg| {
            let known = readers.entry(r).or_default();
            if known.last() != Some(&id) {
                known.push(id);
            }
        };
        for inst in &block.insts {
            inst.visit(|r, access| {
                if access == Access::Use && r.class() == Class::Vec {
                    note(r);
                }
            });
        }
        block.end.edges().flat_map(|e| &e.args).for_each(|r| note(*r));
    }
    readers
}

/// Every vector that lives at a loop's exit and was written deeper, by exit and register.
fn leaving(f: &Function, ranges: &Ranges, before: &[Vec<BlockId>]) -> Vec<(BlockId, usize)> {
    let leaves = |exit: &BlockId| {
        let depth = f.blocks[*exit].depth;
        let before = &before[exit.index()];
        !before.is_empty() && before.iter().all(|b| f.blocks[*b].depth > depth)
    };
    // In ascending order of where they start, as blocks are numbered.
    let exits: Vec<(u32, BlockId)> =
        f.blocks.ids().filter(leaves).map(|exit| (2 * ranges.blocks[exit.index()].0, exit)).collect();
    let mut leaving = vec![];
    for (n, written) in depths(f, ranges).iter().enumerate() {
        let Some(written) = written.filter(|_| ranges.register(n).class() == Class::Vec) else { continue };
        for (from, to) in &ranges.of[n] {
            let first = exits.partition_point(|(at, _)| at < from);
            let alive = exits[first..].iter().take_while(|(at, _)| at < to);
            leaving.extend(alive.map(|(_, exit)| (*exit, n)).filter(|(exit, _)| written > f.blocks[*exit].depth));
        }
    }
    leaving.sort_unstable();
    leaving
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::x86::{
        function::{Convention, Edge, End, Level, Test},
        inst::{Cond, Inst, Mem, Op, Size},
    };

    /// So many loops one behind the other, each of which leaves a vector that is stored behind it.
    fn sequence(loops: usize) -> Function {
        let mut f = Function::new(Level::Avx512, Convention::SystemV);
        let entry = f.block(0);
        let pointer = f.register(Class::Int, 8);
        f.blocks[entry].params = vec![pointer];
        let mut at = entry;
        let edge = |target| Edge { target, args: vec![] };
        for n in 0..loops {
            let (body, after) = (f.block(1), f.block(0));
            let value = f.register(Class::Vec, 64);
            let place = Mem::new(pointer, n as i32 * 64);
            f.blocks[at].end = End::Jump(edge(body));
            f.blocks[body].insts = vec![
                Inst::new(Op::Movups, Size::B64, [value.into(), place.into()]),
                Inst::new(Op::Cmp, Size::B8, [pointer.into(), pointer.into()]),
            ];
            f.blocks[body].end = End::Branch(Test::If(Cond::Ne), edge(body), edge(after));
            f.blocks[after].insts = vec![Inst::new(Op::MovupsStore, Size::B64, [place.into(), value.into()])];
            at = after;
        }
        f.blocks[at].end = End::Return;
        f
    }

    #[test]
    fn twice_as_many_loops_take_twice_as_many_steps() {
        let (out, names, few) = name_in_steps(&sequence(200));
        assert_eq!(names.len(), 200);
        assert!(out.blocks.iter().filter(|(_, b)| b.depth == 0).skip(1).all(|(_, b)| b.params.len() == 1));
        let (_, _, many) = name_in_steps(&sequence(400));
        assert!(many <= 2 * few, "{few} and {many} steps");
    }
}
