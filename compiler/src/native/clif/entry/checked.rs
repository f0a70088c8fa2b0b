//! Values of dims in an entry, with every overflow noticed: whatever a caller says, no size wraps.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};
use smc_runtime::abi::Status;

use super::Writer;
use crate::{
    base::{
        Dim,
        dim::{Atom, NoVars, Term},
    },
    plan::Program,
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
pub struct Checked<'a> {
    pub program: &'a Program,
    pub symbols: Vec<Value>,
    /// The values of the program's formulas, as far as they are computed.
    pub formulas: Vec<Value>,
    /// Negative when something overflowed or a division was not by a positive number.
    pub wrapped: Option<Value>,
}

impl Checked<'_> {
    pub fn dim(&mut self, w: &mut Writer<'_>, dim: &Dim) -> Value {
        let safe = fits(dim);
        let mut sum = None;
        for term in dim.terms() {
            let mut product = None;
            for atom in &term.atoms {
                let factor = self.atom(w, atom);
                product = Some(match product {
                    None => factor,
                    Some(product) if safe => w.b.ins().imul(product, factor),
                    Some(product) => self.times(w, product, factor),
                });
            }
            let product = match product {
                None => w.b.ins().iconst(types::I64, term.k),
                Some(product) if term.k == 1 => product,
                Some(product) if safe => w.b.ins().imul_imm_s(product, term.k),
                Some(product) => {
                    let factor = w.b.ins().iconst(types::I64, term.k);
                    self.times(w, product, factor)
                }
            };
            sum = Some(match sum {
                None => product,
                Some(sum) if safe => w.b.ins().iadd(sum, product),
                Some(sum) => self.plus(w, sum, product),
            });
        }
        sum.unwrap_or_else(|| w.b.ins().iconst(types::I64, 0))
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
                w.b.ins().sdiv(a, b)
            }
            Atom::Div(a, b) => {
                let (a, b) = (self.dim(w, a), self.dim(w, b));
                let one = w.b.ins().iconst(types::I64, 1);
                let fine = w.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, b, 0);
                let divisor = w.b.ins().select(fine, b, one);
                let minus_one = w.b.ins().iconst(types::I64, -1);
                let bad = w.b.ins().isub(b, one);
                self.note(w, bad);
                let quotient = w.b.ins().sdiv(a, divisor);
                let rest = w.b.ins().srem(a, divisor);
                let below = w.b.ins().icmp_imm_s(IntCC::SignedLessThan, rest, 0);
                let lower = w.b.ins().iadd(quotient, minus_one);
                w.b.ins().select(below, lower, quotient)
            }
            Atom::Max(a, b) => {
                let (a, b) = (self.dim(w, a), self.dim(w, b));
                let greater = w.b.ins().icmp(IntCC::SignedGreaterThan, a, b);
                w.b.ins().select(greater, a, b)
            }
        }
    }

    pub(super) fn plus(&mut self, w: &mut Writer<'_>, a: Value, b: Value) -> Value {
        let sum = w.b.ins().iadd(a, b);
        // The sign differs from both operands' signs.
        let (x, y) = (w.b.ins().bxor(a, sum), w.b.ins().bxor(b, sum));
        let wrapped = w.b.ins().band(x, y);
        self.note(w, wrapped);
        sum
    }

    pub(super) fn times(&mut self, w: &mut Writer<'_>, a: Value, b: Value) -> Value {
        let (low, high) = (w.b.ins().imul(a, b), w.b.ins().smulhi(a, b));
        // The high half is nothing but the low half's sign.
        let sign = w.b.ins().sshr_imm_u(low, 63);
        let wrapped = w.b.ins().icmp(IntCC::NotEqual, high, sign);
        let wrapped = w.b.ins().uextend(types::I64, wrapped);
        let wrapped = w.b.ins().ineg(wrapped);
        self.note(w, wrapped);
        low
    }

    /// Notes an overflow when `sign` is negative.
    pub(super) fn note(&mut self, w: &mut Writer<'_>, sign: Value) {
        self.wrapped = Some(match self.wrapped {
            None => sign,
            Some(before) => w.b.ins().bor(before, sign),
        });
    }

    pub fn leave_if_wrapped(&mut self, w: &mut Writer<'_>) {
        if let Some(wrapped) = self.wrapped.take() {
            let bad = w.b.ins().icmp_imm_s(IntCC::SignedLessThan, wrapped, 0);
            w.leave_if(bad, Status::BadDimension);
        }
    }
}
