//! The gradient of an array of TensorFlow 1, a second array to which writes add, as a value that nodes hand on.
//!
//! `TensorArrayGradV3` makes it, or finds the one that was made for the same array and the same `source`. So it is one array
//! wherever it is asked for, and edges say in which order it is written and read. Behind this one node makes it where the
//! array is made, its flow carries it through all who use it, bodies included, and other flows are numbers again: the
//! gradients of flows are added up.
//!
//! ```text
//! TensorArrayV3 ─┬▶ TensorArrayGradV3 ─▶ Write          TensorArrayV3 ─▶ TensorArrayGradV3 ─flow▶ Write ─flow▶ Read
//!                └▶ TensorArrayGradV3 ─▶ Read
//! ```

use std::collections::BTreeSet;

use smc_proto::{DataType, TensorProto};

use super::{
    constant,
    resources::{
        bodies, bodies_first, change_bodies, do_nothing, first_argument, handed_on, has_any, places, replace,
        runs_before,
    },
};
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::{
        graph::{Node, NodeOutput, Port, TfGraph, is_branch, is_functional, sorted},
        types::{TfShape, TfType},
    },
};

/// The graph in which each gradient of its arrays and of those in its bodies is one value.
pub fn functional(mut graph: TfGraph) -> Result<TfGraph, Problems> {
    if !has_any(&graph, makes_gradient) {
        return Ok(graph);
    }
    bodies_first(&mut graph, makes_gradient, functional);
    let mut found = vec![];
    for (id, _) in graph.nodes.iter().filter(|(_, node)| makes_array(node)) {
        let handles = vec![NodeOutput { node: id, index: 0 }];
        let mut sources = BTreeSet::new();
        find_sources(&graph, &handles, &mut sources);
        found.extend(sources.into_iter().map(|source| Gradient { handles: handles.clone(), source }));
    }
    // Edges that order those who use one gradient may lead through flows of another.
    for gradient in &found {
        gradient.check_order(&graph)?;
    }
    for gradient in &found {
        let uses = gradient.uses(&graph);
        if uses.iter().any(|(_, one)| one.reads()) {
            let made = gradient.make(&mut graph)?;
            gradient.hand_on(&mut graph, Some(made))?;
        } else {
            gradient.hand_on(&mut graph, None)?;
        }
    }
    sorted(graph)
}

fn makes_array(node: &Node) -> bool {
    matches!(node.op.as_str(), "TensorArray" | "TensorArrayV2" | "TensorArrayV3")
}

fn makes_gradient(node: &Node) -> bool {
    node.op.starts_with("TensorArrayGrad")
}

fn find_sources(graph: &TfGraph, handles: &[NodeOutput], found: &mut BTreeSet<String>) {
    for (id, node) in graph.nodes.iter() {
        if makes_gradient(node) && places(graph, node, handles).any(|n| n == 0) {
            found.extend(node.attr_str("source").ok().map(String::from));
        } else if is_functional(&node.op) {
            bodies(graph, id, handles).for_each(|(_, body, handles)| find_sources(body, &handles, found));
        }
    }
}

/// One gradient of an array: what the array's handle is in a graph, and the name that tells gradients apart.
struct Gradient {
    handles: Vec<NodeOutput>,
    source: String,
}

/// What a node does with a gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    Make,
    Write,
    Read,
    Close,
    Bodies { writes: bool, reads: bool },
}

impl Use {
    fn writes(self) -> bool {
        matches!(self, Use::Write | Use::Bodies { writes: true, .. })
    }
    fn reads(self) -> bool {
        matches!(self, Use::Read | Use::Bodies { reads: true, .. })
    }
}

impl Gradient {
    /// The nodes that use it, in the order in which they stand.
    fn uses(&self, graph: &TfGraph) -> Vec<(Id<Node>, Use)> {
        let mut found = vec![];
        let mut own: Vec<NodeOutput> = vec![];
        for (id, node) in graph.nodes.iter() {
            let is_own = |edge: &NodeOutput| own.contains(&handed_on(graph, *edge));
            let one = match node.op.as_str() {
                _ if self.is_made_by(graph, node) => {
                    own.push(NodeOutput { node: id, index: 0 });
                    Some(Use::Make)
                }
                op if op.starts_with("TensorArray") && node.inputs.first().is_some_and(is_own) => what_is_done(op),
                op if is_functional(op) => self.in_bodies(graph, id),
                _ => None,
            };
            found.extend(one.map(|one| (id, one)));
        }
        found
    }

