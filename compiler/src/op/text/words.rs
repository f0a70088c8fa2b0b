//! Code that computes with strings by words: u64 arithmetic that wraps, and loops over the bytes of one string.

use crate::{
    base::Dim,
    loops::{BinaryFn, Bound, CompareFn, Emit, ExprId, LoopKind},
    tensor::{DType, Scalar},
};

/// The whole words of a string, and what is behind them as one, the first byte lowest: as [`Words::each_word`] has them.
pub fn words_of(s: &[u8]) -> (impl Iterator<Item = u64>, u64) {
    let (whole, tail) = s.as_chunks::<8>();
    let tail = tail.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    (whole.iter().map(|bytes| u64::from_le_bytes(*bytes)), tail)
}

/// What hashes are written in.
pub struct Words<'a, 'b> {
    pub at: &'a mut Emit<'b>,
}

impl Words<'_, '_> {
    pub fn number(&mut self, n: u64) -> ExprId {
        self.at.w.constant(DType::U64, Scalar::Uint(n))
    }
    pub fn add(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.at.w.binary(BinaryFn::Add, a, b)
    }
    pub fn mul(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.at.w.binary(BinaryFn::Mul, a, b)
    }
    pub fn times(&mut self, a: ExprId, by: u64) -> ExprId {
        let by = self.number(by);
        self.mul(a, by)
    }
    pub fn plus(&mut self, a: ExprId, n: u64) -> ExprId {
        let n = self.number(n);
        self.add(a, n)
    }
    pub fn xor(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.at.w.binary(BinaryFn::Xor, a, b)
    }
    pub fn and(&mut self, a: ExprId, mask: u64) -> ExprId {
        let mask = self.number(mask);
        self.at.w.binary(BinaryFn::And, a, mask)
    }
    pub fn left(&mut self, a: ExprId, by: u64) -> ExprId {
        let by = self.number(by);
        self.at.w.binary(BinaryFn::Shl, a, by)
    }
    pub fn right(&mut self, a: ExprId, by: u64) -> ExprId {
        let by = self.number(by);
        self.at.w.binary(BinaryFn::Shr, a, by)
    }
    pub fn rotated_right(&mut self, a: ExprId, by: u64) -> ExprId {
        let (low, high) = (self.right(a, by), self.left(a, 64 - by));
        self.at.w.binary(BinaryFn::Or, low, high)
    }
    pub fn rotated_left(&mut self, a: ExprId, by: u64) -> ExprId {
        self.rotated_right(a, 64 - by)
    }
    /// `a ^ a >> by`.
    pub fn folded(&mut self, a: ExprId, by: u64) -> ExprId {
        let a = self.at.w.set(a);
        let high = self.right(a, by);
        self.xor(a, high)
    }
    /// Named, so that its uses share one evaluation.
    pub fn set(&mut self, a: ExprId) -> ExprId {
        self.at.w.set(a)
    }

    /// The eight bytes of a string from an index on.
    pub fn word(&mut self, text: ExprId, at: &Dim) -> ExprId {
        let at = self.at.w.index(at.clone());
        let word = self.at.w.word(text, at);
        self.at.w.set(word)
    }
    /// A byte of a string as a word.
    pub fn byte(&mut self, text: ExprId, at: &Dim) -> ExprId {
        let at = self.at.w.index(at.clone());
        let byte = self.at.w.byte(text, at);
        let byte = self.at.w.cast(DType::U64, byte);
        self.at.w.set(byte)
    }
    /// The length of a string as an index, and as a word.
    pub fn length(&mut self, text: ExprId) -> (Dim, ExprId) {
        let length = self.at.w.length(text);
        let length = self.at.w.set_index(length, None);
        let word = self.at.w.index(length.clone());
        let word = self.at.w.cast(DType::U64, word);
        (length, self.at.w.set(word))
    }
    /// `state = step(state, word)` for each whole word of a string of this length, in order; then the bytes behind them as one
    /// word, the first one lowest.
    pub fn each_word(&mut self, text: ExprId, length: &Dim, step: impl FnOnce(&mut Words<'_, '_>, ExprId)) -> ExprId {
        let whole = length.floor_div(&8.into());
        self.at.each(&whole, LoopKind::Seq, |at, n| {
            let mut words = Words { at };
            let word = words.word(text, &(n * 8));
            step(&mut words, word);
        });
        let tail = self.at.w.local(DType::U64, []);
        let zero = self.number(0);
        self.at.w.assign(tail, &[], zero);
        let first = &whole * 8;
        self.at.each(&(length - &first), LoopKind::Seq, |at, n| {
            let mut words = Words { at };
            let byte = words.byte(text, &(&first + n));
            let bits = words.at.w.index(n * 8);
            let bits = words.at.w.cast(DType::U64, bits);
            let byte = words.at.w.binary(BinaryFn::Shl, byte, bits);
            words.at.w.accumulate(tail, &[], BinaryFn::Or, byte);
        });
        let tail = self.at.w.read(tail, &[]);
        self.at.w.set(tail)
    }
    /// Whether an index is below a bound, as the bound that [`Emit::within`] takes.
    pub fn below(index: &Dim, extent: i64) -> Vec<Bound> {
        vec![Bound { index: index.clone(), extent: extent.into() }]
    }
    /// Whether two strings are the same bytes.
    pub fn equal(&mut self, a: ExprId, b: ExprId) -> ExprId {
        let (a_length, b_length) = (self.at.w.length(a), self.at.w.length(b));
        let same = self.at.w.compare(CompareFn::Eq, a_length, b_length);
        let same = self.at.w.set(same);
        let none = self.at.w.int(DType::I64, 0);
        // Of unequal lengths no byte is looked at.
        let length = self.at.w.select(same, a_length, none);
        let length = self.at.w.set_index(length, None);
        let equal = self.at.w.local(DType::Bool, []);
        self.at.w.assign(equal, &[], same);
        let whole = length.floor_div(&8.into());
        self.at.each(&whole, LoopKind::Seq, |at, n| {
            let mut words = Words { at };
            let (a, b) = (words.word(a, &(n * 8)), words.word(b, &(n * 8)));
            let here = words.at.w.compare(CompareFn::Eq, a, b);
            words.at.w.accumulate(equal, &[], BinaryFn::And, here);
        });
        let first = &whole * 8;
        self.at.each(&(&length - &first), LoopKind::Seq, |at, n| {
            let mut words = Words { at };
            let (a, b) = (words.byte(a, &(&first + n)), words.byte(b, &(&first + n)));
            let here = words.at.w.compare(CompareFn::Eq, a, b);
            words.at.w.accumulate(equal, &[], BinaryFn::And, here);
        });
        let equal = self.at.w.read(equal, &[]);
        self.at.w.set(equal)
    }
}
