//! Where the time of a call goes: its kernels one by one, in the order and with the memory of a real call.
//!
//! The code is the object's own, unchanged: what is left out is the entry function, whose place this takes. Each pass
//! runs all kernels in turn with a look at the clock between two of them, so every kernel finds the caches as a call
//! leaves them; the clock's own time is taken off.

use std::{
    ffi::c_void,
    sync::Arc,
    time::{Duration, Instant},
};

use smc_runtime::{Parallel, abi::Task};

use super::Call;
use crate::{
    base::{
        Bindings, Diagnostic, Dim,
        dim::{Atom, Formula},
        layer::Scopes,
    },
    entry::{Frame, arena_bytes, iterations},
    loops::{Kernel, Stmt},
    native,
    plan::{Bodies, FlowKind, Guard, Launch, Place, Program, Unit, WORTH_SHARING},
};

/// A kernel of an entry, or a chain of them, and what it does.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    /// The function in the object; kernels with the same code share one.
    pub symbol: String,
    /// The layer it computes, as the model's author knows it; the node's name where it stands alone.
    pub layer: Option<String>,
    pub flops: Dim,
    /// Bytes of the buffers that it reads and writes, each counted once.
    pub bytes: Dim,
    pub code_bytes: usize,
    /// What kept the kernel from vectors as wide as the machine's.
    pub declined: Option<String>,
    /// The extent of the loop that threads may share, and the work that tells whether they do.
    parallel: Option<(Dim, Dim)>,
}

/// Times of the steps, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Profile {
    /// By step, the minimum and the median over the passes.
    pub steps: Vec<(f64, f64)>,
    /// Of whole calls through the entry, measured between the passes.
    pub call: (f64, f64),
    pub passes: usize,
}

/// A program's steps in order, and what its calls compute first.
#[derive(Clone, Debug, Default)]
pub struct Kernels {
    pub steps: Vec<Step>,
    formulas: Vec<Arc<Formula>>,
}

/// The kernels of an entry at its best level.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    open: Kernels,
    /// Of the calls of which these hold.
    equal: Option<(Vec<Guard>, Kernels)>,
}

impl Steps {
    /// Those of a call with these extents.
    pub fn of(&self, bind: &Bindings) -> &Kernels {
        match &self.equal {
            Some((when, kernels)) if when.iter().all(|guard| guard.holds(bind)) => kernels,
            _ => &self.open,
        }
    }
}

pub(super) fn steps(bodies: &Bodies, kernels: &[Vec<usize>], code: &native::Compiled, scopes: &Scopes) -> Steps {
    let (open, rest) = kernels.split_at(bodies.open.len());
    let equal = &rest[..bodies.equal.as_ref().map_or(0, |(_, programs)| programs.len())];
    let best = |programs: &[Program], kernels: &[Vec<usize>]| match (programs.last(), kernels.last()) {
        (Some(program), Some(numbers)) => {
            Kernels { steps: of_program(program, numbers, code, scopes), formulas: program.formulas.clone() }
        }
        _ => Kernels::default(),
    };
    let special = bodies.equal.as_ref().map(|(when, programs)| (when.clone(), best(programs, equal)));
    Steps { open: best(&bodies.open, open), equal: special }
}

fn of_program(program: &Program, numbers: &[usize], code: &native::Compiled, scopes: &Scopes) -> Vec<Step> {
    let code_name = |n: usize| code.functions[n].name.clone();
    let step = |unit: Unit| {
        let (launches, n) = match unit {
            Unit::Launch(k) => (k..k + 1, numbers[k]),
            Unit::Chain(c) => (program.chains[c].launches.clone(), numbers[program.launches.len() + c]),
            Unit::Flow(f) => return of_flow(program, f, numbers, code, scopes),
        };
        let of = &program.launches[launches.clone()];
        let sum = |what: &dyn Fn(&Launch) -> Dim| of.iter().fold(Dim::zero(), |sum, launch| sum + what(launch));
        let code = || launches.clone().map(|k| &code.functions[numbers[k]].code);
        Step {
            name: of.iter().map(|launch| &launch.kernel.name[..]).collect::<Vec<_>>().join(" + "),
            symbol: code_name(n),
            layer: of
                .iter()
                .find_map(|launch| launch.origin.as_ref())
                .map(|node| scopes.layer(node).unwrap_or(node.clone())),
            flops: sum(&|launch| launch.flops.clone()),
            bytes: sum(&|launch| bytes(program, launch)),
            code_bytes: code().map(|code| code.bytes.len()).sum(),
            declined: code().find_map(|code| code.declined.clone()),
            parallel: iterations(program, unit),
        }
    };
    program.units().into_iter().map(step).collect()
}

