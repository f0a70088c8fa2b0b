//! Parallel kernels by the caller's threads.

use super::{
    Compare, Field, Routine, Type, Value, VarId, WordOp,
    compose::Numbers,
    write::{Writer, write},
};
use crate::plan::WORTH_SHARING;

/// `void share(task, frame, extent, work, threads)`: one parallel kernel, by threads when the caller gave some and there
/// is enough for them to do.
pub(super) fn share(model: &Numbers<'_>) -> Routine {
    let params = [Type::Address, Type::Address, Type::Word, Type::Word, Type::Address];
    write(model, &params, None, |w, params| {
        let &[task, frame, extent, work, threads] = params else { unreachable!("the function has five parameters") };
        let null = w.is_null(threads);
        let alone = |w: &mut Writer<'_>| {
            w.call_at(task, &[frame.into(), Value::Int(0), extent.into()]);
        };
        let one = w.is(Compare::Le, extent, 1);
        let few = w.is(Compare::Lt, work, WORTH_SHARING);
        let little = w.either(one, few);
        let keeps = w.either(null, little);
        w.choose(&mut (), keeps, |w, ()| alone(w), |w, ()| together(w, [task, frame, extent, work, threads]));
    })
}

fn together(w: &mut Writer<'_>, [task, frame, extent, work, threads]: [VarId; 5]) {
    let pool = w.load(threads, Field::Pool);
    let parallel_for = w.load(threads, Field::ParallelFor);
    let nanoseconds = w.word(WordOp::Div, work, 1000);
    w.call_at(parallel_for, &[pool.into(), task.into(), frame.into(), extent.into(), nanoseconds]);
}
