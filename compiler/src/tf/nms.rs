//! Boxes without those that overlap better ones.
//!
//! A loop chooses the best score that is left, and takes away what overlaps it too much, or makes it worth less. So ties go
//! to the lower index, and NaN is never chosen. TensorFlow computes scores anew only when their box comes up, which gives
//! the same choice: scores only fall.
//!
//! Scores of several batches and classes are chosen from side by side, in the iterations of one loop.

mod combined;

use std::sync::Arc;

use super::{Import, Outputs, Stop, TfOp, Value};
use crate::{
    base::{Dim, Symbol},
    graph::{Loop, NodeId},
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{ArgReduce, Gather, Iota, Put, Reduce},
    tensor::{DType, Scalar, Tensor, TensorType},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "NonMaxSuppression", import: suppression },
    TfOp { name: "NonMaxSuppressionV2", import: suppression },
    TfOp { name: "NonMaxSuppressionV3", import: suppression },
    TfOp { name: "NonMaxSuppressionV4", import: suppression },
    TfOp { name: "NonMaxSuppressionV5", import: suppression },
    TfOp { name: "NonMaxSuppressionWithOverlaps", import: suppression },
    TfOp { name: "CombinedNonMaxSuppression", import: combined::combined },
];

/// What tells how much two boxes overlap.
enum Overlap {
    /// Least and greatest corners, and areas: each has an element for each box, in a shape that can be broadcast to that of
    /// the scores.
    Boxes([NodeId; 5]),
    /// A matrix, for scores that are a vector.
    Given(NodeId),
}

/// What is the same in each iteration.
struct Limits {
    /// Boxes that overlap more are not both chosen.
    overlap: NodeId,
    /// Scores that are not greater are not chosen.
    score: NodeId,
    /// By which the square of the overlap is multiplied; the exponential of that multiplies scores.
    decay: Option<NodeId>,
}

fn suppression(cx: &mut Import) -> Outputs {
    let op = cx.node.op.clone();
    let (boxes, scores) = (cx.arg(0)?, cx.arg(1)?);
    let dtype = cx.dtype(scores);
    let given = op.ends_with("WithOverlaps");
    let ([n, width], [of_scores]) = (&cx.shape(boxes)[..], &cx.shape(scores)[..]) else {
        return Err(
            format!("boxes of rank {} and scores of rank {} do not fit", cx.rank(boxes), cx.rank(scores)).into()
        );
    };
    cx.require_equal(n, of_scores, "the numbers of boxes and of scores")?;
    cx.require_equal(width, if given { n } else { &FOUR }, "the columns of what tells the overlap")?;
    let version = if given { 3 } else { op.strip_prefix("NonMaxSuppressionV").map_or(1, |v| v.parse().unwrap_or(1)) };
    let overlap = match version {
        1 => {
            cx.constant(Tensor::scalar(dtype, Scalar::from_f64(dtype, cx.node.attr_float("iou_threshold")?.into())))?
        }
        _ => threshold(cx, 3, dtype)?,
    };
    let score = match version {
        1 | 2 => cx.constant(Tensor::scalar(dtype, Scalar::from_f64(dtype, -dtype.greatest())))?,
        _ => threshold(cx, 4, dtype)?,
    };
    let overlap = if given { overlap } else { checked(cx, overlap)? };
    let decay = if version == 5 { decay(cx, dtype)? } else { None };
    let padded = version >= 4 && cx.node.attr_bool("pad_to_max_output_size")?;
    let (most, whole) = most(cx, n, padded)?;
    let limits = Limits { overlap, score, decay };
    let overlap = if given { Overlap::Given(boxes) } else { corners(cx, boxes)? };
    let [indices, chosen, count] = choose(cx, scores, &overlap, &limits, &most)?;
    let (indices, chosen) = match whole {
        Some(whole) => {
            let high = [&whole - &most];
            let (zero, none) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(dtype, 0.0)?);
            (cx.pad(indices, zero, &[Dim::zero()], &high)?, cx.pad(chosen, none, &[Dim::zero()], &high)?)
        }
        None => {
            let name = cx.node.name.clone();
            let k = cx.bind(count, Some(&most), &name, "the number of boxes")?;
            let first = |cx: &mut Import, x: NodeId| cx.slice_axis(x, 0, Dim::zero(), k.clone());
            (first(cx, indices)?, first(cx, chosen)?)
        }
    };
    let indices: Value = cx.cast(indices, DType::I32)?.into();
    let count: Value = cx.cast(count, DType::I32)?.into();
    Ok(match version {
        4 => vec![indices, count],
        5 => vec![indices, chosen.into(), count],
        _ => vec![indices],
    })
}