/// A branch or loop as one step. How often a loop runs that a condition ends is not known; what it computes is counted once.
fn of_flow(program: &Program, f: usize, numbers: &[usize], code: &native::Compiled, scopes: &Scopes) -> Step {
    let flow = &program.flows[f];
    let count = match &flow.kind {
        FlowKind::Loop(plan) => plan.count.clone().filter(|_| plan.condition.is_none()).unwrap_or(Dim::one()),
        FlowKind::If { .. } | FlowKind::Call(..) => Dim::one(),
    };
    let inner: Vec<&Program> = flow.programs().into_iter().flat_map(Program::all).collect();
    let launches = || inner.iter().flat_map(|program| program.launches.iter().map(move |launch| (*program, launch)));
    let number = numbers[program.launches.len() + program.chains.len() + f];
    Step {
        name: flow.name.clone(),
        symbol: code.functions[number].name.clone(),
        layer: flow.origin.as_ref().map(|node| scopes.layer(node).unwrap_or(node.clone())),
        flops: launches().fold(Dim::zero(), |sum, (_, launch)| sum + &launch.flops) * &count,
        bytes: launches().fold(Dim::zero(), |sum, (program, launch)| sum + bytes(program, launch)) * &count,
        code_bytes: code.functions[number].code.bytes.len(),
        declined: None,
        parallel: None,
    }
}

/// What a kernel touches at most: all of each buffer that it reads, and what it stores. The latter may be little: filling
/// a border writes the border alone. What a chain keeps in its slices does not count.
pub(super) fn bytes(program: &Program, launch: &Launch) -> Dim {
    let mut seen = vec![];
    let mut sum = Dim::zero();
    for ((_, buffer), &id) in launch.kernel.buffers.iter().zip(&launch.args) {
        if seen.contains(&id) || matches!(program.storage[id].place, Place::Slice(_)) {
            continue;
        }
        seen.push(id);
        let storage = &program.storage[id];
        let elements = if buffer.written { stored(launch, &storage.len) } else { storage.len.clone() };
        sum = &sum + &(&elements * &Dim::from(storage.dtype.size() as i64));
    }
    sum
}

/// How many elements a kernel stores in a buffer of `len`. Where that depends on its variables, as at the end of rows that
/// tiles do not divide, it is all of its part.
fn stored(launch: &Launch, len: &Dim) -> Dim {
    let counted = stores(&launch.kernel, &launch.kernel.body);
    let mut closed = true;
    counted.for_each_atom(&mut |atom| closed &= !matches!(atom, Atom::Var(_)));
    match &launch.part {
        _ if closed => counted,
        Some(part) => part.extents.iter().fold(Dim::one(), |count, extent| &count * extent),
        None => len.clone(),
    }
}

/// How many elements a block stores, conditions aside.
fn stores(kernel: &Kernel, block: &[Stmt]) -> Dim {
    block.iter().fold(Dim::zero(), |sum, stmt| match stmt {
        Stmt::Store { .. } | Stmt::Update { .. } => &sum + &Dim::from(1),
        Stmt::For { var, body, .. } => &sum + &(kernel.loop_extent(*var) * &stores(kernel, body)),
        Stmt::If { then, otherwise, .. } => &sum + &stores(kernel, then).at_least(&stores(kernel, otherwise)),
        Stmt::Set { .. }
        | Stmt::Assign { .. }
        | Stmt::Accumulate { .. }
        | Stmt::Prefetch { .. }
        | Stmt::Append { .. }
        | Stmt::Take { .. }
        | Stmt::Check { .. } => sum,
    })
}

/// A step as the entry calls it.
struct StepTask<'t> {
    task: Task,
    extent: i64,
    /// About how long one iteration takes.
    nanoseconds: i64,
    /// Those that share the work, where it is worth sharing.
    threads: Option<&'t dyn Parallel>,
}

