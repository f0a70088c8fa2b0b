//! What stands before functions of RISC-V that change fs1. The register is the caller's, as all of fs0 to fs11 (RISC-V ABIs
//! Specification, calling convention), but Cranelift takes it for one that calls may change, and neither saves it nor leaves
//! it alone. `findings` has a program that shows it.

use super::code::{Code, Symbol, Unwind};

/// Keeps fs1 on the stack while the function behind runs. Arguments and results stay in their registers.
const GUARD: [u32; 8] = [
    0xff01_0113, // addi sp, sp, -16
    0x0091_3027, // fsd fs1, 0(sp)
    0x0011_3423, // sd ra, 8(sp)
    0x0140_00ef, // jal ra, 20: the function
    0x0001_3487, // fld fs1, 0(sp)
    0x0081_3083, // ld ra, 8(sp)
    0x0101_0113, // addi sp, sp, 16
    0x0000_8067, // ret
];
pub const GUARD_BYTES: u32 = 4 * GUARD.len() as u32;
/// What it takes of the stack.
const FRAME: u64 = 16;

const LISTED: &str = "  addi sp, sp, -16\n  fsd fs1, 0(sp)\n  sd ra, 8(sp)\n  jal ra, 20\n  fld fs1, 0(sp)\n  ld ra, 8(sp)\n  \
    addi sp, sp, 16\n  ret\n";

/// How many arguments of a function are in registers, whatever they are.
const ARGUMENTS: usize = 8;

/// The function with the guard before it, if its instructions, as Cranelift shows them, name the register.
pub fn guarded(code: Code, asm: &str, arguments: usize) -> Code {
    if !asm.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "fs1") {
        return code;
    }
    assert!(arguments <= ARGUMENTS, "the guard moves the stack pointer, and leaves arguments where they are");
    assert!(code.align <= u64::from(GUARD_BYTES), "the guard keeps the function's alignment");
    let mut bytes: Vec<u8> = GUARD.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(code.bytes);
    let mut fixups = code.fixups;
    for fixup in &mut fixups {
        fixup.offset += GUARD_BYTES;
        if let Symbol::Here(offset) = &mut fixup.symbol {
            *offset += GUARD_BYTES;
        }
    }
    let unwind = match code.unwind {
        Some(Unwind::Described(info)) => Some(Unwind::Guarded(info)),
        other => other,
    };
    let mut listing = code.listing;
    if let Some(listing) = &mut listing {
        listing.asm.insert_str(0, LISTED);
    }
    Code { bytes, fixups, unwind, listing, stack_bytes: code.stack_bytes + FRAME, ..code }
}
