//! Looks whether indices are in range, before anything changes by them.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::DType,
};

/// The operand, of integers, as it is: its last axis holds an index for each of these extents, and one outside of its
/// `0..extent` is a fault. The result has a buffer, so that the fault is there before anybody reads an
/// index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Within {
    pub extents: Vec<i64>,
    pub fault: Fault,
}

impl Primitive for Within {
    const NAME: &'static str = "within";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [indices] = operands(inputs)?;
        if !indices.dtype.is_int() || !indices.shape.last().is_some_and(|n| n.is(self.extents.len() as i64)) {
            return Err(format!("{indices} are not lists of {} indices", self.extents.len()));
        }
        Ok((*indices).clone())
    }
    fn eval(&self, inputs: &[&Tensor], _: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let inside = |(n, index): (usize, crate::tensor::Scalar)| {
            let extent = self.extents[n % self.extents.len()];
            index.as_i64().is_some_and(|index| (0..extent).contains(&index))
        };
        if inputs[0].scalars().enumerate().all(inside) { Ok(inputs[0].clone()) } else { Err(self.fault) }
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("indices are looked at as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let outer = &shape[..shape.len() - 1];
        at.nest(outer, LoopKind::Seq, |at, m| {
            for (n, &extent) in self.extents.iter().enumerate() {
                let ix = [m, &[n.into()]].concat();
                let value = at.read(0, &ix);
                let value = at.w.set(value);
                let index = at.w.cast(DType::I64, value);
                let (zero, end) = (at.w.int(DType::I64, 0), at.w.int(DType::I64, extent));
                let above = at.w.compare(CompareFn::Lt, index, end);
                let below = at.w.compare(CompareFn::Ge, index, zero);
                let fine = at.w.binary(BinaryFn::And, above, below);
                at.w.check(fine, self.fault);
                at.w.store(out, shape, &ix, value);
            }
        });
    }
}
