//! What a result is compared with its target by, with Keras's formulas.

use std::{fmt, str::FromStr};

use super::*;
use crate::{
    base::{Dim, names::advice},
    loops::{BinaryFn, CompareFn, Fault, UnaryFn},
    op::{ArgReduce, Broadcast, Iota, Op, Reduce, Within},
};

/// Keras keeps probabilities as far from 0 and 1.
const EPSILON: f64 = 1e-7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SparseCategorical,
    Categorical,
    Binary,
    SquaredError,
    AbsoluteError,
    /// Squares up to an error of 1, and straight behind it.
    Huber,
    Cosine,
}

/// A loss: the mean over all examples, of the mean over the elements of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub kind: Kind,
    /// Whether the user says that the model's output are logits, not probabilities.
    pub logits: bool,
}

const NAMES: &[(&str, Kind)] = &[
    ("sparse_categorical_crossentropy", Kind::SparseCategorical),
    ("categorical_crossentropy", Kind::Categorical),
    ("binary_crossentropy", Kind::Binary),
    ("mean_squared_error", Kind::SquaredError),
    ("mse", Kind::SquaredError),
    ("mean_absolute_error", Kind::AbsoluteError),
    ("mae", Kind::AbsoluteError),
    ("huber", Kind::Huber),
    ("cosine_similarity", Kind::Cosine),
];

impl FromStr for Loss {
    type Err = String;
    fn from_str(text: &str) -> Result<Loss, String> {
        let (name, logits) = match text.split_once(':') {
            Some((name, "logits")) => (name, true),
            Some((_, other)) => return Err(format!("`{other}` says nothing about a loss; `:logits` does")),
            None => (text, false),
        };
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let known = NAMES.iter().find(|(known, _)| *known == name).ok_or_else(|| advice(name, "losses", &names))?;
        let loss = Loss { kind: known.1, logits };
        if logits && !loss.asks_for_logits() {
            return Err(format!("{name} compares values, not logits: leave `:logits` out"));
        }
        Ok(loss)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name);
        write!(f, "{name}{}", if self.logits { ":logits" } else { "" })
    }
}

/// What comparing leaves.
pub struct Compared {
    /// Scalars: the mean, and the part of examples that are right where there is such a thing.
    pub loss: Value,
    pub accuracy: Option<Value>,
    /// The gradient of the loss by a value before it, exact where a formula is known.
    pub result: Value,
    pub seed: Value,
}

/// Takes the operand of the softmax or sigmoid that the model ends in for its output, if it does.
pub fn take_logits(source: &mut TfGraph, loss: Loss) -> bool {
    let ends = match loss.kind {
        Kind::Binary => "Sigmoid",
        _ => "Softmax",
    };
    if loss.logits {
        return true;
    }
    let mut at = source.outputs[0].source;
    loop {
        let node = &source.nodes[at.node];
        let Some(&before) = node.inputs.first() else { return false };
        match node.op.as_str() {
            "Identity" | "IdentityN" | "StopGradient" | "Snapshot" => {
                let index = if node.op == "IdentityN" { at.index as usize } else { 0 };
                let Some(&before) = node.inputs.get(index) else { return false };
                at = before;
            }
            op if op == ends => {
                source.outputs[0].source = before;
                return true;
            }
            _ => return false,
        }
    }
}

impl Loss {
    /// Whether it is computed of logits where the model gives them, or ends in what makes probabilities of them.
    pub fn asks_for_logits(self) -> bool {
        matches!(self.kind, Kind::SparseCategorical | Kind::Categorical | Kind::Binary)
    }

    /// The type of the targets for results of this type.
    pub fn target(self, y: &TensorType) -> Result<TensorType, String> {
        if !y.dtype.is_float() {
            return Err(format!("the output is {y}: only floats learn"));
        }
        let rank = y.rank();
        match self.kind {
            Kind::SparseCategorical if rank >= 2 => Ok(TensorType::new(DType::I64, y.shape[..rank - 1].to_vec())),
            Kind::SparseCategorical | Kind::Categorical | Kind::Cosine if rank < 2 => {
                Err(format!("the output is {y}, which has no axis of classes behind that of the examples"))
            }
            _ if rank == 0 => Err(format!("the output is {y}, which has no axis of examples")),
            _ => Ok(TensorType::new(DType::F32, y.shape.to_vec())),
        }
    }

