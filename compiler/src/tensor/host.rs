//! A tensor in the compiler's memory: weights, constants, cases and what the evaluator computes with.
//!
//! Numeric data is row-major little-endian bytes whatever the host; strings are byte vectors, or spans of a
//! [`super::Text`], which are numeric data. Cloning shares the data.

use std::{fmt, sync::Arc};

use super::{DType, Scalar, TensorType};
use crate::base::Dim;

/// Elements of one type under a shape.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    pub dtype: DType,
    pub shape: Vec<usize>,
    data: Data,
}

#[derive(Clone, PartialEq)]
enum Data {
    Bytes(Arc<Vec<u8>>),
    Strings(Arc<Vec<Vec<u8>>>),
}

impl Tensor {
    /// A numeric tensor, or one of spans, from its little-endian bytes. Panics when their number does not fit the type and shape.
    pub fn from_bytes(dtype: DType, shape: impl Into<Vec<usize>>, bytes: Vec<u8>) -> Tensor {
        let shape = shape.into();
        assert_eq!(bytes.len(), shape.iter().product::<usize>() * dtype.size(), "{dtype}{shape:?}");
        Tensor { dtype, shape, data: Data::Bytes(Arc::new(bytes)) }
    }
    /// A string tensor. Panics when the number of strings does not fit the shape.
    pub fn from_strings(shape: impl Into<Vec<usize>>, strings: Vec<Vec<u8>>) -> Tensor {
        let shape = shape.into();
        assert_eq!(strings.len(), shape.iter().product::<usize>());
        Tensor { dtype: DType::Str, shape, data: Data::Strings(Arc::new(strings)) }
    }
    /// The numeric tensor whose element at each index is `f(index)`.
    pub fn from_fn(dtype: DType, shape: impl Into<Vec<usize>>, mut f: impl FnMut(&[usize]) -> Scalar) -> Tensor {
        let shape = shape.into();
        let mut bytes = Vec::with_capacity(shape.iter().product::<usize>() * dtype.size());
        for_each_index(&shape, |ix| f(ix).write_le(dtype, &mut bytes));
        Tensor { dtype, shape, data: Data::Bytes(Arc::new(bytes)) }
    }
    /// A numeric tensor from its elements in row-major order.
    pub fn from_scalars(
        dtype: DType,
        shape: impl Into<Vec<usize>>,
        scalars: impl IntoIterator<Item = Scalar>,
    ) -> Tensor {
        let shape = shape.into();
        let mut bytes = Vec::with_capacity(shape.iter().product::<usize>() * dtype.size());
        scalars.into_iter().for_each(|s| s.write_le(dtype, &mut bytes));
        Tensor::from_bytes(dtype, shape, bytes)
    }
    pub fn scalar(dtype: DType, value: Scalar) -> Tensor {
        Tensor::from_scalars(dtype, [], [value])
    }
    pub fn from_f32(shape: impl Into<Vec<usize>>, values: &[f32]) -> Tensor {
        Tensor::from_scalars(DType::F32, shape, values.iter().map(|&x| Scalar::F32(x)))
    }
    pub fn from_i64(shape: impl Into<Vec<usize>>, values: &[i64]) -> Tensor {
        Tensor::from_scalars(DType::I64, shape, values.iter().map(|&x| Scalar::Int(x)))
    }
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Tensor {
        let shape = shape.into();
        let count = shape.iter().product::<usize>();
        if dtype == DType::Str {
            return Tensor::from_strings(shape, vec![vec![]; count]);
        }
        Tensor::from_bytes(dtype, shape, vec![0; count * dtype.size()])
    }

    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
    pub fn ty(&self) -> TensorType {
        TensorType::new(self.dtype, self.shape.iter().map(|&n| Dim::from(n)).collect::<Vec<_>>())
    }
    /// The row-major little-endian bytes. Panics for strings that are no spans.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Bytes(bytes) => bytes,
            Data::Strings(_) => panic!("a string tensor has no bytes"),
        }
    }
    /// The strings in row-major order. Panics for numeric tensors and for spans.
    pub fn strings(&self) -> &[Vec<u8>] {
        match &self.data {
            Data::Strings(strings) => strings,
            Data::Bytes(_) => panic!("a numeric tensor has no strings"),
        }
    }
    /// Whether it holds strings that are no spans.
    pub fn has_strings(&self) -> bool {
        matches!(self.data, Data::Strings(_))
    }
    /// Whether both share one allocation, which implies that they are equal but for dtype and shape.
    pub fn same_data(&self, other: &Tensor) -> bool {
        match (&self.data, &other.data) {
            (Data::Bytes(a), Data::Bytes(b)) => Arc::ptr_eq(a, b),
            (Data::Strings(a), Data::Strings(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
    /// The `n`-th element in row-major order.
    pub fn get(&self, n: usize) -> Scalar {
        let size = self.dtype.size();
        Scalar::read_le(self.dtype, &self.bytes()[n * size..(n + 1) * size])
    }
    /// The element at an index; panics outside the shape, on every axis.
    pub fn at(&self, ix: &[usize]) -> Scalar {
        assert!(
            ix.len() == self.shape.len() && ix.iter().zip(&self.shape).all(|(i, n)| i < n),
            "{ix:?} is outside {:?}",
            self.shape
        );
        self.get(flat_index(&self.shape, ix))
    }
    pub fn scalars(&self) -> impl ExactSizeIterator<Item = Scalar> + '_ {
        (0..self.count()).map(|n| self.get(n))
    }
    /// All elements as integers; `None` when one is not an integer or bool.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        if self.dtype == DType::Str {
            return None;
        }
        self.scalars().map(Scalar::as_i64).collect()
    }
    /// Whether no element is an infinity or NaN. Looks at the exponents alone, because there may be many millions.
    pub fn is_finite(&self) -> bool {
        let all = |size: usize, finite: fn(&[u8]) -> bool| self.bytes().chunks_exact(size).all(finite);
        match self.dtype {
            DType::F16 => all(2, |b| b[1] & 0x7c != 0x7c),
            DType::BF16 => all(2, |b| [b[0] & 0x80, b[1] & 0x7f] != [0x80, 0x7f]),
            DType::F32 | DType::C64 => all(4, |b| [b[2] & 0x80, b[3] & 0x7f] != [0x80, 0x7f]),
            DType::F64 | DType::C128 => all(8, |b| [b[6] & 0xf0, b[7] & 0x7f] != [0xf0, 0x7f]),
            _ => true,
        }
    }
    /// The same elements under another shape of the same count.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Tensor {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), self.count());
        Tensor { shape, ..self.clone() }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)?;
        match &self.data {
            Data::Strings(strings) => write!(f, " {:?}", strings.iter().take(8).collect::<Vec<_>>()),
            Data::Bytes(_) => write!(f, " {:?}", self.scalars().take(16).collect::<Vec<_>>()),
        }
    }
}

/// The row-major position of `ix`.
pub fn flat_index(shape: &[usize], ix: &[usize]) -> usize {
    shape.iter().zip(ix).fold(0, |acc, (n, i)| acc * n + i)
}

/// Calls `f` with every index of `shape` in row-major order.
pub fn for_each_index(shape: &[usize], mut f: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut ix = vec![0; shape.len()];
    loop {
        f(&ix);
        let Some(axis) = (0..shape.len()).rev().find(|&a| ix[a] + 1 < shape[a]) else { return };
        ix[axis] += 1;
        ix[axis + 1..].fill(0);
    }
}

#[test]
fn infinities_and_nan_are_seen() {
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        let finite = |x: f64| Tensor::scalar(dtype, Scalar::from_f64(dtype, x)).is_finite();
        assert!([0.0, -1.5, 65504.0 / 2.0, 6e-5].into_iter().all(finite), "{dtype}");
        assert!(![f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().any(finite), "{dtype}");
    }
}
