//! Where virtual registers are live.
//!
//! Blocks and instructions are numbered in order. At number n, sources are read at 2n and results written at 2n + 1; a
//! block's start and end have numbers of their own, at which parameters are written and edges' arguments are read.

use crate::native::x86::{
    function::{BlockId, Function},
    inst::{Access, Base, Class, Inst, Masking, Mem, Operand, Reg},
};

/// Disjoint, ascending, none next to another: `from..to`.
pub type Range = Vec<(u32, u32)>;

pub struct Ranges {
    /// For each class, the index of its first virtual register.
    pub first: [usize; 3],
    pub of: Vec<Range>,
    /// The numbers of each block's start and end.
    pub blocks: Vec<(u32, u32)>,
}

/// Calls `f` with every register that an instruction reads, and whether it is read after the result may have been
/// written: an instruction that overwrites an operand may need that operand moved into the result's register first.
fn sources(inst: &Inst, mut f: impl FnMut(Reg, bool)) {
    let defines = inst.def().is_some();
    let ties = inst.ties();
    let merges = matches!(inst.masking, Some(Masking::Merge(..)));
    let tied = !ties.is_empty() || merges;
    let mut address = |m: &Mem| {
        if let Base::Reg(r) = m.base {
            f(r, tied);
        }
        if let Some((r, _)) = m.index {
            f(r, tied);
        }
    };
    for operand in &inst.operands {
        if let Operand::Mem(m) | Operand::Splat(m) = operand {
            address(m);
        }
    }
    for (n, operand) in inst.operands.iter().enumerate().skip(usize::from(defines)) {
        if let Operand::Reg(r) = operand {
            f(*r, tied && !ties.contains(&n));
        }
    }
    match inst.masking {
        Some(Masking::Merge(k, old)) => {
            f(k, true);
            f(old, false);
        }
        Some(masking) => f(masking.mask(), tied),
        None => {}
    }
}

impl Ranges {
    pub fn new(f: &Function) -> Ranges {
        let counts = [0, 1, 2].map(|class| f.registers[class].len());
        let first = [0, counts[0], counts[0] + counts[1]];
        let mut ranges = Ranges { first, of: vec![vec![]; counts.iter().sum()], blocks: vec![] };
        let mut number = 0;
        for (_, block) in f.blocks.iter() {
            let end = number + block.insts.len() as u32 + 1;
            ranges.blocks.push((number, end));
            number = end + 1;
        }
        let live_out = ranges.live_out(f);
        for id in f.blocks.ids().rev() {
            ranges.add_block(f, id, &live_out[id.index()]);
        }
        ranges.of.iter_mut().for_each(|range| range.reverse());
        ranges
    }

    /// The dense index of a virtual register.
    pub fn index(&self, r: Reg) -> usize {
        self.first[r.class() as usize] + r.number() as usize
    }
    pub fn register(&self, index: usize) -> Reg {
        let class = [Class::Mask, Class::Vec, Class::Int].into_iter().find(|c| index >= self.first[*c as usize]);
        let class = class.expect("the first class starts at 0");
        Reg::virt(class, (index - self.first[class as usize]) as u32)
    }

    /// Whether the register of an index is live at a point.
    pub fn is_live(&self, n: usize, at: u32) -> bool {
        let range = &self.of[n];
        let next = range.partition_point(|(_, to)| *to <= at);
        range.get(next).is_some_and(|(from, _)| *from <= at)
    }

