//! A thread pool for the parallel loops of compiled models.
//!
//! The calling thread publishes a job and works on it; woken workers join in. A job is a range cut into chunks, a few
//! per thread, and an atomic counter hands out the next one, so no lock is held and a slow thread delays nobody.
//! Idle workers are parked. A worker that wakes too late finds the job closed and parks again, so the caller waits
//! only for those who took part.
//!
//! One job runs at a time: while the pool is busy, a `parallel_for` from anywhere, a task of the pool included, runs on
//! its own calling thread. That makes nesting and sharing safe, since nobody ever waits for a thread that waits.
//! How a range is cut never shows in the result of a compiled model: each index is computed alike in every chunk.

use std::{
    any::Any,
    ffi::c_void,
    hint, io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle, Thread},
};

use crate::{
    abi::{Task, Threads},
    model::Parallel,
};

/// Chunks per thread: enough that threads which start late or run slower leave little to wait for.
const CHUNKS_PER_THREAD: i64 = 4;
/// How often a thread looks before it parks: some microseconds, about what parking and waking cost.
const PATIENCE: u32 = 500;

/// In [`Shared::gate`]: the job takes workers. The bits below count those inside, the bits above count jobs.
const OPEN: u64 = 1 << 16;
const INSIDE: u64 = OPEN - 1;
const ONE_JOB: u64 = OPEN << 1;

/// Threads that wait for work. Dropping it ends them.
#[derive(Debug)]
pub struct Pool {
    /// Its `pool` points to `shared`.
    threads: Threads,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// What the threads of a pool share.
#[derive(Debug)]
struct Shared {
    /// Held, without ever being waited for, by the call whose job is published.
    busy: AtomicBool,
    /// Whether and by how many workers the job may be touched.
    gate: AtomicU64,
    /// Lives on the caller's stack, which stays until the gate is closed and nobody is inside.
    job: AtomicPtr<Job>,
    ending: AtomicBool,
    workers: OnceLock<Box<[Thread]>>,
}

/// A range and what to do with it.
struct Job {
    task: Task,
    arg: *mut c_void,
    count: i64,
    /// Indices per chunk; the last chunk may have fewer.
    chunk: i64,
    chunks: i64,
    /// The next chunk to hand out.
    next: AtomicI64,
    caller: Thread,
}

// SAFETY: `threads.pool` points to `shared`, which is `Sync` and lives as long as the pool.
unsafe impl Send for Pool {}
// SAFETY: as above; `threads` is only read.
unsafe impl Sync for Pool {}

impl Pool {
    /// A pool that computes with `width` threads, the calling one included; at least 1, at most 65535.
    pub fn new(width: usize) -> io::Result<Pool> {
        let width = width.clamp(1, INSIDE as usize);
        let shared = Arc::new(Shared {
            busy: AtomicBool::new(false),
            gate: AtomicU64::new(0),
            job: AtomicPtr::default(),
            ending: AtomicBool::new(false),
            workers: OnceLock::new(),
        });
        let threads = Threads { pool: Arc::as_ptr(&shared).cast_mut().cast(), parallel_for, width: width as i64 };
        let mut pool = Pool { threads, shared, workers: vec![] };
        for i in 1..width {
            let shared = pool.shared.clone();
            // On failure the pool is dropped, which ends the workers that did start.
            pool.workers.push(thread::Builder::new().name(format!("smc-{i}")).spawn(move || shared.serve())?);
        }
        let handles = pool.workers.iter().map(|w| w.thread().clone()).collect();
        // Nobody else has the pool yet, so the cell is empty.
        let _ = pool.shared.workers.set(handles);
        Ok(pool)
    }

    /// As many threads as the machine runs at once.
    pub fn for_this_machine() -> io::Result<Pool> {
        Pool::new(thread::available_parallelism().map_or(1, usize::from))
    }

