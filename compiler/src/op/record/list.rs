//! Lists of values: what a feature holds, and how values are found in it.

use serde::{Deserialize, Serialize};

use super::{
    features::tag,
    message::Message,
    wire::{HIGH, Wire, marked, stops},
    *,
};
use crate::{
    loops::{BinaryFn, Bound, CompareFn, LocalId, LoopKind},
    tensor::{DType, Scalar},
};

/// What the values of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// The strings of a `Feature`'s `BytesList`.
    Bytes,
    /// The f32 of a `FloatList`, side by side or each with a tag.
    Floats,
    /// The i64 of an `Int64List`, likewise.
    Ints,
    /// The features of a `FeatureList`, as strings.
    Messages,
}

impl ListKind {
    pub const ALL: [ListKind; 4] = [ListKind::Bytes, ListKind::Floats, ListKind::Ints, ListKind::Messages];

    pub fn dtype(self) -> DType {
        match self {
            ListKind::Bytes | ListKind::Messages => DType::Str,
            ListKind::Floats => DType::F32,
            ListKind::Ints => DType::I64,
        }
    }
    /// The tag of the list in a feature; a list of features is in none.
    pub(super) fn tag(self) -> Option<u8> {
        match self {
            ListKind::Bytes => Some(tag(1)),
            ListKind::Floats => Some(tag(2)),
            ListKind::Ints => Some(tag(3)),
            ListKind::Messages => None,
        }
    }
    /// The tag of a value that has one of its own.
    fn single(self) -> u8 {
        match self {
            ListKind::Bytes | ListKind::Messages => tag(1),
            ListKind::Floats => 1 << 3 | 5,
            ListKind::Ints => 1 << 3,
        }
    }
}

/// Values of a message, by definition.
pub enum Read {
    Strings(Vec<Vec<u8>>),
    Numbers(Vec<Scalar>),
}

impl Read {
    pub fn count(&self) -> usize {
        match self {
            Read::Strings(strings) => strings.len(),
            Read::Numbers(numbers) => numbers.len(),
        }
    }
}

/// All values; none where the message is empty and so says nothing. What follows the first list is not looked at.
pub fn read(kind: ListKind, message: &[u8]) -> Result<Option<Read>, Fault> {
    let mut list = Message(message);
    if let Some(tag) = kind.tag() {
        if message.is_empty() {
            return Ok(None);
        }
        list = list.has(tag).then(|| list.delimited()).flatten().map(Message).ok_or(Fault::BrokenRecord)?;
    }
    values(kind, list).map(Some).ok_or(Fault::BrokenRecord)
}

fn values(kind: ListKind, mut list: Message<'_>) -> Option<Read> {
    if kind.dtype() == DType::Str {
        let mut strings = vec![];
        while !list.is_empty() {
            strings.push(list.has(tag(1)).then(|| list.delimited())??.to_vec());
        }
        return Some(Read::Strings(strings));
    }
    let mut numbers = vec![];
    let packed = list.has(tag(1));
    if packed {
        // What follows the first run of values is not looked at.
        list = Message(list.delimited()?);
    }
    while !list.is_empty() {
        (packed || list.has(kind.single())).then_some(())?;
        numbers.push(match kind {
            ListKind::Floats => Scalar::F32(f32::from_le_bytes(list.bytes(4)?.try_into().ok()?)),
            _ => Scalar::Int(list.varint()? as i64),
        });
    }
    Some(Read::Numbers(numbers))
}

/// Where code finds the values of one message. Before the first and behind the last one there may be anything.
pub struct List {
    kind: ListKind,
    /// Where the first value, or its tag, begins, and where the last one ends.
    first: Dim,
    end: Dim,
    /// Whether each number has a tag: 0 or 1.
    tagged: Dim,
    /// How many there are, none of them broken; -1 where the message is empty and says nothing.
    pub count: ExprId,
}

