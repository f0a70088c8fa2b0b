//! Sizes that data decide: what an entry does when their kernel has run.
//!
//! The value goes to its place among the call's dimensions, where kernels and callers find it, also where it is out of
//! bounds. What could not be checked before is checked then, in this order: the bound, and what holds of sizes that are
//! known now. Before the first kernel all of these places hold -1.

use smc_runtime::abi::Status;

use super::{Compare, Field, Op, Slots, Type, Value, VarId, place::address, run::Fail, sizes::Sizes, write::Writer};
use crate::{
    base::{Dim, Symbol},
    plan::{Program, StorageId},
};

/// Says that nothing is found yet.
pub(super) fn forget(w: &mut Writer<'_>, program: &Program, io: VarId) {
    for n in program.given().len()..program.symbols.len() {
        w.store(io, Field::Number(Slots(program).symbol(n)), -1);
    }
}

/// Lets a symbol have the value that lies in a buffer.
pub(super) fn bind(
    w: &mut Writer<'_>,
    [io, frame]: [VarId; 2],
    sizes: &mut Sizes<'_>,
    (symbol, buffer): (&Symbol, StorageId),
    fail: Fail<'_>,
) {
    let program = sizes.program;
    let number = program.found.iter().position(|found| found.symbol == *symbol).expect("the program finds it");
    let at = address(w, sizes, io, frame, buffer);
    let value = w.load(at, Field::Word(0));
    let place = program.given().len() + number;
    w.store(io, Field::Number(Slots(program).symbol(place)), value);
    let bound = sizes.dim(w, &program.found[number].bound);
    // A negative number is a great one without a sign.
    let out = w.is(Compare::Below, bound, value);
    let status = |w: &mut Writer<'_>, status: Status| w.set(Type::Word, Op::Copy(Value::Int(i64::from(status.code()))));
    let code = status(w, Status::SizeOutOfBounds);
    fail(w, out, code);
    sizes.symbols[place] = value.into();
    if let Some(holds) = sizes.settle(w, frame, number) {
        let broken = w.set(Type::Flag, Op::Not(holds));
        let code = status(w, Status::BrokenSize);
        fail(w, broken, code);
    }
}

impl Sizes<'_> {
    /// Computes the formulas that wait for the n-th found symbol, and tells whether all that waits for it holds.
    fn settle(&mut self, w: &mut Writer<'_>, frame: VarId, n: usize) -> Option<VarId> {
        let program = self.program;
        let waits = |dims: &[&Dim]| program.last_found(dims.iter().copied()) == Some(n);
        let formulas: Vec<_> = program.formulas.iter().enumerate().filter(|(_, f)| waits(&[&Dim::from(*f)])).collect();
        let guards: Vec<_> = program.guards.iter().filter(|guard| waits(&guard.dims())).cloned().collect();
        if formulas.is_empty() && guards.is_empty() {
            return None;
        }
        self.noticing(|sizes| {
            for (k, formula) in formulas {
                let value = sizes.formula(w, formula);
                sizes.formulas[k] = value;
                let kept = w.load(frame, Field::Formulas);
                w.store(kept, Field::Word(k as u32), value);
            }
            Some(sizes.all_hold(w, &guards))
        })
    }
}
