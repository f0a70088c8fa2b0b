//! Collects the nodes that some tensors and operations need, stepping into the functions they call.
//!
//! The collector works on demand: a node is visited when a visited node refers to it, a function is entered when one of
//! its results or effects is needed, and nothing behind a fed tensor is seen. A call leaves no node behind: its results
//! are the tensors the function returns. Two `NoOp`s keep its place in the order of effects: one before every stateful
//! node of the body (with the call's control inputs), one after all of the body's effects (for those that wait for the
//! call). Pruning removes them again where they order nothing.
//!
//! Nothing here recurses, and nodes are counted: a file in which functions multiply each other ends in a diagnostic.

mod resolve;

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use smc_proto::{AttrValue, DataType, NameAttrList, NodeDef, TensorProto, attr_value::Value};

use super::{
    Branches, Decision, Node, NodeOutput, Origin, Port, Reference, Site, TfGraph, effect, is_branch, is_functional,
    library::{Callee, Library, Scope, control_inputs, data_inputs},
    prune,
};
use crate::{
    base::{Arena, Diagnostic, Id, Problems},
    saved::types::TfType,
};

/// How many nodes a graph may have after inlining, and how much larger than its file it may grow.
const MAX_NODES: usize = 1_000_000;
const MAX_GROWTH: usize = 64;
/// How deep functions may call each other, and how many calls and arguments one tensor may pass through.
const MAX_DEPTH: usize = 200;
const MAX_STEPS: usize = 10_000;

/// One use of a scope: the main graph, or a function's body at one call.
struct Frame<'l, 'm> {
    scope: &'l Scope<'m>,
    /// The frame and position of the call.
    call: Option<(usize, usize)>,
    /// The call's operand that is the first argument.
    first: usize,
    /// What the arguments are, when there is no call.
    args: Vec<NodeOutput>,
    /// The attributes by which the function's own are instantiated.
    attrs: BTreeMap<String, AttrValue>,
    prefix: String,
    depth: usize,
    /// Runs before the body's stateful nodes; after the body's effects.
    entry: Option<Id<Node>>,
    exit: Option<Id<Node>>,
}

enum Todo {
    Node { frame: usize, at: usize, id: Id<Node> },
    Entry { frame: usize, id: Id<Node> },
    Exit { frame: usize, id: Id<Node> },
}

/// A graph in the making.
pub struct Builder<'l, 'm> {
    library: &'l Library<'m>,
    nodes: Arena<Node>,
    frames: Vec<Frame<'l, 'm>>,
    seen: HashMap<(usize, usize), Id<Node>>,
    entered: HashMap<(usize, usize), usize>,
    branches: &'l Branches,
    sites: BTreeMap<Id<Node>, Site>,
    decisions: Vec<Decision>,
    feeds: HashMap<(usize, u32), NodeOutput>,
    /// Nodes of which some output is fed: they do not run.
    fed: HashMap<usize, Id<Node>>,
    todo: Vec<Todo>,
    budget: usize,
    problems: Problems,
}

/// Frame 0 is always the main graph.
const MAIN: usize = 0;

impl<'l, 'm> Builder<'l, 'm> {
    pub fn new(library: &'l Library<'m>) -> Builder<'l, 'm> {
        static NONE: Branches = Branches::new();
        Builder::taking(library, &NONE)
    }

    /// A builder that knows which functions some nodes call.
    pub fn taking(library: &'l Library<'m>, branches: &'l Branches) -> Builder<'l, 'm> {
        let mut builder = Builder {
            branches,
            sites: BTreeMap::new(),
            decisions: Vec::new(),
            library,
            nodes: Arena::default(),
            frames: Vec::new(),
            seen: HashMap::new(),
            entered: HashMap::new(),
            feeds: HashMap::new(),
            fed: HashMap::new(),
            todo: Vec::new(),
            budget: library.bytes.saturating_mul(MAX_GROWTH).saturating_add(1 << 20),
            problems: Problems::default(),
        };
        builder.add_frame(&library.main, None, BTreeMap::new(), String::new(), 0);
        builder
    }

