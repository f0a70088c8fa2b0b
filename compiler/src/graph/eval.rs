//! The reference evaluator: the first oracle. Literal, one node after the other, and never optimised.

use super::*;
use crate::{base::Bindings, loops::Fault};

/// Why an evaluation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model stops on these values.
    Fault(Fault),
    /// The caller asked for it.
    Interrupted,
}

/// The outputs for these inputs, both in the order of the ports. Values are dropped after their last use.
/// Panics when an input does not have its port's type, or a symbol is unbound.
pub fn evaluate(graph: &Graph, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, Fault> {
    evaluate_while(graph, inputs, bind, Op::eval, &mut |_| true).map_err(|stop| match stop {
        Stop::Fault(fault) => fault,
        Stop::Interrupted => unreachable!("nobody interrupts"),
    })
}

/// The reference semantics of one operator: [`Op::eval`], or [`Op::eval_rounded`].
pub type Semantics = fn(&Op, &[&Tensor], &[usize], &Bindings) -> Result<Tensor, Fault>;

/// As [`evaluate`], by these semantics, for as long as `go_on` says so; it hears the number of each node.
pub fn evaluate_while(
    graph: &Graph,
    inputs: &[Tensor],
    bind: &Bindings,
    semantics: Semantics,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<Tensor>, Stop> {
    assert_eq!(inputs.len(), graph.inputs.len(), "one value per input");
    let live = graph.live();
    let mut uses = graph.use_counts();
    let mut values: Vec<Option<Tensor>> = vec![None; graph.len()];
    for (port, value) in graph.inputs.iter().zip(inputs) {
        let ty = graph.ty(port.node);
        assert_eq!((ty.dtype, ty.concrete(bind).as_ref()), (value.dtype, Some(&value.shape)), "input {}", port.name);
        values[port.node.index()] = Some(value.clone());
    }
    for (id, node) in graph.iter().filter(|(id, _)| live[id.index()]) {
        if node.op == Op::Input {
            continue;
        }
        if !go_on(id.index()) {
            return Err(Stop::Interrupted);
        }
        let args: Vec<&Tensor> =
            node.inputs.iter().map(|i| values[i.index()].as_ref().expect("defined before")).collect();
        let out = node.ty.concrete(bind).expect("symbols are bound and extents are not negative");
        let value = semantics(&node.op, &args, &out, bind).map_err(Stop::Fault)?;
        assert_eq!((value.dtype, &value.shape), (node.ty.dtype, &out), "{} keeps its type", node.op.name());
        values[id.index()] = Some(value);
        for input in &node.inputs {
            uses[input.index()] -= 1;
            if uses[input.index()] == 0 {
                values[input.index()] = None;
            }
        }
    }
    Ok(graph.outputs.iter().map(|p| values[p.node.index()].clone().expect("outputs are live")).collect())
}

#[cfg(test)]
mod tests;
