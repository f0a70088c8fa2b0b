//! Values of formulas in a routine. A formula without a value is noted as an overflow is.
//!
//! Only operations that every processor of the target has: what rounds to whole numbers goes by way of an integer.

use super::{Compare, Op, RealCompare, RealOp, Type, Value, VarId, WordOp, sizes::Sizes, write::Writer};
use crate::base::dim::{Formula, Function, Kind, Number, Real};

/// From here on a double has no fraction.
const WHOLE: f64 = (1u64 << 52) as f64;

impl Sizes<'_> {
    fn number(&mut self, w: &mut Writer<'_>, number: &Number) -> Value {
        match number {
            Number::Int(dim) => self.dim(w, dim),
            Number::Real(Real::Const(bits)) => w.real(f64::from_bits(*bits)).into(),
            Number::Real(Real::Of(inner)) => self.formula(w, inner),
        }
    }
    fn real(&mut self, w: &mut Writer<'_>, number: &Number) -> VarId {
        match self.number(w, number) {
            Value::Var(var) => var,
            Value::Int(_) => unreachable!("a float is a variable"),
        }
    }

    /// The value: a word, or a variable that holds a float.
    pub fn formula(&mut self, w: &mut Writer<'_>, formula: &Formula) -> Value {
        let f = formula.function();
        match (formula.args(), formula.args().first().map(Number::kind)) {
            ([x], Some(Kind::Int)) => {
                let x = self.dim_of(w, x);
                w.set(Type::Real, Op::ToReal(x)).into()
            }
            ([x], _) => {
                let x = self.real(w, x);
                self.unary(w, f, x)
            }
            ([x, y], Some(Kind::Int)) => {
                let (x, y) = (self.dim_of(w, x), self.dim_of(w, y));
                self.integers(w, f, x, y)
            }
            ([x, y], _) => {
                let (x, y) = (self.real(w, x), self.real(w, y));
                reals(w, f, x, y)
            }
            ([c, x, y], _) => {
                let (c, kind) = (self.dim_of(w, c), x.kind());
                let (x, y) = (self.number(w, x), self.number(w, y));
                let chosen = w.is(Compare::Ne, c, 0);
                let ty = if kind == Kind::Int { Type::Word } else { Type::Real };
                w.set(ty, Op::Select(chosen, x, y)).into()
            }
            _ => unreachable!("a formula has one to three arguments"),
        }
    }

    fn dim_of(&mut self, w: &mut Writer<'_>, number: &Number) -> Value {
        match number {
            Number::Int(dim) => self.dim(w, dim),
            Number::Real(_) => unreachable!("the function takes integers"),
        }
    }

    fn unary(&mut self, w: &mut Writer<'_>, f: Function, x: VarId) -> Value {
        match f {
            Function::ToI32 => self.whole(w, x, RealCompare::Gt, -2f64.powi(31) - 1.0, 2f64.powi(31)),
            Function::ToI64 => self.whole(w, x, RealCompare::Ge, -2f64.powi(63), 2f64.powi(63)),
            Function::Single => w.set(Type::Real, Op::Single(x)).into(),
            Function::Neg => w.set(Type::Real, Op::Negative(x)).into(),
            Function::Abs => w.set(Type::Real, Op::Magnitude(x)).into(),
            Function::Floor | Function::Ceil | Function::Round | Function::Trunc => rounded(w, f, x).into(),
            other => unreachable!("{other:?} is not of one float"),
        }
    }

    /// The integer toward zero where `x` is `least_is` the least one and less than `end`.
    fn whole(&mut self, w: &mut Writer<'_>, x: VarId, least_is: RealCompare, least: f64, end: f64) -> Value {
        let (least, end) = (w.real(least), w.real(end));
        let above = w.is_real(least_is, x, least);
        let below = w.is_real(RealCompare::Lt, x, end);
        let fits = w.both(above, below);
        self.note_unless(w, fits);
        w.set(Type::Word, Op::ToWord(x)).into()
    }

    fn integers(&mut self, w: &mut Writer<'_>, f: Function, x: Value, y: Value) -> Value {
        match f {
            Function::And => w.word(WordOp::And, x, y),
            Function::Or => w.word(WordOp::Or, x, y),
            Function::Xor => w.word(WordOp::Xor, x, y),
            Function::Shl | Function::Shr => {
                let fits = w.is(Compare::Below, y, 64);
                self.note_unless(w, fits);
                let by = w.word(WordOp::And, y, 63);
                if f == Function::Shr {
                    return w.word(WordOp::Shr, x, by);
                }
                let shifted = w.word(WordOp::Shl, x, by);
                let back = w.word(WordOp::Shr, shifted, by);
                let kept = w.is(Compare::Eq, back, x);
                self.note_unless(w, kept);
                shifted
            }
            Function::Pow => self.power(w, x, y),
            Function::Quotient => self.quotient(w, x, y),
            other => unreachable!("{other:?} is not of two integers"),
        }
    }

    /// By squares; an exponent has six bits. A square that no bit asks for is not computed, as it might overflow.
    fn power(&mut self, w: &mut Writer<'_>, x: Value, y: Value) -> Value {
        let fits = w.is(Compare::Below, y, 64);
        self.note_unless(w, fits);
        let (mut power, mut square) = (Value::Int(1), x);
        for bit in 0..6 {
            let set = w.word(WordOp::And, y, 1 << bit);
            let set = w.is(Compare::Ne, set, 0);
            let factor = w.select(set, square, 1);
            power = self.times(w, power, factor);
            let left = w.word(WordOp::Ushr, y, bit + 1);
            let left = w.is(Compare::Ne, left, 0);
            let base = w.select(left, square, 1);
            square = self.times(w, base, base);
        }
        power
    }

    fn quotient(&mut self, w: &mut Writer<'_>, x: Value, y: Value) -> Value {
        let nonzero = w.is(Compare::Ne, y, 0);
        self.note_unless(w, nonzero);
        // The one quotient that overflows: the least number by -1.
        let least = w.is(Compare::Ne, x, i64::MIN);
        let divides = w.is(Compare::Ne, y, -1);
        let fits = w.either(least, divides);
        self.note_unless(w, fits);
        let safe = w.both(nonzero, fits);
        let by = w.select(safe, y, 1);
        let (quotient, rest) = (w.word(WordOp::Div, x, by), w.word(WordOp::Rem, x, by));
        let uneven = w.is(Compare::Ne, rest, 0);
        let signs = w.word(WordOp::Xor, rest, by);
        let differ = w.is(Compare::Lt, signs, 0);
        let lower = w.both(uneven, differ);
        let lower = w.bit(lower);
        w.word(WordOp::Sub, quotient, lower)
    }

    fn note_unless(&mut self, w: &mut Writer<'_>, fits: VarId) {
        let fits = w.bit(fits);
        let bad = w.add(fits, -1);
        self.note(w, bad);
    }
}

