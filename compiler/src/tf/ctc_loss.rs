//! How unlikely labels are for what a recogniser of sequences gives: the loss of connectionist temporal classification, and its
//! gradient by the logits, which TensorFlow computes at once.
//!
//! Between labels, before the first and behind the last one there may be blanks: states `u` from 0 to `2 * labels`, of which
//! the odd ones are labels. A path begins in one of the first two states of its sequence, ends in one of the last two, and at
//! each step stays, goes one state on, or skips a blank between labels. One loop adds up the paths that lead to a state, in
//! logarithms; another one goes backwards and adds up those that lead on from it. Graves, "Supervised Sequence Labelling with
//! Recurrent Neural Networks", section 7.3, has the formulas.

use std::sync::Arc;

use super::{Import, Outputs, Stop, TfOp, nn::less_maximum};
use crate::{
    base::{Dim, Symbol},
    graph::{Loop, NodeId},
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Gather, Iota, Outside, Put, Reduce, Scan, Scatter},
    tensor::{DType, TensorType, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[TfOp { name: "CTCLoss", import: loss }];

/// A scatter that passes over what lies outside.
fn dropping(f: Combine, depth: usize) -> Scatter {
    Scatter { f, depth, below: Outside::Drop, above: Outside::Drop }
}

/// Labels and lengths of a batch.
struct Labels {
    /// The classes of the states, `i64[batch, states]`; behind those of a sequence come blanks.
    states: NodeId,
    /// How many states a sequence has, `i64[batch]`.
    count: NodeId,
    /// How many steps of a sequence count, `i64[batch]`: none where it has no path by its length.
    lengths: NodeId,
    /// The number of the blank.
    blank: NodeId,
}

/// Of `inputs[time, batch, class]`, the labels' `indices[n, 2]` and values, and a length for each of the batch: losses
/// `[batch]` and their gradients `[time, batch, class]`. The last class is the blank.
fn loss(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let [steps, batch, classes] = &cx.shape(x)[..] else {
        return Err(format!("expected inputs of rank 3, got rank {}", cx.rank(x)).into());
    };
    for (extent, what) in [(steps, "steps"), (batch, "sequences"), (classes, "classes")] {
        cx.require_at_most(&Dim::one(), extent, &format!("the number of {what}"))?;
    }
    let labels = labels(cx, steps, batch, classes)?;
    let merged = cx.node.attr_bool("ctc_merge_repeated")?;
    let shifted = less_maximum(cx, x)?;
    let exp = cx.unary(UnaryFn::Exp, shifted)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![2] }, &[exp])?;
    let y = cx.div(exp, sum)?;
    let log = cx.unary(UnaryFn::Log, y)?;

    let log = of_states(cx, log, labels.states)?;
    let masks = masks(cx, &labels, merged)?;
    let (alphas, last) = forwards(cx, log, &labels, &masks, steps)?;
    let none = cx.scalar_like(x, f64::NEG_INFINITY)?;
    let ends = cx.select(masks.ends, last, none)?;
    let all = log_of_sum(cx, ends, 1)?;
    let (zero, nothing) = (cx.scalar_like(x, 0.0)?, cx.scalar(DType::I64, 0.0)?);
    let counts = cx.compare(CompareFn::Gt, labels.lengths, nothing)?;
    let negated = cx.unary(UnaryFn::Neg, all)?;
    let loss = cx.select(counts, negated, zero)?;
    let gradient = backwards(cx, [y, log, alphas, all], &labels, &masks, steps)?;
    if !cx.differentiable {
        return Ok(vec![loss.into(), gradient.into()]);
    }
    // The gradient is the one that is computed: what is added is nothing, and has it.
    let (loss, factor) = (cx.held(loss)?, cx.held(gradient)?);
    let same = cx.held(x)?;
    let nothing = cx.sub(x, same)?;
    let slope = cx.mul(nothing, factor)?;
    let slope = cx.add(Reduce { f: BinaryFn::Add, axes: vec![0, 2] }, &[slope])?;
    let slope = cx.drop_axes(slope, &[0, 2])?;
    Ok(vec![cx.add_(loss, slope)?.into(), gradient.into()])
}

/// Sparse labels as they are given.
struct Given {
    /// Their number, and the batch.
    n: Dim,
    batch: Dim,
    /// The sequence and the class of each label, and the class of the one before: `i64[n]`.
    row: NodeId,
    class: NodeId,
    class_before: NodeId,
    /// Whether a label is the first one of its sequence, `bool[n]`.
    begins: NodeId,
    blank: NodeId,
}

