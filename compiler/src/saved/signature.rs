//! The entry points of a model: its signatures, and the functions it exports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smc_proto::{
    DataType, FunctionDef, MetaGraphDef, SavedConcreteFunction, StructuredValue, TensorInfo, saved_object::Kind,
    structured_value::Kind as Nest, tensor_info::Encoding,
};

use super::types::{TfShape, TfType, data_type};

/// The signature that only initialises; callers never see it.
pub(super) const INIT_SIGNATURE: &str = "__saved_model_init_op";

/// The class of a ragged tensor among TensorFlow's type specifications (`struct.proto`).
const RAGGED_TENSOR_SPEC: i32 = 3;

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
        inputs: slots(&def.inputs),
        outputs: slots(&def.outputs),
    };
    visible.map(signature).collect()
}

/// The inputs or outputs, of which a value of several tensors is one for each. A key of a part that another one has makes the
/// whole value unsupported.
fn slots(infos: &BTreeMap<String, TensorInfo>) -> Vec<Slot> {
    let mut slots = vec![];
    for (key, info) in infos {
        let parts = parts(key, info);
        if parts.len() > 1 && parts.iter().any(|part| infos.contains_key(&part.key)) {
            slots.push(whole(key, info, SlotPlace::Unsupported("a value of several tensors whose keys others have")));
        } else {
            slots.extend(parts);
        }
    }
    slots
}

/// The tensors of one value: of a sparse one `KEY_indices`, `KEY_values` and `KEY_dense_shape`, of a ragged one `KEY_values` and
/// `KEY_row_splits` (with several ragged axes `KEY_row_splits_0` for the outermost one, and so on).
fn parts(key: &str, info: &TensorInfo) -> Vec<Slot> {
    let tensor = |name: &String| SlotPlace::Tensor(name.clone());
    let place = match &info.encoding {
        Some(Encoding::Name(name)) => tensor(name),
        Some(Encoding::CooSparse(sparse)) => {
            let dense = TfShape::from_proto(info.tensor_shape.as_ref());
            let rank = dense.0.map(|extents| extents.len() as u64);
            let part = |what: &str, name: &String, dtype, shape| Slot {
                key: format!("{key}_{what}"),
                ty: TfType { dtype, shape: TfShape(Some(shape)) },
                place: tensor(name),
            };
            return vec![
                part("indices", &sparse.indices_tensor_name, DataType::DtInt64, vec![None, rank]),
                part("values", &sparse.values_tensor_name, data_type(info.dtype), vec![None]),
                part("dense_shape", &sparse.dense_shape_tensor_name, DataType::DtInt64, vec![rank]),
            ];
        }
        Some(Encoding::CompositeTensor(composite)) => {
            let class = composite.type_spec.as_ref().map_or(0, |spec| spec.type_spec_class);
            let splits = composite.components.len().saturating_sub(1);
            let is_ragged = class == RAGGED_TENSOR_SPEC && splits > 0;
            let name = |n: usize| match (n, splits) {
                (0, _) => "values".to_string(),
                (_, 1) => "row_splits".to_string(),
                (n, _) => format!("row_splits_{}", n - 1),
            };
            let part = |(n, info): (usize, &TensorInfo)| match &info.encoding {
                Some(Encoding::Name(at)) => Some(whole(&format!("{key}_{}", name(n)), info, tensor(at))),
                _ => None,
            };
            let parts: Option<Vec<Slot>> = composite.components.iter().enumerate().map(part).collect();
            match parts.filter(|_| is_ragged) {
                Some(parts) => return parts,
                None => SlotPlace::Unsupported("a composite tensor that is not ragged"),
            }
        }
        None => SlotPlace::Unsupported("a tensor without a name"),
    };
    vec![whole(key, info, place)]
}

fn whole(key: &str, info: &TensorInfo, place: SlotPlace) -> Slot {
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

#[test]
fn a_value_of_several_tensors_has_a_slot_for_each() {
    use smc_proto::{
        TypeSpecProto,
        tensor_info::{CompositeTensor, CooSparse},
    };
    let of =
        |encoding| TensorInfo { encoding: Some(encoding), dtype: DataType::DtFloat as i32, ..TensorInfo::default() };
    let named = |name: &str| of(Encoding::Name(name.into()));
    let sparse = of(Encoding::CooSparse(CooSparse {
        values_tensor_name: "v:0".into(),
        indices_tensor_name: "i:0".into(),
        dense_shape_tensor_name: "s:0".into(),
    }));
    let composite = |class: i32, components: &[&str]| {
        of(Encoding::CompositeTensor(CompositeTensor {
            type_spec: Some(TypeSpecProto { type_spec_class: class, ..TypeSpecProto::default() }),
            components: components.iter().map(|name| named(name)).collect(),
        }))
    };
    let check = |infos: &[(&str, &TensorInfo)], expected: &str| {
        let infos = infos.iter().map(|&(key, info)| (key.to_string(), info.clone())).collect();
        let shown = |slot: &Slot| match &slot.place {
            SlotPlace::Tensor(name) => format!("{}={name}", slot.key),
            SlotPlace::Unsupported(kind) => format!("{} is {kind}", slot.key),
        };
        assert_eq!(slots(&infos).iter().map(shown).collect::<Vec<_>>().join(" "), expected);
    };
    check(&[("x", &sparse)], "x_indices=i:0 x_values=v:0 x_dense_shape=s:0");
    check(&[("r", &composite(3, &["v:0", "s:0"]))], "r_values=v:0 r_row_splits=s:0");
    check(&[("r", &composite(3, &["v:0", "a:0", "b:0"]))], "r_values=v:0 r_row_splits_0=a:0 r_row_splits_1=b:0");
    check(&[("r", &composite(2, &["v:0", "i:0"]))], "r is a composite tensor that is not ragged");
    let twice = "x is a value of several tensors whose keys others have x_values=y:0";
    check(&[("x", &sparse), ("x_values", &named("y:0"))], twice);
}
