//! The template for results whose elements are computed one by one: loops over the result.
//!
//! Neighbouring axes become one loop where every address allows it. That is found by trial: the body is written once
//! with a loop per axis, and two axes merge when each index in it moves along the outer axis exactly as far as along all
//! of the inner one. The innermost loop runs as lanes. Where what is read runs along another axis than what is written,
//! both loops go through small tiles, so that whole cache lines are used on either side.

use super::{
    fuse::estimate,
    lower::{Context, Site, unflatten},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{Expr, Kernel, LoopKind, Stmt, Var, coefficient, statements},
    op::Op,
    tensor::count,
};

/// A loop that may be split between threads leaves at least this many elements to each iteration.
const MIN_ROW: f64 = 1024.0;

/// Loops over the elements of `tip`, which `root` is computed within.
pub fn map<'g>(cx: &Context<'g>, tip: NodeId, root: NodeId) -> Site<'g> {
    let mut site = Site::new(cx.graph, cx.fusion, tip, root);
    each_element(&mut site, cx.graph.shape(tip), &|site, ix| site.write_element(ix));
    site
}

/// Copies a node that has a buffer into another.
pub fn copy<'g>(cx: &Context<'g>, node: NodeId) -> Site<'g> {
    let mut site = Site::copy(cx.graph, cx.fusion, node);
    each_element(&mut site, cx.graph.shape(node), &|site, ix| {
        let value = site.value(ix);
        site.store(ix, value);
    });
    site
}

/// Operands of a concatenation that are computed in one loop, at most.
const MAX_TOGETHER: usize = 16;

/// Joins tensors: loops over each operand that is not in place, stored where it lies in the result. Neighbours of one
/// shape that are computed here share their loops, and so what their code has in common.
pub fn join<'g>(cx: &Context<'g>, tip: NodeId, root: NodeId) -> Site<'g> {
    let mut site = Site::new(cx.graph, cx.fusion, tip, root);
    let mut parts = vec![];
    collect_parts(cx, &site, root, &vec![Dim::zero(); cx.graph.ty(root).rank()], &mut parts);
    let together = |a: &(NodeId, Vec<Dim>), b: &(NodeId, Vec<Dim>)| {
        let computed = [a.0, b.0].iter().all(|&id| !cx.fusion.has_buffer(id));
        computed && cx.graph.shape(a.0) == cx.graph.shape(b.0)
    };
    for group in parts.chunk_by(together).flat_map(|group| group.chunks(MAX_TOGETHER)) {
        each_of_several(&mut site, cx.graph.shape(group[0].0), group.len(), &|site, ix| {
            for (part, at) in group {
                let value = site.element_of(*part, ix);
                let to: Vec<Dim> = ix.iter().zip(at).map(|(i, at)| i + at).collect();
                site.finish_element(&to, value);
            }
        });
    }
    site
}

/// What a concatenation joins, with where it begins: operands that are not in place, and those of operands that are
/// concatenations without a buffer.
fn collect_parts(cx: &Context<'_>, site: &Site<'_>, id: NodeId, at: &[Dim], parts: &mut Vec<(NodeId, Vec<Dim>)>) {
    let node = cx.graph.node(id);
    let Op::Concat(op) = &node.op else { return parts.push((id, at.to_vec())) };
    let mut at = at.to_vec();
    for (n, &operand) in node.inputs.iter().enumerate() {
        if cx.fusion.has_buffer(operand) {
            if !(id == site.root() && site.is_in_place(n)) {
                parts.push((operand, at.clone()));
            }
        } else {
            collect_parts(cx, site, operand, &at, parts);
        }
        at[op.axis] = &at[op.axis] + &cx.graph.shape(operand)[op.axis];
    }
}

/// Loops over the indices of `shape`, with as few loops as the indices in `body` allow.
pub fn each_element<'g>(site: &mut Site<'g>, shape: &[Dim], body: &dyn Fn(&mut Site<'g>, &[Dim])) {
    each_of_several(site, shape, 1, body);
}

/// The same where each index stands for so many elements that are computed together.
fn each_of_several<'g>(site: &mut Site<'g>, shape: &[Dim], together: usize, body: &dyn Fn(&mut Site<'g>, &[Dim])) {
    let trial = Trial::of(site.fresh(), shape, body);
    let axes: Vec<usize> = (0..shape.len()).filter(|&a| !shape[a].is(1)).collect();
    let groups = with_rows(trial.groups(&axes), shape);
    if let Some(other) = trial.across(&groups) {
        // Nothing runs as lanes: a few operations are written out instead.
        let innermost = if trial.size <= MAX_WRITTEN_OUT { LoopKind::Unroll } else { LoopKind::Seq };
        return write_tiles(site, &groups, other, shape, innermost, body);
    }
    let start = vec![Dim::zero(); shape.len()];
    // Short rows are one with the axis around them where each of their elements is much work.
    let row = |cut: usize| groups[cut..].iter().map(|g| estimate(&count(&extents(g, shape)))).product::<f64>();
    let cuts = if together > 1 { 1..groups.len() } else { groups.len().saturating_sub(1)..groups.len() };
    let Some(cut) = cuts.rev().find(|&cut| row(cut) >= MIN_FLAT).filter(|&cut| cut > 1) else {
        return write(site, &groups, shape, start, trial.innermost(), body);
    };
    let (outer, rows) = (groups[..cut].concat(), &groups[cut..]);
    // One loop around long rows, which can be split between threads however its extents are made up.
    site.each_flat(&extents(&outer, shape), |site, at| {
        let mut ix = start.clone();
        outer.iter().zip(at).for_each(|(&axis, i)| ix[axis] = i.clone());
        write(site, rows, shape, ix, trial.innermost(), body);
    });
}

