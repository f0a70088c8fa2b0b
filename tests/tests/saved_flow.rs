//! Programs with branches, loops and lists that data decide, in the form of TensorFlow 2 (`tests/models/flow.py`) and of
//! TensorFlow 1 (`flow1.py`), and others that draw random numbers (`chance.py`): each signature computes what TensorFlow did,
//! and refuses what TensorFlow refuses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde::Deserialize;
use smc::{
    base::{Bindings, Problems},
    driver::{self, Executable},
    graph::evaluate,
    saved::{self, Model, TfGraph, graph::Branches},
    tensor::Tensor,
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

fn open(name: &str) -> Model {
    Model::open(folder().join(name), &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"))
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
    let mut found = BTreeSet::new();
    for model in ["flow", "flow1"].map(open) {
        for signature in model.signatures() {
            operators(&model.graph(signature).unwrap_or_else(|e| panic!("{e}")), &mut found);
        }
    }
    let is_flow = |op: &str| {
        op == "EmptyTensorList"
            || op.starts_with("TensorList")
            || op.starts_with("TensorArray")
            || op.ends_with("While")
            || op.ends_with("Case")
            || op.ends_with("If")
    };
    let missing: Vec<&str> = tf::ops().map(|op| op.name).filter(|op| is_flow(op) && !found.contains(*op)).collect();
    assert!(missing.is_empty(), "no program of tests/models/flow.py or flow1.py has {missing:?}");
}

/// The graph as it means, and the code of it.
struct Program {
    imported: Imported,
    code: Executable,
}

impl Program {
    fn by_evaluator(&self, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, String> {
        evaluate(&self.imported.graph, inputs, bind).map_err(|fault| format!("{fault:?}"))
    }
    fn by_machine_code(&self, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, String> {
        let mut call = self.code.prepare_with(0, inputs, bind.clone()).map_err(|problems| problems.to_string())?;
        call.run(None).map_err(|fault| fault.to_string())?;
        Ok(call.results())
    }
    /// What is wrong with the answers of a call, if anything.
    fn compare(&self, call: &Call) -> Option<String> {
        let inputs: Vec<_> = self.imported.graph.inputs.iter().map(|port| call.inputs[&port.name].tensor()).collect();
        let Some(bind) = bindings(&self.imported, &inputs) else {
            return call.error.is_none().then(|| "an assumption fails".into());
        };
        let evaluated = compare(&self.imported, call, self.by_evaluator(&inputs, &bind));
        let evaluated = evaluated.map(|what| format!("evaluator: {what}"));
        // Blocks of state, which machine code needs, are the business of `saved_state.rs`.
        if !self.imported.state.is_empty() {
            return evaluated;
        }
        evaluated.or_else(|| {
            let what = compare(&self.imported, call, self.by_machine_code(&inputs, &bind))?;
            Some(format!("machine code: {what}"))
        })
    }
}

fn compile(imported: Imported) -> Program {
    let options = driver::Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..driver::Options::default() };
    let compiled = driver::compile_imported("main", imported.clone(), &options).expect("the graph compiles");
    let code = Executable::new(&compiled.object.bytes(), compiled.interface).expect("the object loads");
    Program { imported, code }
}

fn compare(imported: &Imported, call: &Call, results: Result<Vec<Tensor>, String>) -> Option<String> {
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
fn what_is_refused_is_told_by_name() {
    refuses(
        "flow",
        &[
            ("growth", &["of the loop is a f32[batch,3] before", "its type changes", "tf.TensorArray"]),
            ("prefixes", &["the extent", "changes with each iteration of the loop", "mask"]),
            ("list_of_data", &["has no bound", "maximum_iterations"]),
            ("endless", &["the loop never ends"]),
            (
                "shapes_of_branches",
                &["result 0 of the branches is a f32[3] in one of them and a f32[batch,3] in another"],
            ),
            ("extents_of_branches", &["the extents of result 0 of the branches must be equal", "3", "2"]),
            ("map", &["operator EmptyTensorMap is not supported yet"]),
            ("inside", &["operator Lgamma is not", "operator Digamma is not", "cond/Lgamma", "cond/cond/Digamma"]),
            ("unset", &["no element of the list was set", "element_shape="]),
        ],
    );
}

#[test]
fn what_is_refused_of_version_1_is_told_by_name() {
    refuses(
        "flow1",
        &[
            ("growth", &["of the loop is a f32[batch,3] before", "its type changes"]),
            (
                "unpaired",
                &[
                    "refused_unpaired/Switch",
                    "branch depends on the values of input `a`, and no Merge joins its two sides",
                ],
            ),
            ("one_side", &["refused_one_side/Switch", "branch depends on the values of input `b`"]),
            ("assignment_in_branch", &["AssignAdd", "refused_assignment_in_branch/cond/AssignAdd"]),
            ("two_writers", &["two nodes write to one array beside each other", "array = array.write(i, x)"]),
            ("writer_by_control", &["TensorArrayWriteV3 changes an array here, and nobody reads the flow"]),
            ("race", &["several operands of this Merge are computed in every call", "refused_race/Merge"]),
            ("gradient", &["StackV2"]),
            ("two_writers", &["two nodes write to one array beside each other", "array = array.write(i, x)"]),
            ("writer_by_control", &["TensorArrayWriteV3 changes an array here, and nobody reads the flow"]),
            ("race", &["several operands of this Merge are computed in every call", "refused_race/Merge"]),
            ("gradient", &["StackV2"]),
        ],
    );
}

/// Each of these programs is refused with these words.
fn refuses(model: &str, expected: &[(&str, &[&str])]) {
    let model = open(model);
    let mut failures = vec![];
    for (name, parts) in expected {
        let said = match import(&model, &format!("refused_{name}")) {
            Ok(_) => "nothing".into(),
            Err(problems) => problems.to_string(),
        };
        let missing: Vec<_> = parts.iter().filter(|part| !said.contains(*part)).collect();
        if !missing.is_empty() {
            failures.push(format!("{name}: {missing:?} is not in:\n{said}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn programs_answer_as_tensorflow_does() {
    check("flow");
}

#[test]
fn programs_of_version_1_answer_as_tensorflow_does() {
    check("flow1");
}

#[test]
fn programs_draw_the_same_numbers() {
    check("chance");
}

/// Calls the programs of a model, all or the one that SMC_PROGRAM names.
fn check(name: &str) {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("there are answers");
    let model = open(name);
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
        let Ok(program) = std::panic::catch_unwind(|| compile(imported)) else {
            failures.push(format!("{name}: does not compile"));
            continue;
        };
        for (n, call) in calls.iter().enumerate() {
            failures.extend(program.compare(call).map(|what| format!("{name}, call {n}: {what}")));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
