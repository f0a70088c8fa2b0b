//! The variables' files: an index that says where each tensor lies, and data files that are read on demand.
//!
//! The index maps a key to type, shape, data file, offset, size and checksum. A partitioned tensor has an entry that
//! lists its slices, each stored under a key of its own. Data may be padded between entries. Tensors of a big-endian
//! writer are swapped after the checksum is verified. Checkpoints of version 1 have no index ([`version_1`]).
//!
//! Invariant: no length of the file is trusted before it was compared with what is there, so that a damaged bundle
//! gives a diagnostic and never a large allocation.

mod boxes;
mod checksum;
mod fresh;
mod rewrite;
mod slice;
mod table;
mod version_1;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod writer;

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;
use prost::Message;
use smc_proto::{BundleEntryProto, BundleHeaderProto, bundle_header_proto::Endianness};

pub(super) use checksum::masked;
pub use fresh::{Content, fresh};
pub use rewrite::Change;
pub use slice::Slice;

use super::{
    files::{Files, read_all},
    types::{TfShape, TfType, data_type, held_type, tensor_of, type_name},
};
use crate::{
    base::{Diagnostic, Problems},
    tensor::{DType, Tensor},
};

/// Real models split a variable into dozens of slices.
const MAX_SLICES: usize = 4096;

/// An opened index; the data stays on disk until asked for.
pub struct Bundle {
    files: Arc<dyn Files>,
    prefix: String,
    header: BundleHeaderProto,
    entries: BTreeMap<Vec<u8>, BundleEntryProto>,
    /// The tensors of a checkpoint of version 1.
    inline: Option<version_1::Contents>,
    /// What names the tensors: the index, or the files of version 1.
    listed_in: Vec<String>,
}

