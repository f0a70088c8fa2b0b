//! Where tokens of a string begin and end.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    super::*,
    strip::{emit_space, is_space},
};
use crate::{
    loops::{BinaryFn, Bound, CompareFn, LocalId, UnaryFn},
    tensor::{DType, Scalar},
};

/// How strings fall into tokens. Each is a part of its string.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Splitting {
    /// What is between white space, as [`super::TextStrip`] has it. With a limit, 1 at least, all that follows so many tokens
    /// and the white space behind them is one more, which may be empty.
    Spaces { limit: Option<i64> },
    /// What is between the places where the separator stands, which is not empty; these do not overlap, and the first one
    /// counts. With a limit, 1 at least, so many places count.
    Separator { bytes: Vec<u8>, limit: Option<i64> },
    /// What is between any of these bytes; an empty string has no token.
    Bytes { set: Vec<u8>, skip_empty: bool },
    /// Each byte by itself.
    Each,
    /// Each character of UTF-8: a byte and those behind it that continue one, which are of the bits 10 in front.
    Chars,
}

/// Separators of more bytes are not compared in the code.
pub const MAX_SEPARATOR: usize = 64;

impl Splitting {
    /// Refuses what would have no meaning.
    pub fn check(&self) -> Infer<()> {
        match self {
            Splitting::Spaces { limit: Some(limit) } | Splitting::Separator { limit: Some(limit), .. }
                if *limit < 1 =>
            {
                Err(format!("{limit} is no limit"))
            }
            Splitting::Separator { bytes, .. } if bytes.is_empty() || bytes.len() > MAX_SEPARATOR => {
                Err(format!("a separator has 1 to {MAX_SEPARATOR} bytes, not {}", bytes.len()))
            }
            _ => Ok(()),
        }
    }
    /// The tokens of a string, by their places.
    pub fn tokens(&self, s: &[u8]) -> Vec<Range<usize>> {
        match self {
            Splitting::Spaces { limit } => {
                let next =
                    |from: usize, space: bool| (from..s.len()).find(|&n| is_space(s[n]) == space).unwrap_or(s.len());
                let (mut tokens, mut at) = (vec![], next(0, false));
                while at < s.len() && limit.is_none_or(|limit| (tokens.len() as i64) < limit) {
                    let end = next(at, true);
                    tokens.push(at..end);
                    at = next(end, false);
                }
                tokens.extend((*limit == Some(tokens.len() as i64)).then_some(at..s.len()));
                tokens
            }
            Splitting::Separator { bytes, limit } => {
                let (mut tokens, mut at) = (vec![], 0);
                while limit.is_none_or(|limit| (tokens.len() as i64) < limit) {
                    let Some(n) = s[at..].windows(bytes.len()).position(|part| part == bytes) else { break };
                    tokens.push(at..at + n);
                    at += n + bytes.len();
                }
                tokens.push(at..s.len());
                tokens
            }
            Splitting::Bytes { .. } if s.is_empty() => vec![],
            Splitting::Bytes { set, skip_empty } => {
                let ends = (0..=s.len()).filter(|&n| s.get(n).is_none_or(|byte| set.contains(byte)));
                let mut at = 0;
                let all = ends.map(|end| std::mem::replace(&mut at, end + 1)..end);
                all.filter(|token| !(*skip_empty && token.is_empty())).collect()
            }
            Splitting::Each => (0..s.len()).map(|n| n..n + 1).collect(),
            Splitting::Chars => {
                let end = |n: usize| (n + 1..s.len()).find(|&n| s[n] & 0xc0 != 0x80).unwrap_or(s.len());
                let starts = (0..s.len()).filter(|&n| n == 0 || s[n] & 0xc0 != 0x80);
                starts.map(|n| n..end(n)).collect()
            }
        }
    }
    /// Code that goes through the string `x`, which is in a variable: `each(at, holds, begin, end)` is written where a token
    /// may end, in order, and there is one where `holds`.
    pub fn emit(&self, at: &mut Emit<'_>, x: ExprId, mut each: impl FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId)) {
        let length = at.w.length(x);
        let length = at.w.set(length);
        let extent = at.w.set_index(length, None);
        match self {
            Splitting::Spaces { limit } => emit_spaces(at, x, (length, extent), *limit, each),
            Splitting::Separator { bytes, limit } => emit_separator(at, x, length, (bytes, *limit), each),
            Splitting::Bytes { set, skip_empty } => emit_bytes(at, x, (length, extent), (set, *skip_empty), each),
            Splitting::Each => at.each(&extent, LoopKind::Seq, |at, n| {
                let always = at.w.constant(DType::Bool, Scalar::Bool(true));
                let (begin, end) = (at.w.index(n.clone()), at.w.index(n + 1));
                each(at, always, begin, end);
            }),
            Splitting::Chars => emit_chars(at, x, (length, extent), each),
        }
    }
}

