//! Cuts a part out of a graph: the nodes that compute some tensors, as a graph whose inputs are what they read from
//! outside.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::nest::gates;
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::{
        graph::{Node, NodeOutput, Port, TfGraph, has_effect, sorted},
        types::{TfShape, TfType},
    },
};
use smc_proto::DataType;

/// What an edge is for a part that reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edge {
    /// The value of one of the part's arguments.
    Argument(usize),
    Inside,
    /// A value of the graph around.
    Outside(NodeOutput),
}

/// The arguments of a part: what is given, and behind it what is read from the graph around.
pub struct Arguments {
    given: Vec<(String, DataType)>,
    outside: Vec<NodeOutput>,
    places: HashMap<NodeOutput, usize>,
}

impl Arguments {
    pub fn new(given: Vec<(String, DataType)>) -> Arguments {
        Arguments { given, outside: vec![], places: HashMap::new() }
    }
    pub fn outside(&self) -> &[NodeOutput] {
        &self.outside
    }
    fn place(&mut self, from: NodeOutput) -> usize {
        *self.places.entry(from).or_insert_with(|| {
            self.outside.push(from);
            self.given.len() + self.outside.len() - 1
        })
    }
}

/// A part to be cut out.
pub struct Part<'g, Sort, Gated> {
    pub graph: &'g TfGraph,
    /// What an edge is for the part.
    pub sort: Sort,
    /// Whether it is told in the part whether a node runs.
    pub is_gated: Gated,
}

impl<Sort, Gated> Part<'_, Sort, Gated>
where
    Sort: Fn(NodeOutput) -> Result<Edge, Diagnostic>,
    Gated: Fn(Id<Node>) -> bool,
{
    /// The nodes that compute `outputs` and all that `effects` need, in the order in which they are met. What they read
    /// from outside is added to `arguments`.
    pub fn nodes(
        &self,
        outputs: &[NodeOutput],
        effects: &[Id<Node>],
        arguments: &mut Arguments,
    ) -> Result<Vec<Id<Node>>, Problems> {
        let mut found = effects.to_vec();
        let mut seen: HashSet<Id<Node>> = found.iter().copied().collect();
        let mut met = |edge: NodeOutput, found: &mut Vec<Id<Node>>| {
            match (self.sort)(edge)? {
                Edge::Argument(_) => {}
                Edge::Outside(from) => drop(arguments.place(from)),
                Edge::Inside if seen.insert(edge.node) => found.push(edge.node),
                Edge::Inside => {}
            }
            Ok::<(), Diagnostic>(())
        };
        for &output in outputs {
            met(output, &mut found)?;
        }
        let mut next = 0;
        while let Some(&id) = found.get(next) {
            for &edge in operands(&self.graph.nodes[id]) {
                met(edge, &mut found)?;
            }
            for gate in self.gates(id) {
                met(gate, &mut found)?;
            }
            next += 1;
        }
        Ok(found)
    }

    /// What decides whether a node runs, of what is inside.
    fn gates(&self, id: Id<Node>) -> impl Iterator<Item = NodeOutput> {
        let all = gates(self.graph, id).filter(move |_| (self.is_gated)(id));
        let edges = all.map(|node| NodeOutput { node, index: 0 });
        edges.filter(|&gate| matches!((self.sort)(gate), Ok(Edge::Inside)))
    }

    /// The graph of these nodes. Each node's name is `named`, and edges of order are kept among the nodes that `holders`
    /// leads to.
    pub fn cut(
        &self,
        nodes: &[Id<Node>],
        outputs: &[NodeOutput],
        arguments: &Arguments,
        holders: &Holders,
        named: impl Fn(&str) -> String,
    ) -> Result<TfGraph, Problems> {
        let mut part = TfGraph::default();
        let outside =
            arguments.outside.iter().map(|from| (self.graph.nodes[from.node].name.clone(), DataType::DtInvalid));
        for (name, dtype) in arguments.given.iter().cloned().chain(outside) {
            let name = named(&name);
            let ty = TfType { dtype, shape: TfShape::UNKNOWN };
            let source = NodeOutput { node: part.nodes.push(Node::input(&name, &ty)), index: 0 };
            part.inputs.push(Port { key: name, source, ty });
        }
        let first = part.nodes.len();
        let ids: HashMap<Id<Node>, Id<Node>> =
            nodes.iter().enumerate().map(|(n, &id)| (id, Id::new(first + n))).collect();
        let moved = |edge: NodeOutput| {
            Ok::<NodeOutput, Diagnostic>(match (self.sort)(edge)? {
                Edge::Argument(n) => part.inputs[n].source,
                Edge::Outside(from) => part.inputs[arguments.places[&from]].source,
                Edge::Inside => NodeOutput { node: ids[&edge.node], ..edge },
            })
        };
        let mut copies = vec![];
        for &id in nodes {
            let node = &self.graph.nodes[id];
            let inputs = operands(node).iter().map(|&edge| moved(edge)).collect::<Result<_, _>>()?;
            let waits = node.controls.iter().filter_map(|&c| holders.find(c, |holder| ids.contains_key(&holder)));
            let controls: BTreeSet<_> = waits.map(|c| ids[&c]).filter(|&c| c != ids[&id]).collect();
            // What a loop goes on by is a value like any other for those who read it.
            let op = if node.op == "LoopCond" { "Identity".into() } else { node.op.clone() };
            let controls = controls.into_iter().collect();
            copies.push(Node { name: named(&node.name), op, inputs, controls, ..node.clone() });
        }
        let port = |(n, &edge): (usize, &NodeOutput)| {
            let ty = TfType { dtype: DataType::DtInvalid, shape: TfShape::UNKNOWN };
            Ok::<Port, Diagnostic>(Port { key: format!("result{n}"), source: moved(edge)?, ty })
        };
        part.outputs = outputs.iter().enumerate().map(port).collect::<Result<_, _>>()?;
        for copy in copies {
            part.nodes.push(copy);
        }
        for (&from, &to) in &ids {
            part.take(self.graph, from, to);
            let gates: Vec<_> = self.gates(from).map(|gate| ids[&gate.node]).collect();
            if !gates.is_empty() {
                part.gates.insert(to, gates);
            }
        }
        sorted(part)
    }
}

