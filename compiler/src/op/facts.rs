//! What is assumed of the symbols: equalities that could not be proved and are checked once at entry instead.

use crate::base::{Dim, dim::Known};

/// Equalities between dims. A type check that needs one of them may take it as proved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    equal: Vec<(Dim, Dim)>,
}

impl Facts {
    /// Adds `a == b`; nothing to do when that is known already.
    pub fn assume_equal(&mut self, a: Dim, b: Dim) {
        if !self.equal(&a, &b) {
            self.equal.push((a, b));
        }
    }
    /// The assumptions, in the order they were made.
    pub fn assumed(&self) -> &[(Dim, Dim)] {
        &self.equal
    }
    /// Whether `a == b` is proved, by algebra or by one assumption.
    pub fn equal(&self, a: &Dim, b: &Dim) -> bool {
        self.same(a, b) == Known::Always
    }
    /// What is known of `a == b`.
    pub fn same(&self, a: &Dim, b: &Dim) -> Known {
        let by_algebra = a.same(b);
        if by_algebra != Known::Unknown {
            return by_algebra;
        }
        let difference = a - b;
        let follows = |(x, y): &(Dim, Dim)| {
            let assumed = x - y;
            is_multiple(&difference, &assumed)
        };
        if self.equal.iter().any(follows) { Known::Always } else { Known::Unknown }
    }
}

/// Whether `d == q * of` for some dim `q`.
fn is_multiple(d: &Dim, of: &Dim) -> bool {
    [d.clone(), -d].iter().any(|d| {
        *d == *of || {
            let q = d.floor_div(of);
            q.terms().len() <= d.terms().len() && &q * of == *d && !q.symbols().is_empty() | q.as_int().is_some()
        }
    })
}

#[test]
fn assumptions_prove_their_multiples() {
    let d = |text: &str| text.parse::<Dim>().unwrap();
    let mut facts = Facts::default();
    facts.assume_equal(d("T"), d("2*floor(T,2)"));
    assert!(facts.equal(&d("T*64"), &d("128*floor(T,2)")));
    assert!(facts.equal(&d("T*N"), &d("2*N*floor(T,2)")));
    assert!(!facts.equal(&d("T"), &d("N")));
    assert_eq!(facts.same(&d("N"), &d("N+1")), Known::Never);
}
