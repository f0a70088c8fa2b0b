//! Pieces of networks, at every batch size and on every kind of target.

use super::*;
use crate::{
    graph::NodeId,
    loops::{BinaryFn, UnaryFn},
    op::*,
};

/// Builds graphs in few words.
#[derive(Default)]
pub struct Net {
    pub graph: Graph,
    seed: u64,
}

impl Net {
    pub fn input(&mut self, shape: &str) -> NodeId {
        self.input_of(DType::F32, shape)
    }
    pub fn input_of(&mut self, dtype: DType, shape: &str) -> NodeId {
        let name = format!("x{}", self.graph.inputs.len());
        self.graph.input(name, format!("{dtype}[{shape}]").parse().unwrap())
    }
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
        self.graph.add(op, inputs).unwrap()
    }
    pub fn weights(&mut self, dtype: DType, shape: &[usize]) -> NodeId {
        self.seed += 1;
        self.graph.constant(random_tensor(dtype, shape, self.seed))
    }
    pub fn binary(&mut self, f: BinaryFn, x: NodeId, y: NodeId) -> NodeId {
        self.add(Binary { f }, &[x, y])
    }
    pub fn unary(&mut self, f: UnaryFn, x: NodeId) -> NodeId {
        self.add(Unary { f }, &[x])
    }
    /// `x` under the shape of `like`, repeated along its axes of extent 1.
    pub fn broadcast(&mut self, x: NodeId, like: NodeId) -> NodeId {
        let shape = self.graph.shape(like).to_vec();
        let missing = shape.len() - self.graph.shape(x).len();
        let reshaped = [vec![Dim::one(); missing], self.graph.shape(x).to_vec()].concat();
        let x = self.add(Reshape { shape: reshaped }, &[x]);
        self.add(Broadcast::to(shape), &[x])
    }
    pub fn bias(&mut self, x: NodeId) -> NodeId {
        let ty = self.graph.ty(x).clone();
        let channels = ty.shape.last().unwrap().as_int().unwrap() as usize;
        let bias = self.weights(ty.dtype, &[channels]);
        let bias = self.broadcast(bias, x);
        self.binary(BinaryFn::Add, x, bias)
    }
    pub fn relu(&mut self, x: NodeId) -> NodeId {
        let dtype = self.graph.ty(x).dtype;
        let zero = self.graph.constant(Tensor::scalar(dtype, Scalar::zero(dtype)));
        let zero = self.broadcast(zero, x);
        self.binary(BinaryFn::Max, x, zero)
    }
    pub fn dot(&mut self, x: NodeId, columns: usize) -> NodeId {
        let ty = self.graph.ty(x).clone();
        let depth = ty.shape.last().unwrap().as_int().unwrap() as usize;
        let w = self.weights(ty.dtype, &[depth, columns]);
        self.add(Dot {}, &[x, w])
    }
    pub fn reduce(&mut self, f: BinaryFn, axes: &[usize], x: NodeId) -> NodeId {
        self.add(Reduce { f, axes: axes.to_vec() }, &[x])
    }
    pub fn conv(&mut self, x: NodeId, filter: &[usize], conv: Conv) -> NodeId {
        let dtype = self.graph.ty(x).dtype;
        let w = self.weights(dtype, filter);
        self.add(conv, &[x, w])
    }
    pub fn softmax(&mut self, x: NodeId) -> NodeId {
        let last = self.graph.shape(x).len() - 1;
        let max = self.reduce(BinaryFn::Max, &[last], x);
        let max = self.broadcast(max, x);
        let shifted = self.binary(BinaryFn::Sub, x, max);
        let e = self.unary(UnaryFn::Exp, shifted);
        let sum = self.reduce(BinaryFn::Add, &[last], e);
        let sum = self.broadcast(sum, x);
        self.binary(BinaryFn::Div, e, sum)
    }
    pub fn done(mut self, outputs: &[NodeId]) -> Graph {
        outputs.iter().enumerate().for_each(|(n, &id)| self.graph.output(format!("y{n}"), id));
        self.graph
    }
}