/// The tokens so far where there is a limit.
struct Limit {
    limit: i64,
    tokens: LocalId,
}

impl Limit {
    fn new(at: &mut Emit<'_>, limit: i64) -> Limit {
        let tokens = at.w.local(DType::I64, []);
        let zero = at.w.int(DType::I64, 0);
        at.w.assign(tokens, &[], zero);
        Limit { limit, tokens }
    }
    /// Whether there may be another token.
    fn leaves(&self, at: &mut Emit<'_>) -> ExprId {
        let (tokens, limit) = (at.w.read(self.tokens, &[]), at.w.int(DType::I64, self.limit));
        at.w.compare(CompareFn::Lt, tokens, limit)
    }
    /// One more where it holds.
    fn count(&self, at: &mut Emit<'_>, holds: ExprId) {
        let one = at.w.cast(DType::I64, holds);
        at.w.accumulate(self.tokens, &[], BinaryFn::Add, one);
    }
}

type Each<'a> = dyn FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId) + 'a;

fn emit_spaces(
    at: &mut Emit<'_>,
    x: ExprId,
    (length, extent): (ExprId, Dim),
    limit: Option<i64>,
    mut each: impl FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId),
) {
    let each: &mut Each<'_> = &mut each;
    // Where the present token begins, or -1 outside of tokens.
    let begin = at.w.local(DType::I64, []);
    let (none, zero) = (at.w.int(DType::I64, -1), at.w.int(DType::I64, 0));
    at.w.assign(begin, &[], none);
    let limit = limit.map(|limit| Limit::new(at, limit));
    let ended = |at: &mut Emit<'_>, inside: ExprId| match &limit {
        Some(limit) => {
            let leaves = limit.leaves(at);
            at.w.binary(BinaryFn::And, inside, leaves)
        }
        None => inside,
    };
    at.each(&extent, LoopKind::Seq, |at, n| {
        let here = at.w.index(n.clone());
        let byte = at.w.byte(x, here);
        let byte = at.w.set(byte);
        let space = emit_space(at, byte);
        let space = at.w.set(space);
        let from = at.w.read(begin, &[]);
        let from = at.w.set(from);
        let inside = at.w.compare(CompareFn::Ge, from, zero);
        let inside = at.w.set(inside);
        let ends = at.w.binary(BinaryFn::And, inside, space);
        let ends = ended(at, ends);
        let ends = at.w.set(ends);
        each(at, ends, from, here);
        if let Some(limit) = &limit {
            limit.count(at, ends);
        }
        let either = at.w.binary(BinaryFn::Or, inside, space);
        let kept = at.w.select(either, from, here);
        let next = at.w.select(ends, none, kept);
        at.w.assign(begin, &[], next);
    });
    let from = at.w.read(begin, &[]);
    let from = at.w.set(from);
    let inside = at.w.compare(CompareFn::Ge, from, zero);
    let ends = ended(at, inside);
    let ends = at.w.set(ends);
    each(at, ends, from, length);
    let Some(limit) = &limit else { return };
    limit.count(at, ends);
    // What is behind the last token that the limit allows, which begins here or where nothing is left.
    let leaves = limit.leaves(at);
    let full = at.w.unary(UnaryFn::Not, leaves);
    let full = at.w.set(full);
    let begun = at.w.compare(CompareFn::Ge, from, zero);
    let rest = at.w.select(begun, from, length);
    let rest = at.w.select(ends, length, rest);
    let rest = at.w.set(rest);
    each(at, full, rest, length);
}

