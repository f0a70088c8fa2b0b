//! Branches whose predicate the values of the inputs decide: each function a region of one [`If`].
//!
//! A result that is known, or the same operand, in every branch stays that outside. Others have one type in all branches:
//! extents that are written differently have to be equal.

use std::sync::Arc;

use super::{
    List,
    list::ListOf,
    region::{Closed, Region},
};
use crate::{
    base::{Diagnostic, Dim, dim::Known},
    graph::{Graph, If, NodeId},
    loops::CompareFn,
    op::{Pad, Reshape},
    saved::{Node, NodeOutput},
    tensor::{DType, Scalar, Tensor, TensorType, count},
    tf::{Import, Outputs, Stop, Value},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) fn branch<'a>(cx: &mut Import<'a>) -> Outputs {
    let count = cx.node.regions().len();
    let predicate = *cx.node.inputs.first().ok_or_else(|| format!("{} lacks its predicate", cx.node.op))?;
    let args: Vec<Value> = cx.operands[1..].to_vec();
    if let Some(taken) = cx.branch(predicate, &cx.node.op, count)? {
        return cx.inline(taken, &args);
    }
    let number = number(cx)?;
    let touched = cx.touched();
    let before = cx.values_of(&touched)?;
    let mut branches = vec![];
    let mut operands = vec![];
    for which in 0..count {
        let inside = |cx: &Import<'a>, region: &mut Region<'a>| {
            let mut bring = |values: &[Value]| values.iter().map(|&value| region.bring(cx, value)).collect();
            let (args, before): (Result<_>, Result<Vec<Value>>) = (bring(&args), bring(&before));
            region.inner.give_state(&touched, &before?);
            args
        };
        let tf = cx.body(which)?;
        let references = cx.reference_results(tf.outputs.len());
        let look = |inner: &mut Import<'a>, outputs: &[Option<Value>]| {
            Ok((inner.behind_results(outputs, &references)?, inner.last_of(&touched)))
        };
        let (mut closed, (outputs, behind)) = cx.enter(tf, None, inside, look)?;
        closed.outputs = [outputs, behind].concat();
        cx.tell(std::mem::take(&mut closed.told));
        operands = closed.operands.clone();
        branches.push(closed);
    }
    let results: Vec<Vec<Value>> = branches.iter().map(Closed::all).collect::<Result<_>>()?;
    let mut merge = Merge { branches, slots: 0 };
    let merged: Vec<Merged> = (0..results[0].len()).map(|n| merge.value(cx, n, &results)).collect::<Result<_>>()?;
    let nodes = if merge.slots == 0 {
        vec![]
    } else {
        let branches = merge.branches.into_iter().map(|closed| closed.graph).collect();
        let operands = [&[number][..], &operands].concat();
        cx.graph.control(Arc::new(If { branches }), &operands)?
    };
    let mut outputs: Vec<Value> = merged.into_iter().map(|merged| merged.outside(cx, &nodes)).collect();
    let behind = outputs.split_off(outputs.len() - touched.len());
    cx.take_state(&touched, &behind);
    Ok(outputs)
}

/// The number of the branch: that of a `Case` as it is, 1 where the predicate of an `If` holds.
fn number(cx: &mut Import) -> Result<NodeId> {
    let predicate = cx.arg(0)?;
    let (dtype, shape) = (cx.dtype(predicate), cx.shape(predicate));
    if !cx.node.op.ends_with("If") {
        if !shape.is_empty() || dtype != DType::I32 {
            return Err(format!("the number of a branch is an int32 scalar, not {}", cx.graph.ty(predicate)).into());
        }
        return cx.cast(predicate, DType::I64);
    }
    if !shape.is_empty() {
        return cx.dim_scalar(&count(&shape).sign(), DType::I64);
    }
    if !super::super::branch::is_predicate(dtype) {
        return Err(format!("TensorFlow takes no {dtype} as the predicate of a branch").into());
    }
    let zero = cx.scalar_like(predicate, 0.0)?;
    let holds = if dtype == DType::Bool { predicate } else { cx.compare(CompareFn::Ne, predicate, zero)? };
    cx.cast(holds, DType::I64)
}

/// Where result `n` of the current node goes, in brackets: to an output of the model, or to a node.
fn goes_to(cx: &Import, n: usize) -> String {
    let reaches = |mut at: NodeOutput| {
        while let ("Identity", [input, ..]) = (cx.tf.nodes[at.node].op.as_str(), &cx.tf.nodes[at.node].inputs[..]) {
            at = *input;
        }
        (at.node, at.index as usize) == (cx.id, n)
    };
    let output = cx.tf.outputs.iter().find(|port| cx.around.len() == 1 && reaches(port.source));
    let takes = |node: &&Node| node.op != "Identity" && node.inputs.iter().any(|&input| reaches(input));
    let user = || cx.tf.nodes.iter().map(|(_, node)| node).find(takes);
    match output {
        Some(port) => format!(" (output `{}`)", port.key),
        None => user().map_or(String::new(), |node| format!(" (which `{}` takes)", cx.shown(&node.name))),
    }
}

