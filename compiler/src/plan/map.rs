//! The template for results whose elements are computed one by one: loops over the result.
//!
//! Neighbouring axes become one loop where every address allows it. That is found by trial: the body is written once
//! with a loop per axis, and two axes merge when each index in it moves along the outer axis exactly as far as along all
//! of the inner one. The innermost loop runs as lanes.

use super::{
    fuse::estimate,
    lower::{Context, Site, unflatten},
};
use crate::{
    base::{Dim, dim::Atom},
    graph::NodeId,
    loops::{Block, Expr, Kernel, LoopKind, Stmt, Var},
    tensor::count,
};

/// A loop that may be split between threads leaves at least this many elements to each iteration.
const MIN_ROW: f64 = 1024.0;

/// Loops over the elements of `tip`, which `root` is computed within.
pub fn map<'g>(cx: &Context<'g>, tip: NodeId, root: NodeId) -> Site<'g> {
    over_elements(|| Site::new(cx.graph, cx.fusion, tip, root))
}

/// Copies a node that has a buffer into another.
pub fn copy<'g>(cx: &Context<'g>, node: NodeId) -> Site<'g> {
    over_elements(|| Site::copy(cx.graph, cx.fusion, node))
}

fn over_elements<'g>(site: impl Fn() -> Site<'g>) -> Site<'g> {
    let mut trial = site();
    let shape = trial.tip_shape();
    let mut vars = vec![];
    trial.nest(shape, LoopKind::Seq, |site, ix| {
        vars = ix.to_vec();
        let value = site.value(ix);
        site.store(ix, value);
    });
    let kernel = trial.finish(String::new()).kernel;
    let axes: Vec<usize> = (0..shape.len()).filter(|&a| !shape[a].is(1)).collect();
    // What loops within itself does not run as lanes.
    let loops = kernel.vars.iter().filter(|(_, v)| matches!(v, Var::Loop { .. })).count();
    let innermost = if loops > axes.len() { LoopKind::Seq } else { LoopKind::Vector };

    let indices = indices(&kernel);
    let groups = groups(shape, &axes, |outer, inner| merges(&indices, (&vars[outer], &vars[inner]), &shape[inner]));
    let mut site = site();
    write(&mut site, &groups, vec![Dim::zero(); shape.len()], innermost);
    site
}

/// Neighbouring axes that are one loop each.
fn groups(shape: &[Dim], axes: &[usize], merge: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    for &axis in axes {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|&outer| merge(outer, axis)) => group.push(axis),
            _ => groups.push(vec![axis]),
        }
    }
    // A single loop would leave nothing to split between threads.
    if let [all] = &groups[..] {
        let elements = |from: usize| all[from..].iter().map(|&a| estimate(&shape[a])).product::<f64>();
        if let Some(cut) = (1..all.len()).rev().find(|&from| elements(from) >= MIN_ROW) {
            return vec![all[..cut].to_vec(), all[cut..].to_vec()];
        }
    }
    groups
}

fn write(site: &mut Site<'_>, groups: &[Vec<usize>], mut ix: Vec<Dim>, innermost: LoopKind) {
    let Some((group, rest)) = groups.split_first() else {
        let value = site.value(&ix);
        return site.store(&ix, value);
    };
    let extents: Vec<Dim> = group.iter().map(|&a| site.tip_shape()[a].clone()).collect();
    let kind = if rest.is_empty() { innermost } else { LoopKind::Seq };
    site.each(&count(&extents), kind, |site, i| {
        group.iter().zip(unflatten(&site.w, i, &extents)).for_each(|(&a, i)| ix[a] = i);
        write(site, rest, ix, innermost);
    });
}

/// Every index of a kernel: of loads, stores, bounds and values.
fn indices(kernel: &Kernel) -> Vec<Dim> {
    fn of_block(block: &Block, found: &mut Vec<Dim>) {
        for stmt in block {
            match stmt {
                Stmt::For { body, .. } => of_block(body, found),
                Stmt::Store { index, .. } => found.push(index.clone()),
                Stmt::If { bounds, then, otherwise } => {
                    found.extend(bounds.iter().map(|b| b.index.clone()));
                    of_block(then, found);
                    of_block(otherwise, found);
                }
                Stmt::Set { .. } | Stmt::Assign { .. } | Stmt::Accumulate { .. } | Stmt::Check { .. } => {}
            }
        }
    }
    let mut found = vec![];
    of_block(&kernel.body, &mut found);
    for (_, e) in kernel.exprs.iter() {
        if let Expr::Load(_, index) | Expr::Index(index) = &e.expr {
            found.push(index.clone());
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether each index moves along the outer variable as far as along all `extent` values of the inner one.
fn merges(indices: &[Dim], (outer, inner): (&Dim, &Dim), extent: &Dim) -> bool {
    indices.iter().all(|index| match (coefficient(index, outer), coefficient(index, inner)) {
        (Some(o), Some(i)) => o == i * extent,
        _ => false,
    })
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
