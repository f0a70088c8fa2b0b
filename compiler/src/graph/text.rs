//! The textual form of a graph: `parse(print(g)) == g`.
//!
//! One line each, in this order: assumptions, input ports, nodes in execution order, output ports.
//!
//! ```text
//! assume T == 2*floor(T,2)
//! assume N in 1, T
//! input "x" %0
//! %0 = input : f32[N,4]
//! %1 = const [0.5] : f32[]
//! %2 = const #9f86d081884c7d65 : f32[4,1000]
//! %3 = extent N : i64[]
//! %4 = reduce {"f":"add","axes":[1]} %0 : f32[N,1] @ "encoder/sum"
//! output "y" %4
//! ```
//!
//! Before the first result of control flow stand its graphs, each a text like this: the branches of an `if`, or the
//! condition, where there is one, and the body of a `loop`. A `call` of a function of the user's has none.
//!
//! ```text
//! regions 0 loop {"carried":1,"count":"T","conditional":false,"step":"i"}
//! graph {
//! ...
//! }
//! end
//! %5 = control {"of":0,"result":0} %3 %0 : f32[4]
//! ```
//!
//! Attributes are JSON; `@` names the source node. A constant of more than [`MAX_INLINE`] elements is a reference into
//! a store of constants. In hand-written text, nodes may have any name, types may be left out except for inputs and
//! constants, and `//` begins a comment line. Types that are given must be those that the operators infer.

use std::{collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    base::Symbol,
    op::{Control, ControlResult},
    tensor::DType,
};

/// The most elements that a constant has in text.
pub const MAX_INLINE: usize = 16;

/// Constants by the name that [`print()`] gives them.
pub type Constants = BTreeMap<String, Tensor>;

/// What is wrong with a text, and in which line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    pub line: usize,
    pub what: String,
}

impl std::fmt::Display for TextError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The graph as text, and the constants it refers to.
pub fn print(graph: &Graph) -> (String, Constants) {
    let (mut text, mut constants) = (String::new(), Constants::new());
    write_graph(graph, &mut text, &mut constants);
    (text, constants)
}

fn write_graph(graph: &Graph, text: &mut String, constants: &mut Constants) {
    let mut controls: Vec<&ControlResult> = vec![];
    for (a, b) in graph.facts().assumed() {
        line(text, format_args!("assume {a} == {b}"));
    }
    for (from, to) in graph.facts().repeated() {
        line(text, format_args!("assume {from} in 1, {to}"));
    }
    for port in &graph.inputs {
        line(text, format_args!("input {} %{}", quote(&port.name), port.node.index()));
    }
    for (id, node) in graph.iter() {
        if let Op::Control(of) = &node.op
            && !controls.iter().any(|known| known.is_beside(of))
        {
            write_control(controls.len(), of, text, constants);
            controls.push(of);
        }
        let operator = match &node.op {
            Op::Input => "input".into(),
            Op::Const(t) if t.count() <= MAX_INLINE => format!("const {}", elements(t)),
            Op::Const(t) => {
                let name = constant_name(t);
                let operator = format!("const #{name}");
                constants.entry(name).or_insert_with(|| t.clone());
                operator
            }
            Op::Extent(dim) => format!("extent {dim}"),
            Op::Control(of) => {
                let number = controls.iter().position(|known| known.is_beside(of)).expect("it was written");
                format!("control {{\"of\":{number},\"result\":{}}}", of.result)
            }
            op if op.attrs() == "{}" => op.name().into(),
            op => format!("{} {}", op.name(), op.attrs()),
        };
        let operands: String = node.inputs.iter().map(|i| format!(" %{}", i.index())).collect();
        let origin = graph.origin(id).map_or(String::new(), |name| format!(" @ {}", quote(name)));
        line(text, format_args!("%{} = {operator}{operands} : {}{origin}", id.index(), node.ty));
    }
    for port in &graph.outputs {
        line(text, format_args!("output {} %{}", quote(&port.name), port.node.index()));
    }
}

