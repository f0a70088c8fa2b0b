//! The function over its places: operands become registers or memory, edges' arguments become moves.

use super::{
    Allocated, Location, allocatable, arguments,
    assign::{Places, slot_bytes},
    bundle::is_move,
    is_saved,
    moves::{Move, Parallel, again, copy, load, store},
    scratch,
};
use crate::{
    base::Arena,
    native::x86::{
        function::{Block, BlockId, Edge, End, Function, Level},
        inst::{Access, Base, Class, Inst, Masking, Mem, Op, Operand, Reg, Size},
        rows::{Encodings, Form, Tuple},
    },
};

/// A scratch register of the class is needed, and none is kept back.
pub struct NoScratch(pub Class);

pub fn rewrite(f: &Function, places: &Places) -> Result<Allocated, NoScratch> {
    let mut spills = vec![0; f.blocks.iter().map(|(_, b)| b.depth as usize + 1).max().unwrap_or(1)];
    let mut predecessors = vec![0; f.blocks.len()];
    f.blocks.iter().flat_map(|(_, b)| b.end.edges()).for_each(|e| predecessors[e.target.index()] += 1);
    let mut bodies: Vec<Vec<Inst>> = vec![vec![]; f.blocks.len()];
    for (id, block) in f.blocks.iter() {
        let spills = &mut spills[block.depth as usize];
        if id.index() == 0 {
            let moves = entry_moves(f, places);
            parallel(f, places, &mut bodies[0], spills).run(moves)?;
        }
        for inst in &block.insts {
            let out = &mut bodies[id.index()];
            Rewriter { f, places, out, spills, taken: [0; 3], loaded: vec![] }.inst(inst)?;
        }
    }
    // Behind a block with one successor, before one with one predecessor, and otherwise in a block of its own.
    let mut between: Vec<Vec<(usize, Vec<Inst>)>> = vec![vec![]; f.blocks.len()];
    for (id, block) in f.blocks.iter() {
        for (n, edge) in block.end.edges().enumerate() {
            let spills = &mut spills[block.depth.min(f.blocks[edge.target].depth) as usize];
            let mut out = vec![];
            parallel(f, places, &mut out, spills).run(edge_moves(f, places, edge))?;
            if out.is_empty() {
                continue;
            }
            if matches!(block.end, End::Jump(_)) {
                bodies[id.index()].extend(out);
            } else if predecessors[edge.target.index()] == 1 && edge.target.index() != 0 {
                bodies[edge.target.index()].splice(0..0, out);
            } else {
                between[id.index()].push((n, out));
            }
        }
    }
    let function = Function { blocks: lay_out(f, bodies, between), registers: Default::default(), ..f.clone() };
    let saved = saved(&function);
    Ok(Allocated {
        function,
        frame_bytes: places.frame_bytes,
        frame_align: places.frame_align,
        saved,
        spill_slots: places.spill_slots,
        spill_accesses: spills,
    })
}

/// The blocks in order, those of edges behind the blocks that they leave.
fn lay_out(f: &Function, bodies: Vec<Vec<Inst>>, between: Vec<Vec<(usize, Vec<Inst>)>>) -> Arena<Block> {
    let mut place = vec![];
    let mut next = 0;
    for extra in &between {
        place.push(BlockId::new(next));
        next += 1 + extra.len();
    }
    let mut blocks = Arena::default();
    for (((id, block), insts), extra) in f.blocks.iter().zip(bodies).zip(between) {
        let mut end = block.end.clone();
        let mut own = vec![];
        for (n, edge) in end.edges_mut().enumerate() {
            let target = place[edge.target.index()];
            *edge = Edge { target, args: vec![] };
            if let Some((_, insts)) = extra.iter().find(|(k, _)| *k == n) {
                let jump = End::Jump(Edge { target, args: vec![] });
                let depth = block.depth.min(f.blocks[block.end.edges().nth(n).map_or(id, |e| e.target)].depth);
                own.push(Block { params: vec![], insts: insts.clone(), end: jump, depth, cold: block.cold });
                edge.target = BlockId::new(place[id.index()].index() + own.len());
            }
        }
        blocks.push(Block { params: vec![], insts, end, depth: block.depth, cold: block.cold });
        for block in own {
            blocks.push(block);
        }
    }
    blocks
}

/// The registers that are written and that the caller wants back.
fn saved(function: &Function) -> Vec<Reg> {
    let mut written = vec![];
    for (_, block) in function.blocks.iter() {
        for inst in &block.insts {
            written.extend(inst.def());
        }
    }
    written.retain(|r| is_saved(function.convention, *r));
    written.sort_unstable();
    written.dedup();
    debug_assert!(written.iter().all(|r| allocatable(function.level, function.convention, r.class()).contains(r)));
    written
}

fn parallel<'a>(f: &Function, places: &Places, out: &'a mut Vec<Inst>, spills: &'a mut u32) -> Parallel<'a> {
    Parallel { level: f.level, kept: places.kept, out, spills }
}

