//! Random words from a key and a counter.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, Bound, CompareFn, Stmt, Writer},
    tensor::{DType, Scalar},
};

/// The words of Philox 4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC11): four of 32 bits for each
/// number of 128 bits from a counter on, which wraps. Operand 0 is the key, a u64; operand 1 the counter, u64 `[2]`, whose
/// low half is first. The result has a row for each block, of `[blocks, 4]` u32 or `[blocks, 2]` u64, whose low half is the
/// word before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Philox {
    pub blocks: Dim,
    pub to: DType,
}

/// What the first and third word are multiplied by.
const FACTORS: [u32; 2] = [0xD2511F53, 0xCD9E8D57];
/// What is added to the halves of the key before each round but the first.
const STEPS: [u32; 2] = [0x9E3779B9, 0xBB67AE85];
const ROUNDS: usize = 10;
/// Blocks that are made at a time.
const AT_ONCE: i64 = 8;

/// The block of a key and a counter, by the definition.
pub(super) fn block(key: u64, counter: u128) -> [u32; 4] {
    let mut words = [0, 1, 2, 3].map(|n| (counter >> (32 * n)) as u32);
    let mut key = [key as u32, (key >> 32) as u32];
    for _ in 0..ROUNDS {
        let [left, right] = [0, 1].map(|n| u64::from(words[2 * n]) * u64::from(FACTORS[n]));
        words = [
            (right >> 32) as u32 ^ words[1] ^ key[0],
            right as u32,
            (left >> 32) as u32 ^ words[3] ^ key[1],
            left as u32,
        ];
        key = [key[0].wrapping_add(STEPS[0]), key[1].wrapping_add(STEPS[1])];
    }
    words
}

/// The key and the counter that the operands hold.
pub(super) fn start(inputs: &[&Tensor]) -> (u64, u128) {
    let at = |x: &Tensor, n: usize| match x.get(n) {
        Scalar::Uint(n) => n,
        other => panic!("{other:?} is no u64"),
    };
    (at(inputs[0], 0), u128::from(at(inputs[1], 0)) | u128::from(at(inputs[1], 1)) << 64)
}

/// Refuses what is no key and counter.
pub(super) fn check_operands(key: &TensorType, counter: &TensorType) -> Infer<()> {
    let is_key = key.dtype == DType::U64 && key.rank() == 0;
    let is_counter = counter.dtype == DType::U64 && counter.rank() == 1 && counter.shape[0].is(2);
    if is_key && is_counter { Ok(()) } else { Err(format!("{key} and {counter} are no key and counter")) }
}

/// Code for blocks of one key, from a counter on. All values are u64, those of words below 2^32.
pub(super) struct Blocks {
    key: ExprId,
    counter: [ExprId; 2],
}

impl Blocks {
    /// From the operands of the operator that is being written.
    pub fn new(at: &mut Emit<'_>) -> Blocks {
        let key = at.read(0, &[]);
        let key = at.w.set(key);
        let counter = [0, 1].map(|n| {
            let half = at.read(1, &[Dim::from(n)]);
            at.w.set(half)
        });
        Blocks { key, counter }
    }

    /// The words of the block so many numbers behind the counter; the number is an i64 that is not negative.
    pub fn words(&self, w: &mut Writer, behind: ExprId) -> [ExprId; 4] {
        let [low, high] = self.counter;
        let behind = w.cast(DType::U64, behind);
        let sum = w.binary(BinaryFn::Add, low, behind);
        let sum = w.set(sum);
        let carries = w.compare(CompareFn::Lt, sum, low);
        let carry = w.cast(DType::U64, carries);
        let high = w.binary(BinaryFn::Add, high, carry);
        let high = w.set(high);
        let [[a, b], [c, d]] = [sum, high].map(|half| halves(w, half));
        let mut words = [a, b, c, d];
        let mut key = halves(w, self.key);
        for n in 0..ROUNDS {
            if n > 0 {
                key = [0, 1].map(|n| {
                    let step = w.int(DType::U64, STEPS[n].into());
                    let next = w.binary(BinaryFn::Add, key[n], step);
                    low_half(w, next)
                });
            }
            words = round(w, words, key);
        }
        words
    }
}

/// The two words of a u64, the low one first.
fn halves(w: &mut Writer, x: ExprId) -> [ExprId; 2] {
    let low = low_half(w, x);
    [low, high_half(w, x)]
}

fn low_half(w: &mut Writer, x: ExprId) -> ExprId {
    let mask = w.int(DType::U64, u32::MAX.into());
    let half = w.binary(BinaryFn::And, x, mask);
    w.set(half)
}

fn high_half(w: &mut Writer, x: ExprId) -> ExprId {
    let bits = w.int(DType::U64, 32);
    let half = w.binary(BinaryFn::Shr, x, bits);
    w.set(half)
}

fn round(w: &mut Writer, words: [ExprId; 4], key: [ExprId; 2]) -> [ExprId; 4] {
    let [left, right] = [0, 1].map(|n| {
        let factor = w.int(DType::U64, FACTORS[n].into());
        let product = w.binary(BinaryFn::Mul, words[2 * n], factor);
        w.set(product)
    });
    let mut mixed = |product, word, key| {
        let high = high_half(w, product);
        let mixed = w.binary(BinaryFn::Xor, high, word);
        let mixed = w.binary(BinaryFn::Xor, mixed, key);
        w.set(mixed)
    };
    let (first, third) = (mixed(right, words[1], key[0]), mixed(left, words[3], key[1]));
    [first, low_half(w, right), third, low_half(w, left)]
}

