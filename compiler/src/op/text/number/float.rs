//! Floats with digits behind the point, exactly.
//!
//! What is before the point is a word where it fits in 64 bits. What is behind it is a fraction of 128 bits, of which each
//! digit is ten times the fraction's whole part. Where bits lie behind these 128, the number is less than 2^-75, and all of the
//! up to 19 digits are 0. A number of 2^64 or more is `m * 2^e` of integers: limbs of nine digits, which are doubled `e` times,
//! some 29 bits at once.

use super::*;
use crate::loops::{Bound, LocalId, UnaryFn};

/// Limbs that the greatest number of a type has.
pub fn limbs(dtype: DType) -> i64 {
    if dtype == DType::F64 { 35 } else { 5 }
}

/// What a limb is less than.
const LIMB: u64 = 1_000_000_000;
/// Bits by which a limb is shifted at once, so that nothing overflows.
const SHIFT: i64 = 29;

pub fn emit(of: &TextNumber, at: &mut Emit<'_>, x: ExprId, limbs: i64) {
    let f = |at: &mut Emit<'_>, x: f64| at.w.float(DType::F64, x);
    let bits = at.w.bits(DType::U64, x);
    let bits = at.w.set(bits);
    let sixty_three = at.w.int(DType::U64, 63);
    let sign = at.w.binary(BinaryFn::Shr, bits, sixty_three);
    let negative = at.w.cast(DType::Bool, sign);
    let negative = at.w.set(negative);
    let positive = at.w.unary(UnaryFn::Abs, x);
    let positive = at.w.set(positive);
    let infinity = f(at, f64::INFINITY);
    let finite = at.w.compare(CompareFn::Lt, positive, infinity);
    let finite = at.w.set(finite);
    let word = f(at, 2f64.powi(64));
    let small = at.w.compare(CompareFn::Lt, positive, word);
    let small = at.w.set(small);

    // What is not small has nothing behind the point.
    let none = f(at, 0.0);
    let value = at.w.select(small, positive, none);
    let whole = at.w.unary(UnaryFn::Trunc, value);
    let whole = at.w.set(whole);
    let fraction = at.w.binary(BinaryFn::Sub, value, whole);
    let whole = at.w.cast(DType::U64, whole);
    let (whole, behind) = rounded(of, at, whole, fraction);
    let of_word = digits(at, whole);

    let big = Big::new(at, limbs, bits, finite, small);
    let of_big = big.digits(at);
    let is_big = at.w.unary(UnaryFn::Not, small);
    let is_big = at.w.binary(BinaryFn::And, is_big, finite);
    let is_big = at.w.set(is_big);
    let point = at.w.int(DType::I64, if of.decimals > 0 { 1 + i64::from(of.decimals) } else { 0 });
    let before = at.w.select(is_big, of_big, of_word);
    let number = at.w.binary(BinaryFn::Add, before, point);
    let three = at.w.int(DType::I64, 3);
    let bytes = at.w.select(finite, number, three);
    let bytes = at.w.set(bytes);
    of.filled(at, Parts { negative, bytes, takes_zeros: finite }, |at| {
        let is = |at: &mut Emit<'_>, condition: ExprId| {
            let number = at.w.cast(DType::I64, condition);
            let number = at.w.set_index(number, None);
            vec![Bound { index: Dim::one() - number, extent: Dim::one() }]
        };
        let word = at.w.binary(BinaryFn::And, small, finite);
        let [word, is_big, is_number] = [word, is_big, finite].map(|condition| is(at, condition));
        at.only_within(word, |at| emit_digits(at, whole, of_word));
        at.only_within(is_big, |at| big.emit(at));
        if of.decimals > 0 {
            at.only_within(is_number.clone(), |at| {
                let (point, count) = (at.w.int(DType::U8, b'.'.into()), at.w.int(DType::I64, of.decimals.into()));
                at.w.append(point);
                emit_digits(at, behind, count);
            });
        }
        let same = at.w.compare(CompareFn::Eq, x, x);
        let other = at.w.unary(UnaryFn::Not, finite);
        let infinite = at.w.binary(BinaryFn::And, same, other);
        let nan = at.w.unary(UnaryFn::Not, same);
        for (condition, name) in [(infinite, b"inf"), (nan, b"nan")] {
            let bounds = is(at, condition);
            at.only_within(bounds, |at| {
                for &byte in name {
                    let byte = at.w.int(DType::U8, byte.into());
                    at.w.append(byte);
                }
            });
        }
    });
}

