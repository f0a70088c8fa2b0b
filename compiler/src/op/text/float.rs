//! Floats that strings spell.
//!
//! A string is read once, by a table of states: its digits as a whole number of 64 bits, an exponent, and whether digits were
//! dropped that are not 0. The float next to that is found by a product with a power of ten of 128 bits (Lemire, "Number
//! parsing at a gigabyte per second", 2021), which is exact for up to 19 digits (Mushtak and Lemire, "Fast number parsing
//! without fallback", 2023). Of more digits, both neighbours of the first 19 are rounded; where these differ, only the digits
//! behind them tell, which is a fault.

mod powers;
mod states;

use serde::{Deserialize, Serialize};

use super::{super::*, words::Words};
use crate::{
    loops::{BinaryFn, CompareFn, LocalId, UnaryFn},
    tensor::{DType, Scalar},
};
use powers::{HIGHEST, LOWEST};
use states::{State, Word};

/// The float that each string of operand 0 spells, of the type `to`, f32 or f64, rounded once to nearest even: digits with a
/// point and an exponent, `0x` and digits of base 16 with an exponent of 2, `inf`, `infinity`, `nan` or `nan(..)`, in either
/// case, with a sign before them and white space around. Anything else is a fault, and so is a decimal of more than 19
/// significant digits whose first 19 do not tell how it is rounded. Operands 1 and 2 are what [`TextFloat::tables`] makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextFloat {
    pub to: DType,
}

/// Digits that are kept: so many of base 10 fit 64 bits, and of base 16 leave room for one more bit.
const DECIMALS: i64 = 19;
const HEX_DIGITS: i64 = 15;
/// Exponents beyond are as good as this one.
const MAX_EXPONENT: i64 = 1 << 40;

impl TextFloat {
    /// The table of states, `u8[states * 256]`, and the powers of ten, `u64[powers * 2]`.
    pub fn tables() -> [Tensor; 2] {
        let states = states::table().into_iter().map(|state| Scalar::Uint(state.into()));
        let powers = powers::table().into_iter().map(Scalar::Uint);
        let (states, powers) = (states.collect::<Vec<_>>(), powers.collect::<Vec<_>>());
        [
            Tensor::from_scalars(DType::U8, [states.len()], states),
            Tensor::from_scalars(DType::U64, [powers.len()], powers),
        ]
    }
    /// Bits of the fraction, the exponent of 1.0, and the exponent of infinity.
    fn format(&self) -> [i64; 3] {
        if self.to == DType::F32 { [23, 127, 255] } else { [52, 1023, 2047] }
    }
    /// The powers of ten by which a tie may be told, as [`powers`] has them.
    fn ties(&self) -> [i64; 2] {
        if self.to == DType::F32 { [-17, 10] } else { [-4, 23] }
    }
}

