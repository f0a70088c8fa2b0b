//! One entry point of a model as a flat graph: functions inlined, cut at the inputs, pruned to what the outputs need.
//!
//! Invariants of a [`TfGraph`]:
//! - nodes stand after the nodes they read, except that a `Merge` may read a later `NextIteration` as long as loops are
//!   what TensorFlow 1 writes (`frames`);
//! - every edge names an output that its node has, where the operator is known;
//! - names are unique; a node of an inlined function is named `CALL/NODE`;
//! - every tensor that is fed is output 0 of a `Placeholder`, which is listed among the inputs;
//! - control edges lead to nodes that have an effect or read state, to a `NoOp` that joins several of these, or to what
//!   decides whether a node runs ([`TfGraph::gates`]);
//! - every node with an effect that TensorFlow would execute is present.
//!
//! Functional control flow stays as it is, with what its bodies do beside computing in [`TfGraph::effects`]; a branch
//! that [`Branches`] names is inlined in the place of its `If` or `Case`, and its predicate stays as a [`Decision`].
//! Other bodies are graphs of their own, in [`TfGraph::bodies`].

mod build;
mod effect;
mod library;
mod print;
mod prune;
mod reference;
#[cfg(test)]
mod tests;
mod twin;

use std::{collections::BTreeMap, sync::Arc};

use smc_proto::{AttrValue, DataType, NameAttrList, TensorProto, attr_value::ListValue, attr_value::Value};

pub(super) use build::Builder;
pub use effect::{has_effect, is_branch, is_functional, is_stateful, only_tells};
pub(super) use library::{Attrs, Library, Scope, control_inputs, data_inputs};
pub(super) use prune::sorted;
pub(super) use reference::Reference;

use super::{
    Variable,
    body::Body,
    custom::Operators,
    forest::Held,
    op_defs::op_def,
    tables,
    types::{TfShape, TfType, data_type},
};
use crate::base::{Arena, Diagnostic, Id, layer::layer_of};

/// A tensor: one output of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeOutput {
    pub node: Id<Node>,
    pub index: u32,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: String,
    pub op: String,
    pub inputs: Vec<NodeOutput>,
    /// Nodes that run before this one.
    pub controls: Vec<Id<Node>>,
    /// As written in the file; [`Node::attr`] adds the defaults.
    pub attrs: BTreeMap<String, AttrValue>,
    pub origin: Origin,
}

/// Where a node comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The file: the function's name (empty for the main graph) and the node's name there.
    Defined { function: String, node: String },
    /// An input, in place of what the file has there.
    Input,
    /// An object that a function captured, by its number among the saved objects.
    Object(usize),
    /// A point in the order of effects.
    Order,
}

/// An input or output of the whole graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The key by which a caller names it.
    pub key: String,
    pub source: NodeOutput,
    pub ty: TfType,
}

/// A flat graph; see the module's head for what holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TfGraph {
    pub nodes: Arena<Node>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// Where the value of each variable node is stored.
    pub variables: BTreeMap<Id<Node>, Variable>,
    /// The nodes that decide whether others run, not as operands but because those wait for them: the pivots of branches
    /// and loops of TensorFlow 1. They are among the control edges.
    pub gates: BTreeMap<Id<Node>, Vec<Id<Node>>>,
    /// The stored tensors whose variables the graph changes, bodies included, each with the name of a node that does.
    pub updates: BTreeMap<String, String>,
    /// The nodes that choose between functions, by the places at which [`Branches`] names them.
    pub sites: BTreeMap<Id<Node>, Site>,
    /// The choices that were made already.
    pub decisions: Vec<Decision>,
    /// Operators with an effect in the functions that a node names, each with one node of that operator.
    pub effects: BTreeMap<Id<Node>, BTreeMap<String, String>>,
    /// What branches and loops do, by node and the place of the function in [`Node::regions`]. The inputs of a body are the
    /// function's arguments, its outputs are what it returns.
    pub bodies: BTreeMap<(Id<Node>, usize), Body>,
    /// The forests that nodes run; those nodes have no operand for a handle.
    pub forests: BTreeMap<Id<Node>, Held>,
    /// The tables that nodes look something up in; those nodes have no operand for a handle either.
    pub tables: BTreeMap<Id<Node>, tables::Held>,
    /// What is known of operators that are none of TensorFlow's; of a signature's own graph, not of bodies.
    pub operators: Arc<Operators>,
}

