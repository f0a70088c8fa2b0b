//! Steps of optimisers: new values of a variable and of what is kept beside it, from a gradient ([`rules`](super::rules)).
//!
//! A rule has up to four spellings: with references or handles, and for all elements or for rows at indices. Rows are
//! changed one after the other, in the order of their indices: one that comes again begins with what it was made before.
//! Where all indices are known to differ, the rows are changed at once.

use std::{cell::RefCell, sync::Arc};

use super::{
    Result,
    rows::reference,
    rules::{self, Given, Made, Term},
};
use crate::{
    base::{Dim, Symbol},
    graph::{Loop, NodeId},
    loops::{Combine, CompareFn, Fault},
    op::{Gather, Outside, Scatter, Within},
    saved::{NodeOutput, handed_on, op_def},
    tensor::{DType, TensorType},
    tf::{Import, Outputs, Stop, TfOp, Value, flow::variable, math::sign_of},
};

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "ApplyAdaMax", import: step },
    TfOp { name: "ApplyAdadelta", import: step },
    TfOp { name: "ApplyAdagrad", import: step },
    TfOp { name: "ApplyAdagradDA", import: step },
    TfOp { name: "ApplyAdagradV2", import: step },
    TfOp { name: "ApplyAdam", import: step },
    TfOp { name: "ApplyAddSign", import: step },
    TfOp { name: "ApplyCenteredRMSProp", import: step },
    TfOp { name: "ApplyFtrl", import: step },
    TfOp { name: "ApplyFtrlV2", import: step },
    TfOp { name: "ApplyGradientDescent", import: step },
    TfOp { name: "ApplyMomentum", import: step },
    TfOp { name: "ApplyPowerSign", import: step },
    TfOp { name: "ApplyProximalAdagrad", import: step },
    TfOp { name: "ApplyProximalGradientDescent", import: step },
    TfOp { name: "ApplyRMSProp", import: step },
    TfOp { name: "ResourceApplyAdaMax", import: step },
    TfOp { name: "ResourceApplyAdadelta", import: step },
    TfOp { name: "ResourceApplyAdagrad", import: step },
    TfOp { name: "ResourceApplyAdagradDA", import: step },
    TfOp { name: "ResourceApplyAdagradV2", import: step },
    TfOp { name: "ResourceApplyAdam", import: step },
    TfOp { name: "ResourceApplyAdamWithAmsgrad", import: step },
    TfOp { name: "ResourceApplyAddSign", import: step },
    TfOp { name: "ResourceApplyCenteredRMSProp", import: step },
    TfOp { name: "ResourceApplyFtrl", import: step },
    TfOp { name: "ResourceApplyFtrlV2", import: step },
    TfOp { name: "ResourceApplyGradientDescent", import: step },
    TfOp { name: "ResourceApplyKerasMomentum", import: step },
    TfOp { name: "ResourceApplyMomentum", import: step },
    TfOp { name: "ResourceApplyPowerSign", import: step },
    TfOp { name: "ResourceApplyProximalAdagrad", import: step },
    TfOp { name: "ResourceApplyProximalGradientDescent", import: step },
    TfOp { name: "ResourceApplyRMSProp", import: step },
    TfOp { name: "ResourceSparseApplyAdadelta", import: step },
    TfOp { name: "ResourceSparseApplyAdagrad", import: step },
    TfOp { name: "ResourceSparseApplyAdagradDA", import: step },
    TfOp { name: "ResourceSparseApplyAdagradV2", import: step },
    TfOp { name: "ResourceSparseApplyCenteredRMSProp", import: step },
    TfOp { name: "ResourceSparseApplyFtrl", import: step },
    TfOp { name: "ResourceSparseApplyFtrlV2", import: step },
    TfOp { name: "ResourceSparseApplyKerasMomentum", import: step },
    TfOp { name: "ResourceSparseApplyMomentum", import: step },
    TfOp { name: "ResourceSparseApplyProximalAdagrad", import: step },
    TfOp { name: "ResourceSparseApplyProximalGradientDescent", import: step },
    TfOp { name: "ResourceSparseApplyRMSProp", import: step },
    TfOp { name: "SparseApplyAdadelta", import: step },
    TfOp { name: "SparseApplyAdagrad", import: step },
    TfOp { name: "SparseApplyAdagradDA", import: step },
    TfOp { name: "SparseApplyAdagradV2", import: step },
    TfOp { name: "SparseApplyCenteredRMSProp", import: step },
    TfOp { name: "SparseApplyFtrl", import: step },
    TfOp { name: "SparseApplyFtrlV2", import: step },
    TfOp { name: "SparseApplyMomentum", import: step },
    TfOp { name: "SparseApplyProximalAdagrad", import: step },
    TfOp { name: "SparseApplyProximalGradientDescent", import: step },
    TfOp { name: "SparseApplyRMSProp", import: step },
];

