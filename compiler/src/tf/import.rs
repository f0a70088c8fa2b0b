//! The walk over a TF graph: by demand from the outputs, each node once, operands first, without recursion.
//!
//! A node ends as its values, as dead (on the branch of a `Switch` that is not taken), or as failed; users of a failed
//! node fail silently, so that every problem is told once and all of them together. The invariant that keeps shapes
//! simple: no two extents of the result are related by an assumption that could be a substitution instead. Where an
//! operator needs a symbol to be another dim, the whole import starts again with the symbol replaced; each round
//! removes a symbol, which bounds their number.

use std::collections::{BTreeMap, HashMap};

use super::{Stop, find};
use crate::{
    base::{Diagnostic, Dim, Id, Problems, Symbol},
    graph::{Graph, NodeId},
    saved::{Node, NodeOutput, Origin, Port, TfGraph, TfType, Variable, graph::has_effect},
    tensor::{Tensor, TensorType},
};

/// What the user fixes before the import.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The extent of every leading axis that the model leaves open.
    pub batch: Option<u64>,
    /// The shapes of inputs by key; `None` leaves an extent open.
    pub shapes: BTreeMap<String, Vec<Option<u64>>>,
}

/// A graph and what the user should know about how it came to be.
#[derive(Debug)]
pub struct Imported {
    pub graph: Graph,
    pub notes: Vec<Diagnostic>,
}

/// One output of a TF node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Tensor(NodeId),
    /// The variable that this node of the TF graph makes.
    Variable(Id<Node>),
    /// Not computed: it lies on a branch that is not taken.
    Dead,
}

impl From<NodeId> for Value {
    fn from(id: NodeId) -> Value {
        Value::Tensor(id)
    }
}

/// Reads the value of a variable, at most once per variable.
pub type Variables<'a> = dyn Fn(&Variable) -> Result<Tensor, Problems> + 'a;

/// The meaning of `tf` as a graph of primitives, or everything that stands in the way.
pub fn import(tf: &TfGraph, variables: &Variables<'_>, options: &Options) -> Result<Imported, Problems> {
    let mut known: BTreeMap<Symbol, Dim> = BTreeMap::new();
    let mut read = HashMap::new();
    loop {
        let mut import = Import::new(tf, variables, std::mem::take(&mut read));
        let outcome = import.declare_inputs(options, &known).and_then(|()| import.run());
        match outcome {
            Ok(()) => return import.finish(&known),
            Err(Stop::Fault(problems)) => {
                import.problems.extend(problems);
                return Err(import.problems);
            }
            Err(Stop::Assume(symbol, dim)) => {
                known.values_mut().for_each(|d| *d = replace(d, &symbol, &dim));
                known.insert(symbol, dim);
                read = import.read;
            }
        }
    }
}

fn replace(dim: &Dim, symbol: &Symbol, by: &Dim) -> Dim {
    dim.substitute(&|atom| (*atom == crate::base::dim::Atom::Sym(symbol.clone())).then(|| by.clone()))
}

/// How far a node has come.
#[derive(Clone, Debug)]
enum Done {
    Values(Vec<Value>),
    Failed,
}

/// Which outputs of a node are computed at all.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    Alive,
    Dead,
    /// A `Switch` on a known predicate: this output only.
    Only(u32),
}

/// The state of an import, and the node that a row is working on.
pub struct Import<'a> {
    pub(super) tf: &'a TfGraph,
    pub(super) graph: Graph,
    pub(super) node: &'a Node,
    pub(super) id: Id<Node>,
    pub(super) operands: Vec<Value>,
    variables: &'a Variables<'a>,
    read: HashMap<Id<Node>, Tensor>,
    constants: HashMap<Id<Node>, NodeId>,
    done: Vec<Option<Done>>,
    entered: Vec<bool>,
    life: HashMap<Id<Node>, Life>,
    unsupported: BTreeMap<&'a str, Vec<&'a Node>>,
    problems: Problems,
    pub(super) notes: Vec<Diagnostic>,
}

/// Stands where no node is being imported.
static NO_NODE: std::sync::LazyLock<Node> = std::sync::LazyLock::new(|| Node {
    name: String::new(),
    op: String::new(),
    inputs: vec![],
    controls: vec![],
    attrs: BTreeMap::new(),
    origin: Origin::Order,
});

