//! `smc check`: is the compiled code right? Compared with recorded cases, or with the reference evaluator on random
//! inputs at several extents.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use smc::{
    base::{Bindings, Diagnostic, Problems, Rng, Symbol},
    driver::{self, Block, Compiled, Entry, Executable, Options, Reference, Values, memory, random},
    emit::interface::Signature,
    graph::Graph,
    op::Stop,
    tensor::{DType, Tensor},
};

use super::{
    args::Check,
    cpu,
    given::ordered,
    judge::{Judgement, judge, last_roundings},
    load_with, npz,
    term::{Progress, Term, answer},
};

/// One output of one case.
#[derive(Debug, Serialize)]
struct Comparison {
    signature: String,
    case: String,
    output: String,
    shape: Vec<usize>,
    /// The largest difference, over the largest magnitude expected (at least 1e-30).
    error: f64,
    /// The tolerance, and what rounding explains beyond it.
    allowed: f64,
    /// The coarsest float type that values are rounded to on the way to the output.
    rounding: Option<DType>,
    right: bool,
}

pub fn run(args: &Check, term: &Term) -> Result<(), Problems> {
    let model = load_with(&args.model, &args.plugins)?;
    let options = Options {
        signatures: args.signatures.clone(),
        shapes: args.inputs.clone(),
        cpu: Some(cpu(args.cpu.as_deref())),
        keep_imported: true,
        ..args.choices.options()
    };
    let progress = term.progress();
    let compiled = driver::compile(&model, &options, &mut |news| progress.heard(news))?;
    term.report(&compiled.notes);
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface.clone())?;
    let until = args.limit.map(|limit| Instant::now() + Duration::from_secs_f64(limit));
    let mut block = executable.state()?;
    block.as_mut().map_or(Ok(()), |block| executable.seed(block, args.seed))?;
    let (rows, drawn) = (vec![], BTreeMap::new());
    let mut check = Checker { args, compiled: &compiled, executable: &executable, block, progress, until, rows, drawn };
    let left = if args.cases.is_empty() { check.randomly()? } else { check.recorded()? };
    let Checker { progress, rows, drawn, .. } = check;
    drop(progress);
    let passed_over = drawn.iter().map(|(key, outputs)| passed_over_drawn(key, outputs)).collect();
    report(args, &compiled, &rows, left, passed_over)
}

/// What all comparisons share.
struct Checker<'a> {
    args: &'a Check,
    compiled: &'a Compiled,
    executable: &'a Executable,
    /// The variables that outlive calls: every call finds what the one before left.
    block: Option<Block>,
    progress: Progress,
    until: Option<Instant>,
    rows: Vec<Comparison>,
    /// By signature, the recorded outputs that follow from random numbers without a seed.
    drawn: BTreeMap<String, BTreeSet<String>>,
}

/// Where the limit of time ended the comparison.
struct Left {
    /// The call that was being compared.
    at: String,
    /// How many calls were not compared, that one included, and of how many.
    calls: u64,
    of: u64,
}

/// A call of the code, and what names it. Inputs and results are the graph's: variables that outlive calls are the last.
struct Case<'a> {
    title: String,
    inputs: Vec<Tensor>,
    bind: Bindings,
    results: Vec<Tensor>,
    signature: &'a Signature,
    entry: &'a Entry,
}

impl Case<'_> {
    /// The name of a result.
    fn name(&self, at: usize) -> String {
        match self.signature.outputs.get(at) {
            Some(output) => output.key.clone(),
            None => format!("variable {}", self.entry.imported.outputs[at].name),
        }
    }
}

