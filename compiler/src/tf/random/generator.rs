//! Random numbers of a generator, whose state is a variable: int64 `[3]`, the counter, low half first, and the key. What is
//! drawn moves the counter on by 256 blocks for each number. Operators that have a generator to themselves keep its place in
//! such a variable, which the checkpoint does not have.

use super::{
    Drawn, PHILOX, Result, Stream, multinomial, normal, numbers, sample, shuffle, truncated_normal, uniform,
    uniform_full_int, uniform_int,
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::CompareFn,
    tensor::{DType, Scalar, Tensor, count},
    tf::{Import, Outputs, Stop, TfOp, build::one, state::behind},
};

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "RngReadAndSkip", import: read_and_skip },
    TfOp { name: "RngSkip", import: skip },
    TfOp { name: "StatefulUniform", import: |cx| drawn(cx, uniform) },
    TfOp { name: "StatefulUniformInt", import: |cx| drawn(cx, uniform_int) },
    TfOp { name: "StatefulUniformFullInt", import: |cx| drawn(cx, uniform_full_int) },
    TfOp { name: "StatefulStandardNormalV2", import: |cx| drawn(cx, normal) },
    TfOp { name: "StatefulTruncatedNormal", import: |cx| drawn(cx, truncated_normal) },
    TfOp { name: "StatefulRandomBinomial", import: binomial },
    TfOp { name: "RandomUniform", import: |cx| drawn_by_own(cx, uniform) },
    TfOp { name: "RandomUniformInt", import: |cx| drawn_by_own(cx, uniform_int) },
    TfOp { name: "RandomStandardNormal", import: |cx| drawn_by_own(cx, normal) },
    TfOp { name: "TruncatedNormal", import: |cx| drawn_by_own(cx, truncated_normal) },
    TfOp { name: "RandomShuffle", import: shuffled },
    TfOp { name: "Multinomial", import: classes },
    TfOp { name: "NonDeterministicInts", import: any_int },
];

/// Blocks for each number.
const BLOCKS: u64 = 256;

/// Refuses other algorithms than Philox in operand 1, and other states than its own.
fn check(cx: &Import, state: NodeId) -> Result<()> {
    match cx.int(1, "the algorithm")? {
        PHILOX => {}
        2 => return Err("ThreeFry is an algorithm of XLA, which TensorFlow's kernels do not have".into()),
        other => return Err(format!("there is no random algorithm {other}").into()),
    }
    let [parts] = &cx.shape(state)[..] else {
        return Err(format!("the state of a generator is a vector, not of rank {}", cx.rank(state)).into());
    };
    if cx.dtype(state) != DType::I64 || parts.as_int().is_none_or(|parts| parts < 3) {
        return Err(format!("the state of a generator is i64[3], not {}[{parts}]", cx.dtype(state)).into());
    }
    Ok(())
}

/// The stream that a state begins.
pub(super) fn stream(cx: &mut Import, state: NodeId) -> Result<Stream> {
    let state = cx.cast(state, DType::U64)?;
    let counter = cx.slice_axis(state, 0, Dim::zero(), 2.into())?;
    let key = cx.slice_axis(state, 0, 2.into(), Dim::one())?;
    Ok(Stream { key: cx.reshape(key, &[])?, counter })
}

/// The state behind so many numbers, a u64.
pub(super) fn advanced(cx: &mut Import, state: NodeId, many: NodeId) -> Result<NodeId> {
    let each = cx.constant(Tensor::scalar(DType::U64, Scalar::Uint(BLOCKS)))?;
    let blocks = cx.mul(many, each)?;
    behind_blocks(cx, state, blocks)
}

/// The state behind so many blocks, a u64.
fn behind_blocks(cx: &mut Import, state: NodeId, blocks: NodeId) -> Result<NodeId> {
    let parts = cx.shape(state)[0].clone();
    let words = cx.cast(state, DType::U64)?;
    let part = |cx: &mut Import, n: i64| cx.slice_axis(words, 0, n.into(), Dim::one());
    let (low, high) = (part(cx, 0)?, part(cx, 1)?);
    let moved = cx.add_(low, blocks)?;
    let carries = cx.compare(CompareFn::Lt, moved, low)?;
    let carry = cx.cast(carries, DType::U64)?;
    let high = cx.add_(high, carry)?;
    let rest = cx.slice_axis(words, 0, 2.into(), parts - 2)?;
    let all = cx.concat(&[moved, high, rest], 0)?;
    cx.cast(all, DType::I64)
}

