//! The conditions of a program as its interface states them: an equality that any caller can check, and words.

use crate::{base::Dim, emit::interface::Guard, plan};

/// Extents that have one in common are spoken of together.
pub fn conditions(guards: &[plan::Guard]) -> Vec<Guard> {
    let mut told: Vec<&Dim> = vec![];
    let mut conditions = vec![];
    for guard in guards {
        conditions.push(match guard {
            plan::Guard::Equal(left, right) => {
                let text = format!("{}, which an operator of the model needs", left.equality_in_words(right));
                Guard { left: left.clone(), right: right.clone(), text }
            }
            plan::Guard::Nonneg(extent) => {
                let text = format!("{extent} is at least 0");
                Guard { left: extent.at_least(&Dim::zero()), right: extent.clone(), text }
            }
            plan::Guard::Repeated(_, to) => {
                if told.contains(&to) {
                    continue;
                }
                told.push(to);
                let with = guards.iter().filter_map(|guard| match guard {
                    plan::Guard::Repeated(from, other) if other == to => Some(from.clone()),
                    _ => None,
                });
                repeated(&with.collect::<Vec<_>>(), to)
            }
        });
    }
    conditions
}

/// All of the guards in one sentence.
pub fn words(guards: &[plan::Guard]) -> String {
    let word = |guard: &plan::Guard| match guard {
        plan::Guard::Equal(a, b) => a.equality_in_words(b),
        plan::Guard::Repeated(from, to) => format!("{from} is 1 or {to}"),
        plan::Guard::Nonneg(extent) => format!("{extent} is at least 0"),
    };
    guards.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Each of the extents is 1 or `to`.
fn repeated(extents: &[Dim], to: &Dim) -> Guard {
    let distance = |a: &Dim, b: &Dim| (a - b).at_least(&(b - a));
    let misses = |from: &Dim| distance(from, &Dim::one()).at_most(&distance(from, to));
    let left = extents.iter().map(misses).fold(Dim::zero(), |sum, d| sum + d);
    let common = to.broadcast_of().filter(|all| extents.iter().all(|from| all.contains(from)));
    let names = |dims: &[Dim]| dims.iter().map(Dim::to_string).collect::<Vec<_>>();
    let text = match common.as_deref() {
        Some([a, b]) => format!("{a} and {b} are equal, or one of them is 1"),
        Some(all) => format!("those of {} that are not 1 are equal", names(all).join(", ")),
        None => {
            let each = names(extents).into_iter().map(|from| format!("{from} is 1 or {to}"));
            each.collect::<Vec<_>>().join(" and ")
        }
    };
    Guard { left, right: Dim::zero(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Bindings, Symbol};

    #[test]
    fn conditions_are_equalities_with_words() {
        let d = |text: &str| text.parse::<Dim>().unwrap();
        let repeated = |from: &str, to: &str| plan::Guard::Repeated(d(from), d(to));
        let guards = [
            repeated("a", "broadcast(a,b)"),
            plan::Guard::Equal(d("c"), d("2*floor(c,2)")),
            repeated("b", "broadcast(a,b)"),
            repeated("c", "3"),
        ];
        let conditions = conditions(&guards);
        let texts: Vec<_> = conditions.iter().map(|c| c.text.as_str()).collect();
        let both = "a and b are equal, or one of them is 1";
        assert_eq!(texts, [both, "c is a multiple of 2, which an operator of the model needs", "c is 1 or 3"]);
        for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
            let bind: Bindings = [("a", a), ("b", b)].map(|(name, n)| (Symbol::new(name), n)).into();
            let holds = conditions[0].left.eval(&bind) == conditions[0].right.eval(&bind);
            assert_eq!(holds, a == b || a == 1 || b == 1, "{a} {b}");
        }
    }
}
