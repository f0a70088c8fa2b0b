//! Programs mean what their graphs mean: the interpreted plan equals the reference evaluator.

mod along;
mod asking;
mod chains;
mod channels;
mod homes;
mod networks;
mod scale;
mod scatters;
mod snapshots;

use super::*;
use crate::{
    base::{Bindings, Rng},
    graph::{evaluate, evaluate_by, random, text::print},
    loops::interp::Stop,
    op::{Evaluation, Sums},
    tensor::{DType, Scalar, Tensor},
};

const ISAS: [Isa; 6] = [Isa::X64, Isa::X64V4, Isa::Riscv64, Isa::X64V3, Isa::Aarch64, Isa::S390x];

/// Plans for a target and runs the plan.
fn run(graph: &Graph, target: &TargetInfo, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, Stop> {
    let mut weights = Weights::default();
    let program = plan("test", &prepare(graph.clone(), &Choices::default()), target, &mut weights);
    interpret(&program, &weights, inputs, bind).map_err(|stop| match stop {
        Stop::Bug(message) => {
            let kernels = program.launches.iter().map(|l| format!("{}\n", l.kernel)).collect::<String>();
            panic!("{message}\n{}\n{kernels}", print(graph).0)
        }
        fault => fault,
    })
}

/// Whether two tensors agree: integers exactly, floats up to rounding of their sums.
pub fn agree(a: &Tensor, b: &Tensor) -> bool {
    agree_as_far(a, b, b)
}

/// As [`agree`]; where `rounded`, whose sums are rounded at each step, has another value than `b`, four times as far off.
fn agree_as_far(a: &Tensor, b: &Tensor, rounded: &Tensor) -> bool {
    if a.has_strings() {
        return a == b;
    }
    let tolerance = match a.dtype {
        DType::F16 => 4e-3,
        DType::BF16 => 3e-2,
        DType::F64 => 1e-11,
        _ => 1e-5,
    };
    let scale = b.scalars().filter_map(Scalar::as_f64).filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
    a.dtype == b.dtype
        && a.shape == b.shape
        && a.scalars().zip(b.scalars()).zip(rounded.scalars()).all(|((x, y), r)| match (x.as_f64(), y.as_f64()) {
            _ if x.same_bits(y) || x == y => true,
            (Some(x), Some(y)) if a.dtype.is_float() => {
                let off = r.as_f64().map_or(0.0, |r| 4.0 * (r - y).abs());
                let by_size = tolerance * (y.abs() + scale.min(y.abs() * 10.0 + 1.0));
                x.is_nan() && y.is_nan() || (x - y).abs() <= by_size.max(off)
            }
            _ => false,
        })
}

/// Compares the interpreted plan with the evaluator.
fn check(what: &str, graph: &Graph, isa: Isa, inputs: &[Tensor], bind: &Bindings) {
    check_on(what, graph, &TargetInfo::new(isa), inputs, bind);
}
fn check_on(what: &str, graph: &Graph, target: &TargetInfo, inputs: &[Tensor], bind: &Bindings) {
    let expected = evaluate(graph, inputs, bind).unwrap();
    let how = Evaluation { sums: Sums::Rounded, ..Evaluation::WHOLE };
    let rounded = evaluate_by(graph, inputs, bind, how).unwrap();
    let got = run(graph, target, inputs, bind).unwrap();
    for (((port, a), b), rounded) in graph.outputs.iter().zip(&got).zip(&expected).zip(&rounded) {
        assert!(agree_as_far(a, b, rounded), "{what}, output {}:\n{a:?}\n{b:?}\n{}", port.name, print(graph).0);
    }
}

/// The same values on every machine and in every run.
fn random_tensor(dtype: DType, shape: &[usize], seed: u64) -> Tensor {
    let mut rng = Rng::new(seed);
    Tensor::from_fn(dtype, shape, |_| match dtype.is_float() {
        true => Scalar::from_f64(dtype, rng.unit() * 2.0 - 1.0),
        false => Scalar::from_i64(dtype, rng.range(-9, 9)),
    })
}

/// At several batch sizes, with random inputs; `batch` is the only symbol.
fn check_batches(what: &str, graph: &Graph) {
    graph.verify().unwrap();
    for (n, batch) in [0, 1, 3, 17].into_iter().enumerate() {
        let bind = Bindings::from([(Symbol::new("batch"), batch)]);
        let tensor = |(k, p): (usize, &crate::graph::Port)| {
            let ty = graph.ty(p.node);
            random_tensor(ty.dtype, &ty.concrete(&bind).unwrap(), k as u64 + 7)
        };
        let inputs: Vec<Tensor> = graph.inputs.iter().enumerate().map(tensor).collect();
        check(what, graph, ISAS[n], &inputs, &bind);
        if batch == 3 {
            check(what, graph, Isa::X64V4, &inputs, &bind);
        }
    }
}

#[test]
fn random_graphs_keep_their_meaning() {
    for seed in 0..400 {
        let case = random::case(seed, 4 + seed as usize % 40);
        check(&format!("seed {seed}"), &case.graph, ISAS[seed as usize % ISAS.len()], &case.inputs, &case.bind);
    }
}
