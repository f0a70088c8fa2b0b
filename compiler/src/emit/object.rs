//! Object files: code, weights and the descriptor, with nothing undefined but custom operators, and nothing writable but zeros: four bytes in
//! which an object with several CPU levels remembers which one its machine has, and eight for weights that are bound.
//!
//! Functions and data are declared and defined through Cranelift's object module. What it has no words for is added to
//! its product: unwind tables that position-independent links take, the weights, and distances of 64 bits to them.
//!
//! Every reference is relative to its own place and stays inside the object, so the object links into
//! position-independent and fixed executables, static ones, and shared libraries.

use std::{io, ops::Range};

use cranelift_codegen::binemit::Reloc;
use cranelift_module::{DataDescription, DataId, FuncId, Linkage, Module, ModuleReloc, ModuleRelocTarget};
use cranelift_object::{ObjectBuilder, ObjectModule, ObjectProduct};
use object::{
    Architecture, BinaryFormat, ReadRef, RelocationFlags, SectionFlags, SectionKind, SymbolFlags, SymbolScope, elf,
    macho,
    write::{self, MachOBuildVersion, Relocation, StandardSection, SymbolSection},
};
use target_lexicon::BinaryFormat as Format;

use super::{eh_frame, weights::Stored};
use crate::{
    entry::Reach,
    native::{Compiled, Fixup, Function, Symbol, Target},
};

/// A section of x86-64 ELF that may be more than 2 GB away from code.
const SHF_X86_64_LARGE: u32 = 0x1000_0000;
/// Alignment of the descriptor, whose widest fields have so many bytes.
const DESCRIPTOR_ALIGN: u64 = 8;

/// An object file to be written.
pub struct Object {
    object: write::Object<'static>,
    weights: Stored,
    /// Where the contents of the weights would be, if they were in memory once more.
    place: Option<*const u8>,
}

/// What an object holds besides code and weights.
pub struct Parts<'a> {
    /// The model's name, which the symbols start with.
    pub name: &'a str,
    pub descriptor: &'a [u8],
    /// What the code looks for in a file of weights; unused where it has them at hand.
    pub fingerprint: [u8; 32],
}

impl Object {
    /// The object of a model: its functions, the descriptor as the symbol `NAME_descriptor`, and its weights, unless the
    /// caller binds them. A `hollow` one has a symbol and a section for the weights, but not their bytes.
    pub fn new(target: &Target, compiled: &Compiled, weights: Stored, parts: &Parts<'_>, hollow: bool) -> Object {
        let mut writer = Writer::new(target, compiled, parts, &weights);
        writer.define_functions(compiled);
        writer.finish(target, compiled, weights, hollow)
    }

    /// The whole file in memory.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![];
        self.write(&mut bytes).unwrap_or_else(|error| panic!("writing an object to memory: {error}"));
        bytes
    }

    /// Writes the file. The weights go from where they are to `out`, without being in memory once more.
    pub fn write(&self, out: impl io::Write) -> io::Result<()> {
        let mut buffer = write::StreamingBuffer::new(io::BufWriter::new(out));
        let mut stream = Stream { out: &mut buffer, object: self, written: 0 };
        self.object.emit(&mut stream).map_err(|error| io::Error::other(error.to_string()))?;
        assert!(self.place.is_none() || stream.written == 1, "the weights are written once");
        buffer.flush()
    }

    /// The file without its weights.
    pub fn outline(&self) -> Outline {
        let mut sketch = Sketch { outline: Outline::default(), object: self };
        self.object.emit(&mut sketch).unwrap_or_else(|error| panic!("writing an object to memory: {error}"));
        sketch.outline
    }

    /// Bytes of the whole file.
    pub fn size(&self) -> u64 {
        let mut count = Count(0);
        self.write(&mut count).unwrap_or_else(|error| panic!("counting the bytes of an object: {error}"));
        count.0
    }

    pub fn weights(&self) -> &Stored {
        &self.weights
    }
}

/// An object file in which the weights are a hole, so that it can be read without them.
#[derive(Debug, Default)]
pub struct Outline {
    before: Vec<u8>,
    hole: u64,
    behind: Vec<u8>,
}

impl Outline {
    /// Bytes of the whole file.
    pub fn bytes(&self) -> u64 {
        self.before.len() as u64 + self.hole + self.behind.len() as u64
    }

    /// What is there from this place on: up to the hole, or to the end.
    fn from(&self, at: u64) -> Option<&[u8]> {
        let behind = self.before.len() as u64 + self.hole;
        match at.checked_sub(behind) {
            Some(at) => self.behind.get(usize::try_from(at).ok()?..),
            None => self.before.get(usize::try_from(at).ok()?..),
        }
    }
}

