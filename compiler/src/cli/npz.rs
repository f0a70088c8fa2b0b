//! Tensors in numpy's files: `.npy` holds one array, `.npz` a zip of named ones.
//!
//! Byte strings (`S`) and text (`U`, as UTF-8) are strings; a `V2` array is bf16, which numpy has no name for. Object
//! arrays are pickled Python and refused.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek, Write},
    path::Path,
};

use npyz::{DType as NpyType, NpyHeader, Order, TypeChar, TypeStr, npz};
use smc::{
    base::Diagnostic,
    tensor::{DType, Tensor},
};

/// Arrays larger than this are refused: a corrupt header must not exhaust the memory.
const MAX_BYTES: u64 = 1 << 36;

/// How a `.npy` file begins.
const ARRAY: &[u8] = b"\x93NUMPY";

/// How a `.npz` file begins: as every zip.
const ARCHIVE: &[u8] = b"PK";

/// The array in a `.npy` file.
pub fn read_npy(path: &Path) -> Result<Tensor, Diagnostic> {
    let mut file = File::open(path).map_err(|e| at(path, e))?;
    if starts_with(&mut file, ARCHIVE).map_err(|e| at(path, e))? {
        return Err(at(path, "it is an archive of arrays").help("give it whole: --inputs FILE.npz"));
    }
    if !starts_with(&mut file, ARRAY).map_err(|e| at(path, e))? {
        return Err(at(path, "it is no array of numpy").help("numpy.save(FILE, array) writes one"));
    }
    read_array(&mut BufReader::new(file)).map_err(|e| at(path, e))
}

/// The arrays in a `.npz` file with their names, in the file's order.
pub fn read_npz(path: &Path) -> Result<Vec<(String, Tensor)>, Diagnostic> {
    let mut file = File::open(path).map_err(|e| at(path, e))?;
    if starts_with(&mut file, ARRAY).map_err(|e| at(path, e))? {
        let problem = at(path, "it is a single array, not an archive of named ones");
        let help = format!(
            "numpy.savez(FILE, **{{key: array}}) writes one; `smc run` takes one input as --input KEY={}",
            path.display()
        );
        return Err(problem.help(help));
    }
    if !starts_with(&mut file, ARCHIVE).map_err(|e| at(path, e))? {
        return Err(at(path, "it is no archive of arrays").help("numpy.savez(FILE, **{key: array}) writes one"));
    }
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| at(path, e))?;
    let mut arrays = vec![];
    for n in 0..archive.len() {
        let mut entry = archive.by_index(n).map_err(|e| at(path, e))?;
        let Some(name) = npz::array_name_from_file_name(entry.name()).map(str::to_owned) else { continue };
        let tensor = read_array(&mut entry).map_err(|e| at(path, format!("array `{name}`: {e}")))?;
        arrays.push((name, tensor));
    }
    Ok(arrays)
}

/// What numpy calls a type.
pub fn numpy_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::F16 => "float16",
        DType::BF16 => "V2",
        DType::F32 => "float32",
        DType::F64 => "float64",
        DType::C64 => "complex64",
        DType::C128 => "complex128",
        DType::Str => "S",
    }
}

/// The bytes of a `.npz` file with these arrays.
pub fn npz_bytes(arrays: &[(String, Tensor)]) -> io::Result<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    // A fixed time keeps the bytes a function of the arrays.
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .large_file(true);
    for (name, tensor) in arrays {
        writer.start_file(npz::file_name_from_array_name(name), options)?;
        writer.write_all(&npy_bytes(tensor))?;
    }
    Ok(writer.finish()?.into_inner())
}

/// Whether a file begins so; reading starts at its beginning again.
fn starts_with(file: &mut File, magic: &[u8]) -> io::Result<bool> {
    let mut start = vec![];
    (&mut *file).take(magic.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == magic)
}

fn at(path: &Path, e: impl ToString) -> Diagnostic {
    Diagnostic::error(format!("cannot read the array file: {}", e.to_string())).in_file(path.display())
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

fn read_array(reader: &mut impl Read) -> io::Result<Tensor> {
    let header = header_bytes(reader)?;
    // `npyz` has no name for this type.
    if header.windows(4).any(|part| part == b"'|O'") {
        let help = "save numbers in one type (array.astype('float32')) and strings as bytes (array.astype('S'))";
        return Err(invalid(format!("arrays of Python objects are not read: {help}")));
    }
    let header = NpyHeader::from_reader(&header[..])?;
    let NpyType::Plain(ty) = header.dtype() else { return Err(invalid("structured arrays are not tensors")) };
    let shape: Vec<usize> = header.shape().iter().map(|&n| n as usize).collect();
    let size = ty.num_bytes().ok_or_else(|| invalid(format!("element type `{ty}` has no size")))?;
    let count = header.shape().iter().try_fold(1u64, |n, &d| n.checked_mul(d));
    let total = count.and_then(|n| n.checked_mul(size as u64)).filter(|&n| n <= MAX_BYTES);
    let total = total.ok_or_else(|| invalid(format!("the shape {shape:?} is too large")))?;
    let mut bytes = vec![];
    reader.take(total).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != total {
        return Err(invalid(format!("the data end after {} of {total} bytes", bytes.len())));
    }
    if header.order() == Order::Fortran {
        bytes = row_major(&bytes, &shape, size);
    }
    let big = ty.endianness() == npyz::Endianness::Big;
    match ty.type_char() {
        TypeChar::ByteStr => Ok(Tensor::from_strings(shape, chunks(&bytes, size).map(trimmed).collect())),
        TypeChar::UnicodeStr => {
            let strings = chunks(&bytes, size).map(|c| utf8(c, big)).collect::<io::Result<_>>()?;
            Ok(Tensor::from_strings(shape, strings))
        }
        _ => {
            let dtype = numeric(&ty).ok_or_else(|| invalid(format!("element type `{ty}` is not supported")))?;
            if big {
                let part = if dtype.is_complex() { size / 2 } else { size };
                bytes.chunks_exact_mut(part).for_each(<[u8]>::reverse);
            }
            if dtype == DType::Bool {
                bytes.iter_mut().for_each(|b| *b = (*b != 0) as u8);
            }
            Ok(Tensor::from_bytes(dtype, shape, bytes))
        }
    }
}

/// The bytes before an array's data.
fn header_bytes(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = [0; 8];
    reader.read_exact(&mut start)?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(invalid("it does not begin as a numpy array does"));
    }
    // The length has two bytes in version 1 of the format and four later.
    let mut length = vec![0; if start[6] == 1 { 2 } else { 4 }];
    reader.read_exact(&mut length)?;
    let bytes = length.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let mut text = vec![];
    reader.take(bytes).read_to_end(&mut text)?;
    Ok([&start[..], &length, &text].concat())
}

