//! The primitives: what each one means, in one file per primitive.
//!
//! A primitive is a plain struct of attributes that implements [`Primitive`]; the one list below makes the [`Op`] enum
//! and is the only place that names them all. Operands have the very shapes and types an operator works on: broadcasts,
//! conversions and paddings are operators of their own. Every result is one tensor. Knows nothing of the graph.

mod adjoint;
mod arg_reduce;
mod bind;
mod compose;
mod concat;
mod control;
mod conv;
mod deviates;
mod dot;
mod evaluation;
mod facts;
mod fold;
mod forest;
mod function;
mod gather;
mod iota;
mod kernel;
mod number;
mod pad;
mod philox;
mod pick;
mod pointwise;
mod product;
mod put;
mod record;
mod reduce;
mod sample;
mod scan;
mod scatter;
mod text;
mod top_k;
mod truncated_normal;
mod view;
mod window;
mod within;

use serde::{Serialize, de::DeserializeOwned};

pub use adjoint::{Adjoint, Gradients};
pub use arg_reduce::ArgReduce;
pub use bind::Bind;
pub use compose::{Compose, Grow, Value};
pub use concat::Concat;
pub use control::{Control, ControlResult};
pub use conv::Conv;
pub use dot::Dot;
pub use evaluation::{Evaluation, Stop, Sums};
pub use facts::Facts;
pub use fold::{accumulator, identity};
pub use forest::Forest;
pub use function::{Attribute, Function, Library};
pub use gather::Gather;
pub use iota::Iota;
pub use kernel::kernel;
pub use pad::Pad;
pub use philox::Philox;
pub use pointwise::{Binary, Bitcast, Cast, Compare, Select, Unary};
pub use put::Put;
pub use record::{Features, ListCount, ListKind, ListValues, Part};
pub use reduce::Reduce;
pub use sample::{Law, Sample};
pub use scan::Scan;
pub use scatter::{Outside, Scatter};
pub use text::{
    Case, Decoding, Fill, Find, MAX_DECIMALS, MAX_SEPARATOR, Malformed, Perfect, Plan, Splitting, TextCase, TextCodes,
    TextCount, TextDecode, TextEqual, TextFloat, TextHash, TextHashing, TextInt, TextJoin, TextLength, TextMatches,
    TextNumber, TextPart, TextPlace, TextRaw, TextReplace, TextSplit, TextStrip, TextTrail, TextUnit,
};
pub use top_k::TopK;
pub use truncated_normal::TruncatedNormal;
pub use view::{Broadcast, Reshape, Slice, Transpose};
pub use window::Window;
pub use within::Within;

use crate::{
    base::{Bindings, Dim, Symbol, dim::Number},
    loops::{BufferId, Emit, ExprId, Fault, LoopKind},
    tensor::{Tensor, TensorType},
};

/// Why operands do not fit an operator: one clause, such as `cannot contract 3 with 4`.
pub type Infer<T> = Result<T, String>;

/// The facets of a primitive. Attributes travel through text by serde, so a struct's fields are its textual form.
pub trait Primitive: Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned {
    /// The name in the textual form.
    const NAME: &'static str;
    /// The type of the result, or why these operands do not fit. Must not panic, whatever the attributes.
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType>;
    /// The reference semantics, element by element from the definition: obvious beats fast, and nothing is shared with
    /// `element`. `out` is the inferred shape under the bindings; `bind` gives values to symbols in attributes.
    fn eval(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Result<Tensor, Fault>;
    /// As [`Primitive::eval`], but by `how`: sums of f32 may be rounded at every step, as the plainest loop in f32 would,
    /// and what takes long may be interrupted. How far rounded sums are from the exact result says what rounding may cost.
    fn eval_by(
        &self,
        inputs: &[&Tensor],
        out: &[usize],
        bind: &Bindings,
        _how: Evaluation<'_>,
    ) -> Result<Tensor, Stop> {
        self.eval(inputs, out, bind).map_err(Stop::Fault)
    }
    /// Code for the value of the result at `ix`.
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId;
    /// Code for the whole result; overridden by what cannot be computed element by element in reasonable time.
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let shape = shape.to_vec();
        at.nest(&shape.clone(), LoopKind::Seq, |at, ix| {
            let value = self.element(at, ix);
            at.w.store(out, &shape, ix, value);
        });
    }
    /// Whether `write` is overridden, so that the result needs a buffer.
    const WHOLE: bool = false;
    /// The gradients of the operands, composed of primitives; what has none says so by name. Asked only where the result is
    /// of floats, and only by what differentiates a graph.
    fn adjoint(&self, _: &mut Adjoint<'_>) -> Gradients {
        Err(format!("{} has no derivative", Self::NAME))
    }
    /// The elements of the result as numbers that follow from extents, given those of the operands where they are
    /// known. This is how shapes that the model computes become symbolic extents.
    fn numbers(&self, _: &[Option<&[Number]>], _types: &[&TensorType], _out: &TensorType) -> Option<Vec<Number>> {
        None
    }
}

