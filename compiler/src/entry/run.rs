//! The kernels of a program in order, at the level that a call wants.

use smc_runtime::abi::Status;

use super::{
    Compare, Field, Routine, Slots, Type, Value, VarId,
    compose::Numbers,
    found,
    sizes::Sizes,
    units::{can_fail, is_shared, iterations, program_can_fail},
    write::{Writer, write},
};
use crate::plan::Unit;

/// `int run(frame)`: the kernels of one program in order. Returns a status.
pub(super) fn run_program(model: &Numbers<'_>, entry: usize, number: usize) -> Routine {
    let program = model.entries[entry].program(number);
    write(model, &[Type::Address], Some(Type::Status), |w, params| {
        let frame = params[0];
        let io = w.load(frame, Field::Io);
        let mut sizes = Sizes::in_frame(w, program, io, frame);
        run(w, [entry, number], io, frame, &mut sizes);
    })
}

/// Runs the best of the programs from `first` on, one for each level, and returns.
pub(super) fn run_best(
    w: &mut Writer<'_>,
    entry: usize,
    first: usize,
    [io, wanted, frame]: [VarId; 3],
    sizes: &mut Sizes<'_>,
) {
    match w.model.choose {
        Some(choose) => run_chosen(w, entry, first, choose, wanted, frame),
        None => {
            check_level(w, wanted);
            run(w, [entry, first], io, frame, sizes);
        }
    }
}

/// Refuses a call that asks for another level than the only one.
fn check_level(w: &mut Writer<'_>, wanted: VarId) {
    let number = i64::from(w.model.setting.levels[0].number);
    let any = w.is(Compare::Ne, wanted, 0);
    let other = w.is(Compare::Ne, wanted, number);
    let refused = w.both(any, other);
    w.leave_if(refused, Status::NoSuchCpu);
}

/// Runs the level that is wanted, or else the best that the machine has, and returns. The programs of the levels have the
/// numbers from `first` on.
fn run_chosen(w: &mut Writer<'_>, entry: usize, first: usize, choose: usize, wanted: VarId, frame: VarId) {
    let chosen = w.result(Type::Word, choose, &[wanted.into()]);
    for (l, level) in w.model.setting.levels.iter().enumerate().rev() {
        let fits = w.is(Compare::Ge, chosen, i64::from(level.number));
        w.when(fits, |w| {
            let run = w.model.of[entry].programs[first + l].run.expect("there are several levels");
            let status = w.result(Type::Status, run, &[frame.into()]);
            w.leave(status);
        });
    }
    w.leave(i64::from(Status::NoSuchCpu.code()));
}

/// The kernels of a program in order, and the status of success.
fn run(w: &mut Writer<'_>, at: [usize; 2], io: VarId, frame: VarId, sizes: &mut Sizes<'_>) {
    units(w, at, io, frame, sizes, &|w, failed, status| w.leave_if_with(failed, status));
    w.leave(i64::from(Status::Ok.code()));
}

/// What is done where a flag says that something failed, with what the frame says of it.
pub(super) type Fail<'f> = &'f dyn Fn(&mut Writer<'_>, VarId, VarId);

/// The units of a program in order.
pub(super) fn units(
    w: &mut Writer<'_>,
    at: [usize; 2],
    io: VarId,
    frame: VarId,
    sizes: &mut Sizes<'_>,
    fail: Fail<'_>,
) {
    let program = w.model.entries[at[0]].program(at[1]);
    for unit in program.units() {
        let fails = self::unit(w, at, unit, io, frame, sizes, fail);
        if fails {
            check(w, frame, fail);
        }
        if let Unit::Launch(k) = unit
            && let Some(symbol) = &program.launches[k].binds
        {
            found::bind(w, [io, frame], sizes, (symbol, program.launches[k].result()), fail);
        }
    }
}

/// Looks whether something failed.
pub(super) fn check(w: &mut Writer<'_>, frame: VarId, fail: Fail<'_>) {
    let status = w.load(frame, Field::Status);
    let failed = w.is(Compare::Ne, status, 0);
    fail(w, failed, status);
}

/// Runs a unit. Whether it may fail.
fn unit(
    w: &mut Writer<'_>,
    [entry, number]: [usize; 2],
    unit: Unit,
    io: VarId,
    frame: VarId,
    sizes: &mut Sizes<'_>,
    fail: Fail<'_>,
) -> bool {
    let (program, of) = (w.model.entries[entry].program(number), &w.model.of[entry].programs[number]);
    let (function, fails) = match unit {
        Unit::Launch(k) => (of.first + k, can_fail(&program.launches[k].kernel)),
        Unit::Flow(f) => {
            let flow = &program.flows[f];
            let fails = flow.call().is_some() || flow.programs().into_iter().any(program_can_fail);
            (of.flows.start + f, fails)
        }
        Unit::Chain(c) => {
            let launches = &program.launches[program.chains[c].launches.clone()];
            (of.chains.start + c, launches.iter().any(|launch| can_fail(&launch.kernel)))
        }
    };
    let whole = |w: &mut Writer<'_>, sizes: &mut Sizes<'_>| match iterations(program, unit) {
        Some((extent, work)) if is_shared(program, unit) => {
            let task = w.function(function);
            let (extent, work) = (sizes.dim(w, &extent), sizes.dim(w, &work));
            let threads = w.load(io, Field::Pointer(Slots(program).threads()));
            let share = w.model.share.expect("something is shared");
            w.call(share, &[task.into(), frame.into(), extent, work, threads.into()]);
        }
        Some((extent, _)) => {
            let extent = sizes.dim(w, &extent);
            w.call(function, &[frame.into(), Value::Int(0), extent]);
        }
        // What is not parallel does not read the other parameters.
        None => w.call(function, &[frame.into()]),
    };
    match unit {
        Unit::Chain(c) => super::chain::shared_or([entry, number, c], w, io, frame, sizes, fail, whole),
        Unit::Launch(_) | Unit::Flow(_) => whole(w, sizes),
    }
    fails
}
