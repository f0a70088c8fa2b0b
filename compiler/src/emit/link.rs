//! Fills in the references of a relocatable ELF object whose sections have places: what a linker does for one object.
//!
//! Addresses are offsets from the start of an image, which lies at a page.

use std::collections::BTreeMap;

use object::{
    Architecture, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex, SectionKind,
    Symbol, SymbolKind, elf,
};

use super::weights::section;
use crate::entry::Reach;

/// Where sections start, by their numbers.
pub type Places = BTreeMap<usize, u64>;

/// Where what leads to functions lies that the object does not have, by their names.
pub type Bridges = BTreeMap<String, u64>;

/// The functions that an object calls and does not have.
pub fn foreign(file: &object::File<'_>) -> Vec<String> {
    let undefined = file.symbols().filter(|s| s.is_undefined()).filter_map(|s| s.name().ok());
    undefined.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether a section is code or constant data, so that it is part of an image.
pub fn is_constant(section: &object::Section<'_, '_>) -> bool {
    matches!(section.kind(), SectionKind::Text | SectionKind::ReadOnlyData)
}

/// The symbols that name a place, in the order of the object.
pub fn symbols<'d, 'f>(file: &'f object::File<'d>) -> impl Iterator<Item = Symbol<'d, 'f>> {
    file.symbols().filter(|s| s.is_definition() && s.kind() != SymbolKind::File)
}

/// The section of the weights, when they have one of their own, and their bytes.
pub fn weights(file: &object::File<'_>) -> Option<(SectionIndex, u64)> {
    let names = [Reach::Near, Reach::Far].map(|reach| section(file.format(), reach).1);
    let section = file.sections().find(|s| s.name().is_ok_and(|name| names.contains(&name)))?.index();
    // Of a hollow object the symbol alone knows the size.
    let bytes = symbols(file).filter(|s| s.section_index() == Some(section)).map(|s| s.size()).max()?;
    Some((section, bytes)).filter(|(_, bytes)| *bytes > 0)
}

/// The address of a symbol.
pub fn address(symbol: &Symbol<'_, '_>, places: &Places) -> Result<u64, String> {
    let section = symbol.section_index().and_then(|s| places.get(&s.0));
    let start = section.ok_or_else(|| format!("{:?} is not in the object", symbol.name()))?;
    Ok(start + symbol.address())
}

/// Fills in the references of a section, whose bytes are `contents`.
pub fn fill_in(
    file: &object::File<'_>,
    section: &object::Section<'_, '_>,
    contents: &mut [u8],
    places: &Places,
    bridges: &Bridges,
) -> Result<(), String> {
    let start = places[&section.index().0];
    let mut halves = BTreeMap::new();
    for (offset, relocation) in section.relocations() {
        let (RelocationTarget::Symbol(symbol), RelocationFlags::Elf { r_type }) =
            (relocation.target(), relocation.flags())
        else {
            return Err("a relocation of another format".into());
        };
        let symbol = file.symbol_by_index(symbol).map_err(|e| e.to_string())?;
        let target = match symbol.name().ok().filter(|_| symbol.is_undefined()).and_then(|name| bridges.get(name)) {
            Some(&bridge) => bridge,
            None => address(&symbol, places)?,
        };
        let value = target as i64 + relocation.addend();
        let field = &mut contents[offset as usize..];
        apply(file.architecture(), r_type, field, (start + offset) as i64, value, &mut halves)?;
    }
    Ok(())
}

/// Fills in the reference that lies at the address `at` to `value`; `field` starts with it. `halves` keeps the distances of
/// RISC-V's upper halves for the lower halves, which name them.
fn apply(
    architecture: Architecture,
    r_type: u32,
    field: &mut [u8],
    at: i64,
    value: i64,
    halves: &mut BTreeMap<i64, i64>,
) -> Result<(), String> {
    let distance = value - at;
    let mut or = |skip: usize, mask: u32, bits: u32| {
        let word: &mut [u8; 4] = (&mut field[skip..skip + 4]).try_into().expect("four bytes");
        *word = (u32::from_le_bytes(*word) & !mask | bits & mask).to_le_bytes();
    };
    let near = |bits: u32| {
        let limit = 1i64 << (bits - 1);
        if (-limit..limit).contains(&distance) { Ok(()) } else { Err("the object is too large".to_owned()) }
    };
    // The upper 20 bits, rounded so that the lower 12 are a signed rest.
    let upper = |d: i64| (d + 0x800) as u32;
    match (architecture, r_type) {
        (Architecture::X86_64, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32)
        | (Architecture::Aarch64, elf::R_AARCH64_PREL32)
        | (Architecture::Riscv64, elf::R_RISCV_32_PCREL) => {
            near(32)?;
            or(0, u32::MAX, distance as u32);
        }
        (Architecture::X86_64, elf::R_X86_64_PC64) | (Architecture::Aarch64, elf::R_AARCH64_PREL64) => {
            field[..8].copy_from_slice(&distance.to_le_bytes());
        }
        (Architecture::S390x, elf::R_390_PC64) => field[..8].copy_from_slice(&distance.to_be_bytes()),
        (Architecture::Aarch64, elf::R_AARCH64_CALL26 | elf::R_AARCH64_JUMP26) => {
            near(28)?;
            or(0, (1 << 26) - 1, (distance >> 2) as u32);
        }
        (Architecture::Aarch64, elf::R_AARCH64_ADR_PREL_PG_HI21) => {
            near(32)?;
            let pages = (value >> 12) - (at >> 12);
            or(0, 3 << 29 | ((1 << 19) - 1) << 5, (pages as u32 & 3) << 29 | ((pages >> 2) as u32) << 5);
        }
        (Architecture::Aarch64, elf::R_AARCH64_ADD_ABS_LO12_NC) => or(0, 0xfff << 10, (value as u32 & 0xfff) << 10),
        (Architecture::Riscv64, elf::R_RISCV_CALL_PLT) => {
            near(31)?;
            or(0, !0xfff, upper(distance));
            or(4, 0xfff << 20, (distance as u32) << 20);
        }
        (Architecture::Riscv64, elf::R_RISCV_PCREL_HI20) => {
            near(31)?;
            halves.insert(at, distance);
            or(0, !0xfff, upper(distance));
        }
        (Architecture::Riscv64, elf::R_RISCV_PCREL_LO12_I) => {
            let distance = halves.get(&value).ok_or("a lower half without an upper half")?;
            or(0, 0xfff << 20, (*distance as u32) << 20);
        }
        (Architecture::S390x, elf::R_390_PC32DBL | elf::R_390_PLT32DBL) => {
            near(33)?;
            field[..4].copy_from_slice(&((distance >> 1) as i32).to_be_bytes());
        }
        (Architecture::S390x, elf::R_390_PC32) => {
            near(32)?;
            field[..4].copy_from_slice(&(distance as i32).to_be_bytes());
        }
        (architecture, other) => return Err(format!("relocation {other} of {architecture:?} is not known")),
    }
    Ok(())
}
