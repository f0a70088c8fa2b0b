//! Numbers that a model computes of extents and no polynomial says: floats, bits, choices, powers.
//!
//! A [`Formula`] is a function of numbers; one whose value is an integer is an atom of a [`Dim`]. Floats are kept as
//! doubles: single precision is a rounding behind each step, which gives the same bits as arithmetic in f32. Whoever
//! calls a compiled model has formulas computed once, at entry, and a call for which one has no value is refused.

use std::{cmp::Ordering, fmt, hash, sync::Arc};

use super::{Atom, Dim, NoVars};

/// A number that follows from extents alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Number {
    Int(Dim),
    Real(Real),
}

/// A float as a double.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Real {
    /// The bits of a finite number.
    Const(u64),
    Of(Arc<Formula>),
}

/// A function of numbers, and what is known of its value.
#[derive(Clone, Debug)]
pub struct Formula {
    f: Function,
    args: Vec<Number>,
    /// A value that is not NaN lies between these.
    range: (f64, f64),
}

/// What a formula computes. A value that is out of an integer's range is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// Toward zero; NaN has no value.
    ToI32,
    ToI64,
    /// 1 or 0; 0 for NaN.
    Less,
    LessEqual,
    Equal,
    /// Of integers.
    And,
    Or,
    Xor,
    /// By 0 to 63 bits.
    Shl,
    Shr,
    /// By an exponent from 0 to 63.
    Pow,
    /// The floor of a quotient by anything but 0.
    Quotient,
    /// `c != 0 ? x : y`, of integers or of floats.
    Select,
    /// An integer rounded to the nearest double, as all that follow round.
    ToReal,
    /// To the nearest single.
    Single,
    Neg,
    Abs,
    Floor,
    Ceil,
    /// Halves go to even.
    Round,
    Trunc,
    Add,
    Sub,
    Mul,
    Div,
    /// NaN where an operand is.
    Min,
    Max,
}

use Function::*;

/// What an argument or a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Real,
}

/// The value of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Real(f64),
}

