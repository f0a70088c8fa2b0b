//! Replaces what a regular expression matches.

use std::collections::HashMap;

use regex_automata::{Anchored, Input, nfa::thompson::pikevm::PikeVM, util::primitives::StateID};
use regex_syntax::hir::Hir;
use serde::{Deserialize, Serialize};

use super::{
    super::{super::*, check_strings},
    ahead::Ahead,
    automaton::{Kind, Net, check_size, minimal, nfa},
    points::{LAST, Points},
    syntax::parse,
    whole::check_table,
};
use crate::{
    loops::{BinaryFn, Bound, CompareFn, LocalId, Stmt},
    tensor::{DType, Scalar},
};

/// What a match becomes, in order.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    /// What a group matched; group 0 is the match.
    Group(usize),
}

/// The pieces of a rewrite in RE2's syntax up to its end or to what is wrong in it, and whether all is fine.
fn pieces(rewrite: &[u8]) -> (Vec<Piece>, bool) {
    let (mut all, mut text) = (vec![], vec![]);
    let mut bytes = rewrite.iter();
    let mut fine = true;
    while let Some(&byte) = bytes.next() {
        match (byte, (byte == b'\\').then(|| bytes.next())) {
            (byte, None) => text.push(byte),
            (_, Some(Some(b'\\'))) => text.push(b'\\'),
            (_, Some(Some(digit))) if digit.is_ascii_digit() => {
                all.push(Piece::Text(std::mem::take(&mut text)));
                all.push(Piece::Group(usize::from(digit - b'0')));
            }
            _ => {
                fine = false;
                break;
            }
        }
    }
    all.push(Piece::Text(text));
    all.retain(|piece| *piece != Piece::Text(vec![]));
    (all, fine)
}

/// Where the reading of a text backwards leaves its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trail {
    /// Nowhere: the next byte alone decides the state.
    Next,
    /// In a string, of a byte for each boundary from the end of the text on.
    Byte,
    /// The same with two bytes for each boundary, the lower one first.
    Pair,
}

/// How an automaton reads strings backwards.
///
/// Operand 0 are strings; operand 1, u8, is by byte its class; operand 2, i32, is by state and class the next state. The result
/// are for each string its states in the order of reading, from the first on, each as one or two bytes, the lower one first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextTrail {
    pub trail: Trail,
    pub first: i64,
    pub classes: i64,
}

impl Primitive for TextTrail {
    const NAME: &'static str = "text_trail";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x, classes, next] = operands(inputs)?;
        check_strings(x)?;
        check_table(classes, &[DType::U8])?;
        check_table(next, &[DType::I32])?;
        if self.trail == Trail::Next {
            return Err("there is no trail".into());
        }
        Ok((*x).clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let (classes, next) = (inputs[1].to_i64s().expect("integers"), inputs[2].to_i64s().expect("integers"));
        let trail = |s: &Vec<u8>| {
            let mut states = vec![self.first];
            for &byte in s.iter().rev() {
                let state = states[states.len() - 1];
                states.push(next[(state * self.classes + classes[usize::from(byte)]) as usize]);
            }
            let bytes = if self.trail == Trail::Byte { 1 } else { 2 };
            states.iter().flat_map(|state| state.to_le_bytes().into_iter().take(bytes)).collect()
        };
        Ok(Tensor::from_strings(out, inputs[0].strings().iter().map(trail).collect()))
    }
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("strings are made by a kernel of their own")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let cells = at.shape(2)[0].clone();
        at.nest(shape, LoopKind::Seq, |at, ix| {
            let x = at.read(0, ix);
            let x = at.w.set(x);
            let length = at.w.length(x);
            let length = at.w.set_index(length, None);
            let state = at.w.local(DType::I64, []);
            let first = at.w.int(DType::I64, self.first);
            at.w.assign(state, &[], first);
            let append = |at: &mut Emit<'_>| {
                let state = at.w.read(state, &[]);
                let low = at.w.cast(DType::U8, state);
                at.w.append(low);
                if self.trail == Trail::Pair {
                    let bits = at.w.int(DType::I64, 8);
                    let high = at.w.binary(BinaryFn::Shr, state, bits);
                    let high = at.w.cast(DType::U8, high);
                    at.w.append(high);
                }
            };
            append(at);
            at.each(&length, LoopKind::Seq, |at, n| {
                let place = at.w.index(&length - n - 1);
                let byte = at.w.byte(x, place);
                let byte = at.w.cast(DType::I64, byte);
                let byte = at.w.set_index(byte, Some(256.into()));
                let class = at.read(1, &[byte]);
                let class = at.w.cast(DType::I64, class);
                let (old, classes) = (at.w.read(state, &[]), at.w.int(DType::I64, self.classes));
                let row = at.w.binary(BinaryFn::Mul, old, classes);
                let place = at.w.binary(BinaryFn::Add, row, class);
                let place = at.w.set_index(place, Some(cells.clone()));
                let next = at.read(2, &[place]);
                let next = at.w.cast(DType::I64, next);
                at.w.assign(state, &[], next);
                append(at);
            });
            let made = at.w.take();
            at.w.store(out, shape, ix, made);
        });
    }
}

