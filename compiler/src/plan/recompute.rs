//! Plans that keep within a limit of memory: what the fullest moment holds only for somebody who reads it much later is let
//! go, and computed again there.
//!
//! *Values* are what kernels leave in the workspace, and times are numbers of kernels. A value may be computed again before
//! any kernel: whoever reads it later finds that copy. So the course of a call is the kernels in their order and a set of
//! [`Again`]s, of which follows how long each copy lives and how much lives at each time. Beginning with none,
//! [`Course::relieve`] looks at the fullest moment and adds those that free the most bytes there for the least work. What a
//! copy is made of has to be there at its time: a value that is not is computed again too, and takes the place of a copy that
//! was to be made later, where there is room until then. So networks of equal layers come to keep a value every few layers.
//!
//! Before that, kernels that give variables their new values, which a step does at its end, move to where the gradients are
//! made: with them ends the life of a gradient, or of what it is made of.
//!
//! A copy is made by the operators of the original from equal operands, so it has the same value. What data may refuse,
//! branches and loops are not made twice. The way is the same for every limit, and a larger one ends it sooner: so the least
//! that is ever reached is known.

use std::collections::{BTreeSet, HashMap};

use super::{
    Program, Resident, Weights,
    fuse::{Fusion, Role, Yield, cost, fuse},
    plan_on,
    target::TargetInfo,
};
use crate::{
    base::{Bindings, Dim},
    graph::{Graph, NodeId, refuses},
    op::Op,
    tensor,
};

/// What a program may take.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Of workspace.
    pub bytes: u64,
    /// The extents of the call that it is meant for.
    pub bind: Bindings,
}

/// Why there is no plan within a limit.
#[derive(Clone, Debug, PartialEq)]
pub enum Beyond {
    /// The bytes that are needed depend on extents that are not known.
    Open(Dim),
    /// The bytes that the leanest plan needs.
    Least(u64),
}

/// Programs within a limit, one for each level.
#[derive(Debug)]
pub struct Lean {
    pub programs: Vec<Program>,
    /// How many values are computed again, and the bytes that would be needed without that, if it was needed.
    pub instead: Option<(usize, u64)>,
}

/// A plan is made and measured as often as the estimate has fallen by so many hundredths of what it was at first.
const STEP: i64 = 3;
/// A copy is made of at most so many copies.
const MAX_CHAIN: usize = 64;
/// So many ways to free memory are looked at more closely.
const MAX_TRIED: usize = 24;
/// An operand of so many times fewer bytes is kept longer, and not computed again.
const SMALL: i64 = 8;
/// Results of at most so many bytes are computed as soon as they can be.
const TINY: i64 = 1024;
/// So many operations of a contraction take as long as an addition elsewhere, whose operands are read for it alone.
const NEAR: f64 = 4.0;

/// Plans a prepared graph for some levels, within a limit: as it is, where that is enough.
pub fn plan_within(
    name: &str,
    graph: &Graph,
    residents: &[Resident],
    levels: &[&TargetInfo],
    weights: &mut Weights,
    limit: &Limit,
) -> Result<Lean, Beyond> {
    // What plans that are not taken have of weights is not stored.
    let plan = |graph: &Graph| -> Result<(u64, Vec<Program>, Weights), Beyond> {
        let mut trial = weights.clone();
        let plan = |level: &&TargetInfo| plan_on(name, graph, residents, level, &mut trial);
        let programs: Vec<Program> = levels.iter().map(plan).collect();
        let bytes = programs.iter().map(|program| bytes(program, limit)).collect::<Result<Vec<u64>, _>>()?;
        Ok((bytes.into_iter().max().unwrap_or(0), programs, trial))
    };
    let (plain, programs, trial) = plan(graph)?;
    if plain <= limit.bytes {
        *weights = trial;
        return Ok(Lean { programs, instead: None });
    }
    let course = Course::of(graph, residents, &limit.bind);
    let mut next = Some(Agains::new());
    let mut least = plain;
    while let Some(again) = next {
        let (needed, programs, trial) = plan(&course.graph(&again))?;
        if needed <= limit.bytes {
            *weights = trial;
            return Ok(Lean { programs, instead: Some((again.len(), plain)) });
        }
        least = least.min(needed);
        next = course.relieve_some(&again);
    }
    Err(Beyond::Least(least))
}

