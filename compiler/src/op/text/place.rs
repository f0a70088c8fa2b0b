//! Where the characters of strings begin.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings, tokens::emit_begins};
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::{DType, Scalar},
};

/// The byte of each string at which one of its characters begins, as [`super::Splitting::Chars`] has them; which one says
/// operand 1, of i64 and the strings' shape. The length where there is no such character. i64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextPlace {}

impl Primitive for TextPlace {
    const NAME: &'static str = "text_place";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, which] = operands(inputs)?;
        check_strings(x)?;
        let places = TensorType::new(DType::I64, x.shape.clone());
        pointwise::same_type(&places, which, facts)?;
        Ok(places)
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let place = |(s, which): (&Vec<u8>, Scalar)| {
            let which = which.as_i64().and_then(|n| usize::try_from(n).ok());
            let mut starts = (0..s.len()).filter(|&n| n == 0 || s[n] & 0xc0 != 0x80);
            Scalar::Int(which.and_then(|n| starts.nth(n)).unwrap_or(s.len()) as i64)
        };
        let places = inputs[0].strings().iter().zip(inputs[1].scalars()).map(place);
        Ok(Tensor::from_scalars(DType::I64, out, places))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let [x, which] = [0, 1].map(|n| {
            let value = at.read(n, ix);
            at.w.set(value)
        });
        let length = at.w.length(x);
        let length = at.w.set(length);
        let [place, begun] = [(); 2].map(|()| at.w.local(DType::I64, []));
        let zero = at.w.int(DType::I64, 0);
        at.w.assign(place, &[], length);
        at.w.assign(begun, &[], zero);
        let extent = at.w.set_index(length, None);
        at.each(&extent, LoopKind::Seq, |at, n| {
            let begins = emit_begins(at, x, n);
            let before = at.w.read(begun, &[]);
            let wanted = at.w.compare(CompareFn::Eq, before, which);
            let here = at.w.binary(BinaryFn::And, begins, wanted);
            let (index, other) = (at.w.index(n.clone()), at.w.read(place, &[]));
            let new = at.w.select(here, index, other);
            at.w.assign(place, &[], new);
            let one = at.w.cast(DType::I64, begins);
            at.w.accumulate(begun, &[], BinaryFn::Add, one);
        });
        let place = at.w.read(place, &[]);
        at.w.set(place)
    }
}
