//! What a primitive's adjoint works with: the rule that makes the gradients of operands from that of the result.
//!
//! A rule composes primitives, so that gradients need no code below the graph. It follows what models were trained with where a
//! function has no derivative: at kinks, ties and poles.

use std::ops::{Deref, DerefMut};

use super::*;
use crate::loops::CompareFn;

/// The gradients of the operands, in their order: none where the result does not depend on an operand smoothly, or where
/// nobody wants it. An error says what has no derivative, and why.
pub type Gradients = Infer<Vec<Option<Value>>>;

/// A node being differentiated. Its gradient has the type of its result, which is of floats.
pub struct Adjoint<'a> {
    pub compose: Compose<'a>,
    pub operands: &'a [Value],
    pub result: Value,
    pub gradient: Value,
    /// By operand, whether its gradient is used.
    pub wanted: &'a [bool],
}

impl<'a> Deref for Adjoint<'a> {
    type Target = Compose<'a>;
    fn deref(&self) -> &Compose<'a> {
        &self.compose
    }
}

impl<'a> DerefMut for Adjoint<'a> {
    fn deref_mut(&mut self) -> &mut Compose<'a> {
        &mut self.compose
    }
}

impl Adjoint<'_> {
    pub fn wants(&self, n: usize) -> bool {
        self.wanted[n]
    }
    /// One gradient for each operand, made where it is wanted.
    pub fn each(&mut self, mut rule: impl FnMut(&mut Self, usize) -> Infer<Value>) -> Gradients {
        (0..self.operands.len()).map(|n| self.wants(n).then(|| rule(self, n)).transpose()).collect()
    }
    /// The gradient of the first operand; the others have none.
    pub fn first(&mut self, rule: impl FnOnce(&mut Self) -> Infer<Value>) -> Gradients {
        let mut all = vec![None; self.operands.len()];
        if self.wants(0) {
            all[0] = Some(rule(self)?);
        }
        Ok(all)
    }
    /// `x`, but 0 where the gradient of the result is: there the slope may be infinite.
    pub fn unless_nothing(&mut self, x: Value) -> Infer<Value> {
        let zero = self.compose.number(self.gradient, 0.0)?;
        let something = self.compose.compare(CompareFn::Ne, self.gradient, zero)?;
        self.select(something, x, zero)
    }
}
