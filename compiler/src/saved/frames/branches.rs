//! Branches of `Switch` and `Merge` as `If` nodes, innermost first. The `Merge`s of one branch become results of one
//! `If`, but for those that depend on each other. A branch that only assigns variables becomes an `If` without results.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use smc_proto::DataType;

use super::{
    caller, inner_name,
    part::{Arguments, Edge, Holders, Part, effects_of},
    paths::{Join, OUTERMOST, Paths, is_merge, is_switch},
    scalar,
};
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::{
        graph::{Node, NodeOutput, Port, TfGraph, has_effect, only_tells},
        types::{TfShape, TfType},
    },
};

/// The graph in which branches that data may decide are functional. It has no loops of frames.
pub fn functional(graph: TfGraph) -> Result<TfGraph, Problems> {
    if !graph.nodes.iter().any(|(_, node)| is_switch(node)) {
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
    let last = last_groups(&groups);
    let (effects, holders) = (BTreeMap::new(), Holders::default());
    let mut branches = Branches { graph, paths, asked, last, effects, holders };
    for id in branches.graph.nodes.ids().collect::<Vec<_>>() {
        branches.keep_effect(id);
    }
    for (n, group) in groups.iter().enumerate() {
        branches.replace(n, group)?;
    }
    branches.holders.finish(branches.graph)
}

/// The joins of a branch that become one `If`.
struct Group {
    /// The paths of the two sides.
    sides: [usize; 2],
    /// How many joins come before, one behind the other: of the outermost path, and so on inwards to the outer path of the
    /// sides. What depends on a group is behind it in the order of these lists.
    level: Vec<u32>,
    /// None where nobody reads what the branch gives.
    joins: Vec<Join>,
}

/// Joins of the same two paths that do not depend on each other, and branches that only have effects, innermost first.
fn groups(graph: &TfGraph, paths: &Paths) -> Vec<Group> {
    let mut groups: BTreeMap<([usize; 2], Vec<u32>), Vec<Join>> = BTreeMap::new();
    for join in &paths.joins {
        if !is_constant(graph, paths.path(join.sides[0]).predicate) {
            groups.entry((join.sides, join.level.clone())).or_default().push(join.clone());
        }
    }
    for (id, _) in graph.nodes.iter().filter(|(id, node)| changes(graph, *id, node)) {
        let mut path = paths.of(id).unwrap_or(OUTERMOST);
        while path != OUTERMOST {
            let sides = paths.sides(path);
            let level = paths.level(id, path);
            let has_place = groups.keys().any(|key| key.0 == sides && key.1 >= level);
            if !has_place && !is_constant(graph, paths.path(path).predicate) {
                groups.insert((sides, level), vec![]);
            }
            path = paths.path(path).outer;
        }
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|((sides, level), joins)| Group { sides, level, joins }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(paths.path(group.sides[0]).depth));
    groups
}

/// Whether a node changes something that later nodes or calls see.
fn changes(graph: &TfGraph, id: Id<Node>, node: &Node) -> bool {
    let is_change = |op: &str| has_effect(op) && !only_tells(op);
    is_change(&node.op) || graph.effects.get(&id).is_some_and(|effects| effects.keys().any(|op| is_change(op)))
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

/// A group and one of its sides.
type Place = (usize, usize);

/// Of each path that is a side of groups, the last of them.
fn last_groups(groups: &[Group]) -> BTreeMap<usize, Place> {
    let mut last: BTreeMap<usize, Place> = BTreeMap::new();
    for (n, group) in groups.iter().enumerate() {
        for (side, &path) in group.sides.iter().enumerate() {
            let at = last.entry(path).or_insert((n, side));
            if groups[at.0].level < group.level {
                *at = (n, side);
            }
        }
    }
    last
}

/// Where a node with an effect goes: into the last group that joins the innermost branch that becomes a node. Those inside
/// of it are copied as they are.
fn place(paths: &Paths, last: &BTreeMap<usize, Place>, mut path: usize) -> Option<Place> {
    while !last.contains_key(&path) && path != OUTERMOST {
        path = paths.path(path).outer;
    }
    last.get(&path).copied()
}

struct Branches {
    graph: TfGraph,
    paths: Paths,
    /// The `Merge`s of which somebody reads which operand they took.
    asked: HashSet<Id<Node>>,
    last: BTreeMap<usize, Place>,
    /// The nodes with an effect, by where they go.
    effects: BTreeMap<Place, Vec<Id<Node>>>,
    holders: Holders,
}

impl Branches {
    /// Sees to it that a node's effect is kept where the node lies on a side of a branch.
    fn keep_effect(&mut self, id: Id<Node>) {
        let has_effect = has_effect(&self.graph.nodes[id].op) || self.graph.effects.contains_key(&id);
        let path = self.paths.of(id).filter(|_| has_effect);
        if let Some(place) = path.and_then(|path| place(&self.paths, &self.last, path)) {
            self.effects.entry(place).or_default().push(id);
        }
    }

    /// Puts an `If` in the place of a group of joins.
    fn replace(&mut self, number: usize, Group { sides, joins: group, .. }: &Group) -> Result<(), Problems> {
        let indices = self.indices(group);
        let (graph, paths) = (&self.graph, &self.paths);
        let results = |side: usize| -> Vec<NodeOutput> {
            group.iter().map(|join| graph.nodes[join.merge].inputs[join.operands[side] as usize]).collect()
        };
        let none = vec![];
        let mut arguments = Arguments::new(vec![]);
        let mut nodes = vec![];
        for (side, &path) in sides.iter().enumerate() {
            let part = part(graph, paths, path);
            let effects = self.effects.get(&(number, side)).unwrap_or(&none);
            nodes.push(part.nodes(&results(side), effects, &mut arguments)?);
        }
        // Where nothing joins, an effect is in the scope of the branch.
        let named_by = group.first().map(|join| join.merge).or_else(|| nodes.iter().flatten().next().copied());
        let name = name(&graph.nodes[named_by.expect("a group joins or has effects")].name);
        let named = |node: &str| inner_name(&name, node).to_string();
        let mut bodies = vec![];
        for (side, nodes) in nodes.iter().enumerate() {
            let part = part(graph, paths, sides[side]);
            let mut body = part.cut(nodes, &results(side), &arguments, &self.holders, named)?;
            for &join in &indices {
                add_index(&mut body, group[join].operands[side]);
            }
            bodies.push(body);
        }
        let [no, yes] = <[TfGraph; 2]>::try_from(bodies).expect("there are two sides");
        let read = paths.path(sides[0]).read;
        let inputs = [&[read], arguments.outside()].concat();
        let effects = effects_of([&no, &yes]);
        let op = if effects.is_empty() { "StatelessIf" } else { "If" };
        let caller = caller(name, op, [("else_branch", &no), ("then_branch", &yes)]);
        let id = self.graph.nodes.push(Node { inputs, ..caller });
        let outer = self.paths.path(sides[0]).outer;
        self.paths.push(outer);
        self.graph.bodies.insert((id, 0), Ok(Arc::new(no)));
        self.graph.bodies.insert((id, 1), Ok(Arc::new(yes)));
        if !effects.is_empty() {
            self.graph.effects.insert(id, effects);
        }
        self.keep_effect(id);
        self.rewire(group, &indices, id);
        self.hold(outer, *sides, &nodes, id);
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
            node.op = if node.op == "RefMerge" { "RefIdentity".into() } else { "Identity".into() };
            if let Some(at) = indices.iter().position(|&asked| asked == n) {
                node.inputs.push(result(group.len() + at));
                node.op = "IdentityN".into();
            }
        }
    }

    /// What waited for the nodes of the bodies waits for the new node, which waits for what they waited for.
    fn hold(&mut self, outer: usize, sides: [usize; 2], nodes: &[Vec<Id<Node>>], id: Id<Node>) {
        let mut waits = BTreeSet::new();
        for (side, nodes) in sides.into_iter().zip(nodes) {
            let (inside, copied): (Vec<_>, Vec<_>) = nodes.iter().partition(|&&n| is_inside(&self.paths, side, n));
            waits.extend(self.holders.put(&self.graph, &inside, id));
            waits.extend(copied.into_iter().flat_map(|n: Id<Node>| &self.graph.nodes[n].controls));
        }
        let outside = |&wait: &Id<Node>| self.paths.of(wait).is_some_and(|path| self.paths.is_within(outer, path));
        self.graph.nodes[id].controls = waits.into_iter().filter(outside).collect();
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
    // A body has its own of a constant that waits: it may do so for other nodes of the body.
    let node = &graph.nodes[edge.node];
    if is_inside(paths, side, edge.node) || node.op == "Const" && !node.controls.is_empty() {
        return Edge::Inside;
    }
    // A `Switch` before the branch leads its operand into it.
    match paths.side(edge) {
        Some(path) if path == side => Edge::Outside(graph.nodes[edge.node].inputs[0]),
        _ => Edge::Outside(edge),
    }
}

fn is_inside(paths: &Paths, side: usize, id: Id<Node>) -> bool {
    paths.of(id).is_none_or(|path| paths.is_within(path, side))
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
    let node = scalar(format!("value_index_{}", body.outputs.len()), operand as i32);
    let source = NodeOutput { node: body.nodes.push(node), index: 0 };
    let key = format!("result{}", body.outputs.len());
    body.outputs.push(Port { key, source, ty: TfType { dtype: DataType::DtInt32, shape: TfShape::UNKNOWN } });
}