    fn add_frame(
        &mut self,
        scope: &'l Scope<'m>,
        call: Option<(usize, usize)>,
        attrs: BTreeMap<String, AttrValue>,
        prefix: String,
        depth: usize,
    ) -> usize {
        let (args, entry, exit) = (Vec::new(), None, None);
        self.frames.push(Frame { scope, call, first: 0, args, attrs, prefix, depth, entry, exit });
        self.frames.len() - 1
    }

    /// Adds a node that no scope defines.
    pub fn add(&mut self, node: Node) -> NodeOutput {
        NodeOutput { node: self.nodes.push(node), index: 0 }
    }

    /// Adds an input that stands for no tensor of the main graph.
    pub fn input(&mut self, key: &str, name: &str, ty: TfType) -> Port {
        let node = Node::input(name, &ty);
        Port { key: key.into(), source: self.add(node), ty }
    }

    /// Cuts the main graph at a tensor, which becomes an input. Two keys may name one tensor.
    pub fn feed(&mut self, key: &str, tensor: &str, ty: TfType) -> Result<Port, Diagnostic> {
        let (at, index) = self.locate(tensor)?;
        if let Some(&source) = self.feeds.get(&(at, index)) {
            return Ok(Port { key: key.into(), source, ty });
        }
        self.check_output(MAIN, at, index)?;
        let name = if index == 0 { self.library.main.nodes[at].name.clone() } else { tensor.replace(':', "_") };
        let port = self.input(key, &name, ty);
        self.feeds.insert((at, index), port.source);
        self.fed.entry(at).or_insert(port.source.node);
        Ok(port)
    }

    /// Position and output of a tensor in the main graph.
    pub fn locate(&self, tensor: &str) -> Result<(usize, u32), Diagnostic> {
        let reference = Reference::parse(tensor).filter(|r| !r.control && r.output.is_none());
        let reference = reference.ok_or_else(|| Diagnostic::error(format!("`{tensor}` is not a tensor's name")))?;
        let at = self.library.main.find(reference.name);
        let missing = || Diagnostic::error(format!("the graph has no node `{}`", reference.name));
        Ok((at.ok_or_else(missing)?, reference.index.unwrap_or(0)))
    }

    /// A tensor of the main graph.
    pub fn fetch(&mut self, tensor: &str) -> Result<NodeOutput, Diagnostic> {
        self.resolve(MAIN, tensor).and_then(one)
    }

    /// Demands that a node of the main graph runs.
    pub fn run(&mut self, node: &str) -> Result<(), Diagnostic> {
        let (at, _) = self.locate(node)?;
        self.wait_for(MAIN, at).map(|_| ())
    }

    /// What a function returns for the given arguments; its effects are demanded as well.
    pub fn call(&mut self, function: &NameAttrList, args: Vec<NodeOutput>) -> Result<Vec<NodeOutput>, Problems> {
        let scope = self.scope_of(&function.name)?;
        let frame = self.add_frame(scope, None, function.attr.clone(), String::new(), 1);
        self.frames[frame].args = args;
        self.demand_effects(frame);
        let mut problems = Problems::default();
        let mut results = Vec::new();
        let signature = scope.function.and_then(|f| f.signature.as_ref());
        for arg in signature.iter().flat_map(|s| &s.output_arg) {
            let returned = scope.function.and_then(|f| f.ret.get(&arg.name));
            let missing = || Diagnostic::error(format!("function `{}` does not return `{}`", function.name, arg.name));
            match returned.ok_or_else(missing).and_then(|r| self.resolve(frame, r)) {
                Ok(tensors) => results.extend(tensors),
                Err(problem) => problems.push(problem),
            }
        }
        problems.or(results)
    }

