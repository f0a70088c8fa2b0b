//! Gradients of pooling, and the gradients of those of a maximum.
//!
//! An element of the image adds up what the windows around it pass on. On one axis, element `p` of an image with `low`
//! places before it is number `r` of group `a`, `p + low = a * stride + r`: it is element `r` of window `a`, element
//! `r + stride` of window `a - 1`, and so on. So the elements of a group are neighbours, and the sum has as many terms as
//! windows overlap; nothing is scattered. Channels are last; channels first is a transpose around it.

use super::{
    Import, Outputs, Stop, TfOp,
    build::one,
    conv::Layout,
    pool::{Along, counts, placed, places_of_greatest, sizes},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, Combine, CompareFn, UnaryFn},
    op::{Iota, Scatter, Window},
    tensor::{DType, Scalar, Tensor, count, for_each_index},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "AvgPoolGrad", import: avg },
    TfOp { name: "AvgPool3DGrad", import: avg },
    TfOp { name: "MaxPoolGrad", import: max },
    TfOp { name: "MaxPoolGradV2", import: max },
    TfOp { name: "MaxPool3DGrad", import: max_of_volumes },
    TfOp { name: "MaxPoolGradWithArgmax", import: max_by_places },
    TfOp { name: "MaxPoolGradGrad", import: max_twice },
    TfOp { name: "MaxPoolGradGradV2", import: max_twice },
    TfOp { name: "MaxPool3DGradGrad", import: max_twice },
];

/// Steps of one element of a window or of one overlap that are written out at most.
const MOST_STEPS: i64 = 256;
/// Larger windows of images find their maximum by a loop, and scatter their gradient.
const LARGE: i64 = 64;

/// How windows lie over an image; its axes are batch, the spatial ones, channels.
struct Over {
    layout: Layout,
    /// The image's shape.
    shape: Vec<Dim>,
    window: Window,
    /// The number of windows along each axis.
    places: Vec<Dim>,
    /// The number of groups along each axis.
    groups: Vec<Dim>,
}

/// The windows of the current node over an image of this shape, which is in the node's data format.
fn over(cx: &mut Import, shape: &[Dim]) -> Result<Over> {
    let rank = if cx.node.op.contains("3D") { 5 } else { 4 };
    if shape.len() != rank {
        return Err(format!("expected rank {rank}, got {}", shape.len()).into());
    }
    let format = if cx.node.op == "MaxPoolGradWithArgmax" { "NHWC" } else { cx.node.attr_str("data_format")? };
    let layout = Layout::of(format, rank)?;
    let operand = cx.node.op.ends_with("V2").then_some(3);
    let (size, stride) = sizes(cx, rank, operand)?;
    if [0, layout.channels].iter().any(|&a| size[a] > 1 || stride[a] > 1) {
        return Err(format!(
            "a window {size:?} with strides {stride:?} works on batch or channels, which is not supported"
        )
        .into());
    }
    let Window { f, size, stride, dilation, low, high } = placed(cx, &layout, shape, BinaryFn::Add, size, stride)?;
    let last = layout.channels_last();
    let ints = |list: &[i64]| last.iter().map(|&a| list[a]).collect::<Vec<_>>();
    let dims = |list: &[Dim]| last.iter().map(|&a| list[a].clone()).collect::<Vec<_>>();
    let window = Window { f, size: ints(&size), stride: ints(&stride), dilation, low: dims(&low), high: dims(&high) };
    let shape = dims(shape);
    let places = (0..rank).map(|a| {
        let padded = &shape[a] + &window.low[a] + &window.high[a];
        ((padded - window.size[a]).floor_div(&Dim::from(window.stride[a])) + 1).at_least(&Dim::zero())
    });
    let groups = (0..rank).map(|a| (&shape[a] + &window.low[a]).ceil_div(&Dim::from(window.stride[a])));
    Ok(Over { places: places.collect(), groups: groups.collect(), shape, layout, window })
}

