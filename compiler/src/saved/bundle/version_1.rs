//! Checkpoints of version 1: tables that hold the tensors themselves, without an index beside them.
//!
//! A checkpoint is one file, or shards `PREFIX-00000-of-00002`; each is a table in the format of the index of version 2.
//! Its empty key lists the tensors with type, shape and slices; the other keys are those of slices (a tensor in one piece
//! is a slice of all of it), whose values are messages with the elements in the field of their type.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use smc_proto::{BundleEntryProto, SavedTensorSlices, TensorShapeProto, tensor_shape_proto::Dim};

use super::{slice::Slice, table};
use crate::{
    base::{Diagnostic, Problems},
    saved::{
        files::{Files, read_all},
        tensor_proto,
        types::TfShape,
    },
    tensor::Tensor,
};

/// The tensors of a checkpoint as entries like those of version 2, whose `offset` is the number of a value.
#[derive(Default)]
pub struct Contents {
    pub entries: BTreeMap<Vec<u8>, BundleEntryProto>,
    pub values: Vec<Bytes>,
}

/// The files that make up a checkpoint: none when there is no such checkpoint.
pub fn shards(files: &dyn Files, prefix: &str) -> Result<Vec<String>, Diagnostic> {
    if files.size(prefix).is_some() {
        return Ok(vec![prefix.into()]);
    }
    let (folder, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let number = |digits: &str| (digits.len() == 5).then(|| digits.parse::<u32>().ok()).flatten();
    let shard = |file: &String| {
        let (shard, of) = file.strip_prefix(name)?.strip_prefix('-')?.split_once("-of-")?;
        Some((number(of)?, number(shard)?))
    };
    let found: Vec<_> = files.list(folder).iter().filter_map(shard).collect();
    let Some(&(count, _)) = found.first() else { return Ok(vec![]) };
    let path = |shard: u32| format!("{prefix}-{shard:05}-of-{count:05}");
    match (0..count).find(|&shard| !found.contains(&(count, shard))) {
        None => Ok((0..count).map(path).collect()),
        Some(missing) => Err(Diagnostic::error("a file of the checkpoint is missing")
            .in_file(files.shown(&path(missing)))
            .help("copy the model's whole `variables` folder")),
    }
}

/// Reads what the files say of their tensors.
pub fn open(files: &dyn Files, shards: &[String]) -> Result<Contents, Problems> {
    let mut contents = Contents::default();
    for path in shards {
        let bytes = read_all(files, path)?.unwrap_or_default();
        let shown = files.shown(path);
        let fault = |what: String| Diagnostic::error(format!("damaged checkpoint: {what}")).in_file(&shown);
        contents.add(&bytes).map_err(fault)?;
    }
    Ok(contents)
}

impl Contents {
    /// Adds the tensors of one file.
    fn add(&mut self, file: &Bytes) -> Result<(), String> {
        let mut table = table::read(file)?;
        let header = table.remove(&b""[..]).ok_or("it does not list its tensors")?;
        let meta = SavedTensorSlices::decode(header).map_err(|e| format!("its list of tensors: {e}"))?.meta;
        for tensor in meta.ok_or("it does not list its tensors")?.tensor {
            let shape = tensor.shape.clone().unwrap_or_default();
            let extents = TfShape::from_proto(Some(&shape)).fixed();
            let name = tensor.name.as_bytes();
            let odd = |what: &str| format!("tensor `{}` {what}", name.escape_ascii());
            let extents = extents.ok_or_else(|| odd("has no fixed shape"))?;
            let whole = self.entries.entry(name.to_vec()).or_insert_with(|| BundleEntryProto {
                dtype: tensor.r#type,
                shape: Some(shape.clone()),
                ..Default::default()
            });
            if (whole.dtype, whole.shape.as_ref()) != (tensor.r#type, Some(&shape)) {
                return Err(odd("has two types or shapes"));
            }
            let mut parts = vec![];
            for proto in &tensor.slice {
                let slice = Slice::from_proto(proto).filter(|s| s.within(&extents).is_some());
                let slice = slice.ok_or_else(|| odd("has a slice outside of it"))?;
                let key = slice.key(name);
                let value = table.remove(&key).ok_or_else(|| odd("lacks a slice"))?;
                let part = slice.within(&extents).unwrap_or_default();
                let dim = part.iter().map(|&(_, n)| Dim { size: n as i64 }).collect();
                let shape = Some(TensorShapeProto { dim, unknown_rank: false });
                let offset = self.values.len() as i64;
                self.values.push(value);
                whole.slices.push(proto.clone());
                parts.push((key, BundleEntryProto { dtype: tensor.r#type, shape, offset, ..Default::default() }));
            }
            self.entries.extend(parts);
        }
        Ok(())
    }

    /// The value of an entry that is a slice.
    pub fn read(&self, entry: &BundleEntryProto) -> Result<Tensor, String> {
        let value = usize::try_from(entry.offset).ok().and_then(|n| self.values.get(n)).ok_or("it has no value")?;
        let slices = SavedTensorSlices::decode(value.clone()).map_err(|e| e.to_string())?;
        let mut proto = slices.data.and_then(|d| d.data).ok_or("it has no value")?;
        (proto.dtype, proto.tensor_shape) = (entry.dtype, entry.shape.clone());
        tensor_proto::decode_whole(&proto)
    }
}
