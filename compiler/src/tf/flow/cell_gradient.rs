//! What TensorFlow's differentiation writes for recurrent cells that are one operator each (`recurrent.rs`). The formulas are
//! those of its documentation.

use super::recurrent::{of_rank, wide};
use crate::{
    base::Dim,
    graph::NodeId,
    tf::{
        Import, Outputs, Stop, TfOp,
        matrix::{dot, sum},
    },
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] =
    &[TfOp { name: "GRUBlockCellGrad", import: gru_cell }, TfOp { name: "LSTMBlockCellGrad", import: lstm_cell }];

/// Operands in the type that is computed in, all of one shape `[batch, cells]`.
fn alike<const N: usize>(cx: &mut Import, operands: [usize; N]) -> Result<[NodeId; N]> {
    let shape = cx.shape(of_rank(cx, operands[0], 2, "what a cell has")?);
    let mut all = [cx.arg(operands[0])?; N];
    for (node, &operand) in all.iter_mut().zip(&operands) {
        let x = of_rank(cx, operand, 2, "what a cell has")?;
        for (a, b) in cx.shape(x).iter().zip(&shape) {
            cx.require_equal(a, b, "the extents of what cells have")?;
        }
        let x = cx.reshape(x, &shape)?;
        *node = wide(cx, x)?;
    }
    Ok(all)
}

/// `1 - x`.
fn rest(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let unit = cx.full_like(x, 1.0)?;
    cx.sub(unit, x)
}

/// `x * y * ..`, from the left.
fn product(cx: &mut Import, factors: &[NodeId]) -> Result<NodeId> {
    let (&first, others) = factors.split_first().ok_or_else(|| Stop::from("a product of nothing"))?;
    others.iter().try_fold(first, |x, &y| cx.mul(x, y))
}

/// `x * (1 - x)`, the slope of a sigmoid whose result is `x`.
fn slope(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let rest = rest(cx, x)?;
    cx.mul(x, rest)
}

/// `1 - x^2`, the slope of a hyperbolic tangent whose result is `x`.
fn slope_of_tanh(cx: &mut Import, x: NodeId) -> Result<NodeId> {
    let square = cx.mul(x, x)?;
    rest(cx, square)
}

/// Gradients of the input, of the output before, and of the sums behind the candidate and both gates.
fn gru_cell(cx: &mut Import) -> Outputs {
    let (x, gates, candidate) = (
        of_rank(cx, 0, 2, "the input")?,
        of_rank(cx, 2, 2, "the gates' weights")?,
        of_rank(cx, 3, 2, "the candidate's weights")?,
    );
    let [h, r, u, c, d_h] = alike(cx, [1, 6, 7, 8, 9])?;
    let (of_x, of_h) = (cx.shape(x), cx.shape(h));
    let (inputs, cells) = (of_x[1].clone(), of_h[1].clone());
    cx.require_equal(&of_x[0], &of_h[0], "the batch of the state and of the input")?;
    for (operand, w, columns) in [(4, gates, &cells * 2), (5, candidate, cells.clone())] {
        let (shape, bias) = (cx.shape(w), of_rank(cx, operand, 1, "a bias")?);
        cx.require_equal(&shape[0], &(&inputs + &cells), "the rows of the weights, and inputs and cells")?;
        cx.require_equal(&shape[1], &columns, "the columns of the weights and the cells")?;
        cx.require_equal(&cx.shape(bias)[0].clone(), &columns, "the bias and the cells")?;
    }
    let (kept, bent) = (rest(cx, u)?, slope_of_tanh(cx, c)?);
    let d_c = product(cx, &[d_h, kept, bent])?;
    let apart = cx.sub(h, c)?;
    let d_u = product(cx, &[d_h, apart, u, kept])?;
    // The sums of a layer are of the input's weights, then of the state's.
    let back = |cx: &mut Import, d: NodeId, w: NodeId| {
        let w = cx.transpose(w, &[1, 0])?;
        let both = dot(cx, d, w)?;
        let of_x = cx.slice_axis(both, 1, Dim::zero(), inputs.clone())?;
        Ok::<_, Stop>((of_x, cx.slice_axis(both, 1, inputs.clone(), cells.clone())?))
    };
    let (x_of_c, reset) = back(cx, d_c, candidate)?;
    let closed = rest(cx, r)?;
    let d_r = product(cx, &[reset, h, r, closed])?;
    let d_both = cx.concat(&[d_r, d_u], 1)?;
    let (x_of_gates, h_of_gates) = back(cx, d_both, gates)?;
    let d_x = cx.add_(x_of_gates, x_of_c)?;
    let (through_reset, through_update) = (cx.mul(reset, r)?, cx.mul(d_h, u)?);
    let d_before = cx.add_(h_of_gates, through_reset)?;
    let d_before = cx.add_(d_before, through_update)?;
    Ok(vec![d_x.into(), d_before.into(), d_c.into(), d_both.into()])
}

