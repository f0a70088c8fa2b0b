//! Gamma, Poisson and binomial numbers: a stream for each number, from which it takes words until one fits (`op::Sample`).
//! Each has a parameter, or two; those that a law has two methods for are told from each other by a condition on them.

use super::{Result, Stream, generator::advanced};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::CompareFn,
    op::{Law, Sample},
    tensor::{DType, Scalar, count},
    tf::{Import, Outputs, TfOp, build::one},
};

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "StatelessRandomGammaV2", import: |cx| whole(cx, Stream::of_seed, 2, gamma) },
    TfOp { name: "StatelessRandomGammaV3", import: |cx| whole(cx, Stream::given, 4, gamma) },
    TfOp { name: "StatelessRandomPoisson", import: |cx| whole(cx, Stream::of_seed, 2, poisson) },
    TfOp { name: "StatelessRandomBinomial", import: |cx| whole(cx, Stream::of_seed, 2, binomial) },
    TfOp { name: "RandomGamma", import: |cx| by_own(cx, true, gamma) },
    TfOp { name: "RandomPoissonV2", import: |cx| by_own(cx, false, poisson) },
];

/// So many numbers of each of some parameters, `[n]`: `[samples, n]`.
type Drawn = fn(&mut Import, Stream, &Dim, &[NodeId]) -> Result<NodeId>;

/// The mean up to which small numbers are drawn by the one method, and from which on by the other.
const SMALL: f64 = 10.0;

/// Numbers of the shape in operand 0, which ends as that of the parameters in the operands from `n` on.
fn whole(cx: &mut Import, stream: fn(&mut Import, usize) -> Result<Stream>, n: usize, draw: Drawn) -> Outputs {
    let stream = stream(cx, 1)?;
    let parameters = parameters(cx, n)?;
    one(ending(cx, 0, stream, &parameters, draw)?.0)
}

/// The operands from `n` on, broadcast to one shape.
pub(super) fn parameters(cx: &mut Import, n: usize) -> Result<Vec<NodeId>> {
    match cx.count() - n {
        1 => Ok(vec![cx.arg(n)?]),
        _ => {
            let both = [cx.arg(n)?, cx.arg(n + 1)?];
            Ok(cx.broadcast(both)?.to_vec())
        }
    }
}

/// Numbers of the shape in operand `n`, the samples of each parameter, and the number of parameters.
pub(super) fn ending(
    cx: &mut Import,
    n: usize,
    stream: Stream,
    parameters: &[NodeId],
    draw: Drawn,
) -> Result<(NodeId, Dim, Dim)> {
    let shape = super::shape_at(cx, n)?;
    let own = cx.shape(parameters[0]);
    let Some(split) = shape.len().checked_sub(own.len()) else {
        return Err(format!("a shape of {} extents does not end as one of {}", shape.len(), own.len()).into());
    };
    for (a, b) in shape[split..].iter().zip(&own) {
        cx.require_equal(a, b, "the last extents of the shape and those of the parameters")?;
    }
    let samples = count(&shape[..split]);
    let numbers = drawn(cx, stream, &samples, parameters, draw)?;
    Ok((cx.reshape(numbers, &shape)?, samples, count(&own)))
}

fn drawn(cx: &mut Import, stream: Stream, samples: &Dim, parameters: &[NodeId], draw: Drawn) -> Result<NodeId> {
    let mut flat = vec![];
    for &parameter in parameters {
        let n = count(&cx.shape(parameter));
        flat.push(cx.reshape(parameter, &[n])?);
    }
    draw(cx, stream, samples, &flat)
}

/// As many numbers of the parameters in operand 1 as operand 0 says, from the node's own generator.
fn by_own(cx: &mut Import, needs_some: bool, draw: Drawn) -> Outputs {
    let numbers = cx.move_generator(|cx, state| {
        let stream = super::generator::stream(cx, state)?;
        let shape = super::shape_at(cx, 0)?;
        let parameter = cx.arg(1)?;
        let own = cx.shape(parameter);
        let (samples, n) = (count(&shape), count(&own));
        if needs_some {
            cx.require_at_most(&Dim::one(), &samples, "the number of samples")?;
        }
        let some = samples.at_most(&Dim::one());
        cx.require_at_most(&some, &n, "the number of parameters")?;
        let numbers = drawn(cx, stream, &samples, &[parameter], draw)?;
        let numbers = cx.reshape(numbers, &[shape, own].concat())?;
        let many = cx.dim_scalar(&(samples * n), DType::U64)?;
        Ok((numbers, advanced(cx, state, many)?))
    });
    one(numbers?)
}

/// Numbers of a law, in f64 as its parameters are.
fn sample(cx: &mut Import, law: Law, stream: Stream, samples: &Dim, parameters: &[NodeId]) -> Result<NodeId> {
    cx.add(Sample { law, samples: samples.clone() }, &[&[stream.key, stream.counter][..], parameters].concat())
}

/// Whether a condition holds for all parameters, or for none, where that is known.
fn known(cx: &Import, cond: NodeId) -> Option<bool> {
    let values = cx.graph.as_const(cond)?;
    let holds = |cond| (0..values.count()).all(|n| values.get(n) == Scalar::Bool(cond));
    [true, false].into_iter().find(|&cond| holds(cond))
}

