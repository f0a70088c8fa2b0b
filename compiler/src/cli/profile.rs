//! `smc bench --profile`: the kernels of a call as a table, each beside what the machine could do.
//!
//! A kernel cannot be faster than its operations at the machine's peak, nor than its bytes at the speed at which as many
//! bytes are read again and again. The nearer of the two limits is the one whose fraction is shown; both are
//! measured when the profile starts, on one thread, and taken times the number of threads.

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;
use smc::{
    base::{Bindings, Problems},
    driver::{Call, Kernels, Step, machine::Machine},
};
use smc_runtime::Parallel;

/// What the machine can do is measured for so long.
const MACHINE_SECONDS: f64 = 0.25;

/// A profile; times in microseconds.
#[derive(Serialize)]
pub struct Profiled {
    pub kernels: Vec<Kernel>,
    /// Whole calls, measured between the passes over the kernels.
    pub call_min_us: f64,
    pub call_median_us: f64,
    pub passes: usize,
    pub machine: Machine,
}

#[derive(Serialize)]
pub struct Kernel {
    pub name: String,
    /// The layer that it computes, as the model's author knows it.
    pub layer: Option<String>,
    pub min_us: f64,
    pub median_us: f64,
    /// Of the sum of all kernels' minima.
    pub share: f64,
    pub flops: i64,
    /// Of its buffers.
    pub bytes: i64,
    pub gflops: f64,
    pub gb_per_s: f64,
    /// The time it would take at the nearer limit, divided by the time it takes.
    pub of_peak: Option<f64>,
    /// `multiply-adds`, or the level of memory whose bandwidth is the limit.
    pub limit: Option<String>,
    pub code_bytes: usize,
    /// What kept the kernel from vectors as wide as the machine's.
    pub declined: Option<String>,
}

/// Profiles a prepared call for so long.
pub fn measure(
    call: &mut Call<'_>,
    kernels: &Kernels,
    threads: Option<&dyn Parallel>,
    width: usize,
    limit: Duration,
) -> Result<Profiled, Problems> {
    let machine = Machine::measure(MACHINE_SECONDS);
    let profile = call.profile(kernels, threads, limit)?;
    let sum: f64 = profile.steps.iter().map(|(min, _)| min).sum();
    let kernels = kernels.steps.iter().zip(&profile.steps).map(|(step, &(min, median))| {
        let kernel = describe(step, call.bindings(), min, &machine, width);
        Kernel { median_us: median / 1e3, share: if sum > 0.0 { min / sum } else { 0.0 }, ..kernel }
    });
    Ok(Profiled {
        kernels: kernels.collect(),
        call_min_us: profile.call.0 / 1e3,
        call_median_us: profile.call.1 / 1e3,
        passes: profile.passes,
        machine,
    })
}

fn describe(step: &Step, bind: &Bindings, ns: f64, machine: &Machine, width: usize) -> Kernel {
    let (flops, bytes) = (step.flops.eval(bind).unwrap_or(0), step.bytes.eval(bind).unwrap_or(0));
    let limit = limit(flops as f64, bytes as f64, machine, width as f64);
    Kernel {
        name: step.name.clone(),
        layer: step.layer.clone(),
        min_us: ns / 1e3,
        median_us: 0.0,
        share: 0.0,
        flops,
        bytes,
        gflops: rate(flops as f64, ns),
        gb_per_s: rate(bytes as f64, ns),
        of_peak: limit.as_ref().and_then(|(least, _)| (ns > 0.0).then(|| least / ns)),
        limit: limit.map(|(_, name)| name),
        code_bytes: step.code_bytes,
        declined: step.declined.clone(),
    }
}

/// Units per nanosecond.
fn rate(units: f64, ns: f64) -> f64 {
    if ns > 0.0 { units / ns } else { 0.0 }
}

/// The fewest nanoseconds that the work can take, and what sets them.
fn limit(flops: f64, bytes: f64, machine: &Machine, width: f64) -> Option<(f64, String)> {
    let computing = machine.gflops().map(|peak| (flops / peak / width, "multiply-adds".to_string()));
    let moving = machine.read(bytes as u64).map(|(rate, level)| (bytes / rate / width, level.to_string()));
    [computing, moving].into_iter().flatten().max_by(|a, b| a.0.total_cmp(&b.0))
}

