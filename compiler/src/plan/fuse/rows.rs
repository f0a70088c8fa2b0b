//! Reductions along the same rows that are computed together with what they lead to: softmax, layer norm.
//!
//! The *rows* of a tensor run along its trailing axes. Where a kernel needs reductions of rows as long as its own, and
//! nothing else does, it computes them itself: for each row one pass per reduction, then the pass that writes. What lies
//! between is pulled again in every pass, as long as that is cheap; a row is in the cache by then. What is not cheap is
//! written by a kernel before, and where that one goes row by row too, it computes the reduction as it writes. An axis is
//! as good as absent when its extent is 1.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Kind, Role, State, cost, estimate, is_elementwise, kind};
use crate::{base::Dim, graph::NodeId, op::Op, tensor::count};

/// Code between the passes is at most so many nodes.
const MAX_NODES: usize = 64;
/// What an element may cost more than if it were computed once, in additions: less than an exponential, which takes
/// longer than writing it and reading it back from a near cache.
const MAX_REPEATED: u32 = 12;
/// Longer rows do not stay in a cache from one pass to the next.
const MAX_ROW: f64 = 65536.0;
/// Shorter rows are sooner reduced again than what was reduced is written and read.
const MIN_PASSED_ON: i64 = 128;

/// The reductions that a kernel needs of its rows, each with the value that is made of it, in the order of the passes. It
/// computes them itself, but for those that have a buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Axes from here on lie within a row.
    pub first: usize,
    pub folds: Vec<Folded>,
    /// A reduction of the rows that the kernel writes, which it computes in the pass that writes them.
    pub along: Option<NodeId>,
}

/// One reduction and what is computed from it for each row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Folded {
    pub root: NodeId,
    pub tip: NodeId,
}

/// What becomes of a kernel that may take over reductions.
enum Found {
    Nothing,
    /// The passes would compute this too often.
    Costly(NodeId),
    /// The reductions, the nodes that then are the kernel's own code, and what should be computed before, because every
    /// pass needs it.
    Rows(Rows, Vec<NodeId>, Vec<NodeId>),
}

/// What a kernel's code is made of, above its tip.
struct Region<'s> {
    state: &'s State<'s>,
    /// The shape of all rows together.
    shape: &'s [Dim],
    first: usize,
    /// Nodes of that shape, or of one element per row, that the kernel computes.
    full: BTreeSet<NodeId>,
    row: BTreeSet<NodeId>,
    folds: Vec<Folded>,
}

