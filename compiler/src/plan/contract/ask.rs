//! What a tile asks the memory for while it runs, so that what comes later need not be waited for.
//!
//! A machine guesses by itself what is read next, but only within a page. A strip narrower than its panel leaves a page
//! of the right operand after few steps of depth; so its own columns are asked for some steps ahead, and meanwhile the
//! next panel, a line after the other, in the order in which memory is quickest. The left operand is read in the order in
//! which it lies.

use super::{
    nest::{Contraction, Place},
    *,
};
use crate::{
    loops::{BufferId, flat},
    plan::tile::Tile,
};

/// Tiles of rows beyond which it does not matter that the first one waits for the right operand.
const FEW_TILES: i64 = 16;
/// Bytes that come from memory together.
const LINE: usize = 64;

/// A line that each step of depth asks for.
pub(super) struct Asked {
    buffer: BufferId,
    /// Its element at depth 0, and how far it moves with a step.
    first: Dim,
    step: Dim,
    near: bool,
}

impl Contraction<'_, '_> {
    /// What the steps of a tile ask for: of the right operand, what the same tile reads a few steps later; and of the
    /// next panel, from its start to its end, a part as large as what all tiles of this panel read, divided among them.
    pub(super) fn asked(&mut self, place: &Place, tile: Tile, columns: usize) -> Vec<Asked> {
        let Some(packed) = self.packed.clone().filter(|_| self.chooser.asks()) else { return vec![] };
        let tiles = self.blocks.tiles.as_int();
        let whole = place.right_step.as_int().is_none_or(|step| step <= columns as i64);
        // Tiles for all that may remain of an unknown number of rows are much code: for weights that leave the cache only.
        let few = tiles.map_or(packed.bytes > self.chooser.target.l2, |n| n <= FEW_TILES);
        // Of panels that do not stay in the cache, the machine guesses better.
        let panel = packed.depth * packed.panel;
        let room = 2 * panel * self.product.dtype.size() <= self.chooser.target.l2;
        if whole || !few || !room {
            return vec![];
        }
        let buffer = self.site.weights(packed.id, self.product.dtype, packed.len());
        let mut asked = vec![];
        if let Some(ahead) = self.chooser.ahead(tile) {
            let later = &place.right + &place.right_step * ahead as i64;
            asked.extend(self.lines(buffer, later, columns, &place.right_step, true));
        }
        if let (Some(within), true) = (&place.within, packed.full() > 1) {
            let among = if self.blocks.rows_first { 1 } else { tiles.unwrap_or(1).max(1) };
            let step = columns.div_ceil(among as usize);
            let start = &place.right - within + (&place.tile * step as i64 + within) * packed.depth as i64;
            asked.extend(self.lines(buffer, start + panel as i64, step, &Dim::from(step), false));
        }
        asked
    }
    /// Asks for it at one place of the depth.
    pub(super) fn ask(&mut self, asked: &[Asked], depth: &[Dim]) {
        if !asked.is_empty() {
            let k = flat(&self.product.depth, depth);
            asked.iter().for_each(|a| self.site.w.prefetch_flat(a.buffer, &a.first + &k * &a.step, a.near));
        }
    }
    fn lines(&self, buffer: BufferId, first: Dim, elements: usize, step: &Dim, near: bool) -> Vec<Asked> {
        let line = LINE / self.product.dtype.size();
        let places = (0..elements).step_by(line).map(|n| &first + n as i64);
        places.map(|first| Asked { buffer, first, step: step.clone(), near }).collect()
    }
}
