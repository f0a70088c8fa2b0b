//! Branches and loops: programs within a program. Calls of functions are routines like them.
//!
//! A region finds its inputs, outputs and symbols in an io struct as a caller's, which the routine keeps on its stack, and
//! its workspace within that of the program around. Iterations of a loop differ by what stands in the io struct: the
//! number of the iteration, and where the carried values are.

use super::{
    Compare, Field, Op, Routine, Slots, Type, Value, VarId, WordOp,
    compose::Numbers,
    foreign, found,
    frame::FRAME_BYTES,
    place,
    run::units,
    sizes::{Sizes, kept},
    write::{Writer, write},
};
use crate::{
    base::Symbol,
    plan::{Carried, Flow, FlowKind, LoopPlan, Program, StorageId},
};

/// `void flow(frame, begin, end)`: a branch or loop, or a call, in place of a kernel. The other parameters are not read.
pub(super) fn flow(model: &Numbers<'_>, entry: usize, number: usize, flow: usize) -> Routine {
    let program = model.entries[entry].program(number);
    let inner = &model.of[entry].programs[number].inner[flow];
    let flow = &program.flows[flow];
    write(model, &[Type::Address, Type::Word, Type::Word], None, |w, params| {
        let frame = params[0];
        let io = w.load(frame, Field::Io);
        let sizes = Sizes::in_frame(w, program, io, frame);
        let mut around = Around { entry, program, inner, frame, io, sizes };
        match &flow.kind {
            FlowKind::If { which, branches } => around.branch(w, flow, *which, branches),
            FlowKind::Loop(plan) => around.repeat(w, flow, plan),
            FlowKind::Call(call, tables) => {
                let function = model.foreign(&call.symbol);
                let (operands, results) = (around.addresses(w, &flow.operands), around.addresses(w, &flow.results));
                let tables: Vec<_> = tables.iter().map(|table| table.map(|id| around.address(w, id))).collect();
                foreign::call(w, &mut around.sizes, frame, (call, function), (&operands, &results), &tables);
            }
        }
    })
}

/// The program around, and its call.
struct Around<'a> {
    entry: usize,
    program: &'a Program,
    /// The numbers of the flow's programs.
    inner: &'a [usize],
    frame: VarId,
    io: VarId,
    sizes: Sizes<'a>,
}

/// A region's memory, ready to run.
struct Region<'a> {
    program: &'a Program,
    number: usize,
    io: VarId,
    frame: VarId,
    /// Of its symbols, in their order; zero for the number of the iteration.
    symbols: Vec<Value>,
}

impl<'a> Around<'a> {
    /// Where a buffer is.
    fn address(&mut self, w: &mut Writer<'_>, id: StorageId) -> VarId {
        place::address(w, &mut self.sizes, self.io, self.frame, id)
    }
    fn addresses(&mut self, w: &mut Writer<'_>, ids: &[StorageId]) -> Vec<VarId> {
        ids.iter().map(|&id| self.address(w, id)).collect()
    }

