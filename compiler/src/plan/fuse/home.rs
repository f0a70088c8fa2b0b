//! Buffers that lie inside another node's buffer, so that nothing is copied there.
//!
//! The operand of a `Pad` lies inside the padded tensor, whose kernel then fills the border alone; the operands of a
//! `Concat` lie side by side in the result. A buffer has at most one home, and homes nest: what is joined and then
//! padded is written where it is read. All that writes or reads such a node does so through its container's strides.
//!
//! The members of a container never overlap, so a kernel may read one and write another.

use super::{Fusion, Role};
use crate::{
    base::Dim,
    graph::{Graph, NodeId},
    loops::flat,
    op::Op,
};

/// Users beyond these are not looked at: the node keeps a buffer of its own.
const MAX_USERS: usize = 64;

/// A range of each axis of a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// Has a buffer of its own.
    pub container: NodeId,
    /// The container's index of the node's first element.
    pub at: Vec<Dim>,
}

impl Fusion {
    /// Finds homes for the nodes that have a buffer.
    pub(super) fn settle(&mut self, graph: &Graph, users: &dyn Fn(NodeId) -> Vec<NodeId>) {
        self.homes = vec![None; graph.len()];
        let mut fixed = vec![false; graph.len()];
        for port in &graph.outputs {
            fixed[self.behind_reshapes(graph, port.node).index()] = true;
        }
        // Containers follow their members, so whatever a container lies in itself comes first.
        for (container, node) in graph.iter().collect::<Vec<_>>().into_iter().rev() {
            if self.role(container) != (Role::Kernel { root: container }) {
                continue;
            }
            for (n, &member) in node.inputs.iter().enumerate() {
                let Some(at) = place(graph, container, n) else { continue };
                if !fixed[member.index()] && self.homes[member.index()].is_none() && self.fits(graph, member, users) {
                    self.homes[member.index()] = Some(match &self.homes[container.index()] {
                        Some(outer) => {
                            let at = outer.at.iter().zip(&at).map(|(a, b)| a + b).collect();
                            Home { container: outer.container, at }
                        }
                        None => Home { container, at },
                    });
                }
            }
        }
    }
    /// The node whose memory an output is.
    pub fn behind_reshapes(&self, graph: &Graph, mut id: NodeId) -> NodeId {
        while self.role(id) == Role::Fused && matches!(graph.op(id), Op::Reshape(_)) {
            id = graph.node(id).inputs[0];
        }
        id
    }
    /// Whether a node is written and read by index, and not by its position.
    fn fits(&self, graph: &Graph, id: NodeId, users: &dyn Fn(NodeId) -> Vec<NodeId>) -> bool {
        let Role::Kernel { root } = self.role(id) else { return false };
        // What is stored at the root's index lies at a linear place of the tip where axes are merged at most.
        if graph.op(root).is_whole() || !splits(graph.shape(id), graph.shape(root)) {
            return false;
        }
        let mut open = users(id);
        let mut seen = 0;
        while let Some(user) = open.pop() {
            seen += 1;
            let merges = match graph.op(user) {
                Op::Reshape(_) => !splits(graph.shape(graph.node(user).inputs[0]), graph.shape(user)),
                op => matches!(op, Op::Bitcast(_)) && graph.shape(user) != graph.shape(graph.node(user).inputs[0]),
            };
            if merges || seen > MAX_USERS {
                return false;
            }
            if self.role(user) == Role::Fused {
                open.extend(users(user));
            }
        }
        true
    }

    /// Where a node's buffer lies, unless it is one of its own.
    pub fn home(&self, id: NodeId) -> Option<&Home> {
        self.homes[id.index()].as_ref()
    }
    /// The node whose buffer holds this node's elements.
    pub fn container(&self, id: NodeId) -> NodeId {
        self.home(id).map_or(id, |home| home.container)
    }
    /// The position of an element of `id` in its container's buffer.
    pub fn position(&self, graph: &Graph, id: NodeId, ix: &[Dim]) -> Dim {
        match self.home(id) {
            Some(home) => {
                let ix: Vec<Dim> = ix.iter().zip(&home.at).map(|(i, at)| i + at).collect();
                flat(graph.shape(home.container), &ix)
            }
            None => flat(graph.shape(id), ix),
        }
    }
    /// Whether operand `n` of a `Pad` or `Concat` is where it belongs in the result already.
    pub fn is_in_place(&self, graph: &Graph, container: NodeId, n: usize) -> bool {
        let member = graph.node(container).inputs[n];
        let (Some(home), Some(mut at)) = (self.home(member), place(graph, container, n)) else { return false };
        if let Some(outer) = self.home(container) {
            at.iter_mut().zip(&outer.at).for_each(|(at, outer)| *at = &*at + outer);
        }
        home.container == self.container(container) && home.at == at
    }
}

/// Where operand `n` begins in the result of a node that holds its operands as they are.
fn place(graph: &Graph, id: NodeId, n: usize) -> Option<Vec<Dim>> {
    let node = graph.node(id);
    match &node.op {
        Op::Pad(op) => (n == 0).then(|| op.low.clone()),
        Op::Concat(op) => {
            let mut at = vec![Dim::zero(); node.ty.rank()];
            at[op.axis] = node.inputs[..n].iter().fold(Dim::zero(), |sum, &i| sum + &graph.shape(i)[op.axis]);
            Some(at)
        }
        _ => None,
    }
}

/// Whether a reshape only splits axes, but for extents of 1: then an index of the result gives one of the operand
/// without divisions.
fn splits(from: &[Dim], to: &[Dim]) -> bool {
    let mut to = to.iter().filter(|n| !n.is(1));
    from.iter().filter(|n| !n.is(1)).all(|whole| {
        let mut product = Dim::one();
        while product != *whole {
            let Some(part) = to.next() else { return false };
            product = product * part;
        }
        true
    })
}

#[test]
fn splitting_is_seen() {
    let shape = |text: &str| -> Vec<Dim> { text.split(',').map(|d| d.parse().unwrap()).collect() };
    let splits = |from: &str, to: &str| splits(&shape(from), &shape(to));
    assert!(splits("N,6,1,5", "N,1,2,3,5"));
    assert!(splits("2*N,5", "2,N,5"));
    assert!(!splits("N,6,5", "N,30"));
    assert!(!splits("6,4", "4,6"));
}
