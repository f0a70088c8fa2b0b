//! Machine code through Cranelift: one function per kernel, and one per routine.
//!
//! Cranelift is used as an assembler with register allocation: it does not optimise, so addresses are split and hoisted
//! here (`address`), loads are shared (`expr`), vector loops become lanes (`lanes`) and register arrays become values
//! (`local`). A kernel is called as `extern "C" fn(frame, begin, end)`; the frame is an object on the entry's stack,
//! see [`crate::entry::Frame`], and `begin..end` is the part of the outermost loop to run when that loop is parallel.

mod address;
mod arena;
mod arith;
mod convert;
mod entry;
mod expr;
mod half;
mod kernel;
mod lanes;
mod local;
mod looping;
mod narrow;
mod turn;
mod wide;
#[cfg(test)]
mod tests;

pub(super) use entry::lower;

use super::{Code, Target, code, elementary, x86};
use crate::{
    base::{Dim, Problems},
    entry::{Entry, Field, Slots, parallel_extent},
    plan::{Place, Program, TargetInfo},
};

/// Where a kernel finds the first element of a buffer.
#[derive(Clone, Debug)]
enum Base {
    /// The pointer in this slot of the io struct.
    Slot(u32),
    /// Bytes from where the pointer in this slot of the io struct is to.
    State(u32, u64),
    /// Bytes from the workspace's start.
    Workspace(Dim),
    /// Bytes from the start of the weights.
    Weights(u64),
    /// Bytes from the start of the chain's slice.
    Slice(i64),
}

/// The kernels of a model's entries, for a target.
pub(super) struct Kernels<'a> {
    pub target: &'a Target,
    pub entries: &'a [Entry<'a>],
    /// By weight, bytes from the start of all of them.
    pub weight_offsets: Vec<u64>,
}

impl<'a> Kernels<'a> {
    /// The code of a launch.
    pub fn lower(&self, entry: usize, program: usize, number: usize) -> Result<Code, Problems> {
        let (program, level) = self.entries[entry].bodies.all()[program];
        let level = &self.target.levels[level];
        let launch = &program.launches[number];
        let place = |problems: Problems| match &launch.origin {
            Some(origin) => problems.map(|d| d.at_node(origin.clone())),
            None => problems,
        };
        let bases = launch.args.iter().map(|&s| match &program.storage[s].place {
            Place::Input(n) => Base::Slot(Slots(program).input(*n)),
            Place::Output(n) => Base::Slot(Slots(program).output(*n)),
            Place::Weights(id) => Base::Weights(self.weight_offsets[id.index()]),
            Place::State(at) => Base::State(Slots(program).state(), *at),
            Place::Workspace(at) => Base::Workspace(at.clone()),
            Place::Slice(at) => Base::Slice(*at),
        });
        let symbols = program.symbols.iter().enumerate().map(|(n, s)| (s.clone(), Slots(program).symbol(n)));
        let (bases, symbols): (Vec<_>, Vec<_>) = (bases.collect(), symbols.collect());
        let lower = |info: &TargetInfo, machine| {
            let expanded = elementary::expand(&launch.kernel, machine);
            kernel::lower(level, info, &expanded, bases.clone(), symbols.clone(), &program.formulas).map_err(place)
        };
        if !level.info.is_wide() {
            return Ok(code::finish(level, lower(&level.info, level.machine())?));
        }
        match x86::compile(&lower(&level.info, level.machine())?, level, launch.kernel.updates()) {
            Ok(code) => Ok(code),
            Err(what) => {
                let code = code::finish(level, lower(&level.info.narrow(), level.machine().narrow())?);
                Ok(Code { declined: Some(what), ..code })
            }
        }
    }

    /// The launch of an earlier entry, by its numbers, that has the same kernel at the same place: its code is this one's.
    /// Signatures are often the same function under two names.
    pub fn twin(&self, entry: usize, number: usize, launch: usize) -> Option<(usize, usize, usize)> {
        let places = |p: &'a Program| p.launches[launch].args.iter().map(|&s| &p.storage[s].place);
        let own = self.entries[entry].program(number);
        let same = |&earlier: &usize| {
            if number >= self.entries[earlier].bodies.all().len() {
                return false;
            }
            let other = self.entries[earlier].program(number);
            other.launches.get(launch).is_some_and(|l| l.kernel == own.launches[launch].kernel)
                && (other.inputs.len(), other.outputs.len(), &other.symbols, &other.formulas)
                    == (own.inputs.len(), own.outputs.len(), &own.symbols, &own.formulas)
                && places(other).eq(places(own))
        };
        (0..entry).find(same).map(|earlier| (earlier, number, launch))
    }
}
