//! What rows are made of: operands and attributes of the current node, and primitives with TensorFlow's broadcasting.
//!
//! Small results of constants are folded as they are added, so that what a model computes of shapes and predicates is
//! known to the rows that need it.

use super::{Import, Outputs, Stop, Value, found::same};
use crate::{
    base::{Bindings, Diagnostic, Dim, dim::Number},
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{
        Binary, Bitcast, Cast, Compare, Compose, Concat, Grow, Infer, Op, Pad, Reshape, Select, Slice, TextEqual,
        Transpose, Unary, Value as Part,
    },
    saved::{host_type, type_name},
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// Results of constants up to this many elements are folded.
const MAX_FOLDED: i64 = 4096;

/// A row's result with one output.
pub(super) fn one(id: NodeId) -> Outputs {
    Ok(vec![id.into()])
}

/// Operands.
impl Import<'_> {
    pub(super) fn count(&self) -> usize {
        self.operands.len()
    }
    /// Operand `n` as it is.
    pub(super) fn value(&self, n: usize) -> Result<Value, Stop> {
        self.operands.get(n).copied().ok_or_else(|| format!("{} lacks its operand {n}", self.node.op).into())
    }
    /// Operand `n`, which has to be a tensor.
    pub(super) fn arg(&self, n: usize) -> Result<NodeId, Stop> {
        match self.value(n)? {
            Value::Tensor(id) => Ok(id),
            Value::Narrow(_, narrow) => {
                let problem = format!("{} of {} is not supported", self.node.op, narrow.name());
                Err(Diagnostic::error(problem)
                    .help("convert the operand in the model: `tf.cast(x, tf.int8)`, say")
                    .into())
            }
            Value::Part(..) => Err(format!(
                "the extents of operand {n} of {} depend on the values of the inputs, which is not supported yet",
                self.node.op
            )
            .into()),
            Value::Variable(_) => Err(format!("operand {n} of {} is a variable's handle", self.node.op).into()),
            Value::List(_) => Err(format!("operand {n} of {} is a list of tensors", self.node.op).into()),
            Value::Dead => Err(format!("operand {n} of {} is not computed", self.node.op).into()),
        }
    }
    /// The tensor that is operand `n`, which has to be a scalar.
    pub(super) fn scalar_arg(&self, n: usize, what: &str) -> Result<NodeId, Stop> {
        let x = self.arg(n)?;
        match self.rank(x) {
            0 => Ok(x),
            rank => Err(format!("{what} is a scalar, got rank {rank}").into()),
        }
    }
    /// All operands, which have to be tensors.
    pub(super) fn args(&self) -> Result<Vec<NodeId>, Stop> {
        (0..self.count()).map(|n| self.arg(n)).collect()
    }
    pub(super) fn dtype(&self, x: NodeId) -> DType {
        self.graph.ty(x).dtype
    }
    pub(super) fn shape(&self, x: NodeId) -> Vec<Dim> {
        self.graph.shape(x).to_vec()
    }
    pub(super) fn rank(&self, x: NodeId) -> usize {
        self.graph.shape(x).len()
    }
    /// The elements of integer operand `n`, called `what` when they are not known.
    pub(super) fn dims(&self, n: usize, what: &str) -> Result<Vec<Dim>, Stop> {
        let id = self.arg(n)?;
        // What a formula makes of the iteration is a value like others.
        let is_formula = |dim: &Dim| {
            let mut formulas = vec![];
            dim.formulas(&mut formulas);
            formulas.iter().any(|formula| self.varies(&Dim::from(formula)))
        };
        if let Some(dims) = self.graph.dims(id).filter(|dims| !dims.iter().any(is_formula)) {
            return Ok(dims.to_vec());
        }
        if let Some(values) = self.graph.as_const(id).and_then(Tensor::to_i64s) {
            return Ok(values.into_iter().map(Dim::from).collect());
        }
        Err(self.unknown(id, what))
    }
    /// The elements of an integer tensor, where they are constants.
    pub(super) fn known_ints(&self, x: NodeId) -> Option<Vec<i64>> {
        if let Some(values) = self.graph.as_const(x) {
            return values.to_i64s();
        }
        self.graph.dims(x)?.iter().map(Dim::as_int).collect()
    }
    /// The one element of integer operand `n`.
    pub(super) fn dim(&self, n: usize, what: &str) -> Result<Dim, Stop> {
        match &self.dims(n, what)?[..] {
            [dim] => Ok(dim.clone()),
            dims => Err(format!("{what} of {} has {} elements instead of one", self.node.op, dims.len()).into()),
        }
    }
    /// The one element of operand `n`, integer or float.
    pub(super) fn number(&self, n: usize, what: &str) -> Result<Number, Stop> {
        let id = self.arg(n)?;
        match self.graph.numbers(id) {
            Some([number]) => Ok(number.clone()),
            Some(all) => Err(format!("{what} of {} has {} elements instead of one", self.node.op, all.len()).into()),
            None => Err(self.unknown(id, what)),
        }
    }
    /// The elements of integer operand `n`, which have to be constants.
    pub(super) fn ints(&self, n: usize, what: &str) -> Result<Vec<i64>, Stop> {
        let dims = self.dims(n, what)?;
        let ints: Option<Vec<i64>> = dims.iter().map(Dim::as_int).collect();
        match (ints, self.arg(n)) {
            (Some(ints), _) => Ok(ints),
            (None, Ok(id)) => Err(self.unknown(id, what)),
            (None, Err(stop)) => Err(stop),
        }
    }
    pub(super) fn int(&self, n: usize, what: &str) -> Result<i64, Stop> {
        match self.ints(n, what)?[..] {
            [int] => Ok(int),
            ref ints => Err(format!("{what} of {} has {} elements instead of one", self.node.op, ints.len()).into()),
        }
    }
    /// Operand `n` as an axis of something of this rank; negative ones count from the end.
    pub(super) fn axis(&self, n: usize, rank: usize) -> Result<usize, Stop> {
        axis(self.int(n, "the axis")?, rank)
    }
    /// Operand `n` as axes; each at most once.
    pub(super) fn axes(&self, n: usize, rank: usize) -> Result<Vec<usize>, Stop> {
        axes(&self.ints(n, "the axes")?, rank)
    }
    /// The type in an attribute.
    pub(super) fn attr_dtype(&self, name: &str) -> Result<DType, Stop> {
        let dtype = self.node.attr_type(name)?;
        host_type(dtype).ok_or_else(|| format!("type {} is not supported", type_name(dtype)).into())
    }
    /// Integer attribute as extents that are not negative.
    pub(super) fn attr_axis(&self, name: &str, rank: usize) -> Result<usize, Stop> {
        axis(self.node.attr_int(name)?, rank)
    }
}