/// Two words as one u64.
pub(super) fn joined(w: &mut Writer, low: ExprId, high: ExprId) -> ExprId {
    let bits = w.int(DType::U64, 32);
    let high = w.binary(BinaryFn::Shl, high, bits);
    w.binary(BinaryFn::Or, low, high)
}

impl Philox {
    /// Stores a block that is given as two numbers of 64 bits.
    fn store(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim], row: &Dim, pairs: [ExprId; 2]) {
        let store = |at: &mut Emit<'_>, column: i64, value| {
            let value = at.w.cast(self.to, value);
            at.w.store(out, shape, &[row.clone(), column.into()], value);
        };
        for (n, pair) in (0..).zip(pairs) {
            if self.to == DType::U64 {
                store(at, n, pair);
                continue;
            }
            store(at, 2 * n, pair);
            let high = high_half(at.w, pair);
            store(at, 2 * n + 1, high);
        }
    }
    /// The block at `row` as two numbers.
    fn pairs(blocks: &Blocks, at: &mut Emit<'_>, row: &Dim) -> [ExprId; 2] {
        let row = at.w.index(row.clone());
        let [a, b, c, d] = blocks.words(at.w, row);
        [joined(at.w, a, b), joined(at.w, c, d)]
    }
    /// As many rows as are made at a time, from `first` on: by lanes up to where they leave registers.
    fn rows(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim], first: &Dim) {
        let blocks = Blocks::new(at);
        let made = at.w.local(DType::U64, [2, AT_ONCE as usize]);
        at.each(&AT_ONCE.into(), LoopKind::Vector, |at, n| {
            let pairs = Philox::pairs(&blocks, at, &(first + n));
            for (pair, value) in (0..).zip(pairs) {
                at.w.assign(made, &[Dim::from(pair), n.clone()], value);
            }
        });
        for n in 0..AT_ONCE {
            let pairs = [0, 1].map(|pair| {
                let value = at.w.read(made, &[Dim::from(pair), n.into()]);
                at.w.set(value)
            });
            self.store(at, out, shape, &(first + n), pairs);
        }
    }
    /// One row.
    fn row(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim], row: &Dim, blocks: &Blocks) {
        let pairs = Philox::pairs(blocks, at, row).map(|pair| at.w.set(pair));
        self.store(at, out, shape, row, pairs);
    }
    /// Rows one by one, as many of those from `first` on as there are.
    fn some_rows(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim], first: &Dim) {
        let blocks = Blocks::new(at);
        at.each(&AT_ONCE.into(), LoopKind::Seq, |at, n| {
            let row = first + n;
            let bound = Bound { index: row.clone(), extent: shape[0].clone() };
            at.only_within(vec![bound], |at| self.row(at, out, shape, &row, &blocks));
        });
    }
}

impl Primitive for Philox {
    const NAME: &'static str = "philox";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [key, counter] = operands(inputs)?;
        check_operands(key, counter)?;
        let words = match self.to {
            DType::U32 => 4,
            DType::U64 => 2,
            other => return Err(format!("{other} is no type of random words")),
        };
        if is_negative(&self.blocks) {
            return Err(format!("there are no {} blocks", self.blocks));
        }
        Ok(TensorType::new(self.to, [self.blocks.clone(), words.into()]))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let (key, counter) = start(inputs);
        let mut words = vec![];
        for n in 0..out[0] {
            let block = block(key, counter.wrapping_add(n as u128)).map(u64::from);
            match self.to {
                DType::U32 => words.extend(block),
                _ => words.extend([block[0] | block[1] << 32, block[2] | block[3] << 32]),
            }
        }
        Ok(Tensor::from_scalars(self.to, out, words.into_iter().map(Scalar::Uint)))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("random words are written as a whole")
    }
    /// Rows in groups; in the last one there may be fewer.
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        if shape[0].as_int().is_some_and(|blocks| blocks < AT_ONCE) {
            return at.each(&shape[0], LoopKind::Seq, |at, row| {
                let blocks = Blocks::new(at);
                self.row(at, out, shape, row, &blocks);
            });
        }
        let groups = (&shape[0] + (AT_ONCE - 1)).floor_div(&AT_ONCE.into());
        at.each(&groups, LoopKind::Seq, |at, group| {
            let first = group * AT_ONCE;
            let last = Bound { index: &first + (AT_ONCE - 1), extent: shape[0].clone() };
            if at.w.is_within(&last.index, &last.extent) {
                return self.rows(at, out, shape, &first);
            }
            at.w.open_block();
            self.rows(at, out, shape, &first);
            at.operands.leave(at.w.depth());
            let then = at.w.close_block();
            at.w.open_block();
            self.some_rows(at, out, shape, &first);
            at.operands.leave(at.w.depth());
            let otherwise = at.w.close_block();
            at.w.emit(Stmt::If { bounds: vec![last], then, otherwise });
        });
    }
}

/// The known answers of the authors' Random123, `kat_vectors`.
#[test]
fn blocks_are_those_of_the_authors() {
    assert_eq!(block(0, 0), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    assert_eq!(block(u64::MAX, u128::MAX), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    let counter = 0x0370734413198a2e85a308d3243f6a88;
    assert_eq!(block(0x299f31d0a4093822, counter), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
}
