//! A file made of ranges of other files and of new bytes, so that what stays as it is need not be in memory.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::files::{Files, check_range};
use crate::base::Diagnostic;

#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// Each with the place of its first byte.
    pieces: Vec<(u64, Piece)>,
    size: u64,
}

#[derive(Clone, Debug)]
enum Piece {
    New(Bytes),
    Of { path: Arc<str>, range: Range<u64> },
}

impl Pieces {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        self.pieces.push((self.size, Piece::New(bytes)));
        self.size += size;
    }

    /// Appends a part of another file, which must lie inside.
    pub fn push_range(&mut self, of: &str, part: Range<u64>) {
        self.size += part.end - part.start;
        if let Some((_, Piece::Of { path, range })) = self.pieces.last_mut()
            && **path == *of
            && range.end == part.start
        {
            range.end = part.end;
            return;
        }
        self.pieces.push((self.size - (part.end - part.start), Piece::Of { path: of.into(), range: part }));
    }

    /// A part of the file; `files` has those of which it is made.
    pub fn read(&self, files: &dyn Files, part: Range<u64>) -> Result<Bytes, Diagnostic> {
        check_range(&part, self.size)?;
        let first = self.pieces.partition_point(|(start, _)| *start <= part.start).saturating_sub(1);
        let mut found = Vec::new();
        for (start, piece) in self.pieces[first.min(self.pieces.len())..].iter().take_while(|(s, _)| *s < part.end) {
            let size = match piece {
                Piece::New(bytes) => bytes.len() as u64,
                Piece::Of { range, .. } => range.end - range.start,
            };
            let (from, to) = (part.start.saturating_sub(*start), (part.end - start).min(size));
            let bytes = match piece {
                _ if from >= to => continue,
                Piece::New(bytes) => bytes.slice(from as usize..to as usize),
                Piece::Of { path, range } => files.read(path, range.start + from..range.start + to)?,
            };
            if bytes.len() as u64 == part.end - part.start {
                return Ok(bytes);
            }
            found.extend(bytes);
        }
        Ok(found.into())
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.push(bytes);
        pieces
    }
}

#[test]
fn parts_are_found_across_pieces() {
    let files = super::files::Memory([("a".to_string(), Bytes::from_static(b"0123456789"))].into());
    let mut pieces = Pieces::default();
    pieces.push_range("a", 0..2);
    pieces.push_range("a", 2..4);
    pieces.push(Bytes::new());
    pieces.push(&b"xy"[..]);
    pieces.push_range("a", 6..9);
    let whole = b"0123xy678";
    assert_eq!((pieces.size(), pieces.pieces.len()), (9, 4));
    for (start, end) in (0..=9).flat_map(|start| (start..=9).map(move |end| (start, end))) {
        let part = pieces.read(&files, start as u64..end as u64).unwrap();
        assert_eq!(part[..], whole[start..end], "{start}..{end}");
    }
    assert!(pieces.read(&files, 8..10).is_err());
    assert_eq!(Pieces::default().read(&files, 0..0).unwrap(), Bytes::new());
}
