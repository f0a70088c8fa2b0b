//! Elements of four bits and floats of eight: rows that only move elements move these as they are held, and `Cast`
//! converts them. Every other row refuses them, because an operand that is [`Value::Narrow`] is no tensor for it.

use super::{Import, Outputs, Stop, TfOp, Value, partition};
use crate::{
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Bitcast, Gather},
    saved::narrow_type,
    tensor::{DType, Layout, Narrow, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

/// Operators whose results hold elements of their operands, zeros, or nothing but extents.
const MOVES: &[&str] = &[
    "BroadcastTo",
    "Concat",
    "ConcatV2",
    "EnsureShape",
    "ExpandDims",
    "Gather",
    "GatherNd",
    "GatherV2",
    "Pack",
    "Pad",
    "Rank",
    "Reshape",
    "Reverse",
    "ReverseV2",
    "Roll",
    "Select",
    "SelectV2",
    "Shape",
    "ShapeN",
    "Size",
    "Slice",
    "Split",
    "SplitV",
    "Squeeze",
    "StridedSlice",
    "Tile",
    "Transpose",
    "Unpack",
    "ZerosLike",
];

/// What holds the elements of a TensorFlow type.
pub(super) fn value(id: NodeId, dtype: smc_proto::DataType) -> Value {
    narrow_type(dtype).map_or(Value::Tensor(id), |narrow| Value::Narrow(id, narrow))
}

/// The outputs of a row. One that moves elements sees those that hold narrow ones, and gives such again.
pub(super) fn run(cx: &mut Import, row: &TfOp) -> Outputs {
    let found = cx.operands.iter().find_map(|v| if let Value::Narrow(_, narrow) = v { Some(*narrow) } else { None });
    let Some(narrow) = found.filter(|_| MOVES.contains(&row.name)) else {
        return partition::run(cx, row);
    };
    for n in 0..cx.count() {
        cx.operands[n] = match cx.operands[n] {
            Value::Narrow(id, other) if other == narrow => id.into(),
            Value::Narrow(..) => return Err("the operands are of different types".into()),
            Value::Tensor(id) if cx.dtype(id) == narrow.held() => {
                return Err(format!("the operands are of the types {} and {}", narrow.name(), narrow.held()).into());
            }
            other => other,
        };
    }
    let outputs = (row.import)(cx)?;
    let held = |value| match value {
        Value::Tensor(id) if cx.dtype(id) == narrow.held() => Value::Narrow(id, narrow),
        other => other,
    };
    Ok(outputs.into_iter().map(held).collect())
}

/// The numbers in a type of the compiler's own that has all of them: f32 for floats.
pub(super) fn widen(cx: &mut Import, x: NodeId, from: Narrow) -> Result<NodeId> {
    let Some(layout) = from.layout() else { return Ok(x) };
    let values = cx.constant(layout.values())?;
    cx.add(Gather { axis: 0, batch: 0, checked: false }, &[values, x])
}

/// The nearest elements, as they are held: integers keep their lower four bits, floats round to nearest even.
pub(super) fn narrow(cx: &mut Import, x: NodeId, to: Narrow) -> Result<NodeId> {
    let from = cx.dtype(x);
    match to.layout() {
        None if from.is_int() => {
            let low = cx.cast(x, to.held())?;
            let four = cx.scalar(to.held(), 4.0)?;
            let high = cx.binary(BinaryFn::Shl, low, four)?;
            cx.binary(BinaryFn::Shr, high, four)
        }
        Some(layout) if from.is_float() => Float::of(from).narrow(cx, x, &layout),
        _ => {
            Err(format!("the conversion of {from} to {} is not supported; TensorFlow has none either", to.name())
                .into())
        }
    }
}

/// The type in which a float is rounded to a small one.
struct Float {
    dtype: DType,
    bits: DType,
    mantissa: u32,
    bias: i64,
}

impl Float {
    /// Doubles are rounded once; f32 holds every half.
    fn of(from: DType) -> Float {
        match from {
            DType::F64 => Float { dtype: DType::F64, bits: DType::U64, mantissa: 52, bias: 1023 },
            _ => Float { dtype: DType::F32, bits: DType::U32, mantissa: 23, bias: 127 },
        }
    }

    fn number(&self, cx: &mut Import, n: u64) -> Result<NodeId> {
        cx.constant(Tensor::scalar(self.bits, Scalar::Uint(n)))
    }

    /// The magnitude times a power of two that makes the last place of the result 1, rounded to a whole number. Places
    /// of lower exponents lie below it: every exponent has as many as the first, which shares its place with zero's.
    fn narrow(&self, cx: &mut Import, x: NodeId, to: &Layout) -> Result<NodeId> {
        let sign_place = self.bits.bits() - 1;
        let x = cx.cast(x, self.dtype)?;
        let bits = cx.add(Bitcast { to: self.bits }, &[x])?;
        let all = self.number(cx, (1 << sign_place) - 1)?;
        let magnitude = cx.and(bits, all)?;

        let mantissa = self.number(cx, self.mantissa.into())?;
        let first = self.bias + 1 - i64::from(to.bias);
        let exponent = cx.binary(BinaryFn::Shr, magnitude, mantissa)?;
        let first = self.number(cx, first as u64)?;
        let exponent = cx.binary(BinaryFn::Max, exponent, first)?;
        let opposite = self.number(cx, 2 * self.bias as u64 + u64::from(to.mantissa))?;
        let scale = cx.sub(opposite, exponent)?;
        let scale = cx.binary(BinaryFn::Shl, scale, mantissa)?;

        let [number, scale] = [magnitude, scale].map(|bits| cx.add(Bitcast { to: self.dtype }, &[bits]));
        let scaled = cx.mul(number?, scale?)?;
        let whole = cx.unary(UnaryFn::Round, scaled)?;
        let whole = cx.cast(whole, self.bits)?;
        let width = self.number(cx, to.mantissa.into())?;
        let place = cx.sub(exponent, first)?;
        let place = cx.binary(BinaryFn::Shl, place, width)?;
        let near = cx.add_(place, whole)?;

        let infinity = self.number(cx, (1 << sign_place) - (1 << self.mantissa))?;
        let [greatest, beyond, nan] = [to.greatest, to.beyond, to.nan].map(|n| self.number(cx, n.into()));
        let large = cx.compare(CompareFn::Gt, near, greatest?)?;
        let infinite = cx.compare(CompareFn::Ge, magnitude, infinity)?;
        let past = cx.or(large, infinite)?;
        let near = cx.select(past, beyond?, near)?;
        let no_number = cx.compare(CompareFn::Gt, magnitude, infinity)?;
        let near = cx.select(no_number, nan?, near)?;

        let down = self.number(cx, u64::from(sign_place) - 7)?;
        let sign = cx.binary(BinaryFn::Shr, bits, down)?;
        let mask = self.number(cx, 0x80)?;
        let sign = cx.and(sign, mask)?;
        let signed = cx.or(near, sign)?;
        cx.cast(signed, DType::U8)
    }
}