    /// Runs `task` over all of `0..count`, split in any way. When it panics, the other parts still run, and then the
    /// first panic continues here.
    pub fn for_each(&self, count: i64, task: impl Fn(Range<i64>) + Sync) {
        struct Contained<F> {
            task: F,
            panic: Mutex<Option<Box<dyn Any + Send>>>,
        }
        unsafe extern "C" fn run<F: Fn(Range<i64>) + Sync>(arg: *mut c_void, begin: i64, end: i64) {
            // SAFETY: `arg` is the `Contained<F>` below, which outlives the job and is `Sync`.
            let contained = unsafe { &*arg.cast_const().cast::<Contained<F>>() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (contained.task)(begin..end))) {
                contained.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(panic);
            }
        }
        fn runner<F: Fn(Range<i64>) + Sync>(_: &Contained<F>) -> Task {
            run::<F>
        }
        let contained = Contained { task, panic: Mutex::new(None) };
        self.shared.run(runner(&contained), ptr::from_ref(&contained).cast_mut().cast(), count);
        if let Some(panic) = contained.panic.into_inner().unwrap_or_else(|e| e.into_inner()) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // Tasks cannot unwind, so a worker has nothing to report.
            let _ = worker.join();
        }
    }
}

// SAFETY: `parallel_for` below keeps the promise, and `pool` stays valid while the pool is borrowed.
unsafe impl Parallel for Pool {
    fn threads(&self) -> &Threads {
        &self.threads
    }
}

/// A pool as `smc_pool.h` declares it: a pointer to this is a pointer to its `threads`.
#[repr(C)]
struct CPool {
    threads: Threads,
    pool: Pool,
}

/// `smc_pool_new`: a pool of `width` threads, or as many as the machine runs at once if that is less than 1; null when
/// they cannot be started.
#[unsafe(no_mangle)]
extern "C" fn smc_pool_new(width: i64) -> *mut Threads {
    let pool = if width < 1 { Pool::for_this_machine() } else { Pool::new(width.min(INSIDE as i64) as usize) };
    pool.map_or(ptr::null_mut(), |pool| Box::into_raw(Box::new(CPool { threads: pool.threads, pool })).cast())
}

/// `smc_pool_free`: ends the threads; null is ignored.
///
/// # Safety
/// `threads` is null or comes from `smc_pool_new`, and neither is used again.
#[unsafe(no_mangle)]
unsafe extern "C" fn smc_pool_free(threads: *mut Threads) {
    if !threads.is_null() {
        // SAFETY: the caller promises it; the box begins with its `threads`.
        drop(unsafe { Box::from_raw(threads.cast::<CPool>()) }.pool);
    }
}

/// The [`Threads::parallel_for`] of a [`Pool`].
unsafe extern "C" fn parallel_for(pool: *mut c_void, task: Task, arg: *mut c_void, count: i64) {
    // SAFETY: only `Pool::new` hands this function out, beside the pointer to its `Shared`.
    unsafe { &*pool.cast_const().cast::<Shared>() }.run(task, arg, count);
}

impl Shared {
    fn run(&self, task: Task, arg: *mut c_void, count: i64) {
        if count <= 0 {
            return;
        }
        let workers = self.workers.get().map_or(&[][..], |w| w);
        if count == 1 || workers.is_empty() || self.busy.swap(true, Ordering::Acquire) {
            // SAFETY: whoever passes a task promises that it may be run over its range.
            unsafe { task(arg, 0, count) };
            return;
        }
        let most_chunks = count.min((workers.len() as i64 + 1) * CHUNKS_PER_THREAD);
        let chunk = count / most_chunks + i64::from(count % most_chunks > 0);
        let chunks = count / chunk + i64::from(count % chunk > 0);
        let job = Job { task, arg, count, chunk, chunks, next: AtomicI64::new(0), caller: thread::current() };
        self.job.store(ptr::from_ref(&job).cast_mut(), Ordering::Relaxed);
        // Closed and empty, so nobody else changes it; the release shows workers the job.
        self.gate.store((self.gate.load(Ordering::Relaxed) + ONE_JOB) | OPEN, Ordering::Release);
        let wanted = usize::try_from(chunks - 1).unwrap_or(usize::MAX);
        workers.iter().take(wanted).for_each(Thread::unpark);
        job.work();
        // The acquire shows what the workers wrote, and that they are done with the job.
        let mut gate = self.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut patience = PATIENCE;
        while gate & INSIDE != 0 {
            if patience > 0 {
                patience -= 1;
                hint::spin_loop();
            } else {
                thread::park();
            }
            gate = self.gate.load(Ordering::Acquire);
        }
        self.busy.store(false, Ordering::Release);
    }

