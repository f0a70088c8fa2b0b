//! What a comparison measured, and what follows from it. The fields are those of the JSON that `--json` writes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::levels::{LevelFigures, bits};

/// The engine that all others are compared with.
pub const OURS: &str = "smc";
/// The limit of what is computed rather than moved.
pub const MULTIPLY_ADDS: &str = "multiply-adds";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// What `smc machine` says.
    pub machine: Machine,
    /// The revision of the project.
    #[serde(default)]
    pub revision: String,
    /// The kinds of which all models were asked for, with all engines, batches and levels.
    #[serde(default)]
    pub whole: Vec<Kind>,
    /// Whether each model was measured with all engines, batches and levels, in rounds of full length.
    #[serde(default)]
    pub thorough: bool,
    /// By engine its version; the engines are measured in the order of `engines`.
    pub versions: BTreeMap<String, String>,
    /// The largest difference from TensorFlow that is allowed, by kind of model; in losses, where training is measured.
    pub tolerance: BTreeMap<String, f64>,
    pub rounds: u32,
    /// Of one engine in one round on a network.
    pub seconds: f64,
    /// What smc compiled for.
    pub cpu: Option<String>,
    pub models: Vec<Model>,
    pub results: Vec<Figures>,
    pub problems: Vec<Problem>,
    pub cold: Vec<Cold>,
    /// Operations at each processor level by itself.
    #[serde(default)]
    pub levels: Vec<LevelFigures>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub threads: usize,
    pub multiply_adds: Vec<Peak>,
    pub reads: Vec<Read>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Peak {
    pub bits: u32,
    pub gflops: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Read {
    pub bytes: u64,
    pub level: String,
    pub gb_per_s: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub kind: Kind,
    /// What its ratios are averaged with, beside all networks; empty for none.
    #[serde(default)]
    pub family: String,
    pub title: String,
    /// Of operations alone.
    pub work: Option<Work>,
    pub object_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Network,
    Operation,
    /// A step of training.
    Training,
}

/// What one call does at least.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Work {
    pub flops: f64,
    pub bytes: f64,
}

/// One engine on one model; times in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub model: String,
    pub engine: String,
    pub batch: u32,
    pub threads: u32,
    pub difference: f64,
    pub wall_min: f64,
    pub wall_median: f64,
    pub cpu_min: f64,
    pub cpu_median: f64,
    /// The same code called from C.
    #[serde(default)]
    pub native: Option<Native>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Native {
    pub wall_min: f64,
    pub wall_median: f64,
}

/// An engine that has no figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    pub model: String,
    pub engine: String,
    pub batch: u32,
    pub threads: u32,
    pub error: String,
}

/// A process that runs a model once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cold {
    pub model: String,
    pub engine: String,
    pub seconds: f64,
    pub peak_kb: u64,
}

/// How a network is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    pub threads: u32,
    pub batch: u32,
}

/// The best peer's time divided by ours: above 1, we are ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    pub value: f64,
    pub peer: String,
}

/// Part of what the machine can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Fraction {
    pub value: f64,
    /// What it is a part of: [`MULTIPLY_ADDS`] or the level of memory.
    pub of: String,
}

impl Results {
    /// The engines with figures, ours first, the others by name.
    pub fn engines(&self) -> Vec<&str> {
        let mut engines: Vec<&str> = self.versions.keys().map(String::as_str).collect();
        engines.sort_by_key(|e| (*e != OURS, *e));
        engines
    }

