//! Cross entropies of softmax and labels: the loss of each row of logits, and its gradient by the logits, which
//! TensorFlow computes at once. The half types are computed in f32 and rounded once.

use super::{Import, Outputs, Stop, TfOp, build::widened, nn::less_maximum};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Gather, Iota, Reduce},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "SoftmaxCrossEntropyWithLogits", import: dense },
    TfOp { name: "SparseSoftmaxCrossEntropyWithLogits", import: sparse },
];

/// What both losses need of logits `[batch, classes]`.
struct Rows {
    /// The logits less the maximum of their row.
    shifted: NodeId,
    softmax: NodeId,
    /// The logarithm of the sum of the exponentials of `shifted`, `[batch, 1]`.
    log: NodeId,
}

fn rows(cx: &mut Import, logits: NodeId) -> Result<Rows> {
    let shifted = less_maximum(cx, logits)?;
    let exp = cx.unary(UnaryFn::Exp, shifted)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1] }, &[exp])?;
    let log = cx.unary(UnaryFn::Log, sum)?;
    let unit = cx.scalar_like(sum, 1.0)?;
    let inverse = cx.div(unit, sum)?;
    Ok(Rows { shifted, softmax: cx.mul(exp, inverse)?, log })
}

/// The loss and the gradient in the type of the logits.
fn outputs(cx: &mut Import, loss: NodeId, gradient: NodeId, dtype: DType) -> Outputs {
    Ok(vec![cx.cast(loss, dtype)?.into(), cx.cast(gradient, dtype)?.into()])
}

/// Labels are weights of the classes. Both operands are repeated to their common shape. A class of weight 0 counts:
/// where its logit is minus infinity, the loss is NaN.
fn dense(cx: &mut Import) -> Outputs {
    let (logits, labels) = (cx.arg(0)?, cx.arg(1)?);
    let dtype = cx.dtype(logits);
    let [logits, labels] = cx.broadcast([logits, labels])?;
    if cx.rank(logits) != 2 {
        return Err(format!("expected logits and labels of rank 2, got {}", cx.rank(logits)).into());
    }
    let [logits, labels] = [cx.cast(logits, widened(dtype))?, cx.cast(labels, widened(dtype))?];
    let Rows { shifted, softmax, log } = rows(cx, logits)?;
    let information = cx.sub(log, shifted)?;
    let parts = cx.mul(labels, information)?;
    let loss = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1] }, &[parts])?;
    let loss = cx.drop_axes(loss, &[1])?;
    let gradient = cx.sub(softmax, labels)?;
    outputs(cx, loss, gradient, dtype)
}

/// Labels are numbers of classes; one that there is not is a fault.
fn sparse(cx: &mut Import) -> Outputs {
    let (logits, labels) = (cx.arg(0)?, cx.arg(1)?);
    let dtype = cx.dtype(logits);
    let (shape, rows_of_labels) = (cx.shape(logits), cx.shape(labels));
    let ([batch, classes], [number]) = (&shape[..], &rows_of_labels[..]) else {
        let ranks = format!("{} and {}", shape.len(), rows_of_labels.len());
        return Err(format!("expected logits of rank 2 and labels of rank 1, got {ranks}").into());
    };
    cx.require_equal(batch, number, "the rows of logits and labels")?;
    cx.require_at_most(&Dim::one(), classes, "the number of classes")?;
    let wide = cx.cast(logits, widened(dtype))?;
    let Rows { shifted, softmax, log } = rows(cx, wide)?;
    // Loss and gradient take the label from here, so that each of them alone notices one that is out of range.
    let all = cx.add(Iota { shape: vec![classes.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let labels = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[all, labels])?;
    let of_label = cx.add(Gather { axis: 1, batch: 1, checked: false }, &[shifted, labels])?;
    let log = cx.drop_axes(log, &[1])?;
    let loss = cx.sub(log, of_label)?;
    let column = cx.insert_axes(labels, &[1])?;
    let is_label = cx.compare(CompareFn::Eq, column, all)?;
    let is_label = cx.cast(is_label, widened(dtype))?;
    let gradient = cx.sub(softmax, is_label)?;
    outputs(cx, loss, gradient, dtype)
}
