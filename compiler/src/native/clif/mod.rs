//! Machine code through Cranelift: one function per kernel, and the entry points that call them.
//!
//! Cranelift is used as an assembler with register allocation: it does not optimise, so addresses are split and hoisted
//! here (`address`), loads are shared (`expr`), vector loops become lanes (`lanes`) and register arrays become values
//! (`local`). A kernel is called as `extern "C" fn(frame, begin, end)`; the frame is an object on the entry's stack,
//! see [`Frame`], and `begin..end` is the part of the outermost loop to run when that loop is parallel.

mod address;
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
mod wide;
#[cfg(test)]
mod tests;

use super::{
    Code, Entry, Function, Reach, Target, code, dispatch, elementary,
    launch::{Frame, may_be_crowded, may_be_few, parallel_extent},
    x86,
};
use crate::{
    base::{Dim, Problems},
    loops::{Kernel, Stmt, statements},
    plan::{Bodies, Launch, Place, Program, TargetInfo},
};

/// Where a kernel finds the first element of a buffer.
#[derive(Clone, Debug)]
enum Base {
    /// The pointer in the io struct at this offset.
    Slot(i32),
    /// Bytes from the workspace's start.
    Workspace(Dim),
    /// Bytes from the start of the weights.
    Weights(u64),
    /// Bytes from the start of the chain's slice.
    Slice(i64),
}

/// Offsets of an entry's slots in the io struct.
#[derive(Clone, Copy)]
struct Slots<'a>(&'a Program);

impl Slots<'_> {
    fn input(self, n: usize) -> i32 {
        n as i32 * 8
    }
    fn output(self, n: usize) -> i32 {
        self.input(self.0.inputs.len() + n)
    }
    fn symbol(self, n: usize) -> i32 {
        self.output(self.0.outputs.len() + n)
    }
    fn threads(self) -> i32 {
        self.symbol(self.0.symbols.len())
    }
    fn cpu(self) -> i32 {
        self.threads() + 8
    }
}

/// Which functions a model has, and their order: per entry the kernels of each program, followed by the functions that run
/// its chains; its dimensions check, if it needs one; the function itself and its size function. Then the function that
/// runs part of a slice, if calls may have few, the one that shares parallel loops out, if there are any, the model's
/// `invoke` and `workspace_bytes`, and where the caller binds the weights `bind_weights` and `weights_bytes`. With
/// several levels, a function behind those of each program runs it, and the last function of all chooses the level.
pub(super) struct Plan<'a> {
    target: &'a Target,
    name: &'a str,
    entries: &'a [Entry<'a>],
    weight_offsets: Vec<u64>,
    weight_bytes: u64,
    reach: Reach,
    /// By entry and program, the number of the first kernel's function.
    first: Vec<Vec<usize>>,
    functions: usize,
    /// Whether threads may take parts of some kernel.
    shares: bool,
    /// Whether they may do so within a slice of a chain.
    parts: bool,
}

/// A function to make; numbers of entries, programs, and launches or chains.
#[derive(Clone, Copy)]
pub(super) enum Job {
    Kernel(usize, usize, usize),
    Chain(usize, usize, usize),
    Run(usize, usize),
    Dimensions(usize),
    Entry(usize),
    Workspace(usize),
    Part,
    Share,
    Invoke,
    WorkspaceBytes,
    BindWeights,
    WeightsBytes,
    Choose,
}

