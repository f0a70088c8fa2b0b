//! Normalisations over channels.

use super::{
    Import, Outputs, Stop, TfOp,
    build::{one, widened},
    math::inverse_root,
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, UnaryFn},
    op::{Reduce, Window},
    tensor::DType,
};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "FusedBatchNorm", import: batch_norm },
    TfOp { name: "FusedBatchNormV2", import: batch_norm },
    TfOp { name: "FusedBatchNormV3", import: batch_norm },
    TfOp { name: "BatchNormWithGlobalNormalization", import: batch_norm_global },
    TfOp { name: "LRN", import: lrn },
];

/// The axis of the channels.
pub(super) fn channels(format: &str, rank: usize) -> Result<usize, Stop> {
    match (format, rank) {
        ("NHWC" | "NDHWC" | "NWC", r) if r > 1 => Ok(rank - 1),
        ("NCHW" | "NCDHW" | "NCW", r) if r > 1 => Ok(1),
        _ => Err(format!("data format {format} is not supported for rank {rank}").into()),
    }
}

/// Statistics are f32 also where the operand is a half type. In training the batch's own statistics are used; the
/// variance that is given out is the unbiased one.
fn batch_norm(cx: &mut Import) -> Outputs {
    let [x, scale, offset, mean, variance] = [cx.arg(0)?, cx.arg(1)?, cx.arg(2)?, cx.arg(3)?, cx.arg(4)?];
    let (dtype, rank) = (cx.dtype(x), cx.rank(x));
    let axis = channels(cx.node.attr_str("data_format")?, rank)?;
    let epsilon = cx.node.attr_float("epsilon")? as f64;
    let training = cx.node.attr_bool("is_training")?;
    let depth = cx.shape(x)[axis].clone();
    for part in [scale, offset].into_iter().chain([mean, variance].into_iter().filter(|_| !training)) {
        match &cx.shape(part)[..] {
            [n] => cx.require_equal(&depth, n, "the channels and their statistics")?,
            shape => return Err(format!("expected a vector of statistics, got rank {}", shape.len()).into()),
        }
    }
    let wide = cx.cast(x, widened(dtype))?;
    let mut along = vec![Dim::one(); rank];
    along[axis] = depth.clone();
    let (normalising, given) = if training {
        if cx.node.op == "FusedBatchNormV3" && cx.node.attr_float("exponential_avg_factor")? != 1.0
            || cx.node.op == "FusedBatchNormV2" && cx.node.attr_float("exponential_avg_factor")? != 1.0
        {
            return Err("batch normalisation that blends running statistics is not supported yet".into());
        }
        batch_statistics(cx, wide, axis, &depth)?
    } else {
        ([mean, variance], [mean, variance])
    };
    let [mean, variance, scale, offset] = {
        let mut parts = [normalising[0], normalising[1], scale, offset];
        for part in &mut parts {
            *part = cx.reshape(*part, &along)?;
        }
        parts
    };
    let epsilon = cx.scalar_like(variance, epsilon)?;
    let spread = cx.add_(variance, epsilon)?;
    let inverse = inverse_root(cx, spread)?;
    let factor = cx.mul(inverse, scale)?;
    let centred = cx.sub(wide, mean)?;
    let scaled = cx.mul(centred, factor)?;
    let y = cx.add_(scaled, offset)?;
    let y = cx.cast(y, dtype)?;
    let reserve = cx.scalar(DType::F32, 0.0)?;
    let reserve = cx.reshape(reserve, &[Dim::one()])?;
    let mut outputs = vec![y.into(), given[0].into(), given[1].into(), normalising[0].into(), normalising[1].into()];
    if cx.node.op == "FusedBatchNormV3" {
        outputs.push(reserve.into());
    }
    Ok(outputs)
}

