//! Loops: a condition and a body, as regions of one [`Loop`].
//!
//! Each variable of the loop has a [`Role`]. What the body gives back stays what it was; a number that the body adds a
//! constant to follows from the iteration; the others are carried. Roles are guesses at first: the body is imported by
//! them, what it returns says whether they hold, and where one does not the body is imported again.
//!
//! A condition that compares numbers which follow from the iteration with others that do not gives the number of
//! iterations, as a dim ([`Ends`]). What else there is in a condition is asked before each of them.

use std::sync::Arc;

use super::{
    List,
    branch::{repeated, shaped, with_extent, with_rows},
    defined::Defining,
    list::{ListOf, of_data},
    region::{Closed, Region, constant, through_identities},
};
use crate::{
    base::{Dim, Problems, Symbol},
    graph::{Graph, Loop, NodeId, Regions},
    loops::CompareFn,
    op::Op,
    saved::{Node, NodeOutput, TfGraph},
    tensor::{DType, Narrow, TensorType, count},
    tf::{
        Import, Outputs, Stop, Value,
        guard::linear,
        import::{Done, Step},
        state::Touched,
    },
};

type Result<T> = std::result::Result<T, Stop>;

/// What a number that follows from the iteration may change by: more would not fit its type after some iterations.
const MAX_STEP: i64 = 1 << 16;

/// What a variable of a loop is.
#[derive(Clone, Debug, PartialEq)]
enum Role {
    /// The body gives it back.
    Same,
    /// A scalar, `by` more after each iteration.
    Counts {
        from: Dim,
        by: i64,
    },
    Carried(TensorType, Option<Narrow>),
    /// A list, `by` longer after each iteration; of its elements the shape, where it is known. Data decide how many elements
    /// a counted one has, which are at most so many. Those of an uneven one differ in their first extent, which is at most
    /// that of the shape.
    List {
        by: Dim,
        element: Option<Vec<Dim>>,
        counted: bool,
        uneven: bool,
        /// The numbers that all of them are.
        alike: Option<Vec<Dim>>,
    },
}

struct Variable {
    value: Value,
    role: Role,
    /// Whether the role is no first guess.
    corrected: bool,
}

/// What ends a loop.
#[derive(Clone, Default)]
struct Ends {
    /// The iterations that parts of the condition allow.
    limits: Vec<Dim>,
    /// Whether there are other parts.
    asks: bool,
}

impl Ends {
    /// Iterations at most, where that can be told before the loop.
    fn count(&self, cx: &Import) -> Option<Dim> {
        let least = self.limits.iter().cloned().reduce(|a, b| a.at_most(&b))?;
        Some(least.at_least(&Dim::zero())).filter(|count| !cx.varies(count))
    }
}

pub(super) fn repeat(cx: &mut Import) -> Outputs {
    let (condition, body) = (cx.body(0)?, cx.body(1)?);
    let mut values = cx.operands.clone();
    let (own, touched) = (values.len(), cx.touched());
    values.extend(cx.values_of(&touched)?);
    let symbol = Symbol::new(&format!("step{}", cx.loops));
    cx.loops += 1;
    let first = cx.loops;
    let mut variables: Vec<Variable> = vec![];
    for (n, &value) in values.iter().enumerate() {
        let role = match n.checked_sub(own).map(|n| touched[n]) {
            None => first_role(cx, body, n, value)?,
            Some(Touched { assigns: false, .. }) => Role::Same,
            Some(_) => first_role_of_tensor(cx, value),
        };
        variables.push(Variable { value, role, corrected: false });
    }
    let state = (own, &touched[..]);
    // What a round finds is found again by the next one, and has one name.
    let found = cx.found.clone();
    // Each round corrects a role, and each role at most a few times.
    for _ in 0..4 * variables.len() + 4 {
        (cx.loops, cx.found) = (first, found.clone());
        let round = Round::run(cx, &symbol, &variables, state, condition, body)?;
        if round.ends.count(cx).is_some_and(|count| count.is(0)) {
            cx.tell(round.condition.told);
            cx.take_state(&touched, &values[own..]);
            values.truncate(own);
            return Ok(values);
        }
        let outputs = &round.body.outputs;
        if outputs.len() != variables.len() {
            return Err("the body of the loop returns another number of values than it takes".into());
        }
        let mut corrected = false;
        let before: Vec<Value> = variables.iter().map(|variable| variable.value).collect();
        for (n, variable) in variables.iter_mut().enumerate() {
            let Some(output) = outputs[n] else { continue };
            if let Some(array) = array_behind(cx, variable.value, output, &before) {
                *variable = Variable { value: Value::List(array), role: list_role(cx, array), corrected: false };
                corrected = true;
                continue;
            }
            if let Some(first) = round.defined(cx, variable, n, output)? {
                let role = Role::Carried(cx.graph.ty(first).clone(), None);
                *variable = Variable { value: first.into(), role, corrected: false };
                corrected = true;
                continue;
            }
            if let Some(role) = round.correction(cx, variable, n, output)? {
                (variable.role, variable.corrected, corrected) = (role, true, true);
            }
        }
        if !corrected {
            let mut results = round.finish(cx, variables)?;
            let behind = results.split_off(own);
            cx.take_state(&touched, &behind);
            return Ok(results);
        }
    }
    Err("what the variables of the loop are depends on each other in a way that is not supported".into())
}

