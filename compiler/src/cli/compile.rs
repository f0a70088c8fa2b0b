//! `smc compile`.

use std::path::{Path, PathBuf};

use smc::{
    base::{Diagnostic, Problems},
    driver::{self, Compiled, Options},
    emit::{archive, interface::c_identifier},
};

use super::{
    args::{Compile, Model},
    files, load,
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
    let output = output.unwrap_or_else(|| PathBuf::from(format!("lib{name}.o")));
    let header = args.header.clone().unwrap_or_else(|| output.with_extension("h"));
    let options = Options {
        name: name.clone(),
        signatures: args.signatures.clone(),
        batch: args.batch.batch.map(u64::from),
        shapes: args.inputs.clone(),
        target: args.target.target.clone(),
        cpu: args.target.cpu.clone(),
        direct: args.arithmetic.direct,
        dumps: args.emit.clone(),
        ..Options::default()
    };
    let model = load(&args.model)?;
    let progress = term.progress();
    let compiled = driver::compile(&model, &options, &mut |what| progress.stage(what))?;
    drop(progress);
    term.report(&compiled.notes);
    if !args.emit.is_empty() {
        compiled.dumps.iter().for_each(|(title, text)| answer(format!("// {title}\n{text}")));
        if args.output.is_none() {
            return Ok(());
        }
    }
    write(&compiled, &output, &header, &name)?;
    if args.json {
        answer(serde_json::to_string_pretty(&compiled.report).expect("a report is plain data"));
    } else {
        term.note(format_args!("wrote {} and {}\n{}", output.display(), header.display(), compiled.report));
    }
    Ok(())
}

fn write(compiled: &Compiled, output: &Path, header: &Path, name: &str) -> Result<(), Problems> {
    let archive = output.extension().is_some_and(|e| e == "a" || e == "lib");
    let packed;
    let bytes = if archive {
        packed = archive::archive(&format!("{name}.o"), &compiled.object)
            .map_err(|e| Diagnostic::error(format!("cannot make the archive: {e}")).in_file(output.display()))?;
        &packed
    } else {
        &compiled.object
    };
    Ok(files::write_all(&[(output, bytes), (header, compiled.header.as_bytes())])?)
}

/// `libmnist.o` gives `mnist`; without an output, the model's directory does, above its version number.
fn default_name(output: Option<&Path>, model: &Model) -> String {
    let stem = |p: &Path| p.file_stem().map(|s| s.to_string_lossy().into_owned());
    if let Some(stem) = output.and_then(stem) {
        return c_identifier(stem.strip_prefix("lib").filter(|s| !s.is_empty()).unwrap_or(&stem));
    }
    let path = model.path.canonicalize().unwrap_or_else(|_| model.path.clone());
    let named = path.ancestors().filter_map(stem).find(|s| !s.chars().all(|c| c.is_ascii_digit()));
    c_identifier(&named.unwrap_or_else(|| "model".into()))
}