impl<'a> Plan<'a> {
    /// `weights` are the offsets of the weights, and the bytes of all of them.
    pub fn new(
        target: &'a Target,
        name: &'a str,
        entries: &'a [Entry<'a>],
        weights: (Vec<u64>, u64),
        reach: Reach,
    ) -> Plan<'a> {
        let (weight_offsets, weight_bytes) = weights;
        let (first, functions, shares, parts) = (vec![], 0, false, false);
        let mut plan =
            Plan { target, name, entries, weight_offsets, weight_bytes, reach, first, functions, shares, parts };
        for entry in entries {
            let programs =
                [&entry.bodies.open].into_iter().chain(entry.bodies.equal.iter().map(|(_, programs)| programs));
            assert!(programs.into_iter().all(|p| p.len() == target.levels.len()), "an entry has a program per level");
            let mut first = vec![];
            for program in entry.programs() {
                first.push(plan.functions);
                plan.shares |= program.units().into_iter().any(|unit| entry::is_shared(program, unit));
                plan.parts |= program.chains.iter().any(|chain| may_be_few(chain) || may_be_crowded(chain));
                plan.functions += program.launches.len() + program.chains.len() + usize::from(plan.chooses());
            }
            plan.first.push(first);
            plan.functions += 2 + usize::from(entry::settled(entry).is_none());
        }
        plan.functions += usize::from(plan.shares) + usize::from(plan.parts) + plan.last();
        plan
    }

    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs = vec![];
        for (e, entry) in self.entries.iter().enumerate() {
            for (p, program) in entry.programs().enumerate() {
                jobs.extend((0..program.launches.len()).map(|k| Job::Kernel(e, p, k)));
                jobs.extend((0..program.chains.len()).map(|c| Job::Chain(e, p, c)));
                jobs.extend(self.chooses().then_some(Job::Run(e, p)));
            }
            jobs.extend(entry::settled(entry).is_none().then_some(Job::Dimensions(e)));
            jobs.extend([Job::Entry(e), Job::Workspace(e)]);
        }
        jobs.extend(self.parts.then_some(Job::Part));
        jobs.extend(self.shares.then_some(Job::Share));
        jobs.extend([Job::Invoke, Job::WorkspaceBytes]);
        if self.reach == Reach::Bound {
            jobs.extend([Job::BindWeights, Job::WeightsBytes]);
        }
        jobs.extend(self.chooses().then_some(Job::Choose));
        assert_eq!(jobs.len(), self.functions);
        jobs
    }

    /// Whether a call chooses between levels.
    fn chooses(&self) -> bool {
        self.target.levels.len() > 1
    }
    /// The program of this number of an entry: those of all levels for every call, then those for some calls.
    fn program(&self, entry: usize, number: usize) -> &'a Program {
        let Bodies { open, equal } = self.entries[entry].bodies;
        match number.checked_sub(open.len()) {
            None => &open[number],
            Some(level) => &equal.as_ref().expect("there are programs for some calls").1[level],
        }
    }
    fn level_of(&self, program: usize) -> usize {
        program % self.target.levels.len()
    }
    fn count_programs(&self, entry: usize) -> usize {
        self.first[entry].len()
    }
    fn launches(&self, entry: usize, program: usize) -> &'a [Launch] {
        &self.program(entry, program).launches
    }
    /// The number of the first function of an entry's program, which is its first kernel.
    fn first(&self, entry: usize, program: usize) -> usize {
        self.first[entry][program]
    }
    fn chain(&self, entry: usize, program: usize, chain: usize) -> usize {
        self.first(entry, program) + self.launches(entry, program).len() + chain
    }
    /// The function that runs a program, where a call chooses between levels.
    fn run_program(&self, entry: usize, program: usize) -> usize {
        self.chain(entry, program, self.program(entry, program).chains.len())
    }
    /// The function that checks the dimensions, unless there is nothing to check.
    fn dimensions(&self, entry: usize) -> usize {
        self.run_program(entry, self.count_programs(entry) - 1) + usize::from(self.chooses())
    }
    fn entry(&self, entry: usize) -> usize {
        self.dimensions(entry) + usize::from(entry::settled(&self.entries[entry]).is_none())
    }
    /// The numbers of an entry's signatures.
    fn signatures(&self, entry: usize) -> std::ops::Range<usize> {
        let of = |e: &Entry<'_>| 1 + e.aliases.len();
        let first = self.entries[..entry].iter().map(of).sum();
        first..first + of(&self.entries[entry])
    }
    fn invoke(&self) -> usize {
        self.functions - self.last()
    }
    /// The number of functions from `invoke` on.
    fn last(&self) -> usize {
        2 + 2 * usize::from(self.reach == Reach::Bound) + usize::from(self.chooses())
    }
    fn share(&self) -> usize {
        self.invoke() - 1
    }
    fn part(&self) -> usize {
        self.share() - 1
    }
    fn choose(&self) -> usize {
        self.functions - 1
    }

    pub fn run(&self, job: &Job) -> Result<Function, Problems> {
        let name = |entry: usize, suffix: &str| format!("{}_{}{suffix}", self.name, self.entries[entry].c_name);
        let suffix = |e: usize, p: usize| {
            let (level, levels) = (self.level_of(p), self.target.levels.len());
            let open = if self.count_programs(e) > levels && p < levels { "_open" } else { "" };
            format!("{open}{}", if level > 0 { self.target.levels[level].suffix } else { "" })
        };
        let function = |name, exported, code| Ok(Function { name, exported, aliases: vec![], level: None, code });
        let entry = |entry: usize, suffix: &str, code| {
            let aliases = self.entries[entry].aliases.iter();
            let aliases = aliases.map(|alias| format!("{}_{alias}{suffix}", self.name)).collect();
            Ok(Function { name: name(entry, suffix), exported: true, aliases, level: None, code })
        };
        let of_level =
            |name, p, code| Function { name, exported: false, aliases: vec![], level: Some(self.level_of(p)), code };
        match *job {
            Job::Kernel(e, p, k) => {
                let code = self.kernel(e, p, k)?;
                let name = name(e, &format!("_{}{}", self.launches(e, p)[k].kernel.name, suffix(e, p)));
                Ok(of_level(name, p, code))
            }
            Job::Chain(e, p, c) => {
                let first = self.program(e, p).chains[c].launches.start;
                let name = name(e, &format!("_{}_chain{}", self.launches(e, p)[first].kernel.name, suffix(e, p)));
                Ok(of_level(name, p, entry::chain(self, e, p, c)))
            }
            Job::Run(e, p) => {
                let name = name(e, &format!("_run{}", suffix(e, p)));
                Ok(of_level(name, p, entry::run_program(self, e, p)))
            }
            Job::Dimensions(e) => function(name(e, "_dimensions"), false, entry::dimensions(self, e)),
            Job::Entry(e) => entry(e, "", entry::entry(self, e)),
            Job::Workspace(e) => entry(e, "_workspace", entry::workspace(self, e)),
            Job::Part => function(format!("{}_part", self.name), false, entry::part(self)),
            Job::Share => function(format!("{}_share", self.name), false, entry::share(self)),
            Job::Invoke => function(format!("{}_invoke", self.name), true, entry::invoke(self)),
            Job::WorkspaceBytes => {
                function(format!("{}_workspace_bytes", self.name), true, entry::workspace_bytes(self))
            }
            Job::BindWeights => function(format!("{}_bind_weights", self.name), true, entry::bind_weights(self)),
            Job::WeightsBytes => function(format!("{}_weights_bytes", self.name), true, entry::weights_bytes(self)),
            Job::Choose => function(format!("{}_cpu", self.name), false, dispatch::choose(self.target)),
        }
    }

    fn kernel(&self, entry: usize, program: usize, number: usize) -> Result<Code, Problems> {
        let level = &self.target.levels[self.level_of(program)];
        let program = self.program(entry, program);
        let launch = &program.launches[number];
        let place = |problems: Problems| match &launch.origin {
            Some(origin) => problems.map(|d| d.at_node(origin.clone())),
            None => problems,
        };
        let bases = launch.args.iter().map(|&s| match &program.storage[s].place {
            Place::Input(n) => Base::Slot(Slots(program).input(*n)),
            Place::Output(n) => Base::Slot(Slots(program).output(*n)),
            Place::Weights(id) => Base::Weights(self.weight_offsets[id.index()]),
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

    /// The function whose code a kernel's is, without making it: that of an earlier entry with the same kernel at the same
    /// place. Signatures are often the same function under two names.
    pub fn twin(&self, job: &Job) -> Option<usize> {
        let Job::Kernel(e, l, k) = *job else { return None };
        let places = |p: &'a Program| p.launches[k].args.iter().map(|&s| &p.storage[s].place);
        let own = self.program(e, l);
        let same = |&earlier: &usize| {
            if l >= self.count_programs(earlier) {
                return false;
            }
            let other = self.program(earlier, l);
            other.launches.get(k).is_some_and(|launch| launch.kernel == own.launches[k].kernel)
                && (other.inputs.len(), other.outputs.len(), &other.symbols, &other.formulas)
                    == (own.inputs.len(), own.outputs.len(), &own.symbols, &own.formulas)
                && places(other).eq(places(own))
        };
        (0..e).find(same).map(|earlier| self.first(earlier, l) + k)
    }

    /// By entry and program, the numbers of the kernels' functions in the order of the launches, then those of chains.
    pub fn kernels(&self) -> Vec<Vec<std::ops::Range<usize>>> {
        let programs = |entry: usize| (0..self.count_programs(entry)).map(move |p| (entry, p));
        let range = |(e, p): (usize, usize)| self.first(e, p)..self.run_program(e, p);
        (0..self.entries.len()).map(|e| programs(e).map(range).collect()).collect()
    }

    /// The stack that a call through `invoke` uses: the deepest chain of functions.
    pub fn stack_bytes(&self, entry: usize, functions: &[Function]) -> u64 {
        let deepest = |range: std::ops::Range<usize>| functions[range].iter().map(|f| f.code.stack_bytes).max();
        let program = |p: usize| {
            let (first, run) = (self.first(entry, p), self.run_program(entry, p));
            let run_program = if self.chooses() { functions[run].code.stack_bytes } else { 0 };
            let share = if self.shares { functions[self.share()].code.stack_bytes } else { 0 };
            let chains = self.chain(entry, p, 0);
            let part = if self.parts { functions[self.part()].code.stack_bytes } else { 0 };
            let chain = deepest(chains..run).unwrap_or(0).max(part);
            run_program + share + chain + deepest(first..chains).unwrap_or(0)
        };
        let programs = (0..self.count_programs(entry)).map(program).max().unwrap_or(0);
        let stack = |n: usize| functions[n].code.stack_bytes;
        let choose = if self.chooses() { stack(self.choose()) } else { 0 };
        let check = if entry::settled(&self.entries[entry]).is_none() { stack(self.dimensions(entry)) } else { 0 };
        let called = programs.max(choose).max(check);
        called + stack(self.entry(entry)) + stack(self.invoke())
    }
}

/// Whether a kernel can end early.
fn can_fail(kernel: &Kernel) -> bool {
    statements(&kernel.body).any(|stmt| matches!(stmt, Stmt::Check { .. }))
}
