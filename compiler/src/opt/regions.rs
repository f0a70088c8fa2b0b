//! Makes the graphs of branches and loops cheaper, by the same passes.

use std::sync::Arc;

use super::{Fuel, PIPELINE, Rewrite};
use crate::{
    graph::{Graph, Regions},
    op::{Control, ControlResult, Op},
};

pub fn simplify(graph: Graph, fuel: &mut Fuel) -> Graph {
    if !graph.iter().any(|(_, node)| matches!(node.op, Op::Control(_))) {
        return graph;
    }
    let mut done: Vec<(ControlResult, Arc<dyn Control>)> = vec![];
    Rewrite::of(&graph).run(|rw, id| {
        let Op::Control(of) = &rw.node(id).op else { return None };
        let control = match done.iter().find(|(before, _)| before.is_beside(of)) {
            Some((_, control)) => control.clone(),
            None => {
                let regions = Regions::of(&*of.control);
                let graphs = regions.graphs().into_iter().map(|graph| pipeline(graph, fuel)).collect();
                let control = regions.with(graphs);
                done.push((of.clone(), control.clone()));
                control
            }
        };
        let operands: Vec<_> = rw.node(id).inputs.iter().map(|&i| rw.new_of(i)).collect();
        rw.add(Op::Control(ControlResult { control, result: of.result }), &operands)
    })
}

fn pipeline(graph: &Graph, fuel: &mut Fuel) -> Graph {
    PIPELINE.iter().fold(graph.clone(), |graph, pass| (pass.run)(graph, fuel))
}
