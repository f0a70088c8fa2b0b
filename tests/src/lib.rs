//! What the tests share: where the project lies, and the harness that runs recorded cases.

pub mod answers;
pub mod cases;
pub mod compare;
pub mod fenced;
pub mod forms;
pub mod consumers;
pub mod kernels;
pub mod layers;
pub mod lists;
pub mod nets;
pub mod planned;
pub mod programs;
pub mod qemu;
pub mod saved;
pub mod sweeps;
pub use programs::root;

/// The CPU level that tests compile for: SMC_CPU, so that a suite can be run at each level of a machine (`cargo xtask
/// test` does), or the best one.
pub fn cpu() -> String {
    let Ok(cpu) = std::env::var("SMC_CPU") else { return "native".into() };
    let target = smc::native::Target::new(None, Some(&cpu)).unwrap_or_else(|problems| panic!("SMC_CPU: {problems}"));
    assert!(target.runs_here(), "SMC_CPU: this machine is no {cpu}");
    cpu
}

/// Where random tests begin: far apart for each value of SMC_SEED, 0 without it.
pub fn first_seed() -> u64 {
    let seed = std::env::var("SMC_SEED").map(|text| text.parse::<u64>().expect("SMC_SEED is a number"));
    seed.unwrap_or(0).wrapping_mul(1 << 20)
}