    /// The life of a worker.
    fn serve(&self) {
        let mut last_job = 0;
        let mut patience = 0;
        while !self.ending.load(Ordering::Acquire) {
            let gate = self.gate.load(Ordering::Relaxed);
            let number = gate / ONE_JOB;
            if gate & OPEN == 0 || number == last_job {
                if patience > 0 {
                    patience -= 1;
                    hint::spin_loop();
                } else {
                    thread::park();
                }
                continue;
            }
            if self.gate.compare_exchange(gate, gate + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            // SAFETY: the gate was open, so the job is published, and it stays until this worker leaves.
            let job = unsafe { &*self.job.load(Ordering::Relaxed) };
            let caller = job.caller.clone();
            job.work();
            if self.gate.fetch_sub(1, Ordering::Release) & (OPEN | INSIDE) == 1 {
                // The last one out of a closed job; from here on the job may be gone.
                caller.unpark();
            }
            last_job = number;
            patience = PATIENCE;
        }
    }
}

impl Job {
    /// Runs chunks until none is left.
    fn work(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.chunks {
                return;
            }
            let begin = index * self.chunk;
            let end = begin.saturating_add(self.chunk).min(self.count);
            // SAFETY: whoever passes a task promises that it may be run over its range, on any thread.
            unsafe { (self.task)(self.arg, begin, end) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU32, time::Duration};

    use super::*;

    /// Each index is visited exactly once.
    fn check(pool: &Pool, count: i64) {
        let visits: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
        pool.for_each(count, |range| {
            for i in range {
                visits[i as usize].fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(visits.iter().all(|v| v.load(Ordering::Relaxed) == 1), "{count}");
    }

    #[test]
    fn covers_the_range_once_at_every_width() {
        for width in [0, 1, 2, 3, 8] {
            let pool = Pool::new(width).unwrap();
            for count in [0, 1, 2, 7, 31, 32, 33, 1000] {
                check(&pool, count);
            }
        }
    }

    #[test]
    fn many_jobs_one_after_the_other_and_from_many_threads() {
        let pool = Pool::new(4).unwrap();
        (0..2000).for_each(|i| check(&pool, i % 50));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..300).for_each(|i| check(&pool, i % 70)));
            }
        });
    }

    #[test]
    fn huge_counts_are_cut_without_overflow() {
        let pool = Pool::new(3).unwrap();
        let sum = AtomicU64::new(0);
        pool.for_each(i64::MAX, |range| {
            sum.fetch_add((range.end - range.start) as u64, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), i64::MAX as u64);
    }

    #[test]
    fn tasks_may_use_the_pool() {
        let pool = Pool::new(3).unwrap();
        let total = AtomicI64::new(0);
        pool.for_each(20, |outer| {
            for _ in outer {
                pool.for_each(10, |inner| {
                    total.fetch_add(inner.end - inner.start, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(total.into_inner(), 200);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3).unwrap();
        let rest = AtomicI64::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.for_each(100, |range| {
                if range.contains(&42) {
                    panic!("at 42");
                }
                rest.fetch_add(range.end - range.start, Ordering::Relaxed);
            })
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"at 42"));
        assert!(rest.into_inner() >= 80);
        check(&pool, 100);
    }

    #[test]
    fn workers_that_sleep_wake_up() {
        let pool = Pool::new(2).unwrap();
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(5));
            check(&pool, 64);
        }
    }
}
