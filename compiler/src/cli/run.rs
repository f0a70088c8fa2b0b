//! `smc run`.

use std::path::Path;

use smc::{
    base::{Diagnostic, Problems},
    driver::{self, Block, Entry, Executable, Options, bind, memory},
    emit::interface,
    graph::{Port, evaluate},
    plan::Access,
    saved::{Model, Signature},
    tensor::{Tensor, TensorType},
};
use smc_runtime::{Parallel, Pool};

use super::{
    args::Run,
    cpu, files,
    given::{self, Given},
    load_with, npz, shown,
    term::{Term, answer},
};

pub fn run(args: &Run, term: &Term) -> Result<(), Problems> {
    let place = args.results.as_deref().map(npz_place).transpose()?;
    let model = load_with(&args.model, &args.plugins)?;
    let signature = pick(&model, args.signature.as_deref())?;
    let given = given::read(args)?;
    // A file of state belongs to all signatures, which have one layout of variables.
    let all = args.state.iter().flat_map(|_| model.signatures()).map(|s| s.name.clone());
    let others = all.filter(|name| *name != signature.name).collect::<Vec<_>>();
    let options = Options {
        signatures: if others.is_empty() { vec![signature.name.clone()] } else { vec![] },
        shapes: given::shapes(args, &signature, &given),
        cpu: Some(cpu(args.cpu.as_deref())),
        ..args.choices.options()
    };
    let outputs = if args.reference {
        reference(args, &model, &options, given, term)?
    } else {
        compiled(args, &model, &signature.name, &options, given, term)?
    };
    match &place {
        Some(place) => {
            let bytes = npz::npz_bytes(&outputs)
                .map_err(|e| Diagnostic::error(format!("cannot write the outputs: {e}")).in_file(place))?;
            files::write_all(&[(place, &|out| out.write_all(&bytes))])?;
        }
        None if args.json => answer(json(&signature.name, &outputs)),
        None => outputs.iter().for_each(|(key, t)| answer(format!("{key}: {}", shown::line(t)))),
    }
    Ok(())
}

/// The outputs by key, and whose they are.
fn json(signature: &str, outputs: &[(String, Tensor)]) -> String {
    let outputs: serde_json::Map<_, _> = outputs.iter().map(|(key, t)| (key.clone(), shown::object(t))).collect();
    serde_json::to_string_pretty(&serde_json::json!({ "signature": signature, "outputs": outputs }))
        .expect("plain data")
}

/// Where the outputs go: a file whose name says that it is an archive of arrays, or a stream.
pub fn npz_place(path: &Path) -> Result<files::Destination, Diagnostic> {
    let place = files::Destination::find(path)?;
    place.takes_bytes()?;
    let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    if named || !matches!(place, files::Destination::Regular { .. }) {
        return Ok(place);
    }
    Err(Diagnostic::error("outputs are written as a numpy archive")
        .in_file(path.display())
        .help("end the name in .npz"))
}

/// The machine code's outputs by key.
fn compiled(
    args: &Run,
    model: &Model,
    key: &str,
    options: &Options,
    given: Vec<(String, Given)>,
    term: &Term,
) -> Result<Vec<(String, Tensor)>, Problems> {
    let progress = term.progress();
    let compiled = driver::compile(model, options, &mut |news| progress.heard(news))?;
    drop(progress);
    let of_others = |d: &Diagnostic| d.place.signature.as_ref().is_some_and(|keys| !keys.contains(&format!("`{key}`")));
    term.report(&compiled.notes.0.iter().filter(|d| !of_others(d)).cloned().collect());
    let interface = compiled.interface.clone();
    let Some(n) = interface.signatures.iter().position(|s| s.key == key) else {
        let what = format!("signature `{key}` is none of those that compile together");
        return Err(Diagnostic::error(what)
            .help(format!("smc run --signature {key}, without --state, says why"))
            .into());
    };
    let signature = &interface.signatures[n];
    let values = given::values(args, &signature.inputs, given, term)?;
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface)?;
    let mut call = executable.prepare(n, &values)?;
    let pool = pool(args.threads)?;
    let threads = pool.as_ref().map(|p| p as &dyn Parallel);
    match &args.state {
        Some(path) => {
            let mut kept = Kept::open(path, &executable)?;
            seed(args, &executable, Some(&mut kept.block))?;
            call.run_on(&mut kept.block, threads)?;
            kept.write(&executable)?;
        }
        None => {
            let mut block = executable.state()?;
            seed(args, &executable, block.as_mut())?;
            match &mut block {
                Some(block) => call.run_on(block, threads)?,
                None => call.run(threads)?,
            }
            if matches!(signature.state, Some((Access::Changes, _))) {
                term.report(&kept_nowhere(&compiled.entries[n]).into());
            }
        }
    }
    Ok(signature.outputs.iter().map(|t| t.key.clone()).zip(call.results()).collect())
}

