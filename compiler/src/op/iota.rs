//! Counts.

use serde::{Deserialize, Serialize};

use super::*;
use crate::tensor::{DType, Scalar};

/// The index along `axis`, in a numeric type: `0, 1, 2, ...`. Integers wrap and floats round, as `Cast` does from i64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Iota {
    pub shape: Vec<Dim>,
    pub axis: usize,
    pub dtype: DType,
}

impl Primitive for Iota {
    const NAME: &'static str = "iota";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [] = operands(inputs)?;
        let ty = TensorType::new(self.dtype, self.shape.clone());
        check_axis(self.axis, &ty)?;
        if !(self.dtype.is_int() || self.dtype.is_float()) {
            return Err(format!("{} does not count", self.dtype));
        }
        if self.shape.iter().any(is_negative) {
            return Err(format!("{ty} has a negative extent"));
        }
        Ok(ty)
    }
    fn eval(&self, _: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        Ok(Tensor::from_fn(self.dtype, out, |ix| Scalar::from_i64(self.dtype, ix[self.axis] as i64)))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let index = at.w.index(ix[self.axis].clone());
        at.w.cast(self.dtype, index)
    }
    fn numbers(&self, _: &[Option<&[Number]>], _: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        let shape = out.concrete(&Bindings::new())?;
        let mut dims = vec![];
        crate::tensor::for_each_index(&shape, |ix| {
            dims.push(number::constant(Scalar::from_i64(self.dtype, ix[self.axis] as i64)))
        });
        dims.into_iter().collect()
    }
}
