//! Kernels that run slice by slice, one after the other, so that what one leaves for the next is read from a near cache.
//!
//! The outermost loop of a kernel is cut into slices of equally many iterations. A result that lies in equal slices too,
//! of which slice `s` is written and read by slice `s` of two kernels alone, lets these kernels take turns: slice 0 of
//! the first, slice 0 of the second, slice 1 of the first... No kernel waits for all of another, so threads share the
//! slices of the whole chain. And as such a result lives within a turn, one slice of it is all that a thread needs: the
//! buffer shrinks to a slice for each task, and its indices to those within a slice.
//!
//! That slices keep apart is proved from the kernels: with `s` as the kernel's variables give it, each index less
//! `s * slice` lies in `0..slice`. What cannot be proved is not chained. The order of additions stays, so results do.

use std::collections::HashMap;

use super::{
    fuse::estimate,
    inplace::loads,
    program::{Chain, Launch, Place, Storage, StorageId},
    target::TargetInfo,
};
use crate::{
    base::{
        Arena, Dim,
        dim::{Atom, Extents},
    },
    loops::{Block, BufferId, Expr, Kernel, LoopKind, Stmt, Var, flat, index_of, verify},
    tensor::{DType, count},
};

/// A chain has at least this many slices, whatever the symbols are: fewer leave threads idle.
const MIN_SLICES: i64 = 4;
/// What the threads share is at most so many tasks, each with its own slice of what lives within a turn; but fewer, down
/// to the least, where slices are large.
const TASKS: i64 = 16;
const MIN_TASKS: i64 = 8;
const SCRATCH_BYTES: i64 = 8 << 20;
/// A slice of up to so many second-level caches is still near: most of it is there, and the rest in the next one.
const NEAR: i64 = 2;

/// Chains what is worth it. Kernels of a chain come to follow each other, where the last of them was.
pub fn chain(launches: Vec<Launch>, storage: &mut Arena<Storage>, target: &TargetInfo) -> (Vec<Launch>, Vec<Chain>) {
    let groups = Finder::new(&launches, storage, target).find();
    let mut place = vec![None; launches.len()];
    for (g, group) in groups.iter().enumerate() {
        group.members.iter().for_each(|&m| place[m] = Some(g));
    }
    let mut waiting: Vec<Option<Launch>> = launches.into_iter().map(Some).collect();
    let (mut ordered, mut chains) = (vec![], vec![]);
    for n in 0..waiting.len() {
        match place[n].map(|g| &groups[g]) {
            None => ordered.extend(waiting[n].take()),
            Some(group) if group.members.last() == Some(&n) => {
                let first = ordered.len();
                ordered.extend(group.members.iter().filter_map(|&m| waiting[m].take()));
                chains.push(group.join(&mut ordered[first..], first, storage));
            }
            Some(_) => {}
        }
    }
    (ordered, chains)
}

/// A way to cut a kernel's outermost loop: how many slices there are, the index of the slice, and the iterations of each.
#[derive(Clone, Debug, PartialEq)]
struct Cut {
    slices: Dim,
    index: Dim,
    per_slice: i64,
}

/// Kernels that run as a chain, and what lives within it.
struct Group {
    members: Vec<usize>,
    /// The ways to cut each member, into the same numbers of slices.
    cuts: Vec<Vec<Cut>>,
    within: Vec<StorageId>,
}

struct Finder<'l> {
    launches: &'l [Launch],
    storage: &'l Arena<Storage>,
    target: &'l TargetInfo,
    /// By storage, the launches that write and read it.
    writers: Vec<Vec<usize>>,
    readers: Vec<Vec<usize>>,
}

