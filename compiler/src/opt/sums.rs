//! Adds up behind a loop the products that its iterations only add up: the gradient of weights is one contraction over time, in
//! place of one in every iteration with a sum as large as the weights.
//!
//! A factor is the iteration's part of a sequence, or is kept, one behind the other. Floats are added in another order then.

use std::sync::Arc;

use super::{
    Fuel, Rewrite,
    iterations::{Class, Whole, classes},
    rebuilt::Rebuilt,
};
use crate::{
    base::Dim,
    graph::{Graph, Loop, NodeId, Regions, stacked},
    loops::BinaryFn,
    op::{Binary, ControlResult, Dot, Op, Reshape, Transpose},
    tensor::TensorType,
};

/// Products with as many terms are as fast one by one, and their factors larger than their sum.
const DEEP: i64 = 128;

pub fn add_behind(graph: Graph, fuel: &mut Fuel) -> Graph {
    if !graph.iter().any(|(_, node)| matches!(node.op, Op::Control(_))) {
        return graph;
    }
    let mut done: Vec<Done> = vec![];
    Rewrite::of(&graph).run(|rw, id| {
        let Op::Control(of) = &rw.node(id).op else { return None };
        let Regions::Loop(repeat) = Regions::of(&*of.control) else { return None };
        let operands: Vec<NodeId> = rw.node(id).inputs.iter().map(|&i| rw.new_of(i)).collect();
        let known = done.iter().find(|d| d.of.is_beside(of) && d.operands == operands);
        if let Some(known) = known {
            return known.results.as_ref().map(|results| results[of.result]);
        }
        let results =
            sums(repeat).and_then(|sums| fuel.take().then(|| behind(&mut rw.new, repeat, &operands, &sums))?);
        let result = results.as_ref().map(|results| results[of.result]);
        done.push(Done { of: of.clone(), operands, results });
        result
    })
}

/// A loop, some result of which has been looked at.
struct Done {
    of: ControlResult,
    operands: Vec<NodeId>,
    /// None where it stays as it is.
    results: Option<Vec<NodeId>>,
}

/// A carried value that every iteration adds a product of matrices to, `[m,k]` by `[k,n]`, and does nothing else with.
struct Sum {
    carried: usize,
    product: NodeId,
    factors: [Factor; 2],
    /// Where in time an iteration is.
    index: Dim,
}

/// What an iteration multiplies.
#[derive(Clone, Copy)]
struct Factor {
    value: NodeId,
    /// The transposed value is the factor.
    is_turned: bool,
    /// It is part of no sequence.
    is_kept: bool,
}

/// The sums of a loop, if it has any and runs so often as is known when it begins.
fn sums(repeat: &Loop) -> Option<Vec<Sum>> {
    let count = repeat.count.as_ref().filter(|_| repeat.condition.is_none())?;
    let (body, classes) = (&repeat.body, classes(repeat));
    let uses = body.live_use_counts();
    let sum = |carried: usize| {
        let (before, after) = (body.inputs[carried].node, body.outputs[carried].node);
        let Op::Binary(Binary { f: BinaryFn::Add }) = body.op(after) else { return None };
        let product = match body.node(after).inputs[..] {
            [a, b] if a == before => b,
            [a, b] if b == before => a,
            _ => return None,
        };
        let is_sum = [before, after, product].iter().all(|id| uses[id.index()] == 1);
        let Op::Dot(_) = body.op(product) else { return None };
        let deep = body.shape(body.node(product).inputs[0]).get(1).and_then(Dim::as_int).is_some_and(|k| k >= DEEP);
        if !is_sum || deep || body.shape(product).len() != 2 {
            return None;
        }
        let mut index = None;
        let mut factors = [Factor { value: product, is_turned: false, is_kept: true }; 2];
        for (factor, &value) in factors.iter_mut().zip(&body.node(product).inputs) {
            (factor.value, factor.is_turned) = match body.op(value) {
                Op::Transpose(op) if op.perm == [1, 0] => (body.node(value).inputs[0], true),
                _ => (value, false),
            };
            match &classes[factor.value.index()] {
                Class::Fixed => return None,
                Class::At(at)
                    if is_in_order(at, repeat, count) && length(body, factor.value, &classes) == Some(count) =>
                {
                    factor.is_kept = index.as_ref().is_some_and(|index| index != at);
                    index.get_or_insert_with(|| at.clone());
                }
                _ => {}
            }
            if factor.is_kept && body.names_found(factor.value) {
                return None;
            }
        }
        Some(Sum { carried, product, factors, index: index.unwrap_or_else(|| Dim::from(&repeat.step)) })
    };
    let sums: Vec<Sum> = (0..repeat.carried).filter_map(sum).collect();
    (!sums.is_empty()).then_some(sums)
}

