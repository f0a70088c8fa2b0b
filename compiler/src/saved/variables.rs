//! Ties each variable of a graph to the stored tensor that holds its value, and finds out which are changed.
//!
//! Two witnesses: the object graph (what the saved objects say) and the restore subgraph (what TensorFlow would run).
//! Where both speak they must agree, or name tensors of equal content; one alone is believed; a variable of which
//! neither knows is an error. Names of variables prove nothing and are not used.

use std::collections::BTreeMap;

use smc_proto::DataType;

use super::{
    bundle::{Bundle, Slice},
    generators::Beginning,
    graph::{Node, Origin, TfGraph},
    initial::{Initial, identity},
    objects::Objects,
    restore::{Restored, Stored, is_variable, resource_name},
    types::{TfShape, TfType},
    writes::Writes,
};
use crate::base::{Diagnostic, Problems};

/// The ends of keys and names of the variables that tell whether others were assigned.
pub const IS_SET: &str = "/is_set";

/// A variable that a graph uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// What the model calls it.
    pub name: String,
    /// Its type as stored; the shape is fixed.
    pub ty: TfType,
    /// The stored tensor with its value; the variable's name where the initialisation alone gives it one.
    pub key: String,
    /// The part of the stored tensor, when a large variable was split.
    pub part: Option<Slice>,
    /// What the initialisation assigns to it after it was restored: then that is its value.
    pub initial: Option<Initial>,
    /// What it holds at first where it is the place of a generator, which is stored nowhere.
    pub begins: Option<Beginning>,
    /// Whether nothing gives it a value before a signature assigns one: then what is there at first may not be read.
    pub unset: bool,
    /// A node that changes it, if one does: then its value is state, not a constant.
    pub assigned_by: Option<String>,
}

impl Variable {
    /// The end of the keys of saved objects' variables.
    pub const OF_OBJECT: &str = "/.ATTRIBUTES/VARIABLE_VALUE";

    /// The key as people know it: the way to the variable among the saved objects, or its name in a graph of TensorFlow 1.
    /// Parts of one tensor have names of their own.
    pub fn short_key(&self) -> &str {
        if self.unset || self.part.is_some() {
            return &self.name;
        }
        self.key.strip_suffix(Variable::OF_OBJECT).unwrap_or(&self.key)
    }
    /// The variable that tells whether this one was assigned, where nothing gives it a value at first: a bool, false at first.
    pub fn flag(&self) -> Option<Variable> {
        let (name, key) = (format!("{}{IS_SET}", self.name), format!("{}{IS_SET}", self.key));
        let ty = TfType { dtype: DataType::DtBool, shape: TfShape(Some(vec![])) };
        (self.unset && !self.is_flag()).then(|| Variable { name, key, ty, ..self.clone() })
    }
    /// Whether it tells whether another variable was assigned.
    pub fn is_flag(&self) -> bool {
        self.unset && self.key.ends_with(IS_SET)
    }
    /// Whether it is the place of a generator that the caller seeds.
    pub fn is_unseeded(&self) -> bool {
        self.begins.is_some_and(|begins| begins.unseeded)
    }
    /// Where its value is stored, in words: the key, and behind a space the part of the tensor where it is one (`w 0,4:-`).
    pub fn place(&self) -> String {
        match &self.part {
            None => self.key.clone(),
            Some(part) => format!("{} {part}", self.key),
        }
    }
    /// Whether both are one variable, by whatever handles: they are stored in one place.
    pub fn is_stored_as(&self, other: &Variable) -> bool {
        (&self.key, &self.part) == (&other.key, &other.part)
    }
}

/// Both witnesses, and who overrides them.
#[derive(Clone)]
pub(super) struct Sources {
    pub objects: Objects,
    pub restored: Restored,
    /// Why the restore graph says nothing, when it cannot be followed; told when a variable depends on it.
    pub restore_faults: Problems,
    /// The variables that the initialisation changes after they were restored; see [`super::initial::assigned`].
    pub initialised: BTreeMap<String, Initial>,
}