/// A node of the file at one call: the positions of the calls that lead to it, then its own. The first number tells the
/// main graph from an exported function.
pub type Site = Vec<u32>;

/// Which function each `If` or `Case` calls, where that is known: 0 and 1 are the else and then branch of an `If`.
pub type Branches = BTreeMap<Site, usize>;

/// An `If` or `Case` in whose place one of its functions stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub node: String,
    pub op: String,
    pub predicate: NodeOutput,
    /// The number of its functions, and which of them was taken.
    pub branches: usize,
    pub taken: usize,
}

impl TfGraph {
    /// How often each operator occurs.
    pub fn op_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        self.nodes.iter().for_each(|(_, n)| *counts.entry(n.op.as_str()).or_default() += 1);
        counts
    }
    /// The variables that the graph and its bodies use.
    pub fn all_variables(&self) -> Vec<&Variable> {
        let (mut found, mut todo, mut seen) = (vec![], vec![self], vec![]);
        while let Some(graph) = todo.pop() {
            found.extend(graph.variables.values());
            for body in graph.bodies.values().flatten() {
                if !seen.contains(&Arc::as_ptr(body)) {
                    seen.push(Arc::as_ptr(body));
                    todo.push(body);
                }
            }
        }
        found
    }
    /// Takes over what another graph knows of a node that was copied from there.
    pub(super) fn take(&mut self, from: &TfGraph, id: Id<Node>, copy: Id<Node>) {
        self.variables.extend(from.variables.get(&id).map(|variable| (copy, variable.clone())));
        self.effects.extend(from.effects.get(&id).map(|effects| (copy, effects.clone())));
        let bodies = from.bodies.range((id, 0)..=(id, usize::MAX));
        self.bodies.extend(bodies.map(|(&(_, which), body)| ((copy, which), body.clone())));
    }
    pub fn find(&self, name: &str) -> Option<Id<Node>> {
        self.nodes.iter().find(|(_, n)| n.name == name).map(|(id, _)| id)
    }
}

