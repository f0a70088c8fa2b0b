//! Calls of functions of the user's: the structs that they get, and what becomes of what they return.
//!
//! The structs lie on the stack of the call's routine, `struct smc_operand` as four words each. What the function returns is
//! kept with the status in one number: [`Status::of_call`] takes it apart.

use smc_runtime::abi::Status;

use super::{Compare, Field, Op, Type, VarId, WordOp, sizes::Sizes, write::Writer};
use crate::{graph::Call, tensor::TensorType};

/// The words of a `struct smc_operand`, in their order.
pub(super) const DATA: u32 = 0;
pub(super) const EXTENTS: u32 = 1;
pub(super) const RANK: u32 = 2;
pub(super) const ELEMENT: u32 = 3;
pub(super) const WORDS: u32 = 4;

/// The bits that a code stands above in a status.
const CODE: i64 = 8;

/// Calls the function and stores the numbers of rows that it says, or what went wrong in the frame. Operands, results and
/// tables are where their buffers are.
pub(super) fn call(
    w: &mut Writer<'_>,
    sizes: &mut Sizes<'_>,
    frame: VarId,
    (call, function): (&Call, usize),
    (operands, results): (&[VarId], &[VarId]),
    tables: &[Option<VarId>],
) {
    let (inputs, _) = structs(w, sizes, &call.operands, operands);
    let (outputs, extents) = structs(w, sizes, &call.outputs, results);
    let attributes = attributes(w, call, tables);
    let code = w.result(Type::Status, function, &[inputs.into(), outputs.into(), attributes.into()]);
    let code = w.set(Type::Word, Op::Code(code));
    let failed = w.is(Compare::Ne, code, 0);
    w.when(failed, |w| {
        let above = w.word(WordOp::Shl, code, CODE);
        let status = w.word(WordOp::Or, above, i64::from(Status::OperatorFailed.code()));
        w.store(frame, Field::Status, status);
        w.end();
    });
    let rest = &results[call.outputs.len()..];
    match &call.counted[..] {
        [] => rest.iter().for_each(|&nothing| w.store(nothing, Field::Word(0), 0)),
        counted => {
            for (&n, &to) in counted.iter().zip(rest) {
                let rows = w.load(extents[n], Field::Word(0));
                w.store(to, Field::Word(0), rows);
            }
        }
    }
}

/// An array of `struct smc_operand`, and where the extents of each are.
fn structs(w: &mut Writer<'_>, sizes: &mut Sizes<'_>, types: &[TensorType], data: &[VarId]) -> (VarId, Vec<VarId>) {
    if types.is_empty() {
        return (w.set(Type::Address, Op::Null), vec![]);
    }
    let all = w.set(Type::Address, Op::Stack(8 * WORDS * types.len() as u32));
    let mut shapes = vec![];
    for (n, (ty, &data)) in types.iter().zip(data).enumerate() {
        let extents = match ty.rank() as u32 {
            0 => w.set(Type::Address, Op::Null),
            rank => w.set(Type::Address, Op::Stack(8 * rank)),
        };
        for (axis, dim) in ty.shape.iter().enumerate() {
            let extent = sizes.dim(w, dim);
            w.store(extents, Field::Word(axis as u32), extent);
        }
        let first = WORDS * n as u32;
        w.store(all, Field::Pointer(first + DATA), data);
        w.store(all, Field::Pointer(first + EXTENTS), extents);
        w.store(all, Field::Word(first + RANK), ty.rank() as i64);
        w.store(all, Field::Word(first + ELEMENT), ty.dtype.number());
        shapes.push(extents);
    }
    (all, shapes)
}

/// The struct of attributes.
fn attributes(w: &mut Writer<'_>, call: &Call, tables: &[Option<VarId>]) -> VarId {
    let words: usize = call.attributes.iter().map(|(_, value)| value.words()).sum();
    if words == 0 {
        return w.set(Type::Address, Op::Null);
    }
    let all = w.set(Type::Address, Op::Stack(8 * words as u32));
    let mut at = 0;
    for ((_, value), table) in call.attributes.iter().zip(tables) {
        match (table, value.table()) {
            (Some(place), Some(table)) => {
                w.store(all, Field::Pointer(at), *place);
                w.store(all, Field::Word(at + 1), table.count() as i64);
            }
            _ => w.store(all, Field::Word(at), value.word().unwrap_or(0)),
        }
        at += value.words() as u32;
    }
    all
}
