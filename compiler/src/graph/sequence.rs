//! Values of iterations in one tensor, one behind the other along a first axis.

use super::*;
use crate::op::{Put, Reshape, Slice};

/// The type of so many values of a type.
pub fn stacked(ty: &TensorType, count: &Dim) -> TensorType {
    TensorType::new(ty.dtype, [std::slice::from_ref(count), &ty.shape].concat())
}

impl Graph {
    /// The value at an index.
    pub fn element(&mut self, sequence: NodeId, index: &Dim) -> Infer<NodeId> {
        let shape = self.shape(sequence)[1..].to_vec();
        let one = [&[Dim::one()], &shape[..]].concat();
        let slice = Slice { start: start(index, shape.len()), stride: vec![1; one.len()], shape: one };
        let row = self.add(slice, &[sequence])?;
        self.add(Reshape { shape }, &[row])
    }
    /// The sequence with a value at an index.
    pub fn with_element(&mut self, sequence: NodeId, index: &Dim, value: NodeId) -> Infer<NodeId> {
        let rank = self.ty(value).rank();
        let shape = [&[Dim::one()], self.shape(value)].concat();
        let row = self.add(Reshape { shape }, &[value])?;
        self.add(Put { start: start(index, rank) }, &[sequence, row])
    }
}

/// Where the value at an index begins.
fn start(index: &Dim, rank: usize) -> Vec<Dim> {
    [std::slice::from_ref(index), &vec![Dim::zero(); rank]].concat()
}
