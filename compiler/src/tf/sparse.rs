//! Sparse tensors: a row of indices and a value for each element that is there, and the dense extents, all of which are data.
//!
//! What puts elements in order finds the place of each: where they are in order already, it is where they are; else it is
//! the number of elements that come before, for which every element is compared with every other one.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Gather, Iota, Outside, Reduce, Scan, Scatter},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "RaggedFillEmptyRows", import: fill_empty_ragged_rows },
    TfOp { name: "RaggedFillEmptyRowsGrad", import: fill_empty_rows_grad },
    TfOp { name: "SparseFillEmptyRows", import: fill_empty_rows },
    TfOp { name: "SparseFillEmptyRowsGrad", import: fill_empty_rows_grad },
    TfOp { name: "SparseReorder", import: reorder },
    TfOp { name: "SparseReshape", import: reshape },
    TfOp { name: "SparseToDense", import: to_dense },
    TfOp { name: "SparseTensorDenseMatMul", import: times_dense },
];

/// Indices `i64[n, rank]`, of a rank that is known.
pub(super) fn indices(cx: &mut Import, n: usize) -> Result<(NodeId, Dim, usize)> {
    let x = cx.arg(n)?;
    let [number, rank] = &cx.shape(x)[..] else {
        return Err(format!("expected a matrix of indices, got rank {}", cx.rank(x)).into());
    };
    let Some(known) = rank.as_int() else {
        return Err(format!("rows of {rank} indices, a number that is not known, are not supported").into());
    };
    Ok((cx.cast(x, DType::I64)?, number.clone(), known as usize))
}

/// Operand `n`, a vector.
pub(super) fn vector(cx: &Import, n: usize, what: &str) -> Result<NodeId> {
    let x = cx.arg(n)?;
    match cx.rank(x) {
        1 => Ok(x),
        rank => Err(format!("expected a vector of {what}, got rank {rank}").into()),
    }
}

/// Operand `n`, which has one element for each of so many rows of indices.
pub(super) fn values(cx: &mut Import, n: usize, number: &Dim) -> Result<NodeId> {
    let x = vector(cx, n, "values")?;
    cx.require_equal(&cx.shape(x)[0].clone(), number, "the numbers of values and of indices")?;
    Ok(x)
}

/// Operand `n`, dense extents of so many axes.
pub(super) fn extents(cx: &mut Import, n: usize, rank: usize) -> Result<NodeId> {
    let x = vector(cx, n, "extents")?;
    cx.require_equal(&cx.shape(x)[0].clone(), &rank.into(), "the numbers of extents and of indices in a row")?;
    cx.cast(x, DType::I64)
}

/// One column of indices, a vector.
pub(super) fn column(cx: &mut Import, indices: NodeId, at: usize) -> Result<NodeId> {
    let column = cx.slice_axis(indices, 1, at.into(), Dim::one())?;
    cx.drop_axes(column, &[1])
}

pub(super) fn columns(cx: &mut Import, indices: NodeId, rank: usize) -> Result<Vec<NodeId>> {
    (0..rank).map(|at| column(cx, indices, at)).collect()
}

/// A sparse tensor: indices `i64[number, rank]`, values and dense extents `i64[rank]`.
pub(super) struct Sparse {
    pub at: NodeId,
    pub values: NodeId,
    pub shape: NodeId,
    pub number: Dim,
    pub rank: usize,
}

impl Sparse {
    /// The one that these operands are.
    pub fn operand(cx: &mut Import, [at, of_values, shape]: [usize; 3]) -> Result<Sparse> {
        let (at, number, rank) = indices(cx, at)?;
        let (values, shape) = (values(cx, of_values, &number)?, extents(cx, shape, rank)?);
        Ok(Sparse { at, values, shape, number, rank })
    }
}

/// `x`, provided that all indices are within these dense extents.
pub(super) fn inside(cx: &mut Import, at: NodeId, extents: NodeId, x: NodeId) -> Result<NodeId> {
    let zero = cx.scalar(DType::I64, 0.0)?;
    let (above, below) = (cx.compare(CompareFn::Ge, at, zero)?, cx.compare(CompareFn::Lt, at, extents)?);
    let fits = cx.and(above, below)?;
    let fits = cx.add(Reduce { f: BinaryFn::And, axes: vec![0, 1] }, &[fits])?;
    let fits = cx.reshape(fits, &[])?;
    cx.provided(x, fits, "all indices are within the dense extents")
}

