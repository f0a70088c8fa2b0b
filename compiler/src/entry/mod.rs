//! The entry program: what the exported functions of a model do, step by step, before any machine is known.
//!
//! A [`Routine`] checks a call's arguments, computes its sizes, and runs kernels in order: straight lines of operations on
//! words, addresses, flags and floats, with branches, counted loops and calls between them. [`compose`] writes the routines
//! of a model from its plans; every back end prints them, and the interpreter runs them. What the steps *mean* is decided
//! here once: sizes with every overflow noticed, the order of checks, who runs what on which thread.

mod call;
mod chain;
mod compose;
mod flow;
mod foreign;
mod formula;
mod found;
mod frame;
pub mod interp;
mod invoke;
mod parse;
mod place;
mod print;
mod run;
mod share;
mod sizes;
mod state;
#[cfg(test)]
mod tests;
mod units;
mod verify;
mod weights;
mod write;

pub use compose::{Entry, Level, Member, Model, Setting, What, compose, workspace};
pub use frame::{ARENA_HEADER, Field, Frame, Slots, arena_bytes};
pub use parse::parse;
pub use state::{StateBlock, StatePart};
pub use units::{iterations, parallel_extent};
pub use verify::{Violation, verify};

use crate::base::{Arena, Id};

/// A variable of a routine.
pub type VarId = Id<Var>;

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var {
    pub ty: Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A signed integer of 64 bits.
    Word,
    /// A place in memory, or of a function.
    Address,
    /// True or false.
    Flag,
    /// A double.
    Real,
    /// What a function says of a call: 0, or the code of a [`smc_runtime::abi::Status`].
    Status,
}

/// A function that is not a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Routine {
    pub params: Vec<VarId>,
    /// Of those, the first is an unsigned number of 32 bits to its callers.
    pub numbered: bool,
    /// A word, a status, or nothing.
    pub returns: Option<Type>,
    pub vars: Arena<Var>,
    pub body: Block,
}

pub type Block = Vec<Stmt>;

/// A value that is there already.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Var(VarId),
    /// A word, or a status where one is expected.
    Int(i64),
}

impl From<VarId> for Value {
    fn from(var: VarId) -> Value {
        Value::Var(var)
    }
}
impl From<i64> for Value {
    fn from(int: i64) -> Value {
        Value::Int(int)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    Set(VarId, Op),
    /// At a field of what the variable is the address of.
    Store {
        to: VarId,
        field: Field,
        value: Value,
    },
    Call {
        callee: Callee,
        args: Vec<Value>,
        result: Option<VarId>,
    },
    If {
        when: VarId,
        then: Block,
        otherwise: Block,
    },
    /// For each number from the first on that is less than the second.
    Each {
        var: VarId,
        from: Value,
        to: Value,
        body: Block,
    },
    /// Ends the loop around.
    Break,
    Return(Option<Value>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Callee {
    /// The function of this number in the model.
    Member(usize),
    /// The function at this address.
    At(VarId),
}

/// What a variable is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Copy(Value),
    Real(f64),
    /// Of words.
    Word(WordOp, Value, Value),
    /// Of two words.
    Compare(Compare, Value, Value),
    /// Both, or one of two flags.
    And(VarId, VarId),
    Or(VarId, VarId),
    Not(VarId),
    /// What a function returned, as a word.
    Code(VarId),
    /// 1 for a true flag, 0 for a false one.
    Bit(VarId),
    /// The first where the flag is true; of two words, addresses or floats.
    Select(VarId, Value, Value),
    RealOf(RealOp, VarId, VarId),
    /// Of two floats; false where one of them is NaN, but for `Unordered`.
    CompareReal(RealCompare, VarId, VarId),
    Negative(VarId),
    Magnitude(VarId),
    /// A word, rounded to the nearest double.
    ToReal(Value),
    /// Toward zero; the nearest word where there is none; 0 for NaN.
    ToWord(VarId),
    /// The nearest single, as a double.
    Single(VarId),
    Load(VarId, Field),
    /// So many bytes behind an address.
    Offset(VarId, Value),
    /// The bits of an address that a mask selects.
    Bits(VarId, i64),
    /// Whether an address is null.
    IsNull(VarId),
    /// Whether two addresses are the same.
    Same(VarId, VarId),
    /// Memory of the routine's own, of so many bytes, while it runs; a multiple of 8.
    Stack(u32),
    Null,
    /// Where something of the model lies.
    Datum(Datum),
    /// The function of this number.
    Function(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordOp {
    /// Wrap.
    Add,
    Sub,
    Mul,
    /// Toward zero; the divisor is not 0, nor is the quotient beyond all words.
    Div,
    Rem,
    And,
    Or,
    Xor,
    /// By 0 to 63 bits.
    Shl,
    Shr,
    /// Zeros come in from above.
    Ushr,
    /// Negative where the sum wraps, and not negative where it does not; nothing else is known of it.
    AddWraps,
    /// The same for the product.
    MulWraps,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// Less, where both are taken for numbers without a sign.
    Below,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealOp {
    Add,
    Sub,
    Mul,
    Div,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealCompare {
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
    Unordered,
}

/// What a model keeps beside its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datum {
    /// The start of the weights.
    Weights,
    /// A word that says how far behind it the weights start.
    Distance,
    /// An address that is null at first and writable: where the weights start that the caller bound. Threads may read it
    /// while one writes.
    Bound,
    /// [`FINGERPRINT_BYTES`] bytes that the weights of this code have in their file.
    Fingerprint,
}

/// Bytes of a fingerprint of weights.
pub const FINGERPRINT_BYTES: usize = 32;

/// How an entry finds the weights, which its kernels get from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// By an address that the code has.
    #[default]
    Near,
    /// By [`Datum::Distance`], wherever they lie.
    Far,
    /// By [`Datum::Bound`].
    Bound,
}
