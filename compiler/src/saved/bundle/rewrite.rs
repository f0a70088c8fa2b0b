//! A bundle in which keys hold other tensors: the index anew, and of each data file with a change in it what is made of the
//! old one and of new bytes.
//!
//! Tensors keep their data file and their order in it, one behind the other. What is not changed is copied with its checksum,
//! of whatever type it is, so that damage stays known. New bytes are in the bundle's order of bytes.

use std::collections::{BTreeMap, BTreeSet};

use prost::{Message, encoding::encode_varint};
use smc_proto::{BundleEntryProto, DataType, TensorShapeProto};

use super::{Bundle, Slice, boxes, checksum, swap, table};
use crate::{
    base::Diagnostic,
    saved::{
        pieces::Pieces,
        types::{TfShape, data_type, held_type, narrow_type},
    },
    tensor::{DType, Narrow, Tensor},
};

/// What a key is to hold.
#[derive(Clone, Debug)]
pub enum Change {
    /// A tensor whose elements hold those of the type.
    Value(DataType, Tensor),
    /// Nothing.
    Gone,
}

impl Bundle {
    /// What changes where a tensor gets another value, or parts of it do. Nothing changes where it has the value already.
    pub fn with_parts(
        &self,
        key: &str,
        parts: &[(Option<Slice>, &Tensor)],
    ) -> Result<Vec<(Vec<u8>, Change)>, Diagnostic> {
        let entry = self.entries.get(key.as_bytes()).ok_or_else(|| self.missing(key))?;
        let (dtype, extents) = self.fixed_type(key, entry)?;
        let whole = match parts {
            [(None, whole)] => (*whole).clone(),
            _ => self.pasted(key, entry, parts)?,
        };
        if (whole.dtype, &whole.shape) != (dtype, &extents) {
            let what = format!("it is {dtype}{extents:?}, and its new value {}{:?}", whole.dtype, whole.shape);
            return Err(self.fault(key, what));
        }
        let tf = data_type(entry.dtype);
        if entry.slices.is_empty() {
            let same = self.read_plain(key, entry).is_ok_and(|old| old == whole);
            return Ok(if same { vec![] } else { vec![(key.into(), Change::Value(tf, whole))] });
        }
        let mut changes = vec![];
        for slice in &entry.slices {
            let within = Slice::from_proto(slice).and_then(|s| Some((s.within(&extents)?, s)));
            let (axes, slice) = within.ok_or_else(|| self.fault(key, "a slice lies outside the tensor"))?;
            let (name, stored) = self.slice_entry(key, &slice)?;
            let part = boxes::cut(&whole, &axes);
            if self.read_plain(&name, stored)? != part {
                changes.push((slice.key(key.as_bytes()), Change::Value(tf, part)));
            }
        }
        Ok(changes)
    }

    /// The stored tensor with other values in some boxes.
    fn pasted(
        &self,
        key: &str,
        entry: &BundleEntryProto,
        parts: &[(Option<Slice>, &Tensor)],
    ) -> Result<Tensor, Diagnostic> {
        let whole = self.read_whole(key, entry)?;
        let (dtype, shape) = (whole.dtype, whole.shape.clone());
        let mut pasted: Vec<(Box<boxes::Axes>, Tensor)> = vec![(shape.iter().map(|&n| (0, n)).collect(), whole)];
        for (part, value) in parts {
            let part = part.as_ref().ok_or_else(|| self.fault(key, "it is given whole and in parts"))?;
            let axes = part.within(&shape).ok_or_else(|| self.fault(key, "a part lies outside the tensor"))?;
            let extents: Vec<_> = axes.iter().map(|(_, n)| *n).collect();
            if (value.dtype, &value.shape) != (dtype, &extents) {
                let what = format!(
                    "its part {part} is {dtype}{extents:?}, and the new value {}{:?}",
                    value.dtype, value.shape
                );
                return Err(self.fault(key, what));
            }
            if pasted[1..].iter().any(|(other, _)| boxes::meet(other, &axes)) {
                return Err(self.fault(key, "two parts that are given have elements in common"));
            }
            pasted.push((axes.into(), (*value).clone()));
        }
        Ok(boxes::join(dtype, shape, &pasted))
    }

