//! How many values features hold.

use serde::{Deserialize, Serialize};

use super::{
    list::{List, read},
    *,
};
use crate::{
    loops::{BinaryFn, CompareFn, LoopKind},
    tensor::{DType, Scalar},
};

/// Of each message of operand 0, strings, how many elements of so many values it holds: i64, and -1 where a feature is empty
/// and so says nothing. A feature of another kind of list is a fault, and so are a list that ends within a value and values
/// that make no whole element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListCount {
    pub kind: ListKind,
    /// Values of an element, at least 1.
    pub of: i64,
}

impl Primitive for ListCount {
    const NAME: &'static str = "list_count";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [messages] = operands(inputs)?;
        check_strings(messages)?;
        if self.of < 1 {
            return Err(format!("{} values make no element", self.of));
        }
        Ok(TensorType::new(DType::I64, messages.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let elements = |message: &Vec<u8>| match read(self.kind, message)?.map(|values| values.count() as i64) {
            None => Ok(-1),
            Some(count) if count % self.of == 0 => Ok(count / self.of),
            Some(_) => Err(Fault::BrokenRecord),
        };
        let counts: Result<Vec<i64>, Fault> = inputs[0].strings().iter().map(elements).collect();
        Ok(Tensor::from_scalars(DType::I64, out, counts?.into_iter().map(Scalar::Int)))
    }
    /// Panics: a fault is found whether anybody asks for the number or not.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("messages are looked at as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        at.nest(shape, LoopKind::Seq, |at, ix| {
            let message = at.read(0, ix);
            let message = at.w.set(message);
            let list = List::new(at, self.kind, message);
            let mut count = list.count;
            if self.of != 1 {
                let (of, zero) = (at.w.int(DType::I64, self.of), at.w.int(DType::I64, 0));
                // Of -1 there is the rest -1, which says nothing more.
                let (rest, none) = (at.w.binary(BinaryFn::Rem, count, of), at.w.compare(CompareFn::Lt, count, zero));
                let whole = at.w.compare(CompareFn::Eq, rest, zero);
                let fine = at.w.binary(BinaryFn::Or, whole, none);
                at.w.check(fine, Fault::BrokenRecord);
                let elements = at.w.binary(BinaryFn::Div, count, of);
                count = at.w.select(none, count, elements);
            }
            at.w.store(out, shape, ix, count);
        });
    }
}