    /// The memory of a region: everything but inputs and outputs. `step` is the number of the iteration.
    fn region(
        &mut self,
        w: &mut Writer<'_>,
        flow: &Flow,
        program: &'a Program,
        number: usize,
        step: Option<&Symbol>,
    ) -> Region<'a> {
        let slots = Slots(program);
        let io = w.set(Type::Address, Op::Stack(8 * (slots.cpu() + 1)));
        let frame = w.set(Type::Address, Op::Stack(FRAME_BYTES));
        let mut symbols = vec![];
        for (n, symbol) in program.symbols.iter().enumerate() {
            let known = self.program.symbols.iter().position(|known| known == symbol);
            let value = match known.filter(|_| Some(symbol) != step) {
                Some(known) => self.sizes.symbols[known],
                None => Value::Int(0),
            };
            w.store(io, Field::Number(slots.symbol(n)), value);
            symbols.push(value);
        }
        let threads = w.load(self.io, Field::Pointer(Slots(self.program).threads()));
        w.store(io, Field::Pointer(slots.threads()), threads);
        let workspace = self.address(w, flow.scratch);
        let weights = w.load(self.frame, Field::Weights);
        w.store(frame, Field::Io, io);
        w.store(frame, Field::Workspace, workspace);
        w.store(frame, Field::Weights, weights);
        w.store(frame, Field::Status, 0);
        let formulas = match program.formulas.len() {
            0 => w.set(Type::Address, Op::Null),
            count => kept(w, &vec![Value::Int(0); count]),
        };
        w.store(frame, Field::Formulas, formulas);
        if program.makes_strings() {
            let arena = w.load(self.frame, Field::Arena);
            w.store(frame, Field::Arena, arena);
        }
        Region { program, number, io, frame, symbols }
    }

    /// Runs a region. What failed in it fails around it.
    fn run(&self, w: &mut Writer<'_>, region: &Region<'a>, step: Option<(&Symbol, VarId)>) {
        let mut symbols = region.symbols.clone();
        if let Some((symbol, number)) = step
            && let Some(n) = region.program.symbols.iter().position(|known| known == symbol)
        {
            w.store(region.io, Field::Number(Slots(region.program).symbol(n)), number);
            symbols[n] = number.into();
        }
        found::forget(w, region.program, region.io);
        let mut sizes = Sizes::of_accepted(w, region.program, symbols);
        if !sizes.formulas.is_empty() {
            let formulas = w.load(region.frame, Field::Formulas);
            for (n, &value) in sizes.formulas.iter().enumerate() {
                w.store(formulas, Field::Word(n as u32), value);
            }
        }
        let (outer, frame) = (self.frame, region.frame);
        units(w, [self.entry, region.number], region.io, frame, &mut sizes, &|w, failed, status| {
            w.when(failed, |w| {
                w.store(outer, Field::Status, status);
                w.end();
            });
        });
    }

    fn branch(&mut self, w: &mut Writer<'_>, flow: &Flow, which: StorageId, branches: &'a [Program]) {
        let which = self.address(w, which);
        let which = w.load(which, Field::Word(0));
        let (inputs, outputs) = (self.addresses(w, &flow.operands), self.addresses(w, &flow.results));
        let regions: Vec<Region<'_>> = branches
            .iter()
            .zip(self.inner)
            .map(|(program, &number)| {
                let region = self.region(w, flow, program, number, None);
                region.bind(w, &inputs, &outputs);
                region
            })
            .collect();
        // One after the other, since there may be more branches than blocks may nest.
        let Some((last, others)) = regions.split_last() else { return };
        for (number, region) in others.iter().enumerate() {
            let is = w.is(Compare::Eq, which, number as i64);
            w.when(is, |w| {
                self.run(w, region, None);
                w.end();
            });
        }
        self.run(w, last, None);
    }

    fn repeat(&mut self, w: &mut Writer<'_>, flow: &Flow, plan: &'a LoopPlan) {
        let condition = usize::from(plan.condition.is_some());
        let [body, begin, end] = [0, 1, 2].map(|n| self.inner[condition + n]);
        let (operands, results) = (self.addresses(w, &flow.operands), self.addresses(w, &flow.results));
        let count = plan.count.as_ref().map(|count| self.sizes.dim(w, count));
        self.copy(w, flow, (&plan.begin, begin), plan.carried_in_place(true).map(|n| (operands[n], results[n])));
        let mut places = self.places(w, plan, &operands, &results, count);

        let body = self.region(w, flow, &plan.body, body, Some(&plan.step));
        body.bind(w, &places.read(&operands), &results);
        let condition = plan.condition.as_ref().map(|(program, flag)| {
            let flag = self.address(w, *flag);
            let region = self.region(w, flow, program, self.inner[0], Some(&plan.step));
            region.bind(w, &places.read(&operands), &[flag]);
            (region, flag)
        });
        w.each(0, count.unwrap_or(Value::Int(i64::MAX)), |w, step| {
            if let Some((condition, flag)) = &condition {
                places.read_by(w, condition);
                self.run(w, condition, Some((&plan.step, step)));
                let flag = w.load(*flag, Field::Word(0));
                let ends = w.is(Compare::Eq, flag, 0);
                w.when(ends, Writer::leave_loop);
            }
            places.read_by(w, &body);
            places.written_by(w, &body);
            self.run(w, &body, Some((&plan.step, step)));
            places.turn(w);
        });
        // Values without elements may lie where their results do, whoever wrote last.
        let there = places.by_turns.iter().map(|place| w.set(Type::Flag, Op::Same(place.value, place.result)));
        let there: Vec<VarId> = there.collect();
        let Some(all) = there.into_iter().reduce(|a, b| w.both(a, b)) else { return };
        let elsewhere = w.set(Type::Flag, Op::Not(all));
        let ways: Vec<_> = places.by_turns.iter().map(|place| (place.value, place.result)).collect();
        // The memory of a region is asked for outside of loops and branches alike.
        let copy = self.copied(w, flow, (&plan.end, end), &ways);
        w.when(elsewhere, |w| self.run(w, &copy, None));
    }

    /// Copies from places to others.
    fn copy(
        &mut self,
        w: &mut Writer<'_>,
        flow: &Flow,
        (program, number): (&'a Program, usize),
        ways: impl Iterator<Item = (VarId, VarId)>,
    ) {
        let ways: Vec<_> = ways.collect();
        if !ways.is_empty() {
            let region = self.copied(w, flow, (program, number), &ways);
            self.run(w, &region, None);
        }
    }
    fn copied(
        &mut self,
        w: &mut Writer<'_>,
        flow: &Flow,
        (program, number): (&'a Program, usize),
        ways: &[(VarId, VarId)],
    ) -> Region<'a> {
        let region = self.region(w, flow, program, number, None);
        let (from, to): (Vec<VarId>, Vec<VarId>) = ways.iter().copied().unzip();
        region.bind(w, &from, &to);
        region
    }

    /// Where the carried values are before the first iteration. Where the number of iterations is known, the last one
    /// writes the result.
    fn places(
        &mut self,
        w: &mut Writer<'_>,
        plan: &LoopPlan,
        operands: &[VarId],
        results: &[VarId],
        count: Option<Value>,
    ) -> Places {
        let odd = count.map(|count| {
            let odd = w.word(WordOp::And, count, 1);
            w.is(Compare::Ne, odd, 0)
        });
        let mut by_turns = vec![];
        for (n, carried) in plan.carried.iter().enumerate() {
            let Carried::ByTurns(other) = carried else { continue };
            let (other, result) = (self.address(w, *other), results[n]);
            let copy = |w: &mut Writer<'_>, of: VarId| w.set(Type::Address, Op::Copy(of.into()));
            let (next, spare) = match odd {
                None => (copy(w, result), copy(w, other)),
                Some(odd) => {
                    let select = |a: VarId, b: VarId| Op::Select(odd, a.into(), b.into());
                    let next = w.set(Type::Address, select(result, other));
                    (next, w.set(Type::Address, select(other, result)))
                }
            };
            by_turns.push(ByTurns { n, value: copy(w, operands[n]), next, spare, result });
        }
        let in_place = plan.carried_in_place(true).map(|n| (n, results[n])).collect();
        Places { in_place, by_turns }
    }
}

