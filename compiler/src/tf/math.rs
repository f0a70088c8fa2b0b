//! Pointwise arithmetic, comparisons and logic.
//!
//! Traps of TensorFlow that rows keep: floored division and modulo of integers and floats, a result of 0 where the
//! `NoNan` and `X` families say so whatever the other operand is, and shift amounts clamped to the width.

use super::{
    Import, Outputs, Stop, TfOp,
    build::{one, widened},
    convert::unsigned,
    flow::sum,
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    tensor::{DType, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Abs", import: |cx| map(cx, UnaryFn::Abs) },
    TfOp { name: "Neg", import: |cx| map(cx, UnaryFn::Neg) },
    TfOp { name: "Sqrt", import: |cx| map(cx, UnaryFn::Sqrt) },
    TfOp { name: "Floor", import: |cx| map(cx, UnaryFn::Floor) },
    TfOp { name: "Ceil", import: |cx| map(cx, UnaryFn::Ceil) },
    TfOp { name: "Rint", import: |cx| map(cx, UnaryFn::Round) },
    TfOp { name: "Round", import: round },
    TfOp { name: "Exp", import: |cx| map(cx, UnaryFn::Exp) },
    TfOp { name: "Expm1", import: |cx| map(cx, UnaryFn::Expm1) },
    TfOp { name: "Log", import: |cx| map(cx, UnaryFn::Log) },
    TfOp { name: "Log1p", import: |cx| map(cx, UnaryFn::Log1p) },
    TfOp { name: "Sin", import: |cx| map(cx, UnaryFn::Sin) },
    TfOp { name: "Cos", import: |cx| map(cx, UnaryFn::Cos) },
    TfOp { name: "Tan", import: |cx| map(cx, UnaryFn::Tan) },
    TfOp { name: "Asin", import: |cx| map(cx, UnaryFn::Asin) },
    TfOp { name: "Acos", import: |cx| map(cx, UnaryFn::Acos) },
    TfOp { name: "Atan", import: |cx| map(cx, UnaryFn::Atan) },
    TfOp { name: "Sinh", import: |cx| map(cx, UnaryFn::Sinh) },
    TfOp { name: "Cosh", import: |cx| map(cx, UnaryFn::Cosh) },
    TfOp { name: "Tanh", import: |cx| map(cx, UnaryFn::Tanh) },
    TfOp { name: "Asinh", import: |cx| map(cx, UnaryFn::Asinh) },
    TfOp { name: "Acosh", import: |cx| map(cx, UnaryFn::Acosh) },
    TfOp { name: "Atanh", import: |cx| map(cx, UnaryFn::Atanh) },
    TfOp { name: "Erf", import: |cx| map(cx, UnaryFn::Erf) },
    TfOp { name: "Erfc", import: |cx| map(cx, UnaryFn::Erfc) },
    TfOp { name: "LogicalNot", import: |cx| map(cx, UnaryFn::Not) },
    TfOp { name: "Invert", import: |cx| map(cx, UnaryFn::Not) },
    TfOp { name: "Rsqrt", import: rsqrt },
    TfOp { name: "Square", import: square },
    TfOp { name: "Sign", import: sign },
    TfOp { name: "Inv", import: reciprocal },
    TfOp { name: "Reciprocal", import: reciprocal },
    TfOp { name: "IsNan", import: is_nan },
    TfOp { name: "IsInf", import: |cx| against_infinity(cx, CompareFn::Eq) },
    TfOp { name: "IsFinite", import: |cx| against_infinity(cx, CompareFn::Lt) },
    TfOp { name: "Add", import: |cx| zip(cx, BinaryFn::Add) },
    TfOp { name: "AddV2", import: |cx| zip(cx, BinaryFn::Add) },
    TfOp { name: "AddN", import: add_n },
    TfOp { name: "AccumulateNV2", import: add_n },
    TfOp { name: "Sub", import: |cx| zip(cx, BinaryFn::Sub) },
    TfOp { name: "Mul", import: |cx| zip(cx, BinaryFn::Mul) },
    TfOp { name: "Div", import: |cx| zip(cx, BinaryFn::Div) },
    TfOp { name: "RealDiv", import: |cx| zip(cx, BinaryFn::Div) },
    TfOp { name: "TruncateDiv", import: truncate_div },
    TfOp { name: "Mod", import: |cx| zip(cx, BinaryFn::Rem) },
    TfOp { name: "TruncateMod", import: |cx| zip(cx, BinaryFn::Rem) },
    TfOp { name: "FloorDiv", import: floor_div },
    TfOp { name: "FloorMod", import: floor_mod },
    TfOp { name: "Maximum", import: |cx| zip(cx, BinaryFn::Max) },
    TfOp { name: "Minimum", import: |cx| zip(cx, BinaryFn::Min) },
    TfOp { name: "Pow", import: |cx| zip(cx, BinaryFn::Pow) },
    TfOp { name: "Atan2", import: |cx| zip(cx, BinaryFn::Atan2) },
    TfOp { name: "SquaredDifference", import: squared_difference },
    TfOp { name: "DivNoNan", import: |cx| zero_where(cx, 1, |cx, x, y| cx.div(x, y)) },
    TfOp { name: "MulNoNan", import: |cx| zero_where(cx, 1, |cx, x, y| cx.mul(x, y)) },
    TfOp { name: "Xdivy", import: |cx| zero_where(cx, 0, |cx, x, y| cx.div(x, y)) },
    TfOp { name: "Xlogy", import: |cx| zero_where(cx, 0, |cx, x, y| times_log(cx, x, y, UnaryFn::Log)) },
    TfOp { name: "Xlog1py", import: |cx| zero_where(cx, 0, |cx, x, y| times_log(cx, x, y, UnaryFn::Log1p)) },
    TfOp { name: "ClipByValue", import: clip },
    TfOp { name: "LogicalAnd", import: |cx| zip(cx, BinaryFn::And) },
    TfOp { name: "LogicalOr", import: |cx| zip(cx, BinaryFn::Or) },
    TfOp { name: "BitwiseAnd", import: |cx| zip(cx, BinaryFn::And) },
    TfOp { name: "BitwiseOr", import: |cx| zip(cx, BinaryFn::Or) },
    TfOp { name: "BitwiseXor", import: |cx| zip(cx, BinaryFn::Xor) },
    TfOp { name: "LeftShift", import: |cx| shift(cx, BinaryFn::Shl) },
    TfOp { name: "RightShift", import: |cx| shift(cx, BinaryFn::Shr) },
    TfOp { name: "PopulationCount", import: population_count },
    TfOp { name: "Equal", import: |cx| equality(cx, CompareFn::Eq) },
    TfOp { name: "NotEqual", import: |cx| equality(cx, CompareFn::Ne) },
    TfOp { name: "Less", import: |cx| order(cx, CompareFn::Lt) },
    TfOp { name: "LessEqual", import: |cx| order(cx, CompareFn::Le) },
    TfOp { name: "Greater", import: |cx| order(cx, CompareFn::Gt) },
    TfOp { name: "GreaterEqual", import: |cx| order(cx, CompareFn::Ge) },
    TfOp { name: "ApproximateEqual", import: approximately },
    TfOp { name: "Select", import: select_rows },
    TfOp { name: "SelectV2", import: select },
];

fn map(cx: &mut Import, f: UnaryFn) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.unary(f, x)?)
}

