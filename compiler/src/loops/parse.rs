//! Reads a kernel from text, a statement or expression per line. `parse(&kernel.to_string())` is the kernel again.
//!
//! ```text
//! kernel "example" {
//!   buffer b0 in f32[8*N]             // memory: `in` is loaded, `out` is stored
//!   buffer b1 out f32[8*N]
//!   local l0 f32[4]                   // registers; `f32[]` is a scalar
//!   turn N                            // where this is odd, the parallel loop may be run backwards
//!   var i3 loop N                     // what no statement sets; also `var i3 index`, `var i3 index 8`, `var v3 f32`
//!   for i0 in N parallel {            // kinds: seq, unroll, vector, parallel
//!     for i1 in 8 vector {
//!       %0: f32 = b0[8*i0+i1]         // a load; `l0[i1]` reads a local, `v2` a variable, `index i0+1` an index
//!       %1: f32 = const 1.0           // also `true`, `-3`, `inf`, `nan:7fc00000` (its bits)
//!       %2: f32 = add %0 %1           // any function by its name; `mul_add`, `select`, `cast`, `bits`
//!       set v2: f32 = %2              // `set i2 = %2` and `set i2 in 8 = %2` set an index
//!       l0[0] = %2                    // and `l0[0] add= %2`
//!       if i1-1 in 7, i0 in N-1 {     // 0 <= i1-1 < 7 and 0 <= i0 < N-1
//!         b1[8*i0+i1] = %2
//!         b1[8*i0+i1] max= %0       // an update: `set`, `add`, `sub`, `mul`, `or`, `min`, `last_max`, `last_min`
//!         prefetch soon b0[8*i0+i1+8]   // or `later`
//!       } else {
//!         %3: bool = gt %0 %1
//!         check %3 else division_by_zero
//!       }
//!     }
//!   }
//! }
//! ```
//!
//! The numbers are the ids, so that expressions may stand anywhere; they are printed before the first statement that
//! needs them. What follows `//` inside the kernel is a comment.

use std::{collections::BTreeMap, str::FromStr};

use serde::de::DeserializeOwned;

use super::*;
use crate::base::dim::split_list;

/// Blocks nest at most this deep, so that hostile text cannot exhaust the stack.
const MAX_DEPTH: usize = 512;

/// The kernel that `text` describes, or what is wrong and in which line. The kernel is not verified.
pub fn parse(text: &str) -> Result<Kernel, String> {
    let mut parser = Parser::default();
    for (n, line) in text.lines().enumerate() {
        let comment = if parser.open.is_empty() { None } else { line.find("//") };
        let line = line[..comment.unwrap_or(line.len())].trim();
        if !line.is_empty() {
            parser.line(line).map_err(|message| format!("line {}: {message}", n + 1))?;
        }
    }
    parser.finish()
}

/// A block that is still open, and the statement it belongs to.
enum Open {
    Kernel,
    For(VarId, LoopKind),
    Then(Vec<Bound>),
    Else(Vec<Bound>, Block),
}

#[derive(Default)]
struct Parser {
    name: String,
    buffers: BTreeMap<u32, Buffer>,
    vars: BTreeMap<u32, Var>,
    locals: BTreeMap<u32, Local>,
    exprs: BTreeMap<u32, Typed>,
    turn: Option<Dim>,
    open: Vec<(Open, Block)>,
    body: Option<Block>,
}

type Parse<T> = Result<T, String>;

/// `text` around the first occurrence of `by`, both trimmed.
fn split<'a>(text: &'a str, by: &str) -> Parse<(&'a str, &'a str)> {
    let (a, b) = text.split_once(by).ok_or_else(|| format!("expected `{}` in `{text}`", by.trim()))?;
    Ok((a.trim(), b.trim()))
}

fn id<T>(text: &str, prefix: &str) -> Parse<Id<T>> {
    let number = text.trim().strip_prefix(prefix).and_then(|n| u32::from_str(n).ok());
    number.map(|n| Id::new(n as usize)).ok_or_else(|| format!("expected `{prefix}` and a number, got `{text}`"))
}

fn dims(text: &str) -> Parse<Vec<Dim>> {
    split_list(text).into_iter().map(str::parse).collect()
}

/// `name[index]`.
fn indexed(text: &str) -> Parse<(&str, &str)> {
    let (name, rest) = split(text, "[")?;
    let index = rest.strip_suffix(']').ok_or_else(|| format!("expected `]` at the end of `{text}`"))?;
    Ok((name, index))
}

fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name.into())).ok()
}