    pub fn compare(
        self,
        c: &mut Compose<'_>,
        y: Value,
        target: Value,
        weights: Option<Value>,
        from_logits: bool,
    ) -> Result<Compared, String> {
        let result = y;
        let y = c.cast(y, DType::F32)?;
        let shape = c.shape(y);
        let last = shape.len() - 1;
        let compared = match self.kind {
            Kind::SparseCategorical | Kind::Categorical => {
                let wanted = if self.kind == Kind::Categorical { target } else { one_hot(c, target, &shape)? };
                let accuracy = self.right(c, y, wanted, target)?;
                let pieces = match (from_logits, self.kind) {
                    (true, _) => cross_entropy(c, y, wanted)?,
                    (false, Kind::Categorical) => {
                        let sum = c.summed(y, vec![last])?;
                        let sum = c.broadcast(sum, &shape)?;
                        let share = c.div(y, sum)?;
                        let log = clipped_log(c, share)?;
                        let product = c.mul(wanted, log)?;
                        let total = c.summed(product, vec![last])?;
                        Pieces { each: c.neg(total)?, slope: None }
                    }
                    // TensorFlow makes logits of what is clipped, so that it is divided by its sum.
                    (false, _) => {
                        let log = clipped_log(c, y)?;
                        Pieces { slope: None, ..cross_entropy(c, log, wanted)? }
                    }
                };
                (pieces, Some(accuracy))
            }
            Kind::Binary => {
                let middle = c.number(y, if from_logits { 0.0 } else { 0.5 })?;
                let says = c.compare(CompareFn::Gt, y, middle)?;
                let half = c.number(target, 0.5)?;
                let wanted = c.compare(CompareFn::Gt, target, half)?;
                let differs = c.binary(BinaryFn::Xor, says, wanted)?;
                let right = c.unary(UnaryFn::Not, differs)?;
                let right = c.cast(right, DType::F32)?;
                let pieces = if from_logits { binary_of_logits(c, y, target)? } else { binary(c, y, target)? };
                (pieces, Some(right))
            }
            Kind::SquaredError => {
                let error = c.sub(y, target)?;
                (Pieces { each: c.square(error)?, slope: Some(c.scaled(error, 2.0)?) }, None)
            }
            Kind::AbsoluteError => {
                let error = c.sub(y, target)?;
                (Pieces { each: c.unary(UnaryFn::Abs, error)?, slope: None }, None)
            }
            Kind::Huber => {
                let error = c.sub(y, target)?;
                let (far, half) = (c.unary(UnaryFn::Abs, error)?, c.number(y, 0.5)?);
                let (square, one) = (c.square(error)?, c.number(y, 1.0)?);
                let near = c.mul(square, half)?;
                let straight = c.sub(far, half)?;
                let is_near = c.compare(CompareFn::Le, far, one)?;
                (Pieces { each: c.select(is_near, near, straight)?, slope: None }, None)
            }
            Kind::Cosine => {
                let (a, b) = (normalised(c, y)?, normalised(c, target)?);
                let product = c.mul(a, b)?;
                let total = c.summed(product, vec![last])?;
                (Pieces { each: c.neg(total)?, slope: None }, None)
            }
        };
        let (pieces, right) = compared;
        let loss = mean(c, pieces.each, weights)?;
        let accuracy = right.map(|right| mean(c, right, None)).transpose()?;
        // What one element of the loss counts for in the mean.
        let (value, slope) = match pieces.slope {
            Some(slope) => (y, slope),
            None => (pieces.each, c.number(pieces.each, 1.0)?),
        };
        let share = share_of_each(c, pieces.each, weights)?;
        let share = c.broadcast(share, &c.shape(value))?;
        let seed = c.mul(slope, share)?;
        // Where the output is of another type, its gradient is too.
        let (result, seed) = match value == y && result != y {
            true => (result, c.cast(seed, c.dtype(result))?),
            false => (value, seed),
        };
        Ok(Compared { loss, accuracy, result, seed })
    }

