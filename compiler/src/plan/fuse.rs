//! Decides which nodes get a buffer. Everything else is code inside its users.
//!
//! Six questions, in this order:
//!
//! 1. *What does a contraction, fold or window end with?* Each such root swallows the elementwise nodes that follow it,
//!    as long as every path from it stays on one index and meets again in one node, the *tip*: bias, batch norm,
//!    activation and residual additions become its epilogue. The kernel writes the tip and computes the root inside.
//! 2. *What must be memory?* Outputs, operands that a tile reads again and again and that are not an address already,
//!    operands of what is written as a whole and reads them more than once, what is scattered over what it reads.
//! 3. *Which reductions belong to the rows that need them?* (`fuse/rows.rs`)
//! 4. *What would be computed too often?* Code behind a broadcast, or of several users, is duplicated when that costs less
//!    than a buffer. [`MAX_CODE`] caps what one kernel may duplicate, whatever the costs say.
//! 5. *What does a kernel fill along with its own buffer, because it computes that anyway?* (`fuse/along.rs`)
//! 6. *Which buffers lie inside others?* (`fuse/home.rs`)
//!
//! All passes are linear in the graph, with constant bounds on how far a chain is followed.

mod along;
mod home;
mod meet;
mod rows;

use home::Home;
pub use home::Yield;
use meet::Flow;
use std::collections::{BTreeMap, HashSet};

pub use rows::Rows;

use crate::{
    base::{Dim, dim::Atom},
    graph::{Graph, NodeId},
    loops::{BinaryFn, UnaryFn},
    op::Op,
    tensor::DType,
};

/// The code of one element never has more than about this many operators, duplicates counted.
pub const MAX_CODE: u32 = 192;
/// A root swallows at most this many nodes.
const MAX_EPILOGUE: usize = 48;
/// What writing an element and reading it back costs, in additions.
const BUFFER_COST: f64 = 16.0;
/// How often a whole operator or a tile reads an element of an operand, at least.
const REUSE: f64 = 64.0;

/// What becomes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing needs it.
    Dead,
    /// An input, or a constant of more than one element: memory that exists already.
    Leaf,
    /// Code inside its users.
    Fused,
    /// Has a buffer, filled by a kernel that computes `root` and what lies between; `root` is often the node itself.
    Kernel { root: NodeId },
    /// Has a buffer, filled by the kernel of `tip` along with its own.
    Along { tip: NodeId },
}

/// The role of every node, and where its buffer lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Fusion {
    roles: Vec<Role>,
    rows: Vec<Option<Rows>>,
    /// By tip, the elementwise nodes above it whose buffers its kernel fills too, ascending.
    along: BTreeMap<NodeId, Vec<NodeId>>,
    homes: Vec<Option<Home>>,
}

impl Fusion {
    pub fn role(&self, id: NodeId) -> Role {
        self.roles[id.index()]
    }
    /// The reductions that a node's kernel computes besides its root.
    pub fn rows(&self, id: NodeId) -> Option<&Rows> {
        self.rows[id.index()].as_ref()
    }
    /// The nodes whose elements a kernel stores along with those of `tip`, in the order in which they are made.
    pub fn along(&self, tip: NodeId) -> &[NodeId] {
        self.along.get(&tip).map_or(&[], Vec::as_slice)
    }
    /// Whether users load the node's value instead of computing it.
    pub fn has_buffer(&self, id: NodeId) -> bool {
        matches!(self.role(id), Role::Leaf | Role::Kernel { .. } | Role::Along { .. })
    }
}

/// What an operator is, as far as fusion cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Leaf,
    /// One element from the operands' elements at the same index.
    Elementwise,
    /// One element from at most one element elsewhere.
    View,
    /// Has a kernel of its own, which may end with elementwise nodes.
    Root,
    /// Written as a whole, from operands in memory.
    Whole,
}

