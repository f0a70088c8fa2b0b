//! Sparse tensors added, compared and folded: what lies at equal indices comes together. Indices of two tensors that come together
//! are in row-major order, each once.

use super::{
    Import, Outputs, Stop, TfOp,
    build::{axis, one},
    sparse::{
        Groups, Sparse, column, columns, element, extents, folded, follows, grouped, indices, matrix, packed, picked,
        places, values,
    },
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Gather, Iota, Outside, Reduce, Scatter, identity},
    tensor::{DType, Tensor, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "SparseAdd", import: add },
    TfOp { name: "SparseAddGrad", import: add_grad },
    TfOp { name: "SparseDenseCwiseAdd", import: |cx| with_dense(cx, BinaryFn::Add) },
    TfOp { name: "SparseDenseCwiseDiv", import: |cx| with_dense(cx, BinaryFn::Div) },
    TfOp { name: "SparseDenseCwiseMul", import: |cx| with_dense(cx, BinaryFn::Mul) },
    TfOp { name: "SparseReduceMax", import: |cx| reduce(cx, BinaryFn::Max) },
    TfOp { name: "SparseReduceMaxSparse", import: |cx| reduce_to_sparse(cx, BinaryFn::Max) },
    TfOp { name: "SparseReduceSum", import: |cx| reduce(cx, BinaryFn::Add) },
    TfOp { name: "SparseReduceSumSparse", import: |cx| reduce_to_sparse(cx, BinaryFn::Add) },
    TfOp { name: "SparseSoftmax", import: softmax },
    TfOp { name: "SparseSparseMaximum", import: |cx| chosen(cx, BinaryFn::Max) },
    TfOp { name: "SparseSparseMinimum", import: |cx| chosen(cx, BinaryFn::Min) },
    TfOp { name: "SparseTensorDenseAdd", import: add_to_dense },
];

/// The elements of two sparse tensors.
struct Both {
    groups: Groups,
    /// Which of all indices each element of one and of the other has.
    of: [NodeId; 2],
    /// The extents that both have.
    shape: NodeId,
}

/// Two tensors of the same extents. Others are a fault, and so are indices out of order.
fn together(cx: &mut Import, a: &Sparse, b: &Sparse) -> Result<Both> {
    if a.rank != b.rank {
        return Err(format!("the tensors are of ranks {} and {}", a.rank, b.rank).into());
    }
    let equal = cx.compare(CompareFn::Eq, a.shape, b.shape)?;
    let mut fits = folded(cx, BinaryFn::And, equal)?;
    for x in [a, b] {
        let columns = columns(cx, x.at, x.rank)?;
        let rises = follows(cx, &columns, &x.number, false)?;
        let rises = folded(cx, BinaryFn::And, rises)?;
        fits = cx.and(fits, rises)?;
    }
    let what = "both tensors have the same extents and indices in order, each once";
    let at = cx.concat(&[a.at, b.at], 0)?;
    let at = cx.provided(at, fits, what)?;
    let columns = columns(cx, at, a.rank)?;
    let groups = grouped(cx, &columns, &(&a.number + &b.number))?;
    let of = [
        cx.slice_axis(groups.of, 0, Dim::zero(), a.number.clone())?,
        cx.slice_axis(groups.of, 0, a.number.clone(), b.number.clone())?,
    ];
    Ok(Both { groups, of, shape: cx.provided(a.shape, fits, what)? })
}

impl Both {
    /// The values of one of them at all indices, or 0.
    fn values(&self, cx: &mut Import, of: NodeId, values: NodeId) -> Result<NodeId> {
        let none = cx.scalar_like(values, 0.0)?;
        set(cx, &self.groups.number, of, none, values)
    }
    /// Whether one of them has each index.
    fn has(&self, cx: &mut Import, of: NodeId) -> Result<NodeId> {
        let (no, yes) = (cx.scalar(DType::Bool, 0.0)?, cx.scalar(DType::Bool, 1.0)?);
        let yes = cx.broadcast_to(yes, &cx.shape(of))?;
        set(cx, &self.groups.number, of, no, yes)
    }
}

