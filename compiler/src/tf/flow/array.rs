//! Arrays of tensors as TensorFlow 1 has them: the flow, which orders those who use an array, carries its elements.
//!
//! An array is a list ([`super::list`]). The handle stands for it as it was made; the array as it is comes with the flow.
//! TensorFlow keeps one array whoever writes, so two nodes that write to the same state of it are refused. What closes an
//! array computes nothing, so no graph has it any more. The gradient of an array is one to which writes add.

use super::{
    List,
    list::{
        ListOf, Open, data, dtype, elements, fits, give, joined, known, open, parted, read, refuse_empty, rows,
        scattered, with_item, with_room, zeros,
    },
    uneven,
};
use crate::{
    base::{Diagnostic, Dim},
    graph::NodeId,
    op::{Gather, Iota, Op},
    tensor::DType,
    tf::{Import, Outputs, Stop, TfOp, Value, build::one},
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "TensorArray", import: create },
    TfOp { name: "TensorArrayConcat", import: concat },
    TfOp { name: "TensorArrayConcatV2", import: concat },
    TfOp { name: "TensorArrayConcatV3", import: concat },
    TfOp { name: "TensorArrayGather", import: gather },
    TfOp { name: "TensorArrayGatherV2", import: gather },
    TfOp { name: "TensorArrayGatherV3", import: gather },
    TfOp { name: "TensorArrayGrad", import: gradient },
    TfOp { name: "TensorArrayGradV2", import: gradient },
    TfOp { name: "TensorArrayGradV3", import: gradient },
    TfOp { name: "TensorArrayGradWithShape", import: gradient },
    TfOp { name: "TensorArrayPack", import: pack },
    TfOp { name: "TensorArrayRead", import: get },
    TfOp { name: "TensorArrayReadV2", import: get },
    TfOp { name: "TensorArrayReadV3", import: get },
    TfOp { name: "TensorArrayScatter", import: scatter },
    TfOp { name: "TensorArrayScatterV2", import: scatter },
    TfOp { name: "TensorArrayScatterV3", import: scatter },
    TfOp { name: "TensorArraySize", import: size },
    TfOp { name: "TensorArraySizeV2", import: size },
    TfOp { name: "TensorArraySizeV3", import: size },
    TfOp { name: "TensorArraySplit", import: split },
    TfOp { name: "TensorArraySplitV2", import: split },
    TfOp { name: "TensorArraySplitV3", import: split },
    TfOp { name: "TensorArrayUnpack", import: unpack },
    TfOp { name: "TensorArrayV2", import: create },
    TfOp { name: "TensorArrayV3", import: create },
    TfOp { name: "TensorArrayWrite", import: write },
    TfOp { name: "TensorArrayWriteV2", import: write },
    TfOp { name: "TensorArrayWriteV3", import: write },
];

/// The handle, and the flow that the third version has.
fn create(cx: &mut Import) -> Outputs {
    let (dtype, length) = (dtype(cx, "dtype")?, cx.size(0, "the length of an array", None)?);
    cx.require_at_most(&Dim::zero(), &length, "the length of an array")?;
    let (shape, grows) = (attr_shape(cx, "element_shape")?, cx.node.attr_bool("dynamic_size")?);
    let data = match known(&shape) {
        Some(element) => Some(zeros(cx, dtype, &rows(&length, &element))?),
        None => None,
    };
    let array = Some(super::own(cx));
    let array = give(cx, ListOf { grows, array, ..ListOf::new(dtype, data, length, shape) });
    Ok(vec![array, array])
}

/// The gradient of an array: as many elements, all zeros, of the same shape, or of that behind other axes.
fn gradient(cx: &mut Import) -> Outputs {
    let flow = cx.value(1)?;
    let Some(of) = [flow, cx.value(0)?].into_iter().find_map(|value| match value {
        Value::List(list) => Some(cx.lists.get(list).clone()),
        _ => None,
    }) else {
        return Err(format!("operand 0 of {} is no array of tensors", cx.node.op).into());
    };
    let before = if cx.count() > 2 { cx.dims(2, "the shape before that of the elements")? } else { vec![] };
    let element = match of.data {
        Some(data) => Some(cx.shape(data)[1..].to_vec()),
        None => known(&of.shape),
    };
    let before_is_none = before.is_empty();
    let element = element.map(|element| [before, element].concat());
    // Extents tell of each row that there is.
    let held = of.data.filter(|_| of.extents.is_some()).map_or(of.length.clone(), |data| cx.shape(data)[0].clone());
    let data = match &element {
        Some(element) => Some(zeros(cx, of.dtype, &rows(&held, element))?),
        None => None,
    };
    let array = Some(super::own(cx));
    // Where it is empty, TensorFlow stacks it by the shape alone that is asked for.
    let extents = of.extents.filter(|_| before_is_none);
    let made = give(cx, ListOf { array, extents, sums: true, ..ListOf::new(of.dtype, data, of.length, None) });
    Ok(vec![made, made])
}