fn emit_separator(
    at: &mut Emit<'_>,
    x: ExprId,
    length: ExprId,
    (bytes, limit): (&[u8], Option<i64>),
    mut each: impl FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId),
) {
    let each: &mut Each<'_> = &mut each;
    let begin = at.w.local(DType::I64, []);
    let zero = at.w.int(DType::I64, 0);
    at.w.assign(begin, &[], zero);
    let limit = limit.map(|limit| Limit::new(at, limit));
    let behind = at.w.int(DType::I64, bytes.len() as i64 - 1);
    let places = at.w.binary(BinaryFn::Sub, length, behind);
    let places = at.w.binary(BinaryFn::Max, places, zero);
    let places = at.w.set_index(places, None);
    at.each(&places, LoopKind::Seq, |at, n| {
        let here = at.w.index(n.clone());
        let from = at.w.read(begin, &[]);
        let from = at.w.set(from);
        let is = |at: &mut Emit<'_>, k: usize| {
            let place = at.w.index(n + k as i64);
            let (byte, wanted) = (at.w.byte(x, place), at.w.int(DType::U8, bytes[k].into()));
            at.w.compare(CompareFn::Eq, byte, wanted)
        };
        // A place within one that counts does not count.
        let behind = at.w.compare(CompareFn::Ge, here, from);
        let mut stands = is(at, 0);
        stands = at.w.binary(BinaryFn::And, stands, behind);
        if let Some(limit) = &limit {
            let leaves = limit.leaves(at);
            stands = at.w.binary(BinaryFn::And, stands, leaves);
        }
        if bytes.len() > 1 {
            let outside = at.w.int(DType::I64, -1);
            let begins = at.w.select(stands, zero, outside);
            let begins = at.w.set_index(begins, None);
            let bounds = vec![Bound { index: begins, extent: Dim::one() }];
            let rest = |at: &mut Emit<'_>| {
                let all: Vec<ExprId> = (1..bytes.len()).map(|k| is(at, k)).collect();
                all.into_iter().reduce(|a, b| at.w.binary(BinaryFn::And, a, b)).expect("there are several bytes")
            };
            stands = at.within(bounds, rest, |at| at.w.constant(DType::Bool, Scalar::Bool(false)));
        }
        let stands = at.w.set(stands);
        each(at, stands, from, here);
        if let Some(limit) = &limit {
            limit.count(at, stands);
        }
        let next = at.w.index(n + bytes.len() as i64);
        let next = at.w.select(stands, next, from);
        at.w.assign(begin, &[], next);
    });
    let from = at.w.read(begin, &[]);
    let from = at.w.set(from);
    let always = at.w.constant(DType::Bool, Scalar::Bool(true));
    each(at, always, from, length);
}