/// The workspace of a program, in the call that the limit is meant for.
fn bytes(program: &Program, limit: &Limit) -> Result<u64, Beyond> {
    let known = program.workspace.eval(&limit.bind).and_then(|n| u64::try_from(n).ok());
    known.ok_or_else(|| Beyond::Open(program.workspace.clone()))
}

/// A time, and a value that is computed again just before the kernel of that time.
type Again = (usize, usize);
type Agains = BTreeSet<Again>;

/// Something that the workspace holds, or an output.
#[derive(Debug)]
struct Value {
    node: NodeId,
    /// When it is made first.
    made: usize,
    /// When kernels read it, ascending.
    read: Vec<usize>,
    /// 0 for what lies elsewhere: outputs, and what lies within another value.
    bytes: i64,
    /// The bytes of a copy of it.
    own_bytes: i64,
    /// What a copy costs, in additions.
    work: f64,
    /// The nodes of a copy, in order, and what they read of other values and of inputs.
    code: Vec<NodeId>,
    operands: Vec<usize>,
    inputs: Vec<NodeId>,
    /// Until then it holds others, which lie within it.
    held: usize,
    /// Whether it is there until the end, once it is made.
    stays: bool,
    /// Whether it may be computed again.
    is_free: bool,
}

/// A kernel: the nodes that it computes, in order, and those among them that have a buffer.
#[derive(Debug)]
struct Kernel {
    nodes: Vec<NodeId>,
    results: Vec<NodeId>,
    read: Vec<NodeId>,
}

/// Stands for the kernel of a time, which comes behind the copies that are made at that time.
const KERNEL: usize = usize::MAX;

/// One life of a value: from the step that makes it to the one that reads it last.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    last: usize,
}

/// What lives when. Steps are kernels and copies, in order.
struct Lives {
    /// Of each step its time, and the value of which it makes a copy or [`KERNEL`].
    steps: Vec<Again>,
    /// By value, its copies in order.
    spans: Vec<Vec<Span>>,
    /// By value, the steps that read it.
    reads: Vec<Vec<usize>>,
    /// Bytes by step.
    live: Vec<i64>,
}

impl Lives {
    fn peak(&self) -> i64 {
        self.live.iter().copied().max().unwrap_or(0)
    }
    /// The number of a step, or of the first one behind it.
    fn number(&self, step: Again) -> usize {
        self.steps.partition_point(|&other| other < step)
    }
    /// The copy of a value that is there at a step, or was the last.
    fn at(&self, value: usize, step: usize) -> Option<Span> {
        self.spans[value].iter().rev().find(|span| span.first <= step).copied()
    }
}

/// A graph as kernels in an order.
struct Course<'g> {
    graph: &'g Graph,
    fusion: Fusion,
    kernels: Vec<Kernel>,
    values: Vec<Value>,
    /// When an input is overwritten.
    ends: HashMap<NodeId, usize>,
}

