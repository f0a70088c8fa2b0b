//! The functions by which callers reach any signature of a model by its number.

use smc_runtime::abi::Status;

use super::{
    Compare, Routine, Type, VarId, call,
    compose::Numbers,
    sizes::symbols,
    write::{Writer, write},
};

/// `int NAME_invoke(uint32_t signature, const void *io, void *workspace, size_t bytes)`.
pub(super) fn invoke(model: &Numbers<'_>) -> Routine {
    let params = [Type::Word, Type::Address, Type::Address, Type::Word];
    let routine = write(model, &params, Some(Type::Status), |w, params| {
        let &[signature, io, memory, bytes] = params else { unreachable!("the function has four parameters") };
        for entry in 0..model.entries.len() {
            when_signature(w, signature, entry, |w| {
                let status = w.result(Type::Status, model.of[entry].call, &[io.into(), memory.into(), bytes.into()]);
                w.leave(status);
            });
        }
        w.leave(i64::from(Status::NoSuchSignature.code()));
    });
    Routine { numbered: true, ..routine }
}

/// `int64_t NAME_workspace_bytes(uint32_t signature, const void *io)`.
pub(super) fn workspace_bytes(model: &Numbers<'_>) -> Routine {
    let routine = write(model, &[Type::Word, Type::Address], Some(Type::Word), |w, params| {
        let &[signature, io] = params else { unreachable!("the function has two parameters") };
        for (number, entry) in model.entries.iter().enumerate() {
            when_signature(w, signature, number, |w| {
                if !entry.shared().given().is_empty() {
                    let null = w.is_null(io);
                    w.leave_if(null, Status::NullPointer);
                }
                let mut symbols = symbols(w, entry.shared(), io);
                symbols.truncate(entry.shared().given().len());
                let bytes = call::needed(w, number, &symbols);
                w.leave(bytes);
            });
        }
        w.leave(-i64::from(Status::NoSuchSignature.code()));
    });
    Routine { numbered: true, ..routine }
}

/// What to do for signatures of an entry, where those of earlier ones are dealt with.
fn when_signature(w: &mut Writer<'_>, signature: VarId, entry: usize, body: impl FnOnce(&mut Writer<'_>)) {
    let end = w.model.signatures(entry).end;
    let is = w.is(Compare::Below, signature, end as i64);
    w.when(is, body);
}