/// An operator that owns graphs, with them.
fn write_control(number: usize, of: &ControlResult, text: &mut String, constants: &mut Constants) {
    let regions = Regions::of(&*of.control);
    match regions {
        Regions::If(_) => line(text, format_args!("regions {number} if")),
        Regions::Loop(repeat) => {
            let head = LoopHead {
                carried: repeat.carried,
                count: repeat.count.clone(),
                conditional: repeat.condition.is_some(),
                step: repeat.step.name().to_string(),
            };
            let head = serde_json::to_string(&head).expect("plain data");
            line(text, format_args!("regions {number} loop {head}"));
        }
        Regions::Call(call) => {
            let head = serde_json::to_string(call).expect("plain data");
            line(text, format_args!("regions {number} call {head}"));
        }
    }
    for graph in regions.graphs() {
        line(text, format_args!("graph {{"));
        write_graph(graph, text, constants);
        line(text, format_args!("}}"));
    }
    line(text, format_args!("end"));
}

/// What the text says of a loop besides its graphs: the condition, if there is one, and the body.
#[derive(Serialize, Deserialize)]
struct LoopHead {
    carried: usize,
    count: Option<Dim>,
    conditional: bool,
    step: String,
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "{what}").expect("a string takes everything");
}

fn quote(name: &str) -> String {
    serde_json::to_string(name).expect("a string is JSON")
}

/// Sixteen digits of a hash over type and elements.
fn constant_name(t: &Tensor) -> String {
    let mut hash = Sha256::new();
    hash.update(t.ty().to_string());
    match t.dtype {
        DType::Str => t.strings().iter().for_each(|s| {
            hash.update((s.len() as u64).to_le_bytes());
            hash.update(s);
        }),
        _ => hash.update(t.bytes()),
    }
    hash.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// `[1,2,3]`: floats in the shortest form that reads back to the same value, NaN by its bits; strings as JSON lists of
/// bytes.
fn elements(t: &Tensor) -> String {
    let parts: Vec<String> = match t.dtype {
        DType::Str => t.strings().iter().map(|s| format!("{s:?}").replace(' ', "")).collect(),
        _ => t.scalars().map(|s| element(s, t.dtype)).collect(),
    };
    format!("[{}]", parts.join(","))
}

fn element(s: Scalar, dtype: DType) -> String {
    match s {
        Scalar::Bool(b) => b.to_string(),
        Scalar::Int(n) => n.to_string(),
        Scalar::Uint(n) => n.to_string(),
        Scalar::F32(v) if !v.is_nan() => format!("{v:?}"),
        Scalar::F64(v) if !v.is_nan() => format!("{v:?}"),
        s => {
            let mut bytes = vec![];
            s.write_le(dtype, &mut bytes);
            bytes.iter().rev().fold("0x".into(), |text, b| format!("{text}{b:02x}"))
        }
    }
}

fn parse_element(text: &str, dtype: DType) -> Infer<Scalar> {
    let bad = || format!("`{text}` is not a {dtype}");
    if let Some(digits) = text.strip_prefix("0x") {
        if digits.len() != 2 * dtype.size() || !digits.is_ascii() {
            return Err(bad());
        }
        let byte = |n: usize| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).map_err(|_| bad());
        let bytes: Vec<u8> = (0..dtype.size()).rev().map(byte).collect::<Result<_, _>>()?;
        return Ok(Scalar::read_le(dtype, &bytes));
    }
    let scalar = match dtype {
        DType::Bool => text.parse().ok().map(Scalar::Bool),
        d if d.is_signed_int() => text.parse().ok().map(Scalar::Int),
        d if d.is_unsigned_int() => text.parse().ok().map(Scalar::Uint),
        DType::F64 => text.parse().ok().map(Scalar::F64),
        d if d.is_float() => text.parse().ok().map(Scalar::F32),
        _ => None,
    };
    scalar.filter(|s| s.wrap(dtype) == *s || dtype.is_float()).map(|s| s.wrap(dtype)).ok_or_else(bad)
}

fn parse_elements(text: &str, ty: &TensorType) -> Infer<Tensor> {
    let shape = ty.concrete(&Default::default()).ok_or_else(|| format!("a constant of type {ty} has no fixed size"))?;
    let fits = |n: usize| {
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count == Some(n) { Ok(()) } else { Err(format!("{n} elements do not make a {ty}")) }
    };
    if ty.dtype == DType::Str {
        let strings: Vec<Vec<u8>> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        fits(strings.len())?;
        return Ok(Tensor::from_strings(shape, strings));
    }
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or("expected `[elements]`")?;
    let parts = crate::base::dim::split_list(inner);
    fits(parts.len())?;
    let scalars: Vec<Scalar> = parts.into_iter().map(|p| parse_element(p, ty.dtype)).collect::<Result<_, _>>()?;
    Ok(Tensor::from_scalars(ty.dtype, shape, scalars))
}

