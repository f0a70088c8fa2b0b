//! Pooling. Places outside the operand count for nothing: a maximum passes over them, a mean does not divide by them.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    conv::{Layout, Margin, Step, margins},
};
use crate::{base::Dim, graph::NodeId, loops::BinaryFn, op::Window};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "MaxPool", import: max_pool },
    TfOp { name: "MaxPoolV2", import: max_pool },
    TfOp { name: "MaxPool3D", import: max_pool },
    TfOp { name: "AvgPool", import: avg_pool },
    TfOp { name: "AvgPool3D", import: avg_pool },
];

/// The window over all axes of the operand.
fn window(cx: &mut Import, f: BinaryFn) -> Result<(NodeId, Window), Stop> {
    let x = cx.arg(0)?;
    let rank = if cx.node.op.ends_with("3D") { 5 } else { 4 };
    if cx.rank(x) != rank {
        return Err(format!("expected rank {rank}, got {}", cx.rank(x)).into());
    }
    let layout = Layout::of(cx.node.attr_str("data_format")?, rank)?;
    let (size, stride) = if cx.node.op == "MaxPoolV2" {
        (cx.ints(1, "the window")?, cx.ints(2, "the strides")?)
    } else {
        (cx.node.attr_ints("ksize")?.to_vec(), cx.node.attr_ints("strides")?.to_vec())
    };
    if [size.len(), stride.len()] != [rank; 2] || size.iter().chain(&stride).any(|&n| n < 1) {
        return Err(format!("window {size:?} and strides {stride:?} do not fit rank {rank}").into());
    }
    let shape = cx.shape(x);
    let axes: Vec<usize> =
        if cx.node.attr_str("padding")? == "EXPLICIT" { layout.spatial().collect() } else { (0..rank).collect() };
    let extents: Vec<Dim> = axes.iter().map(|&a| shape[a].clone()).collect();
    let steps: Vec<Step> =
        axes.iter().map(|&a| Step { size: size[a].into(), stride: stride[a], dilation: 1 }).collect();
    let (mut low, mut high) = (vec![Dim::zero(); rank], vec![Dim::zero(); rank]);
    for (&a, Margin { low: l, high: h }) in axes.iter().zip(margins(cx, &layout, &extents, &steps)?) {
        (low[a], high[a]) = (l, h);
    }
    Ok((x, Window { f, size, stride, dilation: vec![1; rank], low, high }))
}

fn max_pool(cx: &mut Import) -> Outputs {
    let (x, window) = window(cx, BinaryFn::Max)?;
    one(cx.add(window, &[x])?)
}

/// The sum over the number of places inside the operand, which a window over ones counts.
fn avg_pool(cx: &mut Import) -> Outputs {
    let (x, window) = window(cx, BinaryFn::Add)?;
    one(cx.in_single(x, |cx, x| {
        let sum = cx.add(window.clone(), &[x])?;
        let padded = |a: usize| !window.low[a].is(0) || !window.high[a].is(0);
        if !(0..window.size.len()).any(padded) {
            let count = cx.scalar_like(x, window.size.iter().product::<i64>() as f64)?;
            return cx.div(sum, count);
        }
        let mut count: Option<NodeId> = None;
        for a in (0..window.size.len()).filter(|&a| window.size[a] > 1) {
            let along = count_along(cx, x, &window, a)?;
            count = Some(match count {
                Some(count) => cx.mul(count, along)?,
                None => along,
            });
        }
        match count {
            Some(count) => cx.div(sum, count),
            None => Ok(sum),
        }
    })?)
}

/// How many places of each window lie inside the operand on one axis.
fn count_along(cx: &mut Import, x: NodeId, window: &Window, a: usize) -> Result<NodeId, Stop> {
    let mut shape = vec![Dim::one(); window.size.len()];
    shape[a] = cx.shape(x)[a].clone();
    let unit = cx.scalar_like(x, 1.0)?;
    let ones = cx.broadcast_to(unit, &shape)?;
    let none = vec![Dim::zero(); shape.len()];
    let mut along = Window { low: none.clone(), high: none, ..window.clone() };
    for other in (0..shape.len()).filter(|&other| other != a) {
        (along.size[other], along.stride[other]) = (1, 1);
    }
    (along.low[a], along.high[a]) = (window.low[a].clone(), window.high[a].clone());
    cx.add(along, &[ones])
}
