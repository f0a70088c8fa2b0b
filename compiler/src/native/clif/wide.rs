//! Running a vector loop by lanes: its partial results, the copies of its body, and the lanes of its last iteration.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use cranelift_codegen::ir::{
    AbiParam, ConstantData, ExtFuncData, ExternalName, InstBuilder, Signature, Type, UserExternalName, Value, types,
};

use super::{
    address::Key,
    expr::{Operand, Operation},
    kernel::Lower,
    lanes::Lanes,
    local::Registers,
};
use crate::{
    loops::{BinaryFn, LocalId, LoopKind, Stmt, TABLE, VarId},
    native::intrinsic::{INTRINSICS, Intrinsic},
};

/// The vector loop that is being run by lanes.
pub(super) struct Wide {
    pub var: VarId,
    pub width: usize,
    pub lane_bytes: usize,
    pub part: Part,
    pub private: HashSet<LocalId>,
    /// Of each copy of the body, so that one need not wait for the other.
    pub partials: HashMap<LocalId, Vec<Registers>>,
    /// Which copy of the body is being written.
    pub copy: usize,
}

impl Wide {
    /// Without locals.
    fn new(var: VarId, lanes: &Lanes, part: Part) -> Wide {
        let (private, partials) = (HashSet::new(), HashMap::new());
        Wide { var, width: lanes.width, lane_bytes: lanes.lane_bytes, part, private, partials, copy: 0 }
    }
}

/// Partial results that a loop keeps at a time, to hide how long an operation takes.
const PARTIALS: usize = 4;
/// The same where there are more than 16 registers; a maximum that heeds NaN takes two operations, one behind the other.
const MORE_PARTIALS: usize = 8;
/// Copies of other bodies, so that the machine has two to work on, and counts half as often.
const COPIES: usize = 2;

/// A body of at least so many operations has enough to do beside a sum.
const LONG: usize = 16;

/// Which lanes of an iteration there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    All,
    First(i64),
    /// As many as the value says.
    Some(Value),
}

impl Lower<'_, '_> {
    /// How a loop runs by lanes, if it does; inside of lanes nothing does again.
    pub fn lanes(&self, var: VarId, kind: LoopKind) -> Option<Rc<Lanes>> {
        if self.wide.is_some() || kind != LoopKind::Vector {
            return None;
        }
        self.analysis.lanes.get(&var).cloned()
    }

    /// Runs `f`, in which `var` stands for the first lane.
    pub fn by_lanes(&mut self, var: VarId, lanes: &Lanes, copies: usize, f: impl FnOnce(&mut Self)) {
        let mut partials = HashMap::new();
        for (local, g) in &lanes.outer {
            let all: Vec<_> = (0..copies).map(|_| self.start_partials(*local, *g, lanes.width)).collect();
            partials.insert(*local, all);
        }
        let private = lanes.private.clone();
        self.wide = Some(Wide { private, partials, ..Wide::new(var, lanes, Part::All) });
        let mut shared = vec![];
        for local in self.k.locals.ids().filter(|l| lanes.private.contains(l)) {
            let ty = self.lane_type(self.k.locals[local].dtype);
            let own = self.fresh_registers(&self.k.locals[local], ty);
            shared.push((local, std::mem::replace(&mut self.locals[local.index()], own)));
        }
        f(self);
        for (local, registers) in shared {
            self.locals[local.index()] = registers;
        }
        let Some(wide) = self.wide.take() else { unreachable!("nothing else ends it") };
        for (local, g) in &lanes.outer {
            self.end_partials(*local, *g, lanes.width, &wide.partials[local]);
        }
    }

    /// How many copies of its body a vector loop of so many iterations, if that is known, should have: as many as it
    /// takes to keep some partial results, or two.
    pub fn copies(&self, lanes: &Lanes, iterations: Option<i64>, body: &[Stmt]) -> usize {
        let straight = !body.iter().any(|s| matches!(s, Stmt::For { .. }));
        if !lanes.masked || !straight {
            return 1;
        }
        let size = |(local, _): &(LocalId, BinaryFn)| self.k.locals[*local].shape.iter().product::<usize>();
        let elements: usize = lanes.outer.iter().map(size).sum();
        let vectors = iterations.map(|n| n as usize / lanes.width);
        let copies = match elements {
            0 => COPIES,
            _ if self.operations(body) >= LONG => COPIES / elements,
            _ => self.partials(vectors) / elements,
        };
        copies.min(vectors.unwrap_or(PARTIALS)).max(1)
    }

    /// Partial results of a loop over so many vectors, if that is known: few are left over at its end.
    fn partials(&self, vectors: Option<usize>) -> usize {
        let most = if self.info.registers > 16 { MORE_PARTIALS } else { PARTIALS };
        vectors.and_then(|n| (PARTIALS..=most).rev().min_by_key(|partials| n % partials)).unwrap_or(PARTIALS)
    }

