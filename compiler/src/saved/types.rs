//! TensorFlow's element types and shapes, and which of them the compiler's own [`DType`] can hold.

use std::fmt;

use serde::{Serialize, Serializer};
use smc_proto::{DataType, TensorShapeProto};

use crate::tensor::{DType, Narrow, Tensor};

/// The type a reference to a variable refers to; other numbers are unchanged.
pub fn base_type(number: i32) -> i32 {
    if number > 100 { number - 100 } else { number }
}

/// The data type behind a number of the file, references stripped; `DtInvalid` for a number of a newer TensorFlow.
pub fn data_type(number: i32) -> DataType {
    DataType::try_from(base_type(number)).unwrap_or(DataType::DtInvalid)
}

/// The compiler's type for values of a TensorFlow type, or `None` for handles, quantised types and [`narrow_type`]s.
pub fn host_type(dtype: DataType) -> Option<DType> {
    Some(match dtype {
        DataType::DtBool => DType::Bool,
        DataType::DtInt8 => DType::I8,
        DataType::DtInt16 => DType::I16,
        DataType::DtInt32 => DType::I32,
        DataType::DtInt64 => DType::I64,
        DataType::DtUint8 => DType::U8,
        DataType::DtUint16 => DType::U16,
        DataType::DtUint32 => DType::U32,
        DataType::DtUint64 => DType::U64,
        DataType::DtHalf => DType::F16,
        DataType::DtBfloat16 => DType::BF16,
        DataType::DtFloat => DType::F32,
        DataType::DtDouble => DType::F64,
        DataType::DtComplex64 => DType::C64,
        DataType::DtComplex128 => DType::C128,
        DataType::DtString => DType::Str,
        _ => return None,
    })
}

/// The type below the compiler's own that a TensorFlow type is. TensorFlow has no conversions for its other small types.
pub fn narrow_type(dtype: DataType) -> Option<Narrow> {
    Some(match dtype {
        DataType::DtInt4 => Narrow::I4,
        DataType::DtUint4 => Narrow::U4,
        DataType::DtFloat8E5m2 => Narrow::E5M2,
        DataType::DtFloat8E4m3fn => Narrow::E4M3FN,
        _ => return None,
    })
}

/// The type of the elements that hold values of a TensorFlow type.
pub fn held_type(dtype: DataType) -> Option<DType> {
    host_type(dtype).or_else(|| narrow_type(dtype).map(Narrow::held))
}

/// The tensor of a TensorFlow type's little-endian bytes. Panics when the type is not held, or the bytes do not fit.
pub(super) fn tensor_of(dtype: DataType, shape: Vec<usize>, bytes: Vec<u8>) -> Tensor {
    match narrow_type(dtype) {
        Some(narrow) => narrow.from_stored(shape, bytes),
        None => Tensor::from_bytes(host_type(dtype).expect("the type is held"), shape, bytes),
    }
}

/// The name the user knows: `float32`, `resource`.
pub fn type_name(dtype: DataType) -> String {
    match dtype {
        DataType::DtFloat => "float32".into(),
        DataType::DtDouble => "float64".into(),
        DataType::DtHalf => "float16".into(),
        other => other.as_str_name().trim_start_matches("DT_").to_lowercase(),
    }
}

/// The data type of a name in the operator table: `float`, `int32`.
pub(super) fn type_named(name: &str) -> Option<DataType> {
    DataType::from_str_name(&format!("DT_{}", name.to_uppercase()))
}

/// Extents, outermost first; `None` where the model leaves one open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TfShape(pub Option<Vec<Option<u64>>>);

impl TfShape {
    /// Not even the rank is known.
    pub const UNKNOWN: TfShape = TfShape(None);

    /// A missing message means unknown rank; every negative size means an unknown extent.
    pub fn from_proto(shape: Option<&TensorShapeProto>) -> TfShape {
        TfShape(shape.filter(|s| !s.unknown_rank).map(|s| s.dim.iter().map(|d| u64::try_from(d.size).ok()).collect()))
    }
    pub fn to_proto(&self) -> TensorShapeProto {
        use smc_proto::tensor_shape_proto::Dim;
        let dim = |d: &Option<u64>| Dim { size: d.map_or(-1, |n| n as i64) };
        TensorShapeProto { dim: self.0.iter().flatten().map(dim).collect(), unknown_rank: self.0.is_none() }
    }
    pub fn rank(&self) -> Option<usize> {
        self.0.as_ref().map(Vec::len)
    }
    /// The extents when all are known and fit.
    pub fn fixed(&self) -> Option<Vec<usize>> {
        self.0.as_ref()?.iter().map(|d| usize::try_from((*d)?).ok()).collect()
    }
    /// Whether a value of the given extents may stand here.
    pub fn admits(&self, extents: &[usize]) -> bool {
        self.0.as_ref().is_none_or(|dims| {
            dims.len() == extents.len() && dims.iter().zip(extents).all(|(d, &n)| d.is_none_or(|d| d == n as u64))
        })
    }
    /// Both shapes' knowledge; where they contradict each other, `self` is right.
    pub fn refined_by(self, other: &TfShape) -> TfShape {
        match (self.0, &other.0) {
            (None, _) => other.clone(),
            (Some(mine), Some(theirs)) if mine.len() == theirs.len() => {
                TfShape(Some(mine.into_iter().zip(theirs).map(|(a, b)| a.or(*b)).collect()))
            }
            (mine, _) => TfShape(mine),
        }
    }
}

/// `[?,28,28]`, or `[...]` when not even the rank is known.
impl fmt::Display for TfShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = &self.0 else { return f.write_str("[...]") };
        let dims: Vec<_> = dims.iter().map(|d| d.map_or("?".to_string(), |n| n.to_string())).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

/// What is known of a tensor in a TensorFlow graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TfType {
    pub dtype: DataType,
    pub shape: TfShape,
}

impl TfType {
    /// The compiler's element type; `None` for handles and the like.
    pub fn host(&self) -> Option<DType> {
        host_type(self.dtype)
    }
}

impl fmt::Display for TfType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", type_name(self.dtype), self.shape)
    }
}

/// A list of extents, `null` where unknown; `null` as a whole for unknown rank.
impl Serialize for TfShape {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

#[test]
fn shapes_refine_and_print() {
    let known = TfShape(Some(vec![None, Some(28)]));
    assert_eq!(known.clone().refined_by(&TfShape(Some(vec![Some(3), Some(5)]))).to_string(), "[3,28]");
    assert_eq!(TfShape::UNKNOWN.refined_by(&known), known);
    assert!(known.admits(&[7, 28]) && !known.admits(&[28]) && TfShape::UNKNOWN.admits(&[1]));
    assert_eq!(TfShape::from_proto(Some(&known.to_proto())), known);
}

#[test]
fn references_are_stripped() {
    assert_eq!(data_type(101), DataType::DtFloat);
    assert_eq!(data_type(9999), DataType::DtInvalid);
    assert_eq!(type_name(data_type(3)), "int32");
    assert_eq!(type_named("float"), Some(DataType::DtFloat));
}