impl<'a> Import<'a> {
    fn new(tf: &'a TfGraph, variables: &'a Variables<'a>, read: HashMap<Id<Node>, Tensor>) -> Import<'a> {
        Import {
            tf,
            graph: Graph::default(),
            node: &NO_NODE,
            id: Id::new(0),
            operands: vec![],
            variables,
            read,
            constants: HashMap::new(),
            done: vec![None; tf.nodes.len()],
            entered: vec![false; tf.nodes.len()],
            life: HashMap::new(),
            unsupported: BTreeMap::new(),
            problems: Problems::default(),
            notes: vec![],
        }
    }

    fn declare_inputs(&mut self, options: &Options, known: &BTreeMap<Symbol, Dim>) -> Result<(), Stop> {
        if let Some(key) = options.shapes.keys().find(|key| self.tf.inputs.iter().all(|p| p.key != **key)) {
            let keys: Vec<_> = self.tf.inputs.iter().map(|p| format!("`{}`", p.key)).collect();
            let problem = Diagnostic::error(format!("a shape is given for `{key}`, which is not an input"));
            return Err(problem.help(format!("the inputs are {}", keys.join(", "))).into());
        }
        let (mut names, mut problems) = (Names::default(), Problems::default());
        for port in &self.tf.inputs {
            match self.declare_input(port, options, known, &mut names) {
                Err(Stop::Fault(more)) => problems.extend(more),
                other => other?,
            }
        }
        problems.or(()).map_err(Stop::Fault)
    }

    fn declare_input(
        &mut self,
        port: &Port,
        options: &Options,
        known: &BTreeMap<Symbol, Dim>,
        names: &mut Names,
    ) -> Result<(), Stop> {
        let Some(dtype) = port.ty.host() else {
            let problem = format!("input `{}` is of type {}, which is not supported", port.key, port.ty);
            return Err(problem.into());
        };
        if dtype == crate::tensor::DType::Str {
            let problem = format!("input `{}` takes strings, which are not supported yet", port.key);
            return Err(Diagnostic::error(problem).into());
        }
        let shape = input_shape(&port.key, &port.ty, options, names)?;
        let shape: Vec<Dim> =
            shape.iter().map(|d| known.iter().fold(d.clone(), |d, (s, by)| replace(&d, s, by))).collect();
        let name = self.tf.nodes[port.source.node].name.as_str();
        self.graph.set_origin(Some(name.into()));
        let id = self.graph.input(&port.key, TensorType::new(dtype, shape));
        // Of several keys that feed one tensor the last one counts, as in a feed of TensorFlow's.
        let before = self.done[port.source.node.index()].replace(Done::Values(vec![id.into()]));
        if before.is_some() {
            let first = self.tf.inputs.iter().find(|p| p.source == port.source).map_or("", |p| &p.key);
            let note =
                format!("inputs `{first}` and `{}` feed one tensor: `{}` is the one that counts", port.key, port.key);
            self.notes.push(Diagnostic::warning(note));
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), Stop> {
        for port in &self.tf.outputs {
            self.demand(port.source.node)?;
        }
        self.look_at_effects()
    }

    /// Names the outputs and tells what is left to tell.
    fn finish(mut self, known: &BTreeMap<Symbol, Dim>) -> Result<Imported, Problems> {
        for port in &self.tf.outputs {
            match self.output_of(port.source) {
                Some(Value::Tensor(id)) => self.graph.output(&port.key, id),
                Some(Value::Variable(_)) => {
                    self.problems.push(Diagnostic::error(format!("output `{}` is a variable's handle", port.key)))
                }
                Some(Value::Dead) => self
                    .problems
                    .push(Diagnostic::error(format!("output `{}` lies on a branch that is never taken", port.key))),
                None => {}
            }
        }
        for (op, nodes) in std::mem::take(&mut self.unsupported) {
            self.problems.push(unsupported(op, &nodes));
        }
        for (symbol, dim) in known {
            let place =
                self.tf.inputs.iter().map(|p| p.key.as_str()).find(|key| symbol.name().starts_with(&identifier(key)));
            let of = place.map_or(String::new(), |key| format!(" of input `{key}`"));
            self.notes.push(Diagnostic::note(format!(
                "the extent {symbol}{of} is taken to be {dim}: the model computes nothing otherwise"
            )));
        }
        self.problems.or(()).map(|()| Imported { graph: self.graph, notes: self.notes })
    }

    /// Imports a node and all it needs.
    pub(super) fn demand(&mut self, root: Id<Node>) -> Result<(), Stop> {
        let mut stack = vec![root];
        while let Some(&id) = stack.last() {
            if self.done[id.index()].is_some() {
                stack.pop();
                continue;
            }
            self.entered[id.index()] = true;
            let missing = self.missing(id);
            if missing.is_empty() {
                stack.pop();
                self.finish_node(id)?;
                continue;
            }
            for need in missing {
                if self.entered[need.index()] {
                    self.problems.push(self.tf.nodes[need].fault("the node depends on itself"));
                    self.done[need.index()] = Some(Done::Failed);
                } else {
                    stack.push(need);
                }
            }
        }
        Ok(())
    }

    /// The nodes that have to be imported before this one.
    fn missing(&mut self, id: Id<Node>) -> Vec<Id<Node>> {
        let node = &self.tf.nodes[id];
        // The back edge of a TF1 loop is not followed: the node is reported as it stands.
        if node.op == "NextIteration" || node.op == "RefNextIteration" {
            return vec![];
        }
        let mut missing = vec![];
        for &input in &node.inputs {
            if self.done[input.node.index()].is_some() || missing.contains(&input.node) {
                continue;
            }
            if is_merge(node) {
                match self.is_dead(input) {
                    Ok(true) => continue,
                    Ok(false) => {}
                    // The predicate decides first whether the branch is needed.
                    Err(predicate) => return vec![predicate],
                }
            }
            missing.push(input.node);
        }
        missing
    }

    /// Whether an edge carries nothing, or the predicate that has to be imported to tell.
    fn is_dead(&mut self, edge: NodeOutput) -> Result<bool, Id<Node>> {
        let mut stack = vec![edge.node];
        while let Some(&id) = stack.last() {
            let node = &self.tf.nodes[id];
            // Edges lead back but for those of loops, so this ends.
            let edges: Vec<NodeOutput> = life_edges(node).into_iter().filter(|e| e.node < id).collect();
            if self.life.contains_key(&id) {
                stack.pop();
                continue;
            }
            if let Some(next) = edges.iter().find(|e| !self.life.contains_key(&e.node)) {
                stack.push(next.node);
                continue;
            }
            let is_dead = |e: &NodeOutput| match self.life.get(&e.node) {
                Some(Life::Dead) => true,
                Some(Life::Only(index)) => *index != e.index,
                _ => false,
            };
            let life = if is_merge(node) {
                if !edges.is_empty() && edges.iter().all(is_dead) { Life::Dead } else { Life::Alive }
            } else if edges.iter().any(is_dead) {
                Life::Dead
            } else if is_switch(node) && node.inputs.len() == 2 {
                let predicate = node.inputs[1];
                if self.done[predicate.node.index()].is_none() && !self.entered[predicate.node.index()] {
                    return Err(predicate.node);
                }
                self.known_bool(predicate).map_or(Life::Alive, |taken| Life::Only(taken as u32))
            } else {
                Life::Alive
            };
            self.life.insert(id, life);
            stack.pop();
        }
        Ok(match self.life[&edge.node] {
            Life::Alive => false,
            Life::Dead => true,
            Life::Only(index) => index != edge.index,
        })
    }

    /// The value of a scalar predicate, where it does not depend on the inputs.
    pub(super) fn known_bool(&self, at: NodeOutput) -> Option<bool> {
        let Some(Value::Tensor(id)) = self.output_of(at) else { return None };
        match self.graph.dims(id)? {
            [dim] => dim.as_int().map(|n| n != 0),
            _ => None,
        }
    }

    fn output_of(&self, at: NodeOutput) -> Option<Value> {
        match self.done[at.node.index()].as_ref()? {
            Done::Values(values) => values
                .get(at.index as usize)
                .copied()
                .or(Some(Value::Dead).filter(|_| values.first() == Some(&Value::Dead))),
            Done::Failed => None,
        }
    }

    /// All operands are there: runs the row.
    fn finish_node(&mut self, id: Id<Node>) -> Result<(), Stop> {
        let node = &self.tf.nodes[id];
        let done = match self.gather(node) {
            None => {
                if find(&node.op).is_none() {
                    self.unsupported.entry(&node.op).or_default().push(node);
                }
                Done::Failed
            }
            Some(operands) if operands.contains(&Value::Dead) && !is_merge(node) => Done::Values(vec![Value::Dead]),
            Some(operands) => match find(&node.op) {
                None => {
                    self.unsupported.entry(&node.op).or_default().push(node);
                    Done::Failed
                }
                Some(row) => {
                    (self.node, self.id, self.operands) = (node, id, operands);
                    self.graph.set_origin(Some(node.name.as_str().into()));
                    match (row.import)(self) {
                        Ok(values) => Done::Values(values),
                        Err(Stop::Fault(problems)) => {
                            let layer = node.layer();
                            self.problems.extend(problems.map(|problem| {
                                let problem = problem.at_node(&node.name);
                                layer.iter().fold(problem, |p, layer| p.in_layer(layer))
                            }));
                            Done::Failed
                        }
                        Err(assume) => return Err(assume),
                    }
                }
            },
        };
        self.done[id.index()] = Some(done);
        Ok(())
    }

    /// The operands, or `None` when one failed.
    fn gather(&mut self, node: &'a Node) -> Option<Vec<Value>> {
        if node.op == "NextIteration" {
            return None;
        }
        node.inputs
            .iter()
            .map(|&input| match self.done[input.node.index()] {
                None => Some(Value::Dead),
                Some(_) => self.output_of(input),
            })
            .collect()
    }

    /// The constant of a variable that nothing assigns.
    pub(super) fn variable_value(&mut self, handle: Id<Node>) -> Result<NodeId, Stop> {
        if let Some(&id) = self.constants.get(&handle) {
            return Ok(id);
        }
        let Some(variable) = self.tf.variables.get(&handle) else {
            return Err("the model does not say where the value of this variable is stored".into());
        };
        if let Some(by) = &variable.assigned_by {
            let problem = Diagnostic::error(format!("the signature changes variable `{}` at `{by}`", variable.name));
            return Err(problem
                .help("models with state are not supported yet; choose a signature that only computes")
                .into());
        }
        let value = match self.read.get(&handle) {
            Some(value) => value.clone(),
            None => {
                let value = (self.variables)(variable)?;
                self.read.insert(handle, value.clone());
                value
            }
        };
        let id = self.constant(value)?;
        self.constants.insert(handle, id);
        Ok(id)
    }

    /// Nodes that only control edges reach: assertions that hold vanish, others are dropped with a note, and whatever
    /// changes a variable is refused.
    fn look_at_effects(&mut self) -> Result<(), Stop> {
        let mut seen = vec![false; self.tf.nodes.len()];
        let mut stack: Vec<Id<Node>> = self.tf.outputs.iter().map(|p| p.source.node).collect();
        let mut reached = vec![];
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.index()], true) || self.life.get(&id) == Some(&Life::Dead) {
                continue;
            }
            let node = &self.tf.nodes[id];
            stack.extend(&node.controls);
            stack.extend(
                node.inputs
                    .iter()
                    .map(|e| e.node)
                    .filter(|n| self.done[id.index()].is_none() || self.done[n.index()].is_some()),
            );
            if self.done[id.index()].is_none() && has_effect(&node.op) {
                reached.push(id);
            }
        }
        reached.sort();
        let mut unchecked = vec![];
        for id in reached {
            let node = &self.tf.nodes[id];
            match node.op.as_str() {
                "Assert" => {
                    if self.assertion(node)? != Some(true) {
                        unchecked.push(node);
                    }
                }
                "Print" | "PrintV2" | "LoggingOps" => self.notes.push(
                    Diagnostic::note("the model prints a message here; compiled code does not").at_node(&node.name),
                ),
                _ => self.unsupported.entry(&node.op).or_default().push(node),
            }
        }
        if let Some(first) = unchecked.first() {
            let many = if unchecked.len() > 1 {
                format!("{} assertions are", unchecked.len())
            } else {
                "an assertion is".into()
            };
            self.notes.push(Diagnostic::note(format!("{many} not checked by the compiled code")).at_node(&first.name));
        }
        Ok(())
    }

    /// What is known of an assertion's condition; problems on the way to it are not the user's.
    fn assertion(&mut self, node: &'a Node) -> Result<Option<bool>, Stop> {
        let Some(&condition) = node.inputs.first() else { return Ok(None) };
        let (problems, unsupported) = (self.problems.clone(), self.unsupported.clone());
        self.demand(condition.node)?;
        (self.problems, self.unsupported) = (problems, unsupported);
        let known = self.known_bool(condition);
        if known == Some(false) {
            return Err(node.fault("the assertion fails for every input").into());
        }
        Ok(known)
    }
}

