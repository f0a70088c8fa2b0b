//! Shapes as values and values by shape: what a model computes of extents becomes symbolic dims here.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    flow::{sum, variable},
};
use crate::{
    base::{
        Diagnostic, Dim,
        dim::{Function, NoVars, Number},
    },
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Gather, Iota, Reduce},
    tensor::{DType, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Shape", import: shape },
    TfOp { name: "ShapeN", import: shape_n },
    TfOp { name: "VariableShape", import: variable_shape },
    TfOp { name: "Size", import: size },
    TfOp { name: "Rank", import: rank },
    TfOp { name: "Reshape", import: reshape },
    TfOp { name: "Squeeze", import: squeeze },
    TfOp { name: "ExpandDims", import: expand_dims },
    TfOp { name: "BroadcastTo", import: broadcast_to },
    TfOp { name: "BroadcastArgs", import: broadcast_args },
    TfOp { name: "BroadcastGradientArgs", import: broadcast_gradient_args },
    TfOp { name: "Fill", import: fill },
    TfOp { name: "ZerosLike", import: zeros_like },
    TfOp { name: "OnesLike", import: |cx| like(cx, 1.0) },
    TfOp { name: "Range", import: range },
    TfOp { name: "LinSpace", import: lin_space },
    TfOp { name: "InvertPermutation", import: invert_permutation },
    TfOp { name: "ConcatOffset", import: concat_offset },
    TfOp { name: "DataFormatDimMap", import: data_format_dim_map },
    TfOp { name: "DataFormatVecPermute", import: data_format_permute },
];

/// Extents in an integer type that holds them.
fn extents(cx: &mut Import, dims: &[Dim]) -> Result<NodeId> {
    let to = cx.attr_dtype("out_type")?;
    let greatest = to.int_range().map_or(0, |(_, greatest)| greatest);
    if let Some(dim) = dims.iter().find(|d| d.as_int().is_some_and(|n| i128::from(n) > greatest)) {
        return Err(format!("the extent {dim} does not fit {to}").into());
    }
    cx.dims_tensor(dims, to)
}

fn shape(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let dims = cx.shape(x);
    one(extents(cx, &dims)?)
}

fn shape_n(cx: &mut Import) -> Outputs {
    let args = cx.args()?;
    args.into_iter()
        .map(|x| {
            let dims = cx.shape(x);
            Ok(extents(cx, &dims)?.into())
        })
        .collect()
}

fn variable_shape(cx: &mut Import) -> Outputs {
    let x = variable(cx, 0)?;
    let dims = cx.shape(x);
    one(extents(cx, &dims)?)
}

fn scalar_of(cx: &mut Import, dim: Dim) -> Outputs {
    let vector = extents(cx, &[dim])?;
    one(cx.reshape(vector, &[])?)
}

fn size(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    scalar_of(cx, crate::tensor::count(&cx.shape(x)))
}

fn rank(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.scalar(DType::I32, cx.rank(x) as f64)?)
}

/// One extent of -1 is what the others leave.
fn reshape(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let mut shape = cx.sizes(1, "the shape", None)?;
    let open: Vec<usize> = (0..shape.len()).filter(|&a| shape[a].is(-1)).collect();
    match open[..] {
        [] => {}
        [a] => {
            shape[a] = Dim::one();
            shape[a] = rest(cx, &cx.shape(x), &shape)?;
        }
        _ => return Err("more than one extent is open".into()),
    }
    if let Some(dim) = shape.iter().find(|d| d.as_int().is_some_and(|n| n < 0)) {
        return Err(format!("the extent {dim} is negative").into());
    }
    for dim in &shape {
        cx.require_at_most(&Dim::zero(), dim, "an extent is negative")?;
    }
    one(cx.reshape(x, &shape)?)
}

