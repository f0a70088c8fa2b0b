//! Static archives: one object and the index by which linkers find its symbols.

use std::io::{self, Cursor};

use ar_archive_writer::{ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember, write_archive_to_stream};
use object::BinaryFormat;

/// An archive that holds `object` under the name `member`. Reproducible: dates and owners are zero.
pub fn archive(member: &str, object: &[u8]) -> io::Result<Vec<u8>> {
    let kind = match object::File::parse(object).map(|f| f.format()) {
        Ok(BinaryFormat::MachO) => ArchiveKind::Darwin,
        Ok(BinaryFormat::Coff) => ArchiveKind::Coff,
        _ => ArchiveKind::Gnu,
    };
    let mut new = NewArchiveMember::new(object, &DEFAULT_OBJECT_READER, member.to_string());
    new.perms = 0o644;
    let mut out = Cursor::new(vec![]);
    write_archive_to_stream(&mut out, &[new], kind, false, None)?;
    Ok(out.into_inner())
}
