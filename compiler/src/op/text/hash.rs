//! Hashes of strings, of the kinds that models know.

mod farm;

use serde::{Deserialize, Serialize};

use super::{
    super::*,
    check_strings,
    words::{Words, words_of},
};
use crate::{
    base::farm::fingerprint64,
    loops::{BinaryFn, CompareFn, LocalId},
    tensor::{DType, Scalar},
};

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextHashing {
    /// FarmHash's `Fingerprint64`, of `StringToHashBucketFast`.
    Farm,
    /// SipHash-2-4 (Aumasson and Bernstein, 2012) with a key, of `StringToHashBucketStrong`.
    Sip(u64, u64),
    /// MurmurHash64A (Austin Appleby), of `StringToHashBucket`.
    Murmur,
}

/// The hash of each string, a u64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextHash {
    pub hash: TextHashing,
}

/// The seed that models have.
const SEED: u64 = 0x00de_cafc_affe;
const MURMUR: u64 = 0xc6a4_a793_5bd1_e995;
/// "somepseudorandomlygeneratedbytes".
const SIP: [u64; 4] = [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];

impl Primitive for TextHash {
    const NAME: &'static str = "text_hash";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        Ok(TensorType::new(DType::U64, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let hash = |s: &Vec<u8>| match self.hash {
            TextHashing::Farm => fingerprint64(s),
            TextHashing::Sip(a, b) => sip(s, a, b),
            TextHashing::Murmur => murmur(s),
        };
        Ok(Tensor::from_scalars(DType::U64, out, inputs[0].strings().iter().map(|s| Scalar::Uint(hash(s)))))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        let mut words = Words { at };
        match self.hash {
            TextHashing::Farm => farm::emit(&mut words, x),
            TextHashing::Sip(a, b) => emit_sip(&mut words, x, a, b),
            TextHashing::Murmur => emit_murmur(&mut words, x),
        }
    }
}

fn murmur(s: &[u8]) -> u64 {
    let (whole, tail) = words_of(s);
    let start = SEED ^ (s.len() as u64).wrapping_mul(MURMUR);
    let mut h = whole.fold(start, |h, word| {
        let k = word.wrapping_mul(MURMUR);
        (h ^ (k ^ k >> 47).wrapping_mul(MURMUR)).wrapping_mul(MURMUR)
    });
    if !s.len().is_multiple_of(8) {
        h = (h ^ tail).wrapping_mul(MURMUR);
    }
    h = (h ^ h >> 47).wrapping_mul(MURMUR);
    h ^ h >> 47
}

fn emit_murmur(w: &mut Words<'_, '_>, x: ExprId) -> ExprId {
    let (length, n) = w.length(x);
    let h = w.at.w.local(DType::U64, []);
    let scaled = w.times(n, MURMUR);
    let seed = w.number(SEED);
    let start = w.xor(scaled, seed);
    w.at.w.assign(h, &[], start);
    let tail = w.each_word(x, &length, |w, word| {
        let k = w.times(word, MURMUR);
        let k = w.folded(k, 47);
        let k = w.times(k, MURMUR);
        let old = w.at.w.read(h, &[]);
        let new = w.xor(old, k);
        let new = w.times(new, MURMUR);
        w.at.w.assign(h, &[], new);
    });
    // What has no bytes behind its words stays as it is.
    let old = w.at.w.read(h, &[]);
    let old = w.set(old);
    let rest = w.and(n, 7);
    let zero = w.number(0);
    let none = w.at.w.compare(CompareFn::Eq, rest, zero);
    let some = w.xor(old, tail);
    let some = w.times(some, MURMUR);
    let h = w.at.w.select(none, old, some);
    let h = w.folded(h, 47);
    let h = w.times(h, MURMUR);
    w.folded(h, 47)
}

fn sip(s: &[u8], a: u64, b: u64) -> u64 {
    let mut v = [SIP[0] ^ a, SIP[1] ^ b, SIP[2] ^ a, SIP[3] ^ b];
    let (whole, tail) = words_of(s);
    for word in whole.chain([tail | (s.len() as u64) << 56]) {
        v[3] ^= word;
        v = sip_round(sip_round(v));
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    (0..4).for_each(|_| v = sip_round(v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
    (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
    a = a.rotate_left(32);
    (a, c) = (a.wrapping_add(d), c.wrapping_add(b));
    (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
    [a, b, c.rotate_left(32), d]
}

fn emit_sip(w: &mut Words<'_, '_>, x: ExprId, a: u64, b: u64) -> ExprId {
    let (length, n) = w.length(x);
    let state: [LocalId; 4] = [(); 4].map(|()| w.at.w.local(DType::U64, []));
    for (local, start) in state.into_iter().zip([SIP[0] ^ a, SIP[1] ^ b, SIP[2] ^ a, SIP[3] ^ b]) {
        let start = w.number(start);
        w.at.w.assign(local, &[], start);
    }
    let tail = w.each_word(x, &length, |w, word| emit_sip_word(w, state, word));
    let top = w.left(n, 56);
    let last = w.at.w.binary(BinaryFn::Or, tail, top);
    let last = w.set(last);
    emit_sip_word(w, state, last);
    let mut v = state.map(|local| w.at.w.read(local, &[]));
    let ones = w.number(0xff);
    v[2] = w.xor(v[2], ones);
    for _ in 0..4 {
        v = emit_sip_round(w, v);
    }
    let (low, high) = (w.xor(v[0], v[1]), w.xor(v[2], v[3]));
    w.xor(low, high)
}

fn emit_sip_word(w: &mut Words<'_, '_>, state: [LocalId; 4], word: ExprId) {
    let mut v = state.map(|local| w.at.w.read(local, &[]));
    v[3] = w.xor(v[3], word);
    v = emit_sip_round(w, v);
    v = emit_sip_round(w, v);
    v[0] = w.xor(v[0], word);
    let v = v.map(|value| w.set(value));
    state.into_iter().zip(v).for_each(|(local, value)| w.at.w.assign(local, &[], value));
}

fn emit_sip_round(w: &mut Words<'_, '_>, [mut a, mut b, mut c, mut d]: [ExprId; 4]) -> [ExprId; 4] {
    let turned = |w: &mut Words<'_, '_>, x: ExprId, by: u64, other: ExprId| {
        let x = w.rotated_left(x, by);
        let x = w.xor(x, other);
        w.set(x)
    };
    [b, d] = [b, d].map(|x| w.set(x));
    (a, c) = (w.add(a, b), w.add(c, d));
    (a, c) = (w.set(a), w.set(c));
    (b, d) = (turned(w, b, 13, a), turned(w, d, 16, c));
    a = w.rotated_left(a, 32);
    (a, c) = (w.add(a, d), w.add(c, b));
    (a, c) = (w.set(a), w.set(c));
    (b, d) = (turned(w, b, 17, c), turned(w, d, 21, a));
    c = w.rotated_left(c, 32);
    [a, b, w.set(c), d]
}

#[test]
fn hashes_are_those_of_models() {
    let long = "0123456789abcdef".repeat(4) + "X";
    for (text, strong, legacy) in [
        ("", 9667169246107117435, 9328806548029283899),
        ("a", 5158252350249958646, 2996632905371535868),
        ("hello", 2957200328589801622, 5943547241907780938),
        (&long, 11077362453458762133, 9504080050123292100),
    ] {
        assert_eq!((sip(text.as_bytes(), 1, 2), murmur(text.as_bytes())), (strong, legacy), "{text}");
    }
}
