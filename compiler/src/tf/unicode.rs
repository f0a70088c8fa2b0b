//! Strings as code points, in rows.

use super::{Import, Outputs, TfOp, found::Pieces};
use crate::{
    base::Dim,
    loops::BinaryFn,
    op::{Decoding, Malformed, Reduce, Scan, TextCodes, TextDecode},
    tensor::{DType, count},
};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "UnicodeDecode", import: |cx| decode(cx, false) },
    TfOp { name: "UnicodeDecodeWithOffsets", import: |cx| decode(cx, true) },
];

/// Where the row of each string begins and the last one ends, the code points of all, and where each begins in its string.
fn decode(cx: &mut Import, with_places: bool) -> Outputs {
    let encoding = cx.node.attr_str("input_encoding")?;
    if !matches!(encoding.to_ascii_uppercase().as_str(), "UTF-8" | "UTF8") {
        return Err(format!("strings of {encoding} are not supported yet").into());
    }
    let by = i32::try_from(cx.node.attr_int("replacement_char").unwrap_or(0xfffd))
        .map_err(|_| "the replacement is no code point".to_string())?;
    let malformed = match cx.node.attr_str("errors").unwrap_or("replace") {
        "replace" => Malformed::Replace(by),
        "ignore" => Malformed::Ignore,
        "strict" => Malformed::Fault,
        other => return Err(format!("there is no rule `{other}` for errors").into()),
    };
    let control = cx.node.attr_bool("replace_control_characters").unwrap_or(false).then_some(by);
    let by = Decoding { malformed, control };
    let to = cx.attr_dtype("Tsplits")?;
    let x = cx.arg(0)?;
    let n = count(&cx.shape(x));
    let x = cx.reshape(x, std::slice::from_ref(&n))?;
    let counts = cx.add(TextCodes { by: by.clone() }, &[x])?;
    let ends = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: false, reverse: false }, &[counts])?;
    let zero = cx.dims_tensor(&[Dim::zero()], DType::I64)?;
    let splits = cx.concat(&[zero, ends], 0)?;
    let all = cx.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[counts])?;
    let all = cx.reshape(all, &[])?;
    let count = cx.bind_pieces(all, &n, None, Pieces::Tokens, "the number of code points")?;
    let mut outputs = vec![cx.cast(splits, to)?.into()];
    for places in [false, true].into_iter().take(1 + usize::from(with_places)) {
        outputs.push(cx.add(TextDecode { by: by.clone(), count: count.clone(), places }, &[x])?.into());
    }
    Ok(outputs)
}