/// A convolution over `n` axes with one stride, dilation and padding.
pub fn conv(n: usize, stride: i64, dilation: i64, low: i64, high: i64, groups: usize) -> Conv {
    Conv {
        stride: vec![stride; n],
        dilation: vec![dilation; n],
        input_dilation: vec![1; n],
        low: vec![Dim::from(low); n],
        high: vec![Dim::from(high); n],
        groups,
    }
}

#[test]
fn dense_layers() {
    for (depth, columns) in [(1, 1), (7, 10), (20, 64), (13, 130), (5, 100), (64, 33)] {
        let mut net = Net::default();
        let x = net.input(&format!("batch,{depth}"));
        let y = net.dot(x, columns);
        let y = net.bias(y);
        let y = net.relu(y);
        let z = net.dot(y, 3);
        check_batches(&format!("dense {depth} x {columns}"), &net.done(&[z, y]));
    }
}

/// Three columns take four lanes of a vector of 8 or 16, nine all of them.
#[test]
fn few_columns_are_computed_in_short_vectors() {
    let widest = |isa, columns| {
        let mut net = Net::default();
        let x = net.input("50,72");
        let y = net.dot(x, columns);
        let graph = prepare(net.done(&[y]), &Choices::default());
        let program = plan("test", &graph, &TargetInfo::new(isa), &mut Weights::default());
        let locals = program.launches[0].kernel.locals.iter().map(|(_, l)| *l.shape.last().unwrap());
        locals.max().unwrap()
    };
    assert_eq!([Isa::X64V4, Isa::X64V3, Isa::X64].map(|isa| widest(isa, 3)), [4, 4, 4]);
    assert_eq!([Isa::X64V4, Isa::X64V3, Isa::X64].map(|isa| widest(isa, 9)), [16, 16, 12]);
}

/// Panels that no cache holds are read in strips; the last panel is one.
#[test]
fn panels_in_strips() {
    for (isa, columns) in
        [Isa::X64V4, Isa::X64V3, Isa::X64].into_iter().flat_map(|i| [20, 40, 64, 100, 164].map(|c| (i, c)))
    {
        let mut net = Net::default();
        let x = net.input("batch,72");
        let y = net.dot(x, columns);
        let graph = net.done(&[y]);
        let target = TargetInfo { l1: 2 << 10, l2: 8 << 10, l3: 64 << 10, ..TargetInfo::new(isa) };
        for batch in [1, 50] {
            let bind = Bindings::from([(Symbol::new("batch"), batch)]);
            let input = random_tensor(DType::F32, &[batch as usize, 72], 5);
            check_on(&format!("{columns} columns for {isa:?}"), &graph, &target, std::slice::from_ref(&input), &bind);
            let mut net = Net::default();
            let x = net.input(&format!("{batch},72"));
            let y = net.dot(x, columns);
            check_on(&format!("{columns} columns for {isa:?}"), &net.done(&[y]), &target, &[input], &Bindings::new());
        }
    }
}

#[test]
fn dense_layers_of_every_type() {
    for dtype in DType::ALL.into_iter().filter(|d| d.is_int() || d.is_float()) {
        let mut net = Net::default();
        let x = net.input_of(dtype, "batch,9");
        let y = net.dot(x, 21);
        let y = net.bias(y);
        let y = net.relu(y);
        check_batches(dtype.name(), &net.done(&[y]));
    }
}