/// Each string with what the pattern matches replaced by what the rewrite says, both as RE2 understands them: all matches that
/// do not overlap, from the left, or the first one. An empty match is none right behind another match. Of a rewrite with a
/// mistake, what is before it counts.
///
/// Operand 1 is the trail that [`TextTrail`] makes of operand 0, or operand 0 again where there is none. The others are the
/// tables of [`TextReplace::plan`]. Each byte is looked at once backwards and once forwards, whatever the pattern: the states of
/// the automaton that reads backwards say at each boundary which way leads to the end of a match, so that the one that reads
/// forwards is in one state at a time (Frisch and Cardelli, 2004).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextReplace {
    pub pattern: String,
    pub rewrite: Vec<u8>,
    pub all: bool,
    pub trail: Trail,
    /// The state at the end of the text.
    pub first: i64,
    /// At states below this one nothing happens outside of matches.
    pub quiet: i64,
    /// The classes of bytes.
    pub classes: i64,
}

/// What a boundary is reached with, and the kind of the byte before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Arrival {
    /// No match is on its way.
    Outside(Kind),
    /// No other match is looked for.
    Done,
    /// A match, or a step over one character, is in this state behind the byte.
    Inside(StateID, Kind),
}

/// With what a boundary is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Leaving {
    Outside,
    Done,
    /// A match or a step is in this state, which takes the byte behind.
    Inside(StateID),
}

/// What happens at a boundary, in this order. Slots, as bits, are places of groups: where group `n` begins is slot `2n`, where it
/// ends the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Action {
    /// An empty match begins.
    empty: bool,
    /// These slots are here.
    before: u32,
    /// A match ends.
    ends: bool,
    /// A match begins.
    begins: bool,
    /// These slots are here.
    after: u32,
}

/// The cells of an action in the table.
const ACTION: usize = 5;

/// What replaces matches.
pub struct Plan {
    pub op: TextReplace,
    /// Operands 1 and 2 of the [`TextTrail`] that makes operand 1, if there is one.
    pub trail: Option<[Tensor; 2]>,
    /// Operands from 2 on:
    ///
    /// 2. u8 by byte: its class;
    /// 3. u16 by byte: the state before it, if there is no trail;
    /// 4. i32 by what a boundary is left with, and class: how the next one is reached, as the place of a row in the next table, or
    ///    from its end on, what it is left with whatever follows;
    /// 5. i32 by how a boundary is reached, and state: what it is left with, in the lower 16 bits, and the number of an action,
    ///    from 1 on, or 0;
    /// 6. i32 by action, five cells each;
    /// 7. the texts of the rewrite.
    pub tables: [Tensor; 6],
}

