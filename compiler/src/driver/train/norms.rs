//! Batch norms that learn: a step normalises by the mean and the variance of its own batch, and moves the stored ones towards
//! them, as Keras's BatchNormalization does in training.
//!
//! Which variables are the statistics of a norm shows in the signature's graph; what they normalise shows in the graph as
//! imported: a value that depends on the inputs and meets, in one place, what depends on the statistics alone.

use std::{collections::BTreeMap, str::FromStr};

use super::*;
use crate::{
    base::Dim,
    graph::Node,
    loops::BinaryFn,
    op::{Broadcast, Op},
    saved::{self, NodeOutput},
};

/// What steps make of batch norms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum BatchNorm {
    /// They normalise by the stored statistics, which stay.
    #[default]
    Frozen,
    /// They normalise by those of the batch. The momentum is the part of a stored statistic that stays at each step.
    Train { momentum: f64 },
}

/// Keras's.
const MOMENTUM: f64 = 0.99;

impl FromStr for BatchNorm {
    type Err = String;
    fn from_str(text: &str) -> Result<BatchNorm, String> {
        match text.split_once(':') {
            None if text == "frozen" => Ok(BatchNorm::Frozen),
            None if text == "train" => Ok(BatchNorm::Train { momentum: MOMENTUM }),
            Some(("train", setting)) => {
                let given = setting.strip_prefix("momentum=").and_then(|number| number.parse().ok());
                let momentum = given.filter(|momentum| (0.0..=1.0).contains(momentum));
                let momentum =
                    momentum.ok_or_else(|| format!("`{setting}` is no momentum from 0 to 1, such as momentum=0.9"))?;
                Ok(BatchNorm::Train { momentum })
            }
            _ => Err(format!("`{text}` is neither frozen nor train, nor train:momentum=0.9")),
        }
    }
}

/// The stored statistics of a batch norm, by the keys of their variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    pub mean: String,
    pub variance: String,
    /// What the layer is called in diagnostics.
    name: String,
    /// Whether the stored variance moves towards the unbiased one, as TensorFlow's fused operator has it.
    unbiased: bool,
}

/// The batch norms of a signature whose statistics are stored. Those within branches and loops are not looked for.
pub fn find(model: &Model, source: &TfGraph) -> Result<Vec<Norm>, Diagnostic> {
    let mut found: Vec<Norm> = vec![];
    for (_, node) in source.nodes.iter() {
        let pair = match node.op.as_str() {
            "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => fused(source, node),
            "Rsqrt" => composed(model, source, node)?,
            _ => None,
        };
        let Some((mean, variance, unbiased)) = pair else { continue };
        let name = node.layer().unwrap_or_else(|| node.name.clone());
        let norm = Norm { mean: mean.key.clone(), variance: variance.key.clone(), name, unbiased };
        if !found.iter().any(|other| other.mean == norm.mean) {
            found.push(norm);
        }
    }
    Ok(found)
}

/// The layer that a variable is in, by its name.
pub fn scope(variable: &Variable) -> Option<&str> {
    variable.name.rsplit_once('/').map(|(scope, _)| scope)
}

/// The variable whose value this is, perhaps in another shape.
fn variable(source: &TfGraph, at: NodeOutput) -> Option<&Variable> {
    let mut at = saved::handed_on(source, at);
    loop {
        if let Some(variable) = source.variables.get(&at.node) {
            return Some(variable);
        }
        let node = &source.nodes[at.node];
        match node.op.as_str() {
            "ReadVariableOp" | "Reshape" | "Cast" | "ExpandDims" => {
                at = saved::handed_on(source, *node.inputs.first()?)
            }
            _ => return None,
        }
    }
}

fn fused<'s>(source: &'s TfGraph, node: &saved::Node) -> Option<(&'s Variable, &'s Variable, bool)> {
    if node.attr_bool("is_training").ok()? {
        return None;
    }
    let [mean, variance] = [3, 4].map(|n| node.inputs.get(n).and_then(|&at| variable(source, at)));
    Some((mean?, variance?, true))
}