fn step(cx: &mut Import) -> Outputs {
    let op = cx.node.op.clone();
    let name = op.trim_start_matches("Resource");
    let (name, sparse) = name.strip_prefix("Sparse").map_or((name, false), |name| (name, true));
    let name = name.trim_start_matches("Apply");
    let rule = rules::find(name).ok_or_else(|| Stop::from(format!("there is no rule for the step of {name}")))?;
    let step = Step::of(cx, rule.slots + 1, sparse)?;
    let new = match &step.indices {
        None => step.stepped(cx, rule, &step.old, &step.scalars, step.gradient)?,
        Some(indices) => step.of_rows(cx, rule, *indices)?,
    };
    // What the step does not change may be no state, and of the old kind has no handle then.
    for (n, new) in new.into_iter().enumerate().filter(|&(n, new)| new != step.old[n]) {
        cx.assign(n, new.into())?;
    }
    Ok(reference(cx))
}

/// The operands of a step.
struct Step {
    /// The variable, and what is kept beside it, all of one shape.
    old: Vec<NodeId>,
    /// Numbers by the names of TensorFlow's definition.
    names: Vec<&'static str>,
    scalars: Vec<NodeId>,
    gradient: NodeId,
    /// Of rows: a vector.
    indices: Option<NodeId>,
    flags: Vec<&'static str>,
}

impl Step {
    fn of(cx: &mut Import, count: usize, sparse: bool) -> Result<Step> {
        let handles = (0..count).map(|n| cx.value(n)).collect::<Result<Vec<_>>>()?;
        let value = |n: usize| match handles[n] {
            Value::Variable(_) => variable(cx, n),
            _ => cx.arg(n),
        };
        let old = (0..count).map(value).collect::<Result<Vec<_>>>()?;
        // Assignments need them again.
        cx.operands[..count].copy_from_slice(&handles);
        let def = op_def(&cx.node.op).ok_or("TensorFlow has no such step")?;
        let (mut names, mut scalars, mut gradient, mut indices) = (vec![], vec![], None, None);
        for (n, arg) in def.inputs.iter().enumerate().skip(count) {
            match arg.name {
                "grad" | "delta" => gradient = Some(cx.arg(n)?),
                "indices" => indices = Some(cx.arg(n)?),
                name => {
                    let scalar = cx.scalar_arg(n, &format!("`{name}` of {}", cx.node.op))?;
                    names.push(name);
                    scalars.push(cx.cast(scalar, cx.dtype(old[0]))?);
                }
            }
        }
        let gradient = gradient.ok_or("the step has no gradient")?;
        let known = ["use_nesterov", "update_slots", "multiply_linear_by_lr"];
        let has = |name: &&&str| cx.node.attr_bool(name).unwrap_or(**name == "update_slots");
        let flags = known.iter().filter(has).copied().collect();
        let mut step = Step { old, names, scalars, gradient, indices, flags };
        step.check_shapes(cx, sparse)?;
        step.check_numbers(cx, sparse)?;
        Ok(step)
    }

