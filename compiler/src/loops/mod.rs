//! The loop IR: a kernel is a nest of loops over buffers, with pure expressions inside.
//!
//! Semantics are scalar: a kernel means what a sequential machine computes that ignores every [`LoopKind`]. The kinds
//! say what a backend may do without changing that meaning (but for the order in which an [`Stmt::Accumulate`] adds
//! floats). Vector width is unknown here: a loop of kind `Vector` is run as many lanes at a time as the target has.
//!
//! A kernel never loads from a buffer that it stores to, so expressions are pure and only statements have an order. What
//! becomes of an element that has a value already says an [`Stmt::Update`], the one statement that reads what it writes.
//! New strings are made in the *arena*, memory of a call to which kernels append bytes one after the other.
//! Indices are [`Dim`]s in normal form over symbols and kernel variables; buffers are flat, and whoever writes a load
//! multiplies the strides in (see [`Writer::load`]). Knows no operators and no targets. The law is in `verify.rs`.

mod apart;
mod emit;
pub mod interp;
mod parse;
mod print;
pub mod random;
mod verify;
mod walk;
mod writer;

pub use apart::{coefficient, updates_apart};
pub use emit::{Emit, Operands};
pub use parse::parse;
use serde::{Deserialize, Serialize};
pub use verify::{MAX_UNROLLED, Violation, verify};
pub use walk::{change_statements, statements};
pub use writer::Writer;

use crate::{
    base::{Arena, Dim, Id, dim::Extents},
    tensor::{DType, Scalar},
};

/// A buffer of a kernel.
pub type BufferId = Id<Buffer>;
/// A variable of a kernel.
pub type VarId = Id<Var>;
/// A register or register array of a kernel.
pub type LocalId = Id<Local>;
/// An expression of a kernel; operands have smaller ids than their users.
pub type ExprId = Id<Typed>;

/// Memory that a kernel reads or writes: `len` elements of `dtype`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    pub dtype: DType,
    pub len: Dim,
    /// Whether the kernel stores to it or updates it; then it never loads from it.
    pub written: bool,
}

/// A name that is set once per execution of the block that sets it. `Dim::var(id.index())` is its use in an index.
#[derive(Clone, Debug, PartialEq)]
pub enum Var {
    /// A loop counter in `0..extent`.
    Loop { extent: Dim },
    /// An i64 computed by a `Set`; in `0..extent` where an extent is known.
    Index { extent: Option<Dim> },
    /// Any other value computed by a `Set`.
    Value { dtype: DType },
}

/// Registers: a mutable scalar, or a small array whose every index is known once unrolled and vector loops of
/// constant extent are expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    pub dtype: DType,
    pub shape: Vec<usize>,
}

/// An expression and the type of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    pub expr: Expr,
    pub dtype: DType,
}

/// Entries of an [`Expr::Table`]: what a vector register holds where there are instructions for such a table.
pub const TABLE: usize = 16;

/// How a value is computed: pure, from values that statements before have made.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Const(Scalar),
    /// A [`Var::Value`].
    Var(VarId),
    /// The value of an index as an i64.
    Index(Dim),
    /// The element at a flat position.
    Load(BufferId, Dim),
    Local(LocalId, Vec<Dim>),
    Unary(UnaryFn, ExprId),
    Binary(BinaryFn, ExprId, ExprId),
    /// `a * b + c`, of floats rounded once or twice, as the target likes.
    MulAdd(ExprId, ExprId, ExprId),
    /// `x * 2^floor(n)`, rounded once, of two f32 or f64; `n` is not infinite.
    Scale(ExprId, ExprId),
    /// The exponent of an f32 or f64 as a float, `floor(log2 |x|)`: of zeros that is -infinity, of infinities infinity.
    Exponent(ExprId),
    /// The `m` of an f32 or f64 `x = m 2^k` with a whole `k` and `m` at least 3/4 and below 3/2: of zeros and infinity that
    /// is 1, of what is less than 0 NaN.
    Mantissa(ExprId),
    /// The f32 of a table at the low four bits of an i32.
    Table(Box<[f32; TABLE]>, ExprId),
    /// A bool; false when an operand is NaN, but for `Ne`.
    Compare(CompareFn, ExprId, ExprId),
    /// Both arms are evaluated.
    Select(ExprId, ExprId, ExprId),
    /// Conversion of the value to the expression's type: integers wrap, floats round to nearest even; bool is 0 or 1;
    /// to bool is `!= 0`. A float becomes an integer toward zero: to i32 or i64, NaN and what is out of range become
    /// the least value; 8- and 16-bit integers are the wrapped i32 result, u32 is the wrapped i64 result, and u64 is
    /// exact from 2^63 up to 2^64 and the wrapped i64 result elsewhere. Integers and f64 become f16 and bf16 by way of
    /// f32.
    Cast(ExprId),
    /// The same bits as another type of the same size.
    Bits(ExprId),
    /// Where the bytes of a string begin, an i64.
    Start(ExprId),
    /// How many bytes a string has, an i64.
    Length(ExprId),
    /// The string that begins there, of so many bytes: a part of another one.
    Span(ExprId, ExprId),
    /// The byte of a string, a u8, at an i64 that is at least 0 and less than its length.
    Byte(ExprId, ExprId),
    /// The eight bytes of a string from an i64 on as a little-endian u64; all of them are the string's.
    Word(ExprId, ExprId),
}

