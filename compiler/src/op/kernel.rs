//! An operator compiled by itself: the plainest lowering, against which every cleverer one can be held.

use super::*;
use crate::{
    loops::{Kernel, Operands, Writer},
    tensor::count,
};

/// Operands that lie in buffers of their own.
struct Buffers<'a> {
    types: &'a [&'a TensorType],
    buffers: Vec<BufferId>,
}

impl Operands for Buffers<'_> {
    fn count(&self) -> usize {
        self.types.len()
    }
    fn ty(&self, n: usize) -> &TensorType {
        self.types[n]
    }
    fn read(&mut self, w: &mut Writer, n: usize, ix: &[Dim]) -> ExprId {
        let value = w.load(self.buffers[n], &self.types[n].shape, ix);
        w.set(value)
    }
    fn leave(&mut self, _: usize) {}
}

/// A kernel that computes one operator: its operands are the first buffers, in order, and the result is the last.
/// Panics for leaves.
pub fn kernel(op: &Op, types: &[&TensorType], out: &TensorType) -> Kernel {
    let mut w = Writer::new(op.name());
    let buffers = types.iter().map(|t| w.buffer(t.dtype, t.count(), false)).collect();
    let result = w.buffer(out.dtype, count(&out.shape), true);
    let mut operands = Buffers { types, buffers };
    op.write(&mut Emit { w: &mut w, operands: &mut operands }, result, &out.shape);
    w.finish()
}
