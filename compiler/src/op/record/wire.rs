//! Code that reads messages: numbers of seven bits a byte, and walks over fields. A place is an index into a string.

use super::*;
use crate::{
    base::Dim,
    loops::{BinaryFn, Bound, CompareFn, LocalId, LoopKind},
    tensor::DType,
};

/// How many fields a round of a walk takes.
const ROUND: i64 = 8;
/// The high bits of eight bytes.
pub const HIGH: u64 = 0x8080_8080_8080_8080;
const ONES: u64 = 0x0101_0101_0101_0101;

/// Reads a string, of which bytes are asked for before any place that was compared with an end.
pub struct Wire<'a, 'b> {
    pub at: &'a mut Emit<'b>,
    pub text: ExprId,
}

impl<'b> Wire<'_, 'b> {
    pub fn words(&mut self) -> Words<'_, 'b> {
        in_words(self.at)
    }
    /// The record is broken unless this holds.
    pub fn require(&mut self, holds: ExprId) {
        self.at.w.check(holds, Fault::BrokenRecord);
    }
    /// Whether a place is before another one.
    pub fn is_before(&mut self, place: &Dim, end: &Dim) -> ExprId {
        let (place, end) = (self.at.w.index(place.clone()), self.at.w.index(end.clone()));
        self.at.w.compare(CompareFn::Lt, place, end)
    }
    /// A condition as what [`Emit::within`] takes.
    pub fn bounds(&mut self, holds: ExprId) -> Vec<Bound> {
        let [yes, no] = [0, 1].map(|n| self.at.w.int(DType::I64, n));
        let flag = self.at.w.select(holds, yes, no);
        vec![Bound { index: self.at.w.set_index(flag, None), extent: Dim::one() }]
    }
    /// The byte at a place that is in the string, as a word.
    pub fn byte(&mut self, place: &Dim) -> ExprId {
        let text = self.text;
        self.words().byte(text, place)
    }
    /// Whether the byte at a place that is in the string is this one.
    pub fn has(&mut self, place: &Dim, tag: u8) -> ExprId {
        let (byte, tag) = (self.byte(place), self.words().number(tag.into()));
        self.at.w.compare(CompareFn::Eq, byte, tag)
    }
    /// Eight bytes from a place on as a word, the first one lowest; what is not before `end` is 0.
    pub fn peek(&mut self, place: &Dim, end: &Dim) -> ExprId {
        let (text, left) = (self.text, end - place);
        self.at.within(
            vec![Bound { index: &left - 8, extent: Dim::from(1i64 << 62) }],
            |at| in_words(at).word(text, place),
            |at| {
                let tail = at.w.local(DType::U64, []);
                let zero = in_words(at).number(0);
                at.w.assign(tail, &[], zero);
                let (rest, none) = (at.w.index(left.clone()), at.w.int(DType::I64, 0));
                let rest = at.w.binary(BinaryFn::Max, rest, none);
                let rest = at.w.set_index(rest, None);
                at.each(&rest, LoopKind::Seq, |at, n| {
                    let mut words = in_words(at);
                    let byte = words.byte(text, &(place + n));
                    let bits = words.at.w.index(n * 8);
                    let bits = words.at.w.cast(DType::U64, bits);
                    let byte = words.at.w.binary(BinaryFn::Shl, byte, bits);
                    words.at.w.accumulate(tail, &[], BinaryFn::Or, byte);
                });
                at.w.read(tail, &[])
            },
        )
    }
    /// A number of ten bytes at most before `end`, and the place behind it. What is above 64 bits is lost.
    pub fn varint(&mut self, place: &Dim, end: &Dim) -> (ExprId, Dim) {
        let inside = self.is_before(place, end);
        self.require(inside);
        let value = self.at.w.local(DType::U64, []);
        let (first, limit) = (self.byte(place), self.words().number(0x80));
        let short = self.at.w.compare(CompareFn::Lt, first, limit);
        let (bounds, text) = (self.bounds(short), self.text);
        let next = self.at.within(
            bounds,
            |at| {
                at.w.assign(value, &[], first);
                at.w.index(place + 1)
            },
            |at| Wire { at, text }.long(place, end, value),
        );
        let value = self.at.w.read(value, &[]);
        let value = self.at.w.set(value);
        (value, self.at.w.set_index(next, None))
    }
    /// The same for numbers of any length: makes the value, and gives the place behind it.
    fn long(&mut self, place: &Dim, end: &Dim, value: LocalId) -> ExprId {
        let word = self.peek(place, end);
        // The bytes that end a number have no high bit.
        let mut words = self.words();
        let stops = stops(&mut words, word);
        let zero = words.number(0);
        let stopped = self.at.w.compare(CompareFn::Ne, stops, zero);
        let (bounds, text) = (self.bounds(stopped), self.text);
        let bytes = self.at.within(
            bounds,
            |at| {
                let mut words = in_words(at);
                // All bits up to that of the first stop.
                let minus = words.number(u64::MAX);
                let less = words.add(stops, minus);
                let keep = words.xor(stops, less);
                let keep = words.set(keep);
                let low = words.at.w.binary(BinaryFn::And, word, keep);
                let low = squeezed(&mut words, low);
                words.at.w.assign(value, &[], low);
                let ones = words.and(keep, ONES);
                let sum = words.times(ones, ONES);
                words.right(sum, 56)
            },
            |at| {
                let mut wire = Wire { at, text };
                let last = wire.peek(&(place + 8), end);
                let mut words = wire.words();
                let ninth = words.and(last, 0x7f);
                let ninth = words.left(ninth, 56);
                let tenth = words.right(last, 8);
                let tenth = words.and(tenth, 0xff);
                let tenth = words.set(tenth);
                let [goes_on, limit, zero] = [words.and(last, 0x80), words.number(0x80), words.number(0)];
                let nine = words.at.w.compare(CompareFn::Eq, goes_on, zero);
                let nine = words.set(nine);
                let ten = words.at.w.compare(CompareFn::Lt, tenth, limit);
                let ends = words.at.w.binary(BinaryFn::Or, nine, ten);
                words.at.w.check(ends, Fault::BrokenRecord);
                let top = words.left(tenth, 63);
                let top = words.at.w.select(nine, zero, top);
                let low = squeezed(&mut words, word);
                let high = words.at.w.binary(BinaryFn::Or, ninth, top);
                let all = words.at.w.binary(BinaryFn::Or, low, high);
                words.at.w.assign(value, &[], all);
                let [nine_bytes, ten_bytes] = [9, 10].map(|n| words.number(n));
                words.at.w.select(nine, nine_bytes, ten_bytes)
            },
        );
        let bytes = self.at.w.cast(DType::I64, bytes);
        let place = self.at.w.index(place.clone());
        let next = self.at.w.binary(BinaryFn::Add, place, bytes);
        let next = self.at.w.set(next);
        let end = self.at.w.index(end.clone());
        // Behind the end there are zeros, which end a number too.
        let inside = self.at.w.compare(CompareFn::Le, next, end);
        self.require(inside);
        next
    }
    /// A length at a place before `end`: where what has it begins, and where that ends, which is `end` at most.
    pub fn delimited(&mut self, place: &Dim, end: &Dim) -> (Dim, Dim) {
        let (length, start) = self.varint(place, end);
        let after = self.behind(&start, length, end);
        (start, after)
    }
    /// The place so many bytes, a word, behind another one; it is `end` at most.
    pub fn behind(&mut self, start: &Dim, bytes: ExprId, end: &Dim) -> Dim {
        let left = self.at.w.index(end - start);
        let left = self.at.w.cast(DType::U64, left);
        let fits = self.at.w.compare(CompareFn::Le, bytes, left);
        self.require(fits);
        let bytes = self.at.w.cast(DType::I64, bytes);
        let bytes = self.at.w.set_index(bytes, None);
        let after = self.at.w.index(start + bytes);
        self.at.w.set_index(after, None)
    }
    /// The part of the string between two places.
    pub fn part(&mut self, start: &Dim, end: &Dim) -> ExprId {
        let (from, bytes) = (self.at.w.index(start.clone()), self.at.w.index(end - start));
        let begin = self.at.w.start(self.text);
        let begin = self.at.w.binary(BinaryFn::Add, begin, from);
        let part = self.at.w.span(begin, bytes);
        self.at.w.set(part)
    }
    /// While the place is before `end`: `step`, which moves the place on, by `least` bytes or more. The loop IR has
    /// counted loops alone: there are as many rounds as there may be, and those behind the end do nothing.
    pub fn walk(&mut self, place: LocalId, end: &Dim, least: i64, step: impl FnOnce(&mut Wire<'_, '_>, &Dim)) {
        let text = self.text;
        let first = self.at.w.read(place, &[]);
        let first = self.at.w.set_index(first, None);
        let left = self.at.w.index((end - &first).ceil_div(&(least * ROUND).into()));
        let rounds = self.at.w.set_index(left, None);
        self.at.each(&rounds, LoopKind::Seq, |at, _| {
            let mut wire = Wire { at, text };
            let here = wire.at.w.read(place, &[]);
            let here = wire.at.w.set_index(here, None);
            let more = wire.is_before(&here, end);
            let [all, none] = [ROUND, 0].map(|n| wire.at.w.int(DType::I64, n));
            let fields = wire.at.w.select(more, all, none);
            let fields = wire.at.w.set_index(fields, None);
            at.each(&fields, LoopKind::Seq, |at, _| {
                let here = at.w.read(place, &[]);
                let here = at.w.set_index(here, None);
                let left = vec![Bound { index: here.clone(), extent: end.clone() }];
                at.only_within(left, |at| step(&mut Wire { at, text }, &here));
            });
        });
    }
}

