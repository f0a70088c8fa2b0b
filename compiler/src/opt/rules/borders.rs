//! Padding becomes a border of the convolution or window that reads it.

use super::{Rewrite, Rule};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::BinaryFn,
    op::{Conv, Op, Pad, Window},
    tensor::Scalar,
};

pub const RULES: &[Rule] = &[
    Rule {
        name: "conv-of-pad",
        apply: conv_of_pad,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,9,1]
               %1 = const [0.0] : f32[]
               %2 = pad {"low":[0,1,0],"high":[0,2,0]} %0 %1
               %3 = const [1.0,2.0] : f32[2,1,1]
               %4 = conv {"stride":[1],"dilation":[1],"input_dilation":[1],"low":[1],"high":[0],"groups":1} %2 %3
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : f32[N,9,1]
               %1 = const [1.0,2.0] : f32[2,1,1]
               %2 = conv {"stride":[1],"dilation":[1],"input_dilation":[1],"low":[2],"high":[2],"groups":1} %0 %1
               output "y" %2"#,
        ],
    },
    Rule {
        name: "window-of-pad",
        apply: window_of_pad,
        example: [
            r#"input "x" %0
               %0 = input : f32[N,9]
               %1 = const [-inf] : f32[]
               %2 = pad {"low":[0,1],"high":[0,2]} %0 %1
               %3 = window {"f":"max","size":[1,2],"stride":[1,2],"dilation":[1,1],"low":[0,0],"high":[0,1]} %2
               output "y" %3"#,
            r#"input "x" %0
               %0 = input : f32[N,9]
               %1 = window {"f":"max","size":[1,2],"stride":[1,2],"dilation":[1,1],"low":[0,1],"high":[0,3]} %0
               output "y" %1"#,
        ],
    },
];

fn sum(a: &[Dim], b: &[Dim]) -> Vec<Dim> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn pad_of<'g>(rw: &Rewrite<'g>, id: NodeId) -> Option<(&'g Pad, NodeId, Scalar)> {
    let node = rw.node(id);
    let Op::Pad(pad) = &node.op else { return None };
    Some((pad, node.inputs[0], rw.splat(node.inputs[1])?))
}

/// A convolution does not multiply its border, which shows only where a weight is not finite.
fn conv_of_pad(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Conv(conv) = &node.op else { return None };
    let (pad, x, value) = pad_of(rw, node.inputs[0])?;
    let n = conv.spatial();
    let outer_is_free = [0, n + 1].iter().all(|&a| pad.low[a].is(0) && pad.high[a].is(0));
    let weights = rw.old.as_const(node.inputs[1])?;
    if value != Scalar::zero(weights.dtype) || !outer_is_free || conv.input_dilation.iter().any(|&d| d != 1) {
        return None;
    }
    if !weights.is_finite() {
        return None;
    }
    let (low, high) = (sum(&conv.low, &pad.low[1..=n]), sum(&conv.high, &pad.high[1..=n]));
    let operands = [x, node.inputs[1]].map(|x| rw.new_of(x));
    rw.add(Conv { low, high, ..conv.clone() }, &operands)
}

/// The padding has to be what a window's start makes of it.
fn window_of_pad(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Window(window) = &node.op else { return None };
    let (pad, x, value) = pad_of(rw, node.inputs[0])?;
    let start = window.start(node.ty.dtype);
    let counts_for_nothing = match window.f {
        _ if value == start => true,
        BinaryFn::Max | BinaryFn::Min => value.as_f64().is_some_and(|v| {
            v.is_nan() || v == if window.f == BinaryFn::Max { f64::NEG_INFINITY } else { f64::INFINITY }
        }),
        _ => false,
    };
    if !counts_for_nothing {
        return None;
    }
    let (low, high) = (sum(&window.low, &pad.low), sum(&window.high, &pad.high));
    let x = rw.new_of(x);
    rw.add(Window { low, high, ..window.clone() }, &[x])
}
