//! Rewrites 3x3 convolutions by Winograd's method F(2x2, 3x3), which multiplies 16 times where the definition does 36.
//!
//! With matrices B, G and A (S. Winograd 1980; A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks",
//! 2016), a 2x2 tile of the result is `A' [sum over channels of (G g G') * (B' d B)] A` for a filter g and the 4x4 tile d
//! of the operand around it, `*` being the product element by element. Filters are constants, so `G g G'` is computed
//! here, in double precision. `B' d B` for all tiles is 16 matrices of [tiles, channels], the products are 16 matrix
//! products, and each of the four results of a tile is a sum of nine of theirs.
//!
//! B and A hold only 0, 1 and -1: the error stays that of a sum of about as many terms. Along each axis of a tile the first
//! of its elements reaches the first result alone, the last one the last, as by the definition: so an infinity or NaN
//! reaches the results that read it and no others. But differences of infinities are NaN, so where the definition gives an
//! infinity this may give NaN.
//!
//! The tiles are cut into *strips* of some rows of tiles of an image, each with its own 16 matrices. The three kernels
//! (transformation, products, results) then have slices that depend on nothing else, and run slice by slice (`chain.rs`):
//! what is transformed is multiplied, and the products summed, while they are in a near cache.

use super::{pack::constant, prepare::add};
use crate::{
    base::Dim,
    graph::{Graph, NodeId},
    loops::BinaryFn,
    op::{Binary, Broadcast, Concat, Conv, Dot, Pad, Reshape, Slice},
    tensor::{DType, Scalar, Tensor},
};

/// Results along each axis of a tile, and elements that they depend on.
const OUT: i64 = 2;
const IN: usize = 4;
/// Fewer channels leave the transformations more work than they save.
const MIN_CHANNELS: i64 = 32;
/// Fewer tiles, of one image where the batch is open, do not pay for filters that are 16/9 as large.
const MIN_TILES: i64 = 36;
/// Transformed tiles and products of a strip beyond this many bytes leave the second-level cache before they are read.
const STRIP_BYTES: i64 = 512 << 10;
/// Fewer rows of a strip wait for the filters, which each strip reads again.
const STRIP_ROWS: i64 = 24;
/// More rows of tiles have more bytes than that, however narrow they are.
const MAX_ROWS: i64 = STRIP_BYTES / (2 * MIN_CHANNELS * (IN * IN * 4) as i64);
/// Fewer strips leave threads idle.
const MIN_STRIPS: i64 = 4;
/// Transformed tiles and products beyond this many bytes, at a batch of one where it is open, leave all caches: where
/// they are not in strips, reading them back would take longer than the multiplications that they save.
const MAX_BYTES: i64 = 16 << 20;

/// The rows of B': which two elements are combined, and whether the second is subtracted.
const ROWS_IN: [(usize, usize, bool); IN] = [(0, 2, true), (1, 2, false), (2, 1, true), (1, 3, true)];
/// The rows of A': the signs of the products 0, 1, 2, 3.
const ROWS_OUT: [[i8; IN]; OUT as usize] = [[1, 1, 1, 0], [0, 1, -1, -1]];
/// G.
const FILTER: [[f64; 3]; IN] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// The convolution of `x` with the constant `filter` as nodes of `to`; none where the method does not apply or pay.
pub fn winograd(to: &mut Graph, conv: &Conv, x: NodeId, filter: NodeId) -> Option<NodeId> {
    let tiling = Tiling::of(to, conv, x, filter)?;
    let weights = transformed(&constant(to, filter)?, tiling.channels as usize, tiling.columns as usize);
    let weights = to.constant(weights);
    let transforms = tiling.transforms(to, x);
    let mut shape = vec![Dim::one(); tiling.outer.len()];
    shape.extend_from_slice(to.shape(weights));
    let weights = add(to, Reshape { shape }, &[weights]);
    let shape = tiling.matrices(IN * IN, &[&Dim::from(tiling.channels), &Dim::from(tiling.columns)]);
    let weights = add(to, Broadcast::to(shape), &[weights]);
    let products = add(to, Dot {}, &[transforms, weights]);
    Some(tiling.results(to, products))
}