impl<'a> ReadRef<'a> for &'a Outline {
    fn len(self) -> Result<u64, ()> {
        Ok(self.bytes())
    }
    fn read_bytes_at(self, at: u64, size: u64) -> Result<&'a [u8], ()> {
        self.from(at).and_then(|bytes| bytes.get(..usize::try_from(size).ok()?)).ok_or(())
    }
    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let bytes = self.from(range.start).ok_or(())?;
        let most = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX).min(bytes.len());
        let end = bytes[..most].iter().position(|&byte| byte == delimiter).ok_or(())?;
        Ok(&bytes[..end])
    }
}

/// Writes an outline.
struct Sketch<'a> {
    outline: Outline,
    object: &'a Object,
}

impl Sketch<'_> {
    fn part(&mut self) -> &mut Vec<u8> {
        if self.outline.hole == 0 { &mut self.outline.before } else { &mut self.outline.behind }
    }
}

impl write::WritableBuffer for Sketch<'_> {
    fn len(&self) -> usize {
        self.outline.bytes() as usize
    }
    fn reserve(&mut self, _: usize) -> Result<(), ()> {
        Ok(())
    }
    fn resize(&mut self, len: usize) {
        let more = len - write::WritableBuffer::len(self);
        let part = self.part();
        part.resize(part.len() + more, 0);
    }
    fn write_bytes(&mut self, bytes: &[u8]) {
        if self.object.place == Some(bytes.as_ptr()) {
            self.outline.hole = bytes.len() as u64;
        } else {
            self.part().extend_from_slice(bytes);
        }
    }
}

/// Counts what is written.
pub(super) struct Count(pub u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an object is written to: puts the weights where the object has a section for them.
struct Stream<'a, W: io::Write> {
    out: &'a mut write::StreamingBuffer<W>,
    object: &'a Object,
    written: usize,
}

impl<W: io::Write> write::WritableBuffer for Stream<'_, W> {
    fn len(&self) -> usize {
        self.out.len()
    }
    fn reserve(&mut self, size: usize) -> Result<(), ()> {
        self.out.reserve(size)
    }
    fn resize(&mut self, len: usize) {
        self.out.resize(len);
    }
    fn write_bytes(&mut self, bytes: &[u8]) {
        if self.object.place == Some(bytes.as_ptr()) {
            self.object.weights.each_part(&mut |part| self.out.write_bytes(part));
            self.written += 1;
        } else {
            self.out.write_bytes(bytes);
        }
    }
}

/// An object under construction.
struct Writer {
    module: ObjectModule,
    /// By the number of the function.
    functions: Vec<FuncId>,
    /// By the number of the function that the object calls and does not have.
    foreign: Vec<FuncId>,
    /// Where each function lies in the code.
    places: Vec<u64>,
    weights: Option<DataId>,
    distance: Option<DataId>,
    bound: Option<DataId>,
    fingerprint: Option<DataId>,
    cpu: Option<DataId>,
    format: BinaryFormat,
}

impl Writer {
    /// Declares everything, and defines the data but for the weights.
    fn new(target: &Target, compiled: &Compiled, parts: &Parts<'_>, weights: &Stored) -> Writer {
        let isa = target.lowest().isa().clone();
        let format = match isa.triple().binary_format {
            Format::Elf => BinaryFormat::Elf,
            Format::Macho => BinaryFormat::MachO,
            Format::Coff => BinaryFormat::Coff,
            other => panic!("{other} is not an object format"),
        };
        let least = u64::from(isa.function_alignment().minimum).max(isa.symbol_alignment());
        let calls = |call| panic!("machine code calls {call}");
        let builder = ObjectBuilder::new(isa, parts.name, Box::new(calls)).expect("an object format of the target");
        let mut module = ObjectModule::new(builder);
        let signature = module.make_signature();
        let mut declare = |f: &Function| {
            let linkage = if f.exported { Linkage::Export } else { Linkage::Local };
            module.declare_function(&f.name, linkage, &signature).expect("functions have names of their own")
        };
        let functions = compiled.functions.iter().map(&mut declare).collect();
        let mut import = |name: &String| {
            let declared = module.declare_function(name, Linkage::Import, &signature);
            declared.expect("custom operators have names of their own")
        };
        let foreign = compiled.foreign.iter().map(&mut import).collect();
        let mut end = 0;
        let place = |f: &Function| {
            let at = u64::next_multiple_of(end, f.code.align.max(least));
            end = at + f.code.bytes.len() as u64;
            at
        };
        let places = compiled.functions.iter().map(place).collect();
        let mut writer = Writer {
            module,
            functions,
            foreign,
            places,
            weights: None,
            distance: None,
            bound: None,
            fingerprint: None,
            cpu: None,
            format,
        };
        writer.define_data(compiled, parts, weights);
        writer
    }

