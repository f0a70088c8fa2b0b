//! The code points of strings of UTF-8.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings};
use crate::{
    loops::{BinaryFn, Bound, CompareFn, UnaryFn},
    tensor::{DType, Scalar},
};

/// What becomes of bytes that are no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// They count as this code point.
    Replace(i32),
    /// They do not count.
    Ignore,
    /// A fault.
    Fault,
}

/// How strings become code points. Of bytes that are none, as many as may begin a character are one, and otherwise each (as
/// the Unicode standard recommends, section 3.9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decoding {
    pub malformed: Malformed,
    /// What control characters below U+0020 become, if not themselves; where bytes are ignored they are too.
    pub control: Option<i32>,
}

impl Decoding {
    /// The code points of a string and where each begins.
    fn decoded(&self, s: &[u8]) -> Result<Vec<(i32, i64)>, Fault> {
        let mut all = vec![];
        let mut put = |code: Option<char>, at: usize| {
            let handled = match (code, self.control) {
                (Some(c), Some(control)) if c < ' ' => Some(control),
                (Some(c), _) => {
                    all.push((c as i32, at as i64));
                    return Ok(());
                }
                (None, _) => None,
            };
            match (self.malformed, handled) {
                (Malformed::Ignore, _) => {}
                (Malformed::Fault, None) => return Err(Fault::AssertionFailed),
                (Malformed::Replace(by), None) => all.push((by, at as i64)),
                (_, Some(by)) => all.push((by, at as i64)),
            }
            Ok(())
        };
        let mut at = 0;
        for chunk in s.utf8_chunks() {
            for (n, c) in chunk.valid().char_indices() {
                put(Some(c), at + n)?;
            }
            at += chunk.valid().len();
            if !chunk.invalid().is_empty() {
                put(None, at)?;
            }
            at += chunk.invalid().len();
        }
        Ok(all)
    }
    /// Code that goes through the string `x`, which is in a variable: `each(at, holds, code, begin)` is written where a code
    /// point may be, in order, and there is one where `holds`; of i32 and i64.
    fn emit(&self, at: &mut Emit<'_>, x: ExprId, mut each: impl FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId)) {
        let mut put = |at: &mut Emit<'_>, holds: ExprId, code: ExprId, bad: ExprId, begin: ExprId| {
            self.emit_one(at, [holds, code, bad, begin], &mut each);
        };
        // A character that has begun: how many bytes are missing, between which the next one is, its bits so far, its place.
        let [missing, low, high, code, begin] = [(); 5].map(|()| at.w.local(DType::I64, []));
        let int = |at: &mut Emit<'_>, n: i64| at.w.int(DType::I64, n);
        let zero = int(at, 0);
        [missing, low, high, code, begin].into_iter().for_each(|local| at.w.assign(local, &[], zero));
        let yes = at.w.constant(DType::Bool, Scalar::Bool(true));
        let length = at.w.length(x);
        let length = at.w.set_index(length, None);
        at.each(&length, LoopKind::Seq, |at, n| {
            let here = at.w.index(n.clone());
            let byte = at.w.byte(x, here);
            let byte = at.w.cast(DType::I64, byte);
            let byte = at.w.set(byte);
            let old = [missing, low, high, code, begin].map(|local| {
                let value = at.w.read(local, &[]);
                at.w.set(value)
            });
            let (least, greatest) =
                (at.w.compare(CompareFn::Ge, byte, old[1]), at.w.compare(CompareFn::Le, byte, old[2]));
            let fits = at.w.binary(BinaryFn::And, least, greatest);
            let inside = at.w.compare(CompareFn::Gt, old[0], zero);
            let inside = at.w.set(inside);
            let continues = at.w.binary(BinaryFn::And, inside, fits);
            let continues = at.w.set(continues);
            let other = at.w.unary(UnaryFn::Not, continues);
            let other = at.w.set(other);
            let broken = at.w.binary(BinaryFn::And, inside, other);
            let broken = at.w.set(broken);
            put(at, broken, old[3], yes, old[4]);
            // How a first byte begins: by the first row whose bytes it is not below, how many bytes follow, between which.
            let rows = [
                (0xf5, -1, 0, 0),
                (0xf4, 3, 0x80, 0x8f),
                (0xf1, 3, 0x80, 0xbf),
                (0xf0, 3, 0x90, 0xbf),
                (0xee, 2, 0x80, 0xbf),
                (0xed, 2, 0x80, 0x9f),
                (0xe1, 2, 0x80, 0xbf),
                (0xe0, 2, 0xa0, 0xbf),
                (0xc2, 1, 0x80, 0xbf),
                (0x80, -1, 0, 0),
                (0, 0, 0, 0),
            ];
            let [mut more, mut from, mut up_to] = [zero; 3];
            for (first, follow, least, greatest) in rows.into_iter().rev() {
                let first = int(at, first);
                let is = at.w.compare(CompareFn::Ge, byte, first);
                let is = at.w.set(is);
                for (value, new) in [(&mut more, follow), (&mut from, least), (&mut up_to, greatest)] {
                    let new = int(at, new);
                    *value = at.w.select(is, new, *value);
                }
            }
            let more = at.w.set(more);
            // The bits of a first byte: seven of one byte, and 6 - n of one that n bytes follow.
            let (bits, none, seven) = (int(at, 0x3f), int(at, -1), int(at, 0x7f));
            let follow = at.w.binary(BinaryFn::Max, more, zero);
            let several = at.w.binary(BinaryFn::Shr, bits, follow);
            let single = at.w.compare(CompareFn::Eq, more, zero);
            let mask = at.w.select(single, seven, several);
            let first = at.w.binary(BinaryFn::And, byte, mask);
            let six = int(at, 6);
            let shifted = at.w.binary(BinaryFn::Shl, old[3], six);
            let low_bits = at.w.binary(BinaryFn::And, byte, bits);
            let joined = at.w.binary(BinaryFn::Or, shifted, low_bits);
            let one = int(at, 1);
            let left = at.w.binary(BinaryFn::Sub, old[0], one);
            let left = at.w.select(continues, left, more);
            let left = at.w.set(left);
            let value = at.w.select(continues, joined, first);
            let value = at.w.set(value);
            let place = at.w.select(continues, old[4], here);
            let place = at.w.set(place);
            let bad = at.w.compare(CompareFn::Eq, left, none);
            let bad = at.w.set(bad);
            let ends = at.w.compare(CompareFn::Le, left, zero);
            let ends = at.w.set(ends);
            put(at, ends, value, bad, place);
            let [inner_low, inner_high] = [0x80, 0xbf].map(|n| int(at, n));
            let from = at.w.select(continues, inner_low, from);
            let up_to = at.w.select(continues, inner_high, up_to);
            let left = at.w.binary(BinaryFn::Max, left, zero);
            for (local, new) in [(missing, left), (low, from), (high, up_to), (code, value), (begin, place)] {
                let new = at.w.set(new);
                at.w.assign(local, &[], new);
            }
        });
        let [left, value, place] = [missing, code, begin].map(|local| {
            let value = at.w.read(local, &[]);
            at.w.set(value)
        });
        let cut = at.w.compare(CompareFn::Gt, left, zero);
        let cut = at.w.set(cut);
        put(at, cut, value, yes, place);
    }
    /// One code point that `holds`, or `bad` bytes.
    fn emit_one(
        &self,
        at: &mut Emit<'_>,
        [holds, code, bad, begin]: [ExprId; 4],
        each: &mut dyn FnMut(&mut Emit<'_>, ExprId, ExprId, ExprId),
    ) {
        let mut code = at.w.cast(DType::I32, code);
        let mut counts = holds;
        let good = at.w.unary(UnaryFn::Not, bad);
        if let Some(control) = self.control {
            let (space, by) = (at.w.int(DType::I32, 0x20), at.w.int(DType::I32, control.into()));
            let below = at.w.compare(CompareFn::Lt, code, space);
            let below = at.w.binary(BinaryFn::And, below, good);
            let below = at.w.set(below);
            code = at.w.select(below, by, code);
            if self.malformed == Malformed::Ignore {
                let other = at.w.unary(UnaryFn::Not, below);
                counts = at.w.binary(BinaryFn::And, counts, other);
            }
        }
        match self.malformed {
            Malformed::Replace(by) => {
                let by = at.w.int(DType::I32, by.into());
                code = at.w.select(bad, by, code);
            }
            Malformed::Ignore => counts = at.w.binary(BinaryFn::And, counts, good),
            Malformed::Fault => {
                let none = at.w.unary(UnaryFn::Not, holds);
                let fine = at.w.binary(BinaryFn::Or, none, good);
                at.w.check(fine, Fault::AssertionFailed);
            }
        }
        let (counts, code) = (at.w.set(counts), at.w.set(code));
        each(at, counts, code, begin);
    }
}

