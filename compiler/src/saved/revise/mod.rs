//! A model that was changed: files laid over those of another, which stay as they are.
//!
//! What does not change is read from the other model's files when it is asked for, so that a model larger than memory can
//! be revised. A [`Revised`] is a model's folder like any: [`super::Model::load`] loads it, and whoever writes it copies
//! its [`paths`](Revised::paths).

mod fingerprint;
mod flat;
mod glorot;
mod head;
mod ties;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;

pub use flat::{Call, Dense, Flat, New};
pub use head::{Activation, Head, Layer, Old, last as last_layer, with_head};
pub use values::with_values;

use super::{
    files::Files,
    model::Model,
    pieces::Pieces,
    wire::{Malformed, Message},
};
use crate::base::Diagnostic;

/// How deep folders lie in each other at most.
const MAX_DEPTH: usize = 16;
/// How many bytes are copied at once.
const CHUNK: u64 = 1 << 20;

/// The folder of one version of a model, with other contents in some of its files.
pub struct Revised {
    files: Arc<dyn Files>,
    /// The version's folder in `files`, with a slash behind it unless it is the whole.
    folder: String,
    /// By path in the version's folder.
    changed: BTreeMap<String, Pieces>,
    /// Files of the other model that are left out.
    gone: BTreeSet<String>,
}

impl Revised {
    /// A model's folder as it is.
    pub fn of(model: &Model) -> Revised {
        let (files, folder) = model.files();
        Revised { files: files.clone(), folder: folder.into(), changed: BTreeMap::new(), gone: BTreeSet::new() }
    }

    /// Replaces or adds a file.
    pub fn put(&mut self, path: &str, bytes: Bytes) {
        self.set(path, bytes.into());
    }

    fn set(&mut self, path: &str, contents: Pieces) {
        self.gone.remove(path);
        self.changed.insert(path.into(), contents);
    }

    /// Leaves a file out.
    fn remove(&mut self, path: &str) {
        self.changed.remove(path);
        self.gone.insert(path.into());
    }

    /// Lays files of the model over it, by their paths among the model's files.
    fn lay(&mut self, files: BTreeMap<String, Pieces>) {
        let within = |path: String| path.strip_prefix(&self.folder).unwrap_or(&path).to_string();
        let files: Vec<_> = files.into_iter().map(|(path, pieces)| (within(path), pieces)).collect();
        self.changed.extend(files);
    }

    /// The files of the folder and of those in it, in order.
    pub fn paths(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        self.collect("", MAX_DEPTH, &mut found);
        found.into_iter().collect()
    }

    fn collect(&self, folder: &str, depth: usize, found: &mut BTreeSet<String>) {
        for name in self.list(folder) {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if self.size(&path).is_some() {
                found.insert(path);
            } else if depth > 0 {
                self.collect(&path, depth - 1, found);
            }
        }
    }

    /// Writes the contents of a file, a part at a time.
    pub fn copy(&self, path: &str, to: &mut dyn Write) -> io::Result<()> {
        let size = self.size(path).unwrap_or(0);
        let mut at = 0;
        while at < size {
            let end = size.min(at + CHUNK);
            let bytes = self.read(path, at..end).map_err(|told| io::Error::other(told.to_string()))?;
            to.write_all(&bytes)?;
            at = end;
        }
        Ok(())
    }

    fn original(&self, path: &str) -> String {
        format!("{}{path}", self.folder)
    }
}

impl Files for Revised {
    fn size(&self, path: &str) -> Option<u64> {
        match self.changed.get(path) {
            Some(pieces) => Some(pieces.size()),
            None if self.gone.contains(path) => None,
            None => self.files.size(&self.original(path)),
        }
    }
    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, Diagnostic> {
        match self.changed.get(path) {
            Some(pieces) => pieces.read(&*self.files, range).map_err(|told| told.in_file(self.shown(path))),
            None => self.files.read(&self.original(path), range),
        }
    }
    fn list(&self, folder: &str) -> Vec<String> {
        let original = self.original(folder);
        let mut names: BTreeSet<_> = self.files.list(original.trim_end_matches('/')).into_iter().collect();
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let changed = self.changed.keys().filter_map(|path| path.strip_prefix(&prefix)?.split('/').next());
        names.extend(changed.map(str::to_string));
        names.into_iter().filter(|name| !self.gone.contains(&format!("{prefix}{name}"))).collect()
    }
    /// Where the original lies.
    fn shown(&self, path: &str) -> String {
        self.files.shown(self.original(path).trim_end_matches('/'))
    }
}

/// The position of the meta graph with these tags.
fn chosen(file: &Bytes, tags: &[String]) -> Result<usize, Malformed> {
    let sorted = |tags: &[String]| {
        let mut tags = tags.to_vec();
        tags.sort();
        tags
    };
    for (at, meta) in Message::parse(file.clone())?.all(2).enumerate() {
        let meta = Message::parse(meta.clone())?;
        let info = meta.bytes(1).cloned().map(Message::parse).transpose()?.unwrap_or_default();
        let own: Vec<String> = info.all(4).map(|tag| String::from_utf8_lossy(tag).into_owned()).collect();
        if sorted(&own) == sorted(tags) {
            return Ok(at);
        }
    }
    Err(Malformed)
}