/// Where the carried values are.
struct Places {
    in_place: Vec<(usize, VarId)>,
    by_turns: Vec<ByTurns>,
}

/// A carried value that has two places; the variables change.
struct ByTurns {
    n: usize,
    value: VarId,
    /// What the iteration writes, and the place after that.
    next: VarId,
    spare: VarId,
    result: VarId,
}

impl Places {
    /// The inputs of the first iteration.
    fn read(&self, operands: &[VarId]) -> Vec<VarId> {
        let mut inputs = operands.to_vec();
        self.in_place.iter().for_each(|&(n, place)| inputs[n] = place);
        inputs
    }
    fn read_by(&self, w: &mut Writer<'_>, region: &Region<'_>) {
        for place in &self.by_turns {
            w.store(region.io, Field::Pointer(Slots(region.program).input(place.n)), place.value);
        }
    }
    fn written_by(&self, w: &mut Writer<'_>, region: &Region<'_>) {
        for place in &self.by_turns {
            w.store(region.io, Field::Pointer(Slots(region.program).output(place.n)), place.next);
        }
    }
    /// What was written is the value now.
    fn turn(&mut self, w: &mut Writer<'_>) {
        for place in &self.by_turns {
            w.assign(place.value, Op::Copy(place.next.into()));
            w.assign(place.next, Op::Copy(place.spare.into()));
            w.assign(place.spare, Op::Copy(place.value.into()));
        }
    }
}

impl Region<'_> {
    /// Says where inputs and outputs are.
    fn bind(&self, w: &mut Writer<'_>, inputs: &[VarId], outputs: &[VarId]) {
        let slots = Slots(self.program);
        inputs.iter().enumerate().for_each(|(n, &at)| w.store(self.io, Field::Pointer(slots.input(n)), at));
        outputs.iter().enumerate().for_each(|(n, &at)| w.store(self.io, Field::Pointer(slots.output(n)), at));
    }
}