/// The number of code points of each string, an i64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextCodes {
    pub by: Decoding,
}

impl Primitive for TextCodes {
    const NAME: &'static str = "text_codes";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        Ok(TensorType::new(DType::I64, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let counts = inputs[0].strings().iter().map(|s| Ok(self.by.decoded(s)?.len() as i64));
        Ok(Tensor::from_i64(out, &counts.collect::<Result<Vec<i64>, Fault>>()?))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        let count = at.w.local(DType::I64, []);
        let zero = at.w.int(DType::I64, 0);
        at.w.assign(count, &[], zero);
        self.by.emit(at, x, |at, holds, _, _| {
            let one = at.w.cast(DType::I64, holds);
            at.w.accumulate(count, &[], BinaryFn::Add, one);
        });
        let count = at.w.read(count, &[]);
        at.w.set(count)
    }
}

/// The first `count` code points of all strings, in row-major order of these, as a vector of i32; or where each begins in its
/// string, i64. Zeros where there are fewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextDecode {
    pub by: Decoding,
    pub count: Dim,
    pub places: bool,
}

impl Primitive for TextDecode {
    const NAME: &'static str = "text_decode";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        if is_negative(&self.count) {
            return Err(format!("there are no {} code points", self.count));
        }
        Ok(TensorType::new(if self.places { DType::I64 } else { DType::I32 }, [self.count.clone()]))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let mut all = vec![];
        for s in inputs[0].strings() {
            all.extend(self.by.decoded(s)?);
        }
        all.resize(out[0], (0, 0));
        let dtype = if self.places { DType::I64 } else { DType::I32 };
        let numbers = all.into_iter().map(|(code, at)| Scalar::Int(if self.places { at } else { code.into() }));
        Ok(Tensor::from_scalars(dtype, out, numbers))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("code points are written as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let next = at.w.local(DType::I64, []);
        let (zero, nowhere) = (at.w.int(DType::I64, 0), at.w.int(DType::I64, -1));
        at.w.assign(next, &[], zero);
        at.nest(&at.shape(0), LoopKind::Seq, |at, ix| {
            let x = at.read(0, ix);
            let x = at.w.set(x);
            self.by.emit(at, x, |at, holds, code, begin| {
                let place = at.w.read(next, &[]);
                let place = at.w.select(holds, place, nowhere);
                let index = at.w.set_index(place, None);
                at.only_within(vec![Bound { index: index.clone(), extent: self.count.clone() }], |at| {
                    at.w.store(out, shape, &[index], if self.places { begin } else { code });
                });
                let one = at.w.cast(DType::I64, holds);
                at.w.accumulate(next, &[], BinaryFn::Add, one);
            });
        });
        let (found, count) = (at.w.read(next, &[]), at.w.index(self.count.clone()));
        let found = at.w.binary(BinaryFn::Min, found, count);
        let found = at.w.set_index(found, None);
        let none = at.w.int(if self.places { DType::I64 } else { DType::I32 }, 0);
        at.each(&(&self.count - &found), LoopKind::Seq, |at, n| at.w.store(out, shape, &[&found + n], none));
    }
}
