//! Drops what loops carry for nothing: values that never change, values that no result needs, and values that are another
//! one in another shape after every iteration.

use std::sync::Arc;

use super::{Fuel, Rewrite, rebuilt::Rebuilt};
use crate::{
    base::dim::NoVars,
    graph::{Graph, Loop, NodeId, Regions},
    op::{Control, ControlResult, Op},
};

pub fn drop_carried(graph: Graph, fuel: &mut Fuel) -> Graph {
    if !graph.iter().any(|(_, node)| matches!(node.op, Op::Control(_))) {
        return graph;
    }
    let live = graph.live();
    let mut done: Vec<Lighter> = vec![];
    Rewrite::of(&graph).run(|rw, id| {
        let node = rw.node(id);
        let Op::Control(of) = &node.op else { return None };
        let Regions::Loop(repeat) = Regions::of(&*of.control) else { return None };
        let same = |l: &Lighter| l.of.is_beside(of) && l.inputs == node.inputs;
        let known = match done.iter().position(same) {
            Some(known) => known,
            None => {
                let beside = |other: &ControlResult| other.is_beside(of);
                let results = graph.iter().filter(|(id, n)| live[id.index()] && n.inputs == node.inputs);
                let wanted = results.filter_map(|(_, n)| match &n.op {
                    Op::Control(other) if beside(other) => Some(other.result),
                    _ => None,
                });
                let lighter = lighter(repeat, &wanted.collect::<Vec<_>>(), fuel);
                let (loop_, fates) = lighter.map_or((None, vec![]), |(loop_, fates)| (Some(loop_), fates));
                done.push(Lighter { of: of.clone(), inputs: node.inputs.clone(), loop_, fates });
                done.len() - 1
            }
        };
        let Lighter { loop_: Some(loop_), fates, .. } = &done[known] else { return None };
        let operands: Vec<NodeId> = loop_.operands.iter().map(|&n| rw.new_of(node.inputs[n])).collect();
        let result = |rw: &mut Rewrite<'_>, result: usize| {
            rw.add(Op::Control(ControlResult { control: loop_.control.clone(), result }), &operands)
        };
        match fates[of.result] {
            Fate::Kept(n) => result(rw, n),
            Fate::Fixed => Some(rw.new_of(node.inputs[of.result])),
            Fate::Like(n) => {
                let other = result(rw, n)?;
                rw.reshape(other, &node.ty.shape)
            }
            Fate::Unwanted => None,
        }
    })
}

/// A loop that some results have been made of; none where it stays as it is.
struct Lighter {
    of: ControlResult,
    inputs: Vec<NodeId>,
    loop_: Option<LighterLoop>,
    fates: Vec<Fate>,
}

struct LighterLoop {
    control: Arc<dyn Control>,
    /// Its operands, by their numbers before.
    operands: Vec<usize>,
}

/// What becomes of a carried value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Carried still, under this number.
    Kept(usize),
    /// What it was before the loop.
    Fixed,
    /// The value of this number, in another shape.
    Like(usize),
    Unwanted,
}

