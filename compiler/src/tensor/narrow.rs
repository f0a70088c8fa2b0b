//! Elements of four bits and floats of eight: a model keeps and moves them, and computes with them after a conversion.
//!
//! Such an element is held as one byte of [`Narrow::held`], so that no primitive needs to know of it. A four-bit integer
//! has its value there, a float its bits. NVIDIA, Arm and Intel define the floats in "FP8 Formats for Deep Learning".

use super::{DType, Scalar, Tensor};

/// An element type that is no [`DType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    I4,
    U4,
    /// As f16 with two bits of mantissa.
    E5M2,
    /// Without infinities: only the greatest mantissa of the greatest exponent is NaN.
    E4M3FN,
}

/// How the bits of a small float are laid out: a sign, an exponent and `mantissa` bits of mantissa.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub mantissa: u32,
    pub bias: i32,
    /// The bits of the greatest finite number.
    pub greatest: u8,
    /// The bits that a number past the greatest becomes.
    pub beyond: u8,
    /// The bits of the NaN that conversions make.
    pub nan: u8,
}

impl Narrow {
    /// The type whose elements hold these.
    pub fn held(self) -> DType {
        if self == Narrow::I4 { DType::I8 } else { DType::U8 }
    }
    /// The name that people know.
    pub fn name(self) -> &'static str {
        match self {
            Narrow::I4 => "int4",
            Narrow::U4 => "uint4",
            Narrow::E5M2 => "float8_e5m2",
            Narrow::E4M3FN => "float8_e4m3fn",
        }
    }
    /// The layout of a float; `None` for integers.
    pub fn layout(self) -> Option<Layout> {
        match self {
            Narrow::I4 | Narrow::U4 => None,
            Narrow::E5M2 => Some(Layout { mantissa: 2, bias: 15, greatest: 0x7b, beyond: 0x7c, nan: 0x7e }),
            Narrow::E4M3FN => Some(Layout { mantissa: 3, bias: 7, greatest: 0x7e, beyond: 0x7f, nan: 0x7f }),
        }
    }
    /// The tensor of the bytes that a file holds, one per element. Of an integer the lower four bits count.
    pub fn from_stored(self, shape: impl Into<Vec<usize>>, mut bytes: Vec<u8>) -> Tensor {
        match self {
            Narrow::I4 => bytes.iter_mut().for_each(|b| *b = ((*b << 4) as i8 >> 4) as u8),
            Narrow::U4 => bytes.iter_mut().for_each(|b| *b &= 15),
            Narrow::E5M2 | Narrow::E4M3FN => {}
        }
        Tensor::from_bytes(self.held(), shape, bytes)
    }
}

impl Layout {
    /// The number with these bits, which f32 holds exactly.
    pub fn value(&self, bits: u8) -> f32 {
        let magnitude = bits & 0x7f;
        let (exponent, fraction) = (magnitude >> self.mantissa, magnitude & ((1 << self.mantissa) - 1));
        let unit = |exponent: i32| 2f32.powi(exponent - self.bias - self.mantissa as i32);
        let value = match magnitude {
            m if m <= self.greatest && exponent == 0 => fraction as f32 * unit(1),
            m if m <= self.greatest => (fraction + (1 << self.mantissa)) as f32 * unit(exponent.into()),
            m if m == self.beyond && self.beyond != self.nan => f32::INFINITY,
            _ => f32::NAN,
        };
        if bits & 0x80 == 0 { value } else { -value }
    }
    /// The numbers of all 256 patterns of bits, in order.
    pub fn values(&self) -> Tensor {
        Tensor::from_scalars(DType::F32, [256], (0..=u8::MAX).map(|bits| Scalar::F32(self.value(bits))))
    }
}

#[test]
fn small_floats_have_their_values() {
    let wide = Narrow::E5M2.layout().unwrap();
    let of = |layout: Layout, all: &[u8]| all.iter().map(|&b| layout.value(b)).collect::<Vec<_>>();
    assert_eq!(
        of(wide, &[0, 1, 4, 0x3c, 0xbe, 0x7b, 0x7c]),
        [0.0, 2f32.powi(-16), 2f32.powi(-14), 1.0, -1.5, 57344.0, f32::INFINITY]
    );
    let fine = Narrow::E4M3FN.layout().unwrap();
    assert_eq!(of(fine, &[0, 1, 8, 0x38, 0xbc, 0x7e]), [0.0, 2f32.powi(-9), 2f32.powi(-6), 1.0, -1.5, 448.0]);
    assert!(wide.value(0x7d).is_nan() && wide.value(0xff).is_nan() && fine.value(0x7f).is_nan());
    assert!(fine.value(0x80).is_sign_negative());
}

#[test]
fn the_lower_half_of_a_byte_is_the_integer() {
    assert_eq!(Narrow::I4.from_stored([3], vec![0x07, 0x08, 0xff]).to_i64s(), Some(vec![7, -8, -1]));
    assert_eq!(Narrow::U4.from_stored([2], vec![0x0f, 0x18]).to_i64s(), Some(vec![15, 8]));
}