fn first_role(cx: &Import, body: &TfGraph, n: usize, value: Value) -> Result<Role> {
    let (Some(input), Some(output)) = (body.inputs.get(n), body.outputs.get(n)) else {
        return Err("the body of the loop returns another number of values than it takes".into());
    };
    if through_identities(body, output.source) == input.source {
        return Ok(Role::Same);
    }
    Ok(match value {
        Value::Tensor(id) => match cx.graph.dims(id) {
            Some([from]) if cx.rank(id) == 0 && matches!(cx.dtype(id), DType::I32 | DType::I64) => {
                Role::Counts { from: from.clone(), by: 1 }
            }
            _ => Role::Carried(cx.graph.ty(id).clone(), None),
        },
        Value::Narrow(id, narrow) => Role::Carried(cx.graph.ty(id).clone(), Some(narrow)),
        Value::List(list) => list_role(cx, list),
        Value::Variable(_) => {
            return Err(format!("the loop gives its variable {n} another handle in each iteration").into());
        }
        Value::Part(..) | Value::Dead => cx.arg(n).map(|_| Role::Same)?,
    })
}

/// What a variable of the model is that the loop assigns.
fn first_role_of_tensor(cx: &Import, value: Value) -> Role {
    match value {
        Value::Tensor(id) => Role::Carried(cx.graph.ty(id).clone(), None),
        Value::Narrow(id, narrow) => Role::Carried(cx.graph.ty(id).clone(), Some(narrow)),
        _ => Role::Same,
    }
}

fn list_role(cx: &Import, list: List) -> Role {
    let of = cx.lists.get(list);
    let element = of.data.map(|id| cx.shape(id)[1..].to_vec());
    let (counted, uneven) = (of.count.is_some(), of.extents.is_some());
    Role::List { by: Dim::zero(), element, counted, uneven, alike: of.alike.clone() }
}

/// The array of TensorFlow 1 whose first flow a variable is, where that is a constant and the loop has its handle.
fn array_behind(cx: &Import, value: Value, output: Value, all: &[Value]) -> Option<List> {
    let (Value::Tensor(_), Value::List(after)) = (value, output) else { return None };
    let made_by = cx.lists.get(after).array?;
    let lists = all.iter().filter_map(|value| if let Value::List(list) = value { Some(*list) } else { None });
    lists.into_iter().find(|&list| cx.lists.get(list).array == Some(made_by))
}

/// A value that goes round: its variable, its first value, its type.
struct Carried {
    variable: usize,
    part: Part,
    first: NodeId,
    ty: TensorType,
}

/// What of a variable a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// A tensor, or the elements of a list.
    Whole,
    /// How many elements a list has.
    Count,
    /// The first extents of the elements of a list.
    Extents,
}

/// What a variable has for the values that go round: its parts.
fn going_round(carried: &[Carried], variable: usize, nodes: &[NodeId]) -> [Option<NodeId>; 3] {
    [Part::Whole, Part::Count, Part::Extents]
        .map(|part| carried.iter().position(|c| c.variable == variable && c.part == part).map(|at| nodes[at]))
}

