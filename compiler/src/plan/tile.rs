//! How large a tile is: the cheapest one by a count of cycles, among those that fit the registers.
//!
//! A step of depth multiplies a vector of the right operand, for each vector of the tile, with an element of the left
//! operand for each row. The model counts what a step needs of each of the machine's parts, and takes the part that is
//! busy longest: two multiply-adds, two loads and six instructions a cycle, 32 bytes from the second-level cache, and
//! four cycles until a sum can be added to again. Where Cranelift makes the code, instructions alone are counted.

use super::target::TargetInfo;

/// Rows and vectors of columns that are kept in registers while the depth of a product runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub rows: usize,
    pub vectors: usize,
    /// Sums of each element: neighbours in depth are added to different ones, which a short tile needs to keep the
    /// multipliers busy.
    pub splits: usize,
}

/// The columns of one tile: those stored, and those computed, which may pass beyond them to make whole vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    pub real: usize,
    pub computed: usize,
}

/// Columns that are tiled alike: `count` strips of some vectors each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strips {
    pub count: usize,
    pub vectors: usize,
}

/// What stands for an unknown number of rows, columns or products.
pub const MANY: usize = 960;
/// Parts of a cycle, so that costs are integers.
const CYCLE: u64 = 12;
/// Bytes that come from the second-level cache in a cycle.
const L2_BYTES: u64 = 32;
/// Rows as many bytes apart share the sets of a first-level cache.
const ALIAS: usize = 4096;
/// Rows that may share a set, beside what passes through.
const WAYS: usize = 6;

/// What a tile is chosen for.
#[derive(Clone, Copy, Debug)]
pub struct Chooser<'t> {
    pub target: &'t TargetInfo,
    /// Products of a sum.
    pub depth: usize,
    /// Bytes between rows of the left operand, where known.
    pub pitch: Option<usize>,
    /// Bytes of the right operand where it is constant: one in a near cache may be read for fewer rows at a time.
    pub right_bytes: Option<usize>,
}

