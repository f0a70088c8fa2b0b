//! Sizes that data decide.

use serde::{Deserialize, Serialize};

use super::*;
use crate::tensor::{DType, Scalar};

/// The operand, an i64 scalar, which from here on is the value of a symbol: nodes after this one have extents of it. It is
/// at least 0 and at most `bound`, or [`Fault::SizeOutOfBounds`]. One node at most binds a symbol, and what depends on it
/// comes after that node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bind {
    pub symbol: Symbol,
    /// In symbols that have a value before.
    pub bound: Dim,
}

impl Primitive for Bind {
    const NAME: &'static str = "bind";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        if *x != TensorType::scalar(DType::I64) {
            return Err(format!("a size is an i64 scalar, not a {x}"));
        }
        if self.bound.symbols().contains(&self.symbol) {
            return Err(format!("`{}` is bounded by itself", self.symbol));
        }
        Ok((*x).clone())
    }
    fn eval(&self, inputs: &[&Tensor], _: &[usize], bind: &Bindings) -> Result<Tensor, Fault> {
        let bound = self.bound.eval(bind).expect("symbols are bound");
        match inputs[0].get(0) {
            Scalar::Int(size) if (0..=bound).contains(&size) => Ok(inputs[0].clone()),
            _ => Err(Fault::SizeOutOfBounds),
        }
    }
    /// Panics: the value is written at once, and read as that of the symbol.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("a size is written as a whole")
    }
    /// The operand. Who runs the kernel looks whether it is in bounds, and lets the symbol have it.
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let value = at.read(0, &[]);
        at.w.store(out, shape, &[], value);
    }
    fn numbers(&self, _: &[Option<&[Number]>], _: &[&TensorType], _: &TensorType) -> Option<Vec<Number>> {
        Some(vec![Dim::from(&self.symbol).into()])
    }
}
