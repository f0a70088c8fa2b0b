//! The Python virtual environment with the pinned TensorFlow, in `.venv/tf`.
//!
//! It is made anew when the requirements changed: the stamp in it holds those it was made from.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::programs::{command, root, run};

const REQUIREMENTS: [&str; 2] = ["xtask/python/requirements.txt", "xtask/python/requirements-no-deps.txt"];

/// The environment's Python, after making the environment if need be.
pub fn python() -> Result<PathBuf> {
    let venv = root().join(".venv/tf");
    let (stamp, python) = (venv.join("stamp"), venv.join("bin/python"));
    let mut wanted = String::new();
    for file in REQUIREMENTS {
        wanted += &fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"))?;
    }
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(python);
    }
    println!("Installing TensorFlow into .venv/tf; this takes a minute or two.");
    if venv.exists() {
        fs::remove_dir_all(&venv).context("cannot remove the old .venv/tf")?;
    }
    run(command("python3").args(["-m", "venv"]).arg(&venv))
        .context("cannot make a virtual environment; on Debian, install python3-venv")?;
    let pip = |arguments: &[&str]| {
        run(command(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(arguments))
    };
    pip(&["--requirement", REQUIREMENTS[0]])?;
    pip(&["--no-deps", "--requirement", REQUIREMENTS[1]])?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// A command that runs one of our Python scripts, without TensorFlow's chatter.
pub fn script(name: &str) -> Result<Command> {
    let mut command = command(python()?);
    command.arg(root().join("xtask/python").join(name)).env("TF_CPP_MIN_LOG_LEVEL", "3").env("PYTHONUNBUFFERED", "1");
    Ok(command)
}
