//! The model's functions and its main graph, as scopes in which names are looked up.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

use smc_proto::{AttrValue, FunctionDef, GraphDef, NodeDef, attr_value::Value, op_def::ArgDef};

use super::{Node, effect, reference::Reference};
use crate::saved::{
    custom::Operators,
    op_defs::{Count, op_def},
};

/// Nodes that may refer to each other: the main graph or a function's body.
pub struct Scope<'m> {
    pub nodes: &'m [NodeDef],
    pub function: Option<&'m FunctionDef>,
    /// Whether an argument may stand for several tensors.
    pub takes_lists: bool,
    index: OnceLock<HashMap<&'m str, usize>>,
}

impl<'m> Scope<'m> {
    fn new(nodes: &'m [NodeDef], function: Option<&'m FunctionDef>) -> Scope<'m> {
        let args = function.and_then(|f| f.signature.as_ref()).into_iter().flat_map(|s| &s.input_arg);
        let takes_lists = args.into_iter().any(|a| !a.number_attr.is_empty() || !a.type_list_attr.is_empty());
        Scope { nodes, function, takes_lists, index: OnceLock::new() }
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
    /// What is known of operators that are none of TensorFlow's.
    operators: Arc<Operators>,
    effects: OnceLock<Effects<'m>>,
}

impl<'m> Library<'m> {
    pub fn new(graph: Option<&'m GraphDef>, operators: Arc<Operators>, bytes: usize) -> Library<'m> {
        let functions = graph.and_then(|g| g.library.as_ref()).into_iter().flat_map(|l| &l.function);
        let named = functions.filter_map(|f| Some((f.signature.as_ref()?.name.as_str(), f)));
        Library {
            main: Scope::new(graph.map_or(&[], |g| &g.node), None),
            bytes,
            functions: named.map(|(name, f)| (name, Scope::new(&f.node_def, Some(f)))).collect(),
            operators,
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
        match (op_def(op), self.operators.defined.get(op), self.operators.declared.get(op)) {
            (Some(known), ..) => Some(known.outputs.iter().map(|a| (a.name, attrs.count(&a.count))).collect()),
            (None, Some(def), _) => Some(counted(&def.output_arg)),
            (None, None, declared) => declared.map(|d| d.outputs.iter().map(|o| (o.name.as_str(), Some(1))).collect()),
        }
    }
    /// What is known of operators that are none of TensorFlow's.
    pub fn operators(&self) -> &Arc<Operators> {
        &self.operators
    }
    /// Adds the attributes that a node of a custom operator leaves out, as the model's own definition has them.
    pub fn fill_in(&self, node: &mut Node) {
        let Some(def) = self.operators.defined.get(&node.op) else { return };
        for attr in &def.attr {
            if let Some(default) = &attr.default_value {
                node.attrs.entry(attr.name.clone()).or_insert_with(|| default.clone());
            }
        }
    }
    /// Whether an operator has an effect by itself.
    fn has_own_effect(&self, op: &str) -> bool {
        effect::has_effect(op) && self.operators.declared.get(op).is_none_or(|declared| declared.effect)
    }
    pub fn function(&self, name: &str) -> Option<&Scope<'m>> {
        self.functions.get(name)
    }
    /// The function a node calls and that is inlined in its place: a call of the general kind, or of a function by name.
    pub fn callee(&self, node: &'m NodeDef) -> Option<Callee<'m>> {
        if self.functions.contains_key(node.op.as_str()) {
            return Some(Callee { function: &node.op, attrs: &node.attr, first: 0 });
        }
        if !matches!(node.op.as_str(), "PartitionedCall" | "StatefulPartitionedCall") {
            return None;
        }
        match node.attr.get("f")?.value.as_ref()? {
            // The general call carries the function's attributes beside its name.
            Value::Func(f) => Some(Callee { function: &f.name, attrs: &f.attr, first: 0 }),
            _ => None,
        }
    }
    /// The functions between which an `If` (else, then) or a `Case` chooses; they take its operands from the second on.
    pub fn branches(node: &'m NodeDef) -> Vec<Callee<'m>> {
        let attr = |name: &str| node.attr.get(name).and_then(|a| a.value.as_ref());
        let functions = match (attr("else_branch"), attr("then_branch"), attr("branches")) {
            (Some(Value::Func(no)), Some(Value::Func(yes)), _) => vec![no, yes],
            (_, _, Some(Value::List(list))) => list.func.iter().collect(),
            _ => vec![],
        };
        functions.into_iter().map(|f| Callee { function: &f.name, attrs: &f.attr, first: 1 }).collect()
    }
    /// Whether running a node changes something besides its results, functions it calls included.
    pub fn effect_of(&self, op: &str, attrs: &BTreeMap<String, AttrValue>) -> bool {
        let known = |name: &str| self.functions.contains_key(name);
        self.has_own_effect(op) && !known(op) || called(op, attrs, &known).any(|f| self.has_effect(f))
    }
    /// Whether running a function changes something besides its results.
    pub fn has_effect(&self, function: &str) -> bool {
        self.effects().contains_key(function)
    }
    /// The operators with an effect in the functions that a node names, each with a node of that operator.
    pub fn effects_within(&self, op: &str, attrs: &BTreeMap<String, AttrValue>) -> BTreeMap<String, String> {
        let known = |name: &str| self.functions.contains_key(name);
        let within = called(op, attrs, &known).filter_map(|f| self.effects().get(f)).flatten();
        within.map(|(op, node)| (op.to_string(), node.to_string())).collect()
    }
    fn effects(&self) -> &Effects<'m> {
        self.effects.get_or_init(|| self.find_effects())
    }
    /// The least map that holds every effect of a function for its callers too.
    fn find_effects(&self) -> Effects<'m> {
        let known = |name: &str| self.functions.contains_key(name);
        let mut callers: BTreeMap<&str, Vec<&'m str>> = BTreeMap::new();
        let mut found: Vec<(&'m str, &'m str, &'m str)> = Vec::new();
        for (&name, scope) in &self.functions {
            for node in scope.nodes {
                if self.has_own_effect(&node.op) && !known(&node.op) {
                    found.push((name, &node.op, &node.name));
                }
                called(&node.op, &node.attr, &known).for_each(|callee| callers.entry(callee).or_default().push(name));
            }
        }
        let mut effects = Effects::new();
        while let Some((name, op, node)) = found.pop() {
            let of_function = effects.entry(name).or_default();
            // A function needs one operator of another library to be known for it, which bounds the work.
            let is_custom = |op: &str| op_def(op).is_none();
            if of_function.contains_key(op) || (is_custom(op) && of_function.keys().any(|o| is_custom(o))) {
                continue;
            }
            of_function.insert(op, node);
            found.extend(callers.get(name).into_iter().flatten().map(|&caller| (caller, op, node)));
        }
        effects
    }
}

/// By function, the operators with an effect in it and in what it calls, each with a node of that operator.
type Effects<'m> = BTreeMap<&'m str, BTreeMap<&'m str, &'m str>>;

/// A function that a node calls.
pub struct Callee<'m> {
    pub function: &'m str,
    /// What its attributes are.
    pub attrs: &'m BTreeMap<String, AttrValue>,
    /// The node's operand that is its first argument.
    pub first: usize,
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
