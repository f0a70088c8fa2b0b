//! Variables that outlive a call: each is a value that goes through the graph. An assignment makes a new one, a read takes
//! the one that the order of the edges gives it ([`order`]), and the last one is a result of the graph.
//!
//! The graph of a signature has an input for each of its variables behind those of the signature, and an output for each
//! that it changes ([`Kept`]). A body gets the values of the variables that it touches beside its arguments, and gives
//! them back beside its results.

mod order;
mod rows;

use std::collections::{BTreeSet, HashMap};

use super::{
    Import, Stop, Value,
    import::{Done, Handle},
    narrow,
};
use crate::{
    base::{Diagnostic, Dim, Id, Problems},
    graph::NodeId,
    saved::{Node, NodeOutput, TfGraph, Variable, held_type, type_name},
    tensor::{DType, TensorType},
};
use order::{All, Finder, Number, Order, is_reference, takes_reference};
pub(super) use rows::{OPS, behind};

type Result<T> = std::result::Result<T, Stop>;

/// A variable of a signature that outlives a call.
#[derive(Clone, Debug)]
pub struct Kept {
    pub variable: Variable,
    /// The graph's input that is its value before a call, among all inputs.
    pub input: usize,
    /// The graph's output that is its value behind the call, if that is another one.
    pub output: Option<usize>,
}

/// The variables of one graph.
#[derive(Default)]
pub(super) struct State<'a> {
    all: All<'a>,
    order: Order,
    /// By variable, its value before the graph; none where the graph does not touch it.
    before: Vec<Option<Value>>,
    /// By assignment and variable, the value behind it.
    behind: HashMap<(Id<Node>, Number), Value>,
}

/// A variable that a node touches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touched {
    variable: Number,
    pub assigns: bool,
}

impl<'a> State<'a> {
    /// The same variables in a body, which is not begun.
    pub fn within(&self) -> State<'a> {
        State { all: self.all.clone(), before: vec![None; self.all.len()], ..State::default() }
    }
    /// What has to be imported before a node, beside its operands.
    pub fn needs(&self, id: Id<Node>) -> impl Iterator<Item = Id<Node>> + '_ {
        self.order.needs(id)
    }
    pub fn assigns(&self, id: Id<Node>) -> bool {
        self.order.assigns(id)
    }
    fn number(&self, variable: &Variable) -> Option<Number> {
        self.all.iter().position(|known| known.is_stored_as(variable))
    }
}

/// The variables of a graph and its bodies that are state, each once.
fn kept(tf: &TfGraph, is_state: impl Fn(&str) -> bool) -> Vec<&Variable> {
    let mut all: Vec<&Variable> = vec![];
    for variable in tf.all_variables().into_iter().filter(|v| is_state(&v.key)) {
        if !all.iter().any(|known| known.is_stored_as(variable)) {
            all.push(variable);
        }
    }
    all.sort_by(|a, b| (&a.key, &a.name).cmp(&(&b.key, &b.name)));
    all
}

/// The whole graph.
impl<'a> Import<'a> {
    /// Adds an input for each variable that is state, behind all others.
    pub(super) fn declare_state(&mut self, chosen: Option<&BTreeSet<String>>) -> Result<()> {
        let tf = self.tf;
        let is_state = |key: &str| chosen.map_or_else(|| tf.updates.contains_key(key), |keys| keys.contains(key));
        let all = kept(tf, is_state);
        let mut problems = Problems::default();
        let mut before = vec![];
        for variable in &all {
            match self.declare_variable(variable) {
                Ok(value) => before.push(Some(value)),
                Err(Stop::Fault(more)) => {
                    problems.extend(more);
                    before.push(None);
                }
                Err(stop) => return Err(stop),
            }
        }
        problems.or(()).map_err(Stop::Fault)?;
        self.state = State { all: all.into(), before, ..State::default() };
        self.state.order = self.ordered(&[]);
        Ok(())
    }

    fn declare_variable(&mut self, variable: &'a Variable) -> Result<Value> {
        let named = |what: String| Stop::from(format!("variable `{}` is state, and {what}", variable.name));
        let dtype = variable.ty.dtype;
        let held = held_type(dtype).filter(|held| *held != DType::Str && !held.is_complex());
        let held = held.ok_or_else(|| named(format!("{} is not supported there", type_name(dtype))))?;
        let shape = match variable.ty.shape.fixed() {
            Some(shape) => shape,
            // What the initialisation assigns has a shape.
            None => self.stored_value(variable)?.shape.clone(),
        };
        let shape: Vec<Dim> = shape.into_iter().map(Dim::from).collect();
        let ty = TensorType::new(held, shape);
        self.graph.set_origin(Some(variable.name.as_str().into()));
        let id = self.graph.input(&variable.name, ty);
        Ok(narrow::value(id, dtype))
    }