impl Bundle {
    /// Opens `PREFIX.index`, or the files of version 1; `None` when there is neither.
    pub fn open(files: Arc<dyn Files>, prefix: &str) -> Result<Option<Bundle>, Problems> {
        let path = format!("{prefix}.index");
        let Some(bytes) = read_all(&*files, &path)? else { return Bundle::open_version_1(files, prefix) };
        let shown = files.shown(&path);
        let fault = |what: String| Diagnostic::error(format!("damaged checkpoint index: {what}")).in_file(&shown);
        let mut table = table::read(&bytes).map_err(fault)?;
        let header = table.remove(&b""[..]).ok_or_else(|| fault("it has no header".into()))?;
        let header = BundleHeaderProto::decode(header).map_err(|e| fault(format!("its header: {e}")))?;
        let mut problems = Problems::default();
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            match BundleEntryProto::decode(value) {
                Ok(entry) => drop(entries.insert(key, entry)),
                Err(e) => problems.push(fault(format!("entry `{}`: {e}", key.escape_ascii()))),
            }
        }
        let (inline, listed_in, prefix) = (None, vec![path], prefix.into());
        problems.or(Some(Bundle { files, prefix, header, entries, inline, listed_in }))
    }

    fn open_version_1(files: Arc<dyn Files>, prefix: &str) -> Result<Option<Bundle>, Problems> {
        let listed_in = version_1::shards(&*files, prefix)?;
        if listed_in.is_empty() {
            return Ok(None);
        }
        let mut contents = version_1::open(&*files, &listed_in)?;
        let entries = std::mem::take(&mut contents.entries);
        let (prefix, header, inline) = (prefix.into(), BundleHeaderProto::default(), Some(contents));
        Ok(Some(Bundle { files, prefix, header, entries, inline, listed_in }))
    }

    fn big_endian(&self) -> bool {
        self.header.endianness() == Endianness::Big
    }

    /// The path of a data file.
    fn shard(&self, number: i32) -> String {
        format!("{}.data-{number:05}-of-{:05}", self.prefix, self.header.num_shards)
    }

    /// The files that name the tensors and hold their checksums.
    pub fn listed_in(&self) -> &[String] {
        &self.listed_in
    }

    /// The keys of whole tensors, in order; those of single slices are not among them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().filter(|k| !k.starts_with(b"\0")).filter_map(|k| std::str::from_utf8(k).ok())
    }

    /// Type and shape of a tensor, or `None` when the bundle has no such key.
    pub fn ty(&self, key: &str) -> Option<TfType> {
        let entry = self.entries.get(key.as_bytes())?;
        Some(TfType { dtype: data_type(entry.dtype), shape: TfShape::from_proto(entry.shape.as_ref()) })
    }

    /// Whether two keys hold equal tensors, as far as type, shape, size and checksum can tell.
    pub fn same_content(&self, a: &str, b: &str) -> bool {
        let (Some(x), Some(y)) = (self.entries.get(a.as_bytes()), self.entries.get(b.as_bytes())) else { return false };
        if self.inline.is_some() {
            return a == b || self.read(a, None).is_ok_and(|a| self.read(b, None).as_ref() == Ok(&a));
        }
        let plain = x.slices.is_empty() && y.slices.is_empty();
        a == b || plain && (x.dtype, &x.shape, x.size, x.crc32c) == (y.dtype, &y.shape, y.size, y.crc32c)
    }

    /// Reads a tensor, or the part of it that `part` names.
    pub fn read(&self, key: &str, part: Option<&Slice>) -> Result<Tensor, Diagnostic> {
        let entry = self.entries.get(key.as_bytes()).ok_or_else(|| self.missing(key))?;
        let Some(part) = part else { return self.read_whole(key, entry) };
        if let Some(stored) = self.stored_slice(key, entry, part) {
            return stored.and_then(|(key, entry)| self.read_plain(&key, entry));
        }
        let whole = self.read_whole(key, entry)?;
        let axes = part.within(&whole.shape);
        Ok(boxes::cut(&whole, &axes.ok_or_else(|| self.fault(key, "the requested part lies outside the tensor"))?))
    }

    fn missing(&self, key: &str) -> Diagnostic {
        Diagnostic::error(format!("the checkpoint has no tensor `{key}`"))
            .in_file(self.files.shown(&self.listed_in[0]))
            .help("the checkpoint belongs to another model, or the model was saved without it")
    }

    fn fault(&self, key: &str, what: impl std::fmt::Display) -> Diagnostic {
        let file = self.files.shown(&self.listed_in[0]);
        Diagnostic::error(format!("checkpoint tensor `{}`: {what}", key.as_bytes().escape_ascii())).in_file(file)
    }

    /// The entry that holds exactly `part`, when the tensor is stored in slices and one of them is that part.
    #[allow(clippy::type_complexity)]
    fn stored_slice(
        &self,
        key: &str,
        entry: &BundleEntryProto,
        part: &Slice,
    ) -> Option<Result<(String, &BundleEntryProto), Diagnostic>> {
        let shape = TfShape::from_proto(entry.shape.as_ref()).fixed()?;
        let wanted = part.within(&shape)?;
        let stored = entry.slices.iter().filter_map(Slice::from_proto);
        let stored = stored.into_iter().find(|s| s.within(&shape).as_ref() == Some(&wanted))?;
        Some(self.slice_entry(key, &stored))
    }

    fn slice_entry(&self, key: &str, slice: &Slice) -> Result<(String, &BundleEntryProto), Diagnostic> {
        let entry = self.entries.get(&slice.key(key.as_bytes()));
        let entry = entry.ok_or_else(|| self.fault(key, "one of its slices is missing"))?;
        Ok((format!("{key} {:?}", slice.0), entry))
    }

    fn read_whole(&self, key: &str, entry: &BundleEntryProto) -> Result<Tensor, Diagnostic> {
        if entry.slices.is_empty() { self.read_plain(key, entry) } else { self.read_slices(key, entry) }
    }

    /// Puts a partitioned tensor together; every element must be covered exactly once.
    fn read_slices(&self, key: &str, entry: &BundleEntryProto) -> Result<Tensor, Diagnostic> {
        let (dtype, shape) = self.fixed_type(key, entry)?;
        let outside = || self.fault(key, "a slice lies outside the tensor");
        if entry.slices.len() > MAX_SLICES {
            return Err(self.fault(key, format!("it has more than {MAX_SLICES} slices")));
        }
        let mut parts: Vec<(Box<boxes::Axes>, Tensor)> = Vec::new();
        let mut elements = 0u128;
        for proto in &entry.slices {
            let slice = Slice::from_proto(proto).ok_or_else(outside)?;
            let axes = slice.within(&shape).ok_or_else(outside)?;
            let (name, stored) = self.slice_entry(key, &slice)?;
            let part = self.read_plain(&name, stored)?;
            if part.dtype != dtype || !part.shape.iter().eq(axes.iter().map(|(_, n)| n)) {
                return Err(self.fault(key, "a slice has another type or shape than the tensor says"));
            }
            elements += part.count() as u128;
            parts.push((axes.into(), part));
        }
        // Boxes that do not meet and have as many elements as the whole cover it.
        let count = shape.iter().fold(1u128, |n, &d| n.saturating_mul(d as u128));
        let meets_another = |n: usize| parts[..n].iter().any(|(axes, _)| boxes::meet(axes, &parts[n].0));
        if elements != count || (0..parts.len()).any(meets_another) {
            return Err(self.fault(key, "its slices do not cover it exactly once"));
        }
        Ok(boxes::join(dtype, shape, &parts))
    }

    fn fixed_type(&self, key: &str, entry: &BundleEntryProto) -> Result<(DType, Vec<usize>), Diagnostic> {
        let tf = data_type(entry.dtype);
        let dtype = held_type(tf)
            .ok_or_else(|| self.fault(key, format!("elements of type {} are not supported", type_name(tf))))?;
        let shape = entry.shape.as_ref().map_or(Some(vec![]), |s| TfShape::from_proto(Some(s)).fixed());
        Ok((dtype, shape.ok_or_else(|| self.fault(key, "its shape is not fixed"))?))
    }

    fn read_plain(&self, key: &str, entry: &BundleEntryProto) -> Result<Tensor, Diagnostic> {
        let (dtype, shape) = self.fixed_type(key, entry)?;
        if let Some(contents) = &self.inline {
            return contents.read(entry).map_err(|e| self.fault(key, e));
        }
        let stored = self.stored_bytes(key, entry)?;
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let count = count.ok_or_else(|| self.fault(key, "its shape is too large"))?;
        if dtype == DType::Str {
            return strings(shape, count, stored, entry.crc32c, self.big_endian()).map_err(|e| self.fault(key, e));
        }
        if count.checked_mul(dtype.size()) != Some(stored.len()) {
            let what = format!("{} bytes are stored for {dtype}{shape:?}", stored.len());
            return Err(self.fault(key, what));
        }
        if masked(&stored) != entry.crc32c {
            return Err(self.fault(key, "the data is damaged (its checksum differs)"));
        }
        let mut bytes = Vec::from(stored);
        if self.big_endian() {
            swap(dtype, &mut bytes);
        }
        Ok(tensor_of(data_type(entry.dtype), shape, bytes))
    }

    fn stored_bytes(&self, key: &str, entry: &BundleEntryProto) -> Result<Bytes, Diagnostic> {
        let (path, range) = self.location(key, entry)?;
        self.files.read(&path, range)
    }

    /// Where a plain entry's bytes lie.
    fn location(&self, key: &str, entry: &BundleEntryProto) -> Result<(String, Range<u64>), Diagnostic> {
        let shards = self.header.num_shards;
        if !(0..shards).contains(&entry.shard_id) {
            return Err(self.fault(key, format!("data file {} of {shards}", entry.shard_id)));
        }
        let path = self.shard(entry.shard_id);
        let size = self.files.size(&path).ok_or_else(|| {
            Diagnostic::error("a data file of the checkpoint is missing")
                .in_file(self.files.shown(&path))
                .help("copy the model's whole `variables` folder")
        })?;
        let range = u64::try_from(entry.offset).ok().zip(u64::try_from(entry.size).ok());
        let range = range.and_then(|(start, len)| Some(start..start.checked_add(len)?)).filter(|r| r.end <= size);
        let outside = || {
            self.fault(key, format!("{} bytes at {} of a file of {size}", entry.size, entry.offset))
                .help("the data file is truncated or belongs to another checkpoint")
        };
        Ok((path, range.ok_or_else(outside)?))
    }
}