/// Operands 1 and 2, and whether they are in order, all within their bounds, and what is no label behind those that are.
fn given(cx: &mut Import, batch: &Dim, classes: &Dim) -> Result<(Given, NodeId)> {
    let (indices, values) = (cx.arg(1)?, cx.arg(2)?);
    let ([n, two], [m]) = (&cx.shape(indices)[..], &cx.shape(values)[..]) else {
        let ranks = [indices, values].map(|id| cx.rank(id));
        return Err(format!("expected a matrix of indices and a vector of labels, got ranks {ranks:?}").into());
    };
    cx.require_equal(two, &Dim::from(2), "the number of indices of a label")?;
    cx.require_equal(m, n, "the numbers of labels and of their indices")?;
    cx.require_at_most(&Dim::one(), n, "the number of labels")?;
    let class = cx.cast(values, DType::I64)?;
    let column = |cx: &mut Import, at: i64| {
        let column = cx.slice_axis(indices, 1, at.into(), Dim::one())?;
        cx.reshape(column, std::slice::from_ref(n))
    };
    let (row, place) = (column(cx, 0)?, column(cx, 1)?);
    let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let (rows, blank) = (cx.dim_scalar(batch, DType::I64)?, cx.dim_scalar(&(classes - 1), DType::I64)?);
    let number = cx.add(Iota { shape: vec![n.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let before = cx.sub(number, unit)?;
    let before = cx.binary(BinaryFn::Max, before, zero)?;
    let [row_before, place_before, class_before] = [row, place, class].map(|of| picked(cx, of, before));
    let (row_before, place_before, class_before) = (row_before?, place_before?, class_before?);

    let is_first = cx.compare(CompareFn::Eq, number, zero)?;
    let later_row = cx.compare(CompareFn::Gt, row, row_before)?;
    let begins = cx.or(is_first, later_row)?;
    let same_row = cx.compare(CompareFn::Eq, row, row_before)?;
    let later = cx.compare(CompareFn::Gt, place, place_before)?;
    let follows = cx.and(same_row, later)?;
    let mut fine = cx.or(begins, follows)?;
    for (f, a, b) in [
        (CompareFn::Ge, row, zero),
        (CompareFn::Lt, row, rows),
        (CompareFn::Ge, place, zero),
        (CompareFn::Ge, class, zero),
    ] {
        let holds = cx.compare(f, a, b)?;
        fine = cx.and(fine, holds)?;
    }
    let is_null = cx.compare(CompareFn::Ge, class, blank)?;
    let was_label = cx.compare(CompareFn::Lt, class_before, blank)?;
    let in_order = cx.or(is_null, was_label)?;
    let in_order = cx.or(in_order, begins)?;
    fine = cx.and(fine, in_order)?;
    let fine = all(cx, fine)?;
    Ok((Given { n: n.clone(), batch: batch.clone(), row, class, class_before, begins, blank }, fine))
}

/// The elements of a vector at indices that are known to lie in it.
fn picked(cx: &mut Import, of: NodeId, at: NodeId) -> Result<NodeId> {
    cx.add(Gather { axis: 0, batch: 0, checked: false }, &[of, at])
}

impl Given {
    /// Whether a label counts, `bool[n]`: the last class does not, nor where they are collapsed, one like the one before.
    fn kept(&self, cx: &mut Import) -> Result<NodeId> {
        let kept = cx.compare(CompareFn::Lt, self.class, self.blank)?;
        if !cx.node.attr_bool("preprocess_collapse_repeated")? {
            return Ok(kept);
        }
        let differs = cx.compare(CompareFn::Ne, self.class, self.class_before)?;
        let differs = cx.or(differs, self.begins)?;
        cx.and(kept, differs)
    }
    /// The sums of numbers of labels for each sequence, `i64[batch]`.
    fn per_row(&self, cx: &mut Import, of: NodeId) -> Result<NodeId> {
        let zero = cx.scalar(DType::I64, 0.0)?;
        let none = cx.broadcast_to(zero, std::slice::from_ref(&self.batch))?;
        let to = cx.insert_axes(self.row, &[1])?;
        cx.add(dropping(Combine::Add, 1), &[none, to, of])
    }
    /// The classes of the states `i64[batch, 2 * longest + 1]`, given for each label whether it counts, and how many do so in
    /// each sequence.
    fn states(&self, cx: &mut Import, kept: NodeId, count: NodeId, longest: &Dim) -> Result<NodeId> {
        let exclusive = Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false };
        let ones = cx.cast(kept, DType::I64)?;
        let (all_before, rows_before) = (cx.add(exclusive.clone(), &[ones])?, cx.add(exclusive, &[count])?);
        let first = picked(cx, rows_before, self.row)?;
        let to = cx.sub(all_before, first)?;
        let nowhere = cx.scalar(DType::I64, -1.0)?;
        let to = cx.select(kept, to, nowhere)?;
        let at = [cx.insert_axes(self.row, &[1])?, cx.insert_axes(to, &[1])?];
        let at = cx.concat(&at, 1)?;
        let blanks = cx.broadcast_to(self.blank, &[self.batch.clone(), longest.clone()])?;
        let dense = cx.add(dropping(Combine::Set, 2), &[blanks, at, self.class])?;
        let pairs = [cx.insert_axes(blanks, &[2])?, cx.insert_axes(dense, &[2])?];
        let pairs = cx.concat(&pairs, 2)?;
        let pairs = cx.reshape(pairs, &[self.batch.clone(), longest * 2])?;
        let last = cx.broadcast_to(self.blank, &[self.batch.clone(), Dim::one()])?;
        cx.concat(&[pairs, last], 1)
    }
}

/// Reads the sparse labels; those that TensorFlow refuses are a fault.
fn labels(cx: &mut Import, steps: &Dim, batch: &Dim, classes: &Dim) -> Result<Labels> {
    let (given, in_order) = given(cx, batch, classes)?;
    let lengths = cx.arg(3)?;
    let [number] = &cx.shape(lengths)[..] else { return Err("the lengths are no vector".into()) };
    cx.require_equal(number, batch, "the number of lengths and the batch")?;
    let lengths = cx.cast(lengths, DType::I64)?;
    let (zero, unit, most) =
        (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?, cx.dim_scalar(steps, DType::I64)?);
    let kept = given.kept(cx)?;
    let (ones, kept_ones) = (cx.broadcast_to(unit, std::slice::from_ref(&given.n))?, cx.cast(kept, DType::I64)?);
    let (all, count) = (given.per_row(cx, ones)?, given.per_row(cx, kept_ones)?);
    let fit = lengths_fit(cx, lengths, most, all)?;
    let fine = cx.and(in_order, fit)?;
    let lengths = cx.provided(lengths, fine, "the labels are in order and fit the lengths")?;
    let fits = cx.compare(CompareFn::Le, all, lengths)?;
    let lengths = cx.select(fits, lengths, zero)?;

    let used = cx.select(fits, count, zero)?;
    let longest = cx.add(Reduce { f: BinaryFn::Max, axes: vec![0] }, &[used])?;
    let longest = cx.reshape(longest, &[])?;
    let longest = cx.binary(BinaryFn::Min, longest, most)?;
    let name = cx.node.name.clone();
    let longest = cx.bind(longest, Some(steps), &name, "the greatest number of labels")?;
    let states = given.states(cx, kept, count, &longest)?;
    let count = cx.add_(count, count)?;
    Ok(Labels { states, count: cx.add_(count, unit)?, lengths, blank: given.blank })
}

/// Whether all elements of a vector of bools hold.
fn all(cx: &mut Import, holds: NodeId) -> Result<NodeId> {
    let all = cx.add(Reduce { f: BinaryFn::And, axes: vec![0] }, &[holds])?;
    cx.reshape(all, &[])
}

/// Whether each length is one of steps, each sequence has labels, and not more than its length where these are not ignored.
fn lengths_fit(cx: &mut Import, lengths: NodeId, steps: NodeId, given: NodeId) -> Result<NodeId> {
    let zero = cx.scalar(DType::I64, 0.0)?;
    let (low, high) = (cx.compare(CompareFn::Ge, lengths, zero)?, cx.compare(CompareFn::Le, lengths, steps)?);
    let some = cx.compare(CompareFn::Gt, given, zero)?;
    let mut fine = cx.and(low, high)?;
    fine = cx.and(fine, some)?;
    if !cx.node.attr_bool("ignore_longer_outputs_than_inputs")? {
        let fits = cx.compare(CompareFn::Le, given, lengths)?;
        fine = cx.and(fine, fits)?;
    }
    all(cx, fine)
}

/// What of the states is the same at each step, `bool[batch, states]`.
struct Masks {
    /// Whether a path may stay, where it may not everywhere.
    stay: Option<NodeId>,
    /// Whether a path may come from two states before, and go on by two.
    skip: [NodeId; 2],
    /// Whether a path may end here.
    ends: NodeId,
}

fn masks(cx: &mut Import, labels: &Labels, merged: bool) -> Result<Masks> {
    let states = labels.states;
    let is_blank = cx.compare(CompareFn::Eq, states, labels.blank)?;
    let mut skip = cx.unary(UnaryFn::Not, is_blank)?;
    if merged {
        let none = cx.scalar(DType::I64, -1.0)?;
        let earlier = padded(cx, states, none, true)?;
        let [_, _, earlier] = around(cx, earlier, true)?;
        let differs = cx.compare(CompareFn::Ne, states, earlier)?;
        skip = cx.and(skip, differs)?;
    }
    let no = cx.scalar(DType::Bool, 0.0)?;
    let onwards = padded(cx, skip, no, false)?;
    let [_, _, onwards] = around(cx, onwards, false)?;
    let shape = cx.shape(states);
    let place = cx.add(Iota { shape: vec![Dim::one(), shape[1].clone()], axis: 1, dtype: DType::I64 }, &[])?;
    let count = cx.insert_axes(labels.count, &[1])?;
    let two = cx.scalar(DType::I64, 2.0)?;
    let from = cx.sub(count, two)?;
    let (low, high) = (cx.compare(CompareFn::Ge, place, from)?, cx.compare(CompareFn::Lt, place, count)?);
    Ok(Masks { stay: (!merged).then_some(is_blank), skip: [skip, onwards], ends: cx.and(low, high)? })
}

/// `x[batch, states]` with two columns more, before the states or behind them, where there is none: what lies one and two states
/// away is read without asking whether it is there.
fn padded(cx: &mut Import, x: NodeId, none: NodeId, before: bool) -> Result<NodeId> {
    let (here, there) = ([Dim::zero(), Dim::from(2)], [Dim::zero(), Dim::zero()]);
    let (low, high) = if before { (here, there) } else { (there, here) };
    cx.pad(x, none, &low, &high)
}

/// The states themselves of a padded tensor, and what lies one and two states before or behind each.
fn around(cx: &mut Import, padded: NodeId, before: bool) -> Result<[NodeId; 3]> {
    let states = &cx.shape(padded)[1] - 2;
    let from = |cx: &mut Import, start: i64| cx.slice_axis(padded, 1, start.into(), states.clone());
    let [first, middle, last] = [from(cx, 0)?, from(cx, 1)?, from(cx, 2)?];
    Ok(if before { [last, middle, first] } else { [first, middle, last] })
}

/// The logarithm of the sum of what the elements along an axis, which goes, are the logarithms of.
fn log_of_sum(cx: &mut Import, x: NodeId, axis: usize) -> Result<NodeId> {
    let none = cx.scalar_like(x, f64::NEG_INFINITY)?;
    let zero = cx.scalar_like(x, 0.0)?;
    let most = cx.add(Reduce { f: BinaryFn::Max, axes: vec![axis] }, &[x])?;
    let empty = cx.compare(CompareFn::Eq, most, none)?;
    let most = cx.select(empty, zero, most)?;
    let less = cx.sub(x, most)?;
    let exp = cx.unary(UnaryFn::Exp, less)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![axis] }, &[exp])?;
    let log = cx.unary(UnaryFn::Log, sum)?;
    let whole = cx.add_(most, log)?;
    cx.drop_axes(whole, &[axis])
}

