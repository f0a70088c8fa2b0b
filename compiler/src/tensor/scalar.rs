//! One element, in the widest type of its kind.

use half::{bf16, f16};

use super::DType;

/// The value of one element of any numeric type. Narrow types are held widened; [`Scalar::wrap`] narrows them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    Bool(bool),
    /// Every signed integer type.
    Int(i64),
    /// Every unsigned integer type.
    Uint(u64),
    /// f16, bf16 and f32.
    F32(f32),
    F64(f64),
    /// c64.
    C64(f32, f32),
    C128(f64, f64),
    /// A string, by where its bytes begin in a [`super::Text`], or in memory, and how many there are.
    Span(u64, u64),
}

impl Scalar {
    /// Zero of a type; of strings, the empty one.
    pub fn zero(dtype: DType) -> Scalar {
        if dtype == DType::Str { Scalar::Span(0, 0) } else { Scalar::from_i64(dtype, 0) }
    }
    pub fn one(dtype: DType) -> Scalar {
        Scalar::from_i64(dtype, 1)
    }
    /// `n` in a type; integers wrap, bool is `n != 0`. Panics for strings.
    pub fn from_i64(dtype: DType, n: i64) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(n != 0),
            d if d.is_signed_int() => Scalar::Int(n).wrap(d),
            d if d.is_unsigned_int() => Scalar::Uint(n as u64).wrap(d),
            DType::F64 => Scalar::F64(n as f64),
            DType::C64 => Scalar::C64(n as f32, 0.0),
            DType::C128 => Scalar::C128(n as f64, 0.0),
            DType::Str => panic!("numbers are not strings"),
            d => Scalar::F32(n as f32).wrap(d),
        }
    }
    /// `x` rounded to a float type. Panics for other types.
    pub fn from_f64(dtype: DType, x: f64) -> Scalar {
        match dtype {
            DType::F64 => Scalar::F64(x),
            DType::F32 => Scalar::F32(x as f32),
            DType::F16 => Scalar::F32(f16::from_f64(x).to_f32()),
            DType::BF16 => Scalar::F32(bf16::from_f64(x).to_f32()),
            _ => panic!("{dtype} is not a float type"),
        }
    }
    /// The representable value of `dtype`: integers wrap around, floats round to nearest even.
    pub fn wrap(self, dtype: DType) -> Scalar {
        match (self, dtype) {
            (Scalar::Int(n), DType::I8) => Scalar::Int(n as i8 as i64),
            (Scalar::Int(n), DType::I16) => Scalar::Int(n as i16 as i64),
            (Scalar::Int(n), DType::I32) => Scalar::Int(n as i32 as i64),
            (Scalar::Uint(n), DType::U8) => Scalar::Uint(n as u8 as u64),
            (Scalar::Uint(n), DType::U16) => Scalar::Uint(n as u16 as u64),
            (Scalar::Uint(n), DType::U32) => Scalar::Uint(n as u32 as u64),
            (Scalar::F32(x), DType::F16) => Scalar::F32(f16::from_f32(x).to_f32()),
            (Scalar::F32(x), DType::BF16) => Scalar::F32(bf16::from_f32(x).to_f32()),
            (s, _) => s,
        }
    }
    /// The integer value; bool counts as 0 or 1. `None` for floats, and for a u64 past `i64::MAX`.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Scalar::Bool(b) => Some(b as i64),
            Scalar::Int(n) => Some(n),
            Scalar::Uint(n) => n.try_into().ok(),
            _ => None,
        }
    }
    /// The value as f64; complex numbers and strings give `None`. Integers past 2^53 round.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Scalar::Bool(b) => Some(b as u8 as f64),
            Scalar::Int(n) => Some(n as f64),
            Scalar::Uint(n) => Some(n as f64),
            Scalar::F32(x) => Some(x as f64),
            Scalar::F64(x) => Some(x),
            Scalar::C64(..) | Scalar::C128(..) | Scalar::Span(..) => None,
        }
    }
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Scalar::Bool(b) => Some(b),
            _ => None,
        }
    }
    /// Same kind and same bits: NaN equals the same NaN, 0.0 differs from -0.0.
    pub fn same_bits(self, other: Scalar) -> bool {
        match (self, other) {
            (Scalar::F32(a), Scalar::F32(b)) => a.to_bits() == b.to_bits(),
            (Scalar::F64(a), Scalar::F64(b)) => a.to_bits() == b.to_bits(),
            (Scalar::C64(a, b), Scalar::C64(c, d)) => (a.to_bits(), b.to_bits()) == (c.to_bits(), d.to_bits()),
            (Scalar::C128(a, b), Scalar::C128(c, d)) => (a.to_bits(), b.to_bits()) == (c.to_bits(), d.to_bits()),
            (a, b) => a == b,
        }
    }
    /// Appends the little-endian bytes of the value in `dtype`. Panics when the kind does not fit the type.
    pub fn write_le(self, dtype: DType, out: &mut Vec<u8>) {
        match (self.wrap(dtype), dtype) {
            (Scalar::Bool(b), DType::Bool) => out.push(b as u8),
            (Scalar::Int(n), d) if d.is_signed_int() => out.extend(&n.to_le_bytes()[..d.size()]),
            (Scalar::Uint(n), d) if d.is_unsigned_int() => out.extend(&n.to_le_bytes()[..d.size()]),
            (Scalar::F32(x), DType::F32) => out.extend(x.to_le_bytes()),
            (Scalar::F32(x), DType::F16) => out.extend(f16::from_f32(x).to_le_bytes()),
            (Scalar::F32(x), DType::BF16) => out.extend(bf16::from_f32(x).to_le_bytes()),
            (Scalar::F64(x), DType::F64) => out.extend(x.to_le_bytes()),
            (Scalar::C64(a, b), DType::C64) => [a, b].iter().for_each(|x| out.extend(x.to_le_bytes())),
            (Scalar::C128(a, b), DType::C128) => [a, b].iter().for_each(|x| out.extend(x.to_le_bytes())),
            (Scalar::Span(a, b), DType::Str) => [a, b].iter().for_each(|x| out.extend(x.to_le_bytes())),
            (s, d) => panic!("{s:?} is not a {d}"),
        }
    }
    /// Reads one element of `dtype` from exactly `dtype.size()` little-endian bytes.
    pub fn read_le(dtype: DType, bytes: &[u8]) -> Scalar {
        fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.try_into().expect("one element")
        }
        match dtype {
            DType::Bool => Scalar::Bool(bytes[0] != 0),
            DType::I8 => Scalar::Int(bytes[0] as i8 as i64),
            DType::I16 => Scalar::Int(i16::from_le_bytes(array(bytes)) as i64),
            DType::I32 => Scalar::Int(i32::from_le_bytes(array(bytes)) as i64),
            DType::I64 => Scalar::Int(i64::from_le_bytes(array(bytes))),
            DType::U8 => Scalar::Uint(bytes[0] as u64),
            DType::U16 => Scalar::Uint(u16::from_le_bytes(array(bytes)) as u64),
            DType::U32 => Scalar::Uint(u32::from_le_bytes(array(bytes)) as u64),
            DType::U64 => Scalar::Uint(u64::from_le_bytes(array(bytes))),
            DType::F16 => Scalar::F32(f16::from_le_bytes(array(bytes)).to_f32()),
            DType::BF16 => Scalar::F32(bf16::from_le_bytes(array(bytes)).to_f32()),
            DType::F32 => Scalar::F32(f32::from_le_bytes(array(bytes))),
            DType::F64 => Scalar::F64(f64::from_le_bytes(array(bytes))),
            DType::C64 => Scalar::C64(f32::from_le_bytes(array(&bytes[..4])), f32::from_le_bytes(array(&bytes[4..]))),
            DType::C128 => Scalar::C128(f64::from_le_bytes(array(&bytes[..8])), f64::from_le_bytes(array(&bytes[8..]))),
            DType::Str => Scalar::Span(u64::from_le_bytes(array(&bytes[..8])), u64::from_le_bytes(array(&bytes[8..]))),
        }
    }
}

/// As a person would write it: the shortest text that reads back as the same value.
impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Bool(b) => write!(f, "{b}"),
            Scalar::Int(n) => write!(f, "{n}"),
            Scalar::Uint(n) => write!(f, "{n}"),
            Scalar::F32(x) => write!(f, "{x}"),
            Scalar::F64(x) => write!(f, "{x}"),
            Scalar::C64(re, im) => write!(f, "{re}{im:+}i"),
            Scalar::C128(re, im) => write!(f, "{re}{im:+}i"),
            Scalar::Span(start, bytes) => write!(f, "{start}+{bytes}"),
        }
    }
}
