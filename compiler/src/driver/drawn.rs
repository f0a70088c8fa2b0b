//! Which results follow from random numbers that the model gives no seed for: TensorFlow draws others at every start.

use std::collections::BTreeSet;

use super::Entry;
use crate::{graph::NodeId, tf::Kept};

/// By entry, and output of its graph as imported, whether it follows from such numbers, or from a variable that an entry
/// makes of such numbers.
pub fn unseeded_outputs(entries: &[Entry]) -> Vec<Vec<bool>> {
    let all = entries.iter().flat_map(|entry| &entry.state);
    let mut drawn: BTreeSet<&str> =
        all.filter(|kept| kept.variable.is_unseeded()).map(|kept| &kept.variable.key[..]).collect();
    loop {
        let found: Vec<Vec<bool>> = entries.iter().map(|entry| following(entry, &drawn)).collect();
        let before = drawn.len();
        for (entry, outputs) in entries.iter().zip(&found) {
            let follows = |kept: &&Kept| kept.output.is_some_and(|output| outputs[output]);
            drawn.extend(entry.state.iter().filter(follows).map(|kept| &kept.variable.key[..]));
        }
        if drawn.len() == before {
            return found;
        }
    }
}

/// By output, whether it follows from variables with these keys.
fn following(entry: &Entry, keys: &BTreeSet<&str>) -> Vec<bool> {
    let graph = &entry.imported;
    let from = entry.state.iter().filter(|kept| keys.contains(&kept.variable.key[..]));
    let from: Vec<NodeId> = from.map(|kept| graph.inputs[kept.input].node).collect();
    let follows = |node: NodeId| {
        let needed = if from.is_empty() { vec![] } else { graph.needed([node]) };
        from.iter().any(|id| needed[id.index()])
    };
    graph.outputs.iter().map(|port| follows(port.node)).collect()
}
