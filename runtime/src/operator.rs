//! What a custom operator written in Rust gets: `struct smc_operand` of the C header, and slices of it.
//!
//! A model that was compiled with a custom operator calls a function of this type by its symbol:
//!
//! ```
//! use smc_runtime::operator::Operand;
//!
//! /// y = 2 x, for f32.
//! #[unsafe(no_mangle)]
//! unsafe extern "C" fn twice(inputs: *const Operand, outputs: *const Operand, _: *const core::ffi::c_void) -> i32 {
//!     let (x, y) = unsafe { ((*inputs).elements::<f32>(), (*outputs).elements_mut::<f32>()) };
//!     y.iter_mut().zip(x).for_each(|(y, x)| *y = 2.0 * x);
//!     0
//! }
//! ```

use core::{ffi::c_void, slice};

/// The function of a custom operator: its inputs, its outputs, and a pointer to the struct of its attributes, null where it has
/// none. Returns 0, or a number that ends the model's call: see [`crate::abi::Status::of_call`].
pub type Function =
    unsafe extern "C" fn(inputs: *const Operand, outputs: *const Operand, attributes: *const c_void) -> i32;

/// A tensor that a custom operator reads or writes: dense and row-major.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Operand {
    /// Means nothing where there are no elements.
    pub data: *mut c_void,
    /// So many as `rank` says.
    pub extents: *mut i64,
    pub rank: i64,
    /// The code of an [`crate::abi::ElementType`].
    pub element: i64,
}

impl Operand {
    /// The shape.
    ///
    /// # Safety
    /// The operand is one that a model passed to the function that runs now.
    pub unsafe fn shape<'a>(&self) -> &'a [i64] {
        match self.rank {
            0 => &[],
            // SAFETY: the caller promises it.
            rank => unsafe { slice::from_raw_parts(self.extents, rank as usize) },
        }
    }
    /// How many elements there are; of an output whose first extent the function says, how many there is room for.
    ///
    /// # Safety
    /// As for [`Operand::shape`].
    pub unsafe fn count(&self) -> usize {
        // SAFETY: the caller promises it.
        unsafe { self.shape() }.iter().product::<i64>() as usize
    }
    /// The elements of an input, which are of type `T`.
    ///
    /// # Safety
    /// As for [`Operand::shape`], and `T` is the type that `element` says.
    pub unsafe fn elements<'a, T>(&self) -> &'a [T] {
        // SAFETY: the caller promises it.
        match unsafe { self.count() } {
            0 => &[],
            // SAFETY: the caller promises it.
            count => unsafe { slice::from_raw_parts(self.data.cast(), count) },
        }
    }
    /// The elements of an output, which are of type `T`.
    ///
    /// # Safety
    /// As for [`Operand::elements`], and nobody else has a reference to them. They hold anything before they are written.
    pub unsafe fn elements_mut<'a, T>(&self) -> &'a mut [T] {
        // SAFETY: the caller promises it.
        match unsafe { self.count() } {
            0 => &mut [],
            // SAFETY: the caller promises it.
            count => unsafe { slice::from_raw_parts_mut(self.data.cast(), count) },
        }
    }
    /// Says what the first extent of an output is, which the declaration bounds only.
    ///
    /// # Safety
    /// As for [`Operand::shape`], of an output with an axis.
    pub unsafe fn set_rows(&self, rows: i64) {
        // SAFETY: the caller promises it.
        unsafe { *self.extents = rows };
    }
}
