//! When two tensors agree.

use smc::{
    driver::coarsest,
    graph::{Graph, Node},
    op::Op,
    tensor::{DType, Scalar, Tensor},
};

/// How far floats may lie apart.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Units in the last place of the greater one.
    pub ulps: f64,
    /// Units in the last place of 1, for what cancels out of numbers of that size.
    pub units: f64,
    /// Whether 0.0 and -0.0 differ.
    pub signed_zeros: bool,
}

/// The first place where both differ, or `None`. Types, shapes, integers, bools and strings are equal; NaN meets NaN,
/// an infinity the same one, and a zero another zero, of its sign where that matters.
pub fn difference(ours: &Tensor, theirs: &Tensor, tolerance: Tolerance) -> Option<String> {
    if (ours.dtype, &ours.shape) != (theirs.dtype, &theirs.shape) {
        return Some(format!("{}{:?} instead of {}{:?}", ours.dtype, ours.shape, theirs.dtype, theirs.shape));
    }
    if ours.dtype == DType::Str {
        return (ours.strings() != theirs.strings()).then(|| "the strings differ".into());
    }
    let mut pairs = ours.scalars().zip(theirs.scalars()).enumerate();
    let (place, (a, b)) = pairs.find(|(_, (a, b))| !agree(ours.dtype, *a, *b, tolerance))?;
    Some(format!("element {place} is {a:?} instead of {b:?}"))
}

fn agree(dtype: DType, ours: Scalar, theirs: Scalar, tolerance: Tolerance) -> bool {
    match (ours, theirs) {
        (Scalar::C64(a, b), Scalar::C64(c, d)) => {
            close(dtype, a.into(), c.into(), tolerance) && close(dtype, b.into(), d.into(), tolerance)
        }
        (Scalar::C128(a, b), Scalar::C128(c, d)) => close(dtype, a, c, tolerance) && close(dtype, b, d, tolerance),
        _ if dtype.is_float() => match (ours.as_f64(), theirs.as_f64()) {
            (Some(a), Some(b)) => close(dtype, a, b, tolerance),
            _ => false,
        },
        _ => ours == theirs,
    }
}

fn close(dtype: DType, a: f64, b: f64, tolerance: Tolerance) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return a != 0.0 || a.is_sign_negative() == b.is_sign_negative() || !tolerance.signed_zeros;
    }
    if a.is_infinite() || b.is_infinite() {
        return false;
    }
    let epsilon = match dtype {
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        DType::F32 | DType::C64 => f32::EPSILON as f64,
        _ => f64::EPSILON,
    };
    let unit = epsilon * 2f64.powi(a.abs().max(b.abs()).log2().floor() as i32);
    (a - b).abs() <= tolerance.ulps * unit + tolerance.units * epsilon
}

/// Whether floats agree up to the rounding of sums in another order, relative to the largest element or their own
/// size; all else is equal.
pub fn agree_up_to_order(ours: &Tensor, theirs: &Tensor) -> bool {
    agree_as(ours.dtype, ours, theirs)
}

/// The same for an output of a graph, on the way to which values may be rounded to coarser types than its own: a sum of
/// f32 that is converted to f64 differs as f32 does.
pub fn agree_as_rounded(graph: &Graph, output: usize, ours: &Tensor, theirs: &Tensor) -> bool {
    let coarsest = coarsest(graph)[output].filter(|dtype| dtype.epsilon() > ours.dtype.epsilon());
    agree_as(coarsest.filter(|_| ours.dtype.is_float()).unwrap_or(ours.dtype), ours, theirs)
}

fn agree_as(dtype: DType, ours: &Tensor, theirs: &Tensor) -> bool {
    if theirs.has_strings() {
        return ours == theirs;
    }
    let tolerance = match dtype {
        DType::F16 => 4e-3,
        DType::BF16 => 3e-2,
        DType::F64 => 1e-11,
        _ => 1e-5,
    };
    let numbers = || theirs.scalars().filter_map(Scalar::as_f64).filter(|x| x.is_finite());
    let scale = numbers().fold(0.0f64, |m, x| m.max(x.abs()));
    let close = |(x, y): (Scalar, Scalar)| match (x.as_f64(), y.as_f64()) {
        _ if x == y => true,
        (Some(x), Some(y)) if ours.dtype.is_float() => {
            x.is_nan() && y.is_nan() || (x - y).abs() <= tolerance * (y.abs() + scale.min(y.abs() * 10.0 + 1.0))
        }
        _ => false,
    };
    ours.dtype == theirs.dtype && ours.shape == theirs.shape && ours.scalars().zip(theirs.scalars()).all(close)
}

#[test]
fn units_in_the_last_place() {
    let two = Tolerance { ulps: 2.0, units: 0.0, signed_zeros: true };
    let t = |x: f32| Tensor::from_f32([1], &[x]);
    assert_eq!(difference(&t(1.0), &t(1.0 + 2.0 * f32::EPSILON), two), None);
    assert!(difference(&t(1.0), &t(1.0 + 3.0 * f32::EPSILON), two).is_some());
    assert!(difference(&t(0.0), &t(-0.0), two).is_some());
    assert_eq!(difference(&t(f32::NAN), &t(f32::NAN), two), None);
}

/// Whether a graph looks at the bits of floats: these show what the order of a sum rounds, and the sign of a zero.
pub fn shows_bits(graph: &Graph) -> bool {
    let floats = |node: &Node| node.inputs.iter().any(|&i| graph.ty(i).dtype.is_float());
    graph.iter().any(|(_, node)| matches!(node.op, Op::Bitcast(_)) && floats(node))
}