    fn check_shapes(&mut self, cx: &mut Import, sparse: bool) -> Result<()> {
        let shape = cx.shape(self.old[0]);
        let other = self.old.iter().find(|&&id| cx.shape(id) != shape || cx.dtype(id) != cx.dtype(self.old[0]));
        if let Some(&other) = other {
            let (a, b) = (cx.graph.ty(self.old[0]).clone(), cx.graph.ty(other).clone());
            return Err(format!("the step changes a {a} and a {b}: the variables of one step have one type").into());
        }
        let mut wanted = shape;
        if let Some(indices) = self.indices.filter(|_| sparse) {
            let ([count], Some(rows)) = (&cx.shape(indices)[..], wanted.first_mut()) else {
                let what = format!("a variable of rank {} at indices of rank", cx.rank(self.old[0]));
                return Err(format!("{what} {}: rows are changed at a vector of indices", cx.rank(indices)).into());
            };
            let extent = rows.as_int().ok_or("a variable has a fixed shape")?;
            rows.clone_from(count);
            self.indices = Some(cx.insert_axes(indices, &[1])?);
            self.indices = Some(cx.add(
                Within { extents: vec![extent], fault: Fault::IndexOutOfRange },
                &[self.indices.expect("it was there")],
            )?);
            let no_elements = wanted[1..].iter().any(|extent| extent.is(0));
            if no_elements && !["Adadelta", "Momentum", "RMSProp"].iter().any(|name| cx.node.op.ends_with(name)) {
                return Err("rows without elements are not changed".into());
            }
        }
        let of_gradient = cx.shape(self.gradient);
        if of_gradient.len() != wanted.len() {
            let (a, b) = (cx.graph.ty(self.gradient).clone(), cx.graph.ty(self.old[0]).clone());
            return Err(format!("a gradient {a} does not fit a variable {b}").into());
        }
        for (a, b) in of_gradient.iter().zip(&wanted) {
            cx.require_equal(a, b, "the extents of a gradient and of what it changes")?;
        }
        self.gradient = cx.reshape(self.gradient, &wanted)?;
        Ok(())
    }

    /// Numbers that TensorFlow's kernels look at.
    fn check_numbers(&mut self, cx: &mut Import, sparse: bool) -> Result<()> {
        let looks = cx.node.op.ends_with("ProximalAdagrad") || sparse && cx.node.op.contains("Ftrl");
        if !looks {
            return Ok(());
        }
        for n in 0..self.scalars.len() {
            let (f, how) = match self.names[n] {
                "lr" if !self.flags.contains(&"multiply_linear_by_lr") => (CompareFn::Gt, "more than"),
                "lr_power" => (CompareFn::Le, "at most"),
                _ => (CompareFn::Ge, "at least"),
            };
            let zero = cx.scalar_like(self.scalars[n], 0.0)?;
            let holds = cx.compare(f, self.scalars[n], zero)?;
            let what = format!("`{}` of {} is {how} 0", self.names[n], cx.node.op);
            self.scalars[n] = cx.provided(self.scalars[n], holds, &what)?;
        }
        Ok(())
    }

    /// New values of variables, or of rows of them.
    fn stepped(
        &self,
        cx: &mut Import,
        rule: &rules::Rule,
        old: &[NodeId],
        scalars: &[NodeId],
        gradient: NodeId,
    ) -> Result<Vec<NodeId>> {
        let dtype = cx.dtype(old[0]);
        let inner = cx.shape(old[0]).get(1..).map(crate::tensor::count);
        let known = |id: NodeId| cx.graph.as_const(id).and_then(|value| value.get(0).as_f64());
        let known: Vec<Option<f64>> = scalars.iter().map(|&id| known(id)).collect();
        let (cell, failed) = (RefCell::new(cx), RefCell::new(None));
        let make = |what: Made| {
            let made = made(&mut cell.borrow_mut(), dtype, what);
            made.unwrap_or_else(|stop| {
                failed.borrow_mut().get_or_insert(stop);
                old[0]
            })
        };
        let term = |id| Term { id, make: &make };
        let variables: Vec<Term> = old.iter().map(|&id| term(id)).collect();
        let numbers = self.names.iter().zip(scalars).zip(known);
        let numbers: Vec<_> = numbers.map(|((&name, &id), known)| (name, term(id), known)).collect();
        let given = Given {
            variables: &variables,
            gradient: term(gradient),
            numbers: &numbers,
            flags: &self.flags,
            rows: self.indices.is_some(),
            single: inner.is_none_or(|inner| inner.is(1)),
        };
        let new: Vec<NodeId> = (rule.new)(&given).into_iter().map(|term| term.id).collect();
        failed.into_inner().map_or(Ok(new), Err)
    }