/// Condition and body, imported by the roles of the variables.
struct Round<'a> {
    symbol: Symbol,
    ends: Ends,
    condition: Closed<'a>,
    /// Whether there is another iteration, in the condition.
    goes_on: Option<NodeId>,
    body: Closed<'a>,
    /// The values of the variables in the body.
    args: Vec<Value>,
    carried: Vec<Carried>,
    /// The length of each list in the body.
    lengths: Vec<Option<Dim>>,
}

impl<'a> Round<'a> {
    fn run(
        cx: &mut Import<'a>,
        symbol: &Symbol,
        variables: &[Variable],
        (own, touched): (usize, &[Touched]),
        condition: &'a TfGraph,
        body: &'a TfGraph,
    ) -> Result<Round<'a>> {
        let (mut ends, found) = (Ends::default(), cx.found.clone());
        loop {
            cx.found = found.clone();
            let carried = carried(cx, variables, &ends)?;
            let step = Step { symbol: symbol.clone(), below: ends.limits.clone() };
            let enter = |cx: &Import<'a>, region: &mut Region<'a>| {
                let all = arguments(cx, region, variables, &carried, symbol)?;
                region.inner.give_state(touched, &all[own..]);
                Ok::<_, Stop>(all)
            };
            let inside = |cx: &Import<'a>, region: &mut Region<'a>| Ok(enter(cx, region)?[..own].to_vec());
            let look = |inner: &mut Import<'a>, outputs: &[Option<Value>]| {
                inner.keeps_state(touched)?;
                let [Some(Value::Tensor(id))] = outputs else { return Ok((None, Ends::default())) };
                let found = ends_of(inner, symbol)?;
                Ok((Some(truth(inner, *id)?), found))
            };
            let (closed, (goes_on, found)) = cx.enter(condition, Some(step), inside, look)?;
            if goes_on.is_none() {
                cx.tell(closed.told);
                return match closed.outputs.len() {
                    1 => Err(Stop::Fault(Problems::default())),
                    n => Err(format!("the condition of the loop gives {n} values instead of one").into()),
                };
            }
            // What is carried depends on whether the condition is asked, and so does where lists end.
            if found.asks != ends.asks || found.limits != ends.limits {
                ends = found;
                continue;
            }
            let step = Step { symbol: symbol.clone(), below: ends.limits.clone() };
            let mut args = vec![];
            let inside = |cx: &Import<'a>, region: &mut Region<'a>| {
                args = enter(cx, region)?;
                Ok(args[..own].to_vec())
            };
            let look = |inner: &mut Import<'a>, _: &[_]| inner.carries_no_memory().map(|()| inner.last_of(touched));
            let (mut body, behind) = cx.enter(body, Some(step), inside, look)?;
            body.outputs.extend(behind);
            let length = |value: &Value| {
                if let Value::List(list) = value { Some(cx.lists.get(*list).length.clone()) } else { None }
            };
            let lengths = args.iter().map(length).collect();
            return Ok(Round {
                symbol: symbol.clone(),
                ends,
                condition: closed,
                goes_on,
                body,
                args,
                carried,
                lengths,
            });
        }
    }

    /// What a variable begins with that the loop defines, in place of what stands there.
    fn defined(&self, cx: &mut Import<'a>, variable: &Variable, n: usize, output: Value) -> Result<Option<NodeId>> {
        let (Role::Carried(_, None), Value::Tensor(first), Value::Tensor(id)) =
            (&variable.role, variable.value, output)
        else {
            return Ok(None);
        };
        let Some(at) = self.carried.iter().position(|carried| carried.variable == n) else { return Ok(None) };
        let mut outputs = vec![];
        let Ok(values) = self.body.all() else { return Ok(None) };
        for value in values {
            match value {
                Value::Tensor(id) | Value::Narrow(id, _) => outputs.push(id),
                Value::List(list) => {
                    let of = cx.lists.get(list);
                    outputs.extend([of.data, of.count, of.extents].into_iter().flatten());
                }
                Value::Part(..) => return Ok(None),
                Value::Variable(_) | Value::Dead => {}
            }
        }
        let graph = &self.body.graph;
        let of = Defining {
            condition: cx.body(0)?,
            body: cx.body(1)?,
            graph,
            input: graph.inputs[at].node,
            outputs: &outputs,
            step: &self.symbol,
            count: if self.is_counted(cx) { self.ends.count(cx) } else { None },
        };
        of.first(cx, n, first, graph.ty(id))
    }

    /// What a variable is instead of what it was taken for.
    fn correction(&self, cx: &Import<'a>, variable: &Variable, n: usize, output: Value) -> Result<Option<Role>> {
        let graph = &self.body.graph;
        let tensor = |value: Value, id: NodeId| match value {
            Value::Narrow(_, narrow) => Role::Carried(cx.graph.ty(id).clone(), Some(narrow)),
            _ => Role::Carried(cx.graph.ty(id).clone(), None),
        };
        let give_up = || match variable.value {
            Value::Tensor(id) | Value::Narrow(id, _) => Ok(Some(tensor(variable.value, id))),
            _ => Err(Stop::from(format!("variable {n} of the loop is another one in each iteration"))),
        };
        match (&variable.role, output) {
            (Role::Same, output) if output == self.args[n] => Ok(None),
            (Role::Same, _) => give_up(),
            (Role::Counts { from, by }, Value::Tensor(id)) => {
                let Some([after]) = graph.dims(id) else { return give_up() };
                let now = from + Dim::from(&self.symbol) * *by;
                let more = (after - &now).as_int();
                match more {
                    Some(more) if more == *by && graph.ty(id).rank() == 0 => Ok(None),
                    Some(0) if !variable.corrected => Ok(Some(Role::Same)),
                    Some(by) if !variable.corrected && by.abs() <= MAX_STEP => {
                        Ok(Some(Role::Counts { from: from.clone(), by }))
                    }
                    _ => give_up(),
                }
            }
            (Role::Carried(..), output) if output == self.args[n] && !variable.corrected => Ok(Some(Role::Same)),
            (Role::Carried(_, None), Value::Tensor(_)) => Ok(None),
            (Role::Carried(_, Some(narrow)), Value::Narrow(_, other)) if *narrow == other => Ok(None),
            (Role::List { .. }, Value::List(list)) => self.list(cx, variable, n, list),
            (_, other) => {
                let before = if matches!(variable.role, Role::List { .. }) { "a list of tensors" } else { "a tensor" };
                let problem =
                    format!("variable {n} of the loop is {before} before an iteration and {} after it", other.kind());
                let help = "let it be a tensor of one shape, or a tf.TensorArray, in every iteration";
                Err(crate::base::Diagnostic::error(problem).help(help).into())
            }
        }
    }

    /// As [`Round::correction`], of variable `n`, which was taken for a list.
    fn list(&self, cx: &Import<'a>, variable: &Variable, n: usize, after: List) -> Result<Option<Role>> {
        let Role::List { by, element, counted, uneven, alike } = &variable.role else { return Ok(None) };
        let of = cx.lists.get(after);
        let before = self.lengths[n].as_ref().expect("a list has a length");
        // Where a list gets an element for each iteration, its length follows from the iteration alone.
        let by_step = || Some(Dim::from(linear(&of.length, &self.symbol)?.0)).filter(|_| !variable.corrected);
        let more = &of.length - before;
        let is_same = !more.symbols().contains(&self.symbol) && !self.body.graph.is_found(&more) && !cx.varies(&more);
        let Some(more) = Some(more).filter(|_| is_same).or_else(by_step) else {
            let what = format!(
                "the list in variable {n} of the loop has the length {before} before an iteration and {} after it, which is \
                 not supported: lists may grow or shrink by a constant",
                of.length
            );
            return Err(what.into());
        };
        let mut behind = of.data.map(|id| self.body.graph.shape(id)[1..].to_vec());
        let mut uneven = *uneven || of.extents.is_some();
        // An extent that each iteration finds anew is at most what bounds it.
        if let Some([first, ..]) = behind.as_deref_mut()
            && self.body.graph.is_found(first)
        {
            *first = self.most_found(cx, first)?;
            uneven = true;
        }
        let behind = behind.as_deref();
        if let Some(dim) = behind.and_then(|element| element.iter().find(|dim| self.body.graph.is_found(dim))) {
            let what = format!(
                "elements that the loop adds to the list in variable {n} have the extent {dim}, which data decide in each \
                 iteration anew: that is not supported"
            );
            let help = "give all elements one size, such as by tf.pad, or compute it before the loop";
            return Err(crate::base::Diagnostic::error(what).help(help).into());
        }
        // Where data decide how often the loop runs, they decide how long the list gets.
        let grows_by_data = of.array.is_none() && !more.is(0) && !self.is_counted(cx);
        let changes = more != *by;
        // A list that is empty before the loop gets the numbers of what is pushed there.
        let is_outer = |dim: &Dim| !dim.symbols().contains(&self.symbol) && !self.body.graph.is_found(dim);
        let numbers = of.alike.clone().filter(|numbers| numbers.iter().all(is_outer));
        let is_first = !variable.corrected && before.is(0);
        let role = Role::List {
            alike: numbers.filter(|numbers| is_first || alike.as_ref() == Some(numbers)),
            // What is taken from a counted list leaves the most that there can be.
            by: if grows_by_data && cx.is_nonneg(&-&more) { Dim::zero() } else { more },
            element: element.clone().filter(|_| !uneven).or_else(|| behind.map(<[Dim]>::to_vec)),
            counted: *counted || of.count.is_some() || grows_by_data,
            uneven,
        };
        if role == variable.role {
            return Ok(None);
        }
        if changes && variable.corrected && element.is_some() {
            return Err(format!("the length of the list in variable {n} of the loop changes irregularly").into());
        }
        Ok(Some(role))
    }

    /// What an extent that an iteration finds is at most.
    fn most_found(&self, cx: &Import<'a>, extent: &Dim) -> Result<Dim> {
        let most = cx.found_at_most(extent)?;
        match most.symbols().contains(&self.symbol) || self.body.graph.is_found(&most) {
            false => Ok(most),
            true => Err(format!("the extent {extent} has another bound in each iteration of the loop").into()),
        }
    }

    /// Whether it is known before the loop how often it runs.
    fn is_counted(&self, cx: &Import<'a>) -> bool {
        !self.ends.asks && self.ends.count(cx).is_some()
    }

    /// The operator, and what the variables are behind it.
    fn finish(mut self, cx: &mut Import<'a>, variables: Vec<Variable>) -> Outputs {
        cx.tell(std::mem::take(&mut self.condition.told));
        cx.tell(std::mem::take(&mut self.body.told));
        let outputs = self.body.all()?;
        let count = self.ends.count(cx);
        let asks = self.ends.asks || count.is_none();
        if asks && self.condition.graph.as_const(self.goes_on.expect("looked at")).is_some() {
            return Err("the loop never ends: its condition is always true".into());
        }
        for n in 0..self.carried.len() {
            let result = self.result(cx, &variables, &outputs, n)?;
            self.body.graph.output(format!("carried{n}"), result);
        }
        steady(&self.body.graph, &self.symbol)?;
        steady(&self.condition.graph, &self.symbol)?;
        let nodes = if self.carried.is_empty() {
            vec![]
        } else {
            let condition = asks.then(|| {
                let mut graph = std::mem::take(&mut self.condition.graph);
                graph.output("goes_on", self.goes_on.expect("looked at"));
                graph
            });
            let (carried, step, body) = (self.carried.len(), self.symbol.clone(), std::mem::take(&mut self.body.graph));
            let control = Loop { carried, count: count.clone(), condition, step, body };
            cx.graph.control(Arc::new(control), &self.body.operands)?
        };
        let mut results = vec![];
        for (n, variable) in variables.into_iter().enumerate() {
            let nodes = going_round(&self.carried, n, &nodes);
            results.push(behind(cx, variable, nodes, count.as_ref(), asks)?);
        }
        Ok(results)
    }

    /// What carried value `at` is after an iteration, of the type that it has before.
    fn result(&mut self, cx: &mut Import<'a>, variables: &[Variable], outputs: &[Value], at: usize) -> Result<NodeId> {
        let Carried { variable: n, part, ty, .. } = &self.carried[at];
        let graph = &mut self.body.graph;
        let id = match (&variables[*n].role, outputs[*n]) {
            (_, Value::List(list)) if *part == Part::Extents => match cx.lists.get(list).extents {
                Some(id) => id,
                None => return Err("the elements of a list have no extents after an iteration".into()),
            },
            (_, Value::List(list)) if *part == Part::Count => {
                let of = cx.lists.get(list);
                of.count.unwrap_or_else(|| graph.extent(of.length.clone()))
            }
            (_, Value::Tensor(id) | Value::Narrow(id, _)) => id,
            (_, Value::List(list)) => match cx.lists.get(list).data {
                Some(id) => id,
                None => graph.zeros(ty.dtype, &ty.shape)?,
            },
            _ => return Err("what is carried is no tensor".into()),
        };
        let found = graph.ty(id).clone();
        let changes = || {
            let problem = format!(
                "variable {n} of the loop is a {ty} before an iteration and a {found} after it: its type changes, which is \
                 not supported"
            );
            let help = "begin with a tensor of the final shape, such as zeros, and set parts of it; or collect what is \
                        computed in a tf.TensorArray";
            Stop::from(crate::base::Diagnostic::error(problem).help(help))
        };
        if found.dtype != ty.dtype || found.rank() != ty.rank() {
            return Err(changes());
        }
        for (a, b) in ty.shape.iter().zip(&found.shape) {
            // What was found in the body is looked at there.
            if graph.facts().equal(a, b) {
                continue;
            }
            // Two names may be of one extent; what is computed of an extent is another one.
            let is_name = |d: &Dim| d.as_int().or(d.as_symbol().map(|_| 0)).is_some();
            // A name that is nothing in every call is none that anybody calls.
            let is_nothing = a.is(0) || b.is(0);
            let may_be_one = is_name(a) && is_name(b) && !is_nothing && (a - b).as_int().is_none_or(|d| d == 0);
            if graph.is_found(b) || !cx.graph.facts().equal(a, b) && !may_be_one {
                return Err(changes());
            }
            cx.require_equal(a, b, &format!("the extents of variable {n} before and after an iteration"))?;
        }
        shaped(graph, id, &ty.shape, cx)
    }
}

