//! Programs of `tests/models`, each a signature of a SavedModel, with calls and what TensorFlow answered: `NAME.json` beside
//! the folder `NAME`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use serde::{Deserialize, de::DeserializeOwned};
use smc::{
    base::{Bindings, Problems},
    driver,
    emit::{
        interface::Interface,
        load::{Fence, Loaded},
    },
    graph::{Graph, evaluate, text},
    saved::{self, Model, TfGraph},
    tensor::Tensor,
    tf::{self, Imported},
};

use crate::{
    cases::{Operand, bindings},
    compare::{Tolerance, difference},
    fenced,
    planned::Planned,
};

/// Steps of recurrences add up, and zeros of either sign are equal.
pub const TOLERANCE: Tolerance = Tolerance { ulps: 4.0, units: 4.0, signed_zeros: false };

/// A call and TensorFlow's answer.
#[derive(Deserialize)]
pub struct Call {
    /// Which signature of the program is called, where it has several.
    #[serde(default)]
    pub function: String,
    pub inputs: BTreeMap<String, Operand>,
    #[serde(default)]
    pub outputs: BTreeMap<String, Operand>,
    /// What TensorFlow said, where it gave no outputs.
    pub error: Option<String>,
}

impl Call {
    /// What is wrong with the results, which have these names.
    pub fn judge<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        results: Result<Vec<Tensor>, String>,
    ) -> Option<String> {
        match (results, &self.error) {
            (Err(_), Some(_)) => None,
            (Ok(_), Some(error)) => Some(format!("no fault, but TensorFlow says: {error}")),
            (Err(fault), None) => Some(fault),
            (Ok(results), None) => names.zip(&results).find_map(|(name, ours)| {
                let what = difference(ours, &self.outputs[name].tensor(), TOLERANCE)?;
                Some(format!("output {name}: {what}"))
            }),
        }
    }
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "models"].iter().collect()
}

pub fn open(name: &str) -> Model {
    Model::open(folder().join(name), &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

pub fn import(model: &Model, program: &str, options: &tf::Options) -> Result<Imported, Problems> {
    driver::import(model, &model.signature(program)?, options)
}

/// The operators of all signatures of some models, and of the bodies in them.
pub fn operators(models: &[&str]) -> BTreeSet<String> {
    fn add(graph: &TfGraph, found: &mut BTreeSet<String>) {
        found.extend(graph.op_counts().into_keys().map(String::from));
        graph.bodies.values().flatten().for_each(|body| add(body, found));
    }
    let mut found = BTreeSet::new();
    for model in models.iter().map(|name| open(name)) {
        for signature in model.signatures() {
            add(&model.graph(signature).unwrap_or_else(|e| panic!("{e}")), &mut found);
        }
    }
    found
}

/// The program that SMC_PROGRAM names, if it does: the others are left out.
fn only() -> Option<String> {
    std::env::var("SMC_PROGRAM").ok()
}

/// Prints the graph of a program that is looked at alone.
pub fn show(graph: &Graph) {
    if only().is_some() {
        println!("{}", text::print(graph).0);
    }
}

/// Looks at each program of a model; `test` says what is wrong with the calls of one.
pub fn each_program<A: DeserializeOwned>(name: &str, test: impl Fn(&Model, &str, &A) -> Vec<String>) {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("there are answers");
    let answers: BTreeMap<String, A> = serde_json::from_str(&text).expect("answers are as they were written");
    let (model, only) = (open(name), only());
    let mut failures = vec![];
    for (program, calls) in answers.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name)) {
        fenced::doing(format!("program {program}"));
        let wrong = catch_unwind(AssertUnwindSafe(|| test(&model, program, calls)));
        let wrong = wrong.unwrap_or_else(|_| vec!["it panics".into()]);
        failures.extend(wrong.into_iter().map(|what| format!("{program}: {what}")));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Imports a program and makes its calls by all four executions; what is wrong.
pub fn calls_agree(model: &Model, program: &str, calls: &[Call], options: &tf::Options) -> Vec<String> {
    let imported = match import(model, program, options) {
        Ok(imported) => imported,
        Err(problems) => return vec![problems.to_string()],
    };
    show(&imported.graph);
    if let Err(what) = imported.graph.verify() {
        return vec![what];
    }
    let program = Program::new(imported);
    let wrong = calls.iter().enumerate().map(|(n, call)| (n, program.compare(call)));
    wrong.flat_map(|(n, wrong)| wrong.into_iter().map(move |what| format!("call {n}: {what}"))).collect()
}

/// Each of these programs, called `refused_NAME`, is refused with these words.
pub fn refuses(model: &str, expected: &[(&str, &[&str])]) {
    let model = open(model);
    let mut failures = vec![];
    for (name, parts) in expected {
        let said = match import(&model, &format!("refused_{name}"), &tf::Options::default()) {
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

/// A program in all its forms.
struct Program {
    imported: Imported,
    planned: Planned,
    /// None where it has state: variables are inputs and outputs beside its own, but for machine code, whose blocks are the
    /// business of `saved_state.rs`.
    code: Option<(Loaded, Interface)>,
}

impl Program {
    fn new(imported: Imported) -> Program {
        let optimised = smc::opt::optimise(imported.graph.clone(), Default::default(), &mut |_, _| ());
        let planned = Planned::new(&optimised.unwrap_or_else(|e| panic!("{e}")), None);
        let code = imported.state.is_empty().then(|| {
            let options = driver::Options { name: "m".into(), cpu: Some(crate::cpu()), ..Default::default() };
            let compiled = driver::compile_imported("main", imported.clone(), &options).expect("the graph compiles");
            (Loaded::new(&compiled.object.bytes()).expect("the object loads"), compiled.interface)
        });
        Program { imported, planned, code }
    }
    /// What is wrong with the answers to a call: by the evaluator, by the interpreters of loops and of entry programs, and by
    /// machine code between pages that nobody may touch.
    fn compare(&self, call: &Call) -> Vec<String> {
        let graph = &self.imported.graph;
        let inputs: Vec<_> = graph.inputs.iter().map(|port| call.inputs[&port.name].tensor()).collect();
        let Some(bind) = bindings(&self.imported, &inputs) else {
            return call.error.is_none().then(|| "an assumption fails".to_owned()).into_iter().collect();
        };
        let mut wrong = vec![];
        let mut say = |who: &str, results: Result<Vec<Tensor>, String>| {
            let names = graph.outputs.iter().map(|port| &port.name[..]);
            wrong.extend(call.judge(names, results).map(|what| format!("{who}: {what}")));
        };
        say("evaluator", evaluate(graph, &inputs, &bind).map_err(|fault| format!("{fault:?}")));
        say("loops", self.planned.interpret(0, &inputs, &bind));
        for way in self.planned.ways() {
            let answer = self.planned.call(way, &inputs, &bind);
            say("entry", answer.map_err(|status| format!("status {status}")));
        }
        for side in fenced::SIDES {
            if let Some(answer) = self.by_machine_code(&inputs, &bind, side) {
                say("machine code", answer);
            }
        }
        wrong
    }
    fn by_machine_code(&self, inputs: &[Tensor], bind: &Bindings, side: Fence) -> Option<Result<Vec<Tensor>, String>> {
        let (loaded, interface) = self.code.as_ref()?;
        let answer = fenced::call(loaded, interface, 0, inputs, bind, 0, side);
        Some(answer.map_err(|status| format!("status {status}")))
    }
}