fn refused(problem: String, help: &str) -> Stop {
    Diagnostic::error(problem).help(help).into()
}

/// One result of all branches.
enum Merged {
    Value(Value),
    /// A result of the operator: its place.
    Slot(usize),
    Narrow(usize, crate::tensor::Narrow),
    /// A list, and the places of its elements, of their number and of their first extents, where branches decide about them.
    List(ListOf, [Option<usize>; 3]),
}

impl Merged {
    fn outside(self, cx: &mut Import, nodes: &[NodeId]) -> Value {
        match self {
            Merged::Value(value) => value,
            Merged::Slot(n) => nodes[n].into(),
            Merged::Narrow(n, narrow) => Value::Narrow(nodes[n], narrow),
            Merged::List(of, places) => {
                let [data, count, extents] = places.map(|place| place.map(|n| nodes[n]));
                let (data, count, extents) = (data.or(of.data), count.or(of.count), extents.or(of.extents));
                Value::List(cx.lists.add(ListOf { data, count, extents, ..of }))
            }
        }
    }
}

struct Merge<'a> {
    branches: Vec<Closed<'a>>,
    slots: usize,
}

impl Merge<'_> {
    /// Result `n` of all branches.
    fn value(&mut self, cx: &mut Import, n: usize, results: &[Vec<Value>]) -> Result<Merged> {
        let values: Vec<Value> = results.iter().map(|all| all[n]).collect();
        let what = format!("result {n} of the branches{}", goes_to(cx, n));
        let of = |value: &Value| if let Value::Tensor(id) = value { Some(*id) } else { None };
        if let Some(ids) = values.iter().map(of).collect::<Option<Vec<NodeId>>>() {
            return match self.settled(cx, &ids)? {
                Some(id) => Ok(Merged::Value(id.into())),
                None => Ok(Merged::Slot(self.slot(cx, ids, &what)?)),
            };
        }
        match values[0] {
            Value::Variable(handle)
                if handle.depth < cx.around.len() && values.iter().all(|value| *value == values[0]) =>
            {
                Ok(Merged::Value(values[0]))
            }
            Value::Variable(_) => Err(refused(
                format!("{what} is another variable in each, which is not supported"),
                "read the variable within the branch, and return what it holds",
            )),
            Value::Narrow(_, narrow) => {
                let of = |value: &Value| match value {
                    Value::Narrow(id, other) if *other == narrow => Some(*id),
                    _ => None,
                };
                let ids = values.iter().map(of).collect::<Option<_>>();
                let ids = ids.ok_or_else(|| Stop::from(format!("{what} is of different types")))?;
                Ok(Merged::Narrow(self.slot(cx, ids, &what)?, narrow))
            }
            Value::List(_) => {
                let of = |value: &Value| if let Value::List(list) = value { Some(*list) } else { None };
                let lists = values.iter().map(of).collect::<Option<Vec<List>>>();
                self.list(cx, lists.ok_or_else(|| Stop::from(format!("{what} is a list in some of them only")))?, &what)
            }
            first => {
                let other = values.iter().find(|value| value.kind() != first.kind()).copied().unwrap_or(first);
                let problem = format!(
                    "{what} is {} in one of them and {} in another: it has to be a tensor in all of them",
                    first.kind(),
                    other.kind()
                );
                Err(refused(problem, "return tensors of one type and shape from all branches"))
            }
        }
    }

    /// What a result is, where no branch decides it.
    fn settled(&self, cx: &mut Import, ids: &[NodeId]) -> Result<Option<NodeId>> {
        let outside: Vec<Option<NodeId>> = self.branches.iter().zip(ids).map(|(b, &id)| b.outside(id)).collect();
        if let Some(id) = outside[0].filter(|_| outside.iter().all(|other| *other == outside[0])) {
            return Ok(Some(id));
        }
        let of = |n: usize| &self.branches[n].graph;
        let ty = of(0).ty(ids[0]).clone();
        if (0..ids.len()).any(|n| *of(n).ty(ids[n]) != ty) {
            return Ok(None);
        }
        if let Some(value) = of(0).as_const(ids[0]) {
            let same = (0..ids.len()).all(|n| of(n).as_const(ids[n]) == Some(value));
            return Ok(same.then(|| cx.graph.constant(value.clone())));
        }
        match of(0).dims(ids[0]) {
            Some(dims) if (0..ids.len()).all(|n| of(n).dims(ids[n]) == Some(dims)) => Ok(Some(cx.known(dims, &ty)?)),
            _ => Ok(None),
        }
    }

    /// A result of the operator, of one type in all branches.
    fn slot(&mut self, cx: &mut Import, ids: Vec<NodeId>, what: &str) -> Result<usize> {
        let types: Vec<TensorType> =
            self.branches.iter().zip(&ids).map(|(branch, &id)| branch.graph.ty(id).clone()).collect();
        let first = &types[0];
        if let Some(other) = types.iter().find(|ty| ty.dtype != first.dtype || ty.rank() != first.rank()) {
            let problem =
                format!("{what} is a {first} in one of them and a {other} in another, which is not supported");
            return Err(refused(problem, "return tensors of one type and rank from all branches"));
        }
        let is_found = |(branch, ty): (&Closed<'_>, &TensorType)| ty.shape.iter().any(|dim| branch.graph.is_found(dim));
        if self.branches.iter().zip(&types).any(is_found) {
            return Err(refused(
                format!("the extents of {what} depend on values within a branch, which is not supported"),
                "return what has one shape in all branches, or find the rows outside of the branches",
            ));
        }
        let mut shape = first.shape.clone();
        for ty in &types[1..] {
            for (to, from) in shape.iter_mut().zip(&ty.shape) {
                let equal = cx.require_equal(to, from, &format!("the extents of {what}"));
                equal
                    .map_err(|stop| stop.with_help("return what has one shape in all branches: pad it, or mask it"))?;
                // Of two names for one extent, the constant is the better one.
                if from.as_int().is_some() {
                    *to = from.clone();
                }
            }
        }
        for (branch, id) in self.branches.iter_mut().zip(ids) {
            let id = shaped(&mut branch.graph, id, &shape, cx)?;
            branch.graph.output(format!("result{}", self.slots), id);
        }
        self.slots += 1;
        Ok(self.slots - 1)
    }

    /// A list of all branches. Where they make it differently long, it has a number of elements that data decide.
    fn list(&mut self, cx: &mut Import, lists: Vec<List>, what: &str) -> Result<Merged> {
        let all: Vec<ListOf> = lists.iter().map(|&list| cx.lists.get(list).clone()).collect();
        let mut of = ListOf { data: None, count: None, extents: None, ..all[0].clone() };
        // An empty list is as good as any.
        let alike = || all.iter().filter(|list| !list.length.is(0)).map(|list| &list.alike);
        of.alike = alike().next().cloned().flatten().filter(|_| alike().all(|other| Some(other) == alike().next()));
        // What differs in some iterations is no condition of a call.
        let differs = |list: &ListOf| {
            let by = &list.length - &of.length;
            cx.varies(&by) || by.as_int().is_some_and(|by| by != 0)
        };
        let is_counted = all.iter().any(|list| list.count.is_some()) || of.array.is_none() && all.iter().any(differs);
        for other in &all {
            match is_counted {
                true => of.length = cx.greater(&of.length, &other.length),
                false => cx.require_equal(&of.length, &other.length, &format!("the lengths of {what}"))?,
            }
        }
        let all = self.alike(cx, all)?;
        let mut slots = [None, None, None];
        if let Some(like) = (0..all.len()).find(|&n| all[n].data.is_some()) {
            let ids = self.rows(cx, &all, like, is_counted)?;
            match self.settled(cx, &ids)? {
                Some(id) => of.data = Some(id),
                None => slots[0] = Some(self.slot(cx, ids, what)?),
            }
        }
        if is_counted {
            let counts = all.iter().zip(&mut self.branches);
            let counts =
                counts.map(|(list, branch)| list.count.unwrap_or_else(|| branch.graph.extent(list.length.clone())));
            let counts: Vec<NodeId> = counts.collect();
            match self.settled(cx, &counts)? {
                Some(id) => of.count = Some(id),
                None => slots[1] = Some(self.slot(cx, counts, what)?),
            }
        }
        if all[0].extents.is_some() {
            let ids = all.iter().map(|list| list.extents.expect("all have them")).collect::<Vec<_>>();
            let held = ids.iter().zip(&self.branches).map(|(&id, branch)| branch.graph.shape(id)[0].clone());
            let held = held.reduce(|a, b| cx.greater(&a, &b)).expect("there are branches");
            let ids = ids.into_iter().zip(&mut self.branches);
            let ids = ids.map(|(id, branch)| with_rows(&mut branch.graph, id, &held)).collect::<Result<Vec<_>>>()?;
            match self.settled(cx, &ids)? {
                Some(id) => of.extents = Some(id),
                None => slots[2] = Some(self.slot(cx, ids, what)?),
            }
        }
        Ok(match slots {
            [None, None, None] => Merged::Value(Value::List(cx.lists.add(of))),
            _ => Merged::List(of, slots),
        })
    }

    /// The same lists, uneven where one of them is, or where the first extents of elements differ between branches.
    fn alike(&mut self, cx: &Import, mut all: Vec<ListOf>) -> Result<Vec<ListOf>> {
        let graphs = || self.branches.iter().map(|branch| &branch.graph);
        let own = all.iter().zip(graphs()).filter_map(|(list, graph)| Some((graph, graph.shape(list.data?).get(1)?)));
        let own: Vec<(&Graph, &Dim)> = own.collect();
        let differs = |(graph, extent): &(&Graph, &Dim)| {
            graph.is_found(extent) || cx.graph.facts().same(extent, own[0].1) == Known::Never
        };
        if !own.iter().any(differs) && all.iter().all(|list| list.extents.is_none()) {
            return Ok(all);
        }
        let most = own.iter().map(|(_, extent)| cx.found_at_most(extent)).collect::<Result<Vec<_>>>()?;
        let most = most.into_iter().reduce(|a, b| cx.greater(&a, &b)).expect("one has elements");
        let like = (0..all.len()).find(|&n| all[n].data.is_some()).expect("one has elements");
        let mut shape = self.branches[like].graph.shape(all[like].data.expect("it has")).to_vec();
        shape[1] = most;
        for (list, branch) in all.iter_mut().zip(&mut self.branches) {
            let graph = &mut branch.graph;
            let rows = list.data.map_or(list.length.clone(), |id| graph.shape(id)[0].clone());
            if list.extents.is_none() {
                let own = list.data.map_or(Dim::zero(), |id| graph.shape(id)[1].clone());
                list.extents = Some(repeated(graph, own, &rows)?);
            }
            list.data = Some(match list.data {
                Some(id) => with_extent(graph, id, 1, &shape[1])?,
                None => graph.zeros(list.dtype, &[&[rows], &shape[1..]].concat())?,
            });
        }
        Ok(all)
    }

    /// The elements of a list in each branch, as those of branch `like`; with room for as many where they are counted.
    fn rows(&mut self, cx: &Import, all: &[ListOf], like: usize, is_counted: bool) -> Result<Vec<NodeId>> {
        let shape_in = |branches: &[Closed], n: usize| Some(branches[n].graph.shape(all[n].data?).to_vec());
        let mut shape = shape_in(&self.branches, like).expect("it has elements");
        if is_counted {
            let held = (0..all.len()).filter_map(|n| Some(shape_in(&self.branches, n)?[0].clone()));
            shape[0] = held.reduce(|a, b| cx.greater(&a, &b)).expect("one has elements");
        }
        let ids = all.iter().zip(&mut self.branches).map(|(list, branch)| match list.data {
            Some(id) if is_counted => with_rows(&mut branch.graph, id, &shape[0]),
            Some(id) => Ok(id),
            None => Ok(branch.graph.zeros(list.dtype, &shape)?),
        });
        ids.collect()
    }
}