static FOUR: std::sync::LazyLock<Dim> = std::sync::LazyLock::new(|| Dim::from(4));

fn threshold(cx: &mut Import, n: usize, dtype: DType) -> Result<NodeId> {
    let x = cx.scalar_arg(n, "a threshold")?;
    cx.cast(x, dtype)
}

/// The threshold; one that is not between 0 and 1 is a fault.
fn checked(cx: &mut Import, threshold: NodeId) -> Result<NodeId> {
    if let Some(value) = cx.graph.as_const(threshold).and_then(|t| t.get(0).as_f64()) {
        return match (0.0..=1.0).contains(&value) {
            true => Ok(threshold),
            false => Err(format!("the threshold of the overlap is {value}, and not between 0 and 1").into()),
        };
    }
    let (zero, unit) = (cx.scalar_like(threshold, 0.0)?, cx.scalar_like(threshold, 1.0)?);
    let (above, below) = (cx.compare(CompareFn::Ge, threshold, zero)?, cx.compare(CompareFn::Le, threshold, unit)?);
    let fine = cx.and(above, below)?;
    cx.provided(threshold, fine, "the threshold of the overlap is between 0 and 1")
}

/// -1/2 over the sigma of V5, where that is more than 0.
fn decay(cx: &mut Import, dtype: DType) -> Result<Option<NodeId>> {
    let sigma = threshold(cx, 5, dtype)?;
    if cx.graph.as_const(sigma).and_then(|t| t.get(0).as_f64()) == Some(0.0) {
        return Ok(None);
    }
    if cx.graph.as_const(sigma).is_none() {
        return Err(cx.unknown(sigma, "the sigma"));
    }
    let half = cx.scalar(dtype, -0.5)?;
    Ok(Some(cx.div(half, sigma)?))
}

/// How many boxes are chosen at most, and how many the result has where it is padded.
fn most(cx: &mut Import, n: &Dim, padded: bool) -> Result<(Dim, Option<Dim>)> {
    let what = "the greatest number of boxes";
    cx.scalar_arg(2, what)?;
    if padded {
        let whole = cx.size(2, what, None)?;
        cx.require_at_most(&Dim::zero(), &whole, what)?;
        return Ok((whole.at_most(n), Some(whole)));
    }
    if let Ok(known) = cx.dim(2, what) {
        cx.require_at_most(&Dim::zero(), &known, what)?;
        return Ok((known.at_most(n), None));
    }
    let (given, all) = (cx.arg(2)?, cx.dim_scalar(n, DType::I64)?);
    let given = cx.cast(given, DType::I64)?;
    let given = cx.binary(BinaryFn::Min, given, all)?;
    Ok((cx.size_at(given, 0, what, Some(n))?, None))
}

/// The corners of boxes `[.., 4]`, whichever two of them are given, and their areas, each `[..]`.
fn corners(cx: &mut Import, boxes: NodeId) -> Result<Overlap> {
    let last = cx.rank(boxes) - 1;
    let side = |cx: &mut Import, at: i64| {
        let column = cx.slice_axis(boxes, last, at.into(), Dim::one())?;
        cx.drop_axes(column, &[last])
    };
    let [a, b, c, d] = [side(cx, 0)?, side(cx, 1)?, side(cx, 2)?, side(cx, 3)?];
    let (top, left) = (cx.binary(BinaryFn::Min, a, c)?, cx.binary(BinaryFn::Min, b, d)?);
    let (bottom, right) = (cx.binary(BinaryFn::Max, a, c)?, cx.binary(BinaryFn::Max, b, d)?);
    let (height, width) = (cx.sub(bottom, top)?, cx.sub(right, left)?);
    let area = cx.mul(height, width)?;
    Ok(Overlap::Boxes([top, left, bottom, right, area]))
}

