//! Random serialized records and messages in them.

use super::grow::Grower;
use crate::{
    base::Rng,
    graph::NodeId,
    op::{Features, Find, Kind, ListCount, ListKind, ListValues, Part, Perfect},
    tensor::{DType, Scalar, Tensor, TensorType},
};

const KEYS: [&str; 6] = ["", "a", "b", "age", "a name of some length", "a name of some Length"];

/// A number of seven bits a byte.
pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A tag, a length and as many bytes.
pub fn field(n: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(n << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A message with values of a kind, of which most are few. A feature may be empty.
pub fn message(rng: &mut Rng, kind: ListKind) -> Vec<u8> {
    let count = if rng.once_in(10) { rng.below(60) } else { rng.below(4) };
    let packed = !rng.once_in(4);
    let number = |rng: &mut Rng| match kind {
        ListKind::Floats => (rng.range(-9, 9) as f32 / 4.0).to_le_bytes().to_vec(),
        _ => {
            let bits = rng.below(64);
            varint(rng.bits() >> bits)
        }
    };
    let values = match kind {
        ListKind::Bytes => {
            let strings: Vec<Vec<u8>> = (0..count).map(|_| vec![b'x'; rng.below(20)]).collect();
            strings.iter().flat_map(|string| field(1, string)).collect()
        }
        ListKind::Messages => (0..count).flat_map(|_| field(1, &message(rng, ListKind::Ints))).collect(),
        _ if count == 0 && !packed => vec![],
        _ if packed => field(1, &(0..count).flat_map(|_| number(rng)).collect::<Vec<u8>>()),
        _ => {
            let tag = if kind == ListKind::Floats { 0x0d } else { 0x08 };
            (0..count).flat_map(|_| [vec![tag], number(rng)].concat()).collect::<Vec<u8>>()
        }
    };
    match kind {
        ListKind::Messages => values,
        _ if rng.once_in(8) => vec![],
        ListKind::Bytes => field(1, &values),
        ListKind::Floats => field(2, &values),
        ListKind::Ints => field(3, &values),
    }
}

/// An example, or a sequence of them, with some of the keys, and fields that nobody knows.
pub fn record(rng: &mut Rng, part: Part) -> Vec<u8> {
    let mut all = vec![];
    for _ in 0..rng.below(3) {
        let mut map = vec![];
        for _ in 0..rng.below(6) {
            let kind = match part {
                Part::Features => rng.pick(&[ListKind::Bytes, ListKind::Floats, ListKind::Ints]),
                Part::Lists => ListKind::Messages,
            };
            let (key, value) = (field(1, rng.pick(&KEYS).as_bytes()), field(2, &message(rng, kind)));
            let entry = if rng.once_in(4) { [value, key].concat() } else { [key, value].concat() };
            map.extend(field(1, &entry));
        }
        all.extend(match rng.below(8) {
            0 => [vec![0x18], varint(rng.bits())].concat(),
            1 => vec![0x21, 1, 2, 3, 4, 5, 6, 7, 8],
            2 => vec![0x25, 1, 2, 3, 4],
            3 => field(7, b"unknown"),
            _ => vec![],
        });
        all.extend(field(if part == Part::Features { 1 } else { 2 }, &map));
    }
    all
}

impl Grower {
    pub(super) fn record(&mut self, kind: Kind) -> Option<NodeId> {
        if kind == Kind::Features {
            return self.features();
        }
        let list = self.rng.pick(&ListKind::ALL);
        let count = self.rng.below(4);
        let messages: Vec<Vec<u8>> = (0..count).map(|_| message(&mut self.rng, list)).collect();
        let messages = self.given(Tensor::from_strings([count], messages));
        if kind == Kind::ListCount {
            let of = if self.rng.once_in(3) { self.rng.range(1, 3) } else { 1 };
            return self.add(ListCount { kind: list, of }, &[messages]);
        }
        let places = self.leaf_of(DType::I64, vec![count.into()], |g, d| Scalar::from_i64(d, g.rng.range(0, 9)));
        let rest = self.rng.range(0, 99);
        let rest = self.same(&TensorType::new(list.dtype(), [rest.into()]));
        let each = self.rng.once_in(4).then(|| self.rng.range(0, 2));
        let required = self.rng.once_in(4);
        self.add(ListValues { kind: list, each, required }, &[messages, places, rest])
    }
    fn features(&mut self) -> Option<NodeId> {
        let (part, count) = (self.rng.pick(&[Part::Features, Part::Lists]), self.rng.below(4));
        let records = (0..count).map(|_| record(&mut self.rng, part)).collect();
        let records = self.given(Tensor::from_strings([count], records));
        let keys: Vec<Vec<u8>> =
            KEYS.iter().filter(|_| self.rng.once_in(2)).map(|key| key.as_bytes().to_vec()).collect();
        let firm = self.rng.range(0, keys.len() as i64);
        let keys = Tensor::from_strings([keys.len()], keys);
        let Perfect { op: Find { seed }, displacements, slots } = Perfect::new(&keys).ok()?;
        let [keys, displacements, slots] = [keys, displacements, slots].map(|part| self.known(part));
        self.add(Features { part, firm, seed }, &[records, keys, displacements, slots])
    }
    /// A constant or an input.
    fn given(&mut self, value: Tensor) -> NodeId {
        if self.rng.once_in(2) {
            return self.known(value);
        }
        self.values.push(value.clone());
        let (name, ty) = (format!("x{}", self.case.inputs.len()), value.ty());
        self.case.inputs.push(value);
        self.case.graph.input(name, ty)
    }
}
