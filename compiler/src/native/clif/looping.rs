//! Loops: expanded, counted, or run by lanes.
//!
//! A counted loop tests once before it starts and then at its end. What does not change in it is computed between the
//! first test and its first iteration, so a loop that does not run reads nothing.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::{
    address::Key,
    kernel::{Bind, Lower},
    wide::Part,
};
use crate::{
    base::{
        Dim,
        dim::{Atom, Term},
    },
    loops::{Expr, ExprId, LoopKind, Stmt, VarId, statements},
};

/// A vector loop of at most this many vectors and without inner loops is expanded.
const SHORT: i64 = 4;
/// An unrolled loop beyond this is a loop, unless it indexes registers.
const LONG: i64 = 256;
/// A vector loop with single elements at its end is expanded to at most so many statements.
const STATEMENTS: i64 = 40;
/// Counters of one loop that are kept beside its variable; further multiples are multiplied.
const COUNTERS: usize = 8;

/// The bound of a loop.
#[derive(Clone, Copy)]
enum At {
    Const(i64),
    Run(Value),
}

/// A multiple of a loop's variable that is counted along.
struct Counter {
    multiple: Dim,
    start: Value,
    step: Value,
}

impl Lower<'_, '_> {
    pub fn run_loop(&mut self, var: VarId, kind: LoopKind, body: &[Stmt]) {
        let lanes = self.lanes(var, kind);
        if let Some(steps) = self.expansion(var, kind, body) {
            let wide: Vec<(i64, Part)> = steps.iter().filter_map(|(at, part)| Some((*at, (*part)?))).collect();
            let single = steps.iter().filter(|(_, part)| part.is_none());
            let step = |l: &mut Self, at: i64| {
                l.inlined(|l| {
                    l.bind(var, Bind::Const(at));
                    l.block(body);
                })
            };
            if let Some(lanes) = lanes.filter(|_| !wide.is_empty()) {
                let n = wide.len() * lanes.width;
                let copies = self.copies(&lanes, Some(n as i64), body);
                self.by_lanes(var, &lanes, copies, |l| {
                    for (n, (at, part)) in wide.iter().enumerate() {
                        l.in_part(*part, |l| l.in_copy(var, n % copies, 0, |l| step(l, *at)));
                    }
                });
            }
            single.for_each(|(at, _)| step(self, *at));
            return;
        }
        let (start, end) = if kind == LoopKind::Parallel && self.parallel {
            if let Some(turn) = &self.k.turn {
                return self.there_and_back(var, body, turn);
            }
            (At::Run(self.range.0), At::Run(self.range.1))
        } else {
            let extent = self.resolve(self.k.loop_extent(var));
            let end = extent.as_int().map(At::Const);
            (At::Const(0), end.unwrap_or_else(|| At::Run(self.dim(&extent))))
        };
        let Some(lanes) = lanes else { return self.counted(var, body, start, end, 1, 1) };
        let width = lanes.width as i64;
        let middle = self.round_down(end, width);
        if lanes.masked {
            let n = if let At::Const(n) = end { Some(n) } else { None };
            let copies = self.copies(&lanes, n, body);
            return self.by_lanes(var, &lanes, copies, |l| {
                let whole = if copies > 1 { l.round_down(end, width * copies as i64) } else { start };
                if copies > 1 {
                    l.counted(var, body, start, whole, width, copies);
                }
                l.counted(var, body, whole, middle, width, 1);
                l.rest(var, body, middle, end);
            });
        }
        self.by_lanes(var, &lanes, 1, |l| l.counted(var, body, start, middle, width, 1));
        self.counted(var, body, middle, end, 1, 1);
    }

    /// The greatest multiple of `by`, a power of two, up to a place.
    fn round_down(&mut self, at: At, by: i64) -> At {
        match at {
            At::Const(n) => At::Const(n - n % by),
            At::Run(n) => At::Run(self.b.ins().band_imm_s(n, -by)),
        }
    }