impl Over {
    fn spatial(&self) -> std::ops::Range<usize> {
        1..self.shape.len() - 1
    }
    fn along(&self) -> Vec<Along> {
        let along = |a: usize| Along {
            extent: self.shape[a].clone(),
            places: self.places[a].clone(),
            size: self.window.size[a],
            stride: self.window.stride[a],
            low: self.window.low[a].clone(),
        };
        self.spatial().map(along).collect()
    }
    /// How many windows overlap along an axis.
    fn overlap(&self, a: usize) -> i64 {
        (self.window.size[a] - 1) / self.window.stride[a] + 1
    }
    /// Operand `n` of the node, channels last, in the shape of the windows.
    fn of_windows(&self, cx: &mut Import, n: usize) -> Result<NodeId> {
        let x = cx.arg(n)?;
        let mut shape = self.shape.clone();
        self.spatial().for_each(|a| shape[a] = self.places[a].clone());
        self.given(cx, x, &shape)
    }
    /// Operand `n` of the node, channels last, in the shape of the image.
    fn of_image(&self, cx: &mut Import, n: usize) -> Result<NodeId> {
        let x = cx.arg(n)?;
        self.given(cx, x, &self.shape)
    }
    fn given(&self, cx: &mut Import, x: NodeId, shape: &[Dim]) -> Result<NodeId> {
        if cx.rank(x) != shape.len() {
            return Err(format!("expected rank {}, got {}", shape.len(), cx.rank(x)).into());
        }
        let x = cx.transpose(x, &self.layout.channels_last())?;
        for (a, b) in cx.shape(x).iter().zip(shape) {
            cx.require_equal(a, b, "the extents of an operand and what the windows call for")?;
        }
        Ok(x)
    }
    /// A result, channels last, in the node's data format.
    fn result(&self, cx: &mut Import, y: NodeId) -> Outputs {
        one(cx.transpose(y, &self.layout.back())?)
    }
    /// The image has to hold a window: TensorFlow's kernels of a maximum leave the result as it was where it does not.
    fn require_windows(&self, cx: &mut Import) -> Result<()> {
        for a in self.spatial() {
            let padded = &self.shape[a] + &self.window.low[a] + &self.window.high[a];
            cx.require_at_most(&self.window.size[a].into(), &padded, "a window is larger than what it moves over")?;
        }
        Ok(())
    }

