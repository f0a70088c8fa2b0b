//! Bands of diagonals, packed and unpacked: the general forms behind `tf.linalg.diag` and its kin.
//!
//! Diagonal `d` of a matrix holds the elements `(i, j)` with `j - i == d`. A band from `lower` to `upper` is packed as
//! rows, the uppermost first, each as long as the longest; shorter ones start at the left, or end at the right where
//! they are aligned so. Both directions compute for each place of the result where its element lies, and gather.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::{Dim, dim::NoVars},
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{Gather, Iota},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "MatrixDiagV2", import: unpacked },
    TfOp { name: "MatrixDiagV3", import: unpacked },
    TfOp { name: "MatrixDiagPartV2", import: packed },
    TfOp { name: "MatrixDiagPartV3", import: packed },
    TfOp { name: "MatrixSetDiagV2", import: set },
    TfOp { name: "MatrixSetDiagV3", import: set },
];

/// A band of a matrix.
struct Band {
    lower: i64,
    upper: i64,
    rows: Dim,
    columns: Dim,
    /// Whether the diagonals above and below the main one end at the right.
    right: [bool; 2],
}

impl Band {
    fn read(cx: &Import, n: usize, [rows, columns]: [Dim; 2]) -> Result<Band> {
        let (lower, upper) = match cx.ints(n, "the diagonals")?[..] {
            [k] => (k, k),
            [lower, upper] if lower <= upper => (lower, upper),
            ref other => return Err(format!("{other:?} is no band of diagonals").into()),
        };
        if lower.abs().max(upper.abs()) > i64::from(i32::MAX) {
            return Err(format!("diagonals {lower} to {upper} are out of range").into());
        }
        let align = if cx.node.op.ends_with("V3") { cx.node.attr_str("align")? } else { "LEFT_LEFT" };
        let right = match align {
            "RIGHT_LEFT" => [true, false],
            "LEFT_RIGHT" => [false, true],
            "LEFT_LEFT" => [false, false],
            "RIGHT_RIGHT" => [true, true],
            other => return Err(format!("alignment {other} is not supported").into()),
        };
        Ok(Band { lower, upper, rows, columns, right })
    }
    /// The band in operand `n` of matrices that have all of its diagonals; the main one may be empty.
    fn within(cx: &mut Import, n: usize, rows: &Dim, columns: &Dim) -> Result<Band> {
        let band = Band::read(cx, n, [rows.clone(), columns.clone()])?;
        for d in [band.lower, band.upper].into_iter().filter(|&d| d != 0) {
            let (needed, extent) = if d < 0 { (1 - d, rows) } else { (d + 1, columns) };
            cx.require_at_most(&Dim::from(needed), extent, "a diagonal lies outside of the matrix")?;
        }
        Ok(band)
    }
    fn count(&self) -> i64 {
        self.upper - self.lower + 1
    }
    /// The length of the longest diagonal.
    fn longest(&self) -> Dim {
        (&self.rows + self.upper.min(0)).at_most(&(&self.columns - self.lower.max(0)))
    }
    /// The shape of the packed band after `outer`: one diagonal alone has no axis for their number.
    fn packed_shape(&self, outer: &[Dim]) -> Vec<Dim> {
        let many = (self.count() > 1).then(|| Dim::from(self.count()));
        outer.iter().cloned().chain(many).chain([self.longest()]).collect()
    }
    /// For diagonal numbers `d`: the places by which their elements are shifted in a packed row.
    fn shift(&self, cx: &mut Import, d: NodeId) -> Result<NodeId> {
        let [zero, rows, columns, longest] =
            [&Dim::zero(), &self.rows, &self.columns, &self.longest()].map(|dim| cx.dim_scalar(dim, DType::I64));
        let (zero, rows, columns, longest) = (zero?, rows?, columns?, longest?);
        let below = cx.binary(BinaryFn::Min, d, zero)?;
        let above = cx.binary(BinaryFn::Max, d, zero)?;
        let (height, width) = (cx.add_(rows, below)?, cx.sub(columns, above)?);
        let length = cx.binary(BinaryFn::Min, height, width)?;
        let missing = cx.sub(longest, length)?;
        let is_above = cx.compare(CompareFn::Ge, d, zero)?;
        let [upper, lower] = self.right.map(|right| if right { missing } else { zero });
        cx.select(is_above, upper, lower)
    }
}

/// The index along each axis of a matrix, as a column and a row.
fn places(cx: &mut Import, rows: &Dim, columns: &Dim) -> Result<[NodeId; 2]> {
    let row = cx.add(Iota { shape: vec![rows.clone(), Dim::one()], axis: 0, dtype: DType::I64 }, &[])?;
    let column = cx.add(Iota { shape: vec![Dim::one(), columns.clone()], axis: 1, dtype: DType::I64 }, &[])?;
    Ok([row, column])
}

fn integer(cx: &mut Import, n: i64) -> Result<NodeId> {
    cx.dim_scalar(&Dim::from(n), DType::I64)
}

/// `low <= x < high`.
fn within(cx: &mut Import, x: NodeId, low: NodeId, high: NodeId) -> Result<NodeId> {
    let (above, below) = (cx.compare(CompareFn::Ge, x, low)?, cx.compare(CompareFn::Lt, x, high)?);
    cx.and(above, below)
}

/// The elements of the last axis of `flat` at the indices that are fine, and `otherwise` at the others.
fn gather(cx: &mut Import, flat: NodeId, at: NodeId, fine: NodeId, otherwise: NodeId) -> Result<NodeId> {
    let zero = integer(cx, 0)?;
    let at = cx.select(fine, at, zero)?;
    let axis = cx.rank(flat) - 1;
    let picked = cx.add(Gather { axis, batch: 0, checked: false }, &[flat, at])?;
    cx.select(fine, picked, otherwise)
}

