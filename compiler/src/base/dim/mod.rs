//! Symbolic extents and indices in one normal form, so that `==` is the only equality.
//!
//! A [`Dim`] is a sum of terms; a term is an integer times a sorted product of atoms; an atom is a named symbol of the
//! model, a variable of a kernel, a floor division or maximum that did not simplify, or a [`Formula`]. Terms are sorted,
//! their products are distinct and no coefficient is zero, so two dims that differ only by the laws of rings are equal.
//! Coefficients saturate: a shape that overflows 64 bits stays far out of range and is refused where sizes are checked.

mod bound;
mod broadcast;
mod formula;
mod parse;
mod range;
mod whole;
mod words;

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Add, Mul, Neg, Sub},
    sync::Arc,
};

pub use formula::{Formula, Function, Kind, Number, Real, Value};
pub use parse::split_list;
pub use range::{Extents, NoVars};

/// The name of an unknown extent, such as `batch`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

impl Symbol {
    pub fn new(name: &str) -> Symbol {
        Symbol(name.into())
    }
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Symbol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
impl<'de> serde::Deserialize<'de> for Symbol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Symbol, D::Error> {
        <std::borrow::Cow<'_, str>>::deserialize(deserializer).map(|name| Symbol::new(&name))
    }
}

/// The values of symbols.
pub type Bindings = BTreeMap<Symbol, i64>;

/// What a term multiplies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// An extent of the model's inputs, or a size that data decide; at least 0.
    Sym(Symbol),
    /// A variable of a kernel, by index; see `loops`.
    Var(u32),
    /// The floor of the first over the second, which is positive.
    Div(Arc<Dim>, Arc<Dim>),
    /// The greater one.
    Max(Arc<Dim>, Arc<Dim>),
    /// What a formula of extents computes.
    Of(Arc<Formula>),
}

/// A product of atoms with an integer coefficient; no atoms stand for the constant 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    pub atoms: Vec<Atom>,
    pub k: i64,
}

/// An integer expression in normal form.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim(Vec<Term>);

/// What is known about a claim for every value of the symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Always,
    Never,
    Unknown,
}

impl From<i64> for Dim {
    fn from(n: i64) -> Dim {
        if n == 0 { Dim(vec![]) } else { Dim(vec![Term { atoms: vec![], k: n }]) }
    }
}
impl From<i32> for Dim {
    fn from(n: i32) -> Dim {
        Dim::from(i64::from(n))
    }
}
impl From<usize> for Dim {
    fn from(n: usize) -> Dim {
        Dim::from(i64::try_from(n).unwrap_or(i64::MAX))
    }
}
impl From<&Symbol> for Dim {
    fn from(symbol: &Symbol) -> Dim {
        Dim::atom(Atom::Sym(symbol.clone()))
    }
}

impl From<&Arc<Formula>> for Dim {
    fn from(formula: &Arc<Formula>) -> Dim {
        Dim::atom(Atom::Of(formula.clone()))
    }
}

impl Dim {
    pub fn sym(name: &str) -> Dim {
        Dim::from(&Symbol::new(name))
    }
    pub fn var(index: u32) -> Dim {
        Dim::atom(Atom::Var(index))
    }
    pub fn zero() -> Dim {
        Dim(vec![])
    }
    pub fn one() -> Dim {
        Dim::from(1i64)
    }
    pub fn atom(atom: Atom) -> Dim {
        Dim(vec![Term { atoms: vec![atom], k: 1 }])
    }
    /// The sum of terms in any order.
    pub fn from_terms(terms: impl IntoIterator<Item = Term>) -> Dim {
        let mut terms: Vec<Term> = terms.into_iter().collect();
        terms.sort_by(|a, b| a.atoms.cmp(&b.atoms));
        let mut sum: Vec<Term> = Vec::with_capacity(terms.len());
        for term in terms {
            match sum.last_mut() {
                Some(last) if last.atoms == term.atoms => last.k = last.k.saturating_add(term.k),
                _ => sum.push(term),
            }
        }
        sum.retain(|t| t.k != 0);
        Dim(sum)
    }
    pub fn terms(&self) -> &[Term] {
        &self.0
    }
    pub fn as_int(&self) -> Option<i64> {
        match &self.0[..] {
            [] => Some(0),
            [t] if t.atoms.is_empty() => Some(t.k),
            _ => None,
        }
    }
    pub fn is(&self, n: i64) -> bool {
        self.as_int() == Some(n)
    }
    /// The symbol, when the dim is one and nothing else.
    pub fn as_symbol(&self) -> Option<&Symbol> {
        match &self.0[..] {
            [Term { atoms, k: 1 }] => match &atoms[..] {
                [Atom::Sym(s)] => Some(s),
                _ => None,
            },
            _ => None,
        }
    }
    /// The constant summand.
    pub fn constant(&self) -> i64 {
        self.0.iter().find(|t| t.atoms.is_empty()).map_or(0, |t| t.k)
    }
    /// The greatest integer that divides every coefficient; 0 for zero.
    pub fn content(&self) -> i64 {
        self.0.iter().fold(0, |g, t| gcd(g, t.k))
    }

