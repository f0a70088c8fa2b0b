//! Activations, softmax and bias. Compositions of the half types are computed in f32 and rounded once.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::Reduce,
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Relu", import: relu },
    TfOp { name: "Relu6", import: relu6 },
    TfOp { name: "LeakyRelu", import: leaky_relu },
    TfOp { name: "Elu", import: |cx| single(cx, |cx, x| exponential_below_zero(cx, x, 1.0, 1.0)) },
    TfOp {
        name: "Selu",
        import: |cx| single(cx, |cx, x| exponential_below_zero(cx, x, SELU_SCALE, SELU_SCALED_ALPHA)),
    },
    TfOp { name: "Sigmoid", import: |cx| single(cx, sigmoid) },
    TfOp { name: "Softplus", import: softplus },
    TfOp { name: "Softsign", import: |cx| single(cx, softsign) },
    TfOp { name: "Softmax", import: |cx| single(cx, softmax) },
    TfOp { name: "LogSoftmax", import: |cx| single(cx, log_softmax) },
    TfOp { name: "BiasAdd", import: bias_add },
    TfOp { name: "BiasAddV1", import: bias_add },
    TfOp { name: "BiasAddGrad", import: bias_add_grad },
    TfOp { name: "L2Loss", import: l2_loss },
];

/// The constants of the paper on self-normalising networks, as TensorFlow has them.
pub(super) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
pub(super) const SELU_SCALED_ALPHA: f64 = 1.758_099_340_847_376_9;

fn single(cx: &mut Import, f: fn(&mut Import, NodeId) -> Result<NodeId>) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.in_single(x, |cx, x| f(cx, x))?)
}

/// NaN and -0.0 stay. Of equals the first one has the gradient, which TensorFlow gives to none at the borders of its
/// rectifiers: there the border comes first.
fn relu(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let zero = cx.scalar_like(x, 0.0)?;
    one(limited(cx, BinaryFn::Max, x, zero)?)
}

fn limited(cx: &mut Import, f: BinaryFn, x: NodeId, border: NodeId) -> Result<NodeId> {
    if cx.differentiable { cx.binary(f, border, x) } else { cx.binary(f, x, border) }
}

fn relu6(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let (zero, six) = (cx.scalar_like(x, 0.0)?, cx.scalar_like(x, 6.0)?);
    let positive = limited(cx, BinaryFn::Max, x, zero)?;
    one(limited(cx, BinaryFn::Min, positive, six)?)
}

/// The slope below zero may be any number.
fn leaky_relu(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let alpha = cx.node.attr_float("alpha")? as f64;
    let (zero, alpha) = (cx.scalar_like(x, 0.0)?, cx.scalar_like(x, alpha)?);
    let positive = cx.compare(CompareFn::Gt, x, zero)?;
    let scaled = cx.mul(x, alpha)?;
    one(cx.select(positive, x, scaled)?)
}

/// `above * x` from 0 on, `below * (exp(x) - 1)` under it, with the cancellation near 0 that TensorFlow has.
fn exponential_below_zero(cx: &mut Import, x: NodeId, above: f64, below: f64) -> Result<NodeId> {
    let (zero, unit) = (cx.scalar_like(x, 0.0)?, cx.scalar_like(x, 1.0)?);
    // An infinite exponential that is not chosen would make the gradient NaN.
    let bounded = if cx.differentiable { cx.binary(BinaryFn::Min, x, zero)? } else { x };
    let exp = cx.unary(UnaryFn::Exp, bounded)?;
    let mut low = cx.sub(exp, unit)?;
    let mut high = x;
    if above != 1.0 {
        let (above, below) = (cx.scalar_like(x, above)?, cx.scalar_like(x, below)?);
        low = cx.mul(below, low)?;
        high = cx.mul(above, high)?;
    }
    let negative = cx.compare(CompareFn::Lt, x, zero)?;
    cx.select(negative, low, high)
}

/// Where the exponential is infinite, and the result 0, its slope times nothing would make the gradient NaN.
pub(super) fn sigmoid(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    if !cx.differentiable {
        return logistic(cx, x);
    }
    let border = if cx.dtype(x) == DType::F64 { -709.782 } else { -88.7228 };
    let (border, zero) = (cx.scalar_like(x, border)?, cx.scalar_like(x, 0.0)?);
    let far = cx.compare(CompareFn::Lt, x, border)?;
    let near = cx.select(far, zero, x)?;
    let near = logistic(cx, near)?;
    cx.select(far, zero, near)
}

fn logistic(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let unit = cx.scalar_like(x, 1.0)?;
    let negated = cx.unary(UnaryFn::Neg, x)?;
    let exp = cx.unary(UnaryFn::Exp, negated)?;
    let sum = cx.add_(unit, exp)?;
    cx.div(unit, sum)
}

