//! Scales and offsets per channel, such as inference batch normalisation, move into the weights of the convolution or
//! matrix product before them. Rounding changes; f32 and f64 only.
//!
//! `(a + b) * k` becomes `a*k + b*k` where `a` is such a product, then `product(x, w) * k` becomes `product(x, w*k)`, and
//! offsets are added up; what is fixed is computed at compile time by the constants pass.

use super::{Rewrite, Rule};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::BinaryFn,
    op::{Binary, Op},
    tensor::DType,
};

pub const RULES: &[Rule] = &[
    Rule {
        name: "scale-into-weights",
        apply: scale_into_weights,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,2]
               %1 = const [1.0,2.0,3.0,4.0] : f32[2,2]
               %2 = dot %0 %1
               %3 = const [5.0,6.0] : f32[1,2]
               %4 = broadcast {"shape":["N",2]} %3
               %5 = binary {"f":"mul"} %2 %4
               output "y" %5"#,
            r#"input "x" %0
               %0 = input : f32[N,2]
               %1 = const [1.0,2.0,3.0,4.0] : f32[2,2]
               %2 = const [5.0,6.0] : f32[1,2]
               %3 = broadcast {"shape":[2,2]} %2
               %4 = binary {"f":"mul"} %1 %3
               %5 = dot %0 %4
               output "y" %5"#,
        ],
    },
    Rule {
        name: "scale-before-offset",
        apply: scale_before_offset,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,2]
               %1 = const [1.0,2.0,3.0,4.0] : f32[2,2]
               %2 = dot %0 %1
               %3 = const [5.0,6.0] : f32[1,2]
               %4 = broadcast {"shape":["N",2]} %3
               %5 = binary {"f":"sub"} %2 %4
               %6 = const [7.0] : f32[1,1]
               %7 = broadcast {"shape":["N",2]} %6
               %8 = binary {"f":"mul"} %5 %7
               output "y" %8"#,
            r#"input "x" %0
               %0 = input : f32[N,2]
               %1 = const [1.0,2.0,3.0,4.0] : f32[2,2]
               %2 = dot %0 %1
               %3 = const [5.0,6.0] : f32[1,2]
               %4 = const [7.0] : f32[1,1]
               %5 = broadcast {"shape":["N",2]} %4
               %6 = broadcast {"shape":[1,2]} %4
               %7 = binary {"f":"mul"} %3 %6
               %8 = binary {"f":"mul"} %2 %5
               %9 = broadcast {"shape":["N",2]} %7
               %10 = binary {"f":"sub"} %8 %9
               output "y" %10"#,
        ],
    },
    Rule {
        name: "offset-of-offset",
        apply: offset_of_offset,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,2]
               %1 = const [1.0,2.0,3.0,4.0] : f32[2,2]
               %2 = dot %0 %1
               %3 = const [5.0,6.0] : f32[1,2]
               %4 = broadcast {"shape":["N",2]} %3
               %5 = binary {"f":"add"} %2 %4
               %6 = const [7.0,8.0] : f32[1,2]
               %7 = broadcast {"shape":["N",2]} %6
               %8 = binary {"f":"sub"} %5 %7
               output "y" %8"#,
            r#"input "x" %0
               %0 = input : f32[N,2]
               %1 = const [1.0,2.0,3.0,4.0] : f32[2,2]
               %2 = dot %0 %1
               %3 = const [5.0,6.0] : f32[1,2]
               %4 = const [7.0,8.0] : f32[1,2]
               %5 = binary {"f":"sub"} %3 %4
               %6 = broadcast {"shape":["N",2]} %5
               %7 = binary {"f":"add"} %2 %6
               output "y" %7"#,
        ],
    },
];

/// The function and the operands of a binary node of single or double precision, a fixed right side last where the
/// function commutes.
fn binary(rw: &Rewrite<'_>, id: NodeId) -> Option<(BinaryFn, NodeId, NodeId)> {
    let node = rw.node(id);
    let Op::Binary(Binary { f }) = node.op else { return None };
    if !matches!(node.ty.dtype, DType::F32 | DType::F64) {
        return None;
    }
    let (x, y) = (node.inputs[0], node.inputs[1]);
    let swap = matches!(f, BinaryFn::Add | BinaryFn::Mul) && per_channel(rw, x).is_some();
    Some(if swap { (f, y, x) } else { (f, x, y) })
}

