//! Depthwise convolutions: each channel has a filter of its own.
//!
//! Lanes run along the channels, around everything else, so that any number of them does. For each vector of channels a
//! tile of neighbouring results along the last spatial axis is summed in registers. An element of the input is loaded
//! once for all results of the tile that it is a tap of; the filter is kept in registers over a whole row of results
//! where it fits, and else that part of it that one row of the input meets.
//!
//! What a border adds, taps outside of the input do not meet: rows of taps are left out by a condition, columns of them in
//! tiles of their own at both ends of a row. Where another kernel makes the input, it writes into a padded one instead.

use super::*;
use crate::{
    loops::{BinaryFn, Bound, ExprId, LocalId, Stmt, flat},
    op::Conv,
    plan::{lower::named, pack::Packed},
};

/// Multiply-adds that are written one by one; more are loops.
const MAX_CODE: usize = 512;
/// Results of a tile, at most.
const MAX_TILE: usize = 16;
/// Rows of a result that threads can share evenly enough; of fewer, they share channels too.
const SHARED_ROWS: i64 = 12;
/// Blocks of channels are at least as many then.
const MIN_BLOCKS: usize = 4;

/// Taps along the last axis reach so far at most where there is a border.
const MAX_REACH: i64 = 16;

/// Whether this template leaves out taps that lie in a border of the convolution itself.
pub fn takes_border(conv: &Conv, x: &[Dim], filter: &[Dim]) -> bool {
    let n = conv.spatial();
    let channelwise = conv.groups > 1 && filter[n].is(1) && filter[n + 1].is(conv.groups as i64);
    let known = conv.low.iter().chain(&conv.high).chain(&x[1..=n]).chain(&filter[..n]).all(|d| d.as_int().is_some());
    let reach = filter[n - 1].as_int().map(|taps| (taps - 1) * conv.dilation[n - 1] + 1);
    channelwise && known && conv.input_dilation.iter().all(|&d| d == 1) && reach.is_some_and(|reach| reach <= MAX_REACH)
}

/// A kernel under construction.
struct Depthwise<'g> {
    product: Product,
    packed: Option<Packed>,
    wide: DType,
    site: Site<'g>,
    /// The last spatial axis: taps, and how far results and taps are apart.
    taps: usize,
    stride: usize,
    dilation: usize,
    /// Results of a tile.
    tile: usize,
    /// Blocks of channels that are iterations of the outermost loop, like rows.
    blocks: usize,
    /// The whole filter in registers.
    filter: Option<LocalId>,
    /// Rows of taps that are written one by one; else they are loops.
    straight: bool,
    /// The input's spatial extents, where taps may lie outside of it.
    around: Option<Vec<Dim>>,
}

/// Where a tile is.
struct Spot<'a> {
    outer: &'a [Dim],
    channel: &'a Dim,
    column: Dim,
    tile: usize,
}

pub fn depthwise<'g>(cx: &mut Context<'g>, tip: NodeId, root: NodeId, product: Product) -> Option<Site<'g>> {
    let constant = is_view_of_constant(cx.graph, cx.graph.node(root).inputs[1]);
    let channels = product.columns.as_int().unwrap_or(1).max(1) as usize;
    let packed = if constant { Some(pack::right(cx, root, 1, channels)?) } else { None };
    let Kind::Conv { stride, dilation, .. } = &product.of else { return None };
    let around = match cx.graph.op(root) {
        Op::Conv(conv) if conv.low.iter().chain(&conv.high).any(|d| !(-d).is_nonneg(&NoVars)) => {
            Some(cx.graph.shape(cx.graph.node(root).inputs[0])[1..=conv.spatial()].to_vec())
        }
        _ => None,
    };
    let taps =
        product.depth.iter().map(|d| d.as_int().and_then(|n| usize::try_from(n).ok())).collect::<Option<Vec<_>>>();
    let (Some(taps), Some(&stride), Some(&dilation)) = (taps, stride.last(), dilation.last()) else { return None };
    let all: usize = taps.iter().product();
    // The last axis of the depth is the one channel of a filter.
    let row = taps[taps.len() - 2];
    let width = product.rows.last().and_then(Dim::as_int);
    let wide = accumulator(product.dtype);
    let mut writer = Depthwise {
        product,
        packed,
        wide,
        site: Site::new(cx.graph, cx.fusion, tip, root),
        taps: row,
        stride: stride as usize,
        dilation: dilation as usize,
        tile: 1,
        blocks: 1,
        filter: None,
        straight: true,
        around,
    };
    writer.blocks = blocks(&writer.product, cx.target.lanes(wide.size().max(4)));
    // One register holds the input, and one is spare.
    let registers = cx.target.registers - 2;
    let most = match cx.target.vector_bytes {
        0..=16 => cx.target.accumulators,
        _ => registers.saturating_sub(row),
    };
    writer.tile = tile(width, most.clamp(1, MAX_TILE));
    if row * writer.tile > MAX_CODE {
        writer.tile = 1;
    }
    writer.straight = all * writer.tile <= MAX_CODE;
    if writer.straight && all > row && all + writer.tile <= registers {
        writer.filter = Some(writer.site.w.local(wide, [all]));
    }
    writer.write();
    Some(writer.site)
}

