//! Rearrangements: they compute nothing and become index arithmetic.

use serde::{Deserialize, Serialize};

use super::*;
use crate::loops::flat;

/// Repeats axes of extent 1. The rank stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    pub shape: Vec<Dim>,
    /// The axes whose extent is 1 or the result's, and only a call shows which; all other axes of extent 1 are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<usize>,
}

impl Broadcast {
    /// From one shape to another of its rank; an axis is open where `facts` do not prove its extents equal.
    pub fn new(from: &[Dim], to: &[Dim], facts: &Facts) -> Broadcast {
        let is_open = |(_, (from, to)): &(usize, (&Dim, &Dim))| !from.is(1) && !facts.equal(from, to);
        let open = from.iter().zip(to).enumerate().filter(is_open).map(|(axis, _)| axis);
        Broadcast { shape: to.to_vec(), open: open.collect() }
    }
    /// To a shape all of whose axes are the operand's or repeat an extent that is known to be 1.
    pub fn to(shape: Vec<Dim>) -> Broadcast {
        Broadcast { shape, open: vec![] }
    }
}

/// The same elements in row-major order under another shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    pub shape: Vec<Dim>,
}

/// Axis `i` of the result is axis `perm[i]` of the operand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transpose {
    pub perm: Vec<usize>,
}

/// `result[i] = x[start + i * stride]` on each axis, for `i` in `0..shape`. Strides are not 0; a negative one runs
/// backwards from `start`. The indices are in range wherever the shape is not empty: whoever makes one sees to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    pub start: Vec<Dim>,
    pub stride: Vec<i64>,
    pub shape: Vec<Dim>,
}

/// The elements of a result, each taken from operand 0 at the index that `from` gives, where all is constant.
fn rearranged(
    known: Option<&[Number]>,
    ty: &TensorType,
    out: &TensorType,
    from: impl Fn(&[usize]) -> Vec<usize>,
) -> Option<Vec<Number>> {
    let known = known?;
    let (shape, out) = (ty.concrete(&Bindings::new())?, out.concrete(&Bindings::new())?);
    let mut dims = vec![];
    crate::tensor::for_each_index(&out, |ix| dims.push(known[crate::tensor::flat_index(&shape, &from(ix))].clone()));
    Some(dims)
}

impl Primitive for Broadcast {
    const NAME: &'static str = "broadcast";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        let fits = |(axis, (from, to)): (usize, (&Dim, &Dim))| match self.open.contains(&axis) {
            true => facts.repeats(from, to),
            false => from.is(1) || facts.equal(from, to),
        };
        let negative = self.shape.iter().any(is_negative);
        if negative || x.rank() != self.shape.len() || !x.shape.iter().zip(&self.shape).enumerate().all(fits) {
            return Err(format!("cannot broadcast {x} to {}", show(&self.shape)));
        }
        Ok(TensorType::new(x.dtype, self.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let x = inputs[0];
        let mut steps = pick::row_major(&x.shape);
        steps.iter_mut().zip(&x.shape).filter(|(_, n)| **n == 1).for_each(|(step, _)| *step = 0);
        Ok(pick::strided(x, out, 0, &steps))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let from = at.shape(0);
        let at_axis = |axis: usize| match &from[axis] {
            n if n.is(1) => Dim::zero(),
            n if self.open.contains(&axis) => &ix[axis] * n.broadcast_step(),
            _ => ix[axis].clone(),
        };
        let ix: Vec<_> = (0..ix.len()).map(at_axis).collect();
        at.read(0, &ix)
    }
    /// The sum over what repeats an element.
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let from = at.shape(at.operands[0]);
        if let Some(&axis) = self.open.first() {
            return Err(format!(
                "the extent {} is 1 or {}, which only a call tells: such a repetition has no derivative",
                from[axis], self.shape[axis]
            ));
        }
        let repeated = (0..from.len()).filter(|&axis| from[axis].is(1) && !self.shape[axis].is(1)).collect();
        let g = at.gradient;
        at.first(|at| at.summed(g, repeated))
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        let from = types[0].concrete(&Bindings::new())?;
        rearranged(inputs[0], types[0], out, |ix| {
            ix.iter().zip(&from).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect()
        })
    }
}

impl Primitive for Reshape {
    const NAME: &'static str = "reshape";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        if self.shape.iter().any(is_negative) || !facts.equal(&x.count(), &crate::tensor::count(&self.shape)) {
            return Err(format!("cannot reshape {x} to {}", show(&self.shape)));
        }
        Ok(TensorType::new(x.dtype, self.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        Ok(inputs[0].reshaped(out))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let from = at.shape(0);
        let mut rest = flat(&self.shape, ix);
        let mut back = vec![Dim::zero(); from.len()];
        for (axis, extent) in from.iter().enumerate().rev() {
            if extent.is(1) {
                continue;
            }
            // The outermost axis needs no remainder: what is left is its index.
            let outermost = from[..axis].iter().all(|n| n.is(1));
            back[axis] = if outermost { rest.clone() } else { at.w.rem(&rest, extent) };
            rest = if outermost { Dim::zero() } else { at.w.div(&rest, extent) };
        }
        at.read(0, &back)
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], _: &[&TensorType], _: &TensorType) -> Option<Vec<Number>> {
        inputs[0].map(<[Number]>::to_vec)
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let from = at.shape(at.operands[0]);
        let g = at.gradient;
        at.first(|at| at.reshape(g, &from))
    }
}

