//! The template for padded tensors: fills, copies, fills.
//!
//! Along each padded axis the result is a range of the value, the operand, and another range of the value. A range of
//! the value reaches over all inner axes; the operand's part is a loop with the next padded axis inside. The three are
//! one loop with a condition where that makes a kernel of one loop, so that threads can share it. An operand that lies
//! in the result already is left alone, and only the border is filled.

use super::{
    lower::{Context, Site},
    map::{Trial, write},
};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{Bound, LoopKind, Stmt},
    op::Pad,
};

/// Writes the padded copy `tip`.
pub fn pad<'g>(cx: &Context<'g>, tip: NodeId, pad: &Pad) -> Site<'g> {
    let site = Site::new(cx.graph, cx.fusion, tip, tip);
    let from = &site.operand_ty(0).shape;
    let body = |site: &mut Site<'g>, ix: &[Dim]| {
        let value = site.operand(0, ix);
        let to: Vec<Dim> = ix.iter().zip(&pad.low).map(|(i, low)| i + low).collect();
        site.store(&to, value);
    };
    let trial = Trial::of(site.fresh(), from, &body);
    let padded = |axis: &usize| !pad.low[*axis].is(0) || !pad.high[*axis].is(0);
    let axes: Vec<usize> = (0..from.len()).filter(padded).collect();
    let mut border = Border { site, pad, from, trial };
    border.axis(&axes, 0, vec![], &body);
    border.site
}

struct Border<'g, 'p> {
    site: Site<'g>,
    pad: &'p Pad,
    /// The operand's shape.
    from: &'g [Dim],
    trial: Trial,
}

impl<'g> Border<'g, '_> {
    /// Everything from axis `next` on, at the operand's index `ix` before it; `padded` are the padded axes that follow.
    fn axis(&mut self, padded: &[usize], next: usize, ix: Vec<Dim>, body: &dyn Fn(&mut Site<'g>, &[Dim])) {
        let Some((&axis, rest)) = padded.split_first() else {
            // Axes before `next` have their loops.
            if self.site.is_in_place(0) {
                return;
            }
            let axes: Vec<usize> = (next..self.from.len()).filter(|&a| !self.from[a].is(1)).collect();
            let groups = self.trial.groups(&axes);
            let ix = [ix, vec![Dim::zero(); self.from.len() - next]].concat();
            return write(&mut self.site, &groups, self.from, ix, self.trial.innermost(), body);
        };
        if next == 0 && !rest.is_empty() {
            return self.rows(axis, rest, body);
        }
        let outer = self.from[next..axis].to_vec();
        let depth = outer.iter().filter(|n| !n.is(1)).count();
        let mut at = ix;
        for extent in &outer {
            at.push(if extent.is(1) { Dim::zero() } else { self.site.open(extent) });
        }
        let (low, high, extent) = (&self.pad.low[axis], &self.pad.high[axis], &self.from[axis]);
        self.fill(&at, axis, &Dim::zero(), low);
        if rest.is_empty() {
            self.axis(rest, axis, at.clone(), body);
        } else {
            let one = extent.is(1);
            let i = if one { Dim::zero() } else { self.site.open(extent) };
            self.axis(rest, axis + 1, [at.clone(), vec![i]].concat(), body);
            if !one {
                self.site.close(LoopKind::Seq);
            }
        }
        self.fill(&at, axis, &(low + extent), high);
        (0..depth).for_each(|_| self.site.close(LoopKind::Seq));
    }
    /// One loop over the result's indices up to `axis`, the first padded one.
    fn rows(&mut self, axis: usize, rest: &[usize], body: &dyn Fn(&mut Site<'g>, &[Dim])) {
        let (low, extent) = (&self.pad.low[axis], &self.from[axis]);
        let outer = [&self.from[..axis], &[low + extent + &self.pad.high[axis]]].concat();
        let ix = self.site.open_flat(&outer);
        let (at, i) = (&ix[..axis], &ix[axis]);
        self.site.w.open_block();
        self.axis(rest, axis + 1, [at, &[i - low]].concat(), body);
        let then = self.site.close_branch();
        self.site.w.open_block();
        self.fill(at, axis, i, &Dim::one());
        let otherwise = self.site.close_branch();
        let bounds = vec![Bound { index: i - low, extent: extent.clone() }];
        self.site.w.emit(Stmt::If { bounds, then, otherwise });
        self.site.close(LoopKind::Seq);
    }
    /// Stores the value from `start` on along `axis`, where `ix` is the operand's index before that axis.
    fn fill(&mut self, ix: &[Dim], axis: usize, start: &Dim, many: &Dim) {
        if many.is(0) {
            return;
        }
        let shape = self.site.tip_shape();
        let mut extents = vec![Dim::one(); axis];
        extents.push(many.clone());
        extents.extend_from_slice(&shape[axis + 1..]);
        let mut first: Vec<Dim> = ix.iter().zip(&self.pad.low).map(|(i, low)| i + low).collect();
        first.push(start.clone());
        first.resize(shape.len(), Dim::zero());
        let store = |site: &mut Site<'g>, to: &[Dim]| {
            let value = site.operand(1, &[]);
            site.store(to, value);
        };
        let axes: Vec<usize> = (axis..shape.len()).filter(|&a| !extents[a].is(1)).collect();
        let groups = Trial::of(self.site.fresh(), &extents, &store).groups(&axes);
        let none = vec![Dim::zero(); shape.len()];
        write(&mut self.site, &groups, &extents, none, LoopKind::Vector, &|site, i| {
            let to: Vec<Dim> = first.iter().zip(i).map(|(first, i)| first + i).collect();
            store(site, &to);
        });
    }
}
