//! The functions by which callers get, keep and bring back a block of state; its layout is that of [`smc_runtime::state`].
//!
//! Whatever is refused changes nothing.

use smc_runtime::{abi::Status, state as layout};

use super::{
    Compare, Field, Op, Routine, Type, Value, VarId, WordOp,
    compose::Numbers,
    weights::weights,
    write::{Writer, write},
};
use crate::plan::WeightId;

/// What the routines of a model know of its block.
#[derive(Clone, Debug)]
pub struct StateBlock {
    pub bytes: u64,
    pub fingerprint: [u8; 32],
    /// What a block holds at first, from its start to its end.
    pub parts: Vec<StatePart>,
    /// The generators that the caller seeds: bytes from the block's start, and the high half of the counter.
    pub unseeded: Vec<(u64, i64)>,
}

/// Some words of a block at first.
#[derive(Clone, Debug)]
pub struct StatePart {
    pub words: u64,
    /// Where they come from; zeros where there is none.
    pub from: Option<WeightId>,
}

const OK: i64 = Status::Ok.code() as i64;

fn block<'a>(w: &Writer<'a>) -> &'a StateBlock {
    w.model.setting.state.expect("the model has a state")
}

/// What stands behind the model's name in a function's, and what writes it.
type Function = (&'static str, fn(&Numbers<'_>) -> Routine);

/// The functions in order.
pub(super) const FUNCTIONS: [Function; 5] = [
    ("state_bytes", state_bytes),
    ("state_init", state_init),
    ("state_save", state_save),
    ("state_load", state_load),
    ("state_seed", state_seed),
];

/// `size_t NAME_state_bytes(void)`: the bytes of a block.
fn state_bytes(model: &Numbers<'_>) -> Routine {
    write(model, &[], Some(Type::Word), |w, _| w.leave(block(w).bytes as i64))
}

/// `int NAME_state_init(void *state, size_t bytes)`.
fn state_init(model: &Numbers<'_>) -> Routine {
    write(model, &[Type::Address, Type::Word], Some(Type::Status), |w, params| {
        let &[state, bytes] = params else { unreachable!("the function has two parameters") };
        check_room(w, state, bytes, layout::ALIGN);
        let weights = weights(w);
        let mut at = 0;
        for StatePart { words, from } in &block(w).parts {
            let to = w.offset(state, at);
            at += 8 * *words as i64;
            let Some(from) = from else {
                each_word(w, *words, |w, n| w.store_word(to, n, 0));
                continue;
            };
            let from = w.offset(weights, w.model.setting.weight_offsets[from.index()] as i64);
            each_word(w, *words, |w, n| {
                let word = w.load_word(from, n);
                w.store_word(to, n, word);
            });
        }
        w.leave(OK);
    })
}

/// `int NAME_state_save(const void *state, void *to, size_t bytes)`.
fn state_save(model: &Numbers<'_>) -> Routine {
    write(model, &[Type::Address, Type::Address, Type::Word], Some(Type::Status), |w, params| {
        let &[state, to, bytes] = params else { unreachable!("the function has three parameters") };
        check(w, state);
        check_room(w, to, bytes, layout::SAVED_ALIGN);
        let sum = copy(w, state, Some(to));
        copy_head(w, state, to, sum);
        w.leave(OK);
    })
}

/// `int NAME_state_load(void *state, size_t bytes, const void *from, size_t from_bytes)`.
fn state_load(model: &Numbers<'_>) -> Routine {
    write(model, &[Type::Address, Type::Word, Type::Address, Type::Word], Some(Type::Status), |w, params| {
        let &[state, bytes, from, from_bytes] = params else { unreachable!("the function has four parameters") };
        check_room(w, state, bytes, layout::ALIGN);
        check_room(w, from, from_bytes, layout::SAVED_ALIGN);
        check_layout(w, from);
        let sum = copy(w, from, None);
        let said = w.load(from, Field::Word(layout::CHECKSUM as u32 / 8));
        let damaged = w.is(Compare::Ne, sum, said);
        w.leave_if(damaged, Status::WrongState);
        copy(w, from, Some(state));
        copy_head(w, from, state, 0.into());
        w.leave(OK);
    })
}

