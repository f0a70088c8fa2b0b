//! Buffers that lie inside another node's buffer, so that nothing is copied there.
//!
//! The operand of a `Pad` lies inside the padded tensor, whose kernel then fills the border alone; the operands of a
//! `Concat` lie side by side in the result. What a `Scatter` changes is changed where it lies, if all else that reads it is
//! made before, because the change is made of that: so rows that change places stay in their tensor.
//! A buffer has at most one home, and homes nest: what is joined and then padded is written where it is read. All that
//! writes or reads such a node does so through its container's strides.
//!
//! The members of a container never overlap, so a kernel may read one and write another. What is changed where it lies
//! has no members, whose other readers might come too late.

use super::{Fusion, Kind, Role, kind};
use crate::{
    base::Dim,
    graph::{Graph, NodeId},
    loops::{Writer, flat},
    op::Op,
    plan::lower::unflatten,
};

/// Users beyond these are not looked at: the node keeps a buffer of its own.
const MAX_USERS: usize = 64;
/// Nor what a change is made of, beyond so many nodes.
const MAX_NEEDED: usize = 256;

/// A box within a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// A `Pad`, `Concat`, `Scatter` or `Put`.
    pub parent: NodeId,
    /// The node that has the parent's buffer: the parent, or a reshape of it.
    pub tip: NodeId,
    /// The parent's index of the node's first element.
    pub at: Vec<Dim>,
}

/// An input whose memory is that of an output, by its number, if the graph makes the one of the other there.
#[derive(Clone, Copy, Debug)]
pub struct Yield {
    pub input: NodeId,
    pub output: usize,
}

