//! The graph IR: an arena of typed operators in execution order.
//!
//! [`Graph::add`] infers types and is the only constructor, so an ill-typed graph cannot be built: operands come before
//! their users and every node has the type that its operator infers. Names are provenance in a side table, never
//! identity. A pass rebuilds a graph, it does not patch one; dead nodes die by not being copied. Knows neither
//! where a graph came from nor what it is compiled for.

mod adjoint;
mod bounds;
mod call;
mod control;
mod draw;
mod eval;
mod found;
pub mod random;
mod sequence;
pub mod text;
mod widen;

use std::{collections::BTreeSet, sync::Arc};

pub use adjoint::NoDerivative;
pub use bounds::{Bounds, refuses};
pub use call::Call;
pub use control::{If, Loop, Regions};
pub use draw::draw;
pub use eval::{evaluate, evaluate_by};
pub use sequence::stacked;
pub use widen::{widen, widened};

use crate::{
    base::{Arena, Dim, Id, dim::Number},
    op::{Broadcast, ControlResult, Facts, Infer, Op},
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// A node of a graph; operands have smaller ids than their users.
pub type NodeId = Id<Node>;

/// One operator and its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    pub ty: TensorType,
}

/// A named end of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    pub node: NodeId,
}

/// One entry of a model: inputs to outputs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Arena<Node>,
    /// In the order of the signature; each names an [`Op::Input`] of its own.
    pub inputs: Vec<Port>,
    /// In the order of the signature; several may name one node.
    pub outputs: Vec<Port>,
    facts: Facts,
    origins: Vec<Option<Arc<str>>>,
    origin: Option<Arc<str>>,
    /// By node, what is tracked of its elements; and of integers as dims.
    numbers: Vec<Option<Vec<Number>>>,
    dims: Vec<Option<Vec<Dim>>>,
}

/// Same nodes, ports, assumptions and origins.
impl PartialEq for Graph {
    fn eq(&self, other: &Graph) -> bool {
        (&self.nodes, &self.inputs, &self.outputs) == (&other.nodes, &other.inputs, &other.outputs)
            && (&self.facts, &self.origins) == (&other.facts, &other.origins)
    }
}

/// Tensors up to this many elements are tracked as numbers that follow from extents.
const MAX_TRACKED: usize = 64;
/// What is made of constants in more steps than this counts as unknown.
const MAX_STEPS: usize = 64;