/// Gradients of the cells before, of the sums behind i, ci, f and o, and of the peepholes' weights, which are zeros without
/// peepholes.
fn lstm_cell(cx: &mut Import) -> Outputs {
    let x = of_rank(cx, 0, 2, "the input")?;
    let dtype = cx.dtype(x);
    let [before, _, i, cs, f, o, ci, co, d_cs, d_h] = alike(cx, [1, 2, 8, 9, 10, 11, 12, 13, 14, 15])?;
    let (of_x, shape) = (cx.shape(x), cx.shape(before));
    cx.require_equal(&of_x[0], &shape[0], "the batch of the state and of the input")?;
    let (w, bias) = (of_rank(cx, 3, 2, "the weights' matrix")?, of_rank(cx, 7, 1, "the bias")?);
    let of_w = cx.shape(w);
    cx.require_equal(&of_w[0], &(&of_x[1] + &shape[1]), "the rows of the weights, and inputs and cells")?;
    cx.require_equal(&of_w[1], &(&shape[1] * 4), "the columns of the weights and four times the cells")?;
    cx.require_equal(&cx.shape(bias)[0].clone(), &of_w[1], "the bias and four times the cells")?;
    let peepholes = cx.node.attr_bool("use_peephole")?;
    let mut weights = vec![];
    for n in 4..7 {
        let w = of_rank(cx, n, 1, "a peephole's weights")?;
        if peepholes {
            cx.require_equal(&cx.shape(w)[0].clone(), &shape[1], "a peephole's weights and the cells")?;
        }
        weights.push(wide(cx, w)?);
    }
    let seen = peepholes.then(|| [weights[0], weights[1], weights[2]]);
    let (gates, d_before) = back(cx, [before, i, f, o, ci, co], seen, [d_cs, d_h])?;
    let [d_i, _, d_f, d_o] = gates;
    let mut of_weights = vec![];
    if peepholes {
        for (d, cells) in [(d_i, before), (d_f, before), (d_o, cs)] {
            let all = cx.mul(d, cells)?;
            let all = sum(cx, all, vec![0])?;
            of_weights.push(cx.drop_axes(all, &[0])?);
        }
    } else {
        for &w in &weights {
            of_weights.push(cx.full_like(w, 0.0)?);
        }
    }
    let all = cx.concat(&gates, 1)?;
    let results = [d_before, all].into_iter().chain(of_weights);
    results.map(|id| Ok(cx.cast(id, dtype)?.into())).collect()
}

/// What one step of an LSTM passes back: the gradients of the sums behind i, ci, f and o, and that of the cells before. Given
/// are the cells before, i, f, o, ci and co of the step, the peepholes' weights, and the gradients of its cells and output.
pub(super) fn back(
    cx: &mut Import,
    [before, i, f, o, ci, co]: [NodeId; 6],
    peepholes: Option<[NodeId; 3]>,
    [d_cs, d_h]: [NodeId; 2],
) -> Result<([NodeId; 4], NodeId)> {
    let to_o = slope(cx, o)?;
    let d_o = product(cx, &[to_o, d_h, co])?;
    let bent = slope_of_tanh(cx, co)?;
    let through_h = product(cx, &[d_h, o, bent])?;
    let mut d = cx.add_(through_h, d_cs)?;
    if let Some([.., to_o]) = peepholes {
        let seen = cx.mul(d_o, to_o)?;
        d = cx.add_(d, seen)?;
    }
    let (to_ci, to_f, to_i) = (slope_of_tanh(cx, ci)?, slope(cx, f)?, slope(cx, i)?);
    let d_ci = product(cx, &[to_ci, d, i])?;
    let d_f = product(cx, &[to_f, d, before])?;
    let d_i = product(cx, &[to_i, d, ci])?;
    let mut d_before = cx.mul(d, f)?;
    if let Some([to_i, to_f, _]) = peepholes {
        for (d, w) in [(d_i, to_i), (d_f, to_f)] {
            let seen = cx.mul(d, w)?;
            d_before = cx.add_(d_before, seen)?;
        }
    }
    Ok(([d_i, d_ci, d_f, d_o], d_before))
}
