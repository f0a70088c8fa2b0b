//! Scatters: where their results lie, and what threads share.

use super::{networks::Net, *};
use crate::{
    graph::NodeId,
    loops::{BinaryFn, Combine, UnaryFn},
    op::*,
};

fn planned(graph: &Graph) -> Program {
    let graph = prepare(graph.clone(), &Choices::default());
    plan("test", &graph, &TargetInfo::new(Isa::X64V4), &mut Weights::default())
}

/// Changes rows of `x` at constant places by some that are computed from `from`.
fn scatter(net: &mut Net, f: Combine, x: NodeId, places: &[i64], from: NodeId) -> NodeId {
    let columns = net.graph.shape(x)[1].as_int().unwrap() as usize;
    let indices = net.graph.constant(Tensor::from_i64([places.len(), 1], places));
    let updates = net.dot(from, columns);
    let updates = net.unary(UnaryFn::Abs, updates);
    net.add(Scatter::checked(f, 1), &[x, indices, updates])
}

/// Whether a program's kernels load a buffer that lies where they write.
fn loads_what_it_writes(program: &Program) -> bool {
    program.launches.iter().any(|launch| {
        let place = |written| {
            let args = launch.kernel.buffers.iter().zip(&launch.args).filter(move |((_, b), _)| b.written == written);
            args.map(|(_, arg)| &program.storage[*arg].place)
        };
        place(true).any(|out| place(false).any(|read| read == out))
    })
}

/// Whether the scatters of a program read the indices and the updates alone.
fn is_in_place(program: &Program) -> bool {
    let mut scatters = program.launches.iter().filter(|launch| launch.kernel.updates());
    scatters.all(|launch| launch.args.len() <= 3)
}

#[test]
fn what_nothing_else_needs_is_changed_where_it_lies() {
    let mut net = Net::default();
    let x = net.input("6,16");
    let rows = net.input("4,16");
    let a = net.dot(x, 40);
    let b = scatter(&mut net, Combine::Add, a, &[5, 0, 5, 1], rows);
    let c = scatter(&mut net, Combine::Max, b, &[2, 2, 3, 5], rows);
    let graph = net.done(&[c]);
    check_batches("in place", &graph);
    let program = planned(&graph);
    let scatters: Vec<&Launch> = program.launches.iter().filter(|l| l.kernel.updates()).collect();
    assert_eq!(scatters.len(), 2);
    for launch in scatters {
        // The result, the indices and the updates.
        assert_eq!(launch.args.len(), 3, "{}", launch.kernel);
        assert_eq!(program.storage[launch.args[0]].place, Place::Output(0));
    }
}

#[test]
fn what_is_computed_for_a_scatter_alone_has_no_buffer() {
    let mut net = Net::default();
    let x = net.input("6,40");
    let rows = net.input("2,16");
    let a = net.relu(x);
    let b = scatter(&mut net, Combine::LastMin, a, &[1, 4], rows);
    let graph = net.done(&[b]);
    check_batches("fused", &graph);
    let program = planned(&graph);
    let names: Vec<&str> = program.launches.iter().map(|l| &l.kernel.name[..]).collect();
    assert_eq!(names, ["dot", "scatter"]);
}

#[test]
fn an_operand_that_was_read_before_makes_place() {
    let mut net = Net::default();
    let x = net.input("6,16");
    let a = net.dot(x, 40);
    let sums = net.dot(a, 16);
    let b = scatter(&mut net, Combine::Set, a, &[1, 1, 0, 5, 4, 3], sums);
    let c = net.dot(b, 3);
    let graph = net.done(&[c]);
    check_batches("after its last reader", &graph);
    assert!(is_in_place(&planned(&graph)));
    // And not where the updates are made of it.
    let mut net = Net::default();
    let x = net.input("6,16");
    let a = net.dot(x, 40);
    let indices = net.graph.constant(Tensor::from_i64([6, 1], &[1, 1, 0, 5, 4, 3]));
    let swapped = net.add(
        Slice { start: vec![Dim::from(5), Dim::zero()], stride: vec![-1, 1], shape: vec![Dim::from(6), Dim::from(40)] },
        &[a],
    );
    let b = net.add(Scatter::checked(Combine::Add, 1), &[a, indices, swapped]);
    let c = net.dot(b, 3);
    let graph = net.done(&[c]);
    check_batches("of itself", &graph);
    assert!(!loads_what_it_writes(&planned(&graph)));
}

