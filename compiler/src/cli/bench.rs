//! `smc bench`: the latency of the compiled code, called again and again in this process on one set of inputs.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;
use smc::{
    base::{Bindings, Diagnostic, Dim, Problems, Rng},
    driver::{self, Call, Executable, InputShape, Options, Training, memory, random, train::STEP},
    emit::interface::{Signature, Tensor},
    tensor::{self, DType},
};
use smc_runtime::Parallel;

use super::{
    args::Bench,
    cpu, load_with,
    profile::{self, Profiled},
    run::{pick, pool},
    term::{Term, answer},
};

/// What was measured; times in microseconds of wall clock.
#[derive(Serialize)]
struct Latency {
    signature: String,
    /// The outputs that are computed.
    outputs: Vec<String>,
    batch: u64,
    /// The extents that the model leaves open.
    extents: BTreeMap<String, i64>,
    threads: usize,
    /// The CPU level of the code, or those that the processor chose from.
    cpu: String,
    calls: usize,
    min_us: f64,
    median_us: f64,
    p99_us: f64,
    gflops: Option<f64>,
    workspace_bytes: usize,
    #[serde(flatten)]
    profile: Option<Profiled>,
}

impl Latency {
    /// What was measured, in words.
    fn measured(&self, args: &Bench) -> String {
        let kept: Vec<_> = args.choices.outputs.kept.iter().map(|key| format!("output `{key}`, ")).collect();
        let mut extents: Vec<_> = args.choices.batch.iter().map(|n| format!("batch={n}")).collect();
        extents.extend(self.extents.iter().map(|(symbol, n)| format!("{symbol}={n}")));
        extents.extend(args.inputs.iter().map(InputShape::to_string));
        let extents = if extents.is_empty() { "its own shapes".into() } else { extents.join(", ") };
        let threads = if self.threads == 1 { "1 thread".into() } else { format!("{} threads", self.threads) };
        format!("signature `{}`, {}{extents}, {threads}, {}", self.signature, kept.concat(), self.cpu)
    }
}

/// The values of open extents. A batch is of one sample unless something else is asked for; what another extent would be,
/// the user knows alone.
fn extents(signature: &Signature) -> Result<Bindings, Diagnostic> {
    let open: Vec<_> = signature.given().filter(|d| d.symbol.name() != "batch").collect();
    if open.is_empty() {
        return Ok(signature.given().map(|d| (d.symbol.clone(), 1)).collect());
    }
    let names: Vec<_> = open.iter().map(|d| format!("`{}`", d.symbol)).collect();
    let shape = |t: &Tensor| {
        let extents: Vec<_> = t.ty.shape.iter().map(|d| d.as_int().map_or("N".into(), |n| n.to_string())).collect();
        format!("--input {}={}", t.key, extents.join(","))
    };
    let is_open = |t: &&Tensor| t.ty.shape.iter().flat_map(Dim::symbols).any(|s| s.name() != "batch");
    let shapes: Vec<_> = signature.inputs.iter().filter(is_open).map(shape).collect();
    let (extents, are) = if open.len() == 1 { ("extent", "is") } else { ("extents", "are") };
    let problem =
        Diagnostic::error(format!("the {extents} {} {are} open, and the time depends on them", names.join(", ")));
    Err(problem.help(format!("say what to measure, with a number for each N: {}", shapes.join(" "))))
}

/// More samples than this change no statistic.
const MAX_SAMPLES: usize = 2_000_000;

