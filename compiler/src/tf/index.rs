//! Picking by computed indices. An index out of range is a fault at run time, as it is in TensorFlow.

use super::{Import, Outputs, Stop, TfOp, build::one, flow::variable};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::CompareFn,
    op::{Gather, Iota},
    tensor::DType,
};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Gather", import: gather_rows },
    TfOp { name: "GatherV2", import: gather_v2 },
    TfOp { name: "ResourceGather", import: resource_gather },
    TfOp { name: "GatherNd", import: gather_nd },
    TfOp { name: "ResourceGatherNd", import: resource_gather_nd },
    TfOp { name: "OneHot", import: one_hot },
    TfOp { name: "ReverseSequence", import: reverse_sequence },
];

/// Slices of `params` along `axis`; the first `batch` axes of both are shared, a negative number counts from the end
/// of the indices.
pub(super) fn gather(
    cx: &mut Import,
    params: NodeId,
    indices: NodeId,
    axis: usize,
    batch: i64,
) -> Result<NodeId, Stop> {
    let (from, at) = (cx.shape(params), cx.shape(indices));
    let batch = if batch < 0 { batch + at.len() as i64 } else { batch };
    let batch = usize::try_from(batch)
        .ok()
        .filter(|&b| b <= at.len() && b <= axis)
        .ok_or_else(|| Stop::from(format!("{batch} batch axes do not fit axis {axis} and rank {}", at.len())))?;
    for (a, b) in from[..batch].iter().zip(&at) {
        cx.require_equal(a, b, "the batch extents of values and indices")?;
    }
    cx.add(Gather { axis, batch, checked: true }, &[params, indices])
}

fn gather_rows(cx: &mut Import) -> Outputs {
    let (params, indices) = (cx.arg(0)?, cx.arg(1)?);
    one(gather(cx, params, indices, 0, 0)?)
}

fn gather_v2(cx: &mut Import) -> Outputs {
    let (params, indices) = (cx.arg(0)?, cx.arg(1)?);
    let axis = cx.axis(2, cx.rank(params))?;
    let batch = cx.node.attr_int("batch_dims")?;
    one(gather(cx, params, indices, axis, batch)?)
}

fn resource_gather(cx: &mut Import) -> Outputs {
    let (params, indices) = (variable(cx, 0)?, cx.arg(1)?);
    let batch = cx.node.attr_int("batch_dims")?;
    let axis = usize::try_from(batch).map_err(|_| "a negative number of batch axes is not supported")?;
    one(gather(cx, params, indices, axis, batch)?)
}

fn gather_nd(cx: &mut Import) -> Outputs {
    if !cx.node.attr_str("bad_indices_policy")?.is_empty() {
        return Err("only the default policy for bad indices is supported".into());
    }
    let (params, indices) = (cx.arg(0)?, cx.arg(1)?);
    gather_tuples(cx, params, indices)
}

fn resource_gather_nd(cx: &mut Import) -> Outputs {
    let (params, indices) = (variable(cx, 0)?, cx.arg(1)?);
    gather_tuples(cx, params, indices)
}

/// The last axis of the indices holds one index for each leading axis of the values.
fn gather_tuples(cx: &mut Import, params: NodeId, indices: NodeId) -> Outputs {
    let shape = cx.shape(params);
    let depth = tuple_length(cx, indices, shape.len())?;
    let joined = crate::tensor::count(&shape[..depth]);
    let flat = cx.reshape(params, &[&[joined], &shape[depth..]].concat())?;
    let linear = linear_index(cx, indices, &shape[..depth])?;
    one(cx.add(Gather { axis: 0, batch: 0, checked: true }, &[flat, linear])?)
}

/// How many leading axes of values of some rank the tuples of indices on the last axis index.
fn tuple_length(cx: &Import, indices: NodeId, rank: usize) -> Result<usize, Stop> {
    let at = cx.shape(indices);
    let Some(depth) = at.last() else { return Err("indices have rank 1 at least".into()) };
    let depth = depth.as_int().and_then(|d| usize::try_from(d).ok()).filter(|&d| d <= rank);
    depth.ok_or_else(|| format!("the indices do not fit rank {rank}").into())
}