impl Node {
    /// A node without contents, to take another's place for a moment.
    fn empty() -> Node {
        let (name, op) = (String::new(), String::new());
        Node { name, op, inputs: vec![], controls: vec![], attrs: BTreeMap::new(), origin: Origin::Order }
    }
    /// What stands for an input of a graph.
    pub(super) fn input(name: &str, ty: &TfType) -> Node {
        let attr = |value| AttrValue { value: Some(value) };
        let shape = attr(Value::Shape(ty.shape.to_proto()));
        let attrs = [("dtype".into(), attr(Value::Type(ty.dtype as i32))), ("shape".into(), shape)].into();
        Node { name: name.into(), op: "Placeholder".into(), origin: Origin::Input, attrs, ..Node::empty() }
    }
    /// An attribute as written, or TensorFlow's default.
    pub fn attr(&self, name: &str) -> Option<&Value> {
        let written = self.attrs.get(name).and_then(|a| a.value.as_ref());
        written.or_else(|| op_def(&self.op)?.defaults.get(name)?.value.as_ref())
    }
    fn required<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        pick: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, Diagnostic> {
        let problem = match self.attr(name) {
            Some(value) => match pick(value) {
                Some(value) => return Ok(value),
                None => format!("attribute `{name}` of {} is not {kind}", self.op),
            },
            None => format!("{} lacks its attribute `{name}`", self.op),
        };
        Err(self.fault(problem))
    }
    /// A diagnostic that points at this node.
    pub fn fault(&self, message: impl Into<String>) -> Diagnostic {
        let diagnostic = Diagnostic::error(message).at_node(&self.name);
        match self.layer() {
            Some(layer) => diagnostic.in_layer(layer),
            None => diagnostic,
        }
    }
    pub fn attr_int(&self, name: &str) -> Result<i64, Diagnostic> {
        self.required(name, "an integer", |v| if let Value::I(i) = v { Some(*i) } else { None })
    }
    pub fn attr_float(&self, name: &str) -> Result<f32, Diagnostic> {
        self.required(name, "a number", |v| if let Value::F(f) = v { Some(*f) } else { None })
    }
    pub fn attr_bool(&self, name: &str) -> Result<bool, Diagnostic> {
        self.required(name, "a truth value", |v| if let Value::B(b) = v { Some(*b) } else { None })
    }
    pub fn attr_bytes(&self, name: &str) -> Result<&[u8], Diagnostic> {
        self.required(name, "a string", |v| if let Value::S(s) = v { Some(&s[..]) } else { None })
    }
    pub fn attr_str(&self, name: &str) -> Result<&str, Diagnostic> {
        self.required(name, "a text", |v| if let Value::S(s) = v { std::str::from_utf8(s).ok() } else { None })
    }
    pub fn attr_type(&self, name: &str) -> Result<DataType, Diagnostic> {
        self.required(name, "a type", |v| if let Value::Type(t) = v { Some(data_type(*t)) } else { None })
    }
    pub fn attr_shape(&self, name: &str) -> Result<TfShape, Diagnostic> {
        self.required(
            name,
            "a shape",
            |v| if let Value::Shape(s) = v { Some(TfShape::from_proto(Some(s))) } else { None },
        )
    }
    pub fn attr_tensor(&self, name: &str) -> Result<&TensorProto, Diagnostic> {
        self.required(name, "a tensor", |v| if let Value::Tensor(t) = v { Some(t) } else { None })
    }
    pub fn attr_func(&self, name: &str) -> Result<&NameAttrList, Diagnostic> {
        self.required(name, "a function", |v| if let Value::Func(f) = v { Some(f) } else { None })
    }
    fn attr_list(&self, name: &str) -> Result<&ListValue, Diagnostic> {
        self.required(name, "a list", |v| if let Value::List(l) = v { Some(l) } else { None })
    }
    pub fn attr_ints(&self, name: &str) -> Result<&[i64], Diagnostic> {
        self.attr_list(name).map(|l| &l.i[..])
    }
    pub fn attr_floats(&self, name: &str) -> Result<&[f32], Diagnostic> {
        self.attr_list(name).map(|l| &l.f[..])
    }
    pub fn attr_bools(&self, name: &str) -> Result<&[bool], Diagnostic> {
        self.attr_list(name).map(|l| &l.b[..])
    }
    pub fn attr_types(&self, name: &str) -> Result<Vec<DataType>, Diagnostic> {
        self.attr_list(name).map(|l| l.r#type.iter().map(|&t| data_type(t)).collect())
    }
    pub fn attr_shapes(&self, name: &str) -> Result<Vec<TfShape>, Diagnostic> {
        self.attr_list(name).map(|l| l.shape.iter().map(|s| TfShape::from_proto(Some(s))).collect())
    }
    pub fn attr_strs(&self, name: &str) -> Result<Vec<&[u8]>, Diagnostic> {
        self.attr_list(name).map(|l| l.s.iter().map(|s| &s[..]).collect())
    }
    pub fn attr_funcs(&self, name: &str) -> Result<&[NameAttrList], Diagnostic> {
        self.attr_list(name).map(|l| &l.func[..])
    }

    /// The functions that a branch or a loop runs: else and then of an `If`, all of a `Case`, condition and body of a `While`.
    pub fn regions(&self) -> Vec<&NameAttrList> {
        let named = |names: [&str; 2]| names.into_iter().filter_map(|name| self.attr_func(name).ok()).collect();
        match self.op.as_str() {
            "If" | "StatelessIf" => named(["else_branch", "then_branch"]),
            "While" | "StatelessWhile" => named(["cond", "body"]),
            "Case" | "StatelessCase" => self.attr_funcs("branches").map_or(vec![], |all| all.iter().collect()),
            _ => vec![],
        }
    }

    /// The layer a node belongs to, read off its name.
    pub fn layer(&self) -> Option<String> {
        layer_of(&self.name)
    }
}
