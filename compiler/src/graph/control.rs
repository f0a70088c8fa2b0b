//! Branches and loops: operators that own graphs, whose inputs are all that they read from outside. Beside them calls, which own
//! none (`call.rs`).
//!
//! - *If* chooses one of its branches by a number.
//! - *Loop* runs its body again and again on *carried* values. Where nothing but a count ends it, the count follows from
//!   extents. A symbol stands for the number of the iteration in the body.
//!
//! Symbols of the graph around mean the same inside.

use std::{any::Any, sync::Arc};

use super::*;
use crate::{
    base::{Bindings, Symbol},
    op::{Control, ControlResult, Evaluation, Stop},
    tensor::DType,
};

/// The branch whose number operand 0 is, an i64 scalar; the last one for a number that names none. The other operands are
/// the inputs of every branch, and the outputs of every branch are the results.
#[derive(Clone, Debug, PartialEq)]
pub struct If {
    pub branches: Vec<Graph>,
}

/// The body, again and again. The first operands are the carried values before the first iteration, the others stay what
/// they are; all are the inputs of body and condition. The outputs of the body are the carried values after an iteration,
/// and those after the last one are the results.
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    pub carried: usize,
    /// Iterations at most; exactly so many where there is no condition.
    pub count: Option<Dim>,
    /// Before each iteration, whether there is one: a graph with one output, a bool scalar.
    pub condition: Option<Graph>,
    /// The number of the iteration, from 0 on, in body and condition.
    pub step: Symbol,
    pub body: Graph,
}

