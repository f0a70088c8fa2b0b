//! Another last layer: the dense layer that a signature ends in gets other units, new weights and, if wanted, another
//! activation. The whole model changes with it, so that TensorFlow loads and runs it like any: every signature and function in
//! which the layer's variables are used, their handles, saved objects and stored values, and what saves and restores them.
//!
//! Three steps: [`find`] looks for the layer in the signature's flat graph, [`cells`] for all names of its variables, and
//! [`spread`] for everything whose extents follow from theirs. What no rule is for is refused; then [`rewrite`] changes the
//! file field by field. What Keras noted of its layers is left out, since it tells of the old one.

mod activation;
mod cells;
mod find;
mod rewrite;
mod spread;

use std::{fmt, str::FromStr};

use smc_proto::{DataType, MetaGraphDef};

pub use activation::Activation;
pub use find::{Layer, Old, last};

use self::{
    cells::{Cells, Role},
    rewrite::{New, Rewrite},
    spread::{Found, Scopes, Spread},
};
use super::{Revised, chosen, glorot::glorot};
use crate::{
    base::{Diagnostic, Problems, Rng},
    saved::{Model, Signature, bundle::Change, files::read_all, types::host_type},
    tensor::Tensor,
};

/// The new last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub units: usize,
    /// The model's own where none is named.
    pub activation: Option<Activation>,
}

impl FromStr for Head {
    type Err = String;
    fn from_str(text: &str) -> Result<Head, String> {
        let (units, activation) = match text.split_once(':') {
            Some((units, activation)) => (units, Some(activation.parse()?)),
            None => (text, None),
        };
        match units.parse() {
            Ok(units) if (1..=i32::MAX as usize).contains(&units) => Ok(Head { units, activation }),
            _ => Err(format!("`{units}` is no number of units, such as 5 or 5:softmax")),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.activation {
            Some(activation) => write!(f, "{}:{activation}", self.units),
            None => write!(f, "{}", self.units),
        }
    }
}

/// The model with another last layer in all its signatures: the layer that this one's output comes from. Its weights are
/// drawn by Glorot and Bengio's uniform law, as Keras's Dense does, from a seed; its biases are 0.
pub fn with_head(model: &Model, signature: &Signature, head: &Head, seed: u64) -> Result<Revised, Problems> {
    let graph = model.graph(signature)?;
    let layer = last(&graph)?;
    let kernel = &graph.variables[&layer.kernel];
    let dtype = kernel.ty.dtype;
    let held = host_type(dtype).filter(|dtype| dtype.is_float());
    let held =
        held.ok_or_else(|| Diagnostic::error(format!("the kernel of the last layer is {}, no floats", kernel.ty)))?;
    let activation = match (head.activation, layer.activation) {
        (None, _) => None,
        (Some(Activation(None)), Old::None) => None,
        (Some(new), Old::None) => Some(New::Behind(new)),
        (Some(new), Old::One(old)) => Some(New::Instead(old, new)),
        (Some(new), Old::Several) => {
            let what = format!(
                "the activation of the last layer, `{}`, is several nodes, which {new} does not replace",
                layer.name
            );
            return Err(Diagnostic::error(what).help(format!("keep it: `--head {}`", head.units)).into());
        }
    };

    let library = model.library();
    let meta = model.meta();
    let sources = model.known()?;
    let bias = layer.bias.map(|id| (&graph.variables[&id], id, Role::Bias));
    let begin: Vec<_> = [Some((kernel, layer.kernel, Role::Kernel)), bias]
        .into_iter()
        .flatten()
        .map(|(variable, id, role)| (&graph.nodes[id].origin, variable.key.as_str(), role))
        .collect();
    let bundle = model.bundle().ok_or_else(|| Diagnostic::error("the model stores no variables"))?;
    let cells = Cells::find(meta, &library, sources, bundle, &begin)?;
    let (scopes, marks) = Spread::find(meta, &library, &cells, layer.bias.is_some(), layer.units)?;
    named_classes(meta, &library, &scopes)?;

    let extents = |role: Role| match role {
        Role::Kernel | Role::KernelSlot => vec![layer.inputs, head.units],
        Role::Bias | Role::BiasSlot => vec![head.units],
    };
    let path = model.main_file();
    let (files, folder) = model.files();
    let within = path.strip_prefix(folder).unwrap_or(path);
    let shown = |problem: Diagnostic| problem.in_file(model.shown_path());
    if !within.ends_with(".pb") {
        let what = "a model in the text form (saved_model.pbtxt) does not get a new head";
        return Err(shown(Diagnostic::error(what).help("save it in TensorFlow in the binary form")).into());
    }
    let bytes = read_all(&**files, path)?.unwrap_or_default();
    let own_extents = cells.handles.iter().map(|(handle, role)| (handle.clone(), (dtype, extents(*role))));
    let rewrite = Rewrite {
        library: &library,
        cells: &cells,
        scopes: &scopes,
        marks: &marks,
        units: head.units,
        extents: own_extents.collect(),
        activation,
    };
    let damaged = |_| shown(Diagnostic::error("the file is not made as protocol buffers are"));
    let chosen = chosen(&bytes, &model.tags()).map_err(damaged)?;
    let file = rewrite.file(bytes, chosen).map_err(damaged)?;

    let mut revised = Revised::of(model);
    let weights = glorot(held, layer.inputs, head.units, &mut Rng::new(seed));
    let value = |(key, role): (&String, &Role)| {
        let value = match role {
            Role::Kernel => weights.clone(),
            role => Tensor::zeros(held, extents(*role)),
        };
        (key.clone().into_bytes(), Change::Value(dtype, value))
    };
    revised.lay(bundle.rewritten(cells.keys.iter().map(value).collect())?);
    revised.put(within, file);
    revised.remove("keras_metadata.pb");
    revised.remove("fingerprint.pb");
    Ok(revised)
}

/// A signature that tells classes by name has the names of the old ones.
fn named_classes(
    meta: &MetaGraphDef,
    library: &crate::saved::graph::Library,
    scopes: &Scopes<Found>,
) -> Result<(), Diagnostic> {
    for (name, signature) in meta.signature_def.iter().filter(|(_, s)| s.method_name == "tensorflow/serving/classify") {
        let has_units = signature.outputs.values().any(|info| {
            let Some(smc_proto::tensor_info::Encoding::Name(tensor)) = &info.encoding else { return false };
            let reference = crate::saved::graph::Reference::parse(tensor);
            let at = reference
                .and_then(|reference| Some((library.main.find(reference.name)?, reference.index.unwrap_or(0))));
            at.and_then(|at| scopes[""].outputs.get(&at)).is_some_and(|kind| kind.has_units())
        });
        let names = signature.outputs.values().any(|info| info.dtype == DataType::DtString as i32);
        if has_units && names {
            let what =
                format!("signature `{name}` gives the names of the old classes beside the scores of the new ones");
            return Err(Diagnostic::error(what).help("save the model without a signature that classifies"));
        }
    }
    Ok(())
}

#[test]
fn heads_are_read() {
    let head: Head = "5:softmax".parse().unwrap();
    assert_eq!((head.units, head.activation.unwrap().0, head.to_string().as_str()), (5, Some("Softmax"), "5:softmax"));
    assert_eq!("7".parse::<Head>().unwrap(), Head { units: 7, activation: None });
    for bad in ["0", "-1", "x", "", "5:sofmax", "5:", "99999999999"] {
        assert!(bad.parse::<Head>().is_err(), "{bad}");
    }
}