/// The automaton that reads forwards, with both patterns: 0 is what is looked for, 1 a character.
struct Forwards<'a> {
    net: &'a Net,
    all: bool,
}

impl Forwards<'_> {
    /// What happens at a boundary that is reached so, with this behind it.
    fn resolve(&self, arrival: Arrival, ahead: &Ahead) -> (Leaving, Action) {
        let choose = |from, before| self.net.chosen(from, &ahead.taking, [before, ahead.behind]);
        let start = |pattern| self.net.start(pattern).expect("there are two patterns");
        let mut action = Action::default();
        let before = match arrival {
            Arrival::Done => return (Leaving::Done, action),
            Arrival::Outside(before) => before,
            Arrival::Inside(state, before) => match choose(state, before) {
                // Such a state is not reached with this behind it.
                None => return (Leaving::Outside, action),
                Some((state, slots)) => match self.net.ends(state) {
                    None => return (Leaving::Inside(state), Action { after: slots, ..action }),
                    Some(0) => {
                        action = Action { ends: true, before: slots, ..action };
                        before
                    }
                    Some(_) => before,
                },
            },
        };
        if action.ends && !self.all {
            return (Leaving::Done, action);
        }
        match choose(start(0), before) {
            None => return (Leaving::Outside, action),
            Some((state, slots)) if self.net.ends(state).is_none() => {
                return (Leaving::Inside(state), Action { begins: true, after: slots, ..action });
            }
            // An empty match is none right behind another one.
            Some((_, slots)) if !action.ends => {
                action = Action { empty: true, ends: true, before: slots, ..action };
                if !self.all {
                    return (Leaving::Done, action);
                }
            }
            Some(_) => {}
        }
        // Behind it, no match begins within a character.
        match choose(start(1), before) {
            Some((state, _)) => (Leaving::Inside(state), action),
            None => (Leaving::Outside, action),
        }
    }
    fn step(&self, leaving: Leaving, class: usize) -> Arrival {
        let kind = self.net.kind(class);
        match leaving {
            Leaving::Done => Arrival::Done,
            Leaving::Outside => Arrival::Outside(kind),
            Leaving::Inside(state) => match self.net.taken(state, class) {
                Some(next) => Arrival::Inside(next, kind),
                // No such byte follows here.
                None => Arrival::Outside(kind),
            },
        }
    }
    /// What a boundary is left with that is reached so, where nothing else depends on what is behind it.
    fn direct(&self, arrival: Arrival) -> Option<Leaving> {
        match arrival {
            Arrival::Done => Some(Leaving::Done),
            Arrival::Inside(state, _) if self.net.takes(state) => Some(Leaving::Inside(state)),
            _ => None,
        }
    }
}

/// The number of a thing, which is the next one where it is new.
fn number<T: Clone + Eq + std::hash::Hash>(all: &mut Vec<T>, known: &mut HashMap<T, usize>, thing: T) -> usize {
    *known.entry(thing).or_insert_with_key(|thing| {
        all.push(thing.clone());
        all.len() - 1
    })
}

/// Each code point in UTF-8, surrogates included.
fn character() -> Hir {
    // Together they would be a range for which RE2 allows more.
    Hir::alternation([(0, 0x7ff), (0x800, LAST)].map(|range| Points::new([range]).to_hir()).to_vec())
}

