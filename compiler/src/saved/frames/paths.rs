//! Under which predicates each node runs: a path from the outermost branch to the innermost one. A `Switch` leads into
//! two paths, a `Merge` of both of them leads back; any other node is on the innermost path of what it reads or waits for.

use std::collections::HashMap;

use super::nest::gates;
use crate::{
    base::Id,
    saved::{
        body::MAX_NESTING,
        graph::{Node, NodeOutput, TfGraph},
    },
};

/// One side of a branch.
#[derive(Debug)]
pub struct Path {
    pub outer: usize,
    pub depth: usize,
    /// What decides, behind nodes that hand it on.
    pub predicate: NodeOutput,
    pub side: u32,
    /// Where the predicate can be read.
    pub read: NodeOutput,
}

/// A `Merge` whose operands are the two sides of one branch.
#[derive(Clone, Debug)]
pub struct Join {
    pub merge: Id<Node>,
    /// The paths of its operands, by side.
    pub sides: [usize; 2],
    /// The operand of each side.
    pub operands: [u32; 2],
    /// How many joins, one behind the other, it depends on of the outermost path, and so on inwards to its own outer path.
    pub level: Vec<u32>,
}

#[derive(Debug, Default)]
pub struct Paths {
    all: Vec<Path>,
    /// The path of each node; none for a node that reads both sides of a branch.
    of: Vec<Option<usize>>,
    /// Of each node, how many joins it depends on of each path that it lies on; zeros at the end are left out.
    levels: Vec<Vec<u32>>,
    switches: HashMap<Id<Node>, [usize; 2]>,
    pub joins: Vec<Join>,
}

/// No predicate.
pub const OUTERMOST: usize = 0;

impl Paths {
    /// The paths of a graph whose nodes stand behind what they read.
    pub fn read(graph: &TfGraph) -> Paths {
        let nothing = NodeOutput { node: Id::new(0), index: 0 };
        let outermost = Path { outer: OUTERMOST, depth: 0, predicate: nothing, side: 0, read: nothing };
        let mut paths = Paths { all: vec![outermost], ..Paths::default() };
        let mut known = HashMap::new();
        for (id, node) in graph.nodes.iter() {
            let before = node.inputs.iter().map(|i| i.node).chain(gates(graph, id)).filter(|&before| before < id);
            let mut level = vec![];
            before.for_each(|before| most(&mut level, &paths.levels[before.index()]));
            let path = if is_merge(node) { paths.joined(id, node, &mut level) } else { paths.innermost(graph, id) };
            paths.of.push(path);
            if let Some(path) = path {
                level.truncate(paths.all[path].depth + 1);
                if is_switch(node) {
                    paths.enter(graph, id, path, &mut known);
                }
            }
            paths.levels.push(level);
        }
        paths
    }

    pub fn path(&self, path: usize) -> &Path {
        &self.all[path]
    }

    /// The path of a node.
    pub fn of(&self, id: Id<Node>) -> Option<usize> {
        self.of[id.index()]
    }

    /// How many joins beside the branch whose side a path is, and beside each branch around it from the outermost in, a
    /// node of that side depends on.
    pub fn level(&self, id: Id<Node>, path: usize) -> Vec<u32> {
        let mut level = self.levels.get(id.index()).cloned().unwrap_or_default();
        level.resize(self.all[path].depth, 0);
        level
    }

    /// Both sides of the branch that a path is a side of.
    pub fn sides(&self, path: usize) -> [usize; 2] {
        // They are made together.
        let first = path - self.all[path].side as usize;
        [first, first + 1]
    }

    /// The path of what an edge carries.
    fn of_edge(&self, edge: NodeOutput) -> Option<usize> {
        match self.switches.get(&edge.node) {
            Some(sides) => sides.get(edge.index as usize).copied(),
            None => *self.of.get(edge.node.index())?,
        }
    }

    /// The side of a branch that an edge out of a `Switch` is, beside the path of the `Switch` itself.
    pub fn side(&self, edge: NodeOutput) -> Option<usize> {
        self.switches.get(&edge.node)?.get(edge.index as usize).copied()
    }

