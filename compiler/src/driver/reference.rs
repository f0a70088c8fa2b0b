//! The two values that tell an error from rounding: what a model computes exactly, and what the plainest f32 loops make of
//! it.

use crate::{
    base::{Bindings, Diagnostic},
    driver::{check_assumptions, memory},
    graph::{Graph, Stop, evaluate_while, widen, widened},
    op::Op,
    tensor::Tensor,
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
    /// The outputs in double precision, as f64 in place of f32; by f32 values and wide sums where the model looks at the
    /// bits of an f32.
    pub fn exact(
        &self,
        inputs: &[Tensor],
        bind: &Bindings,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Tensor>, Stop> {
        match &self.wide {
            Some(wide) => {
                let inputs: Vec<_> = inputs.iter().map(widen).collect();
                evaluate_while(wide, &inputs, bind, Op::eval, go_on)
            }
            None => evaluate_while(self.graph, inputs, bind, Op::eval, go_on),
        }
    }
    /// The outputs in f32, every sum rounded at each step.
    pub fn rounded(
        &self,
        inputs: &[Tensor],
        bind: &Bindings,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Tensor>, Stop> {
        evaluate_while(self.graph, inputs, bind, Op::eval_rounded, go_on)
    }
}
