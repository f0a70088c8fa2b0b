//! Which vector loops run by lanes, and how.
//!
//! A loop does when everything that changes with its variable has one lane width, is read and written at consecutive
//! places or in registers, and is computed by operations that every vector unit has. Other loops run one iteration at
//! a time, which is always right. Lanes fill a vector of the machine, or there are none.
//!
//! On machines with masks what is left behind the last whole vector is one more iteration, in which only the first
//! lanes are read from memory, written to it and accumulated; elsewhere it runs one element at a time.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, InstBuilder, Signature, Type, UserExternalName, Value, types,
};

use super::{
    address::Key,
    expr::{Operand, Operation, operands, register},
    kernel::Lower,
    local::Registers,
    looping::stride,
    narrow::is_narrow,
};
use crate::{
    base::Dim,
    loops::{BinaryFn, Expr, ExprId, Kernel, LocalId, LoopKind, Stmt, Var, VarId},
    native::{
        elementary,
        intrinsic::{INTRINSICS, Intrinsic},
    },
    plan::{Isa, TargetInfo},
    tensor::DType,
};

/// How a vector loop runs by lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Lanes of a vector.
    pub width: usize,
    /// Locals that live within one iteration: each lane has its own.
    private: HashSet<LocalId>,
    /// Locals that outlive the loop, and what accumulates in them: each lane has a partial result.
    outer: Vec<(LocalId, BinaryFn)>,
    /// Register arrays that the variable indexes.
    packed: HashSet<LocalId>,
    /// Whether elements in memory are smaller than lanes.
    narrow: bool,
    /// Whether the last lanes are an iteration under a mask, rather than one element at a time.
    pub masked: bool,
}

/// The vector loop that is being run by lanes.
pub(super) struct Wide {
    pub var: VarId,
    pub width: usize,
    pub part: Part,
    pub private: HashSet<LocalId>,
    /// Of each copy of the body, so that one need not wait for the other.
    pub partials: HashMap<LocalId, Vec<Registers>>,
    /// Which copy of the body is being written.
    pub copy: usize,
}

/// Partial results that a loop keeps at a time, to hide how long an operation takes.
const PARTIALS: usize = 4;

/// A body of at least so many operations is a long chain.
const LONG: usize = 16;

/// Which lanes of an iteration there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    All,
    First(i64),
    /// As many as the value says.
    Some(Value),
}

/// What is known of a kernel's loops before any code is written.
#[derive(Default)]
pub(super) struct Analysis {
    lanes: HashMap<VarId, Rc<Lanes>>,
    /// Loop variables that index registers.
    pub indexed: HashSet<VarId>,
    /// Register arrays that are kept in vectors, with the number of lanes.
    pub packed: HashMap<LocalId, usize>,
}

impl Analysis {
    pub fn new(k: &Kernel, info: &TargetInfo) -> Analysis {
        let mut analysis = Analysis::default();
        let mut uses = HashMap::new();
        count_uses(k, &k.body, &mut uses);
        let all = |e: &Expr| match e {
            Expr::Local(_, index) => index.clone(),
            _ => vec![],
        };
        let mut indices: Vec<Dim> = k.exprs.iter().flat_map(|(_, e)| all(&e.expr)).collect();
        written_indices(&k.body, &mut indices);
        for var in k.vars.ids() {
            if indices.iter().any(|d| d.mentions_var(var.index() as u32)) {
                analysis.indexed.insert(var);
            }
        }
        if info.vector_bytes > 0 {
            analysis.visit(k, &k.body, &uses, info);
        }
        analysis
    }

    fn visit(&mut self, k: &Kernel, body: &[Stmt], uses: &HashMap<LocalId, usize>, info: &TargetInfo) {
        for stmt in body {
            match stmt {
                Stmt::For { var, kind, body } => {
                    if *kind == LoopKind::Vector
                        && let Some(lanes) = lanes_of(k, *var, body, uses, info)
                    {
                        self.packed.extend(lanes.packed.iter().map(|l| (*l, lanes.width)));
                        self.lanes.insert(*var, Rc::new(lanes));
                    }
                    self.visit(k, body, uses, info);
                }
                Stmt::If { then, otherwise, .. } => {
                    self.visit(k, then, uses, info);
                    self.visit(k, otherwise, uses, info);
                }
                _ => {}
            }
        }
    }
}

