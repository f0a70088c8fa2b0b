//! Variables that some signature updates: their values are state, and smc has no state yet.
//!
//! A signature that updates one is refused by the import. One that only reads it would be right until the first update,
//! so it is refused too, unless it was asked for by name: then the stored value is what the user wants, and is told.

use std::collections::BTreeMap;

use super::{Options, source};
use crate::{
    base::{Diagnostic, Problems},
    saved::{Model, Signature, TfGraph},
};

/// For the key of each updated tensor, a signature that updates it.
pub type Updates = BTreeMap<String, String>;

/// What the model's signatures update. Signatures whose graph cannot be made update nothing that could be served.
///
/// A branch that is not taken updates nothing, unless some signature updates what decides about it.
pub fn updates(model: &Model, options: &Options) -> Updates {
    let mut graphs: Vec<(&Signature, TfGraph)> = model
        .signatures()
        .iter()
        .filter_map(|signature| {
            let import = source::import_options(signature, options);
            Some((signature, source::graph(model, signature, &import).ok()?))
        })
        .collect();
    loop {
        let mut updates = Updates::new();
        for (signature, graph) in &graphs {
            for key in graph.updates.keys() {
                updates.entry(key.clone()).or_insert_with(|| signature.name.clone());
            }
        }
        let is_updated = |graph: &TfGraph| graph.all_variables().iter().any(|v| updates.contains_key(&v.key));
        let undecided = graphs.iter_mut().filter(|(_, graph)| !graph.decisions.is_empty() && is_updated(graph));
        let mut changed = false;
        for (signature, graph) in undecided {
            if let Ok(open) = model.graph(signature) {
                (*graph, changed) = (open, true);
            }
        }
        if !changed {
            return updates;
        }
    }
}

/// Refuses a graph that reads what another signature updates; `by_name` turns that into warnings.
pub fn check(
    graph: &TfGraph,
    signature: &Signature,
    updates: &Updates,
    by_name: bool,
) -> Result<Vec<Diagnostic>, Problems> {
    let mut problems = Problems::default();
    for variable in graph.all_variables().into_iter().filter(|v| v.assigned_by.is_none()) {
        let Some(by) = updates.get(&variable.key) else { continue };
        let what = format!("variable `{}` is read here and updated by signature `{by}`", variable.name);
        problems.push(if by_name {
            Diagnostic::warning(format!("{what}: its stored value is compiled in"))
        } else {
            Diagnostic::error(format!("{what}; state is not supported yet"))
                .help(format!("`--signature {}` compiles the stored value in", signature.name))
        });
    }
    if problems.has_errors() { Err(problems) } else { Ok(problems.0) }
}
