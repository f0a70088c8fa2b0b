//! `smc run`.

use std::path::Path;

use smc::{
    base::{Diagnostic, Problems},
    driver::{self, Executable, InputShape, Options, bind},
    graph::evaluate,
    saved::{Model, Signature},
    tensor::{Tensor, TensorType},
};
use smc_runtime::{Parallel, Pool};

use super::{
    args::Run,
    cpu, files, load, npz,
    term::{Term, answer},
};

pub fn run(args: &Run, term: &Term) -> Result<(), Problems> {
    let place = args.outputs.as_deref().map(npz_place).transpose()?;
    let model = load(&args.model)?;
    let signature = pick(&model, args.signature.as_deref())?;
    let given = inputs(args)?;
    let options = Options {
        name: "model".into(),
        signatures: vec![signature.name.clone()],
        batch: args.batch.batch.map(u64::from),
        shapes: ranks(&signature, &given),
        cpu: Some(cpu(args.cpu.as_deref())),
        direct: args.arithmetic.direct,
        ..Options::default()
    };
    let outputs = if args.reference {
        reference(&model, &options, given)?
    } else {
        compiled(args, &model, &options, given, term)?
    };
    match &place {
        Some(place) => {
            let bytes = npz::npz_bytes(&outputs)
                .map_err(|e| Diagnostic::error(format!("cannot write the outputs: {e}")).in_file(place))?;
            files::write_all(&[(place, &|out| out.write_all(&bytes))])?;
        }
        None => outputs.iter().for_each(|(key, t)| answer(format!("{key}: {}", shown(t)))),
    }
    Ok(())
}

/// Where the outputs go: a file whose name says that it is an archive of arrays, or a stream.
fn npz_place(path: &Path) -> Result<files::Destination, Diagnostic> {
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
    options: &Options,
    given: Vec<(String, Tensor)>,
    term: &Term,
) -> Result<Vec<(String, Tensor)>, Problems> {
    let progress = term.progress();
    let compiled = driver::compile(model, options, &mut |what| progress.stage(what))?;
    drop(progress);
    term.report(&compiled.notes);
    let interface = compiled.interface.clone();
    let keys: Vec<&str> = interface.signatures[0].inputs.iter().map(|t| t.key.as_str()).collect();
    let values = ordered(&keys, given)?;
    let executable = Executable::new(&compiled.object.bytes(), compiled.interface)?;
    let mut call = executable.prepare(0, &values)?;
    let pool = pool(args.threads)?;
    call.run(pool.as_ref().map(|p| p as &dyn Parallel))?;
    Ok(interface.signatures[0].outputs.iter().map(|t| t.key.clone()).zip(call.results()).collect())
}

/// The evaluator's outputs by key.
fn reference(
    model: &Model,
    options: &Options,
    given: Vec<(String, Tensor)>,
) -> Result<Vec<(String, Tensor)>, Problems> {
    let (entries, _) = driver::entries(model, options)?;
    let graph = &entries[0].imported;
    let keys: Vec<&str> = graph.inputs.iter().map(|p| p.name.as_str()).collect();
    let values = ordered(&keys, given)?;
    let declared: Vec<(&str, &TensorType)> = graph.inputs.iter().map(|p| (p.name.as_str(), graph.ty(p.node))).collect();
    let bindings = bind(&declared, &values)?;
    driver::check_assumptions(graph, &bindings)?;
    let outputs = evaluate(graph, &values, &bindings)
        .map_err(|fault| Diagnostic::error(format!("the model stopped: {}", driver::fault_text(fault))))?;
    Ok(graph.outputs.iter().map(|p| p.name.clone()).zip(outputs).collect())
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
    let found = all.iter().find(|s| s.name == "serving_default").or(if all.len() == 1 { all.first() } else { None });
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|s| format!("`{}`", s.name)).collect();
        let help = if known.is_empty() { "it has none".into() } else { format!("give one of {}", known.join(", ")) };
        Diagnostic::error("the model does not say which signature to take").help(format!("--signature: {help}")).into()
    })
}

/// Everything that the arguments name, by key.
fn inputs(args: &Run) -> Result<Vec<(String, Tensor)>, Problems> {
    let mut given = match &args.inputs {
        Some(path) => npz::read_npz(path)?,
        None => vec![],
    };
    for text in &args.input {
        let (key, path) =
            text.split_once('=').ok_or_else(|| Diagnostic::error(format!("`{text}` is not KEY=FILE.npy")))?;
        given.retain(|(known, _)| known != key);
        given.push((key.to_string(), npz::read_npy(Path::new(path))?));
    }
    Ok(given)
}

/// Inputs of unknown rank take that of the value.
fn ranks(signature: &Signature, given: &[(String, Tensor)]) -> Vec<InputShape> {
    let unknown = signature.inputs.iter().filter(|slot| slot.ty.shape.rank().is_none());
    let value = |key: &str| given.iter().find(|(k, _)| k == key).map(|(_, t)| t);
    unknown
        .filter_map(|slot| Some(InputShape { input: slot.key.clone(), extents: vec![None; value(&slot.key)?.rank()] }))
        .collect()
}

/// The values in the order of the keys; complains of every one missing and every one too many.
pub fn ordered(keys: &[&str], mut given: Vec<(String, Tensor)>) -> Result<Vec<Tensor>, Problems> {
    let (mut values, mut problems) = (vec![], Problems::default());
    for key in keys {
        match given.iter().position(|(k, _)| k == key) {
            Some(at) => values.push(given.swap_remove(at).1),
            None => problems.push(
                Diagnostic::error(format!("input `{key}` is missing"))
                    .help(format!("give it by --input {key}=FILE.npy or as an array of --inputs")),
            ),
        }
    }
    for (key, _) in given {
        let known: Vec<_> = keys.iter().map(|k| format!("`{k}`")).collect();
        let problem = Diagnostic::error(format!("the signature has no input `{key}`"));
        problems.push(problem.help(format!("its inputs are {}", known.join(", "))));
    }
    problems.or(values)
}

/// Type, shape and the first elements.
fn shown(t: &Tensor) -> String {
    const MOST: usize = 16;
    let mut elements: Vec<String> = match t.dtype {
        smc::tensor::DType::Str => {
            t.strings().iter().take(MOST).map(|s| format!("{:?}", String::from_utf8_lossy(s))).collect()
        }
        _ => t.scalars().take(MOST).map(|s| s.to_string()).collect(),
    };
    if t.count() > MOST {
        elements.push("...".into());
    }
    format!("{}{:?} {}", t.dtype, t.shape, elements.join(" "))
}
