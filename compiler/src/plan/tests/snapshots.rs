//! What plans look like: `BLESS=1 cargo test` rewrites the snapshots.

use std::fmt::Write;

use super::{
    networks::{Net, conv},
    *,
};
use crate::{
    loops::{BinaryFn, UnaryFn},
    op::*,
};

/// The launches of a plan with their kernels, the chains that they are in, and the workspace.
fn show(graph: &Graph, isa: Isa) -> String {
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(isa), &mut Weights::default());
    let mut text = String::new();
    for (n, launch) in program.launches.iter().enumerate() {
        for chain in program.chains.iter().filter(|chain| chain.launches.start == n) {
            let (launches, slices, tasks) = (chain.launches.len(), &chain.slices, &chain.tasks);
            writeln!(text, "// {launches} launches in {slices} slices, {tasks} tasks of {} bytes", chain.slice_bytes)
                .unwrap();
        }
        let place = |id: &StorageId| match &program.storage[*id].place {
            Place::Input(n) => format!("input {n}"),
            Place::Output(n) => format!("output {n}"),
            Place::State(at) => format!("state {at}"),
            Place::Weights(id) => format!("weights {}", id.index()),
            Place::Workspace(at) => format!("workspace {at}"),
            Place::Slice(at) => format!("slice {at}"),
        };
        let args: Vec<String> = launch.args.iter().map(place).collect();
        let part = launch.part.as_ref().map_or(String::new(), |part| format!(" {part}"));
        writeln!(text, "// {}{part}; {} flops\n{}", args.join(", "), launch.flops, launch.kernel).unwrap();
    }
    writeln!(text, "workspace {} of at least {}", program.workspace, program.workspace_bound).unwrap();
    text
}

fn check_snapshot(name: &str, got: &str) {
    let path = format!("{}/src/plan/tests/snapshots/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        return std::fs::write(&path, got).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == expected, "{path} differs; BLESS=1 rewrites it\n{got}");
}

#[test]
fn dense() {
    let mut net = Net::default();
    let x = net.input("batch,784");
    let y = net.dot(x, 128);
    let y = net.bias(y);
    let y = net.relu(y);
    check_snapshot("dense", &show(&net.done(&[y]), Isa::X64V3));
}

#[test]
fn softmax() {
    let mut net = Net::default();
    let x = net.input("batch,1000");
    let y = net.softmax(x);
    check_snapshot("softmax", &show(&net.done(&[y]), Isa::Aarch64));
}

#[test]
fn convolution() {
    let mut net = Net::default();
    let x = net.input("batch,56,56,64");
    let y = net.conv(x, &[3, 3, 64, 64], conv(2, 1, 1, 1, 1, 1));
    let y = net.bias(y);
    let y = net.relu(y);
    let y = net.binary(BinaryFn::Add, x, y);
    check_snapshot("convolution", &show(&net.done(&[y]), Isa::Aarch64));
}

#[test]
fn depthwise_convolution() {
    let mut net = Net::default();
    let x = net.input("batch,14,14,96");
    let y = net.conv(x, &[3, 3, 1, 96], conv(2, 2, 1, 0, 0, 96));
    let y = net.bias(y);
    check_snapshot("depthwise", &show(&net.done(&[y]), Isa::X64V3));
}

#[test]
fn pooling() {
    let mut net = Net::default();
    let x = net.input("batch,8,8,32");
    let window = Window {
        f: BinaryFn::Max,
        size: vec![1, 3, 3, 1],
        stride: vec![1, 2, 2, 1],
        dilation: vec![1; 4],
        low: [0, 1, 1, 0].map(Dim::from).to_vec(),
        high: vec![Dim::zero(); 4],
    };
    let y = net.add(window, &[x]);
    let y = net.reduce(BinaryFn::Add, &[1, 2], y);
    check_snapshot("pooling", &show(&net.done(&[y]), Isa::X64));
}

/// What becomes of every node.
fn show_fusion(graph: &Graph) -> String {
    let fusion = fuse(graph, &[]);
    let mut text = String::new();
    for (id, node) in graph.iter() {
        let role = match fusion.role(id) {
            Role::Kernel { root } if root != id => format!("kernel of %{}", root.index()),
            role => format!("{role:?}").split(' ').next().unwrap_or_default().to_lowercase(),
        };
        let inputs: Vec<String> = node.inputs.iter().map(|i| format!("%{}", i.index())).collect();
        writeln!(text, "{role:<14} %{} = {} {} : {}", id.index(), node.op.name(), inputs.join(" "), node.ty).unwrap();
    }
    text
}

#[test]
fn fusion_of_a_residual_block() {
    let mut net = Net::default();
    let x = net.input("batch,6,6,8");
    let a = net.conv(x, &[3, 3, 8, 8], conv(2, 1, 1, 0, 0, 1));
    let a = net.bias(a);
    let a = net.relu(a);
    let b = net.conv(x, &[3, 3, 8, 8], conv(2, 1, 1, 0, 0, 1));
    let gate = net.unary(UnaryFn::Tanh, b);
    let b = net.binary(BinaryFn::Mul, b, gate);
    let sum = net.binary(BinaryFn::Add, a, b);
    let sum = net.relu(sum);
    let flat = net.add(Reshape { shape: vec![Dim::sym("batch"), Dim::from(128)] }, &[sum]);
    let y = net.dot(flat, 10);
    let y = net.softmax(y);
    check_snapshot("fusion_residual", &show_fusion(&net.done(&[y])));
}

#[test]
fn fusion_of_a_normalisation() {
    let mut net = Net::default();
    let x = net.input("batch,128");
    let mean = net.reduce(BinaryFn::Add, &[1], x);
    let mean = net.broadcast(mean, x);
    let centred = net.binary(BinaryFn::Sub, x, mean);
    let square = net.binary(BinaryFn::Mul, centred, centred);
    let variance = net.reduce(BinaryFn::Add, &[1], square);
    let spread = net.unary(UnaryFn::Sqrt, variance);
    let spread = net.broadcast(spread, x);
    let y = net.binary(BinaryFn::Div, centred, spread);
    let y = net.bias(y);
    check_snapshot("fusion_normalisation", &show_fusion(&net.done(&[y])));
}

/// The first convolution writes into the second one's border, and both into the result.
#[test]
fn homes() {
    let mut net = Net::default();
    let x = net.input("batch,14,14,8");
    let a = net.conv(x, &[1, 1, 8, 16], conv(2, 1, 1, 0, 0, 1));
    let a = net.relu(a);
    let b = net.conv(a, &[3, 3, 1, 16], conv(2, 1, 1, 1, 1, 16));
    let c = net.conv(x, &[1, 1, 8, 24], conv(2, 1, 1, 0, 0, 1));
    let y = net.add(Concat { axis: 3 }, &[b, c]);
    check_snapshot("homes", &show(&net.done(&[y]), Isa::X64V3));
}
