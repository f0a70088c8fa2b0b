//! Outputs that are left out: `--output` means the same in every command that looks at a model's outputs.

use std::fs;

use crate::support::{answer, complaint, npz, root};

fn model() -> String {
    root().join("tests/models/exported_function").display().to_string()
}

/// The commands that look at outputs, each with what makes it quick.
fn commands() -> Vec<Vec<String>> {
    let command = |words: &[&str]| words.iter().map(|w| w.to_string()).chain([model()]).collect();
    [
        &["compile", "--emit", "graph"][..],
        &["run", "--random=1"],
        &["run", "--random=1", "--reference"],
        &["check", "--random", "1"],
        &["bench", "--seconds", "0.01"],
        &["inspect"],
    ]
    .map(command)
    .into()
}

#[test]
fn every_command_leaves_outputs_out() {
    let folder = tempfile::tempdir().unwrap();
    for command in commands() {
        let with = |more: &[&'static str]| command.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let args: Vec<&str> = with(&["--output", "first", "--output", "rest/1"]);
        let text = answer(folder.path(), &args);
        assert!(text.contains("first") && text.contains("rest/1") && !text.contains("rest/0"), "{args:?}:\n{text}");
        let args: Vec<&str> = with(&["--output", "frist"]);
        let message = complaint(folder.path(), &args, 1);
        assert!(message.contains("did you mean `first`?"), "{args:?}: {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn headers_have_the_outputs_that_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    answer(folder.path(), &["compile", &model(), "--output", "first", "-o", "m.o"]);
    let header = fs::read_to_string(folder.path().join("m.h")).unwrap();
    assert!(header.contains("*first") && !header.contains("rest"), "{header}");
}

#[test]
fn names_of_files_are_told_from_outputs() {
    let folder = tempfile::tempdir().unwrap();
    for (command, name, expected) in
        [("compile", "libm.o", "named by -o libm.o"), ("run", "y.npz", "named by --outputs y.npz")]
    {
        let message = complaint(folder.path(), &[command, &model(), "--output", name], 1);
        assert!(message.contains(expected), "{message}");
    }
}

/// A recorded value of an output that is left out is not looked at.
#[test]
fn recorded_cases_are_compared_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = ("out:rest/0", vec![1, 2], vec![1e9f32, 0.0]);
    let printed = answer(folder.path(), &["run", &model(), "--value", "x=[[0, 0]]", "--json", "--output", "first"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    let first = &printed["outputs"]["first"]["values"][0];
    let first: Vec<f32> = (0..2).map(|n| first[n].as_f64().expect("a number") as f32).collect();
    let case = npz(&[("in:x", vec![1, 2], vec![0.0, 0.0]), ("out:first", vec![1, 2], first), wrong]);
    fs::write(folder.path().join("case.npz"), case).unwrap();
    let check = |output: &'static str, status| match status {
        0 => answer(folder.path(), &["check", &model(), "--case", "case.npz", "--output", output]),
        status => complaint(folder.path(), &["check", &model(), "--case", "case.npz", "--output", output], status),
    };
    assert!(check("first", 0).contains("1 of 1 outputs agree"));
    assert!(check("rest/0", 1).contains("1 of 1 outputs differ"));
    assert!(check("rest/1", 1).contains("none of the outputs that are kept"));
}
