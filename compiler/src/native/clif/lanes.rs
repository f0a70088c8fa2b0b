//! Which vector loops run by lanes, and how.
//!
//! A loop does when everything that changes with its variable has one lane width, is read and written at consecutive
//! places or in registers, and is computed by operations that every vector unit has. Other loops run one iteration at
//! a time, which is always right. Lanes fill a vector of the machine, or one that is long enough for the registers that
//! the loop indexes.
//!
//! How such a loop is run is in `wide`. On machines with masks what is left behind the last whole vector is one more
//! iteration, in which only the first lanes are read from memory, written to it and accumulated; elsewhere it runs one
//! element at a time.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::{expr::register, looping::stride, narrow::is_narrow};
use crate::{
    base::Dim,
    loops::{BinaryFn, Combine, Expr, ExprId, Kernel, LocalId, LoopKind, Stmt, Var, VarId, statements},
    native::elementary,
    plan::{Isa, TargetInfo},
    tensor::DType,
};

/// How a vector loop runs by lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Lanes of a vector, and the bytes of each.
    pub width: usize,
    pub lane_bytes: usize,
    /// Locals that live within one iteration: each lane has its own.
    pub private: HashSet<LocalId>,
    /// Locals that outlive the loop, and what accumulates in them: each lane has a partial result.
    pub outer: Vec<(LocalId, BinaryFn)>,
    /// Register arrays that the variable indexes.
    packed: HashSet<LocalId>,
    /// Whether elements in memory are smaller than lanes.
    narrow: bool,
    /// Whether the last lanes are an iteration under a mask, rather than one element at a time.
    pub masked: bool,
}

/// What is known of a kernel's loops before any code is written.
#[derive(Default)]
pub(super) struct Analysis {
    pub lanes: HashMap<VarId, Rc<Lanes>>,
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
        let indices: Vec<&Dim> = accesses(k, &k.body).flat_map(|(_, index)| index).collect();
        for var in k.vars.ids() {
            if indices.iter().any(|d| d.mentions_var(var.index() as u32)) {
                analysis.indexed.insert(var);
            }
        }
        if info.vector_bytes > 0 && !analysis.visit(k, &k.body, &uses, info, true) {
            (analysis.lanes, analysis.packed) = Default::default();
            analysis.visit(k, &k.body, &uses, info, false);
        }
        analysis
    }

    /// Whether all loops that index a register array have the same vectors, which may be `short` ones.
    fn visit(
        &mut self,
        k: &Kernel,
        body: &[Stmt],
        uses: &HashMap<LocalId, usize>,
        info: &TargetInfo,
        short: bool,
    ) -> bool {
        let mut agree = true;
        for stmt in body {
            match stmt {
                Stmt::For { var, kind, body } => {
                    if *kind == LoopKind::Vector
                        && let Some(lanes) = lanes_of(k, *var, body, uses, info, short)
                    {
                        for &local in &lanes.packed {
                            agree &= self.packed.insert(local, lanes.width).is_none_or(|width| width == lanes.width);
                        }
                        self.lanes.insert(*var, Rc::new(lanes));
                    }
                    agree &= self.visit(k, body, uses, info, short);
                }
                Stmt::If { then, otherwise, .. } => {
                    agree &= self.visit(k, then, uses, info, short);
                    agree &= self.visit(k, otherwise, uses, info, short);
                }
                _ => {}
            }
        }
        agree
    }
}

/// How often each local is read or written.
fn count_uses(k: &Kernel, body: &[Stmt], uses: &mut HashMap<LocalId, usize>) {
    for stmt in statements(body) {
        if let Stmt::Assign { local, .. } | Stmt::Accumulate { local, .. } = stmt {
            *uses.entry(*local).or_default() += 1;
        }
        for e in stmt.value().into_iter().flat_map(|value| k.reach(value)) {
            if let Expr::Local(local, _) = &k.exprs[e].expr {
                *uses.entry(*local).or_default() += 1;
            }
        }
    }
}

/// What a block writes to locals and the kernel reads from them: each local with an index.
fn accesses<'k>(k: &'k Kernel, body: &'k [Stmt]) -> impl Iterator<Item = (LocalId, &'k [Dim])> {
    let written = statements(body).filter_map(|stmt| match stmt {
        Stmt::Assign { local, index, .. } | Stmt::Accumulate { local, index, .. } => Some((*local, &index[..])),
        _ => None,
    });
    let read = k.exprs.iter().filter_map(|(_, typed)| match &typed.expr {
        Expr::Local(local, index) => Some((*local, &index[..])),
        _ => None,
    });
    written.chain(read)
}

