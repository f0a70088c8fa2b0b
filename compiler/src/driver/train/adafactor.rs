//! Adafactor (Shazeer and Stern, 2018) as Keras 3 has it: of a matrix it keeps the means of the squared gradients of each row
//! and each column, in place of one number for each element.

use super::{
    optimizer::{Optimizer, Step},
    *,
};
use crate::loops::{BinaryFn, UnaryFn};

/// The setting that is a power, and so at most 0.
pub(super) const DECAY: &str = "beta_2_decay";

impl Optimizer {
    /// `rate = min(lr, 1 / sqrt(t))`, `b = 1 - t^decay`, `s = g^2 + e1`. Of matrices, stacked along the axes before, the means
    /// `r = b r + (1 - b) mean(s, rows)` and `c = b c + (1 - b) mean(s, columns)`, and `v = r / mean(r) c`; of less,
    /// `v = b v + (1 - b) s`. Then `u = g / sqrt(v)` and `p -= max(e2, rms(p)) rate u / max(1, rms(u) / threshold)`.
    pub(super) fn adafactor(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (g, p, lr, t) = (s.g, s.p, s.lr, s.t);
        let mut c = s.c();
        let ty = c.ty(p);
        let (root, one) = (c.unary(UnaryFn::Sqrt, t)?, c.number(t, 1.0)?);
        let slow = c.div(one, root)?;
        // Without relative steps the rate is bounded all the same.
        let rate = c.binary(BinaryFn::Min, lr, slow)?;
        let size = rms(&mut c, p)?;
        let least = c.number(size, self.get("epsilon_2"))?;
        let size = c.binary(BinaryFn::Max, size, least)?;
        let size = c.broadcast(size, &ty.shape)?;
        let rate = c.mul(size, rate)?;
        let decay = c.number(t, self.get(DECAY))?;
        let power = c.binary(BinaryFn::Pow, t, decay)?;
        let keep = c.sub(one, power)?;
        let (square, e) = (c.square(g)?, c.number(g, self.get("epsilon_1"))?);
        let square = c.sum(square, e)?;
        let v = match ty.rank() {
            0 | 1 => blend(s, "velocity", &[], keep, square)?,
            rank => {
                let rows = blend(s, "row", &[rank - 1], keep, square)?;
                let columns = blend(s, "column", &[rank - 2], keep, square)?;
                let mut c = s.c();
                let all = mean(&mut c, rows, &[rank - 2])?;
                let rows_shape = c.shape(rows);
                let all = c.broadcast(all, &rows_shape)?;
                let share = c.div(rows, all)?;
                let (share, columns) = (c.broadcast(share, &ty.shape)?, c.broadcast(columns, &ty.shape)?);
                c.mul(share, columns)?
            }
        };
        let mut c = s.c();
        let root = c.unary(UnaryFn::Sqrt, v)?;
        let u = c.div(g, root)?;
        let (far, limit) = (rms(&mut c, u)?, self.get("clip_threshold"));
        let limit = c.number(far, limit)?;
        let far = c.div(far, limit)?;
        let one = c.number(far, 1.0)?;
        let far = c.binary(BinaryFn::Max, far, one)?;
        let far = c.broadcast(far, &ty.shape)?;
        let u = c.div(u, far)?;
        let by = c.mul(rate, u)?;
        c.sub(p, by)
    }
}

/// What is kept of the means of `x` along `axes`, which keep an extent of 1: `a = keep a + (1 - keep) mean(x)`. The variable has
/// no such axes.
fn blend(s: &mut Step<'_, '_>, what: &str, axes: &[usize], keep: Value, x: Value) -> Result<Value, String> {
    let kept = s.shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    let shape: Vec<usize> = kept.map(|(_, &n)| n).collect();
    let (slot, a) = s.slot_of(what, &shape, 0.0)?;
    let mut c = s.c();
    let x = mean(&mut c, x, axes)?;
    let wide = c.shape(x);
    let a = c.reshape(a, &wide)?;
    // It is the same everywhere.
    let first = vec![0.into(); wide.len()];
    let keep = c.slice(keep, &first, &vec![1.into(); wide.len()])?;
    let keep = c.broadcast(keep, &wide)?;
    let one = c.number(keep, 1.0)?;
    let rest = c.sub(one, keep)?;
    let (old, new) = (c.mul(keep, a)?, c.mul(rest, x)?);
    let a = c.sum(old, new)?;
    let narrow: Vec<_> = shape.iter().map(|&n| n.into()).collect();
    let after = c.reshape(a, &narrow)?;
    s.slots.assign(slot, after);
    Ok(a)
}

/// The mean along some axes, which keep an extent of 1.
fn mean(c: &mut Compose<'_>, x: Value, axes: &[usize]) -> Result<Value, String> {
    let mut shape = c.shape(x);
    let count = axes.iter().map(|&axis| shape[axis].as_int().unwrap_or(1)).product::<i64>();
    axes.iter().for_each(|&axis| shape[axis] = 1.into());
    if axes.is_empty() {
        return Ok(x);
    }
    let sum = c.summed(x, axes.to_vec())?;
    let sum = c.reshape(sum, &shape)?;
    let count = c.number(sum, count as f64)?;
    c.div(sum, count)
}

/// The root of the mean of the squares, in a shape of extents 1.
fn rms(c: &mut Compose<'_>, x: Value) -> Result<Value, String> {
    let square = c.square(x)?;
    let axes: Vec<usize> = (0..c.shape(x).len()).collect();
    let mean = mean(c, square, &axes)?;
    c.unary(UnaryFn::Sqrt, mean)
}
