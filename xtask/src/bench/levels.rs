//! Each processor level beside what the machine does at that level's width: the figures, and their table.
//!
//! Convolutions are computed by the definition here (`--direct`), so that a fraction is one of the multiply-adds made.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    peers::output,
    results::{Fraction, Results},
    table::{Table, number, percent},
};
use crate::programs::command;

/// What is measured at every level.
const MODELS: [&str; 8] =
    ["gemm_256", "gemm_512", "gemm_1024", "conv3x3", "dense_4", "dense_8", "dense_16", "gemv_1024x1024"];
/// The levels of x86-64 objects.
const LEVELS: [&str; 3] = ["x86-64", "x86-64-v3", "x86-64-v4"];
const ROUNDS: usize = 2;
const SECONDS: &str = "0.3";

/// The least time of a call at a level, on one thread, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LevelFigures {
    pub level: String,
    pub model: String,
    pub min_us: f64,
}

/// The bits of a level's vectors; all of them when the level has no name here.
pub fn bits(level: Option<&str>) -> u32 {
    match level {
        Some("x86-64-v3") => 256,
        Some("x86-64" | "x86-64-v2") => 128,
        _ => u32::MAX,
    }
}

/// Measures those of the models that are among `names`, in turns, at each level that this machine runs.
pub fn measure(smc: &Path, cache: &Path, names: &[String]) -> Result<Vec<LevelFigures>> {
    #[derive(Deserialize)]
    struct Latency {
        min_us: f64,
    }
    let mut all: Vec<LevelFigures> = vec![];
    for _ in 0..ROUNDS {
        for model in MODELS.iter().filter(|m| names.iter().any(|n| n == *m)) {
            for level in LEVELS.iter().filter(|l| runs_here(l)) {
                let mut bench = command(smc);
                bench.arg("bench").arg(cache.join(model).join("model"));
                bench.args(["--cpu", level, "--direct", "--json", "--seconds", SECONDS]);
                let text = output(&mut bench)?;
                let Latency { min_us } =
                    serde_json::from_str(&text).context("`smc bench --json` says something else")?;
                match all.iter_mut().find(|f| f.level == *level && f.model == *model) {
                    Some(known) => known.min_us = known.min_us.min(min_us),
                    None => all.push(LevelFigures { level: (*level).into(), model: (*model).into(), min_us }),
                }
            }
        }
    }
    Ok(all)
}

#[cfg(target_arch = "x86_64")]
fn runs_here(level: &str) -> bool {
    use std::arch::is_x86_feature_detected as has;
    match level {
        "x86-64-v3" => has!("avx2") && has!("fma"),
        "x86-64-v4" => has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl"),
        _ => true,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn runs_here(_: &str) -> bool {
    false
}

/// The page's section.
pub fn section(results: &Results) -> String {
    let mut levels: Vec<&str> = results.levels.iter().map(|f| f.level.as_str()).collect();
    levels.sort();
    levels.dedup();
    let mut table = Table::new(["operation"].iter().chain(&levels).copied());
    for model in &results.models {
        let figures = |level: &str| results.levels.iter().find(|f| f.level == level && f.model == model.name);
        let Some(work) = model.work.filter(|_| levels.iter().any(|l| figures(l).is_some())) else { continue };
        let cell = |level: &&str| {
            let Some(f) = figures(level) else { return "–".to_string() };
            let Some(Fraction { value, of }) = results.fraction_at(bits(Some(level)), &work, f.min_us) else {
                return number(f.min_us);
            };
            format!("{}: {} of {of}", number(f.min_us), percent(value))
        };
        table.row([model.title.clone()].into_iter().chain(levels.iter().map(cell)));
    }
    if table.is_empty() {
        return String::new();
    }
    format!(
        "## Levels\n\nThe code of each processor level by itself (`smc bench --cpu LEVEL --direct`), one thread: minimum of the microseconds of a call, and the fraction of the nearer limit, where multiply-adds are those of vectors as wide as the level's: 128 bits for x86-64, 256 for x86-64-v3, 512 for x86-64-v4. Multiply-adds of 128 bits are measured fused; x86-64 has to multiply and add, and no instruction that spreads an element.\n\n{table}"
    )
}

#[cfg(test)]
mod tests {
    use super::{super::results::tests::example, *};

    #[test]
    fn a_level_is_measured_against_its_width() {
        let mut results = example();
        let figures = |level: &str, min_us| LevelFigures { level: level.into(), model: "gemm".into(), min_us };
        results.levels = vec![figures("x86-64-v4", 20.0), figures("x86-64-v3", 20.0)];
        let text = section(&results);
        assert!(text.contains("| operation | x86-64-v3 | x86-64-v4 |"), "{text}");
        assert!(text.contains("| The gemm | 20.0: 100 % of multiply-adds | 20.0: 50 % of multiply-adds |"), "{text}");
        assert!(!text.contains("The empty"), "{text}");
        results.levels.clear();
        assert_eq!(section(&results), "");
    }
}
