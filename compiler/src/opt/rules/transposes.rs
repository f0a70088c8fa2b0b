//! Transposes sink towards the outputs, where they meet their inverses. This is what turns channels-first models into
//! chains that keep the channels last.

use super::{Rewrite, Rule};
use crate::{
    base::Dim,
    graph::NodeId,
    op::{Concat, Op, Pad, Reduce, Reshape, Slice, Transpose, Window},
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
    Rule {
        name: "concat-of-transposes",
        apply: concat_of_transposes,
        example: [
            r#"input "x" %0
               input "z" %1
               %0 = input : f32[N,3]
               %1 = input : f32[N,4]
               %2 = transpose {"perm":[1,0]} %0
               %3 = transpose {"perm":[1,0]} %1
               %4 = concat {"axis":0} %2 %3
               output "y" %4"#,
            r#"input "x" %0
               input "z" %1
               %0 = input : f32[N,3]
               %1 = input : f32[N,4]
               %2 = concat {"axis":1} %0 %1
               %3 = transpose {"perm":[1,0]} %2
               output "y" %3"#,
        ],
    },
    Rule {
        name: "transpose-of-one-axis",
        apply: transpose_of_one_axis,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,1,1,5]
               %1 = transpose {"perm":[0,3,1,2]} %0
               output "y" %1"#,
            r#"input "x" %0
               %0 = input : f32[N,1,1,5]
               %1 = reshape {"shape":["N",5,1,1]} %0
               output "y" %1"#,
        ],
    },
    Rule {
        name: "product-of-flattened-transpose",
        apply: product_of_flattened_transpose,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,2,3]
               %1 = transpose {"perm":[0,2,1]} %0
               %2 = reshape {"shape":["N",6]} %1
               %3 = const [1.0,2.0,3.0,4.0,5.0,6.0] : f32[6,1]
               %4 = dot %2 %3
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : f32[N,2,3]
               %1 = const [1.0,2.0,3.0,4.0,5.0,6.0] : f32[6,1]
               %2 = reshape {"shape":["N",6]} %0
               %3 = reshape {"shape":[3,2,1]} %1
               %4 = transpose {"perm":[1,0,2]} %3
               %5 = reshape {"shape":[6,1]} %4
               %6 = dot %2 %5
               output "y" %6"#,
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
    rw.broadcast(x, &rw.ty(id).shape)
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
            let repeats = |inner: NodeId| {
                keeps_order(&inverse(perm), &rw.ty(inner).shape)
                    || transposed(rw, inner).is_some_and(|(p, _)| p == perm)
            };
            rw.is_fixed(x) || matches!(rw.old.op(x), Op::Broadcast(_)) && repeats(rw.node(x).inputs[0])
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

/// Whether a transpose moves nothing but axes of extent 1, so that the elements stay in their order.
fn keeps_order(perm: &[usize], shape: &[Dim]) -> bool {
    perm.iter().filter(|&&axis| !shape[axis].is(1)).is_sorted()
}

fn transpose_of_one_axis(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let (perm, x) = transposed(rw, id)?;
    if !keeps_order(perm, &rw.ty(x).shape) {
        return None;
    }
    let x = rw.new_of(x);
    rw.add(Reshape { shape: rw.ty(id).shape.clone() }, &[x])
}

fn concat_of_transposes(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Concat(op) = &node.op else { return None };
    let (perm, _) = node.inputs.iter().find_map(|&x| transposed(rw, x).filter(|(_, x)| !rw.is_fixed(*x)))?;
    let fits = |&x: &NodeId| rw.is_fixed(x) || transposed(rw, x).is_some_and(|(other, _)| other == perm);
    if !node.inputs.iter().all(fits) {
        return None;
    }
    let mut operands = vec![];
    for &x in &node.inputs {
        operands.push(match transposed(rw, x) {
            Some((other, inner)) if other == perm => rw.new_of(inner),
            _ => {
                let x = rw.new_of(x);
                rw.add(Transpose { perm: inverse(perm) }, &[x])?
            }
        });
    }
    let y = rw.add(Concat { axis: perm[op.axis] }, &operands)?;
    rw.add(Transpose { perm: perm.to_vec() }, &[y])
}

/// The rows of the weights change places instead of the elements that they are multiplied with.
fn product_of_flattened_transpose(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Dot(_) = node.op else { return None };
    let (flat, weights) = (node.inputs[0], node.inputs[1]);
    let Op::Reshape(_) = rw.old.op(flat) else { return None };
    let (perm, x) = transposed(rw, rw.node(flat).inputs[0])?;
    let ([rows, depth], [_, columns]) = (&rw.ty(flat).shape[..], &rw.ty(weights).shape[..]) else { return None };
    let shape = &rw.ty(x).shape;
    if perm.first() != Some(&0) || shape[0] != *rows || !rw.is_fixed(weights) {
        return None;
    }
    let mut apart: Vec<Dim> = perm[1..].iter().map(|&axis| shape[axis].clone()).collect();
    apart.push(columns.clone());
    let mut back: Vec<usize> = inverse(perm)[1..].iter().map(|axis| axis - 1).collect();
    back.push(back.len());
    let (x, weights) = (rw.new_of(x), rw.new_of(weights));
    let x = rw.add(Reshape { shape: vec![rows.clone(), depth.clone()] }, &[x])?;
    let weights = rw.reshape(weights, &apart)?;
    let weights = rw.add(Transpose { perm: back }, &[weights])?;
    let weights = rw.reshape(weights, &[depth.clone(), columns.clone()])?;
    rw.add(node.op.clone(), &[x, weights])
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
        Op::Slice(op) => {
            Slice { start: along(&op.start, &back), stride: along(&op.stride, &back), shape: along(&op.shape, &back) }
                .into()
        }
        Op::Pad(op) => Pad { low: along(&op.low, &back), high: along(&op.high, &back) }.into(),
        _ => return None,
    };
    let mut operands = vec![rw.new_of(x)];
    operands.extend(node.inputs[1..].iter().map(|&x| rw.new_of(x)));
    let y = rw.add(op, &operands)?;
    rw.add(Transpose { perm: perm.to_vec() }, &[y])
}
