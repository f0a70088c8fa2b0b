//! What can be proved of a dim from the extents of its variables, and the divisions that such proofs simplify.

use std::{cell::Cell, sync::Arc};

use super::{Atom, Dim, Term};

/// Knows the extents of variables: variable `v` lies in `0..extent(v)`.
pub trait Extents {
    fn extent(&self, var: u32) -> Option<Dim>;
}

/// Nothing is known of any variable.
pub struct NoVars;

impl Extents for NoVars {
    fn extent(&self, _: u32) -> Option<Dim> {
        None
    }
}

/// Proofs are conveniences, never needed for a right answer: they give up beyond this depth, and after this many steps,
/// because the steps to try multiply with every nested division.
const MAX_DEPTH: usize = 16;
const MAX_STEPS: u32 = 300;

/// What a proof may still do, and what it knows.
struct Proof<'e> {
    extents: &'e dyn Extents,
    steps: Cell<u32>,
}

impl Dim {
    /// Whether the value is proved to be at least 0 for every symbol at least 0 and every variable in its range.
    pub fn is_nonneg(&self, extents: &dyn Extents) -> bool {
        nonneg(self, &Proof { extents, steps: Cell::new(MAX_STEPS) }, MAX_DEPTH)
    }
    /// Whether `0 <= self < extent` is proved.
    pub fn is_within(&self, extent: &Dim, extents: &dyn Extents) -> bool {
        self.is_nonneg(extents) && (extent - self - 1).is_nonneg(extents)
    }
    /// `floor(self / by)` for a positive `by`: what divides exactly leaves the division, and a rest that is proved to
    /// lie in `0..by` vanishes.
    pub fn floor_div_in(&self, by: &Dim, extents: &dyn Extents) -> Dim {
        if by.is(1) {
            return self.clone();
        }
        if let (Some(a), Some(b)) = (self.as_int(), by.as_int())
            && b > 0
        {
            return Dim::from(a.div_euclid(b));
        }
        let (whole, rest) = divide_terms(self, by);
        if rest.is(0) || rest.is_within(by, extents) {
            return whole;
        }
        if let Some((inner, by)) = flattened(&rest, by) {
            return whole + inner.floor_div_in(&by, extents);
        }
        // A common factor of both leaves the division too: floor(2a/4) is floor(a/2).
        let common = super::gcd(rest.content(), by.content());
        if common > 1 {
            let shrink = |d: &Dim| Dim(d.0.iter().map(|t| Term { atoms: t.atoms.clone(), k: t.k / common }).collect());
            return whole + shrink(&rest).floor_div_in(&shrink(by), extents);
        }
        whole + Dim::atom(Atom::Div(Arc::new(rest), Arc::new(by.clone())))
    }
    /// `self - by * floor(self / by)`.
    pub fn rem_in(&self, by: &Dim, extents: &dyn Extents) -> Dim {
        self - by * self.floor_div_in(by, extents)
    }
}

/// `(floor(a / b) + r) / by` as `(a + b * r) / (b * by)`, which has the same floor: so the quotients that follow each
/// other in a network are one. Divisors are constants, and nothing is a kernel's variable: indices come apart by the
/// quotients that they were made of.
fn flattened(d: &Dim, by: &Dim) -> Option<(Dim, Dim)> {
    let by = by.as_int()?;
    let mut quotients = d.0.iter().filter(|t| t.atoms.iter().any(|a| matches!(a, Atom::Div(..))));
    let (quotient, None) = (quotients.next()?, quotients.next()) else { return None };
    let (1, [Atom::Div(a, b)]) = (quotient.k, &quotient.atoms[..]) else { return None };
    let b = b.as_int()?;
    let mut varies = false;
    d.for_each_atom(&mut |atom| varies |= matches!(atom, Atom::Var(_)));
    if varies {
        return None;
    }
    let rest = d - Dim::from_terms([quotient.clone()]);
    Some((a.as_ref() + rest * b, Dim::from(b.checked_mul(by)?)))
}

