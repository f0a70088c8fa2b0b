//! What a state holds, tied to the places where the model stores its variables, so that the model can be written with it.
//!
//! A variable is tied by its name in the state, which follows from its key or, for a part, from its own name. What has no
//! place in a SavedModel is left out where TensorFlow loses nothing by it, and refused where it would.

use std::collections::{BTreeMap, BTreeSet};

use super::{initial, train};
use crate::{
    base::{Diagnostic, Problems},
    saved::{IS_SET, Model, Variable},
    tensor::Tensor,
};

/// Values for [`crate::saved::revise::with_values`], and notes on what is left out.
#[derive(Debug, Default)]
pub struct Exported {
    pub values: BTreeMap<String, Tensor>,
    pub notes: Vec<Diagnostic>,
}

/// Ties the variables of a state, by name, to the model's.
pub fn exported(model: &Model, state: &[(String, Tensor)]) -> Result<Exported, Problems> {
    let mut exported = Exported::default();
    let mut problems = Problems::default();
    let variables = variables(model);
    let (mut training, mut places, mut unset) = (vec![], vec![], vec![]);
    for (name, value) in state {
        let is_it = |v: &&Variable| v.short_key() == name || v.flag().is_some_and(|flag| flag.name == *name);
        let named: Vec<&Variable> = variables.iter().filter(is_it).collect();
        let mut keys: BTreeSet<String> = stored_keys(model, name).collect();
        keys.extend(named.iter().map(|variable| variable.place()));
        let (whose, place) = match (named.first(), keys.pop_first()) {
            (_, None) if name.starts_with(train::OWN) => {
                training.push(name);
                continue;
            }
            (_, None) => {
                let what = format!("the model has no variable `{name}`");
                let help = "the state belongs to another model, or to this one before its variables changed";
                problems.push(Diagnostic::error(what).help(help));
                continue;
            }
            (whose, Some(place)) if keys.is_empty() => (whose, place),
            (_, Some(place)) => {
                let other = keys.pop_first().unwrap_or_default();
                let what = format!("`{name}` may be two variables of the model: `{place}` and `{other}`");
                problems.push(Diagnostic::error(what).help("give each variable of the model a name of its own"));
                continue;
            }
        };
        let Some(whose) = whose else {
            exported.values.insert(place, value.clone());
            continue;
        };
        if let Some(begins) = whose.begins {
            // One that has drawn nothing yet loses nothing.
            if value.to_i64s().is_some_and(|place| place.first() != begins.place.first()) {
                places.push(name);
            }
        } else if whose.unset {
            if whose.short_key() != name {
                continue;
            }
            match is_set(state, whose) {
                Some(true) => problems.push(lost(name, "the model stores no value of it", whose)),
                _ => unset.push(name),
            }
        } else if let Some(set) = &whose.initial {
            if initial::read(model, whose).is_ok_and(|first| first == *value) {
                continue;
            }
            let why = format!("`{}` sets it whenever the model is loaded", set.writer);
            problems.push(lost(name, &why, whose));
        } else {
            exported.values.insert(place, value.clone());
        }
    }
    problems.or(())?;
    let left_out = [
        (training, "that only training has"),
        (places, "that are places of random generators, which begin anew with each loaded model"),
        (unset, "that the model does not store, and assigns before it reads them"),
    ];
    exported.notes = left_out.iter().filter_map(|(names, why)| note(names, why)).collect();
    Ok(exported)
}

/// All variables of signatures and exported functions, each once, in an order by name and place.
fn variables(model: &Model) -> Vec<Variable> {
    let mut found: Vec<Variable> = vec![];
    for signature in model.signatures().iter().chain(&model.functions()) {
        // What cannot be followed has left no state.
        let Ok(graph) = model.graph(signature) else { continue };
        found.extend(graph.all_variables().into_iter().cloned());
    }
    let order = |v: &Variable| (v.short_key().to_string(), v.place());
    found.sort_by_key(order);
    found.dedup_by_key(|v| order(v));
    found
}

/// The keys of the checkpoint that people know by a name.
fn stored_keys<'m>(model: &'m Model, name: &'m str) -> impl Iterator<Item = String> + 'm {
    let keys = model.bundle().into_iter().flat_map(|bundle| bundle.keys());
    keys.filter(move |key| *key == name || key.strip_suffix(Variable::OF_OBJECT) == Some(name)).map(String::from)
}

/// What the state tells of a variable that may not have a value; nothing where no signature asks.
fn is_set(state: &[(String, Tensor)], variable: &Variable) -> Option<bool> {
    let flag = format!("{}{IS_SET}", variable.name);
    let flag = state.iter().find(|(name, _)| *name == flag)?;
    Some(flag.1.bytes().iter().any(|&byte| byte != 0))
}

fn lost(name: &str, why: &str, variable: &Variable) -> Diagnostic {
    let problem = Diagnostic::error(format!("the value of variable `{name}` would be lost: {why}"));
    match &variable.assigned_by {
        Some(node) => problem.at_node(node),
        None => problem,
    }
}

fn note(names: &[&String], why: &str) -> Option<Diagnostic> {
    let (first, more) = names.split_first()?;
    let what = match more.len() {
        0 => format!("variable `{first}` is left out, one of those {why}"),
        n => format!("variable `{first}` and {n} others are left out, {why}"),
    };
    Some(Diagnostic::note(what))
}