/// The inverse root of a stored variance and a constant: `tf.nn.batch_normalization`. The mean is the variable of the same layer
/// and type whose name says so.
fn composed<'s>(
    model: &Model,
    source: &'s TfGraph,
    node: &saved::Node,
) -> Result<Option<(&'s Variable, &'s Variable, bool)>, Diagnostic> {
    let Some(&operand) = node.inputs.first() else { return Ok(None) };
    let sum = &source.nodes[saved::handed_on(source, operand).node];
    if !matches!(sum.op.as_str(), "Add" | "AddV2") {
        return Ok(None);
    }
    let is_constant = |at: &NodeOutput| source.nodes[saved::handed_on(source, *at).node].op == "Const";
    let variance = match &sum.inputs[..] {
        [a, b] if is_constant(b) => variable(source, *a),
        [a, b] if is_constant(a) => variable(source, *b),
        _ => None,
    };
    // What is learned is no statistic.
    let Some(variance) = variance.filter(|variance| model.is_trainable(variance) != Some(true)) else {
        return Ok(None);
    };
    let is_mean = |other: &&Variable| {
        let says_so = other.name.rsplit('/').next().is_some_and(|last| last.contains("mean"));
        says_so && scope(variance).is_some() && scope(other) == scope(variance) && other.ty == variance.ty
    };
    let means: BTreeMap<&str, &Variable> =
        source.variables.values().filter(is_mean).map(|mean| (mean.key.as_str(), mean)).collect();
    match means.into_values().collect::<Vec<_>>()[..] {
        [mean] => Ok(Some((mean, variance, false))),
        ref all => {
            let what = format!(
                "`{}` may be the variance of a batch norm, but {} means are beside it",
                variance.name,
                all.len()
            );
            Err(node.fault(what).help("leave `--batch-norm train` out: batch norms keep their statistics then"))
        }
    }
}

/// A norm in a graph.
pub struct Placed {
    pub norm: Norm,
    /// The inputs that hold the stored statistics.
    pub mean: NodeId,
    pub variance: NodeId,
}

/// The graph with the statistics of the batch in place of the stored ones, and for each norm its mean, its variance and the
/// variance that the stored one moves towards; the inputs are the same. `own` are the inputs that callers give.
pub fn by_batch(graph: &Graph, norms: &[Placed], own: &[NodeId]) -> Result<(Graph, Vec<[NodeId; 2]>), String> {
    if graph.binds().next().is_some() {
        return Err("data decide sizes, which the statistics of a batch may depend on".into());
    }
    let data = depending(graph, own);
    let places: Vec<(NodeId, usize)> =
        norms.iter().map(|placed| normalised(graph, placed, &data)).collect::<Result<_, _>>()?;
    let mut made = Rebuild {
        graph,
        norms,
        places: &places,
        new: Graph::with_facts(graph.facts().clone()),
        map: vec![None; graph.len()],
        statistics: BTreeMap::new(),
    };
    for port in &graph.inputs {
        made.map[port.node.index()] = Some(made.new.input(port.name.clone(), graph.ty(port.node).clone()));
    }
    let live = graph.live();
    for id in graph.ids().filter(|id| live[id.index()]) {
        made.reach(id)?;
    }
    for port in &graph.outputs {
        let node = made.map[port.node.index()].ok_or("an output is missing")?;
        made.new.output(port.name.clone(), node);
    }
    let all: Option<Vec<[NodeId; 2]>> = (0..norms.len()).map(|n| made.statistics.get(&n).map(|s| s.moved)).collect();
    let all = all.ok_or("a batch norm normalises nothing that an output depends on")?;
    made.new.set_origin(None);
    Ok((made.new, all))
}

/// By node, whether it depends on one of these.
fn depending(graph: &Graph, on: &[NodeId]) -> Vec<bool> {
    let mut found = vec![false; graph.len()];
    for (id, node) in graph.iter() {
        found[id.index()] = on.contains(&id) || node.inputs.iter().any(|i| found[i.index()]);
    }
    found
}

