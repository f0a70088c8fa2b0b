//! What TensorFlow's differentiation writes for an LSTM that runs over a sequence (`recurrent.rs`).
//!
//! A loop goes through the steps backwards and keeps the gradients of the sums behind the gates; what these make of input,
//! weights and bias are products of whole sequences behind it.

use std::sync::Arc;

use super::{
    cell_gradient::back,
    recurrent::{of_rank, order, state, weights, wide},
};
use crate::{
    base::{Dim, Symbol},
    graph::{Loop, NodeId},
    loops::CompareFn,
    op::{Iota, Put},
    tensor::{DType, TensorType},
    tf::{
        Import, Outputs, Stop, TfOp,
        matrix::{dot, sum},
    },
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] =
    &[TfOp { name: "BlockLSTMGrad", import: block_lstm }, TfOp { name: "BlockLSTMGradV2", import: block_lstm }];

/// Which steps count: how many are gone through, and where data decide which of them count, that: `bool[steps, 1, 1]`.
fn steps_of(cx: &mut Import, steps: &Dim) -> Result<(Dim, Option<NodeId>)> {
    let what = "the greatest length and the steps of the input";
    if let Ok(length) = cx.dim(0, "the greatest length") {
        cx.require_at_most(&Dim::zero(), &length, "the greatest length")?;
        cx.require_at_most(&length, steps, what)?;
        return Ok((length, None));
    }
    let length = cx.scalar_arg(0, "the greatest length")?;
    let length = cx.cast(length, DType::I64)?;
    let (zero, most) = (cx.scalar(DType::I64, 0.0)?, cx.dim_scalar(steps, DType::I64)?);
    let (low, high) = (cx.compare(CompareFn::Ge, length, zero)?, cx.compare(CompareFn::Le, length, most)?);
    let fine = cx.and(low, high)?;
    let length = cx.provided(length, fine, "the greatest length is at most the steps of the input")?;
    let shape = vec![steps.clone(), Dim::one(), Dim::one()];
    let place = cx.add(Iota { shape, axis: 0, dtype: DType::I64 }, &[])?;
    Ok((steps.clone(), Some(cx.compare(CompareFn::Lt, place, length)?)))
}

/// `x`, or zeros where a step does not count.
fn counted(cx: &mut Import, inside: Option<NodeId>, x: NodeId) -> Result<NodeId> {
    let Some(inside) = inside else { return Ok(x) };
    let zero = cx.scalar_like(x, 0.0)?;
    cx.select(inside, x, zero)
}

/// Operands 9 to 17: i, cs, f, o, ci, co and h of the steps that are gone through, and the gradients of cells and output.
fn sequences(cx: &mut Import, extents: &[Dim; 3], until: &Dim) -> Result<[NodeId; 9]> {
    let mut given = [cx.arg(9)?; 9];
    for (n, node) in given.iter_mut().enumerate() {
        let sequence = of_rank(cx, 9 + n, 3, "a sequence of the cells")?;
        for (a, b) in cx.shape(sequence).iter().zip(extents) {
            cx.require_equal(a, b, "the extents of sequences of the cells")?;
        }
        let sequence = cx.reshape(sequence, extents)?;
        let sequence = wide(cx, sequence)?;
        *node = cx.slice_axis(sequence, 0, Dim::zero(), until.clone())?;
    }
    Ok(given)
}

/// What was there before each step, and behind the last one.
fn before_each(cx: &mut Import, first: NodeId, sequence: NodeId) -> Result<NodeId> {
    let first = cx.insert_axes(first, &[0])?;
    cx.concat(&[first, sequence], 0)
}

/// Gradients of the input, of cells and output before, of the weights, of the peepholes' weights, which are zeros without
/// peepholes, and of the bias.
fn block_lstm(cx: &mut Import) -> Outputs {
    let x = of_rank(cx, 1, 3, "the input")?;
    let (dtype, shape) = (cx.dtype(x), cx.shape(x));
    let (steps, batch, inputs) = (shape[0].clone(), shape[1].clone(), shape[2].clone());
    let [before, h_before] = state(cx, 2, &batch)?;
    let cells = cx.shape(before)[1].clone();
    let weights = weights(cx, 4, &inputs, &cells)?;
    let (until, inside) = steps_of(cx, &steps)?;
    let [i, cs, f, o, ci, co, h, d_cs, d_h] = sequences(cx, &[steps.clone(), batch.clone(), cells.clone()], &until)?;
    let (cells_before, h_before) = (before_each(cx, before, cs)?, before_each(cx, h_before, h)?);
    let turned = cx.transpose(weights.output, &[1, 0])?;

    let zero = cx.scalar_like(before, 0.0)?;
    let none = cx.broadcast_to(zero, &[until.clone(), batch.clone(), &cells * 4])?;
    let nothing = cx.broadcast_to(zero, &[batch.clone(), cells.clone()])?;
    let carried = [none, nothing, nothing];
    let mut reads = vec![cells_before, i, f, o, ci, co, d_cs, d_h, turned];
    reads.extend(weights.peepholes.into_iter().flatten());
    reads.extend(inside);
    let [d_sums, d_before, d_h_before] = match until.is(0) {
        true => carried,
        false => run(cx, &carried, &reads, &until, weights.peepholes.is_some())?,
    };

    let flat = cx.reshape(d_sums, &[&until * &batch, &cells * 4])?;
    let of_input = cx.transpose(weights.input, &[1, 0])?;
    let d_x = dot(cx, flat, of_input)?;
    let d_x = cx.reshape(d_x, &[until.clone(), batch, inputs])?;
    let behind = [&steps - &until, Dim::zero(), Dim::zero()];
    let d_x = cx.pad(d_x, zero, &[Dim::zero(), Dim::zero(), Dim::zero()], &behind)?;
    let x = wide(cx, x)?;
    let d_w = of_weights(cx, [x, h_before], flat, &until, inside)?;
    let d_b = sum(cx, flat, vec![0])?;
    let d_b = cx.drop_axes(d_b, &[0])?;
    let mut results = vec![d_x, d_before, d_h_before, d_w];
    if weights.peepholes.is_some() {
        let cells_before = cx.slice_axis(cells_before, 0, Dim::zero(), until)?;
        results.extend(of_peepholes(cx, d_sums, [cells_before, cs], inside)?);
    } else {
        for n in 5..8 {
            let weights = of_rank(cx, n, 1, "a peephole's weights")?;
            results.push(cx.full_like(weights, 0.0)?);
        }
    }
    results.push(d_b);
    results.into_iter().map(|id| Ok(cx.cast(id, dtype)?.into())).collect()
}