/// A vector of so many equal extents.
pub(super) fn repeated(graph: &mut Graph, extent: Dim, count: &Dim) -> Result<NodeId> {
    let extent = graph.extent(extent);
    let one = graph.add(Reshape { shape: vec![Dim::one()] }, &[extent])?;
    Ok(graph.broadcast(one, std::slice::from_ref(count))?)
}

/// `x` with zeros behind its rows, so that there are so many.
pub(super) fn with_rows(graph: &mut Graph, x: NodeId, rows: &Dim) -> Result<NodeId> {
    with_extent(graph, x, 0, rows)
}

/// `x` with zeros behind it on one axis, so that there is so much.
pub(super) fn with_extent(graph: &mut Graph, x: NodeId, axis: usize, wanted: &Dim) -> Result<NodeId> {
    let mut high = vec![Dim::zero(); graph.shape(x).len()];
    high[axis] = wanted - &graph.shape(x)[axis];
    if high[axis].is(0) {
        return Ok(x);
    }
    let dtype = graph.ty(x).dtype;
    let zero = graph.constant(Tensor::scalar(dtype, Scalar::zero(dtype)));
    Ok(graph.add(Pad { low: vec![Dim::zero(); high.len()], high }, &[x, zero])?)
}

/// `x` in a shape whose extents are equal to its own, by what the import around found out.
pub(super) fn shaped(graph: &mut Graph, x: NodeId, shape: &[Dim], cx: &Import) -> Result<NodeId> {
    if graph.shape(x) == shape {
        return Ok(x);
    }
    for (a, b) in cx.graph.facts().assumed() {
        graph.assume_equal(a.clone(), b.clone());
    }
    Ok(graph.add(Reshape { shape: shape.to_vec() }, &[x])?)
}