/// Numbers of the one law for the parameters of which a condition holds, and of the other one for the rest. What a law is not
/// for is replaced by what it is for.
fn either(
    cx: &mut Import,
    cond: NodeId,
    stream: Stream,
    samples: &Dim,
    parameters: &[NodeId],
    laws: [(Law, &[f64]); 2],
) -> Result<NodeId> {
    if let Some(holds) = known(cx, cond) {
        return sample(cx, laws[usize::from(!holds)].0, stream, samples, parameters);
    }
    let mut numbers = vec![];
    for (n, (law, fine)) in laws.into_iter().enumerate() {
        let mut own = vec![];
        for (&parameter, &fine) in parameters.iter().zip(fine) {
            let fine = cx.scalar_like(parameter, fine)?;
            own.push(if n == 0 { cx.select(cond, parameter, fine)? } else { cx.select(cond, fine, parameter)? });
        }
        numbers.push(sample(cx, law, stream, samples, &own)?);
    }
    let cond = row(cx, cond, samples)?;
    cx.select(cond, numbers[0], numbers[1])
}

/// What is known of each parameter, for each sample.
fn row(cx: &mut Import, x: NodeId, samples: &Dim) -> Result<NodeId> {
    let n = cx.shape(x)[0].clone();
    let x = cx.insert_axes(x, &[0])?;
    cx.broadcast_to(x, &[samples.clone(), n])
}

/// Numbers in the result's type: halves are made of singles.
fn rounded(cx: &mut Import, numbers: NodeId, to: DType) -> Result<NodeId> {
    let singles = matches!(to, DType::F16 | DType::BF16);
    let numbers = if singles { cx.cast(numbers, DType::F32)? } else { numbers };
    cx.cast(numbers, to)
}

/// In f64, whatever the type; a shape of 1 has a formula of its own.
fn gamma(cx: &mut Import, stream: Stream, samples: &Dim, parameters: &[NodeId]) -> Result<NodeId> {
    let to = cx.dtype(parameters[0]);
    let alpha = cx.cast(parameters[0], DType::F64)?;
    let unit = cx.scalar(DType::F64, 1.0)?;
    let is_one = cx.compare(CompareFn::Eq, alpha, unit)?;
    let laws = [(Law::Exponential, &[1.0][..]), (Law::Gamma, &[2.0][..])];
    let numbers = either(cx, is_one, stream, samples, &[alpha], laws)?;
    rounded(cx, numbers, to)
}

/// In f64, whatever the type of the rate.
fn poisson(cx: &mut Import, stream: Stream, samples: &Dim, parameters: &[NodeId]) -> Result<NodeId> {
    let to = cx.attr_dtype("dtype")?;
    let rate = cx.cast(parameters[0], DType::F64)?;
    let limit = cx.scalar_like(rate, SMALL)?;
    let is_small = cx.compare(CompareFn::Lt, rate, limit)?;
    let laws = [(Law::PoissonSmall, &[0.0][..]), (Law::PoissonLarge, &[SMALL][..])];
    let numbers = either(cx, is_small, stream, samples, &[rate], laws)?;
    rounded(cx, numbers, to)
}

/// Of a probability above 1/2 what is drawn is the failures. Whether a mean is small is decided in the parameters' type.
pub(super) fn binomial(cx: &mut Import, stream: Stream, samples: &Dim, parameters: &[NodeId]) -> Result<NodeId> {
    let (counts, probs, to) = (parameters[0], parameters[1], cx.attr_dtype("dtype")?);
    if !cx.dtype(counts).is_float() {
        return Err(format!("TensorFlow has no binomial numbers of parameters of {}", cx.dtype(counts)).into());
    }
    let (zero, unit, half) = (cx.scalar_like(probs, 0.0)?, cx.scalar_like(probs, 1.0)?, cx.scalar_like(probs, 0.5)?);
    let (no_count, never) = (cx.compare(CompareFn::Le, counts, zero)?, cx.compare(CompareFn::Le, probs, zero)?);
    let never = cx.or(no_count, never)?;
    let always = cx.compare(CompareFn::Ge, probs, unit)?;
    let unknown = cx.compare(CompareFn::Ne, probs, probs)?;
    let (fixed, often) = (cx.or(never, always)?, cx.compare(CompareFn::Gt, probs, half)?);
    let fixed = cx.or(fixed, unknown)?;
    let failure = cx.sub(unit, probs)?;
    let prob = cx.select(often, failure, probs)?;
    // What is no law's is replaced.
    let (count, prob) = (cx.select(fixed, unit, counts)?, cx.select(fixed, half, prob)?);
    let (mean, limit) = (cx.mul(count, prob)?, cx.scalar_like(probs, SMALL)?);
    let is_large = cx.compare(CompareFn::Ge, mean, limit)?;
    let (count, prob) = (cx.cast(count, DType::F64)?, cx.cast(prob, DType::F64)?);
    let laws = [(Law::BinomialLarge, &[100.0, 0.5][..]), (Law::BinomialSmall, &[1.0, 0.5][..])];
    let drawn = either(cx, is_large, stream, samples, &[count, prob], laws)?;
    let counts = cx.cast(counts, DType::F64)?;
    let counts = row(cx, counts, samples)?;
    let others = cx.sub(counts, drawn)?;
    let [often, never, always, unknown] = [often, never, always, unknown].map(|cond| row(cx, cond, samples));
    let numbers = cx.select(often?, others, drawn)?;
    let (nothing, nan) = (cx.scalar(DType::F64, 0.0)?, cx.scalar(DType::F64, f64::NAN)?);
    let numbers = cx.select(unknown?, nan, numbers)?;
    let numbers = cx.select(always?, counts, numbers)?;
    let numbers = cx.select(never?, nothing, numbers)?;
    rounded(cx, numbers, to)
}

/// From a generator's stream: the numbers in operands 3 and 4, and by how many numbers the generator moves on.
pub(super) fn stateful_binomial(cx: &mut Import, stream: Stream) -> Result<(NodeId, Dim)> {
    let parameters = parameters(cx, 3)?;
    let (numbers, samples, n) = ending(cx, 2, stream, &parameters, binomial)?;
    Ok((numbers, (n * 200 * (samples + 3)).floor_div(&4.into())))
}
