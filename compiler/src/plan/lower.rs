//! A kernel under construction: pull lowering with a memo.
//!
//! A template opens loops and asks for values: of the tip, or of the root's operands. The code for an element of a fused
//! node is that of its operator, with its operands' elements pulled in turn; a node with a buffer is loaded. Each value
//! is named once per open block and index, so that code grows with the graph and not with its paths.

use std::collections::HashMap;

use super::{WeightId, Weights, fuse::Fusion, target::TargetInfo};
use crate::{
    base::{Dim, Symbol},
    graph::{Graph, NodeId},
    loops::{
        self, Block, BufferId, Emit, Expr, ExprId, Kernel, LoopKind, Operands, Stmt, VarId, Writer, flat, index_of,
    },
    op::Op,
    tensor::{DType, TensorType, count},
};

/// What all templates see.
pub struct Context<'g> {
    pub graph: &'g Graph,
    pub fusion: &'g Fusion,
    pub target: &'g TargetInfo,
    pub weights: &'g mut Weights,
    /// The number of the iteration, where the graph is run again and again.
    pub step: Option<Symbol>,
}

impl Context<'_> {
    /// Whether a kernel takes turns in the direction in which it reads so many bytes of weights: they pass a first-level
    /// cache, and there is a next time.
    pub fn takes_turns(&self, bytes: usize) -> bool {
        self.step.is_some() && bytes > self.target.l1 / 2
    }
}

/// What a buffer of a kernel is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// The buffer of a node, which others may lie in.
    Node(NodeId),
    /// A packed constant.
    Weights(WeightId),
    /// What the kernel computes.
    Result,
    /// The buffer of a node that the kernel computes along with that.
    Along(NodeId),
}

/// One kernel: computes `tip`, and within it `root`.
pub struct Site<'g> {
    pub w: Writer,
    pub pull: Pull<'g>,
    root: NodeId,
    out: BufferId,
    /// The variables of the loops that are open.
    open: Vec<VarId>,
}

/// The finished kernel and what its buffers are.
pub struct Lowered {
    pub kernel: Kernel,
    pub args: Vec<Bound>,
    /// How often each node was written as code.
    pub written: HashMap<NodeId, u32>,
}

