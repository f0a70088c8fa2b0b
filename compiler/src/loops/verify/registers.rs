//! Rule 9: what happens to registers, seen by running the kernel's assignments without its values.
//!
//! A loop whose variable indexes a local is run iteration by iteration; any other loop is run once, or twice where its
//! iterations may run as lanes, since what differs between two iterations would differ between any. Statements that
//! touch no local are skipped.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::*;

/// A local has at most this many elements.
const MAX_ELEMENTS: usize = 4096;
/// The statements that are run at most, besides a few times those that the kernel has.
const MAX_STEPS: usize = 1 << 19;

pub fn check(kernel: &Kernel) -> Check {
    if kernel.locals.is_empty() {
        return Ok(());
    }
    let mut bases = Vec::with_capacity(kernel.locals.len());
    let mut total = 0;
    for (id, local) in kernel.locals.iter() {
        let count = local.shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        let count = count.filter(|&n| n <= MAX_ELEMENTS);
        let count = count.ok_or_else(|| format!("local {} has more than {MAX_ELEMENTS} elements", id.index()))?;
        bases.push(total);
        total += count;
    }
    let mut facts = Facts::new(kernel);
    facts.block(&kernel.body);
    let (uses, indexing) = (facts.uses, facts.indexing);
    let run = Run {
        kernel,
        bases,
        uses,
        indexing,
        values: vec![None; kernel.vars.len()],
        assigned: vec![0; total.div_ceil(64)],
        lanes: vec![],
        at: 0,
        steps: 0,
    };
    run.kernel()
}

/// An element as the text names it.
type Element<'a> = (LocalId, &'a [Dim]);

/// What one statement does to locals.
#[derive(Default)]
struct Uses<'a> {
    reads: Vec<Element<'a>>,
    /// Whether it, or a statement inside it, touches a local.
    any: bool,
    /// How many statements are inside it.
    inside: u32,
}

/// Collects the uses of each statement in the order of the text.
struct Facts<'a> {
    kernel: &'a Kernel,
    uses: Vec<Uses<'a>>,
    /// Whether a variable occurs in the index of a local.
    indexing: Vec<bool>,
    /// Whether an expression reads a local, directly or not.
    reads: Vec<bool>,
    /// The statement that saw an expression last.
    seen: Vec<u32>,
}

