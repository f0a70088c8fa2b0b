//! Writes bundles for tests: every form the reader must understand, and damaged ones.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use smc_proto::{BundleEntryProto, BundleHeaderProto, DataType, TensorShapeProto, tensor_shape_proto::Dim};

use super::{checksum, rewrite, slice::Slice, table};
use crate::saved::files::Memory;

/// A bundle in the making.
#[derive(Default)]
pub struct Writer {
    pub big_endian: bool,
    /// Every other block is compressed.
    pub snappy: bool,
    /// Padding before each tensor's data.
    pub padding: usize,
    pub shards: Vec<Vec<u8>>,
    pub entries: BTreeMap<Vec<u8>, BundleEntryProto>,
}

pub fn shape(extents: &[i64]) -> TensorShapeProto {
    TensorShapeProto { dim: extents.iter().map(|&size| Dim { size }).collect(), unknown_rank: false }
}

impl Writer {
    fn store(&mut self, shard: usize, data: &[u8]) -> (i64, i64) {
        self.shards.resize_with(self.shards.len().max(shard + 1), Vec::new);
        let file = &mut self.shards[shard];
        file.resize(file.len() + self.padding, 0xaa);
        file.extend(data);
        ((file.len() - data.len()) as i64, data.len() as i64)
    }

    /// Stores elements given in the order of the bundle's bytes.
    pub fn raw(&mut self, key: &[u8], shard: usize, dtype: DataType, extents: &[i64], data: &[u8]) {
        let (offset, size) = self.store(shard, data);
        let entry = BundleEntryProto {
            dtype: dtype as i32,
            shape: Some(shape(extents)),
            shard_id: shard as i32,
            offset,
            size,
            crc32c: checksum::masked(data),
            slices: vec![],
        };
        self.entries.insert(key.to_vec(), entry);
    }

    pub fn floats(&mut self, key: &[u8], shard: usize, extents: &[i64], values: &[f32]) {
        let bytes = |x: &f32| if self.big_endian { x.to_be_bytes() } else { x.to_le_bytes() };
        let data: Vec<u8> = values.iter().flat_map(bytes).collect();
        self.raw(key, shard, DataType::DtFloat, extents, &data);
    }

    pub fn strings(&mut self, key: &[u8], extents: &[i64], values: &[&[u8]]) {
        let values: Vec<_> = values.iter().map(|v| v.to_vec()).collect();
        let (data, check) = rewrite::strings(&values, self.big_endian);
        self.raw(key, 0, DataType::DtString, extents, &data);
        self.entries.get_mut(key).unwrap().crc32c = check;
    }

    /// Stores a tensor in parts along its first axis.
    pub fn partitioned(&mut self, key: &[u8], extents: &[i64], parts: &[(u64, u64, &[f32])]) {
        let mut slices = Vec::new();
        for (start, length, values) in parts {
            let mut axes = vec![(0, None); extents.len()];
            axes[0] = (*start, Some(*length));
            let mut part = extents.to_vec();
            part[0] = *length as i64;
            let slice = Slice(axes);
            self.floats(&slice.key(key), 0, &part, values);
            slices.push(slice.to_proto());
        }
        let dtype = DataType::DtFloat as i32;
        let entry = BundleEntryProto { dtype, shape: Some(shape(extents)), slices, ..Default::default() };
        self.entries.insert(key.to_vec(), entry);
    }

    pub fn entry(&mut self, key: &[u8]) -> &mut BundleEntryProto {
        self.entries.get_mut(key).unwrap()
    }

    /// The bundle's files under a prefix.
    pub fn finish(&self, prefix: &str) -> Memory {
        let shards = self.shards.len().max(1);
        let endianness = self.big_endian as i32;
        let header = BundleHeaderProto { num_shards: shards as i32, endianness, version: None };
        let mut entries = vec![(vec![], header.encode_to_vec())];
        entries.extend(self.entries.iter().map(|(key, entry)| (key.clone(), entry.encode_to_vec())));
        let mut files = Memory::default();
        files.0.insert(format!("{prefix}.index"), table(&entries, self.snappy).into());
        for (n, data) in self.shards.iter().enumerate() {
            files.0.insert(format!("{prefix}.data-{n:05}-of-{shards:05}"), Bytes::from(data.clone()));
        }
        files
    }
}

/// A table with four entries in a block; when compressing, every other block stays raw.
pub fn table(entries: &[(Vec<u8>, Vec<u8>)], snappy: bool) -> Vec<u8> {
    let pack = |n: usize, data: Vec<u8>| match snappy && n.is_multiple_of(2) {
        true => (snap::raw::Encoder::new().compress_vec(&data).unwrap(), 1),
        false => (data, 0),
    };
    table::write_blocks(entries.chunks(4), 16, pack)
}

/// A table whose entries share one block, and so their keys' prefixes.
pub fn one_block(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    table::write_blocks([entries].into_iter(), usize::MAX, |_, data| (data, 0))
}