    /// `floor(self / by)` without knowledge of variables; see [`Dim::floor_div_in`].
    pub fn floor_div(&self, by: &Dim) -> Dim {
        self.floor_div_in(by, &NoVars)
    }
    /// `ceil(self / by)`.
    pub fn ceil_div(&self, by: &Dim) -> Dim {
        (self + by - Dim::one()).floor_div(by)
    }
    /// The greater of both, decided where possible.
    pub fn at_least(&self, other: &Dim) -> Dim {
        if (self - other).is_nonneg(&NoVars) {
            return self.clone();
        }
        if (other - self).is_nonneg(&NoVars) {
            return other.clone();
        }
        let (a, b) = if self <= other { (self, other) } else { (other, self) };
        Dim::atom(Atom::Max(Arc::new(a.clone()), Arc::new(b.clone())))
    }
    /// The lesser of both, decided where possible.
    pub fn at_most(&self, other: &Dim) -> Dim {
        -(-self).at_least(&-other)
    }
    /// Whether both are equal for every value of the symbols.
    pub fn same(&self, other: &Dim) -> Known {
        match (self - other).as_int() {
            Some(0) => Known::Always,
            Some(_) => Known::Never,
            None => Known::Unknown,
        }
    }

    /// Calls `f` with every atom, those inside divisions and maxima included.
    pub fn for_each_atom(&self, f: &mut dyn FnMut(&Atom)) {
        for atom in self.0.iter().flat_map(|t| &t.atoms) {
            f(atom);
            match atom {
                Atom::Div(a, b) | Atom::Max(a, b) => {
                    a.for_each_atom(f);
                    b.for_each_atom(f);
                }
                Atom::Of(formula) => formula.for_each_inner(&mut |dim| dim.for_each_atom(f)),
                Atom::Sym(_) | Atom::Var(_) => {}
            }
        }
    }
    /// Adds the formulas in it that are not in `found`, each behind those that it is made of.
    pub fn formulas(&self, found: &mut Vec<Arc<Formula>>) {
        self.for_each_atom(&mut |atom| {
            if let Atom::Of(formula) = atom
                && !found.contains(formula)
            {
                formula.for_each_inner(&mut |dim| dim.formulas(found));
                found.push(formula.clone());
            }
        });
    }
    /// The symbols in it, sorted, without repetition.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut found = vec![];
        self.for_each_atom(&mut |atom| {
            if let Atom::Sym(s) = atom {
                found.push(s.clone());
            }
        });
        found.sort();
        found.dedup();
        found
    }
    /// Whether variable `index` occurs anywhere in it.
    pub fn mentions_var(&self, index: u32) -> bool {
        let mut found = false;
        self.for_each_atom(&mut |atom| found |= *atom == Atom::Var(index));
        found
    }
    /// Replaces symbols and variables; `None` keeps one.
    pub fn substitute(&self, f: &dyn Fn(&Atom) -> Option<Dim>) -> Dim {
        let mut sum = Dim::zero();
        for t in &self.0 {
            let product = t.atoms.iter().fold(Dim::from(t.k), |p, atom| {
                let value = match atom {
                    Atom::Sym(_) | Atom::Var(_) => f(atom).unwrap_or_else(|| Dim::atom(atom.clone())),
                    Atom::Div(a, b) => a.substitute(f).floor_div(&b.substitute(f)),
                    Atom::Max(a, b) => a.substitute(f).at_least(&b.substitute(f)),
                    Atom::Of(formula) => formula.substituted(f),
                };
                p * value
            });
            sum = sum + product;
        }
        sum
    }
    /// The value when every atom has one; `None` on an unknown atom, a division by less than 1 or overflow.
    pub fn eval_with(&self, f: &dyn Fn(&Atom) -> Option<i64>) -> Option<i64> {
        self.0.iter().try_fold(0i64, |sum, t| {
            let product = t.atoms.iter().try_fold(t.k, |p, atom| {
                let value = match atom {
                    Atom::Sym(_) | Atom::Var(_) => f(atom)?,
                    Atom::Div(a, b) => {
                        let by = b.eval_with(f).filter(|&b| b > 0)?;
                        a.eval_with(f)?.div_euclid(by)
                    }
                    Atom::Max(a, b) => a.eval_with(f)?.max(b.eval_with(f)?),
                    Atom::Of(formula) => match formula.eval_with(f)? {
                        Value::Int(n) => n,
                        Value::Real(_) => return None,
                    },
                };
                p.checked_mul(value)
            })?;
            sum.checked_add(product)
        })
    }
    /// The value under `bind`; `None` on an unbound symbol, any variable, or overflow.
    pub fn eval(&self, bind: &Bindings) -> Option<i64> {
        self.eval_with(&|atom| match atom {
            Atom::Sym(s) => bind.get(s).copied(),
            _ => None,
        })
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(i64::MAX)
}

