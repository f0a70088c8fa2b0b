//! From a graph to a program: which nodes get a buffer, the kernels that fill them, and where the buffers lie.
//!
//! A target first appears here, as a [`TargetInfo`]: widths, registers, caches. Knows no machine code.

mod border;
mod chain;
mod contract;
mod control;
mod extreme;
mod fold;
mod fuse;
mod hoist;
mod inplace;
mod keep;
mod lower;
mod map;
mod memory;
mod name;
mod pack;
mod phases;
mod place;
mod prepare;
mod program;
mod recompute;
mod rows;
mod run;

mod target;
mod tile;
mod weights;
mod winograd;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub use chain::{EVEN_TASKS, MIN_SLICES, MIN_TASKS};
pub use fuse::{Fusion, MAX_CODE, Role, Yield, fuse};
pub use prepare::{Choices, prepare};
pub use program::{
    Access, Bodies, Carried, Chain, Flow, FlowKind, Found, Guard, IoPort, Launch, LoopPlan, Part, Place, Program,
    Resident, STRINGS, Storage, StorageId, Unit,
};
pub use weights::{Panels, Weight, WeightId, Weights};

pub use recompute::{Beyond, Lean, Limit, plan_within};
pub use run::{GARBAGE, Memory, interpret, launch};
pub use target::{Isa, TargetInfo, WORTH_SHARING};

use crate::{
    base::{
        Arena, Dim, Symbol,
        dim::{Formula, NoVars},
    },
    graph::{Graph, NodeId},
    loops::{LoopKind, Stmt, updates_apart, verify},
    op::Op,
    tensor::TensorType,
};
use lower::{Bound, Context, Lowered, Site};
use program::most;

/// Plans an entry from its prepared graph. Constants are added to `weights`, which all entries of a model share.
pub fn plan(name: &str, graph: &Graph, target: &TargetInfo, weights: &mut Weights) -> Program {
    plan_on(name, graph, &[], target, weights)
}

/// The same, where some inputs and outputs are values that outlive calls.
pub fn plan_on(
    name: &str,
    graph: &Graph,
    residents: &[Resident],
    target: &TargetInfo,
    weights: &mut Weights,
) -> Program {
    // What may not be changed where it lies shows in the plan.
    let mut tried: Vec<bool> = residents.iter().map(|resident| resident.output.is_some()).collect();
    loop {
        let yields = keep::yields(graph, residents, &tried);
        let names = &mut name::Names::default();
        let given = Given { yields: &yields, residents, ..Given::default() };
        let mut program = plan_region(name, graph, target, weights, names, given).0;
        program.strings = program.makes_strings().then_some(STRINGS);
        let late = |(resident, tried): (&Resident, &bool)| *tried && keep::fails_late(&program, resident.at);
        let late: Vec<bool> = residents.iter().zip(&tried).map(late).collect();
        if !late.contains(&true) {
            return program;
        }
        tried.iter_mut().zip(late).for_each(|(tried, late)| *tried &= !late);
    }
}

/// What is known of a graph that its nodes do not say.
#[derive(Default)]
struct Given<'a> {
    /// Inputs that the outputs of the iteration before are.
    yields: &'a [Yield],
    /// Inputs and outputs that are values which outlive calls.
    residents: &'a [Resident],
    /// The number of the iteration, where it runs again and again.
    step: Option<Symbol>,
}

/// Plans a graph, whose kernels get names that no other has. The second result tells which of the yields are used: the
/// program finds that input in the output's memory, and changes it there.
fn plan_region(
    name: &str,
    graph: &Graph,
    target: &TargetInfo,
    weights: &mut Weights,
    names: &mut name::Names,
    Given { yields, residents, step }: Given<'_>,
) -> (Program, Vec<bool>) {
    let fusion = fuse(graph, yields);
    let mut planner = Planner {
        cx: Context { graph, fusion: &fusion, target, weights, step: step.clone() },
        found: found(graph),
        storage: Arena::default(),
        of_node: HashMap::new(),
        of_weights: HashMap::new(),
        launches: vec![],
        chains: vec![],
        flows: vec![],
        inner_guards: vec![],
        residents,
        names,
    };
    planner.bind_inputs();
    planner.bind_homes();
    let copies = planner.bind_outputs();
    planner.launch_all(copies);
    // Where inputs may lie in the outputs' memory, nothing else may.
    if yields.iter().all(|given| fusion.home(given.input).is_none()) {
        inplace::settle_in_outputs(&planner.launches, &planner.flows, &mut planner.storage);
    }
    (planner.launches, planner.chains) = chain::chain(planner.launches, &planner.flows, &mut planner.storage, target);
    planner.keep();
    (planner.finish(name, step), yields.iter().map(|given| fusion.home(given.input).is_some()).collect())
}