impl Primitive for TextFloat {
    const NAME: &'static str = "text_float";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x, states, powers] = operands(inputs)?;
        super::check_strings(x)?;
        if !matches!(self.to, DType::F32 | DType::F64) {
            return Err(format!("strings spell no {}", self.to));
        }
        let wanted = [(DType::U8, states::COUNT * 256), (DType::U64, powers::COUNT * 2)]
            .map(|(dtype, count)| TensorType::new(dtype, [Dim::from(count)]));
        if [states, powers].into_iter().ne(wanted.iter()) {
            return Err(format!("{states} and {powers} are not the tables by which strings are read"));
        }
        Ok(TensorType::new(self.to, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let numbers = inputs[0].strings().iter().map(|s| match self.to {
            DType::F32 => states::spelled::<f32>(s).map(Scalar::F32),
            _ => states::spelled::<f64>(s).map(Scalar::F64),
        });
        let numbers: Option<Vec<Scalar>> = numbers.collect();
        Ok(Tensor::from_scalars(self.to, out, numbers.ok_or(Fault::AssertionFailed)?))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        let read = read(at, x);
        let valid = is_in(at, read.state, states::accepted());
        at.w.check(valid, Fault::AssertionFailed);
        let hex = is_in(at, read.state, states::of_base_16());
        let hex = at.w.set(hex);
        // The number that was read, and the next one.
        let [first, second] = [(); 2].map(|()| at.w.local(DType::U64, []));
        let zero = at.w.int(DType::U64, 0);
        at.w.assign(first, &[], zero);
        at.w.assign(second, &[], zero);
        at.each(&2.into(), LoopKind::Seq, |at, n| {
            let last = at.w.read(second, &[]);
            at.w.assign(first, &[], last);
            let more = at.w.index(n.clone());
            let more = at.w.cast(DType::U64, more);
            let digits = at.w.binary(BinaryFn::Add, read.digits, more);
            let bits = self.rounded(at, digits, &read, hex);
            at.w.assign(second, &[], bits);
        });
        let [first, second] = [first, second].map(|local| {
            let value = at.w.read(local, &[]);
            at.w.set(value)
        });
        let same = at.w.compare(CompareFn::Eq, first, second);
        let whole = at.w.unary(UnaryFn::Not, read.dropped);
        let told = at.w.binary(BinaryFn::Or, same, whole);
        let told = at.w.binary(BinaryFn::Or, told, hex);
        at.w.check(told, Fault::AssertionFailed);
        let [fraction, _, infinite] = self.format();
        let mut bits = first;
        for (word, mantissa) in [(Word::Infinity, 0), (Word::Nan, 1 << (fraction - 1))] {
            let is = is_in(at, read.state, states::of_word(word));
            let value = at.w.int(DType::U64, infinite << fraction | mantissa);
            bits = at.w.select(is, value, bits);
        }
        let sign = at.w.constant(DType::U64, Scalar::Uint(1 << (8 * self.to.size() - 1)));
        let sign = at.w.select(read.negative, sign, zero);
        let bits = at.w.binary(BinaryFn::Or, bits, sign);
        let narrow = if self.to == DType::F32 { DType::U32 } else { DType::U64 };
        let bits = at.w.cast(narrow, bits);
        at.w.bits(self.to, bits)
    }
}

/// What a string was read as.
struct Read {
    state: ExprId,
    negative: ExprId,
    /// The digits that were kept as a whole number, u64.
    digits: ExprId,
    /// The exponent of the last one of them, by the base, and what is written as an exponent.
    place: ExprId,
    exponent: ExprId,
    /// Whether a digit was dropped that is not 0.
    dropped: ExprId,
}

/// Whether a state, an i64, is in a set.
fn is_in(at: &mut Emit<'_>, state: ExprId, set: u64) -> ExprId {
    let (set, one) = (at.w.constant(DType::U64, Scalar::Uint(set)), at.w.int(DType::U64, 1));
    let by = at.w.cast(DType::U64, state);
    let bit = at.w.binary(BinaryFn::Shr, set, by);
    let bit = at.w.binary(BinaryFn::And, bit, one);
    let is = at.w.compare(CompareFn::Eq, bit, one);
    at.w.set(is)
}

/// Reads a string that is in a variable.
fn read(at: &mut Emit<'_>, x: ExprId) -> Read {
    let [state, place, exponent, kept] = [(); 4].map(|()| at.w.local(DType::I64, []));
    let digits = at.w.local(DType::U64, []);
    let [negative, below, dropped] = [(); 3].map(|()| at.w.local(DType::Bool, []));
    let (zero, none) = (at.w.int(DType::I64, 0), at.w.int(DType::U64, 0));
    let no = at.w.constant(DType::Bool, Scalar::Bool(false));
    [state, place, exponent, kept].into_iter().for_each(|local| at.w.assign(local, &[], zero));
    at.w.assign(digits, &[], none);
    [negative, below, dropped].into_iter().for_each(|local| at.w.assign(local, &[], no));
    let length = at.w.length(x);
    let length = at.w.set_index(length, None);
    at.each(&length, LoopKind::Seq, |at, n| {
        let here = at.w.index(n.clone());
        let byte = at.w.byte(x, here);
        let byte = at.w.set(byte);
        let (row, column) = (at.w.read(state, &[]), at.w.cast(DType::I64, byte));
        let width = at.w.int(DType::I64, 256);
        let entry = at.w.binary(BinaryFn::Mul, row, width);
        let entry = at.w.binary(BinaryFn::Add, entry, column);
        let entry = at.w.set_index(entry, Some(Dim::from(states::COUNT * 256)));
        let new = at.read(1, &[entry]);
        let new = at.w.cast(DType::I64, new);
        let new = at.w.set(new);
        at.w.assign(state, &[], new);

        let [minus, point] = [b'-', b'.'].map(|n| at.w.int(DType::U8, n.into()));
        let is_minus = at.w.compare(CompareFn::Eq, byte, minus);
        let is_minus = at.w.set(is_minus);
        for (local, states) in
            [(negative, states::set(&[State::Sign])), (below, states::set(&[State::ExpSign, State::PowSign]))]
        {
            let is = is_in(at, new, states);
            let is = at.w.binary(BinaryFn::And, is, is_minus);
            let before = at.w.read(local, &[]);
            let either = at.w.binary(BinaryFn::Or, is, before);
            at.w.assign(local, &[], either);
        }

        // The value of a digit of either base.
        let [digit_0, nine, small, letter] = [b'0', 9, 0x20, b'a' - 10].map(|n| at.w.int(DType::U8, n.into()));
        let digit = at.w.binary(BinaryFn::Sub, byte, digit_0);
        let digit = at.w.set(digit);
        let plain = at.w.compare(CompareFn::Le, digit, nine);
        let lower = at.w.binary(BinaryFn::Or, byte, small);
        let lower = at.w.binary(BinaryFn::Sub, lower, letter);
        let digit = at.w.select(plain, digit, lower);
        let digit = at.w.set(digit);

        let counts = is_in(at, new, states::of_digits());
        let other = at.w.compare(CompareFn::Ne, byte, point);
        let counts = at.w.binary(BinaryFn::And, counts, other);
        let counts = at.w.set(counts);
        let hex = is_in(at, new, states::of_base_16());
        let behind = is_in(at, new, states::of_fractions());
        let behind = at.w.cast(DType::I64, behind);
        let behind = at.w.set(behind);
        let [ten, sixteen] = [10, 16].map(|n| at.w.int(DType::U64, n));
        let [decimals, hex_digits] = [DECIMALS, HEX_DIGITS].map(|n| at.w.int(DType::I64, n));
        let (base, most) = (at.w.select(hex, sixteen, ten), at.w.select(hex, hex_digits, decimals));
        let so_far = at.w.read(kept, &[]);
        let so_far = at.w.set(so_far);
        let room = at.w.compare(CompareFn::Lt, so_far, most);
        let room = at.w.set(room);
        let takes = at.w.binary(BinaryFn::And, counts, room);
        let takes = at.w.set(takes);
        let old = at.w.read(digits, &[]);
        let old = at.w.set(old);
        let sum = at.w.binary(BinaryFn::Mul, old, base);
        let wide = at.w.cast(DType::U64, digit);
        let sum = at.w.binary(BinaryFn::Add, sum, wide);
        let value = at.w.select(takes, sum, old);
        let value = at.w.set(value);
        at.w.assign(digits, &[], value);
        // Zeros before the first digit are none that is kept.
        let (zero, none) = (at.w.int(DType::I64, 0), at.w.int(DType::U64, 0));
        let some = at.w.compare(CompareFn::Ne, value, none);
        let some = at.w.binary(BinaryFn::And, some, takes);
        let some = at.w.cast(DType::I64, some);
        at.w.accumulate(kept, &[], BinaryFn::Add, some);
        let one = at.w.int(DType::I64, 1);
        let as_dropped = at.w.binary(BinaryFn::Sub, one, behind);
        let as_kept = at.w.binary(BinaryFn::Sub, zero, behind);
        let moves = at.w.select(room, as_kept, as_dropped);
        let moves = at.w.select(counts, moves, zero);
        at.w.accumulate(place, &[], BinaryFn::Add, moves);
        let full = at.w.unary(UnaryFn::Not, room);
        let lost = at.w.binary(BinaryFn::And, counts, full);
        let none = at.w.int(DType::U8, 0);
        let matters = at.w.compare(CompareFn::Ne, digit, none);
        let lost = at.w.binary(BinaryFn::And, lost, matters);
        let before = at.w.read(dropped, &[]);
        let lost = at.w.binary(BinaryFn::Or, lost, before);
        at.w.assign(dropped, &[], lost);

        let powers = is_in(at, new, states::set(&[State::Exp, State::Pow]));
        let old = at.w.read(exponent, &[]);
        let old = at.w.set(old);
        let (ten, most) = (at.w.int(DType::I64, 10), at.w.int(DType::I64, MAX_EXPONENT));
        let next = at.w.binary(BinaryFn::Mul, old, ten);
        let unit = at.w.cast(DType::I64, digit);
        let next = at.w.binary(BinaryFn::Add, next, unit);
        let next = at.w.binary(BinaryFn::Min, next, most);
        let next = at.w.select(powers, next, old);
        at.w.assign(exponent, &[], next);
    });
    let get = |at: &mut Emit<'_>, local: LocalId| {
        let value = at.w.read(local, &[]);
        at.w.set(value)
    };
    let (size, below) = (get(at, exponent), get(at, below));
    let zero = at.w.int(DType::I64, 0);
    let less = at.w.binary(BinaryFn::Sub, zero, size);
    let exponent = at.w.select(below, less, size);
    let exponent = at.w.set(exponent);
    Read {
        state: get(at, state),
        negative: get(at, negative),
        digits: get(at, digits),
        place: get(at, place),
        exponent,
        dropped: get(at, dropped),
    }
}