pub fn run(args: &Bench, term: &Term) -> Result<(), Problems> {
    let model = load_with(&args.model, &args.plugins)?;
    let signature = pick(&model, args.signature.as_deref())?.name.clone();
    if args.profile && args.cpu.as_ref().is_some_and(|list| list.contains(',')) {
        return Err(Diagnostic::error("--profile measures the kernels of one CPU level").help("give --cpu one").into());
    }
    let options = Options {
        signatures: vec![signature],
        shapes: args.inputs.clone(),
        cpu: Some(cpu(args.cpu.as_deref())),
        training: args.learning.training().map(at_rest),
        ..args.choices.options()
    };
    let progress = term.progress();
    let compiled = driver::compile(&model, &options, &mut |news| progress.heard(news))?;
    term.report(&compiled.notes);
    let signatures = &compiled.interface.signatures;
    let n = signatures.iter().position(|s| args.train && s.key == STEP).unwrap_or(0);
    let entry = &signatures[n];
    let bind = extents(entry)?;
    memory::call(entry, &bind)?;
    let mut inputs = random::inputs(&entry.inputs, &bind, &mut Rng::new(1))?;
    if args.train {
        // Every model has a first class.
        let target = inputs.len() - 1 - usize::from(args.learning.sample_weights);
        let classes = inputs.get_mut(target).filter(|target| target.dtype == DType::I64);
        classes.into_iter().for_each(|target| *target = tensor::Tensor::zeros(DType::I64, target.shape.clone()));
    }
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface.clone())?;
    let mut call = executable.prepare_with(n, &inputs, bind.clone())?;
    let pool = pool(args.threads)?;
    let threads = pool.as_ref().map(|p| p as &dyn Parallel);

    progress.stage("measuring");
    let limit = Duration::from_secs_f64(args.seconds);
    let samples = samples(&mut call, threads, limit)?;
    // With the sizes that the calls found.
    let found = call.bindings().clone();
    let flops = compiled.report.entries[n].flops(&found);
    let profile = match args.profile {
        true => Some(profile::measure(&mut call, compiled.steps[n].of(&found), threads, args.threads, limit)?),
        false => None,
    };
    drop(progress);
    let latency = Latency {
        signature: entry.key.clone(),
        outputs: entry.outputs.iter().map(|t| t.key.clone()).collect(),
        batch: args.choices.batch.map_or(1, u64::from),
        extents: bind.iter().map(|(symbol, n)| (symbol.to_string(), *n)).collect(),
        cpu: compiled.interface.levels.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(","),
        threads: args.threads,
        calls: samples.len(),
        min_us: samples[0],
        median_us: samples[samples.len() / 2],
        p99_us: samples[samples.len() * 99 / 100],
        gflops: flops.map(|f| f as f64 / samples[0] / 1e3),
        workspace_bytes: call.workspace_bytes(),
        profile,
    };
    report(args, &latency);
    Ok(())
}

/// Variables keep their values, so that no number becomes too small or too large, however often a step is made.
fn at_rest(training: Training) -> Training {
    Training { optimizer: training.optimizer.at_rate(0.0), ..training }
}

/// Calls for so long, after a tenth of it to warm up: the times of the calls in microseconds, ascending; one at least.
fn samples(call: &mut Call<'_>, threads: Option<&dyn Parallel>, limit: Duration) -> Result<Vec<f64>, Problems> {
    let warm = Instant::now();
    while warm.elapsed() < limit / 10 {
        call.run(threads)?;
    }
    let (begin, mut samples) = (Instant::now(), vec![]);
    while samples.is_empty() || (begin.elapsed() < limit && samples.len() < MAX_SAMPLES) {
        let start = Instant::now();
        call.run(threads)?;
        samples.push(start.elapsed().as_secs_f64() * 1e6);
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples)
}

fn report(args: &Bench, latency: &Latency) {
    if args.json {
        answer(serde_json::to_string_pretty(latency).expect("plain data"));
        return;
    }
    answer(latency.measured(args));
    let rate = latency.gflops.map_or(String::new(), |g| format!(", {g:.1} GFLOP/s"));
    answer(format!(
        "min {:.2} us, median {:.2} us, p99 {:.2} us over {} calls{rate}",
        latency.min_us, latency.median_us, latency.p99_us, latency.calls
    ));
    latency.profile.iter().for_each(answer);
}
