//! The layout of a model's descriptor: read-only bytes in a compiled object that describe its signatures.
//!
//! A descriptor starts with a [`Header`]. Everything else is found through [`Array`]s: an offset in bytes from the start
//! of the descriptor and a count. There are no pointers, hence no relocations, and integers have the byte order of
//! the target. Arrays of structs are aligned to 8 bytes, and no two arrays overlap. Texts are UTF-8, followed by a zero byte that their count leaves out, and hold
//! no other zero byte.
//!
//! The structs are those of `include/smc.h` and have no padding; a test compares both. [`Record`] reads and writes them
//! field by field, in either byte order, at any alignment.

use core::{fmt, marker::PhantomData, mem::offset_of};

/// The first four bytes, `SMC1` on a little-endian target.
pub const MAGIC: u32 = u32::from_le_bytes(*b"SMC1");
/// The deepest stack an expression may need.
pub const MAX_STACK: usize = 64;

/// The order of the bytes of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    /// That of the machine this is compiled for.
    pub const NATIVE: Order = if cfg!(target_endian = "big") { Order::Big } else { Order::Little };
}

/// A value with a fixed number of bytes in the descriptor.
pub trait Record: Copy {
    const BYTES: usize;
    /// From the first [`Record::BYTES`] of `bytes`; `None` when there are fewer.
    fn read(bytes: &[u8], order: Order) -> Option<Self>;
    /// Passes the bytes to `sink`, in order.
    fn write(&self, order: Order, sink: &mut dyn FnMut(&[u8]));
}

macro_rules! integer_record {
    ($($int:ty)*) => { $(
        impl Record for $int {
            const BYTES: usize = size_of::<$int>();
            fn read(bytes: &[u8], order: Order) -> Option<$int> {
                let bytes = *bytes.first_chunk()?;
                Some(match order {
                    Order::Little => <$int>::from_le_bytes(bytes),
                    Order::Big => <$int>::from_be_bytes(bytes),
                })
            }
            fn write(&self, order: Order, sink: &mut dyn FnMut(&[u8])) {
                match order {
                    Order::Little => sink(&self.to_le_bytes()),
                    Order::Big => sink(&self.to_be_bytes()),
                }
            }
        }
    )* };
}
integer_record!(u8 u32 i64 u64);

impl Record for [u8; 32] {
    const BYTES: usize = 32;
    fn read(bytes: &[u8], _: Order) -> Option<[u8; 32]> {
        bytes.first_chunk().copied()
    }
    fn write(&self, _: Order, sink: &mut dyn FnMut(&[u8])) {
        sink(self);
    }
}

/// Where `count` values of one kind stand: `struct smc_array`.
#[repr(C)]
pub struct Array<T> {
    /// In bytes from the start of the descriptor.
    pub offset: u32,
    pub count: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Array<T> {
    pub const fn new(offset: u32, count: u32) -> Array<T> {
        Array { offset, count, of: PhantomData }
    }
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Array<T> {
        *self
    }
}
impl<T> Copy for Array<T> {}
impl<T> PartialEq for Array<T> {
    fn eq(&self, other: &Array<T>) -> bool {
        (self.offset, self.count) == (other.offset, other.count)
    }
}
impl<T> Eq for Array<T> {}
impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.count, self.offset)
    }
}

impl<T> Record for Array<T> {
    const BYTES: usize = 8;
    fn read(bytes: &[u8], order: Order) -> Option<Array<T>> {
        Some(Array::new(u32::read(bytes, order)?, u32::read(bytes.get(4..)?, order)?))
    }
    fn write(&self, order: Order, sink: &mut dyn FnMut(&[u8])) {
        self.offset.write(order, sink);
        self.count.write(order, sink);
    }
}

/// A name or a sentence.
pub type Text = Array<u8>;

/// An integer expression over the symbolic dimensions, in postfix order; it leaves exactly one value on the stack.
pub type Expr = Array<Step>;