    fn is_made_by(&self, graph: &TfGraph, node: &Node) -> bool {
        let is_source = || node.attr_str("source").is_ok_and(|source| source == self.source);
        makes_gradient(node) && places(graph, node, &self.handles).any(|n| n == 0) && is_source()
    }

    fn in_bodies(&self, graph: &TfGraph, id: Id<Node>) -> Option<Use> {
        let of_body = |(_, body, handles): (usize, &TfGraph, Vec<NodeOutput>)| self.with(handles).uses(body);
        let all: Vec<Use> = bodies(graph, id, &self.handles).flat_map(of_body).map(|(_, one)| one).collect();
        let (writes, reads) = (all.iter().any(|one| one.writes()), all.iter().any(|one| one.reads()));
        (!all.is_empty()).then_some(Use::Bodies { writes, reads })
    }

    fn with(&self, handles: Vec<NodeOutput>) -> Gradient {
        Gradient { handles, source: self.source.clone() }
    }

    /// Who reads must run before or behind each who writes. Writes add, so their order does not matter.
    fn check_order(&self, graph: &TfGraph) -> Result<(), Diagnostic> {
        let uses = self.uses(graph);
        for (n, &(id, one)) in uses.iter().enumerate() {
            let others =
                uses[..n].iter().filter(|(_, other)| one.writes() && other.reads() || one.reads() && other.writes());
            let others = others.map(|(id, _)| *id);
            if let Some(other) = others.into_iter().find(|&other| !runs_before(graph, other, id)) {
                let what = format!(
                    "this node uses the gradient of an array, and nothing says whether it runs before `{}` or behind it",
                    graph.nodes[other].name
                );
                return Err(graph.nodes[id].fault(what).help("let one wait for the other: `tf.control_dependencies`"));
            }
            for (_, body, handles) in bodies(graph, id, &self.handles).filter(|_| matches!(one, Use::Bodies { .. })) {
                self.with(handles).check_order(body)?;
            }
        }
        Ok(())
    }

    /// A node that makes it before all others: its shape and size are those of the array where the first of the nodes that
    /// asked for it did.
    fn make(&self, graph: &mut TfGraph) -> Result<NodeOutput, Diagnostic> {
        let handle = self.handles[0];
        let (mut node, flow) =
            self.first(graph).ok_or_else(|| graph.nodes[handle.node].fault("no gradient is asked for"))?;
        let is_here = self.uses(graph).first().is_some_and(|(_, one)| *one == Use::Make);
        if node.inputs.len() > 2 && !is_here {
            return Err(node.fault(format!("{} within a branch or a loop is not supported", node.op)));
        }
        node.inputs[0] = handle;
        if let Some(first) = node.inputs.get_mut(1) {
            *first = flow.unwrap_or(handle);
        }
        node.controls.clear();
        Ok(NodeOutput { node: graph.nodes.push(node), index: 0 })
    }

    /// The first node that asks for it, and the flow of the array there, where it is one of this graph.
    fn first(&self, graph: &TfGraph) -> Option<(Node, Option<NodeOutput>)> {
        let (id, one) = self.uses(graph).into_iter().next()?;
        if let Use::Make = one {
            let node = &graph.nodes[id];
            return Some((node.clone(), node.inputs.get(1).copied()));
        }
        bodies(graph, id, &self.handles).find_map(|(_, body, handles)| {
            let (node, flow) = self.with(handles).first(body)?;
            let outside = flow.and_then(|flow| {
                let flow = handed_on(body, flow);
                let argument = body.inputs.iter().position(|port| port.source == flow)?;
                let given_back = body.outputs.get(argument).map(|port| handed_on(body, port.source)) == Some(flow);
                let stays = is_branch(&graph.nodes[id].op) || given_back;
                graph.nodes[id].inputs.get(argument + first_argument(&graph.nodes[id])).copied().filter(|_| stays)
            });
            Some((node, outside))
        })
    }