fn in_words<'a, 'b>(at: &'a mut Emit<'b>) -> Words<'a, 'b> {
    Words { at }
}

/// The low seven bits of the eight bytes of a word, side by side.
fn squeezed(words: &mut Words<'_, '_>, word: ExprId) -> ExprId {
    let mut word = words.and(word, !HIGH);
    for (low, by) in [(0x007f_007f_007f_007f, 1), (0x0000_3fff_0000_3fff, 2), (0x0000_0000_0fff_ffff, 4)] {
        let x = words.set(word);
        let high = words.and(x, !low);
        let (low, high) = (words.and(x, low), words.right(high, by));
        word = words.at.w.binary(BinaryFn::Or, low, high);
    }
    words.set(word)
}

/// The high bits of those bytes of a word that have none.
pub fn stops(words: &mut Words<'_, '_>, word: ExprId) -> ExprId {
    let all = words.number(u64::MAX);
    let inverted = words.xor(word, all);
    let stops = words.and(inverted, HIGH);
    words.set(stops)
}

/// How many of the high bits of bytes there are, where there are no other bits.
pub fn marked(words: &mut Words<'_, '_>, high: ExprId) -> ExprId {
    let ones = words.right(high, 7);
    let sum = words.times(ones, ONES);
    let sum = words.right(sum, 56);
    words.set(sum)
}
