//! Transposes sink towards the outputs, where they meet their inverses. This is what turns channels-first models into
//! chains that keep the channels last.

use super::{Rewrite, Rule};
use crate::{
    base::Dim,
    graph::NodeId,
    op::{Broadcast, Op, Pad, Reduce, Transpose, Window},
};

pub const RULES: &[Rule] = &[
    Rule {
        name: "transpose-of-broadcast",
        apply: transpose_of_broadcast,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,1]
               %1 = broadcast {"shape":["N",3]} %0
               %2 = transpose {"perm":[1,0]} %1
               output "y" %2"#,
            r#"input "x" %0
               %0 = input : f32[N,1]
               %1 = transpose {"perm":[1,0]} %0
               %2 = broadcast {"shape":[3,"N"]} %1
               output "y" %2"#,
        ],
    },
    Rule {
        name: "pointwise-of-transpose",
        apply: pointwise_of_transpose,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,3]
               %1 = transpose {"perm":[1,0]} %0
               %2 = const [1.0,2.0,3.0] : f32[3,1]
               %3 = broadcast {"shape":[3,"N"]} %2
               %4 = binary {"f":"add"} %1 %3
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : f32[N,3]
               %1 = const [1.0,2.0,3.0] : f32[3,1]
               %2 = broadcast {"shape":[3,"N"]} %1
               %3 = transpose {"perm":[1,0]} %2
               %4 = binary {"f":"add"} %0 %3
               %5 = transpose {"perm":[1,0]} %4
               output "y" %5"#,
        ],
    },
    Rule {
        name: "axes-of-transpose",
        apply: axes_of_transpose,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,3,5]
               %1 = transpose {"perm":[2,0,1]} %0
               %2 = reduce {"f":"max","axes":[0,1]} %1
               output "y" %2"#,
            r#"input "x" %0
               %0 = input : f32[N,3,5]
               %1 = reduce {"f":"max","axes":[0,2]} %0
               %2 = transpose {"perm":[2,0,1]} %1
               output "y" %2"#,
        ],
    },
];

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    perm.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    inverse
}

/// The permutation of a transpose, and its operand.
fn transposed<'g>(rw: &Rewrite<'g>, id: NodeId) -> Option<(&'g [usize], NodeId)> {
    match &rw.node(id).op {
        Op::Transpose(op) => Some((&op.perm, rw.node(id).inputs[0])),
        _ => None,
    }
}

fn transpose_of_broadcast(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let (perm, x) = transposed(rw, id)?;
    let Op::Broadcast(_) = rw.old.op(x) else { return None };
    let x = rw.new_of(rw.node(x).inputs[0]);
    let x = rw.add(Transpose { perm: perm.to_vec() }, &[x])?;
    rw.add(Broadcast { shape: rw.ty(id).shape.clone() }, &[x])
}

/// Every operand is transposed alike, or costs nothing to transpose.
fn pointwise_of_transpose(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    match node.op {
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Bitcast(_) => {}
        _ => return None,
    }
    // What can be transposed for nothing is no reason to begin, or two such operands would begin for ever.
    let is_reason =
        |(_, inner): &(&[usize], NodeId)| !rw.is_fixed(*inner) && !matches!(rw.old.op(*inner), Op::Broadcast(_));
    let (perm, _) = node.inputs.iter().filter_map(|&x| transposed(rw, x)).find(is_reason)?;
    let fits = |&x: &NodeId| match transposed(rw, x) {
        Some((other, _)) => other == perm,
        None => {
            rw.is_fixed(x)
                || matches!(rw.old.op(x), Op::Broadcast(op) if is_thin(&op.shape, &rw.ty(rw.node(x).inputs[0]).shape))
        }
    };
    if !node.inputs.iter().all(fits) {
        return None;
    }
    let mut operands = vec![];
    for &x in &node.inputs {
        let operand = match transposed(rw, x) {
            Some((_, inner)) => rw.new_of(inner),
            None => {
                let x = rw.new_of(x);
                rw.add(Transpose { perm: inverse(perm) }, &[x])?
            }
        };
        operands.push(operand);
    }
    let y = rw.add(node.op.clone(), &operands)?;
    rw.add(Transpose { perm: perm.to_vec() }, &[y])
}

/// Whether at most one axis is not repeated: such an operand has no order of axes.
fn is_thin(to: &[Dim], from: &[Dim]) -> bool {
    from.iter().zip(to).filter(|(n, _)| !n.is(1)).count() <= 1
}

/// Operators that treat axes one by one.
fn axes_of_transpose(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let (perm, x) = transposed(rw, *node.inputs.first()?)?;
    let back = inverse(perm);
    fn along<T: Clone>(list: &[T], back: &[usize]) -> Vec<T> {
        back.iter().map(|&a| list[a].clone()).collect()
    }
    let op: Op = match &node.op {
        Op::Reduce(op) => {
            let mut axes: Vec<usize> = op.axes.iter().map(|&a| perm[a]).collect();
            axes.sort();
            Reduce { f: op.f, axes }.into()
        }
        Op::Window(op) => Window {
            f: op.f,
            size: along(&op.size, &back),
            stride: along(&op.stride, &back),
            dilation: along(&op.dilation, &back),
            low: along(&op.low, &back),
            high: along(&op.high, &back),
        }
        .into(),
        Op::Pad(op) => Pad { low: along(&op.low, &back), high: along(&op.high, &back) }.into(),
        _ => return None,
    };
    let mut operands = vec![rw.new_of(x)];
    operands.extend(node.inputs[1..].iter().map(|&x| rw.new_of(x)));
    let y = rw.add(op, &operands)?;
    rw.add(Transpose { perm: perm.to_vec() }, &[y])
}
