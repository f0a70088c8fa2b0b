//! The pages of a comparison. What stands between the two marks is kept by hand and survives.

use std::fmt::Write;

use super::{
    levels,
    results::{Figures, Kind, MULTIPLY_ADDS, Model, OURS, Results, Way},
    table::{Table, number, percent},
};

const BY_HAND: &str = "<!-- kept by hand: what is behind, and why -->";
const END: &str = "<!-- end of what is kept by hand -->";
const NOT_YET: &str = "Nothing has been written here yet.";

/// A page, by what is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Inference,
    Training,
}

impl Page {
    pub const ALL: [Page; 2] = [Page::Inference, Page::Training];

    /// Its name in `docs`.
    pub fn file(self) -> &'static str {
        match self {
            Page::Inference => "benchmarks.md",
            Page::Training => "benchmarks-training.md",
        }
    }
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Page::Inference => &[Kind::Network, Kind::Operation],
            Page::Training => &[Kind::Training],
        }
    }
    fn title(self) -> &'static str {
        match self {
            Page::Inference => "Benchmarks",
            Page::Training => "Benchmarks of training",
        }
    }
    /// How one measures what is on it.
    fn command(self) -> &'static str {
        match self {
            Page::Inference => "cargo xtask bench --peers",
            Page::Training => "cargo xtask bench --peers --only train",
        }
    }

    /// The page, with the part kept by hand taken from the page as it was.
    pub fn write(self, results: &Results, before: &str) -> String {
        write_page(self, &results.of(self.kinds()), before)
    }
}

fn write_page(page: Page, results: &Results, before: &str) -> String {
    let sections = [
        head(page, results),
        ratios(results),
        times(results),
        training(results),
        operations(results),
        levels::section(results),
        cold(results),
        problems(results),
        behind(results, before),
        method(page, results),
    ];
    sections.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join("\n")
}

fn head(page: Page, results: &Results) -> String {
    let mut out = format!(
        "# {}\n\nWritten by `{}`, which measures all engines in one run; change the section kept by hand only.\n\n",
        page.title(),
        page.command()
    );
    let m = &results.machine;
    let _ = writeln!(
        out,
        "Machine: {}, {} threads. What one of them can do, measured in the same run:\n",
        m.processor, m.threads
    );
    let mut table = Table::new(["", "best"]);
    let size =
        |bytes: u64| if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) };
    for p in &m.multiply_adds {
        table.row([
            format!("multiply-adds of f32 from registers, {} bits", p.bits),
            format!("{} GFLOP/s", number(p.gflops)),
        ]);
    }
    for r in &m.reads {
        table.row([format!("reads of {} ({})", size(r.bytes), r.level), format!("{} GB/s", number(r.gb_per_s))]);
    }
    let _ = writeln!(out, "{table}");
    let versions: Vec<_> = results.engines().iter().map(|e| results.versions[*e].clone()).collect();
    let revision =
        if results.revision.is_empty() { String::new() } else { format!(" (revision {})", results.revision) };
    let cpu = match &results.cpu {
        Some(cpu) => format!("smc compiles for `--cpu {cpu}`."),
        None => "smc's objects are those that it makes by default: every processor level in one.".into(),
    };
    let _ = writeln!(out, "Versions: {}{revision}. {cpu}", versions.join(", "));
    out
}

fn way_name(way: Way) -> String {
    format!("{}, batch {}", threads_name(way.threads), way.batch)
}

/// The best peer's time divided by ours, for all ways at once.
fn ratios(results: &Results) -> String {
    let ways = results.ways();
    let mut table = Table::new(["network".to_string()].into_iter().chain(ways.iter().map(|w| way_name(*w))));
    for model in results.of_kind(Kind::Network) {
        let cell = |way: &Way| {
            results.ratio(&model.name, *way).map_or("–".into(), |r| format!("{} ({})", number(r.value), r.peer))
        };
        table.row([model.title.clone()].into_iter().chain(ways.iter().map(cell)));
    }
    if table.is_empty() {
        return String::new();
    }
    let mut mean = |title: String, family: Option<&str>| {
        let cell = |way: &Way| results.mean_ratio(*way, family).map_or("–".into(), |r| format!("**{}**", number(r)));
        table.row([title].into_iter().chain(ways.iter().map(cell)));
    };
    for family in results.families() {
        mean(format!("**geometric mean, {family}**"), Some(family));
    }
    mean("**geometric mean**".into(), None);
    format!(
        "## Ahead or behind\n\nThe best peer's time divided by smc's, of the minimum of wall clock time: above 1, smc is ahead. The best peer stands behind the ratio.\n\n{table}\n![Ratios by network](benchmarks.svg)\n"
    )
}