    /// The files that differ from this bundle's where keys hold something else. A tensor in slices becomes one in one piece
    /// where its own key changes; the key of a slice changes that slice alone.
    pub fn rewritten(&self, changes: BTreeMap<Vec<u8>, Change>) -> Result<BTreeMap<String, Pieces>, Diagnostic> {
        if self.inline.is_some() {
            return Err(Diagnostic::error("a checkpoint of version 1 is not rewritten")
                .in_file(self.files.shown(&self.listed_in[0]))
                .help("restore the model in TensorFlow and save it again, which writes one of version 2"));
        }
        if self.header.num_shards < 1 {
            let damaged = Diagnostic::error("damaged checkpoint index: it says that there are no data files");
            return Err(damaged.in_file(self.files.shown(&self.listed_in[0])));
        }
        let mut entries = self.entries.clone();
        let mut touched = BTreeSet::new();
        let mut fresh = BTreeMap::new();
        for (key, change) in changes {
            let before = entries.remove(&key);
            touched.extend(before.iter().map(|entry| entry.shard_id));
            for slice in before.iter().flat_map(|entry| &entry.slices).filter_map(Slice::from_proto) {
                touched.extend(entries.remove(&slice.key(&key)).map(|entry| entry.shard_id));
            }
            let Change::Value(dtype, tensor) = change else { continue };
            if held_type(dtype) != Some(tensor.dtype) {
                let shown = key.escape_ascii().to_string();
                return Err(self.fault(&shown, format!("elements of {} are not those of {dtype:?}", tensor.dtype)));
            }
            let (bytes, crc32c) = encode(dtype, &tensor, self.big_endian());
            // New tensors come last in the last file.
            let (shard_id, offset) =
                before.map_or((self.header.num_shards - 1, i64::MAX), |old| (old.shard_id, old.offset));
            touched.insert(shard_id);
            let (dtype, shape, size) = (dtype as i32, Some(shape(&tensor.shape)), bytes.len() as i64);
            entries
                .insert(key.clone(), BundleEntryProto { dtype, shape, shard_id, offset, size, crc32c, slices: vec![] });
            fresh.insert(key, bytes);
        }
        let mut files = BTreeMap::new();
        for shard in touched {
            let mut inside: Vec<_> =
                entries.iter_mut().filter(|(_, e)| e.slices.is_empty() && e.shard_id == shard).collect();
            inside.sort_by_key(|(_, entry)| entry.offset);
            let mut file = Pieces::default();
            for (key, entry) in inside {
                let at = file.size();
                match fresh.remove(key) {
                    Some(bytes) => file.push(bytes),
                    None => {
                        let (path, range) = self.location(&key.escape_ascii().to_string(), entry)?;
                        file.push_range(&path, range);
                    }
                }
                entry.offset = at as i64;
            }
            files.insert(self.shard(shard), file);
        }
        let mut table = vec![(vec![], self.header.encode_to_vec())];
        table.extend(entries.iter().map(|(key, entry)| (key.clone(), entry.encode_to_vec())));
        let mut index = Pieces::default();
        index.push(table::write(&table));
        files.insert(self.listed_in[0].clone(), index);
        Ok(files)
    }
}

pub(super) fn shape(extents: &[usize]) -> TensorShapeProto {
    TfShape(Some(extents.iter().map(|&n| Some(n as u64)).collect())).to_proto()
}

/// The stored bytes of a tensor, and their masked checksum.
pub(super) fn encode(dtype: DataType, tensor: &Tensor, big_endian: bool) -> (Vec<u8>, u32) {
    if tensor.dtype == DType::Str {
        return strings(tensor.strings(), big_endian);
    }
    let mut bytes = tensor.bytes().to_vec();
    if matches!(narrow_type(dtype), Some(Narrow::I4 | Narrow::U4)) {
        bytes.iter_mut().for_each(|byte| *byte &= 15);
    }
    if big_endian {
        swap(tensor.dtype, &mut bytes);
    }
    let check = checksum::masked(&bytes);
    (bytes, check)
}

/// Strings as they are stored, with the checksum of their entry; [`super::strings`] says how.
pub(super) fn strings(values: &[Vec<u8>], big_endian: bool) -> (Vec<u8>, u32) {
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut bytes = Vec::new();
    let mut crc = 0;
    for value in values {
        encode_varint(value.len() as u64, &mut bytes);
        crc = match u32::try_from(value.len()) {
            Ok(n) => crc32c::crc32c_append(crc, &word(n)),
            Err(_) if big_endian => crc32c::crc32c_append(crc, &(value.len() as u64).to_be_bytes()),
            Err(_) => crc32c::crc32c_append(crc, &(value.len() as u64).to_le_bytes()),
        };
    }
    let check = word(checksum::mask(crc));
    bytes.extend(check);
    crc = crc32c::crc32c_append(crc, &check);
    for value in values {
        bytes.extend(value);
        crc = crc32c::crc32c_append(crc, value);
    }
    (bytes, checksum::mask(crc))
}