impl State<'_> {
    /// Moves reductions into the kernels that need them.
    pub(super) fn gather_rows(&mut self) {
        let outputs: HashSet<NodeId> = self.graph.outputs.iter().map(|p| p.node).collect();
        for tip in self.graph.ids().rev() {
            let Role::Kernel { root } = self.role(tip) else { continue };
            let found = loop {
                match self.rows_of(tip, root, &outputs) {
                    // A kernel of its own computes it once; it may well be one of rows too.
                    Found::Costly(id) => self.give_buffer(id),
                    Found::Nothing => break None,
                    Found::Rows(rows, within, shared) => break Some((rows, within, shared)),
                }
            };
            let Some((rows, within, shared)) = found else { continue };
            for fold in &rows.folds {
                self.roles[fold.tip.index()] = Role::Fused;
            }
            within.into_iter().for_each(|id| self.inside[id.index()] = true);
            shared.into_iter().for_each(|id| self.give_buffer(id));
            self.rows[tip.index()] = Some(rows);
        }
    }
    /// Lets a kernel that writes rows reduce them for the kernel that reads them next, and saves that one a pass.
    pub(super) fn reduce_along(&mut self) {
        let readers: Vec<Rows> = self.rows.iter().flatten().cloned().collect();
        for Rows { first, folds, .. } in readers {
            for root in folds.into_iter().map(|fold| fold.root) {
                let from = self.graph.node(root).inputs[0];
                if count(&self.graph.shape(from)[first..]).as_int().is_some_and(|n| n < MIN_PASSED_ON) {
                    continue;
                }
                let elementwise = self.role(from) == Role::Kernel { root: from } && is_elementwise(self.graph.op(from));
                let Some(writer) = self.rows[from.index()].as_mut().filter(|_| elementwise) else { continue };
                if writer.first == first && writer.along.is_none() {
                    writer.along = Some(root);
                    self.roles[root.index()] = Role::Along { tip: from };
                }
            }
        }
    }
    fn rows_of(&self, tip: NodeId, root: NodeId, outputs: &HashSet<NodeId>) -> Found {
        self.try_rows(tip, root, outputs).unwrap_or(Found::Nothing)
    }
    fn try_rows(&self, tip: NodeId, root: NodeId, outputs: &HashSet<NodeId>) -> Option<Found> {
        let graph = self.graph;
        let (shape, first) = match graph.op(root) {
            Op::Reduce(op) => {
                let shape = graph.shape(graph.node(root).inputs[0]);
                (shape, first_of_rows(shape, &op.axes)?)
            }
            op if tip == root && kind(op) == Kind::Elementwise => {
                let shape = graph.shape(tip);
                (shape, self.find_rows(tip, shape)?)
            }
            _ => return None,
        };
        if estimate(&count(&shape[first..])) > MAX_ROW {
            return None;
        }
        let mut region =
            Region { state: self, shape, first, full: BTreeSet::new(), row: BTreeSet::new(), folds: vec![] };
        match graph.op(root) {
            Op::Reduce(_) => region.code_of(root, tip),
            _ => region.visit_full(tip),
        }
        if region.full.len() + region.row.len() > MAX_NODES {
            return None;
        }
        region.folds.retain(|fold| fold.tip != tip);
        let dependent = region.settle(tip, outputs);
        if region.folds.is_empty() {
            return None;
        }
        let repeated = region.repeated(tip, &dependent);
        if repeated.values().sum::<u32>() > MAX_REPEATED {
            let free = repeated.iter().filter(|(id, _)| **id != tip && self.is_free(**id));
            let costliest = free.max_by_key(|(id, cost)| (**cost, **id))?;
            return Some(Found::Costly(*costliest.0));
        }
        // What the passes share and depends on none of them.
        let passes = region.folds.len() as u32;
        let operands: HashSet<NodeId> = region.folds.iter().map(|fold| graph.node(fold.root).inputs[0]).collect();
        let read = |id: &NodeId| operands.contains(id) || self.flow.users(*id).iter().any(|u| dependent.contains(u));
        let shared = region.full.iter().copied().filter(|id| self.is_free(*id) && !dependent.contains(id) && read(id));
        let shared = shared.filter(|id| passes * self.depth_cost(*id, 0) > MAX_REPEATED).collect();
        let mut folds = region.folds;
        folds.sort_by_key(|fold| fold.root);
        Some(Found::Rows(
            Rows { first, folds, along: None },
            dependent.into_iter().filter(|&id| id != tip).collect(),
            shared,
        ))
    }
    /// Where the rows begin of the nearest reduction of a tensor of this shape above `id`.
    fn find_rows(&self, id: NodeId, shape: &[Dim]) -> Option<usize> {
        let (mut open, mut seen) = (vec![id], HashSet::from([id]));
        while let Some(next) = open.pop() {
            for &input in &self.graph.node(next).inputs {
                match self.role(input) {
                    Role::Kernel { root } => {
                        if let Op::Reduce(op) = self.graph.op(root)
                            && self.graph.shape(self.graph.node(root).inputs[0]) == shape
                            && let Some(first) = first_of_rows(shape, &op.axes)
                        {
                            return Some(first);
                        }
                    }
                    Role::Fused if seen.len() < MAX_NODES && seen.insert(input) => open.push(input),
                    _ => {}
                }
            }
        }
        None
    }
    /// The cost of a node's element with what is fused above it.
    fn depth_cost(&self, id: NodeId, depth: usize) -> u32 {
        if self.has_buffer(id) || depth > 16 {
            return 0;
        }
        let inputs = self.graph.node(id).inputs.iter().map(|&i| self.depth_cost(i, depth + 1));
        inputs.fold(cost(self.graph.op(id)), u32::saturating_add)
    }
}

