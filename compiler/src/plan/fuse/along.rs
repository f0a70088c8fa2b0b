//! Elementwise results that one kernel computes together: the new moments and the new value of a variable that learns, the
//! state of a cell beside its output.
//!
//! A kernel that reads a node at the very element that it writes may as well compute that element, and store it along with
//! its own: the operands that both need are read once, and what was made is still in a register. Where a contraction flows
//! into nothing but the elements of such a kernel, it becomes the root of that kernel, as if no buffer had stood between.
//!
//! A kernel runs at the place of its tip, so nobody may need what it fills along before that.

use std::collections::{BTreeMap, BTreeSet};

use super::{MAX_CODE, Role, State, is_elementwise};
use crate::{graph::NodeId, op::Op};

/// A kernel fills at most so many buffers along with its own: each is a stream of its own for the memory.
const MAX_ALONG: usize = 8;
/// Users beyond these are not looked at.
const MAX_USERS: usize = 64;

impl State<'_> {
    /// Lets kernels fill the buffers of what they compute anyway; by tip, what they fill.
    pub(super) fn fill_along(&mut self) -> BTreeMap<NodeId, Vec<NodeId>> {
        let mut filled: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for id in self.graph.ids().rev() {
            let Some((tip, root)) = self.filler(id) else { continue };
            let along = filled.entry(tip).or_default();
            if along.len() < MAX_ALONG && self.code(tip).is_some_and(|code| code.len() < MAX_CODE as usize / 2) {
                self.roles[id.index()] = Role::Along { tip };
                self.roles[tip.index()] = Role::Kernel { root };
                along.push(id);
            }
        }
        filled.retain(|_, along| !along.is_empty());
        for (&tip, along) in &mut filled {
            along.reverse();
            self.take_root(tip);
        }
        filled
    }

    /// What the kernel of an elementwise node begins with, where it goes element by element: the node itself, or a
    /// contraction of its shape.
    fn begin(&self, id: NodeId) -> Option<NodeId> {
        let Role::Kernel { root } = self.role(id) else { return None };
        let is_plain = is_elementwise(self.graph.op(id)) && self.rows[id.index()].is_none();
        let fits = root == id || self.contracts(root) && self.graph.shape(root) == self.graph.shape(id);
        (is_plain && fits).then_some(root)
    }
    fn contracts(&self, id: NodeId) -> bool {
        matches!(self.graph.op(id), Op::Dot(_) | Op::Conv(_))
    }

    /// The kernel that may fill the buffer of `id`, the first of those that read it, if all its reads are at the element
    /// that it writes; with what that kernel begins with then.
    fn filler(&self, id: NodeId) -> Option<(NodeId, NodeId)> {
        let own = self.begin(id)?;
        let readers = self.readers(id)?;
        let tip = *readers.keys().next()?;
        let others = self.begin(tip)?;
        let root = match (own == id, others == tip) {
            (true, _) => others,
            (false, true) => own,
            // Two contractions have loops of their own.
            (false, false) => return None,
        };
        (readers[&tip] && self.graph.shape(tip) == self.graph.shape(id)).then_some((tip, root))
    }

    /// The kernels that read a node, by their place, each with whether it does so at the element that it writes only; none
    /// where there are many.
    fn readers(&self, id: NodeId) -> Option<BTreeMap<NodeId, bool>> {
        let (mut readers, mut seen) = (BTreeMap::new(), BTreeSet::new());
        // What is read at another element by somebody is so for all behind.
        let mut open: Vec<(NodeId, bool)> = self.flow.users(id).iter().map(|&user| (user, true)).collect();
        while let Some((user, keeps)) = open.pop() {
            let keeps = keeps && is_elementwise(self.graph.op(user));
            if !seen.insert((user, keeps)) {
                continue;
            }
            if seen.len() > MAX_USERS {
                return None;
            }
            let reader = match self.role(user) {
                Role::Dead | Role::Leaf => continue,
                Role::Kernel { .. } => user,
                Role::Along { tip } => tip,
                Role::Fused => {
                    open.extend(self.flow.users(user).iter().map(|&next| (next, keeps)));
                    continue;
                }
            };
            *readers.entry(reader).or_insert(true) &= keeps;
        }
        Some(readers)
    }

    /// The nodes that a kernel computes element by element, those that it fills along among them; none where that is much.
    fn code(&self, tip: NodeId) -> Option<BTreeSet<NodeId>> {
        let (mut code, mut open) = (BTreeSet::new(), vec![tip]);
        while let Some(id) = open.pop() {
            let own = id == tip || !self.has_buffer(id) || self.role(id) == (Role::Along { tip });
            if own && code.insert(id) {
                open.extend(&self.graph.node(id).inputs);
            }
            if code.len() > MAX_CODE as usize {
                return None;
            }
        }
        Some(code)
    }

    /// Lets the kernel of `tip`, which fills others along, begin with a contraction that flows into its elements alone.
    fn take_root(&mut self, tip: NodeId) {
        let Some(code) = self.code(tip).filter(|_| self.begin(tip) == Some(tip)) else { return };
        let operands = code.iter().flat_map(|&id| &self.graph.node(id).inputs).copied();
        let takes = |&root: &NodeId| {
            let is_inner = self.graph.outputs.iter().all(|port| port.node != root);
            let alone = self.role(root) == (Role::Kernel { root }) && is_inner;
            let flows = || self.readers(root).is_some_and(|readers| readers.into_iter().eq([(tip, true)]));
            self.contracts(root) && alone && self.graph.shape(root) == self.graph.shape(tip) && flows()
        };
        // The last one: it may need what the others make.
        if let Some(root) = operands.filter(takes).max() {
            self.roles[root.index()] = Role::Fused;
            self.roles[tip.index()] = Role::Kernel { root };
        }
    }
}
