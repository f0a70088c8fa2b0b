//! Einstein sums as diagonals, sums, and one matrix product.
//!
//! Each axis has a label; the axes that an ellipsis stands for are labelled from the right. A label that occurs twice in
//! one operand takes the diagonal, one that neither the result nor the other operand has is summed first. What both
//! operands share is a batch axis where the result keeps it and is contracted where it does not.

use super::{Import, Outputs, Stop, TfOp, build::one, matrix};
use crate::{base::Dim, graph::NodeId};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[TfOp { name: "Einsum", import: einsum }];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Named(char),
    /// The axis this far from the right end of what the ellipsis stands for.
    Hidden(usize),
}

/// A tensor and the labels of its axes.
struct Term {
    x: NodeId,
    labels: Vec<Label>,
}

impl Term {
    fn axis(&self, label: Label) -> Option<usize> {
        self.labels.iter().position(|&l| l == label)
    }
    fn extents(&self, cx: &Import, labels: &[Label]) -> Vec<Dim> {
        let shape = cx.shape(self.x);
        labels.iter().filter_map(|&l| self.axis(l)).map(|a| shape[a].clone()).collect()
    }
    /// Brings the axes into the order of these labels, which are all its labels.
    fn arranged(&self, cx: &mut Import, labels: &[Label]) -> Result<NodeId> {
        let perm: Vec<usize> = labels.iter().filter_map(|&l| self.axis(l)).collect();
        cx.transpose(self.x, &perm)
    }
}

fn einsum(cx: &mut Import) -> Outputs {
    let equation: String = cx.node.attr_str("equation")?.chars().filter(|c| !c.is_whitespace()).collect();
    let Some((left, right)) = equation.split_once("->") else {
        return Err(format!("the equation {equation} does not say what its result is").into());
    };
    let args = cx.args()?;
    let texts: Vec<&str> = left.split(',').collect();
    if texts.len() != args.len() {
        return Err(format!("the equation {equation} does not have {} operands", args.len()).into());
    }
    let mut hidden = 0;
    let mut terms = vec![];
    for (text, x) in texts.iter().zip(args) {
        let labels = labels(text, Some(cx.rank(x)), 0)?;
        hidden = hidden.max(labels.iter().filter(|l| matches!(l, Label::Hidden(_))).count());
        terms.push(Term { x, labels });
    }
    let result = labels(right, None, hidden)?;
    if (0..result.len()).any(|a| result[..a].contains(&result[a])) {
        return Err(format!("the equation {equation} repeats a label of its result, which is not supported").into());
    }
    if let Some(label) = result.iter().find(|l| terms.iter().all(|t| t.axis(**l).is_none())) {
        return Err(format!("no operand of {equation} has the label {label:?} of the result").into());
    }
    for n in 0..terms.len() {
        take_diagonals(cx, &mut terms[n])?;
        let needed =
            |l: Label| result.contains(&l) || terms.iter().enumerate().any(|(m, t)| m != n && t.axis(l).is_some());
        let axes: Vec<usize> = (0..terms[n].labels.len()).filter(|&a| !needed(terms[n].labels[a])).collect();
        let sum = matrix::sum(cx, terms[n].x, axes.clone())?;
        terms[n].x = cx.drop_axes(sum, &axes)?;
        terms[n].labels =
            (0..terms[n].labels.len()).filter(|a| !axes.contains(a)).map(|a| terms[n].labels[a]).collect();
    }
    match &terms[..] {
        [term] => one(term.arranged(cx, &result)?),
        [a, b] => one(product(cx, a, b, &result)?),
        _ => Err("expected one operand or two".into()),
    }
}