/// Minimum and median, in microseconds.
fn pair(min: f64, median: f64) -> String {
    format!("{} / {}", number(min), number(median))
}

fn times(results: &Results) -> String {
    let (engines, ways) = (results.engines_of(Kind::Network), results.ways());
    if ways.is_empty() {
        return String::new();
    }
    let mut out = "## Networks\n\nMicroseconds of one call, minimum / median.\n".to_string();
    let table = |way: Way, cell: &dyn Fn(&Figures) -> String, from_c: bool| {
        let native = from_c && results.results.iter().any(|f| f.native.is_some() && f.threads == way.threads);
        let mut head: Vec<String> = ["network"].iter().chain(&engines).map(|s| s.to_string()).collect();
        head.extend(native.then(|| "smc, from C".into()));
        let mut table = Table::new(head);
        for model in results.of_kind(Kind::Network) {
            let figures = |engine: &str| results.figures(&model.name, engine, way);
            let mut row = vec![model.title.clone()];
            row.extend(engines.iter().map(|e| figures(e).map_or("–".into(), cell)));
            if native {
                let native = figures(OURS).and_then(|f| f.native);
                row.push(native.map_or("–".into(), |n| pair(n.wall_min, n.wall_median)));
            }
            table.row(row);
        }
        table
    };
    for way in ways {
        let wall = table(way, &|f| pair(f.wall_min, f.wall_median), true);
        let cpu = table(way, &|f| pair(f.cpu_min, f.cpu_median), false);
        let _ =
            write!(out, "\n### {}\n\n{wall}\nProcessor time of all threads of the process:\n\n{cpu}", way_name(way));
    }
    out
}

fn threads_name(threads: u32) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// Ratios, then times.
fn training(results: &Results) -> String {
    let (engines, threads) = (results.engines_of(Kind::Training), results.training_threads());
    if threads.is_empty() {
        return String::new();
    }
    let mut ratios = Table::new(["step".to_string()].into_iter().chain(threads.iter().map(|t| threads_name(*t))));
    for model in results.of_kind(Kind::Training) {
        let ratio = |t: &u32| results.ratio(&model.name, results.training_way(&model.name, *t));
        let cell = |t: &u32| ratio(t).map_or("–".into(), |r| format!("{} ({})", number(r.value), r.peer));
        ratios.row([model.title.clone()].into_iter().chain(threads.iter().map(cell)));
    }
    let mean = |t: &u32| results.mean_training_ratio(*t).map_or("–".into(), |r| format!("**{}**", number(r)));
    ratios.row(["**geometric mean**".to_string()].into_iter().chain(threads.iter().map(mean)));
    let mut out = format!(
        "## Training steps\n\nOne step: forward, backward and Adam with Keras' defaults, by sparse categorical cross-entropy; the loss is read after each. First the best peer's time divided by smc's, of the minimum of wall clock time: above 1, smc is ahead. The best peer stands behind the ratio.\n\n{ratios}"
    );
    for t in threads {
        let mut times = Table::new(["step"].iter().chain(&engines).copied());
        for model in results.of_kind(Kind::Training) {
            let figures = |engine: &&str| results.figures(&model.name, engine, results.training_way(&model.name, t));
            let cell = |engine: &&str| figures(engine).map_or("–".into(), |f| pair(f.wall_min, f.wall_median));
            times.row([model.title.clone()].into_iter().chain(engines.iter().map(cell)));
        }
        let _ = write!(out, "\nMicroseconds of a step, minimum / median, {}:\n\n{times}", threads_name(t));
    }
    out
}