    /// Values of windows with as many more around them as groups ask for; `windows` picks from them.
    fn surrounded(&self, cx: &mut Import, x: NodeId, value: NodeId) -> Result<NodeId> {
        let (mut low, mut high) = (vec![Dim::zero(); self.shape.len()], vec![Dim::zero(); self.shape.len()]);
        for a in self.spatial() {
            (low[a], high[a]) = ((self.overlap(a) - 1).into(), &self.groups[a] - &self.places[a]);
        }
        cx.pad(x, value, &low, &high)
    }
    /// For each group `a` the value of window `a - back`, with an axis of 1 for the elements of the group.
    fn windows(&self, cx: &mut Import, surrounded: NodeId, back: &[i64]) -> Result<NodeId> {
        let mut start = vec![Dim::zero(); self.shape.len()];
        let mut shape = self.shape.clone();
        for a in self.spatial() {
            (start[a], shape[a]) = ((self.overlap(a) - 1 - back[a - 1]).into(), self.groups[a].clone());
        }
        let picked = cx.slice(surrounded, start, vec![1; self.shape.len()], shape)?;
        cx.insert_axes(picked, &self.spatial().map(|a| 2 * a).collect::<Vec<_>>())
    }
    /// The image in groups: an axis of groups and one of their elements for each spatial axis.
    fn grouped(&self, cx: &mut Import, x: NodeId) -> Result<NodeId> {
        let (mut low, mut high) = (vec![Dim::zero(); self.shape.len()], vec![Dim::zero(); self.shape.len()]);
        for a in self.spatial() {
            let all = &self.groups[a] * self.window.stride[a];
            (low[a], high[a]) = (self.window.low[a].clone(), all - &self.shape[a] - &self.window.low[a]);
        }
        let zero = cx.scalar_like(x, 0.0)?;
        let x = cx.pad(x, zero, &low, &high)?;
        cx.reshape(x, &self.grouped_shape())
    }
    fn grouped_shape(&self) -> Vec<Dim> {
        let mut shape = vec![self.shape[0].clone()];
        self.spatial().for_each(|a| shape.extend([self.groups[a].clone(), self.window.stride[a].into()]));
        shape.push(self.shape[self.shape.len() - 1].clone());
        shape
    }
    /// The inverse of `grouped`.
    fn whole(&self, cx: &mut Import, x: NodeId) -> Result<NodeId> {
        let x = cx.broadcast_to(x, &self.grouped_shape())?;
        let (mut all, mut start) = (self.shape.clone(), vec![Dim::zero(); self.shape.len()]);
        for a in self.spatial() {
            (all[a], start[a]) = (&self.groups[a] * self.window.stride[a], self.window.low[a].clone());
        }
        let x = cx.reshape(x, &all)?;
        cx.slice(x, start, vec![1; self.shape.len()], self.shape.clone())
    }
    /// For each overlap, windows in ascending order, how many windows back it is.
    fn overlaps(&self) -> Result<Vec<Vec<i64>>> {
        let many: Vec<usize> = self.spatial().map(|a| self.overlap(a) as usize).collect();
        check_steps(self.spatial().map(|a| self.overlap(a)))?;
        let mut all = vec![];
        for_each_index(&many, |ix| all.push(ix.iter().zip(&many).map(|(&i, &n)| (n - 1 - i) as i64).collect()));
        Ok(all)
    }
    /// For each element of a group, its number in the window so many back, or -2 where it is not in that window.
    fn numbers(&self, cx: &mut Import, back: &[i64]) -> Result<NodeId> {
        let stride: Vec<usize> = self.spatial().map(|a| self.window.stride[a] as usize).collect();
        let mut numbers = vec![];
        for_each_index(&stride, |ix| {
            let mut number = Some(0);
            for (n, a) in self.spatial().enumerate() {
                let (at, size) = (back[n] * self.window.stride[a] + ix[n] as i64, self.window.size[a]);
                number = number.filter(|_| at < size).map(|number| number * size + at);
            }
            numbers.push(number.unwrap_or(-2));
        });
        let mut shape = vec![1];
        stride.iter().for_each(|&n| shape.extend([1, n]));
        shape.push(1);
        let scalars = numbers.into_iter().map(|n| Scalar::from_i64(DType::I32, n));
        cx.constant(Tensor::from_scalars(DType::I32, shape, scalars))
    }

    /// For each element of a window, in row-major order, its place in the window.
    fn elements(&self) -> Result<Vec<Vec<i64>>> {
        let size: Vec<usize> = self.spatial().map(|a| self.window.size[a] as usize).collect();
        check_steps(self.spatial().map(|a| self.window.size[a]))?;
        let mut all = vec![];
        for_each_index(&size, |ix| all.push(ix.iter().map(|&i| i as i64).collect()));
        Ok(all)
    }
    /// The image with its margins; `element` picks from it.
    fn with_margins(&self, cx: &mut Import, x: NodeId, value: NodeId) -> Result<NodeId> {
        cx.pad(x, value, &self.window.low, &self.window.high)
    }
    /// One element of every window.
    fn element(&self, cx: &mut Import, with_margins: NodeId, at: &[i64]) -> Result<NodeId> {
        let (mut start, mut shape) = (vec![Dim::zero(); self.shape.len()], self.shape.clone());
        for a in self.spatial() {
            (start[a], shape[a]) = (at[a - 1].into(), self.places[a].clone());
        }
        cx.slice(with_margins, start, self.window.stride.clone(), shape)
    }
    /// Whether that element of each window is one of the image's; nothing where all are.
    fn is_inside(&self, cx: &mut Import, at: &[i64]) -> Result<Option<NodeId>> {
        let mut inside: Option<NodeId> = None;
        for a in self.spatial() {
            let (low, high) = (&self.window.low[a], &self.window.high[a]);
            if low.is(0) && high.is(0) {
                continue;
            }
            let mut shape = vec![Dim::one(); self.shape.len()];
            shape[a] = self.places[a].clone();
            let window = cx.add(Iota { shape, axis: a, dtype: DType::I64 }, &[])?;
            let [stride, first, begin, end] =
                [self.window.stride[a].into(), at[a - 1].into(), low.clone(), low + &self.shape[a]]
                    .map(|dim: Dim| cx.dim_scalar(&dim, DType::I64));
            let place = cx.mul(window, stride?)?;
            let place = cx.add_(place, first?)?;
            let (from, to) = (cx.compare(CompareFn::Ge, place, begin?)?, cx.compare(CompareFn::Lt, place, end?)?);
            let along = cx.and(from, to)?;
            inside = Some(match inside {
                Some(others) => cx.and(others, along)?,
                None => along,
            });
        }
        Ok(inside)
    }
}

