//! Constant tensors as a graph writes them: raw bytes, or a list of values whose last one repeats to the end.
//!
//! Invariant: the size a message claims is compared with a limit and with what it holds before anything is allocated.

use prost::Message;
use smc_proto::TensorProto;

use super::types::{TfShape, data_type, held_type, narrow_type, tensor_of, type_name};
use crate::tensor::{DType, Narrow, Scalar, Tensor};

/// How large a constant may grow from the few values that its message lists; one that is written out has no limit.
const MAX_GROWN: usize = 1 << 27;

/// The tensor a message describes, its narrow elements as they are held; the error says what is wrong with it.
pub fn decode(proto: &TensorProto) -> Result<Tensor, String> {
    let tf = data_type(proto.dtype);
    let dtype = held_type(tf).ok_or_else(|| format!("constants of type {} are not supported", type_name(tf)))?;
    // A constant without a shape is a scalar.
    let shape = proto.tensor_shape.as_ref().map_or(Some(vec![]), |s| TfShape::from_proto(Some(s)).fixed());
    let shape = shape.ok_or("a constant's shape is not fixed")?;
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or("a constant is too large")?;
    let unit = if dtype == DType::Str { size_of::<Vec<u8>>() } else { dtype.size() };
    let size = count.checked_mul(unit).ok_or("a constant is too large")?;
    // A zero among the extents must not hide that the others are absurd.
    shape.iter().filter(|d| **d > 0).try_fold(unit, |n, &d| n.checked_mul(d)).ok_or("a constant is too large")?;
    if proto.tensor_content.is_empty() && size > MAX_GROWN.max(proto.encoded_len().saturating_mul(64)) {
        return Err(format!("a constant {dtype}{shape:?} is too large for the values it lists"));
    }
    if dtype == DType::Str {
        let strings = proto.string_val.iter().map(|s| s.to_vec());
        return Ok(Tensor::from_strings(shape, splat(strings, count).unwrap_or_else(|| vec![vec![]; count])));
    }
    if !proto.tensor_content.is_empty() {
        if proto.tensor_content.len() != size {
            return Err(format!("a constant {dtype}{shape:?} has {} bytes", proto.tensor_content.len()));
        }
        return Ok(tensor_of(tf, shape, proto.tensor_content.to_vec()));
    }
    let values = match narrow_type(tf).and_then(Narrow::layout) {
        Some(_) => proto.float8_val.iter().take(count).map(|&bits| Scalar::Uint(bits.into())).collect(),
        None => listed(proto, dtype, count),
    };
    let mut bytes = Vec::with_capacity(size);
    match values.split_last() {
        None => bytes.resize(size, 0),
        Some((last, _)) => {
            values.iter().take(count).for_each(|v| v.write_le(dtype, &mut bytes));
            let mut element = Vec::new();
            last.write_le(dtype, &mut element);
            bytes.extend(element.repeat(count.saturating_sub(values.len())));
        }
    }
    Ok(tensor_of(tf, shape, bytes))
}

/// The tensor of a message that has no raw bytes and spells out every value.
pub fn decode_whole(proto: &TensorProto) -> Result<Tensor, String> {
    let tf = data_type(proto.dtype);
    let listed = match held_type(tf) {
        _ if narrow_type(tf).and_then(Narrow::layout).is_some() => proto.float8_val.len(),
        Some(DType::Bool) => proto.bool_val.len(),
        Some(DType::I8 | DType::I16 | DType::I32 | DType::U8 | DType::U16) => proto.int_val.len(),
        Some(DType::I64) => proto.int64_val.len(),
        Some(DType::U32) => proto.uint32_val.len(),
        Some(DType::U64) => proto.uint64_val.len(),
        Some(DType::F16 | DType::BF16) => proto.half_val.len(),
        Some(DType::F32) => proto.float_val.len(),
        Some(DType::F64) => proto.double_val.len(),
        Some(DType::C64) => proto.scomplex_val.len() / 2,
        Some(DType::C128) => proto.dcomplex_val.len() / 2,
        Some(DType::Str) => proto.string_val.len(),
        None => 0,
    };
    let shape = TfShape::from_proto(proto.tensor_shape.as_ref()).fixed().unwrap_or_default();
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or("its shape is too large")?;
    if listed != count || !proto.tensor_content.is_empty() {
        return Err(format!("{listed} values are stored for {shape:?}"));
    }
    decode(proto)
}

