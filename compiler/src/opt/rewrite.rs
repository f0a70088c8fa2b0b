//! A graph being rebuilt: rules look at the old one, which does not change, and add to the new one.

use crate::{
    base::{Bindings, Dim},
    graph::{Graph, Node, NodeId},
    loops::BinaryFn,
    op::{Binary, Op, Reshape},
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// Larger constants are not looked at for equal elements.
const MAX_SPLAT: usize = 1 << 16;

/// The old graph, what is known of it, and the new one as far as it has come.
pub struct Rewrite<'g> {
    pub old: &'g Graph,
    pub new: Graph,
    uses: Vec<usize>,
    fixed: Vec<bool>,
    map: Vec<Option<NodeId>>,
}

impl<'g> Rewrite<'g> {
    pub fn of(old: &'g Graph) -> Rewrite<'g> {
        Rewrite {
            old,
            new: Graph::with_facts(old.facts().clone()),
            uses: old.live_use_counts(),
            fixed: fixed(old),
            map: vec![None; old.len()],
        }
    }
    /// Rebuilds the live part: each node by `f`, or as it was where `f` gives none.
    pub fn run(self, f: impl FnMut(&mut Rewrite<'g>, NodeId) -> Option<NodeId>) -> Graph {
        let live = self.old.live();
        self.rebuild(&live, f)
    }
    /// Rebuilds these nodes, on which the ports depend.
    pub fn rebuild(mut self, kept: &[bool], mut f: impl FnMut(&mut Rewrite<'g>, NodeId) -> Option<NodeId>) -> Graph {
        for id in self.old.ids().filter(|id| kept[id.index()]) {
            self.new.set_origin(self.old.origin(id).cloned());
            let replaced = f(&mut self, id);
            let new = replaced.unwrap_or_else(|| self.copy(id));
            debug_assert_eq!(self.new.ty(new), self.old.ty(id), "a node keeps its type");
            self.map[id.index()] = Some(new);
        }
        self.new.inputs.clear();
        for port in &self.old.inputs {
            let port = crate::graph::Port { name: port.name.clone(), node: self.new_of(port.node) };
            self.new.inputs.push(port);
        }
        for port in &self.old.outputs {
            self.new.output(port.name.clone(), self.new_of(port.node));
        }
        self.new.set_origin(None);
        self.new
    }
    fn copy(&mut self, id: NodeId) -> NodeId {
        let node = self.old.node(id);
        match &node.op {
            Op::Input => self.new.input("", node.ty.clone()),
            Op::Const(t) => self.new.constant(t.clone()),
            op => {
                let operands: Vec<NodeId> = node.inputs.iter().map(|&i| self.new_of(i)).collect();
                self.new.add(op.clone(), &operands).expect("the operands have the types they had")
            }
        }
    }

    // The old graph.

    pub fn node(&self, id: NodeId) -> &'g Node {
        self.old.node(id)
    }
    pub fn ty(&self, id: NodeId) -> &'g TensorType {
        self.old.ty(id)
    }
    /// Whether one live node or output uses it, and that once.
    pub fn is_used_once(&self, id: NodeId) -> bool {
        self.uses[id.index()] == 1
    }
    /// Whether its value is known at compile time, without being a constant necessarily.
    pub fn is_fixed(&self, id: NodeId) -> bool {
        self.fixed[id.index()]
    }
    /// The one value that all elements have.
    pub fn splat(&self, id: NodeId) -> Option<Scalar> {
        let node = self.node(id);
        match &node.op {
            Op::Const(t) if (1..=MAX_SPLAT).contains(&t.count()) && t.dtype != DType::Str => {
                let first = t.get(0);
                let size = t.dtype.size();
                t.bytes().chunks_exact(size).all(|c| c == &t.bytes()[..size]).then_some(first)
            }
            Op::Broadcast(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => self.splat(node.inputs[0]),
            _ => None,
        }
    }

    // The new graph.

    /// What has become of an old node. Panics for one that comes later or is dead.
    pub fn new_of(&self, old: NodeId) -> NodeId {
        self.map[old.index()].expect("operands come before their users")
    }
    /// Adds to the new graph; none when the operands do not fit.
    pub fn add(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> Option<NodeId> {
        self.new.add(op, operands).ok()
    }
    pub fn binary(&mut self, f: BinaryFn, x: NodeId, y: NodeId) -> Option<NodeId> {
        self.add(Binary { f }, &[x, y])
    }
    /// The new node `x` repeated along axes of extent 1.
    pub fn broadcast(&mut self, x: NodeId, shape: &[Dim]) -> Option<NodeId> {
        self.new.broadcast(x, shape).ok()
    }
    pub fn reshape(&mut self, x: NodeId, shape: &[Dim]) -> Option<NodeId> {
        if self.new.shape(x) == shape { Some(x) } else { self.add(Reshape { shape: shape.to_vec() }, &[x]) }
    }
    /// One value in every element.
    pub fn fill(&mut self, value: Scalar, ty: &TensorType) -> Option<NodeId> {
        let one = self.new.constant(Tensor::scalar(ty.dtype, value));
        let one = self.reshape(one, &vec![Dim::one(); ty.rank()])?;
        self.broadcast(one, &ty.shape)
    }
}

/// Whether an elementwise operator faults on some values: a division, remainder or power of integers.
pub fn divides(op: &Op, dtype: DType) -> bool {
    match op {
        Op::Binary(op) => matches!(op.f, BinaryFn::Div | BinaryFn::Rem | BinaryFn::Pow) && !dtype.is_float(),
        _ => false,
    }
}

/// By node, whether its value is known at compile time.
pub fn fixed(graph: &Graph) -> Vec<bool> {
    let mut fixed = vec![false; graph.len()];
    for (id, node) in graph.iter() {
        // What loops compute takes as long as they please.
        fixed[id.index()] = !matches!(node.op, Op::Control(_))
            && node.op.has_fixed_attributes()
            && node.ty.concrete(&Bindings::new()).is_some()
            && node.inputs.iter().all(|i| fixed[i.index()]);
    }
    fixed
}