/// An axis from 0; negative ones count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Stop> {
    let from_front = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| format!("there is no axis {axis} in a tensor of rank {rank}").into())
}

/// Axes from 0, ascending.
pub(super) fn axes(values: &[i64], rank: usize) -> Result<Vec<usize>, Stop> {
    let mut axes = values.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort();
    match axes.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("axis {} is named twice", pair[0]).into()),
        None => Ok(axes),
    }
}

/// Primitives.
impl Import<'_> {
    /// Adds a primitive, or its value where that is a small constant or an extent.
    pub(super) fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Stop> {
        let op = op.into();
        if let Some(value) = self.folded(&op, inputs) {
            return Ok(self.graph.constant(value));
        }
        // A view of one value is as good as the value.
        let view = matches!(op, Op::Broadcast(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_));
        let id = self.graph.add(op, inputs)?;
        let ty = self.graph.ty(id);
        let known: Option<Vec<i64>> = self.graph.dims(id).and_then(|dims| dims.iter().map(Dim::as_int).collect());
        Ok(match (known, ty.concrete(&Bindings::new())) {
            (Some(ints), Some(shape)) => {
                let dtype = ty.dtype;
                let scalars = ints.into_iter().map(|n| Scalar::from_i64(dtype, n));
                self.graph.constant(Tensor::from_scalars(dtype, shape, scalars))
            }
            _ if !view && self.graph.dims(id).is_none() => return self.settled(id),
            _ => id,
        })
    }
    /// The one value that all elements have, where bounds say that there is only one.
    fn settled(&mut self, id: NodeId) -> Result<NodeId, Stop> {
        let Some(value) = self.bounds.only(&self.graph, id) else { return Ok(id) };
        if self.varies(&value) {
            return Ok(id);
        }
        let ty = self.graph.ty(id).clone();
        let value = match value.as_int() {
            Some(n) => self.graph.constant(Tensor::scalar(ty.dtype, Scalar::from_i64(ty.dtype, n))),
            None => self.dim_scalar(&value, ty.dtype)?,
        };
        self.broadcast_to(value, &ty.shape)
    }
    fn folded(&self, op: &Op, inputs: &[NodeId]) -> Option<Tensor> {
        let args: Vec<&Tensor> = inputs.iter().map(|&i| self.graph.as_const(i)).collect::<Option<_>>()?;
        let small = |n: usize| n as i64 <= MAX_FOLDED;
        if !args.iter().all(|t| small(t.count())) || !op.has_fixed_attributes() {
            return None;
        }
        let types: Vec<&TensorType> = inputs.iter().map(|&i| self.graph.ty(i)).collect();
        let ty = op.infer(&types, self.graph.facts()).ok()?;
        let shape = ty.concrete(&Bindings::new())?;
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        // What a constant is repeated to stays a view of it.
        if !small(count) || matches!(op, Op::Broadcast(_)) && count > 64 {
            return None;
        }
        op.eval(&args, &shape, &Bindings::new()).ok()
    }
    pub(super) fn constant(&mut self, value: Tensor) -> Result<NodeId, Stop> {
        match value.dtype {
            d if d.is_complex() => Err("complex numbers are not supported yet".into()),
            _ => Ok(self.graph.constant(value)),
        }
    }
    /// `x`, through which no gradient passes where the graph is to be differentiated: the same bits have no slope.
    pub(super) fn held(&mut self, x: NodeId) -> Result<NodeId, Stop> {
        let dtype = self.dtype(x);
        if self.differentiable && dtype.is_float() { self.add(Bitcast { to: dtype }, &[x]) } else { Ok(x) }
    }
    pub(super) fn unary(&mut self, f: UnaryFn, x: NodeId) -> Result<NodeId, Stop> {
        self.add(Unary { f }, &[x])
    }
    /// `f(x, y)` after broadcasting.
    pub(super) fn binary(&mut self, f: BinaryFn, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        let [x, y] = self.broadcast([x, y])?;
        match self.absorbed(f, x, y) {
            Some(kept) => Ok(kept),
            None => self.add(Binary { f }, &[x, y]),
        }
    }
    /// The operand that the least or greatest of two integers is for certain: `min(x, max(x, y))` is `x`. So the size of a
    /// count that a model bounds from both sides by one extent is that extent.
    fn absorbed(&self, f: BinaryFn, x: NodeId, y: NodeId) -> Option<NodeId> {
        let other = match f {
            BinaryFn::Min => BinaryFn::Max,
            BinaryFn::Max => BinaryFn::Min,
            _ => return None,
        };
        let has = |inner: NodeId, outer: NodeId| {
            let node = self.graph.node(inner);
            matches!(&node.op, Op::Binary(op) if op.f == other)
                && node.inputs.iter().any(|&x| same(&self.graph, x, outer, &mut 64))
        };
        let kept = [(x, y), (y, x)].into_iter().find(|&(outer, inner)| has(inner, outer));
        kept.map(|(outer, _)| outer).filter(|_| self.dtype(x).is_int())
    }
    /// Whether all elements are integers that are proved to be at least 1.
    pub(super) fn is_positive(&mut self, x: NodeId) -> bool {
        self.bounds.is_positive(&self.graph, x)
    }
    pub(super) fn compare(&mut self, f: CompareFn, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        let [x, y] = self.broadcast([x, y])?;
        match f {
            CompareFn::Eq if self.dtype(x) == DType::Str => self.add(TextEqual {}, &[x, y]),
            CompareFn::Ne if self.dtype(x) == DType::Str => {
                let equal = self.add(TextEqual {}, &[x, y])?;
                self.unary(UnaryFn::Not, equal)
            }
            f => self.add(Compare { f }, &[x, y]),
        }
    }
    pub(super) fn select(&mut self, cond: NodeId, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        let [cond, x, y] = self.broadcast([cond, x, y])?;
        self.add(Select {}, &[cond, x, y])
    }
    pub(super) fn cast(&mut self, x: NodeId, to: DType) -> Result<NodeId, Stop> {
        if self.dtype(x) == to { Ok(x) } else { self.add(Cast { to }, &[x]) }
    }
    pub(super) fn add_(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        self.binary(BinaryFn::Add, x, y)
    }
    pub(super) fn sub(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        self.binary(BinaryFn::Sub, x, y)
    }
    pub(super) fn mul(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        self.binary(BinaryFn::Mul, x, y)
    }
    pub(super) fn div(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        self.binary(BinaryFn::Div, x, y)
    }
    pub(super) fn and(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        self.binary(BinaryFn::And, x, y)
    }
    pub(super) fn or(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, Stop> {
        self.binary(BinaryFn::Or, x, y)
    }

    /// A scalar constant; integers take the whole number, and of strings there is the empty one.
    pub(super) fn scalar(&mut self, dtype: DType, value: f64) -> Result<NodeId, Stop> {
        let scalar = match dtype {
            DType::Str => return Ok(self.graph.constant(Tensor::zeros(dtype, []))),
            d if d.is_float() => Scalar::from_f64(d, value),
            d => Scalar::from_i64(d, value as i64),
        };
        Ok(self.graph.constant(Tensor::scalar(dtype, scalar)))
    }
    /// A scalar in the type of `x`.
    pub(super) fn scalar_like(&mut self, x: NodeId, value: f64) -> Result<NodeId, Stop> {
        self.scalar(self.dtype(x), value)
    }
    /// `value` repeated to the type and shape of `x`.
    pub(super) fn full_like(&mut self, x: NodeId, value: f64) -> Result<NodeId, Stop> {
        let shape = self.shape(x);
        let value = self.scalar_like(x, value)?;
        self.broadcast_to(value, &shape)
    }
    /// A rank-0 integer tensor that holds a dim.
    pub(super) fn dim_scalar(&mut self, dim: &Dim, dtype: DType) -> Result<NodeId, Stop> {
        let extent = self.graph.extent(dim.clone());
        self.cast(extent, dtype)
    }
    /// A rank-1 integer tensor that holds dims.
    pub(super) fn dims_tensor(&mut self, dims: &[Dim], dtype: DType) -> Result<NodeId, Stop> {
        let ints: Option<Vec<i64>> = dims.iter().map(Dim::as_int).collect();
        if let Some(ints) = ints {
            let scalars: Vec<Scalar> = ints.into_iter().map(|n| Scalar::from_i64(dtype, n)).collect();
            return Ok(self.graph.constant(Tensor::from_scalars(dtype, [dims.len()], scalars)));
        }
        let mut parts = vec![];
        for dim in dims {
            let part = self.dim_scalar(dim, dtype)?;
            parts.push(self.add(Reshape { shape: vec![Dim::one()] }, &[part])?);
        }
        self.concat(&parts, 0)
    }

    pub(super) fn reshape(&mut self, x: NodeId, shape: &[Dim]) -> Result<NodeId, Stop> {
        if self.graph.shape(x) == shape {
            return Ok(x);
        }
        self.require_equal(
            &crate::tensor::count(self.graph.shape(x)),
            &crate::tensor::count(shape),
            "the number of elements",
        )?;
        self.add(Reshape { shape: shape.to_vec() }, &[x])
    }
    /// Inserts axes of extent 1: each named axis is one of the result's.
    pub(super) fn insert_axes(&mut self, x: NodeId, at: &[usize]) -> Result<NodeId, Stop> {
        let mut shape = self.shape(x);
        at.iter().for_each(|&a| shape.insert(a, Dim::one()));
        self.reshape(x, &shape)
    }
    /// Drops axes of extent 1.
    pub(super) fn drop_axes(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId, Stop> {
        let kept = self.shape(x).into_iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, d)| d);
        self.reshape(x, &kept.collect::<Vec<_>>())
    }
    pub(super) fn transpose(&mut self, x: NodeId, perm: &[usize]) -> Result<NodeId, Stop> {
        if perm.iter().copied().eq(0..self.rank(x)) {
            return Ok(x);
        }
        self.add(Transpose { perm: perm.to_vec() }, &[x])
    }
    /// `x[start + i * stride]`; whoever calls sees to it that the indices are in range.
    pub(super) fn slice(
        &mut self,
        x: NodeId,
        start: Vec<Dim>,
        stride: Vec<i64>,
        shape: Vec<Dim>,
    ) -> Result<NodeId, Stop> {
        let whole = start.iter().all(|d| d.is(0)) && stride.iter().all(|&s| s == 1);
        if whole && shape == self.graph.shape(x) {
            return Ok(x);
        }
        if let Some((part, at)) = self.joined_part(x, &start, &stride, &shape) {
            return self.slice(part, vec![at], stride, shape);
        }
        self.add(Slice { start, stride, shape }, &[x])
    }
    /// The operand of a concatenation of vectors that a slice of it lies in, and where it begins there: what is known of that
    /// is known of the slice, though not of its neighbours.
    fn joined_part(&self, x: NodeId, start: &[Dim], stride: &[i64], shape: &[Dim]) -> Option<(NodeId, Dim)> {
        let node = self.graph.node(x);
        let (Op::Concat(_), [start], [1], [n]) = (&node.op, start, stride, shape) else { return None };
        let (mut start, n) = (start.as_int()?, n.as_int()?);
        for &part in &node.inputs {
            let extent = self.graph.ty(part).count().as_int()?;
            if start + n <= extent {
                return Some((part, start.into()));
            }
            start -= extent;
            if start < 0 {
                return None;
            }
        }
        None
    }
    /// `n` elements from `start` on one axis.
    pub(super) fn slice_axis(&mut self, x: NodeId, axis: usize, start: Dim, n: Dim) -> Result<NodeId, Stop> {
        let mut shape = self.shape(x);
        let rank = shape.len();
        let mut from = vec![Dim::zero(); rank];
        (from[axis], shape[axis]) = (start, n);
        self.slice(x, from, vec![1; rank], shape)
    }
    /// Runs the given axes backwards.
    pub(super) fn reverse(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId, Stop> {
        let shape = self.shape(x);
        let (mut start, mut stride) = (vec![Dim::zero(); shape.len()], vec![1; shape.len()]);
        for &a in axes {
            (start[a], stride[a]) = (&shape[a] - 1, -1);
        }
        self.slice(x, start, stride, shape)
    }
    pub(super) fn concat(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId, Stop> {
        match parts {
            [part] => Ok(*part),
            _ => self.add(Concat { axis }, parts),
        }
    }
    pub(super) fn pad(&mut self, x: NodeId, value: NodeId, low: &[Dim], high: &[Dim]) -> Result<NodeId, Stop> {
        if low.iter().chain(high).all(|d| d.is(0)) {
            return Ok(x);
        }
        self.add(Pad { low: low.to_vec(), high: high.to_vec() }, &[x, value])
    }

    /// All operands in their common shape.
    pub(super) fn broadcast<const N: usize>(&mut self, xs: [NodeId; N]) -> Result<[NodeId; N], Stop> {
        let shapes: Vec<_> = xs.iter().map(|&x| self.shape(x)).collect();
        let common = self.common_shape(&shapes)?;
        let mut out = xs;
        for x in &mut out {
            *x = self.broadcast_to(*x, &common)?;
        }
        Ok(out)
    }
    /// `f` computed in f32 where `x` is of a half type, rounded back once.
    pub(super) fn in_single(
        &mut self,
        x: NodeId,
        f: impl FnOnce(&mut Self, NodeId) -> Result<NodeId, Stop>,
    ) -> Result<NodeId, Stop> {
        let dtype = self.dtype(x);
        let wide = self.cast(x, widened(dtype))?;
        let y = f(self, wide)?;
        self.cast(y, dtype)
    }
}

/// A node as compositions below the import know it.
pub(super) fn part(id: NodeId) -> Part {
    Part(id.index())
}

impl Import<'_> {
    /// What primitives compose by themselves, such as the gradients of one.
    pub(super) fn composed(&mut self, f: impl FnOnce(&mut Compose<'_>) -> Infer<Part>) -> Result<NodeId, Stop> {
        Ok(NodeId::new(f(&mut Compose(self))?.0))
    }
}

impl Grow for Import<'_> {
    fn grow(&mut self, op: Op, operands: &[Part]) -> Infer<Part> {
        let operands: Vec<NodeId> = operands.iter().map(|x| NodeId::new(x.0)).collect();
        let made = match op {
            Op::Const(value) => self.graph.constant(value),
            Op::Extent(dim) => self.graph.extent(dim),
            op => self.add(op, &operands).map_err(Stop::told)?,
        };
        Ok(part(made))
    }
    fn ty(&self, value: Part) -> &TensorType {
        self.graph.ty(NodeId::new(value.0))
    }
    fn follows_from_constants(&self, value: Part) -> bool {
        self.graph.follows_from_constants(NodeId::new(value.0))
    }
}

/// The type in which compositions on `dtype` are computed: f32 for the half types.
pub(super) fn widened(dtype: DType) -> DType {
    if matches!(dtype, DType::F16 | DType::BF16) { DType::F32 } else { dtype }
}
