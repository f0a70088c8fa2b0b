//! From a SavedModel to a running C program, as a user would go by hand.

use std::{env, fs};

use anyhow::{Context, Result};

use crate::programs::{build_smc, command, root, run as run_command, target};

pub fn run() -> Result<()> {
    let smc = build_smc()?;
    let out = target().join("demo");
    fs::create_dir_all(&out)?;
    let (object, program) = (out.join("libmnist.o"), out.join("mnist"));
    run_command(command(smc).args(["compile", "examples/mnist/model", "-o"]).arg(&object))?;
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    run_command(
        command(compiler)
            .arg("-O2")
            .arg("-I")
            .arg(&out)
            .arg("examples/mnist/main.c")
            .arg(&object)
            .arg("-o")
            .arg(&program),
    )
    .context("the C compiler is `cc`, or what CC names")?;
    run_command(command(&program).arg(root().join("examples/mnist/digits.bin")))
}