/// The values that go round. A scalar that counts goes round where nobody else knows how often.
fn carried(cx: &mut Import, variables: &[Variable], ends: &Ends) -> Result<Vec<Carried>> {
    let mut all = vec![];
    let asks = ends.asks || ends.count(cx).is_none();
    for (n, variable) in variables.iter().enumerate() {
        let mut add = |part: Part, first: NodeId, ty: TensorType| all.push(Carried { variable: n, part, first, ty });
        match (&variable.role, variable.value) {
            (Role::Carried(ty, _), Value::Tensor(id) | Value::Narrow(id, _)) => add(Part::Whole, id, ty.clone()),
            (Role::Counts { .. }, Value::Tensor(id)) if asks => add(Part::Whole, id, cx.graph.ty(id).clone()),
            (Role::List { by, element, counted, uneven, .. }, Value::List(list)) => {
                let mut of = cx.lists.get(list).clone();
                if let Some(element) = element {
                    if *uneven {
                        of = first_uneven(cx, of, element)?;
                    }
                    let first = room(cx, &of, by, element, ends)?;
                    add(Part::Whole, first, cx.graph.ty(first).clone());
                    if let Some(extents) = of.extents {
                        let rows = cx.shape(first)[0].clone();
                        let first = with_rows(&mut cx.graph, extents, &rows)?;
                        add(Part::Extents, first, cx.graph.ty(first).clone());
                    }
                }
                if *counted {
                    let count = of.count.unwrap_or_else(|| cx.graph.extent(of.length.clone()));
                    add(Part::Count, count, cx.graph.ty(count).clone());
                }
            }
            _ => {}
        }
    }
    Ok(all)
}