/// The extent that makes both counts equal, where `to` has a 1 for it. Where another extent of `to` is 0, TensorFlow
/// divides what is not 0: `[4,0]` as `[-1,2*0]` is `[4,0]`. Where that makes a difference to a plain quotient, the plain one
/// stands behind a guard.
fn rest(cx: &mut Import, from: &[Dim], to: &[Dim]) -> Result<Dim> {
    if to.iter().any(|size| size.is(0)) {
        return Ok(rest_of_nothing(from, to));
    }
    let may_be_zero = |d: &&Dim| !(*d - 1).is_nonneg(&NoVars);
    let (mut left, mut own, mut shared) = (from.to_vec(), vec![], vec![]);
    for size in to {
        match left.iter().position(|n| n == size) {
            Some(at) => shared.push(left.remove(at)),
            None => own.push(size.clone()),
        }
    }
    let (have, known) = (crate::tensor::count(&left), crate::tensor::count(&own));
    let exact = have.floor_div(&known);
    let divides = known.as_int().is_some_and(|n| n > 0) || known.as_int().is_none() && &exact * &known == have;
    if !divides {
        return Ok(rest_of_nothing(from, to));
    }
    for size in own.iter().filter(may_be_zero) {
        cx.require_at_most(&Dim::one(), size, "an extent beside an open one is 0")?;
    }
    for n in left.iter().filter(may_be_zero) {
        for size in shared.iter().filter(may_be_zero) {
            cx.require_at_most(&(Dim::one() - size), n, "an extent beside an open one and what is left for it are 0")?;
        }
    }
    Ok(exact)
}

/// The open extent whether or not an extent beside it is 0: the product of the extents that are not 0 over that of the
/// sizes that are not 0, where a size is 0.
fn rest_of_nothing(from: &[Dim], to: &[Dim]) -> Dim {
    let filled = |dims: &[Dim]| dims.iter().fold(Dim::one(), |n, d| n * d.at_least(&Dim::one()));
    let no_zero = to.iter().fold(Dim::one(), |n, d| n * d.at_most(&Dim::one()));
    let have = &no_zero * crate::tensor::count(from) + (Dim::one() - &no_zero) * filled(from);
    have.floor_div(&filled(to))
}

/// All axes of extent 1, or those named. An open extent is not taken for 1 unless it is named.
fn squeeze(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    let named = super::build::axes(cx.node.attr_ints("squeeze_dims")?, shape.len())?;
    if named.is_empty() {
        if let Some(open) = shape.iter().find(|d| d.as_int().is_none()) {
            let note = format!("the axis of extent {open} is kept also where it has one element");
            cx.notes.push(Diagnostic::note(note).at_node(&cx.node.name));
        }
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| shape[a].is(1)).collect();
        return one(cx.drop_axes(x, &axes)?);
    }
    for &a in &named {
        cx.require_equal(&shape[a], &Dim::one(), "the extent of a squeezed axis and 1")?;
    }
    one(cx.drop_axes(x, &named)?)
}

/// Negative axes count the result's rank.
fn expand_dims(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let axis = cx.axis(1, cx.rank(x) + 1)?;
    one(cx.insert_axes(x, &[axis])?)
}

/// The extents in operand `n`, none of which is negative.
fn checked_extents(cx: &mut Import, n: usize) -> Result<Vec<Dim>> {
    let dims = cx.sizes(n, "the shape", None)?;
    for dim in &dims {
        cx.require_at_most(&Dim::zero(), dim, "an extent is negative")?;
    }
    Ok(dims)
}

fn broadcast_to(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = checked_extents(cx, 1)?;
    one(cx.broadcast_to(x, &shape)?)
}

/// The shape to which two shapes broadcast.
fn broadcast_args(cx: &mut Import) -> Outputs {
    let shapes = [checked_extents(cx, 0)?, checked_extents(cx, 1)?];
    let dtype = cx.dtype(cx.arg(0)?);
    let common = cx.common_shape(&shapes)?;
    one(cx.dims_tensor(&common, dtype)?)
}

/// The axes along which the gradient of each operand of a broadcast is summed.
fn broadcast_gradient_args(cx: &mut Import) -> Outputs {
    let shapes = [checked_extents(cx, 0)?, checked_extents(cx, 1)?];
    let dtype = cx.dtype(cx.arg(0)?);
    let common = cx.common_shape(&shapes)?;
    let same = shapes[0] == shapes[1];
    let is_open = |(own, to): (&Dim, &Dim)| !own.is(1) && !cx.graph.facts().equal(own, to);
    if shapes.iter().any(|shape| shape.iter().rev().zip(common.iter().rev()).any(is_open)) {
        return Err("which axes are summed depends on the open extents that are 1".into());
    }
    let mut outputs = vec![];
    for shape in &shapes {
        let missing = common.len() - shape.len();
        let summed = |a: &usize| *a < missing || shape[*a - missing].is(1);
        let axes: Vec<Dim> = (0..common.len()).filter(|a| !same && summed(a)).map(Dim::from).collect();
        outputs.push(cx.dims_tensor(&axes, dtype)?.into());
    }
    Ok(outputs)
}

fn fill(cx: &mut Import) -> Outputs {
    let value = cx.arg(1)?;
    let shape = checked_extents(cx, 0)?;
    if cx.rank(value) != 0 {
        return Err(format!("expected one value, got rank {}", cx.rank(value)).into());
    }
    one(cx.broadcast_to(value, &shape)?)
}