/// Rows that are this long do not notice what it costs to find their place.
const MIN_FLAT: f64 = 128.0;
/// Code of at most so many operations is repeated for every element of a tile's row.
const MAX_WRITTEN_OUT: usize = 8;

/// Elements along each side of a tile.
const TILE: i64 = 16;

/// The loops of `write`, but those of group `other` and of the last group in tiles, which are the innermost. All loops
/// around the tiles are one, which can be split between threads.
fn write_tiles<'g>(
    site: &mut Site<'g>,
    groups: &[Vec<usize>],
    other: usize,
    shape: &[Dim],
    innermost: LoopKind,
    body: &dyn Fn(&mut Site<'g>, &[Dim]),
) {
    let last = groups.len() - 1;
    let (slow, fast) = (extents(&groups[other], shape), extents(&groups[last], shape));
    let outer: Vec<usize> = (0..last).filter(|&g| g != other).flat_map(|g| groups[g].clone()).collect();
    let mut around = extents(&outer, shape);
    let blocks = count(&slow).floor_div(&Dim::from(TILE));
    let whole = &blocks * TILE == count(&slow);
    around.extend(whole.then_some(blocks));
    let tiles = |site: &mut Site<'g>, ix: &[Dim], first_slow: &Dim, many_slow: &Dim| {
        in_blocks(site, &count(&fast), &mut |site, first_fast, many_fast| {
            let kind = if many_fast.as_int().is_some() { innermost } else { LoopKind::Seq };
            site.each(many_slow, LoopKind::Seq, |site, i| {
                let mut ix = ix.to_vec();
                place(site, &mut ix, &groups[other], &(first_slow + i), &slow);
                site.each(many_fast, kind, |site, j| {
                    place(site, &mut ix, &groups[last], &(first_fast + j), &fast);
                    body(site, &ix);
                });
            });
        });
    };
    site.each_flat(&around, |site, at| {
        let mut ix = vec![Dim::zero(); shape.len()];
        outer.iter().zip(at).for_each(|(&axis, i)| ix[axis] = i.clone());
        match at.get(outer.len()) {
            Some(block) => tiles(site, &ix, &(block * TILE), &Dim::from(TILE)),
            None => in_blocks(site, &count(&slow), &mut |site, first, many| tiles(site, &ix, first, many)),
        }
    });
}

/// Sets the indices of a group's axes to those of its `n`-th place.
fn place(site: &Site<'_>, ix: &mut [Dim], group: &[usize], n: &Dim, extents: &[Dim]) {
    group.iter().zip(unflatten(&site.w, n, extents)).for_each(|(&axis, i)| ix[axis] = i);
}

fn extents(group: &[usize], shape: &[Dim]) -> Vec<Dim> {
    group.iter().map(|&a| shape[a].clone()).collect()
}

/// A loop over whole blocks of an extent, and what remains: `body` gets the first element and how many there are.
fn in_blocks<'g>(site: &mut Site<'g>, extent: &Dim, body: &mut dyn FnMut(&mut Site<'g>, &Dim, &Dim)) {
    let many = extent.floor_div(&Dim::from(TILE));
    let done = &many * TILE;
    let rest = extent - &done;
    if !many.is(0) {
        site.each(&many, LoopKind::Seq, |site, block| body(site, &(block * TILE), &Dim::from(TILE)));
    }
    if !rest.is(0) {
        body(site, &done, &rest);
    }
}

/// What a body looks like with a loop around it for every axis.
pub struct Trial {
    shape: Vec<Dim>,
    vars: Vec<Dim>,
    indices: Vec<Dim>,
    /// Whether the body itself loops; then the loops around it do not run as lanes.
    loops_within: bool,
    /// Operations of the body.
    size: usize,
}

