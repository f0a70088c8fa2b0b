//! Where an element lies among distinct keys: what tables are made of.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    super::*,
    words::{Words, words_of},
};
use crate::{
    loops::{Bound, CompareFn},
    tensor::{DType, Scalar},
};

/// For each element of operand 0 the index of the equal one among operand 1, distinct keys `[n]` of the same type, or -1.
/// Strings and integers. Operands 2 and 3 are the perfect hash of the keys that [`Perfect`] makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Find {
    pub seed: u64,
}

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const OTHER: u64 = 0xd6e8_feb8_6659_fd93;

/// A perfect hash of constant keys, by hash and displace (Belazzougui, Botelho and Dietzfelbinger, 2009): a hash chooses a
/// bucket, and the bucket's number, with the hash, a slot.
pub struct Perfect {
    pub op: Find,
    /// Of the buckets, a power of two of them: i32.
    pub displacements: Tensor,
    /// By slot, a power of two of them: which key lies there, or -1; i32.
    pub slots: Tensor,
}

impl Perfect {
    /// Of these keys, strings or integers; or the first key that occurs twice, by its index.
    pub fn new(keys: &Tensor) -> Result<Perfect, usize> {
        let keys = hashed(keys);
        let mut seen = HashMap::new();
        if let Some(twice) = (0..keys.len()).find(|&n| seen.insert(&keys[n], n).is_some()) {
            return Err(twice);
        }
        let slots = (keys.len() * 5 / 4).next_power_of_two().max(2);
        let buckets = (keys.len() / 4).next_power_of_two().max(1);
        let attempt = |seed: u64| {
            let mut members: Vec<Vec<(u64, i32)>> = vec![vec![]; buckets];
            for (n, key) in keys.iter().enumerate() {
                let hash = hash(key, seed);
                members[hash as usize & (buckets - 1)].push((hash, n as i32));
            }
            let mut order: Vec<usize> = (0..buckets).collect();
            order.sort_by_key(|&bucket| std::cmp::Reverse(members[bucket].len()));
            let (mut displacements, mut taken) = (vec![0i32; buckets], vec![-1i32; slots]);
            for bucket in order {
                let fits = |&displacement: &i32| {
                    let mut own: Vec<usize> =
                        members[bucket].iter().map(|(hash, _)| slot(*hash, displacement, slots)).collect();
                    let free = own.iter().all(|&slot| taken[slot] < 0);
                    own.sort_unstable();
                    free && own.windows(2).all(|pair| pair[0] != pair[1])
                };
                let displacement = (0..1 << 16).find(fits)?;
                displacements[bucket] = displacement;
                members[bucket].iter().for_each(|(hash, n)| taken[slot(*hash, displacement, slots)] = *n);
            }
            Some((displacements, taken))
        };
        // Of random hashes, nearly every one succeeds.
        let found = (0..64).find_map(|seed| attempt(seed).map(|found| (seed, found)));
        let (seed, (displacements, taken)) = found.expect("keys that differ are hashed apart");
        let numbers = |values: Vec<i32>| {
            Tensor::from_scalars(DType::I32, [values.len()], values.into_iter().map(|n| Scalar::Int(n.into())))
        };
        Ok(Perfect { op: Find { seed }, displacements: numbers(displacements), slots: numbers(taken) })
    }
}

/// A key as what is hashed: whole words, what is behind them, and how many bytes there are.
type Hashed = (Vec<u64>, u64, u64);

fn hashed(keys: &Tensor) -> Vec<Hashed> {
    if !keys.has_strings() {
        return keys.scalars().map(|key| (vec![], bits(key), 8)).collect();
    }
    let words = |key: &Vec<u8>| {
        let (whole, tail) = words_of(key);
        (whole.collect(), tail, key.len() as u64)
    };
    keys.strings().iter().map(words).collect()
}

/// An integer, with its sign, as a word.
fn bits(key: Scalar) -> u64 {
    match key {
        Scalar::Int(n) => n as u64,
        Scalar::Uint(n) => n,
        other => panic!("{other:?} is no key"),
    }
}

