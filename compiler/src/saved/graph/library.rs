//! The model's functions and its main graph, as scopes in which names are looked up.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::OnceLock,
};

use smc_proto::{AttrValue, FunctionDef, GraphDef, NodeDef, OpDef, attr_value::Value, op_def::ArgDef};

use super::{effect, reference::Reference};
use crate::saved::op_defs::{Count, op_def};

/// Nodes that may refer to each other: the main graph or a function's body.
pub struct Scope<'m> {
    pub nodes: &'m [NodeDef],
    pub function: Option<&'m FunctionDef>,
    index: OnceLock<HashMap<&'m str, usize>>,
}

impl<'m> Scope<'m> {
    fn new(nodes: &'m [NodeDef], function: Option<&'m FunctionDef>) -> Scope<'m> {
        Scope { nodes, function, index: OnceLock::new() }
    }
    /// The position of a node.
    pub fn find(&self, name: &str) -> Option<usize> {
        let index = || self.nodes.iter().enumerate().rev().map(|(i, n)| (n.name.as_str(), i)).collect();
        self.index.get_or_init(index).get(name).copied()
    }
    /// The function's name; empty for the main graph.
    pub fn name(&self) -> &'m str {
        self.function.and_then(|f| f.signature.as_ref()).map_or("", |s| &s.name)
    }
}

/// Every scope of a meta graph.
pub struct Library<'m> {
    pub main: Scope<'m>,
    /// The size of the file the graph was read from.
    pub bytes: usize,
    functions: BTreeMap<&'m str, Scope<'m>>,
    /// The model's own definitions of operators, which know those of other libraries.
    ops: BTreeMap<&'m str, &'m OpDef>,
    effects: OnceLock<BTreeSet<&'m str>>,
}

impl<'m> Library<'m> {
    pub fn new(graph: Option<&'m GraphDef>, ops: &'m [OpDef], bytes: usize) -> Library<'m> {
        let functions = graph.and_then(|g| g.library.as_ref()).into_iter().flat_map(|l| &l.function);
        let named = functions.filter_map(|f| Some((f.signature.as_ref()?.name.as_str(), f)));
        Library {
            main: Scope::new(graph.map_or(&[], |g| &g.node), None),
            bytes,
            functions: named.map(|(name, f)| (name, Scope::new(&f.node_def, Some(f)))).collect(),
            ops: ops.iter().map(|op| (op.name.as_str(), op)).collect(),
            effects: OnceLock::new(),
        }
    }
    /// The output arguments of an operator or function by name, each with the number of tensors it stands for (`None`
    /// when an attribute is missing that says it); `None` for an operator that nobody defines.
    pub fn outputs_of<'a>(&'a self, op: &str, attrs: &Attrs<'a>) -> Option<Vec<(&'a str, Option<usize>)>> {
        let counted = |args: &'a [ArgDef]| args.iter().map(|a| (a.name.as_str(), attrs.arg_count(a))).collect();
        if let Some(scope) = self.functions.get(op) {
            return Some(counted(&scope.function?.signature.as_ref()?.output_arg));
        }
        match (op_def(op), self.ops.get(op)) {
            (Some(known), _) => Some(known.outputs.iter().map(|a| (a.name, attrs.count(&a.count))).collect()),
            (None, custom) => custom.map(|def| counted(&def.output_arg)),
        }
    }
    pub fn function(&self, name: &str) -> Option<&Scope<'m>> {
        self.functions.get(name)
    }
    /// The function a node calls and that is inlined in its place: a call of the general kind, or of a function by name.
    pub fn callee(&self, node: &'m NodeDef) -> Option<&'m str> {
        if self.functions.contains_key(node.op.as_str()) {
            return Some(&node.op);
        }
        if !matches!(node.op.as_str(), "PartitionedCall" | "StatefulPartitionedCall") {
            return None;
        }
        match node.attr.get("f")?.value.as_ref()? {
            Value::Func(f) => Some(&f.name),
            _ => None,
        }
    }
    /// Whether running a node changes something besides its results, functions it calls included.
    pub fn effect_of(&self, op: &str, attrs: &BTreeMap<String, AttrValue>) -> bool {
        let known = |name: &str| self.functions.contains_key(name);
        effect::has_effect(op) && !known(op) || called(op, attrs, &known).any(|f| self.has_effect(f))
    }
    /// Whether running a function changes something besides its results.
    pub fn has_effect(&self, function: &str) -> bool {
        self.effects.get_or_init(|| self.find_effects()).contains(function)
    }
    /// The least set that holds every function with an effect and its callers.
    fn find_effects(&self) -> BTreeSet<&'m str> {
        let known = |name: &str| self.functions.contains_key(name);
        let mut callers: BTreeMap<&str, Vec<&'m str>> = BTreeMap::new();
        let mut found: Vec<&'m str> = Vec::new();
        for (&name, scope) in &self.functions {
            for node in scope.nodes {
                if effect::has_effect(&node.op) && !known(&node.op) {
                    found.push(name);
                }
                called(&node.op, &node.attr, &known).for_each(|callee| callers.entry(callee).or_default().push(name));
            }
        }
        let mut effects = BTreeSet::new();
        while let Some(name) = found.pop() {
            if effects.insert(name) {
                found.extend(callers.get(name).into_iter().flatten());
            }
        }
        effects
    }
}

