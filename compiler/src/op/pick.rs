//! How the evaluator moves elements without looking at them. Serves `eval` alone.

use crate::tensor::{DType, Tensor, Text, for_each_index};

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

/// The tensor whose element at `ix` is the one of `x` at the flat position `start + ix[0] * steps[0] + ..`. Weights pass
/// through here by the million, so rows are copied whole where they lie together. Panics on a position outside `x`.
pub fn strided(x: &Tensor, out: &[usize], start: i64, steps: &[i64]) -> Tensor {
    let position = |ix: &[usize]| start + ix.iter().zip(steps).map(|(&i, step)| i as i64 * step).sum::<i64>();
    let (Some((&inner, outer)), Some(&step)) = (out.split_last(), steps.last()) else {
        return pick(x.dtype, out, |_| (x, start as usize));
    };
    if x.dtype == DType::Str {
        return pick(x.dtype, out, |ix| (x, position(ix) as usize));
    }
    let size = x.dtype.size();
    let mut bytes = Vec::with_capacity(out.iter().product::<usize>() * size);
    for_each_index(if inner == 0 { &[0] } else { outer }, |ix| {
        let row = position(ix);
        match size {
            _ if step == 1 => bytes.extend_from_slice(&x.bytes()[row as usize * size..][..inner * size]),
            1 => copy::<1>(x.bytes(), row, step, inner, &mut bytes),
            2 => copy::<2>(x.bytes(), row, step, inner, &mut bytes),
            4 => copy::<4>(x.bytes(), row, step, inner, &mut bytes),
            8 => copy::<8>(x.bytes(), row, step, inner, &mut bytes),
            _ => copy::<16>(x.bytes(), row, step, inner, &mut bytes),
        }
    });
    Tensor::from_bytes(x.dtype, out, bytes)
}

/// `count` elements of `SIZE` bytes, `step` apart.
fn copy<const SIZE: usize>(from: &[u8], row: i64, step: i64, count: usize, to: &mut Vec<u8>) {
    for i in 0..count as i64 {
        let at = (row + i * step) as usize * SIZE;
        to.extend_from_slice(&from[at..at + SIZE]);
    }
}

/// What `f` makes of operands whose elements it only moves: strings are spans while it does.
pub fn moved<E>(inputs: &[&Tensor], f: impl FnOnce(&[&Tensor]) -> Result<Tensor, E>) -> Result<Tensor, E> {
    if !inputs.iter().any(|x| x.has_strings()) {
        return f(inputs);
    }
    let mut text = Text::default();
    let placed: Vec<Tensor> = inputs.iter().map(|x| text.place(x)).collect();
    let result = f(&placed.iter().collect::<Vec<_>>())?;
    Ok(text.read(&result).expect("every span is one of those that were placed"))
}

/// How far apart neighbours along each axis lie.
pub fn row_major(shape: &[usize]) -> Vec<i64> {
    let mut steps = vec![1i64; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis] as i64;
    }
    steps
}