/// What a node is the result of.
#[derive(Clone, Copy, Debug)]
pub enum Regions<'a> {
    If(&'a If),
    Loop(&'a Loop),
    Call(&'a Call),
}

impl<'a> Regions<'a> {
    pub fn of(control: &'a dyn Control) -> Regions<'a> {
        let any = control.as_any();
        match (any.downcast_ref(), any.downcast_ref(), any.downcast_ref()) {
            (Some(branch), _, _) => Regions::If(branch),
            (_, Some(repeat), _) => Regions::Loop(repeat),
            (_, _, Some(call)) => Regions::Call(call),
            _ => unreachable!("there are three operators with several results"),
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Regions::If(_) => "if",
            Regions::Loop(_) => "loop",
            Regions::Call(_) => "call",
        }
    }
    /// All graphs.
    pub fn graphs(self) -> Vec<&'a Graph> {
        match self {
            Regions::If(branch) => branch.branches.iter().collect(),
            Regions::Loop(repeat) => repeat.condition.iter().chain([&repeat.body]).collect(),
            Regions::Call(_) => vec![],
        }
    }
    /// The same operator where a loop has another number of iterations.
    pub(super) fn counted(self, put: impl Fn(&Dim) -> Dim) -> Arc<dyn Control> {
        match self {
            Regions::If(branch) => Arc::new(branch.clone()),
            Regions::Loop(repeat) => Arc::new(Loop { count: repeat.count.as_ref().map(put), ..repeat.clone() }),
            Regions::Call(call) => Arc::new(call.clone()),
        }
    }
    /// The same operator with other graphs, in the order of [`Regions::graphs`].
    pub fn with(self, graphs: Vec<Graph>) -> Arc<dyn Control> {
        match self {
            Regions::If(_) => Arc::new(If { branches: graphs }),
            Regions::Loop(repeat) => {
                let mut graphs = graphs.into_iter();
                let condition = repeat.condition.as_ref().and_then(|_| graphs.next());
                let body = graphs.next().expect("one graph for each");
                Arc::new(Loop { condition, body, ..repeat.clone() })
            }
            Regions::Call(call) => Arc::new(call.clone()),
        }
    }
}

impl Graph {
    /// Whether a node runs though nobody asks for its result.
    pub fn has_effect(&self, id: NodeId) -> bool {
        matches!(self.op(id), Op::Control(of) if of.control.has_effect())
    }
    /// The regions of a node that is a result of control flow.
    pub fn regions(&self, id: NodeId) -> Option<Regions<'_>> {
        match self.op(id) {
            Op::Control(of) => Some(Regions::of(&*of.control)),
            _ => None,
        }
    }
    /// The functions that the graph and its regions call and that are not in this process.
    pub fn missing_functions(&self) -> Vec<String> {
        let mut missing = vec![];
        for regions in self.ids().filter_map(|id| self.regions(id)) {
            let own = match regions {
                Regions::Call(call) if call.function.is_none() => vec![call.symbol.clone()],
                regions => regions.graphs().into_iter().flat_map(Graph::missing_functions).collect(),
            };
            missing.extend(own.into_iter().filter(|symbol| !missing.contains(symbol)).collect::<Vec<_>>());
        }
        missing
    }
    /// Appends nodes for all results, or says why the operands do not fit.
    pub fn control(&mut self, control: Arc<dyn Control>, inputs: &[NodeId]) -> Infer<Vec<NodeId>> {
        let types: Vec<_> = inputs.iter().map(|&i| self.ty(i)).collect();
        let count = control.infer(&types)?.len();
        let result = |result| ControlResult { control: control.clone(), result };
        (0..count).map(|n| self.add(Op::Control(result(n)), inputs)).collect()
    }
    fn types<'a>(&'a self, ports: &'a [Port]) -> impl Iterator<Item = &'a TensorType> + Clone {
        ports.iter().map(|port| self.ty(port.node))
    }
}

/// Whether a graph takes these operands.
fn takes(graph: &Graph, operands: &[&TensorType]) -> Infer<()> {
    let inputs: Vec<_> = graph.types(&graph.inputs).collect();
    if inputs.len() != operands.len() {
        return Err(format!("a region takes {} operands, not {}", inputs.len(), operands.len()));
    }
    match inputs.iter().zip(operands).find(|(a, b)| a != b) {
        Some((takes, given)) => Err(format!("a region takes a {takes}, not a {given}")),
        None => Ok(()),
    }
}

fn gives(graph: &Graph, results: &[&TensorType]) -> Infer<()> {
    let outputs: Vec<_> = graph.types(&graph.outputs).collect();
    if outputs.iter().eq(results.iter()) {
        return Ok(());
    }
    let show = |types: &[&TensorType]| types.iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(", ");
    Err(format!("a region gives {}, not {}", show(&outputs), show(results)))
}

/// The symbols that graphs name and do not bind, each once.
fn symbols(graphs: &[&Graph]) -> Vec<Symbol> {
    let mut found = vec![];
    let mut add = |symbols: Vec<Symbol>| {
        for symbol in symbols {
            if !found.contains(&symbol) {
                found.push(symbol);
            }
        }
    };
    for graph in graphs {
        let binders = graph.binders();
        for (_, node) in graph.iter() {
            let mut symbols = node.symbols();
            symbols.retain(|symbol| !binders.contains_key(symbol));
            add(symbols);
        }
    }
    found
}

/// Whether something in these graphs runs though nobody asks for its results.
fn has_effect(graphs: &[&Graph]) -> bool {
    graphs.iter().any(|graph| graph.ids().any(|id| graph.has_effect(id)))
}

impl Control for If {
    fn infer(&self, inputs: &[&TensorType]) -> Infer<Vec<TensorType>> {
        let (which, rest) = inputs.split_first().ok_or("the number of the branch is missing")?;
        if **which != TensorType::scalar(DType::I64) {
            return Err(format!("the number of a branch is an i64 scalar, not a {which}"));
        }
        let first = self.branches.first().ok_or("there is no branch")?;
        let results: Vec<&TensorType> = first.types(&first.outputs).collect();
        for branch in &self.branches {
            takes(branch, rest)?;
            gives(branch, &results)?;
            if let Some(ty) = results.iter().find(|ty| ty.shape.iter().any(|dim| branch.is_found(dim))) {
                return Err(format!("the extents of a result, {ty}, are found within a branch"));
            }
        }
        Ok(results.into_iter().cloned().collect())
    }
    fn eval(&self, inputs: &[&Tensor], bind: &Bindings, how: Evaluation<'_>) -> Result<Vec<Tensor>, Stop> {
        let last = self.branches.len() - 1;
        let which = inputs[0].get(0).as_i64().and_then(|n| usize::try_from(n).ok()).map_or(last, |n| n.min(last));
        let inputs: Vec<Tensor> = inputs[1..].iter().map(|&t| t.clone()).collect();
        evaluate_by(&self.branches[which], &inputs, bind, how)
    }
    fn symbols(&self) -> Vec<Symbol> {
        symbols(&Regions::If(self).graphs())
    }
    fn has_effect(&self) -> bool {
        has_effect(&Regions::If(self).graphs())
    }
    fn is(&self, other: &dyn Control) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Control for Loop {
    fn infer(&self, inputs: &[&TensorType]) -> Infer<Vec<TensorType>> {
        if self.carried > inputs.len() {
            return Err(format!("{} carried values of {} operands", self.carried, inputs.len()));
        }
        if self.count.is_none() && self.condition.is_none() {
            return Err("nothing ends the loop".into());
        }
        if self.count.as_ref().is_some_and(|count| count.symbols().contains(&self.step)) {
            return Err("the count depends on the iteration".into());
        }
        let depends = |dim: &Dim| dim.as_int().is_none() && dim.symbols().contains(&self.step);
        let extents = |node: &Node| node.ty.shape.iter().any(depends);
        let paddings = |node: &Node| matches!(node.op, Op::Pad(_)) && node.op.inner_dims().into_iter().any(depends);
        if let Some((_, node)) = self.body.iter().find(|(_, node)| extents(node) || paddings(node)) {
            return Err(format!("the extents of a {} depend on the iteration", node.ty));
        }
        let facts = self.body.facts();
        if facts.assumed().iter().chain(facts.repeated()).any(|(a, b)| depends(a) || depends(b)) {
            return Err("what is assumed depends on the iteration".into());
        }
        takes(&self.body, inputs)?;
        gives(&self.body, &inputs[..self.carried])?;
        if let Some(condition) = &self.condition {
            takes(condition, inputs)?;
            gives(condition, &[&TensorType::scalar(DType::Bool)])?;
        }
        Ok(inputs[..self.carried].iter().map(|&ty| ty.clone()).collect())
    }
    fn eval(&self, inputs: &[&Tensor], bind: &Bindings, how: Evaluation<'_>) -> Result<Vec<Tensor>, Stop> {
        let count = self.count.as_ref().map(|count| count.eval(bind).expect("symbols are bound"));
        let mut values: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
        let mut bind = bind.clone();
        for step in 0.. {
            bind.insert(self.step.clone(), step);
            let ends = match &self.condition {
                _ if count.is_some_and(|count| step >= count) => true,
                Some(condition) => evaluate_by(condition, &values, &bind, how)?[0].get(0) == Scalar::Bool(false),
                None => false,
            };
            if ends {
                break;
            }
            let next = evaluate_by(&self.body, &values, &bind, how)?;
            values.splice(..self.carried, next);
            if !(how.go_on)() {
                return Err(Stop::Interrupted);
            }
        }
        values.truncate(self.carried);
        Ok(values)
    }
    fn symbols(&self) -> Vec<Symbol> {
        let mut symbols = symbols(&Regions::Loop(self).graphs());
        symbols.retain(|symbol| *symbol != self.step);
        let counted = self.count.iter().flat_map(Dim::symbols).filter(|symbol| !symbols.contains(symbol));
        let counted: Vec<Symbol> = counted.collect();
        [symbols, counted].concat()
    }
    fn has_effect(&self) -> bool {
        has_effect(&Regions::Loop(self).graphs())
    }
    fn is(&self, other: &dyn Control) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
