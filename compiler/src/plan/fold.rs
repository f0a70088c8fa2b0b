//! The template for folds: `Reduce` along axes, `Window` around places.
//!
//! Where the last axis is folded, lanes run along it and are folded at the end. Where it is kept, lanes run along it: a
//! tile of neighbouring results is kept in registers while the folded axes run, and borders of windows are tested once
//! for the whole tile. Long sums of floats are taken in blocks, whose sums are then added up: rounding errors grow with
//! the length of a chain of additions.

use super::{
    lower::{Context, Site, unflatten},
    map::Trial,
};
use crate::{
    base::Dim,
    graph::{Graph, NodeId},
    loops::{BinaryFn, Bound, CompareFn, ExprId, LocalId, LoopKind},
    op::{Op, accumulator, identity},
    tensor::{DType, Scalar, count},
};

/// Vectors of a tile, if there are as many accumulators.
const MAX_VECTORS: usize = 4;
/// Additions in a row, at most about this many per lane.
const BLOCK: usize = 64;

/// A fold in one form.
struct Fold {
    operand: NodeId,
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
    fn of(graph: &Graph, root: NodeId) -> Option<Fold> {
        let node = graph.node(root);
        let x = graph.ty(node.inputs[0]);
        match &node.op {
            Op::Reduce(op) => {
                let wide = accumulator(x.dtype);
                Some(Fold {
                    operand: node.inputs[0],
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
                    operand: node.inputs[0],
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
        let x = site.element_of(self.operand, from);
        let x = site.w.cast(self.wide, x);
        if !self.skips_nan {
            return x;
        }
        let is_number = site.w.compare(CompareFn::Eq, x, x);
        site.w.select(is_number, x, start)
    }
    /// Whether so many additions in a row lose accuracy that blocks of `block` elements pay.
    fn needs_blocks(&self, block: usize) -> bool {
        let long = count(&self.extents).as_int().is_none_or(|n| n > block as i64);
        long && self.f == BinaryFn::Add && self.wide.is_float() && self.window.is_none()
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
    let fold = Fold::of(cx.graph, root)?;
    let x = &cx.graph.ty(cx.graph.node(root).inputs[0]).shape;
    let mut site = Site::new(cx.graph, cx.fusion, tip, root);
    let last = x.iter().rposition(|n| !n.is(1));
    let lanes = cx.target.lanes(fold.wide.size());
    match last {
        Some(last) if fold.keeps(last) => {
            columns(&mut site, &fold, x, last, lanes * cx.target.accumulators.clamp(1, MAX_VECTORS));
        }
        _ if fold.window.is_some() => return None,
        _ => rows(&mut site, &fold, x, lanes),
    }
    Some(site)
}

/// Axes that are folded in one loop each, as positions among the folded axes.
fn loops<'g>(site: &Site<'g>, fold: &Fold, x: &[Dim], also: &Also<'_, 'g>) -> Vec<Vec<usize>> {
    if fold.window.is_some() {
        return (0..fold.folded.len()).map(|n| vec![n]).collect();
    }
    let trial = Trial::of(site.fresh(), x, &|site, ix| {
        site.element_of(fold.operand, ix);
        also(site, ix);
    });
    let axes: Vec<usize> = fold.folded.iter().copied().filter(|&a| !x[a].is(1)).collect();
    let position = |a: usize| fold.folded.iter().position(|&f| f == a).expect("a folded axis");
    trial.groups(&axes).into_iter().map(|group| group.into_iter().map(position).collect()).collect()
}

/// The registers of a fold, and how its innermost loop runs.
struct Sums {
    /// What the innermost loop accumulates into.
    acc: LocalId,
    /// The sum of the blocks and the elements of one, where sums are taken in blocks.
    blocks: Option<(LocalId, usize)>,
    start: ExprId,
    /// Elements of both registers; none for a scalar.
    width: Option<Dim>,
    innermost: LoopKind,
}

impl Sums {
    /// Registers of `width` results, or of one, for a fold whose innermost loop takes `per_step` elements at once.
    fn new(site: &mut Site<'_>, fold: &Fold, width: Option<usize>, innermost: LoopKind, per_step: usize) -> Sums {
        let shape: Vec<usize> = width.into_iter().collect();
        let acc = site.w.local(fold.wide, shape.clone());
        let block = BLOCK * per_step;
        let blocks = fold.needs_blocks(block).then(|| (site.w.local(fold.wide, shape), block));
        let start = site.w.constant(fold.wide, fold.start);
        let sums = Sums { acc, blocks, start, width: width.map(Dim::from), innermost };
        sums.each(site, &mut |site, ix| {
            site.w.assign(acc, ix, start);
            if let Some((total, _)) = blocks {
                site.w.assign(total, ix, start);
            }
        });
        sums
    }
    fn each<'g>(&self, site: &mut Site<'g>, body: &mut dyn FnMut(&mut Site<'g>, &[Dim])) {
        match &self.width {
            Some(width) => site.each(width, LoopKind::Vector, |site, t| body(site, std::slice::from_ref(t))),
            None => body(site, &[]),
        }
    }
    /// Adds the block to the total and begins the next one.
    fn flush(&self, site: &mut Site<'_>) {
        let Some((total, _)) = self.blocks else { return };
        self.each(site, &mut |site, ix| {
            let block = site.w.read(self.acc, ix);
            let block = site.w.set(block);
            site.w.accumulate(total, ix, BinaryFn::Add, block);
            site.w.assign(self.acc, ix, self.start);
        });
    }
    /// The register that holds the result at the end.
    fn result(&self) -> LocalId {
        self.blocks.map_or(self.acc, |(total, _)| total)
    }
    /// The innermost loop, in blocks.
    fn innermost<'g>(&self, site: &mut Site<'g>, extent: &Dim, body: &mut dyn FnMut(&mut Site<'g>, &Dim)) {
        let Some((_, block)) = self.blocks else { return site.each(extent, self.innermost, |site, i| body(site, i)) };
        let size = Dim::from(block);
        let many =
            if extent.as_int().is_some_and(|n| n <= block as i64) { Dim::zero() } else { extent.floor_div(&size) };
        if !many.is(0) {
            site.each(&many, LoopKind::Seq, |site, b| {
                let first = b * &size;
                site.each(&size, self.innermost, |site, i| body(site, &(&first + i)));
                self.flush(site);
            });
        }
        let done = &many * &size;
        let rest = extent - &done;
        if !rest.is(0) {
            site.each(&rest, self.innermost, |site, i| body(site, &(&done + i)));
            self.flush(site);
        }
    }
}

/// Loops over the folded axes.
fn each_folded<'g>(
    site: &mut Site<'g>,
    fold: &Fold,
    loops: &[Vec<usize>],
    r: Vec<Dim>,
    sums: &Sums,
    body: &mut dyn FnMut(&mut Site<'g>, &[Dim]),
) {
    let Some((group, rest)) = loops.split_first() else {
        body(site, &r);
        return sums.flush(site);
    };
    let extents: Vec<Dim> = group.iter().map(|&n| fold.extents[n].clone()).collect();
    let at = |site: &Site<'g>, i: &Dim| {
        let mut r = r.clone();
        group.iter().zip(unflatten(&site.w, i, &extents)).for_each(|(&n, i)| r[n] = i);
        r
    };
    if rest.is_empty() {
        sums.innermost(site, &count(&extents), &mut |site, i| {
            let r = at(site, i);
            body(site, &r);
        });
    } else {
        site.each(&count(&extents), LoopKind::Seq, |site, i| {
            let r = at(site, i);
            each_folded(site, fold, rest, r, sums, body);
        });
    }
}

/// The last axis is folded: one accumulator for each result.
fn rows(site: &mut Site<'_>, fold: &Fold, x: &[Dim], lanes: usize) {
    let kept: Vec<Dim> =
        (0..x.len()).map(|a| if fold.folded.contains(&a) { Dim::one() } else { x[a].clone() }).collect();
    site.each_flat(&kept, |site, ix| {
        let value = row(site, fold, x, ix, lanes, &|_, _| {});
        site.finish_element(ix, value);
    });
}

/// What is done at each index of the operand before its element is folded.
type Also<'a, 'g> = dyn Fn(&mut Site<'g>, &[Dim]) + 'a;

/// The result at `ix`.
fn row<'g>(site: &mut Site<'g>, fold: &Fold, x: &[Dim], ix: &[Dim], lanes: usize, also: &Also<'_, 'g>) -> ExprId {
    let loops = loops(site, fold, x, also);
    let dtype = site.graph().ty(fold.operand).dtype;
    let sums = Sums::new(site, fold, None, LoopKind::Vector, lanes);
    let r = vec![Dim::zero(); fold.folded.len()];
    each_folded(site, fold, &loops, r, &sums, &mut |site, r| {
        let from = fold.from(ix, r);
        also(site, &from);
        let value = fold.value(site, &from, sums.start);
        site.w.accumulate(sums.acc, &[], fold.f, value);
    });
    let value = site.w.read(sums.result(), &[]);
    let value = site.w.cast(dtype, value);
    site.w.set(value)
}

/// The result at `ix` of a reduction along the last axes; `also` is done at each index of its operand.
pub fn reduce_row<'g>(cx: &Context<'g>, site: &mut Site<'g>, root: NodeId, ix: &[Dim], also: &Also<'_, 'g>) -> ExprId {
    let fold = Fold::of(cx.graph, root).expect("a reduction");
    let x = &cx.graph.ty(fold.operand).shape;
    row(site, &fold, x, ix, cx.target.lanes(fold.wide.size()), also)
}

/// The last axis is kept: a tile of `tile` results.
fn columns(site: &mut Site<'_>, fold: &Fold, x: &[Dim], last: usize, tile: usize) {
    let loops = loops(site, fold, x, &|_, _| {});
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
    let sums = Sums::new(site, fold, Some(tile), LoopKind::Seq, 1);
    let r = vec![Dim::zero(); fold.folded.len()];
    each_folded(site, fold, loops, r, &sums, &mut |site, r| {
        let from = fold.from(&at(&Dim::zero()), r);
        let bounds = (0..x.len()).filter(|&a| a != last && fold.window.is_some());
        let bounds = bounds.map(|a| Bound { index: from[a].clone(), extent: x[a].clone() });
        let bounds: Vec<Bound> = bounds.filter(|b| !site.w.is_within(&b.index, &b.extent)).collect();
        site.branch(bounds, |site| {
            site.each(&width, LoopKind::Vector, |site, t| {
                let value = fold.value(site, &fold.from(&at(t), r), sums.start);
                site.w.accumulate(sums.acc, std::slice::from_ref(t), fold.f, value);
            });
        });
    });
    site.each(&width, LoopKind::Vector, |site, t| {
        let value = site.w.read(sums.result(), std::slice::from_ref(t));
        let value = site.w.cast(dtype, value);
        let value = site.w.set(value);
        site.finish_element(&at(t), value);
    });
}
