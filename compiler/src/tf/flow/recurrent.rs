//! Recurrent cells that are one operator each, and the operator that runs one over a sequence.
//!
//! The formulas are those of TensorFlow's documentation. The parts of a cell stand in the order i, ci, f, o in the weights
//! (`i, f, ci, o` in BlockLSTMV2); the products of a sequence with its weights are one, before the loop.

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock},
};

use super::{branch::shaped, region::Region};
use crate::{
    base::{Dim, Symbol},
    graph::{Loop, NodeId},
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Iota, Put},
    saved::TfGraph,
    tensor::{DType, count},
    tf::{Import, Outputs, Stop, TfOp, Value, build::widened, import::Step, matrix::dot, nn::sigmoid},
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "BlockLSTM", import: block_lstm },
    TfOp { name: "BlockLSTMV2", import: block_lstm },
    TfOp { name: "GRUBlockCell", import: gru_cell },
    TfOp { name: "LSTMBlockCell", import: lstm_cell },
];

/// What the attributes of an LSTM say.
struct Lstm {
    /// Where i, ci, f and o stand in the weights.
    order: [usize; 4],
    forget_bias: f64,
    cell_clip: f64,
}

/// An LSTM's weights, in the type that is computed in.
pub(super) struct Weights {
    /// Of the input, and of the output before: `[inputs, 4 * cells]` and `[cells, 4 * cells]`.
    pub input: NodeId,
    pub output: NodeId,
    bias: NodeId,
    /// Of the cells, for i, f and o: `[cells]` each.
    pub peepholes: Option<[NodeId; 3]>,
}

/// Where i, ci, f and o stand in the weights of the current node.
pub(super) fn order(cx: &Import) -> [usize; 4] {
    if cx.node.op.ends_with("V2") { [0, 2, 1, 3] } else { [0, 1, 2, 3] }
}

impl Lstm {
    fn of(cx: &Import) -> Result<Lstm> {
        let second = cx.node.op == "BlockLSTMV2";
        let forget_bias = if second { 0.0 } else { f64::from(cx.node.attr_float("forget_bias")?) };
        Ok(Lstm { order: order(cx), forget_bias, cell_clip: f64::from(cx.node.attr_float("cell_clip")?) })
    }

    /// i, cs, f, o, ci, co and h of one step, all `[batch, cells]`, given the products with all weights.
    fn step(
        &self,
        cx: &mut Import,
        sums: NodeId,
        before: NodeId,
        peepholes: Option<[NodeId; 3]>,
    ) -> Result<[NodeId; 7]> {
        let cells = cx.shape(before)[1].clone();
        let [i, ci, f, o] = self.order.map(|at| cx.slice_axis(sums, 1, &cells * at as i64, cells.clone()));
        let (mut i, ci, mut f, mut o) = (i?, cx.unary(UnaryFn::Tanh, ci?)?, f?, o?);
        if self.forget_bias != 0.0 {
            let bias = cx.full_like(f, self.forget_bias)?;
            f = cx.add_(f, bias)?;
        }
        if let Some([to_i, to_f, _]) = peepholes {
            i = seen(cx, i, before, to_i)?;
            f = seen(cx, f, before, to_f)?;
        }
        (i, f) = (sigmoid(cx, i)?, sigmoid(cx, f)?);
        let (new, old) = (cx.mul(ci, i)?, cx.mul(before, f)?);
        let mut cs = cx.add_(new, old)?;
        if self.cell_clip > 0.0 {
            let (low, high) = (cx.full_like(cs, -self.cell_clip)?, cx.full_like(cs, self.cell_clip)?);
            cs = cx.binary(BinaryFn::Max, cs, low)?;
            cs = cx.binary(BinaryFn::Min, cs, high)?;
        }
        if let Some([_, _, to_o]) = peepholes {
            o = seen(cx, o, cs, to_o)?;
        }
        o = sigmoid(cx, o)?;
        let co = cx.unary(UnaryFn::Tanh, cs)?;
        let h = cx.mul(co, o)?;
        Ok([i, cs, f, o, ci, co, h])
    }
}

/// A gate that sees the cells through a peephole.
fn seen(cx: &mut Import, gate: NodeId, cells: NodeId, weights: NodeId) -> Result<NodeId> {
    let [cells, weights] = cx.broadcast([cells, weights])?;
    let through = cx.mul(cells, weights)?;
    cx.add_(through, gate)
}

