//! Whole numbers that strings spell.

use serde::{Deserialize, Serialize};

use super::{
    super::*,
    strip::{emit_space, is_space},
};
use crate::{
    loops::{BinaryFn, CompareFn, UnaryFn},
    tensor::{DType, Scalar},
};

/// The integer that each string spells, of the type `to`: decimal digits, with a sign before them (no minus where the type has
/// none) and white space around. Anything else is a fault, and so is a number that the type does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextInt {
    pub to: DType,
}

/// What was read so far, as a number: white space, a sign, digits, white space behind them.
const BEFORE: i64 = 0;
const SIGN: i64 = 1;
const DIGITS: i64 = 2;
const BEHIND: i64 = 3;

impl Primitive for TextInt {
    const NAME: &'static str = "text_int";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        super::check_strings(x)?;
        if !self.to.is_int() {
            return Err(format!("{} is no type of integers", self.to));
        }
        Ok(TensorType::new(self.to, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let number = |s: &Vec<u8>| {
            let start = s.iter().position(|&byte| !is_space(byte))?;
            let end = s.iter().rposition(|&byte| !is_space(byte))? + 1;
            let text = std::str::from_utf8(&s[start..end]).ok()?;
            // Rust takes a plus, and a minus only where the type has one.
            match self.to.is_signed_int() {
                true => {
                    let number: i64 = text.parse().ok()?;
                    let (least, greatest) = self.to.int_range()?;
                    (least..=greatest).contains(&number.into()).then_some(Scalar::Int(number))
                }
                false => {
                    let number: u64 = text.parse().ok()?;
                    (i128::from(number) <= self.to.int_range()?.1).then_some(Scalar::Uint(number))
                }
            }
        };
        let numbers: Option<Vec<Scalar>> = inputs[0].strings().iter().map(number).collect();
        Ok(Tensor::from_scalars(self.to, out, numbers.ok_or(Fault::AssertionFailed)?))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        let [phase, negative, value, over] =
            [DType::I64, DType::Bool, DType::U64, DType::Bool].map(|dtype| at.w.local(dtype, []));
        let no = at.w.constant(DType::Bool, Scalar::Bool(false));
        let [before, none] = [at.w.int(DType::I64, BEFORE), at.w.int(DType::U64, 0)];
        for (local, start) in [(phase, before), (negative, no), (value, none), (over, no)] {
            at.w.assign(local, &[], start);
        }
        let length = at.w.length(x);
        let length = at.w.set_index(length, None);
        at.each(&length, LoopKind::Seq, |at, n| {
            let here = at.w.index(n.clone());
            let byte = at.w.byte(x, here);
            let byte = at.w.set(byte);
            let space = emit_space(at, byte);
            let space = at.w.set(space);
            let [minus, plus, zero, nine] = [b'-', b'+', b'0', 9].map(|n| at.w.int(DType::U8, n.into()));
            let digit = at.w.binary(BinaryFn::Sub, byte, zero);
            let digit = at.w.set(digit);
            let is_digit = at.w.compare(CompareFn::Le, digit, nine);
            let is_digit = at.w.set(is_digit);
            let (is_minus, is_plus) =
                (at.w.compare(CompareFn::Eq, byte, minus), at.w.compare(CompareFn::Eq, byte, plus));
            let is_minus = at.w.set(is_minus);
            let is_sign = at.w.binary(BinaryFn::Or, is_minus, is_plus);
            let old = at.w.read(phase, &[]);
            let old = at.w.set(old);
            let [before, sign, digits, behind, bad] =
                [BEFORE, SIGN, DIGITS, BEHIND, BEHIND + 1].map(|n| at.w.int(DType::I64, n));
            let is = |at: &mut Emit<'_>, f: CompareFn, of: ExprId| at.w.compare(f, old, of);
            // Where a byte leads to, by its kind; nothing leads back from what is bad.
            let (first, to_digits) = (is(at, CompareFn::Eq, before), is(at, CompareFn::Le, digits));
            let (in_sign, in_digits) = (is(at, CompareFn::Eq, sign), is(at, CompareFn::Eq, digits));
            let as_digit = at.w.select(to_digits, digits, bad);
            let as_sign = at.w.select(first, sign, bad);
            let kept = at.w.select(in_sign, bad, old);
            let as_space = at.w.select(in_digits, behind, kept);
            let other = at.w.select(is_sign, as_sign, bad);
            let other = at.w.select(space, as_space, other);
            let new = at.w.select(is_digit, as_digit, other);
            at.w.assign(phase, &[], new);
            let negates = at.w.read(negative, &[]);
            let negates = at.w.binary(BinaryFn::Or, negates, is_minus);
            at.w.assign(negative, &[], negates);
            let old = at.w.read(value, &[]);
            let old = at.w.set(old);
            let (ten, most) = (at.w.int(DType::U64, 10), at.w.constant(DType::U64, Scalar::Uint(u64::MAX / 10)));
            let tens = at.w.binary(BinaryFn::Mul, old, ten);
            let tens = at.w.set(tens);
            let unit = at.w.cast(DType::U64, digit);
            let sum = at.w.binary(BinaryFn::Add, tens, unit);
            let sum = at.w.set(sum);
            let (wraps, passes) = (at.w.compare(CompareFn::Lt, sum, tens), at.w.compare(CompareFn::Gt, old, most));
            let exceeds = at.w.binary(BinaryFn::Or, wraps, passes);
            let exceeds = at.w.binary(BinaryFn::And, exceeds, is_digit);
            let before = at.w.read(over, &[]);
            let exceeds = at.w.binary(BinaryFn::Or, exceeds, before);
            at.w.assign(over, &[], exceeds);
            let sum = at.w.select(is_digit, sum, old);
            at.w.assign(value, &[], sum);
        });
        let [phase, negative, value, over] = [phase, negative, value, over].map(|local| {
            let value = at.w.read(local, &[]);
            at.w.set(value)
        });
        let (digits, behind) = (at.w.int(DType::I64, DIGITS), at.w.int(DType::I64, BEHIND));
        let (a, b) = (at.w.compare(CompareFn::Eq, phase, digits), at.w.compare(CompareFn::Eq, phase, behind));
        let spelled = at.w.binary(BinaryFn::Or, a, b);
        let (least, greatest) = self.to.int_range().expect("an integer");
        let [most, most_below] = [greatest, -least].map(|n| at.w.constant(DType::U64, Scalar::Uint(n as u64)));
        let most = at.w.select(negative, most_below, most);
        let held = at.w.compare(CompareFn::Le, value, most);
        let fits = at.w.unary(UnaryFn::Not, over);
        let mut fine = at.w.binary(BinaryFn::And, spelled, held);
        fine = at.w.binary(BinaryFn::And, fine, fits);
        if !self.to.is_signed_int() {
            let positive = at.w.unary(UnaryFn::Not, negative);
            fine = at.w.binary(BinaryFn::And, fine, positive);
        }
        at.w.check(fine, Fault::AssertionFailed);
        let zero = at.w.int(DType::U64, 0);
        let below = at.w.binary(BinaryFn::Sub, zero, value);
        let value = at.w.select(negative, below, value);
        at.w.cast(self.to, value)
    }
}