/// Of scores `[.., n]`: the indices of the chosen boxes and their scores, `[.., most]`, with zeros behind those, and how many
/// there are, `[..]`. Each of the leading axes has choices of its own.
fn choose(cx: &mut Import, scores: NodeId, overlap: &Overlap, limits: &Limits, most: &Dim) -> Result<[NodeId; 3]> {
    let dtype = cx.dtype(scores);
    let least = cx.scalar(dtype, f64::NEG_INFINITY)?;
    let counts = cx.compare(CompareFn::Gt, scores, limits.score)?;
    let scores = cx.select(counts, scores, least)?;
    let shape = cx.shape(scores);
    let (n, lanes) = shape.split_last().expect("scores have an axis of boxes");
    let places = [lanes, std::slice::from_ref(most)].concat();
    let (zero, none) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(dtype, 0.0)?);
    let (indices, chosen) = (cx.broadcast_to(zero, &places)?, cx.broadcast_to(none, &places)?);
    let count = cx.broadcast_to(zero, lanes)?;
    if n.is(0) || most.is(0) {
        return Ok([indices, chosen, count]);
    }
    let step = Symbol::new(&format!("step{}", cx.loops));
    cx.loops += 1;
    let carried = [scores, indices, chosen, count];
    let more: Vec<NodeId> = match overlap {
        Overlap::Boxes(sides) => sides.to_vec(),
        Overlap::Given(matrix) => vec![*matrix],
    };
    let fixed = [&[limits.overlap, limits.score][..], &limits.decay.into_iter().collect::<Vec<_>>(), &more].concat();
    let operands = [&carried[..], &fixed].concat();
    let types: Vec<TensorType> = operands.iter().map(|&id| cx.graph.ty(id).clone()).collect();
    let body = cx.region(&types, |cx, inputs| {
        let (carried, fixed) = inputs.split_at(4);
        let soft = limits.decay.is_some();
        let limits = Limits { overlap: fixed[0], score: fixed[1], decay: soft.then(|| fixed[2]) };
        let sides = &fixed[2 + usize::from(soft)..];
        Ok(iteration(cx, carried, sides, &limits, &step)?.to_vec())
    })?;
    let condition = cx.region(&types, |cx, inputs| {
        // As many as iterations: the last one found something.
        let at = cx.dim_scalar(&Dim::from(&step), DType::I64)?;
        let axes: Vec<usize> = (0..lanes.len()).collect();
        let most = match axes.is_empty() {
            true => inputs[3],
            false => {
                let most = cx.add(Reduce { f: BinaryFn::Max, axes: axes.clone() }, &[inputs[3]])?;
                cx.drop_axes(most, &axes)?
            }
        };
        Ok(vec![cx.compare(CompareFn::Eq, most, at)?])
    })?;
    let repeat = Loop { carried: 4, count: Some(most.clone()), condition: Some(condition), step, body };
    let results = cx.graph.control(Arc::new(repeat), &operands)?;
    Ok([results[1], results[2], results[3]])
}

