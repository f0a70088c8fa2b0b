//! The template for folds: `Reduce` along axes, `Window` around places.
//!
//! Where the last axis is folded, lanes run along it and are folded at the end. Where it is kept, lanes run along it: a
//! tile of neighbouring results is kept in registers while the folded axes run, and borders of windows are tested once
//! for the whole tile.

use super::{
    lower::{Context, Site, unflatten},
    map::Trial,
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Bound, CompareFn, ExprId, LoopKind},
    op::{Op, accumulator, identity},
    tensor::{DType, Scalar, count},
};

/// Vectors of a tile, if there are as many accumulators.
const MAX_VECTORS: usize = 4;

/// A fold in one form.
struct Fold {
    f: BinaryFn,
    /// The type of the accumulator, and the value it starts with.
    wide: DType,
    start: Scalar,
    /// NaN counts for nothing.
    skips_nan: bool,
    /// Axes of the operand that are folded, and how far; for a window, its own axes.
    folded: Vec<usize>,
    extents: Vec<Dim>,
    window: Option<crate::op::Window>,
}

impl Fold {
    fn of(cx: &Context<'_>, root: NodeId) -> Option<Fold> {
        let node = cx.graph.node(root);
        let x = cx.graph.ty(node.inputs[0]);
        match &node.op {
            Op::Reduce(op) => {
                let wide = accumulator(x.dtype);
                Some(Fold {
                    f: op.f,
                    wide,
                    start: identity(op.f, wide),
                    skips_nan: false,
                    folded: op.axes.clone(),
                    extents: op.axes.iter().map(|&a| x.shape[a].clone()).collect(),
                    window: None,
                })
            }
            Op::Window(op) => {
                let extreme = matches!(op.f, BinaryFn::Max | BinaryFn::Min);
                let wide = if extreme { x.dtype } else { accumulator(x.dtype) };
                let folded: Vec<usize> = (0..x.rank()).filter(|&a| op.size[a] != 1).collect();
                Some(Fold {
                    f: op.f,
                    wide,
                    start: op.start(wide),
                    skips_nan: extreme && wide.is_float(),
                    extents: folded.iter().map(|&a| Dim::from(op.size[a])).collect(),
                    folded,
                    window: Some(op.clone()),
                })
            }
            _ => None,
        }
    }
    /// The operand's index for the result's index and that of the folded axes.
    fn from(&self, ix: &[Dim], r: &[Dim]) -> Vec<Dim> {
        let mut from = ix.to_vec();
        if let Some(window) = &self.window {
            (0..ix.len()).for_each(|a| from[a] = &ix[a] * window.stride[a] - &window.low[a]);
        }
        for (&a, i) in self.folded.iter().zip(r) {
            from[a] = match &self.window {
                Some(window) => &from[a] + i * window.dilation[a],
                None => i.clone(),
            };
        }
        from
    }
    /// What is folded at an index of the operand, in the wide type.
    fn value(&self, site: &mut Site<'_>, from: &[Dim], start: ExprId) -> ExprId {
        let x = site.operand(0, from);
        let x = site.w.cast(self.wide, x);
        if !self.skips_nan {
            return x;
        }
        let is_number = site.w.compare(CompareFn::Eq, x, x);
        site.w.select(is_number, x, start)
    }
    /// Whether the result's last axis is the operand's.
    fn keeps(&self, axis: usize) -> bool {
        match &self.window {
            Some(w) => [w.size[axis], w.stride[axis]] == [1, 1] && w.low[axis].is(0) && w.high[axis].is(0),
            None => !self.folded.contains(&axis),
        }
    }
}

/// The kernel of a fold; `None` when this template does not cover it.
pub fn fold<'g>(cx: &Context<'g>, tip: NodeId, root: NodeId) -> Option<Site<'g>> {
    let fold = Fold::of(cx, root)?;
    let x = &cx.graph.ty(cx.graph.node(root).inputs[0]).shape;
    let mut site = Site::new(cx.graph, cx.fusion, tip, root);
    let last = x.iter().rposition(|n| !n.is(1));
    match last {
        Some(last) if fold.keeps(last) => {
            let lanes = cx.target.lanes(fold.wide.size());
            columns(&mut site, &fold, x, last, lanes * cx.target.accumulators.clamp(1, MAX_VECTORS));
        }
        _ if fold.window.is_some() => return None,
        _ => rows(&mut site, &fold, x),
    }
    Some(site)
}

/// Axes that are folded in one loop each, as positions among the folded axes.
fn loops(site: &Site<'_>, fold: &Fold, x: &[Dim]) -> Vec<Vec<usize>> {
    if fold.window.is_some() {
        return (0..fold.folded.len()).map(|n| vec![n]).collect();
    }
    let trial = Trial::of(site.fresh(), x, &|site, ix| {
        site.operand(0, ix);
    });
    let axes: Vec<usize> = fold.folded.iter().copied().filter(|&a| !x[a].is(1)).collect();
    let position = |a: usize| fold.folded.iter().position(|&f| f == a).expect("a folded axis");
    trial.groups(&axes).into_iter().map(|group| group.into_iter().map(position).collect()).collect()
}

