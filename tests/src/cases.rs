//! Recorded cases as `tests/cases/README.md` describes them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::compare::{Tolerance, difference};
use serde::Deserialize;
use serde_json::Value as Json;
use smc::{
    base::Bindings,
    saved::{Node, NodeOutput, Origin, Port, TfGraph, TfShape, TfType},
    tensor::{DType, Scalar, Tensor},
    tf::Imported,
};
use smc_proto::{
    AttrValue, DataType, TensorProto, TensorShapeProto,
    attr_value::{ListValue, Value},
    tensor_shape_proto,
};

/// The cases of one operator.
#[derive(Deserialize)]
pub struct CaseFile {
    pub op: String,
    pub cases: Vec<Case>,
    #[serde(default)]
    pub sweeps: Vec<Sweep>,
}

/// One node under operands of other extents in every run.
#[derive(Deserialize)]
pub struct Sweep {
    pub name: String,
    attrs: Attrs,
    pub runs: Vec<Run>,
}

/// One run of a sweep in TensorFlow.
#[derive(Deserialize)]
pub struct Run {
    pub inputs: Vec<Operand>,
    pub outputs: Vec<Operand>,
    /// TensorFlow's message where it refuses.
    pub error: Option<String>,
}

/// Attributes by name; each under the key that names its kind.
type Attrs = BTreeMap<String, BTreeMap<String, Json>>;

/// One run of an operator in TensorFlow.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    attrs: Attrs,
    pub inputs: Vec<Operand>,
    pub outputs: Vec<Operand>,
    /// TensorFlow's message where it refuses.
    pub error: Option<String>,
}

/// A recorded tensor.
#[derive(Deserialize)]
pub struct Operand {
    pub dtype: DType,
    pub shape: Vec<usize>,
    data: Vec<Json>,
    /// In place of many elements: FNV-1a, 64 bits in hexadecimal, of their little-endian bytes.
    #[serde(default)]
    hash: Option<String>,
    /// TensorFlow's name of a type that C lacks.
    #[serde(default, rename = "as")]
    narrow: Option<String>,
    /// Whether a model gives it as a constant.
    #[serde(default, rename = "const")]
    pub is_const: bool,
    /// Whether it is an input of the model, but no operand of the node.
    #[serde(default)]
    pub beside: bool,
    /// What the model computes its elements from, where it does.
    pub sizes: Option<Vec<Size>>,
}

/// A number times extents of operands, each an operand and an axis, plus a number.
pub type Size = (i64, Vec<(usize, usize)>, i64);

/// Every file of `tests/cases`, sorted by operator.
pub fn read_cases() -> Vec<CaseFile> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases");
    let entries = fs::read_dir(&folder).expect("there are cases");
    let mut paths: Vec<_> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a case file is readable");
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
        .collect()
}

impl Case {
    /// Whether an operand or result has a type that the compiler has few operators for yet.
    pub fn uses_pending_type(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).any(|t| t.dtype.is_complex())
    }
    /// The attributes as a node has them.
    pub fn attrs(&self) -> Result<BTreeMap<String, AttrValue>, String> {
        attr_values(&self.attrs)
    }
}

impl Sweep {
    /// The attributes as a node has them.
    pub fn attrs(&self) -> Result<BTreeMap<String, AttrValue>, String> {
        attr_values(&self.attrs)
    }
}

fn attr_values(attrs: &Attrs) -> Result<BTreeMap<String, AttrValue>, String> {
    let attr = |(name, kinds): (&String, &BTreeMap<String, Json>)| {
        let value = kinds.iter().next().and_then(|(kind, json)| attr_value(kind, json));
        let value = value.ok_or_else(|| format!("attribute `{name}` is of no known kind"))?;
        Ok((name.clone(), AttrValue { value: Some(value) }))
    };
    attrs.iter().map(attr).collect()
}

