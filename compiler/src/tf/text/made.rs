//! Operators that make new strings: numbers as text, joined strings, and those in another case.

use super::super::{
    Import, Outputs, Stop, TfOp,
    build::{axis, one},
};
use crate::{
    base::Dim,
    graph::NodeId,
    op::{Case, Fill, Iota, MAX_DECIMALS, TextCase, TextJoin, TextNumber},
    tensor::{DType, Tensor, count},
};

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "AsString", import: as_string },
    TfOp { name: "ReduceJoin", import: reduce_join },
    TfOp { name: "StringJoin", import: join },
    TfOp { name: "StringLower", import: |cx| case(cx, Case::Lower) },
    TfOp { name: "StringUpper", import: |cx| case(cx, Case::Upper) },
];

/// The widest that numbers are filled up to.
const MAX_WIDTH: u32 = 4096;

fn case(cx: &mut Import, to: Case) -> Outputs {
    match cx.node.attr_str("encoding").unwrap_or("") {
        "" => {}
        "utf-8" => return Err("the case of letters outside of ASCII is not supported yet".into()),
        other => return Err(format!("there is no encoding `{other}` of letters").into()),
    }
    let x = cx.arg(0)?;
    one(cx.add(TextCase { to }, &[x])?)
}

/// Numbers as `printf` writes them, truths in words.
fn as_string(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let dtype = cx.dtype(x);
    let int = |name, default| cx.node.attr(name).map_or(Ok(default), |_| cx.node.attr_int(name));
    let flag = |name| cx.node.attr(name).map_or(Ok(false), |_| cx.node.attr_bool(name));
    let (precision, width) = (int("precision", -1)?, int("width", -1)?);
    let (scientific, shortest) = (flag("scientific")?, flag("shortest")?);
    let fill = match cx.node.attr_str("fill").unwrap_or("") {
        // What has no sign has no place for one.
        "+" | " " if !(dtype.is_signed_int() || dtype.is_float()) => Fill::Space,
        "" => Fill::Space,
        " " => Fill::Blank,
        "+" => Fill::Plus,
        "0" => Fill::Zero,
        "-" => Fill::Behind,
        other => return Err(format!("numbers are not filled with `{other}`").into()),
    };
    if scientific && shortest {
        return Err("a number is not written in the scientific and the shortest way at once".into());
    }
    if (scientific || shortest || precision > -1) && !(dtype.is_float() || dtype.is_complex()) {
        return Err(format!("a {dtype} has no digits behind a point").into());
    }
    if scientific || shortest {
        return Err("numbers with an exponent are not supported yet".into());
    }
    let width = u32::try_from(width.max(0)).ok().filter(|&width| width <= MAX_WIDTH);
    let width = width.ok_or_else(|| format!("numbers wider than {MAX_WIDTH} are not supported"))?;
    match dtype {
        DType::Bool => {
            let shape = cx.shape(x);
            let [yes, no] = ["true", "false"].map(|word| Tensor::from_strings([], vec![word.into()]));
            let [yes, no] = [cx.constant(yes)?, cx.constant(no)?];
            let [yes, no] = [cx.broadcast_to(yes, &shape)?, cx.broadcast_to(no, &shape)?];
            one(cx.select(x, yes, no)?)
        }
        DType::Str if width == 0 => one(x),
        _ if dtype.is_int() || dtype.is_float() => {
            let digits = if precision < 0 { 6 } else { precision };
            let decimals = u32::try_from(digits).ok().filter(|&digits| digits <= MAX_DECIMALS);
            let decimals =
                decimals.ok_or_else(|| format!("more than {MAX_DECIMALS} digits behind a point are not supported"))?;
            let decimals = if dtype.is_float() { decimals } else { 0 };
            one(cx.add(TextNumber { width, fill, decimals }, &[x])?)
        }
        _ => Err(format!("a {dtype} as text is not supported yet").into()),
    }
}

