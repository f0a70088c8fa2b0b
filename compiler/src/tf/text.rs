//! Strings: how long they are, what they hash to, parts of them.

pub(super) mod made;
pub(super) mod ngrams;

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{
        Splitting, TextCount, TextFloat, TextHash, TextHashing, TextInt, TextLength, TextPart, TextPlace, TextStrip,
        TextUnit,
    },
    tensor::{DType, Scalar, Tensor},
};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "StringLength", import: length },
    TfOp { name: "StringStrip", import: strip },
    TfOp { name: "StringToNumber", import: number },
    TfOp { name: "Substr", import: substr },
    TfOp { name: "StringToHashBucket", import: |cx| hash_bucket(cx, TextHashing::Murmur) },
    TfOp { name: "StringToHashBucketFast", import: |cx| hash_bucket(cx, TextHashing::Farm) },
    TfOp { name: "StringToHashBucketStrong", import: strong },
];

/// What the attribute `unit` says.
fn unit(cx: &Import) -> Result<TextUnit, Stop> {
    match cx.node.attr_str("unit").unwrap_or("BYTE") {
        "BYTE" => Ok(TextUnit::Bytes),
        "UTF8_CHAR" => Ok(TextUnit::Chars),
        other => Err(format!("there is no unit `{other}`").into()),
    }
}

fn length(cx: &mut Import) -> Outputs {
    let (x, unit) = (cx.arg(0)?, unit(cx)?);
    let length = cx.add(TextLength { unit }, &[x])?;
    one(cx.cast(length, DType::I32)?)
}

fn strip(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.add(TextStrip {}, &[x])?)
}

fn number(cx: &mut Import) -> Outputs {
    let (x, to) = (cx.arg(0)?, cx.attr_dtype("out_type")?);
    if to.is_int() {
        return one(cx.add(TextInt { to }, &[x])?);
    }
    let [states, powers] = TextFloat::tables().map(|table| cx.constant(table));
    one(cx.add(TextFloat { to }, &[x, states?, powers?])?)
}

/// A part of each string from a position on, counted from the end where it is negative, of at most so many bytes; of a negative
/// number, all that follow. A position outside the string is a fault.
fn substr(cx: &mut Import) -> Outputs {
    let unit = unit(cx)?;
    let [position, bytes] = [1, 2].map(|n| cx.arg(n).and_then(|x| cx.cast(x, DType::I64)));
    let [x, position, bytes] = {
        let x = cx.arg(0)?;
        cx.broadcast([x, position?, bytes?])?
    };
    if unit == TextUnit::Chars {
        return part_of_chars(cx, [x, position, bytes]);
    }
    let length = cx.add(TextLength { unit: TextUnit::Bytes }, &[x])?;
    let zero = cx.scalar_like(length, 0.0)?;
    let from_end = cx.add_(length, position)?;
    let negative = cx.compare(CompareFn::Lt, position, zero)?;
    let start = cx.select(negative, from_end, position)?;
    let rest = cx.sub(length, start)?;
    let all = cx.compare(CompareFn::Lt, bytes, zero)?;
    let clipped = cx.binary(BinaryFn::Min, bytes, rest)?;
    let bytes = cx.select(all, rest, clipped)?;
    one(cx.add(TextPart {}, &[x, start, bytes])?)
}

/// The same in characters, but that a negative number of them is none, and a fault where the position is negative too.
fn part_of_chars(cx: &mut Import, [x, position, chars]: [NodeId; 3]) -> Outputs {
    let all = cx.add(TextCount { by: Splitting::Chars }, &[x])?;
    let zero = cx.scalar_like(all, 0.0)?;
    let (from_end, none) = (cx.compare(CompareFn::Lt, position, zero)?, cx.compare(CompareFn::Lt, chars, zero)?);
    let behind = cx.add_(all, position)?;
    let first = cx.select(from_end, behind, position)?;
    let rest = cx.sub(all, first)?;
    let chars = cx.binary(BinaryFn::Min, chars, rest)?;
    let chars = cx.binary(BinaryFn::Max, chars, zero)?;
    let end = cx.add_(first, chars)?;
    let (start, end) = (cx.add(TextPlace {}, &[x, first])?, cx.add(TextPlace {}, &[x, end])?);
    let bytes = cx.sub(end, start)?;
    // No part begins at -1, which is a fault.
    let (below, above) = (cx.compare(CompareFn::Lt, first, zero)?, cx.compare(CompareFn::Gt, first, all)?);
    let (outside, neither) = (cx.or(below, above)?, cx.and(from_end, none)?);
    let outside = cx.or(outside, neither)?;
    let nowhere = cx.full_like(start, -1.0)?;
    let start = cx.select(outside, nowhere, start)?;
    one(cx.add(TextPart {}, &[x, start, bytes])?)
}

fn strong(cx: &mut Import) -> Outputs {
    match cx.node.attr_ints("key")?[..] {
        [a, b] => hash_bucket(cx, TextHashing::Sip(a as u64, b as u64)),
        ref key => Err(format!("a key has two numbers, not {}", key.len()).into()),
    }
}

/// The hash modulo the number of buckets.
fn hash_bucket(cx: &mut Import, hash: TextHashing) -> Outputs {
    let x = cx.arg(0)?;
    let buckets = cx.node.attr_int("num_buckets")?;
    if buckets < 1 {
        return Err(format!("{buckets} buckets hold nothing").into());
    }
    let hash = cx.add(TextHash { hash }, &[x])?;
    let bucket = remainder(cx, hash, buckets)?;
    one(cx.cast(bucket, DType::I64)?)
}

fn remainder(cx: &mut Import, hash: NodeId, by: i64) -> Result<NodeId, Stop> {
    let by = cx.constant(Tensor::scalar(DType::U64, Scalar::Uint(by as u64)))?;
    cx.binary(BinaryFn::Rem, hash, by)
}
