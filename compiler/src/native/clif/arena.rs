//! Strings that a kernel makes: the bytes it appends to the arena.
//!
//! The frame knows where the arena is (see [`crate::entry::ARENA_HEADER`]). How many bytes it has is a register while the
//! kernel runs. A byte that does not fit is stored behind the last one that does, where one more has room; of a string that does
//! not fit nothing is copied. Both are counted.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};
use cranelift_frontend::Variable;

use super::{
    Field,
    expr::Val,
    kernel::{Lower, constant_memory, plain},
};
use crate::{
    entry::ARENA_HEADER,
    loops::{ExprId, Fault, VarId},
    tensor::DType,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct Arena {
    /// Where its header is.
    header: Value,
    /// Where its first byte is.
    bytes: Value,
    /// The bytes that it has room for.
    room: Value,
    /// The bytes that were appended.
    made: Variable,
    /// How many they were when the string began that is being made.
    mark: Variable,
}

impl Lower<'_, '_> {
    /// Finds the arena, before anything is appended.
    pub fn open_arena(&mut self) {
        let header = self.b.ins().load(types::I64, constant_memory(), self.frame, Field::Arena.offset());
        let bytes = self.b.ins().iadd_imm_s(header, i64::from(ARENA_HEADER));
        let room = self.b.ins().load(types::I64, constant_memory(), header, Field::Word(1).offset());
        let begin = self.b.ins().load(types::I64, plain(), header, Field::Word(0).offset());
        let [made, mark] = [(); 2].map(|()| self.b.declare_var(types::I64));
        self.b.def_var(made, begin);
        self.b.def_var(mark, begin);
        self.arena = Some(Arena { header, bytes, room, made, mark });
    }

    /// Leaves what was appended to the kernels that come, or a fault where it was too much.
    pub fn close_arena(&mut self) {
        let Arena { header, room, made, .. } = self.arena();
        let made = self.b.use_var(made);
        self.b.ins().store(plain(), made, header, Field::Word(0).offset());
        let fits = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, made, room);
        self.leave_unless(fits, Fault::StringsExceeded);
    }

    fn arena(&self) -> Arena {
        self.arena.expect("a kernel that makes strings has an arena")
    }

    pub fn append(&mut self, value: ExprId) {
        let dtype = self.k.dtype(value);
        let value = self.eval(value);
        let value = self.narrow(value, dtype);
        match dtype {
            DType::Str => self.append_string(value),
            _ => self.append_byte(value),
        }
    }

    fn append_byte(&mut self, byte: Value) {
        let Arena { bytes, room, made, .. } = self.arena();
        let at = self.b.use_var(made);
        let place = self.b.ins().umin(at, room);
        let to = self.b.ins().iadd(bytes, place);
        self.b.ins().store(plain(), byte, to, 0);
        let next = self.b.ins().iadd_imm_s(at, 1);
        self.b.def_var(made, next);
    }

    fn append_string(&mut self, string: Value) {
        let Arena { bytes, room, made, .. } = self.arena();
        let (from, length) = self.b.ins().isplit(string);
        let at = self.b.use_var(made);
        let next = self.b.ins().iadd(at, length);
        self.b.def_var(made, next);
        let to = self.b.ins().iadd(bytes, at);
        let fits = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, next, room);
        let zero = self.b.ins().iconst(types::I64, 0);
        let length = self.b.ins().select(fits, length, zero);
        let words = self.b.ins().band_imm_s(length, -8);
        self.copy_by(8, [from, to], zero, words);
        self.copy_by(1, [from, to], words, length);
    }

    /// Copies from an index up to another one, so many bytes at a time.
    fn copy_by(&mut self, step: i64, [from, to]: [Value; 2], first: Value, end: Value) {
        let [body, after] = [(); 2].map(|()| self.b.create_block());
        let index = self.b.append_block_param(body, types::I64);
        let some = self.b.ins().icmp(IntCC::UnsignedLessThan, first, end);
        self.b.ins().brif(some, body, &[first.into()], after, &[]);
        self.b.switch_to_block(body);
        let ty = if step == 8 { types::I64 } else { types::I8 };
        let [source, target] = [from, to].map(|base| self.b.ins().iadd(base, index));
        let value = self.b.ins().load(ty, plain(), source, 0);
        self.b.ins().store(plain(), value, target, 0);
        let next = self.b.ins().iadd_imm_s(index, step);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, next, end);
        self.b.ins().brif(more, body, &[next.into()], after, &[]);
        self.b.seal_block(body);
        self.b.switch_to_block(after);
        self.b.seal_block(after);
    }

    pub fn take(&mut self, var: VarId) {
        let Arena { bytes, room, made, mark, .. } = self.arena();
        let (begin, end) = (self.b.use_var(mark), self.b.use_var(made));
        let start = self.b.ins().iadd(bytes, begin);
        let length = self.b.ins().isub(end, begin);
        let fits = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, end, room);
        let zero = self.b.ins().iconst(types::I64, 0);
        let length = self.b.ins().select(fits, length, zero);
        self.b.def_var(mark, end);
        let string = self.b.ins().iconcat(start, length);
        self.name(var, Val::One(string));
    }
}