/// These filters are convolved by Winograd's method; the last row and column of tiles are cut off.
#[test]
fn filters_of_three_by_three() {
    let mut net = Net::default();
    let x = net.input("batch,13,11,32");
    let y = net.conv(x, &[3, 3, 32, 33], conv(2, 1, 1, 1, 1, 1));
    let y = net.bias(y);
    let y = net.relu(y);
    let z = net.conv(y, &[3, 3, 33, 32], conv(2, 1, 1, 1, 1, 1));
    let z = net.binary(BinaryFn::Add, z, x);
    let graph = net.done(&[z]);
    let has_conv =
        |direct| prepare(graph.clone(), &Choices { direct }).iter().any(|(_, node)| matches!(node.op, Op::Conv(_)));
    assert!(has_conv(true) && !has_conv(false));
    for batch in [0, 1, 2] {
        let bind = Bindings::from([(Symbol::new("batch"), batch)]);
        // Small, since the tolerance is absolute where sums cancel.
        let mut rng = Rng::new(5);
        let input =
            Tensor::from_fn(DType::F32, [batch as usize, 13, 11, 32], |_| Scalar::F32(rng.unit() as f32 / 16.0));
        check("3x3", &graph, Isa::X64, &[input], &bind);
    }
}

#[test]
fn convolutions() {
    let mut seen = 0;
    for (stride, dilation, (low, high), (kernel, groups)) in [1, 2, 3].into_iter().flat_map(|s| {
        [1, 2].into_iter().flat_map(move |d| {
            [(0, 0), (1, 2), (-1, 1), (0, -2)]
                .into_iter()
                .flat_map(move |p| [(1, 1), (3, 1), (2, 2), (3, 6), (1, 3)].into_iter().map(move |g| (s, d, p, g)))
        })
    }) {
        let mut net = Net::default();
        let x = net.input("batch,8,7,6");
        let filter = [kernel, kernel, 6 / groups, 12];
        let y = net.conv(x, &filter, conv(2, stride, dilation, low, high, groups));
        let y = net.bias(y);
        let y = net.relu(y);
        let what = format!("stride {stride}, dilation {dilation}, padding {low} {high}, {groups} groups of {kernel}");
        seen += 1;
        check_batches(&what, &net.done(&[y]));
    }
    assert_eq!(seen, 120);
}

#[test]
fn transposed_convolutions() {
    let cases = [(2, 3, 2, 1), (2, 2, 1, 1), (3, 2, 0, 4), (2, 4, 2, 2), (3, 5, 1, 2), (2, 3, 3, 4), (4, 4, 3, 3)];
    for (spread, kernel, low, high) in cases {
        let mut net = Net::default();
        let x = net.input("batch,5,4,3");
        let mut op = conv(2, 1, 1, low, high, 1);
        op.input_dilation = vec![spread; 2];
        let y = net.conv(x, &[kernel, kernel, 3, 5], op);
        let y = net.bias(y);
        let z = net.relu(y);
        let z = net.binary(BinaryFn::Mul, z, y);
        let z = net.conv(z, &[3, 3, 5, 2], conv(2, 1, 1, 1, 1, 1));
        check_batches(&format!("transposed {spread} {kernel} {low} {high}"), &net.done(&[y, z]));
    }
    // Axes that differ, one axis, three axes, groups.
    let mut net = Net::default();
    let x = net.input("batch,5,4,6");
    let mut op = conv(2, 1, 1, 1, 2, 2);
    op.input_dilation = vec![1, 3];
    let a = net.conv(x, &[2, 4, 3, 8], op);
    let x = net.input("batch,7,3");
    let mut op = conv(1, 1, 1, 2, 2, 1);
    op.input_dilation = vec![2];
    let b = net.conv(x, &[4, 3, 5], op);
    let b = net.relu(b);
    let x = net.input("batch,2,3,2,3");
    let mut op = conv(3, 1, 1, 1, 1, 1);
    op.input_dilation = vec![2; 3];
    let c = net.conv(x, &[2, 2, 2, 3, 5], op);
    check_batches("transposed along some axes", &net.done(&[a, b, c]));
}