/// `k` elements, of which those at `to` are given and others `none`.
fn set(cx: &mut Import, k: &Dim, to: NodeId, none: NodeId, given: NodeId) -> Result<NodeId> {
    let start = cx.broadcast_to(none, std::slice::from_ref(k))?;
    let to = cx.insert_axes(to, &[1])?;
    let scatter = Scatter { f: Combine::Set, depth: 1, below: Outside::Drop, above: Outside::Drop };
    cx.add(scatter, &[start, to, given])
}

/// Sums of what both have that are not less than a threshold, and what one of them has.
fn add(cx: &mut Import) -> Outputs {
    let (a, b) = (Sparse::operand(cx, [0, 1, 2])?, Sparse::operand(cx, [3, 4, 5])?);
    let least = cx.scalar_arg(6, "the threshold")?;
    let both = together(cx, &a, &b)?;
    let (x, y) = (both.values(cx, both.of[0], a.values)?, both.values(cx, both.of[1], b.values)?);
    let (in_a, in_b) = (both.has(cx, both.of[0])?, both.has(cx, both.of[1])?);
    let sum = cx.add_(x, y)?;
    let wide = if cx.dtype(sum).is_float() { cx.dtype(sum) } else { DType::I64 };
    let (far, least) = (cx.cast(sum, wide)?, cx.cast(least, wide)?);
    let far = cx.unary(UnaryFn::Abs, far)?;
    let counts = cx.compare(CompareFn::Le, least, far)?;
    let summed = cx.and(in_a, in_b)?;
    let alone = cx.unary(UnaryFn::Not, summed)?;
    let kept = cx.or(alone, counts)?;
    let (_, at) = cx.places(kept)?;
    let indices = matrix(cx, &both.groups.columns)?;
    Ok(vec![picked(cx, indices, at)?.into(), picked(cx, sum, at)?.into(), both.shape.into()])
}

/// What comes of the elements of both tensors: that of the sum at the same index, or 0 where it has none.
fn add_grad(cx: &mut Import) -> Outputs {
    let (of_sum, m, rank) = indices(cx, 3)?;
    let given = values(cx, 0, &m)?;
    let zero = cx.scalar_like(given, 0.0)?;
    let zero = cx.reshape(zero, &[Dim::one()])?;
    let given = cx.concat(&[given, zero], 0)?;
    let mut outputs = vec![];
    for operand in [1, 2] {
        let (at, n, own) = indices(cx, operand)?;
        if own != rank {
            return Err(format!("the tensors are of ranks {own} and {rank}").into());
        }
        let (a, b) = (cx.insert_axes(at, &[1])?, cx.insert_axes(of_sum, &[0])?);
        let all = [n.clone(), m.clone(), rank.into()];
        let (a, b) = (cx.broadcast_to(a, &all)?, cx.broadcast_to(b, &all)?);
        let equal = cx.compare(CompareFn::Eq, a, b)?;
        let equal = cx.add(Reduce { f: BinaryFn::And, axes: vec![2] }, &[equal])?;
        let equal = cx.drop_axes(equal, &[2])?;
        let place = cx.add(Iota { shape: all[..2].to_vec(), axis: 1, dtype: DType::I64 }, &[])?;
        let nowhere = cx.dim_scalar(&m, DType::I64)?;
        let place = cx.select(equal, place, nowhere)?;
        let place = cx.add(Reduce { f: BinaryFn::Min, axes: vec![1] }, &[place])?;
        let place = cx.binary(BinaryFn::Min, place, nowhere)?;
        let place = cx.reshape(place, &[n])?;
        outputs.push(picked(cx, given, place)?.into());
    }
    Ok(outputs)
}

/// The greater or lesser of both tensors, of which one that has no element is 0.
fn chosen(cx: &mut Import, f: BinaryFn) -> Outputs {
    let (a, b) = (Sparse::operand(cx, [0, 1, 2])?, Sparse::operand(cx, [3, 4, 5])?);
    let both = together(cx, &a, &b)?;
    let (x, y) = (both.values(cx, both.of[0], a.values)?, both.values(cx, both.of[1], b.values)?);
    let values = cx.binary(f, x, y)?;
    Ok(vec![matrix(cx, &both.groups.columns)?.into(), values.into()])
}

