//! What an operator needs to hold of extents, by the best of these: it is proved; it is a substitution, with which the
//! import starts again; it is an assumption that the compiled entry checks.

use super::{Import, Stop, import::Step};
use crate::base::{
    Dim, Symbol,
    dim::{Atom, Known, NoVars, Term},
};

impl Import<'_> {
    /// Whether a dim is proved to be at least 0, for every iteration of the loops around that there is.
    pub(super) fn is_nonneg(&self, d: &Dim) -> bool {
        self.is_nonneg_in(&self.steps, d)
    }
    fn is_nonneg_in(&self, steps: &[Step], d: &Dim) -> bool {
        if d.is_nonneg(&NoVars) {
            return true;
        }
        let Some((step, around)) = steps.split_last() else { return false };
        let Some((factor, rest)) = affine(d, &step.symbol) else { return self.is_nonneg_in(around, d) };
        if self.is_nonneg_in(around, &factor) {
            return self.is_nonneg_in(around, &rest);
        }
        let last = |below: &Dim| &rest + (below - 1) * &factor;
        self.is_nonneg_in(around, &-&factor) && step.below.iter().any(|b| self.is_nonneg_in(around, &last(b)))
    }
    /// Whether a dim depends on the iteration of a loop around.
    pub(super) fn varies(&self, d: &Dim) -> bool {
        !self.steps.is_empty() && d.symbols().iter().any(|symbol| self.steps.iter().any(|step| step.symbol == *symbol))
    }
    /// The greater of both, decided where that can be.
    pub(super) fn greater(&self, a: &Dim, b: &Dim) -> Dim {
        match () {
            () if self.is_nonneg(&(a - b)) => a.clone(),
            () if self.is_nonneg(&(b - a)) => b.clone(),
            () => a.at_least(b),
        }
    }
    /// The lesser of both, decided where that can be.
    pub(super) fn lesser(&self, a: &Dim, b: &Dim) -> Dim {
        -self.greater(&-a, &-b)
    }

    /// Sees to it that `a == b`.
    pub(super) fn require_equal(&mut self, a: &Dim, b: &Dim, what: &str) -> Result<(), Stop> {
        let impossible = || Err(Stop::from(format!("{what} must be equal, but {a} differs from {b}")));
        match self.graph.facts().same(a, b) {
            Known::Always => Ok(()),
            Known::Never => impossible(),
            Known::Unknown => {
                let difference = a - b;
                if self.varies(&difference) {
                    let what = format!("{what} must be equal in every iteration of the loop, but are {a} and {b}");
                    return Err(what.into());
                }
                if [&difference, &-&difference].iter().any(|d| (*d - 1).is_nonneg(&NoVars)) {
                    return impossible();
                }
                // What data decide replaces no extent, nor the other way round.
                let is_open = !is_stretched(&difference) && !self.is_found(&difference);
                match solve(&difference).filter(|_| is_open) {
                    Some((_, dim)) if dim.as_int().is_some_and(|n| n < 0) => impossible(),
                    Some((symbol, dim)) => Err(Stop::Assume(symbol, dim)),
                    None => {
                        self.graph.assume_equal(a.clone(), b.clone());
                        Ok(())
                    }
                }
            }
        }
    }
    /// Sees to it that `a <= b`; as an assumption it reads `max(a, b) == b`.
    pub(super) fn require_at_most(&mut self, a: &Dim, b: &Dim, what: &str) -> Result<(), Stop> {
        if self.is_nonneg(&(b - a)) {
            return Ok(());
        }
        if self.varies(&(b - a)) {
            return Err(format!("{what}: {a} may be more than {b} in an iteration of the loop").into());
        }
        if (a - b - 1).is_nonneg(&NoVars) {
            return Err(format!("{what}: {a} is more than {b}").into());
        }
        self.graph.assume_equal(a.at_least(b), b.clone());
        Ok(())
    }
}

/// The factor of a symbol, a number, and the rest, where the symbol occurs in no other way.
pub(super) fn linear(d: &Dim, symbol: &Symbol) -> Option<(i64, Dim)> {
    let (factor, rest) = affine(d, symbol)?;
    Some((factor.as_int()?, rest))
}

/// The factor of a symbol and the rest, where the symbol occurs in no other way.
fn affine(d: &Dim, symbol: &Symbol) -> Option<(Dim, Dim)> {
    let own = Atom::Sym(symbol.clone());
    let (with, without): (Vec<&Term>, _) = d.terms().iter().partition(|term| term.atoms.contains(&own));
    let divided = with.into_iter().map(|term| {
        let mut atoms = term.atoms.clone();
        atoms.remove(atoms.iter().position(|atom| *atom == own).expect("it has the symbol"));
        Term { atoms, k: term.k }
    });
    let (factor, rest) = (Dim::from_terms(divided), Dim::from_terms(without.into_iter().cloned()));
    let is_free = |dim: &Dim| !dim.symbols().contains(symbol);
    (is_free(&factor) && is_free(&rest)).then_some((factor, rest))
}

/// Whether an extent that others are broadcast to is in it: no symbol is replaced by what shows only at a call.
fn is_stretched(dim: &Dim) -> bool {
    let mut found = false;
    dim.for_each_atom(&mut |atom| {
        found |= matches!(atom, Atom::Max(..)) && Dim::atom(atom.clone()).broadcast_of().is_some();
    });
    found
}

/// The symbol and its value when `difference == 0` says that a symbol is another symbol, a constant, or a polynomial
/// in other symbols: a substitution must not bring in quotients that only hide the symbol. The leading axis keeps its
/// name where two symbols meet.
fn solve(difference: &Dim) -> Option<(Symbol, Dim)> {
    let candidates = difference.terms().iter().filter_map(|term| {
        let [Atom::Sym(symbol)] = &term.atoms[..] else { return None };
        let rest = difference - Dim::from_terms([term.clone()]);
        let divides = rest.terms().iter().all(|t| t.k % term.k == 0);
        if !divides || rest.symbols().contains(symbol) {
            return None;
        }
        let dim = Dim::from_terms(rest.terms().iter().map(|t| Term { atoms: t.atoms.clone(), k: -(t.k / term.k) }));
        // A negative value for some symbols is a question for the entry, not a substitution.
        (dim.as_int().is_some() || dim.is_nonneg(&NoVars)).then(|| (symbol.clone(), dim))
    });
    candidates.min_by_key(|(symbol, dim)| (dim.as_int().is_none(), symbol.name() == "batch", dim.terms().len()))
}

#[test]
fn a_symbol_is_solved_for_where_that_is_exact() {
    let d = |text: &str| text.parse::<Dim>().unwrap();
    let solved = |text: &str| solve(&d(text)).map(|(s, dim)| format!("{s}={dim}"));
    assert_eq!(solved("x_1-4").as_deref(), Some("x_1=4"));
    assert_eq!(solved("batch-b_0").as_deref(), Some("b_0=batch"));
    assert_eq!(solved("3*x_1-12").as_deref(), Some("x_1=4"));
    assert_eq!(solved("2*x_1-5"), None);
    assert_eq!(solved("x_1-2*floor(x_1,2)"), None);
    assert_eq!(solved("batch*x_1-12"), None);
}
