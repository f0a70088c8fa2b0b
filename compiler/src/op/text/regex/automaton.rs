//! Tables that find matches in time linear in the text, made of the states of a nondeterministic automaton.
//!
//! A *boundary* is a place between two bytes, or an end of the text. What a look around sees at one are the kinds of the bytes
//! before and behind it.

use std::{collections::HashMap, hash::Hash};

use regex_automata::{
    nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures},
    util::{look::Look, primitives::StateID},
};
use regex_syntax::hir::Hir;

use super::super::super::Infer;

/// The most bytes of the tables of one pattern.
const TABLES: usize = 1 << 20;
/// The most bytes of the automaton that they are made of.
const STATES: usize = 4 << 20;
/// The most transitions of an automaton before equal states are one.
const TRANSITIONS: usize = 4 << 20;

/// What a look around distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing: an end of the text.
    Edge,
    Newline,
    Word,
    Other,
}

/// An automaton whose states are at boundaries, with the classes of bytes that it does not tell apart.
pub struct Net {
    pub(super) nfa: NFA,
    /// By byte.
    pub classes: Vec<u8>,
    /// A byte of each class.
    bytes: Vec<u8>,
    /// By class: the states that take such a byte, and where each goes.
    pub(super) taking: Vec<Vec<(StateID, StateID)>>,
}

/// The automaton of patterns of bytes.
pub fn nfa(patterns: &[Hir], captures: bool) -> Infer<NFA> {
    let which = if captures { WhichCaptures::All } else { WhichCaptures::None };
    let config = Config::new().utf8(false).nfa_size_limit(Some(STATES)).which_captures(which);
    let built = Compiler::new().configure(config).build_many_from_hir(patterns);
    built.map_err(|error| match error.size_limit() {
        Some(_) => format!("its automaton has more than {STATES} bytes"),
        None => error.to_string(),
    })
}

impl Net {
    pub fn new(nfa: NFA) -> Net {
        let all = nfa.byte_classes();
        let classes: Vec<u8> = (0..=255).map(|byte| all.get(byte)).collect();
        let mut bytes = vec![];
        for byte in 0..=255u8 {
            if usize::from(classes[usize::from(byte)]) == bytes.len() {
                bytes.push(byte);
            }
        }
        let states = || (0..).map(StateID::new_unchecked).zip(nfa.states());
        let target = |state: &State, byte| match state {
            State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
            State::Sparse(all) => all.matches_byte(byte),
            State::Dense(all) => all.matches_byte(byte),
            _ => None,
        };
        let taking = |&byte: &u8| states().filter_map(|(id, state)| Some((id, target(state, byte)?))).collect();
        let taking = bytes.iter().map(taking).collect();
        Net { classes, bytes, taking, nfa }
    }
    pub fn start(&self, pattern: usize) -> Option<StateID> {
        let pattern = regex_automata::PatternID::new(pattern).ok()?;
        self.nfa.start_pattern(pattern)
    }
    pub fn class_count(&self) -> usize {
        self.bytes.len()
    }
    /// Whether anything depends on the bytes around a boundary.
    pub fn looks(&self) -> bool {
        !self.nfa.look_set_any().is_empty()
    }
    pub fn edge(&self) -> Kind {
        if self.looks() { Kind::Edge } else { Kind::Other }
    }
    /// The kind of the bytes of a class.
    pub fn kind(&self, class: usize) -> Kind {
        let looks = self.nfa.look_set_any();
        match self.bytes[class] {
            b'\n' if looks.contains_anchor_line() => Kind::Newline,
            byte if looks.contains_word() && (byte == b'_' || byte.is_ascii_alphanumeric()) => Kind::Word,
            _ => Kind::Other,
        }
    }
    /// What belongs to each kind of bytes.
    pub fn by_kind<T>(&self, of: impl Fn(Kind) -> T) -> Vec<(Kind, T)> {
        let all = [Kind::Newline, Kind::Word, Kind::Other].into_iter();
        let kinds = all.filter(|kind| (0..self.class_count()).any(|class| self.kind(class) == *kind));
        kinds.map(|kind| (kind, of(kind))).collect()
    }
    /// Where a state goes with a byte of a class.
    pub fn taken(&self, state: StateID, class: usize) -> Option<StateID> {
        let all = &self.taking[class];
        all.binary_search_by_key(&state, |&(from, _)| from).ok().map(|n| all[n].1)
    }
    /// Which pattern ends in a state.
    pub fn ends(&self, state: StateID) -> Option<usize> {
        match self.nfa.state(state) {
            State::Match { pattern_id } => Some(pattern_id.as_usize()),
            _ => None,
        }
    }
    /// All states that are reached from these at this boundary.
    fn reached(&self, from: &[StateID], [before, behind]: [Kind; 2]) -> Vec<StateID> {
        let mut seen = vec![false; self.nfa.states().len()];
        let mut all = from.to_vec();
        from.iter().for_each(|&state| seen[state] = true);
        let mut n = 0;
        while n < all.len() {
            for (next, look) in free(self.nfa.state(all[n])) {
                if !seen[next] && look.is_none_or(|look| holds(look, before, behind)) {
                    seen[next] = true;
                    all.push(next);
                }
            }
            n += 1;
        }
        all
    }
    /// The automaton that reads the text forwards and says at its end whether the pattern matches all of it.
    pub fn whole(&self) -> Infer<Whole> {
        let Some(start) = self.start(0) else { return Err("there is no pattern".into()) };
        let count = self.class_count();
        let (states, next) = explore((vec![start], self.edge()), count, |(from, before)| {
            let reached = self.by_kind(|behind| self.reached(from, [*before, behind]));
            let step = |class| {
                let behind = self.kind(class);
                let all = reached.iter().filter(|(kind, _)| *kind == behind).flat_map(|(_, all)| all);
                let mut next: Vec<StateID> = all.filter_map(|&state| self.taken(state, class)).collect();
                next.sort_unstable();
                next.dedup();
                let before = if next.is_empty() { Kind::Other } else { behind };
                (next, before)
            };
            (0..count).map(step).collect()
        })?;
        let matches = |(from, before): &(Vec<StateID>, Kind)| {
            let reached = self.reached(from, [*before, self.edge()]);
            reached.into_iter().any(|state| self.ends(state).is_some())
        };
        let outputs: Vec<bool> = states.iter().map(matches).collect();
        let (next, kept) = minimal(&outputs, next, count);
        let matches = kept.into_iter().map(|n| outputs[n]).collect();
        Ok(Whole { next, matches })
    }
}

