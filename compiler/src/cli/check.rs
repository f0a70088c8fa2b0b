//! `smc check`: is the compiled code right? Compared with recorded cases, or with the reference evaluator on random
//! inputs at several extents.

use serde::Serialize;
use smc::{
    base::{Bindings, Diagnostic, Problems, Rng, Symbol},
    driver::{self, Compiled, Executable, Options, random},
    graph::evaluate,
    tensor::{DType, Tensor},
};

use super::{
    args::Check,
    cpu, load, npz,
    run::ordered,
    term::{Term, answer},
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
    right: bool,
}

pub fn run(args: &Check, term: &Term) -> Result<(), Problems> {
    let model = load(&args.model)?;
    let options = Options {
        name: "model".into(),
        signatures: args.signatures.clone(),
        batch: args.batch.batch.map(u64::from),
        shapes: args.inputs.clone(),
        cpu: Some(cpu(args.cpu.as_deref())),
        direct: args.arithmetic.direct,
        keep_imported: true,
        ..Options::default()
    };
    let progress = term.progress();
    let compiled = driver::compile(&model, &options, &mut |what| progress.stage(what))?;
    term.report(&compiled.notes);
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface.clone())?;
    progress.stage("comparing");
    let rows = if args.cases.is_empty() {
        randomly(args, &compiled, &executable)?
    } else {
        recorded(args, &compiled, &executable)?
    };
    drop(progress);
    report(args, &rows)
}

fn report(args: &Check, rows: &[Comparison]) -> Result<(), Problems> {
    if args.json {
        answer(serde_json::to_string_pretty(rows).expect("plain data"));
    } else {
        for row in rows {
            let verdict = if row.right { "ok" } else { "WRONG" };
            answer(format!(
                "{verdict:<5} {} {} {}{:?}: error {:.2e}",
                row.signature, row.case, row.output, row.shape, row.error
            ));
        }
    }
    let wrong = rows.iter().filter(|r| !r.right).count();
    match wrong {
        0 if rows.is_empty() => Err(Diagnostic::error("nothing was compared").into()),
        0 => Ok(()),
        n => Err(Diagnostic::error(format!("{n} of {} outputs differ", rows.len()))
            .help("`smc run --reference` tells whether the model's import or its machine code is at fault")
            .into()),
    }
}

/// Against the evaluator of the graph as imported, which no pass has touched.
fn randomly(args: &Check, compiled: &Compiled, executable: &Executable) -> Result<Vec<Comparison>, Problems> {
    let mut rows = vec![];
    let mut seed = Rng::new(args.seed);
    for (n, entry) in compiled.entries.iter().enumerate() {
        let signature = &compiled.interface.signatures[n];
        for case in 0..args.random {
            // The first case has 1 for every open extent, the others something small.
            // Extents that are broadcast are equal, or 1.
            let common = 1 + seed.below(6) as i64;
            let mut extent = |_: &Symbol| match seed.below(4) {
                _ if case == 0 => 1,
                0 => 1,
                1 => 1 + seed.below(6) as i64,
                _ => common,
            };
            let bind: Bindings = signature.symbols.iter().map(|d| (d.symbol.clone(), extent(&d.symbol))).collect();
            // Extents that the model does not serve say nothing about the code.
            if driver::check_assumptions(&entry.imported, &bind).is_err() {
                continue;
            }
            let mut inputs = vec![];
            for t in &signature.inputs {
                inputs.push(random::tensor(&t.ty, &bind, &mut seed).ok_or_else(|| {
                    Diagnostic::error(format!("input `{}` has a type that has no random values: {}", t.key, t.ty))
                })?);
            }
            let named: Vec<_> = bind.iter().map(|(s, v)| format!("{s}={v}")).collect();
            let title = format!("random {case} {}", named.join(" ")).trim_end().to_string();
            let mut call = executable.prepare(n, &inputs)?;
            let ours = call.run(None);
            match (evaluate(&entry.imported, &inputs, &bind), ours) {
                (Ok(expected), Ok(())) => {
                    let outputs = signature.outputs.iter().zip(expected).zip(call.results());
                    rows.extend(
                        outputs.map(|((t, e), o)| compare(&signature.key, &title, &t.key, &e, &o, args.tolerance)),
                    );
                }
                // Both refuse these values, as they should.
                (Err(_), Err(_)) => {}
                (Err(fault), Ok(())) => {
                    let text = driver::fault_text(fault);
                    return Err(Diagnostic::error(format!("{title}: the code does not notice that {text}")).into());
                }
                (Ok(_), Err(problem)) => return Err(problem.into()),
            }
        }
    }
    Ok(rows)
}

