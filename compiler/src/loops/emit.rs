//! What an operator sees while it writes code for one element of its result.

use super::*;
use crate::tensor::TensorType;

/// The operands of the operator that is being written; implemented by whoever decides what is fused.
pub trait Operands {
    fn count(&self) -> usize;
    fn ty(&self, n: usize) -> &TensorType;
    /// Operand `n` at `ix`: a load, or the operand's own code.
    fn read(&mut self, w: &mut Writer, n: usize, ix: &[Dim]) -> ExprId;
    /// Whether operand `n` lies where the result belongs, so that its elements are there before anything is written.
    fn is_in_place(&self, _n: usize) -> bool {
        false
    }
    /// The block at `depth` is about to close: forget values that were named in it.
    fn leave(&mut self, depth: usize);
}

/// The kernel under construction and the operands.
pub struct Emit<'a> {
    pub w: &'a mut Writer,
    pub operands: &'a mut dyn Operands,
}

impl Emit<'_> {
    /// The number of operands.
    pub fn count(&self) -> usize {
        self.operands.count()
    }
    pub fn ty(&self, n: usize) -> &TensorType {
        self.operands.ty(n)
    }
    pub fn shape(&self, n: usize) -> Vec<Dim> {
        self.operands.ty(n).shape.clone()
    }
    pub fn read(&mut self, n: usize, ix: &[Dim]) -> ExprId {
        self.operands.read(self.w, n, ix)
    }
    pub fn is_in_place(&self, n: usize) -> bool {
        self.operands.is_in_place(n)
    }
    /// A loop around `body`, which gets the index. An extent of 1 needs no loop.
    pub fn each(&mut self, extent: &Dim, kind: LoopKind, body: impl FnOnce(&mut Emit<'_>, &Dim)) {
        if extent.is(1) {
            return body(self, &Dim::zero());
        }
        let var = self.w.loop_var(extent.clone());
        self.w.open_block();
        body(self, &index_of(var));
        self.operands.leave(self.w.depth());
        self.w.close_for(var, kind);
    }
    /// Nested loops, outermost first.
    pub fn nest(&mut self, extents: &[Dim], kind: LoopKind, body: impl FnOnce(&mut Emit<'_>, &[Dim])) {
        type Body<'b> = Box<dyn FnOnce(&mut Emit<'_>, &[Dim]) + 'b>;
        fn inner<'b>(at: &mut Emit<'_>, extents: &[Dim], kind: LoopKind, ix: &mut Vec<Dim>, body: Body<'b>) {
            let Some((first, rest)) = extents.split_first() else { return body(at, ix) };
            at.each(first, kind, |at, i| {
                ix.push(i.clone());
                inner(at, rest, kind, ix, body);
            });
        }
        inner(self, extents, kind, &mut vec![], Box::new(body));
    }
    /// `acc = start; for r in extents { acc = f(acc, body(r)) }`; the order is free.
    pub fn fold(
        &mut self,
        f: BinaryFn,
        start: ExprId,
        extents: &[Dim],
        body: impl FnOnce(&mut Emit<'_>, &[Dim]) -> ExprId,
    ) -> ExprId {
        let acc = self.w.local(self.w.dtype(start), []);
        self.w.assign(acc, &[], start);
        self.nest(extents, LoopKind::Seq, |at, r| {
            let value = body(at, r);
            at.w.accumulate(acc, &[], f, value);
        });
        let value = self.w.read(acc, &[]);
        self.w.set(value)
    }
    /// `body` where all bounds hold. Bounds that are proved are not tested.
    pub fn only_within(&mut self, bounds: Vec<Bound>, body: impl FnOnce(&mut Emit<'_>)) {
        let bounds = self.unproved(bounds);
        if bounds.is_empty() {
            return body(self);
        }
        self.w.open_block();
        body(self);
        self.operands.leave(self.w.depth());
        let then = self.w.close_block();
        self.w.emit(Stmt::If { bounds, then, otherwise: Block::new() });
    }
    fn unproved(&self, bounds: Vec<Bound>) -> Vec<Bound> {
        bounds.into_iter().filter(|b| !self.w.is_within(&b.index, &b.extent)).collect()
    }
    /// `value()` where all bounds hold, `otherwise()` elsewhere; neither is evaluated in vain. Bounds that are proved
    /// are not tested.
    pub fn within(
        &mut self,
        bounds: Vec<Bound>,
        value: impl FnOnce(&mut Emit<'_>) -> ExprId,
        otherwise: impl FnOnce(&mut Emit<'_>) -> ExprId,
    ) -> ExprId {
        let bounds = self.unproved(bounds);
        if bounds.is_empty() {
            return value(self);
        }
        self.w.open_block();
        let value = value(self);
        let result = self.w.local(self.w.dtype(value), []);
        self.w.assign(result, &[], value);
        self.operands.leave(self.w.depth());
        let then = self.w.close_block();
        self.w.open_block();
        let value = otherwise(self);
        self.w.assign(result, &[], value);
        self.operands.leave(self.w.depth());
        let otherwise = self.w.close_block();
        self.w.emit(Stmt::If { bounds, then, otherwise });
        let value = self.w.read(result, &[]);
        self.w.set(value)
    }
}
