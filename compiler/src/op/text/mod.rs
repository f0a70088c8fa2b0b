//! Primitives that look into strings: their bytes, not only where they are.

mod equal;
mod find;
mod hash;
mod length;
mod part;
mod strip;
mod words;

pub use equal::TextEqual;
pub use find::{Find, Perfect};
pub use hash::{TextHash, TextHashing};
pub use length::{TextLength, TextUnit};
pub use part::TextPart;
pub use strip::TextStrip;

use super::*;

/// Refuses an operand that holds no strings.
fn check_strings(x: &TensorType) -> Infer<()> {
    if x.dtype == crate::tensor::DType::Str { Ok(()) } else { Err(format!("{x} holds no strings")) }
}