impl Function {
    /// All but those that are written between their operands, by their names in the textual form.
    pub const NAMED: &'static [(Function, &'static str)] = &[
        (ToI32, "i32"),
        (ToI64, "i64"),
        (Less, "less"),
        (LessEqual, "less_equal"),
        (Equal, "equal"),
        (And, "and"),
        (Or, "or"),
        (Xor, "xor"),
        (Shl, "shl"),
        (Shr, "shr"),
        (Pow, "pow"),
        (Quotient, "quotient"),
        (Select, "select"),
        (ToReal, "f64"),
        (Single, "f32"),
        (Neg, "neg"),
        (Abs, "abs"),
        (Floor, "floor"),
        (Ceil, "ceil"),
        (Round, "round"),
        (Trunc, "trunc"),
        (Min, "min"),
        (Max, "max"),
    ];
    fn infix(self) -> Option<char> {
        match self {
            Add => Some('+'),
            Sub => Some('-'),
            Mul => Some('*'),
            Div => Some('/'),
            _ => None,
        }
    }
    /// The kinds of its arguments; a choice of integers has integers for all three.
    fn takes(self) -> &'static [Kind] {
        match self {
            ToI32 | ToI64 | Single | Neg | Abs | Floor | Ceil | Round | Trunc => &[Kind::Real],
            Less | LessEqual | Equal | Add | Sub | Mul | Div | Min | Max => &[Kind::Real; 2],
            And | Or | Xor | Shl | Shr | Pow | Quotient => &[Kind::Int; 2],
            ToReal => &[Kind::Int],
            Select => &[Kind::Int, Kind::Real, Kind::Real],
        }
    }
    /// Whether its value is an integer whatever it takes.
    fn is_whole(self) -> bool {
        matches!(self, ToI32 | ToI64 | Less | LessEqual | Equal | And | Or | Xor | Shl | Shr | Pow | Quotient)
    }
    /// The value, if it has one.
    fn apply(self, args: &[Value]) -> Option<Value> {
        use Value::{Int, Real};
        let whole = |x: f64, least: f64, end: f64| (least..end).contains(&x).then_some(Int(x as i64));
        Some(match (self, args) {
            (ToI32, &[Real(x)]) => return whole(x.trunc(), -2f64.powi(31), 2f64.powi(31)),
            (ToI64, &[Real(x)]) => return whole(x.trunc(), -2f64.powi(63), 2f64.powi(63)),
            (Less, [Real(x), Real(y)]) => Int((x < y).into()),
            (LessEqual, [Real(x), Real(y)]) => Int((x <= y).into()),
            (Equal, [Real(x), Real(y)]) => Int((x == y).into()),
            (And, [Int(x), Int(y)]) => Int(x & y),
            (Or, [Int(x), Int(y)]) => Int(x | y),
            (Xor, [Int(x), Int(y)]) => Int(x ^ y),
            (Shl, [Int(x), Int(y)]) => {
                let by = u32::try_from(*y).ok()?;
                Int(x.checked_shl(by)?).eq_shifted(*x, by)?
            }
            (Shr, [Int(x), Int(y)]) => Int(x.checked_shr(u32::try_from(*y).ok()?)?),
            (Pow, [Int(x), Int(y)]) => Int(x.checked_pow(u32::try_from(*y).ok().filter(|n| *n < 64)?)?),
            (Quotient, [Int(x), Int(y)]) => {
                let (q, r) = (x.checked_div(*y)?, x.checked_rem(*y)?);
                Int(q - i64::from(r != 0 && (r < 0) != (*y < 0)))
            }
            (Select, [Int(c), x, y]) => *if *c != 0 { x } else { y },
            (ToReal, [Int(x)]) => Real(*x as f64),
            (Single, [Real(x)]) => Real(*x as f32 as f64),
            (Neg, [Real(x)]) => Real(-x),
            (Abs, [Real(x)]) => Real(x.abs()),
            (Floor, [Real(x)]) => Real(x.floor()),
            (Ceil, [Real(x)]) => Real(x.ceil()),
            (Round, [Real(x)]) => Real(x.round_ties_even()),
            (Trunc, [Real(x)]) => Real(x.trunc()),
            (Add, [Real(x), Real(y)]) => Real(x + y),
            (Sub, [Real(x), Real(y)]) => Real(x - y),
            (Mul, [Real(x), Real(y)]) => Real(x * y),
            (Div, [Real(x), Real(y)]) => Real(x / y),
            (Min, [Real(x), Real(y)]) => Real(if x < y || x.is_nan() { *x } else { *y }),
            (Max, [Real(x), Real(y)]) => Real(if x > y || x.is_nan() { *x } else { *y }),
            _ => return None,
        })
    }
    /// Bounds of the value by those of the arguments: rounding keeps the order, so the ends may be rounded too.
    fn range(self, args: &[Number]) -> (f64, f64) {
        const ALL: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
        let r: Vec<(f64, f64)> = args.iter().map(Number::range).collect();
        let map = |f: fn(f64) -> f64| (f(r[0].0), f(r[0].1));
        let corners = |f: fn(f64, f64) -> f64| {
            let all = [f(r[0].0, r[1].0), f(r[0].0, r[1].1), f(r[0].1, r[1].0), f(r[0].1, r[1].1)];
            if all.iter().any(|x| x.is_nan()) {
                return ALL;
            }
            (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        };
        let within = |(a, b): (f64, f64), least: f64, most: f64| (a.max(least), b.min(most));
        let nonneg = |n: usize| r[n].0 >= 0.0;
        match self {
            ToI32 => within(map(f64::trunc), -2f64.powi(31), 2f64.powi(31) - 1.0),
            ToI64 => within(map(f64::trunc), -2f64.powi(63), 2f64.powi(63)),
            Less | LessEqual | Equal => (0.0, 1.0),
            And if nonneg(0) && nonneg(1) => (0.0, r[0].1.min(r[1].1)),
            And if nonneg(0) => (0.0, r[0].1),
            And if nonneg(1) => (0.0, r[1].1),
            Or | Xor if nonneg(0) && nonneg(1) => (0.0, r[0].1 + r[1].1),
            Shr if nonneg(0) => (0.0, r[0].1),
            Shl | Pow if nonneg(0) => (0.0, f64::INFINITY),
            Quotient if nonneg(0) && nonneg(1) => (0.0, r[0].1),
            And | Or | Xor | Shl | Shr | Pow | Quotient => ALL,
            Select => (r[1].0.min(r[2].0), r[1].1.max(r[2].1)),
            ToReal => r[0],
            Single => map(|x| x as f32 as f64),
            Neg => (-r[0].1, -r[0].0),
            Abs if nonneg(0) => r[0],
            Abs => (0.0, r[0].1.max(-r[0].0)),
            Floor => map(f64::floor),
            Ceil => map(f64::ceil),
            Round => map(f64::round_ties_even),
            Trunc => map(f64::trunc),
            Add => (r[0].0 + r[1].0, r[0].1 + r[1].1),
            Sub => (r[0].0 - r[1].1, r[0].1 - r[1].0),
            Mul => corners(|x, y| x * y),
            Div if r[1].0 > 0.0 || r[1].1 < 0.0 => corners(|x, y| x / y),
            Div if nonneg(0) && nonneg(1) => (0.0, f64::INFINITY),
            Div => ALL,
            Min => (r[0].0.min(r[1].0), r[0].1.min(r[1].1)),
            Max => (r[0].0.max(r[1].0), r[0].1.max(r[1].1)),
        }
    }
}