fn kind(op: &Op) -> Kind {
    match op {
        Op::Input => Kind::Leaf,
        // A string is somewhere.
        Op::Const(t) if t.count() != 1 || t.dtype == DType::Str => Kind::Leaf,
        Op::Const(_) | Op::Extent(_) | Op::Iota(_) => Kind::View,
        Op::Broadcast(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Pad(_) | Op::Gather(_) => Kind::View,
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) | Op::Bitcast(_) => {
            Kind::Elementwise
        }
        Op::Reduce(_) | Op::ArgReduce(_) | Op::Window(_) | Op::Dot(_) | Op::Conv(_) | Op::Concat(_) => Kind::Root,
        Op::TextEqual(_) | Op::TextLength(_) | Op::TextHash(_) | Op::Find(_) => Kind::Root,
        Op::TextPart(_)
        | Op::TextStrip(_)
        | Op::TextCount(_)
        | Op::TextPlace(_)
        | Op::TextInt(_)
        | Op::TextFloat(_)
        | Op::TextCodes(_) => Kind::Root,
        Op::Scan(_) | Op::TopK(_) | Op::Scatter(_) | Op::Put(_) | Op::Bind(_) | Op::Control(_) => Kind::Whole,
        Op::TextCase(_) | Op::TextJoin(_) | Op::TextNumber(_) => Kind::Whole,
        Op::Philox(_) | Op::TruncatedNormal(_) | Op::Sample(_) | Op::Within(_) | Op::Forest(_) => Kind::Whole,
        Op::TextMatches(_) => Kind::Root,
        Op::TextTrail(_) | Op::TextReplace(_) => Kind::Whole,
        Op::TextSplit(_) | Op::TextRaw(_) | Op::TextDecode(_) => Kind::Whole,
        Op::Features(_) | Op::ListCount(_) | Op::ListValues(_) => Kind::Whole,
    }
}

/// Whether an operator that is written as a whole reads elements of its operands again and again.
fn reads_often(op: &Op) -> bool {
    let once = matches!(
        op,
        Op::Scatter(_)
            | Op::Put(_)
            | Op::Bind(_)
            | Op::Philox(_)
            | Op::TruncatedNormal(_)
            | Op::Sample(_)
            | Op::Within(_)
            | Op::TextSplit(_)
            | Op::TextRaw(_)
            | Op::TextDecode(_)
            | Op::ListCount(_)
            | Op::ListValues(_)
    );
    kind(op) == Kind::Whole && !once
}

/// Whether an element depends on the operands' elements at the same index only.
pub fn is_elementwise(op: &Op) -> bool {
    kind(op) == Kind::Elementwise
}

/// The cost of one element, in additions.
pub fn cost(op: &Op) -> u32 {
    match op {
        Op::Unary(op) => match op.f {
            UnaryFn::Neg | UnaryFn::Abs | UnaryFn::Not | UnaryFn::Floor | UnaryFn::Ceil => 1,
            UnaryFn::Trunc | UnaryFn::Round => 1,
            UnaryFn::Sqrt => 5,
            _ => 16,
        },
        Op::Binary(op) => match op.f {
            BinaryFn::Div | BinaryFn::Rem => 5,
            BinaryFn::Pow | BinaryFn::Atan2 => 32,
            _ => 1,
        },
        Op::Pad(_) | Op::Gather(_) => 3,
        op => (kind(op) == Kind::Elementwise) as u32,
    }
}

/// Decides for every node.
/// The memory of the inputs that `yields` names is changed where nothing else reads them; those inputs have a home then.
pub fn fuse(graph: &Graph, yields: &[Yield]) -> Fusion {
    let live = graph.live();
    let flow = Flow::of(graph, &live);
    let roles = graph.iter().map(|(id, node)| match kind(&node.op) {
        _ if !live[id.index()] => Role::Dead,
        Kind::Leaf => Role::Leaf,
        Kind::Root | Kind::Whole => Role::Kernel { root: id },
        Kind::Elementwise | Kind::View => Role::Fused,
    });
    let (inside, rows) = (vec![false; graph.len()], vec![None; graph.len()]);
    let mut state = State { graph, flow, roles: roles.collect(), inside, rows };
    state.swallow();
    state.place_outputs();
    state.place_operands();
    state.gather_rows();
    state.bound_code();
    state.avoid_repetition();
    state.join_at_once();
    state.reduce_along();
    let along = state.fill_along();
    let mut fusion = Fusion { roles: state.roles, rows: state.rows, along, homes: vec![] };
    fusion.settle(graph, yields, &|id| state.flow.users(id).to_vec());
    fusion
}

struct State<'g> {
    graph: &'g Graph,
    flow: Flow,
    roles: Vec<Role>,
    /// Whether a node lies between a root and its tip, the tip included, or depends on a row's reductions.
    inside: Vec<bool>,
    rows: Vec<Option<Rows>>,
}

