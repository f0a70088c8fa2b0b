//! Which variables outlive calls: those that a compiled signature changes. All others are constants.
//!
//! A signature whose graph assigns a variable may still give it no other value, and one that cannot be compiled changes
//! nothing. A variable that has another value for a part of a call only is state too: its readers see both. So the
//! variables that graphs assign are state at first; where fewer are changed by what was imported, the import begins again
//! with these.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Options, initial, source};
use crate::{
    base::{Diagnostic, Problems},
    emit::state,
    plan::Resident,
    saved::{Beginning, Model, Signature, TfGraph, Variable},
    tensor::Tensor,
    tf::Kept,
};

/// The keys of the variables that are state.
pub type Keys = BTreeSet<String>;

/// What the graphs of signatures assign. Signatures whose graph cannot be made assign nothing.
///
/// A branch that is not taken assigns nothing, unless a variable that is assigned decides about it.
pub fn assigned(model: &Model, signatures: &[Signature], options: &Options) -> Keys {
    let mut keys = Keys::new();
    loop {
        let mut found = keys.clone();
        for signature in signatures {
            let import = source::import_options(signature, options, &keys);
            if let Ok(graph) = source::graph(model, signature, &import) {
                // Whether a variable has a value is state as well.
                let flags = graph.all_variables().into_iter().filter_map(Variable::flag);
                found.extend(flags.map(|flag| flag.key));
                found.extend(graph.updates.into_keys());
            }
        }
        if found == keys {
            return keys;
        }
        keys = found;
    }
}

/// What entries change, of what they might; and of what tells whether variables have values, what entries ask.
pub fn changed<'e>(entries: impl Iterator<Item = &'e Entry>) -> Keys {
    let kept = entries.flat_map(|entry| entry.state.iter().map(move |kept| (entry, kept)));
    let is_state = |(entry, kept): &(&Entry, &Kept)| match kept.variable.is_flag() {
        true => asks(entry, kept),
        false => kept.output.is_some() || kept.varies,
    };
    kept.filter(is_state).map(|(_, kept)| kept.variable.key.clone()).collect()
}

/// Whether anything but what such a variable becomes depends on what it is before a call.
fn asks(entry: &Entry, kept: &Kept) -> bool {
    let graph = &entry.optimised;
    let is_flag = |n: usize| entry.state.iter().any(|other| other.output == Some(n) && other.variable.is_flag());
    let outputs = graph.outputs.iter().enumerate().filter(|(n, _)| !is_flag(*n)).map(|(_, port)| port.node);
    graph.needed(outputs)[graph.inputs[kept.input].node.index()]
}

/// Warns where an entry has a constant that a signature changes which is not compiled.
pub fn left_out(graph: &TfGraph, keys: &Keys, others: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let mut told = Keys::new();
    let mut warnings = vec![];
    for variable in graph.all_variables().into_iter().filter(|v| !keys.contains(&v.key)) {
        let Some(by) = others.get(&variable.key) else { continue };
        if told.insert(variable.key.clone()) {
            let what = format!(
                "variable `{}` is read here and changed by signature `{by}`, which is not compiled: its stored value is \
                 compiled in",
                variable.name
            );
            warnings.push(Diagnostic::warning(what));
        }
    }
    warnings
}

/// For what the signatures that are not compiled assign, one that does.
pub fn of_others(model: &Model, compiled: &Keys, options: &Options) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for signature in model.signatures().iter().filter(|s| !compiled.contains(&s.name)) {
        for key in assigned(model, std::slice::from_ref(signature), options) {
            found.entry(key).or_insert_with(|| signature.name.clone());
        }
    }
    found
}

/// What the variables of an entry hold at first, where the caller gives this seed.
pub fn at_first(model: &Model, entry: &Entry, seed: u64) -> Result<Vec<Tensor>, Problems> {
    let value = |kept: &Kept| match kept.variable.begins {
        Some(Beginning { place: [low, high, _], unseeded: true }) => {
            Ok(Tensor::from_i64([3], &[low, high, seed as i64]))
        }
        _ => match entry.fresh.get(&kept.variable.key) {
            Some(value) => Ok(value.clone()),
            None => initial::at_first(model, &kept.variable),
        },
    };
    entry.state.iter().map(value).collect()
}

/// The variables of a model that outlive calls, in the order of their names.
#[derive(Debug, Default)]
pub struct State {
    sources: Vec<Variable>,
    pub variables: Vec<state::Variable>,
}

impl State {
    /// Those that entries use.
    pub fn of(entries: &[Entry], read: &dyn Fn(&Variable) -> Result<Tensor, Problems>) -> Result<State, Problems> {
        let mut sources: Vec<Variable> = vec![];
        for kept in entries.iter().flat_map(|entry| &entry.state) {
            match sources.iter().find(|known| known.is_stored_as(&kept.variable)) {
                Some(known) if known.name != kept.variable.name => {
                    let (a, b) = (&known.name, &kept.variable.name);
                    let what = format!("variables `{a}` and `{b}` are stored as one, and signatures change them");
                    return Err(Diagnostic::error(what)
                        .help("give each variable a value of its own in the checkpoint")
                        .into());
                }
                Some(_) => {}
                None => sources.push(kept.variable.clone()),
            }
        }
        let names = names(&sources);
        let mut named: Vec<(String, Variable)> = names.into_iter().zip(sources).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let mut state = State::default();
        for (name, source) in named {
            let initial = read(&source)?;
            state.variables.push(state::Variable { name, initial, unseeded: source.is_unseeded() });
            state.sources.push(source);
        }
        Ok(state)
    }
    /// Where an entry finds its variables.
    pub fn residents(&self, entry: &Entry, layout: Option<&state::Layout>) -> Vec<Resident> {
        let place = |variable: &Variable| {
            let n = self.sources.iter().position(|known| known.is_stored_as(variable));
            n.zip(layout).map(|(n, layout)| layout.slots[n].at).expect("the variables of all entries are known")
        };
        let resident = |kept: &Kept| Resident { input: kept.input, output: kept.output, at: place(&kept.variable) };
        entry.state.iter().map(resident).collect()
    }
}

/// By which people know variables, each another one.
fn names(variables: &[Variable]) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for variable in variables {
        let short = variable.short_key();
        let mut name = short.to_string();
        for n in 2.. {
            if !names.contains(&name) {
                break;
            }
            name = format!("{short}_{n}");
        }
        names.push(name);
    }
    names
}