/// Polynomial division by the leading term: `d == q * by + r`.
fn divide_terms(d: &Dim, by: &Dim) -> (Dim, Dim) {
    let (mut whole, mut rest) = (Dim::zero(), d.clone());
    let Some(lead) = by.0.iter().max_by_key(|t| t.atoms.len()).cloned() else { return (whole, rest) };
    // Each step removes one term that the leading term divides; the bound guards against cycling.
    for _ in 0..64 {
        let Some(quotient) = rest.0.iter().find_map(|t| divide_term(t, &lead)) else { break };
        rest = rest - &quotient * by;
        whole = whole + quotient;
    }
    (whole, rest)
}

fn divide_term(t: &Term, by: &Term) -> Option<Dim> {
    let mut atoms = t.atoms.clone();
    for atom in &by.atoms {
        atoms.remove(atoms.iter().position(|a| a == atom)?);
    }
    let constant = t.atoms.is_empty() && by.atoms.is_empty();
    let k = t.k.div_euclid(by.k);
    ((constant || t.k % by.k == 0) && k != 0).then(|| Dim(vec![Term { atoms, k }]))
}

/// Replaces one troublesome atom by its bound and tries again, until only symbols with coefficients >= 0 remain.
fn nonneg(d: &Dim, proof: &Proof<'_>, depth: usize) -> bool {
    if d.0.iter().all(|t| t.k >= 0 && t.atoms.iter().all(|a| atom_nonneg(a, proof, depth))) {
        return true;
    }
    let Some(left) = proof.steps.get().checked_sub(1).filter(|_| depth > 0) else { return false };
    proof.steps.set(left);
    let negative = d.0.iter().filter(|t| t.k < 0).flat_map(|t| &t.atoms);
    let candidates = negative.chain(d.0.iter().flat_map(|t| &t.atoms).filter(|a| !matches!(a, Atom::Sym(_))));
    let mut tried: Vec<&Atom> = vec![];
    for atom in candidates {
        if tried.contains(&atom) {
            continue;
        }
        tried.push(atom);
        if bounded(d, atom, proof).iter().any(|all| all.iter().all(|b| nonneg(b, proof, depth - 1))) {
            return true;
        }
    }
    false
}

fn atom_nonneg(atom: &Atom, proof: &Proof<'_>, depth: usize) -> bool {
    match atom {
        Atom::Sym(_) => true,
        Atom::Var(v) => proof.extents.extent(*v).is_some(),
        Atom::Div(a, _) => depth > 0 && nonneg(a, proof, depth - 1),
        Atom::Max(a, b) => depth > 0 && (nonneg(a, proof, depth - 1) || nonneg(b, proof, depth - 1)),
        Atom::Of(formula) => {
            formula.range().0 >= 0.0 || formula.low().is_some_and(|low| depth > 0 && nonneg(&low, proof, depth - 1))
        }
    }
}

/// Sets of dims in which `atom` no longer occurs: `d` is at least 0 where all of a set are.
fn bounded(d: &Dim, atom: &Atom, proof: &Proof<'_>) -> Vec<Vec<Dim>> {
    let (with, without): (Vec<Term>, Vec<Term>) = d.0.iter().cloned().partition(|t| t.atoms.contains(atom));
    let mut factors = with;
    for t in &mut factors {
        let at = t.atoms.iter().position(|a| a == atom);
        at.map(|at| t.atoms.remove(at));
    }
    if factors.iter().any(|t| t.atoms.contains(atom)) {
        return vec![];
    }
    let (factor, rest) = (Dim::from_terms(factors), Dim::from_terms(without));
    let positive = nonneg(&factor, proof, 2);
    if !positive && !nonneg(&-&factor, proof, 2) {
        return vec![];
    }
    let one = |dim: Dim| vec![vec![dim]];
    match atom {
        Atom::Sym(_) => vec![],
        Atom::Var(v) => match proof.extents.extent(*v) {
            Some(_) if positive => one(rest),
            Some(extent) => one(rest + factor * (extent - 1)),
            None => vec![],
        },
        // by * floor(a / by) lies in a-by+1 ..= a.
        Atom::Div(a, by) => {
            let (q, r) = divide_terms(&factor, by);
            let bound = if positive { a.as_ref() - by.as_ref() + 1 } else { a.as_ref().clone() };
            if r.is(0) {
                return one(rest + q * bound);
            }
            // An integer is at least 0 where `by` times it is more than -by.
            one(by.as_ref() * &rest + factor * bound + by.as_ref() - 1)
        }
        Atom::Max(a, b) if positive => [a, b].map(|x| vec![&rest + &factor * x.as_ref()]).into(),
        Atom::Max(a, b) => vec![[a, b].map(|x| &rest + &factor * x.as_ref()).into()],
        Atom::Of(formula) => {
            let bound = if positive { formula.low() } else { formula.high() };
            bound.map(|bound| vec![rest + factor * bound]).into_iter().collect()
        }
    }
}

