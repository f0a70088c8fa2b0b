//! Neighbouring strings of a row put together.

use super::super::{
    Import, Outputs, Stop, TfOp,
    ragged::Cut,
    sparse::{folded, numbered},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn},
    op::{Gather, Iota, Scatter, TextJoin},
    tensor::{DType, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] = &[TfOp { name: "StringNGrams", import: ngrams }];

/// So many strings at once, with so many pads on either side of their row.
struct Width {
    strings: i64,
    pads: i64,
    /// How many of them each row has: `i64[rows]`.
    count: NodeId,
}

/// Of each row all runs of neighbours, for one width after the other, with pads before and behind the row. A row that has none
/// becomes one run as a whole where short rows are kept. Without any strings there are no runs, of pads neither.
fn ngrams(cx: &mut Import) -> Outputs {
    let data = cx.arg(0)?;
    let [n] = &cx.shape(data)[..] else { return Err("the strings are no vector".into()) };
    let n = n.clone();
    let splits = cx.dtype(cx.arg(1)?);
    let cut = Cut::operand(cx, 1)?.fitting(cx, &n)?;
    let rows = cut.rows.clone();
    let pad_width = cx.node.attr_int("pad_width")?;
    let keeps_short = cx.node.attr_bool("preserve_short_sequences")?;
    let lengths = cut.lengths(cx)?;
    let (widths, most) = widths(cx, lengths, pad_width, &n, &rows)?;

    let none = cx.full_like(lengths, 0.0)?;
    let mut counts = none;
    for width in &widths {
        counts = cx.add_(counts, width.count)?;
    }
    if keeps_short {
        let (nothing, some) = (cx.compare(CompareFn::Eq, counts, none)?, cx.compare(CompareFn::Gt, lengths, none)?);
        let short = cx.and(nothing, some)?;
        let short = cx.cast(short, DType::I64)?;
        counts = cx.add_(counts, short)?;
    }
    let all = folded(cx, BinaryFn::Add, counts)?;
    let name = cx.node.name.clone();
    let k = cx.bind(all, Some(&(most + &rows)), &name, "the number of runs")?;
    let made = Cut::of_lengths(cx, counts)?;
    let row = made.ids(cx, &k)?;
    let place = made.columns(cx, row, &k)?;

    let pads = widths.iter().map(|width| width.pads).max().unwrap_or(0);
    let padded = padded(cx, data, &cut, pads)?;
    let of_row = |cx: &mut Import, values| cx.add(Gather { axis: 0, batch: 0, checked: false }, &[values, row]);
    let [begins, _] = cut.borders(cx)?;
    let begins = of_row(cx, begins)?;
    let shift = number(cx, 2 * pads, &k)?;
    let shift = cx.mul(row, shift)?;
    let begins = cx.add_(begins, shift)?;
    // A row that is kept as a whole has all pads that it may.
    let kept = pad_width.clamp(0, pads);
    let [before, around] = [pads - kept, 2 * kept].map(|n| number(cx, n, &k));
    let length = of_row(cx, lengths)?;
    let (mut start, mut strings) = (cx.add_(begins, before?)?, cx.add_(length, around?)?);
    let zero = number(cx, 0, &k)?;
    let mut passed = zero;
    for width in &widths {
        let count = of_row(cx, width.count)?;
        let rest = cx.sub(place, passed)?;
        let (from, to) = (cx.compare(CompareFn::Ge, rest, zero)?, cx.compare(CompareFn::Lt, rest, count)?);
        let is = cx.and(from, to)?;
        let before = number(cx, pads - width.pads, &k)?;
        let own = cx.add_(begins, before)?;
        let own = cx.add_(own, rest)?;
        start = cx.select(is, own, start)?;
        let own = number(cx, width.strings, &k)?;
        strings = cx.select(is, own, strings)?;
        passed = cx.add_(passed, count)?;
    }
    let end = cx.add_(start, strings)?;
    let separator = cx.node.attr_bytes("separator")?.to_vec();
    let separator = cx.constant(Tensor::from_strings([], vec![separator]))?;
    let joined = cx.add(TextJoin {}, &[padded, start, end, separator])?;
    Ok(vec![joined.into(), cx.cast(made.splits, splits)?.into()])
}

