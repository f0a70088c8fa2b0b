//! Strings put behind each other.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings};
use crate::{
    loops::{BinaryFn, Bound, CompareFn},
    tensor::DType,
};

/// Of operand 0, strings `[n]`, those from an index on, operand 1, up to another one, operand 2, with a string between each
/// two of them, operand 3, a scalar. Operands 1 and 2 are i64 of one shape, the result's. A range that is not all in `0..n`, or
/// ends before it begins, is a fault; of an empty one the result is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextJoin {}

impl Primitive for TextJoin {
    const NAME: &'static str = "text_join";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, start, end, separator] = operands(inputs)?;
        if x.rank() != 1 {
            return Err(format!("{x} is no vector"));
        }
        check_strings(x)?;
        if *separator != TensorType::scalar(DType::Str) {
            return Err(format!("a separator is a string, not a {separator}"));
        }
        if start.dtype != DType::I64 {
            return Err(format!("{start} are no indices"));
        }
        pointwise::same_type(start, end, facts)?;
        Ok(TensorType::new(DType::Str, start.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let separator = &inputs[3].strings()[0];
        let index = |n: usize, at: usize| inputs[n].get(at).as_i64().and_then(|value| usize::try_from(value).ok());
        let joined = |at: usize| Some(inputs[0].strings().get(index(1, at)?..index(2, at)?)?.join(&separator[..]));
        let all: Option<Vec<Vec<u8>>> = (0..inputs[1].count()).map(joined).collect();
        Ok(Tensor::from_strings(out, all.ok_or(Fault::IndexOutOfRange)?))
    }
    /// Panics: what is made is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("strings are made as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let separator = at.read(3, &[]);
        let separator = at.w.set(separator);
        let strings = at.shape(0)[0].clone();
        at.nest(shape, LoopKind::Seq, |at, ix| {
            let [start, end] = [1, 2].map(|n| {
                let index = at.read(n, ix);
                at.w.set(index)
            });
            let (zero, count) = (at.w.int(DType::I64, 0), at.w.index(strings.clone()));
            let conditions = [(zero, start), (start, end), (end, count)];
            let all = conditions.map(|(low, high)| at.w.compare(CompareFn::Le, low, high));
            let fine = all.into_iter().reduce(|a, b| at.w.binary(BinaryFn::And, a, b)).expect("there are conditions");
            at.w.check(fine, Fault::IndexOutOfRange);
            let [start, end] = [start, end].map(|index| at.w.set_index(index, Some(&strings + 1)));
            at.each(&(&end - &start), LoopKind::Seq, |at, n| {
                // Before each string but the first.
                let later = Bound { index: n - 1, extent: &end - &start };
                at.only_within(vec![later], |at| at.w.append(separator));
                let string = at.read(0, &[&start + n]);
                at.w.append(string);
            });
            let joined = at.w.take();
            at.w.store(out, shape, ix, joined);
        });
    }
}