/// The operand's index for a result's index.
fn unpermute<T: Clone>(perm: &[usize], ix: &[T]) -> Vec<T> {
    let mut from = ix.to_vec();
    perm.iter().zip(ix).for_each(|(&p, i)| from[p] = i.clone());
    from
}

impl Primitive for Transpose {
    const NAME: &'static str = "transpose";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        let mut sorted = self.perm.clone();
        sorted.sort();
        if !sorted.into_iter().eq(0..x.rank()) {
            return Err(format!("{:?} does not permute the axes of {x}", self.perm));
        }
        Ok(TensorType::new(x.dtype, self.perm.iter().map(|&p| x.shape[p].clone()).collect::<Vec<_>>()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let steps = pick::row_major(&inputs[0].shape);
        Ok(pick::strided(inputs[0], out, 0, &self.perm.iter().map(|&p| steps[p]).collect::<Vec<_>>()))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        at.read(0, &unpermute(&self.perm, ix))
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        rearranged(inputs[0], types[0], out, |ix| unpermute(&self.perm, ix))
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let back = unpermute(&self.perm, &(0..self.perm.len()).collect::<Vec<_>>());
        let g = at.gradient;
        at.first(|at| at.transpose(g, &back))
    }
}

impl Primitive for Slice {
    const NAME: &'static str = "slice";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        let rank = x.rank();
        if [self.start.len(), self.stride.len(), self.shape.len()] != [rank; 3] {
            return Err(format!("expected {rank} starts, strides and extents for {x}"));
        }
        for axis in 0..rank {
            let (start, stride, n) = (&self.start[axis], self.stride[axis], &self.shape[axis]);
            let last = start + (n - 1) * stride;
            let outside =
                |i: &Dim| i.as_int().is_some_and(|i| i < 0) || (i - &x.shape[axis]).as_int().is_some_and(|d| d >= 0);
            if stride == 0 || is_negative(n) || (!n.is(0) && (outside(start) || outside(&last))) {
                return Err(format!("axis {axis}: {n} elements from {start} by {stride} are not all in {x}"));
            }
        }
        Ok(TensorType::new(x.dtype, self.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Result<Tensor, Fault> {
        let x = inputs[0];
        let start = values(&self.start, bind);
        let inside = |a: usize| {
            let last = start[a] + (out[a] as i64 - 1) * self.stride[a];
            [start[a], last].iter().all(|i| (0..x.shape[a] as i64).contains(i))
        };
        assert!(out.contains(&0) || (0..out.len()).all(inside), "{self:?} of {:?}", x.shape);
        let steps = pick::row_major(&x.shape);
        let first = start.iter().zip(&steps).map(|(i, step)| i * step).sum();
        let steps: Vec<i64> = steps.iter().zip(&self.stride).map(|(step, by)| step * by).collect();
        Ok(pick::strided(x, out, first, &steps))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let from: Vec<_> = (0..ix.len()).map(|a| &self.start[a] + &ix[a] * self.stride[a]).collect();
        at.read(0, &from)
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        let start: Vec<i64> = self.start.iter().map(Dim::as_int).collect::<Option<_>>()?;
        rearranged(inputs[0], types[0], out, |ix| {
            (0..ix.len()).map(|a| (start[a] + ix[a] as i64 * self.stride[a]) as usize).collect()
        })
    }
    /// Each element where it was taken from, among zeros.
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        at.first(|at| {
            let from = at.shape(at.operands[0]);
            let backwards = (0..from.len()).filter(|&axis| self.stride[axis] < 0);
            let g = at.gradient;
            let g = at.reverse(g, backwards)?;
            let steps: Vec<i64> = self.stride.iter().map(|step| step.abs()).collect();
            let g = at.spread(g, &steps)?;
            let spread = at.shape(g);
            let first = |axis: usize| match self.stride[axis] {
                step if step < 0 => &self.start[axis] + (&self.shape[axis] - 1) * step,
                _ => self.start[axis].clone(),
            };
            // A part without elements lies anywhere.
            let low: Vec<Dim> =
                (0..from.len()).map(|a| if self.shape[a].is(0) { Dim::zero() } else { first(a) }).collect();
            // Paddings do not change from one iteration of a loop to the next.
            if low.iter().any(|start| start.as_int().is_none()) {
                let part: Vec<Dim> = (0..from.len())
                    .map(|a| {
                        if steps[a] == 1 {
                            spread[a].clone()
                        } else {
                            (&spread[a] - (steps[a] - 1)).at_least(&Dim::zero())
                        }
                    })
                    .collect();
                let g = at.slice(g, &vec![Dim::zero(); from.len()], &part)?;
                let dtype = at.dtype(g);
                let none = at.filled(dtype, &from, 0.0)?;
                return at.add(Put { start: low }, &[none, g]);
            }
            let rest: Vec<Dim> = (0..from.len()).map(|a| &from[a] - &low[a] - &spread[a]).collect();
            // What follows the last element of a spread axis may reach beyond the end.
            let high: Vec<Dim> = (0..from.len())
                .map(|a| if steps[a] == 1 { rest[a].clone() } else { rest[a].at_least(&Dim::zero()) })
                .collect();
            let g = at.padded(g, &low, &high)?;
            at.slice(g, &vec![Dim::zero(); from.len()], &from)
        })
    }
}
