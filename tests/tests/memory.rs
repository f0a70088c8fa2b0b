//! What a compilation takes of memory: its weights once, and not again in each stage that they pass.

#![cfg(target_os = "linux")]

use std::{fs, io};

use smc::{
    driver::{self, Options},
    op::Dot,
    tensor::{DType, Tensor},
};
use smc_tests::nets::Net;

const EXTENT: usize = 8192;
const WEIGHTS: u64 = 4 * (EXTENT * EXTENT) as u64;

/// A line of `/proc/self/status`, in bytes.
fn status(what: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(what)?.strip_prefix(':')).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn weights_are_in_memory_once() {
    let mut net = Net::new(1);
    let x = net.input(DType::F32, &format!("batch,{EXTENT}"));
    // Used twice: by its second use the matrix is known.
    let value = Tensor::from_bytes(DType::F32, [EXTENT, EXTENT], vec![1; WEIGHTS as usize]);
    let w = net.graph.constant(value);
    let y = net.add(Dot {}, &[x, w]);
    let z = net.add(Dot {}, &[y, w]);
    net.graph.output("z", z);
    let before = status("VmRSS");
    // The kernel starts to count the peak again.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let options = Options { name: "m".into(), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), net.graph)], &options).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(compiled.report.weight_bytes, WEIGHTS, "a tied matrix is stored once");
    compiled.object.write(io::sink()).unwrap();
    let more = status("VmHWM").saturating_sub(before);
    // The graph holds them already.
    assert!(more < WEIGHTS * 3 / 10, "{} MB more than {} MB of weights", more >> 20, WEIGHTS >> 20);
}
