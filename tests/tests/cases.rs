//! Recorded cases: each operator's row against TensorFlow's own results, by every execution of the graph.
//!
//! A case becomes a TF graph of one node and is imported three times: with the recorded shapes, with the leading extent
//! of each operand open, and with all extents open. Open shapes run where the case fits what the import assumes of
//! them. `tests/cases/README.md` lists what is pending and why; everything else has to agree.

use std::fs;

use smc::{
    base::{Bindings, Diagnostic, Problems},
    driver::{self, Executable},
    graph::evaluate,
    saved::{Variable, graph::has_effect, has_generator},
    tensor::Tensor,
    tf::{self, Equal, Imported, Options},
};
use smc_tests::cases::{Case, CaseFile, Open, Operand, bindings, one_node, read_cases, tolerance};
use smc_tests::lists::List;

/// Computes a graph: its outputs, or what ended the run.
type Execution = fn(&Imported, &[Tensor], &Bindings) -> Result<Vec<Tensor>, String>;

/// Every way to compute a graph.
const EXECUTIONS: &[(&str, Execution)] =
    &[("evaluator", by_evaluator), ("evaluator of equal extents", by_equal), ("machine code", by_machine_code)];

fn by_evaluator(imported: &Imported, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, String> {
    evaluate(&imported.graph, inputs, bind).map_err(|fault| format!("{fault:?}"))
}

/// The graph for extents that are equal, where they are.
fn by_equal(imported: &Imported, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, String> {
    let serves = |equal: &&Equal| {
        equal.when.iter().all(|(a, b)| a.eval(bind) == b.eval(bind)) && equal.graph.broken(bind).is_none()
    };
    match imported.equal.as_ref().filter(serves) {
        Some(equal) => evaluate(&equal.graph, inputs, bind).map_err(|fault| format!("{fault:?}")),
        None => by_evaluator(imported, inputs, bind),
    }
}

/// Panics when the compiler does not take the graph.
fn by_machine_code(imported: &Imported, inputs: &[Tensor], bind: &Bindings) -> Result<Vec<Tensor>, String> {
    let options = driver::Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..driver::Options::default() };
    let compiled = driver::compile_imported("main", imported.clone(), &options).expect("the graph compiles");
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface).expect("the object loads");
    let mut call = executable.prepare_with(0, inputs, bind.clone()).map_err(|problems| problems.to_string())?;
    call.run(None).map_err(|fault| fault.to_string())?;
    Ok(call.results())
}

#[test]
fn recorded_cases_agree() {
    let pending = List::read("Pending");
    let mut seen = Seen::default();
    // SMC_OP names the one operator to look at.
    let only = std::env::var("SMC_OP").ok();
    for file in read_cases().into_iter().filter(|file| only.as_ref().is_none_or(|op| *op == file.op)) {
        if tf::find(&file.op).is_none() {
            if !pending.names_op(&file.op) {
                seen.failures.push(format!("{}: no row, and not listed as pending", file.op));
            }
            continue;
        }
        for case in &file.cases {
            let is_pending = pending.names(&file.op, &case.name);
            for open in [Open::None, Open::Leading, Open::All] {
                seen.note(&file, case, open, is_pending);
            }
        }
    }
    println!("{} cases agree; with open extents {} agree", seen.runs, seen.open_runs);
    assert!(seen.failures.is_empty(), "{} failures:\n{}", seen.failures.len(), seen.failures.join("\n"));
}

/// What came of all cases.
#[derive(Default)]
struct Seen {
    failures: Vec<String>,
    runs: usize,
    open_runs: usize,
}

impl Seen {
    fn note(&mut self, file: &CaseFile, case: &Case, open: Open, is_pending: bool) {
        let place = format!("{} / {} ({open:?})", file.op, case.name);
        match run(file, case, open) {
            Ok(Ran::Agrees) if is_pending && open == Open::None => {
                self.failures.push(format!("{place}: agrees, but is listed as pending"));
            }
            Ok(Ran::Agrees) if open == Open::None => self.runs += 1,
            Ok(Ran::Agrees) => self.open_runs += 1,
            Ok(Ran::IsNotRun) => {}
            Err(_) if is_pending => {}
            Err(what) => self.failures.push(format!("{place}: {what}")),
        }
    }
}

/// `open.txt` names each case that is refused where its leading extents, or all, are open. `BLESS=1` rewrites it.
#[test]
fn refused_open_cases_are_listed() {
    let pending = List::read("Pending");
    let mut text = String::new();
    for file in read_cases().into_iter().filter(|file| tf::find(&file.op).is_some()) {
        for case in file.cases.iter().filter(|case| !pending.names(&file.op, &case.name)) {
            for open in [Open::Leading, Open::All] {
                if let Ok(Prepared::Refused(why)) = prepare(&file, case, open) {
                    text += &format!("{} / {} ({open:?}): {why}\n", file.op, case.name);
                }
            }
        }
    }
    let path = smc_tests::root().join("tests/cases/open.txt");
    if std::env::var_os("BLESS").is_some() {
        return fs::write(&path, text).expect("the list is writable");
    }
    let listed = fs::read_to_string(&path).expect("there is a list");
    let missing: Vec<_> = text.lines().filter(|line| !listed.lines().any(|l| l == *line)).collect();
    let idle: Vec<_> = listed.lines().filter(|line| !text.lines().any(|l| l == *line)).collect();
    assert!(
        missing.is_empty() && idle.is_empty(),
        "tests/cases/open.txt does not name what is refused with open extents: {missing:#?}\nit names what is not: \
         {idle:#?}\n`cargo xtask bless refused_open_cases` rewrites it"
    );
}

