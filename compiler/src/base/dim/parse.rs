//! Reads the textual form of dims: sums, products, parentheses, `floor(a,b)`, `max(a,b)`, `min(a,b)`,
//! `broadcast(a,b,..)`.

use std::str::FromStr;

use super::Dim;

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
        let dim = parser.sum(0)?;
        if parser.rest.is_empty() { Ok(dim) } else { Err(format!("unexpected `{}` in `{text}`", parser.rest)) }
    }
}

struct Parser<'a> {
    rest: &'a str,
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
    fn sum(&mut self, depth: usize) -> Result<Dim, String> {
        if depth > MAX_DEPTH {
            return Err("an expression is nested too deeply".into());
        }
        let mut sum = if self.eat('-') { -self.product(depth)? } else { self.product(depth)? };
        loop {
            if self.eat('+') {
                sum = sum + self.product(depth)?;
            } else if self.eat('-') {
                sum = sum - self.product(depth)?;
            } else {
                return Ok(sum);
            }
        }
    }
    fn product(&mut self, depth: usize) -> Result<Dim, String> {
        let mut product = self.factor(depth)?;
        while self.eat('*') {
            product = product * self.factor(depth)?;
        }
        Ok(product)
    }
    fn factor(&mut self, depth: usize) -> Result<Dim, String> {
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
            return name.parse::<i64>().map(Dim::from).map_err(|_| format!("`{name}` is not a number"));
        }
        if matches!(name, "floor" | "max" | "min") && self.eat('(') {
            let a = self.sum(depth + 1)?;
            self.expect(',')?;
            let b = self.sum(depth + 1)?;
            self.expect(')')?;
            return Ok(match name {
                "floor" => a.floor_div(&b),
                "max" => a.at_least(&b),
                _ => a.at_most(&b),
            });
        }
        if name == "broadcast" && self.eat('(') {
            let mut extents = vec![self.sum(depth + 1)?];
            while self.eat(',') {
                extents.push(self.sum(depth + 1)?);
            }
            self.expect(')')?;
            return Ok(Dim::broadcast(&extents));
        }
        let variable = name.strip_prefix('i').and_then(|n| n.parse().ok());
        Ok(variable.map_or_else(|| Dim::sym(name), Dim::var))
    }
}