/// Mean and variance of each channel: those that normalise, and those that are given out.
fn batch_statistics(cx: &mut Import, x: NodeId, axis: usize, depth: &Dim) -> Result<([NodeId; 2], [NodeId; 2]), Stop> {
    let axes: Vec<usize> = (0..cx.rank(x)).filter(|&a| a != axis).collect();
    let count = axes.iter().fold(Dim::one(), |n, &a| n * &cx.shape(x)[a]);
    let dtype = cx.dtype(x);
    let n = cx.dim_scalar(&count, dtype)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: axes.clone() }, &[x])?;
    let mean = cx.div(sum, n)?;
    let centred = cx.sub(x, mean)?;
    let squares = cx.mul(centred, centred)?;
    let squares = cx.add(Reduce { f: BinaryFn::Add, axes }, &[squares])?;
    let biased = cx.div(squares, n)?;
    let others = cx.dim_scalar(&(count - 1).at_least(&Dim::one()), dtype)?;
    let unbiased = cx.div(squares, others)?;
    let mut vectors = [mean, biased, unbiased];
    for v in &mut vectors {
        *v = cx.reshape(*v, std::slice::from_ref(depth))?;
    }
    let [mean, biased, unbiased] = vectors;
    Ok(([mean, biased], [mean, unbiased]))
}

/// The deprecated form: operands t, mean, variance, beta, gamma.
fn batch_norm_global(cx: &mut Import) -> Outputs {
    let [x, mean, variance, beta, gamma] = [cx.arg(0)?, cx.arg(1)?, cx.arg(2)?, cx.arg(3)?, cx.arg(4)?];
    let epsilon = cx.node.attr_float("variance_epsilon")? as f64;
    let scales = cx.node.attr_bool("scale_after_normalization")?;
    let Some(depth) = cx.shape(x).last().cloned() else { return Err("a scalar has no channels".into()) };
    for part in [mean, variance, beta, gamma] {
        match &cx.shape(part)[..] {
            [n] => cx.require_equal(&depth, n, "the channels and their statistics")?,
            shape => return Err(format!("expected a vector of statistics, got rank {}", shape.len()).into()),
        }
    }
    let epsilon = cx.scalar_like(variance, epsilon)?;
    let spread = cx.add_(variance, epsilon)?;
    let mut factor = inverse_root(cx, spread)?;
    if scales {
        factor = cx.mul(factor, gamma)?;
    }
    let centred = cx.sub(x, mean)?;
    let scaled = cx.mul(centred, factor)?;
    one(cx.add_(scaled, beta)?)
}

/// The sum over an element and its neighbours, the last axis being that of the channels.
pub(super) fn neighbours(cx: &Import, rank: usize) -> Result<Window, Stop> {
    let radius = cx.node.attr_int("depth_radius")?;
    if !(0..=1 << 30).contains(&radius) {
        return Err(format!("a radius of {radius} is not supported").into());
    }
    let (mut size, mut pad) = (vec![1; rank], vec![Dim::zero(); rank]);
    (size[rank - 1], pad[rank - 1]) = (2 * radius + 1, Dim::from(radius));
    let ones = vec![1; rank];
    Ok(Window { f: BinaryFn::Add, size, stride: ones.clone(), dilation: ones, low: pad.clone(), high: pad })
}

/// Divides by a power of the sum of squares of neighbouring channels; `alpha` is not divided by their number.
fn lrn(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let rank = cx.rank(x);
    if rank != 4 {
        return Err(format!("expected rank 4, got {rank}").into());
    }
    let window = neighbours(cx, rank)?;
    let (bias, alpha) = (cx.node.attr_float("bias")? as f64, cx.node.attr_float("alpha")? as f64);
    let beta = cx.node.attr_float("beta")? as f64;
    one(cx.in_single(x, |cx, x| {
        let squares = cx.mul(x, x)?;
        let sum = cx.add(window, &[squares])?;
        let [bias, alpha] = [cx.scalar_like(x, bias)?, cx.scalar_like(x, alpha)?];
        let scaled = cx.mul(sum, alpha)?;
        let base = cx.add_(scaled, bias)?;
        let divisor = if beta == 0.5 {
            cx.unary(UnaryFn::Sqrt, base)?
        } else {
            let beta = cx.scalar_like(x, beta)?;
            cx.binary(BinaryFn::Pow, base, beta)?
        };
        cx.div(x, divisor)
    })?)
}
