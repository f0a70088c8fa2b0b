//! Running tests and adding up what they say.

use std::{
    collections::BTreeSet,
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};

use crate::{
    packages, parity,
    programs::{cargo, run as run_command, run_watching},
    venv,
};

/// How many tests passed and failed, and what was not run for want of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// As the tests say it, each once.
    not_run: BTreeSet<String>,
}

impl Counts {
    /// Adds what a closing line says: `test result: ok. 3 passed; 0 failed; 1 ignored` or `9 models: 8 passed, 1 failed`.
    pub fn add_line(&mut self, line: &str) {
        if let Some(what) = line.strip_prefix("NOT RUN: ") {
            self.not_run.insert(what.trim().into());
        }
        if !line.starts_with("test result: ") && !line.contains(" models, ") {
            return;
        }
        let words: Vec<_> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Counts a run that failed without saying so, as when a test does not compile, as one failure.
    pub fn after(mut self, succeeded: bool) -> Counts {
        if !succeeded && self.failed == 0 {
            self.failed = 1;
        }
        self
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
            not_run: self.not_run.into_iter().chain(other.not_run).collect(),
        }
    }

    /// What is said at the end: what was not run, and the counts, in which it is skipped.
    fn summary(&self) -> String {
        let list: String = self.not_run.iter().map(|what| format!("not run: {what}\n")).collect();
        let skipped = self.ignored + self.not_run.len() as u64;
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        format!("{list}\n{} passed, {} failed{skipped}", self.passed, self.failed)
    }

    /// Prints the closing line; an error unless all passed and there was something to pass.
    pub fn verdict(self) -> Result<()> {
        println!("\n{}", self.summary());
        match self {
            Counts { failed: 0, passed: 1.., .. } => Ok(()),
            Counts { failed: 0, .. } => bail!("no test ran"),
            _ => bail!("tests failed"),
        }
    }
}

/// `cargo test` with its counts. The dev profile: it optimises the dependencies, and building smc for release takes
/// longer than the tests then save.
fn cargo_test(arguments: &[&str], level: Option<&str>) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut tests = cargo();
    tests.args(["test", "--no-fail-fast"]).args(arguments);
    if let Some(level) = level {
        println!("SMC_CPU={level}");
        tests.env("SMC_CPU", level);
    }
    let succeeded = run_watching(&mut tests, |line| counts.add_line(line))?;
    Ok(counts.after(succeeded))
}

/// The tests whose code is made for a CPU level of this machine; the others say by themselves which levels they need.
const BY_LEVEL: [&str; 25] = [
    "borders",
    "broadcasts",
    "cases",
    "chains",
    "custom",
    "elementary",
    "entries",
    "extents",
    "fits",
    "grafts",
    "heads",
    "machine",
    "mnist",
    "random_graphs",
    "records",
    "saved_flow",
    "saved_forests",
    "saved_sizes",
    "saved_state",
    "saved_tables",
    "saved_text",
    "states",
    "training",
    "unseeded",
    "winograd",
];

/// The levels below this machine's best for which objects carry code by default.
fn lower_levels() -> &'static [&'static str] {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let levels = &["x86-64", "x86-64-v3"];
        let known = usize::from(has!("avx2")) + usize::from(has!("avx512f"));
        &levels[..known]
    }
    #[cfg(not(target_arch = "x86_64"))]
    &[]
}

/// Everything that needs no TensorFlow: once at the best level of this machine, and what depends on it at the others.
pub fn run() -> Result<Counts> {
    let mut counts = cargo_test(&["--workspace"], None)?;
    for level in lower_levels() {
        let mut arguments = vec!["--package", "smc-tests"];
        arguments.extend(BY_LEVEL.iter().flat_map(|test| ["--test", test]));
        // The best level's run had these: they name their levels.
        arguments.extend(["--", "--skip", "baseline", "--skip", "every_level", "--skip", "every_row"]);
        counts = counts.plus(cargo_test(&arguments, Some(level))?);
    }
    Ok(counts)
}