/// The graph that a text describes, its large constants taken from `constants`.
pub fn parse(text: &str, constants: &Constants) -> Result<Graph, TextError> {
    let mut parsers = vec![Parser::new(constants)];
    for (n, text) in text.lines().enumerate() {
        let text = text.trim();
        if !text.is_empty() && !text.starts_with("//") {
            next(&mut parsers, text).map_err(|what| TextError { line: n + 1, what })?;
        }
    }
    let end = |what| TextError { line: text.lines().count(), what };
    match parsers.pop() {
        Some(parser) if parsers.is_empty() => parser.finish().map_err(end),
        _ => Err(end("a graph of a region does not end".into())),
    }
}

/// Regions nest at most this deep.
const MAX_DEPTH: usize = 64;

/// Reads a line: of the innermost graph that is open, or one that begins or ends a graph of a region.
fn next<'a>(parsers: &mut Vec<Parser<'a>>, text: &str) -> Infer<()> {
    let depth = parsers.len();
    let parser = parsers.last_mut().expect("the outermost graph stays");
    match text {
        "graph {" if parser.open.is_none() => Err("a graph belongs to regions".into()),
        "graph {" if depth > MAX_DEPTH => Err(format!("regions nest more than {MAX_DEPTH} deep")),
        "graph {" => {
            let inner = Parser::new(parser.constants);
            parsers.push(inner);
            Ok(())
        }
        "}" if depth == 1 => Err("no graph of a region is open".into()),
        "}" => {
            let graph = parsers.pop().expect("there are two").finish()?;
            let open = parsers.last_mut().and_then(|parser| parser.open.as_mut());
            open.expect("it belongs to regions").1.push(graph);
            Ok(())
        }
        text => parser.line(text),
    }
}

struct Parser<'a> {
    graph: Graph,
    names: BTreeMap<String, NodeId>,
    /// Input ports, whose nodes follow later in the text.
    ports: Vec<(String, String)>,
    constants: &'a Constants,
    controls: Vec<Arc<dyn Control>>,
    /// Regions that do not end yet: their kind and attributes, and the graphs.
    open: Option<(String, Vec<Graph>)>,
}

