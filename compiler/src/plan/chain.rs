//! Kernels that run slice by slice, one after the other, so that what one leaves for the next is read from a near cache.
//!
//! The outermost loop of a kernel is cut into slices of equally many iterations. The buffers that several kernels share
//! are cut into as many slices. Where slice `s` of each kernel touches slice `s` of each buffer and no other, the kernels
//! may take turns: slice 0 of the first, slice 0 of the second, ... slice 1 of the first... No kernel waits for all of
//! another, so threads share the slices of the whole chain. A buffer that no kernel outside of the chain touches shrinks
//! to one slice for each task, and its indices to those within a slice.
//!
//! That slices keep apart is proved from the kernels (`apart.rs`). What cannot be proved is not chained. The order of
//! additions stays, so results do. What is chained, and in which slices, is what the target gains by it (`cost.rs`).

mod apart;
mod cost;

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

use self::{
    apart::{Cut, Outermost, is_shared, keeps_apart, shrink, slice},
    cost::{Gain, MANY, SYMBOLS, Traffic, at},
};
use super::{
    fuse::estimate,
    memory::{self, Life},
    program::{Chain, Flow, Launch, Place, Storage, StorageId, is_in_flow},
    target::TargetInfo,
};
use crate::{
    base::{Arena, Dim},
    loops::{BufferId, LoopKind, Stmt, verify},
    tensor::DType,
};

/// A chain of a known number of slices has at least this many: fewer leave threads idle. Where the number depends on
/// symbols and a call has fewer, threads share the kernels of each slice instead.
pub const MIN_SLICES: i64 = 4;
/// Longer chains would take long to find, and keep nothing nearer.
const MAX_MEMBERS: usize = 128;
/// What the threads share is at most so many tasks, each with its own slice of what lives within a turn; but fewer, down
/// to the least, where slices are large. Threads that so few tasks leave idle share the kernels of each slice instead.
const TASKS: i64 = 16;
pub const MIN_TASKS: i64 = 2;
const SCRATCH_BYTES: i64 = 2 << 20;
/// So many tasks are even enough for any number of threads.
pub const EVEN_TASKS: i64 = 8;

/// A chain gains more than one in so many parts of the work of a slice: as much may be lost where threads share slices.
const PARTS: f64 = 16.0;

/// Chains what is worth it. Kernels of a chain come to follow each other, where the last of them was. No branch or loop
/// happens between them, and what one touches is whole.
pub fn chain(
    launches: Vec<Launch>,
    flows: &[Flow],
    storage: &mut Arena<Storage>,
    target: &TargetInfo,
) -> (Vec<Launch>, Vec<Chain>) {
    let finder = Finder::new(&launches, flows, storage, target);
    let groups = finder.find();
    let joins: Vec<Join> = groups.iter().map(|group| finder.join(group)).collect();
    let mut place = vec![None; launches.len()];
    for (join, group) in joins.iter().zip(&groups) {
        group.members.iter().for_each(|&m| place[m] = Some((join, group)));
    }
    let mut waiting: Vec<Option<Launch>> = launches.into_iter().map(Some).collect();
    let (mut ordered, mut chains) = (vec![], vec![]);
    for n in 0..waiting.len() {
        match place[n] {
            None => ordered.extend(waiting[n].take()),
            Some((join, group)) if group.members.last() == Some(&n) => {
                let first = ordered.len();
                ordered.extend(group.members.iter().filter_map(|&m| waiting[m].take()));
                chains.push(join.make(&mut ordered[first..], first, storage));
            }
            Some(_) => {}
        }
    }
    (ordered, chains)
}

/// Launches that run as a chain, or one alone.
#[derive(Clone, Debug)]
struct Group {
    /// In their order.
    members: Vec<usize>,
    /// None for a launch alone.
    slices: Option<Dim>,
    gain: Gain,
}

struct Finder<'l> {
    launches: &'l [Launch],
    flows: &'l [Flow],
    storage: &'l Arena<Storage>,
    target: &'l TargetInfo,
    traffic: Traffic,
    loops: Vec<Option<Outermost<'l>>>,
    /// What was asked before: whether so many slices of a launch use their own slices of a buffer.
    proved: RefCell<HashMap<(usize, StorageId, Dim), bool>>,
}