fn zip(cx: &mut Import, f: BinaryFn) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    one(cx.binary(f, x, y)?)
}

fn order(cx: &mut Import, f: CompareFn) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    one(cx.compare(f, x, y)?)
}

/// Halves go to even; integers stay.
fn round(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    if cx.dtype(x).is_int() { one(x) } else { map(cx, UnaryFn::Round) }
}

fn rsqrt(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.in_single(x, |cx, x| inverse_root(cx, x))?)
}

/// `1 / sqrt(x)`, exact at zeros and infinity.
pub(super) fn inverse_root(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let root = cx.unary(UnaryFn::Sqrt, x)?;
    let one = cx.scalar_like(x, 1.0)?;
    cx.div(one, root)
}

fn square(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.mul(x, x)?)
}

fn sign(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(sign_of(cx, x)?)
}

/// 1, -1 or +0; NaN stays.
pub(super) fn sign_of(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let dtype = cx.dtype(x);
    let zero = cx.scalar(dtype, 0.0)?;
    let positive = cx.compare(CompareFn::Gt, x, zero)?;
    let positive = cx.cast(positive, dtype)?;
    if dtype.is_unsigned_int() {
        return Ok(positive);
    }
    let negative = cx.compare(CompareFn::Lt, x, zero)?;
    let negative = cx.cast(negative, dtype)?;
    let sign = cx.sub(positive, negative)?;
    if !dtype.is_float() {
        return Ok(sign);
    }
    let nan = cx.compare(CompareFn::Ne, x, x)?;
    cx.select(nan, x, sign)
}

