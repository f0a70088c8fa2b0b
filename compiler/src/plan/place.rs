//! Where the buffers of the workspace lie: when each is touched, which results take the place of an operand, and the layout
//! of what lives at the same time.

use super::{
    inplace, memory,
    program::{Chain, Flow, Launch, Place, Storage, StorageId, Unit, units},
};
use crate::base::{Arena, Dim};

/// The first and the last time at which a buffer is touched; none where nothing touches it.
type Life = Option<(usize, usize)>;

/// Lays out the workspace: its size in bytes, and the least that any plan needs.
pub fn place(launches: &[Launch], chains: &[Chain], flows: &[Flow], storage: &mut Arena<Storage>) -> (Dim, Dim) {
    let (times, mut lives) = lives(launches, chains, flows, storage.len());
    let first_of = take_places(launches, &times, &mut lives, storage);
    let mut ids = vec![];
    let mut all = vec![];
    for (id, storage) in storage.iter().filter(|(id, _)| first_of[id.index()] == *id) {
        if let (Place::Workspace(_), Some((first, last))) = (&storage.place, lives[id.index()]) {
            ids.push(id);
            all.push(memory::Life { bytes: &storage.len * storage.dtype.size() as i64, first, last });
        }
    }
    let layout = memory::plan(&all);
    for (id, offset) in ids.into_iter().zip(layout.offsets) {
        storage[id].place = Place::Workspace(offset);
    }
    for (n, first) in first_of.into_iter().enumerate() {
        storage[StorageId::new(n)].place = storage[first].place.clone();
    }
    (layout.total, layout.bound)
}

/// The time of each launch, and the life of each buffer. Launches of a chain happen at one time, and so does all that a flow
/// does.
fn lives(launches: &[Launch], chains: &[Chain], flows: &[Flow], buffers: usize) -> (Vec<usize>, Vec<Life>) {
    let mut times = vec![0; launches.len()];
    let mut flow_times = vec![0; flows.len()];
    for (time, unit) in units(launches.len(), chains, flows).into_iter().enumerate() {
        match unit {
            Unit::Launch(n) => times[n] = time,
            Unit::Chain(c) => times[chains[c].launches.clone()].fill(time),
            Unit::Flow(f) => flow_times[f] = time,
        }
    }
    let scratch = chains.iter().map(|chain| (times[chain.launches.start], chain.scratch));
    let args = launches.iter().zip(&times).flat_map(|(launch, &time)| launch.args.iter().map(move |&arg| (time, arg)));
    let flows = flows.iter().zip(&flow_times);
    let flows = flows.flat_map(|(flow, &time)| flow.buffers().into_iter().map(move |id| (time, id)));
    let mut lives = vec![None; buffers];
    for (time, arg) in args.chain(scratch).chain(flows) {
        let (first, last) = lives[arg.index()].unwrap_or((time, time));
        lives[arg.index()] = Some((first.min(time), last.max(time)));
    }
    (times, lives)
}

/// Lets results take the place of an operand that nobody reads any more. Per buffer the first of those that take each
/// other's place, whose life becomes that of all of them together.
fn take_places(launches: &[Launch], times: &[usize], lives: &mut [Life], storage: &Arena<Storage>) -> Vec<StorageId> {
    let is_workspace = |id: StorageId| matches!(storage[id].place, Place::Workspace(_));
    let mut first_of: Vec<StorageId> = storage.ids().collect();
    for (n, launch) in launches.iter().enumerate() {
        let out = launch.result();
        let Some((begins, last)) = lives[out.index()].filter(|_| is_workspace(out)) else { continue };
        if begins != times[n] {
            continue;
        }
        // Within a chain slices keep apart, so those that touch the result later in a turn find it there.
        let at_once = || launches.iter().enumerate().filter(|&(m, _)| m != n && times[m] == times[n]);
        let in_time = |arg: StorageId| {
            let mut touched = at_once().flat_map(|(m, launch)| launch.args.iter().map(move |&other| (m, other)));
            touched.all(|(m, other)| other != arg && (other != out || m > n))
        };
        let dies = |arg: StorageId| lives[arg.index()].is_some_and(|(_, end)| end == times[n]);
        let mut buffers = launch.kernel.buffers.iter().zip(&launch.args);
        let taken = buffers.find(|&((buffer, _), &arg)| {
            let [from, to] = [arg, out].map(|id| &storage[id]);
            arg != out
                && is_workspace(arg)
                && dies(arg)
                && (from.dtype.size(), &from.len) == (to.dtype.size(), &to.len)
                && in_time(arg)
                && inplace::may_overwrite(&launch.kernel, buffer, launch.result_buffer())
        });
        if let Some((_, &arg)) = taken {
            let first = first_of[arg.index()];
            first_of[out.index()] = first;
            lives[first.index()] = lives[first.index()].map(|(first, _)| (first, last));
        }
    }
    first_of
}