    /// Those with figures of models of this kind.
    pub fn engines_of(&self, kind: Kind) -> Vec<&str> {
        let has = |engine: &str| {
            self.of_kind(kind).any(|m| self.results.iter().any(|r| r.model == m.name && r.engine == engine))
        };
        self.engines().into_iter().filter(|e| has(e)).collect()
    }

    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(move |m| m.kind == kind)
    }

    /// The ways networks were run.
    pub fn ways(&self) -> Vec<Way> {
        let network = |name: &str| self.of_kind(Kind::Network).any(|m| m.name == name);
        let measured = self.results.iter().filter(|r| network(&r.model));
        let mut ways: Vec<Way> = measured.map(|r| Way { threads: r.threads, batch: r.batch }).collect();
        ways.sort();
        ways.dedup();
        ways
    }

    /// How many threads steps of training had.
    pub fn training_threads(&self) -> Vec<u32> {
        let threads = self.of_kind(Kind::Training).flat_map(|m| self.results.iter().filter(|r| r.model == m.name));
        threads.map(|r| r.threads).collect::<BTreeSet<u32>>().into_iter().collect()
    }

    /// A step has one batch, which belongs to it.
    pub fn training_way(&self, model: &str, threads: u32) -> Way {
        Way { threads, batch: self.results.iter().find(|r| r.model == model).map_or(1, |r| r.batch) }
    }

    /// The geometric mean of the ratios of steps of training.
    pub fn mean_training_ratio(&self, threads: u32) -> Option<f64> {
        let ratio = |m: &Model| self.ratio(&m.name, self.training_way(&m.name, threads));
        geometric_mean(self.of_kind(Kind::Training).filter_map(ratio).map(|r| r.value))
    }

    pub fn figures(&self, model: &str, engine: &str, way: Way) -> Option<&Figures> {
        let same =
            |r: &&Figures| r.model == model && r.engine == engine && r.threads == way.threads && r.batch == way.batch;
        self.results.iter().find(same)
    }

    /// By the minimum of wall clock time. None without our figures or those of any peer.
    pub fn ratio(&self, model: &str, way: Way) -> Option<Ratio> {
        let ours = self.figures(model, OURS, way)?.wall_min;
        let peers = self.engines().into_iter().filter(|e| *e != OURS);
        let times = peers.filter_map(|e| self.figures(model, e, way).map(|f| (f.wall_min, e)));
        let (best, peer) = times.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(Ratio { value: best / ours, peer: peer.into() })
    }

    /// The geometric mean of the networks' ratios, of those of one family or of all.
    pub fn mean_ratio(&self, way: Way, family: Option<&str>) -> Option<f64> {
        let networks = self.of_kind(Kind::Network).filter(|m| family.is_none_or(|family| m.family == family));
        geometric_mean(networks.filter_map(|m| self.ratio(&m.name, way)).map(|r| r.value))
    }

    /// The families of networks, in the order of the models.
    pub fn families(&self) -> Vec<&str> {
        let mut families: Vec<&str> = vec![];
        for model in self.of_kind(Kind::Network).filter(|m| !m.family.is_empty()) {
            if !families.contains(&model.family.as_str()) {
                families.push(&model.family);
            }
        }
        families
    }

    /// Puts the models of a later run in place of those with the same names, and the others behind. Whole models are taken, since
    /// engines are compared within one run alone. An error says why the two do not belong together.
    pub fn merge(&mut self, later: Results) -> Result<(), String> {
        for (what, differs) in [
            ("processor", self.machine.processor != later.machine.processor),
            ("number of threads", self.machine.threads != later.machine.threads),
            ("--cpu", self.cpu != later.cpu),
        ] {
            if differs {
                return Err(format!("it was measured with another {what}"));
            }
        }
        let anew = |model: &str| later.models.iter().any(|m| m.name == model);
        self.results.retain(|r| !anew(&r.model));
        self.problems.retain(|p| !anew(&p.model));
        self.cold.retain(|c| !anew(&c.model));
        self.levels.retain(|l| !anew(&l.model));
        for model in later.models {
            match self.models.iter_mut().find(|m| m.name == model.name) {
                Some(known) => *known = model,
                None => self.models.push(model),
            }
        }
        self.results.extend(later.results);
        self.problems.extend(later.problems);
        self.cold.extend(later.cold);
        self.levels.extend(later.levels);
        self.versions.extend(later.versions);
        self.tolerance.extend(later.tolerance);
        let more = later.whole.iter().filter(|kind| !self.whole.contains(kind));
        let more: Vec<Kind> = more.copied().collect();
        self.whole.extend(more);
        if !later.thorough {
            self.whole.clear();
        }
        self.thorough &= later.thorough;
        if self.revision != later.revision {
            self.revision = [self.revision.as_str(), &later.revision].join(", then ");
        }
        Ok(())
    }

    /// What was measured of models of these kinds.
    pub fn of(&self, kinds: &[Kind]) -> Results {
        let mut part = self.clone();
        part.models.retain(|m| kinds.contains(&m.kind));
        let is_there = |model: &str| part.models.iter().any(|m| m.name == model);
        part.results.retain(|r| is_there(&r.model));
        part.problems.retain(|p| is_there(&p.model));
        part.cold.retain(|c| is_there(&c.model));
        part.levels.retain(|l| is_there(&l.model));
        let (results, problems) = (&part.results, &part.problems);
        let took_part = |engine: &String| {
            results.iter().any(|r| r.engine == *engine) || problems.iter().any(|p| p.engine == *engine)
        };
        part.versions.retain(|engine, _| took_part(engine));
        part
    }

    /// Operations per nanosecond that vectors of at most so many bits can do from registers.
    fn peak(&self, widest: u32) -> Option<f64> {
        let peaks = self.machine.multiply_adds.iter().filter(|p| p.bits <= widest);
        peaks.map(|p| p.gflops).max_by(f64::total_cmp)
    }

    /// How near an operation's time is to what the machine can do: the nearer of the two limits counts.
    pub fn fraction(&self, work: &Work, us: f64) -> Option<Fraction> {
        self.fraction_at(bits(self.cpu.as_deref()), work, us)
    }

    /// The same for vectors of at most so many bits.
    pub fn fraction_at(&self, widest: u32, work: &Work, us: f64) -> Option<Fraction> {
        let moving = self.machine.read(work.bytes);
        let moving = moving.map(|(rate, level)| Fraction { value: work.bytes / us / 1e3 / rate, of: level.into() });
        let computing =
            self.peak(widest).map(|p| Fraction { value: work.flops / us / 1e3 / p, of: MULTIPLY_ADDS.into() });
        [computing, moving].into_iter().flatten().max_by(|a, b| a.value.total_cmp(&b.value))
    }
}

