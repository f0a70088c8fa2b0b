//! A region being rebuilt with other inputs or outputs.

use crate::{
    graph::{Graph, NodeId},
    op::Op,
};

/// What of a region there is again. Nodes may be given another meaning before the rest follows.
pub struct Rebuilt {
    pub new: Graph,
    pub map: Vec<Option<NodeId>>,
}

impl Rebuilt {
    /// With these of the inputs, by number, in this order.
    pub fn new(region: &Graph, inputs: impl IntoIterator<Item = usize>) -> Rebuilt {
        let (new, map) = (Graph::with_facts(region.facts().clone()), vec![None; region.len()]);
        let mut rebuilt = Rebuilt { new, map };
        rebuilt.take(region, inputs);
        rebuilt
    }
    /// Takes these of the inputs too, behind those that there are.
    pub fn take(&mut self, region: &Graph, inputs: impl IntoIterator<Item = usize>) {
        for port in inputs.into_iter().map(|n| &region.inputs[n]) {
            let ty = region.ty(port.node).clone();
            self.map[port.node.index()] = Some(self.new.input(port.name.clone(), ty));
        }
    }
    /// With these of the outputs and all that they need; none where that is an input that is missing.
    pub fn finish(mut self, region: &Graph, outputs: impl IntoIterator<Item = usize>) -> Option<Graph> {
        let outputs: Vec<_> = outputs.into_iter().map(|n| &region.outputs[n]).collect();
        let nodes: Vec<NodeId> = outputs.iter().map(|port| port.node).collect();
        for (port, node) in outputs.into_iter().zip(self.make(region, &nodes)?) {
            self.new.output(port.name.clone(), node);
        }
        Some(self.new)
    }
    /// These nodes and all that they need; none where that is an input that is missing.
    pub fn make(&mut self, region: &Graph, nodes: &[NodeId]) -> Option<Vec<NodeId>> {
        // What nothing needs any more is not copied, but for what binds sizes.
        let mut needed = vec![false; region.len()];
        region.binds().for_each(|(id, _)| needed[id.index()] = true);
        nodes.iter().for_each(|id| needed[id.index()] = true);
        for (id, node) in region.iter().rev() {
            if needed[id.index()] && self.map[id.index()].is_none() {
                node.inputs.iter().for_each(|i| needed[i.index()] = true);
            }
        }
        for (id, node) in region.iter() {
            if needed[id.index()] && self.map[id.index()].is_none() {
                self.new.set_origin(region.origin(id).cloned());
                let inputs: Vec<NodeId> = node.inputs.iter().map(|i| self.map[i.index()]).collect::<Option<_>>()?;
                let made = match &node.op {
                    Op::Input => return None,
                    op => self.new.add_copy(op, &inputs).ok()?,
                };
                self.map[id.index()] = Some(made);
            }
        }
        nodes.iter().map(|id| self.map[id.index()]).collect()
    }
}
