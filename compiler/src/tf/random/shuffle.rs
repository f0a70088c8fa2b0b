//! Rows in random order: each row, from the first on, changes places with one of those from it to the last.

use std::sync::Arc;

use super::{Result, Stream};
use crate::{
    base::{Dim, Symbol},
    graph::{Graph, Loop, NodeId},
    loops::{BinaryFn, Combine},
    op::{Binary, Cast, Concat, Gather, Iota, Reshape, Scatter, Slice},
    tensor::{DType, TensorType},
    tf::Import,
};

/// The rows of operand 0.
pub(super) fn shuffled(cx: &mut Import, stream: Stream) -> Result<NodeId> {
    let x = cx.arg(0)?;
    let Some(rows) = cx.shape(x).first().cloned() else { return Ok(x) };
    if rows.as_int().is_some_and(|n| n < 2) {
        return Ok(x);
    }
    let order = order(cx, stream, &rows)?;
    cx.add(Gather { axis: 0, batch: 0, checked: false }, &[x, order])
}

/// Where each of so many rows comes from, i64: a word for each row but the last says with which one it changes places.
fn order(cx: &mut Import, stream: Stream, rows: &Dim) -> Result<NodeId> {
    let count = (rows - 1).at_least(&Dim::zero());
    let words = stream.words(cx, DType::U32, &count)?;
    let first = cx.add(Iota { shape: vec![rows.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let step = Symbol::new(&format!("step{}", cx.loops));
    cx.loops += 1;
    let body = swap(rows, &count, &step)?;
    let swaps = Loop { carried: 1, count: Some(count), condition: None, step, body };
    let results = cx.graph.control(Arc::new(swaps), &[first, words])?;
    Ok(results[0])
}

/// The order and the words to the order after a step.
fn swap(rows: &Dim, count: &Dim, step: &Symbol) -> std::result::Result<Graph, String> {
    let mut g = Graph::default();
    let (here, one) = (Dim::from(step), vec![Dim::one()]);
    let order = g.input("order", TensorType::new(DType::I64, [rows.clone()]));
    let words = g.input("words", TensorType::new(DType::U32, [count.clone()]));
    let at_step = Slice { start: vec![here.clone()], stride: vec![1], shape: one.clone() };
    let word = g.add(at_step.clone(), &[words])?;
    let left = g.extent(rows - &here);
    let left = g.add(Cast { to: DType::U32 }, &[left])?;
    let left = g.add(Reshape { shape: one.clone() }, &[left])?;
    let further = g.add(Binary { f: BinaryFn::Rem }, &[word, left])?;
    let further = g.add(Cast { to: DType::I64 }, &[further])?;
    let place = g.extent(here);
    let place = g.add(Reshape { shape: one }, &[place])?;
    let other = g.add(Binary { f: BinaryFn::Add }, &[place, further])?;
    // Both are read before one is written, so that the order stays where it lies.
    let places = g.add(Concat { axis: 0 }, &[place, other])?;
    let theirs = g.add(Gather { axis: 0, batch: 0, checked: false }, &[order, other])?;
    let mine = g.add(at_step, &[order])?;
    let both = g.add(Concat { axis: 0 }, &[theirs, mine])?;
    let places = g.add(Reshape { shape: vec![2.into(), Dim::one()] }, &[places])?;
    let order = g.add(Scatter::checked(Combine::Set, 1), &[order, places, both])?;
    g.output("order", order);
    Ok(g)
}
