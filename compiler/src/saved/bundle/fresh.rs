//! A new bundle of one data file, with tensors of another one and new ones, in order of their keys.
//!
//! What another bundle stores in one piece is copied with its checksum, of whatever type it is, and not read before it is
//! written. New bytes are in that bundle's order of bytes.

use std::collections::BTreeMap;

use prost::Message;
use smc_proto::{BundleEntryProto, BundleHeaderProto, DataType, VersionDef};

use super::{
    Bundle,
    rewrite::{encode, shape},
    table,
};
use crate::{base::Diagnostic, saved::pieces::Pieces, tensor::Tensor};

/// What a key holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// What the other bundle holds under a key, [in one piece](Bundle::is_plain).
    Stored(String),
    /// A tensor whose elements hold those of the type.
    Value(DataType, Tensor),
}

impl Bundle {
    /// Whether a tensor is stored in one piece, which can be copied.
    pub fn is_plain(&self, key: &str) -> bool {
        self.inline.is_none() && self.entries.get(key.as_bytes()).is_some_and(|entry| entry.slices.is_empty())
    }
}

/// The index and the data file, which are made of ranges of the files of `of`.
pub fn fresh(of: Option<&Bundle>, contents: &BTreeMap<String, Content>) -> Result<[Pieces; 2], Diagnostic> {
    let big_endian = of.is_some_and(Bundle::big_endian);
    let version = Some(VersionDef { producer: 1, ..Default::default() });
    let header = BundleHeaderProto { num_shards: 1, endianness: big_endian.into(), version };
    let mut table = vec![(vec![], header.encode_to_vec())];
    let mut data = Pieces::default();
    for (key, content) in contents {
        let offset = data.size() as i64;
        let entry = match content {
            Content::Value(dtype, tensor) => {
                let (bytes, crc32c) = encode(*dtype, tensor, big_endian);
                let size = bytes.len() as i64;
                data.push(bytes);
                let (dtype, shape) = (*dtype as i32, Some(shape(&tensor.shape)));
                BundleEntryProto { dtype, shape, shard_id: 0, offset, size, crc32c, slices: vec![] }
            }
            Content::Stored(of_key) => {
                let missing = || Diagnostic::error(format!("the checkpoint has no tensor `{of_key}`"));
                let bundle = of.ok_or_else(missing)?;
                let entry = bundle.entries.get(of_key.as_bytes()).ok_or_else(missing)?;
                let (path, range) = bundle.location(of_key, entry)?;
                data.push_range(&path, range);
                BundleEntryProto { shard_id: 0, offset, ..entry.clone() }
            }
        };
        table.push((key.clone().into_bytes(), entry.encode_to_vec()));
    }
    let mut index = Pieces::default();
    index.push(table::write(&table));
    Ok([index, data])
}
