//! Which keys of a checkpoint hold one variable, and which variables the initialisation sets after they were restored.
//!
//! Saved objects and the restore graph may name different keys for a variable, of which each loader reads another one. Keras 3's
//! `export` stores each variable once more below `_all_variables`, where nothing reads it; what belongs together follows there
//! from the names that Keras gives variables, the types, and equal contents.

use std::collections::{BTreeMap, BTreeSet};

use smc_proto::{NodeDef, SavedVariable, saved_object::Kind};

use crate::{
    base::Problems,
    saved::{
        bundle::Bundle,
        initial::identity_of,
        model::Model,
        restore::{is_variable, resource_name_in_file},
        variables::Sources,
    },
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
            let resource = resource_name_in_file(node);
            let keys = keys(sources, node, resource.as_deref());
            let by_name = || sources.initialised.get(&identity_of(resource.as_ref()?));
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

/// All keys that a witness tells for the variable of a node.
fn keys(sources: &Sources, node: &NodeDef, resource: Option<&str>) -> BTreeSet<String> {
    let Sources { objects, restored, .. } = sources;
    let by_name = resource.and_then(|name| restored.of_resource.get(name));
    let restored = restored.of_node.get(&node.name).into_iter().chain(by_name);
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
