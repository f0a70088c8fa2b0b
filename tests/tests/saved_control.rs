//! Models whose signatures branch, loop, check and assign (`tests/models/control.py`): what is known is taken and computes
//! what TensorFlow does; what is left out is told; what is assigned is state.

use std::{collections::BTreeMap, fs, path::PathBuf};

use smc::{
    base::{Bindings, Symbol},
    driver::{self, Options, entries},
    graph::evaluate,
    saved::{self, Model},
    tensor::{DType, Scalar, Tensor},
};

fn model(name: &str) -> Model {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "models", name].iter().collect();
    Model::open(folder, &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn options(signature: &str) -> Options {
    Options { signatures: vec![signature.into()], keep_imported: true, ..Options::default() }
}

fn numbers(json: &serde_json::Value, out: &mut Vec<f64>) {
    match json {
        serde_json::Value::Array(items) => items.iter().for_each(|i| numbers(i, out)),
        other => out.push(other.as_f64().expect("a number")),
    }
}

/// Compares a signature with what TensorFlow computed; returns the notes of its import.
fn answers(name: &str, signature: &str) -> Vec<String> {
    let text = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/answers.json")).unwrap();
    let recorded: BTreeMap<String, BTreeMap<String, serde_json::Value>> = serde_json::from_str(&text).unwrap();
    let recorded = &recorded[name][signature];
    let model = model(name);
    let (entries, _) = entries(&model, &options(signature)).unwrap_or_else(|e| panic!("{signature}: {e}"));
    let graph = &entries[0].imported;
    let (mut inputs, mut bind) = (vec![], Bindings::new());
    for port in &graph.inputs {
        let mut values = vec![];
        numbers(&recorded["inputs"][&port.name], &mut values);
        let open = graph.ty(port.node).shape.iter().filter_map(|d| d.as_int()).product::<i64>();
        bind.insert(Symbol::new("batch"), values.len() as i64 / open);
        let shape = graph.ty(port.node).concrete(&bind).unwrap();
        inputs.push(Tensor::from_scalars(DType::F32, shape, values.iter().map(|&x| Scalar::F32(x as f32))));
    }
    let results = evaluate(graph, &inputs, &bind).unwrap();
    for (port, result) in graph.outputs.iter().zip(&results) {
        let mut expected = vec![];
        numbers(&recorded["outputs"][&port.name], &mut expected);
        let found: Vec<f64> = result.scalars().map(|s| s.as_f64().unwrap()).collect();
        assert_eq!(found, expected, "{name} {signature} {}", port.name);
    }
    assert_eq!(results.len(), recorded["outputs"].as_object().unwrap().len());
    entries[0].notes.iter().map(|d| d.message.clone()).collect()
}

fn refused(name: &str, signature: &str) -> String {
    entries(&model(name), &options(signature)).expect_err(signature).to_string()
}

const UNCHECKED: &str = "an assertion is not checked by the compiled code";

#[test]
fn branches_are_taken_where_the_predicate_is_known() {
    for signature in ["numbers", "cases", "shapes", "frozen", "untaken_effect"] {
        assert_eq!(answers("branches", signature), Vec::<String>::new(), "{signature}");
    }
    assert_eq!(answers("branches", "taken_effect"), [UNCHECKED]);
}

#[test]
fn branches_that_data_decide_are_computed() {
    assert_eq!(answers("branches", "data"), Vec::<String>::new());
}

#[test]
fn branches_of_version_1_are_taken_with_their_constants() {
    assert_eq!(answers("v1_branches", "predict"), [UNCHECKED]);
}

#[test]
fn checks_and_messages_are_told_wherever_they_are() {
    for signature in ["assert_in_branch", "assert_in_called_branch", "assert_in_loop", "nobody_waits"] {
        assert_eq!(answers("effects", signature), [UNCHECKED], "{signature}");
    }
    for signature in ["prints", "print_in_branch"] {
        assert_eq!(answers("effects", signature), ["the model prints a message here; compiled code does not"]);
    }
    let numbers = answers("effects", "numbers_by_control");
    assert_eq!(numbers, ["the compiled code does not look for NaN and infinities here"]);
    assert_eq!(answers("effects", "pure"), Vec::<String>::new());
}

/// What a signature assigns in a branch or a loop is state, for it and for those that read it.
#[test]
fn assignments_are_state_wherever_they_are() {
    let kept = |entry: &driver::Entry| -> Vec<(String, bool)> {
        entry.state.iter().map(|kept| (kept.variable.name.clone(), kept.output.is_some())).collect()
    };
    for signature in ["assign_in_branch", "assign_in_case", "assign_in_loop"] {
        let (entries, _) = entries(&model("effects"), &options(signature)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(kept(&entries[0]), [("Variable_1".into(), true)], "{signature}");
    }
    let (all, notes) = entries(&model("effects"), &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let of = |key: &str| kept(all.iter().find(|e| e.key == key).expect(key));
    assert_eq!((of("reads"), of("pure")), (vec![("Variable_1".into(), false)], vec![]));
    assert!(!notes.has_errors(), "{notes}");
    // Alone, a reader has the stored value, and is told who would change it.
    let (reads, notes) = entries(&model("effects"), &options("reads")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(kept(&reads[0]), []);
    assert!(notes.to_string().contains("is read here and changed by signature `assign_in_branch`"), "{notes}");
}

/// A main operation sets variables after they were restored: from constants, from each other, in the order of its edges.
#[test]
fn the_initialisation_gives_variables_their_values() {
    for signature in ["constant", "chained", "counted", "drawn", "local", "restored", "table"] {
        assert_eq!(answers("v1_initialised", signature), Vec::<String>::new(), "{signature}");
    }
    let racy = refused("v1_initialised", "refused_racy");
    assert!(
        racy.contains("no edge says which of `Assign") && racy.contains("variable `refused_racy` is set"),
        "{racy}"
    );
    let random = refused("v1_initialised", "refused_random");
    assert!(random.contains("draws random numbers without a seed"), "{random}");
    let (all, notes) = entries(&model("v1_initialised"), &Options::default()).unwrap();
    assert_eq!((all.len(), notes.0.len()), (7, 2), "{notes}");
}

/// A branch that is not taken today is taken when another signature sets the flag: then what it assigns is state.
#[test]
fn flags_that_a_signature_sets_decide_nothing() {
    let (all, _) = entries(&model("decided"), &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let changes = |key: &str| {
        let entry = all.iter().find(|e| e.key == key).expect(key);
        entry.state.iter().map(|kept| (kept.variable.key.clone(), kept.output.is_some())).collect::<Vec<_>>()
    };
    let [flag, weight] = ["flag", "weight"].map(|name| format!("{name}/.ATTRIBUTES/VARIABLE_VALUE"));
    assert_eq!(changes("set_flag"), [(flag.clone(), true)]);
    assert_eq!(changes("assign_if_set"), [(flag, false), (weight.clone(), true)]);
    assert_eq!(changes("read"), [(weight, false)]);
    // Alone, the flag stays what it is, and so does the weight.
    let (alone, notes) = entries(&model("decided"), &options("assign_if_set")).unwrap_or_else(|e| panic!("{e}"));
    assert!(alone[0].state.is_empty() && notes.to_string().contains("changed by signature `set_flag`"), "{notes}");
}
