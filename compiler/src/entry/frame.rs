//! The memory that routines, kernels and callers share: the io struct, the frame of a call, the threads.

use std::ffi::c_void;
#[cfg(target_pointer_width = "64")]
use std::mem::offset_of;

use smc_runtime::abi::WORKSPACE_ALIGN;

use super::Type;
use crate::plan::Program;

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
    /// The arena, where the program makes strings.
    pub arena: *mut c_void,
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

/// Bytes of a frame. On a target, which has 64 bits, whatever this program runs on.
pub const FRAME_BYTES: u32 = 48;
pub const CHAIN_FRAME_BYTES: u32 = 72;

/// An arena begins with two words: the bytes of strings that the call made so far, and those that there is room for. The
/// strings' bytes are behind them, and room for one more.
pub const ARENA_HEADER: u32 = 16;

/// Bytes of the workspace that an arena takes, with so much room for strings.
pub fn arena_bytes(room: u64) -> u64 {
    (room + u64::from(ARENA_HEADER) + 1).next_multiple_of(WORKSPACE_ALIGN as u64)
}

/// A member of one of the structs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The pointer in a slot of an io struct.
    Pointer(u32),
    /// The number in one.
    Number(u32),
    /// Of a frame.
    Io,
    Workspace,
    Weights,
    Status,
    Formulas,
    Arena,
    Slice,
    Kernel,
    First,
    /// Of `struct smc_threads`.
    Pool,
    ParallelFor,
    Width,
    /// A word of an array of words.
    Word(u32),
    /// An address that threads read while one writes it.
    Shared,
}

impl Field {
    /// Those that stand for one place, with their names in the textual form.
    pub(super) const NAMED: [(Field, &'static str); 13] = [
        (Field::Io, "io"),
        (Field::Workspace, "workspace"),
        (Field::Weights, "weights"),
        (Field::Status, "status"),
        (Field::Formulas, "formulas"),
        (Field::Arena, "arena"),
        (Field::Slice, "slice"),
        (Field::Kernel, "kernel"),
        (Field::First, "first"),
        (Field::Pool, "pool"),
        (Field::ParallelFor, "parallel_for"),
        (Field::Width, "width"),
        (Field::Shared, "shared"),
    ];

    /// Bytes from the struct's start, on a target of 64 bits.
    pub const fn offset(self) -> i32 {
        match self {
            Field::Pointer(n) | Field::Number(n) | Field::Word(n) => 8 * n as i32,
            Field::Io | Field::Pool | Field::Shared => 0,
            Field::Workspace | Field::ParallelFor => 8,
            Field::Weights | Field::Width => 16,
            Field::Status => 24,
            Field::Formulas => 32,
            Field::Arena => 40,
            Field::Slice => 48,
            Field::Kernel => 56,
            Field::First => 64,
        }
    }

    pub fn ty(self) -> Type {
        match self {
            Field::Number(_) | Field::Word(_) | Field::Status | Field::First | Field::Width => Type::Word,
            _ => Type::Address,
        }
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    const fn at(offset: usize, field: Field) {
        assert!(offset == field.offset() as usize);
    }
    at(offset_of!(Frame, io), Field::Io);
    at(offset_of!(Frame, workspace), Field::Workspace);
    at(offset_of!(Frame, weights), Field::Weights);
    at(offset_of!(Frame, status), Field::Status);
    at(offset_of!(Frame, formulas), Field::Formulas);
    at(offset_of!(Frame, arena), Field::Arena);
    at(offset_of!(ChainFrame, frame), Field::Io);
    at(offset_of!(ChainFrame, slice), Field::Slice);
    at(offset_of!(ChainFrame, kernel), Field::Kernel);
    at(offset_of!(ChainFrame, first), Field::First);
    assert!(size_of::<Frame>() == FRAME_BYTES as usize && size_of::<ChainFrame>() == CHAIN_FRAME_BYTES as usize);
};

/// Numbers of an entry's slots in the io struct.
#[derive(Clone, Copy)]
pub struct Slots<'a>(pub &'a Program);

impl Slots<'_> {
    pub fn input(self, n: usize) -> u32 {
        n as u32
    }
    pub fn output(self, n: usize) -> u32 {
        self.input(self.0.inputs.len() + n)
    }
    pub fn symbol(self, n: usize) -> u32 {
        self.output(self.0.outputs.len() + n)
    }
    /// Where the caller says what its state is, if the entry uses one.
    pub fn state(self) -> u32 {
        self.symbol(self.0.symbols.len())
    }
    pub fn threads(self) -> u32 {
        self.state() + u32::from(self.0.state.is_some())
    }
    pub fn cpu(self) -> u32 {
        self.threads() + 1
    }
}