    /// The lanes from `middle` to `end`, fewer than a vector, at once.
    fn rest(&mut self, var: VarId, body: &[Stmt], middle: At, end: At) {
        let (middle, end) = match (middle, end) {
            (At::Const(middle), At::Const(end)) if middle == end => return,
            (At::Const(middle), At::Const(end)) => {
                return self.in_part(Part::First(end - middle), |l| {
                    l.inlined(|l| {
                        l.bind(var, Bind::Const(middle));
                        l.block(body);
                    })
                });
            }
            (middle, end) => (self.value(middle), self.value(end)),
        };
        let n = self.b.ins().isub(end, middle);
        let [some, after] = [(); 2].map(|()| self.b.create_block());
        self.b.ins().brif(n, some, &[], after, &[]);
        self.b.switch_to_block(some);
        self.b.seal_block(some);
        self.scoped(|l| {
            l.bind(var, Bind::Run(middle, l.level));
            l.hoist_addresses(body);
            l.in_part(Part::Some(n), |l| l.block(body));
        });
        self.b.ins().jump(after, &[]);
        self.b.switch_to_block(after);
        self.b.seal_block(after);
    }

    fn value(&mut self, at: At) -> Value {
        match at {
            At::Const(n) => self.b.ins().iconst(types::I64, n),
            At::Run(value) => value,
        }
    }

    /// The values of the variable of a loop that is to be expanded; each stands for one element or for lanes.
    pub fn expansion(&mut self, var: VarId, kind: LoopKind, body: &[Stmt]) -> Option<Vec<(i64, Option<Part>)>> {
        if kind == LoopKind::Parallel && self.parallel {
            return None;
        }
        let n = self.resolve(self.k.loop_extent(var)).as_int()?;
        if n <= 1 {
            return Some((0..n).map(|i| (i, None)).collect());
        }
        let indexes_registers = self.analysis.indexed.contains(&var);
        match kind {
            LoopKind::Unroll if n <= LONG || indexes_registers => Some((0..n).map(|i| (i, None)).collect()),
            LoopKind::Vector => {
                let masked = self.lanes(var, kind).is_some_and(|l| l.masked);
                let lanes = self.lanes(var, kind).map(|l| l.width as i64);
                let straight = !body.iter().any(|s| matches!(s, Stmt::For { .. }));
                let copies = |w: i64| n / w + n % w;
                let short = straight
                    && lanes.is_some_and(|w| {
                        n <= SHORT * w && (masked || copies(w) * statements(body).count() as i64 <= STATEMENTS)
                    });
                if !short && !indexes_registers {
                    return None;
                }
                let whole = lanes.map_or(0, |w| n - n % w);
                let vectors = (0..whole).step_by(lanes.unwrap_or(1) as usize).map(|i| (i, Some(Part::All)));
                if masked {
                    let rest = (whole < n).then_some((whole, Some(Part::First(n - whole))));
                    return Some(vectors.chain(rest).collect());
                }
                Some(vectors.chain((whole..n).map(|i| (i, None))).collect())
            }
            _ => None,
        }
    }

    /// Runs `body` from `start` to `end` by `step`, several copies of it in one iteration.
    fn counted(&mut self, var: VarId, body: &[Stmt], start: At, end: At, step: i64, copies: usize) {
        if let (At::Const(a), At::Const(b)) = (start, end)
            && a >= b
        {
            return;
        }
        let (first, limit) = (self.value(start), self.value(end));
        let after = self.b.create_block();
        if !matches!((start, end), (At::Const(_), At::Const(_))) {
            let before = self.b.create_block();
            let runs = self.b.ins().icmp(IntCC::SignedLessThan, first, limit);
            self.b.ins().brif(runs, before, &[], after, &[]);
            self.b.switch_to_block(before);
            self.b.seal_block(before);
        }
        self.scoped(|l| {
            l.hoist_addresses(body);
            l.hoist_values(body);
            l.level += 1;
            let counters = l.counters(var, body, start, first, step * copies as i64);
            l.iterate(var, body, (first, limit), (step, copies), counters);
            l.level -= 1;
        });
        self.b.ins().jump(after, &[]);
        self.b.switch_to_block(after);
        self.b.seal_block(after);
    }

