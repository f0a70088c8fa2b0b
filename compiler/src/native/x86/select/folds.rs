//! What makes no instruction of its own: constants, addresses, loads with one user, comparisons that become a branch's
//! or a choice's flags, comparisons that an extremum has inside. Whatever nothing uses is not even looked at.
//!
//! An instruction is folded only when its users stand in its block and, for loads, when no store comes between: then
//! computing it at the user's place gives the same value.

use std::collections::{HashMap, HashSet};

use cranelift_codegen::ir::{
    self, Block, Function, Inst, InstructionData, Opcode, Value, ValueDef,
    condcodes::{FloatCC, IntCC},
    types,
};

use crate::native::intrinsic::Intrinsic;

/// The greater or the less of two values, as the machine chooses it.
#[derive(Clone, Copy, Debug)]
pub struct Extremum {
    pub max: bool,
    pub unsigned: bool,
    /// For floats: the second when neither is better or one is NaN.
    pub values: (Value, Value),
}

/// From so many users on a sum of values that no loop counts is an instruction.
const SHARED: u32 = 3;

/// Decisions about a function.
pub struct Folds {
    uses: HashMap<Value, u32>,
    live: HashSet<Inst>,
    folded: HashSet<Inst>,
    pub extrema: HashMap<Inst, Extremum>,
}

/// Where an instruction's code lies: its block, and how many stores are before it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    block: Block,
    stores: u32,
}

/// The instruction that computes a value, if one does.
pub fn definition(f: &Function, v: Value) -> Option<Inst> {
    match f.dfg.value_def(f.dfg.resolve_aliases(v)) {
        ValueDef::Result(inst, _) => Some(inst),
        _ => None,
    }
}

/// The constant that an integer is.
pub fn constant(f: &Function, v: Value) -> Option<i64> {
    let inst = definition(f, v)?;
    match f.dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => {
            let bits = f.dfg.value_type(v).bits();
            Some(imm.bits() << (64 - bits) >> (64 - bits))
        }
        _ => None,
    }
}

/// The intrinsic that an instruction calls.
pub fn intrinsic(f: &Function, inst: Inst) -> Option<Intrinsic> {
    let InstructionData::Call { func_ref, .. } = f.dfg.insts[inst] else { return None };
    let ir::ExternalName::User(name) = f.dfg.ext_funcs[func_ref].name else { return None };
    let name = &f.params.user_named_funcs()[name];
    (name.namespace == crate::native::intrinsic::INTRINSICS).then(|| Intrinsic::of(name.index)).flatten()
}

/// Whether two values are one, or equal constants.
fn same(f: &Function, a: Value, b: Value) -> bool {
    if a == b {
        return true;
    }
    let data = |v: Value| definition(f, v).map(|inst| f.dfg.insts[inst]).filter(|d| is_constant(d.opcode()));
    data(a).is_some() && f.dfg.value_type(a) == f.dfg.value_type(b) && data(a) == data(b)
}

fn is_constant(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Iconst | Opcode::F32const | Opcode::F64const | Opcode::Vconst)
}

impl Folds {
    pub fn new(f: &Function) -> Folds {
        let mut folds =
            Folds { uses: HashMap::new(), live: HashSet::new(), folded: HashSet::new(), extrema: HashMap::new() };
        let blocks: Vec<Block> = f.layout.blocks().collect();
        for &block in blocks.iter().rev() {
            for inst in f.layout.block_insts(block).collect::<Vec<_>>().into_iter().rev() {
                folds.count(f, inst);
            }
        }
        let places = folds.places(f, &blocks);
        let mut decide = Decide { f, folds: &mut folds, places, addressed: HashMap::new() };
        for &block in blocks.iter().rev() {
            for inst in f.layout.block_insts(block).collect::<Vec<_>>().into_iter().rev() {
                if decide.folds.live.contains(&inst) {
                    decide.inst(inst);
                }
            }
        }
        folds
    }

    /// Notes what an instruction uses, unless nothing uses it. Users come first.
    fn count(&mut self, f: &Function, inst: Inst) {
        let opcode = f.dfg.insts[inst].opcode();
        let pure = !opcode.is_terminator() && !opcode.can_store() && !opcode.is_call()
            || intrinsic(f, inst).is_some_and(Intrinsic::is_pure);
        if pure && f.dfg.inst_results(inst).iter().all(|r| self.uses(f, *r) == 0) {
            return;
        }
        self.live.insert(inst);
        for value in f.dfg.inst_values(inst) {
            *self.uses.entry(f.dfg.resolve_aliases(value)).or_default() += 1;
        }
    }

