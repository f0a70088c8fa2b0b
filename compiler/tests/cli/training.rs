//! `smc train`: what is read, shown, kept and written, and how a training that was stopped goes on.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{answer, complaint, npz, root, smc};

/// Six numbers to the probabilities of three classes.
fn model() -> String {
    root().join("tests/learn/softmax").display().to_string()
}

/// Examples whose class is the place of the greatest of their first three numbers.
fn examples(rows: usize) -> [(&'static str, Vec<usize>, Vec<f32>); 2] {
    let number = |n: usize| ((n / 6 * 7 + n % 6 * 5) % 11) as f32 / 5.0 - 1.0;
    let class = |row: usize| (0..3).max_by(|&a, &b| number(6 * row + a).total_cmp(&number(6 * row + b))).unwrap();
    let x = (0..6 * rows).map(number).collect();
    [("x", vec![rows, 6], x), ("y", vec![rows], (0..rows).map(|row| class(row) as f32).collect())]
}

/// A folder with `data.npz`, of 21 examples, and `held.npz`, of 7.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.npz"), npz(&examples(21))).unwrap();
    fs::write(folder.path().join("held.npz"), npz(&examples(7))).unwrap();
    folder
}

const LOSS: &str = "sparse_categorical_crossentropy";

fn train<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", model, "--data", "data.npz", "--loss", LOSS, "--optimizer", "adam:lr=0.05"], more].concat()
}

fn epochs(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_learned_is_a_model() {
    let (folder, model) = (folder(), model());
    let more = ["--validation", "held.npz", "--epochs", "8", "--batch", "8", "--json", "-o", "tuned/2"];
    let told = epochs(&answer(folder.path(), &train(&model, &[&more[..], &["--curve", "loss.svg"]].concat())));
    assert_eq!(told.len(), 8);
    let loss = |n: usize, of: &str| told[n][of].as_f64().unwrap_or_else(|| panic!("{} has no {of}", told[n]));
    assert!(loss(7, "loss") < 0.8 * loss(0, "loss") && loss(7, "validation_loss") < loss(0, "validation_loss"));
    assert_eq!(told[7]["epoch"], 8);
    assert!(loss(7, "examples_per_second") > 0.0 && (0.0..=1.0).contains(&loss(7, "validation_accuracy")));
    assert_eq!(names(&folder.path().join("tuned")), ["2"]);
    assert_eq!(names(&folder.path().join("tuned/2")), ["fingerprint.pb", "saved_model.pb", "variables"]);
    let graph = |folder: &Path| fs::read(folder.join("saved_model.pb")).unwrap();
    assert!(graph(&folder.path().join("tuned/2")) == graph(Path::new(&model)));
    // It is a model like any, and trains on: its first loss is about where the last one ended.
    let value = ["--value", "x=[[1, 0, 0, 0, 0, 0]]"];
    assert_ne!(
        answer(folder.path(), &[&["run", "tuned"], &value[..]].concat()),
        answer(folder.path(), &[&["run", &model], &value[..]].concat())
    );
    let again = epochs(&answer(folder.path(), &train("tuned", &["--json", "-o", "tuned/3", "--batch", "8"])));
    assert!((again[0]["loss"].as_f64().unwrap() - loss(7, "loss")).abs() < 0.2);
    let picture = fs::read_to_string(folder.path().join("loss.svg")).unwrap();
    assert!(picture.contains("validation") && picture.ends_with("</svg>\n"));
}

#[test]
fn lines_tell_of_epochs() {
    let (folder, model) = (folder(), model());
    let out = smc(folder.path(), &train(&model, &["--split", "0.2", "--epochs", "2", "-o", "out"]));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success() && out.stdout.is_empty(), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("epoch ")).collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[1].starts_with("epoch 2 of 2: loss ") && lines[1].contains(", validation loss "), "{said}");
    assert!(lines[1].contains(" examples/s") && said.contains("wrote out"), "{said}");
    let quiet = smc(folder.path(), &train(&model, &["--quiet", "-o", "other"]));
    assert!(quiet.status.success() && quiet.stderr.is_empty());
}

/// The order follows from the seed; results from nothing else.
#[test]
fn seeds_repeat_and_threads_change_nothing() {
    let (folder, model) = (folder(), model());
    let state = |name: &str, more: &[&str]| {
        let more = [&["--quiet", "--epochs", "3", "--batch", "5", "--state", name], more].concat();
        answer(folder.path(), &train(&model, &more));
        fs::read(folder.path().join(name)).unwrap()
    };
    let first = state("a", &[]);
    assert!(state("b", &["--seed", "0", "--threads", "3"]) == first);
    assert!(state("c", &["--seed", "1"]) != first);
    let plain = state("d", &["--no-shuffle"]);
    assert!(plain != first && state("e", &["--no-shuffle", "--seed", "7"]) == plain);
}