/// Tuples of indices into axes as indices into those axes joined; a tuple out of range becomes -1.
fn linear_index(cx: &mut Import, indices: NodeId, axes: &[Dim]) -> Result<NodeId, Stop> {
    let outer = cx.shape(indices);
    let outer = &outer[..outer.len().saturating_sub(1)];
    let indices = cx.cast(indices, DType::I64)?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    let mut linear = cx.broadcast_to(zero, outer)?;
    let mut fine: Option<NodeId> = None;
    for (d, extent) in axes.iter().enumerate() {
        let index = cx.slice_axis(indices, outer.len(), d.into(), Dim::one())?;
        let index = cx.reshape(index, outer)?;
        let extent = cx.dim_scalar(extent, DType::I64)?;
        let scaled = cx.mul(linear, extent)?;
        linear = cx.add_(scaled, index)?;
        let (low, high) = (cx.compare(CompareFn::Ge, index, zero)?, cx.compare(CompareFn::Lt, index, extent)?);
        let within = cx.and(low, high)?;
        fine = Some(match fine {
            Some(fine) => cx.and(fine, within)?,
            None => within,
        });
    }
    let Some(fine) = fine else { return Ok(linear) };
    let bad = cx.scalar(DType::I64, -1.0)?;
    cx.select(fine, linear, bad)
}

/// An index outside of the depth is nowhere hot.
fn one_hot(cx: &mut Import) -> Outputs {
    let (indices, on, off) = (cx.arg(0)?, cx.arg(2)?, cx.arg(3)?);
    let depth = cx.size(1, "the depth", None)?;
    cx.require_at_most(&Dim::zero(), &depth, "the depth")?;
    let rank = cx.rank(indices) + 1;
    let axis = cx.attr_axis("axis", rank)?;
    let indices = cx.cast(indices, DType::I64)?;
    let indices = cx.insert_axes(indices, &[axis])?;
    let mut shape = vec![Dim::one(); rank];
    shape[axis] = depth;
    let place = cx.add(Iota { shape, axis, dtype: DType::I64 }, &[])?;
    let hot = cx.compare(CompareFn::Eq, indices, place)?;
    one(cx.select(hot, on, off)?)
}

/// The first elements of each sequence in reverse, as many as its length says. TensorFlow has kernels for ranks from 2 to 5.
fn reverse_sequence(cx: &mut Import) -> Outputs {
    let (x, lengths) = (cx.arg(0)?, cx.arg(1)?);
    let (shape, of_lengths) = (cx.shape(x), cx.shape(lengths));
    let axis = |name| Ok::<_, Stop>(usize::try_from(cx.node.attr_int(name)?).ok().filter(|&a| a < shape.len()));
    let (Some(seq), Some(batch)) = (axis("seq_dim")?, axis("batch_dim")?) else {
        return Err(format!("an axis of sequences or batches is not below the rank {}", shape.len()).into());
    };
    if seq == batch || shape.len() > 5 || of_lengths.len() != 1 {
        let what = "sequences along another axis than batches, of rank 5 at most, and a vector of lengths";
        return Err(format!(
            "expected {what}; got axes {seq} and {batch}, ranks {} and {}",
            shape.len(),
            of_lengths.len()
        )
        .into());
    }
    cx.require_equal(&of_lengths[0], &shape[batch], "the numbers of lengths and of sequences")?;
    let rest = (0..shape.len()).filter(|a| ![seq, batch].contains(a));
    let order: Vec<usize> = [batch, seq].into_iter().chain(rest).collect();
    let lengths = cx.cast(lengths, DType::I64)?;
    let lengths = cx.insert_axes(lengths, &[1])?;
    let place = cx.add(Iota { shape: vec![Dim::one(), shape[seq].clone()], axis: 1, dtype: DType::I64 }, &[])?;
    let (zero, last) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let within = cx.compare(CompareFn::Lt, place, lengths)?;
    let from_end = cx.sub(lengths, place)?;
    let from_end = cx.sub(from_end, last)?;
    let from = cx.select(within, from_end, place)?;
    // A length out of range leads out of range from everywhere.
    let extent = cx.dim_scalar(&shape[seq], DType::I64)?;
    let (low, high) = (cx.compare(CompareFn::Lt, lengths, zero)?, cx.compare(CompareFn::Gt, lengths, extent)?);
    let bad = cx.or(low, high)?;
    let nowhere = cx.scalar(DType::I64, -1.0)?;
    let from = cx.select(bad, nowhere, from)?;
    let x = cx.transpose(x, &order)?;
    let reversed = cx.add(Gather { axis: 1, batch: 1, checked: true }, &[x, from])?;
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(n, &axis)| back[axis] = n);
    one(cx.transpose(reversed, &back)?)
}