/// The loop with less to carry, if there is less, where these results are wanted.
fn lighter(repeat: &Loop, wanted: &[usize], fuel: &mut Fuel) -> Option<(LighterLoop, Vec<Fate>)> {
    let body = &repeat.body;
    let (carried, count) = (repeat.carried, body.inputs.len());
    let input = |n: usize| body.inputs[n].node;
    let output = |n: usize| body.outputs[n].node;
    let fixed = |n: &usize| output(*n) == input(*n);

    let mut needed = vec![false; carried];
    let mut open: Vec<usize> = wanted.to_vec();
    if let Some(condition) = &repeat.condition {
        let read = reads(condition, condition.outputs[0].node);
        open.extend((0..carried).filter(|&n| read[condition.inputs[n].node.index()]));
    }
    // What is read to make a value that is needed, which an input alone does not say: results may be wanted for themselves.
    let mut read_by_any = vec![false; carried];
    open.iter().filter(|n| !wanted.contains(n)).for_each(|&n| read_by_any[n] = true);
    while let Some(n) = open.pop() {
        if std::mem::replace(&mut needed[n], true) {
            continue;
        }
        let read = reads(body, output(n));
        for m in (0..carried).filter(|&m| read[input(m).index()]) {
            read_by_any[m] |= !fixed(&n);
            open.push(m);
        }
    }

    // A value that no iteration reads is what the last one made of it, if there was one.
    let runs = repeat.condition.is_none() && repeat.count.as_ref().is_some_and(|n| (n - 1).is_nonneg(&NoVars));
    let behind = |n: usize| behind_reshapes(body, output(n));
    let like = |n: usize| {
        let free = runs && needed[n] && !fixed(&n) && !read_by_any[n];
        // Of several that are alike and not read, the first one stays.
        let stays = |m: usize| needed[m] && !fixed(&m) && m != n && (read_by_any[m] || m < n);
        (0..carried).find(|&m| free && stays(m) && behind(m) == behind(n))
    };
    let likes: Vec<Option<usize>> = (0..carried).map(like).collect();
    let kept: Vec<usize> = (0..carried).filter(|&n| needed[n] && !fixed(&n) && likes[n].is_none()).collect();
    if kept.len() == carried || kept.is_empty() || !fuel.take() {
        return None;
    }
    let number = |n: usize| kept.iter().position(|&k| k == n);
    let fates = (0..carried).map(|n| match (number(n), likes[n]) {
        (Some(kept), _) => Fate::Kept(kept),
        (None, Some(other)) => number(other).map_or(Fate::Unwanted, Fate::Like),
        (None, None) if fixed(&n) => Fate::Fixed,
        _ => Fate::Unwanted,
    });
    let stays = (0..carried).filter(|n| fixed(n) && (needed[*n] || read_by_any[*n]));
    let operands: Vec<usize> = kept.iter().copied().chain(carried..count).chain(stays).collect();
    let new_body = Rebuilt::new(body, operands.iter().copied()).finish(body, kept.iter().copied())?;
    let condition = match &repeat.condition {
        Some(old) => Some(Rebuilt::new(old, operands.iter().copied()).finish(old, [0])?),
        None => None,
    };
    let new = Loop { carried: kept.len(), condition, body: new_body, ..repeat.clone() };
    Some((LighterLoop { control: Arc::new(new), operands }, fates.collect()))
}

/// The nodes that one is made of, or that find sizes.
fn reads(graph: &Graph, from: NodeId) -> Vec<bool> {
    graph.needed(graph.binds().map(|(id, _)| id).chain([from]))
}

fn behind_reshapes(graph: &Graph, mut id: NodeId) -> NodeId {
    while let Op::Reshape(_) = graph.op(id) {
        id = graph.node(id).inputs[0];
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Bindings, Rng, Symbol},
        graph::{evaluate, random, text},
    };

    /// A sum, the same in another shape, a value that stays, and one that nobody wants.
    const LOOP: &str = r#"
        input "a" %a
        input "b" %b
        %a = input : f32[N]
        %b = input : f32[1,N]
        regions 0 loop {"carried":4,"count":3,"conditional":false,"step":"s"}
        graph {
        input "sum" %sum
        input "like" %like
        input "stays" %stays
        input "lost" %lost
        %sum = input : f32[N]
        %like = input : f32[1,N]
        %stays = input : f32[N]
        %lost = input : f32[N]
        %next = binary {"f":"add"} %sum %stays
        %row = reshape {"shape":[1,"N"]} %next
        %more = binary {"f":"add"} %lost %next
        output "sum" %next
        output "like" %row
        output "stays" %stays
        output "lost" %more
        }
        end
        %like = control {"of":0,"result":1} %a %b %a %a
        %stays = control {"of":0,"result":2} %a %b %a %a
        output "like" %like
        output "stays" %stays"#;

    fn lighter(text: &str) -> (Graph, usize) {
        let graph = text::parse(text, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
        let light = drop_carried(graph.clone(), &mut Fuel::unlimited());
        light.verify().unwrap();
        let carried = light.ids().find_map(|id| match light.regions(id) {
            Some(Regions::Loop(repeat)) => Some(repeat.carried),
            _ => None,
        });
        for n in [0, 1, 5] {
            let bind: Bindings = [(Symbol::new("N"), n)].into();
            let mut rng = Rng::new(3);
            let inputs: Vec<_> =
                graph.inputs.iter().map(|port| random::tensor(&mut rng, graph.ty(port.node), &bind)).collect();
            assert_eq!(evaluate(&graph, &inputs, &bind), evaluate(&light, &inputs, &bind));
        }
        (light, carried.unwrap())
    }

    #[test]
    fn a_loop_carries_what_it_needs() {
        assert_eq!(lighter(LOOP).1, 1);
        // Without an iteration the value in another shape is what it was.
        let perhaps = LOOP.replace("\"count\":3", "\"count\":\"N\"");
        assert_eq!(lighter(&perhaps).1, 2);
    }
}