/// The same of three tensors, element by element.
fn log_of_three(cx: &mut Import, parts: [NodeId; 3]) -> Result<NodeId> {
    let none = cx.scalar_like(parts[0], f64::NEG_INFINITY)?;
    let zero = cx.scalar_like(parts[0], 0.0)?;
    let most = cx.binary(BinaryFn::Max, parts[0], parts[1])?;
    let most = cx.binary(BinaryFn::Max, most, parts[2])?;
    let empty = cx.compare(CompareFn::Eq, most, none)?;
    let most = cx.select(empty, zero, most)?;
    let mut sum = zero;
    for part in parts {
        let less = cx.sub(part, most)?;
        let exp = cx.unary(UnaryFn::Exp, less)?;
        sum = cx.add_(sum, exp)?;
    }
    let log = cx.unary(UnaryFn::Log, sum)?;
    cx.add_(most, log)
}

/// What a path adds up that stays or goes one state on, or two where it may.
fn moved(cx: &mut Import, [here, one, two]: [NodeId; 3], stay: Option<NodeId>, skip: NodeId) -> Result<NodeId> {
    let none = cx.scalar_like(here, f64::NEG_INFINITY)?;
    let here = match stay {
        Some(stay) => cx.select(stay, here, none)?,
        None => here,
    };
    let two = cx.select(skip, two, none)?;
    log_of_three(cx, [here, one, two])
}

