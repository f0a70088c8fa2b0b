//! What a program that runs a model compiled by smc needs; comfort only, a compiled model runs without it.
//!
//! - [`abi`]: what the compiled code and its caller agree on.
//! - [`descriptor`], [`reader`]: the description of its signatures that every compiled model carries.
//!
//! Knows nothing of the compiler. Needs nothing but `core`, and never allocates, unless the feature `std` is on.

#![cfg_attr(not(feature = "std"), no_std)]

pub mod abi;
pub mod descriptor;
pub mod reader;

pub use abi::{ElementType, Status};
pub use reader::{Corrupt, Descriptor};