/// One element of a vector, a scalar.
pub(super) fn element(cx: &mut Import, x: NodeId, at: usize) -> Result<NodeId> {
    let element = cx.slice_axis(x, 0, at.into(), Dim::one())?;
    cx.reshape(element, &[])
}

/// A vector of scalars.
pub(super) fn packed(cx: &mut Import, scalars: &[NodeId]) -> Result<NodeId> {
    let elements = scalars.iter().map(|&x| cx.reshape(x, &[Dim::one()])).collect::<Result<Vec<_>>>()?;
    cx.concat(&elements, 0)
}

/// `x[indices]`, of indices that are all there.
pub(super) fn picked(cx: &mut Import, x: NodeId, indices: NodeId) -> Result<NodeId> {
    cx.add(Gather { axis: 0, batch: 0, checked: false }, &[x, indices])
}

/// A matrix of columns.
pub(super) fn matrix(cx: &mut Import, columns: &[NodeId]) -> Result<NodeId> {
    let columns = columns.iter().map(|&x| cx.insert_axes(x, &[1])).collect::<Result<Vec<_>>>()?;
    cx.concat(&columns, 1)
}

/// A vector of numbers from 0 on.
pub(super) fn numbered(cx: &mut Import, n: &Dim) -> Result<NodeId> {
    cx.add(Iota { shape: vec![n.clone()], axis: 0, dtype: DType::I64 }, &[])
}

/// `f` of all elements of a vector, a scalar.
pub(super) fn folded(cx: &mut Import, f: BinaryFn, x: NodeId) -> Result<NodeId> {
    let folded = cx.add(Reduce { f, axes: vec![0] }, &[x])?;
    cx.reshape(folded, &[])
}

/// Whether rows of numbers come before others, column by column; `or_equal`, also where they are equal.
fn less(cx: &mut Import, a: &[NodeId], b: &[NodeId], or_equal: bool) -> Result<NodeId> {
    let mut less = cx.scalar(DType::Bool, f64::from(u8::from(or_equal)))?;
    for (&a, &b) in a.iter().zip(b).rev() {
        let (here, equal) = (cx.compare(CompareFn::Lt, a, b)?, cx.compare(CompareFn::Eq, a, b)?);
        let later = cx.and(equal, less)?;
        less = cx.or(here, later)?;
    }
    Ok(less)
}

/// Whether each row but the first comes after the one before it, or is equal and `or_equal`: `bool[n]`.
pub(super) fn follows(cx: &mut Import, columns: &[NodeId], n: &Dim, or_equal: bool) -> Result<NodeId> {
    let (at, unit, zero) = (numbered(cx, n)?, cx.scalar(DType::I64, 1.0)?, cx.scalar(DType::I64, 0.0)?);
    let before = cx.sub(at, unit)?;
    let before = cx.binary(BinaryFn::Max, before, zero)?;
    let mut earlier = vec![];
    for &column in columns {
        earlier.push(cx.add(Gather { axis: 0, batch: 0, checked: false }, &[column, before])?);
    }
    let follows = less(cx, &earlier, columns, or_equal)?;
    let first = cx.compare(CompareFn::Eq, at, zero)?;
    cx.or(follows, first)
}

/// The place of each of `n` rows of numbers among all of them in order, `i64[n]`; equal ones stay in theirs.
pub(super) fn places(cx: &mut Import, columns: &[NodeId], n: &Dim) -> Result<NodeId> {
    let follows = follows(cx, columns, n, true)?;
    let ordered = folded(cx, BinaryFn::And, follows)?;
    let there = |cx: &mut Import, _: &[NodeId]| numbered(cx, n);
    cx.either(ordered, columns, there, |cx, columns| {
        let keys = [columns, &[numbered(cx, n)?]].concat();
        let (mut down, mut across) = (vec![], vec![]);
        for &key in &keys {
            let (row, column) = (cx.insert_axes(key, &[1])?, cx.insert_axes(key, &[0])?);
            down.push(cx.broadcast_to(row, &[n.clone(), n.clone()])?);
            across.push(cx.broadcast_to(column, &[n.clone(), n.clone()])?);
        }
        let before = less(cx, &across, &down, false)?;
        let before = cx.cast(before, DType::I64)?;
        let count = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1] }, &[before])?;
        cx.drop_axes(count, &[1])
    })
}

