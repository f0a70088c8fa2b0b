//! The program as a user meets it: files written or left alone, answers, messages and exit statuses.

mod custom;
mod finetune;
mod inspecting;
mod kept;
mod measuring;
mod mistakes;
mod outputs;
mod running;
mod state;
mod support;
mod training;

use std::fs;

use support::{answer, mnist, npy, smc};

#[test]
fn compile_writes_an_object_and_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let report = answer(folder.path(), &["compile", &mnist(), "-o", "libmnist.o", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let object = fs::read(folder.path().join("libmnist.o")).unwrap();
    assert_eq!(report["object_bytes"], object.len());
    assert_eq!(report["entries"][0]["function"], "mnist_serving_default");
    let header = fs::read_to_string(folder.path().join("libmnist.h")).unwrap();
    assert!(header.contains("int mnist_serving_default("), "{header}");
    // The same model gives the same bytes, and an archive holds them.
    answer(folder.path(), &["compile", &mnist(), "-o", "libmnist2.o", "--name", "mnist", "--quiet"]);
    assert!(fs::read(folder.path().join("libmnist2.o")).unwrap() == object, "the bytes differ from run to run");
    answer(folder.path(), &["compile", &mnist(), "-o", "libmnist.a"]);
    let archive = fs::read(folder.path().join("libmnist.a")).unwrap();
    assert!(archive.starts_with(b"!<arch>\n") && archive.windows(64).any(|w| *w == object[..64]));
}

#[test]
fn stages_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (stage, expected) in [
        ("graph", "= dot"),
        ("opt", "= dot"),
        ("plan", "workspace"),
        ("loops", "kernel \""),
        ("clif", "function"),
        ("asm", "model_serving_default_"),
        ("asm", "/MatMul\n//"),
        ("asm", " in output `output_0`, written"),
        ("asm", "in 784 seq"),
        ("asm", "// innermost loop"),
        ("dot", "digraph"),
    ] {
        let text = answer(folder.path(), &["compile", &mnist(), "--name", "model", "--emit", stage]);
        assert!(text.contains(expected), "{stage} does not show `{expected}`:\n{text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "--emit alone writes no file");
}

#[test]
fn code_and_reference_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<f32> = (0..3 * 784).map(|i| (i % 29) as f32 / 29.0).collect();
    fs::write(folder.path().join("x.npy"), npy(&[3, 28, 28], &pixels)).unwrap();
    let model = mnist();
    let run = |more: &[&str]| {
        let args = [&["run", &model, "--input", "inputs=x.npy"], more].concat();
        let text = answer(folder.path(), &args);
        let (_, numbers) = text.split_once("f32[3, 10] ").unwrap_or_else(|| panic!("{text}"));
        numbers.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<f64>>()
    };
    let (code, reference) = (run(&[]), run(&["--reference"]));
    assert_eq!(code.len(), 16);
    assert!(code.iter().zip(&reference).all(|(a, b)| (a - b).abs() <= 1e-5), "{code:?}\n{reference:?}");
    assert_eq!(code, run(&["--threads", "2"]), "threads change the answer");
    // A wrong shape names the input.
    fs::write(folder.path().join("x.npy"), npy(&[3, 28], &pixels[..84])).unwrap();
    let out = smc(folder.path(), &["run", &mnist(), "--input", "inputs=x.npy"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("`inputs` has shape [3, 28]"));
}

#[test]
fn models_are_described_checked_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let json = |args: &[&str]| serde_json::from_str::<serde_json::Value>(&answer(folder.path(), args)).expect("JSON");
    let model = json(&["inspect", &mnist(), "--json"]);
    assert_eq!(model["tags"], serde_json::json!(["serve"]));
    assert_eq!(model["signatures"][0]["inputs"][0]["shape"], serde_json::json!([null, 28, 28]));
    assert_eq!(model["variable_bytes"], 407_080);
    assert_eq!(model["unsupported"], serde_json::json!({}));
    let rows = json(&["check", &mnist(), "--random", "2", "--json"]);
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    let latency = json(&["bench", &mnist(), "--batch", "2", "--seconds", "0.05", "--json"]);
    let number = |key: &str| latency[key].as_f64().unwrap_or_else(|| panic!("{latency} has no {key}"));
    assert!(
        0.0 < number("min_us") && number("min_us") <= number("median_us") && number("median_us") <= number("p99_us")
    );
    let profile =
        json(&["bench", &mnist(), "--batch", "1", "--seconds", "0.05", "--threads", "2", "--profile", "--json"]);
    let kernels = profile["kernels"].as_array().expect("kernels");
    assert!(
        kernels
            .iter()
            .any(|k| k["layer"].as_str().is_some_and(|l| l.contains("dense")) && k["flops"].as_u64() >= Some(200_704))
    );
    let shares: f64 = kernels.iter().filter_map(|k| k["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{profile}");
    let text = answer(folder.path(), &["bench", &mnist(), "--seconds", "0.05", "--profile"]);
    assert!(text.contains("a whole call") && text.contains("multiply-adds"), "{text}");
    let machine = json(&["machine", "--json", "--seconds", "0.02"]);
    assert!(machine["threads"].as_u64().is_some_and(|n| n > 0), "{machine}");
    assert!(answer(folder.path(), &["ops"]).lines().any(|op| op == "Conv2D"));
    assert!(answer(folder.path(), &["completions", "bash"]).contains("_smc"));
    let manual = answer(folder.path(), &["man"]);
    for page in [
        "smc",
        "smc-compile",
        "smc-run",
        "smc-train",
        "smc-check",
        "smc-bench",
        "smc-inspect",
        "smc-targets",
        "smc-man",
    ] {
        assert!(manual.contains(&format!(".TH {page} ")), "no page of {page}");
    }
    assert_eq!(answer(folder.path(), &["man", "check"]).matches(".TH").count(), 1);
    let targets = answer(folder.path(), &["targets"]);
    assert!(targets.contains("aarch64-unknown-linux-gnu") && targets.contains("rv64gcv"), "{targets}");
}
