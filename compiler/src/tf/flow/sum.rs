//! Lists as values that are added, and zeros like them: so differentiation writes the gradient of a list with several users.

use super::{
    list::{ListOf, any_list, elements, fits, give, merged, of_data, open, zeros},
    uneven,
};
use crate::tf::{Import, Outputs, Stop, Value};

/// The operands, lists of as many elements, added element by element.
pub(in crate::tf) fn added(cx: &mut Import) -> Outputs {
    let mut sum = any_list(cx, 0)?;
    for n in 1..cx.count() {
        let other = any_list(cx, n)?;
        sum = both(cx, sum, other)?;
    }
    Ok(vec![give(cx, sum)])
}

fn both(cx: &mut Import, a: ListOf, b: ListOf) -> Result<ListOf, Stop> {
    if a.dtype != b.dtype {
        return Err(format!("a list of {} and one of {} cannot be added", a.dtype, b.dtype).into());
    }
    if a.count.is_some() || b.count.is_some() {
        return Err(of_data(&cx.node.op));
    }
    cx.require_equal(&a.length, &b.length, "the lengths of lists that are added")?;
    let shape = merged(cx, &a.shape, &b.shape)?;
    let (first, second) = match (a.data, b.data) {
        // What nobody set adds nothing.
        (None, _) => return Ok(ListOf { shape, ..b }),
        (_, None) => return Ok(ListOf { shape, ..a }),
        (Some(first), Some(second)) => (first, second),
    };
    if a.extents.is_some() || b.extents.is_some() || uneven::differ(cx, first, second) {
        let (data, extents) = uneven::sum(cx, a.clone(), b)?;
        return Ok(ListOf { data, extents, shape, alike: None, ..a });
    }
    let (first_shape, second_shape) = (open(&cx.shape(first)[1..]), open(&cx.shape(second)[1..]));
    fits(cx, &a, &second_shape)?;
    let (x, y) = (elements(cx, &a, &first_shape)?, elements(cx, &b, &second_shape)?);
    let of = cx.shape(x);
    let y = cx.reshape(y, &of)?;
    Ok(ListOf { data: Some(cx.add_(x, y)?), shape, alike: None, ..a })
}

/// A list of as many zeros, each as large as the element that the operand has there.
pub(in crate::tf) fn zeros_like(cx: &mut Import) -> Outputs {
    let list = any_list(cx, 0)?;
    let zeros = match list.data {
        Some(data) => Some(zeros(cx, list.dtype, &cx.shape(data))?),
        None => None,
    };
    Ok(vec![give(cx, ListOf { data: zeros, array: None, sums: false, alike: None, ..list })])
}

/// Whether the current node's first operand is a list.
pub(in crate::tf) fn is_of_lists(cx: &Import) -> bool {
    matches!(cx.value(0), Ok(Value::List(_)))
}