#[test]
fn transposed_convolutions_are_one_kernel_for_each_phase() {
    let mut net = Net::default();
    let x = net.input("batch,8,8,16");
    let mut op = conv(2, 1, 1, 1, 1, 1);
    op.input_dilation = vec![2; 2];
    let y = net.conv(x, &[2, 2, 16, 16], op);
    let y = net.bias(y);
    let y = net.relu(y);
    let graph = net.done(&[y]);
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(Isa::X64), &mut Weights::default());
    assert_eq!(program.launches.len(), 4);
    let flops = program.launches.iter().fold(Dim::zero(), |sum, l| sum + &l.flops);
    assert!(fuse::estimate(&flops) < 16.0 * 2.2 * (16 * 16 * 16 * 16) as f64, "{flops}");
}

#[test]
fn convolutions_of_one_and_three_axes() {
    let mut net = Net::default();
    let x = net.input("batch,13,5");
    let a = net.conv(x, &[3, 5, 7], conv(1, 2, 1, 1, 1, 1));
    let y = net.input("batch,4,5,6,2");
    let b = net.conv(y, &[2, 3, 1, 2, 9], conv(3, 1, 1, 1, 0, 1));
    check_batches("axes", &net.done(&[a, b]));
}

#[test]
fn residual_blocks() {
    let mut net = Net::default();
    let x = net.input("batch,6,6,8");
    let a = net.conv(x, &[3, 3, 8, 8], conv(2, 1, 1, 1, 1, 1));
    let a = net.bias(a);
    let a = net.relu(a);
    let b = net.conv(a, &[3, 3, 8, 8], conv(2, 1, 1, 1, 1, 1));
    let c = net.conv(x, &[1, 1, 8, 8], conv(2, 1, 1, 0, 0, 1));
    let b = net.bias(b);
    let sum = net.binary(BinaryFn::Add, b, c);
    let sum = net.relu(sum);
    let mean = net.reduce(BinaryFn::Add, &[1, 2], sum);
    let flat = net.add(Reshape { shape: vec![Dim::sym("batch"), Dim::from(8)] }, &[mean]);
    let y = net.dot(flat, 10);
    let y = net.softmax(y);
    check_batches("residual", &net.done(&[y, sum]));
}

#[test]
fn attention() {
    let mut net = Net::default();
    let x = net.input("batch,5,12");
    let rows = net.add(Reshape { shape: vec![Dim::sym("batch") * 5, Dim::from(12)] }, &[x]);
    let heads = |net: &mut Net, perm: [usize; 4]| {
        let y = net.dot(rows, 12);
        let y = net.bias(y);
        let shape = ["batch", "5", "3", "4"].map(|d| d.parse().unwrap()).to_vec();
        let y = net.add(Reshape { shape }, &[y]);
        net.add(Transpose { perm: perm.to_vec() }, &[y])
    };
    let (q, k, v) = (heads(&mut net, [0, 2, 1, 3]), heads(&mut net, [0, 2, 3, 1]), heads(&mut net, [0, 2, 1, 3]));
    let scores = net.add(Dot {}, &[q, k]);
    let weights = net.softmax(scores);
    let mixed = net.add(Dot {}, &[weights, v]);
    let back = net.add(Transpose { perm: vec![0, 2, 1, 3] }, &[mixed]);
    let back = net.add(Reshape { shape: vec![Dim::sym("batch"), Dim::from(5), Dim::from(12)] }, &[back]);
    let y = net.binary(BinaryFn::Add, x, back);
    check_batches("attention", &net.done(&[y]));
}

#[test]
fn batched_products() {
    let mut net = Net::default();
    let (x, y) = (net.input("3,batch,6"), net.input("3,6,batch"));
    let w = net.weights(DType::F32, &[3, 6, 70]);
    let a = net.add(Dot {}, &[x, w]);
    let b = net.add(Dot {}, &[x, y]);
    let shared = net.weights(DType::F32, &[1, 6, 5]);
    let shared = net.add(Broadcast::to(["3", "6", "5"].map(|d| d.parse().unwrap()).to_vec()), &[shared]);
    let c = net.add(Dot {}, &[x, shared]);
    check_batches("batched", &net.done(&[a, b, c]));
}

