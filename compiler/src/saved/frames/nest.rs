//! In which loop each node runs. `Enter` leads into the loop that it names, `Exit` out of it; any other node runs in the
//! innermost loop of what it reads or waits for.

use std::collections::HashMap;

use crate::{
    base::{Diagnostic, Id, Problems},
    saved::{
        body::MAX_NESTING,
        graph::{Node, TfGraph},
    },
};

/// A loop: TensorFlow calls it a frame.
#[derive(Debug)]
pub struct Frame {
    /// The attribute `frame_name` of its `Enter`s.
    pub name: String,
    pub parent: Option<usize>,
    pub depth: usize,
    /// The nodes that run in it, in order, and those that lead out of it.
    pub nodes: Vec<Id<Node>>,
    pub exits: Vec<Id<Node>>,
}

/// All loops of a graph.
#[derive(Debug, Default)]
pub struct Nest {
    pub frames: Vec<Frame>,
    /// The loop of each node.
    pub of: Vec<Option<usize>>,
}

impl Nest {
    pub fn read(graph: &TfGraph) -> Result<Nest, Problems> {
        let mut nest = Nest::default();
        let mut known: HashMap<(Option<usize>, &str), usize> = HashMap::new();
        for (id, node) in graph.nodes.iter() {
            // What comes later is a loop's `NextIteration`.
            let before = node.inputs.iter().map(|i| i.node).chain(gates(graph, id)).filter(|&before| before < id);
            let mut around = None;
            for before in before {
                around = nest.inner(around, nest.of[before.index()]).ok_or_else(|| {
                    let help = "the file contradicts itself: it is damaged or was edited; export the model again";
                    node.fault("this node reads values of two loops, none of which is inside of the other").help(help)
                })?;
            }
            let frame = match node.op.as_str() {
                "Enter" | "RefEnter" => {
                    let name = node.attr_str("frame_name")?;
                    Some(match known.get(&(around, name)) {
                        Some(&frame) => frame,
                        None => {
                            known.insert((around, name), nest.frames.len());
                            nest.add(name, around, node)?
                        }
                    })
                }
                "Exit" | "RefExit" => {
                    let inside = around.ok_or_else(|| node.fault(format!("{} leads out of no loop", node.op)))?;
                    nest.frames[inside].exits.push(id);
                    nest.frames[inside].parent
                }
                _ => around,
            };
            nest.of.push(frame);
            if let Some(frame) = frame {
                nest.frames[frame].nodes.push(id);
            }
        }
        Ok(nest)
    }

    fn add(&mut self, name: &str, parent: Option<usize>, node: &Node) -> Result<usize, Diagnostic> {
        let depth = parent.map_or(0, |parent| self.frames[parent].depth + 1);
        if depth >= MAX_NESTING {
            return Err(node.fault(format!("loops are nested more than {MAX_NESTING} deep")));
        }
        self.frames.push(Frame { name: name.into(), parent, depth, nodes: vec![], exits: vec![] });
        Ok(self.frames.len() - 1)
    }

    /// The inner one of two loops.
    fn inner(&self, a: Option<usize>, b: Option<usize>) -> Option<Option<usize>> {
        let contains = |outer: Option<usize>, inner: Option<usize>| {
            let mut at = inner;
            while at != outer {
                at = self.frames[at?].parent;
            }
            Some(())
        };
        contains(a, b).map(|()| b).or_else(|| contains(b, a).map(|()| a))
    }

    /// The loops, those inside of others before these.
    pub fn innermost_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.frames.len()).collect();
        order.sort_by_key(|&frame| std::cmp::Reverse(self.frames[frame].depth));
        order
    }

    /// Adds a node that stands for a whole loop where that stood.
    pub fn push(&mut self, node: Id<Node>, frame: Option<usize>) {
        debug_assert_eq!(node.index(), self.of.len());
        self.of.push(frame);
        if let Some(frame) = frame {
            self.frames[frame].nodes.push(node);
        }
    }
}

/// The nodes that decide whether a node runs because it waits for them.
pub fn gates(graph: &TfGraph, id: Id<Node>) -> impl Iterator<Item = Id<Node>> {
    graph.gates.get(&id).into_iter().flatten().copied()
}
