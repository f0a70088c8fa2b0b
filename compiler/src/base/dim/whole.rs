//! Integer functions beyond sums and products, as dims where the normal form can say them and as formulas otherwise.

use super::{Atom, Dim, Function, NoVars, Number};

/// `f` of integers.
fn formula(f: Function, args: &[&Dim]) -> Option<Dim> {
    let args: Vec<Number> = args.iter().map(|&d| Number::Int(d.clone())).collect();
    Number::of(f, &args)?.as_dim().cloned()
}

impl Dim {
    fn is_positive(&self) -> bool {
        (self - 1).is_nonneg(&NoVars)
    }
    fn is_negative(&self) -> bool {
        (-self - Dim::one()).is_nonneg(&NoVars)
    }
    /// The magnitude.
    pub fn magnitude(&self) -> Dim {
        self.at_least(&-self)
    }
    /// 1 where the value is at least 1, and 0 elsewhere: how conditions are written.
    pub fn sign(&self) -> Dim {
        self.at_most(&Dim::one()).at_least(&Dim::zero())
    }
    /// 1 where both are equal, and 0 elsewhere.
    pub fn equals(&self, other: &Dim) -> Dim {
        Dim::one() - (self - other).magnitude().sign()
    }
    /// The other truth value of 0 or 1.
    pub fn negated(&self) -> Dim {
        match self.as_sign() {
            Some(e) => (Dim::one() - e).sign(),
            None => Dim::one() - self,
        }
    }
    /// The dim whose [`Dim::sign`] this is.
    fn as_sign(&self) -> Option<Dim> {
        let single = |d: &Dim, k: i64| match d.terms() {
            [t] if t.k == k => match &t.atoms[..] {
                [Atom::Max(a, b)] => Some([a.as_ref().clone(), b.as_ref().clone()]),
                _ => None,
            },
            _ => None,
        };
        let other = |[a, b]: [Dim; 2], n: i64| match (a.is(n), b.is(n)) {
            (true, _) => Some(b),
            (_, true) => Some(a),
            _ => None,
        };
        // max(0, -max(-1, -e)), where the least of 1 and e was not decided.
        let least = other(single(self, 1)?, 0)?;
        Some(-other(single(&least, -1)?, -1)?)
    }
    /// `self != 0 ? x : y`, of a condition that is 0 or 1.
    pub fn choose(&self, x: &Dim, y: &Dim) -> Option<Dim> {
        let way = x - y;
        if way.is(0) || self.is(0) {
            return Some(y.clone());
        }
        if let Some(k) = way.as_int() {
            return Some(y + self * k);
        }
        // Where the way is so many times what decides, the choice is a greatest or least one.
        if let Some(e) = self.as_sign() {
            for e in [e.clone(), e - 1] {
                let k = way.content() / e.content().max(1);
                for k in [k, -k] {
                    if k == 0 || &e * k != way {
                        continue;
                    }
                    return Some(match k {
                        1 => x.at_least(y),
                        -1 => x.at_most(y),
                        _ => y + e.at_least(&Dim::zero()) * k,
                    });
                }
            }
        }
        formula(Function::Select, &[self, x, y])
    }
    /// The floor of the quotient by anything but 0, which is refused at entry where it may be.
    pub fn floored_over(&self, by: &Dim) -> Option<Dim> {
        if by.is_positive() {
            Some(self.floor_div(by))
        } else if by.is_negative() {
            Some((-self).floor_div(&-by))
        } else {
            formula(Function::Quotient, &[self, by])
        }
    }
    /// The quotient toward zero, where a sign is known.
    pub fn truncated_over(&self, by: &Dim) -> Option<Dim> {
        let (nonneg, nonpos) = (self.is_nonneg(&NoVars), (-self).is_nonneg(&NoVars));
        if nonneg && by.is_nonneg(&NoVars) {
            self.floored_over(by)
        } else if by.is_negative() {
            self.truncated_over(&-by).map(|d| -d)
        } else if nonpos && by.is_nonneg(&NoVars) {
            (-self).floored_over(by).map(|d| -d)
        } else if by.is_positive() {
            let part = |d: &Dim| d.at_least(&Dim::zero()).floor_div(by);
            Some(part(self) - part(&-self))
        } else {
            None
        }
    }
    pub fn power(&self, by: &Dim) -> Option<Dim> {
        match by.as_int() {
            Some(n) if n < 0 => None,
            Some(n) if n <= 4 => Some((0..n).fold(Dim::one(), |p, _| p * self)),
            _ => formula(Function::Pow, &[self, by]),
        }
    }
    /// Times a power of 2.
    pub fn shifted_left(&self, by: &Dim) -> Option<Dim> {
        match by.as_int() {
            Some(n) if (0..62).contains(&n) => Some(self * (1i64 << n)),
            _ => formula(Function::Shl, &[self, by]),
        }
    }
    /// The floor of the quotient by a power of 2.
    pub fn shifted_right(&self, by: &Dim) -> Option<Dim> {
        match by.as_int() {
            Some(n) if (0..62).contains(&n) => Some(self.floor_div(&Dim::from(1i64 << n))),
            _ => formula(Function::Shr, &[self, by]),
        }
    }
    /// The bits that both have. Low bits are a remainder, and all but those what is left of it.
    pub fn bits_and(&self, other: &Dim) -> Option<Dim> {
        for (x, mask) in [(self, other), (other, self)] {
            match mask.as_int() {
                Some(0) => return Some(Dim::zero()),
                Some(-1) => return Some(x.clone()),
                Some(m) if m > 0 && m < i64::MAX && (m + 1).count_ones() == 1 => {
                    return Some(x.rem_in(&Dim::from(m + 1), &NoVars));
                }
                Some(m) if m < 0 && m > i64::MIN && (-m).count_ones() == 1 => {
                    return Some(x.floor_div(&Dim::from(-m)) * -m);
                }
                _ => {}
            }
        }
        formula(Function::And, &[self, other])
    }
    pub fn bits_or(&self, other: &Dim) -> Option<Dim> {
        formula(Function::Or, &[self, other])
    }
    pub fn bits_xor(&self, other: &Dim) -> Option<Dim> {
        formula(Function::Xor, &[self, other])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Bindings, Symbol};

