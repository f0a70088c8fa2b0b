//! Scratch memory for calls. Nothing is kept in it between two calls, so one workspace serves any models in turn.

use core::mem::MaybeUninit;

use crate::abi::WORKSPACE_ALIGN;

/// Memory that a call may use.
pub trait Workspace {
    /// At least `bytes` bytes that start at a multiple of [`WORKSPACE_ALIGN`], or `None` when there are not so many.
    fn reserve(&mut self, bytes: usize) -> Option<&mut [MaybeUninit<u8>]>;
}

/// A workspace inside memory of the caller's, of any alignment.
#[derive(Debug)]
pub struct BorrowedWorkspace<'a>(&'a mut [MaybeUninit<u8>]);

impl<'a> BorrowedWorkspace<'a> {
    /// Of a buffer that starts at any address, up to `WORKSPACE_ALIGN - 1` bytes are lost.
    pub fn new(memory: &'a mut [MaybeUninit<u8>]) -> BorrowedWorkspace<'a> {
        BorrowedWorkspace(memory)
    }
}

impl Workspace for BorrowedWorkspace<'_> {
    fn reserve(&mut self, bytes: usize) -> Option<&mut [MaybeUninit<u8>]> {
        let skip = self.0.as_ptr().align_offset(WORKSPACE_ALIGN);
        self.0.get_mut(skip..)?.get_mut(..bytes)
    }
}

/// A workspace of a size that the header states, for a `static` or the stack.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct FixedWorkspace<const BYTES: usize>([MaybeUninit<u8>; BYTES]);

impl<const BYTES: usize> FixedWorkspace<BYTES> {
    pub const fn new() -> FixedWorkspace<BYTES> {
        FixedWorkspace([MaybeUninit::uninit(); BYTES])
    }
}

impl<const BYTES: usize> Default for FixedWorkspace<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> Workspace for FixedWorkspace<BYTES> {
    fn reserve(&mut self, bytes: usize) -> Option<&mut [MaybeUninit<u8>]> {
        self.0.get_mut(..bytes)
    }
}

/// As much memory as [`WORKSPACE_ALIGN`] aligns.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([MaybeUninit<u8>; WORKSPACE_ALIGN]);

/// A workspace on the heap that grows to the largest call it has served.
#[cfg(feature = "std")]
#[derive(Debug, Default)]
pub struct GrowingWorkspace(Vec<Line>);

#[cfg(feature = "std")]
impl GrowingWorkspace {
    pub const fn new() -> GrowingWorkspace {
        GrowingWorkspace(Vec::new())
    }
}

#[cfg(feature = "std")]
impl Workspace for GrowingWorkspace {
    fn reserve(&mut self, bytes: usize) -> Option<&mut [MaybeUninit<u8>]> {
        let lines = bytes.div_ceil(WORKSPACE_ALIGN);
        if self.0.len() < lines {
            // What it holds is of no use to the next call, so nothing is copied.
            self.0.clear();
            self.0.try_reserve_exact(lines).ok()?;
            self.0.resize(lines, Line([MaybeUninit::uninit(); WORKSPACE_ALIGN]));
        }
        // SAFETY: a line is exactly its bytes, since its size is its alignment; both kinds may be uninitialised.
        let memory = unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size_of_val(&self.0[..])) };
        <[MaybeUninit<u8>]>::get_mut(memory, ..bytes)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    fn check(workspace: &mut impl Workspace, bytes: usize) -> bool {
        workspace.reserve(bytes).is_some_and(|memory| {
            assert!(memory.len() >= bytes);
            assert!(memory.as_ptr().cast::<u8>().addr().is_multiple_of(WORKSPACE_ALIGN));
            true
        })
    }

    #[test]
    fn every_workspace_is_aligned_and_large_enough_or_none() {
        let mut memory = [MaybeUninit::uninit(); 256];
        for start in 0..64 {
            let mut borrowed = BorrowedWorkspace::new(&mut memory[start..]);
            assert!(check(&mut borrowed, 0) && check(&mut borrowed, 128) && !check(&mut borrowed, 257));
        }
        let mut fixed = FixedWorkspace::<100>::new();
        assert!(check(&mut fixed, 100) && !check(&mut fixed, 101));
        let mut growing = GrowingWorkspace::new();
        assert!(check(&mut growing, 0) && check(&mut growing, 1000) && check(&mut growing, 10));
        assert!(!check(&mut growing, usize::MAX / 4));
    }
}
