//! What the tests share: where the project lies, and the harness that runs recorded cases.

pub mod cases;
pub mod compare;
pub mod fenced;
pub mod forms;
pub mod consumers;
pub mod kernels;
pub mod programs;
pub mod qemu;
pub mod saved;
pub use programs::root;

/// Where random tests begin: far apart for each value of SMC_SEED, 0 without it.
pub fn first_seed() -> u64 {
    let seed = std::env::var("SMC_SEED").map(|text| text.parse::<u64>().expect("SMC_SEED is a number"));
    seed.unwrap_or(0).wrapping_mul(1 << 20)
}
