//! Lists whose elements differ in their leading extent: each has room for the greatest, zeros behind what it has, and a
//! vector beside the list tells that extent of each.

use super::list::{ListOf, Open, Place, element, merged, open, replaced, with_room, zeros};
use crate::{
    base::{Dim, dim::Known},
    graph::NodeId,
    loops::{BinaryFn, CompareFn},
    op::{Gather, Iota, Reduce},
    tensor::DType,
    tf::{Import, Outputs, Stop},
};

type Result<T> = std::result::Result<T, Stop>;

/// Elements whose parts are joined one by one, at most; of more, what counts is found.
const ONE_BY_ONE: usize = 64;

/// Elements of which each is known to be set or not, at most.
const MOST_EXTENTS: i64 = 1 << 12;

/// A list that takes `item`: an uneven one where data or constants say that it is not as long as the others.
pub(super) fn ready_for(cx: &mut Import, list: ListOf, item: NodeId) -> Result<ListOf> {
    let states_extent = matches!(list.shape.as_deref(), Some([Some(_), ..]));
    let (Some(data), false) = (list.data.filter(|_| list.extents.is_none()), states_extent) else { return Ok(list) };
    let (Some(own), Some(new)) = (cx.shape(data).get(1).cloned(), cx.shape(item).first().cloned()) else {
        return Ok(list);
    };
    let differs = match cx.graph.facts().same(&own, &new) {
        Known::Always => false,
        Known::Never => true,
        Known::Unknown => cx.is_found(&own) || cx.is_found(&new),
    };
    if differs { uneven(cx, list) } else { Ok(list) }
}

/// The same elements, with their extents beside them.
fn uneven(cx: &mut Import, mut list: ListOf) -> Result<ListOf> {
    let Some(data) = list.data.filter(|_| list.extents.is_none()) else { return Ok(list) };
    let [rows, own, ..] = &cx.shape(data)[..] else { return Err("scalars have no leading extent".into()) };
    let most = cx.found_at_most(own)?;
    // What nobody set is as long as what it is added to, or as what is set there.
    list.extents = Some(match (list.known_set(), rows.as_int()) {
        (Some(set), Some(rows)) if rows <= MOST_EXTENTS => {
            let extent = |n| if set.contains(&n) { own.clone() } else { Dim::zero() };
            cx.dims_tensor(&(0..rows).map(extent).collect::<Vec<_>>(), DType::I64)?
        }
        _ => {
            let each = cx.dim_scalar(own, DType::I64)?;
            cx.broadcast_to(each, std::slice::from_ref(rows))?
        }
    });
    list.data = Some(long(cx, data, 1, &most)?);
    Ok(list)
}

/// `x` with zeros behind it on one axis, so that there is so much.
fn long(cx: &mut Import, x: NodeId, axis: usize, wanted: &Dim) -> Result<NodeId> {
    let missing = wanted - &cx.shape(x)[axis];
    let mut high = vec![Dim::zero(); cx.rank(x)];
    high[axis] = missing;
    let zero = cx.scalar_like(x, 0.0)?;
    cx.pad(x, zero, &vec![Dim::zero(); high.len()], &high)
}

/// An uneven list with room for `item`, that item as long as all, and its extent.
pub(super) fn fitted(cx: &mut Import, list: &mut ListOf, item: NodeId) -> Result<(NodeId, NodeId, NodeId)> {
    let (mut data, of) = (list.data.expect("an uneven list has elements"), cx.shape(item));
    if cx.dtype(item) != list.dtype {
        return Err(format!("an element of {} does not fit a list of {}", cx.dtype(item), list.dtype).into());
    }
    merged(cx, &list.shape, &open(&of))?;
    let [extent, rest @ ..] = &of[..] else { return Err("a scalar does not fit a list of longer elements".into()) };
    let held = cx.shape(data);
    merged(cx, &open(&held[2..]), &open(rest))?;
    let wanted = cx.found_at_most(extent)?;
    let most = cx.greater(&held[1], &wanted);
    data = long(cx, data, 1, &most)?;
    list.data = Some(data);
    let item = long(cx, item, 0, &most)?;
    let item = cx.reshape(item, &[&[most], &held[2..]].concat())?;
    let extent = cx.dim_scalar(extent, DType::I64)?;
    Ok((data, item, extent))
}

