//! State: the variables that a model's signatures change, in a block of memory that the caller owns.
//!
//! A block describes itself, so that it is its own file. It starts at a multiple of [`ALIGN`], and all integers in it have 64
//! bits and the target's byte order:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | [`MAGIC`], in which the version is |
//! | 8..16 | bytes of the whole block |
//! | 16..24 | [`checksum`] of what stands behind it; 0 in a block that calls use |
//! | 24..32 | 0 |
//! | [`FINGERPRINT`]`..64` | SHA-256 of the layout: the table behind, as a little-endian target has it |
//!
//! Behind the header of [`HEADER`] bytes stands the table: the number of variables, the place where the first of them may
//! lie, and a [`RECORD`] for each. Names and extents follow, and then the variables, each at a multiple of [`ALIGN`]; what is
//! between them is 0.
//!
//! Two models that differ in the values of their variables alone have one layout.

use core::{ffi::c_void, mem::MaybeUninit};

use crate::{
    abi::{ElementType, Status},
    descriptor::{Order, Record},
    error::Error,
};

/// The first eight bytes: `SMCSTAT` and the version, in the target's byte order.
pub const MAGIC: u64 = u64::from_le_bytes(*b"SMCSTAT1");
/// Bytes of the header.
pub const HEADER: usize = 64;
/// Where the checksum lies in it.
pub const CHECKSUM: usize = 16;
/// Where that begins which the checksum is of.
pub const SUMMED: usize = 24;
/// Where the fingerprint of the layout lies in it.
pub const FINGERPRINT: usize = 32;
/// What the address of a block, and the place of a variable in it, is a multiple of.
pub const ALIGN: usize = 64;
/// Bytes of a variable's record: the places of its name and its extents from the block's start, each with their number; the
/// code of an [`ElementType`]; its own place, and its bytes.
pub const RECORD: usize = 7 * 8;
/// What the address of a saved block is a multiple of.
pub const SAVED_ALIGN: usize = 8;

/// By which [`checksum`] multiplies.
pub const FACTOR: i64 = 0x9e37_79b9_7f4a_7c15_u64 as i64;

/// The checksum of words: each is mixed into what the ones before gave, so that no change of one word goes unseen.
pub fn checksum(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, |sum, word| {
        let mixed = (sum ^ word).wrapping_mul(FACTOR as u64);
        mixed ^ mixed >> 32
    })
}

/// The functions of a model's state, as its object exports them: `m_state_bytes`, `m_state_init`, `m_state_save`,
/// `m_state_load` and `m_state_seed`. Those that return an `i32` return a [`Status`] code.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Functions {
    pub bytes: unsafe extern "C" fn() -> usize,
    pub init: unsafe extern "C" fn(state: *mut c_void, bytes: usize) -> i32,
    pub save: unsafe extern "C" fn(state: *const c_void, to: *mut c_void, bytes: usize) -> i32,
    pub load: unsafe extern "C" fn(state: *mut c_void, bytes: usize, from: *const c_void, from_bytes: usize) -> i32,
    pub seed: unsafe extern "C" fn(state: *mut c_void, seed: u64) -> i32,
}

/// The functions of the state of the model with this name, which is linked into the program:
/// `smc_runtime::state_functions!(mnist)` is [`Functions`] for [`State::new`].
#[macro_export]
macro_rules! state_functions {
    ($name:ident) => {{
        unsafe extern "C" {
            #[link_name = concat!(stringify!($name), "_state_bytes")]
            fn bytes() -> usize;
            #[link_name = concat!(stringify!($name), "_state_init")]
            fn init(state: *mut core::ffi::c_void, bytes: usize) -> i32;
            #[link_name = concat!(stringify!($name), "_state_save")]
            fn save(state: *const core::ffi::c_void, to: *mut core::ffi::c_void, bytes: usize) -> i32;
            #[link_name = concat!(stringify!($name), "_state_load")]
            fn load(
                state: *mut core::ffi::c_void,
                bytes: usize,
                from: *const core::ffi::c_void,
                from_bytes: usize,
            ) -> i32;
            #[link_name = concat!(stringify!($name), "_state_seed")]
            fn seed(state: *mut core::ffi::c_void, seed: u64) -> i32;
        }
        $crate::state::Functions { bytes, init, save, load, seed }
    }};
}

/// A block in memory of the caller's.
#[derive(Debug)]
pub struct State<'m> {
    functions: Functions,
    memory: &'m mut [MaybeUninit<u8>],
}

