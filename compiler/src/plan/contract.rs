//! The template for sums of products: `Dot`, and `Conv` as an implicit matrix product.
//!
//! Rows are the result's axes but the last (output pixels), columns its last axis (output channels), and the depth is
//! what is summed over: `K`, or kernel rows, kernel columns and channels. A constant right operand is packed into panels
//! (`pack.rs`), so that the innermost loop streams it; any other is read in place. A tile of rows times columns is kept
//! in registers while the depth runs; then the epilogue is pulled at the tile's elements and stored.
//!
//! Rows that lie at one distance in the left operand become one axis, and so do the axes of the depth; what does not
//! merge is an outer loop. Every tap of a convolution lies within its operand: paddings were made before.

use std::ops::Range;

use super::{
    fuse::is_view_of_constant,
    lower::{Context, Site, named, unflatten},
    map::coefficient,
    pack::{self, Packed},
    tile::{Columns, Tile},
};
use crate::{
    base::{Dim, dim::NoVars},
    graph::NodeId,
    loops::{BinaryFn, Bound, Expr, ExprId, LoopKind, Stmt},
    op::{Op, accumulator},
    tensor::{DType, count},
};

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
                if !plain || !op.low.iter().chain(&op.high).all(nonpositive) {
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
    let constant = is_view_of_constant(cx.graph, cx.graph.node(root).inputs[1]);
    let (right, packed) = if constant {
        (None, Some(pack::right(cx, root, product.groups)?))
    } else {
        (Some(Address::of(cx, tip, root, 1, &product)?), None)
    };
    // Rows merge when the right operand does not tell them apart.
    let apart = |axis: usize| match (&packed, &right) {
        (Some(packed), _) => packed.batch && axis + 1 < product.rows.len(),
        (None, Some(right)) => !coefficient(&right.index, &right.rows[axis]).is_some_and(|c| c.is(0)),
        (None, None) => false,
    };
    let mut first = product.rows.len() - 1;
    while first > 0 && !apart(first - 1) && left.merges(&left.rows, first - 1, &product.rows) {
        first -= 1;
    }
    let merges = |axis: usize| {
        left.merges(&left.depth, axis, &product.depth)
            && right.as_ref().is_none_or(|right| right.merges(&right.depth, axis, &product.depth))
    };
    let depth = runs(product.depth.len(), merges);
    let row_count = count(&product.rows[first..]);
    let wide = accumulator(product.dtype);
    let lanes = cx.target.lanes(wide.size());
    let (rows, columns) = (row_count.as_int(), product.columns.as_int());
    let tile = Tile::choose(cx.target.accumulators, lanes, rows, columns);
    // A batch below the tile's rows is computed row by row.
    let single = Tile::choose(cx.target.accumulators, lanes, Some(1), columns);
    let site = Site::new(cx.graph, cx.fusion, tip, root);
    let panels_first = packed.as_ref().is_some_and(|p| p.bytes > cx.target.l2 / 2) || first == 0;
    let mut writer = Contraction { product, packed, first, depth, tile, single, lanes, wide, site };
    writer.write(panels_first);
    Some(writer.site)
}

/// One load of an operand, as a function of the product's variables.
struct Address {
    index: Dim,
    rows: Vec<Dim>,
    depth: Vec<Dim>,
}

impl Address {
    /// Found by trial; `None` when an element is more than one load, or does not lie at a linear index.
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

struct Contraction<'g> {
    product: Product,
    packed: Option<Packed>,
    /// The axes of the rows from here on are one; those before are loops.
    first: usize,
    /// Axes of the depth that are one loop each.
    depth: Vec<Range<usize>>,
    tile: Tile,
    single: Tile,
    lanes: usize,
    wide: DType,
    site: Site<'g>,
}

/// The loops that are open around a tile.
#[derive(Clone)]
struct Place {
    group: Dim,
    /// Indices of the rows' outer axes.
    outer: Vec<Dim>,
    /// The first element of the tile's columns in the packed operand, at depth 0, and the distance of two depths.
    right: Dim,
    right_step: Dim,
    column: Dim,
}

