//! `smc compile`.

use std::path::{Path, PathBuf};

use smc::{
    base::{Diagnostic, Problems},
    driver::{self, Options},
    emit::interface::c_identifier,
    native::Target,
};

use super::{
    args::{Compile, Model},
    load,
    output::Output,
    term::{Term, answer},
};

pub fn run(args: &Compile, term: &Term) -> Result<(), Problems> {
    let output = args.output.clone();
    let name = match &args.name {
        Some(name) if c_identifier(name) != *name => {
            let problem = Diagnostic::error(format!("`{name}` cannot be the prefix of C symbols"));
            return Err(problem.help(format!("`{}` can", c_identifier(name))).into());
        }
        Some(name) => name.clone(),
        None => default_name(output.as_deref(), &args.model),
    };
    let path = output.clone().unwrap_or_else(|| PathBuf::from(format!("lib{name}.o")));
    // Stages take the place of files, unless a file is asked for too.
    let output = match args.emit.is_empty() || output.is_some() {
        true => {
            let target = Target::new(args.target.target.as_deref(), args.target.cpu.as_deref())?;
            Some(Output::find(&path, args.header.as_deref(), args.weights.as_deref(), target.is_elf())?)
        }
        false => None,
    };
    if output.is_none() && (args.json || args.header.is_some() || args.weights.is_some()) {
        let problem = Diagnostic::error("--emit alone writes no object, and so no header, weights or report");
        return Err(problem.help("name the object too: -o FILE").into());
    }
    if output.as_ref().is_some_and(Output::takes_standard_output) && (args.json || !args.emit.is_empty()) {
        let problem = Diagnostic::error("files and answers cannot share the standard output");
        return Err(problem.help("name a file, or leave --json and --emit out").into());
    }
    let options = Options {
        name: name.clone(),
        signatures: args.signatures.clone(),
        shapes: args.inputs.clone(),
        target: args.target.target.clone(),
        cpu: args.target.cpu.clone(),
        shared: output.as_ref().and_then(Output::soname),
        weights_apart: args.weights.is_some(),
        dumps: args.emit.clone(),
        training: args.learning.training(),
        ..args.choices.options()
    };
    let model = args.edit.applied(load(&args.model)?, &options)?;
    let progress = term.progress();
    let compiled = driver::compile(&model, &options, &mut |news| progress.heard(news))?;
    drop(progress);
    term.report(&compiled.notes);
    let Some(output) = output else { return Ok(()) };
    output.write(&compiled, &name)?;
    if args.json {
        answer(serde_json::to_string_pretty(&compiled.report).expect("a report is plain data"));
    } else {
        term.note(format_args!("{output}\n{}", compiled.report));
    }
    Ok(())
}

/// `libmnist.o` gives `mnist`; without an output, the model's directory does, above its version number.
fn default_name(output: Option<&Path>, model: &Model) -> String {
    let stem = |p: &Path| p.file_stem().map(|s| s.to_string_lossy().into_owned());
    // The name of a stream or a device says nothing about the model.
    let output = output.filter(|path| *path != Path::new("-") && (path.is_file() || !path.exists()));
    if let Some(stem) = output.and_then(stem) {
        return c_identifier(stem.strip_prefix("lib").filter(|s| !s.is_empty()).unwrap_or(&stem));
    }
    c_identifier(&model.name())
}
