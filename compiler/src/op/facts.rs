//! What is assumed of the symbols: equalities that could not be proved and are checked once at entry instead.

use crate::base::{Bindings, Dim, dim::Known};

/// Equalities between dims, and extents that are 1 where they are not equal. A type check that needs one of them may
/// take it as proved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    equal: Vec<(Dim, Dim)>,
    repeated: Vec<(Dim, Dim)>,
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
    /// Adds `from == 1 or from == to`; nothing to do when that is known already.
    pub fn assume_repeated(&mut self, from: Dim, to: Dim) {
        if !self.repeats(&from, &to) {
            self.repeated.push((from, to));
        }
    }
    /// The extents that are 1 or equal to another one, with that one, in the order in which they were assumed.
    pub fn repeated(&self) -> &[(Dim, Dim)] {
        &self.repeated
    }
    /// Whether an axis of the extent `from` is proved to be one that is broadcast to `to`: `from == 1 or from == to`.
    pub fn repeats(&self, from: &Dim, to: &Dim) -> bool {
        let assumed = |from: &Dim, to: &Dim| self.repeated.iter().any(|(f, t)| (f, t) == (from, to));
        let known = |from: &Dim| from.is(1) || self.equal(from, to) || assumed(from, to);
        // Extents that have a common one with others are repeated to that of all.
        known(from) || from.broadcast_of().is_some_and(|extents| extents.iter().all(known))
    }
    /// An assumption of dims that are all `known` and that does not hold under `bind`, in words.
    pub fn broken(&self, bind: &Bindings, known: &dyn Fn(&Dim) -> bool) -> Option<String> {
        let unequal = |a: &Dim, b: &Dim| a.eval(bind).is_none() || a.eval(bind) != b.eval(bind);
        let differ = |a: &Dim, b: &Dim| known(a) && known(b) && unequal(a, b);
        let unequal = self.equal.iter().find(|(a, b)| differ(a, b)).map(|(a, b)| a.equality_in_words(b));
        let unfit = self.repeated.iter().find(|(from, to)| from.eval(bind) != Some(1) && differ(from, to));
        unequal.or_else(|| unfit.map(|(from, to)| format!("{from} is 1 or {to}")))
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

#[test]
fn what_is_repeated_is_known() {
    let d = |text: &str| text.parse::<Dim>().unwrap();
    let mut facts = Facts::default();
    for extent in ["a", "b", "c"] {
        facts.assume_repeated(d(extent), d("broadcast(a,b,c)"));
    }
    assert!(facts.repeats(&d("broadcast(a,c)"), &d("broadcast(a,b,c)")));
    assert!(!facts.repeats(&d("a"), &d("b")) && !facts.repeats(&d("broadcast(a,d)"), &d("broadcast(a,b,c)")));
    let broken = |a, b, c| {
        let bind = ["a", "b", "c"].map(crate::base::Symbol::new).into_iter().zip([a, b, c]).collect();
        facts.broken(&bind, &|_| true)
    };
    assert_eq!((broken(4, 1, 4), broken(1, 1, 0), broken(0, 0, 0)), (None, None, None));
    assert_eq!(broken(4, 1, 3), Some("c is 1 or broadcast(a,b,c)".into()));
    assert!(broken(0, 4, 1).is_some());
}
