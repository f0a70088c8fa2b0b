//! The template for sums of products: `Dot`, and `Conv` as an implicit matrix product.
//!
//! Rows are the result's axes but the last (output pixels), columns its last axis (output channels), and the depth is
//! what is summed over: `K`, or kernel rows, kernel columns and channels. A constant right operand is packed into panels
//! (`pack.rs`), so that the innermost loop streams it; any other is read in place. A tile of rows times columns is kept
//! in registers while the depth runs (`nest.rs`); then the epilogue is pulled at the tile's elements and stored. In which
//! order tiles come is a matter of caches and threads (`block.rs`), and so is what they ask the memory for ahead of its
//! use (`ask.rs`).
//!
//! Rows that lie at one distance wherever they are read and written become one axis, and so do the axes of the depth.
//! Every tap of a convolution lies within its operand: paddings were made before. A depthwise convolution sums nothing
//! over channels, and has a template of its own (`depthwise.rs`), which may leave out taps that do not.

mod ask;
mod block;
mod depthwise;
mod nest;

use std::ops::Range;

use block::Blocks;
pub use depthwise::takes_border;
use nest::{Contraction, Rows};

use super::{
    fuse::{estimate, is_view_of_constant},
    lower::{Context, Site, unflatten},
    map::Trial,
    pack,
    tile::{Chooser, MANY, Strips},
};
use crate::{
    base::{Dim, dim::NoVars},
    graph::NodeId,
    loops::{Expr, LoopKind, coefficient},
    op::{Op, accumulator},
    tensor::{DType, count},
};

/// Panels of a depth from here on have half the columns, for all targets alike.
const DEEP: i64 = 2048;

/// A contraction in one form.
struct Product {
    /// The extents of the result's axes but the last.
    rows: Vec<Dim>,
    /// Columns of one group.
    columns: Dim,
    groups: usize,
    /// The extents of what is summed over.
    depth: Vec<Dim>,
    dtype: DType,
    of: Kind,
}

enum Kind {
    Dot,
    Conv { stride: Vec<i64>, dilation: Vec<i64>, low: Vec<Dim>, depthwise: bool },
}

/// Where a tile is: indices of the rows' axes, the group, and of the depth's axes.
struct At<'a> {
    rows: &'a [Dim],
    group: &'a Dim,
    depth: &'a [Dim],
}

impl Product {
    fn of(cx: &Context<'_>, root: NodeId) -> Option<Product> {
        let node = cx.graph.node(root);
        let (left, right) = (cx.graph.ty(node.inputs[0]), cx.graph.ty(node.inputs[1]));
        let (last, rows) = node.ty.shape.split_last()?;
        let product = |columns: Dim, groups, depth: &[Dim], of| Product {
            rows: rows.to_vec(),
            columns,
            groups,
            depth: depth.to_vec(),
            dtype: left.dtype,
            of,
        };
        match &node.op {
            Op::Dot(_) => Some(product(last.clone(), 1, &left.shape[left.rank() - 1..], Kind::Dot)),
            Op::Conv(op) => {
                let nonpositive = |d: &Dim| (-d).is_nonneg(&NoVars);
                let plain = op.input_dilation.iter().all(|&d| d == 1);
                let inside = op.low.iter().chain(&op.high).all(nonpositive);
                if !plain || !(inside || takes_border(op, &left.shape, &right.shape)) {
                    return None;
                }
                // One filter for each channel: channels are columns, and nothing is summed over them.
                let depthwise = op.groups > 1 && right.shape[op.spatial()].is(1) && last.is(op.groups as i64);
                let groups = if depthwise { 1 } else { op.groups };
                let columns = last.floor_div(&Dim::from(groups));
                let of = Kind::Conv {
                    stride: op.stride.clone(),
                    dilation: op.dilation.clone(),
                    low: op.low.clone(),
                    depthwise,
                };
                Some(product(columns, groups, &right.shape[..=op.spatial()], of))
            }
            _ => None,
        }
    }
    /// Whether the left operand's elements differ between columns.
    fn is_depthwise(&self) -> bool {
        matches!(self.of, Kind::Conv { depthwise: true, .. })
    }
    fn left(&self, at: &At<'_>, column: &Dim) -> Vec<Dim> {
        match &self.of {
            Kind::Dot => [at.rows, at.depth].concat(),
            Kind::Conv { stride, dilation, low, depthwise } => {
                let n = stride.len();
                let mut ix = vec![at.rows[0].clone()];
                ix.extend((0..n).map(|s| &at.rows[s + 1] * stride[s] + &at.depth[s] * dilation[s] - &low[s]));
                ix.push(if *depthwise { column.clone() } else { at.group * &self.depth[n] + &at.depth[n] });
                ix
            }
        }
    }
    fn right(&self, at: &At<'_>, column: &Dim) -> Vec<Dim> {
        match &self.of {
            Kind::Dot => [&at.rows[..at.rows.len() - 1], at.depth, std::slice::from_ref(column)].concat(),
            Kind::Conv { .. } => [at.depth, &[at.group * &self.columns + column]].concat(),
        }
    }
    fn result(&self, rows: &[Dim], group: &Dim, column: &Dim) -> Vec<Dim> {
        [rows, &[group * &self.columns + column]].concat()
    }
}