    /// Visits everything demanded so far and leaves only what outputs and effects need.
    pub fn finish(mut self, inputs: Vec<Port>, outputs: Vec<Port>) -> Result<TfGraph, Problems> {
        while let Some(todo) = self.todo.pop() {
            if let Err(problem) = self.visit(todo) {
                self.problems.push(problem);
                // A file may be wrong in every node; a page of messages is enough to understand it.
                if self.problems.0.len() >= 20 {
                    break;
                }
            }
        }
        if self.problems.has_errors() {
            return Err(self.problems);
        }
        let Builder { library, nodes, sites, decisions, .. } = self;
        let operators = library.operators().clone();
        let collected = TfGraph { nodes, inputs, outputs, sites, decisions, operators, ..Default::default() };
        let mut graph = prune::prune(collected, |node| library.effect_of(&node.op, &node.attrs))?;
        for (id, node) in graph.nodes.iter() {
            let effects = library.effects_within(&node.op, &node.attrs);
            if !effects.is_empty() {
                graph.effects.insert(id, effects);
            }
        }
        Ok(graph)
    }

    /// The function that stands in the place of a node.
    fn callee(&self, frame: usize, at: usize) -> Option<Callee<'m>> {
        let def = &self.frames[frame].scope.nodes[at];
        if !is_branch(&def.op) || self.branches.is_empty() {
            return self.library.callee(def);
        }
        let taken = *self.branches.get(&self.site(frame, at))?;
        Library::branches(def).into_iter().nth(taken)
    }

    fn site(&self, mut frame: usize, at: usize) -> Site {
        let mut site = vec![at as u32];
        while let Some((outer, at)) = self.frames[frame].call {
            site.push(at as u32);
            frame = outer;
        }
        site.push((frame != MAIN) as u32);
        site.reverse();
        site
    }

    fn scope_of(&self, function: &str) -> Result<&'l Scope<'m>, Diagnostic> {
        let missing = || Diagnostic::error(format!("the model has no function `{function}`"));
        self.library.function(function).ok_or_else(missing)
    }

    fn visit(&mut self, todo: Todo) -> Result<(), Diagnostic> {
        match todo {
            Todo::Node { frame, at, id } => {
                let def = &self.frames[frame].scope.nodes[at];
                let filled = self.visit_node(frame, def, id);
                filled.map_err(|d| {
                    let node = &self.nodes[id];
                    let d = d.at_node(&node.name);
                    node.layer().map_or(d.clone(), |layer| d.in_layer(layer))
                })?;
            }
            Todo::Entry { frame, id } => {
                let Some((outer, at)) = self.frames[frame].call else { return Ok(()) };
                let def = &self.frames[outer].scope.nodes[at];
                let mut controls: Vec<_> =
                    self.frames[outer].call.is_some().then(|| self.entry(outer)).into_iter().collect();
                controls.extend(self.control_ids(outer, def)?);
                self.nodes[id].controls = controls;
            }
            Todo::Exit { frame, id } => {
                let mut controls = vec![self.entry(frame)];
                for at in self.effects_of(frame)? {
                    controls.push(self.wait_for(frame, at)?);
                }
                self.nodes[id].controls = controls;
            }
        }
        Ok(())
    }

    fn visit_node(&mut self, frame: usize, def: &'m NodeDef, id: Id<Node>) -> Result<(), Diagnostic> {
        let mut inputs = Vec::with_capacity(def.input.len());
        for input in data_inputs(def) {
            inputs.extend(self.resolve(frame, input)?);
        }
        let mut controls = self.control_ids(frame, def)?;
        if self.frames[frame].call.is_some() && (effect::is_stateful(&def.op) || is_functional(&def.op)) {
            controls.push(self.entry(frame));
        }
        let node = &mut self.nodes[id];
        (node.inputs, node.controls) = (inputs, controls);
        Ok(())
    }

    fn control_ids(&mut self, frame: usize, def: &'m NodeDef) -> Result<Vec<Id<Node>>, Diagnostic> {
        let mut ids = Vec::new();
        for name in control_inputs(def) {
            let missing = || Diagnostic::error(format!("there is no node `{name}` to wait for"));
            match self.frames[frame].scope.find(name) {
                Some(at) => ids.push(self.wait_for(frame, at)?),
                // An argument is there before the function starts.
                None if self.arg_position(frame, name).is_some() => {}
                None => return Err(missing()),
            }
        }
        Ok(ids)
    }

    /// The node that stands for "this one has run".
    fn wait_for(&mut self, frame: usize, at: usize) -> Result<Id<Node>, Diagnostic> {
        if frame == MAIN
            && let Some(&input) = self.fed.get(&at)
        {
            return Ok(input);
        }
        match self.callee(frame, at) {
            Some(callee) => {
                let body = self.enter(frame, at, callee)?;
                Ok(self.exit(body))
            }
            None => self.demand(frame, at),
        }
    }

    /// The body's nodes that run whether or not their results are used.
    fn effects_of(&self, frame: usize) -> Result<Vec<usize>, Diagnostic> {
        let scope = self.frames[frame].scope;
        if !self.library.has_effect(scope.name()) {
            return Ok(Vec::new());
        }
        let mut effects = Vec::new();
        for node in scope.function.iter().flat_map(|f| f.control_ret.values()) {
            let missing = || Diagnostic::error(format!("function `{}` has no node `{node}`", scope.name()));
            effects.push(scope.find(node).ok_or_else(missing)?);
        }
        effects.extend(
            (0..scope.nodes.len()).filter(|&at| self.library.effect_of(&scope.nodes[at].op, &scope.nodes[at].attr)),
        );
        effects.sort_unstable();
        effects.dedup();
        Ok(effects)
    }

    fn placeholder_node(&mut self, name: String) -> Id<Node> {
        let origin = Origin::Order;
        let node = Node { name, op: "NoOp".into(), inputs: vec![], controls: vec![], attrs: BTreeMap::new(), origin };
        self.nodes.push(node)
    }

    fn entry(&mut self, frame: usize) -> Id<Node> {
        if let Some(id) = self.frames[frame].entry {
            return id;
        }
        let id = self.placeholder_node(format!("{}before", self.frames[frame].prefix));
        self.frames[frame].entry = Some(id);
        self.todo.push(Todo::Entry { frame, id });
        id
    }

    fn exit(&mut self, frame: usize) -> Id<Node> {
        if let Some(id) = self.frames[frame].exit {
            return id;
        }
        let id = self.placeholder_node(format!("{}after", self.frames[frame].prefix));
        self.frames[frame].exit = Some(id);
        self.todo.push(Todo::Exit { frame, id });
        id
    }

    fn demand_effects(&mut self, frame: usize) {
        if self.library.has_effect(self.frames[frame].scope.name()) {
            self.exit(frame);
        }
    }

    /// The frame of a call, entered at its first use.
    fn enter(&mut self, frame: usize, at: usize, callee: Callee<'m>) -> Result<usize, Diagnostic> {
        if let Some(&body) = self.entered.get(&(frame, at)) {
            return Ok(body);
        }
        let Callee { function: callee, attrs, first } = callee;
        let scope = self.scope_of(callee)?;
        let def = &self.frames[frame].scope.nodes[at];
        let depth = self.frames[frame].depth + 1;
        let name = full_name(&self.frames[frame].prefix, &def.name);
        let mut outer = Some(frame);
        while let Some(f) = outer {
            if self.frames[f].scope.name() == callee {
                let what = format!("function `{callee}` calls itself, which is not supported");
                return Err(Diagnostic::error(what).at_node(name));
            }
            outer = self.frames[f].call.map(|(f, _)| f);
        }
        if depth > MAX_DEPTH {
            return Err(
                Diagnostic::error(format!("functions call each other more than {MAX_DEPTH} deep")).at_node(name)
            );
        }
        self.charge(name.len() + def.encoded_len())?;
        let mut attrs = attrs.clone();
        instantiate(&mut attrs, &self.frames[frame].attrs);
        let body = self.add_frame(scope, Some((frame, at)), attrs, format!("{name}/"), depth);
        self.frames[body].first = first;
        self.entered.insert((frame, at), body);
        self.demand_effects(body);
        if is_branch(&def.op) {
            self.decide(frame, at, name)?;
        }
        Ok(body)
    }

    /// Keeps the predicate of a branch that is taken: TensorFlow computes it, and whoever reads the graph may check it.
    fn decide(&mut self, frame: usize, at: usize, node: String) -> Result<(), Diagnostic> {
        let def = &self.frames[frame].scope.nodes[at];
        let missing = || Diagnostic::error(format!("{} has no predicate", def.op)).at_node(&node);
        let predicate = data_inputs(def).next().ok_or_else(missing)?;
        let predicate = self.resolve(frame, predicate).and_then(one)?;
        let (op, branches) = (def.op.clone(), Library::branches(def).len());
        let taken = self.branches[&self.site(frame, at)];
        self.decisions.push(Decision { node, op, predicate, branches, taken });
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Diagnostic> {
        let rest = self.budget.checked_sub(bytes).filter(|_| self.nodes.len() + self.frames.len() < MAX_NODES);
        self.budget =
            rest.ok_or_else(|| Diagnostic::error("the graph grows beyond reason when its functions are inlined"))?;
        Ok(())
    }

    /// The node at a position, created at its first use.
    fn demand(&mut self, frame: usize, at: usize) -> Result<Id<Node>, Diagnostic> {
        if let Some(&id) = self.seen.get(&(frame, at)) {
            return Ok(id);
        }
        let Frame { scope, prefix, attrs, .. } = &self.frames[frame];
        let def = &scope.nodes[at];
        let mut node = Node {
            name: full_name(prefix, &def.name),
            op: def.op.clone(),
            inputs: vec![],
            controls: vec![],
            attrs: def.attr.clone(),
            origin: Origin::Defined { function: scope.name().into(), node: def.name.clone() },
        };
        instantiate(&mut node.attrs, attrs);
        set_apart(&mut node, prefix);
        self.library.fill_in(&mut node);
        let cost = node.name.len() + def.encoded_len();
        let inference = learning_phase(&node);
        self.charge(cost)?;
        let is_constant = inference.is_some();
        let is_branch = is_branch(&node.op);
        let id = self.nodes.push(inference.unwrap_or(node));
        if is_branch {
            self.sites.insert(id, self.site(frame, at));
        }
        self.seen.insert((frame, at), id);
        if !is_constant {
            self.todo.push(Todo::Node { frame, at, id });
        }
        Ok(id)
    }
}

