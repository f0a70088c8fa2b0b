//! What the threads of a pool share: the job, who is at it, and who sleeps.
//!
//! A job is published by opening the *gate*, one word that also counts who is inside. Whoever is inside may look at the
//! job; it changes only while the gate is closed and nobody is inside. The caller closes the gate when nothing is left
//! to take and waits for those inside; a worker that comes later finds it closed. Nobody takes a lock on the way.
//!
//! A worker that is done looks for the next job for a bounded time, its *patience*, and then parks. Waking one takes
//! microseconds of the caller, so a short job is shared with those who are awake, and calls a sleeper only when it is
//! one of many that follow each other closely.

use std::{
    cell::UnsafeCell,
    ffi::c_void,
    hint,
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use super::seat::Seat;
use crate::abi::Task;

/// How long a thread looks before it parks. Within a call, jobs follow each other faster than that.
const PATIENCE: Duration = Duration::from_micros(50);
/// The same where threads are more than processors: who looks may keep from working whom it waits for.
const CROWDED_PATIENCE: Duration = Duration::from_micros(1);
/// Looks between two at the clock.
const LOOKS: u32 = 16;
/// Work that pays for waking a thread, in nanoseconds: the call to the system, and what the sleeper misses.
const WORTH_WAKING: i64 = 50_000;
/// Work that pays for one more thread that is awake, in nanoseconds.
const WORTH_SHARING: i64 = 1_000;
/// A thread takes no less work than this at a time, in nanoseconds: calling a kernel costs a twentieth of it.
const WORTH_TAKING: i64 = 250;

/// In [`Shared::gate`], from below: how many workers are inside, how many seats the job has, the flags, and the job's
/// number. A number that comes again after billions of jobs makes a worker that slept all the while miss one.
const INSIDE: u64 = ONE_SEAT - 1;
const ONE_SEAT: u64 = 1 << 14;
const SEATS: u64 = OPEN - ONE_SEAT;
/// The job takes workers.
const OPEN: u64 = 1 << 28;
/// The caller is parked, or about to be, until the last worker leaves.
const WAITING: u64 = 1 << 29;
/// The pool is being dropped.
const ENDING: u64 = 1 << 30;
const ONE_JOB: u64 = 1 << 31;

/// Threads of a pool, at most.
pub const MAX_WIDTH: usize = INSIDE as usize;

/// A range and what to do with it. It is cut into pieces, and pieces into one part per seat.
#[derive(Clone, Copy, Debug)]
struct Job {
    task: Task,
    arg: *mut c_void,
    count: i64,
    /// Indices of a piece; one, unless there are billions.
    piece: i64,
    /// Pieces that a thread takes at least.
    least: u32,
}

/// See above. The gate and the job share a cache line, so that who sees the one has the other.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Shared {
    gate: AtomicU64,
    job: UnsafeCell<Job>,
    turn: Turn,
    /// Who waits, when [`WAITING`] is set.
    caller: UnsafeCell<Option<Thread>>,
    /// By thread, the calling one first.
    seats: Box<[Seat]>,
    patience: Duration,
    /// The beginning of time for [`Turn::last_alone`].
    epoch: Instant,
    workers: OnceLock<Box<[Thread]>>,
}

/// What callers write and workers never read.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Turn {
    /// Held, without ever being waited for, by the call whose job is published.
    busy: AtomicBool,
    /// When a job was too short to wake anybody, in nanoseconds, and the work of those that have followed each other.
    last_alone: AtomicU64,
    alone: AtomicU64,
}