impl<'l> Finder<'l> {
    fn new(launches: &'l [Launch], storage: &'l Arena<Storage>, target: &'l TargetInfo) -> Finder<'l> {
        let mut writers = vec![vec![]; storage.len()];
        let mut readers = writers.clone();
        for (n, launch) in launches.iter().enumerate() {
            for ((_, buffer), arg) in launch.kernel.buffers.iter().zip(&launch.args) {
                let touched = if buffer.written { &mut writers } else { &mut readers };
                touched[arg.index()].push(n);
            }
        }
        Finder { launches, storage, target, writers, readers }
    }
    /// The groups of several launches. What is largest is kept near first. Of a group, other launches read the result of
    /// the last member alone: that of any other is read by one launch, which is a member too.
    fn find(&self) -> Vec<Group> {
        let alone = |n: usize| Group { members: vec![n], cuts: vec![cuts(&self.launches[n].kernel)], within: vec![] };
        let mut groups: Vec<Group> = (0..self.launches.len()).map(alone).collect();
        let mut group_of: Vec<usize> = (0..self.launches.len()).collect();
        let links = self.storage.ids().filter_map(|id| Some((id, self.passes(id)?)));
        let mut links: Vec<_> = links.filter(|&(id, _)| self.leaves_cache(id)).collect();
        links.sort_by_key(|&(id, _)| std::cmp::Reverse(self.bytes(id) as u64));
        for (link, (writer, reader)) in links {
            let (before, after) = (group_of[writer], group_of[reader]);
            if let Some(joined) = self.merge(link, &groups[before], &groups[after]) {
                joined.members.iter().for_each(|&m| group_of[m] = after);
                groups[before].members.clear();
                groups[after] = joined;
            }
        }
        groups.retain(|group| group.members.len() > 1);
        groups
    }
    /// The one launch that writes a buffer of the workspace and the one that reads it, if it has such.
    fn passes(&self, id: StorageId) -> Option<(usize, usize)> {
        let inside = matches!(self.storage[id].place, Place::Workspace(_));
        match (&self.writers[id.index()][..], &self.readers[id.index()][..]) {
            (&[writer], &[reader]) if inside && reader != writer => Some((writer, reader)),
            _ => None,
        }
    }
    /// One group of two, the first of which ends with the writer of a buffer that the other reads.
    fn merge(&self, link: StorageId, before: &Group, after: &Group) -> Option<Group> {
        let mut members: Vec<(usize, &Vec<Cut>)> = [before, after].into_iter().flat_map(Group::cut_members).collect();
        members.sort_by_key(|&(m, _)| m);
        let within: Vec<StorageId> = [&before.within[..], &after.within, &[link]].concat();
        // The most slices first.
        let fits = |cut: &&Cut| {
            cut.slices.content() >= MIN_SLICES
                && members.iter().all(|(_, cuts)| cuts.iter().any(|c| c.slices == cut.slices))
                && within.iter().all(|&id| self.keeps_apart(&members, id, &cut.slices))
        };
        let slices = members[0].1.iter().find(fits)?.slices.clone();
        let cut = |cuts: &Vec<Cut>| cuts.iter().filter(|c| c.slices == slices).take(1).cloned().collect();
        let cuts = members.iter().map(|(_, cuts)| cut(cuts)).collect();
        Some(Group { members: members.iter().map(|(m, _)| *m).collect(), cuts, within })
    }
    fn bytes(&self, id: StorageId) -> f64 {
        estimate(&self.storage[id].len) * self.storage[id].dtype.size() as f64
    }
    /// Whether the next kernel would wait for a buffer to come back.
    fn leaves_cache(&self, id: StorageId) -> bool {
        self.bytes(id) > self.target.l2 as f64
    }
    /// Whether each of so many slices of the members uses its own slice of a buffer, which stays in a near cache.
    fn keeps_apart(&self, members: &[(usize, &Vec<Cut>)], id: StorageId, slices: &Dim) -> bool {
        let Some(slice) = slice(&self.storage[id], slices) else { return false };
        let near = slice.saturating_mul(self.storage[id].dtype.size() as i64) <= NEAR * self.target.l2 as i64;
        near && members.iter().all(|&(m, cuts)| {
            let launch = &self.launches[m];
            let mut buffers = launch.kernel.buffers.ids().zip(&launch.args).filter(|(_, arg)| **arg == id);
            let cut = cuts.iter().find(|c| c.slices == *slices);
            buffers.all(|(buffer, _)| {
                cut.is_some_and(|cut| Apart::new(&launch.kernel, buffer, cut, slice).holds(&launch.kernel.body))
            })
        })
    }
}

impl Group {
    fn cut_members(&self) -> impl Iterator<Item = (usize, &Vec<Cut>)> {
        self.members.iter().copied().zip(&self.cuts)
    }
    /// Makes the members, which are `launches` from number `first` on, a chain.
    fn join(&self, launches: &mut [Launch], first: usize, storage: &mut Arena<Storage>) -> Chain {
        let slices = self.cuts[0][0].slices.clone();
        let mut slice_bytes = 0;
        for &id in &self.within {
            let slice = slice(&storage[id], &slices).expect("the buffer lies in slices");
            for (launch, cut) in launches.iter_mut().zip(&self.cuts) {
                let buffers = launch.kernel.buffers.ids().zip(&launch.args);
                let own: Vec<BufferId> = buffers.filter(|(_, arg)| **arg == id).map(|(buffer, _)| buffer).collect();
                own.into_iter().for_each(|buffer| shrink(&mut launch.kernel, buffer, &cut[0], slice));
            }
            let bytes = slice * storage[id].dtype.size() as i64;
            storage[id].len = Dim::from(slice);
            storage[id].place = Place::Slice(slice_bytes);
            slice_bytes += (bytes as u64).next_multiple_of(64) as i64;
        }
        for launch in launches.iter_mut() {
            if let [Stmt::For { kind, .. }] = &mut launch.kernel.body[..] {
                *kind = LoopKind::Parallel;
            }
            verify(&launch.kernel).unwrap_or_else(|e| panic!("planning: {e}\n{}", launch.kernel));
        }
        let tasks = (SCRATCH_BYTES / slice_bytes).clamp(MIN_TASKS, TASKS);
        let most = slices.as_int().unwrap_or_else(|| slices.content().max(MIN_TASKS));
        let tasks = tasks.min(most);
        let len = Dim::from(tasks * slice_bytes);
        let scratch = storage.push(Storage { dtype: DType::U8, len, place: Place::Workspace(Dim::zero()) });
        let per_slice = self.cuts.iter().map(|cut| cut[0].per_slice).collect();
        Chain { launches: first..first + launches.len(), slices, per_slice, tasks, scratch, slice_bytes }
    }
}

/// The elements of each of so many slices, where that is a number.
fn slice(storage: &Storage, slices: &Dim) -> Option<i64> {
    let slice = storage.len.floor_div(slices).as_int().filter(|&n| n > 0)?;
    (slices * slice == storage.len).then_some(slice)
}

/// The ways to cut a kernel, the most slices first: its outermost loop runs over an index of several axes, whose first
/// ones are the slices.
fn cuts(kernel: &Kernel) -> Vec<Cut> {
    let [Stmt::For { var, kind: LoopKind::Seq | LoopKind::Parallel, body }] = &kernel.body[..] else { return vec![] };
    let (extent, whole) = (kernel.loop_extent(*var), index_of(*var));
    let (mut extents, mut axes, mut values) = (vec![], vec![], vec![]);
    for stmt in body {
        let Stmt::Set { var, value } = stmt else { break };
        let (Var::Index { extent: Some(n) }, Expr::Index(value)) = (&kernel.vars[*var], &kernel.exprs[*value].expr)
        else {
            break;
        };
        extents.push(n.clone());
        axes.push(index_of(*var));
        values.push(value);
        if count(&extents) == *extent {
            break;
        }
    }
    // The axes are what the loop's variable comes apart into.
    let mut rest = whole.clone();
    let apart = extents.iter().zip(values).enumerate().rev().all(|(axis, (n, value))| {
        let here = if axis == 0 { rest.clone() } else { rest.rem_in(n, &kernel.vars) };
        rest = rest.floor_div_in(n, &kernel.vars);
        *value == here
    });
    if extents.is_empty() || !apart || count(&extents) != *extent {
        return vec![Cut { slices: extent.clone(), index: whole, per_slice: 1 }];
    }
    let cut = |n: usize| {
        let per_slice = count(&extents[n..]).as_int()?;
        Some(Cut { slices: count(&extents[..n]), index: flat(&extents[..n], &axes[..n]), per_slice })
    };
    (1..=axes.len()).rev().filter_map(cut).collect()
}

/// The proof that a kernel's slices use their own slice of a buffer.
struct Apart<'k> {
    kernel: &'k Kernel,
    buffer: BufferId,
    /// Where the slice at hand begins, and its elements.
    start: Dim,
    slice: Dim,
    /// Variables that lie in less than their extents.
    narrower: HashMap<u32, Dim>,
}

