//! The values that variables have once the model is initialised, as graphs that compute them.
//!
//! The initialisation is followed node by node, in an order that its edges allow: a node that reads a variable gets what
//! the last node before it assigned, or the restored value where there is none. Where TensorFlow may run the nodes in
//! another order with another result, the value is not known: the assignments of a variable among each other, and with
//! the reads that a value needs, have to be ordered by edges.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    graph::{Node, NodeOutput, Origin, Port, TfGraph, has_effect},
    restore::{handed_on, resource_name},
    types::TfType,
    writes::Writes,
};
use crate::base::{Arena, Id};

/// How many reads and assignments of variables are compared with each other.
const MAX_ACCESSES: usize = 1000;

/// Where a variable's value comes from after the initialisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initial {
    /// The node that assigns it last.
    pub writer: String,
    /// What tells the variable from others during the initialisation.
    variable: String,
}

/// The variables that the initialisation assigns, by what tells them apart and by their nodes in the main graph.
pub(super) fn assigned(init: &TfGraph, writes: &Writes) -> BTreeMap<String, Initial> {
    let mut found = BTreeMap::new();
    let here = writes.nodes.iter().map(|(&id, writer)| (&init.nodes[id], writer));
    for (node, writer) in here.chain(writes.inside.iter().map(|(node, writer)| (node, writer))) {
        let initial = Initial { writer: writer.clone(), variable: identity(node) };
        if let Origin::Defined { function, node } = &node.origin
            && function.is_empty()
        {
            found.insert(node.clone(), initial.clone());
        }
        found.insert(initial.variable.clone(), initial);
    }
    found
}

/// What tells a variable from others; no node has such a name.
pub(super) fn identity(node: &Node) -> String {
    resource_name(node).map_or_else(|| format!("node:{}", node.name), |name| identity_of(&name))
}

/// The same of a variable that TensorFlow shares by this name.
pub(super) fn identity_of(resource: &str) -> String {
    format!("resource:{resource}")
}

/// A graph whose output is the variable's value after the initialisation; the error says why there is none.
pub(super) fn value(init: &TfGraph, initial: &Initial, ty: &TfType) -> Result<TfGraph, String> {
    let trace = Trace::of(init);
    let last = trace.last.get(&initial.variable).ok_or("it is assigned in a function or loop")?;
    let cone = trace.cone(*last, &initial.variable)?;
    trace.check_order(&cone, &initial.variable)?;
    trace.emit(&cone, *last, ty)
}

/// A read or an assignment of a variable.
struct Access {
    variable: String,
    /// The assignment before it.
    before: Option<Id<Node>>,
}

struct Trace<'g> {
    init: &'g TfGraph,
    /// By node and operand.
    accesses: HashMap<(Id<Node>, usize), Access>,
    /// The assignments of each variable, in order.
    writes: BTreeMap<String, Vec<Id<Node>>>,
    last: BTreeMap<String, Id<Node>>,
    /// Variables that something else than an assignment changes.
    obscure: BTreeMap<String, String>,
}

/// The nodes that a value needs.
struct Cone {
    nodes: BTreeSet<Id<Node>>,
    reads: Vec<(String, Id<Node>)>,
}

fn is_assignment(op: &str) -> bool {
    matches!(op, "Assign" | "AssignVariableOp") || arithmetic(op).is_some()
}

/// The operator by which an assignment changes the value that is there; `None` for one that replaces it.
fn arithmetic(op: &str) -> Option<&'static str> {
    match op {
        "AssignAdd" | "AssignAddVariableOp" => Some("AddV2"),
        "AssignSub" | "AssignSubVariableOp" => Some("Sub"),
        _ => None,
    }
}

/// Whether an operator hands a variable on without reading it.
fn passes(op: &str, variable: &Node) -> bool {
    matches!(op, "RefIdentity" | "RefSwitch" | "RefMerge" | "RefEnter" | "RefExit")
        || (variable.op == "VarHandleOp" && matches!(op, "Identity" | "IdentityN"))
}

