//! Random graphs, optimised and compiled, against the reference evaluator: machine code means what the graph means.
//!
//! SMC_SEED tries others (`cargo xtask fuzz`).

use smc::{
    driver::{self, Executable, Options},
    graph::{evaluate, random, text::print},
};
use smc_tests::compare::{agree_as_rounded, shows_bits};

/// One case through all stages, for a CPU level of this machine.
fn check(seed: u64, size: usize, cpu: &str) {
    let case = random::case(seed, size);
    let expected = evaluate(&case.graph, &case.inputs, &case.bind).expect("no node of a case faults");
    let options = Options { name: "m".into(), cpu: Some(cpu.into()), ..Options::default() };
    let text = || print(&case.graph).0;
    let compiled = driver::compile_graphs(vec![("main".into(), case.graph.clone())], &options)
        .unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", text()));
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).unwrap();
    let bound = executable.prepare_with(0, &case.inputs, case.bind.clone());
    let mut call = bound.unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", text()));
    call.run(None).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", text()));
    for (n, (ours, theirs)) in call.results().into_iter().zip(&expected).enumerate() {
        let port = &case.graph.outputs[n];
        assert!(
            agree_as_rounded(&case.graph, n, &ours, theirs) || shows_bits(&case.graph),
            "seed {seed} at {cpu}, output {}:\n{ours:?}\n{theirs:?}\n{}",
            port.name,
            text()
        );
    }
}

#[test]
fn machine_code_of_random_graphs_agrees_with_the_evaluator() {
    for seed in 0..300 {
        check(smc_tests::first_seed() + seed, 4 + seed as usize % 24, &smc_tests::cpu());
    }
}

/// The level without multiply-adds and rounding instructions.
#[test]
fn baseline_code_of_random_graphs_agrees_with_the_evaluator() {
    if cfg!(target_arch = "x86_64") {
        for seed in 1000..1150 {
            check(smc_tests::first_seed() + seed, 4 + seed as usize % 24, "x86-64");
        }
    }
}