/// What a node's work depends on. Of an assertion only the condition is looked at, not what it would say.
fn operands(node: &Node) -> &[NodeOutput] {
    if node.op == "Assert" { &node.inputs[..node.inputs.len().min(1)] } else { &node.inputs }
}

/// Where nodes went: each to the node that runs the body it is in now.
#[derive(Default)]
pub struct Holders(HashMap<Id<Node>, Id<Node>>);

impl Holders {
    /// Puts nodes into the bodies of another; what they waited for, each once.
    pub fn put(&mut self, graph: &TfGraph, nodes: &[Id<Node>], into: Id<Node>) -> BTreeSet<Id<Node>> {
        self.0.extend(nodes.iter().map(|&node| (node, into)));
        nodes.iter().flat_map(|&node| &graph.nodes[node].controls).copied().collect()
    }
    fn has(&self, node: Id<Node>) -> bool {
        self.0.contains_key(&node)
    }
    /// The graph without what went into bodies.
    pub fn finish(self, mut graph: TfGraph) -> Result<TfGraph, Problems> {
        self.lead_edges(&mut graph);
        let live = graph.needed(|id| !self.has(id));
        graph.keep(&live)
    }
    /// The first of a node, its holder, the holder of that and so on which is wanted.
    pub fn find(&self, node: Id<Node>, wanted: impl Fn(Id<Node>) -> bool) -> Option<Id<Node>> {
        let mut at = node;
        while !wanted(at) {
            at = *self.0.get(&at)?;
        }
        Some(at)
    }
    /// Lets every node wait for the holders of what went into bodies.
    fn lead_edges(&self, graph: &mut TfGraph) {
        for id in graph.nodes.ids().collect::<Vec<_>>() {
            let waits = std::mem::take(&mut graph.nodes[id].controls);
            let led = waits.into_iter().filter_map(|c| self.find(c, |holder| !self.has(holder)));
            let led: BTreeSet<_> = led.filter(|&c| c != id).collect();
            graph.nodes[id].controls = led.into_iter().collect();
        }
    }
}

/// What the nodes of some bodies do beside computing.
pub fn effects_of<'g>(bodies: impl IntoIterator<Item = &'g TfGraph>) -> BTreeMap<String, String> {
    let mut effects = BTreeMap::new();
    for body in bodies {
        let own = body.nodes.iter().filter(|(_, node)| has_effect(&node.op));
        effects.extend(own.map(|(_, node)| (node.op.clone(), node.name.clone())));
        effects.extend(body.effects.values().flatten().map(|(op, node)| (op.clone(), node.clone())));
    }
    effects
}
