//! What of a program threads may share, and in which pieces.

use crate::{
    base::Dim,
    loops::{Kernel, LoopKind, Stmt},
    plan::{Chain, EVEN_TASKS, MIN_SLICES, MIN_TASKS, Program, Unit, WORTH_SHARING},
};

/// The extent of the outermost loop when parts of it may run on different threads: the body is that loop, and perhaps
/// values that are cheap to compute in each part. `begin..end` is the part of that loop to run; any other kernel runs
/// as a whole.
pub fn parallel_extent(kernel: &Kernel) -> Option<&Dim> {
    let (last, before) = kernel.body.split_last()?;
    match last {
        Stmt::For { var, kind: LoopKind::Parallel, .. } if before.iter().all(|s| matches!(s, Stmt::Set { .. })) => {
            Some(kernel.loop_extent(*var))
        }
        _ => None,
    }
}

/// Whether a call may have so few slices of a chain that threads rather share the kernels of each. Nobody counts on it
/// where the number of slices is known.
pub fn may_be_few(chain: &Chain) -> bool {
    chain.slices.as_int().is_none() && chain.slices.content() < MIN_SLICES
}

/// Whether a chain has so few tasks, since each has memory of its own, that more threads rather share the kernels of each
/// slice, one slice after the other: in the memory of one task.
pub fn may_be_crowded(chain: &Chain) -> bool {
    let tasks = chain.tasks.as_int().unwrap_or(MIN_TASKS);
    tasks < EVEN_TASKS && chain.slices.as_int().is_none_or(|slices| slices > tasks)
}

/// What the iterations of a unit are, which threads may share: how many, and the work of all.
pub fn iterations(program: &Program, unit: Unit) -> Option<(Dim, Dim)> {
    match unit {
        Unit::Launch(k) => {
            let launch = &program.launches[k];
            parallel_extent(&launch.kernel).map(|extent| (extent.clone(), launch.work.clone()))
        }
        Unit::Flow(_) => None,
        Unit::Chain(c) => {
            let chain = &program.chains[c];
            let launches = &program.launches[chain.launches.clone()];
            Some((chain.tasks.clone(), launches.iter().fold(Dim::zero(), |sum, launch| sum + &launch.work)))
        }
    }
}

/// Whether threads may take parts of a unit: it is parallel, and not known to be too little work.
pub fn is_shared(program: &Program, unit: Unit) -> bool {
    iterations(program, unit).is_some_and(|(_, work)| work.as_int().is_none_or(|work| work >= WORTH_SHARING))
}

/// Whether a program can end early.
pub fn program_can_fail(program: &Program) -> bool {
    let fails = |program: &&Program| {
        !program.found.is_empty()
            || program.calls().next().is_some()
            || program.launches.iter().any(|launch| can_fail(&launch.kernel))
    };
    program.all().iter().any(fails)
}

/// Whether a kernel can end early.
pub fn can_fail(kernel: &Kernel) -> bool {
    kernel.can_fail()
}