#[test]
fn pooling_joining_and_normalising() {
    let mut net = Net::default();
    let x = net.input("batch,9,7,6");
    let window = |f, size: i64, stride: i64, pad: i64| Window {
        f,
        size: vec![1, size, size, 1],
        stride: vec![1, stride, stride, 1],
        dilation: vec![1; 4],
        low: [0, pad, pad, 0].map(Dim::from).to_vec(),
        high: [0, pad, 0, 0].map(Dim::from).to_vec(),
    };
    let max = net.add(window(BinaryFn::Max, 3, 2, 1), &[x]);
    let sum = net.add(window(BinaryFn::Add, 2, 2, 0), &[x]);
    let sum = net.bias(sum);
    let all = net.add(window(BinaryFn::Add, 3, 1, 1), &[x]);
    let joined = net.add(Concat { axis: 3 }, &[x, x, x]);
    let joined = net.bias(joined);
    let middle = ["batch", "5", "7", "4"].map(|d| d.parse().unwrap()).to_vec();
    let start = [0, 2, 0, 5].map(Dim::from).to_vec();
    let part = net.add(Slice { start, stride: vec![1; 4], shape: middle }, &[joined]);
    let mean = net.reduce(BinaryFn::Add, &[3], x);
    let mean = net.broadcast(mean, x);
    let centred = net.binary(BinaryFn::Sub, x, mean);
    let square = net.binary(BinaryFn::Mul, centred, centred);
    let variance = net.reduce(BinaryFn::Add, &[3], square);
    let spread = net.unary(UnaryFn::Sqrt, variance);
    let spread = net.broadcast(spread, x);
    let normal = net.binary(BinaryFn::Div, centred, spread);
    check_batches("pooling", &net.done(&[max, sum, all, part, normal, x, max]));
}

#[test]
fn folds_of_every_kind() {
    for f in [BinaryFn::Add, BinaryFn::Mul, BinaryFn::Max, BinaryFn::Min] {
        for axes in [&[0][..], &[1], &[2], &[3], &[0, 1], &[1, 2], &[2, 3], &[1, 3], &[0, 2, 3], &[0, 1, 2, 3], &[]] {
            for (dtype, shape) in
                [(DType::F32, "batch,3,1,5"), (DType::I8, "4,batch,2,35"), (DType::BF16, "2,3,7,batch")]
            {
                let mut net = Net::default();
                let x = net.input_of(dtype, shape);
                let y = net.reduce(f, axes, x);
                let y = net.relu(y);
                check_batches(&format!("{f:?} of {dtype}[{shape}] along {axes:?}"), &net.done(&[y]));
            }
        }
    }
}

#[test]
fn windows_of_every_kind() {
    for (size, stride, dilation, pads) in
        [([1, 2, 1, 3], 1, 1, [0, 1, 0, 2]), ([1, 3, 2, 1], 2, 2, [0, 2, 1, 0]), ([2, 1, 1, 1], 1, 3, [1, 0, 0, 0])]
    {
        for (f, dtype) in [(BinaryFn::Max, DType::F32), (BinaryFn::Add, DType::F16), (BinaryFn::Min, DType::U8)] {
            let mut net = Net::default();
            let x = net.input_of(dtype, "batch,9,7,21");
            let steps = |n: i64| size.map(|s| if s == 1 { 1 } else { n }).to_vec();
            let op = Window {
                f,
                size: size.to_vec(),
                stride: steps(stride),
                dilation: steps(dilation),
                low: pads.map(Dim::from).to_vec(),
                high: pads.map(Dim::from).to_vec(),
            };
            let y = net.add(op, &[x]);
            check_batches(&format!("{f:?} of {dtype} in {size:?}"), &net.done(&[y]));
        }
    }
}

