//! Runs an object in this process: what `run`, `check` and `bench` execute is byte for byte what a linker would take.
//!
//! A small loader for the host's own ELF objects as `object` writes them: sections are copied side by side, relocations
//! applied, and the memory made executable and read-only, but for what the object keeps writable.

use std::{collections::BTreeMap, ops::Range};

use object::{Architecture, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionKind, elf};

/// A model in executable memory.
pub struct Loaded {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    memory: memory::Mapped,
    /// Offsets of the symbols that have a name, those that are not exported included.
    symbols: BTreeMap<String, usize>,
}

/// Where memory that nobody may touch meets the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    Before,
    Behind,
}

impl Loaded {
    /// Loads an object for this machine. The message says why that cannot be done.
    pub fn new(object: &[u8]) -> Result<Loaded, String> {
        memory::load(object, None)
    }

    /// Loads an object whose code is not trusted with its weights: who reads beyond that end of them is stopped. Behind
    /// them lies the descriptor, which cannot be read then.
    pub fn fenced(object: &[u8], fence: Fence) -> Result<Loaded, String> {
        memory::load(object, Some(fence))
    }

    /// The address of a function or datum, valid as long as `self`.
    pub fn symbol(&self, name: &str) -> Option<*const u8> {
        self.symbols.get(name).map(|&at| self.memory.start().wrapping_add(at))
    }

    /// Calls `NAME_SIGNATURE` and returns its status code.
    ///
    /// # Safety
    /// The symbol is an entry of a compiled model, and io struct and workspace are what its header asks for.
    pub unsafe fn call(&self, symbol: &str, io: *const u64, workspace: *mut u8, bytes: usize) -> i32 {
        type Entry = unsafe extern "C" fn(*const u64, *mut u8, usize) -> i32;
        let address = self.symbol(symbol).unwrap_or_else(|| panic!("the object has no symbol {symbol}"));
        // SAFETY: the caller says that the symbol is such a function.
        let entry: Entry = unsafe { std::mem::transmute(address) };
        // SAFETY: the caller says that the arguments are right.
        unsafe { entry(io, workspace, bytes) }
    }
}

/// The contents of an object's sections side by side, with every reference filled in, wherever they lie.
struct Image {
    bytes: Vec<u8>,
    /// Where the writable part begins, at a page of any machine; it ends with the image.
    writable: usize,
    /// What nobody may touch: whole pages of any machine.
    forbidden: Range<usize>,
    symbols: BTreeMap<String, usize>,
}

/// Sections lie a page apart: code and data share none.
const PAGE: usize = 4096;
/// The largest pages that Linux has on one of our machines.
const LARGE_PAGE: usize = 1 << 16;

fn image(file: &object::File<'_>, fence: Option<Fence>) -> Result<Image, String> {
    // Nobody unwinds through code that no linker knows.
    let wanted = |s: &object::Section<'_, '_>| {
        matches!(s.kind(), SectionKind::Text | SectionKind::ReadOnlyData) && s.name() != Ok(".eh_frame")
    };
    let (mut bytes, mut places, mut forbidden) = (vec![], BTreeMap::new(), 0..0);
    // Code first, as linkers have it.
    let mut sections: Vec<_> = file.sections().filter(wanted).collect();
    sections.sort_by_key(|s| s.kind() != SectionKind::Text);
    for section in &sections {
        let data = section.data().map_err(|e| format!("a section cannot be read: {e}"))?;
        bytes.resize(bytes.len().next_multiple_of(PAGE.max(section.align() as usize)), 0);
        if let (Some(fence), SectionKind::ReadOnlyData) = (fence, section.kind()) {
            let page = bytes.len().next_multiple_of(LARGE_PAGE);
            let weights = weight_bytes(file);
            let (start, beyond) = match fence {
                Fence::Before => (page + LARGE_PAGE, page..page + LARGE_PAGE),
                Fence::Behind => {
                    let end = page + weights.next_multiple_of(LARGE_PAGE);
                    (end - weights, end..(end + data.len() - weights + 1).next_multiple_of(LARGE_PAGE))
                }
            };
            bytes.resize(start, 0);
            forbidden = beyond;
        }
        places.insert(section.index().0, bytes.len());
        bytes.extend_from_slice(data);
    }
    bytes.resize(bytes.len().next_multiple_of(LARGE_PAGE), 0);
    let writable = bytes.len();
    for section in file.sections().filter(|s| s.kind() == SectionKind::UninitializedData) {
        bytes.resize(bytes.len().next_multiple_of(section.align().max(1) as usize), 0);
        places.insert(section.index().0, bytes.len());
        bytes.resize(bytes.len() + section.size() as usize, 0);
    }
    let place = |symbol: &object::Symbol<'_, '_>| {
        let section = symbol.section_index().and_then(|s| places.get(&s.0));
        let start = section.ok_or_else(|| format!("{:?} is not in the object", symbol.name()))?;
        Ok::<usize, String>(start + symbol.address() as usize)
    };
    let mut pages = BTreeMap::new();
    for section in &sections {
        for (offset, relocation) in section.relocations() {
            let (RelocationTarget::Symbol(symbol), RelocationFlags::Elf { r_type }) =
                (relocation.target(), relocation.flags())
            else {
                return Err("a relocation of another format".into());
            };
            let target = place(&file.symbol_by_index(symbol).map_err(|e| e.to_string())?)?;
            let at = places[&section.index().0] + offset as usize;
            let value = target as i64 + relocation.addend();
            apply(file.architecture(), r_type, &mut bytes, at, value, &mut pages)?;
        }
    }
    let mut symbols = BTreeMap::new();
    for symbol in file.symbols().filter(|s| s.is_definition()) {
        symbols.insert(symbol.name().map_err(|e| e.to_string())?.to_owned(), place(&symbol)?);
    }
    Ok(Image { bytes, writable, forbidden, symbols })
}

