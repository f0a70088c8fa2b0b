//! The gradient of a fold of sliding windows.
//!
//! It is found in the places of the surrounded operand, whose borders are cut off in the end. An extent of results, times the
//! stride, is where windows begin: what is repeated or spread by the stride lies there.

use super::*;

/// Of sums: each element has the gradients of the windows that it is in. Of extremes: the first of equals in each window.
pub fn window(of: &Window, at: &mut Adjoint<'_>) -> Gradients {
    at.first(|at| {
        let x = at.operands[0];
        let shape = at.shape(x);
        let surrounded: Vec<Dim> = (0..shape.len()).map(|a| &shape[a] + &of.low[a] + &of.high[a]).collect();
        let whole = match of.f {
            BinaryFn::Add => of.shared(at, &surrounded)?,
            BinaryFn::Max | BinaryFn::Min => of.of_best(at, x, &surrounded)?,
            f => return Err(format!("a sliding {f:?} has no derivative")),
        };
        at.slice(whole, &of.low, &shape)
    })
}

impl Window {
    /// The sum of the gradients of all windows that an element is in, axis by axis.
    fn shared(&self, at: &mut Adjoint<'_>, surrounded: &[Dim]) -> Infer<Value> {
        let mut g = at.gradient;
        for axis in 0..surrounded.len() {
            let (size, stride, dilation) = (self.size[axis], self.stride[axis], self.dilation[axis]);
            if size == 1 && stride == 1 {
                continue;
            }
            let rank = surrounded.len();
            if dilation == 1 && stride >= size {
                g = repeated(at, g, axis, size)?;
                g = padded_groups(at, g, axis, size, stride)?;
                g = fitted(at, g, axis, &surrounded[axis])?;
                continue;
            }
            let mut by = vec![1; rank];
            by[axis] = stride;
            g = at.spread(g, &by)?;
            let reach = (size - 1) * dilation;
            g = fitted(at, g, axis, &surrounded[axis])?;
            let mut low = vec![Dim::zero(); rank];
            low[axis] = Dim::from(reach);
            g = at.padded(g, &low, &vec![Dim::zero(); rank])?;
            let (mut sizes, mut dilations) = (vec![1; rank], vec![1; rank]);
            (sizes[axis], dilations[axis]) = (size, dilation);
            let none = vec![Dim::zero(); rank];
            let sums = Window {
                f: BinaryFn::Add,
                size: sizes,
                stride: vec![1; rank],
                dilation: dilations,
                low: none.clone(),
                high: none.clone(),
            };
            g = at.add(sums, &[g])?;
            let mut extents = at.shape(g);
            extents[axis] = surrounded[axis].clone();
            g = at.slice(g, &none, &extents)?;
        }
        Ok(g)
    }

    /// The gradients of the windows whose first extreme an element is.
    fn of_best(&self, at: &mut Adjoint<'_>, x: Value, surrounded: &[Dim]) -> Infer<Value> {
        let best = self.best_tap(at, x)?;
        let (rank, out) = (surrounded.len(), at.shape(at.gradient));
        // How many windows an element may be in, by axis.
        let windows = |a: usize| ((self.size[a] - 1) * self.dilation[a]) / self.stride[a] + 1;
        let counts: Vec<usize> = (0..rank).map(|a| windows(a) as usize).collect();
        let mut offsets = vec![];
        crate::tensor::for_each_index(&counts, |j| offsets.push(j.to_vec()));
        let mut total: Option<Value> = None;
        for offset in offsets {
            let (mut g, mut tap_here) = (at.gradient, best);
            for (axis, &behind) in offset.iter().enumerate() {
                for part in [&mut g, &mut tap_here] {
                    *part = repeated(at, *part, axis, self.stride[axis])?;
                    *part = shifted(at, *part, axis, behind as i64 * self.stride[axis])?;
                    *part = fitted(at, *part, axis, &surrounded[axis])?;
                }
            }
            let places: Vec<Dim> = surrounded.to_vec();
            let (tap, inside) = self.tap_of(at, &places, &offset)?;
            let is_best = at.compare(CompareFn::Eq, tap_here, tap)?;
            let counts = match inside {
                Some(inside) => at.binary(BinaryFn::And, is_best, inside)?,
                None => is_best,
            };
            let part = at.only(counts, g)?;
            total = Some(match total {
                Some(total) => at.sum(total, part)?,
                None => part,
            });
        }
        total.ok_or_else(|| format!("windows over {} have no elements", show(&out)))
    }

