//! Running tests and adding up what they say.

use std::{
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};

use crate::{
    packages, parity,
    programs::{cargo, run as run_command, run_watching},
    venv,
};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds what a closing line says: `test result: ok. 3 passed; 0 failed; 1 ignored` or `9 models: 8 passed, 1 failed`.
    pub fn add_line(&mut self, line: &str) {
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
        }
    }

    /// Prints the closing line; an error unless all passed and there was something to pass.
    pub fn verdict(self) -> Result<()> {
        let ignored = if self.ignored > 0 { format!(", {} skipped", self.ignored) } else { String::new() };
        println!("\n{} passed, {} failed{ignored}", self.passed, self.failed);
        match self {
            Counts { failed: 0, passed: 1.., .. } => Ok(()),
            Counts { failed: 0, .. } => bail!("no test ran"),
            _ => bail!("tests failed"),
        }
    }
}

/// `cargo test` with its counts. The dev profile: it optimises the dependencies, and building smc for release takes
/// longer than the tests then save.
fn cargo_test(arguments: &[&str]) -> Result<Counts> {
    let mut counts = Counts::default();
    let succeeded = run_watching(cargo().args(["test", "--workspace", "--no-fail-fast"]).args(arguments), |line| {
        counts.add_line(line)
    })?;
    Ok(counts.after(succeeded))
}

/// Everything that needs no TensorFlow.
pub fn run() -> Result<Counts> {
    cargo_test(&[])
}

/// Everything, after installing what it needs.
pub fn run_all() -> Result<()> {
    packages::check(false)?;
    venv::python()?;
    let here = run()?;
    let parity = parity::run(&parity::Options::default())?;
    here.plus(parity).verdict()
}

/// Rewrites snapshots.
pub fn bless(filter: Option<&str>) -> Result<()> {
    run_command(cargo().args(["test", "--workspace"]).args(filter).env("BLESS", "1"))
}

/// Formatting, lints and every test.
pub fn ci() -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    run_command(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
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

#[cfg(test)]
mod tests {
    use super::Counts;

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
    fn a_silent_failure_counts() {
        assert_eq!(Counts::default().after(false).failed, 1);
        assert!(Counts::default().verdict().is_err());
    }
}
