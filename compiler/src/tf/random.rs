//! Random numbers that follow from a seed, with the bits of TensorFlow's kernels for processors.
//!
//! A key and a counter name a stream of words (`op::Philox`). Kernels turn words into numbers in groups, in the order of the
//! stream: a word makes one f32, f16, bf16 or 32-bit integer, two words make one f64 or 64-bit integer, and two numbers that
//! are uniform make two that are normal.

pub(super) mod generator;
pub(super) mod sample;
mod shuffle;

use std::{f64::consts::PI, slice::from_ref};

use super::{Import, Outputs, Stop, TfOp, build::one, convert::unsigned};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Bitcast, Philox, Reduce, Scan, TruncatedNormal},
    tensor::{DType, Scalar, Tensor, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "StatelessRandomGetKeyCounter", import: |cx| Stream::of_seed(cx, 0)?.outputs(cx) },
    TfOp { name: "StatelessRandomGetKeyCounterAlg", import: key_counter_algorithm },
    TfOp { name: "StatelessRandomGetAlg", import: |cx| one(algorithm(cx)?) },
    TfOp { name: "StatelessRandomUniform", import: |cx| drawn(cx, Stream::of_seed, uniform) },
    TfOp { name: "StatelessRandomUniformV2", import: |cx| drawn(cx, Stream::given, uniform) },
    TfOp { name: "StatelessRandomUniformInt", import: |cx| drawn(cx, Stream::of_seed, uniform_int) },
    TfOp { name: "StatelessRandomUniformIntV2", import: |cx| drawn(cx, Stream::given, uniform_int) },
    TfOp { name: "StatelessRandomUniformFullInt", import: |cx| drawn(cx, Stream::of_seed, uniform_full_int) },
    TfOp { name: "StatelessRandomUniformFullIntV2", import: |cx| drawn(cx, Stream::given, uniform_full_int) },
    TfOp { name: "StatelessRandomNormal", import: |cx| drawn(cx, Stream::of_seed, normal) },
    TfOp { name: "StatelessRandomNormalV2", import: |cx| drawn(cx, Stream::given, normal) },
    TfOp { name: "StatelessTruncatedNormal", import: |cx| drawn(cx, Stream::of_seed, truncated_normal) },
    TfOp { name: "StatelessTruncatedNormalV2", import: |cx| drawn(cx, Stream::given, truncated_normal) },
    TfOp { name: "StatelessMultinomial", import: stateless_multinomial },
    TfOp { name: "StatelessShuffle", import: stateless_shuffle },
];

/// The key that scrambles seeds.
const SCRAMBLER: u64 = 0x02461e293ec8f720;
/// The number of Philox among TensorFlow's algorithms, and that of the one which suits the device.
const PHILOX: i64 = 1;
const AUTOMATIC: i64 = 3;

/// Where a stream of random words begins.
#[derive(Clone, Copy)]
struct Stream {
    /// A u64.
    key: NodeId,
    /// Two of them, the low half first.
    counter: NodeId,
}

