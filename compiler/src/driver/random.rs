//! Seeded random inputs for checks and benches.

use crate::{
    base::{Bindings, Rng},
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// A value of this type: floats uniform in [-1, 1), small non-negative integers (so that indices and divisors mostly
/// make sense), fair booleans. `None` when a symbol is unbound or the type has no plain values.
pub fn tensor(ty: &TensorType, bind: &Bindings, rng: &mut Rng) -> Option<Tensor> {
    let shape = ty.concrete(bind)?;
    if ty.dtype == DType::Str || ty.dtype.is_complex() {
        return None;
    }
    Some(Tensor::from_fn(ty.dtype, shape, |_| match ty.dtype {
        DType::Bool => Scalar::Bool(rng.once_in(2)),
        d if d.is_int() => Scalar::from_i64(d, rng.below(4) as i64),
        d => Scalar::from_f64(d, rng.unit() * 2.0 - 1.0),
    }))
}