/// The labels of a term; the ellipsis fills up to the rank, or stands for `hidden` axes.
fn labels(text: &str, rank: Option<usize>, hidden: usize) -> Result<Vec<Label>> {
    let (before, after) = match text.split_once("...") {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    };
    let named = before.chars().chain(after.unwrap_or("").chars());
    if let Some(bad) = named.clone().find(|c| !c.is_ascii_alphabetic()) {
        return Err(format!("`{bad}` is no label of an axis").into());
    }
    let count = named.count();
    let filled = match (rank, after) {
        (Some(rank), Some(_)) if rank >= count => rank - count,
        (Some(rank), None) if rank == count => 0,
        (Some(rank), _) => return Err(format!("{count} labels do not fit rank {rank}").into()),
        (None, Some(_)) => hidden,
        (None, None) => 0,
    };
    let hidden = (0..filled).rev().map(Label::Hidden);
    let after = after.unwrap_or("").chars().map(Label::Named);
    Ok(before.chars().map(Label::Named).chain(hidden).chain(after).collect())
}

fn take_diagonals(cx: &mut Import, term: &mut Term) -> Result<()> {
    while let Some((a, b)) = repeated(&term.labels) {
        let shape = cx.shape(term.x);
        cx.require_equal(&shape[a], &shape[b], "the extents of a repeated label")?;
        let perm: Vec<usize> = (0..shape.len()).filter(|&c| c != a && c != b).chain([a, b]).collect();
        let x = cx.transpose(term.x, &perm)?;
        term.x = matrix::main_diagonal(cx, x)?;
        term.labels = perm[..perm.len() - 1].iter().map(|&p| term.labels[p]).collect();
    }
    Ok(())
}

fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|b| labels[..b].iter().position(|&l| l == labels[b]).map(|a| (a, b)))
}

/// One matrix product with the shared labels that the result keeps as batch.
fn product(cx: &mut Import, a: &Term, b: &Term, result: &[Label]) -> Result<NodeId> {
    let (a, b) = (share(cx, a, b)?, share(cx, b, a)?);
    let (kept, gone): (Vec<Label>, Vec<Label>) =
        a.labels.iter().copied().filter(|&l| b.axis(l).is_some()).partition(|l| result.contains(l));
    let own = |t: &Term, other: &Term| -> Vec<Label> {
        t.labels.iter().copied().filter(|&l| other.axis(l).is_none()).collect()
    };
    let (rows, columns) = (own(&a, &b), own(&b, &a));
    let count = |cx: &Import, t: &Term, labels: &[Label]| crate::tensor::count(&t.extents(cx, labels));
    let batch = a.extents(cx, &kept);
    let (m, k, n) = (count(cx, &a, &rows), count(cx, &a, &gone), count(cx, &b, &columns));
    let left = a.arranged(cx, &[&kept[..], &rows, &gone].concat())?;
    let left = cx.reshape(left, &[&batch[..], &[m, k.clone()]].concat())?;
    let right = b.arranged(cx, &[&kept[..], &gone, &columns].concat())?;
    let right = cx.reshape(right, &[&batch[..], &[k, n]].concat())?;
    let product = matrix::dot(cx, left, right)?;
    let shape = [&batch[..], &a.extents(cx, &rows), &b.extents(cx, &columns)].concat();
    let x = cx.reshape(product, &shape)?;
    Term { x, labels: [&kept[..], &rows, &columns].concat() }.arranged(cx, result)
}

/// The term with the shared axes broadcast: hidden ones may be 1 on one side, named ones are equal.
fn share(cx: &mut Import, term: &Term, other: &Term) -> Result<Term> {
    let (mut shape, theirs) = (cx.shape(term.x), cx.shape(other.x));
    for (axis, &label) in term.labels.iter().enumerate() {
        let Some(at) = other.axis(label) else { continue };
        match label {
            Label::Hidden(_) => shape[axis] = cx.common_extent(&shape[axis], &theirs[at])?,
            Label::Named(_) => cx.require_equal(&shape[axis], &theirs[at], "the extents of a shared label")?,
        }
    }
    Ok(Term { x: cx.broadcast_to(term.x, &shape)?, labels: term.labels.clone() })
}