/// Sums and products made on this thread: how tests see that work grows no faster than what it is for.
#[cfg(test)]
pub(crate) mod work {
    thread_local! {
        static DONE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    pub fn note() {
        DONE.set(DONE.get() + 1);
    }
    pub fn done() -> u64 {
        DONE.get()
    }
}

fn add(a: &Dim, b: &Dim, sign: i64) -> Dim {
    #[cfg(test)]
    work::note();
    let (mut x, mut y) = (a.0.iter().peekable(), b.0.iter().peekable());
    let mut sum = Vec::with_capacity(a.0.len() + b.0.len());
    loop {
        let order = match (x.peek(), y.peek()) {
            (None, None) => return Dim(sum),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(s), Some(t)) => s.atoms.cmp(&t.atoms),
        };
        match order {
            std::cmp::Ordering::Less => sum.extend(x.next().cloned()),
            std::cmp::Ordering::Greater => {
                sum.extend(y.next().map(|t| Term { atoms: t.atoms.clone(), k: t.k.saturating_mul(sign) }))
            }
            std::cmp::Ordering::Equal => {
                if let (Some(s), Some(t)) = (x.next(), y.next()) {
                    let k = s.k.saturating_add(t.k.saturating_mul(sign));
                    if k != 0 {
                        sum.push(Term { atoms: s.atoms.clone(), k });
                    }
                }
            }
        }
    }
}

fn mul(a: &Dim, b: &Dim) -> Dim {
    #[cfg(test)]
    work::note();
    if a.is(1) {
        return b.clone();
    }
    if b.is(1) {
        return a.clone();
    }
    let product = |s: &Term, t: &Term| {
        let mut atoms = [&s.atoms[..], &t.atoms[..]].concat();
        atoms.sort();
        Term { atoms, k: s.k.saturating_mul(t.k) }
    };
    Dim::from_terms(a.0.iter().flat_map(|s| b.0.iter().map(move |t| product(s, t))))
}

/// Implements an operator for every mix of owned and borrowed operands.
macro_rules! operator {
    ($Op:ident $op:ident $f:expr) => {
        impl $Op<&Dim> for &Dim {
            type Output = Dim;
            fn $op(self, other: &Dim) -> Dim {
                $f(self, other)
            }
        }
        impl $Op<Dim> for &Dim {
            type Output = Dim;
            fn $op(self, other: Dim) -> Dim {
                $f(self, &other)
            }
        }
        impl $Op<&Dim> for Dim {
            type Output = Dim;
            fn $op(self, other: &Dim) -> Dim {
                $f(&self, other)
            }
        }
        impl $Op<Dim> for Dim {
            type Output = Dim;
            fn $op(self, other: Dim) -> Dim {
                $f(&self, &other)
            }
        }
        impl $Op<i64> for Dim {
            type Output = Dim;
            fn $op(self, other: i64) -> Dim {
                $f(&self, &Dim::from(other))
            }
        }
        impl $Op<i64> for &Dim {
            type Output = Dim;
            fn $op(self, other: i64) -> Dim {
                $f(self, &Dim::from(other))
            }
        }
    };
}
operator!(Add add |a, b| add(a, b, 1));
operator!(Sub sub |a, b| add(a, b, -1));
operator!(Mul mul mul);

impl Neg for &Dim {
    type Output = Dim;
    fn neg(self) -> Dim {
        add(&Dim::zero(), self, -1)
    }
}
impl Neg for Dim {
    type Output = Dim;
    fn neg(self) -> Dim {
        -&self
    }
}

