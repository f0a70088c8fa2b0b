//! Other values for a model's variables: the bundle changes, and of the rest only the hash of it in the fingerprint.

use std::collections::BTreeMap;

use super::{Revised, fingerprint, ties::Ties};
use crate::{
    base::{Diagnostic, Problems},
    saved::{
        bundle::{Bundle, Slice},
        model::Model,
    },
    tensor::Tensor,
};

/// The model whose variables have these values, by their [`place`](crate::saved::Variable::place); others keep what is
/// stored. Each is of the stored type and shape. Where a model stores a variable under several keys, all get the value. A
/// value that the initialisation would overwrite is refused.
pub fn with_values(model: &Model, values: &BTreeMap<String, Tensor>) -> Result<Revised, Problems> {
    let mut revised = Revised::of(model);
    if values.is_empty() {
        return Ok(revised);
    }
    let missing = || Diagnostic::error("the model stores no variables").in_file(model.shown_folder());
    let bundle = model.bundle().ok_or_else(missing)?;
    let ties = Ties::of(model, bundle)?;
    let mut problems = Problems::default();
    let mut changes = BTreeMap::new();
    for (key, parts) in by_key(bundle, values) {
        if let Some(writer) = ties.initialised.get(key) {
            problems.push(overwritten(key, writer));
            continue;
        }
        for key in ties.copies(key) {
            match bundle.with_parts(key, &parts) {
                Ok(found) => changes.extend(found),
                Err(problem) => problems.push(problem),
            }
        }
    }
    problems.or(())?;
    if !changes.is_empty() {
        revised.lay(bundle.rewritten(changes)?);
        fingerprint::renew(&mut revised)?;
    }
    Ok(revised)
}

fn overwritten(key: &str, writer: &str) -> Diagnostic {
    let what = format!("the value of `{key}` would be lost: the model's initialisation sets the variable again");
    Diagnostic::error(what).at_node(writer).help("save the model in TensorFlow without the operation that sets it")
}

/// The values of each key, whole or of a part.
fn by_key<'v>(
    bundle: &Bundle,
    values: &'v BTreeMap<String, Tensor>,
) -> BTreeMap<&'v str, Vec<(Option<Slice>, &'v Tensor)>> {
    let mut found: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (place, value) in values {
        let part = || place.rsplit_once(' ').and_then(|(key, part)| Some((key, Some(Slice::parse_part(part)?))));
        let whole = bundle.ty(place).map(|_| (&place[..], None));
        let (key, part) = whole.or_else(part).unwrap_or((place, None));
        found.entry(key).or_default().push((part, value));
    }
    found
}
