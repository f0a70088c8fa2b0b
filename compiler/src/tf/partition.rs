//! Tensors cut into the rows of each partition, and stitched together again.
//!
//! Where constants say which row goes where, parts are tensors. Where the inputs decide, the size of a part is data,
//! and the part is a [`Value::Part`]: a tensor with all rows, and which of them belong to the part. What works on each
//! row alone works on all rows instead, and the stitching takes each row from the tensor of its part. The rows that
//! do not belong to a part hold anything, but cause no fault. Lookups in partitioned variables are made so. What works
//! otherwise gets the rows of the part alone, whose number is a size that data decide.

use super::{Import, Outputs, Stop, TfOp, Value, build::one, index};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Gather, Op, Reduce, Scatter},
    tensor::{DType, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "DynamicPartition", import: partition },
    TfOp { name: "DynamicStitch", import: stitch },
    TfOp { name: "ParallelDynamicStitch", import: stitch },
];

/// The rows of one partition: those where `partitions`, a vector, is `which`, of `count` partitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    partitions: NodeId,
    which: usize,
    count: usize,
}

/// Rows that a stitched tensor may have.
const MAX_STITCHED: i64 = 1 << 27;

/// Operators that make each element of the result of the elements at the same place, without faults.
const POINTWISE: &[&str] = &[
    "Abs",
    "Add",
    "AddV2",
    "BiasAdd",
    "Cast",
    "Elu",
    "Exp",
    "Greater",
    "GreaterEqual",
    "LeakyRelu",
    "Less",
    "LessEqual",
    "Log",
    "Maximum",
    "Minimum",
    "Mul",
    "Neg",
    "OnesLike",
    "RealDiv",
    "Relu",
    "Relu6",
    "Rsqrt",
    "Select",
    "SelectV2",
    "Sigmoid",
    "Softplus",
    "Sqrt",
    "Square",
    "Sub",
    "Tanh",
    "ZerosLike",
];

/// Operators that pass parts on.
const PASSING: &[&str] =
    &["DynamicStitch", "Identity", "IdentityN", "ParallelDynamicStitch", "PreventGradient", "Snapshot", "StopGradient"];

/// The rows of a part, and no others.
pub(super) fn rows_of_part(cx: &mut Import, whole: NodeId, part: Part) -> Result<NodeId> {
    let partitions = checked(cx, part.partitions, part.count)?;
    let which = cx.scalar_like(partitions, part.which as f64)?;
    let mine = cx.compare(CompareFn::Eq, partitions, which)?;
    let (_, places) = cx.places(mine)?;
    cx.add(Gather { axis: 0, batch: 0, checked: true }, &[whole, places])
}

/// Partitions, of which one that is none of so many is a fault.
fn checked(cx: &mut Import, partitions: NodeId, count: usize) -> Result<NodeId> {
    let (zero, last) = (cx.scalar_like(partitions, 0.0)?, cx.scalar_like(partitions, count as f64 - 1.0)?);
    let (above, below) = (cx.compare(CompareFn::Ge, partitions, zero)?, cx.compare(CompareFn::Le, partitions, last)?);
    let inside = cx.and(above, below)?;
    let bad = cx.scalar_like(partitions, -1.0)?;
    let checked = cx.select(inside, partitions, bad)?;
    let known = cx.constant(Tensor::from_scalars(DType::I32, [count], (0..count).map(|n| Scalar::Int(n as i64))))?;
    cx.add(Gather { axis: 0, batch: 0, checked: true }, &[known, checked])
}