impl Machine {
    /// How fast so many bytes are read again and again, and the level they lie in: between two measured sizes, in
    /// between.
    fn read(&self, bytes: f64) -> Option<(f64, &str)> {
        let above = self.reads.iter().find(|r| bytes <= r.bytes as f64).or(self.reads.last())?;
        let below = self.reads.iter().rfind(|r| r.bytes < above.bytes && r.bytes as f64 <= bytes).unwrap_or(above);
        let log = |r: &Read| (r.bytes as f64).log2();
        let part =
            if below.bytes < above.bytes { (bytes.log2() - log(below)) / (log(above) - log(below)) } else { 0.0 };
        Some((below.gb_per_s + part.min(1.0) * (above.gb_per_s - below.gb_per_s), &above.level))
    }
}

/// None for no values.
pub fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0u32, 0.0), |(n, sum), v| (n + 1, sum + v.ln()));
    (count > 0).then(|| (sum / f64::from(count)).exp())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Two networks, of which `slow` is ours to lose, operations, and a step of training at batch 32.
    pub fn example() -> Results {
        let model = |name: &str, kind, work| Model {
            name: name.into(),
            kind,
            family: if name == "slow" { "late".into() } else { String::new() },
            title: format!("The {name}"),
            work,
            object_bytes: None,
        };
        let figures = |model: &str, engine: &str, threads, us: f64| Figures {
            model: model.into(),
            engine: engine.into(),
            batch: 1,
            threads,
            difference: 1e-7,
            wall_min: us,
            wall_median: us * 1.5,
            cpu_min: us,
            cpu_median: us,
            native: (engine == OURS).then_some(Native { wall_min: us - 0.5, wall_median: us }),
        };
        let cold =
            |engine: &str, seconds, peak_kb| Cold { model: "fast".into(), engine: engine.into(), seconds, peak_kb };
        Results {
            machine: Machine {
                processor: "A processor".into(),
                threads: 2,
                multiply_adds: vec![Peak { bits: 512, gflops: 200.0 }, Peak { bits: 256, gflops: 100.0 }],
                reads: vec![
                    Read { bytes: 32 << 10, level: "L1".into(), gb_per_s: 100.0 },
                    Read { bytes: 64 << 10, level: "L2".into(), gb_per_s: 60.0 },
                    Read { bytes: 128 << 10, level: "memory".into(), gb_per_s: 10.0 },
                ],
            },
            revision: "abc".into(),
            whole: vec![Kind::Network, Kind::Operation, Kind::Training],
            thorough: true,
            versions: [("smc", "smc 1"), ("alpha", "alpha 2"), ("beta", "beta 3"), ("gamma", "gamma 4")]
                .map(|(a, b)| (a.into(), b.into()))
                .into(),
            tolerance: [("network".into(), 2e-4), ("operation".into(), 2e-5), ("training".into(), 1e-4)].into(),
            rounds: 3,
            seconds: 0.1,
            cpu: Some("native".into()),
            models: vec![
                model("fast", Kind::Network, None),
                model("slow", Kind::Network, None),
                model("empty", Kind::Operation, Some(Work { flops: 0.0, bytes: 0.0 })),
                model("gemm", Kind::Operation, Some(Work { flops: 2e6, bytes: 3e4 })),
                model("learn", Kind::Training, None),
            ],
            results: vec![
                figures("fast", "smc", 1, 10.0),
                figures("fast", "alpha", 1, 20.0),
                figures("fast", "beta", 1, 40.0),
                figures("slow", "smc", 1, 16.0),
                figures("slow", "beta", 1, 8.0),
                figures("fast", "smc", 2, 5.0),
                figures("fast", "alpha", 2, 20.0),
                figures("gemm", "smc", 1, 20.0),
                figures("gemm", "alpha", 1, 19.0),
                figures("empty", "smc", 1, 0.75),
                figures("empty", "alpha", 1, 1.5),
                Figures { batch: 32, native: None, ..figures("learn", "smc", 1, 100.0) },
                Figures { batch: 32, ..figures("learn", "gamma", 1, 200.0) },
                Figures { batch: 32, native: None, ..figures("learn", "smc", 2, 100.0) },
            ],
            problems: vec![Problem {
                model: "slow".into(),
                engine: "alpha".into(),
                batch: 1,
                threads: 1,
                error: "/some/where/build.py:7: no | such op".into(),
            }],
            levels: vec![],
            cold: vec![cold("smc", 0.1, 20_000), cold("smc-native", 0.001, 1500), cold("alpha", 0.5, 90_000)],
        }
    }

    const ONE: Way = Way { threads: 1, batch: 1 };

    #[test]
    fn ratios_are_of_the_best_peer() {
        let results = example();
        assert_eq!(results.ratio("fast", ONE), Some(Ratio { value: 2.0, peer: "alpha".into() }));
        assert_eq!(results.ratio("slow", ONE), Some(Ratio { value: 0.5, peer: "beta".into() }));
        assert_eq!(results.ratio("slow", Way { threads: 2, batch: 1 }), None);
        assert_eq!(results.mean_ratio(ONE, None), Some(1.0));
        assert_eq!(results.families(), ["late"]);
        assert_eq!(results.mean_ratio(ONE, Some("late")), Some(0.5));
        assert_eq!(results.mean_ratio(Way { threads: 9, batch: 1 }, None), None);
        assert_eq!(results.ways(), [ONE, Way { threads: 2, batch: 1 }]);
        assert_eq!(results.engines(), ["smc", "alpha", "beta", "gamma"]);
        assert_eq!(results.engines_of(Kind::Network), ["smc", "alpha", "beta"]);
    }

    #[test]
    fn a_part_has_nothing_of_the_rest() {
        let part = example().of(&[Kind::Training]);
        assert!(part.models.iter().all(|m| m.kind == Kind::Training) && part.results.len() == 3);
        assert_eq!(part.engines(), ["smc", "gamma"]);
        assert!(part.problems.is_empty() && part.cold.is_empty());
    }

    #[test]
    fn steps_of_training_have_a_batch_of_their_own() {
        let results = example();
        assert_eq!(results.engines_of(Kind::Training), ["smc", "gamma"]);
        assert_eq!(results.training_threads(), [1, 2]);
        let way = results.training_way("learn", 1);
        assert_eq!(way, Way { threads: 1, batch: 32 });
        assert_eq!(results.ratio("learn", way), Some(Ratio { value: 2.0, peer: "gamma".into() }));
        assert_eq!((results.mean_training_ratio(1), results.mean_training_ratio(2)), (Some(2.0), None));
        assert!(Results::default().training_threads().is_empty());
    }

    #[test]
    fn a_later_run_replaces_whole_models() {
        let (mut all, mut later) = (example(), example());
        later.models.retain(|m| m.name == "slow");
        later.models.push(Model { name: "new".into(), ..later.models[0].clone() });
        later.results.retain(|r| r.model == "slow" && r.engine == "smc");
        later.results[0].wall_min = 4.0;
        later.problems.clear();
        later.cold.clear();
        (later.whole, later.revision) = (vec![], "def".into());
        all.whole.retain(|&kind| kind == Kind::Network);
        let (before, narrow) = (all.results.len(), later.clone());
        all.merge(later).unwrap();
        assert_eq!(all.whole, [Kind::Network]);
        assert_eq!(all.revision, "abc, then def");
        // The peer of the earlier run does not stay beside our newer figures.
        assert_eq!(all.results.len(), before - 1);
        assert_eq!((all.ratio("slow", ONE), all.problems.len()), (None, 0));
        let names: Vec<&str> = all.models.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["fast", "slow", "empty", "gemm", "learn", "new"]);
        assert_eq!(all.cold.len(), 3);
        all.merge(Results { whole: vec![Kind::Training, Kind::Network], ..narrow.clone() }).unwrap();
        assert_eq!(all.whole, [Kind::Network, Kind::Training]);
        all.merge(Results { thorough: false, ..narrow.clone() }).unwrap();
        assert!(all.whole.is_empty());
        let error = all.merge(Results { cpu: None, ..narrow.clone() }).unwrap_err();
        assert_eq!(error, "it was measured with another --cpu");
        assert!(all.merge(Results { machine: Machine::default(), ..narrow }).is_err());
    }

    #[test]
    fn results_from_before_there_was_training_are_read() {
        let mut value = serde_json::to_value(example()).unwrap();
        value.as_object_mut().unwrap().remove("thorough");
        value["models"].as_array_mut().unwrap().retain(|m| m["kind"] != "training");
        let old: Results = serde_json::from_value(value).unwrap();
        assert!(!old.thorough && old.training_threads().is_empty());
    }

    #[test]
    fn a_fraction_is_of_the_nearer_limit_of_the_level() {
        let mut results = example();
        let part = |results: &Results, flops, bytes| results.fraction(&Work { flops, bytes }, 1.0).unwrap();
        assert_eq!(part(&results, 1e5, 10.0), Fraction { value: 0.5, of: "multiply-adds".into() });
        assert_eq!(part(&results, 0.0, 2e4), Fraction { value: 0.2, of: "L1".into() });
        assert_eq!(part(&results, 0.0, 65536.0), Fraction { value: 65.536 / 60.0, of: "L2".into() });
        assert_eq!(part(&results, 0.0, 1e6), Fraction { value: 100.0, of: "memory".into() });
        let between = f64::from(32 << 10) * 2f64.sqrt();
        assert!((part(&results, 0.0, between).value - between / 1e3 / 80.0).abs() < 1e-9);
        results.cpu = Some("x86-64-v3".into());
        assert_eq!(part(&results, 1e5, 10.0).value, 1.0);
        results.machine = Machine::default();
        assert_eq!(results.fraction(&Work { flops: 1.0, bytes: 1.0 }, 1.0), None);
    }

    #[test]
    fn the_mean_of_nothing_is_none() {
        assert_eq!(geometric_mean([].into_iter()), None);
        assert!((geometric_mean([1.0, 4.0].into_iter()).unwrap() - 2.0).abs() < 1e-12);
    }
}
