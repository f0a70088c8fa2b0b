//! TensorFlow's own table of operators: argument names, how many outputs an argument stands for, attribute defaults.
//!
//! The table is text, written by `xtask/python/op_defs.py`, whose head states its grammar. It is read on first use. A second
//! one has the operators of other libraries that smc knows, which models need not define.

use std::{collections::BTreeMap, sync::LazyLock};

use prost::Message;
use serde_json::Value as Json;
use smc_proto::{AttrValue, NameAttrList, TensorProto, attr_value::ListValue, attr_value::Value};

use super::types::{TfShape, type_named};

/// One operator.
#[derive(Debug)]
pub struct OpDef {
    /// Whether TensorFlow forbids to run it twice or not at all.
    pub stateful: bool,
    pub inputs: Vec<ArgDef>,
    pub outputs: Vec<ArgDef>,
    /// The attributes that may be absent, and what they are then.
    pub defaults: BTreeMap<&'static str, AttrValue>,
}

/// One named argument, which stands for one tensor or a list of them.
#[derive(Debug)]
pub struct ArgDef {
    pub name: &'static str,
    pub count: Count,
    /// A reference to a variable, not its value.
    pub is_ref: bool,
}

/// How many tensors an argument stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Count {
    One,
    /// The integer attribute of this name.
    Number(&'static str),
    /// The length of the list of types of this name.
    Types(&'static str),
}

static TABLE: LazyLock<BTreeMap<&'static str, OpDef>> =
    LazyLock::new(|| TEXTS.iter().flat_map(|text| text.lines()).map(parse_line).collect());

const TEXTS: [&str; 2] = [include_str!("op_defs.txt"), include_str!("other_op_defs.txt")];

/// The definition of an operator; `None` for a custom one.
pub fn op_def(op: &str) -> Option<&'static OpDef> {
    TABLE.get(op)
}

/// Every operator by name.
pub fn op_defs() -> impl Iterator<Item = (&'static str, &'static OpDef)> {
    TABLE.iter().map(|(name, def)| (*name, def))
}

fn parse_line(line: &'static str) -> (&'static str, OpDef) {
    let mut words = line.split(' ');
    let name = words.next().expect("a line has a name");
    let inputs = words.by_ref().take_while(|w| *w != ">").map(parse_arg).collect();
    let outputs = words.by_ref().take_while(|w| *w != ";").map(parse_arg).collect();
    let defaults = words.filter_map(|w| w.split_once('=')).map(|(head, default)| {
        let (name, kind) = head.split_once(':').expect("an attribute has a kind");
        let json = serde_json::from_str(default).unwrap_or_else(|e| panic!("operator table: {line}: {e}"));
        let value = parse_default(kind, &json).unwrap_or_else(|| panic!("operator table: {line}: {default}"));
        (name, AttrValue { value: Some(value) })
    });
    let defaults = defaults.collect();
    let plain = name.strip_suffix('!');
    (plain.unwrap_or(name), OpDef { stateful: plain.is_some(), inputs, outputs, defaults })
}

fn parse_arg(word: &'static str) -> ArgDef {
    let (name, ty) = word.split_once(':').expect("an argument has a type");
    let (ty, is_ref) = ty.strip_suffix('&').map_or((ty, false), |ty| (ty, true));
    let list = ty.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let count = match (list, ty.split_once('*')) {
        (Some(types), _) => Count::Types(types),
        (None, Some((_, number))) => Count::Number(number),
        (None, None) => Count::One,
    };
    ArgDef { name, count, is_ref }
}

fn parse_default(kind: &str, json: &Json) -> Option<Value> {
    if let Some(kind) = kind.strip_suffix("[]") {
        let mut list = ListValue::default();
        for item in json.as_array()? {
            match parse_default(kind, item)? {
                Value::S(s) => list.s.push(s),
                Value::I(i) => list.i.push(i),
                Value::F(f) => list.f.push(f),
                Value::B(b) => list.b.push(b),
                Value::Type(t) => list.r#type.push(t),
                Value::Shape(s) => list.shape.push(s),
                Value::Tensor(t) => list.tensor.push(t),
                Value::Func(f) => list.func.push(f),
                Value::List(_) | Value::Placeholder(_) => return None,
            }
        }
        return Some(Value::List(list));
    }
    Some(match kind {
        "string" => Value::S(json.as_str()?.to_string().into_bytes().into()),
        "int" => Value::I(json.as_i64()?),
        "float" => Value::F(json.as_f64().or_else(|| json.as_str()?.parse().ok())? as f32),
        "bool" => Value::B(json.as_bool()?),
        "type" => Value::Type(type_named(json.as_str()?)? as i32),
        "shape" => {
            let dims = json.as_array().map(|dims| dims.iter().map(|d| u64::try_from(d.as_i64()?).ok()).collect());
            Value::Shape(TfShape(dims).to_proto())
        }
        "func" => Value::Func(NameAttrList { name: json.as_str()?.into(), attr: BTreeMap::new() }),
        "tensor" => {
            let digits = json.as_str()?;
            let byte = |i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok();
            let bytes = (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
            Value::Tensor(TensorProto::decode(&bytes[..]).ok()?)
        }
        _ => return None,
    })
}

#[test]
fn the_table_reads() {
    assert!(TABLE.len() > 1900);
    let conv = op_def("Conv2D").unwrap();
    assert_eq!(conv.defaults["data_format"].value, Some(Value::S("NHWC".into())));
    assert!(!conv.stateful && !conv.defaults.contains_key("strides"));
    let split = op_def("Split").unwrap();
    assert_eq!((split.inputs[1].name, &split.outputs[0].count), ("value", &Count::Number("num_split")));
    assert_eq!(op_def("While").unwrap().outputs[0].count, Count::Types("T"));
    assert!(op_def("Assign").unwrap().inputs[0].is_ref && op_def("VarHandleOp").unwrap().stateful);
    let epsilon = &op_def("FusedBatchNormV3").unwrap().defaults["epsilon"];
    assert_eq!(epsilon.value, Some(Value::F(1e-4)));
    assert_eq!(op_def("SimpleMLInferenceOp").unwrap().outputs[0].name, "dense_predictions");
    assert!(op_def("NoSuchOp").is_none());
}
