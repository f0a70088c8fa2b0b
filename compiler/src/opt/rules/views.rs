//! Views: those that do nothing vanish, and two of a kind become one.

use super::{Rewrite, Rule};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::BinaryFn,
    op::{Concat, Op, Reshape, Slice, Transpose},
};

pub const RULES: &[Rule] = &[
    Rule {
        name: "identity",
        apply: identity,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,3]
               %1 = reshape {"shape":["N",3]} %0
               %2 = transpose {"perm":[0,1]} %1
               %3 = slice {"start":[0,0],"stride":[1,1],"shape":["N",3]} %2
               %4 = const [0.0] : f32[]
               %5 = pad {"low":[0,0],"high":[0,0]} %3 %4
               %6 = concat {"axis":1} %5
               output "y" %6"#,
            r#"input "x" %0
               %0 = input : f32[N,3]
               output "y" %0"#,
        ],
    },
    Rule {
        name: "view-of-view",
        apply: view_of_view,
        example: [
            r#"input "x" %0
               %0 = input : i8[N,4]
               %1 = transpose {"perm":[1,0]} %0
               %2 = transpose {"perm":[1,0]} %1
               %3 = reshape {"shape":["4*N"]} %2
               %4 = reshape {"shape":["2*N",2]} %3
               %5 = slice {"start":[0,1],"stride":[1,-1],"shape":["2*N",2]} %4
               %6 = slice {"start":[0,1],"stride":[1,1],"shape":["2*N",1]} %5
               %7 = broadcast {"shape":["2*N",3]} %6
               output "y" %7"#,
            r#"input "x" %0
               %0 = input : i8[N,4]
               %1 = transpose {"perm":[0,1]} %0
               %2 = reshape {"shape":["2*N",2]} %1
               %3 = slice {"start":[0,0],"stride":[1,-1],"shape":["2*N",1]} %2
               %4 = broadcast {"shape":["2*N",3]} %3
               output "y" %4"#,
        ],
    },
    Rule {
        name: "concat-of-nothing",
        apply: concat_of_nothing,
        example: [
            r#"input "x" %0
               %0 = input : i8[N,4]
               %1 = const [] : i8[0,4]
               %2 = concat {"axis":0} %0 %1 %0
               output "y" %2"#,
            r#"input "x" %0
               %0 = input : i8[N,4]
               %1 = concat {"axis":0} %0 %0
               output "y" %1"#,
        ],
    },
    Rule {
        name: "pointwise-of-reshape",
        apply: pointwise_of_reshape,
        example: [
            r#"input "x" %0
               %0 = input : f32[6*N,4]
               %1 = reshape {"shape":["N",6,4]} %0
               %2 = const [1.0,2.0,3.0,4.0] : f32[1,1,4]
               %3 = broadcast {"shape":["N",6,4]} %2
               %4 = binary {"f":"add"} %1 %3
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : f32[6*N,4]
               %1 = const [1.0,2.0,3.0,4.0] : f32[1,1,4]
               %2 = reshape {"shape":[1,4]} %1
               %3 = broadcast {"shape":["6*N",4]} %2
               %4 = binary {"f":"add"} %0 %3
               %5 = reshape {"shape":["N",6,4]} %4
               output "y" %5"#,
        ],
    },
    Rule {
        name: "put-of-all",
        apply: put_of_all,
        example: [
            r#"input "x" %0
               input "y" %1
               %0 = input : i8[N,4]
               %1 = input : i8[N,4]
               %2 = put {"start":[0,0]} %0 %1
               output "z" %2"#,
            r#"input "x" %0
               input "y" %1
               %0 = input : i8[N,4]
               %1 = input : i8[N,4]
               output "z" %1"#,
        ],
    },
    Rule {
        name: "concat-of-concat",
        apply: concat_of_concat,
        example: [
            r#"input "x" %0
               %0 = input : i8[N,4]
               %1 = concat {"axis":0} %0 %0
               %2 = concat {"axis":0} %1 %0
               output "y" %2"#,
            r#"input "x" %0
               %0 = input : i8[N,4]
               %1 = concat {"axis":0} %0 %0 %0
               output "y" %1"#,
        ],
    },
];

/// A view, or a fold of nothing, that gives its operand.
fn identity(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let x = *node.inputs.first()?;
    let same = match &node.op {
        Op::Reshape(_) | Op::Broadcast(_) => true,
        Op::Transpose(op) => op.perm.iter().copied().eq(0..op.perm.len()),
        Op::Slice(op) => {
            let whole =
                |a: usize| op.stride[a] == 1 && op.start[a].is(0) || node.ty.shape[a].is(1) && op.start[a].is(0);
            (0..op.stride.len()).all(whole)
        }
        Op::Pad(op) => op.low.iter().chain(&op.high).all(|n| n.is(0)),
        Op::Concat(_) => node.inputs.len() == 1,
        Op::Cast(op) => op.to == rw.ty(x).dtype,
        Op::Bitcast(_) => true,
        // A sum starts at 0.0, which a -0.0 does not survive.
        Op::Reduce(op) => {
            let exact = !matches!(op.f, BinaryFn::Add) || node.ty.dtype.is_int();
            exact && op.axes.iter().all(|&a| rw.ty(x).shape[a].is(1))
        }
        _ => false,
    };
    (same && rw.ty(x) == rw.ty(id)).then(|| rw.new_of(x))
}