/// The extents of an uneven list in which the one at `place` is another.
pub(super) fn told(cx: &mut Import, list: &ListOf, place: Place, extent: NodeId) -> Result<Option<NodeId>> {
    let Some(extents) = list.extents else { return Ok(None) };
    let extents = with_room(cx, extents, &list.length)?;
    replaced(cx, extents, place, extent).map(Some)
}

/// The element at `place` of an uneven list, whose rows are `data`.
pub(super) fn part(cx: &mut Import, extents: NodeId, data: NodeId, place: Place) -> Result<NodeId> {
    let (whole, extent) = (element(cx, data, place.clone())?, element(cx, extents, place)?);
    let most = cx.shape(whole)[0].clone();
    let name = cx.node.name.clone();
    let extent = cx.bind(extent, Some(&most), &name, "the extent of an element")?;
    cx.slice_axis(whole, 0, Dim::zero(), extent)
}

/// The one extent that all elements have, which a call looks at: the least of them and the greatest are equal.
fn one_extent(cx: &mut Import, extents: NodeId, most: &Dim) -> Result<Dim> {
    let of = |cx: &mut Import, f: BinaryFn| {
        let extreme = cx.add(Reduce { f, axes: vec![0] }, &[extents])?;
        cx.reshape(extreme, &[])
    };
    let (least, greatest) = (of(cx, BinaryFn::Min)?, of(cx, BinaryFn::Max)?);
    // Without elements it is 0.
    let zero = cx.scalar(DType::I64, 0.0)?;
    let greatest = cx.binary(BinaryFn::Max, greatest, zero)?;
    let least = cx.binary(BinaryFn::Min, least, greatest)?;
    let what = "the first extent of the elements of a list";
    let least = cx.size_at(least, 0, what, Some(most))?;
    let greatest = cx.size_at(greatest, 0, what, Some(most))?;
    cx.require_equal(&least, &greatest, "the first extents of the elements of a list")?;
    Ok(least)
}

/// A list whose elements have one extent.
pub(super) fn even(cx: &mut Import, mut list: ListOf) -> Result<ListOf> {
    let (Some(extents), Some(data)) = (list.extents, list.data) else { return Ok(list) };
    let used = cx.slice_axis(extents, 0, Dim::zero(), list.length.clone())?;
    let each = match cx.graph.dims(used).map(<[Dim]>::to_vec).as_deref() {
        Some([first, rest @ ..]) => {
            for extent in rest {
                cx.require_equal(first, extent, "the first extents of the elements of a list")?;
            }
            first.clone()
        }
        Some([]) => Dim::zero(),
        None => one_extent(cx, used, &cx.shape(data)[1].clone())?,
    };
    list.data = Some(cx.slice_axis(data, 1, Dim::zero(), each)?);
    list.extents = None;
    Ok(list)
}

