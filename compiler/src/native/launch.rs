//! How an entry calls its kernels: `extern "C" fn(frame, begin, end)`. A profiler calls them in the same way.

use std::ffi::c_void;
#[cfg(target_pointer_width = "64")]
use std::mem::offset_of;

use crate::{
    base::Dim,
    loops::{Kernel, LoopKind, Stmt},
    plan::{Chain, EVEN_TASKS, MIN_SLICES, MIN_TASKS, Program, Unit},
};

/// What a kernel is given: an object on the entry's stack.
#[derive(Debug)]
#[repr(C)]
pub struct Frame {
    /// The caller's io struct.
    pub io: *const c_void,
    pub workspace: *mut c_void,
    pub weights: *const c_void,
    /// 0; a failed check stores its fault here.
    pub status: i64,
    /// The values of the program's formulas, in their order.
    pub formulas: *const i64,
}

/// What a kernel of a chain is given: a frame, on the stack of the chain's function, with more behind it.
#[repr(C)]
struct ChainFrame {
    frame: Frame,
    /// The memory of the slice.
    slice: *mut c_void,
    /// A kernel, some of whose iterations are one slice, and the first of them: what is added where threads share them.
    kernel: *const c_void,
    first: i64,
}

impl Frame {
    // On a target, which has 64 bits, whatever this program runs on.
    pub(super) const IO: i32 = 0;
    pub(super) const WORKSPACE: i32 = 8;
    pub(super) const WEIGHTS: i32 = 16;
    pub(super) const STATUS: i32 = 24;
    pub(super) const FORMULAS: i32 = 32;
    pub(super) const BYTES: u32 = 40;
    pub(super) const SLICE: i32 = 40;
    pub(super) const KERNEL: i32 = 48;
    pub(super) const FIRST: i32 = 56;
    pub(super) const CHAIN_BYTES: u32 = 64;
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(offset_of!(Frame, io) == Frame::IO as usize && offset_of!(Frame, workspace) == Frame::WORKSPACE as usize);
    assert!(
        offset_of!(Frame, weights) == Frame::WEIGHTS as usize && offset_of!(Frame, status) == Frame::STATUS as usize
    );
    assert!(offset_of!(Frame, formulas) == Frame::FORMULAS as usize);
    assert!(size_of::<Frame>() == Frame::BYTES as usize);
    assert!(offset_of!(ChainFrame, frame) == 0 && offset_of!(ChainFrame, slice) == Frame::SLICE as usize);
    assert!(offset_of!(ChainFrame, kernel) == Frame::KERNEL as usize);
    assert!(offset_of!(ChainFrame, first) == Frame::FIRST as usize);
    assert!(size_of::<ChainFrame>() == Frame::CHAIN_BYTES as usize);
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
pub(super) fn may_be_few(chain: &Chain) -> bool {
    chain.slices.as_int().is_none() && chain.slices.content() < MIN_SLICES
}

/// Whether a chain has so few tasks, since each has memory of its own, that more threads rather share the kernels of each
/// slice, one slice after the other: in the memory of one task.
pub(super) fn may_be_crowded(chain: &Chain) -> bool {
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
        Unit::Chain(c) => {
            let chain = &program.chains[c];
            let launches = &program.launches[chain.launches.clone()];
            Some((chain.tasks.clone(), launches.iter().fold(Dim::zero(), |sum, launch| sum + &launch.work)))
        }
    }
}
