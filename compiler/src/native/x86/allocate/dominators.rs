//! Which blocks every way to a block passes.

use crate::native::x86::function::{BlockId, Function};

pub struct Dominators {
    /// The nearest one before each block; the entry's is itself, and blocks that nothing reaches have none.
    nearest: Vec<Option<usize>>,
    /// For each block its first and last number in a walk through the tree of dominators.
    walk: Vec<(usize, usize)>,
}

impl Dominators {
    /// By the usual iteration.
    pub fn new(f: &Function) -> Dominators {
        let count = f.blocks.len();
        let mut predecessors = vec![vec![]; count];
        for (id, block) in f.blocks.iter() {
            block.end.edges().for_each(|e| predecessors[e.target.index()].push(id.index()));
        }
        let order = reverse_postorder(f);
        let mut position = vec![usize::MAX; count];
        order.iter().enumerate().for_each(|(n, block)| position[*block] = n);
        let mut nearest: Vec<Option<usize>> = vec![None; count];
        nearest[0] = Some(0);
        loop {
            let mut changed = false;
            for &block in order.iter().skip(1) {
                let known = predecessors[block].iter().copied().filter(|p| nearest[*p].is_some());
                let common = known.reduce(|mut a, mut b| {
                    while a != b {
                        let later = if position[a] > position[b] { &mut a } else { &mut b };
                        *later = nearest[*later].expect("a dominator's dominator is known");
                    }
                    a
                });
                changed |= nearest[block] != common;
                nearest[block] = common;
            }
            if !changed {
                let walk = walk(&nearest);
                return Dominators { nearest, walk };
            }
        }
    }

    /// The block, and those that every way to it passes, the nearest first.
    pub fn of(&self, block: BlockId) -> impl Iterator<Item = BlockId> {
        let before = |n: &usize| self.nearest[*n].filter(|next| next != n);
        std::iter::successors(Some(block.index()), before).map(BlockId::new)
    }

    pub fn dominates(&self, a: BlockId, b: BlockId) -> bool {
        if a == b {
            return true;
        }
        let reached = |block: BlockId| self.nearest[block.index()].map(|_| self.walk[block.index()]);
        let (Some((first, last)), Some((at, _))) = (reached(a), reached(b)) else { return false };
        first <= at && at <= last
    }
}

/// Numbers in the order of a walk that meets a block before those that it dominates.
fn walk(nearest: &[Option<usize>]) -> Vec<(usize, usize)> {
    let mut below = vec![vec![]; nearest.len()];
    for (block, before) in nearest.iter().enumerate() {
        if let Some(before) = before.filter(|before| *before != block) {
            below[before].push(block);
        }
    }
    let mut walk = vec![(0, 0); nearest.len()];
    let (mut open, mut number) = (vec![(0, 0)], 0);
    while let Some((block, next)) = open.last_mut() {
        match below[*block].get(*next) {
            Some(&child) => {
                *next += 1;
                number += 1;
                walk[child].0 = number;
                open.push((child, 0));
            }
            None => {
                walk[*block].1 = number;
                open.pop();
            }
        }
    }
    walk
}

fn reverse_postorder(f: &Function) -> Vec<usize> {
    let mut order = vec![];
    let mut seen = vec![false; f.blocks.len()];
    let mut open: Vec<(usize, usize)> = vec![(0, 0)];
    seen[0] = true;
    while let Some((block, next)) = open.last_mut() {
        let edge = f.blocks[BlockId::new(*block)].end.edges().nth(*next);
        *next += 1;
        match edge {
            Some(edge) if !seen[edge.target.index()] => {
                seen[edge.target.index()] = true;
                open.push((edge.target.index(), 0));
            }
            Some(_) => {}
            None => {
                order.push(*block);
                open.pop();
            }
        }
    }
    order.reverse();
    order
}
