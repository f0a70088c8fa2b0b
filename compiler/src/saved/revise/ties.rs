//! Which keys of a checkpoint hold one variable, and which variables the initialisation sets after they were restored.
//!
//! Saved objects and the restore graph may name different keys for a variable, of which each loader reads another one. Keras 3's
//! `export` stores each variable once more below `_all_variables`, where nothing reads it; what belongs together follows there
//! from the names that Keras gives variables, the types, and equal contents.

use std::collections::{BTreeMap, BTreeSet};

use smc_proto::{NodeDef, SavedVariable, attr_value::Value, saved_object::Kind};

use crate::{
    base::Problems,
    saved::{bundle::Bundle, model::Model, restore::is_variable, variables::Sources},
};

pub(super) struct Ties {
    /// Sets of keys, each of one variable.
    groups: Vec<BTreeSet<String>>,
    /// By key, the node that sets the variable last.
    pub initialised: BTreeMap<String, String>,
}

impl Ties {
    pub fn of(model: &Model, bundle: &Bundle) -> Result<Ties, Problems> {
        let sources = model.known()?;
        let mut ties = Ties { groups: vec![], initialised: BTreeMap::new() };
        let nodes = model.meta().graph_def.iter().flat_map(|graph| &graph.node);
        for node in nodes.filter(|node| is_variable(&node.op)) {
            let resource = resource_name(node);
            let keys = keys(sources, node, &resource);
            let by_name = || sources.initialised.get(&format!("resource:{resource}"));
            if let Some(initial) = sources.initialised.get(&node.name).or_else(by_name) {
                ties.initialised.extend(keys.iter().map(|key| (key.clone(), initial.writer.clone())));
            }
            ties.join(keys, bundle);
        }
        second_copies(model, sources, bundle).into_iter().for_each(|keys| ties.join(keys, bundle));
        Ok(ties)
    }

    /// Where contents differ, the model contradicts itself, and is refused where the variable is used.
    fn join(&mut self, mut keys: BTreeSet<String>, bundle: &Bundle) {
        let Some(first) = keys.first() else { return };
        if keys.len() > 1 && keys.iter().all(|key| bundle.same_content(first, key)) {
            let (met, apart): (Vec<_>, Vec<_>) = self.groups.drain(..).partition(|group| !group.is_disjoint(&keys));
            keys.extend(met.into_iter().flatten());
            self.groups = apart;
            self.groups.push(keys);
        }
    }

    /// All keys of the variable that has this one.
    pub fn copies<'t>(&'t self, key: &'t str) -> Vec<&'t str> {
        match self.groups.iter().find(|group| group.contains(key)) {
            Some(group) => group.iter().map(String::as_str).collect(),
            None => vec![key],
        }
    }
}

/// The name by which TensorFlow shares a variable among nodes of the main graph, with its container.
fn resource_name(node: &NodeDef) -> String {
    let text = |name: &str| match node.attr.get(name).and_then(|attr| attr.value.as_ref()) {
        Some(Value::S(text)) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    let shared = text("shared_name");
    format!("{}/{}", text("container"), if shared.is_empty() { &node.name } else { &shared })
}

/// All keys that a witness tells for the variable of a node.
fn keys(sources: &Sources, node: &NodeDef, resource: &str) -> BTreeSet<String> {
    let Sources { objects, restored, .. } = sources;
    let restored = restored.of_node.get(&node.name).into_iter().chain(restored.of_resource.get(resource));
    let named = objects.keys_of_handle(&node.name).into_iter();
    named.chain(restored.map(|stored| &stored.key[..])).map(String::from).collect()
}

/// The pairs of keys below Keras's `variables` and `_all_variables`, where there is one choice.
fn second_copies(model: &Model, sources: &Sources, bundle: &Bundle) -> Vec<BTreeSet<String>> {
    let objects = model.meta().object_graph_def.as_ref().map_or(&[][..], |graph| &graph.nodes);
    let below = |folder: &'static str| {
        let keys = sources.objects.keys.iter().filter(move |(_, key)| key.starts_with(folder));
        keys.filter_map(|(&n, key)| match &objects.get(n)?.kind {
            Some(Kind::Variable(variable)) => Some((key, variable)),
            _ => None,
        })
    };
    let is_one = |(a, x): &(&String, &SavedVariable), (b, y): &(&String, &SavedVariable)| {
        (x.dtype, &x.shape, &x.name) == (y.dtype, &y.shape, &y.name) && bundle.same_content(a, b)
    };
    let first: Vec<_> = below("variables/").collect();
    let pair = |copy: (&String, &SavedVariable)| {
        let mut of = first.iter().filter(|original| is_one(original, &copy));
        match (of.next(), of.next()) {
            (Some((key, _)), None) => Some(BTreeSet::from([copy.0.clone(), (*key).clone()])),
            _ => None,
        }
    };
    below("_all_variables/").filter_map(pair).collect()
}
