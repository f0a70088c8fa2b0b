//! Copies boxes of elements between tensors, run by run along the innermost axis.

use crate::tensor::{DType, Tensor, flat_index, for_each_index};

/// Start and length along each axis.
pub type Axes = [(usize, usize)];

/// Whether two boxes have an element in common.
pub fn meet(a: &Axes, b: &Axes) -> bool {
    a.iter().zip(b).all(|(&(s, n), &(t, m))| s < t + m && t < s + n && n > 0 && m > 0)
}

/// The part of a tensor within a box, which must lie inside.
pub fn cut(whole: &Tensor, axes: &Axes) -> Tensor {
    let extents: Vec<usize> = axes.iter().map(|(_, n)| *n).collect();
    let starts: Vec<usize> = axes.iter().map(|(s, _)| *s).collect();
    let count: usize = extents.iter().product();
    let origin = vec![0; extents.len()];
    let size = whole.dtype.size();
    if whole.dtype == DType::Str {
        let mut out = vec![vec![]; count];
        runs(&extents, |ix, len| {
            let (from, to) = (place(&whole.shape, &starts, ix), place(&extents, &origin, ix));
            out[to..to + len].clone_from_slice(&whole.strings()[from..from + len]);
        });
        return Tensor::from_strings(extents, out);
    }
    let mut out = vec![0; count * size];
    runs(&extents, |ix, len| {
        let (from, to) = (place(&whole.shape, &starts, ix) * size, place(&extents, &origin, ix) * size);
        out[to..to + len * size].copy_from_slice(&whole.bytes()[from..from + len * size]);
    });
    Tensor::from_bytes(whole.dtype, extents, out)
}

/// The tensor that boxes make up, each of which must lie inside.
pub fn join(dtype: DType, shape: Vec<usize>, parts: &[(Box<Axes>, Tensor)]) -> Tensor {
    let count: usize = shape.iter().product();
    let size = dtype.size();
    let mut strings = vec![vec![]; if dtype == DType::Str { count } else { 0 }];
    let mut bytes = vec![0; count * size];
    for (axes, part) in parts {
        let starts: Vec<usize> = axes.iter().map(|(s, _)| *s).collect();
        let origin = vec![0; axes.len()];
        runs(&part.shape, |ix, len| {
            let (from, to) = (place(&part.shape, &origin, ix), place(&shape, &starts, ix));
            if dtype == DType::Str {
                strings[to..to + len].clone_from_slice(&part.strings()[from..from + len]);
            } else {
                let source = &part.bytes()[from * size..(from + len) * size];
                bytes[to * size..(to + len) * size].copy_from_slice(source);
            }
        });
    }
    if dtype == DType::Str { Tensor::from_strings(shape, strings) } else { Tensor::from_bytes(dtype, shape, bytes) }
}

/// The position in `shape` of the element `ix` behind `starts`; missing inner indices are 0.
fn place(shape: &[usize], starts: &[usize], ix: &[usize]) -> usize {
    let at: Vec<usize> = starts.iter().enumerate().map(|(a, s)| s + ix.get(a).copied().unwrap_or(0)).collect();
    flat_index(shape, &at)
}

/// Calls `f` with the index of all but the innermost axis, and the length of that one; scalars are one run of one.
fn runs(extents: &[usize], mut f: impl FnMut(&[usize], usize)) {
    let (outer, len) = extents.split_last().map_or((&[][..], 1), |(last, outer)| (outer, *last));
    if len > 0 {
        for_each_index(outer, |ix| f(ix, len));
    }
}

#[test]
fn boxes_cut_and_join() {
    let whole = Tensor::from_f32([2, 3], &[1., 2., 3., 4., 5., 6.]);
    let (left, right): (Box<Axes>, Box<Axes>) = ([(0, 2), (0, 1)].into(), [(0, 2), (1, 2)].into());
    let parts = vec![(left.clone(), cut(&whole, &left)), (right.clone(), cut(&whole, &right))];
    assert_eq!(parts[1].1, Tensor::from_f32([2, 2], &[2., 3., 5., 6.]));
    assert_eq!(join(DType::F32, vec![2, 3], &parts), whole);
    assert!(!meet(&left, &right) && meet(&right, &[(1, 1), (0, 2)]));
    let scalar = Tensor::from_f32([], &[7.]);
    assert_eq!(join(DType::F32, vec![], &[([].into(), cut(&scalar, &[]))]), scalar);
    let words = Tensor::from_strings([2], vec![b"a".to_vec(), b"b".to_vec()]);
    assert_eq!(cut(&words, &[(1, 1)]).strings(), [b"b"]);
    assert_eq!(cut(&words, &[(1, 0)]).shape, [0]);
}
