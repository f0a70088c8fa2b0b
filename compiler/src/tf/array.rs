//! Joining, splitting, padding and rearranging.

use super::{Import, Outputs, Stop, TfOp, Value, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{Gather, Iota, Reduce},
    tensor::DType,
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Transpose", import: transpose },
    TfOp { name: "ConjugateTranspose", import: conjugate_transpose },
    TfOp { name: "ConcatV2", import: |cx| concat(cx, cx.count() - 1, 0) },
    TfOp { name: "Concat", import: |cx| concat(cx, 0, 1) },
    TfOp { name: "Split", import: split },
    TfOp { name: "SplitV", import: split_v },
    TfOp { name: "Pack", import: pack },
    TfOp { name: "Unpack", import: unpack },
    TfOp { name: "Pad", import: pad },
    TfOp { name: "PadV2", import: pad },
    TfOp { name: "MirrorPad", import: mirror_pad },
    TfOp { name: "MirrorPadGrad", import: mirror_pad_grad },
    TfOp { name: "Tile", import: tile },
    TfOp { name: "ReverseV2", import: reverse },
    TfOp { name: "Reverse", import: reverse_by_mask },
    TfOp { name: "Roll", import: roll },
];

fn transpose(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let perm = cx.ints(1, "the permutation")?;
    let perm = perm.iter().map(|&a| super::build::axis(a, cx.rank(x))).collect::<Result<Vec<_>>>()?;
    one(cx.transpose(x, &perm)?)
}

/// Real numbers are their own conjugates.
fn conjugate_transpose(cx: &mut Import) -> Outputs {
    if cx.dtype(cx.arg(0)?).is_complex() {
        return Err("complex numbers are not supported yet".into());
    }
    transpose(cx)
}

/// Operand `axis` names the axis; the parts start at operand `first`.
fn concat(cx: &mut Import, axis: usize, first: usize) -> Outputs {
    let parts = (first..cx.count()).filter(|&n| n != axis).map(|n| cx.arg(n)).collect::<Result<Vec<_>>>()?;
    let Some(&model) = parts.first() else { return Err("expected at least one part".into()) };
    let shape = cx.shape(model);
    let axis = cx.axis(axis, shape.len())?;
    for &part in &parts {
        let other = cx.shape(part);
        if other.len() != shape.len() {
            return Err(format!("cannot join ranks {} and {}", shape.len(), other.len()).into());
        }
        for a in (0..shape.len()).filter(|&a| a != axis) {
            cx.require_equal(&shape[a], &other[a], "the extents of joined parts")?;
        }
    }
    one(cx.concat(&parts, axis)?)
}

/// Parts of the given extents, one after the other.
fn cut(cx: &mut Import, x: NodeId, axis: usize, sizes: &[Dim]) -> Outputs {
    let mut from = Dim::zero();
    let mut parts = vec![];
    for size in sizes {
        parts.push(cx.slice_axis(x, axis, from.clone(), size.clone())?.into());
        from = from + size;
    }
    Ok(parts)
}

/// A number of parts from an attribute; a hostile one is refused before anything is made for each.
fn parts(cx: &Import, name: &str) -> Result<usize> {
    let n = cx.node.attr_int(name)?;
    usize::try_from(n).ok().filter(|&n| n <= 1 << 20).ok_or_else(|| format!("{n} parts are not supported").into())
}

/// Equal parts.
fn split(cx: &mut Import) -> Outputs {
    let x = cx.arg(1)?;
    let axis = cx.axis(0, cx.rank(x))?;
    let n = parts(cx, "num_split")?;
    if n == 0 {
        return Err("expected at least one part".into());
    }
    let extent = cx.shape(x)[axis].clone();
    let size = extent.floor_div(&Dim::from(n));
    cx.require_equal(&(&size * &Dim::from(n)), &extent, "the extent and the sum of its equal parts")?;
    cut(cx, x, axis, &vec![size; n])
}