// SAFETY: `job` is written while the gate is closed, nobody is inside and `busy` is held, and read by its writer and by
// those inside. `caller` is written by the holder of `busy` while `WAITING` is not set, and read by those inside who saw
// `WAITING`. Both are sent along by the release that opens the gate or sets `WAITING`. What `arg` points to may be used
// on any thread: whoever passes a task promises it.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    /// For so many threads, the calling one included.
    pub fn new(width: usize) -> Shared {
        unsafe extern "C" fn nothing(_: *mut c_void, _: i64, _: i64) {}
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Shared {
            gate: AtomicU64::new(0),
            job: UnsafeCell::new(Job { task: nothing, arg: std::ptr::null_mut(), count: 0, piece: 1, least: 1 }),
            caller: UnsafeCell::new(None),
            seats: (0..width).map(|_| Seat::default()).collect(),
            turn: Turn::default(),
            patience: if width > processors { CROWDED_PATIENCE } else { PATIENCE },
            epoch: Instant::now(),
            workers: OnceLock::new(),
        }
    }

    /// Makes the workers known, in the order of their seats.
    pub fn introduce(&self, workers: Box<[Thread]>) {
        // Who calls this has just made the pool, so the cell is empty.
        let _ = self.workers.set(workers);
    }

    /// Sends the workers home.
    pub fn end(&self) {
        self.gate.fetch_or(ENDING, Ordering::Release);
    }

    /// Runs `task` over `0..count`, work of about so many nanoseconds.
    pub fn run(&self, task: Task, arg: *mut c_void, count: i64, nanoseconds: i64) {
        if count <= 0 {
            return;
        }
        let seats = (self.seats.len() as i64).min(count).min(nanoseconds / WORTH_SHARING);
        if seats < 2 || self.turn.busy.swap(true, Ordering::Acquire) {
            // SAFETY: whoever passes a task promises that it may be run over its range.
            unsafe { task(arg, 0, count) };
            return;
        }
        let seats = seats as usize;
        let workers = self.workers.get().map_or(&[][..], |w| w);
        let wakes = self.wakes(seats, nanoseconds);
        if workers.is_empty() || wakes == 0 && self.sleep(seats) {
            self.turn.busy.store(false, Ordering::Release);
            // SAFETY: as above.
            unsafe { task(arg, 0, count) };
            return;
        }
        let job = self.open(Job { task, arg, count, piece: 1, least: 1 }, seats, nanoseconds);
        let sleepers = self.seats[1..seats].iter().zip(workers).filter(|(seat, _)| seat.asleep.load(Ordering::Relaxed));
        for (seat, worker) in sleepers.take(wakes) {
            seat.asleep.store(false, Ordering::Relaxed);
            worker.unpark();
        }
        job.work(&self.seats[..seats], 0);
        self.close();
        self.turn.busy.store(false, Ordering::Release);
    }

    /// Whether all workers with a seat are asleep.
    fn sleep(&self, seats: usize) -> bool {
        self.seats[1..seats].iter().all(|seat| seat.asleep.load(Ordering::Relaxed))
    }

    /// How many sleepers a job may wake.
    fn wakes(&self, seats: usize, nanoseconds: i64) -> usize {
        let own = nanoseconds / WORTH_WAKING;
        if own > 0 || !self.sleep(seats) {
            return own as usize;
        }
        let now = self.epoch.elapsed().as_nanos() as u64;
        let before = self.turn.last_alone.load(Ordering::Relaxed);
        let follows = now - before < self.patience.as_nanos() as u64;
        let alone = if follows { self.turn.alone.load(Ordering::Relaxed) } else { 0 } + nanoseconds as u64;
        let enough = alone >= WORTH_WAKING as u64;
        self.turn.last_alone.store(now, Ordering::Relaxed);
        self.turn.alone.store(if enough { 0 } else { alone }, Ordering::Relaxed);
        usize::from(enough)
    }

    /// Deals the parts, publishes the job and lets workers in. The caller holds `busy`.
    fn open(&self, mut job: Job, seats: usize, nanoseconds: i64) -> Job {
        job.piece = job.count / i64::from(u32::MAX) + 1;
        let pieces = job.count / job.piece + i64::from(job.count % job.piece > 0);
        job.least = (pieces * WORTH_TAKING / nanoseconds).clamp(1, pieces) as u32;
        let begin = |seat: usize| (pieces as u64 * seat as u64 / seats as u64) as u32;
        for (n, seat) in self.seats[..seats].iter().enumerate() {
            seat.deal(begin(n)..begin(n + 1));
        }
        // SAFETY: the gate is closed, nobody is inside, and `busy` is held.
        unsafe { *self.job.get() = job };
        let gate = self.gate.load(Ordering::Relaxed);
        let open = (gate & !(SEATS | WAITING)).wrapping_add(ONE_JOB) | OPEN | (seats as u64 * ONE_SEAT);
        // The release shows workers the job. The fence orders this before the look at who is asleep, as `await_job` has
        // one between falling asleep and its last look at the gate: one of the two sees the other.
        self.gate.store(open, Ordering::Release);
        fence(Ordering::SeqCst);
        job
    }

    /// Lets nobody in any more, and waits for those inside.
    fn close(&self) {
        // Here and below, the acquire shows what the workers wrote, and that they are done with the job.
        let mut gate = self.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut patience = Patience::new(self.patience);
        while gate & INSIDE != 0 {
            if gate & WAITING != 0 {
                thread::park();
            } else if !patience.look_again() {
                // SAFETY: `busy` is held, and `WAITING` is not set.
                unsafe { *self.caller.get() = Some(thread::current()) };
                self.gate.fetch_or(WAITING, Ordering::Release);
            }
            gate = self.gate.load(Ordering::Acquire);
        }
    }

    /// The life of the worker with this seat.
    pub fn serve(&self, mine: usize) {
        let mut last = 0;
        while let Some(gate) = self.await_job(mine, last) {
            if self.gate.compare_exchange(gate, gate + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            last = gate / ONE_JOB;
            // SAFETY: this worker is inside.
            let job = unsafe { *self.job.get() };
            let seats = (gate & SEATS) / ONE_SEAT;
            job.work(&self.seats[..seats as usize], mine);
            self.leave();
        }
    }

    /// The gate when it has opened on a job other than the `last` one that has this seat; none when the pool ends.
    fn await_job(&self, mine: usize, last: u64) -> Option<u64> {
        let mut patience = Patience::new(self.patience);
        let asleep = &self.seats[mine].asleep;
        loop {
            let gate = self.gate.load(Ordering::Relaxed);
            if gate & ENDING != 0 {
                asleep.store(false, Ordering::Relaxed);
                return None;
            }
            let is_seated = (gate & SEATS) / ONE_SEAT > mine as u64;
            if gate & OPEN != 0 && gate / ONE_JOB != last && is_seated {
                // Only who has slept has reason to write.
                if asleep.load(Ordering::Relaxed) {
                    asleep.store(false, Ordering::Relaxed);
                }
                return Some(gate);
            }
            if asleep.load(Ordering::Relaxed) {
                thread::park();
                patience = Patience::new(self.patience);
            } else if !patience.look_again() {
                // A last look follows. See `open`; `end` is followed by waking everybody.
                asleep.store(true, Ordering::Relaxed);
                fence(Ordering::SeqCst);
            }
        }
    }

    /// Goes out; the last one wakes a caller that is parked.
    fn leave(&self) {
        let mut gate = self.gate.load(Ordering::Relaxed);
        loop {
            // From the exchange on, the caller and what is its may be gone.
            let caller = if gate & WAITING != 0 && gate & INSIDE == 1 {
                // The `WAITING` that was seen shows what was stored before it.
                fence(Ordering::Acquire);
                // SAFETY: this worker is inside, and saw `WAITING`.
                unsafe { (*self.caller.get()).clone() }
            } else {
                None
            };
            match self.gate.compare_exchange_weak(gate, gate - 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return caller.iter().for_each(Thread::unpark),
                Err(now) => gate = now,
            }
        }
    }
}

