//! Strings, and what looks into them.

use super::{
    grow::{Grower, NUMERIC, scalar},
    *,
};
use crate::{
    op::{
        Broadcast, Case, Decoding, Fill, Find, Kind, Malformed, Perfect, Plan, Reshape, Splitting, TextCase, TextCodes,
        TextCount, TextDecode, TextFloat, TextHash, TextHashing, TextInt, TextJoin, TextLength, TextMatches,
        TextNumber, TextPart, TextPlace, TextRaw, TextReplace, TextSplit, TextStrip, TextTrail, TextUnit,
    },
    tensor::{DType, Scalar, Shape, concrete},
};

/// A tensor of strings, of which some are equal and some are long.
pub fn strings(rng: &mut Rng, shape: Vec<usize>) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_strings(shape, (0..count).map(|_| string(rng)).collect())
}

fn string(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.below(20) {
        0 => rng.below(200),
        1 => rng.below(70),
        2..=5 => rng.below(20),
        _ => rng.below(4),
    };
    let letters = ["a", "b", " ", "\0", "\u{fc}", "\u{20ac}", "\u{10348}"];
    let mut all: Vec<u8> = (0..length).flat_map(|_| rng.pick(&letters).bytes()).collect();
    if rng.once_in(10) {
        // What is no UTF-8.
        let at = rng.below(all.len() + 1);
        all.insert(at, rng.pick(&[0xff, 0x80, 0xe0, 0xf0, 0xc3, 0xed]));
    }
    all
}

