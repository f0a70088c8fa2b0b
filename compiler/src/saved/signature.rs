//! The entry points of a model: its signatures, and the functions it exports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smc_proto::{
    FunctionDef, MetaGraphDef, SavedConcreteFunction, StructuredValue, TensorInfo, saved_object::Kind,
    structured_value::Kind as Nest, tensor_info::Encoding,
};

use super::types::{TfShape, TfType, data_type};

/// The signature that only initialises; callers never see it.
pub(super) const INIT_SIGNATURE: &str = "__saved_model_init_op";

/// An entry point.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    pub name: String,
    pub kind: SignatureKind,
    pub inputs: Vec<Slot>,
    pub outputs: Vec<Slot>,
}

/// How a model offers an entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// Declared for callers, with the name of its method, such as `tensorflow/serving/predict`.
    Declared { method: String },
    /// A function an object exports, with the function's name in the library.
    Function { function: String },
}

/// One named input or output of an entry point.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub key: String,
    pub ty: TfType,
    pub place: SlotPlace,
}

/// Where an input or output lies in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotPlace {
    /// A tensor of the main graph, such as `x:0`; for functions, the argument's or result's name.
    Tensor(String),
    /// A value of several tensors, which smc does not compile: `a sparse tensor`.
    Unsupported(&'static str),
}

/// The declared signatures, in order of their names.
pub(super) fn declared(meta: &MetaGraphDef) -> Vec<Signature> {
    let visible = meta.signature_def.iter().filter(|(name, _)| *name != INIT_SIGNATURE);
    let signature = |(name, def): (&String, &smc_proto::SignatureDef)| Signature {
        name: name.clone(),
        kind: SignatureKind::Declared { method: def.method_name.clone() },
        inputs: def.inputs.iter().map(|(key, info)| slot(key, info)).collect(),
        outputs: def.outputs.iter().map(|(key, info)| slot(key, info)).collect(),
    };
    visible.map(signature).collect()
}

fn slot(key: &str, info: &TensorInfo) -> Slot {
    let place = match &info.encoding {
        Some(Encoding::Name(name)) => SlotPlace::Tensor(name.clone()),
        Some(Encoding::CooSparse(_)) => SlotPlace::Unsupported("a sparse tensor"),
        Some(Encoding::CompositeTensor(_)) => SlotPlace::Unsupported("a composite tensor"),
        None => SlotPlace::Unsupported("a tensor without a name"),
    };
    let ty = TfType { dtype: data_type(info.dtype), shape: TfShape::from_proto(info.tensor_shape.as_ref()) };
    Slot { key: key.into(), ty, place }
}

/// The functions that objects export, by the path of attributes that leads to them; `path[k]` when one has several
/// traces.
pub(super) fn exported(meta: &MetaGraphDef) -> Vec<Signature> {
    let Some(objects) = &meta.object_graph_def else { return Vec::new() };
    let library = meta.graph_def.iter().flat_map(|g| &g.library).flat_map(|l| &l.function);
    let library: BTreeMap<&str, &FunctionDef> =
        library.filter_map(|f| Some((f.signature.as_ref()?.name.as_str(), f))).collect();
    let mut seen_objects = BTreeSet::from([0]);
    let mut seen_functions = BTreeSet::new();
    let mut todo = VecDeque::from([(0usize, String::new())]);
    let mut found = Vec::new();
    while let Some((id, path)) = todo.pop_front() {
        let Some(object) = objects.nodes.get(id) else { continue };
        let traces: Vec<&str> = match &object.kind {
            Some(Kind::Function(f)) => f.concrete_functions.iter().map(String::as_str).collect(),
            Some(Kind::BareConcreteFunction(f)) => vec![&f.concrete_function_name],
            _ => vec![],
        };
        for (k, trace) in traces.iter().enumerate() {
            let name = if traces.len() == 1 { path.clone() } else { format!("{path}[{k}]") };
            let Some((def, concrete)) = library.get(trace).copied().zip(objects.concrete_functions.get(*trace)) else {
                continue;
            };
            if seen_functions.insert(*trace) {
                found.extend(function(name, def, concrete));
            }
        }
        for child in &object.children {
            let Ok(id) = usize::try_from(child.node_id) else { continue };
            if path.len() < 1000 && seen_objects.insert(id) {
                let dot = if path.is_empty() { "" } else { "." };
                todo.push_back((id, format!("{path}{dot}{}", child.local_name)));
            }
        }
    }
    found
}