/// A list before a loop that makes it uneven, with room for its greatest elements.
fn first_uneven(cx: &mut Import, mut of: ListOf, element: &[Dim]) -> Result<ListOf> {
    let rows = of.data.map_or(of.length.clone(), |id| cx.shape(id)[0].clone());
    let own = of.data.map_or(Dim::zero(), |id| cx.shape(id)[1].clone());
    if of.extents.is_none() {
        of.extents = Some(repeated(&mut cx.graph, own, &rows)?);
    }
    of.data = Some(match of.data {
        Some(id) => with_extent(&mut cx.graph, id, 1, &element[0])?,
        None => cx.graph.zeros(of.dtype, &[&[rows], element].concat())?,
    });
    Ok(of)
}

/// The elements of a list before a loop, with room for those that it gets there.
fn room(cx: &mut Import, of: &ListOf, by: &Dim, element: &[Dim], ends: &Ends) -> Result<NodeId> {
    let held = of.data.map_or(of.length.clone(), |id| cx.shape(id)[0].clone());
    let wanted = match ends.count(cx) {
        _ if cx.is_nonneg(&-by) => held.clone(),
        Some(count) => cx.greater(&held, &(&of.length + count * by)),
        // The condition has not been looked at, or says nothing.
        None if ends.limits.is_empty() && !ends.asks => held.clone(),
        None => {
            let problem = "a list grows in a loop whose number of iterations has no bound that follows from extents";
            let help = "give the loop a bound by `maximum_iterations`, or the array its size";
            return Err(crate::base::Diagnostic::error(problem).help(help).into());
        }
    };
    match of.data {
        Some(data) => with_rows(&mut cx.graph, data, &wanted),
        None => Ok(cx.graph.zeros(of.dtype, &[&[wanted], element].concat())?),
    }
}

