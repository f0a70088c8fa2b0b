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
        let (mut new, mut map) = (Graph::with_facts(region.facts().clone()), vec![None; region.len()]);
        for port in inputs.into_iter().map(|n| &region.inputs[n]) {
            map[port.node.index()] = Some(new.input(port.name.clone(), region.ty(port.node).clone()));
        }
        Rebuilt { new, map }
    }
    /// With these of the outputs and all that they need; none where that is an input that is missing.
    pub fn finish(mut self, region: &Graph, outputs: impl IntoIterator<Item = usize>) -> Option<Graph> {
        let outputs: Vec<_> = outputs.into_iter().map(|n| &region.outputs[n]).collect();
        // What nothing needs any more is not copied, but for what binds sizes.
        let mut needed = vec![false; region.len()];
        region.binds().for_each(|(id, _)| needed[id.index()] = true);
        outputs.iter().for_each(|port| needed[port.node.index()] = true);
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
                    Op::Const(value) => self.new.constant(value.clone()),
                    Op::Extent(dim) => self.new.extent(dim.clone()),
                    op => self.new.add(op.clone(), &inputs).ok()?,
                };
                self.map[id.index()] = Some(made);
            }
        }
        for port in outputs {
            self.new.output(port.name.clone(), self.map[port.node.index()]?);
        }
        Some(self.new)
    }
}
