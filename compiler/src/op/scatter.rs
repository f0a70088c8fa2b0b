//! Changes slices at computed indices.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, Bound, Combine, CompareFn},
    tensor::{DType, Scalar, flat_index, for_each_index},
};

/// What becomes of an update whose index is not below the extent, or below 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// [`Fault::IndexOutOfRange`].
    Fault,
    /// Nothing: the update does not count.
    Drop,
}

/// Operand 0, whose slices are changed by those of operand 2 where operand 1 says. The last axis of operand 1, of integers,
/// holds an index for each of the leading `depth` axes of operand 0, 1 at least: for every index `m` of its other axes, in
/// row-major order, `x[indices[m, 0], .., indices[m, depth-1], ..] = f(that, updates[m, ..])`. So of several updates of one
/// element each counts, in turn; arithmetic rounds to the element's type at each step (`eval` keeps f32 in f64). An integer
/// that is divided by 0 is a [`Fault::DivisionByZero`].
///
/// `below` and `above` say what becomes of an index that is less than 0 or at least the extent; a fault comes first. Where
/// slices have no elements, no index is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    pub f: Combine,
    pub depth: usize,
    pub below: Outside,
    pub above: Outside,
}

/// Elements of a slice that one part of it has at least, where parts are updated one by one or by several threads.
const MIN_PART: i64 = 64;
/// And at most, where it has a divisor between these.
const MAX_PART: i64 = 1024;
/// Updates of fewer elements are not worth looking at all indices again for each part.
const MIN_PARTED: i64 = 1 << 16;

impl Scatter {
    /// What lies outside is a fault.
    pub fn checked(f: Combine, depth: usize) -> Scatter {
        Scatter { f, depth, below: Outside::Fault, above: Outside::Fault }
    }
    /// Whether an index may be a fault.
    pub fn faults(&self) -> bool {
        [self.below, self.above].contains(&Outside::Fault)
    }
    /// The function that arithmetic of numbers is done by; none where one of them is chosen.
    fn arithmetic(&self) -> Option<BinaryFn> {
        match self.f {
            Combine::Add => Some(BinaryFn::Add),
            Combine::Sub => Some(BinaryFn::Sub),
            Combine::Mul => Some(BinaryFn::Mul),
            Combine::Div => Some(BinaryFn::Div),
            Combine::Or => Some(BinaryFn::Or),
            _ => None,
        }
    }
    fn combined(&self, dtype: DType, old: Scalar, new: Scalar) -> Result<Scalar, Fault> {
        if let Some(f) = self.arithmetic() {
            return pointwise::eval::binary(f, dtype, old, new);
        }
        let less = |a: Scalar, b: Scalar| pointwise::eval::compare(CompareFn::Lt, a, b) == Scalar::Bool(true);
        let keeps = match self.f {
            Combine::Max => !less(old, new),
            Combine::Min => !less(new, old),
            Combine::LastMax => less(new, old),
            Combine::LastMin => less(old, new),
            _ => false,
        };
        Ok(if keeps { old } else { new })
    }
    fn scattered(&self, inputs: &[&Tensor], sums: Sums) -> Result<Tensor, Fault> {
        let [x, indices, updates] = [inputs[0], inputs[1], inputs[2]];
        let dtype = if x.dtype == DType::F32 && sums == Sums::Wide { DType::F64 } else { x.dtype };
        let widened = |value| match value {
            Scalar::F32(v) if dtype == DType::F64 => Scalar::F64(v as f64),
            value => value,
        };
        let mut result: Vec<Scalar> = x.scalars().map(widened).collect();
        let (outer, slice) = (&indices.shape[..indices.rank() - 1], x.shape[self.depth..].iter().product::<usize>());
        for m in 0..if slice == 0 { 0 } else { outer.iter().product::<usize>() } {
            let index = |d: usize| indices.get(m * self.depth + d).as_i64();
            // What no i64 holds is above.
            let below = (0..self.depth).any(|d| index(d).is_some_and(|i| i < 0));
            let above = (0..self.depth).any(|d| index(d).is_none_or(|i| i >= x.shape[d] as i64));
            if below && self.below == Outside::Fault || above && self.above == Outside::Fault {
                return Err(Fault::IndexOutOfRange);
            }
            if below || above {
                continue;
            }
            let at: Vec<usize> = (0..self.depth).filter_map(|d| usize::try_from(index(d)?).ok()).collect();
            let first = flat_index(&x.shape[..self.depth], &at) * slice;
            for n in 0..slice {
                let new = widened(updates.get(m * slice + n));
                result[first + n] = self.combined(dtype, result[first + n], new)?;
            }
        }
        let narrowed = |value| match value {
            Scalar::F64(v) => Scalar::from_f64(x.dtype, v),
            value => value,
        };
        Ok(Tensor::from_scalars(x.dtype, &x.shape[..], result.into_iter().map(narrowed)))
    }