/// How often each local is read or written.
fn count_uses(k: &Kernel, body: &[Stmt], uses: &mut HashMap<LocalId, usize>) {
    let value = |root: ExprId, uses: &mut HashMap<LocalId, usize>| {
        let (mut seen, mut open) = (HashSet::from([root]), vec![root]);
        while let Some(e) = open.pop() {
            if let Expr::Local(local, _) = &k.exprs[e].expr {
                *uses.entry(*local).or_default() += 1;
            }
            open.extend(operands(&k.exprs[e].expr).into_iter().filter(|o| seen.insert(*o)));
        }
    };
    for stmt in body {
        match stmt {
            Stmt::For { body, .. } => count_uses(k, body, uses),
            Stmt::If { then, otherwise, .. } => {
                count_uses(k, then, uses);
                count_uses(k, otherwise, uses);
            }
            Stmt::Assign { local, value: v, .. } | Stmt::Accumulate { local, value: v, .. } => {
                *uses.entry(*local).or_default() += 1;
                value(*v, uses);
            }
            Stmt::Set { value: v, .. } | Stmt::Store { value: v, .. } | Stmt::Check { cond: v, .. } => value(*v, uses),
        }
    }
}

fn written_indices(body: &[Stmt], indices: &mut Vec<Dim>) {
    for stmt in body {
        match stmt {
            Stmt::Assign { index, .. } | Stmt::Accumulate { index, .. } => indices.extend(index.iter().cloned()),
            Stmt::For { body, .. } => written_indices(body, indices),
            Stmt::If { then, otherwise, .. } => {
                written_indices(then, indices);
                written_indices(otherwise, indices);
            }
            Stmt::Set { .. } | Stmt::Store { .. } | Stmt::Check { .. } => {}
        }
    }
}

fn lanes_of(k: &Kernel, var: VarId, body: &[Stmt], uses: &HashMap<LocalId, usize>, info: &TargetInfo) -> Option<Lanes> {
    let mut inside = HashMap::new();
    count_uses(k, body, &mut inside);
    let packed = indexed_locals(k, var, body);
    let lives_here = |l: &LocalId| uses.get(l) == inside.get(l) && !packed.contains(l);
    let private = inside.keys().filter(|l| lives_here(l)).copied().collect();
    let lanes = Lanes { private, packed, ..Lanes::default() };
    let mut look = Look { k, var, wide: info.is_wide(), bytes: None, moving: HashSet::new(), lanes };
    look.outer_locals(body)?;
    look.block(body)?;
    let width = info.vector_bytes / look.bytes?;
    let aligned = look.packed_indices(body, width);
    look.lanes.width = width;
    // AVX2 has no masks for small elements.
    look.lanes.masked = info.is_wide() && (!look.lanes.narrow || info.isa == Isa::X64V4);
    aligned.then_some(look.lanes)
}

/// The locals that are indexed by a loop's variable.
fn indexed_locals(k: &Kernel, var: VarId, body: &[Stmt]) -> HashSet<LocalId> {
    fn written(body: &[Stmt], note: &mut impl FnMut(LocalId, &[Dim])) {
        for stmt in body {
            match stmt {
                Stmt::Assign { local, index, .. } | Stmt::Accumulate { local, index, .. } => note(*local, index),
                Stmt::For { body, .. } => written(body, note),
                Stmt::If { then, otherwise, .. } => {
                    written(then, note);
                    written(otherwise, note);
                }
                Stmt::Set { .. } | Stmt::Store { .. } | Stmt::Check { .. } => {}
            }
        }
    }
    let mut found = HashSet::new();
    let mut note = |local: LocalId, index: &[Dim]| {
        if index.iter().any(|d| d.mentions_var(var.index() as u32)) {
            found.insert(local);
        }
    };
    written(body, &mut note);
    for (_, typed) in k.exprs.iter() {
        if let Expr::Local(local, index) = &typed.expr {
            note(*local, index);
        }
    }
    found
}

/// A vector loop under examination; `None` from any of these means that it does not run by lanes.
struct Look<'a> {
    k: &'a Kernel,
    var: VarId,
    /// Whether the machine widens and narrows elements as it loads and stores them.
    wide: bool,
    /// Of one lane.
    bytes: Option<usize>,
    /// Variables set in the loop to what differs between lanes.
    moving: HashSet<VarId>,
    lanes: Lanes,
}