/// Everything, after installing what it needs.
pub fn run_all() -> Result<()> {
    packages::check(false)?;
    venv::python()?;
    let mut counts = run()?.plus(parity::run(&parity::Options::default(), None)?);
    for level in lower_levels() {
        counts = counts.plus(parity::run(&parity::Options::default(), Some(level))?);
    }
    counts.verdict()
}

/// Rewrites snapshots.
pub fn bless(filter: Option<&str>) -> Result<()> {
    run_command(cargo().args(["test", "--workspace"]).args(filter).env("BLESS", "1"))
}

/// Formatting, lints, documentation, the fuzz target and every test.
pub fn ci() -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    packages::check(false)?;
    run_command(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    run_command(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))?;
    // Without a nightly compiler it builds, but coverage does not guide it.
    run_command(cargo().args(["build", "--package", "smc-fuzz"]))?;
    run_all()
}

/// Runs the random tests again and again, each time from the seed in `SMC_SEED`, and names the seed that failed.
pub fn fuzz(seconds: u64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = match env::var("SMC_SEED") {
        Ok(text) => text.parse()?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        let mut tests = cargo();
        tests
            .args(["test", "--release", "--workspace", "--", "random", "fuzz", "corrupt"])
            .env("SMC_SEED", seed.to_string());
        if let Err(error) = run_command(&mut tests) {
            bail!("{error}; SMC_SEED={seed} repeats it");
        }
        seed += 1;
        rounds += 1;
    }
    println!("{rounds} rounds of the random tests passed");
    Ok(())
}

/// The accuracy that is stated for elementary functions, over all floats but for those that `stride` passes over. The
/// time goes into machine code and what compares its results: only that is optimised, which is built in a moment.
pub fn elementary(stride: u32, functions: Option<String>, cpu: Option<String>) -> Result<()> {
    let mut tests = cargo();
    for setting in ["opt-level=3", "debug-assertions=false", "overflow-checks=false"] {
        tests.args(["--config", &format!("profile.dev.package.smc-tests.{setting}")]);
    }
    tests
        .args(["test", "-p", "smc-tests", "--test", "elementary", "--", "all_floats", "--ignored", "--nocapture"])
        .env("SMC_STRIDE", stride.to_string())
        .envs(functions.map(|list| ("SMC_FUNCTIONS", list)))
        .envs(cpu.map(|list| ("SMC_CPUS", list)));
    run_command(&mut tests)
}

#[cfg(test)]
mod tests {
    use super::{BY_LEVEL, Counts};
    use crate::programs::root;

    /// A test that asks for the level is run at each of them.
    #[test]
    fn what_depends_on_the_level_is_known() {
        let files = std::fs::read_dir(root().join("tests/tests")).unwrap().map(|entry| entry.unwrap().path());
        let asks = |path: &std::path::PathBuf| {
            let text = std::fs::read_to_string(path).unwrap();
            // The second compiles for the level too.
            text.contains("smc_tests::cpu()") || text.contains("calls_agree")
        };
        let mut found: Vec<String> =
            files.filter(asks).map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        found.sort();
        assert_eq!(found, BY_LEVEL);
    }

    fn counts(text: &str) -> (u64, u64, u64) {
        let mut counts = Counts::default();
        text.lines().for_each(|line| counts.add_line(line));
        (counts.passed, counts.failed, counts.ignored)
    }

    #[test]
    fn closing_lines_add_up() {
        let text = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored\n9 passed in a comment\n\
                    12 models, 30 s: 35 passed, 2 failed, 4 not covered";
        assert_eq!(counts(text), (40, 3, 1));
    }

    #[test]
    fn what_is_not_run_is_said_once_and_counted() {
        let mut counts = Counts::default();
        let text = "NOT RUN: the corpus\ntest result: ok. 3 passed; 0 failed; 1 ignored\nNOT RUN: the corpus";
        text.lines().for_each(|line| counts.add_line(line));
        assert_eq!(counts.summary(), "not run: the corpus\n\n3 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn a_silent_failure_counts() {
        assert_eq!(Counts::default().after(false).failed, 1);
        assert!(Counts::default().verdict().is_err());
    }
}
