//! A box of a tensor: which part of a variable an entry or a restore request means.
//!
//! Two spellings: the key of a stored slice (an ordered code of name, rank, and start and length of each axis), and the
//! text `98 1 0,98:0,1` of a restore request (the whole shape, then `start,length` or `-` per axis).

use std::fmt;

use smc_proto::{
    TensorSliceProto,
    tensor_slice_proto::{Extent, extent::HasLength},
};

/// Start and length along each axis; length `None` for the whole axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice(pub Vec<(u64, Option<u64>)>);

impl Slice {
    /// `None` when a number is negative.
    pub fn from_proto(slice: &TensorSliceProto) -> Option<Slice> {
        let axes = slice.extent.iter().map(|e| match e.has_length {
            None => Some((0, None)),
            Some(HasLength::Length(-1)) if e.start == 0 => Some((0, None)),
            Some(HasLength::Length(n)) => Some((e.start.try_into().ok()?, Some(n.try_into().ok()?))),
        });
        axes.collect::<Option<_>>().map(Slice)
    }

    pub fn to_proto(&self) -> TensorSliceProto {
        let extent = |&(start, length): &(u64, Option<u64>)| Extent {
            start: start as i64,
            has_length: length.map(|n| HasLength::Length(n as i64)),
        };
        TensorSliceProto { extent: self.0.iter().map(extent).collect() }
    }

    /// The shape and the part of a restore request; `None` when the text is not of that form.
    pub fn parse(text: &str) -> Option<(Vec<usize>, Slice)> {
        let mut words: Vec<_> = text.split(' ').collect();
        let part = words.pop()?;
        let shape = words.iter().map(|w| w.parse().ok()).collect::<Option<Vec<usize>>>()?;
        let part = if shape.is_empty() { Slice(vec![]) } else { Slice::parse_part(part)? };
        (part.0.len() == shape.len()).then_some((shape, part))
    }

    /// The part alone, as `Display` writes it; `None` when the text is not of that form.
    pub fn parse_part(text: &str) -> Option<Slice> {
        let axes = text.split(':').map(|axis| match axis.split_once(',') {
            None => (axis == "-").then_some((0, None)),
            Some((start, length)) => Some((start.parse().ok()?, Some(length.parse().ok()?))),
        });
        axes.collect::<Option<_>>().map(Slice)
    }

    /// Start and length of each axis within a shape; `None` when the box does not lie within.
    pub fn within(&self, shape: &[usize]) -> Option<Vec<(usize, usize)>> {
        if self.0.len() != shape.len() {
            return None;
        }
        let axis = |(&(start, length), &n): (&(u64, Option<u64>), &usize)| {
            let length = length.unwrap_or(n as u64);
            start.checked_add(length).filter(|&end| end <= n as u64)?;
            Some((start as usize, length as usize))
        };
        self.0.iter().zip(shape).map(axis).collect()
    }

    /// The key under which a bundle stores this part of the tensor `name`.
    pub fn key(&self, name: &[u8]) -> Vec<u8> {
        let mut key = Vec::new();
        write_unsigned(&mut key, 0);
        write_bytes(&mut key, name);
        write_unsigned(&mut key, self.0.len() as u64);
        for &(start, length) in &self.0 {
            write_signed(&mut key, start as i64);
            write_signed(&mut key, length.map_or(-1, |n| n as i64));
        }
        key
    }
}

/// As in a restore request, without the shape: `0,98:-`.
impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axis = |(start, length): &(u64, Option<u64>)| length.map_or("-".into(), |n| format!("{start},{n}"));
        f.write_str(&self.0.iter().map(axis).collect::<Vec<_>>().join(":"))
    }
}

/// The number of significant bytes, then these, most significant first.
fn write_unsigned(out: &mut Vec<u8>, n: u64) {
    let bytes = n.to_be_bytes();
    let significant = &bytes[n.leading_zeros() as usize / 8..];
    out.push(significant.len() as u8);
    out.extend(significant);
}

/// Zero bytes become 00 FF, FF becomes FF 00; 00 01 ends the text.
fn write_bytes(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        out.push(byte);
        match byte {
            0 => out.push(0xff),
            0xff => out.push(0),
            _ => {}
        }
    }
    out.extend([0, 1]);
}

/// A number of n bytes starts with n one bits and a zero bit, then its two's complement; negative numbers are inverted.
fn write_signed(out: &mut Vec<u8>, n: i64) {
    let magnitude = if n < 0 { !n } else { n } as u64;
    // Each byte of length holds seven bits, one of which is the sign.
    let significant = 64 - magnitude.leading_zeros() as usize + 1;
    let len = significant.div_ceil(7);
    let mut bytes = [if n < 0 { 0xff } else { 0 }; 10];
    bytes[2..].copy_from_slice(&n.to_be_bytes());
    let tail = &mut bytes[10 - len..];
    // The header's one bits, aligned to the most significant bit; for negative numbers they are inverted to zeros.
    let header = (u16::MAX << (16 - len)).to_be_bytes();
    tail[0] ^= header[0];
    if len > 1 {
        tail[1] ^= header[1];
    }
    out.extend(tail.iter());
}

#[test]
fn keys_are_ordered_codes() {
    let slice = Slice(vec![(0, Some(4)), (0, Some(2))]);
    assert_eq!(slice.key(b"w"), b"\x00w\x00\x01\x01\x02\x80\x84\x80\x82");
    let signed = |n| {
        let mut out = vec![];
        write_signed(&mut out, n);
        out
    };
    assert_eq!(signed(-1), [0x7f]);
    assert_eq!(signed(63), [0xbf]);
    assert_eq!(signed(64), [0xc0, 0x40]);
    assert_eq!(signed(-64), [0x40]);
    assert_eq!(signed(-65), [0x3f, 0xbf]);
    assert_eq!(signed(8191), [0xdf, 0xff]);
    assert_eq!(signed(8192), [0xe0, 0x20, 0x00]);
    assert_eq!(signed(i64::MAX), [0xff, 0xc0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let keys: Vec<_> = [-70000, -65, -64, -1, 0, 63, 64, 1 << 20, 1 << 40, i64::MAX].map(signed).into();
    assert!(keys.is_sorted());
}

#[test]
fn requests_parse() {
    let (shape, slice) = Slice::parse("98 1 0,98:0,1").unwrap();
    assert_eq!(shape, [98, 1]);
    assert_eq!(slice.within(&shape), Some(vec![(0, 98), (0, 1)]));
    assert_eq!(Slice::parse_part(&slice.to_string()), Some(slice));
    assert_eq!(Slice::parse("4 6 -:2,3").unwrap().1.to_string(), "-:2,3");
    assert_eq!(Slice::parse("4 6 -:2,3").unwrap().1.within(&[4, 6]), Some(vec![(0, 4), (2, 3)]));
    assert_eq!(Slice::parse("4 2,3").unwrap().1.within(&[4]), None);
    for bad in ["", "4 6 0,4", "a 0,1", "4 0,x", "-1 0,1"] {
        assert!(Slice::parse(bad).is_none() || bad.is_empty(), "{bad}");
    }
    assert_eq!(Slice(vec![(u64::MAX, Some(2))]).within(&[4]), None);
}