/// A convolution that the method applies to, and how its results are cut into tiles and these into strips.
struct Tiling {
    batch: Dim,
    channels: i64,
    columns: i64,
    /// Extents of the result, and how many tiles cover it, along both axes.
    out: [i64; 2],
    tiles: [i64; 2],
    /// Of the operand, before and after its elements along both axes, so that all 4x4 tiles lie within it.
    low: [i64; 2],
    missing: [i64; 2],
    /// The extents that number the strips, and the rows of tiles of one.
    outer: Vec<Dim>,
    inner: Dim,
}

impl Tiling {
    /// None where the method does not apply or pay.
    fn of(to: &Graph, conv: &Conv, x: NodeId, filter: NodeId) -> Option<Tiling> {
        let ones = |list: &[i64]| list == [1, 1];
        if conv.groups != 1 || ![&conv.stride, &conv.dilation, &conv.input_dilation].into_iter().all(|l| ones(l)) {
            return None;
        }
        let known = |dims: &[Dim]| dims.iter().map(Dim::as_int).collect::<Option<Vec<i64>>>();
        let pair = |dims: &[Dim]| known(dims)?.try_into().ok();
        let (ty, taps) = (to.ty(x), known(to.shape(filter))?);
        let [3, 3, channels, columns] = taps[..] else { return None };
        if ty.dtype != DType::F32 || channels.min(columns) < MIN_CHANNELS {
            return None;
        }
        let (size, low, high): ([i64; 2], [i64; 2], [i64; 2]) =
            (pair(&ty.shape[1..3])?, pair(&conv.low)?, pair(&conv.high)?);
        let out = [0, 1].map(|a| size[a] + low[a] + high[a] - 2);
        let tiles = out.map(|n| (n + OUT - 1) / OUT);
        let missing = [0, 1].map(|a| tiles[a] * OUT + 2 - size[a] - low[a]);
        if out.iter().any(|&n| n < 1) || low.iter().chain(&missing).any(|&n| n < 0) {
            return None;
        }
        let batch = ty.shape[0].as_int();
        if tiles[0].saturating_mul(tiles[1]).saturating_mul(batch.unwrap_or(1)) < MIN_TILES {
            return None;
        }
        let strips = Strips::choose(batch, tiles, channels + columns)?;
        let batch = ty.shape[0].clone();
        let (outer, inner) = strips.split(&batch, tiles[0]);
        Some(Tiling { batch, channels, columns, out, tiles, low, missing, outer, inner })
    }

    /// So many matrices of each strip, with these extents.
    fn matrices(&self, n: usize, tail: &[&Dim]) -> Vec<Dim> {
        let tail = tail.iter().map(|&d| d.clone());
        self.outer.iter().cloned().chain([Dim::from(n)]).chain(tail).collect()
    }

    /// The 16 matrices `B' d B` of each strip.
    fn transforms(&self, to: &mut Graph, x: NodeId) -> NodeId {
        let dtype = to.ty(x).dtype;
        let zero = to.constant(Tensor::scalar(dtype, Scalar::zero(dtype)));
        let border = |[rows, columns]: [i64; 2]| [0, rows, columns, 0].map(Dim::from).to_vec();
        let x = add(to, Pad { low: border(self.low), high: border(self.missing) }, &[x, zero]);
        let [down, across] = self.tiles.map(Dim::from);
        let places = vec![self.batch.clone(), down, across.clone(), Dim::from(self.channels)];
        // d B, then B' (d B), each sum shared by those that need it.
        let mut lines = vec![];
        for row in 0..IN {
            let elements: Vec<NodeId> = (0..IN)
                .map(|column| {
                    let start = [0, row as i64, column as i64, 0].map(Dim::from).to_vec();
                    add(to, Slice { start, stride: vec![1, OUT, OUT, 1], shape: places.clone() }, &[x])
                })
                .collect();
            lines.push(ROWS_IN.map(|(a, b, minus)| combine(to, elements[a], elements[b], minus)));
        }
        let channels = Dim::from(self.channels);
        let apart = self.matrices(1, &[&self.inner, &across, &channels]);
        let mut transforms = vec![];
        for (a, b, minus) in ROWS_IN {
            for (x, y) in lines[a].into_iter().zip(lines[b]) {
                let sum = combine(to, x, y, minus);
                transforms.push(add(to, Reshape { shape: apart.clone() }, &[sum]));
            }
        }
        let transforms = add(to, Concat { axis: self.outer.len() }, &transforms);
        let rows = &self.inner * &across;
        add(to, Reshape { shape: self.matrices(IN * IN, &[&rows, &channels]) }, &[transforms])
    }