#[test]
fn gated_epilogues() {
    let mut net = Net::default();
    let x = net.input("batch,9,9,5");
    let y = net.conv(x, &[3, 3, 5, 18], conv(2, 1, 1, 0, 0, 1));
    let flat = net.add(Reshape { shape: vec![Dim::sym("batch"), Dim::from(49 * 18)] }, &[y]);
    let gate = net.unary(UnaryFn::Tanh, flat);
    let gated = net.binary(BinaryFn::Mul, flat, gate);
    let gated = net.bias(gated);
    let graph = net.done(&[gated]);
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(Isa::X64), &mut Weights::default());
    assert_eq!(program.launches.len(), 1);
    check_batches("gated", &graph);
}

#[test]
fn depthwise_convolutions_of_odd_widths() {
    for (channels, kernel, pad) in [(3, 3, 1), (37, 2, 0), (64, 5, 2)] {
        let mut net = Net::default();
        let x = net.input(&format!("batch,7,5,{channels}"));
        let y = net.conv(x, &[kernel, kernel, 1, channels], conv(2, 1, 1, pad, pad, channels));
        let y = net.bias(y);
        check_batches(&format!("{channels} channels"), &net.done(&[y]));
    }
}

/// Deep sums are made of blocks: along one loop, with a rest, and within several loops.
#[test]
fn deep_products() {
    for depth in [1024, 1031, 1536, 2100] {
        let mut net = Net::default();
        let x = net.input(&format!("batch,{depth}"));
        let y = net.dot(x, 5);
        check_batches(&format!("depth {depth}"), &net.done(&[y]));
    }
    let mut net = Net::default();
    let x = net.input("batch,4,4,180");
    let y = net.conv(x, &[3, 3, 180, 6], conv(2, 1, 1, 0, 0, 1));
    let z = net.conv(x, &[2, 2, 180, 6], conv(2, 1, 2, 1, 0, 1));
    check_batches("deep convolutions", &net.done(&[y, z]));
}

/// Rows and columns around the edges of tiles, strips and panels, known and unknown ones, on every kind of target.
#[test]
fn products_around_the_edges_of_tiles() {
    let mut rng = Rng::new(11);
    let edges = [1, 2, 3, 5, 6, 7, 13, 14, 15, 16, 17, 23, 29, 31, 32, 33, 48, 49, 63, 64, 65, 97, 130];
    let mut pick = || edges[rng.range(0, edges.len() as i64 - 1) as usize];
    for round in 0..24 {
        let (rows, depth, columns) = (pick(), pick(), pick());
        let mut net = Net::default();
        let x = net.input(&format!("{rows},{depth}"));
        let y = net.dot(x, columns as usize);
        let z = net.bias(y);
        // The same with an operand that is not constant, and with numbers that are not known.
        let other = net.input(&format!("{depth},{columns}"));
        let product = net.add(Dot {}, &[x, other]);
        let graph = net.done(&[z, product]);
        let inputs = [random_tensor(DType::F32, &[rows as usize, depth as usize], round), {
            random_tensor(DType::F32, &[depth as usize, columns as usize], round + 100)
        }];
        let mut free = Net::default();
        let (x, y) = (free.input("m,k"), free.input("k,n"));
        let product = free.add(Dot {}, &[x, y]);
        let free = free.done(&[product]);
        let bind = [("m", rows), ("k", depth), ("n", columns)].map(|(s, n)| (Symbol::new(s), n)).into();
        let isas = [ISAS[round as usize % ISAS.len()], Isa::X64V4];
        let what = format!("{rows} x {depth} x {columns}");
        check(&what, &graph, isas[round as usize % 2], &inputs, &Bindings::new());
        check(&what, &free, isas[(round as usize + 1) % 2], &inputs, &bind);
    }
}

