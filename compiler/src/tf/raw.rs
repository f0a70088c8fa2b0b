//! Numbers whose bytes lie in strings.

use super::{Import, Outputs, TfOp, build::one, found::Pieces};
use crate::{
    base::Dim,
    loops::BinaryFn,
    op::{Reduce, TextLength, TextRaw, TextUnit},
    tensor::DType,
};

pub(super) const OPS: &[TfOp] =
    &[TfOp { name: "DecodeRaw", import: decode }, TfOp { name: "DecodePaddedRaw", import: decode_padded }];

/// The type of the numbers, how many bytes one has, and whether the highest comes first.
fn numbers(cx: &Import) -> Result<(DType, i64, bool), super::Stop> {
    let to = cx.attr_dtype("out_type")?;
    if to.is_complex() {
        return Err("complex numbers are not supported yet".into());
    }
    Ok((to, to.size() as i64, !cx.node.attr_bool("little_endian").unwrap_or(true)))
}

/// As many numbers as the strings have, which are of one length.
fn decode(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let (to, size, big) = numbers(cx)?;
    let lengths = cx.add(TextLength { unit: TextUnit::Bytes }, &[x])?;
    let axes = (0..cx.rank(x)).collect();
    let longest = cx.add(Reduce { f: BinaryFn::Max, axes }, &[lengths])?;
    let longest = cx.reshape(longest, &[])?;
    let (zero, size) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, size as f64)?);
    // Of no strings that is the least integer.
    let longest = cx.binary(BinaryFn::Max, longest, zero)?;
    let count = cx.div(longest, size)?;
    let count = cx.bind_pieces(count, &Dim::one(), None, Pieces::Tokens, "the number of numbers in a string")?;
    one(cx.add(TextRaw { to, count, big, padded: false }, &[x])?)
}

/// The numbers in so many bytes, with zeros behind the end of a string.
fn decode_padded(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let (to, size, big) = numbers(cx)?;
    cx.scalar_arg(1, "the number of bytes")?;
    let bytes = cx.dim(1, "the number of bytes")?;
    cx.require_at_most(&Dim::one(), &bytes, "the number of bytes")?;
    let count = bytes.floor_div(&Dim::from(size));
    cx.require_equal(&(&count * size), &bytes, "the number of bytes")?;
    one(cx.add(TextRaw { to, count, big, padded: true }, &[x])?)
}
