//! Rebuilds a graph for planning: what can be known is known, and borders are made before they are read.
//!
//! - What is computed from constants alone is computed here. Views of constants stay views: they are packed or read in
//!   place.
//! - A large 3x3 convolution becomes Winograd's method (`winograd.rs`), unless the user wants it by its definition.
//! - A convolution with padding reads a padded copy, and one with a dilated input is computed in phases or reads a spread
//!   copy, so that its hot loop has no conditions. That multiplies zeros with weights, which is done only where these
//!   are known to be finite. A depthwise one of the model's input leaves its border out by itself.
//! - Constant strings that a branch or loop takes are copied: they count from their own beginning, which only code that names
//!   them knows.

use std::{collections::HashMap, sync::Arc};

use super::{
    contract::takes_border,
    fuse::{is_view, is_view_of_constant},
    pack::constant,
    phases::Phases,
    winograd::winograd,
};
use crate::{
    base::{Bindings, Dim, dim::NoVars},
    graph::{Graph, NodeId, Regions},
    op::{Broadcast, Concat, Control, ControlResult, Conv, Op, Pad, Reshape},
    tensor::{DType, Scalar, Tensor, TensorType},
};

/// Larger results are not computed at compile time.
const MAX_FOLDED: usize = 1 << 26;

/// What the user may ask of a plan.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Every convolution multiplies what its definition multiplies, and nothing else: no Winograd.
    pub direct: bool,
}

/// A graph of the same meaning with the same ports, for [`super::plan`] on any machine. A filter that is transformed is let
/// go at once, unless the caller has it too.
pub fn prepare(mut graph: Graph, choices: &Choices) -> Graph {
    let (live, uses) = (graph.live(), graph.use_counts());
    let mut to = Graph::with_facts(graph.facts().clone());
    let mut map: Vec<Option<NodeId>> = vec![None; graph.len()];
    let mut phases = Phases::default();
    let mut regions: Vec<(ControlResult, Arc<dyn Control>)> = vec![];
    let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
    // Inputs keep the order of the ports.
    for port in &graph.inputs {
        to.set_origin(graph.origin(port.node).cloned());
        map[port.node.index()] = Some(to.input(port.name.clone(), graph.ty(port.node).clone()));
    }
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id).clone();
        if node.op == Op::Input {
            continue;
        }
        to.set_origin(graph.origin(id).cloned());
        let inputs: Vec<NodeId> = node.inputs.iter().map(|i| map[i.index()].expect("operands come first")).collect();
        let new = match (fold(&to, &node.op, &inputs, &node.ty), &node.op) {
            (Some(value), _) => to.constant(value),
            (None, Op::Conv(conv)) => {
                let (new, transformed) = convolution(&mut to, &mut phases, conv, &inputs, choices);
                // What an extent's normal form hides stays as it is.
                let fits = *to.ty(new) == node.ty;
                if fits && transformed && uses[node.inputs[1].index()] == 1 {
                    // Nobody else asks for the filter as it was.
                    graph.forget(node.inputs[1]);
                    to.forget(inputs[1]);
                }
                if fits { new } else { add(&mut to, conv.clone(), &inputs) }
            }
            (None, Op::Control(of)) => {
                let known = regions.iter().find(|(plain, _)| plain.is_beside(of)).map(|(_, prepared)| prepared.clone());
                let control = known.unwrap_or_else(|| {
                    let prepared = prepare_regions(&*of.control, choices);
                    regions.push((of.clone(), prepared.clone()));
                    prepared
                });
                // All results of a branch or loop have the same operands.
                let inputs: Vec<NodeId> =
                    inputs.iter().map(|&i| *copies.entry(i).or_insert_with(|| taken(&mut to, i))).collect();
                add(&mut to, Op::Control(ControlResult { control, result: of.result }), &inputs)
            }
            (None, op) => match phases.elementwise(&mut to, op, &inputs) {
                Some(whole) => whole,
                None => add(&mut to, op.clone(), &inputs),
            },
        };
        debug_assert_eq!(to.ty(new), &node.ty);
        map[id.index()] = Some(new);
    }
    for port in &graph.outputs {
        to.output(port.name.clone(), map[port.node.index()].expect("outputs are live"));
    }
    to
}

