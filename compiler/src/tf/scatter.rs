//! Slices of a tensor changed at computed indices. Several changes of one element happen in their order.
//!
//! An index out of range is a fault at run time, or the change is left out, as the attribute says.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Outside, Scatter},
    tensor::{DType, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "ScatterNd", import: scatter_nd },
    TfOp { name: "ScatterNdNonAliasingAdd", import: |cx| changed(cx, Combine::Add) },
    TfOp { name: "TensorScatterUpdate", import: |cx| changed(cx, Combine::Set) },
    TfOp { name: "TensorScatterAdd", import: |cx| changed(cx, Combine::Add) },
    TfOp { name: "TensorScatterSub", import: |cx| changed(cx, Combine::Sub) },
    TfOp { name: "TensorScatterMax", import: |cx| changed(cx, Combine::Max) },
    TfOp { name: "TensorScatterMin", import: |cx| changed(cx, Combine::Min) },
    TfOp { name: "InplaceUpdate", import: |cx| rows_changed(cx, Combine::Set) },
    TfOp { name: "InplaceAdd", import: |cx| rows_changed(cx, Combine::Add) },
    TfOp { name: "InplaceSub", import: |cx| rows_changed(cx, Combine::Sub) },
];

/// TensorFlow has kernels for tuples of so many indices.
const MAX_DEPTH: usize = 7;

fn changed(cx: &mut Import, f: Combine) -> Outputs {
    let (data, indices, updates) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    one(scatter(cx, f, data, indices, updates)?)
}

/// Sums of the updates where zeros are.
fn scatter_nd(cx: &mut Import) -> Outputs {
    let (indices, updates) = (cx.arg(0)?, cx.arg(1)?);
    if cx.dtype(updates) == DType::Str {
        return Err("strings, of which those of one place are joined, are not supported".into());
    }
    let shape = cx.sizes(2, "the shape", None)?;
    for extent in &shape {
        cx.require_at_most(&Dim::zero(), extent, "an extent of the shape")?;
    }
    let zero = cx.scalar_like(updates, 0.0)?;
    let zeros = cx.broadcast_to(zero, &shape)?;
    one(scatter(cx, Combine::Add, zeros, indices, updates)?)
}

/// `data` with its slices at tuples of indices, which the last axis of `indices` holds, combined with the updates.
pub(super) fn scatter(cx: &mut Import, f: Combine, data: NodeId, indices: NodeId, updates: NodeId) -> Result<NodeId> {
    let outside = match cx.node.attr_str("bad_indices_policy")? {
        "" | "DEFAULT" | "ERROR" => Outside::Fault,
        "IGNORE" => Outside::Drop,
        other => return Err(format!("there is no policy `{other}` for bad indices").into()),
    };
    let (shape, at, of_updates) = (cx.shape(data), cx.shape(indices), cx.shape(updates));
    if at.len() < 2 {
        return Err(format!("expected a list of tuples of indices, got indices of rank {}", at.len()).into());
    }
    // The ranks say how many indices a tuple has.
    let Some(depth) = (shape.len() + at.len() - 1).checked_sub(of_updates.len()).filter(|&d| d <= shape.len()) else {
        let ranks = format!("{} at indices of rank {}", shape.len(), at.len());
        return Err(format!("updates of rank {} do not fit rank {ranks}", of_updates.len()).into());
    };
    cx.require_equal(&at[at.len() - 1], &depth.into(), "the length of tuples of indices and the number of axes")?;
    let outer = &at[..at.len() - 1];
    let wanted = [outer, &shape[depth..]].concat();
    for (a, b) in of_updates.iter().zip(&wanted) {
        cx.require_equal(a, b, "the extents of updates and of what they change")?;
    }
    // TensorFlow takes updates without elements only where there are no indices.
    let (some, elements) = (count(outer).at_most(&Dim::one()), count(&shape));
    if depth == 0 {
        cx.require_equal(&count(&of_updates), &Dim::zero(), "the number of updates by tuples of no indices and none")?;
        return Ok(data);
    }
    if depth > MAX_DEPTH {
        return Err(format!("tuples of {depth} indices are more than TensorFlow takes").into());
    }
    cx.require_at_most(&some, &elements, "updates need elements to change")?;
    let f = if cx.dtype(data) == DType::Bool && f == Combine::Add { Combine::Or } else { f };
    cx.add(Scatter { f, depth, below: outside, above: outside }, &[data, indices, updates])
}

/// Rows at a vector of indices combined with others; the indices count modulo the number of rows.
fn rows_changed(cx: &mut Import, f: Combine) -> Outputs {
    let (data, indices, updates) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    let (shape, at, of_updates) = (cx.shape(data), cx.shape(indices), cx.shape(updates));
    let ([number], Some((rows, rest)), true) = (&at[..], shape.split_first(), of_updates.len() == shape.len()) else {
        return Err(format!(
            "rows of rank {}, {} indices and updates of rank {} do not fit each other",
            shape.len(),
            if at.len() == 1 { "a vector of" } else { "no vector of" },
            of_updates.len()
        )
        .into());
    };
    cx.require_equal(&of_updates[0], number, "the numbers of indices and of updates")?;
    for (a, b) in of_updates[1..].iter().zip(rest) {
        cx.require_equal(a, b, "the extents of rows and of updates")?;
    }
    let indices = cx.cast(indices, DType::I64)?;
    let many = cx.dim_scalar(&rows.at_least(&Dim::one()), DType::I64)?;
    let rest = cx.binary(BinaryFn::Rem, indices, many)?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    let negative = cx.compare(CompareFn::Lt, rest, zero)?;
    let wrapped = cx.add_(rest, many)?;
    let place = cx.select(negative, wrapped, rest)?;
    let place = cx.insert_axes(place, &[1])?;
    // Where there are no rows, no row changes.
    one(cx.add(Scatter { f, depth: 1, below: Outside::Drop, above: Outside::Drop }, &[data, place, updates])?)
}
