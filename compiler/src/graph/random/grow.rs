//! Grows a case.

use super::*;
use crate::{
    base::{Rng, Symbol},
    loops::{BinaryFn, Combine, CompareFn, Fault, UnaryFn},
    op::{
        ArgReduce, Binary, Bind, Bitcast, Broadcast, Cast, Compare, Concat, Conv, Dot, Gather, Iota, Kind, Law,
        Outside, Pad, Philox, Reduce, Reshape, Sample, Scan, Scatter, Select, Slice, TextEqual, TopK, Transpose,
        TruncatedNormal, Unary, Window, Within,
    },
    tensor::{DType, Scalar, Shape},
};

/// Nodes of more elements are not made.
const MAX_COUNT: usize = 400;
const MAX_RANK: usize = 4;

pub(super) const NUMERIC: [DType; 12] = [
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::F16,
    DType::BF16,
    DType::F32,
    DType::F64,
];

const BINARY: [BinaryFn; 14] = [
    BinaryFn::Add,
    BinaryFn::Sub,
    BinaryFn::Mul,
    BinaryFn::Div,
    BinaryFn::Rem,
    BinaryFn::Max,
    BinaryFn::Min,
    BinaryFn::And,
    BinaryFn::Or,
    BinaryFn::Xor,
    BinaryFn::Shl,
    BinaryFn::Shr,
    BinaryFn::Pow,
    BinaryFn::Atan2,
];

pub(super) const FOLDS: [BinaryFn; 6] =
    [BinaryFn::Add, BinaryFn::Mul, BinaryFn::Max, BinaryFn::Min, BinaryFn::And, BinaryFn::Or];

const COMPARE: [CompareFn; 6] =
    [CompareFn::Eq, CompareFn::Ne, CompareFn::Lt, CompareFn::Le, CompareFn::Gt, CompareFn::Ge];

pub(super) struct Grower {
    pub(super) rng: Rng,
    pub(super) case: Case,
    /// Whether there is a `K`.
    meets: bool,
    /// One per node.
    pub(super) values: Vec<Tensor>,
    /// Loops so far.
    pub(super) steps: usize,
    /// The symbols that nodes bind.
    found: Vec<Symbol>,
}

/// What no polynomial of the symbols says.
fn formula(text: &str) -> Dim {
    text.parse().expect("the text of a dim")
}

pub fn grow(seed: u64, size: usize) -> Case {
    let mut rng = Rng::new(seed);
    let bind = [("N", rng.range(0, 4)), ("M", rng.range(1, 5))].map(|(name, n)| (Symbol::new(name), n));
    let mut case = Case { graph: Graph::default(), bind: bind.into(), inputs: vec![] };
    let meets = seed % 4 == 3;
    if meets {
        meet(&mut rng, &mut case);
    }
    let mut grower = Grower { rng, case, meets, values: vec![], steps: 0, found: vec![] };
    let mut operators = 0;
    // Most attempts succeed; the bound guards against a seed that never does.
    for _ in 0..size * 40 {
        if operators == size {
            break;
        }
        if grower.rng.once_in(12) {
            operators += grower.motif().is_some() as usize;
            continue;
        }
        let kind = grower.rng.pick(Kind::ALL);
        let leaf = matches!(kind, Kind::Input | Kind::Const | Kind::Extent);
        if grower.sample(kind).is_some() && !leaf {
            operators += 1;
        }
    }
    grower.name_outputs();
    grower.case
}

/// An extent `K` that is 1 or `N`, which may be 1 itself.
fn meet(rng: &mut Rng, case: &mut Case) {
    let [k, n] = ["K", "N"].map(Symbol::new);
    let value = if rng.once_in(3) { case.bind[&n] } else { 1 };
    let [from, to] = [&k, &n].map(Dim::from);
    let common = Dim::broadcast(&[from.clone(), to.clone()]);
    case.graph.assume_repeated(from.clone(), to.clone());
    case.graph.assume_repeated(from, common.clone());
    case.graph.assume_repeated(to, common);
    case.bind.insert(k, value);
}

