//! Programs with sizes that data decide (`tests/models/sizes.py`): each signature computes what TensorFlow did, and refuses
//! what TensorFlow refuses, by the evaluator, by the interpreters of loops and of entry programs, and by machine code between
//! pages that nobody may touch.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use smc::{
    base::{Bindings, Problems},
    driver,
    emit::load::Loaded,
    graph::evaluate,
    saved::{self, Model, graph::Branches},
    tensor::Tensor,
    tf::{self, Imported},
};
use smc_tests::{
    cases::{Operand, bindings},
    compare::{Tolerance, difference},
    fenced,
    planned::Planned,
};

#[derive(Deserialize)]
struct Answers {
    bounds: BTreeMap<String, u64>,
    calls: Vec<Call>,
}

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

fn model() -> Model {
    Model::open(folder().join("sizes"), &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn import(model: &Model, name: &str, bounds: &BTreeMap<String, u64>) -> Result<Imported, Problems> {
    let signature = model.signature(name)?;
    let (options, mut taken) = (tf::Options { bounds: bounds.clone(), ..Default::default() }, Branches::new());
    loop {
        let graph = model.graph_taking(&signature, &taken)?;
        let before = taken.len();
        taken.extend(tf::known_branches(&graph, &|variable| model.read(variable), &options));
        if taken.len() == before {
            return tf::import(&graph, &|variable| model.read(variable), &options);
        }
    }
}

/// What a call should answer, and what one execution answered.
fn judge(imported: &Imported, call: &Call, results: Result<Vec<Tensor>, String>) -> Option<String> {
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

/// A program in all its forms.
struct Program {
    imported: Imported,
    planned: Planned,
    loaded: Loaded,
    interface: smc::emit::interface::Interface,
}

impl Program {
    fn new(imported: Imported) -> Program {
        let optimised = smc::opt::optimise(imported.graph.clone(), Default::default(), &mut |_, _| ());
        let planned = Planned::new(&optimised.unwrap_or_else(|e| panic!("{e}")), None);
        let options = driver::Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Default::default() };
        let compiled = driver::compile_imported("main", imported.clone(), &options).expect("the graph compiles");
        let loaded = Loaded::new(&compiled.object.bytes()).expect("the object loads");
        Program { imported, planned, loaded, interface: compiled.interface }
    }
    /// What is wrong with the answers to a call.
    fn compare(&self, call: &Call) -> Vec<String> {
        let graph = &self.imported.graph;
        let inputs: Vec<_> = graph.inputs.iter().map(|port| call.inputs[&port.name].tensor()).collect();
        let Some(bind) = bindings(&self.imported, &inputs) else {
            return call.error.is_none().then(|| "an assumption fails".to_owned()).into_iter().collect();
        };
        let mut wrong = vec![];
        let mut say = |who: &str, results: Result<Vec<Tensor>, String>| {
            wrong.extend(judge(&self.imported, call, results).map(|what| format!("{who}: {what}")));
        };
        say("evaluator", evaluate(graph, &inputs, &bind).map_err(|fault| format!("{fault:?}")));
        say("loops", self.planned.interpret(0, &inputs, &bind));
        for way in self.planned.ways() {
            let answer = self.planned.call(way, &inputs, &bind);
            say("entry", answer.map_err(|status| format!("status {status}")));
        }
        for side in fenced::SIDES {
            say("machine code", self.by_machine_code(&inputs, &bind, side));
        }
        wrong
    }
    fn by_machine_code(
        &self,
        inputs: &[Tensor],
        bind: &Bindings,
        side: smc::emit::load::Fence,
    ) -> Result<Vec<Tensor>, String> {
        let answer = fenced::call(&self.loaded, &self.interface, 0, inputs, bind, 0, side);
        answer.map_err(|status| format!("status {status}"))
    }
}

#[test]
fn programs_answer_as_tensorflow_does() {
    let model = model();
    let text = fs::read_to_string(folder().join("sizes.json")).expect("there are answers");
    let answers: BTreeMap<String, Answers> = serde_json::from_str(&text).expect("answers are as they were written");
    let only = std::env::var("SMC_PROGRAM").ok();
    let mut failures = vec![];
    for (name, answers) in answers.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name)) {
        let imported = match import(&model, name, &answers.bounds) {
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
        fenced::doing(format!("program {name}"));
        let checked = std::panic::catch_unwind(|| {
            let program = Program::new(imported);
            answers.calls.iter().map(|call| program.compare(call)).collect::<Vec<_>>()
        });
        let Ok(checked) = checked else {
            failures.push(format!("{name}: a panic"));
            continue;
        };
        for (n, wrong) in checked.into_iter().enumerate() {
            failures.extend(wrong.into_iter().map(|what| format!("{name}, call {n}: {what}")));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn what_is_refused_is_told_by_name() {
    let model = model();
    let expected: &[(&str, &[&str])] = &[
        ("no_bound", &["the number of elements of Range", "input `n`", "nothing bounds it", "`--bound n=MAX`"]),
        ("leaves_a_branch", &["the extents of result 0 of the branches depend on values within a branch"]),
    ];
    for (name, parts) in expected {
        let said = match import(&model, &format!("refused_{name}"), &BTreeMap::new()) {
            Ok(_) => "nothing".into(),
            Err(problems) => problems.to_string(),
        };
        let missing: Vec<_> = parts.iter().filter(|part| !said.contains(*part)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?} is not in:\n{said}");
    }
}
