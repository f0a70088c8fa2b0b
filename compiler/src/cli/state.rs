//! `smc state`: what is in a file of state, and a model with that in its variables.

use std::{fs, path::Path};

use smc::{
    base::{Diagnostic, Problems},
    driver,
    emit::descriptor::dtype,
    saved::revise::with_values,
    tensor::{DType, Tensor},
};
use smc_runtime::{
    descriptor::Order,
    state::{Saved, Variable},
};

use super::{
    args::{Export, Model, OfState, State},
    files::{self, Folder},
    load, npz,
    run::npz_place,
    shown,
    term::{Term, answer},
};

pub fn run(args: &State, term: &Term) -> Result<(), Problems> {
    match &args.what {
        OfState::Show { file, json } => {
            let variables = read(file)?;
            if *json {
                let all: serde_json::Map<_, _> = variables.iter().map(|(n, t)| (n.clone(), shown::object(t))).collect();
                answer(serde_json::to_string_pretty(&all).expect("plain data"));
            } else {
                variables.iter().for_each(|(name, t)| answer(format!("{name}: {}", shown::line(t))));
            }
            Ok(())
        }
        OfState::Diff { first, second } => diff(first, second),
        OfState::Export(args) => match (&args.output, &args.state, &args.folder) {
            (Some(output), ..) => archive(&args.of, output),
            (None, Some(state), Some(folder)) => export(args, state, folder, term),
            _ => unreachable!("one of the two is required"),
        },
    }
}

fn archive(file: &Path, output: &Path) -> Result<(), Problems> {
    let place = npz_place(output)?;
    let variables = read(file)?;
    let bytes = npz::npz_bytes(&variables)
        .map_err(|e| Diagnostic::error(format!("cannot write the variables: {e}")).in_file(&place))?;
    files::write_all(&[(&place, &|out| out.write_all(&bytes))])
}

/// Writes the model with the variables of a state.
fn export(args: &Export, state: &Path, folder: &Path, term: &Term) -> Result<(), Problems> {
    let place = Folder::find(folder)?;
    let of = Model { path: args.of.clone(), version: args.version, tags: args.tags.clone(), custom: vec![] };
    let signatures = args.signature.iter().cloned().collect();
    let model = args.edit.applied(load(&of)?, &driver::Options { signatures, ..Default::default() })?;
    let driver::Exported { values, notes } = driver::exported(&model, &read(state)?)?;
    let told = |problems: Problems| problems.map(|d| d.help("the state is of another model, or the model has changed"));
    let revised = with_values(&model, &values).map_err(told)?;
    place.write_model(&model, &revised)?;
    term.report(&Problems(notes));
    term.note(format!(
        "{}: {} with {} variables of {}",
        folder.display(),
        model.shown_folder(),
        values.len(),
        state.display()
    ));
    Ok(())
}

/// The variables in a file by name, in its order.
fn read(path: &Path) -> Result<Vec<(String, Tensor)>, Diagnostic> {
    let bytes =
        fs::read(path).map_err(|e| Diagnostic::error(format!("cannot read the state: {e}")).in_file(path.display()))?;
    let saved = Saved::new(&bytes).ok_or_else(|| {
        Diagnostic::error("this is no state, or a damaged one")
            .in_file(path.display())
            .help("`smc run --state FILE` and the function NAME_state_save of a compiled model write one")
    })?;
    Ok(saved.variables().map(|variable| (variable.name.to_owned(), tensor(&variable, saved.order()))).collect())
}

fn tensor(variable: &Variable<'_>, order: Order) -> Tensor {
    let dtype = dtype(variable.element);
    let mut bytes = variable.data.to_vec();
    if order == Order::Big {
        let part = match dtype {
            DType::C64 => 4,
            DType::C128 => 8,
            dtype => dtype.size(),
        };
        bytes.chunks_exact_mut(part).for_each(<[u8]>::reverse);
    }
    let shape: Vec<usize> = variable.extents().collect();
    Tensor::from_bytes(dtype, shape, bytes)
}

/// Tells what is in one of two files alone, and which variables differ and how much.
fn diff(first: &Path, second: &Path) -> Result<(), Problems> {
    let (a, b) = (read(first)?, read(second)?);
    let mut told = 0;
    let mut tell = |text: String| {
        told += 1;
        answer(text);
    };
    for (name, ours) in &a {
        match b.iter().find(|(other, _)| other == name) {
            None => tell(format!("{name}: only in {}", first.display())),
            Some((_, theirs)) if (ours.dtype, &ours.shape) != (theirs.dtype, &theirs.shape) => {
                tell(format!("{name}: {}{:?} and {}{:?}", ours.dtype, ours.shape, theirs.dtype, theirs.shape))
            }
            Some((_, theirs)) if ours.bytes() != theirs.bytes() => {
                tell(format!("{name}: {}", difference(ours, theirs)))
            }
            Some(_) => {}
        }
    }
    for (name, _) in b.iter().filter(|(name, _)| a.iter().all(|(known, _)| known != name)) {
        tell(format!("{name}: only in {}", second.display()));
    }
    match told {
        0 => Ok(()),
        1 => Err(Diagnostic::error("the states differ in a variable").into()),
        n => Err(Diagnostic::error(format!("the states differ in {n} variables")).into()),
    }
}

/// How many elements differ, and the first of them.
fn difference(a: &Tensor, b: &Tensor) -> String {
    let size = a.dtype.size();
    let differs = |n: &usize| a.bytes()[n * size..][..size] != b.bytes()[n * size..][..size];
    let count = (0..a.count()).filter(differs).count();
    let first = (0..a.count()).find(differs).expect("the bytes differ");
    let number = |t: &Tensor| t.get(first).to_string();
    format!("{count} of {} elements, first {first}: {} and {}", a.count(), number(a), number(b))
}
