//! The values of variables: stored ones are read, and what the initialisation computes is computed here, once and for all.

use crate::{
    base::{Bindings, Diagnostic, Problems},
    graph::evaluate,
    saved::{Model, Variable, held_type},
    tensor::Tensor,
    tf,
};

/// The value that a variable has when the model is served; zeros where it has none before a signature assigns one.
pub fn at_first(model: &Model, variable: &Variable) -> Result<Tensor, Problems> {
    let shape = variable.ty.shape.fixed().filter(|_| variable.unset);
    match shape.zip(held_type(variable.ty.dtype)) {
        Some((shape, dtype)) => Ok(Tensor::zeros(dtype, shape)),
        None => read(model, variable),
    }
}

/// The value that a variable has when the model is served.
pub fn read(model: &Model, variable: &Variable) -> Result<Tensor, Problems> {
    let Some(initial) = &variable.initial else { return model.read(variable) };
    let refused = |why: String| {
        let what = format!(
            "variable `{}` is set when the model is initialised, to what is not known before: {why}",
            variable.name
        );
        Problems::from(Diagnostic::error(what).at_node(&initial.writer).help(
            "export the model with the variable's value in its checkpoint, and without the operation that sets it",
        ))
    };
    let why = |problems: Problems| problems.0.first().map(|d| d.message.clone()).unwrap_or_default();
    let graph = model.initial(variable).map_err(|problems| refused(why(problems)))?;
    let imported = tf::import(&graph, &|restored| model.read(restored), &tf::Options::default());
    let tf::Imported { graph, state, .. } = imported.map_err(|problems| refused(why(problems)))?;
    if state.iter().any(|kept| kept.variable.is_unseeded()) {
        return Err(refused("it draws random numbers without a seed, others at every start".into()));
    }
    // What is drawn with a seed are the first numbers of its stream.
    let places = state.iter().map(|kept| model.read(&kept.variable)).collect::<Result<Vec<_>, _>>()?;
    let values = evaluate(&graph, &places, &Bindings::new());
    let value = values.map_err(|fault| refused(super::fault_text(fault).into()))?.remove(0);
    if variable.ty.host() != Some(value.dtype) || !variable.ty.shape.admits(&value.shape) {
        let ty = value.ty();
        return Err(refused(format!("it is {}, but {ty} is assigned to it", variable.ty)));
    }
    Ok(value)
}
