//! Branches of `Switch` and `Merge` as `If` nodes, innermost first. The `Merge`s of one branch become results of one
//! `If`, but for those that depend on each other.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use smc_proto::{AttrValue, DataType, TensorProto, attr_value::Value};

use super::{
    caller, inner_name,
    part::{Arguments, Edge, Holders, Part, effects_of},
    paths::{Join, Paths, is_merge},
};
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::{
        graph::{Node, NodeOutput, Origin, Port, TfGraph, has_effect},
        types::{TfShape, TfType},
    },
};

/// The graph in which branches that data may decide are functional. It has no loops of frames.
pub fn functional(graph: TfGraph) -> Result<TfGraph, Problems> {
    if !graph.nodes.iter().any(|(_, node)| is_merge(node)) {
        return Ok(graph);
    }
    let paths = Paths::read(&graph);
    let groups = groups(&graph, &paths);
    if groups.is_empty() {
        return Ok(graph);
    }
    let edges =
        graph.nodes.iter().flat_map(|(_, node)| &node.inputs).chain(graph.outputs.iter().map(|port| &port.source));
    let asked =
        edges.filter(|edge| edge.index == 1 && is_merge(&graph.nodes[edge.node])).map(|edge| edge.node).collect();
    let effects = effects(&graph, &paths, &groups);
    let mut branches = Branches { graph, paths, asked, effects, holders: Holders::default() };
    for (n, group) in groups.iter().enumerate() {
        branches.replace(n, group)?;
    }
    branches.holders.finish(branches.graph)
}

/// Joins of the same two paths that do not depend on each other, innermost first.
fn groups(graph: &TfGraph, paths: &Paths) -> Vec<Vec<Join>> {
    let mut groups: BTreeMap<([usize; 2], u32), Vec<Join>> = BTreeMap::new();
    for join in &paths.joins {
        if !is_constant(graph, paths.path(join.sides[0]).predicate) {
            groups.entry((join.sides, join.level)).or_default().push(join.clone());
        }
    }
    let mut groups: Vec<Vec<Join>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(paths.path(group[0].sides[0]).depth));
    groups
}

/// Whether a predicate is written as a constant.
fn is_constant(graph: &TfGraph, predicate: NodeOutput) -> bool {
    let mut todo = vec![predicate];
    for _ in 0..100 {
        let Some(at) = todo.pop() else { return true };
        let node = &graph.nodes[at.node];
        match node.op.as_str() {
            "Const" => {}
            "Identity" | "LogicalNot" | "LogicalAnd" | "LogicalOr" | "PlaceholderWithDefault" => {
                todo.extend(&node.inputs)
            }
            _ => return false,
        }
    }
    false
}

/// The nodes with an effect that lie on a side of a branch: each with the number of the last group that joins it.
fn effects(graph: &TfGraph, paths: &Paths, groups: &[Vec<Join>]) -> BTreeMap<(usize, usize), Vec<Id<Node>>> {
    let mut last = BTreeMap::new();
    for (n, group) in groups.iter().enumerate() {
        for (side, &path) in group[0].sides.iter().enumerate() {
            let at = last.entry(path).or_insert((n, side));
            if groups[at.0][0].level < group[0].level {
                *at = (n, side);
            }
        }
    }
    let mut effects: BTreeMap<(usize, usize), Vec<Id<Node>>> = BTreeMap::new();
    for (id, _) in graph.nodes.iter().filter(|(id, node)| has_effect(&node.op) || graph.effects.contains_key(id)) {
        let Some(mut path) = paths.of(id) else { continue };
        // The innermost branch that becomes a node; those inside of it are copied as they are.
        while !last.contains_key(&path) && paths.path(path).depth > 0 {
            path = paths.path(path).outer;
        }
        if let Some(&place) = last.get(&path) {
            effects.entry(place).or_default().push(id);
        }
    }
    effects
}

struct Branches {
    graph: TfGraph,
    paths: Paths,
    /// The `Merge`s of which somebody reads which operand they took.
    asked: HashSet<Id<Node>>,
    /// By group and side.
    effects: BTreeMap<(usize, usize), Vec<Id<Node>>>,
    holders: Holders,
}

