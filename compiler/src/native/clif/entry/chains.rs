//! Functions of chains: whoever runs a task runs its slices, each by all kernels in turn.

use cranelift_codegen::ir::{
    Block, BlockArg, InstBuilder, StackSlotData, StackSlotKind, Value, condcodes::IntCC, types,
};

use super::{
    super::{Frame, Plan, Slots, can_fail, kernel::plain},
    Checked, WIDTH, Writer, write,
};
use crate::{
    native::{
        code::Code,
        launch::{may_be_crowded, may_be_few},
    },
    plan::{Chain, MIN_SLICES, Place, Program},
};

/// `void chain(frame, begin, end)`: some tasks of a chain, slice by slice. All of them use the memory of the first task,
/// which is no other call's, so that it stays in a near cache.
pub fn chain(plan: &Plan<'_>, entry: usize, number: usize, chain: usize) -> Code {
    let program = plan.program(entry, number);
    let chain = &program.chains[chain];
    write(plan, &[types::I64; 3], &[], |w| {
        let &[outer, begin, end] = &w.params[..] else { unreachable!("the function has three parameters") };
        let io = w.slot(outer, Frame::IO);
        let mut sizes = w.sizes(program, io, outer);
        let frame = w.chain_frame(program, chain, outer, begin, &mut sizes);
        let slices = sizes.dim(w, &chain.slices);
        let [first, last] = [begin, end].map(|task| {
            let through = w.b.ins().imul(task, slices);
            let tasks = sizes.dim(w, &chain.tasks);
            w.b.ins().udiv(through, tasks)
        });
        w.each_slice(first, last, |w, slice| {
            for (k, per_slice) in chain.launches.clone().zip(&chain.per_slice) {
                let kernel = w.function(plan.first(entry, number) + k, &[types::I64; 3], &[]);
                let begin = w.b.ins().imul_imm_s(slice, *per_slice);
                let end = w.b.ins().iadd_imm_s(begin, *per_slice);
                w.b.ins().call(kernel, &[frame, begin, end]);
                if can_fail(&program.launches[k].kernel) {
                    let status = w.slot(frame, Frame::STATUS);
                    let [failed, fine] = [(); 2].map(|()| w.b.create_block());
                    w.b.ins().brif(status, failed, &[], fine, &[]);
                    w.b.switch_to_block(failed);
                    w.b.ins().store(plain(), status, outer, Frame::STATUS);
                    w.leave(&[]);
                    w.b.switch_to_block(fine);
                }
            }
        });
        w.leave(&[]);
    })
}

/// `void part(frame, begin, end)`: some iterations of a slice of a kernel, counted from its first one; the frame is a
/// chain's.
pub fn part(plan: &Plan<'_>) -> Code {
    write(plan, &[types::I64; 3], &[], |w| {
        let &[frame, begin, end] = &w.params[..] else { unreachable!("the function has three parameters") };
        let [kernel, first] = [Frame::KERNEL, Frame::FIRST].map(|offset| w.slot(frame, offset));
        let [begin, end] = [begin, end].map(|n| w.b.ins().iadd(n, first));
        let signature = w.signature(&[types::I64; 3], &[]);
        w.b.ins().call_indirect(signature, kernel, &[frame, begin, end]);
        w.leave(&[]);
    })
}

