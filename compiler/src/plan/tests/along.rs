//! Results that one kernel fills along with another, and places that they take.

use super::{networks::Net, *};
use crate::{graph::NodeId, loops::BinaryFn, op::*};

fn kernels(graph: &Graph) -> Vec<String> {
    let graph = prepare(graph.clone(), &Choices::default());
    let program = plan("test", &graph, &TargetInfo::new(Isa::X64V3), &mut Weights::default());
    program.launches.into_iter().map(|launch| launch.kernel.name).collect()
}

/// A step of momentum: the new moment and the new value.
fn step(net: &mut Net, gradient: NodeId, moment: NodeId, value: NodeId) -> [NodeId; 2] {
    let moment = net.binary(BinaryFn::Add, moment, gradient);
    let change = net.binary(BinaryFn::Mul, moment, moment);
    [moment, net.binary(BinaryFn::Sub, value, change)]
}

#[test]
fn a_contraction_ends_with_the_step_that_it_is_the_gradient_of() {
    for (rows, columns) in [("1", "3"), ("5", "7"), ("33", "20"), ("64", "130")] {
        let mut net = Net::default();
        let [x, d] = [format!("{rows},batch"), format!("batch,{columns}")].map(|shape| net.input(&shape));
        let [moment, value] = [(); 2].map(|()| net.input(&format!("{rows},{columns}")));
        let gradient = net.add(Dot {}, &[x, d]);
        let results = step(&mut net, gradient, moment, value);
        let graph = net.done(&results);
        check_batches(&format!("{rows} x {columns}"), &graph);
        assert_eq!(kernels(&graph), ["dot"]);
    }
}

#[test]
fn results_are_filled_by_the_first_kernel_that_reads_them_where_it_writes() {
    let mut net = Net::default();
    let [x, y] = [(); 2].map(|()| net.input("batch,12"));
    let a = net.binary(BinaryFn::Mul, x, y);
    let b = net.binary(BinaryFn::Add, a, y);
    // Reads the first one at other elements, and later.
    let turned = net.add(Transpose { perm: vec![1, 0] }, &[a]);
    let c = net.binary(BinaryFn::Mul, turned, turned);
    let graph = net.done(&[a, b, c]);
    check_batches("read elsewhere later", &graph);
    assert_eq!(kernels(&graph), ["map", "map_2"]);
}

#[test]
fn what_is_needed_before_has_a_kernel_of_its_own() {
    let mut net = Net::default();
    let [x, y] = [(); 2].map(|()| net.input("batch,12"));
    let a = net.binary(BinaryFn::Mul, x, y);
    let sum = net.reduce(BinaryFn::Add, &[0, 1], a);
    let sum = net.broadcast(sum, a);
    let b = net.binary(BinaryFn::Mul, a, sum);
    let graph = net.done(&[a, b]);
    check_batches("needed before", &graph);
}

/// The last of several kernels fills what all of them make; a gradient that somebody else reads keeps its buffer.
#[test]
fn several_steps_and_a_gradient_that_is_read_twice() {
    let mut net = Net::default();
    let [x, d] = ["6,batch", "batch,9"].map(|shape| net.input(shape));
    let [moment, value, average] = [(); 3].map(|()| net.input("6,9"));
    let gradient = net.add(Dot {}, &[x, d]);
    let [moment, value] = step(&mut net, gradient, moment, value);
    let average = net.binary(BinaryFn::Add, average, value);
    let norm = net.reduce(BinaryFn::Max, &[0, 1], gradient);
    let graph = net.done(&[moment, value, average, norm]);
    check_batches("read twice", &graph);
    assert_eq!(kernels(&graph), ["dot", "map", "reduce"]);
}
