//! Strings, and what looks into them.

use super::{
    grow::{Grower, NUMERIC},
    *,
};
use crate::{
    op::{Broadcast, Find, Kind, Perfect, TextHash, TextHashing, TextLength, TextPart, TextStrip, TextUnit},
    tensor::{DType, Scalar, Shape, concrete},
};

/// A tensor of strings, of which some are equal and some are long.
pub fn strings(rng: &mut Rng, shape: Vec<usize>) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_strings(shape, (0..count).map(|_| string(rng)).collect())
}

fn string(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.below(20) {
        0 => rng.below(200),
        1 => rng.below(70),
        2..=5 => rng.below(20),
        _ => rng.below(4),
    };
    let letters = ["a", "b", " ", "\0", "\u{fc}", "\u{20ac}"];
    let mut all: Vec<u8> = (0..length).flat_map(|_| rng.pick(&letters).bytes()).collect();
    if rng.once_in(10) {
        // What is no UTF-8.
        all.push(0xff);
    }
    all
}

impl Grower {
    /// An input or a constant.
    pub(super) fn strings(&mut self, shape: Shape) -> NodeId {
        let out = concrete(&shape, &self.case.bind).expect("symbols are bound");
        if shape.iter().any(|dim| self.case.graph.is_found(dim)) {
            // Callers cannot give what has extents that the graph finds.
            let one = strings(&mut self.rng, vec![1; shape.len()]);
            let all = vec![one.strings()[0].clone(); out.iter().product()];
            let one = self.known(one);
            if shape.iter().all(|n| n.is(1)) {
                return one;
            }
            let op = Broadcast::new(&vec![Dim::one(); shape.len()], &shape, self.case.graph.facts());
            self.values.push(Tensor::from_strings(out, all));
            return self.case.graph.add(op, &[one]).expect("one element is repeated");
        }
        let value = strings(&mut self.rng, out);
        if shape.iter().all(|d| d.as_int().is_some()) && self.rng.once_in(2) {
            return self.known(value);
        }
        self.values.push(value.clone());
        let name = format!("x{}", self.case.inputs.len());
        self.case.inputs.push(value);
        self.case.graph.input(name, TensorType::new(DType::Str, shape))
    }
    pub(super) fn text(&mut self, kind: Kind) -> Option<NodeId> {
        let x = self.operand(&[DType::Str], 0);
        match kind {
            Kind::TextLength => {
                let unit = self.rng.pick(&[TextUnit::Bytes, TextUnit::Chars]);
                self.add(TextLength { unit }, &[x])
            }
            Kind::TextHash => {
                let (a, b) = (self.rng.bits(), self.rng.bits());
                let hash = self.rng.pick(&[TextHashing::Farm, TextHashing::Sip(a, b), TextHashing::Murmur]);
                self.add(TextHash { hash }, &[x])
            }
            Kind::TextPart => {
                let shape = self.shape(x);
                let [start, bytes] = [(); 2]
                    .map(|()| self.leaf_of(DType::I64, shape.clone(), |g, d| Scalar::from_i64(d, g.rng.range(0, 2))));
                self.add(TextPart {}, &[x, start, bytes])
            }
            Kind::TextStrip => self.add(TextStrip {}, &[x]),
            _ => self.find(),
        }
    }
    fn find(&mut self) -> Option<NodeId> {
        let x = self.operand(&[&NUMERIC[..8], &[DType::Str]].concat(), 0);
        let (dtype, count) = (self.ty(x).dtype, self.rng.below(12));
        let keys = tensor(&mut self.rng, &TensorType::new(dtype, [count.into()]), &Bindings::new());
        // Keys that occur twice are no keys.
        let Perfect { op: Find { seed }, displacements, slots } = Perfect::new(&keys).ok()?;
        let [keys, displacements, slots] = [keys, displacements, slots].map(|part| self.known(part));
        self.add(Find { seed }, &[x, keys, displacements, slots])
    }
}