    fn define_data(&mut self, compiled: &Compiled, parts: &Parts<'_>, weights: &Stored) {
        let constant = |bytes: &[u8], align| {
            let mut data = DataDescription::new();
            data.define(bytes.into());
            data.set_align(align);
            data
        };
        let zeros = |bytes: usize| {
            let mut data = DataDescription::new();
            data.define_zeroinit(bytes);
            data.set_align(bytes as u64);
            data
        };
        self.define(
            format!("{}_descriptor", parts.name),
            Linkage::Export,
            false,
            &constant(parts.descriptor, DESCRIPTOR_ALIGN),
        );
        if compiled.reach != Reach::Bound {
            let name = self.local_name(parts.name, "weights");
            self.weights = Some(match weights.bytes() {
                0 => self.define(name, Linkage::Local, false, &constant(&[], 1)),
                _ => {
                    // The module knows them from elsewhere; the product gets their definition.
                    let id = self.module.declare_data(&name, Linkage::Import, false, false);
                    id.expect("data have names of their own")
                }
            });
        }
        let mut local = |symbol: Symbol, what: &str, writable: bool, data: &DataDescription| {
            compiled.refers_to(symbol).then(|| {
                let name = self.local_name(parts.name, what);
                self.define(name, Linkage::Local, writable, data)
            })
        };
        let cpu = local(Symbol::Cpu, "cpu_level", true, &zeros(4));
        let bound = local(Symbol::Bound, "bound_weights", true, &zeros(8));
        let fingerprint = local(Symbol::Fingerprint, "weights_fingerprint", false, &constant(&parts.fingerprint, 8));
        let distance = local(Symbol::Distance, "weights_distance", false, &constant(&[0; 8], 8));
        (self.cpu, self.bound, self.fingerprint, self.distance) = (cpu, bound, fingerprint, distance);
    }

    /// The name of a datum that only the object sees. A signature may be called like it.
    fn local_name(&self, model: &str, what: &str) -> String {
        let name = format!("{model}_{what}");
        if self.module.get_name(&name).is_some() { format!("{name}.data") } else { name }
    }

    fn define(&mut self, name: String, linkage: Linkage, writable: bool, data: &DataDescription) -> DataId {
        let id = self.module.declare_data(&name, linkage, writable, false).expect("data have names of their own");
        self.module.define_data(id, data).expect("data are defined once");
        id
    }

    fn define_functions(&mut self, compiled: &Compiled) {
        for (n, function) in compiled.functions.iter().enumerate() {
            let mut bytes = function.code.bytes.clone();
            let mut open = vec![];
            for fixup in &function.code.fixups {
                let within = self.distance_within(n, fixup.symbol);
                if !within.is_some_and(|distance| fill_in(&mut bytes, fixup, distance)) {
                    open.push(ModuleReloc {
                        offset: fixup.offset,
                        kind: fixup.kind,
                        name: self.target(compiled, n, fixup.symbol),
                        addend: fixup.addend,
                    });
                }
            }
            let defined = self.module.define_function_bytes(self.functions[n], function.code.align, &bytes, &open);
            defined.expect("functions are defined once");
        }
    }

    /// How far a place in the code is from the start of function `n`, where no linker moves it.
    fn distance_within(&self, n: usize, symbol: Symbol) -> Option<i64> {
        match symbol {
            // Linkers for macOS take functions apart.
            Symbol::Function(to) if self.format != BinaryFormat::MachO || to == n => {
                Some(self.places[to] as i64 - self.places[n] as i64)
            }
            Symbol::Here(offset) => Some(i64::from(offset)),
            _ => None,
        }
    }

    /// What a reference in function `n` is to, as the module names it.
    fn target(&self, compiled: &Compiled, n: usize, symbol: Symbol) -> ModuleRelocTarget {
        let datum = |id: Option<DataId>| id.expect("what code refers to is there").into();
        match symbol {
            // In a shared library an exported symbol may be replaced by another's, so nothing inside refers to it.
            Symbol::Function(to) if compiled.functions[to].exported && self.format == BinaryFormat::Elf => {
                ModuleRelocTarget::FunctionOffset(self.functions[to], 0)
            }
            Symbol::Function(to) => self.functions[to].into(),
            Symbol::Foreign(n) => self.foreign[n].into(),
            Symbol::Here(offset) => ModuleRelocTarget::FunctionOffset(self.functions[n], offset),
            Symbol::Weights => datum(self.weights),
            Symbol::Distance => datum(self.distance),
            Symbol::Bound => datum(self.bound),
            Symbol::Fingerprint => datum(self.fingerprint),
            Symbol::Cpu => datum(self.cpu),
        }
    }

