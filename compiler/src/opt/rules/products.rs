//! Products of a single row or column are sums along the axis in which their operands lie.

use super::{Rewrite, Rule};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::BinaryFn,
    op::{Op, Reduce, Transpose},
    tensor::DType,
};

/// Sums of fewer products than this are not worth lanes of their own.
const LONG: i64 = 16;

pub const RULES: &[Rule] = &[
    Rule {
        name: "row-times-transpose",
        apply: row_times_transpose,
        example: [
            r#"input "q" %0
           input "k" %1
           %0 = input : f32[N,1,64]
           %1 = input : f32[N,7,64]
           %2 = transpose {"perm":[0,2,1]} %1
           %3 = dot %0 %2
           output "y" %3"#,
            r#"input "q" %0
           input "k" %1
           %0 = input : f32[N,1,64]
           %1 = input : f32[N,7,64]
           %2 = transpose {"perm":[0,1,2]} %1
           %3 = broadcast {"shape":["N",7,64]} %0
           %4 = binary {"f":"mul"} %3 %2
           %5 = reduce {"f":"add","axes":[2]} %4
           %6 = reshape {"shape":["N",1,7]} %5
           output "y" %6"#,
        ],
    },
    Rule {
        name: "times-column",
        apply: times_column,
        example: [
            r#"input "x" %0
               input "c" %1
               %0 = input : f32[N,7,64]
               %1 = input : f32[N,64,1]
               %2 = dot %0 %1
               output "y" %2"#,
            r#"input "x" %0
               input "c" %1
               %0 = input : f32[N,7,64]
               %1 = input : f32[N,64,1]
               %2 = reshape {"shape":["N",1,64]} %1
               %3 = broadcast {"shape":["N",7,64]} %2
               %4 = binary {"f":"mul"} %0 %3
               %5 = reduce {"f":"add","axes":[2]} %4
               output "y" %5"#,
        ],
    },
];

/// Whether a product may be a sum of products: narrower floats would be rounded before they are added.
fn is_exact(rw: &Rewrite<'_>, id: NodeId) -> bool {
    matches!(rw.ty(id).dtype, DType::F32 | DType::F64)
}

/// The sums of `x * y`, each along the last axis.
fn sums(rw: &mut Rewrite<'_>, x: NodeId, y: NodeId) -> Option<NodeId> {
    let products = rw.binary(BinaryFn::Mul, x, y)?;
    let last = rw.new.shape(products).len() - 1;
    rw.add(Reduce { f: BinaryFn::Add, axes: vec![last] }, &[products])
}

/// One row times a matrix whose columns lie in memory one behind the other: each is multiplied where it lies, as a query
/// is with the keys of a cache. A product with more rows is worth the transpose, which serves all of them.
fn row_times_transpose(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Dot(_) = node.op else { return None };
    let [row, right] = node.inputs[..] else { return None };
    let Op::Transpose(op) = rw.old.op(right) else { return None };
    let last = op.perm.len() - 1;
    let lies_along = op.perm[last - 1] == last;
    if !is_exact(rw, id) || !lies_along || !node.ty.shape[last - 1].is(1) || rw.is_fixed(right) {
        return None;
    }
    let mut perm = op.perm.clone();
    perm.swap(last - 1, last);
    let [row, matrix] = [row, rw.node(right).inputs[0]].map(|x| rw.new_of(x));
    let columns = rw.add(Transpose { perm }, &[matrix])?;
    let shape = rw.new.shape(columns).to_vec();
    let row = rw.broadcast(row, &shape)?;
    let sums = sums(rw, row, columns)?;
    rw.reshape(sums, &node.ty.shape)
}

/// A matrix times one column, which would fill one lane of a vector of columns.
fn times_column(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Dot(_) = node.op else { return None };
    let [left, column] = node.inputs[..] else { return None };
    let shape = &rw.ty(left).shape;
    let last = shape.len() - 1;
    let lies_along = !matches!(rw.old.op(left), Op::Transpose(op) if op.perm[last] != last);
    let is_long = shape[last].as_int().is_none_or(|n| n >= LONG);
    if !is_exact(rw, id) || !node.ty.shape[last].is(1) || !lies_along || !is_long {
        return None;
    }
    let mut lying = shape.clone();
    lying[last - 1] = Dim::one();
    let [left, column] = [left, column].map(|x| rw.new_of(x));
    let column = rw.reshape(column, &lying)?;
    let column = rw.broadcast(column, shape)?;
    sums(rw, left, column)
}
