//! What the saved objects say about variables: a function captures objects by number (`bound_inputs`), an object's
//! attributes lead from the root to it by name, and the same names lead through the checkpoint's own object graph to
//! the key under which its value is stored. Numbers of the two graphs are not compared: names are what TensorFlow follows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use prost::Message;
use smc_proto::{MetaGraphDef, SavedObject, TrackableObjectGraph, attr_value::Value, saved_object::Kind};

use super::{bundle::Bundle, graph::Reference};
use crate::base::{Diagnostic, Problems};

/// The checkpoint's own object graph, a string tensor.
const OBJECT_GRAPH_KEY: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";
/// An object's attribute that is a variable's value.
const VALUE: &str = "VARIABLE_VALUE";

/// The answers of the object graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    /// The objects behind a variable's handle, by the handle's node in the main graph; normally one.
    pub of_handle: BTreeMap<String, BTreeSet<usize>>,
    /// The checkpoint key of each object that is a stored variable.
    pub keys: BTreeMap<usize, String>,
    /// By checkpoint key, whether the author's training changes the variable.
    pub trainable: BTreeMap<String, bool>,
    /// The checkpoint keys of variables that could be trained, in layers that the author froze.
    pub frozen: BTreeSet<String>,
}

impl Objects {
    /// The checkpoint keys for a node of the main graph; they should all name the same value.
    pub fn keys_of_handle(&self, node: &str) -> Vec<&str> {
        let objects = self.of_handle.get(node).into_iter().flatten();
        objects.filter_map(|object| self.keys.get(object)).map(String::as_str).collect()
    }

    /// Nothing is known for models without an object graph.
    pub fn read(meta: &MetaGraphDef, bundle: Option<&Bundle>) -> Result<Objects, Problems> {
        if meta.object_graph_def.is_none() {
            return Ok(Objects::default());
        }
        let mut problems = Problems::default();
        let of_handle = handles(meta, &mut problems);
        let keys = match bundle.map(|b| (b, b.ty(OBJECT_GRAPH_KEY))) {
            Some((bundle, Some(_))) => checkpoint_keys(meta, bundle)?,
            _ => BTreeMap::new(),
        };
        let saved = meta.object_graph_def.iter().flat_map(|graph| &graph.nodes).enumerate();
        let flag = |(n, object): (usize, &SavedObject)| match &object.kind {
            Some(Kind::Variable(variable)) => Some((keys.get(&n)?.clone(), variable.trainable)),
            _ => None,
        };
        let trainable: BTreeMap<String, bool> = saved.filter_map(flag).collect();
        let still = frozen(meta).into_iter().filter_map(|object| keys.get(&object).cloned());
        let frozen = still.filter(|key| trainable.get(key) == Some(&true)).collect();
        problems.or(Objects { of_handle, keys, trainable, frozen })
    }
}

/// The variables that Keras does not train, as the root's lists have it: a variable's own flag says nothing of frozen layers.
/// Keras 2 and exports of Keras 3 list all variables and those that train; a compiled model of Keras 3 lists the latter with its
/// optimizer.
fn frozen(meta: &MetaGraphDef) -> BTreeSet<usize> {
    let nodes = meta.object_graph_def.as_ref().map_or(&[][..], |graph| &graph.nodes);
    let children = |object: usize| nodes.get(object).into_iter().flat_map(|object| &object.children);
    let child = |object: usize, name: &str| {
        let child = children(object).find(|child| child.local_name == name)?;
        usize::try_from(child.node_id).ok()
    };
    let is_variable = |object: &usize| nodes.get(*object).is_some_and(|o| matches!(o.kind, Some(Kind::Variable(_))));
    let members = |list: usize| -> BTreeSet<usize> {
        children(list).filter_map(|child| usize::try_from(child.node_id).ok()).filter(is_variable).collect()
    };
    let (all, trained) = match (child(0, "variables"), child(0, "trainable_variables")) {
        (Some(all), Some(trained)) => (members(all), members(trained)),
        _ => {
            let list = child(0, "optimizer").and_then(|optimizer| child(optimizer, "_trainable_variables"));
            let trained = list.map(members).unwrap_or_default();
            let all = if trained.is_empty() { 0 } else { nodes.len() };
            ((0..all).filter(is_variable).collect(), trained)
        }
    };
    all.difference(&trained).copied().collect()
}

/// Aligns the captures of each function called in the main graph with the last operands of the call.
fn handles(meta: &MetaGraphDef, problems: &mut Problems) -> BTreeMap<String, BTreeSet<usize>> {
    let mut found: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let Some(objects) = &meta.object_graph_def else { return found };
    for node in meta.graph_def.iter().flat_map(|g| &g.node) {
        let Some(Value::Func(f)) = node.attr.get("f").and_then(|a| a.value.as_ref()) else { continue };
        let Some(concrete) = objects.concrete_functions.get(&f.name) else { continue };
        let operands: Vec<_> = node.input.iter().filter(|i| !i.starts_with('^')).collect();
        let Some(given) = operands.len().checked_sub(concrete.bound_inputs.len()) else {
            let what = format!("function `{}` captures more values than this call passes", f.name);
            problems.push(Diagnostic::error(what).at_node(&node.name));
            continue;
        };
        for (operand, &object) in operands[given..].iter().zip(&concrete.bound_inputs) {
            let Some((reference, object)) = Reference::parse(operand).zip(usize::try_from(object).ok()) else {
                continue;
            };
            found.entry(reference.name.to_string()).or_default().insert(object);
        }
    }
    found
}

/// Walks both object graphs from their roots by the names of attributes.
fn checkpoint_keys(meta: &MetaGraphDef, bundle: &Bundle) -> Result<BTreeMap<usize, String>, Problems> {
    let tensor = bundle.read(OBJECT_GRAPH_KEY, None)?;
    let damaged = || Diagnostic::error("the checkpoint's object graph does not decode");
    let bytes = match tensor.dtype {
        crate::tensor::DType::Str => tensor.strings().first().ok_or_else(damaged)?,
        _ => return Err(damaged().into()),
    };
    let stored = TrackableObjectGraph::decode(&bytes[..]).map_err(|_| damaged())?;
    let saved = meta.object_graph_def.as_ref().map_or(&[][..], |g| &g.nodes);
    let mut keys = BTreeMap::new();
    let mut seen = vec![false; saved.len()];
    let mut todo = VecDeque::from([(0usize, 0usize)]);
    while let Some((ours, theirs)) = todo.pop_front() {
        let (Some(object), Some(counterpart)) = (saved.get(ours), stored.nodes.get(theirs)) else { continue };
        if std::mem::replace(&mut seen[ours], true) {
            continue;
        }
        if let Some(value) = counterpart.attributes.iter().find(|a| a.name == VALUE) {
            keys.insert(ours, value.checkpoint_key.clone());
        }
        let by_name: BTreeMap<&str, i32> =
            counterpart.children.iter().map(|c| (c.local_name.as_str(), c.node_id)).collect();
        for child in &object.children {
            let theirs = by_name.get(child.local_name.as_str()).and_then(|&id| usize::try_from(id).ok());
            todo.extend(usize::try_from(child.node_id).ok().zip(theirs));
        }
    }
    Ok(keys)
}