/// One size of -1 is what the others leave.
fn split_v(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let axis = cx.axis(2, cx.rank(x))?;
    let extent = cx.shape(x)[axis].clone();
    let mut sizes = part_sizes(cx, &extent)?;
    let open: Vec<usize> = (0..sizes.len()).filter(|&n| sizes[n].is(-1)).collect();
    match open[..] {
        [] => {}
        [n] => {
            sizes[n] = Dim::zero();
            let rest = sizes.iter().fold(extent.clone(), |rest, size| rest - size);
            cx.require_at_most(&Dim::zero(), &rest, "the sizes of the other parts exceed the extent")?;
            sizes[n] = rest;
        }
        _ => return Err("more than one size is open".into()),
    }
    for size in &sizes {
        cx.require_at_most(&Dim::zero(), size, "a size is negative")?;
    }
    let sum = sizes.iter().fold(Dim::zero(), |sum, size| sum + size);
    cx.require_equal(&sum, &extent, "the extent and the sum of the sizes")?;
    cut(cx, x, axis, &sizes)
}

/// The sizes of parts; of those that data decide, one of -1 is what the others leave.
fn part_sizes(cx: &mut Import, extent: &Dim) -> Result<Vec<Dim>> {
    let known = cx.dims(1, "the sizes");
    let sizes = cx.arg(1)?;
    let [Some(count)] = cx.shape(sizes).iter().map(Dim::as_int).collect::<Vec<_>>()[..] else { return known };
    if known.is_ok() {
        return known;
    }
    let sizes = cx.cast(sizes, DType::I64)?;
    let (zero, open) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, -1.0)?);
    let is_open = cx.compare(CompareFn::Eq, sizes, open)?;
    let given = cx.select(is_open, zero, sizes)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[given])?;
    let all = cx.dim_scalar(extent, DType::I64)?;
    let rest = cx.sub(all, sum)?;
    let number = cx.cast(is_open, DType::I64)?;
    let number = cx.add(Reduce { f: BinaryFn::Add, axes: vec![0] }, &[number])?;
    // Two open ones are none.
    let unit = cx.scalar(DType::I64, 1.0)?;
    let several = cx.compare(CompareFn::Gt, number, unit)?;
    let rest = cx.select(several, open, rest)?;
    let sizes = cx.select(is_open, rest, sizes)?;
    (0..count as usize).map(|n| cx.size_at(sizes, n, "a size", Some(extent))).collect()
}

/// A new axis along which the operands lie; negative ones count the result's rank.
fn pack(cx: &mut Import) -> Outputs {
    let args = cx.args()?;
    let Some(&first) = args.first() else { return Err("expected at least one part".into()) };
    let shape = cx.shape(first);
    let axis = cx.attr_axis("axis", shape.len() + 1)?;
    let mut rows = vec![];
    for x in args {
        let other = cx.shape(x);
        if other.len() != shape.len() {
            return Err(format!("cannot stack ranks {} and {}", shape.len(), other.len()).into());
        }
        for (a, b) in shape.iter().zip(&other) {
            cx.require_equal(a, b, "the extents of stacked parts")?;
        }
        rows.push(cx.insert_axes(x, &[axis])?);
    }
    one(cx.concat(&rows, axis)?)
}

fn unpack(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let axis = cx.attr_axis("axis", cx.rank(x))?;
    let n = parts(cx, "num")?;
    let extent = cx.shape(x)[axis].clone();
    cx.require_equal(&extent, &Dim::from(n), "the extent and the number of parts")?;
    (0..n)
        .map(|i| {
            let row = cx.slice_axis(x, axis, i.into(), Dim::one())?;
            Ok(Value::from(cx.drop_axes(row, &[axis])?))
        })
        .collect()
}

/// The paddings before and after each axis.
fn paddings(cx: &mut Import, rank: usize) -> Result<(Vec<Dim>, Vec<Dim>)> {
    let dims = cx.sizes(1, "the paddings", None)?;
    if dims.len() != 2 * rank {
        return Err(format!("{} paddings do not fit rank {rank}", dims.len()).into());
    }
    for padding in &dims {
        cx.require_at_most(&Dim::zero(), padding, "a padding is negative")?;
    }
    for dim in &dims {
        cx.require_at_most(&Dim::zero(), dim, "a padding")?;
    }
    Ok((dims.iter().step_by(2).cloned().collect(), dims.iter().skip(1).step_by(2).cloned().collect()))
}