/// What is written out step by step has a limit.
fn check_steps(steps: impl Iterator<Item = i64>) -> Result<()> {
    match steps.fold(1i64, i64::saturating_mul) {
        n if n > MOST_STEPS => Err(format!("windows of {n} elements, or so many overlaps, are not supported").into()),
        _ => Ok(()),
    }
}

/// Operands: the shape of the image, the gradient of the means. Each axis is summed on its own.
fn avg(cx: &mut Import) -> Outputs {
    let shape = cx.dims(0, "the shape of the image")?;
    let over = over(cx, &shape)?;
    for extent in &over.shape {
        cx.require_at_most(&Dim::zero(), extent, "an extent is negative")?;
    }
    let g = over.of_windows(cx, 1)?;
    let sum = cx.in_single(g, |cx, g| {
        let mut g = match counts(cx, &over.window, &over.shape, cx.dtype(g))? {
            Some(count) => cx.div(g, count)?,
            None => g,
        };
        for a in over.spatial() {
            g = sum_along(cx, g, &over, a)?;
        }
        Ok(g)
    })?;
    over.result(cx, sum)
}

/// What each element along an axis gets from the windows that it is in: the first elements of a group are in one window
/// more than the others, where the stride does not divide the size.
fn sum_along(cx: &mut Import, g: NodeId, over: &Over, a: usize) -> Result<NodeId> {
    let (size, stride, groups) = (over.window.size[a], over.window.stride[a], over.groups[a].clone());
    if [size, stride] == [1; 2] {
        return Ok(g);
    }
    let rank = over.shape.len();
    let sum_of = |cx: &mut Import, windows: i64| {
        let mut along = Window {
            f: BinaryFn::Add,
            size: vec![1; rank],
            stride: vec![1; rank],
            dilation: vec![1; rank],
            low: vec![Dim::zero(); rank],
            high: vec![Dim::zero(); rank],
        };
        (along.size[a], along.low[a], along.high[a]) = (windows, (windows - 1).into(), &groups - &over.places[a]);
        let sum = cx.add(along, &[g])?;
        cx.insert_axes(sum, &[a + 1])
    };
    let mut sum = sum_of(cx, over.overlap(a))?;
    let in_all = size % stride;
    if in_all != 0 {
        let others = if over.overlap(a) > 1 { sum_of(cx, over.overlap(a) - 1)? } else { cx.scalar_like(g, 0.0)? };
        let mut shape = vec![Dim::one(); rank + 1];
        shape[a + 1] = stride.into();
        let number = cx.add(Iota { shape, axis: a + 1, dtype: DType::I32 }, &[])?;
        let first = cx.scalar(DType::I32, in_all as f64)?;
        let is_first = cx.compare(CompareFn::Lt, number, first)?;
        sum = cx.select(is_first, sum, others)?;
    }
    let mut shape = cx.shape(g);
    shape[a] = groups.clone();
    shape.insert(a + 1, stride.into());
    let sum = cx.broadcast_to(sum, &shape)?;
    shape.remove(a + 1);
    shape[a] = &groups * stride;
    let sum = cx.reshape(sum, &shape)?;
    cx.slice_axis(sum, a, over.window.low[a].clone(), over.shape[a].clone())
}