/// Rows of numbers in order, and which of them are equal.
pub(super) struct Groups {
    /// How many different rows there are.
    pub number: Dim,
    /// The columns of these, in order.
    pub columns: Vec<NodeId>,
    /// Which of them each row is: `i64[n]`.
    pub of: NodeId,
}

/// Which of `n` rows of numbers are equal.
pub(super) fn grouped(cx: &mut Import, columns: &[NodeId], n: &Dim) -> Result<Groups> {
    let place = places(cx, columns, n)?;
    let mut sorted = vec![];
    for &column in columns {
        sorted.push(cx.moved(n, place, column)?);
    }
    // What does not come after the row before it is equal to it.
    let is_new = follows(cx, &sorted, n, false)?;
    let (number, firsts) = cx.places(is_new)?;
    let ones = cx.cast(is_new, DType::I64)?;
    let group = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: false, reverse: false }, &[ones])?;
    let unit = cx.scalar(DType::I64, 1.0)?;
    let group = cx.sub(group, unit)?;
    let of = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[group, place])?;
    let mut columns = vec![];
    for column in sorted {
        columns.push(cx.add(Gather { axis: 0, batch: 0, checked: false }, &[column, firsts])?);
    }
    Ok(Groups { number, columns, of })
}

/// Elements in the order of their rows, and for each row without any one of the default value, in column 0; which rows are
/// those; where each element has gone.
fn fill_empty_rows(cx: &mut Import) -> Outputs {
    let (indices, number, rank) = indices(cx, 0)?;
    let (values, shape, default) =
        (values(cx, 1, &number)?, vector(cx, 2, "extents")?, cx.scalar_arg(3, "the default value")?);
    cx.require_at_most(&Dim::one(), &cx.shape(shape)[0].clone(), "the number of extents")?;
    if rank == 0 {
        return Err("rows of no indices are not supported".into());
    }
    let rows = cx.size_at(shape, 0, "the number of rows", None)?;
    cx.require_at_most(&Dim::zero(), &rows, "the number of rows")?;

    let [indices, values, empty, place] = without_empty_rows(cx, [indices, values, default], &number, rank, &rows)?;
    Ok(vec![indices.into(), values.into(), empty.into(), place.into()])
}

/// The same of elements that have nothing but their rows.
fn fill_empty_ragged_rows(cx: &mut Import) -> Outputs {
    let ids = vector(cx, 0, "row ids")?;
    let number = cx.shape(ids)[0].clone();
    let (values, rows) = (values(cx, 1, &number)?, cx.size(2, "the number of rows", None)?);
    cx.scalar_arg(2, "the number of rows")?;
    let default = cx.scalar_arg(3, "the default value")?;
    cx.require_at_most(&Dim::zero(), &rows, "the number of rows")?;
    let ids = cx.cast(ids, DType::I64)?;
    let ids = cx.insert_axes(ids, &[1])?;
    let [ids, values, empty, place] = without_empty_rows(cx, [ids, values, default], &number, 1, &rows)?;
    Ok(vec![cx.drop_axes(ids, &[1])?.into(), values.into(), empty.into(), place.into()])
}