impl TextReplace {
    /// How to replace matches of a pattern. None where nothing changes, whatever the string: the rewrite names a group that is not
    /// there, or has a mistake where one match is replaced.
    pub fn plan(pattern: String, rewrite: Vec<u8>, all: bool) -> Infer<Option<Plan>> {
        let parsed = parse(&pattern)?;
        let (pieces, fine) = pieces(&rewrite);
        if greatest_group(&rewrite) > parsed.groups as usize || !(fine || all) {
            return Ok(None);
        }
        let captures = pieces.iter().any(|piece| matches!(piece, Piece::Group(1..)));
        let net = Net::new(nfa(&[parsed.hir, character()], captures)?);
        let forwards = Forwards { net: &net, all };
        let (aheads, next) = net.backwards()?;
        let classes = net.class_count();

        // All ways to reach a boundary and to leave it, from the first one on.
        let (mut rows, mut row_numbers) = (vec![], HashMap::new());
        let (mut leavings, mut leaving_numbers) = (vec![], HashMap::new());
        let (mut resolved, mut steps) = (vec![], vec![]);
        number(&mut rows, &mut row_numbers, Arrival::Outside(net.edge()));
        while resolved.len() < rows.len() || steps.len() < leavings.len() {
            if let Some(&arrival) = rows.get(resolved.len()) {
                let row: Vec<(usize, Action)> = aheads
                    .iter()
                    .map(|ahead| {
                        let (leaving, action) = forwards.resolve(arrival, ahead);
                        (number(&mut leavings, &mut leaving_numbers, leaving), action)
                    })
                    .collect();
                resolved.push(row);
            }
            if let Some(&leaving) = leavings.get(steps.len()) {
                let row: Vec<Result<usize, usize>> = (0..classes)
                    .map(|class| {
                        let arrival = forwards.step(leaving, class);
                        match forwards.direct(arrival) {
                            Some(leaving) => Err(number(&mut leavings, &mut leaving_numbers, leaving)),
                            None => Ok(number(&mut rows, &mut row_numbers, arrival)),
                        }
                    })
                    .collect();
                steps.push(row);
            }
            if resolved.len() * aheads.len() > 8 << 20 {
                return Err("its automaton is too large".into());
            }
        }

        // States that nothing tells apart are one; those at which nothing happens come first.
        let columns: Vec<Vec<(usize, Action)>> =
            (0..aheads.len()).map(|state| resolved.iter().map(|row| row[state]).collect()).collect();
        let (next, kept) = minimal(&columns, next, classes);
        let outside = leaving_numbers.get(&Leaving::Outside);
        let is_quiet = |n: &usize| {
            !net.looks() && columns[kept[*n]][0] == (outside.copied().unwrap_or(usize::MAX), Action::default())
        };
        let (mut order, others): (Vec<usize>, Vec<usize>) = (0..kept.len()).partition(is_quiet);
        let quiet = order.len() as i64;
        order.extend(others);
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| place[from] = to);
        let next: Vec<usize> =
            order.iter().flat_map(|&from| &next[from * classes..][..classes]).map(|&to| place[to as usize]).collect();
        let columns: Vec<&Vec<(usize, Action)>> = order.iter().map(|&n| &columns[kept[n]]).collect();
        let states = order.len();

