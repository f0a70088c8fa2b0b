//! The comparison with other engines: installs them, builds the models, measures, and writes the page.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    Options, levels,
    page::Page,
    results::{Kind, OURS, Results},
};
use crate::{
    programs::{build_smc, cargo, command, root, run as run_command, target},
    venv::{self, Venv},
};

const ENGINES: [&str; 8] = ["smc", "litert", "onnxruntime", "openvino", "tensorflow", "xla", "iree", "pytorch"];
const PEERS: Venv = Venv {
    folder: ".venv/peers",
    what: "the engines to compare with",
    requirements: "xtask/python/peers/requirements.txt",
    without_dependencies: None,
    optional: Some("xtask/python/peers/requirements-optional.txt"),
};

/// Measures, or takes what was measured, and writes the page.
pub fn run(options: &Options) -> Result<()> {
    // What can be refused is refused before anything is installed.
    let mut engines = choose("engine", &options.engines, &ENGINES.map(String::from))?;
    if options.quick && options.engines.is_empty() {
        // Its compiler takes minutes the first time.
        engines.retain(|e| e != "iree");
    }
    let given = merged(&options.from)?;
    let python = venv::ensure(&PEERS)?;
    let cache = target().join("peers");
    fs::create_dir_all(&cache)?;
    let measured = match given {
        Some(results) => {
            let file = cache.join("merged.json");
            fs::write(&file, serde_json::to_string_pretty(&results)?)?;
            file
        }
        None => measure(options, &engines, &python, &cache)?,
    };
    let results = read(&measured)?;
    if let Some(copy) = &options.json {
        fs::copy(&measured, copy).with_context(|| format!("cannot write {}", copy.display()))?;
    }
    for page in Page::ALL.into_iter().filter(|page| !results.of(page.kinds()).models.is_empty()) {
        // A narrowed run is for the eye, not for the project's page.
        let whole = page.kinds().iter().all(|kind| results.whole.contains(kind));
        let folder = if whole { root().join("docs") } else { cache.clone() };
        fs::create_dir_all(&folder)?;
        let file = folder.join(page.file());
        fs::write(&file, page.write(&results, &fs::read_to_string(&file).unwrap_or_default()))?;
        if page == Page::Inference {
            run_command(script(&python, "plot.py").arg(&measured).arg(folder.join("benchmarks.svg")))?;
        }
        println!("\nwritten: {}", file.display());
    }
    let failed: Vec<&str> = results.problems.iter().filter(|p| p.engine == OURS).map(|p| p.model.as_str()).collect();
    if !failed.is_empty() {
        bail!("smc fails or is wrong on {}; the page says how", failed.join(", "));
    }
    Ok(())
}

/// What several runs measured, later ones laid over earlier ones; None for no files.
fn merged(files: &[PathBuf]) -> Result<Option<Results>> {
    let mut all: Option<Results> = None;
    for file in files {
        let later = read(file)?;
        match &mut all {
            Some(all) => {
                let merged = all.merge(later);
                merged.map_err(|why| anyhow!("{} does not belong to the files before: {why}", file.display()))?;
            }
            None => all = Some(later),
        }
    }
    Ok(all)
}

fn read(file: &Path) -> Result<Results> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what `bench --peers --json` writes", file.display()))
}

fn script(python: &Path, name: &str) -> Command {
    let mut script = command(python);
    script
        .arg(root().join("xtask/python/peers").join(name))
        .env("TF_CPP_MIN_LOG_LEVEL", "3")
        .env("TF_ENABLE_ONEDNN_OPTS", "1");
    script.env("PYTHONUNBUFFERED", "1");
    script
}

/// The file with what was measured.
fn measure(options: &Options, engines: &[String], python: &Path, cache: &Path) -> Result<PathBuf> {
    let known = known(&output(&mut script(python, "models.py"))?)?;
    let all: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
    let names = choose("model", &options.only, &all)?;
    let (batches, rounds) = if options.quick { ("1", ["2", "0.06", "1"]) } else { ("1,8", ["5", "0.15", "2"]) };
    let smc = match &options.smc {
        Some(smc) => smc.canonicalize().with_context(|| format!("no compiler at {}", smc.display()))?,
        None => build_smc()?,
    };
    run_command(cargo().args(["rustc", "--release", "--package", "smc-runtime", "--crate-type", "cdylib"]))?;
    let runtime = target().join("release/libsmc_runtime.so");

    println!("Building the models; the first time this takes several minutes.");
    let mut build = script(python, "build.py");
    build.arg("--cache").arg(cache).args(["--batches", batches]);
    if engines.iter().any(|e| e == "iree") {
        build.arg("--iree");
    }
    run_command(build.args(&names))?;

    println!("Measuring the machine.");
    let machine = output(command(&smc).args(["machine", "--json", "--seconds", "3"]))?;
    println!("Measuring {} models with {} engines; microseconds, minimum.", names.len(), engines.len());
    let file = cache.join("results.json");
    let mut run = script(python, "run.py");
    run.arg("--cache").arg(cache).arg("--smc").arg(&smc).arg("--runtime").arg(&runtime).arg("--out").arg(&file);
    run.args(["--engines", &engines.join(","), "--batches", batches]);
    if let Some(cpu) = &options.cpu {
        run.args(["--cpu", cpu]);
    }
    run.args(["--rounds", rounds[0], "--seconds", rounds[1], "--cold-rounds", rounds[2]]);
    run_command(run.args(&names))?;

    println!("Measuring each processor level.");
    let levels = levels::measure(&smc, cache, &names)?;

    let mut results: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    results["machine"] = serde_json::from_str(&machine).context("`smc machine --json` says something else")?;
    results["levels"] = serde_json::to_value(levels)?;
    let revision = output(command("git").args(["describe", "--always", "--dirty"])).unwrap_or_default();
    let thorough = !options.quick && options.engines.is_empty() && options.cpu.is_none();
    results["thorough"] = thorough.into();
    results["whole"] = serde_json::to_value(if thorough { whole(&known, &names) } else { vec![] })?;
    results["revision"] = revision.trim().into();
    // Messages of the engines may name files; the page is not about this machine's folders.
    let here = format!("{}/", root().display());
    fs::write(&file, serde_json::to_string_pretty(&results)?.replace(&here, ""))?;
    Ok(file)
}

