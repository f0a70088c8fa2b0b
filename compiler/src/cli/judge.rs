//! Whether a difference is an error, or what rounding costs.
//!
//! Differences are relative to an output's largest magnitude. Code may be as far from the exact value as the tolerance,
//! and, beyond that, twice as far as the plainest loops in the model's own types are, each by half a unit in the last place
//! more: the last rounding of those loops may happen to lose nothing. The unit is that of the coarsest type on the way to the
//! output. Integers, booleans and strings are equal, but for elements on which exact and rounded computation themselves
//! disagree (which of two nearly equal scores is the greater).

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

/// What the last roundings of a result and of the plain loops may lose beside what the plain loops show to be lost, when the
/// result may be `times` as far off as these. `coarsest` is the coarsest type that values are rounded to.
pub fn last_roundings(coarsest: Option<DType>, times: f64) -> f64 {
    (times + 1.0) * coarsest.map_or(0.0, DType::epsilon) / 2.0
}

/// Compares a result with the exact one. `rounded` are other computations of the same in the model's own types, and `times`
/// how many times as far off as these the result may be.
pub fn judge(exact: &Tensor, ours: &Tensor, rounded: &[&Tensor], times: f64, tolerance: f64) -> Judgement {
    let different = Judgement { error: f64::INFINITY, allowed: tolerance };
    let same = Judgement { error: 0.0, allowed: tolerance };
    let widened = exact.dtype == DType::F64 && ours.dtype.is_float();
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
    let others: Vec<_> = rounded.iter().map(|t| values(t)).collect();
    let (error, lost) = floats(&values(exact), &values(ours), &others, ours.dtype.greatest());
    Judgement { error, allowed: tolerance + times * lost }
}

/// How far results are from the exact ones, and the others at most. `greatest` is the greatest number of the results' type.
fn floats(exact: &[f64], ours: &[f64], rounded: &[Vec<f64>], greatest: f64) -> (f64, f64) {
    // What the type does not hold is no measure for what it holds.
    let magnitudes = exact.iter().map(|x| x.abs()).filter(|x| *x <= greatest);
    let scale = magnitudes.fold(1e-30, f64::max);
    let apart = |e: f64, o: f64| match (e.is_finite(), o.is_finite()) {
        (true, true) => (e - o).abs() / scale,
        _ if e == o || (e.is_nan() && o.is_nan()) => 0.0,
        _ => f64::INFINITY,
    };
    let (mut error, mut lost) = (0.0f64, 0.0f64);
    for (n, (&e, &o)) in exact.iter().zip(ours).enumerate() {
        let others = || rounded.iter().map(|r| r[n]);
        // An overflow of the type is one in every computation in it.
        let off = match apart(e, o) {
            f64::INFINITY => others().map(|r| apart(r, o)).fold(f64::INFINITY, f64::min),
            off => off,
        };
        error = error.max(off);
        lost = others().map(|r| apart(e, r)).filter(|x| x.is_finite()).fold(lost, f64::max);
    }
    (error, lost)
}

#[cfg(test)]
mod tests {
    use smc::tensor::Scalar;

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
        assert!(verdict(f32::INFINITY, f32::INFINITY).right(), "f32 overflows");
        assert!(!verdict(f32::INFINITY, 1.0).right());
        assert!(!verdict(f32::NAN, 2.0).right());
    }

    #[test]
    fn narrow_types_round_coarsely() {
        for (dtype, unit) in [(DType::BF16, 1.0 / 128.0), (DType::F16, 1.0 / 1024.0)] {
            let narrow = |x: f64| Tensor::from_scalars(dtype, [1], [Scalar::from_f64(dtype, x)]);
            let exact = Tensor::from_scalars(DType::F64, [1], [Scalar::F64(1.0 + unit / 2.0)]);
            // Plain loops lose half a unit; a result may lose one, and half a unit more in each of three roundings.
            let verdict = |units: f64| {
                let allowed = 1e-5 + last_roundings(Some(dtype), 2.0);
                judge(&exact, &narrow(1.0 + units * unit), &[&narrow(1.0)], 2.0, allowed).right()
            };
            assert!(verdict(0.0) && verdict(1.0) && verdict(2.0) && verdict(-1.0), "{dtype}");
            assert!(!verdict(4.0) && !verdict(-3.0), "{dtype}");
        }
        assert!(last_roundings(Some(DType::F32), 2.0) < 2e-7 && last_roundings(None, 2.0) == 0.0);
        let beyond = Tensor::from_scalars(DType::F64, [2], [Scalar::F64(1e6), Scalar::F64(1.0)]);
        let half =
            |x: f64| Tensor::from_scalars(DType::F16, [2], [f64::INFINITY, x].map(|x| Scalar::from_f64(DType::F16, x)));
        assert!(judge(&beyond, &half(1.0), &[&half(1.0)], 2.0, 1e-3).right(), "f16 overflows");
        assert!(!judge(&beyond, &half(1.1), &[&half(1.0)], 2.0, 1e-3).right(), "what overflows hides no error");
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
