//! Numbers as text, as C's `printf` writes them.

mod float;

use serde::{Deserialize, Serialize};

use super::super::*;
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::{DType, Scalar},
};

/// What takes the place that a number leaves of its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Spaces before it.
    Space,
    /// Spaces before it, and a plus before what is not negative.
    Plus,
    /// Spaces before it, one at least before what is not negative.
    Blank,
    /// Zeros behind the sign; of what is no number spaces before it.
    Zero,
    /// Spaces behind it.
    Behind,
}

/// Each number as text: integers in decimal digits, floats with so many digits behind the point, rounded to the nearest and
/// halves to even, exactly; `inf`, `nan`, and a minus before what has its sign. Nothing is narrower than `width`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextNumber {
    pub width: u32,
    pub fill: Fill,
    /// At most [`MAX_DECIMALS`]; 0 for integers.
    pub decimals: u32,
}

/// Digits behind the point of a float: as many as a word holds.
pub const MAX_DECIMALS: u32 = 19;

/// What is written of a number besides the fill.
struct Parts {
    /// Whether there is a minus: a bool.
    negative: ExprId,
    /// The bytes of the rest, an i64.
    bytes: ExprId,
    /// Whether zeros may stand behind the sign: a bool.
    takes_zeros: ExprId,
}

impl Primitive for TextNumber {
    const NAME: &'static str = "text_number";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        let most = if x.dtype.is_float() { MAX_DECIMALS } else { 0 };
        if !(x.dtype.is_int() || x.dtype.is_float()) || self.decimals > most {
            return Err(format!("{x} is not written with {} digits behind the point", self.decimals));
        }
        Ok(TensorType::new(DType::Str, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        Ok(Tensor::from_strings(out, inputs[0].scalars().map(|x| self.written(x)).collect()))
    }
    /// Panics: what is made is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("strings are made as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let dtype = at.ty(0).dtype;
        at.nest(shape, LoopKind::Seq, |at, ix| {
            let x = at.read(0, ix);
            let x = at.w.set(x);
            if dtype.is_float() {
                let wide = at.w.cast(DType::F64, x);
                let wide = at.w.set(wide);
                float::emit(self, at, wide, float::limbs(dtype));
            } else {
                self.emit_integer(at, x);
            }
            let made = at.w.take();
            at.w.store(out, shape, ix, made);
        });
    }
}

impl TextNumber {
    fn written(&self, x: Scalar) -> Vec<u8> {
        let (width, decimals) = (self.width as usize, self.decimals as usize);
        let (negative, rest, is_number) = match x {
            Scalar::Int(n) => (n < 0, n.unsigned_abs().to_string(), true),
            Scalar::Uint(n) => (false, n.to_string(), true),
            x => {
                let x = x.as_f64().expect("a float");
                let rest = match x.abs() {
                    x if x.is_nan() => "nan".into(),
                    x if x.is_infinite() => "inf".into(),
                    x => format!("{x:.decimals$}"),
                };
                (x.is_sign_negative(), rest, x.is_finite())
            }
        };
        let sign = match self.fill {
            _ if negative => "-",
            Fill::Plus => "+",
            Fill::Blank => " ",
            _ => "",
        };
        let body = format!("{sign}{rest}");
        match self.fill {
            Fill::Space | Fill::Plus | Fill::Blank => format!("{body:>width$}"),
            Fill::Behind => format!("{body:<width$}"),
            Fill::Zero if is_number => format!("{sign}{rest:0>0$}", width.saturating_sub(sign.len())),
            Fill::Zero => format!("{body:>width$}"),
        }
        .into_bytes()
    }

    fn emit_integer(&self, at: &mut Emit<'_>, x: ExprId) {
        let dtype = at.w.dtype(x);
        let zero = at.w.int(dtype, 0);
        let negative = at.w.compare(CompareFn::Lt, x, zero);
        let negative = at.w.set(negative);
        let magnitude = magnitude(at, x, negative);
        let bytes = digits(at, magnitude);
        let takes_zeros = at.w.constant(DType::Bool, Scalar::Bool(true));
        self.filled(at, Parts { negative, bytes, takes_zeros }, |at| emit_digits(at, magnitude, bytes));
    }