/// Against the files' outputs. A case belongs to the first signature that has its inputs and outputs.
fn recorded(args: &Check, compiled: &Compiled, executable: &Executable) -> Result<Vec<Comparison>, Problems> {
    let mut rows = vec![];
    for path in &args.cases {
        let arrays = npz::read_npz(path)?;
        let part = |prefix: &str| -> Vec<(String, Tensor)> {
            arrays.iter().filter_map(|(k, t)| Some((k.strip_prefix(prefix)?.to_string(), t.clone()))).collect()
        };
        let (inputs, outputs) = (part("in:"), part("out:"));
        let signatures = &compiled.interface.signatures;
        let fits = |s: &smc::emit::interface::Signature| {
            s.inputs.len() == inputs.len()
                && inputs.iter().all(|(k, _)| s.inputs.iter().any(|t| t.key == *k))
                && outputs.iter().all(|(k, _)| s.outputs.iter().any(|t| t.key == *k))
        };
        let Some(n) = signatures.iter().position(fits) else {
            let keys: Vec<_> = arrays.iter().map(|(k, _)| format!("`{k}`")).collect();
            let problem =
                Diagnostic::error(format!("no signature has just the inputs and outputs {}", keys.join(", ")));
            return Err(problem.in_file(path.display()).help("arrays are named in:<input> and out:<output>").into());
        };
        let keys: Vec<&str> = signatures[n].inputs.iter().map(|t| t.key.as_str()).collect();
        let mut call = executable.prepare(n, &ordered(&keys, inputs)?)?;
        call.run(None)?;
        let results = call.results();
        let title = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        for (key, expected) in outputs {
            let at = signatures[n].outputs.iter().position(|t| t.key == key).expect("the signature has this output");
            rows.push(compare(&signatures[n].key, &title, &key, &expected, &results[at], args.tolerance));
        }
    }
    Ok(rows)
}

fn compare(signature: &str, case: &str, output: &str, expected: &Tensor, ours: &Tensor, tolerance: f64) -> Comparison {
    let error = difference(expected, ours);
    Comparison {
        signature: signature.into(),
        case: case.into(),
        output: output.into(),
        shape: ours.shape.clone(),
        error,
        right: error <= tolerance,
    }
}

/// The largest difference over the largest finite magnitude expected; infinite where types, shapes, infinities, NaNs or
/// anything that is not a float differ.
fn difference(expected: &Tensor, ours: &Tensor) -> f64 {
    if expected.dtype != ours.dtype || expected.shape != ours.shape {
        return f64::INFINITY;
    }
    if expected.dtype == DType::Str {
        return if expected.strings() == ours.strings() { 0.0 } else { f64::INFINITY };
    }
    if !expected.dtype.is_float() {
        return if expected.bytes() == ours.bytes() { 0.0 } else { f64::INFINITY };
    }
    let values = |t: &Tensor| t.scalars().filter_map(|s| s.as_f64()).collect::<Vec<f64>>();
    let (expected, ours) = (values(expected), values(ours));
    let scale = expected.iter().filter(|x| x.is_finite()).fold(1e-30f64, |m, x| m.max(x.abs()));
    let apart = |(&e, &o): (&f64, &f64)| match (e.is_finite(), o.is_finite()) {
        (true, true) => (e - o).abs() / scale,
        _ if e == o || (e.is_nan() && o.is_nan()) => 0.0,
        _ => f64::INFINITY,
    };
    expected.iter().zip(&ours).map(apart).fold(0.0, f64::max)
}

#[test]
fn differences_are_relative_to_the_output() {
    let t = |v: &[f32]| Tensor::from_f32([v.len()], v);
    assert_eq!(difference(&t(&[1.0, 4.0]), &t(&[1.0, 3.0])), 0.25);
    assert_eq!(difference(&t(&[f32::NAN, 0.0]), &t(&[f32::NAN, 0.0])), 0.0);
    assert_eq!(difference(&t(&[f32::NAN]), &t(&[1.0])), f64::INFINITY);
    assert_eq!(difference(&t(&[f32::INFINITY]), &t(&[f32::NEG_INFINITY])), f64::INFINITY);
    assert_eq!(difference(&t(&[1.0]), &t(&[1.0, 1.0])), f64::INFINITY);
}
