//! Matrix products, and matrices made or read by their diagonals.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{Dot, Gather, Iota},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "MatMul", import: mat_mul },
    TfOp { name: "BatchMatMul", import: batch_mat_mul_v1 },
    TfOp { name: "BatchMatMulV2", import: batch_mat_mul },
    TfOp { name: "BatchMatMulV3", import: batch_mat_mul },
    TfOp { name: "MatrixBandPart", import: band },
    TfOp { name: "BatchMatrixBandPart", import: band },
    TfOp { name: "MatrixDiag", import: diagonal_matrix },
    TfOp { name: "BatchMatrixDiag", import: diagonal_matrix },
    TfOp { name: "MatrixDiagPart", import: diagonal_part },
    TfOp { name: "BatchMatrixDiagPart", import: diagonal_part },
    TfOp { name: "MatrixSetDiag", import: set_diagonal },
    TfOp { name: "BatchMatrixSetDiag", import: set_diagonal },
    TfOp { name: "Diag", import: diag },
    TfOp { name: "DiagPart", import: diag_part },
];

/// Exchanges the last two axes.
fn turned(cx: &mut Import, x: NodeId, turn: bool) -> Result<NodeId> {
    let rank = cx.rank(x);
    let mut perm: Vec<usize> = (0..rank).collect();
    if turn {
        perm.swap(rank - 1, rank - 2);
    }
    cx.transpose(x, &perm)
}

/// The product of operands whose batch axes are equal.
pub(super) fn dot(cx: &mut Import, a: NodeId, b: NodeId) -> Result<NodeId> {
    let (rows, columns) = (cx.shape(a), cx.shape(b));
    cx.require_equal(&rows[rows.len() - 1], &columns[columns.len() - 2], "the inner extents of a matrix product")?;
    cx.add(Dot {}, &[a, b])
}

fn mat_mul(cx: &mut Import) -> Outputs {
    let (a, b) = (cx.arg(0)?, cx.arg(1)?);
    if [cx.rank(a), cx.rank(b)] != [2, 2] {
        return Err(format!("expected matrices, got ranks {} and {}", cx.rank(a), cx.rank(b)).into());
    }
    let (turn_a, turn_b) = (cx.node.attr_bool("transpose_a")?, cx.node.attr_bool("transpose_b")?);
    let (a, b) = (turned(cx, a, turn_a)?, turned(cx, b, turn_b)?);
    one(dot(cx, a, b)?)
}

/// The first version does not broadcast.
fn batch_mat_mul_v1(cx: &mut Import) -> Outputs {
    let (a, b) = (cx.arg(0)?, cx.arg(1)?);
    let (x, y) = (cx.shape(a), cx.shape(b));
    if x.len() != y.len() || x.len() < 2 {
        return Err(format!("expected matrices of one rank, got ranks {} and {}", x.len(), y.len()).into());
    }
    for (m, n) in x[..x.len() - 2].iter().zip(&y) {
        cx.require_equal(m, n, "the batch extents")?;
    }
    batch_mat_mul(cx)
}

fn batch_mat_mul(cx: &mut Import) -> Outputs {
    let (mut a, mut b) = (cx.arg(0)?, cx.arg(1)?);
    if cx.node.op == "BatchMatMulV3" {
        let to = cx.attr_dtype("Tout")?;
        (a, b) = (cx.cast(a, to)?, cx.cast(b, to)?);
    }
    if cx.rank(a) < 2 || cx.rank(b) < 2 {
        return Err(format!("expected matrices, got ranks {} and {}", cx.rank(a), cx.rank(b)).into());
    }
    let (turn_a, turn_b) = (cx.node.attr_bool("adj_x")?, cx.node.attr_bool("adj_y")?);
    let (a, b) = (turned(cx, a, turn_a)?, turned(cx, b, turn_b)?);
    one(broadcast_dot(cx, a, b)?)
}

/// The product of matrices whose leading axes are broadcast.
pub(super) fn broadcast_dot(cx: &mut Import, a: NodeId, b: NodeId) -> Result<NodeId> {
    let (x, y) = (cx.shape(a), cx.shape(b));
    let (m, n) = (x.len() - 2, y.len() - 2);
    let batch = cx.common_shape(&[x[..m].to_vec(), y[..n].to_vec()])?;
    let a = cx.broadcast_to(a, &[&batch[..], &x[m..]].concat())?;
    let b = cx.broadcast_to(b, &[&batch[..], &y[n..]].concat())?;
    dot(cx, a, b)
}

/// Row and column numbers, broadcast over the last two axes of a shape.
fn places(cx: &mut Import, shape: &[Dim]) -> Result<[NodeId; 2]> {
    let (rows, columns) = (shape[shape.len() - 2].clone(), shape[shape.len() - 1].clone());
    let row = cx.add(Iota { shape: vec![rows, Dim::one()], axis: 0, dtype: DType::I64 }, &[])?;
    let column = cx.add(Iota { shape: vec![Dim::one(), columns], axis: 1, dtype: DType::I64 }, &[])?;
    Ok([row, column])
}

fn at_least_rank(cx: &Import, x: NodeId, rank: usize) -> Result<()> {
    if cx.rank(x) < rank { Err(format!("expected rank {rank} or more, got {}", cx.rank(x)).into()) } else { Ok(()) }
}