impl TextFloat {
    /// The bits of the float, without a sign, that is next to a whole number of digits at the place and by the exponent that
    /// were read.
    fn rounded(&self, at: &mut Emit<'_>, digits: ExprId, read: &Read, hex: ExprId) -> ExprId {
        let digits = at.w.set(digits);
        let none = at.w.int(DType::U64, 0);
        // Of base 16: one more bit says whether digits were dropped.
        let mut w = Words { at };
        let dropped = w.at.w.cast(DType::U64, read.dropped);
        let odd = w.left(digits, 1);
        let odd = w.at.w.binary(BinaryFn::Or, odd, dropped);
        let whole = w.at.w.select(hex, odd, digits);
        let whole = w.set(whole);
        let (zeros, whole) = normal(&mut w, whole);

        // q, the power of ten; what no float can have is as good as the ends of the table.
        let q = w.at.w.binary(BinaryFn::Add, read.place, read.exponent);
        let [low, high] = [LOWEST - 1, HIGHEST + 1].map(|n| w.at.w.int(DType::I64, n));
        let q = w.at.w.binary(BinaryFn::Max, q, low);
        let q = w.at.w.binary(BinaryFn::Min, q, high);
        let q = w.set(q);
        let [low, high] = [LOWEST, HIGHEST].map(|n| w.at.w.int(DType::I64, n));
        let entry = w.at.w.binary(BinaryFn::Max, q, low);
        let entry = w.at.w.binary(BinaryFn::Min, entry, high);
        let entry = w.at.w.binary(BinaryFn::Sub, entry, low);
        let entry = w.at.w.set_index(entry, Some(Dim::from(powers::COUNT)));
        let [top, bottom] = [0, 1].map(|n| {
            let part = w.at.read(2, &[&entry * 2 + n]);
            w.set(part)
        });
        let (upper, lower) = wide_product(&mut w, whole, top);
        let (carried, _) = wide_product(&mut w, whole, bottom);
        let sum = w.add(lower, carried);
        let lower = w.set(sum);
        let carry = w.at.w.compare(CompareFn::Lt, lower, carried);
        let carry = w.at.w.cast(DType::U64, carry);
        let upper = w.add(upper, carry);
        let upper = w.set(upper);
        let top_bit = w.right(upper, 63);
        let top_bit = w.set(top_bit);
        // A tie is one where the product is exact; everything else lies behind what the upper half tells.
        let [from, up_to] = self.ties().map(|n| w.at.w.int(DType::I64, n));
        let (a, b) = (w.at.w.compare(CompareFn::Ge, q, from), w.at.w.compare(CompareFn::Le, q, up_to));
        let one = w.number(1);
        let c = w.at.w.compare(CompareFn::Le, lower, one);
        let exact = w.at.w.binary(BinaryFn::And, a, b);
        let exact = w.at.w.binary(BinaryFn::And, exact, c);
        let more = w.at.w.unary(UnaryFn::Not, exact);
        let more = w.at.w.cast(DType::U64, more);
        let up_by = w.xor(top_bit, one);
        let shifted = w.at.w.binary(BinaryFn::Shl, upper, up_by);
        let shifted = w.at.w.binary(BinaryFn::Or, shifted, more);
        // The exponent of the first bit: that of the power of ten, 63 - zeros, and 1 where the product has its top bit.
        let slope = w.at.w.int(DType::I64, 217_706);
        let log = w.at.w.binary(BinaryFn::Mul, q, slope);
        let sixteen = w.at.w.int(DType::I64, 16);
        let log = w.at.w.binary(BinaryFn::Shr, log, sixteen);
        let zeros = w.at.w.cast(DType::I64, zeros);
        let zeros = w.set(zeros);
        let most = w.at.w.int(DType::I64, 63);
        let first = w.at.w.binary(BinaryFn::Sub, most, zeros);
        let first = w.set(first);
        let decimal = w.add(log, first);
        let top_bit = w.at.w.cast(DType::I64, top_bit);
        let decimal = w.add(decimal, top_bit);
        // Of base 16 that follows from the place.
        let four = w.at.w.int(DType::I64, 4);
        let binary = w.at.w.binary(BinaryFn::Mul, read.place, four);
        let binary = w.add(binary, read.exponent);
        let binary = w.add(binary, first);
        let one = w.at.w.int(DType::I64, 1);
        let binary = w.at.w.binary(BinaryFn::Sub, binary, one);
        let mantissa = w.at.w.select(hex, whole, shifted);
        let exponent = w.at.w.select(hex, binary, decimal);
        let (mantissa, exponent) = (w.set(mantissa), w.set(exponent));
        let bits = self.packed(&mut w, mantissa, exponent);
        let nothing = w.at.w.compare(CompareFn::Eq, digits, none);
        // Zero digits, of which some that were dropped are none.
        w.at.w.select(nothing, none, bits)
    }
    /// The bits of the float next to `mantissa * 2^(exponent - 63)`, where the mantissa has its top bit, rounded to nearest even.
    fn packed(&self, w: &mut Words<'_, '_>, mantissa: ExprId, exponent: ExprId) -> ExprId {
        let [fraction, bias, infinite] = self.format();
        let int = |w: &mut Words<'_, '_>, n: i64| w.at.w.int(DType::I64, n);
        let bias = int(w, bias);
        let biased = w.add(exponent, bias);
        let biased = w.set(biased);
        // What is not normal has fewer bits, up to none of them and the one behind.
        let (one, zero) = (int(w, 1), int(w, 0));
        let under = w.at.w.binary(BinaryFn::Sub, one, biased);
        let under = w.at.w.binary(BinaryFn::Max, under, zero);
        let most = int(w, 65);
        let under = w.at.w.binary(BinaryFn::Min, under, most);
        let plain = int(w, 63 - fraction);
        let drop = w.add(under, plain);
        let drop = w.set(drop);
        let (sixty_three, sixty_four) = (int(w, 63), int(w, 64));
        let beyond = w.at.w.compare(CompareFn::Gt, drop, sixty_four);
        let all = w.at.w.compare(CompareFn::Eq, drop, sixty_four);
        let all = w.set(all);
        let by = w.at.w.binary(BinaryFn::Min, drop, sixty_three);
        let by = w.at.w.cast(DType::U64, by);
        let by = w.set(by);
        let none = w.number(0);
        let kept = w.at.w.binary(BinaryFn::Shr, mantissa, by);
        let kept = w.at.w.select(all, none, kept);
        let kept = w.set(kept);
        let unit = w.number(1);
        let ones = w.at.w.binary(BinaryFn::Shl, unit, by);
        let mask = w.at.w.binary(BinaryFn::Sub, ones, unit);
        let rest = w.at.w.binary(BinaryFn::And, mantissa, mask);
        let rest = w.at.w.select(all, mantissa, rest);
        let rest = w.set(rest);
        let half = w.right(ones, 1);
        let top = w.number(1 << 63);
        let half = w.at.w.select(all, top, half);
        let half = w.set(half);
        let (above, tie) = (w.at.w.compare(CompareFn::Gt, rest, half), w.at.w.compare(CompareFn::Eq, rest, half));
        let odd = w.and(kept, 1);
        let odd = w.at.w.compare(CompareFn::Eq, odd, unit);
        let to_even = w.at.w.binary(BinaryFn::And, tie, odd);
        let up = w.at.w.binary(BinaryFn::Or, above, to_even);
        let up = w.at.w.cast(DType::U64, up);
        let kept = w.add(kept, up);
        // A carry into the exponent is right; the first bit of a normal number counts as 1 there.
        let steps = w.at.w.binary(BinaryFn::Sub, biased, one);
        let steps = w.at.w.binary(BinaryFn::Max, steps, zero);
        let last = int(w, infinite);
        let steps = w.at.w.binary(BinaryFn::Min, steps, last);
        let steps = w.at.w.cast(DType::U64, steps);
        let steps = w.left(steps, fraction as u64);
        let bits = w.add(steps, kept);
        let bits = w.at.w.select(beyond, none, bits);
        let infinity = w.number((infinite as u64) << fraction);
        w.at.w.binary(BinaryFn::Min, bits, infinity)
    }
}

