//! smc compiles a TensorFlow SavedModel ahead of time into a native object file and a C header.
//!
//! The modules are floors, lowest first: a module imports only from those above it in this list.
//! `floors.rs` in the test package checks it. See ARCHITECTURE.md for what each floor must not know.

pub mod base;
pub mod emit;
pub mod graph;
pub mod loops;
pub mod op;
pub mod plan;
pub mod tensor;
