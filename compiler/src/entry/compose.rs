//! Which functions a model has, and their order.
//!
//! Per entry the kernels of each program, followed by the functions that run its chains, its branches and loops and, with
//! several levels, the one that runs the program; programs within others come behind all others; the check of its dimensions, if it needs one; the function itself and its size function. Then
//! what runs part of a slice, if calls may have few; what shares parallel loops out, if there are any; the model's
//! `invoke` and `workspace_bytes`; where the caller binds the weights, `bind_weights` and `weights_bytes`; what makes, keeps
//! and brings back a state, where there is one; with several levels, what chooses one; and last the functions of custom operators,
//! which are not in the model.

use std::ops::Range;

use super::{
    Reach, Routine, StateBlock, arena_bytes, call, chain, flow, invoke, run, share, state,
    units::{is_shared, may_be_crowded, may_be_few},
    weights,
};
use crate::{
    base::Dim,
    graph::Call,
    plan::{Bodies, Flow, Program},
};

/// An entry of the model: the C name of its function behind the model's prefix, and its programs. Those of one kind
/// differ by level in kernels and buffers, not in inputs, outputs, symbols and guards.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub c_name: &'a str,
    /// Other C names of the same function; each is a signature of its own for `invoke`, behind that of the first name.
    pub aliases: &'a [&'a str],
    pub bodies: &'a Bodies,
}

impl Model {
    /// The functions that the model has itself; behind them come those that it calls only.
    pub fn own(&self) -> &[Member] {
        let foreign = self.members.iter().rev().take_while(|member| matches!(member.what, What::Foreign(_))).count();
        &self.members[..self.members.len() - foreign]
    }
}

impl<'a> Entry<'a> {
    /// The program of the lowest level: what callers see of all of them can be read there.
    pub fn shared(&self) -> &'a Program {
        &self.bodies.open[0]
    }
    /// All programs: those for every call by level, and then those for some calls.
    pub fn programs(&self) -> impl Iterator<Item = &'a Program> + Clone {
        self.bodies.programs()
    }
    /// The program of this number, by the order of [`Bodies::all`].
    pub fn program(&self, number: usize) -> &'a Program {
        self.bodies.all()[number].0
    }
}

/// Bytes of a workspace that is large enough for every one of the programs.
pub fn workspace<'a>(programs: impl IntoIterator<Item = &'a Program>) -> Dim {
    let (mut most, mut strings) = (Dim::zero(), None);
    for program in programs {
        most = most.at_least(&program.workspace);
        strings = strings.max(program.strings);
    }
    strings.map_or(most.clone(), |room| most + arena_bytes(room) as i64)
}

/// A processor level of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// By which callers ask for it, above 0.
    pub number: u32,
    /// Behind the names of its functions.
    pub suffix: &'static str,
}

/// What routines depend on besides programs.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Of the model; all symbols start with it.
    pub name: &'a str,
    /// In ascending order.
    pub levels: &'a [Level],
    pub reach: Reach,
    /// By weight, bytes from the start of all of them.
    pub weight_offsets: &'a [u64],
    /// Bytes of all weights.
    pub weight_bytes: u64,
    /// What outlives calls, if something does.
    pub state: Option<&'a StateBlock>,
}

/// A function of a model.
#[derive(Clone, Debug)]
pub struct Member {
    /// The whole symbol.
    pub name: String,
    pub exported: bool,
    /// Other symbols for it.
    pub aliases: Vec<String>,
    /// Which of the levels the function is for; none when all of them use it.
    pub level: Option<usize>,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Numbers of an entry, a program of it and a launch of that.
    Kernel(usize, usize, usize),
    Routine(Routine),
    /// `word choose(word wanted)`: the number of the level to run, or 0 for none. It asks the processor.
    Choose,
    /// A function that whoever links the model has, under the member's name: see [`smc_runtime::operator::Function`]. A call of
    /// it knows what it gets, and the function in this process, if there is one.
    Foreign(Box<Call>),
}

/// The functions of a model, and where among them is what.
#[derive(Clone, Debug)]
pub struct Model {
    pub members: Vec<Member>,
    /// By entry and program, the numbers of the kernels in the order of the launches, then those of chains and of flows.
    pub kernels: Vec<Vec<Range<usize>>>,
    /// By entry, the number of its function.
    pub entries: Vec<usize>,
    pub invoke: usize,
}

