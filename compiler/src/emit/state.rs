//! How a model's state lies in its block: the variables, their places, and the bytes by which a block describes itself.
//!
//! The layout is that of [`smc_runtime::state`]. Variables stand in the order of their names, so that it depends on what
//! they are, and not on the signatures that use them.

use sha2::{Digest, Sha256};
use smc_runtime::state::{ALIGN, FINGERPRINT, HEADER, MAGIC, RECORD};

use super::descriptor::element_type;
use crate::{
    base::Bindings,
    entry::{StateBlock, StatePart},
    plan::Weights,
    tensor::{DType, Tensor, TensorType},
};

/// A variable that outlives calls, and what it is at first.
#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    pub initial: Tensor,
    /// Whether it is the place of a generator that the caller seeds: i64 `[3]`, the counter and the key.
    pub unseeded: bool,
}

/// Variables in a block.
#[derive(Clone, Debug)]
pub struct Layout {
    pub slots: Vec<Slot>,
    /// Of the whole block.
    pub bytes: u64,
    pub fingerprint: [u8; 32],
    /// What stands before the first variable, in the target's byte order.
    head: Vec<u8>,
}

/// A variable in a block.
#[derive(Clone, Debug)]
pub struct Slot {
    pub name: String,
    pub ty: TensorType,
    /// Bytes from the block's start.
    pub at: u64,
    pub bytes: u64,
    /// Whether it is the place of a generator that the caller seeds.
    pub unseeded: bool,
}

impl Slot {
    /// The extents, which are fixed.
    pub fn shape(&self) -> Vec<usize> {
        self.ty.concrete(&Bindings::new()).expect("a variable has a fixed shape")
    }
}

/// The variables have names of their own, and are in the order of these.
pub fn layout(variables: &[Variable], big_endian: bool) -> Layout {
    let shapes = || variables.iter().map(|v| &v.initial.shape);
    let records = HEADER + 2 * 8;
    let extents = records + RECORD * variables.len();
    let names = extents + 8 * shapes().map(Vec::len).sum::<usize>();
    let end = names + variables.iter().map(|v| v.name.len()).sum::<usize>();
    let first = end.next_multiple_of(ALIGN) as u64;
    let mut slots = vec![];
    let mut bytes = first;
    for Variable { name, initial, unseeded } in variables {
        let (size, ty) = (initial.bytes().len() as u64, initial.ty());
        slots.push(Slot { name: name.clone(), ty, at: bytes, bytes: size, unseeded: *unseeded });
        bytes = (bytes + size).next_multiple_of(ALIGN as u64);
    }
    let mut table = vec![variables.len() as u64, first];
    let (mut extent, mut name) = (extents as u64, names as u64);
    for (slot, shape) in slots.iter().zip(shapes()) {
        let element = element_type(slot.ty.dtype).code();
        table.extend([name, slot.name.len() as u64, extent, shape.len() as u64, element.into(), slot.at, slot.bytes]);
        (extent, name) = (extent + 8 * shape.len() as u64, name + slot.name.len() as u64);
    }
    table.extend(shapes().flatten().map(|&n| n as u64));
    let texts: Vec<u8> = variables.iter().flat_map(|v| v.name.bytes()).collect();
    let fingerprint = fingerprint(&table, &texts);
    let mut words = vec![MAGIC, bytes, 0, 0];
    words.extend(fingerprint.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().expect("there are eight"))));
    debug_assert_eq!(words.len() * 8, HEADER);
    debug_assert_eq!(FINGERPRINT, 4 * 8);
    words.extend(table);
    let ordered = |word: u64| if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
    let mut head: Vec<u8> = words.into_iter().flat_map(ordered).collect();
    head.extend(texts);
    head.resize(first as usize, 0);
    Layout { slots, bytes, fingerprint, head }
}

fn fingerprint(table: &[u64], names: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    table.iter().for_each(|word| hash.update(word.to_le_bytes()));
    hash.update(names);
    hash.finalize().into()
}

impl Layout {
    /// Whether a generator among the variables is the caller's to seed.
    pub fn is_seeded_by_caller(&self) -> bool {
        self.slots.iter().any(|slot| slot.unseeded)
    }
    /// What the routines know of it. What a block holds at first is among the weights.
    pub fn block(&self, variables: &[Variable], big_endian: bool, weights: &mut Weights) -> StateBlock {
        let words = |bytes: usize| (bytes / 8) as u64;
        let raw = |bytes: Vec<u8>| Tensor::from_bytes(DType::U8, [bytes.len()], bytes);
        let mut parts =
            vec![StatePart { words: words(self.head.len()), from: Some(weights.add(raw(self.head.clone()))) }];
        for (n, Variable { initial, .. }) in variables.iter().enumerate() {
            let end = self.slots.get(n + 1).map_or(self.bytes, |next| next.at);
            let room = (end - self.slots[n].at) as usize;
            let held = initial.bytes().len().next_multiple_of(8);
            if initial.bytes().iter().all(|&byte| byte == 0) {
                parts.push(StatePart { words: words(room), from: None });
                continue;
            }
            let stored =
                if held == initial.bytes().len() { initial.clone() } else { raw(padded(initial, held, big_endian)) };
            parts.push(StatePart { words: words(held), from: Some(weights.add(stored)) });
            parts.push(StatePart { words: words(room - held), from: None });
        }
        let high = |place: &Tensor| place.get(1).as_i64().expect("a place is three integers");
        let both = self.slots.iter().zip(variables).filter(|(slot, _)| slot.unseeded);
        let unseeded = both.map(|(slot, variable)| (slot.at, high(&variable.initial))).collect();
        StateBlock { bytes: self.bytes, fingerprint: self.fingerprint, parts, unseeded }
    }
}

/// The bytes of a tensor in the target's order, and zeros up to this length.
fn padded(tensor: &Tensor, length: usize, big_endian: bool) -> Vec<u8> {
    let mut bytes = tensor.bytes().to_vec();
    if big_endian {
        bytes.chunks_exact_mut(tensor.dtype.size()).for_each(<[u8]>::reverse);
    }
    bytes.resize(length, 0);
    bytes
}