fn attr_value(kind: &str, json: &Json) -> Option<Value> {
    if let Some(kind) = kind.strip_prefix("list_") {
        let mut list = ListValue::default();
        for item in json.as_array()? {
            match attr_value(kind, item)? {
                Value::I(i) => list.i.push(i),
                Value::F(f) => list.f.push(f),
                Value::B(b) => list.b.push(b),
                Value::S(s) => list.s.push(s),
                Value::Type(t) => list.r#type.push(t),
                Value::Shape(s) => list.shape.push(s),
                _ => return None,
            }
        }
        return Some(Value::List(list));
    }
    Some(match kind {
        "i" => Value::I(json.as_i64()?),
        "f" => Value::F(json.as_f64()? as f32),
        "b" => Value::B(json.as_bool()?),
        "s" => Value::S(json.as_str()?.as_bytes().to_vec().into()),
        "type" => Value::Type(DataType::from_str_name(json.as_str()?)? as i32),
        "shape" => Value::Shape(shape_proto(json)?),
        _ => return None,
    })
}

fn shape_proto(json: &Json) -> Option<TensorShapeProto> {
    if json.is_null() {
        return Some(TensorShapeProto { dim: vec![], unknown_rank: true });
    }
    let dim =
        json.as_array()?.iter().map(|n| Some(tensor_shape_proto::Dim { size: n.as_i64()? })).collect::<Option<_>>()?;
    Some(TensorShapeProto { dim, unknown_rank: false })
}

impl Operand {
    /// The recorded values. Panics when the file does not hold what its README says.
    pub fn tensor(&self) -> Tensor {
        if self.dtype == DType::Str {
            let strings = self.data.iter().map(|s| string(s).expect("a string"));
            return Tensor::from_strings(self.shape.clone(), strings.collect());
        }
        let scalars: Vec<Scalar> = self.data.iter().map(|json| scalar(self.dtype, json)).collect();
        Tensor::from_scalars(self.dtype, self.shape.clone(), scalars)
    }
    /// How a result differs from the recorded one, or `None`; exactly where that is a hash.
    pub fn difference(&self, ours: &Tensor, tolerance: Tolerance) -> Option<String> {
        let Some(hash) = &self.hash else { return difference(ours, &self.tensor(), tolerance) };
        if (ours.dtype, &ours.shape) != (self.dtype, &self.shape) {
            return Some(format!("{}{:?} instead of {}{:?}", ours.dtype, ours.shape, self.dtype, self.shape));
        }
        let mixed = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100000001b3);
        let of_ours = format!("{:016x}", ours.bytes().iter().fold(0xcbf29ce484222325, mixed));
        (of_ours != *hash).then(|| format!("the elements' hash is {of_ours} instead of {hash}"))
    }
    /// Whole numbers, as a recorded tensor.
    pub fn ints(dtype: DType, shape: &[usize], values: &[i64]) -> Operand {
        let data = values.iter().map(|&n| Json::from(n)).collect();
        Operand {
            dtype,
            shape: shape.to_vec(),
            data,
            hash: None,
            is_const: true,
            narrow: None,
            beside: false,
            sizes: None,
        }
    }
    /// TensorFlow's name for the type. Panics when the file does not hold what its README says.
    pub fn tf_type(&self) -> DataType {
        match &self.narrow {
            Some(name) => DataType::from_str_name(name).expect("a type of TensorFlow's"),
            None => self.tf_dtype(),
        }
    }
    /// TensorFlow's name for `dtype`.
    fn tf_dtype(&self) -> DataType {
        match self.dtype {
            DType::Bool => DataType::DtBool,
            DType::I8 => DataType::DtInt8,
            DType::I16 => DataType::DtInt16,
            DType::I32 => DataType::DtInt32,
            DType::I64 => DataType::DtInt64,
            DType::U8 => DataType::DtUint8,
            DType::U16 => DataType::DtUint16,
            DType::U32 => DataType::DtUint32,
            DType::U64 => DataType::DtUint64,
            DType::F16 => DataType::DtHalf,
            DType::BF16 => DataType::DtBfloat16,
            DType::F32 => DataType::DtFloat,
            DType::F64 => DataType::DtDouble,
            DType::C64 => DataType::DtComplex64,
            DType::C128 => DataType::DtComplex128,
            DType::Str => DataType::DtString,
        }
    }
    /// The `value` attribute of a Const node.
    pub fn as_attr(&self) -> AttrValue {
        let dim = self.shape.iter().map(|&n| tensor_shape_proto::Dim { size: n as i64 }).collect();
        let mut proto = TensorProto {
            dtype: self.tf_type() as i32,
            tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
            ..TensorProto::default()
        };
        let tensor = self.tensor();
        if self.dtype == DType::Str {
            proto.string_val = tensor.strings().iter().map(|s| s.clone().into()).collect();
        } else {
            proto.tensor_content = tensor.bytes().to_vec().into();
        }
        AttrValue { value: Some(Value::Tensor(proto)) }
    }
}