    /// Names the values that variables have at the end.
    pub(super) fn keep_state(&mut self) -> std::result::Result<Vec<Kept>, Problems> {
        let (mut kept, mut problems) = (vec![], Problems::default());
        let first = self.graph.inputs.len() - self.state.all.len();
        for (n, variable) in self.state.all.clone().iter().enumerate() {
            let input = first + n;
            let last = match self.last(n) {
                Ok(Value::Tensor(last) | Value::Narrow(last, _)) => last,
                _ => {
                    problems.push(Diagnostic::error(self.of_variable(n, "has no value at the end that is known")));
                    continue;
                }
            };
            let changed = last != self.graph.inputs[input].node;
            let output = changed.then(|| {
                self.graph.output(&variable.name, last);
                self.graph.outputs.len() - 1
            });
            kept.push(Kept { variable: (*variable).clone(), input, output });
        }
        problems.or(kept)
    }
}

/// Any graph.
impl<'a> Import<'a> {
    /// The order of a graph's accesses, whose inputs have these values.
    fn ordered(&self, args: &[Value]) -> Order {
        if self.state.all.is_empty() {
            return Order::default();
        }
        let args: Vec<Option<Number>> = args.iter().map(|value| self.number_of(*value)).collect();
        Order::of(self.tf, Finder::new(self.state.all.clone()).accesses(self.tf, &args))
    }
    pub(super) fn begin_state(&mut self, args: &[Value]) {
        self.state.order = self.ordered(args);
    }

    /// The number of the variable whose handle this is, if it is state.
    fn number_of(&self, value: Value) -> Option<Number> {
        let Value::Variable(Handle { depth, node }) = value else { return None };
        self.state.number(self.around.get(depth)?.variables.get(&node)?)
    }

    pub(super) fn is_state(&self, handle: Handle) -> bool {
        self.number_of(Value::Variable(handle)).is_some()
    }
    /// The value of a variable that is state where the current node runs; none for other variables.
    pub(super) fn current(&self, handle: Handle) -> Result<Option<Value>> {
        match self.number_of(Value::Variable(handle)) {
            None => Ok(None),
            // Its extents stay what they are.
            Some(variable) if self.node.op == "VariableShape" => self.at_first(variable).map(Some),
            Some(variable) => self.seen(self.id, variable).map(Some),
        }
    }

    fn at_first(&self, variable: Number) -> Result<Value> {
        self.state.before[variable].ok_or_else(|| self.not_followed(variable))
    }

    /// The value of a variable that an access of it sees.
    fn seen(&self, id: Id<Node>, variable: Number) -> Result<Value> {
        let mut at = id;
        loop {
            let before = self.state.order.before(at, variable).map_err(|other| match other {
                Some(other) => self.either_order(variable, other),
                None => self.not_followed(variable),
            })?;
            let Some(before) = before else { return self.at_first(variable) };
            match (self.state.behind.get(&(before, variable)), &self.done[before.index()]) {
                (Some(&value), _) => return Ok(value),
                (None, Some(Done::Failed)) => return Err(Stop::Fault(Problems::default())),
                // It does not run.
                (None, _) => at = before,
            }
        }
    }

    /// The value of a variable at the end of the graph.
    fn last(&self, variable: Number) -> Result<Value> {
        let Some(last) = self.state.order.last(variable) else { return self.at_first(variable) };
        match (self.state.behind.get(&(last, variable)), &self.done[last.index()]) {
            (Some(&value), _) => Ok(value),
            (None, Some(Done::Failed)) => Err(Stop::Fault(Problems::default())),
            (None, _) => self.seen(last, variable),
        }
    }