/// `None` when the function has fewer arguments than it captures.
fn function(name: String, def: &FunctionDef, concrete: &SavedConcreteFunction) -> Option<Signature> {
    let signature = def.signature.as_ref()?;
    let given = signature.input_arg.len().checked_sub(concrete.bound_inputs.len())?;
    let args = &signature.input_arg[..given];
    let mut specs = leaves(concrete.canonicalized_input_signature.as_ref());
    specs.retain(|(_, leaf)| leaf.is_tensor);
    let mut inputs: Vec<Slot> = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        // Arguments that are not tensors, or several, make the nest and the list differ; then the nest says nothing.
        let spec = specs.get(at).filter(|_| specs.len() == given).map(|(_, leaf)| leaf);
        let named = spec.map(|leaf| leaf.name.clone()).filter(|n| !n.is_empty() && inputs.iter().all(|s| s.key != *n));
        let shape = spec.map_or(TfShape::UNKNOWN, |leaf| leaf.shape.clone());
        inputs.push(Slot {
            key: named.unwrap_or_else(|| arg.name.clone()),
            ty: TfType { dtype: data_type(arg.r#type), shape },
            place: SlotPlace::Tensor(arg.name.clone()),
        });
    }
    let results = leaves(concrete.output_signature.as_ref());
    let named = results.len() == signature.output_arg.len();
    let outputs = signature.output_arg.iter().enumerate().map(|(at, arg)| {
        let (path, leaf) = results.get(at).filter(|_| named).cloned().unwrap_or_default();
        let key = match (named, path.as_str()) {
            (false, _) => arg.name.clone(),
            (true, "") => "output_0".into(),
            (true, path) if path.starts_with(|c: char| c.is_ascii_digit()) => format!("output_{path}"),
            (true, path) => path.to_string(),
        };
        let ty = TfType { dtype: data_type(arg.r#type), shape: leaf.shape };
        Slot { key, ty, place: SlotPlace::Tensor(arg.name.clone()) }
    });
    let outputs = outputs.collect();
    let kind = SignatureKind::Function { function: signature.name.clone() };
    Some(Signature { name, kind, inputs, outputs })
}

/// One value in a nest.
#[derive(Clone)]
struct Leaf {
    name: String,
    shape: TfShape,
    is_tensor: bool,
}

impl Default for Leaf {
    fn default() -> Self {
        Leaf { name: String::new(), shape: TfShape::UNKNOWN, is_tensor: false }
    }
}

/// The values of a nest in TensorFlow's order (dictionaries by key), each with its path (`a/0`); `None` is no value.
/// The decoder limits how deep nests are.
fn leaves(nest: Option<&StructuredValue>) -> Vec<(String, Leaf)> {
    fn walk(nest: &StructuredValue, path: &str, out: &mut Vec<(String, Leaf)>) {
        let below = |step: &str| if path.is_empty() { step.to_string() } else { format!("{path}/{step}") };
        let tensor = |name: &str, shape: Option<&smc_proto::TensorShapeProto>| Leaf {
            name: name.into(),
            shape: TfShape::from_proto(shape),
            is_tensor: true,
        };
        let leaf = match &nest.kind {
            Some(Nest::ListValue(smc_proto::ListValue { values }))
            | Some(Nest::TupleValue(smc_proto::TupleValue { values })) => {
                values.iter().enumerate().for_each(|(i, v)| walk(v, &below(&i.to_string()), out));
                return;
            }
            Some(Nest::DictValue(dict)) => return dict.fields.iter().for_each(|(key, v)| walk(v, &below(key), out)),
            Some(Nest::NamedTupleValue(tuple)) => {
                tuple
                    .values
                    .iter()
                    .filter_map(|p| Some((p, p.value.as_ref()?)))
                    .for_each(|(p, v)| walk(v, &below(&p.key), out));
                return;
            }
            Some(Nest::NoneValue(_)) | None => return,
            Some(Nest::TensorSpecValue(spec)) => tensor(&spec.name, spec.shape.as_ref()),
            Some(Nest::BoundedTensorSpecValue(spec)) => tensor(&spec.name, spec.shape.as_ref()),
            Some(_) => Leaf::default(),
        };
        out.push((path.to_string(), leaf));
    }
    let mut out = Vec::new();
    nest.into_iter().for_each(|n| walk(n, "", &mut out));
    out
}
