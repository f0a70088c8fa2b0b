//! Variables that outlive a call: each is a value that goes through the graph. An assignment makes a new one, a read takes
//! the one that the order of the edges gives it ([`order`]), and the last one is a result of the graph.
//!
//! The graph of a signature has an input for each of its variables behind those of the signature, and an output for each
//! that it changes ([`Kept`]). A body gets the values of the variables that it touches beside its arguments, and gives
//! them back beside its results.

pub(super) mod optimise;
mod order;
mod rows;
mod rules;

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use super::{
    Import, Stop, Value,
    import::{Done, Handle},
    narrow,
};
use crate::{
    base::{Diagnostic, Dim, Id, Problems},
    graph::NodeId,
    loops::{CompareFn, Fault},
    op::Within,
    saved::{
        Node, NodeOutput, Port, TfGraph, Variable,
        graph::{is_branch, is_functional},
        held_type, type_name,
    },
    tensor::{DType, Scalar, TensorType},
};
use order::{All, Arg, Carried, Finder, Number, Order, is_reference, keeps_reference, reference_chain};
pub(super) use rows::{OPS, behind, is_initialised};

type Result<T> = std::result::Result<T, Stop>;

/// A variable of a signature that outlives a call.
#[derive(Clone, Debug)]
pub struct Kept {
    pub variable: Variable,
    /// The graph's input that is its value before a call, among all inputs.
    pub input: usize,
    /// The graph's output that is its value behind the call, if that is another one.
    pub output: Option<usize>,
    /// Whether it has another value at some time of the call. It may have its old one again behind it.
    pub varies: bool,
}

/// The variables of one graph.
#[derive(Default)]
pub(super) struct State<'a> {
    all: All<'a>,
    finder: Rc<Finder<'a>>,
    order: Order,
    /// What the inputs of the graph are.
    args: Vec<Arg>,
    /// By variable, whether it has a flag that tells whether it was assigned, since nothing gives it a value at first. The
    /// flag is a variable of its own, behind all others: that of variable `n` has the number `all.len() + n`.
    flagged: Rc<[bool]>,
    /// By variable and flag, its value before the graph; none where the graph does not touch it.
    before: Vec<Option<Value>>,
    /// By assignment and variable, the value behind it.
    behind: HashMap<(Id<Node>, Number), Value>,
    /// By variable, whether it is assigned another value than it has, here or in a body.
    varies: Vec<bool>,
}

/// A variable, or its flag, that a node touches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touched {
    variable: Number,
    pub assigns: bool,
}

impl<'a> State<'a> {
    /// The same variables in a body of a node, which is not begun.
    pub fn within(&self, tf: &TfGraph, id: Id<Node>) -> State<'a> {
        let args = if self.all.is_empty() { vec![] } else { self.finder.given(tf, &self.args, id).to_vec() };
        let (all, finder, before) = (self.all.clone(), self.finder.clone(), vec![None; 2 * self.all.len()]);
        let (flagged, varies) = (self.flagged.clone(), self.varies.clone());
        State { all, finder, args, flagged, before, varies, ..State::default() }
    }
    /// Takes over what a body found.
    pub fn rejoin(&mut self, inner: &State<'a>) {
        self.varies.clone_from(&inner.varies);
    }
    /// What has to be imported before a node, beside its operands.
    pub fn needs(&self, id: Id<Node>) -> impl Iterator<Item = Id<Node>> + '_ {
        self.order.needs(id)
    }
    pub fn assigns(&self, id: Id<Node>) -> bool {
        self.order.assigns(id)
    }
    fn assigns_to(&self, id: Id<Node>, variable: Number) -> bool {
        self.order.accesses.get(&id).is_some_and(|here| here.get(&variable) == Some(&true))
    }
    /// The number of a variable's flag.
    fn flag(&self, variable: Number) -> Option<Number> {
        self.flagged.get(variable).is_some_and(|&is| is).then(|| self.all.len() + variable)
    }
    /// The variable of which a number is, or is the flag.
    fn variable(&self, number: Number) -> Number {
        number % self.all.len()
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
        let is_kept = |flag: &Variable| chosen.is_none_or(|keys| keys.contains(&flag.key));
        let flags: Vec<Option<Variable>> = all.iter().map(|variable| variable.flag().filter(is_kept)).collect();
        for flag in &flags {
            before.push(flag.as_ref().map(|flag| {
                self.graph.set_origin(Some(flag.name.as_str().into()));
                self.graph.input(&flag.name, TensorType::new(DType::Bool, vec![])).into()
            }));
        }
        let flagged = flags.iter().map(Option::is_some).collect();
        let all: All<'a> = all.into();
        let varies = vec![false; 2 * all.len()];
        self.state =
            State { finder: Rc::new(Finder::new(all.clone())), all, flagged, before, varies, ..State::default() };
        self.begin_state();
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
        let all = self.state.all.clone();
        let flags = (0..all.len()).filter_map(|n| Some((self.state.flag(n)?, all[n].flag()?)));
        let numbered = all.iter().map(|variable| (*variable).clone()).enumerate().chain(flags).collect::<Vec<_>>();
        let first = self.graph.inputs.len() - numbered.len();
        for (at, (n, variable)) in numbered.into_iter().enumerate() {
            let input = first + at;
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
            kept.push(Kept { variable, input, output, varies: self.state.varies[n] });
        }
        problems.or(kept)
    }
}

