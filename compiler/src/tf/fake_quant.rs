//! Numbers rounded as if they were quantised, and what TensorFlow's differentiation writes for that.
//!
//! The range is moved so that 0 is one of its steps. Gradients pass as if nothing were rounded: to the operand within the
//! moved range, to its end beyond. All is f32, in TensorFlow's order of operations: an ulp decides which step is near.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::Reduce,
    tensor::{DType, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "FakeQuantWithMinMaxArgs", import: by_attributes },
    TfOp { name: "FakeQuantWithMinMaxArgsGradient", import: gradient_by_attributes },
    TfOp { name: "FakeQuantWithMinMaxVars", import: by_operands },
    TfOp { name: "FakeQuantWithMinMaxVarsGradient", import: gradient_by_operands },
    TfOp { name: "FakeQuantWithMinMaxVarsPerChannel", import: by_operands },
    TfOp { name: "FakeQuantWithMinMaxVarsPerChannelGradient", import: gradient_by_operands },
];

/// A range of numbers and how it is moved: each a scalar, or one number for each channel.
struct Range {
    /// As it is given.
    min: NodeId,
    max: NodeId,
    /// The moved one.
    low: NodeId,
    high: NodeId,
    /// The distance of two steps, and its inverse.
    scale: NodeId,
    inverse: NodeId,
    /// Whether both ends are 0, which a range of attributes never is: then it has no steps.
    empty: Option<NodeId>,
}

fn range(cx: &mut Import, min: NodeId, max: NodeId) -> Result<Range> {
    let bits = cx.node.attr_int("num_bits")?;
    if !(2..=16).contains(&bits) {
        return Err(format!("a quantisation to {bits} bits is not supported; TensorFlow has 2 to 16").into());
    }
    let first = f64::from(u8::from(cx.node.attr_bool("narrow_range")?));
    let last = ((1 << bits) - 1) as f64;
    let (first, last) = (cx.scalar(DType::F32, first)?, cx.scalar(DType::F32, last)?);
    let (width, steps) = (cx.sub(max, min)?, cx.sub(last, first)?);
    let (scale, inverse) = (cx.div(width, steps)?, cx.div(steps, width)?);
    let part = cx.div(min, scale)?;
    let zero = cx.sub(first, part)?;
    // The nearest step, halves away from 0, without the rounding of an addition.
    let floor = cx.unary(UnaryFn::Floor, zero)?;
    let fraction = cx.sub(zero, floor)?;
    let half = cx.scalar(DType::F32, 0.5)?;
    let up = cx.compare(CompareFn::Ge, fraction, half)?;
    let up = cx.cast(up, DType::F32)?;
    let near = cx.add_(floor, up)?;
    let (below, above) = (cx.compare(CompareFn::Lt, zero, first)?, cx.compare(CompareFn::Gt, zero, last)?);
    let near = cx.select(above, last, near)?;
    let near = cx.select(below, first, near)?;
    let (down, up) = (cx.sub(first, near)?, cx.sub(last, near)?);
    Ok(Range { min, max, low: cx.mul(down, scale)?, high: cx.mul(up, scale)?, scale, inverse, empty: None })
}

/// The range of attributes.
fn of_attributes(cx: &mut Import) -> Result<Range> {
    let (min, max) = (cx.node.attr_float("min")?, cx.node.attr_float("max")?);
    if min.partial_cmp(&max) != Some(std::cmp::Ordering::Less) {
        return Err(format!("the least number {min} is not less than the greatest one, {max}").into());
    }
    let [min, max] = [min, max].map(|end| cx.constant(Tensor::scalar(DType::F32, Scalar::F32(end))));
    range(cx, min?, max?)
}

/// The range that operand `first` and the next one give, for all of `x` or for each of its channels.
fn of_operands(cx: &mut Import, x: NodeId, first: usize) -> Result<Range> {
    let ends = [cx.arg(first)?, cx.arg(first + 1)?];
    for end in ends {
        match (cx.node.op.contains("PerChannel"), &cx.shape(end)[..], cx.shape(x).last()) {
            (true, [n], Some(channels)) => {
                cx.require_equal(n, channels, "the channels and the ends of their ranges")?
            }
            (false, [], _) => {}
            (each, shape, _) => {
                let what = if each { "a vector" } else { "a scalar" };
                return Err(format!("an end of a range has rank {}, and is not {what}", shape.len()).into());
            }
        }
    }
    let [min, max] = ends;
    let range = range(cx, min, max)?;
    let zero = cx.scalar(DType::F32, 0.0)?;
    let (none_below, none_above) = (cx.compare(CompareFn::Eq, min, zero)?, cx.compare(CompareFn::Eq, max, zero)?);
    Ok(Range { empty: Some(cx.and(none_below, none_above)?), ..range })
}

