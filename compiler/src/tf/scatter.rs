//! Rows of a tensor replaced: by constant indices, or by few that the inputs give. Of several for one row the last counts.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    count::not_negative,
    index::{linear_index, tuple_length},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{Gather, Iota, Reduce},
    tensor::{DType, Tensor, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[TfOp { name: "TensorScatterUpdate", import: update }];

/// Updates by indices that the inputs give: each row of the result looks at all of them.
const MAX_SOUGHT: i64 = 64;
/// Rows up to the last one that a constant replaces.
const MAX_PLACED: i64 = 1 << 24;

fn update(cx: &mut Import) -> Outputs {
    let (data, indices, updates) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    let shape = cx.shape(data);
    let depth = tuple_length(cx, indices, shape.len())?;
    let (axes, rest) = shape.split_at(depth);
    let at = cx.shape(indices);
    if depth == 0 || at.len() < 2 {
        return Err("expected a list of indices of at least one axis".into());
    }
    let of_updates = cx.shape(updates);
    let wanted = [&at[..at.len() - 1], rest].concat();
    if wanted.len() != of_updates.len() {
        return Err(format!("updates of rank {} do not fit: expected rank {}", of_updates.len(), wanted.len()).into());
    }
    for (a, b) in of_updates.iter().zip(&wanted) {
        cx.require_equal(a, b, "the extents of updates and of what they replace")?;
    }
    let Some(number) = count(&at[..at.len() - 1]).as_int() else {
        return Err("an open number of updates is not supported yet".into());
    };
    if number == 0 {
        return one(data);
    }
    let flat = cx.reshape(data, &[&[count(axes)], rest].concat())?;
    let updates = cx.reshape(updates, &[&[Dim::from(number)], rest].concat())?;
    let inner: Option<Vec<i64>> = axes.iter().skip(1).map(Dim::as_int).collect();
    let changed = match (cx.known_ints(indices), inner) {
        (Some(known), Some(inner)) => placed(cx, flat, updates, &known, axes, &inner)?,
        _ if number <= MAX_SOUGHT => {
            let linear = linear_index(cx, indices, axes)?;
            let linear = cx.reshape(linear, &[number.into()])?;
            sought(cx, flat, updates, linear)?
        }
        _ => return Err(format!("{number} updates by indices that the inputs give are not supported yet").into()),
    };
    one(cx.reshape(changed, &shape)?)
}

/// Rows replaced by constant indices: up to the last of them each row is one of the old ones or an update.
fn placed(
    cx: &mut Import,
    flat: NodeId,
    updates: NodeId,
    known: &[i64],
    axes: &[Dim],
    inner: &[i64],
) -> Result<NodeId> {
    for (d, extent) in axes.iter().enumerate() {
        let of_axis = || known.iter().copied().skip(d).step_by(axes.len());
        if of_axis().any(|i| i < 0) {
            return Err("an index is below 0".into());
        }
        let end = of_axis().max().map_or(0, |i| i.saturating_add(1));
        cx.require_at_most(&end.into(), extent, "the end of the indices and the extent that they index")?;
    }
    let number = cx.shape(updates)[0].as_int().unwrap_or(0);
    let tuple = |n: i64| known.iter().skip(n as usize * axes.len()).take(axes.len());
    let place = |n: i64| {
        tuple(n).zip([1].iter().chain(inner)).try_fold(0i64, |p, (&i, &extent)| p.checked_mul(extent)?.checked_add(i))
    };
    let places: Vec<i64> = (0..number).map(|n| place(n).unwrap_or(i64::MAX)).collect();
    let end = places.iter().max().map_or(0, |p| p.saturating_add(1));
    if end > MAX_PLACED {
        return Err(format!("an update of row {} is not supported", end - 1).into());
    }
    let mut from: Vec<i64> = (0..end).collect();
    places.iter().zip(end..).for_each(|(&place, update)| from[place as usize] = update);
    let rows = cx.shape(flat)[0].clone();
    let head = cx.slice_axis(flat, 0, Dim::zero(), end.into())?;
    let known = cx.concat(&[head, updates], 0)?;
    let from = cx.constant(Tensor::from_i64([from.len()], &from))?;
    let changed = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[known, from])?;
    if rows.is(end) {
        return Ok(changed);
    }
    let tail = cx.slice_axis(flat, 0, end.into(), rows - end)?;
    cx.concat(&[changed, tail], 0)
}

/// Rows replaced by computed indices: each row takes the last update whose index is its own.
fn sought(cx: &mut Import, flat: NodeId, updates: NodeId, linear: NodeId) -> Result<NodeId> {
    let (rows, number) = (cx.shape(flat)[0].clone(), cx.shape(linear)[0].clone());
    cx.require_at_most(&Dim::one(), &rows, "the number of rows to replace")?;
    let linear = not_negative(cx, linear)?;
    let row = cx.add(Iota { shape: vec![rows.clone(), Dim::one()], axis: 0, dtype: DType::I64 }, &[])?;
    let hit = cx.compare(CompareFn::Eq, row, linear)?;
    let order = cx.add(Iota { shape: vec![Dim::one(), number], axis: 1, dtype: DType::I64 }, &[])?;
    let none = cx.scalar(DType::I64, -1.0)?;
    let found = cx.select(hit, order, none)?;
    let last = cx.add(Reduce { f: BinaryFn::Max, axes: vec![1] }, &[found])?;
    let last = cx.drop_axes(last, &[1])?;
    let taken = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[updates, last])?;
    let replaced = cx.compare(CompareFn::Gt, last, none)?;
    let mut spread = vec![Dim::one(); cx.rank(flat)];
    spread[0] = rows;
    let replaced = cx.reshape(replaced, &spread)?;
    cx.select(replaced, taken, flat)
}
