//! Rows folded by the segments that they belong to.
//!
//! The ids of sorted segments never fall, and their last one says how many segments there are: the extent of the result. It
//! is known where constants hold the ids or an operand gives the number; else it is a size that data decide.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Gather, Iota, Outside, Reduce, Scatter, accumulator, identity},
    tensor::{DType, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "SegmentSum", import: |cx| sorted(cx, Fold::Sum) },
    TfOp { name: "SegmentMean", import: |cx| sorted(cx, Fold::Mean) },
    TfOp { name: "SegmentProd", import: |cx| sorted(cx, Fold::Prod) },
    TfOp { name: "SegmentMin", import: |cx| sorted(cx, Fold::Min) },
    TfOp { name: "SegmentMax", import: |cx| sorted(cx, Fold::Max) },
    TfOp { name: "UnsortedSegmentSum", import: |cx| unsorted(cx, Fold::Sum) },
    TfOp { name: "UnsortedSegmentProd", import: |cx| unsorted(cx, Fold::Prod) },
    TfOp { name: "UnsortedSegmentMin", import: |cx| unsorted(cx, Fold::Min) },
    TfOp { name: "UnsortedSegmentMax", import: |cx| unsorted(cx, Fold::Max) },
    TfOp { name: "SparseSegmentSum", import: |cx| sparse(cx, Fold::Sum) },
    TfOp { name: "SparseSegmentMean", import: |cx| sparse(cx, Fold::Mean) },
    TfOp { name: "SparseSegmentSqrtN", import: |cx| sparse(cx, Fold::SqrtN) },
    TfOp { name: "SparseSegmentSumWithNumSegments", import: |cx| sparse(cx, Fold::Sum) },
    TfOp { name: "SparseSegmentMeanWithNumSegments", import: |cx| sparse(cx, Fold::Mean) },
    TfOp { name: "SparseSegmentSqrtNWithNumSegments", import: |cx| sparse(cx, Fold::SqrtN) },
];

/// What is made of the rows of a segment.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fold {
    Sum,
    /// The sum over the number of rows.
    Mean,
    /// The sum over the root of the number of rows.
    SqrtN,
    Prod,
    Min,
    Max,
}

impl Fold {
    /// NaN lasts until the next row, as it does in TensorFlow's loop.
    fn combine(self) -> Combine {
        match self {
            Fold::Sum | Fold::Mean | Fold::SqrtN => Combine::Add,
            Fold::Prod => Combine::Mul,
            Fold::Min => Combine::LastMin,
            Fold::Max => Combine::LastMax,
        }
    }
}

/// Segments up to this many have a constant each.
const MAX_SEGMENTS: i64 = 1 << 24;

/// The numbers of rows in segments that constants give; ids never fall.
fn counts(cx: &Import, known: &[i64]) -> Result<Vec<i64>> {
    if !known.is_sorted() || known.first().is_some_and(|&id| id < 0) {
        return Err("segment ids are negative or fall".into());
    }
    let number = known.last().map_or(0, |last| last.saturating_add(1));
    if number > MAX_SEGMENTS {
        return Err(format!("{number} segments of {} are not supported", cx.node.op).into());
    }
    let mut counts = vec![0; number as usize];
    known.iter().for_each(|&id| counts[id as usize] += 1);
    Ok(counts)
}

/// The number of segments that operand `n`, a scalar, gives.
pub(super) fn segments(cx: &mut Import, n: usize) -> Result<Dim> {
    let what = "the number of segments";
    let number = cx.size(n, what, None)?;
    cx.scalar_arg(n, what)?;
    cx.require_at_most(&Dim::zero(), &number, what)?;
    Ok(number)
}

/// Ids as the indices of a scatter.
pub(super) fn as_indices(cx: &mut Import, ids: NodeId) -> Result<NodeId> {
    let rank = cx.rank(ids);
    cx.insert_axes(ids, &[rank])
}

/// A value for each segment, in the shape of rows of `rank` axes.
fn per_segment(cx: &mut Import, dtype: DType, values: Vec<Scalar>, rank: usize) -> Result<NodeId> {
    let mut shape = vec![Dim::one(); rank];
    shape[0] = values.len().into();
    let values = cx.constant(Tensor::from_scalars(dtype, [values.len()], values))?;
    cx.reshape(values, &shape)
}

/// The extents of ids, a vector, and of the rows of `data`.
pub(super) fn rows(cx: &mut Import, data: NodeId, ids: NodeId) -> Result<(Dim, Vec<Dim>)> {
    let (shape, of_ids) = (cx.shape(data), cx.shape(ids));
    match (&shape[..], &of_ids[..]) {
        ([_, rest @ ..], [number]) => Ok((number.clone(), rest.to_vec())),
        _ => Err(format!("data of rank {} and segment ids of rank {} do not fit", shape.len(), of_ids.len()).into()),
    }
}

