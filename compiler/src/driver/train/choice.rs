//! Which variables learn.

use super::*;
use crate::base::names::advice;

/// The keys of the variables that learn: those that the model says can be trained, of floats, that the patterns leave; and what is
/// to be said of others. Patterns may name the statistics of these norms, too.
pub fn learning(
    model: &Model,
    source: &TfGraph,
    training: &Training,
    norms: &[Norm],
) -> Result<(Keys, Option<Diagnostic>), Problems> {
    let can_learn = |variable: &&Variable| {
        let is_float = variable.ty.host().is_some_and(DType::is_float);
        is_float && variable.part.is_none() && model.is_trainable(variable) != Some(false)
    };
    let all: Vec<&Variable> = source.variables.values().filter(can_learn).collect();
    let is_statistic =
        |variable: &&Variable| norms.iter().any(|norm| [&norm.mean, &norm.variance].contains(&&variable.key));
    let named = all.iter().copied().chain(source.variables.values().filter(is_statistic));
    let names: Vec<&str> = named.flat_map(|variable| [variable.short_key(), &variable.name]).collect();
    let mut problems = Problems::default();
    for pattern in training.only.iter().chain(&training.freeze) {
        if !names.iter().any(|name| matches(pattern, name)) {
            let what = format!("no variable that learns matches `{pattern}`");
            problems.push(Diagnostic::error(what).help(advice(pattern, "variables", &names)));
        }
    }
    problems.or(())?;
    // What the author froze learns where it is named.
    let wanted = |variable: &&Variable| match training.only.is_empty() {
        true => !model.is_frozen(variable),
        false => any(&training.only, variable),
    };
    let (chosen, others): (Vec<&Variable>, Vec<&Variable>) = all.into_iter().partition(wanted);
    let keys: Keys = chosen
        .iter()
        .filter(|variable| !any(&training.freeze, variable))
        .map(|variable| variable.key.clone())
        .collect();
    let mut frozen = others.iter().filter(|variable| model.is_frozen(variable)).map(|variable| variable.short_key());
    let frozen = frozen.next().filter(|_| training.only.is_empty()).map(|first| (first, frozen.count()));
    if keys.is_empty() {
        let what = "nothing learns: the model has no variables of floats that can be trained, or all are frozen";
        let help = match frozen {
            Some((first, _)) => format!("`{first}` is frozen in the model: `--only` trains what it names all the same"),
            None => "`smc inspect MODEL` lists the variables".into(),
        };
        return Err(Diagnostic::error(what).help(help).into());
    }
    let note = frozen.map(|(first, more)| {
        let what = match more {
            0 => format!("`{first}` does not learn: its layer is frozen in the model"),
            1 => format!("`{first}` and another variable do not learn: their layers are frozen in the model"),
            n => format!("`{first}` and {n} other variables do not learn: their layers are frozen in the model"),
        };
        Diagnostic::note(what).help("`--only PATTERN` trains what it names, frozen or not")
    });
    Ok((keys, note))
}

/// Whether one of the patterns names a variable.
fn any(patterns: &[String], variable: &Variable) -> bool {
    let matched = |name: &str| patterns.iter().any(|pattern| matches(pattern, name));
    matched(variable.short_key()) || matched(&variable.name)
}

/// Those of the batch norms whose statistics move: no pattern keeps them as they are, and their layers are not frozen. An error
/// where there are none.
pub fn moving(
    model: &Model,
    source: &TfGraph,
    training: &Training,
    mut norms: Vec<Norm>,
) -> Result<Vec<Norm>, Problems> {
    let is_frozen = |statistic: &Variable| {
        let scope = norms::scope(statistic);
        let is_beside = |other: &&Variable| scope.is_some() && norms::scope(other) == scope;
        let mut learned =
            source.variables.values().filter(is_beside).filter(|v| model.is_trainable(v) == Some(true)).peekable();
        learned.peek().is_some() && learned.all(|variable| model.is_frozen(variable))
    };
    let moves = |norm: &Norm| {
        let mut statistics = source.variables.values().filter(|v| [&norm.mean, &norm.variance].contains(&&v.key));
        statistics.all(|statistic| {
            let wanted = match training.only.is_empty() {
                true => !is_frozen(statistic),
                false => any(&training.only, statistic),
            };
            wanted && !any(&training.freeze, statistic)
        })
    };
    let what = match norms.is_empty() {
        true => "`--batch-norm train`: the signature has no batch norm with stored statistics",
        false => "`--batch-norm train`: all batch norms of the signature are frozen",
    };
    norms.retain(moves);
    if norms.is_empty() {
        return Err(Diagnostic::error(what).help("leave it out: batch norms keep their statistics then").into());
    }
    Ok(norms)
}

/// Whether a name has a pattern: `*` stands for any characters. A pattern without one names a part of the way to the
/// variable, such as its layer.
pub fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains('*') {
        let whole = name == pattern || name.strip_suffix(":0") == Some(pattern);
        return whole || name.split('/').any(|part| part == pattern) || name.starts_with(&format!("{pattern}/"));
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn patterns_name_layers_and_parts_of_names() {
    assert!(matches("dense", "dense/kernel") && matches("dense", "model/dense/kernel"));
    assert!(!matches("dense", "dense_1/kernel") && !matches("den", "dense/kernel"));
    assert!(matches("*/bias", "dense/bias") && matches("block*conv*", "block1/conv2/kernel"));
    assert!(!matches("*/bias", "dense/kernel") && !matches("a*a", "a"));
    assert!(matches("*", "x") && matches("dense/kernel", "dense/kernel:0"));
}