impl<'m> State<'m> {
    /// The bytes of a block.
    ///
    /// # Safety
    /// The functions are those of a compiled model.
    pub unsafe fn bytes(functions: Functions) -> usize {
        // SAFETY: the caller promises the function, which reads nothing.
        unsafe { (functions.bytes)() }
    }
    /// A state whose variables are as the model stores them, in memory that starts at a multiple of [`ALIGN`].
    ///
    /// # Safety
    /// The functions are those of a compiled model.
    pub unsafe fn new(functions: Functions, memory: &'m mut [MaybeUninit<u8>]) -> Result<State<'m>, Error> {
        // SAFETY: the caller promises the function, and the memory has so many bytes.
        told(unsafe { (functions.init)(memory.as_mut_ptr().cast(), memory.len()) })?;
        Ok(State { functions, memory })
    }
    /// A state as it was saved; the saved bytes start at a multiple of [`SAVED_ALIGN`].
    ///
    /// # Safety
    /// The functions are those of a compiled model.
    pub unsafe fn load(
        functions: Functions,
        memory: &'m mut [MaybeUninit<u8>],
        from: &[u8],
    ) -> Result<State<'m>, Error> {
        // SAFETY: the caller promises the function; both have so many bytes and do not overlap.
        let status =
            unsafe { (functions.load)(memory.as_mut_ptr().cast(), memory.len(), from.as_ptr().cast(), from.len()) };
        told(status)?;
        Ok(State { functions, memory })
    }
    /// Copies the state, with a checksum, to bytes that start at a multiple of [`SAVED_ALIGN`].
    pub fn save(&self, to: &mut [u8]) -> Result<(), Error> {
        // SAFETY: by `new` and `load` the memory is a state of the functions' model.
        told(unsafe { (self.functions.save)(self.memory.as_ptr().cast(), to.as_mut_ptr().cast(), to.len()) })
    }
    /// Seeds what draws random numbers without a seed in the model: from here on the state draws what every other one draws
    /// that was seeded alike. A new state is seeded with 0. Nothing changes where a model draws no such numbers.
    pub fn seed(&mut self, seed: u64) -> Result<(), Error> {
        // SAFETY: as in `save`.
        told(unsafe { (self.functions.seed)(self.memory.as_mut_ptr().cast(), seed) })
    }
    pub(crate) fn address(&mut self) -> *mut c_void {
        self.memory.as_mut_ptr().cast()
    }
}

fn told(status: i32) -> Result<(), Error> {
    match Status::from_code(status) {
        Some(Status::Ok) => Ok(()),
        Some(status) => Err(Error::Status(status)),
        None => Err(Error::Status(Status::WrongState)),
    }
}

/// A saved state that is whole, of whatever model.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    bytes: &'a [u8],
    order: Order,
}

/// A variable in a saved state.
#[derive(Clone, Copy, Debug)]
pub struct Variable<'a> {
    pub name: &'a str,
    pub element: ElementType,
    /// One number of 64 bits per axis.
    extents: &'a [u8],
    order: Order,
    /// Dense and row-major, in the state's byte order.
    pub data: &'a [u8],
}

impl<'a> Saved<'a> {
    /// None where the bytes are no saved state, or were damaged.
    pub fn new(bytes: &'a [u8]) -> Option<Saved<'a>> {
        let is = |order: &Order| u64::read(bytes, *order) == Some(MAGIC);
        let order = [Order::Little, Order::Big].into_iter().find(is)?;
        let saved = Saved { bytes, order };
        let whole = saved.word(8)? == bytes.len() as u64 && bytes.len() >= HEADER && bytes.len().is_multiple_of(8);
        let words = bytes.get(SUMMED..)?.chunks_exact(8).filter_map(|word| u64::read(word, order));
        let fine = whole && checksum(words) == saved.word(CHECKSUM)?;
        let count = usize::try_from(saved.word(HEADER)?).ok().filter(|&count| fine && count <= bytes.len() / RECORD)?;
        (0..count).all(|n| saved.variable(n).is_some()).then_some(saved)
    }
    pub fn order(&self) -> Order {
        self.order
    }
    /// What tells this layout from others.
    pub fn fingerprint(&self) -> &'a [u8] {
        &self.bytes[FINGERPRINT..HEADER]
    }
    pub fn variables(self) -> impl Iterator<Item = Variable<'a>> {
        let count = self.word(HEADER).unwrap_or(0) as usize;
        (0..count).filter_map(move |n| self.variable(n))
    }

    fn word(&self, at: usize) -> Option<u64> {
        u64::read(self.bytes.get(at..)?, self.order)
    }
    fn range(&self, at: u64, bytes: u64) -> Option<&'a [u8]> {
        let (at, bytes) = (usize::try_from(at).ok()?, usize::try_from(bytes).ok()?);
        self.bytes.get(at..)?.get(..bytes)
    }
    fn variable(&self, n: usize) -> Option<Variable<'a>> {
        let field = |k: usize| self.word(HEADER + 16 + n * RECORD + 8 * k);
        let name = core::str::from_utf8(self.range(field(0)?, field(1)?)?).ok()?;
        let extents = self.range(field(2)?, field(3)?.checked_mul(8)?)?;
        let element = ElementType::from_code(u32::try_from(field(4)?).ok()?)?;
        let data = self.range(field(5)?, field(6)?)?;
        let variable = Variable { name, element, extents, order: self.order, data };
        let count = variable.extents().try_fold(1usize, |n, extent| n.checked_mul(extent))?;
        (count.checked_mul(element.size())? == data.len()).then_some(variable)
    }
}

impl<'a> Variable<'a> {
    /// The extents, outermost first.
    pub fn extents(&self) -> impl Iterator<Item = usize> + 'a {
        let (extents, order) = (self.extents, self.order);
        extents.chunks_exact(8).map(move |word| u64::read(word, order).map_or(usize::MAX, |n| n as usize))
    }
}