impl Fusion {
    /// Finds homes for the nodes that have a buffer.
    pub(super) fn settle(&mut self, graph: &Graph, yields: &[Yield], users: &dyn Fn(NodeId) -> Vec<NodeId>) {
        self.homes = vec![None; graph.len()];
        let mut fixed = vec![false; graph.len()];
        let outputs: Vec<NodeId> = graph.outputs.iter().map(|port| self.behind_reshapes(graph, port.node)).collect();
        outputs.iter().for_each(|id| fixed[id.index()] = true);
        for tip in graph.ids().rev() {
            let Role::Kernel { root: parent } = self.role(tip) else { continue };
            if !is_reshape_of(graph, tip, parent) {
                continue;
            }
            for (n, &member) in graph.node(parent).inputs.iter().enumerate() {
                let Some(at) = place(graph, parent, n) else { continue };
                let fits = match graph.op(parent) {
                    Op::Scatter(_) | Op::Put(_) => {
                        self.may_change(graph, member, tip, &outputs, yields)
                            && self.gives_way(graph, member, parent, users)
                    }
                    _ => self.fits(graph, member, users),
                };
                let fits = fits && graph.is_sized_before(&self.containers(parent, tip), member);
                if !fixed[member.index()] && self.homes[member.index()].is_none() && fits {
                    self.homes[member.index()] = Some(Home { parent, tip, at });
                }
            }
        }
    }
    /// A node that has a home at `tip`, and all that this lies in: the places within depend on their extents.
    fn containers(&self, parent: NodeId, tip: NodeId) -> Vec<NodeId> {
        let (mut all, mut outermost) = (vec![parent, tip], tip);
        while let Some(home) = self.home(outermost) {
            all.extend([home.parent, home.tip]);
            outermost = home.tip;
        }
        all
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
            if matches!(graph.op(user), Op::Control(_)) {
                return false;
            }
            let merges = match graph.op(user) {
                Op::Reshape(_) => !splits(graph.shape(graph.node(user).inputs[0]), graph.shape(user)),
                op => matches!(op, Op::Bitcast(_)) && graph.shape(user) != graph.shape(graph.node(user).inputs[0]),
            };
            if merges || seen > MAX_USERS {
                return false;
            }
            // A root reads in loops of its own, whatever is made of its result.
            if self.role(user) == Role::Fused && kind(graph.op(user)) != Kind::Root {
                open.extend(users(user));
            }
        }
        true
    }

    /// Whether the memory of a node may be changed to hold `tip`. That of an input is an output's, and of no other one.
    fn may_change(&self, graph: &Graph, id: NodeId, tip: NodeId, outputs: &[NodeId], yields: &[Yield]) -> bool {
        match self.role(id) {
            Role::Kernel { root } => !matches!(graph.op(root), Op::Pad(_) | Op::Concat(_)),
            _ => yields.iter().find(|given| given.input == id).is_some_and(|given| {
                let held = outputs[given.output];
                // Whoever comes later has its home already.
                self.container(tip) == held && outputs.iter().filter(|&&output| output == held).count() == 1
            }),
        }
    }

    /// Whether `change` needs a node once, and nobody reads it when `change` begins.
    fn gives_way(&self, graph: &Graph, id: NodeId, change: NodeId, users: &dyn Fn(NodeId) -> Vec<NodeId>) -> bool {
        let once = graph.node(change).inputs.iter().filter(|&&operand| operand == id).count() == 1;
        let others: Vec<NodeId> = users(id).into_iter().filter(|&user| user != change).collect();
        once && (others.is_empty() || self.are_done_before(graph, others, change, id, users))
    }
    /// Whether each of these users of a node is code of kernels alone whose results `change` is made of, and none is code of
    /// the kernel of `change`.
    fn are_done_before(
        &self,
        graph: &Graph,
        mut open: Vec<NodeId>,
        change: NodeId,
        id: NodeId,
        users: &dyn Fn(NodeId) -> Vec<NodeId>,
    ) -> bool {
        let Some(needed) = needed(graph, change, id) else { return false };
        let mut seen = 0;
        while let Some(user) = open.pop() {
            seen += 1;
            // Regions find what they read in memory, and hand it on.
            if seen > MAX_USERS || user == change || matches!(graph.op(user), Op::Control(_)) {
                return false;
            }
            let done = match self.role(user) {
                Role::Fused => {
                    let next = users(user);
                    let goes_on = !next.is_empty();
                    open.extend(next);
                    goes_on
                }
                Role::Kernel { .. } => needed.contains(&user),
                Role::Along { tip } => needed.contains(&tip),
                Role::Leaf | Role::Dead => false,
            };
            if !done {
                return false;
            }
        }
        true
    }

    /// Where a node's buffer lies, unless it is one of its own.
    pub fn home(&self, id: NodeId) -> Option<&Home> {
        self.homes[id.index()].as_ref()
    }
    /// The node whose buffer holds this node's elements.
    pub fn container(&self, mut id: NodeId) -> NodeId {
        while let Some(home) = self.home(id) {
            id = home.tip;
        }
        id
    }
    /// The position of an element of `id` in its container's buffer.
    pub fn position(&self, w: &Writer, graph: &Graph, id: NodeId, ix: &[Dim]) -> Dim {
        let Some(home) = self.home(id) else { return flat(graph.shape(id), ix) };
        let ix: Vec<Dim> = ix.iter().zip(&home.at).map(|(i, at)| i + at).collect();
        if home.tip == home.parent {
            return self.position(w, graph, home.tip, &ix);
        }
        let place = flat(graph.shape(home.parent), &ix);
        match self.home(home.tip) {
            Some(_) => self.position(w, graph, home.tip, &unflatten(w, &place, graph.shape(home.tip))),
            None => place,
        }
    }
    /// The container that a node's elements are a box of, as far as it is one, and where the box begins.
    pub fn outermost(&self, id: NodeId) -> Option<(NodeId, Vec<Dim>)> {
        let mut home = self.home(id)?;
        let mut at = home.at.clone();
        while home.tip == home.parent
            && let Some(outer) = self.home(home.tip)
        {
            at.iter_mut().zip(&outer.at).for_each(|(at, outer)| *at = &*at + outer);
            home = outer;
        }
        Some((home.parent, at))
    }
    /// Whether operand `n` of a `Pad`, `Concat` or `Scatter` is where it belongs in the result already.
    pub fn is_in_place(&self, graph: &Graph, parent: NodeId, n: usize) -> bool {
        let home = self.home(graph.node(parent).inputs[n]);
        home.is_some_and(|home| home.parent == parent && Some(&home.at) == place(graph, parent, n).as_ref())
    }
}

/// What a node is made of, behind `above`; none where that is much.
fn needed(graph: &Graph, node: NodeId, above: NodeId) -> Option<Vec<NodeId>> {
    let (mut all, mut open) = (vec![], graph.node(node).inputs.clone());
    while let Some(next) = open.pop() {
        if next.index() > above.index() && !all.contains(&next) {
            all.push(next);
            open.extend(&graph.node(next).inputs);
        }
        if all.len() > MAX_NEEDED {
            return None;
        }
    }
    Some(all)
}

/// Whether a node holds what `from` holds, under another shape at most.
fn is_reshape_of(graph: &Graph, mut id: NodeId, from: NodeId) -> bool {
    while id != from {
        let Op::Reshape(_) = graph.op(id) else { return false };
        id = graph.node(id).inputs[0];
    }
    true
}

/// Where operand `n` begins in the result of a node that holds its operands as they are.
fn place(graph: &Graph, id: NodeId, n: usize) -> Option<Vec<Dim>> {
    let node = graph.node(id);
    match &node.op {
        Op::Pad(op) => (n == 0).then(|| op.low.clone()),
        Op::Scatter(_) | Op::Put(_) => (n == 0).then(|| vec![Dim::zero(); node.ty.rank()]),
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