impl Value {
    /// This shifted integer, if shifting back gives `x`.
    fn eq_shifted(self, x: i64, by: u32) -> Option<Value> {
        matches!(self, Value::Int(y) if y.checked_shr(by) == Some(x)).then_some(self)
    }
}

impl From<Dim> for Number {
    fn from(dim: Dim) -> Number {
        Number::Int(dim)
    }
}

impl Number {
    /// A float; none that is not finite.
    pub fn real(value: f64) -> Option<Number> {
        value.is_finite().then_some(Number::Real(Real::Const(value.to_bits())))
    }
    pub fn as_dim(&self) -> Option<&Dim> {
        match self {
            Number::Int(dim) => Some(dim),
            Number::Real(_) => None,
        }
    }
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Number::Real(Real::Const(bits)) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
    pub fn kind(&self) -> Kind {
        match self {
            Number::Int(_) => Kind::Int,
            Number::Real(_) => Kind::Real,
        }
    }
    /// `f(args)`, simplified; `None` where the arguments do not fit or have no value together.
    pub fn of(f: Function, args: &[Number]) -> Option<Number> {
        let kinds: Vec<Kind> = args.iter().map(Number::kind).collect();
        if kinds != f.takes() && !(f == Select && kinds == [Kind::Int; 3]) {
            return None;
        }
        let constant = |n: &Number| match n {
            Number::Int(dim) => dim.as_int().map(Value::Int),
            Number::Real(_) => n.as_real().map(Value::Real),
        };
        if let Some(values) = args.iter().map(constant).collect::<Option<Vec<Value>>>() {
            return match f.apply(&values)? {
                Value::Int(n) => Some(Number::Int(n.into())),
                Value::Real(x) => Number::real(x),
            };
        }
        if let Some(simpler) = simplified(f, args) {
            return Some(simpler);
        }
        let whole = f.is_whole() || kinds == [Kind::Int; 3];
        let formula = Arc::new(Formula { f, args: args.to_vec(), range: f.range(args) });
        Some(if whole { Number::Int(Dim::atom(Atom::Of(formula))) } else { Number::Real(Real::Of(formula)) })
    }
    /// The value is NaN or between these.
    fn range(&self) -> (f64, f64) {
        match self {
            Number::Int(dim) => dim.range(),
            Number::Real(Real::Const(bits)) => (f64::from_bits(*bits), f64::from_bits(*bits)),
            Number::Real(Real::Of(formula)) => formula.range,
        }
    }
    /// Replaces symbols; `None` where a formula has no value any more.
    pub fn substitute(&self, f: &dyn Fn(&Atom) -> Option<Dim>) -> Option<Number> {
        match self {
            Number::Int(dim) => Some(dim.substitute(f).into()),
            Number::Real(Real::Const(_)) => Some(self.clone()),
            Number::Real(Real::Of(formula)) => formula.substitute(f),
        }
    }
    /// The value when every atom has one.
    pub fn eval_with(&self, f: &dyn Fn(&Atom) -> Option<i64>) -> Option<Value> {
        match self {
            Number::Int(dim) => dim.eval_with(f).map(Value::Int),
            Number::Real(Real::Const(bits)) => Some(Value::Real(f64::from_bits(*bits))),
            Number::Real(Real::Of(formula)) => formula.eval_with(f),
        }
    }
}

