//! The loops of a contraction: panels, outer rows, tiles, depth.

use super::{super::lower::named, *};
use crate::{
    loops::{BinaryFn, Bound, ExprId, LocalId, LoopKind, Stmt, flat},
    plan::{pack::Packed, tile::Columns},
};

/// A sum of more products than this is made of sums of blocks.
const MAX_DEPTH: i64 = 1024;
/// The usual size of a block.
const BLOCK: i64 = 512;

/// A kernel under construction.
pub(super) struct Contraction<'g> {
    pub(super) product: Product,
    pub(super) packed: Option<Packed>,
    /// The axes of the rows from here on are one; those before are loops.
    pub(super) first: usize,
    /// Axes of the depth that are one loop each.
    pub(super) depth: Vec<Range<usize>>,
    pub(super) tile: Tile,
    pub(super) single: Tile,
    pub(super) lanes: usize,
    pub(super) wide: DType,
    pub(super) site: Site<'g>,
}

/// The registers of a tile.
struct Sums {
    acc: LocalId,
    /// The sum of all blocks; `acc` itself where there is one block.
    total: LocalId,
    /// One depth of the right operand.
    right: LocalId,
    shape: [Dim; 2],
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
    pub(super) fn write(&mut self, panels_first: bool) {
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
            true => flat(&self.product.rows[..self.first], &place.outer),
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
        let shape = [rows, columns.computed];
        let acc = self.site.w.local(self.wide, shape);
        let total = if self.blocked() { self.site.w.local(self.wide, shape) } else { acc };
        let right = self.site.w.local(self.wide, [columns.computed]);
        let sums = Sums { acc, total, right, shape: shape.map(Dim::from) };
        self.clear(&sums, sums.total);
        self.depth_loops(0, vec![], &mut |c, depth| c.step(&place, &row, &sums, depth), &sums);
        let real = Dim::from(columns.real);
        self.each(&sums.shape[0], LoopKind::Unroll, |c, m| {
            c.each(&real, LoopKind::Vector, |c, n| {
                let value = c.site.w.read(sums.total, &[m.clone(), n.clone()]);
                let value = c.site.w.cast(c.product.dtype, value);
                let value = c.site.w.set(value);
                let rows = c.row_ix(&place, &(&row + m));
                let ix = c.product.result(&rows, &place.group, &(&place.column + n));
                c.site.finish_element(&ix, value);
            });
        });
    }
    /// Whether the sum is made of sums of blocks, so that rounding errors do not grow with a great depth.
    fn blocked(&self) -> bool {
        let depth = count(&self.product.depth).as_int();
        self.wide == DType::F32 && !self.product.is_depthwise() && depth.is_some_and(|k| k > MAX_DEPTH)
    }
    /// Sets a tile of sums to 0.
    fn clear(&mut self, sums: &Sums, to: LocalId) {
        let zero = self.site.w.int(self.wide, 0);
        self.each(&sums.shape[0], LoopKind::Unroll, |c, m| {
            c.each(&sums.shape[1], LoopKind::Vector, |c, n| c.site.w.assign(to, &[m.clone(), n.clone()], zero));
        });
    }
    /// Adds a block's sums to the total.
    fn flush(&mut self, sums: &Sums) {
        self.each(&sums.shape[0], LoopKind::Unroll, |c, m| {
            c.each(&sums.shape[1], LoopKind::Vector, |c, n| {
                let ix = [m.clone(), n.clone()];
                let (sum, block) = (c.site.w.read(sums.total, &ix), c.site.w.read(sums.acc, &ix));
                let sum = c.site.w.binary(BinaryFn::Add, sum, block);
                c.site.w.assign(sums.total, &ix, sum);
            });
        });
    }
    /// Multiplies and adds at one place of the depth.
    fn step(&mut self, place: &Place, row: &Dim, sums: &Sums, depth: &[Dim]) {
        let (wide, depthwise) = (self.wide, self.product.is_depthwise());
        self.each(&sums.shape[1], LoopKind::Vector, |c, n| {
            let value = c.right_element(place, depth, n);
            c.site.w.assign(sums.right, std::slice::from_ref(n), value);
        });
        self.each(&sums.shape[0], LoopKind::Unroll, |c, m| {
            let row = row + m;
            let shared = (!depthwise).then(|| c.left_element(place, &row, depth, &Dim::zero()));
            c.each(&sums.shape[1], LoopKind::Vector, |c, n| {
                let value = shared.unwrap_or_else(|| c.left_element(place, &row, depth, n));
                let w = &mut c.site.w;
                let (ix, factor) = ([m.clone(), n.clone()], w.read(sums.right, std::slice::from_ref(n)));
                let sum = w.read(sums.acc, &ix);
                let sum = match wide.is_float() {
                    true => w.mul_add(value, factor, sum),
                    false => {
                        let product = w.binary(BinaryFn::Mul, value, factor);
                        w.binary(BinaryFn::Add, sum, product)
                    }
                };
                w.assign(sums.acc, &ix, sum);
            });
        });
    }
    /// Loops over the depth; the innermost one in blocks where sums are made of blocks.
    fn depth_loops(&mut self, run: usize, ix: Vec<Dim>, step: &mut dyn FnMut(&mut Self, &[Dim]), sums: &Sums) {
        let Some(axes) = self.depth.get(run).cloned() else { return step(self, &ix) };
        let extents = self.product.depth[axes].to_vec();
        let extent = count(&extents);
        let at = |c: &Self, k: &Dim| [ix.clone(), unflatten(&c.site.w, k, &extents)].concat();
        if run + 1 < self.depth.len() || !self.blocked() {
            return self.each(&extent, LoopKind::Seq, |c, k| {
                let ix = at(c, k);
                c.depth_loops(run + 1, ix, step, sums);
            });
        }
        let extent = extent.as_int().expect("the depth is known where it is in blocks");
        let block = (BLOCK / 2..=MAX_DEPTH * 3 / 4).rev().find(|b| extent % b == 0).unwrap_or(BLOCK);
        let mut range = |c: &mut Self, start: Dim, many: i64| {
            c.clear(sums, sums.acc);
            c.each(&Dim::from(many), LoopKind::Seq, |c, k| {
                let ix = at(c, &(&start + k));
                step(c, &ix);
            });
            c.flush(sums);
        };
        if extent >= block {
            self.each(&Dim::from(extent / block), LoopKind::Seq, |c, b| range(c, b * block, block));
        }
        if extent % block > 0 {
            range(self, Dim::from(extent / block * block), extent % block);
        }
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
                let k = flat(&self.product.depth, depth);
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