/// The values listed in the field of the type, at most `count`.
fn listed(p: &TensorProto, dtype: DType, count: usize) -> Vec<Scalar> {
    fn from<T: Copy>(values: &[T], count: usize, f: impl Fn(T) -> Scalar) -> Vec<Scalar> {
        values.iter().take(count).map(|&v| f(v)).collect()
    }
    let pairs = count.saturating_mul(2);
    match dtype {
        DType::Bool => from(&p.bool_val, count, Scalar::Bool),
        DType::I8 | DType::I16 | DType::I32 => from(&p.int_val, count, |n| Scalar::Int(n.into()).wrap(dtype)),
        DType::U8 | DType::U16 => from(&p.int_val, count, |n| Scalar::Uint(n as u64).wrap(dtype)),
        DType::I64 => from(&p.int64_val, count, Scalar::Int),
        DType::U32 => from(&p.uint32_val, count, |n| Scalar::Uint(n.into())),
        DType::U64 => from(&p.uint64_val, count, Scalar::Uint),
        DType::F16 | DType::BF16 => from(&p.half_val, count, |n| Scalar::read_le(dtype, &(n as u16).to_le_bytes())),
        DType::F32 => from(&p.float_val, count, Scalar::F32),
        DType::F64 => from(&p.double_val, count, Scalar::F64),
        DType::C64 => p.scomplex_val.chunks_exact(2).take(pairs).map(|c| Scalar::C64(c[0], c[1])).take(count).collect(),
        DType::C128 => p.dcomplex_val.chunks_exact(2).map(|c| Scalar::C128(c[0], c[1])).take(count).collect(),
        DType::Str => unreachable!("strings are decoded apart"),
    }
}

/// Exactly `count` values, the last one repeated; `None` when there is none to repeat.
fn splat<T: Clone>(values: impl Iterator<Item = T>, count: usize) -> Option<Vec<T>> {
    let mut values: Vec<T> = values.take(count.max(1)).collect();
    let last = values.last()?.clone();
    values.resize(count, last);
    Some(values)
}

#[cfg(test)]
mod tests {
    use smc_proto::{DataType, TensorShapeProto, tensor_shape_proto::Dim};

    use super::*;

    fn proto(dtype: DataType, shape: &[i64]) -> TensorProto {
        let dim = shape.iter().map(|&size| Dim { size }).collect();
        TensorProto {
            dtype: dtype as i32,
            tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
            ..Default::default()
        }
    }

    #[test]
    fn the_last_value_repeats() {
        let p = TensorProto { float_val: vec![1.0, 2.0], ..proto(DataType::DtFloat, &[2, 2]) };
        assert_eq!(decode(&p), Ok(Tensor::from_f32([2, 2], &[1.0, 2.0, 2.0, 2.0])));
        let p = TensorProto { int64_val: vec![1, 2, 3], ..proto(DataType::DtInt64, &[2]) };
        assert_eq!(decode(&p), Ok(Tensor::from_i64([2], &[1, 2])), "values too many are dropped");
        assert_eq!(decode(&proto(DataType::DtInt64, &[3])), Ok(Tensor::from_i64([3], &[0, 0, 0])));
        let p = TensorProto { string_val: vec!["a".into()], ..proto(DataType::DtString, &[2]) };
        assert_eq!(decode(&p).unwrap().strings(), [b"a", b"a"]);
    }

    #[test]
    fn every_type_has_its_field() {
        let half = TensorProto { half_val: vec![0x3c00], ..proto(DataType::DtHalf, &[1]) };
        assert_eq!(decode(&half).unwrap().get(0), Scalar::F32(1.0));
        let brain = TensorProto { half_val: vec![0x3f80], ..proto(DataType::DtBfloat16, &[2]) };
        assert_eq!(decode(&brain).unwrap().get(1), Scalar::F32(1.0));
        let complex = TensorProto { scomplex_val: vec![1.0, -2.0], ..proto(DataType::DtComplex64, &[2]) };
        assert_eq!(decode(&complex).unwrap().get(1), Scalar::C64(1.0, -2.0));
        let byte = TensorProto { int_val: vec![200, -1], ..proto(DataType::DtUint8, &[2]) };
        assert_eq!(decode(&byte).unwrap().to_i64s(), Some(vec![200, 255]));
        let empty = TensorProto { float_val: vec![1.0], ..proto(DataType::DtFloat, &[0, 5]) };
        assert_eq!(decode(&empty).unwrap().shape, [0, 5]);
        let four = TensorProto { int_val: vec![7, -8, 8], ..proto(DataType::DtInt4, &[4]) };
        assert_eq!(decode(&four).unwrap().to_i64s(), Some(vec![7, -8, -8, -8]));
        let eight = TensorProto { float8_val: vec![0x3c, 0xff], ..proto(DataType::DtFloat8E5m2, &[3]) };
        assert_eq!(decode(&eight).unwrap().bytes(), [0x3c, 0xff, 0xff]);
        let eight = TensorProto { tensor_content: vec![0x80, 0x38].into(), ..proto(DataType::DtFloat8E4m3fn, &[2]) };
        assert_eq!(decode(&eight).unwrap().bytes(), [0x80, 0x38]);
        let raw = TensorProto { tensor_content: vec![1, 0, 0, 0].into(), ..proto(DataType::DtInt32, &[1]) };
        assert_eq!(decode(&raw).unwrap().to_i64s(), Some(vec![1]));
        assert!(decode(&TensorProto { tensor_content: vec![1].into(), ..raw }).is_err());
    }

    #[test]
    fn hostile_shapes_are_refused() {
        for shape in [&[i64::MAX][..], &[1 << 31, 1 << 31], &[1 << 40, 0, 1 << 60], &[-1]] {
            assert!(decode(&proto(DataType::DtFloat, shape)).is_err(), "{shape:?}");
            assert!(decode(&proto(DataType::DtString, shape)).is_err(), "{shape:?}");
        }
        assert!(decode(&proto(DataType::DtResource, &[])).is_err());
    }
}
