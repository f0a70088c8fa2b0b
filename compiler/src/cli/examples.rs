//! The examples of `smc train`, from the arrays of a numpy archive.

use std::path::Path;

use smc::{
    base::{Diagnostic, Problems, names::advice},
    driver::train::Examples,
    emit::interface::{self, Signature},
    tensor::{DType, Scalar, Tensor},
};

use super::{given::convert, term::Term};

/// An input of the entry, and by which names its array is found.
struct Wanted<'a> {
    declared: &'a interface::Tensor,
    names: Vec<&'a str>,
}

/// The examples for an entry whose inputs are the model's, the targets, and the weights if examples are `weighted`. Where
/// `may_weigh_1`, weights that are missing are 1.
pub fn examples(
    path: &Path,
    mut arrays: Vec<(String, Tensor)>,
    entry: &Signature,
    weighted: bool,
    may_weigh_1: bool,
    term: &Term,
) -> Result<Examples, Problems> {
    let target = entry.inputs.len() - 1 - usize::from(weighted);
    let names: Vec<String> = arrays.iter().map(|(name, _)| name.clone()).collect();
    let (mut found, mut problems) = (vec![], Problems::default());
    for (n, wanted) in wanted(entry, target).iter().enumerate() {
        let places: Vec<usize> = (0..arrays.len()).filter(|&at| wanted.names.contains(&&arrays[at].0[..])).collect();
        let shown = || wanted.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        match places[..] {
            [at] => {
                let (name, array) = arrays.remove(at);
                match fitted(&name, array, wanted.declared, n == target, term) {
                    Ok(array) => found.push(array),
                    Err(problem) => problems.push(problem),
                }
            }
            [] if n > target && may_weigh_1 => {
                let rows = found.first().and_then(|array: &Tensor| array.shape.first()).copied().unwrap_or(0);
                found.push(Tensor::from_fn(DType::F32, [rows], |_| Scalar::F32(1.0)));
            }
            [] => {
                let what = format!("there is no array {}, {}", shown().join(" or "), meaning(n, target));
                let known: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                problems.push(Diagnostic::error(what).help(format!("the arrays are {}", known.join(", "))));
            }
            _ => {
                let what = format!("the arrays {} are all {}", shown().join(" and "), meaning(n, target));
                problems.push(Diagnostic::error(what).help("keep one of them"));
                arrays.retain(|(name, _)| !wanted.names.contains(&&name[..]));
            }
        }
    }
    let keys: Vec<&str> = entry.inputs.iter().map(|t| t.key.as_str()).collect();
    for (name, _) in &arrays {
        let help = match (name.as_str(), weighted) {
            ("sample_weight", false) => "--sample-weights takes it for the weights of examples".into(),
            _ => advice(name, "arrays", &keys),
        };
        problems.push(Diagnostic::error(format!("the model takes no array `{name}`")).help(help));
    }
    let in_file = |problems: Problems| problems.map(|d| d.in_file(path.display()));
    problems.or(()).map_err(in_file)?;
    Examples::new(entry, target, found).map_err(in_file)
}

/// What each input of the entry is found by. A name that is another input's stands for that one.
fn wanted(entry: &Signature, target: usize) -> Vec<Wanted<'_>> {
    let is_key = |name: &&str| entry.inputs.iter().any(|t| t.key == *name);
    let mut all = vec![];
    for (n, declared) in entry.inputs.iter().enumerate() {
        let also = match n {
            0 if target == 1 => Some("x"),
            n if n == target => Some("y"),
            _ => None,
        };
        let names = std::iter::once(declared.key.as_str()).chain(also.filter(|name| !is_key(name))).collect();
        all.push(Wanted { declared, names });
    }
    all
}

fn meaning(n: usize, target: usize) -> &'static str {
    match n {
        n if n < target => "an input of the model",
        n if n == target => "the targets",
        _ => "the weights of examples",
    }
}

/// An array in the declared type. Targets may lack, or have, a last axis of extent 1.
fn fitted(
    name: &str,
    array: Tensor,
    declared: &interface::Tensor,
    is_target: bool,
    term: &Term,
) -> Result<Tensor, Diagnostic> {
    let array = convert(&format!("array `{name}`"), array, declared.ty.dtype, term)?;
    let (mut shape, rank) = (array.shape.clone(), declared.ty.rank());
    if is_target && shape.len() == rank + 1 && shape.last() == Some(&1) {
        shape.pop();
    } else if is_target && shape.len() + 1 == rank && declared.ty.shape.last().and_then(|d| d.as_int()) == Some(1) {
        shape.push(1);
    }
    Ok(array.reshaped(shape))
}
