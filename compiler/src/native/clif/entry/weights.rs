//! How entries find the weights: beside the code, or where the caller bound a file of them.
//!
//! A file starts with a header (see [`smc_runtime::weights`]) that names its size and a fingerprint of the code that it is
//! for. Calls read the pointer to bound weights once, at their start, so that weights may be bound while others run.

use cranelift_codegen::ir::{
    ExternalName, GlobalValueData, InstBuilder, UserExternalName, Value, condcodes::IntCC, types,
};
use smc_runtime::{abi::Status, weights as file};

use super::{
    super::{Plan, kernel::plain},
    Writer, write,
};
use crate::native::{
    FINGERPRINT_BYTES, Reach, Symbol,
    code::{Code, DATA, DATA_SYMBOLS},
};

/// `int NAME_bind_weights(const void *weights, size_t bytes)`.
pub(crate) fn bind_weights(plan: &Plan<'_>) -> Code {
    write(plan, &[types::I64; 2], &[types::I32], |w| {
        let &[memory, bytes] = &w.params[..] else { unreachable!("the function has two parameters") };
        let null = w.b.ins().icmp_imm_s(IntCC::Equal, memory, 0);
        w.leave_if(null, Status::NullPointer);
        let low = w.b.ins().band_imm_u(memory, file::ALIGN as i64 - 1);
        w.leave_if(low, Status::WrongWeights);
        let short = w.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, bytes, file_bytes(plan));
        w.leave_if(short, Status::WrongWeights);
        let expected = w.address(Symbol::Fingerprint);
        for at in (0..FINGERPRINT_BYTES as i32).step_by(8) {
            let found = w.slot(memory, file::FINGERPRINT as i32 + at);
            let wanted = w.slot(expected, at);
            let other = w.b.ins().icmp(IntCC::NotEqual, found, wanted);
            w.leave_if(other, Status::WrongWeights);
        }
        let start = w.b.ins().iadd_imm_s(memory, file::HEADER as i64);
        let bound = w.address(Symbol::Bound);
        w.b.ins().atomic_store(plain(), start, bound);
        let ok = w.b.ins().iconst(types::I32, i64::from(Status::Ok.code()));
        w.leave(&[ok]);
    })
}

/// `size_t NAME_weights_bytes(void)`: the bytes of the file.
pub(crate) fn weights_bytes(plan: &Plan<'_>) -> Code {
    write(plan, &[], &[types::I64], |w| {
        let bytes = w.b.ins().iconst(types::I64, file_bytes(plan));
        w.leave(&[bytes]);
    })
}

fn file_bytes(plan: &Plan<'_>) -> i64 {
    (file::HEADER as u64 + plan.weight_bytes) as i64
}

impl Writer<'_> {
    /// Where the weights start; returns a status when none are bound.
    pub(super) fn weights(&mut self) -> Value {
        match self.plan.reach {
            Reach::Near => self.address(Symbol::Weights),
            Reach::Far => {
                let from = self.address(Symbol::Distance);
                let distance = self.slot(from, 0);
                self.b.ins().iadd(from, distance)
            }
            Reach::Bound => {
                let bound = self.address(Symbol::Bound);
                let weights = self.b.ins().atomic_load(types::I64, plain(), bound);
                let none = self.b.ins().icmp_imm_s(IntCC::Equal, weights, 0);
                self.leave_if(none, Status::NoWeights);
                weights
            }
        }
    }

    /// The address of a datum of the object.
    fn address(&mut self, symbol: Symbol) -> Value {
        let index = DATA_SYMBOLS.iter().position(|s| *s == symbol).expect("a datum that Cranelift's code refers to");
        let name = UserExternalName { namespace: DATA, index: index as u32 };
        let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
        let datum = GlobalValueData::Symbol { name, offset: 0.into(), colocated: true, tls: false };
        let datum = self.b.create_global_value(datum);
        self.b.ins().symbol_value(types::I64, datum)
    }
}