/// Whether all operands of a concatenation were written where they belong, so that nothing is left to do.
fn is_complete(graph: &Graph, fusion: &Fusion, root: NodeId) -> bool {
    let node = graph.node(root);
    matches!(node.op, Op::Concat(_)) && (0..node.inputs.len()).all(|n| fusion.is_in_place(graph, root, n))
}

/// The kernel that writes `tip`, by the template that fits its root best.
fn lower<'g>(cx: &mut Context<'g>, tip: NodeId, root: NodeId) -> Site<'g> {
    let op = cx.graph.op(root);
    if op.is_whole() {
        let mut site = Site::new(cx.graph, cx.fusion, tip, root);
        site.write_whole();
        return site;
    }
    if let Some(folds) = cx.fusion.rows(tip) {
        return rows::rows(cx, tip, root, folds);
    }
    let site = match op {
        Op::Dot(_) | Op::Conv(_) => contract::contract(cx, tip, root),
        Op::Reduce(_) | Op::Window(_) => fold::fold(cx, tip, root),
        Op::ArgReduce(op) => extreme::extreme(cx, tip, root, op),
        Op::Pad(op) if tip == root => Some(border::pad(cx, tip, op)),
        Op::Concat(_) => Some(map::join(cx, tip, root)),
        _ => None,
    };
    site.unwrap_or_else(|| map::map(cx, tip, root))
}

/// One word for what a kernel computes.
fn what(graph: &Graph, tip: NodeId, root: NodeId) -> &'static str {
    match graph.op(root) {
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Bitcast(_) if tip == root => {
            "map"
        }
        op => op.name(),
    }
}

/// The sizes that nodes bind, with bounds in what is known before.
fn found(graph: &Graph) -> Vec<Found> {
    graph.binds().fold(vec![], |mut found, (_, bind)| {
        let bound = most(&found, &bind.bound);
        found.push(Found { symbol: bind.symbol.clone(), bound });
        found
    })
}

/// In the order in which the inputs' shapes name them; what only other nodes name comes later, and what is found last.
fn symbols(graph: &Graph, found: &[Found]) -> Vec<Symbol> {
    let inputs = graph.inputs.iter().flat_map(|p| graph.shape(p.node));
    let rest = graph.outputs.iter().flat_map(|p| graph.shape(p.node));
    let guards = graph.facts().assumed().iter().chain(graph.facts().repeated()).flat_map(|(a, b)| [a, b]);
    let extents = graph.iter().filter_map(|(_, node)| match &node.op {
        Op::Extent(dim) => Some(dim),
        _ => None,
    });
    let nodes = graph.iter().flat_map(|(_, node)| &node.ty.shape).chain(extents);
    let inner = graph.iter().flat_map(|(_, node)| node.op.inner_dims());
    let mut symbols: Vec<Symbol> = vec![];
    let regions = graph.iter().filter_map(|(_, node)| match &node.op {
        Op::Control(of) => Some(of.control.symbols()),
        _ => None,
    });
    let named = inputs.chain(rest).chain(guards).chain(nodes).chain(inner).flat_map(Dim::symbols);
    for symbol in named.chain(regions.flatten()) {
        if !symbols.contains(&symbol) && found.iter().all(|found| found.symbol != symbol) {
            symbols.push(symbol);
        }
    }
    symbols.extend(found.iter().map(|found| found.symbol.clone()));
    symbols
}

