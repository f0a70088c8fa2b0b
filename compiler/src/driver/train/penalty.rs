//! What large weights cost: a part of the loss that grows with their squares.

use std::str::FromStr;

use super::{choice::matches, *};
use crate::{base::names::advice, op::Op};

/// A factor times the sum of the squares of weights that learn, as Keras's regulariser `L2` adds to the loss for each kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct L2 {
    pub factor: f64,
    /// A pattern of names. Without one, all variables with two axes or more count: kernels and tables, and neither biases nor
    /// what norms scale by.
    pub of: Option<String>,
}

impl FromStr for L2 {
    type Err = String;
    fn from_str(text: &str) -> Result<L2, String> {
        let (factor, of) = match text.split_once(':') {
            Some((_, "")) => return Err("a name is missing behind the colon, such as 0.01:dense".into()),
            Some((factor, of)) => (factor, Some(of.to_string())),
            None => (text, None),
        };
        match factor.parse() {
            Ok(factor) if 0.0 <= factor && f64::is_finite(factor) => Ok(L2 { factor, of }),
            _ => Err(format!("`{factor}` is no factor, which is a number from 0 on, such as 0.01 or 0.01:dense")),
        }
    }
}

impl L2 {
    fn counts(&self, variable: &Variable, rank: usize) -> bool {
        match &self.of {
            Some(pattern) => [variable.short_key(), &variable.name].iter().any(|name| matches(pattern, name)),
            None => rank >= 2,
        }
    }

    /// What the weights among these values of variables cost, a scalar of the type of the loss; an error where none counts.
    pub fn cost(&self, c: &mut Compose<'_>, learning: &[(&Variable, Value)], to: DType) -> Result<Value, String> {
        let mut cost = None;
        for &(variable, value) in learning {
            let axes: Vec<usize> = (0..c.shape(value).len()).collect();
            if !self.counts(variable, axes.len()) {
                continue;
            }
            let squares = c.square(value)?;
            let sum = c.summed(squares, axes)?;
            let sum = c.reshape(sum, &[])?;
            let own = c.scaled(sum, self.factor)?;
            let own = c.cast(own, to)?;
            cost = Some(match cost {
                Some(cost) => c.sum(cost, own)?,
                None => own,
            });
        }
        cost.ok_or_else(|| {
            let names: Vec<&str> = learning.iter().map(|(variable, _)| variable.short_key()).collect();
            match &self.of {
                Some(of) => {
                    format!("no variable that learns matches `{of}` of `--l2`; {}", advice(of, "variables", &names))
                }
                None => "no variable that learns has two axes, which `--l2` counts unless it names others".into(),
            }
        })
    }

    /// The gradient of a cost by itself.
    pub fn one(c: &mut Compose<'_>, cost: Value) -> Result<Value, String> {
        let dtype = c.dtype(cost);
        c.add(Op::Const(Tensor::scalar(dtype, Scalar::from_f64(dtype, 1.0))), &[])
    }
}