/// Makes structs whose [`Record`] is that of their fields, one after the other, and proves that C sees the same.
macro_rules! records {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(C)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

            impl Record for $name {
                const BYTES: usize = 0 $(+ <$type>::BYTES)*;
                fn read(bytes: &[u8], order: Order) -> Option<$name> {
                    Some($name { $($field: <$type>::read(bytes.get(offset_of!($name, $field)..)?, order)?,)* })
                }
                fn write(&self, order: Order, sink: &mut dyn FnMut(&[u8])) {
                    $(self.$field.write(order, sink);)*
                }
            }
            const _: () = assert!(size_of::<$name>() == $name::BYTES, "padding");
        )*

        /// Every struct with its bytes and its fields' offsets, for comparing them with the C header.
        pub const LAYOUT: &[(&str, usize, &[(&str, usize)])] = &[
            $((stringify!($name), $name::BYTES, &[$((stringify!($field), offset_of!($name, $field))),*])),*
        ];
    };
}

records! {
    /// The start of a descriptor: `struct smc_header`.
    struct Header {
        /// [`MAGIC`].
        magic: u32,
        /// [`crate::abi::ABI_VERSION`] of the compiler.
        abi_version: u32,
        /// Of the whole descriptor.
        total_bytes: u32,
        /// Bytes of a pointer on the target.
        pointer_bytes: u32,
        /// The prefix of the exported symbols.
        name: Text,
        /// Name and version of the compiler.
        compiler: Text,
        /// SHA-256 of the model that was compiled.
        fingerprint: [u8; 32],
        /// In the order of the numbers that `m_invoke` takes.
        signatures: Array<Signature>,
        /// The CPU levels that there is code for, ascending.
        levels: Array<Level>,
    }

    /// A CPU level: `struct smc_level`.
    struct Level {
        /// As the compiler's `--cpu` takes it, such as `x86-64-v3`.
        name: Text,
        /// What the io struct's `cpu` asks for: its place among the levels of its architecture, from 1.
        number: u32,
        /// Always 0.
        reserved: u32,
    }

    /// An entry point: `struct smc_signature`.
    struct Signature {
        /// As the model's author named it.
        key: Text,
        /// The exported function is the model's name, an underscore and this.
        c_name: Text,
        inputs: Array<Tensor>,
        outputs: Array<Tensor>,
        symbols: Array<Symbol>,
        /// What must hold for every call.
        guards: Array<Guard>,
        /// Bytes of the workspace.
        workspace: Expr,
        workspace_align: u32,
        /// Bytes of the io struct.
        io_bytes: u32,
        /// Where `threads` stands in the io struct.
        threads_slot: u32,
        /// Where `cpu` stands in the io struct.
        cpu_slot: u32,
        /// An upper bound of the stack that a call uses on the calling thread.
        stack_bytes: u64,
    }

    /// An input or an output: `struct smc_tensor`.
    struct Tensor {
        /// As the model's author named it.
        key: Text,
        /// The member of the io struct.
        c_name: Text,
        /// The code of a [`crate::abi::ElementType`].
        element: u32,
        /// Where its pointer stands in the io struct.
        slot: u32,
        /// One per axis, outermost first.
        extents: Array<Expr>,
        /// The elements that its memory has room for: those of its shape, or the most where data decide.
        room: Expr,
    }

    /// A symbolic dimension: `struct smc_symbol`.
    struct Symbol {
        name: Text,
        /// The member of the io struct.
        c_name: Text,
        /// Where its value, an `int64_t`, stands in the io struct.
        slot: u32,
        /// Always 0.
        reserved: u32,
        /// Of a size that data decide, which the call writes: the most that it can be. Otherwise no steps.
        bound: Expr,
    }

    /// Two expressions that are equal in every call that is served: `struct smc_guard`.
    struct Guard {
        left: Expr,
        right: Expr,
        /// The condition in words.
        text: Text,
    }

    /// One step of an expression: `struct smc_step`.
    struct Step {
        /// The code of an [`Action`].
        action: u32,
        /// Which symbolic dimension, for [`Action::Symbol`]; otherwise 0.
        symbol: u32,
        /// For [`Action::Const`]; otherwise 0.
        value: i64,
    }
}

