//! Declarations of custom operators: what a file of the user's says of operators that are none of TensorFlow's.
//!
//! A declaration is to a custom operator what TensorFlow's own definition is to one of its operators, and says besides what
//! shapes and types the outputs have, and which function computes them. `docs/custom-operators.md` is the manual.

mod grammar;
mod skeleton;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use grammar::{Arith, Condition, Expr, Item, ShapeRule};
use serde::Deserialize;
pub use skeleton::skeleton;
use smc_proto::OpDef;

use super::op_defs::op_def;
use crate::{
    base::{Diagnostic, Problems},
    op::{Attribute, Function},
    tensor::DType,
};

/// What is known of operators that are none of TensorFlow's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operators {
    /// By name, as nodes name them.
    pub declared: BTreeMap<String, Declaration>,
    /// What the model's file says of those that it uses.
    pub defined: BTreeMap<String, OpDef>,
}

impl Operators {
    /// The same declarations, and what a model's file says of operators.
    pub fn beside(&self, ops: &[OpDef]) -> Arc<Operators> {
        let ops = ops.iter().filter(|op| op_def(&op.name).is_none());
        let defined = ops.map(|op| (op.name.clone(), op.clone())).collect();
        Arc::new(Operators { declared: self.declared.clone(), defined })
    }
}

/// A custom operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    pub name: String,
    /// The C function.
    pub symbol: String,
    /// Whether it runs though nobody asks for its outputs, in the order of control edges.
    pub effect: bool,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Output>,
    pub attributes: Vec<Attr>,
    pub conditions: Vec<Condition>,
    pub function: Option<SameFunction>,
}

/// A function, which is told apart from others by its address.
#[derive(Clone, Debug)]
pub struct SameFunction(pub Function);

impl PartialEq for SameFunction {
    fn eq(&self, other: &SameFunction) -> bool {
        self.0.address() == other.0.address()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: String,
    /// The element types that the function takes.
    pub types: Vec<DType>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub name: String,
    pub ty: TypeRule,
    pub shape: ShapeRule,
}

/// The element type of an output.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeRule {
    Fixed(DType),
    /// That of an input.
    Of(String),
    /// An attribute's.
    Attr(String),
}

/// An attribute that the function gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Attr {
    pub name: String,
    pub kind: Kind,
    /// Where neither the node nor the model's own definition of the operator has it.
    pub default: Option<Attribute>,
}

/// As TensorFlow calls kinds of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Kind {
    #[serde(rename = "int")]
    Int,
    #[serde(rename = "float")]
    Float,
    #[serde(rename = "bool")]
    Bool,
    #[serde(rename = "string")]
    String,
    #[serde(rename = "type")]
    Type,
    #[serde(rename = "shape")]
    Shape,
    #[serde(rename = "list(int)")]
    Ints,
    #[serde(rename = "list(float)")]
    Floats,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    operator: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    symbol: String,
    #[serde(default)]
    effect: bool,
    #[serde(default)]
    inputs: Vec<WrittenInput>,
    #[serde(default)]
    outputs: Vec<WrittenOutput>,
    #[serde(default)]
    attributes: Vec<WrittenAttr>,
    #[serde(default)]
    require: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    name: String,
    #[serde(rename = "type")]
    ty: Types,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Types {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOutput {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    shape: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAttr {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    default: Option<toml::Value>,
}

/// The declarations in a text of TOML, or all that is wrong with it.
pub fn parse(text: &str) -> Result<Operators, Problems> {
    let file: File = toml::from_str(text).map_err(|e| Diagnostic::error(e.to_string().trim_end().to_owned()))?;
    let (mut all, mut problems, mut symbols) = (Operators::default(), Problems::default(), BTreeSet::new());
    for written in file.operator {
        let name = written.name.clone();
        let twice = all.declared.contains_key(&name) || !symbols.insert(written.symbol.clone());
        let declared = declaration(written);
        match declared {
            Ok(_) if twice => {
                problems
                    .push(Diagnostic::error(format!("operator `{name}`: its name or its symbol is declared twice")));
            }
            Ok(declared) => {
                all.declared.insert(name, declared);
            }
            Err(why) => problems.push(Diagnostic::error(format!("operator `{name}`: {why}"))),
        }
    }
    problems.or(all)
}

/// The element type that TensorFlow calls so.
pub fn type_named(name: &str) -> Option<DType> {
    let plain = match name {
        "half" => "float16",
        "float" => "float32",
        "double" => "float64",
        other => other,
    };
    DType::ALL.into_iter().find(|dtype| type_name(*dtype) == plain)
}

/// What TensorFlow calls an element type.
pub fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::F32 => "float32",
        DType::F64 => "float64",
        DType::C64 => "complex64",
        DType::C128 => "complex128",
        DType::Str => "string",
    }
}