/// By state and class the next state, the first one being the start; and by state whether a match may end there.
pub struct Whole {
    pub next: Vec<u32>,
    pub matches: Vec<bool>,
}

/// Where a state goes without a byte, the best first.
pub fn free(state: &State) -> impl Iterator<Item = (StateID, Option<Look>)> {
    let (list, look): (Vec<StateID>, _) = match state {
        State::Look { look, next } => (vec![*next], Some(*look)),
        State::Union { alternates } => (alternates.to_vec(), None),
        State::BinaryUnion { alt1, alt2 } => (vec![*alt1, *alt2], None),
        State::Capture { next, .. } => (vec![*next], None),
        _ => (vec![], None),
    };
    list.into_iter().map(move |next| (next, look))
}

/// Whether a look around holds between bytes of these kinds.
pub fn holds(look: Look, before: Kind, behind: Kind) -> bool {
    match look {
        Look::Start => before == Kind::Edge,
        Look::End => behind == Kind::Edge,
        Look::StartLF => matches!(before, Kind::Edge | Kind::Newline),
        Look::EndLF => matches!(behind, Kind::Edge | Kind::Newline),
        Look::WordAscii => (before == Kind::Word) != (behind == Kind::Word),
        Look::WordAsciiNegate => (before == Kind::Word) == (behind == Kind::Word),
        other => unreachable!("no pattern has a {other:?}"),
    }
}

/// All states that are reached from the first, where `step` says the next ones by class, and by state and class the number of the
/// next one.
pub fn explore<S: Clone + Eq + Hash>(
    start: S,
    classes: usize,
    step: impl Fn(&S) -> Vec<S>,
) -> Infer<(Vec<S>, Vec<u32>)> {
    let mut numbers = HashMap::from([(start.clone(), 0u32)]);
    let (mut states, mut next) = (vec![start], vec![]);
    let mut n = 0;
    while n < states.len() {
        for to in step(&states[n]) {
            let number = *numbers.entry(to).or_insert_with_key(|to| {
                states.push(to.clone());
                states.len() as u32 - 1
            });
            next.push(number);
        }
        n += 1;
        if states.len() * classes > TRANSITIONS {
            return Err(format!("its automaton has more than {TRANSITIONS} transitions"));
        }
    }
    Ok((states, next))
}

/// The automaton with one state for all that nothing tells apart, the first being the first again, by Moore's method; and one of
/// the states that each stands for.
pub fn minimal<O: Eq + Hash>(outputs: &[O], next: Vec<u32>, classes: usize) -> (Vec<u32>, Vec<usize>) {
    fn numbered<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> (Vec<u32>, usize) {
        let mut numbers = HashMap::new();
        let parts = keys.map(|key| {
            let fresh = numbers.len() as u32;
            *numbers.entry(key).or_insert(fresh)
        });
        (parts.collect(), numbers.len())
    }
    let (mut part, mut count) = numbered(outputs.iter());
    loop {
        let rows = next.chunks(classes);
        let keys =
            rows.zip(&part).map(|(row, &own)| (own, row.iter().map(|&to| part[to as usize]).collect::<Vec<_>>()));
        let (finer, more) = numbered(keys);
        let stable = more == count;
        (part, count) = (finer, more);
        if stable {
            break;
        }
    }
    let mut kept = vec![usize::MAX; count];
    for (state, &number) in part.iter().enumerate().rev() {
        kept[number as usize] = state;
    }
    let rows = kept.iter().flat_map(|&state| &next[state * classes..][..classes]);
    (rows.map(|&to| part[to as usize]).collect(), kept)
}

/// Refuses tables that are too large.
pub fn check_size(bytes: usize) -> Infer<()> {
    if bytes <= TABLES { Ok(()) } else { Err(format!("its tables have {bytes} bytes, more than {TABLES}")) }
}