impl<'a> Facts<'a> {
    fn new(kernel: &'a Kernel) -> Facts<'a> {
        let mut reads = Vec::with_capacity(kernel.exprs.len());
        for (_, typed) in kernel.exprs.iter() {
            let reads_local = matches!(typed.expr, Expr::Local(..));
            let any = reads_local || typed.expr.operands().any(|x| reads[x.index()]);
            reads.push(any);
        }
        let indexing = vec![false; kernel.vars.len()];
        Facts { kernel, uses: vec![], indexing, seen: vec![u32::MAX; reads.len()], reads }
    }
    fn block(&mut self, block: &'a [Stmt]) -> bool {
        block.iter().fold(false, |any, stmt| self.stmt(stmt) | any)
    }
    fn stmt(&mut self, stmt: &'a Stmt) -> bool {
        let at = self.uses.len();
        self.uses.push(Uses::default());
        let any = match stmt {
            Stmt::For { body, .. } => self.block(body),
            Stmt::If { then, otherwise, .. } => self.block(then) | self.block(otherwise),
            Stmt::Assign { index, value, .. } | Stmt::Accumulate { index, value, .. } => {
                self.index(index);
                self.value(at, *value);
                true
            }
            Stmt::Set { value, .. } | Stmt::Store { value, .. } | Stmt::Update { value, .. } => self.value(at, *value),
            Stmt::Append { value } => self.value(at, *value),
            Stmt::Check { cond, .. } => self.value(at, *cond),
            Stmt::Prefetch { .. } | Stmt::Take { .. } => false,
        };
        self.uses[at].any = any;
        self.uses[at].inside = (self.uses.len() - at - 1) as u32;
        any
    }
    fn index(&mut self, index: &[Dim]) {
        for dim in index {
            dim.for_each_atom(&mut |atom| {
                if let Atom::Var(v) = atom {
                    self.indexing[*v as usize] = true;
                }
            });
        }
    }
    fn value(&mut self, at: usize, value: ExprId) -> bool {
        let mut todo = vec![value];
        while let Some(x) = todo.pop() {
            if !self.reads[x.index()] || self.seen[x.index()] == at as u32 {
                continue;
            }
            self.seen[x.index()] = at as u32;
            let expr = &self.kernel.exprs[x].expr;
            if let Expr::Local(local, index) = expr {
                self.index(index);
                self.uses[at].reads.push((*local, index));
            }
            todo.extend(expr.operands());
        }
        self.reads[value.index()]
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Read,
    Assign,
    Accumulate(BinaryFn),
}

/// How the iterations of one loop have used an element.
#[derive(Clone, Copy)]
struct Touch {
    by: i64,
    how: How,
    /// Whether several iterations did.
    shared: bool,
    /// Whether it was assigned on every path at the end of the iteration.
    assigned: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Read,
    Accumulated(BinaryFn),
    /// Assigned first, then anything: a value of the iteration's own.
    Fresh,
    /// Several of these in one iteration.
    Mixed,
}

/// Hashes the number of an element, which there are many of.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_usize(b as usize));
    }
    fn write_usize(&mut self, n: usize) {
        self.0 = (self.0 ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}

/// A running loop whose iterations are independent.
#[derive(Default)]
struct Lanes {
    iteration: i64,
    touched: HashMap<usize, Touch, BuildHasherDefault<Spread>>,
    /// The elements that are the current iteration's own.
    fresh: Vec<usize>,
}

impl Lanes {
    /// Notes an access of the current iteration; false when it meets another iteration's.
    fn touch(&mut self, element: usize, access: Access) -> bool {
        let by = self.iteration;
        let first = match access {
            Access::Read => How::Read,
            Access::Assign => How::Fresh,
            Access::Accumulate(f) => How::Accumulated(f),
        };
        let mut new = false;
        let touch = self.touched.entry(element).or_insert_with(|| {
            new = true;
            Touch { by, how: first, shared: false, assigned: false }
        });
        let other = touch.by != by;
        if first == How::Fresh && (new || other) {
            self.fresh.push(element);
        }
        if other {
            (touch.by, touch.shared) = (by, true);
            return touch.how == first;
        }
        if touch.how != first && touch.how != How::Fresh {
            touch.how = How::Mixed;
            return !touch.shared;
        }
        true
    }
}

struct Run<'a> {
    kernel: &'a Kernel,
    /// The first element of each local.
    bases: Vec<usize>,
    uses: Vec<Uses<'a>>,
    indexing: Vec<bool>,
    /// The values of the variables that index locals.
    values: Vec<Option<i64>>,
    /// A bit per element.
    assigned: Vec<u64>,
    /// From the outermost loop to the innermost.
    lanes: Vec<Lanes>,
    at: usize,
    steps: usize,
}

impl Run<'_> {
    fn kernel(mut self) -> Check {
        self.block(&self.kernel.body)
    }
    fn block(&mut self, block: &[Stmt]) -> Check {
        block.iter().try_for_each(|stmt| self.stmt(stmt))
    }
    fn stmt(&mut self, stmt: &Stmt) -> Check {
        let at = self.at;
        self.at += 1;
        if !self.uses[at].any {
            self.at += self.uses[at].inside as usize;
            return Ok(());
        }
        self.steps += 1;
        ensure(self.steps < MAX_STEPS + 8 * self.uses.len(), || "the registers expand to too many statements".into())?;
        for n in 0..self.uses[at].reads.len() {
            let (local, index) = self.uses[at].reads[n];
            self.access(local, index, Access::Read)?;
        }
        match stmt {
            Stmt::For { var, kind, body } => self.each(*var, *kind, body)?,
            Stmt::If { then, otherwise, .. } => {
                let before = self.assigned.clone();
                self.block(then)?;
                let after = std::mem::replace(&mut self.assigned, before);
                self.block(otherwise)?;
                self.assigned.iter_mut().zip(after).for_each(|(a, b)| *a &= b);
            }
            Stmt::Assign { local, index, .. } => self.access(*local, index, Access::Assign)?,
            Stmt::Accumulate { local, index, f, .. } => self.access(*local, index, Access::Accumulate(*f))?,
            Stmt::Set { .. } | Stmt::Store { .. } | Stmt::Update { .. } => (),
            Stmt::Prefetch { .. } | Stmt::Check { .. } | Stmt::Append { .. } | Stmt::Take { .. } => (),
        }
        Ok(())
    }
    fn each(&mut self, var: VarId, kind: LoopKind, body: &[Stmt]) -> Check {
        let extent = self.kernel.loop_extent(var).as_int();
        let expands = matches!(kind, LoopKind::Unroll | LoopKind::Vector);
        let independent = matches!(kind, LoopKind::Vector | LoopKind::Parallel);
        let times = match extent {
            Some(n) if expands && self.indexing[var.index()] => n.max(0),
            Some(n) => n.clamp(1, 1 + independent as i64),
            None => 1 + independent as i64,
        };
        let (start, before) = (self.at, self.assigned.clone());
        if independent {
            self.lanes.push(Lanes::default());
        }
        for n in 0..times {
            self.at = start;
            self.values[var.index()] = (expands && extent.is_some()).then_some(n);
            if let Some(lanes) = self.lanes.last_mut().filter(|_| independent) {
                lanes.iteration = n;
            }
            self.block(body)?;
            if let Some(lanes) = self.lanes.last_mut().filter(|_| independent) {
                // Nothing that an iteration assigned is there for the next.
                for element in lanes.fresh.drain(..) {
                    let assigned = take(&mut self.assigned, element);
                    lanes.touched.entry(element).and_modify(|t| t.assigned = assigned);
                }
            }
        }
        self.values[var.index()] = None;
        self.at = start + self.uses[start - 1].inside as usize;
        let runs = extent.is_some_and(|n| n > 0);
        if !runs {
            self.assigned = before;
        }
        if independent && let Some(lanes) = self.lanes.pop() {
            for (element, touch) in lanes.touched.into_iter().filter(|(_, t)| t.how == How::Fresh) {
                if touch.shared {
                    take(&mut self.assigned, element);
                } else if touch.assigned && runs {
                    self.assigned[element / 64] |= 1 << (element % 64);
                }
            }
        }
        Ok(())
    }
    fn access(&mut self, local: LocalId, index: &[Dim], access: Access) -> Check {
        let (n, shape) = (local.index(), &self.kernel.locals[local].shape);
        let mut element = 0;
        for (&extent, dim) in shape.iter().zip(index) {
            let value = dim.eval_with(&|atom| match atom {
                Atom::Var(v) => self.values[*v as usize],
                _ => None,
            });
            let value = value.ok_or_else(|| format!("the index {dim} of local {n} is not constant when expanded"))?;
            let value = usize::try_from(value).ok().filter(|&v| v < extent);
            let value = value.ok_or_else(|| format!("the index {dim} leaves the extent {extent} of local {n}"))?;
            element = element * extent + value;
        }
        element += self.bases[n];
        let (word, bit) = (element / 64, 1u64 << (element % 64));
        if access == Access::Assign {
            self.assigned[word] |= bit;
        }
        ensure(self.assigned[word] & bit != 0, || format!("local {n} is used before it is assigned on every path"))?;
        let apart = self.lanes.iter_mut().fold(true, |apart, lanes| lanes.touch(element, access) & apart);
        ensure(apart, || format!("iterations of a vector or parallel loop meet in local {n}"))
    }
}

/// Clears an element's bit, which is returned.
fn take(assigned: &mut [u64], element: usize) -> bool {
    let (word, bit) = (&mut assigned[element / 64], 1 << (element % 64));
    let was = *word & bit != 0;
    *word &= !bit;
    was
}
