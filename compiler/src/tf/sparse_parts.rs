//! Sparse tensors joined, cut and sliced: elements keep their values and get other indices.

use super::{
    Import, Outputs, Stop, TfOp, Value,
    build::one,
    sparse::{Sparse, columns, element, folded, indices, inside, matrix, picked, places, values, vector},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Reduce, Scan},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "SparseConcat", import: concat },
    TfOp { name: "SparseSlice", import: slice },
    TfOp { name: "SparseSliceGrad", import: slice_grad },
    TfOp { name: "SparseSplit", import: split },
];

/// Elements of several tensors in row-major order; on one axis, what comes later lies behind what comes before.
fn concat(cx: &mut Import) -> Outputs {
    let n = usize::try_from(cx.node.attr_int("N")?).unwrap_or(0);
    let (_, _, rank) = indices(cx, 0)?;
    let axis = cx.attr_axis("concat_dim", rank)?;
    let mut offset = cx.scalar(DType::I64, 0.0)?;
    let (mut at, mut kept, mut whole, mut shape, mut fits) = (vec![], vec![], Dim::zero(), None, None);
    for part in 0..n {
        let x = Sparse::operand(cx, [part, n + part, 2 * n + part])?;
        if x.rank != rank {
            return Err(format!("the tensors are of ranks {rank} and {}", x.rank).into());
        }
        let mut columns = columns(cx, x.at, rank)?;
        columns[axis] = cx.add_(columns[axis], offset)?;
        at.push(matrix(cx, &columns)?);
        kept.push(x.values);
        whole = whole + &x.number;
        let first = *shape.get_or_insert(x.shape);
        for other in (0..rank).filter(|&a| a != axis) {
            let (a, b) = (element(cx, first, other)?, element(cx, x.shape, other)?);
            let equal = cx.compare(CompareFn::Eq, a, b)?;
            fits = Some(match fits {
                Some(fits) => cx.and(fits, equal)?,
                None => equal,
            });
        }
        let extent = element(cx, x.shape, axis)?;
        offset = cx.add_(offset, extent)?;
    }
    let Some(first) = shape else { return Err("nothing is joined".into()) };
    let (at, kept) = (cx.concat(&at, 0)?, cx.concat(&kept, 0)?);
    let columns = columns(cx, at, rank)?;
    let mut place = places(cx, &columns, &whole)?;
    let mut shape = with_element(cx, first, axis, offset, rank)?;
    if let Some(fits) = fits {
        let what = "the tensors have the same extents on all other axes";
        (place, shape) = (cx.provided(place, fits, what)?, cx.provided(shape, fits, what)?);
    }
    Ok(vec![cx.moved(&whole, place, at)?.into(), cx.moved(&whole, place, kept)?.into(), shape.into()])
}

/// A vector of `n` elements with another element at one place.
fn with_element(cx: &mut Import, x: NodeId, at: usize, value: NodeId, n: usize) -> Result<NodeId> {
    let mut parts = vec![];
    if at > 0 {
        parts.push(cx.slice_axis(x, 0, Dim::zero(), at.into())?);
    }
    parts.push(cx.reshape(value, &[Dim::one()])?);
    if at + 1 < n {
        parts.push(cx.slice_axis(x, 0, (at + 1).into(), (n - at - 1).into())?);
    }
    cx.concat(&parts, 0)
}

/// Parts of nearly one extent on an axis: of as many of them as is left over, one more.
fn split(cx: &mut Import) -> Outputs {
    let x = Sparse::operand(cx, [1, 2, 3])?;
    let axis = cx.axis(0, x.rank)?;
    let n = cx.node.attr_int("num_split")?;
    let count = usize::try_from(n).ok().filter(|&n| n > 0).ok_or("there is one part at least")?;
    let (parts, unit) = (cx.scalar(DType::I64, n as f64)?, cx.scalar(DType::I64, 1.0)?);
    let extent = element(cx, x.shape, axis)?;
    let enough = cx.compare(CompareFn::Ge, extent, parts)?;
    let extent = cx.provided(extent, enough, "the extent is not less than the number of parts")?;
    let (size, rest) = (cx.div(extent, parts)?, cx.binary(BinaryFn::Rem, extent, parts)?);
    let at = inside(cx, x.at, x.shape, x.at)?;
    let mut of_elements = columns(cx, at, x.rank)?;
    let index = of_elements[axis];
    // The part of each element.
    let more = cx.add_(size, unit)?;
    let greater = cx.mul(rest, more)?;
    let first = cx.div(index, more)?;
    let size_at_least = cx.binary(BinaryFn::Max, size, unit)?;
    let later = cx.sub(index, greater)?;
    let later = cx.div(later, size_at_least)?;
    let later = cx.add_(later, rest)?;
    let is_first = cx.compare(CompareFn::Lt, index, greater)?;
    let part = cx.select(is_first, first, later)?;
    let (mut rows, mut kept, mut shapes) = (vec![], vec![], vec![]);
    for p in 0..count {
        let p = cx.scalar(DType::I64, p as f64)?;
        let (begin, ones) = (cx.mul(p, size)?, cx.binary(BinaryFn::Min, p, rest)?);
        let begin = cx.add_(begin, ones)?;
        let one_more = cx.compare(CompareFn::Lt, p, rest)?;
        let here = cx.select(one_more, more, size)?;
        of_elements[axis] = cx.sub(index, begin)?;
        let moved = matrix(cx, &of_elements)?;
        let mine = cx.compare(CompareFn::Eq, part, p)?;
        let (_, places) = cx.places(mine)?;
        rows.push(Value::from(picked(cx, moved, places)?));
        kept.push(Value::from(picked(cx, x.values, places)?));
        shapes.push(Value::from(with_element(cx, x.shape, axis, here, x.rank)?));
    }
    Ok([rows, kept, shapes].concat())
}

