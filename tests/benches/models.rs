//! Compile time, run time and the compiler's memory on models people know.
//!
//! `cargo xtask bench` prepares the large models and names their folder in SMC_BENCH_MODELS; without it only the MNIST
//! examples are measured. Code is made for this machine's processor, on one thread, batch 1.

use std::{
    hint::black_box,
    path::{Path, PathBuf},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use smc::{
    base::{Bindings, Rng},
    driver::{self, Compiled, Executable, Options, random},
    saved::{self, Model},
};

/// The models that are there, with their names.
fn models() -> Vec<(String, PathBuf)> {
    let examples = smc_tests::root().join("examples/mnist");
    let mut models =
        vec![("mnist_mlp".to_string(), examples.join("model")), ("mnist_cnn".into(), examples.join("cnn"))];
    match std::env::var_os("SMC_BENCH_MODELS") {
        Some(folder) => {
            for name in ["mobilenet_v2.saved_model", "resnet50.saved_model"] {
                let model = Path::new(&folder).join(name).join("model");
                assert!(model.is_dir(), "{} is missing: `cargo xtask bench` makes it", model.display());
                models.push((name.split('.').next().unwrap_or(name).to_string(), model));
            }
        }
        None => eprintln!("SMC_BENCH_MODELS names no folder: only the MNIST examples are measured"),
    }
    models
}

fn compile(path: &Path) -> Compiled {
    let model = Model::open(path, &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let options = Options { name: "m".into(), batch: Some(1), cpu: Some("native".into()), ..Options::default() };
    driver::compile(&model, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"))
}

fn compile_time(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (name, path) in models() {
        group.bench_function(&name, |b| b.iter(|| black_box(compile(&path).object.size())));
    }
    group.finish();
}

fn run_time(c: &mut Criterion) {
    let mut group = c.benchmark_group("run");
    group.sample_size(20);
    for (name, path) in models() {
        let compiled = compile(&path);
        let executable = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap();
        let mut seed = Rng::new(1);
        let signature = &compiled.interface.signatures[0];
        let inputs = signature.inputs.iter().map(|t| random::tensor(&t.ty, &Bindings::new(), &mut seed).unwrap());
        let mut call = executable.prepare(0, &inputs.collect::<Vec<_>>()).unwrap();
        group.bench_function(&name, |b| b.iter(|| call.run(None).unwrap()));
    }
    group.finish();
}

/// What `smc compile` takes at most, in a process of its own, beside the weights' size.
fn memory(_: &mut Criterion) {
    let Some(smc) = std::env::var_os("SMC_BENCH_PROGRAM") else {
        return eprintln!("SMC_BENCH_PROGRAM names no program: its memory is not measured");
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, path) in models() {
        let object = folder.path().join("m.o");
        let mut command = std::process::Command::new(&smc);
        let status = command.arg("--quiet").arg("compile").arg(&path).arg("-o").arg(&object).status().unwrap();
        assert!(status.success(), "smc does not compile {name}");
        let weights = std::fs::metadata(&object).unwrap().len() as f64 / 1e6;
        let peak = peak_of_children() as f64 / 1e3;
        println!("memory/{name}: object {weights:.1} MB, greatest peak so far {peak:.1} MB");
    }
}

/// Kilobytes that the largest child of this process so far had resident.
fn peak_of_children() -> i64 {
    // SAFETY: getrusage fills the struct it is given; all zeros are a valid one.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage), 0);
        usage.ru_maxrss
    }
}

criterion_group!(benches, memory, compile_time, run_time);
criterion_main!(benches);
