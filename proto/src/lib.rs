//! The fields of TensorFlow's protocol buffers that smc reads, as types generated from `tensorflow/*.proto`; beside them
//! those of the decision forests that models carry.
//!
//! Fields that are not declared are skipped when decoding. Maps are ordered, so that nothing depends on a hash.

#![allow(missing_docs)]

/// Decodes and encodes every type here.
pub use prost::Message;

include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));

/// The files of decision forests, generated from `yggdrasil/forest.proto`.
pub mod yggdrasil {
    include!(concat!(env!("OUT_DIR"), "/yggdrasil.rs"));
}

/// An encoded `google.protobuf.FileDescriptorSet` of every message here.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