/// Turns the bytes of each number round.
fn swap(dtype: DType, bytes: &mut [u8]) {
    let word = if matches!(dtype, DType::C64 | DType::C128) { dtype.size() / 2 } else { dtype.size() };
    bytes.chunks_exact_mut(word).for_each(<[u8]>::reverse);
}

/// Stored strings: a varint length each, a masked checksum of the lengths as integers, then the bytes.
/// The entry's checksum covers the lengths as integers, their checksum and the bytes.
fn strings(
    shape: Vec<usize>,
    count: usize,
    mut stored: Bytes,
    expected: u32,
    big_endian: bool,
) -> Result<Tensor, String> {
    if count > stored.len() {
        return Err(format!("{} bytes cannot hold {count} strings", stored.len()));
    }
    let mut crc = 0;
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        let n = table::varint(&mut stored)?;
        crc = match (u32::try_from(n), big_endian) {
            (Ok(n), false) => crc32c::crc32c_append(crc, &n.to_le_bytes()),
            (Ok(n), true) => crc32c::crc32c_append(crc, &n.to_be_bytes()),
            (Err(_), false) => crc32c::crc32c_append(crc, &n.to_le_bytes()),
            (Err(_), true) => crc32c::crc32c_append(crc, &n.to_be_bytes()),
        };
        lengths.push(n);
    }
    let check = table::take(&mut stored, 4)?;
    let as_stored: [u8; 4] = check[..].try_into().expect("four bytes");
    let lengths_crc = if big_endian { u32::from_be_bytes(as_stored) } else { u32::from_le_bytes(as_stored) };
    if checksum::mask(crc) != lengths_crc {
        return Err("the strings' lengths are damaged (their checksum differs)".into());
    }
    crc = crc32c::crc32c_append(crc, &check);
    crc = crc32c::crc32c_append(crc, &stored);
    if checksum::mask(crc) != expected {
        return Err("the strings are damaged (their checksum differs)".into());
    }
    let strings = lengths.into_iter().map(|n| table::take(&mut stored, n).map(|s| s.to_vec()));
    let strings = strings.collect::<Result<Vec<_>, _>>()?;
    if !stored.is_empty() {
        return Err(format!("{} bytes are left over", stored.len()));
    }
    Ok(Tensor::from_strings(shape, strings))
}