/// Any graph.
impl<'a> Import<'a> {
    /// Finds the order of the accesses of this graph.
    pub(super) fn begin_state(&mut self) {
        let State { finder, args, .. } = &self.state;
        self.state.order = Order::of(self.tf, finder.accesses(self.tf, args));
    }

    /// The variable that a value is, if it is state.
    fn carried(&self, value: Value) -> Option<Carried> {
        let Value::Variable(Handle { depth, node }) = value else { return None };
        let tf = self.around.get(depth)?;
        let variable = self.state.number(tf.variables.get(&node)?)?;
        Some(Carried { variable, by_reference: is_reference(&tf.nodes[node]) })
    }
    /// The number of the variable whose handle this is, if it is state.
    fn number_of(&self, value: Value) -> Option<Number> {
        self.carried(value).map(|carried| carried.variable)
    }

    pub(super) fn is_state(&self, handle: Handle) -> bool {
        self.number_of(Value::Variable(handle)).is_some()
    }
    /// The value of a variable that is state where the current node runs; none for other variables.
    pub(super) fn current(&mut self, handle: Handle) -> Result<Option<Value>> {
        match self.number_of(Value::Variable(handle)) {
            None => Ok(None),
            // Its extents stay what they are.
            Some(variable) if self.node.op == "VariableShape" => self.at_first(variable).map(Some),
            Some(variable) => self.seen_set(self.id, variable).map(Some),
        }
    }

    /// The value of a variable that an access of it sees, which is a fault where the variable has none.
    fn seen_set(&mut self, id: Id<Node>, variable: Number) -> Result<Value> {
        let value = self.seen(id, variable)?;
        let flag = match self.state.flag(variable) {
            Some(flag) => self.seen(id, flag)?,
            None => return Ok(value),
        };
        self.if_set(value, flag)
    }

    /// A value that may be read where a flag holds.
    fn if_set(&mut self, value: Value, flag: Value) -> Result<Value> {
        let Value::Tensor(flag) = flag else { return Ok(value) };
        if self.graph.as_const(flag).is_some_and(|flag| flag.get(0) == Scalar::Bool(true)) {
            return Ok(value);
        }
        let (set, unset) = (self.scalar(DType::I64, 0.0)?, self.scalar(DType::I64, 1.0)?);
        let index = self.select(flag, set, unset)?;
        let index = self.insert_axes(index, &[0])?;
        let fine = self.add(Within { extents: vec![1], fault: Fault::UnsetVariable }, &[index])?;
        let fine = self.reshape(fine, &[])?;
        let fine = self.compare(CompareFn::Eq, fine, set)?;
        let guarded = |cx: &mut Import, id: NodeId| {
            let fine = cx.broadcast_to(fine, &cx.shape(id))?;
            let zeros = cx.full_like(id, 0.0)?;
            cx.select(fine, id, zeros)
        };
        Ok(match value {
            Value::Tensor(id) => guarded(self, id)?.into(),
            Value::Narrow(id, narrow) => Value::Narrow(guarded(self, id)?, narrow),
            value => value,
        })
    }

    fn at_first(&self, variable: Number) -> Result<Value> {
        self.state.before[variable].ok_or_else(|| self.not_followed(variable))
    }

