//! Seeded random inputs for checks and benches.

use crate::{
    base::{Bindings, Diagnostic, Rng},
    emit::interface,
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// A random value for each input.
pub fn inputs(declared: &[interface::Tensor], bind: &Bindings, rng: &mut Rng) -> Result<Vec<Tensor>, Diagnostic> {
    let value = |t: &interface::Tensor| {
        tensor(&t.ty, bind, rng).ok_or_else(|| {
            Diagnostic::error(format!("input `{}` has a type that has no random values: {}", t.key, t.ty))
        })
    };
    declared.iter().map(value).collect()
}

/// A value of this type: floats uniform in [-1, 1), small non-negative integers (so that indices and divisors mostly
/// make sense), fair booleans, some short words. `None` when a symbol is unbound or the type has no plain values.
pub fn tensor(ty: &TensorType, bind: &Bindings, rng: &mut Rng) -> Option<Tensor> {
    let shape = ty.concrete(bind)?;
    if ty.dtype.is_complex() {
        return None;
    }
    if ty.dtype == DType::Str {
        let words = ["", "a", "the", "42", "yes", "Some words, and more."];
        let count = shape.iter().product();
        return Some(Tensor::from_strings(shape, (0..count).map(|_| rng.pick(&words).into()).collect()));
    }
    Some(Tensor::from_fn(ty.dtype, shape, |_| match ty.dtype {
        DType::Bool => Scalar::Bool(rng.once_in(2)),
        d if d.is_int() => Scalar::from_i64(d, rng.below(4) as i64),
        d => Scalar::from_f64(d, rng.unit() * 2.0 - 1.0),
    }))
}
