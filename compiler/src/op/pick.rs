//! How the evaluator moves elements without looking at them. Serves `eval` alone.

use crate::tensor::{DType, Tensor, flat_index, for_each_index};

/// The tensor whose element at each index is the one at a flat position of a tensor, both as `from` says.
pub fn pick<'a>(dtype: DType, out: &[usize], mut from: impl FnMut(&[usize]) -> (&'a Tensor, usize)) -> Tensor {
    let count = out.iter().product();
    if dtype == DType::Str {
        let mut strings = Vec::with_capacity(count);
        for_each_index(out, |ix| {
            let (x, n) = from(ix);
            strings.push(x.strings()[n].clone());
        });
        return Tensor::from_strings(out, strings);
    }
    let size = dtype.size();
    let mut bytes = Vec::with_capacity(count * size);
    for_each_index(out, |ix| {
        let (x, n) = from(ix);
        bytes.extend_from_slice(&x.bytes()[n * size..(n + 1) * size]);
    });
    Tensor::from_bytes(dtype, out, bytes)
}

/// The tensor whose element at each index is that of `x` at the index which `from` writes into its second argument.
/// Panics when an index is outside `x`, on every axis.
pub fn rearrange(x: &Tensor, out: &[usize], mut from: impl FnMut(&[usize], &mut [usize])) -> Tensor {
    let mut at = vec![0; x.rank()];
    pick(x.dtype, out, |ix| {
        from(ix, &mut at);
        assert!(at.iter().zip(&x.shape).all(|(i, n)| i < n), "{at:?} is outside {:?}", x.shape);
        (x, flat_index(&x.shape, &at))
    })
}
