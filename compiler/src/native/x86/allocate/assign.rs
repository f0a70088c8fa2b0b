//! A place for every bundle.

use std::collections::BTreeMap;

use super::{
    Location, allocatable,
    bundle::{Bundle, Bundles},
    ranges::{Range, Ranges, meet},
    scratch,
};
use crate::native::x86::{
    function::Function,
    inst::{Class, Reg},
};

pub struct Places {
    /// For each virtual register by index; none for what never occurs.
    pub of: Vec<Option<Location>>,
    /// For each class, the first virtual register's index.
    pub ranges_first: [usize; 3],
    pub frame_bytes: u32,
    pub frame_align: u32,
    pub spill_slots: usize,
    /// How many scratch registers are kept back for each class.
    pub kept: [usize; 3],
}

impl Places {
    pub fn get(&self, r: Reg) -> &Location {
        let place = &self.of[self.ranges_first[r.class() as usize] + r.number() as usize];
        place.as_ref().expect("every register that occurs has a place")
    }
}

/// Places for all bundles, which leave so many scratch registers of each class.
pub fn assign(f: &Function, ranges: &Ranges, bundles: &Bundles, kept: [usize; 3]) -> Places {
    let mut registers: Vec<Option<Reg>> = vec![None; bundles.all.len()];
    for class in [Class::Int, Class::Vec, Class::Mask] {
        let of_class: Vec<usize> = (0..bundles.all.len()).filter(|n| bundles.all[*n].class == class).collect();
        let mut available = allocatable(f.level, f.convention, class);
        let scratch = scratch(f.level, class);
        available.retain(|r| !scratch[..kept[class as usize]].contains(r));
        let file = File::fill(&bundles.all, &of_class, &available);
        for (r, held) in available.iter().zip(&file.held) {
            held.values().for_each(|(_, n)| registers[*n] = Some(*r));
        }
    }
    let mut frame = Frame::default();
    let mut spills: Vec<Spill> = vec![];
    let locations: Vec<Location> = (bundles.all.iter().zip(&registers))
        .map(|(bundle, register)| match (register, &bundle.again) {
            (Some(r), _) => Location::Reg(*r),
            (None, Some(inst)) => Location::Again(Box::new(inst.clone())),
            (None, None) => Location::Slot(spill(&mut spills, &mut frame, bundle)),
        })
        .collect();
    Places {
        of: bundles.of.iter().map(|n| n.map(|n| locations[n].clone())).collect(),
        ranges_first: ranges.first,
        frame_bytes: frame.bytes.next_multiple_of(frame.align.max(1)),
        frame_align: frame.align.max(1),
        spill_slots: spills.len(),
        kept,
    }
}

/// The registers of a class, with what they hold.
struct File<'a> {
    bundles: &'a [Bundle],
    /// For each register, by the start of an interval: its end, and the bundle.
    held: Vec<BTreeMap<u32, (u32, usize)>>,
    /// The register of each bundle.
    place: Vec<Option<usize>>,
}

impl<'a> File<'a> {
    fn fill(bundles: &'a [Bundle], of_class: &[usize], registers: &[Reg]) -> File<'a> {
        let (held, place) = (vec![BTreeMap::new(); registers.len()], vec![None; bundles.len()]);
        let mut file = File { bundles, held, place };
        let mut order = of_class.to_vec();
        order.sort_by_key(|&n| (bundles[n].range[0].0, n));
        let mut evicted = vec![];
        for n in order {
            match file.free(n, registers) {
                Some(r) => file.put(n, r),
                None => evicted.extend(file.make_room(n)),
            }
        }
        // What was put out may fit where something else was put out since.
        evicted.sort_by(|&a: &usize, &b| bundles[b].weight.total_cmp(&bundles[a].weight).then(a.cmp(&b)));
        for n in evicted {
            if let Some(r) = file.free(n, registers) {
                file.put(n, r);
            }
        }
        file
    }

    /// The first register that is free for a bundle, or the one that saves a move.
    fn free(&self, n: usize, registers: &[Reg]) -> Option<usize> {
        let hint = self.bundles[n].hint.and_then(|hint| registers.iter().position(|r| *r == hint));
        let near = self.bundles[n].near.and_then(|near| self.place[near]);
        hint.into_iter().chain(near).chain(0..registers.len()).find(|&r| self.is_free(n, r))
    }

    /// Whether no bundle in a register is live where this one is.
    fn is_free(&self, n: usize, register: usize) -> bool {
        let held = &self.held[register];
        self.bundles[n].range.iter().all(|&(from, to)| {
            let before = held.range(..from).next_back().is_some_and(|(_, (end, _))| *end > from);
            !before && held.range(from..to).next().is_none()
        })
    }

    /// The bundles in a register that are live where this one is.
    fn meeting(&self, n: usize, register: usize) -> Vec<usize> {
        let held = &self.held[register];
        let mut met = vec![];
        for &(from, to) in &self.bundles[n].range {
            let before = held.range(..from).next_back().filter(|(_, (end, _))| *end > from);
            met.extend(before.into_iter().chain(held.range(from..to)).map(|(_, (_, other))| *other));
        }
        met.sort_unstable();
        met.dedup();
        met
    }

    fn put(&mut self, n: usize, register: usize) {
        self.place[n] = Some(register);
        self.held[register].extend(self.bundles[n].range.iter().map(|&(from, to)| (from, (to, n))));
    }

    /// Takes the register whose bundles are worth least together, unless this one is worth less. Returns what has no
    /// register then.
    fn make_room(&mut self, n: usize) -> Vec<usize> {
        let worth = |met: &[usize]| met.iter().map(|&m| self.bundles[m].weight).fold(0.0, f32::max);
        let candidates = (0..self.held.len()).map(|r| (r, self.meeting(n, r)));
        let least = candidates.min_by(|a, b| worth(&a.1).total_cmp(&worth(&b.1)));
        match least {
            Some((register, met)) if worth(&met) < self.bundles[n].weight => {
                for &m in &met {
                    self.place[m] = None;
                    for (from, _) in &self.bundles[m].range {
                        self.held[register].remove(from);
                    }
                }
                self.put(n, register);
                met
            }
            _ => vec![n],
        }
    }
}

/// The function's part of the stack.
#[derive(Default)]
struct Frame {
    bytes: u32,
    align: u32,
}

impl Frame {
    fn place(&mut self, bytes: u32, align: u32) -> i32 {
        let at = self.bytes.next_multiple_of(align);
        self.bytes = at + bytes;
        self.align = self.align.max(align);
        at as i32
    }
}

/// A slot and where what it holds is live.
struct Spill {
    at: i32,
    bytes: u32,
    range: Range,
}

/// A slot that is free where the bundle is live.
fn spill(spills: &mut Vec<Spill>, frame: &mut Frame, bundle: &Bundle) -> i32 {
    let bytes = slot_bytes(bundle.class, bundle.bytes);
    match spills.iter_mut().find(|s| s.bytes == bytes && !meet(&s.range, &bundle.range)) {
        Some(spill) => {
            spill.range = super::ranges::join(&spill.range, &bundle.range);
            spill.at
        }
        None => {
            let at = frame.place(bytes, bytes);
            spills.push(Spill { at, bytes, range: bundle.range.clone() });
            at
        }
    }
}

/// The bytes of a slot for values of so many.
pub fn slot_bytes(class: Class, bytes: u32) -> u32 {
    if class == Class::Vec { bytes.next_power_of_two().max(16) } else { 8 }
}
