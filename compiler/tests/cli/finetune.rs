//! The example that learns: its commands as its README has them, with this program and the C compiler.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use smc::saved::{Model, Options};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

/// The commands of a step, each on one line.
fn commands(step: &str) -> Vec<String> {
    let text = std::fs::read_to_string(example("finetune/README.md")).unwrap();
    let (_, rest) = text.split_once(step).unwrap_or_else(|| panic!("README.md has no {step}"));
    let block = rest.split("```").nth(1).expect("a step has commands");
    let block = block.trim_start_matches("sh").replace("\\\n", " ");
    block.lines().filter(|line| !line.is_empty()).map(String::from).collect()
}

/// Runs them in a folder; what the C program printed.
fn run(folder: &Path, step: &str) -> String {
    let mut printed = String::new();
    for command in commands(step) {
        let mut words = command.split_whitespace().map(|word| match word.strip_prefix("examples/") {
            Some(name) => example(name).display().to_string(),
            None => word.into(),
        });
        let program = words.next().expect("a command has words");
        let program = if program == "smc" { env!("CARGO_BIN_EXE_smc").into() } else { folder.join(program) };
        let program = if program.ends_with("cc") { "cc".into() } else { program };
        let out = Command::new(program).args(words).current_dir(folder).output().expect("the command starts");
        assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
        if command.starts_with("./") {
            printed = String::from_utf8(out.stdout).unwrap();
        }
    }
    printed
}

/// The percentage in the last line.
fn right(printed: &str) -> f64 {
    let last = printed.lines().last().expect("something was printed");
    last.split(", ").nth(1).and_then(|part| part.split(' ').next()).and_then(|n| n.parse().ok()).expect("a percentage")
}

fn bits(model: &Path, variable: &str) -> Vec<u8> {
    let model = Model::open(model, &Options::default()).unwrap();
    let key = format!("{variable}/.ATTRIBUTES/VARIABLE_VALUE");
    model.bundle().unwrap().read(&key, None).unwrap().bytes().to_vec()
}

fn has_compiler() -> bool {
    let has = Command::new("cc").arg("--version").output().is_ok();
    assert!(has || std::env::var_os("CI").is_none(), "there is no C compiler");
    has
}

#[test]
fn the_three_steps_of_the_example() {
    if !has_compiler() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let old = example("finetune/model/1");
    for (step, least, frozen) in [("## 1.", 85.0, false), ("## 2.", 75.0, false), ("## 3.", 85.0, true)] {
        let printed = run(folder.path(), step);
        assert!(right(&printed) >= least, "{step}: {printed}");
        let new = folder.path().join("tuned").join(&step[3..4]);
        for key in ["variables/0", "variables/1"] {
            assert_eq!(bits(&old, key) == bits(&new, key), frozen, "{step}: {key}");
        }
        // Ten or five classes.
        let bias = bits(&new, "variables/3").len() / 4;
        assert_eq!(bias, if step == "## 1." { 10 } else { 5 });
    }
}

/// The filters and the statistics of batch norms stay bit for bit, the dense layers learn.
#[test]
fn convolutions_stay() {
    if !has_compiler() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let printed = run(folder.path(), "## 4.");
    assert!(right(&printed) >= 90.0, "{printed}");
    let (old, new) = (example("mnist/cnn/1"), folder.path().join("tuned/4"));
    let trained = |n: usize| format!("optimizer/_trainable_variables/{n}");
    for key in (0..7).map(trained).chain(["_layers/3/moving_mean", "_layers/7/moving_variance"].map(String::from)) {
        assert_eq!(bits(&old, &key), bits(&new, &key), "{key}");
    }
    assert!((7..11).map(trained).all(|key| bits(&old, &key) != bits(&new, &key)));
    assert_eq!(bits(&new, &trained(10)).len() / 4, 5);
}