pub(super) fn of_rank(cx: &Import, n: usize, rank: usize, what: &str) -> Result<NodeId> {
    let x = cx.arg(n)?;
    if cx.rank(x) != rank {
        return Err(format!("{what} has rank {rank}, not {}", cx.rank(x)).into());
    }
    Ok(x)
}

/// `x` in the type that is computed in.
pub(super) fn wide(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let dtype = widened(cx.dtype(x));
    cx.cast(x, dtype)
}

/// The weights of an LSTM, which stand behind operand `first`.
pub(super) fn weights(cx: &mut Import, first: usize, inputs: &Dim, cells: &Dim) -> Result<Weights> {
    let w = of_rank(cx, first, 2, "the weights' matrix")?;
    let bias = of_rank(cx, first + 4, 1, "the bias")?;
    let shape = cx.shape(w);
    cx.require_equal(&shape[0], &(inputs + cells), "the rows of the weights, and inputs and cells")?;
    cx.require_equal(&shape[1], &(cells * 4), "the columns of the weights and four times the cells")?;
    cx.require_equal(&cx.shape(bias)[0].clone(), &(cells * 4), "the bias and four times the cells")?;
    let w = wide(cx, w)?;
    let peepholes = if cx.node.attr_bool("use_peephole")? {
        let mut all = vec![];
        for n in 1..4 {
            let weights = of_rank(cx, first + n, 1, "a peephole's weights")?;
            cx.require_equal(&cx.shape(weights)[0].clone(), cells, "a peephole's weights and the cells")?;
            all.push(wide(cx, weights)?);
        }
        Some([all[0], all[1], all[2]])
    } else {
        None
    };
    Ok(Weights {
        input: cx.slice_axis(w, 0, Dim::zero(), inputs.clone())?,
        output: cx.slice_axis(w, 0, inputs.clone(), cells.clone())?,
        bias: wide(cx, bias)?,
        peepholes,
    })
}

/// Cells and output before, which stand behind operand `first`: `[batch, cells]`.
pub(super) fn state(cx: &mut Import, first: usize, batch: &Dim) -> Result<[NodeId; 2]> {
    let (cs, h) = (of_rank(cx, first, 2, "the cells before")?, of_rank(cx, first + 1, 2, "the output before")?);
    for x in [cs, h] {
        cx.require_equal(&cx.shape(x)[0].clone(), batch, "the batch of the state and of the input")?;
    }
    let shape = cx.shape(cs);
    cx.require_equal(&cx.shape(h)[1].clone(), &shape[1], "the cells and the output before")?;
    let h = cx.reshape(h, &shape)?;
    Ok([wide(cx, cs)?, wide(cx, h)?])
}

fn lstm_cell(cx: &mut Import) -> Outputs {
    let lstm = Lstm::of(cx)?;
    let x = of_rank(cx, 0, 2, "the input")?;
    let (dtype, shape) = (cx.dtype(x), cx.shape(x));
    let [cs, h] = state(cx, 1, &shape[0])?;
    let all = count(&cx.shape(cs));
    cx.require_at_most(&Dim::one(), &all, "the number of cells before, of which TensorFlow wants some")?;
    let weights = weights(cx, 3, &shape[1], &cx.shape(cs)[1].clone())?;
    let x = wide(cx, x)?;
    let (of_x, of_h) = (dot(cx, x, weights.input)?, dot(cx, h, weights.output)?);
    let sums = cx.add_(of_x, of_h)?;
    let [sums, bias] = cx.broadcast([sums, weights.bias])?;
    let sums = cx.add_(sums, bias)?;
    let results = lstm.step(cx, sums, cs, weights.peepholes)?;
    results.into_iter().map(|id| Ok(cx.cast(id, dtype)?.into())).collect()
}

