//! Recorded cases: each operator's row against TensorFlow's own results, by every execution of the graph.
//!
//! A case becomes a TF graph of one node and is imported three times: with the recorded shapes, with the leading extent
//! of each operand open, and with all extents open. Open shapes run where the case fits what the import assumes of
//! them. `tests/cases/README.md` lists what is pending and why; everything else has to agree.

use std::{fs, path::PathBuf};

use smc::{
    base::{Bindings, Diagnostic, Problems},
    driver::{self, Executable},
    graph::evaluate,
    saved::Variable,
    tensor::Tensor,
    tf::{self, Equal, Imported, Options},
};
use smc_tests::cases::{Case, CaseFile, Open, Operand, bindings, one_node, read_cases};
use smc_tests::compare::{Tolerance, difference};

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
        equal.when.iter().all(|(a, b)| a.eval(bind) == b.eval(bind)) && equal.graph.facts().broken(bind).is_none()
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
    let pending = Pending::read();
    let (mut failures, mut runs, mut open_runs, mut open_skips) = (vec![], 0, 0, 0);
    // SMC_OP names the one operator to look at.
    let only = std::env::var("SMC_OP").ok();
    for file in read_cases().into_iter().filter(|file| only.as_ref().is_none_or(|op| *op == file.op)) {
        if tf::find(&file.op).is_none() {
            if !pending.covers_op(&file.op) {
                failures.push(format!("{}: no row, and not listed as pending", file.op));
            }
            continue;
        }
        for case in &file.cases {
            if pending.covers_case(&file.op, &case.name) {
                continue;
            }
            for open in [Open::None, Open::Leading, Open::All] {
                match run(&file, case, open) {
                    Ok(true) if open == Open::None => runs += 1,
                    Ok(true) => open_runs += 1,
                    Ok(false) => open_skips += (open != Open::None) as usize,
                    Err(what) => failures.push(format!("{} / {} ({open:?}): {what}", file.op, case.name)),
                }
            }
        }
    }
    println!("{runs} cases agree; with open extents {open_runs} agree and {open_skips} do not apply");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(
        only.is_some() || open_runs > open_skips,
        "open extents apply to {open_runs} runs only; {open_skips} do not"
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
    "VariableShape",
    "ResourceGather",
    "ResourceGatherNd",
    "Switch",
    "RefSwitch",
    "Merge",
    "RefMerge",
];

#[test]
fn every_row_has_a_case() {
    let files: Vec<String> = read_cases().into_iter().map(|f| f.op).collect();
    let pending = Pending::read();
    let missing: Vec<_> = tf::ops()
        .map(|op| op.name)
        .filter(|op| !files.iter().any(|f| f == op) && !BY_MODELS.contains(op) && !pending.covers_op(op))
        .collect();
    assert!(missing.is_empty(), "rows without a recorded case: {missing:?}");
}

/// Whether the case ran; `false` when it does not fit what open extents are assumed to be, or is of a type that is refused.
fn run(file: &CaseFile, case: &Case, open: Open) -> Result<bool, String> {
    let graph = one_node(&file.op, case, open)?;
    let refuse = |_: &Variable| Err(Problems::from(Diagnostic::error("there are no variables")));
    let imported = match tf::import(&graph, &refuse, &Options::default()) {
        Ok(imported) => imported,
        Err(_) if case.error.is_some() || open != Open::None => return Ok(open == Open::None),
        Err(_) if case.uses_pending_type() => return Ok(false),
        Err(problems) => return Err(problems.to_string()),
    };
    imported.graph.verify()?;
    imported.equal.as_ref().map_or(Ok(()), |equal| equal.graph.verify())?;
    let inputs: Vec<Tensor> = case.inputs.iter().filter(|i| !i.is_const).map(Operand::tensor).collect();
    let Some(bind) = bindings(&imported, &inputs) else {
        return if open != Open::None || case.error.is_some() { Ok(false) } else { Err("an assumption fails".into()) };
    };
    for (name, execute) in EXECUTIONS {
        let computed = std::panic::catch_unwind(|| execute(&imported, &inputs, &bind));
        let outputs = match (computed.map_err(|_| format!("{name} panics"))?, &case.error) {
            (Err(_), Some(_)) => continue,
            (Err(fault), None) => return Err(format!("{name}: {fault}")),
            (Ok(_), Some(error)) => return Err(format!("{name}: no fault, but TensorFlow says: {error}")),
            (Ok(outputs), None) => outputs,
        };
        // Which axes a squeeze drops may depend on open extents; the import says so.
        if file.op == "Squeeze" && outputs.iter().zip(&case.outputs).any(|(ours, theirs)| ours.shape != theirs.shape) {
            return if open == Open::None { Err(format!("{name}: the shape differs")) } else { Ok(false) };
        }
        for (n, (ours, theirs)) in outputs.iter().zip(&case.outputs).enumerate() {
            if let Some(what) = difference(ours, &theirs.tensor(), tolerance(&file.op)) {
                return Err(format!("{name}, output {n}: {what}"));
            }
        }
    }
    Ok(true)
}

/// How far from TensorFlow's value a result may be. TensorFlow's own elementary functions are a few units in the last
/// place from the truth, and compositions of them add up; sums of products are recorded with exact values. Which zero a
/// maximum of both zeros is depends on the width of TensorFlow's vectors.
fn tolerance(op: &str) -> Tolerance {
    let (ulps, units) = match op {
        "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atan2" | "Atanh" | "Cos" | "Cosh" | "Erf" | "Erfc" | "Exp"
        | "Expm1" | "Log" | "Log1p" | "LogSoftmax" | "Pow" | "Rsqrt" | "Sigmoid" | "Sin" | "Sinh" | "Softmax"
        | "Tan" | "Tanh" | "Xlog1py" | "Xlogy" => (4.0, 0.0),
        // An exponential less 1.
        "Elu" | "Selu" => (2.0, 1.0),
        "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => (2.0, 4.0),
        _ => (2.0, 0.0),
    };
    let signed_zeros = !matches!(op, "Maximum" | "Minimum" | "Relu" | "Relu6");
    Tolerance { ulps, units, signed_zeros }
}

/// What the README of the cases says is not there yet.
struct Pending {
    ops: Vec<String>,
    cases: Vec<(String, String)>,
}

impl Pending {
    /// Lines such as "- `Op`: reason" and "- `Op` / `part of a case's name`: reason".
    fn read() -> Pending {
        let readme = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases/README.md");
        let text = fs::read_to_string(readme).expect("the cases have a README");
        let (_, list) = text.split_once("## Pending").expect("the README has a list of what is pending");
        let mut pending = Pending { ops: vec![], cases: vec![] };
        for line in list.lines().filter_map(|l| l.strip_prefix("- ")) {
            let (what, reason) = line.split_once(": ").expect("a pending entry has a reason");
            assert!(!reason.trim().is_empty(), "{line}");
            let names: Vec<&str> = what.split('`').skip(1).step_by(2).collect();
            if what.contains(" / ") {
                pending.cases.push((names[0].into(), names[1].into()));
            } else {
                pending.ops.extend(names.into_iter().map(String::from));
            }
        }
        pending
    }
    fn covers_op(&self, op: &str) -> bool {
        self.ops.iter().any(|o| o == op)
    }
    fn covers_case(&self, op: &str, name: &str) -> bool {
        self.cases.iter().any(|(o, part)| o == op && name.contains(part.as_str()))
    }
}
