//! What plans look like: `BLESS=1 cargo test` rewrites the snapshots.

use std::fmt::Write;

use super::{
    networks::{Net, conv},
    *,
};
use crate::{loops::BinaryFn, op::*};

/// The launches of a plan with their kernels, and the workspace.
fn show(graph: &Graph, isa: Isa) -> String {
    let program = plan("test", graph, &TargetInfo::new(isa), &mut Weights::default());
    let mut text = String::new();
    for launch in &program.launches {
        let place = |id: &StorageId| match &program.storage[*id].place {
            Place::Input(n) => format!("input {n}"),
            Place::Output(n) => format!("output {n}"),
            Place::Weights(id) => format!("weights {}", id.index()),
            Place::Workspace(at) => format!("workspace {at}"),
        };
        let args: Vec<String> = launch.args.iter().map(place).collect();
        writeln!(text, "// {}; {} flops\n{}", args.join(", "), launch.flops, launch.kernel).unwrap();
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