impl Stream {
    /// Of operand `n`, a seed of two integers: the block of both scrambled is the key and the high half of the counter.
    fn of_seed(cx: &mut Import, n: usize) -> Result<Stream> {
        let seed = cx.arg(n)?;
        let [pair] = &cx.shape(seed)[..] else {
            return Err(format!("a seed has two numbers, not rank {}", cx.rank(seed)).into());
        };
        cx.require_equal(pair, &2.into(), "the numbers of a seed and 2")?;
        let seed = cx.cast(seed, DType::I64)?;
        let counter = cx.cast(seed, DType::U64)?;
        let key = cx.constant(Tensor::scalar(DType::U64, Scalar::Uint(SCRAMBLER)))?;
        let mixed = cx.add(Philox { blocks: Dim::one(), to: DType::U64 }, &[key, counter])?;
        let mixed = cx.reshape(mixed, &[2.into()])?;
        let key = cx.slice_axis(mixed, 0, Dim::zero(), Dim::one())?;
        let key = cx.reshape(key, &[])?;
        let high = cx.slice_axis(mixed, 0, Dim::one(), Dim::one())?;
        let low = cx.constant(Tensor::zeros(DType::U64, [1]))?;
        Ok(Stream { key, counter: cx.concat(&[low, high], 0)? })
    }
    /// Of a key, a counter and an algorithm in three operands from `n` on.
    fn given(cx: &mut Import, n: usize) -> Result<Stream> {
        let (key, counter) = (cx.arg(n)?, cx.arg(n + 1)?);
        let ([one], [words]) = (&cx.shape(key)[..], &cx.shape(counter)[..]) else {
            let ranks = format!("{} and {}", cx.rank(key), cx.rank(counter));
            return Err(format!("a key and a counter are vectors, not of ranks {ranks}").into());
        };
        match cx.int(n + 2, "the algorithm")? {
            PHILOX | AUTOMATIC => {}
            2 => return Err("ThreeFry is an algorithm of XLA, which TensorFlow's kernels do not have".into()),
            other => return Err(format!("there is no random algorithm {other}").into()),
        }
        cx.require_equal(one, &Dim::one(), "the numbers of a key and 1")?;
        cx.require_at_most(&2.into(), words, "the numbers of a counter")?;
        let key = cx.reshape(key, &[])?;
        Ok(Stream { key, counter: cx.slice_axis(counter, 0, Dim::zero(), 2.into())? })
    }
    /// The key, `[1]`, and the counter.
    fn outputs(self, cx: &mut Import) -> Outputs {
        let key = cx.reshape(self.key, &[Dim::one()])?;
        Ok(vec![key.into(), self.counter.into()])
    }
    /// So many words of 32 or 64 bits.
    fn words(self, cx: &mut Import, to: DType, many: &Dim) -> Result<NodeId> {
        let per_block = 16 / to.size() as i64;
        let blocks = (many + (per_block - 1)).floor_div(&per_block.into());
        let words = cx.add(Philox { blocks: blocks.clone(), to }, &[self.key, self.counter])?;
        let words = cx.reshape(words, &[blocks * per_block])?;
        cx.slice_axis(words, 0, Dim::zero(), many.clone())
    }
}

/// The algorithm of TensorFlow's kernels for processors.
fn algorithm(cx: &mut Import) -> Result<NodeId> {
    cx.constant(Tensor::scalar(DType::I32, Scalar::Int(PHILOX)))
}

fn key_counter_algorithm(cx: &mut Import) -> Outputs {
    let mut outputs = Stream::of_seed(cx, 0)?.outputs(cx)?;
    outputs.push(algorithm(cx)?.into());
    Ok(outputs)
}

/// So many numbers of a stream.
type Drawn = fn(&mut Import, Stream, &Dim) -> Result<NodeId>;

/// Numbers of the shape that operand 0 says, from the stream that the operands from 1 on give.
fn drawn(cx: &mut Import, stream: fn(&mut Import, usize) -> Result<Stream>, draw: Drawn) -> Outputs {
    let stream = stream(cx, 1)?;
    one(numbers(cx, 0, stream, draw)?)
}

/// Numbers of the shape that operand `n` says.
fn numbers(cx: &mut Import, n: usize, stream: Stream, draw: Drawn) -> Result<NodeId> {
    let shape = shape_at(cx, n)?;
    let numbers = draw(cx, stream, &count(&shape))?;
    cx.reshape(numbers, &shape)
}

/// The shape in operand `n`.
fn shape_at(cx: &mut Import, n: usize) -> Result<Vec<Dim>> {
    let of_shape = cx.arg(n)?;
    if cx.rank(of_shape) != 1 {
        return Err(format!("a shape is a vector, not of rank {}", cx.rank(of_shape)).into());
    }
    let shape = cx.sizes(n, "the shape", None)?;
    for extent in &shape {
        cx.require_at_most(&Dim::zero(), extent, "an extent of the shape")?;
    }
    Ok(shape)
}

/// Floats from 0 up to 1: random mantissas of numbers from 1 on, less 1.
fn uniform(cx: &mut Import, stream: Stream, many: &Dim) -> Result<NodeId> {
    let dtype = cx.attr_dtype("dtype")?;
    let words = stream.words(cx, if dtype == DType::F64 { DType::U64 } else { DType::U32 }, many)?;
    fraction(cx, words, dtype)
}

/// The float from 0 up to 1 that each word makes: its low bits are the mantissa of a number from 1 on, from which 1 is taken.
fn fraction(cx: &mut Import, words: NodeId, dtype: DType) -> Result<NodeId> {
    let mantissa = match dtype {
        DType::F16 => 10,
        DType::BF16 => 7,
        DType::F32 => 23,
        DType::F64 => return double_fraction(cx, words),
        other => return Err(format!("{other} has no uniform numbers").into()),
    };
    // What is left is a multiple of the mantissa's unit, exactly.
    let mask = cx.constant(Tensor::scalar(DType::U32, Scalar::Uint((1 << mantissa) - 1)))?;
    let kept = cx.and(words, mask)?;
    let kept = cx.cast(kept, DType::I32)?;
    let kept = cx.cast(kept, DType::F32)?;
    let unit = cx.scalar(DType::F32, 0.5f64.powi(mantissa))?;
    let fraction = cx.mul(kept, unit)?;
    cx.cast(fraction, dtype)
}

