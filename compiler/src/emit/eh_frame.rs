//! Unwind tables for ELF. What they refer to they name by its distance, so that they need no run-time relocation.

use cranelift_codegen::isa::unwind::UnwindInfo;
use gimli::{
    DW_EH_PE_pcrel, DW_EH_PE_sdata4, DwEhPe, Register, RiscV, RunTimeEndian, X86_64,
    write::{
        Address, CallFrameInstruction, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable, RelocateWriter,
        Relocation as GimliRelocation, RelocationTarget,
    },
};
use object::{
    Architecture, RelocationEncoding, RelocationFlags, RelocationKind, elf,
    write::{Object, Relocation, SectionId, StandardSection},
};

use crate::native::{Function, GUARD_BYTES, Target, Unwind};

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

/// One entry for all functions: each has few rules, and an entry of its own with its relocation would be four times as
/// long.
fn together(functions: &[(&Function, u64)]) -> FrameDescriptionEntry {
    let bytes = functions.last().map_or(0, |(f, at)| at + f.code.bytes.len() as u64);
    let mut entry = FrameDescriptionEntry::new(Address::Symbol { symbol: 0, addend: 0 }, bytes as u32);
    let mut changed: Vec<Register> = vec![];
    for (function, at) in functions {
        let at = *at as u32;
        // As the call left it: the return address lies where the stack pointer points, all registers are the caller's.
        if at > 0 {
            entry.add_instruction(at, CallFrameInstruction::Cfa(X86_64::RSP, 8));
        }
        for register in changed.drain(..) {
            entry.add_instruction(at, CallFrameInstruction::Restore(register));
        }
        if let Some(Unwind::FramePointer(saved)) = &function.code.unwind {
            // Behind `push rbp`, then behind `mov rbp, rsp`.
            entry.add_instruction(at + 1, CallFrameInstruction::CfaOffset(16));
            entry.add_instruction(at + 1, CallFrameInstruction::Offset(X86_64::RBP, -16));
            entry.add_instruction(at + 4, CallFrameInstruction::CfaRegister(X86_64::RBP));
            changed.push(X86_64::RBP);
            for saved in saved {
                let register = Register(saved.register);
                entry.add_instruction(at + saved.offset, CallFrameInstruction::Offset(register, saved.place));
                changed.push(register);
            }
        }
    }
    entry
}

/// What stands before a function of RISC-V: it moves the stack pointer by 16 bytes, stores fs1 and the return address there, and
/// undoes it when the function has returned.
fn guard(address: Address) -> FrameDescriptionEntry {
    let mut entry = FrameDescriptionEntry::new(address, GUARD_BYTES);
    entry.add_instruction(4, CallFrameInstruction::CfaOffset(16));
    entry.add_instruction(8, CallFrameInstruction::Offset(RiscV::FS1, -16));
    entry.add_instruction(12, CallFrameInstruction::Offset(RiscV::RA, -8));
    entry.add_instruction(20, CallFrameInstruction::Restore(RiscV::FS1));
    entry.add_instruction(24, CallFrameInstruction::Restore(RiscV::RA));
    entry.add_instruction(28, CallFrameInstruction::CfaOffset(0));
    entry
}

/// Adds `.eh_frame` for the functions that have unwind information, which lie in `code` at the given offsets.
///
/// Functions are referred to by their section: another module may replace an exported symbol, but not what it is here.
pub fn add(object: &mut Object<'_>, target: &Target, code: SectionId, functions: &[(&Function, u64)]) {
    let Some(mut common) = target.lowest().isa().create_systemv_cie() else { return };
    common.fde_address_encoding = DwEhPe(DW_EH_PE_pcrel.0 | DW_EH_PE_sdata4.0);
    let mut table = FrameTable::default();
    let common = table.add_cie(common);
    if object.architecture() == Architecture::X86_64 {
        table.add_fde(common, together(functions));
    } else {
        for (n, (function, _)) in functions.iter().enumerate() {
            let at = |addend| Address::Symbol { symbol: n, addend };
            match &function.code.unwind {
                Some(Unwind::Described(UnwindInfo::SystemV(unwind))) => {
                    table.add_fde(common, unwind.to_fde(at(0)));
                }
                Some(Unwind::Guarded(UnwindInfo::SystemV(unwind))) => {
                    table.add_fde(common, guard(at(0)));
                    table.add_fde(common, unwind.to_fde(at(GUARD_BYTES.into())));
                }
                _ => {}
            }
        }
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
