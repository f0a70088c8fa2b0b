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
    let refused = root().join("tests/models/several_signatures").display().to_string();
    let text = answer(folder.path(), &["inspect", &refused]);
    assert!(text.contains("`greet`: refused: "), "{text}");
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