impl List {
    /// Of a message that is in a variable.
    pub fn new(at: &mut Emit<'_>, kind: ListKind, text: ExprId) -> List {
        let [first, end, tagged, count] = [(0, ()), (0, ()), (0, ()), (-1, ())].map(|(start, ())| {
            let (local, start) = (at.w.local(DType::I64, []), at.w.int(DType::I64, start));
            at.w.assign(local, &[], start);
            local
        });
        let length = at.w.length(text);
        let length = at.w.set_index(length, None);
        let parts = Parts { kind, first, end, tagged, count };
        match kind.tag() {
            None => parts.find(&mut Wire { at, text }, &Dim::zero(), &length),
            Some(tag) => {
                let some = vec![Bound { index: &length - 1, extent: Dim::from(1i64 << 62) }];
                at.only_within(some, |at| {
                    let mut wire = Wire { at, text };
                    let fits = wire.has(&Dim::zero(), tag);
                    wire.require(fits);
                    let (start, end) = wire.delimited(&Dim::one(), &length);
                    parts.find(&mut wire, &start, &end);
                });
            }
        }
        let [first, end, tagged] = [first, end, tagged].map(|local| {
            let place = at.w.read(local, &[]);
            at.w.set_index(place, None)
        });
        let count = at.w.read(count, &[]);
        List { kind, first, end, tagged, count: at.w.set(count) }
    }
    /// Each of the values with its number.
    pub fn each(&self, at: &mut Emit<'_>, text: ExprId, body: impl FnOnce(&mut Emit<'_>, &Dim, ExprId)) {
        let (none, place) = (at.w.int(DType::I64, 0), at.w.local(DType::I64, []));
        let count = at.w.binary(BinaryFn::Max, self.count, none);
        let count = at.w.set_index(count, None);
        let first = at.w.index(self.first.clone());
        at.w.assign(place, &[], first);
        let of_tags = vec![Bound { index: &self.tagged - 1, extent: Dim::one() }];
        at.each(&count, LoopKind::Seq, |at, n| {
            let mut wire = Wire { at, text };
            let here = wire.at.w.read(place, &[]);
            let here = wire.at.w.set_index(here, None);
            let value = match self.kind {
                ListKind::Bytes | ListKind::Messages => {
                    let (start, next) = wire.delimited(&(&here + 1), &self.end);
                    self.go_on(&mut wire, place, &next);
                    wire.part(&start, &next)
                }
                ListKind::Floats => {
                    let bits = wire.at.within(
                        of_tags,
                        |at| Wire { at, text }.peek(&(&here + 1), &self.end),
                        |at| {
                            // Before the values there are two tags and two lengths, and behind them maybe nothing.
                            let mut wire = Wire { at, text };
                            let word = wire.words().word(text, &(&here - 4));
                            wire.words().right(word, 32)
                        },
                    );
                    self.go_on(&mut wire, place, &(&here + 4 + &self.tagged));
                    let bits = wire.at.w.cast(DType::U32, bits);
                    wire.at.w.bits(DType::F32, bits)
                }
                ListKind::Ints => {
                    let (value, next) = wire.varint(&(&here + &self.tagged), &self.end);
                    self.go_on(&mut wire, place, &next);
                    wire.at.w.cast(DType::I64, value)
                }
            };
            body(at, n, value);
        });
    }
    fn go_on(&self, wire: &mut Wire<'_, '_>, place: LocalId, next: &Dim) {
        let next = wire.at.w.index(next.clone());
        wire.at.w.assign(place, &[], next);
    }
}

/// What becomes of a [`List`].
struct Parts {
    kind: ListKind,
    first: LocalId,
    end: LocalId,
    tagged: LocalId,
    count: LocalId,
}

