//! Indices and addresses. Each is a sum of terms; terms that change in the same loop form a group, and an address is
//! base + group of the outermost loop + ... + group of the innermost loop + constant.
//!
//! Every partial sum is computed where its last group changes and is shared by all that need it: a loop computes, when
//! it is entered, the partial sums of all addresses in its body (`hoist_addresses`). The innermost group of a loop is
//! a multiple of its counter, which is counted instead of multiplied (`looping`).

use std::collections::HashSet;

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::{
    expr::Operation,
    kernel::{Bind, Lower, Undo},
};
use crate::{
    base::{
        Dim,
        dim::{Atom, Term},
    },
    loops::{BufferId, Expr, ExprId, LoopKind, Stmt, VarId},
};

/// Names of values that can be shared within a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The address of a buffer's byte, or an integer; without a constant summand.
    Place(Option<BufferId>, Dim),
    /// The value of an operation on values.
    Operation(Operation),
}

impl Key {
    /// Whether the value is named by a variable, and not only by values.
    pub fn mentions(&self, var: VarId) -> bool {
        match self {
            Key::Place(_, dim) | Key::Operation(Operation::Load(_, dim, _)) => dim.mentions_var(var.index() as u32),
            Key::Operation(_) => false,
        }
    }
}

/// A dim without its constant summand.
fn varying(dim: &Dim) -> Dim {
    if dim.constant() == 0 { dim.clone() } else { dim - dim.constant() }
}

impl Lower<'_, '_> {
    pub fn remember(&mut self, key: Key, value: Value) {
        self.undo.push(Undo::Memo(key.clone()));
        self.memo.insert(key, value);
    }

    /// The value of an index.
    pub fn dim(&mut self, dim: &Dim) -> Value {
        let dim = self.resolve(dim);
        let constant = dim.constant();
        if let Some(n) = dim.as_int() {
            return self.b.ins().iconst(types::I64, n);
        }
        let value = self.place(None, &varying(&dim));
        if constant == 0 { value } else { self.b.ins().iadd_imm_s(value, constant) }
    }

    /// A pointer and a displacement for an element of a buffer.
    pub fn element(&mut self, buffer: BufferId, index: &Dim) -> (Value, i32) {
        let bytes = self.resolve(index) * self.k.buffers[buffer].dtype.size() as i64;
        let constant = bytes.constant();
        let pointer = self.place(Some(buffer), &varying(&bytes));
        match i32::try_from(constant) {
            // Room for the parts of an access that the target splits.
            Ok(offset) if offset < i32::MAX - 64 => (pointer, offset),
            _ => (self.b.ins().iadd_imm_s(pointer, constant), 0),
        }
    }

    /// How many loops are around the place where an atom changes; `None` when a variable in it is not bound yet.
    fn atom_level(&self, atom: &Atom) -> Option<u32> {
        match atom {
            Atom::Sym(_) | Atom::Of(_) => Some(0),
            Atom::Var(v) => match self.binds[*v as usize] {
                Bind::Unbound => None,
                Bind::Const(_) => Some(0),
                Bind::Run(_, level) => Some(level),
            },
            Atom::Div(a, b) | Atom::Max(a, b) => {
                let atoms = a.terms().iter().chain(b.terms()).flat_map(|t| &t.atoms);
                atoms.map(|a| self.atom_level(a)).try_fold(0, |max, level| Some(max.max(level?)))
            }
        }
    }
    fn term_level(&self, term: &Term) -> Option<u32> {
        term.atoms.iter().map(|a| self.atom_level(a)).try_fold(0, |max, level| Some(max.max(level?)))
    }
    /// Whether every variable in it is bound.
    pub fn is_available(&self, dim: &Dim) -> bool {
        dim.terms().iter().all(|t| self.term_level(t).is_some())
    }

