//! All names of the layer's variables: handles in the main graph, saved objects, keys in the checkpoint. A model may hold a
//! variable twice or three times, each copy with a handle, an object and a key; what ties them is followed until nothing more
//! is found.

use std::collections::{BTreeMap, BTreeSet};

use smc_proto::{MetaGraphDef, NodeDef};

use crate::{
    base::Diagnostic,
    saved::{
        bundle::Bundle,
        graph::{Library, Origin, Reference, data_inputs},
        restore::{is_variable, resource_name_in_file},
        variables::{Sources, Variable},
    },
};

/// What a variable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Kernel,
    Bias,
    /// What an optimiser keeps beside the kernel.
    KernelSlot,
    /// And beside the bias.
    BiasSlot,
}

#[derive(Clone, Debug, Default)]
pub struct Cells {
    /// Nodes of the main graph.
    pub handles: BTreeMap<String, Role>,
    /// Numbers of saved objects.
    pub objects: BTreeMap<usize, Role>,
    pub keys: BTreeMap<String, Role>,
    /// What contradicts itself.
    twice: Option<String>,
}

impl Cells {
    /// From the nodes of the flat graph that the variables are.
    pub fn find(
        meta: &MetaGraphDef,
        library: &Library,
        sources: &Sources,
        bundle: &Bundle,
        begin: &[(&Origin, &str, Role)],
    ) -> Result<Cells, Diagnostic> {
        let mut cells = Cells::default();
        for (origin, key, role) in begin {
            cells.key(key, *role);
            match origin {
                Origin::Object(number) => cells.object(*number, *role),
                Origin::Defined { function, node } if function.is_empty() => cells.handle(node, *role),
                _ => return Err(Diagnostic::error("a variable of the last layer is made inside of a function")),
            }
        }
        let copies = copies(library);
        loop {
            let before = (cells.handles.len(), cells.objects.len(), cells.keys.len());
            for (a, b) in &copies {
                if let Some(&role) = cells.handles.get(a.as_str()).or_else(|| cells.handles.get(b.as_str())) {
                    cells.handle(a, role);
                    cells.handle(b, role);
                }
            }
            for (handle, objects) in &sources.objects.of_handle {
                for object in objects {
                    let role = cells.handles.get(handle).or_else(|| cells.objects.get(object)).copied();
                    if let Some(role) = role {
                        cells.handle(handle, role);
                        cells.object(*object, role);
                    }
                }
            }
            for (object, key) in &sources.objects.keys {
                if let Some(role) = cells.objects.get(object).or_else(|| cells.keys.get(key)).copied() {
                    cells.object(*object, role);
                    cells.key(key, role);
                }
            }
            for (handle, stored) in &sources.restored.of_node {
                if let Some(role) = cells.handles.get(handle).or_else(|| cells.keys.get(&stored.key)).copied() {
                    if stored.part.is_some() {
                        let what = format!("variable `{handle}` of the last layer is restored in parts");
                        return Err(Diagnostic::error(what).at_node(handle));
                    }
                    cells.handle(handle, role);
                    cells.key(&stored.key, role);
                }
            }
            let objects = meta.object_graph_def.iter().flat_map(|graph| &graph.nodes);
            for slot in objects.flat_map(|object| &object.slot_variables) {
                let number = |n: i32| usize::try_from(n).ok();
                let original = number(slot.original_variable_node_id).and_then(|n| cells.objects.get(&n).copied());
                let role = match original {
                    Some(Role::Kernel) => Role::KernelSlot,
                    Some(Role::Bias) => Role::BiasSlot,
                    _ => continue,
                };
                if let Some(slot) = number(slot.slot_variable_node_id) {
                    cells.object(slot, role);
                }
            }
            // Objects lead to what an optimiser keeps by its own references; keys say it too.
            for key in bundle.keys() {
                let Some((path, _)) = key.split_once("/.OPTIMIZER_SLOT/") else { continue };
                let original = format!("{path}{}", Variable::OF_OBJECT);
                let role = match cells.keys.get(&original) {
                    Some(Role::Kernel) => Role::KernelSlot,
                    Some(Role::Bias) => Role::BiasSlot,
                    _ => continue,
                };
                if bundle.ty(key).map(|ty| ty.shape) == bundle.ty(&original).map(|ty| ty.shape) {
                    cells.key(key, role);
                }
            }
            if let Some(twice) = &cells.twice {
                return Err(Diagnostic::error(format!("{twice} is two variables of the last layer at once")));
            }
            if (cells.handles.len(), cells.objects.len(), cells.keys.len()) == before {
                return Ok(cells);
            }
        }
    }

    fn handle(&mut self, name: &str, role: Role) {
        if self.handles.insert(name.into(), role).is_some_and(|old| old != role) {
            self.twice = Some(format!("`{name}`"));
        }
    }
    fn object(&mut self, number: usize, role: Role) {
        if self.objects.insert(number, role).is_some_and(|old| old != role) {
            self.twice = Some(format!("object {number}"));
        }
    }
    fn key(&mut self, key: &str, role: Role) {
        if self.keys.insert(key.into(), role).is_some_and(|old| old != role) {
            self.twice = Some(format!("`{key}`"));
        }
    }
}

/// Pairs of variables' nodes in the main graph that hold one value: those of one name at run time, and those of which one
/// begins as a copy of the other.
fn copies(library: &Library) -> BTreeSet<(String, String)> {
    let nodes = library.main.nodes;
    let mut found = BTreeSet::new();
    let mut named: BTreeMap<String, &str> = BTreeMap::new();
    for node in nodes.iter().filter(|node| is_variable(&node.op)) {
        let Some(resource) = resource_name_in_file(node) else { continue };
        let first = *named.entry(resource).or_insert(&node.name);
        if first != node.name {
            found.insert((first.to_string(), node.name.clone()));
        }
    }
    for node in nodes.iter().filter(|node| matches!(node.op.as_str(), "AssignVariableOp" | "Assign")) {
        let mut operands = data_inputs(node);
        let (Some(to), Some(value)) = (operands.next(), operands.next()) else { continue };
        if let (Some(to), Some(from)) = (behind(library, to), behind(library, value))
            && is_variable(&to.op)
            && is_variable(&from.op)
            && to.name != from.name
        {
            found.insert((to.name.clone(), from.name.clone()));
        }
    }
    found
}

/// The node of the main graph whose value a reference is, read and handed on.
pub fn behind<'m>(library: &Library<'m>, reference: &str) -> Option<&'m NodeDef> {
    let mut name = Reference::parse(reference)?.name.to_string();
    for _ in 0..100 {
        let node = &library.main.nodes[library.main.find(&name)?];
        match node.op.as_str() {
            "Identity" | "ReadVariableOp" | "RefIdentity" => {
                name = Reference::parse(data_inputs(node).next()?)?.name.into()
            }
            _ => return Some(node),
        }
    }
    None
}
