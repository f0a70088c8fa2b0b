//! The law of the loop IR, and the check that a kernel keeps it.
//!
//! 1. Every id lies in its arena. An operand precedes its expression, so expressions are acyclic; they are at most
//!    [`MAX_EXPR_DEPTH`] deep, and statements are nested at most [`MAX_BLOCK_DEPTH`] deep.
//! 2. Every expression has the type its operands give it, and its function accepts that type (`verify/types.rs`).
//!    Nothing is complex. A constant is representable in its type; the only string that is one is empty.
//! 3. A loop variable belongs to one `For`, any other variable to one `Set`, whose value has the variable's type (i64
//!    for an index), or, where it is a string, to one `Take`. A variable is used only within its scope: the loop's body, or
//!    what follows the `Set` or `Take` in its block.
//! 4. The variables of a `Dim` are loop or index variables. The length of a buffer mentions no variable, nor does a turn.
//! 5. A buffer that is marked written is stored or updated and never loaded; any other is loaded and never written. Written
//!    and assigned values have the element type. A `Prefetch` may name any.
//! 6. The extent of an `Unroll` loop is constant, and an outermost one expands to at most [`MAX_UNROLLED`] statements.
//! 7. A `Parallel` loop is the only statement of the kernel's body.
//! 8. An `Accumulate` uses a function that may be reassociated (Add, Mul, Max, Min, And, Or); a `Check` tests a bool.
//! 9. Registers (`verify/registers.rs`): every index of a local has the local's rank, is constant once the `Unroll` and
//!    `Vector` loops of constant extent around it are expanded, and lies in the shape. An element is assigned on every
//!    path before it is read or accumulated into. Iterations of a `Vector` or `Parallel` loop meet in an element only
//!    where all of them read it, all of them accumulate with one function, or each assigns it before its other uses;
//!    in the last case nothing reads it after the loop.
//! 10. An `Update` combines by a function that accepts the type. The iterations of a `Vector` or `Parallel` loop update
//!     different elements (`apart.rs`).
//! 11. An `Append` takes a u8 or a string, and stands, as a `Take` does, in no `Vector` or `Parallel` loop: the arena has one
//!     order. What is taken is stored as it is: no byte of it is looked at, no part is made of it, no local holds it.
//!
//! The promise: when [`verify`] returns Ok, neither the interpreter nor a backend panics on the kernel. (Flat positions
//! in range, divisors other than 0 and the extents claimed for index variables cannot be seen here; the interpreter
//! checks them as it runs.) The check is linear in the kernel and what its registers expand to, and runs in release
//! builds after every pass.

mod registers;
mod types;

use std::{fmt, ops::Range};

use super::*;
use crate::base::dim::Atom;

pub const MAX_EXPR_DEPTH: u32 = 4096;
pub const MAX_BLOCK_DEPTH: usize = 256;
/// Statements that the expansion of one unrolled loop may come to.
pub const MAX_UNROLLED: u64 = 4096;

/// The first breach of the law that was found: a bug of the pass that made the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub kernel: String,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel `{}`: {}", self.kernel, self.message)
    }
}

impl std::error::Error for Violation {}

/// Checks the whole law.
pub fn verify(kernel: &Kernel) -> Result<(), Violation> {
    let law = || {
        declarations(kernel)?;
        let scopes = Scopes::new(kernel)?;
        let exprs = expressions(kernel, &scopes)?;
        Statements { kernel, scopes: &scopes, exprs: &exprs, at: 0 }.block(&kernel.body, false)?;
        parallel(kernel)?;
        strings(kernel)?;
        registers::check(kernel)
    };
    law().map_err(|message| Violation { kernel: kernel.name.clone(), message })
}

type Check<T = ()> = Result<T, String>;

/// `Err` with the message unless the condition holds.
fn ensure(condition: bool, message: impl FnOnce() -> String) -> Check {
    if condition { Ok(()) } else { Err(message()) }
}

