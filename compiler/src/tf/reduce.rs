//! Reductions over axes that an operand names, arg-reductions, running folds and the greatest elements.

use super::{
    Import, Outputs, TfOp,
    build::{one, widened},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, UnaryFn},
    op::{ArgReduce, Gather, Reduce, Scan, TopK},
    tensor::DType,
};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Sum", import: |cx| plain(cx, BinaryFn::Add) },
    TfOp { name: "Prod", import: |cx| plain(cx, BinaryFn::Mul) },
    TfOp { name: "Max", import: |cx| plain(cx, BinaryFn::Max) },
    TfOp { name: "Min", import: |cx| plain(cx, BinaryFn::Min) },
    TfOp { name: "All", import: |cx| plain(cx, BinaryFn::And) },
    TfOp { name: "Any", import: |cx| plain(cx, BinaryFn::Or) },
    TfOp { name: "Mean", import: mean },
    TfOp { name: "EuclideanNorm", import: norm },
    TfOp { name: "ArgMax", import: |cx| arg(cx, true) },
    TfOp { name: "ArgMin", import: |cx| arg(cx, false) },
    TfOp { name: "Cumsum", import: |cx| scan(cx, BinaryFn::Add) },
    TfOp { name: "Cumprod", import: |cx| scan(cx, BinaryFn::Mul) },
    TfOp { name: "TopKV2", import: top_k_v2 },
    TfOp { name: "TopK", import: top_k_v1 },
];

/// Drops the reduced axes unless the attribute keeps them.
fn shaped(cx: &mut Import, y: NodeId, axes: &[usize]) -> Outputs {
    one(if cx.node.attr_bool("keep_dims")? { y } else { cx.drop_axes(y, axes)? })
}

fn plain(cx: &mut Import, f: BinaryFn) -> Outputs {
    let x = cx.arg(0)?;
    let axes = cx.axes(1, cx.rank(x))?;
    let y = fold(cx, f, x, &axes)?;
    shaped(cx, y, &axes)
}

fn fold(cx: &mut Import, f: BinaryFn, x: NodeId, axes: &[usize]) -> Result<NodeId, super::Stop> {
    if axes.is_empty() { Ok(x) } else { cx.add(Reduce { f, axes: axes.to_vec() }, &[x]) }
}

/// Integers are summed in 64 bits and divided toward zero, 0 where there are none; the half types round the sum before
/// the division.
fn mean(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let dtype = cx.dtype(x);
    let axes = cx.axes(1, cx.rank(x))?;
    let count = axes.iter().fold(Dim::one(), |n, &a| n * &cx.shape(x)[a]);
    let y = if dtype.is_float() {
        let sum = fold(cx, BinaryFn::Add, x, &axes)?;
        let n = cx.dim_scalar(&count, widened(dtype))?;
        let n = cx.cast(n, dtype)?;
        cx.div(sum, n)?
    } else {
        let wide = if dtype.is_unsigned_int() { DType::U64 } else { DType::I64 };
        let x = cx.cast(x, wide)?;
        let sum = fold(cx, BinaryFn::Add, x, &axes)?;
        let n = cx.dim_scalar(&count.at_least(&Dim::one()), wide)?;
        let quotient = cx.div(sum, n)?;
        cx.cast(quotient, dtype)?
    };
    shaped(cx, y, &axes)
}

/// The root of the sum of squares, without scaling.
fn norm(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let dtype = cx.dtype(x);
    let axes = cx.axes(1, cx.rank(x))?;
    let wide = if dtype.is_float() { widened(dtype) } else { DType::F64 };
    let x = cx.cast(x, wide)?;
    let squares = cx.mul(x, x)?;
    let sum = fold(cx, BinaryFn::Add, squares, &axes)?;
    let root = cx.unary(UnaryFn::Sqrt, sum)?;
    let root = cx.cast(root, dtype)?;
    shaped(cx, root, &axes)
}

/// NaN is passed over; an axis without elements has no extreme.
fn arg(cx: &mut Import, max: bool) -> Outputs {
    let mut x = cx.arg(0)?;
    let axis = cx.axis(1, cx.rank(x))?;
    let to = cx.attr_dtype("output_type")?;
    let extent = cx.shape(x)[axis].clone();
    cx.require_at_most(&Dim::one(), &extent, "the extent of the axis")?;
    if cx.dtype(x) == DType::Bool {
        x = cx.cast(x, DType::U8)?;
    }
    let index = cx.add(ArgReduce { max, axis, to }, &[x])?;
    one(cx.drop_axes(index, &[axis])?)
}

fn scan(cx: &mut Import, f: BinaryFn) -> Outputs {
    let x = cx.arg(0)?;
    let axis = cx.axis(1, cx.rank(x))?;
    let (exclusive, reverse) = (cx.node.attr_bool("exclusive")?, cx.node.attr_bool("reverse")?);
    one(cx.add(Scan { f, axis, exclusive, reverse }, &[x])?)
}

fn top_k_v2(cx: &mut Import) -> Outputs {
    let of = cx.arg(0)?;
    let most = cx.shape(of).last().cloned();
    let k = cx.size(1, "the number of elements", most.as_ref())?;
    let to = cx.attr_dtype("index_type")?;
    top_k(cx, k, to)
}

fn top_k_v1(cx: &mut Import) -> Outputs {
    let k = Dim::from(cx.node.attr_int("k")?);
    top_k(cx, k, DType::I32)
}

/// The greatest first, also where the model does not ask for an order.
fn top_k(cx: &mut Import, k: Dim, to: DType) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    let Some((n, rows)) = shape.split_last() else { return Err("a scalar has no last axis".into()) };
    cx.require_at_most(&k, n, "the number of elements to pick")?;
    let indices = cx.add(TopK { k: k.clone(), to }, &[x])?;
    let axis = rows.len();
    let values = cx.add(Gather { axis, batch: axis, checked: false }, &[x, indices])?;
    Ok(vec![values.into(), indices.into()])
}