        let (mut actions, mut action_numbers) = (vec![], HashMap::new());
        number(&mut actions, &mut action_numbers, Action::default());
        let cells = rows.len() * states;
        let mut choices = vec![];
        for row in 0..rows.len() {
            for column in &columns {
                let (leaving, action) = column[row];
                let action = number(&mut actions, &mut action_numbers, action);
                choices.push((action << 16 | leaving) as i64);
            }
        }
        let arrive = |to: Result<usize, usize>| to.map_or_else(|leaving| cells + leaving, |row| row * states) as i64;
        let steps: Vec<i64> = steps.concat().into_iter().map(arrive).collect();
        let bits = |action: &Action| {
            let Action { empty, before, ends, begins, after } = *action;
            [i64::from(empty), before.into(), ends.into(), begins.into(), after.into()]
        };
        let actions: Vec<i64> = actions[1..].iter().flat_map(bits).collect();
        let decided = next.chunks(classes).all(|row| row == &next[..classes]);
        let trail = match states {
            _ if decided => Trail::Next,
            ..=0x100 => Trail::Byte,
            _ => Trail::Pair,
        };
        check_size(4 * (choices.len() + steps.len() + actions.len() + if decided { 0 } else { next.len() }))?;
        if leavings.len() > 1 << 15 || states > 1 << 16 || actions.len() > ACTION << 14 {
            return Err("its automaton is too large".into());
        }
        let by_byte = |of: &dyn Fn(usize) -> i64, dtype| {
            let cells = net.classes.iter().map(|&class| Scalar::from_i64(dtype, of(class.into())));
            Tensor::from_scalars(dtype, [256], cells)
        };
        let class = by_byte(&|class| class as i64, DType::U8);
        let ints = |cells: Vec<i64>| {
            Tensor::from_scalars(
                DType::I32,
                [cells.len()],
                cells.into_iter().map(|cell| Scalar::from_i64(DType::I32, cell)),
            )
        };
        let texts = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Group(_) => None,
        });
        let texts: Vec<Vec<u8>> = texts.collect();
        let before = by_byte(&|class| if decided { next[class] as i64 } else { 0 }, DType::U16);
        Ok(Some(Plan {
            op: TextReplace { pattern, rewrite, all, trail, first: place[0] as i64, quiet, classes: classes as i64 },
            trail: (!decided).then(|| [class.clone(), ints(next.iter().map(|&to| to as i64).collect())]),
            tables: [
                class,
                before,
                ints(steps),
                ints(choices),
                ints(actions),
                Tensor::from_strings([texts.len()], texts),
            ],
        }))
    }

    /// The string that results, by the definition.
    fn replaced(&self, machine: &PikeVM, s: &[u8]) -> Vec<u8> {
        let (pieces, _) = pieces(&self.rewrite);
        let mut cache = machine.create_cache();
        let mut found = machine.create_captures();
        let (mut out, mut place, mut last) = (vec![], 0, None);
        while place <= s.len() {
            machine.captures(&mut cache, Input::new(s).range(place..).anchored(Anchored::No), &mut found);
            let Some(whole) = found.get_match() else { break };
            out.extend(&s[place..whole.start()]);
            if whole.is_empty() && last == Some(whole.start()) {
                let next = (place + character_length(&s[place..])).min(s.len() + 1);
                out.extend(&s[place..next.min(s.len())]);
                place = next;
                continue;
            }
            for piece in &pieces {
                match piece {
                    Piece::Text(text) => out.extend(text),
                    Piece::Group(n) => out.extend(found.get_group(*n).map_or(&[][..], |span| &s[span])),
                }
            }
            place = whole.end();
            last = Some(place);
            if !self.all {
                break;
            }
        }
        out.extend(s.get(place..).unwrap_or_default());
        out
    }
}

/// The greatest group that a rewrite names, behind a mistake too.
fn greatest_group(rewrite: &[u8]) -> usize {
    let mut bytes = rewrite.iter();
    let mut greatest = 0;
    while let Some(byte) = bytes.next() {
        if *byte == b'\\'
            && let Some(digit) = bytes.next().filter(|byte| byte.is_ascii_digit())
        {
            greatest = greatest.max(usize::from(digit - b'0'));
        }
    }
    greatest
}

/// The bytes of the character in front, surrogates included, or 1 where there is none.
fn character_length(s: &[u8]) -> usize {
    let Some(&front) = s.first() else { return 1 };
    let (length, least) = match front {
        0xc0..0xe0 => (2, 0x80),
        0xe0..0xf0 => (3, 0x800),
        0xf0..0xf8 => (4, 0x1_0000),
        _ => return 1,
    };
    let Some(inner) = s.get(1..length) else { return 1 };
    let point =
        inner.iter().fold(u32::from(front) & (0x7f >> length), |point, byte| point << 6 | u32::from(byte & 0x3f));
    let fine = inner.iter().all(|byte| byte & 0xc0 == 0x80) && (least..=LAST).contains(&point);
    if fine { length } else { 1 }
}

