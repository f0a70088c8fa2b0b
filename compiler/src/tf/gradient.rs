//! What TensorFlow's differentiation writes for activations and roots: from the gradient of a result and the operand, or
//! the result, the gradient of the operand. The half types are computed in f32 and rounded once.

use super::{
    Import, Outputs, Stop, TfOp,
    build::{one, widened},
    nn::{SELU_SCALE, SELU_SCALED_ALPHA},
};
use crate::{
    graph::NodeId,
    loops::{CompareFn, UnaryFn},
};

type Result<T> = std::result::Result<T, Stop>;
/// The gradient of the operand by that of the result, and by the other operand of the row.
type Rule = fn(&mut Import, NodeId, NodeId) -> Result<NodeId>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "TanhGrad", import: |cx| by_result(cx, tanh) },
    TfOp { name: "SigmoidGrad", import: |cx| by_result(cx, sigmoid) },
    TfOp { name: "SqrtGrad", import: |cx| by_result(cx, sqrt) },
    TfOp { name: "RsqrtGrad", import: |cx| by_result(cx, rsqrt) },
    TfOp { name: "InvGrad", import: |cx| by_result(cx, reciprocal) },
    TfOp { name: "ReciprocalGrad", import: |cx| by_result(cx, reciprocal) },
    TfOp { name: "ReluGrad", import: |cx| by_operand(cx, relu) },
    TfOp { name: "Relu6Grad", import: |cx| by_operand(cx, relu6) },
    TfOp { name: "LeakyReluGrad", import: |cx| by_operand(cx, leaky_relu) },
    TfOp { name: "EluGrad", import: |cx| by_operand(cx, elu) },
    TfOp { name: "SeluGrad", import: |cx| by_operand(cx, selu) },
    TfOp { name: "SoftplusGrad", import: |cx| by_operand(cx, softplus) },
    TfOp { name: "SoftsignGrad", import: |cx| by_operand(cx, softsign) },
];

/// Operands are the result and its gradient.
fn by_result(cx: &mut Import, rule: Rule) -> Outputs {
    gradient(cx, 1, 0, rule)
}

/// Operands are the gradient of the result, and the operand, or the result.
fn by_operand(cx: &mut Import, rule: Rule) -> Outputs {
    gradient(cx, 0, 1, rule)
}

fn gradient(cx: &mut Import, of_result: usize, other: usize, rule: Rule) -> Outputs {
    let (g, x) = (cx.arg(of_result)?, cx.arg(other)?);
    if cx.rank(g) != cx.rank(x) {
        return Err(format!("a gradient of rank {} does not fit values of rank {}", cx.rank(g), cx.rank(x)).into());
    }
    for (a, b) in cx.shape(g).iter().zip(&cx.shape(x)) {
        cx.require_equal(a, b, "the extents of a gradient and of what it belongs to")?;
    }
    let dtype = cx.dtype(g);
    let [g, x] = [cx.cast(g, widened(dtype))?, cx.cast(x, widened(dtype))?];
    let y = rule(cx, g, x)?;
    one(cx.cast(y, dtype)?)
}

/// `g * (1 - y^2)`.
fn tanh(cx: &mut Import, g: NodeId, y: NodeId) -> Result<NodeId> {
    let (unit, square) = (cx.scalar_like(y, 1.0)?, cx.mul(y, y)?);
    let slope = cx.sub(unit, square)?;
    cx.mul(g, slope)
}

/// `g * y * (1 - y)`.
fn sigmoid(cx: &mut Import, g: NodeId, y: NodeId) -> Result<NodeId> {
    let unit = cx.scalar_like(y, 1.0)?;
    let (part, rest) = (cx.mul(g, y)?, cx.sub(unit, y)?);
    cx.mul(part, rest)
}

/// `x`, but 0 where the gradient of the result is: there the slope may be infinite.
pub(super) fn unless_nothing(cx: &mut Import, g: NodeId, x: NodeId) -> Result<NodeId> {
    let zero = cx.scalar_like(g, 0.0)?;
    let nothing = cx.compare(CompareFn::Eq, g, zero)?;
    cx.select(nothing, zero, x)
}