/// Functions of one operand, of the operand's type unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnaryFn {
    /// Integers wrap.
    Neg,
    /// Clears the sign of a float; wraps for the least integer.
    Abs,
    /// Bool: logical; integers: bitwise.
    Not,
    Sqrt,
    /// Toward negative infinity; keeps -0.0.
    Floor,
    Ceil,
    /// Toward zero.
    Trunc,
    /// To nearest, halves to even.
    Round,
    // Elementary functions of floats; backends expand them before they see machine code.
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    Erfc,
}

impl UnaryFn {
    /// Every function, in the order of the declaration: first those that machines have, then the elementary ones.
    pub const ALL: [UnaryFn; 26] = [
        UnaryFn::Neg,
        UnaryFn::Abs,
        UnaryFn::Not,
        UnaryFn::Sqrt,
        UnaryFn::Floor,
        UnaryFn::Ceil,
        UnaryFn::Trunc,
        UnaryFn::Round,
        UnaryFn::Exp,
        UnaryFn::Expm1,
        UnaryFn::Log,
        UnaryFn::Log1p,
        UnaryFn::Sin,
        UnaryFn::Cos,
        UnaryFn::Tan,
        UnaryFn::Asin,
        UnaryFn::Acos,
        UnaryFn::Atan,
        UnaryFn::Sinh,
        UnaryFn::Cosh,
        UnaryFn::Tanh,
        UnaryFn::Asinh,
        UnaryFn::Acosh,
        UnaryFn::Atanh,
        UnaryFn::Erf,
        UnaryFn::Erfc,
    ];
    /// The functions that are expanded before a backend sees them.
    pub const ELEMENTARY: [UnaryFn; 18] = *UnaryFn::ALL.last_chunk().unwrap();
}

/// Functions of two operands of one type, which is the result's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryFn {
    /// Integers wrap in all arithmetic.
    Add,
    Sub,
    Mul,
    /// Floats: IEEE. Integers: toward zero; the divisor is not 0; the least value over -1 wraps.
    Div,
    /// Floats: exact remainder with the dividend's sign (C `fmod`). Integers: as `Div`.
    Rem,
    /// The greater; the first operand when neither is greater; NaN when either operand is NaN.
    Max,
    Min,
    /// Bool or integers.
    And,
    Or,
    Xor,
    /// Of integers. The amount is first clamped to `0..bits`: nothing wraps around.
    Shl,
    /// Arithmetic for signed types, logical for unsigned ones.
    Shr,
    /// Floats: C `pow`. Integers: wrapping power with an exponent at least 0.
    Pow,
    /// Floats: C `atan2`.
    Atan2,
}

/// What an [`Stmt::Update`] makes of an element and a value, of one type. Arithmetic is that of [`BinaryFn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The value.
    Set,
    Add,
    Sub,
    Mul,
    /// The value is not 0 where it is an integer.
    Div,
    /// Of bools and integers.
    Or,
    /// The value where the element is less, else the element: NaN changes nothing, and of equal ones the first stays.
    Max,
    /// The value where the element is greater, else the element.
    Min,
    /// The element where it is greater, else the value: NaN stays until the next value, and of equal ones the last stays.
    LastMax,
    /// The element where it is less, else the value.
    LastMin,
}

impl Combine {
    pub const ALL: [Combine; 10] = [
        Combine::Set,
        Combine::Add,
        Combine::Sub,
        Combine::Mul,
        Combine::Div,
        Combine::Or,
        Combine::Max,
        Combine::Min,
        Combine::LastMax,
        Combine::LastMin,
    ];

    /// Whether there are elements of the type to combine.
    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Combine::Set => !dtype.is_complex(),
            Combine::Or => dtype.is_int() || dtype == DType::Bool,
            _ => dtype.is_int() || dtype.is_float(),
        }
    }
}

/// Comparisons; all but `Ne` are false where an operand is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareFn {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// What a backend may do with a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopKind {
    Seq,
    /// A constant extent, expanded.
    Unroll,
    /// Iterations are independent but for `Accumulate`s into outer locals: run as lanes.
    Vector,
    /// The outermost loop only; iterations are independent and may be split between threads.
    Parallel,
}

/// Statements in order.
pub type Block = Vec<Stmt>;

/// `0 <= index < extent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    pub index: Dim,
    pub extent: Dim,
}