/// A node as an operand of a branch or loop: constant strings, and views of them, as a result of a kernel.
fn taken(to: &mut Graph, id: NodeId) -> NodeId {
    if to.ty(id).dtype != DType::Str || !is_view_of_constant(to, id) {
        return id;
    }
    let shape = to.shape(id).to_vec();
    let rows = if shape.is_empty() { add(to, Reshape { shape: vec![Dim::one()] }, &[id]) } else { id };
    let copy = add(to, Concat { axis: 0 }, &[rows]);
    if shape.is_empty() { add(to, Reshape { shape }, &[copy]) } else { copy }
}

/// The same branch or loop with bodies that are prepared.
fn prepare_regions(control: &dyn Control, choices: &Choices) -> Arc<dyn Control> {
    let inside = Regions::of(control);
    let graphs = inside.graphs().into_iter().map(|graph| prepare(graph.clone(), choices)).collect();
    inside.with(graphs)
}

/// A convolution in its fastest form, and whether that form has a filter of its own.
fn convolution(
    to: &mut Graph,
    phases: &mut Phases,
    conv: &Conv,
    inputs: &[NodeId],
    choices: &Choices,
) -> (NodeId, bool) {
    let (conv, inputs) = by_channel(to, conv, inputs);
    let finite = is_finite(to, inputs[1]);
    let fast = if finite && !choices.direct { winograd(to, &conv, inputs[0], inputs[1]) } else { None };
    if let Some(fast) = fast {
        return (fast, true);
    }
    let apart = phases.convolution(to, &conv, inputs[0], inputs[1], finite);
    (apart.unwrap_or_else(|| bordered(to, &conv, &inputs)), false)
}

/// Adds what fits by construction.
pub(super) fn add(to: &mut Graph, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
    to.add(op, inputs).unwrap_or_else(|e| panic!("planning: {e}"))
}

/// The value of what depends on constants only, and is not a view.
fn fold(to: &Graph, op: &Op, inputs: &[NodeId], ty: &TensorType) -> Option<Tensor> {
    let leaf = matches!(op, Op::Input | Op::Const(_) | Op::Extent(_) | Op::Control(_));
    let all_known = !inputs.is_empty() && inputs.iter().all(|&i| is_view_of_constant(to, i));
    if leaf || is_view(op) || !all_known || !op.has_fixed_attributes() {
        return None;
    }
    let none = Bindings::new();
    let out = ty.concrete(&none).filter(|shape| shape.iter().product::<usize>() <= MAX_FOLDED)?;
    let values: Vec<Tensor> = inputs.iter().map(|&i| constant(to, i)).collect::<Option<_>>()?;
    op.eval(&values.iter().collect::<Vec<_>>(), &out, &none).ok()
}

/// A convolution with a few filters for each single channel, as one with one filter: the input is repeated for each. So
/// lanes run along all filters.
fn by_channel(to: &mut Graph, conv: &Conv, inputs: &[NodeId]) -> (Conv, Vec<NodeId>) {
    let same = (conv.clone(), inputs.to_vec());
    let (x, filter, n) = (inputs[0], inputs[1], conv.spatial());
    let Some(filters) = to.shape(filter)[n + 1].as_int() else { return same };
    let groups = conv.groups as i64;
    let each = filters / groups.max(1);
    let single = to.shape(filter)[n].is(1) && to.shape(x)[n + 1].is(groups);
    if !single || groups < MANY_CHANNELS || !(2..MANY_CHANNELS).contains(&each) {
        return same;
    }
    let shape = to.shape(x)[..=n].to_vec();
    let axes = |last: &[i64]| [&shape[..], &last.iter().map(|&d| Dim::from(d)).collect::<Vec<_>>()].concat();
    let x = add(to, Reshape { shape: axes(&[groups, 1]) }, &[x]);
    let x = add(to, Broadcast::to(axes(&[groups, each])), &[x]);
    let x = add(to, Reshape { shape: axes(&[filters]) }, &[x]);
    (Conv { groups: filters as usize, ..conv.clone() }, vec![x, filter])
}

