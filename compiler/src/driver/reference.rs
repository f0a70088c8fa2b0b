//! The two values that tell an error from rounding: what a model computes exactly, and what the plainest loops in its own
//! types make of it.

use crate::{
    base::{Bindings, Diagnostic},
    driver::{check_assumptions, memory},
    graph::{Graph, Regions, evaluate_by, widen, widened},
    op::{Evaluation, Op, Stop, Sums},
    tensor::{DType, Tensor},
};

/// A graph as imported, to be evaluated in both ways.
pub struct Reference<'a> {
    graph: &'a Graph,
    wide: Option<Graph>,
}

impl<'a> Reference<'a> {
    pub fn new(graph: &'a Graph) -> Reference<'a> {
        Reference { graph, wide: widened(graph) }
    }
    /// Whether the model serves these extents.
    pub fn serves(&self, bind: &Bindings) -> bool {
        check_assumptions(self.graph, bind).is_ok()
    }
    /// Whether these extents are served, and their values fit into memory.
    pub fn check(&self, bind: &Bindings) -> Result<(), Diagnostic> {
        check_assumptions(self.graph, bind)?;
        memory::evaluation(self.graph, bind)
    }
    /// The outputs in double precision, as f64 in place of narrower floats; by values in their own types and wide sums where
    /// the model looks at the bits of those.
    pub fn exact(
        &self,
        inputs: &[Tensor],
        bind: &Bindings,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Tensor>, Stop> {
        match &self.wide {
            Some(wide) => {
                let ports = wide.inputs.iter().map(|port| wide.ty(port.node).dtype);
                let inputs: Vec<_> = inputs.iter().zip(ports).map(|(value, to)| widen(value, to)).collect();
                evaluate_by(wide, &inputs, bind, Evaluation { sums: Sums::Wide, go_on })
            }
            None => evaluate_by(self.graph, inputs, bind, Evaluation { sums: Sums::Wide, go_on }),
        }
    }
    /// The outputs in the model's types, every sum of f32 rounded at each step.
    pub fn rounded(
        &self,
        inputs: &[Tensor],
        bind: &Bindings,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Tensor>, Stop> {
        evaluate_by(self.graph, inputs, bind, Evaluation { sums: Sums::Rounded, go_on })
    }
}

/// By output, the coarsest float type that a value on the way to it is rounded to; `None` where nothing rounds. Moving
/// elements rounds nothing, and neither do inputs and constants.
pub fn coarsest(graph: &Graph) -> Vec<Option<DType>> {
    let mut coarsest: Vec<Option<DType>> = vec![];
    for (_, node) in graph.iter() {
        let rounds = matches!(
            node.op,
            Op::Unary(_)
                | Op::Binary(_)
                | Op::Cast(_)
                | Op::Reduce(_)
                | Op::Window(_)
                | Op::Scan(_)
                | Op::Scatter(_)
                | Op::Dot(_)
                | Op::Conv(_)
        );
        let own = Some(node.ty.dtype).filter(|dtype| rounds && dtype.is_float());
        let inside = match &node.op {
            Op::Control(of) => Regions::of(&*of.control).graphs().into_iter().flat_map(self::coarsest).collect(),
            _ => vec![],
        };
        let before = node.inputs.iter().map(|i| coarsest[i.index()]).chain(inside).flatten();
        coarsest.push(before.chain(own).max_by(|a, b| a.epsilon().total_cmp(&b.epsilon())));
    }
    graph.outputs.iter().map(|port| coarsest[port.node.index()]).collect()
}

#[test]
fn the_coarsest_type_is_one_that_rounds() {
    let mut graph = Graph::default();
    let x = graph.input("x", "bf16[2]".parse().unwrap());
    let single = graph.add(crate::op::Cast { to: DType::F32 }, &[x]).unwrap();
    let half = graph.add(crate::op::Cast { to: DType::F16 }, &[single]).unwrap();
    let back = graph.add(crate::op::Cast { to: DType::F32 }, &[half]).unwrap();
    for (name, node) in [("x", x), ("single", single), ("half", half), ("back", back)] {
        graph.output(name, node);
    }
    assert_eq!(coarsest(&graph), [None, Some(DType::F32), Some(DType::F16), Some(DType::F16)]);
}