/// What was left by fewer epochs goes on to the bits of more; what is said of others.
#[test]
fn a_file_of_state_goes_on() {
    let (folder, model) = (folder(), model());
    let at = |name: &str| folder.path().join(name);
    let run = |epochs: &str, more: &[&str]| {
        let more = [&["--epochs", epochs, "--patience", "2", "--validation", "held.npz"], more].concat();
        let out = smc(folder.path(), &train(&model, &more));
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{said}");
        said
    };
    run("9", &["--state", "whole", "-o", "a"]);
    run("2", &["--state", "parts"]);
    let said = run("9", &["--state", "parts", "-o", "b"]);
    assert!(said.contains("training goes on behind the 2 epochs of parts"), "{said}");
    for name in ["", ".json", ".best"] {
        let [whole, parts] = ["whole", "parts"].map(|file| fs::read(at(&format!("{file}{name}"))).unwrap());
        assert!(whole == parts, "{name}");
    }
    let shards = ["a", "b"].map(|out| fs::read(at(out).join("variables/variables.data-00000-of-00001")).unwrap());
    assert!(shards[0] == shards[1]);
    // All is learned: it is written again.
    let done = run("9", &["--state", "parts", "-o", "c", "--json"]);
    assert!(done.contains("wrote c"), "{done}");
    assert!(fs::read(at("c/variables/variables.data-00000-of-00001")).unwrap() == shards[0]);
    // Other examples begin another training of the same variables.
    fs::write(at("data.npz"), npz(&examples(20))).unwrap();
    let other = run("1", &["--state", "parts"]);
    assert!(other.contains("goes on with the variables in parts; epochs count from 1"), "{other}");
    // Another rule keeps something else.
    let args = ["train", &model, "--data", "data.npz", "--loss", LOSS, "--optimizer", "sgd", "--state", "parts"];
    let refused = complaint(folder.path(), &args, 1);
    assert!(refused.contains("of another model, optimizer or choice of what learns"), "{refused}");
    assert!(answer(folder.path(), &["state", "show", "parts"]).contains("training/iterations: i64[] "));
}

/// Ctrl-C keeps what was learned, and the same command goes on to the bits of one go.
#[cfg(unix)]
#[test]
fn a_training_that_is_stopped_goes_on() {
    use std::{io::Read, os::unix::process::ExitStatusExt};
    let (folder, model) = (folder(), model());
    let at = |name: &str| folder.path().join(name);
    let start = |more: &[&str]| {
        let mut smc = Command::new(env!("CARGO_BIN_EXE_smc"));
        smc.args(train(&model, more)).current_dir(folder.path());
        smc.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("smc starts")
    };
    let interrupt = |smc: &std::process::Child| {
        assert!(Command::new("kill").args(["-INT", &smc.id().to_string()]).status().unwrap().success());
    };
    let mut smc = start(&["--epochs", "100000000", "--batch", "3", "--json", "-o", "deep/out"]);
    // It trains once it tells of an epoch.
    smc.stdout.as_mut().unwrap().read_exact(&mut [0]).expect("an epoch is finished");
    std::thread::sleep(Duration::from_millis(30));
    interrupt(&smc);
    let mut all = String::new();
    smc.stdout.take().unwrap().read_to_string(&mut all).unwrap();
    let out = smc.wait_with_output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.signal(), Some(2), "{said}");
    assert!(
        said.contains("training was stopped in epoch ") && said.contains("--state deep/out.state goes on"),
        "{said}"
    );
    assert_eq!(names(&at("deep")), ["out.state", "out.state.json"]);
    let record: Value = serde_json::from_slice(&fs::read(at("deep/out.state.json")).unwrap()).expect("JSON");
    let done = record["progress"]["epochs"].as_array().expect("epochs").len();
    assert!(done >= all.lines().count(), "{record}");
    let epochs = (done + 2).to_string();
    let more = ["--epochs", &epochs, "--batch", "3", "--quiet"];
    answer(folder.path(), &train(&model, &[&more[..], &["--state", "deep/out.state", "-o", "deep/out"]].concat()));
    answer(folder.path(), &train(&model, &[&more[..], &["--state", "whole", "-o", "whole_out"]].concat()));
    assert!(fs::read(at("deep/out.state")).unwrap() == fs::read(at("whole")).unwrap());
    assert!(fs::read(at("deep/out.state.json")).unwrap() == fs::read(at("whole.json")).unwrap());
    let shard = |out: &str| fs::read(at(out).join("variables/variables.data-00000-of-00001")).unwrap();
    assert!(shard("deep/out") == shard("whole_out"));
}

