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
    let mut seen: Vec<Seen> = vec![];
    Rewrite::of(&graph).run(|rw, id| {
        let node = rw.node(id);
        let Op::Control(of) = &node.op else { return None };
        let Regions::Loop(repeat) = Regions::of(&*of.control) else { return None };
        let same = |s: &Seen| s.of.is_beside(of) && s.inputs == node.inputs;
        let number = seen.iter().position(same).unwrap_or_else(|| {
            let beside = graph.iter().filter(|(id, n)| live[id.index()] && n.inputs == node.inputs);
            let wanted = beside.filter_map(|(_, n)| match &n.op {
                Op::Control(other) if other.is_beside(of) => Some(other.result),
                _ => None,
            });
            let lighter = lighter(repeat, &wanted.collect::<Vec<_>>(), fuel);
            seen.push(Seen { of: of.clone(), inputs: node.inputs.clone(), lighter });
            seen.len() - 1
        });
        let Lighter { control, operands, fates } = seen[number].lighter.as_ref()?;
        let operands: Vec<NodeId> = operands.iter().map(|&n| rw.new_of(node.inputs[n])).collect();
        let mut result =
            |result: usize| rw.add(Op::Control(ControlResult { control: control.clone(), result }), &operands);
        match fates[of.result] {
            Fate::Kept(n) => result(n),
            Fate::Fixed => Some(rw.new_of(node.inputs[of.result])),
            Fate::Like(n) => {
                let other = result(n)?;
                rw.reshape(other, &node.ty.shape)
            }
            Fate::Unwanted => None,
        }
    })
}

/// A loop, some result of which has been looked at.
struct Seen {
    of: ControlResult,
    inputs: Vec<NodeId>,
    /// None where it stays as it is.
    lighter: Option<Lighter>,
}

/// A loop with less to carry.
struct Lighter {
    control: Arc<dyn Control>,
    /// Its operands, by their numbers before.
    operands: Vec<usize>,
    /// What became of each value that was carried before.
    fates: Vec<Fate>,
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

/// Which carried values of a loop are needed, by their numbers, and for what.
struct Needs<'a> {
    repeat: &'a Loop,
    /// For a result that is wanted, or to make another one that is needed.
    needed: Vec<bool>,
    /// The iterations or the condition read it.
    read: Vec<bool>,
}

impl<'a> Needs<'a> {
    fn of(repeat: &'a Loop, wanted: &[usize]) -> Needs<'a> {
        let carried = repeat.carried;
        let mut needs = Needs { repeat, needed: vec![false; carried], read: vec![false; carried] };
        let mut open = wanted.to_vec();
        if let Some(condition) = &repeat.condition {
            let reads = reads(condition, condition.outputs[0].node);
            let asked = (0..carried).filter(|&n| reads[condition.inputs[n].node.index()]);
            open.extend(asked.inspect(|&n| needs.read[n] = true));
        }
        while let Some(n) = open.pop() {
            if std::mem::replace(&mut needs.needed[n], true) {
                continue;
            }
            let reads = reads(&repeat.body, needs.output(n));
            let made = !needs.is_fixed(n);
            for m in (0..carried).filter(|&m| reads[repeat.body.inputs[m].node.index()]) {
                needs.read[m] |= made;
                open.push(m);
            }
        }
        needs
    }
    fn input(&self, n: usize) -> NodeId {
        self.repeat.body.inputs[n].node
    }
    fn output(&self, n: usize) -> NodeId {
        self.repeat.body.outputs[n].node
    }
    /// Whether iterations give it back as it was.
    fn is_fixed(&self, n: usize) -> bool {
        self.output(n) == self.input(n)
    }
    fn is_made(&self, n: usize) -> bool {
        self.needed[n] && !self.is_fixed(n)
    }
    /// The value that this one is in another shape: what no iteration reads is what the last one made, if there was one.
    fn like(&self, n: usize) -> Option<usize> {
        let repeat = self.repeat;
        let runs = repeat.condition.is_none() && repeat.count.as_ref().is_some_and(|n| (n - 1).is_nonneg(&NoVars));
        let behind = |n: usize| behind_reshapes(&repeat.body, self.output(n));
        // Of several that are alike and not read, the first one stays.
        let stays = |m: usize| self.is_made(m) && m != n && (self.read[m] || m < n);
        let free = runs && self.is_made(n) && !self.read[n];
        (0..repeat.carried).find(|&m| free && stays(m) && behind(m) == behind(n))
    }
}

/// The loop with less to carry, if there is less, where these results are wanted.
fn lighter(repeat: &Loop, wanted: &[usize], fuel: &mut Fuel) -> Option<Lighter> {
    let needs = Needs::of(repeat, wanted);
    let (body, carried) = (&repeat.body, repeat.carried);
    let likes: Vec<Option<usize>> = (0..carried).map(|n| needs.like(n)).collect();
    let kept: Vec<usize> = (0..carried).filter(|&n| needs.is_made(n) && likes[n].is_none()).collect();
    if kept.len() == carried || kept.is_empty() || !fuel.take() {
        return None;
    }
    let number = |n: usize| kept.iter().position(|&k| k == n);
    let fate = |n: usize| match (number(n), likes[n]) {
        (Some(kept), _) => Fate::Kept(kept),
        (None, Some(other)) => number(other).map_or(Fate::Unwanted, Fate::Like),
        (None, None) if needs.is_fixed(n) => Fate::Fixed,
        (None, None) => Fate::Unwanted,
    };
    let fates = (0..carried).map(fate).collect();
    let stays = (0..carried).filter(|&n| needs.is_fixed(n) && (needs.needed[n] || needs.read[n]));
    let operands: Vec<usize> = kept.iter().copied().chain(carried..body.inputs.len()).chain(stays).collect();
    let new_body = Rebuilt::new(body, operands.iter().copied()).finish(body, kept.iter().copied())?;
    let condition = match &repeat.condition {
        Some(old) => Some(Rebuilt::new(old, operands.iter().copied()).finish(old, [0])?),
        None => None,
    };
    let control = Arc::new(Loop { carried: kept.len(), condition, body: new_body, ..repeat.clone() });
    Some(Lighter { control, operands, fates })
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
