//! Splits a convolution over a spread operand (a transposed convolution) into its phases, which multiply no zeros.
//!
//! With gaps of `d` between the operand's elements, results at distance `d` are those of an ordinary convolution with
//! every `d`-th tap of the filter: there are `d` such phases along each axis. Their results lie side by side in
//! `[N, H, d, W, d, C]`, which is the whole under another shape. What follows element by element is computed phase by
//! phase, so that each phase is one kernel that writes where the result is read.

use std::collections::HashMap;

use super::fuse::is_elementwise;
use crate::{
    base::{Dim, dim::NoVars},
    graph::{Graph, NodeId},
    op::{Concat, Conv, Op, Pad, Reshape, Slice},
    tensor::{Scalar, Tensor},
};

/// More phases than this are not worth their kernels.
const MAX_PHASES: i64 = 16;

/// One value in phases.
#[derive(Clone, Debug, PartialEq)]
struct Split {
    /// The gaps along the spatial axes.
    gaps: Vec<i64>,
    /// In row-major order of the phases; all of one shape.
    parts: Vec<NodeId>,
}

/// The values that are there in phases too.
#[derive(Default)]
pub struct Phases(HashMap<NodeId, Split>);

/// One phase along one axis.
struct Axis {
    /// The first tap, and how many there are.
    tap: i64,
    taps: i64,
    low: i64,
    high: i64,
}

impl Phases {
    /// The convolution of `x` with a filter, of `finite` elements or not; none when it is not spread, or is better left alone.
    /// Zeros between elements are not multiplied. Those of a border are, so that other filters are for what has none: there,
    /// zeros are multiplied for results that are cut off again.
    pub fn convolution(
        &mut self,
        to: &mut Graph,
        conv: &Conv,
        x: NodeId,
        filter: NodeId,
        finite: bool,
    ) -> Option<NodeId> {
        let ones = |list: &[i64]| list.iter().all(|&n| n == 1);
        if !finite && !conv.low.iter().chain(&conv.high).all(|d| (-d).is_nonneg(&NoVars)) {
            return None;
        }
        let gaps = &conv.input_dilation;
        if ones(gaps) || !ones(&conv.stride) || !ones(&conv.dilation) || gaps.iter().product::<i64>() > MAX_PHASES {
            return None;
        }
        let (shape, taps) = (to.shape(x).to_vec(), to.shape(filter).to_vec());
        let spatial = conv.spatial();
        if !shape[1..=spatial].iter().all(|n| (n - 1).is_nonneg(&NoVars)) {
            return None;
        }
        let (mut axes, mut extents, mut whole) = (vec![], vec![], vec![shape[0].clone()]);
        for s in 0..spatial {
            let (gap, taps, low, high) = (gaps[s], taps[s].as_int()?, conv.low[s].as_int()?, conv.high[s].as_int()?);
            // The result has as many elements along the axis as the spread operand, and so many more.
            let more = 2 - gap + low + high - taps;
            let (rounds, rest) = (more.div_euclid(gap), more.rem_euclid(gap));
            let rounds = rounds + (rest > 0) as i64;
            axes.push((0..gap).map(|p| Axis::of(p, gap, taps, low, rounds)).collect::<Vec<_>>());
            extents.push(&shape[s + 1] + rounds);
            whole.push(&shape[s + 1] * gap + more);
        }
        whole.push(taps.last()?.clone());
        let parts = parts(to, conv, x, filter, &axes)?;
        let split = Split { gaps: gaps.clone(), parts };
        if to.shape(split.parts[0])[1..=spatial] != extents {
            return None;
        }
        let y = self.assemble(to, split)?;
        if to.shape(y) == whole {
            return Some(y);
        }
        let start = vec![Dim::zero(); whole.len()];
        to.add(Slice { start, stride: vec![1; whole.len()], shape: whole }, &[y]).ok()
    }
    /// An element by element operation, phase by phase if its operands allow it.
    pub fn elementwise(&mut self, to: &mut Graph, op: &Op, inputs: &[NodeId]) -> Option<NodeId> {
        let first = inputs.iter().find_map(|i| self.0.get(i))?.clone();
        if !is_elementwise(op) {
            return None;
        }
        let shape = to.shape(first.parts[0]).to_vec();
        let mut operands = vec![];
        for &input in inputs {
            operands.push(match self.0.get(&input) {
                Some(split) if split.gaps == first.gaps && to.shape(split.parts[0]) == shape => split.parts.clone(),
                Some(_) => return None,
                // One value for each channel, or for all.
                None => {
                    let Op::Broadcast(_) = to.op(input) else { return None };
                    let from = to.node(input).inputs[0];
                    if !to.shape(from).split_last()?.1.iter().all(|n| n.is(1)) {
                        return None;
                    }
                    vec![to.broadcast(from, &shape).ok()?; first.parts.len()]
                }
            });
        }
        let mut parts = vec![];
        for n in 0..first.parts.len() {
            let inputs: Vec<NodeId> = operands.iter().map(|parts| parts[n]).collect();
            parts.push(to.add(op.clone(), &inputs).ok()?);
        }
        self.assemble(to, Split { gaps: first.gaps, parts })
    }
    /// The whole of the phases.
    fn assemble(&mut self, to: &mut Graph, split: Split) -> Option<NodeId> {
        let shape = to.shape(split.parts[0]).to_vec();
        let spatial = split.gaps.len();
        let (mut apart, mut joined) = (vec![shape[0].clone()], vec![shape[0].clone()]);
        for s in 0..spatial {
            apart.extend([shape[s + 1].clone(), Dim::one()]);
            joined.push(&shape[s + 1] * split.gaps[s]);
        }
        let channels = shape.last()?;
        [&mut apart, &mut joined].into_iter().for_each(|shape| shape.push(channels.clone()));
        let mut nodes: Vec<NodeId> = vec![];
        for &part in &split.parts {
            nodes.push(to.add(Reshape { shape: apart.clone() }, &[part]).ok()?);
        }
        for s in (0..spatial).rev().filter(|&s| split.gaps[s] > 1) {
            let rows = nodes.chunks(split.gaps[s] as usize).map(<[NodeId]>::to_vec).collect::<Vec<_>>();
            nodes.clear();
            for row in rows {
                nodes.push(to.add(Concat { axis: 2 * s + 2 }, &row).ok()?);
            }
        }
        let y = to.add(Reshape { shape: joined }, &[nodes[0]]).ok()?;
        self.0.insert(y, split);
        Some(y)
    }
}

