//! The walk over a TF graph: by demand from the outputs, each node once, operands first, without recursion.
//!
//! A node ends as its values, as dead (on the branch of a `Switch` that is not taken), or as failed; users of a failed
//! node fail silently, so that every problem is told once and all of them together. The invariant that keeps shapes
//! simple: no two extents of the result are related by an assumption that could be a substitution instead. Where an
//! operator needs a symbol to be another dim, the whole import starts again with the symbol replaced; each round
//! removes a symbol, which bounds their number.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
};

use super::{
    Stop, TfOp, find,
    flow::{List, Lists},
    found::Found,
    inputs::identifier,
    life::{Life, is_merge},
    narrow,
    partition::Part,
    state::{Kept, State},
    stretch::Stretch,
};
use crate::{
    base::{Diagnostic, Dim, Id, Problems, Symbol},
    graph::{Bounds, Graph, NodeId},
    saved::{Node, NodeOutput, Origin, Port, TfGraph, Variable, has_generator},
    tensor::{Narrow, Tensor, TensorType},
};

/// What the user fixes before the import.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The extent of every leading axis that the model leaves open.
    pub batch: Option<u64>,
    /// The shapes of inputs by key; `None` leaves an extent open.
    pub shapes: BTreeMap<String, Vec<Option<u64>>>,
    /// The keys of the variables that are state; without them, those that the graph assigns. Others are constants.
    pub state: Option<BTreeSet<String>>,
    /// The most that sizes can be that data decide, by symbol.
    pub bounds: BTreeMap<String, u64>,
    /// Whether the graph is to be differentiated: what has another gradient than its primitives would give it is kept apart.
    pub differentiable: bool,
}

/// A graph and what the user should know about how it came to be.
#[derive(Clone, Debug)]
pub struct Imported {
    pub graph: Graph,
    /// The same where extents that meet are equal, if the graph broadcasts open extents.
    pub equal: Option<Equal>,
    /// The variables among the inputs and outputs, which are the last of them, here and in `equal`.
    pub state: Vec<Kept>,
    /// The names of all sizes that data were found to decide, also of those that nothing needs: [`Options::bounds`] may name
    /// them.
    pub sizes: BTreeSet<String>,
    pub notes: Vec<Diagnostic>,
}

/// A graph that means the same as another one for some calls.
#[derive(Clone, Debug)]
pub struct Equal {
    pub graph: Graph,
    /// The calls: those for which each of these is equal, and that the graph's assumptions allow.
    pub when: Vec<(Dim, Dim)>,
}

/// One output of a TF node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Tensor(NodeId),
    /// Elements of a type that no primitive computes with, as they are held.
    Narrow(NodeId, Narrow),
    /// The rows of a tensor that data choose.
    Part(NodeId, Part),
    /// The variable that a node makes.
    Variable(Handle),
    /// A list of tensors, by its place among those of the import.
    List(List),
    /// Not computed: it lies on a branch that is not taken.
    Dead,
}

impl Value {
    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Tensor(_) => "a tensor",
            Value::Narrow(..) => "a tensor of a type that C lacks",
            Value::Part(..) => "a part of DynamicPartition",
            Value::Variable(_) => "a variable",
            Value::List(_) => "a list of tensors",
            Value::Dead => "not computed",
        }
    }
}

/// The node that makes a variable, and how many bodies it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    pub depth: usize,
    pub node: Id<Node>,
}

impl From<NodeId> for Value {
    fn from(id: NodeId) -> Value {
        Value::Tensor(id)
    }
}

/// Reads the value of a variable, at most once per variable.
pub type Variables<'a> = dyn Fn(&Variable) -> Result<Tensor, Problems> + 'a;

/// What operators need symbols to be, and the nodes that asked first.
#[derive(Clone, Default)]
struct Substitutions {
    known: BTreeMap<Symbol, Dim>,
    by: BTreeMap<Symbol, Id<Node>>,
}

impl Substitutions {
    fn add(&mut self, symbol: Symbol, dim: Dim, by: Id<Node>) {
        self.known.values_mut().for_each(|d| *d = replace(d, &symbol, &dim));
        self.by.insert(symbol.clone(), by);
        self.known.insert(symbol, dim);
    }
}