impl Checker<'_> {
    /// Against the evaluator of the graph as imported, which no pass has touched. Returns what there was no time for.
    fn randomly(&mut self) -> Result<Option<Left>, Problems> {
        let (compiled, random) = (self.compiled, self.args.random);
        let signatures = compiled.interface.signatures.iter().enumerate();
        let checked: Vec<_> = signatures.filter(|(_, s)| !is_twin(compiled, &s.key)).collect();
        let of = random.saturating_mul(checked.len() as u64);
        let (mut seed, mut before) = (Rng::new(self.args.seed), 0);
        for (n, signature) in checked {
            let imported = &compiled.entries[n].imported;
            let reference = Reference::new(imported);
            for number in 0..random {
                let Some(bind) = extents(signature, &reference, number, &mut seed) else { continue };
                let named: Vec<_> = bind.iter().map(|(s, v)| format!("{s}={v}")).collect();
                let title = format!("random {number} {}", named.join(" ")).trim_end().to_string();
                self.progress.stage(&format!("comparing `{}`, {title}", signature.key));
                let left = Some(Left { at: format!("`{}`, {title}", signature.key), calls: of - before, of });
                before += 1;
                memory::call(signature, &bind)?;
                reference.check(&bind)?;
                let inputs = random::inputs(&signature.inputs, &bind, &mut seed)?;
                let entry = &compiled.entries[n];
                let complete = self.values().complete(entry, &inputs);
                let exact = reference.exact(&complete, &bind, &until(self.until));
                match (exact, self.call(n, &inputs, &bind)?) {
                    (Ok(exact), Ok(results)) => {
                        let case = Case { title, inputs: complete, bind, results, signature, entry };
                        if !self.compare((imported, &reference), &case, exact)? {
                            return Ok(left);
                        }
                    }
                    (Err(Stop::Interrupted), _) => return Ok(left),
                    // Both refuse these values, as they should.
                    (Err(_), Err(_)) => {}
                    (Err(Stop::Fault(fault)), Ok(_)) => {
                        let text = driver::fault_text(fault);
                        return Err(Diagnostic::error(format!("{title}: the code does not notice that {text}")).into());
                    }
                    (Ok(_), Err(problem)) => return Err(problem.into()),
                }
            }
        }
        Ok(None)
    }

    fn values(&self) -> Values {
        Values::of(&self.compiled.interface, self.block.as_ref())
    }

    /// What a call of the code gives, with what it makes of variables.
    fn call(
        &mut self,
        n: usize,
        inputs: &[Tensor],
        bind: &Bindings,
    ) -> Result<Result<Vec<Tensor>, Diagnostic>, Problems> {
        let mut call = self.executable.prepare_with(n, inputs, bind.clone())?;
        let ran = match &mut self.block {
            Some(block) => call.run_on(block, None),
            None => call.run(None),
        };
        let results = call.results();
        Ok(ran.map(|()| [results, self.values().changed(&self.compiled.entries[n])].concat()))
    }

    /// Judges the results of one case. Rounding is measured only where the tolerance does not explain a difference. Returns
    /// whether there was time for that.
    fn compare(
        &mut self,
        (imported, reference): (&Graph, &Reference<'_>),
        case: &Case<'_>,
        exact: Vec<Tensor>,
    ) -> Result<bool, Problems> {
        let tolerance = self.args.tolerance;
        let coarsest = driver::coarsest(imported);
        let mut rounded = None;
        for (at, (exact, ours)) in exact.iter().zip(&case.results).enumerate() {
            let mut judgement = judge(exact, ours, &[], 2.0, tolerance);
            if !judgement.right() {
                if rounded.is_none() {
                    self.progress.stage("measuring what rounding costs");
                    match reference.rounded(&case.inputs, &case.bind, &until(self.until)) {
                        Ok(values) => rounded = Some(values),
                        Err(Stop::Interrupted) => return Ok(false),
                        Err(Stop::Fault(_)) => rounded = Some(vec![]),
                    }
                }
                let other = rounded.as_ref().and_then(|values| values.get(at));
                // Rounding may decide about sizes: then the values are those of that size.
                let sized = other.filter(|other| exact.shape != ours.shape && other.shape == ours.shape);
                let exact = sized.unwrap_or(exact);
                let allowed = tolerance + last_roundings(coarsest[at], 2.0);
                judgement = judge(exact, ours, &other.into_iter().collect::<Vec<_>>(), 2.0, allowed);
            }
            self.rows.push(row(case, at, judgement, coarsest[at]));
        }
        Ok(true)
    }

    /// Against the files' outputs. A case belongs to the first signature that has its inputs and outputs. Returns what there
    /// was no time for.
    fn recorded(&mut self) -> Result<Option<Left>, Problems> {
        let (compiled, of) = (self.compiled, self.args.cases.len() as u64);
        let drawn = driver::unseeded_outputs(&compiled.entries);
        for (before, path) in (0..).zip(&self.args.cases) {
            let arrays = npz::read_npz(path)?;
            let part = |prefix: &str| -> Vec<(String, Tensor)> {
                arrays.iter().filter_map(|(k, t)| Some((k.strip_prefix(prefix)?.to_string(), t.clone()))).collect()
            };
            let (inputs, mut outputs) = (part("in:"), part("out:"));
            let (kept, recorded) = (&self.args.choices.outputs.kept, outputs.len());
            outputs.retain(|(key, _)| kept.is_empty() || kept.contains(key));
            if outputs.is_empty() && recorded > 0 {
                let problem = Diagnostic::error("the case records none of the outputs that are kept");
                return Err(problem.in_file(path.display()).help("--output names what is compared").into());
            }
            let n = owner(compiled, path, &inputs, &outputs)?;
            let signature = &compiled.interface.signatures[n];
            let is_drawn = |key: &str| signature.outputs.iter().zip(&drawn[n]).any(|(t, drawn)| t.key == key && *drawn);
            let (random, outputs): (Vec<_>, Vec<_>) = outputs.into_iter().partition(|(key, _)| is_drawn(key));
            if !random.is_empty() {
                let known = self.drawn.entry(signature.key.clone()).or_default();
                known.extend(random.into_iter().map(|(key, _)| key));
            }
            let keys: Vec<&str> = signature.inputs.iter().map(|t| t.key.as_str()).collect();
            let inputs = ordered(&keys, inputs)?;
            let bind = self.executable.prepare(n, &inputs)?.bindings().clone();
            let entry = &compiled.entries[n];
            let complete = self.values().complete(entry, &inputs);
            let results = self.call(n, &inputs, &bind)??;
            let title = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            let case = Case { title, inputs: complete, bind, results, signature, entry };
            if !self.compare_recorded(&compiled.entries[n].imported, &case, &outputs)? {
                let at = format!("`{}`, {}", signature.key, case.title);
                return Ok(Some(Left { at, calls: of - before, of }));
            }
        }
        Ok(None)
    }

    /// Judges by recorded values. They are rounded too: both may be as far from the exact value as a result may be.
    fn compare_recorded(
        &mut self,
        imported: &Graph,
        case: &Case<'_>,
        recorded: &[(String, Tensor)],
    ) -> Result<bool, Problems> {
        let tolerance = self.args.tolerance;
        let coarsest = driver::coarsest(imported);
        let mut exact_and_rounded = None;
        for (key, expected) in recorded {
            let outputs = &case.signature.outputs;
            let at = outputs.iter().position(|t| t.key == *key).expect("the signature has this output");
            let mut judgement = judge(expected, &case.results[at], &[], 0.0, tolerance);
            if !judgement.right() {
                if exact_and_rounded.is_none() {
                    self.progress.stage(&format!("measuring what rounding costs in {}", case.title));
                    let reference = Reference::new(imported);
                    reference.check(&case.bind)?;
                    let exact = reference.exact(&case.inputs, &case.bind, &until(self.until));
                    let rounded = reference.rounded(&case.inputs, &case.bind, &until(self.until));
                    match (exact, rounded) {
                        (Ok(exact), Ok(rounded)) => exact_and_rounded = Some((exact, rounded)),
                        (Err(Stop::Interrupted), _) | (_, Err(Stop::Interrupted)) => return Ok(false),
                        _ => exact_and_rounded = Some((vec![], vec![])),
                    }
                }
                let found = exact_and_rounded.as_ref().and_then(|(e, r)| Some((e.get(at)?, r.get(at)?)));
                if let Some((exact, rounded)) = found {
                    let lost = judge(exact, rounded, &[rounded], 1.0, 0.0).allowed;
                    judgement = match expected.dtype.is_float() {
                        true => {
                            let allowed = tolerance + 2.0 * (2.0 * lost + last_roundings(coarsest[at], 2.0));
                            Judgement { allowed, ..judgement }
                        }
                        // Where rounding decides, the recorded value is one of several.
                        false if decided(exact, rounded, expected, &case.results[at]) => judgement,
                        false => Judgement { error: 0.0, ..judgement },
                    };
                }
            }
            self.rows.push(row(case, at, judgement, coarsest[at]));
        }
        Ok(true)
    }
}

