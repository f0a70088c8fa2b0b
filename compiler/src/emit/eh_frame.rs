//! Unwind tables for ELF: one entry per function, relative to its own place, so that they need no run-time relocation.

use cranelift_codegen::isa::unwind::UnwindInfo;
use gimli::{
    DW_EH_PE_pcrel, DW_EH_PE_sdata4, DwEhPe, RunTimeEndian, X86_64,
    write::{
        Address, CallFrameInstruction, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable, RelocateWriter,
        Relocation as GimliRelocation, RelocationTarget,
    },
};
use object::{
    Architecture, RelocationEncoding, RelocationFlags, RelocationKind, elf,
    write::{Object, Relocation, SectionId, StandardSection},
};

use crate::native::{Function, Target, Unwind};

/// Bytes, and the places in them that depend on symbols.
struct Writer {
    bytes: EndianVec<RunTimeEndian>,
    relocations: Vec<GimliRelocation>,
}

impl RelocateWriter for Writer {
    type Writer = EndianVec<RunTimeEndian>;
    fn writer(&self) -> &Self::Writer {
        &self.bytes
    }
    fn writer_mut(&mut self) -> &mut Self::Writer {
        &mut self.bytes
    }
    fn relocate(&mut self, relocation: GimliRelocation) {
        self.relocations.push(relocation);
    }
}

/// Adds `.eh_frame` for the functions that have unwind information, which lie in `code` at the given offsets.
///
/// Functions are referred to by their section: another module may replace an exported symbol, but not what it is here.
pub fn add(object: &mut Object<'_>, target: &Target, code: SectionId, functions: &[(&Function, u64)]) {
    let Some(mut common) = target.lowest().isa().create_systemv_cie() else { return };
    common.fde_address_encoding = DwEhPe(DW_EH_PE_pcrel.0 | DW_EH_PE_sdata4.0);
    let mut table = FrameTable::default();
    let common = table.add_cie(common);
    for (n, (function, _)) in functions.iter().enumerate() {
        let address = Address::Symbol { symbol: n, addend: 0 };
        let entry = match &function.code.unwind {
            Some(Unwind::Described(UnwindInfo::SystemV(unwind))) => unwind.to_fde(address),
            Some(Unwind::Still) => FrameDescriptionEntry::new(address, function.code.bytes.len() as u32),
            Some(Unwind::FramePointer) => {
                let mut entry = FrameDescriptionEntry::new(address, function.code.bytes.len() as u32);
                // Behind `push rbp`, then behind `mov rbp, rsp`.
                entry.add_instruction(1, CallFrameInstruction::CfaOffset(16));
                entry.add_instruction(1, CallFrameInstruction::Offset(X86_64::RBP, -16));
                entry.add_instruction(4, CallFrameInstruction::CfaRegister(X86_64::RBP));
                entry
            }
            _ => continue,
        };
        table.add_fde(common, entry);
    }
    let endian = if target.big_endian() { RunTimeEndian::Big } else { RunTimeEndian::Little };
    let mut frames = EhFrame(Writer { bytes: EndianVec::new(endian), relocations: vec![] });
    table.write_eh_frame(&mut frames).unwrap_or_else(|error| panic!("unwind tables: {error}"));
    let section = object.section_id(StandardSection::EhFrame);
    object.append_section_data(section, frames.0.bytes.slice(), 8);
    let flags = match object.architecture() {
        Architecture::Riscv64 => RelocationFlags::Elf { r_type: elf::R_RISCV_32_PCREL },
        _ => {
            let (kind, encoding) = (RelocationKind::Relative, RelocationEncoding::Generic);
            RelocationFlags::Generic { kind, encoding, size: 32 }
        }
    };
    let symbol = object.section_symbol(code);
    for relocation in &frames.0.relocations {
        let RelocationTarget::Symbol(n) = relocation.target else { continue };
        let addend = relocation.addend + functions[n].1 as i64;
        let relocation = Relocation { offset: relocation.offset as u64, symbol, addend, flags };
        object.add_relocation(section, relocation).unwrap_or_else(|error| panic!("unwind tables: {error}"));
    }
}