fn attr_shape(cx: &Import, name: &str) -> Result<Open> {
    let dims = cx.node.attr_shape(name)?.0;
    Ok(dims.map(|dims| dims.into_iter().map(|d| d.map(|n| Dim::from(n as usize))).collect()))
}

/// The array as the flow brings it, which is the last operand. Before version 3 the first flow is a constant: then it is
/// as it was made.
fn array(cx: &Import) -> Result<(List, ListOf)> {
    let last = cx.count().checked_sub(1).ok_or("an array lacks its handle")?;
    match (cx.value(last)?, cx.value(0)?) {
        (Value::List(list), _) | (_, Value::List(list)) => Ok((list, cx.lists.get(list).clone())),
        _ => Err(format!("operand 0 of {} is no array of tensors", cx.node.op).into()),
    }
}

/// The array that the current node writes to.
fn written(cx: &mut Import) -> Result<ListOf> {
    let (list, array) = array(cx)?;
    if !cx.lists.write(list) {
        let problem = "two nodes write to one array beside each other, which is not supported";
        let help = "write to what the other one returns: `array = array.write(i, x)`";
        return Err(Diagnostic::error(problem).help(help).into());
    }
    Ok(array)
}

/// The array that the current node reads, of the type that it says.
fn to_read(cx: &Import) -> Result<ListOf> {
    let (_, array) = array(cx)?;
    let wanted = dtype(cx, "dtype")?;
    if wanted != array.dtype {
        return Err(format!("the elements of the array are {}, not {wanted}", array.dtype).into());
    }
    Ok(array)
}

fn write(cx: &mut Import) -> Outputs {
    let (array, item) = (written(cx)?, cx.arg(2)?);
    let array = with_item(cx, array, item)?;
    Ok(vec![give(cx, array)])
}

fn get(cx: &mut Import) -> Outputs {
    let array = to_read(cx)?;
    read(cx, &array, &None)
}

fn size(cx: &mut Import) -> Outputs {
    let (_, array) = array(cx)?;
    one(cx.dim_scalar(&array.length, DType::I32)?)
}

fn pack(cx: &mut Import) -> Outputs {
    let (array, shape) = (to_read(cx)?, attr_shape(cx, "element_shape")?);
    stacked(cx, &array, &shape)
}

fn stacked(cx: &mut Import, array: &ListOf, shape: &Open) -> Outputs {
    let array = uneven::even(cx, array.clone())?;
    fits(cx, &array, shape)?;
    refuse_empty(cx, &array, shape)?;
    one(elements(cx, &array, shape)?)
}

fn gather(cx: &mut Import) -> Outputs {
    let (array, indices, shape) = (to_read(cx)?, cx.arg(1)?, attr_shape(cx, "element_shape")?);
    if counts(cx, indices).is_some_and(|count| count == array.length) {
        return stacked(cx, &array, &shape);
    }
    let array = uneven::even(cx, array)?;
    fits(cx, &array, &shape)?;
    let data = elements(cx, &array, &shape)?;
    one(cx.add(Gather { axis: 0, batch: 0, checked: true }, &[data, indices])?)
}

/// How many indices there are, where they are 0, 1, 2 and so on.
fn counts(cx: &Import, indices: NodeId) -> Option<Dim> {
    if let Op::Iota(Iota { shape, axis: 0, .. }) = cx.graph.op(indices) {
        return Some(shape.first()?.clone()).filter(|_| shape.len() == 1);
    }
    let known = cx.known_ints(indices).filter(|_| cx.rank(indices) == 1)?;
    known.iter().enumerate().all(|(n, &index)| n as i64 == index).then(|| known.len().into())
}

fn scatter(cx: &mut Import) -> Outputs {
    let (array, indices, x) = (written(cx)?, cx.arg(1)?, cx.arg(2)?);
    let array = match counts(cx, indices) {
        Some(count) => filled(cx, array, x, count)?,
        None => scattered_into(cx, array, x, indices)?,
    };
    Ok(vec![give(cx, array)])
}

