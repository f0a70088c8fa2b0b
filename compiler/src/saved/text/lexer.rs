//! Words, numbers, quoted texts and symbols of the text form.

use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub enum Token<'t> {
    Word(&'t str),
    Number(&'t str),
    /// A quoted text with its escapes replaced.
    Text(Vec<u8>),
    Symbol(char),
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(w) | Token::Number(w) => write!(f, "`{w}`"),
            Token::Text(_) => f.write_str("a text"),
            Token::Symbol(c) => write!(f, "`{c}`"),
        }
    }
}

impl Token<'_> {
    /// The value of a decimal, hexadecimal or octal number.
    pub fn integer(&self) -> Option<i128> {
        let Token::Number(text) = self else { return None };
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => i128::from_str_radix(digits, 16),
            None if text.len() > 1 && text.starts_with('0') => i128::from_str_radix(text, 8),
            None => text.parse(),
        };
        parsed.ok().filter(|n| *n <= u64::MAX.into())
    }
    pub fn float(&self) -> Option<f64> {
        match self {
            Token::Word(word) => match &word.to_ascii_lowercase()[..] {
                "inf" | "infinity" => Some(f64::INFINITY),
                "nan" => Some(f64::NAN),
                _ => None,
            },
            Token::Number(text) => {
                let plain = text.strip_suffix(['f', 'F']).filter(|t| !t.starts_with("0x")).unwrap_or(text);
                plain.parse().ok().or_else(|| self.integer().map(|n| n as f64))
            }
            _ => None,
        }
    }
    pub fn truth(&self) -> Option<bool> {
        match self {
            Token::Word("true" | "True" | "t") | Token::Number("1") => Some(true),
            Token::Word("false" | "False" | "f") | Token::Number("0") => Some(false),
            _ => None,
        }
    }
}

pub struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t [u8]) -> Lexer<'t> {
        Lexer { text, at: 0 }
    }

    /// The line that was reached, from 1.
    pub fn line(&self) -> usize {
        1 + self.text[..self.at].iter().filter(|b| **b == b'\n').count()
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b'#' => {
                    while self.text.get(self.at).is_some_and(|b| *b != b'\n') {
                        self.at += 1
                    }
                }
                b if b.is_ascii_whitespace() => self.at += 1,
                b => return Some(*b),
            }
        }
    }

    fn run(&mut self, accept: impl Fn(u8) -> bool) -> &'t str {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|b| accept(*b)) {
            self.at += 1;
        }
        std::str::from_utf8(&self.text[start..self.at]).expect("only ASCII is accepted")
    }

    /// The next token, or `None` at the end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Token<'t>>, String> {
        let Some(first) = self.peek() else { return Ok(None) };
        let token = match first {
            b'"' | b'\'' => Token::Text(self.quoted()?),
            b if b.is_ascii_alphabetic() || b == b'_' => {
                Token::Word(self.run(|b| b.is_ascii_alphanumeric() || b == b'_'))
            }
            b if b.is_ascii_digit() || b == b'.' => Token::Number(self.number()),
            b if b.is_ascii_punctuation() => {
                self.at += 1;
                Token::Symbol(b.into())
            }
            b => return Err(format!("unexpected byte {b:#04x}")),
        };
        Ok(Some(token))
    }

    fn number(&mut self) -> &'t str {
        let start = self.at;
        self.run(|b| b.is_ascii_alphanumeric() || b == b'.');
        let is_hex = self.text[start..].starts_with(b"0x") || self.text[start..].starts_with(b"0X");
        // A sign belongs to the number behind an exponent only.
        if !is_hex
            && matches!(self.text[self.at - 1], b'e' | b'E')
            && matches!(self.text.get(self.at), Some(b'+' | b'-'))
        {
            self.at += 1;
            self.run(|b| b.is_ascii_alphanumeric());
        }
        std::str::from_utf8(&self.text[start..self.at]).expect("only ASCII is accepted")
    }

    /// Steps over a symbol if it is next.
    pub fn accept(&mut self, symbol: char) -> Result<bool, String> {
        let found = self.peek().is_some_and(|b| char::from(b) == symbol);
        self.at += usize::from(found);
        Ok(found)
    }

    /// The text that is next, if one is.
    pub fn accept_text(&mut self) -> Result<Option<Vec<u8>>, String> {
        if matches!(self.peek(), Some(b'"' | b'\'')) { self.quoted().map(Some) } else { Ok(None) }
    }

    /// What stands before the next closing bracket, which is stepped over.
    pub fn until_bracket(&mut self) -> Result<String, String> {
        let name = self.run(|b| b.is_ascii_alphanumeric() || b"._/-%: ".contains(&b)).trim().to_string();
        if self.accept(']')? { Ok(name) } else { Err("a closing bracket is missing".into()) }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, String> {
        let quote = self.text[self.at];
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = *self.text.get(self.at).filter(|b| **b != b'\n').ok_or("a text does not end")?;
            self.at += 1;
            match byte {
                b'\\' => self.escape(&mut out)?,
                b if b == quote => return Ok(out),
                b => out.push(b),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let byte = *self.text.get(self.at).ok_or("a text does not end")?;
        self.at += 1;
        out.push(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'\\' | b'\'' | b'"' | b'?' => byte,
            b'0'..=b'7' => {
                self.at -= 1;
                self.digits(8, 3)? as u8
            }
            b'x' | b'X' => self.digits(16, 2)? as u8,
            b'u' | b'U' => {
                let code = self.digits(16, if byte == b'u' { 4 } else { 8 })?;
                let char = char::from_u32(code).ok_or("an escape is not a character")?;
                out.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(format!("unknown escape \\{}", byte.escape_ascii())),
        });
        Ok(())
    }

    /// The number of up to `most` digits.
    fn digits(&mut self, radix: u32, most: usize) -> Result<u32, String> {
        let mut value = 0u32;
        let mut count = 0;
        while count < most
            && let Some(digit) = self.text.get(self.at).and_then(|b| char::from(*b).to_digit(radix))
        {
            value = value.wrapping_mul(radix) | digit;
            (count, self.at) = (count + 1, self.at + 1);
        }
        if count > 0 { Ok(value) } else { Err("an escape lacks its digits".into()) }
    }
}