/// The logarithms of the states' classes at all steps, `[time, batch, states]`.
fn of_states(cx: &mut Import, log: NodeId, states: NodeId) -> Result<NodeId> {
    let shape = [&cx.shape(log)[..1], &cx.shape(states)].concat();
    let states = cx.broadcast_to(states, &shape)?;
    cx.add(Gather { axis: 2, batch: 2, checked: false }, &[log, states])
}

/// One step of a sequence, `[batch, states]`.
fn row(cx: &mut Import, sequence: NodeId, at: &Dim) -> Result<NodeId> {
    let row = cx.slice_axis(sequence, 0, at.clone(), Dim::one())?;
    cx.drop_axes(row, &[0])
}

fn put(cx: &mut Import, sequence: NodeId, row: NodeId, at: &Dim) -> Result<NodeId> {
    let row = cx.insert_axes(row, &[0])?;
    cx.add(Put { start: vec![at.clone(), Dim::zero(), Dim::zero()] }, &[sequence, row])
}

/// Whether a step is before the end of each sequence, or the last one of it: `bool[batch, 1]`.
fn at_length(cx: &mut Import, f: CompareFn, lengths: NodeId, at: &Dim) -> Result<NodeId> {
    let at = cx.dim_scalar(at, DType::I64)?;
    let holds = cx.compare(f, at, lengths)?;
    cx.insert_axes(holds, &[1])
}