/// The fixed vector `[1, .., 1, C]` (C may be 1) that an operand repeats along all other axes.
fn per_channel(rw: &Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let x = match rw.node(id).op {
        Op::Broadcast(_) => rw.node(id).inputs[0],
        _ => id,
    };
    let (_, outer) = rw.ty(x).shape.split_last()?;
    (rw.is_fixed(x) && outer.iter().all(|n| n.is(1))).then_some(x)
}

/// Whether a node is a product whose weights nothing else uses and may change.
fn is_scalable(rw: &Rewrite<'_>, id: NodeId) -> bool {
    let node = rw.node(id);
    let weights = |w: NodeId| rw.is_fixed(w) && rw.is_used_once(w);
    matches!(node.op, Op::Dot(_) | Op::Conv(_)) && rw.is_used_once(id) && weights(node.inputs[1])
}

/// The shape that two vectors over the last axis have together.
fn common(rw: &Rewrite<'_>, a: NodeId, b: NodeId) -> Vec<Dim> {
    let (a, b) = (&rw.ty(a).shape, &rw.ty(b).shape);
    if a.last().is_some_and(|n| n.is(1)) { b.clone() } else { a.clone() }
}

/// `f` of two old vectors over the last axis.
fn combine(rw: &mut Rewrite<'_>, f: BinaryFn, a: NodeId, b: NodeId) -> Option<NodeId> {
    let shape = common(rw, a, b);
    let [a, b] = [a, b].map(|x| rw.new_of(x));
    let (a, b) = (rw.broadcast(a, &shape)?, rw.broadcast(b, &shape)?);
    rw.binary(f, a, b)
}

/// `product(x, w) * k` is `product(x, w * k)`.
fn scale_into_weights(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let (f, product, k) = binary(rw, id)?;
    let k = per_channel(rw, k).filter(|_| f == BinaryFn::Mul && is_scalable(rw, product))?;
    let node = rw.node(product);
    let (weights, length) = (node.inputs[1], rw.ty(k).shape.last()?.clone());
    let shape = rw.ty(weights).shape.clone();
    let mut along = vec![Dim::one(); shape.len()];
    *along.last_mut()? = length;
    let k = rw.new_of(k);
    let k = rw.reshape(k, &along)?;
    let k = rw.broadcast(k, &shape)?;
    let weights = rw.new_of(weights);
    let scaled = rw.binary(BinaryFn::Mul, weights, k)?;
    let x = rw.new_of(node.inputs[0]);
    rw.add(node.op.clone(), &[x, scaled])
}

/// `(a + b) * k` is `a * k + b * k`.
fn scale_before_offset(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let (f, sum, k_wide) = binary(rw, id)?;
    let k = per_channel(rw, k_wide).filter(|_| f == BinaryFn::Mul && rw.is_used_once(sum))?;
    let (f, a, b) = binary(rw, sum)?;
    let b = per_channel(rw, b).filter(|_| matches!(f, BinaryFn::Add | BinaryFn::Sub) && is_scalable(rw, a))?;
    let offset = combine(rw, BinaryFn::Mul, b, k)?;
    let (a, k) = (rw.new_of(a), rw.new_of(k_wide));
    let scaled = rw.binary(BinaryFn::Mul, a, k)?;
    let offset = rw.broadcast(offset, &rw.ty(id).shape)?;
    rw.binary(f, scaled, offset)
}

/// `(a + b) + c` is `a + (b + c)`, for a product `a`.
fn offset_of_offset(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let (outer, sum, c) = binary(rw, id)?;
    let c = per_channel(rw, c).filter(|_| rw.is_used_once(sum))?;
    let (inner, a, b) = binary(rw, sum)?;
    let b = per_channel(rw, b).filter(|_| is_scalable(rw, a))?;
    // The signs of b and c decide how they combine: a - b + c is a - (b - c).
    let together = match (inner, outer) {
        (BinaryFn::Add | BinaryFn::Sub, o) if o == inner => BinaryFn::Add,
        (BinaryFn::Add, BinaryFn::Sub) | (BinaryFn::Sub, BinaryFn::Add) => BinaryFn::Sub,
        _ => return None,
    };
    let offset = combine(rw, together, b, c)?;
    let a = rw.new_of(a);
    let offset = rw.broadcast(offset, &rw.ty(id).shape)?;
    rw.binary(inner, a, offset)
}