    /// The operations of a body without loops, once for each value that needs them.
    fn operations(&self, body: &[Stmt]) -> usize {
        let of = |stmt: &Stmt| match stmt {
            Stmt::Set { value, .. }
            | Stmt::Assign { value, .. }
            | Stmt::Accumulate { value, .. }
            | Stmt::Store { value, .. } => self.k.reach(*value).count(),
            Stmt::Update { value, .. } => self.k.reach(*value).count() + 1,
            _ => 0,
        };
        body.iter().map(of).sum()
    }

    /// Runs `f` for a copy of the body of the current vector loop, which starts so many iterations later.
    pub fn in_copy(&mut self, var: VarId, copy: usize, later: i64, f: impl FnOnce(&mut Self)) {
        let set = |l: &mut Self, copy| l.wide.as_mut().map(|w| std::mem::replace(&mut w.copy, copy));
        let before = set(self, copy);
        self.later = (later != 0).then_some((var, later));
        f(self);
        self.later = None;
        set(self, before.unwrap_or(0));
    }

    /// Runs `f` in the current vector loop, for some of the lanes.
    pub fn in_part(&mut self, part: Part, f: impl FnOnce(&mut Self)) {
        let set = |l: &mut Self, part| l.wide.as_mut().map(|w| std::mem::replace(&mut w.part, part));
        let before = set(self, part);
        f(self);
        set(self, before.unwrap_or(Part::All));
    }

    /// The mask of the lanes that there are, when they are not all of a vector of `ty`.
    pub fn mask(&mut self, ty: Type) -> Option<Value> {
        let mask = ty.as_int();
        let n = match self.wide.as_ref()?.part {
            Part::All => return None,
            Part::First(n) => self.b.ins().iconst(types::I64, n),
            Part::Some(n) => n,
        };
        let key = match self.wide.as_ref()?.part {
            Part::First(n) => Operand::Bits(n as u64),
            _ => Operand::Value(n),
        };
        let key = Key::Operation(Operation::First(key, mask));
        if let Some(&value) = self.memo.get(&key) {
            return Some(value);
        }
        let value = self.intrinsic(Intrinsic::First, &[n], Some(mask))?;
        self.remember(key, value);
        Some(value)
    }

    /// `new` in the lanes that there are, `old` in the others.
    pub fn keep_rest(&mut self, new: Value, old: Value) -> Value {
        match self.mask(self.type_of(new)) {
            Some(mask) => self.choose(mask, new, old),
            None => new,
        }
    }

    /// Calls an intrinsic.
    pub fn intrinsic(&mut self, f: Intrinsic, args: &[Value], returns: Option<Type>) -> Option<Value> {
        let params: Vec<Type> = args.iter().map(|a| self.type_of(*a)).collect();
        let key = (f, params, returns);
        let function = match self.intrinsics.get(&key) {
            Some(function) => *function,
            None => {
                let mut signature = Signature::new(self.target.isa.default_call_conv());
                signature.params.extend(key.1.iter().map(|t| AbiParam::new(*t)));
                signature.returns.extend(returns.map(AbiParam::new));
                let signature = self.b.import_signature(signature);
                let name = UserExternalName::new(INTRINSICS, f.index());
                let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
                let data = ExtFuncData { name, signature, colocated: true, patchable: false };
                *self.intrinsics.entry(key).or_insert(self.b.import_function(data))
            }
        };
        let call = self.b.ins().call(function, args);
        self.b.inst_results(call).first().copied()
    }

    /// What brings powers of two into floats or takes them out.
    pub fn powers_of_two(&mut self, f: Intrinsic, x: &[Value]) -> Value {
        let ty = self.type_of(x[0]);
        self.intrinsic(f, x, Some(ty)).unwrap_or_else(|| unreachable!("it returns lanes"))
    }

    /// The entries of a table at the low bits of an index.
    pub fn table(&mut self, entries: &[f32; TABLE], index: Value) -> Value {
        let bytes: Vec<u8> = entries.iter().flat_map(|x| x.to_le_bytes()).collect();
        let constant = self.b.func.dfg.constants.insert(ConstantData::from(bytes));
        let entries = self.b.ins().vconst(types::F32X16, constant);
        let lanes = self.type_of(index);
        let ty = types::F32.by(lanes.lane_count()).expect("lanes of i32 have a counterpart");
        let entry = self.intrinsic(Intrinsic::Table, &[index, entries], Some(ty));
        entry.unwrap_or_else(|| unreachable!("it returns lanes"))
    }

    /// Runs `f`, which computes values of lanes but touches no locals.
    pub fn as_lanes(&mut self, var: VarId, lanes: &Lanes, part: Part, f: impl FnOnce(&mut Self)) {
        let before = self.wide.replace(Wide::new(var, lanes, part));
        f(self);
        self.wide = before;
    }
}
