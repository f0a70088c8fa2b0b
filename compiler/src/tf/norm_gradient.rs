//! Gradients of normalisations over channels. The half types are computed in f32 and rounded once.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    gradient::unless_nothing,
    math::inverse_root,
    norm::{channels, neighbours},
};
use crate::{base::Dim, graph::NodeId, loops::BinaryFn, op::Reduce, tensor::DType};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "FusedBatchNormGrad", import: batch_norm },
    TfOp { name: "FusedBatchNormGradV2", import: batch_norm },
    TfOp { name: "FusedBatchNormGradV3", import: batch_norm },
    TfOp { name: "LRNGrad", import: lrn },
];

/// Both have one shape.
fn require_alike(cx: &mut Import, x: NodeId, y: NodeId) -> Result<()> {
    if cx.rank(x) != cx.rank(y) {
        return Err(format!("a gradient of rank {} does not fit values of rank {}", cx.rank(x), cx.rank(y)).into());
    }
    for (a, b) in cx.shape(x).iter().zip(&cx.shape(y)) {
        cx.require_equal(a, b, "the extents of a gradient and of what it belongs to")?;
    }
    Ok(())
}

/// Operands: the gradient g of the result, the operand x, the scale, and the mean and variance v that normalised, which
/// are f32 for all types of x. With `c = x - mean` and `r = 1 / sqrt(v + epsilon)`, sums and means being those of a channel:
/// the scale's gradient is `r sum(g c)`, the offset's `sum(g)`, and that of x `scale r g`; in training, where x decides mean
/// and variance, `scale r (g - mean(g) - c r^2 mean(g c))`. TensorFlow leaves the last two outputs, which nobody reads,
/// with an element or without, by kernel; here they are empty, as its shapes say.
fn batch_norm(cx: &mut Import) -> Outputs {
    let [g, x, scale, mean, variance] = [cx.arg(0)?, cx.arg(1)?, cx.arg(2)?, cx.arg(3)?, cx.arg(4)?];
    require_alike(cx, g, x)?;
    let (dtype, rank) = (cx.dtype(x), cx.rank(x));
    let axis = channels(cx.node.attr_str("data_format")?, rank)?;
    let depth = cx.shape(x)[axis].clone();
    for part in [scale, mean, variance] {
        match &cx.shape(part)[..] {
            [n] => cx.require_equal(&depth, n, "the channels and their statistics")?,
            shape => return Err(format!("expected a vector of statistics, got rank {}", shape.len()).into()),
        }
    }
    let others: Vec<usize> = (0..rank).filter(|&a| a != axis).collect();
    let mut along = vec![Dim::one(); rank];
    along[axis] = depth.clone();
    let [g, x] = [cx.cast(g, DType::F32)?, cx.cast(x, DType::F32)?];
    let [scale, mean, variance] =
        [cx.reshape(scale, &along)?, cx.reshape(mean, &along)?, cx.reshape(variance, &along)?];
    let epsilon = cx.node.attr_float("epsilon")? as f64;
    let epsilon = cx.scalar_like(variance, epsilon)?;
    let spread = cx.add_(variance, epsilon)?;
    let inverse = inverse_root(cx, spread)?;
    let centred = cx.sub(x, mean)?;
    let products = cx.mul(g, centred)?;
    let sum = |cx: &mut Import, x: NodeId| cx.add(Reduce { f: BinaryFn::Add, axes: others.clone() }, &[x]);
    let (of_offset, of_products) = (sum(cx, g)?, sum(cx, products)?);
    let of_scale = cx.mul(of_products, inverse)?;
    let factor = cx.mul(scale, inverse)?;
    let mut slope = g;
    if cx.node.attr_bool("is_training")? {
        let count = others.iter().fold(Dim::one(), |n, &a| n * &cx.shape(x)[a]);
        let count = cx.dim_scalar(&count, DType::F32)?;
        let (mean, of_spread) = (cx.div(of_offset, count)?, cx.div(of_products, count)?);
        let square = cx.mul(inverse, inverse)?;
        let of_spread = cx.mul(of_spread, square)?;
        let less = cx.mul(centred, of_spread)?;
        slope = cx.sub(g, mean)?;
        slope = cx.sub(slope, less)?;
    }
    let of_x = cx.mul(slope, factor)?;
    let of_x = cx.cast(of_x, dtype)?;
    let [of_scale, of_offset] = [cx.drop_axes(of_scale, &others)?, cx.drop_axes(of_offset, &others)?];
    let zero = cx.scalar(DType::F32, 0.0)?;
    let empty = cx.broadcast_to(zero, &[Dim::zero()])?;
    Ok(vec![of_x.into(), of_scale.into(), of_offset.into(), empty.into(), empty.into()])
}

/// Operands: the gradient g of the result, the operand x, the result y. With `n = bias + alpha * (the sum of squares of the
/// neighbours)` the gradient is `g n^-beta - 2 alpha beta x (the sum of g y / n over the neighbours)`; where g is 0
/// nothing is computed.
fn lrn(cx: &mut Import) -> Outputs {
    let (g, x, y) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    let rank = cx.rank(x);
    if rank != 4 {
        return Err(format!("expected rank 4, got {rank}").into());
    }
    require_alike(cx, g, x)?;
    require_alike(cx, y, x)?;
    let window = neighbours(cx, rank)?;
    let (bias, alpha) = (cx.node.attr_float("bias")? as f64, cx.node.attr_float("alpha")? as f64);
    let beta = cx.node.attr_float("beta")? as f64;
    let dtype = cx.dtype(x);
    let [g, x, y] = [cx.cast(g, DType::F32)?, cx.cast(x, DType::F32)?, cx.cast(y, DType::F32)?];
    let squares = cx.mul(x, x)?;
    let sum = cx.add(window.clone(), &[squares])?;
    let [bias, per_square] = [cx.scalar_like(x, bias)?, cx.scalar_like(x, alpha)?];
    let scaled = cx.mul(sum, per_square)?;
    let base = cx.add_(scaled, bias)?;
    let [exponent, factor] = [cx.scalar_like(x, -beta)?, cx.scalar_like(x, -2.0 * alpha * beta)?];
    let power = cx.binary(BinaryFn::Pow, base, exponent)?;
    let own = cx.mul(g, power)?;
    let own = unless_nothing(cx, g, own)?;
    let parts = cx.mul(g, y)?;
    let parts = cx.div(parts, base)?;
    let parts = unless_nothing(cx, g, parts)?;
    let parts = cx.add(window, &[parts])?;
    let others = cx.mul(x, parts)?;
    let others = cx.mul(others, factor)?;
    let sum = cx.add_(own, others)?;
    one(cx.cast(sum, dtype)?)
}
