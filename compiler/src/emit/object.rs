//! Object files: code, weights and the descriptor, with nothing undefined, and nothing writable but four bytes of
//! zeros in which an object with several CPU levels remembers which one its machine has.
//!
//! Every reference is relative to its own place and stays inside the object, so the object links into
//! position-independent and fixed executables, static ones, and shared libraries. The weights are moved in, not
//! copied.

use std::{borrow::Cow, io};

use cranelift_codegen::binemit::Reloc;
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, RelocationEncoding, RelocationFlags, RelocationKind,
    SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf, macho,
    write::{self, MachOBuildVersion, Relocation, SectionId, StandardSection, SymbolId, SymbolSection},
};
use target_lexicon as triple;

use super::eh_frame;
use crate::{
    native::{Compiled, Fixup, Function, Symbol, Target},
    plan::Weights,
    tensor::DType,
};

/// Alignment of the weights, which is that of a cache line.
const WEIGHTS_ALIGN: u64 = 64;
/// Alignment of the descriptor, whose widest fields have so many bytes.
const DESCRIPTOR_ALIGN: usize = 8;

/// An object file to be written.
pub struct Object(write::Object<'static>);

impl Object {
    /// The object of the model `name`: its functions, its weights, and `descriptor` as the symbol `NAME_descriptor`.
    pub fn new(target: &Target, name: &str, compiled: &Compiled, weights: &Weights, descriptor: &[u8]) -> Object {
        let mut object = empty(target);
        // The most aligned comes first, where the file is aligned anyway.
        let data = object.section_id(StandardSection::ReadOnlyData);
        let code = object.section_id(StandardSection::Text);
        let (mut contents, weight_bytes) = weight_contents(weights, target.big_endian());
        contents.resize(contents.len().next_multiple_of(DESCRIPTOR_ALIGN), 0);
        let descriptor_at = contents.len() as u64;
        contents.extend_from_slice(descriptor);
        object.set_section_data(data, Cow::Owned(contents), WEIGHTS_ALIGN);
        let symbol = |name: String, kind, exported: bool, section, value, size| write::Symbol {
            name: name.into_bytes(),
            value,
            size,
            kind,
            scope: if exported { SymbolScope::Dynamic } else { SymbolScope::Compilation },
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        };
        let weights =
            object.add_symbol(symbol(format!("{name}_weights"), SymbolKind::Data, false, data, 0, weight_bytes));
        let descriptor_bytes = descriptor.len() as u64;
        let descriptor_name = format!("{name}_descriptor");
        object.add_symbol(symbol(descriptor_name, SymbolKind::Data, true, data, descriptor_at, descriptor_bytes));
        let cell = compiled.has_cell().then(|| {
            let zeros = object.section_id(StandardSection::UninitializedData);
            let at = object.append_section_bss(zeros, 4, 4);
            object.add_symbol(symbol(format!("{name}_cpu_level"), SymbolKind::Data, false, zeros, at, 4))
        });
        let minimum = u64::from(target.lowest().isa().function_alignment().minimum);
        let mut end = 0;
        let places: Vec<u64> = compiled
            .functions
            .iter()
            .map(|f| {
                let at = u64::next_multiple_of(end, f.code.align.max(minimum));
                end = at + f.code.bytes.len() as u64;
                at
            })
            .collect();
        let named = |(f, &at): (&Function, &u64)| {
            let size = f.code.bytes.len() as u64;
            object.add_symbol(symbol(f.name.clone(), SymbolKind::Text, f.exported, code, at, size))
        };
        let symbols: Vec<SymbolId> = compiled.functions.iter().zip(&places).map(named).collect();
        for (function, &at) in compiled.functions.iter().zip(&places) {
            let mut bytes = function.code.bytes.clone();
            let mut open = vec![];
            for fixup in &function.code.fixups {
                let within = match fixup.symbol {
                    Symbol::Function(n) => Some(places[n]),
                    Symbol::Here(offset) => Some(at + u64::from(offset)),
                    Symbol::Weights | Symbol::Cpu => None,
                };
                if !within.is_some_and(|to| fill_in(&mut bytes, fixup, to as i64 - at as i64)) {
                    open.push(fixup);
                }
            }
            let placed = object.append_section_data(code, &bytes, function.code.align.max(minimum));
            assert_eq!(placed, at, "sections are filled in order");
            for fixup in open {
                let symbol = match fixup.symbol {
                    // In a shared library an exported symbol may be replaced by another's, so nothing inside refers to it.
                    Symbol::Function(n) if compiled.functions[n].exported && object.format() == BinaryFormat::Elf => {
                        label(&mut object, code, places[n])
                    }
                    Symbol::Function(n) => symbols[n],
                    Symbol::Weights => weights,
                    Symbol::Cpu => cell.expect("an object whose code refers to the cell has it"),
                    Symbol::Here(offset) => label(&mut object, code, at + u64::from(offset)),
                };
                relocate(&mut object, code, at, fixup, symbol);
            }
        }
        if object.format() == BinaryFormat::Elf {
            // The stack need not be executable.
            object.add_section(vec![], b".note.GNU-stack".to_vec(), SectionKind::Linker);
            let unwind: Vec<_> = compiled.functions.iter().zip(places).collect();
            eh_frame::add(&mut object, target, code, &unwind);
        }
        Object(object)
    }

    /// The whole file in memory.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.write().unwrap_or_else(|error| panic!("writing an object to memory: {error}"))
    }

    /// Writes the file without holding it in memory once more.
    pub fn write(&self, out: impl io::Write) -> io::Result<()> {
        self.0.write_stream(io::BufWriter::new(out)).map_err(|error| match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other.to_string()),
        })
    }
}

