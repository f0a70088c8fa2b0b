//! Writes bundles for tests: every form the reader must understand, and damaged ones.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use smc_proto::{BundleEntryProto, BundleHeaderProto, DataType, TensorShapeProto, tensor_shape_proto::Dim};

use super::{checksum, slice::Slice};
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
        let word = |n: u32| if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut data = Vec::new();
        values.iter().for_each(|v| put_varint(&mut data, v.len() as u64));
        let lengths: Vec<u8> = values.iter().flat_map(|v| word(v.len() as u32)).collect();
        let check = word(checksum::masked(&lengths));
        data.extend(check);
        let text = values.concat();
        data.extend(&text);
        self.raw(key, 0, DataType::DtString, extents, &data);
        let covered = [&lengths[..], &check, &text].concat();
        self.entries.get_mut(key).unwrap().crc32c = checksum::masked(&covered);
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
            slices.push(proto_slice(&slice));
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

pub fn proto_slice(slice: &Slice) -> smc_proto::TensorSliceProto {
    use smc_proto::tensor_slice_proto::{Extent, extent::HasLength};
    let extent = |&(start, length): &(u64, Option<u64>)| Extent {
        start: start as i64,
        has_length: length.map(|n| HasLength::Length(n as i64)),
    };
    smc_proto::TensorSliceProto { extent: slice.0.iter().map(extent).collect() }
}

pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A table with four entries in a block; when compressing, every other block stays raw.
pub fn table(entries: &[(Vec<u8>, Vec<u8>)], snappy: bool) -> Vec<u8> {
    table_of_blocks(entries.chunks(4), snappy)
}

/// A table whose entries share one block, and so their keys' prefixes.
pub fn one_block(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    table_of_blocks([entries].into_iter(), false)
}

fn table_of_blocks<'e>(blocks: impl Iterator<Item = &'e [(Vec<u8>, Vec<u8>)]>, snappy: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut index = Vec::new();
    for (n, chunk) in blocks.enumerate() {
        let handle = put_block(&mut file, &block(chunk), snappy && n % 2 == 0);
        index.push((chunk.last().unwrap().0.clone(), handle));
    }
    let meta = put_block(&mut file, &block(&[]), false);
    let index = put_block(&mut file, &block(&index), snappy);
    let start = file.len();
    file.extend(meta.iter().chain(&index));
    file.resize(start + 40, 0);
    file.extend(0xdb47_7524_8b80_fb57u64.to_le_bytes());
    file
}

fn block(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before: &[u8] = &[];
    for (key, value) in entries {
        let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        put_varint(&mut out, shared as u64);
        put_varint(&mut out, (key.len() - shared) as u64);
        put_varint(&mut out, value.len() as u64);
        out.extend(&key[shared..]);
        out.extend(value);
        before = key;
    }
    out.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    out
}

fn put_block(file: &mut Vec<u8>, data: &[u8], snappy: bool) -> Vec<u8> {
    let mut stored = if snappy { snap::raw::Encoder::new().compress_vec(data).unwrap() } else { data.to_vec() };
    let mut handle = Vec::new();
    put_varint(&mut handle, file.len() as u64);
    put_varint(&mut handle, stored.len() as u64);
    stored.push(snappy as u8);
    let check = checksum::masked(&stored).to_le_bytes();
    file.extend(stored);
    file.extend(check);
    handle
}
