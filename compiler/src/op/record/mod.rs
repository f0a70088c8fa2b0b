//! Primitives that read serialized records: messages of Protocol Buffers, as `tf.train.Example` and `SequenceExample` are.
//!
//! A length that passes what is around it is a fault, and so is a list that ends within a value. Every length is compared
//! with what is left before anything is read.

mod count;
mod features;
mod list;
mod message;
mod values;
mod wire;

pub use count::ListCount;
pub use features::{Features, Part};
pub use list::ListKind;
pub use values::ListValues;

use super::{
    text::{Find, Words, check_strings},
    *,
};
