//! Routines as text, which [`super::parse`] reads.

use std::fmt;

use super::*;

/// The names of operations in the textual form.
pub(super) const WORD_OPS: &[(WordOp, &str)] = &[
    (WordOp::Add, "add"),
    (WordOp::Sub, "sub"),
    (WordOp::Mul, "mul"),
    (WordOp::Div, "div"),
    (WordOp::Rem, "rem"),
    (WordOp::And, "and"),
    (WordOp::Or, "or"),
    (WordOp::Xor, "xor"),
    (WordOp::Shl, "shl"),
    (WordOp::Shr, "shr"),
    (WordOp::Ushr, "ushr"),
    (WordOp::AddWraps, "add_wraps"),
    (WordOp::MulWraps, "mul_wraps"),
];
pub(super) const COMPARES: &[(Compare, &str)] = &[
    (Compare::Eq, "eq"),
    (Compare::Ne, "ne"),
    (Compare::Lt, "lt"),
    (Compare::Le, "le"),
    (Compare::Gt, "gt"),
    (Compare::Ge, "ge"),
    (Compare::Below, "below"),
];
pub(super) const REAL_OPS: &[(RealOp, &str)] =
    &[(RealOp::Add, "fadd"), (RealOp::Sub, "fsub"), (RealOp::Mul, "fmul"), (RealOp::Div, "fdiv")];
pub(super) const REAL_COMPARES: &[(RealCompare, &str)] = &[
    (RealCompare::Eq, "feq"),
    (RealCompare::Lt, "flt"),
    (RealCompare::Le, "fle"),
    (RealCompare::Gt, "fgt"),
    (RealCompare::Ge, "fge"),
    (RealCompare::Unordered, "unordered"),
];
pub(super) const DATA: &[(Datum, &str)] = &[
    (Datum::Weights, "weights"),
    (Datum::Distance, "distance"),
    (Datum::Bound, "bound"),
    (Datum::Fingerprint, "fingerprint"),
];
pub(super) const TYPES: &[(Type, &str)] = &[
    (Type::Word, "word"),
    (Type::Address, "address"),
    (Type::Flag, "flag"),
    (Type::Real, "real"),
    (Type::Status, "status"),
];

fn name<T: PartialEq>(names: &[(T, &'static str)], what: &T) -> &'static str {
    names.iter().find(|(known, _)| known == what).expect("everything has a name").1
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(TYPES, self))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Pointer(n) => write!(f, "pointer{n}"),
            Field::Number(n) => write!(f, "number{n}"),
            Field::Word(n) => write!(f, "word{n}"),
            named => f.write_str(name(&Field::NAMED, named)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Var(var) => write!(f, "v{}", var.index()),
            Value::Int(int) => write!(f, "{int}"),
        }
    }
}

fn show(var: VarId) -> Value {
    Value::Var(var)
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Copy(x) => write!(f, "copy {x}"),
            Op::Real(x) => write!(f, "real {x:?}"),
            Op::Word(op, a, b) => write!(f, "{} {a} {b}", name(WORD_OPS, op)),
            Op::Compare(op, a, b) => write!(f, "{} {a} {b}", name(COMPARES, op)),
            Op::And(a, b) => write!(f, "both {} {}", show(*a), show(*b)),
            Op::Or(a, b) => write!(f, "either {} {}", show(*a), show(*b)),
            Op::Not(a) => write!(f, "not {}", show(*a)),
            Op::Code(a) => write!(f, "code {}", show(*a)),
            Op::Bit(a) => write!(f, "bit {}", show(*a)),
            Op::Select(flag, a, b) => write!(f, "select {} {a} {b}", show(*flag)),
            Op::RealOf(op, a, b) => write!(f, "{} {} {}", name(REAL_OPS, op), show(*a), show(*b)),
            Op::CompareReal(op, a, b) => write!(f, "{} {} {}", name(REAL_COMPARES, op), show(*a), show(*b)),
            Op::Negative(a) => write!(f, "negative {}", show(*a)),
            Op::Magnitude(a) => write!(f, "magnitude {}", show(*a)),
            Op::ToReal(a) => write!(f, "to_real {a}"),
            Op::ToWord(a) => write!(f, "to_word {}", show(*a)),
            Op::Single(a) => write!(f, "single {}", show(*a)),
            Op::Load(from, field) => write!(f, "load {}.{field}", show(*from)),
            Op::Offset(from, by) => write!(f, "offset {} {by}", show(*from)),
            Op::Bits(a, mask) => write!(f, "bits {} {mask}", show(*a)),
            Op::IsNull(a) => write!(f, "is_null {}", show(*a)),
            Op::Same(a, b) => write!(f, "same {} {}", show(*a), show(*b)),
            Op::Stack(bytes) => write!(f, "stack {bytes}"),
            Op::Null => write!(f, "null"),
            Op::Datum(datum) => write!(f, "datum {}", name(DATA, datum)),
            Op::Function(n) => write!(f, "function f{n}"),
        }
    }
}