impl State<'_> {
    fn role(&self, id: NodeId) -> Role {
        self.roles[id.index()]
    }
    fn has_buffer(&self, id: NodeId) -> bool {
        matches!(self.role(id), Role::Leaf | Role::Kernel { .. } | Role::Along { .. })
    }
    /// Whether a node may still be given a buffer.
    fn is_free(&self, id: NodeId) -> bool {
        self.role(id) == Role::Fused && !self.inside[id.index()]
    }
    fn give_buffer(&mut self, id: NodeId) {
        if self.is_free(id) {
            self.roles[id.index()] = Role::Kernel { root: id };
        }
    }

    /// Moves each root's tip as far as it goes. Where several roots meet, the last one swallows what follows.
    fn swallow(&mut self) {
        for root in self.graph.ids().rev() {
            if self.role(root) != (Role::Kernel { root }) || kind(self.graph.op(root)) != Kind::Root {
                continue;
            }
            let (mut tip, mut size) = (root, 0);
            while let Some((meet, between)) = self.flow.step(tip, MAX_EPILOGUE) {
                size += between.len();
                if size > MAX_EPILOGUE || !between.iter().all(|&id| self.is_free(id)) {
                    break;
                }
                between.iter().for_each(|id| self.inside[id.index()] = true);
                tip = meet;
            }
            if tip != root {
                self.roles[root.index()] = Role::Fused;
                self.inside[root.index()] = true;
                self.roles[tip.index()] = Role::Kernel { root };
            }
        }
    }
    /// Outputs are memory; a reshape shares that of its operand.
    fn place_outputs(&mut self) {
        for port in &self.graph.outputs {
            self.give_buffer(self.beneath_reshapes(port.node));
        }
    }
    /// The operands of contractions are addresses; so are those of what is written as a whole.
    fn place_operands(&mut self) {
        for id in self.graph.ids() {
            let Role::Kernel { root } = self.role(id) else { continue };
            let node = self.graph.node(root);
            let contracts = matches!(node.op, Op::Dot(_) | Op::Conv(_));
            if matches!(node.op, Op::Control(_)) {
                // Regions find their inputs in memory.
                for &operand in &node.inputs {
                    if !matches!(self.graph.op(operand), Op::Const(_)) {
                        self.give_buffer(self.beneath_reshapes(operand));
                    }
                }
                continue;
            }
            // What is scattered over what it was computed from is computed before, so that this may be changed where it lies.
            if let (Op::Scatter(_), [base, from @ ..]) = (&node.op, &node.inputs[..]) {
                for &operand in from {
                    if self.is_computed_from(operand, *base) {
                        self.give_buffer(self.beneath_reshapes(operand));
                    }
                }
            }
            if !contracts && !reads_often(&node.op) {
                continue;
            }
            // Lanes run along the columns, which are a depthwise convolution's channels too.
            let by_lanes = |n: usize| contracts && (n == 1 || matches!(&node.op, Op::Conv(op) if op.groups > 1));
            for (n, &operand) in node.inputs.iter().enumerate() {
                if !self.is_address(operand, by_lanes(n)) {
                    self.give_buffer(self.beneath_views(operand));
                }
            }
        }
    }
    /// Whether the code of a node reads another one. What is too large to look through counts as such.
    fn is_computed_from(&self, id: NodeId, other: NodeId) -> bool {
        let (mut todo, mut seen) = (vec![id], HashSet::new());
        while let Some(id) = todo.pop() {
            if id == other || seen.len() > MAX_CODE as usize {
                return true;
            }
            if !self.has_buffer(id) && seen.insert(id) {
                todo.extend(&self.graph.node(id).inputs);
            }
        }
        false
    }
    /// What broadcasts and reshapes of memory can be computed from without a loss.
    fn beneath_views(&self, mut id: NodeId) -> NodeId {
        while self.is_free(id) && matches!(self.graph.op(id), Op::Broadcast(_)) {
            id = self.graph.node(id).inputs[0];
        }
        self.beneath_reshapes(id)
    }
    fn beneath_reshapes(&self, mut id: NodeId) -> NodeId {
        while self.is_free(id) && matches!(self.graph.op(id), Op::Reshape(_)) {
            id = self.graph.node(id).inputs[0];
        }
        id
    }
    /// Whether an element of `id` is one load at a place that is linear in the index; `unit` asks that neighbours on
    /// the last axis be neighbours in memory. Views of constants count as such: they are packed.
    fn is_address(&self, mut id: NodeId, unit: bool) -> bool {
        if unit && is_view_of_constant(self.graph, id) {
            return true;
        }
        let mut reshaped = false;
        while !self.has_buffer(id) {
            let last = self.graph.shape(id).len().wrapping_sub(1);
            let keeps_last = match self.graph.op(id) {
                Op::Reshape(_) => {
                    reshaped = true;
                    true
                }
                _ if reshaped => return false,
                Op::Broadcast(_) => {
                    self.graph.shape(id).last() == self.graph.shape(self.graph.node(id).inputs[0]).last()
                }
                Op::Transpose(op) => op.perm.last() == Some(&last),
                Op::Slice(op) => op.stride.last() == Some(&1),
                _ => return false,
            };
            if unit && !keeps_last {
                return false;
            }
            id = self.graph.node(id).inputs[0];
        }
        true
    }

    /// Cuts the greatest operands off code that would exceed [`MAX_CODE`].
    fn bound_code(&mut self) {
        let mut code = vec![1u32; self.graph.len()];
        for (id, node) in self.graph.iter() {
            // The operands of a concatenation are code of their own, each in its loops.
            let apart = matches!(node.op, Op::Concat(_));
            let (false, Role::Fused | Role::Kernel { .. }) = (apart, self.role(id)) else { continue };
            loop {
                let size = |state: &Self, i: &NodeId| if state.has_buffer(*i) { 1 } else { code[i.index()] };
                let sum = node.inputs.iter().map(|i| size(self, i)).fold(1, u32::saturating_add);
                let free = node.inputs.iter().filter(|&&i| self.is_free(i) && code[i.index()] > 1);
                match free.max_by_key(|i| code[i.index()]) {
                    Some(&greatest) if sum > MAX_CODE => self.give_buffer(greatest),
                    _ => {
                        code[id.index()] = sum;
                        break;
                    }
                }
            }
        }
    }

    /// Gives a buffer to what is cheaper to load than to compute again.
    fn avoid_repetition(&mut self) {
        let shares = |op: &Op| matches!(op, Op::Broadcast(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_));
        let mut costs = vec![0.0; self.graph.len()];
        for (id, node) in self.graph.iter().filter(|&(id, _)| self.role(id) == Role::Fused) {
            // A value that several users read at different indices gets a buffer, fused or not.
            let is_shared = |i: NodeId| {
                let others = self.flow.users(i).len() as f64 - 1.0;
                let apart = self.is_free(i) && self.flow.meet(i).is_none() && !shares(self.graph.op(i));
                apart && others * costs[i.index()] > BUFFER_COST
            };
            let operands = node.inputs.iter().filter(|&&i| !self.has_buffer(i) && !is_shared(i));
            costs[id.index()] = cost(&node.op) as f64 + operands.map(|i| costs[i.index()]).sum::<f64>();
        }
        // How often each fused element is computed.
        let mut times = vec![1.0; self.graph.len()];
        for id in self.graph.ids().rev() {
            if !self.is_free(id) {
                continue;
            }
            times[id.index()] = match self.flow.meet(id) {
                Some(meet) => times[meet.index()],
                None => self.flow.users(id).iter().map(|&u| times[u.index()] * self.reads(u, id)).sum(),
            };
            if !shares(self.graph.op(id)) && (times[id.index()] - 1.0) * costs[id.index()] > BUFFER_COST {
                self.give_buffer(id);
                times[id.index()] = 1.0;
            }
        }
    }
    /// A concatenation of code whose only user is a concatenation becomes part of that one.
    fn join_at_once(&mut self) {
        let is_concat = |state: &Self, id: NodeId| matches!(state.graph.op(id), Op::Concat(_));
        for id in self.graph.ids().rev() {
            let [user] = self.flow.users(id)[..] else { continue };
            let writes = self.graph.outputs.iter().all(|p| p.node != id)
                && is_concat(self, id)
                && self.role(id) == Role::Kernel { root: id }
                && !self.graph.node(id).inputs.iter().any(|&i| self.has_buffer(i));
            if writes && is_concat(self, user) && self.graph.node(user).inputs.iter().filter(|&&i| i == id).count() == 1
            {
                self.roles[id.index()] = Role::Fused;
            }
        }
    }
    /// How often `user`, computed once for each of its elements, reads an element of `operand`.
    fn reads(&self, user: NodeId, operand: NodeId) -> f64 {
        let ratio = || elements(self.graph, user) / elements(self.graph, operand).max(1.0);
        match self.graph.op(user) {
            Op::Broadcast(op) => ratio() * GUESS.powi(op.open.len() as i32),
            Op::Slice(_) => ratio(),
            Op::Gather(_) => ratio().max(1.0),
            Op::Window(op) => ratio() * op.size.iter().map(|&n| n as f64).product::<f64>(),
            op if matches!(op, Op::Dot(_) | Op::Conv(_)) || reads_often(op) => REUSE,
            _ => 1.0,
        }
    }
}

/// Whether an operator gives elements of its operand at places that are known now.
pub fn is_view(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Broadcast(_)) && op.has_fixed_attributes()
}

/// Whether a node is a constant, or a view of one.
pub fn is_view_of_constant(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        match graph.op(id) {
            Op::Const(_) => return true,
            op if is_view(op) => id = graph.node(id).inputs[0],
            _ => return false,
        }
    }
}

/// The number of elements, with a guess for symbols.
fn elements(graph: &Graph, id: NodeId) -> f64 {
    estimate(&graph.ty(id).count())
}

/// A guess at the value of a symbol.
const GUESS: f64 = 16.0;

/// A guess at the value of a dim.
pub fn estimate(dim: &Dim) -> f64 {
    dim.eval_with(&|atom| matches!(atom, Atom::Sym(_)).then_some(GUESS as i64)).unwrap_or(1 << 30).max(0) as f64
}