/// Whether two results differ in an element that exact and rounded computation agree on.
fn decided(exact: &Tensor, rounded: &Tensor, expected: &Tensor, ours: &Tensor) -> bool {
    let same = |a: &Tensor, b: &Tensor| a.shape == b.shape && a.dtype == b.dtype;
    let comparable = ours.dtype != DType::Str && [exact, rounded, expected].into_iter().all(|t| same(t, ours));
    !comparable || (0..ours.count()).any(|n| expected.get(n) != ours.get(n) && exact.get(n) == rounded.get(n))
}

/// Goes on until then.
fn until(time: Option<Instant>) -> impl Fn() -> bool + Sync {
    move || time.is_none_or(|time| Instant::now() < time)
}

fn row(case: &Case<'_>, at: usize, judgement: Judgement, rounding: Option<DType>) -> Comparison {
    Comparison {
        signature: case.signature.key.clone(),
        case: case.title.clone(),
        output: case.name(at),
        shape: case.results[at].shape.clone(),
        error: judgement.error,
        allowed: judgement.allowed,
        rounding,
        right: judgement.right(),
    }
}

/// Values for the open extents: 1 in the first case, something small in the others, and more where the model does not
/// serve that; `None` when none is found.
fn extents(signature: &Signature, reference: &Reference<'_>, case: u64, seed: &mut Rng) -> Option<Bindings> {
    for most in [6, 6, 6, 6, 12, 12, 24, 24, 48, 48, 96, 96, 192, 192, 384, 384] {
        // Extents that are broadcast are equal, or 1.
        let common = 1 + seed.below(most) as i64;
        let mut extent = |_: &Symbol| match seed.below(4) {
            _ if case == 0 && most == 6 => 1,
            0 => 1,
            1 => 1 + seed.below(most) as i64,
            _ => common,
        };
        let bind: Bindings = signature.given().map(|d| (d.symbol.clone(), extent(&d.symbol))).collect();
        if reference.serves(&bind) {
            return Some(bind);
        }
    }
    None
}

