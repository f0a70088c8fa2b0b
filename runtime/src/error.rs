//! What can be wrong with a call, told in the caller's terms.

use core::fmt;

use crate::{abi::ElementType, abi::Status, reader::Corrupt};

/// The start of a name, kept without allocation so that an error outlives what it speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Name::MOST],
    length: u8,
}

impl Name {
    const MOST: usize = 62;

    /// As much of `text` as fits.
    pub fn new(text: &str) -> Name {
        let cut = &text[..text.floor_char_boundary(Name::MOST)];
        let mut bytes = [0; Name::MOST];
        bytes[..cut.len()].copy_from_slice(cut.as_bytes());
        Name { bytes, length: cut.len() as u8 }
    }
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a call was not made, or what it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The model cannot be described.
    Corrupt(Corrupt),
    NoSuchSignature(Name),
    NoSuchCpu(Name),
    /// The signature has no input or output of this name.
    NoSuchTensor(Name),
    /// The signature has no symbolic dimension of this name.
    NoSuchDimension(Name),
    /// The signature has more inputs, outputs and dimensions than the call has room for.
    TooManyMembers {
        needed: usize,
        room: usize,
    },
    /// The slice holds elements of another type.
    Element {
        tensor: Name,
        expected: ElementType,
        given: &'static str,
    },
    Rank {
        tensor: Name,
        expected: usize,
        given: usize,
    },
    Extent {
        tensor: Name,
        axis: usize,
        expected: i64,
        given: usize,
    },
    /// The slice has another number of elements than its shape.
    Length {
        tensor: Name,
        expected: usize,
        given: usize,
    },
    /// Two inputs, or an input and the caller, give a dimension different values.
    Conflict {
        dimension: Name,
        first: i64,
        second: i64,
    },
    /// No input's shape tells the dimension; the caller has to.
    UnknownDimension(Name),
    /// An input or output was not given.
    Missing(Name),
    /// The dimensions break this condition.
    BrokenGuard(Name),
    /// The workspace cannot provide so many aligned bytes.
    Workspace {
        needed: usize,
    },
    /// What the compiled model returned.
    Status(Status),
    /// A custom operator of the model failed, and its function returned this number: 24 bits of it.
    Operator {
        code: i32,
    },
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Error {
        Error::Corrupt(corrupt)
    }
}
impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::Status(status)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Corrupt(corrupt) => corrupt.fmt(f),
            Error::NoSuchSignature(name) => write!(f, "the model has no signature `{name}`"),
            Error::NoSuchCpu(name) => write!(f, "the model has no code for the CPU level `{name}`"),
            Error::NoSuchTensor(name) => write!(f, "the signature has no such tensor as `{name}`"),
            Error::NoSuchDimension(name) => write!(f, "the signature has no symbolic dimension `{name}`"),
            Error::TooManyMembers { needed, room } => {
                write!(f, "the signature has {needed} members, the call has room for {room}; use `call_with`")
            }
            Error::Element { tensor, expected, given } => {
                write!(f, "`{tensor}` holds {expected}, which a slice of {given} cannot")
            }
            Error::Rank { tensor, expected, given } => write!(f, "`{tensor}` has rank {expected}, not {given}"),
            Error::Extent { tensor, axis, expected, given } => {
                write!(f, "axis {axis} of `{tensor}` has extent {expected}, not {given}")
            }
            Error::Length { tensor, expected, given } => {
                write!(f, "`{tensor}` has {expected} elements, but {given} were given")
            }
            Error::Conflict { dimension, first, second } => {
                write!(f, "the dimension `{dimension}` is both {first} and {second}")
            }
            Error::UnknownDimension(name) => {
                write!(f, "the inputs do not tell the dimension `{name}`; set it with `dim`")
            }
            Error::Missing(name) => write!(f, "`{name}` was not given"),
            Error::BrokenGuard(text) => write!(f, "the dimensions break the condition {text}"),
            Error::Workspace { needed } => write!(f, "the workspace cannot hold {needed} aligned bytes"),
            Error::Status(status) => status.fmt(f),
            Error::Operator { code } => write!(f, "a custom operator failed with code {code}"),
        }
    }
}

impl core::error::Error for Error {}

#[test]
fn long_names_are_cut_between_characters() {
    assert_eq!(Name::new(&"ä".repeat(40)).as_str(), "ä".repeat(31));
    assert_eq!(Error::Missing(Name::new("x")).to_string(), "`x` was not given");
}