fn empty(target: &Target) -> write::Object<'static> {
    let (architecture, mut flags) = match target.triple.architecture {
        triple::Architecture::X86_64 => (Architecture::X86_64, FileFlags::None),
        triple::Architecture::Aarch64(_) => (Architecture::Aarch64, FileFlags::None),
        triple::Architecture::S390x => (Architecture::S390x, FileFlags::None),
        triple::Architecture::Riscv64(_) => (Architecture::Riscv64, FileFlags::None),
        other => panic!("{other} is not a target"),
    };
    if architecture == Architecture::Riscv64 {
        // The levels that are targeted pass doubles in registers and have compressed instructions.
        let e_flags = elf::EF_RISCV_FLOAT_ABI_DOUBLE | elf::EF_RISCV_RVC;
        flags = FileFlags::Elf { os_abi: elf::ELFOSABI_NONE, abi_version: 0, e_flags };
    }
    let format = match target.triple.binary_format {
        triple::BinaryFormat::Elf => BinaryFormat::Elf,
        triple::BinaryFormat::Macho => BinaryFormat::MachO,
        triple::BinaryFormat::Coff => BinaryFormat::Coff,
        other => panic!("{other} is not an object format"),
    };
    let endian = if target.big_endian() { Endianness::Big } else { Endianness::Little };
    let mut object = write::Object::new(format, architecture, endian);
    object.flags = flags;
    if format == BinaryFormat::MachO {
        let mut version = MachOBuildVersion::default();
        version.platform = macho::PLATFORM_MACOS;
        // macOS 11, the first that runs on both architectures.
        version.minos = 11 << 16;
        object.set_macho_build_version(version);
    }
    object
}