fn is_merge(node: &Node) -> bool {
    matches!(node.op.as_str(), "Merge" | "RefMerge")
}

fn is_switch(node: &Node) -> bool {
    matches!(node.op.as_str(), "Switch" | "RefSwitch")
}

/// The edges that decide whether a node runs. A node without operands runs with the nodes that control it: the
/// constants of a branch hang on its pivot. Back edges of loops are left out.
fn life_edges(node: &Node) -> Vec<NodeOutput> {
    if node.op == "NextIteration" {
        return vec![];
    }
    if node.inputs.is_empty() {
        return node.controls.iter().map(|&node| NodeOutput { node, index: 0 }).collect();
    }
    node.inputs.clone()
}

fn unsupported(op: &str, nodes: &[&Node]) -> Diagnostic {
    let message = match nodes.len() {
        1 => format!("operator {op} is not supported yet"),
        n => format!("operator {op} is not supported yet; {n} nodes need it"),
    };
    let message = if has_effect(op) && (op.contains("Assign") || op.contains("Apply") || op.contains("Scatter")) {
        format!("the signature changes a variable by {op}, and models with state are not supported yet")
    } else {
        message
    };
    let mut problem = Diagnostic::error(message).at_node(&nodes[0].name);
    let mut layers: Vec<String> = nodes.iter().filter_map(|n| n.layer()).collect();
    layers.dedup();
    if !layers.is_empty() {
        let shown = layers.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        problem =
            problem.in_layer(if layers.len() > 3 { format!("{shown}, and {} more", layers.len() - 3) } else { shown });
    }
    problem
}