/// The number in an operand, a scalar, as a u64.
fn many(cx: &mut Import, n: usize) -> Result<NodeId> {
    let many = cx.scalar_arg(n, "the number of numbers")?;
    cx.cast(many, DType::U64)
}

fn skip(cx: &mut Import) -> Outputs {
    behind(cx, |cx, state| {
        check(cx, state)?;
        let many = many(cx, 2)?;
        advanced(cx, state, many)
    })
}

/// The state before.
fn read_and_skip(cx: &mut Import) -> Outputs {
    let mut before = None;
    behind(cx, |cx, state| {
        check(cx, state)?;
        before = Some(cx.slice_axis(state, 0, Dim::zero(), 3.into())?);
        let many = many(cx, 2)?;
        advanced(cx, state, many)
    })?;
    one(before.ok_or_else(|| Stop::from("the generator has no state"))?)
}

/// Numbers of the shape in operand 2.
fn drawn(cx: &mut Import, draw: Drawn) -> Outputs {
    let mut result = None;
    behind(cx, |cx, state| {
        check(cx, state)?;
        let stream = stream(cx, state)?;
        let numbers = numbers(cx, 2, stream, draw)?;
        let many = count(&cx.shape(numbers));
        result = Some(numbers);
        let many = cx.dim_scalar(&many, DType::U64)?;
        advanced(cx, state, many)
    })?;
    one(result.ok_or_else(|| Stop::from("the generator has no state"))?)
}

fn binomial(cx: &mut Import) -> Outputs {
    let mut result = None;
    behind(cx, |cx, state| {
        check(cx, state)?;
        let stream = stream(cx, state)?;
        let (numbers, many) = sample::stateful_binomial(cx, stream)?;
        result = Some(numbers);
        let many = cx.dim_scalar(&many, DType::U64)?;
        advanced(cx, state, many)
    })?;
    one(result.ok_or_else(|| Stop::from("the generator has no state"))?)
}

/// Numbers of the shape in operand 0, from the node's own generator.
fn drawn_by_own(cx: &mut Import, draw: Drawn) -> Outputs {
    let drawn = cx.move_generator(|cx, state| {
        let stream = stream(cx, state)?;
        let numbers = numbers(cx, 0, stream, draw)?;
        let many = cx.dim_scalar(&count(&cx.shape(numbers)), DType::U64)?;
        Ok((numbers, advanced(cx, state, many)?))
    });
    one(drawn?)
}

/// Integers that follow from no seed of the model.
fn any_int(cx: &mut Import) -> Outputs {
    match cx.attr_dtype("dtype")? {
        DType::I32 | DType::I64 | DType::U32 | DType::U64 => drawn_by_own(cx, uniform_full_int),
        other => Err(format!("{other} has no integers of any bits").into()),
    }
}

/// Rows in another order; each but the last takes a word. One row, or rows without elements, take none.
fn shuffled(cx: &mut Import) -> Outputs {
    let shuffled = cx.move_generator(|cx, state| {
        let stream = stream(cx, state)?;
        let shape = cx.shape(cx.arg(0)?);
        let rows = shape.first().cloned().unwrap_or_else(Dim::one);
        let some = count(&shape).at_least(&Dim::zero()).at_most(&Dim::one());
        let words = (rows - 1).at_least(&Dim::zero()) * some;
        let blocks = cx.dim_scalar(&(words + 3).floor_div(&4.into()), DType::U64)?;
        Ok((shuffle::shuffled(cx, stream)?, behind_blocks(cx, state, blocks)?))
    });
    one(shuffled?)
}

/// Classes by their logits; each row takes two numbers for each sample, by fours.
fn classes(cx: &mut Import) -> Outputs {
    let classes = cx.move_generator(|cx, state| {
        let stream = stream(cx, state)?;
        let classes = multinomial(cx, stream)?;
        let [rows, samples] = &cx.shape(classes)[..] else { unreachable!("rows of samples") };
        let many = rows * ((samples + 3).floor_div(&4.into()) * 8);
        let many = cx.dim_scalar(&many, DType::U64)?;
        Ok((classes, advanced(cx, state, many)?))
    });
    one(classes?)
}
