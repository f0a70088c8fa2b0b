//! Programs with branches, loops and lists that data decide (`tests/models/flow.py`): each signature computes what
//! TensorFlow did, and refuses what TensorFlow refuses.

use std::{collections::{BTreeMap, BTreeSet}, fs, path::PathBuf};

use serde::Deserialize;
use smc::{
    base::Problems,
    graph::evaluate,
    saved::{self, Model, TfGraph, graph::Branches},
    tf::{self, Imported},
};
use smc_tests::{
    cases::{Operand, bindings},
    compare::{Tolerance, difference},
};

#[derive(Deserialize)]
struct Call {
    inputs: BTreeMap<String, Operand>,
    #[serde(default)]
    outputs: BTreeMap<String, Operand>,
    /// What TensorFlow said, where it gave no outputs.
    error: Option<String>,
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "models"].iter().collect()
}

fn import(model: &Model, name: &str) -> Result<Imported, Problems> {
    let signature = model.signature(name)?;
    let (options, mut taken) = (tf::Options::default(), Branches::new());
    loop {
        let graph = model.graph_taking(&signature, &taken)?;
        let before = taken.len();
        taken.extend(tf::known_branches(&graph, &|variable| model.read(variable), &options));
        if taken.len() == before {
            return tf::import(&graph, &|variable| model.read(variable), &options);
        }
    }
}

/// The operators of a graph and of the bodies in it.
fn operators(graph: &TfGraph, found: &mut BTreeSet<String>) {
    found.extend(graph.op_counts().into_keys().map(String::from));
    graph.bodies.values().flatten().for_each(|body| operators(body, found));
}

/// Each row for branches, loops and lists is in a program.
#[test]
fn programs_have_all_operators() {
    let model = Model::open(folder().join("flow"), &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let mut found = BTreeSet::new();
    for signature in model.signatures() {
        operators(&model.graph(signature).unwrap_or_else(|e| panic!("{e}")), &mut found);
    }
    let is_flow = |op: &str| op == "EmptyTensorList" || op.starts_with("TensorList") || op.ends_with("While") || op.ends_with("Case") || op.ends_with("If");
    let missing: Vec<&str> = tf::ops().map(|op| op.name).filter(|op| is_flow(op) && !found.contains(*op)).collect();
    assert!(missing.is_empty(), "no program of tests/models/flow.py has {missing:?}");
}

/// What is wrong with an answer, if anything.
fn compare(imported: &Imported, call: &Call) -> Option<String> {
    let inputs: Vec<_> = imported.graph.inputs.iter().map(|port| call.inputs[&port.name].tensor()).collect();
    let results = match bindings(imported, &inputs) {
        Some(bind) => evaluate(&imported.graph, &inputs, &bind).map_err(|fault| format!("{fault:?}")),
        None => Err("an assumption fails".into()),
    };
    match (results, &call.error) {
        (Err(_), Some(_)) => None,
        (Ok(_), Some(error)) => Some(format!("no fault, but TensorFlow says: {error}")),
        (Err(fault), None) => Some(fault),
        (Ok(results), None) => imported.graph.outputs.iter().zip(&results).find_map(|(port, ours)| {
            let tolerance = Tolerance { ulps: 4.0, units: 4.0, signed_zeros: false };
            let what = difference(ours, &call.outputs[&port.name].tensor(), tolerance)?;
            Some(format!("output {}: {what}", port.name))
        }),
    }
}

#[test]
fn programs_answer_as_tensorflow_does() {
    let model = Model::open(folder().join("flow"), &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let text = fs::read_to_string(folder().join("flow.json")).expect("there are answers");
    let answers: BTreeMap<String, Vec<Call>> = serde_json::from_str(&text).expect("answers are as they were written");
    let only = std::env::var("SMC_PROGRAM").ok();
    let mut failures = vec![];
    for (name, calls) in answers.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name)) {
        let imported = match import(&model, name) {
            Ok(imported) => imported,
            Err(problems) => {
                failures.push(format!("{name}: {problems}"));
                continue;
            }
        };
        if let Err(what) = imported.graph.verify() {
            failures.push(format!("{name}: {what}"));
        }
        if only.is_some() {
            println!("{}", smc::graph::text::print(&imported.graph).0);
        }
        for (n, call) in calls.iter().enumerate() {
            failures.extend(compare(&imported, call).map(|what| format!("{name}, call {n}: {what}")));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
