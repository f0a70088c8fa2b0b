//! The index of a bundle: a sorted table in the format of LevelDB.
//!
//! The file ends in a footer of 48 bytes: the handles (varint offset and size) of a block of metadata, unused, and of
//! the index block, padded to 40 bytes, and a magic number. A block is followed by its compression type (0 raw,
//! 1 snappy; it may differ from block to block) and a masked CRC-32C over data and type. A block holds entries whose
//! keys share a prefix with the key before, then the restart offsets, which reading from front to back does not need.
//! The index block's values are the handles of the data blocks.
//!
//! [`write`] makes such a file, as TensorFlow does: raw blocks, and a restart for every 16 keys.
//!
//! Invariant: what is read has strictly increasing keys, and is at most a fixed multiple of the file's size.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::encoding::encode_varint;

use super::checksum;

const FOOTER: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const TRAILER: usize = 5;
/// After how many bytes TensorFlow begins another block.
const BLOCK: usize = 1 << 18;
/// After how many entries a block has a whole key again, where a search may begin.
const RESTART: usize = 16;
/// Snappy expands at most about 21 times; prefixes in real tables less than ten times.
const MAX_EXPANSION: usize = 64;

/// All entries of a table; the message says what is wrong with it.
pub fn read(file: &Bytes) -> Result<BTreeMap<Vec<u8>, Bytes>, String> {
    let body = file.len().checked_sub(FOOTER).ok_or("the file is too short to be a table")?;
    let mut footer = file.slice(body..);
    if footer[40..] != MAGIC.to_le_bytes() {
        return Err("the file does not end as a table does".into());
    }
    handle(&mut footer)?;
    let index = handle(&mut footer)?;
    let mut entries = Vec::new();
    let mut budget = file.len().saturating_mul(MAX_EXPANSION).saturating_add(1 << 16);
    for (_, mut location) in block_entries(&block(file, index)?, &mut budget)? {
        let data = block(file, handle(&mut location)?)?;
        entries.append(&mut block_entries(&data, &mut budget)?);
    }
    if !entries.is_sorted_by(|a, b| a.0 < b.0) {
        return Err("the keys are not in order".into());
    }
    Ok(entries.into_iter().collect())
}

/// A table of entries whose keys increase.
pub fn write(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut size = 0;
    let go_on = |(key, value): &(Vec<u8>, Vec<u8>), _: &(Vec<u8>, Vec<u8>)| {
        let before = size + key.len() + value.len();
        size = if before < BLOCK { before } else { 0 };
        before < BLOCK
    };
    write_blocks(entries.chunk_by(go_on), RESTART, |_, data| (data, 0))
}

/// A table of these blocks, which have a whole key after so many entries. `pack` gets the number of a block and its bytes, and
/// says how they are stored and the type.
pub(super) fn write_blocks<'e>(
    blocks: impl Iterator<Item = &'e [(Vec<u8>, Vec<u8>)]>,
    restart: usize,
    pack: impl Fn(usize, Vec<u8>) -> (Vec<u8>, u8),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut index = Vec::new();
    let put = |file: &mut Vec<u8>, (mut stored, kind): (Vec<u8>, u8)| {
        let mut handle = Vec::new();
        encode_varint(file.len() as u64, &mut handle);
        encode_varint(stored.len() as u64, &mut handle);
        stored.push(kind);
        let check = checksum::masked(&stored).to_le_bytes();
        file.extend(stored);
        file.extend(check);
        handle
    };
    for (n, entries) in blocks.enumerate() {
        let handle = put(&mut file, pack(n, write_block(entries, restart)));
        index.extend(entries.last().map(|(key, _)| (key.clone(), handle)));
    }
    let meta = put(&mut file, (write_block(&[], restart), 0));
    let index = put(&mut file, pack(index.len(), write_block(&index, restart)));
    let end = file.len() + FOOTER;
    file.extend(meta.into_iter().chain(index));
    file.resize(end - 8, 0);
    file.extend(MAGIC.to_le_bytes());
    file
}

