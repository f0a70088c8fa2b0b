//! Chains: whoever runs a task runs its slices, each by all kernels in turn.

use super::{
    Compare, Field, Op, Routine, Slots, Type, Value, VarId, WordOp,
    compose::Numbers,
    frame::CHAIN_FRAME_BYTES,
    run::{Fail, check},
    sizes::Sizes,
    units::{can_fail, may_be_crowded, may_be_few},
    write::{Writer, write},
};
use crate::plan::{Chain, MIN_SLICES, Place, Program};

/// `void chain(frame, begin, end)`: some tasks of a chain, slice by slice. All of them use the memory of the first task,
/// which is no other call's, so that it stays in a near cache.
pub(super) fn chain(model: &Numbers<'_>, entry: usize, number: usize, chain: usize) -> Routine {
    let program = model.entries[entry].program(number);
    let first_kernel = model.of[entry].programs[number].first;
    let chain = &program.chains[chain];
    write(model, &[Type::Address, Type::Word, Type::Word], None, |w, params| {
        let &[outer, begin, end] = params else { unreachable!("the function has three parameters") };
        let io = w.load(outer, Field::Io);
        let mut sizes = Sizes::in_frame(w, program, io, outer);
        let frame = chain_frame(w, program, chain, outer, begin.into(), &mut sizes);
        let slices = sizes.dim(w, &chain.slices);
        let [first, last] = [begin, end].map(|task| {
            let through = w.mul(task, slices);
            let tasks = sizes.dim(w, &chain.tasks);
            w.word(WordOp::Div, through, tasks)
        });
        w.each(first, last, |w, slice| {
            for (k, &per_slice) in chain.launches.clone().zip(&chain.per_slice) {
                let begin = w.mul(slice, per_slice);
                let end = w.add(begin, per_slice);
                w.call(first_kernel + k, &[frame.into(), begin, end]);
                if can_fail(&program.launches[k].kernel) {
                    let status = w.load(frame, Field::Status);
                    let failed = w.is(Compare::Ne, status, 0);
                    w.when(failed, |w| {
                        w.store(outer, Field::Status, status);
                        w.end();
                    });
                }
            }
        });
    })
}

/// `void part(frame, begin, end)`: some iterations of a slice of a kernel, counted from its first one; the frame is a
/// chain's.
pub(super) fn part(model: &Numbers<'_>) -> Routine {
    write(model, &[Type::Address, Type::Word, Type::Word], None, |w, params| {
        let &[frame, begin, end] = params else { unreachable!("the function has three parameters") };
        let kernel = w.load(frame, Field::Kernel);
        let first = w.load(frame, Field::First);
        let [begin, end] = [begin, end].map(|n| w.add(n, first));
        w.call_at(kernel, &[frame.into(), begin, end]);
    })
}

/// A new frame for the kernels of a chain: the entry's, with the memory of a task.
fn chain_frame(
    w: &mut Writer<'_>,
    program: &Program,
    chain: &Chain,
    outer: VarId,
    task: Value,
    sizes: &mut Sizes<'_>,
) -> VarId {
    let frame = w.set(Type::Address, Op::Stack(CHAIN_FRAME_BYTES));
    for field in [Field::Io, Field::Workspace, Field::Weights, Field::Status, Field::Formulas] {
        let value = w.load(outer, field);
        w.store(frame, field, value);
    }
    let Place::Workspace(at) = &program.storage[chain.scratch].place else {
        unreachable!("the memory of a chain is in the workspace")
    };
    let (workspace, at) = (w.load(outer, Field::Workspace), sizes.dim(w, at));
    let (memory, task) = (w.offset(workspace, at), w.mul(task, chain.slice_bytes));
    let memory = w.offset(memory, task);
    w.store(frame, Field::Slice, memory);
    frame
}

/// A chain of fewer slices than [`MIN_SLICES`], or of fewer tasks than there are slices and threads, when there are
/// threads: they share the kernels of each slice. `whole` is for all other calls.
pub(super) fn shared_or(
    [entry, number, chain]: [usize; 3],
    w: &mut Writer<'_>,
    io: VarId,
    outer: VarId,
    sizes: &mut Sizes<'_>,
    fail: Fail<'_>,
    whole: impl FnOnce(&mut Writer<'_>, &mut Sizes<'_>),
) {
    let program = w.model.entries[entry].program(number);
    let chain = &program.chains[chain];
    if !may_be_few(chain) && !may_be_crowded(chain) {
        return whole(w, sizes);
    }
    let slices = sizes.dim(w, &chain.slices);
    let tasks = sizes.dim(w, &chain.tasks);
    let threads = w.load(io, Field::Pointer(Slots(program).threads()));
    let none = w.is_null(threads);
    let shares = w.set(Type::Flag, Op::Not(none));
    w.when(shares, |w| {
        let is_few = may_be_few(chain).then(|| w.is(Compare::Lt, slices, MIN_SLICES));
        let is_crowded = may_be_crowded(chain).then(|| is_crowded(w, slices, tasks, threads));
        match (is_few, is_crowded) {
            (Some(few), Some(crowded)) => w.assign(shares, Op::Or(few, crowded)),
            (few, crowded) => {
                let one = few.or(crowded).expect("one of the reasons is why this is written");
                w.assign(shares, Op::And(one, one));
            }
        }
    });
    let first_kernel = w.model.of[entry].programs[number].first;
    let sliced = |w: &mut Writer<'_>, sizes: &mut Sizes<'_>| {
        let frame = chain_frame(w, program, chain, outer, Value::Int(0), sizes);
        w.each(0, slices, |w, slice| {
            for (k, &per_slice) in chain.launches.clone().zip(&chain.per_slice) {
                let launch = &program.launches[k];
                let kernel = w.function(first_kernel + k);
                let first = w.mul(slice, per_slice);
                w.store(frame, Field::Kernel, kernel);
                w.store(frame, Field::First, first);
                let part = w.function(w.model.part.expect("parts of slices are shared"));
                let work = sizes.dim(w, &launch.work);
                let work = w.word(WordOp::Div, work, slices);
                let share = w.model.share.expect("something is shared");
                w.call(share, &[part.into(), frame.into(), per_slice.into(), work, threads.into()]);
                if can_fail(&launch.kernel) {
                    check(w, frame, fail);
                }
            }
        });
    };
    w.choose(sizes, shares, sliced, whole);
}

/// Whether tasks of several slices each leave threads idle: more than half as many as tasks, but not as many.
fn is_crowded(w: &mut Writer<'_>, slices: Value, tasks: Value, threads: VarId) -> VarId {
    let width = w.load(threads, Field::Width);
    let several = w.is(Compare::Gt, slices, tasks);
    let twice = w.add(width, width);
    let more = w.is(Compare::Gt, twice, tasks);
    let other = w.is(Compare::Ne, width, tasks);
    let uneven = w.both(more, other);
    w.both(several, uneven)
}