impl<'l> Finder<'l> {
    fn new(
        launches: &'l [Launch],
        flows: &'l [Flow],
        storage: &'l Arena<Storage>,
        target: &'l TargetInfo,
    ) -> Finder<'l> {
        let loops = launches.iter().map(|launch| Outermost::of(&launch.kernel)).collect();
        let (traffic, proved) = (Traffic::of(launches, storage), RefCell::default());
        Finder { launches, flows, storage, target, traffic, loops, proved }
    }
    /// The groups of several launches. The largest buffers bring the launches that touch them together first: all of
    /// them, or else two that follow each other.
    fn find(&self) -> Vec<Group> {
        let alone = |n: usize| Group { members: vec![n], slices: None, gain: Gain::default() };
        let mut groups: Vec<Group> = (0..self.launches.len()).map(alone).collect();
        let mut group_of: Vec<usize> = (0..self.launches.len()).collect();
        let passed = |id: &StorageId| {
            let (writers, readers) = (&self.traffic.writers[id.index()], &self.traffic.readers[id.index()]);
            // The next kernel waits for what is not in the second-level cache; one that does little, for what is not in
            // the first.
            let near = match writers.iter().any(|&w| self.traffic.reduces[w]) {
                true => self.target.l1,
                false => self.target.l2,
            };
            !writers.is_empty() && !readers.is_empty() && self.bytes(*id) > near as f64
        };
        let mut links: Vec<StorageId> = self.storage.ids().filter(passed).collect();
        links.sort_by_key(|&id| std::cmp::Reverse(self.bytes(id) as u64));
        for link in links {
            let touchers = self.touchers(link);
            let pairs = touchers.windows(2).filter(|_| touchers.len() > 2);
            for together in [&touchers[..]].into_iter().chain(pairs) {
                let parts: BTreeSet<usize> = together.iter().map(|&n| group_of[n]).collect();
                let parts: Vec<usize> = parts.into_iter().collect();
                if parts.len() < 2 {
                    continue;
                }
                if let Some(joined) = self.merge(&parts.iter().map(|&g| &groups[g]).collect::<Vec<_>>()) {
                    parts.iter().for_each(|&g| groups[g].members.clear());
                    joined.members.iter().for_each(|&m| group_of[m] = parts[0]);
                    groups[parts[0]] = joined;
                }
            }
        }
        groups.retain(|group| group.members.len() > 1 && self.is_worth_it(group));
        groups
    }
    fn is_worth_it(&self, group: &Group) -> bool {
        let work: f64 = group.members.iter().map(|&m| at(&self.launches[m].work, MANY)).sum();
        let slices = group.slices.as_ref().map_or(1.0, |slices| at(slices, MANY));
        PARTS * group.gain[SYMBOLS.len() - 1] > work / slices
    }
    fn bytes(&self, id: StorageId) -> f64 {
        estimate(&self.storage[id].len) * self.storage[id].dtype.size() as f64
    }
    /// The launches that write or read a buffer, in their order.
    fn touchers(&self, id: StorageId) -> Vec<usize> {
        let both = [&self.traffic.writers[id.index()], &self.traffic.readers[id.index()]];
        both.into_iter().flatten().copied().collect::<BTreeSet<usize>>().into_iter().collect()
    }
    /// One group of several, if that gains anything.
    fn merge(&self, groups: &[&Group]) -> Option<Group> {
        let members: BTreeSet<usize> = groups.iter().flat_map(|group| group.members.iter().copied()).collect();
        let members: Vec<usize> = members.into_iter().collect();
        if members.len() > MAX_MEMBERS || self.binds_between(&members) || self.flows_between(&members) {
            return None;
        }
        let mut tried: Vec<Dim> = vec![];
        for group in groups {
            match &group.slices {
                Some(slices) => tried.push(slices.clone()),
                None => {
                    let first = group.members[0];
                    tried.extend(self.loops[first].iter().flat_map(|l| l.slices(self.traffic.reduces[first])));
                }
            }
        }
        tried.sort();
        tried.dedup();
        let apart: Gain = std::array::from_fn(|n| groups.iter().map(|group| group.gain[n]).sum());
        let gains = |slices: Dim| {
            let gain = self.gain(&members, &slices)?;
            let better = gain.iter().zip(&apart).all(|(a, b)| a >= b) && gain.iter().zip(&apart).any(|(a, b)| a > b);
            better.then_some((slices, gain))
        };
        let all = tried.into_iter().filter(|s| s.as_int().is_none_or(|n| n >= MIN_SLICES)).filter_map(gains);
        let last = SYMBOLS.len() - 1;
        let (slices, gain) = all.max_by(|(_, a), (_, b)| a[last].total_cmp(&b[last]))?;
        (!self.is_read_between(&members)).then_some(Group { members, slices: Some(slices), gain })
    }
    /// Whether a size is found between the members: what comes later waits for it.
    fn binds_between(&self, members: &[usize]) -> bool {
        self.launches[members[0]..=members[members.len() - 1]].iter().any(|launch| launch.binds.is_some())
    }
    /// Whether a branch or loop happens between the members.
    fn flows_between(&self, members: &[usize]) -> bool {
        self.flows.iter().any(|flow| members[0] < flow.at && flow.at <= members[members.len() - 1])
    }
    /// Whether a launch between the members reads what a member before it writes: that cannot wait for the last member.
    fn is_read_between(&self, members: &[usize]) -> bool {
        let (first, last) = (members[0], members[members.len() - 1]);
        (first..last).filter(|n| members.binary_search(n).is_err()).any(|n| {
            let buffers = self.launches[n].kernel.buffers.iter().zip(&self.launches[n].args);
            let mut read = buffers.filter(|((_, buffer), _)| !buffer.written).map(|(_, arg)| arg);
            read.any(|arg| self.traffic.writers[arg.index()].iter().any(|w| *w < n && members.binary_search(w).is_ok()))
        })
    }
    /// What is gained by so many slices; none if they depend on each other.
    fn gain(&self, members: &[usize], slices: &Dim) -> Option<Gain> {
        if members.iter().any(|&m| self.cut(m, slices).is_none()) {
            return None;
        }
        let own = |m: usize, id: StorageId| self.keeps_apart(m, id, slices);
        if !self.passed_on(members).into_iter().all(|(id, among)| among.into_iter().all(|m| own(m, id))) {
            return None;
        }
        let cuts: Vec<Option<Cut>> = members.iter().map(|&m| self.cut(m, slices)).collect();
        let is_shared = |m: usize, buffer: BufferId| {
            cuts[m].as_ref().is_some_and(|cut| is_shared(&self.launches[members[m]].kernel, buffer, cut))
        };
        Some(self.traffic.gain(members, slices, self.target, &is_shared))
    }
    /// The buffers that members write and other members touch too, with all members that do.
    fn passed_on(&self, members: &[usize]) -> Vec<(StorageId, Vec<usize>)> {
        let written: BTreeSet<StorageId> = members.iter().flat_map(|&m| self.written(m)).collect();
        let among = |id: StorageId| {
            let members = self.touchers(id).into_iter().filter(|n| members.binary_search(n).is_ok());
            (id, members.collect::<Vec<usize>>())
        };
        written.into_iter().map(among).filter(|(_, among)| among.len() > 1).collect()
    }
    fn written(&self, n: usize) -> impl Iterator<Item = StorageId> {
        let buffers = self.launches[n].kernel.buffers.iter().zip(&self.launches[n].args);
        buffers.filter(|((_, buffer), _)| buffer.written).map(|(_, arg)| *arg)
    }
    fn cut(&self, n: usize, slices: &Dim) -> Option<Cut> {
        self.loops[n].as_ref()?.cut(slices)
    }
    /// Whether each of so many slices of a launch uses its own slice of a buffer.
    fn keeps_apart(&self, n: usize, id: StorageId, slices: &Dim) -> bool {
        let prove = || {
            let (Some(cut), Some(slice)) = (self.cut(n, slices), slice(&self.storage[id], slices)) else {
                return false;
            };
            let launch = &self.launches[n];
            let mut buffers = launch.kernel.buffers.ids().zip(&launch.args).filter(|(_, arg)| **arg == id);
            buffers.all(|(buffer, _)| keeps_apart(&launch.kernel, buffer, &cut, slice))
        };
        *self.proved.borrow_mut().entry((n, id, slices.clone())).or_insert_with(prove)
    }
    fn join(&self, group: &Group) -> Join {
        let slices = group.slices.clone().expect("a group of several has slices");
        let cuts =
            group.members.iter().map(|&m| self.cut(m, &slices).expect("all members have as many slices")).collect();
        let here = |n: &usize| group.members.binary_search(n);
        let passed = self.passed_on(&group.members).into_iter();
        let within = passed.filter(|(id, among)| {
            matches!(self.storage[*id].place, Place::Workspace(_))
                && *among == self.touchers(*id)
                && !is_in_flow(self.flows, *id)
        });
        let within = within.map(|(id, among)| {
            let [first, last] = [&among[0], &among[among.len() - 1]].map(|n| here(n).expect("it is a member"));
            let elements = slice(&self.storage[id], &slices).expect("the buffer lies in slices");
            let bytes = Dim::from(elements * self.storage[id].dtype.size() as i64);
            (id, elements, Life { bytes, first, last })
        });
        Join { slices: slices.clone(), cuts, within: within.collect() }
    }
}