fn emit_bytes(
    at: &mut Emit<'_>,
    x: ExprId,
    (length, extent): (ExprId, Dim),
    (set, skip_empty): (&[u8], bool),
    mut each: impl FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId),
) {
    let each: &mut Each<'_> = &mut each;
    let begin = at.w.local(DType::I64, []);
    let zero = at.w.int(DType::I64, 0);
    at.w.assign(begin, &[], zero);
    let counts = |at: &mut Emit<'_>, holds: ExprId, from: ExprId, end: ExprId| {
        if !skip_empty {
            return at.w.set(holds);
        }
        let some = at.w.compare(CompareFn::Lt, from, end);
        let both = at.w.binary(BinaryFn::And, holds, some);
        at.w.set(both)
    };
    at.each(&extent, LoopKind::Seq, |at, n| {
        let here = at.w.index(n.clone());
        let byte = at.w.byte(x, here);
        let byte = at.w.set(byte);
        let is = emit_member(at, byte, set);
        let is = at.w.set(is);
        let from = at.w.read(begin, &[]);
        let from = at.w.set(from);
        let holds = counts(at, is, from, here);
        each(at, holds, from, here);
        let next = at.w.index(n + 1);
        let next = at.w.select(is, next, from);
        at.w.assign(begin, &[], next);
    });
    let from = at.w.read(begin, &[]);
    let from = at.w.set(from);
    let some = at.w.compare(CompareFn::Gt, length, zero);
    let holds = counts(at, some, from, length);
    each(at, holds, from, length);
}

fn emit_chars(
    at: &mut Emit<'_>,
    x: ExprId,
    (length, extent): (ExprId, Dim),
    mut each: impl FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId),
) {
    let each: &mut Each<'_> = &mut each;
    let begin = at.w.local(DType::I64, []);
    let zero = at.w.int(DType::I64, 0);
    at.w.assign(begin, &[], zero);
    at.each(&extent, LoopKind::Seq, |at, n| {
        let begins = emit_begins(at, x, n);
        let (here, from) = (at.w.index(n.clone()), at.w.read(begin, &[]));
        let from = at.w.set(from);
        let later = at.w.compare(CompareFn::Gt, here, zero);
        let ends = at.w.binary(BinaryFn::And, begins, later);
        let ends = at.w.set(ends);
        each(at, ends, from, here);
        let next = at.w.select(begins, here, from);
        at.w.assign(begin, &[], next);
    });
    let from = at.w.read(begin, &[]);
    let from = at.w.set(from);
    let some = at.w.compare(CompareFn::Gt, length, zero);
    let some = at.w.set(some);
    each(at, some, from, length);
}

/// Whether a character begins at a byte of a string.
pub fn emit_begins(at: &mut Emit<'_>, x: ExprId, n: &Dim) -> ExprId {
    let (here, zero) = (at.w.index(n.clone()), at.w.int(DType::I64, 0));
    let byte = at.w.byte(x, here);
    let (mask, inner) = (at.w.int(DType::U8, 0xc0), at.w.int(DType::U8, 0x80));
    let front = at.w.binary(BinaryFn::And, byte, mask);
    let other = at.w.compare(CompareFn::Ne, front, inner);
    let first = at.w.compare(CompareFn::Eq, here, zero);
    let begins = at.w.binary(BinaryFn::Or, other, first);
    at.w.set(begins)
}

/// Whether a byte, which is in a variable, is one of a set.
fn emit_member(at: &mut Emit<'_>, byte: ExprId, set: &[u8]) -> ExprId {
    // By a bit for each byte, four words of them.
    let mut words = [0u64; 4];
    set.iter().for_each(|&b| words[usize::from(b >> 6)] |= 1 << (b & 63));
    let six = at.w.int(DType::U8, 6);
    let which = at.w.binary(BinaryFn::Shr, byte, six);
    let which = at.w.set(which);
    let mut word = at.w.constant(DType::U64, Scalar::Uint(words[0]));
    for (n, &bits) in words.iter().enumerate().skip(1) {
        let (number, bits) = (at.w.int(DType::U8, n as i64), at.w.constant(DType::U64, Scalar::Uint(bits)));
        let is = at.w.compare(CompareFn::Eq, which, number);
        word = at.w.select(is, bits, word);
    }
    let mask = at.w.int(DType::U8, 63);
    let place = at.w.binary(BinaryFn::And, byte, mask);
    let place = at.w.cast(DType::U64, place);
    let bit = at.w.binary(BinaryFn::Shr, word, place);
    let one = at.w.int(DType::U64, 1);
    let bit = at.w.binary(BinaryFn::And, bit, one);
    at.w.compare(CompareFn::Eq, bit, one)
}