/// Operand `n`, a number for each of so many axes, repeated for each of so many elements.
fn for_each(cx: &mut Import, n: usize, number: &Dim, rank: usize) -> Result<NodeId> {
    let x = vector(cx, n, "numbers")?;
    cx.require_equal(&cx.shape(x)[0].clone(), &rank.into(), "the numbers of axes")?;
    let x = cx.cast(x, DType::I64)?;
    cx.broadcast_to(x, &[number.clone(), rank.into()])
}

/// Which rows of a matrix of bools hold altogether.
fn all_of_row(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let all = cx.add(Reduce { f: BinaryFn::And, axes: vec![1] }, &[x])?;
    cx.drop_axes(all, &[1])
}

/// The elements from a start on, within a size.
fn slice(cx: &mut Import) -> Outputs {
    let x = Sparse::operand(cx, [0, 1, 2])?;
    let (start, size) = (for_each(cx, 3, &x.number, x.rank)?, for_each(cx, 4, &x.number, x.rank)?);
    let zero = cx.scalar(DType::I64, 0.0)?;
    let shifted = cx.sub(x.at, start)?;
    let (above, below) = (cx.compare(CompareFn::Ge, shifted, zero)?, cx.compare(CompareFn::Lt, shifted, size)?);
    let inside = cx.and(above, below)?;
    let inside = all_of_row(cx, inside)?;
    let (start, size) = (cx.arg(3)?, cx.arg(4)?);
    let [start, size] = [cx.cast(start, DType::I64)?, cx.cast(size, DType::I64)?];
    let left = cx.sub(x.shape, start)?;
    let extents = cx.binary(BinaryFn::Min, size, left)?;
    let extents = cx.binary(BinaryFn::Max, extents, zero)?;
    let sized = cx.compare(CompareFn::Ge, size, zero)?;
    let sized = folded(cx, BinaryFn::And, sized)?;
    let what = "no size is negative";
    let (inside, extents) = (cx.provided(inside, sized, what)?, cx.provided(extents, sized, what)?);
    let (_, places) = cx.places(inside)?;
    Ok(vec![picked(cx, shifted, places)?.into(), picked(cx, x.values, places)?.into(), extents.into()])
}

/// What comes of each element that the slice has, in its order; 0 of the others.
fn slice_grad(cx: &mut Import) -> Outputs {
    let ((from, n, rank), (to, m, of_slice)) = (indices(cx, 1)?, indices(cx, 3)?);
    if rank != of_slice {
        return Err(format!("the tensors are of ranks {rank} and {of_slice}").into());
    }
    cx.require_at_most(&m, &n, "the numbers of elements of the slice and of the tensor")?;
    let given = values(cx, 0, &m)?;
    let start = for_each(cx, 2, &n, rank)?;
    let shifted = cx.sub(from, start)?;
    let is_kept = {
        let (a, b) = (cx.insert_axes(shifted, &[1])?, cx.insert_axes(to, &[0])?);
        let all = [n.clone(), m.clone(), rank.into()];
        let (a, b) = (cx.broadcast_to(a, &all)?, cx.broadcast_to(b, &all)?);
        let equal = cx.compare(CompareFn::Eq, a, b)?;
        let equal = cx.add(Reduce { f: BinaryFn::And, axes: vec![2] }, &[equal])?;
        let some = cx.add(Reduce { f: BinaryFn::Or, axes: vec![1] }, &[equal])?;
        cx.reshape(some, std::slice::from_ref(&n))?
    };
    let ones = cx.cast(is_kept, DType::I64)?;
    let order = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: true, reverse: false }, &[ones])?;
    let nowhere = cx.dim_scalar(&m, DType::I64)?;
    let kept = folded(cx, BinaryFn::Add, ones)?;
    let all_kept = cx.compare(CompareFn::Eq, kept, nowhere)?;
    let order = cx.binary(BinaryFn::Min, order, nowhere)?;
    let place = cx.select(is_kept, order, nowhere)?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    let none = cx.broadcast_to(zero, &[Dim::one(), rank.into()])?;
    let to = cx.concat(&[to, none], 0)?;
    let found = picked(cx, to, place)?;
    let same = cx.compare(CompareFn::Eq, found, shifted)?;
    let same = all_of_row(cx, same)?;
    let other = cx.unary(UnaryFn::Not, is_kept)?;
    let fine = cx.or(same, other)?;
    let fine = folded(cx, BinaryFn::And, fine)?;
    let fine = cx.and(fine, all_kept)?;
    let place = cx.provided(place, fine, "the elements of the slice are some of the tensor's, in their order")?;
    let zero = cx.scalar_like(given, 0.0)?;
    let zero = cx.reshape(zero, &[Dim::one()])?;
    let given = cx.concat(&[given, zero], 0)?;
    one(picked(cx, given, place)?)
}
