//! Tensors written on the command line: numbers, booleans, strings, and lists of them, as JSON, Python and numpy write them.
//!
//! `1`, `[[1, 2.5], [3, -inf]]`, `[True, false]`, `["a", 'b']`. All lists on a level have one length.

use smc::tensor::{DType, Scalar, Tensor};

/// One element.
#[derive(Clone, Debug, PartialEq)]
enum Element {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
}

/// A tensor without a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    pub shape: Vec<usize>,
    elements: Vec<Element>,
}

/// Lists in lists in lists: no tensor has more axes.
const MAX_RANK: usize = 32;

impl std::str::FromStr for Literal {
    type Err = String;
    fn from_str(text: &str) -> Result<Literal, String> {
        let mut reader = Reader { rest: text.trim(), literal: Literal { shape: vec![], elements: vec![] } };
        let shape = reader.value(0)?;
        if !reader.rest.is_empty() {
            return Err(format!("nothing is expected after the value, but there is `{}`", start(reader.rest)));
        }
        Ok(Literal { shape, ..reader.literal })
    }
}

impl Literal {
    /// The tensor of a type; the error names the element that it cannot hold.
    pub fn tensor(&self, dtype: DType) -> Result<Tensor, String> {
        if dtype == DType::Str {
            let text = |e: &Element| match e {
                Element::Text(text) => Ok(text.clone().into_bytes()),
                other => Err(format!("{other} is not a string: write it in quotes")),
            };
            let strings = self.elements.iter().map(text).collect::<Result<_, _>>()?;
            return Ok(Tensor::from_strings(self.shape.clone(), strings));
        }
        let scalars = self.elements.iter().map(|e| e.scalar(dtype)).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::from_scalars(dtype, self.shape.clone(), scalars))
    }
}

impl Element {
    fn scalar(&self, dtype: DType) -> Result<Scalar, String> {
        let no = || format!("{self} is not a value of {dtype}");
        match self {
            Element::Bool(b) if dtype == DType::Bool => Ok(Scalar::Bool(*b)),
            Element::Int(n @ 0..=1) if dtype == DType::Bool => Ok(Scalar::Bool(*n == 1)),
            Element::Int(n) if dtype.is_int() => {
                let (least, greatest) = dtype.int_range().ok_or_else(no)?;
                let fits = *n >= least && *n <= greatest;
                let scalar = if dtype.is_signed_int() { Scalar::Int(*n as i64) } else { Scalar::Uint(*n as u64) };
                if fits { Ok(scalar) } else { Err(no()) }
            }
            Element::Int(n) if dtype.is_float() => Ok(Scalar::from_f64(dtype, *n as f64)),
            Element::Float(x) if dtype.is_float() => Ok(Scalar::from_f64(dtype, *x)),
            _ => Err(no()),
        }
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Element::Bool(b) => write!(f, "{b}"),
            Element::Int(n) => write!(f, "{n}"),
            Element::Float(x) => write!(f, "{x}"),
            Element::Text(text) => write!(f, "{text:?}"),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    literal: Literal,
}

impl Reader<'_> {
    /// Takes a token that stands next.
    fn takes(&mut self, token: char) -> bool {
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest).trim_start();
        found.is_some()
    }
    /// Reads a list or an element; returns its shape.
    fn value(&mut self, depth: usize) -> Result<Vec<usize>, String> {
        let close = match self.rest.chars().next() {
            Some('[') => ']',
            Some('(') => ')',
            _ => return self.element().map(|()| vec![]),
        };
        if depth == MAX_RANK {
            return Err(format!("no tensor has more than {MAX_RANK} axes"));
        }
        self.rest = self.rest[1..].trim_start();
        let (mut count, mut inner) = (0, None);
        while !self.takes(close) {
            let shape = self.value(depth + 1)?;
            if *inner.get_or_insert(shape.clone()) != shape {
                return Err("the lists have different lengths".into());
            }
            count += 1;
            if !self.takes(',') && !self.rest.starts_with(close) {
                return Err(match self.rest {
                    "" => format!("a `{close}` is missing"),
                    rest => format!("expected `,` or `{close}` before `{}`", start(rest)),
                });
            }
        }
        Ok([vec![count], inner.unwrap_or_default()].concat())
    }
    fn element(&mut self) -> Result<(), String> {
        if let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            return self.text(quote);
        }
        let end = self.rest.find([',', ']', ')']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let element = match word.trim() {
            "" => return Err("a value is missing".into()),
            "true" | "True" => Element::Bool(true),
            "false" | "False" => Element::Bool(false),
            word => match word.strip_prefix("np.").unwrap_or(word).parse::<i128>() {
                Ok(n) => Element::Int(n),
                // `nan`, `inf`, `-Infinity` and `1e-3` are floats of Rust too.
                Err(_) => Element::Float(word.replace("np.", "").parse().map_err(|_| unknown(word))?),
            },
        };
        self.literal.elements.push(element);
        self.rest = rest;
        Ok(())
    }
    fn text(&mut self, quote: char) -> Result<(), String> {
        let (mut text, mut chars) = (String::new(), self.rest.char_indices().skip(1));
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.literal.elements.push(Element::Text(text));
                    self.rest = self.rest[at + 1..].trim_start();
                    return Ok(());
                }
                '\\' => text.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, c @ ('\\' | '"' | '\''))) => c,
                    _ => return Err("a backslash stands before n, t, a quote or a backslash".into()),
                }),
                c => text.push(c),
            }
        }
        Err(format!("a {quote} is missing at the end of a string"))
    }
}