/// The values of the variables in a region.
fn arguments<'a>(
    cx: &Import<'a>,
    region: &mut Region<'a>,
    variables: &[Variable],
    carried: &[Carried],
    symbol: &Symbol,
) -> Result<Vec<Value>> {
    let inputs: Vec<NodeId> = carried.iter().map(|c| region.carried(cx, c.first, c.ty.clone())).collect();
    let mut args = vec![];
    for (n, variable) in variables.iter().enumerate() {
        let [input, count, extents] = going_round(carried, n, &inputs);
        args.push(match (&variable.role, variable.value, input) {
            (Role::Counts { from, by }, Value::Tensor(id), _) => {
                let now = from + Dim::from(symbol) * *by;
                region.inner.known(&[now], cx.graph.ty(id))?.into()
            }
            (Role::Carried(_, None), _, Some(input)) => input.into(),
            (Role::Carried(_, Some(narrow)), _, Some(input)) => Value::Narrow(input, *narrow),
            (Role::List { by, alike, .. }, Value::List(list), data) => {
                let of = region.inner.lists.get(list).clone();
                let (length, alike) = (&of.length + Dim::from(symbol) * by, alike.clone());
                Value::List(region.inner.lists.add(ListOf { data, length, count, extents, alike, ..of }))
            }
            (_, value, _) => region.bring(cx, value)?,
        });
    }
    Ok(args)
}

