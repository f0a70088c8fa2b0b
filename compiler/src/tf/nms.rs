//! Boxes without those that overlap better ones.
//!
//! A loop chooses the best score that is left, and takes away what overlaps it too much, or makes it worth less. So ties go
//! to the lower index, and NaN is never chosen. TensorFlow computes scores anew only when their box comes up, which gives
//! the same choice: scores only fall.

use std::sync::Arc;

use super::{Import, Outputs, Stop, TfOp, Value};
use crate::{
    base::{Dim, Symbol},
    graph::{Graph, Loop, NodeId},
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{ArgReduce, Gather, Iota, Put},
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
];

/// What tells how much two boxes overlap: each of these has a row or an element for each box.
enum Overlap {
    /// Least and greatest corners, and areas.
    Boxes([NodeId; 5]),
    /// A matrix.
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
    let [indices, chosen, count] = choose(cx, scores, &overlap, &limits, n, &most)?;
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
    let x = cx.arg(n)?;
    if cx.rank(x) != 0 {
        return Err("a threshold is a scalar".into());
    }
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
    let (first, nowhere) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, -1.0)?);
    let place = cx.select(fine, first, nowhere)?;
    let one = cx.reshape(threshold, &[Dim::one()])?;
    cx.add(Gather { axis: 0, batch: 0, checked: true }, &[one, place])
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

/// The corners of boxes, whichever two of them are given, and their areas.
fn corners(cx: &mut Import, boxes: NodeId) -> Result<Overlap> {
    let n = cx.shape(boxes)[0].clone();
    let side = |cx: &mut Import, at: i64| {
        let column = cx.slice_axis(boxes, 1, at.into(), Dim::one())?;
        cx.reshape(column, std::slice::from_ref(&n))
    };
    let [a, b, c, d] = [side(cx, 0)?, side(cx, 1)?, side(cx, 2)?, side(cx, 3)?];
    let (top, left) = (cx.binary(BinaryFn::Min, a, c)?, cx.binary(BinaryFn::Min, b, d)?);
    let (bottom, right) = (cx.binary(BinaryFn::Max, a, c)?, cx.binary(BinaryFn::Max, b, d)?);
    let (height, width) = (cx.sub(bottom, top)?, cx.sub(right, left)?);
    let area = cx.mul(height, width)?;
    Ok(Overlap::Boxes([top, left, bottom, right, area]))
}