/// The outputs of a row: of parts, where it works on each of their rows alone.
pub(super) fn run(cx: &mut Import, row: &TfOp) -> Outputs {
    let found =
        cx.operands.iter().find_map(|v| if let Value::Part(whole, part) = v { Some((*whole, *part)) } else { None });
    let Some((whole, part)) = found else { return (row.import)(cx) };
    let rank = cx.rank(whole);
    match row.name {
        "Gather" | "GatherV2" | "ResourceGather" if matches!(cx.value(1)?, Value::Part(..)) => {
            return lookup(cx, row, whole, part);
        }
        "MatMul" if rank == 2 && matches!(cx.value(1)?, Value::Tensor(_)) && !cx.node.attr_bool("transpose_a")? => {}
        "Sum" if matches!(cx.value(1)?, Value::Tensor(_)) && !cx.axes(1, rank)?.contains(&0) => {}
        "Rank" => {}
        name if POINTWISE.contains(&name) && along_rows(cx, part, rank) => {}
        name if PASSING.contains(&name) => return (row.import)(cx),
        _ => {
            for n in 0..cx.count() {
                if let Value::Part(whole, part) = cx.operands[n] {
                    cx.operands[n] = rows_of_part(cx, whole, part)?.into();
                }
            }
            return (row.import)(cx);
        }
    }
    for n in 0..cx.count() {
        if let Value::Part(whole, _) = cx.operands[n] {
            cx.operands[n] = whole.into();
        }
    }
    let outputs = (row.import)(cx)?;
    let held = |value| match value {
        Value::Tensor(id) if row.name != "Rank" => Value::Part(id, part),
        other => other,
    };
    Ok(outputs.into_iter().map(held).collect())
}

/// Whether every operand is of the same part and rank, or has fewer axes and so none for the rows.
fn along_rows(cx: &Import, part: Part, rank: usize) -> bool {
    cx.operands.iter().all(|value| match *value {
        Value::Part(whole, other) => other == part && cx.rank(whole) == rank,
        Value::Tensor(id) => cx.rank(id) < rank,
        _ => false,
    })
}

/// Rows of a table by the indices of a part; the other rows are the table's first.
fn lookup(cx: &mut Import, row: &TfOp, indices: NodeId, part: Part) -> Outputs {
    cx.operands[1] = indices.into();
    if cx.rank(indices) == 0 || row.name != "Gather" && cx.node.attr_int("batch_dims")? != 0 {
        return Err("a lookup by parts of indices with batch axes is not supported".into());
    }
    let params = match row.name {
        "ResourceGather" => super::flow::variable(cx, 0)?,
        _ => cx.arg(0)?,
    };
    if row.name == "GatherV2" && cx.axis(2, cx.rank(params))? != 0 {
        return Err("a lookup by parts of indices along an inner axis is not supported".into());
    }
    if !cx.shape(params).first().is_some_and(|n| (n - 1).is_nonneg(&crate::base::dim::NoVars)) {
        return Err("a lookup by parts of indices in a table that may be empty is not supported".into());
    }
    let mine = rows_of(cx, part, part.which, indices)?;
    let first = cx.scalar_like(indices, 0.0)?;
    let indices = cx.select(mine, indices, first)?;
    Ok(vec![Value::Part(index::gather(cx, params, indices, 0, 0)?, part)])
}

/// Whether each row is of partition `which`, in a shape that spreads over the rows of `like`.
fn rows_of(cx: &mut Import, part: Part, which: usize, like: NodeId) -> Result<NodeId> {
    let which = cx.scalar_like(part.partitions, which as f64)?;
    let mine = cx.compare(CompareFn::Eq, part.partitions, which)?;
    let mut shape = vec![Dim::one(); cx.rank(like)];
    shape[0] = cx.shape(mine)[0].clone();
    cx.reshape(mine, &shape)
}

/// The leading axes of the data, those of the partitions, become one.
fn partition(cx: &mut Import) -> Outputs {
    let (data, partitions) = (cx.arg(0)?, cx.arg(1)?);
    let count = usize::try_from(cx.node.attr_int("num_partitions")?).unwrap_or(0);
    let (shape, of) = (cx.shape(data), cx.shape(partitions));
    if of.len() > shape.len() {
        return Err(format!("partitions of rank {} do not fit data of rank {}", of.len(), shape.len()).into());
    }
    for (a, b) in shape.iter().zip(&of) {
        cx.require_equal(a, b, "the extents of data and partitions")?;
    }
    let rows = crate::tensor::count(&of);
    let data = cx.reshape(data, &[std::slice::from_ref(&rows), &shape[of.len()..]].concat())?;
    let partitions = cx.reshape(partitions, &[rows])?;
    let Some(known) = cx.known_ints(partitions) else {
        return Ok((0..count).map(|which| Value::Part(data, Part { partitions, which, count })).collect());
    };
    if let Some(bad) = known.iter().find(|&&p| usize::try_from(p).map_or(true, |p| p >= count)) {
        return Err(format!("there is no partition {bad} among {count}").into());
    }
    let part = |which: usize| {
        let rows: Vec<i64> = (0..known.len()).filter(|&n| known[n] == which as i64).map(|n| n as i64).collect();
        Ok(rows_at(cx, data, &rows)?.into())
    };
    (0..count).map(part).collect()
}