    /// The convolution's result, from the 16 products of each strip.
    fn results(&self, to: &mut Graph, products: NodeId) -> NodeId {
        let across = Dim::from(self.tiles[1]);
        // Products A, then A' (products A), each sum shared by the results that need it.
        let lines: Vec<Vec<NodeId>> = (0..IN)
            .map(|r| {
                let line: Vec<NodeId> = (0..IN).map(|c| product(to, products, self.outer.len(), r * IN + c)).collect();
                ROWS_OUT.iter().map(|signs| signed_sum(to, signs, &line)).collect()
            })
            .collect();
        let mut apart = self.outer.clone();
        apart.extend([self.inner.clone(), Dim::one(), across, Dim::one(), Dim::from(self.columns)]);
        let axis = apart.len() - 2;
        let results: Vec<NodeId> = ROWS_OUT
            .iter()
            .map(|signs| {
                let pair: Vec<NodeId> = (0..OUT as usize)
                    .map(|c| {
                        let column: Vec<NodeId> = lines.iter().map(|line| line[c]).collect();
                        let sum = signed_sum(to, signs, &column);
                        add(to, Reshape { shape: apart.clone() }, &[sum])
                    })
                    .collect();
                add(to, Concat { axis }, &pair)
            })
            .collect();
        let whole = add(to, Concat { axis: axis - 2 }, &results);
        let images = |[height, width]: [i64; 2]| {
            vec![self.batch.clone(), Dim::from(height), Dim::from(width), Dim::from(self.columns)]
        };
        let covered = self.tiles.map(|tiles| tiles * OUT);
        let whole = add(to, Reshape { shape: images(covered) }, &[whole]);
        if self.out == covered {
            return whole;
        }
        add(to, Slice { start: vec![Dim::zero(); 4], stride: vec![1; 4], shape: images(self.out) }, &[whole])
    }
}

/// How the tiles are cut. The products of a strip follow its transformation, and its results follow them, while both
/// are in a near cache.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Strips {
    /// All tiles of all images are one strip.
    One,
    /// So many rows of tiles of one image.
    Rows(i64),
}

impl Strips {
    /// The strips of `batch` images, if it is known, of `down` times `across` tiles, each of which has 16 elements for
    /// each channel of the operand and the result. None where reading from memory would take longer than is saved.
    fn choose(batch: Option<i64>, [down, across]: [i64; 2], channels: i64) -> Option<Strips> {
        let bytes = |tiles: i64| tiles.saturating_mul(channels).saturating_mul((IN * IN * 4) as i64);
        let divisors = || (1..=down.min(MAX_ROWS)).filter(|n| down % n == 0);
        let fits = |n: &i64| n * across >= STRIP_ROWS && bytes(n * across) <= STRIP_BYTES;
        let least = || divisors().find(|n| n * across >= STRIP_ROWS).unwrap_or(down);
        let rows = divisors().rev().find(fits).unwrap_or_else(least);
        let images = batch.unwrap_or(1);
        let enough = rows * across >= STRIP_ROWS && images.saturating_mul(down / rows) >= MIN_STRIPS;
        if enough && bytes(rows * across) <= MAX_BYTES {
            return Some(Strips::Rows(rows));
        }
        (bytes(down.saturating_mul(across).saturating_mul(images)) <= MAX_BYTES).then_some(Strips::One)
    }
    /// The axes of strips, and the rows of tiles that each has; together they are those of all images.
    fn split(self, batch: &Dim, down: i64) -> (Vec<Dim>, Dim) {
        match self {
            Strips::One => (vec![], batch * down),
            Strips::Rows(rows) => (vec![batch.clone(), Dim::from(down / rows)], Dim::from(rows)),
        }
    }
}

fn combine(to: &mut Graph, a: NodeId, b: NodeId, minus: bool) -> NodeId {
    add(to, Binary { f: if minus { BinaryFn::Sub } else { BinaryFn::Add } }, &[a, b])
}

/// One of the 16 matrices of products, which lie along `axis`.
fn product(to: &mut Graph, products: NodeId, axis: usize, n: usize) -> NodeId {
    let mut shape = to.shape(products).to_vec();
    shape[axis] = Dim::one();
    let mut start = vec![Dim::zero(); shape.len()];
    start[axis] = Dim::from(n);
    add(to, Slice { start, stride: vec![1; shape.len()], shape }, &[products])
}

