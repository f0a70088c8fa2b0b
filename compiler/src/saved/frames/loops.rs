//! Loops of frames as `While` nodes, innermost first: the variables and what stays the same are its operands, and each
//! `Exit` becomes an `Identity` of a result.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{
    branches, caller, inner_name,
    nest::{Nest, gates},
    part::{Arguments, Holders, Part, effects_of},
    shape::Shape,
};
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::graph::{Node, NodeOutput, TfGraph, has_effect},
};

/// The graph without `Enter`, `Exit`, `NextIteration` and `LoopCond`.
pub fn functional(graph: TfGraph) -> Result<TfGraph, Problems> {
    let enters = |node: &Node| matches!(node.op.as_str(), "Enter" | "RefEnter");
    if !graph.nodes.iter().any(|(_, node)| enters(node)) {
        return Ok(graph);
    }
    let nest = Nest::read(&graph)?;
    refuse_leaks(&graph, &nest)?;
    let mut loops = Loops { graph, nest, holders: Holders::default() };
    for frame in loops.nest.innermost_first() {
        loops.replace(frame)?;
    }
    loops.holders.finish(loops.graph)
}

/// Values that leave a loop leave it by an `Exit`.
fn refuse_leaks(graph: &TfGraph, nest: &Nest) -> Result<(), Problems> {
    let outputs = graph.outputs.iter().map(|port| port.source);
    for source in outputs.chain(graph.decisions.iter().map(|decision| decision.predicate)) {
        if let Some(frame) = nest.of[source.node.index()] {
            let name = &nest.frames[frame].name;
            let problem = format!("a value inside of the loop of frame `{name}` is read outside of it");
            return Err(graph.nodes[source.node].fault(problem).into());
        }
    }
    Ok(())
}

struct Loops {
    graph: TfGraph,
    nest: Nest,
    holders: Holders,
}

impl Loops {
    /// Puts a `While` in the place of a loop.
    fn replace(&mut self, frame: usize) -> Result<(), Problems> {
        let shape = Shape::read(&self.graph, &self.nest, frame)?;
        let graph = &self.graph;
        let part = Part { graph, sort: |edge| shape.sort(graph, &self.nest, edge), is_gated: |_| true };
        let (asking, working) = self.effects(frame, &shape);
        let results: Vec<NodeOutput> = shape.variables.iter().map(|variable| variable.next).collect();
        let mut arguments = Arguments::new(shape.arguments(graph));
        let condition = part.nodes(&[shape.condition], &asking, &mut arguments)?;
        let body = part.nodes(&results, &working, &mut arguments)?;

        let name = self.name(frame);
        let named = |node: &str| inner_name(&name, node).to_string();
        let mut condition = part.cut(&condition, &[shape.condition], &arguments, &self.holders, named)?;
        let mut body = part.cut(&body, &results, &arguments, &self.holders, named)?;
        // What stays the same is handed on.
        let constant = body.inputs[shape.variables.len()..].to_vec();
        body.outputs.extend(constant.into_iter().enumerate().map(|(n, mut port)| {
            port.key = format!("result{}", shape.variables.len() + n);
            port
        }));
        condition = branches::functional(condition)?;
        body = branches::functional(body)?;

        let enters = shape.variables.iter().map(|variable| variable.enter).chain(shape.constants.iter().copied());
        let mut inputs = enters.map(|id| operand(&self.graph.nodes[id])).collect::<Result<Vec<_>, _>>()?;
        inputs.extend(arguments.outside());
        let effects = effects_of([&condition, &body]);
        let op = if effects.is_empty() { "StatelessWhile" } else { "While" };
        let node = Node { inputs, ..caller(name, op, [("cond", &condition), ("body", &body)]) };
        let id = self.graph.nodes.push(node);
        self.nest.push(id, self.nest.frames[frame].parent);
        self.graph.bodies.insert((id, 0), Ok(Arc::new(condition)));
        self.graph.bodies.insert((id, 1), Ok(Arc::new(body)));
        if !effects.is_empty() {
            self.graph.effects.insert(id, effects);
        }
        self.rewire(frame, &shape, id);
        Ok(())
    }

    /// The nodes with an effect, of the condition and of the body: the latter are behind what a new iteration begins with.
    fn effects(&self, frame: usize, shape: &Shape) -> (Vec<Id<Node>>, Vec<Id<Node>>) {
        let nodes = &self.nest.frames[frame].nodes;
        let is_effect = |id: Id<Node>| has_effect(&self.graph.nodes[id].op) || self.graph.effects.contains_key(&id);
        let effects: Vec<Id<Node>> = nodes.iter().copied().filter(|&id| is_effect(id)).collect();
        if effects.is_empty() {
            return (vec![], vec![]);
        }
        let inside: HashSet<Id<Node>> = nodes.iter().copied().collect();
        let mut users: HashMap<Id<Node>, Vec<Id<Node>>> = HashMap::new();
        for &id in nodes {
            let node = &self.graph.nodes[id];
            let before = node.inputs.iter().map(|i| i.node).chain(gates(&self.graph, id));
            before.filter(|b| inside.contains(b)).for_each(|b| users.entry(b).or_default().push(id));
        }
        let mut todo: Vec<Id<Node>> = nodes.iter().copied().filter(|&id| shape.is_gate(id)).collect();
        let mut gated: HashSet<Id<Node>> = todo.iter().copied().collect();
        while let Some(id) = todo.pop() {
            for &user in users.get(&id).into_iter().flatten() {
                if !shape.is_head(user) && gated.insert(user) {
                    todo.push(user);
                }
            }
        }
        let (working, asking) = effects.into_iter().partition(|id| gated.contains(id));
        (asking, working)
    }

    /// What the loop is called: by the frame, without what TensorFlow adds to the name of a scope.
    fn name(&self, frame: usize) -> String {
        let name = &self.nest.frames[frame].name;
        let scope = name.strip_suffix("while_context").unwrap_or(name).trim_end_matches('/');
        if scope.is_empty() { "while".into() } else { scope.into() }
    }

    /// Lets those outside read the results of the new node, and wait for it.
    fn rewire(&mut self, frame: usize, shape: &Shape, id: Id<Node>) {
        for &(exit, variable) in &shape.exits {
            let node = &mut self.graph.nodes[exit];
            node.op = "Identity".into();
            node.inputs = vec![NodeOutput { node: id, index: variable as u32 }];
        }
        let waits = self.holders.put(&self.graph, &self.nest.frames[frame].nodes, id).into_iter();
        // What is inside of this loop by now is found by its holder.
        let outside = |&wait: &Id<Node>| self.holders.find(wait, |holder| holder == id).is_none();
        self.graph.nodes[id].controls = waits.filter(outside).collect();
    }
}

fn operand(enter: &Node) -> Result<NodeOutput, Diagnostic> {
    enter.inputs.first().copied().ok_or_else(|| enter.fault(format!("{} lacks its operand", enter.op)))
}