    /// Whether a path is `outer` or inside of it.
    pub fn is_within(&self, path: usize, outer: usize) -> bool {
        let mut at = path;
        while self.all[at].depth > self.all[outer].depth {
            at = self.all[at].outer;
        }
        at == outer
    }

    /// Adds a node that stands for branches where these were joined.
    pub fn push(&mut self, path: usize) {
        self.of.push(Some(path));
    }

    /// The longest path that both begin with.
    fn shared(&self, a: usize, mut b: usize) -> usize {
        while !self.is_within(a, b) {
            b = self.all[b].outer;
        }
        b
    }

    fn innermost(&self, graph: &TfGraph, id: Id<Node>) -> Option<usize> {
        let node = &graph.nodes[id];
        let mut path = OUTERMOST;
        let edges = node.inputs.iter().map(|&input| self.of_edge(input));
        for other in edges.chain(gates(graph, id).map(|pivot| *self.of.get(pivot.index())?)) {
            let other = other?;
            path = match () {
                () if self.is_within(other, path) => other,
                () if self.is_within(path, other) => path,
                () => return None,
            };
        }
        Some(path)
    }

    fn enter(
        &mut self,
        graph: &TfGraph,
        id: Id<Node>,
        outer: usize,
        known: &mut HashMap<(usize, NodeOutput, u32), usize>,
    ) {
        let depth = self.all[outer].depth + 1;
        let Some(&read) = graph.nodes[id].inputs.get(1).filter(|_| depth <= MAX_NESTING) else { return };
        let predicate = handed_on(graph, read);
        let sides = [0, 1].map(|side| {
            *known.entry((outer, predicate, side)).or_insert_with(|| {
                self.all.push(Path { outer, depth, predicate, side, read });
                self.all.len() - 1
            })
        });
        self.switches.insert(id, sides);
    }

    /// The path behind a `Merge`. Where its operands are no two sides of a branch it stays as it is, on what path they
    /// share.
    fn joined(&mut self, id: Id<Node>, node: &Node, level: &mut Vec<u32>) -> Option<usize> {
        let from: Vec<usize> = node.inputs.iter().map(|&input| self.of_edge(input)).collect::<Option<_>>()?;
        let &[a, b] = &from[..] else { return from.into_iter().reduce(|a, b| self.shared(a, b)) };
        let (first, second) = (&self.all[a], &self.all[b]);
        let outer = first.outer;
        let paired =
            first.depth > 0 && second.depth > 0 && second.outer == outer && first.predicate == second.predicate;
        if !paired || first.side == second.side {
            return Some(self.shared(a, b));
        }
        let second_first = first.side == 1;
        let (sides, operands) = if second_first { ([b, a], [1, 0]) } else { ([a, b], [0, 1]) };
        let depth = self.all[outer].depth;
        level.truncate(depth + 1);
        level.resize(depth + 1, 0);
        self.joins.push(Join { merge: id, sides, operands, level: level.clone() });
        level[depth] += 1;
        Some(outer)
    }
}

fn most(level: &mut Vec<u32>, other: &[u32]) {
    if level.len() < other.len() {
        level.resize(other.len(), 0);
    }
    level.iter_mut().zip(other).for_each(|(a, &b)| *a = (*a).max(b));
}

/// What a value is behind the nodes that hand it on.
fn handed_on(graph: &TfGraph, mut at: NodeOutput) -> NodeOutput {
    while let Some(&before) = graph.nodes[at.node].inputs.first().filter(|before| before.node < at.node)
        && matches!(graph.nodes[at.node].op.as_str(), "Identity" | "RefIdentity" | "Switch" | "RefSwitch")
    {
        at = before;
    }
    at
}

pub fn is_merge(node: &Node) -> bool {
    matches!(node.op.as_str(), "Merge" | "RefMerge")
}

pub fn is_switch(node: &Node) -> bool {
    matches!(node.op.as_str(), "Switch" | "RefSwitch")
}