/// Rows that no single node can show; whole models cover them.
const BY_MODELS: &[&str] = &[
    "Const",
    "Placeholder",
    "PlaceholderV2",
    "RefIdentity",
    "VarHandleOp",
    "ReadVariableOp",
    "VariableV2",
    "Variable",
    "VarIsInitializedOp",
    "IsVariableInitialized",
    "VariableShape",
    "ResourceGather",
    "ResourceGatherNd",
    "Switch",
    "RefSwitch",
    "Merge",
    "RefMerge",
];

/// Branches, loops and lists, which programs show, forests and tables: `saved_flow.rs`, `saved_forests.rs` and `saved_tables.rs`
/// see to it that each occurs.
fn is_by_programs(op: &str) -> bool {
    ["If", "Case", "While"].contains(&op.trim_start_matches("Stateless"))
        || op.starts_with("TensorList")
        || op.starts_with("TensorArray")
        || op == "EmptyTensorList"
        || op.contains("HashTable")
        || op.contains("LookupTable")
        || op.starts_with("SimpleML")
        || assigns(op)
}

/// Assignments of variables, which programs show too: `saved_state.rs` sees to it that each occurs.
fn assigns(op: &str) -> bool {
    let draws = op.starts_with("Rng") || op.starts_with("Stateful");
    has_generator(op)
        || has_effect(op)
            && (draws
                || op.contains("Assign")
                || op.contains("Scatter")
                || op.contains("Apply")
                || op.ends_with("CountUpTo"))
}

#[test]
fn every_row_has_a_case() {
    let files = read_cases();
    let pending = List::read("Pending");
    let missing: Vec<_> = tf::ops()
        .map(|op| op.name)
        .filter(|op| {
            !files.iter().any(|f| f.op == *op)
                && !BY_MODELS.contains(op)
                && !is_by_programs(op)
                && !pending.names_op(op)
        })
        .collect();
    assert!(missing.is_empty(), "rows without a recorded case: {missing:?}");
    for file in &files {
        let names = file.cases.iter().map(|c| &c.name).chain(file.sweeps.iter().map(|s| &s.name));
        for name in names {
            pending.names(&file.op, name);
        }
    }
    pending.assert_used();
}

/// A case up to its execution.
enum Prepared {
    Ready(Box<Imported>, Vec<Tensor>, Bindings),
    /// TensorFlow refuses it too.
    Agrees,
    /// Open extents are taken to be what the case's are not, or are not served; why.
    Refused(String),
    IsOfPendingType,
}

fn prepare(file: &CaseFile, case: &Case, open: Open) -> Result<Prepared, String> {
    let graph = one_node(&file.op, case, open)?;
    let refuse = |_: &Variable| Err(Problems::from(Diagnostic::error("there are no variables")));
    let imported = match tf::import(&graph, &refuse, &Options::default()) {
        Ok(imported) => imported,
        Err(_) if case.error.is_some() => return Ok(Prepared::Agrees),
        Err(_) if case.uses_pending_type() => return Ok(Prepared::IsOfPendingType),
        Err(problems) if open != Open::None => return Ok(Prepared::Refused(first_line(&problems.to_string()))),
        Err(problems) => return Err(problems.to_string()),
    };
    let inputs: Vec<Tensor> = case.inputs.iter().filter(|i| !i.is_const).map(Operand::tensor).collect();
    match bindings(&imported, &inputs) {
        Some(bind) => Ok(Prepared::Ready(Box::new(imported), inputs, bind)),
        None if case.error.is_some() => Ok(Prepared::Agrees),
        None if open == Open::None => Err("an assumption fails".into()),
        None => Ok(Prepared::Refused("the extents are taken to be others".into())),
    }
}

/// What came of a case that did not go wrong.
enum Ran {
    Agrees,
    IsNotRun,
}

fn run(file: &CaseFile, case: &Case, open: Open) -> Result<Ran, String> {
    let (imported, inputs, bind) = match prepare(file, case, open)? {
        Prepared::Ready(imported, inputs, bind) => (imported, inputs, bind),
        Prepared::Agrees => return Ok(Ran::Agrees),
        Prepared::Refused(_) | Prepared::IsOfPendingType => return Ok(Ran::IsNotRun),
    };
    imported.graph.verify()?;
    imported.equal.as_ref().map_or(Ok(()), |equal| equal.graph.verify())?;
    for (name, execute) in EXECUTIONS {
        let computed = std::panic::catch_unwind(|| execute(&imported, &inputs, &bind));
        let outputs = match (computed.map_err(|_| format!("{name} panics"))?, &case.error) {
            (Err(_), Some(_)) => continue,
            (Err(fault), None) => return Err(format!("{name}: {fault}")),
            (Ok(_), Some(error)) => return Err(format!("{name}: no fault, but TensorFlow says: {error}")),
            (Ok(outputs), None) => outputs,
        };
        // Which axes a squeeze drops may depend on open extents; the import says so.
        let keeps = || outputs.iter().zip(&case.outputs).any(|(ours, theirs)| ours.shape != theirs.shape);
        if file.op == "Squeeze" && open != Open::None && keeps() {
            return Ok(Ran::IsNotRun);
        }
        for (n, (ours, theirs)) in outputs.iter().zip(&case.outputs).enumerate() {
            if let Some(what) = theirs.difference(ours, tolerance(&file.op)) {
                return Err(format!("{name}, output {n}: {what}"));
            }
        }
    }
    Ok(Ran::Agrees)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").into()
}