fn zeros_like(cx: &mut Import) -> Outputs {
    if sum::is_of_lists(cx) { sum::zeros_like(cx) } else { like(cx, 0.0) }
}

fn like(cx: &mut Import, value: f64) -> Outputs {
    let x = cx.arg(0)?;
    one(cx.full_like(x, value)?)
}

/// `start + i * delta` for as long as `limit` is not reached.
fn range(cx: &mut Import) -> Outputs {
    let [start, limit, delta] = [cx.arg(0)?, cx.arg(1)?, cx.arg(2)?];
    let dtype = cx.dtype(start);
    let known = if dtype.is_float() { float_steps(cx) } else { int_steps(cx) };
    let count = match known {
        Err(Stop::Fault(_)) if !limits_are_known(cx)? => steps(cx)?,
        known => known?,
    };
    // The half types count in f32, which knows more whole numbers.
    let wide = super::build::widened(dtype);
    let place = cx.add(Iota { shape: vec![count], axis: 0, dtype: wide }, &[])?;
    let (start, delta) = (cx.cast(start, wide)?, cx.cast(delta, wide)?);
    // Counting from 0 by 1 is what the primitive does.
    let is = |id: NodeId, n: i64| cx.graph.as_const(id).and_then(Tensor::to_i64s) == Some(vec![n]);
    let (from_zero, by_one) = (is(start, 0), is(delta, 1));
    let offset = if by_one { place } else { cx.mul(place, delta)? };
    let value = if from_zero { offset } else { cx.add_(start, offset)? };
    let _ = limit;
    one(cx.cast(value, dtype)?)
}

/// Whether start, limit and step follow from extents.
fn limits_are_known(cx: &Import) -> Result<bool> {
    Ok(cx.args()?.into_iter().all(|id| cx.graph.numbers(id).is_some()))
}

/// The number of steps where data decide: what TensorFlow refuses is no size.
fn steps(cx: &mut Import) -> Result<Dim> {
    let what = "the number of elements";
    let is = |cx: &Import, n: usize, value: i64| cx.arg(n).map(|id| cx.known_ints(id) == Some(vec![value]));
    if cx.dtype(cx.arg(0)?).is_int() && is(cx, 0, 0)? && is(cx, 2, 1)? {
        return cx.size(1, what, None);
    }
    let [start, limit, delta] = [cx.arg(0)?, cx.arg(1)?, cx.arg(2)?];
    let dtype = super::build::widened(cx.dtype(start));
    let wide = if dtype.is_int() { DType::I64 } else { dtype };
    let [start, limit, delta] = [cx.cast(start, wide)?, cx.cast(limit, wide)?, cx.cast(delta, wide)?];
    let zero = cx.scalar(wide, 0.0)?;
    let (rises, falls) = (cx.compare(CompareFn::Gt, delta, zero)?, cx.compare(CompareFn::Lt, delta, zero)?);
    let (up, down) = (cx.compare(CompareFn::Le, start, limit)?, cx.compare(CompareFn::Ge, start, limit)?);
    let (up, down) = (cx.and(rises, up)?, cx.and(falls, down)?);
    let leads = cx.or(up, down)?;
    let unit = cx.scalar(wide, 1.0)?;
    let by = cx.select(leads, delta, unit)?;
    let way = cx.sub(limit, start)?;
    let count = if wide.is_int() {
        // Both have one sign: up to the next whole number.
        let (way, by) = (cx.unary(UnaryFn::Abs, way)?, cx.unary(UnaryFn::Abs, by)?);
        let more = cx.add_(way, by)?;
        let more = cx.sub(more, unit)?;
        cx.div(more, by)?
    } else {
        let count = cx.div(way, by)?;
        let count = cx.unary(UnaryFn::Abs, count)?;
        let count = cx.unary(UnaryFn::Ceil, count)?;
        cx.cast(count, DType::I64)?
    };
    let none = cx.scalar(DType::I64, -1.0)?;
    let count = cx.select(leads, count, none)?;
    let name = cx.node.name.clone();
    cx.bind(count, None, &name, what)
}