fn reciprocal(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let unit = cx.scalar_like(x, 1.0)?;
    one(cx.div(unit, x)?)
}

fn is_nan(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.compare(CompareFn::Ne, x, x)?)
}

/// Compares the magnitude with infinity.
fn against_infinity(cx: &mut Import, f: CompareFn) -> Outputs {
    let x = cx.arg(0)?;
    let magnitude = cx.unary(UnaryFn::Abs, x)?;
    let infinity = cx.scalar_like(x, f64::INFINITY)?;
    one(cx.compare(f, magnitude, infinity)?)
}

/// The sum of operands of one shape, which are not broadcast.
fn add_n(cx: &mut Import) -> Outputs {
    if sum::is_of_lists(cx) {
        return sum::added(cx);
    }
    let args = cx.args()?;
    let Some((&first, rest)) = args.split_first() else { return Err("expected at least one operand".into()) };
    let mut sum = first;
    for &x in rest {
        same_shape(cx, first, x)?;
        sum = cx.add_(sum, x)?;
    }
    one(sum)
}

fn same_shape(cx: &mut Import, x: NodeId, y: NodeId) -> Result<()> {
    let (a, b) = (cx.shape(x), cx.shape(y));
    if a.len() != b.len() {
        return Err(format!("the operands' ranks {} and {} differ", a.len(), b.len()).into());
    }
    a.iter().zip(&b).try_for_each(|(a, b)| cx.require_equal(a, b, "the extents of the operands"))
}

fn truncate_div(cx: &mut Import) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    let quotient = cx.div(x, y)?;
    one(if cx.dtype(x).is_float() { cx.unary(UnaryFn::Trunc, quotient)? } else { quotient })
}

/// Whether `rest` is not zero and of the other sign than `y`: flooring takes one more step than truncation.
fn crosses_zero(cx: &mut Import, rest: NodeId, y: NodeId) -> Result<NodeId> {
    let zero = cx.scalar_like(rest, 0.0)?;
    if cx.is_positive(y) {
        return cx.compare(CompareFn::Lt, rest, zero);
    }
    let uneven = cx.compare(CompareFn::Ne, rest, zero)?;
    let [a, b] = [cx.compare(CompareFn::Lt, rest, zero)?, cx.compare(CompareFn::Lt, y, zero)?];
    let differ = cx.binary(BinaryFn::Xor, a, b)?;
    cx.and(uneven, differ)
}

fn floor_div(cx: &mut Import) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    let dtype = cx.dtype(x);
    if let Some(quotient) = of_extents(cx, x, y, |x, y| x.floored_over(y))? {
        return one(quotient);
    }
    let quotient = cx.div(x, y)?;
    if dtype.is_float() {
        return one(cx.unary(UnaryFn::Floor, quotient)?);
    }
    if dtype.is_unsigned_int() {
        return one(quotient);
    }
    let rest = cx.binary(BinaryFn::Rem, x, y)?;
    let step = crosses_zero(cx, rest, y)?;
    let step = cx.cast(step, dtype)?;
    one(cx.sub(quotient, step)?)
}

