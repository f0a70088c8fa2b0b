//! Counting values and sorting them into buckets.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{Gather, Iota, Reduce},
    tensor::{DType, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Bucketize", import: bucketize },
    TfOp { name: "Bincount", import: bincount },
    TfOp { name: "DenseBincount", import: bincount },
];

/// The number of boundaries that are not greater; NaN lies past all of them.
fn bucketize(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let bounds: Vec<Scalar> = cx.node.attr_floats("boundaries")?.iter().map(|&b| Scalar::F32(b)).collect();
    // TensorFlow compares doubles and integers with the single-precision boundaries in the wider type.
    let dtype = if cx.dtype(x) == DType::F32 { DType::F32 } else { DType::F64 };
    let axis = cx.rank(x);
    let bounds = cx.constant(Tensor::from_scalars(DType::F32, [bounds.len()], bounds))?;
    let bounds = cx.cast(bounds, dtype)?;
    let x = cx.cast(x, dtype)?;
    let x = cx.insert_axes(x, &[axis])?;
    let below = cx.compare(CompareFn::Lt, x, bounds)?;
    let past = cx.unary(crate::loops::UnaryFn::Not, below)?;
    let past = cx.cast(past, DType::I32)?;
    let bucket = cx.add(Reduce { f: BinaryFn::Add, axes: vec![axis] }, &[past])?;
    one(cx.drop_axes(bucket, &[axis])?)
}

/// The values, or a fault where one is negative.
pub(super) fn not_negative(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let zero = cx.scalar(DType::I64, 0.0)?;
    let bad = cx.binary(BinaryFn::Min, x, zero)?;
    let zeros = cx.broadcast_to(zero, &[Dim::one()])?;
    let checked = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[zeros, bad])?;
    cx.add_(x, checked)
}

/// How often each number below the size occurs, or the sum of its weights, or whether it occurs; greater numbers do
/// not count. Rows of a matrix are counted apart by `DenseBincount`.
fn bincount(cx: &mut Import) -> Outputs {
    let (x, weights) = (cx.arg(0)?, cx.arg(2)?);
    let size = cx.dim(1, "the number of bins")?;
    cx.require_at_most(&Dim::zero(), &size, "the number of bins")?;
    let dense = cx.node.op == "DenseBincount";
    let binary = dense && cx.node.attr_bool("binary_output")?;
    let dtype = cx.dtype(weights);
    let mut shape = cx.shape(x);
    if !dense {
        shape = vec![crate::tensor::count(&shape)];
    } else if shape.is_empty() || shape.len() > 2 {
        return Err(format!("expected rank 1 or 2, got {}", shape.len()).into());
    }
    let weighted = !cx.shape(weights).iter().any(|d| d.is(0));
    let x = cx.cast(x, DType::I64)?;
    let x = cx.reshape(x, &shape)?;
    let x = not_negative(cx, x)?;
    let axis = shape.len();
    let x = cx.insert_axes(x, &[axis - 1])?;
    let bin = cx.add(Iota { shape: vec![size, Dim::one()], axis: 0, dtype: DType::I64 }, &[])?;
    let hit = cx.compare(CompareFn::Eq, x, bin)?;
    let found = if binary {
        let any = cx.add(Reduce { f: BinaryFn::Or, axes: vec![axis] }, &[hit])?;
        cx.cast(any, dtype)?
    } else {
        let weight = if weighted {
            let weights = cx.reshape(weights, &shape)?;
            cx.insert_axes(weights, &[axis - 1])?
        } else {
            cx.scalar(dtype, 1.0)?
        };
        let zero = cx.scalar(dtype, 0.0)?;
        let counted = cx.select(hit, weight, zero)?;
        cx.add(Reduce { f: BinaryFn::Add, axes: vec![axis] }, &[counted])?
    };
    one(cx.drop_axes(found, &[axis])?)
}
