//! What `bench` and `check` say about what they did.

use std::fs;

use crate::support::{answer, complaint, exported, mnist, npy, npz, root, smc};

#[test]
fn bench_says_what_it_measured() {
    let folder = tempfile::tempdir().unwrap();
    let text = answer(folder.path(), &["bench", &mnist(), "--seconds", "0.02", "--cpu", "x86-64"]);
    assert!(text.contains("signature `serving_default`, batch=1, 1 thread, x86-64"), "{text}");
    let text = answer(folder.path(), &["bench", &mnist(), "--seconds", "0.02", "--batch", "3", "--threads", "2"]);
    assert!(text.contains("batch=3, 2 threads, "), "{text}");
    let open = root().join("tests/models/open_extents").display().to_string();
    let message = complaint(folder.path(), &["bench", &open, "--seconds", "0.02"], 1);
    assert!(message.contains("the extent `") && message.contains("--input x=N,N,4"), "{message}");
    let text = answer(folder.path(), &["bench", &open, "--seconds", "0.02", "--input", "x=2,7,4"]);
    assert!(text.contains("x=2,7,4"), "{text}");
}

#[test]
fn profiles_are_right_for_open_extents() {
    let folder = tempfile::tempdir().unwrap();
    let json = |args: &[&str]| serde_json::from_str::<serde_json::Value>(&answer(folder.path(), args)).expect("JSON");
    let cnn = root().join("examples/mnist/cnn").display().to_string();
    let fast = ["--seconds", "0.02", "--profile", "--json"];
    let kernels = |model: &str, more: &[&str]| {
        let profile = json(&[&["bench", model][..], &fast, more].concat());
        profile["kernels"].as_array().expect("kernels").clone()
    };
    for model in [mnist(), cnn] {
        let (open, fixed) = (kernels(&model, &[]), kernels(&model, &["--batch", "1"]));
        for kernel in &open {
            assert!(kernel["bytes"].as_i64() > Some(0), "{kernel}");
            // The same kernel of a fixed batch touches as many bytes, but for the end of rows that tiles do not divide.
            if let Some(same) = fixed.iter().find(|k| k["name"] == kernel["name"]) {
                let ratio = kernel["bytes"].as_f64().unwrap() / same["bytes"].as_f64().unwrap();
                assert!((0.5..=2.0).contains(&ratio), "{kernel} {same}");
            }
        }
    }
    let layers: Vec<_> = kernels(&exported(), &[]).iter().map(|k| k["layer"].to_string()).collect();
    assert!(layers.iter().all(|l| !l.contains("PartitionedCall") && !l.contains("MatMul")), "{layers:?}");
    let table = answer(folder.path(), &["bench", &exported(), "--seconds", "0.02", "--profile"]);
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
}

#[test]
fn check_says_what_it_checked() {
    let folder = tempfile::tempdir().unwrap();
    let text = answer(folder.path(), &["check", &exported(), "--random", "1"]);
    let closing = text.lines().last().unwrap_or_default();
    assert!(closing.contains("agree; signatures checked: `serving_default` (the same as `serve`)"), "{text}");
    let several = root().join("tests/models/open_extents").display().to_string();
    let text = answer(folder.path(), &["check", &several, "--random", "2", "--limit", "600"]);
    let closing = text.lines().last().unwrap_or_default();
    assert_eq!(closing.matches('`').count(), 4, "two signatures are named: {text}");
    let message = complaint(folder.path(), &["check", &several, "--limit", "1e-9"], 1);
    for expected in ["`, random 0 ", "nothing was compared", "--limit"] {
        assert!(message.contains(expected), "{message}");
    }
}

/// Sums of 4096 products that cancel: float32 loses what the tolerance does not explain, and that is no error.
#[test]
fn rounding_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let model = root().join("tests/models/long_sums").display().to_string();
    let text = answer(folder.path(), &["check", &model, "--batch", "2", "--random", "2"]);
    assert!(text.contains("rounding to float32 explains") && !text.contains("WRONG"), "{text}");
}

/// Types of 16 bits lose more than the tolerance in each layer. What they lose is no error, and more than that is one.
#[test]
fn rounding_follows_the_type() {
    let folder = tempfile::tempdir().unwrap();
    let model = root().join("tests/models/half_types").display().to_string();
    let text = answer(folder.path(), &["check", &model, "--random", "6"]);
    for (signature, dtype) in [("bfloat16", "bfloat16"), ("float16", "float16"), ("mixed", "bfloat16")] {
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with(&format!("ok    {signature}"))).collect();
        assert!(rows.len() == 6 && rows.iter().all(|row| row.contains(&format!("rounding to {dtype}"))), "{text}");
    }
    let inputs: Vec<f32> = (0..16).map(|n| (n as f32 * 0.7).sin()).collect();
    fs::write(folder.path().join("x.npy"), npy(&[1, 16], &inputs)).unwrap();
    let printed = answer(folder.path(), &["run", &model, "--signature", "mixed", "--input", "x=x.npy", "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    let ours: Vec<f32> =
        (0..8).filter_map(|n| Some(printed["outputs"]["y"]["values"][0][n].as_f64()? as f32)).collect();
    let greatest = ours.iter().copied().fold(0.0, f32::max);
    let check = |off: f32, status: i32| {
        let recorded: Vec<f32> = ours.iter().map(|y| y + off * greatest).collect();
        let case = npz(&[("in:x", vec![1, 16], inputs.clone()), ("out:y", vec![1, 8], recorded)]);
        fs::write(folder.path().join("case.npz"), case).unwrap();
        let out = smc(folder.path(), &["check", &model, "--signature", "mixed", "--case", "case.npz"]);
        assert_eq!(out.status.code(), Some(status), "off by {off}: {}", String::from_utf8_lossy(&out.stdout));
    };
    // A unit in the last place of bfloat16 is 1/128 of the number.
    check(1.0 / 128.0, 0);
    check(16.0 / 128.0, 1);
}
