//! Cuts of a kernel's outermost loop into slices, and the proof that each slice uses its own slice of a buffer.
//!
//! The proof is made from the kernel: with `s` as the kernel's variables give it, each index less `s * slice` lies in
//! `0..slice`. Then the buffer can be one slice of what it was, and each index that difference.

use std::collections::HashMap;

use crate::{
    base::{
        Dim,
        dim::{Atom, Extents},
    },
    loops::{Block, BufferId, Expr, ExprId, Kernel, LoopKind, Stmt, Var, change_statements, flat, index_of},
    plan::{inplace::loads, program::Storage},
    tensor::count,
};

/// A way to cut a kernel's outermost loop into so many slices: the index of the slice, and the iterations of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    pub index: Dim,
    pub per_slice: i64,
}

/// A kernel's outermost loop, whose variable comes apart into axes.
pub struct Outermost<'k> {
    kernel: &'k Kernel,
    extents: Vec<Dim>,
    axes: Vec<Dim>,
}

impl<'k> Outermost<'k> {
    /// None when the kernel is not one loop whose iterations may run in any order: updates of one element may not.
    pub fn of(kernel: &'k Kernel) -> Option<Outermost<'k>> {
        if kernel.updates() {
            return None;
        }
        let [Stmt::For { var, kind: LoopKind::Seq | LoopKind::Parallel, body }] = &kernel.body[..] else { return None };
        let (extent, whole) = (kernel.loop_extent(*var), index_of(*var));
        let (mut extents, mut axes, mut values) = (vec![], vec![], vec![]);
        for stmt in body {
            let Stmt::Set { var, value } = stmt else { break };
            let (Var::Index { extent: Some(n) }, Expr::Index(value)) = (&kernel.vars[*var], &kernel.exprs[*value].expr)
            else {
                break;
            };
            extents.push(n.clone());
            axes.push(index_of(*var));
            values.push(value);
            if count(&extents) == *extent {
                break;
            }
        }
        // The axes are what the loop's variable comes apart into.
        let mut rest = whole.clone();
        let apart = extents.iter().zip(values).enumerate().rev().all(|(axis, (n, value))| {
            let here = if axis == 0 { rest.clone() } else { rest.rem_in(n, &kernel.vars) };
            rest = rest.floor_div_in(n, &kernel.vars);
            *value == here
        });
        if extents.is_empty() || !apart || count(&extents) != *extent {
            (extents, axes) = (vec![extent.clone()], vec![whole]);
        }
        Some(Outermost { kernel, extents, axes })
    }
    /// The numbers of slices that are whole axes, the most first; and a half, a quarter and so on of all iterations where
    /// `parts` are asked for.
    pub fn slices(&self, parts: bool) -> impl Iterator<Item = Dim> {
        let all = count(&self.extents).as_int().filter(|_| parts).unwrap_or(0);
        let parts = (1..=all.trailing_zeros().min(6)).filter(move |_| all > 0).map(move |n| Dim::from(all >> n));
        (1..=self.axes.len()).rev().map(|n| count(&self.extents[..n])).chain(parts)
    }
    pub fn cut(&self, slices: &Dim) -> Option<Cut> {
        let per_slice = exactly(&count(&self.extents), slices)?;
        let index = flat(&self.extents, &self.axes).floor_div_in(&Dim::from(per_slice), &self.kernel.vars);
        Some(Cut { index, per_slice })
    }
}

/// The elements of each of so many slices, where that is a number.
pub fn slice(storage: &Storage, slices: &Dim) -> Option<i64> {
    exactly(&storage.len, slices)
}

fn exactly(all: &Dim, parts: &Dim) -> Option<i64> {
    let part = all.floor_div(parts).as_int().filter(|&n| n > 0)?;
    (parts * part == *all).then_some(part)
}

/// Whether all slices of a kernel read the same of a buffer, as far as its indices show.
pub fn is_shared(kernel: &Kernel, buffer: BufferId, cut: &Cut) -> bool {
    let moves = |index: &Dim| {
        let mut moves = false;
        cut.index.for_each_atom(&mut |atom| moves |= matches!(atom, Atom::Var(v) if index.mentions_var(*v)));
        moves
    };
    !kernel.exprs.iter().any(|(_, e)| matches!(&e.expr, Expr::Load(from, index) if *from == buffer && moves(index)))
}

/// Whether each slice of a kernel uses its own slice of a buffer, of so many elements.
pub fn keeps_apart(kernel: &Kernel, buffer: BufferId, cut: &Cut, slice: i64) -> bool {
    Apart::new(kernel, buffer, cut, slice).holds(&kernel.body)
}

/// The proof that a kernel's slices use their own slice of a buffer.
struct Apart<'k> {
    kernel: &'k Kernel,
    buffer: BufferId,
    /// Where the slice at hand begins, and its elements.
    start: Dim,
    slice: Dim,
    /// Variables that lie in less than their extents.
    narrower: HashMap<u32, Dim>,
}

impl Extents for Apart<'_> {
    fn extent(&self, var: u32) -> Option<Dim> {
        self.narrower.get(&var).cloned().or_else(|| self.kernel.vars.extent(var))
    }
}

impl<'k> Apart<'k> {
    fn new(kernel: &'k Kernel, buffer: BufferId, cut: &Cut, slice: i64) -> Apart<'k> {
        Apart { kernel, buffer, start: &cut.index * slice, slice: Dim::from(slice), narrower: HashMap::new() }
    }
    fn holds(&mut self, block: &Block) -> bool {
        block.iter().all(|stmt| match stmt {
            Stmt::For { body, .. } => self.holds(body),
            Stmt::If { bounds, then, otherwise } => {
                let before = self.narrower.clone();
                for bound in bounds {
                    if let [term] = bound.index.terms()
                        && let ([Atom::Var(v)], 1) = (&term.atoms[..], term.k)
                    {
                        self.narrower.insert(*v, bound.extent.clone());
                    }
                }
                let holds = self.holds(then);
                self.narrower = before;
                holds && self.holds(otherwise)
            }
            Stmt::Store { buffer, index, value } | Stmt::Update { buffer, index, value, .. } => {
                (*buffer != self.buffer || self.is_own(index)) && self.is_own_value(*value)
            }
            Stmt::Set { .. }
            | Stmt::Assign { .. }
            | Stmt::Accumulate { .. }
            | Stmt::Prefetch { .. }
            | Stmt::Check { .. } => stmt.value().is_none_or(|value| self.is_own_value(value)),
            Stmt::Append { .. } | Stmt::Take { .. } => false,
        })
    }
    fn is_own_value(&self, value: ExprId) -> bool {
        loads(self.kernel, value, self.buffer).iter().all(|index| self.is_own(index))
    }
    fn is_own(&self, index: &Dim) -> bool {
        (index - &self.start).is_within(&self.slice, self)
    }
}

/// Makes a buffer one slice of what it was.
pub fn shrink(kernel: &mut Kernel, buffer: BufferId, cut: &Cut, slice: i64) {
    let start = &cut.index * slice;
    kernel.buffers[buffer].len = Dim::from(slice);
    change_statements(&mut kernel.body, &mut |stmt| match stmt {
        Stmt::Store { buffer: to, index, .. }
        | Stmt::Update { buffer: to, index, .. }
        | Stmt::Prefetch { buffer: to, index, .. }
            if *to == buffer =>
        {
            *index = &*index - &start
        }
        _ => {}
    });
    for id in kernel.exprs.ids().collect::<Vec<_>>() {
        if let Expr::Load(from, index) = &mut kernel.exprs[id].expr
            && *from == buffer
        {
            *index = &*index - &start;
        }
    }
}