impl Grower {
    /// An input or a constant.
    pub(super) fn strings(&mut self, shape: Shape) -> NodeId {
        let out = concrete(&shape, &self.case.bind).expect("symbols are bound");
        if shape.iter().any(|dim| self.case.graph.is_found(dim)) {
            // Callers cannot give what has extents that the graph finds.
            let one = strings(&mut self.rng, vec![1; shape.len()]);
            let all = vec![one.strings()[0].clone(); out.iter().product()];
            let one = self.known(one);
            if shape.iter().all(|n| n.is(1)) {
                return one;
            }
            let op = Broadcast::new(&vec![Dim::one(); shape.len()], &shape, self.case.graph.facts());
            self.values.push(Tensor::from_strings(out, all));
            return self.case.graph.add(op, &[one]).expect("one element is repeated");
        }
        let value = strings(&mut self.rng, out);
        if shape.iter().all(|d| d.as_int().is_some()) && self.rng.once_in(2) {
            return self.known(value);
        }
        self.values.push(value.clone());
        let name = format!("x{}", self.case.inputs.len());
        self.case.inputs.push(value);
        self.case.graph.input(name, TensorType::new(DType::Str, shape))
    }
    pub(super) fn text(&mut self, kind: Kind) -> Option<NodeId> {
        if kind == Kind::TextNumber {
            return self.number();
        }
        let x = self.operand(&[DType::Str], 0);
        match kind {
            Kind::TextLength => {
                let unit = self.rng.pick(&[TextUnit::Bytes, TextUnit::Chars]);
                self.add(TextLength { unit }, &[x])
            }
            Kind::TextHash => {
                let (a, b) = (self.rng.bits(), self.rng.bits());
                let hash = self.rng.pick(&[TextHashing::Farm, TextHashing::Sip(a, b), TextHashing::Murmur]);
                self.add(TextHash { hash }, &[x])
            }
            Kind::TextPart => {
                let shape = self.shape(x);
                let [start, bytes] = [(); 2]
                    .map(|()| self.leaf_of(DType::I64, shape.clone(), |g, d| Scalar::from_i64(d, g.rng.range(0, 2))));
                self.add(TextPart {}, &[x, start, bytes])
            }
            Kind::TextStrip => self.add(TextStrip {}, &[x]),
            Kind::TextCase => {
                let to = self.rng.pick(&[Case::Lower, Case::Upper]);
                self.add(TextCase { to }, &[x])
            }
            Kind::TextJoin => {
                let flat = self.add(Reshape { shape: vec![self.case.graph.ty(x).count()] }, &[x])?;
                let separator = self.strings(vec![]);
                let shape = vec![Dim::from(self.rng.below(4))];
                // A range that ends before it begins, or behind the strings, is a fault now and then.
                let [start, end] = [(0, 1), (1, 4)].map(|(low, high)| {
                    self.leaf_of(DType::I64, shape.clone(), |g, d| Scalar::from_i64(d, g.rng.range(low, high)))
                });
                self.add(TextJoin {}, &[flat, start, end, separator])
            }
            _ => self.find(),
        }
    }
    /// The tokens of strings, or how many there are.
    pub(super) fn split(&mut self, kind: Kind) -> Option<NodeId> {
        let x = self.operand(&[DType::Str], 0);
        let limit = self.rng.once_in(2).then(|| self.rng.range(1, 3));
        let separators = ["a", " ", "aa", "ab", "\0", "b\u{20ac}"];
        let by = match self.rng.below(5) {
            0 => Splitting::Spaces { limit },
            1 => Splitting::Separator { bytes: self.rng.pick(&separators).into(), limit },
            2 => {
                let set = (0..self.rng.below(4)).flat_map(|_| self.rng.pick(&separators).bytes()).collect();
                Splitting::Bytes { set, skip_empty: self.rng.once_in(2) }
            }
            3 => Splitting::Chars,
            _ => Splitting::Each,
        };
        if kind == Kind::TextCount {
            return self.add(TextCount { by }, &[x]);
        }
        let count = self.dim();
        self.add(TextSplit { by, count }, &[x])
    }
    /// Characters of strings, or numbers in them.
    pub(super) fn looked_into(&mut self, kind: Kind) -> Option<NodeId> {
        let x = self.operand(&[DType::Str], 0);
        if kind == Kind::TextPlace {
            let shape = self.shape(x);
            let which = self.leaf_of(DType::I64, shape, |g, d| Scalar::from_i64(d, g.rng.range(-1, 5)));
            return self.add(TextPlace {}, &[x, which]);
        }
        let to = self.rng.pick(&[&NUMERIC[..], &[DType::Bool]].concat());
        let (count, big) = (self.dim(), self.rng.once_in(2));
        // Strings of one length are rare, but for no strings and empty ones.
        let padded = !self.rng.once_in(4);
        self.add(TextRaw { to, count, big, padded }, &[x])
    }
    /// Numbers of strings that spell them.
    pub(super) fn spelled(&mut self, kind: Kind) -> Option<NodeId> {
        if kind == Kind::TextFloat {
            return self.spelled_floats();
        }
        let to = self.rng.pick(&NUMERIC[..8]);
        let (space, sign) = (["", " ", "\t\n"], ["", "+", "-"]);
        let count = self.rng.below(6);
        let spell = |_| {
            let number = scalar(&mut self.rng, to).as_i64().unwrap_or(7).unsigned_abs();
            let [before, behind] = [(); 2].map(|()| self.rng.pick(&space));
            format!("{before}{}0{number}{behind}", self.rng.pick(&sign)).into_bytes()
        };
        let strings = (0..count).map(spell).collect();
        let x = self.known(Tensor::from_strings([count], strings));
        self.add(TextInt { to }, &[x])
    }
    fn spelled_floats(&mut self) -> Option<NodeId> {
        let to = self.rng.pick(&[DType::F32, DType::F64]);
        let count = self.rng.below(6);
        let spell = |_| {
            let digits = |rng: &mut Rng, most: usize| -> String {
                (0..rng.below(most)).map(|_| char::from(b'0' + rng.below(10) as u8)).collect()
            };
            let rng = &mut self.rng;
            let hex = rng.once_in(8);
            let text = match rng.below(10) {
                0 => rng.pick(&["inf", "-Infinity", " nan ", "0", "-0.0", "0x.8", "1e400", "4.9e-324"]).into(),
                1 => f64::from_bits(rng.bits()).to_string(),
                2 => format!("{:e}", f32::from_bits(rng.bits() as u32)),
                3 => format!("{:e}", f64::from(f32::from_bits(rng.bits() as u32)) * 1.5),
                _ => {
                    let (before, behind) = (digits(rng, 24), digits(rng, 12));
                    let power = rng.range(-30, 30) * if rng.once_in(3) { 11 } else { 1 };
                    format!("{}{before}0.{behind}{}{power}", if hex { "0x" } else { "" }, if hex { 'p' } else { 'e' })
                }
            };
            text.into_bytes()
        };
        let strings = (0..count).map(spell).collect();
        let x = self.known(Tensor::from_strings([count], strings));
        let [states, powers] = TextFloat::tables().map(|table| self.known(table));
        self.add(TextFloat { to }, &[x, states, powers])
    }
    /// Whether a regular expression matches.
    pub(super) fn matches(&mut self) -> Option<NodeId> {
        let x = self.operand(&[DType::Str], 0);
        let op = TextMatches { pattern: self.pattern() };
        let [classes, transitions] = op.tables().ok()?.map(|table| self.known(table));
        self.add(op, &[x, classes, transitions])
    }
    /// Replaces what a regular expression matches, or reads strings for that.
    pub(super) fn replace(&mut self, kind: Kind) -> Option<NodeId> {
        let x = self.operand(&[DType::Str], 0);
        let rewrite = self.rng.pick(&["", "-", "<\\0>", "a long one", "\\0\\\\\\0", "x\\y", "\\1."]);
        let (pattern, all) = (self.pattern(), !self.rng.once_in(4));
        let Plan { op, trail, tables } = TextReplace::plan(pattern, rewrite.into(), all).ok()??;
        let trail = match trail {
            None => x,
            Some(tables) => {
                let [classes, next] = tables.map(|table| self.known(table));
                let TextReplace { trail, first, classes: count, .. } = op;
                self.add(TextTrail { trail, first, classes: count }, &[x, classes, next])?
            }
        };
        if kind == Kind::TextTrail {
            return Some(trail);
        }
        let tables = tables.map(|table| self.known(table));
        self.add(op, &[&[x, trail], &tables[..]].concat())
    }
    /// A regular expression.
    fn pattern(&mut self) -> String {
        let one = |g: &mut Grower| {
            let part =
                g.rng.pick(&["a", "b", ".", "\\s", "[^b]", "\u{fc}", "\\w", "(a|)", "^", "$", "\\b", "\\C", "(?s:.)"]);
            let times = g.rng.pick(&["", "", "*", "+", "?", "*?", "{2}"]);
            format!("(?:{part}){times}")
        };
        let parts: Vec<String> = (0..self.rng.below(4)).map(|_| one(self)).collect();
        parts.join(self.rng.pick(&["", "", "|"]))
    }
    fn number(&mut self) -> Option<NodeId> {
        let x = self.operand(&NUMERIC, 0);
        let decimals = if self.ty(x).dtype.is_float() { self.rng.below(9) as u32 } else { 0 };
        let fill = self.rng.pick(&[Fill::Space, Fill::Plus, Fill::Blank, Fill::Zero, Fill::Behind]);
        let width = if self.rng.once_in(2) { 0 } else { self.rng.below(30) as u32 };
        self.add(TextNumber { width, fill, decimals }, &[x])
    }
    /// The code points of strings, or how many there are.
    pub(super) fn decoded(&mut self, kind: Kind) -> Option<NodeId> {
        let x = self.operand(&[DType::Str], 0);
        let malformed = self.rng.pick(&[Malformed::Replace(0xfffd), Malformed::Ignore, Malformed::Fault]);
        let control = self.rng.once_in(3).then_some(63);
        let by = Decoding { malformed, control };
        if kind == Kind::TextCodes {
            return self.add(TextCodes { by }, &[x]);
        }
        let (count, places) = (self.dim(), self.rng.once_in(2));
        self.add(TextDecode { by, count, places }, &[x])
    }
    fn find(&mut self) -> Option<NodeId> {
        let x = self.operand(&[&NUMERIC[..8], &[DType::Str]].concat(), 0);
        let (dtype, count) = (self.ty(x).dtype, self.rng.below(12));
        let keys = tensor(&mut self.rng, &TensorType::new(dtype, [count.into()]), &Bindings::new());
        // Keys that occur twice are no keys.
        let Perfect { op: Find { seed }, displacements, slots } = Perfect::new(&keys).ok()?;
        let [keys, displacements, slots] = [keys, displacements, slots].map(|part| self.known(part));
        self.add(Find { seed }, &[x, keys, displacements, slots])
    }
}