/// What [`fill_empty_rows`] gives, of `number` elements with `rank` indices each.
fn without_empty_rows(
    cx: &mut Import,
    [indices, values, default]: [NodeId; 3],
    number: &Dim,
    rank: usize,
    rows: &Dim,
) -> Result<[NodeId; 4]> {
    let row = column(cx, indices, 0)?;
    let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let none = cx.broadcast_to(zero, std::slice::from_ref(rows))?;
    let ones = cx.broadcast_to(unit, std::slice::from_ref(number))?;
    let to = cx.insert_axes(row, &[1])?;
    let counts = cx.add(Scatter::checked(Combine::Add, 1), &[none, to, ones])?;
    let empty = cx.compare(CompareFn::Eq, counts, zero)?;
    let added = cx.cast(empty, DType::I64)?;
    let all_added = folded(cx, BinaryFn::Add, added)?;
    let name = cx.node.name.clone();
    let whole = number + cx.bind(all_added, Some(rows), &name, "the number of empty rows")?;

    // What was added before a row's elements moves them on.
    let exclusive = Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false };
    let added_before = cx.add(exclusive.clone(), &[added])?;
    let further = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[added_before, row])?;
    let place = places(cx, &[row], number)?;
    let place = cx.add_(place, further)?;
    let held = cx.binary(BinaryFn::Max, counts, unit)?;
    let first = cx.add(exclusive, &[held])?;

    let all_rows = numbered(cx, rows)?;
    let filler = cx.insert_axes(all_rows, &[1])?;
    let filler = cx.pad(filler, zero, &[Dim::zero(), Dim::zero()], &[Dim::zero(), (rank - 1).into()])?;
    let filler = cx.moved(&whole, first, filler)?;
    let indices = put(cx, filler, place, indices)?;
    let filler = cx.broadcast_to(default, std::slice::from_ref(&whole))?;
    let values = put(cx, filler, place, values)?;
    Ok([indices, values, empty, place])
}

/// `base` with `rows` at places that are all there.
fn put(cx: &mut Import, base: NodeId, places: NodeId, rows: NodeId) -> Result<NodeId> {
    let to = cx.insert_axes(places, &[1])?;
    let scatter = Scatter { f: Combine::Set, depth: 1, below: Outside::Drop, above: Outside::Drop };
    cx.add(scatter, &[base, to, rows])
}

/// What comes of the values, each where its element went; and the sum of what comes of all others, which had the default.
fn fill_empty_rows_grad(cx: &mut Import) -> Outputs {
    let (map, given) = (vector(cx, 0, "places")?, vector(cx, 1, "values")?);
    let of_values = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[given, map])?;
    let n = cx.shape(given)[0].clone();
    let (no, yes, zero) = (cx.scalar(DType::Bool, 0.0)?, cx.scalar(DType::Bool, 1.0)?, cx.scalar_like(given, 0.0)?);
    let seen = cx.broadcast_to(no, std::slice::from_ref(&n))?;
    let seeing = cx.broadcast_to(yes, &cx.shape(map))?;
    let to = cx.insert_axes(map, &[1])?;
    let seen = cx.add(Scatter::checked(Combine::Set, 1), &[seen, to, seeing])?;
    let rest = cx.select(seen, zero, given)?;
    let rest = folded(cx, BinaryFn::Add, rest)?;
    Ok(vec![of_values.into(), rest.into()])
}

/// Elements in row-major order. Nobody asks what the dense extents are.
fn reorder(cx: &mut Import) -> Outputs {
    let (indices, number, rank) = indices(cx, 0)?;
    let values = values(cx, 1, &number)?;
    extents(cx, 2, rank)?;
    let columns = columns(cx, indices, rank)?;
    let place = places(cx, &columns, &number)?;
    Ok(vec![cx.moved(&number, place, indices)?.into(), cx.moved(&number, place, values)?.into()])
}

