//! In which order the tiles of a contraction come.
//!
//! All tiles of some strips of columns, the *column block*, are computed for one tile of rows before the next one: so
//! each row is read once where all columns are one block. Columns that do not stay in the second-level cache while rows
//! pass are several blocks; and where the rows do not stay there either, they are cut into *row blocks*, which all column
//! blocks pass over. Blocks and tiles of rows are the iterations of one outermost loop, so that any of them may go to
//! another thread; that is also why there are enough of them, even where caches would not ask for it. A thread has a
//! range of that loop: where all columns stay in the cache, tiles of rows are its outer part, so that a thread reads
//! the rows that it wrote in the kernel before; where they do not, blocks of columns are, so that it keeps its weights.
//! Nothing here changes how an element is summed.

use super::{Chooser, Product, Rows};
use crate::{base::Dim, plan::fuse::estimate, tensor::count};

/// Iterations of the outermost loop that balance a few threads.
const PIECES: f64 = 16.0;
/// Work below this is not worth an iteration of its own, in picoseconds.
const MIN_PIECE: f64 = 1e6;

/// How columns and rows are cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks {
    /// Columns of a strip, which divides a panel.
    pub strip: usize,
    /// Full strips of all full panels, and the columns of what is left, if these are known.
    pub full: Dim,
    pub rest: Dim,
    /// Full strips of a column block; a narrower strip is a block of its own.
    pub per_block: usize,
    /// Whether all blocks of columns pass over a tile of rows before the next tile comes.
    pub rows_first: bool,
    /// Tiles of rows of a row block, and row blocks.
    pub tiles: Dim,
    pub row_blocks: usize,
}

impl Blocks {
    /// For panels of `packed` columns, or a right operand that is not packed. Where kernels take `turns` in the direction in
    /// which they read columns, each strip is a block, so that all of them are in the outermost loop.
    pub fn choose(
        product: &Product,
        rows: &Rows,
        packed: Option<usize>,
        left_bytes: f64,
        chooser: &Chooser<'_>,
        turns: bool,
    ) -> Blocks {
        let target = chooser.target;
        let size = product.dtype.size();
        let (cache, panel) = (target.l2 / 2, packed.unwrap_or(target.panel));
        let panel_bytes = chooser.depth * panel * size;
        let mut strip = panel;
        // A whole panel would leave the cache before the next tile of rows comes.
        if packed.is_some() && panel_bytes > target.l2 && rows.tiles_known() > 2 {
            let lanes = target.lanes(size.max(4));
            let vectors = chooser.across(rows.per_tile(), panel.div_ceil(lanes)).0.vectors;
            strip = if panel % (vectors * lanes) == 0 { vectors * lanes } else { panel };
        }
        // The last panel has a width of its own.
        let full = product.columns.floor_div(&Dim::from(panel)) * (panel / strip) as i64;
        let rest = &product.columns - &full * strip as i64;
        let tiles = rows.shared_tiles(&product.rows);
        let mut blocks =
            Blocks { strip, full, rest, per_block: 1, rows_first: false, tiles: tiles.clone(), row_blocks: 1 };
        let Some(strips) = blocks.full.as_int().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0) else {
            return blocks;
        };
        let strip_bytes = chooser.depth * strip * size;
        let elements = estimate(&count(&product.rows)) * estimate(&product.columns) * product.groups as f64;
        let flops = 2.0 * elements * chooser.depth as f64;
        let bytes = (strips * strip_bytes) as f64 + left_bytes;
        let wanted = (target.expected(flops, bytes) / MIN_PIECE).clamp(1.0, PIECES);
        let others = product.groups as f64 * estimate(&count(&product.rows[..rows.apart]));
        let pieces = |per_block: usize| others * strips.div_ceil(per_block) as f64 * estimate(&tiles);
        let fits = |n: usize| (strips * strip_bytes <= cache || n * strip_bytes <= cache) && pieces(n) >= wanted;
        if turns {
            return blocks;
        }
        let divisors = (1..=strips).rev().filter(|n| strips % n == 0);
        blocks.per_block = divisors.into_iter().find(|&n| fits(n)).unwrap_or(1);
        blocks.cut_rows(strips * strip_bytes, left_bytes / others, cache);
        blocks.rows_first = blocks.row_blocks == 1 && strips * strip_bytes <= cache;
        blocks
    }
    /// Cuts rows where that saves more reading of the left operand than it costs of the right one.
    fn cut_rows(&mut self, right: usize, left: f64, cache: usize) {
        let (Some(tiles), columns) = (self.tiles.as_int(), self.column_blocks_known()) else { return };
        if columns < 2 || left <= cache as f64 {
            return;
        }
        let fit = (tiles as f64 * cache as f64 / left) as i64;
        let Some(per_block) = (fit / 2..=fit).rev().find(|&n| n > 0 && tiles % n == 0) else { return };
        let many = tiles / per_block;
        if left + (many as f64) * (right as f64) < left * columns as f64 {
            (self.tiles, self.row_blocks) = (Dim::from(per_block), many as usize);
        }
    }
    fn column_blocks_known(&self) -> i64 {
        self.column_blocks().as_int().unwrap_or(1)
    }
    /// Whether one block has all columns.
    pub fn is_whole(&self) -> bool {
        self.full.as_int().is_none_or(|n| n <= self.per_block as i64)
    }
    /// The number of column blocks.
    pub fn column_blocks(&self) -> Dim {
        match self.is_whole() {
            true => Dim::one(),
            false => self.full.floor_div(&Dim::from(self.per_block)) + i64::from(!self.rest.is(0)),
        }
    }
}
