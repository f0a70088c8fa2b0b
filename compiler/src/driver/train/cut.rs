//! The value that leaves a layer, in a signature's graph.
//!
//! A layer is known by the names of its nodes, as `--freeze` knows it by those of its variables. What it hands on is what nodes
//! outside of it read, or the signature gives out, and what depends on the values of inputs, not on their extents alone.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::matches;
use crate::{
    base::{
        Diagnostic, Id,
        layer::{Scopes, layer_of},
        names::{advice, meant},
    },
    saved::{Node, NodeOutput, TfGraph, handed_on},
};

/// What a layer, or a node or tensor with this name, hands on.
pub fn find(graph: &TfGraph, wanted: &str) -> Result<NodeOutput, Diagnostic> {
    let (layers, values) = (Layers::of(graph), values(graph));
    let inside = |is_it: &dyn Fn(&str, &str) -> bool| -> Vec<bool> {
        let is_inside = |(_, node): (_, &Node)| {
            let known = layers.layer(&node.name).zip(layer_of(&node.name));
            known.is_some_and(|(layer, traced)| is_it(&layer, &traced))
        };
        graph.nodes.iter().map(is_inside).collect()
    };
    let computes = |inside: &[bool]| inside.iter().zip(&values).any(|(inside, value)| *inside && *value);
    let mut found = inside(&|layer, _| matches(wanted, layer));
    if !computes(&found) {
        // As diagnostics and `smc inspect` may have it.
        let below = format!("{wanted}/");
        found = inside(&|_, traced| traced == wanted || traced.starts_with(&below));
    }
    match computes(&found) {
        true => leaving(graph, &found, &values, wanted),
        false => tensor(graph, wanted, &values).unwrap_or_else(|| Err(unknown(graph, &layers, &values, wanted))),
    }
}

/// The one value that leaves these nodes.
fn leaving(graph: &TfGraph, inside: &[bool], values: &[bool], wanted: &str) -> Result<NodeOutput, Diagnostic> {
    let is_own = |at: &NodeOutput| inside[at.node.index()] && values[at.node.index()];
    let read = graph.nodes.iter().filter(|(id, _)| !inside[id.index()]).flat_map(|(_, node)| &node.inputs);
    let given = graph.outputs.iter().map(|port| &port.source);
    let same = |at: &NodeOutput| {
        let mut at = *at;
        while let ("Identity", [from, ..]) = (graph.nodes[at.node].op.as_str(), &graph.nodes[at.node].inputs[..])
            && is_own(from)
        {
            at = *from;
        }
        at
    };
    let leaving: BTreeSet<NodeOutput> = read.chain(given).filter(|at| is_own(at)).map(same).collect();
    match leaving.first() {
        Some(&one) if leaving.len() == 1 => Ok(one),
        Some(_) => {
            let what = format!("layer `{wanted}` hands on {} values: {}", leaving.len(), listed(graph, &leaving));
            Err(Diagnostic::error(what).help("name one of them, or a layer within: `--from NAME`"))
        }
        None => {
            let what = format!("layer `{wanted}` hands on nothing that depends on the inputs");
            Err(Diagnostic::error(what).help("name a layer behind it: `--from NAME`"))
        }
    }
}

/// Whether each node gives something that depends on the values of inputs. Extents are no values.
fn values(graph: &TfGraph) -> Vec<bool> {
    let inputs: BTreeSet<Id<Node>> = graph.inputs.iter().map(|port| port.source.node).collect();
    let mut found = vec![false; graph.nodes.len()];
    for (id, node) in graph.nodes.iter() {
        let is_extent = matches!(node.op.as_str(), "Shape" | "ShapeN" | "Rank" | "Size" | "ZerosLike" | "OnesLike");
        let from_inputs = || node.inputs.iter().any(|input| found[input.node.index()]);
        found[id.index()] = inputs.contains(&id) || !is_extent && from_inputs();
    }
    found
}

