//! Smaller cases that fail in the same way.

use super::*;

/// The smallest case found that still `fails`: outputs are dropped or moved towards the inputs, and operators are
/// replaced by inputs with the values they had, until nothing more can go.
pub fn shrink(case: &Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    'again: loop {
        let values = best.values();
        let live = best.graph.live();
        let nodes = best.graph.ids().filter(|id| live[id.index()]);
        let computed: Vec<NodeId> = nodes.filter(|&id| *best.graph.op(id) != Op::Input).collect();
        let single = computed.iter().map(|&id| rebuild(&best, &values, None, &[id]));
        let outputs: Vec<NodeId> = best.graph.outputs.iter().map(|p| p.node).collect();
        let cut = computed.iter().rev().map(|&id| rebuild(&best, &values, Some(id), &outputs));
        for smaller in single.chain(cut) {
            if weight(&smaller) < weight(&best) && fails(&smaller) {
                best = smaller;
                continue 'again;
            }
        }
        return best;
    }
}

/// Fewer operators first, then fewer leaves and outputs.
fn weight(case: &Case) -> (usize, usize) {
    let leaves = case.graph.iter().filter(|(_, n)| n.inputs.is_empty()).count();
    let constants = case.graph.iter().filter(|(_, n)| matches!(n.op, Op::Const(_))).count();
    (case.graph.len() - leaves, 2 * case.graph.len() + constants + case.graph.outputs.len())
}

/// The part of a case that `outputs` need, with the node `cut` turned into an input.
fn rebuild(case: &Case, values: &[Option<Tensor>], cut: Option<NodeId>, outputs: &[NodeId]) -> Case {
    let old = &case.graph;
    let mut needed = vec![false; old.len()];
    outputs.iter().for_each(|id| needed[id.index()] = true);
    for id in old.ids().rev().filter(|&id| Some(id) != cut) {
        if needed[id.index()] {
            old.node(id).inputs.iter().for_each(|i| needed[i.index()] = true);
        }
    }
    let mut small = Case { graph: Graph::with_facts(old.facts().clone()), bind: case.bind.clone(), inputs: vec![] };
    let mut map: Vec<Option<NodeId>> = vec![None; old.len()];
    for (id, node) in old.iter().filter(|(id, _)| needed[id.index()]) {
        let is_input = node.op == Op::Input || Some(id) == cut;
        map[id.index()] = Some(if is_input {
            small.inputs.push(values[id.index()].clone().expect("live nodes have values"));
            small.graph.input(format!("x{}", small.inputs.len()), node.ty.clone())
        } else {
            let operands: Vec<NodeId> = node.inputs.iter().map(|i| map[i.index()].expect("defined before")).collect();
            small.graph.push(node.op.clone(), operands, node.ty.clone())
        });
    }
    for (n, id) in outputs.iter().enumerate() {
        small.graph.output(format!("y{n}"), map[id.index()].expect("outputs are needed"));
    }
    small
}