    /// For each block, the registers that its successors read.
    fn live_out(&self, f: &Function) -> Vec<Set> {
        let size = self.of.len();
        let mut reads = vec![];
        let mut writes = vec![];
        for (_, block) in f.blocks.iter() {
            let (mut read, mut written) = (Set::new(size), Set::new(size));
            block.params.iter().for_each(|r| written.insert(self.index(*r)));
            for inst in &block.insts {
                inst.visit(|r, access| {
                    let is_virtual = r.is_virtual();
                    match access {
                        Access::Use if is_virtual && !written.contains(self.index(r)) => read.insert(self.index(r)),
                        Access::Def if is_virtual => written.insert(self.index(r)),
                        _ => {}
                    }
                });
            }
            for r in block.end.edges().flat_map(|e| &e.args).filter(|r| !written.contains(self.index(**r))) {
                read.insert(self.index(*r));
            }
            reads.push(read);
            writes.push(written);
        }
        let mut live_in = reads;
        let mut live_out = vec![Set::new(size); f.blocks.len()];
        loop {
            let mut changed = false;
            for id in f.blocks.ids().rev() {
                let n = id.index();
                for edge in f.blocks[id].end.edges() {
                    changed |= live_out[n].add_all(&live_in[edge.target.index()]);
                }
                let through = live_out[n].without(&writes[n]);
                changed |= live_in[n].add_all(&through);
            }
            if !changed {
                return live_out;
            }
        }
    }

    /// Adds a block's part to the ranges, which are built from their ends.
    fn add_block(&mut self, f: &Function, id: BlockId, live_out: &Set) {
        let block = &f.blocks[id];
        let (start, end) = self.blocks[id.index()];
        for n in live_out.iter() {
            self.extend(n, 2 * start, 2 * end + 2);
        }
        for r in block.end.edges().flat_map(|e| &e.args) {
            self.extend(self.index(*r), 2 * start, 2 * end + 1);
        }
        for (n, inst) in block.insts.iter().enumerate().rev() {
            let number = start + 1 + n as u32;
            if let Some(r) = inst.def().filter(|r| r.is_virtual()) {
                self.write(self.index(r), 2 * number + 1);
            }
            sources(inst, |r, late| {
                if r.is_virtual() {
                    self.extend(self.index(r), 2 * start, 2 * number + 1 + u32::from(late));
                }
            });
        }
        for r in &block.params {
            self.write(self.index(*r), 2 * start + 1);
        }
    }

    fn extend(&mut self, n: usize, from: u32, to: u32) {
        match self.of[n].last_mut() {
            Some(last) if to >= last.0 => {
                last.0 = from.min(last.0);
                last.1 = to.max(last.1);
            }
            _ => self.of[n].push((from, to)),
        }
    }

    /// Cuts the range where the register is written; what nobody reads is live for a moment.
    fn write(&mut self, n: usize, at: u32) {
        match self.of[n].last_mut() {
            Some(last) if last.0 <= at => last.0 = at,
            _ => self.of[n].push((at, at + 1)),
        }
    }
}

pub fn meet(a: &Range, b: &Range) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].1 <= b[j].0 {
            i += 1;
        } else if b[j].1 <= a[i].0 {
            j += 1;
        } else {
            return true;
        }
    }
    false
}

/// The union of ranges that do not meet.
pub fn join(a: &Range, b: &Range) -> Range {
    let mut all: Range = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    let mut joined: Range = Vec::with_capacity(all.len());
    for (from, to) in all {
        match joined.last_mut() {
            Some(last) if last.1 >= from => last.1 = to.max(last.1),
            _ => joined.push((from, to)),
        }
    }
    joined
}

#[derive(Clone)]
struct Set(Vec<u64>);

impl Set {
    fn new(size: usize) -> Set {
        Set(vec![0; size.div_ceil(64)])
    }
    fn insert(&mut self, n: usize) {
        self.0[n / 64] |= 1 << (n % 64);
    }
    fn contains(&self, n: usize) -> bool {
        self.0[n / 64] >> (n % 64) & 1 != 0
    }
    /// Whether that added anything.
    fn add_all(&mut self, other: &Set) -> bool {
        let mut changed = false;
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            changed |= b & !*a != 0;
            *a |= b;
        }
        changed
    }
    fn without(&self, other: &Set) -> Set {
        Set(self.0.iter().zip(&other.0).map(|(a, b)| a & !b).collect())
    }
    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(n, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    64 * n + bit
                })
            })
        })
    }
}