/// What a variable is behind the loop, given what went round and the number of iterations, which is the most that there
/// can be where the loop `asks` for more.
fn behind(
    cx: &mut Import,
    variable: Variable,
    [node, counted, extents]: [Option<NodeId>; 3],
    most: Option<&Dim>,
    asks: bool,
) -> Result<Value> {
    let count = most.filter(|_| !asks);
    Ok(match (variable.role, variable.value) {
        (Role::Same, value) => value,
        (Role::Counts { from, by }, Value::Tensor(id)) => match (count, node) {
            (Some(count), _) => {
                let ty = cx.graph.ty(id).clone();
                cx.known(&[from + count * by], &ty)?.into()
            }
            (None, Some(node)) => node.into(),
            (None, None) => return Err("the number of iterations is not known".into()),
        },
        (Role::Carried(_, None), _) => node.expect("it went round").into(),
        (Role::Carried(_, Some(narrow)), _) => Value::Narrow(node.expect("it went round"), narrow),
        (Role::List { by, alike, .. }, Value::List(list)) => {
            let of = cx.lists.get(list).clone();
            let length = match count.or(most.filter(|_| counted.is_some())) {
                _ if by.is(0) => of.length.clone(),
                Some(count) => &of.length + count * by,
                None => return Err(of_data("what stands behind the loop")),
            };
            let (data, extents) = (node.or(of.data), extents.or(of.extents));
            Value::List(cx.lists.add(ListOf { data, length, count: counted, extents, alike, ..of }))
        }
        (_, value) => value,
    })
}