/// The rows of `x` at these places.
fn rows_at(cx: &mut Import, x: NodeId, rows: &[i64]) -> Result<NodeId> {
    let rows = cx.constant(Tensor::from_i64([rows.len()], rows))?;
    cx.add(Gather { axis: 0, batch: 0, checked: false }, &[x, rows])
}

fn stitch(cx: &mut Import) -> Outputs {
    let half = cx.count() / 2;
    if half == 0 || !cx.count().is_multiple_of(2) {
        return Err(format!("{} operands are no indices and data", cx.count()).into());
    }
    if let Some(stitched) = stitch_parts(cx, half)? {
        return one(stitched);
    }
    for n in 0..cx.count() {
        if let Value::Part(whole, part) = cx.operands[n] {
            cx.operands[n] = rows_of_part(cx, whole, part)?.into();
        }
    }
    stitch_tensors(cx, half)
}

/// Indices that constants give: each row of the result is the last one of the data with its index, or zeros.
fn stitch_tensors(cx: &mut Import, half: usize) -> Outputs {
    let (mut places, mut rows): (Vec<i64>, Vec<NodeId>) = (vec![], vec![]);
    let (mut given, mut by_data) = (vec![], false);
    let mut inner: Option<Vec<Dim>> = None;
    for n in 0..half {
        let (indices, data) = (cx.arg(n)?, cx.arg(half + n)?);
        let (outer, shape) = (cx.shape(indices), cx.shape(data));
        if outer.len() > shape.len() {
            return Err(format!("indices of rank {} do not fit data of rank {}", outer.len(), shape.len()).into());
        }
        for (a, b) in outer.iter().zip(&shape) {
            cx.require_equal(a, b, "the extents of indices and data")?;
        }
        let rest = inner.get_or_insert_with(|| shape[outer.len()..].to_vec()).clone();
        if rest.len() != shape.len() - outer.len() {
            return Err("the rows of the data are of different ranks".into());
        }
        for (a, b) in rest.iter().zip(&shape[outer.len()..]) {
            cx.require_equal(a, b, "the extents of the data's rows")?;
        }
        let number = crate::tensor::count(&outer);
        let flat = cx.reshape(indices, std::slice::from_ref(&number))?;
        given.push(cx.cast(flat, DType::I64)?);
        rows.push(cx.reshape(data, &[&[number], &rest[..]].concat())?);
        match cx.known_ints(indices) {
            Some(known) => places.extend(known),
            None => by_data = true,
        }
    }
    let rest = inner.unwrap_or_default();
    if by_data {
        return stitch_by_data(cx, &given, &rows, &rest);
    }
    let size = places.iter().max().map_or(0, |max| max.saturating_add(1));
    if places.iter().any(|&p| p < 0) || size > MAX_STITCHED {
        return Err(format!("the indices {places:?} are out of range").into());
    }
    let all = cx.concat(&rows, 0)?;
    let none = places.len() as i64;
    let mut from = vec![none; size as usize];
    places.iter().enumerate().for_each(|(n, &place)| from[place as usize] = n as i64);
    let all = if from.contains(&none) {
        let zero = cx.scalar_like(all, 0.0)?;
        let (low, mut high) = (vec![Dim::zero(); cx.rank(all)], vec![Dim::zero(); cx.rank(all)]);
        high[0] = Dim::one();
        cx.pad(all, zero, &low, &high)?
    } else {
        all
    };
    one(rows_at(cx, all, &from)?)
}

/// The same by indices that data decide: the result is as long as the greatest one says.
fn stitch_by_data(cx: &mut Import, indices: &[NodeId], rows: &[NodeId], rest: &[Dim]) -> Outputs {
    let (indices, rows) = (cx.concat(indices, 0)?, cx.concat(rows, 0)?);
    let (unit, zero) = (cx.scalar(DType::I64, 1.0)?, cx.scalar(DType::I64, 0.0)?);
    let after = cx.add_(indices, unit)?;
    let zero = cx.reshape(zero, &[Dim::one()])?;
    let after = cx.concat(&[zero, after], 0)?;
    let number = cx.add(Reduce { f: BinaryFn::Max, axes: vec![0] }, &[after])?;
    let number = cx.size_at(number, 0, "the number of rows", None)?;
    let none = cx.scalar_like(rows, 0.0)?;
    let start = cx.broadcast_to(none, &[&[number], rest].concat())?;
    let indices = cx.insert_axes(indices, &[1])?;
    one(cx.add(Scatter::checked(Combine::Set, 1), &[start, indices, rows])?)
}