/// `f` of integers that follow from extents, where all of them do and it can be said.
fn of_extents(cx: &mut Import, x: NodeId, y: NodeId, f: fn(&Dim, &Dim) -> Option<Dim>) -> Result<Option<NodeId>> {
    if cx.graph.dims(x).is_none() || cx.graph.dims(y).is_none() || !cx.dtype(x).is_int() {
        return Ok(None);
    }
    let [x, y] = cx.broadcast([x, y])?;
    let (Some(a), Some(b)) = (cx.graph.dims(x), cx.graph.dims(y)) else { return Ok(None) };
    // What is constant is folded in another way.
    if a.iter().chain(b).all(|d| d.as_int().is_some()) {
        return Ok(None);
    }
    let Some(dims) = a.iter().zip(b).map(|(a, b)| f(a, b)).collect::<Option<Vec<Dim>>>() else { return Ok(None) };
    let (dtype, shape) = (cx.dtype(x), cx.shape(x));
    let vector = cx.dims_tensor(&dims, dtype)?;
    Ok(Some(cx.reshape(vector, &shape)?))
}

/// Takes the divisor's sign; a float result of 0 keeps the dividend's.
fn floor_mod(cx: &mut Import) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    if let Some(rest) = of_extents(cx, x, y, |x, y| Some(x - y * x.floored_over(y)?))? {
        return one(rest);
    }
    let rest = cx.binary(BinaryFn::Rem, x, y)?;
    if cx.dtype(x).is_unsigned_int() {
        return one(rest);
    }
    let step = crosses_zero(cx, rest, y)?;
    let next = cx.add_(rest, y)?;
    one(cx.select(step, next, rest)?)
}

fn squared_difference(cx: &mut Import) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    let difference = cx.sub(x, y)?;
    one(cx.mul(difference, difference)?)
}

/// `f(x, y)`, but 0 where operand `n` is 0, whatever the other one is. The zero of a numerator keeps its sign.
fn zero_where(cx: &mut Import, n: usize, f: fn(&mut Import, NodeId, NodeId) -> Result<NodeId>) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    let zero = cx.scalar_like(x, 0.0)?;
    let is_zero = cx.compare(CompareFn::Eq, [x, y][n], zero)?;
    let value = f(cx, x, y)?;
    one(cx.select(is_zero, if n == 0 { x } else { zero }, value)?)
}

fn times_log(cx: &mut Import, x: NodeId, y: NodeId, log: UnaryFn) -> Result<NodeId> {
    let dtype = cx.dtype(x);
    let [x, y] = [cx.cast(x, widened(dtype))?, cx.cast(y, widened(dtype))?];
    let log = cx.unary(log, y)?;
    let product = cx.mul(x, log)?;
    cx.cast(product, dtype)
}

/// The lower bound wins where the bounds cross. A bound is a scalar or has the operand's shape.
fn clip(cx: &mut Import) -> Outputs {
    let (x, low, high) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    for bound in [low, high] {
        if cx.rank(bound) > 0 {
            same_shape(cx, x, bound)?;
        }
    }
    let below = bounded(cx, x, high, BinaryFn::Min, CompareFn::Gt)?;
    one(bounded(cx, below, low, BinaryFn::Max, CompareFn::Lt)?)
}

/// `x`, or the bound that it is beyond; a bound that is NaN is none.
fn bounded(cx: &mut Import, x: NodeId, bound: NodeId, f: BinaryFn, beyond: CompareFn) -> Result<NodeId> {
    let is_number = |t: &Tensor| t.scalars().all(|s| s.as_f64().is_none_or(|v| !v.is_nan()));
    if !cx.dtype(x).is_float() || cx.graph.as_const(bound).is_some_and(is_number) {
        return cx.binary(f, x, bound);
    }
    let outside = cx.compare(beyond, x, bound)?;
    cx.select(outside, bound, x)
}

