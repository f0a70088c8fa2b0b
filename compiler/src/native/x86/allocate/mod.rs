//! From virtual registers to physical ones.
//!
//! Every virtual register has a live range over the linear order of blocks. Ranges that do not meet and would need a
//! move between them (a block's parameter and its argument, a result and the operand that it overwrites) become one
//! *bundle*, so an accumulator stays in one register through its loop. Bundles get registers in the order in which they
//! start; where none is free the one goes that is worth least (uses, by loop depth, per length) to a stack slot, or
//! nowhere at all when it is a constant that an instruction without sources makes. What has no register is read from
//! memory by the instructions that can, and passes through a scratch register for the others; as many of
//! these are kept back as turn out to be needed. Constants that loops read compete for registers too ([`constants`]), and
//! what a loop computed may have a register in it and none behind it ([`exits`]).
//!
//! rsp and rbp are the frame's, rax and rdx are scratch; they are never allocated. Nothing that is added writes flags.

mod assign;
mod bundle;
mod constants;
mod dominators;
mod exits;
mod moves;
mod ranges;
mod rewrite;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use ranges::Ranges;

use super::{
    function::{Convention, Function, Level},
    inst::{Class, Inst, Reg},
};

/// A function over physical registers.
#[derive(Clone, Debug)]
pub struct Allocated {
    pub function: Function,
    /// What the function addresses from rsp upwards.
    pub frame_bytes: u32,
    /// What rsp has to be a multiple of.
    pub frame_align: u32,
    /// The registers that the caller wants back, among those written.
    pub saved: Vec<Reg>,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests count them"))]
    pub spill_slots: usize,
    /// By loop depth, the instructions that read or write what has no register.
    pub spill_accesses: Vec<u32>,
}

/// Where a virtual register's value lies.
#[derive(Clone, Debug, PartialEq)]
enum Location {
    Reg(Reg),
    /// A slot of the frame, by its offset from rsp.
    Slot(i32),
    /// Nowhere: the instruction makes it again where it is used.
    Again(Box<Inst>),
}

/// Registers that may be allocated, in the order of preference: those that the caller does not want back first.
fn allocatable(level: Level, convention: Convention, class: Class) -> Vec<Reg> {
    let numbers: Vec<u8> = match (class, level, convention) {
        (Class::Int, _, Convention::SystemV) => vec![1, 6, 7, 8, 9, 10, 11, 3, 12, 13, 14, 15],
        (Class::Int, _, Convention::Windows) => vec![1, 8, 9, 10, 11, 3, 6, 7, 12, 13, 14, 15],
        (Class::Vec, Level::Avx2, _) => (0..16).collect(),
        (Class::Vec, Level::Avx512, Convention::SystemV) => (0..32).collect(),
        (Class::Vec, Level::Avx512, Convention::Windows) => (0..6).chain(16..32).chain(6..16).collect(),
        // k0 cannot be a predicate.
        (Class::Mask, ..) => (1..8).collect(),
    };
    numbers.into_iter().map(|n| Reg::physical(class, n)).collect()
}

/// Whether the caller wants the register back.
fn is_saved(convention: Convention, r: Reg) -> bool {
    match (r.class(), convention) {
        (Class::Int, Convention::SystemV) => matches!(r.number(), 3 | 12..=15),
        (Class::Int, Convention::Windows) => matches!(r.number(), 3 | 6 | 7 | 12..=15),
        (Class::Vec, Convention::Windows) => (6..16).contains(&r.number()),
        _ => false,
    }
}

/// Where arguments arrive.
fn arguments(convention: Convention) -> Vec<Reg> {
    match convention {
        Convention::SystemV => [7, 6, 2, 1, 8, 9].map(|n| Reg::physical(Class::Int, n)).to_vec(),
        Convention::Windows => [1, 2, 8, 9].map(|n| Reg::physical(Class::Int, n)).to_vec(),
    }
}

/// Kept back for a class when something of it has no register: as many as one instruction may need.
fn scratch(level: Level, class: Class) -> Vec<Reg> {
    let numbers: &[u8] = match (class, level) {
        (Class::Int, _) => &[0, 2],
        (Class::Vec, Level::Avx2) => &[3, 4, 5],
        (Class::Vec, Level::Avx512) => &[16, 17, 18],
        (Class::Mask, _) => &[6, 7],
    };
    numbers.iter().map(|n| Reg::physical(class, *n)).collect()
}

/// Gives every virtual register a place.
pub fn allocate(function: &Function) -> Allocated {
    let function = constants::hoist(function);
    let done = place(&function, &HashSet::new());
    if done.spill_accesses.iter().all(|n| *n == 0) {
        return done;
    }
    // What has no register behind a loop may have one in it.
    let (function, names) = exits::name(&function);
    let other = place(&function, &names);
    if other.cost() < done.cost() { other } else { done }
}

fn place(function: &Function, apart: &HashSet<Reg>) -> Allocated {
    let ranges = Ranges::new(function);
    let bundles = bundle::coalesce(function, &ranges, apart);
    // As many scratch registers are kept back as it shows that are needed: reading constants takes few, mostly.
    let mut kept = [2, 0, 0];
    loop {
        let places = assign::assign(function, &ranges, &bundles, kept);
        match rewrite::rewrite(function, &places) {
            Ok(done) => return done,
            Err(rewrite::NoScratch(class)) => kept[class as usize] += 1,
        }
    }
}

impl Allocated {
    /// Accesses to what has no register, by how often they run.
    fn cost(&self) -> f64 {
        (0..).zip(&self.spill_accesses).map(|(depth, n)| f64::from(*n) * 10f64.powi(depth)).sum()
    }
}
