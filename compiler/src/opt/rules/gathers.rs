//! Indices that are known: they need no check, and evenly spaced ones are a slice.

use super::{Rewrite, Rule};
use crate::{
    base::Dim,
    graph::NodeId,
    op::{Gather, Op, Slice},
};

pub const RULES: &[Rule] = &[
    Rule {
        name: "gather-of-even-indices",
        apply: gather_of_even_indices,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,4]
               %1 = const [3,1] : i32[2]
               %2 = gather {"axis":1,"batch":0,"checked":true} %0 %1
               %3 = const [0] : i64[]
               %4 = gather {"axis":1,"batch":0,"checked":true} %2 %3
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : f32[N,4]
               %1 = slice {"start":[0,3],"stride":[1,-2],"shape":["N",2]} %0
               %2 = slice {"start":[0,0],"stride":[1,1],"shape":["N",1]} %1
               %3 = reshape {"shape":["N"]} %2
               output "y" %3"#,
        ],
    },
    Rule {
        name: "gather-of-known-indices",
        apply: gather_of_known_indices,
        example: [
            r#"input "x" %0
               %0 = input : f32[4,N]
               %1 = const [3,0,1] : u8[3]
               %2 = gather {"axis":0,"batch":0,"checked":true} %0 %1
               output "y" %2"#,
            r#"input "x" %0
               %0 = input : f32[4,N]
               %1 = const [3,0,1] : u8[3]
               %2 = gather {"axis":0,"batch":0,"checked":false} %0 %1
               output "y" %2"#,
        ],
    },
];

/// Larger constants are not looked at.
const MAX_INDICES: usize = 1 << 16;

/// The gather, and its indices when they are constant and in range.
fn known<'g>(rw: &Rewrite<'g>, id: NodeId) -> Option<(&'g Gather, Vec<i64>)> {
    let node = rw.node(id);
    let Op::Gather(op) = &node.op else { return None };
    let indices = rw.old.as_const(node.inputs[1]).filter(|t| t.count() <= MAX_INDICES)?.to_i64s()?;
    let extent = rw.ty(node.inputs[0]).shape[op.axis].as_int()?;
    indices.iter().all(|i| (0..extent).contains(i)).then_some((op, indices))
}

fn gather_of_even_indices(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let (op, indices) = known(rw, id)?;
    let (&first, stride) = (indices.first()?, indices.get(1).map_or(1, |second| second - indices[0]));
    let even = indices.iter().enumerate().all(|(n, &i)| i == first + stride * n as i64);
    if op.batch > 0 || stride == 0 || !even {
        return None;
    }
    let mut shape = rw.ty(rw.node(id).inputs[0]).shape.clone();
    shape[op.axis] = Dim::from(indices.len());
    let (mut start, mut strides) = (vec![Dim::zero(); shape.len()], vec![1; shape.len()]);
    (start[op.axis], strides[op.axis]) = (Dim::from(first), stride);
    let x = rw.new_of(rw.node(id).inputs[0]);
    let x = rw.add(Slice { start, stride: strides, shape }, &[x])?;
    rw.reshape(x, &rw.ty(id).shape)
}

fn gather_of_known_indices(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let (op, _) = known(rw, id)?;
    let unchecked = Gather { checked: false, ..op.clone() };
    let operands = [rw.node(id).inputs[0], rw.node(id).inputs[1]].map(|x| rw.new_of(x));
    op.checked.then(|| rw.add(unchecked, &operands))?
}