/// Symbols first, the constant last: `28*batch+3`, `floor(N+1,2)`, `max(N-3,0)`, `min(8,N)`; variables are `i0`, `i1`, ...
impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        let constant_last =
            self.0.iter().filter(|t| !t.atoms.is_empty()).chain(self.0.iter().filter(|t| t.atoms.is_empty()));
        for (i, t) in constant_last.enumerate() {
            let mut factors: Vec<String> = t.atoms.iter().map(Atom::to_string).collect();
            // The greatest of negative numbers, taken away, is the least of positive ones.
            let least = if t.k < 0 { t.atoms.iter().position(Atom::is_of_negatives) } else { None };
            if let Some((n, Atom::Max(a, b))) = least.map(|n| (n, &t.atoms[n])) {
                factors[n] = format!("min({},{})", -&**a, -&**b);
            }
            if t.k < 0 && least.is_none() {
                f.write_str("-")?;
            } else if i > 0 {
                f.write_str("+")?;
            }
            let k = t.k.unsigned_abs();
            if k != 1 || factors.is_empty() {
                factors.insert(0, k.to_string());
            }
            f.write_str(&factors.join("*"))?;
        }
        Ok(())
    }
}
impl Atom {
    /// Whether it is the greatest of sums whose terms are all negative.
    fn is_of_negatives(&self) -> bool {
        let negative = |d: &Dim| d.0.iter().all(|t| t.k < 0);
        matches!(self, Atom::Max(a, b) if negative(a) && negative(b))
    }
}
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Sym(s) => write!(f, "{s}"),
            Atom::Var(v) => write!(f, "i{v}"),
            Atom::Div(a, b) => write!(f, "floor({a},{b})"),
            Atom::Max(a, b) => match Dim::atom(self.clone()).broadcast_of() {
                Some(extents) => {
                    let extents: Vec<_> = extents.iter().map(Dim::to_string).collect();
                    write!(f, "broadcast({})", extents.join(","))
                }
                None => write!(f, "max({a},{b})"),
            },
            Atom::Of(formula) => write!(f, "{formula}"),
        }
    }
}

/// In the textual form, as `Display` writes it.
impl serde::Serialize for Dim {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_int() {
            Some(n) => serializer.serialize_i64(n),
            None => serializer.collect_str(self),
        }
    }
}
impl<'de> serde::Deserialize<'de> for Dim {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Dim, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Form {
            Int(i64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Int(n) => Ok(Dim::from(n)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dim(text: &str) -> Dim {
        text.parse().unwrap()
    }

    #[test]
    fn one_normal_form() {
        assert_eq!(dim("floor(4*S+7,4)").to_string(), "S+1");
        assert_eq!(dim("floor(S+1,2)").to_string(), "floor(S+1,2)");
        assert_eq!(dim("floor(7*S+3,4)+1"), dim("floor(7*S+7,4)"));
        assert_eq!(dim("(S+1)*(S-1)"), dim("S*S-1"));
        assert_eq!(dim("S").same(&dim("S+1")), Known::Never);
        assert_eq!(dim("S").same(&dim("T")), Known::Unknown);
        assert_eq!(dim("max(S+2,S)"), dim("S+2"));
        assert_eq!(dim("N").at_most(&dim("N+3")), dim("N"));
        assert_eq!(dim("4*N+2*max(1,min(8,N))").to_string(), "4*N+2*max(1,min(8,N))");
    }

    #[test]
    fn text_round_trips() {
        for text in
            ["0", "-3", "28*batch+3", "floor(N+1,2)*7-i0", "max(0,N-3)", "floor(N,T)", "N*T-T", "3-5*T*min(8,N)"]
        {
            assert_eq!(dim(&dim(text).to_string()), dim(text), "{text}");
        }
    }

    #[test]
    fn values_agree_with_arithmetic() {
        for (s, t) in (0..9).flat_map(|s| (1..6).map(move |t| (s, t))) {
            let bind = Bindings::from([(Symbol::new("S"), s), (Symbol::new("T"), t)]);
            let value = |text: &str| dim(text).eval(&bind).unwrap();
            assert_eq!(value("floor(7*S-3,4)"), (7 * s - 3).div_euclid(4));
            assert_eq!(value("floor(S*T+S,T)"), (s * t + s).div_euclid(t));
            assert_eq!(value("max(S-4,T)-min(S,T)"), (s - 4).max(t) - s.min(t));
        }
    }
}
