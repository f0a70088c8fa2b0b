//! Which CPU level a call runs on: the one function of an object that asks the processor what it is.
//!
//! `uint64_t NAME_cpu(uint64_t wanted)` returns the number of the level to run (see [`super::Level::number`]): the best
//! that the processor has when `wanted` is 0, or else `wanted`, or 0 when the object does not hold it or the processor
//! does not have it. CPUID takes microseconds where it traps, as in virtual machines, so the answer is kept in a cell
//! of the object, 0 until it is known. Any number of threads may find it out at once: all store the same value.
//!
//! The levels are those of the x86-64 psABI, and what the operating system does not save the processor does not have
//! (XGETBV). macOS saves AVX-512 state only for those who use it, so that level is not found there.
//!
//! The bytes are written here by hand, each instruction with its text; a test holds them to a decoder. The encoder of
//! `native/x86` is for functions that its selection makes: it has no CPUID, and no reference to a cell of the object.

use cranelift_codegen::{binemit::Reloc, isa::CallConv};

use super::{Code, Fixup, Listing, Symbol, Target, Unwind};

/// An instruction or a mark between two.
enum Part {
    Plain(Vec<u8>, &'static str),
    /// Ends with the distance to the cell.
    Cell(&'static [u8], &'static str),
    /// A jump: its opcode and the bytes of its distance, 1 or 4.
    Jump(u8, usize, &'static str, Label),
    Here(Label),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Find,
    Found,
    Keep,
    Refuse,
    Return,
}

/// CPUID leaf 1, ECX: SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT.
const V2_ECX: u32 = 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23;
/// CPUID leaf 1, ECX: FMA, MOVBE, OSXSAVE, AVX, F16C.
const V3_ECX: u32 = 1 << 12 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29;
/// CPUID leaf 7, EBX: BMI1, AVX2, BMI2.
const V3_EBX: u32 = 1 << 3 | 1 << 5 | 1 << 8;
/// CPUID leaf 7, EBX: AVX512F, AVX512DQ, AVX512CD, AVX512BW, AVX512VL.
const V4_EBX: u32 = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31;
/// CPUID leaf 0x80000001, ECX, as bytes: LAHF in long mode, LZCNT.
const LAHF: u8 = 1;
const LZCNT: u8 = 1 << 5;
/// XCR0: the registers that the operating system saves: xmm and ymm; masks and zmm.
const YMM: u8 = 0b110;
const ZMM: u32 = 0b1110_0000;

/// The function for an object with the levels of `target`.
pub(super) fn choose(target: &Target) -> Code {
    let windows = target.lowest().isa().default_call_conv() == CallConv::WindowsFastcall;
    let levels = target.levels.iter().fold(0, |mask, level| mask | 1 << level.number);
    let parts = parts(windows, levels);
    let (bytes, cells) = assemble(&parts);
    let cell = |at: usize| Fixup { offset: at as u32, kind: Reloc::X86PCRel4, symbol: Symbol::Cpu, addend: -4 };
    let fixups = cells.into_iter().map(cell).collect();
    let listing = target.lowest().listings.then(|| Listing { clif: String::new(), asm: text(&parts) });
    Code { bytes, align: 16, fixups, unwind: Some(Unwind::Still), stack_bytes: 8, declined: None, listing }
}

fn text(parts: &[Part]) -> String {
    let line = |part: &Part| match part {
        Part::Plain(_, text) | Part::Cell(_, text) => format!("  {text}\n"),
        Part::Jump(_, _, text, label) => format!("  {text} {label:?}\n"),
        Part::Here(label) => format!("{label:?}:\n"),
    };
    parts.iter().map(line).collect()
}

fn plain(bytes: &[u8], text: &'static str) -> Part {
    Part::Plain(bytes.to_vec(), text)
}

/// An instruction that ends with a constant of four bytes.
fn with(bytes: &[u8], constant: u32, text: &'static str) -> Part {
    Part::Plain([bytes, &constant.to_le_bytes()].concat(), text)
}

fn jump_equal(to: Label) -> Part {
    Part::Jump(0x74, 1, "je", to)
}

fn jump_other(to: Label) -> Part {
    Part::Jump(0x75, 1, "jne", to)
}

/// The function. It changes registers that both calling conventions leave to the callee, and rbx around CPUID, which no
/// unwinder meets: nothing there can fail or is called.
fn parts(windows: bool, levels: u32) -> Vec<Part> {
    answer(windows, levels).into_iter().chain(find()).collect()
}

/// Takes the best level from the cell, and answers with it or with the level that is wanted.
fn answer(windows: bool, levels: u32) -> Vec<Part> {
    use Label::*;
    use Part::*;
    vec![
        if windows { plain(&[0x49, 0x89, 0xc8], "mov r8,rcx") } else { plain(&[0x49, 0x89, 0xf8], "mov r8,rdi") },
        Cell(&[0x8b, 0x05], "mov eax,[rip+cell]"),
        plain(&[0x85, 0xc0], "test eax,eax"),
        jump_equal(Find),
        Here(Found),
        plain(&[0x4d, 0x85, 0xc0], "test r8,r8"),
        jump_equal(Return),
        plain(&[0x49, 0x39, 0xc0], "cmp r8,rax"),
        Jump(0x77, 1, "ja", Refuse),
        with(&[0xba], levels, "mov edx,LEVELS"),
        plain(&[0x44, 0x0f, 0xa3, 0xc2], "bt edx,r8d"),
        plain(&[0x4c, 0x89, 0xc0], "mov rax,r8"),
        Jump(0x72, 1, "jb", Return),
        Here(Refuse),
        plain(&[0x31, 0xc0], "xor eax,eax"),
        Here(Return),
        plain(&[0xc3], "ret"),
    ]
}

/// Finds out the best level, and keeps it in the cell. CPUID writes rbx, which is the caller's. r11 counts the levels.
fn find() -> Vec<Part> {
    use Label::*;
    use Part::*;
    vec![
        Here(Find),
        plain(&[0x49, 0x89, 0xd9], "mov r9,rbx"),
        with(&[0x41, 0xbb], 1, "mov r11d,1"),
        // Every x86-64 processor has this leaf: long mode is a bit of it.
        with(&[0xb8], 0x8000_0001, "mov eax,80000001h"),
        plain(&[0x0f, 0xa2], "cpuid"),
        plain(&[0x41, 0x89, 0xca], "mov r10d,ecx"),
        with(&[0xb8], 1, "mov eax,1"),
        plain(&[0x0f, 0xa2], "cpuid"),
        plain(&[0x89, 0xc8], "mov eax,ecx"),
        with(&[0x25], V2_ECX, "and eax,V2_ECX"),
        with(&[0x3d], V2_ECX, "cmp eax,V2_ECX"),
        jump_other(Keep),
        plain(&[0x41, 0xf6, 0xc2, LAHF], "test r10b,LAHF"),
        jump_equal(Keep),
        plain(&[0x41, 0xff, 0xc3], "inc r11d"),
        plain(&[0x41, 0xf6, 0xc2, LZCNT], "test r10b,LZCNT"),
        jump_equal(Keep),
        with(&[0x81, 0xe1], V3_ECX, "and ecx,V3_ECX"),
        with(&[0x81, 0xf9], V3_ECX, "cmp ecx,V3_ECX"),
        jump_other(Keep),
        // OSXSAVE is among those bits: XGETBV exists.
        plain(&[0x31, 0xc9], "xor ecx,ecx"),
        plain(&[0x0f, 0x01, 0xd0], "xgetbv"),
        plain(&[0x41, 0x89, 0xc2], "mov r10d,eax"),
        plain(&[0x83, 0xe0, YMM], "and eax,YMM"),
        plain(&[0x83, 0xf8, YMM], "cmp eax,YMM"),
        jump_other(Keep),
        // Beyond its last leaf a processor may answer with that of another.
        plain(&[0x31, 0xc0], "xor eax,eax"),
        plain(&[0x0f, 0xa2], "cpuid"),
        plain(&[0x83, 0xf8, 7], "cmp eax,7"),
        Jump(0x72, 1, "jb", Keep),
        with(&[0xb8], 7, "mov eax,7"),
        plain(&[0x31, 0xc9], "xor ecx,ecx"),
        plain(&[0x0f, 0xa2], "cpuid"),
        plain(&[0x89, 0xd8], "mov eax,ebx"),
        with(&[0x25], V3_EBX, "and eax,V3_EBX"),
        with(&[0x3d], V3_EBX, "cmp eax,V3_EBX"),
        jump_other(Keep),
        plain(&[0x41, 0xff, 0xc3], "inc r11d"),
        with(&[0x41, 0x81, 0xe2], ZMM, "and r10d,ZMM"),
        with(&[0x41, 0x81, 0xfa], ZMM, "cmp r10d,ZMM"),
        jump_other(Keep),
        with(&[0x81, 0xe3], V4_EBX, "and ebx,V4_EBX"),
        with(&[0x81, 0xfb], V4_EBX, "cmp ebx,V4_EBX"),
        jump_other(Keep),
        plain(&[0x41, 0xff, 0xc3], "inc r11d"),
        Here(Keep),
        plain(&[0x4c, 0x89, 0xcb], "mov rbx,r9"),
        plain(&[0x44, 0x89, 0xd8], "mov eax,r11d"),
        Cell(&[0x89, 0x05], "mov [rip+cell],eax"),
        Jump(0xe9, 4, "jmp", Found),
    ]
}

/// The bytes, and where the distances to the cell stand in them.
fn assemble(parts: &[Part]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut cells, mut jumps, mut places) = (vec![], vec![], vec![], vec![]);
    for part in parts {
        match part {
            Part::Plain(code, _) => bytes.extend_from_slice(code),
            Part::Cell(code, _) => {
                bytes.extend_from_slice(code);
                cells.push(bytes.len());
                bytes.extend([0; 4]);
            }
            Part::Jump(code, size, _, label) => {
                bytes.push(*code);
                bytes.resize(bytes.len() + size, 0);
                jumps.push((bytes.len(), *size, *label));
            }
            Part::Here(label) => places.push((*label, bytes.len())),
        }
    }
    for (from, size, label) in jumps {
        let place = places.iter().find(|(l, _)| *l == label).map(|(_, at)| *at).expect("every label has a place");
        let distance = place as i32 - from as i32;
        assert!(size == 4 || i8::try_from(distance).is_ok(), "the function is short");
        bytes[from - size..from].copy_from_slice(&distance.to_le_bytes()[..size]);
    }
    (bytes, cells)
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, Register};

