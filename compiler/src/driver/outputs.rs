//! Leaves outputs out: what a user does not name is not computed, and need not be supported.

use crate::{
    base::{Diagnostic, Problems, names::advice},
    saved::Signature,
};

/// The signatures with the outputs of these names alone; all of them without a name. Signatures that have none of them
/// are left out.
pub fn keep(mut signatures: Vec<Signature>, names: &[String]) -> Result<Vec<Signature>, Problems> {
    if names.is_empty() {
        return Ok(signatures);
    }
    let mut known: Vec<&str> = signatures.iter().flat_map(|s| &s.outputs).map(|slot| slot.key.as_str()).collect();
    known.sort();
    known.dedup();
    let unknown = names.iter().filter(|name| !known.contains(&name.as_str()));
    let problem = |name: &String| {
        let file = match name {
            name if name.ends_with(".npz") => format!("; a file of results is named by --outputs {name}"),
            name if name.contains(['.', '/']) => format!("; a file is named by -o {name}"),
            _ => String::new(),
        };
        Diagnostic::error(format!("no signature has an output `{name}`"))
            .help(format!("{}{file}", advice(name, "outputs", &known)))
    };
    unknown.map(problem).collect::<Problems>().or(())?;
    signatures.iter_mut().for_each(|s| s.outputs.retain(|slot| names.contains(&slot.key)));
    signatures.retain(|s| !s.outputs.is_empty());
    Ok(signatures)
}
