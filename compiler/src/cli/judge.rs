//! Whether a difference is an error, or what rounding to float32 costs.
//!
//! Differences are relative to an output's largest magnitude. Code may be as far from the exact value as the tolerance,
//! and twice as far as the plainest float32 loops are. Integers, booleans and strings are equal, but for elements on which
//! exact and rounded computation themselves disagree (which of two nearly equal scores is the greater).

use smc::tensor::{DType, Tensor};

/// How one output compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The largest difference, relative; infinite where types, shapes, infinities, NaNs or integers differ.
    pub error: f64,
    /// The largest difference that the tolerance and rounding explain.
    pub allowed: f64,
}

impl Judgement {
    pub fn right(self) -> bool {
        self.error <= self.allowed
    }
}

/// Compares a result with the exact one. `rounded` are other computations of the same in float32, and `times` how many
/// times as far off as these the result may be.
pub fn judge(exact: &Tensor, ours: &Tensor, rounded: &[&Tensor], times: f64, tolerance: f64) -> Judgement {
    let different = Judgement { error: f64::INFINITY, allowed: tolerance };
    let same = Judgement { error: 0.0, allowed: tolerance };
    let widened = (exact.dtype, ours.dtype) == (DType::F64, DType::F32);
    if exact.shape != ours.shape || (exact.dtype != ours.dtype && !widened) {
        return different;
    }
    if exact.dtype == DType::Str {
        return if exact.strings() == ours.strings() { same } else { different };
    }
    if !exact.dtype.is_float() {
        let fine = |n: usize| {
            let (e, o) = (exact.get(n), ours.get(n));
            e == o || rounded.iter().any(|r| r.get(n) != e)
        };
        return if (0..exact.count()).all(fine) { same } else { different };
    }
    let values = |t: &Tensor| t.scalars().map(|s| s.as_f64().unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    floats(&values(exact), &values(ours), &rounded.iter().map(|t| values(t)).collect::<Vec<_>>(), times, tolerance)
}

fn floats(exact: &[f64], ours: &[f64], rounded: &[Vec<f64>], times: f64, tolerance: f64) -> Judgement {
    // What no f32 holds is no measure for those that one holds.
    let magnitudes = exact.iter().map(|x| x.abs()).filter(|x| *x <= f64::from(f32::MAX));
    let scale = magnitudes.fold(1e-30, f64::max);
    let apart = |e: f64, o: f64| match (e.is_finite(), o.is_finite()) {
        (true, true) => (e - o).abs() / scale,
        _ if e == o || (e.is_nan() && o.is_nan()) => 0.0,
        _ => f64::INFINITY,
    };
    let (mut error, mut lost) = (0.0f64, 0.0f64);
    for (n, (&e, &o)) in exact.iter().zip(ours).enumerate() {
        let others = || rounded.iter().map(|r| r[n]);
        // An overflow of float32 is one in every computation.
        let off = match apart(e, o) {
            f64::INFINITY => others().map(|r| apart(r, o)).fold(f64::INFINITY, f64::min),
            off => off,
        };
        error = error.max(off);
        lost = others().map(|r| apart(e, r)).filter(|x| x.is_finite()).fold(lost, f64::max);
    }
    Judgement { error, allowed: tolerance + times * lost }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(v: &[f32]) -> Tensor {
        Tensor::from_f32([v.len()], v)
    }

    fn plain(exact: &[f32], ours: &[f32]) -> f64 {
        judge(&f32s(exact), &f32s(ours), &[], 2.0, 1e-5).error
    }

    #[test]
    fn differences_are_relative_to_the_output() {
        assert_eq!(plain(&[1.0, 4.0], &[1.0, 3.0]), 0.25);
        assert_eq!(plain(&[f32::NAN, 0.0], &[f32::NAN, 0.0]), 0.0);
        assert_eq!(plain(&[f32::NAN], &[1.0]), f64::INFINITY);
        assert_eq!(plain(&[f32::INFINITY], &[f32::NEG_INFINITY]), f64::INFINITY);
        assert_eq!(plain(&[1.0], &[1.0, 1.0]), f64::INFINITY);
    }

    #[test]
    fn what_rounding_loses_is_no_error() {
        let verdict = |ours: f32, rounded: f32| judge(&f32s(&[1.0]), &f32s(&[ours]), &[&f32s(&[rounded])], 2.0, 1e-5);
        assert!(verdict(1.0 + 1.5e-3, 1.0 - 1e-3).right());
        assert!(!verdict(1.0 + 2.5e-3, 1.0 - 1e-3).right());
        assert!(!verdict(1.0 + 1e-4, 1.0).right());
        assert!(verdict(f32::INFINITY, f32::INFINITY).right(), "float32 overflows");
        assert!(!verdict(f32::INFINITY, 1.0).right());
        assert!(!verdict(f32::NAN, 2.0).right());
    }

    #[test]
    fn integers_are_equal_where_they_are_decided() {
        let t = |v: &[i64]| Tensor::from_i64([v.len()], v);
        let verdict = |ours: &[i64], rounded: &[i64]| judge(&t(&[1, 2]), &t(ours), &[&t(rounded)], 2.0, 1e-5).right();
        assert!(verdict(&[1, 2], &[1, 2]));
        assert!(verdict(&[1, 3], &[1, 4]), "rounding decides this element");
        assert!(!verdict(&[3, 2], &[1, 4]), "but not the other");
    }
}
