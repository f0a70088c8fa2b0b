//! Operators that assign variables: the whole of one, sums, and slices at indices.

use super::{Result, order::takes_reference};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, Fault},
    op::{Gather, Op, Outside, Scatter, Within},
    tensor::{DType, Tensor},
    tf::{Import, Outputs, Stop, TfOp, Value, build::one, flow::variable, scatter::scatter, slice::replaced},
};

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "AssignVariableOp", import: assign },
    TfOp { name: "AssignAddVariableOp", import: |cx| assign_by(cx, BinaryFn::Add) },
    TfOp { name: "AssignSubVariableOp", import: |cx| assign_by(cx, BinaryFn::Sub) },
    TfOp { name: "ResourceScatterUpdate", import: |cx| rows(cx, Combine::Set) },
    TfOp { name: "ResourceScatterAdd", import: |cx| rows(cx, Combine::Add) },
    TfOp { name: "ResourceScatterSub", import: |cx| rows(cx, Combine::Sub) },
    TfOp { name: "ResourceScatterMul", import: |cx| rows(cx, Combine::Mul) },
    TfOp { name: "ResourceScatterDiv", import: |cx| rows(cx, Combine::Div) },
    TfOp { name: "ResourceScatterMin", import: |cx| rows(cx, Combine::Min) },
    TfOp { name: "ResourceScatterMax", import: |cx| rows(cx, Combine::Max) },
    TfOp { name: "ResourceScatterNdUpdate", import: |cx| slices(cx, Combine::Set) },
    TfOp { name: "ResourceScatterNdAdd", import: |cx| slices(cx, Combine::Add) },
    TfOp { name: "ResourceScatterNdSub", import: |cx| slices(cx, Combine::Sub) },
    TfOp { name: "ResourceScatterNdMin", import: |cx| slices(cx, Combine::Min) },
    TfOp { name: "ResourceScatterNdMax", import: |cx| slices(cx, Combine::Max) },
    TfOp { name: "ResourceStridedSliceAssign", import: |cx| behind(cx, replaced) },
    TfOp { name: "ResourceCountUpTo", import: count_up_to },
    TfOp { name: "Assign", import: assign },
    TfOp { name: "AssignAdd", import: |cx| assign_by(cx, BinaryFn::Add) },
    TfOp { name: "AssignSub", import: |cx| assign_by(cx, BinaryFn::Sub) },
    TfOp { name: "ScatterUpdate", import: |cx| rows(cx, Combine::Set) },
    TfOp { name: "ScatterAdd", import: |cx| rows(cx, Combine::Add) },
    TfOp { name: "ScatterSub", import: |cx| rows(cx, Combine::Sub) },
    TfOp { name: "ScatterMul", import: |cx| rows(cx, Combine::Mul) },
    TfOp { name: "ScatterDiv", import: |cx| rows(cx, Combine::Div) },
    TfOp { name: "ScatterMin", import: |cx| rows(cx, Combine::Min) },
    TfOp { name: "ScatterMax", import: |cx| rows(cx, Combine::Max) },
    TfOp { name: "ScatterNdUpdate", import: |cx| slices(cx, Combine::Set) },
    TfOp { name: "ScatterNdAdd", import: |cx| slices(cx, Combine::Add) },
    TfOp { name: "ScatterNdSub", import: |cx| slices(cx, Combine::Sub) },
    TfOp { name: "ScatterNdMin", import: |cx| slices(cx, Combine::Min) },
    TfOp { name: "ScatterNdMax", import: |cx| slices(cx, Combine::Max) },
    TfOp { name: "StridedSliceAssign", import: |cx| behind(cx, replaced) },
    TfOp { name: "CountUpTo", import: count_up_to },
    TfOp { name: "IsVariableInitialized", import: is_initialised },
];

/// Every variable has a value at first but those that nothing stores, which have one behind an assignment.
pub(in crate::tf) fn is_initialised(cx: &mut Import) -> Outputs {
    one(match cx.is_set()? {
        Some(flag) => flag,
        None => cx.scalar(DType::Bool, 1.0)?,
    })
}

fn assign(cx: &mut Import) -> Outputs {
    let value = cx.value(1)?;
    cx.assign(0, value)?;
    Ok(reference(cx))
}

/// The reference that operators on variables of the old kind give again.
pub(super) fn reference(cx: &Import) -> Vec<Value> {
    cx.operands.first().copied().filter(|_| takes_reference(&cx.node.op, 0)).into_iter().collect()
}

