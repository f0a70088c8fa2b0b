//! From a graph to a program: which nodes get a buffer, the kernels that fill them, and where the buffers lie.
//!
//! A target first appears here, as a [`TargetInfo`]: widths, registers, caches. Knows no machine code.

mod program;
mod target;

pub use program::{Guard, IoPort, Launch, Place, Program, Storage, StorageId, WeightId, Weights};
pub use target::{Isa, TargetInfo};
