//! Graphs in few words, for tests that build networks of their own.

use smc::{
    base::{Bindings, Dim, Rng},
    graph::{Graph, NodeId, random as graphs},
    loops::{BinaryFn, UnaryFn},
    op::{Binary, Broadcast, Op, Reduce, Reshape, Unary},
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// Lines that count the elements of `x` above 0, as `%count`.
pub const COUNTED: &str = r#"
    input "x" %x
    %x = input : f32[n]
    %zero = const [0.0] : f32[1]
    %many = broadcast {"shape":["n"]} %zero
    %above = compare {"f":"gt"} %x %many
    %ones = cast {"to":"i64"} %above
    %sum = reduce {"f":"add","axes":[0]} %ones
    %count = reshape {"shape":[]} %sum"#;

/// A graph under construction.
pub struct Net {
    pub graph: Graph,
    pub rng: Rng,
}

impl Net {
    pub fn new(seed: u64) -> Net {
        Net { graph: Graph::default(), rng: Rng::new(seed) }
    }
    pub fn input(&mut self, dtype: DType, shape: &str) -> NodeId {
        let name = format!("x{}", self.graph.inputs.len());
        self.graph.input(name, format!("{dtype}[{shape}]").parse().unwrap())
    }
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
        self.graph.add(op, inputs).unwrap()
    }
    pub fn weights(&mut self, dtype: DType, shape: &[usize]) -> NodeId {
        let ty = TensorType::new(dtype, shape.iter().map(|&n| Dim::from(n as i64)).collect::<Vec<_>>());
        let value = graphs::tensor(&mut self.rng, &ty, &Bindings::new());
        self.graph.constant(value)
    }
    /// `f(x, y)`, where `y` is repeated along the leading axes of `x`.
    pub fn with(&mut self, f: BinaryFn, x: NodeId, y: NodeId) -> NodeId {
        let shape = self.graph.shape(x).to_vec();
        let own = self.graph.shape(y).to_vec();
        let reshaped = [vec![Dim::one(); shape.len() - own.len()], own].concat();
        let y = self.add(Reshape { shape: reshaped }, &[y]);
        let y = self.add(Broadcast::to(shape), &[y]);
        self.add(Binary { f }, &[x, y])
    }
    pub fn relu(&mut self, x: NodeId) -> NodeId {
        let dtype = self.graph.ty(x).dtype;
        let zero = self.graph.constant(Tensor::scalar(dtype, Scalar::zero(dtype)));
        self.with(BinaryFn::Max, x, zero)
    }
    /// Folds the last axis and keeps it, repeated.
    pub fn fold_last(&mut self, f: BinaryFn, x: NodeId) -> NodeId {
        let shape = self.graph.shape(x).to_vec();
        let folded = self.add(Reduce { f, axes: vec![shape.len() - 1] }, &[x]);
        let mut kept = shape.clone();
        kept[shape.len() - 1] = Dim::one();
        let folded = self.add(Reshape { shape: kept }, &[folded]);
        self.add(Broadcast::to(shape), &[folded])
    }
    pub fn softmax(&mut self, x: NodeId) -> NodeId {
        let most = self.fold_last(BinaryFn::Max, x);
        let less = self.add(Binary { f: BinaryFn::Sub }, &[x, most]);
        let e = self.add(Unary { f: UnaryFn::Exp }, &[less]);
        let sum = self.fold_last(BinaryFn::Add, e);
        self.add(Binary { f: BinaryFn::Div }, &[e, sum])
    }
}

/// Rows of two inputs, added: the one extent is the other one's, or 1.
pub const OPEN_ROWS: &str = r#"
    assume a in 1, broadcast(a,b)
    assume b in 1, broadcast(a,b)
    input "x" %x
    input "y" %y
    %x = input : f32[a,5]
    %y = input : f32[b,5]
    %wide = broadcast {"shape":["broadcast(a,b)",5],"open":[0]} %x
    %long = broadcast {"shape":["broadcast(a,b)",5],"open":[0]} %y
    %sum = binary {"f":"add"} %wide %long
    %out = unary {"f":"exp"} %sum
    output "z" %out"#;