/// The number of the signature that a case belongs to.
fn owner(
    compiled: &Compiled,
    path: &Path,
    inputs: &[(String, Tensor)],
    outputs: &[(String, Tensor)],
) -> Result<usize, Diagnostic> {
    let fits = |s: &Signature| {
        s.inputs.len() == inputs.len()
            && inputs.iter().all(|(k, _)| s.inputs.iter().any(|t| t.key == *k))
            && outputs.iter().all(|(k, _)| s.outputs.iter().any(|t| t.key == *k))
    };
    compiled.interface.signatures.iter().position(fits).ok_or_else(|| {
        let keys = inputs.iter().map(|(k, _)| format!("`in:{k}`"));
        let keys: Vec<_> = keys.chain(outputs.iter().map(|(k, _)| format!("`out:{k}`"))).collect();
        let keys = if keys.is_empty() { "none".into() } else { keys.join(", ") };
        let port = |prefix: &str, t: &smc::emit::interface::Tensor| format!("`{prefix}:{}`", t.key);
        let ports = |s: &Signature| {
            let inputs = s.inputs.iter().map(|t| port("in", t));
            let ports: Vec<_> = inputs.chain(s.outputs.iter().map(|t| port("out", t))).collect();
            format!("signature `{}` has {}", s.key, ports.join(", "))
        };
        let signatures: Vec<_> = compiled.interface.signatures.iter().map(ports).collect();
        Diagnostic::error(format!("no signature has just the inputs and outputs of this case: {keys}"))
            .in_file(path.display())
            .help(format!("arrays are named in:<input> and out:<output>; {}", signatures.join("; ")))
    })
}

/// Whether another entry computes the same: one of twins is checked.
fn is_twin(compiled: &Compiled, key: &str) -> bool {
    compiled.entries.iter().any(|e| e.aliases.iter().any(|alias| alias == key))
}

/// What is said of recorded outputs that nobody can compare.
fn passed_over_drawn(key: &str, outputs: &BTreeSet<String>) -> Diagnostic {
    let names: Vec<_> = outputs.iter().map(|name| format!("`{name}`")).collect();
    let what = format!(
        "recorded values of {} are not compared: they follow from random numbers without a seed, and TensorFlow draws \
         others than the code",
        names.join(", ")
    );
    let help = "without --case, the code is compared with the reference evaluator, which draws the same";
    Diagnostic::warning(what).in_signature(format!("`{key}`")).help(help)
}