/// What a norm normalises, and the axis of its channels.
fn normalised(graph: &Graph, placed: &Placed, data: &[bool]) -> Result<(NodeId, usize), String> {
    let touched = depending(graph, &[placed.mean, placed.variance]);
    let is_vector = |id: &NodeId| touched[id.index()] && !data[id.index()];
    let is_value = |id: &NodeId| data[id.index()] && !touched[id.index()];
    let mut found: Vec<(NodeId, usize)> = vec![];
    for (_, node) in graph.iter() {
        let (Op::Binary(_), [a, b]) = (&node.op, &node.inputs[..]) else { continue };
        let met = [(a, b), (b, a)].into_iter().find(|(vector, value)| is_vector(vector) && is_value(value));
        let Some((vector, value)) = met else { continue };
        let axis = channels(graph, *vector)
            .ok_or_else(|| format!("the axis of batch norm `{}` is not found", placed.norm.name))?;
        if !found.contains(&(*value, axis)) {
            found.push((*value, axis));
        }
    }
    match found[..] {
        [one] => Ok(one),
        _ => Err(format!(
            "what batch norm `{}` normalises is not found: its stored statistics meet {} values of the batch",
            placed.norm.name,
            found.len()
        )),
    }
}

/// The axis along which a vector lies in the shape that it is repeated to.
fn channels(graph: &Graph, vector: NodeId) -> Option<usize> {
    let mut at = vector;
    loop {
        let node = graph.node(at);
        if let Op::Broadcast(Broadcast { .. }) = &node.op {
            let from = graph.shape(node.inputs[0]);
            let long: Vec<usize> = (0..from.len()).filter(|&axis| !from[axis].is(1)).collect();
            let whole = graph.shape(at);
            return match long[..] {
                [axis] => Some(axis),
                // One channel: where the whole has one.
                [] => (0..whole.len()).rev().find(|&axis| whole[axis].is(1)),
                _ => None,
            };
        }
        let before = node.inputs.iter().find(|i| graph.ty(**i).rank() == graph.ty(at).rank());
        at = *before?;
    }
}

struct Statistics {
    /// What is normalised by: mean and variance.
    used: [NodeId; 2],
    /// What the stored ones move towards.
    moved: [NodeId; 2],
}

/// A graph being made again, each node when what it needs is there.
struct Rebuild<'g> {
    graph: &'g Graph,
    norms: &'g [Placed],
    /// By norm, what it normalises and the axis of the channels.
    places: &'g [(NodeId, usize)],
    new: Graph,
    map: Vec<Option<NodeId>>,
    statistics: BTreeMap<usize, Statistics>,
}

impl Rebuild<'_> {
    /// The norm that has a node for one of its statistics, and which.
    fn norm(&self, id: NodeId) -> Option<(usize, usize)> {
        let of = |(n, placed): (usize, &Placed)| match id {
            id if id == placed.mean => Some((n, 0)),
            id if id == placed.variance => Some((n, 1)),
            _ => None,
        };
        self.norms.iter().enumerate().find_map(of)
    }

    fn reach(&mut self, id: NodeId) -> Result<(), String> {
        // Those that wait for what they need.
        let mut waiting = vec![false; self.graph.len()];
        let mut open = vec![id];
        while let Some(&id) = open.last() {
            if self.map[id.index()].is_some() {
                open.pop();
                continue;
            }
            let node = self.graph.node(id);
            let missing: Vec<NodeId> = node.inputs.iter().filter_map(|&i| self.missing(i)).collect();
            if missing.is_empty() {
                self.map[id.index()] = Some(self.make(id, node)?);
                continue;
            }
            waiting[id.index()] = true;
            if missing.iter().any(|next| waiting[next.index()]) {
                return Err("a batch norm normalises what depends on itself".into());
            }
            open.extend(missing);
        }
        Ok(())
    }

    /// The node that is not there yet and that an operand needs.
    fn missing(&self, operand: NodeId) -> Option<NodeId> {
        let needed = match self.norm(operand) {
            Some((n, _)) => self.places[n].0,
            None => operand,
        };
        self.map[needed.index()].is_none().then_some(needed)
    }

    fn make(&mut self, id: NodeId, node: &Node) -> Result<NodeId, String> {
        let mut operands = vec![];
        for &input in &node.inputs {
            operands.push(match self.norm(input) {
                Some((n, which)) => self.used(n)?[which],
                None => self.map[input.index()].ok_or("an operand is missing")?,
            });
        }
        self.new.set_origin(self.graph.origin(id).cloned());
        self.new.add_copy(&node.op, &operands)
    }

    fn used(&mut self, n: usize) -> Result<[NodeId; 2], String> {
        if let Some(known) = self.statistics.get(&n) {
            return Ok(known.used);
        }
        let (value, axis) = self.places[n];
        let x = self.map[value.index()].ok_or("a value is missing")?;
        let placed = &self.norms[n];
        self.new.set_origin(self.graph.origin(value).cloned());
        let shape = self.graph.ty(placed.mean).shape.to_vec();
        let c = &mut Compose(&mut self.new);
        let made = statistics(c, Value(x.index()), axis, &shape, placed.norm.unbiased)?;
        let node = |values: [Value; 2]| values.map(|value| NodeId::new(value.0));
        let made = Statistics { used: node(made[0]), moved: node(made[1]) };
        let used = made.used;
        self.statistics.insert(n, made);
        Ok(used)
    }
}