impl<'g> Course<'g> {
    fn of(graph: &'g Graph, residents: &[Resident], bind: &Bindings) -> Course<'g> {
        let yields = residents
            .iter()
            .filter_map(|resident| Some(Yield { input: graph.inputs[resident.input].node, output: resident.output? }));
        let yields: Vec<Yield> = yields.collect();
        let fusion = fuse(graph, &yields);
        let changed: Vec<(NodeId, NodeId)> = yields
            .iter()
            .map(|given| (fusion.behind_reshapes(graph, graph.outputs[given.output].node), given.input))
            .collect();
        let bind = &graph.with_bounds(bind);
        let bytes = |id: NodeId| {
            let ty = graph.ty(id);
            ty.count().eval(bind).unwrap_or(0).saturating_mul(ty.dtype.size() as i64).max(0)
        };
        let mut kernels = kernels(graph, &fusion);
        early(graph, &mut kernels, &changed, &bytes);

        let (mut values, mut value_of): (Vec<Value>, _) = (vec![], vec![None; graph.len()]);
        let outputs: Vec<NodeId> = graph.outputs.iter().map(|port| fusion.behind_reshapes(graph, port.node)).collect();
        let mut made = vec![0; graph.len()];
        let mut read = vec![vec![]; graph.len()];
        for (time, kernel) in kernels.iter().enumerate() {
            kernel.results.iter().for_each(|id| made[id.index()] = time);
            kernel.read.iter().for_each(|id| read[id.index()].push(time));
        }
        // All results of a branch or loop are made of the same operands.
        let flows = kernels.iter().filter(|k| k.nodes.iter().any(|&n| matches!(graph.op(n), Op::Control(_))));
        let by_flows: BTreeSet<NodeId> = flows.flat_map(|kernel| kernel.read.iter().copied()).collect();
        // Members of a container live in it.
        let mut inside: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        let buffers = || graph.ids().filter(|&id| matches!(fusion.role(id), Role::Kernel { .. } | Role::Along { .. }));
        for id in buffers().filter(|&id| fusion.container(id) != id) {
            inside.entry(fusion.container(id)).or_default().push(id);
        }
        for id in buffers() {
            let (code, reads) = code(graph, &fusion, &[id], &|other| other == id);
            let whole = fusion.container(id);
            let is_output = outputs.contains(&whole);
            let members = inside.get(&id).map_or(&[][..], Vec::as_slice);
            let first = members.iter().map(|m| made[m.index()]).chain([made[id.index()]]).min().unwrap_or(0);
            let held =
                members.iter().flat_map(|m| &read[m.index()]).copied().chain([made[id.index()]]).max().unwrap_or(0);
            let mut times = read[id.index()].clone();
            times.push(held);
            times.sort();
            let operands: Vec<usize> = reads.iter().filter_map(|r| value_of[r.index()]).collect();
            value_of[id.index()] = Some(values.len());
            values.push(Value {
                node: id,
                made: first,
                read: times,
                bytes: if is_output || whole != id { 0 } else { bytes(id) },
                own_bytes: bytes(id),
                work: code.iter().map(|&n| work(graph, n, bind)).sum::<f64>() + bytes(id) as f64,
                held,
                stays: is_output,
                is_free: !is_output && !by_flows.contains(&id) && code.iter().all(|&n| is_repeatable(graph, n)),
                code,
                operands,
                inputs: reads.into_iter().filter(|r| *graph.op(*r) == Op::Input).collect(),
            });
        }
        let ends = changed.iter().filter(|(new, _)| value_of[new.index()].is_some());
        let ends = ends.map(|&(new, old)| (old, made[new.index()])).collect();
        Course { graph, fusion, kernels, values, ends }
    }

    /// How long each copy of each value lives.
    fn lives(&self, again: &Agains) -> Lives {
        let kernels = (0..self.kernels.len()).map(|time| (time, KERNEL));
        let mut steps: Vec<Again> = kernels.chain(again.iter().copied()).collect();
        steps.sort();
        let mut lives = Lives { spans: vec![], reads: vec![], live: vec![], steps };
        let number = |time: usize| lives.number((time, KERNEL));
        let made = |value: &Value| vec![Span { first: number(value.made), last: number(value.made) }];
        let mut spans: Vec<Vec<Span>> = self.values.iter().map(made).collect();
        let read = |value: &Value| value.read.iter().map(|&time| number(time)).collect();
        let mut reads: Vec<Vec<usize>> = self.values.iter().map(read).collect();
        for (step, &(_, value)) in lives.steps.iter().enumerate().filter(|(_, (_, value))| *value != KERNEL) {
            self.values[value].operands.iter().for_each(|&operand| reads[operand].push(step));
            spans[value].push(Span { first: step, last: step });
        }
        let mut changes = vec![0; lives.steps.len() + 1];
        for ((value, spans), reads) in self.values.iter().zip(&mut spans).zip(&mut reads) {
            reads.sort();
            for &step in reads.iter() {
                if let Some(span) = spans.iter_mut().rev().find(|span| span.first <= step) {
                    span.last = span.last.max(step);
                }
            }
            for (copy, span) in spans.iter().enumerate() {
                let bytes = if copy == 0 { value.bytes } else { value.own_bytes };
                changes[span.first] += bytes;
                changes[span.last + 1] -= bytes;
            }
        }
        changes.pop();
        let mut sum = 0;
        let live = changes.into_iter().map(|change| {
            sum += change;
            sum
        });
        lives.live = live.collect();
        Lives { spans, reads, ..lives }
    }

    /// As many more that the estimate shows it; none where there are no more.
    fn relieve_some(&self, again: &Agains) -> Option<Agains> {
        let first = self.lives(&Agains::new()).peak();
        let mark = self.lives(again).peak() - (first * STEP / 100).max(1);
        let mut next = self.relieve(again)?;
        while self.lives(&next).peak() > mark {
            match self.relieve(&next) {
                Some(more) => next = more,
                None => break,
            }
        }
        (self.lives(&next).peak() < self.lives(again).peak()).then_some(next)
    }

    /// What is computed again so that the fullest moment holds less, and no other one as much as it did.
    fn relieve(&self, again: &Agains) -> Option<Agains> {
        let lives = self.lives(again);
        let peak = lives.peak();
        let full = lives.live.iter().position(|&bytes| bytes == peak)?;
        let mut ways: Vec<(f64, Agains, Agains)> = vec![];
        for (n, value) in self.values.iter().enumerate().filter(|(_, value)| value.is_free && value.bytes > 0) {
            let Some(span) = lives.at(n, full).filter(|span| span.first < full && full < span.last) else { continue };
            let reads = lives.reads[n].iter().filter(|&&step| span.first <= step && step <= span.last);
            let Some(next) = reads.clone().find(|&&step| step > full) else { continue };
            let (time, _) = lives.steps[*next];
            if reads.clone().any(|&step| step == full)
                || lives.steps[full].0 <= value.held
                || again.contains(&(time, n))
            {
                continue;
            }
            let mut chain = Chain { course: self, lives: &lives, full, time, made: vec![], kept: 0 };
            if chain.make(n).is_none() {
                continue;
            }
            let freed = value.own_bytes - chain.kept;
            let made: Agains = chain.made.iter().map(|&n| (time, n)).collect();
            // Copies that were to be made later are there by then.
            let later = made.iter().filter_map(|&(_, n)| again.iter().find(|(t, other)| *other == n && *t > time));
            let later: Agains = later.copied().collect();
            let work = |all: &Agains| all.iter().map(|&(_, n)| self.values[n].work).sum::<f64>();
            let more = (work(&made) - work(&later)).max(1.0);
            if freed > 0 {
                ways.push((freed as f64 / more, made, later));
            }
        }
        ways.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        let better = |next: &Agains| {
            let new = self.lives(next);
            new.steps.iter().zip(&new.live).all(|(&step, &live)| {
                let old = lives.number(step);
                live < peak || lives.steps.get(old) == Some(&step) && old != full && live <= lives.live[old]
            })
        };
        ways.into_iter().take(MAX_TRIED).find_map(|(_, made, later)| {
            let all: Agains = again.union(&made).copied().collect();
            let merged: Agains = all.difference(&later).copied().collect();
            [merged, all].into_iter().find(better)
        })
    }

    /// The graph in which this is computed again. Nodes come in the order of their kernels.
    fn graph(&self, again: &Agains) -> Graph {
        let mut made = Made {
            course: self,
            graph: Graph::with_facts(self.graph.facts().clone()),
            now: vec![None; self.graph.len()],
            shared: HashMap::new(),
        };
        for port in &self.graph.inputs {
            made.graph.set_origin(self.graph.origin(port.node).cloned());
            made.now[port.node.index()] = Some(made.graph.input(port.name.clone(), self.graph.ty(port.node).clone()));
        }
        for (time, kernel) in self.kernels.iter().enumerate() {
            for &(_, n) in again.range((time, 0)..(time + 1, 0)) {
                made.add(&self.values[n].code, &[self.values[n].node], true);
            }
            made.add(&kernel.nodes, &kernel.results, false);
        }
        for port in &self.graph.outputs {
            let (nodes, _) = code(self.graph, &self.fusion, &[port.node], &|_| false);
            let nodes = if self.fusion.has_buffer(port.node) { vec![] } else { nodes };
            made.add(&nodes, &[port.node], false);
            let new = made.new_of(port.node);
            made.graph.output(port.name.clone(), new);
        }
        let Made { mut graph, .. } = made;
        graph.set_origin(None);
        graph.verify().unwrap_or_else(|e| panic!("planning: {e}"));
        graph
    }
}

/// What is computed again at a time so that a value is there.
struct Chain<'c, 'g> {
    course: &'c Course<'g>,
    lives: &'c Lives,
    /// The fullest step.
    full: usize,
    time: usize,
    made: Vec<usize>,
    /// The bytes that the fullest moment holds in addition.
    kept: i64,
}

impl Chain<'_, '_> {
    fn make(&mut self, n: usize) -> Option<()> {
        let value = &self.course.values[n];
        let overwritten = |input: &NodeId| self.course.ends.get(input).is_some_and(|&end| end < self.time);
        let [begin, end] = [0, KERNEL].map(|of| self.lives.number((self.time, of)));
        if self.made.len() >= MAX_CHAIN || value.inputs.iter().any(overwritten) {
            return None;
        }
        self.made.push(n);
        for &operand in &value.operands {
            let of = &self.course.values[operand];
            let span = self.lives.at(operand, end)?;
            if of.stays || self.made.contains(&operand) || span.last >= begin {
                continue;
            }
            let is_small = of.own_bytes * SMALL <= value.own_bytes || !of.is_free;
            if of.bytes > 0 && (span.first > self.full || is_small) {
                self.kept += if span.first <= self.full && span.last < self.full { of.bytes } else { 0 };
                continue;
            }
            self.make(operand)?;
        }
        Some(())
    }
}

/// A graph in the making.
struct Made<'c, 'g> {
    course: &'c Course<'g>,
    graph: Graph,
    /// By node of the old graph, what its value is made by now.
    now: Vec<Option<NodeId>>,
    /// Code that several kernels have, with its operands.
    shared: HashMap<NodeId, (Vec<NodeId>, NodeId)>,
}

impl Made<'_, '_> {
    /// Adds nodes, of which the results are what later ones find. A copy shares no code with what it is a copy of, so that
    /// this is not kept for it.
    fn add(&mut self, nodes: &[NodeId], results: &[NodeId], is_copy: bool) {
        let old = self.course.graph;
        for &id in nodes {
            let node = old.node(id);
            let operands: Vec<NodeId> = node.inputs.iter().map(|&operand| self.new_of(operand)).collect();
            let known = self.shared.get(&id).filter(|(of, _)| !is_copy && !results.contains(&id) && *of == operands);
            let new = match known {
                Some(&(_, new)) => new,
                None => {
                    self.graph.set_origin(old.origin(id).cloned());
                    self.graph.add_copy(&node.op, &operands).unwrap_or_else(|e| panic!("planning: {e}"))
                }
            };
            self.now[id.index()] = Some(new);
            if !is_copy && !results.contains(&id) {
                self.shared.insert(id, (operands, new));
            }
        }
    }
    fn new_of(&mut self, id: NodeId) -> NodeId {
        if let Some(new) = self.now[id.index()] {
            return new;
        }
        let value = self.course.graph.as_const(id).expect("what is read was made before, or is a constant").clone();
        let new = self.graph.constant(value);
        self.now[id.index()] = Some(new);
        new
    }
}

/// The nodes that compute `from`, ascending, where others that have a buffer are read; those buffers, but for constants.
fn code(graph: &Graph, fusion: &Fusion, from: &[NodeId], own: &dyn Fn(NodeId) -> bool) -> (Vec<NodeId>, Vec<NodeId>) {
    let (mut nodes, mut read) = (BTreeSet::from_iter(from.iter().copied()), BTreeSet::new());
    let mut open = from.to_vec();
    while let Some(id) = open.pop() {
        for &operand in &graph.node(id).inputs {
            if !fusion.has_buffer(operand) || own(operand) {
                if nodes.insert(operand) {
                    open.push(operand);
                }
            } else if !matches!(graph.op(operand), Op::Const(_)) {
                read.insert(operand);
            }
        }
    }
    (nodes.into_iter().collect(), read.into_iter().collect())
}

/// All kernels, in order.
fn kernels(graph: &Graph, fusion: &Fusion) -> Vec<Kernel> {
    let mut along: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    for id in graph.ids() {
        if let Role::Along { tip } = fusion.role(id) {
            along.entry(tip).or_default().push(id);
        }
    }
    let tips = graph.ids().filter(|&id| matches!(fusion.role(id), Role::Kernel { .. }));
    tips.map(|tip| {
        let results = [&[tip][..], along.get(&tip).map_or(&[], Vec::as_slice)].concat();
        let (nodes, read) = code(graph, fusion, &results, &|id| results.contains(&id));
        Kernel { nodes, results, read }
    })
    .collect()
}

/// Moves kernels that give inputs their next values, which are `changed` from old ones, behind what they need and whoever
/// reads the old ones; and so the kernels of tiny results, which others may wait for.
fn early(graph: &Graph, kernels: &mut Vec<Kernel>, changed: &[(NodeId, NodeId)], bytes: &dyn Fn(NodeId) -> i64) {
    // What names a size comes behind what finds it.
    if graph.binds().next().is_some() {
        return;
    }
    let mut maker = HashMap::new();
    let mut readers: HashMap<NodeId, Vec<usize>> = HashMap::new();
    for (n, kernel) in kernels.iter().enumerate() {
        maker.extend(kernel.results.iter().map(|&id| (id, n)));
        kernel.read.iter().for_each(|&id| readers.entry(id).or_default().push(n));
    }
    // Behind which of those that stay it comes, whether it is moved, and its number.
    let mut places: Vec<(Option<usize>, bool, usize)> = vec![];
    for (n, kernel) in kernels.iter().enumerate() {
        let old = changed.iter().filter(|(new, _)| kernel.results.contains(new)).map(|(_, old)| old);
        let old: Vec<&NodeId> = old.collect();
        let is_tiny = kernel.results.iter().all(|&id| bytes(id) <= TINY);
        let is_flow = kernel.nodes.iter().any(|&id| matches!(graph.op(id), Op::Control(_)));
        let before = old.iter().filter_map(|old| readers.get(old)).flatten().copied().filter(|&reader| reader != n);
        let before: Vec<usize> = before.chain(kernel.read.iter().filter_map(|id| maker.get(id).copied())).collect();
        let moves = (is_tiny || !old.is_empty()) && !is_flow && before.iter().all(|&other| other < n);
        let behind = before.iter().filter_map(|&other| places.get(other)?.0).max();
        places.push(if moves { (behind, true, n) } else { (Some(n), false, n) });
    }
    let mut order: Vec<usize> = (0..kernels.len()).collect();
    order.sort_by_key(|&n| places[n]);
    let mut waiting: Vec<Option<Kernel>> = std::mem::take(kernels).into_iter().map(Some).collect();
    kernels.extend(order.into_iter().filter_map(|n| waiting[n].take()));
}

/// What computing a node takes, in additions.
fn work(graph: &Graph, id: NodeId, bind: &Bindings) -> f64 {
    let value = |dim: &Dim| dim.eval(bind).unwrap_or(0).max(0) as f64;
    let node = graph.node(id);
    let elements = |id: NodeId| value(&graph.ty(id).count());
    let all = elements(id);
    let operand = |n: usize| node.inputs[n];
    match &node.op {
        Op::Dot(_) => all * 2.0 * graph.shape(operand(0)).last().map_or(1.0, value) / NEAR,
        Op::Conv(op) => all * 2.0 * value(&tensor::count(&graph.shape(operand(1))[..=op.spatial()])) / NEAR,
        Op::Window(op) => all * op.size.iter().map(|&n| n as f64).product::<f64>(),
        Op::Reduce(_) | Op::ArgReduce(_) | Op::Scan(_) => elements(operand(0)),
        Op::TopK(_) => 16.0 * elements(operand(0)),
        Op::Philox(_) => 25.0 * all,
        Op::TruncatedNormal(_) => 300.0 * all,
        op => all * cost(op) as f64,
    }
}

/// Whether a node may be computed twice: it is no branch and no loop, finds no size, and refuses no data.
fn is_repeatable(graph: &Graph, id: NodeId) -> bool {
    match graph.op(id) {
        Op::Control(_) | Op::Bind(_) | Op::Sample(_) => false,
        Op::Gather(_) | Op::Scatter(_) | Op::Put(_) => false,
        op => !refuses(op, graph.ty(id).dtype),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Rng,
        graph::{evaluate, random},
        loops::{BinaryFn, UnaryFn},
        op::{Binary, Cast, Dot, Philox, Reshape, Unary},
        plan::{Isa, interpret, plan, prepare},
        tensor::{DType, Scalar, Tensor},
    };

    /// What the way leads to, as far as it goes: after each part of it the estimate, and the graph.
    fn way(course: &Course) -> Vec<(i64, Graph)> {
        let all = std::iter::successors(Some(Agains::new()), |again| course.relieve_some(again));
        all.map(|again| (course.lives(&again).peak(), course.graph(&again))).collect()
    }

    #[test]
    fn random_graphs_keep_their_meaning() {
        let mut copied = 0;
        for seed in 0..320 {
            let case = random::case(seed, 4 + seed as usize % 40);
            let graph = prepare(case.graph.clone(), &Default::default());
            let course = Course::of(&graph, &[], &case.bind);
            let values = |graph: &Graph| evaluate(graph, &case.inputs, &case.bind).unwrap();
            let expected = values(&graph);
            let way = way(&course);
            assert!(way.windows(2).all(|pair| pair[1].0 < pair[0].0), "seed {seed}");
            assert!(way.iter().all(|(_, lean)| values(lean) == expected), "seed {seed}");
            // What is computed again for nothing changes nothing either.
            let mut rng = Rng::new(seed);
            let times = course.kernels.len();
            let free = course.values.iter().enumerate().filter(|(_, value)| value.is_free && value.held + 1 < times);
            let again: Agains =
                free.map(|(n, value)| (rng.range(value.held as i64 + 1, times as i64 - 1) as usize, n)).collect();
            assert!(values(&course.graph(&again)) == expected, "seed {seed}");
            copied += again.len();
        }
        assert!(copied > 200, "{copied}");
    }

    /// So many layers, forward and back: each keeps what random words let through, and its result is needed on the way back.
    fn layers(count: usize) -> Graph {
        let mut g = Graph::default();
        let matrix = || "f32[32,32]".parse().unwrap();
        let x = g.input("x", matrix());
        let key = g.input("key", "u64[]".parse().unwrap());
        let counter = g.input("counter", "u64[2]".parse().unwrap());
        let weights: Vec<NodeId> = (0..count).map(|n| g.input(format!("w{n}"), matrix())).collect();
        let mut kept = vec![x];
        for &w in &weights {
            let dot = g.add(Dot {}, &[kept[kept.len() - 1], w]).unwrap();
            let h = g.add(Unary { f: UnaryFn::Tanh }, &[dot]).unwrap();
            let words = g.add(Philox { blocks: Dim::from(256), to: DType::U32 }, &[key, counter]).unwrap();
            let words = g.add(Reshape { shape: vec![Dim::from(32); 2] }, &[words]).unwrap();
            let byte = g.add(Cast { to: DType::U8 }, &[words]).unwrap();
            let share = g.add(Cast { to: DType::F32 }, &[byte]).unwrap();
            kept.push(g.add(Binary { f: BinaryFn::Mul }, &[h, share]).unwrap());
        }
        let mut back = kept[count];
        for (&w, &h) in weights.iter().zip(&kept).rev() {
            let dot = g.add(Dot {}, &[back, w]).unwrap();
            let product = g.add(Binary { f: BinaryFn::Mul }, &[dot, h]).unwrap();
            back = g.add(Unary { f: UnaryFn::Tanh }, &[product]).unwrap();
        }
        g.output("y", back);
        g
    }

    #[test]
    fn layers_are_computed_again() {
        let graph = layers(8);
        let target = TargetInfo::new(Isa::X64V3);
        let inputs: Vec<Tensor> = graph
            .inputs
            .iter()
            .enumerate()
            .map(|(n, port)| {
                let ty = graph.ty(port.node);
                let value = |k: usize| match ty.dtype {
                    DType::F32 => Scalar::F32(((k * 7 + n) % 13) as f32 * 0.02 - 0.1),
                    dtype => Scalar::from_i64(dtype, (k + n) as i64),
                };
                let mut k = 0;
                Tensor::from_fn(ty.dtype, ty.concrete(&Bindings::new()).unwrap(), |_| {
                    k += 1;
                    value(k)
                })
            })
            .collect();
        let mut weights = Weights::default();
        let plain = plan("m", &graph, &target, &mut weights);
        let expected = interpret(&plain, &weights, &inputs, &Bindings::new()).unwrap();
        let needed = plain.workspace.as_int().unwrap() as u64;
        let within = |bytes: u64| {
            let limit = Limit { bytes, bind: Bindings::new() };
            let mut weights = Weights::default();
            plan_within("m", &graph, &[], &[&target], &mut weights, &limit).map(|lean| (lean, weights))
        };
        assert!(within(needed).unwrap().0.instead.is_none());
        let Err(Beyond::Least(least)) = within(1) else { panic!("a byte is enough") };
        assert!(least * 2 <= needed, "{least} of {needed}");
        for bytes in [needed * 3 / 4, needed / 2, least] {
            let (lean, weights) = within(bytes).unwrap();
            assert!(lean.programs[0].workspace.as_int().unwrap() as u64 <= bytes);
            assert!(lean.instead.is_some_and(|(again, plain)| again > 0 && plain == needed));
            assert!(interpret(&lean.programs[0], &weights, &inputs, &Bindings::new()).unwrap() == expected);
        }
    }

    #[test]
    fn open_extents_are_asked_for() {
        let mut g = Graph::default();
        let x = g.input("x", "f32[n,16]".parse().unwrap());
        let w = g.input("w", "f32[16,16]".parse().unwrap());
        let once = g.add(Dot {}, &[x, w]).unwrap();
        let twice = g.add(Dot {}, &[once, w]).unwrap();
        g.output("y", twice);
        let plan = |bind: Bindings| {
            let limit = Limit { bytes: 1 << 10, bind };
            plan_within("m", &g, &[], &[&TargetInfo::new(Isa::X64V3)], &mut Weights::default(), &limit)
        };
        assert_eq!(plan(Bindings::new()).unwrap_err(), Beyond::Open("64*n".parse().unwrap()));
        let of = |n: i64| plan(Bindings::from([(crate::base::Symbol::new("n"), n)]));
        assert!(of(16).is_ok());
        assert_eq!(of(32).unwrap_err(), Beyond::Least(2048));
    }
}