impl fmt::Display for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Callee::Member(n) => write!(f, "f{n}"),
            Callee::At(var) => write!(f, "{}", show(*var)),
        }
    }
}

impl fmt::Display for Routine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<String> = self.params.iter().map(|&p| self.declared(p)).collect();
        let numbered = if self.numbered { " numbered" } else { "" };
        let returns = self.returns.map_or(String::new(), |ty| format!(" -> {ty}"));
        writeln!(f, "routine({}){numbered}{returns} {{", params.join(", "))?;
        self.block(f, &self.body, 1)?;
        f.write_str("}\n")
    }
}

impl Routine {
    fn declared(&self, var: VarId) -> String {
        format!("{}: {}", show(var), self.vars[var].ty)
    }

    fn block(&self, f: &mut fmt::Formatter<'_>, block: &[Stmt], depth: usize) -> fmt::Result {
        let margin = "  ".repeat(depth);
        for stmt in block {
            f.write_str(&margin)?;
            match stmt {
                Stmt::Set(var, op) => writeln!(f, "{} = {op}", self.declared(*var))?,
                Stmt::Store { to, field, value } => writeln!(f, "store {}.{field} = {value}", show(*to))?,
                Stmt::Call { callee, args, result } => {
                    if let Some(result) = result {
                        write!(f, "{} = ", self.declared(*result))?;
                    }
                    let args: Vec<String> = args.iter().map(Value::to_string).collect();
                    writeln!(f, "call {callee}({})", args.join(", "))?;
                }
                Stmt::If { when, then, otherwise } => {
                    writeln!(f, "if {} {{", show(*when))?;
                    self.block(f, then, depth + 1)?;
                    if !otherwise.is_empty() {
                        writeln!(f, "{margin}}} else {{")?;
                        self.block(f, otherwise, depth + 1)?;
                    }
                    writeln!(f, "{margin}}}")?;
                }
                Stmt::Each { var, from, to, body } => {
                    writeln!(f, "each {} in {from}..{to} {{", show(*var))?;
                    self.block(f, body, depth + 1)?;
                    writeln!(f, "{margin}}}")?;
                }
                Stmt::Break => writeln!(f, "break")?,
                Stmt::Return(None) => writeln!(f, "return")?,
                Stmt::Return(Some(value)) => writeln!(f, "return {value}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, member) in self.members.iter().enumerate() {
            match &member.what {
                What::Kernel(..) => writeln!(f, "f{n} {}: kernel", member.name)?,
                What::Foreign(_) => writeln!(f, "f{n} {}: a custom operator, which is not in the model", member.name)?,
                What::Choose => writeln!(f, "f{n} {}: the level that the processor has", member.name)?,
                What::Routine(routine) => write!(f, "f{n} {}: {routine}", member.name)?,
            }
        }
        Ok(())
    }
}