fn view_of_view(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let inner = rw.node(*node.inputs.first()?);
    let x = *inner.inputs.first()?;
    let op: Op = match (&node.op, &inner.op) {
        (Op::Reshape(outer), Op::Reshape(_)) => Reshape { shape: outer.shape.clone() }.into(),
        (Op::Broadcast(outer), Op::Broadcast(_)) => {
            let x = rw.new_of(x);
            return rw.broadcast(x, &outer.shape);
        }
        (Op::Transpose(outer), Op::Transpose(inner)) => {
            Transpose { perm: outer.perm.iter().map(|&p| inner.perm[p]).collect() }.into()
        }
        (Op::Slice(outer), Op::Slice(inner)) => {
            let stride: Vec<i64> =
                outer.stride.iter().zip(&inner.stride).map(|(a, b)| a.checked_mul(*b)).collect::<Option<_>>()?;
            let start = (0..stride.len()).map(|a| &inner.start[a] + &outer.start[a] * inner.stride[a]).collect();
            Slice { start, stride, shape: outer.shape.clone() }.into()
        }
        _ => return None,
    };
    let x = rw.new_of(x);
    rw.add(op, &[x])
}

fn concat_of_nothing(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Concat(Concat { axis }) = node.op else { return None };
    let full: Vec<NodeId> = node.inputs.iter().copied().filter(|&x| !rw.ty(x).shape[axis].is(0)).collect();
    if full.is_empty() || full.len() == node.inputs.len() {
        return None;
    }
    let full: Vec<NodeId> = full.into_iter().map(|x| rw.new_of(x)).collect();
    rw.add(Concat { axis }, &full)
}

/// `f(reshape(x), ..)` is `reshape(f(x, ..))`, where the other operands are reshaped alike or differ along the last axis
/// only, which stays. So a matrix product keeps its bias and activation when its rows are given more axes.
fn pointwise_of_reshape(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    match node.op {
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Bitcast(_) => {}
        _ => return None,
    }
    let reshaped = |rw: &Rewrite<'_>, x: NodeId| {
        let is_reshape = matches!(rw.old.op(x), Op::Reshape(_)) && !rw.is_fixed(x);
        is_reshape.then(|| rw.node(x).inputs[0])
    };
    let shape = node.inputs.iter().find_map(|&x| Some(rw.ty(reshaped(rw, x)?).shape.clone()))?;
    let same_last = shape.last() == node.ty.shape.last();
    let mut operands = vec![];
    for &x in &node.inputs {
        operands.push(match reshaped(rw, x) {
            Some(inner) if rw.ty(inner).shape == shape => rw.new_of(inner),
            Some(_) => return None,
            None => {
                let vector = match rw.old.op(x) {
                    Op::Broadcast(_) => rw.node(x).inputs[0],
                    _ => return None,
                };
                let (last, outer) = rw.ty(vector).shape.split_last()?;
                if !outer.iter().all(|n| n.is(1)) || !(last.is(1) || same_last) {
                    return None;
                }
                let mut along = vec![Dim::one(); shape.len()];
                match along.last_mut() {
                    Some(to) => *to = last.clone(),
                    None if last.is(1) => {}
                    None => return None,
                }
                let vector = rw.new_of(vector);
                let vector = rw.reshape(vector, &along)?;
                rw.broadcast(vector, &shape)?
            }
        });
    }
    let y = rw.add(node.op.clone(), &operands)?;
    rw.add(Reshape { shape: node.ty.shape.clone() }, &[y])
}

/// A box that is the whole.
fn put_of_all(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Put(op) = &node.op else { return None };
    let part = node.inputs[1];
    (op.start.iter().all(|at| at.is(0)) && rw.ty(part) == &node.ty).then(|| rw.new_of(part))
}

/// Joins what is joined for nothing else.
fn concat_of_concat(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Concat(Concat { axis }) = node.op else { return None };
    let inner = |rw: &Rewrite<'_>, x: NodeId| *rw.old.op(x) == Op::Concat(Concat { axis }) && rw.is_used_once(x);
    if !node.inputs.iter().any(|&x| inner(rw, x)) {
        return None;
    }
    let mut parts = vec![];
    for &x in &node.inputs {
        if inner(rw, x) { parts.extend(&rw.node(x).inputs) } else { parts.push(x) }
    }
    let parts: Vec<NodeId> = parts.into_iter().map(|x| rw.new_of(x)).collect();
    rw.add(Concat { axis }, &parts)
}