fn lanes_of(
    k: &Kernel,
    var: VarId,
    body: &[Stmt],
    uses: &HashMap<LocalId, usize>,
    info: &TargetInfo,
    short: bool,
) -> Option<Lanes> {
    let mut inside = HashMap::new();
    count_uses(k, body, &mut inside);
    let packed = indexed_locals(k, var, body);
    let lives_here = |l: &LocalId| uses.get(l) == inside.get(l) && !packed.contains(l);
    let private = inside.keys().filter(|l| lives_here(l)).copied().collect();
    let lanes = Lanes { private, packed, ..Lanes::default() };
    let mut look = Look { k, var, wide: info.is_wide(), bytes: None, moving: HashSet::new(), lanes };
    look.outer_locals(body)?;
    look.block(body)?;
    let bytes = look.bytes?;
    let columns = look.lanes.packed.iter().filter_map(|l| k.locals[*l].shape.last().copied()).max();
    let width = match columns {
        Some(n) if short && !look.lanes.narrow => info.lanes_for(n, bytes),
        _ => info.vector_bytes / bytes,
    };
    let aligned = look.packed_indices(body, width);
    (look.lanes.width, look.lanes.lane_bytes) = (width, bytes);
    // AVX2 has no masks for small elements.
    look.lanes.masked = info.is_wide() && (!look.lanes.narrow || info.isa == Isa::X64V4);
    aligned.then_some(look.lanes)
}

/// The locals that are indexed by a loop's variable.
fn indexed_locals(k: &Kernel, var: VarId, body: &[Stmt]) -> HashSet<LocalId> {
    let indexed = |index: &[Dim]| index.iter().any(|d| d.mentions_var(var.index() as u32));
    accesses(k, body).filter(|(_, index)| indexed(index)).map(|(local, _)| local).collect()
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
        for stmt in statements(body) {
            let Stmt::Accumulate { local, index, f, .. } = stmt else { continue };
            if self.lanes.private.contains(local) || index.iter().any(|d| self.mentions(d)) {
                continue;
            }
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
                Stmt::Update { buffer, index, f, value } => {
                    let divides = *f == Combine::Div && self.k.buffers[*buffer].dtype.is_int();
                    (!divides).then_some(())?;
                    self.expr(*value)?;
                    stride(index, self.var)?.is(1).then_some(())?;
                    self.element(self.k.buffers[*buffer].dtype)?;
                }
                Stmt::If { bounds, then, otherwise } => {
                    if bounds.iter().any(|b| self.mentions(&b.index) || self.mentions(&b.extent)) {
                        return None;
                    }
                    self.block(then)?;
                    self.block(otherwise)?;
                }
                Stmt::Prefetch { .. } => {}
                Stmt::Check { .. } | Stmt::Append { .. } | Stmt::Take { .. } => return None,
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
        let mut moving: HashSet<ExprId> = HashSet::new();
        for e in k.reach(root) {
            let typed = &k.exprs[e];
            let moves = match &typed.expr {
                Expr::Const(_) => false,
                Expr::Var(v) => self.moving.contains(v),
                Expr::Index(d) => {
                    let step = stride(d, self.var)?.as_int()?;
                    step != 0
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
                    let moves = other.operands().any(|o| moving.contains(&o));
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
            // Where there are not, they are expanded.
            Expr::Scale(..) | Expr::Exponent(_) | Expr::Mantissa(_) | Expr::Table(..) => true,
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
        let offset = |d: &Dim| (d - Dim::var(self.var.index() as u32)).content() % width as i64 == 0;
        accesses(self.k, body).flat_map(|(_, index)| index).filter(|d| self.mentions(d)).all(offset)
    }
}

/// Whether values of a dtype are the same in a register of their own and in a lane.
fn is_whole(dtype: DType) -> bool {
    dtype.is_float() || dtype.size() >= 4
}

/// Whether values of a dtype fill lanes of so many bytes.
pub(super) fn fills(dtype: DType, lane_bytes: usize) -> bool {
    dtype == DType::Bool || register(dtype).bytes() as usize == lane_bytes
}
