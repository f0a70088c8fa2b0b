//! How large a tile is.

/// Rows and columns that are kept in registers while the depth of a product runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub rows: usize,
    /// Whole vectors, and a divisor of a panel's width.
    pub columns: usize,
}

/// The columns of one tile: those stored, and those computed, which may end in zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    pub real: usize,
    pub computed: usize,
}

/// A tile has at most this many columns: no panel is wider.
const MAX_COLUMNS: usize = 64;
/// What stands for an unknown number of rows or columns.
const MANY: usize = 960;

impl Tile {
    /// The tile with the fewest instructions for this many rows and columns, where `accumulators` vectors of `lanes` are
    /// at hand: a step of depth loads the vectors of the right operand, broadcasts an element of each row, and multiplies
    /// and adds them all.
    pub fn choose(accumulators: usize, lanes: usize, rows: Option<i64>, columns: Option<i64>) -> Tile {
        let known = |n: Option<i64>| n.map_or(MANY, |n| usize::try_from(n).unwrap_or(MANY).clamp(1, MANY));
        let (all_rows, all_columns) = (known(rows), known(columns));
        let widths = (0..).map(|n| 1usize << n).take_while(|&v| v <= accumulators.max(1) && v * lanes <= MAX_COLUMNS);
        let tiles = widths.flat_map(|v| (1..=(accumulators / v).clamp(1, all_rows)).map(move |rows| (rows, v)));
        let cost = |&(rows, vectors): &(usize, usize)| {
            let across = all_columns.div_ceil(vectors * lanes);
            let step = |rows: usize| if rows == 0 { 0 } else { 2 * rows * vectors + rows + vectors + 1 };
            (across * (all_rows / rows * step(rows) + step(all_rows % rows)), rows * vectors)
        };
        let (rows, vectors) = tiles.min_by_key(cost).unwrap_or((1, 1));
        Tile { rows, columns: vectors * lanes }
    }
}

#[test]
fn tiles_fit_their_product() {
    let tile = |rows, columns| Tile::choose(8, 4, rows, columns);
    assert_eq!(tile(None, None), Tile { rows: 4, columns: 8 });
    assert_eq!(tile(Some(1), None), Tile { rows: 1, columns: 32 });
    assert_eq!(tile(Some(1), Some(10)).rows, 1);
    assert_eq!(Tile::choose(24, 4, None, None), Tile { rows: 6, columns: 16 });
    assert_eq!(Tile::choose(16, 1, None, None), Tile { rows: 4, columns: 4 });
    assert_eq!(Tile::choose(0, 1, Some(0), Some(0)), Tile { rows: 1, columns: 1 });
}