    /// The value of a resolved dim without constant summand, from the buffer's start if there is one.
    pub fn place(&mut self, buffer: Option<BufferId>, dim: &Dim) -> Value {
        if dim.terms().is_empty() {
            return match buffer {
                Some(buffer) => self.buffers[&buffer],
                None => self.b.ins().iconst(types::I64, 0),
            };
        }
        let key = Key::Place(buffer, dim.clone());
        if let Some(&value) = self.memo.get(&key) {
            return value;
        }
        let level = |t: &Term| self.term_level(t).unwrap_or_else(|| panic!("{dim} is used before it is set"));
        let top = dim.terms().iter().map(level).max().unwrap_or(0);
        let (high, low): (Vec<Term>, Vec<Term>) = dim.terms().iter().cloned().partition(|t| level(t) == top);
        let value = if buffer.is_some() || !low.is_empty() {
            let base = self.place(buffer, &Dim::from_terms(low));
            let group = self.place(None, &Dim::from_terms(high));
            self.b.ins().iadd(base, group)
        } else {
            let mut sum = None;
            for term in &high {
                let product = self.product(term);
                sum = Some(match sum {
                    None => product,
                    Some(sum) => self.b.ins().iadd(sum, product),
                });
            }
            sum.unwrap_or_else(|| unreachable!("the sum has terms"))
        };
        self.remember(key, value);
        value
    }

    fn product(&mut self, term: &Term) -> Value {
        let mut value = None;
        for atom in &term.atoms {
            let factor = self.atom(atom);
            value = Some(match value {
                None => factor,
                Some(value) => self.b.ins().imul(value, factor),
            });
        }
        match (value, term.k) {
            (None, k) => self.b.ins().iconst(types::I64, k),
            (Some(value), k) => self.times(value, k),
        }
    }

    /// A multiple by a constant.
    pub fn times(&mut self, value: Value, k: i64) -> Value {
        match k {
            1 => value,
            -1 => self.b.ins().ineg(value),
            _ if k > 0 && k.count_ones() == 1 => self.b.ins().ishl_imm_u(value, i64::from(k.trailing_zeros())),
            _ => self.b.ins().imul_imm_s(value, k),
        }
    }

    fn atom(&mut self, atom: &Atom) -> Value {
        match atom {
            Atom::Sym(s) => *self.symbols.get(s).unwrap_or_else(|| panic!("`{s}` is not a symbol of the program")),
            Atom::Var(v) => match self.binds[*v as usize] {
                Bind::Run(value, _) => value,
                Bind::Const(n) => self.b.ins().iconst(types::I64, n),
                Bind::Unbound => panic!("i{v} is used before it is set"),
            },
            Atom::Div(a, by) => {
                let key = Key::Place(None, Dim::from_terms([Term { atoms: vec![atom.clone()], k: 1 }]));
                if let Some(&value) = self.memo.get(&key) {
                    return value;
                }
                let value = self.floor_div(a, by);
                self.remember(key, value);
                value
            }
            Atom::Of(f) => *self.formulas.get(f).unwrap_or_else(|| panic!("`{f}` is not a formula of the program")),
            Atom::Max(a, b) => {
                let key = Key::Place(None, Dim::atom(atom.clone()));
                if let Some(&value) = self.memo.get(&key) {
                    return value;
                }
                let (a, b) = (self.dim(a), self.dim(b));
                let greater = self.b.ins().icmp(IntCC::SignedGreaterThan, a, b);
                let value = self.b.ins().select(greater, a, b);
                self.remember(key, value);
                value
            }
        }
    }

