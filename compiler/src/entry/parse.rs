//! Reads a routine from text: `parse(&routine.to_string())` is the routine again.
//!
//! ```text
//! routine(v0: address, v1: word) -> status {   // `numbered` behind the parameters: the first one has 32 bits
//!   v2: word = add v1 4                        // an operation of its operands
//!   v3: address = load v0.workspace            // a field; `store v0.status = 3`
//!   call f12(v0, 0, v2)                        // by number, or `call v3(..)` by address; `v4: word = call f3(v2)`
//!   v5: flag = lt v2 0
//!   if v5 {
//!     return 2
//!   } else {
//!     each v6 in 0..v2 {
//!     }
//!   }
//!   return 0
//! }
//! ```

use super::{
    print::{COMPARES, DATA, REAL_COMPARES, REAL_OPS, TYPES, WORD_OPS},
    verify::MAX_DEPTH,
    *,
};

/// The routine that the text describes, or what is wrong and in which line. It is not verified.
pub fn parse(text: &str) -> Result<Routine, String> {
    let mut parser = Parser::default();
    for (n, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if !line.is_empty() {
            parser.line(line).map_err(|message| format!("line {}: {message}", n + 1))?;
        }
    }
    parser.routine.filter(|_| parser.open.is_empty()).ok_or("the routine does not end".into())
}

type Parse<T> = Result<T, String>;

/// A block that is not closed yet, and what it belongs to.
enum Open {
    Routine,
    Then(VarId),
    Else(VarId, Block),
    Each(VarId, Value, Value),
}

#[derive(Default)]
struct Parser {
    /// By number.
    vars: Vec<Option<Type>>,
    head: Option<(Vec<VarId>, bool, Option<Type>)>,
    open: Vec<(Open, Block)>,
    routine: Option<Routine>,
}

fn split<'a>(text: &'a str, by: &str) -> Parse<(&'a str, &'a str)> {
    let (a, b) = text.split_once(by).ok_or_else(|| format!("expected `{}` in `{text}`", by.trim()))?;
    Ok((a.trim(), b.trim()))
}

fn named<T: Copy>(names: &[(T, &str)], name: &str) -> Option<T> {
    names.iter().find(|(_, known)| *known == name).map(|(what, _)| *what)
}

fn number<T: std::str::FromStr>(text: &str, prefix: &str) -> Parse<T> {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.parse().ok());
    digits.ok_or_else(|| format!("expected `{prefix}` and a number instead of `{text}`"))
}

/// A variable that may be used before its declaration is seen: the verifier finds what is wrong.
fn var(text: &str) -> Parse<VarId> {
    let n: u32 = number(text, "v")?;
    Ok(VarId::new(n as usize))
}

fn value(text: &str) -> Parse<Value> {
    match text.parse() {
        Ok(int) => Ok(Value::Int(int)),
        Err(_) => Ok(Value::Var(var(text)?)),
    }
}

fn ty(text: &str) -> Parse<Type> {
    named(TYPES, text).ok_or_else(|| format!("`{text}` is no type"))
}

fn field(text: &str) -> Parse<(VarId, Field)> {
    let (base, name) = split(text, ".")?;
    let field = match named(&Field::NAMED, name) {
        Some(field) => field,
        None if name.starts_with("pointer") => Field::Pointer(number(name, "pointer")?),
        None if name.starts_with("number") => Field::Number(number(name, "number")?),
        None => Field::Word(number(name, "word")?),
    };
    Ok((var(base)?, field))
}

/// The most variables that a text may declare, so that a hostile number takes no memory.
const MAX_VARS: usize = 1 << 20;

impl Parser {
    fn line(&mut self, line: &str) -> Parse<()> {
        if self.open.is_empty() {
            return self.head(line);
        }
        if let Some(rest) = line.strip_prefix('}') {
            return self.close(rest.trim());
        }
        if let Some(rest) = line.strip_suffix('{') {
            return self.block(rest.trim());
        }
        let stmt = self.stmt(line)?;
        self.push(stmt);
        Ok(())
    }

    fn push(&mut self, stmt: Stmt) {
        if let Some((_, block)) = self.open.last_mut() {
            block.push(stmt);
        }
    }

    /// `v3: word`.
    fn declare(&mut self, text: &str) -> Parse<VarId> {
        let (name, of) = split(text, ":")?;
        self.declare_as(var(name)?, ty(of)?)
    }
    fn declare_as(&mut self, var: VarId, ty: Type) -> Parse<VarId> {
        let n = var.index();
        if n >= MAX_VARS {
            return Err(format!("v{n} is too many"));
        }
        self.vars.resize(self.vars.len().max(n + 1), None);
        match self.vars[n].replace(ty) {
            Some(before) if before != ty => Err(format!("v{n} was a {before}")),
            _ => Ok(var),
        }
    }

    fn head(&mut self, line: &str) -> Parse<()> {
        if self.routine.is_some() {
            return Err("the routine has ended".into());
        }
        let (_, rest) = split(line, "routine(")?;
        let (params, rest) = split(rest, ")")?;
        let params = params.split(',').map(str::trim).filter(|p| !p.is_empty());
        let params = params.map(|p| self.declare(p)).collect::<Parse<_>>()?;
        let rest = rest.strip_suffix('{').ok_or("expected `{`")?.trim();
        let (numbered, rest) = rest.strip_prefix("numbered").map_or((false, rest), |rest| (true, rest.trim()));
        let returns = rest.strip_prefix("->").map(|of| ty(of.trim())).transpose()?;
        self.head = Some((params, numbered, returns));
        self.open.push((Open::Routine, vec![]));
        Ok(())
    }

