//! Computes before a loop what its iterations would compute again and again, or each for a part.
//!
//! - What depends on nothing that changes is computed once.
//! - What depends on the iteration's slice of a sequence alone is computed for all slices at once: the product of each
//!   step's input with weights becomes one contraction over time, and the body takes its slice of the result.
//!
//! Only contractions and folds, with what is computed from them element by element, are worth their memory, and factors that
//! a call learns and iterations would transpose. An iteration that never runs may be computed in vain, so nothing that may
//! fault leaves its loop.

use std::sync::Arc;

use super::{
    Fuel, Rewrite,
    iterations::{Class, Whole, classes},
    rebuilt::Rebuilt,
};
use crate::{
    graph::{Graph, Loop, NodeId, Regions},
    op::{Control, ControlResult, Op},
};

pub fn hoist(graph: Graph, fuel: &mut Fuel) -> Graph {
    if !graph.iter().any(|(_, node)| matches!(node.op, Op::Control(_))) {
        return graph;
    }
    let mut done: Vec<Hoisted> = vec![];
    Rewrite::of(&graph).run(|rw, id| {
        let Op::Control(of) = &rw.node(id).op else { return None };
        let Regions::Loop(repeat) = Regions::of(&*of.control) else { return None };
        let operands: Vec<NodeId> = rw.node(id).inputs.iter().map(|&i| rw.new_of(i)).collect();
        let known = done.iter().position(|h| h.of.is_beside(of) && h.operands == operands);
        let hoisted = match known {
            Some(known) => &done[known],
            None => {
                let (control, more) = before(&mut rw.new, repeat, &operands, fuel)?;
                done.push(Hoisted { of: of.clone(), operands: operands.clone(), control, more });
                done.last()?
            }
        };
        let operands = [&operands[..], &hoisted.more].concat();
        rw.add(Op::Control(ControlResult { control: hoisted.control.clone(), result: of.result }), &operands)
    })
}

/// A loop that some results have been made of.
struct Hoisted {
    of: ControlResult,
    operands: Vec<NodeId>,
    control: Arc<dyn Control>,
    /// The operands that it has besides.
    more: Vec<NodeId>,
}

/// The loop without what can be computed before, and the values of that; none when there is nothing.
fn before(
    outer: &mut Graph,
    repeat: &Loop,
    operands: &[NodeId],
    fuel: &mut Fuel,
) -> Option<(Arc<dyn Control>, Vec<NodeId>)> {
    let body = &repeat.body;
    let classes = classes(repeat);
    let targets = targets(body, &classes);
    if targets.is_empty() || !fuel.take() {
        return None;
    }
    let mut whole = Whole::new(outer, body, &classes, operands);
    let more: Vec<NodeId> = targets.iter().map(|&id| whole.of(id)).collect::<Option<_>>()?;
    let outer = whole.outer;

    let mut inner = Rebuilt::new(body, 0..body.inputs.len());
    for (&id, &value) in targets.iter().zip(&more) {
        let input = inner.new.input(format!("before{}", inner.new.inputs.len()), outer.ty(value).clone());
        let taken = match &classes[id.index()] {
            Class::At(index) => inner.new.element(input, index).ok()?,
            _ => input,
        };
        inner.map[id.index()] = Some(taken);
    }
    let body = inner.finish(body, 0..body.outputs.len())?;
    let condition = repeat.condition.as_ref().map(|condition| {
        let mut condition = condition.clone();
        more.iter().for_each(|&value| {
            condition.input(format!("before{}", condition.inputs.len()), outer.ty(value).clone());
        });
        condition
    });
    Some((Arc::new(Loop { condition, body, ..repeat.clone() }), more))
}

