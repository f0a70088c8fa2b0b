//! Runs the tools of others: compilers, emulators, interpreters.
//!
//! Where a tool is missing, a test says so past the test runner and passes, so that the rest can be run anywhere; on a build server, where
//! `CI` is `true`, it fails.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package of the workspace").to_path_buf()
}

/// Whether all tools are on the path. If not, says what is left out, or panics on a build server.
pub fn have(tools: &[&str]) -> bool {
    let paths: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let missing: Vec<_> = tools.iter().filter(|tool| !paths.iter().any(|dir| dir.join(tool).is_file())).collect();
    if missing.is_empty() {
        return true;
    }
    let what = format!("{missing:?} not found");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{what}, but a build server must have everything");
    not_run(&what);
    false
}

/// Says past the test runner, which keeps what passing tests print, that something was not run: `cargo xtask test`
/// counts such lines and repeats them at its end.
pub fn not_run(what: &str) {
    let line = format!("\nNOT RUN: {what}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("standard output takes a line");
}

/// The folder of SavedModels that SMC_CORPUS names; without one, says that `what` is not run.
pub fn corpus(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SMC_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        not_run(&format!("{what}: SMC_CORPUS does not name a folder of SavedModels"));
    }
    folder
}

/// What a command prints; panics with all its output unless it succeeds.
pub fn output(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command:?}: {}\n{stdout}{stderr}", out.status);
    stdout.replace("\r\n", "\n")
}
