//! Values of dims in a routine, with every overflow noticed: whatever a caller says, no size wraps.

use smc_runtime::abi::Status;

use super::{Compare, Field, Op, Slots, Type, Value, VarId, WordOp, write::Writer};
use crate::{
    base::{
        Dim,
        dim::{Atom, NoVars, Term},
    },
    plan::{Guard, Program},
    tensor::DType,
};

/// Symbols with more bits are refused: no tensor is that long, and the products of one with a constant need no check.
pub const SYMBOL_BITS: u32 = 40;

/// Formulas that may be so great are taken to be any number.
const LARGE: f64 = (1u64 << 52) as f64;

/// Whether no step of computing the dim overflows, whatever the symbols are.
pub fn fits(dim: &Dim) -> bool {
    most(dim) < 1 << 62
}

/// The greatest magnitude that a dim can have, or any step of computing it.
fn most(dim: &Dim) -> u128 {
    let atom = |atom: &Atom| match atom {
        Atom::Sym(_) => 1 << SYMBOL_BITS,
        Atom::Div(a, b) if b.as_int().is_some_and(|b| b > 0) => most(a).saturating_add(1),
        Atom::Div(..) | Atom::Var(_) => u128::MAX,
        Atom::Max(a, b) => most(a).max(most(b)),
        Atom::Of(formula) => {
            let (least, most) = formula.range();
            if most.max(-least) < LARGE { most.max(-least) as u128 } else { u128::MAX }
        }
    };
    let term = |t: &Term| t.atoms.iter().map(atom).fold(u128::from(t.k.unsigned_abs()), u128::saturating_mul);
    dim.terms().iter().map(term).fold(0, u128::saturating_add)
}

/// Values of dims over a program's symbols, with every overflow noticed.
pub(super) struct Sizes<'a> {
    pub program: &'a Program,
    pub symbols: Vec<Value>,
    /// The values of the program's formulas, as far as they are computed.
    pub formulas: Vec<Value>,
    /// Negative when something overflowed or a division was not by a positive number.
    wrapped: Option<Value>,
    /// The sizes of this call have been checked before: there is nothing to notice.
    known: bool,
}