/// Ties every variable of a graph to its value, and says which values the graph changes.
pub(super) fn resolve(
    graph: &mut TfGraph,
    writes: Writes,
    sources: &Sources,
    bundle: Option<&Bundle>,
) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let Writes { nodes: mut assigned, inside } = writes;
    // A body may make another handle of a variable that the graph knows.
    let by_name: BTreeMap<_, _> = inside.iter().filter_map(|(node, by)| Some((resource_name(node)?, by))).collect();
    let mut found = BTreeMap::new();
    let sharded = shards(graph, sources, bundle);
    problems.0.extend(sharded.iter().map(|(key, nodes)| sharded_variable(key, nodes)));
    let is_shard = |node: &Node| sharded.values().flatten().any(|shard| shard.name == node.name);
    let mut unstored = vec![];
    for (id, node) in graph.nodes.iter().filter(|(_, n)| is_variable(&n.op)) {
        let by_name = || resource_name(node).and_then(|name| by_name.get(&name).map(ToString::to_string));
        let assigned_by = assigned.remove(&id).or_else(by_name);
        if let Some(variable) = assigned_by.as_ref().and_then(|_| unset(node, sources, bundle)) {
            found.insert(id, Variable { assigned_by, ..variable });
            continue;
        }
        if bundle.is_none() && initialised_by(node, sources).is_none() {
            unstored.push(node);
            continue;
        }
        if is_shard(node) {
            continue;
        }
        let unset = || unset(node, sources, bundle).ok_or(());
        match resolve_one(node, sources, bundle).or_else(|problem| unset().map_err(|()| problem)) {
            Ok(variable) => drop(found.insert(id, Variable { assigned_by, ..variable })),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.has_errors() {
        problems.extend(sources.restore_faults.clone());
    }
    problems.0.extend(no_checkpoint(&unstored));
    problems.or(())?;
    let here = found.values().filter_map(|v| Some((v.key.clone(), v.assigned_by.clone()?)));
    let key = |node: &Node| {
        let known = unset(node, sources, bundle).or_else(|| resolve_one(node, sources, bundle).ok());
        known.map(|variable| variable.key)
    };
    let inside = inside.into_iter().filter_map(|(node, by)| Some((key(&node)?, by)));
    graph.updates = here.chain(inside).collect();
    graph.variables = found;
    Ok(())
}

fn resolve_one(node: &Node, sources: &Sources, bundle: Option<&Bundle>) -> Result<Variable, Diagnostic> {
    let name = variable_name(node);
    if let Some(initial) = initialised_by(node, sources) {
        let ty =
            TfType { dtype: node.attr_type("dtype")?, shape: node.attr_shape("shape").unwrap_or(TfShape::UNKNOWN) };
        let key = bundle.and_then(|bundle| stored(node, sources, bundle).ok()?);
        let key = key.map_or_else(|| name.to_string(), |stored| stored.key);
        let initial = Some(initial.clone());
        return Ok(Variable {
            name: name.into(),
            ty,
            key,
            part: None,
            initial,
            begins: None,
            unset: false,
            assigned_by: None,
        });
    }
    let bundle = bundle.ok_or_else(|| node.fault("the model has no checkpoint"))?;
    let Stored { key, part } = stored(node, sources, bundle)?.ok_or_else(|| {
        node.fault(format!("variable `{name}` has no value: neither the saved objects nor the restore graph name one"))
            .help("export the model again; smc never guesses by names which weights belong to a variable")
    })?;
    let stored_ty = bundle.ty(&key).ok_or_else(|| {
        node.fault(format!("variable `{name}` is not in the checkpoint, which lacks the key `{key}`"))
            .help("the checkpoint belongs to another model, or was truncated")
    })?;
    let whole = stored_ty.shape.fixed().unwrap_or_default();
    let extents = match &part {
        None => Some(whole.clone()),
        Some(part) => part.within(&whole).map(|axes| axes.into_iter().map(|(_, n)| n).collect()),
    };
    let wanted =
        TfType { dtype: node.attr_type("dtype")?, shape: node.attr_shape("shape").unwrap_or(TfShape::UNKNOWN) };
    match extents.filter(|extents| wanted.shape.admits(extents) && wanted.dtype == stored_ty.dtype) {
        Some(extents) => {
            let shape = TfShape(Some(extents.into_iter().map(|n| Some(n as u64)).collect()));
            let ty = TfType { dtype: stored_ty.dtype, shape };
            Ok(Variable {
                name: name.into(),
                ty,
                key,
                part,
                initial: None,
                begins: None,
                unset: false,
                assigned_by: None,
            })
        }
        None => {
            let what = format!("variable `{name}` is {wanted}, but the checkpoint's `{key}` is {stored_ty}");
            Err(node.fault(what).help("the checkpoint belongs to another model"))
        }
    }
}

/// A variable of a graph that nothing gives a value before a signature assigns one: no checkpoint, no restore and no
/// initialisation knows of it. None where one does, or where that cannot be told.
fn unset(node: &Node, sources: &Sources, bundle: Option<&Bundle>) -> Option<Variable> {
    let Origin::Defined { function, node: own } = &node.origin else { return None };
    let Sources { objects, restored, restore_faults, .. } = sources;
    let restores = resource_name(node).is_some_and(|name| restored.of_resource.contains_key(&name))
        || function.is_empty() && (restored.of_node.contains_key(own) || !objects.keys_of_handle(own).is_empty());
    let is_known = match bundle {
        Some(bundle) => !matches!(stored(node, sources, bundle), Ok(None)),
        None => false,
    };
    if restores || is_known || restore_faults.has_errors() || initialised_by(node, sources).is_some() {
        return None;
    }
    let ty = TfType { dtype: node.attr_type("dtype").ok()?, shape: node.attr_shape("shape").ok()? };
    ty.shape.fixed()?;
    Some(Variable {
        name: variable_name(node).into(),
        ty,
        // No stored tensor has such a key.
        key: format!("{}/.UNSET", identity(node)),
        part: None,
        initial: None,
        begins: None,
        unset: true,
        assigned_by: None,
    })
}

/// What the model calls a variable.
fn variable_name(node: &Node) -> &str {
    match node.attr_str("shared_name") {
        Ok(shared) if !shared.is_empty() => shared,
        _ => &node.name,
    }
}

/// What the initialisation assigns to a variable.
fn initialised_by<'s>(node: &Node, sources: &'s Sources) -> Option<&'s Initial> {
    let by_name = |name: &str| sources.initialised.get(name);
    match &node.origin {
        Origin::Defined { function, node: name } if function.is_empty() => by_name(name).or(by_name(&identity(node))),
        Origin::Object(number) => {
            let mut handles = sources.objects.of_handle.iter().filter(|(_, objects)| objects.contains(number));
            handles.find_map(|(handle, _)| by_name(handle))
        }
        _ => by_name(&identity(node)),
    }
}