    /// The value of a variable or a flag that an access of the variable sees.
    fn seen(&self, id: Id<Node>, variable: Number) -> Result<Value> {
        let mut at = id;
        loop {
            let of = self.state.variable(variable);
            let before = self.state.order.before(at, of).map_err(|other| match other {
                Some(other) => self.either_order(id, variable, other),
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
        let Some(last) = self.state.order.last(self.state.variable(variable)) else { return self.at_first(variable) };
        match (self.state.behind.get(&(last, variable)), &self.done[last.index()]) {
            (Some(&value), _) => Ok(value),
            (None, Some(Done::Failed)) => Err(Stop::Fault(Problems::default())),
            (None, _) => self.seen(last, variable),
        }
    }

    /// Lets the variable whose handle operand `n` is have a value behind the current node.
    fn assign(&mut self, n: usize, value: Value) -> Result<()> {
        let Value::Variable(handle) = self.value(n)? else {
            return Err(self.no_handle(n));
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
        self.state.varies[variable] |= self.seen(self.id, variable)? != value;
        if self.state.behind.insert((self.id, variable), value).is_some() {
            let what = format!("is changed twice by one {}, which is not supported", self.node.op);
            return Err(self.of_variable(variable, &what).into());
        }
        if let Some(flag) = self.state.flag(variable) {
            let set = self.scalar(DType::Bool, 1.0)?;
            self.state.varies[flag] = true;
            self.state.behind.insert((self.id, flag), set.into());
        }
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

    /// Whether the variable whose handle operand 0 is has a value, where that is not known to be so.
    fn is_set(&self) -> Result<Option<NodeId>> {
        // What is no state has its value here.
        let Value::Variable(handle) = self.value(0)? else { return Ok(None) };
        let Some(flag) = self.number_of(Value::Variable(handle)).and_then(|variable| self.state.flag(variable)) else {
            return Ok(None);
        };
        match self.seen(self.id, flag)? {
            Value::Tensor(flag) => Ok(Some(flag)),
            _ => Ok(None),
        }
    }

    /// What is wrong with an operand that should be a variable's handle, and is none.
    pub(super) fn no_handle(&self, operand: usize) -> Stop {
        let what = format!("{} works on a variable, and operand {operand} does not tell on which one", self.node.op);
        let help = "which variable it is must not depend on data: give each branch the same one, and let loops hand it on \
                    as it is";
        Diagnostic::error(what).help(help).into()
    }
    fn of_variable(&self, variable: Number, what: &str) -> String {
        format!("variable `{}` {what}", self.state.all[self.state.variable(variable)].name)
    }
    fn not_followed(&self, variable: Number) -> Stop {
        let what = "is reached on a way that is not followed, so that it is not known what it holds here";
        self.of_variable(variable, what).into()
    }
    fn either_order(&self, id: Id<Node>, variable: Number, other: Id<Node>) -> Stop {
        let other = &self.tf.nodes[other];
        let what = format!(
            "is assigned by {} `{}`, and nothing says whether that runs before this {} or behind it",
            other.op, other.name, self.tf.nodes[id].op
        );
        let help = "TensorFlow may take either order: let one wait for the other (`tf.control_dependencies`), or trace both \
                    in one `tf.function`";
        Diagnostic::error(self.of_variable(variable, &what)).help(help).into()
    }

    /// A reference as what is behind it, for operators that take a value.
    pub(super) fn behind_reference(&mut self, id: Id<Node>, operand: usize, value: Value) -> Result<Value> {
        let Some(Carried { variable, .. }) = self.carried(value).filter(|carried| carried.by_reference) else {
            return Ok(value);
        };
        if keeps_reference(self.tf, id, operand) {
            return Ok(value);
        }
        // A loop begins with the memory of the variable, not with a copy.
        if is_functional(&self.tf.nodes[id].op) && self.state.assigns_to(id, variable) {
            return Err(self.lent_beyond(variable, id));
        }
        self.seen_set(id, variable)
    }
}

/// Variables of the old kind, whose users read them where they run.
impl<'a> Import<'a> {
    /// An output as a caller gets it: what is behind a reference once the node has run.
    pub(super) fn fetched(&mut self, at: NodeOutput, value: Value) -> Result<Value> {
        let Value::Variable(_) = value else { return self.settled_value(at, value) };
        let Some(Carried { variable, .. }) = self.carried(value).filter(|carried| carried.by_reference) else {
            return Ok(value);
        };
        match self.state.order.last(variable) {
            Some(last) if !reference_chain(self.tf, at).any(|from| from.node == last) => {
                Err(self.either_order(at.node, variable, last))
            }
            _ => {
                let (value, flag) = (self.last(variable)?, self.state.flag(variable));
                let flag = flag.map(|flag| self.last(flag)).transpose()?;
                flag.map_or(Ok(value), |flag| self.if_set(value, flag))
            }
        }
    }

    /// A value that nodes hand on may lie in a variable's memory, which later assignments change: then it is refused.
    fn settled_value(&self, at: NodeOutput, value: Value) -> Result<Value> {
        for (node, variable) in self.lent(at) {
            let seen = self.lent_behind(node, variable).ok().flatten();
            if let Some(last) = self.state.order.last(variable).filter(|last| Some(*last) != seen) {
                return Err(self.lent_beyond(variable, last));
            }
        }
        Ok(value)
    }
    /// Refuses an operand that lies in a variable's memory where the node may run behind a later assignment.
    pub(super) fn check_lent(&self, id: Id<Node>, operand: NodeOutput) -> Result<()> {
        let op = &self.tf.nodes[id].op;
        for (node, variable) in self.lent(operand) {
            // A loop uses it again behind what an iteration assigns.
            if is_functional(op) && !is_branch(op) && self.state.assigns_to(id, variable) {
                return Err(self.lent_beyond(variable, id));
            }
            let (lent, here) = (self.lent_behind(node, variable), self.state.order.before(id, variable));
            if lent != here || here.is_err() {
                let other = here.unwrap_or_else(|other| other).or(self.state.order.last(variable));
                return Err(
                    other.map_or_else(|| self.not_followed(variable), |other| self.lent_beyond(variable, other))
                );
            }
        }
        Ok(())
    }
    /// The assignment behind which a node lends the memory of a variable: one of its bodies may assign first.
    fn lent_behind(&self, node: Id<Node>, variable: Number) -> std::result::Result<Option<Id<Node>>, Option<Id<Node>>> {
        let is_input = self.tf.inputs.iter().any(|port| port.source.node == node);
        match is_functional(&self.tf.nodes[node].op) && self.state.assigns_to(node, variable) {
            true => Ok(Some(node)),
            false if is_input => Ok(None),
            false => self.state.order.before(node, variable),
        }
    }
    fn lent(&self, edge: NodeOutput) -> Vec<(Id<Node>, Number)> {
        let State { all, finder, args, .. } = &self.state;
        let is_brought = |arg: &Arg| !arg.lent.is_empty() || arg.carried.is_some_and(|carried| carried.by_reference);
        let has_references = || args.iter().any(is_brought) || self.tf.nodes.iter().any(|(_, node)| is_reference(node));
        if all.is_empty() || !has_references() {
            return vec![];
        }
        finder.lent(self.tf, args, edge)
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
    /// Which results of the current branch are references.
    pub(super) fn reference_results(&self, count: usize) -> Vec<bool> {
        let is_reference = |index: usize| {
            let edge = NodeOutput { node: self.id, index: index as u32 };
            let carried = self.state.finder.carried(self.tf, &self.state.args, edge);
            carried.is_some_and(|carried| carried.by_reference)
        };
        (0..count).map(is_reference).collect()
    }
    /// The results of a body, of which those that are no references are what is behind them.
    pub(super) fn behind_results(
        &mut self,
        outputs: &[Option<Value>],
        references: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let tf = self.tf;
        let ports = tf.outputs.iter().zip(outputs).zip(references);
        let behind = |((port, &value), &is_reference): ((&Port, &Option<Value>), &bool)| match value {
            Some(value) if !is_reference => self.fetched(port.source, value).map(Some),
            _ => Ok(value),
        };
        ports.map(behind).collect()
    }
    /// The variables that the current node's functions touch.
    pub(super) fn touched(&self) -> Vec<Touched> {
        let here = self.state.order.accesses.get(&self.id).into_iter().flatten();
        let both = |(&variable, &assigns): (&Number, &bool)| {
            let numbers = std::iter::once(variable).chain(self.state.flag(variable));
            numbers.map(move |variable| Touched { variable, assigns })
        };
        here.flat_map(both).collect()
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
        match touched.iter().find(|t| self.state.order.last(self.state.variable(t.variable)).is_some()) {
            Some(t) => Err(self
                .of_variable(t.variable, "is assigned by the condition of a loop, which is not supported")
                .into()),
            None => Ok(()),
        }
    }
    /// Refuses what an iteration gives to the next one in the memory of a variable that it assigns.
    pub(super) fn carries_no_memory(&self) -> Result<()> {
        for (_, variable) in self.tf.outputs.iter().flat_map(|port| self.lent(port.source)) {
            if let Some(last) = self.state.order.last(variable) {
                return Err(self.lent_beyond(variable, last));
            }
        }
        Ok(())
    }
    /// What they hold behind the current node.
    pub(super) fn take_state(&mut self, touched: &[Touched], values: &[Value]) {
        for (t, &value) in touched.iter().zip(values).filter(|(t, _)| t.assigns) {
            self.state.behind.insert((self.id, t.variable), value);
        }
    }
}
