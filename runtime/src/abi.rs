//! What a compiled model and its caller agree on: status codes, element types, threads, the exported functions.
//!
//! A compiled model named `m` exports `m_descriptor` (see [`crate::descriptor`]), `m_invoke` ([`Invoke`]),
//! `m_workspace_bytes` ([`WorkspaceBytes`]) and one function per signature. A call passes an *io struct*:
//!
//! - one slot per input (a `const` pointer), one per output (a pointer), in signature order;
//! - one `int64_t` per symbolic dimension, in the descriptor's order. Last come sizes that data decide: the call writes
//!   them, so the struct of a signature that has some is not constant, and no two calls share one;
//! - where the signature uses variables that outlive calls: a pointer to a block of them (see [`crate::state`]), in the slot
//!   before `threads`;
//! - `threads`: a pointer to [`Threads`], or null to run on the calling thread;
//! - last, `cpu`: a `uint64_t`, 0 for the best of the model's CPU levels that the processor has, or the number of a
//!   level (see [`crate::descriptor::Level`]), such as 3 for x86-64-v3.
//!
//! An output whose extents data decide lies dense at its memory's start; the memory has room for the greatest sizes. A
//! call that stops at such a size leaves its value in the struct, and -1 in those that come later.
//!
//! Before anything is computed, the call is checked in this order, and the first fault found is returned: `io` is null;
//! a dimension is negative or makes a size overflow; a guard is broken; a tensor's pointer is null; the state's is, or it is to
//! no state of the model; the workspace is
//! null or not aligned or too small; no weights are bound; the CPU level is not there. A workspace of 0 bytes may be null. A dimension of 0 is no fault.
//!
//! The layout is that of the C struct, so every slot has [`SLOT_BYTES`] on 64-bit targets. Data are dense, row-major
//! and aligned to their element (complex numbers: to one part). Booleans are one byte, 0 or 1; f16 and bf16 are passed
//! as their bits in a `u16`. A string is an address and a number of bytes (`struct smc_string`), which are anything, zeros
//! included; of an empty one the address means nothing. The bytes of outputs lie in those of inputs, in the model's own constants or
//! in the workspace, and are there until one of these changes. Inputs and outputs do not overlap.
//!
//! `include/smc_abi.h` says the same in C; a test compares both.

use core::{ffi::c_void, fmt};

/// Raised when the descriptor's layout or the rules of a call change.
pub const ABI_VERSION: u32 = 3;
/// Bytes of one member of an io struct on 64-bit targets.
pub const SLOT_BYTES: usize = 8;
/// Alignment of every workspace.
pub const WORKSPACE_ALIGN: usize = 64;
/// The declarations that generated headers and `smc.h` share, guarded so that any number of them can meet.
pub const C_DECLARATIONS: &str = include_str!("../include/smc_abi.h");

