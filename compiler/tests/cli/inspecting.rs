//! What `inspect` says of models.

use std::fs;

use crate::support::{answer, complaint, exported, mnist, root};

#[test]
fn verdicts_name_cause_and_cost() {
    let folder = tempfile::tempdir().unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&answer(folder.path(), &["inspect", &mnist(), "--json"])).expect("JSON");
    let verdict = &json["verdicts"][0];
    assert_eq!(verdict["compiles"], true);
    assert_eq!(verdict["parameters"], 407_080 / 4);
    assert_eq!(verdict["multiply_adds"], "101632*batch");
    let parameters = verdict["layers"].as_array().unwrap().iter().filter_map(|l| l["parameters"].as_u64()).sum::<u64>();
    assert_eq!(parameters, 407_080 / 4, "{verdict}");
    let text = answer(folder.path(), &["inspect", &exported()]);
    assert!(text.contains("`serving_default` and `serve`: compiles"), "{text}");
    let refused = root().join("tests/models/tables").display().to_string();
    let text = answer(folder.path(), &["inspect", &refused]);
    assert!(text.contains("`refused_changed`: refused: "), "{text}");
}

#[test]
fn layers_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    answer(folder.path(), &["inspect", &mnist(), "--svg", "mnist.svg"]);
    let picture = fs::read_to_string(folder.path().join("mnist.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("multiply-adds") && picture.contains("dense"), "{picture}");
    let message = complaint(folder.path(), &["inspect", &mnist(), "--svg", "no/such.svg"], 1);
    assert!(message.contains("there is no folder"), "{message}");
    let message = complaint(folder.path(), &["inspect", &mnist(), "--svg", "x.svg", "--signature", "serving"], 1);
    assert!(message.contains("did you mean `serving_default`?"), "{message}");
}

/// What outlives calls, what is drawn, and which sizes data decide.
#[test]
fn state_and_sizes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let inspect = |model: &str| answer(folder.path(), &["inspect", &root().join(model).display().to_string()]);
    let mean = inspect("examples/mean/model");
    for told in [
        "reads and changes the variable `count`, i64[]",
        "reads the variable `mean`, f32[]",
        "output `above` is f32[boolean_mask_Where]: data decide boolean_mask_Where, batch at most",
    ] {
        assert!(mean.contains(told), "{told} is not in\n{mean}");
    }
    assert!(!mean.contains("without a seed"), "{mean}");
    let unseeded = inspect("tests/models/unseeded");
    assert!(unseeded.contains("draws random numbers without a seed"), "{unseeded}");
    assert_eq!(unseeded.matches("which the model seeds").count(), 1, "{unseeded}");
    // What is assigned first is not read.
    let scratch = inspect("tests/models/state_v1");
    assert!(scratch.contains("\n  changes the variable `scratch_True`, f32[2]\n"), "{scratch}");
    let model = root().join("examples/mean/model").display().to_string();
    let json = answer(folder.path(), &["inspect", &model, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let above =
        json["verdicts"].as_array().unwrap().iter().find(|v| v["signatures"][0] == "above").expect("it compiles");
    assert_eq!(above["found"][0]["sizes"][0]["bound"], "batch");
    assert_eq!(above["state"][0]["generator"], serde_json::Value::Null);
    assert!(above["draws_unseeded"] == false && above["state"][0]["changes"] == true, "{above}");
}