impl Chooser<'_> {
    /// Whether a tile leaves room for what it is multiplied with, and a register to spare.
    fn fits(&self, rows: usize, vectors: usize, splits: usize) -> bool {
        let sums = rows * vectors * splits;
        if self.target.vector_bytes <= 16 {
            return sums <= self.target.accumulators;
        }
        // A single row multiplies what it loads.
        let right = if rows == 1 { 1 } else { vectors };
        sums + right + 2 <= self.target.registers
    }
    fn splits(&self, rows: usize, vectors: usize) -> usize {
        let wanted = |s: usize| rows * vectors * s >= 8 || s == 4;
        let fits = |s: usize| self.fits(rows, vectors, s) && self.depth >= 8 * s;
        [1, 2, 4].into_iter().filter(|&s| s == 1 || fits(s)).find(|&s| wanted(s) || !fits(2 * s)).unwrap_or(1)
    }
    /// Parts of a cycle that a step of depth takes.
    fn step(&self, rows: usize, vectors: usize) -> u64 {
        let (sums, r, v) = ((rows * vectors) as u64, rows as u64, vectors as u64);
        let splits = self.splits(rows, vectors) as u64;
        let counts = self.target.counts_instructions();
        if self.target.vector_bytes <= 16 && !counts {
            return (2 * sums + r + v + 1) * CYCLE / 4;
        }
        let loaded = if rows == 1 { 0 } else { v };
        let bytes = v * self.target.vector_bytes as u64;
        // All columns pass before the next rows: what does not stay in the first-level cache comes from the second.
        let far = self.right_bytes.unwrap_or(self.depth * 4 * self.target.panel) > self.target.l1 / 2;
        let mut step = [
            sums * CYCLE / 2,
            // Loads meet in banks now and then.
            (r + v) * CYCLE * 11 / 20,
            // A copy of the right operand, its product with an element that takes two to spread, and the sum.
            if counts { (3 * sums + 2 * r + 1) * CYCLE / 6 } else { (sums + r + loaded + 3) * CYCLE / 6 },
            4 * CYCLE / splits,
            if far { bytes * CYCLE / L2_BYTES } else { 0 },
        ];
        if self.aliases(rows) {
            step[1] *= 2;
        }
        // A part of the reading is not hidden behind the rest.
        let waits = step[4] / 6;
        step.into_iter().max().unwrap_or(0) + waits
    }
    /// Whether so many rows share a set of the cache that they evict each other.
    fn aliases(&self, rows: usize) -> bool {
        let Some(pitch) = self.pitch.filter(|&p| p > 0 && self.depth > 16) else { return false };
        let apart = ALIAS >> pitch.trailing_zeros().min(ALIAS.trailing_zeros());
        rows > WAYS * apart
    }
    /// Whether the right operand is so large that it is asked for before its use.
    pub fn asks(&self) -> bool {
        self.target.ahead > 0 && self.right_bytes.is_some_and(|n| n > self.target.l1 / 2)
    }
    /// Steps of depth before its use at which an element of the right operand should be asked for, where that is worth it:
    /// a strip narrower than its panel leaves a page after few steps, and there the machine's own guess ends. A single
    /// row waits for memory in any case.
    pub fn ahead(&self, tile: Tile) -> Option<usize> {
        let wanted = self.asks() && tile.rows > 1;
        let steps = (self.target.ahead as u64 * CYCLE).div_ceil(self.step(tile.rows, tile.vectors).max(1)) as usize;
        (wanted && self.depth > steps).then_some(steps)
    }
    /// What `rows` rows times `vectors` vectors cost, begun and stored.
    fn tile_cost(&self, rows: usize, vectors: usize) -> u64 {
        match rows * vectors {
            0 => 0,
            sums => self.depth as u64 * self.step(rows, vectors) + (16 + 2 * sums as u64) * CYCLE,
        }
    }
    /// The best tile of exactly `rows` rows for strips of `vectors`, and what one strip costs with it.
    pub fn across(&self, rows: usize, vectors: usize) -> (Tile, u64) {
        let cost = |v: usize| (vectors / v) as u64 * self.tile_cost(rows, v) + self.tile_cost(rows, vectors % v);
        let widths = (1..=vectors.max(1)).filter(|&v| v == 1 || self.fits(rows, v, 1));
        let best = widths.min_by_key(|&v| (cost(v), vectors % v, v)).unwrap_or(1);
        (Tile { rows, vectors: best, splits: self.splits(rows, best) }, cost(best))
    }
    /// What one tile of `rows` rows costs across all columns.
    fn all_across(&self, rows: usize, strips: &[Strips]) -> u64 {
        strips.iter().map(|s| s.count as u64 * self.across(rows, s.vectors).1).sum()
    }
    /// Rows per tile for `extent` steps of `unit` rows each, and what all of them cost; a tile has whole steps, and what
    /// remains is one smaller tile. `None` when no step fits.
    pub fn down(&self, extent: Option<usize>, unit: usize, strips: &[Strips]) -> Option<(usize, u64)> {
        let (unknown, extent) = (extent.is_none(), extent.unwrap_or(MANY).max(1));
        let most = (1..=extent).take_while(|n| self.fits(n * unit, 1, 1)).last()?;
        let cost = |steps: usize| {
            let rest = extent % steps;
            let rest = if rest == 0 { 0 } else { self.all_across(rest * unit, strips) };
            (extent / steps) as u64 * self.all_across(steps * unit, strips) + rest
        };
        let costs: Vec<(usize, u64)> = (1..=most).map(|steps| (steps, cost(steps))).collect();
        // Even tiles before large ones.
        let best = costs.iter().copied().min_by_key(|&(n, cost)| (cost, extent % n > 0, std::cmp::Reverse(n)))?;
        // An unknown number of rows needs tiles for all that may remain: much code, for little where few rows do as well.
        let slack = match self.right_bytes {
            Some(n) if unknown && n <= self.target.l1 / 2 => 100,
            Some(n) if unknown && n <= self.target.l2 => 15,
            _ => 0,
        };
        let enough = |(_, cost): &&(usize, u64)| cost * 100 <= best.1 * (100 + slack);
        if slack > 0 { costs.iter().find(enough).copied() } else { Some(best) }
    }
}