/// The whole part, and what is behind the point as a whole number of `decimals` digits.
fn rounded(of: &TextNumber, at: &mut Emit<'_>, whole: ExprId, fraction: ExprId) -> (ExprId, ExprId) {
    let u = |at: &mut Emit<'_>, n: u64| at.w.constant(DType::U64, Scalar::Uint(n));
    // Four parts of 32 bits, the highest first, and what is behind them.
    let parts: [LocalId; 4] = [(); 4].map(|()| at.w.local(DType::U64, []));
    let scale = at.w.float(DType::F64, 2f64.powi(32));
    let mut rest = fraction;
    for part in parts {
        let scaled = at.w.binary(BinaryFn::Mul, rest, scale);
        let scaled = at.w.set(scaled);
        let bits = at.w.unary(UnaryFn::Trunc, scaled);
        let bits = at.w.set(bits);
        rest = at.w.binary(BinaryFn::Sub, scaled, bits);
        let bits = at.w.cast(DType::U64, bits);
        at.w.assign(part, &[], bits);
    }
    let none = at.w.float(DType::F64, 0.0);
    let beyond = at.w.compare(CompareFn::Ne, rest, none);
    let beyond = at.w.set(beyond);

    let behind = at.w.local(DType::U64, []);
    let (zero, one, ten, low, by) = (u(at, 0), u(at, 1), u(at, 10), u(at, 0xffff_ffff), u(at, 32));
    at.w.assign(behind, &[], zero);
    at.each(&Dim::from(i64::from(of.decimals)), LoopKind::Seq, |at, _| {
        let mut carry = u(at, 0);
        for part in parts.into_iter().rev() {
            let bits = at.w.read(part, &[]);
            let product = at.w.binary(BinaryFn::Mul, bits, ten);
            let product = at.w.binary(BinaryFn::Add, product, carry);
            let product = at.w.set(product);
            carry = at.w.binary(BinaryFn::Shr, product, by);
            let bits = at.w.binary(BinaryFn::And, product, low);
            at.w.assign(part, &[], bits);
        }
        let now = at.w.read(behind, &[]);
        let now = at.w.binary(BinaryFn::Mul, now, ten);
        let now = at.w.binary(BinaryFn::Add, now, carry);
        at.w.assign(behind, &[], now);
    });
    let behind = at.w.read(behind, &[]);
    let behind = at.w.set(behind);
    let [first, others @ ..] = parts.map(|part| at.w.read(part, &[]));
    let first = at.w.set(first);
    let others = others.into_iter().reduce(|a, b| at.w.binary(BinaryFn::Or, a, b)).expect("there are others");
    let others = at.w.compare(CompareFn::Ne, others, zero);
    let others = at.w.binary(BinaryFn::Or, others, beyond);
    let half = u(at, 1 << 31);
    let above = at.w.compare(CompareFn::Gt, first, half);
    let equal = at.w.compare(CompareFn::Eq, first, half);
    let last = if of.decimals > 0 { behind } else { whole };
    let odd = at.w.binary(BinaryFn::And, last, one);
    let odd = at.w.compare(CompareFn::Ne, odd, zero);
    let more = at.w.binary(BinaryFn::Or, others, odd);
    let up = at.w.binary(BinaryFn::And, equal, more);
    let up = at.w.binary(BinaryFn::Or, above, up);
    let up = at.w.cast(DType::U64, up);
    let up = at.w.set(up);
    if of.decimals == 0 {
        let whole = at.w.binary(BinaryFn::Add, whole, up);
        return (at.w.set(whole), behind);
    }
    let behind = at.w.binary(BinaryFn::Add, behind, up);
    let behind = at.w.set(behind);
    let most = u(at, 10u64.pow(of.decimals));
    let full = at.w.compare(CompareFn::Eq, behind, most);
    let full = at.w.set(full);
    let left = at.w.select(full, zero, behind);
    let carried = at.w.cast(DType::U64, full);
    let whole = at.w.binary(BinaryFn::Add, whole, carried);
    (at.w.set(whole), at.w.set(left))
}

/// A number of 2^64 or more; of any other, 0.
struct Big {
    /// The lowest first.
    limbs: LocalId,
    count: i64,
}

