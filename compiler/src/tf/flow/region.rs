//! Bodies of branches and loops: a function's graph imported as a region, or in the place where it is called.
//!
//! A region is a graph of its own. What it reads from the graph around becomes its inputs, but for what is known there:
//! constants, numbers that follow from extents, and variables are known inside too. What is told of nodes inside is told
//! with the name of the node around.

use std::{borrow::Cow, collections::BTreeMap, mem::take};

use super::{List, list::ListOf};
use crate::{
    base::{Diagnostic, Dim, Problems, layer::layer_of},
    graph::{Graph, NodeId},
    saved::{Node, NodeOutput, TfGraph, decode_tensor, host_type, narrow_type, type_name},
    tensor::{DType, Scalar, TensorType},
    tf::{
        Import, Stop, Value,
        import::{Done, Step},
    },
};

type Result<T> = std::result::Result<T, Stop>;

/// Regions in regions.
const MAX_DEPTH: usize = 32;
/// Nodes of regions and graphs that one import may make.
const MAX_IMPORTED: usize = 4_000_000;

/// A body on its way to a region.
pub(super) struct Region<'a> {
    pub inner: Import<'a>,
    /// The nodes around that the inputs stand for, in their order: first those that are carried.
    operands: Vec<NodeId>,
    carried: usize,
}

/// What an import says of the nodes of a body.
#[derive(Default)]
pub(super) struct Told<'a> {
    problems: Problems,
    notes: Vec<Diagnostic>,
    unsupported: BTreeMap<&'a str, Vec<Cow<'a, Node>>>,
}

/// A region, and what the body returns; `None` where that failed, which has been told.
pub(super) struct Closed<'a> {
    pub graph: Graph,
    pub told: Told<'a>,
    pub operands: Vec<NodeId>,
    pub outputs: Vec<Option<Value>>,
}

impl Closed<'_> {
    /// The node around whose value a node of the region is, where it is an input.
    pub fn outside(&self, id: NodeId) -> Option<NodeId> {
        self.graph.inputs.iter().position(|port| port.node == id).map(|n| self.operands[n])
    }
    /// The outputs, where none failed.
    pub fn all(&self) -> Result<Vec<Value>> {
        self.outputs.iter().copied().collect::<Option<_>>().ok_or_else(|| Stop::Fault(Problems::default()))
    }
}

