//! A network whose tensors have their channels first becomes the kernels of the same network with channels last.

use super::{
    networks::{Net, conv},
    *,
};
use crate::{graph::NodeId, loops::BinaryFn, op::*, opt};

/// Between channels last and the order of a network's tensors.
struct Layout {
    first: bool,
}

impl Layout {
    fn shape(&self, channels: usize, side: usize) -> String {
        if self.first { format!("batch,{channels},{side},{side}") } else { format!("batch,{side},{side},{channels}") }
    }
    fn channel(&self) -> usize {
        if self.first { 1 } else { 3 }
    }
    fn pixels(&self) -> [usize; 2] {
        if self.first { [2, 3] } else { [1, 2] }
    }
    /// What works on channels last, between transposes where they are first.
    fn last(&self, net: &mut Net, x: NodeId, f: impl FnOnce(&mut Net, NodeId) -> NodeId) -> NodeId {
        if !self.first {
            return f(net, x);
        }
        let x = net.add(Transpose { perm: vec![0, 2, 3, 1] }, &[x]);
        let y = f(net, x);
        net.add(Transpose { perm: vec![0, 3, 1, 2] }, &[y])
    }
    fn conv(&self, net: &mut Net, x: NodeId, filter: [usize; 4], stride: i64, groups: usize) -> NodeId {
        let pad = filter[0] as i64 / 2;
        self.last(net, x, |net, x| net.conv(x, &filter, conv(2, stride, 1, pad, pad, groups)))
    }
    /// Adds a value for each channel, and cuts off what is below 0.
    fn activate(&self, net: &mut Net, x: NodeId) -> NodeId {
        let channels = net.graph.shape(x)[self.channel()].as_int().unwrap() as usize;
        let mut shape = vec![1; 4];
        shape[self.channel()] = channels;
        let bias = net.weights(DType::F32, &[channels]);
        let bias = net.add(Reshape { shape: shape.into_iter().map(Dim::from).collect() }, &[bias]);
        let bias = net.broadcast(bias, x);
        let x = net.binary(BinaryFn::Add, x, bias);
        net.relu(x)
    }
    fn max_pool(&self, net: &mut Net, x: NodeId) -> NodeId {
        let mut size = vec![1; 4];
        self.pixels().into_iter().for_each(|axis| size[axis] = 2);
        let none = vec![Dim::zero(); 4];
        let window = Window {
            f: BinaryFn::Max,
            stride: size.clone(),
            size,
            dilation: vec![1; 4],
            low: none.clone(),
            high: none,
        };
        net.add(window, &[x])
    }
    /// Convolutions of all kinds, a residual sum, pooling, a concatenation, a part of the channels, a gate, a head.
    fn network(&self) -> Graph {
        let mut net = Net::default();
        let x = net.input(&self.shape(3, 32));
        let x = self.conv(&mut net, x, [3, 3, 3, 16], 2, 1);
        let x = self.activate(&mut net, x);
        let y = self.conv(&mut net, x, [1, 1, 16, 32], 1, 1);
        let y = self.activate(&mut net, y);
        let y = self.conv(&mut net, y, [3, 3, 1, 32], 1, 32);
        let y = self.activate(&mut net, y);
        let y = self.conv(&mut net, y, [1, 1, 32, 16], 1, 1);
        let x = net.binary(BinaryFn::Add, x, y);
        let x = self.activate(&mut net, x);
        let x = self.max_pool(&mut net, x);
        let y = self.conv(&mut net, x, [3, 3, 16, 32], 1, 1);
        let y = self.activate(&mut net, y);
        let x = net.add(Concat { axis: self.channel() }, &[y, x]);
        let mut shape = net.graph.shape(x).to_vec();
        shape[self.channel()] = Dim::from(40);
        let x = net.add(Slice { start: vec![Dim::zero(); 4], stride: vec![1; 4], shape: shape.clone() }, &[x]);
        let mean = net.reduce(BinaryFn::Add, &self.pixels(), x);
        self.pixels().into_iter().for_each(|axis| shape[axis] = Dim::one());
        let gate = net.add(Reshape { shape }, &[mean]);
        let gate = self.conv(&mut net, gate, [1, 1, 40, 40], 1, 1);
        let gate = net.broadcast(gate, x);
        let x = net.binary(BinaryFn::Mul, x, gate);
        let x = net.reduce(BinaryFn::Add, &self.pixels(), x);
        let x = net.add(Reshape { shape: vec![Dim::sym("batch"), Dim::from(40)] }, &[x]);
        let y = net.dot(x, 10);
        let y = net.softmax(y);
        net.done(&[y])
    }
}

#[test]
fn channels_first_cost_nothing() {
    for isa in [Isa::X64V4, Isa::X64V3, Isa::Aarch64] {
        let [last, first] = [false, true].map(|first| {
            let graph = Layout { first }.network();
            let better = opt::optimise(graph.clone(), opt::Options::default(), &mut |_, _| {}).unwrap();
            let target = TargetInfo::new(isa);
            plan("test", &prepare(better.clone(), &Choices::default()), &target, &mut Weights::default())
        });
        let sums = |p: &Program| {
            let flops: Vec<String> =
                p.launches.iter().filter(|l| !l.flops.is(0)).map(|l| l.flops.to_string()).collect();
            (p.launches.len(), flops)
        };
        let ((many, flops), (kernels, other)) = (sums(&last), sums(&first));
        // The network's input is turned once, where its first kernel copies it into a padded buffer anyway.
        assert_eq!((kernels, other), (many, flops), "{isa:?}");
    }
}

#[test]
fn channels_first_keep_their_meaning() {
    let graph = Layout { first: true }.network();
    let better = opt::optimise(graph.clone(), opt::Options::default(), &mut |_, _| {}).unwrap();
    let bind = Bindings::from([(Symbol::new("batch"), 2)]);
    let input = random_tensor(DType::F32, &[2, 3, 32, 32], 3);
    let expected = evaluate(&graph, std::slice::from_ref(&input), &bind).unwrap();
    let got = run(&better, &TargetInfo::new(Isa::X64V4), &[input], &bind).unwrap();
    assert!(agree(&got[0], &expected[0]), "{got:?}\n{expected:?}");
}