/// The gradient of the weights `[inputs + cells, 4 * cells]`, by those of all sums, one row for each step and sequence.
fn of_weights(
    cx: &mut Import,
    operands: [NodeId; 2],
    sums: NodeId,
    until: &Dim,
    inside: Option<NodeId>,
) -> Result<NodeId> {
    let rows = cx.shape(sums)[0].clone();
    let mut parts = vec![];
    for operand in operands {
        let operand = cx.slice_axis(operand, 0, Dim::zero(), until.clone())?;
        let operand = counted(cx, inside, operand)?;
        let width = cx.shape(operand)[2].clone();
        let operand = cx.reshape(operand, &[rows.clone(), width])?;
        let operand = cx.transpose(operand, &[1, 0])?;
        parts.push(dot(cx, operand, sums)?);
    }
    cx.concat(&parts, 0)
}

/// The gradients of the peepholes' weights, for i, f and o, by those of all sums `[steps, batch, 4 * cells]`. The first two see the
/// cells before a step, the last one those behind it.
fn of_peepholes(
    cx: &mut Import,
    sums: NodeId,
    [before, behind]: [NodeId; 2],
    inside: Option<NodeId>,
) -> Result<[NodeId; 3]> {
    let cells = cx.shape(before)[2].clone();
    let [to_i, _, to_f, to_o] = order(cx);
    let mut results = [sums; 3];
    for (result, (at, seen)) in results.iter_mut().zip([(to_i, before), (to_f, before), (to_o, behind)]) {
        let d = cx.slice_axis(sums, 2, &cells * at as i64, cells.clone())?;
        let seen = counted(cx, inside, seen)?;
        let all = cx.mul(d, seen)?;
        let all = sum(cx, all, vec![0, 1])?;
        *result = cx.drop_axes(all, &[0, 1])?;
    }
    Ok(results)
}

/// The loop: the gradients of all steps' sums `[steps, batch, 4 * cells]`, and of cells and output before the first step.
fn run(cx: &mut Import, carried: &[NodeId; 3], reads: &[NodeId], count: &Dim, peepholes: bool) -> Result<[NodeId; 3]> {
    let step = Symbol::new(&format!("step{}", cx.loops));
    cx.loops += 1;
    let operands = [&carried[..], reads].concat();
    let types: Vec<TensorType> = operands.iter().map(|&id| cx.graph.ty(id).clone()).collect();
    let at = count - 1 - Dim::from(&step);
    let order = order(cx);
    let body = cx.region(&types, |cx, inputs| iteration(cx, inputs, &at, order, peepholes))?;
    let repeat = Loop { carried: 3, count: Some(count.clone()), condition: None, step, body };
    let results = cx.graph.control(Arc::new(repeat), &operands)?;
    Ok([results[0], results[1], results[2]])
}

/// One step, the one at `at`.
fn iteration(cx: &mut Import, inputs: &[NodeId], at: &Dim, order: [usize; 4], peepholes: bool) -> Result<Vec<NodeId>> {
    let row = |cx: &mut Import, sequence: NodeId| {
        let row = cx.slice_axis(sequence, 0, at.clone(), Dim::one())?;
        cx.drop_axes(row, &[0])
    };
    let &[d_sums, d_cs, d_h, ..] = inputs else { unreachable!("three values are carried") };
    let mut rows = vec![];
    for &sequence in &inputs[3..11] {
        rows.push(row(cx, sequence)?);
    }
    let &[before, i, f, o, ci, co, more_cs, more_h] = &rows[..] else { unreachable!("eight sequences are read") };
    let rest = &inputs[12..];
    let (seen, inside) = if peepholes { (Some([rest[0], rest[1], rest[2]]), &rest[3..]) } else { (None, rest) };
    let (d_cs, d_h) = (cx.add_(d_cs, more_cs)?, cx.add_(d_h, more_h)?);
    let (gates, mut d_before) = back(cx, [before, i, f, o, ci, co], seen, [d_cs, d_h])?;
    let mut ordered = gates;
    for (gate, to) in gates.into_iter().zip(order) {
        ordered[to] = gate;
    }
    let mut sums = cx.concat(&ordered, 1)?;
    if let Some(&inside) = inside.first() {
        let inside = row(cx, inside)?;
        (sums, d_before) = (counted(cx, Some(inside), sums)?, counted(cx, Some(inside), d_before)?);
    }
    let d_h_before = dot(cx, sums, inputs[11])?;
    let sums = cx.insert_axes(sums, &[0])?;
    let start = vec![at.clone(), Dim::zero(), Dim::zero()];
    Ok(vec![cx.add(Put { start }, &[d_sums, sums])?, d_before, d_h_before])
}
