//! What TensorFlow's differentiation writes for rows at indices that are folded by segments (`tf/segment.rs`): the gradient
//! of a segment, over what its fold divides by, goes to each of the rows that were read. Segment ids may come in any order.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    segment::{Fold, as_indices, counted_at_run_time, rows, segments},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, UnaryFn},
    op::{Gather, Scan, Scatter, accumulator},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "SparseSegmentSumGrad", import: |cx| dense(cx, Fold::Sum) },
    TfOp { name: "SparseSegmentMeanGrad", import: |cx| dense(cx, Fold::Mean) },
    TfOp { name: "SparseSegmentSqrtNGrad", import: |cx| dense(cx, Fold::SqrtN) },
    TfOp { name: "SparseSegmentSumGradV2", import: |cx| compact(cx, Fold::Sum) },
    TfOp { name: "SparseSegmentMeanGradV2", import: |cx| compact(cx, Fold::Mean) },
    TfOp { name: "SparseSegmentSqrtNGradV2", import: |cx| compact(cx, Fold::SqrtN) },
];

/// What is added, `[number, rest..]`, in the type that is added in, and the indices of the rows to which it is.
struct Terms {
    rows: NodeId,
    rest: Vec<Dim>,
    /// Indices of a scatter, `[number, 1]`.
    at: NodeId,
    /// The extent of the result's first axis, or what it would be if no row were left out.
    extent: Dim,
}

/// Operands: the gradient `[segments, rest..]`, indices and segment ids of one length, the number of rows that were there.
fn terms(cx: &mut Import, fold: Fold) -> Result<Terms> {
    let (grad, indices, ids) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    let (number, rest) = rows(cx, grad, ids)?;
    let [of_indices] = &cx.shape(indices)[..] else {
        return Err(format!("expected a vector of indices, got rank {}", cx.rank(indices)).into());
    };
    cx.require_equal(of_indices, &number, "the numbers of indices and of segment ids")?;
    let extent = segments(cx, 3)?;
    let (ids, rank, of_segments) = (cx.cast(ids, DType::I64)?, cx.rank(grad), cx.shape(grad)[0].clone());
    let wide = accumulator(cx.dtype(grad));
    let mut share = cx.cast(grad, wide)?;
    if fold != Fold::Sum {
        let places = as_indices(cx, ids)?;
        let many = counted_at_run_time(cx, places, &of_segments, &number, wide, rank)?;
        let many = if fold == Fold::SqrtN { cx.unary(UnaryFn::Sqrt, many)? } else { many };
        let unit = cx.scalar(wide, 1.0)?;
        let scale = cx.div(unit, many)?;
        share = cx.mul(share, scale)?;
    }
    let rows = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[share, ids])?;
    let indices = cx.cast(indices, DType::I64)?;
    Ok(Terms { rows, rest, at: as_indices(cx, indices)?, extent })
}

/// The terms, added up in so many rows, in the type of the operand.
fn added(cx: &mut Import, terms: &Terms, at: NodeId, extent: &Dim) -> Result<NodeId> {
    let zero = cx.scalar_like(terms.rows, 0.0)?;
    let start = cx.broadcast_to(zero, &[std::slice::from_ref(extent), &terms.rest].concat())?;
    let sum = cx.add(Scatter::checked(Combine::Add, 1), &[start, at, terms.rows])?;
    let dtype = cx.dtype(cx.arg(0)?);
    cx.cast(sum, dtype)
}

fn dense(cx: &mut Import, fold: Fold) -> Outputs {
    let terms = terms(cx, fold)?;
    one(added(cx, &terms, terms.at, &terms.extent)?)
}

/// Only the rows that some index names, in order, and their indices.
fn compact(cx: &mut Import, fold: Fold) -> Outputs {
    let terms = terms(cx, fold)?;
    let to = cx.dtype(cx.arg(1)?);
    let number = cx.shape(terms.at)[0].clone();
    let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let none = cx.broadcast_to(zero, std::slice::from_ref(&terms.extent))?;
    let units = cx.broadcast_to(unit, &[number])?;
    let named = cx.add(Scatter::checked(Combine::Max, 1), &[none, terms.at, units])?;
    let before = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false }, &[named])?;
    let mask = cx.compare(crate::loops::CompareFn::Gt, named, none)?;
    let (many, places) = cx.places(mask)?;
    let flat = cx.drop_axes(terms.at, &[1])?;
    // A scatter has checked the indices.
    let at = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[before, flat])?;
    let at = as_indices(cx, at)?;
    let sums = added(cx, &terms, at, &many)?;
    Ok(vec![sums.into(), cx.cast(places, to)?.into()])
}