/// Elements of `size` bytes; numpy's empty strings have size 0, which then are one chunk each of nothing.
fn chunks(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(size.max(1))
}

fn trimmed(chunk: &[u8]) -> Vec<u8> {
    let end = chunk.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    chunk[..end].to_vec()
}

fn utf8(chunk: &[u8], big: bool) -> io::Result<Vec<u8>> {
    let point = |c: &[u8]| {
        let c = [c[0], c[1], c[2], c[3]];
        char::from_u32(if big { u32::from_be_bytes(c) } else { u32::from_le_bytes(c) })
    };
    let text: Option<String> = chunk.chunks_exact(4).map(point).collect();
    let text = text.ok_or_else(|| invalid("a string holds what is not Unicode"))?;
    Ok(text.trim_end_matches('\0').as_bytes().to_vec())
}

/// Column-major data in row-major order.
fn row_major(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    smc::tensor::for_each_index(shape, |ix| {
        let from = shape.iter().zip(ix).rev().fold(0, |acc, (n, i)| acc * n + i);
        out.extend_from_slice(&bytes[from * size..(from + 1) * size]);
    });
    out
}

fn numeric(ty: &TypeStr) -> Option<DType> {
    Some(match (ty.type_char(), ty.num_bytes()?) {
        (TypeChar::Bool, 1) => DType::Bool,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Int, 2) => DType::I16,
        (TypeChar::Int, 4) => DType::I32,
        (TypeChar::Int, 8) => DType::I64,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Uint, 2) => DType::U16,
        (TypeChar::Uint, 4) => DType::U32,
        (TypeChar::Uint, 8) => DType::U64,
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::Float, 4) => DType::F32,
        (TypeChar::Float, 8) => DType::F64,
        (TypeChar::Complex, 8) => DType::C64,
        (TypeChar::Complex, 16) => DType::C128,
        (TypeChar::RawData, 2) => DType::BF16,
        _ => return None,
    })
}

/// The bytes of a `.npy` file: a header in Python's words, then the elements, which tensors hold as such files do.
pub fn npy_bytes(t: &Tensor) -> Vec<u8> {
    let longest = (t.dtype == DType::Str).then(|| t.strings().iter().map(Vec::len).max().unwrap_or(0).max(1));
    let code = longest.map_or_else(|| code(t.dtype).to_string(), |longest| format!("|S{longest}"));
    let shape: String = t.shape.iter().map(|n| format!("{n}, ")).collect();
    let text = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    // The data begin at a multiple of 64.
    let start = (ARRAY.len() + 4 + text.len() + 1).next_multiple_of(64);
    let length = start - ARRAY.len() - 4;
    let mut out = [ARRAY, &[1, 0], &(length as u16).to_le_bytes(), text.as_bytes()].concat();
    out.resize(start - 1, b' ');
    out.push(b'\n');
    match longest {
        None => out.extend(t.bytes()),
        Some(longest) => t.strings().iter().for_each(|string| {
            out.extend(string);
            out.resize(out.len() + longest - string.len(), 0);
        }),
    }
    out
}

/// What the header calls a type of fixed size.
fn code(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "|b1",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::F16 => "<f2",
        DType::BF16 => "|V2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::C64 => "<c8",
        DType::C128 => "<c16",
        DType::Str => unreachable!("strings are as long as the longest one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(t: &Tensor) -> Tensor {
        read_array(&mut &npy_bytes(t)[..]).unwrap()
    }

    #[test]
    fn every_type_comes_back() {
        for dtype in DType::ALL.into_iter().filter(|d| *d != DType::Str) {
            let t = Tensor::from_bytes(dtype, [2, 3], (0..6 * dtype.size() as u8).map(|b| b % 2).collect());
            assert_eq!(round_trip(&t), t, "{dtype}");
            let empty = Tensor::zeros(dtype, [0, 3]);
            assert_eq!(round_trip(&empty), empty);
        }
        let strings = Tensor::from_strings([3], vec![b"a".to_vec(), vec![], b"longer".to_vec()]);
        assert_eq!(round_trip(&strings), strings);
    }

    #[test]
    fn short_data_are_refused() {
        let bytes = npy_bytes(&Tensor::from_f32([4], &[1.0; 4]));
        let e = read_array(&mut &bytes[..bytes.len() - 3]).unwrap_err();
        assert!(e.to_string().contains("end after 13 of 16"), "{e}");
    }

    #[test]
    fn archives_are_reproducible() {
        let arrays = [("x".to_string(), Tensor::from_f32([1], &[2.0]))];
        assert_eq!(npz_bytes(&arrays).unwrap(), npz_bytes(&arrays).unwrap());
    }
}
