//! `smc inspect`: what a model holds, what its signatures need and what of that is not supported.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use smc::{
    base::{Diagnostic, Dim, Problems, Severity, names::advice},
    driver::{self, Found, Layer, Options, Seeded, Use},
    saved::{
        TfShape,
        inspect::{Description, SignatureDescription, SlotDescription, describe_by},
    },
    tf,
};

use super::{
    args::Inspect,
    draw::svg,
    files::{Destination, write_all},
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
    verdicts: Vec<Judged>,
}

/// Whether signatures compile, and what they cost.
#[derive(Serialize)]
struct Judged {
    /// Equal ones together.
    signatures: Vec<String>,
    compiles: bool,
    /// What stands in the way.
    problems: Vec<String>,
    /// What to do about it, where that is known.
    remedies: Vec<String>,
    /// The variables that outlive calls, as the signatures use them.
    state: Vec<Use>,
    /// Whether random numbers follow from the caller's seed.
    draws_unseeded: bool,
    /// The outputs of which data decide an extent.
    found: Vec<Found>,
    parameters: u64,
    multiply_adds: Dim,
    layers: Vec<Layer>,
}

fn judge(verdict: &driver::Verdict) -> Judged {
    let layers = verdict.entry.as_ref().map(driver::layers).unwrap_or_default();
    let errors = verdict.entry.as_ref().err().into_iter().flat_map(|problems| &problems.0);
    let errors: Vec<&Diagnostic> = errors.filter(|d| d.severity == Severity::Error).collect();
    let state = verdict.entry.as_ref().map(driver::uses).unwrap_or_default();
    Judged {
        signatures: verdict.signatures.iter().map(|s| s.name.clone()).collect(),
        compiles: verdict.entry.is_ok(),
        problems: errors.iter().map(|d| d.message.clone()).collect(),
        remedies: errors.iter().filter_map(|d| d.help.clone()).collect(),
        draws_unseeded: state.iter().any(|used| used.generator == Some(Seeded::Caller)),
        state,
        found: verdict.entry.as_ref().map(driver::found).unwrap_or_default(),
        parameters: layers.iter().map(|l| l.parameters).sum(),
        multiply_adds: layers.iter().fold(Dim::zero(), |sum, l| sum + &l.multiply_adds),
        layers,
    }
}

/// Writes the picture of one signature.
fn draw(verdicts: &[Judged], wanted: Option<&str>, folder: &str, to: &Destination) -> Result<(), Problems> {
    let is = |v: &&Judged, name: &str| v.signatures.iter().any(|s| s == name);
    let chosen = match wanted {
        Some(name) => verdicts.iter().find(|v| is(v, name)),
        None => verdicts.iter().filter(|v| v.compiles).max_by_key(|v| is(v, "serving_default")),
    };
    let known: Vec<&str> = verdicts.iter().filter(|v| v.compiles).flat_map(|v| &v.signatures).map(|s| &s[..]).collect();
    let Some(chosen) = chosen.filter(|v| v.compiles) else {
        let problem = Diagnostic::error("there is no such signature that compiles, so there is nothing to draw");
        return Err(problem.help(advice(wanted.unwrap_or_default(), "signatures that compile", &known)).into());
    };
    let title = format!(
        "{}: {}",
        folder.trim_end_matches('/').rsplit('/').next().unwrap_or(folder),
        chosen.signatures.join(", ")
    );
    let picture = svg(&title, &chosen.layers);
    write_all(&[(to, &|out| out.write_all(picture.as_bytes()))])
}

pub fn run(args: &Inspect, term: &Term) -> Result<(), Problems> {
    let picture = args.svg.as_deref().map(Destination::find).transpose()?;
    let model = load(&args.model)?;
    let options = Options { outputs: args.outputs.kept.clone(), ..Options::default() };
    // A model without signatures is described all the same.
    let chosen = if model.signatures().is_empty() { vec![] } else { driver::signatures(&model, &options)? };
    let verdicts: Vec<_> = driver::verdicts(&model, &chosen, &options).iter().map(judge).collect();
    if let Some(to) = picture {
        draw(&verdicts, args.signature.as_deref(), &model.shown_folder(), &to)?;
        term.note(format_args!("wrote {to}"));
        return Ok(());
    }
    let model = describe_by(&model, &chosen, &|signature| driver::source(&model, signature));
    let unsupported = model.signatures.iter().map(|s| (s.name.clone(), missing(s))).filter(|(_, m)| !m.is_empty());
    let inspection = Inspection { unsupported: unsupported.collect(), model, verdicts };
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
            let _ = writeln!(out, "  variables that a signature changes: {}", changed.join(", "));
        }
    }
    i.verdicts.iter().for_each(|v| verdict(&mut out, v));
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

fn verdict(out: &mut String, v: &Judged) {
    let names: Vec<_> = v.signatures.iter().map(|s| format!("`{s}`")).collect();
    let names = names.join(" and ");
    if !v.compiles {
        let first = v.problems.first().map_or("no cause is known", |p| p.as_str());
        let more = if v.problems.len() > 1 { format!(" (and {} more)", v.problems.len() - 1) } else { String::new() };
        let _ = writeln!(out, "\n{names}: refused: {first}{more}");
        if let Some(remedy) = v.remedies.first() {
            let _ = writeln!(out, "  what helps: {remedy}");
        }
        return;
    }
    let _ = writeln!(out, "\n{names}: compiles; {} parameters, {} multiply-adds", v.parameters, v.multiply_adds);
    for used in &v.state {
        let _ = writeln!(out, "  {}", use_line(used));
    }
    if v.draws_unseeded {
        let _ = writeln!(out, "  draws random numbers without a seed: NAME_state_seed and `smc run --seed N` give one");
    }
    for Found { output, ty, sizes } in &v.found {
        let sizes: Vec<_> = sizes.iter().map(|size| format!("{}, {} at most", size.name, size.bound)).collect();
        let _ = writeln!(out, "  output `{output}` is {ty}: data decide {}", sizes.join(" and "));
    }
    let _ = writeln!(out, "  {:44}{:>12}{:>13}  {:22}result", "layer", "parameters", "bytes", "multiply-adds");
    for l in v.layers.iter().filter(|l| l.parameters > 0 || !l.multiply_adds.is(0)) {
        let (work, name) = (l.multiply_adds.to_string(), &l.name);
        let _ = writeln!(out, "  {name:44}{:>12}{:>13}  {work:22}{}", l.parameters, l.bytes, l.shape);
    }
}

/// What a signature does with a variable.
fn use_line(used: &Use) -> String {
    let Use { name, ty, .. } = used;
    let does = match (used.reads, used.changes) {
        (true, true) => "reads and changes",
        (false, true) => "changes",
        _ => "reads",
    };
    match used.generator {
        None => format!("{does} the variable `{name}`, {ty}"),
        Some(Seeded::Model) => format!("draws from the generator `{name}`, {ty}, which the model seeds"),
        Some(Seeded::Caller) => format!("draws from the generator `{name}`, {ty}, which the caller seeds"),
    }
}

fn slot_line(out: &mut String, what: &str, slot: &SlotDescription) {
    let shape: &TfShape = &slot.shape;
    let _ = writeln!(out, "  {what} `{}`: {}{shape} ({})", slot.key, slot.dtype, slot.tensor);
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