/// Ids never fall; what lies between them is empty: 0, or 1 for products.
fn sorted(cx: &mut Import, fold: Fold) -> Outputs {
    let (data, ids) = (cx.arg(0)?, cx.arg(1)?);
    let (number, rest) = rows(cx, data, ids)?;
    let of_data = cx.shape(data)[0].clone();
    cx.require_equal(&of_data, &number, "the numbers of rows and of segment ids")?;
    let Some(known) = cx.known_ints(ids) else { return sorted_by_data(cx, fold, data, ids, &number) };
    let counts = counts(cx, &known)?;
    let (dtype, rank) = (cx.dtype(data), cx.rank(data));
    let first = |count: i64| match fold {
        Fold::Prod => Scalar::one(dtype),
        Fold::Min if count > 0 => identity(BinaryFn::Min, dtype),
        Fold::Max if count > 0 => identity(BinaryFn::Max, dtype),
        _ => Scalar::zero(dtype),
    };
    let shape = [&[counts.len().into()], &rest[..]].concat();
    let start = per_segment(cx, dtype, counts.iter().map(|&n| first(n)).collect(), rank)?;
    let start = cx.broadcast_to(start, &shape)?;
    let indices = as_indices(cx, ids)?;
    let folded = cx.add(Scatter::checked(fold.combine(), 1), &[start, indices, data])?;
    if fold != Fold::Mean {
        return one(folded);
    }
    let many = |&n: &i64| Scalar::from_i64(dtype, n.max(1));
    if let Some(bad) = counts.iter().find(|n| many(n) == Scalar::zero(dtype)) {
        return Err(format!("a mean of {bad} rows of {dtype}, which has no such number, is not supported").into());
    }
    let many = per_segment(cx, dtype, counts.iter().map(many).collect(), rank)?;
    let many = cx.broadcast_to(many, &shape)?;
    one(cx.div(folded, many)?)
}

/// The number of segments by ids that data give: one more than the last. Ids are -1, a fault, where they fall.
fn segments_of_data(cx: &mut Import, ids: NodeId) -> Result<Dim> {
    let one = cx.scalar(DType::I64, 1.0)?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    let zero = cx.reshape(zero, &[Dim::one()])?;
    let after = cx.add_(ids, one)?;
    let after = cx.concat(&[zero, after], 0)?;
    let number = cx.add(Reduce { f: BinaryFn::Max, axes: vec![0] }, &[after])?;
    cx.size_at(number, 0, "the number of segments", None)
}

fn sorted_by_data(cx: &mut Import, fold: Fold, data: NodeId, ids: NodeId, number: &Dim) -> Outputs {
    let (dtype, rank) = (cx.dtype(data), cx.rank(data));
    let ids = never_falling(cx, ids, number)?;
    let segments = segments_of_data(cx, ids)?;
    let places = as_indices(cx, ids)?;
    let shape = [std::slice::from_ref(&segments), &cx.shape(data)[1..]].concat();
    let fill = |cx: &mut Import, value: Scalar| {
        let value = cx.constant(Tensor::scalar(dtype, value))?;
        cx.broadcast_to(value, &shape)
    };
    let start = match fold {
        Fold::Prod => Scalar::one(dtype),
        Fold::Min => identity(BinaryFn::Min, dtype),
        Fold::Max => identity(BinaryFn::Max, dtype),
        _ => Scalar::zero(dtype),
    };
    let start = fill(cx, start)?;
    let folded = cx.add(Scatter::checked(fold.combine(), 1), &[start, places, data])?;
    let counts = counts_of_rows(cx, places, &segments, number)?;
    let mut column = vec![Dim::one(); rank];
    column[0] = segments;
    match fold {
        Fold::Min | Fold::Max => {
            let zero = cx.scalar(DType::I64, 0.0)?;
            let some = cx.compare(CompareFn::Gt, counts, zero)?;
            let some = cx.reshape(some, &column)?;
            let none = fill(cx, Scalar::zero(dtype))?;
            one(cx.select(some, folded, none)?)
        }
        Fold::Mean => {
            let unit = cx.scalar(DType::I64, 1.0)?;
            let counts = cx.binary(BinaryFn::Max, counts, unit)?;
            let counts = cx.cast(counts, dtype)?;
            let counts = cx.reshape(counts, &column)?;
            one(cx.div(folded, counts)?)
        }
        _ => one(folded),
    }
}