/// What is assumed, and that no extent is negative where that is not clear.
fn guards(graph: &Graph) -> Vec<Guard> {
    let facts = graph.facts();
    let equal = facts.assumed().iter().map(|(a, b)| Guard::Equal(a.clone(), b.clone()));
    let repeated = facts.repeated().iter().map(|(from, to)| Guard::Repeated(from.clone(), to.clone()));
    let mut guards: Vec<Guard> = equal.chain(repeated).collect();
    let mut seen = HashSet::new();
    for (_, node) in graph.iter() {
        let padding = match &node.op {
            Op::Pad(op) => op.low.iter().chain(&op.high).collect(),
            _ => vec![],
        };
        for dim in node.ty.shape.iter().chain(padding) {
            if dim.as_symbol().is_none() && seen.insert(dim) && !dim.is_nonneg(&NoVars) {
                guards.push(Guard::Nonneg(dim.clone()));
            }
        }
    }
    guards
}

/// Every formula in the graph, each behind those that it is made of.
fn formulas(graph: &Graph, flows: &[Flow]) -> Vec<Arc<Formula>> {
    let mut found = vec![];
    let facts = graph.facts().assumed().iter().chain(graph.facts().repeated());
    facts.flat_map(|(a, b)| [a, b]).for_each(|dim| dim.formulas(&mut found));
    for (_, node) in graph.iter() {
        node.ty.shape.iter().chain(node.op.inner_dims()).for_each(|dim| dim.formulas(&mut found));
    }
    for flow in flows {
        for program in flow.programs() {
            let outer = program.guards.iter().filter(|guard| program.last_found(guard.dims()).is_none());
            let guarded = outer.flat_map(Guard::dims);
            guarded.chain([&program.workspace]).for_each(|dim| dim.formulas(&mut found));
        }
        match &flow.kind {
            FlowKind::Loop(plan) => plan.count.iter().for_each(|count| count.formulas(&mut found)),
            FlowKind::Call(call, _) => call.dims().for_each(|dim| dim.formulas(&mut found)),
            FlowKind::If { .. } => {}
        }
    }
    found
}

struct Planner<'g, 'n> {
    cx: Context<'g>,
    found: Vec<Found>,
    storage: Arena<Storage>,
    of_node: HashMap<NodeId, StorageId>,
    of_weights: HashMap<WeightId, StorageId>,
    launches: Vec<Launch>,
    chains: Vec<Chain>,
    flows: Vec<Flow>,
    /// What regions need of the symbols.
    inner_guards: Vec<Guard>,
    /// What outlives calls.
    residents: &'n [Resident],
    names: &'n mut name::Names,
}