    /// Every function at small numbers of both signs, by what Rust computes of them.
    #[test]
    fn values_agree_with_arithmetic() {
        let (x, y) = ("N-5".parse::<Dim>().unwrap(), "T-3".parse::<Dim>().unwrap());
        let value = |d: &Option<Dim>, n: i64, t: i64| {
            d.as_ref().and_then(|d| d.eval(&Bindings::from([(Symbol::new("N"), n), (Symbol::new("T"), t)])))
        };
        let floor = |a: i64, b: i64| (b != 0).then(|| (a as f64 / b as f64).floor() as i64);
        for (n, t) in (0..12).flat_map(|n| (0..8).map(move |t| (n, t))) {
            let (a, b) = (n - 5, t - 3);
            assert_eq!(value(&x.floored_over(&y), n, t), floor(a, b));
            for k in [-4, -1, 1, 3] {
                let by = Dim::from(k);
                assert_eq!(value(&x.floored_over(&by), n, t), floor(a, k));
                assert_eq!(value(&x.truncated_over(&by), n, t), Some(a / k));
                assert_eq!(value(&(-Dim::sym("N")).truncated_over(&by), n, t), Some(-n / k));
            }
            assert_eq!(value(&Dim::sym("N").truncated_over(&Dim::sym("T")), n, t), n.checked_div(t));
            assert_eq!(value(&Some(x.equals(&y)), n, t), Some((a == b).into()));
            assert_eq!(value(&Some(x.equals(&y).negated()), n, t), Some((a != b).into()));
            assert_eq!(value(&Some((&x - &y).sign().negated()), n, t), Some((a <= b).into()));
            assert_eq!(value(&Some(x.magnitude()), n, t), Some(a.abs()));
            for cond in [(&x - &y).sign(), (&y - &x + 1).sign(), x.equals(&y)] {
                let holds = value(&Some(cond.clone()), n, t) == Some(1);
                assert_eq!(value(&cond.choose(&x, &y), n, t), Some(if holds { a } else { b }), "{cond}");
                assert_eq!(value(&cond.choose(&y, &x), n, t), Some(if holds { b } else { a }), "{cond}");
                assert_eq!(value(&cond.choose(&(&x * 3), &7.into()), n, t), Some(if holds { 3 * a } else { 7 }));
            }
            for mask in [0, 3, 7, -1, -4, 5, 6] {
                assert_eq!(value(&x.bits_and(&mask.into()), n, t), Some(a & mask));
            }
            assert_eq!(value(&x.bits_or(&y), n, t), Some(a | b));
            assert_eq!(value(&x.bits_xor(&y), n, t), Some(a ^ b));
            assert_eq!(value(&x.shifted_right(&2.into()), n, t), Some(a >> 2));
            assert_eq!(value(&x.shifted_left(&Dim::sym("T")), n, t), Some(a << t));
            assert_eq!(value(&x.power(&Dim::sym("T")), n, t), Some(a.pow(t as u32)));
            assert_eq!(value(&x.power(&3.into()), n, t), Some(a.pow(3)));
        }
    }

    #[test]
    fn choices_that_are_extremes_are_written_so() {
        let d = |text: &str| text.parse::<Dim>().unwrap();
        let less = (d("T") - d("N")).sign();
        assert_eq!(less.choose(&d("N"), &d("T")), Some(d("min(N,T)")));
        assert_eq!((d("N") - d("6") + 1).sign().choose(&d("6"), &d("N")), Some(d("min(6,N)")));
        assert_eq!(d("N").bits_and(&7.into()), Some(d("N-8*floor(N,8)")));
        assert_eq!((d("N") + 7).bits_and(&(-8).into()), Some(d("8*floor(N+7,8)")));
    }
}
