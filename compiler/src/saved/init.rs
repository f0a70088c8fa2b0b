//! What a model does once after loading: the files it reads and the operations that fill its tables.

use std::collections::BTreeSet;

use prost::Message;
use serde::Serialize;
use smc_proto::{AssetFileDef, DataType, MetaGraphDef, collection_def::Kind, tensor_info::Encoding};

use super::{
    files::Files,
    graph::{Builder, Library, TfGraph, has_effect},
    signature::INIT_SIGNATURE,
    types::{TfShape, TfType},
};
use crate::base::Problems;

/// A file that belongs to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// The path below the model's folder.
    pub path: String,
    /// The tensor that holds the file's path at run time.
    pub tensor: String,
    pub present: bool,
}

/// An operation that runs once after loading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Initialiser {
    pub node: String,
    pub op: String,
}

/// The model's assets; the older collection is used when the newer list is empty.
pub(super) fn assets(meta: &MetaGraphDef, files: &dyn Files, folder: &str) -> Vec<Asset> {
    let mut defs = meta.asset_file_def.clone();
    if defs.is_empty()
        && let Some(Kind::AnyList(list)) = meta.collection_def.get("saved_model_assets").and_then(|c| c.kind.as_ref())
    {
        defs = list.value.iter().filter_map(|any| AssetFileDef::decode(&any.value[..]).ok()).collect();
    }
    let asset = |def: AssetFileDef| {
        let tensor = match def.tensor_info.and_then(|info| info.encoding) {
            Some(Encoding::Name(name)) => name,
            _ => String::new(),
        };
        let path = format!("{folder}assets/{}", def.filename);
        // A name that leads out of the folder names no asset.
        let inside = !def.filename.split(['/', '\\']).any(|part| part == ".." || part.is_empty());
        let present = inside && files.size(&path).is_some();
        Asset { path: format!("assets/{}", def.filename), tensor, present }
    };
    defs.into_iter().map(asset).collect()
}

/// The operations with an effect that initialisation runs.
pub(super) fn initialisers(graph: &TfGraph) -> Vec<Initialiser> {
    let effects = graph.nodes.iter().filter(|(id, n)| has_effect(&n.op) || graph.effects.contains_key(id));
    effects.map(|(_, n)| Initialiser { node: n.name.clone(), op: n.op.clone() }).collect()
}

/// What initialisation runs, with the assets' paths fed.
pub(super) fn graph(meta: &MetaGraphDef, library: &Library, assets: &[Asset]) -> Result<TfGraph, Problems> {
    let mut builder = Builder::new(library);
    let ty = || TfType { dtype: DataType::DtString, shape: TfShape(Some(vec![])) };
    let fed = assets.iter().filter(|a| !a.tensor.is_empty());
    let inputs = fed.map(|asset| builder.feed(&asset.path, &asset.tensor, ty())).collect::<Result<_, _>>()?;
    for node in roots(meta) {
        builder.run(node.split(':').next().unwrap_or_default())?;
    }
    builder.finish(inputs, vec![])
}

/// The nodes TensorFlow runs: the first of the ways to name them that the model uses.
fn roots(meta: &MetaGraphDef) -> BTreeSet<&str> {
    if let Some(signature) = meta.signature_def.get(INIT_SIGNATURE) {
        let names = signature.outputs.values().filter_map(|info| match &info.encoding {
            Some(Encoding::Name(name)) => Some(name.as_str()),
            _ => None,
        });
        return names.collect();
    }
    for collection in ["saved_model_main_op", "legacy_init_op", "table_initializer"] {
        if let Some(Kind::NodeList(list)) = meta.collection_def.get(collection).and_then(|c| c.kind.as_ref()) {
            return list.value.iter().map(String::as_str).collect();
        }
    }
    BTreeSet::new()
}