    fn of_rows(&self, cx: &mut Import, rule: &rules::Rule, indices: NodeId) -> Result<Vec<NodeId>> {
        let count = cx.shape(indices)[0].clone();
        if count.is(0) {
            return Ok(self.old.clone());
        }
        if count.is(1) || differ(cx) {
            return self.changed(cx, rule, &self.old, &self.scalars, [indices, self.gradient]);
        }
        let step = Symbol::new(&format!("step{}", cx.loops));
        cx.loops += 1;
        let operands = [&self.old[..], &self.scalars, &[indices, self.gradient]].concat();
        let types: Vec<TensorType> = operands.iter().map(|&id| cx.graph.ty(id).clone()).collect();
        let body = cx.region(&types, |cx, inputs| {
            let (old, rest) = inputs.split_at(self.old.len());
            let (scalars, rest) = rest.split_at(self.scalars.len());
            let &[indices, gradient] = rest else { unreachable!("two operands have rows") };
            let index = cx.slice_axis(indices, 0, Dim::from(&step), Dim::one())?;
            let gradient = cx.slice_axis(gradient, 0, Dim::from(&step), Dim::one())?;
            self.changed(cx, rule, old, scalars, [index, gradient])
        })?;
        let rows = Loop { carried: self.old.len(), count: Some(count), condition: None, step, body };
        let results = cx.graph.control(Arc::new(rows), &operands)?;
        Ok(results[..self.old.len()].to_vec())
    }

    /// The variables with new rows at indices `[count, 1]`, which are in range and differ.
    fn changed(
        &self,
        cx: &mut Import,
        rule: &rules::Rule,
        old: &[NodeId],
        scalars: &[NodeId],
        [indices, gradient]: [NodeId; 2],
    ) -> Result<Vec<NodeId>> {
        let at = cx.drop_axes(indices, &[1])?;
        let row = |&table: &NodeId| cx.add(Gather { axis: 0, batch: 0, checked: false }, &[table, at]);
        let rows = old.iter().map(row).collect::<Result<Vec<_>>>()?;
        let new = self.stepped(cx, rule, &rows, scalars, gradient)?;
        let set = Scatter { f: Combine::Set, depth: 1, below: Outside::Drop, above: Outside::Drop };
        let set = |n: usize| match new[n] == rows[n] {
            true => Ok(old[n]),
            false => cx.add(set.clone(), &[old[n], indices, new[n]]),
        };
        (0..old.len()).map(set).collect()
    }
}

/// Whether the indices of the current node are known to differ: TensorFlow's optimisers ask for what differs first.
fn differ(cx: &Import) -> bool {
    let Some(def) = op_def(&cx.node.op) else { return false };
    let place = def.inputs.iter().position(|arg| arg.name == "indices");
    let Some(&edge) = place.and_then(|place| cx.node.inputs.get(place)) else { return false };
    let NodeOutput { node, index } = handed_on(cx.tf, edge);
    let op = &cx.tf.nodes[node].op;
    index == 0 && (op.starts_with("Unique") && !op.ends_with("V2"))
}

/// A node for a term. What depends on no variable is of its type too.
fn made(cx: &mut Import, dtype: DType, what: Made) -> Result<NodeId> {
    match what {
        Made::Number(value) => cx.scalar(dtype, value),
        Made::Unary(f, x) => cx.unary(f, x),
        Made::Binary(f, x, y) => cx.binary(f, x, y),
        Made::Sign(x) => sign_of(cx, x),
        Made::Select(f, [a, b], [x, y]) => {
            let holds = cx.compare(f, a, b)?;
            cx.select(holds, x, y)
        }
    }
}
