//! Values that outlive calls: an entry finds them in a block of memory, and leaves new ones there.
//!
//! A call that fails leaves the block as it was. So a new value is made elsewhere, and the last kernels of the program,
//! which cannot fail, bring it to its place: unless it can be made there. That is so where nothing can fail once its
//! first kernel has begun, and where nobody reads the old value any more by then: that kernel may read it where it
//! writes, as in [`inplace`]. What a scatter changes, and nobody else reads, is changed in its place (`fuse/home.rs`).

use std::ops::Range;

use super::{
    Access, Chain, Flow, Launch, Place, Planner, Program, Resident, Storage, StorageId, Unit, Yield, inplace, map,
    program::units,
};
use crate::{
    base::{Arena, Dim},
    graph::{Graph, NodeId},
};

/// What an entry does with the block, if it has values there.
pub fn access(residents: &[Resident]) -> Option<Access> {
    let changes = residents.iter().any(|resident| resident.output.is_some());
    (!residents.is_empty()).then_some(if changes { Access::Changes } else { Access::Reads })
}

/// The inputs and outputs that may have one place, where `tried` says so.
pub fn yields(graph: &Graph, residents: &[Resident], tried: &[bool]) -> Vec<Yield> {
    let tried = residents.iter().zip(tried).filter(|(_, tried)| **tried).map(|(resident, _)| resident);
    tried.filter_map(|r| Some(Yield { input: graph.inputs[r.input].node, output: r.output? })).collect()
}

/// Whether the program can fail once what lies there has begun to change.
pub fn fails_late(program: &Program, at: u64) -> bool {
    let Program { launches, chains, flows, storage, .. } = program;
    let turns = Turns::of(launches, chains, flows, storage);
    // Values that were made elsewhere come last, where nothing fails.
    let begin = turns.first(&|n, id| turns.writes(n, id) && storage[id].place == Place::State(at));
    begin.is_some_and(|begin| turns.fails_from(begin))
}

/// The launches of a program in turns.
struct Turns<'p> {
    launches: &'p [Launch],
    chains: &'p [Chain],
    flows: &'p [Flow],
    storage: &'p Arena<Storage>,
    units: Vec<Unit>,
}

impl<'p> Turns<'p> {
    fn of(launches: &'p [Launch], chains: &'p [Chain], flows: &'p [Flow], storage: &'p Arena<Storage>) -> Turns<'p> {
        Turns { launches, chains, flows, storage, units: units(launches.len(), chains, flows) }
    }
    fn launches(&self, unit: Unit) -> Range<usize> {
        match unit {
            Unit::Launch(n) => n..n + 1,
            Unit::Chain(c) => self.chains[c].launches.clone(),
            Unit::Flow(_) => 0..0,
        }
    }
    /// The first turn of a launch that does this with a buffer.
    fn first(&self, does: &dyn Fn(usize, StorageId) -> bool) -> Option<usize> {
        let any = |unit: &Unit| self.launches(*unit).any(|n| self.launches[n].args.iter().any(|&id| does(n, id)));
        self.units.iter().position(any)
    }
    fn writes(&self, n: usize, id: StorageId) -> bool {
        self.launches[n].writes(id).is_some()
    }
    fn fails_from(&self, begin: usize) -> bool {
        // What is found may be out of bounds.
        let fails = |launch: &Launch| launch.kernel.can_fail() || launch.binds.is_some();
        let any = |program: &Program| program.launches.iter().any(fails) || program.calls().next().is_some();
        self.units[begin..].iter().any(|&unit| match unit {
            Unit::Flow(f) if self.flows[f].call().is_some() => true,
            Unit::Flow(f) => self.flows[f].programs().into_iter().flat_map(Program::all).any(any),
            unit => self.launches(unit).any(|n| fails(&self.launches[n])),
        })
    }

    /// Whether the buffer `new` of the workspace may lie where the old value is that it takes the place of.
    fn may_settle(&self, new: StorageId, at: u64) -> bool {
        let is_old = |id: StorageId| self.storage[id].place == Place::State(at);
        let of_flows = |id: StorageId| self.flows.iter().any(|flow| flow.buffers().contains(&id));
        let Some(begin) = self.first(&|n, id| id == new && self.writes(n, id)) else { return false };
        let lies_apart = matches!(self.storage[new].place, Place::Workspace(_));
        if !lies_apart || of_flows(new) || self.storage.ids().any(|id| is_old(id) && of_flows(id)) {
            return false;
        }
        let fine = |turn: usize, n: usize| {
            let launch = &self.launches[n];
            let at_once = |old| launch.writes(new).is_some_and(|new| inplace::may_overwrite(&launch.kernel, old, new));
            let mut buffers = launch.kernel.buffers.iter().zip(&launch.args).filter(|(_, arg)| is_old(**arg));
            buffers.all(|((old, _), _)| turn < begin || turn == begin && at_once(old))
        };
        let mut all =
            self.units.iter().enumerate().flat_map(|(turn, &unit)| self.launches(unit).map(move |n| (turn, n)));
        all.all(|(turn, n)| fine(turn, n)) && !self.fails_from(begin)
    }
}