impl<'g> Site<'g> {
    pub fn new(graph: &'g Graph, fusion: &'g Fusion, tip: NodeId, root: NodeId) -> Site<'g> {
        let mut w = Writer::new("");
        let out = w.buffer(graph.ty(tip).dtype, graph.ty(fusion.container(tip)).count(), true);
        let pull = Pull {
            graph,
            fusion,
            tip,
            copies: false,
            given: vec![],
            args: vec![Bound::Result],
            buffers: HashMap::new(),
            memo: HashMap::new(),
            written: HashMap::new(),
        };
        Site { w, pull, root, out, open: vec![] }
    }
    /// A kernel that copies what `node` holds already, to a buffer that holds nothing else.
    pub fn copy(graph: &'g Graph, fusion: &'g Fusion, node: NodeId) -> Site<'g> {
        let mut site = Site::new(graph, fusion, node, node);
        site.pull.copies = true;
        site.w.kernel.buffers[site.out].len = graph.ty(node).count();
        site
    }
    /// Another kernel for the same nodes, with nothing in it yet; what is given has any value.
    pub fn fresh(&self) -> Site<'g> {
        let mut site = Site::new(self.pull.graph, self.pull.fusion, self.pull.tip, self.root);
        site.pull.copies = self.pull.copies;
        for &(id, _) in &self.pull.given {
            let any = site.w.int(self.graph().ty(id).dtype, 0);
            site.give(id, any);
        }
        site
    }
    pub fn graph(&self) -> &'g Graph {
        self.pull.graph
    }
    pub fn root(&self) -> NodeId {
        self.root
    }
    pub fn root_op(&self) -> &'g Op {
        self.graph().op(self.root)
    }
    /// The type of the root's operand `n`.
    pub fn operand_ty(&self, n: usize) -> &'g TensorType {
        self.graph().ty(self.graph().node(self.root).inputs[n])
    }
    pub fn root_shape(&self) -> &'g [Dim] {
        self.graph().shape(self.root)
    }
    pub fn tip_shape(&self) -> &'g [Dim] {
        self.graph().shape(self.pull.tip)
    }

    /// Opens a loop; [`Site::close`] closes the innermost one.
    pub fn open(&mut self, extent: &Dim) -> Dim {
        let var = self.w.loop_var(extent.clone());
        self.w.open_block();
        self.open.push(var);
        index_of(var)
    }
    pub fn close(&mut self, kind: LoopKind) {
        let var = self.open.pop().expect("a loop is open");
        self.pull.leave(self.w.depth());
        self.w.close_for(var, kind);
    }
    /// Closes a block that is no loop.
    pub fn close_branch(&mut self) -> Block {
        self.pull.leave(self.w.depth());
        self.w.close_block()
    }
    /// `body` where all bounds hold.
    pub fn branch(&mut self, bounds: Vec<loops::Bound>, body: impl FnOnce(&mut Self)) {
        if bounds.is_empty() {
            return body(self);
        }
        self.w.open_block();
        body(self);
        let then = self.close_branch();
        self.w.emit(Stmt::If { bounds, then, otherwise: vec![] });
    }
    /// A loop around `body`, which gets the index. An extent of 1 needs no loop.
    pub fn each(&mut self, extent: &Dim, kind: LoopKind, body: impl FnOnce(&mut Self, &Dim)) {
        if extent.is(1) {
            return body(self, &Dim::zero());
        }
        let index = self.open(extent);
        body(self, &index);
        self.close(kind);
    }
    /// Nested loops of one kind, outermost first.
    pub fn nest(&mut self, extents: &[Dim], kind: LoopKind, body: impl FnOnce(&mut Self, &[Dim])) {
        let ix: Vec<Dim> = extents.iter().map(|n| if n.is(1) { Dim::zero() } else { self.open(n) }).collect();
        body(self, &ix);
        extents.iter().filter(|n| !n.is(1)).for_each(|_| self.close(kind));
    }
    /// Opens one loop over all indices of `extents`, of which more than one exist.
    pub fn open_flat(&mut self, extents: &[Dim]) -> Vec<Dim> {
        let i = self.open(&count(extents));
        self.split(&i, extents)
    }
    /// The index in `extents` whose row-major position is `place`. Each is named, so that what is computed from it stays
    /// linear in it.
    pub fn split(&mut self, place: &Dim, extents: &[Dim]) -> Vec<Dim> {
        let several = extents.iter().filter(|n| !n.is(1)).count() > 1;
        let mut ix = unflatten(&self.w, place, extents);
        for (i, n) in ix.iter_mut().zip(extents).filter(|(_, n)| several && !n.is(1)) {
            let value = self.w.index(i.clone());
            *i = self.w.set_index(value, Some(n.clone()));
        }
        ix
    }
    /// The same around `body`; no loop where there is one index.
    pub fn each_flat(&mut self, extents: &[Dim], body: impl FnOnce(&mut Self, &[Dim])) {
        if count(extents).is(1) {
            return body(self, &vec![Dim::zero(); extents.len()]);
        }
        let ix = self.open_flat(extents);
        body(self, &ix);
        self.close(LoopKind::Seq);
    }
    /// The tip's element at `ix`, computed from loads alone.
    pub fn value(&mut self, ix: &[Dim]) -> ExprId {
        let tip = self.pull.tip;
        self.pull.element(&mut self.w, tip, ix)
    }
    /// The element of the root's operand `n`.
    pub fn operand(&mut self, n: usize, ix: &[Dim]) -> ExprId {
        let id = self.graph().node(self.root).inputs[n];
        self.pull.element(&mut self.w, id, ix)
    }
    /// The element of a node that the root depends on.
    pub fn element_of(&mut self, id: NodeId, ix: &[Dim]) -> ExprId {
        self.pull.element(&mut self.w, id, ix)
    }
    /// Stores the tip's element where the root's element at `ix` is `value`, and what is filled along with it.
    pub fn finish_element(&mut self, ix: &[Dim], value: ExprId) {
        let (graph, tip, root) = (self.graph(), self.pull.tip, self.root);
        let (along, result) = self.values(Some((root, value)), &self.index_after(root, tip, ix));
        let place = match self.pull.fusion.home(tip) {
            Some(_) => self.position(&self.index_after(root, tip, ix)),
            None => flat(graph.shape(root), ix),
        };
        along.into_iter().for_each(|(id, value)| self.store_along(id, ix, value));
        self.w.store_flat(self.out, place, result);
    }
    /// Computes and stores the tip's element at `ix`, and what is filled along with it.
    pub fn write_element(&mut self, ix: &[Dim]) {
        let (along, value) = self.values(None, ix);
        along.into_iter().for_each(|(id, value)| self.store_along(id, ix, value));
        self.store(ix, value);
    }
    /// The elements at `ix` of what is filled along, and of the tip. All are computed before anything is stored, since that
    /// may take the place of what they are computed from. The element of `root` is known, if there is one.
    fn values(&mut self, root: Option<(NodeId, ExprId)>, ix: &[Dim]) -> (Vec<(NodeId, ExprId)>, ExprId) {
        let fusion = self.pull.fusion;
        let given = self.pull.given.len();
        self.pull.given.extend(root);
        let mut along = vec![];
        for &id in if self.pull.copies { &[] } else { fusion.along(self.pull.tip) } {
            let value = self.pull.element(&mut self.w, id, ix);
            let value = self.w.set(value);
            self.pull.given.push((id, value));
            along.push((id, value));
        }
        let value = self.value(ix);
        self.pull.given.truncate(given);
        let value = if along.is_empty() { value } else { named(&mut self.w, value) };
        (along, value)
    }
    /// The index of `to` at which it holds what `from` holds at `ix`, where only reshapes lie between.
    fn index_after(&self, from: NodeId, to: NodeId, ix: &[Dim]) -> Vec<Dim> {
        let (from, to) = (self.graph().shape(from), self.graph().shape(to));
        if from == to { ix.to_vec() } else { unflatten(&self.w, &flat(from, ix), to) }
    }
    /// The element of `tip` where that of `root`, which it is computed from, is `value` at `ix`.
    pub fn follow(&mut self, root: NodeId, tip: NodeId, ix: &[Dim], value: ExprId) -> ExprId {
        if tip == root {
            return value;
        }
        let tip_ix = self.index_after(root, tip, ix);
        self.pull.given.push((root, value));
        let result = self.pull.element(&mut self.w, tip, &tip_ix);
        self.pull.given.pop();
        result
    }
    /// Wherever `id` is asked for from now on, in this block, `value` is the answer.
    pub fn give(&mut self, id: NodeId, value: ExprId) {
        self.pull.given.push((id, value));
    }
    /// Stores an element of the tip.
    pub fn store(&mut self, ix: &[Dim], value: ExprId) {
        let place = self.position(ix);
        self.w.store_flat(self.out, place, value);
    }
    /// Stores an element of a node that has a buffer which this kernel fills along with its own.
    pub fn store_along(&mut self, id: NodeId, ix: &[Dim], value: ExprId) {
        let ty = self.graph().ty(id);
        let buffer = self.pull.bind(&mut self.w, Bound::Along(id), ty.dtype, ty.count());
        self.w.store_flat(buffer, flat(&ty.shape, ix), value);
    }
    /// Where an element of the tip lies in the buffer that is written.
    fn position(&self, ix: &[Dim]) -> Dim {
        match self.pull.copies {
            true => flat(self.tip_shape(), ix),
            false => self.pull.fusion.position(&self.w, self.graph(), self.pull.tip, ix),
        }
    }
    /// Whether the root's operand `n` was written where it belongs in the result.
    pub fn is_in_place(&self, n: usize) -> bool {
        self.pull.fusion.is_in_place(self.graph(), self.root, n)
    }
    /// Lets the root's operator write its whole result.
    pub fn write_whole(&mut self) {
        let (op, shape, out) = (self.root_op(), self.tip_shape(), self.out);
        let mut at = Emit { w: &mut self.w, operands: &mut At { pull: &mut self.pull, node: self.root } };
        op.write(&mut at, out, shape);
    }
    /// The buffer of a packed constant.
    pub fn weights(&mut self, id: WeightId, dtype: DType, len: usize) -> BufferId {
        self.pull.bind(&mut self.w, Bound::Weights(id), dtype, Dim::from(len))
    }
    pub fn finish(mut self, name: String) -> Lowered {
        self.w.kernel.name = name;
        Lowered { kernel: self.w.finish(), args: self.pull.args, written: self.pull.written }
    }
}