/// The places in a string that the loop over its boundaries knows.
struct Places {
    /// The string, where its bytes begin, and how many they are.
    x: ExprId,
    start: ExprId,
    length: Dim,
    /// How this boundary was reached.
    arrival: LocalId,
    /// Up to where the string is done with.
    done: LocalId,
    /// Where the match begins.
    begin: LocalId,
    /// Whether there was a match.
    found: LocalId,
    /// Slots that the rewrite needs; -1 is nowhere.
    slots: Vec<(usize, LocalId)>,
}

impl TextReplace {
    /// Part of the string from a place on, up to another one.
    fn part(at: &mut Emit<'_>, p: &Places, from: ExprId, to: ExprId) -> ExprId {
        let bytes = at.w.binary(BinaryFn::Sub, to, from);
        let start = at.w.binary(BinaryFn::Add, p.start, from);
        at.w.span(start, bytes)
    }
    /// A match ends here: what is before it, and what it becomes.
    fn emit_match(&self, at: &mut Emit<'_>, p: &Places, here: ExprId) {
        let [done, begin] = [p.done, p.begin].map(|local| at.w.read(local, &[]));
        let kept = Self::part(at, p, done, begin);
        at.w.append(kept);
        let mut texts = 0usize;
        for piece in pieces(&self.rewrite).0 {
            match piece {
                Piece::Text(text) => {
                    let value = match text[..] {
                        [byte] => at.w.int(DType::U8, byte.into()),
                        _ => at.read(7, &[texts.into()]),
                    };
                    at.w.append(value);
                    texts += 1;
                }
                Piece::Group(0) => {
                    let begin = at.w.read(p.begin, &[]);
                    let whole = Self::part(at, p, begin, here);
                    at.w.append(whole);
                }
                Piece::Group(n) => {
                    let slot = |slot| p.slots.iter().find(|(own, _)| *own == slot).expect("the slot is kept").1;
                    let [from, to] = [2 * n, 2 * n + 1].map(|n| at.w.read(slot(n), &[]));
                    // Where there is none, both are the same.
                    let group = Self::part(at, p, from, to);
                    at.w.append(group);
                }
            }
        }
        at.w.assign(p.done, &[], here);
        let yes = at.w.int(DType::I64, 1);
        at.w.assign(p.found, &[], yes);
    }
    /// A match begins here, where a cell is 1.
    fn emit_begin(at: &mut Emit<'_>, p: &Places, here: ExprId, cell: ExprId) {
        let zero = at.w.int(DType::I64, 0);
        let begins = at.w.compare(CompareFn::Ne, cell, zero);
        let begins = at.w.set(begins);
        let old = at.w.read(p.begin, &[]);
        let begin = at.w.select(begins, here, old);
        at.w.assign(p.begin, &[], begin);
        let nowhere = at.w.int(DType::I64, -1);
        for (_, slot) in &p.slots {
            let old = at.w.read(*slot, &[]);
            let slot_value = at.w.select(begins, nowhere, old);
            at.w.assign(*slot, &[], slot_value);
        }
    }
    /// Slots are here, by the bits of a cell.
    fn emit_slots(at: &mut Emit<'_>, p: &Places, here: ExprId, cell: ExprId) {
        for (n, slot) in &p.slots {
            let (bit, zero) = (at.w.int(DType::I64, 1 << n), at.w.int(DType::I64, 0));
            let bit = at.w.binary(BinaryFn::And, cell, bit);
            let passed = at.w.compare(CompareFn::Ne, bit, zero);
            let old = at.w.read(*slot, &[]);
            let new = at.w.select(passed, here, old);
            at.w.assign(*slot, &[], new);
        }
    }
    fn emit_action(&self, at: &mut Emit<'_>, p: &Places, here: ExprId, action: &Dim, count: &Dim) {
        let cell = |at: &mut Emit<'_>, n: usize| {
            let place = at.w.index(action * ACTION as i64 + n as i64);
            let place = at.w.set_index(place, Some(count.clone()));
            let cell = at.read(6, &[place]);
            let cell = at.w.cast(DType::I64, cell);
            at.w.set(cell)
        };
        let empty = cell(at, 0);
        Self::emit_begin(at, p, here, empty);
        let before = cell(at, 1);
        Self::emit_slots(at, p, here, before);
        let ends = cell(at, 2);
        let ends = at.w.set_index(ends, None);
        at.only_within(vec![Bound { index: ends - 1, extent: 1.into() }], |at| self.emit_match(at, p, here));
        let begins = cell(at, 3);
        Self::emit_begin(at, p, here, begins);
        let after = cell(at, 4);
        Self::emit_slots(at, p, here, after);
    }
    /// What happens at a boundary that is reached so, with this state behind it: with what it is left.
    fn emit_choice(&self, at: &mut Emit<'_>, p: &Places, here: ExprId, place: Dim) -> ExprId {
        let choice = at.read(5, &[place]);
        let choice = at.w.cast(DType::I64, choice);
        let choice = at.w.set(choice);
        let (bits, mask) = (at.w.int(DType::I64, 16), at.w.int(DType::I64, 0xffff));
        let action = at.w.binary(BinaryFn::Shr, choice, bits);
        let action = at.w.set_index(action, None);
        let count = at.shape(6)[0].clone();
        let actions = count.floor_div(&(ACTION as i64).into());
        at.only_within(vec![Bound { index: &action - 1, extent: actions }], |at| {
            self.emit_action(at, p, here, &(&action - 1), &count);
        });
        at.w.binary(BinaryFn::And, choice, mask)
    }
    /// The state at a boundary before the end.
    fn emit_state(&self, at: &mut Emit<'_>, p: &Places, trail: ExprId, n: &Dim, byte: &Dim) -> ExprId {
        let before = &p.length - n;
        let read = |at: &mut Emit<'_>, place: Dim| {
            let place = at.w.index(place);
            let byte = at.w.byte(trail, place);
            at.w.cast(DType::I64, byte)
        };
        match self.trail {
            Trail::Next => {
                let state = at.read(3, std::slice::from_ref(byte));
                at.w.cast(DType::I64, state)
            }
            Trail::Byte => read(at, before),
            Trail::Pair => {
                let (low, high) = (read(at, &before * 2), read(at, &before * 2 + 1));
                let bits = at.w.int(DType::I64, 8);
                let high = at.w.binary(BinaryFn::Shl, high, bits);
                at.w.binary(BinaryFn::Or, low, high)
            }
        }
    }
    fn emit_string(&self, at: &mut Emit<'_>, x: ExprId, trail: ExprId, mut store: impl FnMut(&mut Emit<'_>, ExprId)) {
        let length = at.w.length(x);
        let length = at.w.set_index(length, None);
        let start = at.w.start(x);
        let start = at.w.set(start);
        let needed = pieces(&self.rewrite).0.into_iter().filter_map(|piece| match piece {
            Piece::Group(n @ 1..) => Some([2 * n, 2 * n + 1]),
            _ => None,
        });
        let mut needed: Vec<usize> = needed.flatten().collect();
        needed.sort_unstable();
        needed.dedup();
        let mut local = |value| {
            let local = at.w.local(DType::I64, []);
            let value = at.w.int(DType::I64, value);
            at.w.assign(local, &[], value);
            local
        };
        let [arrival, done, begin, found] = [(); 4].map(|()| local(0));
        let slots = needed.into_iter().map(|slot| (slot, local(-1))).collect();
        let p = Places { x, start, length: length.clone(), arrival, done, begin, found, slots };
        let (steps, cells) = (at.shape(4)[0].clone(), at.shape(5)[0].clone());
        at.each(&length, LoopKind::Seq, |at, n| {
            let here = at.w.index(n.clone());
            let byte = at.w.byte(p.x, here);
            let byte = at.w.cast(DType::I64, byte);
            let byte = at.w.set_index(byte, Some(256.into()));
            let state = self.emit_state(at, &p, trail, n, &byte);
            let arrival = at.w.read(p.arrival, &[]);
            let place = at.w.binary(BinaryFn::Add, arrival, state);
            let place = at.w.set_index(place, None);
            let arrival = at.w.set_index(arrival, None);
            let loud = Bound { index: &place - self.quiet, extent: i64::from(i32::MAX).into() };
            at.only_within(vec![loud], |at| {
                let free = Bound { index: arrival.clone(), extent: cells.clone() };
                let leaving = at.within(
                    vec![free],
                    |at| {
                        let place = at.w.index(place.clone());
                        let place = at.w.set_index(place, Some(cells.clone()));
                        self.emit_choice(at, &p, here, place)
                    },
                    |at| at.w.index(&arrival - &cells),
                );
                let class = at.read(2, std::slice::from_ref(&byte));
                let class = at.w.cast(DType::I64, class);
                let classes = at.w.int(DType::I64, self.classes);
                let step = at.w.binary(BinaryFn::Mul, leaving, classes);
                let step = at.w.binary(BinaryFn::Add, step, class);
                let step = at.w.set_index(step, Some(steps.clone()));
                let next = at.read(4, &[step]);
                let next = at.w.cast(DType::I64, next);
                at.w.assign(p.arrival, &[], next);
            });
        });
        // The end of the text is a boundary too.
        let arrival = at.w.read(p.arrival, &[]);
        let arrival = at.w.set_index(arrival, None);
        at.only_within(vec![Bound { index: arrival.clone(), extent: cells.clone() }], |at| {
            let here = at.w.index(p.length.clone());
            let place = at.w.index(&arrival + self.first);
            let place = at.w.set_index(place, Some(cells.clone()));
            self.emit_choice(at, &p, here, place);
        });
        let found = at.w.read(p.found, &[]);
        let found = at.w.set_index(found, None);
        at.w.open_block();
        let end = at.w.index(p.length.clone());
        let done = at.w.read(p.done, &[]);
        let rest = Self::part(at, &p, done, end);
        at.w.append(rest);
        let made = at.w.take();
        store(at, made);
        at.operands.leave(at.w.depth());
        let then = at.w.close_block();
        at.w.open_block();
        store(at, p.x);
        at.operands.leave(at.w.depth());
        let otherwise = at.w.close_block();
        at.w.emit(Stmt::If { bounds: vec![Bound { index: found - 1, extent: 1.into() }], then, otherwise });
    }
}