/// The first operand, two rows of which change places.
fn exchanged(net: &mut Net, x: NodeId) -> NodeId {
    let pick = |net: &mut Net, from: i64| {
        let start = vec![Dim::from(from), Dim::zero()];
        let shape = vec![Dim::one(), net.graph.shape(x)[1].clone()];
        net.add(Slice { start, stride: vec![1, 1], shape }, &[x])
    };
    let (first, other) = (pick(net, 0), pick(net, 3));
    let both = net.add(Concat { axis: 0 }, &[other, first]);
    let places = net.graph.constant(Tensor::from_i64([2, 1], &[0, 3]));
    net.add(Scatter::checked(Combine::Set, 1), &[x, places, both])
}

#[test]
fn rows_change_places_in_their_tensor() {
    let mut net = Net::default();
    let x = net.input("6,16");
    let a = net.dot(x, 40);
    let b = exchanged(&mut net, a);
    let c = exchanged(&mut net, b);
    let graph = net.done(&[c]);
    check_batches("exchanged", &graph);
    assert!(is_in_place(&planned(&graph)));
}

#[test]
fn what_is_read_later_is_not_changed_in_its_place() {
    // By code of a later kernel, by one that is no part of the change, and by an output that is a view.
    type Reader = fn(&mut Net, NodeId, NodeId) -> Vec<NodeId>;
    let readers: [Reader; 4] = [
        |net, old, new| {
            let positive = net.unary(UnaryFn::Abs, old);
            vec![net.binary(BinaryFn::Sub, new, positive)]
        },
        |net, old, new| vec![net.dot(old, 3), new],
        |net, old, new| vec![net.dot(new, 3), net.dot(old, 5)],
        |net, old, new| vec![net.add(Reshape { shape: vec![3.into(), 80.into()] }, &[old]), new],
    ];
    for (n, reader) in readers.into_iter().enumerate() {
        let mut net = Net::default();
        let x = net.input("6,16");
        let a = net.dot(x, 40);
        let b = exchanged(&mut net, a);
        let outputs = reader(&mut net, a, b);
        let graph = net.done(&outputs);
        check_batches(&format!("reader {n}"), &graph);
        assert!(!is_in_place(&planned(&graph)), "reader {n}");
    }
}

#[test]
fn a_loop_that_exchanges_rows_copies_nothing() {
    let mut net = Net::default();
    let x = net.input("6,40");
    let y = exchanged(&mut net, x);
    let body = net.done(&[y]);
    let step = Symbol::new("step0");
    let repeat = crate::graph::Loop { carried: 1, count: Some(Dim::from(5)), condition: None, step, body };
    let mut net = Net::default();
    let x = net.input("6,16");
    let a = net.dot(x, 40);
    let results = net.graph.control(Arc::new(repeat), &[a]).unwrap();
    let graph = net.done(&results);
    check_batches("loop", &graph);
    let program = planned(&graph);
    let FlowKind::Loop(plan) = &program.flows[0].kind else { panic!("the flow is a loop") };
    assert!(plan.carried.iter().all(|carried| matches!(carried, Carried::InPlace)));
    assert!(is_in_place(&plan.body));
}

/// What is joined lies in the result, and what is changed lies there too; but then nothing else may need a part of it.
#[test]
fn updates_of_a_part_of_what_is_changed_do_not_read_it_there() {
    let mut net = Net::default();
    let [x, y] = [net.input("4,16"), net.input("2,16")];
    let (a, b) = (net.dot(x, 40), net.dot(y, 40));
    let joined = net.add(Concat { axis: 0 }, &[a, b]);
    let indices = net.graph.constant(Tensor::from_i64([4, 1], &[3, 2, 3, 0]));
    let updates = net.unary(UnaryFn::Abs, a);
    let updates = net.binary(BinaryFn::Mul, updates, a);
    let changed = net.add(Scatter::checked(Combine::Add, 1), &[joined, indices, updates]);
    check_batches("joined", &net.done(&[changed]));
}

#[test]
fn threads_share_columns_and_never_rows() {
    let outermost = |columns: usize| {
        let mut net = Net::default();
        let indices = net.input_of(DType::I64, "batch,1");
        let updates = net.input(&format!("batch,{columns}"));
        let x = net.weights(DType::F32, &[50, columns]);
        let sum = net.add(
            Scatter { f: Combine::Add, depth: 1, below: Outside::Drop, above: Outside::Drop },
            &[x, indices, updates],
        );
        let double = net.binary(BinaryFn::Add, sum, sum);
        let graph = net.done(&[double]);
        check_batches("shared", &graph);
        let program = planned(&graph);
        let scatter = program.launches.iter().find(|l| l.kernel.updates()).unwrap();
        match &scatter.kernel.body[..] {
            [Stmt::For { var, kind: LoopKind::Parallel, .. }] => scatter.kernel.loop_extent(*var).as_int(),
            _ => None,
        }
    };
    assert_eq!(outermost(2048), Some(2));
    assert_eq!(outermost(320), Some(2));
    assert_eq!(outermost(40), None);
    assert_eq!(outermost(67), None);
}