/// Words of C that are no names.
const C_WORDS: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "asm",
    "auto",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "main",
    "mutable",
    "namespace",
    "new",
    "not",
    "operator",
    "or",
    "private",
    "protected",
    "public",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "xor",
];

fn is_c_name(name: &str) -> bool {
    let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !C_WORDS.contains(&name)
}

fn declaration(written: Written) -> Result<Declaration, String> {
    let Written { name, symbol, effect, inputs, outputs, attributes, require } = written;
    if op_def(&name).is_some() {
        return Err("it is one of TensorFlow's own, which no declaration changes".into());
    }
    if !is_c_name(&symbol) || symbol.starts_with("smc_") || symbol.starts_with("__") {
        return Err(format!("`{symbol}` cannot be the name of its C function"));
    }
    let names = inputs.iter().map(|i| &i.name).chain(attributes.iter().map(|a| &a.name));
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for name in names {
        if !is_c_name(name) {
            return Err(format!("`{name}` is no name of letters, digits and `_`"));
        }
        if !taken.insert(name) || type_named(name).is_some() {
            return Err(format!("`{name}` is the name of two things, or of a type"));
        }
    }
    let known = Known {
        inputs: inputs.iter().map(|input| input.name.clone()).collect(),
        attributes: attributes.iter().map(|a| (a.name.clone(), a.kind)).collect(),
    };
    let output = |output: WrittenOutput| {
        let place = |why: String| format!("output `{}`: {why}", output.name);
        let rule = grammar::shape(&output.shape).map_err(place)?;
        known.check_shape(&rule).map_err(place)?;
        Ok(Output { ty: known.ty(&output.ty).map_err(place)?, shape: rule, name: output.name.clone() })
    };
    let condition = |text: &String| {
        let place = |why: String| format!("`{text}`: {why}");
        let condition = grammar::condition(text).map_err(place)?;
        [&condition.left, &condition.right].into_iter().try_for_each(|e| known.check(e)).map_err(place)?;
        Ok(condition)
    };
    let declared_outputs: Result<Vec<Output>, String> = outputs.into_iter().map(output).collect();
    let conditions = require.iter().map(condition).collect::<Result<_, String>>()?;
    if inputs.is_empty() && attributes.is_empty() && declared_outputs.as_ref().is_ok_and(Vec::is_empty) && !effect {
        return Err("it has neither outputs nor an effect".into());
    }
    Ok(Declaration {
        outputs: declared_outputs?,
        conditions,
        inputs: inputs.into_iter().map(input).collect::<Result<_, String>>()?,
        attributes: attributes.into_iter().map(attr).collect::<Result<_, String>>()?,
        name,
        symbol,
        effect,
        function: None,
    })
}

fn input(written: WrittenInput) -> Result<Input, String> {
    let names = match written.ty {
        Types::One(one) => vec![one],
        Types::Several(all) => all,
    };
    let ty = |name: &String| type_named(name).ok_or_else(|| format!("input `{}`: `{name}` is no type", written.name));
    let types = names.iter().map(ty).collect::<Result<Vec<_>, _>>()?;
    if types.is_empty() {
        return Err(format!("input `{}` takes no type", written.name));
    }
    Ok(Input { types, name: written.name })
}

fn attr(written: WrittenAttr) -> Result<Attr, String> {
    let WrittenAttr { name, kind, default } = written;
    let value = |value: toml::Value| {
        default_of(kind, &value).ok_or_else(|| format!("attribute `{name}`: its default is of another type"))
    };
    let default = default.map(value).transpose()?;
    Ok(Attr { name, kind, default })
}

fn default_of(kind: Kind, value: &toml::Value) -> Option<Attribute> {
    let real = |value: &toml::Value| value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
    let list = || value.as_array();
    Some(match kind {
        Kind::Int => Attribute::Int(value.as_integer()?),
        Kind::Float => Attribute::Real(f64::from(real(value)? as f32)),
        Kind::Bool => Attribute::Int(i64::from(value.as_bool()?)),
        Kind::String => Attribute::Text(value.as_str()?.as_bytes().to_vec()),
        Kind::Type => Attribute::Int(type_named(value.as_str()?)?.number()),
        Kind::Shape | Kind::Ints => {
            Attribute::Ints(list()?.iter().map(toml::Value::as_integer).collect::<Option<_>>()?)
        }
        Kind::Floats => {
            Attribute::Reals(list()?.iter().map(|x| real(x).map(|x| f64::from(x as f32))).collect::<Option<_>>()?)
        }
    })
}

