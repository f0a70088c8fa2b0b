//! Primitives that look into strings: their bytes, not only where they are.

mod count;
mod case;
mod decode;
mod equal;
mod find;
mod float;
mod hash;
mod int;
mod join;
mod length;
mod number;
mod part;
mod place;
mod raw;
mod regex;
mod split;
mod strip;
mod tokens;
mod words;

pub use case::{Case, TextCase};
pub use count::TextCount;
pub use decode::{Decoding, Malformed, TextCodes, TextDecode};
pub use equal::TextEqual;
pub use find::{Find, Perfect};
pub use float::TextFloat;
pub use hash::{TextHash, TextHashing};
pub use int::TextInt;
pub use join::TextJoin;
pub use length::{TextLength, TextUnit};
pub use number::{Fill, MAX_DECIMALS, TextNumber};
pub use part::TextPart;
pub use place::TextPlace;
pub use raw::TextRaw;
pub use regex::{Plan, TextMatches, TextReplace, TextTrail};
pub use split::TextSplit;
pub use strip::TextStrip;
pub use tokens::{MAX_SEPARATOR, Splitting};
pub(super) use words::Words;

use super::*;

/// Refuses an operand that holds no strings.
pub(super) fn check_strings(x: &TensorType) -> Infer<()> {
    if x.dtype == crate::tensor::DType::Str { Ok(()) } else { Err(format!("{x} holds no strings")) }
}