/// The index in `shape` whose row-major position is `place`.
pub fn unflatten(w: &Writer, place: &Dim, shape: &[Dim]) -> Vec<Dim> {
    let mut rest = place.clone();
    let mut ix = vec![Dim::zero(); shape.len()];
    for (axis, extent) in shape.iter().enumerate().rev().filter(|(_, n)| !n.is(1)) {
        // The outermost axis needs no remainder: what is left is its index.
        let outermost = shape[..axis].iter().all(|n| n.is(1));
        ix[axis] = if outermost { rest.clone() } else { w.rem(&rest, extent) };
        rest = if outermost { Dim::zero() } else { w.div(&rest, extent) };
    }
    ix
}

/// Code for elements of nodes.
pub struct Pull<'g> {
    graph: &'g Graph,
    fusion: &'g Fusion,
    tip: NodeId,
    /// Whether the tip is loaded like any other node.
    copies: bool,
    /// Present elements that are computed already: of the root, while its epilogue is written, and of a row's folds.
    given: Vec<(NodeId, ExprId)>,
    args: Vec<Bound>,
    buffers: HashMap<Bound, BufferId>,
    /// Values named in a block that is still open, with its depth.
    memo: HashMap<(NodeId, Vec<Dim>), (usize, ExprId)>,
    written: HashMap<NodeId, u32>,
}

