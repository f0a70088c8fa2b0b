//! Virtual registers that share a place, because a move between them is saved by it.

use std::collections::HashSet;

use super::ranges::{Range, Ranges, join, meet};
use crate::native::x86::{
    function::{Block, Function},
    inst::{Access, Base, Class, Inst, Masking, Op, Operand, Reg},
    rows::Form,
};

#[derive(Clone, Debug)]
pub struct Bundle {
    pub class: Class,
    pub range: Range,
    /// What it is worth to have a register: accesses, by loop depth, per length.
    pub weight: f32,
    /// The most bytes of its values.
    pub bytes: u32,
    /// Makes the value without any register, when the bundle has only that one.
    pub again: Option<Inst>,
    /// A physical register that would save a move.
    pub hint: Option<Reg>,
    /// A bundle whose register would save a move.
    pub near: Option<usize>,
}

pub struct Bundles {
    pub all: Vec<Bundle>,
    /// For each virtual register its bundle; for one that never occurs none.
    pub of: Vec<Option<usize>>,
}

/// How often a block runs, for all that is known.
fn frequency(block: &Block) -> f32 {
    if block.cold { 0.01 } else { 10f32.powi(block.depth.min(8) as i32) }
}

/// Registers, by index, that want one place; the first pair that is possible is enough.
type Wish = (f32, Vec<(usize, usize)>);

/// The bundles of a function; the parameters `apart` are in none with their arguments.
pub fn coalesce(f: &Function, ranges: &Ranges, apart: &HashSet<Reg>) -> Bundles {
    let mut groups = Groups { parent: (0..ranges.of.len()).collect(), ranges: ranges.of.clone() };
    for (_, pairs) in wishes(f, ranges, apart) {
        for (a, b) in pairs {
            if groups.unite(a, b) {
                break;
            }
        }
    }
    let mut bundles = Bundles { all: vec![], of: vec![None; ranges.of.len()] };
    for n in 0..ranges.of.len() {
        let root = groups.root(n);
        if groups.ranges[root].is_empty() {
            continue;
        }
        let r = ranges.register(n);
        let bundle = *bundles.of[root].get_or_insert_with(|| {
            let range = std::mem::take(&mut groups.ranges[root]);
            // The root's range is not asked for again, but stays known as one that is not empty.
            groups.ranges[root].push((0, 0));
            let bundle = Bundle { class: r.class(), range, weight: 0.0, bytes: 0, again: None, hint: None, near: None };
            bundles.all.push(bundle);
            bundles.all.len() - 1
        });
        bundles.of[n] = Some(bundle);
        bundles.all[bundle].bytes = bundles.all[bundle].bytes.max(f.bytes(r));
    }
    weigh(f, ranges, &mut bundles);
    for edge in f.blocks.iter().flat_map(|(_, block)| block.end.edges()) {
        for (param, arg) in f.blocks[edge.target].params.iter().zip(&edge.args).filter(|(p, _)| apart.contains(p)) {
            if let [Some(n), near] = [param, arg].map(|r| bundles.of[ranges.index(*r)]) {
                bundles.all[n].near = near;
            }
        }
    }
    bundles
}

/// What would save a move, most often run first.
fn wishes(f: &Function, ranges: &Ranges, apart: &HashSet<Reg>) -> Vec<Wish> {
    let mut wishes: Vec<Wish> = vec![];
    let index = |o: &Operand| match o {
        Operand::Reg(r) if r.is_virtual() => Some(ranges.index(*r)),
        _ => None,
    };
    for (_, block) in f.blocks.iter() {
        let often = frequency(block);
        for edge in block.end.edges() {
            let params = &f.blocks[edge.target].params;
            // A little more than a tied operand: a move on an edge may need a block of its own.
            let together = params.iter().zip(&edge.args).filter(|(p, _)| !apart.contains(p));
            wishes.extend(together.map(|(p, a)| (1.5 * often, vec![(ranges.index(*p), ranges.index(*a))])));
        }
        for inst in &block.insts {
            let Some(def) = inst.operands.first().and_then(index) else { continue };
            let mut pairs: Vec<_> = match inst.masking {
                Some(Masking::Merge(_, old)) => vec![(def, ranges.index(old))],
                _ if is_move(inst) => index(&inst.operands[1]).map(|source| (def, source)).into_iter().collect(),
                _ => inst.ties().iter().filter_map(|&t| index(&inst.operands[t])).map(|t| (def, t)).collect(),
            };
            pairs.retain(|(a, b)| a != b);
            if !pairs.is_empty() {
                wishes.push((often, pairs));
            }
        }
    }
    wishes.sort_by(|a, b| b.0.total_cmp(&a.0));
    wishes
}

