//! The loops of a contraction: blocks and tiles of rows in one, then strips of columns, tiles, depth.

use super::{super::lower::named, ask::Asked, *};
use crate::{
    loops::{BinaryFn, Bound, ExprId, LocalId, LoopKind, Stmt, flat},
    plan::{
        pack::Packed,
        tile::{Columns, Tile, halves},
    },
};

/// A sum of more products than this is made of sums of blocks.
const MAX_DEPTH: i64 = 1024;
/// The usual size of a block.
const BLOCK: i64 = 512;
/// Multiply-adds from which on a longer innermost loop is worth its code.
const LONG_WORK: i64 = 1 << 20;

/// How the rows are cut into tiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    /// Axes before this one have right operands of their own.
    pub apart: usize,
    /// Axes before this one are loops around tiles.
    pub outer: usize,
    /// The axes from here on are one. It is `outer`, or the axis after it: then a tile has all of its rows.
    pub first: usize,
    /// Rows from `first` on, where a tile has all of them; 1 elsewhere.
    pub unit: usize,
    /// The extent of the axes that a tile divides.
    pub extent: Dim,
    /// A tile is so many steps along the extent, of `unit` rows each.
    pub steps: usize,
}

impl Rows {
    /// The cheapest way per row: along axes that are one, from `merged` or a later axis on, or along the axis before them.
    pub fn choose(rows: &[Dim], apart: usize, merged: usize, chooser: &Chooser<'_>, strips: &[Strips]) -> Rows {
        let known = |d: &Dim| d.as_int().and_then(|n| usize::try_from(n).ok());
        let mut best: Option<(Rows, f64)> = None;
        let mut consider = |rows: Rows, cost: u64, covered: usize| {
            // What remains of an unknown number of rows is small tiles.
            let rest = if rows.extent.as_int().is_none() && rows.steps > 1 { 1.03 } else { 1.0 };
            let per_row = rest * cost as f64 / covered.max(1) as f64;
            if best.as_ref().is_none_or(|(_, least)| per_row < 0.995 * least) {
                best = Some((rows, per_row));
            }
        };
        for first in merged..rows.len() {
            let extent = count(&rows[first..]);
            if let Some((steps, cost)) = chooser.down(known(&extent), 1, strips) {
                let covered = known(&extent).unwrap_or(MANY);
                consider(Rows { apart, outer: first, first, unit: 1, extent: extent.clone(), steps }, cost, covered);
            }
            if let (true, Some(unit)) = (first > apart, known(&extent))
                && let Some(outer) = known(&rows[first - 1])
                && let Some((steps, cost)) = chooser.down(Some(outer), unit, strips)
            {
                let extent = rows[first - 1].clone();
                consider(Rows { apart, outer: first - 1, first, unit, extent, steps }, cost, outer * unit);
            }
        }
        let last = rows.len() - 1;
        let single = Rows { apart, outer: last, first: last, unit: 1, extent: rows[last].clone(), steps: 1 };
        best.map_or(single, |(rows, _)| rows)
    }
    pub fn per_tile(&self) -> usize {
        self.steps * self.unit
    }
    /// Tiles along the extent.
    fn tiles(&self) -> Dim {
        self.extent.ceil_div(&Dim::from(self.steps))
    }
    /// Tiles that share a right operand.
    pub fn shared_tiles(&self, rows: &[Dim]) -> Dim {
        count(&rows[self.apart..self.outer]) * self.tiles()
    }
    /// The number of tiles along the extent, or 1.
    pub fn tiles_known(&self) -> i64 {
        self.tiles().as_int().unwrap_or(1)
    }
}

/// A kernel under construction.
pub(super) struct Contraction<'g, 't> {
    pub product: Product,
    pub packed: Option<Packed>,
    pub rows: Rows,
    pub blocks: Blocks,
    /// Axes of the depth that are one loop each.
    pub depth: Vec<Range<usize>>,
    pub chooser: Chooser<'t>,
    pub lanes: usize,
    pub wide: DType,
    pub site: Site<'g>,
}