impl<'g> Pull<'g> {
    fn bind(&mut self, w: &mut Writer, what: Bound, dtype: DType, len: Dim) -> BufferId {
        *self.buffers.entry(what).or_insert_with(|| {
            self.args.push(what);
            w.buffer(dtype, len, matches!(what, Bound::Along(_)))
        })
    }
    fn element(&mut self, w: &mut Writer, id: NodeId, ix: &[Dim]) -> ExprId {
        if let Some((_, value)) = self.given.iter().find(|(given, _)| *given == id) {
            return *value;
        }
        let graph = self.graph;
        if let op @ (Op::Const(_) | Op::Extent(_)) = graph.op(id)
            && !self.fusion.has_buffer(id)
        {
            return op.element(&mut Emit { w, operands: &mut At { pull: self, node: id } }, ix);
        }
        let key = (id, ix.to_vec());
        if let Some(&(_, value)) = self.memo.get(&key) {
            return value;
        }
        // What is filled along is asked for once, and given then.
        let own = id == self.tip || self.fusion.along(self.tip).contains(&id);
        let value = if self.fusion.has_buffer(id) && (!own || self.copies) {
            let ty = graph.ty(self.fusion.container(id));
            let buffer = self.bind(w, Bound::Node(self.fusion.container(id)), ty.dtype, ty.count());
            w.load_flat(buffer, self.fusion.position(w, graph, id, ix))
        } else {
            *self.written.entry(id).or_default() += 1;
            graph.op(id).element(&mut Emit { w, operands: &mut At { pull: self, node: id } }, ix)
        };
        let value = named(w, value);
        self.memo.insert(key, (w.depth(), value));
        value
    }
    /// The block at `depth` is about to close: forget what was named in it.
    pub fn leave(&mut self, depth: usize) {
        self.memo.retain(|_, (named, _)| *named < depth);
    }
}

/// The value under a name, unless it is one or is a constant.
pub fn named(w: &mut Writer, value: ExprId) -> ExprId {
    if matches!(w.kernel.exprs[value].expr, Expr::Var(_) | Expr::Const(_)) { value } else { w.set(value) }
}

/// The operands of one node.
struct At<'p, 'g> {
    pull: &'p mut Pull<'g>,
    node: NodeId,
}

impl Operands for At<'_, '_> {
    fn count(&self) -> usize {
        self.pull.graph.node(self.node).inputs.len()
    }
    fn ty(&self, n: usize) -> &TensorType {
        let graph = self.pull.graph;
        graph.ty(graph.node(self.node).inputs[n])
    }
    fn read(&mut self, w: &mut Writer, n: usize, ix: &[Dim]) -> ExprId {
        let id = self.pull.graph.node(self.node).inputs[n];
        self.pull.element(w, id, ix)
    }
    fn is_in_place(&self, n: usize) -> bool {
        self.pull.fusion.is_in_place(self.pull.graph, self.node, n)
    }
    fn leave(&mut self, depth: usize) {
        self.pull.leave(depth);
    }
}