macro_rules! ops {
    ($($Op:ident)*) => {
        /// One operator of the graph.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op {
            /// A value that the caller gives; its type is declared.
            Input,
            /// A value known at compile time; shared, never copied.
            Const(Tensor),
            /// The value of a dim as an i64 scalar.
            Extent(Dim),
            /// A result of an operator that owns graphs, or of a call.
            Control(ControlResult),
            $($Op($Op),)*
        }
        /// Which operator, without its attributes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            Input,
            Const,
            Extent,
            Control,
            $($Op,)*
        }
        impl Kind {
            pub const ALL: &'static [Kind] = &[Kind::Input, Kind::Const, Kind::Extent, Kind::Control, $(Kind::$Op,)*];
        }
        $(impl From<$Op> for Op {
            fn from(op: $Op) -> Op {
                Op::$Op(op)
            }
        })*
        impl Op {
            /// The names of all primitives that have attributes of their own.
            pub const NAMES: &'static [&'static str] = &[$($Op::NAME,)*];
            pub fn kind(&self) -> Kind {
                match self {
                    Op::Input => Kind::Input,
                    Op::Const(_) => Kind::Const,
                    Op::Extent(_) => Kind::Extent,
                    Op::Control(_) => Kind::Control,
                    $(Op::$Op(_) => Kind::$Op,)*
                }
            }
            pub fn name(&self) -> &'static str {
                match self {
                    Op::Input => "input",
                    Op::Const(_) => "const",
                    Op::Extent(_) => "extent",
                    Op::Control(_) => "control",
                    $(Op::$Op(_) => $Op::NAME,)*
                }
            }
            /// The attributes as a JSON object; `{}` when there are none.
            pub fn attrs(&self) -> String {
                let text = match self {
                    Op::Input | Op::Const(_) | Op::Extent(_) | Op::Control(_) => return "{}".into(),
                    $(Op::$Op(op) => serde_json::to_string(op),)*
                };
                text.expect("attributes are plain data")
            }
            /// The inverse of [`Op::name`] and [`Op::attrs`]; leaves are read by the graph's parser.
            pub fn parse(name: &str, attrs: &str) -> Infer<Op> {
                match name {
                    $($Op::NAME => serde_json::from_str::<$Op>(attrs).map(Op::$Op).map_err(|e| e.to_string()),)*
                    _ => Err(format!("unknown op `{name}`")),
                }
            }
            pub fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
                match self {
                    Op::Input => Err("an input has no inferred type".into()),
                    Op::Const(t) => Ok(t.ty()),
                    Op::Extent(_) => Ok(TensorType::scalar(crate::tensor::DType::I64)),
                    Op::Control(of) => of.infer(inputs),
                    $(Op::$Op(op) => op.infer(inputs, facts),)*
                }
            }
            pub fn eval(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Result<Tensor, Fault> {
                match self {
                    Op::Input => unreachable!("inputs are bound by the caller"),
                    Op::Const(t) => Ok(t.clone()),
                    Op::Extent(dim) => Ok(Tensor::from_i64([], &[dim.eval(bind).expect("symbols are bound")])),
                    Op::Control(_) => self.eval_by(inputs, out, bind, Evaluation::WHOLE).map_err(Stop::fault),
                    $(Op::$Op(op) => op.eval(inputs, out, bind),)*
                }
            }
            pub fn eval_by(
                &self,
                inputs: &[&Tensor],
                out: &[usize],
                bind: &Bindings,
                how: Evaluation<'_>,
            ) -> Result<Tensor, Stop> {
                match self {
                    Op::Input | Op::Const(_) | Op::Extent(_) => self.eval(inputs, out, bind).map_err(Stop::Fault),
                    Op::Control(of) => of.control.eval(inputs, bind, how).map(|mut all| all.swap_remove(of.result)),
                    $(Op::$Op(op) => op.eval_by(inputs, out, bind, how),)*
                }
            }
            pub fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
                match self {
                    Op::Input => unreachable!("an input has a buffer"),
                    Op::Const(t) => {
                        assert!(t.count() == 1, "only single constants are written into code");
                        at.w.constant(t.dtype, t.get(0))
                    }
                    Op::Extent(dim) => at.w.index(dim.clone()),
                    Op::Control(_) => unreachable!("a result of control flow has a buffer"),
                    $(Op::$Op(op) => op.element(at, ix),)*
                }
            }
            pub fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
                match self {
                    Op::Input | Op::Const(_) | Op::Extent(_) => unreachable!("a leaf has no kernel"),
                    Op::Control(_) => unreachable!("control flow has kernels of its own"),
                    $(Op::$Op(op) => op.write(at, out, shape),)*
                }
            }
            /// Whether the result is written by one kernel as a whole, and so needs a buffer.
            pub fn is_whole(&self) -> bool {
                match self {
                    Op::Input | Op::Const(_) | Op::Extent(_) => false,
                    Op::Control(_) => true,
                    $(Op::$Op(_) => $Op::WHOLE,)*
                }
            }
            /// As [`Primitive::numbers`]; `None` also where the result's type is not tracked.
            pub fn numbers(
                &self,
                inputs: &[Option<&[Number]>],
                types: &[&TensorType],
                out: &TensorType,
            ) -> Option<Vec<Number>> {
                match self {
                    _ if !number::is_tracked(out.dtype) => None,
                    Op::Input | Op::Control(_) => None,
                    Op::Const(t) => t.scalars().map(number::constant).collect(),
                    Op::Extent(dim) => Some(vec![dim.clone().into()]),
                    $(Op::$Op(op) => op.numbers(inputs, types, out),)*
                }
            }
            /// As [`Primitive::adjoint`]. Panics for control flow, whose rule is the graph's.
            pub fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
                match self {
                    Op::Input | Op::Const(_) | Op::Extent(_) => Ok(vec![]),
                    Op::Control(_) => unreachable!("who owns graphs differentiates them"),
                    $(Op::$Op(op) => op.adjoint(at),)*
                }
            }
            /// The dims in its attributes that need not be in the shape of its result.
            pub fn inner_dims(&self) -> Vec<&Dim> {
                match self {
                    Op::Extent(dim) => vec![dim],
                    Op::Slice(op) => op.start.iter().collect(),
                    Op::Pad(op) => op.low.iter().chain(&op.high).collect(),
                    Op::Window(op) => op.low.iter().chain(&op.high).collect(),
                    Op::Conv(op) => op.low.iter().chain(&op.high).collect(),
                    Op::Put(op) => op.start.iter().collect(),
                    Op::Bind(op) => vec![&op.bound],
                    _ => vec![],
                }
            }
            /// Whether an operator with a fixed type computes a fixed function of its operands: nothing else in it has a
            /// symbol.
            pub fn has_fixed_attributes(&self) -> bool {
                match self {
                    Op::Input | Op::Bind(_) => false,
                    Op::Control(of) => of.control.symbols().is_empty(),
                    op => op.inner_dims().into_iter().all(|dim| dim.as_int().is_some()),
                }
            }
        }
    };
}