/// One choice.
fn iteration(
    cx: &mut Import,
    carried: &[NodeId],
    sides: &[NodeId],
    limits: &Limits,
    step: &Symbol,
) -> Result<[NodeId; 4]> {
    let &[scores, indices, chosen, count] = carried else { unreachable!("four values are carried") };
    let (dtype, shape) = (cx.dtype(scores), cx.shape(scores));
    let axis = shape.len() - 1;
    let least = cx.scalar(dtype, f64::NEG_INFINITY)?;
    let best = cx.add(ArgReduce { max: true, axis, to: DType::I64 }, &[scores])?;
    let score = cx.add(Gather { axis, batch: axis, checked: false }, &[scores, best])?;
    let some = cx.compare(CompareFn::Gt, score, least)?;
    let (zero, none) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(dtype, 0.0)?);
    let (index, value) = (cx.select(some, best, zero)?, cx.select(some, score, none)?);
    let put = Put { start: [vec![Dim::zero(); axis], vec![Dim::from(step)]].concat() };
    let (indices, chosen) = (cx.add(put.clone(), &[indices, index])?, cx.add(put, &[chosen, value])?);
    let one = cx.cast(some, DType::I64)?;
    let one = cx.drop_axes(one, &[axis])?;
    let count = cx.add_(count, one)?;
    let similar = similarity(cx, sides, best, &shape)?;
    let left = match limits.decay {
        None => {
            let too_much = cx.compare(CompareFn::Gt, similar, limits.overlap)?;
            cx.select(too_much, least, scores)?
        }
        // What overlaps is worth less, however much it does.
        Some(decay) => {
            let exponent = cx.mul(decay, similar)?;
            let exponent = cx.mul(exponent, similar)?;
            let weight = cx.unary(UnaryFn::Exp, exponent)?;
            let weighed = cx.mul(scores, weight)?;
            let counts = cx.compare(CompareFn::Gt, weighed, limits.score)?;
            cx.select(counts, weighed, least)?
        }
    };
    let place = cx.add(Iota { shape, axis, dtype: DType::I64 }, &[])?;
    let is_best = cx.compare(CompareFn::Eq, place, best)?;
    let gone = cx.select(is_best, least, left)?;
    // What is gone already stays so: an infinity would be no number when it is weighed.
    let was = cx.compare(CompareFn::Gt, scores, least)?;
    Ok([cx.select(was, gone, least)?, indices, chosen, count])
}

/// How much each box overlaps one of them, in the shape of the scores: the area that both have over that of the two together;
/// 0 for a box without area.
fn similarity(cx: &mut Import, sides: &[NodeId], best: NodeId, shape: &[Dim]) -> Result<NodeId> {
    if let &[matrix] = sides {
        // Of the pair, the box that is looked at comes first.
        let column = cx.add(Gather { axis: 1, batch: 0, checked: false }, &[matrix, best])?;
        return cx.reshape(column, shape);
    }
    let mut wide = vec![];
    for &side in sides {
        wide.push(cx.broadcast_to(side, shape)?);
    }
    let &[top, left, bottom, right, area] = &wide[..] else { unreachable!("boxes have five sides") };
    let axis = shape.len() - 1;
    let pick = Gather { axis, batch: axis, checked: false };
    let meet = |cx: &mut Import, f: BinaryFn, side: NodeId| {
        let own = cx.add(pick.clone(), &[side, best])?;
        cx.binary(f, side, own)
    };
    let (top, bottom) = (meet(cx, BinaryFn::Max, top)?, meet(cx, BinaryFn::Min, bottom)?);
    let (left, right) = (meet(cx, BinaryFn::Max, left)?, meet(cx, BinaryFn::Min, right)?);
    let zero = cx.scalar_like(area, 0.0)?;
    let (height, width) = (cx.sub(bottom, top)?, cx.sub(right, left)?);
    let (height, width) = (cx.binary(BinaryFn::Max, height, zero)?, cx.binary(BinaryFn::Max, width, zero)?);
    let both = cx.mul(height, width)?;
    let own = cx.add(pick, &[area, best])?;
    let sum = cx.add_(area, own)?;
    let all = cx.sub(sum, both)?;
    let share = cx.div(both, all)?;
    let (flat, own_flat) = (cx.compare(CompareFn::Le, area, zero)?, cx.compare(CompareFn::Le, own, zero)?);
    let flat = cx.or(flat, own_flat)?;
    cx.select(flat, zero, share)
}
