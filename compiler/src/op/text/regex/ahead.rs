//! What an automaton sees of the text behind a boundary, and which way it goes then.

use regex_automata::{
    nfa::thompson::State,
    util::{look::Look, primitives::StateID},
};

use super::{
    super::super::Infer,
    automaton::{Kind, Net, explore, free, holds},
};

/// What follows a boundary: the states that take the next byte and reach the end of a match, in order, and its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ahead {
    pub taking: Vec<StateID>,
    pub behind: Kind,
}

impl Net {
    /// The automaton that reads the text backwards: its states at boundaries, from that at the end of the text on, and by state and
    /// class the number of the next one.
    pub fn backwards(&self) -> Infer<(Vec<Ahead>, Vec<u32>)> {
        // By state, those that go there without a byte, and the look around that has to hold.
        let mut before: Vec<Vec<(StateID, Option<Look>)>> = vec![vec![]; self.nfa.states().len()];
        let mut ends = vec![];
        for (id, state) in (0..).map(StateID::new_unchecked).zip(self.nfa.states()) {
            free(state).for_each(|(next, look)| before[next].push((id, look)));
            if matches!(state, State::Match { .. }) {
                ends.push(id);
            }
        }
        let start = Ahead { taking: vec![], behind: self.edge() };
        explore(start, self.class_count(), |ahead| {
            // All from which a match is reached at the boundary before, by the kind of the byte before it.
            let viable = self.by_kind(|kind| {
                let mut viable = vec![false; before.len()];
                let mut open: Vec<StateID> = ahead.taking.iter().chain(&ends).copied().collect();
                open.iter().for_each(|&state| viable[state] = true);
                while let Some(state) = open.pop() {
                    for &(from, look) in &before[state] {
                        if !viable[from] && look.is_none_or(|look| holds(look, kind, ahead.behind)) {
                            viable[from] = true;
                            open.push(from);
                        }
                    }
                }
                viable
            });
            let step = |class| {
                let behind = self.kind(class);
                let reaches = |to: StateID| viable.iter().any(|(kind, all)| *kind == behind && all[to]);
                let taking = self.taking[class].iter().filter(|(_, to)| reaches(*to)).map(|(from, _)| *from).collect();
                Ahead { taking, behind }
            };
            (0..self.class_count()).map(step).collect()
        })
    }
    /// Whether a state takes bytes.
    pub fn takes(&self, state: StateID) -> bool {
        matches!(self.nfa.state(state), State::ByteRange { .. } | State::Sparse(_) | State::Dense(_))
    }
    /// The first state, by priority, that is reached from one at a boundary and ends a match or is one of those, in order, that
    /// take the byte behind it with success; and the slots of groups that are passed, as bits.
    pub fn chosen(&self, from: StateID, taking: &[StateID], [before, behind]: [Kind; 2]) -> Option<(StateID, u32)> {
        let mut seen = vec![];
        let mut open = vec![(from, 0u32)];
        while let Some((state, slots)) = open.pop() {
            // They are few.
            if seen.contains(&state) {
                continue;
            }
            seen.push(state);
            if self.ends(state).is_some() || taking.binary_search(&state).is_ok() {
                return Some((state, slots));
            }
            let slots = match self.nfa.state(state) {
                State::Capture { pattern_id, group_index, slot, .. } if pattern_id.as_usize() == 0 => {
                    // Even slots are where groups begin.
                    let bit = 2 * group_index.as_usize() + slot.as_usize() % 2;
                    if bit < 32 { slots | 1 << bit } else { slots }
                }
                _ => slots,
            };
            let next: Vec<_> = free(self.nfa.state(state)).collect();
            let holding = next.into_iter().rev().filter(|(_, look)| look.is_none_or(|l| holds(l, before, behind)));
            open.extend(holding.map(|(next, _)| (next, slots)));
        }
        None
    }
}
