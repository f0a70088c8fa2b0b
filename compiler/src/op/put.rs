//! A box of a tensor, replaced.

use serde::{Deserialize, Serialize};

use super::*;
use crate::loops::Bound;

/// The first operand, with the second one in the box that begins at `start`. The box lies inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Put {
    pub start: Vec<Dim>,
}

impl Primitive for Put {
    const NAME: &'static str = "put";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [base, part] = operands(inputs)?;
        if base.dtype != part.dtype || base.rank() != part.rank() || self.start.len() != base.rank() {
            return Err(format!("a {part} at {} is no part of a {base}", show(&self.start)));
        }
        for ((start, n), of) in self.start.iter().zip(&part.shape).zip(&base.shape) {
            let beyond = |d: Dim| d.as_int().is_some_and(|d| d < 0);
            if !n.is(0) && (is_negative(start) || beyond(of - start - n)) {
                return Err(format!("{n} elements from {start} are not all in {of}"));
            }
        }
        Ok((*base).clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Result<Tensor, Fault> {
        pick::moved(inputs, |inputs| Ok(self.put(inputs, out, bind)))
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (part, g) = (at.operands[1], at.gradient);
        let shape = at.shape(part);
        at.each(|at, n| match n {
            0 => {
                let none = at.number(part, 0.0)?;
                at.add(self.clone(), &[g, none])
            }
            _ => at.slice(g, &self.start, &shape),
        })
    }
    /// Whatever lies in its place already stays there.
    const WHOLE: bool = true;
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        if !at.is_in_place(0) {
            return at.nest(shape, LoopKind::Seq, |at, ix| {
                let value = self.element(at, ix);
                at.w.store(out, shape, ix, value);
            });
        }
        let part = at.shape(1);
        let Some((last, outer)) = part.split_last() else {
            let value = at.read(1, &[]);
            return at.w.store(out, shape, &[], value);
        };
        at.nest(outer, LoopKind::Seq, |at, ix| {
            at.each(last, LoopKind::Vector, |at, i| {
                let ix = [ix, std::slice::from_ref(i)].concat();
                let to: Vec<Dim> = ix.iter().zip(&self.start).map(|(i, start)| i + start).collect();
                let value = at.read(1, &ix);
                at.w.store(out, shape, &to, value);
            });
        });
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let inner: Vec<Dim> = ix.iter().zip(&self.start).map(|(i, start)| i - start).collect();
        let bounds = inner.iter().zip(at.shape(1)).map(|(index, extent)| Bound { index: index.clone(), extent });
        at.within(bounds.collect(), |at| at.read(1, &inner), |at| at.read(0, ix))
    }
}

impl Put {
    fn put(&self, inputs: &[&Tensor], out: &[usize], bind: &Bindings) -> Tensor {
        let (base, part) = (inputs[0], inputs[1]);
        let start = values(&self.start, bind);
        let inside = |a: usize| start[a] >= 0 && start[a] + part.shape[a] as i64 <= out[a] as i64;
        assert!(part.shape.contains(&0) || (0..out.len()).all(inside), "{self:?} of {:?} in {out:?}", part.shape);
        let (steps, own) = (pick::row_major(out), pick::row_major(&part.shape));
        let size = base.dtype.size();
        let mut bytes = base.bytes().to_vec();
        crate::tensor::for_each_index(&part.shape, |ix| {
            let to: i64 = (0..ix.len()).map(|a| (start[a] + ix[a] as i64) * steps[a]).sum();
            let from: i64 = (0..ix.len()).map(|a| ix[a] as i64 * own[a]).sum();
            let from = &part.bytes()[from as usize * size..][..size];
            bytes[to as usize * size..][..size].copy_from_slice(from);
        });
        Tensor::from_bytes(base.dtype, out.to_vec(), bytes)
    }
}