/// Fewer filters of a channel leave lanes idle, and so do fewer channels.
const MANY_CHANNELS: i64 = 8;

/// The convolution, without borders where that is possible.
fn bordered(to: &mut Graph, conv: &Conv, inputs: &[NodeId]) -> NodeId {
    let plain = conv.input_dilation.iter().all(|&d| d == 1);
    let nonpositive = |d: &Dim| (-d).is_nonneg(&NoVars);
    let inside = plain && conv.low.iter().chain(&conv.high).all(nonpositive);
    let x = inputs[0];
    // A spread axis has a first element.
    let spreads = to.shape(x)[1..=conv.spatial()].iter().all(|n| (n - 1).is_nonneg(&NoVars));
    // Nobody writes an input of the model into a padded one.
    let given = *to.op(x) == Op::Input && takes_border(conv, to.shape(x), to.shape(inputs[1]));
    if inside || given || !(plain || spreads) || !is_finite(to, inputs[1]) {
        return add(to, conv.clone(), inputs);
    }
    let mut conv = conv.clone();
    let ty = to.ty(x).clone();
    let zero = to.constant(Tensor::scalar(ty.dtype, Scalar::zero(ty.dtype)));
    let x = if plain { x } else { spread(to, &mut conv, x, zero) };
    let surround = |cut: &mut Vec<Dim>| {
        let mut padding = vec![Dim::zero(); ty.rank()];
        for (axis, d) in cut.iter_mut().enumerate() {
            padding[axis + 1] = d.at_least(&Dim::zero());
            *d = &*d - &padding[axis + 1];
        }
        padding
    };
    let (low, high) = (surround(&mut conv.low), surround(&mut conv.high));
    let x = add(to, Pad { low, high }, &[x, zero]);
    add(to, conv, &[x, inputs[1]])
}

/// Puts zeros between the elements of the spatial axes and after the last ones, which the convolution then cuts off.
fn spread(to: &mut Graph, conv: &mut Conv, x: NodeId, zero: NodeId) -> NodeId {
    let shape = to.shape(x).to_vec();
    let (mut apart, mut high, mut joined) = (vec![shape[0].clone()], vec![Dim::zero()], vec![shape[0].clone()]);
    for s in 0..conv.spatial() {
        let gap = std::mem::replace(&mut conv.input_dilation[s], 1);
        apart.extend([shape[s + 1].clone(), Dim::one()]);
        high.extend([Dim::zero(), Dim::from(gap - 1)]);
        joined.push(&shape[s + 1] * gap);
        conv.high[s] = &conv.high[s] - (gap - 1);
    }
    let channels = &shape[shape.len() - 1..];
    [&mut apart, &mut joined].into_iter().for_each(|s| s.extend_from_slice(channels));
    high.push(Dim::zero());
    let x = add(to, Reshape { shape: apart }, &[x]);
    let x = add(to, Pad { low: vec![Dim::zero(); high.len()], high }, &[x, zero]);
    add(to, Reshape { shape: joined }, &[x])
}

/// Whether all elements are known, and none is an infinity or NaN.
fn is_finite(graph: &Graph, mut id: NodeId) -> bool {
    if !graph.ty(id).dtype.is_float() {
        return true;
    }
    while let Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Broadcast(_) = graph.op(id) {
        id = graph.node(id).inputs[0];
    }
    graph.as_const(id).is_some_and(Tensor::is_finite)
}