/// Types and sizes of what is declared, apart from any use.
fn declarations(kernel: &Kernel) -> Check {
    let is_closed = |dim: &Dim| {
        let mut closed = true;
        dim.for_each_atom(&mut |atom| closed &= !matches!(atom, Atom::Var(_)));
        closed
    };
    if let Some(turn) = &kernel.turn {
        ensure(is_closed(turn), || format!("the turn {turn} mentions a variable"))?;
    }
    for (id, buffer) in kernel.buffers.iter() {
        types::plain(buffer.dtype).map_err(|e| format!("buffer {}: {e}", id.index()))?;
        ensure(is_closed(&buffer.len), || {
            format!("the length {} of buffer {} mentions a variable", buffer.len, id.index())
        })?;
    }
    for (id, local) in kernel.locals.iter() {
        types::plain(local.dtype).map_err(|e| format!("local {}: {e}", id.index()))?;
    }
    for (id, var) in kernel.vars.iter() {
        if let Var::Value { dtype } = var {
            types::plain(*dtype).map_err(|e| format!("variable {}: {e}", id.index()))?;
        }
    }
    Ok(())
}

/// The statements, numbered in the order of the text, in which each variable is visible; empty for one never set.
struct Scopes(Vec<Range<u32>>);

impl Scopes {
    fn new(kernel: &Kernel) -> Check<Scopes> {
        let mut scopes = Scopes(vec![0..0; kernel.vars.len()]);
        scopes.block(kernel, &kernel.body, &mut 0, 0)?;
        Ok(scopes)
    }
    fn block(&mut self, kernel: &Kernel, block: &[Stmt], at: &mut u32, depth: usize) -> Check {
        ensure(depth <= MAX_BLOCK_DEPTH, || "statements are nested too deeply".into())?;
        let mut set = vec![];
        for stmt in block {
            *at += 1;
            match stmt {
                Stmt::For { var, body, .. } => {
                    let start = *at;
                    self.declare(kernel, *var, true)?;
                    self.0[var.index()] = start..start + 1;
                    self.block(kernel, body, at, depth + 1)?;
                    self.0[var.index()].end = *at + 1;
                }
                Stmt::Set { var, .. } | Stmt::Take { var } => {
                    self.declare(kernel, *var, false)?;
                    self.0[var.index()] = *at..*at + 1;
                    set.push(*var);
                }
                Stmt::If { then, otherwise, .. } => {
                    self.block(kernel, then, at, depth + 1)?;
                    self.block(kernel, otherwise, at, depth + 1)?;
                }
                _ => (),
            }
        }
        for var in set {
            self.0[var.index()].end = *at + 1;
        }
        Ok(())
    }
    fn declare(&self, kernel: &Kernel, var: VarId, is_loop: bool) -> Check {
        let n = var.index();
        let declared = kernel.vars.get(var).ok_or_else(|| format!("there is no variable {n}"))?;
        let kind = matches!(declared, Var::Loop { .. });
        ensure(kind == is_loop, || format!("variable {n} is {}a loop's", if kind { "" } else { "not " }))?;
        ensure(self.0[n].is_empty(), || format!("variable {n} is set twice"))
    }
    /// Whether statement `at` sees the variable.
    fn sees(scope: &Range<u32>, at: u32) -> bool {
        // The statement that declares a variable does not see it.
        scope.start < at && at < scope.end
    }
    /// The scope of all variables of a dim together.
    fn of_dim(&self, kernel: &Kernel, dim: &Dim) -> Check<Range<u32>> {
        let mut scope = Ok(ANYWHERE);
        dim.for_each_atom(&mut |atom| {
            if let (Atom::Var(v), Ok(seen)) = (atom, &scope) {
                scope = match kernel.vars.get(Id::new(*v as usize)) {
                    Some(Var::Loop { .. } | Var::Index { .. }) => Ok(both(seen, &self.0[*v as usize])),
                    Some(Var::Value { .. }) => Err(format!("variable {v} in `{dim}` is not an index")),
                    None => Err(format!("there is no variable {v}, which `{dim}` mentions")),
                };
            }
        });
        scope
    }
}

const ANYWHERE: Range<u32> = 0..u32::MAX;

