//! Values of formulas in an entry. A formula without a value is noted as an overflow is.
//!
//! Only instructions that every processor of the target has: what rounds to whole numbers goes by way of an integer.

use cranelift_codegen::ir::{
    InstBuilder, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::{Checked, Writer};
use crate::base::dim::{Formula, Function, Kind, Number, Real};

/// From here on a double has no fraction.
const WHOLE: f64 = (1u64 << 52) as f64;

impl Checked<'_> {
    /// Computes the program's formulas in order.
    pub fn compute_formulas(&mut self, w: &mut Writer<'_>) {
        for formula in &self.program.formulas {
            let value = self.formula(w, formula);
            self.formulas.push(value);
        }
    }

    fn number(&mut self, w: &mut Writer<'_>, number: &Number) -> Value {
        match number {
            Number::Int(dim) => self.dim(w, dim),
            Number::Real(Real::Const(bits)) => w.b.ins().f64const(f64::from_bits(*bits)),
            Number::Real(Real::Of(inner)) => self.formula(w, inner),
        }
    }

    fn formula(&mut self, w: &mut Writer<'_>, formula: &Formula) -> Value {
        let args: Vec<Value> = formula.args().iter().map(|arg| self.number(w, arg)).collect();
        match (&args[..], formula.args().first().map(Number::kind)) {
            (&[x], _) => self.unary(w, formula.function(), x),
            (&[x, y], Some(Kind::Int)) => self.integers(w, formula.function(), x, y),
            (&[x, y], _) => w.reals(formula.function(), x, y),
            (&[c, x, y], _) => w.b.ins().select(c, x, y),
            _ => unreachable!("a formula has one to three arguments"),
        }
    }

    fn unary(&mut self, w: &mut Writer<'_>, f: Function, x: Value) -> Value {
        match f {
            Function::ToI32 => self.whole(w, x, FloatCC::GreaterThan, -2f64.powi(31) - 1.0, 2f64.powi(31)),
            Function::ToI64 => self.whole(w, x, FloatCC::GreaterThanOrEqual, -2f64.powi(63), 2f64.powi(63)),
            Function::ToReal => w.b.ins().fcvt_from_sint(types::F64, x),
            Function::Single => {
                let single = w.b.ins().fdemote(types::F32, x);
                w.b.ins().fpromote(types::F64, single)
            }
            Function::Neg => w.b.ins().fneg(x),
            Function::Abs => w.b.ins().fabs(x),
            Function::Floor | Function::Ceil | Function::Round | Function::Trunc => w.rounded(f, x),
            other => unreachable!("{other:?} has more arguments than one"),
        }
    }

    /// The integer toward zero where `x` is `least_is` the least one and less than `end`.
    fn whole(&mut self, w: &mut Writer<'_>, x: Value, least_is: FloatCC, least: f64, end: f64) -> Value {
        let (least, end) = (w.b.ins().f64const(least), w.b.ins().f64const(end));
        let above = w.b.ins().fcmp(least_is, x, least);
        let below = w.b.ins().fcmp(FloatCC::LessThan, x, end);
        let fits = w.b.ins().band(above, below);
        self.note_unless(w, fits);
        w.b.ins().fcvt_to_sint_sat(types::I64, x)
    }

    fn integers(&mut self, w: &mut Writer<'_>, f: Function, x: Value, y: Value) -> Value {
        match f {
            Function::And => w.b.ins().band(x, y),
            Function::Or => w.b.ins().bor(x, y),
            Function::Xor => w.b.ins().bxor(x, y),
            Function::Shl | Function::Shr => {
                let fits = w.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, y, 64);
                self.note_unless(w, fits);
                if f == Function::Shr {
                    return w.b.ins().sshr(x, y);
                }
                let shifted = w.b.ins().ishl(x, y);
                let back = w.b.ins().sshr(shifted, y);
                let kept = w.b.ins().icmp(IntCC::Equal, back, x);
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
        let fits = w.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, y, 64);
        self.note_unless(w, fits);
        let one = w.b.ins().iconst(types::I64, 1);
        let (mut power, mut square) = (one, x);
        for bit in 0..6 {
            let set = w.b.ins().band_imm_u(y, 1 << bit);
            let factor = w.b.ins().select(set, square, one);
            power = self.times(w, power, factor);
            let left = w.b.ins().ushr_imm_u(y, bit + 1);
            let base = w.b.ins().select(left, square, one);
            square = self.times(w, base, base);
        }
        power
    }

    fn quotient(&mut self, w: &mut Writer<'_>, x: Value, y: Value) -> Value {
        let nonzero = w.b.ins().icmp_imm_s(IntCC::NotEqual, y, 0);
        self.note_unless(w, nonzero);
        // The one quotient that overflows: the least number by -1.
        let least = w.b.ins().icmp_imm_s(IntCC::NotEqual, x, i64::MIN);
        let divides = w.b.ins().icmp_imm_s(IntCC::NotEqual, y, -1);
        let fits = w.b.ins().bor(least, divides);
        self.note_unless(w, fits);
        let safe = w.b.ins().band(nonzero, fits);
        let one = w.b.ins().iconst(types::I64, 1);
        let by = w.b.ins().select(safe, y, one);
        let (quotient, rest) = (w.b.ins().sdiv(x, by), w.b.ins().srem(x, by));
        let uneven = w.b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
        let signs = w.b.ins().bxor(rest, by);
        let differ = w.b.ins().icmp_imm_s(IntCC::SignedLessThan, signs, 0);
        let lower = w.b.ins().band(uneven, differ);
        let lower = w.b.ins().uextend(types::I64, lower);
        w.b.ins().isub(quotient, lower)
    }

    fn note_unless(&mut self, w: &mut Writer<'_>, fits: Value) {
        let fits = w.b.ins().uextend(types::I64, fits);
        let bad = w.b.ins().iadd_imm_s(fits, -1);
        self.note(w, bad);
    }
}