fn scalar(dtype: DType, text: &str) -> Parse<Scalar> {
    let wrong = || format!("`{text}` is not a {dtype}");
    let nan = text.strip_prefix("nan:").map(|bits| u64::from_str_radix(bits, 16).map_err(|_| wrong())).transpose()?;
    let value = match dtype {
        DType::Bool => text.parse().ok().map(Scalar::Bool),
        d if d.is_signed_int() => text.parse().ok().map(Scalar::Int),
        d if d.is_unsigned_int() => text.parse().ok().map(Scalar::Uint),
        DType::F64 => nan.map(f64::from_bits).or_else(|| text.parse().ok()).map(Scalar::F64),
        d if d.is_float() => {
            let nan = nan.and_then(|bits| u32::try_from(bits).ok()).map(f32::from_bits);
            nan.or_else(|| text.parse().ok()).map(Scalar::F32)
        }
        _ => None,
    };
    value.ok_or_else(wrong)
}

fn declare<T: PartialEq>(map: &mut BTreeMap<u32, T>, id: Id<T>, value: T) -> Parse<Id<T>> {
    let known = map.entry(id.index() as u32);
    if let std::collections::btree_map::Entry::Occupied(known) = &known
        && *known.get() != value
    {
        return Err(format!("{} is declared twice", id.index()));
    }
    known.or_insert(value);
    Ok(id)
}

/// The values in the order of their numbers, which are dense.
fn arena<T>(map: BTreeMap<u32, T>, what: &str) -> Parse<Arena<T>> {
    let missing = map.keys().zip(0..).find(|(id, n)| *id != n).map(|(_, n)| n);
    missing.map_or(Ok(()), |n| Err(format!("{what} {n} is missing")))?;
    Ok(map.into_values().collect())
}