/// Each row back in its place, from the tensor of its part: where the parts of one partition come together, each once and in
/// the order in which they lay.
fn stitch_parts(cx: &mut Import, half: usize) -> Result<Option<NodeId>> {
    let mut wholes: Vec<Option<NodeId>> = vec![None; half];
    let (mut same, mut order) = (None, None);
    for n in 0..half {
        let (Value::Part(places, of), Value::Part(whole, part)) = (cx.value(n)?, cx.value(half + n)?) else {
            return Ok(None);
        };
        let fits = of == part && part.count == half && *same.get_or_insert(part.partitions) == part.partitions;
        if !fits || *order.get_or_insert(places) != places || wholes[part.which].replace(whole).is_some() {
            return Ok(None);
        }
    }
    let wholes: Vec<NodeId> = wholes.into_iter().flatten().collect();
    let (Some(partitions), Some(order)) = (same, order) else { return Ok(None) };
    if !counts_from_zero(cx, order) {
        return Ok(None);
    }
    let part = Part { partitions, which: 0, count: half };
    if let Some(joined) = joined_lookup(cx, part, &wholes)? {
        return Ok(Some(joined));
    }
    let partitions = checked(cx, partitions, half)?;
    let part = Part { partitions, ..part };
    let mut stitched = wholes[0];
    for (which, &whole) in wholes.iter().enumerate().skip(1) {
        let mine = rows_of(cx, part, which, whole)?;
        stitched = cx.select(mine, whole, stitched)?;
    }
    Ok(Some(stitched))
}

/// Whether the elements are 0, 1, 2 and so on.
fn counts_from_zero(cx: &Import, x: NodeId) -> bool {
    match cx.graph.op(x) {
        Op::Iota(iota) => iota.shape.len() == 1,
        Op::Const(t) => t.rank() == 1 && t.to_i64s().is_some_and(|all| all.into_iter().eq(0..t.count() as i64)),
        _ => false,
    }
}

/// Lookups in constant tables are one lookup in all of them joined.
fn joined_lookup(cx: &mut Import, part: Part, wholes: &[NodeId]) -> Result<Option<NodeId>> {
    let (mut tables, mut at, mut before) = (vec![], None, Dim::zero());
    for (which, &whole) in wholes.iter().enumerate() {
        let node = cx.graph.node(whole);
        let (Op::Gather(Gather { axis: 0, batch: 0, checked: true }), &[table, index]) = (&node.op, &node.inputs[..])
        else {
            return Ok(None);
        };
        if cx.graph.as_const(table).is_none()
            || cx.rank(index) != 1
            || !tables.iter().all(|&t| cx.shape(t)[1..] == cx.shape(table)[1..])
        {
            return Ok(None);
        }
        let index = cx.cast(index, DType::I64)?;
        let extent = cx.shape(table)[0].clone();
        let (zero, end) = (cx.scalar(DType::I64, 0.0)?, cx.dim_scalar(&extent, DType::I64)?);
        let (above, below) = (cx.compare(CompareFn::Ge, index, zero)?, cx.compare(CompareFn::Lt, index, end)?);
        let mine = rows_of(cx, part, which, index)?;
        let inside = cx.and(above, below)?;
        let taken = cx.and(mine, inside)?;
        let offset = cx.dim_scalar(&before, DType::I64)?;
        let place = cx.binary(BinaryFn::Add, index, offset)?;
        // What no table has stays a fault.
        let other = match at {
            Some(at) => at,
            None => cx.scalar(DType::I64, -1.0)?,
        };
        at = Some(cx.select(taken, place, other)?);
        before = before + extent;
        tables.push(table);
    }
    let Some(at) = at else { return Ok(None) };
    let joined = cx.concat(&tables, 0)?;
    Ok(Some(cx.add(Gather { axis: 0, batch: 0, checked: true }, &[joined, at])?))
}
