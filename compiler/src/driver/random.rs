//! Seeded random inputs for checks and benches.

use crate::{
    base::Bindings,
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// SplitMix64: the next state of a 64-bit counter, well mixed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Uniform in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }
    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A value of this type: floats uniform in [-1, 1), small non-negative integers (so that indices and divisors mostly
/// make sense), fair booleans. `None` when a symbol is unbound or the type has no plain values.
pub fn tensor(ty: &TensorType, bind: &Bindings, random: &mut Random) -> Option<Tensor> {
    let shape = ty.concrete(bind)?;
    if ty.dtype == DType::Str || ty.dtype.is_complex() {
        return None;
    }
    Some(Tensor::from_fn(ty.dtype, shape, |_| match ty.dtype {
        DType::Bool => Scalar::Bool(random.below(2) == 1),
        d if d.is_int() => Scalar::from_i64(d, random.below(4) as i64),
        d => Scalar::from_f64(d, random.unit() * 2.0 - 1.0),
    }))
}