impl<'a> Import<'a> {
    /// The body of the current node's function `which`.
    pub(super) fn body(&self, which: usize) -> Result<&'a TfGraph> {
        let tf: &'a TfGraph = self.tf;
        match tf.bodies.get(&(self.id, which)) {
            Some(Ok(body)) => Ok(body),
            Some(Err(problems)) => Err(Stop::Fault(problems.clone())),
            None => Err(format!("{} lacks a function that it calls", self.node.op).into()),
        }
    }

    /// An import of a body into a graph; what both imports share is there for the inner one.
    fn nested(&mut self, tf: &'a TfGraph, graph: Graph) -> Result<Import<'a>> {
        self.imported += tf.nodes.len();
        if self.around.len() >= MAX_DEPTH || self.imported > MAX_IMPORTED {
            return Err("branches and loops are nested beyond reason".into());
        }
        let mut inner = Import::new(tf, self.variables, self.stretch, take(&mut self.read));
        inner.graph = graph;
        inner.differentiable = self.differentiable;
        inner.path = format!("{}{}/", self.path, self.node.name);
        inner.around = [&self.around[..], &[tf]].concat();
        inner.lists = take(&mut self.lists);
        inner.steps = self.steps.clone();
        inner.state = self.state.within(self.tf, self.id);
        inner.conditional = self.conditional;
        inner.found = self.found.within();
        (inner.loops, inner.imported) = (self.loops, self.imported);
        Ok(inner)
    }

    /// Takes back what an inner import shares, and gives what it says.
    fn rejoin(&mut self, inner: &mut Import<'a>) -> Told<'a> {
        self.read = take(&mut inner.read);
        self.lists = take(&mut inner.lists);
        (self.loops, self.imported) = (inner.loops, inner.imported);
        self.stretched |= inner.stretched;
        self.found.rejoin(&mut inner.found);
        self.state.rejoin(&inner.state);
        Told {
            problems: take(&mut inner.problems),
            notes: take(&mut inner.notes),
            unsupported: take(&mut inner.unsupported),
        }
    }

    /// Says of the nodes of a body, by their names here, what its import said.
    pub(super) fn tell(&mut self, told: Told<'a>) {
        let here = self.node.name.as_str();
        let named = |node: &str| format!("{here}/{node}");
        let at = |mut problem: Diagnostic| {
            if let Some(node) = problem.place.node.take() {
                let node = named(&node);
                problem.place.layer = layer_of(&node);
                problem.place.node = Some(node);
            }
            problem
        };
        self.problems.extend(told.problems.map(at));
        self.notes.extend(told.notes.into_iter().map(at));
        for (op, nodes) in told.unsupported {
            let renamed = nodes.into_iter().map(|node| {
                let mut node = node.into_owned();
                node.name = named(&node.name);
                Cow::Owned(node)
            });
            self.unsupported.entry(op).or_default().extend(renamed);
        }
    }

    /// What a body computes, in the graph around it.
    pub(super) fn inline(&mut self, which: usize, args: &[Value]) -> Result<Vec<Value>> {
        let tf = self.body(which)?;
        let (touched, references) = (self.touched(), self.reference_results(tf.outputs.len()));
        let before = self.values_of(&touched)?;
        let graph = take(&mut self.graph);
        let mut inner = match self.nested(tf, Graph::default()) {
            Ok(inner) => inner,
            Err(stop) => {
                self.graph = graph;
                return Err(stop);
            }
        };
        inner.graph = graph;
        (inner.bounds, inner.fed_by) = (take(&mut self.bounds), take(&mut self.fed_by));
        inner.constants = take(&mut self.constants);
        inner.give_state(&touched, &before);
        let outputs = inner.outputs_for(args).and_then(|outputs| inner.behind_results(&outputs, &references));
        let behind = inner.last_of(&touched);
        (self.graph, self.bounds, self.fed_by) =
            (take(&mut inner.graph), take(&mut inner.bounds), take(&mut inner.fed_by));
        self.constants = take(&mut inner.constants);
        let told = self.rejoin(&mut inner);
        self.tell(told);
        self.graph.set_origin(Some(self.shown(&self.node.name).into()));
        let whole = |values: Vec<Option<Value>>| values.into_iter().collect::<Option<Vec<Value>>>();
        let failed = || Stop::Fault(Problems::default());
        let outputs = whole(outputs?).ok_or_else(failed)?;
        self.take_state(&touched, &whole(behind).ok_or_else(failed)?);
        Ok(outputs)
    }

    /// A body as a region. `args` gives the values of its arguments inside; `look` sees the import at its end. `step` is
    /// that of the loop that runs the body.
    pub(super) fn enter<T>(
        &mut self,
        tf: &'a TfGraph,
        step: Option<Step>,
        args: impl FnOnce(&Import<'a>, &mut Region<'a>) -> Result<Vec<Value>>,
        look: impl FnOnce(&mut Import<'a>, &[Option<Value>]) -> Result<T>,
    ) -> Result<(Closed<'a>, T)> {
        let mut inner = self.nested(tf, Graph::with_facts(self.graph.facts().clone()))?;
        inner.steps.extend(step);
        inner.conditional = true;
        let mut region = Region { inner, operands: vec![], carried: 0 };
        let outcome = args(self, &mut region).and_then(|args| {
            let outputs = region.inner.outputs_for(&args)?;
            let seen = look(&mut region.inner, &outputs)?;
            Ok((outputs, seen))
        });
        let told = self.rejoin(&mut region.inner);
        let (outputs, seen) = match outcome {
            Ok(outcome) => outcome,
            Err(stop) => {
                self.tell(told);
                return Err(stop);
            }
        };
        let graph = region.inner.graph;
        // What depends on sizes that are found within is looked at there.
        let is_outer = |a: &Dim, b: &Dim| !graph.is_found(a) && !graph.is_found(b);
        for (a, b) in graph.facts().assumed().iter().filter(|(a, b)| is_outer(a, b)) {
            self.graph.assume_equal(a.clone(), b.clone());
        }
        for (from, to) in graph.facts().repeated().iter().filter(|(a, b)| is_outer(a, b)) {
            self.graph.assume_repeated(from.clone(), to.clone());
        }
        Ok((Closed { graph, told, operands: region.operands, outputs }, seen))
    }

    /// What the graph returns where its inputs have these values.
    fn outputs_for(&mut self, args: &[Value]) -> Result<Vec<Option<Value>>> {
        if self.tf.inputs.len() != args.len() {
            return Err(format!("the function takes {} arguments, not {}", self.tf.inputs.len(), args.len()).into());
        }
        for (port, &value) in self.tf.inputs.iter().zip(args) {
            let held = narrow_type(port.ty.dtype).map(|narrow| narrow.held()).or(host_type(port.ty.dtype));
            if let (Value::Tensor(id) | Value::Narrow(id, _), Some(held)) = (value, held)
                && self.dtype(id) != held
            {
                let (given, takes) = (self.dtype(id), type_name(port.ty.dtype));
                return Err(format!("argument `{}` of the function is {takes}, but {given} is given", port.key).into());
            }
            self.done[port.source.node.index()] = Some(Done::Values(vec![value]));
        }
        self.begin_state();
        self.run()?;
        Ok(self.tf.outputs.iter().map(|port| self.output_of(port.source)).collect())
    }

    /// A name in a body, with those of the nodes around it.
    pub(in crate::tf) fn shown(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }
}

impl<'a> Region<'a> {
    /// An input that stands for a value which changes from iteration to iteration, and begins as `operand`. All of them
    /// come before what is brought in.
    pub fn carried(&mut self, outer: &Import<'a>, operand: NodeId, ty: TensorType) -> NodeId {
        self.carried += 1;
        self.input(outer, "carried", operand, ty)
    }

    fn input(&mut self, outer: &Import<'a>, what: &str, operand: NodeId, ty: TensorType) -> NodeId {
        let input = self.inner.graph.input(format!("{what}{}", self.operands.len()), ty);
        self.inner.fed_by.insert(input, outer.sources(operand).0);
        self.operands.push(operand);
        input
    }

    /// A value of the graph around, inside.
    pub fn bring(&mut self, outer: &Import<'a>, value: Value) -> Result<Value> {
        Ok(match value {
            Value::Tensor(id) => Value::Tensor(self.tensor(outer, id)?),
            Value::Narrow(id, narrow) => Value::Narrow(self.tensor(outer, id)?, narrow),
            Value::List(list) => Value::List(self.list(outer, list)?),
            Value::Variable(_) | Value::Dead => value,
            Value::Part(..) => {
                let problem = "a branch or a loop takes a tensor whose extents depend on the values of the inputs, which is \
                               not supported yet";
                return Err(problem.into());
            }
        })
    }

    fn list(&mut self, outer: &Import<'a>, list: List) -> Result<List> {
        let of = self.inner.lists.get(list).clone();
        let data = of.data.map(|id| self.tensor(outer, id)).transpose()?;
        let count = of.count.map(|id| self.tensor(outer, id)).transpose()?;
        let extents = of.extents.map(|id| self.tensor(outer, id)).transpose()?;
        Ok(self.inner.lists.add(ListOf { data, count, extents, ..of }))
    }

    fn tensor(&mut self, outer: &Import<'a>, id: NodeId) -> Result<NodeId> {
        if let Some(value) = outer.graph.as_const(id) {
            return Ok(self.inner.graph.constant(value.clone()));
        }
        let ty = outer.graph.ty(id).clone();
        if let Some(dims) = outer.graph.dims(id) {
            return self.inner.known(dims, &ty);
        }
        if let Some(n) = self.operands[self.carried..].iter().position(|&known| known == id) {
            return Ok(self.inner.graph.inputs[self.carried + n].node);
        }
        Ok(self.input(outer, "read", id, ty))
    }
}

impl Import<'_> {
    /// A small tensor of numbers that follow from extents.
    pub(super) fn known(&mut self, dims: &[Dim], ty: &TensorType) -> Result<NodeId> {
        let flat = self.dims_tensor(dims, if ty.dtype == DType::Bool { DType::I64 } else { ty.dtype })?;
        let flat = self.cast(flat, ty.dtype)?;
        self.reshape(flat, &ty.shape)
    }
}

/// Where a value comes from that nodes hand on.
pub(super) fn through_identities(tf: &TfGraph, mut at: NodeOutput) -> NodeOutput {
    // Operands precede their users, so this ends.
    while let Node { op, inputs, .. } = &tf.nodes[at.node]
        && op == "Identity"
        && let Some(&before) = inputs.first().filter(|before| before.node < at.node)
    {
        at = before;
    }
    at
}

/// The bool that a constant is.
pub(super) fn constant(tf: &TfGraph, at: NodeOutput) -> Option<bool> {
    let node = &tf.nodes[through_identities(tf, at).node];
    let value = (node.op == "Const").then(|| decode_tensor(node.attr_tensor("value").ok()?).ok()).flatten()?;
    match (value.count() == 1).then(|| value.get(0)) {
        Some(Scalar::Bool(value)) => Some(value),
        _ => None,
    }
}