impl<'g> Contraction<'g> {
    fn write(&mut self, panels_first: bool) {
        let groups = Dim::from(self.product.groups);
        let place = Place {
            group: Dim::zero(),
            outer: vec![],
            right: Dim::zero(),
            right_step: Dim::zero(),
            column: Dim::zero(),
        };
        self.each(&groups, LoopKind::Seq, |c, group| {
            let place = Place { group: group.clone(), ..place };
            if panels_first && !c.packed.as_ref().is_some_and(|p| p.batch) {
                c.panels(place, |c, place, width| c.outer(place, |c, place| c.rows(place, width)));
            } else {
                c.outer(place, |c, place| c.panels(place, |c, place, width| c.rows(place, width)));
            }
        });
    }
    fn each(&mut self, extent: &Dim, kind: LoopKind, body: impl FnOnce(&mut Self, &Dim)) {
        if extent.is(1) {
            return body(self, &Dim::zero());
        }
        let index = self.site.open(extent);
        body(self, &index);
        self.site.close(kind);
    }
    /// One loop over all outer axes of the rows.
    fn outer(&mut self, place: Place, body: impl FnOnce(&mut Self, Place)) {
        let extents = self.product.rows[..self.first].to_vec();
        if count(&extents).is(1) {
            return body(self, Place { outer: vec![Dim::zero(); extents.len()], ..place });
        }
        let outer = self.site.open_flat(&extents);
        body(self, Place { outer, ..place });
        self.site.close(LoopKind::Seq);
    }
    /// A loop over panels; the last one may be narrower. Gives the columns of a panel; without panels, all of them.
    fn panels(&mut self, place: Place, mut body: impl FnMut(&mut Self, Place, Dim)) {
        let Some(packed) = self.packed.clone() else { return body(self, place, self.product.columns.clone()) };
        let batch = match packed.batch {
            true => crate::loops::flat(&self.product.rows[..self.first], &place.outer),
            false => place.group.clone(),
        };
        let base = batch * packed.per_group() as i64;
        let at = |panel: &Dim, step: usize| Place {
            right: &base + panel * (packed.depth * packed.panel) as i64,
            right_step: Dim::from(step),
            column: panel * packed.panel as i64,
            ..place.clone()
        };
        let (full, rest) = (packed.full(), packed.rest());
        let width = Dim::from(packed.panel);
        let last = (at(&Dim::from(full), packed.last_width()), Dim::from(rest));
        if rest == 0 || full == 0 || self.site.w.depth() > 1 {
            if full > 0 {
                self.each(&Dim::from(full), LoopKind::Seq, |c, panel| body(c, at(panel, packed.panel), width));
            }
            if rest > 0 {
                body(self, last.0, last.1);
            }
            return;
        }
        // One outermost loop can be split between threads, two cannot.
        self.each(&Dim::from(full + 1), LoopKind::Seq, |c, panel| {
            c.site.w.open_block();
            body(c, at(panel, packed.panel), width);
            let then = c.site.close_branch();
            c.site.w.open_block();
            body(c, last.0, last.1);
            let otherwise = c.site.close_branch();
            let bounds = vec![Bound { index: panel.clone(), extent: Dim::from(full) }];
            c.site.w.emit(Stmt::If { bounds, then, otherwise });
        });
    }
    /// All rows times `width` columns.
    fn rows(&mut self, place: Place, width: Dim) {
        let rows = count(&self.product.rows[self.first..]);
        let tile = self.tile;
        let many = rows.floor_div(&Dim::from(tile.rows));
        let done = &many * tile.rows as i64;
        let rest = &rows - &done;
        if !many.is(0) {
            self.columns(place.clone(), &width, tile, |c, place, columns| {
                c.each(&many, LoopKind::Seq, |c, t| c.tile(place, t * tile.rows as i64, tile.rows, columns));
            });
        }
        match rest.as_int() {
            Some(0) => {}
            Some(rest) => self.columns(place, &width, tile, |c, place, columns| {
                c.tile(place, done.clone(), rest as usize, columns);
            }),
            None => self.columns(place, &width, self.single, |c, place, columns| {
                c.each(&rest, LoopKind::Seq, |c, r| c.tile(place, &done + r, 1, columns));
            }),
        }
    }
    /// Splits columns into tiles.
    fn columns(&mut self, place: Place, width: &Dim, tile: Tile, mut body: impl FnMut(&mut Self, Place, Columns)) {
        let many = width.floor_div(&Dim::from(tile.columns));
        let done = &many * tile.columns as i64;
        let rest = width - &done;
        let moved = |by: Dim| Place { right: &place.right + &by, column: &place.column + by, ..place.clone() };
        if !many.is(0) {
            self.each(&many, LoopKind::Seq, |c, t| {
                body(c, moved(t * tile.columns as i64), Columns { real: tile.columns, computed: tile.columns });
            });
        }
        match rest.as_int() {
            Some(0) => {}
            Some(rest) => {
                // Panels have zeros to the right, which make whole vectors; channels do not.
                let rest = rest as usize;
                let whole = self.packed.is_some() && !self.product.is_depthwise();
                let computed = if whole { rest.next_multiple_of(self.lanes) } else { rest };
                body(self, moved(done), Columns { real: rest, computed });
            }
            None => self.each(&rest, LoopKind::Seq, |c, t| body(c, moved(&done + t), Columns { real: 1, computed: 1 })),
        }
    }
    /// One tile: `rows` rows from `row`.
    fn tile(&mut self, place: Place, row: Dim, rows: usize, columns: Columns) {
        let (wide, dtype, depthwise) = (self.wide, self.product.dtype, self.product.is_depthwise());
        let acc = self.site.w.local(wide, vec![rows, columns.computed]);
        let right = self.site.w.local(wide, vec![columns.computed]);
        let (height, computed) = (Dim::from(rows), Dim::from(columns.computed));
        let zero = self.site.w.int(wide, 0);
        self.each(&height, LoopKind::Unroll, |c, m| {
            c.each(&computed, LoopKind::Vector, |c, n| c.site.w.assign(acc, &[m.clone(), n.clone()], zero));
        });
        self.depth_loops(0, vec![], &mut |c, depth| {
            c.each(&computed, LoopKind::Vector, |c, n| {
                let value = c.right_element(&place, depth, n);
                c.site.w.assign(right, std::slice::from_ref(n), value);
            });
            c.each(&height, LoopKind::Unroll, |c, m| {
                let row = &row + m;
                let shared = (!depthwise).then(|| c.left_element(&place, &row, depth, &Dim::zero()));
                c.each(&computed, LoopKind::Vector, |c, n| {
                    let value = shared.unwrap_or_else(|| c.left_element(&place, &row, depth, n));
                    let w = &mut c.site.w;
                    let (ix, factor) = ([m.clone(), n.clone()], w.read(right, std::slice::from_ref(n)));
                    let sum = w.read(acc, &ix);
                    let sum = match wide.is_float() {
                        true => w.mul_add(value, factor, sum),
                        false => {
                            let product = w.binary(BinaryFn::Mul, value, factor);
                            w.binary(BinaryFn::Add, sum, product)
                        }
                    };
                    w.assign(acc, &ix, sum);
                });
            });
        });
        self.each(&height, LoopKind::Unroll, |c, m| {
            c.each(&Dim::from(columns.real), LoopKind::Vector, |c, n| {
                let value = c.site.w.read(acc, &[m.clone(), n.clone()]);
                let value = c.site.w.cast(dtype, value);
                let value = c.site.w.set(value);
                let rows = c.row_ix(&place, &(&row + m));
                let ix = c.product.result(&rows, &place.group, &(&place.column + n));
                c.site.finish_element(&ix, value);
            });
        });
    }
    fn depth_loops(&mut self, run: usize, ix: Vec<Dim>, body: &mut dyn FnMut(&mut Self, &[Dim])) {
        let Some(axes) = self.depth.get(run).cloned() else { return body(self, &ix) };
        let extents = self.product.depth[axes].to_vec();
        self.each(&count(&extents), LoopKind::Seq, |c, k| {
            let ix = [ix, unflatten(&c.site.w, k, &extents)].concat();
            c.depth_loops(run + 1, ix, body);
        });
    }
    fn row_ix(&self, place: &Place, row: &Dim) -> Vec<Dim> {
        [place.outer.clone(), unflatten(&self.site.w, row, &self.product.rows[self.first..])].concat()
    }
    fn left_element(&mut self, place: &Place, row: &Dim, depth: &[Dim], column: &Dim) -> ExprId {
        let rows = self.row_ix(place, row);
        let at = At { rows: &rows, group: &place.group, depth };
        let ix = self.product.left(&at, &(&place.column + column));
        let value = self.site.operand(0, &ix);
        let value = self.site.w.cast(self.wide, value);
        named(&mut self.site.w, value)
    }
    fn right_element(&mut self, place: &Place, depth: &[Dim], column: &Dim) -> ExprId {
        let value = match &self.packed {
            Some(packed) => {
                let buffer = self.site.weights(packed.id, self.product.dtype, packed.len());
                let k = crate::loops::flat(&self.product.depth, depth);
                self.site.w.load_flat(buffer, &place.right + k * &place.right_step + column)
            }
            None => {
                // The right operand does not tell merged rows apart.
                let rows = self.row_ix(place, &Dim::zero());
                let at = At { rows: &rows, group: &place.group, depth };
                let ix = self.product.right(&at, &(&place.column + column));
                self.site.operand(1, &ix)
            }
        };
        self.site.w.cast(self.wide, value)
    }
}