/// The kernels that take turns, where they are many: the first, how many more, and the last.
fn turns(name: &str) -> Cow<'_, str> {
    match name.split(" + ").collect::<Vec<_>>()[..] {
        [first, _, ref more @ .., last] if !more.is_empty() => {
            format!("{first} + {} more + {last}", more.len() + 1).into()
        }
        _ => name.into(),
    }
}

/// Widths of the columns of text; with the numbers between them a line has 120 columns at most.
const NAME: usize = 32;
const LIMIT: usize = 22;
const LAYER: usize = 29;

/// The text, or its beginning and end where it is too long for a column.
fn fit(text: &str, width: usize) -> Cow<'_, str> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= width {
        return text.into();
    }
    let (head, tail) = ((width - 2) / 2, width - 2 - (width - 2) / 2);
    let part = |chars: &[char]| chars.iter().collect::<String>();
    format!("{}..{}", part(&chars[..head]), part(&chars[chars.len() - tail..])).into()
}

impl fmt::Display for Profiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head =
            [("min us", 10), ("share", 8), ("GFLOP/s", 9), ("GB/s", 8)].map(|(h, w)| format!("{h:>w$}")).concat();
        writeln!(f, "{:NAME$}{head}  {:LIMIT$}layer", "kernel", "of what is possible")?;
        for k in &self.kernels {
            let part = match (k.of_peak, &k.limit) {
                (Some(part), Some(limit)) => format!("{:.0} % of {limit}", part * 100.0),
                _ => String::new(),
            };
            let name = turns(&k.name);
            let line = format!(
                "{:NAME$}{:10.2}{:6.1} %{:9.1}{:8.1}  {:LIMIT$}{}",
                fit(&name, NAME),
                k.min_us,
                k.share * 100.0,
                k.gflops,
                k.gb_per_s,
                fit(&part, LIMIT - 1),
                fit(k.layer.as_deref().unwrap_or_default(), LAYER)
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        for k in &self.kernels {
            if let Some(what) = &k.declined {
                writeln!(f, "narrow vectors in {}: no {what}", fit(&turns(&k.name), 60))?;
            }
        }
        let sum: f64 = self.kernels.iter().map(|k| k.min_us).sum();
        writeln!(
            f,
            "{} kernel{}, {sum:.2} us; a whole call {:.2} us, median {:.2} us; {} passes",
            self.kernels.len(),
            if self.kernels.len() == 1 { "" } else { "s" },
            self.call_min_us,
            self.call_median_us,
            self.passes
        )?;
        write!(f, "{}; `smc machine` tells more", self.machine.in_short())
    }
}

#[cfg(test)]
mod tests {
    use smc::driver::machine::{Peak, Read};

    use super::*;

    #[test]
    fn the_nearer_limit_counts() {
        let read = |level: &str, bytes, gb_per_s| Read { bytes, level: level.into(), gb_per_s };
        let machine = Machine {
            processor: String::new(),
            threads: 2,
            multiply_adds: vec![Peak { bits: 128, gflops: 10.0 }],
            reads: vec![read("L1", 1000, 5.0), read("memory", 2000, 1.0)],
        };
        assert_eq!(limit(1000.0, 100.0, &machine, 1.0), Some((100.0, "multiply-adds".into())));
        assert_eq!(limit(1000.0, 2000.0, &machine, 2.0), Some((1000.0, "memory".into())));
        let nothing = Machine { multiply_adds: vec![], reads: vec![], ..machine };
        assert_eq!(limit(1.0, 1.0, &nothing, 1.0), None);
        assert_eq!(rate(5.0, 0.0), 0.0);
        assert_eq!([turns("a"), turns("a + b + c"), turns("a + b + c + d")], ["a", "a + b + c", "a + 2 more + d"]);
        assert_eq!([fit("abcdef", 6), fit("abcdefghij", 7)], ["abcdef", "ab..hij"]);
    }
}
