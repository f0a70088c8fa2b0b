//! Weights in a file of their own, which any number of processes map and share.
//!
//! The file is a header of [`HEADER`] bytes and the weights, in the target's byte order. The header:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | [`MAGIC`] |
//! | 4..8 | [`VERSION`] |
//! | 8..16 | bytes of the whole file |
//! | 16..32 | 0 |
//! | [`FINGERPRINT`]`..64` | SHA-256 of the code that reads these weights, and of how they are laid out |
//!
//! Two models that differ in the values of their weights alone have one fingerprint, so a model that was trained again
//! needs no new link. The pointer to bound weights is a cell of the object: one for the program, whatever threads call.

use crate::{
    abi::{BindWeights, Status},
    error::Error,
};

/// The file starts with it, in the target's byte order.
pub const MAGIC: u32 = u32::from_le_bytes(*b"SMCW");
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER: usize = 64;
/// Where the fingerprint lies in it.
pub const FINGERPRINT: usize = 32;
/// What the address of a file in memory is a multiple of.
pub const ALIGN: usize = 64;

/// The function that binds the weights of the model with this name, which is linked into the program:
/// `smc_runtime::bind_weights!(mnist)` is a [`BindWeights`] for [`bind`].
#[macro_export]
macro_rules! bind_weights {
    ($name:ident) => {{
        unsafe extern "C" {
            #[link_name = concat!(stringify!($name), "_bind_weights")]
            fn bind_weights(weights: *const core::ffi::c_void, bytes: usize) -> i32;
        }
        bind_weights as $crate::abi::BindWeights
    }};
}

/// Binds the file of weights to the model. [`Status::WrongWeights`] when it is not the model's.
///
/// # Safety
/// `function` is the `bind_weights` of a compiled model.
pub unsafe fn bind(function: BindWeights, file: &'static [u8]) -> Result<(), Error> {
    // SAFETY: the caller promises it, and the bytes stay for ever.
    let code = unsafe { function(file.as_ptr().cast(), file.len()) };
    match Status::from_code(code) {
        Some(Status::Ok) => Ok(()),
        Some(status) => Err(Error::Status(status)),
        None => Err(Error::Status(Status::WrongWeights)),
    }
}