fn full_name(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}")
}

fn one(tensors: Vec<NodeOutput>) -> Result<NodeOutput, Diagnostic> {
    match tensors[..] {
        [tensor] => Ok(tensor),
        _ => Err(Diagnostic::error(format!("one tensor is expected where {} stand", tensors.len()))),
    }
}

/// Replaces the attributes that name an attribute of the function by the value of its call.
fn instantiate(attrs: &mut BTreeMap<String, AttrValue>, outer: &BTreeMap<String, AttrValue>) {
    for attr in attrs.values_mut() {
        match &mut attr.value {
            Some(Value::Placeholder(name)) => {
                if let Some(value) = outer.get(name) {
                    *attr = value.clone();
                }
            }
            Some(Value::Func(f)) => instantiate(&mut f.attr, outer),
            Some(Value::List(list)) => list.func.iter_mut().for_each(|f| instantiate(&mut f.attr, outer)),
            _ => {}
        }
    }
}

/// A loop of a function is another one at each call.
fn set_apart(node: &mut Node, prefix: &str) {
    if let Some(Value::S(frame)) = node.attrs.get_mut("frame_name").and_then(|attr| attr.value.as_mut()) {
        *frame = [prefix.as_bytes(), frame].concat().into();
    }
}

/// Keras asks a placeholder of this name whether the model is being trained; nobody feeds it when the model serves.
fn learning_phase(node: &Node) -> Option<Node> {
    let last = node.name.rsplit('/').next().unwrap_or_default();
    let stem = last.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    if node.op != "Placeholder" || stem != "keras_learning_phase" {
        return None;
    }
    let dtype = node.attr_type("dtype").ok().filter(|t| matches!(t, DataType::DtBool | DataType::DtInt32))?;
    let value = TensorProto { dtype: dtype as i32, ..Default::default() };
    let attr = |value| AttrValue { value: Some(value) };
    let attrs =
        [("dtype".into(), attr(Value::Type(dtype as i32))), ("value".into(), attr(Value::Tensor(value)))].into();
    Some(Node { op: "Const".into(), attrs, ..node.clone() })
}