/// Integers that need no formula after all.
fn simplified(f: Function, args: &[Number]) -> Option<Number> {
    match (f, args) {
        (ToI32 | ToI64, [Number::Real(x)]) => whole(x).map(Number::Int),
        (Select, [Number::Int(c), x, y]) => match c.as_int() {
            Some(0) => Some(y.clone()),
            Some(_) => Some(x.clone()),
            None => (x == y).then(|| x.clone()),
        },
        (Single, [x @ Number::Real(Real::Of(inner))]) if inner.f == Single => Some(x.clone()),
        _ => None,
    }
}

/// The dim that a double becomes toward zero, where it is a quotient whose rounding does not reach the next integer.
fn whole(x: &Real) -> Option<Dim> {
    let Real::Of(outer) = x else { return None };
    let (rounding, inner) = match (outer.f, &outer.args[..]) {
        (Floor | Ceil | Trunc, [Number::Real(Real::Of(inner))]) => (outer.f, inner),
        _ => (Trunc, outer),
    };
    let of_dim = |n: &Number| match n {
        Number::Real(Real::Of(formula)) if formula.f == ToReal => formula.args[0].as_dim().cloned(),
        _ => None,
    };
    let (a, by) = match (inner.f, &inner.args[..]) {
        (ToReal, [Number::Int(a)]) => (a.clone(), 1),
        (Div, [a, by]) => (of_dim(a)?, by.as_real().filter(|by| *by >= 1.0 && by.fract() == 0.0 && *by < 1e9)? as i64),
        _ => return None,
    };
    let (least, most) = a.range();
    if least < -2f64.powi(52) || most > 2f64.powi(52) {
        return None;
    }
    match rounding {
        Floor => Some(a.floor_div(&by.into())),
        Ceil => Some(a.ceil_div(&by.into())),
        _ => a.truncated_over(&by.into()),
    }
}