/// All elements of an uneven list behind each other, and the extent of each.
pub(super) fn joined(cx: &mut Import, list: &ListOf, extents: NodeId) -> Outputs {
    let (data, of) = (list.data.expect("an uneven list has elements"), list.length.clone());
    let data = cx.slice_axis(data, 0, Dim::zero(), of.clone())?;
    let extents = cx.slice_axis(extents, 0, Dim::zero(), of.clone())?;
    let shape = cx.shape(data);
    let (most, rest) = (shape[1].clone(), &shape[2..]);
    if let Some(dims) =
        cx.graph.dims(extents).map(<[Dim]>::to_vec).filter(|dims| (1..=ONE_BY_ONE).contains(&dims.len()))
    {
        let part = |(n, dim): (usize, &Dim)| {
            let row = cx.slice_axis(data, 0, n.into(), Dim::one())?;
            let row = cx.drop_axes(row, &[0])?;
            cx.slice_axis(row, 0, Dim::zero(), dim.clone())
        };
        let parts = dims.iter().enumerate().map(part).collect::<Result<Vec<_>>>()?;
        return Ok(vec![cx.concat(&parts, 0)?.into(), extents.into()]);
    }
    let grid = vec![of.clone(), most.clone()];
    let at = cx.add(Iota { shape: grid.clone(), axis: 1, dtype: DType::I64 }, &[])?;
    let each = cx.insert_axes(extents, &[1])?;
    let each = cx.broadcast_to(each, &grid)?;
    let counts = cx.compare(CompareFn::Lt, at, each)?;
    let all = &of * &most;
    let counts = cx.reshape(counts, std::slice::from_ref(&all))?;
    let (_, places) = cx.places(counts)?;
    let flat = cx.reshape(data, &[&[all], rest].concat())?;
    let joined = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[flat, places])?;
    Ok(vec![joined.into(), extents.into()])
}

/// The list of the parts of `x` that are as long as `lengths` say, which add up to its rows.
pub(super) fn parted(cx: &mut Import, x: NodeId, lengths: &[Dim]) -> Result<ListOf> {
    let of = cx.shape(x);
    let mut most = Dim::zero();
    for length in lengths {
        let length = cx.found_at_most(length)?;
        most = cx.greater(&most, &length);
    }
    let mut at = Dim::zero();
    let mut parts = vec![];
    for length in lengths {
        let part = cx.slice_axis(x, 0, at.clone(), length.clone())?;
        let part = long(cx, part, 0, &most)?;
        parts.push(cx.insert_axes(part, &[0])?);
        at = at + length;
    }
    let (count, dtype) = (Dim::from(lengths.len()), cx.dtype(x));
    let data = match parts.is_empty() {
        true => zeros(cx, dtype, &[&[count.clone(), most], &of[1..]].concat())?,
        false => cx.concat(&parts, 0)?,
    };
    let extents = cx.dims_tensor(lengths, DType::I64)?;
    Ok(ListOf { extents: Some(extents), ..ListOf::new(dtype, Some(data), count, None) })
}

/// The sum of two lists of as many elements, and their first extents, which are equal where both are set.
pub(super) fn sum(cx: &mut Import, a: ListOf, b: ListOf) -> Result<(Option<NodeId>, Option<NodeId>)> {
    let (a, b) = (uneven(cx, a)?, uneven(cx, b)?);
    let ((Some(x), Some(y)), (Some(p), Some(q))) = ((a.data, b.data), (a.extents, b.extents)) else {
        return Ok((b.data, b.extents));
    };
    let most = cx.greater(&cx.shape(x)[1].clone(), &cx.shape(y)[1].clone());
    let (x, y) = (long(cx, x, 1, &most)?, long(cx, y, 1, &most)?);
    let extents = if p == q { p } else { cx.binary(BinaryFn::Max, p, q)? };
    Ok((Some(cx.add_(x, y)?), Some(extents)))
}

/// Whether elements of two lists are known to have different first extents.
pub(super) fn differ(cx: &Import, a: NodeId, b: NodeId) -> bool {
    let extent = |id| cx.shape(id).get(1).cloned();
    let known = extent(a).zip(extent(b)).map(|(a, b)| cx.graph.facts().same(&a, &b));
    known == Some(Known::Never)
}

/// The shape that a list states of its elements, without their first extent.
pub(super) fn open_first(list: &ListOf, element: &[Dim]) -> Open {
    let mut shape = open(element);
    if let (Some(_), Some([first, ..])) = (list.extents, shape.as_deref_mut()) {
        *first = None;
    }
    shape
}
