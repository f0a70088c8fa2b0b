//! Strings without the white space around them.

use serde::{Deserialize, Serialize};

use super::{super::*, check_strings};
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::DType,
};

/// Each string without leading and trailing white space: space, tab, line feed, vertical tab, form feed and carriage return.
/// Nothing is copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextStrip {}

/// Whether a byte is white space.
pub fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}

/// Code for the same of a u8 in a variable.
pub fn emit_space(at: &mut Emit<'_>, byte: ExprId) -> ExprId {
    let [space, tab, span] = [b' ', b'\t', b'\r' - b'\t'].map(|n| at.w.int(DType::U8, n.into()));
    let plain = at.w.compare(CompareFn::Eq, byte, space);
    // What is before the tab wraps around.
    let behind = at.w.binary(BinaryFn::Sub, byte, tab);
    let other = at.w.compare(CompareFn::Le, behind, span);
    at.w.binary(BinaryFn::Or, plain, other)
}

impl Primitive for TextStrip {
    const NAME: &'static str = "text_strip";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        check_strings(x)?;
        Ok((*x).clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let stripped = |mut s: &[u8]| {
            while let [first, rest @ ..] = s
                && is_space(*first)
            {
                s = rest;
            }
            while let [rest @ .., last] = s
                && is_space(*last)
            {
                s = rest;
            }
            s.to_vec()
        };
        Ok(Tensor::from_strings(out, inputs[0].strings().iter().map(|s| stripped(s)).collect()))
    }
    /// The least and the greatest place of what is no white space; where there is none, the end and the beginning.
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        let length = at.w.length(x);
        let length = at.w.set(length);
        let zero = at.w.int(DType::I64, 0);
        let [first, end] = [(); 2].map(|()| at.w.local(DType::I64, []));
        at.w.assign(first, &[], length);
        at.w.assign(end, &[], zero);
        let extent = at.w.set_index(length, None);
        at.each(&extent, LoopKind::Seq, |at, n| {
            let (here, next) = (at.w.index(n.clone()), at.w.index(n + 1));
            let byte = at.w.byte(x, here);
            let byte = at.w.set(byte);
            let space = emit_space(at, byte);
            let space = at.w.set(space);
            let low = at.w.select(space, length, here);
            let high = at.w.select(space, zero, next);
            at.w.accumulate(first, &[], BinaryFn::Min, low);
            at.w.accumulate(end, &[], BinaryFn::Max, high);
        });
        let [first, end] = [first, end].map(|local| at.w.read(local, &[]));
        let bytes = at.w.binary(BinaryFn::Sub, end, first);
        let bytes = at.w.binary(BinaryFn::Max, bytes, zero);
        let start = at.w.start(x);
        let start = at.w.binary(BinaryFn::Add, start, first);
        at.w.span(start, bytes)
    }
}