fn both(a: &Range<u32>, b: &Range<u32>) -> Range<u32> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// The scope of every expression, which is that of all variables it is made of.
fn expressions(kernel: &Kernel, scopes: &Scopes) -> Check<Vec<Range<u32>>> {
    let mut found: Vec<Range<u32>> = Vec::with_capacity(kernel.exprs.len());
    let mut depths: Vec<u32> = Vec::with_capacity(kernel.exprs.len());
    for (id, typed) in kernel.exprs.iter() {
        let n = id.index();
        let within = |message: String| format!("expression {n}: {message}");
        let ordered = typed.expr.operands().all(|x| x < id);
        ensure(ordered, || within("an operand does not precede it".into()))?;
        let mut scope = match &typed.expr {
            Expr::Var(var) => scopes.0.get(var.index()).cloned().ok_or_else(|| within("no such variable".into()))?,
            Expr::Index(dim) | Expr::Load(_, dim) => scopes.of_dim(kernel, dim).map_err(within)?,
            Expr::Local(_, index) => index.iter().try_fold(ANYWHERE, |scope, dim| {
                Ok::<_, String>(both(&scope, &scopes.of_dim(kernel, dim).map_err(within)?))
            })?,
            _ => ANYWHERE,
        };
        let mut depth = 0;
        for x in typed.expr.operands() {
            scope = both(&scope, &found[x.index()]);
            depth = depth.max(depths[x.index()] + 1);
        }
        ensure(depth <= MAX_EXPR_DEPTH, || within("it is nested too deeply".into()))?;
        types::expression(kernel, typed).map_err(within)?;
        found.push(scope);
        depths.push(depth);
    }
    Ok(found)
}

struct Statements<'a> {
    kernel: &'a Kernel,
    scopes: &'a Scopes,
    exprs: &'a [Range<u32>],
    /// The number of the current statement.
    at: u32,
}

impl Statements<'_> {
    fn dim(&self, dim: &Dim) -> Check {
        let scope = self.scopes.of_dim(self.kernel, dim)?;
        let seen = Scopes::sees(&scope, self.at);
        ensure(seen, || format!("`{dim}` mentions a variable outside its scope"))
    }
    /// The type of a value that the current statement may use.
    fn value(&self, value: ExprId) -> Check<DType> {
        let n = value.index();
        let scope = self.exprs.get(n).ok_or_else(|| format!("there is no expression {n}"))?;
        let seen = Scopes::sees(scope, self.at);
        ensure(seen, || format!("expression {n} mentions a variable outside its scope"))?;
        Ok(self.kernel.dtype(value))
    }
    fn typed(&self, value: ExprId, dtype: DType) -> Check {
        let found = self.value(value)?;
        ensure(found == dtype, || format!("expression {} is a {found}, not a {dtype}", value.index()))
    }
    /// The element type of a local whose index dims are in scope.
    fn local(&self, local: LocalId, index: &[Dim]) -> Check<DType> {
        index.iter().try_for_each(|dim| self.dim(dim))?;
        types::element(self.kernel, local, index)
    }
    /// The type of an element that gets a value.
    fn written(&self, buffer: BufferId, index: &Dim, value: ExprId) -> Check<DType> {
        self.dim(index)?;
        let n = buffer.index();
        let buffer = self.kernel.buffers.get(buffer).ok_or_else(|| format!("there is no buffer {n}"))?;
        ensure(buffer.written, || format!("buffer {n} is stored to but not marked written"))?;
        self.typed(value, buffer.dtype)?;
        Ok(buffer.dtype)
    }
    /// The number of statements that the block's `Unroll` loops expand to.
    fn block(&mut self, block: &[Stmt], unrolled: bool) -> Check<u64> {
        block.iter().try_fold(0u64, |sum, stmt| Ok(sum.saturating_add(self.stmt(stmt, unrolled)?)))
    }
    fn stmt(&mut self, stmt: &Stmt, unrolled: bool) -> Check<u64> {
        self.at += 1;
        match stmt {
            Stmt::For { var, kind: LoopKind::Unroll, body } => {
                let extent = self.kernel.loop_extent(*var);
                let times = extent.as_int().and_then(|n| u64::try_from(n).ok());
                let times = times.ok_or_else(|| format!("an unrolled loop has the extent {extent}"))?;
                let size = self.block(body, true)?.max(1).saturating_mul(times);
                ensure(unrolled || size <= MAX_UNROLLED, || format!("a loop unrolls to {size} statements"))?;
                return Ok(size);
            }
            Stmt::For { var, kind, body } => {
                self.dim(self.kernel.loop_extent(*var))?;
                let free = matches!(kind, LoopKind::Vector | LoopKind::Parallel);
                ensure(!free || updates_apart(self.kernel, *var, body), || {
                    format!("iterations of the loop over variable {} may update one element", var.index())
                })?;
                return Ok(self.block(body, unrolled)?.saturating_add(1));
            }
            Stmt::If { bounds, then, otherwise } => {
                bounds.iter().flat_map(|b| [&b.index, &b.extent]).try_for_each(|dim| self.dim(dim))?;
                return Ok(self.block(then, unrolled)?.saturating_add(self.block(otherwise, unrolled)?) + 1);
            }
            Stmt::Set { var, value } => match &self.kernel.vars[*var] {
                Var::Value { dtype } => self.typed(*value, *dtype)?,
                Var::Index { extent } => {
                    self.typed(*value, DType::I64)?;
                    extent.iter().try_for_each(|dim| self.dim(dim))?;
                }
                Var::Loop { .. } => return Err(format!("loop variable {} is set", var.index())),
            },
            Stmt::Assign { local, index, value } => self.typed(*value, self.local(*local, index)?)?,
            Stmt::Accumulate { local, index, f, value } => {
                let dtype = self.local(*local, index)?;
                self.typed(*value, dtype)?;
                let free = matches!(
                    f,
                    BinaryFn::Add | BinaryFn::Mul | BinaryFn::Max | BinaryFn::Min | BinaryFn::And | BinaryFn::Or
                );
                ensure(free && types::binary(*f, dtype), || format!("{f:?} does not accumulate {dtype}"))?;
            }
            Stmt::Store { buffer, index, value } => {
                self.written(*buffer, index, *value)?;
            }
            Stmt::Update { buffer, index, f, value } => {
                let dtype = self.written(*buffer, index, *value)?;
                ensure(f.accepts(dtype), || format!("{f:?} does not update {dtype}"))?;
            }
            Stmt::Prefetch { buffer, index, .. } => {
                self.dim(index)?;
                let n = buffer.index();
                ensure(self.kernel.buffers.get(*buffer).is_some(), || format!("there is no buffer {n}"))?;
            }
            Stmt::Check { cond, .. } => self.typed(*cond, DType::Bool)?,
            Stmt::Append { value } => {
                let dtype = self.value(*value)?;
                ensure(matches!(dtype, DType::U8 | DType::Str), || format!("a {dtype} is appended"))?;
            }
            Stmt::Take { var } => match &self.kernel.vars[*var] {
                Var::Value { dtype: DType::Str } => {}
                other => return Err(format!("what is taken is no {other:?}")),
            },
        }
        Ok(1)
    }
}

