//! One statement after the other.

use super::{
    super::{Block, Callee, Compare, Datum, Field, Op, RealCompare, RealOp, Routine, Stmt, Type, Value, VarId, WordOp},
    FUNCTION, GARBAGE, Machine, Stop, bug,
};

/// Runs a routine that is verified.
pub fn run(machine: &mut Machine<'_>, routine: &Routine, args: &[i64]) -> Result<Option<i64>, Stop> {
    let mut steps =
        Steps { machine, routine, words: vec![0; routine.vars.len()], reals: vec![0.0; routine.vars.len()] };
    for (param, arg) in routine.params.iter().zip(args) {
        steps.words[param.index()] = *arg;
    }
    match steps.block(&routine.body)? {
        Go::Left(value) => Ok(value),
        Go::On | Go::Out => Ok(None),
    }
}

/// Whether what follows a statement runs.
enum Go {
    On,
    /// Out of the loop around.
    Out,
    Left(Option<i64>),
}

struct Steps<'m, 'a> {
    machine: &'m mut Machine<'a>,
    routine: &'m Routine,
    /// By variable; addresses, flags and statuses too.
    words: Vec<i64>,
    reals: Vec<f64>,
}

impl Steps<'_, '_> {
    fn block(&mut self, block: &Block) -> Result<Go, Stop> {
        for stmt in block {
            match self.stmt(stmt)? {
                Go::On => {}
                gone => return Ok(gone),
            }
        }
        Ok(Go::On)
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<Go, Stop> {
        match stmt {
            Stmt::Set(var, op) => self.set(*var, op)?,
            Stmt::Store { to, field, value } => {
                let value = self.word(*value);
                self.machine.store(self.words[to.index()], *field, value)?;
            }
            Stmt::Call { callee, args, result } => {
                let args: Vec<i64> = args.iter().map(|&arg| self.word(arg)).collect();
                match callee {
                    Callee::At(var) => self.machine.run_at(self.words[var.index()], &args)?,
                    Callee::Member(n) => {
                        let value = self.machine.run(*n, &args)?;
                        if let Some(result) = result {
                            self.words[result.index()] = value.map_or_else(|| bug("there is no result"), Ok)?;
                        }
                    }
                }
            }
            Stmt::If { when, then, otherwise } => {
                return self.block(if self.words[when.index()] != 0 { then } else { otherwise });
            }
            Stmt::Each { var, from, to, body } => {
                for n in self.word(*from)..self.word(*to) {
                    self.words[var.index()] = n;
                    match self.block(body)? {
                        Go::On => {}
                        Go::Out => break,
                        Go::Left(value) => return Ok(Go::Left(value)),
                    }
                }
            }
            Stmt::Break => return Ok(Go::Out),
            Stmt::Return(value) => return Ok(Go::Left(value.map(|value| self.word(value)))),
        }
        Ok(Go::On)
    }

    fn word(&self, value: Value) -> i64 {
        match value {
            Value::Int(int) => int,
            Value::Var(var) => self.words[var.index()],
        }
    }
    fn real(&self, var: VarId) -> f64 {
        self.reals[var.index()]
    }

    fn set(&mut self, to: VarId, op: &Op) -> Result<(), Stop> {
        if self.routine.vars[to].ty == Type::Real {
            self.reals[to.index()] = self.real_of(op)?;
        } else {
            self.words[to.index()] = self.word_of(op)?;
        }
        Ok(())
    }

    fn real_of(&self, op: &Op) -> Result<f64, Stop> {
        let float = |value: Value| match value {
            Value::Var(var) => self.real(var),
            Value::Int(int) => int as f64,
        };
        Ok(match op {
            Op::Real(x) => *x,
            Op::Copy(x) => float(*x),
            Op::Select(flag, a, b) => float(if self.words[flag.index()] != 0 { *a } else { *b }),
            Op::RealOf(op, a, b) => {
                let (a, b) = (self.real(*a), self.real(*b));
                match op {
                    RealOp::Add => a + b,
                    RealOp::Sub => a - b,
                    RealOp::Mul => a * b,
                    RealOp::Div => a / b,
                }
            }
            Op::Negative(a) => -self.real(*a),
            Op::Magnitude(a) => self.real(*a).abs(),
            Op::ToReal(a) => self.word(*a) as f64,
            Op::Single(a) => f64::from(self.real(*a) as f32),
            other => return bug(format!("`{other}` is no float")),
        })
    }

    fn word_of(&mut self, op: &Op) -> Result<i64, Stop> {
        let flag = |var: VarId, words: &[i64]| words[var.index()] != 0;
        Ok(match op {
            Op::Copy(x) => self.word(*x),
            Op::Word(op, a, b) => return word(*op, self.word(*a), self.word(*b)),
            Op::Compare(op, a, b) => compare(*op, self.word(*a), self.word(*b)).into(),
            Op::And(a, b) => (flag(*a, &self.words) && flag(*b, &self.words)).into(),
            Op::Or(a, b) => (flag(*a, &self.words) || flag(*b, &self.words)).into(),
            Op::Not(a) => (!flag(*a, &self.words)).into(),
            Op::Code(a) => self.words[a.index()],
            Op::Bit(a) => flag(*a, &self.words).into(),
            Op::Select(when, a, b) => self.word(if flag(*when, &self.words) { *a } else { *b }),
            Op::CompareReal(op, a, b) => compare_reals(*op, self.real(*a), self.real(*b)).into(),
            Op::ToWord(a) => self.real(*a) as i64,
            Op::Load(from, field) => self.machine.load(self.words[from.index()], *field)?,
            Op::Offset(from, by) => self.words[from.index()].wrapping_add(self.word(*by)),
            Op::Bits(a, mask) => self.words[a.index()] & mask,
            Op::Same(a, b) => (self.words[a.index()] == self.words[b.index()]).into(),
            Op::IsNull(a) => (self.words[a.index()] == 0).into(),
            Op::Stack(bytes) => self.machine.region(vec![GARBAGE; *bytes as usize]),
            Op::Null => 0,
            Op::Function(n) => FUNCTION + *n as i64,
            Op::Datum(Datum::Weights) => self.machine.weights(),
            Op::Datum(Datum::Distance) => {
                let (weights, at) = (self.machine.weights(), self.machine.words(&[0]));
                self.machine.store(at, Field::Word(0), weights - at)?;
                at
            }
            Op::Datum(Datum::Bound) => {
                let weights = self.machine.weights();
                self.machine.words(&[weights])
            }
            Op::Datum(Datum::Fingerprint) => self.machine.words(&[0; 4]),
            other => return bug(format!("`{other}` is a float")),
        })
    }
}

fn word(op: WordOp, a: i64, b: i64) -> Result<i64, Stop> {
    let wraps = |fits: bool| if fits { 0 } else { -1 };
    Ok(match op {
        WordOp::Add => a.wrapping_add(b),
        WordOp::Sub => a.wrapping_sub(b),
        WordOp::Mul => a.wrapping_mul(b),
        WordOp::Div => a.checked_div(b).map_or_else(|| bug(format!("{a} by {b}")), Ok)?,
        WordOp::Rem => a.checked_rem(b).map_or_else(|| bug(format!("{a} by {b}")), Ok)?,
        WordOp::And => a & b,
        WordOp::Or => a | b,
        WordOp::Xor => a ^ b,
        WordOp::Shl | WordOp::Shr | WordOp::Ushr if !(0..64).contains(&b) => return bug(format!("{a} by {b} bits")),
        WordOp::Shl => a << b,
        WordOp::Shr => a >> b,
        WordOp::Ushr => (a as u64 >> b) as i64,
        WordOp::AddWraps => wraps(a.checked_add(b).is_some()),
        WordOp::MulWraps => wraps(a.checked_mul(b).is_some()),
    })
}

fn compare(op: Compare, a: i64, b: i64) -> bool {
    match op {
        Compare::Eq => a == b,
        Compare::Ne => a != b,
        Compare::Lt => a < b,
        Compare::Le => a <= b,
        Compare::Gt => a > b,
        Compare::Ge => a >= b,
        Compare::Below => (a as u64) < b as u64,
    }
}

fn compare_reals(op: RealCompare, a: f64, b: f64) -> bool {
    match op {
        RealCompare::Eq => a == b,
        RealCompare::Lt => a < b,
        RealCompare::Le => a <= b,
        RealCompare::Gt => a > b,
        RealCompare::Ge => a >= b,
        RealCompare::Unordered => a.is_nan() || b.is_nan(),
    }
}