fn operations(results: &Results) -> String {
    let engines = results.engines_of(Kind::Operation);
    let way = Way { threads: 1, batch: 1 };
    let mut head = vec!["operation".to_string()];
    head.extend(engines.iter().map(|e| e.to_string()));
    head.extend(["ratio", "smc's rate", "of the machine's"].map(String::from));
    let mut table = Table::new(head);
    for model in results.of_kind(Kind::Operation) {
        let mut row = vec![model.title.clone()];
        let time = |e: &str| results.figures(&model.name, e, way).map(|f| f.wall_min);
        row.extend(engines.iter().map(|e| time(e).map_or("–".into(), number)));
        row.push(results.ratio(&model.name, way).map_or("–".into(), |r| number(r.value)));
        // What counts here is the kernel: the time from C, where that was measured.
        let ours = results.figures(&model.name, OURS, way).map(|f| f.native.map_or(f.wall_min, |n| n.wall_min));
        let work = model.work.filter(|w| w.bytes > 0.0);
        let (rate, part) = match (work, ours) {
            (Some(work), Some(us)) => {
                let fraction = results.fraction(&work, us);
                let rate = match fraction.as_ref().map_or(work.flops > 0.0, |f| f.of == MULTIPLY_ADDS) {
                    true => format!("{} GFLOP/s", number(work.flops / us / 1e3)),
                    false => format!("{} GB/s", number(work.bytes / us / 1e3)),
                };
                (rate, fraction.map_or("–".into(), |f| format!("{} of {}", percent(f.value), f.of)))
            }
            _ => ("–".into(), "–".into()),
        };
        row.extend([rate, part]);
        table.row(row);
    }
    if table.is_empty() {
        return String::new();
    }
    format!(
        "## Single operations\n\nOne thread, minimum of the microseconds of one call; weights are constants. Rate and fraction are of smc's code called from C, and the fraction is of the nearer limit: multiply-adds from registers, or reading as many bytes as the operands have, again and again. Operations are counted as the definition has them: a method that needs fewer can pass 100 %.\n\n{table}"
    )
}

fn cold(results: &Results) -> String {
    if results.cold.is_empty() {
        return String::new();
    }
    let mut engines: Vec<&str> = results.cold.iter().map(|c| c.engine.as_str()).collect();
    engines.sort_by_key(|e| (!e.starts_with(OURS), *e));
    engines.dedup();
    let title = |e: &&str| if *e == "smc-native" { "smc, from C".into() } else { e.to_string() };
    let mut table = Table::new(
        ["network".to_string()].into_iter().chain(engines.iter().map(title)).chain(["object, MB".to_string()]),
    );
    let started = |model: &&Model| results.cold.iter().any(|c| c.model == model.name);
    for model in results.of_kind(Kind::Network).filter(started) {
        let cell = |engine: &&str| {
            let found = results.cold.iter().find(|c| c.model == model.name && c.engine == *engine);
            found.map_or("–".into(), |c| format!("{} / {}", number(c.seconds * 1e3), number(c.peak_kb as f64 / 1e3)))
        };
        let bytes = model.object_bytes.map_or("–".into(), |b| number(b as f64 / 1e6));
        table.row([model.title.clone()].into_iter().chain(engines.iter().map(cell)).chain([bytes]));
    }
    format!(
        "## Cold start and memory\n\nMilliseconds from the start of a process to its first result / megabytes resident at most; one thread, batch 1. All engines run in Python, whose own start is in the figures; `smc, from C` is a program of C with the object linked in.\n\n{table}"
    )
}

fn problems(results: &Results) -> String {
    if results.problems.is_empty() {
        return String::new();
    }
    let mut out =
        "## Without figures\n\nEngines that could not load, failed, or differed too much from TensorFlow:\n\n"
            .to_string();
    let mut seen = vec![];
    for p in &results.problems {
        let line = format!("- {} on {}: {}", p.engine, p.model, files_alone(&p.error).replace(['<', '>'], "'"));
        if !seen.contains(&line) {
            let _ = writeln!(out, "{line}");
            seen.push(line);
        }
    }
    out
}