/// The elements of a tensor of other extents with as many elements, of which one may be left open, as -1.
fn reshape(cx: &mut Import) -> Outputs {
    let (indices, number, rank) = indices(cx, 0)?;
    let (from, to) = (extents(cx, 1, rank)?, vector(cx, 2, "extents")?);
    let Some(new_rank) = cx.shape(to)[0].as_int() else {
        return Err("a shape of a number of extents that is not known is not supported".into());
    };
    let (zero, unit, open) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?, cx.scalar(DType::I64, -1.0)?);
    let is_open = cx.compare(CompareFn::Eq, to, open)?;
    let (given, opens) = (cx.select(is_open, unit, to)?, cx.cast(is_open, DType::I64)?);
    let (whole, known, opens) =
        (folded(cx, BinaryFn::Mul, from)?, folded(cx, BinaryFn::Mul, given)?, folded(cx, BinaryFn::Add, opens)?);
    let divisor = cx.binary(BinaryFn::Max, known, unit)?;
    let rest = cx.div(whole, divisor)?;
    let sizes = cx.select(is_open, rest, to)?;

    let one_open = cx.compare(CompareFn::Le, opens, unit)?;
    let sized = cx.compare(CompareFn::Gt, known, zero)?;
    let none_open = cx.compare(CompareFn::Eq, opens, zero)?;
    let divides = cx.or(none_open, sized)?;
    let count = folded(cx, BinaryFn::Mul, sizes)?;
    let fits = cx.compare(CompareFn::Eq, count, whole)?;
    let mut holds = cx.and(one_open, divides)?;
    holds = cx.and(holds, fits)?;
    for shape in [from, given] {
        let fine = cx.compare(CompareFn::Ge, shape, zero)?;
        let fine = folded(cx, BinaryFn::And, fine)?;
        holds = cx.and(holds, fine)?;
    }
    let what = "both shapes have as many elements";
    let sizes = cx.provided(sizes, holds, what)?;
    let mut same = cx.scalar(DType::Bool, 0.0)?;
    if new_rank as usize == rank {
        let equal = cx.compare(CompareFn::Eq, from, sizes)?;
        same = folded(cx, BinaryFn::And, equal)?;
    }
    // Where the extents stay, indices stay whatever they are; else elements need a place.
    let elements = cx.dim_scalar(&number, DType::I64)?;
    let (some, none) = (cx.compare(CompareFn::Gt, whole, zero)?, cx.compare(CompareFn::Eq, elements, zero)?);
    let placed = cx.or(some, none)?;
    let placed = cx.or(placed, same)?;
    let holds = cx.and(holds, placed)?;
    let indices = cx.provided(indices, holds, what)?;
    let place = linear(cx, indices, from, rank, &number)?;
    let mut moved = spread(cx, place, sizes, new_rank as usize)?;
    if new_rank as usize == rank {
        moved = cx.select(same, indices, moved)?;
    }
    Ok(vec![moved.into(), sizes.into()])
}

/// How many elements of a tensor of these extents lie between neighbours on each axis: scalars.
fn strides(cx: &mut Import, shape: NodeId, rank: usize) -> Result<Vec<NodeId>> {
    let mut strides = vec![cx.scalar(DType::I64, 1.0)?];
    for axis in (1..rank).rev() {
        let extent = cx.slice_axis(shape, 0, axis.into(), Dim::one())?;
        let extent = cx.reshape(extent, &[])?;
        strides.push(cx.mul(strides[strides.len() - 1], extent)?);
    }
    strides.reverse();
    Ok(strides)
}

/// The row-major places of `n` rows of indices, `i64[n]`.
fn linear(cx: &mut Import, indices: NodeId, shape: NodeId, rank: usize, n: &Dim) -> Result<NodeId> {
    let zero = cx.scalar(DType::I64, 0.0)?;
    let mut place = cx.broadcast_to(zero, std::slice::from_ref(n))?;
    let strides = strides(cx, shape, rank)?;
    for (axis, &stride) in strides[..rank].iter().enumerate() {
        let index = column(cx, indices, axis)?;
        let part = cx.mul(index, stride)?;
        place = cx.add_(place, part)?;
    }
    Ok(place)
}

/// The indices `i64[n, rank]` of row-major places.
fn spread(cx: &mut Import, mut place: NodeId, shape: NodeId, rank: usize) -> Result<NodeId> {
    let n = cx.shape(place)[0].clone();
    if rank == 0 {
        let zero = cx.scalar(DType::I64, 0.0)?;
        return cx.broadcast_to(zero, &[n, Dim::zero()]);
    }
    let unit = cx.scalar(DType::I64, 1.0)?;
    let mut columns = vec![];
    for stride in strides(cx, shape, rank)? {
        let stride = cx.binary(BinaryFn::Max, stride, unit)?;
        let index = cx.div(place, stride)?;
        columns.push(cx.insert_axes(index, &[1])?);
        place = cx.binary(BinaryFn::Rem, place, stride)?;
    }
    cx.concat(&columns, 1)
}