/// The widths, and how many runs all of them give at most.
fn widths(cx: &mut Import, lengths: NodeId, pad_width: i64, n: &Dim, rows: &Dim) -> Result<(Vec<Width>, Dim)> {
    let (mut all, mut most) = (vec![], Dim::zero());
    let some = cx.dim_scalar(&n.at_most(&Dim::one()), DType::I64)?;
    let some = cx.broadcast_to(some, std::slice::from_ref(rows))?;
    for &strings in cx.node.attr_ints("ngram_widths")?.to_vec().iter() {
        if !(1..=MAX_WIDTH).contains(&strings) {
            return Err(format!("runs of {strings} strings are not supported: 1 to {MAX_WIDTH} are").into());
        }
        let pads = if pad_width < 0 { strings - 1 } else { pad_width.min(strings - 1) };
        let more = 2 * pads - strings + 1;
        let (zero, shift) = (number(cx, 0, rows)?, number(cx, more, rows)?);
        let count = cx.add_(lengths, shift)?;
        let count = cx.binary(BinaryFn::Max, count, zero)?;
        let count = cx.mul(count, some)?;
        most = most + n + rows * more.max(0);
        all.push(Width { strings, pads, count });
    }
    Ok((all, most))
}

/// The longest runs.
const MAX_WIDTH: i64 = 1024;

/// A number so many times.
fn number(cx: &mut Import, n: i64, times: &Dim) -> Result<NodeId> {
    let n = cx.scalar(DType::I64, n as f64)?;
    cx.broadcast_to(n, std::slice::from_ref(times))
}

/// The strings of all rows, with so many pads before and behind each row.
fn padded(cx: &mut Import, data: NodeId, cut: &Cut, pads: i64) -> Result<NodeId> {
    if pads == 0 {
        return Ok(data);
    }
    let (n, rows) = (cx.shape(data)[0].clone(), &cut.rows);
    let pad = |cx: &mut Import, name, times: &Dim| {
        let pad = cx.node.attr_bytes(name)?.to_vec();
        let pad = cx.constant(Tensor::from_strings([], vec![pad]))?;
        cx.broadcast_to(pad, std::slice::from_ref(times))
    };
    let all = pad(cx, "left_pad", &(&n + rows * (2 * pads)))?;
    let place = numbered(cx, &n)?;
    let row = cut.ids(cx, &n)?;
    let (per_row, before) = (number(cx, 2 * pads, &n)?, number(cx, pads, &n)?);
    let shift = cx.mul(row, per_row)?;
    let place = cx.add_(place, shift)?;
    let place = cx.add_(place, before)?;
    let place = cx.insert_axes(place, &[1])?;
    let filled = cx.add(Scatter::checked(Combine::Set, 1), &[all, place, data])?;

    let shape = [rows.clone(), Dim::from(pads)];
    let [_, ends] = cut.borders(cx)?;
    let ends = cx.insert_axes(ends, &[1])?;
    let ends = cx.broadcast_to(ends, &shape)?;
    let [row, pad_number] = [0, 1].map(|axis| cx.add(Iota { shape: shape.to_vec(), axis, dtype: DType::I64 }, &[]));
    let (per_row, before) = (cx.scalar(DType::I64, 2.0 * pads as f64)?, cx.scalar(DType::I64, pads as f64)?);
    let (per_row, before) = (cx.broadcast_to(per_row, &shape)?, cx.broadcast_to(before, &shape)?);
    let place = cx.mul(row?, per_row)?;
    let place = cx.add_(place, pad_number?)?;
    let place = cx.add_(place, ends)?;
    let place = cx.add_(place, before)?;
    let many = rows * pads;
    let place = cx.reshape(place, &[many.clone(), Dim::one()])?;
    let behind = pad(cx, "right_pad", &many)?;
    cx.add(Scatter::checked(Combine::Set, 1), &[filled, place, behind])
}