impl Look<'_> {
    fn mentions(&self, d: &Dim) -> bool {
        d.mentions_var(self.var.index() as u32)
    }

    /// Notes a value that differs between lanes.
    fn lane(&mut self, dtype: DType) -> Option<()> {
        let bytes = match dtype {
            DType::Bool => return Some(()),
            DType::F32 | DType::I32 | DType::U32 | DType::F64 | DType::I64 | DType::U64 => dtype.size(),
            _ if self.wide && is_narrow(dtype) => {
                self.lanes.narrow = true;
                4
            }
            _ => return None,
        };
        (*self.bytes.get_or_insert(bytes) == bytes).then_some(())
    }

    /// Notes a value that is loaded or stored by lanes.
    fn element(&mut self, dtype: DType) -> Option<()> {
        self.lane(if dtype == DType::Bool { DType::U8 } else { dtype })
    }

    /// Locals that outlive the loop may only accumulate, and by one function.
    fn outer_locals(&mut self, body: &[Stmt]) -> Option<()> {
        for stmt in body {
            match stmt {
                Stmt::Accumulate { local, index, f, .. }
                    if !self.lanes.private.contains(local) && !index.iter().any(|d| self.mentions(d)) =>
                {
                    let dtype = self.k.locals[*local].dtype;
                    if !is_whole(dtype) || self.lanes.packed.contains(local) {
                        return None;
                    }
                    match self.lanes.outer.iter().find(|(l, _)| l == local) {
                        Some((_, known)) if known != f => return None,
                        Some(_) => {}
                        None => self.lanes.outer.push((*local, *f)),
                    }
                }
                Stmt::For { body, .. } => self.outer_locals(body)?,
                Stmt::If { then, otherwise, .. } => {
                    self.outer_locals(then)?;
                    self.outer_locals(otherwise)?;
                }
                _ => {}
            }
        }
        Some(())
    }

    fn block(&mut self, body: &[Stmt]) -> Option<()> {
        for stmt in body {
            match stmt {
                Stmt::For { var, body, .. } => {
                    if self.mentions(self.k.loop_extent(*var)) {
                        return None;
                    }
                    self.block(body)?;
                }
                Stmt::Set { var, value } => {
                    let moves = self.expr(*value)?;
                    if moves && matches!(self.k.vars[*var], Var::Index { .. }) {
                        return None;
                    }
                    if moves {
                        self.moving.insert(*var);
                    }
                }
                Stmt::Assign { local, index, value } => {
                    self.expr(*value)?;
                    self.local(*local, index)?.then_some(())?;
                }
                Stmt::Accumulate { local, index, value, .. } => {
                    self.expr(*value)?;
                    if self.lanes.outer.iter().any(|(l, _)| l == local) {
                        self.lane(self.k.locals[*local].dtype)?;
                    } else {
                        self.local(*local, index)?.then_some(())?;
                    }
                }
                Stmt::Store { buffer, index, value } => {
                    self.expr(*value)?;
                    let dtype = self.k.buffers[*buffer].dtype;
                    stride(index, self.var)?.is(1).then_some(())?;
                    self.element(dtype)?;
                }
                Stmt::If { bounds, then, otherwise } => {
                    if bounds.iter().any(|b| self.mentions(&b.index) || self.mentions(&b.extent)) {
                        return None;
                    }
                    self.block(then)?;
                    self.block(otherwise)?;
                }
                Stmt::Check { .. } => return None,
            }
        }
        Some(())
    }

    /// Whether an access to a local differs between lanes.
    fn local(&mut self, local: LocalId, index: &[Dim]) -> Option<bool> {
        let dtype = self.k.locals[local].dtype;
        if index.iter().any(|d| self.mentions(d)) {
            let (last, rows) = index.split_last()?;
            let consecutive = stride(last, self.var)?.is(1) && !rows.iter().any(|d| self.mentions(d));
            let outer = self.lanes.outer.iter().any(|(l, _)| *l == local);
            if !consecutive || !is_whole(dtype) || outer {
                return None;
            }
            self.lane(dtype)?;
            return Some(true);
        }
        if self.lanes.packed.contains(&local) {
            return None;
        }
        if self.lanes.private.contains(&local) {
            self.lane(dtype)?;
            return Some(true);
        }
        Some(false)
    }

    /// Whether a value differs between lanes.
    fn expr(&mut self, root: ExprId) -> Option<bool> {
        let k = self.k;
        let (mut seen, mut open) = (HashSet::from([root]), vec![root]);
        while let Some(e) = open.pop() {
            open.extend(operands(&k.exprs[e].expr).into_iter().filter(|o| seen.insert(*o)));
        }
        let mut order: Vec<ExprId> = seen.into_iter().collect();
        order.sort();
        let mut moving: HashSet<ExprId> = HashSet::new();
        for e in order {
            let typed = &k.exprs[e];
            let moves = match &typed.expr {
                Expr::Const(_) => false,
                Expr::Var(v) => self.moving.contains(v),
                Expr::Index(d) => {
                    (!self.mentions(d)).then_some(())?;
                    false
                }
                Expr::Load(buffer, d) => {
                    let step = stride(d, self.var)?;
                    (step.is(0) || step.is(1)).then_some(())?;
                    if step.is(1) {
                        self.element(k.buffers[*buffer].dtype)?;
                    }
                    step.is(1)
                }
                Expr::Local(local, index) => {
                    let moves = self.local(*local, index)?;
                    // The partial results of other lanes are not in yet.
                    (moves || self.lanes.outer.iter().all(|(l, _)| l != local)).then_some(())?;
                    moves
                }
                other => {
                    let moves = operands(other).iter().any(|o| moving.contains(o));
                    if moves {
                        self.operation(other, typed.dtype, &moving)?;
                    }
                    moves
                }
            };
            if moves {
                self.lane(typed.dtype)?;
                moving.insert(e);
            }
        }
        Some(moving.contains(&root))
    }

    /// Whether vector units have an operation.
    fn operation(&self, expr: &Expr, dtype: DType, moving: &HashSet<ExprId>) -> Option<()> {
        let has = match expr {
            Expr::Unary(f, _) => !elementary::is_elementary(*f),
            Expr::Binary(BinaryFn::Div, ..) => dtype.is_float(),
            // Lanes are shifted alike.
            Expr::Binary(BinaryFn::Shl | BinaryFn::Shr, _, amount) => !moving.contains(amount),
            Expr::Binary(BinaryFn::Rem | BinaryFn::Pow | BinaryFn::Atan2, ..) => false,
            Expr::Binary(..) | Expr::MulAdd(..) | Expr::Compare(..) | Expr::Select(..) => true,
            Expr::Cast(x) => {
                let from = self.k.exprs[*x].dtype;
                let small = |d: DType| d.is_int() && is_narrow(d);
                let single = |d: DType| matches!(d, DType::F32 | DType::F16 | DType::BF16);
                let ints = from.is_int()
                    && dtype.is_int()
                    && (from.size() == dtype.size() || from.size().max(dtype.size()) <= 4);
                let bools = from == DType::Bool || dtype == DType::Bool;
                let floats = single(from) && single(dtype)
                    || small(from) && single(dtype)
                    || single(from) && (small(dtype) || dtype == DType::I32);
                ints || bools || floats || (from, dtype) == (DType::I32, DType::F32)
            }
            Expr::Bits(_) => !is_narrow(dtype),
            _ => false,
        };
        has.then_some(())
    }

    /// Whether every register array is indexed from a whole vector on.
    fn packed_indices(&self, body: &[Stmt], width: usize) -> bool {
        let mut indices = vec![];
        written_indices(body, &mut indices);
        let reads = self.k.exprs.iter().filter_map(|(_, e)| match &e.expr {
            Expr::Local(_, index) => Some(index.clone()),
            _ => None,
        });
        indices.extend(reads.flatten());
        let offset = |d: &Dim| (d - Dim::var(self.var.index() as u32)).content() % width as i64 == 0;
        indices.iter().filter(|d| self.mentions(d)).all(offset)
    }
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
        self.wide = Some(Wide { var, width: lanes.width, part: Part::All, private, partials, copy: 0 });
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
    /// takes to keep some partial results, and two where an iteration is a long chain of operations, so that the machine
    /// has two to work on.
    pub fn copies(&self, lanes: &Lanes, iterations: Option<i64>, body: &[Stmt]) -> usize {
        let straight = !body.iter().any(|s| matches!(s, Stmt::For { .. }));
        if !lanes.masked || !straight {
            return 1;
        }
        let size = |(local, _): &(LocalId, BinaryFn)| self.k.locals[*local].shape.iter().product::<usize>();
        let elements: usize = lanes.outer.iter().map(size).sum();
        let vectors = iterations.map_or(PARTIALS, |n| n as usize / lanes.width);
        let copies = match elements {
            0 if self.operations(body) < LONG => 1,
            0 => 2,
            _ => PARTIALS / elements,
        };
        copies.min(vectors).max(1)
    }

    /// The operations of a body without loops, once for each value that needs them.
    fn operations(&self, body: &[Stmt]) -> usize {
        let of = |stmt: &Stmt| match stmt {
            Stmt::Set { value, .. }
            | Stmt::Assign { value, .. }
            | Stmt::Accumulate { value, .. }
            | Stmt::Store { value, .. } => self.reach(*value).len(),
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

    /// Runs `f`, which computes values of lanes but touches no locals.
    pub fn as_lanes(&mut self, var: VarId, lanes: &Lanes, part: Part, f: impl FnOnce(&mut Self)) {
        let wide = Wide { var, width: lanes.width, part, private: HashSet::new(), partials: HashMap::new(), copy: 0 };
        let before = self.wide.replace(wide);
        f(self);
        self.wide = before;
    }
}

/// Whether values of a dtype are the same in a register of their own and in a lane.
fn is_whole(dtype: DType) -> bool {
    dtype.is_float() || dtype.size() >= 4
}

/// Whether lanes of a dtype fill a vector of `bytes`.
pub(super) fn fills(dtype: DType, width: usize, bytes: usize) -> bool {
    dtype == DType::Bool || register(dtype).bytes() as usize * width == bytes
}
