//! Kernels that take turns image by image or row by row, in machine code: through padded buffers and joined ones, with
//! results that are read again later, on one thread and on several.

use std::sync::Arc;

use smc::{
    base::{Bindings, Dim, Rng, Symbol},
    driver::{self, Executable, Options},
    graph::{Graph, Loop, NodeId, evaluate},
    loops::BinaryFn,
    op::{Concat, Conv},
    tensor::{DType, Scalar, Tensor},
};
use smc_runtime::{Parallel, Pool};
use smc_tests::nets::Net;

fn weights(net: &mut Net, shape: &[usize]) -> NodeId {
    let rng = &mut net.rng;
    let value = Tensor::from_fn(DType::F32, shape.to_vec(), |_| Scalar::F32(rng.unit() as f32 / 4.0 - 0.125));
    net.graph.constant(value)
}

/// A convolution that divides the size by the stride, with a bias and a relu.
fn conv(net: &mut Net, x: NodeId, taps: usize, filters: usize, groups: usize, stride: i64) -> NodeId {
    let channels = net.graph.shape(x)[3].as_int().unwrap() as usize;
    let filter = weights(net, &[taps, taps, channels / groups, filters]);
    let side = || vec![Dim::from(taps as i64 / 2); 2];
    let (dilation, input_dilation) = (vec![1; 2], vec![1; 2]);
    let conv = Conv { stride: vec![stride; 2], dilation, input_dilation, low: side(), high: side(), groups };
    let y = net.add(conv, &[x, filter]);
    let bias = weights(net, &[filters]);
    let y = net.with(BinaryFn::Add, y, bias);
    net.relu(y)
}

/// Expansion, depthwise convolution of a padded buffer, projection, and what came in.
fn inverted(net: &mut Net, x: NodeId, factor: usize) -> NodeId {
    let channels = net.graph.shape(x)[3].as_int().unwrap() as usize;
    let y = conv(net, x, 1, channels * factor, 1, 1);
    let y = conv(net, y, 3, channels * factor, channels * factor, 1);
    let y = conv(net, y, 1, channels, 1, 1);
    net.with(BinaryFn::Add, x, y)
}

/// Two convolutions side by side, joined.
fn joined(net: &mut Net, x: NodeId, filters: usize) -> NodeId {
    let [a, b] = [1, 3].map(|taps| conv(net, x, taps, filters, 1, 1));
    net.add(Concat { axis: 3 }, &[a, b])
}

/// Halves what it is given, twice, in a loop that the compiler does not see through.
fn halved_twice(net: &mut Net, x: NodeId) -> NodeId {
    let ty = net.graph.ty(x).clone();
    let mut body = Net::new(1);
    let half = body.graph.input("x", ty);
    let factor = body.graph.constant(Tensor::scalar(DType::F32, Scalar::F32(0.5)));
    let half = body.with(BinaryFn::Mul, half, factor);
    body.graph.output("x", half);
    let count = Some(Dim::from(2));
    let twice = Loop { carried: 1, count, condition: None, step: Symbol::new("step"), body: body.graph };
    net.graph.control(Arc::new(twice), &[x]).unwrap()[0]
}

/// What is read again at the end stays whole, all else passes through padded and joined buffers; or with a loop in the middle,
/// over what a chain before it makes and one behind it reads.
fn network(batch: &str, [height, width]: [i64; 2], looped: bool) -> Graph {
    let mut net = Net::new(5);
    let x = net.input(DType::F32, &format!("{batch},{height},{width},3"));
    let stem = conv(&mut net, x, 3, 16, 1, 1);
    let y = inverted(&mut net, stem, 6);
    let y = joined(&mut net, y, 24);
    let y = if looped { halved_twice(&mut net, y) } else { y };
    let y = conv(&mut net, y, 3, 48, 48, 1);
    let y = conv(&mut net, y, 1, 16, 1, 1);
    let y = net.add(Concat { axis: 3 }, &[y, stem]);
    let y = inverted(&mut net, y, 3);
    let y = conv(&mut net, y, 3, 32, 32, 2);
    net.graph.output("y", y);
    net.graph
}

fn run(executable: &Executable, x: &Tensor, bind: &Bindings, threads: Option<&dyn Parallel>) -> Tensor {
    let mut call = executable.prepare_with(0, std::slice::from_ref(x), bind.clone()).unwrap();
    call.run(threads).unwrap();
    call.results().remove(0)
}

