//! Where everything that a value flows into, index for index, meets again.
//!
//! The immediate post-dominators of the graph (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm; one pass is
//! enough without cycles), and whether all paths up to them keep the index. Walks are bounded: a post-dominator that
//! is too far away is treated as the end of the graph, which post-dominates everything.

use crate::{
    graph::{Graph, NodeId},
    op::Op,
};

/// No walk up the tree is longer.
const MAX_WALK: usize = 64;

pub struct Flow {
    users: Vec<Vec<NodeId>>,
    /// The immediate post-dominator; `None` is the end of the graph.
    after: Vec<Option<NodeId>>,
    depth: Vec<u32>,
    /// Whether all paths to `after` keep the index.
    keeps: Vec<bool>,
}

impl Flow {
    pub fn of(graph: &Graph, live: &[bool]) -> Flow {
        let n = graph.len();
        let mut flow = Flow { users: vec![vec![]; n], after: vec![None; n], depth: vec![0; n], keeps: vec![false; n] };
        for (id, node) in graph.iter().filter(|(id, _)| live[id.index()]) {
            for &input in &node.inputs {
                // A user that reads a value twice is one user.
                let users = &mut flow.users[input.index()];
                if users.last() != Some(&id) {
                    users.push(id);
                }
            }
        }
        let mut ends = vec![false; n];
        graph.outputs.iter().for_each(|p| ends[p.node.index()] = true);
        for id in graph.ids().rev().filter(|id| live[id.index()] && !ends[id.index()]) {
            let users = &flow.users[id.index()];
            let Some((&first, rest)) = users.split_first() else { continue };
            let Some(after) = rest.iter().try_fold(first, |a, &b| flow.common(a, b)) else { continue };
            let keeps = users.iter().all(|&u| keeps_index(graph.op(u)) && flow.leads_to(u, after));
            flow.after[id.index()] = Some(after);
            flow.depth[id.index()] = flow.depth[after.index()] + 1;
            flow.keeps[id.index()] = keeps;
        }
        flow
    }
    /// The nodes that use `id`, each once, in order.
    pub fn users(&self, id: NodeId) -> &[NodeId] {
        &self.users[id.index()]
    }
    /// The first node that all paths from `id` lead to on the same index.
    pub fn meet(&self, id: NodeId) -> Option<NodeId> {
        self.after[id.index()].filter(|_| self.keeps[id.index()])
    }
    /// As [`Flow::meet`], with all nodes on the way, the meeting point included; `None` when there are more than `max`.
    pub fn step(&self, id: NodeId, max: usize) -> Option<(NodeId, Vec<NodeId>)> {
        let meet = self.meet(id)?;
        let mut between = vec![meet];
        let mut open: Vec<NodeId> = self.users(id).to_vec();
        while let Some(next) = open.pop() {
            if !between.contains(&next) {
                between.push(next);
                open.extend(self.users(next));
            }
            if between.len() > max {
                return None;
            }
        }
        Some((meet, between))
    }
    /// The nearest node that post-dominates both.
    fn common(&self, mut a: NodeId, mut b: NodeId) -> Option<NodeId> {
        for _ in 0..MAX_WALK {
            if a == b {
                return Some(a);
            }
            if self.depth[a.index()] >= self.depth[b.index()] {
                a = self.after[a.index()]?;
            } else {
                b = self.after[b.index()]?;
            }
        }
        None
    }
    /// Whether all paths from `id` to its post-dominator `end` keep the index.
    fn leads_to(&self, mut id: NodeId, end: NodeId) -> bool {
        for _ in 0..MAX_WALK {
            if id == end {
                return true;
            }
            match self.meet(id) {
                Some(next) => id = next,
                None => return false,
            }
        }
        false
    }
}

/// Whether the element at a flat position depends on the operands' elements at that position only.
fn keeps_index(op: &Op) -> bool {
    matches!(
        op,
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Bitcast(_) | Op::Reshape(_)
    )
}