impl Planner<'_, '_> {
    /// The inputs that callers see, which come first.
    pub(super) fn visible_inputs(&self) -> usize {
        self.cx.graph.inputs.len() - self.residents.len()
    }
    pub(super) fn visible_outputs(&self) -> usize {
        self.cx.graph.outputs.len() - self.residents.iter().filter(|resident| resident.output.is_some()).count()
    }
    /// Whether a value is changed where it lies.
    fn is_home(&self, resident: &Resident) -> bool {
        self.cx.fusion.home(self.cx.graph.inputs[resident.input].node).is_some()
    }
    fn source(&self, resident: &Resident) -> Option<NodeId> {
        Some(self.cx.fusion.behind_reshapes(self.cx.graph, self.cx.graph.outputs[resident.output?].node))
    }

    /// Gives the values that are changed where they lie their places.
    pub(super) fn bind_homes(&mut self) {
        let residents = self.residents;
        for resident in residents {
            if !self.is_home(resident) {
                continue;
            }
            let id = self.source(resident).expect("what has a home has an output");
            let storage = self.new_storage(self.cx.graph.ty(id), Place::State(resident.at));
            self.of_node.insert(id, storage);
        }
    }

    /// Brings the other new values to their places, behind everything else.
    pub(super) fn keep(&mut self) {
        let graph = self.cx.graph;
        let elsewhere = self.residents.iter().filter(|resident| !self.is_home(resident));
        let moves: Vec<(NodeId, u64)> = elsewhere.filter_map(|r| Some((self.source(r)?, r.at))).collect();
        // What is the old value of another one is read before that one changes.
        for &(from, _) in &moves {
            let known = self.of_node.get(&from);
            if known.is_some_and(|&id| matches!(self.storage[id].place, Place::State(_))) {
                let aside = self.new_storage(graph.ty(from), Place::Workspace(Dim::zero()));
                self.copy(from, "aside", aside);
                self.of_node.insert(from, aside);
            }
        }
        for (from, at) in moves {
            if let Some(&id) = self.of_node.get(&from)
                && Turns::of(&self.launches, &self.chains, &self.flows, &self.storage).may_settle(id, at)
            {
                self.storage[id].place = Place::State(at);
                continue;
            }
            let ty = graph.ty(from);
            let to = self.storage.push(Storage { dtype: ty.dtype, len: ty.count(), place: Place::State(at) });
            self.copy(from, "keep", to);
        }
    }
    fn copy(&mut self, from: NodeId, what: &str, to: StorageId) {
        let site = map::copy(&self.cx, from);
        self.launch_into(site, from, from, what, to, None);
    }
}
