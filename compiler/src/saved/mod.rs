//! SavedModel bytes to flat TensorFlow graphs. Knows nothing of the compiler's own graph.
//!
//! [`Model::load`] picks the files, the version and the meta graph; [`Model::signatures`] lists the entry points;
//! [`Model::graph`] gives one of them as a flat graph, cut at its inputs, with functions inlined and every variable
//! tied to the stored tensor that holds its value; [`Model::read`] reads that tensor. [`revise`] makes models of others.
//!
//! Promise: no input makes this module panic, hang, or take more memory than a fixed multiple of the files' size plus
//! the constants they spell out; what is wrong with them is told in diagnostics.

mod body;
mod bundle;
pub mod custom;
mod directory;
mod files;
mod foreign;
pub mod forest;
mod frames;
mod generators;
pub mod graph;
mod init;
mod initial;
pub mod inspect;
mod lent;
mod model;
mod objects;
mod op_defs;
mod pieces;
mod resources;
mod restore;
pub mod revise;
mod signature;
mod tables;
mod tensor_proto;
mod text;
mod types;
mod variables;
mod wire;
mod writes;

pub use body::Body;
pub use bundle::{Bundle, Change, Slice};
pub use files::{Disk, Files, Memory};
pub use foreign::EXPORT;
pub use generators::{Beginning, has_generator};
pub use graph::{Node, NodeOutput, Origin, Port, TfGraph};
pub use init::{Asset, Initialiser};
pub use initial::Initial;
pub use model::{Model, Options};
pub use op_defs::{ArgDef, Count, OpDef, op_def};
pub use restore::handed_on;
pub use signature::{Signature, SignatureKind, Slot, SlotPlace};
pub use smc_proto::{DataType, NameAttrList, TensorProto, attr_value::Value as AttrValue};
pub use tables::{Pairs, Table};
pub use tensor_proto::decode as decode_tensor;
pub use types::{TfShape, TfType, data_type, held_type, host_type, narrow_type, type_name};
pub use variables::{IS_SET, Variable};