/// The meaning of `tf` as a graph of primitives, or everything that stands in the way.
pub fn import(tf: &TfGraph, variables: &Variables<'_>, options: &Options) -> Result<Imported, Problems> {
    let mut walks = Walks::new(tf, variables, options);
    let (stretched, either) = walks.import(Stretch::Either);
    let needed = walks.known.clone();
    if !stretched {
        let imported = |(graph, state, notes)| Imported {
            graph,
            equal: None,
            state,
            sizes: walks.sizes,
            notes: told(notes, needed.notes(tf, |_| false)),
        };
        return either.map(imported);
    }
    let (_, equal) = walks.import(Stretch::Never);
    let is_new = |symbol: &Symbol| !needed.known.contains_key(symbol);
    match (either, equal) {
        (Ok((graph, state, notes)), equal) => {
            let when = walks.known.known.iter().filter(|(symbol, _)| is_new(symbol));
            let when = when.map(|(symbol, dim)| (Dim::from(symbol), dim.clone())).collect();
            // Both have the same inputs and outputs.
            let outputs = |state: &[Kept]| state.iter().map(|kept| kept.output).collect::<Vec<_>>();
            let equal = equal.ok().filter(|(_, other, _)| outputs(other) == outputs(&state));
            let equal = equal.map(|(graph, ..)| Equal { graph, when });
            let notes = told(notes, needed.notes(tf, |_| false));
            Ok(Imported { graph, equal, state, sizes: walks.sizes, notes })
        }
        (Err(_), Ok((graph, state, notes))) => {
            let notes = told(notes, walks.known.notes(tf, is_new));
            Ok(Imported { graph, equal: None, state, sizes: walks.sizes, notes })
        }
        (Err(_), Err(problems)) => Err(problems),
    }
}

fn told(notes: Vec<Diagnostic>, more: Vec<Diagnostic>) -> Vec<Diagnostic> {
    grouped(Problems([notes, more].concat())).0
}

/// Walks over one TF graph; each begins with what the one before needed symbols to be.
pub(super) struct Walks<'a> {
    tf: &'a TfGraph,
    variables: &'a Variables<'a>,
    options: &'a Options,
    known: Substitutions,
    /// The names of the sizes that the walks found.
    sizes: BTreeSet<String>,
    read: Read<'a>,
}

/// A graph, the variables among its inputs and outputs, and notes.
type Whole = (Graph, Vec<Kept>, Vec<Diagnostic>);

/// The values of variables that were read, by what the graphs say of each.
pub(super) type Read<'a> = Vec<(&'a Variable, Tensor)>;

impl<'a> Walks<'a> {
    pub fn new(tf: &'a TfGraph, variables: &'a Variables<'a>, options: &'a Options) -> Walks<'a> {
        Walks { tf, variables, options, known: Substitutions::default(), sizes: BTreeSet::new(), read: vec![] }
    }
    /// Does `work` with an import, anew as often as a symbol has to be replaced.
    pub fn substituting<T>(
        &mut self,
        stretch: Stretch,
        work: impl Fn(&mut Import<'a>) -> Result<T, Stop>,
    ) -> (Result<T, Problems>, Import<'a>) {
        loop {
            let mut import = Import::new(self.tf, self.variables, stretch, std::mem::take(&mut self.read));
            import.differentiable = self.options.differentiable;
            let outcome = import.declare_inputs(self.options, &self.known.known).and_then(|()| work(&mut import));
            self.sizes.extend(import.found.symbols.iter().map(|symbol| symbol.name().into()));
            match outcome {
                Ok(result) => return (Ok(result), import),
                Err(Stop::Fault(problems)) => return (Err(problems), import),
                Err(Stop::Assume(symbol, dim)) => {
                    self.known.add(symbol, dim, import.id);
                    self.read = import.read;
                }
            }
        }
    }
    /// A whole graph with its notes, and whether it broadcasts open extents.
    fn import(&mut self, stretch: Stretch) -> (bool, Result<Whole, Problems>) {
        let (outcome, mut import) = self.substituting(stretch, Import::run);
        self.read = std::mem::take(&mut import.read);
        let stretched = import.stretched;
        let graph = match outcome {
            Ok(()) => import.finish(),
            Err(problems) => {
                import.problems.extend(problems);
                Err(import.problems)
            }
        };
        (stretched, graph)
    }
}

impl Substitutions {
    /// What the user should know of them. Where it is `open` whether a call needs one, the note says how to choose.
    fn notes(&self, tf: &TfGraph, open: impl Fn(&Symbol) -> bool) -> Vec<Diagnostic> {
        let note = |(symbol, dim): (&Symbol, &Dim)| {
            let port = tf.inputs.iter().find(|p| symbol.name().starts_with(&identifier(&p.key)));
            let of = port.map_or(String::new(), |p| format!(" of input `{}`", p.key));
            let node = &tf.nodes[self.by[symbol]];
            let note = Diagnostic::note(format!(
                "the extent {symbol}{of} is taken to be {dim}, because {} `{}` needs both to be equal",
                node.op, node.name
            ));
            match port.filter(|_| open(symbol)).and_then(|p| with_one(p, symbol)) {
                Some(shape) => {
                    note.help(format!("where it is 1 and is to be repeated, compile with `--input {shape}`"))
                }
                None => note,
            }
        };
        self.known.iter().map(note).collect()
    }
}