    fn places(&self, f: &Function, blocks: &[Block]) -> HashMap<Inst, Place> {
        let mut places = HashMap::new();
        for &block in blocks {
            let mut stores = 0;
            for inst in f.layout.block_insts(block) {
                places.insert(inst, Place { block, stores });
                let stored =
                    f.dfg.insts[inst].opcode().can_store() || intrinsic(f, inst).is_some_and(Intrinsic::stores);
                stores += u32::from(stored);
            }
        }
        places
    }

    pub fn uses(&self, f: &Function, v: Value) -> u32 {
        self.uses.get(&f.dfg.resolve_aliases(v)).copied().unwrap_or(0)
    }
    pub fn is_live(&self, inst: Inst) -> bool {
        self.live.contains(&inst)
    }
    pub fn is_folded(&self, inst: Inst) -> bool {
        self.folded.contains(&inst)
    }
}

struct Decide<'a> {
    f: &'a Function,
    folds: &'a mut Folds,
    /// Where each instruction's code lies; a folded one's lies where its user's does.
    places: HashMap<Inst, Place>,
    /// How often a value is an address in its own block.
    addressed: HashMap<Value, u32>,
}

impl Decide<'_> {
    /// Decides about an instruction, whose users are decided about, and about comparisons and loads inside it.
    fn inst(&mut self, inst: Inst) {
        let f = self.f;
        let data = &f.dfg.insts[inst];
        let opcode = data.opcode();
        if is_constant(opcode) || self.is_address(inst) {
            self.folds.folded.insert(inst);
        }
        match data {
            InstructionData::Brif { arg, .. } => self.flags(inst, *arg),
            InstructionData::Ternary { opcode: Opcode::Select | Opcode::Bitselect, args } => {
                match self.extremum(inst, *args) {
                    Some(()) => {}
                    None if opcode == Opcode::Select => self.flags(inst, args[0]),
                    None => {}
                }
            }
            InstructionData::Load { arg, .. } => self.address(inst, *arg),
            InstructionData::Store { args, .. } => self.address(inst, args[1]),
            InstructionData::Call { .. } => {
                let args = f.dfg.inst_args(inst);
                if let Some(n) = intrinsic(f, inst).and_then(|i| i.pointer(args.len())) {
                    self.address(inst, args[n]);
                }
            }
            _ => {}
        }
        if self.folds.is_folded(inst) && opcode == Opcode::Iadd {
            let args = f.dfg.inst_args(inst);
            let displaced = constant(f, args[1]).is_some();
            for &arg in args {
                self.address_part(inst, arg, displaced);
            }
        }
        self.load_inside(inst);
    }

    fn same_block(&self, a: Inst, b: Inst) -> bool {
        self.places[&a].block == self.places[&b].block
    }

    /// A comparison with one user becomes that user's flags.
    fn flags(&mut self, user: Inst, condition: Value) {
        let Some(inst) = definition(self.f, condition) else { return };
        let compares = matches!(self.f.dfg.insts[inst].opcode(), Opcode::Icmp | Opcode::Fcmp);
        if compares && self.folds.uses(self.f, condition) == 1 && self.same_block(inst, user) {
            self.fold_into(inst, user);
        }
    }

    fn fold_into(&mut self, inst: Inst, user: Inst) {
        self.folds.folded.insert(inst);
        let place = self.places[&user];
        self.places.insert(inst, place);
    }

    /// A choice by a comparison of the same two values, where that is what the machine's min or max does.
    fn extremum(&mut self, inst: Inst, [mask, yes, no]: [Value; 3]) -> Option<()> {
        let f = self.f;
        let ty = f.dfg.value_type(yes);
        // Masks of floats pass through a cast.
        let mut casts = vec![];
        let mut compare = definition(f, mask)?;
        while let InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } = f.dfg.insts[compare] {
            casts.push(compare);
            compare = definition(f, arg)?;
        }
        let resolve = |v: Value| f.dfg.resolve_aliases(v);
        let (yes, no) = (resolve(yes), resolve(no));
        let (max, unsigned, a, b) = match f.dfg.insts[compare] {
            InstructionData::FloatCompare { args, cond, .. } => {
                let max = match cond {
                    FloatCC::LessThan => false,
                    FloatCC::GreaterThan => true,
                    _ => return None,
                };
                (max, false, resolve(args[0]), resolve(args[1]))
            }
            InstructionData::IntCompare { args, cond, .. } if ty.is_vector() => {
                let (max, unsigned) = match cond {
                    IntCC::SignedLessThan => (false, false),
                    IntCC::SignedGreaterThan => (true, false),
                    IntCC::UnsignedLessThan => (false, true),
                    IntCC::UnsignedGreaterThan => (true, true),
                    _ => return None,
                };
                (max, unsigned, resolve(args[0]), resolve(args[1]))
            }
            _ => return None,
        };
        if f.dfg.value_type(a) != ty {
            return None;
        }
        // `a < b ? a : b` is min(a, b), `a < b ? b : a` is max(b, a), and so on.
        let max = match () {
            () if same(f, yes, a) && same(f, no, b) => max,
            () if same(f, yes, b) && same(f, no, a) => !max,
            () => return None,
        };
        self.folds.extrema.insert(inst, Extremum { max, unsigned, values: (yes, no) });
        let chain = casts.iter().chain([&compare]);
        let only = |i: &Inst| self.folds.uses(f, f.dfg.first_result(*i)) == 1;
        if chain.clone().all(only) && self.same_block(compare, inst) {
            for part in chain {
                self.folds.live.remove(part);
            }
            // The comparison does not read them any more.
            for v in [a, b] {
                self.folds.uses.entry(v).and_modify(|n| *n -= 1);
            }
        }
        // Otherwise the comparison stays, for the others that use it; this one does not.
        Some(())
    }

    /// Notes a value that is used as an address.
    fn address(&mut self, user: Inst, pointer: Value) {
        if let Some(inst) = definition(self.f, pointer)
            && self.same_block(inst, user)
        {
            *self.addressed.entry(self.f.dfg.resolve_aliases(pointer)).or_default() += 1;
        }
    }

    /// Notes a part of a folded address that may be folded itself: a sum with a constant, any sum that only a constant
    /// is added to, or a small multiple.
    fn address_part(&mut self, user: Inst, part: Value, displaced: bool) {
        let Some(inst) = definition(self.f, part) else { return };
        let args = self.f.dfg.inst_args(inst);
        let simple = match self.f.dfg.insts[inst].opcode() {
            Opcode::Iadd => displaced || constant(self.f, args[1]).is_some(),
            Opcode::Ishl => constant(self.f, args[1]).is_some_and(|n| (1..=3).contains(&n)),
            _ => false,
        };
        if simple && self.same_block(inst, user) {
            *self.addressed.entry(self.f.dfg.resolve_aliases(part)).or_default() += 1;
        }
    }

    /// Whether all users of a sum or multiple are addresses.
    fn is_address(&self, inst: Inst) -> bool {
        let f = self.f;
        if !matches!(f.dfg.insts[inst].opcode(), Opcode::Iadd | Opcode::Ishl) {
            return false;
        }
        let value = f.dfg.first_result(inst);
        let uses = self.folds.uses(f, value);
        let all = f.dfg.value_type(value) == types::I64 && self.addressed.get(&value) == Some(&uses);
        all && !(uses >= SHARED && self.is_fixed_sum(inst))
    }

    /// Whether it adds two values neither of which a loop counts: computed once it takes one register instead of two.
    fn is_fixed_sum(&self, inst: Inst) -> bool {
        let f = self.f;
        let counted = |v: &Value| matches!(f.dfg.value_def(f.dfg.resolve_aliases(*v)), ValueDef::Param(..));
        let args = f.dfg.inst_args(inst);
        f.dfg.insts[inst].opcode() == Opcode::Iadd
            && constant(f, args[1]).is_none()
            && !args.iter().any(|v| counted(v) && f.layout.entry_block() != f.layout.inst_block(inst))
    }

    /// A load with one user that takes memory as an operand.
    fn load_inside(&mut self, user: Inst) {
        let f = self.f;
        let opcode = f.dfg.insts[user].opcode();
        let args = f.dfg.inst_args(user);
        if self.folds.is_folded(user) && !matches!(opcode, Opcode::Icmp | Opcode::Fcmp) {
            return;
        }
        let candidates: &[usize] = match opcode {
            _ if self.folds.extrema.contains_key(&user) => match self.folds.extrema[&user].values {
                (_, second) if f.dfg.resolve_aliases(args[2]) == second => &[2],
                _ => &[1],
            },
            Opcode::Fadd | Opcode::Fmul | Opcode::Iadd | Opcode::Imul | Opcode::Band | Opcode::Bor | Opcode::Bxor => {
                &[1, 0]
            }
            Opcode::Fsub | Opcode::Fdiv | Opcode::Isub | Opcode::Fcmp => &[1],
            Opcode::Icmp => &[1],
            Opcode::Fma => &[1, 0, 2],
            Opcode::Splat | Opcode::Uextend | Opcode::Sextend => &[0],
            _ => &[],
        };
        let place = self.places[&user];
        for &n in candidates {
            let Some(inst) = definition(f, args[n]) else { continue };
            let ty = f.dfg.value_type(args[n]);
            let fits = ty.bits() >= 32 || matches!(opcode, Opcode::Splat | Opcode::Uextend | Opcode::Sextend);
            let narrow = ty.is_vector() && ty.bytes() < 16;
            let loads = f.dfg.insts[inst].opcode() == Opcode::Load;
            if loads && fits && !narrow && self.folds.uses(f, args[n]) == 1 && self.places[&inst] == place {
                self.fold_into(inst, user);
                return;
            }
        }
    }
}
