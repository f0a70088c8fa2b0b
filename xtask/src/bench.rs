//! Measures the compiler on models people know: compile time and run time.

use anyhow::Result;

use crate::programs::{build_smc, cargo, run as run_command, target};
use crate::venv::script;

/// Prepares the models, then runs the benches of the workspace on them.
pub fn run() -> Result<()> {
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