/// Refuses extents that change with the iteration, which no place in memory has.
fn steady(graph: &Graph, symbol: &Symbol) -> Result<()> {
    let live = graph.live();
    for (id, node) in graph.iter().filter(|(id, _)| live[id.index()]) {
        let mut inner = vec![];
        if let Op::Pad(pad) = &node.op {
            inner.extend(pad.low.iter().chain(&pad.high));
        }
        if let Some(dim) = node.ty.shape.iter().chain(inner).find(|dim| dim.symbols().contains(symbol)) {
            let place = graph.origin(id).map_or(String::new(), |name| format!(" of `{name}`"));
            let problem =
                format!("the extent {dim}{place} changes with each iteration of the loop, which is not supported");
            let help = "compute with tensors of the largest extent and mask what does not count";
            return Err(crate::base::Diagnostic::error(problem).help(help).into());
        }
        if let Op::Control(of) = &node.op {
            Regions::of(&*of.control).graphs().into_iter().try_for_each(|graph| steady(graph, symbol))?;
        }
    }
    Ok(())
}

/// What TensorFlow takes a condition for, as a bool.
fn truth(cx: &mut Import, id: NodeId) -> Result<NodeId> {
    let shape = cx.shape(id);
    if !shape.is_empty() {
        return cx.dim_scalar(&count(&shape).sign(), DType::Bool);
    }
    if cx.dtype(id) == DType::Bool {
        return Ok(id);
    }
    let zero = cx.scalar_like(id, 0.0)?;
    cx.compare(CompareFn::Ne, id, zero)
}

/// What ends a loop, by the graph of its condition: a conjunction of comparisons, and what else stands there.
fn ends_of(cx: &Import, symbol: &Symbol) -> Result<Ends> {
    let mut ends = Ends::default();
    let mut todo: Vec<NodeOutput> = cx.tf.outputs.iter().map(|port| port.source).collect();
    while let Some(at) = todo.pop() {
        let at = through_identities(cx.tf, at);
        let node = &cx.tf.nodes[at.node];
        match node.op.as_str() {
            _ if cx.known_bool(at) == Some(true) => {}
            _ if cx.known_bool(at) == Some(false) => ends.limits.push(Dim::zero()),
            "LogicalAnd" => todo.extend(&node.inputs),
            // `cond(a, b, False)` is how a conjunction is written that need not compute its second part.
            "If" | "StatelessIf" if otherwise_false(cx.tf, at) => {
                todo.extend(node.inputs.first());
                ends.asks = true;
            }
            "Less" | "LessEqual" | "Greater" | "GreaterEqual" => match limit(cx, node, symbol) {
                Some(Limit::Never) => {}
                Some(Limit::After(count)) => ends.limits.push(count),
                None => ends.asks = true,
            },
            _ => ends.asks = true,
        }
    }
    ends.limits.sort();
    ends.limits.dedup();
    Ok(ends)
}

/// Whether the first function of a branch gives false.
fn otherwise_false(tf: &TfGraph, at: NodeOutput) -> bool {
    let Some(Ok(body)) = tf.bodies.get(&(at.node, 0)) else { return false };
    let port = body.outputs.get(at.index as usize);
    port.and_then(|port| constant(body, port.source)) == Some(false)
}

/// When a comparison begins to be false.
enum Limit {
    Never,
    After(Dim),
}

fn limit(cx: &Import, node: &Node, symbol: &Symbol) -> Option<Limit> {
    let side = |n: usize| {
        let at = node.inputs.get(n)?;
        let Some(Done::Values(values)) = &cx.done[at.node.index()] else { return None };
        let Some(&Value::Tensor(id)) = values.get(at.index as usize) else { return None };
        match cx.graph.dims(id)? {
            [dim] => Some(dim.clone()),
            _ => None,
        }
    };
    let (a, b) = (side(0)?, side(1)?);
    // It holds where this is more than 0.
    let more = match node.op.as_str() {
        "Less" => b - a,
        "LessEqual" => b - a + 1,
        "Greater" => a - b,
        _ => a - b + 1,
    };
    let (factor, rest) = linear(&more, symbol)?;
    match factor {
        _ if factor < 0 => Some(Limit::After(rest.ceil_div(&Dim::from(factor.checked_neg()?)))),
        _ if cx.is_nonneg(&(rest - 1)) => Some(Limit::Never),
        _ => None,
    }
}
