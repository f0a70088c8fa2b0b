//! The law of routines, and the check that one keeps it.
//!
//! 1. Every variable lies in its arena and has one type. A variable is set on every way before it is used; what is set
//!    within a branch counts behind it where all branches that go on set it, what is set within a loop does not.
//! 2. Operations have operands of the types that [`Op`] says. A number stands where a word or a status is expected.
//! 3. A field holds what [`Field::ty`] says.
//! 4. A routine that returns something ends with a return on every way, and returns what its type says, or a word where a
//!    status is expected; any other returns nothing. Nothing follows a return in its block.
//! 5. Calls by number name a member of the model, and give a routine what its parameters are: fewer arguments where
//!    kernels do not read the rest. A result is taken where there is one, and has its type.
//! 6. Memory of a routine's own is a multiple of 8 bytes, of at most [`MAX_STACK`], and is not asked for in a loop.
//!
//! What it promises: neither the interpreter nor a back end panics on a routine that is verified, and the code reads no
//! variable that was not set.

use std::{collections::BTreeSet, fmt};

use super::*;

/// Bytes that a routine may have of its own.
pub const MAX_STACK: u32 = 1 << 20;
/// Blocks nest at most this deep.
pub const MAX_DEPTH: usize = 512;

/// The first breach of the law that was found: a bug of what wrote the routine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// Checks all routines of a model.
pub fn verify(model: &Model) -> Result<(), Violation> {
    for member in &model.members {
        if let What::Routine(routine) = &member.what {
            check(routine, model).map_err(|message| Violation(format!("`{}`: {message}", member.name)))?;
        }
    }
    Ok(())
}

type Check<T = ()> = Result<T, String>;

/// The variables that are set; none where nothing goes on.
type Known = Option<BTreeSet<VarId>>;

struct Checker<'a> {
    routine: &'a Routine,
    model: &'a Model,
    /// Blocks around.
    depth: usize,
    loops: usize,
    stack: u32,
}

fn check(routine: &Routine, model: &Model) -> Check {
    let mut known = BTreeSet::new();
    for &param in &routine.params {
        if param.index() >= routine.vars.len() || !known.insert(param) {
            return Err(format!("v{} is no parameter", param.index()));
        }
    }
    if routine.numbered && routine.params.first().is_none_or(|&p| routine.vars[p].ty != Type::Word) {
        return Err("the first parameter is no number".into());
    }
    if !matches!(routine.returns, None | Some(Type::Word | Type::Status)) {
        return Err("a routine returns a word, a status or nothing".into());
    }
    let mut checker = Checker { routine, model, depth: 0, loops: 0, stack: 0 };
    match checker.block(&routine.body, known)? {
        Some(_) if routine.returns.is_some() => Err("it ends without a result".into()),
        _ => Ok(()),
    }
}

fn expect(holds: bool, message: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(message()) }
}

