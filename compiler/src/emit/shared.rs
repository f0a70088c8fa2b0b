//! Shared libraries for ELF, made without a linker: one object has all that is in them, and nothing in it depends on
//! where it is loaded, so there is nothing to relocate.
//!
//! The file is four segments: what is only read, with the tables by which symbols and callers are found; code; what is
//! written; and last the weights, however large they are. Each starts at a page of the machine's largest size in memory,
//! and at one of 4 KB in the file.

use std::io;

use object::{
    Architecture, Endianness, Object as _, ObjectSection, ObjectSymbol, SectionIndex, SectionKind, SymbolKind, elf,
    write::{
        StreamingBuffer, StringId, WritableBuffer,
        elf::{FileHeader, ProgramHeader, SectionHeader, SectionIndex as Index, Sym, Writer},
    },
};

use super::{
    link::{self, Places},
    object::{Count, Object},
    weights,
};

/// Segments start at a multiple of it in the file.
const FILE_PAGE: u64 = 4096;
/// One bucket of the symbol table serves a few names.
const PER_BUCKET: usize = 4;
/// A word of the filter in front of the buckets.
const BLOOM_SHIFT: u32 = 6;

/// Writes the shared library of a hollow object, known to other libraries as `soname`.
pub fn write(object: &Object, soname: &str, out: impl io::Write) -> io::Result<()> {
    let bytes = object.bytes();
    let file = object::File::parse(&bytes[..]).map_err(io::Error::other)?;
    let mut buffer = StreamingBuffer::new(io::BufWriter::new(out));
    Library::new(&file, object.weights().bytes()).and_then(|l| l.write(soname, object, &mut buffer))?;
    buffer.flush()
}

/// Bytes of that library.
pub fn size(object: &Object, soname: &str) -> io::Result<u64> {
    let mut count = Count(0);
    write(object, soname, &mut count)?;
    Ok(count.0)
}

/// A part of the file: a section and where it goes.
struct Part {
    section: Section,
    name: &'static str,
    offset: u64,
    address: u64,
    /// In memory; in the file too but for zeros.
    size: u64,
    index: Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    GnuHash,
    Dynsym,
    Dynstr,
    EhFrameHeader,
    Dynamic,
    Weights,
    /// Of the object.
    Copied(SectionIndex),
    Zeros(SectionIndex),
}

/// What is mapped as one: its parts, by number, and its permissions.
struct Segment {
    first: usize,
    last: usize,
    flags: u32,
}

struct Library<'f> {
    file: &'f object::File<'f>,
    endian: Endianness,
    /// The largest page of the architecture's machines.
    page: u64,
    /// In the order of the file.
    parts: Vec<Part>,
    segments: Vec<Segment>,
    weight_bytes: u64,
}

type Symbol<'f> = object::Symbol<'f, 'f>;