/// The functions a node calls: itself, when it is one, and those in its attributes.
fn called<'n>(
    op: &'n str,
    attrs: &'n BTreeMap<String, AttrValue>,
    known: &impl Fn(&str) -> bool,
) -> impl Iterator<Item = &'n str> {
    let by_attr = attrs.values().flat_map(|attr| match &attr.value {
        Some(Value::Func(f)) => std::slice::from_ref(f),
        Some(Value::List(list)) => &list.func[..],
        _ => &[],
    });
    let itself = known(op).then_some(op);
    itself.into_iter().chain(by_attr.map(|f| f.name.as_str()))
}

/// The attributes of a node in a function's body: its own, where they name one of the function's that one's value, or
/// the operator's default.
#[derive(Clone, Copy)]
pub struct Attrs<'a> {
    pub own: &'a BTreeMap<String, AttrValue>,
    pub outer: Option<&'a BTreeMap<String, AttrValue>>,
    pub op: &'a str,
}

impl<'a> Attrs<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        match self.own.get(name).and_then(|a| a.value.as_ref()) {
            Some(Value::Placeholder(outer)) => self.outer?.get(outer)?.value.as_ref(),
            Some(value) => Some(value),
            None => op_def(self.op)?.defaults.get(name)?.value.as_ref(),
        }
    }
    fn number(&self, name: &str) -> Option<usize> {
        match self.get(name)? {
            Value::I(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }
    fn types(&self, name: &str) -> Option<usize> {
        match self.get(name)? {
            Value::List(list) => Some(list.r#type.len()),
            _ => None,
        }
    }
    /// How many tensors an argument of an operator stands for; `None` when the attribute is missing or negative.
    pub fn count(&self, count: &Count) -> Option<usize> {
        match count {
            Count::One => Some(1),
            Count::Number(name) => self.number(name),
            Count::Types(name) => self.types(name),
        }
    }
    /// How many tensors an argument of a function stands for.
    pub fn arg_count(&self, arg: &ArgDef) -> Option<usize> {
        match (arg.number_attr.as_str(), arg.type_list_attr.as_str()) {
            ("", "") => Some(1),
            (number, "") => self.number(number),
            (_, types) => self.types(types),
        }
    }
}

/// The data inputs of a node, in order.
pub fn data_inputs(node: &NodeDef) -> impl Iterator<Item = &str> {
    node.input.iter().map(String::as_str).filter(|i| !i.starts_with('^'))
}

/// The nodes that must run before a node.
pub fn control_inputs(node: &NodeDef) -> impl Iterator<Item = &str> {
    node.input.iter().filter_map(|i| Reference::parse(i)).filter(|r| r.control).map(|r| r.name)
}
