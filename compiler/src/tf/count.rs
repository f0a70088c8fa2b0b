//! Counting values and sorting them into buckets.

use super::{Import, Outputs, TfOp, build::one};
use crate::{
    base::Dim,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Iota, Outside, Reduce, Scatter},
    tensor::{DType, Scalar, Tensor, count},
};

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

/// How often each number below the size occurs, or the sum of its weights, or whether it occurs; greater numbers do
/// not count, and a negative one is a fault. Rows of a matrix are counted apart by `DenseBincount`.
fn bincount(cx: &mut Import) -> Outputs {
    let (x, weights) = (cx.arg(0)?, cx.arg(2)?);
    let size = cx.size(1, "the number of bins", None)?;
    cx.require_at_most(&Dim::zero(), &size, "the number of bins")?;
    let dense = cx.node.op == "DenseBincount";
    let binary = dense && cx.node.attr_bool("binary_output")?;
    let dtype = cx.dtype(weights);
    let shape = cx.shape(x);
    if dense && (shape.is_empty() || shape.len() > 2) {
        return Err(format!("expected rank 1 or 2, got {}", shape.len()).into());
    }
    let all = count(&shape);
    // Rows have bins of their own, one behind the other.
    let rows = if dense { &shape[..shape.len() - 1] } else { &[] };
    let weighted = !cx.shape(weights).iter().any(|d| d.is(0));
    let mut bin = cx.cast(x, DType::I64)?;
    if let [rows] = rows {
        let per_row = cx.dim_scalar(&size, DType::I64)?;
        let row = cx.add(Iota { shape: vec![rows.clone(), Dim::one()], axis: 0, dtype: DType::I64 }, &[])?;
        let first = cx.mul(row, per_row)?;
        let in_row = cx.add_(first, bin)?;
        let (zero, none) = (cx.scalar(DType::I64, 0.0)?, cx.dim_scalar(&(rows * &size), DType::I64)?);
        let (negative, greater) = (cx.compare(CompareFn::Lt, bin, zero)?, cx.compare(CompareFn::Ge, bin, per_row)?);
        let counted = cx.select(greater, none, in_row)?;
        bin = cx.select(negative, bin, counted)?;
    }
    let bin = cx.reshape(bin, &[all.clone(), Dim::one()])?;
    let weight = if weighted && !binary {
        cx.reshape(weights, std::slice::from_ref(&all))?
    } else {
        let unit = cx.scalar(dtype, 1.0)?;
        cx.broadcast_to(unit, std::slice::from_ref(&all))?
    };
    let zero = cx.scalar(dtype, 0.0)?;
    let zeros = cx.broadcast_to(zero, &[count(rows) * &size])?;
    let f = if binary { Combine::Set } else { Combine::Add };
    let scatter = Scatter { f, depth: 1, below: Outside::Fault, above: Outside::Drop };
    let counted = cx.add(scatter, &[zeros, bin, weight])?;
    one(cx.reshape(counted, &[rows, &[size]].concat())?)
}