/// Operands: the image, the maxima, the gradient of the maxima. The gradient goes to the first of the greatest elements,
/// as TensorFlow finds it: the first element of a window, and then every greater one. The maxima are not looked at.
fn max(cx: &mut Import) -> Outputs {
    let shape = cx.shape(cx.arg(0)?);
    let over = over(cx, &shape)?;
    over.require_windows(cx)?;
    over.of_windows(cx, 1)?;
    let (x, g) = (over.of_image(cx, 0)?, over.of_windows(cx, 2)?);
    if over.spatial().map(|a| over.window.size[a]).fold(1, i64::saturating_mul) > LARGE {
        let (_, places) = places_of_greatest(cx, x, &over.along())?;
        let sum = scattered(cx, g, places, &over.shape)?;
        return over.result(cx, sum);
    }
    let which = first_of_greatest(cx, &over, x)?;
    let none = cx.scalar(DType::I32, -1.0)?;
    let which = over.surrounded(cx, which, none)?;
    let sum = cx.in_single(g, |cx, g| {
        sum_over_windows(cx, &over, g, |cx, back| {
            let (which, numbers) = (over.windows(cx, which, back)?, over.numbers(cx, back)?);
            cx.compare(CompareFn::Eq, which, numbers)
        })
    })?;
    over.result(cx, sum)
}

/// Adds up the gradients of the windows that pass theirs on to an element of the image.
fn sum_over_windows(
    cx: &mut Import,
    over: &Over,
    g: NodeId,
    mut passes: impl FnMut(&mut Import, &[i64]) -> Result<NodeId>,
) -> Result<NodeId> {
    let zero = cx.scalar_like(g, 0.0)?;
    let g = over.surrounded(cx, g, zero)?;
    let mut sum = None;
    for back in over.overlaps()? {
        let (passes, g) = (passes(cx, &back)?, over.windows(cx, g, &back)?);
        let part = cx.select(passes, g, zero)?;
        sum = Some(match sum {
            Some(sum) => cx.add_(sum, part)?,
            None => part,
        });
    }
    let sum = sum.unwrap_or(zero);
    over.whole(cx, sum)
}

/// The number of the first of the greatest elements of each window, as i32: NaN counts where it is the first element
/// inside of the image, and is passed over elsewhere.
fn first_of_greatest(cx: &mut Import, over: &Over, x: NodeId) -> Result<NodeId> {
    let dtype = cx.dtype(x);
    // No value is less.
    let least = if dtype.is_float() {
        Scalar::from_f64(dtype, f64::NEG_INFINITY)
    } else {
        crate::op::identity(BinaryFn::Max, dtype)
    };
    let least = cx.constant(Tensor::scalar(dtype, least))?;
    let x = over.with_margins(cx, x, least)?;
    // A window that begins inside of the image has its first element there.
    let begins_outside = over.spatial().any(|a| !over.window.low[a].is(0));
    let none = cx.scalar(DType::I32, -1.0)?;
    let mut found: Option<(NodeId, NodeId)> = None;
    for (n, at) in over.elements()?.iter().enumerate() {
        let value = over.element(cx, x, at)?;
        let number = cx.scalar(DType::I32, n as f64)?;
        let inside = if begins_outside { over.is_inside(cx, at)? } else { None };
        let Some((greatest, which)) = found else {
            let which = match inside {
                Some(inside) => cx.select(inside, number, none)?,
                None => number,
            };
            found = Some((value, cx.broadcast_to(which, &cx.shape(value))?));
            continue;
        };
        let mut takes = cx.compare(CompareFn::Gt, value, greatest)?;
        if let Some(inside) = inside {
            let is_first = cx.compare(CompareFn::Eq, which, none)?;
            let is_first = cx.and(is_first, inside)?;
            takes = cx.or(takes, is_first)?;
        }
        found = Some((cx.select(takes, value, greatest)?, cx.select(takes, number, which)?));
    }
    found.map(|(_, which)| which).ok_or_else(|| "a window has no elements".into())
}

