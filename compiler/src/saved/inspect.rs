//! What a model is, for people and programs: the contents of `smc inspect`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Asset, Initialiser, Model, Signature, SignatureKind, Slot, SlotPlace, TfGraph,
    types::{TfShape, held_type, type_name},
};
use crate::base::Problems;

/// A model's description.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// The folder of the chosen version.
    pub folder: String,
    pub tags: Vec<String>,
    pub tensorflow_version: String,
    pub fingerprint: Option<Fingerprint>,
    pub signatures: Vec<SignatureDescription>,
    /// Every variable that some signature uses, by name.
    pub variables: Vec<VariableDescription>,
    pub variable_bytes: u64,
    pub assets: Vec<Asset>,
    pub initialisers: Vec<Initialiser>,
    /// What is wrong with the model, in words.
    pub problems: Vec<String>,
}

/// The hashes TensorFlow wrote beside the model.
#[derive(Clone, Debug, Serialize)]
pub struct Fingerprint {
    pub uuid: String,
    pub saved_model_checksum: u64,
    pub graph_def_program_hash: u64,
    pub signature_def_hash: u64,
    pub saved_object_graph_hash: u64,
    pub checkpoint_hash: u64,
}

/// One entry point.
#[derive(Clone, Debug, Serialize)]
pub struct SignatureDescription {
    pub name: String,
    /// The declared method; absent for an exported function.
    pub method: Option<String>,
    pub inputs: Vec<SlotDescription>,
    pub outputs: Vec<SlotDescription>,
    /// How often each operator occurs in what the outputs need.
    pub ops: BTreeMap<String, usize>,
    pub variables: Vec<String>,
}

/// An input or output.
#[derive(Clone, Debug, Serialize)]
pub struct SlotDescription {
    pub key: String,
    pub dtype: String,
    /// `null` for an unknown extent, or for unknown rank as a whole.
    pub shape: TfShape,
    pub tensor: String,
}

/// A variable that a signature uses.
#[derive(Clone, Debug, Serialize)]
pub struct VariableDescription {
    pub name: String,
    pub dtype: String,
    pub shape: TfShape,
    pub bytes: u64,
    pub key: String,
    /// Whether some signature changes it.
    pub assigned: bool,
}

/// Describes a model; what is wrong with one signature does not hide the others.
pub fn describe(model: &Model) -> Description {
    describe_by(model, model.signatures(), &|signature| model.graph(signature))
}

/// The same of some signatures, which may have fewer outputs than the model's, by graphs that the caller makes, such as
/// those in which known branches are taken.
pub fn describe_by(
    model: &Model,
    chosen: &[Signature],
    graph: &dyn Fn(&Signature) -> Result<TfGraph, Problems>,
) -> Description {
    let mut problems = Problems::default();
    let mut variables: BTreeMap<(String, String), VariableDescription> = BTreeMap::new();
    let mut signatures = Vec::new();
    for signature in chosen {
        let graph = graph(signature).unwrap_or_else(|p| {
            problems.extend(p);
            TfGraph::default()
        });
        for variable in graph.variables.values() {
            // Objects may bear one name; with the stored tensor it tells them apart.
            let identity = (variable.name.clone(), variable.key.clone());
            let known = variables.entry(identity).or_insert_with(|| describe_variable(variable));
            known.assigned |= variable.assigned_by.is_some();
        }
        signatures.push(describe_signature(signature, &graph));
    }
    if model.signatures().is_empty() {
        problems.push(model.no_signature());
    }
    let initialisers = model.initialisers().unwrap_or_else(|p| {
        problems.extend(p);
        vec![]
    });
    let assets = model.assets();
    // Several tensors may name one file.
    let missing: BTreeSet<_> = assets.iter().filter(|a| !a.present).map(|a| &a.path).collect();
    let missing: Vec<_> = missing.into_iter().map(|path| format!("the asset {path} is missing")).collect();
    let fingerprint = model.fingerprint().map(|f| Fingerprint {
        uuid: f.uuid.clone(),
        saved_model_checksum: f.saved_model_checksum,
        graph_def_program_hash: f.graph_def_program_hash,
        signature_def_hash: f.signature_def_hash,
        saved_object_graph_hash: f.saved_object_graph_hash,
        checkpoint_hash: f.checkpoint_hash,
    });
    Description {
        folder: model.shown_folder(),
        tags: model.tags(),
        tensorflow_version: model.tensorflow_version().into(),
        fingerprint,
        signatures,
        variable_bytes: variables.values().map(|v| v.bytes).sum(),
        variables: variables.into_values().collect(),
        problems: problems.0.iter().map(ToString::to_string).chain(missing).collect(),
        assets,
        initialisers,
    }
}

fn describe_variable(variable: &super::Variable) -> VariableDescription {
    let count = variable.ty.shape.fixed().unwrap_or_default().iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
    VariableDescription {
        name: variable.name.clone(),
        dtype: type_name(variable.ty.dtype),
        shape: variable.ty.shape.clone(),
        bytes: count.saturating_mul(held_type(variable.ty.dtype).map_or(0, |t| t.size() as u64)),
        key: variable.key.clone(),
        assigned: false,
    }
}

fn describe_signature(signature: &Signature, graph: &TfGraph) -> SignatureDescription {
    // The graph knows the inputs better than the signature does.
    let input = |slot: &Slot| {
        let ty = graph.inputs.iter().find(|p| p.key == slot.key).map_or(&slot.ty, |p| &p.ty);
        describe_slot(&Slot { ty: ty.clone(), ..slot.clone() })
    };
    SignatureDescription {
        name: signature.name.clone(),
        method: match &signature.kind {
            SignatureKind::Declared { method } => Some(method.clone()),
            SignatureKind::Function { .. } => None,
        },
        inputs: signature.inputs.iter().map(input).collect(),
        outputs: signature.outputs.iter().map(describe_slot).collect(),
        ops: graph.op_counts().into_iter().map(|(op, n)| (op.to_string(), n)).collect(),
        variables: graph.variables.values().map(|v| v.name.clone()).collect(),
    }
}

fn describe_slot(slot: &Slot) -> SlotDescription {
    SlotDescription {
        key: slot.key.clone(),
        dtype: type_name(slot.ty.dtype),
        shape: slot.ty.shape.clone(),
        tensor: match &slot.place {
            SlotPlace::Tensor(name) => name.clone(),
            SlotPlace::Unsupported(kind) => (*kind).to_string(),
        },
    }
}