impl Graph {
    /// A graph that assumes what `facts` says.
    pub fn with_facts(facts: Facts) -> Graph {
        Graph { facts, ..Graph::default() }
    }
    /// Nodes added from here on come from the source node of this name.
    pub fn set_origin(&mut self, origin: Option<Arc<str>>) {
        self.origin = origin;
    }
    /// Adds an input of a declared type.
    pub fn input(&mut self, name: impl Into<String>, ty: TensorType) -> NodeId {
        let node = self.push(Op::Input, vec![], ty);
        self.inputs.push(Port { name: name.into(), node });
        node
    }
    /// Names a result.
    pub fn output(&mut self, name: impl Into<String>, node: NodeId) {
        self.outputs.push(Port { name: name.into(), node });
    }
    /// Appends a node, or says why the operands do not fit. [`Op::Input`] is refused: see [`Graph::input`].
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Infer<NodeId> {
        let op = op.into();
        let types: Vec<_> = inputs.iter().map(|&i| &self.nodes[i].ty).collect();
        let ty = op.infer(&types, &self.facts).map_err(|e| format!("{}: {e}", op.name()))?;
        Ok(self.push(op, inputs.to_vec(), ty))
    }
    /// Appends what a node of another graph computes, of these operands, or says why they do not fit.
    pub fn add_copy(&mut self, op: &Op, operands: &[NodeId]) -> Infer<NodeId> {
        match op {
            Op::Const(value) => Ok(self.constant(value.clone())),
            Op::Extent(dim) => Ok(self.extent(dim.clone())),
            op => self.add(op.clone(), operands),
        }
    }
    /// Zeros of a type, or empty strings, repeated.
    pub fn zeros(&mut self, dtype: DType, shape: &[Dim]) -> Infer<NodeId> {
        let zero = self.constant(Tensor::zeros(dtype, vec![1; shape.len()]));
        self.broadcast(zero, shape)
    }
    pub fn constant(&mut self, value: Tensor) -> NodeId {
        let ty = value.ty();
        self.push(Op::Const(value), vec![], ty)
    }
    /// The value of `dim` as an i64 scalar; a constant where it is one.
    pub fn extent(&mut self, dim: Dim) -> NodeId {
        match dim.as_int() {
            Some(n) => self.constant(Tensor::from_i64([], &[n])),
            None => self.push(Op::Extent(dim), vec![], TensorType::scalar(DType::I64)),
        }
    }
    fn push(&mut self, op: Op, inputs: Vec<NodeId>, ty: TensorType) -> NodeId {
        let numbers = self.track(&op, &inputs, &ty);
        let dims = |numbers: &Vec<Number>| numbers.iter().map(|n| n.as_dim().cloned()).collect();
        self.dims.push(numbers.as_ref().filter(|_| !ty.dtype.is_float()).and_then(dims));
        self.numbers.push(numbers);
        self.origins.push(self.origin.clone());
        self.nodes.push(Node { op, inputs, ty })
    }
    fn track(&self, op: &Op, inputs: &[NodeId], ty: &TensorType) -> Option<Vec<Number>> {
        let small = ty.count().as_int().is_some_and(|n| n <= MAX_TRACKED as i64);
        if !small {
            return None;
        }
        let known: Vec<Option<&[Number]>> = inputs.iter().map(|&i| self.numbers(i)).collect();
        let types: Vec<_> = inputs.iter().map(|&i| &self.nodes[i].ty).collect();
        op.numbers(&known, &types, ty)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
    pub fn op(&self, id: NodeId) -> &Op {
        &self.nodes[id].op
    }
    pub fn ty(&self, id: NodeId) -> &TensorType {
        &self.nodes[id].ty
    }
    pub fn shape(&self, id: NodeId) -> &[Dim] {
        &self.nodes[id].ty.shape
    }
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
    /// In execution order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        self.nodes.ids()
    }
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
        self.nodes.iter()
    }
    /// The name of the source node that a node was made for.
    pub fn origin(&self, id: NodeId) -> Option<&Arc<str>> {
        self.origins[id.index()].as_ref()
    }
    /// The elements of a small integer or bool tensor as dims, where they do not depend on the inputs' values.
    pub fn dims(&self, id: NodeId) -> Option<&[Dim]> {
        self.dims[id.index()].as_deref()
    }
    /// The elements of a small tensor, where they follow from extents.
    pub fn numbers(&self, id: NodeId) -> Option<&[Number]> {
        self.numbers[id.index()].as_deref()
    }
    /// The value of a constant.
    pub fn as_const(&self, id: NodeId) -> Option<&Tensor> {
        match self.op(id) {
            Op::Const(t) => Some(t),
            _ => None,
        }
    }
    /// Whether a node is made of constants alone, in some steps at most.
    pub fn follows_from_constants(&self, id: NodeId) -> bool {
        let (mut seen, mut open) = (BTreeSet::from([id]), vec![id]);
        while let Some(node) = open.pop().map(|id| self.node(id)) {
            if seen.len() > MAX_STEPS || matches!(node.op, Op::Input | Op::Control(_)) {
                return false;
            }
            open.extend(node.inputs.iter().filter(|&&i| seen.insert(i)));
        }
        true
    }
    /// Lets the elements of a constant go that nobody asks for any more. The node keeps its type, and no value.
    pub fn forget(&mut self, id: NodeId) {
        if let Op::Const(value) = &mut self.nodes[id].op
            && value.dtype != DType::Str
        {
            *value = Tensor::from_bytes(value.dtype, [0], vec![]);
        }
    }
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
    /// Takes `a == b` as given; the compiled entry checks it.
    pub fn assume_equal(&mut self, a: Dim, b: Dim) {
        self.facts.assume_equal(a, b);
    }

    /// Takes `from == 1 or from == to` as given; the compiled entry checks it.
    pub fn assume_repeated(&mut self, from: Dim, to: Dim) {
        self.facts.assume_repeated(from, to);
    }
    /// Appends `x` repeated to a shape of its rank, or says why it does not fit; `x` itself where it has that shape.
    pub fn broadcast(&mut self, x: NodeId, shape: &[Dim]) -> Infer<NodeId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        let op = Broadcast::new(self.shape(x), shape, &self.facts);
        self.add(op, &[x])
    }

    /// How many nodes use each node, outputs counted.
    pub fn use_counts(&self) -> Vec<usize> {
        let mut uses = vec![0; self.len()];
        for id in self.iter().flat_map(|(_, n)| &n.inputs).chain(self.outputs.iter().map(|p| &p.node)) {
            uses[id.index()] += 1;
        }
        uses
    }
    /// The same, where live nodes count alone.
    pub fn live_use_counts(&self) -> Vec<usize> {
        let (live, mut uses) = (self.live(), vec![0; self.len()]);
        let used = self.iter().filter(|(id, _)| live[id.index()]).flat_map(|(_, n)| &n.inputs);
        used.chain(self.outputs.iter().map(|p| &p.node)).for_each(|id| uses[id.index()] += 1);
        uses
    }
    /// The nodes that an output, an input port or an effect needs, or what is assumed of sizes.
    pub fn live(&self) -> Vec<bool> {
        let ports = self.outputs.iter().chain(&self.inputs).map(|port| port.node);
        let effects = self.ids().filter(|&id| self.has_effect(id));
        self.needed(ports.chain(self.assumed_binders()).chain(effects))
    }
    /// Checks the invariants that `add` keeps.
    pub fn verify(&self) -> Infer<()> {
        let mut seen: Vec<&ControlResult> = vec![];
        for (id, node) in self.iter() {
            let here = |e: String| format!("%{}: {e}", id.index());
            if let Some(bad) = node.inputs.iter().find(|&&i| i >= id) {
                return Err(here(format!("uses %{} before it is defined", bad.index())));
            }
            if node.op != Op::Input {
                let types: Vec<_> = node.inputs.iter().map(|&i| &self.nodes[i].ty).collect();
                let ty = node.op.infer(&types, &self.facts).map_err(here)?;
                if ty != node.ty {
                    return Err(here(format!("is {} but its operator infers {ty}", node.ty)));
                }
                if let Op::Control(of) = &node.op
                    && !seen.iter().any(|other| other.is_beside(of))
                {
                    seen.push(of);
                    Regions::of(&*of.control).graphs().into_iter().try_for_each(Graph::verify).map_err(here)?;
                }
            }
        }
        self.verify_found()?;
        let inputs = self.inputs.iter().all(|p| self.nodes.get(p.node).is_some_and(|n| n.op == Op::Input));
        let outputs = self.outputs.iter().all(|p| self.nodes.get(p.node).is_some());
        if inputs && outputs { Ok(()) } else { Err("a port names no node of its kind".into()) }
    }
}