/// A message with the names of files, but not of the folders on the machine that they were in.
fn files_alone(message: &str) -> String {
    let name = |word: &str| word.rsplit('/').find(|part| !part.is_empty()).unwrap_or(word).to_string();
    message.split(' ').map(name).collect::<Vec<_>>().join(" ")
}

/// Every ratio below 1, then what people wrote about the causes.
fn behind(results: &Results, before: &str) -> String {
    let mut out = "## What is behind, and why\n\n".to_string();
    let mut behind = vec![];
    for way in results.ways() {
        for model in results.of_kind(Kind::Network) {
            if let Some(r) = results.ratio(&model.name, way).filter(|r| r.value < 1.0) {
                behind.push(format!(
                    "- {}, {}: {} of {}'s speed\n",
                    model.title,
                    way_name(way),
                    percent(r.value),
                    r.peer
                ));
            }
        }
    }
    for model in results.of_kind(Kind::Operation) {
        if let Some(r) = results.ratio(&model.name, Way { threads: 1, batch: 1 }).filter(|r| r.value < 1.0) {
            behind.push(format!("- {}: {} of {}'s speed\n", model.title, percent(r.value), r.peer));
        }
    }
    for threads in results.training_threads() {
        for model in results.of_kind(Kind::Training) {
            let ratio = results.ratio(&model.name, results.training_way(&model.name, threads));
            if let Some(r) = ratio.filter(|r| r.value < 1.0) {
                behind.push(format!(
                    "- a step of {}, {}: {} of {}'s speed\n",
                    model.title,
                    threads_name(threads),
                    percent(r.value),
                    r.peer
                ));
            }
        }
    }
    out += &if behind.is_empty() { "Nothing is behind the best peer in this run.\n".into() } else { behind.concat() };
    let kept =
        before.split_once(BY_HAND).and_then(|(_, rest)| rest.split_once(END)).map_or(NOT_YET, |(kept, _)| kept.trim());
    let _ = write!(out, "\n{BY_HAND}\n\n{kept}\n\n{END}\n");
    out
}

fn method(page: Page, results: &Results) -> String {
    let tolerance = |kind: &str| results.tolerance.get(kind).map_or("?".into(), |t| format!("{t:.0e}"));
    let (rounds, seconds) = (results.rounds, results.seconds);
    let (who, how) = match page {
        Page::Inference => {
            let compared = format!(
                "- Same SavedModels, same inputs, float32 everywhere. Weights are random, but batch normalisation has the statistics of its inputs; the MNIST models are trained. Nothing is tuned to the values.
- An engine's output is compared with TensorFlow's before it is measured: the largest difference, relative to the largest magnitude, is at most {} for networks and {} for operations. Who differs more has no figures.
- Engines run interleaved, A B C A B C ..., {rounds} rounds of {seconds} seconds each per network (a third of that per operation). The minimum is over all rounds, the median is that of the rounds' medians. A sample is at least 0.2 ms of calls.",
                tolerance("network"),
                tolerance("operation")
            );
            (compared, INFERENCE)
        }
        Page::Training => {
            let compared = format!(
                "- Keras models saved for inference, float32 everywhere; the same batch again and again, at most 200 steps in a row from the saved variables.
- The losses of an engine's first five steps are compared with those of Keras' own, one operation at a time, before it is measured: they differ by at most {} of the largest. Who differs more has no figures.
- Engines run interleaved, A B C A B C ..., {rounds} rounds of {seconds} seconds each. The minimum is over all rounds, the median is that of the rounds' medians. A sample is at least 0.2 ms of calls.",
                tolerance("training")
            );
            (compared, TRAINING)
        }
    };
    format!("## How it is measured\n\n{who}\n{BOTH}\n{how}\n")
}

const BOTH: &str = "- Each engine with each number of threads is a process of its own, pinned to as many processors; only one works at a time. All are called from Python; what such a call costs shows the operation `empty`. smc's shared library is called through ctypes.";

