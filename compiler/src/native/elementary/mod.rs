//! Elementary functions as loop IR, so that every backend sees only arithmetic, selects and bits.
//!
//! [`expand`] rewrites a kernel: an elementary function becomes a few `Set`s before the statement that uses it and an
//! expression over them, without branches, table loads or calls. f16 and bf16 are computed in f32. It also takes apart
//! what a target may lack: multiply-adds (and those of integers always), scaling by powers of two, tables.
//!
//! Special values are those of C99 annex F: signs of zeros, infinities, NaN in and out, saturation to exactly 1 or -1.
//! Denormal numbers are exact citizens where the machine keeps them, and zeros where it flushes them.
//!
//! The polynomials are minimax fits by Remez' algorithm in 50 digits, against the error of the final result; each table
//! of coefficients says what was fitted where (`fit.py` does it). The errors stay below these, in units of the last place,
//! that is of the spacing of floats at the exact result, with and without fused multiply-adds:
//!
//! | function | f32 | f64 |
//! |---|---|---|
//! | exp | 1.2 | 1.0 |
//! | expm1 | 1.7 | 1.5 |
//! | log | 0.9 | 1.0 |
//! | log1p | 1.0 | 1.5 |
//! | sin | 0.9 | 1.0 |
//! | cos | 0.9 | 1.0 |
//! | tan | 2.5 | 2.0 |
//! | asin | 2.2 | 2.0 |
//! | acos | 1.3 | 1.5 |
//! | atan | 1.7 | 1.5 |
//! | sinh | 1.8 | 2.0 |
//! | cosh | 1.6 | 2.0 |
//! | tanh | 2.7 | 3.0 |
//! | asinh | 2.0 | 3.0 |
//! | acosh | 2.5 | 3.0 |
//! | atanh | 2.5 | 3.0 |
//! | erf | 2.4 | 1.5 |
//! | erfc | 5.0 | 4.0 |
//! | pow | 0.8 | 1.5 |
//! | atan2 | 2.0 | 2.5 |
//!
//! `rem` is exact, powers of integers wrap; some constant exponents are multiplied out, within 1. A pow that is a normal
//! f32 is within 0.6: what is denormal is rounded twice. f32 is checked over samples, dense around every threshold, and
//! on demand over all floats (`cargo xtask elementary`), by machine code in the test package; f64 against values to twice
//! the precision (`reference.py`). The worst of all floats at x86-64-v4, where tables make functions shorter: exp 1.00,
//! expm1 1.44, log 0.78, log1p 0.85, sin 0.84, cos 0.84, tan 2.44, asin 2.03, acos 1.14, atan 1.60, sinh 1.54, cosh 1.49,
//! tanh 1.56, asinh 1.78, acosh 2.41, atanh 2.04, erf 2.29, erfc 4.93; at x86-64-v3: exp 0.89, log 0.83, sin 0.84, tanh
//! 2.55, erf 2.28.
//!
//! Divisions are the machine's: on AMD's Zen 4 a quotient by an estimate of the reciprocal and Newton's steps takes more
//! than `vdivps` beside other work.

mod cells;
mod erf;
mod exp;
mod inverse;
mod log;
mod log_single;
mod math;
mod pow;
mod pow_single;
mod rem;
mod trig;
mod turns;

use math::{Constants, Math};

use std::collections::HashMap;

use crate::{
    base::Dim,
    loops::{BinaryFn, Block, CompareFn, Expr, ExprId, Kernel, LoopKind, Stmt, TABLE, Typed, UnaryFn, VarId, Writer},
    tensor::{DType, Scalar},
};

/// `ln 2` in two parts for f32 and f64; the first times any exponent is exact.
const LN2_HIGH: (f64, f64) = (0.693145751953125, 0.6931471805601177);
const LN2_LOW: (f64, f64) = (1.4286068203094173e-06, -1.7239444525614835e-13);

/// What the target does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Multiply-adds of f32 and f64 are one instruction; otherwise none is left in the kernel.
    pub has_fma: bool,
    /// Floor, ceil, trunc and round are instructions; otherwise none is left in the kernel.
    pub has_rounding: bool,
    /// Scaling by a power of two is one instruction, in lanes too; otherwise none is left in the kernel.
    pub has_scaling: bool,
    /// The exponent and the mantissa of a float are one instruction each, in lanes too; otherwise none is left in the
    /// kernel.
    pub has_parts: bool,
    /// A table lies in a register or two; otherwise none is left in the kernel.
    pub has_tables: bool,
}