impl Writer<'_> {
    /// A new frame for the kernels of a chain: the entry's, with the memory of a task.
    fn chain_frame(
        &mut self,
        program: &Program,
        chain: &Chain,
        outer: Value,
        task: Value,
        sizes: &mut Checked<'_>,
    ) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, Frame::CHAIN_BYTES, 3);
        let slot = self.b.create_sized_stack_slot(slot);
        let frame = self.b.ins().stack_addr(types::I64, slot, 0);
        for offset in [Frame::IO, Frame::WORKSPACE, Frame::WEIGHTS, Frame::STATUS, Frame::FORMULAS] {
            let value = self.slot(outer, offset);
            self.b.ins().store(plain(), value, frame, offset);
        }
        let Place::Workspace(at) = &program.storage[chain.scratch].place else {
            unreachable!("the memory of a chain is in the workspace")
        };
        let (workspace, at) = (self.slot(outer, Frame::WORKSPACE), sizes.dim(self, at));
        let (memory, task) = (self.b.ins().iadd(workspace, at), self.b.ins().imul_imm_s(task, chain.slice_bytes));
        let memory = self.b.ins().iadd(memory, task);
        self.b.ins().store(plain(), memory, frame, Frame::SLICE);
        frame
    }

    /// A chain of fewer slices than [`MIN_SLICES`], or of fewer tasks than there are slices and threads, when there are
    /// threads: they share the kernels of each slice. What follows is for all other calls; this one goes on at the block
    /// that is returned.
    pub fn shared_slices(
        &mut self,
        [entry, number, chain]: [usize; 3],
        io: Value,
        outer: Value,
        sizes: &mut Checked<'_>,
    ) -> Block {
        let program = self.plan.program(entry, number);
        let chain = &program.chains[chain];
        let [many, together, apart] = [(); 3].map(|()| self.b.create_block());
        let slices = sizes.dim(self, &chain.slices);
        let works: Vec<Value> =
            program.launches[chain.launches.clone()].iter().map(|launch| sizes.dim(self, &launch.work)).collect();
        let zero = self.b.ins().iconst(types::I64, 0);
        let frame = self.chain_frame(program, chain, outer, zero, sizes);
        let threads = self.slot(io, Slots(program).threads());
        let tasks = sizes.dim(self, &chain.tasks);
        self.b.ins().brif(threads, many, &[], apart, &[]);
        self.b.switch_to_block(many);
        let is_few = may_be_few(chain).then(|| self.b.ins().icmp_imm_s(IntCC::SignedLessThan, slices, MIN_SLICES));
        let is_crowded = may_be_crowded(chain).then(|| self.is_crowded(slices, tasks, threads));
        let shares = match (is_few, is_crowded) {
            (Some(few), Some(crowded)) => self.b.ins().bor(few, crowded),
            (few, crowded) => few.or(crowded).expect("one of the reasons is why this is written"),
        };
        self.b.ins().brif(shares, together, &[], apart, &[]);
        self.b.switch_to_block(together);
        self.each_slice(zero, slices, |w, slice| {
            for ((k, &per_slice), work) in chain.launches.clone().zip(&chain.per_slice).zip(works) {
                let kernel = w.function(w.plan.first(entry, number) + k, &[types::I64; 3], &[]);
                let kernel = w.b.ins().func_addr(types::I64, kernel);
                let first = w.b.ins().imul_imm_s(slice, per_slice);
                w.b.ins().store(plain(), kernel, frame, Frame::KERNEL);
                w.b.ins().store(plain(), first, frame, Frame::FIRST);
                let part = w.function(w.plan.part(), &[types::I64; 3], &[]);
                let part = w.b.ins().func_addr(types::I64, part);
                let extent = w.b.ins().iconst(types::I64, per_slice);
                let work = w.b.ins().sdiv(work, slices);
                let share = w.function(w.plan.share(), &[types::I64; 5], &[]);
                w.b.ins().call(share, &[part, frame, extent, work, threads]);
                if can_fail(&program.launches[k].kernel) {
                    let status = w.slot(frame, Frame::STATUS);
                    let failed = w.b.ins().icmp_imm_s(IntCC::NotEqual, status, 0);
                    w.leave_if_with(failed, status);
                }
            }
        });
        let done = self.b.current_block().expect("the block behind the loop");
        self.b.switch_to_block(apart);
        done
    }

    /// Whether tasks of several slices each leave threads idle: more than half as many as tasks, but not as many.
    fn is_crowded(&mut self, slices: Value, tasks: Value, threads: Value) -> Value {
        let width = self.b.ins().load(types::I64, plain(), threads, WIDTH);
        let several = self.b.ins().icmp(IntCC::SignedGreaterThan, slices, tasks);
        let twice = self.b.ins().iadd(width, width);
        let more = self.b.ins().icmp(IntCC::SignedGreaterThan, twice, tasks);
        let other = self.b.ins().icmp(IntCC::NotEqual, width, tasks);
        let uneven = self.b.ins().band(more, other);
        self.b.ins().band(several, uneven)
    }

    /// A loop over slices; ends in the block behind it.
    fn each_slice(&mut self, first: Value, end: Value, body: impl FnOnce(&mut Self, Value)) {
        let [head, inside, done] = [(); 3].map(|()| self.b.create_block());
        let slice = self.b.append_block_param(head, types::I64);
        self.b.ins().jump(head, &[BlockArg::Value(first)]);
        self.b.switch_to_block(head);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, slice, end);
        self.b.ins().brif(more, inside, &[], done, &[]);
        self.b.switch_to_block(inside);
        body(self, slice);
        let next = self.b.ins().iadd_imm_s(slice, 1);
        self.b.ins().jump(head, &[BlockArg::Value(next)]);
        self.b.switch_to_block(done);
    }
}