/// From where arguments arrive.
fn entry_moves(f: &Function, places: &Places) -> Vec<Move> {
    let params = f.blocks.iter().next().map_or(&[][..], |(_, entry)| &entry.params);
    let read = params.iter().zip(arguments(f.convention)).filter(|(param, _)| is_read(f, **param));
    let moves = read.map(|(param, argument)| Move {
        to: places.get(*param).clone(),
        from: Location::Reg(argument),
        class: Class::Int,
        bytes: 8,
    });
    moves.collect()
}

fn is_read(f: &Function, param: Reg) -> bool {
    f.blocks.iter().any(|(_, block)| {
        let mut read = block.end.edges().any(|e| e.args.contains(&param));
        block.insts.iter().for_each(|i| i.visit(|r, access| read |= r == param && access == Access::Use));
        read
    })
}

fn edge_moves(f: &Function, places: &Places, edge: &Edge) -> Vec<Move> {
    let params = &f.blocks[edge.target].params;
    assert_eq!(params.len(), edge.args.len(), "an edge has an argument for every parameter of its target");
    let moves = params.iter().zip(&edge.args).map(|(param, arg)| Move {
        to: places.get(*param).clone(),
        from: places.get(*arg).clone(),
        class: param.class(),
        bytes: f.bytes(*param).max(f.bytes(*arg)),
    });
    moves.collect()
}

/// One instruction's rewriting.
struct Rewriter<'a> {
    f: &'a Function,
    places: &'a Places,
    out: &'a mut Vec<Inst>,
    spills: &'a mut u32,
    /// For each class, how many scratch registers are in use.
    taken: [usize; 3],
    /// What scratch registers hold.
    loaded: Vec<(Reg, Reg)>,
}

