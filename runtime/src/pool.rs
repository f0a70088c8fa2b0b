//! A thread pool for the parallel loops of compiled models.
//!
//! The calling thread publishes a job, a range, and works on it; workers join in (`pool/shared.rs`). Each thread has a
//! contiguous part of the range to itself, the same one from job to job, and helps others when it is done
//! (`pool/seat.rs`). Idle workers are parked, after 50 microseconds of looking for a next job; where threads are more
//! than processors, after one.
//!
//! One job runs at a time: while the pool is busy, a `parallel_for` from anywhere, a task of the pool included, runs on
//! its own calling thread. That makes nesting and sharing safe, since nobody ever waits for a thread that waits.
//! How a range is cut never shows in the result of a compiled model: each index is computed alike in every part.

mod seat;
mod shared;

use std::{
    any::Any,
    ffi::c_void,
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use shared::{MAX_WIDTH, Shared};

use crate::{
    abi::{Task, Threads},
    model::Parallel,
};

/// Threads that wait for work. Dropping it ends them.
#[derive(Debug)]
pub struct Pool {
    /// Its `pool` points to `shared`.
    threads: Threads,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

// SAFETY: `threads.pool` points to `shared`, which is `Sync` and lives as long as the pool.
unsafe impl Send for Pool {}
// SAFETY: as above; `threads` is only read.
unsafe impl Sync for Pool {}

impl Pool {
    /// A pool that computes with `width` threads, the calling one included; at least 1, at most 16383.
    pub fn new(width: usize) -> io::Result<Pool> {
        let width = width.clamp(1, MAX_WIDTH);
        let shared = Arc::new(Shared::new(width));
        let threads = Threads { pool: Arc::as_ptr(&shared).cast_mut().cast(), parallel_for, width: width as i64 };
        let mut pool = Pool { threads, shared, workers: vec![] };
        for i in 1..width {
            let shared = pool.shared.clone();
            // On failure the pool is dropped, which ends the workers that did start.
            pool.workers.push(thread::Builder::new().name(format!("smc-{i}")).spawn(move || shared.serve(i))?);
        }
        pool.shared.introduce(pool.workers.iter().map(|w| w.thread().clone()).collect());
        Ok(pool)
    }

    /// As many threads as the machine runs at once.
    pub fn for_this_machine() -> io::Result<Pool> {
        Pool::new(thread::available_parallelism().map_or(1, usize::from))
    }

    /// Runs `task` over all of `0..count`, split in any way; it is taken for work that is worth waking everybody. When
    /// it panics, the other parts still run, and then the first panic continues here.
    pub fn for_each(&self, count: i64, task: impl Fn(Range<i64>) + Sync) {
        self.for_each_of(count, i64::MAX, task);
    }

    fn for_each_of(&self, count: i64, nanoseconds: i64, task: impl Fn(Range<i64>) + Sync) {
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
        self.shared.run(runner(&contained), ptr::from_ref(&contained).cast_mut().cast(), count, nanoseconds);
        if let Some(panic) = contained.panic.into_inner().unwrap_or_else(|e| e.into_inner()) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.end();
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
    let pool = if width < 1 { Pool::for_this_machine() } else { Pool::new(width.min(MAX_WIDTH as i64) as usize) };
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
unsafe extern "C" fn parallel_for(pool: *mut c_void, task: Task, arg: *mut c_void, count: i64, nanoseconds: i64) {
    // SAFETY: only `Pool::new` hands this function out, beside the pointer to its `Shared`.
    unsafe { &*pool.cast_const().cast::<Shared>() }.run(task, arg, count, nanoseconds);
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
        time::{Duration, Instant},
    };

    use super::*;

    /// Each index is visited exactly once.
    fn check(pool: &Pool, count: i64) {
        check_with(pool, count, i64::MAX);
    }

    /// The same for a task that is said to be so much work, as a compiled model calls it.
    fn check_with(pool: &Pool, count: i64, nanoseconds: i64) {
        unsafe extern "C" fn visit(visits: *mut c_void, begin: i64, end: i64) {
            // SAFETY: it is the vector below.
            let visits = unsafe { &*visits.cast::<Vec<AtomicU32>>() };
            visits[begin as usize..end as usize].iter().for_each(|v| _ = v.fetch_add(1, Ordering::Relaxed));
        }
        let visits: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
        let Threads { pool, parallel_for, .. } = *pool.threads();
        // SAFETY: the task may run over any part of the range on any thread.
        unsafe { parallel_for(pool, visit, ptr::from_ref(&visits).cast_mut().cast(), count, nanoseconds) };
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
    fn any_amount_of_work_is_done() {
        for width in [2, 5] {
            let pool = Pool::new(width).unwrap();
            for nanoseconds in [i64::MIN, -1, 0, 1, 900, 1500, 4000, 49_000, 50_000, 1 << 20, i64::MAX] {
                (0..300).for_each(|i| check_with(&pool, i % 40, nanoseconds));
                thread::sleep(Duration::from_millis(1));
                check_with(&pool, 1000, nanoseconds);
            }
        }
    }

    #[test]
    fn short_jobs_wake_a_worker_when_they_follow_each_other() {
        let pool = Pool::new(2).unwrap();
        let caller = thread::current().id();
        let begin = Instant::now();
        let helped = AtomicU64::new(0);
        let visit = || {
            pool.for_each_of(64, 10_000, |_| {
                helped.fetch_add(u64::from(thread::current().id() != caller), Ordering::Relaxed);
            })
        };
        while helped.load(Ordering::Relaxed) == 0 {
            visit();
            assert!(begin.elapsed() < Duration::from_secs(60), "nobody came");
        }
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