impl Job {
    /// Runs the part of a seat, and then what others have left of theirs.
    fn work(&self, seats: &[Seat], mine: usize) {
        let (before, from) = seats.split_at(mine);
        self.run_all(|| from[0].take(self.least));
        for seat in from[1..].iter().chain(before) {
            self.run_all(|| seat.help(self.least));
        }
    }

    /// Runs what is given until nothing is.
    fn run_all(&self, next: impl Fn() -> Range<u32>) {
        let mut pieces = next();
        while !pieces.is_empty() {
            self.run(pieces);
            pieces = next();
        }
    }

    fn run(&self, pieces: Range<u32>) {
        let begin = i64::from(pieces.start) * self.piece;
        let end = i64::from(pieces.end).saturating_mul(self.piece).min(self.count);
        // SAFETY: whoever passes a task promises that it may be run over its range, on any thread.
        unsafe { (self.task)(self.arg, begin, end) };
    }
}

/// A bounded time of looking again and again.
struct Patience {
    limit: Duration,
    since: Option<Instant>,
    looks: u32,
}

impl Patience {
    fn new(limit: Duration) -> Patience {
        Patience { limit, since: None, looks: 0 }
    }
    /// Pauses a little; false when the time is over.
    fn look_again(&mut self) -> bool {
        hint::spin_loop();
        self.looks += 1;
        if !self.looks.is_multiple_of(LOOKS) {
            return true;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() < self.limit
    }
}
