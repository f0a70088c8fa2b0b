//! First values of the weights of a new layer.

use crate::{
    base::Rng,
    tensor::{DType, Scalar, Tensor},
};

/// Uniform in plus and minus `sqrt(6 / (inputs + units))`: <https://proceedings.mlr.press/v9/glorot10a.html>. One number of
/// [`Rng`] for each element, in their order.
pub(super) fn glorot(dtype: DType, inputs: usize, units: usize, rng: &mut Rng) -> Tensor {
    let limit = (6.0 / (inputs as f64 + units as f64)).sqrt();
    Tensor::from_fn(dtype, [inputs, units], |_| Scalar::from_f64(dtype, (2.0 * rng.unit() - 1.0) * limit))
}

/// The same bits on every machine.
#[test]
fn weights_follow_from_their_seed() {
    let drawn = |seed: u64| glorot(DType::F32, 3, 5, &mut Rng::new(seed));
    let weights = drawn(1);
    assert!(weights.scalars().all(|x| x.as_f64().unwrap().abs() <= (6.0f64 / 8.0).sqrt()));
    assert!(weights == drawn(1) && weights != drawn(2));
}