/// The registers of a tile.
struct Sums {
    acc: LocalId,
    /// The sum of all blocks; `acc` itself where there is one block.
    total: LocalId,
    /// One depth of the right operand, where more than one row multiplies it.
    right: Option<LocalId>,
    /// What a step of depth asks for.
    asked: Vec<Asked>,
    /// Sums of each element, steps, rows of a step, columns.
    shape: [Dim; 4],
}

/// The loops that are open around a tile.
#[derive(Clone, Default)]
pub(super) struct Place {
    pub group: Dim,
    /// Indices of the rows' outer axes.
    pub outer: Vec<Dim>,
    /// The tile's first step.
    pub step: Dim,
    /// The first element of the tile's columns in the packed operand, at depth 0, and the distance of two depths.
    pub right: Dim,
    pub right_step: Dim,
    /// Columns between it and the start of its panel, where that is not the last.
    pub within: Option<Dim>,
    pub column: Dim,
    /// The number of the tile among those that share a right operand.
    pub tile: Dim,
}

impl<'g> Contraction<'g, '_> {
    /// One loop over blocks of rows, blocks of columns and tiles of rows.
    pub fn write(&mut self) {
        if count(&self.product.rows).is(0) || self.product.columns.is(0) {
            return;
        }
        let (apart, outer) = (self.rows.apart, self.rows.outer);
        let tiles: Vec<Dim> = [&self.product.rows[apart..outer], &[self.rows.tiles()]].concat();
        let mut extents = vec![Dim::from(self.product.groups)];
        extents.extend_from_slice(&self.product.rows[..apart]);
        let columns = self.blocks.column_blocks();
        let cut = self.blocks.row_blocks > 1;
        if cut {
            extents.extend([Dim::from(self.blocks.row_blocks), columns, self.blocks.tiles.clone()]);
        } else if self.blocks.rows_first {
            extents.extend_from_slice(&tiles);
            extents.push(columns);
        } else {
            extents.push(columns);
            extents.extend_from_slice(&tiles);
        }
        let one = count(&extents).is(1);
        let ix = if one { vec![Dim::zero(); extents.len()] } else { self.site.open_flat(&extents) };
        let (group, rest) = ix.split_first().expect("groups are the first axis");
        let (apart, rest) = rest.split_at(apart);
        let (block, tile, number) = match cut {
            true => {
                let at = &rest[0] * &self.blocks.tiles + &rest[2];
                (rest[1].clone(), self.site.split(&at, &tiles), rest[2].clone())
            }
            // All columns stay in the cache: any tile may ask for all of them.
            false if self.blocks.rows_first => (rest[tiles.len()].clone(), rest[..tiles.len()].to_vec(), Dim::zero()),
            false => (rest[0].clone(), rest[1..].to_vec(), flat(&tiles, &rest[1..])),
        };
        let (tile, shared) = tile.split_last().expect("tiles are the last axis");
        let outer = [apart, shared].concat();
        let place = Place { group: group.clone(), outer, tile: number, ..Place::default() };
        self.tiles(tile, &mut |c, step, steps| c.block(Place { step, ..place.clone() }, &block, steps));
        if !one {
            self.site.close(LoopKind::Seq);
        }
    }
    fn each(&mut self, extent: &Dim, kind: LoopKind, body: impl FnOnce(&mut Self, &Dim)) {
        if extent.is(1) {
            return body(self, &Dim::zero());
        }
        let index = self.site.open(extent);
        body(self, &index);
        self.site.close(kind);
    }
    /// `then` where `index` is below `extent`, `otherwise` elsewhere; neither is written in vain.
    fn below(&mut self, index: &Dim, extent: &Dim, then: impl FnOnce(&mut Self), otherwise: impl FnOnce(&mut Self)) {
        if self.site.w.is_within(index, extent) {
            return then(self);
        }
        if extent.is(0) {
            return otherwise(self);
        }
        self.site.w.open_block();
        then(self);
        let then = self.site.close_branch();
        self.site.w.open_block();
        otherwise(self);
        let otherwise = self.site.close_branch();
        let bounds = vec![Bound { index: index.clone(), extent: extent.clone() }];
        self.site.w.emit(Stmt::If { bounds, then, otherwise });
    }
    /// The rows of tile `tile`, as a first step and a number of steps: a whole tile, or what is left behind the last one.
    fn tiles(&mut self, tile: &Dim, body: &mut dyn FnMut(&mut Self, Dim, usize)) {
        let Rows { extent, steps, .. } = self.rows.clone();
        let full = extent.floor_div(&Dim::from(steps));
        let done = &full * steps as i64;
        let rest = &extent - &done;
        if rest.is(0) {
            return body(self, tile * steps as i64, steps);
        }
        let cell = std::cell::RefCell::new(body);
        self.below(
            tile,
            &full,
            |c| cell.borrow_mut()(c, tile * steps as i64, steps),
            |c| match rest.as_int() {
                Some(rest) => cell.borrow_mut()(c, done.clone(), rest as usize),
                None => c.rest_of_rows(&done, &rest, &mut **cell.borrow_mut()),
            },
        );
    }
    /// An unknown number of rows, fewer than a tile, from `start` on.
    fn rest_of_rows(&mut self, start: &Dim, rest: &Dim, body: &mut dyn FnMut(&mut Self, Dim, usize)) {
        let Rows { extent, steps, .. } = self.rows.clone();
        let w = &mut self.site.w;
        let (start, rest) = (w.index(start.clone()), w.index(rest.clone()));
        let mut start = w.set_index(start, Some(extent.clone()));
        let mut rest = w.set_index(rest, Some(Dim::from(steps)));
        for many in halves(steps) {
            let times = self.site.w.div(&rest, &Dim::from(many));
            self.each(&times, LoopKind::Seq, |c, t| body(c, &start + t * many as i64, many));
            if many > 1 {
                let done = &times * many as i64;
                let w = &mut self.site.w;
                let (next, left) = (w.index(&start + &done), w.index(&rest - &done));
                start = w.set_index(next, None);
                rest = w.set_index(left, Some(Dim::from(many)));
            }
        }
    }
    /// `steps` steps times a block of columns.
    fn block(&mut self, place: Place, block: &Dim, steps: usize) {
        let Blocks { full, rest, per_block, .. } = self.blocks.clone();
        if self.blocks.is_whole() {
            if !full.is(0) {
                self.each(&full, LoopKind::Seq, |c, strip| {
                    let place = c.strip(&place, strip);
                    c.columns(place, steps, c.blocks.strip);
                });
            }
            return self.last_strip(&place, steps);
        }
        let many = full.floor_div(&Dim::from(per_block));
        let has_rest = !rest.is(0);
        let blocks = if has_rest { many.clone() } else { Dim::from(i64::MAX) };
        let full_block = |c: &mut Self| {
            c.each(&Dim::from(per_block), LoopKind::Seq, |c, strip| {
                let place = c.strip(&place, &(block * per_block as i64 + strip));
                c.columns(place, steps, c.blocks.strip);
            });
        };
        match has_rest {
            true => self.below(block, &blocks, full_block, |c| c.last_strip(&place, steps)),
            false => full_block(self),
        }
    }
    /// The place of a full strip.
    fn strip(&mut self, place: &Place, strip: &Dim) -> Place {
        let width = self.blocks.strip;
        let column = strip * width as i64;
        let Some(packed) = self.packed.clone() else { return Place { column, ..place.clone() } };
        let per_panel = Dim::from(packed.panel / width);
        let ix = match per_panel.is(1) {
            true => vec![strip.clone(), Dim::zero()],
            false => self.site.split(strip, &[Dim::from(packed.full()), per_panel]),
        };
        let right = self.group_start(place, &packed) + &ix[0] * (packed.depth * packed.panel) as i64;
        let within = &ix[1] * width as i64;
        let right = right + &within;
        Place { right, right_step: Dim::from(packed.panel), within: Some(within), column, ..place.clone() }
    }
    /// The first packed element of a place's group.
    fn group_start(&self, place: &Place, packed: &Packed) -> Dim {
        if packed.batch.is_empty() {
            return &place.group * packed.per_group() as i64;
        }
        let apart = |dims: &[Dim]| packed.batch.iter().map(|&axis| dims[axis].clone()).collect::<Vec<Dim>>();
        let group = flat(&apart(&self.product.rows), &apart(&place.outer));
        group * packed.per_group() as i64
    }
    /// What is right of all full strips: fewer columns than a strip has.
    fn last_strip(&mut self, place: &Place, steps: usize) {
        let Blocks { full, rest, strip, .. } = self.blocks.clone();
        if rest.is(0) {
            return;
        }
        let column = &full * strip as i64;
        let place = match self.packed.clone() {
            // A last panel is as wide as what remains, be it one strip or several.
            Some(packed) => {
                let start = packed.full() * packed.panel;
                let first = &column - start as i64;
                let right = self.group_start(place, &packed) + (start * packed.depth) as i64 + first;
                Place { right, right_step: Dim::from(packed.rest()), column, ..place.clone() }
            }
            None => Place { column, ..place.clone() },
        };
        match rest.as_int() {
            Some(rest) => self.columns(place, steps, rest as usize),
            // Lanes run around the tile, so that their number need not be known.
            None => self.each(&rest, LoopKind::Vector, |c, n| {
                let column = &place.column + n;
                let tile = Tile { rows: steps * c.rows.unit, vectors: 1, splits: 1 };
                c.tile(Place { column, ..place.clone() }, steps, tile, Columns { real: 1, computed: 1 });
            }),
        }
    }
    /// `steps` steps times `width` columns, in tiles.
    fn columns(&mut self, place: Place, steps: usize, width: usize) {
        let rows = steps * self.rows.unit;
        let (tile, _) = self.chooser.across(rows, width.div_ceil(self.lanes));
        let columns = tile.vectors * self.lanes;
        let (many, rest) = (width / columns, width % columns);
        let moved = |by: Dim| Place {
            right: &place.right + &by,
            within: place.within.as_ref().map(|within| within + &by),
            column: &place.column + by,
            ..place.clone()
        };
        if many > 0 {
            self.each(&Dim::from(many), LoopKind::Seq, |c, t| {
                c.tile(moved(t * columns as i64), steps, tile, Columns { real: columns, computed: columns });
            });
        }
        if rest > 0 {
            // What is right of a panel's columns may be read, which makes whole vectors.
            let lanes = self.chooser.target.lanes_for(rest, self.wide.size().max(4));
            let computed = if self.packed.is_some() { rest.next_multiple_of(lanes) } else { rest };
            let (tile, _) = self.chooser.across(rows, rest.div_ceil(self.lanes));
            self.tile(moved(Dim::from(many * columns)), steps, tile, Columns { real: rest, computed });
        }
    }
    /// One tile of `steps` steps.
    fn tile(&mut self, place: Place, steps: usize, tile: Tile, columns: Columns) {
        let shape = [tile.splits, steps, self.rows.unit, columns.computed];
        let acc = self.site.w.local(self.wide, shape);
        let total = if self.blocked() { self.site.w.local(self.wide, shape) } else { acc };
        let right = (tile.rows > 1).then(|| self.site.w.local(self.wide, [columns.computed]));
        let asked = self.asked(&place, tile, columns.computed);
        let sums = Sums { acc, total, right, asked, shape: shape.map(Dim::from) };
        self.clear(&sums, sums.total);
        self.depth_loops(0, vec![], &mut |c, split, depth| c.step(&place, &sums, split, depth), &sums);
        let real = Dim::from(columns.real);
        self.each_row(&sums, |c, s, m| {
            c.each(&real, LoopKind::Vector, |c, n| {
                let parts: Vec<ExprId> = (0..tile.splits)
                    .map(|p| c.site.w.read(sums.total, &[p.into(), s.clone(), m.clone(), n.clone()]))
                    .collect();
                let value = c.sum(parts);
                let value = c.site.w.cast(c.product.dtype, value);
                let value = c.site.w.set(value);
                let rows = c.row_ix(&place, s, m);
                let ix = c.product.result(&rows, &place.group, &(&place.column + n));
                c.site.finish_element(&ix, value);
            });
        });
    }
    /// The sum of a few values, in pairs.
    fn sum(&mut self, mut parts: Vec<ExprId>) -> ExprId {
        while parts.len() > 1 {
            let pair = |p: &[ExprId]| match *p {
                [a, b] => self.site.w.binary(BinaryFn::Add, a, b),
                _ => p[0],
            };
            parts = parts.chunks(2).map(pair).collect();
        }
        parts[0]
    }
    /// Unrolled loops over the steps of a tile and their rows.
    fn each_row(&mut self, sums: &Sums, mut body: impl FnMut(&mut Self, &Dim, &Dim)) {
        let [_, steps, unit, _] = &sums.shape;
        self.each(steps, LoopKind::Unroll, |c, s| c.each(unit, LoopKind::Unroll, |c, m| body(c, s, m)));
    }
    /// Whether the sum is made of sums of blocks, so that rounding errors do not grow with a great depth.
    fn blocked(&self) -> bool {
        let depth = count(&self.product.depth).as_int();
        self.wide == DType::F32 && depth.is_some_and(|k| k > MAX_DEPTH)
    }
    /// Sets a tile of sums to 0.
    fn clear(&mut self, sums: &Sums, to: LocalId) {
        let zero = self.site.w.int(self.wide, 0);
        self.each_sum(sums, |c, ix| c.site.w.assign(to, ix, zero));
    }
    /// Adds a block's sums to the total.
    fn flush(&mut self, sums: &Sums) {
        self.each_sum(sums, |c, ix| {
            let (sum, block) = (c.site.w.read(sums.total, ix), c.site.w.read(sums.acc, ix));
            let sum = c.site.w.binary(BinaryFn::Add, sum, block);
            c.site.w.assign(sums.total, ix, sum);
        });
    }
    fn each_sum(&mut self, sums: &Sums, mut body: impl FnMut(&mut Self, &[Dim])) {
        let [splits, .., columns] = &sums.shape;
        self.each(splits, LoopKind::Unroll, |c, p| {
            c.each_row(sums, |c, s, m| {
                c.each(columns, LoopKind::Vector, |c, n| body(c, &[p, s, m, n].map(Clone::clone)));
            });
        });
    }
    /// Multiplies and adds at one place of the depth.
    fn step(&mut self, place: &Place, sums: &Sums, split: &Dim, depth: &[Dim]) {
        let wide = self.wide;
        let columns = sums.shape[3].clone();
        if let Some(right) = sums.right {
            self.each(&columns, LoopKind::Vector, |c, n| {
                let value = c.right_element(place, depth, n);
                c.site.w.assign(right, std::slice::from_ref(n), value);
            });
        }
        self.ask(&sums.asked, depth);
        self.each_row(sums, |c, s, m| {
            let value = c.left_element(place, s, m, depth);
            c.each(&columns, LoopKind::Vector, |c, n| {
                let factor = match sums.right {
                    Some(right) => c.site.w.read(right, std::slice::from_ref(n)),
                    None => c.right_element(place, depth, n),
                };
                let w = &mut c.site.w;
                let ix = [split, s, m, n].map(Clone::clone);
                let sum = w.read(sums.acc, &ix);
                let sum = match wide.is_float() {
                    true => w.mul_add(factor, value, sum),
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
    fn depth_loops(&mut self, run: usize, ix: Vec<Dim>, step: &mut Step<'_, Self>, sums: &Sums) {
        let Some(axes) = self.depth.get(run).cloned() else { return step(self, &Dim::zero(), &ix) };
        let extents = self.product.depth[axes].to_vec();
        let extent = count(&extents);
        let at = |c: &Self, k: &Dim| [ix.clone(), unflatten(&c.site.w, k, &extents)].concat();
        if run + 1 < self.depth.len() {
            return self.each(&extent, LoopKind::Seq, |c, k| {
                let ix = at(c, k);
                c.depth_loops(run + 1, ix, step, sums);
            });
        }
        let mut one = |c: &mut Self, split: &Dim, k: &Dim| {
            let ix = at(c, k);
            step(c, split, &ix);
        };
        if !self.blocked() {
            return self.depth_range(&Dim::zero(), &extent, sums, &mut one);
        }
        let extent = extent.as_int().expect("the depth is known where it is in blocks");
        let block = (BLOCK / 2..=MAX_DEPTH * 3 / 4).rev().find(|b| extent % b == 0).unwrap_or(BLOCK);
        let mut range = |c: &mut Self, start: Dim, many: i64| {
            c.clear(sums, sums.acc);
            c.depth_range(&start, &Dim::from(many), sums, &mut one);
            c.flush(sums);
        };
        if extent >= block {
            self.each(&Dim::from(extent / block), LoopKind::Seq, |c, b| range(c, b * block, block));
        }
        if extent % block > 0 {
            range(self, Dim::from(extent / block * block), extent % block);
        }
    }
    /// How often a turn of the innermost loop passes over an element's sums: more than once, and evenly, where the count
    /// of instructions is what limits a tile and there is work for longer code.
    fn times(&self, extent: &Dim, splits: &Dim) -> i64 {
        let known = |d: &Dim| d.as_int().unwrap_or(1);
        let all = [&self.product.rows[..], &self.product.depth, std::slice::from_ref(&self.product.columns)].concat();
        let work = all.iter().map(known).fold(1i64, i64::saturating_mul);
        if !self.chooser.target.counts_instructions() || work < LONG_WORK {
            return 1;
        }
        let is_even = |times: &i64| extent.floor_div(&(splits * *times)) * splits * *times == *extent;
        [4, 2].into_iter().find(is_even).unwrap_or(1)
    }
    /// `extent` places of the depth from `start` on: neighbours are added to different sums of an element.
    fn depth_range(&mut self, start: &Dim, extent: &Dim, sums: &Sums, one: &mut dyn FnMut(&mut Self, &Dim, &Dim)) {
        let splits = &sums.shape[0];
        let times = Dim::from(self.times(extent, splits));
        let turn = &times * splits;
        let many = extent.floor_div(&turn);
        let done = &many * &turn;
        let rest = extent - &done;
        if !many.is(0) {
            self.each(&many, LoopKind::Seq, |c, k| {
                c.each(&times, LoopKind::Unroll, |c, t| {
                    c.each(splits, LoopKind::Unroll, |c, p| one(c, p, &(start + k * &turn + t * splits + p)));
                });
            });
        }
        if !rest.is(0) {
            self.each(&rest, LoopKind::Seq, |c, k| one(c, &Dim::zero(), &(start + &done + k)));
        }
    }
    /// The index of a row of the tile: its step and its number within that.
    fn row_ix(&self, place: &Place, step: &Dim, row: &Dim) -> Vec<Dim> {
        let step = &place.step + step;
        let mut ix = place.outer.clone();
        if self.rows.first > self.rows.outer {
            ix.push(step);
            ix.extend(unflatten(&self.site.w, row, &self.product.rows[self.rows.first..]));
        } else {
            ix.extend(unflatten(&self.site.w, &step, &self.product.rows[self.rows.first..]));
        }
        ix
    }
    fn left_element(&mut self, place: &Place, step: &Dim, row: &Dim, depth: &[Dim]) -> ExprId {
        let rows = self.row_ix(place, step, row);
        let at = At { rows: &rows, group: &place.group, depth };
        let ix = self.product.left(&at, &Dim::zero());
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
                // The right operand does not tell the rows of a tile apart.
                let mut rows = place.outer.clone();
                rows.resize(self.product.rows.len(), Dim::zero());
                let at = At { rows: &rows, group: &place.group, depth };
                let ix = self.product.right(&at, &(&place.column + column));
                self.site.operand(1, &ix)
            }
        };
        self.site.w.cast(self.wide, value)
    }
}

/// Writes one place of the depth into one of an element's sums.
type Step<'a, C> = dyn FnMut(&mut C, &Dim, &[Dim]) + 'a;