/// Mean and variance of each channel over all else, in this shape; and what the stored ones move towards.
fn statistics(
    c: &mut Compose<'_>,
    x: Value,
    axis: usize,
    shape: &[Dim],
    unbiased: bool,
) -> Result<[[Value; 2]; 2], String> {
    let whole = c.shape(x);
    let axes: Vec<usize> = (0..whole.len()).filter(|&a| a != axis).collect();
    let dtype = c.dtype(x);
    let number = axes.iter().fold(Dim::one(), |number, &a| number * &whole[a]);
    let count = c.add(Op::Extent(number), &[])?;
    let count = c.cast(count, dtype)?;
    let per = |c: &mut Compose<'_>, sum: Value| {
        let own = c.shape(sum);
        let ones = vec![Dim::one(); own.len()];
        let count = c.reshape(count, &ones)?;
        let count = c.broadcast(count, &own)?;
        c.div(sum, count)
    };
    let sum = c.summed(x, axes.clone())?;
    let mean = per(c, sum)?;
    let wide = c.broadcast(mean, &whole)?;
    let centred = c.sub(x, wide)?;
    let squares = c.square(centred)?;
    let sum = c.summed(squares, axes)?;
    let variance = per(c, sum)?;
    let (mean, variance) = (c.reshape(mean, shape)?, c.reshape(variance, shape)?);
    let mut moved = variance;
    if unbiased {
        let one = c.number(count, 1.0)?;
        let less = c.sub(count, one)?;
        let less = c.binary(BinaryFn::Max, less, one)?;
        let factor = c.div(count, less)?;
        let factor = c.reshape(factor, &vec![Dim::one(); shape.len()])?;
        let factor = c.broadcast(factor, shape)?;
        moved = c.mul(variance, factor)?;
    }
    Ok([[mean, variance], [mean, moved]])
}

/// A stored statistic behind a step.
pub fn moved(c: &mut Compose<'_>, stored: Value, batch: Value, momentum: f64) -> Result<Value, String> {
    let (stays, comes) = (c.scaled(stored, momentum)?, c.scaled(batch, 1.0 - momentum)?);
    c.sum(stays, comes)
}

#[test]
fn what_norms_do_is_read() {
    let train = |momentum| BatchNorm::Train { momentum };
    for (text, read) in [("frozen", BatchNorm::Frozen), ("train", train(0.99)), ("train:momentum=0.5", train(0.5))] {
        assert_eq!(text.parse(), Ok(read));
    }
    for bad in [
        "",
        "Train",
        "train:",
        "train:0.9",
        "train:momentum=",
        "train:momentum=1.5",
        "train:momentum=nan",
        "frozen:momentum=0.9",
    ] {
        assert!(bad.parse::<BatchNorm>().is_err(), "{bad}");
    }
}
