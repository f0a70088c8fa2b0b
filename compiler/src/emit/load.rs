//! Runs an object in this process: what `run`, `check` and `bench` execute is byte for byte what a linker would take.
//!
//! A small loader for the host's own ELF objects as `object` writes them: sections are copied side by side, relocations
//! applied, and the memory made executable and read-only, but for what the object keeps writable.

use std::{collections::BTreeMap, ops::Range};

use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionKind};

use super::link::{self, Bridges, Places};

/// A model in executable memory.
pub struct Loaded {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    memory: memory::Mapped,
    /// Offsets of the symbols that have a name, those that are not exported included.
    symbols: BTreeMap<String, usize>,
}

/// Functions of this process by their names.
pub type Functions = BTreeMap<String, *const u8>;

/// Where memory that nobody may touch meets the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    Before,
    Behind,
}

impl Loaded {
    /// Loads an object for this machine. The message says why that cannot be done.
    pub fn new(object: &[u8]) -> Result<Loaded, String> {
        Loaded::beside(object, &Functions::new())
    }

    /// The same for an object that finds its custom operators among these functions.
    pub fn beside(object: &[u8], functions: &Functions) -> Result<Loaded, String> {
        memory::load(object, None, functions)
    }

    /// Loads an object whose code is not trusted with its weights: who reads beyond that end of them is stopped.
    pub fn fenced(object: &[u8], fence: Fence) -> Result<Loaded, String> {
        memory::load(object, Some(fence), &Functions::new())
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

/// Code and data share no page.
const PAGE: usize = 4096;
/// The largest pages that Linux has on one of our machines.
const LARGE_PAGE: usize = 1 << 16;

fn image(file: &object::File<'_>, fence: Option<Fence>, functions: &Functions) -> Result<Image, String> {
    let weights = link::weights(file);
    // Code first, as linkers have it, and the weights last.
    let mut sections: Vec<_> =
        file.sections().filter(|s| link::is_constant(s) && s.name() != Ok(".eh_frame")).collect();
    let is_weights = |s: &object::Section<'_, '_>| weights.as_ref().is_some_and(|(section, _)| *section == s.index());
    sections.sort_by_key(|s| (is_weights(s), s.kind() != SectionKind::Text));
    let (mut bytes, mut places, mut forbidden, mut kind) = (vec![], Places::new(), 0..0, SectionKind::Unknown);
    for section in &sections {
        let data = section.data().map_err(|e| format!("a section cannot be read: {e}"))?;
        let page = if section.kind() == kind { 1 } else { PAGE };
        kind = section.kind();
        bytes.resize(bytes.len().next_multiple_of(page.max(section.align() as usize)), 0);
        if let (Some(fence), Some((_, size)), true) = (fence, weights, is_weights(section)) {
            let page = bytes.len().next_multiple_of(LARGE_PAGE);
            let size = size as usize;
            let (start, beyond) = match fence {
                Fence::Before => (page + LARGE_PAGE, page..page + LARGE_PAGE),
                Fence::Behind => {
                    let end = page + size.next_multiple_of(LARGE_PAGE);
                    (end - size, end..(end + data.len() - size + 1).next_multiple_of(LARGE_PAGE))
                }
            };
            bytes.resize(start, 0);
            forbidden = beyond;
        }
        places.insert(section.index().0, bytes.len() as u64);
        bytes.extend_from_slice(data);
    }
    let mut bridges = Bridges::new();
    for name in link::foreign(file) {
        let function = functions.get(&name).ok_or_else(|| format!("nothing in this process is called `{name}`"))?;
        bytes.resize(bytes.len().max(forbidden.end).next_multiple_of(16), 0);
        bridges.insert(name, bytes.len() as u64);
        bytes.extend(bridge(file.architecture(), function.addr() as u64));
    }
    bytes.resize(bytes.len().next_multiple_of(LARGE_PAGE).max(forbidden.end), 0);
    let writable = bytes.len();
    for section in file.sections().filter(|s| s.kind() == SectionKind::UninitializedData) {
        bytes.resize(bytes.len().next_multiple_of(section.align().max(1) as usize), 0);
        places.insert(section.index().0, bytes.len() as u64);
        bytes.resize(bytes.len() + section.size() as usize, 0);
    }
    for section in &sections {
        let at = places[&section.index().0] as usize;
        link::fill_in(file, section, &mut bytes[at..][..section.size() as usize], &places, &bridges)?;
    }
    let mut symbols = BTreeMap::new();
    for symbol in link::symbols(file) {
        let name = symbol.name().map_err(|e| e.to_string())?.to_owned();
        symbols.insert(name, link::address(&symbol, &places)? as usize);
    }
    Ok(Image { bytes, writable, forbidden, symbols })
}

/// Code that goes on at an address, wherever that is, and changes no register that a call may have something in.
fn bridge(architecture: Architecture, to: u64) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    match architecture {
        // jmp [rip]
        Architecture::X86_64 => [&[0xff, 0x25, 0, 0, 0, 0][..], &to.to_le_bytes()].concat(),
        // ldr x16, 8; br x16
        Architecture::Aarch64 => [words(&[0x5800_0050, 0xd61f_0200]), to.to_le_bytes().into()].concat(),
        // auipc t1, 0; ld t1, 16(t1); jr t1; nop
        Architecture::Riscv64 => {
            [words(&[0x0000_0317, 0x0103_3303, 0x0003_0067, 0x0000_0013]), to.to_le_bytes().into()].concat()
        }
        // larl %r1, 16; lg %r1, 0(%r1); br %r1
        _ => {
            let code = [0xc0, 0x10, 0, 0, 0, 8, 0xe3, 0x10, 0x10, 0, 0, 0x04, 0x07, 0xf1, 0, 0];
            [&code[..], &to.to_be_bytes()].concat()
        }
    }
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

    pub fn load(bytes: &[u8], fence: Option<Fence>, functions: &Functions) -> Result<Loaded, String> {
        let file = object::File::parse(bytes).map_err(|e| format!("not an object: {e}"))?;
        if file.format() != object::BinaryFormat::Elf || Some(file.architecture()) != host() {
            return Err(format!("an object for {:?} does not run on this machine", file.architecture()));
        }
        let Image { bytes, writable, forbidden, symbols } = image(&file, fence, functions)?;
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

    pub fn load(_: &[u8], _: Option<Fence>, _: &Functions) -> Result<Loaded, String> {
        Err("compiled models run in process on Linux only; link the object into a program instead".into())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use object::Object as _;

    use super::*;
    use crate::{
        base::{Arena, Dim},
        emit::{
            object::{Object, Parts},
            weights::Stored,
        },
        entry::{Entry, Reach},
        native::{self, Target},
        plan::{Bodies, Program, Weights},
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
            found: vec![],
            formulas: vec![],
            guards: vec![],
            state: None,
            storage: Arena::default(),
            launches: vec![],
            chains: vec![],
            flows: vec![],
            workspace: Dim::zero(),
            workspace_bound: Dim::zero(),
            strings: None,
        };
        let bodies = Bodies { open: vec![program; target.levels.len()], equal: None };
        let entry = Entry { c_name: "s", aliases: &[], bodies: &bodies };
        let compiled = native::compile(&target, "m", &[entry], &weights, Reach::Near, None).unwrap();
        let parts = Parts { name: "m", descriptor: b"", fingerprint: [0; 32] };
        Object::new(&target, &compiled, Stored::new(weights, target.big_endian()), &parts, false).bytes()
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
            let image = image(&file, None, &Functions::new()).unwrap();
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