impl Call<'_> {
    /// Measures the steps of this call's entry for so long, two passes at least. The code has one CPU level.
    pub fn profile(
        &mut self,
        kernels: &Kernels,
        threads: Option<&dyn Parallel>,
        limit: Duration,
    ) -> Result<Profile, Diagnostic> {
        self.set_threads(threads);
        // What data decide is known once a call was made.
        self.run(threads)?;
        let tasks = self.tasks(kernels, threads)?;
        let weights = self.symbol(&format!("{}_weights", self.executable.interface().name))?.cast::<c_void>();
        let formulas = kernels.formulas.iter().map(|f| self.extent(&Dim::from(f))).collect::<Result<Vec<i64>, _>>()?;
        // As the entry has it, an arena comes first.
        let arena = self.workspace.address() as *mut u64;
        let strings = self.executable.interface().signatures[self.signature].strings;
        let workspace = self.workspace.address() + strings.map_or(0, arena_bytes);
        let mut frame = Frame {
            formulas: formulas.as_ptr(),
            io: self.io.as_ptr().cast(),
            workspace: workspace as *mut c_void,
            weights,
            status: 0,
            arena: arena.cast(),
        };
        let clock = clock();
        let mut times = vec![vec![]; tasks.len()];
        let mut calls = vec![];
        let begin = Instant::now();
        while calls.len() < 2 || begin.elapsed() < limit {
            let start = Instant::now();
            self.run(threads)?;
            calls.push(start.elapsed().as_nanos() as f64);
            if strings.is_some() {
                // SAFETY: the arena's header is at the start of the workspace of a call that was made.
                unsafe { arena.write(0) };
            }
            for (&StepTask { task, extent, nanoseconds, threads }, times) in tasks.iter().zip(&mut times) {
                let arg = (&raw mut frame).cast::<c_void>();
                let start = Instant::now();
                // SAFETY: this is what the entry function does: the frame names the io struct, workspace and weights
                // of a call that `run` has just accepted, and the kernels before this one have run.
                unsafe {
                    match threads.map(Parallel::threads) {
                        Some(t) => (t.parallel_for)(t.pool, task, arg, extent, nanoseconds),
                        None => task(arg, 0, extent),
                    }
                }
                times.push((start.elapsed().as_nanos() as f64 - clock).max(0.0));
                if frame.status != 0 {
                    return Err(self.fault(frame.status as i32));
                }
            }
        }
        let passes = calls.len();
        Ok(Profile { steps: times.into_iter().map(extremes).collect(), call: extremes(calls), passes })
    }

    /// The task of each step, as the entry calls it.
    fn tasks<'t>(&self, kernels: &Kernels, threads: Option<&'t dyn Parallel>) -> Result<Vec<StepTask<'t>>, Diagnostic> {
        let task = |step: &Step| {
            // SAFETY: the symbol is a kernel's, and all kernels have this signature.
            let task = unsafe { std::mem::transmute::<*const u8, Task>(self.symbol(&step.symbol)?) };
            let (extent, work) = match &step.parallel {
                Some((extent, work)) => (self.extent(extent)?, self.extent(work)?),
                None => (1, 0),
            };
            let splits = extent > 1 && work >= WORTH_SHARING;
            Ok(StepTask { task, extent, nanoseconds: work / 1000, threads: threads.filter(|_| splits) })
        };
        kernels.steps.iter().map(task).collect()
    }

    fn symbol(&self, name: &str) -> Result<*const u8, Diagnostic> {
        self.executable.symbol(name).ok_or_else(|| Diagnostic::error(format!("the object has no symbol {name}")))
    }

    fn extent(&self, dim: &Dim) -> Result<i64, Diagnostic> {
        let unknown = || Diagnostic::error(format!("the inputs do not determine the extent `{dim}`"));
        dim.eval(self.bindings()).ok_or_else(unknown)
    }
}

/// Nanoseconds between two looks at the clock.
fn clock() -> f64 {
    let look = |_| Instant::now().elapsed().as_nanos() as f64;
    (0..1000).map(look).fold(f64::MAX, f64::min)
}

/// Minimum and median.
fn extremes(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}