/// Results per tile: at most `most`, without a rest if that does not make tiles much smaller.
fn tile(width: Option<i64>, most: usize) -> usize {
    let Some(width) = width.and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0) else { return most };
    let even = (most.div_ceil(2)..=most).rev().find(|n| width % n == 0);
    even.unwrap_or_else(|| width.div_ceil(width.div_ceil(most)))
}

/// Blocks of whole vectors of channels where rows are few. What threads do to such a small image they do by channels:
/// so do the products before and after it, whose weights are more than what they multiply.
fn blocks(product: &Product, lanes: usize) -> usize {
    let rows = product.rows.split_last().map_or(&[][..], |(_, outer)| outer);
    let rows: i64 = rows.iter().filter_map(Dim::as_int).product();
    let channels = product.columns.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let even = |n: &usize| channels.is_multiple_of(n * lanes);
    if rows < SHARED_ROWS { (MIN_BLOCKS..=channels / lanes).find(even).unwrap_or(1) } else { 1 }
}

impl<'g> Depthwise<'g> {
    fn write(&mut self) {
        let (width, outer) = self.product.rows.split_last().expect("a result has a last spatial axis");
        let (width, outer) = (width.clone(), outer.to_vec());
        if count(&outer).is(0) || width.is(0) || self.product.columns.is(0) {
            return;
        }
        let blocks = Dim::from(self.blocks);
        let extents = [std::slice::from_ref(&blocks), &outer].concat();
        let one = count(&extents).is(1);
        let ix = if one { vec![Dim::zero(); extents.len()] } else { self.site.open_flat(&extents) };
        let (block, ix) = ix.split_first().expect("blocks are the first axis");
        let channels = self.product.columns.floor_div(&blocks);
        let channel = block * &channels + self.site.open(&channels);
        self.load_filter(&channel);
        let spot = |column: Dim, tile: usize| Spot { outer: ix, channel: &channel, column, tile };
        let tile = self.tile as i64;
        let many = width.floor_div(&Dim::from(tile));
        let done = &many * tile;
        let rest = &width - &done;
        let (first, last) = self.inner_tiles(&many);
        let inner = &last - &first;
        for t in 0..first.as_int().unwrap_or(0) {
            self.tile(&spot(Dim::from(t * tile), tile as usize));
        }
        if !inner.is(0) {
            self.each(&inner, |d, t| d.tile(&spot((t + &first) * tile, tile as usize)));
        }
        if let (Some(last), Some(many)) = (last.as_int(), many.as_int()) {
            (last..many).for_each(|t| self.tile(&spot(Dim::from(t * tile), tile as usize)));
        }
        match rest.as_int() {
            Some(0) => {}
            Some(rest) => self.tile(&spot(done, rest as usize)),
            None => self.each(&rest, |d, t| d.tile(&spot(&done + t, 1))),
        }
        self.site.close(LoopKind::Vector);
        if !one {
            self.site.close(LoopKind::Seq);
        }
    }
    /// The tiles of a row whose taps all lie within the input: from the first one up to the second.
    fn inner_tiles(&self, many: &Dim) -> (Dim, Dim) {
        let whole = (Dim::zero(), many.clone());
        let (Some(many), Some((low, extent))) = (many.as_int(), self.last_axis()) else { return whole };
        let far = ((self.tile - 1) * self.stride + (self.taps - 1) * self.dilation) as i64;
        let start = |t: i64| t * (self.tile * self.stride) as i64 - low;
        let first = (0..many).find(|&t| start(t) >= 0).unwrap_or(many);
        let last = (first..many).find(|&t| start(t) + far >= extent).unwrap_or(many);
        (Dim::from(first), Dim::from(last))
    }
    /// What comes before the input along the last axis, and its extent, where there is a border.
    fn last_axis(&self) -> Option<(i64, i64)> {
        let Kind::Conv { low, .. } = &self.product.of else { return None };
        Some((low.last()?.as_int()?, self.around.as_ref()?.last()?.as_int()?))
    }
    /// Whether the `at`-th element that a tile meets in a row of taps lies outside of the input.
    fn is_outside(&self, column: &Dim, at: usize) -> bool {
        let (Some((low, extent)), Some(column)) = (self.last_axis(), column.as_int()) else { return false };
        !(0..extent).contains(&(column * self.stride as i64 + at as i64 - low))
    }
    /// What makes a row of taps lie within the input; none where it never does.
    fn rows_inside(&self, outer: &[Dim], row: &[Dim]) -> Option<Vec<Bound>> {
        let (Some(around), Kind::Conv { stride, dilation, low, .. }) = (&self.around, &self.product.of) else {
            return Some(vec![]);
        };
        let mut bounds = vec![];
        for (s, tap) in row.iter().enumerate() {
            let index = &outer[s + 1] * stride[s] + tap * dilation[s] - &low[s];
            if !index.is_within(&around[s], &self.site.w.kernel.vars) {
                index.as_int().is_none().then_some(())?;
                bounds.push(Bound { index, extent: around[s].clone() });
            }
        }
        Some(bounds)
    }
    fn each(&mut self, extent: &Dim, body: impl FnOnce(&mut Self, &Dim)) {
        if extent.is(1) {
            return body(self, &Dim::zero());
        }
        let index = self.site.open(extent);
        body(self, &index);
        self.site.close(LoopKind::Seq);
    }
    /// All indices of the kernel's axes but the last one: constants, or those of loops.
    fn each_row_of_taps(&mut self, body: &mut dyn FnMut(&mut Self, &[Dim])) {
        let axes = self.product.depth.len() - 2;
        let extents = self.product.depth[..axes].to_vec();
        if self.straight {
            let known: Vec<usize> = extents.iter().filter_map(|d| d.as_int()).map(|n| n as usize).collect();
            return crate::tensor::for_each_index(&known, |ix| {
                body(self, &ix.iter().map(|&i| Dim::from(i)).collect::<Vec<_>>());
            });
        }
        let ix: Vec<Dim> = extents.iter().map(|n| if n.is(1) { Dim::zero() } else { self.site.open(n) }).collect();
        body(self, &ix);
        extents.iter().filter(|n| !n.is(1)).for_each(|_| self.site.close(LoopKind::Seq));
    }
    fn load_filter(&mut self, channel: &Dim) {
        let Some(filter) = self.filter else { return };
        let mut n = 0;
        self.each_row_of_taps(&mut |d, row| {
            for tap in 0..d.taps {
                let value = d.weight(row, &Dim::from(tap), channel);
                d.site.w.assign(filter, &[Dim::from(n)], value);
                n += 1;
            }
        });
    }
    /// One element of the filter.
    fn weight(&mut self, row: &[Dim], tap: &Dim, channel: &Dim) -> ExprId {
        let depth = [row, &[tap.clone(), Dim::zero()]].concat();
        let value = match &self.packed {
            Some(packed) => {
                let buffer = self.site.weights(packed.id, self.product.dtype, packed.len());
                let k = flat(&self.product.depth, &depth);
                self.site.w.load_flat(buffer, k * packed.columns as i64 + channel)
            }
            None => {
                let rows = vec![Dim::zero(); self.product.rows.len()];
                let ix = self.product.right(&At { rows: &rows, group: &Dim::zero(), depth: &depth }, channel);
                self.site.operand(1, &ix)
            }
        };
        self.site.w.cast(self.wide, value)
    }
    fn tile(&mut self, spot: &Spot<'_>) {
        let acc = self.site.w.local(self.wide, [spot.tile]);
        let zero = self.site.w.int(self.wide, 0);
        (0..spot.tile).for_each(|m| self.site.w.assign(acc, &[Dim::from(m)], zero));
        let mut rows = 0;
        self.each_row_of_taps(&mut |d, row| {
            match d.rows_inside(spot.outer, row) {
                None => {}
                Some(bounds) if bounds.is_empty() => d.row_of_taps(spot, acc, row, rows),
                Some(bounds) => {
                    d.site.w.open_block();
                    d.row_of_taps(spot, acc, row, rows);
                    let then = d.site.close_branch();
                    d.site.w.emit(Stmt::If { bounds, then, otherwise: vec![] });
                }
            }
            rows += 1;
        });
        for m in 0..spot.tile {
            let value = self.site.w.read(acc, &[Dim::from(m)]);
            let value = self.site.w.cast(self.product.dtype, value);
            let value = self.site.w.set(value);
            let rows = [spot.outer, &[&spot.column + m as i64]].concat();
            let ix = self.product.result(&rows, &Dim::zero(), spot.channel);
            self.site.finish_element(&ix, value);
        }
    }
    /// Adds what one row of taps, the `n`-th, contributes to a tile.
    fn row_of_taps(&mut self, spot: &Spot<'_>, acc: LocalId, row: &[Dim], n: usize) {
        if self.taps * spot.tile > MAX_CODE {
            let taps = Dim::from(self.taps);
            return self.each(&taps, |d, tap| {
                let factor = d.weight(row, tap, spot.channel);
                (0..spot.tile).for_each(|m| {
                    let value = d.input(spot, row, &(tap * d.dilation as i64 + (m * d.stride) as i64));
                    d.add_product(acc, m, value, factor);
                });
            });
        }
        let weights = match self.filter {
            Some(_) => vec![],
            None => (0..self.taps).map(|tap| self.weight(row, &Dim::from(tap), spot.channel)).collect(),
        };
        let weights: Vec<ExprId> = weights.into_iter().map(|w| named(&mut self.site.w, w)).collect();
        let far = (spot.tile - 1) * self.stride + self.taps.saturating_sub(1) * self.dilation;
        for at in 0..=far {
            // The results that meet this element, each by one tap.
            let meets = |tap: usize| {
                let ahead = at.checked_sub(tap * self.dilation)?;
                (ahead % self.stride == 0 && ahead / self.stride < spot.tile).then(|| (ahead / self.stride, tap))
            };
            let pairs: Vec<(usize, usize)> = (0..self.taps).filter_map(meets).collect();
            if pairs.is_empty() || self.is_outside(&spot.column, at) {
                continue;
            }
            let value = self.input(spot, row, &Dim::from(at));
            for (m, tap) in pairs {
                let factor = match self.filter {
                    Some(filter) => self.site.w.read(filter, &[Dim::from(n * self.taps + tap)]),
                    None => weights[tap],
                };
                self.add_product(acc, m, value, factor);
            }
        }
    }
    /// The input's element `at` places behind the first one that the tile meets in a row of taps.
    fn input(&mut self, spot: &Spot<'_>, row: &[Dim], at: &Dim) -> ExprId {
        let rows = [spot.outer, std::slice::from_ref(&spot.column)].concat();
        let depth = [row, &[Dim::zero(), Dim::zero()]].concat();
        let mut ix = self.product.left(&At { rows: &rows, group: &Dim::zero(), depth: &depth }, spot.channel);
        let last = ix.len() - 2;
        ix[last] = &ix[last] + at;
        let value = self.site.operand(0, &ix);
        let value = self.site.w.cast(self.wide, value);
        named(&mut self.site.w, value)
    }
    fn add_product(&mut self, acc: LocalId, m: usize, value: ExprId, factor: ExprId) {
        let w = &mut self.site.w;
        let ix = [Dim::from(m)];
        let sum = w.read(acc, &ix);
        let sum = match self.wide.is_float() {
            true => w.mul_add(value, factor, sum),
            false => {
                let product = w.binary(BinaryFn::Mul, value, factor);
                w.binary(BinaryFn::Add, sum, product)
            }
        };
        w.assign(acc, &ix, sum);
    }
}