fn gru_cell(cx: &mut Import) -> Outputs {
    let (x, h) = (of_rank(cx, 0, 2, "the input")?, of_rank(cx, 1, 2, "the output before")?);
    let (gates, bias) = (of_rank(cx, 2, 2, "the gates' weights")?, of_rank(cx, 4, 1, "the gates' bias")?);
    let (candidate, bias_c) =
        (of_rank(cx, 3, 2, "the candidate's weights")?, of_rank(cx, 5, 1, "the candidate's bias")?);
    let (of_x, of_h) = (cx.shape(x), cx.shape(h));
    let (inputs, cells) = (of_x[1].clone(), of_h[1].clone());
    cx.require_equal(&of_x[0], &of_h[0], "the batch of the state and of the input")?;
    for (w, bias, columns) in [(gates, bias, &cells * 2), (candidate, bias_c, cells.clone())] {
        let shape = cx.shape(w);
        cx.require_equal(&shape[0], &(&inputs + &cells), "the rows of the weights, and inputs and cells")?;
        cx.require_equal(&shape[1], &columns, "the columns of the weights and the cells")?;
        cx.require_equal(&cx.shape(bias)[0].clone(), &columns, "the bias and the cells")?;
    }
    let product = |cx: &mut Import, h: NodeId, w: NodeId, bias: NodeId| {
        let joined = cx.concat(&[x, h], 1)?;
        let product = dot(cx, joined, w)?;
        let [product, bias] = cx.broadcast([product, bias])?;
        cx.add_(product, bias)
    };
    let both = product(cx, h, gates, bias)?;
    let (r, u) = (cx.slice_axis(both, 1, Dim::zero(), cells.clone())?, cx.slice_axis(both, 1, cells.clone(), cells)?);
    let (r, u) = (sigmoid(cx, r)?, sigmoid(cx, u)?);
    let reset = cx.mul(h, r)?;
    let c = product(cx, reset, candidate, bias_c)?;
    let c = cx.unary(UnaryFn::Tanh, c)?;
    let one = cx.full_like(u, 1.0)?;
    let rest = cx.sub(one, u)?;
    let (new, old) = (cx.mul(rest, c)?, cx.mul(u, h)?);
    let h = cx.add_(new, old)?;
    Ok(vec![r.into(), u.into(), c.into(), h.into()])
}

/// A body without nodes of TensorFlow's, whose operators the row itself adds.
static NO_BODY: LazyLock<TfGraph> = LazyLock::new(TfGraph::default);

/// The seven sequences `[steps, batch, cells]`; what lies behind the greatest length is zeros.
fn block_lstm(cx: &mut Import) -> Outputs {
    let lstm = Lstm::of(cx)?;
    let x = of_rank(cx, 1, 3, "the input")?;
    let (dtype, shape) = (cx.dtype(x), cx.shape(x));
    let (steps, batch, inputs) = (shape[0].clone(), shape[1].clone(), shape[2].clone());
    let [cs, h] = state(cx, 2, &batch)?;
    let cells = cx.shape(cs)[1].clone();
    let weights = weights(cx, 4, &inputs, &cells)?;
    let x = wide(cx, x)?;
    let rows = cx.reshape(x, &[&steps * &batch, inputs])?;
    let sums = dot(cx, rows, weights.input)?;
    let [sums, bias] = cx.broadcast([sums, weights.bias])?;
    let sums = cx.add_(sums, bias)?;
    let sums = cx.reshape(sums, &[steps.clone(), batch.clone(), &cells * 4])?;

    let length = cx.dim(0, "the greatest length").ok();
    let until = match &length {
        Some(length) => {
            cx.require_at_most(length, &steps, "the greatest length and the steps of the input")?;
            cx.greater(length, &Dim::zero())
        }
        None => steps.clone(),
    };
    let wanted = wanted(cx);
    let zero = cx.scalar(dtype, 0.0)?;
    let empty = cx.broadcast_to(zero, &[steps.clone(), batch, cells])?;
    let mut outputs = vec![Value::Tensor(empty); 7];
    if until.is(0) {
        return Ok(outputs);
    }
    let first = [&[cs, h][..], &vec![empty; wanted.len()]].concat();
    let nodes = run(cx, &lstm, &weights, (sums, &first), &wanted, until)?;
    for (&output, &node) in wanted.iter().zip(&nodes[2..]) {
        let node = if length.is_none() { cut(cx, node, &steps, empty)? } else { node };
        outputs[output] = node.into();
    }
    Ok(outputs)
}