impl Formula {
    pub fn function(&self) -> Function {
        self.f
    }
    pub fn args(&self) -> &[Number] {
        &self.args
    }
    /// The value is NaN or between these.
    pub fn range(&self) -> (f64, f64) {
        self.range
    }
    /// A dim that an integer value is never less than.
    pub fn low(&self) -> Option<Dim> {
        match (self.f, &self.args[..]) {
            (Select, [_, Number::Int(x), Number::Int(y)]) => Some(x.at_most(y)),
            _ => (self.range.0 > -9e15).then(|| Dim::from(self.range.0.ceil() as i64)),
        }
    }
    /// A dim that an integer value is never more than.
    pub fn high(&self) -> Option<Dim> {
        match (self.f, &self.args[..]) {
            (Select, [_, Number::Int(x), Number::Int(y)]) => Some(x.at_least(y)),
            (Quotient | Shr, [Number::Int(x), Number::Int(y)]) if x.is_nonneg(&NoVars) && y.is_nonneg(&NoVars) => {
                Some(x.clone())
            }
            _ => (self.range.1 < 9e15).then(|| Dim::from(self.range.1.floor() as i64)),
        }
    }
    fn substitute(&self, f: &dyn Fn(&Atom) -> Option<Dim>) -> Option<Number> {
        let args: Vec<Number> = self.args.iter().map(|n| n.substitute(f)).collect::<Option<_>>()?;
        Number::of(self.f, &args)
    }
    /// As a dim. A formula that has no value any more stays as it is with constants for arguments: who computes it is
    /// refused.
    pub(super) fn substituted(&self, f: &dyn Fn(&Atom) -> Option<Dim>) -> Dim {
        let args: Option<Vec<Number>> = self.args.iter().map(|n| n.substitute(f)).collect();
        let args = args.unwrap_or_else(|| self.args.clone());
        match Number::of(self.f, &args) {
            Some(Number::Int(dim)) => dim,
            _ => Dim::atom(Atom::Of(Arc::new(Formula { f: self.f, range: self.f.range(&args), args }))),
        }
    }
    pub fn eval_with(&self, f: &dyn Fn(&Atom) -> Option<i64>) -> Option<Value> {
        let args: Vec<Value> = self.args.iter().map(|n| n.eval_with(f)).collect::<Option<_>>()?;
        self.f.apply(&args)
    }
    /// Calls `f` with every dim in it, those of formulas that are floats included.
    pub fn for_each_inner(&self, f: &mut dyn FnMut(&Dim)) {
        for arg in &self.args {
            match arg {
                Number::Int(dim) => f(dim),
                Number::Real(Real::Const(_)) => {}
                Number::Real(Real::Of(inner)) => inner.for_each_inner(f),
            }
        }
    }
}

/// By function and arguments.
impl PartialEq for Formula {
    fn eq(&self, other: &Formula) -> bool {
        (self.f, &self.args) == (other.f, &other.args)
    }
}
impl Eq for Formula {}
impl PartialOrd for Formula {
    fn partial_cmp(&self, other: &Formula) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Formula {
    fn cmp(&self, other: &Formula) -> Ordering {
        (self.f, &self.args).cmp(&(other.f, &other.args))
    }
}
impl hash::Hash for Formula {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        (self.f, &self.args).hash(state);
    }
}