    /// Lets the variable whose handle operand 0 is have a value behind the current node.
    fn assign(&mut self, value: Value) -> Result<()> {
        let Value::Variable(handle) = self.value(0)? else {
            return Err(self.no_handle(0));
        };
        let Some(variable) = self.number_of(Value::Variable(handle)) else {
            return self.give_back(handle, value);
        };
        let before = self.at_first(variable)?;
        let (old, new) = match (before, value) {
            (Value::Tensor(old), Value::Tensor(new)) => (old, new),
            (Value::Narrow(old, a), Value::Narrow(new, b)) if a == b => (old, new),
            _ => return Err(self.of_variable(variable, "is assigned what is no tensor of its type").into()),
        };
        let (wanted, found) = (self.graph.ty(old).clone(), self.graph.ty(new).clone());
        if wanted.dtype != found.dtype || wanted.rank() != found.rank() {
            let what = format!("is {wanted}, but {found} is assigned to it: a variable keeps its type and shape");
            return Err(self.of_variable(variable, &what).into());
        }
        for (a, b) in wanted.shape.iter().zip(&found.shape) {
            self.require_equal(a, b, "the extents of a variable and of what is assigned to it")?;
        }
        let shape = wanted.shape.clone();
        let new = if found.shape == shape { new } else { self.reshape(new, &shape)? };
        let value = match value {
            Value::Narrow(_, narrow) => Value::Narrow(new, narrow),
            _ => new.into(),
        };
        // The order must be known, whoever reads the variable.
        self.seen(self.id, variable)?;
        self.state.behind.insert((self.id, variable), value);
        Ok(())
    }

    /// A variable that is no state may be assigned what it is.
    fn give_back(&mut self, handle: Handle, value: Value) -> Result<()> {
        let known = self.variable_value(handle)?;
        let same = match (known, value) {
            (Value::Tensor(a), Value::Tensor(b)) | (Value::Narrow(a, _), Value::Narrow(b, _)) => {
                a == b || self.graph.as_const(a).is_some() && self.graph.as_const(a) == self.graph.as_const(b)
            }
            _ => false,
        };
        if same { Ok(()) } else { Err("a variable is assigned that was taken for a constant".into()) }
    }

    /// The place of the current node's generator, which becomes what `change` gives.
    pub(super) fn move_generator(
        &mut self,
        change: impl FnOnce(&mut Import<'a>, NodeId) -> Result<(NodeId, NodeId)>,
    ) -> Result<NodeId> {
        let own = self.tf.variables.get(&self.id).and_then(|own| self.state.number(own));
        let Some(variable) = own else { return Err("the generator's place is not kept".into()) };
        let Value::Tensor(before) = self.seen(self.id, variable)? else {
            return Err(self.not_followed(variable));
        };
        let (result, behind) = change(self, before)?;
        self.state.behind.insert((self.id, variable), behind.into());
        Ok(result)
    }

    /// What is wrong with an operand that should be a variable's handle, and is none.
    pub(super) fn no_handle(&self, operand: usize) -> Stop {
        let what = format!("{} works on a variable, and operand {operand} does not tell on which one", self.node.op);
        let help = "reference variables (VariableV2) are not followed into branches and loops: use resource variables \
                    (`tf.compat.v1.enable_resource_variables()`)";
        Diagnostic::error(what).help(help).into()
    }
    fn of_variable(&self, variable: Number, what: &str) -> String {
        format!("variable `{}` {what}", self.state.all[variable].name)
    }
    fn not_followed(&self, variable: Number) -> Stop {
        let what = "is reached on a way that is not followed, so that it is not known what it holds here";
        self.of_variable(variable, what).into()
    }
    fn either_order(&self, variable: Number, other: Id<Node>) -> Stop {
        let other = &self.tf.nodes[other];
        let what = format!(
            "is assigned by {} `{}`, and nothing says whether that runs before this {} or behind it",
            other.op, other.name, self.node.op
        );
        let help = "TensorFlow may take either order: let one wait for the other (`tf.control_dependencies`), or trace both \
                    in one `tf.function`";
        Diagnostic::error(self.of_variable(variable, &what)).help(help).into()
    }

    /// A reference as what is behind it, for operators that take a value.
    pub(super) fn behind_reference(&self, node: &'a Node, id: Id<Node>, operand: usize, value: Value) -> Result<Value> {
        let Value::Variable(handle) = value else { return Ok(value) };
        let made_by = self.around.get(handle.depth).map(|tf| &tf.nodes[handle.node]);
        if !made_by.is_some_and(is_reference) || takes_reference(&node.op, operand) {
            return Ok(value);
        }
        match self.number_of(value) {
            Some(variable) => self.seen(id, variable),
            None => Ok(value),
        }
    }
}

/// Variables of the old kind, whose users read them where they run.
impl<'a> Import<'a> {
    /// An output as a caller gets it: what is behind a reference once the node has run.
    pub(super) fn fetched(&self, at: NodeOutput, value: Value) -> Result<Value> {
        let Value::Variable(handle) = value else { return self.settled_value(at, value) };
        let made_by = self.around.get(handle.depth).map(|tf| &tf.nodes[handle.node]);
        let Some(variable) = self.number_of(value).filter(|_| made_by.is_some_and(is_reference)) else {
            return Ok(value);
        };
        match self.state.order.last(variable) {
            None => self.at_first(variable),
            Some(last) if last == at.node => self.last(variable),
            Some(last) => Err(self.either_order(variable, last)),
        }
    }

