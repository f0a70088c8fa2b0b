//! The reference evaluator: the first oracle. Literal, one node after the other, and never optimised.

use super::*;
use crate::{
    base::Bindings,
    loops::Fault,
    op::{Control, ControlResult, Evaluation, Stop},
};

/// The outputs for these inputs, both in the order of the ports. Values are dropped after their last use.
/// Panics when an input does not have its port's type, or a symbol is unbound.
pub fn evaluate(graph: &Graph, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, Fault> {
    evaluate_by(graph, inputs, bind, Evaluation::WHOLE).map_err(Stop::fault)
}

/// As [`evaluate`], with sums in what `how` says, for as long as it goes on.
pub fn evaluate_by(
    graph: &Graph,
    inputs: &[Tensor],
    bind: &Bindings,
    how: Evaluation<'_>,
) -> Result<Vec<Tensor>, Stop> {
    assert_eq!(inputs.len(), graph.inputs.len(), "one value per input");
    let live = graph.live();
    let mut bind = std::borrow::Cow::Borrowed(bind);
    let mut uses = graph.use_counts();
    let mut values: Vec<Option<Tensor>> = vec![None; graph.len()];
    let mut results = Results::default();
    for (port, value) in graph.inputs.iter().zip(inputs) {
        let ty = graph.ty(port.node);
        assert_eq!((ty.dtype, ty.concrete(&bind).as_ref()), (value.dtype, Some(&value.shape)), "input {}", port.name);
        values[port.node.index()] = Some(value.clone());
    }
    for (id, node) in graph.iter().filter(|(id, _)| live[id.index()]) {
        if node.op == Op::Input {
            continue;
        }
        if !(how.go_on)() {
            return Err(Stop::Interrupted);
        }
        let args: Vec<&Tensor> =
            node.inputs.iter().map(|i| values[i.index()].as_ref().expect("defined before")).collect();
        let out = node.ty.concrete(&bind).expect("symbols are bound and extents are not negative");
        let value = match &node.op {
            Op::Control(of) => results.of(of, &args, &bind, how)?,
            op => op.eval_by(&args, &out, &bind, how)?,
        };
        assert_eq!((value.dtype, &value.shape), (node.ty.dtype, &out), "{} keeps its type", node.op.name());
        if let Op::Bind(found) = &node.op
            && let Some(size) = value.get(0).as_i64()
        {
            bind.to_mut().insert(found.symbol.clone(), size);
            graph.check_found(&found.symbol, &bind, &live).map_err(Stop::Fault)?;
        }
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

/// Results of control flow that was evaluated once for all of them.
#[derive(Default)]
struct Results(Vec<Known>);

/// An operator that owns graphs, its operands, and all results.
struct Known {
    control: Arc<dyn Control>,
    operands: Vec<Tensor>,
    results: Vec<Tensor>,
}

impl Results {
    fn of(
        &mut self,
        of: &ControlResult,
        args: &[&Tensor],
        bind: &Bindings,
        how: Evaluation<'_>,
    ) -> Result<Tensor, Stop> {
        let same = |operands: &[Tensor]| operands.iter().zip(args).all(|(a, b)| a.same_data(b));
        let known = self.0.iter().find(|known| Arc::ptr_eq(&known.control, &of.control) && same(&known.operands));
        if let Some(known) = known {
            return Ok(known.results[of.result].clone());
        }
        let results = of.control.eval(args, bind, how)?;
        let value = results[of.result].clone();
        let operands = args.iter().map(|&t| t.clone()).collect();
        self.0.push(Known { control: of.control.clone(), operands, results });
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