    /// The loop itself; ends in the block that follows it.
    fn iterate(
        &mut self,
        var: VarId,
        body: &[Stmt],
        (first, limit): (Value, Value),
        (step, copies): (i64, usize),
        counters: Vec<Counter>,
    ) {
        let steps = counters.iter().map(|c| (c.start, Some(c.step)));
        let counted: Vec<_> = std::iter::once((first, None)).chain(steps).collect();
        let variables: Vec<_> = counted.iter().map(|_| self.b.declare_var(types::I64)).collect();
        for (variable, (start, _)) in variables.iter().zip(&counted) {
            self.b.def_var(*variable, *start);
        }
        let [block, done] = [(); 2].map(|()| self.b.create_block());
        self.b.ins().jump(block, &[]);
        self.b.switch_to_block(block);
        let now: Vec<Value> = variables.iter().map(|variable| self.b.use_var(*variable)).collect();
        self.scoped(|l| {
            l.bind(var, Bind::Run(now[0], l.level));
            for (counter, &value) in counters.iter().zip(&now[1..]) {
                l.remember(Key::Place(None, counter.multiple.clone()), value);
            }
            l.hoist_addresses(body);
            for copy in 0..copies {
                l.in_copy(var, copy, copy as i64 * step, |l| l.inlined(|l| l.block(body)));
            }
        });
        let mut next = vec![];
        for (&(_, by), &value) in counted.iter().zip(&now) {
            next.push(match by {
                None => self.b.ins().iadd_imm_s(value, step * copies as i64),
                Some(by) => self.b.ins().iadd(value, by),
            });
        }
        for (variable, &value) in variables.iter().zip(&next) {
            self.b.def_var(*variable, value);
        }
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next[0], limit);
        self.b.ins().brif(more, block, &[], done, &[]);
        self.b.seal_block(block);
        self.b.switch_to_block(done);
        self.b.seal_block(done);
    }

    /// The multiples of `var` in the addresses of `body`, to be counted from `first` by `step`.
    fn counters(&mut self, var: VarId, body: &[Stmt], start: At, first: Value, step: i64) -> Vec<Counter> {
        let level = self.level;
        let places = self.scoped(|l| {
            l.bind(var, Bind::Run(first, level));
            l.places(body)
        });
        let mut counters: Vec<Counter> = vec![];
        for (_, dim) in places {
            let Some((multiple, factor)) = multiple_of(&dim, var) else { continue };
            let known = counters.iter().any(|c| c.multiple == multiple);
            if known || factor.is(1) || counters.len() == COUNTERS || !self.is_available(&factor) {
                continue;
            }
            let factor = self.dim(&factor);
            let step = self.times(factor, step);
            let start = match start {
                At::Const(0) => first,
                _ => self.b.ins().imul(first, factor),
            };
            counters.push(Counter { multiple, start, step });
        }
        counters
    }

    /// Evaluates what `body` computes in every iteration from values that do not change in it. Where vectors are wide a
    /// loop around a loop keeps its registers for that.
    pub(super) fn hoist_values(&mut self, body: &[Stmt]) {
        if self.info.is_wide() && self.has_loop(body) {
            return;
        }
        let mut room = self.info.accumulators;
        self.hoist_block(body, &mut room);
    }

    /// Whether a loop in `body` is counted.
    fn has_loop(&mut self, body: &[Stmt]) -> bool {
        body.iter().any(|stmt| match stmt {
            Stmt::For { var, kind, body } => self.expansion(*var, *kind, body).is_none() || self.has_loop(body),
            Stmt::If { then, otherwise, .. } => self.has_loop(then) || self.has_loop(otherwise),
            _ => false,
        })
    }

    fn hoist_block(&mut self, body: &[Stmt], room: &mut usize) {
        for stmt in body {
            match stmt {
                Stmt::Set { value, .. }
                | Stmt::Assign { value, .. }
                | Stmt::Accumulate { value, .. }
                | Stmt::Store { value, .. }
                | Stmt::Update { value, .. } => self.hoist_expr(*value, room),
                // What follows a check may rely on it.
                Stmt::Check { .. } | Stmt::Append { .. } | Stmt::Take { .. } => return,
                Stmt::For { var, kind, body } => {
                    for (at, part) in self.expansion(*var, *kind, body).unwrap_or_default() {
                        let mut hoist = |l: &mut Self| {
                            l.assume(*var, at);
                            l.hoist_block(body, room);
                            l.unassume(*var);
                        };
                        match (self.lanes(*var, *kind), part) {
                            (Some(lanes), Some(part)) => self.as_lanes(*var, &lanes, part, hoist),
                            _ => hoist(self),
                        }
                    }
                }
                Stmt::If { .. } | Stmt::Prefetch { .. } => {}
            }
        }
    }

    /// Binds a variable for a while without closing the scope of the values that are named meanwhile.
    fn assume(&mut self, var: VarId, at: i64) {
        self.binds[var.index()] = Bind::Const(at);
        self.constants += 1;
    }
    fn unassume(&mut self, var: VarId) {
        self.binds[var.index()] = Bind::Unbound;
        self.constants -= 1;
    }

    fn hoist_expr(&mut self, root: ExprId, room: &mut usize) {
        let k = self.k;
        let order: Vec<ExprId> = k.reach(root).collect();
        let mut fixed: Vec<ExprId> = vec![];
        for &e in &order {
            let is_fixed = |e: &ExprId| fixed.contains(e);
            let yes = match &k.exprs[e].expr {
                Expr::Const(_) => true,
                Expr::Var(v) => self.values[v.index()].is_some(),
                Expr::Index(dim) | Expr::Load(_, dim) => self.is_available(&self.resolve(dim)),
                Expr::Local(..) => false,
                other => other.operands().all(|x| is_fixed(&x)),
            };
            if yes {
                fixed.push(e);
            }
        }
        // A variable has its register already, but it is spread over the lanes here.
        let wide = self.wide.is_some();
        let heavy = |e: &ExprId| match k.exprs[*e].expr {
            Expr::Const(_) | Expr::Index(_) => false,
            Expr::Var(_) => wide,
            _ => true,
        };
        if fixed.len() == order.len() && fixed.iter().filter(|e| heavy(e)).count() == 0 {
            return;
        }
        // Only the outermost fixed expressions stay in registers.
        let used_by_moving = |e: &ExprId| {
            *e == root || order.iter().any(|o| !fixed.contains(o) && k.exprs[*o].expr.operands().any(|x| x == *e))
        };
        for e in fixed.clone().iter().filter(|e| heavy(e) && used_by_moving(e)) {
            if *room == 0 {
                return;
            }
            *room -= 1;
            let value = self.eval(*e);
            if self.wide.is_some() {
                self.widen_if_fits(value, k.exprs[*e].dtype);
            }
        }
    }
}

