//! Slices by operands: positions are dims, negative ones count from the end, and what lies outside is clamped or an
//! error as each operator has it.

use super::{Import, Outputs, Stop, TfOp, build::one, shape::nonneg_unless_empty};
use crate::{
    base::{Dim, dim::Atom},
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Gather, Iota, Outside, Scatter},
    tensor::{DType, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Slice", import: slice },
    TfOp { name: "StridedSlice", import: strided },
    TfOp { name: "StridedSliceGrad", import: strided_grad },
    TfOp {
        name: "TensorStridedSliceUpdate",
        import: |cx| {
            let x = cx.arg(0)?;
            one(replaced(cx, x)?)
        },
    },
];

/// A size of -1 means to the end; nothing is clamped.
fn slice(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    let Some((begin, mut size)) = known_box(cx, &shape)? else { return slice_by_data(cx, x, &shape) };
    if [begin.len(), size.len()] != [shape.len(); 2] {
        return Err(format!("{} begins and {} sizes do not fit rank {}", begin.len(), size.len(), shape.len()).into());
    }
    for a in 0..shape.len() {
        if size[a].is(-1) {
            size[a] = &shape[a] - &begin[a];
        }
        cx.require_at_most(&Dim::zero(), &begin[a], "the begin of a slice")?;
        cx.require_at_most(&Dim::zero(), &size[a], "the size of a slice")?;
        cx.require_at_most(&(&begin[a] + &size[a]), &shape[a], "the end of a slice and the extent")?;
    }
    one(cx.slice(x, begin, vec![1; shape.len()], size)?)
}

/// Begin and size where they follow from extents; none where data decide.
fn known_box(cx: &Import, shape: &[Dim]) -> Result<Option<(Vec<Dim>, Vec<Dim>)>> {
    let lists = [cx.dims(1, "the begin"), cx.dims(2, "the size")];
    let counted = |n: usize| cx.arg(n).map(|id| cx.shape(id) == [Dim::from(shape.len())]);
    match lists {
        [Ok(begin), Ok(size)] => Ok(Some((begin, size))),
        // In a body that repeats, what varies is no size.
        [Err(stop), _] | [_, Err(stop)] if !counted(1)? || !counted(2)? => Err(stop),
        _ => Ok(None),
    }
}

/// Begin and size that data decide: each is within its axis, or TensorFlow raises too.
fn slice_by_data(cx: &mut Import, x: NodeId, shape: &[Dim]) -> Outputs {
    let (mut begins, mut sizes) = (vec![], vec![]);
    for (a, extent) in shape.iter().enumerate() {
        let begin = cx.size_at(cx.arg(1)?, a, "the begin", Some(extent))?;
        let size = cx.arg(2)?;
        let known = cx.element_of(size, a);
        let size = match known {
            Some(size) if size.is(-1) => extent - &begin,
            Some(size) => size,
            None => {
                let one = cx.slice_axis(size, 0, a.into(), Dim::one())?;
                let one = cx.cast(one, DType::I64)?;
                let one = cx.reshape(one, &[])?;
                let (open, rest) = (cx.scalar(DType::I64, -1.0)?, cx.dim_scalar(&(extent - &begin), DType::I64)?);
                let is_open = cx.compare(CompareFn::Eq, one, open)?;
                let size = cx.select(is_open, rest, one)?;
                cx.size_at(size, 0, "the size", Some(extent))?
            }
        };
        cx.require_at_most(&Dim::zero(), &begin, "the begin of a slice")?;
        cx.require_at_most(&Dim::zero(), &size, "the size of a slice")?;
        cx.require_at_most(&(&begin + &size), extent, "the end of a slice and the extent")?;
        begins.push(begin);
        sizes.push(size);
    }
    one(cx.slice(x, begins, vec![1; shape.len()], sizes)?)
}

/// What happens to one axis of the operand.
struct Cut {
    start: Dim,
    stride: i64,
    extent: Dim,
    /// One index instead of a range: the axis vanishes.
    single: bool,
}