/// The indices of the chosen boxes, their scores, zeros behind those, and how many there are.
fn choose(
    cx: &mut Import,
    scores: NodeId,
    overlap: &Overlap,
    limits: &Limits,
    n: &Dim,
    most: &Dim,
) -> Result<[NodeId; 3]> {
    let dtype = cx.dtype(scores);
    let least = cx.scalar(dtype, f64::NEG_INFINITY)?;
    let counts = cx.compare(CompareFn::Gt, scores, limits.score)?;
    let scores = cx.select(counts, scores, least)?;
    let (zero, none) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(dtype, 0.0)?);
    let indices = cx.broadcast_to(zero, std::slice::from_ref(most))?;
    let chosen = cx.broadcast_to(none, std::slice::from_ref(most))?;
    if n.is(0) || most.is(0) {
        return Ok([indices, chosen, zero]);
    }
    let step = Symbol::new(&format!("step{}", cx.loops));
    cx.loops += 1;
    let carried = [scores, indices, chosen, zero];
    let more: Vec<NodeId> = match overlap {
        Overlap::Boxes(sides) => sides.to_vec(),
        Overlap::Given(matrix) => vec![*matrix],
    };
    let fixed = [&[limits.overlap, limits.score][..], &limits.decay.into_iter().collect::<Vec<_>>(), &more].concat();
    let operands = [&carried[..], &fixed].concat();
    let types: Vec<TensorType> = operands.iter().map(|&id| cx.graph.ty(id).clone()).collect();
    let body = region(cx, &types, |cx, inputs| {
        let (carried, fixed) = inputs.split_at(4);
        let soft = limits.decay.is_some();
        let limits = Limits { overlap: fixed[0], score: fixed[1], decay: soft.then(|| fixed[2]) };
        let sides = &fixed[2 + usize::from(soft)..];
        Ok(iteration(cx, carried, sides, &limits, n, &step)?.to_vec())
    })?;
    let condition = region(cx, &types, |cx, inputs| {
        // As many as iterations: the last one found something.
        let at = cx.dim_scalar(&Dim::from(&step), DType::I64)?;
        Ok(vec![cx.compare(CompareFn::Eq, inputs[3], at)?])
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
    n: &Dim,
    step: &Symbol,
) -> Result<[NodeId; 4]> {
    let &[scores, indices, chosen, count] = carried else { unreachable!("four values are carried") };
    let dtype = cx.dtype(scores);
    let least = cx.scalar(dtype, f64::NEG_INFINITY)?;
    let best = cx.add(ArgReduce { max: true, axis: 0, to: DType::I64 }, &[scores])?;
    let pick = Gather { axis: 0, batch: 0, checked: false };
    let score = cx.add(pick.clone(), &[scores, best])?;
    let some = cx.compare(CompareFn::Gt, score, least)?;
    let (zero, none) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(dtype, 0.0)?);
    let (index, value) = (cx.select(some, best, zero)?, cx.select(some, score, none)?);
    let put = Put { start: vec![Dim::from(step)] };
    let (indices, chosen) = (cx.add(put.clone(), &[indices, index])?, cx.add(put, &[chosen, value])?);
    let one = cx.cast(some, DType::I64)?;
    let one = cx.reshape(one, &[])?;
    let count = cx.add_(count, one)?;
    let similar = similarity(cx, sides, best, n)?;
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
    let place = cx.add(Iota { shape: vec![n.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let is_best = cx.compare(CompareFn::Eq, place, best)?;
    let gone = cx.select(is_best, least, left)?;
    // What is gone already stays so: an infinity would be no number when it is weighed.
    let was = cx.compare(CompareFn::Gt, scores, least)?;
    Ok([cx.select(was, gone, least)?, indices, chosen, count])
}

/// How much each box overlaps one of them: the area that both have over that of the two together; 0 for a box without area.
fn similarity(cx: &mut Import, sides: &[NodeId], best: NodeId, n: &Dim) -> Result<NodeId> {
    let pick = Gather { axis: 0, batch: 0, checked: false };
    let &[top, left, bottom, right, area] = sides else {
        // Of the pair, the box that is looked at comes first.
        let column = cx.add(Gather { axis: 1, ..pick }, &[sides[0], best])?;
        return cx.reshape(column, std::slice::from_ref(n));
    };
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

/// A graph of inputs of these types, made by rows.
fn region(
    cx: &mut Import,
    types: &[TensorType],
    body: impl FnOnce(&mut Import, &[NodeId]) -> Result<Vec<NodeId>>,
) -> Result<Graph> {
    let facts = cx.graph.facts().clone();
    let outer = std::mem::replace(&mut cx.graph, Graph::with_facts(facts));
    let (bounds, fed_by) = (std::mem::take(&mut cx.bounds), std::mem::take(&mut cx.fed_by));
    cx.graph.set_origin(Some(cx.shown(&cx.node.name).into()));
    let inputs: Vec<NodeId> =
        types.iter().enumerate().map(|(n, ty)| cx.graph.input(format!("x{n}"), ty.clone())).collect();
    let outputs = body(cx, &inputs);
    let mut graph = std::mem::replace(&mut cx.graph, outer);
    (cx.bounds, cx.fed_by) = (bounds, fed_by);
    for (n, id) in outputs?.into_iter().enumerate() {
        graph.output(format!("y{n}"), id);
    }
    Ok(graph)
}