fn report(
    args: &Check,
    compiled: &Compiled,
    rows: &[Comparison],
    left: Option<Left>,
    passed_over_drawn: Vec<Diagnostic>,
) -> Result<(), Problems> {
    let wrong = rows.iter().filter(|r| !r.right).count();
    if args.json {
        answer(serde_json::to_string_pretty(rows).expect("plain data"));
    } else {
        for row in rows {
            let verdict = if row.right { "ok" } else { "WRONG" };
            let explained = match row.error > args.tolerance && row.allowed > args.tolerance {
                true => format!(" (rounding to {} explains {:.2e})", float_name(row.rounding), row.allowed),
                false => String::new(),
            };
            answer(format!(
                "{verdict:<5} {} {} {}{:?}: error {:.2e}{explained}",
                row.signature, row.case, row.output, row.shape, row.error
            ));
        }
        let signatures: Vec<_> = compiled.entries.iter().filter_map(|e| checked(compiled, &e.key, rows)).collect();
        if !signatures.is_empty() {
            let n = rows.len();
            answer(format!("{} of {n} outputs agree; signatures checked: {}", n - wrong, signatures.join(", ")));
        }
    }
    if left.is_none() && args.cases.is_empty() && !rows.is_empty() {
        let keys = compiled.entries.iter().map(|e| e.key.as_str()).filter(|key| !is_twin(compiled, key));
        keys.filter_map(|key| passed_over(key, rows)).for_each(|d| Term::warn(&d));
    }
    let ended = left.map(|Left { at, calls, of }| {
        let limit = args.limit.unwrap_or(0.0);
        let calls = if rows.is_empty() { "nothing was".into() } else { format!("{calls} of {of} calls were not") };
        format!("the limit of {limit} s ended the comparison at {at}: {calls} compared")
    });
    if !rows.is_empty() {
        ended.iter().for_each(|text| Term::warn(&Diagnostic::warning(text)));
    }
    passed_over_drawn.iter().for_each(Term::warn);
    match wrong {
        0 if rows.is_empty() && !passed_over_drawn.is_empty() => Err(Diagnostic::error("nothing was compared").into()),
        0 if rows.is_empty() && ended.is_some() => {
            Err(Diagnostic::error(ended.unwrap_or_default()).help("give a higher --limit").into())
        }
        0 if rows.is_empty() => Err(Diagnostic::error("nothing was compared")
            .help("the model serves none of the extents that were tried: fix them by --batch N or --input NAME=SHAPE")
            .into()),
        0 => Ok(()),
        n => Err(Diagnostic::error(format!("{n} of {} outputs differ", rows.len()))
            .help("`smc run --reference` tells whether the model's import or its machine code is at fault")
            .into()),
    }
}

/// What TensorFlow calls a float type.
fn float_name(dtype: Option<DType>) -> &'static str {
    match dtype {
        Some(DType::BF16) => "bfloat16",
        Some(DType::F16) => "float16",
        Some(DType::F64) => "float64",
        _ => "float32",
    }
}

/// What is said of a signature of which no call was compared, beside others that were.
fn passed_over(key: &str, rows: &[Comparison]) -> Option<Diagnostic> {
    if rows.iter().any(|row| row.signature == key) {
        return None;
    }
    let what = "no call was compared: it serves none of the extents, or none of the values, that were tried";
    Some(Diagnostic::warning(what).in_signature(format!("`{key}`")).help("compare a recorded case: --case FILE.npz"))
}

/// A signature that was compared, with its twins.
fn checked(compiled: &Compiled, key: &str, rows: &[Comparison]) -> Option<String> {
    rows.iter().any(|row| row.signature == key).then_some(())?;
    let entry = compiled.entries.iter().find(|e| e.key == key)?;
    let twins: Vec<_> = entry.aliases.iter().map(|k| format!("`{k}`")).collect();
    let same = if twins.is_empty() { String::new() } else { format!(" (the same as {})", twins.join(" and ")) };
    Some(format!("`{key}`{same}"))
}

#[test]
fn a_signature_that_no_call_compares_is_named() {
    let row = Comparison {
        signature: "f".into(),
        case: "random 0".into(),
        output: "y".into(),
        shape: vec![],
        error: 0.0,
        allowed: 1e-5,
        rounding: None,
        right: true,
    };
    assert_eq!(passed_over("f", std::slice::from_ref(&row)), None);
    let warning = passed_over("g", &[row]).expect("nothing of it was compared").to_string();
    assert!(warning.starts_with("warning: no call was compared") && warning.contains("signature: `g`"), "{warning}");
}