    /// Code for the updates of the part of every slice that `columns` gives indices of, from `first` on in its first axis.
    fn update(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim], first: &Dim, columns: &[Dim]) {
        let mut outer = at.shape(1);
        outer.pop();
        at.nest(&outer, LoopKind::Seq, |at, m| {
            self.place(at, m, &shape[..self.depth], |at, place| {
                by_lanes(at, columns, |at, column| {
                    let column = shifted(column, first);
                    let value = at.read(2, &[m, &column].concat());
                    self.check_divisor(at, value);
                    at.w.update(out, shape, &[place, &column].concat(), self.f, value);
                });
            });
        });
    }

    /// What an integer is divided by is not 0.
    fn check_divisor(&self, at: &mut Emit<'_>, value: ExprId) {
        let dtype = at.w.dtype(value);
        if self.f == Combine::Div && dtype.is_int() {
            let zero = at.w.int(dtype, 0);
            let fine = at.w.compare(CompareFn::Ne, value, zero);
            at.w.check(fine, Fault::DivisionByZero);
        }
    }

    /// Looks at the indices of update `m` of axes, and goes on with their values where they are in range.
    fn place(&self, at: &mut Emit<'_>, m: &[Dim], axes: &[Dim], body: impl FnOnce(&mut Emit<'_>, &[Dim])) {
        let mut indices = vec![];
        for (d, extent) in axes.iter().enumerate() {
            let from = at.ty(1).dtype;
            let index = at.read(1, &[m, &[d.into()]].concat());
            let index = at.w.cast(DType::I64, index);
            let index = at.w.set(index);
            let (zero, end) = (at.w.int(DType::I64, 0), at.w.index(extent.clone()));
            let above = at.w.compare(CompareFn::Lt, index, end);
            let below = at.w.compare(CompareFn::Ge, index, zero);
            // Half of what u64 has is negative as an i64.
            let (fine, bad) = (at.w.binary(BinaryFn::And, above, below), from == DType::U64);
            match (self.below, self.above) {
                (Outside::Fault, Outside::Fault) => at.w.check(fine, Fault::IndexOutOfRange),
                (_, Outside::Fault) if bad => at.w.check(fine, Fault::IndexOutOfRange),
                (Outside::Fault, Outside::Drop) if !bad => at.w.check(below, Fault::IndexOutOfRange),
                (Outside::Drop, Outside::Fault) => at.w.check(above, Fault::IndexOutOfRange),
                _ => {}
            }
            let inside = [self.below, self.above] == [Outside::Fault; 2];
            indices.push(at.w.set_index(index, inside.then(|| extent.clone())));
        }
        let bounds = indices.iter().zip(axes).map(|(i, n)| Bound { index: i.clone(), extent: n.clone() });
        at.only_within(bounds.collect(), |at| body(at, &indices));
    }

    /// The leading axis of the slices in equal parts of some columns each, where that is worth while: threads share them.
    fn parts(&self, at: &Emit<'_>, columns: &[Dim]) -> Option<(Dim, Dim)> {
        let (first, rest) = columns.split_first()?;
        let updated = crate::tensor::count(&at.shape(2));
        let rest = crate::tensor::count(rest).as_int()?.max(1);
        let first = first.as_int()?;
        let is_part = |n: &i64| first % n == 0 && (MIN_PART..=MAX_PART.max(rest)).contains(&(n * rest));
        let part = (1..first).rev().find(is_part)?;
        updated.as_int().is_none_or(|n| n >= MIN_PARTED).then(|| (Dim::from(first / part), Dim::from(part)))
    }
}