/// Variables without a checkpoint: one problem, whatever their number.
fn no_checkpoint(unstored: &[&Node]) -> Option<Diagnostic> {
    let first = unstored.first()?;
    let what = match unstored.len() {
        1 => format!("variable `{}` has no value", variable_name(first)),
        n => format!("variable `{}` and {} others have no value", variable_name(first), n - 1),
    };
    let what = format!("{what}: the model has no file variables/variables.index");
    Some(first.fault(what).help("copy the model's `variables` folder beside saved_model.pb"))
}

/// The variables that are told to hold the same stored tensor, but are only parts of it.
fn shards<'g>(graph: &'g TfGraph, sources: &Sources, bundle: Option<&Bundle>) -> BTreeMap<String, Vec<&'g Node>> {
    let mut by_key: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
    for (_, node) in graph.nodes.iter().filter(|(_, n)| is_variable(&n.op)) {
        let Some(bundle) = bundle else { continue };
        let Ok(Some(Stored { key, part: None })) = stored(node, sources, bundle) else { continue };
        let whole = bundle.ty(&key).and_then(|ty| ty.shape.fixed());
        let own = node.attr_shape("shape").ok().and_then(|shape| shape.fixed());
        let is_part = |(own, whole): (Vec<usize>, Vec<usize>)| {
            own.len() == whole.len() && own != whole && own.iter().zip(&whole).all(|(own, whole)| own <= whole)
        };
        if own.zip(whole).is_some_and(is_part) {
            by_key.entry(key).or_default().push(node);
        }
    }
    by_key.retain(|_, nodes| nodes.len() > 1);
    by_key
}

fn sharded_variable(key: &str, nodes: &[&Node]) -> Diagnostic {
    let names = nodes.iter().map(|n| format!("`{}`", variable_name(n))).collect::<Vec<_>>().join(", ");
    let what = format!("variables {names} are shards of one variable, which is stored whole as `{key}`");
    nodes[0].fault(what).help(
        "TensorFlow does not restore a sharded variable (a ShardedVariable, made by a partitioner) into its shards either; \
         build the model without the partitioner, load the weights, and export it again",
    )
}

/// What the witnesses say of a variable.
fn stored(node: &Node, sources: &Sources, bundle: &Bundle) -> Result<Option<Stored>, Diagnostic> {
    let Sources { objects, restored, .. } = sources;
    let (by_object, by_node) = match &node.origin {
        Origin::Object(number) => (objects.keys.get(number).map(String::as_str).into_iter().collect(), None),
        Origin::Defined { function, node } if function.is_empty() => {
            (objects.keys_of_handle(node), restored.of_node.get(node))
        }
        _ => (vec![], None),
    };
    let disagree = |a: &str, b: &str| {
        let what = format!("the model names two different values for this variable: `{a}` and `{b}`");
        Err(node.fault(what).help("the model contradicts itself; export it again"))
    };
    if let Some((first, others)) = by_object.split_first() {
        let different = |other: &str| !bundle.same_content(first, other);
        if let Some(other) = others.iter().find(|other| different(other)) {
            return disagree(first, other);
        }
        return match by_node {
            // The saved objects name the whole of which the restore graph reads a part.
            Some(other) if other.part.is_some() && other.key == *first => Ok(Some(other.clone())),
            Some(other) if other.part.is_some() || different(&other.key) => disagree(first, &other.key),
            _ => Ok(Some(Stored { key: first.to_string(), part: None })),
        };
    }
    // Another node of the same run-time variable may be the one that is restored.
    let by_resource = || restored.of_resource.get(&resource_name(node)?);
    Ok(by_node.or_else(by_resource).cloned())
}
