//! `smc state`: what is in a file of state.

use std::{fs, path::Path};

use smc::{
    base::{Diagnostic, Problems},
    emit::descriptor::dtype,
    tensor::{DType, Tensor},
};
use smc_runtime::{
    descriptor::Order,
    state::{Saved, Variable},
};

use super::{
    args::{OfState, State},
    files, npz,
    run::npz_place,
    shown,
    term::answer,
};

pub fn run(args: &State) -> Result<(), Problems> {
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
        OfState::Export { file, output } => {
            let place = npz_place(output)?;
            let variables = read(file)?;
            let bytes = npz::npz_bytes(&variables)
                .map_err(|e| Diagnostic::error(format!("cannot write the variables: {e}")).in_file(&place))?;
            files::write_all(&[(&place, &|out| out.write_all(&bytes))])
        }
    }
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