fn hash((words, tail, bytes): &Hashed, seed: u64) -> u64 {
    let step = |h: u64, word: u64| {
        let h = (h ^ word).wrapping_mul(FACTOR);
        h ^ h >> 32
    };
    let h = words.iter().fold(seed ^ bytes.wrapping_mul(OTHER), |h, &word| step(h, word));
    let h = step(h, *tail).wrapping_mul(OTHER);
    h ^ h >> 29
}

fn slot(hash: u64, displacement: i32, slots: usize) -> usize {
    let mixed = (hash ^ (displacement as u64).wrapping_mul(OTHER)).wrapping_mul(FACTOR);
    (mixed >> (64 - slots.trailing_zeros())) as usize
}

impl Find {
    /// The hash of an element that is in a variable.
    fn emit_hash(&self, w: &mut Words<'_, '_>, x: ExprId) -> ExprId {
        let seed = w.number(self.seed);
        let step = |w: &mut Words<'_, '_>, h: ExprId, word: ExprId| {
            let h = w.xor(h, word);
            let h = w.times(h, FACTOR);
            w.folded(h, 32)
        };
        let (h, tail) = if w.at.w.dtype(x) == DType::Str {
            let (length, bytes) = w.length(x);
            let bytes = w.times(bytes, OTHER);
            let start = w.xor(seed, bytes);
            let state = w.at.w.local(DType::U64, []);
            w.at.w.assign(state, &[], start);
            let tail = w.each_word(x, &length, |w, word| {
                let old = w.at.w.read(state, &[]);
                let new = step(w, old, word);
                w.at.w.assign(state, &[], new);
            });
            (w.at.w.read(state, &[]), tail)
        } else {
            let bytes = w.number(8u64.wrapping_mul(OTHER));
            let wide = w.at.w.cast(DType::I64, x);
            (w.xor(seed, bytes), w.at.w.cast(DType::U64, wide))
        };
        let h = step(w, h, tail);
        let h = w.times(h, OTHER);
        let h = w.folded(h, 29);
        w.set(h)
    }
    /// The index of an element that is in a variable among operand 1, or -1; operands 2 and 3 are the perfect hash.
    pub(in super::super) fn emit(&self, at: &mut Emit<'_>, x: ExprId) -> ExprId {
        let [keys, displacements, slots] = [1, 2, 3].map(|n| at.shape(n)[0].clone());
        let mut w = Words { at };
        let hash = self.emit_hash(&mut w, x);
        let bucket = w.and(hash, displacements.as_int().unwrap_or(1) as u64 - 1);
        let bucket = w.at.w.cast(DType::I64, bucket);
        let bucket = w.at.w.set_index(bucket, Some(displacements));
        let displacement = w.at.read(2, &[bucket]);
        let displacement = w.at.w.cast(DType::U64, displacement);
        let displacement = w.times(displacement, OTHER);
        let mixed = w.xor(hash, displacement);
        let mixed = w.times(mixed, FACTOR);
        let bits = slots.as_int().map_or(1, |n| n.trailing_zeros());
        let slot = w.right(mixed, 64 - u64::from(bits));
        let slot = w.at.w.cast(DType::I64, slot);
        let slot = w.at.w.set_index(slot, Some(slots));
        let candidate = w.at.read(3, &[slot]);
        let candidate = w.at.w.cast(DType::I64, candidate);
        let candidate = w.at.w.set_index(candidate, None);
        let bounds = vec![Bound { index: candidate.clone(), extent: keys }];
        w.at.within(
            bounds,
            |at| {
                let key = at.read(1, std::slice::from_ref(&candidate));
                let key = at.w.set(key);
                let same = match at.w.dtype(x) {
                    DType::Str => Words { at }.equal(x, key),
                    _ => at.w.compare(CompareFn::Eq, x, key),
                };
                let (index, none) = (at.w.index(candidate.clone()), at.w.int(DType::I64, -1));
                at.w.select(same, index, none)
            },
            |at| at.w.int(DType::I64, -1),
        )
    }
}