impl<'p> Sizes<'p> {
    /// Of these symbols, with the formulas computed.
    pub fn of(w: &mut Writer<'_>, program: &'p Program, symbols: Vec<Value>) -> Sizes<'p> {
        Sizes { program, symbols, formulas: vec![], wrapped: None, known: false }.with_formulas(w)
    }
    /// The same where all sizes of the call have been checked.
    pub fn of_accepted(w: &mut Writer<'_>, program: &'p Program, symbols: Vec<Value>) -> Sizes<'p> {
        Sizes { program, symbols, formulas: vec![], wrapped: None, known: true }.with_formulas(w)
    }
    fn with_formulas(self, w: &mut Writer<'_>) -> Sizes<'p> {
        let (program, mut sizes) = (self.program, self);
        for formula in &program.formulas {
            // What waits for a size has no value yet.
            let waits = program.last_found([&Dim::from(formula)]).is_some();
            let value = if waits { Value::Int(0) } else { sizes.formula(w, formula) };
            sizes.formulas.push(value);
        }
        sizes
    }
    /// What is computed meanwhile has not been checked before.
    pub fn noticing<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let known = std::mem::replace(&mut self.known, false);
        let result = body(self);
        self.known = known;
        result
    }

    /// What a frame knows of a call's sizes.
    pub fn in_frame(w: &mut Writer<'_>, program: &'p Program, io: VarId, frame: VarId) -> Sizes<'p> {
        let symbols = symbols(w, program, io);
        let mut formulas = vec![];
        if !program.formulas.is_empty() {
            let values = w.load(frame, Field::Formulas);
            formulas = (0..program.formulas.len()).map(|n| w.load(values, Field::Word(n as u32)).into()).collect();
        }
        Sizes { program, symbols, formulas, wrapped: None, known: true }
    }

    pub fn dim(&mut self, w: &mut Writer<'_>, dim: &Dim) -> Value {
        let safe = fits(dim);
        let mut sum: Option<Value> = None;
        for term in dim.terms() {
            let mut product = None;
            for atom in &term.atoms {
                let factor = self.atom(w, atom);
                product = Some(match product {
                    None => factor,
                    Some(product) if safe => w.mul(product, factor),
                    Some(product) => self.times(w, product, factor),
                });
            }
            let product = match product {
                None => term.k.into(),
                Some(product) if term.k == 1 => product,
                Some(product) if safe => w.mul(product, term.k),
                Some(product) => self.times(w, product, term.k.into()),
            };
            sum = Some(match sum {
                None => product,
                Some(sum) if safe => w.add(sum, product),
                Some(sum) => self.plus(w, sum, product),
            });
        }
        sum.unwrap_or(Value::Int(0))
    }

    fn atom(&mut self, w: &mut Writer<'_>, atom: &Atom) -> Value {
        match atom {
            Atom::Sym(s) => {
                let n = self.program.symbols.iter().position(|known| known == s);
                self.symbols[n.unwrap_or_else(|| panic!("`{s}` is not a symbol of the program"))]
            }
            Atom::Of(formula) => {
                let n = self.program.formulas.iter().position(|known| known == formula);
                self.formulas[n.unwrap_or_else(|| panic!("`{formula}` is not a formula of the program"))]
            }
            Atom::Var(v) => panic!("i{v} occurs outside of kernels"),
            Atom::Div(a, b) if b.as_int().is_some_and(|b| b > 0) && a.is_nonneg(&NoVars) => {
                let (a, b) = (self.dim(w, a), self.dim(w, b));
                w.word(WordOp::Div, a, b)
            }
            Atom::Div(a, b) => {
                let (a, b) = (self.dim(w, a), self.dim(w, b));
                let fine = w.is(Compare::Gt, b, 0);
                let divisor = w.select(fine, b, 1);
                let bad = w.word(WordOp::Sub, b, 1);
                self.note(w, bad);
                let quotient = w.word(WordOp::Div, a, divisor);
                let rest = w.word(WordOp::Rem, a, divisor);
                let below = w.is(Compare::Lt, rest, 0);
                let lower = w.add(quotient, -1);
                w.select(below, lower, quotient)
            }
            Atom::Max(a, b) => {
                let (a, b) = (self.dim(w, a), self.dim(w, b));
                let greater = w.is(Compare::Gt, a, b);
                w.select(greater, a, b)
            }
        }
    }

    pub fn plus(&mut self, w: &mut Writer<'_>, a: Value, b: Value) -> Value {
        let sum = w.add(a, b);
        if self.known {
            return sum;
        }
        let wraps = w.word(WordOp::AddWraps, a, b);
        self.note(w, wraps);
        sum
    }

    pub fn times(&mut self, w: &mut Writer<'_>, a: Value, b: Value) -> Value {
        let product = w.mul(a, b);
        if self.known {
            return product;
        }
        let wraps = w.word(WordOp::MulWraps, a, b);
        self.note(w, wraps);
        product
    }

    /// Notes an overflow when `sign` is negative.
    pub fn note(&mut self, w: &mut Writer<'_>, sign: Value) {
        if self.known {
            return;
        }
        self.wrapped = Some(match self.wrapped {
            None => sign,
            Some(before) => w.word(WordOp::Or, before, sign),
        });
    }

    pub fn leave_if_wrapped(&mut self, w: &mut Writer<'_>) {
        if let Some(wrapped) = self.wrapped.take() {
            let bad = w.is(Compare::Lt, wrapped, 0);
            w.leave_if(bad, Status::BadDimension);
        }
    }

    /// Whether a guard holds, where nothing overflows.
    pub fn holds(&mut self, w: &mut Writer<'_>, guard: &Guard) -> VarId {
        match guard {
            Guard::Equal(a, b) => {
                let (a, b) = (self.dim(w, a), self.dim(w, b));
                w.is(Compare::Eq, a, b)
            }
            Guard::Repeated(from, to) => {
                let (from, to) = (self.dim(w, from), self.dim(w, to));
                let one = w.is(Compare::Eq, from, 1);
                let equal = w.is(Compare::Eq, from, to);
                w.either(one, equal)
            }
            Guard::Nonneg(d) => {
                let d = self.dim(w, d);
                w.is(Compare::Ge, d, 0)
            }
        }
    }

    /// Whether all guards hold and nothing that was computed has overflowed or has no value.
    pub fn all_hold(&mut self, w: &mut Writer<'_>, guards: &[Guard]) -> VarId {
        let mut all = None;
        for guard in guards {
            let holds = self.holds(w, guard);
            all = Some(all.map_or(holds, |all| w.both(all, holds)));
        }
        if let Some(wrapped) = self.wrapped.take() {
            let fine = w.is(Compare::Ge, wrapped, 0);
            all = Some(all.map_or(fine, |all| w.both(all, fine)));
        }
        all.unwrap_or_else(|| w.is(Compare::Eq, 0, 0))
    }

    /// Refuses sizes that overflow or are negative. `seen` holds what needs no other look.
    pub fn check(&mut self, w: &mut Writer<'_>, buffers: impl Iterator<Item = (DType, Dim)>, seen: &mut Vec<Dim>) {
        for (dtype, len) in buffers {
            let bytes = len * dtype.size() as i64;
            if bytes.as_int().is_some_and(|n| n < i64::MAX) || seen.contains(&bytes) {
                continue;
            }
            if !(fits(&bytes) && bytes.is_nonneg(&NoVars)) {
                let size = self.dim(w, &bytes);
                let negative = w.is(Compare::Lt, size, 0);
                w.leave_if(negative, Status::BadDimension);
            }
            seen.push(bytes);
        }
    }
}

/// The symbols of a call.
pub(super) fn symbols(w: &mut Writer<'_>, program: &Program, io: VarId) -> Vec<Value> {
    (0..program.symbols.len()).map(|n| w.load(io, Field::Number(Slots(program).symbol(n))).into()).collect()
}

/// The address of values in memory of the routine's own.
pub(super) fn kept(w: &mut Writer<'_>, values: &[Value]) -> VarId {
    let address = w.set(Type::Address, Op::Stack(8 * values.len() as u32));
    for (n, &value) in values.iter().enumerate() {
        w.store(address, Field::Word(n as u32), value);
    }
    address
}