/// The names that rules may use.
struct Known {
    inputs: Vec<String>,
    attributes: BTreeMap<String, Kind>,
}

impl Known {
    fn is_input(&self, name: &str) -> bool {
        self.inputs.iter().any(|input| input == name)
    }
    fn is_list(&self, name: &str) -> bool {
        matches!(self.attributes.get(name), Some(Kind::Ints | Kind::Shape))
    }
    fn ty(&self, name: &str) -> Result<TypeRule, String> {
        match (type_named(name), self.attributes.get(name)) {
            (Some(dtype), _) => Ok(TypeRule::Fixed(dtype)),
            (None, Some(Kind::Type)) => Ok(TypeRule::Attr(name.into())),
            (None, None) if self.is_input(name) => Ok(TypeRule::Of(name.into())),
            _ => Err(format!("`{name}` is no type, no input and no attribute of the kind `type`")),
        }
    }
    fn check_shape(&self, rule: &ShapeRule) -> Result<(), String> {
        match rule {
            ShapeRule::Of(name) if self.is_input(name) => Ok(()),
            ShapeRule::Of(name) => Err(format!("there is no input `{name}`")),
            ShapeRule::Extents { items, bounded } => {
                if *bounded && !matches!(items.first(), Some(Item::One(_))) {
                    return Err("what `<=` bounds is one extent".into());
                }
                items.iter().try_for_each(|item| match item {
                    Item::One(expr) => self.check(expr),
                    Item::Some(name, ..) if self.is_input(name) || self.is_list(name) => Ok(()),
                    Item::Some(name, ..) => {
                        Err(format!("there is no input `{name}`, and no attribute that is a list of integers"))
                    }
                })
            }
        }
    }
    fn check(&self, expr: &Expr) -> Result<(), String> {
        match expr {
            Expr::Int(_) => Ok(()),
            Expr::Name(name) => match self.attributes.get(name) {
                Some(Kind::Int | Kind::Bool) => Ok(()),
                _ if self.is_input(name) => Err(format!("`{name}` is an input: `{name}[0]` is its first extent")),
                _ => Err(format!("there is no attribute `{name}` that is an integer")),
            },
            Expr::At(name, _) if self.is_input(name) || self.is_list(name) => Ok(()),
            Expr::Rank(name) if self.is_input(name) => Ok(()),
            Expr::At(name, _) | Expr::Rank(name) => Err(format!("there is no input `{name}`")),
            Expr::Op(_, a, b) => self.check(a).and_then(|()| self.check(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELU: &str = r#"
        [[operator]]
        name = "My>Relu"
        symbol = "my_relu"
        inputs = [{ name = "x", type = ["float32", "double"] }]
        outputs = [{ name = "y", type = "x", shape = "[<= x[0], x[1:], k]" }]
        attributes = [{ name = "k", type = "int", default = 3 }, { name = "alpha", type = "float", default = 0.1 }]
        require = ["rank(x) >= 1"]
    "#;

    #[test]
    fn a_declaration_is_read() {
        let all = parse(RELU).unwrap();
        let relu = &all.declared["My>Relu"];
        assert_eq!(relu.inputs[0].types, [DType::F32, DType::F64]);
        assert_eq!(relu.outputs[0].ty, TypeRule::Of("x".into()));
        assert_eq!(relu.attributes[1].default, Some(Attribute::Real(f64::from(0.1f32))));
        assert!(!relu.effect && relu.conditions.len() == 1);
    }

    #[test]
    fn mistakes_are_told() {
        let check = |from: &str, to: &str, expected: &str| {
            let problems = parse(&RELU.replacen(from, to, 1)).unwrap_err();
            assert!(problems.0[0].message.contains(expected), "{}", problems.0[0].message);
        };
        check("My>Relu", "MatMul", "one of TensorFlow's own");
        check("\"my_relu\"", "\"my relu\"", "cannot be the name");
        check("symbol", "symbl", "unknown field");
        check("x[1:]", "z[1:]", "there is no input `z`");
        check("[<= x[0]", "[<= x[:]", "what `<=` bounds is one extent");
        check("\"double\"", "\"real\"", "`real` is no type");
        check("default = 3", "default = \"3\"", "its default is of another type");
        check("type = \"x\"", "type = \"k\"", "`k` is no type, no input");
        check("rank(x) >= 1", "x >= 1", "`x` is an input");
        check("name = \"k\"", "name = \"x\"", "the name of two things");
        let twice = parse(&format!("{RELU}{RELU}")).unwrap_err();
        assert!(twice.0[0].message.contains("declared twice"));
    }
}