impl Writer<'_> {
    fn reals(&mut self, f: Function, x: Value, y: Value) -> Value {
        let compare = |w: &mut Self, cc| {
            let holds = w.b.ins().fcmp(cc, x, y);
            w.b.ins().uextend(types::I64, holds)
        };
        match f {
            Function::Less => compare(self, FloatCC::LessThan),
            Function::LessEqual => compare(self, FloatCC::LessThanOrEqual),
            Function::Equal => compare(self, FloatCC::Equal),
            Function::Add => self.b.ins().fadd(x, y),
            Function::Sub => self.b.ins().fsub(x, y),
            Function::Mul => self.b.ins().fmul(x, y),
            Function::Div => self.b.ins().fdiv(x, y),
            Function::Min | Function::Max => {
                let cc = if f == Function::Min { FloatCC::LessThan } else { FloatCC::GreaterThan };
                let beyond = self.b.ins().fcmp(cc, x, y);
                let nan = self.b.ins().fcmp(FloatCC::Unordered, x, x);
                let first = self.b.ins().bor(beyond, nan);
                self.b.ins().select(first, x, y)
            }
            other => unreachable!("{other:?} is not of two floats"),
        }
    }

    /// To a whole number; what has no fraction stays.
    fn rounded(&mut self, f: Function, x: Value) -> Value {
        let whole = self.b.ins().fcvt_to_sint_sat(types::I64, x);
        let toward_zero = self.b.ins().fcvt_from_sint(types::F64, whole);
        let one = self.b.ins().f64const(1.0);
        let step = |w: &mut Self, cc, sign: f64| {
            let past = w.b.ins().fcmp(cc, toward_zero, x);
            let (step, none) = (w.b.ins().f64const(sign), w.b.ins().f64const(0.0));
            let step = w.b.ins().select(past, step, none);
            w.b.ins().fadd(toward_zero, step)
        };
        let value = match f {
            Function::Floor => step(self, FloatCC::GreaterThan, -1.0),
            Function::Ceil => step(self, FloatCC::LessThan, 1.0),
            Function::Round => {
                let below = step(self, FloatCC::GreaterThan, -1.0);
                let rest = self.b.ins().fsub(x, below);
                let half = self.b.ins().f64const(0.5);
                let more = self.b.ins().fcmp(FloatCC::GreaterThan, rest, half);
                let even = self.b.ins().fcmp(FloatCC::Equal, rest, half);
                let number = self.b.ins().fcvt_to_sint_sat(types::I64, below);
                let odd = self.b.ins().band_imm_u(number, 1);
                let odd = self.b.ins().icmp_imm_s(IntCC::NotEqual, odd, 0);
                let up = self.b.ins().band(even, odd);
                let up = self.b.ins().bor(more, up);
                let above = self.b.ins().fadd(below, one);
                self.b.ins().select(up, above, below)
            }
            _ => toward_zero,
        };
        let magnitude = self.b.ins().fabs(x);
        let end = self.b.ins().f64const(WHOLE);
        let broken = self.b.ins().fcmp(FloatCC::LessThan, magnitude, end);
        self.b.ins().select(broken, value, x)
    }
}