/// The same of two words: the first one makes the high bits of the mantissa.
fn double_fraction(cx: &mut Import, words: NodeId) -> Result<NodeId> {
    let uint = |cx: &mut Import, n: u64| cx.constant(Tensor::scalar(DType::U64, Scalar::Uint(n)));
    let (half, mask, unit) = (uint(cx, 32)?, uint(cx, (1 << 52) - 1)?, uint(cx, 1023 << 52)?);
    let (high, low) = (cx.binary(BinaryFn::Shl, words, half)?, cx.binary(BinaryFn::Shr, words, half)?);
    let turned = cx.or(high, low)?;
    let kept = cx.and(turned, mask)?;
    let bits = cx.or(kept, unit)?;
    let number = cx.add(Bitcast { to: DType::F64 }, &[bits])?;
    let one = cx.scalar(DType::F64, 1.0)?;
    cx.sub(number, one)
}

/// Every integer of the type alike.
fn uniform_full_int(cx: &mut Import, stream: Stream, many: &Dim) -> Result<NodeId> {
    let dtype = cx.attr_dtype("dtype")?;
    let words = stream.words(cx, unsigned(dtype), many)?;
    cx.cast(words, dtype)
}

/// Integers from the least, the operand before the last, up to the last: a remainder of the word is added.
fn uniform_int(cx: &mut Import, stream: Stream, many: &Dim) -> Result<NodeId> {
    let (low, high) = (cx.arg(cx.count() - 2)?, cx.arg(cx.count() - 1)?);
    let dtype = cx.dtype(low);
    if cx.rank(low) != 0 || cx.rank(high) != 0 {
        return Err(format!("the bounds are scalars, not of ranks {} and {}", cx.rank(low), cx.rank(high)).into());
    }
    let fits = cx.compare(CompareFn::Lt, low, high)?;
    if cx.graph.as_const(fits).is_some_and(|fits| fits.get(0) == Scalar::Bool(false)) {
        // No number is drawn.
        cx.require_equal(many, &Dim::zero(), "the number of integers from an empty range and 0")?;
    }
    let words = stream.words(cx, unsigned(dtype), many)?;
    let (from, to) = (cx.cast(low, unsigned(dtype))?, cx.cast(high, unsigned(dtype))?);
    let range = cx.sub(to, from)?;
    // Where that is none, division is a fault.
    let none = cx.scalar_like(range, 0.0)?;
    let range = cx.select(fits, range, none)?;
    let rest = cx.binary(BinaryFn::Rem, words, range)?;
    let number = cx.add_(rest, from)?;
    cx.cast(number, dtype)
}

/// What is drawn for a logarithm is at least this.
const LEAST: f64 = 1e-7;

/// Normal numbers by Box and Muller: a radius and an angle make two, the sine's first.
fn normal(cx: &mut Import, stream: Stream, many: &Dim) -> Result<NodeId> {
    let dtype = cx.attr_dtype("dtype")?;
    let wide = super::build::widened(dtype);
    let pairs = (many + 1).floor_div(&2.into());
    let words = stream.words(cx, unsigned(wide), &(&pairs * 2))?;
    let words = cx.reshape(words, &[pairs.clone(), 2.into()])?;
    let part = |cx: &mut Import, n: i64| {
        let words = cx.slice_axis(words, 1, n.into(), Dim::one())?;
        fraction(cx, words, wide)
    };
    let (first, second) = (part(cx, 0)?, part(cx, 1)?);
    let least = cx.scalar(wide, LEAST)?;
    let first = cx.binary(BinaryFn::Max, first, least)?;
    let log = cx.unary(UnaryFn::Log, first)?;
    let minus_two = cx.scalar(wide, -2.0)?;
    let square = cx.mul(minus_two, log)?;
    let radius = cx.unary(UnaryFn::Sqrt, square)?;
    // TensorFlow multiplies in double precision.
    let (turn, second) = (cx.scalar(DType::F64, 2.0 * PI)?, cx.cast(second, DType::F64)?);
    let angle = cx.mul(turn, second)?;
    let angle = cx.cast(angle, wide)?;
    let (sine, cosine) = (cx.unary(UnaryFn::Sin, angle)?, cx.unary(UnaryFn::Cos, angle)?);
    let (sine, cosine) = (cx.mul(sine, radius)?, cx.mul(cosine, radius)?);
    let both = cx.concat(&[sine, cosine], 1)?;
    let numbers = cx.reshape(both, &[pairs * 2])?;
    let numbers = cx.slice(numbers, vec![Dim::zero()], vec![1], from_ref(many).to_vec())?;
    cx.cast(numbers, dtype)
}