/// The weights are the first of the read-only data.
fn weight_bytes(file: &object::File<'_>) -> usize {
    let weights = file.symbols().find(|s| s.name().is_ok_and(|name| name.ends_with("_weights")) && s.is_local());
    weights.map_or(0, |s| s.size() as usize)
}

/// Fills in the reference at `at` to `value`, both being offsets from the start of the image, which is at a page.
/// `pages` keeps the distances of RISC-V's upper halves for the lower halves, which name them.
fn apply(
    architecture: Architecture,
    r_type: u32,
    bytes: &mut [u8],
    at: usize,
    value: i64,
    pages: &mut BTreeMap<i64, i64>,
) -> Result<(), String> {
    let distance = value - at as i64;
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let mut or = |at: usize, mask: u32, bits: u32| {
        let new = word(bytes, at) & !mask | bits & mask;
        bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
    };
    let near = |bits: u32| {
        let limit = 1i64 << (bits - 1);
        if (-limit..limit).contains(&distance) { Ok(()) } else { Err("the object is too large to load".to_owned()) }
    };
    // The upper 20 bits, rounded so that the lower 12 are a signed rest.
    let upper = |d: i64| (d + 0x800) as u32;
    match (architecture, r_type) {
        (Architecture::X86_64, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32) => {
            near(32)?;
            or(at, u32::MAX, distance as u32);
        }
        (Architecture::Aarch64, elf::R_AARCH64_CALL26 | elf::R_AARCH64_JUMP26) => {
            near(28)?;
            or(at, (1 << 26) - 1, (distance >> 2) as u32);
        }
        (Architecture::Aarch64, elf::R_AARCH64_ADR_PREL_PG_HI21) => {
            near(32)?;
            let pages = (value >> 12) - (at as i64 >> 12);
            or(at, 3 << 29 | ((1 << 19) - 1) << 5, (pages as u32 & 3) << 29 | ((pages >> 2) as u32) << 5);
        }
        (Architecture::Aarch64, elf::R_AARCH64_ADD_ABS_LO12_NC) => or(at, 0xfff << 10, (value as u32 & 0xfff) << 10),
        (Architecture::Riscv64, elf::R_RISCV_CALL_PLT) => {
            near(31)?;
            or(at, !0xfff, upper(distance));
            or(at + 4, 0xfff << 20, (distance as u32) << 20);
        }
        (Architecture::Riscv64, elf::R_RISCV_PCREL_HI20) => {
            near(31)?;
            pages.insert(at as i64, distance);
            or(at, !0xfff, upper(distance));
        }
        (Architecture::Riscv64, elf::R_RISCV_PCREL_LO12_I) => {
            let distance = pages.get(&value).ok_or("a lower half without an upper half")?;
            or(at, 0xfff << 20, (*distance as u32) << 20);
        }
        (Architecture::S390x, elf::R_390_PC32DBL | elf::R_390_PLT32DBL) => {
            near(33)?;
            bytes[at..at + 4].copy_from_slice(&((distance >> 1) as i32).to_be_bytes());
        }
        (architecture, other) => return Err(format!("relocation {other} of {architecture:?} is not known")),
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod memory {
    use memmap2::MmapMut;

    use super::*;

    pub struct Mapped(MmapMut);

    impl Mapped {
        pub fn start(&self) -> *const u8 {
            self.0.as_ptr()
        }
    }

    pub fn load(bytes: &[u8], fence: Option<Fence>) -> Result<Loaded, String> {
        let file = object::File::parse(bytes).map_err(|e| format!("not an object: {e}"))?;
        if file.format() != object::BinaryFormat::Elf || Some(file.architecture()) != host() {
            return Err(format!("an object for {:?} does not run on this machine", file.architecture()));
        }
        let Image { bytes, writable, forbidden, symbols } = image(&file, fence)?;
        let size = bytes.len().max(1);
        let mut memory = MmapMut::map_anon(size).map_err(|e| format!("no memory for {size} bytes: {e}"))?;
        memory[..bytes.len()].copy_from_slice(&bytes);
        for (range, access) in [(0..writable, libc::PROT_READ | libc::PROT_EXEC), (forbidden, libc::PROT_NONE)] {
            // SAFETY: whole pages of a mapping of our own, which nobody has a reference into.
            if unsafe { libc::mprotect(memory[range.start..].as_mut_ptr().cast(), range.len(), access) } != 0 {
                let error = std::io::Error::last_os_error();
                return Err(format!("the access to memory cannot be set: {error}"));
            }
        }
        Ok(Loaded { memory: Mapped(memory), symbols })
    }

    fn host() -> Option<Architecture> {
        Some(match std::env::consts::ARCH {
            "x86_64" => Architecture::X86_64,
            "aarch64" => Architecture::Aarch64,
            "riscv64" => Architecture::Riscv64,
            "s390x" => Architecture::S390x,
            _ => return None,
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod memory {
    use super::*;

    pub struct Mapped;

    impl Mapped {
        pub fn start(&self) -> *const u8 {
            std::ptr::null()
        }
    }

    pub fn load(_: &[u8], _: Option<Fence>) -> Result<Loaded, String> {
        Err("compiled models run in process on Linux only; link the object into a program instead".into())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{
        base::{Arena, Dim},
        native::{self, Entry, Target},
        plan::{Program, Weights},
        tensor::Tensor,
    };

    fn object_for(triple: &str) -> Vec<u8> {
        let target = Target::new(Some(triple), None).unwrap();
        let mut weights = Weights::default();
        weights.add(Tensor::from_f32([2], &[1.0, 2.0]));
        let program = Program {
            name: "s".into(),
            inputs: vec![],
            outputs: vec![],
            symbols: vec![],
            formulas: vec![],
            guards: vec![],
            storage: Arena::default(),
            launches: vec![],
            chains: vec![],
            workspace: Dim::zero(),
            workspace_bound: Dim::zero(),
        };
        let programs = vec![program; target.levels.len()];
        let entry = Entry { c_name: "s", programs: &programs };
        let compiled = native::compile(&target, "m", &[entry], &weights).unwrap();
        super::super::object::Object::new(&target, "m", &compiled, &weights, b"").bytes()
    }

    /// The image equals what the target's own linker makes of the object, where that is installed.
    #[test]
    fn references_are_filled_in_as_linkers_do() {
        for (triple, linker) in [
            ("x86_64-unknown-linux-gnu", "ld"),
            ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-ld"),
            ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu-ld"),
            ("s390x-unknown-linux-gnu", "s390x-linux-gnu-ld"),
        ] {
            let bytes = object_for(triple);
            let file = object::File::parse(&bytes[..]).unwrap();
            let image = image(&file, None).unwrap();
            if Command::new(linker).arg("--version").output().is_err() {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{linker} is not installed");
                eprintln!("{linker} is not installed: {triple} is not compared");
                continue;
            }
            let directory = tempfile::tempdir().unwrap();
            let (input, output) = (directory.path().join("m.o"), directory.path().join("m.elf"));
            std::fs::write(&input, &bytes).unwrap();
            let text = 0x100000;
            let code = file.section_by_name(".text").unwrap().size() as usize;
            let data = text + code.next_multiple_of(PAGE);
            let status = Command::new(linker)
                .args(["-e", "m_s", &format!("-Ttext={text:#x}"), &format!("--section-start=.rodata={data:#x}")])
                .args([&format!("-Tbss={:#x}", text + image.writable), "-o"])
                .args([&output, &input])
                .status();
            assert!(status.unwrap().success());
            let linked = std::fs::read(&output).unwrap();
            let linked = object::File::parse(&linked[..]).unwrap();
            let section = linked.section_by_name(".text").unwrap();
            assert_eq!(section.address(), text as u64, "{triple}");
            assert!(section.data().unwrap() == &image.bytes[..code], "{triple}: the linker fills in something else");
        }
    }

    #[test]
    fn other_machines_are_refused() {
        let other = if cfg!(target_arch = "x86_64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };
        assert!(Loaded::new(&object_for(other)).err().unwrap().contains("does not run on this machine"));
        assert!(Loaded::new(b"no object").err().unwrap().contains("not an object"));
    }
}