/// Loops over the folded axes; the innermost one is of kind `innermost`.
fn each_folded<'g>(
    site: &mut Site<'g>,
    fold: &Fold,
    loops: &[Vec<usize>],
    mut r: Vec<Dim>,
    innermost: LoopKind,
    body: &mut dyn FnMut(&mut Site<'g>, &[Dim]),
) {
    let Some((group, rest)) = loops.split_first() else { return body(site, &r) };
    let extents: Vec<Dim> = group.iter().map(|&n| fold.extents[n].clone()).collect();
    let kind = if rest.is_empty() { innermost } else { LoopKind::Seq };
    site.each(&count(&extents), kind, |site, i| {
        group.iter().zip(unflatten(&site.w, i, &extents)).for_each(|(&n, i)| r[n] = i);
        each_folded(site, fold, rest, r, innermost, body);
    });
}

/// The last axis is folded: one accumulator for each result.
fn rows(site: &mut Site<'_>, fold: &Fold, x: &[Dim]) {
    let loops = loops(site, fold, x);
    let dtype = site.operand_ty(0).dtype;
    let kept: Vec<Dim> =
        (0..x.len()).map(|a| if fold.folded.contains(&a) { Dim::one() } else { x[a].clone() }).collect();
    site.each_flat(&kept, |site, ix| {
        let start = site.w.constant(fold.wide, fold.start);
        let acc = site.w.local(fold.wide, []);
        site.w.assign(acc, &[], start);
        let r = vec![Dim::zero(); fold.folded.len()];
        each_folded(site, fold, &loops, r, LoopKind::Vector, &mut |site, r| {
            let value = fold.value(site, &fold.from(ix, r), start);
            site.w.accumulate(acc, &[], fold.f, value);
        });
        let value = site.w.read(acc, &[]);
        let value = site.w.cast(dtype, value);
        let value = site.w.set(value);
        site.finish_element(ix, value);
    });
}

/// The last axis is kept: a tile of `tile` results.
fn columns(site: &mut Site<'_>, fold: &Fold, x: &[Dim], last: usize, tile: usize) {
    let loops = loops(site, fold, x);
    let mut outer = site.root_shape().to_vec();
    let width = std::mem::replace(&mut outer[last], Dim::one());
    let tile = width.as_int().map_or(tile, |n| tile.min(n.max(1) as usize));
    let many = width.floor_div(&Dim::from(tile));
    let done = &many * tile as i64;
    let rest = &width - &done;
    site.each_flat(&outer, |site, ix| {
        site.each(&many, LoopKind::Seq, |site, t| {
            one_tile(site, fold, x, &loops, (ix, last, &(t * tile as i64)), tile);
        });
        match rest.as_int() {
            Some(0) => {}
            Some(rest) => one_tile(site, fold, x, &loops, (ix, last, &done), rest as usize),
            None => site.each(&rest, LoopKind::Seq, |site, t| {
                one_tile(site, fold, x, &loops, (ix, last, &(&done + t)), 1);
            }),
        }
    });
}

/// `tile` results along axis `last` from `column`.
fn one_tile(
    site: &mut Site<'_>,
    fold: &Fold,
    x: &[Dim],
    loops: &[Vec<usize>],
    (ix, last, column): (&[Dim], usize, &Dim),
    tile: usize,
) {
    let dtype = site.operand_ty(0).dtype;
    let at = |t: &Dim| {
        let mut ix = ix.to_vec();
        ix[last] = column + t;
        ix
    };
    let width = Dim::from(tile);
    let start = site.w.constant(fold.wide, fold.start);
    let acc = site.w.local(fold.wide, vec![tile]);
    site.each(&width, LoopKind::Vector, |site, t| site.w.assign(acc, std::slice::from_ref(t), start));
    let r = vec![Dim::zero(); fold.folded.len()];
    each_folded(site, fold, loops, r, LoopKind::Seq, &mut |site, r| {
        let from = fold.from(&at(&Dim::zero()), r);
        let bounds = (0..x.len()).filter(|&a| a != last && fold.window.is_some());
        let bounds = bounds.map(|a| Bound { index: from[a].clone(), extent: x[a].clone() });
        let bounds: Vec<Bound> = bounds.filter(|b| !site.w.is_within(&b.index, &b.extent)).collect();
        site.branch(bounds, |site| {
            site.each(&width, LoopKind::Vector, |site, t| {
                let value = fold.value(site, &fold.from(&at(t), r), start);
                site.w.accumulate(acc, std::slice::from_ref(t), fold.f, value);
            });
        });
    });
    site.each(&width, LoopKind::Vector, |site, t| {
        let value = site.w.read(acc, std::slice::from_ref(t));
        let value = site.w.cast(dtype, value);
        let value = site.w.set(value);
        site.finish_element(&at(t), value);
    });
}