/// Makes an enum with stable codes, its table of all values, and the way back from a code.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident: $repr:ident { $($(#[$item_doc:meta])* $item:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($repr)]
        pub enum $name { $($(#[$item_doc])* $item = $code,)* }

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &[$name] = &[$($name::$item),*];
            /// The value with this code.
            pub const fn from_code(code: $repr) -> Option<$name> {
                match code {
                    $($code => Some($name::$item),)*
                    _ => None,
                }
            }
            /// The code, as the compiled model passes it.
            pub const fn code(self) -> $repr {
                self as $repr
            }
            /// The text of `smc_abi.h`.
            pub const fn text(self) -> &'static str {
                match self { $($name::$item => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

coded! {
    /// What a compiled model's functions return.
    Status: i32 {
        Ok = 0, "ok";
        NullPointer = 1, "a pointer is null";
        /// The workspace does not start at a multiple of [`WORKSPACE_ALIGN`].
        MisalignedWorkspace = 2, "the workspace is not aligned to 64 bytes";
        ShortWorkspace = 3, "the workspace is too small";
        /// A symbolic dimension is negative, or so large that a size overflows.
        BadDimension = 4, "a dimension is negative or so large that sizes overflow";
        /// The dimensions break one of the conditions that the header lists.
        BrokenGuard = 5, "the dimensions break a condition of the model";
        IndexOutOfRange = 6, "an index is out of range";
        DivisionByZero = 7, "an integer is divided by zero";
        NegativeExponent = 8, "an integer has a negative exponent";
        AssertionFailed = 9, "an assertion of the model failed";
        NoSuchSignature = 10, "there is no such signature";
        /// The io struct's `cpu` names a level that the object does not hold or the processor does not have, or the
        /// processor has none of the object's.
        NoSuchCpu = 11, "the model has no code for this CPU level, or the processor is not of this level";
        /// The model's weights are in a file of their own (see [`crate::weights`]) that was not bound yet.
        NoWeights = 12, "no weights are bound";
        WrongWeights = 13, "these are not the model's weights, or not all of them, or not aligned to 64 bytes";
        /// See [`crate::state`].
        WrongState = 14, "this is no state of the model, or a damaged one, or too short, or not aligned";
        SizeOutOfBounds = 15, "a size that data decide is negative or above its bound; its member of the struct says how large it is";
        BrokenSize = 16, "sizes that data decide break a condition of the model";
        /// The state's flag of the variable, `NAME_is_set`, is false: no call assigned it.
        UnsetVariable = 17, "a variable is read that nothing has assigned yet";
        /// The workspace begins with the number of bytes that were needed when the call ended, an `uint64_t`.
        StringsExceeded = 18, "the call makes more bytes of strings than the object was compiled for; the workspace begins with how many";
        /// What the function returned is above the low 8 bits, see [`Status::of_call`].
        OperatorFailed = 19, "a custom operator failed; its code is in the bits above the low eight";
        /// A `tf.train.Example` or `SequenceExample` is damaged, or lacks a feature that has no default, or has another type
        /// or number of values of one than the model parses.
        BrokenRecord = 20, "a serialized record is damaged, or its features are not those that the model parses";
    }
}

coded! {
    /// The element type of an input or an output.
    ElementType: u32 {
        Bool = 0, "bool";
        I8 = 1, "i8";
        I16 = 2, "i16";
        I32 = 3, "i32";
        I64 = 4, "i64";
        U8 = 5, "u8";
        U16 = 6, "u16";
        U32 = 7, "u32";
        U64 = 8, "u64";
        F16 = 9, "f16";
        BF16 = 10, "bf16";
        F32 = 11, "f32";
        F64 = 12, "f64";
        C64 = 13, "c64";
        C128 = 14, "c128";
        /// Bytes, by their address and their number: `struct smc_string`, see [`crate::text`].
        Str = 15, "str";
    }
}

impl ElementType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            ElementType::Bool | ElementType::I8 | ElementType::U8 => 1,
            ElementType::I16 | ElementType::U16 | ElementType::F16 | ElementType::BF16 => 2,
            ElementType::I32 | ElementType::U32 | ElementType::F32 => 4,
            ElementType::I64 | ElementType::U64 | ElementType::F64 | ElementType::C64 => 8,
            ElementType::C128 => 16,
            ElementType::Str => 2 * size_of::<usize>(),
        }
    }
}

impl Status {
    /// What a call that returned this number says, and the code of the custom operator that failed: the low 24 bits of what
    /// its function returned, as a signed number.
    pub const fn of_call(returned: i32) -> Option<(Status, i32)> {
        match Status::from_code(returned & 255) {
            Some(Status::OperatorFailed) => Some((Status::OperatorFailed, returned >> 8)),
            _ => match Status::from_code(returned) {
                Some(status) => Some((status, 0)),
                None => None,
            },
        }
    }
}

/// Runs `task(arg, begin, end)` over `[begin, end)`, a part of the range that [`Threads::parallel_for`] was given.
pub type Task = unsafe extern "C" fn(arg: *mut c_void, begin: i64, end: i64);

/// Who runs the parallel loops of a call: `struct smc_threads`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Threads {
    /// Passed to `parallel_for` untouched.
    pub pool: *mut c_void,
    /// Has run `task` over all of `[0, count)`, split in any way, on any threads, before it returns. About so many
    /// `nanoseconds` one thread would take for it, at least 1: a hint whether meeting, or waking somebody, is worth it.
    pub parallel_for:
        unsafe extern "C" fn(pool: *mut c_void, task: Task, arg: *mut c_void, count: i64, nanoseconds: i64),
    /// How many threads there are, at least 1; a hint for how finely to split.
    pub width: i64,
}

/// `m_invoke`: runs the signature with this number in the descriptor. Returns a [`Status`] code.
pub type Invoke =
    unsafe extern "C" fn(signature: u32, io: *const c_void, workspace: *mut c_void, workspace_bytes: usize) -> i32;

/// `m_bind_weights`: lets the calls that start from now on use the file of weights that lies in these bytes, which stay as
/// they are while the model is in use. Returns a [`Status`] code. Exported by models whose weights lie apart.
pub type BindWeights = unsafe extern "C" fn(weights: *const c_void, bytes: usize) -> i32;

/// `m_workspace_bytes`: what the signature needs for the dimensions in `io`, or a negated [`Status`] code.
/// Reads nothing but the symbolic dimensions.
pub type WorkspaceBytes = unsafe extern "C" fn(signature: u32, io: *const c_void) -> i64;

#[cfg(test)]
mod tests {
    use super::*;

    /// `NullPointer` to `NULL_POINTER`.
    fn screaming(name: &str) -> String {
        let mut out = String::new();
        for (i, c) in name.chars().enumerate() {
            if i > 0 && c.is_uppercase() {
                out.push('_');
            }
            out.extend(c.to_uppercase());
        }
        out
    }

    #[test]
    fn the_c_header_has_the_same_codes_and_texts() {
        for status in Status::ALL {
            let name = screaming(&format!("{status:?}"));
            assert!(C_DECLARATIONS.contains(&format!("SMC_{name} = {}", status.code())), "{name}");
            let case = format!("case SMC_{name}: return \"{}\";", status.text());
            assert!(C_DECLARATIONS.contains(&case), "{case}");
            assert_eq!(Status::from_code(status.code()), Some(*status));
        }
        assert_eq!(C_DECLARATIONS.matches("case SMC_").count(), Status::ALL.len());
        assert!(C_DECLARATIONS.contains(&format!("#define SMC_ABI {ABI_VERSION}\n")));
        assert!(C_DECLARATIONS.contains(&format!("#define SMC_WORKSPACE_ALIGN {WORKSPACE_ALIGN}\n")));
    }
}