    /// A value that nodes hand on may lie in a variable's memory, which later assignments change: then it is refused.
    fn settled_value(&self, at: NodeOutput, value: Value) -> Result<Value> {
        for (node, variable) in self.lent(at) {
            let seen = self.state.order.before(node, variable).ok().flatten();
            if let Some(last) = self.state.order.last(variable).filter(|last| Some(*last) != seen) {
                return Err(self.lent_beyond(variable, last));
            }
        }
        Ok(value)
    }
    /// Refuses an operand that lies in a variable's memory where the node may run behind a later assignment.
    pub(super) fn check_lent(&self, id: Id<Node>, operand: NodeOutput) -> Result<()> {
        for (node, variable) in self.lent(operand) {
            let [lent, here] = [node, id].map(|at| self.state.order.before(at, variable));
            if lent != here || here.is_err() {
                let other = here.unwrap_or_else(|other| other).or(self.state.order.last(variable));
                return Err(
                    other.map_or_else(|| self.not_followed(variable), |other| self.lent_beyond(variable, other))
                );
            }
        }
        Ok(())
    }
    fn lent(&self, edge: NodeOutput) -> Vec<(Id<Node>, Number)> {
        if self.state.all.is_empty() || !self.tf.nodes.iter().any(|(_, node)| is_reference(node)) {
            return vec![];
        }
        Finder::new(self.state.all.clone()).lent(self.tf, &[], edge)
    }
    fn lent_beyond(&self, variable: Number, other: Id<Node>) -> Stop {
        let other = &self.tf.nodes[other];
        let what = format!(
            "is read without a copy, and may be assigned by {} `{}` before what was read is used",
            other.op, other.name
        );
        let help = "compute with what was read before it is assigned (`v + 0` makes a copy), or use resource variables";
        Diagnostic::error(self.of_variable(variable, &what)).help(help).into()
    }
}

/// Bodies.
impl<'a> Import<'a> {
    /// The variables that the current node's functions touch.
    pub(super) fn touched(&self) -> Vec<Touched> {
        let here = self.state.order.accesses.get(&self.id).into_iter().flatten();
        here.map(|(&variable, &assigns)| Touched { variable, assigns }).collect()
    }
    /// What they hold where the current node runs.
    pub(super) fn values_of(&self, touched: &[Touched]) -> Result<Vec<Value>> {
        touched.iter().map(|t| self.seen(self.id, t.variable)).collect()
    }
    /// What they hold where this graph begins.
    pub(super) fn give_state(&mut self, touched: &[Touched], values: &[Value]) {
        for (t, &value) in touched.iter().zip(values) {
            self.state.before[t.variable] = Some(value);
        }
    }
    /// What they hold where this graph ends; none for what failed.
    pub(super) fn last_of(&self, touched: &[Touched]) -> Vec<Option<Value>> {
        touched.iter().map(|t| self.last(t.variable).ok()).collect()
    }
    /// Refuses a graph that assigns one of them.
    pub(super) fn keeps_state(&self, touched: &[Touched]) -> Result<()> {
        match touched.iter().find(|t| self.state.order.last(t.variable).is_some()) {
            Some(t) => Err(self
                .of_variable(t.variable, "is assigned by the condition of a loop, which is not supported")
                .into()),
            None => Ok(()),
        }
    }
    /// What they hold behind the current node.
    pub(super) fn take_state(&mut self, touched: &[Touched], values: &[Value]) {
        for (t, &value) in touched.iter().zip(values).filter(|(t, _)| t.assigns) {
            self.state.behind.insert((self.id, t.variable), value);
        }
    }
}