    /// Adds to the module's product what the module has no words for.
    fn finish(self, target: &Target, compiled: &Compiled, weights: Stored, hollow: bool) -> Object {
        let mut product = self.module.finish();
        let mut place = None;
        if let (Some(id), true) = (self.weights, weights.bytes() > 0) {
            place = define_weights(&mut product, id, compiled.reach, weights.bytes(), hollow);
        }
        if let (Some(from), Some(to)) = (self.distance, self.weights) {
            measure(&mut product, from, to);
        }
        for (function, id) in compiled.functions.iter().zip(&self.functions) {
            name_again(&mut product, *id, &function.aliases);
        }
        let code = product.object.section_id(StandardSection::Text);
        for (function, &at) in self.functions.iter().zip(&self.places) {
            let symbol = product.function_symbol(*function);
            assert_eq!(product.object.symbol(symbol).value, at, "functions are defined in order");
        }
        match self.format {
            BinaryFormat::Elf => {
                let unwind: Vec<_> = compiled.functions.iter().zip(self.places).collect();
                eh_frame::add(&mut product.object, target, code, &unwind);
            }
            BinaryFormat::MachO => {
                let mut version = MachOBuildVersion::default();
                version.platform = macho::PLATFORM_MACOS;
                // macOS 11, the first that runs on both architectures.
                version.minos = 11 << 16;
                product.object.set_macho_build_version(version);
            }
            _ => {}
        }
        Object { object: product.object, weights, place }
    }
}

/// Adds symbols that are a function under other names.
fn name_again(product: &mut ObjectProduct, function: FuncId, names: &[String]) {
    let flags = match product.object.format() {
        // It does not begin what a linker may move.
        BinaryFormat::MachO => SymbolFlags::MachO { n_desc: macho::N_ALT_ENTRY },
        _ => SymbolFlags::None,
    };
    for name in names {
        let &write::Symbol { value, size, kind, scope, weak, section, .. } =
            product.object.symbol(product.function_symbol(function));
        let name = name.clone().into_bytes();
        product.object.add_symbol(write::Symbol { name, value, size, kind, scope, weak, section, flags });
    }
}

/// Gives the weights a section, which holds zeros that nobody reads: memory that was never touched takes none. Returns
/// where these are.
fn define_weights(
    product: &mut ObjectProduct,
    id: DataId,
    reach: Reach,
    bytes: u64,
    hollow: bool,
) -> Option<*const u8> {
    let symbol = product.data_symbol(id);
    let object = &mut product.object;
    let (segment, name) = super::weights::section(object.format(), reach);
    let section = object.add_section(segment.into(), name.into(), SectionKind::ReadOnlyData);
    let x86 = object.architecture() == Architecture::X86_64;
    if let (Reach::Far, true, SectionFlags::Elf { sh_flags }) = (reach, x86, object.section_flags_mut(section)) {
        *sh_flags |= u64::from(SHF_X86_64_LARGE);
    }
    let contents = if hollow { vec![] } else { vec![0; bytes as usize] };
    object.set_section_data(section, contents, super::weights::ALIGN);
    let place = (!hollow).then(|| object.section(section).data().as_ptr());
    let symbol = object.symbol_mut(symbol);
    symbol.section = SymbolSection::Section(section);
    symbol.scope = SymbolScope::Compilation;
    symbol.size = bytes;
    place
}

/// Lets the datum `from` hold its distance to `to`.
fn measure(product: &mut ObjectProduct, from: DataId, to: DataId) {
    let (from, to) = (product.data_symbol(from), product.data_symbol(to));
    let datum = product.object.symbol(from);
    let (section, offset) = (datum.section.id().expect("the datum is defined"), datum.value);
    let r_type = match product.object.architecture() {
        Architecture::X86_64 => elf::R_X86_64_PC64,
        Architecture::Aarch64 => elf::R_AARCH64_PREL64,
        Architecture::S390x => elf::R_390_PC64,
        other => panic!("objects for {other:?} have their weights near"),
    };
    let flags = RelocationFlags::Elf { r_type };
    let relocation = Relocation { offset, symbol: to, addend: 0, flags };
    product.object.add_relocation(section, relocation).expect("large objects are ELF");
}

/// Fills in a reference to what is `distance` from the function's start, where no linker needs to know of it.
fn fill_in(bytes: &mut [u8], fixup: &Fixup, distance: i64) -> bool {
    let near = matches!(fixup.kind, Reloc::X86PCRel4 | Reloc::X86CallPCRel4 | Reloc::X86CallPLTRel4);
    let at = fixup.offset as usize;
    let distance = i32::try_from(distance + fixup.addend - at as i64);
    if let (true, Ok(distance)) = (near, distance) {
        bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        return true;
    }
    false
}