/// The models that there are and their kinds, from lines of both.
fn known(lines: &str) -> Result<Vec<(String, Kind)>> {
    let model = |line: &str| {
        let (name, kind) = line.split_once(' ').with_context(|| format!("`{line}` is no model and its kind"))?;
        let kind = serde_json::from_value(kind.into()).with_context(|| format!("`{kind}` is no kind of model"))?;
        Ok((name.to_string(), kind))
    };
    lines.lines().map(model).collect()
}

/// The kinds of which all models are chosen.
fn whole(known: &[(String, Kind)], chosen: &[String]) -> Vec<Kind> {
    let is_whole = |kind: &Kind| known.iter().all(|(name, own)| own != kind || chosen.contains(name));
    [Kind::Network, Kind::Operation, Kind::Training].into_iter().filter(is_whole).collect()
}

/// What a command prints.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.output().with_context(|| format!("cannot start {name}"))?;
    if !out.status.success() {
        bail!("{name} ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Those of `known` that equal or begin with one of `wanted`; all when nothing is wanted.
fn choose(what: &str, wanted: &[String], known: &[String]) -> Result<Vec<String>> {
    for pattern in wanted {
        if pattern.is_empty() || !known.iter().any(|name| name.starts_with(pattern.as_str())) {
            bail!("no {what} is called `{pattern}` or begins so; there are {}", known.join(", "));
        }
    }
    // A whole name means that one alone, even when others begin with it.
    let is_meant =
        |name: &String| wanted.iter().any(|w| w == name || (name.starts_with(w.as_str()) && !known.contains(w)));
    Ok(known.iter().filter(|name| wanted.is_empty() || is_meant(name)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::{super::results::tests::example, *};

    #[test]
    fn names_are_chosen_or_refused() {
        let known = ["gemm_64", "gemm_128", "conv", "conv3x3"].map(String::from);
        let pick = |wanted: &[&str]| choose("model", &wanted.iter().map(|w| w.to_string()).collect::<Vec<_>>(), &known);
        assert_eq!(pick(&[]).unwrap(), known);
        assert_eq!(pick(&["gemm"]).unwrap(), ["gemm_64", "gemm_128"]);
        assert_eq!(pick(&["conv", "gemm_64"]).unwrap(), ["gemm_64", "conv"]);
        for wanted in [&["dense"][..], &["gemm", ""]] {
            assert!(pick(wanted).unwrap_err().to_string().contains("there are gemm_64"));
        }
    }

    #[test]
    fn kinds_are_whole_when_all_models_are_chosen() {
        let known = known("mnist network\ngemm operation\ntrain_mlp training\ntrain_cnn training\n").unwrap();
        let whole = |names: &[&str]| whole(&known, &names.iter().map(|name| name.to_string()).collect::<Vec<_>>());
        assert_eq!(whole(&["train_mlp", "train_cnn"]), [Kind::Training]);
        assert_eq!(whole(&["train_mlp", "gemm", "mnist"]), [Kind::Network, Kind::Operation]);
        assert!(super::known("mnist").is_err() && super::known("mnist sort").is_err());
    }

    #[test]
    fn results_of_another_kind_are_refused() {
        let folder = std::env::temp_dir();
        let error = read(&folder.join("no such file")).unwrap_err();
        assert!(error.to_string().contains("cannot read"));
        let file = folder.join(format!("smc-bench-{}.json", std::process::id()));
        fs::write(&file, "{}").unwrap();
        let error = read(&file).unwrap_err();
        fs::remove_file(&file).unwrap();
        assert!(error.to_string().contains("is not what"), "{error:#}");
    }

    #[test]
    fn files_are_merged_in_order() {
        let file = |name: &str, results: &Results| {
            let file = std::env::temp_dir().join(format!("smc-bench-{}-{name}.json", std::process::id()));
            fs::write(&file, serde_json::to_string(results).unwrap()).unwrap();
            file
        };
        let mut second = example();
        second.results.iter_mut().for_each(|r| r.wall_min = 1.0);
        let (first, second) = (file("first", &example()), file("second", &second));
        let third = file("third", &Results { cpu: None, ..example() });
        let both = merged(&[first.clone(), second.clone()]).unwrap().unwrap();
        let error = merged(&[first.clone(), third.clone()]).unwrap_err().to_string();
        [first, second, third].iter().for_each(|file| fs::remove_file(file).unwrap());
        assert!(both.results.iter().all(|r| r.wall_min == 1.0));
        assert!(error.contains("third.json does not belong") && error.ends_with("another --cpu"), "{error}");
        assert!(merged(&[]).unwrap().is_none());
    }
}