/// The kernel of a contraction; `None` when this template does not cover it.
pub fn contract<'g>(cx: &mut Context<'g>, tip: NodeId, root: NodeId) -> Option<Site<'g>> {
    let product = Product::of(cx, root)?;
    let left = Address::of(cx, tip, root, 0, &product)?;
    if product.is_depthwise() {
        return depthwise::depthwise(cx, tip, root, product);
    }
    let constant = is_view_of_constant(cx.graph, cx.graph.node(root).inputs[1]);
    // Half a panel of a great depth is what a second-level cache holds; strips of a wider one would use few of its sets.
    let deep = count(&product.depth).as_int().is_some_and(|k| k >= DEEP);
    let panel = if deep { cx.target.panel / 2 } else { cx.target.panel };
    let (right, packed) = if constant {
        (None, Some(pack::right(cx, root, product.groups, panel)?))
    } else {
        (Some(Address::of(cx, tip, root, 1, &product)?), None)
    };
    // Axes of the rows up to the last one that the right operand tells apart.
    let apart = |axis: usize| match (&packed, &right) {
        (Some(packed), _) => packed.batch.contains(&axis),
        (None, Some(right)) => !coefficient(&right.index, &right.rows[axis]).is_some_and(|c| c.is(0)),
        (None, None) => false,
    };
    // What is stored, and what the epilogue reads, may lie within larger buffers.
    let around = Trial::of(Site::new(cx.graph, cx.fusion, tip, root), cx.graph.shape(root), &|site, ix| {
        let value = site.w.int(cx.graph.ty(root).dtype, 0);
        site.finish_element(ix, value);
    });
    let last = product.rows.len() - 1;
    let apart = (0..last).rev().find(|&axis| apart(axis)).map_or(0, |axis| axis + 1);
    let mut first = last;
    while first > apart
        && left.merges(&left.rows, first - 1, &product.rows)
        && around.joins(first - 1, product.rows.len())
    {
        first -= 1;
    }
    let merges = |axis: usize| {
        left.merges(&left.depth, axis, &product.depth)
            && right.as_ref().is_none_or(|right| right.merges(&right.depth, axis, &product.depth))
    };
    let depth = runs(product.depth.len(), merges);
    let known = |d: &Dim| d.as_int().and_then(|n| usize::try_from(n).ok());
    let wide = accumulator(product.dtype);
    let pitch = coefficient(&left.index, &left.rows[last]).and_then(|step| known(&step));
    let chooser = Chooser {
        target: cx.target,
        depth: known(&count(&product.depth)).unwrap_or(MANY),
        pitch: pitch.map(|step| step * product.dtype.size()),
        right_bytes: packed.as_ref().map(|p| p.bytes),
    };
    // Narrower elements do not run by lanes.
    let lanes = cx.target.lanes(wide.size().max(4));
    let rows = Rows::choose(&product.rows, apart, first, &chooser, &strips(&product, panel, lanes));
    let left_bytes = estimate(&cx.graph.ty(cx.graph.node(root).inputs[0]).count()) * product.dtype.size() as f64;
    let turns = packed.as_ref().is_some_and(|packed| cx.takes_turns(packed.bytes));
    let blocks = Blocks::choose(&product, &rows, packed.as_ref().map(|p| p.panel), left_bytes, &chooser, turns);
    let site = Site::new(cx.graph, cx.fusion, tip, root);
    let mut writer = Contraction { product, packed, rows, blocks, depth, chooser, lanes, wide, site };
    writer.write();
    Some(writer.site)
}