/// Ids of any shape that the data begins with; negative ones count nowhere, and one that is too large is a fault. What is
/// empty has the value that all others win over.
fn unsorted(cx: &mut Import, fold: Fold) -> Outputs {
    let (data, ids) = (cx.arg(0)?, cx.arg(1)?);
    let number = segments(cx, 2)?;
    let (shape, of_ids, dtype) = (cx.shape(data), cx.shape(ids), cx.dtype(data));
    if of_ids.len() > shape.len() {
        return Err(format!("segment ids of rank {} do not fit data of rank {}", of_ids.len(), shape.len()).into());
    }
    for (a, b) in of_ids.iter().zip(&shape) {
        cx.require_equal(a, b, "the extents of segment ids and of data")?;
    }
    let first = match fold {
        Fold::Prod => Scalar::one(dtype),
        // The least finite number, and not an infinity.
        Fold::Max if dtype.is_float() => Scalar::from_f64(dtype, -dtype.greatest()),
        Fold::Min if dtype.is_float() => Scalar::from_f64(dtype, dtype.greatest()),
        Fold::Max => identity(BinaryFn::Max, dtype),
        Fold::Min => identity(BinaryFn::Min, dtype),
        _ => Scalar::zero(dtype),
    };
    let first = cx.constant(Tensor::scalar(dtype, first))?;
    let start = cx.broadcast_to(first, &[&[number], &shape[of_ids.len()..]].concat())?;
    let indices = as_indices(cx, ids)?;
    let scatter = Scatter { f: fold.combine(), depth: 1, below: Outside::Drop, above: Outside::Fault };
    one(cx.add(scatter, &[start, indices, data])?)
}

/// Rows at indices, folded by sorted segments. f16 and bf16 add up in f32.
fn sparse(cx: &mut Import, fold: Fold) -> Outputs {
    let (data, indices, ids) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    let (number, rest) = rows(cx, data, ids)?;
    let [of_indices] = &cx.shape(indices)[..] else {
        return Err(format!("expected a vector of indices, got rank {}", cx.rank(indices)).into());
    };
    cx.require_equal(of_indices, &number, "the numbers of indices and of segment ids")?;
    let (mut ids, mut counted) = (ids, None);
    let segments = if cx.node.op.ends_with("WithNumSegments") {
        ids = never_falling(cx, ids, &number)?;
        segments(cx, 3)?
    } else if let Some(known) = cx.known_ints(ids) {
        let counts = counts(cx, &known)?;
        let segments = counts.len().into();
        counted = Some(counts);
        segments
    } else {
        ids = never_falling(cx, ids, &number)?;
        segments_of_data(cx, ids)?
    };
    let places = as_indices(cx, ids)?;
    let (dtype, rank) = (cx.dtype(data), cx.rank(data));
    let wide = accumulator(dtype);
    let rows = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[data, indices])?;
    let rows = cx.cast(rows, wide)?;
    let zero = cx.scalar(wide, 0.0)?;
    let start = cx.broadcast_to(zero, &[std::slice::from_ref(&segments), &rest[..]].concat())?;
    let sum = cx.add(Scatter::checked(Combine::Add, 1), &[start, places, rows])?;
    if fold == Fold::Sum {
        return one(cx.cast(sum, dtype)?);
    }
    let many = match counted {
        Some(counts) => {
            let counts = counts.iter().map(|&n| Scalar::from_i64(wide, n.max(1))).collect();
            per_segment(cx, wide, counts, rank)?
        }
        None => counted_at_run_time(cx, places, &segments, &number, wide, rank)?,
    };
    let many = if fold == Fold::SqrtN { cx.unary(UnaryFn::Sqrt, many)? } else { many };
    // TensorFlow multiplies by the reciprocal.
    let unit = cx.scalar(wide, 1.0)?;
    let share = cx.div(unit, many)?;
    let scaled = cx.mul(sum, share)?;
    one(cx.cast(scaled, dtype)?)
}

/// Ids that the inputs give, with -1, a fault, in place of one that is less than the one before it.
pub(super) fn never_falling(cx: &mut Import, ids: NodeId, number: &Dim) -> Result<NodeId> {
    let ids = cx.cast(ids, DType::I64)?;
    let (one, zero, bad) = (cx.scalar(DType::I64, 1.0)?, cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, -1.0)?);
    let at = cx.add(Iota { shape: vec![number.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let before = cx.sub(at, one)?;
    let before = cx.binary(BinaryFn::Max, before, zero)?;
    let before = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[ids, before])?;
    let falls = cx.compare(CompareFn::Lt, ids, before)?;
    cx.select(falls, bad, ids)
}

/// The numbers of rows in segments.
fn counts_of_rows(cx: &mut Import, places: NodeId, segments: &Dim, number: &Dim) -> Result<NodeId> {
    let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let start = cx.broadcast_to(zero, std::slice::from_ref(segments))?;
    let units = cx.broadcast_to(unit, std::slice::from_ref(number))?;
    cx.add(Scatter::checked(Combine::Add, 1), &[start, places, units])
}

/// The numbers of rows in segments, 1 at least.
pub(super) fn counted_at_run_time(
    cx: &mut Import,
    places: NodeId,
    segments: &Dim,
    number: &Dim,
    dtype: DType,
    rank: usize,
) -> Result<NodeId> {
    let counts = counts_of_rows(cx, places, segments, number)?;
    let unit = cx.scalar(DType::I64, 1.0)?;
    let counts = cx.binary(BinaryFn::Max, counts, unit)?;
    let counts = cx.cast(counts, dtype)?;
    let mut shape = vec![Dim::one(); rank];
    shape[0] = segments.clone();
    cx.reshape(counts, &shape)
}