/// Runs a loop of so many iterations over carried values; what else the body reads follows them.
fn run(
    cx: &mut Import,
    count: Dim,
    carried: &[NodeId],
    reads: &[NodeId],
    body: impl FnOnce(&mut Import, &[NodeId], &Dim) -> Result<Vec<NodeId>>,
) -> Result<Vec<NodeId>> {
    if count.is(0) {
        return Ok(carried.to_vec());
    }
    let step = Symbol::new(&format!("step{}", cx.loops));
    cx.loops += 1;
    let operands = [carried, reads].concat();
    let types: Vec<TensorType> = operands.iter().map(|&id| cx.graph.ty(id).clone()).collect();
    let at = Dim::from(&step);
    let body = cx.region(&types, |cx, inputs| body(cx, inputs, &at))?;
    let repeat = Loop { carried: carried.len(), count: Some(count), condition: None, step, body };
    Ok(cx.graph.control(Arc::new(repeat), &operands)?)
}

/// The logarithms of the sums of paths from the first step to each one, `[time, batch, states]`, and those of the last step of
/// each sequence, `[batch, states]`.
fn forwards(cx: &mut Import, log: NodeId, labels: &Labels, masks: &Masks, steps: &Dim) -> Result<(NodeId, NodeId)> {
    let shape = cx.shape(labels.states);
    let none = cx.scalar_like(log, f64::NEG_INFINITY)?;
    let first = row(cx, log, &Dim::zero())?;
    let place = cx.add(Iota { shape: vec![Dim::one(), shape[1].clone()], axis: 1, dtype: DType::I64 }, &[])?;
    let two = cx.scalar(DType::I64, 2.0)?;
    let begins = cx.compare(CompareFn::Lt, place, two)?;
    let first = cx.select(begins, first, none)?;
    let sequence = cx.broadcast_to(none, &[&[steps.clone()][..], &shape].concat())?;
    let sequence = put(cx, sequence, first, &Dim::zero())?;
    let first = padded(cx, first, none, true)?;
    let mut reads = vec![log, labels.lengths, masks.skip[0]];
    reads.extend(masks.stay);
    let results = run(cx, steps - 1, &[sequence, first], &reads, |cx, inputs, step| {
        let &[sequence, alphas, log, lengths, skip, ref stay @ ..] = inputs else {
            unreachable!("five values are read")
        };
        let at = step + 1;
        let old = around(cx, alphas, true)?;
        let paths = moved(cx, old, stay.first().copied(), skip)?;
        let here = row(cx, log, &at)?;
        let new = cx.add_(paths, here)?;
        let counts = at_length(cx, CompareFn::Lt, lengths, &at)?;
        let alpha = cx.select(counts, new, old[0])?;
        let none = cx.scalar_like(alpha, f64::NEG_INFINITY)?;
        Ok(vec![put(cx, sequence, alpha, &at)?, padded(cx, alpha, none, true)?])
    })?;
    let [last, ..] = around(cx, results[1], true)?;
    Ok((results[0], last))
}