    /// By window, the number of the first of its extremes, counted from 1 on in row-major order.
    fn best_tap(&self, at: &mut Adjoint<'_>, x: Value) -> Infer<Value> {
        let out = at.shape(at.gradient);
        let dtype = at.dtype(x);
        let worst = if self.f == BinaryFn::Max { f64::NEG_INFINITY } else { f64::INFINITY };
        let border = at.add(Op::Const(Tensor::scalar(dtype, Scalar::from_f64(dtype, worst))), &[])?;
        let surrounded = at.add(Pad { low: self.low.clone(), high: self.high.clone() }, &[x, border])?;
        let size: Vec<usize> = self.size.iter().map(|&n| n as usize).collect();
        let mut taps = vec![];
        crate::tensor::for_each_index(&size, |k| taps.push(k.to_vec()));
        let mut found: Option<(Value, Value)> = None;
        for (n, tap) in taps.iter().enumerate() {
            let start = tap.iter().zip(&self.dilation).map(|(&k, d)| Dim::from(k as i64 * d)).collect();
            let here = Slice { start, stride: self.stride.clone(), shape: out.clone() };
            let here = at.add(here, &[surrounded])?;
            let number = at.filled(DType::I32, &out, n as f64 + 1.0)?;
            found = Some(match found {
                None => (here, number),
                Some((best, place)) => {
                    let f = if self.f == BinaryFn::Max { CompareFn::Gt } else { CompareFn::Lt };
                    let beats = at.compare(f, here, best)?;
                    (at.select(beats, here, best)?, at.select(beats, number, place)?)
                }
            });
        }
        found.map(|(_, place)| place).ok_or_else(|| "a window has no elements".into())
    }

    /// For each place, the number of the tap by which the window so many windows before is there, and whether it has one.
    fn tap_of(&self, at: &mut Adjoint<'_>, places: &[Dim], offset: &[usize]) -> Infer<(Value, Option<Value>)> {
        let mut number = at.filled(DType::I32, places, 1.0)?;
        let mut inside: Option<Value> = None;
        let mut weight: i64 = 1;
        for axis in (0..places.len()).rev() {
            let (size, stride, dilation) = (self.size[axis], self.stride[axis], self.dilation[axis]);
            if size == 1 && stride == 1 {
                continue;
            }
            // Along its axis alone, then repeated over the others.
            let mut line = vec![Dim::one(); places.len()];
            line[axis] = places[axis].clone();
            let whole = |at: &mut Adjoint<'_>, n: i64| at.filled(DType::I32, &line, n as f64);
            let index = at.add(Iota { shape: line.clone(), axis, dtype: DType::I32 }, &[])?;
            let steps = whole(at, stride)?;
            let rest = at.binary(BinaryFn::Rem, index, steps)?;
            let before = whole(at, offset[axis] as i64 * stride)?;
            let reach = at.sum(rest, before)?;
            let spacing = whole(at, dilation)?;
            let tap = at.div(reach, spacing)?;
            let between = at.binary(BinaryFn::Rem, reach, spacing)?;
            let (zero, end) = (whole(at, 0)?, whole(at, size)?);
            let hits = at.compare(CompareFn::Eq, between, zero)?;
            let within = at.compare(CompareFn::Lt, tap, end)?;
            let hits = at.binary(BinaryFn::And, hits, within)?;
            let hits = at.broadcast(hits, places)?;
            inside = Some(match inside {
                Some(all) => at.binary(BinaryFn::And, all, hits)?,
                None => hits,
            });
            let times = whole(at, weight)?;
            let part = at.mul(tap, times)?;
            let part = at.broadcast(part, places)?;
            number = at.sum(number, part)?;
            weight *= size;
        }
        Ok((number, inside))
    }
}

/// Each element of an axis so many times.
fn repeated(at: &mut Adjoint<'_>, x: Value, axis: usize, times: i64) -> Infer<Value> {
    if times == 1 {
        return Ok(x);
    }
    let shape = at.shape(x);
    let mut apart = shape.clone();
    apart.insert(axis + 1, Dim::one());
    let x = at.reshape(x, &apart)?;
    apart[axis + 1] = Dim::from(times);
    let x = at.broadcast(x, &apart)?;
    let mut joined = shape;
    joined[axis] = &joined[axis] * times;
    at.reshape(x, &joined)
}

/// Zeros behind every group of `size` elements of an axis, so that it has `to`.
fn padded_groups(at: &mut Adjoint<'_>, x: Value, axis: usize, size: i64, to: i64) -> Infer<Value> {
    if size == to {
        return Ok(x);
    }
    let shape = at.shape(x);
    let groups = shape[axis].floor_div(&Dim::from(size));
    let mut apart = shape.clone();
    apart[axis] = groups.clone();
    apart.insert(axis + 1, Dim::from(size));
    let x = at.reshape(x, &apart)?;
    let (low, mut high) = (vec![Dim::zero(); apart.len()], vec![Dim::zero(); apart.len()]);
    high[axis + 1] = Dim::from(to - size);
    let x = at.padded(x, &low, &high)?;
    let mut joined = shape;
    joined[axis] = groups * to;
    at.reshape(x, &joined)
}

/// An axis behind so many zeros.
fn shifted(at: &mut Adjoint<'_>, x: Value, axis: usize, by: i64) -> Infer<Value> {
    let rank = at.shape(x).len();
    let mut low = vec![Dim::zero(); rank];
    low[axis] = Dim::from(by);
    at.padded(x, &low, &vec![Dim::zero(); rank])
}

/// An axis of this extent, with zeros in place of what is missing at its end.
fn fitted(at: &mut Adjoint<'_>, x: Value, axis: usize, extent: &Dim) -> Infer<Value> {
    let mut shape = at.shape(x);
    if shape[axis] == *extent {
        return Ok(x);
    }
    let none = vec![Dim::zero(); shape.len()];
    let mut high = none.clone();
    high[axis] = (extent - &shape[axis]).at_least(&Dim::zero());
    let x = at.padded(x, &none, &high)?;
    shape[axis] = extent.clone();
    at.slice(x, &none, &shape)
}