/// What is worth computing before the loop and is read by what is not.
fn targets(body: &Graph, classes: &[Class]) -> Vec<NodeId> {
    let mut worth = vec![false; body.len()];
    let mut read = vec![false; body.len()];
    let live = body.live();
    let is_turned_factor = turned_factors(body, classes);
    for (id, node) in body.iter().filter(|(id, _)| live[id.index()]) {
        let heavy = matches!(node.op, Op::Dot(_) | Op::Conv(_) | Op::Reduce(_) | Op::Window(_));
        // Folds of each slice are as cheap in the loop.
        let heavy = heavy && (classes[id.index()] == Class::Fixed || matches!(node.op, Op::Dot(_) | Op::Conv(_)));
        let heavy = heavy || is_turned_factor[id.index()];
        let varies = classes[id.index()] == Class::Varying;
        worth[id.index()] = !varies && (heavy || node.inputs.iter().any(|i| worth[i.index()]));
        if varies {
            node.inputs.iter().for_each(|i| read[i.index()] = true);
        }
    }
    body.outputs.iter().for_each(|port| read[port.node.index()] = true);
    body.ids().filter(|id| worth[id.index()] && read[id.index()]).collect()
}

/// The transposed second factors of products, where no iteration changes them. Those of constants are transposed once anyway.
fn turned_factors(body: &Graph, classes: &[Class]) -> Vec<bool> {
    let mut found = vec![false; body.len()];
    for node in body.iter().map(|(_, node)| node).filter(|node| matches!(node.op, Op::Dot(_))) {
        let factor = node.inputs[1];
        let is_turned = matches!(body.op(factor), Op::Transpose(_)) && classes[factor.index()] == Class::Fixed;
        found[factor.index()] |= is_turned && !body.follows_from_constants(factor);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Bindings, Rng, Symbol},
        graph::{evaluate, random, text},
    };

    /// A recurrence: a product of each step's input and a bias, added to what is carried.
    const RECURRENCE: &str = r#"
        input "x" %x
        input "h" %h
        input "w" %w
        %x = input : f32[T,N,3]
        %h = input : f32[N,4]
        %w = input : f32[3,4]
        regions 0 loop {"carried":1,"count":"T","conditional":false,"step":"s"}
        graph {
        input "h" %h
        input "x" %x
        input "w" %w
        %h = input : f32[N,4]
        %x = input : f32[T,N,3]
        %w = input : f32[3,4]
        %at = slice {"start":["T-1-s",0,0],"stride":[1,1,1],"shape":[1,"N",3]} %x
        %row = reshape {"shape":["N",3]} %at
        %in = dot %row %w
        %bias = const [1.0,2.0,3.0,4.0] : f32[1,4]
        %wide = broadcast {"shape":["N",4]} %bias
        %biased = binary {"f":"add"} %in %wide
        %sum = binary {"f":"add"} %biased %h
        %next = unary {"f":"tanh"} %sum
        output "h" %next
        }
        end
        %y = control {"of":0,"result":0} %h %x %w
        output "y" %y"#;

    #[test]
    fn products_of_a_sequence_are_one_product() {
        let graph = text::parse(RECURRENCE, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
        let hoisted = hoist(graph.clone(), &mut Fuel::unlimited());
        hoisted.verify().unwrap();
        let dots = |graph: &Graph| graph.iter().filter(|(_, node)| matches!(node.op, Op::Dot(_))).count();
        let body = hoisted.ids().find_map(|id| hoisted.regions(id)).unwrap().graphs()[0];
        assert_eq!((dots(&hoisted), dots(body)), (1, 0), "{}", text::print(&hoisted).0);
        for (t, n) in [(0, 2), (1, 1), (5, 3), (4, 0)] {
            let bind: Bindings = [("T", t), ("N", n)].map(|(name, n)| (Symbol::new(name), n)).into();
            let mut rng = Rng::new(3);
            let inputs: Vec<_> =
                graph.inputs.iter().map(|port| random::tensor(&mut rng, graph.ty(port.node), &bind)).collect();
            let (before, after) = (evaluate(&graph, &inputs, &bind), evaluate(&hoisted, &inputs, &bind));
            let same =
                before.unwrap()[0].scalars().zip(after.unwrap()[0].scalars()).all(|(a, b)| a.same_bits(b) || a == b);
            assert!(same, "{t} {n}");
        }
    }
}
