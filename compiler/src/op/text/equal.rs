//! Whether strings are equal.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings, words::Words};
use crate::tensor::{DType, Scalar};

/// Whether the strings of two tensors of one shape are the same bytes, element by element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextEqual {}

impl Primitive for TextEqual {
    const NAME: &'static str = "text_equal";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, y] = operands(inputs)?;
        check_strings(x)?;
        check_strings(y)?;
        let ty = pointwise::same_type(x, y, facts)?;
        Ok(TensorType::new(DType::Bool, ty.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let pairs = inputs[0].strings().iter().zip(inputs[1].strings());
        Ok(Tensor::from_scalars(DType::Bool, out, pairs.map(|(a, b)| Scalar::Bool(a == b))))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (x, y) = (at.read(0, ix), at.read(1, ix));
        let (x, y) = (at.w.set(x), at.w.set(y));
        Words { at }.equal(x, y)
    }
}
