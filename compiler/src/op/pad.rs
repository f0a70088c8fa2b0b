//! Surrounds a tensor with copies of one value.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{loops::Bound, tensor::flat_index};

/// Operand 0 with `low[a]` copies of the scalar operand 1 before it and `high[a]` after it on each axis `a`; both are
/// at least 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad {
    pub low: Vec<Dim>,
    pub high: Vec<Dim>,
}

impl Primitive for Pad {
    const NAME: &'static str = "pad";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x, value] = operands(inputs)?;
        if value.rank() != 0 || value.dtype != x.dtype {
            return Err(format!("cannot pad {x} with {value}"));
        }
        if [self.low.len(), self.high.len()] != [x.rank(); 2] {
            return Err(format!("expected {} paddings on each side of {x}", x.rank()));
        }
        if self.low.iter().chain(&self.high).any(is_negative) {
            return Err(format!("paddings {} and {} are negative", show(&self.low), show(&self.high)));
        }
        let shape = (0..x.rank()).map(|a| &x.shape[a] + &self.low[a] + &self.high[a]);
        Ok(TensorType::new(x.dtype, shape.collect::<Vec<_>>()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Result<Tensor, Fault> {
        let [x, value] = [inputs[0], inputs[1]];
        let low = values(&self.low, bind);
        let mut from = vec![0; out.len()];
        Ok(pick::pick(x.dtype, out, |ix| {
            for axis in 0..ix.len() {
                let i = ix[axis] as i64 - low[axis];
                if i < 0 || i >= x.shape[axis] as i64 {
                    return (value, 0);
                }
                from[axis] = i as usize;
            }
            (x, flat_index(&x.shape, &from))
        }))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let from: Vec<Dim> = ix.iter().zip(&self.low).map(|(i, low)| i - low).collect();
        let bounds = from.iter().zip(at.shape(0)).map(|(index, extent)| Bound { index: index.clone(), extent });
        at.within(bounds.collect(), |at| at.read(0, &from), |at| at.read(1, &[]))
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let [x, value] = [at.operands[0], at.operands[1]];
        let (shape, g) = (at.shape(x), at.gradient);
        let inner = at.slice(g, &self.low, &shape)?;
        let mut all = vec![Some(inner), None];
        if at.wants(1) && at.dtype(value).is_float() {
            let axes: Vec<usize> = (0..shape.len()).collect();
            let (whole, part) = (at.summed(g, axes.clone())?, at.summed(inner, axes)?);
            let rest = at.sub(whole, part)?;
            all[1] = Some(at.reshape(rest, &[])?);
        }
        Ok(all)
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        let (x, value) = (inputs[0]?, inputs[1]?);
        let none = Bindings::new();
        let (from, out) = (types[0].concrete(&none)?, out.concrete(&none)?);
        let low: Vec<i64> = self.low.iter().map(Dim::as_int).collect::<Option<_>>()?;
        let mut dims = vec![];
        crate::tensor::for_each_index(&out, |ix| {
            let at: Vec<i64> = ix.iter().zip(&low).map(|(&i, low)| i as i64 - low).collect();
            let inside = at.iter().zip(&from).all(|(&i, &n)| i >= 0 && i < n as i64);
            let at: Vec<usize> = at.into_iter().map(|i| i as usize).collect();
            dims.push(if inside { x[flat_index(&from, &at)].clone() } else { value[0].clone() });
        });
        Some(dims)
    }
}
