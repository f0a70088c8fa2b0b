//! Reads the textual form of dims: sums, products, parentheses, `floor(a,b)`, `max(a,b)`, `min(a,b)`,
//! `broadcast(a,b,..)`, and formulas.

use std::str::FromStr;

use super::{
    Dim,
    formula::{Function, Number},
};

/// Nesting beyond this is refused rather than recursed into.
const MAX_DEPTH: usize = 64;

/// Splits at the commas outside parentheses; an empty text is an empty list.
pub fn split_list(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (vec![], 0i32, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    if !text.trim().is_empty() {
        parts.push(text[start..].trim());
    }
    parts
}

/// Names `i0`, `i1`, ... are variables, all others symbols.
impl FromStr for Dim {
    type Err = String;
    fn from_str(text: &str) -> Result<Dim, String> {
        let mut parser = Parser { rest: text.trim() };
        let number = parser.sum(0)?;
        if !parser.rest.is_empty() {
            return Err(format!("unexpected `{}` in `{text}`", parser.rest));
        }
        number.as_dim().cloned().ok_or_else(|| format!("`{text}` is not an integer"))
    }
}

struct Parser<'a> {
    rest: &'a str,
}

/// `f` of these, by their kinds.
fn of(f: Function, args: &[Number]) -> Result<Number, String> {
    let ints: Option<Vec<&Dim>> = args.iter().map(Number::as_dim).collect();
    let exact = match (f, ints.as_deref()) {
        (Function::Add, Some([a, b])) => Some(*a + *b),
        (Function::Sub, Some([a, b])) => Some(*a - *b),
        (Function::Mul, Some([a, b])) => Some(*a * *b),
        (Function::Min, Some([a, b])) => Some(a.at_most(b)),
        (Function::Max, Some([a, b])) => Some(a.at_least(b)),
        (Function::Floor, Some([a, b])) => Some(a.floor_div(b)),
        _ => None,
    };
    // An integer that becomes a single is rounded once.
    let single = match (f, args) {
        (Function::Single, [Number::Int(_)]) => Number::of(Function::ToReal, args),
        _ => None,
    };
    let number = match (exact, &single) {
        (Some(dim), _) => Some(Number::Int(dim)),
        (None, Some(real)) => Number::of(f, std::slice::from_ref(real)),
        (None, None) => Number::of(f, args),
    };
    number.ok_or_else(|| format!("{f:?} of {args:?} has no value"))
}

impl Parser<'_> {
    fn eat(&mut self, token: char) -> bool {
        let rest = self.rest.trim_start();
        let eaten = rest.strip_prefix(token);
        self.rest = eaten.unwrap_or(rest).trim_start();
        eaten.is_some()
    }
    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("expected `{token}` before `{}`", self.rest)) }
    }
    fn sum(&mut self, depth: usize) -> Result<Number, String> {
        if depth > MAX_DEPTH {
            return Err("an expression is nested too deeply".into());
        }
        let mut sum = if self.eat('-') { negative(self.product(depth)?)? } else { self.product(depth)? };
        loop {
            if self.eat('+') {
                sum = of(Function::Add, &[sum, self.product(depth)?])?;
            } else if self.eat('-') {
                sum = of(Function::Sub, &[sum, self.product(depth)?])?;
            } else {
                return Ok(sum);
            }
        }
    }
    fn product(&mut self, depth: usize) -> Result<Number, String> {
        let mut product = self.signed(depth)?;
        loop {
            if self.eat('*') {
                product = of(Function::Mul, &[product, self.signed(depth)?])?;
            } else if self.eat('/') {
                product = of(Function::Div, &[product, self.signed(depth)?])?;
            } else {
                return Ok(product);
            }
        }
    }
    /// A factor that may have a sign.
    fn signed(&mut self, depth: usize) -> Result<Number, String> {
        if self.eat('-') { negative(self.factor(depth)?) } else { self.factor(depth) }
    }
    fn factor(&mut self, depth: usize) -> Result<Number, String> {
        if self.eat('(') {
            let inner = self.sum(depth + 1)?;
            self.expect(')')?;
            return Ok(inner);
        }
        let word = |c: char| c.is_alphanumeric() || "_.$".contains(c);
        let end = self.rest.find(|c| !word(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        if name.is_empty() {
            return Err(format!("expected a number or a name before `{rest}`"));
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return constant(name).ok_or_else(|| format!("`{name}` is not a number"));
        }
        if let Some((f, _)) = Function::NAMED.iter().find(|(_, n)| *n == name)
            && self.eat('(')
        {
            let mut args = vec![self.sum(depth + 1)?];
            while self.eat(',') {
                args.push(self.sum(depth + 1)?);
            }
            self.expect(')')?;
            return of(*f, &args);
        }
        if name == "broadcast" && self.eat('(') {
            let mut extents = vec![self.sum(depth + 1)?];
            while self.eat(',') {
                extents.push(self.sum(depth + 1)?);
            }
            self.expect(')')?;
            let extents: Option<Vec<Dim>> = extents.iter().map(|n| n.as_dim().cloned()).collect();
            return extents.map(|extents| Number::Int(Dim::broadcast(&extents))).ok_or("extents are integers".into());
        }
        let variable = name.strip_prefix('i').and_then(|n| n.parse().ok());
        Ok(Number::Int(variable.map_or_else(|| Dim::sym(name), Dim::var)))
    }
}

fn negative(x: Number) -> Result<Number, String> {
    match x {
        Number::Int(dim) => Ok(Number::Int(-dim)),
        real => of(Function::Neg, &[real]),
    }
}

/// `3`, `0.6f32`, `0.1f64`.
fn constant(text: &str) -> Option<Number> {
    if let Some(x) = text.strip_suffix("f32") {
        return Number::real(x.parse::<f32>().ok()?.into());
    }
    if let Some(x) = text.strip_suffix("f64") {
        return Number::real(x.parse().ok()?);
    }
    text.parse::<i64>().ok().map(|n| Number::Int(n.into()))
}