/// In three pieces: far to the right it is x, far to the left exp(x). The borders depend on the operand's own type.
fn softplus(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let epsilon: f64 = match cx.dtype(x) {
        DType::F16 => 0.000_976_562_5,
        DType::BF16 => 0.007_812_5,
        DType::F32 => f32::EPSILON as f64,
        _ => f64::EPSILON,
    };
    let border = epsilon.ln() + 2.0;
    one(cx.in_single(x, |cx, x| {
        let (low, high) = (cx.scalar_like(x, border)?, cx.scalar_like(x, -border)?);
        // As above. All that is chosen is below the bound.
        let bounded = if cx.differentiable {
            let bound = cx.scalar_like(x, -2.0 * border)?;
            cx.binary(BinaryFn::Min, x, bound)?
        } else {
            x
        };
        let exp = cx.unary(UnaryFn::Exp, bounded)?;
        let middle = cx.unary(UnaryFn::Log1p, exp)?;
        let small = cx.compare(CompareFn::Lt, x, low)?;
        let large = cx.compare(CompareFn::Gt, x, high)?;
        let left = cx.select(small, exp, middle)?;
        cx.select(large, x, left)
    })?)
}

fn softsign(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let unit = cx.scalar_like(x, 1.0)?;
    let magnitude = cx.unary(UnaryFn::Abs, x)?;
    let sum = cx.add_(magnitude, unit)?;
    cx.div(x, sum)
}

fn last_axis(cx: &Import, x: NodeId) -> Result<usize> {
    cx.rank(x).checked_sub(1).ok_or_else(|| "a scalar has no last axis".into())
}

/// The operand less its maximum along the last axis, which makes the exponential at most 1.
pub(super) fn less_maximum(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let axis = last_axis(cx, x)?;
    let max = cx.add(Reduce { f: BinaryFn::Max, axes: vec![axis] }, &[x])?;
    // The results do not depend on it.
    let max = cx.held(max)?;
    cx.sub(x, max)
}

/// Along the last axis.
pub(super) fn softmax(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let axis = last_axis(cx, x)?;
    let shifted = less_maximum(cx, x)?;
    let exp = cx.unary(UnaryFn::Exp, shifted)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![axis] }, &[exp])?;
    // As TensorFlow does: one division for each row.
    let one = cx.scalar_like(sum, 1.0)?;
    let inverse = cx.div(one, sum)?;
    cx.mul(exp, inverse)
}

/// Along the last axis.
pub(super) fn log_softmax(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let axis = last_axis(cx, x)?;
    let shifted = less_maximum(cx, x)?;
    let exp = cx.unary(UnaryFn::Exp, shifted)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![axis] }, &[exp])?;
    let log = cx.unary(UnaryFn::Log, sum)?;
    cx.sub(shifted, log)
}

/// Channels first means axis 1 whatever the rank; otherwise they are last.
fn bias_add(cx: &mut Import) -> Outputs {
    let (x, bias) = (cx.arg(0)?, cx.arg(1)?);
    let rank = cx.rank(x);
    if rank < 2 || cx.rank(bias) != 1 {
        return Err(format!("cannot add a bias of rank {} to a tensor of rank {rank}", cx.rank(bias)).into());
    }
    let channels = channels(cx, rank)?;
    let shape = cx.shape(x);
    let extent = cx.shape(bias)[0].clone();
    cx.require_equal(&shape[channels], &extent, "the channels and the bias")?;
    let mut wide = vec![Dim::one(); rank];
    wide[channels] = extent;
    let bias = cx.reshape(bias, &wide)?;
    one(cx.add_(x, bias)?)
}

/// The axis of the channels.
fn channels(cx: &Import, rank: usize) -> Result<usize> {
    match if cx.node.op == "BiasAddV1" { "NHWC" } else { cx.node.attr_str("data_format")? } {
        "NHWC" => Ok(rank - 1),
        "NCHW" => Ok(1),
        other => Err(format!("data format {other} is not supported").into()),
    }
}

/// The sum over all axes but that of the channels.
fn bias_add_grad(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let rank = cx.rank(x);
    if rank < 2 {
        return Err(format!("a bias has no gradient by a tensor of rank {rank}").into());
    }
    let channels = channels(cx, rank)?;
    let axes: Vec<usize> = (0..rank).filter(|&axis| axis != channels).collect();
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: axes.clone() }, &[x])?;
    one(cx.drop_axes(sum, &axes)?)
}

/// Half the sum of squares.
fn l2_loss(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.in_single(x, |cx, x| {
        let squares = cx.mul(x, x)?;
        let sum = cx.add(Reduce { f: BinaryFn::Add, axes: (0..cx.rank(x)).collect() }, &[squares])?;
        let half = cx.scalar_like(x, 0.5)?;
        let loss = cx.mul(sum, half)?;
        cx.reshape(loss, &[])
    })?)
}