    /// Lets it go through all who use it; where it is behind them. Where it is none, nobody reads it, and it goes.
    fn hand_on(&self, graph: &mut TfGraph, made: Option<NodeOutput>) -> Result<Option<NodeOutput>, Problems> {
        let mut at = made;
        let mut zero = None;
        let mut uses = self.uses(graph);
        uses.retain(|(id, _)| made.is_none_or(|made| made.node != *id));
        for &(id, one) in &uses {
            let own = NodeOutput { node: id, index: 0 };
            match one {
                Use::Make => {
                    if let Some(&flow) = graph.nodes[id].inputs.get(1) {
                        replace(graph, NodeOutput { node: id, index: 1 }, flow);
                    }
                }
                Use::Write => {
                    let zero = *zero.get_or_insert_with(|| zero_in(graph, id));
                    replace(graph, own, zero);
                    at = at.map(|at| {
                        take(&mut graph.nodes[id], at);
                        own
                    });
                }
                Use::Read => at.into_iter().for_each(|at| take(&mut graph.nodes[id], at)),
                Use::Close => {}
                Use::Bodies { .. } => at = self.hand_through(graph, id, at)?,
            }
        }
        for (id, _) in uses.into_iter().filter(|(_, one)| match one {
            Use::Make | Use::Close => true,
            Use::Write => at.is_none(),
            Use::Read | Use::Bodies { .. } => false,
        }) {
            do_nothing(&mut graph.nodes[id]);
        }
        Ok(at)
    }

    /// Lets it go through the bodies of a node, as one more operand and one more result.
    fn hand_through(
        &self,
        graph: &mut TfGraph,
        id: Id<Node>,
        at: Option<NodeOutput>,
    ) -> Result<Option<NodeOutput>, Problems> {
        let node = graph.nodes[id].clone();
        let is_loop = !is_branch(&node.op);
        let mut result = 0;
        change_bodies(graph, id, &self.handles, |which, inner, handles| {
            let own = self.with(handles);
            let argument = at.map(|_| argument(inner));
            if is_loop && which == 0 {
                let what = "the condition of this loop uses the gradient of an array, which is not supported";
                return if own.uses(inner).is_empty() { Ok(()) } else { Err(node.fault(what).into()) };
            }
            if let Some(source) = own.hand_on(inner, argument)? {
                result = inner.outputs.len();
                let ty = TfType { dtype: DataType::DtFloat, shape: TfShape::UNKNOWN };
                inner.outputs.push(Port { key: format!("result{result}"), source, ty });
            }
            Ok(())
        })?;
        graph.nodes[id].inputs.extend(at);
        Ok(at.map(|_| NodeOutput { node: id, index: result as u32 }))
    }
}

/// What an operator on a gradient's handle does.
fn what_is_done(op: &str) -> Option<Use> {
    let is = |what: &str| op.strip_prefix("TensorArray").is_some_and(|rest| rest.starts_with(what));
    match () {
        () if ["Write", "Scatter", "Unpack", "Split"].into_iter().any(is) => Some(Use::Write),
        () if ["Read", "Gather", "Pack", "Concat", "Size"].into_iter().any(is) => Some(Use::Read),
        () if is("Close") => Some(Use::Close),
        () => None,
    }
}

/// Lets a node work on an array that is handed on: its last operand is the flow.
fn take(node: &mut Node, array: NodeOutput) {
    if let Some(flow) = node.inputs.last_mut() {
        *flow = array;
    }
    if let Some(handle) = node.inputs.first_mut() {
        *handle = array;
    }
}

/// One more argument of a body.
fn argument(body: &mut TfGraph) -> NodeOutput {
    let ty = TfType { dtype: DataType::DtFloat, shape: TfShape::UNKNOWN };
    let key = format!("gradient{}", body.inputs.len());
    let source = NodeOutput { node: body.nodes.push(Node::input(&key, &ty)), index: 0 };
    body.inputs.push(Port { key, source, ty });
    source
}

/// A number in the place of a flow that carries nothing.
fn zero_in(graph: &mut TfGraph, beside: Id<Node>) -> NodeOutput {
    let zero = TensorProto { dtype: DataType::DtFloat as i32, float_val: vec![0.0], ..Default::default() };
    let node = constant(format!("{}/flow", graph.nodes[beside].name), zero);
    NodeOutput { node: graph.nodes.push(node), index: 0 }
}
