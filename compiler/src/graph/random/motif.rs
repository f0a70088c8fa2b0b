//! Groups of operators that plans look for: rows that are normalised, and what is padded or joined after a kernel.

use super::grow::{FOLDS, Grower, NUMERIC};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, UnaryFn},
    op::{Binary, Broadcast, Concat, Pad, Reduce, Unary, Window},
    tensor::{DType, Scalar, Tensor, TensorType},
};

const FLOATS: [DType; 4] = [DType::F16, DType::BF16, DType::F32, DType::F64];

impl Grower {
    /// Tries to add one group; what was added before something did not fit stays.
    pub(super) fn motif(&mut self) -> Option<NodeId> {
        match self.rng.below(4) {
            0 => self.softmax(),
            1 => self.normalised(),
            2 => self.padded(),
            _ => self.joined(),
        }
    }
    fn binary(&mut self, f: BinaryFn, x: NodeId, y: NodeId) -> Option<NodeId> {
        self.add(Binary { f }, &[x, y])
    }
    /// The last axes, mostly one.
    fn rows(&mut self, x: NodeId) -> Vec<usize> {
        let rank = self.rank(x);
        let many = if self.rng.once_in(3) { self.rng.range(1, rank as i64) as usize } else { 1 };
        (rank - many..rank).collect()
    }
    /// A reduction of `x` at every place of `x`.
    fn reduced(&mut self, f: BinaryFn, axes: &[usize], x: NodeId) -> Option<(NodeId, NodeId)> {
        let y = self.add(Reduce { f, axes: axes.to_vec() }, &[x])?;
        let shape = self.shape(x);
        Some((y, self.add(Broadcast::to(shape), &[y])?))
    }
    fn softmax(&mut self) -> Option<NodeId> {
        let x = self.operand(&FLOATS, 1);
        let axes = self.rows(x);
        let (_, max) = self.reduced(BinaryFn::Max, &axes, x)?;
        let shifted = self.binary(BinaryFn::Sub, x, max)?;
        let exp = self.add(Unary { f: UnaryFn::Exp }, &[shifted])?;
        let (sum, wide) = self.reduced(BinaryFn::Add, &axes, exp)?;
        match self.rng.below(3) {
            0 => self.add(Unary { f: UnaryFn::Log }, &[sum]),
            1 => {
                let log = self.add(Unary { f: UnaryFn::Log }, &[wide])?;
                self.binary(BinaryFn::Sub, shifted, log)
            }
            _ => self.binary(BinaryFn::Div, exp, wide),
        }
    }
    /// A row less its mean, or its least element, over its spread.
    fn normalised(&mut self) -> Option<NodeId> {
        let x = self.operand(&FLOATS, 1);
        let axes = self.rows(x);
        let f = self.rng.pick(&[BinaryFn::Add, BinaryFn::Min]);
        let (first, wide) = self.reduced(f, &axes, x)?;
        let centred = self.binary(BinaryFn::Sub, x, wide)?;
        let squares = self.binary(BinaryFn::Mul, centred, centred)?;
        let square = self.add(Reduce { f: BinaryFn::Add, axes }, &[squares])?;
        let dtype = self.ty(square).dtype;
        let shape = self.shape(square);
        let one = self.constant(dtype, 1.0);
        let one = self.add(crate::op::Reshape { shape: vec![Dim::one(); shape.len()] }, &[one])?;
        let one = self.add(Broadcast::to(shape), &[one])?;
        let spread = self.binary(BinaryFn::Add, square, one)?;
        let spread = self.add(Unary { f: UnaryFn::Sqrt }, &[spread])?;
        let shape = self.shape(x);
        let wide = self.add(Broadcast::to(shape), &[spread])?;
        if self.rng.once_in(3) {
            // The statistics count for something besides.
            self.binary(BinaryFn::Add, first, spread)?;
        }
        self.binary(BinaryFn::Div, centred, wide)
    }
    fn constant(&mut self, dtype: DType, value: f64) -> NodeId {
        self.known(Tensor::scalar(dtype, Scalar::from_f64(dtype, value)))
    }
    /// A kernel's result under the shape of its operand.
    fn kernel(&mut self, x: NodeId) -> Option<NodeId> {
        let rank = self.rank(x);
        let size: Vec<i64> = (0..rank).map(|_| self.rng.range(1, 2)).collect();
        let high = size.iter().map(|n| Dim::from(n - 1)).collect();
        let (f, ones) = (self.rng.pick(&FOLDS[..4]), vec![1; rank]);
        let window = Window { f, size, stride: ones.clone(), dilation: ones, low: vec![Dim::zero(); rank], high };
        let y = self.add(window, &[x])?;
        if self.rng.once_in(2) { self.add(Unary { f: UnaryFn::Neg }, &[y]) } else { Some(y) }
    }
    fn pad(&mut self, x: NodeId) -> Option<NodeId> {
        let ty = self.ty(x);
        let (low, high) = (self.paddings(ty.rank(), 0), self.paddings(ty.rank(), 0));
        let value = self.same(&TensorType::scalar(ty.dtype));
        self.add(Pad { low, high }, &[x, value])
    }
    fn padded(&mut self) -> Option<NodeId> {
        let x = self.operand(&NUMERIC, 1);
        let mut y = self.kernel(x)?;
        if self.rng.once_in(3) {
            self.binary(BinaryFn::Add, x, y)?;
        }
        for _ in 0..self.rng.range(1, 2) {
            y = self.pad(y)?;
        }
        self.kernel(y)
    }
    fn joined(&mut self) -> Option<NodeId> {
        let x = self.operand(&NUMERIC, 1);
        let axis = self.rng.below(self.rank(x));
        let mut parts = vec![];
        for _ in 0..self.rng.range(1, 4) {
            let part = match self.rng.below(5) {
                0 => x,
                1 => self
                    .pad(x)
                    .filter(|&y| (0..self.rank(x)).all(|a| a == axis || self.shape(y)[a] == self.shape(x)[a]))?,
                2 if !parts.is_empty() => self.rng.pick(&parts),
                _ => self.kernel(x)?,
            };
            parts.push(part);
        }
        let y = self.add(Concat { axis }, &parts)?;
        match self.rng.below(3) {
            0 => self.pad(y).and_then(|y| self.kernel(y)),
            1 => self.kernel(y),
            _ => Some(y),
        }
    }
}
