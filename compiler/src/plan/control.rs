//! Branches and loops: their regions are planned as programs, and what these read and write are buffers of the program
//! around. A call of a function has no regions, and is placed as they are.
//!
//! A carried value that the body changes where it lies (see `fuse/home.rs`) has one place, the result's; any other has
//! two, of which an iteration reads one and writes the other.

use super::{
    Carried, Flow, FlowKind, Given, LoopPlan, Place, Planner, Program, Role, StorageId, Yield, plan_region,
    program::most,
};
use crate::{
    base::Dim,
    graph::{Call, Graph, Loop, NodeId, Regions},
    op::{Attribute, Cast, ControlResult, Op},
    tensor::{DType, TensorType},
};

impl Planner<'_, '_> {
    /// Plans what the node `id` is a result of, unless it was planned for another result.
    pub(super) fn control(&mut self, id: NodeId, of: &ControlResult) {
        let graph = self.cx.graph;
        let beside = |other: NodeId| {
            matches!(graph.op(other), Op::Control(o) if o.is_beside(of))
                && graph.node(other).inputs == graph.node(id).inputs
        };
        let siblings: Vec<NodeId> =
            graph.ids().filter(|&other| self.cx.fusion.role(other) != Role::Dead && beside(other)).collect();
        if siblings.first() != Some(&id) {
            return;
        }
        let regions = Regions::of(&*of.control);
        let name = self.names.kernel(graph, id, id, regions.name());
        let inputs = &graph.node(id).inputs;
        let types: Vec<&TensorType> = inputs.iter().map(|&i| graph.ty(i)).collect();
        let results = of.control.infer(&types).expect("the node has a type");
        let results = results.iter().enumerate().map(|(n, ty)| self.result(&siblings, n, ty)).collect();
        let mut operands: Vec<StorageId> = inputs.iter().map(|&i| self.operand(i)).collect();
        let kind = match regions {
            Regions::If(branch) => {
                let which = operands.remove(0);
                let branches = branch.branches.iter().map(|graph| self.region(graph)).collect();
                FlowKind::If { which, branches }
            }
            Regions::Loop(repeat) => FlowKind::Loop(Box::new(self.repeat(repeat))),
            Regions::Call(call) => FlowKind::Call(Box::new(call.clone()), self.tables(call)),
        };
        let scratch = self.new_storage(&TensorType::new(DType::U8, vec![Dim::zero()]), Place::Workspace(Dim::zero()));
        let origin = graph.origin(id).map(|origin| origin.to_string());
        let flow = Flow { name, at: self.launches.len(), kind, operands, results, scratch, origin };
        let bytes = flow.programs().iter().fold(Dim::zero(), |most, program| most.at_least(&program.workspace));
        self.storage[scratch].len = most(&self.found, &bytes);
        for program in flow.programs() {
            // What depends on sizes that are found within is checked there.
            let outer = program.guards.iter().filter(|guard| program.last_found(guard.dims()).is_none());
            for guard in outer {
                if !self.inner_guards.contains(guard) {
                    self.inner_guards.push(guard.clone());
                }
            }
        }
        self.flows.push(flow);
    }

    /// The buffer of a result: that of the node that stands for it, if one does.
    fn result(&mut self, siblings: &[NodeId], n: usize, ty: &TensorType) -> StorageId {
        let graph = self.cx.graph;
        let is = |id: &&NodeId| matches!(graph.op(**id), Op::Control(of) if of.result == n);
        let Some(&node) = siblings.iter().find(is) else {
            return self.new_storage(ty, Place::Workspace(Dim::zero()));
        };
        let buffer = self.cx.fusion.container(node);
        if let Some(&known) = self.of_node.get(&buffer) {
            return known;
        }
        let new = self.new_storage(self.cx.graph.ty(buffer), Place::Workspace(Dim::zero()));
        self.of_node.insert(buffer, new);
        new
    }
    /// The buffer of what a region reads.
    fn operand(&mut self, id: NodeId) -> StorageId {
        let id = self.cx.fusion.behind_reshapes(self.cx.graph, id);
        self.storage_of(self.cx.fusion.container(id))
    }

    /// The constants that hold the attributes of a call which are no numbers.
    fn tables(&mut self, call: &Call) -> Vec<Option<StorageId>> {
        let mut table = |attribute: &Attribute| {
            let value = attribute.table()?;
            let id = self.cx.weights.add(value);
            Some(self.weights_storage(id))
        };
        call.attributes.iter().map(|(_, attribute)| table(attribute)).collect()
    }

    fn region(&mut self, graph: &Graph) -> Program {
        self.given(graph, Given::default()).0
    }
    fn given(&mut self, graph: &Graph, given: Given<'_>) -> (Program, Vec<bool>) {
        plan_region("", graph, self.cx.target, self.cx.weights, self.names, given)
    }

    fn repeat(&mut self, repeat: &Loop) -> LoopPlan {
        let inputs = |n: usize| repeat.body.inputs[n].node;
        let yields: Vec<Yield> = (0..repeat.carried).map(|n| Yield { input: inputs(n), output: n }).collect();
        let given = Given { yields: &yields, step: Some(repeat.step.clone()), ..Given::default() };
        let (body, in_place) = self.given(&repeat.body, given);
        let types: Vec<TensorType> = (0..repeat.carried).map(|n| repeat.body.ty(inputs(n)).clone()).collect();
        let carried: Vec<Carried> = (0..repeat.carried)
            .map(|n| match in_place[n] {
                true => Carried::InPlace,
                false => Carried::ByTurns(self.new_storage(&types[n], Place::Workspace(Dim::zero()))),
            })
            .collect();
        let copy = |planner: &mut Self, in_place: bool| {
            let is = |n: &usize| matches!(carried[*n], Carried::InPlace) == in_place;
            // What the body assumes may be of sizes that are found there.
            let mut graph = Graph::default();
            for n in (0..repeat.carried).filter(is) {
                let input = graph.input(format!("x{n}"), types[n].clone());
                graph.output(format!("y{n}"), input);
            }
            planner.region(&graph)
        };
        let (begin, end) = (copy(self, true), copy(self, false));
        let condition = repeat.condition.as_ref().map(|graph| {
            let flag = self.new_storage(&TensorType::scalar(DType::I64), Place::Workspace(Dim::zero()));
            (self.region(&counted(graph)), flag)
        });
        LoopPlan { count: repeat.count.clone(), step: repeat.step.clone(), condition, body, carried, begin, end }
    }
}

/// The graph with its one output, a truth value, as a number.
fn counted(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    let port = graph.outputs.pop().expect("a condition has one output");
    let number = graph.add(Cast { to: DType::I64 }, &[port.node]).expect("a truth value is a number");
    graph.output(port.name, number);
    graph
}
