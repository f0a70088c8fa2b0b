//! Variables that a loop defines. Where a program assigns a variable for the first time in a loop and reads it behind the
//! loop, autograph begins with zeros that nobody reads, whose unknown extents are 0, and asserts that the loop ran. The type
//! of such a variable is what the body gives.

use super::region::{constant, through_identities};
use crate::{
    base::{Dim, Id, Symbol},
    graph::{Graph, NodeId},
    saved::{Node, TfGraph},
    tensor::TensorType,
    tf::{Import, Stop},
};

/// A loop, and what of it is looked at.
pub(super) struct Defining<'r> {
    pub condition: &'r TfGraph,
    pub body: &'r TfGraph,
    /// What the body became.
    pub graph: &'r Graph,
    /// What stands for the first value in it.
    pub input: NodeId,
    /// What the body returns.
    pub outputs: &'r [NodeId],
    pub step: &'r Symbol,
    /// Iterations, where they are known before the loop.
    pub count: Option<Dim>,
}

impl Defining<'_> {
    /// Zeros with the extents that variable `n` has after an iteration, in place of its first value `id`. `None` where the
    /// extents are those of `id`, or follow from an iteration, or where anybody may see the first value.
    pub fn first(&self, cx: &mut Import, n: usize, id: NodeId, after: &TensorType) -> Result<Option<NodeId>, Stop> {
        let before = cx.graph.ty(id);
        if before == after || before.dtype != after.dtype || before.rank() != after.rank() {
            return Ok(None);
        }
        let inside = |dim: &Dim| self.graph.is_found(dim) || dim.symbols().contains(self.step);
        // A loop within this one that may not run hands the first value on.
        let hands_on = || self.graph.needed(self.outputs.iter().copied())[self.input.index()];
        if after.shape.iter().any(inside) || reads(self.condition, n) || reads(self.body, n) || hands_on() {
            return Ok(None);
        }
        if !self.runs(cx) {
            return Ok(None);
        }
        Ok(Some(cx.graph.zeros(after.dtype, &after.shape)?))
    }

    /// Whether there is an iteration, or the model asserts that there is one: by a variable that begins as false and is true
    /// after each iteration.
    fn runs(&self, cx: &Import) -> bool {
        if self.count.as_ref().is_some_and(|count| cx.is_nonneg(&(count - 1))) {
            return true;
        }
        let asserted = cx.tf.nodes.iter().filter(|(_, node)| node.op == "Assert").filter_map(|(_, node)| {
            let at = through_identities(cx.tf, *node.inputs.first()?);
            (at.node == cx.id).then_some(at.index as usize)
        });
        let ran = |n: usize| {
            let first = cx.node.inputs.get(n).and_then(|&at| cx.known_bool(at));
            let after = self.body.outputs.get(n).and_then(|port| constant(self.body, port.source));
            (first, after) == (Some(false), Some(true))
        };
        asserted.into_iter().any(ran)
    }
}

/// Whether a graph looks at its input `n`, or returns it. A loop within it that only begins with it does not look.
fn reads(tf: &TfGraph, n: usize) -> bool {
    let Some(input) = tf.inputs.get(n) else { return true };
    let looks = |node: Id<Node>, at: usize| {
        let is_loop = matches!(tf.nodes[node].op.as_str(), "While" | "StatelessWhile");
        let looks = |which| !matches!(tf.bodies.get(&(node, which)), Some(Ok(body)) if !reads(body, at));
        !is_loop || looks(0) || looks(1)
    };
    let places = |node: &Node| (0..node.inputs.len()).filter(|&at| node.inputs[at] == input.source).collect::<Vec<_>>();
    tf.outputs.iter().any(|port| port.source == input.source)
        || tf.nodes.iter().any(|(id, node)| places(node).into_iter().any(|at| looks(id, at)))
}