/// A dense tensor, to which the elements are added.
fn add_to_dense(cx: &mut Import) -> Outputs {
    let (x, dense) = (Sparse::operand(cx, [0, 1, 2])?, cx.arg(3)?);
    let shape = cx.shape(dense);
    if shape.len() != x.rank || x.rank == 0 {
        return Err(format!("a sparse tensor of rank {} is not added to one of rank {}", x.rank, shape.len()).into());
    }
    let extents = cx.dims_tensor(&shape, DType::I64)?;
    let equal = cx.compare(CompareFn::Eq, x.shape, extents)?;
    let equal = folded(cx, BinaryFn::And, equal)?;
    let values = cx.provided(x.values, equal, "the sparse and the dense tensor have the same extents")?;
    one(cx.add(Scatter::checked(Combine::Add, x.rank), &[dense, x.at, values])?)
}

/// The values, each by the dense tensor's element at its index, which is repeated along axes of extent 1.
fn with_dense(cx: &mut Import, f: BinaryFn) -> Outputs {
    let (x, dense) = (Sparse::operand(cx, [0, 1, 2])?, cx.arg(3)?);
    let shape = cx.shape(dense);
    let Some(outer) = x.rank.checked_sub(shape.len()) else {
        return Err(format!("a dense tensor of rank {} does not repeat to rank {}", shape.len(), x.rank).into());
    };
    let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let mut place = cx.broadcast_to(zero, std::slice::from_ref(&x.number))?;
    let mut fits = cx.scalar(DType::Bool, 1.0)?;
    let mut all_inside = fits;
    for (axis, extent) in shape.iter().enumerate() {
        let (extent, given) = (cx.dim_scalar(extent, DType::I64)?, element(cx, x.shape, outer + axis)?);
        let (same, single) = (cx.compare(CompareFn::Eq, extent, given)?, cx.compare(CompareFn::Eq, extent, unit)?);
        let repeats = cx.or(same, single)?;
        let index = column(cx, x.at, outer + axis)?;
        let (above, below) = (cx.compare(CompareFn::Ge, index, zero)?, cx.compare(CompareFn::Lt, index, given)?);
        let inside = cx.and(above, below)?;
        let inside = folded(cx, BinaryFn::And, inside)?;
        (fits, all_inside) = (cx.and(fits, repeats)?, cx.and(all_inside, inside)?);
        let index = cx.select(single, zero, index)?;
        let before = cx.mul(place, extent)?;
        place = cx.add_(before, index)?;
    }
    let values = cx.provided(x.values, fits, "the dense tensor repeats to the sparse one")?;
    let values = cx.provided(values, all_inside, "all indices are within the dense extents")?;
    let flat = cx.reshape(dense, &[count(&shape)])?;
    let there = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[flat, place])?;
    one(cx.binary(f, values, there)?)
}

/// The axes that are folded, of so many.
fn folded_axes(cx: &Import, rank: usize) -> Result<Vec<bool>> {
    let mut is_folded = vec![false; rank];
    for given in cx.ints(3, "the axes")? {
        is_folded[axis(given, rank)?] = true;
    }
    Ok(is_folded)
}

/// Values folded by what each belongs to, of a shape; what has none is 0.
fn fold(cx: &mut Import, f: BinaryFn, at: NodeId, values: NodeId, shape: &[Dim]) -> Result<NodeId> {
    let (dtype, depth) = (cx.dtype(values), shape.len());
    let zero = cx.scalar(dtype, 0.0)?;
    let zeros = cx.broadcast_to(zero, shape)?;
    if f == BinaryFn::Add {
        return cx.add(Scatter::checked(Combine::Add, depth), &[zeros, at, values]);
    }
    let least = cx.constant(Tensor::scalar(dtype, identity(f, dtype)))?;
    let least = cx.broadcast_to(least, shape)?;
    let greatest = cx.add(Scatter::checked(Combine::Max, depth), &[least, at, values])?;
    let (no, yes) = (cx.scalar(DType::Bool, 0.0)?, cx.scalar(DType::Bool, 1.0)?);
    let (no, yes) = (cx.broadcast_to(no, shape)?, cx.broadcast_to(yes, &cx.shape(values))?);
    let some = cx.add(Scatter::checked(Combine::Set, depth), &[no, at, yes])?;
    cx.select(some, greatest, zeros)
}

