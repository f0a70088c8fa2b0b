//! Buffers inside buffers: what is padded or joined is written where it is read.

use super::{
    networks::{Net, conv},
    *,
};
use crate::{graph::NodeId, loops::BinaryFn, op::*};

fn planned(graph: &Graph) -> Program {
    let graph = prepare(graph.clone(), &Choices::default());
    plan("test", &graph, &TargetInfo::new(Isa::X64V3), &mut Weights::default())
}

/// The kernels of a plan, by what they compute.
fn kernels(graph: &Graph) -> Vec<String> {
    planned(graph).launches.into_iter().map(|l| l.kernel.name).collect()
}

fn pad(net: &mut Net, x: NodeId, low: &[i64], high: &[i64]) -> NodeId {
    let dtype = net.graph.ty(x).dtype;
    let value = net.graph.constant(Tensor::scalar(dtype, Scalar::from_i64(dtype, 3)));
    let dims = |pads: &[i64]| pads.iter().map(|&n| Dim::from(n)).collect();
    net.add(Pad { low: dims(low), high: dims(high) }, &[x, value])
}

fn pointwise(net: &mut Net, x: NodeId, channels: usize) -> NodeId {
    let depth = net.graph.shape(x).last().unwrap().as_int().unwrap() as usize;
    let y = net.conv(x, &[1, 1, depth, channels], conv(2, 1, 1, 0, 0, 1));
    let y = net.bias(y);
    net.relu(y)
}

#[test]
fn convolutions_write_into_padded_buffers() {
    let mut net = Net::default();
    let x = net.input("batch,5,6,3");
    let a = pointwise(&mut net, x, 20);
    let b = net.conv(a, &[3, 3, 1, 20], conv(2, 1, 1, 1, 1, 20));
    let b = net.relu(b);
    let c = net.conv(b, &[3, 3, 20, 9], conv(2, 2, 1, 0, 1, 1));
    // Also read by index, in an epilogue and by a fold.
    let d = pointwise(&mut net, b, 20);
    let d = net.binary(BinaryFn::Add, d, b);
    let e = net.reduce(BinaryFn::Add, &[1, 2], a);
    let graph = net.done(&[c, d, e]);
    check_batches("padded", &graph);
    assert_eq!(kernels(&graph), ["conv", "pad", "conv_2", "pad_2", "conv_3", "conv_4", "reduce"]);
    let program = planned(&graph);
    // The kernels of borders store and load nothing else.
    for launch in program.launches.iter().filter(|l| l.kernel.name.starts_with("pad")) {
        assert_eq!(launch.args.len(), 1, "{}", launch.kernel);
    }
}

#[test]
fn operands_write_into_their_slices() {
    for axis in 0..4 {
        let mut net = Net::default();
        let x = net.input("batch,4,5,6");
        let a = pointwise(&mut net, x, 6);
        let b = net.conv(x, &[3, 3, 6, 6], conv(2, 1, 1, 1, 1, 1));
        let c = net.unary(crate::loops::UnaryFn::Exp, x);
        // Twice in one result; once in each of two.
        let joined = net.add(Concat { axis }, &[a, x, b, a, c]);
        let again = net.add(Concat { axis }, &[b, b]);
        let y = pointwise(&mut net, joined, 7);
        check_batches("joined", &net.done(&[y, again]));
    }
}

#[test]
fn nothing_is_left_to_join() {
    let mut net = Net::default();
    let x = net.input("batch,4,5,6");
    let mut x = pointwise(&mut net, x, 8);
    // A dense block: every layer reads what all layers before it have written.
    for _ in 0..3 {
        let y = pointwise(&mut net, x, 8);
        let y = net.conv(y, &[3, 3, 8, 5], conv(2, 1, 1, 1, 1, 1));
        x = net.add(Concat { axis: 3 }, &[x, y]);
    }
    let graph = net.done(&[x]);
    check_batches("dense block", &graph);
    let names = kernels(&graph);
    assert!(names.iter().all(|n| n.starts_with("conv") || n.starts_with("pad")), "{names:?}");
}

#[test]
fn homes_nest() {
    let mut net = Net::default();
    let x = net.input("batch,4,5,6");
    let a = pointwise(&mut net, x, 3);
    let b = pointwise(&mut net, x, 4);
    let b = pad(&mut net, b, &[0, 0, 0, 0], &[0, 0, 0, 2]);
    let joined = net.add(Concat { axis: 3 }, &[a, b]);
    let padded = pad(&mut net, joined, &[0, 1, 2, 0], &[0, 0, 1, 3]);
    let twice = pad(&mut net, padded, &[1, 0, 0, 0], &[0, 0, 0, 0]);
    let y = net.conv(twice, &[2, 2, 12, 5], conv(2, 1, 1, 0, 0, 1));
    check_batches("nested", &net.done(&[y]));
}

#[test]
fn outputs_and_reshaped_values_keep_their_buffers() {
    let mut net = Net::default();
    let x = net.input("batch,4,6");
    let layer = |net: &mut Net, x: NodeId, columns: usize| net.conv(x, &[1, 6, columns], conv(1, 1, 1, 0, 0, 1));
    let (y, z) = (layer(&mut net, x, 6), layer(&mut net, x, 6));
    let flat = net.add(Reshape { shape: vec![Dim::sym("batch") * 4, Dim::from(6)] }, &[z]);
    let flat = net.dot(flat, 2);
    let joined = net.add(Concat { axis: 1 }, &[y, z, x]);
    let padded = pad(&mut net, z, &[0, 1, 0], &[0, 0, 0]);
    let (w, v) = (layer(&mut net, joined, 3), layer(&mut net, padded, 3));
    check_batches("outputs", &net.done(&[y, w, v, flat, joined]));
}

/// A sum is written over the operand that is read at the same elements and not needed any more.
#[test]
fn results_take_the_place_of_operands() {
    let mut net = Net::default();
    let x = net.input("batch,4,5,6");
    let a = pointwise(&mut net, x, 8);
    let b = pointwise(&mut net, x, 8);
    let sum = net.binary(BinaryFn::Add, b, a);
    let gate = net.reduce(BinaryFn::Max, &[1, 2], sum);
    let gate = net.broadcast(gate, sum);
    let scaled = net.binary(BinaryFn::Mul, sum, gate);
    let y = net.conv(scaled, &[1, 1, 8, 3], conv(2, 1, 1, 0, 0, 1));
    let graph = net.done(&[y]);
    check_batches("in place", &graph);
    let program = planned(&graph);
    let out = |n: usize| program.storage[program.launches[n].args[0]].place.clone();
    assert_eq!(program.launches.len(), 5);
    assert!(out(0) == out(1) && out(1) == out(3), "{:?}", program.storage);
    assert_eq!(program.workspace.to_string(), "704*batch");
}
