//! Running programs: where the project lies, cargo, and commands whose failure ends the chore.

use std::{
    env,
    ffi::OsStr,
    fmt::Write,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The project's root, in which every command runs.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package of the workspace").to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A command that runs in the project's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this chore.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whether this is a build server, where everything has to be there.
pub fn on_build_server() -> bool {
    env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Whether a program of this name is on the path.
pub fn is_on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|paths| env::split_paths(&paths).any(|dir| dir.join(program).is_file()))
}

/// The command as one would type it: paths relative to the root, cargo by its name.
fn shown(command: &Command) -> String {
    let root = root();
    let short = |text: &OsStr| {
        let path = Path::new(text);
        path.strip_prefix(&root).unwrap_or(path).to_string_lossy().into_owned()
    };
    let program = Path::new(command.get_program());
    let mut text = match program.file_name() {
        Some(name) if name == "cargo" => "cargo".to_string(),
        _ => short(command.get_program()),
    };
    for arg in command.get_args() {
        write!(text, " {}", short(arg)).expect("a string takes any text");
    }
    text
}

/// Prints the command, runs it and lets its output through.
pub fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// As `run`, and shows each line of standard output to `each` as well. Whether the command succeeded.
pub fn run_watching(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    println!("$ {}", shown(command));
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let output = child.stdout.take().expect("it is piped");
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        each(&line);
    }
    Ok(child.wait()?.success())
}

/// Builds the compiler with optimisation. Its binary.
pub fn build_smc() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "smc"]))?;
    let smc = target().join("release").join(format!("smc{}", env::consts::EXE_SUFFIX));
    if !smc.is_file() {
        bail!("cargo has not made {}", smc.display());
    }
    Ok(smc)
}
