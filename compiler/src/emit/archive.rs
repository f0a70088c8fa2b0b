//! Static archives: one object and the index by which linkers find its symbols.
//!
//! The library that knows the formats of archives wants their members in memory, and a member's weights may be gigabytes.
//! So it makes the archive of a small member in the object's place, which has the same symbols. What comes before and
//! behind a member depends on its size in two ways only: the header holds it, and the padding fills up to a multiple of 8.

use std::io::{self, Write};

use ar_archive_writer::{ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember, ObjectReader, write_archive_to_stream};
use object::{BinaryFormat, Object as _, ObjectSymbol, SymbolKind};

use super::object::{Object, Outline};

/// Members of the same size modulo this are padded alike.
const ALIGN: u64 = 16;
/// What ends the header of a member; its size in ten decimal digits stands before that.
const HEADER_END: &[u8] = b"`\n";
const SIZE_DIGITS: usize = 10;

/// Writes an archive that holds `object` under the name `member`. Reproducible: dates and owners are zero.
pub fn write(member: &str, object: &Object, out: &mut dyn Write) -> io::Result<()> {
    let outline = object.outline();
    let file = object::File::parse(&outline).map_err(io::Error::other)?;
    let kind = match file.format() {
        BinaryFormat::MachO => ArchiveKind::Darwin,
        BinaryFormat::Coff => ArchiveKind::Coff,
        _ => ArchiveKind::Gnu,
    };
    let small = stand_in(&file, outline.bytes())?;
    let mut new = NewArchiveMember::new(&small[..], &READER, member.to_string());
    new.perms = 0o644;
    let mut archive = io::Cursor::new(vec![]);
    write_archive_to_stream(&mut archive, &[new], kind, false, None)?;
    let archive = archive.into_inner();
    let at = last(&archive, &small).expect("the archive holds its member");
    let (mut before, behind) = (archive[..at].to_vec(), &archive[at + small.len()..]);
    grow(&mut before, outline.bytes() - small.len() as u64)?;
    out.write_all(&before)?;
    object.write(&mut *out)?;
    out.write_all(behind)?;
    out.flush()
}

/// A member with the names of these symbols, each with a zero behind it, and zeros up to a size that is padded like `bytes`.
fn stand_in<'a>(file: &object::File<'a, &'a Outline>, bytes: u64) -> io::Result<Vec<u8>> {
    let mut small = vec![];
    for symbol in file.symbols() {
        let named = !matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section);
        if named && symbol.is_global() && !symbol.is_undefined() {
            small.extend(symbol.name_bytes().map_err(io::Error::other)?);
            small.push(0);
        }
    }
    while small.len() as u64 % ALIGN != bytes % ALIGN {
        small.push(0);
    }
    if small.len() as u64 > bytes { Err(io::Error::other("an object holds its names")) } else { Ok(small) }
}

/// Reads what [`stand_in`] makes.
static READER: ObjectReader = ObjectReader {
    get_symbols: |small, f| {
        small.split(|&byte| byte == 0).filter(|name| !name.is_empty()).try_for_each(f)?;
        Ok(true)
    },
    is_64_bit_object_file: |_| true,
    ..DEFAULT_OBJECT_READER
};

/// Where the last of equal parts begins.
fn last(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).rposition(|window| window == part)
}

/// Adds to the size that the header of the last member says.
fn grow(before: &mut [u8], more: u64) -> io::Result<()> {
    let end = last(before, HEADER_END).expect("a member has a header");
    let digits = &mut before[end - SIZE_DIGITS..end];
    let size = std::str::from_utf8(digits).ok().and_then(|text| text.trim_end().parse::<u64>().ok());
    let text = format!("{:SIZE_DIGITS$}", size.expect("the size of the member") + more);
    let text = format!("{:SIZE_DIGITS$}", text.trim_start());
    if text.len() > SIZE_DIGITS {
        return Err(io::Error::other("the object is too large for an archive: 10 GB are the most"));
    }
    digits.copy_from_slice(text.as_bytes());
    Ok(())
}