/// What is said of variables that a call changes and no file keeps.
fn kept_nowhere(entry: &Entry) -> Diagnostic {
    if entry.state.iter().all(|kept| kept.variable.is_unseeded()) {
        let what = "the model draws random numbers without a seed: each run draws the same";
        return Diagnostic::note(what).help("--seed N draws others, and --state FILE goes on where the last run ended");
    }
    let what = "the call changes variables of the model, which nothing keeps";
    Diagnostic::note(what).help("--state FILE keeps them for the next call")
}

/// Seeds what draws random numbers without a seed, where the user says so.
fn seed(args: &Run, executable: &Executable, block: Option<&mut Block>) -> Result<(), Diagnostic> {
    let Some(seed) = args.seed else { return Ok(()) };
    let state = executable.interface().state.as_ref();
    match block.filter(|_| state.is_some_and(|state| state.layout.is_seeded_by_caller())) {
        Some(block) => executable.seed(block, seed),
        None => Err(nothing_to_seed()),
    }
}

fn nothing_to_seed() -> Diagnostic {
    Diagnostic::error("nothing in the model draws random numbers without a seed").help("leave --seed out")
}

/// A state in a file.
struct Kept {
    place: files::Destination,
    /// What is in the file, if there is one.
    found: Option<Vec<u8>>,
    block: Block,
}

impl Kept {
    /// What the file holds, or the variables as the model stores them where there is no file.
    fn open(path: &Path, executable: &Executable) -> Result<Kept, Problems> {
        let Some(first) = executable.state()? else {
            let problem = Diagnostic::error("the model has no state: no signature changes a variable");
            return Err(problem.help("leave --state out").into());
        };
        let place = files::Destination::find(path)?;
        let found = match std::fs::read(path) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => {
                return Err(Diagnostic::error(format!("cannot read the state: {e}")).in_file(path.display()).into());
            }
        };
        let block = match &found {
            Some(bytes) => executable.load(bytes).map_err(|problem| {
                let help = "the file stays as it is; it may be the state of another model, or of this one before its \
                            variables changed: `smc state show FILE` tells";
                problem.in_file(path.display()).help(help)
            })?,
            None => first,
        };
        Ok(Kept { place, found, block })
    }
    /// Writes the file where it is not what it would be.
    fn write(&self, executable: &Executable) -> Result<(), Problems> {
        let bytes = executable.save(&self.block)?;
        if self.found.as_ref() == Some(&bytes) {
            return Ok(());
        }
        files::write_all(&[(&self.place, &|out| out.write_all(&bytes))])
    }
}

/// The evaluator's outputs by key.
fn reference(
    args: &Run,
    model: &Model,
    options: &Options,
    given: Vec<(String, Given)>,
    term: &Term,
) -> Result<Vec<(String, Tensor)>, Problems> {
    let (entries, _) = driver::entries(model, &Options { keep_imported: true, ..options.clone() })?;
    let entry = &entries[0];
    if args.seed.is_some() && !entry.state.iter().any(|kept| kept.variable.is_unseeded()) {
        return Err(nothing_to_seed().into());
    }
    let graph = &entry.imported;
    let (inputs, results) = entry.ports(graph);
    let port = |p: &Port| {
        let (key, ty) = (p.name.clone(), graph.ty(p.node).clone());
        interface::Tensor { c_name: key.clone(), key, room: ty.count(), ty }
    };
    let declared: Vec<_> = inputs.iter().map(port).collect();
    let mut values = given::values(args, &declared, given, term)?;
    let types: Vec<(&str, &TensorType)> = declared.iter().map(|t| (t.key.as_str(), &t.ty)).collect();
    let bindings = bind(&types, &values)?;
    driver::check_functions(graph)?;
    driver::check_assumptions(graph, &bindings)?;
    memory::evaluation(graph, &bindings)?;
    values.extend(driver::at_first(model, entry, args.seed.unwrap_or(0))?);
    let outputs = evaluate(graph, &values, &bindings)
        .map_err(|fault| Diagnostic::error(format!("the model stopped: {}", driver::fault_text(fault))))?;
    Ok(results.iter().map(|p| p.name.clone()).zip(outputs).collect())
}

/// A pool when more than one thread is asked for.
pub fn pool(threads: usize) -> Result<Option<Pool>, Problems> {
    match threads {
        0 => Err(Diagnostic::error("a call needs a thread at least").into()),
        1 => Ok(None),
        n => Ok(Some(Pool::new(n).map_err(|e| Diagnostic::error(format!("cannot start {n} threads: {e}")))?)),
    }
}

/// The signature with this name; without one `serving_default`, or the only one.
pub fn pick(model: &Model, name: Option<&str>) -> Result<Signature, Problems> {
    if let Some(name) = name {
        return Ok(model.signature(name)?);
    }
    let all = model.signatures();
    if all.is_empty() {
        return Err(model.no_signature().into());
    }
    let found = all.iter().find(|s| s.name == "serving_default").or(if all.len() == 1 { all.first() } else { None });
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|s| format!("`{}`", s.name)).collect();
        let help = format!("--signature: give one of {}", known.join(", "));
        Diagnostic::error("the model does not say which signature to take").help(help).into()
    })
}