/// Whether iterations are at each time once, forwards or backwards.
fn is_in_order(index: &Dim, repeat: &Loop, count: &Dim) -> bool {
    let step = Dim::from(&repeat.step);
    *index == count - 1 - &step || *index == step
}

/// How many parts the sequence has that a value is a part of.
fn length<'g>(body: &'g Graph, value: NodeId, classes: &[Class]) -> Option<&'g Dim> {
    let node = body.node(value);
    let from = node.inputs.iter().find(|i| matches!(classes[i.index()], Class::At(_)));
    match from {
        Some(&from) => length(body, from, classes),
        None => body.shape(*node.inputs.first()?).first(),
    }
}

/// The results of the loop: those of one that keeps factors, with the sums of their products behind it.
fn behind(outer: &mut Graph, repeat: &Loop, operands: &[NodeId], sums: &[Sum]) -> Option<Vec<NodeId>> {
    let (body, carried, count) = (&repeat.body, repeat.carried, repeat.count.as_ref()?);
    let mut kept: Vec<(NodeId, &Dim)> = vec![];
    for sum in sums {
        for factor in sum.factors.iter().filter(|factor| factor.is_kept) {
            let own = (factor.value, &sum.index);
            if !kept.contains(&own) {
                kept.push(own);
            }
        }
    }
    let types: Vec<TensorType> = kept.iter().map(|&(id, _)| stacked(body.ty(id), count)).collect();

    let mut inner = Rebuilt::new(body, 0..carried);
    let input = |(n, ty): (usize, &TensorType)| inner.new.input(format!("factor{n}"), ty.clone());
    let histories: Vec<NodeId> = types.iter().enumerate().map(input).collect();
    inner.take(body, carried..body.inputs.len());
    let is_sum = |n: usize| sums.iter().any(|sum| sum.carried == n);
    let after: Vec<NodeId> =
        (0..carried).map(|n| if is_sum(n) { body.inputs[n].node } else { body.outputs[n].node }).collect();
    let all: Vec<NodeId> = after.iter().copied().chain(kept.iter().map(|&(id, _)| id)).collect();
    let made = inner.make(body, &all)?;
    for (port, &node) in body.outputs.iter().zip(&made) {
        inner.new.output(port.name.clone(), node);
    }
    for (n, ((&history, &value), (_, index))) in histories.iter().zip(&made[carried..]).zip(&kept).enumerate() {
        let next = inner.new.with_element(history, index, value).ok()?;
        inner.new.output(format!("factor{n}"), next);
    }
    let control = Loop { carried: carried + kept.len(), body: inner.new, ..repeat.clone() };

    let mut given = operands[..carried].to_vec();
    for ty in &types {
        given.push(outer.zeros(ty.dtype, &ty.shape).ok()?);
    }
    given.extend(&operands[carried..]);
    let mut results = outer.control(Arc::new(control), &given).ok()?;
    let histories = results.split_off(carried);
    let classes = classes(repeat);
    for sum in sums {
        let mut whole = Whole::new(outer, body, &classes, operands);
        let mut factors = vec![];
        for factor in &sum.factors {
            let known = kept.iter().position(|own| factor.is_kept && *own == (factor.value, &sum.index));
            factors.push(match known {
                Some(n) => histories[n],
                None => whole.of(factor.value)?,
            });
        }
        outer.set_origin(body.origin(sum.product).cloned());
        let [left, right] = [0, 1].map(|n| (factors[n], sum.factors[n].is_turned));
        let left = rows_in_time(outer, left.0, left.1, 1)?;
        let right = rows_in_time(outer, right.0, right.1, 0)?;
        let product = outer.add(Dot {}, &[left, right]).ok()?;
        results[sum.carried] = outer.add(Binary { f: BinaryFn::Add }, &[operands[sum.carried], product]).ok()?;
    }
    outer.set_origin(None);
    Some(results)
}