impl Extents for Apart<'_> {
    fn extent(&self, var: u32) -> Option<Dim> {
        self.narrower.get(&var).cloned().or_else(|| self.kernel.vars.extent(var))
    }
}

impl<'k> Apart<'k> {
    fn new(kernel: &'k Kernel, buffer: BufferId, cut: &Cut, slice: i64) -> Apart<'k> {
        Apart { kernel, buffer, start: &cut.index * slice, slice: Dim::from(slice), narrower: HashMap::new() }
    }
    fn holds(&mut self, block: &Block) -> bool {
        block.iter().all(|stmt| match stmt {
            Stmt::For { body, .. } => self.holds(body),
            Stmt::If { bounds, then, otherwise } => {
                let before = self.narrower.clone();
                for bound in bounds {
                    if let [term] = bound.index.terms()
                        && let ([Atom::Var(v)], 1) = (&term.atoms[..], term.k)
                    {
                        self.narrower.insert(*v, bound.extent.clone());
                    }
                }
                let holds = self.holds(then);
                self.narrower = before;
                holds && self.holds(otherwise)
            }
            Stmt::Store { buffer, index, value } => {
                (*buffer != self.buffer || self.is_own(index))
                    && loads(self.kernel, *value, self.buffer).iter().all(|index| self.is_own(index))
            }
            Stmt::Set { value, .. }
            | Stmt::Assign { value, .. }
            | Stmt::Accumulate { value, .. }
            | Stmt::Check { cond: value, .. } => {
                loads(self.kernel, *value, self.buffer).iter().all(|index| self.is_own(index))
            }
        })
    }
    fn is_own(&self, index: &Dim) -> bool {
        (index - &self.start).is_within(&self.slice, self)
    }
}

/// Makes a buffer one slice of what it was.
fn shrink(kernel: &mut Kernel, buffer: BufferId, cut: &Cut, slice: i64) {
    fn stores(block: &mut Block, buffer: BufferId, start: &Dim) {
        for stmt in block {
            match stmt {
                Stmt::For { body, .. } => stores(body, buffer, start),
                Stmt::If { then, otherwise, .. } => {
                    stores(then, buffer, start);
                    stores(otherwise, buffer, start);
                }
                Stmt::Store { buffer: to, index, .. } if *to == buffer => *index = &*index - start,
                _ => {}
            }
        }
    }
    let start = &cut.index * slice;
    kernel.buffers[buffer].len = Dim::from(slice);
    stores(&mut kernel.body, buffer, &start);
    for id in kernel.exprs.ids().collect::<Vec<_>>() {
        if let Expr::Load(from, index) = &mut kernel.exprs[id].expr
            && *from == buffer
        {
            *index = &*index - &start;
        }
    }
}
