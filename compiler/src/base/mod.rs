//! What every floor stands on: typed arenas, symbolic dimensions, diagnostics. Knows nothing of tensors.

pub mod arena;
pub mod diag;
pub mod dim;
pub mod farm;
pub mod layer;
pub mod names;
mod random;

pub use arena::{Arena, Id};
pub use diag::{Diagnostic, Place, Problems, Severity};
pub use dim::{Bindings, Dim, Symbol};
pub use random::Rng;
