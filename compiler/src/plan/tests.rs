//! Programs mean what their graphs mean: the interpreted plan equals the reference evaluator.

use super::*;
use crate::{
    base::Bindings,
    graph::{evaluate, random, text::print},
    loops::interp::Stop,
    tensor::{DType, Scalar, Tensor},
};

const ISAS: [Isa; 4] = [Isa::X64, Isa::Aarch64, Isa::Riscv64, Isa::S390x];

/// Plans for a target and runs the plan.
fn run(graph: &Graph, isa: Isa, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, Stop> {
    let mut weights = Weights::default();
    let program = plan("test", graph, &TargetInfo::new(isa), &mut weights);
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
    let tolerance = match a.dtype {
        DType::F16 => 4e-3,
        DType::BF16 => 3e-2,
        DType::F64 => 1e-11,
        _ => 2e-5,
    };
    let scale = b.scalars().filter_map(Scalar::as_f64).filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
    a.dtype == b.dtype
        && a.shape == b.shape
        && a.scalars().zip(b.scalars()).all(|(x, y)| match (x.as_f64(), y.as_f64()) {
            _ if x.same_bits(y) || x == y => true,
            (Some(x), Some(y)) if a.dtype.is_float() => {
                x.is_nan() && y.is_nan() || (x - y).abs() <= tolerance * (y.abs() + scale.min(y.abs() * 10.0 + 1.0))
            }
            _ => false,
        })
}

#[test]
fn random_graphs_keep_their_meaning() {
    for seed in 0..300 {
        let case = random::case(seed, 4 + seed as usize % 24);
        let expected = evaluate(&case.graph, &case.inputs, &case.bind).unwrap();
        let isa = ISAS[seed as usize % ISAS.len()];
        let got = run(&case.graph, isa, &case.inputs, &case.bind).unwrap();
        for ((port, a), b) in case.graph.outputs.iter().zip(&got).zip(&expected) {
            assert!(agree(a, b), "seed {seed}, output {}:\n{a:?}\n{b:?}\n{}", port.name, print(&case.graph).0);
        }
    }
}