/// Tiles for fewer than `rows` rows, when their number is not known: each once or not at all.
pub fn halves(rows: usize) -> impl Iterator<Item = usize> {
    let first = rows.next_power_of_two() / 2;
    std::iter::successors((rows > 1).then_some(first), |n| (*n > 1).then_some(n / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Isa;

    /// Rows and vectors of the tile, for this many rows and columns of f32.
    fn tile(isa: Isa, rows: Option<usize>, columns: usize) -> (usize, usize) {
        let target = TargetInfo::new(isa);
        let chooser = Chooser { target: &target, depth: 512, pitch: None, right_bytes: None };
        let lanes = target.lanes(4);
        let mut strips = vec![Strips { count: columns / 64, vectors: 64 / lanes }];
        if !columns.is_multiple_of(64) {
            strips.push(Strips { count: 1, vectors: (columns % 64).div_ceil(lanes) });
        }
        strips.retain(|s| s.count > 0);
        let (rows, _) = chooser.down(rows, 1, &strips).unwrap();
        (rows, chooser.across(rows, strips[0].vectors).0.vectors)
    }

    #[test]
    fn tiles_fill_the_registers() {
        assert_eq!(tile(Isa::X64V4, None, 256), (14, 2));
        assert_eq!(tile(Isa::X64V4, Some(56), 64), (14, 2));
        assert_eq!(tile(Isa::X64V4, None, 48), (9, 3));
        assert_eq!(tile(Isa::X64V3, None, 256), (6, 2));
        assert_eq!(tile(Isa::X64, None, 256), (2, 4));
        assert_eq!(tile(Isa::Aarch64, None, 256), (6, 4));
    }

    #[test]
    fn tiles_fit_their_product() {
        assert_eq!(tile(Isa::X64V4, Some(1), 256), (1, 4));
        assert_eq!(tile(Isa::X64V3, Some(1), 256), (1, 8));
        assert_eq!(tile(Isa::X64, Some(1), 256), (1, 8));
        // One row more than a tile is no tile of its own.
        let (rows, _) = tile(Isa::X64V4, Some(15), 256);
        assert!(rows < 14, "{rows}");
        assert_eq!(tile(Isa::X64V4, Some(1), 10), (1, 1));
        assert!(tile(Isa::X64V4, None, 10).0 >= 14);
    }

    #[test]
    fn rows_in_one_set_are_few() {
        let target = TargetInfo::new(Isa::X64V4);
        let strips = [Strips { count: 16, vectors: 4 }];
        let rows = |pitch| {
            Chooser { target: &target, depth: 1024, pitch: Some(pitch), right_bytes: None }
                .down(None, 1, &strips)
                .unwrap()
                .0
        };
        assert_eq!([rows(4096), rows(8192), rows(3072), rows(256)], [6, 6, 14, 14]);
    }

    #[test]
    fn large_operands_are_asked_for() {
        let ahead = |isa, bytes, rows, depth| {
            let target = TargetInfo::new(isa);
            let chooser = Chooser { target: &target, depth, pitch: None, right_bytes: bytes };
            chooser.ahead(Tile { rows, vectors: 2, splits: 1 })
        };
        let large = Some(4 << 20);
        assert_eq!(ahead(Isa::X64V3, large, 6, 1024), Some(31));
        assert_eq!(ahead(Isa::X64V4, large, 14, 1024), Some(14));
        assert_eq!(ahead(Isa::X64V3, large, 6, 31), None);
        assert_eq!(ahead(Isa::X64V3, large, 1, 1024), None);
        assert_eq!(ahead(Isa::X64V3, Some(4 << 10), 6, 1024), None);
        assert_eq!(ahead(Isa::X64V3, None, 6, 1024), None);
        assert_eq!(ahead(Isa::X64, large, 2, 1024), None);
    }

    #[test]
    fn few_rows_do_where_weights_are_near() {
        let strips = [Strips { count: 2, vectors: 4 }];
        let target = TargetInfo::new(Isa::X64V4);
        let rows = |bytes| {
            let chooser = Chooser { target: &target, depth: 784, pitch: None, right_bytes: Some(bytes) };
            chooser.down(None, 1, &strips).unwrap().0
        };
        assert_eq!(rows(2 << 20), 14);
        assert!((4..=6).contains(&rows(784 * 512)));
    }

    #[test]
    fn halves_add_up() {
        assert_eq!(halves(14).collect::<Vec<_>>(), [8, 4, 2, 1]);
        assert_eq!(halves(8).collect::<Vec<_>>(), [4, 2, 1]);
        assert_eq!(halves(1).count(), 0);
    }
}
