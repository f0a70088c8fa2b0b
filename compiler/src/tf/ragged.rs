//! Ragged tensors: the values of all rows, one row behind the other, and for each ragged axis where its rows begin: one more
//! split than there are rows, of which the first is 0 and the last the number of what is cut.

use super::{
    Import, Outputs, Stop, TfOp, Value,
    build::one,
    found::Pieces,
    segment::never_falling,
    sparse::{folded, numbered, picked, vector},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Gather, Iota, Outside, Scan, Scatter},
    tensor::{DType, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "RaggedTensorToTensor", import: to_tensor },
    TfOp { name: "RaggedTensorToSparse", import: to_sparse },
    TfOp { name: "RaggedRange", import: range },
    TfOp { name: "RaggedGather", import: gather },
];

/// How a number of things is cut into rows.
pub(super) struct Cut {
    /// `i64[rows + 1]`.
    pub splits: NodeId,
    pub rows: Dim,
}

impl Cut {
    /// Splits that are operand `n`, a vector with one element at least.
    pub fn operand(cx: &mut Import, n: usize) -> Result<Cut> {
        let splits = vector(cx, n, "splits")?;
        let rows = &cx.shape(splits)[0] - 1;
        cx.require_at_most(&Dim::zero(), &rows, "the number of splits, less 1")?;
        Ok(Cut { splits: cx.cast(splits, DType::I64)?, rows })
    }
    /// The same, which is a fault unless the splits begin with 0, never fall, and end with `of`.
    pub fn fitting(self, cx: &mut Import, of: &Dim) -> Result<Cut> {
        let (zero, end) = (cx.scalar(DType::I64, 0.0)?, cx.dim_scalar(of, DType::I64)?);
        let (first, last) = (self.split(cx, &Dim::zero())?, self.split(cx, &self.rows)?);
        let (first, last) = (cx.compare(CompareFn::Eq, first, zero)?, cx.compare(CompareFn::Eq, last, end)?);
        let lengths = self.lengths(cx)?;
        let rises = cx.compare(CompareFn::Ge, lengths, zero)?;
        let rises = folded(cx, BinaryFn::And, rises)?;
        let mut fits = cx.and(first, last)?;
        fits = cx.and(fits, rises)?;
        let splits = cx.provided(self.splits, fits, "splits rise from 0 to the number of what they cut")?;
        Ok(Cut { splits, ..self })
    }
    /// Rows of these lengths, `i64[rows]`.
    pub fn of_lengths(cx: &mut Import, lengths: NodeId) -> Result<Cut> {
        let rows = cx.shape(lengths)[0].clone();
        let zero = cx.scalar(DType::I64, 0.0)?;
        let first = cx.reshape(zero, &[Dim::one()])?;
        let ends = cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: false, reverse: false }, &[lengths])?;
        Ok(Cut { splits: cx.concat(&[first, ends], 0)?, rows })
    }
    /// Rows of which every one of `n` things says to which it belongs, `ids: i64[n]`, which never fall.
    fn of_ids(cx: &mut Import, ids: NodeId, rows: &Dim) -> Result<Cut> {
        let n = cx.shape(ids)[0].clone();
        let ids = never_falling(cx, ids, &n)?;
        let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
        let start = cx.broadcast_to(zero, std::slice::from_ref(rows))?;
        let units = cx.broadcast_to(unit, &[n])?;
        let to = cx.insert_axes(ids, &[1])?;
        let lengths = cx.add(Scatter::checked(Combine::Add, 1), &[start, to, units])?;
        Cut::of_lengths(cx, lengths)
    }
    /// One split, a scalar.
    fn split(&self, cx: &mut Import, at: &Dim) -> Result<NodeId> {
        let split = cx.slice_axis(self.splits, 0, at.clone(), Dim::one())?;
        cx.reshape(split, &[])
    }
    /// Where each row begins, and where it ends: `i64[rows]`.
    pub fn borders(&self, cx: &mut Import) -> Result<[NodeId; 2]> {
        let begins = cx.slice_axis(self.splits, 0, Dim::zero(), self.rows.clone())?;
        Ok([begins, cx.slice_axis(self.splits, 0, Dim::one(), self.rows.clone())?])
    }
    pub fn lengths(&self, cx: &mut Import) -> Result<NodeId> {
        let [begins, ends] = self.borders(cx)?;
        cx.sub(ends, begins)
    }
    /// The length of the longest row, 0 of none: a scalar.
    fn longest(&self, cx: &mut Import) -> Result<NodeId> {
        let (lengths, zero) = (self.lengths(cx)?, cx.scalar(DType::I64, 0.0)?);
        let longest = folded(cx, BinaryFn::Max, lengths)?;
        cx.binary(BinaryFn::Max, longest, zero)
    }
    /// To which row each of the `n` things belongs: as many rows as end before it or where it is.
    pub fn ids(&self, cx: &mut Import, n: &Dim) -> Result<NodeId> {
        let (zero, unit) = (cx.scalar(DType::I64, 0.0)?, cx.scalar(DType::I64, 1.0)?);
        let start = cx.broadcast_to(zero, std::slice::from_ref(n))?;
        let units = cx.broadcast_to(unit, std::slice::from_ref(&self.rows))?;
        let [_, ends] = self.borders(cx)?;
        let ends = cx.insert_axes(ends, &[1])?;
        let scatter = Scatter { f: Combine::Add, depth: 1, below: Outside::Fault, above: Outside::Drop };
        let ended = cx.add(scatter, &[start, ends, units])?;
        cx.add(Scan { f: BinaryFn::Add, axis: 0, exclusive: false, reverse: false }, &[ended])
    }
    /// The place of each of the `n` things in its row, by the rows that they belong to.
    pub fn columns(&self, cx: &mut Import, ids: NodeId, n: &Dim) -> Result<NodeId> {
        let begins = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[self.splits, ids])?;
        let places = numbered(cx, n)?;
        cx.sub(places, begins)
    }
}

