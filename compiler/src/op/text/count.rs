//! How many tokens strings have.

use serde::{Deserialize, Serialize};

use super::{super::*, Splitting, check_strings};
use crate::{
    loops::BinaryFn,
    tensor::{DType, Scalar},
};

/// The number of tokens of each string, an i64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextCount {
    pub by: Splitting,
}

impl Primitive for TextCount {
    const NAME: &'static str = "text_count";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        self.by.check()?;
        Ok(TensorType::new(DType::I64, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let counts = inputs[0].strings().iter().map(|s| Scalar::Int(self.by.tokens(s).len() as i64));
        Ok(Tensor::from_scalars(DType::I64, out, counts))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        let count = at.w.local(DType::I64, []);
        let zero = at.w.int(DType::I64, 0);
        at.w.assign(count, &[], zero);
        self.by.emit(at, x, |at, holds, _, _| {
            let one = at.w.cast(DType::I64, holds);
            at.w.accumulate(count, &[], BinaryFn::Add, one);
        });
        let count = at.w.read(count, &[]);
        at.w.set(count)
    }
}