/// What a [`Step`] does with the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// Pushes the step's value.
    Const = 0,
    /// Pushes the value of the step's symbol.
    Symbol = 1,
    /// Replaces the two topmost values by their sum.
    Add = 2,
    /// Replaces the two topmost values by their product.
    Mul = 3,
    /// Replaces the two topmost values by the floor of the lower over the upper, which is positive.
    FloorDiv = 4,
    /// Replaces the two topmost values by the greater one.
    Max = 5,
    // Each of these replaces its operands by its value; a float is there as the bits of a double.
    /// The integer that the double is toward zero, one of 32 bits.
    ToI32 = 6,
    /// As [`Action::ToI32`], of 64 bits.
    ToI64 = 7,
    /// 1 where the lower double is less than the upper one, and 0 elsewhere.
    Less = 8,
    /// 1 where it is not more.
    LessEqual = 9,
    /// 1 where both doubles are equal.
    Equal = 10,
    /// The bits that both have.
    And = 11,
    /// The bits that one has.
    Or = 12,
    /// The bits in which both differ.
    Xor = 13,
    /// The lower one, shifted left by the upper one, 0 to 63 bits, without loss.
    Shl = 14,
    /// The lower one, shifted right with its sign by 0 to 63 bits.
    Shr = 15,
    /// The lower one to the power of the upper one, 0 to 63.
    Pow = 16,
    /// The floor of the lower over the upper, which is not 0.
    Quotient = 17,
    /// Of three values the second where the first is not 0, and the third elsewhere.
    Select = 18,
    /// The double nearest to an integer.
    ToReal = 19,
    /// The single nearest to a double, as a double.
    Single = 20,
    /// The double with the other sign.
    Neg = 21,
    /// Its magnitude.
    Abs = 22,
    /// The greatest whole double that is not more.
    Floor = 23,
    /// The least whole double that is not less.
    Ceil = 24,
    /// The nearest whole double; halves go to even.
    Round = 25,
    /// The whole double toward zero.
    Trunc = 26,
    /// The sum of doubles.
    AddReal = 27,
    /// Their difference.
    SubReal = 28,
    /// Their product.
    MulReal = 29,
    /// Their quotient.
    DivReal = 30,
    /// The lesser one; NaN where one is NaN.
    MinReal = 31,
    /// The greater one; NaN where one is NaN.
    MaxReal = 32,
}

impl Action {
    pub const fn from_code(code: u32) -> Option<Action> {
        Some(match code {
            0 => Action::Const,
            1 => Action::Symbol,
            2 => Action::Add,
            3 => Action::Mul,
            4 => Action::FloorDiv,
            5 => Action::Max,
            6 => Action::ToI32,
            7 => Action::ToI64,
            8 => Action::Less,
            9 => Action::LessEqual,
            10 => Action::Equal,
            11 => Action::And,
            12 => Action::Or,
            13 => Action::Xor,
            14 => Action::Shl,
            15 => Action::Shr,
            16 => Action::Pow,
            17 => Action::Quotient,
            18 => Action::Select,
            19 => Action::ToReal,
            20 => Action::Single,
            21 => Action::Neg,
            22 => Action::Abs,
            23 => Action::Floor,
            24 => Action::Ceil,
            25 => Action::Round,
            26 => Action::Trunc,
            27 => Action::AddReal,
            28 => Action::SubReal,
            29 => Action::MulReal,
            30 => Action::DivReal,
            31 => Action::MinReal,
            32 => Action::MaxReal,
            _ => return None,
        })
    }
    /// How many values it takes from the stack.
    pub const fn arity(self) -> usize {
        match self {
            Action::Const | Action::Symbol => 0,
            Action::ToI32 | Action::ToI64 | Action::ToReal | Action::Single => 1,
            Action::Neg | Action::Abs | Action::Floor | Action::Ceil | Action::Round | Action::Trunc => 1,
            Action::Select => 3,
            _ => 2,
        }
    }
}
