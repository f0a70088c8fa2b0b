//! What runs TensorFlow: the comparison of whole models, what is written for it, and the recording of cases and tables.

use std::{path::PathBuf, thread};

use anyhow::Result;
use clap::Args;

use crate::{
    programs::{build_smc, root, run as run_command, run_watching, target},
    testing::Counts,
    venv::script,
};

#[derive(Args, Default)]
pub struct Options {
    /// Also compare the models of this folder, as far as their operators are supported: each in its own folder, which
    /// holds `model/` and `case*.npz`.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Only models whose `name.route` contains this.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// How many models to work on at once; by default one per processor.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// Compares every model with TensorFlow, at this CPU level or the best one of this machine.
pub fn run(options: &Options, level: Option<&str>) -> Result<Counts> {
    let smc = build_smc()?;
    let jobs = options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let mut parity = script("parity.py")?;
    parity.arg("--smc").arg(&smc).arg("--cache").arg(target().join("parity")).args(["--jobs", &jobs.to_string()]);
    if let Some(only) = &options.only {
        parity.args(["--only", only]);
    }
    if let Some(corpus) = &options.corpus {
        parity.arg("--corpus").arg(corpus.canonicalize()?);
    }
    if let Some(level) = level {
        println!("SMC_CPU={level}");
        parity.env("SMC_CPU", level);
    }
    let mut counts = Counts::default();
    let mut succeeded = run_watching(&mut parity, |line| counts.add_line(line))?;
    if level.is_none() && options.only.is_none() {
        for page in ["documented.py", "exports.py", "grafts.py", "heads.py"] {
            let mut script = script(page)?;
            succeeded &= run_watching(script.arg("--smc").arg(&smc), |line| counts.add_line(line))?;
        }
    }
    Ok(counts.after(succeeded))
}

/// Records cases; with no operator named, TensorFlow's labels for the MNIST models too.
pub fn record(op: Option<&str>) -> Result<()> {
    let mut record = script("record.py")?;
    if let Some(op) = op {
        return run_command(record.args(["--op", op]));
    }
    run_command(&mut record)?;
    run_command(&mut script("record_mnist.py")?)
}

/// Writes the table of TensorFlow's operators that the loader carries.
pub fn op_defs() -> Result<()> {
    run_command(script("op_defs.py")?.arg(root().join("compiler/src/saved/op_defs.txt")))
}

/// Makes the small models that the loader's tests read.
pub fn models() -> Result<()> {
    run_command(&mut script("../../tests/models/make.py")?)
}