/// A dense tensor of the elements folded along some axes, of what has none 0.
fn reduce(cx: &mut Import, f: BinaryFn) -> Outputs {
    let x = Sparse::operand(cx, [0, 1, 2])?;
    let is_folded = folded_axes(cx, x.rank)?;
    let (mut kept, mut shape, mut wide) = (vec![], vec![], vec![]);
    for (axis, &is_folded) in is_folded.iter().enumerate() {
        if is_folded {
            wide.push(Dim::one());
            continue;
        }
        let extent = cx.size_at(x.shape, axis, "an extent", None)?;
        cx.require_at_most(&Dim::zero(), &extent, "an extent")?;
        kept.push(column(cx, x.at, axis)?);
        shape.push(extent.clone());
        wide.push(extent);
    }
    let narrow = shape.clone();
    if kept.is_empty() {
        let zero = cx.scalar(DType::I64, 0.0)?;
        kept.push(cx.broadcast_to(zero, std::slice::from_ref(&x.number))?);
        shape.push(Dim::one());
    }
    let at = matrix(cx, &kept)?;
    let folded = fold(cx, f, at, x.values, &shape)?;
    let keeps = cx.node.attr_bool("keep_dims")?;
    one(cx.reshape(folded, if keeps { &wide } else { &narrow })?)
}

/// The same as a sparse tensor.
fn reduce_to_sparse(cx: &mut Import, f: BinaryFn) -> Outputs {
    let x = Sparse::operand(cx, [0, 1, 2])?;
    let is_folded = folded_axes(cx, x.rank)?;
    let keeps = cx.node.attr_bool("keep_dims")?;
    let mut kept = vec![];
    for axis in (0..x.rank).filter(|&axis| !is_folded[axis]) {
        kept.push(column(cx, x.at, axis)?);
    }
    let groups = grouped(cx, &kept, &x.number)?;
    let to = cx.insert_axes(groups.of, &[1])?;
    let folded = fold(cx, f, to, x.values, std::slice::from_ref(&groups.number))?;
    let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
    let (mut at, mut shape, mut found) = (vec![], vec![], groups.columns.iter());
    for (axis, &is_folded) in is_folded.iter().enumerate() {
        match (is_folded, keeps) {
            (true, true) => {
                at.push(cx.broadcast_to(zero, std::slice::from_ref(&groups.number))?);
                shape.push(unit);
            }
            (true, false) => {}
            (false, _) => {
                at.extend(found.next().copied());
                shape.push(element(cx, x.shape, axis)?);
            }
        }
    }
    let at = if at.is_empty() { cx.broadcast_to(zero, &[groups.number, Dim::zero()])? } else { matrix(cx, &at)? };
    let shape = if shape.is_empty() { cx.broadcast_to(zero, &[Dim::zero()])? } else { packed(cx, &shape)? };
    Ok(vec![at.into(), folded.into(), shape.into()])
}

/// The values in row-major order as shares of the exponentials of those that differ from them only in the last index.
fn softmax(cx: &mut Import) -> Outputs {
    let (at, number, rank) = indices(cx, 0)?;
    let x = values(cx, 1, &number)?;
    extents(cx, 2, rank)?;
    if rank < 2 {
        return Err(format!("expected rank 2 at least, got {rank}").into());
    }
    let mut all = columns(cx, at, rank)?;
    let place = places(cx, &all, &number)?;
    all.pop();
    for column in &mut all {
        *column = cx.moved(&number, place, *column)?;
    }
    let groups = grouped(cx, &all, &number)?;
    let x = cx.moved(&number, place, x)?;
    let to = cx.insert_axes(groups.of, &[1])?;
    let rows = std::slice::from_ref(&groups.number);
    one(cx.in_single(x, |cx, x| {
        let dtype = cx.dtype(x);
        let least = cx.constant(Tensor::scalar(dtype, identity(BinaryFn::Max, dtype)))?;
        let least = cx.broadcast_to(least, rows)?;
        let greatest = cx.add(Scatter::checked(Combine::Max, 1), &[least, to, x])?;
        let greatest = picked(cx, greatest, groups.of)?;
        let x = cx.sub(x, greatest)?;
        let x = cx.unary(UnaryFn::Exp, x)?;
        let sums = fold(cx, BinaryFn::Add, to, x, rows)?;
        let sums = picked(cx, sums, groups.of)?;
        cx.div(x, sums)
    })?)
}