/// Normal numbers less than 2 in size. Halves are rounded when they are chosen already.
fn truncated_normal(cx: &mut Import, stream: Stream, many: &Dim) -> Result<NodeId> {
    let dtype = cx.attr_dtype("dtype")?;
    let to = super::build::widened(dtype);
    let per_row = if to == DType::F64 { 2 } else { 4 };
    let rows = (many + (per_row - 1)).floor_div(&per_row.into());
    let numbers = cx.add(TruncatedNormal { rows: rows.clone(), to }, &[stream.key, stream.counter])?;
    let numbers = cx.reshape(numbers, &[rows * per_row])?;
    let numbers = cx.slice_axis(numbers, 0, Dim::zero(), many.clone())?;
    cx.cast(numbers, dtype)
}

fn stateless_multinomial(cx: &mut Import) -> Outputs {
    let stream = Stream::of_seed(cx, 2)?;
    one(multinomial(cx, stream)?)
}

fn stateless_shuffle(cx: &mut Import) -> Outputs {
    let stream = Stream::given(cx, 1)?;
    one(shuffle::shuffled(cx, stream)?)
}

/// Classes drawn by their logits, a row of them for each row of logits: the number of classes up to which the probabilities
/// add up to no more than a random share of all. Logits that are not finite are never drawn. Rows follow each other in the
/// stream, as they do in a kernel that one thread runs.
fn multinomial(cx: &mut Import, stream: Stream) -> Result<NodeId> {
    let (logits, to) = (cx.arg(0)?, cx.attr_dtype("output_dtype")?);
    let [rows, classes] = &cx.shape(logits)[..] else {
        return Err(format!("logits are a matrix, not of rank {}", cx.rank(logits)).into());
    };
    let samples = cx.size(1, "the number of samples", None)?;
    cx.require_at_most(&Dim::zero(), &samples, "the number of samples")?;
    cx.require_at_most(&Dim::one(), classes, "the number of classes")?;
    let dtype = cx.dtype(logits);
    // What is finite is equal to itself and less than infinity.
    let size = cx.unary(UnaryFn::Abs, logits)?;
    let infinite = cx.scalar_like(logits, f64::INFINITY)?;
    let finite = cx.compare(CompareFn::Lt, size, infinite)?;
    let least = cx.scalar_like(logits, -dtype.greatest())?;
    let known = cx.select(finite, logits, least)?;
    let greatest = cx.add(Reduce { f: BinaryFn::Max, axes: vec![1] }, &[known])?;
    let (greatest, known) = (cx.cast(greatest, DType::F64)?, cx.cast(known, DType::F64)?);
    let less = cx.sub(known, greatest)?;
    let share = cx.unary(UnaryFn::Exp, less)?;
    let nothing = cx.scalar(DType::F64, 0.0)?;
    let share = cx.select(finite, share, nothing)?;
    let scan = Scan { f: BinaryFn::Add, axis: 1, exclusive: false, reverse: false };
    let sums = cx.add(scan, &[share])?;
    let all = cx.slice_axis(sums, 1, classes - 1, Dim::one())?;
    let words = stream.words(cx, DType::U64, &(rows * &samples))?;
    let drawn = fraction(cx, words, DType::F64)?;
    let drawn = cx.reshape(drawn, &[rows.clone(), samples.clone()])?;
    let wanted = cx.mul(drawn, all)?;
    let wanted = cx.insert_axes(wanted, &[2])?;
    let sums = cx.insert_axes(sums, &[1])?;
    let passed = cx.compare(CompareFn::Le, sums, wanted)?;
    let passed = cx.cast(passed, to)?;
    let class = cx.add(Reduce { f: BinaryFn::Add, axes: vec![2] }, &[passed])?;
    cx.reshape(class, &[rows.clone(), samples])
}