fn by_attributes(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let range = of_attributes(cx)?;
    one(quantised(cx, x, &range)?)
}

fn by_operands(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let range = of_operands(cx, x, 1)?;
    one(quantised(cx, x, &range)?)
}

/// The step of the range that is nearest; 0 where there is none.
fn quantised(cx: &mut Import, x: NodeId, range: &Range) -> Result<NodeId> {
    let half = cx.scalar(DType::F32, 0.5)?;
    let negated = cx.unary(UnaryFn::Neg, range.low)?;
    let zero = cx.mul(negated, range.inverse)?;
    let zero = cx.add_(zero, half)?;
    let zero = cx.unary(UnaryFn::Floor, zero)?;
    let clamped = cx.binary(BinaryFn::Min, x, range.high)?;
    let clamped = cx.binary(BinaryFn::Max, clamped, range.low)?;
    let shifted = cx.sub(clamped, range.low)?;
    // One kernel divides.
    let step = match cx.node.op == "FakeQuantWithMinMaxVars" {
        true => cx.div(shifted, range.scale)?,
        false => cx.mul(shifted, range.inverse)?,
    };
    let step = cx.sub(step, zero)?;
    let step = cx.add_(step, half)?;
    let step = cx.unary(UnaryFn::Floor, step)?;
    let mut y = cx.mul(step, range.scale)?;
    if let Some(empty) = range.empty {
        let nothing = cx.scalar(DType::F32, 0.0)?;
        y = cx.select(empty, nothing, y)?;
    }
    if !cx.differentiable {
        return Ok(y);
    }
    // What is added is nothing, and has the gradient.
    let [_, below, above] = places(cx, x, range)?;
    let through = cx.select(below, range.min, x)?;
    let through = cx.select(above, range.max, through)?;
    let (y, same) = (cx.held(y)?, cx.held(through)?);
    let nothing = cx.sub(through, same)?;
    cx.add_(y, nothing)
}

/// Whether numbers lie within the range, below it and above it: none of these is true of NaN.
fn places(cx: &mut Import, x: NodeId, range: &Range) -> Result<[NodeId; 3]> {
    let (low, high) = (cx.compare(CompareFn::Ge, x, range.low)?, cx.compare(CompareFn::Le, x, range.high)?);
    let (below, above) = (cx.compare(CompareFn::Lt, x, range.low)?, cx.compare(CompareFn::Gt, x, range.high)?);
    Ok([cx.and(low, high)?, below, above])
}

/// Operands 0 and 1, a gradient and numbers of one shape.
fn alike(cx: &mut Import) -> Result<(NodeId, NodeId)> {
    let (g, x) = (cx.arg(0)?, cx.arg(1)?);
    if cx.rank(g) != cx.rank(x) {
        return Err(format!("a gradient of rank {} does not fit numbers of rank {}", cx.rank(g), cx.rank(x)).into());
    }
    for (a, b) in cx.shape(g).iter().zip(&cx.shape(x)) {
        cx.require_equal(a, b, "the extents of a gradient and of what it belongs to")?;
    }
    Ok((g, x))
}

/// `g` where something holds.
fn where_it_holds(cx: &mut Import, g: NodeId, holds: NodeId) -> Result<NodeId> {
    let factor = cx.cast(holds, DType::F32)?;
    cx.mul(g, factor)
}

fn gradient_by_attributes(cx: &mut Import) -> Outputs {
    let (g, x) = alike(cx)?;
    let range = of_attributes(cx)?;
    let [within, ..] = places(cx, x, &range)?;
    one(where_it_holds(cx, g, within)?)
}

/// Gradients of the numbers and of both ends of the range. A range without steps lets everything through to the numbers.
fn gradient_by_operands(cx: &mut Import) -> Outputs {
    let (g, x) = alike(cx)?;
    let range = of_operands(cx, x, 2)?;
    let parts = places(cx, x, &range)?;
    let zero = cx.scalar(DType::F32, 0.0)?;
    let mut axes: Vec<usize> = (0..cx.rank(x)).collect();
    if cx.rank(range.min) == 1 {
        axes.pop();
    }
    let mut results = vec![];
    for (n, part) in parts.into_iter().enumerate() {
        let mut d = where_it_holds(cx, g, part)?;
        if let Some(empty) = range.empty {
            d = cx.select(empty, if n == 0 { g } else { zero }, d)?;
        }
        if n > 0 && !axes.is_empty() {
            d = cx.add(Reduce { f: BinaryFn::Add, axes: axes.clone() }, &[d])?;
            d = cx.drop_axes(d, &axes)?;
        }
        results.push(d.into());
    }
    Ok(results)
}