/// A node by its name or the end of it, or `NODE:k`; `None` where no node is called so.
fn tensor(graph: &TfGraph, wanted: &str, values: &[bool]) -> Option<Result<NodeOutput, Diagnostic>> {
    let numbered = wanted.rsplit_once(':').and_then(|(name, index)| Some((name, index.parse().ok()?)));
    let (name, index) = numbered.unwrap_or((wanted, 0));
    if let Some(node) = graph.find(name) {
        return Some(Ok(NodeOutput { node, index }));
    }
    let end = format!("/{name}");
    let ending = graph.nodes.iter().filter(|(id, node)| values[id.index()] && node.name.ends_with(&end));
    let found: BTreeSet<NodeOutput> = ending.map(|(node, _)| NodeOutput { node, index }).collect();
    match found.first() {
        Some(&one) if found.len() == 1 => Some(Ok(one)),
        Some(_) => {
            let what = format!("{} nodes are called `{wanted}`: {}", found.len(), listed(graph, &found));
            Some(Err(Diagnostic::error(what).help("name one of them: `--from NAME`")))
        }
        None => None,
    }
}

fn listed(graph: &TfGraph, all: &BTreeSet<NodeOutput>) -> String {
    let name = |at: &NodeOutput| match at.index {
        0 => format!("`{}`", graph.nodes[at.node].name),
        n => format!("`{}:{n}`", graph.nodes[at.node].name),
    };
    all.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn unknown(graph: &TfGraph, layers: &Layers, values: &[bool], wanted: &str) -> Diagnostic {
    let computed = || graph.nodes.iter().filter(|(id, _)| values[id.index()]).map(|(_, node)| node.name.as_str());
    let mut named: Vec<String> = vec![];
    for layer in computed().filter_map(|name| layers.layer(name)) {
        if !named.contains(&layer) {
            named.push(layer);
        }
    }
    let (known, what): (Vec<&str>, _) = match named.is_empty() {
        true => (computed().collect(), "nodes"),
        false => (named.iter().map(String::as_str).collect(), "layers"),
    };
    // Nobody writes the whole way to a layer.
    let parts: Vec<&str> = known.iter().filter_map(|name| name.rsplit('/').next()).collect();
    let help = match meant(wanted, &parts) {
        near if near.is_empty() => advice(wanted, what, &known),
        near => format!("{near}{}", advice("", what, &known)),
    };
    Diagnostic::error(format!("the signature has no layer `{wanted}`")).help(help)
}

/// How authors know the layers of a graph.
///
/// Keras 3 adds a number to every scope when it traces a model for saving: `functional_1/dense_1_1/MatMul` is in the layer
/// `dense_1`, whose variable is called `dense_1/kernel`. Which number that is shows where nodes read variables.
struct Layers {
    scopes: Scopes,
    /// What is behind the names of scopes.
    added: Option<String>,
}

impl Layers {
    fn of(graph: &TfGraph) -> Layers {
        let scopes = Scopes::new(graph.variables.values().map(|variable| variable.name.as_str()));
        let mut votes: BTreeMap<String, usize> = BTreeMap::new();
        for (_, node) in graph.nodes.iter() {
            let Some(layer) = layer_of(&node.name) else { continue };
            for input in &node.inputs {
                let variable = graph.variables.get(&handed_on(graph, *input).node);
                let scope = variable.and_then(|variable| variable.name.rsplit('/').nth(1));
                let Some(scope) = scope else { continue };
                let behind = |part: &str| {
                    let rest = part.strip_prefix(scope)?;
                    let number = rest.strip_prefix('_').unwrap_or(rest);
                    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
                    (rest.is_empty() || rest.len() > number.len() && !number.is_empty() && is_number)
                        .then(|| rest.to_string())
                };
                if let Some(added) = layer.split('/').filter_map(behind).min() {
                    *votes.entry(added).or_default() += 1;
                }
            }
        }
        // Variables that are read under their own names tell of no number.
        let added = match votes.len() {
            1 => votes.into_keys().next().filter(|added| !added.is_empty()),
            _ => None,
        };
        Layers { scopes, added }
    }

    fn layer(&self, node: &str) -> Option<String> {
        let Some(added) = &self.added else { return self.scopes.layer(node) };
        let bare = |part: &str| part.strip_suffix(added.as_str()).unwrap_or(part).to_string();
        Some(layer_of(node)?.split('/').map(bare).collect::<Vec<_>>().join("/"))
    }
}
