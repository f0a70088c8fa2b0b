//! Boxes of several images and classes: those that each class chooses, and of an image's the best ones of all classes.
//!
//! Of equal scores the lower class wins, and within it the lower index. TensorFlow takes equal scores from a heap and a sort that
//! keep no order; docs/limits.md says from how many on that shows.

use super::super::{Import, Outputs, Stop, filter::index_on};
use super::{Limits, checked, choose, corners, threshold};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{Gather, Iota, Reduce, TopK},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

/// What the best boxes of each image are: `f32[batch, k, 4]`, scores and classes `f32[batch, k]`, and `bool[batch, k]`, whether
/// there is one.
struct Best {
    boxes: NodeId,
    scores: NodeId,
    classes: NodeId,
    some: NodeId,
}

/// Of boxes `[batch, n, 1 or class, 4]` and scores `[batch, n, class]`: boxes `[batch, total, 4]`, scores and classes
/// `[batch, total]`, all f32, with zeros behind the last one, and `i32[batch]`, how many there are. An output is as long as
/// the greatest number of boxes, or `pad_per_class`, where that is less, as all classes can have together.
pub(super) fn combined(cx: &mut Import) -> Outputs {
    let (boxes, scores) = (cx.arg(0)?, cx.arg(1)?);
    let (of_boxes, of_scores) = (cx.shape(boxes), cx.shape(scores));
    let ([batch, n, shared, four], [images, rows, classes]) = (&of_boxes[..], &of_scores[..]) else {
        let ranks = (of_boxes.len(), of_scores.len());
        return Err(
            format!("expected boxes of rank 4 and scores of rank 3, got ranks {} and {}", ranks.0, ranks.1).into()
        );
    };
    cx.require_equal(batch, images, "the numbers of images of boxes and of scores")?;
    cx.require_equal(n, rows, "the numbers of boxes and of scores")?;
    cx.require_equal(four, &4.into(), "the columns of boxes")?;
    if !shared.is(1) {
        cx.require_equal(shared, classes, "the numbers of classes of boxes and of scores")?;
    }
    let (most, total) = sizes(cx, n, classes)?;
    let overlap = threshold(cx, 4, DType::F32)?;
    let limits = Limits { overlap: checked(cx, overlap)?, score: threshold(cx, 5, DType::F32)?, decay: None };
    let by_class = cx.transpose(boxes, &[0, 2, 1, 3])?;
    let overlap = corners(cx, by_class)?;
    let lanes = cx.transpose(scores, &[0, 2, 1])?;
    let choices = choose(cx, lanes, &overlap, &limits, &most)?;
    let best = best(cx, boxes, choices, &total)?;
    padded(cx, best, &total)
}

/// How many boxes a class chooses at most, and how many an image has in the results.
fn sizes(cx: &mut Import, n: &Dim, classes: &Dim) -> Result<(Dim, Dim)> {
    let (of_class, of_all) = ("the greatest number of boxes of a class", "the greatest number of boxes of all classes");
    let given = cx.scalar_arg(2, of_class)?;
    cx.scalar_arg(3, of_all)?;
    let total = cx.size(3, of_all, None)?;
    cx.require_at_most(&Dim::one(), &total, of_all)?;
    let each = match cx.dim(2, of_class) {
        Ok(known) => known,
        // What is more than these changes nothing.
        Err(_) => {
            let most = n.at_least(&total);
            let (given, end) = (cx.cast(given, DType::I64)?, cx.dim_scalar(&most, DType::I64)?);
            let given = cx.binary(BinaryFn::Min, given, end)?;
            cx.size_at(given, 0, of_class, Some(&most))?
        }
    };
    cx.require_at_most(&Dim::one(), &each, of_class)?;
    let whole = if cx.node.attr_bool("pad_per_class")? { cx.lesser(&total, &(&each * classes)) } else { total };
    Ok((each.at_most(n), whole))
}

/// The best of what the classes of an image chose, at most so many.
fn best(cx: &mut Import, boxes: NodeId, [indices, scores, count]: [NodeId; 3], total: &Dim) -> Result<Best> {
    let shape = cx.shape(scores);
    let [batch, classes, most] = &shape[..] else { unreachable!("choices have an image, a class and a number") };
    let all = [batch.clone(), classes * most];
    let place = cx.add(Iota { shape: shape.clone(), axis: 2, dtype: DType::I64 }, &[])?;
    let count = cx.insert_axes(count, &[2])?;
    let chosen = cx.compare(CompareFn::Lt, place, count)?;
    let least = cx.scalar(DType::F32, f64::NEG_INFINITY)?;
    let scores = cx.select(chosen, scores, least)?;
    let (scores, indices) = (cx.reshape(scores, &all)?, cx.reshape(indices, &all)?);
    let k = cx.lesser(total, &all[1]);
    let order = cx.add(TopK { k, to: DType::I64 }, &[scores])?;
    let pick = Gather { axis: 1, batch: 1, checked: false };
    let (scores, index) = (cx.add(pick.clone(), &[scores, order])?, cx.add(pick.clone(), &[indices, order])?);
    let class = index_on(cx, order, &[classes.clone(), most.clone()], 0)?;
    let [_, n, shared, _] = &cx.shape(boxes)[..] else { unreachable!("boxes have four axes") };
    let row = match shared.is(1) {
        true => index,
        false => {
            let per_box = cx.dim_scalar(shared, DType::I64)?;
            let first = cx.mul(index, per_box)?;
            cx.add_(first, class)?
        }
    };
    let boxes = cx.reshape(boxes, &[batch.clone(), n * shared, 4.into()])?;
    let boxes = cx.add(pick, &[boxes, row])?;
    let some = cx.compare(CompareFn::Gt, scores, least)?;
    Ok(Best { boxes, scores, classes: cx.cast(class, DType::F32)?, some })
}

/// The outputs, with zeros where there is no box.
fn padded(cx: &mut Import, best: Best, total: &Dim) -> Outputs {
    let (zero, unit) = (cx.scalar(DType::F32, 0.0)?, cx.scalar(DType::F32, 1.0)?);
    let boxes = match cx.node.attr_bool("clip_boxes")? {
        true => {
            let below = cx.binary(BinaryFn::Min, best.boxes, unit)?;
            cx.binary(BinaryFn::Max, below, zero)?
        }
        false => best.boxes,
    };
    let some_box = cx.insert_axes(best.some, &[2])?;
    let mut outputs = vec![];
    for (some, x) in [(some_box, boxes), (best.some, best.scores), (best.some, best.classes)] {
        let x = cx.select(some, x, zero)?;
        let rank = cx.rank(x);
        let mut high = vec![Dim::zero(); rank];
        high[1] = total - &cx.shape(x)[1];
        outputs.push(cx.pad(x, zero, &vec![Dim::zero(); rank], &high)?.into());
    }
    let ones = cx.cast(best.some, DType::I32)?;
    let valid = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1] }, &[ones])?;
    outputs.push(cx.drop_axes(valid, &[1])?.into());
    Ok(outputs)
}