/// The outputs of the current node that are read.
fn wanted(cx: &Import) -> Vec<usize> {
    let nodes = cx.tf.nodes.iter().flat_map(|(_, node)| &node.inputs);
    let edges = nodes.chain(cx.tf.outputs.iter().map(|port| &port.source)).filter(|edge| edge.node == cx.id);
    let mut wanted: Vec<usize> = edges.map(|edge| edge.index as usize).filter(|&n| n < 7).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

/// The loop: cells, output and the wanted sequences go round, `first` before it.
fn run<'a>(
    cx: &mut Import<'a>,
    lstm: &Lstm,
    weights: &Weights,
    (sums, first): (NodeId, &[NodeId]),
    wanted: &[usize],
    count: Dim,
) -> Result<Vec<NodeId>> {
    let symbol = Symbol::new(&format!("step{}", cx.loops));
    cx.loops += 1;
    // What goes round, and what the body reads, inside of it.
    let held = RefCell::new((vec![], vec![]));
    let inside = |cx: &Import<'a>, region: &mut Region<'a>| {
        let carried: Vec<NodeId> = first.iter().map(|&id| region.carried(cx, id, cx.graph.ty(id).clone())).collect();
        let reads = [sums, weights.output].into_iter().chain(weights.peepholes.into_iter().flatten());
        let reads = reads.map(|id| region.bring(cx, id.into())).collect::<Result<Vec<Value>>>()?;
        *held.borrow_mut() = (carried, reads);
        Ok(vec![])
    };
    let look = |cx: &mut Import<'a>, _: &[Option<Value>]| {
        let (carried, reads) = held.take();
        body(cx, lstm, &symbol, &carried, &reads, wanted)
    };
    let step = Step { symbol: symbol.clone(), below: vec![count.clone()] };
    let (mut closed, results) = cx.enter(&NO_BODY, Some(step), inside, look)?;
    cx.tell(std::mem::take(&mut closed.told));
    for (n, (result, &first)) in results.into_iter().zip(first).enumerate() {
        let shape = cx.shape(first);
        let result = shaped(&mut closed.graph, result, &shape, cx)?;
        closed.graph.output(format!("carried{n}"), result);
    }
    let control = Loop { carried: first.len(), count: Some(count), condition: None, step: symbol, body: closed.graph };
    Ok(cx.graph.control(Arc::new(control), &closed.operands)?)
}

/// One iteration: what goes round behind it.
fn body(
    cx: &mut Import,
    lstm: &Lstm,
    step: &Symbol,
    carried: &[NodeId],
    reads: &[Value],
    wanted: &[usize],
) -> Result<Vec<NodeId>> {
    let tensor = |value: &Value| match value {
        Value::Tensor(id) => Ok(*id),
        _ => Err(Stop::from("what a cell reads is no tensor")),
    };
    let reads: Vec<NodeId> = reads.iter().map(tensor).collect::<Result<_>>()?;
    let (before, h, at) = (carried[0], carried[1], Dim::from(step));
    let sums = cx.slice_axis(reads[0], 0, at.clone(), Dim::one())?;
    let sums = cx.drop_axes(sums, &[0])?;
    let of_h = dot(cx, h, reads[1])?;
    let sums = cx.add_(sums, of_h)?;
    let peepholes = reads.get(2..5).map(|all| [all[0], all[1], all[2]]);
    let results = lstm.step(cx, sums, before, peepholes)?;
    let mut behind = vec![results[1], results[6]];
    for (&output, &sequence) in wanted.iter().zip(&carried[2..]) {
        let row = cx.cast(results[output], cx.dtype(sequence))?;
        let row = cx.insert_axes(row, &[0])?;
        let start = vec![at.clone(), Dim::zero(), Dim::zero()];
        behind.push(cx.add(Put { start }, &[sequence, row])?);
    }
    Ok(behind)
}

/// The sequence up to the greatest length, which is operand 0, and zeros behind it.
fn cut(cx: &mut Import, sequence: NodeId, steps: &Dim, empty: NodeId) -> Result<NodeId> {
    let length = cx.arg(0)?;
    let length = cx.reshape(length, &[Dim::one(), Dim::one(), Dim::one()])?;
    let shape = [steps.clone(), Dim::one(), Dim::one()];
    let place = cx.add(Iota { shape: shape.to_vec(), axis: 0, dtype: DType::I64 }, &[])?;
    let [place, length] = cx.broadcast([place, length])?;
    let inside = cx.compare(CompareFn::Lt, place, length)?;
    let [inside, _] = cx.broadcast([inside, empty])?;
    cx.select(inside, sequence, empty)
}