/// The bytes of a string: text, or in hexadecimal what is no text.
fn string(json: &Json) -> Option<Vec<u8>> {
    if let Some(text) = json.as_str() {
        return Some(text.into());
    }
    let digits = json.get("hex")?.as_str()?;
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

/// One element; a float is the nearest one to its decimal through a double.
fn scalar(dtype: DType, json: &Json) -> Scalar {
    let float = |json: &Json| match json.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => json.as_f64().expect("a number"),
    };
    match dtype {
        DType::Bool => Scalar::Bool(json.as_bool().expect("a truth value")),
        d if d.is_float() => Scalar::from_f64(d, float(json)),
        d if d.is_signed_int() => Scalar::Int(json.as_i64().expect("a signed integer")),
        d if d.is_unsigned_int() => Scalar::Uint(json.as_u64().expect("an unsigned integer")),
        DType::C64 => Scalar::C64(float(&json[0]) as f32, float(&json[1]) as f32),
        _ => Scalar::C128(float(&json[0]), float(&json[1])),
    }
}

/// Which extents of the operands are open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Open {
    None,
    Leading,
    All,
}

/// The values of the symbols, or `None` when the inputs do not fit the shapes or an assumption.
pub fn bindings(imported: &Imported, inputs: &[Tensor]) -> Option<Bindings> {
    let graph = &imported.graph;
    let mut bind = Bindings::new();
    let shapes = || graph.inputs.iter().zip(inputs).flat_map(|(p, t)| graph.shape(p.node).iter().zip(&t.shape));
    for (dim, &n) in shapes() {
        if let Some(symbol) = dim.as_symbol() {
            bind.entry(symbol.clone()).or_insert(n as i64);
        }
    }
    let fits = shapes().all(|(dim, &n)| dim.eval(&bind) == Some(n as i64));
    (fits && graph.broken(&bind).is_none()).then_some(bind)
}

/// The operator between constants, placeholders and one output per result.
pub fn one_node(op: &str, case: &Case, open: Open) -> Result<TfGraph, String> {
    let mut graph = TfGraph::default();
    let node = |name: &str, op: &str| Node {
        name: name.into(),
        op: op.into(),
        inputs: vec![],
        controls: vec![],
        attrs: BTreeMap::new(),
        origin: Origin::Order,
    };
    let mut main = node("node", op);
    for (n, operand) in case.inputs.iter().enumerate() {
        let name = format!("x{n}");
        let id = if operand.is_const {
            let mut leaf = node(&name, "Const");
            leaf.attrs.insert("value".into(), operand.as_attr());
            graph.nodes.push(leaf)
        } else {
            let id = graph.nodes.push(node(&name, "Placeholder"));
            let extent = |(axis, &n): (usize, &usize)| match open {
                Open::All => None,
                Open::Leading if axis == 0 => None,
                _ => Some(n as u64),
            };
            let shape = TfShape(Some(operand.shape.iter().enumerate().map(extent).collect()));
            let source = NodeOutput { node: id, index: 0 };
            graph.inputs.push(Port { key: name, source, ty: TfType { dtype: operand.tf_type(), shape } });
            id
        };
        main.inputs.push(NodeOutput { node: id, index: 0 });
    }
    main.attrs = case.attrs()?;
    let id = graph.nodes.push(main);
    for (n, output) in case.outputs.iter().enumerate() {
        let ty = TfType { dtype: output.tf_dtype(), shape: TfShape::UNKNOWN };
        let mut source = NodeOutput { node: id, index: n as u32 };
        if output.narrow.is_some() {
            let mut read = node(&format!("y{n}"), "Cast");
            let types = [("SrcT", output.tf_type()), ("DstT", output.tf_dtype())];
            let attr = |t: DataType| AttrValue { value: Some(Value::Type(t as i32)) };
            read.attrs.extend(types.map(|(name, t)| (name.into(), attr(t))));
            read.inputs.push(source);
            source = NodeOutput { node: graph.nodes.push(read), index: 0 };
        }
        graph.outputs.push(Port { key: format!("y{n}"), source, ty });
    }
    if case.outputs.is_empty() && case.error.is_some() {
        let ty = TfType { dtype: DataType::DtFloat, shape: TfShape::UNKNOWN };
        graph.outputs.push(Port { key: "y".into(), source: NodeOutput { node: id, index: 0 }, ty });
    }
    Ok(graph)
}