fn pad(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let rank = cx.rank(x);
    let (low, high) = paddings(cx, rank)?;
    let value = if cx.count() > 2 { cx.arg(2)? } else { cx.scalar_like(x, 0.0)? };
    let value = cx.reshape(value, &[])?;
    one(cx.pad(x, value, &low, &high)?)
}

/// REFLECT leaves the edge out, SYMMETRIC repeats it.
fn mirror_pad(cx: &mut Import) -> Outputs {
    let mut x = cx.arg(0)?;
    let skip = skipped(cx)?;
    let rank = cx.rank(x);
    let (low, high) = paddings(cx, rank)?;
    for axis in 0..rank {
        let n = cx.shape(x)[axis].clone();
        // TensorFlow asks it of axes without padding too.
        for pad in [&low[axis], &high[axis]] {
            cx.require_at_most(&(pad + skip), &n, "a mirrored padding is larger than the extent allows")?;
        }
        if low[axis].is(0) && high[axis].is(0) {
            continue;
        }
        let mut parts = vec![];
        for (pad, from) in [(&low[axis], Dim::from(skip)), (&high[axis], &n - skip - &high[axis])] {
            let edge = cx.slice_axis(x, axis, from, pad.clone())?;
            parts.push(cx.reverse(edge, &[axis])?);
        }
        x = cx.concat(&[parts[0], x, parts[1]], axis)?;
    }
    one(x)
}

/// Elements at an edge that a mirror leaves out.
fn skipped(cx: &Import) -> Result<i64> {
    match cx.node.attr_str("mode")? {
        "REFLECT" => Ok(1),
        "SYMMETRIC" => Ok(0),
        other => Err(format!("mode {other} is not supported").into()),
    }
}

/// What lies in a mirrored border is added to what it mirrors.
fn mirror_pad_grad(cx: &mut Import) -> Outputs {
    let mut x = cx.arg(0)?;
    let skip = skipped(cx)?;
    let rank = cx.rank(x);
    let (low, high) = paddings(cx, rank)?;
    for axis in 0..rank {
        let n = &cx.shape(x)[axis] - &low[axis] - &high[axis];
        cx.require_at_most(&Dim::one(), &n, "the paddings are as large as what is padded")?;
        for pad in [&low[axis], &high[axis]] {
            cx.require_at_most(&(pad + skip), &n, "a mirrored padding is larger than the extent allows")?;
        }
        let mut sum = cx.slice_axis(x, axis, low[axis].clone(), n.clone())?;
        let zero = cx.scalar_like(x, 0.0)?;
        let borders =
            [(Dim::zero(), &low[axis], Dim::from(skip)), (&low[axis] + &n, &high[axis], &n - &high[axis] - skip)];
        for (from, pad, to) in borders {
            if pad.is(0) {
                continue;
            }
            let edge = cx.slice_axis(x, axis, from, pad.clone())?;
            let edge = cx.reverse(edge, &[axis])?;
            let (mut before, mut behind) = (vec![Dim::zero(); rank], vec![Dim::zero(); rank]);
            behind[axis] = &n - &to - pad;
            before[axis] = to;
            let wide = cx.pad(edge, zero, &before, &behind)?;
            sum = cx.add_(sum, wide)?;
        }
        x = sum;
    }
    one(x)
}