/// A result for the handle in operand 0, which the row needs again.
pub(in crate::tf) fn behind(cx: &mut Import, change: impl FnOnce(&mut Import, NodeId) -> Result<NodeId>) -> Outputs {
    let handle = cx.value(0)?;
    let old = variable(cx, 0)?;
    let new = change(cx, old)?;
    cx.operands[0] = handle;
    cx.assign(0, new.into())?;
    Ok(reference(cx))
}

fn assign_by(cx: &mut Import, f: BinaryFn) -> Outputs {
    behind(cx, |cx, old| {
        let by = cx.arg(1)?;
        if cx.rank(by) != cx.rank(old) {
            let (a, b) = (cx.graph.ty(old).clone(), cx.graph.ty(by).clone());
            return Err(format!("a {a} is changed by a {b}: both have one shape").into());
        }
        for (a, b) in cx.shape(old).iter().zip(&cx.shape(by)) {
            cx.require_equal(a, b, "the extents of a variable and of what it is changed by")?;
        }
        cx.binary(f, old, by)
    })
}

/// Rows at indices, each combined with a row of the updates; one number may be the update of all of them.
fn rows(cx: &mut Import, f: Combine) -> Outputs {
    behind(cx, |cx, old| {
        let (indices, mut updates) = (cx.arg(1)?, cx.arg(2)?);
        let (shape, at) = (cx.shape(old), cx.shape(indices));
        let Some((_, rest)) = shape.split_first() else {
            return Err("a variable without axes has no rows".into());
        };
        let wanted = [&at[..], rest].concat();
        if cx.rank(updates) == 0 {
            updates = cx.broadcast_to(updates, &wanted)?;
        }
        let of_updates = cx.shape(updates);
        if of_updates.len() != wanted.len() {
            let found = cx.graph.ty(updates).clone();
            return Err(
                format!("{found} does not fit rows of rank {} at {} axes of indices", rest.len(), at.len()).into()
            );
        }
        for (a, b) in of_updates.iter().zip(&wanted) {
            cx.require_equal(a, b, "the extents of updates and of what they change")?;
        }
        let updates = cx.reshape(updates, &wanted)?;
        let indices = cx.insert_axes(indices, &[at.len()])?;
        scattered(cx, f, 1, [old, indices, updates])
    })
}

/// Slices at tuples of indices.
fn slices(cx: &mut Import, f: Combine) -> Outputs {
    behind(cx, |cx, old| {
        let (indices, updates) = (cx.arg(1)?, cx.arg(2)?);
        let new = scatter(cx, f, old, indices, updates)?;
        match cx.graph.op(new).clone() {
            Op::Scatter(Scatter { f, depth, below: Outside::Fault, above: Outside::Fault }) => {
                scattered(cx, f, depth, [old, indices, updates])
            }
            _ => Ok(new),
        }
    })
}

/// A scatter that cannot fail, since a kernel before it looks at all indices: so it may change a variable where it lies.
fn scattered(cx: &mut Import, f: Combine, depth: usize, [old, indices, updates]: [NodeId; 3]) -> Result<NodeId> {
    let extents = cx.shape(old)[..depth].iter().map(Dim::as_int).collect::<Option<Vec<i64>>>();
    let extents = extents.ok_or("a variable has a fixed shape")?;
    let indices = cx.add(Within { extents, fault: Fault::IndexOutOfRange }, &[indices])?;
    cx.add(Scatter { f, depth, below: Outside::Drop, above: Outside::Drop }, &[old, indices, updates])
}

/// One more than before, and what was before; a fault where that has reached the limit.
fn count_up_to(cx: &mut Import) -> Outputs {
    let mut counted = None;
    behind(cx, |cx, old| {
        let limit = cx.node.attr_int("limit")?;
        if cx.rank(old) != 0 {
            return Err("a counter has no axes".into());
        }
        let limit = cx.graph.constant(Tensor::from_i64([], &[limit]));
        let count = cx.cast(old, DType::I64)?;
        let ended = cx.compare(CompareFn::Ge, count, limit)?;
        let index = cx.cast(ended, DType::I64)?;
        let index = cx.insert_axes(index, &[0])?;
        // There is one element: the index beyond it is the fault.
        let old = cx.insert_axes(old, &[0])?;
        let old = cx.add(Gather { axis: 0, batch: 0, checked: true }, &[old, index])?;
        let old = cx.drop_axes(old, &[0])?;
        counted = Some(old);
        let one = cx.scalar_like(old, 1.0)?;
        cx.add_(old, one)
    })?;
    counted.map(|old| vec![Value::Tensor(old)]).ok_or_else(|| Stop::from("the counter has no value"))
}
