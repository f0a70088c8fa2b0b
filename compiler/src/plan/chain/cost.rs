//! What a chain saves: the way that what one kernel leaves goes until the next one has it.
//!
//! What is touched again after few other bytes comes from a near cache, after many from a far one or from memory. Between
//! a kernel that writes a buffer and one that reads it lies all that the first touches, and what others touch before the
//! second begins; in a chain only one slice of that. But what all slices read, such as weights, each slice reads again,
//! and each calls every kernel.

use std::collections::BTreeSet;

use crate::{
    base::{Arena, Dim, dim::Atom},
    loops::{Buffer, BufferId},
    plan::{
        program::{Launch, Storage, StorageId},
        target::TargetInfo,
    },
    tensor::count,
};

/// Picoseconds to call a kernel, with what it prepares before its loop.
const CALL: f64 = 30_000.0;
/// Ways to a far cache and back that a byte takes which is written and then read: a store fetches what it changes.
const PASS: f64 = 3.0;
/// What a symbol may be: what is slower at one of them is not done.
pub const SYMBOLS: [i64; 2] = [1, MANY];
pub const MANY: i64 = 16;

/// Picoseconds that a chain saves, at each of [`SYMBOLS`].
pub type Gain = [f64; SYMBOLS.len()];

/// The bytes of each launch.
pub struct Traffic {
    launches: Vec<Touches>,
    /// By storage, the launches that write and read it, in their order.
    pub writers: Vec<Vec<usize>>,
    pub readers: Vec<Vec<usize>>,
    /// Whether each launch reduces the rows that it writes for the next, which then does little with them.
    pub reduces: Vec<bool>,
}

/// What a launch touches, each buffer once.
struct Touches(Vec<Touch>);

struct Touch {
    id: StorageId,
    buffer: BufferId,
    writes: bool,
    bytes: Dim,
}

/// Bytes that a member touches: of its own slice, and of what all slices read.
#[derive(Clone, Copy, Default)]
struct Bytes {
    own: f64,
    shared: f64,
    /// Those of `own` that it writes.
    written: f64,
}

