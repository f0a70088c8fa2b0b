//! Planning large graphs takes no time, and code does not grow without bounds.

use std::time::Instant;

use super::{
    networks::{Net, conv},
    *,
};
use crate::{graph::NodeId, loops::BinaryFn, op::*};

/// A residual network of `blocks` blocks.
fn residual(blocks: usize) -> Graph {
    let mut net = Net::default();
    let mut x = net.input("batch,8,8,16");
    for _ in 0..blocks {
        let mut y = x;
        for kernel in [1, 3, 1] {
            y = net.conv(y, &[kernel, kernel, 16, 16], conv(2, 1, 1, kernel as i64 / 2, kernel as i64 / 2, 1));
            y = net.bias(y);
            y = net.relu(y);
        }
        x = net.binary(BinaryFn::Add, x, y);
        x = net.relu(x);
    }
    let y = net.reduce(BinaryFn::Add, &[1, 2], x);
    net.done(&[y])
}

#[test]
fn a_thousand_layers_plan_in_no_time() {
    let graph = residual(330);
    assert!(graph.len() > 5000);
    let before = Instant::now();
    let program = plan(
        "test",
        &prepare(graph.clone(), &Choices::default()),
        &TargetInfo::new(Isa::X64V3),
        &mut Weights::default(),
    );
    let took = before.elapsed().as_secs_f64();
    // One kernel for each convolution and each padded copy, and the last fold.
    assert_eq!(program.launches.len(), 330 * 4 + 1);
    assert!(took < 60.0, "{} nodes take {took} s", graph.len());
    // A chain needs a few buffers however long it is.
    let (size, least) = (fuse::estimate(&program.workspace), fuse::estimate(&program.workspace_bound));
    assert!(size <= 1.01 * least, "{} of at least {}", program.workspace, program.workspace_bound);
}

/// Doubles the paths to `x` at each step, at other indices, so that nothing can be shared.
#[test]
fn code_is_bounded_where_paths_multiply() {
    let mut net = Net::default();
    let mut x = net.input("batch,64");
    for _ in 0..16 {
        let reversed =
            Slice { start: vec![Dim::zero(), Dim::from(63)], stride: vec![1, -1], shape: net.graph.shape(x).to_vec() };
        let y: NodeId = net.add(reversed, &[x]);
        x = net.binary(BinaryFn::Add, x, y);
    }
    let graph = net.done(&[x]);
    check_batches("doubling", &graph);
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(Isa::X64), &mut Weights::default());
    for launch in &program.launches {
        assert!(launch.kernel.exprs.len() < 4 * MAX_CODE as usize, "{}", launch.kernel);
    }
    assert!(program.launches.len() < 16, "{}", program.launches.len());
}

/// Deep chains of elementwise nodes become several kernels, and do not exhaust the stack.
#[test]
fn long_chains_are_cut() {
    let mut net = Net::default();
    let mut x = net.input("batch,6");
    for _ in 0..3000 {
        x = net.relu(x);
    }
    let graph = net.done(&[x]);
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(Isa::X64), &mut Weights::default());
    assert!((10..100).contains(&program.launches.len()), "{}", program.launches.len());
}

/// A wide concatenation is one kernel, with what feeds it as code.
#[test]
fn many_tensors_are_joined_at_once() {
    let mut net = Net::default();
    let x = net.input("batch,3");
    let parts: Vec<NodeId> = (0..400).map(|_| net.bias(x)).collect();
    let joined = net.add(Concat { axis: 1 }, &parts);
    let graph = net.done(&[joined]);
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(Isa::X64), &mut Weights::default());
    assert_eq!(program.launches.len(), 1);
}
