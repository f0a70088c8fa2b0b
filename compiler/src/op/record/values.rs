//! The values that features hold, as elements of one tensor.

use serde::{Deserialize, Serialize};

use super::{
    list::{List, Read, read},
    *,
};
use crate::{
    loops::{BinaryFn, Bound, CompareFn, LoopKind},
    tensor::DType,
};

/// Operand 2, `[m]` of the kind's type, with the values of the messages of operand 0, strings `[n]`, in place of elements of
/// it: those of message `i` from the element on that operand 1, `i64[n]`, says. Values that are outside of the result are a
/// fault, and so is what is one of [`super::ListCount`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListValues {
    pub kind: ListKind,
    /// Where this is known, a message of another number of values is a fault, unless it is empty.
    pub each: Option<i64>,
    /// Whether an empty feature is one.
    pub required: bool,
}

impl Primitive for ListValues {
    const NAME: &'static str = "list_values";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [messages, places, rest] = operands(inputs)?;
        check_strings(messages)?;
        if messages.rank() != 1 || rest.rank() != 1 || rest.dtype != self.kind.dtype() {
            return Err(format!("{messages} have no values among {rest}"));
        }
        pointwise::same_type(&TensorType::new(DType::I64, messages.shape.clone()), places, facts)?;
        Ok((*rest).clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let (mut strings, mut numbers) = match inputs[2].has_strings() {
            true => (inputs[2].strings().to_vec(), vec![]),
            false => (vec![], inputs[2].scalars().collect::<Vec<_>>()),
        };
        for (message, place) in inputs[0].strings().iter().zip(inputs[1].scalars()) {
            let Some(values) = read(self.kind, message)? else {
                if self.required {
                    return Err(Fault::BrokenRecord);
                }
                continue;
            };
            if self.each.is_some_and(|each| each != values.count() as i64) {
                return Err(Fault::BrokenRecord);
            }
            let place = place.as_i64().and_then(|place| usize::try_from(place).ok()).ok_or(Fault::IndexOutOfRange)?;
            let end = place.checked_add(values.count()).filter(|&end| end <= out[0]).ok_or(Fault::IndexOutOfRange)?;
            match values {
                Read::Strings(values) => strings[place..end].clone_from_slice(&values),
                Read::Numbers(values) => numbers[place..end].clone_from_slice(&values),
            }
        }
        Ok(match self.kind.dtype() {
            DType::Str => Tensor::from_strings(out, strings),
            dtype => Tensor::from_scalars(dtype, out, numbers),
        })
    }
    /// Panics: a message is read as a whole.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("a message is read as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        at.each(&shape[0], LoopKind::Seq, |at, n| {
            let rest = at.read(2, std::slice::from_ref(n));
            at.w.store(out, shape, std::slice::from_ref(n), rest);
        });
        let messages = at.shape(0)[0].clone();
        at.each(&messages, LoopKind::Seq, |at, n| {
            let message = at.read(0, std::slice::from_ref(n));
            let message = at.w.set(message);
            let list = List::new(at, self.kind, message);
            let zero = at.w.int(DType::I64, 0);
            let none = at.w.compare(CompareFn::Lt, list.count, zero);
            let none = at.w.set(none);
            if self.required {
                let some = at.w.unary(crate::loops::UnaryFn::Not, none);
                at.w.check(some, Fault::BrokenRecord);
            }
            if let Some(each) = self.each {
                let each = at.w.int(DType::I64, each);
                let fits = at.w.compare(CompareFn::Eq, list.count, each);
                let fits = at.w.binary(BinaryFn::Or, fits, none);
                at.w.check(fits, Fault::BrokenRecord);
            }
            let place = at.read(1, std::slice::from_ref(n));
            let place = at.w.set(place);
            let end = at.w.index(shape[0].clone());
            let left = at.w.binary(BinaryFn::Sub, end, list.count);
            let (low, high) = (at.w.compare(CompareFn::Ge, place, zero), at.w.compare(CompareFn::Le, place, left));
            let inside = at.w.binary(BinaryFn::And, low, high);
            let fine = at.w.binary(BinaryFn::Or, none, inside);
            at.w.check(fine, Fault::IndexOutOfRange);
            let place = at.w.set_index(place, None);
            list.each(at, message, |at, n, value| {
                let ix = &place + n;
                // Proved by what was checked, which no proof knows.
                let inside = vec![Bound { index: ix.clone(), extent: shape[0].clone() }];
                let value = at.w.set(value);
                at.only_within(inside, |at| at.w.store(out, shape, std::slice::from_ref(&ix), value));
            });
        });
    }
}