/// Images whose rows do not merge, narrow and wide ones: tiles of several image rows, rests, strides.
#[test]
fn images_around_the_edges_of_tiles() {
    for (n, (height, width)) in
        [(7, 7), (9, 9), (5, 17), (16, 3), (3, 30), (1, 29), (12, 4), (14, 14), (2, 1)].into_iter().enumerate()
    {
        for (channels, filters, stride) in [(3, 20, 1), (1, 16, 2), (2, 70, 1)] {
            let mut net = Net::default();
            let x = net.input(&format!("2,{height},{width},{channels}"));
            let y = net.conv(x, &[3, 3, channels, filters], conv(2, stride, 1, 1, 1, 1));
            let y = net.bias(y);
            let z = net.conv(x, &[1, 1, channels, filters], conv(2, 2, 1, 0, 0, 1));
            let graph = net.done(&[y, z]);
            let input = random_tensor(DType::F32, &[2, height, width, channels], n as u64);
            let isa = if n % 2 == 0 { Isa::X64V4 } else { ISAS[n % ISAS.len()] };
            let what = format!("{height} x {width} x {channels} to {filters}, stride {stride}, {isa:?}");
            check(&what, &graph, isa, &[input], &Bindings::new());
        }
    }
}

/// What a cache does not hold is computed in blocks of rows and columns, each element once.
#[test]
fn blocks_cover_everything() {
    let mut target = TargetInfo::new(Isa::X64V4);
    target.l2 = 1 << 14;
    for (rows, depth, columns) in [(210, 40, 300), (45, 130, 130), (4, 90, 200), (120, 20, 150)] {
        let mut net = Net::default();
        let x = net.input_of(DType::I32, &format!("{rows},{depth}"));
        let y = net.dot(x, columns);
        let graph = net.done(&[y]);
        let input = random_tensor(DType::I32, &[rows, depth], 5);
        let program = plan("test", &prepare(graph.clone(), &Choices::default()), &target, &mut Weights::default());
        assert!(program.launches.iter().all(|l| matches!(l.kernel.body[..], [Stmt::For { .. }])));
        check_on(&format!("{rows} x {depth} x {columns}"), &graph, &target, &[input], &Bindings::new());
    }
}

#[test]
fn depthwise_convolutions_of_every_stride() {
    for (n, (kernel, stride, dilation)) in
        [(3, 1, 1), (3, 2, 1), (2, 1, 3), (5, 2, 1), (7, 1, 1), (1, 3, 1), (3, 1, 2)].into_iter().enumerate()
    {
        for (width, channels) in [(1, 24), (7, 16), (21, 5)] {
            let mut net = Net::default();
            let x = net.input(&format!("batch,{},{},{channels}", n + 6, width + 6));
            let y = net.conv(x, &[kernel, kernel, 1, channels], conv(2, stride, dilation, 1, 1, channels));
            let y = net.bias(y);
            let y = net.relu(y);
            check_batches(&format!("kernel {kernel}, stride {stride}, dilation {dilation}"), &net.done(&[y]));
        }
    }
    let mut net = Net::default();
    let x = net.input("batch,40,3");
    let wide = net.conv(x, &[33, 1, 3], conv(1, 1, 1, 0, 0, 3));
    let y = net.input("batch,5,5,5,4");
    let solid = net.conv(y, &[3, 3, 3, 1, 4], conv(3, 1, 1, 1, 1, 4));
    check_batches("other ranks", &net.done(&[wide, solid]));
}

