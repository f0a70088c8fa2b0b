//! Values that outlive calls: an entry finds them in a block of memory, and leaves new ones there.
//!
//! A call that fails leaves the block as it was, and every kernel reads the old values. So new ones are made elsewhere, and
//! the last kernels of the program, which cannot fail, bring them to their places.

use super::{Access, Place, Planner, Resident, Storage, StorageId, map};
use crate::{base::Dim, graph::NodeId};

/// What an entry does with the block, if it has values there.
pub fn access(residents: &[Resident]) -> Option<Access> {
    let changes = residents.iter().any(|resident| resident.output.is_some());
    (!residents.is_empty()).then_some(if changes { Access::Changes } else { Access::Reads })
}

impl Planner<'_, '_> {
    /// The inputs that callers see, which come first.
    pub(super) fn visible_inputs(&self) -> usize {
        self.cx.graph.inputs.len() - self.residents.len()
    }
    pub(super) fn visible_outputs(&self) -> usize {
        self.cx.graph.outputs.len() - self.residents.iter().filter(|resident| resident.output.is_some()).count()
    }

    /// Brings the new values to their places, behind everything else.
    pub(super) fn keep(&mut self) {
        let graph = self.cx.graph;
        let source = |output: usize| self.cx.fusion.behind_reshapes(graph, graph.outputs[output].node);
        let moves: Vec<(NodeId, u64)> =
            self.residents.iter().filter_map(|resident| Some((source(resident.output?), resident.at))).collect();
        // What is the old value of another one is read before that one changes.
        for &(from, _) in &moves {
            let known = self.of_node.get(&from);
            if known.is_some_and(|&id| matches!(self.storage[id].place, Place::State(_))) {
                let aside = self.new_storage(graph.ty(from), Place::Workspace(Dim::zero()));
                self.copy(from, "aside", aside);
                self.of_node.insert(from, aside);
            }
        }
        for (from, at) in moves {
            let ty = graph.ty(from);
            let to = self.storage.push(Storage { dtype: ty.dtype, len: ty.count(), place: Place::State(at) });
            self.copy(from, "keep", to);
        }
    }
    fn copy(&mut self, from: NodeId, what: &str, to: StorageId) {
        let site = map::copy(&self.cx, from);
        self.launch_into(site, from, from, what, to, None);
    }
}