impl Trial {
    pub fn of<'g>(mut site: Site<'g>, shape: &[Dim], body: &dyn Fn(&mut Site<'g>, &[Dim])) -> Trial {
        let mut vars = vec![];
        site.nest(shape, LoopKind::Seq, |site, ix| {
            vars = ix.to_vec();
            body(site, ix);
        });
        let kernel = site.finish(String::new()).kernel;
        let loops = kernel.vars.iter().filter(|(_, v)| matches!(v, Var::Loop { .. })).count();
        let outer = shape.iter().filter(|n| !n.is(1)).count();
        let size = kernel.exprs.len();
        Trial { shape: shape.to_vec(), vars, indices: indices(&kernel), loops_within: loops > outer, size }
    }
    /// The kind of the innermost loop around the body.
    pub fn innermost(&self) -> LoopKind {
        if self.loops_within { LoopKind::Seq } else { LoopKind::Vector }
    }
    /// The group of axes along which something is contiguous that is not so along the last group, whose neighbours are
    /// contiguous elsewhere: the other side of a transpose.
    fn across(&self, groups: &[Vec<usize>]) -> Option<usize> {
        let (last, others) = groups.split_last()?;
        let step = |index: &Dim, group: &[usize]| coefficient(index, &self.vars[*group.last()?]);
        let long =
            |group: &[usize]| estimate(&count(&group.iter().map(|&a| self.shape[a].clone()).collect::<Vec<_>>()));
        let contiguous = self.indices.iter().any(|i| step(i, last).is_some_and(|s| s.is(1)));
        if self.loops_within || !contiguous || long(last) < TILE as f64 {
            return None;
        }
        let strided = |i: &&Dim| step(i, last).is_some_and(|s| !s.is(0) && !s.is(1));
        let along = |i: &Dim, group: &[usize]| step(i, group).is_some_and(|s| s.is(1)) && long(group) >= TILE as f64;
        self.indices.iter().filter(strided).find_map(|i| others.iter().position(|group| along(i, group)))
    }
    /// Neighbours among these axes that are one loop each.
    pub fn groups(&self, axes: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = vec![];
        for &axis in axes {
            match groups.last_mut() {
                Some(group) if group.last().is_some_and(|&outer| self.merges(outer, axis)) => group.push(axis),
                _ => groups.push(vec![axis]),
            }
        }
        groups
    }
    /// Whether axis `outer` is one with the next axis before `end`. An extent of 1 is no obstacle.
    pub fn joins(&self, outer: usize, end: usize) -> bool {
        match (outer + 1..end).find(|&axis| !self.shape[axis].is(1)) {
            Some(inner) if !self.shape[outer].is(1) => self.merges(outer, inner),
            _ => true,
        }
    }
    /// Whether each index moves along the outer axis as far as along all of the inner one.
    fn merges(&self, outer: usize, inner: usize) -> bool {
        self.indices.iter().all(|index| {
            match (coefficient(index, &self.vars[outer]), coefficient(index, &self.vars[inner])) {
                (Some(o), Some(i)) => o == i * &self.shape[inner],
                _ => false,
            }
        })
    }
}

/// A single loop would leave nothing to split between threads.
fn with_rows(groups: Vec<Vec<usize>>, shape: &[Dim]) -> Vec<Vec<usize>> {
    if let [all] = &groups[..] {
        let elements = |from: usize| all[from..].iter().map(|&a| estimate(&shape[a])).product::<f64>();
        if let Some(cut) = (1..all.len()).rev().find(|&from| elements(from) >= MIN_ROW) {
            return vec![all[..cut].to_vec(), all[cut..].to_vec()];
        }
    }
    groups
}

/// A loop for each group of axes around `body`; `ix` holds the indices of all other axes.
pub fn write<'g>(
    site: &mut Site<'g>,
    groups: &[Vec<usize>],
    shape: &[Dim],
    mut ix: Vec<Dim>,
    innermost: LoopKind,
    body: &dyn Fn(&mut Site<'g>, &[Dim]),
) {
    let Some((group, rest)) = groups.split_first() else { return body(site, &ix) };
    let extents: Vec<Dim> = group.iter().map(|&a| shape[a].clone()).collect();
    let kind = if rest.is_empty() { innermost } else { LoopKind::Seq };
    site.each(&count(&extents), kind, |site, i| {
        group.iter().zip(unflatten(&site.w, i, &extents)).for_each(|(&a, i)| ix[a] = i);
        write(site, rest, shape, ix, innermost, body);
    });
}

/// Every index of a kernel: of loads, stores, bounds and values.
fn indices(kernel: &Kernel) -> Vec<Dim> {
    let mut found = vec![];
    for stmt in statements(&kernel.body) {
        match stmt {
            Stmt::Store { index, .. } | Stmt::Update { index, .. } | Stmt::Prefetch { index, .. } => {
                found.push(index.clone())
            }
            Stmt::If { bounds, .. } => found.extend(bounds.iter().map(|b| b.index.clone())),
            Stmt::For { .. } | Stmt::Set { .. } | Stmt::Assign { .. } | Stmt::Accumulate { .. } => {}
            Stmt::Check { .. } | Stmt::Append { .. } | Stmt::Take { .. } => {}
        }
    }
    for (_, e) in kernel.exprs.iter() {
        if let Expr::Load(_, index) | Expr::Index(index) = &e.expr {
            found.push(index.clone());
        }
    }
    found.sort();
    found.dedup();
    found
}