    /// Toward negative infinity. A divisor that is not positive divides nothing that is used, and does not trap.
    fn floor_div(&mut self, a: &Dim, by: &Dim) -> Value {
        let nonneg = a.is_nonneg(&self.k.vars);
        let value = self.dim(a);
        let divisor = match by.as_int() {
            Some(n) if n > 0 && n.count_ones() == 1 => {
                return self.b.ins().sshr_imm_u(value, i64::from(n.trailing_zeros()));
            }
            Some(n) => self.b.ins().iconst(types::I64, n.max(1)),
            None => {
                let divisor = self.dim(by);
                let one = self.b.ins().iconst(types::I64, 1);
                let fine = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, divisor, 0);
                self.b.ins().select(fine, divisor, one)
            }
        };
        if nonneg {
            return self.b.ins().udiv(value, divisor);
        }
        let quotient = self.b.ins().sdiv(value, divisor);
        let back = self.b.ins().imul(quotient, divisor);
        let below = self.b.ins().icmp(IntCC::SignedLessThan, value, back);
        let below = self.b.ins().uextend(types::I64, below);
        self.b.ins().isub(quotient, below)
    }

    /// Computes the part of every address in `body` that is known by now.
    pub fn hoist_addresses(&mut self, body: &[Stmt]) {
        for (buffer, dim) in self.places(body) {
            self.place(buffer, &dim);
        }
    }

    /// The parts of the addresses and indices in `body` whose variables are bound, each once, in order of appearance.
    pub fn places(&mut self, body: &[Stmt]) -> Vec<(Option<BufferId>, Dim)> {
        let mut found = Places::default();
        self.collect(body, &mut found);
        found.list
    }

    fn collect(&mut self, body: &[Stmt], found: &mut Places) {
        for stmt in body {
            match stmt {
                Stmt::For { var, kind, body } => {
                    let extent = self.k.loop_extent(*var).clone();
                    self.collect_dim(None, &extent, 1, found);
                    self.collect_loop(*var, *kind, body, found);
                }
                Stmt::Set { value, .. }
                | Stmt::Assign { value, .. }
                | Stmt::Accumulate { value, .. }
                | Stmt::Append { value }
                | Stmt::Check { cond: value, .. } => self.collect_expr(*value, found),
                Stmt::Store { buffer, index, value } | Stmt::Update { buffer, index, value, .. } => {
                    self.collect_expr(*value, found);
                    self.collect_dim(Some(*buffer), index, self.k.buffers[*buffer].dtype.size() as i64, found);
                }
                Stmt::Prefetch { buffer, index, .. } if self.info.is_wide() => {
                    self.collect_dim(Some(*buffer), index, self.k.buffers[*buffer].dtype.size() as i64, found);
                }
                Stmt::Prefetch { .. } | Stmt::Take { .. } => {}
                Stmt::If { bounds, then, otherwise } => {
                    for bound in bounds {
                        self.collect_dim(None, &bound.index, 1, found);
                        self.collect_dim(None, &bound.extent, 1, found);
                    }
                    self.collect(then, found);
                    self.collect(otherwise, found);
                }
            }
        }
    }

    fn collect_loop(&mut self, var: VarId, kind: LoopKind, body: &[Stmt], found: &mut Places) {
        match self.expansion(var, kind, body) {
            Some(steps) => {
                for (at, _) in steps {
                    self.scoped(|l| {
                        l.bind(var, Bind::Const(at));
                        l.collect(body, found);
                    });
                }
            }
            None => self.collect(body, found),
        }
    }

    fn collect_expr(&mut self, root: ExprId, found: &mut Places) {
        let k = self.k;
        for e in k.reach(root) {
            match &k.exprs[e].expr {
                Expr::Index(dim) => self.collect_dim(None, dim, 1, found),
                Expr::Load(buffer, dim) => {
                    self.collect_dim(Some(*buffer), dim, k.buffers[*buffer].dtype.size() as i64, found)
                }
                _ => {}
            }
        }
    }

    fn collect_dim(&mut self, buffer: Option<BufferId>, dim: &Dim, scale: i64, found: &mut Places) {
        let dim = self.resolve(dim) * scale;
        let known = |t: &&Term| !t.atoms.is_empty() && self.term_level(t).is_some();
        let part = Dim::from_terms(dim.terms().iter().filter(known).cloned());
        if !part.terms().is_empty() && found.seen.insert((buffer, part.clone())) {
            found.list.push((buffer, part));
        }
    }
}

#[derive(Default)]
struct Places {
    list: Vec<(Option<BufferId>, Dim)>,
    seen: HashSet<(Option<BufferId>, Dim)>,
}