impl Machine {
    /// What Cranelift makes of it.
    pub fn narrow(self) -> Machine {
        Machine { has_scaling: false, has_parts: false, has_tables: false, ..self }
    }
    /// Whether a table lies in one register: where scaling is an instruction.
    fn looks_up_at_once(self) -> bool {
        self.has_tables && self.has_scaling
    }
    /// Whether functions of f32 that need more than its digits get them from sums of f32, which fill vectors, rather than
    /// from f64, beside which f32 has no lanes.
    fn stays_single(self) -> bool {
        self.has_tables && self.has_fma && self.has_rounding
    }
}

/// Whether [`expand`] replaces the function on every target.
pub fn is_elementary(f: UnaryFn) -> bool {
    UnaryFn::ELEMENTARY.contains(&f)
}

/// The kernel without elementary functions, powers, angles and float remainders, nor what the machine lacks. What
/// verifies still does.
pub fn expand(kernel: &Kernel, machine: Machine) -> Kernel {
    let mut pass = Pass {
        kernel,
        machine,
        w: Writer::default(),
        constants: vec![],
        values: HashMap::new(),
        seen: vec![],
        statement: 0,
    };
    if !kernel.exprs.iter().any(|(_, typed)| pass.replaces(typed)) {
        return kernel.clone();
    }
    pass.seen = vec![None; kernel.exprs.len()];
    pass.w = Writer::new(kernel.name.clone());
    pass.w.kernel.buffers = kernel.buffers.clone();
    pass.w.kernel.vars = kernel.vars.clone();
    pass.w.kernel.locals = kernel.locals.clone();
    pass.w.kernel.turn = kernel.turn.clone();
    pass.block(&kernel.body);
    pass.w.finish()
}

struct Pass<'a> {
    kernel: &'a Kernel,
    machine: Machine,
    w: Writer,
    constants: Constants,
    /// What each variable was set to last.
    values: HashMap<VarId, ExprId>,
    /// The new expression of an old one, and the statement that made it.
    seen: Vec<Option<(u32, ExprId)>>,
    statement: u32,
}