    /// 1 where the greatest is the target's class.
    fn right(self, c: &mut Compose<'_>, y: Value, wanted: Value, target: Value) -> Result<Value, String> {
        let shape = c.shape(y);
        let last = shape.len() - 1;
        let greatest = |c: &mut Compose<'_>, x| c.add(ArgReduce { max: true, axis: last, to: DType::I64 }, &[x]);
        let says = greatest(c, y)?;
        let class = match self.kind {
            Kind::SparseCategorical => c.reshape(target, &c.shape(says))?,
            _ => greatest(c, wanted)?,
        };
        let right = c.compare(CompareFn::Eq, says, class)?;
        c.cast(right, DType::F32)
    }
}

/// The loss of each element, whose trailing axis may be 1, and its slope by the result where a formula says it.
struct Pieces {
    each: Value,
    slope: Option<Value>,
}

/// Of labels in range; others are a fault, as in TensorFlow.
fn one_hot(c: &mut Compose<'_>, labels: Value, shape: &[Dim]) -> Result<Value, String> {
    let last = shape.len() - 1;
    let column = [&shape[..last], &[Dim::one()]].concat();
    let mut labels = c.reshape(labels, &column)?;
    let classes = shape[last].as_int().ok_or("the number of classes is not fixed")?;
    labels = c.add(Within { extents: vec![classes], fault: Fault::IndexOutOfRange }, &[labels])?;
    let labels = c.broadcast(labels, shape)?;
    let class = c.add(Iota { shape: shape.to_vec(), axis: last, dtype: DType::I64 }, &[])?;
    let hit = c.compare(CompareFn::Eq, labels, class)?;
    c.cast(hit, DType::F32)
}

/// `sum of wanted * (log(sum of exp(z - max)) - (z - max))`; its slope is `softmax(z) * sum of wanted - wanted`.
fn cross_entropy(c: &mut Compose<'_>, z: Value, wanted: Value) -> Result<Pieces, String> {
    let shape = c.shape(z);
    let last = shape.len() - 1;
    let greatest = c.add(Reduce { f: BinaryFn::Max, axes: vec![last] }, &[z])?;
    let greatest = c.broadcast(greatest, &shape)?;
    let below = c.sub(z, greatest)?;
    let powers = c.unary(UnaryFn::Exp, below)?;
    let sum = c.summed(powers, vec![last])?;
    let log = c.unary(UnaryFn::Log, sum)?;
    let log = c.broadcast(log, &shape)?;
    let surprise = c.sub(log, below)?;
    let product = c.mul(wanted, surprise)?;
    let each = c.summed(product, vec![last])?;
    let sum = c.broadcast(sum, &shape)?;
    let softmax = c.div(powers, sum)?;
    let all = c.summed(wanted, vec![last])?;
    let all = c.broadcast(all, &shape)?;
    let expected = c.mul(softmax, all)?;
    Ok(Pieces { each, slope: Some(c.sub(expected, wanted)?) })
}

/// `log(clip(p))`.
fn clipped_log(c: &mut Compose<'_>, p: Value) -> Result<Value, String> {
    let (low, high) = (c.number(p, EPSILON)?, c.number(p, 1.0 - EPSILON)?);
    let p = c.binary(BinaryFn::Max, p, low)?;
    let p = c.binary(BinaryFn::Min, p, high)?;
    c.unary(UnaryFn::Log, p)
}