impl Traffic {
    pub fn of(launches: &[Launch], storage: &Arena<Storage>) -> Traffic {
        let mut writers = vec![vec![]; storage.len()];
        let mut readers = writers.clone();
        for (n, launch) in launches.iter().enumerate() {
            for ((_, buffer), arg) in launch.kernel.buffers.iter().zip(&launch.args) {
                let touched = if buffer.written { &mut writers } else { &mut readers };
                if touched[arg.index()].last() != Some(&n) {
                    touched[arg.index()].push(n);
                }
            }
        }
        let bytes = |id: StorageId| &storage[id].len * storage[id].dtype.size() as i64;
        // A part of a buffer, or what other writers leave of it.
        let part = |n: usize, id: StorageId| {
            let part = launches[n].part.as_ref()?;
            Some(count(&part.extents) * storage[id].dtype.size() as i64)
        };
        let written = |n: usize, id: StorageId| match &writers[id.index()][..] {
            [_] => bytes(id),
            several => part(n, id).unwrap_or_else(|| {
                several.iter().filter_map(|&m| part(m, id)).fold(bytes(id), |rest, part| rest - part)
            }),
        };
        let touches = launches.iter().enumerate().map(|(n, launch)| {
            let mut seen = BTreeSet::new();
            let all = launch.kernel.buffers.iter().zip(&launch.args).filter(|(_, arg)| seen.insert(arg.index()));
            let touch = |((number, buffer), &id): ((BufferId, &Buffer), &StorageId)| Touch {
                id,
                buffer: number,
                writes: buffer.written,
                bytes: if buffer.written { written(n, id) } else { bytes(id) },
            };
            Touches(all.map(touch).collect())
        });
        let reduces = launches.iter().map(|launch| launch.kernel.reduces_along()).collect();
        Traffic { launches: touches.collect(), writers, readers, reduces }
    }
    /// What is gained when these launches take turns; `is_shared` knows of what the n-th of them reads whether all slices
    /// do.
    pub fn gain(
        &self,
        members: &[usize],
        slices: &Dim,
        target: &TargetInfo,
        is_shared: &dyn Fn(usize, BufferId) -> bool,
    ) -> Gain {
        SYMBOLS.map(|symbol| {
            let value = |dim: &Dim| at(dim, symbol);
            let (slices, mut gain) = (value(slices).max(1.0), 0.0);
            let bytes = |(n, &m): (usize, &usize)| self.launches[m].bytes(symbol, &|buffer| is_shared(n, buffer));
            let within: Vec<Bytes> = members.iter().enumerate().map(bytes).collect();
            // What lies between two members, and between two launches.
            let turn = |from: usize, to: usize| {
                let between: f64 = within[from + 1..to].iter().map(|b| b.written / slices + b.shared).sum();
                within[from].own / slices + within[from].shared + between
            };
            let apart = |from: usize, to: usize| {
                let between: f64 = (members[from] + 1..to).map(|m| self.fresh(m, symbol)).sum();
                within[from].own + within[from].shared + between
            };
            for (to, &reader) in members.iter().enumerate() {
                for touch in self.launches[reader].0.iter().filter(|t| !t.writes) {
                    let id = touch.id.index();
                    let before = self.readers[id].iter().take_while(|&&m| m < reader).last();
                    let all = value(&touch.bytes);
                    let new = self.writers[id].iter().filter(|&&w| w < reader && before.is_none_or(|&b| w > b));
                    let mut old = all;
                    // What is new was written back before it is read.
                    for &writer in new {
                        let bytes =
                            self.launches[writer].0.iter().find(|t| t.id == touch.id).map_or(0.0, |t| value(&t.bytes));
                        old -= bytes;
                        let again = |others| match self.reduces[writer] {
                            true => target.again_at_once(others),
                            false => target.again(others),
                        };
                        if let Ok(from) = members.binary_search(&writer) {
                            gain += PASS * bytes * (again(apart(from, reader)) - again(turn(from, to)));
                        }
                    }
                    if let Some(from) = before.and_then(|b| members.binary_search(b).ok()).filter(|_| old > 0.0) {
                        gain += old * (target.again(apart(from, reader)) - target.again(turn(from, to)));
                    }
                }
            }
            let round: f64 = within.iter().map(|b| b.written / slices + b.shared).sum();
            // Alone, too, each slice of a kernel reads it again.
            let later = |b: &Bytes| b.shared * (target.again(round) - target.again(b.own / slices + b.shared)) + CALL;
            gain - (slices - 1.0) * within.iter().map(later).sum::<f64>()
        })
    }
    /// The bytes that a launch is the first to touch, roughly.
    fn fresh(&self, n: usize, symbol: i64) -> f64 {
        let fresh = |t: &&Touch| t.writes || self.writers[t.id.index()].is_empty();
        self.launches[n].0.iter().filter(fresh).map(|t| at(&t.bytes, symbol)).sum()
    }
}

impl Touches {
    fn bytes(&self, symbol: i64, is_shared: &dyn Fn(BufferId) -> bool) -> Bytes {
        let mut bytes = Bytes::default();
        for touch in &self.0 {
            let many = at(&touch.bytes, symbol);
            if !touch.writes && is_shared(touch.buffer) {
                bytes.shared += many;
            } else {
                bytes.own += many;
                bytes.written += if touch.writes { many } else { 0.0 };
            }
        }
        bytes
    }
}

/// The value where all symbols are this.
pub fn at(dim: &Dim, symbol: i64) -> f64 {
    dim.eval_with(&|atom| matches!(atom, Atom::Sym(_)).then_some(symbol)).unwrap_or(1 << 30).max(0) as f64
}
