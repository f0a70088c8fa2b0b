//! What the user asks for, in the driver's terms.

use std::{fmt, str::FromStr};

use super::Training;
use crate::base::names::advice;

/// How to compile a model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The prefix of the exported symbols.
    pub name: String,
    /// The signatures to serve; empty for all that can be served.
    pub signatures: Vec<String>,
    /// The outputs to compute; empty for all.
    pub outputs: Vec<String>,
    /// The extent that takes the place of every unknown leading one.
    pub batch: Option<u64>,
    pub shapes: Vec<InputShape>,
    /// The most that sizes can be that data decide.
    pub bounds: Vec<SizeBound>,
    /// The most bytes of strings that a call makes.
    pub strings: Option<Bytes>,
    /// A target triple; this machine when there is none.
    pub target: Option<String>,
    /// A processor level of the target.
    pub cpu: Option<String>,
    /// Convolutions multiply what their definition does: infinities stay infinities.
    pub direct: bool,
    /// The object is to become a shared library, which others know by this name.
    pub shared: Option<String>,
    /// The weights are in a file of their own, which the caller binds.
    pub weights_apart: bool,
    /// The training step and evaluation to make beside the signatures.
    pub training: Option<Training>,
    /// What to keep of the stages between, for people to read.
    pub dumps: Vec<Dump>,
    /// Whether the result keeps the graphs as imported, for comparisons.
    pub keep_imported: bool,
}

/// The shape that the user gives an input: numbers fix extents, `?` leaves one free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// The input's key in the signature.
    pub input: String,
    /// `None` stays free.
    pub extents: Vec<Option<u64>>,
}

/// The most that a size can be that data decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeBound {
    /// The symbol that stands for it.
    pub name: String,
    pub most: u64,
}

/// A number of bytes, such as `2M`: K, M and G are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Bytes, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "" => Some(1),
            "k" | "K" => Some(1 << 10),
            "m" | "M" => Some(1 << 20),
            "g" | "G" => Some(1 << 30),
            _ => None,
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| is_number);
        let bytes = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
        bytes.map(Bytes).ok_or_else(|| format!("`{text}` is no number of bytes, such as 500000, 512K, 2M or 1G"))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// `n=100`.
impl FromStr for SizeBound {
    type Err = String;
    fn from_str(text: &str) -> Result<SizeBound, String> {
        let (name, most) = text.split_once('=').ok_or("expected NAME=MAX, such as n=100")?;
        let most = most.trim();
        let most = most.parse().map_err(|_| format!("`{most}` is not a size: give the most that it can be"))?;
        Ok(SizeBound { name: name.trim().into(), most })
    }
}

/// `x=1,28,28`, `x=?,128` or `x=` for a scalar.
impl FromStr for InputShape {
    type Err = String;
    fn from_str(text: &str) -> Result<InputShape, String> {
        let (input, shape) = text.split_once('=').ok_or("expected NAME=SHAPE, such as x=1,28,28")?;
        let shape = shape.trim().trim_start_matches('[').trim_end_matches(']');
        let extent = |e: &str| match e.trim() {
            "?" | "-1" | "None" => Ok(None),
            "" => Err("an extent is missing: give a number, or ? to leave it free".into()),
            n => {
                n.parse().map(Some).map_err(|_| format!("`{n}` is not an extent: give a number, or ? to leave it free"))
            }
        };
        let extents = match shape.trim() {
            "" => vec![],
            list => list.split(',').map(extent).collect::<Result<_, _>>()?,
        };
        Ok(InputShape { input: input.trim().into(), extents })
    }
}

/// `x=1,?,28`.
impl fmt::Display for InputShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extents: Vec<_> = self.extents.iter().map(|e| e.map_or("?".into(), |n| n.to_string())).collect();
        write!(f, "{}={}", self.input, extents.join(","))
    }
}

/// A stage's result in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dump {
    /// The graph as imported.
    Graph,
    /// The graph after all passes.
    Opt,
    /// Buffers, their places and the kernels' order.
    Plan,
    /// The kernels in the loop IR.
    Loops,
    /// What the exported functions do around the kernels.
    Entry,
    /// The kernels in the code generator's IR.
    Clif,
    /// The machine code, disassembled.
    Asm,
    /// The graph for Graphviz.
    Dot,
}

impl Dump {
    /// Every stage with its name.
    pub const ALL: [(&'static str, Dump); 8] = [
        ("graph", Dump::Graph),
        ("opt", Dump::Opt),
        ("plan", Dump::Plan),
        ("loops", Dump::Loops),
        ("entry", Dump::Entry),
        ("clif", Dump::Clif),
        ("asm", Dump::Asm),
        ("dot", Dump::Dot),
    ];

    pub fn name(self) -> &'static str {
        Dump::ALL.iter().find(|(_, d)| *d == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for Dump {
    type Err = String;
    fn from_str(name: &str) -> Result<Dump, String> {
        let names: Vec<_> = Dump::ALL.iter().map(|(n, _)| *n).collect();
        let found = Dump::ALL.iter().find(|(n, _)| *n == name);
        found.map(|(_, d)| *d).ok_or_else(|| advice(name, "stages", &names))
    }
}

#[test]
fn shapes_are_read() {
    let shape = |text: &str| text.parse::<InputShape>().map(|s| s.extents);
    assert_eq!(shape("x=1,?,28"), Ok(vec![Some(1), None, Some(28)]));
    assert_eq!(shape("x="), Ok(vec![]));
    assert!(shape("x=a").is_err());
    assert!(shape("x").is_err());
}