impl Big {
    fn new(at: &mut Emit<'_>, count: i64, bits: ExprId, finite: ExprId, small: ExprId) -> Big {
        let u = |at: &mut Emit<'_>, n: u64| at.w.constant(DType::U64, Scalar::Uint(n));
        let limbs = at.w.local(DType::U64, [count as usize]);
        let zero = u(at, 0);
        at.each(&count.into(), LoopKind::Unroll, |at, n| at.w.assign(limbs, std::slice::from_ref(n), zero));
        // A NaN and an infinity have no digits.
        let (mantissa_bits, hidden, fifty_two) = (u(at, (1 << 52) - 1), u(at, 1 << 52), u(at, 52));
        let mantissa = at.w.binary(BinaryFn::And, bits, mantissa_bits);
        let mantissa = at.w.binary(BinaryFn::Or, mantissa, hidden);
        let other = at.w.unary(UnaryFn::Not, small);
        let is_big = at.w.binary(BinaryFn::And, other, finite);
        let is_big = at.w.set(is_big);
        let mantissa = at.w.select(is_big, mantissa, zero);
        let mantissa = at.w.set(mantissa);
        let exponent = at.w.binary(BinaryFn::Shr, bits, fifty_two);
        let mask = u(at, 0x7ff);
        let exponent = at.w.binary(BinaryFn::And, exponent, mask);
        let exponent = at.w.cast(DType::I64, exponent);
        let bias = at.w.int(DType::I64, 1023 + 52);
        let shift = at.w.binary(BinaryFn::Sub, exponent, bias);
        let none = at.w.int(DType::I64, 0);
        let shift = at.w.select(is_big, shift, none);
        let shift = at.w.set(shift);
        let limb = u(at, LIMB);
        let low = at.w.binary(BinaryFn::Rem, mantissa, limb);
        let high = at.w.binary(BinaryFn::Div, mantissa, limb);
        at.w.assign(limbs, &[Dim::zero()], low);
        at.w.assign(limbs, &[Dim::one()], high);
        let left = at.w.local(DType::I64, []);
        at.w.assign(left, &[], shift);
        let step = at.w.int(DType::I64, SHIFT);
        let rounds = at.w.int(DType::I64, SHIFT - 1);
        let rounds = at.w.binary(BinaryFn::Add, shift, rounds);
        let rounds = at.w.binary(BinaryFn::Div, rounds, step);
        let rounds = at.w.set_index(rounds, None);
        at.each(&rounds, LoopKind::Seq, |at, _| {
            let now = at.w.read(left, &[]);
            let now = at.w.set(now);
            let by = at.w.binary(BinaryFn::Min, now, step);
            let after = at.w.binary(BinaryFn::Sub, now, by);
            at.w.assign(left, &[], after);
            let by = at.w.cast(DType::U64, by);
            let by = at.w.set(by);
            let carry = at.w.local(DType::U64, []);
            at.w.assign(carry, &[], zero);
            at.each(&count.into(), LoopKind::Unroll, |at, n| {
                let old = at.w.read(limbs, std::slice::from_ref(n));
                let shifted = at.w.binary(BinaryFn::Shl, old, by);
                let carried = at.w.read(carry, &[]);
                let sum = at.w.binary(BinaryFn::Add, shifted, carried);
                let sum = at.w.set(sum);
                let kept = at.w.binary(BinaryFn::Rem, sum, limb);
                at.w.assign(limbs, std::slice::from_ref(n), kept);
                let carried = at.w.binary(BinaryFn::Div, sum, limb);
                at.w.assign(carry, &[], carried);
            });
        });
        Big { limbs, count }
    }

    /// How many digits it has, an i64.
    fn digits(&self, at: &mut Emit<'_>) -> ExprId {
        let count = at.w.local(DType::I64, []);
        let zero = at.w.int(DType::I64, 0);
        at.w.assign(count, &[], zero);
        self.downwards(at, |at, limb, _| {
            let now = at.w.read(count, &[]);
            let now = at.w.set(now);
            let own = own_digits(at, limb, now);
            let sum = at.w.binary(BinaryFn::Add, now, own);
            at.w.assign(count, &[], sum);
        });
        let count = at.w.read(count, &[]);
        at.w.set(count)
    }

    fn emit(&self, at: &mut Emit<'_>) {
        let before = at.w.local(DType::I64, []);
        let zero = at.w.int(DType::I64, 0);
        at.w.assign(before, &[], zero);
        self.downwards(at, |at, limb, _| {
            let now = at.w.read(before, &[]);
            let now = at.w.set(now);
            let own = own_digits(at, limb, now);
            let own = at.w.set(own);
            emit_digits(at, limb, own);
            let sum = at.w.binary(BinaryFn::Add, now, own);
            at.w.assign(before, &[], sum);
        });
    }

    /// `body` for each limb, the highest first.
    fn downwards(&self, at: &mut Emit<'_>, body: impl FnOnce(&mut Emit<'_>, ExprId, &Dim)) {
        at.each(&self.count.into(), LoopKind::Seq, |at, round| {
            let wanted = at.w.index(Dim::from(self.count - 1) - round);
            let wanted = at.w.set(wanted);
            let limb = at.w.local(DType::U64, []);
            let zero = at.w.int(DType::U64, 0);
            at.w.assign(limb, &[], zero);
            at.each(&self.count.into(), LoopKind::Unroll, |at, n| {
                let here = at.w.index(n.clone());
                let is = at.w.compare(CompareFn::Eq, here, wanted);
                let (old, other) = (at.w.read(limb, &[]), at.w.read(self.limbs, std::slice::from_ref(n)));
                let value = at.w.select(is, other, old);
                at.w.assign(limb, &[], value);
            });
            let limb = at.w.read(limb, &[]);
            let limb = at.w.set(limb);
            body(at, limb, round);
        });
    }
}

/// The digits that a limb has behind so many of higher limbs: nine, or of the first that is not 0 its own.
fn own_digits(at: &mut Emit<'_>, limb: ExprId, before: ExprId) -> ExprId {
    let (zero, none, nine) = (at.w.int(DType::U64, 0), at.w.int(DType::I64, 0), at.w.int(DType::I64, 9));
    let own = digits(at, limb);
    let some = at.w.compare(CompareFn::Ne, limb, zero);
    let own = at.w.select(some, own, none);
    let first = at.w.compare(CompareFn::Eq, before, none);
    at.w.select(first, own, nine)
}