ops! {
    Unary Binary Compare Select Cast Bitcast
    Broadcast Reshape Transpose Slice Pad Concat
    Reduce ArgReduce Window Scan
    Dot Conv
    Gather Scatter Put Iota TopK Bind
    Philox TruncatedNormal Sample Within Forest
    TextMatches TextTrail TextReplace
    TextEqual TextLength TextHash TextPart TextStrip TextCount TextSplit TextPlace TextRaw TextInt TextFloat
    TextCodes TextDecode TextCase TextJoin TextNumber Find
    Features ListCount ListValues
}

/// The operands as an array, or how many there should be.
pub(crate) fn operands<'a, T, const N: usize>(inputs: &[&'a T]) -> Infer<[&'a T; N]> {
    inputs.try_into().map_err(|_| format!("expected {N} operands, got {}", inputs.len()))
}

/// Refuses an axis that is not there.
pub(crate) fn check_axis(axis: usize, x: &TensorType) -> Infer<()> {
    if axis < x.rank() { Ok(()) } else { Err(format!("{x} has no axis {axis}")) }
}

/// Whether a dim is a negative number; what only might be negative is the maker's to exclude.
pub(crate) fn is_negative(dim: &Dim) -> bool {
    dim.as_int().is_some_and(|n| n < 0)
}

/// The values of dims whose symbols are bound.
pub(crate) fn values(dims: &[Dim], bind: &Bindings) -> Vec<i64> {
    dims.iter().map(|d| d.eval(bind).expect("symbols are bound")).collect()
}

/// `[2,N]`.
pub(crate) fn show(shape: &[Dim]) -> String {
    let dims: Vec<_> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(","))
}