fn int_steps(cx: &mut Import) -> Result<Dim> {
    let (start, limit) = (cx.dim(0, "the start")?, cx.dim(1, "the limit")?);
    let delta = cx.dim(2, "the step")?;
    if delta.is(0) {
        return Err("the step is 0".into());
    }
    let (low, high, size) = if delta.is_nonneg(&NoVars) {
        (start, limit, delta)
    } else if (-&delta).is_nonneg(&NoVars) {
        (limit, start, -delta)
    } else {
        return Err(cx.unknown(cx.arg(2)?, "the sign of the step"));
    };
    cx.require_at_most(&Dim::one(), &size, "the step of a range")?;
    cx.require_at_most(&low, &high, "the start of a range and its limit")?;
    Ok((high - low).ceil_div(&size))
}

/// As TensorFlow counts: in the type of the range.
fn float_steps(cx: &mut Import) -> Result<Dim> {
    let dtype = cx.dtype(cx.arg(0)?);
    if dtype.size() < 4 {
        return half_steps(cx);
    }
    let rounded = |x: Number| if dtype == DType::F32 { Number::of(Function::Single, &[x]) } else { Some(x) };
    let [start, limit, delta] = [cx.number(0, "the start")?, cx.number(1, "the limit")?, cx.number(2, "the step")?];
    let Some(step) = delta.as_real() else { return Err(cx.unknown(cx.arg(2)?, "the step")) };
    if step == 0.0 {
        return Err("the step is 0".into());
    }
    let count = || {
        let way = rounded(Number::of(Function::Sub, &[limit.clone(), start.clone()])?)?;
        let steps = rounded(Number::of(Function::Div, &[way, delta])?)?;
        let steps = Number::of(Function::Ceil, &[Number::of(Function::Abs, &[steps])?])?;
        let ends = if step > 0.0 { [start.clone(), limit.clone()] } else { [limit.clone(), start.clone()] };
        let leads = Number::of(Function::LessEqual, &ends)?;
        Some((Number::of(Function::ToI64, &[steps])?.as_dim()?.clone(), leads.as_dim()?.clone()))
    };
    let (count, leads) = count().ok_or("a range of so many elements is too large")?;
    if leads.is(0) {
        return Err(format!("no range leads from {start} to {limit} by {step}").into());
    }
    cx.require_equal(&leads, &Dim::one(), "the direction of a range and that of its step")?;
    Ok(count)
}

/// The half types have to be constants.
fn half_steps(cx: &mut Import) -> Result<Dim> {
    let mut values = [0.0; 3];
    for (n, value) in values.iter_mut().enumerate() {
        let id = cx.arg(n)?;
        let known = cx.graph.as_const(id).filter(|t| t.count() == 1).and_then(|t| t.get(0).as_f64());
        *value = known.ok_or_else(|| cx.unknown(id, "a limit"))?;
    }
    let [start, limit, delta] = values;
    if delta == 0.0 || (delta > 0.0) != (limit >= start) && limit != start {
        return Err(format!("no range leads from {start} to {limit} by {delta}").into());
    }
    let steps = ((limit - start) / delta).abs().ceil();
    if !(0.0..9e15).contains(&steps) {
        return Err(format!("a range of {steps} elements is too large").into());
    }
    Ok(Dim::from(steps as i64))
}

/// `num` values from start to stop; the last one is exactly stop.
fn lin_space(cx: &mut Import) -> Outputs {
    let (start, stop) = (cx.arg(0)?, cx.arg(1)?);
    let num = cx.size(2, "the number of values", None)?;
    let dtype = cx.dtype(start);
    cx.require_at_most(&Dim::one(), &num, "the number of values")?;
    if num.is(1) {
        return one(cx.reshape(start, &[Dim::one()])?);
    }
    let steps = cx.dim_scalar(&(&num - 1).at_least(&Dim::one()), dtype)?;
    let way = cx.sub(stop, start)?;
    let step = cx.div(way, steps)?;
    let place = cx.add(Iota { shape: vec![num.clone()], axis: 0, dtype }, &[])?;
    let offset = cx.mul(place, step)?;
    let value = cx.add_(start, offset)?;
    let last = cx.compare(CompareFn::Eq, place, steps)?;
    one(cx.select(last, stop, value)?)
}