fn write_block(entries: &[(Vec<u8>, Vec<u8>)], restart: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut restarts = vec![0u32];
    let mut before: &[u8] = &[];
    for (n, (key, value)) in entries.iter().enumerate() {
        if n > 0 && n.is_multiple_of(restart) {
            restarts.push(out.len() as u32);
            before = &[];
        }
        let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        encode_varint(shared as u64, &mut out);
        encode_varint((key.len() - shared) as u64, &mut out);
        encode_varint(value.len() as u64, &mut out);
        out.extend(&key[shared..]);
        out.extend(value);
        before = key;
    }
    let count = restarts.len() as u32;
    out.extend(restarts.into_iter().chain([count]).flat_map(u32::to_le_bytes));
    out
}

/// Takes a base-128 number, least significant group first, from the front.
pub fn varint(bytes: &mut Bytes) -> Result<u64, String> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().copied().take(10).enumerate() {
        let group = u64::from(byte & 0x7f);
        if i == 9 && group > 1 {
            break;
        }
        value |= group << (7 * i);
        if byte < 0x80 {
            let _ = bytes.split_to(i + 1);
            return Ok(value);
        }
    }
    Err("a number does not end".into())
}

/// Takes `len` bytes from the front.
pub fn take(bytes: &mut Bytes, len: u64) -> Result<Bytes, String> {
    match usize::try_from(len) {
        Ok(len) if len <= bytes.len() => Ok(bytes.split_to(len)),
        _ => Err(format!("{len} bytes are needed where {} are left", bytes.len())),
    }
}

fn handle(bytes: &mut Bytes) -> Result<(u64, u64), String> {
    Ok((varint(bytes)?, varint(bytes)?))
}

/// The uncompressed contents of a block, its checksum verified.
fn block(file: &Bytes, (offset, size): (u64, u64)) -> Result<Bytes, String> {
    let end = offset.checked_add(size).and_then(|n| n.checked_add(TRAILER as u64));
    let Some(end) = end.filter(|&end| end <= file.len() as u64) else {
        return Err(format!("a block of {size} bytes at byte {offset} lies outside the file"));
    };
    let whole = file.slice(offset as usize..end as usize);
    let (covered, stored) = whole.split_at(whole.len() - 4);
    if checksum::masked(covered) != u32::from_le_bytes(stored.try_into().expect("four bytes")) {
        return Err(format!("the block at byte {offset} is damaged (its checksum differs)"));
    }
    let data = whole.slice(..size as usize);
    match covered[size as usize] {
        0 => Ok(data),
        1 => unsnap(&data).map_err(|e| format!("the block at byte {offset} does not decompress: {e}")),
        other => Err(format!("the block at byte {offset} is compressed by the unknown method {other}")),
    }
}

fn unsnap(data: &[u8]) -> Result<Bytes, String> {
    let len = snap::raw::decompress_len(data).map_err(|e| e.to_string())?;
    if len / MAX_EXPANSION > data.len() {
        return Err(format!("{} bytes cannot hold {len}", data.len()));
    }
    snap::raw::Decoder::new().decompress_vec(data).map(Bytes::from).map_err(|e| e.to_string())
}

/// The entries of a block in order; `budget` bounds the bytes their keys take.
fn block_entries(block: &Bytes, budget: &mut usize) -> Result<Vec<(Vec<u8>, Bytes)>, String> {
    let restarts_at = block.len().checked_sub(4).ok_or("a block is too short")?;
    let restarts = u32::from_le_bytes(block[restarts_at..].try_into().expect("four bytes"));
    let entries_end = restarts_at.checked_sub(restarts as usize * 4).ok_or("a block's restarts exceed it")?;
    let mut rest = block.slice(..entries_end);
    let mut entries: Vec<(Vec<u8>, Bytes)> = Vec::new();
    while !rest.is_empty() {
        let (shared, fresh, value) = (varint(&mut rest)?, varint(&mut rest)?, varint(&mut rest)?);
        let before = entries.last().map_or(&[][..], |(key, _)| key);
        let shared = before.get(..usize::try_from(shared).unwrap_or(usize::MAX));
        let suffix = take(&mut rest, fresh)?;
        let key = [shared.ok_or("a key shares more than its predecessor has")?, &suffix].concat();
        *budget = budget.checked_sub(key.len()).ok_or("the keys expand beyond reason")?;
        entries.push((key, take(&mut rest, value)?));
    }
    Ok(entries)
}