/// `g / (2 y)`.
fn sqrt(cx: &mut Import, g: NodeId, y: NodeId) -> Result<NodeId> {
    let half = cx.scalar_like(g, 0.5)?;
    let half = cx.mul(half, g)?;
    let slope = cx.div(half, y)?;
    unless_nothing(cx, g, slope)
}

/// `-g * y^3 / 2`.
fn rsqrt(cx: &mut Import, g: NodeId, y: NodeId) -> Result<NodeId> {
    let half = cx.scalar_like(g, -0.5)?;
    let half = cx.mul(half, g)?;
    let square = cx.mul(y, y)?;
    let cube = cx.mul(square, y)?;
    let slope = cx.mul(half, cube)?;
    unless_nothing(cx, g, slope)
}

/// `-g * y^2`.
fn reciprocal(cx: &mut Import, g: NodeId, y: NodeId) -> Result<NodeId> {
    let negated = cx.unary(UnaryFn::Neg, y)?;
    let part = cx.mul(negated, y)?;
    let slope = cx.mul(part, g)?;
    unless_nothing(cx, g, slope)
}

/// Nothing passes at 0, nor where x is NaN.
fn relu(cx: &mut Import, g: NodeId, x: NodeId) -> Result<NodeId> {
    let zero = cx.scalar_like(x, 0.0)?;
    let passes = cx.compare(CompareFn::Gt, x, zero)?;
    let passes = cx.cast(passes, cx.dtype(g))?;
    cx.mul(g, passes)
}

fn relu6(cx: &mut Import, g: NodeId, x: NodeId) -> Result<NodeId> {
    let (zero, six) = (cx.scalar_like(x, 0.0)?, cx.scalar_like(x, 6.0)?);
    let (above, below) = (cx.compare(CompareFn::Gt, x, zero)?, cx.compare(CompareFn::Lt, x, six)?);
    let passes = cx.and(above, below)?;
    let passes = cx.cast(passes, cx.dtype(g))?;
    cx.mul(g, passes)
}

fn leaky_relu(cx: &mut Import, g: NodeId, x: NodeId) -> Result<NodeId> {
    let alpha = cx.node.attr_float("alpha")? as f64;
    let (zero, alpha) = (cx.scalar_like(x, 0.0)?, cx.scalar_like(g, alpha)?);
    let passes = cx.compare(CompareFn::Gt, x, zero)?;
    let scaled = cx.mul(g, alpha)?;
    cx.select(passes, g, scaled)
}

/// `g * (y + offset)` where the result y is below 0, `g * slope` elsewhere.
fn below_zero(cx: &mut Import, g: NodeId, y: NodeId, offset: f64, slope: f64) -> Result<NodeId> {
    let (zero, offset) = (cx.scalar_like(y, 0.0)?, cx.scalar_like(y, offset)?);
    let sum = cx.add_(y, offset)?;
    let low = cx.mul(g, sum)?;
    let mut high = g;
    if slope != 1.0 {
        let slope = cx.scalar_like(g, slope)?;
        high = cx.mul(g, slope)?;
    }
    let negative = cx.compare(CompareFn::Lt, y, zero)?;
    cx.select(negative, low, high)
}

fn elu(cx: &mut Import, g: NodeId, y: NodeId) -> Result<NodeId> {
    below_zero(cx, g, y, 1.0, 1.0)
}

fn selu(cx: &mut Import, g: NodeId, y: NodeId) -> Result<NodeId> {
    below_zero(cx, g, y, SELU_SCALED_ALPHA, SELU_SCALE)
}

/// `g / (1 + exp(-x))`.
fn softplus(cx: &mut Import, g: NodeId, x: NodeId) -> Result<NodeId> {
    let (unit, negated) = (cx.scalar_like(x, 1.0)?, cx.unary(UnaryFn::Neg, x)?);
    let exp = cx.unary(UnaryFn::Exp, negated)?;
    let sum = cx.add_(exp, unit)?;
    cx.div(g, sum)
}

/// `g / (1 + |x|)^2`.
fn softsign(cx: &mut Import, g: NodeId, x: NodeId) -> Result<NodeId> {
    let (unit, magnitude) = (cx.scalar_like(x, 1.0)?, cx.unary(UnaryFn::Abs, x)?);
    let sum = cx.add_(unit, magnitude)?;
    let square = cx.mul(sum, sum)?;
    cx.div(g, square)
}