impl Primitive for TextReplace {
    const NAME: &'static str = "text_replace";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x, trail, classes, states, steps, choices, actions, texts] = operands(inputs)?;
        check_strings(x)?;
        if trail != x {
            return Err(format!("{trail} is no trail of {x}"));
        }
        check_table(classes, &[DType::U8])?;
        check_table(states, &[DType::U16])?;
        [steps, choices, actions].into_iter().try_for_each(|table| check_table(table, &[DType::I32]))?;
        check_table(texts, &[DType::Str])?;
        parse(&self.pattern)?;
        Ok((*x).clone())
    }
    /// By a machine that follows all threads of the automaton at once.
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let nfa = parse(&self.pattern).and_then(|parsed| nfa(&[parsed.hir], true)).expect("the pattern is fine");
        let machine = PikeVM::new_from_nfa(nfa).expect("a machine for each automaton");
        let replaced = inputs[0].strings().iter().map(|s| self.replaced(&machine, s));
        Ok(Tensor::from_strings(out, replaced.collect()))
    }
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("strings are made by a kernel of their own")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        at.nest(shape, LoopKind::Seq, |at, ix| {
            let [x, trail] = [0, 1].map(|n| {
                let s = at.read(n, ix);
                at.w.set(s)
            });
            self.emit_string(at, x, trail, |at, value| at.w.store(out, shape, ix, value));
        });
    }
}