/// The place of each number, in a table of all comparisons; a number that is missing or repeated is a fault.
fn invert_permutation(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let dtype = cx.dtype(x);
    let [n] = &cx.shape(x)[..] else { return Err(format!("expected a vector, got rank {}", cx.rank(x)).into()) };
    let row = cx.reshape(x, &[Dim::one(), n.clone()])?;
    let number = cx.add(Iota { shape: vec![n.clone(), Dim::one()], axis: 0, dtype }, &[])?;
    let equal = cx.compare(CompareFn::Eq, row, number)?;
    let hits = cx.cast(equal, DType::I64)?;
    let count = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1] }, &[hits])?;
    let place = cx.add(crate::op::ArgReduce { max: true, axis: 1, to: DType::I64 }, &[hits])?;
    let (one_hit, bad) = (cx.scalar(DType::I64, 1.0)?, cx.scalar(DType::I64, -1.0)?);
    let fine = cx.compare(CompareFn::Eq, count, one_hit)?;
    let place = cx.select(fine, place, bad)?;
    let place = cx.drop_axes(place, &[1])?;
    let places = cx.add(Iota { shape: vec![n.clone()], axis: 0, dtype }, &[])?;
    one(cx.add(Gather { axis: 0, batch: 0, checked: true }, &[places, place])?)
}

/// Where each part starts when all are joined along an axis.
fn concat_offset(cx: &mut Import) -> Outputs {
    let shapes: Vec<Vec<Dim>> = (1..cx.count()).map(|n| cx.dims(n, "a shape")).collect::<Result<_>>()?;
    let Some(first) = shapes.first() else { return Err("expected at least one shape".into()) };
    let (rank, dtype) = (first.len(), cx.dtype(cx.arg(1)?));
    let axis = cx.axis(0, rank)?;
    let mut offset = Dim::zero();
    let mut outputs = vec![];
    for shape in &shapes {
        if shape.len() != rank {
            return Err("the shapes differ in rank".into());
        }
        for (a, (have, want)) in shape.iter().zip(first).enumerate() {
            if a != axis {
                cx.require_equal(have, want, "the extents of the parts")?;
            }
        }
        let mut offsets = vec![Dim::zero(); rank];
        offsets[axis] = offset.clone();
        outputs.push(cx.dims_tensor(&offsets, dtype)?.into());
        offset = offset + &shape[axis];
    }
    Ok(outputs)
}

/// For each axis of the destination format, its axis in the source format.
fn formats(cx: &Import) -> Result<Vec<usize>> {
    let (from, to) = (cx.node.attr_str("src_format")?, cx.node.attr_str("dst_format")?);
    let places: Option<Vec<usize>> = to.chars().map(|c| from.chars().position(|d| c == d)).collect();
    places
        .filter(|places| places.len() == from.len())
        .ok_or_else(|| format!("formats {from} and {to} name different axes").into())
}

/// The axis of the destination format for each axis of the source format; negative ones count from the end.
fn data_format_dim_map(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let dtype = cx.dtype(x);
    let places = formats(cx)?;
    let table: Vec<Scalar> = (0..2 * places.len())
        .map(|n| {
            let axis = n % places.len();
            let at = places.iter().position(|&p| p == axis).unwrap_or(axis);
            Scalar::from_i64(dtype, at as i64)
        })
        .collect();
    let table = cx.constant(Tensor::from_scalars(dtype, [table.len()], table))?;
    let rank = cx.scalar(dtype, places.len() as f64)?;
    let from_front = cx.add_(x, rank)?;
    one(cx.add(Gather { axis: 0, batch: 0, checked: true }, &[table, from_front])?)
}

/// Reorders one entry per axis, or one entry per spatial axis.
fn data_format_permute(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let mut places = formats(cx)?;
    let shape = cx.shape(x);
    let entries = shape.first().and_then(Dim::as_int).unwrap_or(-1);
    if entries == places.len() as i64 - 2 {
        // The spatial axes alone, numbered among themselves.
        let (from, to) = (cx.node.attr_str("src_format")?, cx.node.attr_str("dst_format")?);
        let spatial = |format: &str| format.chars().filter(|c| !"NC".contains(*c)).collect::<Vec<_>>();
        let (from, to) = (spatial(from), spatial(to));
        places = to.iter().filter_map(|c| from.iter().position(|d| c == d)).collect();
    } else if entries != places.len() as i64 {
        return Err(format!("{} entries do not fit a format of {} axes", shape.len(), places.len()).into());
    }
    let index: Vec<Scalar> = places.iter().map(|&p| Scalar::Int(p as i64)).collect();
    let index = cx.constant(Tensor::from_scalars(DType::I64, [index.len()], index))?;
    one(cx.add(Gather { axis: 0, batch: 0, checked: true }, &[x, index])?)
}

/// Whether a dim is at least 0 for all extents that are at least 1.
pub(super) fn nonneg_unless_empty(dim: &Dim) -> bool {
    dim.substitute(&|atom| match atom {
        crate::base::dim::Atom::Sym(s) => Some(Dim::from(s) + 1),
        _ => None,
    })
    .is_nonneg(&NoVars)
}