/// Whether an instruction only copies a register.
pub fn is_move(inst: &Inst) -> bool {
    let of_registers = matches!(inst.operands[..], [Operand::Reg(_), Operand::Reg(_)]) && inst.masking.is_none();
    of_registers && matches!(inst.op, Op::Movaps | Op::Movups | Op::Kmovq | Op::Mov)
}

/// Weighs the bundles, and finds those that can be made again and those that arrive in a register.
fn weigh(f: &Function, ranges: &Ranges, bundles: &mut Bundles) {
    let mut definitions = vec![0; bundles.all.len()];
    let mut fixed = vec![false; bundles.all.len()];
    let Bundles { all, of } = bundles;
    let bundle = |r: Reg| if r.is_virtual() { of[ranges.index(r)] } else { None };
    for (_, block) in f.blocks.iter() {
        let often = frequency(block);
        for n in block.params.iter().filter_map(|r| bundle(*r)) {
            definitions[n] += 1;
            fixed[n] = true;
        }
        for inst in &block.insts {
            inst.visit(|r, access| {
                let Some(n) = bundle(r) else { return };
                all[n].weight += often;
                if access == Access::Def {
                    definitions[n] += 1;
                    all[n].again = Some(inst.clone());
                }
                // Divisions have no scratch register to make a value in.
                fixed[n] |= matches!(inst.op.row().form, Form::Divide(_));
            });
        }
        for n in block.end.edges().flat_map(|e| &e.args).filter_map(|r| bundle(*r)) {
            all[n].weight += often;
        }
    }
    for (n, bundle) in all.iter_mut().enumerate() {
        let length: u32 = bundle.range.iter().map(|(from, to)| to - from).sum();
        bundle.weight /= length as f32;
        bundle.again = bundle.again.take().filter(|i| definitions[n] == 1 && !fixed[n] && can_repeat(i));
        if bundle.again.is_some() {
            bundle.weight *= 0.5;
        }
    }
    let arguments = super::arguments(f.convention);
    if let Some((_, entry)) = f.blocks.iter().next() {
        for (param, argument) in entry.params.iter().zip(arguments) {
            if let Some(n) = of[ranges.index(*param)] {
                all[n].hint = Some(argument);
            }
        }
    }
}

/// Whether an instruction makes its result from nothing but constants.
pub fn can_repeat(inst: &Inst) -> bool {
    let constant = |o: &Operand| match o {
        Operand::Imm(_) => true,
        Operand::Mem(m) => matches!(m.base, Base::Pool(_)),
        _ => false,
    };
    let form = matches!(inst.op.row().form, Form::Rm | Form::Mov | Form::Same | Form::Lea);
    form && inst.masking.is_none() && inst.operands[1..].iter().all(constant)
}

/// Sets of registers, with the ranges of the sets.
struct Groups {
    parent: Vec<usize>,
    ranges: Vec<Range>,
}

impl Groups {
    fn root(&mut self, n: usize) -> usize {
        let mut root = n;
        while self.parent[root] != root {
            self.parent[root] = self.parent[self.parent[root]];
            root = self.parent[root];
        }
        root
    }
    /// Whether the two are in one set now.
    fn unite(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return true;
        }
        if meet(&self.ranges[a], &self.ranges[b]) {
            return false;
        }
        let (one, other) = (std::mem::take(&mut self.ranges[a]), std::mem::take(&mut self.ranges[b]));
        self.ranges[a] = join(&one, &other);
        self.parent[b] = a;
        true
    }
}