/// The last two axes joined.
fn flattened(cx: &mut Import, x: NodeId, outer: &[Dim]) -> Result<NodeId> {
    let inner = crate::tensor::count(&cx.shape(x)[outer.len()..]);
    cx.reshape(x, &[outer, &[inner]].concat())
}

/// Operands: matrices, the diagonals, the value of places that no diagonal reaches.
fn packed(cx: &mut Import) -> Outputs {
    let (x, padding) = (cx.arg(0)?, cx.arg(2)?);
    let shape = cx.shape(x);
    let [outer @ .., rows, columns] = &shape[..] else { return Err("expected matrices".into()) };
    let band = Band::within(cx, 1, rows, columns)?;
    let longest = band.longest();
    let [m, n] = places(cx, &Dim::from(band.count()), &longest)?;
    let (upper, zero) = (integer(cx, band.upper)?, integer(cx, 0)?);
    let d = cx.sub(upper, m)?;
    let shift = band.shift(cx, d)?;
    let along = cx.sub(n, shift)?;
    let (above, below) = (cx.binary(BinaryFn::Max, d, zero)?, cx.binary(BinaryFn::Min, d, zero)?);
    let (row, column) = (cx.sub(along, below)?, cx.add_(along, above)?);
    let (height, width) = (cx.dim_scalar(rows, DType::I64)?, cx.dim_scalar(columns, DType::I64)?);
    let start = cx.compare(CompareFn::Ge, along, zero)?;
    let (low, left) = (cx.compare(CompareFn::Lt, row, height)?, cx.compare(CompareFn::Lt, column, width)?);
    let ends = cx.and(low, left)?;
    let fine = cx.and(start, ends)?;
    let line = cx.mul(row, width)?;
    let at = cx.add_(line, column)?;
    let flat = flattened(cx, x, outer)?;
    let picked = gather(cx, flat, at, fine, padding)?;
    one(cx.reshape(picked, &band.packed_shape(outer))?)
}

/// Matrices with the band of operand 0, and `otherwise` elsewhere.
fn spread(cx: &mut Import, diagonals: NodeId, band: &Band, outer: &[Dim], otherwise: NodeId) -> Result<NodeId> {
    let want = band.packed_shape(outer);
    let have = cx.shape(diagonals);
    if have.len() != want.len() {
        return Err(format!("{} axes of diagonals do not fit the band", have.len()).into());
    }
    for (have, want) in have.iter().zip(&want) {
        cx.require_equal(have, want, "the diagonals and their band")?;
    }
    let [row, column] = places(cx, &band.rows, &band.columns)?;
    let (lower, past, upper) = (integer(cx, band.lower)?, integer(cx, band.upper + 1)?, integer(cx, band.upper)?);
    let d = cx.sub(column, row)?;
    let fine = within(cx, d, lower, past)?;
    let m = cx.sub(upper, d)?;
    let along = cx.binary(BinaryFn::Min, row, column)?;
    let shift = band.shift(cx, d)?;
    let n = cx.add_(along, shift)?;
    let longest = cx.dim_scalar(&band.longest(), DType::I64)?;
    let line = cx.mul(m, longest)?;
    let at = cx.add_(line, n)?;
    let mut flat = flattened(cx, diagonals, outer)?;
    // Where there are no diagonals, the matrix may still have places to fill, and a table to gather from has an element.
    let many = &band.longest() * &Dim::from(band.count());
    let as_long = [&band.rows, &band.columns].iter().all(|n| **n == band.longest());
    if !as_long && !(many - 1).is_nonneg(&NoVars) {
        let zero = cx.scalar_like(flat, 0.0)?;
        let (none, mut more) = (vec![Dim::zero(); outer.len() + 1], vec![Dim::zero(); outer.len() + 1]);
        more[outer.len()] = Dim::one();
        flat = cx.pad(flat, zero, &none, &more)?;
    }
    gather(cx, flat, at, fine, otherwise)
}

/// Operands: the diagonals, which they are, the numbers of rows and columns (-1: as few as hold them), the value elsewhere.
fn unpacked(cx: &mut Import) -> Outputs {
    let (x, padding) = (cx.arg(0)?, cx.arg(4)?);
    let shape = cx.shape(x);
    let mut band = Band::read(cx, 1, [Dim::zero(), Dim::zero()])?;
    let axes = if band.count() > 1 { 2 } else { 1 };
    let Some(rank) = shape.len().checked_sub(axes) else { return Err("expected diagonals".into()) };
    let longest = &shape[shape.len() - 1];
    let least = [longest - band.upper.min(0), longest + band.lower.max(0)];
    let given = [cx.dim(2, "the number of rows")?, cx.dim(3, "the number of columns")?];
    [band.rows, band.columns] = match given.each_ref().map(|n| n.is(-1)) {
        [true, true] => [least[0].at_least(&least[1]), least[0].at_least(&least[1])],
        [true, false] => [least[0].clone(), given[1].clone()],
        [false, true] => [given[0].clone(), least[1].clone()],
        [false, false] => given,
    };
    one(spread(cx, x, &band, &shape[..rank], padding)?)
}

/// Operands: matrices, the diagonals that replace theirs, which they are.
fn set(cx: &mut Import) -> Outputs {
    let (x, diagonals) = (cx.arg(0)?, cx.arg(1)?);
    let shape = cx.shape(x);
    let [outer @ .., rows, columns] = &shape[..] else { return Err("expected matrices".into()) };
    let band = Band::within(cx, 2, rows, columns)?;
    one(spread(cx, diagonals, &band, outer, x)?)
}
