//! One signature as a model of its own: its graph up to some value, and dense layers behind that.
//!
//! What is written is a model as TensorFlow 1 saves it: one graph, in which functions are inlined, with the functions that
//! branches and loops run beside it as they were, a checkpoint of the variables that are still used and of the new layers',
//! and one signature with the same inputs. Saved objects are left out, and with them all other signatures and functions. Every
//! loader of TensorFlow takes such a model.
//!
//! Names stay: those of nodes, by which layers are known, and the keys of variables in the checkpoint, as far as a graph of
//! TensorFlow may have them. A variable that its author's training does not change, or whose layer is frozen, is not among
//! the `trainable_variables`.

mod dense;
mod names;
mod nodes;
mod saver;
mod scope;

use std::{collections::BTreeMap, fmt, str::FromStr};

use bytes::Bytes;
use prost::Message as _;
use smc_proto::{
    AttrValue, CollectionDef, NodeDef, SignatureDef, TensorInfo,
    collection_def::{BytesList, Kind},
    tensor_info::Encoding,
};

use self::{dense::End, names::Names, nodes::Nodes, saver::saver};
use super::{Activation, Head, Revised, chosen};
use crate::{
    base::{Diagnostic, Problems},
    saved::{
        Model, Signature, TfGraph, TfType, Variable,
        bundle::{Content, fresh},
        files::read_all,
        graph::NodeOutput,
        wire::{Malformed, Message},
    },
    tensor::Tensor,
};

/// A dense layer as users ask for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    pub units: usize,
    pub activation: Activation,
}

impl FromStr for Dense {
    type Err = String;
    fn from_str(text: &str) -> Result<Dense, String> {
        let rest = text.strip_prefix("dense:");
        let rest = rest.ok_or_else(|| format!("`{text}` is no layer, such as dense:64 or dense:64:relu"))?;
        let Head { units, activation } = rest.parse()?;
        Ok(Dense { units, activation: activation.unwrap_or(Activation(None)) })
    }
}

impl fmt::Display for Dense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.activation.0 {
            Some(_) => write!(f, "dense:{}:{}", self.units, self.activation),
            None => write!(f, "dense:{}", self.units),
        }
    }
}

/// An operator of one operand, with what it needs beside its element type.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub op: String,
    pub attrs: BTreeMap<String, AttrValue>,
}

impl Call {
    /// An activation of one node; none where it is linear.
    pub fn of(activation: Activation) -> Option<Call> {
        activation.0.map(|op| Call { op: op.into(), attrs: BTreeMap::new() })
    }
}

/// A dense layer that is added.
#[derive(Clone, Debug, PartialEq)]
pub struct New {
    /// What its nodes and variables are called, as far as the name is free: a number comes behind it otherwise.
    pub name: String,
    pub units: usize,
    pub activation: Option<Call>,
}

/// What is written.
pub struct Flat<'a> {
    pub model: &'a Model,
    pub signature: &'a Signature,
    /// The signature's graph as it [is written](Model::graph_as_written).
    pub graph: &'a TfGraph,
    /// The value that the new model gives out, or its new layers take.
    pub source: NodeOutput,
    /// Of that value. Where layers are added, it is of floats, its rank at least 2, and its last extent known.
    pub ty: TfType,
    /// The key of the output.
    pub output: String,
    /// New layers, in their order.
    pub layers: Vec<New>,
}

/// Gives the values of variables that the initialisation computes.
pub type Values<'v> = dyn Fn(&Variable) -> Result<Tensor, Problems> + 'v;