/// Nothing takes the place of what is there when a training fails.
#[test]
fn a_training_that_diverges_writes_nothing() {
    let (folder, model) = (folder(), model());
    let at = |name: &str| folder.path().join(name);
    answer(folder.path(), &train(&model, &["--quiet", "--state", "s"]));
    let before = fs::read(at("s")).unwrap();
    let mut spoiled = examples(21);
    spoiled[0].2[6 * 13] = f32::NAN;
    fs::write(at("data.npz"), npz(&spoiled)).unwrap();
    let args = train(&model, &["--state", "s", "-o", "out", "--batch", "5", "--no-shuffle", "--epochs", "2"]);
    let message = complaint(folder.path(), &args, 1);
    assert!(message.contains("epoch 1, step 3 of 5: the loss is NaN") && message.contains("row 13 of"), "{message}");
    assert!(fs::read(at("s")).unwrap() == before && !at("out").exists());
}

/// What was learned is not lost where the output cannot be written in the end.
#[test]
fn what_cannot_be_written_is_kept_elsewhere() {
    let (folder, model) = (folder(), model());
    // The picture takes the name of the folder above the output.
    let elsewhere = folder.path().join("tmp");
    fs::create_dir(&elsewhere).unwrap();
    let mut smc = Command::new(env!("CARGO_BIN_EXE_smc"));
    smc.args(train(&model, &["-o", "a/out", "--curve", "a"])).current_dir(folder.path()).env("TMPDIR", &elsewhere);
    let out = smc.output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.code() == Some(1) && said.contains("cannot write the model"), "{said}");
    let kept = names(&elsewhere).into_iter().find(|name| name.ends_with(".state")).expect("a state");
    let path = elsewhere.join(&kept).display().to_string();
    assert!(said.contains(&format!("--state {path} writes it")), "{said}");
    answer(folder.path(), &train(&model, &["--quiet", "-o", "b/out", "--state", &path]));
    answer(folder.path(), &train(&model, &["--quiet", "-o", "c/out"]));
    let shard = |out: &str| fs::read(folder.path().join(out).join("variables/variables.data-00000-of-00001")).unwrap();
    assert!(shard("b/out") == shard("c/out"));
}