    /// The fill, the sign, and what `rest` appends.
    fn filled(&self, at: &mut Emit<'_>, parts: Parts, rest: impl FnOnce(&mut Emit<'_>)) {
        let negative = at.w.cast(DType::I64, parts.negative);
        let negative = at.w.set(negative);
        let (zero, one) = (at.w.int(DType::I64, 0), at.w.int(DType::I64, 1));
        let other = match self.fill {
            Fill::Plus => Some(b'+'),
            Fill::Blank => Some(b' '),
            _ => None,
        };
        let sign = if other.is_some() { one } else { negative };
        let width = at.w.int(DType::I64, self.width.into());
        let taken = at.w.binary(BinaryFn::Add, parts.bytes, sign);
        let left = at.w.binary(BinaryFn::Sub, width, taken);
        let left = at.w.binary(BinaryFn::Max, left, zero);
        let left = at.w.set(left);
        let before = match self.fill {
            Fill::Space | Fill::Plus | Fill::Blank => left,
            Fill::Zero => at.w.select(parts.takes_zeros, zero, left),
            Fill::Behind => zero,
        };
        let zeros = match self.fill {
            Fill::Zero => at.w.select(parts.takes_zeros, left, zero),
            _ => zero,
        };
        repeat(at, before, b' ');
        repeat(at, negative, b'-');
        if let Some(sign) = other {
            let others = at.w.binary(BinaryFn::Sub, one, negative);
            repeat(at, others, sign);
        }
        repeat(at, zeros, b'0');
        rest(at);
        if self.fill == Fill::Behind {
            repeat(at, left, b' ');
        }
    }
}

/// An integer without its sign, a u64.
fn magnitude(at: &mut Emit<'_>, x: ExprId, negative: ExprId) -> ExprId {
    let signed = at.w.dtype(x).is_signed_int();
    let wide = if signed { at.w.cast(DType::I64, x) } else { x };
    let bits = at.w.cast(DType::U64, wide);
    let zero = at.w.int(DType::U64, 0);
    let opposite = at.w.binary(BinaryFn::Sub, zero, bits);
    let magnitude = at.w.select(negative, opposite, bits);
    at.w.set(magnitude)
}

/// How many decimal digits a u64 has, an i64; 1 of 0.
fn digits(at: &mut Emit<'_>, n: ExprId) -> ExprId {
    let count = at.w.local(DType::I64, []);
    let one = at.w.int(DType::I64, 1);
    at.w.assign(count, &[], one);
    for power in 1..20 {
        let power = at.w.constant(DType::U64, Scalar::Uint(10u64.pow(power)));
        let more = at.w.compare(CompareFn::Le, power, n);
        let more = at.w.cast(DType::I64, more);
        at.w.accumulate(count, &[], BinaryFn::Add, more);
    }
    let count = at.w.read(count, &[]);
    at.w.set(count)
}

/// Appends the last so many digits of a u64, with zeros in front.
fn emit_digits(at: &mut Emit<'_>, n: ExprId, count: ExprId) {
    let unit = at.w.local(DType::U64, []);
    let (one, ten) = (at.w.int(DType::U64, 1), at.w.int(DType::U64, 10));
    let zero = at.w.int(DType::U8, b'0'.into());
    at.w.assign(unit, &[], one);
    let count = at.w.set_index(count, None);
    at.each(&(&count - 1), LoopKind::Seq, |at, _| at.w.accumulate(unit, &[], BinaryFn::Mul, ten));
    at.each(&count, LoopKind::Seq, |at, _| {
        let now = at.w.read(unit, &[]);
        let now = at.w.set(now);
        let digit = at.w.binary(BinaryFn::Div, n, now);
        let digit = at.w.binary(BinaryFn::Rem, digit, ten);
        let digit = at.w.cast(DType::U8, digit);
        let digit = at.w.binary(BinaryFn::Add, digit, zero);
        at.w.append(digit);
        // The last one is not used: a unit of 0 would divide.
        let next = at.w.binary(BinaryFn::Div, now, ten);
        let next = at.w.binary(BinaryFn::Max, next, one);
        at.w.assign(unit, &[], next);
    });
}

/// Appends a byte so many times.
fn repeat(at: &mut Emit<'_>, count: ExprId, byte: u8) {
    let byte = at.w.int(DType::U8, byte.into());
    let count = at.w.set_index(count, None);
    at.each(&count, LoopKind::Seq, |at, _| at.w.append(byte));
}