/// Gives unknown extents their names.
#[derive(Default)]
struct Names {
    batch: bool,
    used: Vec<String>,
}

impl Names {
    /// `batch` for the first leading axis, otherwise `KEY_AXIS`; never a kernel variable such as `i0`.
    fn fresh(&mut self, key: &str, axis: usize) -> Dim {
        if axis == 0 && !self.batch {
            self.batch = true;
            return Dim::sym("batch");
        }
        let mut name = format!("{}_{axis}", identifier(key));
        while self.used.contains(&name) {
            name.push('_');
        }
        self.used.push(name.clone());
        Dim::sym(&name)
    }
}

/// The key as a C identifier.
fn identifier(key: &str) -> String {
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("x{name}") } else { name }
}

fn input_shape(key: &str, ty: &TfType, options: &Options, names: &mut Names) -> Result<Vec<Dim>, Stop> {
    let declared = &ty.shape.0;
    let given = options.shapes.get(key);
    let extents: Vec<Option<u64>> = match (declared, given) {
        (None, None) => {
            let problem = Diagnostic::error(format!("the rank of input `{key}` is unknown"));
            return Err(problem
                .help(format!("give its shape by `--input {key}=SHAPE`, such as `--input {key}=?,28,28`"))
                .into());
        }
        (Some(declared), None) => declared.clone(),
        (None, Some(given)) => given.clone(),
        (Some(declared), Some(given)) => {
            let fits = |(d, g): (&Option<u64>, &Option<u64>)| d.is_none() || g.is_none() || d == g;
            if declared.len() != given.len() || !declared.iter().zip(given).all(fits) {
                return Err(format!("the shape given for input `{key}` does not fit the model's {}", ty.shape).into());
            }
            declared.iter().zip(given).map(|(d, g)| d.or(*g)).collect()
        }
    };
    let dim = |(axis, n): (usize, &Option<u64>)| match n {
        Some(n) => Ok(*n),
        None if axis == 0 && options.batch.is_some() => Ok(options.batch.unwrap_or_default()),
        None => Err(axis),
    };
    extents
        .iter()
        .enumerate()
        .map(|at| match dim(at) {
            Ok(n) => i64::try_from(n).map(Dim::from).map_err(|_| Stop::from(format!("input `{key}` is too large"))),
            Err(axis) => Ok(names.fresh(key, axis)),
        })
        .collect()
}