/// The numbers of a program's functions.
pub(super) struct OfProgram {
    /// Of its first kernel.
    pub first: usize,
    pub chains: Range<usize>,
    pub flows: Range<usize>,
    pub run: Option<usize>,
    /// By flow, the number of the first of its programs; they follow each other, but for those within them.
    pub inner: Vec<Vec<usize>>,
}

/// The numbers of an entry's functions.
pub(super) struct OfEntry {
    pub programs: Vec<OfProgram>,
    /// There is none when there is nothing to check.
    pub dimensions: Option<usize>,
    /// Behind it comes the function that says its workspace.
    pub call: usize,
}

/// What a routine knows of the model while it is written.
pub(super) struct Numbers<'a> {
    pub setting: Setting<'a>,
    pub entries: &'a [Entry<'a>],
    pub of: Vec<OfEntry>,
    pub part: Option<usize>,
    pub share: Option<usize>,
    pub invoke: usize,
    pub choose: Option<usize>,
    /// By function that the model calls and does not have, its first call.
    foreign: Vec<&'a Call>,
    count: usize,
}

impl<'a> Numbers<'a> {
    fn new(setting: Setting<'a>, entries: &'a [Entry<'a>]) -> Numbers<'a> {
        let mut count = 0;
        let mut take = |n: usize| {
            count += n;
            count - n
        };
        let chooses = setting.levels.len() > 1;
        let mut of = vec![];
        for entry in entries {
            let mut kinds =
                [&entry.bodies.open].into_iter().chain(entry.bodies.equal.iter().map(|(_, programs)| programs));
            assert!(kinds.all(|programs| programs.len() == setting.levels.len()), "an entry has a program per level");
            let all = entry.bodies.all();
            let top = entry.programs().count();
            let programs = all.iter().enumerate().map(|(n, (program, _))| {
                let first = take(program.launches.len());
                let chains = take(program.chains.len());
                let flows = take(program.flows.len());
                OfProgram {
                    first,
                    chains: chains..chains + program.chains.len(),
                    flows: flows..flows + program.flows.len(),
                    run: (chooses && n < top).then(|| take(1)),
                    inner: inner(&all, program),
                }
            });
            let programs = programs.collect();
            let dimensions = call::settled(entry).is_none().then(|| take(1));
            of.push(OfEntry { programs, dimensions, call: take(2) });
        }
        let all: Vec<_> = entries.iter().flat_map(|entry| entry.bodies.all()).map(|(program, _)| program).collect();
        let programs = || all.iter().copied();
        let parts = programs().any(|p| p.chains.iter().any(|chain| may_be_few(chain) || may_be_crowded(chain)));
        let shares = programs().any(|p| p.units().into_iter().any(|unit| is_shared(p, unit)));
        let part = parts.then(|| take(1));
        let share = shares.then(|| take(1));
        let invoke = take(2);
        if setting.reach == Reach::Bound {
            take(2);
        }
        if setting.state.is_some() {
            take(state::FUNCTIONS.len());
        }
        let choose = chooses.then(|| take(1));
        let mut foreign: Vec<&Call> = vec![];
        for call in entries.iter().flat_map(|entry| entry.programs()).flat_map(Program::calls) {
            if foreign.iter().all(|known| known.symbol != call.symbol) {
                foreign.push(call);
            }
        }
        take(foreign.len());
        Numbers { setting, entries, of, part, share, invoke, choose, foreign, count }
    }

    /// The number of a function that the model does not have.
    pub fn foreign(&self, symbol: &str) -> usize {
        let number = self.foreign.iter().position(|call| call.symbol == symbol).expect("the model calls it");
        self.count - self.foreign.len() + number
    }

    /// The numbers of an entry's signatures.
    pub fn signatures(&self, entry: usize) -> Range<usize> {
        let of = |e: &Entry<'_>| 1 + e.aliases.len();
        let first = self.entries[..entry].iter().map(of).sum();
        first..first + of(&self.entries[entry])
    }
    /// What stands behind the names of a program's functions.
    fn suffix(&self, entry: usize, program: usize, level: usize) -> String {
        let levels = self.setting.levels;
        let several = self.entries[entry].bodies.equal.is_some();
        let open = if several && program < levels.len() { "_open" } else { "" };
        format!("{open}{}", if level > 0 { levels[level].suffix } else { "" })
    }
}

/// By flow, the numbers of its programs among all.
fn inner(all: &[(&Program, usize)], program: &Program) -> Vec<Vec<usize>> {
    let number = |wanted: &Program| all.iter().position(|(known, _)| std::ptr::eq(*known, wanted));
    let numbers = |flow: &Flow| flow.programs().into_iter().filter_map(number).collect();
    program.flows.iter().map(numbers).collect()
}

/// The functions of a model with these entries.
pub fn compose(setting: Setting<'_>, entries: &[Entry<'_>]) -> Model {
    let numbers = Numbers::new(setting, entries);
    let mut members = vec![];
    for e in 0..entries.len() {
        for p in 0..numbers.of[e].programs.len() {
            of_program(&numbers, e, p, &mut members);
        }
        of_entry(&numbers, e, &mut members);
    }
    let own = |name: &str, exported, routine| Member {
        name: format!("{}_{name}", setting.name),
        exported,
        aliases: vec![],
        level: None,
        what: What::Routine(routine),
    };
    members.extend(numbers.part.map(|_| own("part", false, chain::part(&numbers))));
    members.extend(numbers.share.map(|_| own("share", false, share::share(&numbers))));
    members.push(own("invoke", true, invoke::invoke(&numbers)));
    members.push(own("workspace_bytes", true, invoke::workspace_bytes(&numbers)));
    if setting.reach == Reach::Bound {
        members.push(own("bind_weights", true, weights::bind_weights(&numbers)));
        members.push(own("weights_bytes", true, weights::weights_bytes(&numbers)));
    }
    if setting.state.is_some() {
        members.extend(state::FUNCTIONS.map(|(name, routine)| own(name, true, routine(&numbers))));
    }
    if numbers.choose.is_some() {
        let name = format!("{}_cpu", setting.name);
        members.push(Member { name, exported: false, aliases: vec![], level: None, what: What::Choose });
    }
    members.extend(numbers.foreign.iter().map(|&call| {
        let (name, what) = (call.symbol.clone(), What::Foreign(Box::new(call.clone())));
        Member { name, exported: false, aliases: vec![], level: None, what }
    }));
    assert_eq!(members.len(), numbers.count);
    let kernels = |of: &OfEntry| of.programs.iter().map(|p| p.first..p.flows.end).collect();
    Model {
        members,
        kernels: numbers.of.iter().map(kernels).collect(),
        entries: numbers.of.iter().map(|of| of.call).collect(),
        invoke: numbers.invoke,
    }
}

/// The functions of a program.
fn of_program(numbers: &Numbers<'_>, e: usize, p: usize, members: &mut Vec<Member>) {
    let entry = &numbers.entries[e];
    let (program, level) = entry.bodies.all()[p];
    let (prefix, suffix) = (format!("{}_{}", numbers.setting.name, entry.c_name), numbers.suffix(e, p, level));
    let mut member = |name: String, what| {
        let level = Some(level);
        members.push(Member {
            name: format!("{prefix}_{name}{suffix}"),
            exported: false,
            aliases: vec![],
            level,
            what,
        });
    };
    for (k, launch) in program.launches.iter().enumerate() {
        member(launch.kernel.name.clone(), What::Kernel(e, p, k));
    }
    for (c, chain) in program.chains.iter().enumerate() {
        let name = format!("{}_chain", program.launches[chain.launches.start].kernel.name);
        member(name, What::Routine(chain::chain(numbers, e, p, c)));
    }
    for (f, flow) in program.flows.iter().enumerate() {
        member(flow.name.clone(), What::Routine(flow::flow(numbers, e, p, f)));
    }
    if numbers.of[e].programs[p].run.is_some() {
        member("run".into(), What::Routine(run::run_program(numbers, e, p)));
    }
}

/// The functions of an entry as a whole.
fn of_entry(numbers: &Numbers<'_>, e: usize, members: &mut Vec<Member>) {
    let (entry, model) = (&numbers.entries[e], numbers.setting.name);
    let name = |suffix: &str| format!("{model}_{}{suffix}", entry.c_name);
    if numbers.of[e].dimensions.is_some() {
        let what = What::Routine(call::dimensions(numbers, e));
        members.push(Member { name: name("_dimensions"), exported: false, aliases: vec![], level: None, what });
    }
    for (suffix, routine) in [("", call::call(numbers, e)), ("_workspace", call::workspace_bytes(numbers, e))] {
        let aliases = entry.aliases.iter().map(|alias| format!("{model}_{alias}{suffix}")).collect();
        let what = What::Routine(routine);
        members.push(Member { name: name(suffix), exported: true, aliases, level: None, what });
    }
}