/// What a kernel does, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// Runs `body` with `var` from 0 to the extent in the variable's declaration.
    For {
        var: VarId,
        kind: LoopKind,
        body: Block,
    },
    Set {
        var: VarId,
        value: ExprId,
    },
    Assign {
        local: LocalId,
        index: Vec<Dim>,
        value: ExprId,
    },
    /// `local = f(local, value)` where `f` may be reassociated: Add, Mul, Max, Min, And, Or. A float sum of products
    /// may round once, like `MulAdd`.
    Accumulate {
        local: LocalId,
        index: Vec<Dim>,
        f: BinaryFn,
        value: ExprId,
    },
    Store {
        buffer: BufferId,
        index: Dim,
        value: ExprId,
    },
    /// `buffer[index] = f(buffer[index], value)`: the one statement that reads what the kernel writes. Updates happen in
    /// the order of the text and of the loops; those of different iterations of a `Vector` or `Parallel` loop are of
    /// different elements ([`updates_apart`]).
    Update {
        buffer: BufferId,
        index: Dim,
        f: Combine,
        value: ExprId,
    },
    /// Says that the element is read soon, where `near`, or later. It means nothing: the index may lie outside the
    /// buffer, and a machine may take no notice.
    Prefetch {
        buffer: BufferId,
        index: Dim,
        near: bool,
    },
    /// Runs `then` when all bounds hold, `otherwise` when one does not.
    If {
        bounds: Vec<Bound>,
        then: Block,
        otherwise: Block,
    },
    /// Ends the kernel with `fault` unless the condition holds.
    Check {
        cond: ExprId,
        fault: Fault,
    },
    /// Puts a byte, a u8, or all bytes of a string behind those that the arena has. What does not fit is counted, and the
    /// kernel ends with [`Fault::StringsExceeded`].
    Append {
        value: ExprId,
    },
    /// `var` is the string of all that was appended since the last `Take`, or since the kernel began. Where the arena is
    /// full, it is empty.
    Take {
        var: VarId,
    },
}

/// Why a kernel ended early; the numbers are those of `smc_runtime::Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    IndexOutOfRange = 6,
    DivisionByZero = 7,
    NegativeExponent = 8,
    AssertionFailed = 9,
    SizeOutOfBounds = 15,
    BrokenSize = 16,
    UnsetVariable = 17,
    StringsExceeded = 18,
    /// A custom operator failed, or there is no function for it.
    OperatorFailed = 19,
    BrokenRecord = 20,
}

/// One function of the compiled model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernel {
    pub name: String,
    pub buffers: Arena<Buffer>,
    pub vars: Arena<Var>,
    pub locals: Arena<Local>,
    pub exprs: Arena<Typed>,
    /// Where this is odd, a machine may run the iterations of the parallel loop from the last to the first: then what a
    /// kernel read last is what its next run reads first, from a nearer cache. It means nothing, since their order is free.
    pub turn: Option<Dim>,
    pub body: Block,
}

impl Kernel {
    pub fn dtype(&self, e: ExprId) -> DType {
        self.exprs[e].dtype
    }
    /// The extent of a loop variable. Panics for other variables.
    pub fn loop_extent(&self, var: VarId) -> &Dim {
        match &self.vars[var] {
            Var::Loop { extent } => extent,
            other => panic!("{other:?} is not a loop variable"),
        }
    }
    /// Whether it can end with a fault.
    pub fn can_fail(&self) -> bool {
        statements(&self.body).any(|stmt| matches!(stmt, Stmt::Check { .. } | Stmt::Append { .. }))
    }
    /// Whether it makes strings in the arena.
    pub fn makes_strings(&self) -> bool {
        statements(&self.body).any(|stmt| matches!(stmt, Stmt::Append { .. } | Stmt::Take { .. }))
    }
    /// Whether it reduces what it writes, along with that: then it writes a buffer of another length too.
    pub fn reduces_along(&self) -> bool {
        let mut written = self.buffers.iter().filter(|(_, buffer)| buffer.written).map(|(_, buffer)| &buffer.len);
        written.next().is_some_and(|first| written.any(|len| len != first))
    }
}

/// The variables' extents, for proofs about indices.
impl Extents for Arena<Var> {
    fn extent(&self, var: u32) -> Option<Dim> {
        match self.get(Id::new(var as usize))? {
            Var::Loop { extent } => Some(extent.clone()),
            Var::Index { extent } => extent.clone(),
            Var::Value { .. } => None,
        }
    }
}

/// The index that is the value of `var`.
pub fn index_of(var: VarId) -> Dim {
    Dim::var(var.index() as u32)
}

/// The row-major flat position of `ix` in `shape`.
pub fn flat(shape: &[Dim], ix: &[Dim]) -> Dim {
    shape.iter().zip(ix).fold(Dim::zero(), |acc, (n, i)| acc * n + i)
}