impl Primitive for Find {
    const NAME: &'static str = "find";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x, keys, displacements, slots] = operands(inputs)?;
        if x.dtype != keys.dtype || keys.rank() != 1 || !(x.dtype.is_int() || x.dtype == DType::Str) {
            return Err(format!("{x} is not found among {keys}"));
        }
        for part in [displacements, slots] {
            let power = |n: i64| n > 0 && n & (n - 1) == 0;
            if part.dtype != DType::I32 || part.rank() != 1 || !part.shape[0].as_int().is_some_and(power) {
                return Err(format!("{part} is no part of a perfect hash"));
            }
        }
        if slots.shape[0].is(1) {
            return Err("a perfect hash has two slots at least".into());
        }
        Ok(TensorType::new(DType::I64, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        fn found<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>, all: impl Iterator<Item = K>) -> Vec<i64> {
            let known: HashMap<K, i64> = keys.zip(0..).collect();
            all.map(|x| known.get(&x).copied().unwrap_or(-1)).collect()
        }
        let (x, keys) = (inputs[0], inputs[1]);
        let indices = match x.dtype {
            DType::Str => found(keys.strings().iter(), x.strings().iter()),
            _ => found(keys.scalars().map(bits), x.scalars().map(bits)),
        };
        Ok(Tensor::from_i64(out, &indices))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        self.emit(at, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        loops::interp::{Bytes, run_part},
        tensor::Text,
    };

    /// What the operator's kernel finds.
    fn by_kernel(perfect: &Perfect, inputs: [&Tensor; 2]) -> Vec<i64> {
        let all = [inputs[0], inputs[1], &perfect.displacements, &perfect.slots];
        let types: Vec<TensorType> = all.iter().map(|t| t.ty()).collect();
        let out = TensorType::new(DType::I64, types[0].shape.clone());
        let kernel = kernel(&Op::from(perfect.op.clone()), &types.iter().collect::<Vec<_>>(), &out);
        crate::loops::verify(&kernel).unwrap();
        let mut text = Text::default();
        let placed: Vec<Tensor> = all.iter().map(|t| text.place(t)).collect();
        let mut found = vec![0; inputs[0].count() * 8];
        let mut buffers: Vec<Bytes<'_>> = placed.iter().map(|t| Bytes::In(t.bytes())).collect();
        buffers.push(Bytes::Out(&mut found));
        run_part(&kernel, &mut buffers, &Bindings::new(), None, &mut text).unwrap();
        found.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
    }

    fn check(keys: &Tensor, queries: &Tensor) -> Vec<i64> {
        let perfect = Perfect::new(keys).unwrap();
        let inputs = [queries, keys, &perfect.displacements, &perfect.slots];
        let types: Vec<TensorType> = inputs.iter().map(|t| t.ty()).collect();
        perfect.op.infer(&types.iter().collect::<Vec<_>>(), &Facts::default()).unwrap();
        let found = perfect.op.eval(&inputs, &queries.shape, &Bindings::new()).unwrap().to_i64s().unwrap();
        assert_eq!(by_kernel(&perfect, [queries, keys]), found);
        found
    }

    #[test]
    fn keys_are_found_and_nothing_else() {
        let strings =
            |words: &[&str]| Tensor::from_strings([words.len()], words.iter().map(|w| w.as_bytes().to_vec()).collect());
        let keys = strings(&["", "a", "b", "sixteen bytes ok", "sixteen bytes oK", "and some more than that"]);
        let queries =
            strings(&["b", "", "c", "sixteen bytes oK", "sixteen bytes ok!", "a\0", "and some more than that"]);
        assert_eq!(check(&keys, &queries), [2, 0, -1, 4, -1, -1, 5]);
        for n in [0, 1, 3, 100, 1000] {
            let keys = Tensor::from_i64([n], &(0..n as i64).map(|k| k * k - 40).collect::<Vec<_>>());
            let found = check(&keys, &Tensor::from_i64([60], &(-50..10).collect::<Vec<_>>()));
            for (query, found) in (-50i64..10).zip(found) {
                let expected = (0..n as i64).find(|k| k * k - 40 == query).unwrap_or(-1);
                assert_eq!(found, expected, "{query} of {n}");
            }
        }
        assert_eq!(Perfect::new(&strings(&["x", "y", "x"])).err(), Some(2));
    }
}