/// The columns of one group in strips as wide as a panel, and a narrower one.
fn strips(product: &Product, panel: usize, lanes: usize) -> Vec<Strips> {
    let columns = product.columns.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(MANY).max(1);
    let full = Strips { count: columns / panel, vectors: panel.div_ceil(lanes) };
    let rest = Strips { count: 1, vectors: (columns % panel).div_ceil(lanes) };
    [full, rest].into_iter().filter(|s| s.count * s.vectors > 0).collect()
}

/// One load of an operand, as a function of the product's variables.
struct Address {
    index: Dim,
    rows: Vec<Dim>,
    depth: Vec<Dim>,
}

impl Address {
    /// One load of operand `n`, found by trial; `None` when an element is more than that, or does not lie at a linear
    /// index.
    fn of(cx: &Context<'_>, tip: NodeId, root: NodeId, n: usize, product: &Product) -> Option<Address> {
        let mut site = Site::new(cx.graph, cx.fusion, tip, root);
        let (mut rows, mut depth) = (vec![], vec![]);
        let mut others = vec![];
        let extents =
            [&product.rows[..], &product.depth, &[Dim::from(product.groups), product.columns.clone()]].concat();
        let sites = product.rows.len();
        site.nest(&extents, LoopKind::Seq, |site, ix| {
            rows = ix[..sites].to_vec();
            depth = ix[sites..ix.len() - 2].to_vec();
            let [group, column] = [&ix[ix.len() - 2], &ix[ix.len() - 1]];
            others = vec![group.clone(), column.clone()];
            let at = At { rows: &rows, group, depth: &depth };
            let ix = if n == 0 { product.left(&at, column) } else { product.right(&at, column) };
            site.operand(n, &ix);
        });
        let kernel = site.finish(String::new()).kernel;
        let mut exprs = kernel.exprs.iter().map(|(_, e)| &e.expr).filter(|e| !matches!(e, Expr::Var(_)));
        let (Some(Expr::Load(_, index)), None) = (exprs.next(), exprs.next()) else { return None };
        let linear = rows.iter().chain(&depth).chain(&others).all(|v| coefficient(index, v).is_some());
        linear.then(|| Address { index: index.clone(), rows, depth })
    }
    /// Whether axis `outer` and the next one are one axis. An extent of 1 is no obstacle.
    fn merges(&self, vars: &[Dim], outer: usize, extents: &[Dim]) -> bool {
        let step = |axis: usize| coefficient(&self.index, &vars[axis]);
        match (outer + 1..extents.len()).find(|&axis| !extents[axis].is(1)) {
            Some(inner) if !extents[outer].is(1) => match (step(outer), step(inner)) {
                (Some(o), Some(i)) => o == i * &extents[inner],
                _ => false,
            },
            _ => true,
        }
    }
}

/// Runs of axes that merge with the next one.
fn runs(axes: usize, merges: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = vec![];
    for axis in 0..axes {
        match runs.last_mut() {
            Some(run) if merges(axis - 1) => run.end = axis + 1,
            _ => runs.push(axis..axis + 1),
        }
    }
    runs
}
