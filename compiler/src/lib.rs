//! smc compiles a TensorFlow SavedModel ahead of time into a native object file and a C header.
//!
//! The modules are floors, lowest first: a module imports only from those above it in this list, which a test of the
//! test package checks. ARCHITECTURE.md says what each floor must not know.

pub mod base;
pub mod tensor;
pub mod loops;
pub mod op;
pub mod graph;
pub mod saved;
pub mod tf;
pub mod opt;
pub mod plan;
pub mod entry;
pub mod native;
pub mod emit;
pub mod driver;
