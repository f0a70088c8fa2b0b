//! Repetition comes last: what is computed of repeated values is computed once and then repeated.

use super::{Rewrite, Rule};
use crate::{
    base::{Dim, dim::NoVars},
    graph::NodeId,
    op::Op,
    opt::rewrite::divides,
};

pub const RULES: &[Rule] = &[Rule {
    name: "pointwise-of-broadcast",
    apply: pointwise_of_broadcast,
    example: [
        r#"input "x" %0
           %0 = input : f32[N,1]
           %1 = broadcast {"shape":["N",3]} %0
           %2 = const [2.0] : f32[]
           %3 = reshape {"shape":[1,1]} %2
           %4 = broadcast {"shape":["N",3]} %3
           %5 = binary {"f":"mul"} %1 %4
           %6 = unary {"f":"exp"} %5
           output "y" %6"#,
        r#"input "x" %0
           %0 = input : f32[N,1]
           %1 = const [2.0] : f32[]
           %2 = reshape {"shape":[1,1]} %1
           %3 = broadcast {"shape":["N",1]} %2
           %4 = binary {"f":"mul"} %0 %3
           %5 = unary {"f":"exp"} %4
           %6 = broadcast {"shape":["N",3]} %5
           output "y" %6"#,
    ],
}];

/// `f(broadcast(x), ..)` is `broadcast(f(x, ..))`, over the axes that every operand repeats.
fn pointwise_of_broadcast(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    match node.op {
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Bitcast(_) => {}
        _ => return None,
    }
    let repeated = |rw: &Rewrite<'_>, x: NodeId| {
        let is_broadcast = matches!(rw.old.op(x), Op::Broadcast(_));
        is_broadcast.then(|| rw.node(x).inputs[0])
    };
    let inner: Vec<NodeId> = node.inputs.iter().map(|&x| repeated(rw, x)).collect::<Option<_>>()?;
    let small = |a: usize| {
        let mut apart = inner.iter().map(|&x| &rw.ty(x).shape[a]).filter(|n| !n.is(1));
        let Some(first) = apart.next() else { return Dim::one() };
        if apart.all(|n| n == first) { first.clone() } else { node.ty.shape[a].clone() }
    };
    let shape: Vec<Dim> = (0..node.ty.rank()).map(small).collect();
    if shape == node.ty.shape {
        return None;
    }
    // What is repeated no times was not divided before.
    let repeats = shape.iter().zip(&node.ty.shape).filter(|(one, all)| one != all).map(|(_, all)| all);
    if divides(&node.op, node.ty.dtype) && !repeats.into_iter().all(|n| (n - 1).is_nonneg(&NoVars)) {
        return None;
    }
    let mut operands = vec![];
    for x in inner {
        let x = rw.new_of(x);
        operands.push(rw.broadcast(x, &shape)?);
    }
    let y = rw.add(node.op.clone(), &operands)?;
    rw.broadcast(y, &node.ty.shape)
}