impl<'g> Trace<'g> {
    fn of(init: &'g TfGraph) -> Trace<'g> {
        let mut trace = Trace {
            init,
            accesses: HashMap::new(),
            writes: BTreeMap::new(),
            last: BTreeMap::new(),
            obscure: BTreeMap::new(),
        };
        for (id, node) in init.nodes.iter() {
            let mut written = None;
            for (n, &input) in node.inputs.iter().enumerate() {
                let Some(variable) = trace.variable(input).filter(|v| !passes(&node.op, &init.nodes[*v])) else {
                    continue;
                };
                let variable = identity(&init.nodes[variable]);
                let before = trace.last.get(&variable).copied();
                if n == 0 && is_assignment(&node.op) {
                    written = Some(variable.clone());
                } else if has_effect(&node.op) || init.effects.contains_key(&id) {
                    trace.obscure.insert(variable.clone(), node.name.clone());
                }
                trace.accesses.insert((id, n), Access { variable, before });
            }
            if let Some(variable) = written {
                trace.writes.entry(variable.clone()).or_default().push(id);
                trace.last.insert(variable, id);
            }
        }
        trace
    }

    /// The variable whose handle, reference or contents an edge carries, as far as that is read at the edge's end.
    fn variable(&self, mut edge: NodeOutput) -> Option<Id<Node>> {
        for _ in 0..1000 {
            let node = &self.init.nodes[edge.node];
            match node.op.as_str() {
                "VariableV2" | "Variable" | "VarHandleOp" => return Some(edge.node),
                "RefIdentity" | "RefEnter" | "RefExit" | "RefSwitch" | "Assign" | "AssignAdd" | "AssignSub" => {
                    edge = *node.inputs.first()?;
                }
                _ => {
                    let origin = handed_on(self.init, edge).node;
                    return Some(origin).filter(|&o| self.init.nodes[o].op == "VarHandleOp");
                }
            }
        }
        None
    }

    /// What the value that `last` assigns needs.
    fn cone(&self, last: Id<Node>, variable: &str) -> Result<Cone, String> {
        let mut cone = Cone { nodes: BTreeSet::new(), reads: vec![] };
        let mut variables = BTreeSet::from([variable]);
        let mut todo = vec![last];
        while let Some(id) = todo.pop() {
            if !cone.nodes.insert(id) {
                continue;
            }
            let node = &self.init.nodes[id];
            for (n, input) in node.inputs.iter().enumerate() {
                match self.accesses.get(&(id, n)) {
                    // A plain assignment does not ask what is there.
                    Some(_) if n == 0 && is_assignment(&node.op) && arithmetic(&node.op).is_none() => {}
                    Some(access) => {
                        variables.insert(&access.variable);
                        cone.reads.push((access.variable.clone(), id));
                        match access.before {
                            Some(_) if !reads_whole(node) => {
                                return Err(format!("`{}` reads a part of what is assigned before", node.name));
                            }
                            Some(before) => todo.push(before),
                            None => todo.extend(self.variable(*input)),
                        }
                    }
                    None => todo.push(input.node),
                }
            }
        }
        match variables.iter().find_map(|v| self.obscure.get(*v)) {
            Some(by) => Err(format!("`{by}` changes a variable in a way that is not followed")),
            None => Ok(cone),
        }
    }

    /// Every assignment has its place before or after the others and the reads.
    fn check_order(&self, cone: &Cone, variable: &str) -> Result<(), String> {
        let mut accesses: BTreeMap<&str, BTreeSet<Id<Node>>> = BTreeMap::from([(variable, BTreeSet::new())]);
        for (variable, id) in &cone.reads {
            accesses.entry(variable).or_default().insert(*id);
        }
        let count: usize =
            accesses.iter().map(|(v, reads)| reads.len() + self.writes.get(*v).map_or(0, Vec::len)).sum();
        if count > MAX_ACCESSES {
            return Err("too many nodes read and assign variables".into());
        }
        for (variable, reads) in accesses {
            let Some(writes) = self.writes.get(variable) else { continue };
            let ancestors: HashMap<Id<Node>, HashSet<Id<Node>>> =
                reads.iter().chain(writes).map(|&id| (id, self.ancestors(id))).collect();
            for &write in writes {
                let unordered = |other: &&Id<Node>| {
                    **other != write && !ancestors[*other].contains(&write) && !ancestors[&write].contains(*other)
                };
                if let Some(other) = reads.iter().chain(writes).find(unordered) {
                    let (a, b) = (&self.init.nodes[write].name, &self.init.nodes[*other].name);
                    return Err(format!("no edge says which of `{a}` and `{b}` runs first"));
                }
            }
        }
        Ok(())
    }

    fn ancestors(&self, id: Id<Node>) -> HashSet<Id<Node>> {
        let (mut found, mut todo) = (HashSet::new(), vec![id]);
        while let Some(at) = todo.pop() {
            let node = &self.init.nodes[at];
            let before = node.inputs.iter().map(|i| i.node).chain(node.controls.iter().copied());
            todo.extend(before.filter(|&b| found.insert(b)));
        }
        found
    }

    /// The cone as a graph of its own, without assignments.
    fn emit(&self, cone: &Cone, last: Id<Node>, ty: &TfType) -> Result<TfGraph, String> {
        let mut nodes: Arena<Node> = Arena::default();
        let mut map: HashMap<Id<Node>, NodeOutput> = HashMap::new();
        for &id in &cone.nodes {
            let node = &self.init.nodes[id];
            let operand = |n: usize, map: &HashMap<Id<Node>, NodeOutput>| {
                let lacks = || format!("`{}` lacks an operand", node.name);
                let input = *node.inputs.get(n).ok_or_else(lacks)?;
                let known = |id: Id<Node>| map.get(&id).copied().ok_or_else(lacks);
                match self.accesses.get(&(id, n)) {
                    Some(Access { before: Some(before), .. }) => known(*before),
                    Some(_) => known(self.variable(input).ok_or_else(lacks)?),
                    None => known(input.node).map(|at| NodeOutput { index: at.index + input.index, ..at }),
                }
            };
            let before = self.accesses.get(&(id, 0)).map(|access| access.before);
            let op = arithmetic(&node.op);
            let value = if is_assignment(&node.op) && op.is_none() {
                operand(1, &map)?
            } else if node.op == "ReadVariableOp" && before.flatten().is_some() {
                operand(0, &map)?
            } else {
                let mut inputs: Vec<NodeOutput> =
                    (0..node.inputs.len()).map(|n| operand(n, &map)).collect::<Result<_, String>>()?;
                if op.is_some() && before == Some(None) && node.op.ends_with("VariableOp") {
                    let read = Node { op: "ReadVariableOp".into(), inputs: vec![inputs[0]], ..node.clone() };
                    inputs[0] = NodeOutput { node: nodes.push(read), index: 0 };
                }
                let op = op.map_or_else(|| node.op.clone(), String::from);
                let copy = Node { op, inputs, controls: vec![], ..node.clone() };
                NodeOutput { node: nodes.push(copy), index: 0 }
            };
            map.insert(id, value);
        }
        let outputs = vec![Port { key: "value".into(), source: map[&last], ty: ty.clone() }];
        Ok(TfGraph { nodes, outputs, ..Default::default() })
    }
}

/// Whether a node that reads a variable takes its whole value as an operand.
fn reads_whole(node: &Node) -> bool {
    !matches!(node.op.as_str(), "ResourceGather" | "ResourceGatherNd" | "VariableShape" | "VarIsInitializedOp")
        && !node.op.starts_with("IsVariableInit")
}