/// Arrays that are missing, too many, or of a type or shape that does not fit.
#[test]
fn arrays_are_found_by_name_and_checked() {
    let (folder, model) = (folder(), model());
    let [x, y] = examples(6);
    let with = |arrays: &[(&str, Vec<usize>, Vec<f32>)], more: &[&str]| {
        fs::write(folder.path().join("data.npz"), npz(arrays)).unwrap();
        let out = smc(folder.path(), &train(&model, &[&["--state", "s"], more].concat()));
        let _ = fs::remove_file(folder.path().join("s"));
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let named = |name: &'static str, of: &(&str, Vec<usize>, Vec<f32>)| (name, of.1.clone(), of.2.clone());
    let weights = ("sample_weight", vec![6], vec![1.0, 0.5, 2.0, 0.0, 1.0, 1.0]);
    let column = ("target", vec![6, 1], y.2.clone());
    for (arrays, more, status, expected) in [
        (vec![x.clone(), y.clone()], &[][..], 0, "array `y` is converted from f32 to i64"),
        (vec![x.clone(), column.clone()], &[], 0, "epoch 1 of 1"),
        (vec![x.clone(), y.clone(), weights.clone()], &["--sample-weights"], 0, "epoch 1 of 1"),
        (vec![x.clone(), y.clone(), weights.clone()], &[], 1, "--sample-weights takes it"),
        (vec![x.clone(), y.clone()], &["--sample-weights"], 1, "no array `sample_weight`, the weights of examples"),
        (vec![x.clone()], &[], 1, "no array `target` or `y`, the targets"),
        (vec![y.clone()], &[], 1, "no array `x`, an input of the model"),
        (vec![x.clone(), y.clone(), column], &[], 1, "the arrays `target` and `y` are all the targets"),
        (vec![x.clone(), y.clone(), named("z", &x)], &[], 1, "the model takes no array `z`"),
        (vec![("x", vec![6, 5], x.2[..30].to_vec()), y.clone()], &[], 1, "expected f32[examples,6]"),
        (vec![x.clone(), ("y", vec![5], y.2[..5].to_vec())], &[], 1, "expected i64[examples]"),
        (vec![x.clone(), ("y", vec![6], vec![0.5; 6])], &[], 1, "0.5 is not a value of i64"),
        (vec![x.clone(), ("y", vec![6], vec![3.0; 6])], &[], 1, "the targets are from 3 to 3"),
    ] {
        let (ended, said) = with(&arrays, more);
        assert!(ended == Some(status) && said.contains(expected), "{expected}: {ended:?} {said}");
        assert!(status == 0 || said.contains("data.npz") || expected.contains("targets are from"), "{said}");
    }
    // Examples to validate with weigh 1 where nothing else is said.
    fs::write(folder.path().join("data.npz"), npz(&[x, y, weights])).unwrap();
    answer(folder.path(), &train(&model, &["--sample-weights", "--validation", "held.npz", "--state", "s"]));
}

/// The first stays; a folder that is empty is taken.
#[test]
fn outputs_that_exist_are_refused_at_once() {
    let (folder, model) = (folder(), model());
    let begin = Instant::now();
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/a"), b"").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let args = train(&model, &["--epochs", "100000000", "-o", "full"]);
    let message = complaint(folder.path(), &args, 1);
    assert!(message.contains("the folder exists and is not empty"), "{message}");
    assert!(begin.elapsed() < Duration::from_secs(60));
    answer(folder.path(), &train(&model, &["--quiet", "-o", "empty"]));
    assert!(folder.path().join("empty/saved_model.pb").exists());
}

/// Another last layer learns, and is written; the same by way of a state.
#[test]
fn a_new_head_is_trained_and_written() {
    let (folder, model) = (folder(), root().join("tests/learn/heads/export").display().to_string());
    let more = ["--head", "3:softmax", "--seed", "5", "--freeze", "variables/0", "--freeze", "variables/1"];
    let rest = ["--epochs", "8", "--batch", "8", "--json", "--state", "s", "-o", "tuned/2"];
    let told = epochs(&answer(folder.path(), &train(&model, &[&more[..], &rest].concat())));
    let loss = |n: usize| told[n]["loss"].as_f64().unwrap();
    assert!(loss(7) < loss(0), "{} and {}", loss(0), loss(7));
    assert_eq!(names(&folder.path().join("tuned/2")), ["saved_model.pb", "variables"]);
    let run = |model: &str| answer(folder.path(), &["run", model, "--value", "x=[[1, 0, 2, 0, 0, 1]]"]);
    assert!(run("tuned").contains("[1, 3]"), "{}", run("tuned"));
    answer(folder.path(), &["state", "export", "--state", "s", "--head", "3:softmax", "--seed", "5", &model, "again"]);
    assert_eq!(run("tuned"), run("again"));
}

/// A model that is cut and has new layers learns, and is written; the same by way of a state.
#[test]
fn new_layers_are_trained_and_written() {
    let (folder, model) = (folder(), root().join("tests/learn/heads/export").display().to_string());
    let edit = ["--from", "first", "--append", "dense:4:relu", "--head", "3:softmax", "--seed", "5"];
    let rest = ["--freeze", "first", "--epochs", "8", "--batch", "8", "--json", "--state", "s", "-o", "tuned/2"];
    let told = epochs(&answer(folder.path(), &train(&model, &[&edit[..], &rest].concat())));
    let loss = |n: usize| told[n]["loss"].as_f64().unwrap();
    assert!(loss(7) < loss(0), "{} and {}", loss(0), loss(7));
    assert_eq!(names(&folder.path().join("tuned/2")), ["saved_model.pb", "variables"]);
    let run = |model: &str| answer(folder.path(), &["run", model, "--value", "x=[[1, 0, 2, 0, 0, 1]]"]);
    assert!(run("tuned").contains("[1, 3]"), "{}", run("tuned"));
    let shown = answer(folder.path(), &["state", "show", "s"]);
    assert!(
        shown.contains("appended_1/kernel") && shown.contains("head/bias") && !shown.contains("variables/0:"),
        "{shown}"
    );
    answer(folder.path(), &[&["state", "export", "--state", "s"], &edit[..], &[&model, "again"]].concat());
    assert_eq!(run("tuned"), run("again"));
    answer(folder.path(), &["compile", "tuned", "-o", "m.o", "--train", "--loss", LOSS, "--only", "head"]);
}

#[test]
fn steps_are_measured() {
    let (folder, model) = (folder(), model());
    let args = ["bench", &model, "--train", "--loss", LOSS, "--batch", "8", "--seconds", "0.05", "--profile", "--json"];
    let told: Value = serde_json::from_str(&answer(folder.path(), &args)).expect("JSON");
    assert!(told["signature"] == "train_step" && told["min_us"].as_f64() > Some(0.0), "{told}");
    assert!(told["kernels"].as_array().is_some_and(|kernels| kernels.len() > 2), "{told}");
}
