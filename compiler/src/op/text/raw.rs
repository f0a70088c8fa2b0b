//! Numbers whose bytes lie in strings.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings};
use crate::{
    loops::{BinaryFn, Bound, CompareFn},
    tensor::{DType, Scalar},
};

/// The bytes of each string as `count` numbers of a type, on a last axis of the result: the lowest byte first, or the highest
/// where `big`. A bool is a byte that is not 0. Behind the end of a string bytes are 0, and what is behind the last number is
/// not looked at, where `padded`; otherwise a string of another length is a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextRaw {
    pub to: DType,
    pub count: Dim,
    pub big: bool,
    pub padded: bool,
}

impl TextRaw {
    /// The number whose first byte is at `first`.
    fn number(&self, at: &mut Emit<'_>, x: ExprId, first: &Dim, length: &Dim) -> ExprId {
        let size = self.to.size();
        let byte = |at: &mut Emit<'_>, k: usize| {
            let place = first + k as i64;
            let read = |at: &mut Emit<'_>| {
                let place = at.w.index(place.clone());
                let byte = at.w.byte(x, place);
                at.w.cast(DType::U64, byte)
            };
            match self.padded {
                true => {
                    let bounds = vec![Bound { index: place.clone(), extent: length.clone() }];
                    at.within(bounds, read, |at| at.w.int(DType::U64, 0))
                }
                false => read(at),
            }
        };
        let all = (0..size).map(|k| {
            let byte = byte(at, k);
            let by = at.w.int(DType::U64, 8 * if self.big { size - 1 - k } else { k } as i64);
            at.w.binary(BinaryFn::Shl, byte, by)
        });
        let all: Vec<ExprId> = all.collect();
        let bits = all.into_iter().reduce(|a, b| at.w.binary(BinaryFn::Or, a, b)).expect("a number has bytes");
        if self.to == DType::Bool {
            let zero = at.w.int(DType::U64, 0);
            return at.w.compare(CompareFn::Ne, bits, zero);
        }
        let narrow = match size {
            1 => DType::U8,
            2 => DType::U16,
            4 => DType::U32,
            _ => DType::U64,
        };
        let bits = at.w.cast(narrow, bits);
        at.w.bits(self.to, bits)
    }
}

impl Primitive for TextRaw {
    const NAME: &'static str = "text_raw";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        if self.to == DType::Str || self.to.is_complex() {
            return Err(format!("strings hold no {}", self.to));
        }
        if is_negative(&self.count) {
            return Err(format!("there are no {} numbers", self.count));
        }
        Ok(TensorType::new(self.to, [&x.shape[..], std::slice::from_ref(&self.count)].concat()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let (size, count) = (self.to.size(), out[out.len() - 1]);
        let mut numbers = vec![];
        for string in inputs[0].strings() {
            if !self.padded && string.len() != size * count {
                return Err(Fault::BrokenSize);
            }
            let mut bytes = string.clone();
            bytes.resize(size * count, 0);
            for number in bytes.chunks_exact_mut(size) {
                if self.big {
                    number.reverse();
                }
                numbers.push(match self.to {
                    DType::Bool => Scalar::Bool(number[0] != 0),
                    to => Scalar::read_le(to, number),
                });
            }
        }
        Ok(Tensor::from_scalars(self.to, out, numbers))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("numbers are written as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let size = self.to.size() as i64;
        at.nest(&at.shape(0), LoopKind::Seq, |at, ix| {
            let x = at.read(0, ix);
            let x = at.w.set(x);
            let length = at.w.length(x);
            let length = at.w.set(length);
            if !self.padded {
                let wanted = at.w.index(&self.count * size);
                let fits = at.w.compare(CompareFn::Eq, length, wanted);
                at.w.check(fits, Fault::BrokenSize);
            }
            let length = at.w.set_index(length, None);
            at.each(&self.count, LoopKind::Seq, |at, n| {
                let number = self.number(at, x, &(n * size), &length);
                at.w.store(out, shape, &[ix, std::slice::from_ref(n)].concat(), number);
            });
        });
    }
}