/// How many zeros a word has before its first bit, and the word without them; a word of zeros stays.
fn normal(w: &mut Words<'_, '_>, word: ExprId) -> (ExprId, ExprId) {
    let (mut zeros, mut word) = (w.number(0), word);
    for by in [32, 16, 8, 4, 2, 1] {
        let (top, none) = (w.right(word, 64 - by), w.number(0));
        let empty = w.at.w.compare(CompareFn::Eq, top, none);
        let step = w.number(by);
        let by = w.at.w.select(empty, step, none);
        let by = w.set(by);
        let shifted = w.at.w.binary(BinaryFn::Shl, word, by);
        word = w.set(shifted);
        let more = w.add(zeros, by);
        zeros = w.set(more);
    }
    (zeros, word)
}

/// The upper and the lower 64 bits of a product.
fn wide_product(w: &mut Words<'_, '_>, a: ExprId, b: ExprId) -> (ExprId, ExprId) {
    let halves = |w: &mut Words<'_, '_>, x: ExprId| [w.right(x, 32), w.and(x, 0xffff_ffff)].map(|half| w.set(half));
    let ([a_high, a_low], [b_high, b_low]) = (halves(w, a), halves(w, b));
    let product = |w: &mut Words<'_, '_>, a: ExprId, b: ExprId| {
        let product = w.mul(a, b);
        w.set(product)
    };
    let low = product(w, a_low, b_low);
    let (left, right) = (product(w, a_high, b_low), product(w, a_low, b_high));
    let carried = w.right(low, 32);
    let middle = w.add(left, carried);
    let middle = w.set(middle);
    let [middle_high, middle_low] = halves(w, middle);
    let cross = w.add(right, middle_low);
    let cross = w.set(cross);
    let cross_high = w.right(cross, 32);
    let high = product(w, a_high, b_high);
    let high = w.add(high, middle_high);
    let high = w.add(high, cross_high);
    let low = w.mul(a, b);
    (w.set(high), w.set(low))
}