/// `max(z, 0) - z t + log(1 + exp(-|z|))`; its slope is `sigmoid(z) - t`.
fn binary_of_logits(c: &mut Compose<'_>, z: Value, t: Value) -> Result<Pieces, String> {
    let (zero, one) = (c.number(z, 0.0)?, c.number(z, 1.0)?);
    let positive = c.binary(BinaryFn::Max, z, zero)?;
    let product = c.mul(z, t)?;
    let far = c.unary(UnaryFn::Abs, z)?;
    let far = c.neg(far)?;
    let power = c.unary(UnaryFn::Exp, far)?;
    let log = c.unary(UnaryFn::Log1p, power)?;
    let part = c.sub(positive, product)?;
    let each = c.sum(part, log)?;
    let minus = c.neg(z)?;
    let power = c.unary(UnaryFn::Exp, minus)?;
    let below = c.sum(one, power)?;
    let sigmoid = c.div(one, below)?;
    Ok(Pieces { each, slope: Some(c.sub(sigmoid, t)?) })
}

/// `-t log(p) - (1 - t) log(1 - p)` of clipped probabilities.
fn binary(c: &mut Compose<'_>, p: Value, t: Value) -> Result<Pieces, String> {
    let one = c.number(p, 1.0)?;
    let (low, high) = (c.number(p, EPSILON)?, c.number(p, 1.0 - EPSILON)?);
    let p = c.binary(BinaryFn::Max, p, low)?;
    let p = c.binary(BinaryFn::Min, p, high)?;
    let log = c.unary(UnaryFn::Log, p)?;
    let yes = c.mul(t, log)?;
    let (other, rest) = (c.sub(one, p)?, c.sub(one, t)?);
    let log = c.unary(UnaryFn::Log, other)?;
    let no = c.mul(rest, log)?;
    let sum = c.sum(yes, no)?;
    Ok(Pieces { each: c.neg(sum)?, slope: None })
}

/// Along the last axis, to the length 1; a length counts for 1e-7 at least.
fn normalised(c: &mut Compose<'_>, x: Value) -> Result<Value, String> {
    let shape = c.shape(x);
    let square = c.square(x)?;
    let sum = c.summed(square, vec![shape.len() - 1])?;
    let least = c.number(sum, EPSILON * EPSILON)?;
    let sum = c.binary(BinaryFn::Max, sum, least)?;
    let length = c.unary(UnaryFn::Sqrt, sum)?;
    let length = c.broadcast(length, &shape)?;
    c.div(x, length)
}

/// `1 / n` for the elements of `each`, times the weight of the example, repeated over a shape that fits `each`.
fn share_of_each(c: &mut Compose<'_>, each: Value, weights: Option<Value>) -> Result<Value, String> {
    let shape = c.shape(each);
    let count = c.add(Op::Extent(crate::tensor::count(&shape)), &[])?;
    let count = c.cast(count, DType::F32)?;
    let one = c.number(count, 1.0)?;
    let share = c.div(one, count)?;
    let units = vec![Dim::one(); shape.len()];
    let share = c.reshape(share, &units)?;
    let share = c.broadcast(share, &shape)?;
    let Some(weights) = weights else { return Ok(share) };
    let mut column = units;
    column[0] = shape[0].clone();
    let weights = c.reshape(weights, &column)?;
    let weights = c.add(Broadcast::to(shape), &[weights])?;
    c.mul(share, weights)
}

/// A scalar.
fn mean(c: &mut Compose<'_>, each: Value, weights: Option<Value>) -> Result<Value, String> {
    let share = share_of_each(c, each, weights)?;
    let product = c.mul(each, share)?;
    let axes = (0..c.shape(each).len()).collect();
    let sum = c.summed(product, axes)?;
    c.reshape(sum, &[])
}

#[test]
fn losses_are_known_by_the_names_of_keras() {
    assert_eq!("mse".parse(), Ok(Loss { kind: Kind::SquaredError, logits: false }));
    assert!("mse:logits".parse::<Loss>().is_err() && "crossentropy".parse::<Loss>().is_err());
    let text = "sparse_categorical_crossentropy:logits";
    assert_eq!(text.parse::<Loss>().unwrap().to_string(), text);
}