fn unpack(cx: &mut Import) -> Outputs {
    let (array, x) = (written(cx)?, cx.arg(1)?);
    let count = cx.shape(x).first().cloned().unwrap_or_default();
    let array = filled(cx, array, x, count)?;
    Ok(vec![give(cx, array)])
}

/// The shape of the rows of `x`, which are elements of an array.
fn element(cx: &mut Import, array: &ListOf, x: NodeId) -> Result<Open> {
    let of = cx.shape(x);
    let [_, element @ ..] = &of[..] else { return Err("a scalar has no elements for an array".into()) };
    if cx.dtype(x) != array.dtype {
        return Err(format!("elements of {} do not fit an array of {}", cx.dtype(x), array.dtype).into());
    }
    let shape = open(element);
    fits(cx, array, &shape)?;
    Ok(shape)
}

/// The array whose first `count` elements are the rows of `x`.
fn filled(cx: &mut Import, mut array: ListOf, x: NodeId, count: Dim) -> Result<ListOf> {
    array = uneven::even(cx, array)?;
    let shape = element(cx, &array, x)?;
    let held = cx.shape(x)[0].clone();
    cx.require_equal(&count, &held, "the number of indices and of elements")?;
    match array.grows {
        true => array.length = cx.greater(&array.length, &count),
        false => cx.require_at_most(&count, &array.length, "the elements and the length of their array")?,
    }
    let x = match array.sums {
        true => {
            let old = as_long(cx, &mut array, &shape)?;
            let old = cx.slice_axis(old, 0, Dim::zero(), count.clone())?;
            cx.add_(old, x)?
        }
        false => x,
    };
    if count == array.length {
        array.data = Some(x);
        return Ok(array);
    }
    let rest = &array.length - &count;
    let old = as_long(cx, &mut array, &shape)?;
    let rest = cx.slice_axis(old, 0, count, rest)?;
    array.data = Some(cx.concat(&[x, rest], 0)?);
    Ok(array)
}

/// The array with the rows of `x` at these indices.
fn scattered_into(cx: &mut Import, mut array: ListOf, x: NodeId, indices: NodeId) -> Result<ListOf> {
    array = uneven::even(cx, array)?;
    let shape = element(cx, &array, x)?;
    if array.grows {
        let Some(known) = cx.known_ints(indices) else {
            return Err(cx.unknown(indices, "the greatest index of an array that grows"));
        };
        let needed = Dim::from(known.iter().max().map_or(0, |max| max.saturating_add(1)));
        array.length = cx.greater(&array.length, &needed);
    }
    as_long(cx, &mut array, &shape)?;
    scattered(cx, array, x, indices)
}

/// The tensor of an array, with as many rows as it has elements: what lies behind them is no place for one.
fn as_long(cx: &mut Import, array: &mut ListOf, shape: &Open) -> Result<NodeId> {
    let held = data(cx, array, shape)?;
    array.data = Some(with_room(cx, held, &array.length)?);
    let rows = elements(cx, array, shape)?;
    array.data = Some(rows);
    Ok(rows)
}

fn concat(cx: &mut Import) -> Outputs {
    let (array, rest) = (to_read(cx)?, attr_shape(cx, "element_shape_except0")?);
    let shape = rest.map(|rest| [&[None], &rest[..]].concat());
    joined(cx, &array, &shape)
}

fn split(cx: &mut Import) -> Outputs {
    let (mut array, x) = (written(cx)?, cx.arg(1)?);
    if cx.dtype(x) != array.dtype {
        return Err(format!("elements of {} do not fit an array of {}", cx.dtype(x), array.dtype).into());
    }
    let parts = parted(cx, x, &array.shape.clone())?;
    match array.grows {
        true if !cx.is_nonneg(&(&parts.length - &array.length)) => {
            return Err("an array that grows is split into fewer elements than it has, which is not supported".into());
        }
        true => {}
        false => cx.require_equal(&parts.length, &array.length, "the number of parts and the length of their array")?,
    }
    let (data, extents) = match (array.data, parts.data) {
        (Some(_), Some(_)) if array.sums && (array.extents.is_some() || parts.extents.is_some()) => {
            uneven::sum(cx, array.clone(), parts.clone())?
        }
        (Some(old), Some(new)) if array.sums => (Some(cx.add_(old, new)?), None),
        (_, new) => (new, parts.extents),
    };
    array = ListOf { data, extents, length: parts.length, ..array };
    Ok(vec![give(cx, array)])
}