/// The indices of a part of the columns that begins at `first`.
fn shifted(column: &[Dim], first: &Dim) -> Vec<Dim> {
    let mut column = column.to_vec();
    if let Some(n) = column.first_mut() {
        *n = &*n + first;
    }
    column
}

/// Nested loops, whose innermost one runs as lanes.
fn by_lanes(at: &mut Emit<'_>, extents: &[Dim], body: impl FnOnce(&mut Emit<'_>, &[Dim])) {
    let Some((last, outer)) = extents.split_last() else { return body(at, &[]) };
    at.nest(outer, LoopKind::Seq, |at, ix| {
        at.each(last, LoopKind::Vector, |at, i| body(at, &[ix, std::slice::from_ref(i)].concat()));
    });
}

impl Primitive for Scatter {
    const NAME: &'static str = "scatter";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, indices, updates] = operands(inputs)?;
        if !indices.dtype.is_int() || !indices.shape.last().is_some_and(|n| n.is(self.depth as i64)) {
            return Err(format!("{indices} are not lists of {} indices", self.depth));
        }
        if self.depth == 0 || self.depth > x.rank() {
            return Err(format!("{x} has no {} axes to index", self.depth));
        }
        if updates.dtype != x.dtype || !self.f.accepts(x.dtype) {
            return Err(format!("{:?} does not change {} by {}", self.f, x.dtype, updates.dtype));
        }
        let wanted = [&indices.shape[..indices.rank() - 1], &x.shape[self.depth..]].concat();
        let fits = wanted.len() == updates.rank() && wanted.iter().zip(&updates.shape).all(|(a, b)| facts.equal(a, b));
        if fits { Ok(x.clone()) } else { Err(format!("{updates} do not fit {x} at {indices}")) }
    }
    fn eval(&self, inputs: &[&Tensor], _: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        pick::moved(inputs, |inputs| self.scattered(inputs, Sums::Wide))
    }
    fn eval_by(&self, inputs: &[&Tensor], _: &[usize], _: &Bindings, how: Evaluation<'_>) -> Result<Tensor, Stop> {
        pick::moved(inputs, |inputs| self.scattered(inputs, how.sums)).map_err(Stop::Fault)
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("a scatter is written as a whole")
    }
    /// Operand 0, unless it lies there already, and the updates of it; or that for each part of the slices.
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let (axes, columns) = shape.split_at(self.depth);
        let all = |at: &mut Emit<'_>, first: &Dim, columns: &[Dim]| {
            if !at.is_in_place(0) {
                by_lanes(at, &[axes, columns].concat(), |at, ix| {
                    let ix = [&ix[..axes.len()], &shifted(&ix[axes.len()..], first)].concat();
                    let value = at.read(0, &ix);
                    at.w.store(out, shape, &ix, value);
                });
            }
            let some = columns.iter().map(|extent| Bound { index: Dim::zero(), extent: extent.clone() });
            at.only_within(some.collect(), |at| self.update(at, out, shape, first, columns));
        };
        match self.parts(at, columns) {
            Some((parts, part)) => at.each(&parts, LoopKind::Seq, |at, n| {
                all(at, &(n * &part), &[std::slice::from_ref(&part), &columns[1..]].concat());
            }),
            None => all(at, &Dim::zero(), columns),
        }
    }
    /// An update that a later one replaces has what the last one has, as models are trained.
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, indices, updates, g) = (at.operands[0], at.operands[1], at.operands[2], at.gradient);
        match self.f {
            Combine::Add | Combine::Sub | Combine::Set => at.each(|at, n| match n {
                0 if self.f == Combine::Set => {
                    let none = at.number(updates, 0.0)?;
                    at.add(self.clone(), &[g, indices, none])
                }
                0 => Ok(g),
                1 => Err("indices have no gradient".into()),
                _ => {
                    let part = self.read_back(at, g, indices, &at.shape(x))?;
                    if self.f == Combine::Sub { at.neg(part) } else { Ok(part) }
                }
            }),
            f => Err(format!("a scatter by {f:?} has no derivative")),
        }
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], _: &TensorType) -> Option<Vec<Number>> {
        let none = Bindings::new();
        let (x, indices, updates) = (inputs[0]?, inputs[1]?, inputs[2]?);
        let (shape, at) = (types[0].concrete(&none)?, types[1].concrete(&none)?);
        let slice: usize = shape[self.depth..].iter().product();
        let mut result = x.to_vec();
        let mut fine = true;
        for_each_index(&at[..at.len() - 1], |ix| {
            let m = flat_index(&at[..at.len() - 1], ix);
            let place = (0..self.depth).map(|d| {
                let index = indices[m * self.depth + d].as_dim()?.as_int()?;
                usize::try_from(index).ok().filter(|&i| i < shape[d])
            });
            let Some(place) = place.collect::<Option<Vec<usize>>>() else { return fine = false };
            let first = flat_index(&shape[..self.depth], &place) * slice;
            for n in 0..slice {
                let (old, new) = (&result[first + n], &updates[m * slice + n]);
                match self.combined_numbers(types[0].dtype, old, new) {
                    Some(number) => result[first + n] = number,
                    None => fine = false,
                }
            }
        });
        fine.then_some(result)
    }
}

