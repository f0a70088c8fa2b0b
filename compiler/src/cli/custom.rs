//! The files that declare custom operators, and the shared libraries that have their functions.

use std::{path::PathBuf, sync::Arc};

use libloading::Library;
use smc::{
    base::{Diagnostic, Problems},
    op::Function,
    saved::custom::{self, Operators, SameFunction},
};
use smc_runtime::operator;

/// What these files declare, with the functions that these libraries have.
pub fn operators(files: &[PathBuf], plugins: &[PathBuf]) -> Result<Operators, Problems> {
    let (mut all, mut problems) = (Operators::default(), Problems::default());
    for path in files {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => {
                problems.push(Diagnostic::error(format!("cannot read the declarations: {e}")).in_file(path.display()));
                continue;
            }
        };
        match custom::parse(&text) {
            Ok(more) => {
                let taken = |name: &String| all.declared.contains_key(name);
                if let Some(twice) = more.declared.keys().find(|name| taken(name)) {
                    let problem = Diagnostic::error(format!("operator `{twice}` is declared in another file too"));
                    problems.push(problem.in_file(path.display()));
                }
                all.declared.extend(more.declared);
            }
            Err(more) => problems.extend(more.map(|problem| problem.in_file(path.display()))),
        }
    }
    for path in plugins {
        // A name without a folder would be looked for elsewhere.
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        // SAFETY: the user asks for the library to be run in this process, its initialisers included.
        match unsafe { Library::new(&place) } {
            Ok(library) => take(&mut all, &Arc::new(library)),
            Err(e) => {
                problems.push(Diagnostic::error(format!("cannot load the plugin: {e}")).in_file(path.display()));
            }
        }
    }
    problems.or(all)
}

/// Gives each operator the function that a library has for it.
fn take(all: &mut Operators, library: &Arc<Library>) {
    for declared in all.declared.values_mut().filter(|declared| declared.function.is_none()) {
        // SAFETY: the declaration says that the symbol is such a function.
        if let Ok(function) = unsafe { library.get::<operator::Function>(declared.symbol.as_bytes()) } {
            // SAFETY: the library is kept as long as the function.
            let function = unsafe { Function::new(*function, library.clone()) };
            declared.function = Some(SameFunction(function));
        }
    }
}
