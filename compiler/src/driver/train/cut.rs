//! The value that leaves a layer, in a signature's graph.
//!
//! A layer is known by the names of its nodes, as `--freeze` knows it by those of its variables. What it hands on is what nodes
//! outside of it read, or the signature gives out, and what depends on the values of inputs, not on their extents alone.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::matches;
use crate::{
    base::{
        Diagnostic, Id,
        layer::{Scopes, layer_of, without_number},
        names::{advice, meant},
    },
    saved::{Node, NodeOutput, TfGraph, handed_on},
};

/// What a layer, or a node or tensor with this name, hands on.
pub fn find(graph: &TfGraph, wanted: &str) -> Result<NodeOutput, Diagnostic> {
    let (layers, values) = (Layers::of(graph), values(graph));
    let inside = |is_it: &dyn Fn(&str, &str) -> bool| -> Vec<bool> {
        let is_inside = |(_, node): (_, &Node)| {
            let known = |traced: String| layers.names(&node.name).iter().any(|layer| is_it(layer, &traced));
            layer_of(&node.name).is_some_and(known)
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
    // What goes round a loop of TensorFlow 1 comes from nodes further on.
    loop {
        let before = found.clone();
        for (id, node) in graph.nodes.iter() {
            let is_extent = matches!(node.op.as_str(), "Shape" | "ShapeN" | "Rank" | "Size" | "ZerosLike" | "OnesLike");
            let from_inputs = || node.inputs.iter().any(|input| found[input.node.index()]);
            found[id.index()] = inputs.contains(&id) || !is_extent && from_inputs();
        }
        if found == before {
            return found;
        }
    }
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
    for layer in computed().filter_map(|name| layers.names(name).into_iter().next()) {
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
/// Keras 3 adds numbers to scopes when it traces a model for saving: `functional_1/dense_1_1/MatMul` may be in the layer
/// `dense_1`, and `functional_1/dense_2/MatMul` in the layer `dense`. Where a node reads a variable, the variable's name has the
/// layer's own; other layers lose the number where all of them have the same, and otherwise have both names.
struct Layers {
    scopes: Scopes,
    /// The layer's own name by the path of scopes as they were traced.
    own: BTreeMap<String, String>,
    /// What was added to names: nothing, something or several things.
    added: BTreeSet<String>,
}

impl Layers {
    fn of(graph: &TfGraph) -> Layers {
        let scopes = Scopes::new(graph.variables.values().map(|variable| variable.name.as_str()));
        let mut layers = Layers { scopes, own: BTreeMap::new(), added: BTreeSet::new() };
        for (_, node) in graph.nodes.iter() {
            let Some(traced) = layer_of(&node.name) else { continue };
            for input in &node.inputs {
                if let Some(variable) = graph.variables.get(&handed_on(graph, *input).node) {
                    layers.learn(&traced.split('/').collect::<Vec<_>>(), &variable.name);
                }
            }
        }
        layers
    }

    /// A variable is read in a layer: its scopes are the layer's last ones, or stand before those of an operator.
    fn learn(&mut self, traced: &[&str], variable: &str) {
        let scopes: Vec<&str> = variable.split('/').rev().skip(1).collect();
        let Some(first) = scopes.first() else { return };
        let Some(last) = traced.iter().rposition(|part| added(first, part).is_some()) else { return };
        for (at, scope) in (0..=last).rev().zip(scopes) {
            let Some(added) = added(scope, traced[at]) else { return };
            self.added.insert(added.into());
            self.own.entry(traced[..=at].join("/")).or_insert_with(|| scope.into());
        }
    }

    /// What a node's layer may be called; the first is shown.
    fn names(&self, node: &str) -> Vec<String> {
        let Some(traced) = layer_of(node) else { return vec![] };
        let is_numbered = self.added.iter().any(|added| !added.is_empty());
        if !is_numbered {
            return self.scopes.layer(node).into_iter().collect();
        }
        let parts: Vec<&str> = traced.split('/').collect();
        let path = |bare: &dyn Fn(&str) -> String| {
            let part = |n: usize| self.own.get(&parts[..=n].join("/")).cloned().unwrap_or_else(|| bare(parts[n]));
            (0..parts.len()).map(part).collect::<Vec<_>>().join("/")
        };
        let mut names = match self.added.first() {
            Some(added) if self.added.len() == 1 => {
                vec![path(&|part| part.strip_suffix(added.as_str()).unwrap_or(part).into())]
            }
            _ => vec![path(&|part| part.into()), path(&|part| without_number(part).unwrap_or(part).into())],
        };
        names.dedup();
        names
    }
}

/// What is behind the name of a scope: nothing, or numbers.
fn added<'p>(scope: &str, part: &'p str) -> Option<&'p str> {
    let rest = part.strip_prefix(scope)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = rest.split('_').skip(1).all(is_number);
    (rest.is_empty() || rest.starts_with('_') && numbers).then_some(rest)
}

#[test]
fn numbers_of_traces_are_taken_off() {
    let mut layers = Layers { scopes: Scopes::default(), own: BTreeMap::new(), added: BTreeSet::new() };
    layers.learn(&["net_1", "dense_1_1"], "dense_1/kernel");
    layers.learn(&["net_1", "attention_1", "query_1", "add"], "attention/query/bias_1");
    assert_eq!(layers.names("net_1/dense_1_1/MatMul"), ["net/dense_1"]);
    assert_eq!(layers.names("net_1/flatten_1/Reshape"), ["net/flatten"]);
    layers.learn(&["net_1", "dense_2"], "dense/kernel");
    assert_eq!(layers.names("net_1/dense_2/MatMul"), ["net_1/dense", "net/dense"]);
    assert_eq!(layers.names("net_1/attention_1/query_1/add/Mul")[0], "net_1/attention/query/add");
    assert_eq!(layers.names("net_1/add_1/add"), ["net_1/add_1", "net/add"]);
    assert_eq!(
        (added("dense", "dense_10"), added("dense_1", "dense_10"), added("den", "dense")),
        (Some("_10"), None, None)
    );
}
