//! What a recogniser of sequences read: the likeliest class of each step, without blanks and, if wished, without repetition.

use super::{Import, Outputs, Stop, TfOp, filter::index_on};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{ArgReduce, Gather, Iota, Reduce, Scan},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[TfOp { name: "CTCGreedyDecoder", import: greedy }];

/// Of `inputs[time, batch, class]` and a length for each of the batch: indices `[k, 2]`, values `[k]` and dense shape `[2]`
/// of the classes that are read, and the sum of the negated maxima, `[batch, 1]`.
fn greedy(cx: &mut Import) -> Outputs {
    let (x, lengths) = (cx.arg(0)?, cx.arg(1)?);
    let shape = cx.shape(x);
    let [steps, batch, classes] = &shape[..] else {
        return Err(format!("expected inputs of rank 3, got rank {}", shape.len()).into());
    };
    let [given] = &cx.shape(lengths)[..] else { return Err("the lengths are no vector".into()) };
    cx.require_equal(given, batch, "the number of lengths and the batch")?;
    for (extent, what) in [(steps, "steps"), (batch, "sequences"), (classes, "classes")] {
        cx.require_at_most(&Dim::one(), extent, &format!("the number of {what}"))?;
    }
    let blank = blank(cx, classes)?;
    let (class, greatest) = likeliest(cx, x)?;
    let lasts = lasts(cx, lengths, steps, batch)?;
    let kept = kept(cx, class, blank, lasts)?;

    let across = [batch.clone(), steps.clone()];
    let kept = cx.transpose(kept, &[1, 0])?;
    let all = steps * batch;
    let mask = cx.reshape(kept, std::slice::from_ref(&all))?;
    let (_, places) = cx.places(mask)?;
    let at_places = |cx: &mut Import, of: NodeId| {
        let flat = cx.reshape(of, std::slice::from_ref(&all))?;
        cx.add(Gather { axis: 0, batch: 0, checked: false }, &[flat, places])
    };
    let ones = cx.cast(kept, DType::I64)?;
    let before = cx.add(Scan { f: BinaryFn::Add, axis: 1, exclusive: true, reverse: false }, &[ones])?;
    let column = at_places(cx, before)?;
    let class = cx.transpose(class, &[1, 0])?;
    let values = at_places(cx, class)?;
    let row = index_on(cx, places, &across, 0)?;
    let columns = [cx.insert_axes(row, &[1])?, cx.insert_axes(column, &[1])?];
    let indices = cx.concat(&columns, 1)?;
    let counts = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1] }, &[ones])?;
    let longest = cx.add(Reduce { f: BinaryFn::Max, axes: vec![0] }, &[counts])?;
    let sizes = [cx.dims_tensor(std::slice::from_ref(batch), DType::I64)?, cx.reshape(longest, &[Dim::one()])?];
    let dense = cx.concat(&sizes, 0)?;

    let zero = cx.scalar_like(greatest, 0.0)?;
    let negated = cx.unary(UnaryFn::Neg, greatest)?;
    let counted = cx.select(lasts, negated, zero)?;
    let sums = cx.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[counted])?;
    let sums = cx.reshape(sums, &[batch.clone(), Dim::one()])?;
    Ok(vec![indices.into(), values.into(), dense.into(), sums.into()])
}

/// The class that stands for nothing; a negative one is counted from the end.
fn blank(cx: &mut Import, classes: &Dim) -> Result<NodeId> {
    let blank = cx.node.attr_int("blank_index")?;
    let blank = if blank < 0 { classes + blank } else { blank.into() };
    cx.require_at_most(&Dim::zero(), &blank, "the class of blanks, counted from the end")?;
    cx.require_at_most(&(&blank + 1), classes, "the class of blanks and the number of classes")?;
    cx.dim_scalar(&blank, DType::I64)
}

/// The class of the greatest number of each step, and that number, both `[time, batch]`. A number that is NaN is passed
/// over, but for the first one: nothing is greater.
fn likeliest(cx: &mut Import, x: NodeId) -> Result<(NodeId, NodeId)> {
    let first = cx.slice_axis(x, 2, Dim::zero(), Dim::one())?;
    let first = cx.drop_axes(first, &[2])?;
    let unordered = cx.compare(CompareFn::Ne, first, first)?;
    let (is_nan, least) = (cx.compare(CompareFn::Ne, x, x)?, cx.scalar_like(x, f64::NEG_INFINITY)?);
    let ordered = cx.select(is_nan, least, x)?;
    let class = cx.add(ArgReduce { max: true, axis: 2, to: DType::I64 }, &[ordered])?;
    let class = cx.drop_axes(class, &[2])?;
    let greatest = cx.add(Reduce { f: BinaryFn::Max, axes: vec![2] }, &[ordered])?;
    let greatest = cx.drop_axes(greatest, &[2])?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    Ok((cx.select(unordered, zero, class)?, cx.select(unordered, first, greatest)?))
}

/// Whether a step is one of its sequence, `[time, batch]`; a sequence longer than the steps is a fault.
fn lasts(cx: &mut Import, lengths: NodeId, steps: &Dim, batch: &Dim) -> Result<NodeId> {
    let (lengths, zero) = (cx.cast(lengths, DType::I64)?, cx.scalar(DType::I64, 0.0)?);
    let lengths = cx.binary(BinaryFn::Max, lengths, zero)?;
    let possible = cx.add(Iota { shape: vec![steps + 1], axis: 0, dtype: DType::I64 }, &[])?;
    let lengths = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[possible, lengths])?;
    let shape = [steps.clone(), batch.clone()];
    let lengths = cx.broadcast_to(lengths, &shape)?;
    let step = cx.add(Iota { shape: shape.to_vec(), axis: 0, dtype: DType::I64 }, &[])?;
    cx.compare(CompareFn::Lt, step, lengths)
}

/// Whether what a step reads is kept, `[time, batch]`.
fn kept(cx: &mut Import, class: NodeId, blank: NodeId, lasts: NodeId) -> Result<NodeId> {
    let read = cx.compare(CompareFn::Ne, class, blank)?;
    let kept = cx.binary(BinaryFn::And, read, lasts)?;
    if !cx.node.attr_bool("merge_repeated")? {
        return Ok(kept);
    }
    let shape = cx.shape(class);
    let earlier = cx.slice_axis(class, 0, Dim::zero(), &shape[0] - 1)?;
    let none = cx.scalar(DType::I64, -1.0)?;
    let none = cx.broadcast_to(none, &[Dim::one(), shape[1].clone()])?;
    let earlier = cx.concat(&[none, earlier], 0)?;
    let differs = cx.compare(CompareFn::Ne, class, earlier)?;
    cx.binary(BinaryFn::And, kept, differs)
}
