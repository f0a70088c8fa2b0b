//! `smc inspect`: what a model holds, what its signatures need and what of that is not supported.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use smc::{
    base::Problems,
    driver,
    saved::{
        TfShape,
        inspect::{Description, SignatureDescription, SlotDescription, describe_by},
    },
    tf,
};

use super::{
    args::Inspect,
    load,
    term::{Term, answer},
};

/// The model's description and what stands in the way of compiling it.
#[derive(Serialize)]
struct Inspection {
    #[serde(flatten)]
    model: Description,
    /// Operators without a row, by signature.
    unsupported: BTreeMap<String, Vec<String>>,
}

pub fn run(args: &Inspect, _: &Term) -> Result<(), Problems> {
    let model = load(&args.model)?;
    let model = describe_by(&model, &|signature| driver::source(&model, signature));
    let unsupported = model.signatures.iter().map(|s| (s.name.clone(), missing(s))).filter(|(_, m)| !m.is_empty());
    let inspection = Inspection { unsupported: unsupported.collect(), model };
    if args.json {
        answer(serde_json::to_string_pretty(&inspection).expect("a description is plain data"));
    } else {
        answer(text(&inspection));
    }
    Ok(())
}

fn missing(signature: &SignatureDescription) -> Vec<String> {
    signature.ops.keys().filter(|op| tf::find(op).is_none()).cloned().collect()
}

fn text(i: &Inspection) -> String {
    let mut out = String::new();
    let m = &i.model;
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", m.folder);
    let version = if m.tensorflow_version.is_empty() { "not said" } else { &m.tensorflow_version };
    let _ = writeln!(out, "tags: {}; TensorFlow version: {version}", m.tags.join(", "));
    for s in &m.signatures {
        let kind = s.method.as_deref().filter(|m| !m.is_empty()).unwrap_or("an exported function");
        let _ = writeln!(out, "\nsignature `{}` ({kind})", s.name);
        s.inputs.iter().for_each(|slot| slot_line(&mut out, "input", slot));
        s.outputs.iter().for_each(|slot| slot_line(&mut out, "output", slot));
        let ops: Vec<_> = s.ops.iter().map(|(op, n)| if *n == 1 { op.clone() } else { format!("{op} x{n}") }).collect();
        let _ = writeln!(out, "  operators: {}", list(&ops));
        if let Some(missing) = i.unsupported.get(&s.name) {
            let _ = writeln!(out, "  not supported: {}", missing.join(", "));
        }
        let changed = m.variables.iter().filter(|v| v.assigned && s.variables.contains(&v.name));
        let changed: Vec<_> = changed.map(|v| v.name.clone()).collect();
        if !changed.is_empty() {
            let _ = writeln!(out, "  variables that a signature updates (not supported): {}", changed.join(", "));
        }
    }
    let _ = writeln!(out, "\n{} variables, {} bytes", m.variables.len(), m.variable_bytes);
    for v in &m.variables {
        let _ = writeln!(out, "  {} {}{} {} bytes, stored as {}", v.name, v.dtype, v.shape, v.bytes, v.key);
    }
    for a in &m.assets {
        let _ = writeln!(out, "asset {}{}", a.path, if a.present { "" } else { " (missing)" });
    }
    for init in &m.initialisers {
        let _ = writeln!(out, "initialiser {} ({})", init.node, init.op);
    }
    for problem in &m.problems {
        let _ = writeln!(out, "problem: {problem}");
    }
    out
}

fn slot_line(out: &mut String, what: &str, slot: &SlotDescription) {
    let shape: &TfShape = &slot.shape;
    let _ = writeln!(out, "  {what} `{}`: {}{shape} ({})", slot.key, slot.dtype, slot.tensor);
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
