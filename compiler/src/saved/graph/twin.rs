//! Tells graphs that compute the same from the same, whatever their nodes are called.
//!
//! Keras exports one function under two signatures; each call of it becomes a graph of its own, in which only the names of
//! nodes differ.

use prost::Message;
use sha2::{Digest, Sha256};

use super::{Node, NodeOutput, TfGraph, is_stateful};
use crate::base::Id;

impl TfGraph {
    /// A hash of operators, edges, attributes, ports and variables: everything but the names of nodes and the attributes
    /// of TensorFlow's own bookkeeping, which start with an underscore. What a table or another resource holds is
    /// known by its name alone, so these names count.
    pub fn content(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // Each part with its length, so that no two sequences of parts are the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let edge = |e: &NodeOutput| [(e.node.index() as u64).to_le_bytes(), u64::from(e.index).to_le_bytes()].concat();
        for (id, node) in self.nodes.iter() {
            part(node.op.as_bytes());
            part(&node.inputs.iter().flat_map(edge).collect::<Vec<_>>());
            let ids = |ids: &[Id<Node>]| ids.iter().flat_map(|c| (c.index() as u64).to_le_bytes()).collect::<Vec<_>>();
            part(&ids(&node.controls));
            part(&ids(self.gates.get(&id).map_or(&[], |gates| gates)));
            if let Some(v) = self.variables.get(&id) {
                let assigned = if v.assigned_by.is_some() { "assigned" } else { "constant" };
                part(format!("{} {} {:?} {assigned}", v.ty, v.key, v.part).as_bytes());
                continue;
            }
            if node.inputs.is_empty() && is_stateful(&node.op) {
                part(node.name.as_bytes());
            }
            for (name, value) in node.attrs.iter().filter(|(name, _)| !name.starts_with('_')) {
                part(name.as_bytes());
                part(&value.encode_to_vec());
            }
            part(&[]);
        }
        for port in self.inputs.iter().chain(&self.outputs) {
            part(port.key.as_bytes());
            part(port.ty.to_string().as_bytes());
            part(&edge(&port.source));
        }
        part(&(self.inputs.len() as u64).to_le_bytes());
        for decision in &self.decisions {
            part(&edge(&decision.predicate));
            part(format!("{} {}", decision.op, decision.taken).as_bytes());
        }
        hash.finalize().into()
    }
}
