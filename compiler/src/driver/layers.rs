//! What a graph computes and holds, layer by layer.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    base::{Dim, layer::Scopes},
    driver::Entry,
    graph::{Graph, NodeId},
    op::Op,
    tensor::Tensor,
};

/// A layer of a model, as its author knows it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Layer {
    pub name: String,
    /// What it gives on: the type of its last value.
    pub shape: String,
    /// Elements of its constants, each counted once in the model.
    pub parameters: u64,
    pub bytes: u64,
    /// Of matrix products and convolutions, as an expression of the open extents.
    pub multiply_adds: Dim,
    /// The numbers of the layers whose values it reads.
    pub reads: Vec<usize>,
}

/// The layers of an entry as imported, in the order of their first value.
pub fn layers(entry: &Entry) -> Vec<Layer> {
    let (graph, live) = (&entry.imported, entry.imported.live());
    let mut layers: Vec<Layer> = vec![];
    let mut numbers = BTreeMap::new();
    let mut owner: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut counted: Vec<&Tensor> = vec![];
    for (id, node) in graph.iter().filter(|(id, node)| live[id.index()] && !matches!(node.op, Op::Extent(_))) {
        if let Op::Const(_) = node.op {
            continue;
        }
        let name = name(graph, &entry.scopes, id);
        let number = *numbers.entry(name.clone()).or_insert(layers.len());
        if number == layers.len() {
            layers.push(Layer { name, ..Layer::default() });
        }
        owner.insert(id, number);
        let layer = &mut layers[number];
        layer.shape = node.ty.to_string();
        layer.multiply_adds = &layer.multiply_adds + &multiply_adds(graph, id);
        for input in &node.inputs {
            match graph.op(*input) {
                Op::Const(value) if value.count() > 1 && counted.iter().all(|seen| !seen.same_data(value)) => {
                    counted.push(value);
                    layer.parameters += value.count() as u64;
                    layer.bytes += (value.count() * value.dtype.size()) as u64;
                }
                _ => {
                    let from = owner.get(input).filter(|from| **from != number && !layer.reads.contains(from));
                    layer.reads.extend(from);
                }
            }
        }
    }
    layers
}

fn name(graph: &Graph, scopes: &Scopes, id: NodeId) -> String {
    let port = graph.inputs.iter().find(|p| p.node == id);
    let origin = || graph.origin(id).map(|node| scopes.layer(node).unwrap_or(node.to_string()));
    port.map(|p| p.name.clone()).or_else(origin).unwrap_or_else(|| "unnamed".into())
}

fn multiply_adds(graph: &Graph, id: NodeId) -> Dim {
    let node = graph.node(id);
    let per_element = match &node.op {
        Op::Dot(_) => graph.shape(node.inputs[0]).last().cloned().unwrap_or_default(),
        Op::Conv(conv) => graph.shape(node.inputs[1])[..=conv.spatial()].iter().fold(Dim::one(), |n, d| &n * d),
        _ => return Dim::zero(),
    };
    &node.ty.count() * &per_element
}
