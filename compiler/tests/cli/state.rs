//! Variables that outlive a run: `run --state`, and what `state` and `check` make of them.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{answer, complaint, npz, root, smc};

/// TensorFlow 1 saved it: signatures that get and set a counter, and others with variables of their own.
fn model() -> String {
    root().join("tests/models/state_v1").display().to_string()
}

fn run(folder: &Path, signature: &str, more: &[&str]) -> Value {
    let model = model();
    let args = [&["run", &model, "--signature", signature, "--json"][..], more].concat();
    let outputs: Value = serde_json::from_str(&answer(folder, &args)).expect("JSON");
    outputs["outputs"]["y"]["values"].clone()
}

#[test]
fn a_file_keeps_variables_from_run_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let kept = |signature: &str, more: &[&str]| run(folder.path(), signature, &[&["--state", "s"], more].concat());
    // Without a file, each run begins with the stored value.
    assert_eq!((run(folder.path(), "counter__up", &[]), at("s").exists()), (4.0.into(), false));
    assert_eq!(kept("counter__up", &[]), 4.0);
    assert_eq!(kept("counter__up", &[]), 5.0);
    assert_eq!(kept("counter__by", &["--value", "delta=0.5"]), 14.5);
    let before = fs::read(at("s")).unwrap();
    assert_eq!(kept("counter__get", &[]), 4.5);
    assert!(fs::read(at("s")).unwrap() == before, "a run that only reads wrote another file");
    assert!(answer(folder.path(), &["state", "show", "s"]).contains("counter: f32[] 4.5\n"));
    let shown: Value = serde_json::from_str(&answer(folder.path(), &["state", "show", "s", "--json"])).expect("JSON");
    assert_eq!(shown["counter"]["values"], 4.5);
    // Another state, and what tells them apart.
    run(folder.path(), "counter__up", &["--state", "t"]);
    assert_eq!(answer(folder.path(), &["state", "diff", "s", "s"]), "");
    let differ = complaint(folder.path(), &["state", "diff", "s", "t"], 1);
    assert!(differ.contains("the states differ in a variable"), "{differ}");
    answer(folder.path(), &["state", "export", "s", "-o", "s.npz"]);
    assert!(fs::read(at("s.npz")).unwrap().starts_with(b"PK"));
}

#[test]
fn foreign_and_damaged_files_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    run(folder.path(), "counter__up", &["--state", "s"]);
    let good = fs::read(at("s")).unwrap();
    let other = root().join("tests/models/v1_counter").display().to_string();
    let mut foreign = vec![b"not a state at all".to_vec(), vec![], good[..good.len() - 64].to_vec()];
    // One bit in the header, the table and the last variable.
    for place in [0, 9, 40, 70, good.len() - 200, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[place] ^= 4;
        foreign.push(damaged);
    }
    let model = model();
    for bytes in foreign {
        fs::write(at("s"), &bytes).unwrap();
        let args = ["run", &model, "--signature", "counter__up", "--state", "s"];
        let message = complaint(folder.path(), &args, 1);
        assert!(message.contains("this is no state of the model") && message.contains("the file stays"), "{message}");
        assert!(fs::read(at("s")).unwrap() == bytes, "a file that was refused was written");
    }
    // That of other variables.
    fs::write(at("s"), &good).unwrap();
    let inspected = answer(folder.path(), &["inspect", &other, "--json"]);
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let signature =
        inspected["signatures"][0]["name"].as_str().or(inspected["model"]["signatures"][0]["name"].as_str());
    let args = ["run", &other, "--signature", signature.expect("there is one"), "--random", "--state", "s"];
    let message = complaint(folder.path(), &args, 1);
    assert!(message.contains("no state"), "{message}");
    // A call that fails leaves the file as it is.
    let args = ["run", &model, "--signature", "rows__add", "--value", "i=[7]", "--value", "x=[[1,2]]", "--state", "s"];
    let message = complaint(folder.path(), &args, 1);
    assert!(message.contains("an index is out of range"), "{message}");
    assert!(fs::read(at("s")).unwrap() == good);
}

#[test]
fn check_calls_signatures_on_what_others_left() {
    let folder = tempfile::tempdir().unwrap();
    let model = model();
    let args = ["check", &model, "--signature", "counter__up", "--signature", "counter__get", "--random", "3"];
    let text = answer(folder.path(), &args);
    assert!(text.contains("counter__up random 2 variable counter[]: error 0.00e0"), "{text}");
    assert!(text.contains("counter__get random 2 y[]"), "{text}");
}

/// Random numbers without a seed follow from `--seed`, go on in a file of state, and are nobody's to compare with a recording.
#[test]
fn a_seed_decides_what_is_drawn_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let model = root().join("tests/models/unseeded").display().to_string();
    let run = |more: &[&str]| -> Vec<f64> {
        let args = ["run", &model, "--signature", "train", "--value", "x=[1, 2, 3]", "--json"];
        let outputs: Value = serde_json::from_str(&answer(folder.path(), &[&args, more].concat())).expect("JSON");
        let values = outputs["outputs"]["free"]["values"].as_array().expect("a list").clone();
        values.iter().map(|x| x.as_f64().expect("a number")).collect()
    };
    let (first, other) = (run(&[]), run(&["--seed", "1"]));
    assert_ne!(first, other);
    assert_eq!(run(&["--seed", "0"]), first);
    assert_eq!(run(&["--reference"]), first);
    assert_eq!(run(&["--reference", "--seed=1"]), other);
    let kept = ["--state", "s"];
    assert_eq!(run(&kept), first);
    let second = run(&kept);
    assert_ne!(second, first);
    assert_eq!(run(&["--state", "s", "--seed", "1"]), other);
    assert_ne!(run(&kept), second);
    // A recorded value of what is drawn says nothing.
    let case = |outputs: &[(&str, [f32; 3])]| {
        let mut arrays = vec![("in:x", vec![3], vec![1.0, 2.0, 3.0])];
        arrays.extend(outputs.iter().map(|(name, values)| (*name, vec![3], values.to_vec())));
        npz(&arrays)
    };
    fs::write(folder.path().join("both.npz"), case(&[("out:twice", [2.0, 4.0, 6.0]), ("out:free", [0.5; 3])])).unwrap();
    fs::write(folder.path().join("free.npz"), case(&[("out:free", [0.5; 3])])).unwrap();
    let check = |file: &str| smc(folder.path(), &["check", &model, "--signature", "train", "--case", file]);
    let both = check("both.npz");
    let said = String::from_utf8_lossy(&both.stderr);
    assert!(both.status.success() && said.contains("recorded values of `free` are not compared"), "{said}");
    assert!(String::from_utf8_lossy(&both.stdout).contains("1 of 1 outputs agree"));
    let free = check("free.npz");
    let said = String::from_utf8_lossy(&free.stderr);
    assert!(free.status.code() == Some(1) && said.contains("nothing was compared"), "{said}");
    let text = answer(folder.path(), &["check", &model, "--random", "2"]);
    assert!(text.contains("train random 1 free[3]"), "{text}");
}
