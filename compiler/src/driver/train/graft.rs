//! A model cut at a layer, and dense layers put behind it.

use std::sync::Arc;

use super::{cut, *};
use crate::saved::{
    self, DataType, NodeOutput,
    revise::{Call, Dense, Flat, New, Old, last_layer},
};

/// What becomes of a signature: cut, then extended, then with a last layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graft {
    /// The layer at whose output the signature ends. Without one it ends where it did, or, with a head, before the dense layer
    /// that it ends in.
    pub from: Option<String>,
    pub append: Vec<Dense>,
    /// The last layer. Where it takes the place of one and names no activation, it has that one's; otherwise none.
    pub head: Option<Head>,
}

/// A new model of the signature alone that is to be trained. The seed is that of the new layers' weights.
pub fn grafted(model: &Model, options: &Options, graft: &Graft, seed: u64) -> Result<Revised, Problems> {
    let signature = chosen(model, options)?;
    let graph = source::as_written(model, &signature)?;
    let (source, replaced) = end(&signature, &graph, graft)?;
    let read = |variable: &Variable| initial::read(model, variable);
    let output = match &signature.outputs[..] {
        [one] => one.key.clone(),
        _ => "output_0".into(),
    };
    let bare = Flat {
        model,
        signature: &signature,
        graph: &graph,
        source,
        ty: TfType { dtype: DataType::DtFloat, shape: TfShape::UNKNOWN },
        output,
        layers: vec![],
    };
    // What the value is shows where the model that ends there is imported.
    let ty = output_type(model, &signature, bare.revised(seed, &read)?, options)?;
    let held = ty.dtype;
    let Some(dtype) = type_of(held).filter(|_| held.is_float()) else {
        let name = &graph.nodes[source.node].name;
        let at = graft.from.as_deref().unwrap_or(name);
        let what = format!("`{at}` gives {ty}: a model is cut, and layers are added, where values are floats");
        return Err(Diagnostic::error(what).at_node(name).into());
    };
    let extents = ty.shape.iter().map(|dim| dim.as_int().and_then(|n| u64::try_from(n).ok())).collect();
    let mut layers: Vec<New> = vec![];
    for (n, Dense { units, activation }) in graft.append.iter().enumerate() {
        layers.push(New { name: format!("appended_{}", n + 1), units: *units, activation: Call::of(*activation) });
    }
    if let Some(Head { units, activation }) = graft.head {
        let activation = match activation {
            Some(activation) => Call::of(activation),
            None => replaced.map_or(Ok(None), |old| old.activation(units))?,
        };
        layers.push(New { name: "head".into(), units, activation });
    }
    let ty = TfType { dtype, shape: TfShape(Some(extents)) };
    Flat { ty, layers, ..bare }.revised(seed, &read)
}

/// The activation of a layer that is replaced.
struct Replaced {
    name: String,
    activation: Old,
    call: Option<Call>,
}

impl Replaced {
    fn activation(self, units: usize) -> Result<Option<Call>, Diagnostic> {
        match self.activation {
            Old::None | Old::One(_) => Ok(self.call),
            Old::Several => {
                let what =
                    format!("the activation of the last layer, `{}`, is several nodes, which stay with it", self.name);
                Err(Diagnostic::error(what).help(format!("name one: `--head {units}:softmax`, or linear")))
            }
        }
    }
}

/// Where the signature is to end, and the layer that goes if one does.
fn end(signature: &Signature, graph: &TfGraph, graft: &Graft) -> Result<(NodeOutput, Option<Replaced>), Diagnostic> {
    if let Some(layer) = &graft.from {
        return Ok((cut::find(graph, layer)?, None));
    }
    if graft.head.is_some() {
        let layer = last_layer(graph)?;
        let call = layer.map.map(|id| {
            let node = &graph.nodes[id];
            let own = |name: &str| name != "T" && !name.starts_with('_');
            let attrs = node.attrs.iter().filter(|(name, _)| own(name)).map(|(k, v)| (k.clone(), v.clone()));
            Call { op: node.op.clone(), attrs: attrs.collect() }
        });
        let replaced = Replaced { name: layer.name, activation: layer.activation, call };
        return Ok((layer.features, Some(replaced)));
    }
    match &graph.outputs[..] {
        [port] => Ok((port.source, None)),
        outputs => {
            let what = format!("signature `{}` has {} outputs", signature.name, outputs.len());
            Err(Diagnostic::error(what)
                .help("name the one that layers are added to: `--output NAME`, or `--from LAYER`"))
        }
    }
}

/// The type of the only output of the only signature of a model.
fn output_type(
    original: &Model,
    signature: &Signature,
    revised: Revised,
    options: &Options,
) -> Result<TensorType, Problems> {
    let tags = original.tags();
    let model = Model::load(
        Arc::new(revised),
        &saved::Options { tags, version: None, operators: original.operators().clone() },
    )?;
    let signature = model.signature(&signature.name)?;
    let import = source::import_options(&signature, options, &Keys::new());
    let source = source::graph(&model, &signature, &import)?;
    let imported = tf::import(&source, &|variable| initial::read(&model, variable), &import)?;
    let port = imported.graph.outputs.first().ok_or_else(|| model.no_signature())?;
    Ok(imported.graph.ty(port.node).clone())
}
