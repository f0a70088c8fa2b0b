//! Runs an object in this process: what `run`, `check` and `bench` execute is byte for byte what a linker would take.
//!
//! A small loader for the host's own ELF objects as `object` writes them: sections are copied side by side, relocations
//! applied, and the memory made executable and read-only.

use std::collections::BTreeMap;

/// A model in executable memory.
pub struct Loaded {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    memory: memory::Mapped,
    /// Offsets of the exported symbols.
    symbols: BTreeMap<String, usize>,
}

impl Loaded {
    /// Loads an object for this machine. The message says why that cannot be done.
    pub fn new(object: &[u8]) -> Result<Loaded, String> {
        memory::load(object)
    }

    /// The address of an exported function or datum, valid as long as `self`.
    pub fn symbol(&self, name: &str) -> Option<*const u8> {
        self.symbols.get(name).map(|&at| self.memory.start().wrapping_add(at))
    }

    /// The exported names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.symbols.keys().map(String::as_str)
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

#[cfg(target_os = "linux")]
mod memory {
    use memmap2::{Mmap, MmapMut};
    use object::{
        Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex, SectionKind, elf,
    };

    use super::*;

    pub struct Mapped(Mmap);

    impl Mapped {
        pub fn start(&self) -> *const u8 {
            self.0.as_ptr()
        }
    }

    pub fn load(bytes: &[u8]) -> Result<Loaded, String> {
        let file = object::File::parse(bytes).map_err(|e| format!("not an object: {e}"))?;
        if file.format() != object::BinaryFormat::Elf || file.architecture() != host() {
            return Err(format!("an object for {:?} does not run on this machine", file.architecture()));
        }
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        let mut end = 0usize;
        let wanted = |s: &object::Section<'_, '_>| matches!(s.kind(), SectionKind::Text | SectionKind::ReadOnlyData);
        for section in file.sections().filter(wanted) {
            // Sections apart by a page: code and data share no cache line.
            end = end.next_multiple_of(4096.max(section.align() as usize));
            places.insert(section.index().0, end);
            end += section.size() as usize;
        }
        let mut memory = MmapMut::map_anon(end.max(1)).map_err(|e| format!("no memory for {end} bytes: {e}"))?;
        for section in file.sections().filter(wanted) {
            let data = section.data().map_err(|e| format!("a section cannot be read: {e}"))?;
            let at = places[&section.index().0];
            memory[at..at + data.len()].copy_from_slice(data);
        }
        let address = |section: SectionIndex, offset: u64| {
            places.get(&section.0).map(|&at| at + offset as usize).ok_or("a symbol lies in no loaded section")
        };
        for section in file.sections().filter(wanted) {
            for (offset, relocation) in section.relocations() {
                let RelocationTarget::Symbol(symbol) = relocation.target() else {
                    return Err("a relocation without a symbol".into());
                };
                let symbol = file.symbol_by_index(symbol).map_err(|e| e.to_string())?;
                let in_section = symbol.section_index().ok_or_else(|| format!("{:?} is undefined", symbol.name()))?;
                let target = address(in_section, symbol.address())?;
                let RelocationFlags::Elf { r_type } = relocation.flags() else {
                    return Err("a relocation of another format".into());
                };
                let place = places[&section.index().0] + offset as usize;
                let value = target as i64 + relocation.addend();
                apply(&mut memory, place, value, r_type)?;
            }
        }
        let mut symbols = BTreeMap::new();
        for symbol in file.symbols().filter(|s| s.is_global() && s.is_definition()) {
            let section = symbol.section_index().ok_or("a symbol lies in no section")?;
            symbols.insert(symbol.name().map_err(|e| e.to_string())?.to_owned(), address(section, symbol.address())?);
        }
        let memory = memory.make_exec().map_err(|e| format!("memory cannot be made executable: {e}"))?;
        Ok(Loaded { memory: Mapped(memory), symbols })
    }

    fn host() -> object::Architecture {
        if cfg!(target_arch = "x86_64") { object::Architecture::X86_64 } else { object::Architecture::Unknown }
    }

    /// Fills in one reference; `place` and `value` are offsets from the same start, all references being relative.
    fn apply(memory: &mut [u8], place: usize, value: i64, r_type: u32) -> Result<(), String> {
        match r_type {
            elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => {
                let distance = i32::try_from(value - place as i64).map_err(|_| "the object is too large to load")?;
                memory[place..place + 4].copy_from_slice(&distance.to_le_bytes());
                Ok(())
            }
            other => Err(format!("relocation {other} is not known")),
        }
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

    pub fn load(_: &[u8]) -> Result<Loaded, String> {
        Err("compiled models run in process on Linux only; link the object into a program instead".into())
    }
}
