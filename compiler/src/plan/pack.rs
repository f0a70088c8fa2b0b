//! How constant right operands are laid out for the contraction's tiles.
//!
//! `[groups.., depth, columns]` becomes, for each group, panels of 64 columns; a panel holds its columns depth by
//! depth, so that a tile reads forwards. The last panel is as wide as the remaining columns. A tile reads it in whole
//! vectors too: what is right of its columns is the next depth's, goes into sums that nobody stores, and is zeros behind
//! the last depth. One layout serves all targets.

use super::{Panels, WeightId, fuse::is_view, lower::Context};
use crate::{
    base::Bindings,
    graph::{Graph, NodeId},
    op::Op,
    tensor::Tensor,
};

/// Elements of the widest vector of sums.
const LANES: usize = 16;

/// Where a packed operand is and how it is laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    pub id: WeightId,
    /// The batch axes along which matrices differ, each of which is a group; none for the groups of a convolution.
    pub batch: Vec<usize>,
    pub groups: usize,
    pub depth: usize,
    pub columns: usize,
    /// Columns of a full panel.
    pub panel: usize,
    pub bytes: usize,
}

impl Packed {
    /// The number of full panels.
    pub fn full(&self) -> usize {
        self.columns / self.panel
    }
    /// Columns of the last panel, if it is not full.
    pub fn rest(&self) -> usize {
        self.columns % self.panel
    }
    /// Elements of one group.
    pub fn per_group(&self) -> usize {
        self.depth * self.columns
    }
    /// Elements in all, with the zeros that the last vector reads beyond them.
    pub fn len(&self) -> usize {
        let elements = self.groups * self.per_group();
        if elements == 0 { 0 } else { elements + self.columns.next_multiple_of(LANES) - self.columns }
    }
}

/// Packs the right operand of a contraction in panels of some columns; `None` when it is not constant.
pub fn right(cx: &mut Context<'_>, root: NodeId, groups: usize, panel: usize) -> Option<Packed> {
    let node = cx.graph.node(root);
    let mut id = node.inputs[1];
    let mut batch = vec![];
    if let Op::Dot(_) = node.op {
        // Equal matrices are packed once: those of a broadcast along batch axes.
        let ty = cx.graph.ty(id);
        let axes = ty.rank() - 2;
        if let Op::Broadcast(_) = cx.graph.op(id) {
            let from = cx.graph.node(id).inputs[0];
            if cx.graph.shape(from)[axes..] == ty.shape[axes..] {
                id = from;
            }
        }
        batch = cx.graph.shape(id)[..axes].to_vec();
    }
    let value = constant(cx.graph, id)?;
    let apart = (0..batch.len()).filter(|&axis| !batch[axis].is(1)).collect();
    let batch = crate::tensor::concrete(&batch, &Bindings::new())?.iter().product::<usize>();
    let columns = *value.shape.last()?;
    let depth = match batch * columns {
        0 => 0,
        _ => value.count() / (batch * columns),
    };
    // Groups of a convolution are ranges of columns.
    let (outer, columns) = if groups == 1 { (batch, columns) } else { (groups, columns / groups) };
    let mut packed = Packed { id: WeightId::new(0), batch: apart, groups: outer, depth, columns, panel, bytes: 0 };
    let (behind, ranges) = (packed.len() - outer * packed.per_group(), groups != 1);
    let panels = Panels { groups: outer, ranges, depth, columns, panel, behind };
    packed.bytes = packed.len() * value.dtype.size();
    packed.id = cx.weights.add_panels(value, panels);
    Some(packed)
}

/// The value of a constant, or of a rearranged one.
pub fn constant(graph: &Graph, id: NodeId) -> Option<Tensor> {
    let node = graph.node(id);
    match &node.op {
        Op::Const(t) => Some(t.clone()),
        op if is_view(op) => {
            let from = constant(graph, node.inputs[0])?;
            let bind = Bindings::new();
            let out = node.ty.concrete(&bind)?;
            op.eval(&[&from], &out, &bind).ok()
        }
        _ => None,
    }
}
