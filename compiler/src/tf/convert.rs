//! Conversions between element types.

use super::{Import, Outputs, Stop, TfOp, Value, build::one, narrow};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::BinaryFn,
    op::{Bitcast, Iota, Reduce},
    saved::narrow_type,
    tensor::{DType, Scalar, Tensor},
};

pub(super) const OPS: &[TfOp] = &[TfOp { name: "Cast", import: cast }, TfOp { name: "Bitcast", import: bitcast }];

fn cast(cx: &mut Import) -> Outputs {
    let truncate = cx.node.attr_bool("Truncate")?;
    let target = narrow_type(cx.node.attr_type("DstT")?);
    let x = match cx.value(0)? {
        value @ Value::Narrow(_, from) if Some(from) == target => return Ok(vec![value]),
        Value::Narrow(x, from) => {
            // What is wider holds these exactly, truncated or not.
            let x = narrow::widen(cx, x, from)?;
            if target.is_none() {
                let to = cx.attr_dtype("DstT")?;
                return one(cx.cast(x, to)?);
            }
            x
        }
        _ => cx.arg(0)?,
    };
    if let Some(to) = target {
        let x = match to.layout().filter(|_| truncate) {
            Some(layout) => shortened(cx, x, layout.mantissa)?,
            None => x,
        };
        return Ok(vec![Value::Narrow(narrow::narrow(cx, x, to)?, to)]);
    }
    let (from, to) = (cx.dtype(x), cx.attr_dtype("DstT")?);
    let x = match (from, to) {
        _ if !truncate || !from.is_float() || !to.is_float() || to.size() >= from.size() => x,
        (DType::F32, DType::BF16) => shortened(cx, x, 7)?,
        _ => return Err(format!("the conversion of {from} to {to} by truncation is not supported").into()),
    };
    let x = if from.is_float() && to.is_int() && to.bits() < 32 { saturated(cx, x, to)? } else { x };
    one(cx.cast(x, to)?)
}

/// The float as an i32 that the narrower integer type holds. What is out of range is undefined in TensorFlow, where
/// whole vectors saturate.
fn saturated(cx: &mut Import, x: NodeId, to: DType) -> Result<NodeId, Stop> {
    let mut whole = cx.cast(x, DType::I32)?;
    if let Some((least, greatest)) = to.int_range() {
        let [least, greatest] = [least, greatest].map(|n| cx.scalar(DType::I32, n as f64));
        whole = cx.binary(BinaryFn::Max, whole, least?)?;
        whole = cx.binary(BinaryFn::Min, whole, greatest?)?;
    }
    Ok(whole)
}

/// The floats without the lower bits of their mantissas, but for `kept` ones: a type with so many has no need to round.
fn shortened(cx: &mut Import, x: NodeId, kept: u32) -> Result<NodeId, Stop> {
    let from = cx.dtype(x);
    let mantissa = match from {
        DType::BF16 => 7,
        DType::F16 => 10,
        DType::F32 => 23,
        DType::F64 => 52,
        _ => return Ok(x),
    };
    let bits = unsigned(from);
    let x = cx.add(Bitcast { to: bits }, &[x])?;
    let mask = cx.constant(Tensor::scalar(bits, Scalar::Uint(u64::MAX << (mantissa - kept)).wrap(bits)))?;
    let upper = cx.and(x, mask)?;
    cx.add(Bitcast { to: from }, &[upper])
}

/// The same little-endian bytes: a narrower type adds an axis for the parts, a wider one joins the parts of the last.
fn bitcast(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let (from, to) = (cx.dtype(x), cx.attr_dtype("type")?);
    if from == to {
        return one(x);
    }
    if from.size() == to.size() {
        return one(cx.add(Bitcast { to }, &[x])?);
    }
    let numeric = |d: DType| d.is_int() || d.is_float();
    if !numeric(from) || !numeric(to) {
        return Err(format!("the bits of {from} as {to} are not supported").into());
    }
    let (wide, narrow) = if from.size() > to.size() { (from, to) } else { (to, from) };
    let (bits, parts) = (unsigned(wide), wide.size() / narrow.size());
    let rank = cx.rank(x) + (from == wide) as usize;
    let mut along = vec![Dim::one(); rank];
    let Some(last) = along.last_mut() else { return Err("a scalar has no parts to join".into()) };
    *last = parts.into();
    let place = cx.add(Iota { shape: along, axis: rank - 1, dtype: bits }, &[])?;
    let width = cx.scalar(bits, narrow.bits() as f64)?;
    let amount = cx.mul(place, width)?;
    if from == wide {
        let whole = cx.insert_axes(x, &[rank - 1])?;
        let whole = cx.add(Bitcast { to: bits }, &[whole])?;
        let part = cx.binary(BinaryFn::Shr, whole, amount)?;
        let part = cx.cast(part, unsigned(narrow))?;
        return one(cx.add(Bitcast { to }, &[part])?);
    }
    cx.require_equal(&cx.shape(x)[rank - 1], &parts.into(), "the last extent and the number of parts")?;
    let part = cx.add(Bitcast { to: unsigned(narrow) }, &[x])?;
    let part = cx.cast(part, bits)?;
    let part = cx.binary(BinaryFn::Shl, part, amount)?;
    let whole = cx.add(Reduce { f: BinaryFn::Or, axes: vec![rank - 1] }, &[part])?;
    let whole = cx.drop_axes(whole, &[rank - 1])?;
    one(cx.add(Bitcast { to }, &[whole])?)
}

/// The unsigned integer of the same size.
pub(super) fn unsigned(dtype: DType) -> DType {
    match dtype.size() {
        1 => DType::U8,
        2 => DType::U16,
        4 => DType::U32,
        _ => DType::U64,
    }
}