/// How far from TensorFlow's value a result may be. TensorFlow's own elementary functions are a few units in the last
/// place from the truth, and compositions of them add up; sums of products are recorded with exact values. Which zero a
/// maximum of both zeros, or a sum of negative ones, is depends on the width of TensorFlow's vectors.
pub fn tolerance(op: &str) -> Tolerance {
    let (ulps, units) = match op {
        "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atan2" | "Atanh" | "Cos" | "Cosh" | "Erf" | "Erfc" | "Exp"
        | "Expm1" | "Log" | "Log1p" | "LogSoftmax" | "Pow" | "Rsqrt" | "Sigmoid" | "Sin" | "Sinh" | "Softmax"
        | "Tan" | "Tanh" | "Xlog1py" | "Xlogy" => (4.0, 0.0),
        // An exponential less 1.
        "Elu" | "Selu" => (2.0, 1.0),
        // Sigmoids and hyperbolic tangents, one behind the other, for each step; TensorFlow rounds halves at every operation.
        "BlockLSTM" | "BlockLSTMV2" | "GRUBlockCell" | "LSTMBlockCell" => (4.0, 2.0),
        // The bits themselves.
        "StatelessRandomUniform" | "StatelessRandomUniformV2" => (0.0, 0.0),
        // The root of a logarithm times a sine or cosine, of which each has its own last place.
        "StatelessRandomNormal"
        | "StatelessRandomNormalV2"
        | "StatelessTruncatedNormal"
        | "StatelessTruncatedNormalV2" => (4.0, 0.0),
        // A power of a fraction, and a cube of what a sine makes.
        "StatelessRandomGammaV2" | "StatelessRandomGammaV3" => (8.0, 0.0),
        // Overlapping windows are added in another order, and may cancel.
        "AvgPoolGrad" | "AvgPool3DGrad" => (2.0, 2.0),
        // A logarithm less what it may cancel, and probabilities less 1; TensorFlow rounds halves at every operation.
        "SoftmaxCrossEntropyWithLogits" | "SparseSoftmaxCrossEntropyWithLogits" => (4.0, 4.0),
        "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => (2.0, 4.0),
        // Sums of products that are rounded in any order, less their means.
        "FusedBatchNormGrad" | "FusedBatchNormGradV2" | "FusedBatchNormGradV3" => (4.0, 32.0),
        // TensorFlow rounds halves at every sum.
        "ResizeBilinearGrad" => (4.0, 4.0),
        // Products of gates, sums of which cancel.
        "BlockLSTMGrad" | "BlockLSTMGradV2" => (4.0, 4.0),
        // Likelihoods of paths by their logarithms, of which the greatest lose most; TensorFlow's own error is 80 units.
        "CTCLoss" => (8.0, 128.0),
        // Some hundred products are added in another order.
        "ResizeBicubicGrad" | "CropAndResizeGradImage" => (4.0, 16.0),
        // The same of slopes of an image, which cancel.
        "CropAndResizeGradBoxes" => (4.0, 64.0),
        // Sines of kernels.
        "ScaleAndTranslate" | "ScaleAndTranslateGrad" => (2.0, 2.0),
        // An exponential over a sum of them.
        "SparseSoftmax" => (4.0, 0.0),
        // A power, and a sum that is subtracted from it; TensorFlow rounds halves at every operation.
        "LRNGrad" => (4.0, 4.0),
        _ => (2.0, 0.0),
    };
    let any_zero = ["FakeQuantWithMinMaxVarsPerChannelGradient", "CropAndResizeGradBoxes"];
    let signed_zeros = !any_zero.contains(&op) && !matches!(op, "Maximum" | "Minimum" | "Relu" | "Relu6");
    Tolerance { ulps, units, signed_zeros }
}