/// One axis of the result.
enum Place {
    New,
    Axis(usize),
}

/// What the entries of begin, end and strides stand for.
struct Entries {
    /// The number of an entry and its axis of the operand.
    axes: Vec<(usize, usize)>,
    /// The axes of the result before single ones vanish.
    places: Vec<Place>,
}

/// The masks of a node.
struct Masks {
    begin: i64,
    end: i64,
    ellipsis: i64,
    new_axis: i64,
    shrink: i64,
}

fn has(mask: i64, bit: usize) -> bool {
    bit < 64 && mask >> bit & 1 == 1
}

/// What a strided slice takes of a tensor.
struct Taken {
    /// What of each axis.
    cuts: Vec<Cut>,
    /// Axes of which data choose one index, each with the number of its entry.
    picked: Vec<(usize, usize)>,
    /// The shape of the result.
    shape: Vec<Dim>,
}

/// What begin, end and strides, which are operands 1 to 3, take of a tensor of this shape.
fn taken(cx: &mut Import, shape: &[Dim]) -> Result<Taken> {
    let masks = Masks {
        begin: cx.node.attr_int("begin_mask")?,
        end: cx.node.attr_int("end_mask")?,
        ellipsis: cx.node.attr_int("ellipsis_mask")?,
        new_axis: cx.node.attr_int("new_axis_mask")?,
        shrink: cx.node.attr_int("shrink_axis_mask")?,
    };
    let strides = cx.ints(3, "the strides")?;
    let [begin, end] = [cx.dims(1, "the begin"), cx.dims(2, "the end")];
    let ends = Ends { begin, end, entries: strides.len() };
    let Entries { axes, places } = axes_of_entries(&masks, strides.len(), shape.len())?;
    let mut cuts: Vec<Cut> =
        shape.iter().map(|n| Cut { start: Dim::zero(), stride: 1, extent: n.clone(), single: false }).collect();
    let mut picked = vec![];
    for (n, axis) in axes {
        cuts[axis] = match strides[n] {
            0 => return Err("a stride is 0".into()),
            ..0 if has(masks.shrink, n) => return Err("a single index has a negative stride".into()),
            _ if has(masks.shrink, n) => {
                match entry(&ends.begin, n).ok().map(|at| index(cx, &at, &shape[axis])).transpose()?.flatten() {
                    Some(cut) => cut,
                    None => {
                        picked.push((axis, n));
                        Cut { start: Dim::zero(), stride: 1, extent: Dim::one(), single: true }
                    }
                }
            }
            stride => ends.cut(cx, &masks, n, stride, &shape[axis])?,
        };
    }
    let shape = places.iter().filter_map(|place| match place {
        Place::New => Some(Dim::one()),
        Place::Axis(a) if cuts[*a].single => None,
        Place::Axis(a) => Some(cuts[*a].extent.clone()),
    });
    let shape = shape.collect();
    Ok(Taken { cuts, picked, shape })
}

fn strided(cx: &mut Import) -> Outputs {
    let mut x = cx.arg(0)?;
    let shape = cx.shape(x);
    let Taken { cuts, picked, shape: result } = taken(cx, &shape)?;
    for (axis, n) in picked {
        // The axis stays, with one index.
        let at = index_by_data(cx, n, &shape[axis])?;
        x = cx.add(Gather { axis, batch: 0, checked: true }, &[x, at])?;
    }
    let start = cuts.iter().map(|c| c.start.clone()).collect();
    let stride = cuts.iter().map(|c| c.stride).collect();
    let extents = cuts.into_iter().map(|c| c.extent).collect();
    let y = cx.slice(x, start, stride, extents)?;
    one(cx.reshape(y, &result)?)
}