/// `i32(f32((f32(N)*0.6f32)))`: floats have their own signs between them, each in parentheses; `f32` of an integer rounds
/// once.
impl fmt::Display for Formula {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(sign), [x, y]) = (self.f.infix(), &self.args[..]) {
            return write!(out, "({x}{sign}{y})");
        }
        let name = Function::NAMED.iter().find(|(f, _)| *f == self.f).map_or("?", |(_, name)| name);
        if let (Single, [Number::Real(Real::Of(inner))]) = (self.f, &self.args[..])
            && inner.f == ToReal
        {
            return write!(out, "f32({})", inner.args[0]);
        }
        let args: Vec<String> = self.args.iter().map(Number::to_string).collect();
        write!(out, "{name}({})", args.join(","))
    }
}
impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(dim) => write!(out, "{dim}"),
            Number::Real(Real::Of(formula)) => write!(out, "{formula}"),
            Number::Real(Real::Const(bits)) => {
                let x = f64::from_bits(*bits);
                if x as f32 as f64 == x { write!(out, "{}f32", x as f32) } else { write!(out, "{x}f64") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::{Bindings, Dim, Symbol};

    fn dim(text: &str) -> Dim {
        text.parse().unwrap()
    }
    fn value(text: &str, n: i64) -> Option<i64> {
        dim(text).eval(&Bindings::from([(Symbol::new("N"), n)]))
    }

    #[test]
    fn text_round_trips() {
        for text in [
            "i32((f32(N)*0.7f32))",
            "N-2*i64(trunc(((f64(N)-(f64(N)*0.1f64))/-2f32)))",
            "select(less(f32(N),3f32),N,T*T)",
            "i32(round(max((f32(N)/2f32),neg(f32(T)))))+and(N,T)",
            "max(3,shl(1,N)+pow(N,T))-quotient(N,T-4)",
            "min(T,i64(ceil((1f32/f64(N)))))",
        ] {
            assert_eq!(dim(text).to_string(), text);
            assert_eq!(dim(&dim(text).to_string()), dim(text), "{text}");
        }
        for bad in ["f32(N)", "i32(N)", "less(N,1)", "select(N,1,f32(N))", "quotient(1,0)", "i32(1f32,2f32)"] {
            assert!(bad.parse::<Dim>().is_err(), "{bad}");
        }
    }

    /// In f32 10 * 0.7 is 7, and not what it is of fractions, which is less.
    #[test]
    fn floats_round_in_their_own_type() {
        assert_eq!(value("i32(f32((f32(N)*0.7f32)))", 10), Some(7));
        assert_eq!(value("i64((f64(N)*0.699999988079071f64))", 10), Some(6));
        assert_eq!(value("i32(f32(N))", (1 << 24) + 1), Some(1 << 24));
        assert_eq!(value("i32(round((f32(N)/2f32)))", 5), Some(2));
        assert_eq!(value("i32(ceil((1f32/f64(N))))", 0), None, "infinity is no integer");
        assert_eq!(value("i32((f64(N)*4096f32))", 1 << 30), None);
        assert_eq!(value("shl(1,N)", 62), Some(1 << 62));
        assert_eq!(value("shl(1,N)", 63), None, "the sign is lost");
        assert_eq!(value("quotient(7,N-3)", 1), Some(-4));
        assert_eq!(value("quotient(7,N-3)", 3), None);
        assert_eq!(value("pow(N,2*N)", 4), Some(1 << 16));
    }

    #[test]
    fn doubles_that_count_exactly_are_quotients() {
        assert_eq!(dim("i32(ceil((f64(N)/4f32)))"), dim("floor(N+3,4)"));
        assert_eq!(dim("i64(floor((f64(3*N-1)/7f32)))"), dim("floor(3*N-1,7)"));
        assert_eq!(dim("i64(f64(N))"), dim("N"));
        assert_eq!(dim("select(N,T,T)"), dim("T"));
        assert_ne!(dim("i32(ceil((f32(N)/4f32)))"), dim("floor(N+3,4)"), "singles round great numbers");
    }

    /// A value is never outside of what is said of it.
    #[test]
    fn ranges_hold() {
        let texts = [
            "i32(trunc(((f32(N)-9f32)*0.37f32)))",
            "i32(min(abs((f32(N)-f32(T))),(f32(N)/3f32)))",
            "and(N-4,T)",
            "xor(N,T)+or(N,T)",
            "shr(N-4,1)",
            "quotient(N-4,T-2)",
            "select(equal(f32(N),2f32),N-3,T)",
        ];
        for text in texts.map(dim) {
            for (n, t) in (0..9).flat_map(|n| (0..9).map(move |t| (n, t))) {
                let bind = Bindings::from([(Symbol::new("N"), n), (Symbol::new("T"), t)]);
                let Some(value) = text.eval(&bind) else { continue };
                let (low, high) = text.range();
                assert!(low <= value as f64 && value as f64 <= high, "{text} at {n}, {t} is {value}");
                assert!(!text.is_nonneg(&super::NoVars) || value >= 0, "{text}");
            }
        }
        assert!(dim("i32((f32(N)*0.6f32))").is_nonneg(&super::NoVars));
        assert!(dim("select(less(f32(N),3f32),N,T*T)").is_nonneg(&super::NoVars));
    }

    #[test]
    fn symbols_are_replaced_inside() {
        let by = |text: &str, n: Dim| {
            dim(text).substitute(&|atom| (*atom == super::Atom::Sym(Symbol::new("N"))).then(|| n.clone()))
        };
        assert_eq!(by("i32(f32((f32(N)*0.7f32)))+N", 10.into()), dim("17"));
        assert_eq!(by("i32((f32(N)*0.7f32))", dim("2*T")), dim("i32((f32(2*T)*0.7f32))"));
        // What has no value is left to who computes it.
        assert_eq!(by("quotient(T,N)", 0.into()).eval(&Bindings::from([(Symbol::new("T"), 1)])), None);
        assert_eq!(dim("i32((f32(N)*0.7f32))*T").symbols(), [Symbol::new("N"), Symbol::new("T")]);
    }
}
