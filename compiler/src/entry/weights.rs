//! How entries find the weights: beside the code, or where the caller bound a file of them.
//!
//! A file starts with a header (see [`smc_runtime::weights`]) that names its size and a fingerprint of the code that it is
//! for. Calls read the pointer to bound weights once, at their start, so that weights may be bound while others run.

use smc_runtime::{abi::Status, weights as file};

use super::{
    Compare, Datum, FINGERPRINT_BYTES, Field, Op, Reach, Routine, Type, VarId,
    compose::Numbers,
    write::{Writer, write},
};

/// `int NAME_bind_weights(const void *weights, size_t bytes)`.
pub(super) fn bind_weights(model: &Numbers<'_>) -> Routine {
    write(model, &[Type::Address, Type::Word], Some(Type::Status), |w, params| {
        let &[memory, bytes] = params else { unreachable!("the function has two parameters") };
        let null = w.is_null(memory);
        w.leave_if(null, Status::NullPointer);
        let low = w.set(Type::Word, Op::Bits(memory, file::ALIGN as i64 - 1));
        let low = w.is(Compare::Ne, low, 0);
        w.leave_if(low, Status::WrongWeights);
        let short = w.is(Compare::Below, bytes, file_bytes(model));
        w.leave_if(short, Status::WrongWeights);
        let expected = w.set(Type::Address, Op::Datum(Datum::Fingerprint));
        for n in 0..FINGERPRINT_BYTES as u32 / 8 {
            let found = w.load(memory, Field::Word(file::FINGERPRINT as u32 / 8 + n));
            let wanted = w.load(expected, Field::Word(n));
            let other = w.is(Compare::Ne, found, wanted);
            w.leave_if(other, Status::WrongWeights);
        }
        let start = w.offset(memory, file::HEADER as i64);
        let bound = w.set(Type::Address, Op::Datum(Datum::Bound));
        w.store(bound, Field::Shared, start);
        w.leave(i64::from(Status::Ok.code()));
    })
}

/// `size_t NAME_weights_bytes(void)`: the bytes of the file.
pub(super) fn weights_bytes(model: &Numbers<'_>) -> Routine {
    write(model, &[], Some(Type::Word), |w, _| w.leave(file_bytes(model)))
}

fn file_bytes(model: &Numbers<'_>) -> i64 {
    (file::HEADER as u64 + model.setting.weight_bytes) as i64
}

/// Where the weights start; returns a status when none are bound.
pub(super) fn weights(w: &mut Writer<'_>) -> VarId {
    let datum = |w: &mut Writer<'_>, datum| w.set(Type::Address, Op::Datum(datum));
    match w.model.setting.reach {
        Reach::Near => datum(w, Datum::Weights),
        Reach::Far => {
            let from = datum(w, Datum::Distance);
            let distance = w.load(from, Field::Word(0));
            w.offset(from, distance)
        }
        Reach::Bound => {
            let bound = datum(w, Datum::Bound);
            let weights = w.load(bound, Field::Shared);
            let none = w.is_null(weights);
            w.leave_if(none, Status::NoWeights);
            weights
        }
    }
}