/// A factor at all times, `[t,m,k]` or turned `[t,k,m]`, as a matrix: `t` and the axis that is summed over, the last one or the
/// first one, are one axis.
fn rows_in_time(graph: &mut Graph, x: NodeId, is_turned: bool, summed: usize) -> Option<NodeId> {
    let own = graph.shape(x).to_vec();
    // The axis of what lies there that is summed over.
    let along = if is_turned { 1 - summed } else { summed };
    let both = &own[0] * &own[1 + along];
    if along == 1 {
        // [t, m, k] is [m, t, k] first.
        let turned = graph.add(Transpose { perm: vec![1, 0, 2] }, &[x]).ok()?;
        let rows = graph.add(Reshape { shape: vec![own[1].clone(), both] }, &[turned]).ok()?;
        return if summed == 1 { Some(rows) } else { graph.add(Transpose { perm: vec![1, 0] }, &[rows]).ok() };
    }
    let rows = graph.add(Reshape { shape: vec![both, own[2].clone()] }, &[x]).ok()?;
    if summed == 0 { Some(rows) } else { graph.add(Transpose { perm: vec![1, 0] }, &[rows]).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Bindings, Symbol},
        graph::text,
        opt::tests::compare_at,
    };

    /// What changes from iteration to iteration, and a sum of its products with the parts of a sequence.
    const SUM: &str = r#"
        input "x" %x
        input "h" %h
        input "w" %w
        %x = input : f32[T,N,3]
        %h = input : f32[N,4]
        %w = input : f32[3,4]
        regions 0 loop {"carried":2,"count":"T","conditional":false,"step":"s"}
        graph {
        input "h" %h
        input "sum" %sum
        input "x" %x
        %h = input : f32[N,4]
        %sum = input : f32[3,4]
        %x = input : f32[T,N,3]
        %at = slice {"start":["AT",0,0],"stride":[1,1,1],"shape":[1,"N",3]} %x
        %row = reshape {"shape":["N",3]} %at
        %turned = transpose {"perm":[1,0]} %row
        %next = unary {"f":"tanh"} %h
        %product = dot %turned %next
        %both = binary {"f":"add"} %sum %product
        output "h" %next
        output "sum" %both
        }
        end
        %y = control {"of":0,"result":0} %h %w %x
        %sum = control {"of":0,"result":1} %h %w %x
        output "y" %y
        output "sum" %sum"#;

    /// How many products are in the loop and how many behind it, and whether values stay.
    fn dots(source: &str) -> [usize; 2] {
        let graph = text::parse(source, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
        let after = add_behind(graph.clone(), &mut Fuel::unlimited());
        after.verify().unwrap();
        for (t, n) in [(0, 2), (1, 1), (5, 3), (4, 0)] {
            let bind: Bindings = [("T", t), ("N", n)].map(|(name, n)| (Symbol::new(name), n)).into();
            compare_at(&graph, &after, &bind);
        }
        let count = |graph: &Graph| {
            let live = graph.live();
            graph.iter().filter(|(id, node)| live[id.index()] && matches!(node.op, Op::Dot(_))).count()
        };
        let live = after.live();
        let body = after.ids().filter(|id| live[id.index()]).find_map(|id| after.regions(id)).unwrap().graphs()[0];
        [count(body), count(&after)]
    }

    #[test]
    fn a_sum_of_products_is_one_product() {
        assert_eq!(dots(&SUM.replace("AT", "s")), [0, 1]);
        assert_eq!(dots(&SUM.replace("AT", "T-1-s")), [0, 1]);
        // The factors the other way round, and one that is no part of a sequence.
        let turned =
            SUM.replace("AT", "s").replace("[3,4]", "[4,3]").replace("%turned = transpose {\"perm\":[1,0]} %row", "");
        let turned = turned
            .replace("%product = dot %turned %next", "%t = transpose {\"perm\":[1,0]} %next\n%product = dot %t %row");
        assert_eq!(dots(&turned), [0, 1]);
        let kept = SUM.replace("AT", "s").replace("[3,4]", "[4,4]").replace("dot %turned %next", "dot %back %next");
        let kept = kept.replace("%turned = transpose {\"perm\":[1,0]} %row", "%back = transpose {\"perm\":[1,0]} %h");
        assert_eq!(dots(&kept), [0, 1]);
    }

    #[test]
    fn a_sum_that_iterations_read_stays() {
        let read = SUM.replace("AT", "s").replace("%both = binary {\"f\":\"add\"} %sum %product", "%some = unary {\"f\":\"tanh\"} %sum\n%more = binary {\"f\":\"add\"} %sum %product\n%both = binary {\"f\":\"mul\"} %more %some");
        assert_eq!(dots(&read), [1, 0]);
        // Parts of which one comes twice.
        assert_eq!(dots(&SUM.replace("AT", "floor(s,2)")), [0, 1]);
    }

    #[test]
    fn nothing_changes_without_fuel() {
        let graph = text::parse(&SUM.replace("AT", "s"), &Default::default()).unwrap_or_else(|e| panic!("{e}"));
        assert!(add_behind(graph.clone(), &mut Fuel::of(0)) == graph);
    }
}