/// `int NAME_state_seed(void *state, uint64_t seed)`: generators that the caller seeds begin again, with this key.
fn state_seed(model: &Numbers<'_>) -> Routine {
    write(model, &[Type::Address, Type::Word], Some(Type::Status), |w, params| {
        let &[state, seed] = params else { unreachable!("the function has two parameters") };
        check(w, state);
        for &(at, high) in &block(w).unseeded {
            let place = w.offset(state, at as i64);
            w.store(place, Field::Word(0), 0);
            w.store(place, Field::Word(1), high);
            w.store(place, Field::Word(2), seed);
        }
        w.leave(OK);
    })
}

/// Returns a status where an address is null, misaligned, or there are too few bytes behind it.
fn check_room(w: &mut Writer<'_>, memory: VarId, bytes: VarId, align: usize) {
    check_address(w, memory, align);
    let short = w.is(Compare::Below, bytes, block(w).bytes as i64);
    w.leave_if(short, Status::WrongState);
}

fn check_address(w: &mut Writer<'_>, memory: VarId, align: usize) {
    let null = w.is_null(memory);
    w.leave_if(null, Status::NullPointer);
    let low = w.set(Type::Word, Op::Bits(memory, align as i64 - 1));
    let low = w.is(Compare::Ne, low, 0);
    w.leave_if(low, Status::WrongState);
}

/// Returns a status where a caller's pointer is to no block of the model.
pub(super) fn check(w: &mut Writer<'_>, state: VarId) {
    check_address(w, state, layout::ALIGN);
    check_layout(w, state);
}

fn check_layout(w: &mut Writer<'_>, state: VarId) {
    let StateBlock { bytes, fingerprint, .. } = block(w);
    let fingerprint = fingerprint.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().expect("there are eight")));
    let first = layout::FINGERPRINT as u32 / 8;
    let head = [(0, layout::MAGIC as i64), (1, *bytes as i64)];
    let mut differs = None;
    for (n, wanted) in head.into_iter().chain((first..).zip(fingerprint)) {
        let found = w.load(state, Field::Word(n));
        let other = w.is(Compare::Ne, found, wanted);
        differs = Some(differs.map_or(other, |differs| w.either(differs, other)));
    }
    w.leave_if(differs.expect("there are words"), Status::WrongState);
}

/// What stands before the checksum, and the checksum.
fn copy_head(w: &mut Writer<'_>, from: VarId, to: VarId, sum: Value) {
    let place = layout::CHECKSUM as u32 / 8;
    for n in 0..place {
        let word = w.load(from, Field::Word(n));
        w.store(to, Field::Word(n), word);
    }
    w.store(to, Field::Word(place), sum);
}

/// The checksum of what stands behind it, which is written to the same place elsewhere.
fn copy(w: &mut Writer<'_>, from: VarId, to: Option<VarId>) -> Value {
    let sum = w.set(Type::Word, Op::Copy(0.into()));
    let from = w.offset(from, layout::SUMMED as i64);
    let to = to.map(|to| w.offset(to, layout::SUMMED as i64));
    each_word(w, (block(w).bytes - layout::SUMMED as u64) / 8, |w, n| {
        let word = w.load_word(from, n);
        if let Some(to) = to {
            w.store_word(to, n, word);
        }
        let mixed = w.word(WordOp::Xor, sum, word);
        let mixed = w.word(WordOp::Mul, mixed, layout::FACTOR);
        let above = w.word(WordOp::Ushr, mixed, 32);
        w.assign(sum, Op::Word(WordOp::Xor, mixed, above));
    });
    sum.into()
}

/// For the place of each of so many words.
fn each_word(w: &mut Writer<'_>, words: u64, body: impl FnOnce(&mut Writer<'_>, Value)) {
    if words > 0 {
        w.each(0, words as i64, |w, n| {
            let at = w.mul(n, 8);
            body(w, at);
        });
    }
}

impl Writer<'_> {
    fn load_word(&mut self, from: VarId, at: Value) -> VarId {
        let from = self.offset(from, at);
        self.load(from, Field::Word(0))
    }
    fn store_word(&mut self, to: VarId, at: Value, word: impl Into<Value>) {
        let to = self.offset(to, at);
        self.store(to, Field::Word(0), word);
    }
}