impl Pass<'_> {
    fn replaces(&self, typed: &Typed) -> bool {
        let float = typed.dtype.is_float();
        match &typed.expr {
            Expr::Unary(UnaryFn::Floor | UnaryFn::Ceil | UnaryFn::Trunc | UnaryFn::Round, _) => {
                !self.machine.has_rounding
            }
            Expr::Unary(f, _) => is_elementary(*f),
            Expr::Binary(BinaryFn::Pow | BinaryFn::Atan2, ..) => true,
            Expr::Binary(BinaryFn::Rem, ..) => float,
            Expr::Scale(..) => !self.machine.has_scaling,
            Expr::Exponent(_) | Expr::Mantissa(_) => !self.machine.has_parts,
            Expr::Table(..) => !self.machine.has_tables,
            Expr::MulAdd(..) => !(self.machine.has_fma && matches!(typed.dtype, DType::F32 | DType::F64)),
            _ => false,
        }
    }
    fn block(&mut self, block: &[Stmt]) {
        block.iter().for_each(|stmt| self.stmt(stmt));
    }
    fn inside(&mut self, block: &[Stmt]) -> Block {
        self.w.open_block();
        self.block(block);
        self.w.close_block()
    }
    fn stmt(&mut self, stmt: &Stmt) {
        let fresh = match stmt {
            Stmt::For { var, kind, body } => Stmt::For { var: *var, kind: *kind, body: self.inside(body) },
            Stmt::If { bounds, then, otherwise } => {
                let (then, otherwise) = (self.inside(then), self.inside(otherwise));
                Stmt::If { bounds: bounds.clone(), then, otherwise }
            }
            Stmt::Set { var, value } => {
                let value = self.value(*value);
                self.values.insert(*var, value);
                Stmt::Set { var: *var, value }
            }
            Stmt::Assign { local, index, value } => {
                Stmt::Assign { local: *local, index: index.clone(), value: self.value(*value) }
            }
            Stmt::Accumulate { local, index, f, value } => {
                Stmt::Accumulate { local: *local, index: index.clone(), f: *f, value: self.value(*value) }
            }
            Stmt::Store { buffer, index, value } => {
                Stmt::Store { buffer: *buffer, index: index.clone(), value: self.value(*value) }
            }
            Stmt::Update { buffer, index, f, value } => {
                Stmt::Update { buffer: *buffer, index: index.clone(), f: *f, value: self.value(*value) }
            }
            Stmt::Prefetch { buffer, index, near } => {
                Stmt::Prefetch { buffer: *buffer, index: index.clone(), near: *near }
            }
            Stmt::Check { cond, fault } => Stmt::Check { cond: self.value(*cond), fault: *fault },
            Stmt::Append { value } => Stmt::Append { value: self.value(*value) },
            Stmt::Take { var } => Stmt::Take { var: *var },
        };
        self.w.emit(fresh);
    }
    /// The value with its functions expanded, for a statement that is emitted next. Operands have smaller ids.
    fn value(&mut self, root: ExprId) -> ExprId {
        self.statement += 1;
        let (mut todo, mut order) = (vec![root], vec![]);
        while let Some(x) = todo.pop() {
            let seen = &mut self.seen[x.index()];
            if seen.is_none_or(|(statement, _)| statement != self.statement) {
                *seen = Some((self.statement, x));
                order.push(x);
                todo.extend(self.kernel.exprs[x].expr.operands());
            }
        }
        order.sort();
        for x in order {
            let fresh = self.expr(&self.kernel.exprs[x]);
            self.seen[x.index()] = Some((self.statement, fresh));
        }
        self.of(root)
    }
    fn of(&self, x: ExprId) -> ExprId {
        self.seen[x.index()].map_or(x, |(_, fresh)| fresh)
    }
    fn expr(&mut self, typed: &Typed) -> ExprId {
        let dtype = typed.dtype;
        if self.replaces(typed) {
            let mut operands = typed.expr.operands().map(|x| self.of(x));
            let [x, y, z] = std::array::from_fn(|_| operands.next().unwrap_or(ExprId::new(0)));
            return match &typed.expr {
                Expr::Unary(UnaryFn::Exp, _) if self.machine.has_scaling && self.negated(x).is_some() => {
                    let opposite = self.negated(x).unwrap_or(x);
                    self.function(dtype, [opposite; 2], |m, [x, _]| m.exp_of_opposite(x))
                }
                Expr::Unary(f, _) => self.function(dtype, [x, x], |m, [x, _]| m.unary(*f, x)),
                Expr::Binary(BinaryFn::Rem, ..) => self.remainder(dtype, x, y),
                Expr::Binary(BinaryFn::Atan2, ..) => self.function(dtype, [x, y], |m, [y, x]| m.atan2(y, x)),
                Expr::Binary(..) if dtype.is_int() => pow::integer_power(&mut self.w, x, y),
                Expr::Binary(..) => {
                    let known = match self.w.kernel.exprs[y].expr {
                        Expr::Const(exponent) => exponent.as_f64(),
                        _ => None,
                    };
                    self.function(dtype, [x, y], |m, [x, y]| {
                        known.and_then(|exponent| m.short_power(x, exponent)).unwrap_or_else(|| m.pow(x, y, known))
                    })
                }
                Expr::Scale(..) => self.function(dtype, [x, y], |m, [x, n]| m.scaled(x, n)),
                Expr::Exponent(_) => self.function(dtype, [x, x], |m, [x, _]| m.exponent_part(x)),
                Expr::Mantissa(_) => self.function(dtype, [x, x], |m, [x, _]| m.mantissa_part(x)),
                Expr::Table(entries, _) => {
                    let entry = self.math(DType::F32).table(**entries, x);
                    self.w.set(entry)
                }
                _ => {
                    // What is added to comes first: x86-64 computes in its first operand, and this one is a sum.
                    let product = self.w.binary(BinaryFn::Mul, x, y);
                    self.w.binary(BinaryFn::Add, z, product)
                }
            };
        }
        let of = |x: &ExprId| self.of(*x);
        let expr = match &typed.expr {
            Expr::Unary(f, x) => Expr::Unary(*f, of(x)),
            Expr::Binary(f, x, y) => Expr::Binary(*f, of(x), of(y)),
            Expr::MulAdd(x, y, z) => Expr::MulAdd(of(x), of(y), of(z)),
            Expr::Scale(x, n) => Expr::Scale(of(x), of(n)),
            Expr::Exponent(x) => Expr::Exponent(of(x)),
            Expr::Mantissa(x) => Expr::Mantissa(of(x)),
            Expr::Table(entries, x) => Expr::Table(entries.clone(), of(x)),
            Expr::Compare(f, x, y) => Expr::Compare(*f, of(x), of(y)),
            Expr::Select(c, x, y) => Expr::Select(of(c), of(x), of(y)),
            Expr::Cast(x) => Expr::Cast(of(x)),
            Expr::Bits(x) => Expr::Bits(of(x)),
            Expr::Start(x) => Expr::Start(of(x)),
            Expr::Length(x) => Expr::Length(of(x)),
            Expr::Span(x, n) => Expr::Span(of(x), of(n)),
            Expr::Byte(x, n) => Expr::Byte(of(x), of(n)),
            Expr::Word(x, n) => Expr::Word(of(x), of(n)),
            leaf => leaf.clone(),
        };
        self.w.kernel.exprs.push(Typed { expr, dtype })
    }
    /// The variable whose negative a value is.
    fn negated(&self, x: ExprId) -> Option<ExprId> {
        let exprs = &self.w.kernel.exprs;
        let value = match exprs[x].expr {
            Expr::Var(var) => *self.values.get(&var)?,
            _ => x,
        };
        let Expr::Unary(UnaryFn::Neg, y) = exprs[value].expr else { return None };
        matches!(exprs[y].expr, Expr::Var(_)).then_some(y)
    }
    fn math(&mut self, float: DType) -> Math<'_> {
        Math { w: &mut self.w, constants: &mut self.constants, machine: self.machine, float }
    }
    /// A function of named operands, in f32 for the narrower types. Its value is named too: what is made of it may be
    /// used several times.
    fn function(
        &mut self,
        dtype: DType,
        operands: [ExprId; 2],
        f: impl FnOnce(&mut Math<'_>, [ExprId; 2]) -> ExprId,
    ) -> ExprId {
        let float = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let mut m = self.math(float);
        let operands = operands.map(|x| {
            let x = m.w.cast(float, x);
            m.name(x)
        });
        let y = f(&mut m, operands);
        let y = self.w.cast(dtype, y);
        self.w.set(y)
    }
    fn remainder(&mut self, dtype: DType, x: ExprId, y: ExprId) -> ExprId {
        let float = if dtype != DType::F64 && self.machine.has_fma { DType::F32 } else { DType::F64 };
        let mut m = self.math(float);
        let [x, y] = [x, y].map(|x| {
            let x = m.w.cast(float, x);
            m.name(x)
        });
        let rest = if dtype == DType::F64 { m.rem(x, y) } else { m.rem_of_single(x, y) };
        let rest = self.w.cast(dtype, rest);
        self.w.set(rest)
    }
}

