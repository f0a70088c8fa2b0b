//! Measures the compiler on models people know, alone or beside other engines.

mod levels;
mod page;
mod peers;
mod results;
mod table;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::programs::{build_smc, cargo, run as run_command, target};
use crate::venv::script;

/// What to measure; the command's own help says more.
#[derive(Args, Default)]
pub struct Options {
    /// Compare with other engines.
    #[arg(long)]
    peers: bool,
    /// Only these networks, operations and steps of training; a name, or the beginning of one. Without a match, all are listed.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "peers")]
    only: Vec<String>,
    /// Only these engines [default: all that can be installed].
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "peers")]
    engines: Vec<String>,
    /// Batch 1, short rounds and no IREE: a first impression in a few minutes.
    #[arg(long, requires = "peers")]
    quick: bool,
    /// Also write everything that was measured to this file.
    #[arg(long, value_name = "FILE", requires = "peers")]
    json: Option<PathBuf>,
    /// Measure nothing: write the page from files that --json wrote on this machine. The models of a later file are added to
    /// those of the earlier ones, or replace them with the figures of all engines.
    #[arg(long, value_name = "FILES", value_delimiter = ',', requires = "peers", conflicts_with_all = ["only", "engines", "quick", "json", "smc"])]
    from: Vec<PathBuf>,
    /// The compiler to measure [default: one built with optimisation].
    #[arg(long, value_name = "FILE", requires = "peers")]
    smc: Option<PathBuf>,
    /// What smc compiles for, as `smc compile --cpu` takes it [default: as smc does, all levels in one object].
    #[arg(long, value_name = "CPU", requires = "peers")]
    cpu: Option<String>,
}

/// Measures what the options ask for.
pub fn run(options: &Options) -> Result<()> {
    if options.peers { peers::run(options) } else { alone() }
}

/// Prepares the models, then runs the benches of the workspace on them.
fn alone() -> Result<()> {
    let smc = build_smc()?;
    let models = target().join("parity");
    for model in ["mobilenet_v2.saved_model", "resnet50.saved_model"] {
        run_command(script("parity.py")?.arg("--cache").arg(&models).args(["--only", model]))?;
    }
    run_command(
        cargo()
            .args(["bench", "--package", "smc-tests"])
            .env("SMC_BENCH_MODELS", &models)
            .env("SMC_BENCH_PROGRAM", smc),
    )
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn arguments_that_contradict_each_other_are_refused() {
        Line::command().debug_assert();
        let parse = |words: &[&str]| Line::try_parse_from([&["bench"], words].concat()).map(|line| line.options);
        assert_eq!(parse(&["--peers", "--only", "mnist,gemm_64"]).unwrap().only, ["mnist", "gemm_64"]);
        for (words, complaint) in [
            (&["--quick"][..], "--peers"),
            (&["--only", "mnist"], "--peers"),
            (&["--peers", "--from", "a.json", "--quick"], "cannot be used with"),
            (&["--peers", "--engines"], "value is required"),
        ] {
            let error = parse(words).err().unwrap().to_string();
            assert!(error.contains(complaint), "{words:?}: {error}");
        }
    }
}