impl<'g> Planner<'g, '_> {
    fn new_storage(&mut self, ty: &TensorType, place: Place) -> StorageId {
        let len = most(&self.found, &ty.count());
        self.storage.push(Storage { dtype: ty.dtype, len, place })
    }
    fn bind_inputs(&mut self) {
        for (n, port) in self.cx.graph.inputs.iter().enumerate() {
            let resident = self.residents.iter().find(|resident| resident.input == n);
            let place = resident.map_or(Place::Input(n), |resident| Place::State(resident.at));
            let id = self.new_storage(self.cx.graph.ty(port.node), place);
            self.of_node.insert(port.node, id);
        }
    }
    /// Gives outputs their memory; returns the ports that are filled by copying a node.
    fn bind_outputs(&mut self) -> Vec<(usize, NodeId)> {
        let mut copies = vec![];
        for (n, port) in self.cx.graph.outputs[..self.visible_outputs()].iter().enumerate() {
            let id = self.cx.fusion.behind_reshapes(self.cx.graph, port.node);
            if self.cx.fusion.role(id) == Role::Leaf || self.of_node.contains_key(&id) {
                copies.push((n, id));
            } else {
                let storage = self.new_storage(self.cx.graph.ty(id), Place::Output(n));
                self.of_node.insert(id, storage);
            }
        }
        copies
    }
    /// The kernels and flows of all nodes, and the copies of nodes to ports.
    fn launch_all(&mut self, copies: Vec<(usize, NodeId)>) {
        let (graph, fusion) = (self.cx.graph, self.cx.fusion);
        for id in graph.ids() {
            let Role::Kernel { root } = fusion.role(id) else { continue };
            match graph.op(root) {
                _ if is_complete(graph, fusion, root) => {}
                Op::Control(of) => self.control(root, of),
                _ => {
                    let site = lower(&mut self.cx, id, root);
                    let what = if fusion.rows(id).is_some() { "rows" } else { what(graph, id, root) };
                    self.launch(site, id, root, what);
                }
            }
        }
        for (port, from) in copies {
            let site = map::copy(&self.cx, from);
            let out = self.new_storage(graph.ty(from), Place::Output(port));
            self.launch_into(site, from, from, "copy", out, None);
        }
    }
    fn launch(&mut self, site: Site<'g>, tip: NodeId, root: NodeId, what: &str) {
        let buffer = self.cx.fusion.container(tip);
        let out = match self.of_node.get(&buffer) {
            Some(&out) => out,
            None => {
                let out = self.new_storage(self.cx.graph.ty(buffer), Place::Workspace(Dim::zero()));
                self.of_node.insert(buffer, out);
                out
            }
        };
        let graph = self.cx.graph;
        let part = self.cx.fusion.outermost(tip).map(|(whole, at)| Part {
            extents: graph.shape(tip).to_vec(),
            at,
            of: graph.shape(whole).to_vec(),
        });
        self.launch_into(site, tip, root, what, out, part);
    }
    fn launch_into(
        &mut self,
        site: Site<'g>,
        tip: NodeId,
        root: NodeId,
        what: &str,
        out: StorageId,
        part: Option<Part>,
    ) {
        let graph = self.cx.graph;
        let name = self.names.kernel(graph, tip, root, what);
        let Lowered { mut kernel, args, written } = site.finish(name);
        hoist::hoist(&mut kernel);
        let flops = flops(graph, self.cx.fusion, root, tip, written.keys().copied());
        let args: Vec<StorageId> = args
            .into_iter()
            .map(|arg| match arg {
                Bound::Result => out,
                Bound::Node(id) | Bound::Along(id) => self.storage_of(id),
                Bound::Weights(id) => self.weights_storage(id),
            })
            .collect();
        // Of a table that is changed where it lies, a call touches a few rows.
        let changes = matches!(self.storage[out].place, Place::State(_))
            && matches!(graph.op(root), Op::Scatter(_))
            && self.cx.fusion.is_in_place(graph, root, 0);
        let flops = if changes { flops - graph.ty(root).count() } else { flops };
        let moved: Vec<StorageId> = args.iter().copied().filter(|&arg| !changes || arg != out).collect();
        let work = self.cx.target.work(&flops, &self.bytes(&moved));
        // How much an unknown amount of work is shows when it is called.
        let is_shared = work.as_int().is_none_or(|work| work >= WORTH_SHARING);
        let turn = self.cx.step.as_ref().filter(|_| self.cx.takes_turns(self.weight_bytes(&args))).map(Dim::from);
        let apart = match &kernel.body[..] {
            [Stmt::For { var, kind: LoopKind::Seq, body }] => {
                (is_shared || turn.is_some()) && !kernel.makes_strings() && updates_apart(&kernel, *var, body)
            }
            _ => false,
        };
        if let [Stmt::For { kind, .. }] = &mut kernel.body[..]
            && apart
        {
            *kind = LoopKind::Parallel;
            kernel.turn = turn;
        }
        verify(&kernel).unwrap_or_else(|e| panic!("planning: {e}\n{kernel}"));
        let origin = [root, tip].into_iter().find_map(|id| graph.origin(id)).map(|o| o.to_string());
        let binds = match graph.op(root) {
            Op::Bind(bind) if tip == root => Some(bind.symbol.clone()),
            _ => None,
        };
        self.launches.push(Launch { kernel, args, part, origin, flops, work, binds });
    }
    /// The bytes of the weights among these buffers.
    fn weight_bytes(&self, args: &[StorageId]) -> usize {
        let weights = args.iter().filter_map(|&arg| match self.storage[arg].place {
            Place::Weights(id) => Some(&self.cx.weights.all[id]),
            _ => None,
        });
        weights.map(|weight| weight.count() * weight.dtype().size()).sum()
    }
    /// The bytes of these buffers, each counted once.
    fn bytes(&self, args: &[StorageId]) -> Dim {
        let first = args.iter().enumerate().filter(|(n, arg)| !args[..*n].contains(arg));
        let bytes = first.map(|(_, &arg)| &self.storage[arg].len * self.storage[arg].dtype.size() as i64);
        bytes.fold(Dim::zero(), |sum, n| sum + n)
    }
    fn storage_of(&mut self, id: NodeId) -> StorageId {
        if let Some(&storage) = self.of_node.get(&id) {
            return storage;
        }
        if let Role::Along { .. } = self.cx.fusion.role(id) {
            let storage = self.new_storage(self.cx.graph.ty(id), Place::Workspace(Dim::zero()));
            self.of_node.insert(id, storage);
            return storage;
        }
        let value = self.cx.graph.as_const(id).expect("what is read was written before, or is a constant").clone();
        let weights = self.cx.weights.add(value);
        let storage = self.weights_storage(weights);
        self.of_node.insert(id, storage);
        storage
    }
    fn weights_storage(&mut self, id: WeightId) -> StorageId {
        let weight = &self.cx.weights.all[id];
        let (dtype, len) = (weight.dtype(), Dim::from(weight.count()));
        let storage = &mut self.storage;
        *self.of_weights.entry(id).or_insert_with(|| storage.push(Storage { dtype, len, place: Place::Weights(id) }))
    }

    /// The program, laid out; `step` counts the turns of the loop whose body it is.
    fn finish(mut self, name: &str, step: Option<Symbol>) -> Program {
        let (inputs, outputs) = (self.visible_inputs(), self.visible_outputs());
        let graph = self.cx.graph;
        let (workspace, workspace_bound) = place::place(&self.launches, &self.chains, &self.flows, &mut self.storage);
        let Planner { storage, launches, chains, flows, inner_guards, found, residents, .. } = self;
        let mut guards = guards(graph);
        guards.extend(inner_guards.into_iter().filter(|guard| !guards.contains(guard)).collect::<Vec<_>>());
        let port = |p: &crate::graph::Port| IoPort { name: p.name.clone(), ty: graph.ty(p.node).clone() };
        let mut symbols = symbols(graph, &found);
        let turns = launches.iter().any(|launch| launch.kernel.turn.is_some());
        if let Some(step) = step.filter(|step| turns && !symbols.contains(step)) {
            symbols.insert(symbols.len() - found.len(), step);
        }
        Program {
            name: name.to_owned(),
            inputs: graph.inputs[..inputs].iter().map(port).collect(),
            outputs: graph.outputs[..outputs].iter().map(port).collect(),
            state: keep::access(residents),
            symbols,
            found,
            formulas: formulas(graph, &flows),
            guards,
            storage,
            launches,
            chains,
            flows,
            workspace,
            workspace_bound,
            strings: None,
        }
    }
}

