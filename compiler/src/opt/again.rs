//! Runs a loop once where another one runs the same iterations and carries more: a step of training keeps what iterations
//! began with, for their gradients, and its own results are those of the loop that keeps nothing.
//!
//! That another loop does the same shows in its body, which begins with the same nodes. What it carries beyond must follow
//! from constants, so that it is there wherever the first loop runs.

use super::{Fuel, Rewrite};
use crate::{
    graph::{Graph, Loop, NodeId, Regions},
    op::{ControlResult, Op},
};

pub fn run_once(graph: Graph, fuel: &mut Fuel) -> Graph {
    let runs = runs(&graph);
    let constant = constant(&graph);
    let mut pairs: Vec<Pair> = vec![];
    for (less, a) in runs.iter().enumerate() {
        let more = runs.iter().position(|b| carries_more(a, b, &constant));
        // A loop is in one pair: where a third one does still more, both are left.
        let is_taken = |n: usize| pairs.iter().any(|pair| [pair.less, pair.more].contains(&n));
        if let Some(more) = more.filter(|&more| !is_taken(less) && !is_taken(more) && fuel.take()) {
            pairs.push(Pair { less, more, operands: None });
        }
    }
    if pairs.is_empty() {
        return graph;
    }
    Rewrite::of(&graph).run(|rw, id| {
        let node = rw.node(id);
        let Op::Control(of) = &node.op else { return None };
        let is_of = |n: usize| runs[n].of.is_beside(of) && runs[n].inputs == node.inputs;
        let pair = pairs.iter_mut().find(|pair| is_of(pair.less) || is_of(pair.more))?;
        let more = &runs[pair.more];
        let operands = match pair.operands.clone() {
            Some(operands) => operands,
            None => {
                let beyond = runs[pair.less].repeat.carried..more.repeat.carried;
                let operands = more.inputs.iter().enumerate().map(|(n, &input)| match beyond.contains(&n) {
                    true => made_again(rw, input),
                    false => Some(rw.new_of(input)),
                });
                pair.operands.insert(operands.collect::<Option<Vec<NodeId>>>()?).clone()
            }
        };
        let result = ControlResult { control: more.of.control.clone(), result: of.result };
        rw.add(Op::Control(result), &operands)
    })
}

/// A loop with its operands.
struct Run<'g> {
    of: &'g ControlResult,
    repeat: &'g Loop,
    inputs: &'g [NodeId],
}

/// Two loops of which one does what both do, by their numbers.
struct Pair {
    less: usize,
    more: usize,
    /// Of the one that is left, once it is in the new graph.
    operands: Option<Vec<NodeId>>,
}

/// The loops of a graph, each once, in order.
fn runs(graph: &Graph) -> Vec<Run<'_>> {
    let live = graph.live();
    let mut runs: Vec<Run<'_>> = vec![];
    for (_, node) in graph.iter().filter(|(id, _)| live[id.index()]) {
        let Op::Control(of) = &node.op else { continue };
        let Regions::Loop(repeat) = Regions::of(&*of.control) else { continue };
        if !runs.iter().any(|run| run.of.is_beside(of) && *run.inputs == node.inputs) {
            runs.push(Run { of, repeat, inputs: &node.inputs });
        }
    }
    runs
}

/// Which nodes are made of constants alone.
fn constant(graph: &Graph) -> Vec<bool> {
    let mut constant = vec![false; graph.len()];
    for (id, node) in graph.iter() {
        let alone = !matches!(node.op, Op::Input | Op::Control(_) | Op::Bind(_) | Op::Extent(_));
        constant[id.index()] = alone && node.inputs.iter().all(|i| constant[i.index()]);
    }
    constant
}

/// Whether `b` does all that `a` does, for as long, and its first results are those of `a`.
fn carries_more(a: &Run<'_>, b: &Run<'_>, constant: &[bool]) -> bool {
    let (less, more) = (a.repeat, b.repeat);
    let (few, many) = (less.carried, more.carried);
    let alike = few < many && less.count.is_some() && less.count == more.count && less.step == more.step;
    if !alike || less.condition.is_some() || more.condition.is_some() {
        return false;
    }
    let same_operands = a.inputs[..few] == b.inputs[..few] && a.inputs[few..] == b.inputs[many..];
    let (x, y) = (&less.body, &more.body);
    let ports = |graph: &Graph, from: usize, to: usize| -> Vec<NodeId> {
        graph.inputs[from..to].iter().map(|port| port.node).collect()
    };
    let same_ports = ports(x, 0, few) == ports(y, 0, few)
        && ports(x, few, x.inputs.len()) == ports(y, many, y.inputs.len())
        && x.outputs.iter().zip(&y.outputs).all(|(a, b)| a.node == b.node);
    let begins = || x.len() <= y.len() && x.iter().zip(y.iter()).all(|((_, a), (_, b))| a == b);
    same_operands && same_ports && b.inputs[few..many].iter().all(|i| constant[i.index()]) && begins()
}

/// A node that is made of constants, added to the new graph with all that it is made of.
fn made_again(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    if let Op::Const(value) = &node.op {
        return Some(rw.new.constant(value.clone()));
    }
    let operands: Option<Vec<NodeId>> = node.inputs.iter().map(|&input| made_again(rw, input)).collect();
    rw.add(node.op.clone(), &operands?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Bindings, Rng},
        graph::{evaluate, random, text},
    };

    /// A sum of ten turns, and its gradient by a loop that keeps what each began with.
    fn learned(count: &str) -> Graph {
        let text = format!(
            r#"
            input "a" %a
            input "b" %b
            %a = input : f32[4]
            %b = input : f32[4]
            regions 0 loop {{"carried":1,"count":{count},"conditional":false,"step":"s"}}
            graph {{
            input "x" %x
            input "stays" %stays
            %x = input : f32[4]
            %stays = input : f32[4]
            %square = binary {{"f":"mul"}} %x %x
            %next = binary {{"f":"mul"}} %square %stays
            output "next" %next
            }}
            end
            %y = control {{"of":0,"result":0}} %a %b
            output "y" %y"#
        );
        let mut graph = text::parse(&text, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
        let (y, a) = (graph.outputs[0].node, graph.inputs[0].node);
        let weight = graph.constant(crate::tensor::Tensor::from_f32([4], &[1.0; 4]));
        let gradient = graph.gradients(&[(y, weight)], &[a]).unwrap_or_else(|e| panic!("{e:?}"))[0];
        graph.output("gradient", gradient);
        graph
    }

    #[test]
    fn a_loop_that_keeps_more_takes_the_place_of_one_that_keeps_less() {
        for count in ["3", "1"] {
            let before = learned(count);
            assert_eq!(runs(&before).len(), 3);
            let after = run_once(before.clone(), &mut Fuel::unlimited());
            after.verify().unwrap();
            assert_eq!(runs(&after).len(), 2);
            let (mut rng, bind) = (Rng::new(7), Bindings::new());
            let inputs: Vec<_> =
                before.inputs.iter().map(|port| random::tensor(&mut rng, before.ty(port.node), &bind)).collect();
            assert_eq!(evaluate(&before, &inputs, &bind).unwrap(), evaluate(&after, &inputs, &bind).unwrap());
            assert!(run_once(before.clone(), &mut Fuel::of(0)) == before);
        }
    }
}