/// Of two floats: a float, or a word that is 0 or 1.
fn reals(w: &mut Writer<'_>, f: Function, x: VarId, y: VarId) -> Value {
    let mut compare = |compare| {
        let holds = w.is_real(compare, x, y);
        w.bit(holds)
    };
    match f {
        Function::Less => compare(RealCompare::Lt),
        Function::LessEqual => compare(RealCompare::Le),
        Function::Equal => compare(RealCompare::Eq),
        Function::Add => w.real_of(RealOp::Add, x, y).into(),
        Function::Sub => w.real_of(RealOp::Sub, x, y).into(),
        Function::Mul => w.real_of(RealOp::Mul, x, y).into(),
        Function::Div => w.real_of(RealOp::Div, x, y).into(),
        Function::Min | Function::Max => {
            let compare = if f == Function::Min { RealCompare::Lt } else { RealCompare::Gt };
            let beyond = w.is_real(compare, x, y);
            let nan = w.is_real(RealCompare::Unordered, x, x);
            let first = w.either(beyond, nan);
            w.select_real(first, x, y).into()
        }
        other => unreachable!("{other:?} is not of two floats"),
    }
}

/// To a whole number; what has no fraction stays.
fn rounded(w: &mut Writer<'_>, f: Function, x: VarId) -> VarId {
    let whole = w.set(Type::Word, Op::ToWord(x));
    let toward_zero = w.set(Type::Real, Op::ToReal(whole.into()));
    let step = |w: &mut Writer<'_>, compare, sign: f64| {
        let past = w.is_real(compare, toward_zero, x);
        let (step, none) = (w.real(sign), w.real(0.0));
        let step = w.select_real(past, step, none);
        w.real_of(RealOp::Add, toward_zero, step)
    };
    let value = match f {
        Function::Floor => step(w, RealCompare::Gt, -1.0),
        Function::Ceil => step(w, RealCompare::Lt, 1.0),
        Function::Round => {
            let below = step(w, RealCompare::Gt, -1.0);
            let rest = w.real_of(RealOp::Sub, x, below);
            let half = w.real(0.5);
            let more = w.is_real(RealCompare::Gt, rest, half);
            let even = w.is_real(RealCompare::Eq, rest, half);
            let number = w.set(Type::Word, Op::ToWord(below));
            let odd = w.word(WordOp::And, number, 1);
            let odd = w.is(Compare::Ne, odd, 0);
            let up = w.both(even, odd);
            let up = w.either(more, up);
            let one = w.real(1.0);
            let above = w.real_of(RealOp::Add, below, one);
            w.select_real(up, above, below)
        }
        _ => toward_zero,
    };
    let magnitude = w.set(Type::Real, Op::Magnitude(x));
    let end = w.real(WHOLE);
    let broken = w.is_real(RealCompare::Lt, magnitude, end);
    w.select_real(broken, value, x)
}
