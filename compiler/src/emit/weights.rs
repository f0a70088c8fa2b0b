//! The weights as they are stored: at their offsets, in the target's byte order, in an object or in a file of their own.

use std::io;

use sha2::{Digest, Sha256};
use smc_runtime::weights as file;
use target_lexicon::{Architecture, BinaryFormat, Triple};

use crate::{
    entry::Reach,
    native::{Compiled, Symbol},
    plan::Weights,
    tensor::DType,
};

/// Alignment of the weights, which is that of a cache line.
pub const ALIGN: u64 = file::ALIGN as u64;
/// Bytes that are put into another byte order at a time: a multiple of any element's.
const PART: usize = 1 << 16;

/// Weights to be stored.
#[derive(Clone, Debug)]
pub struct Stored {
    weights: Weights,
    big_endian: bool,
}

impl Stored {
    pub fn new(weights: Weights, big_endian: bool) -> Stored {
        Stored { weights, big_endian }
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.weights.layout().1
    }

    /// All bytes in order, in parts of any length.
    pub fn each_part(&self, f: &mut dyn FnMut(&[u8])) {
        let mut end = 0;
        for ((_, weight), offset) in self.weights.all.iter().zip(self.weights.layout().0) {
            f(&[0; ALIGN as usize][..(offset - end) as usize]);
            end = offset + weight.bytes() as u64;
            let word = match weight.dtype() {
                DType::C64 => 4,
                DType::C128 | DType::Str => 8,
                dtype => dtype.size(),
            };
            weight.each_part(&mut |part| match self.big_endian && word > 1 {
                false => f(part),
                true => part.chunks(PART).for_each(|bytes| {
                    let mut bytes = bytes.to_vec();
                    bytes.chunks_exact_mut(word).for_each(<[u8]>::reverse);
                    f(&bytes);
                }),
            });
            f(weight.text());
        }
    }

    /// Writes the file of weights for the code that has this fingerprint.
    pub fn write_file(&self, fingerprint: &[u8; 32], mut out: impl io::Write) -> io::Result<()> {
        let ordered = |number: u64, bytes: usize| match self.big_endian {
            true => number.to_be_bytes()[8 - bytes..].to_vec(),
            false => number.to_le_bytes()[..bytes].to_vec(),
        };
        let size = file::HEADER as u64 + self.bytes();
        let start = [ordered(file::MAGIC.into(), 4), ordered(file::VERSION.into(), 4), ordered(size, 8)].concat();
        let mut header = [0; file::HEADER];
        header[..start.len()].copy_from_slice(&start);
        header[file::FINGERPRINT..].copy_from_slice(fingerprint);
        out.write_all(&header)?;
        let mut result = Ok(());
        self.each_part(&mut |part| {
            if result.is_ok() {
                result = out.write_all(part);
            }
        });
        result.and_then(|()| out.flush())
    }
}

/// What weights and code must agree on, as SHA-256: all machine code with its references, the layout of the weights, and
/// `interface`, the description of the model without its fingerprint. The values of weights are no part of it.
pub fn fingerprint(compiled: &Compiled, weights: &Weights, interface: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Each part with its length, so that no two sequences of parts are the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(interface);
    compiled.foreign.iter().for_each(|name| part(name.as_bytes()));
    for function in &compiled.functions {
        part(&function.code.bytes);
        for fixup in &function.code.fixups {
            let (what, number) = match fixup.symbol {
                Symbol::Function(n) => (0, n as u64),
                Symbol::Here(offset) => (1, offset.into()),
                Symbol::Weights => (2, 0),
                Symbol::Distance => (3, 0),
                Symbol::Bound => (4, 0),
                Symbol::Fingerprint => (5, 0),
                Symbol::Cpu => (6, 0),
                Symbol::Foreign(n) => (7, n as u64),
            };
            let numbers = [u64::from(fixup.offset), fixup.addend as u64, what, number];
            part(&numbers.map(u64::to_le_bytes).concat());
        }
    }
    let (offsets, total) = weights.layout();
    for (offset, (_, weight)) in offsets.into_iter().zip(weights.all.iter()) {
        part(&offset.to_le_bytes());
        part(weight.dtype().to_string().as_bytes());
    }
    part(&total.to_le_bytes());
    hash.finalize().into()
}

/// The segment and the section of an object of this format that hold the weights, and nothing else.
pub fn section(format: object::BinaryFormat, reach: Reach) -> (&'static str, &'static str) {
    match (format, reach) {
        (object::BinaryFormat::MachO, _) => ("__TEXT", "__weights"),
        (object::BinaryFormat::Coff, _) => ("", ".rdata$weights"),
        (_, Reach::Far) => ("", ".lrodata"),
        _ => ("", ".rodata.weights"),
    }
}

/// How code finds weights of so many bytes in an object of this target, or in a shared library, or why it cannot.
pub fn reach(bytes: u64, triple: &Triple, shared: bool) -> Result<Reach, String> {
    // Linkers put large sections behind everything else where the format has them, and so do the libraries made here.
    let far = triple.binary_format == BinaryFormat::Elf
        && match triple.architecture {
            Architecture::X86_64 => true,
            Architecture::Aarch64(_) | Architecture::S390x => shared,
            _ => false,
        };
    match () {
        _ if bytes <= NEAR => Ok(Reach::Near),
        _ if far => Ok(Reach::Far),
        _ if bytes <= MOST => Ok(Reach::Near),
        _ => Err(format!(
            "weights of {:.1} GB are too large for an object of {triple}: its code reaches 2 GB",
            bytes as f64 / 1e9
        )),
    }
}

/// Weights that leave room for what else a program has within the reach of its instructions: 256 MB.
const NEAR: u64 = 1 << 28;
/// Weights that an instruction still reaches, with 64 MB of code and data beside them.
const MOST: u64 = (1 << 31) - (1 << 26);
