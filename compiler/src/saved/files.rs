//! Where a model's bytes come from: a folder on disk, or a map in memory for tests and fuzzing.
//!
//! Paths are relative to the model's folder and separated by `/`. Nothing is read that was not asked for, so that a
//! model larger than memory can be described.

use std::io::{Read, Seek};
use std::{collections::BTreeMap, fs, io, ops::Range, path::PathBuf};

use bytes::Bytes;

use crate::base::Diagnostic;

/// The files of one model.
pub trait Files: Send + Sync {
    /// The bytes in a file, or `None` when there is no such file.
    fn size(&self, path: &str) -> Option<u64>;
    /// A part of a file; an error when the part lies outside or the disk fails.
    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, Diagnostic>;
    /// The names of the files and folders directly in a folder (`""` is the model's own), sorted.
    fn list(&self, folder: &str) -> Vec<String>;
    /// The path as the user would open it.
    fn shown(&self, path: &str) -> String;
}

/// A whole file, or `None` when there is no such file.
pub(super) fn read_all(files: &dyn Files, path: &str) -> Result<Option<Bytes>, Diagnostic> {
    files.size(path).map(|size| files.read(path, 0..size)).transpose()
}

/// A folder on disk.
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    pub fn new(root: impl Into<PathBuf>) -> Disk {
        Disk { root: root.into() }
    }
}

impl Files for Disk {
    fn size(&self, path: &str) -> Option<u64> {
        fs::metadata(self.root.join(path)).ok().filter(|m| m.is_file()).map(|m| m.len())
    }
    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, Diagnostic> {
        let fail = |e: io::Error| Diagnostic::error(format!("cannot read the file: {e}")).in_file(self.shown(path));
        let mut file = fs::File::open(self.root.join(path)).map_err(fail)?;
        // The length is checked first, so that a hostile range allocates nothing.
        let size = file.metadata().map_err(fail)?.len();
        check_range(&range, size).map_err(|d| d.in_file(self.shown(path)))?;
        file.seek(io::SeekFrom::Start(range.start)).map_err(fail)?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact(&mut bytes).map_err(fail)?;
        Ok(bytes.into())
    }
    fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
    fn shown(&self, path: &str) -> String {
        if path.is_empty() { self.root.display().to_string() } else { self.root.join(path).display().to_string() }
    }
}

/// Files in memory, by path.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<String, Bytes>);

impl Files for Memory {
    fn size(&self, path: &str) -> Option<u64> {
        self.0.get(path).map(|b| b.len() as u64)
    }
    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, Diagnostic> {
        let missing = || Diagnostic::error("there is no such file").in_file(path);
        let bytes = self.0.get(path).ok_or_else(missing)?;
        check_range(&range, bytes.len() as u64).map_err(|d| d.in_file(path))?;
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }
    fn list(&self, folder: &str) -> Vec<String> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = self.0.keys().filter_map(|path| path.strip_prefix(&prefix)?.split('/').next());
        let mut names: Vec<_> = below.map(str::to_string).collect();
        names.dedup();
        names
    }
    fn shown(&self, path: &str) -> String {
        path.to_string()
    }
}

pub(super) fn check_range(range: &Range<u64>, size: u64) -> Result<(), Diagnostic> {
    if range.start <= range.end && range.end <= size {
        return Ok(());
    }
    Err(Diagnostic::error(format!("the file ends at byte {size}, but bytes {range:?} are needed"))
        .help("the file is truncated or corrupt; copy the model again"))
}

#[test]
fn ranges_are_checked_and_folders_listed() {
    let files = Memory([("a/b".to_string(), Bytes::from_static(b"12345")), ("c".into(), Bytes::new())].into());
    assert_eq!(&files.read("a/b", 1..3).unwrap()[..], b"23");
    assert!(files.read("a/b", 3..6).is_err());
    assert!(files.read("a/b", Range { start: 4, end: 3 }).is_err());
    assert!(files.read("x", 0..0).is_err());
    assert_eq!((files.list(""), files.list("a")), (vec!["a".to_string(), "c".into()], vec!["b".to_string()]));
}
