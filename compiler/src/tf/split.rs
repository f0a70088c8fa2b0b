//! Strings that fall into tokens: as many as data say, in rows.

use super::{Import, Outputs, Stop, TfOp, found::Pieces};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine},
    op::{Gather, Iota, MAX_SEPARATOR, Outside, Reduce, Scan, Scatter, Splitting, TextCount, TextSplit},
    tensor::{DType, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] =
    &[TfOp { name: "StringSplit", import: split }, TfOp { name: "StringSplitV2", import: split_v2 }];

/// The one string of operand 1, which has to be a constant.
fn separator(cx: &Import, what: &str) -> Result<Vec<u8>> {
    let id = cx.scalar_arg(1, what)?;
    match cx.graph.as_const(id).map(Tensor::strings) {
        Some([bytes]) => Ok(bytes.clone()),
        _ => Err(cx.unknown(id, what)),
    }
}

/// Splits at any byte of the delimiter, or behind each byte where there is none.
fn split(cx: &mut Import) -> Outputs {
    let set = separator(cx, "the delimiter")?;
    let skip_empty = cx.node.attr_bool("skip_empty").unwrap_or(true);
    let by = if set.is_empty() { Splitting::Each } else { Splitting::Bytes { set, skip_empty } };
    tokens(cx, by, None)
}

/// Splits at a separator, or at white space where it is empty; so often at most where `maxsplit` is more than 0, and not at
/// all where it is 0.
fn split_v2(cx: &mut Import) -> Outputs {
    let bytes = separator(cx, "the separator")?;
    let limit = cx.node.attr_int("maxsplit").unwrap_or(-1);
    if limit == 0 {
        return whole(cx);
    }
    if bytes.len() > MAX_SEPARATOR {
        return Err(format!("a separator of {} bytes, more than {MAX_SEPARATOR}, is not supported", bytes.len()).into());
    }
    let limit = (limit > 0).then_some(limit);
    let by = if bytes.is_empty() { Splitting::Spaces { limit } } else { Splitting::Separator { bytes, limit } };
    tokens(cx, by, limit)
}

/// The strings, which are a vector, and how many there are.
fn strings(cx: &Import) -> Result<(NodeId, Dim)> {
    let x = cx.arg(0)?;
    match &cx.shape(x)[..] {
        [n] => Ok((x, n.clone())),
        shape => Err(format!("expected a vector of strings, got rank {}", shape.len()).into()),
    }
}

/// Each string as the one token it has.
fn whole(cx: &mut Import) -> Outputs {
    let (x, n) = strings(cx)?;
    let rows = cx.add(Iota { shape: vec![n.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let columns = cx.full_like(rows, 0.0)?;
    let indices = pairs(cx, rows, columns)?;
    let shape = cx.dims_tensor(&[n.clone(), n.at_most(&Dim::one())], DType::I64)?;
    Ok(vec![indices.into(), x.into(), shape.into()])
}

/// The tokens with the row and the place in it of each, as a sparse tensor: `indices[k,2]`, `values[k]`, and the shape, of as
/// many columns as one row has tokens at most.
fn tokens(cx: &mut Import, by: Splitting, limit: Option<i64>) -> Outputs {
    let (x, n) = strings(cx)?;
    let counts = cx.add(TextCount { by: by.clone() }, &[x])?;
    let (k, rows, columns) = rows_of(cx, counts, limit.map(|limit| limit.saturating_add(1)))?;
    let values = cx.add(TextSplit { by, count: k }, &[x])?;
    let indices = pairs(cx, rows, columns)?;
    let most = cx.add(Reduce { f: BinaryFn::Max, axes: vec![0] }, &[counts])?;
    let zero = cx.full_like(most, 0.0)?;
    // Of no rows that is the least integer.
    let most = cx.binary(BinaryFn::Max, most, zero)?;
    let rows = cx.dims_tensor(&[n], DType::I64)?;
    let shape = cx.concat(&[rows, most], 0)?;
    Ok(vec![indices.into(), values.into(), shape.into()])
}

/// Two vectors as the columns of a matrix.
fn pairs(cx: &mut Import, a: NodeId, b: NodeId) -> Result<NodeId> {
    let (a, b) = (cx.insert_axes(a, &[1])?, cx.insert_axes(b, &[1])?);
    cx.concat(&[a, b], 1)
}

/// Of rows that have so many tokens each, i64, at most `each` of them: how many there are in all, and the row and the place in
/// it of each.
fn rows_of(cx: &mut Import, counts: NodeId, each: Option<i64>) -> Result<(Dim, NodeId, NodeId)> {
    let n = cx.shape(counts)[0].clone();
    let all = cx.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[counts])?;
    let all = cx.reshape(all, &[])?;
    let k = cx.bind_pieces(all, &n, each, Pieces::Tokens, "the number of tokens")?;
    let starts = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false }, &[counts])?;
    // Each row counts where it starts; rows without tokens count where the next one does.
    let places = cx.insert_axes(starts, &[1])?;
    let (zero, one) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let none = cx.broadcast_to(zero, std::slice::from_ref(&k))?;
    let ones = cx.broadcast_to(one, std::slice::from_ref(&n))?;
    let scatter = Scatter { f: Combine::Add, depth: 1, below: Outside::Drop, above: Outside::Drop };
    let begun = cx.add(scatter, &[none, places, ones])?;
    let begun = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: false, reverse: false }, &[begun])?;
    let rows = cx.sub(begun, one)?;
    let first = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[starts, rows])?;
    let place = cx.add(Iota { shape: vec![k.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let columns = cx.sub(place, first)?;
    Ok((k, rows, columns))
}