/// The rows of a ragged tensor in a dense one, cut or padded with the default value to the extents that are given, or else to
/// the longest row.
fn to_tensor(cx: &mut Import) -> Outputs {
    let (values, default) = (cx.arg(1)?, cx.arg(2)?);
    let [number, inner @ ..] = &cx.shape(values)[..] else { return Err("values are no scalar".into()) };
    let (first, cuts) = partitions(cx, number)?;
    let rank = cuts.len() + 1 + inner.len();
    let given = cx.arg(0)?;
    let given_rank = match &cx.shape(given)[..] {
        [] => None,
        [rank] => Some(rank.clone()),
        shape => return Err(format!("a shape is a vector, got rank {}", shape.len()).into()),
    };
    match &given_rank {
        Some(given) => {
            cx.require_equal(given, &rank.into(), "the number of extents and the rank of the ragged tensor")?
        }
        None if cx.known_ints(given).as_deref() == Some(&[-1]) => {}
        None => return Err("a shape that is a scalar is -1".into()),
    }
    let mut shape = vec![];
    for axis in 0..rank {
        let inner = axis.checked_sub(cuts.len() + 1).map(|axis| inner[axis].clone());
        shape.push(match (given_rank.is_some(), inner) {
            (true, inner) => given_extent(cx, given, axis, inner, &first, &cuts)?,
            (false, Some(inner)) => inner,
            (false, None) => {
                let ((extent, most), name) = (natural_extent(cx, axis, &first, &cuts)?, cx.node.name.clone());
                cx.bind(extent, Some(&most), &name, "the longest row")?
            }
        });
    }
    let values = with_default(cx, values, default, inner)?;

    // Where in the values each element lies; behind them, where the default is. So each axis leads from rows to what is in them.
    let at = cx.add(Iota { shape: vec![shape[0].clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let end = cx.dim_scalar(&first, DType::I64)?;
    let mut places = cx.binary(BinaryFn::Min, at, end)?;
    for (axis, Level { cut, of }) in cuts.iter().enumerate() {
        let (unit, last) = (cx.scalar(DType::I64, 1.0)?, cx.dim_scalar(&cut.rows, DType::I64)?);
        let begins = picked(cx, cut.splits, places)?;
        let next = cx.add_(places, unit)?;
        let next = cx.binary(BinaryFn::Min, next, last)?;
        let ends = picked(cx, cut.splits, next)?;
        let mut wide = vec![Dim::one(); axis + 2];
        wide[axis + 1] = shape[axis + 1].clone();
        let column = cx.add(Iota { shape: wide, axis: axis + 1, dtype: DType::I64 }, &[])?;
        let (begins, ends) = (cx.insert_axes(begins, &[axis + 1])?, cx.insert_axes(ends, &[axis + 1])?);
        let [begins, ends, column] = {
            let all = &shape[..axis + 2];
            [cx.broadcast_to(begins, all)?, cx.broadcast_to(ends, all)?, cx.broadcast_to(column, all)?]
        };
        let place = cx.add_(begins, column)?;
        let there = cx.compare(CompareFn::Lt, place, ends)?;
        let nowhere = cx.dim_scalar(of, DType::I64)?;
        places = cx.select(there, place, nowhere)?;
    }
    one(picked(cx, values, places)?)
}

/// The values, and behind them the default value of one row.
fn with_default(cx: &mut Import, values: NodeId, default: NodeId, inner: &[Dim]) -> Result<NodeId> {
    let of_default = cx.shape(default);
    if of_default.len() > inner.len() {
        let what = format!("a default of rank {} is no part of values of rank {}", of_default.len(), inner.len() + 1);
        return Err(what.into());
    }
    // TensorFlow looks at the first axes, though it repeats along the last ones.
    for (a, b) in of_default.iter().zip(inner) {
        if !a.is(1) {
            cx.require_equal(a, b, "the extents of the default value and of the values")?;
        }
    }
    let default = cx.broadcast_to(default, inner)?;
    let default = cx.insert_axes(default, &[0])?;
    cx.concat(&[values, default], 0)
}

/// One ragged axis: how its rows cut `of` things.
struct Level {
    cut: Cut,
    of: Dim,
}

/// The number of rows, and the ragged axes, outermost first, of so many values.
fn partitions(cx: &mut Import, number: &Dim) -> Result<(Dim, Vec<Level>)> {
    let types: Vec<String> =
        cx.node.attr_strs("row_partition_types")?.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
    if types.is_empty() || types.len() + 3 != cx.count() {
        return Err(format!("{} operands do not fit {} row partitions", cx.count(), types.len()).into());
    }
    let is_sized = types[0] == "FIRST_DIM_SIZE";
    let begin = usize::from(is_sized);
    // What each partition cuts is the rows of the next one, where these are told.
    let mut of: Vec<Option<Dim>> = vec![];
    for (n, ty) in types.iter().enumerate().skip(begin) {
        let next = match types.get(n + 1).map(String::as_str) {
            None => Some(number.clone()),
            Some("ROW_SPLITS") => {
                let splits = vector(cx, 3 + n + 1, "splits")?;
                Some(&cx.shape(splits)[0] - 1)
            }
            Some(_) => None,
        };
        of.push(match (ty.as_str(), next) {
            ("ROW_SPLITS", next) => next,
            ("VALUE_ROWIDS", next) => {
                let ids = vector(cx, 3 + n, "row ids")?;
                let ids = cx.shape(ids)[0].clone();
                if let Some(next) = next {
                    cx.require_equal(&ids, &next, "the numbers of row ids and of what they are for")?;
                }
                Some(ids)
            }
            (other, _) => return Err(format!("a row partition of type {other} is not supported").into()),
        });
    }
    if of.is_empty() {
        return Err("the number of rows needs row ids behind it".into());
    }
    let mut rows = match is_sized {
        true => {
            let rows = cx.size(3, "the number of rows", None)?;
            cx.require_at_most(&Dim::zero(), &rows, "the number of rows")?;
            rows
        }
        false if types[0] == "VALUE_ROWIDS" => return Err("row ids need the number of rows before them".into()),
        false => Cut::operand(cx, 3)?.rows,
    };
    let first = rows.clone();
    let mut levels = vec![];
    for (n, of) in of.into_iter().enumerate() {
        let at = begin + n;
        let cut = match types[at].as_str() {
            "ROW_SPLITS" => {
                let cut = Cut::operand(cx, 3 + at)?;
                cx.require_equal(&cut.rows, &rows, "the numbers of rows and of splits")?;
                cut
            }
            _ => {
                let ids = vector(cx, 3 + at, "row ids")?;
                let ids = cx.cast(ids, DType::I64)?;
                Cut::of_ids(cx, ids, &rows)?
            }
        };
        let of = match of {
            Some(of) => of,
            None => {
                let last = cut.split(cx, &cut.rows)?;
                cx.bind_pieces(last, &cut.rows, None, Pieces::Tokens, "the number of inner rows")?
            }
        };
        let cut = if types[at] == "ROW_SPLITS" { cut.fitting(cx, &of)? } else { cut };
        rows = of.clone();
        levels.push(Level { cut, of });
    }
    Ok((first, levels))
}

/// The extent that an axis has by itself: the number of rows, or the longest row, and the most that it can be.
fn natural_extent(cx: &mut Import, axis: usize, first: &Dim, cuts: &[Level]) -> Result<(NodeId, Dim)> {
    match axis.checked_sub(1).map(|n| &cuts[n]) {
        None => Ok((cx.dim_scalar(first, DType::I64)?, first.clone())),
        Some(level) => Ok((level.cut.longest(cx)?, level.of.clone())),
    }
}

/// The extent of an axis by element `axis` of the shape that is given: -1 is the one that there is.
fn given_extent(
    cx: &mut Import,
    given: NodeId,
    axis: usize,
    inner: Option<Dim>,
    first: &Dim,
    cuts: &[Level],
) -> Result<Dim> {
    let known = cx.element_of(given, axis);
    let is_open = known.as_ref().is_some_and(|extent| extent.is(-1));
    let name = cx.node.name.clone();
    let extent = match (known, &inner) {
        (Some(_), Some(inner)) if is_open => inner.clone(),
        (Some(_), None) if is_open => {
            let (extent, most) = natural_extent(cx, axis, first, cuts)?;
            cx.bind(extent, Some(&most), &name, "the longest row")?
        }
        (Some(extent), _) => {
            cx.require_at_most(&Dim::zero(), &extent, "an extent of the shape")?;
            extent
        }
        (None, _) => {
            let (open, given) = (cx.scalar(DType::I64, -1.0)?, cx.cast(given, DType::I64)?);
            let given = cx.slice_axis(given, 0, axis.into(), Dim::one())?;
            let given = cx.reshape(given, &[])?;
            let is_open = cx.compare(CompareFn::Eq, given, open)?;
            let natural = match &inner {
                Some(inner) => cx.dim_scalar(inner, DType::I64)?,
                None => natural_extent(cx, axis, first, cuts)?.0,
            };
            let extent = cx.select(is_open, natural, given)?;
            cx.bind(extent, inner.as_ref(), &name, "an extent of the shape")?
        }
    };
    if let Some(inner) = inner {
        cx.require_equal(&extent, &inner, "an inner extent of the shape and that of the values")?;
    }
    Ok(extent)
}

/// The nested splits that operands 0 to `rank - 1` are, of so many values.
fn nested(cx: &mut Import, rank: usize, number: &Dim) -> Result<Vec<Level>> {
    let mut levels: Vec<Level> = vec![];
    for n in (0..rank).rev() {
        let of = levels.last().map_or(number, |inner| &inner.cut.rows).clone();
        let cut = Cut::operand(cx, n)?;
        levels.push(Level { cut: cut.fitting(cx, &of)?, of });
    }
    levels.reverse();
    Ok(levels)
}

/// Indices of all values, the values, and the extents of the dense tensor.
fn to_sparse(cx: &mut Import) -> Outputs {
    let ragged_rank = usize::try_from(cx.node.attr_int("RAGGED_RANK")?).unwrap_or(0);
    let values = cx.arg(ragged_rank)?;
    let [number, inner @ ..] = &cx.shape(values)[..] else { return Err("values are no scalar".into()) };
    if ragged_rank == 0 {
        return Err("a tensor without splits is not ragged".into());
    }
    let levels = nested(cx, ragged_rank, number)?;
    let mut at = numbered(cx, number)?;
    let mut columns = vec![];
    for level in levels.iter().rev() {
        let ids = level.cut.ids(cx, &level.of)?;
        let within = level.cut.columns(cx, ids, &level.of)?;
        columns.push(picked(cx, within, at)?);
        at = picked(cx, ids, at)?;
    }
    columns.push(at);
    columns.reverse();
    let shape = [std::slice::from_ref(number), inner].concat();
    let all = count(&shape);
    let mut indices = vec![];
    for column in columns {
        let mut wide = vec![Dim::one(); shape.len()];
        wide[0] = number.clone();
        let column = cx.reshape(column, &wide)?;
        let column = cx.broadcast_to(column, &shape)?;
        indices.push(cx.reshape(column, &[all.clone(), Dim::one()])?);
    }
    for axis in 1..shape.len() {
        let index = cx.add(Iota { shape: shape.clone(), axis, dtype: DType::I64 }, &[])?;
        indices.push(cx.reshape(index, &[all.clone(), Dim::one()])?);
    }
    let indices = cx.concat(&indices, 1)?;
    let values = cx.reshape(values, &[all])?;
    let mut extents = vec![cx.dim_scalar(&levels[0].cut.rows, DType::I64)?];
    for level in &levels {
        extents.push(level.cut.longest(cx)?);
    }
    for extent in inner {
        extents.push(cx.dim_scalar(extent, DType::I64)?);
    }
    let extents = extents.into_iter().map(|e| cx.reshape(e, &[Dim::one()])).collect::<Result<Vec<_>>>()?;
    Ok(vec![indices.into(), values.into(), cx.concat(&extents, 0)?.into()])
}

/// The numbers from each start up to, and without, the limit.
fn range(cx: &mut Import) -> Outputs {
    let names = ["starts", "limits", "deltas"];
    let mut rows: Option<Dim> = None;
    for (n, what) in names.iter().enumerate() {
        let x = cx.arg(n)?;
        match &cx.shape(x)[..] {
            [] => {}
            [number] => match &rows {
                Some(rows) => cx.require_equal(number, &rows.clone(), "the numbers of starts, limits and deltas")?,
                None => rows = Some(number.clone()),
            },
            shape => return Err(format!("{what} are a scalar or a vector, got rank {}", shape.len()).into()),
        }
    }
    let rows = rows.unwrap_or_else(Dim::one);
    let [starts, limits, deltas] = [0, 1, 2].map(|n| cx.arg(n));
    let (starts, limits, deltas) = (starts?, limits?, deltas?);
    let [starts, limits, deltas] = [
        cx.broadcast_to(starts, std::slice::from_ref(&rows))?,
        cx.broadcast_to(limits, std::slice::from_ref(&rows))?,
        cx.broadcast_to(deltas, std::slice::from_ref(&rows))?,
    ];
    let lengths = range_lengths(cx, starts, limits, deltas)?;
    let splits_type = cx.attr_dtype("Tsplits")?;
    let cut = Cut::of_lengths(cx, lengths)?;
    let last = cut.split(cx, &rows)?;
    let number = cx.bind_pieces(last, &rows, None, Pieces::Tokens, "the number of values")?;
    let ids = cut.ids(cx, &number)?;
    let column = cut.columns(cx, ids, &number)?;
    let dtype = cx.dtype(starts);
    let (column, start, delta) = (cx.cast(column, dtype)?, picked(cx, starts, ids)?, picked(cx, deltas, ids)?);
    let further = cx.mul(column, delta)?;
    let values = cx.add_(start, further)?;
    Ok(vec![cx.cast(cut.splits, splits_type)?.into(), values.into()])
}

/// How many numbers there are from starts to limits. A step of 0 is a fault, and so is an infinite number.
fn range_lengths(cx: &mut Import, starts: NodeId, limits: NodeId, deltas: NodeId) -> Result<NodeId> {
    let dtype = cx.dtype(starts);
    let wide = if dtype.is_float() { dtype } else { DType::I64 };
    let [starts, limits, deltas] = [cx.cast(starts, wide)?, cx.cast(limits, wide)?, cx.cast(deltas, wide)?];
    let (zero, none) = (cx.scalar(wide, 0.0)?, cx.scalar(DType::I64, 0.0)?);
    let (up, down) = (cx.compare(CompareFn::Gt, deltas, zero)?, cx.compare(CompareFn::Lt, deltas, zero)?);
    let (below, above) = (cx.compare(CompareFn::Lt, limits, starts)?, cx.compare(CompareFn::Gt, limits, starts)?);
    let (up_none, down_none) = (cx.and(up, below)?, cx.and(down, above)?);
    let empty = cx.or(up_none, down_none)?;
    let way = cx.sub(limits, starts)?;
    let (lengths, fine) = if dtype.is_float() {
        let steps = cx.div(way, deltas)?;
        let steps = cx.unary(UnaryFn::Abs, steps)?;
        let steps = cx.unary(UnaryFn::Ceil, steps)?;
        let (most, moves) = (cx.scalar(wide, (1u64 << 62) as f64)?, cx.or(up, down)?);
        let few = cx.compare(CompareFn::Le, steps, most)?;
        (cx.cast(steps, DType::I64)?, cx.and(few, moves)?)
    } else {
        let unit = cx.scalar(wide, 1.0)?;
        let (long, step) = (cx.unary(UnaryFn::Abs, way)?, cx.unary(UnaryFn::Abs, deltas)?);
        let divisor = cx.binary(BinaryFn::Max, step, unit)?;
        let (steps, rest) = (cx.div(long, divisor)?, cx.binary(BinaryFn::Rem, long, divisor)?);
        let rest = cx.compare(CompareFn::Gt, rest, zero)?;
        let rest = cx.cast(rest, DType::I64)?;
        // What no i64 holds has another sign.
        let (forth, back) = (cx.compare(CompareFn::Ge, way, zero)?, cx.compare(CompareFn::Le, way, zero)?);
        let (forth, back) = (cx.and(up, forth)?, cx.and(down, back)?);
        let (way, moves) = (cx.or(forth, back)?, cx.compare(CompareFn::Gt, step, zero)?);
        (cx.add_(steps, rest)?, cx.and(way, moves)?)
    };
    let moves = cx.compare(CompareFn::Ne, deltas, zero)?;
    let empty = cx.and(empty, moves)?;
    let (lengths, fine) = (cx.select(empty, none, lengths)?, cx.or(fine, empty)?);
    let fine = folded(cx, BinaryFn::And, fine)?;
    cx.provided(lengths, fine, "each step leads on, by a number of steps that an integer holds")
}

/// Rows at indices, of which each is a row again where it is one of several axes.
fn gather(cx: &mut Import) -> Outputs {
    let ragged_rank = usize::try_from(cx.node.attr_int("PARAMS_RAGGED_RANK")?).unwrap_or(0);
    let (values, indices) = (cx.arg(ragged_rank)?, cx.arg(ragged_rank + 1)?);
    if ragged_rank == 0 || cx.rank(values) == 0 {
        return Err("a tensor without rows is not ragged".into());
    }
    let number = cx.shape(values)[0].clone();
    let splits_type = cx.attr_dtype("Tsplits")?;
    let levels = nested(cx, ragged_rank, &number)?;
    let outer = cx.shape(indices);
    let n = count(&outer);
    let mut outputs: Vec<Value> = vec![];
    // The axes of the indices but the last one have rows of one length.
    for axis in 0..outer.len().saturating_sub(1) {
        let rows = count(&outer[..axis + 1]);
        let at = numbered(cx, &(&rows + 1))?;
        let width = cx.dim_scalar(&outer[axis + 1], DType::I64)?;
        let splits = cx.mul(at, width)?;
        outputs.push(cx.cast(splits, splits_type)?.into());
    }
    let indices = cx.cast(indices, DType::I64)?;
    let mut at = cx.reshape(indices, std::slice::from_ref(&n))?;
    let mut number = n;
    for (depth, level) in levels.iter().enumerate() {
        let [begins, ends] = level.cut.borders(cx)?;
        let checked = Gather { axis: 0, batch: 0, checked: depth == 0 };
        let (begin, end) = (cx.add(checked.clone(), &[begins, at])?, cx.add(checked, &[ends, at])?);
        let lengths = cx.sub(end, begin)?;
        let cut = Cut::of_lengths(cx, lengths)?;
        let last = cut.split(cx, &cut.rows)?;
        let name = cx.node.name.clone();
        let most = &number * &level.of;
        number = cx.bind(last, Some(&most), &name, "the number of gathered values")?;
        let ids = cut.ids(cx, &number)?;
        let column = cut.columns(cx, ids, &number)?;
        let begin = picked(cx, begin, ids)?;
        at = cx.add_(begin, column)?;
        if outer.len() + depth > 0 {
            outputs.push(cx.cast(cut.splits, splits_type)?.into());
        }
    }
    outputs.push(picked(cx, values, at)?.into());
    Ok(outputs)
}
