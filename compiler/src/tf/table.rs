//! Tables: what belongs to a key.

use std::sync::Arc;

use super::{Import, Outputs, Stop, TfOp, build::one, import};
use crate::{
    base::Bindings,
    graph::{NodeId, evaluate},
    loops::CompareFn,
    op::{Find, Gather, Perfect},
    saved::{Pairs, Table, Variable},
    tensor::{DType, Scalar, Tensor, count},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "HashTable", import: handle },
    TfOp { name: "HashTableV2", import: handle },
    TfOp { name: "MutableHashTable", import: handle },
    TfOp { name: "MutableHashTableV2", import: handle },
    TfOp { name: "LookupTableFind", import: find },
    TfOp { name: "LookupTableFindV2", import: find },
    TfOp { name: "LookupTableSize", import: size },
    TfOp { name: "LookupTableSizeV2", import: size },
];

/// Who reads a table is given it, and asks for no handle: whoever does wants something else.
fn handle(_: &mut Import) -> Outputs {
    Err("its handle goes elsewhere than into a look-up, which is not supported".into())
}

/// The table that a node reads.
fn table(cx: &Import) -> Result<Arc<Table>> {
    let held = cx.tf.tables.get(&cx.id).ok_or("its table is not known")?;
    held.clone().map_err(Stop::from)
}

/// Keys, all different, and their values.
fn pairs(table: &Table) -> Result<(Tensor, Tensor)> {
    let (keys, values) = match &table.pairs {
        Pairs::Known { keys, values } => (keys.clone(), values.clone()),
        Pairs::Computed(graph) => {
            let none = |variable: &Variable| {
                Err(crate::base::Diagnostic::error(format!("`{}` is read", variable.name)).into())
            };
            let imported = import(graph, &none, &Default::default()).map_err(Stop::Fault)?;
            let values = evaluate(&imported.graph, &[], &Bindings::new());
            let values = values.map_err(|fault| format!("the initialisation of its table fails: {fault:?}"))?;
            let [keys, values] = <[Tensor; 2]>::try_from(values).map_err(|_| "a table has keys and values")?;
            (keys, values)
        }
    };
    if keys.shape != values.shape {
        return Err(format!("its table has {:?} keys and {:?} values", keys.shape, values.shape).into());
    }
    let count = keys.count();
    distinct(keys.reshaped([count]), values.reshaped([count]))
}

/// The pairs without those that say the same again.
fn distinct(keys: Tensor, values: Tensor) -> Result<(Tensor, Tensor)> {
    let rows = |tensor: &Tensor, rows: &[usize]| match tensor.has_strings() {
        true => Tensor::from_strings([rows.len()], rows.iter().map(|&n| tensor.strings()[n].clone()).collect()),
        false => Tensor::from_scalars(tensor.dtype, [rows.len()], rows.iter().map(|&n| tensor.get(n))),
    };
    let same = |tensor: &Tensor, a: usize, b: usize| match tensor.has_strings() {
        true => tensor.strings()[a] == tensor.strings()[b],
        false => tensor.get(a) == tensor.get(b),
    };
    let mut seen = std::collections::HashMap::new();
    let mut kept = vec![];
    for n in 0..keys.count() {
        let key = if keys.has_strings() { keys.strings()[n].clone() } else { keys.get(n).to_string().into_bytes() };
        match seen.insert(key, n) {
            None => kept.push(n),
            Some(before) if same(&values, before, n) => {}
            Some(_) => return Err(format!("a key of its table has two values: {}", shown(&keys, n)).into()),
        }
    }
    Ok(if kept.len() == keys.count() { (keys, values) } else { (rows(&keys, &kept), rows(&values, &kept)) })
}

fn shown(keys: &Tensor, n: usize) -> String {
    match keys.has_strings() {
        true => format!("{:?}", String::from_utf8_lossy(&keys.strings()[n])),
        false => keys.get(n).to_string(),
    }
}

fn size(cx: &mut Import) -> Outputs {
    let (keys, _) = pairs(&*table(cx)?)?;
    one(cx.constant(Tensor::from_i64([], &[keys.count() as i64]))?)
}

/// The value of each key, or the default one; the default is one for all, or one for each.
fn find(cx: &mut Import) -> Outputs {
    let (x, default) = (cx.arg(0)?, cx.arg(1)?);
    let table = table(cx)?;
    let (keys, values) = pairs(&table)?;
    if (cx.dtype(x), cx.dtype(default)) != (keys.dtype, values.dtype) {
        let [x, default] = [x, default].map(|id| cx.dtype(id));
        return Err(format!(
            "its table has keys of {} and values of {}, not of {x} and {default}",
            keys.dtype, values.dtype
        )
        .into());
    }
    let default = default_of(cx, default, x, &table)?;
    if keys.count() == 0 {
        return one(default);
    }
    let index = index_of(cx, x, keys)?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    let absent = cx.compare(CompareFn::Lt, index, zero)?;
    let values = cx.constant(values)?;
    // What is not there reads the first value, in vain.
    let value = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[values, index])?;
    one(cx.select(absent, default, value)?)
}

/// The default of each key. A table that never changes has one for all: of several, TensorFlow takes the first.
fn default_of(cx: &mut Import, default: NodeId, keys: NodeId, table: &Table) -> Result<NodeId> {
    let (given, shape) = (cx.shape(default), cx.shape(keys));
    if given.is_empty() {
        return cx.broadcast_to(default, &shape);
    }
    if given.len() != shape.len() {
        return Err(format!("{} are no defaults for keys of {}", cx.graph.ty(default), cx.graph.ty(keys)).into());
    }
    for (given, extent) in given.iter().zip(&shape) {
        cx.require_equal(given, extent, "the extents of the keys and of their defaults")?;
    }
    if table.mutable {
        return cx.broadcast_to(default, &shape);
    }
    let all = cx.reshape(default, &[count(&given)])?;
    let first = cx.scalar(DType::I64, 0.0)?;
    // Of no keys there is no first default, and none is taken.
    let first = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[all, first])?;
    cx.broadcast_to(first, &shape)
}

/// Which of some keys each element is, or -1.
fn index_of(cx: &mut Import, x: NodeId, keys: Tensor) -> Result<NodeId> {
    // Integers are looked for in one width.
    let plain = keys.dtype == DType::Str || keys.dtype.is_int();
    let (x, keys) = match (plain, keys.dtype) {
        (true, _) => (x, keys),
        (false, DType::Bool) => {
            let numbers = keys.scalars().map(|key| Scalar::Int(key.as_i64().unwrap_or(0)));
            (cx.cast(x, DType::I64)?, Tensor::from_scalars(DType::I64, keys.shape.clone(), numbers))
        }
        (false, dtype) => return Err(format!("tables of {dtype} are not supported").into()),
    };
    let (seed, [keys, displacements, slots]) =
        perfect(cx, keys).map_err(|key| format!("a key of its table occurs twice: {key}"))?;
    cx.add(Find { seed }, &[x, keys, displacements, slots])
}

/// Keys with what finds them, as operands of [`Find`]; or a key that occurs twice.
pub(super) fn perfect(cx: &mut Import, keys: Tensor) -> std::result::Result<(u64, [NodeId; 3]), String> {
    let Perfect { op: Find { seed }, displacements, slots } = Perfect::new(&keys).map_err(|n| shown(&keys, n))?;
    Ok((seed, [keys, displacements, slots].map(|part| cx.graph.constant(part))))
}
