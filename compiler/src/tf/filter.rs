//! Where elements hold: the results have as many rows as data say.

use super::{Import, Outputs, Stop, TfOp, Value, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{ArgReduce, Gather, Iota, Reduce, Scan, Scatter},
    tensor::{DType, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Where", import: where_ },
    TfOp { name: "Unique", import: |cx| unique(cx, false) },
    TfOp { name: "UniqueV2", import: |cx| unique(cx, true) },
    TfOp { name: "UniqueWithCounts", import: |cx| unique(cx, false) },
    TfOp { name: "UniqueWithCountsV2", import: |cx| unique(cx, true) },
    TfOp { name: "ListDiff", import: list_diff },
];

/// The indices of what is not 0, in row-major order, one row for each. NaN is not 0.
fn where_(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    if shape.is_empty() {
        return Err("a scalar has no indices".into());
    }
    let mask = if cx.dtype(x) == DType::Bool {
        x
    } else {
        let zero = cx.scalar_like(x, 0.0)?;
        cx.compare(CompareFn::Ne, x, zero)?
    };
    let mask = cx.reshape(mask, &[count(&shape)])?;
    let (_, places) = cx.places(mask)?;
    let mut columns = vec![];
    for axis in 0..shape.len() {
        let index = index_on(cx, places, &shape, axis)?;
        columns.push(cx.insert_axes(index, &[1])?);
    }
    one(cx.concat(&columns, 1)?)
}

/// The index on one axis of places in a tensor.
pub(super) fn index_on(cx: &mut Import, places: NodeId, shape: &[Dim], axis: usize) -> Result<NodeId> {
    let inner = count(&shape[axis + 1..]);
    let outer = if inner.is(1) {
        places
    } else {
        let inner = cx.dim_scalar(&inner, DType::I64)?;
        cx.div(places, inner)?
    };
    if shape[..axis].iter().all(|n| n.is(1)) {
        return Ok(outer);
    }
    let extent = cx.dim_scalar(&shape[axis], DType::I64)?;
    cx.binary(BinaryFn::Rem, outer, extent)
}

/// What differs, in the order in which it first occurs; where each element is among that; and how often it occurs. Every
/// element is compared with every other: NaN equals nothing, and 0.0 equals -0.0. With an axis, elements are slices.
fn unique(cx: &mut Import, has_axis: bool) -> Outputs {
    let x = cx.arg(0)?;
    let rank = cx.rank(x);
    let axis = match has_axis {
        true => match cx.ints(1, "the axis")?[..] {
            [] => None,
            [axis] => Some(super::build::axis(axis, rank)?),
            _ => return Err("more than one axis".into()),
        },
        false => None,
    };
    if axis.is_none() && rank != 1 {
        return Err(format!("expected a vector, got rank {rank}").into());
    }
    let axis = axis.unwrap_or(0);
    let to = cx.attr_dtype("out_idx")?;
    let n = cx.shape(x)[axis].clone();
    let first = first_equal(cx, x, axis)?;
    let place = cx.add(Iota { shape: vec![n.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let is_first = cx.compare(CompareFn::Eq, first, place)?;
    let (k, places) = cx.places(is_first)?;
    let y = cx.add(Gather { axis, batch: 0, checked: false }, &[x, places])?;
    let ones = cx.cast(is_first, DType::I64)?;
    let rank = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false }, &[ones])?;
    let index = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[rank, first])?;
    let mut outputs: Vec<Value> = vec![y.into(), cx.cast(index, to)?.into()];
    if cx.node.op.starts_with("UniqueWithCounts") {
        let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
        let start = cx.broadcast_to(zero, std::slice::from_ref(&k))?;
        let units = cx.broadcast_to(unit, std::slice::from_ref(&n))?;
        let index = cx.insert_axes(index, &[1])?;
        let counts = cx.add(Scatter::checked(Combine::Add, 1), &[start, index, units])?;
        outputs.push(cx.cast(counts, to)?.into());
    }
    Ok(outputs)
}

/// For each slice along an axis, the first one that is equal, or itself.
fn first_equal(cx: &mut Import, x: NodeId, axis: usize) -> Result<NodeId> {
    let shape = cx.shape(x);
    let n = shape[axis].clone();
    let order: Vec<usize> = std::iter::once(axis).chain((0..shape.len()).filter(|&a| a != axis)).collect();
    let rows = cx.transpose(x, &order)?;
    let inner = count(&order[1..].iter().map(|&a| shape[a].clone()).collect::<Vec<_>>());
    let equal = if shape.len() == 1 {
        let (a, b) = (cx.reshape(rows, &[n.clone(), Dim::one()])?, cx.reshape(rows, &[Dim::one(), n.clone()])?);
        table(cx, a, b, &[n.clone(), n.clone()])?
    } else {
        let a = cx.reshape(rows, &[n.clone(), Dim::one(), inner.clone()])?;
        let b = cx.reshape(rows, &[Dim::one(), n.clone(), inner.clone()])?;
        let equal = table(cx, a, b, &[n.clone(), n.clone(), inner])?;
        let equal = cx.add(Reduce { f: BinaryFn::And, axes: vec![2] }, &[equal])?;
        cx.drop_axes(equal, &[2])?
    };
    let row = cx.add(Iota { shape: vec![n.clone(), Dim::one()], axis: 0, dtype: DType::I64 }, &[])?;
    let column = cx.add(Iota { shape: vec![Dim::one(), n.clone()], axis: 1, dtype: DType::I64 }, &[])?;
    let itself = table(cx, row, column, &[n.clone(), n])?;
    let equal = cx.or(equal, itself)?;
    let equal = cx.cast(equal, DType::I32)?;
    let first = cx.add(ArgReduce { max: true, axis: 1, to: DType::I64 }, &[equal])?;
    cx.drop_axes(first, &[1])
}

/// The elements of a vector that another one does not have, and their places.
fn list_diff(cx: &mut Import) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    let ([n], [m]) = (&cx.shape(x)[..], &cx.shape(y)[..]) else {
        return Err(format!("expected two vectors, got ranks {} and {}", cx.rank(x), cx.rank(y)).into());
    };
    let to = cx.attr_dtype("out_idx")?;
    let (a, b) = (cx.reshape(x, &[n.clone(), Dim::one()])?, cx.reshape(y, &[Dim::one(), m.clone()])?);
    let equal = table(cx, a, b, &[n.clone(), m.clone()])?;
    let known = cx.add(Reduce { f: BinaryFn::Or, axes: vec![1] }, &[equal])?;
    let known = cx.drop_axes(known, &[1])?;
    let new = cx.unary(UnaryFn::Not, known)?;
    let (_, places) = cx.places(new)?;
    let rest = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[x, places])?;
    Ok(vec![rest.into(), cx.cast(places, to)?.into()])
}

/// Whether elements are equal, in a table of this shape.
fn table(cx: &mut Import, a: NodeId, b: NodeId, shape: &[Dim]) -> Result<NodeId> {
    let (a, b) = (cx.broadcast_to(a, shape)?, cx.broadcast_to(b, shape)?);
    cx.compare(CompareFn::Eq, a, b)
}