impl<'f> Library<'f> {
    fn new(file: &'f object::File<'f>, weight_bytes: u64) -> io::Result<Library<'f>> {
        let page = if file.architecture() == Architecture::Aarch64 { 1 << 16 } else { FILE_PAGE };
        let mut library =
            Library { file, endian: file.endianness(), page, parts: vec![], segments: vec![], weight_bytes };
        let weights = link::weights(file).map(|(section, _)| section);
        let named = |name: &str| file.section_by_name(name).map(|s| Section::Copied(s.index()));
        let zeros = file.sections().find(|s| s.kind() == SectionKind::UninitializedData && s.size() > 0);
        let read = [Some(Section::GnuHash), Some(Section::Dynsym), Some(Section::Dynstr), named(".rodata")];
        let unwind = named(".eh_frame").map(|frames| [Some(Section::EhFrameHeader), Some(frames)]);
        library.segment(elf::PF_R, read.into_iter().chain(unwind.into_iter().flatten()).flatten());
        library.segment(elf::PF_R | elf::PF_X, named(".text"));
        let zeros = zeros.map(|s| Section::Zeros(s.index()));
        library.segment(elf::PF_R | elf::PF_W, [Some(Section::Dynamic), zeros].into_iter().flatten());
        if weights.is_some() {
            library.segment(elf::PF_R, [Section::Weights]);
        }
        Ok(library)
    }

    fn segment(&mut self, flags: u32, sections: impl IntoIterator<Item = Section>) {
        let first = self.parts.len();
        for section in sections {
            let name = match section {
                Section::GnuHash => ".gnu.hash",
                Section::Dynsym => ".dynsym",
                Section::Dynstr => ".dynstr",
                Section::EhFrameHeader => ".eh_frame_hdr",
                Section::Dynamic => ".dynamic",
                Section::Weights => ".rodata.weights",
                Section::Zeros(_) => ".bss",
                Section::Copied(index) => match self.section(index).name() {
                    Ok(".text") => ".text",
                    Ok(".eh_frame") => ".eh_frame",
                    _ => ".rodata",
                },
            };
            self.parts.push(Part { section, name, offset: 0, address: 0, size: 0, index: Index::default() });
        }
        self.segments.push(Segment { first, last: self.parts.len() - 1, flags });
    }

    fn section(&self, index: SectionIndex) -> object::Section<'f, 'f> {
        self.file.section_by_index(index).expect("a section of the object")
    }

    fn part(&self, section: Section) -> Option<&Part> {
        self.parts.iter().find(|p| p.section == section)
    }

    /// The exported symbols in the order of the hash table, with their hashes.
    fn exported(&self) -> Vec<(u32, Symbol<'f>)> {
        let file = self.file;
        let global = link::symbols(file).filter(|s| s.is_global());
        let mut symbols: Vec<_> = global.map(|s| (elf::gnu_hash(s.name_bytes().unwrap_or_default()), s)).collect();
        let buckets = buckets(symbols.len());
        symbols.sort_by_key(|(hash, _)| hash % buckets);
        symbols
    }

    /// The other symbols that people may want to see.
    fn local(&self) -> Vec<Symbol<'f>> {
        let file = self.file;
        let kinds = [SymbolKind::Text, SymbolKind::Data];
        link::symbols(file).filter(|s| s.is_local() && kinds.contains(&s.kind())).collect()
    }

    fn write(mut self, soname: &str, object: &Object, buffer: &mut dyn WritableBuffer) -> io::Result<()> {
        let (exported, local) = (self.exported(), self.local());
        let mut writer = Writer::new(self.endian, true, buffer);
        let names = self.reserve(&mut writer, soname, &exported, &local);
        let places = self.places();
        self.write_headers(&mut writer)?;
        for n in 0..self.parts.len() {
            self.write_part(&mut writer, n, &names, &exported, &places, object)?;
        }
        writer.write_null_symbol();
        for (symbol, name) in local.iter().zip(&names.local).chain(exported.iter().map(|(_, s)| s).zip(&names.global)) {
            writer.write_symbol(&self.symbol(symbol, *name, &places)?);
        }
        writer.write_strtab();
        writer.write_shstrtab();
        self.write_section_headers(&mut writer, &names, local.len());
        Ok(())
    }

    /// Gives everything its place in the file and in memory.
    fn reserve<'a>(
        &mut self,
        writer: &mut Writer<'a>,
        soname: &'a str,
        exported: &[(u32, Symbol<'f>)],
        local: &[Symbol<'f>],
    ) -> Names
    where
        'f: 'a,
    {
        let names = self.number(writer, soname, exported, local);
        self.place(writer, exported.len());
        names
    }

    /// Numbers the sections and symbols, and lists their names.
    fn number<'a>(
        &mut self,
        writer: &mut Writer<'a>,
        soname: &'a str,
        exported: &[(u32, Symbol<'f>)],
        local: &[Symbol<'f>],
    ) -> Names
    where
        'f: 'a,
    {
        writer.reserve_null_section_index();
        let mut sections = vec![];
        for part in &mut self.parts {
            sections.push(writer.add_section_name(part.name.as_bytes()));
            part.index = match part.section {
                Section::Dynsym => writer.reserve_dynsym_section_index(),
                Section::Dynstr => writer.reserve_dynstr_section_index(),
                Section::Dynamic => writer.reserve_dynamic_section_index(),
                Section::GnuHash => writer.reserve_gnu_hash_section_index(),
                _ => writer.reserve_section_index(),
            };
        }
        writer.reserve_symtab_section_index();
        writer.reserve_strtab_section_index();
        writer.reserve_shstrtab_section_index();
        let soname = writer.add_dynamic_string(soname.as_bytes());
        writer.reserve_null_dynamic_symbol_index();
        writer.reserve_null_symbol_index();
        let name = |s: &Symbol<'f>| s.name_bytes().unwrap_or_default();
        let mut names = Names { sections, soname, dynamic: vec![], global: vec![], local: vec![] };
        for (_, symbol) in exported {
            names.dynamic.push(writer.add_dynamic_string(name(symbol)));
            writer.reserve_dynamic_symbol_index();
        }
        for symbol in local {
            names.local.push(writer.add_string(name(symbol)));
            writer.reserve_symbol_index(None);
        }
        for (_, symbol) in exported {
            names.global.push(writer.add_string(name(symbol)));
            writer.reserve_symbol_index(None);
        }
        names
    }

    /// Lays the parts out one behind another, and the tables behind them.
    fn place(&mut self, writer: &mut Writer<'_>, exported: usize) {
        writer.reserve_file_header();
        writer.reserve_program_headers(self.segments.len() as u32 + 4);
        let mut end = 0;
        for s in 0..self.segments.len() {
            let (first, last) = (self.segments[s].first, self.segments[s].last);
            if s > 0 {
                writer.reserve(0, FILE_PAGE as usize);
                let offset = writer.reserved_len() as u64;
                end = u64::next_multiple_of(end, self.page) + offset % self.page - offset;
            }
            // The distance of this segment's addresses from its offsets.
            let more = end;
            for n in first..=last {
                self.reserve_part(writer, n, more, exported);
            }
            let part = &self.parts[last];
            end = part.address + part.size;
            if self.segments[s].flags & elf::PF_W != 0 {
                end = end.max(self.settled_end());
            }
        }
        writer.reserve_symtab();
        writer.reserve_strtab();
        writer.reserve_shstrtab();
        writer.reserve_section_headers();
    }

    fn reserve_part(&mut self, writer: &mut Writer<'_>, n: usize, more: u64, exported: usize) {
        let from = |w: &mut Writer<'_>, size: usize, align: usize| (w.reserve(size, align), size);
        let (offset, size) = match self.parts[n].section {
            Section::GnuHash => {
                let size = |at, w: &Writer<'_>| (at, w.reserved_len() - at);
                let at = writer.reserve_gnu_hash(blooms(exported), buckets(exported), exported as u32);
                size(at, writer)
            }
            Section::Dynsym => {
                let at = writer.reserve_dynsym();
                (at, writer.reserved_len() - at)
            }
            Section::Dynstr => {
                let at = writer.reserve_dynstr();
                (at, writer.reserved_len() - at)
            }
            Section::Dynamic => {
                let at = writer.reserve_dynamic(DYNAMICS);
                (at, writer.reserved_len() - at)
            }
            Section::EhFrameHeader => from(writer, 12 + 8 * self.frames().len(), 4),
            Section::Weights => from(writer, self.weight_bytes as usize, weights::ALIGN as usize),
            Section::Copied(index) => {
                let section = self.section(index);
                // Tables of frames end with a zero.
                let end = if self.parts[n].name == ".eh_frame" { 4 } else { 0 };
                from(writer, section.size() as usize + end, section.align() as usize)
            }
            Section::Zeros(index) => {
                let at = writer.reserved_len();
                let address = self.settled_end();
                let size = self.section(index).size();
                let part = &mut self.parts[n];
                (part.offset, part.address, part.size) = (at as u64, address, size);
                return;
            }
        };
        let part = &mut self.parts[n];
        (part.offset, part.address, part.size) = (offset as u64, offset as u64 + more, size as u64);
    }

    /// Where what is written while the library is loaded ends, at a page: from here on zeros stay writable.
    fn settled_end(&self) -> u64 {
        let dynamic = self.part(Section::Dynamic).expect("there is a dynamic section");
        u64::next_multiple_of(dynamic.address + dynamic.size, self.page)
    }

    /// Where the object's sections lie.
    fn places(&self) -> Places {
        let mut places = Places::new();
        let weights = link::weights(self.file);
        for part in &self.parts {
            match (part.section, weights) {
                (Section::Copied(index) | Section::Zeros(index), _) => places.insert(index.0, part.address),
                (Section::Weights, Some((index, _))) => places.insert(index.0, part.address),
                _ => None,
            };
        }
        places
    }

    fn write_headers(&self, writer: &mut Writer<'_>) -> io::Result<()> {
        let (e_machine, e_flags) = match self.file.flags() {
            object::FileFlags::Elf { e_flags, .. } => (machine(self.file.architecture()), e_flags),
            _ => return Err(io::Error::other("only ELF objects become shared libraries")),
        };
        let header = FileHeader {
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            e_type: elf::ET_DYN,
            e_machine,
            e_entry: 0,
            e_flags,
        };
        writer.write_file_header(&header).map_err(io::Error::other)?;
        writer.write_align_program_headers();
        let mut program = |p_type, p_flags, offset: u64, address: u64, [in_file, in_memory]: [u64; 2], p_align| {
            writer.write_program_header(&ProgramHeader {
                p_type,
                p_flags,
                p_offset: offset,
                p_vaddr: address,
                p_paddr: address,
                p_filesz: in_file,
                p_memsz: in_memory,
                p_align,
            });
        };
        for (n, segment) in self.segments.iter().enumerate() {
            let (first, last) = (&self.parts[segment.first], &self.parts[segment.last]);
            // The headers belong to the first segment.
            let (offset, address) = if n == 0 { (0, 0) } else { (first.offset, first.address) };
            let in_file = match last.section {
                Section::Zeros(_) => first.size,
                _ => last.offset + last.size - offset,
            };
            let mut in_memory = last.address + last.size - address;
            if segment.flags & elf::PF_W != 0 {
                in_memory = in_memory.max(self.settled_end() - address);
            }
            program(elf::PT_LOAD, segment.flags, offset, address, [in_file, in_memory], self.page);
        }
        let dynamic = self.part(Section::Dynamic).expect("there is a dynamic section");
        let sizes = [dynamic.size; 2];
        program(elf::PT_DYNAMIC, elf::PF_R | elf::PF_W, dynamic.offset, dynamic.address, sizes, 8);
        let sizes = [dynamic.size, self.settled_end() - dynamic.address];
        program(elf::PT_GNU_RELRO, elf::PF_R, dynamic.offset, dynamic.address, sizes, 1);
        match self.part(Section::EhFrameHeader) {
            Some(part) => program(elf::PT_GNU_EH_FRAME, elf::PF_R, part.offset, part.address, [part.size; 2], 4),
            None => program(elf::PT_NULL, 0, 0, 0, [0; 2], 0),
        }
        program(elf::PT_GNU_STACK, elf::PF_R | elf::PF_W, 0, 0, [0; 2], 16);
        Ok(())
    }

    fn write_part(
        &self,
        writer: &mut Writer<'_>,
        n: usize,
        names: &Names,
        exported: &[(u32, Symbol<'f>)],
        places: &Places,
        object: &Object,
    ) -> io::Result<()> {
        let part = &self.parts[n];
        if !matches!(part.section, Section::Zeros(_)) {
            writer.pad_until(part.offset as usize);
        }
        match part.section {
            Section::GnuHash => {
                let count = exported.len();
                let hash = |n: u32| exported[n as usize].0;
                writer.write_gnu_hash(1, BLOOM_SHIFT, blooms(count), buckets(count), count as u32, hash);
            }
            Section::Dynsym => {
                writer.write_null_dynamic_symbol();
                for ((_, symbol), name) in exported.iter().zip(&names.dynamic) {
                    writer.write_dynamic_symbol(&self.symbol(symbol, *name, places)?);
                }
            }
            Section::Dynstr => writer.write_dynstr(),
            Section::Dynamic => self.write_dynamic(writer, names)?,
            Section::EhFrameHeader => writer.write(&self.frame_header(places)?),
            Section::Weights => object.weights().each_part(&mut |bytes| writer.write(bytes)),
            Section::Copied(index) => {
                let mut contents = self.linked(index, places)?;
                contents.resize(part.size as usize, 0);
                writer.write(&contents);
            }
            Section::Zeros(_) => {}
        }
        Ok(())
    }

    fn write_dynamic(&self, writer: &mut Writer<'_>, names: &Names) -> io::Result<()> {
        let address = |section| self.part(section).map_or(0, |p| p.address);
        let strings = self.part(Section::Dynstr).map_or(0, |p| p.size);
        let mut entries = 1;
        writer.write_align_dynamic();
        writer.write_dynamic_string(elf::DT_SONAME, names.soname).map_err(io::Error::other)?;
        for (tag, value) in [
            (elf::DT_GNU_HASH, address(Section::GnuHash)),
            (elf::DT_STRTAB, address(Section::Dynstr)),
            (elf::DT_SYMTAB, address(Section::Dynsym)),
            (elf::DT_STRSZ, strings),
            (elf::DT_SYMENT, size_of::<elf::Sym64<Endianness>>() as u64),
            (elf::DT_NULL, 0),
        ] {
            writer.write_dynamic(tag, value).map_err(io::Error::other)?;
            entries += 1;
        }
        assert_eq!(entries, DYNAMICS);
        Ok(())
    }

    /// The contents of a section of the object with its references filled in.
    fn linked(&self, index: SectionIndex, places: &Places) -> io::Result<Vec<u8>> {
        let section = self.section(index);
        let mut contents = section.data().map_err(io::Error::other)?.to_vec();
        link::fill_in(self.file, &section, &mut contents, places, &link::Bridges::new()).map_err(io::Error::other)?;
        Ok(contents)
    }

    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes[at..at + 4].try_into().expect("four bytes");
        if self.endian == Endianness::Big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    /// The offsets in `.eh_frame` of the entries that describe functions; those of others start with a zero.
    fn frames(&self) -> Vec<usize> {
        let section = self.file.section_by_name(".eh_frame");
        let bytes = section.and_then(|s| s.data().ok()).unwrap_or_default();
        let (mut at, mut frames) = (0, vec![]);
        while at + 8 <= bytes.len() {
            if self.word(bytes, at + 4) != 0 {
                frames.push(at);
            }
            at += 4 + self.word(bytes, at) as usize;
        }
        frames
    }

    /// `.eh_frame_hdr`: where the entry for each function is, by its address, for a binary search.
    fn frame_header(&self, places: &Places) -> io::Result<Vec<u8>> {
        let part = |section| self.part(section).expect("tables of frames have a header");
        let frames = self.file.section_by_name(".eh_frame").expect("tables of frames").index();
        let (start, header) = (part(Section::Copied(frames)).address, part(Section::EhFrameHeader).address);
        let contents = self.linked(frames, places)?;
        // An entry names its function by the distance from that field.
        let function =
            |at: usize| (start + at as u64 + 8).wrapping_add_signed(self.word(&contents, at + 8) as i32 as i64);
        let mut table: Vec<_> = self.frames().iter().map(|&at| (function(at), start + at as u64)).collect();
        table.sort();
        let signed = gimli::DW_EH_PE_sdata4.0;
        let encodings =
            [gimli::DW_EH_PE_pcrel.0 | signed, gimli::DW_EH_PE_udata4.0, gimli::DW_EH_PE_datarel.0 | signed];
        let mut bytes = [&[1], &encodings[..]].concat();
        let mut words = vec![start.wrapping_sub(header + 4) as u32, table.len() as u32];
        words.extend(
            table.iter().flat_map(|(function, entry)| [function, entry]).map(|to| to.wrapping_sub(header) as u32),
        );
        for word in words {
            let big = self.endian == Endianness::Big;
            bytes.extend(if big { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        Ok(bytes)
    }

    fn symbol(&self, symbol: &Symbol<'f>, name: StringId, places: &Places) -> io::Result<Sym> {
        let address = link::address(symbol, places).map_err(io::Error::other)?;
        let holds = |p: &&Part| match (p.section, symbol.section_index()) {
            (Section::Copied(index) | Section::Zeros(index), Some(section)) => index == section,
            (Section::Weights, section) => link::weights(self.file).map(|(weights, _)| weights) == section,
            _ => false,
        };
        let kind = if symbol.kind() == SymbolKind::Text { elf::STT_FUNC } else { elf::STT_OBJECT };
        let binding = if symbol.is_global() { elf::STB_GLOBAL } else { elf::STB_LOCAL };
        Ok(Sym {
            name: Some(name),
            section: self.parts.iter().find(holds).map(|p| p.index),
            st_info: (binding << 4) + kind,
            st_other: elf::STV_DEFAULT,
            st_shndx: 0,
            st_value: address,
            st_size: symbol.size(),
        })
    }

    fn write_section_headers(&self, writer: &mut Writer<'_>, names: &Names, local: usize) {
        writer.write_null_section_header();
        for (part, name) in self.parts.iter().zip(&names.sections) {
            match part.section {
                Section::GnuHash => writer.write_gnu_hash_section_header(part.address),
                Section::Dynsym => writer.write_dynsym_section_header(part.address, 1),
                Section::Dynstr => writer.write_dynstr_section_header(part.address),
                Section::Dynamic => writer.write_dynamic_section_header(part.address),
                section => writer.write_section_header(&self.section_header(part, section, *name)),
            }
        }
        writer.write_symtab_section_header(1 + local as u32);
        writer.write_strtab_section_header();
        writer.write_shstrtab_section_header();
    }

    fn section_header(&self, part: &Part, section: Section, name: StringId) -> SectionHeader {
        let (flags, kind) = match section {
            Section::Zeros(_) => (elf::SHF_WRITE, elf::SHT_NOBITS),
            _ if part.name == ".text" => (elf::SHF_EXECINSTR, elf::SHT_PROGBITS),
            _ => (0, elf::SHT_PROGBITS),
        };
        let align = match section {
            Section::Copied(index) | Section::Zeros(index) => self.section(index).align(),
            Section::Weights => weights::ALIGN,
            _ => 4,
        };
        SectionHeader {
            name: Some(name),
            sh_type: kind,
            sh_flags: (elf::SHF_ALLOC | flags).into(),
            sh_addr: part.address,
            sh_offset: part.offset,
            sh_size: part.size,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: align,
            sh_entsize: 0,
        }
    }
}

/// What the dynamic section says, its end included.
const DYNAMICS: usize = 7;

/// Places in the string tables, in the order of what they name.
struct Names {
    sections: Vec<StringId>,
    soname: StringId,
    dynamic: Vec<StringId>,
    global: Vec<StringId>,
    local: Vec<StringId>,
}

fn buckets(symbols: usize) -> u32 {
    (symbols / PER_BUCKET + 1) as u32
}

/// Words of the filter: 64 bits for a few names.
fn blooms(symbols: usize) -> u32 {
    (symbols.div_ceil(8).max(1) as u32).next_power_of_two()
}

fn machine(architecture: Architecture) -> u16 {
    match architecture {
        Architecture::X86_64 => elf::EM_X86_64,
        Architecture::Aarch64 => elf::EM_AARCH64,
        Architecture::Riscv64 => elf::EM_RISCV,
        Architecture::S390x => elf::EM_S390,
        other => panic!("{other:?} is not a target"),
    }
}