fn shift(cx: &mut Import, f: BinaryFn) -> Outputs {
    let (x, amount) = (cx.arg(0)?, cx.arg(1)?);
    let (low, high) = (cx.scalar_like(x, 0.0)?, cx.scalar_like(x, (cx.dtype(x).bits() - 1) as f64)?);
    let amount = cx.binary(BinaryFn::Max, amount, low)?;
    let amount = cx.binary(BinaryFn::Min, amount, high)?;
    one(cx.binary(f, x, amount)?)
}

/// The number of set bits, by adding neighbouring fields of doubling width.
fn population_count(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let unsigned = unsigned(cx.dtype(x));
    let mut sum = cx.cast(x, unsigned)?;
    let mut width = 1;
    while width < unsigned.bits() {
        let mask = (0..64).filter(|bit| bit / width % 2 == 0).fold(0u64, |m, bit| m | 1 << bit);
        let mask = cx.constant(Tensor::scalar(unsigned, Scalar::Uint(mask).wrap(unsigned)))?;
        let by = cx.scalar(unsigned, width as f64)?;
        let high = cx.binary(BinaryFn::Shr, sum, by)?;
        let (low, high) = (cx.and(sum, mask)?, cx.and(high, mask)?);
        sum = cx.add_(low, high)?;
        width *= 2;
    }
    one(cx.cast(sum, DType::U8)?)
}

/// Shapes that do not broadcast are an error, or a scalar answer where the attribute says so.
fn equality(cx: &mut Import, f: CompareFn) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    if !cx.node.attr_bool("incompatible_shape_error")? {
        let shapes = [cx.shape(x), cx.shape(y)];
        if let Err(Stop::Fault(_)) = cx.common_shape(&shapes) {
            return one(cx.scalar(DType::Bool, (f == CompareFn::Ne) as u8 as f64)?);
        }
    }
    order(cx, f)
}

/// `|x - y| <= tolerance`, of operands of one shape.
fn approximately(cx: &mut Import) -> Outputs {
    let (x, y) = (cx.arg(0)?, cx.arg(1)?);
    same_shape(cx, x, y)?;
    let dtype = cx.dtype(x);
    let tolerance = cx.node.attr_float("tolerance")? as f64;
    // Unsigned differences wrap: the greater less the lesser does not.
    let (high, low) = (cx.binary(BinaryFn::Max, x, y)?, cx.binary(BinaryFn::Min, x, y)?);
    let distance = if dtype.is_unsigned_int() {
        cx.sub(high, low)?
    } else {
        let difference = cx.sub(x, y)?;
        cx.unary(UnaryFn::Abs, difference)?
    };
    let tolerance = cx.scalar(dtype, tolerance)?;
    one(cx.compare(CompareFn::Le, distance, tolerance)?)
}

/// The first version: a vector of conditions picks whole rows; otherwise all shapes are one.
fn select_rows(cx: &mut Import) -> Outputs {
    let (mut cond, x, y) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    same_shape(cx, x, y)?;
    let (rank, conditions) = (cx.rank(x), cx.shape(cond));
    if conditions.len() == 1 && rank > 1 {
        let mut shape = vec![Dim::one(); rank];
        shape[0] = conditions[0].clone();
        cx.require_equal(&conditions[0], &cx.shape(x)[0], "the number of conditions and of rows")?;
        cond = cx.reshape(cond, &shape)?;
    } else if !conditions.is_empty() {
        same_shape(cx, cond, x)?;
    }
    one(cx.select(cond, x, y)?)
}

fn select(cx: &mut Import) -> Outputs {
    let (cond, x, y) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    one(cx.select(cond, x, y)?)
}