impl Rewriter<'_> {
    fn inst(mut self, source: &Inst) -> Result<(), NoScratch> {
        let result = source.def().filter(|r| r.is_virtual());
        let place = result.map(|r| self.places.get(r));
        if let Some(Location::Again(_)) = place {
            return Ok(());
        }
        let mut inst = source.clone();
        for n in 0..inst.operands.len() {
            if let Operand::Mem(m) | Operand::Splat(m) = &mut inst.operands[n] {
                *m = self.address(*m)?;
            }
        }
        let tied = !inst.ties().is_empty() || matches!(inst.masking, Some(Masking::Merge(..)));
        if let Some(place) = place.filter(|_| tied) {
            let to = match place {
                Location::Reg(r) => *r,
                _ => self.take(result.map_or(Class::Int, Reg::class))?,
            };
            inst.operands[0] = to.into();
            self.tie(&mut inst, to);
        }
        if let Some(Masking::Zero(k) | Masking::Where(k) | Masking::Merge(k, _)) = &mut inst.masking {
            *k = self.register(*k)?;
        }
        let defines = inst.op.row().form.defines();
        for n in usize::from(defines)..inst.operands.len() {
            if let Operand::Reg(r) = inst.operands[n]
                && r.is_virtual()
            {
                inst.operands[n] = self.source(&inst, n, r)?;
            }
        }
        let Some((r, place)) = result.zip(place) else {
            self.push(inst);
            return Ok(());
        };
        match place {
            Location::Reg(to) => {
                inst.operands[0] = (*to).into();
                self.push(inst);
            }
            Location::Slot(_) if self.places.kept[r.class() as usize] == 0 => return Err(NoScratch(r.class())),
            Location::Slot(slot) => {
                // Sources are read before the result is written, so it may be in their scratch register.
                let to = match inst.operands[0] {
                    Operand::Reg(to) if !to.is_virtual() => to,
                    _ => scratch(self.f.level, r.class())[0],
                };
                inst.operands[0] = to.into();
                self.push(inst);
                *self.spills += 1;
                self.out.push(store(*slot, to, self.bytes(r)));
            }
            Location::Again(_) => unreachable!("such a result is not made"),
        }
        Ok(())
    }

    /// Appends an instruction, unless it would do nothing.
    fn push(&mut self, inst: Inst) {
        let whole = inst.op != Op::Mov || inst.size == Size::B8;
        let nothing = is_move(&inst) && inst.operands[0] == inst.operands[1] && whole;
        if !nothing {
            self.out.push(inst);
        }
    }

    /// The bytes of a register's slot.
    fn bytes(&self, r: Reg) -> u32 {
        slot_bytes(r.class(), self.f.bytes(r))
    }

    fn take(&mut self, class: Class) -> Result<Reg, NoScratch> {
        let taken = &mut self.taken[class as usize];
        if *taken == self.places.kept[class as usize] {
            return Err(NoScratch(class));
        }
        *taken += 1;
        Ok(scratch(self.f.level, class)[*taken - 1])
    }

    /// The value of a virtual register in a physical one.
    fn register(&mut self, r: Reg) -> Result<Reg, NoScratch> {
        if !r.is_virtual() {
            return Ok(r);
        }
        match self.places.get(r) {
            Location::Reg(to) => Ok(*to),
            place => {
                if let Some((_, to)) = self.loaded.iter().find(|(of, _)| *of == r) {
                    return Ok(*to);
                }
                let to = self.take(r.class())?;
                self.fill(to, place, r);
                self.loaded.push((r, to));
                Ok(to)
            }
        }
    }

    /// Moves a virtual register's value from its place.
    fn fill(&mut self, to: Reg, place: &Location, r: Reg) {
        match place {
            Location::Reg(from) => self.out.push(copy(to, *from, self.bytes(r))),
            Location::Slot(slot) => {
                *self.spills += 1;
                self.out.push(load(to, *slot, self.bytes(r)));
            }
            Location::Again(inst) => self.out.push(again(inst, to)),
        }
    }

    /// An address of physical registers; it takes at most one scratch register.
    fn address(&mut self, mut m: Mem) -> Result<Mem, NoScratch> {
        let base = if let Base::Reg(r) = m.base { Some(r) } else { None };
        let in_memory = |r: Reg| r.is_virtual() && !matches!(self.places.get(r), Location::Reg(_));
        let both =
            base.zip(m.index).filter(|(base, (index, _))| in_memory(*base) && in_memory(*index) && base != index);
        if let Some((base, (index, scale))) = both {
            let (first, second) = (self.take(Class::Int)?, self.take(Class::Int)?);
            self.fill(first, self.places.get(base), base);
            self.fill(second, self.places.get(index), index);
            let sum = Mem::indexed(first, second, scale, m.disp);
            self.out.push(Inst::new(Op::Lea, Size::B8, [first.into(), sum.into()]));
            self.taken[Class::Int as usize] -= 1;
            return Ok(Mem::new(first, 0));
        }
        if let Some(base) = base {
            m.base = Base::Reg(self.register(base)?);
        }
        if let Some((index, _)) = &mut m.index {
            *index = self.register(*index)?;
        }
        Ok(m)
    }

    /// Puts one of the operands that may be overwritten into the result's register.
    fn tie(&mut self, inst: &mut Inst, to: Reg) {
        if let Some(Masking::Merge(_, old)) = &mut inst.masking {
            let place = self.places.get(*old).clone();
            if place != Location::Reg(to) {
                self.fill(to, &place, *old);
            }
            *old = to;
            return;
        }
        let candidates = inst.ties().iter().filter_map(|&t| match inst.operands[t] {
            Operand::Reg(r) => Some((t, r)),
            _ => None,
        });
        let candidates: Vec<(usize, Reg)> = candidates.collect();
        let there = |(_, r): &&(usize, Reg)| match r.is_virtual() {
            true => *self.places.get(*r) == Location::Reg(to),
            false => *r == to,
        };
        if let Some((t, _)) = candidates.iter().find(there) {
            inst.operands[*t] = to.into();
            return;
        }
        let (t, r) = candidates[0];
        let place = if r.is_virtual() { self.places.get(r).clone() } else { Location::Reg(r) };
        self.fill(to, &place, r);
        inst.operands[t] = to.into();
    }

    /// A source operand: a register, or memory or an immediate where the instruction can.
    fn source(&mut self, inst: &Inst, n: usize, r: Reg) -> Result<Operand, NoScratch> {
        let row = inst.op.row();
        let other_memory = inst.operands.iter().any(|o| matches!(o, Operand::Mem(_) | Operand::Splat(_)));
        let divides = matches!(row.form, Form::Divide(_));
        let can_be_memory = row.form.memory().contains(&n) && row.tuple != Tuple::None && (divides || !other_memory);
        let needed = inst.memory_bytes();
        Ok(match self.places.get(r) {
            Location::Slot(slot) if can_be_memory && needed <= self.bytes(r) => {
                *self.spills += 1;
                Operand::Mem(Mem::new(Reg::RSP, *slot))
            }
            Location::Again(made) => match made.operands.get(1) {
                Some(Operand::Imm(value)) if row.form.immediate() == Some(n) && i32::try_from(*value).is_ok() => {
                    Operand::Imm(*value)
                }
                Some(Operand::Mem(m)) if can_be_memory && is_load(made) && needed <= made.memory_bytes() => {
                    Operand::Mem(*m)
                }
                Some(Operand::Mem(m)) if can_be_memory && self.splats(inst, made) => Operand::Splat(*m),
                _ => self.register(r)?.into(),
            },
            _ => self.register(r)?.into(),
        })
    }

    /// Whether the instruction reads one element in every lane just as the other one makes it.
    fn splats(&self, inst: &Inst, made: &Inst) -> bool {
        let row = inst.op.row();
        let element = match made.op {
            Op::Broadcastss | Op::Pbroadcastd => 4,
            Op::Broadcastsd | Op::Pbroadcastq => 8,
            _ => return false,
        };
        let evex = matches!(row.encodings, Encodings::Evex | Encodings::Both);
        evex && self.f.level >= Level::Avx512
            && matches!(row.tuple, Tuple::Full(e) | Tuple::Half(e) if e == element)
            && inst.size <= made.size
    }
}

/// Whether an instruction only copies memory.
fn is_load(inst: &Inst) -> bool {
    use Op::*;
    matches!(inst.op, Movups | Movaps | Movupd | Movdqu32 | Movdqu64 | MovssLoad | MovsdLoad | MovqLoad)
}
