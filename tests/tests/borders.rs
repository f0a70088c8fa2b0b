//! Extents at their borders: each recorded sweep is compiled once with open extents and called with every run's, by the
//! evaluator and by machine code. Where TensorFlow raises, both refuse; where it serves, both give its values.

use std::{
    collections::BTreeSet,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use smc::{
    base::{Diagnostic, Dim, Problems},
    driver::{self, Executable},
    graph::{Graph, evaluate},
    saved::Variable,
    tensor::{Tensor, TensorType},
    tf::{self, Imported, Options},
};
use smc_tests::{
    cases::{Case, CaseFile, Open, Operand, Run, Sweep, one_node, read_cases, tolerance},
    compare::difference,
    lists::List,
    sweeps::graph_of,
};

#[test]
fn recorded_borders_agree() {
    let (pending, refused) = (List::read("Pending"), List::read("Refused at some extents"));
    let only = std::env::var("SMC_OP").ok();
    let (mut failures, mut runs) = (vec![], 0);
    for file in read_cases().into_iter().filter(|file| only.as_ref().is_none_or(|op| *op == file.op)) {
        for sweep in &file.sweeps {
            let (is_pending, may_refuse) = (pending.names(&file.op, &sweep.name), refused.names(&file.op, &sweep.name));
            let found = wrong(&file, sweep);
            let listed = |w: &Wrong| is_pending || may_refuse && matches!(w, Wrong::Refused(_));
            if (is_pending || may_refuse) && !found.iter().any(listed) {
                failures.push(format!("{} / {}: is right, but listed as otherwise", file.op, sweep.name));
            }
            runs += sweep.runs.len();
            let others = found.iter().filter(|w| !listed(w));
            failures.extend(others.map(|what| format!("{} / {}: {what}", file.op, sweep.name)));
        }
    }
    println!("{runs} runs agree");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    if only.is_none() {
        refused.assert_used();
    }
}

/// A row computes extents where, with open ones, a result has no operand's shape, or the import assumes something.
#[test]
fn rows_that_compute_extents_have_sweeps() {
    let listed = List::read("Extents without a sweep");
    let mut wrong = vec![];
    for file in read_cases().into_iter().filter(|file| tf::find(&file.op).is_some()) {
        let computes = file.cases.iter().any(|case| computes_extents(&file.op, case));
        match (listed.names_op(&file.op), computes && file.sweeps.is_empty()) {
            (false, true) => wrong.push(format!("{} computes extents and has no sweep", file.op)),
            (true, false) => wrong.push(format!("{} is listed, but has a sweep or computes no extents", file.op)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    listed.assert_used();
}

fn computes_extents(op: &str, case: &Case) -> bool {
    let Ok(graph) = one_node(op, case, Open::All) else { return false };
    let Ok(Imported { graph, .. }) = tf::import(&graph, &no_variables, &Options::default()) else { return false };
    let extents = || graph.inputs.iter().flat_map(|p| graph.shape(p.node));
    let names: BTreeSet<_> = extents().filter_map(Dim::as_symbol).collect();
    let is_given = |shape: &[Dim]| shape.is_empty() || graph.inputs.iter().any(|p| graph.shape(p.node) == shape);
    !graph.facts().assumed().is_empty()
        || names.len() != extents().count()
        || !graph.outputs.iter().all(|p| is_given(graph.shape(p.node)))
}

fn no_variables(_: &Variable) -> Result<Tensor, Problems> {
    Err(Diagnostic::error("there are no variables").into())
}

/// How a run differs from TensorFlow's, and where.
enum Wrong {
    /// TensorFlow serves what is refused.
    Refused(String),
    /// Another value, a value where TensorFlow raises, or a panic.
    Value(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Wrong::Refused(what) | Wrong::Value(what)) = self;
        f.write_str(what)
    }
}

/// Everything in which a sweep's runs differ from TensorFlow's.
fn wrong(file: &CaseFile, sweep: &Sweep) -> Vec<Wrong> {
    let imported = match import(&file.op, sweep) {
        Ok(imported) => imported,
        Err(_) if sweep.runs.iter().all(|run| run.error.is_some()) => return vec![],
        Err(problem) => return vec![Wrong::Refused(problem)],
    };
    let options = driver::Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..driver::Options::default() };
    let compiled = driver::compile_imported("main", imported.clone(), &options).expect("it compiles");
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).expect("the object loads");
    let mut wrong = vec![];
    for run in &sweep.runs {
        let inputs = run.fed();
        let shapes: Vec<_> = run.inputs.iter().map(|i| &i.shape).collect();
        for (name, outcome) in [
            ("evaluator", catch_unwind(AssertUnwindSafe(|| by_evaluator(&imported.graph, &inputs)))),
            ("machine code", catch_unwind(AssertUnwindSafe(|| by_machine_code(&executable, &inputs)))),
        ] {
            let at = format!("{shapes:?}, {name}");
            wrong.extend(match outcome {
                Ok(outcome) => judged(&file.op, run, &at, outcome),
                Err(_) => Some(Wrong::Value(format!("{at}: it panics"))),
            });
        }
    }
    wrong
}

fn import(op: &str, sweep: &Sweep) -> Result<Imported, String> {
    let graph = graph_of(op, sweep)?;
    let imported = tf::import(&graph, &no_variables, &Options::default()).map_err(|problems| problems.to_string())?;
    imported.graph.verify()?;
    Ok(imported)
}

/// The outputs, or why there are none.
fn by_evaluator(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let declared: Vec<(&str, &TensorType)> = graph.inputs.iter().map(|p| (p.name.as_str(), graph.ty(p.node))).collect();
    let bind = driver::bind(&declared, inputs).map_err(|problems| problems.to_string())?;
    driver::check_assumptions(graph, &bind).map_err(|problem| problem.to_string())?;
    evaluate(graph, inputs, &bind).map_err(|fault| format!("{fault:?}"))
}

/// As the evaluator; what is assumed of the extents is checked by the code itself.
fn by_machine_code(executable: &Executable, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let mut call = executable.prepare(0, inputs).map_err(|problems| problems.to_string())?;
    call.run(None).map_err(|fault| fault.to_string())?;
    Ok(call.results())
}

/// How an outcome differs from TensorFlow's.
fn judged(op: &str, run: &Run, at: &str, outcome: Result<Vec<Tensor>, String>) -> Option<Wrong> {
    match (outcome, &run.error) {
        (Err(_), Some(_)) => None,
        (Ok(_), Some(error)) => Some(Wrong::Value(format!("{at}: no fault, but TensorFlow says: {error}"))),
        (Err(fault), None) => Some(Wrong::Refused(format!("{at}: {fault}"))),
        (Ok(ours), None) => {
            let differs = |(n, (ours, theirs)): (usize, (&Tensor, &Operand))| {
                let what = difference(ours, &theirs.tensor(), tolerance(op))?;
                Some(Wrong::Value(format!("{at}, output {n}: {what}")))
            };
            ours.iter().zip(&run.outputs).enumerate().find_map(differs)
        }
    }
}
