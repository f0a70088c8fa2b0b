//! Strings in lower or upper case.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings};
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::DType,
};

/// Which case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    Lower,
    Upper,
}

/// Each string in lower or upper case: letters of ASCII alone, every other byte stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextCase {
    pub to: Case,
}

impl Primitive for TextCase {
    const NAME: &'static str = "text_case";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        Ok((*x).clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let changed = |s: &Vec<u8>| match self.to {
            Case::Lower => s.to_ascii_lowercase(),
            Case::Upper => s.to_ascii_uppercase(),
        };
        Ok(Tensor::from_strings(out, inputs[0].strings().iter().map(changed).collect()))
    }
    /// Panics: what is made is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("strings are made as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let first = match self.to {
            Case::Lower => b'A',
            Case::Upper => b'a',
        };
        at.nest(shape, LoopKind::Seq, |at, ix| {
            let x = at.read(0, ix);
            let x = at.w.set(x);
            let length = at.w.length(x);
            let length = at.w.set_index(length, None);
            at.each(&length, LoopKind::Seq, |at, n| {
                let index = at.w.index(n.clone());
                let byte = at.w.byte(x, index);
                let byte = at.w.set(byte);
                // What is before the first letter wraps around.
                let [first, letters, other] = [first.into(), 26, 0x20].map(|n| at.w.int(DType::U8, n));
                let behind = at.w.binary(BinaryFn::Sub, byte, first);
                let is_letter = at.w.compare(CompareFn::Lt, behind, letters);
                let changed = at.w.binary(BinaryFn::Xor, byte, other);
                let byte = at.w.select(is_letter, changed, byte);
                at.w.append(byte);
            });
            let made = at.w.take();
            at.w.store(out, shape, ix, made);
        });
    }
}