/// The terms of `dim` that mention `var`, and what they multiply it with; `None` when that is not all they do.
fn multiple_of(dim: &Dim, var: VarId) -> Option<(Dim, Dim)> {
    let index = var.index() as u32;
    let mentions = |t: &&Term| Dim::from_terms([(*t).clone()]).mentions_var(index);
    let terms: Vec<Term> = dim.terms().iter().filter(mentions).cloned().collect();
    let mut factors = vec![];
    for term in &terms {
        let mut atoms = term.atoms.clone();
        let at = atoms.iter().position(|a| *a == Atom::Var(index))?;
        atoms.remove(at);
        let factor = Dim::from_terms([Term { atoms, k: term.k }]);
        if factor.mentions_var(index) {
            return None;
        }
        factors.push(factor);
    }
    let factor = factors.into_iter().fold(Dim::zero(), |sum, f| sum + f);
    (!terms.is_empty()).then(|| (Dim::from_terms(terms), factor))
}

/// How far an index moves when `var` grows by one; `None` when that is not the same everywhere.
pub(super) fn stride(dim: &Dim, var: VarId) -> Option<Dim> {
    if !dim.mentions_var(var.index() as u32) {
        return Some(Dim::zero());
    }
    multiple_of(dim, var).map(|(_, factor)| factor)
}