/// Borders of any width on any side of an input: taps that lie in them are left out, and nothing is copied.
#[test]
fn depthwise_convolutions_leave_borders_out() {
    for (kernel, stride, dilation, low, high) in [
        (3, 1, 1, 1, 1),
        (3, 2, 1, 0, 1),
        (5, 1, 1, 2, 2),
        (5, 3, 1, 4, 3),
        (3, 1, 4, 4, 4),
        (7, 2, 1, 3, 2),
        (1, 1, 1, 2, 1),
    ] {
        for width in [1, 5, 28, 61] {
            let mut net = Net::default();
            let x = net.input(&format!("batch,9,{width},20"));
            let y = net.conv(x, &[kernel, kernel, 1, 20], conv(2, stride, dilation, low, high, 20));
            let y = net.bias(y);
            let graph = net.done(&[y]);
            check_batches(&format!("kernel {kernel}, stride {stride}, dilation {dilation}, width {width}"), &graph);
            let mut weights = Weights::default();
            let prepared = prepare(graph.clone(), &Choices::default());
            let program = plan("test", &prepared, &TargetInfo::new(Isa::X64V4), &mut weights);
            assert!(program.launches.len() <= 1 && program.workspace.is(0), "{}", program.launches.len());
        }
    }
    // What another kernel makes is written into a border: that costs nothing.
    let mut net = Net::default();
    let x = net.input("2,9,28,20");
    let y = net.conv(x, &[1, 1, 20, 32], conv(2, 1, 1, 0, 0, 1));
    let y = net.conv(y, &[3, 3, 1, 32], conv(2, 1, 1, 1, 1, 32));
    assert!(prepare(net.done(&[y]), &Choices::default()).iter().any(|(_, node)| matches!(node.op, Op::Pad(_))));
}

#[test]
fn transposes_of_many_extents() {
    for (shape, perm) in [
        ("batch,33,20", [0, 2, 1]),
        ("16,batch,48", [2, 1, 0]),
        ("40,32,batch", [1, 0, 2]),
        ("17,3,16", [2, 1, 0]),
        ("batch,64,32", [0, 2, 1]),
    ] {
        let mut net = Net::default();
        let x = net.input(shape);
        let y = net.add(Transpose { perm: perm.to_vec() }, &[x]);
        let y = net.unary(UnaryFn::Neg, y);
        check_batches(&format!("{shape} transposed by {perm:?}"), &net.done(&[y]));
    }
}

#[test]
fn places_of_extremes() {
    for dtype in [DType::F32, DType::F64, DType::I32, DType::U64, DType::F16] {
        for (shape, axis, max) in [("batch,37", 1, true), ("3,batch,5,1", 2, false), ("2,7,batch", 1, true)] {
            let mut net = Net::default();
            let x = net.input_of(dtype, shape);
            let y = net.add(ArgReduce { max, axis, to: DType::I64 }, &[x]);
            check_batches(&format!("{dtype}[{shape}] along {axis}"), &net.done(&[y]));
        }
    }
    let special = [f32::NAN, f32::NEG_INFINITY, 1.0, f32::NAN, 1.0, f32::NAN, f32::NAN, f32::NEG_INFINITY, f32::NAN];
    for max in [true, false] {
        let mut net = Net::default();
        let x = net.input("3,3");
        let y = net.add(ArgReduce { max, axis: 1, to: DType::I32 }, &[x]);
        let x =
            Tensor::from_fn(DType::F32, [3, 3], |ix| Scalar::from_f64(DType::F32, special[3 * ix[0] + ix[1]] as f64));
        check("special", &net.done(&[y]), Isa::X64, &[x], &Bindings::new());
    }
}

/// A few filters for each of many channels are computed by lanes, one for each filter.
#[test]
fn depthwise_convolutions_of_several_filters() {
    for (filters, stride, pad) in [(2, 1, 1), (3, 2, 0), (7, 1, 0)] {
        let mut net = Net::default();
        let x = net.input("batch,7,6,9");
        let y = net.conv(x, &[3, 2, 1, 9 * filters], conv(2, stride, 1, pad, pad, 9));
        let y = net.bias(y);
        let y = net.relu(y);
        let graph = net.done(&[y]);
        check_batches(&format!("{filters} filters for each channel"), &graph);
        let program = plan(
            "test",
            &prepare(graph.clone(), &Choices::default()),
            &TargetInfo::new(Isa::X64),
            &mut Weights::default(),
        );
        let last = &program.launches.last().unwrap().kernel;
        assert!(last.locals.iter().all(|(_, local)| local.shape.len() == 1), "{last}");
    }
}
