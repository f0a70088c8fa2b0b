//! Control flow as an operator: it owns graphs, its *regions*, and has several results. A node stands for one of them. So it is
//! with a call of a function of the user's, which owns none.
//!
//! What a region is made of is known above this floor only; here is what every operator has to say.

use std::{
    any::Any,
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use super::{Evaluation, Infer, Stop};
use crate::{
    base::{Bindings, Symbol},
    tensor::{Tensor, TensorType},
};

/// An operator that owns regions.
pub trait Control: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The types of all results, or why these operands do not fit.
    fn infer(&self, inputs: &[&TensorType]) -> Infer<Vec<TensorType>>;
    /// All results, by the definition.
    fn eval(&self, inputs: &[&Tensor], bind: &Bindings, how: Evaluation<'_>) -> Result<Vec<Tensor>, Stop>;
    /// The symbols that the regions name, but for those of their own.
    fn symbols(&self) -> Vec<Symbol>;
    /// Whether it does more than compute, so that it runs though nobody asks for its results.
    fn has_effect(&self) -> bool;
    /// Whether both mean the same, word by word.
    fn is(&self, other: &dyn Control) -> bool;
    fn as_any(&self) -> &dyn Any;
}

/// One result of an operator that owns regions.
#[derive(Clone, Debug)]
pub struct ControlResult {
    /// Nodes for results of one operator share it.
    pub control: Arc<dyn Control>,
    pub result: usize,
}

impl ControlResult {
    /// Whether both are results of one and the same operator.
    pub fn is_beside(&self, other: &ControlResult) -> bool {
        Arc::ptr_eq(&self.control, &other.control)
    }
    pub(super) fn infer(&self, inputs: &[&TensorType]) -> Infer<TensorType> {
        let results = self.control.infer(inputs)?;
        let count = results.len();
        results.into_iter().nth(self.result).ok_or_else(|| format!("there are {count} results"))
    }
}

impl PartialEq for ControlResult {
    fn eq(&self, other: &ControlResult) -> bool {
        self.result == other.result && (self.is_beside(other) || self.control.is(&*other.control))
    }
}
