//! What the tests share: where the project lies, and the harness that runs recorded cases.

pub mod cases;
pub mod compare;
pub mod forms;
pub mod consumers;
pub mod kernels;
pub mod programs;
pub mod qemu;
pub mod saved;
pub use programs::root;
