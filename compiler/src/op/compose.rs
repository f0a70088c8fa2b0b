//! Primitives composed by name: what rules of differentiation and of training are written in.
//!
//! The graph is known here only as something that grows. Operands have the very shapes and types a primitive works on.

use super::*;
use crate::{
    loops::{BinaryFn, CompareFn, UnaryFn},
    tensor::{DType, Scalar},
};

/// A node of the graph that grows, by its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(pub usize);

/// A graph that rules add nodes to.
pub trait Grow {
    /// Appends a node, or says why the operands do not fit.
    fn grow(&mut self, op: Op, operands: &[Value]) -> Infer<Value>;
    fn ty(&self, value: Value) -> &TensorType;
    /// Whether it is known before a call, as far as that is looked into.
    fn follows_from_constants(&self, value: Value) -> bool;
}

/// Adds to a graph.
pub struct Compose<'a>(pub &'a mut dyn Grow);

impl Compose<'_> {
    pub fn ty(&self, x: Value) -> TensorType {
        self.0.ty(x).clone()
    }
    pub fn dtype(&self, x: Value) -> DType {
        self.0.ty(x).dtype
    }
    pub fn shape(&self, x: Value) -> Vec<Dim> {
        self.0.ty(x).shape.to_vec()
    }
    pub fn add(&mut self, op: impl Into<Op>, operands: &[Value]) -> Infer<Value> {
        self.0.grow(op.into(), operands)
    }
    /// A number in the type and shape of `x`.
    pub fn number(&mut self, x: Value, value: f64) -> Infer<Value> {
        let ty = self.ty(x);
        self.filled(ty.dtype, &ty.shape, value)
    }
    pub fn filled(&mut self, dtype: DType, shape: &[Dim], value: f64) -> Infer<Value> {
        let scalar =
            if dtype.is_float() { Scalar::from_f64(dtype, value) } else { Scalar::from_i64(dtype, value as i64) };
        let one = self.add(Op::Const(Tensor::from_scalars(dtype, vec![1; shape.len()], [scalar])), &[])?;
        if shape.iter().all(|n| n.is(1)) {
            return Ok(one);
        }
        self.add(Broadcast::to(shape.to_vec()), &[one])
    }
    pub fn unary(&mut self, f: UnaryFn, x: Value) -> Infer<Value> {
        self.add(Unary { f }, &[x])
    }
    pub fn binary(&mut self, f: BinaryFn, x: Value, y: Value) -> Infer<Value> {
        self.add(Binary { f }, &[x, y])
    }
    pub fn sum(&mut self, x: Value, y: Value) -> Infer<Value> {
        self.binary(BinaryFn::Add, x, y)
    }
    pub fn sub(&mut self, x: Value, y: Value) -> Infer<Value> {
        self.binary(BinaryFn::Sub, x, y)
    }
    pub fn mul(&mut self, x: Value, y: Value) -> Infer<Value> {
        self.binary(BinaryFn::Mul, x, y)
    }
    pub fn div(&mut self, x: Value, y: Value) -> Infer<Value> {
        self.binary(BinaryFn::Div, x, y)
    }
    pub fn neg(&mut self, x: Value) -> Infer<Value> {
        self.unary(UnaryFn::Neg, x)
    }
    pub fn square(&mut self, x: Value) -> Infer<Value> {
        self.mul(x, x)
    }
    pub fn scaled(&mut self, x: Value, by: f64) -> Infer<Value> {
        let by = self.number(x, by)?;
        self.mul(x, by)
    }
    pub fn compare(&mut self, f: CompareFn, x: Value, y: Value) -> Infer<Value> {
        self.add(Compare { f }, &[x, y])
    }
    pub fn select(&mut self, cond: Value, x: Value, y: Value) -> Infer<Value> {
        self.add(Select {}, &[cond, x, y])
    }
    /// `x` where the condition holds, else 0.
    pub fn only(&mut self, cond: Value, x: Value) -> Infer<Value> {
        let zero = self.number(x, 0.0)?;
        self.select(cond, x, zero)
    }
    pub fn cast(&mut self, x: Value, to: DType) -> Infer<Value> {
        if self.dtype(x) == to { Ok(x) } else { self.add(Cast { to }, &[x]) }
    }
    pub fn reshape(&mut self, x: Value, shape: &[Dim]) -> Infer<Value> {
        if self.shape(x) == shape { Ok(x) } else { self.add(Reshape { shape: shape.to_vec() }, &[x]) }
    }
    pub fn transpose(&mut self, x: Value, perm: &[usize]) -> Infer<Value> {
        if perm.iter().copied().eq(0..perm.len()) {
            return Ok(x);
        }
        self.add(Transpose { perm: perm.to_vec() }, &[x])
    }
    pub fn slice(&mut self, x: Value, start: &[Dim], shape: &[Dim]) -> Infer<Value> {
        if start.iter().all(|d| d.is(0)) && self.shape(x) == shape {
            return Ok(x);
        }
        self.add(Slice { start: start.to_vec(), stride: vec![1; shape.len()], shape: shape.to_vec() }, &[x])
    }
    /// Runs these axes backwards.
    pub fn reverse(&mut self, x: Value, axes: impl Iterator<Item = usize>) -> Infer<Value> {
        let shape = self.shape(x);
        let (mut start, mut stride) = (vec![Dim::zero(); shape.len()], vec![1; shape.len()]);
        for axis in axes.filter(|&axis| !shape[axis].is(1)) {
            (start[axis], stride[axis]) = (&shape[axis] - 1, -1);
        }
        if stride.iter().all(|&step| step == 1) {
            return Ok(x);
        }
        self.add(Slice { start, stride, shape }, &[x])
    }
    /// `x` with zeros around.
    pub fn padded(&mut self, x: Value, low: &[Dim], high: &[Dim]) -> Infer<Value> {
        if low.iter().chain(high).all(|d| d.is(0)) {
            return Ok(x);
        }
        let dtype = self.dtype(x);
        let zero = self.add(Op::Const(Tensor::scalar(dtype, Scalar::zero(dtype))), &[])?;
        self.add(Pad { low: low.to_vec(), high: high.to_vec() }, &[x, zero])
    }
    /// `by[a] - 1` zeros behind each element of every axis `a`: an extent n becomes `n * by[a]`.
    pub fn spread(&mut self, x: Value, by: &[i64]) -> Infer<Value> {
        if by.iter().all(|&n| n == 1) {
            return Ok(x);
        }
        let shape = self.shape(x);
        let with_units = shape.iter().flat_map(|n| [n.clone(), Dim::one()]);
        let x = self.reshape(x, &with_units.collect::<Vec<_>>())?;
        let high: Vec<Dim> = by.iter().flat_map(|&n| [Dim::zero(), Dim::from(n - 1)]).collect();
        let x = self.padded(x, &vec![Dim::zero(); high.len()], &high)?;
        self.reshape(x, &shape.iter().zip(by).map(|(n, &by)| n * by).collect::<Vec<_>>())
    }
    /// The sum over these axes, which ascend and stay with extent 1.
    pub fn summed(&mut self, x: Value, axes: Vec<usize>) -> Infer<Value> {
        if axes.is_empty() { Ok(x) } else { self.add(Reduce { f: BinaryFn::Add, axes }, &[x]) }
    }
    pub fn broadcast(&mut self, x: Value, shape: &[Dim]) -> Infer<Value> {
        if self.shape(x) == shape { Ok(x) } else { self.add(Broadcast::to(shape.to_vec()), &[x]) }
    }
    pub fn dot(&mut self, a: Value, b: Value) -> Infer<Value> {
        self.add(Dot {}, &[a, b])
    }
    /// The last two axes swapped.
    pub fn turned(&mut self, x: Value) -> Infer<Value> {
        let rank = self.shape(x).len();
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 2, rank - 1);
        self.transpose(x, &perm)
    }
}