/// How launches become a chain.
struct Join {
    slices: Dim,
    /// Of each member.
    cuts: Vec<Cut>,
    /// The buffers that only members touch, the elements of a slice, and when in a turn it is used.
    within: Vec<(StorageId, i64, Life)>,
}

impl Join {
    /// Makes the members, which are `launches` from number `first` on, a chain.
    fn make(&self, launches: &mut [Launch], first: usize, storage: &mut Arena<Storage>) -> Chain {
        let lives: Vec<Life> = self.within.iter().map(|(_, _, life)| life.clone()).collect();
        let layout = memory::plan(&lives);
        for ((id, slice, _), at) in self.within.iter().zip(&layout.offsets) {
            for (launch, cut) in launches.iter_mut().zip(&self.cuts) {
                let buffers = launch.kernel.buffers.ids().zip(&launch.args);
                let own: Vec<BufferId> = buffers.filter(|(_, arg)| *arg == id).map(|(buffer, _)| buffer).collect();
                own.into_iter().for_each(|buffer| shrink(&mut launch.kernel, buffer, cut, *slice));
            }
            storage[*id].len = Dim::from(*slice);
            storage[*id].place = Place::Slice(at.as_int().expect("a slice has a fixed size"));
        }
        for launch in launches.iter_mut() {
            if let [Stmt::For { kind, .. }] = &mut launch.kernel.body[..] {
                *kind = LoopKind::Parallel;
            }
            verify(&launch.kernel).unwrap_or_else(|e| panic!("planning: {e}\n{}", launch.kernel));
        }
        let slice_bytes = layout.total.as_int().expect("slices have fixed sizes");
        let most = (SCRATCH_BYTES / slice_bytes.max(1)).clamp(MIN_TASKS, TASKS);
        // Few of them are even for two threads and for four.
        let most = if most < EVEN_TASKS { 1 << most.ilog2() } else { most };
        let (content, open) = (self.slices.content(), self.slices.as_int().is_none());
        let tasks = match open && content < MIN_TASKS {
            // The same for all of them, so that their memory can lie in the same place.
            true => self.slices.at_most(&Dim::from(MIN_TASKS)).at_least(&Dim::one()),
            false => Dim::from(most.min(content)),
        };
        let len = &tasks * slice_bytes;
        let scratch = storage.push(Storage { dtype: DType::U8, len, place: Place::Workspace(Dim::zero()) });
        let per_slice = self.cuts.iter().map(|cut| cut.per_slice).collect();
        let slices = self.slices.clone();
        Chain { launches: first..first + launches.len(), slices, per_slice, tasks, scratch, slice_bytes }
    }
}