/// Batches below and above the number of tasks, fixed and open, and none at all. A result is a sum of a few hundred
/// products far below 1, several times over: what it is off by is far below 1e-4.
#[test]
fn images_in_turns_agree_with_the_evaluator_on_any_number_of_threads() {
    let (size, most) = ([32, 31], 17);
    let images = |n: i64| [n as usize, size[0] as usize, size[1] as usize, 3];
    let mut rng = Rng::new(17);
    let all = Tensor::from_fn(DType::F32, images(most), |_| Scalar::F32(rng.unit() as f32 - 0.5));
    // Images know nothing of each other.
    let bind = Bindings::from([(Symbol::new("batch"), most)]);
    let expected = [false, true].map(|looped| {
        let graph = network("batch", size, looped);
        evaluate(&graph, std::slice::from_ref(&all), &bind).unwrap().remove(0)
    });
    let pools = [2, 3, 5].map(|n| Pool::new(n).unwrap());
    for (batch, batches, looped) in [
        ("1", &[1][..], false),
        ("3", &[3], false),
        ("8", &[8], false),
        ("17", &[17], false),
        ("17", &[17], true),
        ("batch", &[0, 1, 2, 3, 8, 17], false),
        ("batch", &[0, 1, 2, 8], true),
    ] {
        let expected = &expected[usize::from(looped)];
        let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
        let compiled = driver::compile_graphs(vec![("main".into(), network(batch, size, looped))], &options).unwrap();
        let chains = compiled.object.bytes().windows(6).filter(|name| name == b"_chain").count();
        assert!(chains > usize::from(looped) || ["1", "3"].contains(&batch), "{batch}: too little is chained");
        let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
        for &n in batches {
            let bind = Bindings::from([(Symbol::new("batch"), n)]);
            let input = all.bytes()[..all.bytes().len() / most as usize * n as usize].to_vec();
            let x = Tensor::from_bytes(DType::F32, images(n).to_vec(), input);
            let alone = run(&executable, &x, &bind, None);
            let off = |(a, b): (Scalar, Scalar)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
            let worst = alone.scalars().zip(expected.scalars()).map(off).fold(0.0, f64::max);
            assert!(
                alone.shape[0] == n as usize && alone.shape[1..] == expected.shape[1..] && worst < 1e-4,
                "{n} of {batch}: {worst}"
            );
            for pool in &pools {
                let shared = run(&executable, &x, &bind, Some(pool));
                assert!(shared.bytes() == alone.bytes(), "{n} of {batch}: threads change the result");
            }
        }
    }
}

/// The softmax of rows: an output, or read once more.
fn softmax(dtype: DType, shape: &str, is_read: bool) -> Graph {
    let mut net = Net::new(7);
    let x = net.input(dtype, shape);
    let mut y = net.softmax(x);
    if is_read {
        let most = net.fold_last(BinaryFn::Max, y);
        y = net.with(BinaryFn::Add, y, most);
    }
    net.graph.output("y", y);
    net.graph
}

/// Rows of whole vectors and others, of which several make a slice, with NaN and infinities in some.
#[test]
fn rows_in_turns_agree_with_the_evaluator_on_any_number_of_threads() {
    let pools = [2, 5].map(|n| Pool::new(n).unwrap());
    let mut rng = Rng::new(23);
    for (dtype, shape, batch) in [
        (DType::F32, "64,1024", 1),
        (DType::F32, "batch,7,1013", 9),
        (DType::F32, "batch,7,1013", 0),
        (DType::F16, "96,500", 1),
    ] {
        for is_read in [false, true] {
            let graph = softmax(dtype, shape, is_read);
            let bind = Bindings::from([(Symbol::new("batch"), batch)]);
            let extents = graph.ty(graph.inputs[0].node).concrete(&bind).unwrap();
            let row = *extents.last().unwrap();
            let mut n = 0;
            let x = Tensor::from_fn(dtype, extents, |_| {
                n += 1;
                let special = match n {
                    _ if n == 3 * row + 5 => Some(f64::NAN),
                    _ if n == 8 * row + 1 => Some(f64::INFINITY),
                    _ if n % 97 == 0 => Some(f64::NEG_INFINITY),
                    _ => None,
                };
                Scalar::from_f64(dtype, special.unwrap_or(rng.unit() * 8.0))
            });
            let expected = evaluate(&graph, std::slice::from_ref(&x), &bind).unwrap().remove(0);
            let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
            let compiled = driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap();
            assert!(compiled.object.bytes().windows(6).any(|name| name == b"_chain"), "{shape}: nothing is chained");
            let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
            let alone = run(&executable, &x, &bind, None);
            let close = |(a, b): (Scalar, Scalar)| {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                a.is_nan() && b.is_nan() || (a - b).abs() <= b.abs() * if dtype == DType::F16 { 4e-3 } else { 2e-6 }
            };
            assert!(alone.scalars().zip(expected.scalars()).all(close), "{dtype} {shape}, read: {is_read}");
            for pool in &pools {
                let shared = run(&executable, &x, &bind, Some(pool));
                assert!(shared.bytes() == alone.bytes(), "{shape}: threads change the result");
            }
        }
    }
}