/// No extent is longer: a call that says so is refused.
const LONGEST: f64 = (1u64 << 40) as f64;

impl Dim {
    /// Floats between which the value lies for all symbols that a call may have; wide where it is not clear.
    pub fn range(&self) -> (f64, f64) {
        let sum = self.0.iter().fold((0.0, 0.0), |(low, high), t| {
            let factors = t.atoms.iter().map(Atom::range);
            let (a, b) = factors.fold((t.k as f64, t.k as f64), times);
            (low + a, high + b)
        });
        // The sum forgets what its terms have in common.
        if sum.0 < 0.0 && self.0.len() > 1 && self.is_nonneg(&NoVars) { (0.0, sum.1) } else { sum }
    }
    /// Whether a double holds the value, whatever it is.
    pub fn is_exact_double(&self) -> bool {
        let (least, most) = self.range();
        let exact = (1u64 << 53) as f64;
        least >= -exact && most <= exact
    }
}

fn times((a, b): (f64, f64), (c, d): (f64, f64)) -> (f64, f64) {
    // 0 times infinity counts as 0 here.
    let product = |x: f64, y: f64| if x == 0.0 || y == 0.0 { 0.0 } else { x * y };
    let ends = [product(a, c), product(a, d), product(b, c), product(b, d)];
    (ends.into_iter().fold(f64::INFINITY, f64::min), ends.into_iter().fold(f64::NEG_INFINITY, f64::max))
}