/// The shape of an input as `--input` takes it, with 1 for the extent that a symbol names.
fn with_one(port: &Port, symbol: &Symbol) -> Option<String> {
    let extents = port.ty.shape.0.as_ref()?;
    let named = |axis: usize| symbol.name() == format!("{}_{axis}", identifier(&port.key));
    let extent = |(axis, n): (usize, &Option<u64>)| match n {
        Some(n) => n.to_string(),
        None if named(axis) => "1".into(),
        None => "?".into(),
    };
    let extents: Vec<_> = extents.iter().enumerate().map(extent).collect();
    Some(format!("{}={}", port.key, extents.join(",")))
}

pub(super) fn replace(dim: &Dim, symbol: &Symbol, by: &Dim) -> Dim {
    dim.substitute(&|atom| (*atom == crate::base::dim::Atom::Sym(symbol.clone())).then(|| by.clone()))
}

/// How far a node has come.
#[derive(Clone, Debug)]
pub(super) enum Done {
    Values(Vec<Value>),
    Failed,
}

/// The state of an import, and the node that a row is working on.
pub struct Import<'a> {
    pub(super) tf: &'a TfGraph,
    pub(super) graph: Graph,
    pub(super) node: &'a Node,
    pub(super) id: Id<Node>,
    pub(super) operands: Vec<Value>,
    /// The TF graphs around this one, outermost first, and this one.
    pub(super) around: Vec<&'a TfGraph>,
    pub(super) variables: &'a Variables<'a>,
    pub(super) stretch: Stretch,
    /// Whether the graph is to be differentiated.
    pub(super) differentiable: bool,
    /// Whether an extent was taken to be 1 or another one.
    pub(super) stretched: bool,
    pub(super) read: Read<'a>,
    pub(super) constants: HashMap<Handle, Value>,
    pub(super) state: State<'a>,
    pub(super) lists: Lists,
    /// The loops around, outermost first.
    pub(super) steps: Vec<Step>,
    /// How many loops there are so far, for their names; and how many nodes of bodies were imported.
    pub(super) loops: usize,
    pub(super) imported: usize,
    /// Whether this is a body that may not run.
    pub(super) conditional: bool,
    /// The nodes around this graph, as a prefix of the names in it.
    pub(super) path: String,
    /// The keys of the signature's inputs on which each input of a body depends.
    pub(super) fed_by: HashMap<NodeId, Vec<String>>,
    /// What is known of the values of `graph`'s integers.
    pub(super) bounds: Bounds,
    pub(super) found: Found,
    pub(super) done: Vec<Option<Done>>,
    pub(super) entered: Vec<bool>,
    pub(super) life: HashMap<Id<Node>, Life>,
    pub(super) unsupported: BTreeMap<&'a str, Vec<Cow<'a, Node>>>,
    /// By name of a node that has no row, the types of its operands as far as they are known.
    pub(super) custom_operands: BTreeMap<String, Vec<Option<TensorType>>>,
    pub(super) problems: Problems,
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
    pub(super) fn new(tf: &'a TfGraph, variables: &'a Variables<'a>, stretch: Stretch, read: Read<'a>) -> Import<'a> {
        Import {
            tf,
            graph: Graph::default(),
            node: &NO_NODE,
            id: Id::new(0),
            operands: vec![],
            around: vec![tf],
            variables,
            stretch,
            differentiable: false,
            stretched: false,
            read,
            constants: HashMap::new(),
            state: State::default(),
            lists: Lists::default(),
            steps: vec![],
            loops: 0,
            imported: 0,
            conditional: false,
            path: String::new(),
            fed_by: HashMap::new(),
            bounds: Bounds::default(),
            found: Found::default(),
            done: vec![None; tf.nodes.len()],
            entered: vec![false; tf.nodes.len()],
            life: HashMap::new(),
            unsupported: BTreeMap::new(),
            custom_operands: BTreeMap::new(),
            problems: Problems::default(),
            notes: vec![],
        }
    }

    /// Imports all that the outputs need, and looks at what runs beside.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        // In the order of control edges, which nodes have.
        for (id, node) in self.tf.nodes.iter() {
            if self.declared(&node.op).is_some_and(|declared| declared.effect) && self.runs(id)? {
                self.demand(id)?;
            }
        }
        for port in &self.tf.outputs {
            self.demand(port.source.node)?;
        }
        self.confirm_decisions()?;
        self.look_at_effects()?;
        self.look_at_arrays()
    }

    /// Names the outputs and tells what is left to tell.
    fn finish(mut self) -> Result<Whole, Problems> {
        for port in &self.tf.outputs {
            let value = match self.output_of(port.source).map(|value| self.fetched(port.source, value)) {
                Some(Ok(value)) => Some(value),
                Some(Err(Stop::Fault(problems))) => {
                    self.problems.extend(problems);
                    None
                }
                Some(Err(Stop::Assume(..))) | None => None,
            };
            match value {
                Some(Value::Tensor(id)) => self.graph.output(&port.key, id),
                Some(Value::Narrow(_, narrow)) => {
                    let what = format!("output `{}` is of type {}, which C does not have", port.key, narrow.name());
                    self.problems
                        .push(Diagnostic::error(what).help("convert it in the model: `tf.cast(x, tf.int8)`, say"));
                }
                Some(Value::Part(whole, part)) => match super::partition::rows_of_part(&mut self, whole, part) {
                    Ok(id) => self.graph.output(&port.key, id),
                    Err(Stop::Fault(problems)) => self.problems.extend(problems),
                    Err(Stop::Assume(..)) => unreachable!("rows of a part need no extents to be equal"),
                },
                Some(Value::Variable(_)) => {
                    self.problems.push(Diagnostic::error(format!("output `{}` is a variable's handle", port.key)))
                }
                Some(Value::List(_)) => {
                    let what = format!("output `{}` is a list of tensors, which a caller cannot take", port.key);
                    self.problems.push(Diagnostic::error(what).help("stack it in the model: `array.stack()`"))
                }
                Some(Value::Dead) => self
                    .problems
                    .push(Diagnostic::error(format!("output `{}` lies on a branch that is never taken", port.key))),
                None => {}
            }
        }
        let refusals = self.refusals();
        self.problems.0.extend(refusals);
        self.problems.0.extend(self.found.refusal());
        grouped(std::mem::take(&mut self.problems)).or(())?;
        assert_eq!(self.graph.outputs.len(), self.tf.outputs.len(), "import: an output was lost without a word");
        let state = self.keep_state()?;
        if let Some((id, symbol)) = self.graph.names_unbound(&self.found.symbols) {
            let what = format!(
                "the size `{symbol}` is found within a branch or a loop, and an extent outside of it depends on it"
            );
            let problem = Diagnostic::error(what).help("compute what has this size before the branch or loop");
            return Err(match self.graph.origin(id) {
                Some(origin) => problem.at_node(origin.to_string()),
                None => problem,
            }
            .into());
        }
        Ok((self.graph, state, self.notes))
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
        let mut missing: Vec<Id<Node>> =
            self.state.needs(id).filter(|need| self.done[need.index()].is_none()).collect();
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

    /// The value of a scalar predicate, where it does not depend on the inputs.
    pub(super) fn known_bool(&self, at: NodeOutput) -> Option<bool> {
        let Some(Done::Values(values)) = &self.done[at.node.index()] else { return None };
        let Some(Value::Tensor(id)) = values.get(at.index as usize) else { return None };
        match self.graph.dims(*id)? {
            [dim] => dim.as_int().map(|n| n != 0),
            _ => None,
        }
    }

    /// The value of a node that was imported; `None` when it failed, which has been told.
    pub(super) fn output_of(&mut self, at: NodeOutput) -> Option<Value> {
        let Some(Done::Values(values)) = &self.done[at.node.index()] else { return None };
        let dead = || values.first().copied().filter(|first| *first == Value::Dead);
        let value = values.get(at.index as usize).copied().or_else(dead);
        if value.is_none() {
            let node = &self.tf.nodes[at.node];
            let problem = node.fault(format!("output {} of {} is not supported yet", at.index, node.op));
            if !self.problems.0.contains(&problem) {
                self.problems.push(problem);
            }
        }
        value
    }

    /// The row of a node. What draws from a generator of its own has none where the generator has no place.
    fn row(&self, id: Id<Node>) -> Option<&'static TfOp> {
        let op = &self.tf.nodes[id].op;
        if self.declared(op).is_some() {
            return Some(&super::custom::OPERATOR);
        }
        find(op).filter(|_| !has_generator(op) || self.tf.variables.contains_key(&id))
    }
    /// All operands are there: runs the row.
    fn finish_node(&mut self, id: Id<Node>) -> Result<(), Stop> {
        let node = &self.tf.nodes[id];
        let runs = !self.state.assigns(id) || self.runs(id)?;
        let gathered = match self.gather(id, node) {
            Err(Stop::Fault(problems)) => {
                self.problems.extend(problems.map(|problem| problem.at_node(&node.name)));
                None
            }
            gathered => gathered?,
        };
        if self.row(id).is_none() {
            let ty = |value: Option<&Value>| match value {
                Some(Value::Tensor(id)) => Some(self.graph.ty(*id).clone()),
                _ => None,
            };
            let values = node.inputs.iter().map(|input| match &self.done[input.node.index()] {
                Some(Done::Values(values)) => ty(values.get(input.index as usize)),
                _ => None,
            });
            let values = values.collect();
            self.custom_operands.insert(node.name.clone(), values);
        }
        let done = match gathered {
            _ if !runs => Done::Values(vec![Value::Dead]),
            None => {
                if self.row(id).is_none() {
                    self.unsupported.entry(&node.op).or_default().push(Cow::Borrowed(node));
                }
                Done::Failed
            }
            Some(operands) if operands.contains(&Value::Dead) && !is_merge(node) => Done::Values(vec![Value::Dead]),
            Some(operands) => match self.row(id) {
                None => {
                    self.unsupported.entry(&node.op).or_default().push(Cow::Borrowed(node));
                    Done::Failed
                }
                Some(row) => {
                    (self.node, self.id, self.operands) = (node, id, operands);
                    self.graph.set_origin(Some(self.shown(&node.name).into()));
                    match narrow::run(self, row) {
                        Ok(values) => Done::Values(values),
                        // It may follow from the bound that is lacking, of which a refusal tells.
                        Err(Stop::Fault(_)) if self.found.lacks_bounds() => Done::Failed,
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
    fn gather(&mut self, id: Id<Node>, node: &'a Node) -> Result<Option<Vec<Value>>, Stop> {
        if node.op == "NextIteration" {
            return Ok(None);
        }
        let mut operands = vec![];
        for (n, &input) in node.inputs.iter().enumerate() {
            let value = match self.done[input.node.index()] {
                None => Some(Value::Dead),
                Some(_) => self.output_of(input),
            };
            let Some(value) = value else { return Ok(None) };
            self.check_lent(id, input)?;
            operands.push(self.behind_reference(id, n, value)?);
        }
        Ok(Some(operands))
    }

    /// The value of a variable where the current node runs.
    pub(super) fn variable_value(&mut self, handle: Handle) -> Result<Value, Stop> {
        if let Some(value) = self.current(handle)? {
            return Ok(value);
        }
        if let Some(&value) = self.constants.get(&handle) {
            return Ok(value);
        }
        let made_by = self.around.get(handle.depth).and_then(|tf| tf.variables.get(&handle.node));
        let Some(variable) = made_by else {
            return Err("the model does not say where the value of this variable is stored".into());
        };
        let value = self.stored_value(variable)?.clone();
        let value = narrow::value(self.constant(value)?, variable.ty.dtype);
        self.constants.insert(handle, value);
        Ok(value)
    }

    /// The value that a variable has before anything is called.
    pub(super) fn stored_value(&mut self, variable: &'a Variable) -> Result<&Tensor, Stop> {
        let at = match self.read.iter().position(|(known, _)| *known == variable) {
            Some(at) => at,
            None => {
                self.read.push((variable, (self.variables)(variable)?));
                self.read.len() - 1
            }
        };
        Ok(&self.read[at].1)
    }
}

/// A loop around what is being imported: the symbol of its iteration, and what that stays below.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub symbol: Symbol,
    pub below: Vec<Dim>,
}

/// What is said of many nodes is said of the first, with their number.
fn grouped(problems: Problems) -> Problems {
    let mut counts: Vec<(Diagnostic, usize)> = vec![];
    let mut places: HashMap<(String, Option<String>), usize> = HashMap::new();
    for problem in problems.0 {
        match places.entry((problem.message.clone(), problem.help.clone())) {
            Entry::Occupied(at) => counts[*at.get()].1 += 1,
            Entry::Vacant(at) => {
                at.insert(counts.len());
                counts.push((problem, 1));
            }
        }
    }
    let told = |(mut problem, count): (Diagnostic, usize)| {
        if count > 1 {
            problem.message = format!("{}; so it is at {count} nodes", problem.message);
        }
        problem
    };
    Problems(counts.into_iter().map(told).collect())
}
