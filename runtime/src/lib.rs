//! What a program that runs a model compiled by smc needs; comfort only, a compiled model runs without it.
//!
//! ```ignore
//! let model = smc_runtime::model!(mnist)?;
//! let mut probabilities = [0f32; 10];
//! let mut workspace = smc_runtime::GrowingWorkspace::new();
//! let mut call = model.signature("serving_default")?.call()?;
//! call.input("x", &pixels, &[1, 28, 28])?.output("output_0", &mut probabilities)?.run(&mut workspace)?;
//! ```
//!
//! - [`abi`]: what the compiled code and its caller agree on.
//! - [`descriptor`], [`reader`]: the description of its signatures that every compiled model carries.
//! - [`mod@model`]: safe calls, checked against it. [`error`]: what can be wrong with them. [`workspace`]: their memory.
//! - [`weights`]: files of weights that lie apart from the code. [`state`]: variables that outlive calls.
//! - [`text`]: elements of tensors of strings. [`operator`]: what custom operators written in Rust get.
//! - `pool` (feature `std`): threads for them.
//!
//! Knows nothing of the compiler. Needs nothing but `core`, and never allocates, unless the feature `std` is on.

#![cfg_attr(not(feature = "std"), no_std)]

pub mod abi;
pub mod descriptor;
pub mod error;
mod formula;
pub mod model;
pub mod operator;
#[cfg(feature = "std")]
pub mod pool;
pub mod reader;
pub mod state;
pub mod text;
pub mod weights;
pub mod workspace;

pub use abi::{ElementType, Status};
pub use error::Error;
pub use model::{Call, Element, Model, Parallel, Signature, Tensor};
#[cfg(feature = "std")]
pub use pool::Pool;
pub use reader::{Corrupt, Descriptor};
pub use text::{OutputText, Text};
#[cfg(feature = "std")]
pub use workspace::GrowingWorkspace;
pub use workspace::{BorrowedWorkspace, FixedWorkspace, Workspace};
