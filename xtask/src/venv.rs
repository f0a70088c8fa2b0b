//! Python virtual environments with pinned packages, in `.venv`.
//!
//! One is made anew when its requirements changed: the stamp in it holds those it was made from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::programs::{command, root, run};

/// An environment: where it lies and what is in it. Requirements are files, relative to the project's root.
pub struct Venv {
    pub folder: &'static str,
    /// What people are told is being installed.
    pub what: &'static str,
    pub requirements: &'static str,
    /// Installed without what they ask for.
    pub without_dependencies: Option<&'static str>,
    /// Left out, with a word, where they cannot be installed.
    pub optional: Option<&'static str>,
}

const TENSORFLOW: Venv = Venv {
    folder: ".venv/tf",
    what: "TensorFlow",
    requirements: "xtask/python/requirements.txt",
    without_dependencies: Some("xtask/python/requirements-no-deps.txt"),
    optional: None,
};

/// The Python of the environment with TensorFlow, after making the environment if need be.
pub fn python() -> Result<PathBuf> {
    ensure(&TENSORFLOW)
}

/// An environment's Python, after making the environment if need be.
pub fn ensure(venv: &Venv) -> Result<PathBuf> {
    let folder = root().join(venv.folder);
    let (stamp, python) = (folder.join("stamp"), folder.join("bin/python"));
    let wanted = wanted(venv)?;
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(python);
    }
    println!("Installing {} into {}; this takes a minute or two.", venv.what, venv.folder);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove the old {}", venv.folder))?;
    }
    run(command("python3").args(["-m", "venv"]).arg(&folder))
        .context("cannot make a virtual environment; on Debian, install python3-venv")?;
    install(&python, &["--requirement", venv.requirements]).with_context(|| {
        format!("pip could not install {}: is the network there, and a Python that has these versions?", venv.what)
    })?;
    if let Some(file) = venv.without_dependencies {
        install(&python, &["--no-deps", "--requirement", file])?;
    }
    if let Some(file) = venv.optional
        && let Err(error) = install(&python, &["--requirement", file])
    {
        println!("Left out, because it could not be installed: what {file} lists ({error:#})");
    }
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// What the environment is to be made from.
fn wanted(venv: &Venv) -> Result<String> {
    let files = [Some(venv.requirements), venv.without_dependencies, venv.optional];
    let read = |file: &str| fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"));
    files.into_iter().flatten().map(read).collect()
}

fn install(python: &Path, arguments: &[&str]) -> Result<()> {
    run(command(python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(arguments))
}

/// A command that runs one of our Python scripts, without TensorFlow's chatter.
pub fn script(name: &str) -> Result<Command> {
    let mut command = command(python()?);
    command.arg(root().join("xtask/python").join(name)).env("TF_CPP_MIN_LOG_LEVEL", "3").env("PYTHONUNBUFFERED", "1");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_there_and_pinned() {
        let peers = Venv {
            requirements: "xtask/python/peers/requirements.txt",
            optional: Some("xtask/python/peers/requirements-optional.txt"),
            without_dependencies: None,
            ..TENSORFLOW
        };
        for venv in [&TENSORFLOW, &peers] {
            let text = wanted(venv).unwrap();
            let packages: Vec<_> = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect();
            assert!(!packages.is_empty() && packages.iter().all(|p| p.contains("==")), "{packages:?}");
        }
        assert!(wanted(&Venv { requirements: "no such file", ..TENSORFLOW }).is_err());
    }
}
