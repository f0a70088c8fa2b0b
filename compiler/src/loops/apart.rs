//! Which elements the iterations of a loop write: the proof that no two of them update the same one.
//!
//! Of every place that a loop writes in a buffer that it updates, the proof takes away what is the same in all
//! iterations. What is left is the variable times a stride, and something else. If that, modulo all that the loop moves
//! over, lies from 0 up to the stride, then each iteration has residues of its own: a row where the loop runs over rows,
//! a column where it runs over columns, whatever the rows are.

use std::collections::BTreeSet;

use super::{Kernel, Stmt, VarId, index_of, statements};
use crate::base::{
    Dim,
    dim::{Atom, Term},
};

/// Whether the iterations of the loop over `var` are proved to update different elements. What they store in a buffer that
/// they update is part of the proof.
pub fn updates_apart(kernel: &Kernel, var: VarId, body: &[Stmt]) -> bool {
    let updated = |stmt: &Stmt| if let Stmt::Update { buffer, .. } = stmt { Some(*buffer) } else { None };
    let buffers: BTreeSet<_> = statements(body).filter_map(updated).collect();
    if buffers.is_empty() {
        return true;
    }
    let inside: BTreeSet<u32> = statements(body).filter_map(Stmt::declares).map(|v| v.index() as u32).collect();
    buffers.into_iter().all(|buffer| {
        let places = statements(body).filter_map(Stmt::writes).filter(|(to, _)| *to == buffer);
        let mut shares = places.map(|(_, index)| Share::of(kernel, var, &inside, index));
        let first = shares.next().flatten();
        first.is_some() && shares.all(|share| share == first)
    })
}

/// What an iteration has of a buffer: `stride` elements from `start` on and `stride` times the variable further, and again
/// after all that the loop moves over.
#[derive(PartialEq)]
struct Share {
    stride: Dim,
    start: Dim,
}

impl Share {
    /// None where no share is found that holds `index`. `inside` are the variables that the loop's body sets.
    fn of(kernel: &Kernel, var: VarId, inside: &BTreeSet<u32>, index: &Dim) -> Option<Share> {
        let stride = coefficient(index, &index_of(var))?;
        let all = &stride * kernel.loop_extent(var);
        let moves = |dim: &Dim| {
            let mut moves = false;
            dim.for_each_atom(&mut |atom| moves |= matches!(atom, Atom::Var(v) if inside.contains(v)));
            moves
        };
        let rest = index - &(&stride * &index_of(var));
        let is_own = |place: Dim| !moves(&stride) && place.rem_in(&all, &kernel.vars).is_within(&stride, &kernel.vars);
        if is_own(rest.clone()) {
            return Some(Share { stride, start: Dim::zero() });
        }
        let (moving, fixed): (Vec<Term>, Vec<Term>) =
            rest.terms().iter().cloned().partition(|term| moves(&Dim::from_terms([term.clone()])));
        is_own(Dim::from_terms(moving)).then(|| Share { stride, start: Dim::from_terms(fixed) })
    }
}

/// What a variable is multiplied with in an index; `None` when the index is not linear in it.
pub fn coefficient(index: &Dim, var: &Dim) -> Option<Dim> {
    let Some(term) = var.terms().first() else { return Some(Dim::zero()) };
    let [atom @ Atom::Var(v)] = &term.atoms[..] else { return None };
    let (with, without): (Vec<_>, Vec<_>) = index.terms().iter().cloned().partition(|t| t.atoms.contains(atom));
    let slope = with.into_iter().map(|mut t| {
        t.atoms.iter().position(|a| a == atom).map(|at| t.atoms.remove(at));
        t
    });
    let (slope, rest) = (Dim::from_terms(slope), Dim::from_terms(without));
    (!rest.mentions_var(*v) && !slope.mentions_var(*v)).then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::{LoopKind, parse};

    /// Whether the outermost loop of these lines updates apart.
    #[track_caller]
    fn check(lines: &str, expected: bool) {
        let text = format!(
            "kernel \"k\" {{\nbuffer b0 out f32[8*N]\nbuffer b1 in i64[N]\n%0: f32 = const 1.0\n{lines}\n}}\n}}\n"
        );
        let kernel = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let [Stmt::For { var, kind: LoopKind::Seq, body }] = &kernel.body[..] else { panic!("{text}") };
        assert_eq!(updates_apart(&kernel, *var, body), expected, "{text}");
    }

    #[test]
    fn rows_and_columns_are_apart_and_places_are_not() {
        let place = "%1: i64 = b1[i1]\nset i2 in N = %1\n";
        check("for i0 in N seq {\nb0[i0] add= %0", true);
        check("for i0 in N seq {\nb0[0] add= %0", false);
        check("for i0 in N seq {\n%1: i64 = b1[i0]\nset i1 in N = %1\nb0[i1] add= %0", false);
        check("for i0 in N seq {\n%1: i64 = b1[i0]\nset i1 in N = %1\nb0[N*i1+i0] add= %0", true);
        // Columns, whichever the row is; the rows themselves; two columns at a time.
        check(&format!("for i0 in 8 seq {{\nfor i1 in N seq {{\n{place}b0[8*i2+i0] add= %0\n}}"), true);
        check(&format!("for i0 in 8 seq {{\nfor i1 in N seq {{\n{place}b0[4*i2+i0] add= %0\n}}"), false);
        check(
            &format!(
                "for i0 in 4 seq {{\nfor i1 in N seq {{\n{place}for i3 in 2 seq {{\nb0[8*i2+2*i0+i3] add= %0\n}}\n}}"
            ),
            true,
        );
        check("for i0 in N seq {\nfor i1 in 8 seq {\nb0[8*i0+i1] add= %0\n}", true);
        check("for i0 in N seq {\nfor i1 in 9 seq {\nb0[8*i0+i1] add= %0\n}", false);
    }

    #[test]
    fn what_is_stored_in_the_same_buffer_counts() {
        check("for i0 in N seq {\nb0[i0] = %0\nb0[i0] add= %0", true);
        check("for i0 in N seq {\nb0[i0] = %0\nb0[i0+1] add= %0", false);
        check("for i0 in N seq {\nb0[2*i0] = %0\nb0[i0] add= %0", false);
    }
}