/// The arena has one order, and what is taken is only stored.
fn strings(kernel: &Kernel) -> Check {
    let makes = |stmt: &Stmt| matches!(stmt, Stmt::Append { .. } | Stmt::Take { .. });
    if !statements(&kernel.body).any(makes) {
        return Ok(());
    }
    for stmt in statements(&kernel.body) {
        if let Stmt::For { kind: LoopKind::Vector | LoopKind::Parallel, body, .. } = stmt {
            ensure(!statements(body).any(makes), || "strings are made in a loop whose order is free".into())?;
        }
    }
    let mut taken = vec![false; kernel.vars.len()];
    for stmt in statements(&kernel.body) {
        if let Stmt::Take { var } = stmt {
            taken[var.index()] = true;
        }
    }
    let is_taken = |e: ExprId| matches!(kernel.exprs[e].expr, Expr::Var(var) if taken[var.index()]);
    for (id, typed) in kernel.exprs.iter() {
        let used = typed.expr.operands().any(is_taken);
        ensure(!used, || format!("expression {} is made of what is taken", id.index()))?;
    }
    let moved =
        |stmt: &Stmt| !matches!(stmt, Stmt::Store { .. } | Stmt::Update { .. }) && stmt.value().is_some_and(is_taken);
    ensure(!statements(&kernel.body).any(moved), || "what is taken is not only stored".into())
}

/// A `Parallel` loop stands alone.
fn parallel(kernel: &Kernel) -> Check {
    let inner = match &kernel.body[..] {
        [Stmt::For { body, .. }] => body,
        body => body,
    };
    let is_parallel = |stmt: &Stmt| matches!(stmt, Stmt::For { kind: LoopKind::Parallel, .. });
    ensure(!statements(inner).any(is_parallel), || "a parallel loop is not the only outermost statement".into())
}

#[cfg(test)]
mod tests;