    fn block(&mut self, line: &str) -> Parse<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err("blocks nest too deep".into());
        }
        let open = match split(line, " ")? {
            ("if", when) => Open::Then(var(when)?),
            ("each", rest) => {
                let (counter, range) = split(rest, " in ")?;
                let (from, to) = split(range, "..")?;
                Open::Each(self.declare_as(var(counter)?, Type::Word)?, value(from)?, value(to)?)
            }
            _ => return Err(format!("`{line}` begins no block")),
        };
        self.open.push((open, vec![]));
        Ok(())
    }

    fn close(&mut self, rest: &str) -> Parse<()> {
        let (open, block) = self.open.pop().ok_or("nothing is open")?;
        match (open, rest) {
            (Open::Then(when), "else {") => self.open.push((Open::Else(when, block), vec![])),
            (Open::Then(when), "") => self.push(Stmt::If { when, then: block, otherwise: vec![] }),
            (Open::Else(when, then), "") => self.push(Stmt::If { when, then, otherwise: block }),
            (Open::Each(var, from, to), "") => self.push(Stmt::Each { var, from, to, body: block }),
            (Open::Routine, "") => {
                let (params, numbered, returns) = self.head.take().ok_or("there is no head")?;
                let mut vars = Arena::default();
                // What no line declares is used by none, or the verifier says so.
                std::mem::take(&mut self.vars).into_iter().for_each(|ty| {
                    vars.push(Var { ty: ty.unwrap_or(Type::Word) });
                });
                self.routine = Some(Routine { params, numbered, returns, vars, body: block });
            }
            _ => return Err(format!("`}} {rest}` closes nothing")),
        }
        Ok(())
    }

    fn stmt(&mut self, line: &str) -> Parse<Stmt> {
        if let Some(rest) = line.strip_prefix("return") {
            let rest = rest.trim();
            return Ok(Stmt::Return(if rest.is_empty() { None } else { Some(value(rest)?) }));
        }
        if line == "break" {
            return Ok(Stmt::Break);
        }
        if let Some(rest) = line.strip_prefix("store ") {
            let (place, stored) = split(rest, "=")?;
            let (to, field) = field(place)?;
            return Ok(Stmt::Store { to, field, value: value(stored)? });
        }
        if line.starts_with("call ") {
            return call(line, None);
        }
        let (declared, op) = split(line, "=")?;
        let to = self.declare(declared)?;
        if op.starts_with("call ") { call(op, Some(to)) } else { Ok(Stmt::Set(to, operation(op)?)) }
    }
}

fn call(text: &str, result: Option<VarId>) -> Parse<Stmt> {
    let (_, rest) = split(text, "call ")?;
    let (callee, args) = split(rest.strip_suffix(')').ok_or("expected `)`")?, "(")?;
    let callee = match callee.starts_with('f') {
        true => Callee::Member(number(callee, "f")?),
        false => Callee::At(var(callee)?),
    };
    let args = args.split(',').map(str::trim).filter(|arg| !arg.is_empty()).map(value).collect::<Parse<_>>()?;
    Ok(Stmt::Call { callee, args, result })
}

fn operation(text: &str) -> Parse<Op> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (&name, args) = words.split_first().ok_or("expected an operation")?;
    Ok(match (name, args) {
        ("null", []) => Op::Null,
        ("copy", [a]) => Op::Copy(value(a)?),
        ("real", [a]) => Op::Real(a.parse().map_err(|_| format!("`{a}` is no number"))?),
        ("not", [a]) => Op::Not(var(a)?),
        ("code", [a]) => Op::Code(var(a)?),
        ("bit", [a]) => Op::Bit(var(a)?),
        ("negative", [a]) => Op::Negative(var(a)?),
        ("magnitude", [a]) => Op::Magnitude(var(a)?),
        ("single", [a]) => Op::Single(var(a)?),
        ("to_real", [a]) => Op::ToReal(value(a)?),
        ("to_word", [a]) => Op::ToWord(var(a)?),
        ("is_null", [a]) => Op::IsNull(var(a)?),
        ("stack", [a]) => Op::Stack(number(a, "")?),
        ("function", [a]) => Op::Function(number(a, "f")?),
        ("datum", [a]) => Op::Datum(named(DATA, a).ok_or_else(|| format!("`{a}` is no datum"))?),
        ("load", [a]) => {
            let (from, field) = field(a)?;
            Op::Load(from, field)
        }
        ("offset", [a, b]) => Op::Offset(var(a)?, value(b)?),
        ("bits", [a, b]) => Op::Bits(var(a)?, number(b, "")?),
        ("same", [a, b]) => Op::Same(var(a)?, var(b)?),
        ("both", [a, b]) => Op::And(var(a)?, var(b)?),
        ("either", [a, b]) => Op::Or(var(a)?, var(b)?),
        ("select", [flag, a, b]) => Op::Select(var(flag)?, value(a)?, value(b)?),
        (name, [a, b]) => {
            if let Some(op) = named(WORD_OPS, name) {
                Op::Word(op, value(a)?, value(b)?)
            } else if let Some(op) = named(COMPARES, name) {
                Op::Compare(op, value(a)?, value(b)?)
            } else if let Some(op) = named(REAL_OPS, name) {
                Op::RealOf(op, var(a)?, var(b)?)
            } else if let Some(op) = named(REAL_COMPARES, name) {
                Op::CompareReal(op, var(a)?, var(b)?)
            } else {
                return Err(format!("there is no operation `{name}` of two"));
            }
        }
        _ => return Err(format!("`{text}` is no operation")),
    })
}