/// The gradient goes to every element of a window that is less than 1e-5 from its maximum, as TensorFlow's own kernel has
/// it: a finite one, since infinities have no difference.
fn max_of_volumes(cx: &mut Import) -> Outputs {
    let shape = cx.shape(cx.arg(0)?);
    let over = over(cx, &shape)?;
    over.require_windows(cx)?;
    let (x, y, g) = (over.of_image(cx, 0)?, over.of_windows(cx, 1)?, over.of_windows(cx, 2)?);
    let x = over.grouped(cx, x)?;
    let (zero, near) = (cx.scalar_like(y, 0.0)?, cx.scalar_like(y, 1e-5)?);
    let y = over.surrounded(cx, y, zero)?;
    let sum = cx.in_single(g, |cx, g| {
        sum_over_windows(cx, &over, g, |cx, back| {
            let y = over.windows(cx, y, back)?;
            let less = cx.sub(x, y)?;
            let less = cx.unary(UnaryFn::Abs, less)?;
            let is_greatest = cx.compare(CompareFn::Lt, less, near)?;
            let full = over.spatial().all(|a| (back[a - 1] + 1) * over.window.stride[a] <= over.window.size[a]);
            if full {
                return Ok(is_greatest);
            }
            let (numbers, zero) = (over.numbers(cx, back)?, cx.scalar(DType::I32, 0.0)?);
            let is_inside = cx.compare(CompareFn::Ge, numbers, zero)?;
            cx.and(is_greatest, is_inside)
        })
    })?;
    over.result(cx, sum)
}

/// Operands: the image, the maxima, a gradient in the shape of the image. The result is the gradient of the first element
/// that equals the maximum, and 0 where none does.
fn max_twice(cx: &mut Import) -> Outputs {
    let shape = cx.shape(cx.arg(0)?);
    let over = over(cx, &shape)?;
    over.require_windows(cx)?;
    let (x, y, g) = (over.of_image(cx, 0)?, over.of_windows(cx, 1)?, over.of_image(cx, 2)?);
    let zero = cx.scalar_like(g, 0.0)?;
    let no_number = if cx.dtype(x).is_float() { f64::NAN } else { 0.0 };
    let outside = cx.scalar_like(x, no_number)?;
    let (x, g) = (over.with_margins(cx, x, outside)?, over.with_margins(cx, g, zero)?);
    let mut result = zero;
    for at in over.elements()?.iter().rev() {
        let (value, part) = (over.element(cx, x, at)?, over.element(cx, g, at)?);
        let mut is_maximum = cx.compare(CompareFn::Eq, value, y)?;
        if !cx.dtype(x).is_float()
            && let Some(inside) = over.is_inside(cx, at)?
        {
            is_maximum = cx.and(is_maximum, inside)?;
        }
        result = cx.select(is_maximum, part, result)?;
    }
    over.result(cx, result)
}

/// Operands: the image, the gradient of the maxima, and their places among all elements of their image, or of the batch.
/// The places are data and need not lie in their windows; one outside of the batch is a fault.
fn max_by_places(cx: &mut Import) -> Outputs {
    let shape = cx.shape(cx.arg(0)?);
    let over = over(cx, &shape)?;
    over.require_windows(cx)?;
    let (g, places) = (over.of_windows(cx, 1)?, over.of_windows(cx, 2)?);
    let mut places = cx.cast(places, DType::I64)?;
    if !cx.node.attr_bool("include_batch_in_index")? {
        let axis = vec![shape[0].clone(), Dim::one(), Dim::one(), Dim::one()];
        let image = cx.add(Iota { shape: axis, axis: 0, dtype: DType::I64 }, &[])?;
        let size = cx.dim_scalar(&count(&shape[1..]), DType::I64)?;
        let before = cx.mul(image, size)?;
        places = cx.add_(before, places)?;
    }
    let sum = scattered(cx, g, places, &shape)?;
    one(sum)
}

/// Zeros of this shape, to which values are added at places among all elements; one outside is a fault.
fn scattered(cx: &mut Import, values: NodeId, places: NodeId, shape: &[Dim]) -> Result<NodeId> {
    let number = count(&cx.shape(values));
    let places = cx.reshape(places, &[number.clone(), Dim::one()])?;
    let values = cx.reshape(values, &[number])?;
    let zero = cx.scalar_like(values, 0.0)?;
    let zeros = cx.broadcast_to(zero, &[count(shape)])?;
    let sum = cx.add(Scatter::checked(Combine::Add, 1), &[zeros, places, values])?;
    cx.reshape(sum, shape)
}