    use super::*;

    /// Every instruction is what its text says, with the names in the texts replaced by their values.
    #[test]
    fn the_bytes_are_the_instructions_that_the_texts_say() {
        let names = [
            ("LEVELS", 0b11010),
            ("V2_ECX", V2_ECX),
            ("V3_ECX", V3_ECX),
            ("V3_EBX", V3_EBX),
            ("V4_EBX", V4_EBX),
            ("LAHF", LAHF.into()),
            ("LZCNT", LZCNT.into()),
            ("YMM", YMM.into()),
            ("ZMM", ZMM),
        ];
        for windows in [false, true] {
            let parts = parts(windows, 0b11010);
            let (bytes, cells) = assemble(&parts);
            assert_eq!(cells.len(), 2);
            let mut decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
            let mut formatter = IntelFormatter::new();
            let place = |label| {
                let before = parts.iter().take_while(|p| !matches!(p, Part::Here(l) if *l == label));
                let bytes = |part: &Part| match part {
                    Part::Plain(code, _) => code.len(),
                    Part::Cell(code, _) => code.len() + 4,
                    Part::Jump(_, size, ..) => 1 + size,
                    Part::Here(_) => 0,
                };
                before.map(bytes).sum::<usize>()
            };
            for part in &parts {
                let (text, label) = match part {
                    Part::Here(_) => continue,
                    Part::Plain(_, text) | Part::Cell(_, text) => (*text, None),
                    Part::Jump(_, _, text, label) => (*text, Some(*label)),
                };
                let instruction = decoder.decode();
                if let Some(label) = label {
                    assert_eq!(instruction.near_branch_target(), place(label) as u64, "{text}");
                }
                if let Part::Cell(..) = part {
                    assert_eq!(instruction.memory_base(), Register::RIP, "{text}");
                    assert_eq!(instruction.memory_displacement64(), instruction.next_ip(), "{text}");
                }
                let mut shown = String::new();
                formatter.format(&instruction, &mut shown);
                let mut expected = text.to_string();
                for (name, value) in names {
                    expected = expected.replace(name, &hex(value));
                }
                let same = match part {
                    Part::Jump(..) => shown.starts_with(&format!("{text} ")),
                    Part::Cell(..) => shown.starts_with(text.split('[').next().unwrap()),
                    _ => shown == expected,
                };
                assert!(same, "{shown} is not {expected}");
            }
            assert!(!decoder.can_decode());
        }
    }

    /// As the formatter writes numbers.
    fn hex(value: u32) -> String {
        match value {
            0..=9 => value.to_string(),
            _ => {
                let digits = format!("{value:X}h");
                if digits.starts_with(|c: char| c.is_ascii_alphabetic()) { format!("0{digits}") } else { digits }
            }
        }
    }
}
