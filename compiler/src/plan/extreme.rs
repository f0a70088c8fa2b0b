//! The template for the place of the greatest or least element of a row, in two passes that run as lanes.
//!
//! The first finds the extreme; the second the least place that holds it, among places that are read from a constant,
//! because lanes have no numbers of their own.

use super::lower::{Context, Site};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, ExprId, LoopKind},
    op::{ArgReduce, identity},
    tensor::{DType, Scalar, Tensor},
};

/// Longer rows are not worth their constant.
const MAX_ROW: i64 = 1 << 14;

/// The kernel of `root`; none where the axis is not the last one, or elements are not as wide as places.
pub fn extreme<'g>(cx: &mut Context<'g>, tip: NodeId, root: NodeId, op: &ArgReduce) -> Option<Site<'g>> {
    let x = cx.graph.ty(cx.graph.node(root).inputs[0]);
    let extent = x.shape[op.axis].as_int().filter(|n| (1..=MAX_ROW).contains(n))?;
    let places = match x.dtype.size() {
        4 => DType::I32,
        8 => DType::I64,
        _ => return None,
    };
    if x.shape[op.axis + 1..].iter().any(|n| !n.is(1)) || !(x.dtype.is_float() || x.dtype.is_int()) {
        return None;
    }
    let numbers = Tensor::from_fn(places, [extent as usize], |ix| Scalar::from_i64(places, ix[0] as i64));
    let numbers = cx.weights.add(numbers);
    let mut site = Site::new(cx.graph, cx.fusion, tip, root);
    let numbers = site.weights(numbers, places, extent as usize);
    let f = if op.max { BinaryFn::Max } else { BinaryFn::Min };
    let mut outer = x.shape.clone();
    outer[op.axis] = Dim::one();
    let element = |site: &mut Site<'g>, ix: &[Dim], i: &Dim| {
        let mut from = ix.to_vec();
        from[op.axis] = i.clone();
        site.operand(0, &from)
    };
    site.each_flat(&outer, |site, ix| {
        let least = site.w.constant(x.dtype, identity(f, x.dtype));
        let best = site.w.local(x.dtype, []);
        site.w.assign(best, &[], least);
        site.each(&Dim::from(extent), LoopKind::Vector, |site, i| {
            let value = element(site, ix, i);
            let value = if x.dtype.is_float() { unless_nan(site, value, least) } else { value };
            site.w.accumulate(best, &[], f, value);
        });
        let best = site.w.read(best, &[]);
        let best = site.w.set(best);
        let (place, none) = (site.w.local(places, []), site.w.int(places, extent));
        site.w.assign(place, &[], none);
        site.each(&Dim::from(extent), LoopKind::Vector, |site, i| {
            let value = element(site, ix, i);
            let holds = site.w.compare(CompareFn::Eq, value, best);
            let number = site.w.load_flat(numbers, i.clone());
            let candidate = site.w.select(holds, number, none);
            site.w.accumulate(place, &[], BinaryFn::Min, candidate);
        });
        // A row of NaN has no extreme.
        let (place, zero) = (site.w.read(place, &[]), site.w.int(places, 0));
        let place = site.w.set(place);
        let missing = site.w.compare(CompareFn::Eq, place, none);
        let place = site.w.select(missing, zero, place);
        let place = site.w.cast(op.to, place);
        let place = site.w.set(place);
        site.finish_element(ix, place);
    });
    Some(site)
}

fn unless_nan(site: &mut Site<'_>, value: ExprId, otherwise: ExprId) -> ExprId {
    let is_number = site.w.compare(CompareFn::Eq, value, value);
    site.w.select(is_number, value, otherwise)
}
