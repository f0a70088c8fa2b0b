//! Signatures that are one: equal graphs with equal inputs and outputs. Keras exports each model under `serve` and
//! `serving_default`.

use super::{Entry, Options, source, state::Keys};
use crate::{
    base::Problems,
    saved::{Model, Signature, TfGraph},
};

/// Signatures with one graph, or one cause why they have none.
pub struct Twins {
    /// `serving_default` first, if it is among them; the others in their order.
    pub signatures: Vec<Signature>,
    pub graph: Result<TfGraph, Problems>,
}

/// The keys for a sentence.
pub fn keys(signatures: &[Signature]) -> String {
    let quoted: Vec<_> = signatures.iter().map(|s| format!("`{}`", s.name)).collect();
    quoted.join(" and ")
}

/// Reads the graphs of the signatures and finds the equal ones. The order is that of the first of each.
pub fn twins(model: &Model, signatures: Vec<Signature>, options: &Options, state: &Keys) -> Vec<Twins> {
    let alone = signatures.len() == 1;
    let mut found: Vec<Twins> = vec![];
    let mut contents = vec![];
    for signature in signatures {
        let graph = source::graph(model, &signature, &source::import_options(&signature, options, state));
        let content = match &graph {
            Ok(graph) if !alone => Ok(graph.content()),
            Ok(_) => Ok([0; 32]),
            Err(problems) => Err(causes(problems)),
        };
        match contents.iter().position(|known| *known == content) {
            Some(at) if signature.name == "serving_default" => found[at].signatures.insert(0, signature),
            Some(at) => found[at].signatures.push(signature),
            None => {
                contents.push(content);
                found.push(Twins { signatures: vec![signature], graph });
            }
        }
    }
    found
}

/// What makes problems the same: everything but the nodes, whose names begin with the call of the signature.
fn causes(problems: &Problems) -> Vec<(String, Option<String>, Option<String>)> {
    let cause = |d: &crate::base::Diagnostic| (d.message.clone(), d.place.layer.clone(), d.help.clone());
    problems.0.iter().map(cause).collect()
}

/// Each key as an entry of its own: an object has a function for every key.
pub fn apart(entries: Vec<Entry>) -> Vec<Entry> {
    let mut all = vec![];
    for entry in entries {
        let copy = |key: &String| Entry {
            key: key.clone(),
            aliases: vec![],
            imported: entry.imported.clone(),
            optimised: entry.optimised.clone(),
            equal: entry.equal.clone(),
            state: entry.state.clone(),
            residents: entry.residents.clone(),
            sizes: entry.sizes.clone(),
            fresh: entry.fresh.clone(),
            notes: vec![],
            scopes: entry.scopes.clone(),
        };
        let copies: Vec<_> = entry.aliases.iter().map(copy).collect();
        all.push(entry);
        all.extend(copies);
    }
    all
}
