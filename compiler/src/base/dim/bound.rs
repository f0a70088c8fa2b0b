//! How great a dim can be where some of its symbols lie between 0 and a bound.

use super::{Atom, Dim, NoVars, Symbol, Term};

/// The bound of a symbol; none for one that stays.
type Bounds<'b> = &'b dyn Fn(&Symbol) -> Option<Dim>;

impl Dim {
    /// A dim of the other symbols that the value is at most, where each symbol with a bound is at least 0 and at most that.
    /// None where the terms do not tell.
    pub fn greatest(&self, bounds: Bounds<'_>) -> Option<Dim> {
        self.extreme(true, bounds)
    }

    fn extreme(&self, most: bool, bounds: Bounds<'_>) -> Option<Dim> {
        self.0.iter().try_fold(Dim::zero(), |sum, term| Some(sum + term.extreme(most, bounds)?))
    }
    fn varies(&self, bounds: Bounds<'_>) -> bool {
        self.symbols().iter().any(|symbol| bounds(symbol).is_some())
    }
}

impl Term {
    fn extreme(&self, most: bool, bounds: Bounds<'_>) -> Option<Dim> {
        let alone = |atom: &Atom| Dim::atom(atom.clone());
        let (varying, fixed): (Vec<&Atom>, Vec<&Atom>) = self.atoms.iter().partition(|atom| alone(atom).varies(bounds));
        let rest = fixed.iter().fold(Dim::from(self.k), |product, atom| product * alone(atom));
        if varying.is_empty() {
            return Some(rest);
        }
        let grows = rest.is_nonneg(&NoVars);
        if !grows && !(-&rest).is_nonneg(&NoVars) {
            return None;
        }
        // A product of several grows with each of them where none is negative.
        if varying.len() > 1 && !varying.iter().all(|atom| alone(atom).is_nonneg(&NoVars)) {
            return None;
        }
        let extremes = varying.into_iter().map(|atom| atom.extreme(most == grows, bounds));
        extremes.into_iter().try_fold(rest, |product, extreme| Some(product * extreme?))
    }
}

impl Atom {
    fn extreme(&self, most: bool, bounds: Bounds<'_>) -> Option<Dim> {
        match self {
            Atom::Sym(symbol) => bounds(symbol).map(|bound| if most { bound } else { Dim::zero() }),
            Atom::Var(_) => None,
            Atom::Max(a, b) => Some(a.extreme(most, bounds)?.at_least(&b.extreme(most, bounds)?)),
            Atom::Div(a, by) if !by.varies(bounds) => Some(a.extreme(most, bounds)?.floor_div(by)),
            // The divisor is at least 1.
            Atom::Div(a, _) if a.is_nonneg(&NoVars) => {
                if most {
                    a.extreme(true, bounds)
                } else {
                    Some(Dim::zero())
                }
            }
            Atom::Div(..) => None,
            Atom::Of(formula) => {
                let end = if most { formula.high() } else { formula.low() };
                end?.extreme(most, bounds)
            }
        }
    }
}

#[test]
fn the_greatest_value_follows_from_bounds() {
    let greatest = |text: &str| {
        let bound = |s: &Symbol| match s.name() {
            "k" => Some(Dim::sym("n")),
            "l" => Some(Dim::from(7)),
            _ => None,
        };
        text.parse::<Dim>().unwrap().greatest(&bound).map(|dim| dim.to_string())
    };
    for (text, expected) in [
        ("3*k+2", "3*n+2"),
        ("n-k", "n"),
        ("k*l*m", "7*m*n"),
        ("floor(k+1,2)", "floor(n+1,2)"),
        ("max(k-l,0)", "n"),
        ("min(k,l)", "min(7,n)"),
        ("floor(n,k)", "n"),
        ("n+m", "m+n"),
    ] {
        assert_eq!(greatest(text).as_deref(), Some(expected), "{text}");
    }
    // A value for each is within.
    for (k, l, n) in (0..4).flat_map(|k| (0..8).flat_map(move |l| (k..5).map(move |n| (k, l, n)))) {
        let bind = [("k", k), ("l", l), ("n", n), ("m", 3)].map(|(name, v)| (Symbol::new(name), v)).into();
        for text in ["3*k+2", "n-k", "k*l*m", "max(k-l,0)", "min(k,l)", "2*k*k-l", "floor(n+k,l+1)"] {
            let bound: Dim = greatest(text).unwrap().parse().unwrap();
            assert!(text.parse::<Dim>().unwrap().eval(&bind) <= bound.eval(&bind), "{text}");
        }
    }
    assert_eq!(greatest("k*(n-m)").as_deref(), Some("n*n"));
}