/// The gradient: of each class its likelihood less the share of paths that go through it. Without any path it is the
/// likelihood. Given are the likelihoods `[time, batch, class]`, the logarithms of the states' classes, the paths to each state,
/// and the logarithm of the sum of all paths, `[batch]`.
fn backwards(
    cx: &mut Import,
    [y, log, alphas, all]: [NodeId; 4],
    labels: &Labels,
    masks: &Masks,
    steps: &Dim,
) -> Result<NodeId> {
    let shape = cx.shape(labels.states);
    let (none, zero) = (cx.scalar_like(y, f64::NEG_INFINITY)?, cx.scalar_like(y, 0.0)?);
    let impossible = cx.compare(CompareFn::Eq, all, none)?;
    let all = cx.select(impossible, zero, all)?;
    let all = cx.insert_axes(all, &[1])?;
    let end = cx.select(masks.ends, zero, none)?;
    let ahead = cx.broadcast_to(none, &[shape[0].clone(), &shape[1] + 2])?;
    let sequence = cx.full_like(alphas, 0.0)?;
    let mut reads = vec![log, alphas, all, end, labels.lengths, masks.skip[1]];
    reads.extend(masks.stay);
    let results = run(cx, steps.clone(), &[sequence, ahead], &reads, |cx, inputs, step| {
        let &[sequence, ahead, log, alphas, all, end, lengths, skip, ref stay @ ..] = inputs else {
            unreachable!("eight values are read")
        };
        let at = steps - 1 - step;
        let onwards = around(cx, ahead, false)?;
        let onwards = moved(cx, onwards, stay.first().copied(), skip)?;
        let is_last = at_length(cx, CompareFn::Eq, lengths, &(&at + 1))?;
        let beta = cx.select(is_last, end, onwards)?;
        let alpha = row(cx, alphas, &at)?;
        let through = cx.add_(alpha, beta)?;
        let share = cx.sub(through, all)?;
        let share = cx.unary(UnaryFn::Exp, share)?;
        let here = row(cx, log, &at)?;
        let ahead = cx.add_(beta, here)?;
        let none = cx.scalar_like(ahead, f64::NEG_INFINITY)?;
        Ok(vec![put(cx, sequence, share, &at)?, padded(cx, ahead, none, false)?])
    })?;
    less_shares(cx, y, results[0], labels)
}

/// Likelihoods of classes less the shares of the states that stand for them, and 0 behind the end of each sequence.
fn less_shares(cx: &mut Import, y: NodeId, shares: NodeId, labels: &Labels) -> Result<NodeId> {
    let (shape, of_shares) = (cx.shape(y), cx.shape(shares));
    let row = cx.add(Iota { shape: of_shares.clone(), axis: 0, dtype: DType::I64 }, &[])?;
    let (batch, classes) = (cx.dim_scalar(&shape[1], DType::I64)?, cx.dim_scalar(&shape[2], DType::I64)?);
    let row = cx.mul(row, batch)?;
    let column = cx.add(Iota { shape: of_shares, axis: 1, dtype: DType::I64 }, &[])?;
    let row = cx.add_(row, column)?;
    let row = cx.mul(row, classes)?;
    let at = cx.add_(row, labels.states)?;
    let at = cx.insert_axes(at, &[3])?;
    let flat = cx.reshape(y, &[count(&shape)])?;
    let gradient = cx.add(dropping(Combine::Sub, 1), &[flat, at, shares])?;
    let gradient = cx.reshape(gradient, &shape)?;
    let step = cx.add(Iota { shape: shape[..2].to_vec(), axis: 0, dtype: DType::I64 }, &[])?;
    let counts = cx.compare(CompareFn::Lt, step, labels.lengths)?;
    let counts = cx.insert_axes(counts, &[2])?;
    let zero = cx.scalar_like(y, 0.0)?;
    cx.select(counts, gradient, zero)
}
