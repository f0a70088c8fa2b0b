//! How long strings are.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings};
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::{DType, Scalar},
};

/// What a string is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextUnit {
    Bytes,
    /// Bytes that continue no character of UTF-8, which are those of the bits 10 in front.
    Chars,
}

/// The length of each string, an i64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextLength {
    pub unit: TextUnit,
}

impl Primitive for TextLength {
    const NAME: &'static str = "text_length";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        Ok(TensorType::new(DType::I64, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let length = |s: &Vec<u8>| match self.unit {
            TextUnit::Bytes => s.len(),
            TextUnit::Chars => s.iter().filter(|&&byte| byte & 0xc0 != 0x80).count(),
        };
        let lengths = inputs[0].strings().iter().map(|s| Scalar::Int(length(s) as i64));
        Ok(Tensor::from_scalars(DType::I64, out, lengths))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        if self.unit == TextUnit::Bytes {
            return at.w.length(x);
        }
        let x = at.w.set(x);
        let length = at.w.length(x);
        let length = at.w.set_index(length, None);
        let zero = at.w.int(DType::I64, 0);
        at.fold(BinaryFn::Add, zero, &[length], |at, n| {
            let index = at.w.index(n[0].clone());
            let byte = at.w.byte(x, index);
            let (mask, inner) = (at.w.int(DType::U8, 0xc0), at.w.int(DType::U8, 0x80));
            let front = at.w.binary(BinaryFn::And, byte, mask);
            let first = at.w.compare(CompareFn::Ne, front, inner);
            at.w.cast(DType::I64, first)
        })
    }
}
