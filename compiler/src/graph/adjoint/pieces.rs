//! Sums of gradients that are pieces among zeros: what parts of a tensor got lies side by side, in place of a sum of as many
//! whole tensors.

use super::*;
use crate::op::{Concat, Pad, Put, Slice};

/// A gradient that is 0 but for a box: what lies in it, and how many zeros are before and behind on each axis.
#[derive(Clone)]
struct Piece {
    part: NodeId,
    shape: Vec<Dim>,
    low: Vec<Dim>,
    high: Vec<Dim>,
}

impl Piece {
    /// Whether `next` begins where this one ends along an axis, and lies as it does on all others.
    fn is_before(&self, next: &Piece, axis: usize) -> bool {
        let like = |a: usize| a == axis || self.low[a] == next.low[a] && self.shape[a] == next.shape[a];
        next.low[axis] == &self.low[axis] + &self.shape[axis] && (0..self.low.len()).all(like)
    }
}

impl Graph {
    /// The sum of what the users of a node gave; none where there are none.
    pub(super) fn sum(&mut self, mut given: Vec<NodeId>) -> Infer<Option<NodeId>> {
        if let [first, _, ..] = given[..] {
            for axis in 0..self.ty(first).rank() {
                given = self.joined(given, axis)?;
            }
        }
        let mut given = given.into_iter();
        let Some(first) = given.next() else { return Ok(None) };
        given.try_fold(first, |sum, next| self.add(SUM, &[sum, next])).map(Some)
    }

    /// A sum and a gradient, which is added within its box where it is one among zeros: what iterations take from a sequence
    /// costs each as much as its part.
    pub(super) fn added(&mut self, sum: NodeId, gradient: NodeId) -> Infer<NodeId> {
        if let Some((start, part)) = self.boxed(gradient) {
            let shape = self.shape(part).to_vec();
            let slice = Slice { start: start.clone(), stride: vec![1; shape.len()], shape };
            let own = self.add(slice, &[sum])?;
            let both = self.add(SUM, &[own, part])?;
            return self.add(Put { start }, &[sum, both]);
        }
        let node = self.node(gradient);
        let of_boxes = node.op == SUM.into() && node.inputs.iter().any(|&x| self.boxed(x).is_some());
        if !of_boxes {
            return self.add(SUM, &[sum, gradient]);
        }
        node.inputs.clone().iter().try_fold(sum, |sum, &x| self.added(sum, x))
    }

    /// Gradients of which those that lie beside each other along an axis are one.
    fn joined(&mut self, given: Vec<NodeId>, axis: usize) -> Infer<Vec<NodeId>> {
        let pieces: Vec<Option<Piece>> = given.iter().map(|&id| self.piece(id)).collect();
        let mut is_left = vec![true; given.len()];
        let mut sums = vec![];
        for (n, piece) in pieces.iter().enumerate() {
            if !std::mem::replace(&mut is_left[n], false) {
                continue;
            }
            let Some(piece) = piece else {
                sums.push(given[n]);
                continue;
            };
            let mut row = std::collections::VecDeque::from([piece]);
            let mut take = |fits: &dyn Fn(&Piece) -> bool| {
                let next = (0..pieces.len()).find(|&n| is_left[n] && pieces[n].as_ref().is_some_and(fits))?;
                is_left[next] = false;
                pieces[next].as_ref()
            };
            while let Some(next) = take(&|next| row[row.len() - 1].is_before(next, axis)) {
                row.push_back(next);
            }
            while let Some(last) = take(&|last| last.is_before(row[0], axis)) {
                row.push_front(last);
            }
            sums.push(if row.len() == 1 { given[n] } else { self.side_by_side(row.make_contiguous(), axis)? });
        }
        Ok(sums)
    }

    fn side_by_side(&mut self, row: &[&Piece], axis: usize) -> Infer<NodeId> {
        let parts: Vec<NodeId> = row.iter().map(|piece| piece.part).collect();
        let joined = self.add(Concat { axis }, &parts)?;
        let (low, mut high) = (row[0].low.clone(), row[0].high.clone());
        high[axis] = row[row.len() - 1].high[axis].clone();
        if low.iter().chain(&high).all(|n| n.is(0)) {
            return Ok(joined);
        }
        let dtype = self.ty(joined).dtype;
        let zero = self.constant(Tensor::scalar(dtype, Scalar::zero(dtype)));
        self.add(Pad { low, high }, &[joined, zero])
    }

    /// A gradient that zeros surround.
    fn piece(&self, id: NodeId) -> Option<Piece> {
        let node = self.node(id);
        let Op::Pad(Pad { low, high }) = &node.op else { return None };
        let part = node.inputs[0];
        let shape = self.shape(part).to_vec();
        self.is_nothing(node.inputs[1]).then(|| Piece { part, shape, low: low.clone(), high: high.clone() })
    }

    /// Where a box of an iteration lies among zeros, and what lies in it.
    fn boxed(&self, id: NodeId) -> Option<(Vec<Dim>, NodeId)> {
        let node = self.node(id);
        let Op::Put(Put { start }) = &node.op else { return None };
        self.is_nothing(node.inputs[0]).then(|| (start.clone(), node.inputs[1]))
    }

    /// Whether all elements are a constant 0.
    fn is_nothing(&self, id: NodeId) -> bool {
        let node = self.node(id);
        match &node.op {
            Op::Const(value) => value.count() == 1 && value.get(0) == Scalar::zero(value.dtype),
            Op::Broadcast(_) | Op::Reshape(_) => self.is_nothing(node.inputs[0]),
            _ => false,
        }
    }
}
