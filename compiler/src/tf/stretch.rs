//! Broadcasts of open extents.
//!
//! An extent that is not known may be 1, and then it is repeated to the other one. What holds of two extents shows only
//! at a call, so the import makes up to two graphs ([`Stretch`]): one in which every open extent may be 1, which is
//! always right, and one in which extents that meet are equal, which makes better code. Extents that other operators
//! need to be equal are one symbol in both.

use super::{Import, Stop};
use crate::{base::Dim, graph::NodeId, op::Broadcast};

/// What an open extent may be that meets another one in a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// 1, or equal to the other one.
    Either,
    /// Equal to the other one.
    Never,
}

const WHAT: &str = "the extents of broadcast operands";

impl Import<'_> {
    /// Repeats `x` to a shape; its axes are the last ones of that shape.
    pub(super) fn broadcast_to(&mut self, x: NodeId, shape: &[Dim]) -> Result<NodeId, Stop> {
        let mut from = self.shape(x);
        if from == shape {
            return Ok(x);
        }
        let Some(missing) = shape.len().checked_sub(from.len()) else {
            return Err(format!("cannot broadcast a tensor of rank {} to rank {}", from.len(), shape.len()).into());
        };
        from.splice(0..0, vec![Dim::one(); missing]);
        for (a, b) in from.iter().zip(shape) {
            self.require_repeatable(a, b)?;
        }
        let x = self.reshape(x, &from)?;
        if from == shape { Ok(x) } else { self.add(Broadcast::new(&from, shape, self.graph.facts()), &[x]) }
    }
    /// Sees to it that an axis of extent `from` can be broadcast to `to`.
    fn require_repeatable(&mut self, from: &Dim, to: &Dim) -> Result<(), Stop> {
        if self.graph.facts().repeats(from, to) {
            return Ok(());
        }
        let is_found = self.is_found(from) || self.is_found(to);
        if self.stretch == Stretch::Never && !is_found || to.is(1) || from.is_never_one() {
            return self.require_equal(from, to, WHAT);
        }
        self.may_be_one(from, to);
        Ok(())
    }
    fn may_be_one(&mut self, from: &Dim, to: &Dim) {
        // What data decide is no question for a call.
        self.stretched |= !self.is_found(from) && !self.is_found(to);
        self.graph.assume_repeated(from.clone(), to.clone());
    }
    /// The shape that all of these broadcast to.
    pub(super) fn common_shape(&mut self, shapes: &[Vec<Dim>]) -> Result<Vec<Dim>, Stop> {
        let rank = shapes.iter().map(Vec::len).max().unwrap_or(0);
        let mut common = vec![Dim::one(); rank];
        for shape in shapes {
            for (to, from) in common[rank - shape.len()..].iter_mut().zip(shape) {
                *to = self.common_extent(to, from)?;
            }
        }
        Ok(common)
    }
    /// The extent to which axes of these two broadcast.
    pub(super) fn common_extent(&mut self, a: &Dim, b: &Dim) -> Result<Dim, Stop> {
        if b.is(1) || a == b {
            return Ok(a.clone());
        }
        if a.is(1) {
            return Ok(b.clone());
        }
        let are_whole = a.is_never_one() && b.is_never_one();
        let is_found = self.is_found(a) || self.is_found(b);
        if self.stretch == Stretch::Never && !is_found || are_whole || self.graph.facts().equal(a, b) {
            self.require_equal(a, b, WHAT)?;
            // Of two names for one extent, the constant is the better one.
            return Ok(if a.as_int().is_some() { a.clone() } else { b.clone() });
        }
        let parts = |d: &Dim| d.broadcast_of().unwrap_or_else(|| vec![d.clone()]);
        let extents = [parts(a), parts(b)].concat();
        let common = Dim::broadcast(&extents);
        for extent in extents.iter().filter(|d| **d != common) {
            self.may_be_one(extent, &common);
        }
        Ok(common)
    }
}