/// Floating-point operations: those of the root, and those of what is fused around it.
fn flops(graph: &Graph, fusion: &Fusion, root: NodeId, tip: NodeId, written: impl Iterator<Item = NodeId>) -> Dim {
    let elements = graph.ty(root).count();
    let operand = |n: usize| graph.ty(graph.node(root).inputs[n]);
    let of_root = match graph.op(root) {
        Op::Dot(_) => operand(0).shape.last().cloned().unwrap_or_default() * 2 * &elements,
        Op::Conv(op) => crate::tensor::count(&operand(1).shape[..=op.spatial()]) * 2 * &elements,
        Op::Window(op) => Dim::from(op.size.iter().product::<i64>()) * &elements,
        Op::Reduce(_) | Op::ArgReduce(_) | Op::Scan(_) | Op::TopK(_) => operand(0).count(),
        Op::Scatter(_) => operand(2).count(),
        // Each of ten rounds has two products and some exclusive ors.
        Op::Philox(op) => &op.blocks * 100,
        Op::TruncatedNormal(op) => &op.rows * 300,
        Op::Sample(_) => &elements * 1000,
        // A way of some steps, each of which waits for memory.
        Op::Forest(_) => &elements * 100,
        Op::Pad(_) if fusion.is_in_place(graph, root, 0) => -operand(0).count(),
        _ => Dim::zero(),
    };
    let around: i64 = written.filter(|&id| id != root).map(|id| fuse::cost(graph.op(id)) as i64).sum();
    let all = match fusion.rows(tip) {
        Some(rows) => graph.ty(graph.node(rows.folds[0].root).inputs[0]).count(),
        None => graph.ty(tip).count(),
    };
    of_root + all * (around + 1)
}