/// The terms with the signs of a row of A', whose first one that counts is positive.
fn signed_sum(to: &mut Graph, signs: &[i8], terms: &[NodeId]) -> NodeId {
    let mut counted = terms.iter().zip(signs).filter(|(_, sign)| **sign != 0);
    let first = *counted.next().expect("a row of A' is not 0").0;
    counted.fold(first, |sum, (&term, &sign)| combine(to, sum, term, sign < 0))
}

/// `G g G'` for every channel and column: [16, channels, columns].
fn transformed(filter: &Tensor, channels: usize, columns: usize) -> Tensor {
    let of_tap = channels * columns;
    let elements: Vec<f64> = filter.scalars().map(|s| s.as_f64().unwrap_or(f64::NAN)).collect();
    let mut values = Vec::with_capacity(IN * IN * of_tap);
    for left in FILTER {
        for right in FILTER {
            values.extend((0..of_tap).map(|at| {
                let line = |r: usize| (0..3).map(|c| right[c] * elements[(r * 3 + c) * of_tap + at]).sum::<f64>();
                (0..3).map(|r| left[r] * line(r)).sum::<f64>() as f32
            }));
        }
    }
    Tensor::from_f32([IN * IN, channels, columns], &values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Bindings, Rng, Symbol},
        graph::evaluate,
        tensor::TensorType,
    };

    fn uniform(rng: &mut Rng, shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.below(2001) as f32 / 1000.0 - 1.0).collect();
        Tensor::from_f32(shape, &values)
    }

    #[test]
    fn strips_fit_a_near_cache_or_are_one() {
        let choose = |batch, tiles, channels| Strips::choose(batch, tiles, channels);
        assert_eq!(choose(Some(1), [28, 28], 128), Some(Strips::Rows(2)));
        assert_eq!(choose(None, [28, 28], 128), Some(Strips::Rows(2)));
        assert_eq!(choose(Some(8), [14, 14], 256), Some(Strips::Rows(2)));
        // An image is as many rows as there are, and alone it is nothing to share.
        assert_eq!(choose(Some(8), [7, 7], 512), Some(Strips::Rows(7)));
        assert_eq!(choose(None, [7, 7], 512), Some(Strips::One));
        assert_eq!(choose(Some(8), [4, 4], 1024), Some(Strips::One));
        // Too few rows in an image, too many bytes in all of them.
        assert_eq!(choose(Some(64), [4, 4], 1024), None);
    }

    /// The method's result, evaluated with exact sums, differs from the definition's only by the rounding of the
    /// transformed filters.
    #[test]
    fn agrees_with_the_definition() {
        let mut rng = Rng::new(1);
        for (size, low, high) in [([12, 12], [1, 1], [1, 1]), ([13, 14], [0, 1], [1, 0]), ([15, 12], [2, 0], [0, 3])] {
            let filter = uniform(&mut rng, &[3, 3, 32, 33]);
            let x = uniform(&mut rng, &[2, size[0], size[1], 32]);
            let conv = Conv {
                stride: vec![1; 2],
                dilation: vec![1; 2],
                input_dilation: vec![1; 2],
                low: low.map(Dim::from).to_vec(),
                high: high.map(Dim::from).to_vec(),
                groups: 1,
            };
            let graph = |fast: bool| {
                let mut g = Graph::default();
                let mut shape: Vec<Dim> = x.shape.iter().map(|&n| Dim::from(n)).collect();
                shape[0] = Dim::sym("N");
                let x = g.input("x", TensorType::new(DType::F32, shape));
                let filter = g.constant(filter.clone());
                let y = match fast {
                    true => winograd(&mut g, &conv, x, filter).expect("the method applies"),
                    false => add(&mut g, conv.clone(), &[x, filter]),
                };
                g.output("y", y);
                g
            };
            let bind = Bindings::from([(Symbol::new("N"), 2)]);
            let run = |g: &Graph| evaluate(g, std::slice::from_ref(&x), &bind).unwrap().remove(0);
            let (exact, fast) = (run(&graph(false)), run(&graph(true)));
            assert_eq!(exact.shape, fast.shape);
            let worst =
                exact.scalars().zip(fast.scalars()).map(|(a, b)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs());
            assert!(worst.fold(0.0, f64::max) < 2e-5);
        }
    }
}