impl Parser {
    fn line(&mut self, line: &str) -> Parse<()> {
        if self.open.is_empty() {
            return self.header(line);
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "buffer" => self.buffer(rest),
            "local" => {
                let (name, ty) = split(rest, " ")?;
                let (dtype, shape) = indexed(ty)?;
                let shape = split_list(shape).into_iter().map(str::parse).collect::<Result<_, _>>();
                let shape = shape.map_err(|_| format!("`{ty}` has no constant shape"))?;
                declare(&mut self.locals, id(name, "l")?, Local { dtype: dtype.parse()?, shape }).map(drop)
            }
            "turn" => {
                self.turn = Some(rest.parse()?);
                Ok(())
            }
            "var" => self.var(rest),
            "for" => {
                let (var, rest) = split(rest, " in ")?;
                let rest = rest.strip_suffix('{').ok_or("expected `{` at the end")?.trim();
                let (extent, kind) = rest.rsplit_once(' ').ok_or("expected the extent and the kind of the loop")?;
                let kinds = [LoopKind::Seq, LoopKind::Unroll, LoopKind::Vector, LoopKind::Parallel];
                let kind = kinds.into_iter().find(|k| print::kind_name(*k) == kind);
                let kind = kind.ok_or_else(|| format!("`{rest}` does not end in the kind of a loop"))?;
                let var = declare(&mut self.vars, id(var, "i")?, Var::Loop { extent: extent.parse()? })?;
                self.push(Open::For(var, kind))
            }
            "if" => {
                let bounds = rest.strip_suffix('{').ok_or("expected `{` at the end")?;
                let bound = |text: &str| {
                    let (index, extent) = split(text, " in ")?;
                    Ok(Bound { index: index.parse()?, extent: extent.parse()? })
                };
                let bounds = split_list(bounds).into_iter().map(bound).collect::<Parse<_>>()?;
                self.push(Open::Then(bounds))
            }
            "}" => self.close(!rest.is_empty(), rest),
            "set" => self.set(rest),
            "check" => {
                let (cond, fault) = split(rest, " else ")?;
                let fault = named(fault).ok_or_else(|| format!("there is no fault `{fault}`"))?;
                self.emit(Stmt::Check { cond: id(cond, "%")?, fault })
            }
            "append" => self.emit(Stmt::Append { value: id(rest, "%")? }),
            "take" => {
                let var = declare(&mut self.vars, id(rest, "v")?, Var::Value { dtype: DType::Str })?;
                self.emit(Stmt::Take { var })
            }
            "prefetch" => {
                let (when, place) = split(rest, " ")?;
                let near = match when {
                    "soon" => true,
                    "later" => false,
                    _ => return Err(format!("expected `soon` or `later`, not `{when}`")),
                };
                let (name, index) = indexed(place)?;
                self.emit(Stmt::Prefetch { buffer: id(name, "b")?, index: index.parse()?, near })
            }
            _ if word.starts_with('%') => self.expr(line),
            _ => self.assignment(line),
        }
    }
    fn header(&mut self, line: &str) -> Parse<()> {
        if self.body.is_some() {
            return Err("the kernel is closed already".into());
        }
        let name = line.strip_prefix("kernel ").and_then(|l| l.strip_suffix('{'));
        let name = name.ok_or("expected `kernel \"name\" {`")?.trim();
        self.name = unquote(name).ok_or_else(|| format!("`{name}` is not a quoted name"))?;
        self.push(Open::Kernel)
    }
    fn buffer(&mut self, rest: &str) -> Parse<()> {
        let (name, rest) = split(rest, " ")?;
        let (way, ty) = split(rest, " ")?;
        let written = match way {
            "in" => false,
            "out" => true,
            _ => return Err(format!("expected `in` or `out`, got `{way}`")),
        };
        let (dtype, len) = indexed(ty)?;
        let buffer = Buffer { dtype: dtype.parse()?, len: len.parse()?, written };
        declare(&mut self.buffers, id(name, "b")?, buffer).map(drop)
    }
    fn var(&mut self, rest: &str) -> Parse<()> {
        let (name, what) = split(rest, " ")?;
        let (prefix, var) = match what.split_once(' ').unwrap_or((what, "")) {
            ("loop", extent) => ("i", Var::Loop { extent: extent.parse()? }),
            ("index", "") => ("i", Var::Index { extent: None }),
            ("index", extent) => ("i", Var::Index { extent: Some(extent.parse()?) }),
            (dtype, _) => ("v", Var::Value { dtype: dtype.parse()? }),
        };
        declare(&mut self.vars, id(name, prefix)?, var).map(drop)
    }
    fn push(&mut self, open: Open) -> Parse<()> {
        self.open.push((open, vec![]));
        if self.open.len() > MAX_DEPTH { Err("statements are nested too deeply".into()) } else { Ok(()) }
    }
    fn emit(&mut self, stmt: Stmt) -> Parse<()> {
        let (_, block) = self.open.last_mut().ok_or("a statement outside the kernel")?;
        block.push(stmt);
        Ok(())
    }
    fn close(&mut self, is_else: bool, rest: &str) -> Parse<()> {
        let (open, block) = self.open.pop().ok_or("nothing is open")?;
        if is_else {
            return match open {
                Open::Then(bounds) if rest.trim() == "else {" => self.push(Open::Else(bounds, block)),
                _ => Err(format!("unexpected `{rest}`")),
            };
        }
        let stmt = match open {
            Open::Kernel => {
                self.body = Some(block);
                return Ok(());
            }
            Open::For(var, kind) => Stmt::For { var, kind, body: block },
            Open::Then(bounds) => Stmt::If { bounds, then: block, otherwise: vec![] },
            Open::Else(bounds, then) => Stmt::If { bounds, then, otherwise: block },
        };
        self.emit(stmt)
    }
    fn set(&mut self, rest: &str) -> Parse<()> {
        let (target, value) = split(rest, "=")?;
        let var = if let Some((name, dtype)) = target.split_once(':') {
            declare(&mut self.vars, id(name, "v")?, Var::Value { dtype: dtype.trim().parse()? })?
        } else {
            let (name, extent) = match target.split_once(" in ") {
                Some((name, extent)) => (name, Some(extent.parse()?)),
                None => (target, None),
            };
            declare(&mut self.vars, id(name, "i")?, Var::Index { extent })?
        };
        self.emit(Stmt::Set { var, value: id(value, "%")? })
    }
    /// A store, an update, an assignment or an accumulation.
    fn assignment(&mut self, line: &str) -> Parse<()> {
        let (target, value) = split(line, "=")?;
        let value = id(value, "%")?;
        let (place, f) = target.split_at(target.find(']').map_or(target.len(), |at| at + 1));
        let (name, index) = indexed(place)?;
        let f = f.trim();
        let unknown = || format!("there is no function `{f}`");
        if name.starts_with('b') {
            let (buffer, index) = (id(name, "b")?, index.parse()?);
            return self.emit(match f {
                "" => Stmt::Store { buffer, index, value },
                f => Stmt::Update { buffer, index, f: named(f).ok_or_else(unknown)?, value },
            });
        }
        let (local, index) = (id(name, "l")?, dims(index)?);
        if f.is_empty() {
            return self.emit(Stmt::Assign { local, index, value });
        }
        let f = named(f).ok_or_else(unknown)?;
        self.emit(Stmt::Accumulate { local, index, f, value })
    }
    fn expr(&mut self, line: &str) -> Parse<()> {
        let (target, text) = split(line, "=")?;
        let (name, dtype) = split(target, ":")?;
        let dtype = dtype.parse()?;
        let expr = expr(dtype, text)?;
        // A line never repeats: unlike declarations, expressions are not compared, as NaN is not equal to itself.
        let name: ExprId = id(name, "%")?;
        let again = self.exprs.insert(name.index() as u32, Typed { expr, dtype }).is_some();
        if again { Err(format!("expression {} is defined twice", name.index())) } else { Ok(()) }
    }
    fn finish(self) -> Parse<Kernel> {
        let body = self.body.ok_or("the kernel is not closed")?;
        Ok(Kernel {
            name: self.name,
            buffers: arena(self.buffers, "buffer")?,
            vars: arena(self.vars, "variable")?,
            locals: arena(self.locals, "local")?,
            exprs: arena(self.exprs, "expression")?,
            turn: self.turn,
            body,
        })
    }
}

