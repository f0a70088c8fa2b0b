//! Equalities of dims in words: how they read where somebody has to keep them.
//!
//! Other relations are kept as equalities: `a <= b` as `max(a,b) == b`, and that `k` divides `n` as `n == k*floor(n,k)`.

use super::{Atom, Dim};

impl Dim {
    /// `self == other` as a sentence, such as "batch is at least 1".
    pub fn equality_in_words(&self, other: &Dim) -> String {
        let either = [(self, other), (other, self)];
        let special = either.into_iter().find_map(|(a, b)| bound(a, b).or_else(|| multiple(a, b)));
        special.unwrap_or_else(|| match self.as_int() {
            Some(_) => format!("{other} is {self}"),
            None => format!("{self} is {other}"),
        })
    }
}

/// The atoms of which a dim is a sum, with what each is multiplied by; products are passed over.
fn summands(dim: &Dim) -> impl Iterator<Item = (&Atom, i64)> {
    dim.terms().iter().filter_map(|term| if let [atom] = &term.atoms[..] { Some((atom, term.k)) } else { None })
}

/// `max(x, y) == y`, whatever is added to both.
fn bound(a: &Dim, b: &Dim) -> Option<String> {
    summands(a).find_map(|(atom, k)| {
        let Atom::Max(x, y) = atom else { return None };
        let rest = b - (a - Dim::atom(atom.clone()) * k);
        // -max(-x, -y) is the lesser one.
        let [x, y] = if k == 1 { [x.as_ref().clone(), y.as_ref().clone()] } else { [-x.as_ref(), -y.as_ref()] };
        let (low, high) = match (k.abs() == 1, rest == x, rest == y) {
            (true, true, _) => (y, x),
            (true, _, true) => (x, y),
            _ => return None,
        };
        let (low, high) = if k == 1 { (low, high) } else { (high, low) };
        Some(match low.as_int() {
            None if high.as_int().is_some() => format!("{low} is at most {high}"),
            _ => format!("{high} is at least {low}"),
        })
    })
}

/// `n == k*floor(n, k)`, whatever is added to both.
fn multiple(a: &Dim, b: &Dim) -> Option<String> {
    let mut found = None;
    a.for_each_atom(&mut |atom| {
        let Atom::Div(n, k) = atom else { return };
        let divisor = k.as_ref();
        let quotient = Dim::atom(atom.clone());
        // A divisor that may be 0 is at least 1 where it divides.
        let plain = summands(divisor).next().and_then(|(atom, _)| match atom {
            Atom::Max(x, y) if divisor.terms().len() == 1 && (x.is(1) || y.is(1)) => Some(if x.is(1) { y } else { x }),
            _ => None,
        });
        let divisors = [Some(divisor), plain.map(|dim| dim.as_ref())];
        if let Some(by) = divisors.into_iter().flatten().find(|by| (b - a) == n.as_ref() - *by * &quotient) {
            found = Some(match n.as_int() {
                Some(_) => format!("{by} divides {n}"),
                None => format!("{n} is a multiple of {by}"),
            });
        }
    });
    found
}

#[test]
fn equalities_are_told_as_what_they_mean() {
    let words = |a: &str, b: &str| a.parse::<Dim>().unwrap().equality_in_words(&b.parse().unwrap());
    for (a, b, expected) in [
        ("4", "rows", "rows is 4"),
        ("rows", "4", "rows is 4"),
        ("a", "b+1", "a is b+1"),
        ("max(1,s)", "s", "s is at least 1"),
        ("max(s,4)", "4", "s is at most 4"),
        ("max(a,b)", "b", "b is at least a"),
        ("12", "x*floor(12,max(1,x))", "x divides 12"),
        ("T", "2*floor(T,2)", "T is a multiple of 2"),
        ("max(1,s)", "s+1", "max(1,s) is s+1"),
    ] {
        let d = |text: &str| text.parse::<Dim>().unwrap();
        assert_eq!(words(a, b), expected, "{} == {}", d(a), d(b));
    }
}