/// Mostly small, sometimes extreme or special.
pub fn scalar(rng: &mut Rng, dtype: DType) -> Scalar {
    let small = rng.range(-4, 9);
    if dtype == DType::Bool {
        return Scalar::Bool(small > 2);
    }
    if let Some((least, greatest)) = dtype.int_range() {
        let extreme = |n: i128| if dtype.is_signed_int() { Scalar::Int(n as i64) } else { Scalar::Uint(n as u64) };
        return match rng.below(40) {
            0 => extreme(least),
            1 => extreme(greatest),
            2 => Scalar::from_i64(dtype, rng.bits() as i64),
            _ => Scalar::from_i64(dtype, small),
        };
    }
    let x = match rng.below(40) {
        0 => f64::NAN,
        1 => rng.pick(&[f64::INFINITY, f64::NEG_INFINITY]),
        2 => -0.0,
        3 => (rng.unit() - 0.5) * 2e4,
        4..=12 => small as f64,
        _ => (rng.unit() - 0.5) * 4.0,
    };
    Scalar::from_f64(dtype, x)
}

impl Grower {
    /// The last node, and up to two others that nothing uses.
    fn name_outputs(&mut self) {
        let uses = self.case.graph.use_counts();
        let mut ends: Vec<NodeId> = self.case.graph.ids().filter(|id| uses[id.index()] == 0).collect();
        let last = ends.pop().unwrap_or_else(|| self.leaf(DType::F32, vec![Dim::from(2)]));
        self.case.graph.output("y0", last);
        for n in 1..self.rng.range(1, 3) {
            if !ends.is_empty() {
                let end = ends.swap_remove(self.rng.below(ends.len()));
                self.case.graph.output(format!("y{n}"), end);
            }
        }
    }
    /// Adds an operator unless it does not fit, is too large or faults.
    pub(super) fn add(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> Option<NodeId> {
        let op = op.into();
        let types: Vec<_> = operands.iter().map(|&i| self.case.graph.ty(i)).collect();
        let ty = op.infer(&types, self.case.graph.facts()).ok()?;
        let out = ty.concrete(&self.case.bind)?;
        if ty.rank() > MAX_RANK + 2 || out.iter().product::<usize>() > MAX_COUNT {
            return None;
        }
        let args: Vec<&Tensor> = operands.iter().map(|i| &self.values[i.index()]).collect();
        let value = op.eval(&args, &out, &self.case.bind).ok()?;
        let id = self.case.graph.add(op, operands).expect("inferred above");
        self.values.push(value);
        Some(id)
    }
    pub(super) fn ty(&self, id: NodeId) -> TensorType {
        self.case.graph.ty(id).clone()
    }
    pub(super) fn shape(&self, id: NodeId) -> Shape {
        self.case.graph.shape(id).to_vec()
    }
    pub(super) fn facts(&self) -> Facts {
        self.case.graph.facts().clone()
    }
    pub(super) fn rank(&self, id: NodeId) -> usize {
        self.case.graph.shape(id).len()
    }
    /// The value that the case gives a dim.
    pub(super) fn size(&self, dim: &Dim) -> i64 {
        dim.eval(&self.case.bind).expect("symbols are bound")
    }
    pub(super) fn dim(&mut self) -> Dim {
        let (n, m) = (Dim::sym("N"), Dim::sym("M"));
        if !self.found.is_empty() && self.rng.once_in(3) {
            let found = Dim::from(&self.rng.pick(&self.found.clone()));
            return match self.rng.below(6) {
                0 => found + 1,
                1 => found * 2,
                2 => (m - found).at_least(&Dim::zero()),
                3 => (found + 1).floor_div(&Dim::from(2)),
                _ => found,
            };
        }
        match self.rng.below(16) {
            0 => Dim::zero(),
            2 if self.meets => Dim::sym("K"),
            3 if self.meets => Dim::broadcast(&[Dim::sym("K"), n]),
            1..=3 => n,
            4 | 5 => m,
            6 => n + 1,
            7 => n * 2,
            8 => (m + 1).floor_div(&Dim::from(2)),
            9 => n * m,
            10 => formula("i32(f32((f32(2*N+1)*0.7f32)))"),
            11 => formula("select(less(f64(N),f64(M)),xor(N,M),shr(M,1))"),
            _ => Dim::from(self.rng.range(1, 6)),
        }
    }
    fn dims(&mut self) -> Shape {
        let rank = self.rng.below(MAX_RANK + 1);
        (0..rank).map(|_| self.dim()).collect()
    }
    /// An input or a constant with random elements.
    fn leaf(&mut self, dtype: DType, shape: Shape) -> NodeId {
        if dtype == DType::Str {
            return self.strings(shape);
        }
        self.leaf_of(dtype, shape, |g, d| scalar(&mut g.rng, d))
    }
    pub(super) fn leaf_of(
        &mut self,
        dtype: DType,
        shape: Shape,
        mut element: impl FnMut(&mut Self, DType) -> Scalar,
    ) -> NodeId {
        if shape.iter().any(|dim| self.case.graph.is_found(dim)) {
            return self.repeated(dtype, shape, element);
        }
        let out = crate::tensor::concrete(&shape, &self.case.bind).expect("symbols are bound");
        let value = Tensor::from_fn(dtype, out, |_| element(self, dtype));
        self.values.push(value.clone());
        if shape.iter().all(|d| d.as_int().is_some()) && self.rng.once_in(2) {
            return self.case.graph.constant(value);
        }
        let name = format!("x{}", self.case.inputs.len());
        self.case.inputs.push(value);
        self.case.graph.input(name, TensorType::new(dtype, shape))
    }
    /// One random element, as callers cannot give what has extents that the graph finds.
    fn repeated(&mut self, dtype: DType, shape: Shape, mut element: impl FnMut(&mut Self, DType) -> Scalar) -> NodeId {
        let none = shape.iter().any(|n| self.size(n) == 0);
        let element = if none { Scalar::zero(dtype) } else { element(self, dtype) };
        let one = self.known(Tensor::from_scalars(dtype, vec![1; shape.len()], [element]));
        if shape.iter().all(|n| n.is(1)) {
            return one;
        }
        let op = Broadcast::new(&vec![Dim::one(); shape.len()], &shape, self.case.graph.facts());
        let out = crate::tensor::concrete(&shape, &self.case.bind).expect("symbols are bound");
        self.values.push(Tensor::from_fn(dtype, out, |_| element));
        self.case.graph.add(op, &[one]).expect("one element is repeated")
    }
    /// The number of elements that are not 0.
    fn found(&mut self) -> Option<NodeId> {
        let x = self.any();
        let shape = self.shape(x);
        let some = self.add(Cast { to: DType::Bool }, &[x])?;
        let ones = self.add(Cast { to: DType::I64 }, &[some])?;
        let axes = (0..shape.len()).collect();
        let count = self.add(Reduce { f: BinaryFn::Add, axes }, &[ones])?;
        let count = self.add(Reshape { shape: vec![] }, &[count])?;
        let symbol = Symbol::new(&format!("S{}", self.found.len()));
        let bound = crate::tensor::count(&shape);
        let value = self.values[count.index()].get(0).as_i64()?;
        let id = self.add(Bind { symbol: symbol.clone(), bound }, &[count])?;
        self.case.bind.insert(symbol.clone(), value);
        self.found.push(symbol);
        Some(id)
    }
    /// A constant.
    pub(super) fn known(&mut self, value: Tensor) -> NodeId {
        self.values.push(value.clone());
        self.case.graph.constant(value)
    }
    /// A node that fits: mostly one that is there, else a fresh leaf of a random shape.
    pub(super) fn operand(&mut self, dtypes: &[DType], min_rank: usize) -> NodeId {
        let fits = |id: &NodeId| {
            let ty = self.case.graph.ty(*id);
            dtypes.contains(&ty.dtype) && (min_rank..=MAX_RANK).contains(&ty.rank())
        };
        let nodes: Vec<NodeId> = self.case.graph.ids().filter(fits).collect();
        if !nodes.is_empty() && !self.rng.once_in(6) {
            // The latest ones more often, so that graphs grow deep.
            let back = self.rng.below(nodes.len()).min(self.rng.below(nodes.len()));
            return nodes[nodes.len() - 1 - back];
        }
        loop {
            let (dtype, shape) = (self.rng.pick(dtypes), self.dims());
            let count: i64 = shape.iter().map(|d| self.size(d)).product();
            if shape.len() >= min_rank && count <= MAX_COUNT as i64 {
                return self.leaf(dtype, shape);
            }
        }
    }
    /// Another node of a type, or a fresh leaf.
    pub(super) fn same(&mut self, ty: &TensorType) -> NodeId {
        let nodes: Vec<NodeId> = self.case.graph.iter().filter(|(_, n)| n.ty == *ty).map(|(id, _)| id).collect();
        if nodes.is_empty() || self.rng.once_in(3) {
            return self.leaf(ty.dtype, ty.shape.clone());
        }
        self.rng.pick(&nodes)
    }
    fn any(&mut self) -> NodeId {
        let mut dtypes = NUMERIC.to_vec();
        dtypes.extend([DType::Bool, DType::Str]);
        self.operand(&dtypes, 0)
    }
    /// Something with an extent that may be 1, mostly.
    fn few(&mut self) -> NodeId {
        let x = self.any();
        if self.rng.once_in(3) {
            return x;
        }
        let ty = self.ty(x);
        let mut shape = ty.shape;
        for n in &mut shape {
            if self.rng.once_in(2) {
                *n = Dim::sym(self.rng.pick(&["K", "N"]));
            }
        }
        self.same(&TensorType::new(ty.dtype, shape))
    }
    /// An extent that an axis may be repeated to.
    fn stretched(&mut self, n: Dim) -> Dim {
        let known = ["K", "N"].map(Dim::sym);
        match known.iter().position(|d| *d == n) {
            Some(0) if self.meets && self.rng.once_in(2) => known[1].clone(),
            Some(_) if self.meets && !self.rng.once_in(4) => Dim::broadcast(&known),
            None if n.is(1) && !self.rng.once_in(3) => self.dim(),
            _ => n,
        }
    }
    /// Paddings that are at least `least`.
    pub(super) fn paddings(&mut self, rank: usize, least: i64) -> Vec<Dim> {
        let padding = |g: &mut Self| match g.rng.below(8) {
            0 => Dim::sym("N"),
            1..=3 => Dim::from(g.rng.range(least, 2)),
            _ => Dim::zero(),
        };
        (0..rank).map(|_| padding(self)).collect()
    }
    fn ints(&mut self, rank: usize, low: i64, high: i64) -> Vec<i64> {
        (0..rank).map(|_| self.rng.range(low, high)).collect()
    }

    /// Tries to add one operator of a kind.
    fn sample(&mut self, kind: Kind) -> Option<NodeId> {
        match kind {
            Kind::Input | Kind::Const => {
                let shape = self.dims();
                let count: i64 = shape.iter().map(|d| self.size(d)).product();
                let dtype = self.rng.pick(&NUMERIC);
                (count <= MAX_COUNT as i64).then(|| self.leaf(dtype, shape))
            }
            Kind::Control => self.control(),
            Kind::Put => self.put(),
            Kind::Extent => {
                let dim = self.dim();
                let value = self.size(&dim);
                self.values.push(Tensor::from_i64([], &[value]));
                Some(self.case.graph.extent(dim))
            }
            Kind::Unary => {
                let x = self.any();
                let f = self.rng.pick(&UnaryFn::ALL);
                self.add(Unary { f }, &[x])
            }
            Kind::Binary => self.two_operands(),
            Kind::Compare => {
                let x = self.any();
                let ty = self.ty(x);
                let y = self.same(&ty);
                let f = self.rng.pick(&COMPARE);
                self.add(Compare { f }, &[x, y])
            }
            Kind::Select => {
                let x = self.any();
                let ty = self.ty(x);
                let y = self.same(&ty);
                let cond = self.same(&TensorType::new(DType::Bool, ty.shape));
                self.add(Select {}, &[cond, x, y])
            }
            Kind::Cast => {
                let x = self.any();
                let to = if self.rng.once_in(8) { DType::Bool } else { self.rng.pick(&NUMERIC) };
                self.add(Cast { to }, &[x])
            }
            Kind::Bitcast => {
                let x = self.operand(&NUMERIC, 0);
                let to = self.rng.pick(&NUMERIC);
                self.add(Bitcast { to }, &[x])
            }
            Kind::Broadcast => {
                let x = if self.meets { self.few() } else { self.any() };
                let shape: Shape = self.shape(x).into_iter().map(|n| self.stretched(n)).collect();
                let op = Broadcast::new(&self.shape(x), &shape, self.case.graph.facts());
                self.add(op, &[x])
            }
            Kind::Reshape => self.reshape(),
            Kind::Transpose => {
                let x = self.any();
                let mut perm: Vec<usize> = (0..self.rank(x)).collect();
                (1..perm.len()).rev().for_each(|n| perm.swap(n, self.rng.below(n + 1)));
                self.add(Transpose { perm }, &[x])
            }
            Kind::Slice => self.slice(),
            Kind::Pad => {
                let x = self.any();
                let ty = self.ty(x);
                let (low, high) = (self.paddings(ty.rank(), 0), self.paddings(ty.rank(), 0));
                let value = self.same(&TensorType::scalar(ty.dtype));
                self.add(Pad { low, high }, &[x, value])
            }
            Kind::Concat => self.concat(),
            Kind::Reduce => {
                let x = self.any();
                let axes = (0..self.rank(x)).filter(|_| self.rng.once_in(2)).collect();
                let f = self.rng.pick(&FOLDS);
                self.add(Reduce { f, axes }, &[x])
            }
            Kind::ArgReduce => {
                let x = self.operand(&NUMERIC, 1);
                let axis = self.rng.below(self.rank(x));
                let (max, to) = (self.rng.once_in(2), self.rng.pick(&NUMERIC[..8]));
                self.add(ArgReduce { max, axis, to }, &[x])
            }
            Kind::Window => self.window(),
            Kind::Scan => {
                let x = self.operand(&NUMERIC, 1);
                let axis = self.rng.below(self.rank(x));
                let f = self.rng.pick(&FOLDS[..4]);
                let [exclusive, reverse] = [(); 2].map(|()| self.rng.once_in(2));
                self.add(Scan { f, axis, exclusive, reverse }, &[x])
            }
            Kind::Dot => self.dot(),
            Kind::Conv => self.conv(),
            Kind::Gather => self.gather(),
            Kind::Scatter => self.scatter(),
            Kind::Iota => {
                let (shape, dtype) = (self.dims(), self.rng.pick(&NUMERIC));
                let axis = self.rng.below(shape.len().max(1));
                self.add(Iota { shape, axis, dtype }, &[])
            }
            Kind::TopK => self.top_k(),
            Kind::Philox | Kind::TruncatedNormal | Kind::Sample => self.random_numbers(kind),
            Kind::Bind => self.found(),
            Kind::Within => self.within(),
            Kind::Forest => self.forest(),
            Kind::TextEqual => {
                let x = self.operand(&[DType::Str], 0);
                let ty = self.ty(x);
                let y = self.same(&ty);
                self.add(TextEqual {}, &[x, y])
            }
            Kind::Features | Kind::ListCount | Kind::ListValues => self.record(kind),
            Kind::TextLength | Kind::TextHash | Kind::TextPart | Kind::TextStrip | Kind::Find => self.text(kind),
            Kind::TextMatches => self.matches(),
            Kind::TextTrail | Kind::TextReplace => self.replace(kind),
            Kind::TextCount | Kind::TextSplit => self.split(kind),
            Kind::TextPlace | Kind::TextRaw => self.looked_into(kind),
            Kind::TextInt | Kind::TextFloat => self.spelled(kind),
            Kind::TextCase | Kind::TextJoin | Kind::TextNumber => self.text(kind),
            Kind::TextCodes | Kind::TextDecode => self.decoded(kind),
        }
    }
    fn two_operands(&mut self) -> Option<NodeId> {
        let x = self.any();
        let ty = self.ty(x);
        let f = self.rng.pick(&BINARY);
        let y = match f {
            BinaryFn::Div | BinaryFn::Rem | BinaryFn::Pow if ty.dtype.is_int() => {
                self.leaf_of(ty.dtype, ty.shape, |g, d| Scalar::from_i64(d, g.rng.range(1, 5)))
            }
            _ => self.same(&ty),
        };
        self.add(Binary { f }, &[x, y])
    }
    fn concat(&mut self) -> Option<NodeId> {
        let x = self.any();
        let ty = self.ty(x);
        let axis = self.rng.below(ty.rank().max(1));
        let mut parts = vec![x];
        for _ in 0..self.rng.below(4) {
            let mut part = ty.clone();
            *part.shape.get_mut(axis)? = self.dim();
            part.concrete(&self.case.bind).filter(|s| s.iter().product::<usize>() <= MAX_COUNT)?;
            parts.insert(self.rng.below(parts.len() + 1), self.same(&part));
        }
        self.add(Concat { axis }, &parts)
    }
    fn window(&mut self) -> Option<NodeId> {
        let x = self.any();
        let rank = self.rank(x);
        let (size, stride, dilation) = (self.ints(rank, 1, 3), self.ints(rank, 1, 3), self.ints(rank, 1, 2));
        let (low, high) = (self.paddings(rank, 0), self.paddings(rank, 0));
        let f = self.rng.pick(&FOLDS);
        self.add(Window { f, size, stride, dilation, low, high }, &[x])
    }
    fn dot(&mut self) -> Option<NodeId> {
        let a = self.operand(&NUMERIC, 2);
        let mut ty = self.ty(a);
        let rank = ty.rank();
        ty.shape[rank - 2] = ty.shape[rank - 1].clone();
        ty.shape[rank - 1] = self.dim();
        ty.concrete(&self.case.bind).filter(|s| s.iter().product::<usize>() <= MAX_COUNT)?;
        let b = self.same(&ty);
        self.add(Dot {}, &[a, b])
    }
    fn top_k(&mut self) -> Option<NodeId> {
        let x = self.operand(&NUMERIC, 1);
        let n = self.shape(x)[self.rank(x) - 1].clone();
        let k = match n.as_int() {
            Some(n) => Dim::from(self.rng.range(0, n)),
            None => n.floor_div(&Dim::from(self.rng.range(1, 2))),
        };
        let to = self.rng.pick(&[DType::I16, DType::I32, DType::I64]);
        self.add(TopK { k, to }, &[x])
    }
    fn random_numbers(&mut self, kind: Kind) -> Option<NodeId> {
        let mut start = |shape: Shape| {
            self.leaf_of(DType::U64, shape, |g, _| {
                let any = g.rng.bits();
                Scalar::Uint(g.rng.pick(&[0, 1, u64::MAX, any]))
            })
        };
        let operands = [start(vec![]), start(vec![2.into()])];
        let many = self.dim() * self.rng.range(0, 4);
        if kind == Kind::Philox {
            let to = self.rng.pick(&[DType::U32, DType::U64]);
            return self.add(Philox { blocks: many, to }, &operands);
        }
        if kind == Kind::Sample {
            return self.of_law(operands);
        }
        let to = self.rng.pick(&[DType::F32, DType::F64]);
        self.add(TruncatedNormal { rows: many, to }, &operands)
    }
    /// Numbers of a law, of parameters that it has numbers of.
    fn of_law(&mut self, [key, counter]: [NodeId; 2]) -> Option<NodeId> {
        let law = self.rng.pick(&Law::ALL);
        let (samples, n) = (self.dim(), self.dim());
        let mut parameter = |from: i64, up_to: i64, over: f64| {
            self.leaf_of(DType::F64, vec![n.clone()], move |g, d| {
                Scalar::from_f64(d, g.rng.range(from, up_to) as f64 / over)
            })
        };
        let parameters = match law {
            Law::Exponential | Law::Gamma => vec![parameter(1, 40, 8.0)],
            Law::PoissonSmall => vec![parameter(0, 79, 8.0)],
            Law::PoissonLarge => vec![parameter(10, 200, 1.0)],
            Law::BinomialSmall => vec![parameter(1, 18, 1.0), parameter(1, 8, 16.0)],
            Law::BinomialLarge => vec![parameter(100, 900, 1.0), parameter(2, 8, 16.0)],
        };
        self.add(Sample { law, samples }, &[&[key, counter][..], &parameters].concat())
    }
    /// Splits some constant extents, merges some neighbours and adds some ones.
    fn reshape(&mut self) -> Option<NodeId> {
        let x = self.any();
        let mut factors: Shape = vec![];
        for extent in self.shape(x) {
            let divisor = Dim::from(self.rng.range(2, 3));
            let quotient = extent.floor_div(&divisor);
            if !extent.is(0) && &quotient * &divisor == extent && self.rng.once_in(2) {
                factors.extend([quotient, divisor]);
            } else {
                factors.push(extent);
            }
        }
        let mut shape: Shape = vec![];
        for factor in factors {
            match shape.last_mut() {
                Some(last) if self.rng.once_in(3) => *last = &*last * factor,
                _ => shape.push(factor),
            }
            if self.rng.once_in(5) {
                shape.push(Dim::one());
            }
        }
        self.add(Reshape { shape }, &[x])
    }
    fn slice(&mut self) -> Option<NodeId> {
        let x = self.any();
        let (mut start, mut stride, mut shape) = (vec![], vec![], vec![]);
        for extent in self.shape(x) {
            let (from, by, n) = match (extent.as_int(), self.rng.below(5)) {
                (Some(n), 0..=2) if n > 0 => {
                    let (from, by) = (self.rng.range(0, n - 1), self.rng.range(1, 3));
                    let (by, room) = if self.rng.once_in(2) { (by, n - 1 - from) } else { (-by, from) };
                    (Dim::from(from), by, Dim::from(self.rng.range(0, room / by.abs() + 1)))
                }
                (_, 0) => (&extent - 1, -1, extent),
                (_, 1) => (Dim::zero(), 2, extent.ceil_div(&Dim::from(2))),
                (_, 2) => (Dim::one(), 1, (extent - 1).at_least(&Dim::zero())),
                _ => (Dim::zero(), 1, extent),
            };
            start.push(from);
            stride.push(by);
            shape.push(n);
        }
        self.add(Slice { start, stride, shape }, &[x])
    }
    fn conv(&mut self) -> Option<NodeId> {
        let x = self.operand(&NUMERIC, 3);
        let ty = self.ty(x);
        let n = ty.rank() - 2;
        let channels = ty.shape[n + 1].clone();
        let divides = |g: &i64| channels.as_int().is_some_and(|c| c % g == 0);
        let groups = self.rng.pick(&[1, 2, 3, 4].into_iter().filter(|g| *g == 1 || divides(g)).collect::<Vec<i64>>());
        let mut filter: Shape = self.ints(n, 0, 3).into_iter().map(Dim::from).collect();
        filter.push(channels.floor_div(&Dim::from(groups)));
        filter.push(Dim::from(groups * self.rng.range(0, 3)));
        let filter = self.same(&TensorType::new(ty.dtype, filter));
        let (stride, dilation, input_dilation) = (self.ints(n, 1, 3), self.ints(n, 1, 2), self.ints(n, 1, 2));
        let (low, high) = (self.paddings(n, -1), self.paddings(n, -1));
        let groups = groups as usize;
        self.add(Conv { stride, dilation, input_dilation, low, high, groups }, &[x, filter])
    }
    fn gather(&mut self) -> Option<NodeId> {
        let mut dtypes = NUMERIC.to_vec();
        dtypes.push(DType::Bool);
        let params = self.operand(&dtypes, 1);
        let axis = self.rng.below(self.rank(params));
        let batch = self.rng.below(axis + 1);
        let extent = self.size(&self.shape(params)[axis]);
        let outer = self.shape(params)[..batch].to_vec();
        let in_range = |t: &Tensor| t.to_i64s().is_some_and(|v| v.iter().all(|i| (0..extent).contains(i)));
        let fits = |(id, node): &(NodeId, &Node)| {
            node.ty.dtype.is_int() && node.ty.shape.starts_with(&outer) && in_range(&self.values[id.index()])
        };
        let nodes: Vec<NodeId> = self.case.graph.iter().filter(fits).map(|(id, _)| id).collect();
        let indices = if nodes.is_empty() || self.rng.once_in(3) {
            let mut shape = outer.clone();
            shape.extend((0..self.rng.below(3)).map(|_| self.dim()));
            if extent == 0 {
                shape.push(Dim::zero());
            }
            let count: i64 = shape.iter().map(|d| self.size(d)).product();
            (count <= MAX_COUNT as i64).then_some(())?;
            let dtype = self.rng.pick(&NUMERIC[..8]);
            self.leaf_of(dtype, shape, |g, d| Scalar::from_i64(d, g.rng.range(0, extent - 1)))
        } else {
            self.rng.pick(&nodes)
        };
        let checked = self.rng.once_in(2);
        self.add(Gather { axis, batch, checked }, &[params, indices])
    }
    /// Indices that are all in range.
    fn within(&mut self) -> Option<NodeId> {
        let extents: Vec<i64> = (0..self.rng.range(1, 2)).map(|_| self.rng.range(1, 5)).collect();
        let mut shape: Shape = (0..self.rng.below(3)).map(|_| self.dim()).collect();
        shape.push(extents.len().into());
        let dtype = self.rng.pick(&NUMERIC[..8]);
        let mut n = 0;
        let indices = self.leaf_of(dtype, shape, |g, d| {
            n += 1;
            Scalar::from_i64(d, g.rng.range(0, extents[(n - 1) % extents.len()] - 1))
        });
        self.add(Within { extents, fault: Fault::IndexOutOfRange }, &[indices])
    }
    /// Indices of a constant of its own, some of them outside where that is no fault, or of few values.
    fn scatter(&mut self) -> Option<NodeId> {
        let mut dtypes = NUMERIC.to_vec();
        dtypes.push(DType::Bool);
        let x = self.operand(&dtypes, 1);
        let ty = self.ty(x);
        let depth = self.rng.range(1, ty.rank().min(2) as i64) as usize;
        let extents: Vec<i64> = ty.shape[..depth].iter().map(|n| self.size(n)).collect();
        let [below, above] = [(); 2].map(|()| self.rng.pick(&[Outside::Fault, Outside::Drop]));
        let mut outer: Shape = (0..self.rng.below(3)).map(|_| self.dim()).collect();
        if extents.contains(&0) {
            outer.push(Dim::zero());
        }
        let updates = TensorType::new(ty.dtype, [&outer, &ty.shape[depth..]].concat());
        updates.concrete(&self.case.bind).filter(|s| s.iter().product::<usize>() <= MAX_COUNT)?;
        let dtype = self.rng.pick(&NUMERIC[..8]);
        let shape = [&outer[..], &[Dim::from(depth)]].concat();
        let outside = |rule, by| if rule == Outside::Drop { by } else { 0 };
        let (low, high) = (-outside(below, i64::from(dtype.is_signed_int())), outside(above, 2) - 1);
        let mut n = 0;
        let indices = self.leaf_of(dtype, shape, |g, d| {
            let extent = extents[n % depth];
            n += 1;
            Scalar::from_i64(d, g.rng.range(low, extent + high))
        });
        let f = self.rng.pick(&Combine::ALL.into_iter().filter(|f| f.accepts(ty.dtype)).collect::<Vec<_>>());
        let updates = match f {
            Combine::Div if ty.dtype.is_int() => {
                self.leaf_of(ty.dtype, updates.shape, |g, d| Scalar::from_i64(d, g.rng.range(1, 5)))
            }
            _ => self.same(&updates),
        };
        self.add(Scatter { f, depth, below, above }, &[x, indices, updates])
    }
}