/// The convolutions of the phases, in row-major order. They read one padded operand, and each its taps of the filter; a phase
/// without taps is zeros.
fn parts(to: &mut Graph, conv: &Conv, x: NodeId, filter: NodeId, axes: &[Vec<Axis>]) -> Option<Vec<NodeId>> {
    let (gaps, spatial, taps) = (&conv.input_dilation, conv.spatial(), to.shape(filter).to_vec());
    let most = |axis: &[Axis], side: fn(&Axis) -> i64| axis.iter().map(side).max().unwrap_or(0).max(0);
    let outside: Vec<_> = axes.iter().map(|axis| (most(axis, |a| a.low), most(axis, |a| a.high))).collect();
    let surround = |side: fn(&(i64, i64)) -> i64| {
        let inner = outside.iter().map(|o| Dim::from(side(o)));
        std::iter::once(Dim::zero()).chain(inner).chain([Dim::zero()]).collect::<Vec<Dim>>()
    };
    let pad = Pad { low: surround(|o| o.0), high: surround(|o| o.1) };
    let (dtype, batch, x_shape) = (to.ty(x).dtype, to.shape(x)[0].clone(), to.shape(x)[1..=spatial].to_vec());
    let zero = to.constant(Tensor::scalar(dtype, Scalar::zero(dtype)));
    let x = if outside.iter().all(|o| *o == (0, 0)) { x } else { to.add(pad, &[x, zero]).ok()? };
    let mut parts = vec![];
    for phase in indices(gaps) {
        let of: Vec<&Axis> = phase.iter().zip(axes).map(|(&p, axis)| &axis[p]).collect();
        let tail = |rest: &[Dim]| rest.iter().map(|_| Dim::zero()).collect::<Vec<Dim>>();
        let every = Slice {
            start: [of.iter().map(|a| Dim::from(a.tap)).collect(), tail(&taps[spatial..])].concat(),
            stride: [&gaps[..], &[1, 1]].concat(),
            shape: [of.iter().map(|a| Dim::from(a.taps)).collect(), taps[spatial..].to_vec()].concat(),
        };
        if of.iter().any(|axis| axis.taps == 0) {
            let extents = x_shape.iter().zip(&of).map(|(n, axis)| n + axis.low + axis.high + 1 - axis.taps);
            let shape = [batch.clone()].into_iter().chain(extents).chain(taps.last().cloned()).collect::<Vec<Dim>>();
            let one = to.add(Reshape { shape: vec![Dim::one(); shape.len()] }, &[zero]).ok()?;
            parts.push(to.broadcast(one, &shape).ok()?);
            continue;
        }
        let filter = to.add(every, &[filter]).ok()?;
        let conv = Conv {
            input_dilation: vec![1; spatial],
            low: of.iter().zip(&outside).map(|(a, o)| Dim::from(a.low - o.0)).collect(),
            high: of.iter().zip(&outside).map(|(a, o)| Dim::from(a.high - o.1)).collect(),
            ..conv.clone()
        };
        parts.push(to.add(conv, &[x, filter]).ok()?);
    }
    Some(parts)
}

impl Axis {
    /// Phase `p` with `gap - 1` zeros between elements, for a result that is `rounds` longer than the operand.
    fn of(p: i64, gap: i64, taps: i64, low: i64, rounds: i64) -> Axis {
        let tap = (low - p).rem_euclid(gap);
        let many = (taps - tap + gap - 1) / gap;
        let low = (low - p - tap) / gap;
        Axis { tap, taps: many, low, high: rounds - low + many - 1 }
    }
}

/// All indices below `extents`, in row-major order.
fn indices(extents: &[i64]) -> Vec<Vec<usize>> {
    extents.iter().fold(vec![vec![]], |outer, &n| {
        let longer = |ix: &Vec<usize>| (0..n as usize).map(|i| [&ix[..], &[i]].concat()).collect::<Vec<_>>();
        outer.iter().flat_map(longer).collect()
    })
}