/// The operands' strings, element by element, behind each other; a scalar is repeated.
fn join(cx: &mut Import) -> Outputs {
    let separator = cx.node.attr_bytes("separator")?.to_vec();
    let parts = cx.args()?;
    let shapes: Vec<_> = parts.iter().map(|&x| cx.graph.shape(x).to_vec()).collect();
    let Some(first) = shapes.iter().find(|shape| !shape.is_empty()).cloned() else {
        return joined(cx, parts, vec![], separator);
    };
    for shape in shapes.iter().filter(|shape| !shape.is_empty()) {
        if shape.len() != first.len() {
            return Err(
                format!("strings of rank {} are not joined with some of rank {}", first.len(), shape.len()).into()
            );
        }
        for (a, b) in first.iter().zip(shape) {
            cx.require_equal(a, b, "the shapes of strings that are joined")?;
        }
    }
    let parts = parts.into_iter().map(|x| cx.broadcast_to(x, &first)).collect::<Result<_, Stop>>()?;
    joined(cx, parts, first, separator)
}

/// The strings along some axes behind each other, the first axis that is named changing fastest; along none, each as it is.
fn reduce_join(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    let axes = cx.ints(1, "the axes")?.into_iter().map(|n| axis(n, shape.len())).collect::<Result<Vec<_>, Stop>>()?;
    if let Some(twice) = axes.iter().enumerate().find_map(|(n, axis)| axes[..n].contains(axis).then_some(axis)) {
        return Err(format!("axis {twice} is joined twice").into());
    }
    if axes.is_empty() {
        return one(x);
    }
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let extents = |axes: &[usize]| axes.iter().map(|&axis| shape[axis].clone()).collect::<Vec<Dim>>();
    let (rows, width) = (count(&extents(&kept)), count(&extents(&axes)));
    let order: Vec<usize> = kept.iter().chain(axes.iter().rev()).copied().collect();
    let moved = cx.transpose(x, &order)?;
    let all = cx.reshape(moved, &[&rows * &width])?;
    let separator = cx.node.attr_bytes("separator")?.to_vec();
    let made = rows_joined(cx, all, rows, width, separator)?;
    let keeps = cx.node.attr_bool("keep_dims").unwrap_or(false);
    let left = |axis: usize| if axes.contains(&axis) { Dim::one() } else { shape[axis].clone() };
    let shape = if keeps { (0..shape.len()).map(left).collect() } else { extents(&kept) };
    one(cx.reshape(made, &shape)?)
}

/// Strings of one shape.
fn joined(cx: &mut Import, parts: Vec<NodeId>, shape: Vec<Dim>, separator: Vec<u8>) -> Outputs {
    let (rows, width) = (count(&shape), Dim::from(parts.len() as i64));
    // Those of one result are side by side.
    let columns =
        parts.into_iter().map(|x| cx.reshape(x, &[rows.clone(), Dim::one()])).collect::<Result<Vec<_>, Stop>>()?;
    let all = cx.concat(&columns, 1)?;
    let all = cx.reshape(all, &[&rows * &width])?;
    let made = rows_joined(cx, all, rows, width, separator)?;
    one(cx.reshape(made, &shape)?)
}

/// Of strings that lie row by row, `rows` times `width` of them, those of each row behind each other.
fn rows_joined(cx: &mut Import, all: NodeId, rows: Dim, width: Dim, separator: Vec<u8>) -> Result<NodeId, Stop> {
    let row = cx.add(Iota { shape: vec![rows.clone()], axis: 0, dtype: DType::I64 }, &[])?;
    let width = cx.dim_scalar(&width, DType::I64)?;
    let width = cx.broadcast_to(width, &[rows])?;
    let start = cx.mul(row, width)?;
    let end = cx.add_(start, width)?;
    let separator = cx.constant(Tensor::from_strings([], vec![separator]))?;
    cx.add(TextJoin {}, &[all, start, end, separator])
}
