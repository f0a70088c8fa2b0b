//! `smc run` with inputs from everywhere, and outputs as JSON.

use std::fs;

use serde_json::Value;

use crate::support::{answer, array, complaint, mnist, smc};

fn json(folder: &std::path::Path, args: &[&str]) -> Value {
    serde_json::from_str(&answer(folder, args)).expect("JSON")
}

#[test]
fn small_inputs_are_written_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let row = format!("[{}]", vec!["0.5"; 28].join(","));
    let value = format!("inputs=[[{}]]", vec![&row[..]; 28].join(","));
    let outputs = json(folder.path(), &["run", &mnist(), "--value", &value, "--json"]);
    assert_eq!(outputs["signature"], "serving_default");
    let output = outputs["outputs"].as_object().and_then(|o| o.values().next()).expect("an output");
    assert_eq!((&output["dtype"], &output["shape"]), (&"f32".into(), &serde_json::json!([1, 10])));
    let scores: Vec<f64> = output["values"][0].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert!(scores.len() == 10 && (scores.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{outputs}");
    for (value, expected) in [
        ("inputs=[[1,2],[3]]", "different lengths"),
        ("inputs=[[[1,2]]]", "has shape [1, 1, 2]"),
        ("inputs=[1,2]", "the array has 1 axis, and the input 3 axes"),
        ("inputs=[[1,2]]", "array[None]"),
        ("inputs", "KEY=VALUE"),
        ("input=[1]", "did you mean `inputs`?"),
        ("inputs=[[['a']]]", "not a value of f32"),
    ] {
        let message = complaint(folder.path(), &["run", &mnist(), "--value", value], 1);
        assert!(message.contains(expected), "{value} does not say `{expected}`:\n{message}");
    }
}

#[test]
fn random_inputs_follow_from_their_seed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| json(folder.path(), &[&["run", &mnist(), "--json"], more].concat())["outputs"].clone();
    assert_eq!(run(&["--random"]), run(&["--random", "1"]));
    assert_ne!(run(&["--random"]), run(&["--random", "2"]));
    let three = run(&["--random", "--batch", "3"]);
    assert_eq!(three.as_object().unwrap().values().next().unwrap()["shape"], serde_json::json!([3, 10]));
    let three = run(&["--random", "--shape", "inputs=3,28,28"]);
    assert_eq!(three.as_object().unwrap().values().next().unwrap()["shape"], serde_json::json!([3, 10]));
}

#[test]
fn arrays_are_converted_where_no_value_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    let bytes = |values: &[i64]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    let doubles = |x: f64| [x; 784].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    file("int.npy", array("<i8", &[1, 28, 28], &bytes(&[3; 784])));
    file("huge.npy", array("<i8", &[1, 28, 28], &bytes(&[(1 << 40) + 1; 784])));
    file("double.npy", array("<f8", &[1, 28, 28], &doubles(0.1)));
    file("overflow.npy", array("<f8", &[1, 28, 28], &doubles(1e300)));
    file("object.npy", array("|O", &[1], b"\x80\x04."));
    let run = |name: &str| smc(folder.path(), &["run", &mnist(), "--input", &format!("inputs={name}")]);
    for (name, note) in
        [("int.npy", "from i64 to f32; no value changes"), ("double.npy", "from f64 to f32; values are")]
    {
        let out = run(name);
        let message = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && message.contains(note), "{name}: {message}");
    }
    for (name, expected) in [
        ("huge.npy", "array.astype('float32')"),
        ("overflow.npy", "is not a value of f32"),
        ("object.npy", "astype('S')"),
    ] {
        let out = run(name);
        let message = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn archives_of_outputs_come_back() {
    let folder = tempfile::tempdir().unwrap();
    answer(folder.path(), &["run", &mnist(), "--random", "--outputs", "y.npz"]);
    let streamed = smc(folder.path(), &["run", &mnist(), "--random", "--outputs", "-"]);
    assert!(streamed.stdout == fs::read(folder.path().join("y.npz")).unwrap(), "the stream differs from the file");
}

/// A model that offers nothing is told how to offer something, by every command that calls it.
#[test]
fn a_model_without_signatures_is_told_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let text = "saved_model_schema_version: 1 meta_graphs { meta_info_def { tags: \"serve\" } graph_def { } }";
    fs::write(folder.path().join("saved_model.pbtxt"), text).unwrap();
    for command in ["compile", "run", "check", "bench"] {
        let message = complaint(folder.path(), &[command, "."], 1);
        assert!(message.contains("no signature") && message.contains("model.export(DIR)"), "{command}:\n{message}");
    }
}
