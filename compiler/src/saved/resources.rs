//! What fills the resources that a graph reads: models of other libraries, and whatever else has a handle and no tensor.
//!
//! A node makes a resource's handle, in the main graph; a function gets it as a captured object or as an argument.
//! Initialisation gives the same handle to nodes with an effect, which fill the resource. So a graph's handle leads to the node
//! that makes it, and that leads to the nodes of the initialisation that take it: from there the reader of each kind of resource
//! goes on to files ([`Resources::asset`]) and constants.

use smc_proto::DataType;

use super::{
    graph::{Node, NodeOutput, Origin, TfGraph, has_effect},
    init::Asset,
    objects::Objects,
    restore::{handed_on, resource_name},
};
use crate::base::Id;

/// The initialisation, seen from what it fills.
pub(super) struct Resources<'a> {
    /// What initialisation runs; its inputs are the paths of assets.
    pub init: &'a TfGraph,
    pub objects: &'a Objects,
    pub assets: &'a [Asset],
}

impl Resources<'_> {
    /// The nodes of the initialisation that take the resource behind a handle of `graph`, in order, each with the place of its
    /// operand.
    pub fn fillers(&self, graph: &TfGraph, handle: NodeOutput) -> Vec<Id<Node>> {
        let maker = &graph.nodes[handed_on(graph, handle).node];
        let takes = |input: &NodeOutput| self.is_same(&self.init.nodes[handed_on(self.init, *input).node], maker);
        self.with_effects().filter(|(_, node)| node.inputs.iter().any(takes)).map(|(id, _)| id).collect()
    }

    /// The node of a graph that makes the resource behind a handle.
    pub fn maker(&self, graph: &TfGraph, handle: NodeOutput) -> Id<Node> {
        handed_on(graph, handle).node
    }
    /// The types of the keys and the values of a table.
    pub fn types(&self, graph: &TfGraph, handle: NodeOutput) -> Option<(DataType, DataType)> {
        let typed = |node: &Node| Some((node.attr_type("key_dtype").ok()?, node.attr_type("value_dtype").ok()?));
        self.makers(graph, handle).find_map(typed)
    }
    /// The nodes that make the resource behind a handle: of the graph, where that is no captured object, and of the
    /// initialisation.
    pub fn makers<'n>(&'n self, graph: &'n TfGraph, handle: NodeOutput) -> impl Iterator<Item = &'n Node> {
        let maker = &graph.nodes[self.maker(graph, handle)];
        let here = self.init.nodes.iter().map(|(_, node)| node).filter(|node| self.is_same(node, maker));
        [maker].into_iter().chain(here)
    }

    /// The nodes of the initialisation that do more than compute.
    pub fn with_effects(&self) -> impl Iterator<Item = (Id<Node>, &Node)> {
        self.init.nodes.iter().filter(|(_, node)| has_effect(&node.op))
    }

    /// Whether two nodes, of the initialisation and of a graph, make one resource.
    fn is_same(&self, here: &Node, there: &Node) -> bool {
        let by_name = || here.op == there.op && resource_name(here).is_some_and(|n| Some(n) == resource_name(there));
        match (&here.origin, &there.origin) {
            (Origin::Defined { function, node }, Origin::Object(object)) => {
                function.is_empty() && self.objects.of_handle.get(node).is_some_and(|objects| objects.contains(object))
            }
            (Origin::Defined { .. }, Origin::Defined { .. }) => here.origin == there.origin || by_name(),
            _ => false,
        }
    }

    /// The asset from whose path a text of the initialisation is made: the path itself, the value of a variable that holds it, or
    /// a part of it.
    pub fn asset(&self, text: NodeOutput) -> Option<&Asset> {
        let mut at = handed_on(self.init, text);
        for _ in 0..self.init.nodes.len() {
            if let Some(port) = self.init.inputs.iter().find(|port| port.source == at) {
                return self.assets.iter().find(|asset| asset.path == port.key);
            }
            let node = &self.init.nodes[at.node];
            let from = match node.op.as_str() {
                "StaticRegexReplace" => *node.inputs.first()?,
                "ReadVariableOp" => self.assigned(*node.inputs.first()?)?,
                _ => return None,
            };
            at = handed_on(self.init, from);
        }
        None
    }

    /// What the initialisation assigns to a variable, where it does so once.
    fn assigned(&self, handle: NodeOutput) -> Option<NodeOutput> {
        let variable = handed_on(self.init, handle);
        let assigns = |node: &&Node| {
            let to = node.inputs.first().map(|&input| handed_on(self.init, input));
            node.op == "AssignVariableOp" && to == Some(variable)
        };
        let mut all = self.init.nodes.iter().map(|(_, node)| node).filter(assigns);
        match (all.next(), all.next()) {
            (Some(node), None) => node.inputs.get(1).copied(),
            _ => None,
        }
    }
}