impl Flat<'_> {
    /// The model. Weights of new layers are drawn by Glorot and Bengio's uniform law, as Keras's Dense does, from a seed, the
    /// layers' one behind the other; their biases are 0.
    pub fn revised(&self, seed: u64, values: &Values<'_>) -> Result<Revised, Problems> {
        let model = self.model;
        let graph = scope::cut(self)?;
        let mut names = Names::default();
        let (mut nodes, mut kept) = Nodes::of(&graph, model, &mut names, values)?;
        let end = End { at: nodes.reference(graph.outputs[0].source), ty: self.ty.clone() };
        let end = dense::behind(end, &self.layers, &mut nodes, &mut kept, &mut names, seed)?;
        let saver_def = (!kept.is_empty()).then(|| saver(&mut nodes.defs, &kept, &mut names));
        let shown = |problem: Diagnostic| Problems::from(problem.in_file(model.shown_path()));
        let path = model.main_file();
        let (files, folder) = model.files();
        if !path.ends_with(".pb") {
            let what = "a model in the text form (saved_model.pbtxt) is not cut, and no layer is added to it";
            return Err(shown(Diagnostic::error(what).help("save it in TensorFlow in the binary form")));
        }
        let bytes = read_all(&**files, path)?.unwrap_or_default();
        let damaged = |_| shown(Diagnostic::error("the file is not made as protocol buffers are"));
        let old = Message::parse(bytes.clone()).map_err(damaged)?;
        let at = chosen(&bytes, &model.tags()).map_err(damaged)?;
        let old_meta = old.all(2).nth(at).cloned().unwrap_or_default();
        let old_meta = Message::parse(old_meta).map_err(damaged)?;

        let mut meta = Message::default();
        old_meta.bytes(1).into_iter().for_each(|info| meta.push(1, info.clone()));
        meta.push(2, self.graph_def(&nodes.defs, &graph, &old_meta).map_err(damaged)?.encode());
        if let Some(saver) = saver_def {
            meta.push(3, saver.encode_to_vec());
        }
        for (name, only_trained) in [("trainable_variables", true), ("variables", false)] {
            let chosen = kept.iter().filter(|kept| kept.learns || !only_trained);
            let value = chosen.map(|kept| kept.definition().encode_to_vec()).collect();
            let collection = CollectionDef { kind: Some(Kind::BytesList(BytesList { value })) };
            meta.push(4, entry(name, collection.encode_to_vec()));
        }
        let signature = self.signature_def(&graph, &nodes, end);
        meta.push(5, entry(&self.signature.name, signature.encode_to_vec()));
        let mut file = Message::default();
        file.set_varint(1, old.varint(1));
        file.push(2, meta.encode());

        let mut revised = Revised::of(model);
        for path in revised.paths() {
            revised.remove(&path);
        }
        let within = path.strip_prefix(folder).unwrap_or(path);
        revised.put(within, file.encode());
        let contents: BTreeMap<String, Content> = kept.into_iter().map(|kept| (kept.key, kept.content)).collect();
        if !contents.is_empty() {
            let [index, data] = fresh(model.bundle(), &contents)?;
            revised.set("variables/variables.index", index);
            revised.set("variables/variables.data-00000-of-00001", data);
        }
        Ok(revised)
    }

    /// The graph, with the functions that its nodes run.
    fn graph_def(&self, defs: &[NodeDef], graph: &TfGraph, old_meta: &Message) -> Result<Message, Malformed> {
        let old = old_meta.bytes(2).cloned().map(Message::parse).transpose()?.unwrap_or_default();
        let library = old.bytes(2).cloned().map(Message::parse).transpose()?.unwrap_or_default();
        let used = scope::functions(graph, self.model);
        let mut new = Message::default();
        defs.iter().for_each(|def| new.push(1, def.encode_to_vec()));
        let mut functions = Message::default();
        for function in library.all(1) {
            let signature = Message::parse(function.clone())?.bytes(1).cloned().map(Message::parse).transpose()?;
            if signature.is_some_and(|signature| used.contains(signature.text(1))) {
                functions.push(1, function.clone());
            }
        }
        // What tells the gradient of a function.
        for gradient in library.all(2) {
            if used.contains(Message::parse(gradient.clone())?.text(1)) {
                functions.push(2, gradient.clone());
            }
        }
        if !functions.is_empty() {
            new.push(2, functions.encode());
        }
        old.bytes(4).into_iter().for_each(|versions| new.push(4, versions.clone()));
        Ok(new)
    }

    fn signature_def(&self, graph: &TfGraph, nodes: &Nodes, end: End) -> SignatureDef {
        let info = |name: String, ty: &TfType| TensorInfo {
            encoding: Some(Encoding::Name(if name.contains(':') { name } else { format!("{name}:0") })),
            dtype: ty.dtype as i32,
            tensor_shape: Some(ty.shape.to_proto()),
        };
        let inputs = graph.inputs.iter().map(|port| (port.key.clone(), info(nodes.reference(port.source), &port.ty)));
        SignatureDef {
            inputs: inputs.collect(),
            outputs: [(self.output.clone(), info(end.at, &end.ty))].into(),
            method_name: "tensorflow/serving/predict".into(),
        }
    }
}

/// An entry of a map whose keys are texts.
fn entry(key: &str, value: Vec<u8>) -> Bytes {
    let mut entry = Message::default();
    entry.push(1, key.as_bytes().to_vec());
    entry.push(2, value);
    entry.encode()
}

#[test]
fn layers_are_read() {
    let layer: Dense = "dense:64:relu".parse().unwrap();
    assert_eq!((layer.units, layer.activation.0, layer.to_string().as_str()), (64, Some("Relu"), "dense:64:relu"));
    assert_eq!("dense:7".parse::<Dense>().unwrap().to_string(), "dense:7");
    for bad in ["", "64", "dens:64", "dense", "dense:", "dense:0", "dense:5:", "dense:5:relo", "conv:5"] {
        assert!(bad.parse::<Dense>().is_err(), "{bad}");
    }
}