/// Zeros in the shape of what was sliced, with the gradient of the slice where that was taken.
fn strided_grad(cx: &mut Import) -> Outputs {
    let (shape, mut x) = (cx.dims(0, "the shape")?, cx.arg(4)?);
    let Taken { cuts, picked, shape: wanted } = taken(cx, &shape)?;
    if cx.rank(x) != wanted.len() {
        return Err(format!("a gradient of rank {} does not fit a slice of rank {}", cx.rank(x), wanted.len()).into());
    }
    for (a, b) in cx.shape(x).iter().zip(&wanted) {
        cx.require_equal(a, b, "the extents of a gradient and of its slice")?;
    }
    let extents: Vec<Dim> = cuts.iter().map(|cut| cut.extent.clone()).collect();
    x = cx.reshape(x, &extents)?;
    for (axis, cut) in cuts.iter().enumerate() {
        x = match picked.iter().find(|(at, _)| *at == axis) {
            Some(&(_, n)) => put_by_data(cx, x, axis, n, &shape[axis])?,
            None => put_back(cx, x, axis, cut, &shape[axis])?,
        };
    }
    one(x)
}

/// A tensor with other elements where a strided slice takes them: those of operand 4, which is repeated to the slice's
/// shape. The axes up to the last one that is cut are one in which places are counted; what lies behind them is a row.
pub(super) fn replaced(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let (shape, mut value) = (cx.shape(x), cx.arg(4)?);
    let Taken { mut cuts, picked, shape: wanted } = taken(cx, &shape)?;
    if cuts.iter().any(|cut| cut.extent.is(0)) {
        return Ok(x);
    }
    while cx.rank(value) > wanted.len() {
        cx.require_equal(&cx.shape(value)[0].clone(), &Dim::one(), "an axis that the slice has not, and its extent")?;
        let rest = cx.shape(value)[1..].to_vec();
        value = cx.reshape(value, &rest)?;
    }
    value = cx.broadcast_to(value, &wanted)?;
    let is_whole = |axis: &usize| {
        let cut = &cuts[*axis];
        !cut.single && cut.start.is(0) && cut.stride == 1 && cut.extent == shape[*axis]
    };
    let Some(last) = (0..shape.len()).rev().find(|axis| !is_whole(axis)) else {
        return cx.reshape(value, &shape);
    };
    let (outer, row) = shape.split_at(last + 1);
    cuts.truncate(last + 1);
    let all = count(outer);
    let mut places = cx.add(Iota { shape: vec![all.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    places = cx.reshape(places, outer)?;
    for (axis, n) in picked {
        let at = index_by_data(cx, n, &shape[axis])?;
        places = cx.add(Gather { axis, batch: 0, checked: true }, &[places, at])?;
    }
    let stride = cuts.iter().map(|cut| cut.stride).collect();
    let (start, extents): (Vec<Dim>, Vec<Dim>) = cuts.into_iter().map(|cut| (cut.start, cut.extent)).unzip();
    places = cx.slice(places, start, stride, extents.clone())?;
    let chosen = count(&extents);
    places = cx.reshape(places, &[chosen.clone(), Dim::one()])?;
    let with_row = |n: &Dim| [std::slice::from_ref(n), row].concat();
    let (rows, values) = (cx.reshape(x, &with_row(&all))?, cx.reshape(value, &with_row(&chosen))?);
    // Places are within the tensor: an index out of range has been a fault of the gather above.
    let scatter = Scatter { f: Combine::Set, depth: 1, below: Outside::Drop, above: Outside::Drop };
    let rows = cx.add(scatter, &[rows, places, values])?;
    cx.reshape(rows, &shape)
}

/// One axis as it was before a cut, with zeros where nothing was taken.
fn put_back(cx: &mut Import, mut x: NodeId, axis: usize, cut: &Cut, extent: &Dim) -> Result<NodeId> {
    let step = i64::try_from(cut.stride.unsigned_abs()).map_err(|_| "a stride is too large")?;
    let zero = cx.scalar_like(x, 0.0)?;
    if cut.stride < 0 {
        x = cx.reverse(x, &[axis])?;
    }
    let mut length = cut.extent.clone();
    if step > 1 {
        // Zeros behind each element, but for the last.
        let shape = cx.shape(x);
        let mut padding = vec![Dim::zero(); shape.len() + 1];
        let none = padding.clone();
        padding[axis + 1] = Dim::from(step - 1);
        x = cx.insert_axes(x, &[axis + 1])?;
        x = cx.pad(x, zero, &none, &padding)?;
        let mut joined = shape;
        joined[axis] = &length * step;
        x = cx.reshape(x, &joined)?;
        length = ((&length - 1) * step + 1).at_least(&Dim::zero());
        x = cx.slice_axis(x, axis, Dim::zero(), length.clone())?;
    }
    let (before, behind) = match cut.stride > 0 {
        true => (cut.start.clone(), extent - &cut.start - &length),
        false => {
            let behind = (extent - 1 - &cut.start).at_least(&Dim::zero());
            (extent - &length - &behind, behind)
        }
    };
    let (mut low, mut high) = (vec![Dim::zero(); cx.rank(x)], vec![Dim::zero(); cx.rank(x)]);
    (low[axis], high[axis]) = (before, behind);
    cx.pad(x, zero, &low, &high)
}

/// One axis as it was before data chose one index of it.
fn put_by_data(cx: &mut Import, x: NodeId, axis: usize, n: usize, extent: &Dim) -> Result<NodeId> {
    let at = index_by_data(cx, n, extent)?;
    let at = cx.insert_axes(at, &[1])?;
    let mut to_front: Vec<usize> = (0..cx.rank(x)).collect();
    to_front.remove(axis);
    to_front.insert(0, axis);
    let mut back: Vec<usize> = (1..cx.rank(x)).collect();
    back.insert(axis, 0);
    let row = cx.transpose(x, &to_front)?;
    let mut shape = cx.shape(row);
    shape[0] = extent.clone();
    let zero = cx.scalar_like(x, 0.0)?;
    let zeros = cx.broadcast_to(zero, &shape)?;
    let put = cx.add(Scatter::checked(Combine::Set, 1), &[zeros, at, row])?;
    cx.transpose(put, &back)
}

/// The operands that say where the entries begin and end. They may depend on values where masks make them idle.
struct Ends {
    begin: Result<Vec<Dim>>,
    end: Result<Vec<Dim>>,
    entries: usize,
}

impl Ends {
    /// What entry `n` cuts out of an axis of this extent.
    fn cut(&self, cx: &mut Import, masks: &Masks, n: usize, stride: i64, extent: &Dim) -> Result<Cut> {
        let idle = [has(masks.begin, n), has(masks.end, n)];
        let at = |list: &Result<Vec<Dim>>, operand: usize, idle: bool| match list {
            _ if idle => Ok(None),
            Ok(_) => entry(list, n).map(Some),
            Err(_) => cx.element_of(cx.arg(operand)?, n).map(Some).ok_or_else(|| "it is data".into()),
        };
        let ends: [Result<Option<Dim>>; 2] = [at(&self.begin, 1, idle[0]), at(&self.end, 2, idle[1])];
        match ends {
            [Ok(begin), Ok(end)] => span(cx, begin, end, stride, extent),
            _ if cx.shape(cx.arg(1)?) == [Dim::from(self.entries)] => span_by_data(cx, n, idle, stride, extent),
            _ => {
                let known = entry(&self.begin, n).and(entry(&self.end, n));
                Err(known.err().unwrap_or("begin or end is not known".into()))
            }
        }
    }
}

fn entry(list: &Result<Vec<Dim>>, n: usize) -> Result<Dim> {
    match list {
        Ok(list) => list.get(n).cloned().ok_or_else(|| Stop::from("begin, end and strides differ in length")),
        Err(Stop::Fault(d)) => Err(Stop::Fault(d.clone())),
        Err(_) => Err("begin or end is not known".into()),
    }
}

/// The ellipsis stands for all axes that no entry names; without one it stands at the end.
fn axes_of_entries(masks: &Masks, entries: usize, rank: usize) -> Result<Entries> {
    let ellipses: Vec<usize> = (0..entries).filter(|&n| has(masks.ellipsis, n)).collect();
    if ellipses.len() > 1 {
        return Err("more than one ellipsis".into());
    }
    let is_new = |n: usize| has(masks.new_axis, n) && !has(masks.ellipsis, n);
    let named = (0..entries).filter(|&n| !is_new(n) && !has(masks.ellipsis, n)).count();
    let Some(hidden) = rank.checked_sub(named) else {
        return Err(format!("{named} indices do not fit rank {rank}").into());
    };
    let (mut axes, mut places, mut axis) = (vec![], vec![], 0);
    for n in 0..entries {
        if has(masks.ellipsis, n) {
            places.extend((axis..axis + hidden).map(Place::Axis));
            axis += hidden;
        } else if is_new(n) {
            places.push(Place::New);
        } else {
            axes.push((n, axis));
            places.push(Place::Axis(axis));
            axis += 1;
        }
    }
    places.extend((axis..rank).map(Place::Axis));
    Ok(Entries { axes, places })
}

/// A position counted from the front. One that is negative for an empty extent only is what it is for extents of at
/// least 1, which the entry then checks; one of either sign is chosen by it.
fn from_front(cx: &mut Import, at: &Dim, extent: &Dim) -> Result<Dim> {
    if cx.is_nonneg(at) {
        return Ok(at.clone());
    }
    let below_zero = -at - Dim::one();
    if cx.is_nonneg(&below_zero) {
        return Ok(extent + at);
    }
    // In an empty axis all positions are clamped to one.
    let empty = is_empty_with(extent, at);
    if nonneg_unless_empty(at) {
        if !empty {
            cx.require_at_most(&Dim::zero(), at, "a position that counts from the front")?;
        }
        return Ok(at.clone());
    }
    if nonneg_unless_empty(&below_zero) {
        if !empty {
            cx.require_at_most(&Dim::zero(), &below_zero, "a position that counts from the end")?;
        }
        return Ok(extent + at);
    }
    let counts_from_end = (below_zero + 1).sign();
    counts_from_end
        .choose(&(extent + at), at)
        .ok_or_else(|| format!("whether the position {at} counts from the front or the end is not known").into())
}

/// Whether an extent is 0 where the one symbol of a position is.
fn is_empty_with(extent: &Dim, at: &Dim) -> bool {
    let [symbol] = &at.symbols()[..] else { return false };
    let none = |atom: &Atom| matches!(atom, Atom::Sym(s) if s == symbol).then(Dim::zero);
    extent.substitute(&none).is(0)
}

/// One index. What cannot be proved to be in range is a condition of the call, unless the slice is in a body: that may
/// not run, or with other indices, so there is none.
fn index(cx: &mut Import, at: &Dim, extent: &Dim) -> Result<Option<Cut>> {
    if !cx.conditional {
        return single(cx, at, extent).map(Some);
    }
    let is_below = |at: &Dim| cx.is_nonneg(at) && cx.is_nonneg(&(extent - at - 1));
    let start = [at.clone(), extent + at].into_iter().find(|at| is_below(at));
    Ok(start.map(|start| Cut { start, stride: 1, extent: Dim::one(), single: true }))
}

/// Entry `n` of the begin as an index, from the front, of an axis: `i64[1]`. It is looked at where it is used.
fn index_by_data(cx: &mut Import, n: usize, extent: &Dim) -> Result<NodeId> {
    let begin = cx.arg(1)?;
    let at = cx.slice_axis(begin, 0, n.into(), Dim::one())?;
    let at = cx.cast(at, DType::I64)?;
    let (extent, zero) = (cx.dim_scalar(extent, DType::I64)?, cx.scalar(DType::I64, 0.0)?);
    let (from_end, below) = (cx.add_(at, extent)?, cx.compare(CompareFn::Lt, at, zero)?);
    cx.select(below, from_end, at)
}

/// An index out of range is an error.
fn single(cx: &mut Import, at: &Dim, extent: &Dim) -> Result<Cut> {
    let start = from_front(cx, at, extent)?;
    cx.require_at_most(&Dim::zero(), &start, "an index is out of range")?;
    cx.require_at_most(&(&start + 1), extent, "an index is out of range")?;
    Ok(Cut { start, stride: 1, extent: Dim::one(), single: true })
}

/// As [`span`] for entry `n`, where data decide about begin or end: the number of elements is a size, and so is the first
/// of them.
fn span_by_data(cx: &mut Import, n: usize, idle: [bool; 2], stride: i64, extent: &Dim) -> Result<Cut> {
    let (least, greatest) = if stride > 0 { (Dim::zero(), extent.clone()) } else { (Dim::from(-1), extent - 1) };
    let (first, last) = if stride > 0 { (&least, &greatest) } else { (&greatest, &least) };
    let [low, high] = [cx.dim_scalar(&least, DType::I64)?, cx.dim_scalar(&greatest, DType::I64)?];
    let (zero, all) = (cx.scalar(DType::I64, 0.0)?, cx.dim_scalar(extent, DType::I64)?);
    let mut ends = vec![];
    for (operand, idle, edge) in [(1, idle[0], first), (2, idle[1], last)] {
        if idle {
            ends.push(cx.dim_scalar(edge, DType::I64)?);
            continue;
        }
        let list = cx.arg(operand)?;
        let at = cx.slice_axis(list, 0, n.into(), Dim::one())?;
        let at = cx.cast(at, DType::I64)?;
        let at = cx.reshape(at, &[])?;
        let (from_end, below) = (cx.add_(at, all)?, cx.compare(CompareFn::Lt, at, zero)?);
        let at = cx.select(below, from_end, at)?;
        let at = cx.binary(BinaryFn::Max, at, low)?;
        ends.push(cx.binary(BinaryFn::Min, at, high)?);
    }
    let size = i64::try_from(stride.unsigned_abs()).map_err(|_| "a stride is too large")?;
    let way = if stride > 0 { cx.sub(ends[1], ends[0])? } else { cx.sub(ends[0], ends[1])? };
    let more = cx.dim_scalar(&Dim::from(size - 1), DType::I64)?;
    let way = cx.add_(way, more)?;
    let way = cx.binary(BinaryFn::Max, way, zero)?;
    let by = cx.dim_scalar(&Dim::from(size), DType::I64)?;
    let count = cx.div(way, by)?;
    let count = cx.size_at(count, 0, "the number of elements", Some(&extent.ceil_div(&Dim::from(size))))?;
    // An empty span stands nowhere.
    let start = cx.binary(BinaryFn::Max, ends[0], zero)?;
    let start = cx.size_at(start, 0, "the first element", Some(extent))?;
    Ok(Cut { start, stride, extent: count, single: false })
}

/// Begin and end are clamped; `None` is as far as the stride leads.
fn span(cx: &mut Import, begin: Option<Dim>, end: Option<Dim>, stride: i64, extent: &Dim) -> Result<Cut> {
    // The positions at which a walk may stand or end: 0..=n forwards, -1..=n-1 backwards.
    let (least, greatest) = if stride > 0 { (Dim::zero(), extent.clone()) } else { (Dim::from(-1), extent - 1) };
    let (first, last) = if stride > 0 { (&least, &greatest) } else { (&greatest, &least) };
    let mut clamped = |at: Option<Dim>, idle: &Dim| match at {
        None => Ok::<Dim, Stop>(idle.clone()),
        Some(at) => {
            let at = from_front(cx, &at, extent)?;
            Ok(cx.lesser(&cx.greater(&at, &least), &greatest))
        }
    };
    let (start, end) = (clamped(begin, first)?, clamped(end, last)?);
    let way = if stride > 0 { &end - &start } else { &start - &end };
    let size = i64::try_from(stride.unsigned_abs()).map_err(|_| "a stride is too large")?;
    let extent = way.ceil_div(&Dim::from(size)).at_least(&Dim::zero());
    // An empty span stands nowhere, and is not looked at.
    let start = if extent.is(0) { Dim::zero() } else { start };
    Ok(Cut { start, stride, extent, single: false })
}