const INFERENCE: &str = "- Inputs and outputs that the caller owns (smc, onnxruntime, OpenVINO) are arrays that start at a cache line, the same for all of them; numpy's own are aligned to 16 bytes. LiteRT, TensorFlow and IREE allocate theirs themselves.
- LiteRT: XNNPACK, input set once. onnxruntime: all graph optimisations, arena, input and output bound. OpenVINO: latency hint, one stream, `INFERENCE_PRECISION_HINT` f32, one request with shared memory. TensorFlow: the signature frozen for one shape and traced. IREE, at batch 1: compiled for this processor at O3; `local-sync` on one thread, `local-task` on several. ONNX models come from tf2onnx, all shapes are static; those of LSTM and GRU are written by hand instead, with ONNX's own nodes for them, which are much faster than the loops that a converter makes. XLA, on recurrent networks and attention: TensorFlow's function compiled as a whole.
- smc: `smc compile`, linked by `cc -shared`; two threads are those of the runtime's pool.";

const TRAINING: &str = "- smc: `smc compile --train --optimizer adam`, linked by `cc -shared`; its step gives the accuracy too. Two threads are those of the runtime's pool.
- TensorFlow: a `tf.function` of the Keras model, a gradient tape and TensorFlow's one operator for Adam; XLA: the same with `jit_compile=True`. LiteRT: a signature of its own operators over resource variables. PyTorch: the network by hand and its Adam, with Keras' epsilon; of Debian's package, by OpenBLAS. Frozen features are constants for smc, TensorFlow, XLA and LiteRT; for PyTorch their batch norms are folded by hand.";

#[cfg(test)]
mod tests {
    use super::{super::results::tests::example, *};

    #[test]
    fn the_page_shows_every_table() {
        let page = Page::ALL.map(|page| page.write(&example(), "")).concat();
        for line in [
            "| The fast | 2.00 (alpha) | 4.00 (alpha) |",
            "| The slow | 0.50 (beta) | – |",
            "| **geometric mean, late** | **0.50** | – |",
            "| **geometric mean** | **1.00** | **4.00** |",
            "| network | smc | alpha | beta | smc, from C |",
            "| The fast | 10.0 / 15.0 | 20.0 / 30.0 | 40.0 / 60.0 | 9.50 / 10.0 |",
            "| The gemm | 20.0 | 19.0 | 0.95 | 103 GFLOP/s | 51 % of multiply-adds |",
            "| operation | smc | alpha | ratio |",
            "| The empty | 0.75 | 1.50 | 2.00 | – | – |",
            "| step | 1 thread | 2 threads |",
            "| The learn | 2.00 (gamma) | – |",
            "| **geometric mean** | **2.00** | – |",
            "| step | smc | gamma |",
            "| The learn | 100 / 150 | 200 / 300 |",
            "| The learn | 100 / 150 | – |",
            "at most 1e-4 of the largest",
            "| The fast | 100 / 20.0 | 1.00 / 1.50 | 500 / 90.0 | – |",
            "- The slow, 1 thread, batch 1: 50 % of beta's speed",
            "- The gemm: 95 % of alpha's speed",
            "- alpha on slow: build.py:7: no | such op",
            NOT_YET,
        ] {
            assert!(page.contains(line), "{line:?} is not in\n{page}");
        }
    }

    #[test]
    fn what_is_kept_by_hand_survives() {
        for page in Page::ALL {
            let first = page.write(&example(), "");
            let edited = first.replace(NOT_YET, "A reason.\n\nAnd another.");
            assert_eq!(page.write(&example(), &edited), edited);
        }
    }

    #[test]
    fn training_has_a_page_of_its_own() {
        let [inference, training] = Page::ALL.map(|page| page.write(&example(), ""));
        assert!(!inference.contains("The learn") && !inference.contains("of Keras' own"), "{inference}");
        assert!(!training.contains("The fast") && !training.contains("XNNPACK"), "{training}");
        assert!(training.contains("--only train`") && !training.contains("alpha"), "{training}");
    }

    #[test]
    fn a_run_of_nothing_has_a_page() {
        let page = Page::Inference.write(&Results::default(), "");
        assert!(page.contains("Nothing is behind") && !page.contains("## Networks"), "{page}");
        assert!(!page.contains("## Training"), "{page}");
    }
}
