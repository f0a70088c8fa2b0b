//! Random well-typed graphs with inputs, for tests of everything that keeps a graph's meaning.
//!
//! A case grows node by node: an operator of a random kind is given random attributes and operands, and what does not
//! fit is thrown away. Every node is evaluated at once, so that no node of a case faults and none is large, and so that
//! indices and divisors can be chosen among nodes whose values allow it. The match over [`Kind`](crate::op::Kind) is exhaustive: an
//! operator that is not generated does not compile. What plans treat as one thing, such as a softmax, would hardly come
//! about by chance and is added as a whole now and then. A case follows from its seed alone.

mod control;
mod forest;
mod grow;
mod motif;
pub mod records;
mod shrink;
mod strings;

pub use shrink::shrink;

use super::*;
use crate::base::{Bindings, Rng};

/// A graph with values for its inputs and symbols.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub graph: Graph,
    pub bind: Bindings,
    /// In the order of the ports.
    pub inputs: Vec<Tensor>,
}

impl Case {
    /// The values of all live nodes, which exist because no node faults; `None` for dead ones.
    pub fn values(&self) -> Vec<Option<Tensor>> {
        let live = self.graph.live();
        let mut all = self.graph.clone();
        all.outputs.clear();
        let ids: Vec<NodeId> = self.graph.ids().filter(|id| live[id.index()]).collect();
        ids.iter().for_each(|&id| all.output("", id));
        let mut values = vec![None; self.graph.len()];
        let computed = evaluate(&all, &self.inputs, &self.bind).expect("no node of a case faults");
        ids.iter().zip(computed).for_each(|(id, value)| values[id.index()] = Some(value));
        values
    }
}

/// The case of a seed: about `size` operators and one to three outputs.
pub fn case(seed: u64, size: usize) -> Case {
    grow::grow(seed, size)
}

/// A tensor of a type with small random elements, special floats among them. Panics when a symbol is unbound.
pub fn tensor(rng: &mut Rng, ty: &TensorType, bind: &Bindings) -> Tensor {
    let shape = ty.concrete(bind).expect("symbols are bound");
    if ty.dtype == DType::Str {
        return strings::strings(rng, shape);
    }
    Tensor::from_fn(ty.dtype, shape, |_| grow::scalar(rng, ty.dtype))
}

#[cfg(test)]
mod tests;