impl<'a> Parser<'a> {
    fn new(constants: &'a Constants) -> Parser<'a> {
        let (graph, names) = (Graph::default(), BTreeMap::new());
        Parser { graph, names, ports: vec![], constants, controls: vec![], open: None }
    }
    fn line(&mut self, text: &str) -> Infer<()> {
        if let Some((head, graphs)) = &mut self.open {
            if text != "end" {
                return Err("expected `graph {` or `end`".into());
            }
            self.controls.push(control(head, std::mem::take(graphs))?);
            self.open = None;
        } else if let Some(rest) = text.strip_prefix("regions ") {
            let (number, head) = rest.split_once(' ').ok_or("expected a number and `if`, `loop` or `call`")?;
            if number.parse() != Ok(self.controls.len()) {
                return Err(format!("expected regions {}", self.controls.len()));
            }
            self.open = Some((head.trim().to_string(), vec![]));
        } else if let Some(rest) = text.strip_prefix("assume ") {
            if let Some((from, to)) = rest.split_once(" in 1,") {
                self.graph.assume_repeated(from.parse()?, to.parse()?);
            } else {
                let (a, b) = rest.split_once("==").ok_or("expected `assume a == b` or `assume a in 1, b`")?;
                self.graph.assume_equal(a.parse()?, b.parse()?);
            }
        } else if let Some(rest) = text.strip_prefix("input ") {
            let (name, rest) = json::<String>(rest)?;
            self.ports.push((name, rest.trim().into()));
        } else if let Some(rest) = text.strip_prefix("output ") {
            let (name, rest) = json::<String>(rest)?;
            let node = self.operand(rest.trim())?;
            self.graph.output(name, node);
        } else if text.starts_with('%') {
            self.node(text)?;
        } else {
            return Err("expected `assume`, `input`, `output` or `%name = ...`".into());
        }
        Ok(())
    }
    fn operand(&self, name: &str) -> Infer<NodeId> {
        self.names.get(name).copied().ok_or_else(|| format!("there is no {name} yet"))
    }
    fn node(&mut self, text: &str) -> Infer<()> {
        let (name, rest) = text.split_once('=').ok_or("expected `%name = operator`")?;
        let name = name.trim().to_string();
        let rest = rest.trim_start();
        let (operator, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        let rest = rest.trim_start();
        // What stands before the operands: attributes, elements or a dim.
        let (attrs, rest) = match operator {
            "const" | "extent" => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
            _ if rest.starts_with('{') => {
                let (_, after) = json::<serde::de::IgnoredAny>(rest)?;
                rest.split_at(rest.len() - after.len())
            }
            _ => ("{}", rest),
        };
        let (operands, rest) = rest.split_at(rest.find([':', '@']).unwrap_or(rest.len()));
        let operands: Vec<NodeId> = operands.split_whitespace().map(|o| self.operand(o)).collect::<Result<_, _>>()?;
        let (ty, rest) = match rest.strip_prefix(':') {
            Some(rest) => rest.split_at(rest.find('@').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let ty: Option<TensorType> = if ty.is_empty() { None } else { Some(ty.trim().parse()?) };
        let origin = match rest.strip_prefix('@') {
            Some(rest) => Some(json::<String>(rest)?.0.into()),
            None => None,
        };
        self.graph.set_origin(origin);
        let id = self.add(operator, attrs, &operands, ty.as_ref())?;
        if let Some(ty) = ty.filter(|ty| ty != self.graph.ty(id)) {
            return Err(format!("{operator} gives {}, not {ty}", self.graph.ty(id)));
        }
        if self.names.insert(name.clone(), id).is_some() {
            return Err(format!("there are two {name}"));
        }
        Ok(())
    }
    fn add(&mut self, operator: &str, attrs: &str, operands: &[NodeId], ty: Option<&TensorType>) -> Infer<NodeId> {
        let ty = || ty.ok_or_else(|| format!("the type of an {operator} is not given"));
        match operator {
            "input" => Ok(self.graph.push(Op::Input, vec![], ty()?.clone())),
            "const" => {
                let value = match attrs.strip_prefix('#') {
                    Some(name) => self.constants.get(name).cloned().ok_or_else(|| format!("no constant #{name}"))?,
                    None => parse_elements(attrs, ty()?)?,
                };
                Ok(self.graph.constant(value))
            }
            "extent" => {
                let op = Op::Extent(attrs.parse()?);
                Ok(self.graph.push(op, vec![], TensorType::scalar(DType::I64)))
            }
            "control" => {
                let Place { of, result } = serde_json::from_str(attrs).map_err(|e| e.to_string())?;
                let control = self.controls.get(of).cloned().ok_or_else(|| format!("there are no regions {of}"))?;
                self.graph.add(Op::Control(ControlResult { control, result }), operands)
            }
            _ => self.graph.add(Op::parse(operator, attrs)?, operands),
        }
    }
    fn finish(mut self) -> Infer<Graph> {
        for (name, node) in std::mem::take(&mut self.ports) {
            let node = self.operand(&node)?;
            self.graph.inputs.push(Port { name, node });
        }
        let unnamed = |(id, node): &(NodeId, &Node)| {
            node.op == Op::Input && self.graph.inputs.iter().filter(|p| p.node == *id).count() != 1
        };
        if let Some((id, _)) = self.graph.iter().find(unnamed) {
            return Err(format!("input node {} does not have one input port", id.index()));
        }
        self.graph.set_origin(None);
        self.graph.verify()?;
        Ok(self.graph)
    }
}

/// Which result of which regions a node stands for.
#[derive(Deserialize)]
struct Place {
    of: usize,
    result: usize,
}

/// The operator of some regions.
fn control(head: &str, mut graphs: Vec<Graph>) -> Infer<Arc<dyn Control>> {
    if head == "if" {
        return Ok(Arc::new(If { branches: graphs }));
    }
    if let Some(attrs) = head.strip_prefix("call") {
        let call: Call = serde_json::from_str(attrs).map_err(|e| e.to_string())?;
        return if graphs.is_empty() { Ok(Arc::new(call)) } else { Err("a call owns no graphs".into()) };
    }
    let attrs = head.strip_prefix("loop").ok_or("expected `if`, `loop` or `call`")?;
    let LoopHead { carried, count, conditional, step } = serde_json::from_str(attrs).map_err(|e| e.to_string())?;
    let wanted = 1 + usize::from(conditional);
    if graphs.len() != wanted {
        return Err(format!("expected {wanted} graphs, got {}", graphs.len()));
    }
    let body = graphs.pop().ok_or("a loop has a body")?;
    Ok(Arc::new(Loop { carried, count, condition: graphs.pop(), step: Symbol::new(&step), body }))
}

/// The JSON value at the start of a text, and what follows it.
fn json<'t, T: Deserialize<'t>>(text: &'t str) -> Infer<(T, &'t str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next().ok_or("expected a JSON value")?.map_err(|e| e.to_string())?;
    Ok((value, &text[values.byte_offset()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_written_text_is_read() {
        let text = r#"
            // Only inputs and constants need a type.
            assume T == 2*floor(T,2)
            input "x" %x
            %x = input : f32[N,T]
            %half = const [0.5] : f32[]
            %one = reshape {"shape":[1,1]} %half
            %many = broadcast {"shape":["N","T"]} %one
            %y = binary {"f":"mul"} %x %many : f32[N,T] @ "scale/mul : @"
            output "y" %y"#;
        let graph = parse(text, &Constants::new()).unwrap();
        let (printed, _) = print(&graph);
        assert_eq!(
            printed,
            "assume T == 2*floor(T,2)\n\
             input \"x\" %0\n\
             %0 = input : f32[N,T]\n\
             %1 = const [0.5] : f32[]\n\
             %2 = reshape {\"shape\":[1,1]} %1 : f32[1,1]\n\
             %3 = broadcast {\"shape\":[\"N\",\"T\"]} %2 : f32[N,T]\n\
             %4 = binary {\"f\":\"mul\"} %0 %3 : f32[N,T] @ \"scale/mul : @\"\n\
             output \"y\" %4\n"
        );
        assert_eq!(parse(&printed, &Constants::new()).unwrap(), graph);
    }

    #[test]
    fn constants_keep_every_bit() {
        let mut g = Graph::default();
        let bits = [f32::NAN.to_bits() | 1, f32::NAN.to_bits() | 1 << 31, 0x8000_0000, 1, f32::INFINITY.to_bits()];
        g.constant(Tensor::from_f32([5], &bits.map(f32::from_bits)));
        g.constant(Tensor::from_strings([2, 1], vec![vec![0, 255, b'"'], vec![]]));
        g.constant(Tensor::scalar(DType::C128, Scalar::C128(-0.0, f64::NAN)));
        g.constant(Tensor::scalar(DType::U64, Scalar::Uint(u64::MAX)));
        g.constant(Tensor::scalar(DType::BF16, Scalar::F32(1.0 / 3.0).wrap(DType::BF16)));
        let large = g.constant(Tensor::zeros(DType::F16, [3, 9]));
        g.constant(Tensor::zeros(DType::F16, [0, 9]));
        g.output("large", large);
        let (text, constants) = print(&g);
        assert_eq!(constants.len(), 1);
        assert_eq!(parse(&text, &constants).unwrap(), g);
    }

    #[test]
    fn errors_name_the_line() {
        let check = |text: &str, error: &str| {
            assert_eq!(parse(text, &Constants::new()).unwrap_err().to_string(), error);
        };
        check("input \"x\" %0\n%0 = input : f32[2]\n%1 = dot %0 %0", "line 3: dot: cannot multiply f32[2] by f32[2]");
        check("%0 = const [1,2] : i32[3]", "line 1: 2 elements do not make a i32[3]");
        check("%0 = const [300] : u8[1]", "line 1: `300` is not a u8");
        check(
            "%0 = const [1] : i64[]\n%1 = unary {\"f\":\"neg\"} %0 : i64[1]",
            "line 2: unary gives i64[], not i64[1]",
        );
        check("%1 = unary {\"f\":\"neg\"} %0", "line 1: there is no %0 yet");
        check("%0 = const #12 : f32[99]", "line 1: no constant #12");
        check("\n%0 = magic", "line 2: unknown op `magic`");
        check("%0 = input : f32[]", "line 1: input node 0 does not have one input port");
    }
}