impl Parts {
    /// Of what is between two places.
    fn find(&self, wire: &mut Wire<'_, '_>, start: &Dim, end: &Dim) {
        let none = wire.at.w.int(DType::I64, 0);
        wire.at.w.assign(self.count, &[], none);
        self.set(wire, self.first, start);
        self.set(wire, self.end, end);
        let text = wire.text;
        if self.kind.dtype() == DType::Str {
            return self.count_fields(wire, start, end, |wire, here| wire.delimited(here, end).1);
        }
        let some = vec![Bound { index: start.clone(), extent: end.clone() }];
        wire.at.only_within(some, |at| {
            let mut wire = Wire { at, text };
            let packed = wire.has(start, tag(1));
            let packed = wire.bounds(packed);
            wire.at.within(
                packed,
                |at| {
                    let mut wire = Wire { at, text };
                    let (first, last) = wire.delimited(&(start + 1), end);
                    self.set(&mut wire, self.first, &first);
                    self.set(&mut wire, self.end, &last);
                    self.count_packed(&mut wire, &first, &last);
                    wire.at.w.int(DType::I64, 0)
                },
                |at| {
                    let mut wire = Wire { at, text };
                    self.set(&mut wire, self.tagged, &Dim::one());
                    self.count_fields(&mut wire, start, end, |wire, here| match self.kind {
                        ListKind::Floats => {
                            let bytes = wire.words().number(4);
                            wire.behind(here, bytes, end)
                        }
                        _ => wire.varint(here, end).1,
                    });
                    wire.at.w.int(DType::I64, 0)
                },
            );
        });
    }
    fn set(&self, wire: &mut Wire<'_, '_>, local: LocalId, place: &Dim) {
        let place = wire.at.w.index(place.clone());
        wire.at.w.assign(local, &[], place);
    }
    /// Values that each have a tag: `next` says where the one ends that is behind it.
    fn count_fields(
        &self,
        wire: &mut Wire<'_, '_>,
        start: &Dim,
        end: &Dim,
        next: impl FnOnce(&mut Wire<'_, '_>, &Dim) -> Dim,
    ) {
        let place = wire.at.w.local(DType::I64, []);
        self.set(wire, place, start);
        wire.walk(place, end, 2, |wire, here| {
            let fits = wire.has(here, self.kind.single());
            wire.require(fits);
            let next = next(wire, &(here + 1));
            self.set(wire, place, &next);
            let one = wire.at.w.int(DType::I64, 1);
            wire.at.w.accumulate(self.count, &[], BinaryFn::Add, one);
        });
    }
    /// Values side by side: floats fill the room.
    fn count_packed(&self, wire: &mut Wire<'_, '_>, start: &Dim, end: &Dim) {
        if self.kind != ListKind::Floats {
            return self.count_integers(wire, start, end);
        }
        let bytes = end - start;
        let count = wire.at.w.index(bytes.floor_div(&4.into()));
        let count = wire.at.w.set(count);
        let four = wire.at.w.int(DType::I64, 4);
        let (filled, bytes) = (wire.at.w.binary(BinaryFn::Mul, count, four), wire.at.w.index(bytes));
        let fits = wire.at.w.compare(CompareFn::Eq, filled, bytes);
        wire.require(fits);
        wire.at.w.assign(self.count, &[], count);
    }
    /// There are as many integers as bytes without a high bit, the last byte is one, and of others there are nine together at
    /// most.
    fn count_integers(&self, wire: &mut Wire<'_, '_>, start: &Dim, end: &Dim) {
        let text = wire.text;
        let some = vec![Bound { index: start.clone(), extent: end.clone() }];
        wire.at.only_within(some, |at| {
            let mut wire = Wire { at, text };
            let last = wire.byte(&(end - 1));
            let limit = wire.words().number(0x80);
            let ends = wire.at.w.compare(CompareFn::Lt, last, limit);
            wire.require(ends);
        });
        let part = wire.part(start, end);
        let (length, all) = wire.words().length(part);
        let [total, open] = [(); 2].map(|()| {
            let (local, zero) = (wire.at.w.local(DType::U64, []), wire.words().number(0));
            wire.at.w.assign(local, &[], zero);
            local
        });
        let tail = wire.words().each_word(part, &length, |words, word| count_ends(words, word, [total, open]));
        let mut words = wire.words();
        count_ends(&mut words, tail, [total, open]);
        // The zeros behind the tail have no high bit either.
        let total = words.at.w.read(total, &[]);
        let tail = words.and(all, 7);
        let eight = words.number(8);
        let behind = words.at.w.binary(BinaryFn::Sub, eight, tail);
        let count = words.at.w.binary(BinaryFn::Sub, total, behind);
        let count = words.at.w.cast(DType::I64, count);
        let count = words.at.w.set(count);
        words.at.w.assign(self.count, &[], count);
    }
}

/// Adds how many integers end in a word, where `open` bytes before it belong to the first one.
fn count_ends(words: &mut Words<'_, '_>, word: ExprId, [total, open]: [LocalId; 2]) {
    let stops = stops(words, word);
    let ends = marked(words, stops);
    words.at.w.accumulate(total, &[], BinaryFn::Add, ends);
    let [zero, one, eight, ten] = [0, 1, 8, 10].map(|n| words.number(n));
    let some = words.at.w.compare(CompareFn::Ne, stops, zero);
    let some = words.at.w.set(some);
    // The bytes before the first stop.
    let until = words.number(u64::MAX);
    let until = words.add(stops, until);
    let until = words.xor(stops, until);
    let until = words.and(until, HIGH);
    let through = marked(words, until);
    let stop = words.at.w.select(some, one, zero);
    let before = words.at.w.binary(BinaryFn::Sub, through, stop);
    let old = words.at.w.read(open, &[]);
    let old = words.at.w.set(old);
    let together = words.add(old, before);
    let fits = words.at.w.compare(CompareFn::Lt, together, ten);
    words.at.w.check(fits, Fault::BrokenRecord);
    // The bytes behind the last one.
    let mut through = stops;
    for by in [8, 16, 32] {
        let lower = words.right(through, by);
        let both = words.at.w.binary(BinaryFn::Or, through, lower);
        through = words.set(both);
    }
    let through = marked(words, through);
    let behind = words.at.w.binary(BinaryFn::Sub, eight, through);
    let all = words.add(old, eight);
    let new = words.at.w.select(some, behind, all);
    let new = words.set(new);
    words.at.w.assign(open, &[], new);
}
