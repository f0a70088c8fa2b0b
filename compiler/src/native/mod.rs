//! Machine code: loop kernels and the entry points around them, for every target that Cranelift has.
//!
//! [`compile`] turns planned programs into position-independent functions that refer to each other and to the weights
//! by [`Symbol`]; nothing else is referred to, so what is made of them has no undefined symbols. Knows no object
//! formats.

mod clif;
mod code;
pub mod elementary;
mod target;
mod x86;

pub use code::{Code, Fixup, Function, Listing, Symbol};
pub use target::Target;

use crate::{
    base::Problems,
    plan::{Program, Weights},
};

/// An entry of the model: the C name of its function behind the model's prefix, and its program.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub c_name: &'a str,
    pub program: &'a Program,
}

/// A model's machine code.
#[derive(Debug)]
pub struct Compiled {
    /// In the order in which [`Symbol::Function`] counts.
    pub functions: Vec<Function>,
    /// For each entry: no call uses more stack on the calling thread, but for what a thread pool uses.
    pub stack_bytes: Vec<u64>,
}

/// Compiles the entries of the model `name`, whose symbols start with its name. The order of the result depends on
/// nothing but the arguments, however many threads work on it.
pub fn compile(target: &Target, name: &str, entries: &[Entry<'_>], weights: &Weights) -> Result<Compiled, Problems> {
    let (offsets, _) = weights.layout();
    let plan = clif::Plan::new(target, name, entries, &offsets);
    let jobs = plan.jobs();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut done = vec![];
        loop {
            let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(job) = jobs.get(n) else { return done };
            done.push((n, plan.run(job)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let mut results: Vec<(usize, Result<Function, Problems>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for worker in workers {
            results.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    });
    results.sort_by_key(|(n, _)| *n);
    let mut problems = Problems::default();
    let mut functions = vec![];
    for (_, result) in results {
        match result {
            Ok(function) => functions.push(function),
            Err(more) => problems.extend(more),
        }
    }
    problems.or(())?;
    let stack_bytes = (0..entries.len()).map(|n| plan.stack_bytes(n, &functions)).collect();
    Ok(Compiled { functions, stack_bytes })
}
