//! A part of a string.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings};
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::DType,
};

/// Of each string of operand 0 so many bytes, operand 2, from a place on, operand 1; both are i64 of the strings' shape. A
/// part that is not all in its string is a fault. Nothing is copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextPart {}

impl Primitive for TextPart {
    const NAME: &'static str = "text_part";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, start, bytes] = operands(inputs)?;
        check_strings(x)?;
        let index = TensorType::new(DType::I64, x.shape.clone());
        pointwise::same_type(&index, start, facts)?;
        pointwise::same_type(&index, bytes, facts)?;
        Ok((*x).clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let number = |n: usize, at: usize| inputs[n].get(at).as_i64().and_then(|value| usize::try_from(value).ok());
        let part = |(at, string): (usize, &Vec<u8>)| {
            let (start, bytes) = (number(1, at)?, number(2, at)?);
            string.get(start..start.checked_add(bytes)?).map(<[u8]>::to_vec)
        };
        let parts: Option<Vec<Vec<u8>>> = inputs[0].strings().iter().enumerate().map(|(n, s)| part((n, s))).collect();
        Ok(Tensor::from_strings(out, parts.ok_or(Fault::IndexOutOfRange)?))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let [x, start, bytes] = [0, 1, 2].map(|n| {
            let value = at.read(n, ix);
            at.w.set(value)
        });
        let (length, zero) = (at.w.length(x), at.w.int(DType::I64, 0));
        let rest = at.w.binary(BinaryFn::Sub, length, start);
        // Where the start is fine the rest is at most the length, and nothing overflows.
        let conditions = [(zero, start), (start, length), (zero, bytes), (bytes, rest)];
        let all = conditions.map(|(low, high)| at.w.compare(CompareFn::Le, low, high));
        let fine = all.into_iter().reduce(|a, b| at.w.binary(BinaryFn::And, a, b)).expect("there are conditions");
        at.w.check(fine, Fault::IndexOutOfRange);
        let from = at.w.start(x);
        let from = at.w.binary(BinaryFn::Add, from, start);
        at.w.span(from, bytes)
    }
}