/// Each axis as often as its multiple says.
fn tile(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    let multiples = cx.sizes(1, "the multiples", None)?;
    if multiples.len() != shape.len() {
        return Err(format!("{} multiples do not fit rank {}", multiples.len(), shape.len()).into());
    }
    for multiple in &multiples {
        cx.require_at_most(&Dim::zero(), multiple, "a multiple is negative")?;
    }
    let (mut apart, mut wide, mut result) = (vec![], vec![], vec![]);
    for (n, multiple) in shape.iter().zip(&multiples) {
        if !multiple.is(1) {
            apart.push(Dim::one());
            wide.push(multiple.clone());
        }
        apart.push(n.clone());
        wide.push(n.clone());
        result.push(n * multiple);
    }
    let x = cx.reshape(x, &apart)?;
    let x = cx.broadcast_to(x, &wide)?;
    one(cx.reshape(x, &result)?)
}

fn reverse(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let axes = cx.axes(1, cx.rank(x))?;
    one(cx.reverse(x, &axes)?)
}

/// The first version: a bool per axis.
fn reverse_by_mask(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let mask = cx.ints(1, "the axes")?;
    if mask.len() != cx.rank(x) {
        return Err(format!("{} bools do not fit rank {}", mask.len(), cx.rank(x)).into());
    }
    if let Some(first) = cx.shape(x).first().cloned() {
        cx.require_at_most(&Dim::one(), &first, "the first axis is empty")?;
    }
    let axes: Vec<usize> = (0..mask.len()).filter(|&a| mask[a] != 0).collect();
    one(cx.reverse(x, &axes)?)
}

/// Moves elements on, those that leave the end come in at the front; an axis that is named twice moves twice.
fn roll(cx: &mut Import) -> Outputs {
    let mut x = cx.arg(0)?;
    let axes = cx.ints(2, "the axes")?;
    let Ok(shifts) = cx.dims(1, "the shift") else { return roll_by_data(cx, x, &axes) };
    let (shifts, axes) = match (shifts.len(), axes.len()) {
        (s, a) if s == a => (shifts, axes),
        (s, a) => return Err(format!("{s} shifts do not fit {a} axes").into()),
    };
    for (shift, axis) in shifts.iter().zip(axes) {
        let axis = super::build::axis(axis, cx.rank(x))?;
        let n = cx.shape(x)[axis].clone();
        // An empty axis is taken for one of 1, so that the remainder is defined.
        let whole = n.at_least(&Dim::one());
        let moved = (shift - &whole * shift.floor_div(&whole)).at_most(&n);
        let kept = &n - &moved;
        let tail = cx.slice_axis(x, axis, kept.clone(), moved)?;
        let head = cx.slice_axis(x, axis, Dim::zero(), kept)?;
        x = cx.concat(&[tail, head], axis)?;
    }
    one(x)
}

/// The same by shifts that data tell: each place takes the element of another one.
fn roll_by_data(cx: &mut Import, mut x: NodeId, axes: &[i64]) -> Outputs {
    let shifts = cx.arg(1)?;
    let count = cx.graph.ty(shifts).count();
    let wanted = Dim::from(axes.len() as i64);
    cx.require_equal(&count, &wanted, "the numbers of shifts and of axes")?;
    let shifts = cx.reshape(shifts, &[wanted])?;
    let shifts = cx.cast(shifts, DType::I64)?;
    for (at, &axis) in axes.iter().enumerate() {
        let axis = super::build::axis(axis, cx.rank(x))?;
        let n = cx.shape(x)[axis].clone();
        // An empty axis is taken for one of 1, so that the remainder is defined.
        let whole = cx.dim_scalar(&n.at_least(&Dim::one()), DType::I64)?;
        let shift = cx.slice_axis(shifts, 0, (at as i64).into(), Dim::one())?;
        let shift = cx.reshape(shift, &[])?;
        let shift = cx.binary(BinaryFn::Rem, shift, whole)?;
        let place = cx.add(Iota { shape: vec![n], axis: 0, dtype: DType::I64 }, &[])?;
        // The remainder is between -n and n, so that the sum of both is not negative.
        let from = cx.sub(place, shift)?;
        let from = cx.add_(from, whole)?;
        let from = cx.binary(BinaryFn::Rem, from, whole)?;
        x = cx.add(Gather { axis, batch: 0, checked: false }, &[x, from])?;
    }
    one(x)
}
