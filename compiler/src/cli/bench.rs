//! `smc bench`: the latency of the compiled code, called again and again in this process on one set of inputs.

use std::time::{Duration, Instant};

use serde::Serialize;
use smc::{
    base::{Bindings, Diagnostic, Problems, Rng, Symbol},
    driver::{self, Executable, Options, random},
};
use smc_runtime::Parallel;

use super::{
    args::Bench,
    cpu, load,
    profile::{self, Profiled},
    run::{pick, pool},
    term::{Term, answer},
};

/// What was measured; times in microseconds of wall clock.
#[derive(Serialize)]
struct Latency {
    signature: String,
    batch: u64,
    threads: usize,
    calls: usize,
    min_us: f64,
    median_us: f64,
    p99_us: f64,
    gflops: Option<f64>,
    workspace_bytes: usize,
    #[serde(flatten)]
    profile: Option<Profiled>,
}

/// More samples than this change no statistic.
const MAX_SAMPLES: usize = 2_000_000;

pub fn run(args: &Bench, term: &Term) -> Result<(), Problems> {
    let model = load(&args.model)?;
    let signature = pick(&model, args.signature.as_deref())?.name.clone();
    if args.seconds.is_nan() || args.seconds <= 0.0 {
        return Err(Diagnostic::error("--seconds is to be a positive number").into());
    }
    if args.profile && args.cpu.as_ref().is_some_and(|list| list.contains(',')) {
        return Err(Diagnostic::error("--profile measures the kernels of one CPU level").help("give --cpu one").into());
    }
    let options = Options {
        name: "model".into(),
        signatures: vec![signature.clone()],
        batch: args.batch.batch.map(u64::from),
        shapes: args.inputs.clone(),
        cpu: Some(cpu(args.cpu.as_deref())),
        direct: args.arithmetic.direct,
        ..Options::default()
    };
    let progress = term.progress();
    let compiled = driver::compile(&model, &options, &mut |what| progress.stage(what))?;
    term.report(&compiled.notes);
    let entry = &compiled.interface.signatures[0];
    // What the shapes leave open is 1: the latency of one sample.
    let bind: Bindings = entry.symbols.iter().map(|d| (Symbol::clone(&d.symbol), 1)).collect();
    let mut seed = Rng::new(1);
    let mut inputs = vec![];
    for t in &entry.inputs {
        inputs.push(random::tensor(&t.ty, &bind, &mut seed).ok_or_else(|| {
            Diagnostic::error(format!("input `{}` has a type that has no random values: {}", t.key, t.ty))
        })?);
    }
    let flops = compiled.report.entries[0].flops(&bind);
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface.clone())?;
    let mut call = executable.prepare(0, &inputs)?;
    let pool = pool(args.threads)?;
    let threads = pool.as_ref().map(|p| p as &dyn Parallel);

    progress.stage("measuring");
    let limit = Duration::from_secs_f64(args.seconds);
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
    let profile = match args.profile {
        true => Some(profile::measure(&mut call, compiled.steps[0].of(&bind), threads, args.threads, limit)?),
        false => None,
    };
    drop(progress);
    samples.sort_by(f64::total_cmp);
    let latency = Latency {
        signature,
        batch: args.batch.batch.map_or(1, u64::from),
        threads: args.threads,
        calls: samples.len(),
        min_us: samples[0],
        median_us: samples[samples.len() / 2],
        p99_us: samples[samples.len() * 99 / 100],
        gflops: flops.map(|f| f as f64 / samples[0] / 1e3),
        workspace_bytes: call.workspace_bytes(),
        profile,
    };
    if args.json {
        answer(serde_json::to_string_pretty(&latency).expect("plain data"));
    } else {
        let rate = latency.gflops.map_or(String::new(), |g| format!(", {g:.1} GFLOP/s"));
        answer(format!(
            "min {:.2} us, median {:.2} us, p99 {:.2} us over {} calls{rate}",
            latency.min_us, latency.median_us, latency.p99_us, latency.calls
        ));
        latency.profile.iter().for_each(answer);
    }
    Ok(())
}