fn unknown(word: &str) -> String {
    format!("`{}` is no number, boolean or string in quotes", start(word))
}

/// The first characters.
fn start(text: &str) -> String {
    text.chars().take(20).collect()
}

#[test]
fn literals_are_read() {
    let read = |text: &str| text.parse::<Literal>();
    let floats = |text: &str| read(text).and_then(|l| l.tensor(DType::F32));
    assert_eq!(floats("[[1, 2.5], (3,-4e-1,)]"), Ok(Tensor::from_f32([2, 2], &[1.0, 2.5, 3.0, -0.4])));
    assert_eq!(floats(" 7 "), Ok(Tensor::from_f32([], &[7.0])));
    assert_eq!(floats("[-inf, np.inf]"), Ok(Tensor::from_f32([2], &[f32::NEG_INFINITY, f32::INFINITY])));
    assert!(floats("[nan]").unwrap().get(0).as_f64().unwrap().is_nan());
    assert_eq!(floats("[[],[]]").unwrap().shape, [2, 0]);
    assert_eq!(floats("[]").unwrap().shape, [0]);
    let of = |text: &str, dtype| read(text).and_then(|l| l.tensor(dtype));
    assert_eq!(of("[9007199254740993]", DType::I64).unwrap().get(0), Scalar::Int(9007199254740993));
    assert_eq!(of("[True,false,1]", DType::Bool).unwrap().count(), 3);
    assert_eq!(of(r#"["a,]", 'b\'']"#, DType::Str).unwrap().strings(), [b"a,]".to_vec(), b"b'".to_vec()]);
    for (text, dtype, message) in [
        ("[1,[2]]", DType::F32, "different lengths"),
        ("[[1,2],[3]]", DType::F32, "different lengths"),
        ("[1", DType::F32, "a `]` is missing"),
        ("[1] 2", DType::F32, "after the value"),
        ("[1 2]", DType::F32, "`1 2` is no number"),
        ("", DType::F32, "a value is missing"),
        ("[1,,2]", DType::F32, "a value is missing"),
        ("[abc]", DType::F32, "in quotes"),
        ("[256]", DType::U8, "256 is not a value of u8"),
        ("[1.5]", DType::I32, "1.5 is not a value of i32"),
        ("[1]", DType::Str, "write it in quotes"),
        ("['a", DType::Str, "missing at the end of a string"),
        (&"[".repeat(99), DType::F32, "axes"),
    ] {
        let e = of(text, dtype).unwrap_err();
        assert!(e.contains(message), "{text}: {e}");
    }
}
