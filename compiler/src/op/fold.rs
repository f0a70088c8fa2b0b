//! What folds over many elements share. `Fold` serves `eval`; [`identity`] and [`accumulator`] serve generated code;
//! neither uses the other.

use super::{evaluation::Sums, pointwise};
use crate::{
    loops::BinaryFn,
    tensor::{DType, Scalar},
};

/// Whether `f` folds elements of `dtype`: arithmetic and extremes of numbers, `And` and `Or` of integers and bools.
pub fn folds(f: BinaryFn, dtype: DType) -> bool {
    match f {
        BinaryFn::Add | BinaryFn::Mul | BinaryFn::Max | BinaryFn::Min => dtype.is_int() || dtype.is_float(),
        BinaryFn::And | BinaryFn::Or => dtype.is_int() || dtype == DType::Bool,
        _ => false,
    }
}

/// The value that `f` leaves every other value unchanged with: an infinity or the extreme integer for `Max` and `Min`.
/// Panics when `f` does not fold `dtype`.
pub fn identity(f: BinaryFn, dtype: DType) -> Scalar {
    let (least, greatest) = match dtype.int_range() {
        Some((least, greatest)) if dtype.is_signed_int() => (Scalar::Int(least as i64), Scalar::Int(greatest as i64)),
        Some((_, greatest)) => (Scalar::Uint(0), Scalar::Uint(greatest as u64)),
        None if dtype == DType::Bool => (Scalar::Bool(false), Scalar::Bool(true)),
        None => (Scalar::from_f64(dtype, f64::NEG_INFINITY), Scalar::from_f64(dtype, f64::INFINITY)),
    };
    match f {
        BinaryFn::Add | BinaryFn::Or => Scalar::zero(dtype),
        BinaryFn::Mul => Scalar::one(dtype),
        BinaryFn::Max => least,
        BinaryFn::Min => greatest,
        BinaryFn::And if dtype.is_signed_int() => Scalar::Int(-1),
        BinaryFn::And => greatest,
        _ => panic!("{f:?} does not fold"),
    }
}

/// The type that sums of `dtype` are kept in: half precision adds up in single precision and rounds once.
pub fn accumulator(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

/// A running fold of the evaluator: f32 in double precision, to be rounded once, or rounded at every step.
pub struct Fold {
    f: BinaryFn,
    dtype: DType,
    sums: Sums,
    value: Option<Scalar>,
}

impl Fold {
    pub fn new(f: BinaryFn, dtype: DType, sums: Sums) -> Fold {
        Fold { f, dtype, sums, value: None }
    }
    pub fn add(&mut self, x: Scalar) {
        let (dtype, x) = match x {
            Scalar::F32(v) if self.sums == Sums::Wide => (DType::F64, Scalar::F64(v as f64)),
            Scalar::F32(_) => (DType::F32, x),
            x => (self.dtype, x),
        };
        self.value = Some(match self.value {
            None => x,
            Some(sum) => pointwise::eval::binary(self.f, dtype, sum, x).expect("folds have no faults"),
        });
    }
    /// The result, or `empty` when nothing was added.
    pub fn finish(&self, empty: Scalar) -> Scalar {
        match self.value {
            None => empty,
            Some(Scalar::F64(v)) => Scalar::from_f64(self.dtype, v),
            Some(value) => value,
        }
    }
    /// What a fold of nothing gives.
    pub fn of_nothing(&self) -> Scalar {
        let d = self.dtype;
        match (self.f, d) {
            (BinaryFn::Mul, _) => Scalar::from_i64(d, 1),
            (BinaryFn::And, _) if d == DType::Bool => Scalar::Bool(true),
            (BinaryFn::And, _) => Scalar::from_i64(d, -1),
            (BinaryFn::Max, DType::I8) => Scalar::Int(i8::MIN as i64),
            (BinaryFn::Max, DType::I16) => Scalar::Int(i16::MIN as i64),
            (BinaryFn::Max, DType::I32) => Scalar::Int(i32::MIN as i64),
            (BinaryFn::Max, DType::I64) => Scalar::Int(i64::MIN),
            (BinaryFn::Max, _) if d.is_float() => Scalar::from_f64(d, f64::NEG_INFINITY),
            (BinaryFn::Min, DType::I8) => Scalar::Int(i8::MAX as i64),
            (BinaryFn::Min, DType::I16) => Scalar::Int(i16::MAX as i64),
            (BinaryFn::Min, DType::I32) => Scalar::Int(i32::MAX as i64),
            (BinaryFn::Min, DType::I64) => Scalar::Int(i64::MAX),
            (BinaryFn::Min, _) if d.is_unsigned_int() => Scalar::from_i64(d, -1),
            (BinaryFn::Min, _) => Scalar::from_f64(d, f64::INFINITY),
            _ => Scalar::from_i64(d, 0),
        }
    }
}
