//! The first steps towards a new operator: what it is, whether it has a row, and its recorded cases.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{parity, programs::root};

/// Prints the operator's definition and what it still lacks; records its cases once they are specified.
pub fn run(name: &str) -> Result<()> {
    let definitions = root().join("compiler/src/saved/op_defs.txt");
    let text = fs::read_to_string(&definitions).with_context(|| format!("cannot read {}", definitions.display()))?;
    let known = |line: &&str| line.split([' ', '!']).next() == Some(name);
    let Some(definition) = text.lines().find(known) else {
        bail!("TensorFlow has no operator {name:?}; names are spelt as in a graph: Conv2D, AddV2");
    };
    println!("{definition}\n");
    match mentions("compiler/src/tf", &format!("name: \"{name}\""))? {
        Some(file) => println!("row       {file}"),
        None => println!("row       none yet: add one to the file of its family in compiler/src/tf"),
    }
    match mentions("xtask/python/cases", &format!("\"{name}\""))? {
        Some(file) => {
            println!("cases     {file}");
            parity::record(Some(name))?;
            println!(
                "recorded  tests/cases/{name}.json; check it: SMC_OP={name} cargo test --package smc-tests --test cases"
            );
        }
        None => println!(
            "cases     none yet: specify some in the file of its family in xtask/python/cases, edge values and every \
             dtype, then run this again to record them"
        ),
    }
    Ok(())
}

/// The first file of a folder, in order of names, that contains the text.
fn mentions(folder: &str, text: &str) -> Result<Option<String>> {
    let entries = fs::read_dir(root().join(folder)).with_context(|| format!("cannot read {folder}"))?;
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    files.sort();
    for file in files {
        if fs::read_to_string(&file).is_ok_and(|source| source.contains(text)) {
            return Ok(Some(file.strip_prefix(root())?.display().to_string()));
        }
    }
    Ok(None)
}