impl Checker<'_> {
    fn block(&mut self, block: &[Stmt], known: BTreeSet<VarId>) -> Check<Known> {
        self.depth += 1;
        expect(self.depth <= MAX_DEPTH, || "blocks nest too deep".into())?;
        let mut known = Some(known);
        for stmt in block {
            let set = known.take().ok_or("something follows a return or break")?;
            known = self.stmt(stmt, set)?;
        }
        self.depth -= 1;
        Ok(known)
    }

    fn stmt(&mut self, stmt: &Stmt, mut known: BTreeSet<VarId>) -> Check<Known> {
        match stmt {
            Stmt::Set(var, op) => {
                let ty = self.op(op, &known)?;
                let declared = self.declared(*var)?;
                expect(ty == declared, || format!("v{} is a {declared} and is set to a {ty}", var.index()))?;
                known.insert(*var);
            }
            Stmt::Store { to, field, value } => {
                self.var(*to, Type::Address, &known)?;
                self.value(*value, field.ty(), &known)?;
            }
            Stmt::Call { callee, args, result } => {
                self.call(*callee, args, *result, &known)?;
                known.extend(*result);
            }
            Stmt::If { when, then, otherwise } => {
                self.var(*when, Type::Flag, &known)?;
                let (then, otherwise) = (self.block(then, known.clone())?, self.block(otherwise, known)?);
                return Ok(match (then, otherwise) {
                    (Some(a), Some(b)) => Some(a.intersection(&b).copied().collect()),
                    (a, b) => a.or(b),
                });
            }
            Stmt::Each { var, from, to, body } => {
                self.value(*from, Type::Word, &known)?;
                self.value(*to, Type::Word, &known)?;
                expect(self.declared(*var)? == Type::Word, || "a loop counts in words".into())?;
                let mut inside = known.clone();
                inside.insert(*var);
                self.loops += 1;
                self.block(body, inside)?;
                self.loops -= 1;
            }
            Stmt::Break => {
                expect(self.loops > 0, || "no loop is there to end".into())?;
                return Ok(None);
            }
            Stmt::Return(value) => {
                match (value, self.routine.returns) {
                    (None, None) => {}
                    (Some(value), Some(Type::Status)) if self.is_word(*value) => {
                        self.value(*value, Type::Word, &known)?;
                    }
                    (Some(value), Some(ty)) => self.value(*value, ty, &known)?,
                    _ => return Err("it returns what it does not have, or has what it does not return".into()),
                }
                return Ok(None);
            }
        }
        Ok(Some(known))
    }

    fn is_word(&self, value: Value) -> bool {
        matches!(value, Value::Var(var) if self.declared(var) == Ok(Type::Word))
    }
    fn declared(&self, var: VarId) -> Check<Type> {
        if var.index() < self.routine.vars.len() {
            Ok(self.routine.vars[var].ty)
        } else {
            Err(format!("v{} is not declared", var.index()))
        }
    }
    fn var(&self, var: VarId, ty: Type, known: &BTreeSet<VarId>) -> Check {
        let declared = self.declared(var)?;
        expect(known.contains(&var), || format!("v{} may not be set", var.index()))?;
        expect(declared == ty, || format!("v{} is a {declared}, not a {ty}", var.index()))
    }
    fn value(&self, value: Value, ty: Type, known: &BTreeSet<VarId>) -> Check {
        match value {
            Value::Var(var) => self.var(var, ty, known),
            Value::Int(int) => expect(matches!(ty, Type::Word | Type::Status), || format!("{int} stands for a {ty}")),
        }
    }

    fn call(&self, callee: Callee, args: &[Value], result: Option<VarId>, known: &BTreeSet<VarId>) -> Check {
        let kernel: (&[Type], Option<Type>) = (&[Type::Address, Type::Word, Type::Word], None);
        let routine: Vec<Type>;
        let (params, returns) = match callee {
            Callee::At(var) => {
                self.var(var, Type::Address, known)?;
                expect(result.is_none(), || "a call of an address has no result".into())?;
                for &arg in args {
                    let ty = if let Value::Var(var) = arg { self.declared(var)? } else { Type::Word };
                    self.value(arg, ty, known)?;
                }
                return Ok(());
            }
            Callee::Member(n) => match self.model.members.get(n).map(|member| &member.what) {
                None => return Err(format!("there is no f{n}")),
                Some(What::Kernel(..)) => kernel,
                Some(What::Choose) => (&[Type::Word][..], Some(Type::Word)),
                Some(What::Foreign(_)) => (&[Type::Address; 3][..], Some(Type::Status)),
                Some(What::Routine(callee)) => {
                    expect(!callee.numbered, || format!("f{n} is for callers of the model"))?;
                    routine = callee.params.iter().map(|&p| callee.vars[p].ty).collect();
                    (&routine[..], callee.returns)
                }
            },
        };
        let fewer = returns.is_none() && !args.is_empty() && args.len() <= params.len();
        expect(args.len() == params.len() || fewer, || format!("{} arguments for {}", args.len(), params.len()))?;
        args.iter().zip(params).try_for_each(|(&arg, &ty)| self.value(arg, ty, known))?;
        match (result, returns) {
            (None, None) => Ok(()),
            (Some(var), Some(ty)) if self.declared(var)? == ty => Ok(()),
            _ => Err("a result is taken that there is not, or left that there is".into()),
        }
    }

    /// The type of what an operation gives.
    fn op(&mut self, op: &Op, known: &BTreeSet<VarId>) -> Check<Type> {
        let (operands, gives) = self.signature(op)?;
        operands.into_iter().try_for_each(|(value, ty)| self.value(value, ty, known))?;
        match op {
            Op::Stack(bytes) => {
                self.stack = self.stack.saturating_add(*bytes);
                expect(bytes % 8 == 0 && self.stack <= MAX_STACK, || format!("{bytes} bytes of its own"))?;
                expect(self.loops == 0, || "memory of its own is asked for in a loop".into())?;
            }
            Op::Function(n) => expect(*n < self.model.members.len(), || format!("there is no f{n}"))?,
            _ => {}
        }
        Ok(gives)
    }

    /// What an operation takes, and what it gives.
    fn signature(&self, op: &Op) -> Check<(Vec<(Value, Type)>, Type)> {
        use Type::{Address, Flag, Real, Word};
        let of = |vars: &[VarId], ty| vars.iter().map(|&var| (Value::Var(var), ty)).collect();
        let declared = |value: Value| match value {
            Value::Var(var) => self.declared(var),
            Value::Int(_) => Ok(Word),
        };
        Ok(match op {
            Op::Copy(from) => (vec![(*from, declared(*from)?)], declared(*from)?),
            Op::Real(_) => (vec![], Real),
            Op::Word(_, a, b) => (vec![(*a, Word), (*b, Word)], Word),
            Op::Compare(_, a, b) => (vec![(*a, Word), (*b, Word)], Flag),
            Op::And(a, b) | Op::Or(a, b) => (of(&[*a, *b], Flag), Flag),
            Op::Not(a) => (of(&[*a], Flag), Flag),
            Op::Code(a) => (of(&[*a], Type::Status), Word),
            Op::Bit(a) => (of(&[*a], Flag), Word),
            Op::Select(flag, a, b) => {
                let ty = if matches!(declared(*a)?, Real | Address) { declared(*a)? } else { Word };
                (vec![(Value::Var(*flag), Flag), (*a, ty), (*b, ty)], ty)
            }
            Op::RealOf(_, a, b) => (of(&[*a, *b], Real), Real),
            Op::CompareReal(_, a, b) => (of(&[*a, *b], Real), Flag),
            Op::Negative(a) | Op::Magnitude(a) | Op::Single(a) => (of(&[*a], Real), Real),
            Op::ToReal(a) => (vec![(*a, Word)], Real),
            Op::ToWord(a) => (of(&[*a], Real), Word),
            Op::Load(from, field) => (of(&[*from], Address), field.ty()),
            Op::Offset(from, by) => (vec![(Value::Var(*from), Address), (*by, Word)], Address),
            Op::Bits(a, _) => (of(&[*a], Address), Word),
            Op::Same(a, b) => (of(&[*a, *b], Address), Flag),
            Op::IsNull(a) => (of(&[*a], Address), Flag),
            Op::Stack(_) | Op::Null | Op::Datum(_) | Op::Function(_) => (vec![], Address),
        })
    }
}
