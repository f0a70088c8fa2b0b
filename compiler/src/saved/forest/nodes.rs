//! The files that hold a forest's nodes: records, each a message.
//!
//! `BLOB_SEQUENCE` is a head of eight bytes and then records that begin with their length; from version 1 the head may say that
//! what follows is gzip's. `TFE_RECORDIO` is TensorFlow's record file, with checksums of lengths and contents.

use std::io::{self, Read};

use prost::Message;
use smc_proto::yggdrasil::Node;

use crate::{
    base::Diagnostic,
    saved::{
        bundle::masked,
        files::{Files, read_all},
    },
};

/// How often larger than the file its contents may be; gzip could go on to a thousand times.
const MAX_RATIO: u64 = 128;

/// The files of all nodes, one after the other.
pub struct Nodes<'f> {
    files: &'f dyn Files,
    paths: std::vec::IntoIter<String>,
    is_record_file: bool,
    open: Option<(String, Box<dyn Read>)>,
}

impl<'f> Nodes<'f> {
    /// The nodes in the files of this name and format.
    pub fn open(files: &'f dyn Files, base: &str, shards: i32, format: &str) -> Result<Nodes<'f>, Diagnostic> {
        let is_record_file = match format {
            "TFE_RECORDIO" => true,
            "BLOB_SEQUENCE" | "BLOB_SEQUENCE_GZIP" => false,
            other => {
                return Err(Diagnostic::error(format!("nodes of a forest in the format {other} are not supported")));
            }
        };
        // The first file that is missing ends a number of shards that is not true.
        let path = |n| format!("{base}-{n:05}-of-{shards:05}");
        let shards = (0..shards).map(path).take_while(|path| files.size(path).is_some()).collect::<Vec<_>>();
        if shards.is_empty() {
            return Err(Diagnostic::error("the forest has no file of nodes").in_file(files.shown(&path(0))));
        }
        Ok(Nodes { files, paths: shards.into_iter(), is_record_file, open: None })
    }

    /// The next node; there has to be one.
    pub fn next(&mut self) -> Result<Node, Diagnostic> {
        loop {
            if self.open.is_none() {
                let path = self.paths.next();
                let path = path.ok_or_else(|| Diagnostic::error("the files end before the last tree of the forest"))?;
                let read = self.start(&path).map_err(|d| d.in_file(self.files.shown(&path)))?;
                self.open = Some((path, read));
            }
            let Some((path, read)) = &mut self.open else { continue };
            let shown = |problem: String| Diagnostic::error(problem).in_file(self.files.shown(path));
            let record = if self.is_record_file { checked_record(read) } else { blob(read) };
            match record.map_err(|e| shown(format!("the nodes cannot be read: {e}")))? {
                Some(record) => {
                    return Node::decode(&record[..]).map_err(|e| shown(format!("a node does not decode: {e}")));
                }
                None => self.open = None,
            }
        }
    }

    fn start(&self, path: &str) -> Result<Box<dyn Read>, Diagnostic> {
        let bytes = read_all(self.files, path)?.ok_or_else(|| Diagnostic::error("there is no such file"))?;
        if self.is_record_file {
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        let unknown = |what: &str| Diagnostic::error(format!("{what} of the file of nodes is not known"));
        let Some((&[b'B', b'S', low, high, compression, ..], _)) = bytes.split_first_chunk::<8>() else {
            return Err(unknown("the head"));
        };
        let limit = bytes.len() as u64 * MAX_RATIO;
        let rest = io::Cursor::new(bytes.slice(8..));
        match (u16::from_le_bytes([low, high]), compression) {
            (0, _) | (1, 0) => Ok(Box::new(rest)),
            (1, 1) => Ok(Box::new(flate2::read::MultiGzDecoder::new(rest).take(limit))),
            (1, _) => Err(unknown("the compression")),
            _ => Err(unknown("the version")),
        }
    }
}

/// As many bytes, or fewer at the end: what the length says is believed only as far as there is something.
fn upto(read: &mut dyn Read, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    read.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn exactly(read: &mut dyn Read, count: u64) -> io::Result<Vec<u8>> {
    let bytes = upto(read, count)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A length and as many bytes, or nothing at the end.
fn blob(read: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    match upto(read, 4)?[..] {
        [] => Ok(None),
        [a, b, c, d] => exactly(read, u32::from_le_bytes([a, b, c, d]).into()).map(Some),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A length, its checksum, the bytes and theirs, or nothing at the end.
fn checked_record(read: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let damaged = || io::Error::other("a checksum is wrong");
    let length = upto(read, 8)?;
    if length.is_empty() {
        return Ok(None);
    }
    let count = u64::from_le_bytes(length[..].try_into().map_err(|_| io::ErrorKind::UnexpectedEof)?);
    let check = |bytes: &[u8], read: &mut dyn Read| {
        let stored = exactly(read, 4)?;
        let stored = u32::from_le_bytes(stored[..].try_into().expect("four bytes"));
        if stored == masked(bytes) { Ok(()) } else { Err(damaged()) }
    };
    check(&length, read)?;
    let record = exactly(read, count)?;
    check(&record, read)?;
    Ok(Some(record))
}

#[test]
fn records_are_read_in_each_format() {
    use crate::saved::files::Memory;
    use std::io::Write;
    let leaf = |value: f32| {
        let regressor = smc_proto::yggdrasil::Regressor { top_value: Some(value) };
        Node { output: Some(smc_proto::yggdrasil::node::Output::Regressor(regressor)), condition: None }
    };
    let nodes = [leaf(1.5), leaf(-2.0)].map(|node| node.encode_to_vec());
    let blobs: Vec<u8> = nodes.iter().flat_map(|n| [&(n.len() as u32).to_le_bytes()[..], n].concat()).collect();
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    gzip.write_all(&blobs).unwrap();
    let mask = |bytes: &[u8]| masked(bytes).to_le_bytes();
    let record = |node: &Vec<u8>| {
        let length = (node.len() as u64).to_le_bytes();
        [&length[..], &mask(&length), node, &mask(node)].concat()
    };
    let records: Vec<u8> = nodes.iter().flat_map(record).collect();
    let written = [
        ("BLOB_SEQUENCE", [b"BS\0\0\0\0\0\0", &blobs[..]].concat()),
        ("BLOB_SEQUENCE", [b"BS\x01\0\0\0\0\0", &blobs[..]].concat()),
        ("BLOB_SEQUENCE_GZIP", [b"BS\x01\0\x01\0\0\0", &gzip.finish().unwrap()[..]].concat()),
        ("TFE_RECORDIO", records),
    ];
    for (format, bytes) in written {
        let read = |bytes: &[u8]| {
            let files = Memory([("n-00000-of-00001".to_string(), bytes.to_vec().into())].into());
            let mut nodes = Nodes::open(&files, "n", 1, format)?;
            Ok::<_, Diagnostic>([nodes.next()?, nodes.next()?, nodes.next()?])
        };
        let problem = read(&bytes).unwrap_err().message;
        assert_eq!(problem, "the files end before the last tree of the forest", "{format}");
        // Wherever the file is cut, and whatever bit is wrong, there is an answer.
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err());
            let mut damaged = bytes.clone();
            damaged[cut] ^= 1 << (cut % 8);
            let _ = read(&damaged);
        }
    }
}
