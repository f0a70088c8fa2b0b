//! Variables that outlive a run: `run --state`, and what `state` and `check` make of them.

use std::{collections::BTreeMap, fs, path::Path};

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

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        match entry.is_dir() {
            true => found.extend(files(&entry).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes))),
            false => drop(found.insert(name, fs::read(&entry).unwrap())),
        }
    }
    found
}

#[test]
fn a_model_is_written_with_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let (model, at) = (model(), |name: &str| folder.path().join(name));
    let original = files(Path::new(&model));
    assert_eq!(run(folder.path(), "counter__up", &["--state", "s"]), 4.0);
    // Folders above are made; an empty one may be there.
    fs::create_dir_all(at("empty")).unwrap();
    for out in ["new/er/7", "empty"] {
        answer(folder.path(), &["state", "export", "--state", "s", &model, out]);
        let get = ["run", out, "--signature", "counter__get", "--json"];
        let outputs: Value = serde_json::from_str(&answer(folder.path(), &get)).expect("JSON");
        assert_eq!(outputs["outputs"]["y"]["values"], 4.0);
        let written = files(&at(out));
        assert!(written.keys().eq(original.keys()), "{written:?}");
        assert_eq!(written["saved_model.pb"], original["saved_model.pb"]);
    }
    // A version beside others, of the newest of these.
    answer(folder.path(), &["state", "export", "--state", "s", "new/er", "new/er/8", "--version", "7"]);
    assert_eq!(files(&at("new/er/8")), files(&at("empty")));
    assert!(files(Path::new(&model)) == original, "the model itself was written");
    let left = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!((left(folder.path()), left(&at("new/er"))), (3, 2));
}

#[test]
fn what_cannot_be_written_with_a_state_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (model, at) = (model(), |name: &str| folder.path().join(name));
    run(folder.path(), "counter__up", &["--state", "s"]);
    let refused = |from: &str, out: &str| complaint(folder.path(), &["state", "export", "--state", "s", from, out], 1);
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/file"), "mine").unwrap();
    assert!(refused(&model, "full").contains("the folder exists and is not empty"));
    assert!(refused(&model, "full/file").contains("cannot write the model"));
    assert!(refused(&model, "full/file/below").contains("cannot write the model"));
    assert_eq!(fs::read(at("full/file")).unwrap(), b"mine");
    answer(folder.path(), &["state", "export", "--state", "s", &model, "m"]);
    assert!(refused("m", "m/below").contains("in the folder of the model itself"));
    assert!(!at("m/below").exists());
    let other = root().join("tests/models/v1_counter").display().to_string();
    let message = refused(&other, "out");
    assert!(message.contains("the model has no variable") && message.contains("another model"), "{message}");
    // A value that only the state has, and one that each call assigns before it reads it.
    run(folder.path(), "scratch__step", &["--state", "s", "--value", "x=[1,2]"]);
    let said = smc(folder.path(), &["state", "export", "--state", "s", &model, "n"]);
    let notes = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && notes.contains("scratch_False") && notes.contains("left out"), "{notes}");
    run(folder.path(), "unset__set_True", &["--state", "s", "--value", "x=[1,2]"]);
    let message = refused(&model, "out");
    assert!(message.contains("the value of variable `unset_True` would be lost"), "{message}");
    assert_eq!(message.matches("would be lost").count(), 1, "{message}");
    fs::write(at("s"), "no state").unwrap();
    assert!(refused(&model, "out").contains("this is no state"));
    assert!(!at("out").exists() && fs::read_dir(folder.path()).unwrap().count() == 4);
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
