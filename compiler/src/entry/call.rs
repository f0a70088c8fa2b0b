//! The function of a signature: it checks a call's arguments, computes sizes and runs the kernels in order.
//!
//! Sizes are computed with every overflow noticed, so an accepted call has no size that wraps: kernels compute their
//! addresses without a check. All checks come before the first kernel.

use std::collections::BTreeMap;

use smc_runtime::abi::{Status, WORKSPACE_ALIGN};

use super::{
    Compare, Entry, Field, Op, Routine, Slots, Type, Value, VarId, WordOp,
    compose::{Numbers, workspace},
    found,
    frame::{FRAME_BYTES, arena_bytes},
    run,
    sizes::{SYMBOL_BITS, Sizes, kept, symbols},
    write::{Writer, write},
};
use crate::{
    base::{Dim, dim::NoVars},
    plan::{Bodies, Program},
    tensor::{DType, TensorType, count},
};

/// The bytes of the workspace when nothing about a call's dimensions is open: no symbol, no condition, no size that
/// overflows.
pub fn settled(entry: &Entry<'_>) -> Option<i64> {
    let program = entry.shared();
    let known =
        |dtype: DType, len: &Dim| (program.most(len) * dtype.size() as i64).as_int().is_some_and(|n| n < i64::MAX);
    let mut ports = program.inputs.iter().chain(&program.outputs);
    let mut buffers = entry.programs().flat_map(|p| p.storage.iter());
    let open = !program.given().is_empty()
        || program.guards.iter().any(|guard| program.last_found(guard.dims()).is_none())
        || !ports.all(|port| known(port.ty.dtype, &count(&port.ty.shape)))
        || !buffers.all(|(_, s)| known(s.dtype, &s.len));
    if open { None } else { workspace(entry.programs()).as_int() }
}

/// `int64_t dimensions(symbols...)`: the bytes of the workspace, or a negated status.
pub(super) fn dimensions(model: &Numbers<'_>, entry: usize) -> Routine {
    let Bodies { open, equal } = model.entries[entry].bodies;
    let program = model.entries[entry].shared();
    write(model, &vec![Type::Word; program.given().len()], Some(Type::Word), |w, params| {
        let given: Vec<Value> = params.iter().map(|&p| p.into()).collect();
        // What is found later has no value yet.
        let symbols = [&given[..], &vec![Value::Int(0); program.found.len()]].concat();
        // A bit above the allowed ones in any of them, such as a sign.
        if let Some(all) = given.iter().copied().reduce(|a, b| w.word(WordOp::Or, a, b)) {
            let bad = w.word(WordOp::Ushr, all, i64::from(SYMBOL_BITS));
            let bad = w.is(Compare::Ne, bad, 0);
            w.leave_if(bad, Status::BadDimension);
        }
        let mut sizes = Sizes::of(w, program, symbols.clone());
        sizes.leave_if_wrapped(w);
        let now = |dims: &[&Dim]| program.last_found(dims.iter().copied()).is_none();
        for guard in program.guards.iter().filter(|guard| now(&guard.dims())) {
            let holds = sizes.holds(w, guard);
            sizes.leave_if_wrapped(w);
            let broken = w.set(Type::Flag, Op::Not(holds));
            w.leave_if(broken, Status::BrokenGuard);
        }
        let ports = program.inputs.iter().chain(&program.outputs);
        let extents = ports.clone().flat_map(|port| &port.ty.shape);
        for extent in extents.filter(|&d| !d.is_nonneg(&NoVars) && now(&[d])) {
            let extent = sizes.dim(w, extent);
            let negative = w.is(Compare::Lt, extent, 0);
            w.leave_if(negative, Status::BadDimension);
        }
        let mut seen = vec![];
        sizes.check(w, ports.map(|port| (port.ty.dtype, program.most(&count(&port.ty.shape)))), &mut seen);
        if let Some((guards, equal)) = equal {
            sizes.leave_if_wrapped(w);
            let mut special = Sizes::of(w, &equal[0], symbols.clone());
            let hold = special.all_hold(w, guards);
            w.when(hold, |w| leave_with_workspace(w, equal, seen.clone(), &mut special));
        }
        leave_with_workspace(w, open, seen, &mut sizes);
    })
}

/// Checks the buffers of programs and returns the bytes of their workspace.
fn leave_with_workspace(w: &mut Writer<'_>, programs: &[Program], mut seen: Vec<Dim>, sizes: &mut Sizes<'_>) {
    let buffers = programs.iter().flat_map(|p| p.storage.iter().map(|(_, s)| (s.dtype, s.len.clone())));
    sizes.check(w, buffers, &mut seen);
    let workspace = sizes.dim(w, &workspace(programs));
    sizes.leave_if_wrapped(w);
    w.leave(workspace);
}

/// `size_t NAME_SIGNATURE_workspace(symbols...)`: the bytes of the workspace, or all ones for broken dimensions.
pub(super) fn workspace_bytes(model: &Numbers<'_>, entry: usize) -> Routine {
    let symbols = model.entries[entry].shared().given().len();
    write(model, &vec![Type::Word; symbols], Some(Type::Word), |w, params| {
        let Some(dimensions) = w.model.of[entry].dimensions else {
            let bytes = needed(w, entry, &[]);
            return w.leave(bytes);
        };
        let params: Vec<Value> = params.iter().map(|&p| p.into()).collect();
        let bytes = w.result(Type::Word, dimensions, &params);
        let broken = w.is(Compare::Lt, bytes, 0);
        let result = w.select(broken, -1, bytes);
        w.leave(result);
    })
}