fn expr(dtype: DType, text: &str) -> Parse<Expr> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "const" => return Ok(Expr::Const(scalar(dtype, rest.trim())?)),
        "index" => return Ok(Expr::Index(rest.parse()?)),
        "table" => return table(rest),
        _ if text.ends_with(']') => {
            let (name, index) = indexed(text)?;
            return match id(name, "b") {
                Ok(buffer) => Ok(Expr::Load(buffer, index.parse()?)),
                Err(_) => Ok(Expr::Local(id(name, "l")?, dims(index)?)),
            };
        }
        _ => (),
    }
    let operands = rest.split_whitespace().map(|x| id(x, "%")).collect::<Parse<Vec<ExprId>>>()?;
    let function = (named::<UnaryFn>(word), named::<BinaryFn>(word), named::<CompareFn>(word));
    match (word, &operands[..], function) {
        (_, &[x], (Some(f), ..)) => Ok(Expr::Unary(f, x)),
        (_, &[x, y], (_, Some(f), _)) => Ok(Expr::Binary(f, x, y)),
        (_, &[x, y], (.., Some(f))) => Ok(Expr::Compare(f, x, y)),
        ("mul_add", &[x, y, z], _) => Ok(Expr::MulAdd(x, y, z)),
        ("scale", &[x, n], _) => Ok(Expr::Scale(x, n)),
        ("exponent", &[x], _) => Ok(Expr::Exponent(x)),
        ("mantissa", &[x], _) => Ok(Expr::Mantissa(x)),
        ("select", &[x, y, z], _) => Ok(Expr::Select(x, y, z)),
        ("cast", &[x], _) => Ok(Expr::Cast(x)),
        ("bits", &[x], _) => Ok(Expr::Bits(x)),
        ("start", &[x], _) => Ok(Expr::Start(x)),
        ("length", &[x], _) => Ok(Expr::Length(x)),
        ("span", &[x, n], _) => Ok(Expr::Span(x, n)),
        ("byte", &[x, n], _) => Ok(Expr::Byte(x, n)),
        ("word", &[x, n], _) => Ok(Expr::Word(x, n)),
        (_, [], _) => Ok(Expr::Var(id(word, "v")?)),
        _ => Err(format!("there is no function `{word}` of {} operands", operands.len())),
    }
}

/// `%1 of 1.0 2.0 ...`.
fn table(text: &str) -> Parse<Expr> {
    let (index, entries) = split(text, " of ")?;
    let entry = |text: &str| match scalar(DType::F32, text)? {
        Scalar::F32(x) => Ok(x),
        _ => Err(format!("`{text}` is no f32")),
    };
    let entries = entries.split_whitespace().map(entry).collect::<Parse<Vec<f32>>>()?;
    let count = entries.len();
    let entries = entries.try_into().map_err(|_| format!("a table of {count} entries, not {TABLE}"))?;
    Ok(Expr::Table(Box::new(entries), id(index, "%")?))
}

/// The string that `{:?}` printed.
fn unquote(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut name = String::new();
    while let Some(c) = chars.next() {
        name.push(match c {
            '"' => return None,
            '\\' => match chars.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                'u' => {
                    let digits: String = chars.by_ref().skip_while(|c| *c == '{').take_while(|c| *c != '}').collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                }
                c => c,
            },
            c => c,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests;