impl Math<'_> {
    fn unary(&mut self, f: UnaryFn, x: ExprId) -> ExprId {
        match f {
            UnaryFn::Exp => self.exp(x),
            UnaryFn::Expm1 => self.expm1(x),
            UnaryFn::Log => self.log(x),
            UnaryFn::Log1p => self.log1p(x),
            UnaryFn::Sin => self.sin(x),
            UnaryFn::Cos => self.cos(x),
            UnaryFn::Tan => self.tan(x),
            UnaryFn::Asin => self.asin(x),
            UnaryFn::Acos => self.acos(x),
            UnaryFn::Atan => self.atan(x),
            UnaryFn::Sinh => self.sinh(x),
            UnaryFn::Cosh => self.cosh(x),
            UnaryFn::Tanh => self.tanh(x),
            UnaryFn::Asinh => self.asinh(x),
            UnaryFn::Acosh => self.acosh(x),
            UnaryFn::Atanh => self.atanh(x),
            UnaryFn::Erf => self.erf(x),
            UnaryFn::Erfc => self.erfc(x),
            UnaryFn::Floor | UnaryFn::Ceil | UnaryFn::Trunc | UnaryFn::Round => self.whole(f, x),
            UnaryFn::Neg | UnaryFn::Abs | UnaryFn::Not | UnaryFn::Sqrt => self.w.unary(f, x),
        }
    }
    /// Adding and subtracting two to the mantissa's bits rounds a magnitude to nearest even; one step from there is the
    /// whole number on the wanted side. What is as great already is whole, infinite or NaN.
    fn whole(&mut self, f: UnaryFn, x: ExprId) -> ExprId {
        let (sign, size) = (self.sign(x), self.abs(x));
        let (sign, size) = (self.name(sign), self.name(size));
        let limit = self.pick(8_388_608.0, 4_503_599_627_370_496.0);
        let shifted = self.add_c(size, limit);
        let nearest = self.add_c(shifted, -limit);
        let nearest = self.name(nearest);
        let whole = match f {
            UnaryFn::Round => nearest,
            UnaryFn::Trunc => {
                let (above, less) = (self.is(CompareFn::Gt, nearest, size), self.add_c(nearest, -1.0));
                self.select(above, less, nearest)
            }
            f => {
                let signed = self.with_sign(nearest, sign);
                let signed = self.name(signed);
                let down = f == UnaryFn::Floor;
                let past = self.is(if down { CompareFn::Gt } else { CompareFn::Lt }, signed, x);
                let moved = self.add_c(signed, if down { -1.0 } else { 1.0 });
                self.select(past, moved, signed)
            }
        };
        // A result of 0 has the operand's sign; any other has it anyway.
        let whole = self.with_sign(whole, sign);
        let small = self.is_c(CompareFn::Lt, size, limit);
        self.select(small, whole, x)
    }
}

#[cfg(test)]
mod tests;
