//! The extent of axes that are broadcast together, where it shows only at a call which of them is 1.
//!
//! Each of the extents is 1, or equal to all others that are not 1. So the common extent is the greatest of them, but
//! 0 where one is 0: `max(0, max(extents) + min(1, extents) - 1)`, one atom that is written `broadcast(a,b)`.

use super::{Atom, Dim, NoVars, Term};

impl Dim {
    /// The extent that axes of these extents are broadcast to. Whether they can be is not asked here.
    pub fn broadcast(extents: &[Dim]) -> Dim {
        let mut apart: Vec<&Dim> = extents.iter().filter(|d| !d.is(1)).collect();
        apart.sort();
        apart.dedup();
        match &apart[..] {
            [] => Dim::one(),
            [one] => (*one).clone(),
            // The others are repeated to an extent that cannot be 1.
            _ => match apart.iter().find(|d| d.is_never_one()) {
                Some(whole) => (*whole).clone(),
                None => common(&apart),
            },
        }
    }
    /// The extents whose [`Dim::broadcast`] this is, sorted, where none of them is a maximum.
    pub fn broadcast_of(&self) -> Option<Vec<Dim>> {
        let [Term { atoms, k: 1 }] = self.terms() else { return None };
        let [Atom::Max(a, b)] = &atoms[..] else { return None };
        let sum = if a.is(0) { b } else { a };
        // The greatest extent is a term; or all of the extents are in the least one.
        let greatest = sum.terms().iter().find_map(|t| match &t.atoms[..] {
            [atom @ Atom::Max(..)] if t.k == 1 => Some(atom),
            _ => None,
        })?;
        let mut extents = vec![];
        greatest_of(greatest, &mut extents);
        let sorted: Vec<&Dim> = extents.iter().collect();
        (common(&sorted) == *self).then_some(extents)
    }
    /// Whether it is proved to be another number than 1.
    pub fn is_never_one(&self) -> bool {
        self.as_int().is_some_and(|n| n != 1) || (self - 2).is_nonneg(&NoVars)
    }
    /// What an index of a broadcast axis is multiplied by to give one of an axis of this extent: 0 where the extent is 1.
    pub fn broadcast_step(&self) -> Dim {
        (self - 1).at_most(&Dim::one()).at_least(&Dim::zero())
    }
}

/// Of sorted extents, several.
fn common(extents: &[&Dim]) -> Dim {
    let greatest = extents.iter().skip(1).fold(extents[0].clone(), |most, d| most.at_least(d));
    let least = extents.iter().fold(Dim::one(), |least, d| least.at_most(d));
    (greatest + least - 1).at_least(&Dim::zero())
}

/// The dims of a nest of maxima.
fn greatest_of(atom: &Atom, found: &mut Vec<Dim>) {
    let Atom::Max(a, b) = atom else { return };
    for d in [a, b] {
        match d.terms() {
            [Term { atoms, k: 1 }] if matches!(&atoms[..], [Atom::Max(..)]) => greatest_of(&atoms[0], found),
            _ => found.push(d.as_ref().clone()),
        }
    }
    found.sort();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Bindings, Symbol};

    fn dim(text: &str) -> Dim {
        text.parse().unwrap()
    }

    #[test]
    fn the_extent_is_that_of_a_broadcast() {
        let extents = ["a", "b", "c"].map(Dim::sym);
        for n in 0..5 {
            for ones in 0..8 {
                let values = [0, 1, 2].map(|axis| if ones >> axis & 1 == 1 { 1 } else { n });
                let bind: Bindings = ["a", "b", "c"].map(Symbol::new).into_iter().zip(values).collect();
                let expected = if ones == 7 { 1 } else { n };
                assert_eq!(Dim::broadcast(&extents).eval(&bind), Some(expected), "{values:?}");
                for (extent, value) in extents.iter().zip(values) {
                    assert_eq!(extent.broadcast_step().eval(&bind), Some((value > 1).into()));
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_simple() {
        let broadcast = |extents: &[&str]| Dim::broadcast(&extents.iter().map(|d| dim(d)).collect::<Vec<_>>());
        assert_eq!(broadcast(&[]), Dim::one());
        assert_eq!(broadcast(&["1", "a", "a"]), dim("a"));
        assert_eq!(broadcast(&["a", "3"]), dim("3"));
        assert_eq!(broadcast(&["0", "a"]), Dim::zero());
        assert_eq!(broadcast(&["a", "b+2"]), dim("b+2"));
        assert_eq!(dim("a+2").broadcast_step(), Dim::one());
        assert_eq!(Dim::one().broadcast_step(), Dim::zero());
    }

    #[test]
    fn it_has_a_text_and_a_sign() {
        for text in ["broadcast(a,b)", "broadcast(a,b,floor(c,2))", "3*d*broadcast(a,b)-1"] {
            assert_eq!(dim(text).to_string(), text);
            assert_eq!(dim(&dim(text).to_string()), dim(text));
        }
        assert_eq!(dim("broadcast(b,a)").broadcast_of(), Some(vec![dim("a"), dim("b")]));
        assert_eq!(dim("max(a,b)").broadcast_of(), None);
        assert!(dim("broadcast(a,b,c)*d").is_nonneg(&NoVars));
        assert!(dim("a").broadcast_step().is_nonneg(&NoVars));
    }
}
