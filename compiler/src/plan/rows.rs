//! The template for rows that are reduced and then computed from what was reduced: softmax, layer norm.
//!
//! One loop over the rows; within it a loop per reduction, in order, each of which may use the results before it, and at
//! last the loop that writes the row. A row is read from the cache by all passes but the first. What another kernel will
//! need of the row that is written, such as its sum, the last loop computes too.

use super::{
    fold,
    fuse::Rows,
    lower::{Context, Site},
    map::{Trial, write},
};
use crate::{base::Dim, graph::NodeId, op::Op};

/// The kernel of `tip`, which computes the reductions of its rows itself.
pub fn rows<'g>(cx: &Context<'g>, tip: NodeId, root: NodeId, rows: &Rows) -> Site<'g> {
    let mut site = Site::new(cx.graph, cx.fusion, tip, root);
    let reduces = matches!(cx.graph.op(root), Op::Reduce(_));
    let shape = if reduces { cx.graph.shape(cx.graph.node(root).inputs[0]) } else { cx.graph.shape(tip) };
    let mut outer = shape.to_vec();
    outer[rows.first..].fill(Dim::one());
    site.each_flat(&outer, |site, row| {
        for fold in &rows.folds {
            let value = match cx.fusion.has_buffer(fold.root) {
                true => site.element_of(fold.root, row),
                false => fold::reduce_row(cx, site, fold.root, row, &|_, _| {}),
            };
            let value = site.follow(fold.root, fold.tip, row, value);
            site.give(fold.tip, value);
        }
        if reduces {
            let value = fold::reduce_row(cx, site, root, row, &|_, _| {});
            return site.finish_element(row, value);
        }
        if let Some(root) = rows.along {
            let value = fold::reduce_row(cx, site, root, row, &|site, ix| {
                let value = site.value(ix);
                site.store(ix, value);
            });
            return site.store_along(root, row, value);
        }
        write_row(site, shape, rows.first, row);
    });
    site
}

/// Every element of the row that begins at `row`.
fn write_row<'g>(site: &mut Site<'g>, shape: &[Dim], first: usize, row: &[Dim]) {
    let store = |site: &mut Site<'g>, ix: &[Dim]| {
        let value = site.value(ix);
        site.store(ix, value);
    };
    let mut extents = shape.to_vec();
    extents[..first].fill(Dim::one());
    let trial = Trial::of(site.fresh(), &extents, &store);
    let axes: Vec<usize> = (first..shape.len()).filter(|&a| !shape[a].is(1)).collect();
    let start = vec![Dim::zero(); shape.len()];
    write(site, &trial.groups(&axes), &extents, start, trial.innermost(), &|site, i| {
        let ix: Vec<Dim> = row.iter().zip(i).map(|(row, i)| row + i).collect();
        store(site, &ix);
    });
}