impl Region<'_> {
    fn is_small(&self) -> bool {
        self.full.len() + self.row.len() <= MAX_NODES
    }
    /// Code for every element of a row.
    fn visit_full(&mut self, id: NodeId) {
        let graph = self.state.graph;
        let own = self.full.is_empty() && self.folds.is_empty();
        if (self.state.has_buffer(id) && !own) || graph.shape(id) != self.shape || !self.is_small() {
            return;
        }
        let node = graph.node(id);
        match node.op {
            Op::Broadcast(_) => {
                self.full.insert(id);
                let from = node.inputs[0];
                if self.is_row(from) { self.visit_row(from) } else { self.visit_full(from) }
            }
            _ if kind(&node.op) == Kind::Elementwise && self.full.insert(id) => {
                node.inputs.iter().for_each(|&i| self.visit_full(i));
            }
            _ => {}
        }
    }
    /// Code for one value of each row.
    fn visit_row(&mut self, id: NodeId) {
        if !self.is_row(id) || self.row.contains(&id) || !self.is_small() {
            return;
        }
        if let Role::Kernel { root } = self.state.role(id) {
            return self.visit_fold(root, id);
        }
        let graph = self.state.graph;
        let node = graph.node(id);
        let passes = matches!(node.op, Op::Broadcast(_) | Op::Reshape(_)) || kind(&node.op) == Kind::Elementwise;
        if self.state.role(id) == Role::Fused && passes {
            self.row.insert(id);
            node.inputs.iter().for_each(|&i| self.visit_row(i));
        }
    }
    /// A reduction with a kernel of its own, if it is one of the same rows.
    fn visit_fold(&mut self, root: NodeId, tip: NodeId) {
        let graph = self.state.graph;
        let Op::Reduce(op) = graph.op(root) else { return };
        let from = graph.shape(graph.node(root).inputs[0]);
        if from == self.shape && first_of_rows(from, &op.axes) == Some(self.first) {
            self.code_of(root, tip);
        }
    }
    fn code_of(&mut self, root: NodeId, tip: NodeId) {
        let graph = self.state.graph;
        self.folds.push(Folded { root, tip });
        let mut open = vec![tip];
        while let Some(id) = open.pop() {
            if id == root {
                self.row.insert(id);
                self.visit_full(graph.node(root).inputs[0]);
            } else if self.state.inside[id.index()] && self.state.role(id) == Role::Fused || id == tip {
                if self.row.insert(id) {
                    open.extend(&graph.node(id).inputs);
                }
            } else {
                self.visit_row(id);
            }
        }
    }
    /// Whether a node has one element for each row.
    fn is_row(&self, id: NodeId) -> bool {
        let axes = |shape: &[Dim]| shape.iter().filter(|n| !n.is(1)).cloned().collect::<Vec<_>>();
        axes(self.state.graph.shape(id)) == axes(&self.shape[..self.first])
    }
    /// Gives up reductions that others need too; the nodes that depend on those that are left.
    fn settle(&mut self, tip: NodeId, outputs: &HashSet<NodeId>) -> BTreeSet<NodeId> {
        loop {
            let tips: HashSet<NodeId> = self.folds.iter().map(|fold| fold.tip).collect();
            let within = |id: &NodeId| self.full.contains(id) || self.row.contains(id);
            // Ids ascend from operands to users.
            let mut dependent: BTreeSet<NodeId> = BTreeSet::new();
            for &id in self.full.union(&self.row) {
                let inputs = &self.state.graph.node(id).inputs;
                if tips.contains(&id) || inputs.iter().any(|i| dependent.contains(i)) {
                    dependent.insert(id);
                }
            }
            let leaks =
                |id: &NodeId| *id != tip && (outputs.contains(id) || !self.state.flow.users(*id).iter().all(&within));
            let Some(&leak) = dependent.iter().find(|id| leaks(id)) else { return dependent };
            // Whatever the leaking value is made of needs a buffer.
            let mut above = HashSet::from([leak]);
            for &id in dependent.iter().rev().filter(|&&id| id <= leak) {
                if above.contains(&id) {
                    above.extend(&self.state.graph.node(id).inputs);
                }
            }
            self.folds.retain(|fold| !above.contains(&fold.tip));
        }
    }
    /// What is computed again in other passes, per element, and what that costs.
    fn repeated(&self, tip: NodeId, dependent: &BTreeSet<NodeId>) -> HashMap<NodeId, u32> {
        let graph = self.state.graph;
        let operands = self.folds.iter().map(|fold| graph.node(fold.root).inputs[0]);
        let own = match graph.op(self.state.root_of(tip)) {
            Op::Reduce(_) => graph.node(self.state.root_of(tip)).inputs[0],
            _ => tip,
        };
        let mut times = HashMap::<NodeId, u32>::new();
        for start in operands.chain([own]) {
            let (mut open, mut seen) = (vec![start], HashSet::new());
            while let Some(id) = open.pop() {
                if self.full.contains(&id) && dependent.contains(&id) && seen.insert(id) {
                    *times.entry(id).or_default() += 1;
                    open.extend(&graph.node(id).inputs);
                }
            }
        }
        times.into_iter().map(|(id, times)| (id, (times - 1) * cost(graph.op(id)))).collect()
    }
}

impl State<'_> {
    fn root_of(&self, tip: NodeId) -> NodeId {
        match self.role(tip) {
            Role::Kernel { root } => root,
            _ => tip,
        }
    }
}

/// The first axis of the rows that are folded; none unless they are the trailing axes.
fn first_of_rows(shape: &[Dim], axes: &[usize]) -> Option<usize> {
    let kept = (0..shape.len()).rev().find(|a| !axes.contains(a) && !shape[*a].is(1));
    let first = kept.map_or(0, |axis| axis + 1);
    let trailing = axes.iter().all(|&a| a >= first || shape[a].is(1));
    (trailing && first < shape.len()).then_some(first)
}