/// Zero outside of a band around the diagonal; a negative width keeps all.
fn band(cx: &mut Import) -> Outputs {
    let (x, lower, upper) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    at_least_rank(cx, x, 2)?;
    let shape = cx.shape(x);
    for (operand, extent) in [(1, &shape[shape.len() - 2]), (2, &shape[shape.len() - 1])] {
        if let Ok(width) = cx.dim(operand, "the width of a band") {
            cx.require_at_most(&width, extent, "a band is wider than the matrix")?;
        }
    }
    let [row, column] = places(cx, &shape)?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    let inside = |cx: &mut Import, width: NodeId, from: NodeId, to: NodeId| {
        let width = cx.cast(width, DType::I64)?;
        let distance = cx.sub(from, to)?;
        let near = cx.compare(CompareFn::Le, distance, width)?;
        let all = cx.compare(CompareFn::Lt, width, zero)?;
        cx.or(near, all)
    };
    let below = inside(cx, lower, row, column)?;
    let above = inside(cx, upper, column, row)?;
    let keep = cx.and(below, above)?;
    let zero = cx.scalar_like(x, 0.0)?;
    let x = cx.select(keep, x, zero)?;
    one(x)
}

/// A matrix with the last axis on its diagonal.
fn diagonal_matrix(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    at_least_rank(cx, x, 1)?;
    let mut shape = cx.shape(x);
    let rank = shape.len();
    shape.push(shape[rank - 1].clone());
    let [row, column] = places(cx, &shape)?;
    let on = cx.compare(CompareFn::Eq, row, column)?;
    let rows = cx.insert_axes(x, &[rank])?;
    let zero = cx.scalar_like(x, 0.0)?;
    one(cx.select(on, rows, zero)?)
}

/// The diagonal of the last two axes: in row-major order it is every `columns + 1`-th element.
pub(super) fn main_diagonal(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    at_least_rank(cx, x, 2)?;
    let shape = cx.shape(x);
    let (outer, matrix) = shape.split_at(shape.len() - 2);
    let (rows, columns) = (&matrix[0], &matrix[1]);
    let length = rows.at_most(columns);
    let flat = cx.reshape(x, &[outer, &[rows * columns]].concat())?;
    let rank = outer.len();
    let Some(step) = columns.as_int() else {
        let place = cx.add(Iota { shape: vec![length], axis: 0, dtype: DType::I64 }, &[])?;
        let step = cx.dim_scalar(&(columns + 1), DType::I64)?;
        let at = cx.mul(place, step)?;
        return cx.add(Gather { axis: rank, batch: 0, checked: false }, &[flat, at]);
    };
    let mut stride = vec![1; rank];
    stride.push(step + 1);
    cx.slice(flat, vec![Dim::zero(); rank + 1], stride, [outer, &[length]].concat())
}

fn diagonal_part(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(main_diagonal(cx, x)?)
}

fn set_diagonal(cx: &mut Import) -> Outputs {
    let (x, diagonal) = (cx.arg(0)?, cx.arg(1)?);
    at_least_rank(cx, x, 2)?;
    let shape = cx.shape(x);
    let rank = shape.len();
    let [row, column] = places(cx, &shape)?;
    let on = cx.compare(CompareFn::Eq, row, column)?;
    let length = shape[rank - 2].at_most(&shape[rank - 1]);
    let want: Vec<Dim> = shape[..rank - 2].iter().chain([&length]).cloned().collect();
    let given = cx.shape(diagonal);
    if given.len() != want.len() {
        return Err(format!("a diagonal of rank {} does not fit rank {rank}", given.len()).into());
    }
    for (have, want) in given.iter().zip(&want) {
        cx.require_equal(have, want, "the diagonal and its place")?;
    }
    // Along the shorter of both axes, where it is known, the diagonal needs no padding.
    let spread = if shape[rank - 2] == length {
        cx.insert_axes(diagonal, &[rank - 1])?
    } else if shape[rank - 1] == length {
        cx.insert_axes(diagonal, &[rank - 2])?
    } else {
        let at = cx.binary(BinaryFn::Min, row, column)?;
        cx.add(Gather { axis: rank - 2, batch: 0, checked: false }, &[diagonal, at])?
    };
    one(cx.select(on, spread, x)?)
}

/// Rank k becomes rank 2k: zero except where both halves of the index are equal.
fn diag(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    let count = crate::tensor::count(&shape);
    let flat = cx.reshape(x, std::slice::from_ref(&count))?;
    let [row, column] = places(cx, &[count.clone(), count])?;
    let on = cx.compare(CompareFn::Eq, row, column)?;
    let zero = cx.scalar_like(x, 0.0)?;
    let matrix = cx.select(on, flat, zero)?;
    one(cx.reshape(matrix, &[&shape[..], &shape].concat())?)
}

fn diag_part(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    if !shape.len().is_multiple_of(2) || shape.is_empty() {
        return Err(format!("expected an even rank, got {}", shape.len()).into());
    }
    let half = &shape[..shape.len() / 2];
    for (a, b) in half.iter().zip(&shape[shape.len() / 2..]) {
        cx.require_equal(a, b, "both halves of the shape")?;
    }
    let count = crate::tensor::count(half);
    let matrix = cx.reshape(x, &[count.clone(), count])?;
    let diagonal = main_diagonal(cx, matrix)?;
    one(cx.reshape(diagonal, half)?)
}

/// The sum over axes, which stay with extent 1.
pub(super) fn sum(cx: &mut Import, x: NodeId, axes: Vec<usize>) -> Result<NodeId> {
    if axes.is_empty() { Ok(x) } else { cx.add(crate::op::Reduce { f: BinaryFn::Add, axes }, &[x]) }
}
