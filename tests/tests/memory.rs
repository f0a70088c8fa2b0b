//! What a compilation takes of memory: its weights once, and not again in each stage that they pass.

#![cfg(target_os = "linux")]

use std::{
    fs, io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use smc::{
    driver::{self, Compiled, Options},
    emit::archive,
    loops::BinaryFn,
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

/// What a step takes at most beyond what is held when it begins, in bytes.
fn beyond(step: impl FnOnce()) -> u64 {
    let before = status("VmRSS");
    // The kernel starts to count the peak again.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    step();
    status("VmHWM").saturating_sub(before)
}

/// One test at a time, for the peak is that of the process. Large blocks go back to the system when they are freed, as in
/// the program.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    #[cfg(target_env = "gnu")]
    // SAFETY: the call only sets a number.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn compile(net: Net) -> Compiled {
    let options = Options { name: "m".into(), ..Options::default() };
    driver::compile_graphs(vec![("main".into(), net.graph)], &options).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn weights_are_in_memory_once() {
    let _alone = alone();
    let mut net = Net::new(1);
    let x = net.input(DType::F32, &format!("batch,{EXTENT}"));
    // Used twice: by its second use the matrix is known.
    let value = Tensor::from_bytes(DType::F32, [EXTENT, EXTENT], vec![1; WEIGHTS as usize]);
    let w = net.graph.constant(value);
    let y = net.add(Dot {}, &[x, w]);
    let z = net.add(Dot {}, &[y, w]);
    net.graph.output("z", z);
    // The graph holds them already.
    let more = beyond(|| {
        let compiled = compile(net);
        assert_eq!(compiled.report.weight_bytes, WEIGHTS, "a tied matrix is stored once");
        compiled.object.write(io::sink()).unwrap();
        archive::write("m.o", &compiled.object, &mut io::sink()).unwrap();
    });
    assert!(more < WEIGHTS * 3 / 10, "{} MB more than {} MB of weights", more >> 20, WEIGHTS >> 20);
}

/// A scale of columns, as a batch norm is one, is multiplied into the weights: those of each layer make room for the new ones.
#[test]
fn folded_weights_take_the_place_of_the_old_ones() {
    const LAYERS: usize = 16;
    const WIDTH: usize = 1408;
    const WEIGHTS: u64 = 4 * (LAYERS * WIDTH * WIDTH) as u64;
    let _alone = alone();
    let mut net = Net::new(1);
    let mut x = net.input(DType::F32, &format!("batch,{WIDTH}"));
    let values = |layer: usize| (0..WIDTH * WIDTH).map(|n| ((n + layer) % 251) as f32).collect::<Vec<_>>();
    let weights: Vec<_> =
        (0..LAYERS).map(|n| net.graph.constant(Tensor::from_f32([WIDTH, WIDTH], &values(n)))).collect();
    for w in weights {
        x = net.add(Dot {}, &[x, w]);
        let scale: Vec<f32> = (0..WIDTH).map(|n| 1.0 + n as f32).collect();
        let scale = net.graph.constant(Tensor::from_f32([WIDTH], &scale));
        x = net.with(BinaryFn::Mul, x, scale);
    }
    net.graph.output("y", x);
    let more = beyond(|| {
        let compiled = compile(net);
        assert_eq!(compiled.report.weight_bytes, WEIGHTS, "the scales are in the weights");
        compiled.object.write(io::sink()).unwrap();
    });
    assert!(more < WEIGHTS * 3 / 10, "{} MB more than {} MB of weights", more >> 20, WEIGHTS >> 20);
}