impl Branches {
    /// Puts an `If` in the place of a group of joins.
    fn replace(&mut self, number: usize, group: &[Join]) -> Result<(), Problems> {
        let indices = self.indices(group);
        let (graph, paths) = (&self.graph, &self.paths);
        let name = name(&graph.nodes[group[0].merge].name);
        let named = |node: &str| inner_name(&name, node).to_string();
        let results = |side: usize| -> Vec<NodeOutput> {
            group.iter().map(|join| graph.nodes[join.merge].inputs[join.operands[side] as usize]).collect()
        };
        let none = vec![];
        let mut arguments = Arguments::new(vec![]);
        let mut nodes = vec![];
        for side in 0..2 {
            let part = part(graph, paths, group[0].sides[side]);
            let effects = self.effects.get(&(number, side)).unwrap_or(&none);
            nodes.push(part.nodes(&results(side), effects, &mut arguments)?);
        }
        let mut bodies = vec![];
        for (side, nodes) in nodes.iter().enumerate() {
            let part = part(graph, paths, group[0].sides[side]);
            let mut body = part.cut(nodes, &results(side), &arguments, &self.holders, named)?;
            for &join in &indices {
                add_index(&mut body, group[join].operands[side]);
            }
            bodies.push(body);
        }
        let [no, yes] = <[TfGraph; 2]>::try_from(bodies).expect("there are two sides");
        let read = paths.path(group[0].sides[0]).read;
        let inputs = [&[read], arguments.outside()].concat();
        let effects = effects_of([&no, &yes]);
        let op = if effects.is_empty() { "StatelessIf" } else { "If" };
        let caller = caller(name, op, [("else_branch", &no), ("then_branch", &yes)]);
        let id = self.graph.nodes.push(Node { inputs, ..caller });
        self.paths.push(self.paths.path(group[0].sides[0]).outer);
        self.graph.bodies.insert((id, 0), Ok(Arc::new(no)));
        self.graph.bodies.insert((id, 1), Ok(Arc::new(yes)));
        if !effects.is_empty() {
            self.graph.effects.insert(id, effects);
        }
        self.rewire(group, &indices, id);
        self.hold(group, &nodes.concat(), id);
        Ok(())
    }

    /// The places of the joins of which somebody asks which operand they took.
    fn indices(&self, group: &[Join]) -> Vec<usize> {
        let is_asked = |&n: &usize| self.asked.contains(&group[n].merge);
        (0..group.len()).filter(is_asked).collect()
    }

    /// Lets those behind read the results of the new node.
    fn rewire(&mut self, group: &[Join], indices: &[usize], id: Id<Node>) {
        let result = |index: usize| NodeOutput { node: id, index: index as u32 };
        for (n, join) in group.iter().enumerate() {
            let node = &mut self.graph.nodes[join.merge];
            node.attrs.clear();
            node.inputs = vec![result(n)];
            node.op = "Identity".into();
            if let Some(at) = indices.iter().position(|&asked| asked == n) {
                node.inputs.push(result(group.len() + at));
                node.op = "IdentityN".into();
            }
        }
    }

    /// What waited for the nodes of the bodies waits for the new node, which waits for what they waited for.
    fn hold(&mut self, group: &[Join], nodes: &[Id<Node>], id: Id<Node>) {
        let outer = self.paths.path(group[0].sides[0]).outer;
        let waits = self.holders.put(&self.graph, nodes, id).into_iter();
        let outside = |&wait: &Id<Node>| self.paths.of(wait).is_some_and(|path| self.paths.is_within(outer, path));
        self.graph.nodes[id].controls = waits.filter(outside).collect();
    }
}

/// The side of a branch that has this path.
fn part<'g>(
    graph: &'g TfGraph,
    paths: &'g Paths,
    side: usize,
) -> Part<'g, impl Fn(NodeOutput) -> Result<Edge, Diagnostic>, impl Fn(Id<Node>) -> bool> {
    let sort = move |edge| Ok(sort(graph, paths, side, edge));
    Part { graph, sort, is_gated: move |id| paths.of(id) != Some(side) }
}

/// What an edge is for the side of a branch that has this path.
fn sort(graph: &TfGraph, paths: &Paths, side: usize, edge: NodeOutput) -> Edge {
    if paths.of(edge.node).is_none_or(|path| paths.is_within(path, side)) {
        return Edge::Inside;
    }
    // A `Switch` before the branch leads its operand into it.
    match paths.side(edge) {
        Some(path) if path == side => Edge::Outside(graph.nodes[edge.node].inputs[0]),
        _ => Edge::Outside(edge),
    }
}

/// What the branch is called: by the scope of the `Merge`.
fn name(merge: &str) -> String {
    match merge.rsplit_once('/') {
        Some((scope, _)) => scope.into(),
        None => merge.into(),
    }
}

/// Adds a result of a body: the operand that a `Merge` takes.
fn add_index(body: &mut TfGraph, operand: u32) {
    let dtype = DataType::DtInt32 as i32;
    let value = TensorProto { dtype, int_val: vec![operand as i32], ..Default::default() };
    let attr = |value| AttrValue { value: Some(value) };
    let attrs = [("dtype".into(), attr(Value::Type(dtype))), ("value".into(), attr(Value::Tensor(value)))].into();
    let name = format!("value_index_{}", body.outputs.len());
    let node = Node { name, op: "Const".into(), inputs: vec![], controls: vec![], attrs, origin: Origin::Order };
    let source = NodeOutput { node: body.nodes.push(node), index: 0 };
    let key = format!("result{}", body.outputs.len());
    body.outputs.push(Port { key, source, ty: TfType { dtype: DataType::DtInt32, shape: TfShape::UNKNOWN } });
}