/// The bytes of the workspace: known, or what the check of the dimensions says.
pub(super) fn needed(w: &mut Writer<'_>, entry: usize, symbols: &[Value]) -> Value {
    match w.model.of[entry].dimensions {
        None => settled(&w.model.entries[entry]).expect("what is not checked is settled").into(),
        Some(dimensions) => w.result(Type::Word, dimensions, symbols).into(),
    }
}

/// `int NAME_SIGNATURE(const io *, void *workspace, size_t bytes)`.
pub(super) fn call(model: &Numbers<'_>, entry: usize) -> Routine {
    let program = model.entries[entry].shared();
    write(model, &[Type::Address, Type::Address, Type::Word], Some(Type::Status), |w, params| {
        let &[io, memory, bytes] = params else { unreachable!("the function has three parameters") };
        let null = w.is_null(io);
        w.leave_if(null, Status::NullPointer);
        let symbols = symbols(w, program, io);
        let needed = needed(w, entry, &symbols[..program.given().len()]);
        if let Value::Var(needed) = needed {
            let broken = w.is(Compare::Lt, needed, 0);
            let status = w.word(WordOp::Sub, 0, needed);
            w.leave_if_with(broken, status);
        }
        let room = |ty: &TensorType| program.most(&count(&ty.shape));
        let inputs = program.inputs.iter().enumerate().map(|(n, p)| (Slots(program).input(n), room(&p.ty)));
        let outputs = program.outputs.iter().enumerate().map(|(n, p)| (Slots(program).output(n), room(&p.ty)));
        let mut sizes = Sizes::of_accepted(w, program, symbols.clone());
        check_pointers(w, io, inputs.chain(outputs), &mut sizes);
        if program.state.is_some() {
            let state = w.load(io, Field::Pointer(Slots(program).state()));
            super::state::check(w, state);
        }
        if !workspace(w.model.entries[entry].programs()).is(0) {
            check_workspace(w, memory, bytes, needed);
        }
        found::forget(w, program, io);
        let wanted = w.load(io, Field::Number(Slots(program).cpu()));
        if let Some((guards, equal)) = &w.model.entries[entry].bodies.equal {
            let mut special = Sizes::of(w, &equal[0], symbols.clone());
            let hold = special.all_hold(w, guards);
            w.when(hold, |w| {
                let frame = frame(w, entry, io, memory, &special.formulas);
                run::run_best(w, entry, equal.len(), [io, wanted, frame], &mut special);
            });
        }
        let frame = frame(w, entry, io, memory, &sizes.formulas);
        run::run_best(w, entry, 0, [io, wanted, frame], &mut sizes);
    })
}

/// A null pointer is an error unless the tensor has no elements. Tensors that have none together are checked together.
fn check_pointers(w: &mut Writer<'_>, io: VarId, tensors: impl Iterator<Item = (u32, Dim)>, sizes: &mut Sizes<'_>) {
    let mut groups: BTreeMap<Dim, Vec<u32>> = BTreeMap::new();
    for (slot, elements) in tensors {
        let content = elements.content();
        if content != 0 {
            groups.entry(elements.floor_div(&content.into())).or_default().push(slot);
        }
    }
    for (elements, slots) in groups {
        let mut null = None;
        for slot in slots {
            let pointer = w.load(io, Field::Pointer(slot));
            let zero = w.is_null(pointer);
            null = Some(null.map_or(zero, |null| w.either(null, zero)));
        }
        let Some(mut null) = null else { continue };
        if elements.as_int().is_none() {
            let elements = sizes.dim(w, &elements);
            let some = w.is(Compare::Ne, elements, 0);
            null = w.both(null, some);
        }
        w.leave_if(null, Status::NullPointer);
    }
}

/// The bytes that are needed are a number above 0, or may be none.
fn check_workspace(w: &mut Writer<'_>, memory: VarId, bytes: VarId, needed: Value) {
    let check = |w: &mut Writer<'_>| {
        let null = w.is_null(memory);
        w.leave_if(null, Status::NullPointer);
        let low = w.set(Type::Word, Op::Bits(memory, WORKSPACE_ALIGN as i64 - 1));
        let low = w.is(Compare::Ne, low, 0);
        w.leave_if(low, Status::MisalignedWorkspace);
        let short = w.is(Compare::Below, bytes, needed);
        w.leave_if(short, Status::ShortWorkspace);
    };
    match needed {
        Value::Int(_) => check(w),
        Value::Var(needed) => {
            let some = w.is(Compare::Ne, needed, 0);
            w.when(some, check);
        }
    }
}

/// A new frame, as kernels expect it. Where the entry makes strings, the memory begins with an empty arena.
fn frame(w: &mut Writer<'_>, entry: usize, io: VarId, mut memory: VarId, formulas: &[Value]) -> VarId {
    let frame = w.set(Type::Address, Op::Stack(FRAME_BYTES));
    if let Some(room) = w.model.entries[entry].programs().filter_map(|program| program.strings).max() {
        w.store(memory, Field::Word(0), 0);
        w.store(memory, Field::Word(1), room as i64);
        w.store(frame, Field::Arena, memory);
        memory = w.offset(memory, arena_bytes(room) as i64);
    }
    let weights = super::weights::weights(w);
    let formulas = if formulas.is_empty() { w.set(Type::Address, Op::Null) } else { kept(w, formulas) };
    for (field, value) in [(Field::Io, io), (Field::Workspace, memory), (Field::Weights, weights)] {
        w.store(frame, field, value);
    }
    w.store(frame, Field::Status, 0);
    w.store(frame, Field::Formulas, formulas);
    frame
}
