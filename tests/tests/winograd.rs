//! Winograd's method in machine code: strips of tiles that run slice by slice, on one thread and on several, and what an
//! infinity or NaN reaches.

use smc::{
    base::{Bindings, Dim, Rng, Symbol},
    driver::{self, Executable, Options},
    graph::{Graph, evaluate},
    loops::BinaryFn,
    op::{Binary, Broadcast, Conv, Reshape},
    tensor::{DType, Scalar, Tensor, TensorType},
};
use smc_runtime::{Parallel, Pool};

/// A 3x3 convolution of `[batch, height, width, channels]` to as many filters, with borders that keep the size, a bias
/// and the operand added.
fn residual(batch: &str, [height, width, channels]: [usize; 3]) -> Graph {
    let mut graph = Graph::default();
    let mut rng = Rng::new(3);
    let mut weights = |graph: &mut Graph, shape: Vec<usize>| {
        graph.constant(Tensor::from_fn(DType::F32, shape, |_| Scalar::F32(rng.unit() as f32 / 8.0 - 0.0625)))
    };
    let shape: Vec<Dim> = vec![batch.parse().unwrap(), height.into(), width.into(), channels.into()];
    let x = graph.input("x", TensorType::new(DType::F32, shape.clone()));
    let filter = weights(&mut graph, vec![3, 3, channels, channels]);
    let one = || vec![Dim::one(); 2];
    let conv = Conv {
        stride: vec![1; 2],
        dilation: vec![1; 2],
        input_dilation: vec![1; 2],
        low: one(),
        high: one(),
        groups: 1,
    };
    let y = graph.add(conv, &[x, filter]).unwrap();
    let bias = weights(&mut graph, vec![channels]);
    let bias =
        graph.add(Reshape { shape: vec![Dim::one(), Dim::one(), Dim::one(), channels.into()] }, &[bias]).unwrap();
    let bias = graph.add(Broadcast::to(shape), &[bias]).unwrap();
    let y = graph.add(Binary { f: BinaryFn::Add }, &[y, bias]).unwrap();
    let y = graph.add(Binary { f: BinaryFn::Add }, &[y, x]).unwrap();
    graph.output("y", y);
    graph
}

fn compiled(graph: &Graph, direct: bool) -> Executable {
    let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), direct, ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), graph.clone())], &options).unwrap();
    Executable::new(&compiled.object.bytes(), compiled.interface).unwrap()
}

fn run(executable: &Executable, x: &Tensor, bind: &Bindings, threads: Option<&dyn Parallel>) -> Tensor {
    let mut call = executable.prepare_with(0, std::slice::from_ref(x), bind.clone()).unwrap();
    call.run(threads).unwrap();
    call.results().remove(0)
}

fn uniform(shape: Vec<usize>, seed: u64) -> Tensor {
    let mut rng = Rng::new(seed);
    Tensor::from_fn(DType::F32, shape, |_| Scalar::F32(rng.unit() as f32 - 0.5))
}

/// Sizes around the edges of tiles and strips, fixed and open batches, among them none, one, and fewer strips than tasks.
/// Sums have 288 or 576 terms of at most 1/32: what they are off by is far below 1e-4.
#[test]
fn strips_agree_with_the_evaluator_on_any_number_of_threads() {
    let cases: [(&str, [usize; 3], &[i64]); 7] = [
        ("8", [7, 7, 64], &[8]),
        ("batch", [56, 56, 64], &[0, 1, 3]),
        ("batch", [55, 57, 32], &[1, 2]),
        ("3", [29, 28, 33], &[3]),
        ("9", [14, 13, 64], &[9]),
        ("1", [112, 30, 32], &[1]),
        ("batch", [28, 28, 40], &[2]),
    ];
    let pools = [2, 3, 5].map(|n| Pool::new(n).unwrap());
    for (batch, size, batches) in cases {
        let graph = residual(batch, size);
        let executable = compiled(&graph, false);
        for &n in batches {
            let bind = Bindings::from([(Symbol::new("batch"), n)]);
            let x = uniform([&[n as usize][..], &size].concat(), n as u64);
            let expected = evaluate(&graph, std::slice::from_ref(&x), &bind).unwrap().remove(0);
            let alone = run(&executable, &x, &bind, None);
            let off = |(a, b): (Scalar, Scalar)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
            let worst = alone.scalars().zip(expected.scalars()).map(off).fold(0.0, f64::max);
            assert!(alone.shape == expected.shape && worst < 1e-4, "{n} of {size:?}: {worst}");
            for pool in &pools {
                let shared = run(&executable, &x, &bind, Some(pool));
                assert!(shared.bytes() == alone.bytes(), "{n} of {size:?}: threads change the result");
            }
        }
    }
}

/// An infinity or NaN reaches the results that read it by the definition and no others; only where they are by the
/// definition infinities, they may be NaN.
#[test]
fn infinities_and_nan_reach_what_reads_them() {
    let size = [56, 56, 64];
    let graph = residual("1", size);
    let bind = Bindings::new();
    let [direct, fast] = [true, false].map(|direct| compiled(&graph, direct));
    for (value, [row, column, channel]) in [
        (f32::INFINITY, [0usize, 0usize, 0usize]),
        (f32::NEG_INFINITY, [17, 30, 5]),
        (f32::NAN, [55, 55, 63]),
        (f32::NAN, [8, 31, 31]),
    ] {
        let mut values: Vec<f32> = uniform([&[1][..], &size].concat(), 1).scalars().map(as_f32).collect();
        values[(row * size[1] + column) * size[2] + channel] = value;
        let x = Tensor::from_f32([1, size[0], size[1], size[2]], &values);
        let expected = evaluate(&graph, std::slice::from_ref(&x), &bind).unwrap().remove(0);
        let (by_definition, by_tiles) = (run(&direct, &x, &bind, None), run(&fast, &x, &bind, None));
        assert!(by_definition.bytes() != by_tiles.bytes(), "both are the definition");
        let places = expected.scalars().zip(by_definition.scalars().zip(by_tiles.scalars())).enumerate();
        for (n, (exact, (direct, fast))) in places {
            let (exact, direct, fast) = (as_f32(exact), as_f32(direct), as_f32(fast));
            let [y, x] = [n / size[2] / size[1], n / size[2] % size[1]];
            let same = exact.is_nan() && direct.is_nan() || exact == direct || (exact - direct).abs() < 1e-4;
            assert!(same, "{value} at {row}, {column}: {direct} at {y}, {x} is not {exact}");
            assert_eq!(fast.is_finite(), exact.is_finite(), "{value} at {row}, {column}: {fast} at {y}, {x}");
        }
    }
}

fn as_f32(s: Scalar) -> f32 {
    s.as_f64().unwrap() as f32
}