impl Atom {
    fn range(&self) -> (f64, f64) {
        match self {
            Atom::Sym(_) => (0.0, LONGEST),
            Atom::Var(_) => (f64::NEG_INFINITY, f64::INFINITY),
            Atom::Max(a, b) => {
                let (a, b) = (a.range(), b.range());
                (a.0.max(b.0), a.1.max(b.1))
            }
            Atom::Of(formula) => formula.range(),
            // The divisor is at least 1: the quotient is no farther from 0 than what is divided.
            Atom::Div(a, by) => {
                let (low, high) = a.range();
                let by = by.as_int().map_or(1.0, |by| by as f64);
                let (low, high) = if by > 1.0 { (low / by, high / by) } else { (low.min(0.0), high.max(0.0)) };
                (low.floor(), high.floor())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vars(Vec<Dim>);
    impl Extents for Vars {
        fn extent(&self, var: u32) -> Option<Dim> {
            self.0.get(var as usize).cloned()
        }
    }

    #[test]
    fn reshaped_indices_come_apart_again() {
        let d = |text: &str| text.parse::<Dim>().unwrap();
        let vars = Vars(vec![d("N"), d("T"), d("28"), d("N*28")]);
        assert_eq!(d("784*i0+28*i1+i2").floor_div_in(&d("28"), &vars), d("28*i0+i1"));
        assert_eq!(d("i0*T+i1").floor_div_in(&d("T"), &vars), d("i0"));
        assert_eq!(d("i0*T+i1").rem_in(&d("T"), &vars), d("i1"));
        assert_eq!(d("28*i0*T+28*i1+i2").floor_div_in(&d("28*T"), &vars), d("i0"));
        assert_eq!(d("i0*T+i0+i1").floor_div_in(&d("T+1"), &vars), d("i0"));
        assert!(d("i3-28*floor(i3,28)").is_within(&d("28"), &vars));
        assert!(d("floor(i3,28)").is_nonneg(&vars));
        assert!(!d("i3-1").is_nonneg(&vars));
        assert!(!d("N-T").is_nonneg(&vars));
    }

    #[test]
    fn signs_follow_from_ranges() {
        for text in [
            "min(6,N)",
            "min(N,T)",
            "N-min(6,N)",
            "-floor(-N,4)",
            "N-floor(N,2)",
            "N-2*floor(N,2)",
            "4*floor(N+3,4)-N",
            "max(N-6,0)",
            "N*min(N,T)*floor(T,2)",
            "1-min(1,max(0,N-T))",
            "floor(N,2)-floor(N,4)",
            "N-max(0,min(N,T-5))",
        ] {
            assert!(text.parse::<Dim>().unwrap().is_nonneg(&NoVars), "{text}");
        }
        for text in ["min(6,N)-1", "-floor(-N,4)-1", "floor(N-4,2)", "2*floor(N,2)-N", "max(-N,-T)"] {
            assert!(!text.parse::<Dim>().unwrap().is_nonneg(&NoVars), "{text}");
        }
    }

    /// A quotient of a quotient is one quotient, so that what follows in a network stays short.
    #[test]
    fn quotients_of_quotients_are_one() {
        let d = |text: &str| text.parse::<Dim>().unwrap();
        let mut n = d("N");
        for _ in 0..16 {
            n = (n + 1).floor_div(&2.into());
        }
        assert_eq!(n, d("floor(N+65535,65536)"));
        // What a strided window needs of each extent: its size and its borders.
        let work = |layers: usize| {
            let (mut n, before) = (d("N"), super::super::work::done());
            for _ in 0..layers {
                let next = n.ceil_div(&2.into());
                let border = (&next * 2 + 1 - &n).at_least(&Dim::zero());
                assert!((&n + &border - 3).floor_div(&2.into()).symbols().len() == 1);
                n = next;
            }
            super::super::work::done() - before
        };
        let (few, many) = (work(16), work(32));
        assert!(many <= 2 * few + few / 4, "{few} and {many} operations");
        assert_eq!(d("floor(floor(N,3)+T,5)"), d("floor(N+3*T,15)"));
        assert_eq!(d("floor(floor(N,3)+floor(T,2),5)").to_string(), "floor(floor(N,3)+floor(T,2),5)");
    }

    /// Nested divisions end in time, proved or not.
    #[test]
    fn proofs_end() {
        let mut d = "i0*T+i1".parse::<Dim>().unwrap();
        let vars = Vars(vec!["N".parse().unwrap(), "T".parse().unwrap()]);
        for n in 2..12i64 {
            d = &d * n - d.floor_div_in(&Dim::from(n), &vars) * (n + 1) + Dim::var(1);
            d = d.clone() - d.floor_div_in(&"T+2".parse().unwrap(), &vars);
            d.is_nonneg(&vars);
        }
    }

    /// Whatever a proof claims holds for every value.
    #[test]
    fn proofs_hold() {
        let d = |text: &str| text.parse::<Dim>().unwrap();
        let vars = Vars(vec![d("N"), d("T"), d("5")]);
        for text in [
            "i0*T+i1",
            "i2*3+i1-T",
            "floor(i0*5+i2,3)",
            "max(i0-i1,2)*3-6",
            "N*5-i0*5-i2-1",
            "T-floor(i1,2)",
            "min(i0,i1)-floor(i2-4,3)",
            "-floor(-i2,3)-min(T,i2)+1",
        ] {
            for by in ["3", "T", "5", "T+2", "2*T"] {
                let (e, by) = (d(text), d(by));
                let (q, claim) = (e.floor_div_in(&by, &vars), e.is_nonneg(&vars));
                for (n, t) in [(1, 1), (2, 3), (4, 2)] {
                    for (i0, i1, i2) in (0..n).flat_map(|a| (0..t).flat_map(move |b| (0..5).map(move |c| (a, b, c)))) {
                        let value = |x: &Dim| {
                            x.eval_with(&|a| match a {
                                Atom::Sym(s) => Some(if s.name() == "N" { n } else { t }),
                                Atom::Var(v) => Some([i0, i1, i2][*v as usize]),
                                _ => None,
                            })
                            .unwrap()
                        };
                        assert_eq!(value(&q), value(&e).div_euclid(value(&by)), "{e} / {by} = {q}");
                        assert!(!claim || value(&e) >= 0, "{e}");
                    }
                }
            }
        }
    }
}
