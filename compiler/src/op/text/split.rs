//! The tokens of strings.

use serde::{Deserialize, Serialize};

use super::{super::*, Splitting, check_strings};
use crate::{
    loops::{BinaryFn, Bound},
    tensor::DType,
};

/// The first `count` tokens of all strings, in row-major order of these, as a vector; empty strings where there are fewer.
/// Nothing is copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextSplit {
    pub by: Splitting,
    pub count: Dim,
}

impl Primitive for TextSplit {
    const NAME: &'static str = "text_split";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        self.by.check()?;
        if is_negative(&self.count) {
            return Err(format!("there are no {} tokens", self.count));
        }
        Ok(TensorType::new(DType::Str, [self.count.clone()]))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let tokens = |s: &Vec<u8>| self.by.tokens(s).into_iter().map(|token| s[token].to_vec()).collect::<Vec<_>>();
        let mut all: Vec<Vec<u8>> = inputs[0].strings().iter().flat_map(tokens).collect();
        all.resize(out[0], vec![]);
        Ok(Tensor::from_strings(out, all))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("tokens are written as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let next = at.w.local(DType::I64, []);
        let (zero, nowhere) = (at.w.int(DType::I64, 0), at.w.int(DType::I64, -1));
        at.w.assign(next, &[], zero);
        at.nest(&at.shape(0), LoopKind::Seq, |at, ix| {
            let x = at.read(0, ix);
            let x = at.w.set(x);
            let start = at.w.start(x);
            let start = at.w.set(start);
            self.by.emit(at, x, |at, holds, begin, end| {
                let place = at.w.read(next, &[]);
                let place = at.w.select(holds, place, nowhere);
                let index = at.w.set_index(place, None);
                at.only_within(vec![Bound { index: index.clone(), extent: self.count.clone() }], |at| {
                    let from = at.w.binary(BinaryFn::Add, start, begin);
                    let bytes = at.w.binary(BinaryFn::Sub, end, begin);
                    let token = at.w.span(from, bytes);
                    at.w.store(out, shape, &[index], token);
                });
                let one = at.w.cast(DType::I64, holds);
                at.w.accumulate(next, &[], BinaryFn::Add, one);
            });
        });
        let (found, count) = (at.w.read(next, &[]), at.w.index(self.count.clone()));
        let found = at.w.binary(BinaryFn::Min, found, count);
        let found = at.w.set_index(found, None);
        let empty = at.w.span(zero, zero);
        at.each(&(&self.count - &found), LoopKind::Seq, |at, n| at.w.store(out, shape, &[&found + n], empty));
    }
}