/// A dense tensor of the default value, with the elements at their places. Where they are to be validated, one that does not
/// come after the one before it is a fault.
fn to_dense(cx: &mut Import) -> Outputs {
    let (at, values, default) = (cx.arg(0)?, cx.arg(2)?, cx.scalar_arg(3, "the default value")?);
    let of_indices = cx.shape(at);
    let (number, depth) = match &of_indices[..] {
        [] => (Dim::one(), Dim::one()),
        [number] => (number.clone(), Dim::one()),
        [number, depth] => (number.clone(), depth.clone()),
        _ => return Err(format!("expected at most a matrix of indices, got rank {}", of_indices.len()).into()),
    };
    let shape = cx.sizes(1, "the dense shape", None)?;
    cx.require_equal(&depth, &shape.len().into(), "the numbers of extents and of indices in a row")?;
    if shape.is_empty() {
        return Err("rows of no indices are not supported".into());
    }
    for extent in &shape {
        cx.require_at_most(&Dim::zero(), extent, "an extent of the dense shape")?;
    }
    let values = match &cx.shape(values)[..] {
        [] => cx.broadcast_to(values, std::slice::from_ref(&number))?,
        [n] => {
            cx.require_equal(n, &number, "the numbers of values and of indices")?;
            values
        }
        _ => return Err(format!("expected a vector of values, got rank {}", cx.rank(values)).into()),
    };
    let at = cx.cast(at, DType::I64)?;
    let mut at = cx.reshape(at, &[number.clone(), shape.len().into()])?;
    if cx.node.attr_bool("validate_indices")? {
        let columns = columns(cx, at, shape.len())?;
        let follows = follows(cx, &columns, &number, false)?;
        let follows = cx.insert_axes(follows, &[1])?;
        let bad = cx.scalar(DType::I64, -1.0)?;
        at = cx.select(follows, at, bad)?;
    }
    let start = cx.broadcast_to(default, &shape)?;
    one(cx.add(Scatter::checked(Combine::Set, shape.len()), &[start, at, values])?)
}

/// A sparse matrix times a dense one, either of them transposed where an attribute says so.
fn times_dense(cx: &mut Import) -> Outputs {
    let (indices, number, rank) = indices(cx, 0)?;
    let (values, shape, dense) = (values(cx, 1, &number)?, extents(cx, 2, rank)?, cx.arg(3)?);
    if rank != 2 || cx.rank(dense) != 2 {
        return Err(format!("expected two matrices, got ranks {rank} and {}", cx.rank(dense)).into());
    }
    let [transposed, dense_transposed] = [cx.node.attr_bool("adjoint_a")?, cx.node.attr_bool("adjoint_b")?];
    let dense = if dense_transposed { cx.transpose(dense, &[1, 0])? } else { dense };
    let [inner, width] = &cx.shape(dense)[..] else { unreachable!("the dense operand is a matrix") };
    let (outer_axis, inner_axis) = if transposed { (1, 0) } else { (0, 1) };
    let height = cx.size_at(shape, outer_axis, "the number of rows", None)?;
    cx.require_at_most(&Dim::zero(), &height, "the number of rows")?;
    let shared = cx.size_at(shape, inner_axis, "the number of columns", Some(inner))?;
    cx.require_equal(&shared, inner, "the columns of the sparse matrix and the rows of the dense one")?;
    let (row, from) = (column(cx, indices, outer_axis)?, column(cx, indices, inner_axis)?);
    let rows = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[dense, from])?;
    let factors = cx.insert_axes(values, &[1])?;
    let parts = cx.mul(factors, rows)?;
    let zero = cx.scalar_like(parts, 0.0)?;
    let start = cx.broadcast_to(zero, &[height, width.clone()])?;
    let row = cx.insert_axes(row, &[1])?;
    one(cx.add(Scatter::checked(Combine::Add, 1), &[start, row, parts])?)
}