impl Scatter {
    /// The slices of `x`, of this shape, that updates went to; 0 for updates that do not count.
    fn read_back(&self, at: &mut Adjoint<'_>, x: Value, indices: Value, shape: &[Dim]) -> Infer<Value> {
        let (axes, slice) = shape.split_at(self.depth);
        let list = at.add(Cast { to: DType::I64 }, &[indices])?;
        let column = at.shape(list)[..at.shape(list).len() - 1].to_vec();
        let one = [&column[..], &[Dim::one()]].concat();
        let (mut flat, mut inside): (Option<Value>, Option<Value>) = (None, None);
        for (d, extent) in axes.iter().enumerate() {
            let mut start = vec![Dim::zero(); one.len()];
            start[one.len() - 1] = Dim::from(d);
            let index = at.slice(list, &start, &one)?;
            let index = at.reshape(index, &column)?;
            let size = at.add(Op::Extent(extent.clone()), &[])?;
            let size = at.reshape(size, &vec![Dim::one(); column.len()])?;
            let size = at.broadcast(size, &column)?;
            let zero = at.number(index, 0.0)?;
            let (above, below) = (at.compare(CompareFn::Ge, index, zero)?, at.compare(CompareFn::Lt, index, size)?);
            let fits = at.binary(BinaryFn::And, above, below)?;
            inside = Some(match inside {
                Some(all) => at.binary(BinaryFn::And, all, fits)?,
                None => fits,
            });
            flat = Some(match flat {
                Some(flat) => {
                    let row = at.mul(flat, size)?;
                    at.sum(row, index)?
                }
                None => index,
            });
        }
        let (Some(flat), Some(inside)) = (flat, inside) else { return Err("a scatter has no index".into()) };
        let rows = at.reshape(x, &[&[crate::tensor::count(axes)], slice].concat())?;
        let picked = at.add(Gather { axis: 0, batch: 0, checked: false }, &[rows, flat])?;
        if [self.below, self.above] == [Outside::Fault; 2] {
            return Ok(picked);
        }
        let mut wide = column;
        wide.extend(slice.iter().map(|_| Dim::one()));
        let inside = at.reshape(inside, &wide)?;
        let shape = at.shape(picked);
        let inside = at.broadcast(inside, &shape)?;
        at.only(inside, picked)
    }
    fn combined_numbers(&self, dtype: DType, old: &Number, new: &Number) -> Option<Number> {
        let f = match self.f {
            Combine::Set => return Some(new.clone()),
            // Which of two zeros counts is not tracked, nor is NaN.
            Combine::Max | Combine::LastMax if dtype.is_int() => BinaryFn::Max,
            Combine::Min | Combine::LastMin if dtype.is_int() => BinaryFn::Min,
            _ => self.arithmetic()?,
        };
        number::binary(f, dtype, old, new)
    }
}