/// The weights at their offsets in the target's byte order, and their size.
fn weight_contents(weights: &Weights, big_endian: bool) -> (Vec<u8>, u64) {
    let (offsets, total) = weights.layout();
    let mut contents = Vec::with_capacity(total as usize + (1 << 16));
    for ((_, tensor), offset) in weights.tensors.iter().zip(offsets) {
        contents.resize(offset as usize, 0);
        contents.extend_from_slice(tensor.bytes());
        let part = match tensor.dtype {
            DType::C64 => 4,
            DType::C128 => 8,
            dtype => dtype.size(),
        };
        if big_endian && part > 1 {
            contents[offset as usize..].chunks_exact_mut(part).for_each(<[u8]>::reverse);
        }
    }
    contents.resize(total as usize, 0);
    (contents, total)
}

/// Fills in a reference within the code to `target`, from the function's start, where no linker needs to know of it.
fn fill_in(bytes: &mut [u8], fixup: &Fixup, target: i64) -> bool {
    let near = matches!(fixup.kind, Reloc::X86PCRel4 | Reloc::X86CallPCRel4 | Reloc::X86CallPLTRel4);
    let at = fixup.offset as usize;
    let distance = i32::try_from(target + fixup.addend - at as i64);
    if let (true, Ok(distance)) = (near, distance) {
        bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        return true;
    }
    false
}

/// The symbol for a place in the code, made when it is first asked for.
fn label(object: &mut write::Object<'_>, section: SectionId, at: u64) -> SymbolId {
    let name = format!(".L{at:x}").into_bytes();
    if let Some(known) = object.symbol_id(&name) {
        return known;
    }
    object.add_symbol(write::Symbol {
        name,
        value: at,
        size: 0,
        kind: SymbolKind::Label,
        scope: SymbolScope::Compilation,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}

fn relocate(object: &mut write::Object<'_>, section: SectionId, function: u64, fixup: &Fixup, symbol: SymbolId) {
    let generic = |kind, encoding, size| RelocationFlags::Generic { kind, encoding, size };
    let elf = |r_type| RelocationFlags::Elf { r_type };
    let mach = |r_type, r_pcrel| RelocationFlags::MachO { r_type, r_pcrel, r_length: 2 };
    let is_elf = object.format() == BinaryFormat::Elf;
    let flags = match fixup.kind {
        Reloc::X86PCRel4 => generic(RelocationKind::Relative, RelocationEncoding::Generic, 32),
        Reloc::X86CallPCRel4 => generic(RelocationKind::Relative, RelocationEncoding::X86Branch, 32),
        Reloc::X86CallPLTRel4 => generic(RelocationKind::PltRelative, RelocationEncoding::X86Branch, 32),
        Reloc::Arm64Call => generic(RelocationKind::Relative, RelocationEncoding::AArch64Call, 26),
        Reloc::Aarch64AdrPrelPgHi21 if is_elf => elf(elf::R_AARCH64_ADR_PREL_PG_HI21),
        Reloc::Aarch64AdrPrelPgHi21 => mach(macho::ARM64_RELOC_PAGE21, true),
        Reloc::Aarch64AddAbsLo12Nc if is_elf => elf(elf::R_AARCH64_ADD_ABS_LO12_NC),
        Reloc::Aarch64AddAbsLo12Nc => mach(macho::ARM64_RELOC_PAGEOFF12, false),
        Reloc::S390xPCRel32Dbl => generic(RelocationKind::Relative, RelocationEncoding::S390xDbl, 32),
        Reloc::S390xPLTRel32Dbl => generic(RelocationKind::PltRelative, RelocationEncoding::S390xDbl, 32),
        Reloc::RiscvCallPlt => elf(elf::R_RISCV_CALL_PLT),
        Reloc::RiscvPCRelHi20 => elf(elf::R_RISCV_PCREL_HI20),
        Reloc::RiscvPCRelLo12I => elf(elf::R_RISCV_PCREL_LO12_I),
        other => panic!("machine code refers to a symbol by {other}"),
    };
    let offset = function + u64::from(fixup.offset);
    let relocation = Relocation { offset, symbol, addend: fixup.addend, flags };
    object.add_relocation(section, relocation).unwrap_or_else(|error| panic!("{:?}: {error}", fixup.kind));
}
