//! Counting values and sorting them into buckets.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    ragged::Cut,
    sparse::{column, extents, folded, grouped, indices, inside, values, vector},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Gather, Iota, Outside, Reduce, Scatter},
    tensor::{DType, Scalar, Tensor, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Bucketize", import: bucketize },
    TfOp { name: "Bincount", import: bincount },
    TfOp { name: "DenseBincount", import: bincount },
    TfOp { name: "RaggedBincount", import: ragged_bincount },
    TfOp { name: "SparseBincount", import: sparse_bincount },
    TfOp { name: "DenseCountSparseOutput", import: |cx| counts(cx, dense_rows) },
    TfOp { name: "RaggedCountSparseOutput", import: |cx| counts(cx, ragged_rows) },
    TfOp { name: "SparseCountSparseOutput", import: |cx| counts(cx, sparse_rows) },
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

/// What numbers count, in `shape`: their weights, or 1 where there are none, or where only whether they occur is asked.
fn weights(cx: &mut Import, n: usize, shape: &[Dim], binary: bool) -> Result<NodeId> {
    let weights = cx.arg(n)?;
    let of_weights = cx.shape(weights);
    if of_weights.iter().any(|d| d.is(0)) || binary {
        let unit = cx.scalar_like(weights, 1.0)?;
        return cx.broadcast_to(unit, &[count(shape)]);
    }
    if of_weights.len() != shape.len() {
        let what = format!("weights of rank {} do not fit values of rank {}", of_weights.len(), shape.len());
        return Err(what.into());
    }
    for (a, b) in of_weights.iter().zip(shape) {
        cx.require_equal(a, b, "the extents of weights and of values")?;
    }
    cx.reshape(weights, &[count(shape)])
}

/// How often each number below the size occurs in each row of a ragged tensor: as for [`bincount`].
fn ragged_bincount(cx: &mut Import) -> Outputs {
    let x = vector(cx, 1, "values")?;
    let number = cx.shape(x)[0].clone();
    let cut = Cut::operand(cx, 0)?.fitting(cx, &number)?;
    let row = cut.ids(cx, &number)?;
    let size = cx.size(2, "the number of bins", None)?;
    let binary = cx.node.attr_bool("binary_output")?;
    let weights = weights(cx, 3, std::slice::from_ref(&number), binary)?;
    let bin = cx.cast(x, DType::I64)?;
    one(in_bins(cx, &[(row, cut.rows)], bin, &size, weights, Outside::Fault)?)
}

/// The same of a sparse tensor: of a vector, or of the rows of a matrix.
fn sparse_bincount(cx: &mut Import) -> Outputs {
    let (at, number, rank) = indices(cx, 0)?;
    let x = values(cx, 1, &number)?;
    let shape = extents(cx, 2, rank)?;
    let size = cx.size(3, "the number of bins", None)?;
    let binary = cx.node.attr_bool("binary_output")?;
    let weights = weights(cx, 4, std::slice::from_ref(&number), binary)?;
    let x = inside(cx, at, shape, x)?;
    let bin = cx.cast(x, DType::I64)?;
    if rank == 1 {
        return one(in_bins(cx, &[], bin, &size, weights, Outside::Fault)?);
    }
    let rows = cx.size_at(shape, 0, "the number of rows", None)?;
    cx.require_at_most(&Dim::zero(), &rows, "the number of rows")?;
    let row = column(cx, at, 0)?;
    one(in_bins(cx, &[(row, rows)], bin, &size, weights, Outside::Drop)?)
}

/// Weights added up by rows, if there are any, and bins; a bin past the last one does not count.
fn in_bins(
    cx: &mut Import,
    rows: &[(NodeId, Dim)],
    bin: NodeId,
    size: &Dim,
    weights: NodeId,
    below: Outside,
) -> Result<NodeId> {
    cx.require_at_most(&Dim::zero(), size, "the number of bins")?;
    let binary = cx.node.attr_bool("binary_output")?;
    let mut columns = vec![];
    for &(row, _) in rows {
        columns.push(cx.insert_axes(row, &[1])?);
    }
    columns.push(cx.insert_axes(bin, &[1])?);
    let at = cx.concat(&columns, 1)?;
    let shape: Vec<Dim> = rows.iter().map(|(_, rows)| rows).chain([size]).cloned().collect();
    let zero = cx.scalar_like(weights, 0.0)?;
    let zeros = cx.broadcast_to(zero, &shape)?;
    let f = if binary { Combine::Set } else { Combine::Add };
    cx.add(Scatter { f, depth: shape.len(), below, above: Outside::Drop }, &[zeros, at, weights])
}

/// The numbers that are counted, a vector, with what each counts; the row of each and the number of rows, unless they are all
/// one.
struct Counted {
    numbers: NodeId,
    weights: NodeId,
    rows: Option<(NodeId, NodeId)>,
}

fn dense_rows(cx: &mut Import, binary: bool) -> Result<Counted> {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    let rows = match &shape[..] {
        [_] => None,
        [rows, _] => {
            cx.require_at_most(&Dim::one(), rows, "the number of rows")?;
            let row = cx.add(Iota { shape: shape.clone(), axis: 0, dtype: DType::I64 }, &[])?;
            Some((cx.reshape(row, &[count(&shape)])?, cx.dim_scalar(rows, DType::I64)?))
        }
        _ => return Err(format!("expected rank 1 or 2, got {}", shape.len()).into()),
    };
    let weights = weights(cx, 1, &shape, binary)?;
    Ok(Counted { numbers: cx.reshape(x, &[count(&shape)])?, weights, rows })
}

fn ragged_rows(cx: &mut Import, binary: bool) -> Result<Counted> {
    let numbers = vector(cx, 1, "values")?;
    let number = cx.shape(numbers)[0].clone();
    let cut = Cut::operand(cx, 0)?;
    cx.require_at_most(&Dim::one(), &cut.rows.clone(), "the number of rows")?;
    let cut = cut.fitting(cx, &number)?;
    let weights = weights(cx, 2, std::slice::from_ref(&number), binary)?;
    let rows = Some((cut.ids(cx, &number)?, cx.dim_scalar(&cut.rows, DType::I64)?));
    Ok(Counted { numbers, weights, rows })
}

fn sparse_rows(cx: &mut Import, binary: bool) -> Result<Counted> {
    let (at, number, rank) = indices(cx, 0)?;
    let numbers = values(cx, 1, &number)?;
    let shape = extents(cx, 2, rank)?;
    let weights = weights(cx, 3, &[number], binary)?;
    let numbers = inside(cx, at, shape, numbers)?;
    if rank == 0 {
        return Err("rows of no indices are not supported".into());
    }
    if rank == 1 {
        return Ok(Counted { numbers, weights, rows: None });
    }
    let (rows, unit) = (cx.slice_axis(shape, 0, Dim::zero(), Dim::one())?, cx.scalar(DType::I64, 1.0)?);
    let rows = cx.reshape(rows, &[])?;
    let some = cx.compare(CompareFn::Ge, rows, unit)?;
    let rows = cx.provided(rows, some, "there is a row")?;
    Ok(Counted { numbers, weights, rows: Some((column(cx, at, 0)?, rows)) })
}

/// How often each number of a row occurs: a sparse tensor with an element for each that does, in order. Those from `maxlength`
/// on do not count; a negative one is a fault.
fn counts(cx: &mut Import, rows: fn(&mut Import, bool) -> Result<Counted>) -> Outputs {
    let binary = cx.node.attr_bool("binary_output")?;
    let (least, most) = (cx.node.attr_int("minlength")?, cx.node.attr_int("maxlength")?);
    let Counted { numbers, mut weights, mut rows } = rows(cx, binary)?;
    let mut numbers = cx.cast(numbers, DType::I64)?;
    let mut n = cx.shape(numbers)[0].clone();
    let zero = cx.scalar(DType::I64, 0.0)?;
    let fine = cx.compare(CompareFn::Ge, numbers, zero)?;
    let fine = folded(cx, BinaryFn::And, fine)?;
    numbers = cx.provided(numbers, fine, "no number that is counted is negative")?;
    if most >= 0 {
        let most = cx.constant(Tensor::scalar(DType::I64, Scalar::Int(most)))?;
        let counts = cx.compare(CompareFn::Lt, numbers, most)?;
        let (k, at) = cx.places(counts)?;
        let kept = |cx: &mut Import, x| cx.add(Gather { axis: 0, batch: 0, checked: false }, &[x, at]);
        (numbers, weights) = (kept(cx, numbers)?, kept(cx, weights)?);
        rows = rows.map(|(row, rows)| Ok::<_, Stop>((kept(cx, row)?, rows))).transpose()?;
        n = k;
    }
    let columns: Vec<NodeId> = rows.iter().map(|&(row, _)| row).chain([numbers]).collect();
    let groups = grouped(cx, &columns, &n)?;
    let none = cx.scalar_like(weights, 0.0)?;
    let none = cx.broadcast_to(none, std::slice::from_ref(&groups.number))?;
    let to = cx.insert_axes(groups.of, &[1])?;
    let f = if binary { Combine::Set } else { Combine::Add };
    let scatter = Scatter { f, depth: 1, below: Outside::Drop, above: Outside::Drop };
    let sums = cx.add(scatter, &[none, to, weights])?;
    let mut indices = vec![];
    for column in groups.columns {
        indices.push(cx.insert_axes(column, &[1])?);
    }
    let indices = cx.concat(&indices, 1)?;
    let width = match most {
        0.. => cx.constant(Tensor::scalar(DType::I64, Scalar::Int(most)))?,
        _ => {
            let (unit, least) = (cx.scalar(DType::I64, 1.0)?, least.max(1));
            let least = cx.constant(Tensor::scalar(DType::I64, Scalar::Int(least)))?;
            let greatest = folded(cx, BinaryFn::Max, numbers)?;
            let greatest = cx.binary(BinaryFn::Max, greatest, zero)?;
            let width = cx.add_(greatest, unit)?;
            cx.binary(BinaryFn::Max, width, least)?
        }
    };
    let mut shape = vec![];
    for extent in rows.map(|(_, rows)| rows).into_iter().chain([width]) {
        shape.push(cx.reshape(extent, &[Dim::one()])?);
    }
    let shape = cx.concat(&shape, 0)?;
    Ok(vec![indices.into(), sums.into(), shape.into()])
}
