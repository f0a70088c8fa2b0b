//! Functions of single elements: neutral operands, inverses, conversions that lose nothing.

use super::{Rewrite, Rule};
use crate::{
    graph::NodeId,
    loops::{BinaryFn, UnaryFn},
    op::{Binary, Cast, Op, Unary},
    tensor::{DType, Scalar},
};

pub const RULES: &[Rule] = &[
    Rule {
        name: "neutral-operand",
        apply: neutral_operand,
        example: [
            r#"input "x" %0
               %0 = input : f32[2]
               %1 = const [1.0,1.0] : f32[2]
               %2 = const [-0.0] : f32[]
               %3 = reshape {"shape":[1]} %2
               %4 = broadcast {"shape":[2]} %3
               %5 = binary {"f":"mul"} %1 %0
               %6 = binary {"f":"add"} %5 %4
               %7 = binary {"f":"div"} %6 %1
               output "y" %7"#,
            r#"input "x" %0
               %0 = input : f32[2]
               output "y" %0"#,
        ],
    },
    Rule {
        name: "own-bits",
        apply: own_bits,
        example: [
            r#"input "x" %0
               %0 = input : f32[N]
               %1 = bitcast {"to":"f32"} %0
               output "y" %1"#,
            r#"input "x" %0
               %0 = input : f32[N]
               output "y" %0"#,
        ],
    },
    Rule {
        name: "integer-zero",
        apply: integer_zero,
        example: [
            r#"input "x" %0
               %0 = input : i32[N]
               %1 = const [0] : i32[]
               %2 = reshape {"shape":[1]} %1
               %3 = broadcast {"shape":["N"]} %2
               %4 = binary {"f":"mul"} %0 %3
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : i32[N]
               %1 = const [0] : i32[]
               %2 = reshape {"shape":[1]} %1 : i32[1]
               %3 = broadcast {"shape":["N"]} %2 : i32[N]
               output "y" %3"#,
        ],
    },
    Rule {
        name: "division-by-a-power-of-two",
        apply: division_by_a_power_of_two,
        example: [
            r#"input "x" %0
               %0 = input : f32[N]
               %1 = const [-4.0] : f32[1]
               %2 = broadcast {"shape":["N"]} %1
               %3 = binary {"f":"div"} %0 %2
               output "y" %3"#,
            r#"input "x" %0
               %0 = input : f32[N]
               %1 = const [-0.25] : f32[]
               %2 = reshape {"shape":[1]} %1
               %3 = broadcast {"shape":["N"]} %2
               %4 = binary {"f":"mul"} %0 %3
               output "y" %4"#,
        ],
    },
    Rule {
        name: "negated-factor",
        apply: negated_factor,
        example: [
            r#"input "x" %0
               %0 = input : f32[N]
               %1 = const [0.75] : f32[1]
               %2 = broadcast {"shape":["N"]} %1
               %3 = unary {"f":"neg"} %0
               %4 = binary {"f":"mul"} %3 %2
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : f32[N]
               %1 = const [-0.75] : f32[]
               %2 = reshape {"shape":[1]} %1
               %3 = broadcast {"shape":["N"]} %2
               %4 = binary {"f":"mul"} %0 %3
               output "y" %4"#,
        ],
    },
    Rule {
        name: "twice",
        apply: twice,
        example: [
            r#"input "x" %0
               %0 = input : f32[N]
               %1 = unary {"f":"neg"} %0
               %2 = unary {"f":"neg"} %1
               %3 = unary {"f":"floor"} %2
               %4 = unary {"f":"ceil"} %3
               output "y" %4"#,
            r#"input "x" %0
               %0 = input : f32[N]
               %1 = unary {"f":"floor"} %0
               output "y" %1"#,
        ],
    },
    Rule {
        name: "cast-of-cast",
        apply: cast_of_cast,
        example: [
            r#"input "x" %0
               %0 = input : u8[N]
               %1 = cast {"to":"i32"} %0
               %2 = cast {"to":"f32"} %1
               output "y" %2"#,
            r#"input "x" %0
               %0 = input : u8[N]
               %1 = cast {"to":"f32"} %0
               output "y" %1"#,
        ],
    },
    Rule {
        name: "known-choice",
        apply: known_choice,
        example: [
            r#"input "x" %0
               input "c" %1
               %0 = input : f32[2]
               %1 = input : bool[2]
               %2 = const [true,true] : bool[2]
               %3 = select %2 %0 %0
               %4 = select %1 %3 %3
               %5 = unary {"f":"neg"} %0
               %6 = unary {"f":"not"} %1
               %7 = select %6 %5 %4
               output "y" %7"#,
            r#"input "x" %0
               input "c" %1
               %0 = input : f32[2]
               %1 = input : bool[2]
               %2 = unary {"f":"neg"} %0
               %3 = select %1 %0 %2
               output "y" %3"#,
        ],
    },
    Rule {
        name: "splat-is-a-scalar",
        apply: splat_is_a_scalar,
        example: [
            r#"input "x" %0
               %0 = input : f32[3]
               %1 = const [2.0,2.0,2.0] : f32[3]
               %2 = binary {"f":"max"} %0 %1
               output "y" %2"#,
            r#"input "x" %0
               %0 = input : f32[3]
               %1 = const [2.0] : f32[]
               %2 = reshape {"shape":[1]} %1
               %3 = broadcast {"shape":[3]} %2
               %4 = binary {"f":"max"} %0 %3
               output "y" %4"#,
        ],
    },
];

/// Whether `f(x, value)` is `x` for every `x`, NaN and -0.0 included.
fn is_right_neutral(f: BinaryFn, value: Scalar, dtype: DType) -> bool {
    let is = |n: i64| value == Scalar::from_i64(dtype, n);
    let negative_zero = value.as_f64().is_some_and(|v| v == 0.0 && v.is_sign_negative());
    let all_bits = value == Scalar::from_i64(dtype, -1) || value == Scalar::Bool(true);
    match f {
        BinaryFn::Add if dtype.is_float() => negative_zero,
        BinaryFn::Sub if dtype.is_float() => is(0) && !negative_zero,
        BinaryFn::Add | BinaryFn::Sub | BinaryFn::Shl | BinaryFn::Shr => is(0),
        BinaryFn::Or | BinaryFn::Xor => is(0),
        BinaryFn::And => all_bits,
        // A divisor is checked, and 1 passes.
        BinaryFn::Mul | BinaryFn::Div | BinaryFn::Pow => is(1),
        BinaryFn::Max => value.as_f64() == Some(f64::NEG_INFINITY),
        BinaryFn::Min => value.as_f64() == Some(f64::INFINITY),
        BinaryFn::Rem | BinaryFn::Atan2 => false,
    }
}

fn commutes(f: BinaryFn) -> bool {
    matches!(
        f,
        BinaryFn::Add | BinaryFn::Mul | BinaryFn::And | BinaryFn::Or | BinaryFn::Xor | BinaryFn::Max | BinaryFn::Min
    )
}

/// The bits of a value in its own type.
fn own_bits(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let Op::Bitcast(cast) = &rw.node(id).op else { return None };
    let x = rw.node(id).inputs[0];
    (rw.ty(x).dtype == cast.to).then(|| rw.new_of(x))
}

fn neutral_operand(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Binary(Binary { f }) = node.op else { return None };
    let (x, y, dtype) = (node.inputs[0], node.inputs[1], node.ty.dtype);
    let neutral = |rw: &Rewrite<'_>, id: NodeId| rw.splat(id).is_some_and(|v| is_right_neutral(f, v, dtype));
    if neutral(rw, y) {
        return Some(rw.new_of(x));
    }
    (commutes(f) && neutral(rw, x)).then(|| rw.new_of(y))
}

/// `x * 0` and `x & 0`.
fn integer_zero(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Binary(Binary { f: BinaryFn::Mul | BinaryFn::And }) = node.op else { return None };
    let is_zero = |&&x: &&NodeId| rw.splat(x) == Some(Scalar::from_i64(node.ty.dtype, 0));
    let zero = *node.inputs.iter().find(is_zero)?;
    (!node.ty.dtype.is_float()).then(|| rw.new_of(zero))
}

/// Both round the same real number.
fn division_by_a_power_of_two(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Binary(Binary { f: BinaryFn::Div }) = node.op else { return None };
    let inverse = match rw.splat(node.inputs[1])? {
        Scalar::F32(c) if node.ty.dtype == DType::F32 && c.to_bits() << 9 == 0 && c.is_normal() => {
            Scalar::F32(c.recip()).wrap(node.ty.dtype)
        }
        Scalar::F64(c) if c.to_bits() << 12 == 0 && c.is_normal() => Scalar::F64(c.recip()),
        _ => return None,
    };
    inverse.as_f64().filter(|v| v.abs() > 1e-30 && v.is_finite())?;
    let x = rw.new_of(node.inputs[0]);
    let inverse = rw.fill(inverse, &node.ty)?;
    rw.binary(BinaryFn::Mul, x, inverse)
}

/// The sign moves into the constant; products of floats are the same.
fn negated_factor(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Binary(Binary { f: BinaryFn::Mul }) = node.op else { return None };
    let [a, b] = node.inputs[..] else { return None };
    let (negated, c) = if let Some(c) = rw.splat(b) { (a, c) } else { (b, rw.splat(a)?) };
    let Op::Unary(Unary { f: UnaryFn::Neg }) = rw.node(negated).op else { return None };
    let c = match c {
        Scalar::F32(c) => Scalar::F32(-c),
        Scalar::F64(c) => Scalar::F64(-c),
        _ => return None,
    };
    let x = rw.new_of(rw.node(negated).inputs[0]);
    let c = rw.fill(c, &node.ty)?;
    rw.binary(BinaryFn::Mul, x, c)
}

/// Functions that undo themselves, and functions of what they leave alone.
fn twice(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Unary(Unary { f }) = node.op else { return None };
    let inner = rw.node(node.inputs[0]);
    let Op::Unary(Unary { f: g }) = inner.op else { return None };
    let whole = |f| matches!(f, UnaryFn::Floor | UnaryFn::Ceil | UnaryFn::Trunc | UnaryFn::Round);
    match (f, g) {
        (UnaryFn::Neg, UnaryFn::Neg) | (UnaryFn::Not, UnaryFn::Not) => Some(rw.new_of(inner.inputs[0])),
        (UnaryFn::Abs, UnaryFn::Abs) => Some(rw.new_of(node.inputs[0])),
        (f, g) if whole(f) && whole(g) => Some(rw.new_of(node.inputs[0])),
        (UnaryFn::Abs, UnaryFn::Neg) => {
            let x = rw.new_of(inner.inputs[0]);
            rw.add(Unary { f: UnaryFn::Abs }, &[x])
        }
        _ => None,
    }
}

/// Whether every value of `from` is one of `to`, so that a further conversion cannot tell the difference.
fn keeps_values(from: DType, to: DType) -> bool {
    match (from.int_range(), to.int_range()) {
        (Some((low, high)), Some((least, greatest))) => least <= low && high <= greatest,
        _ if from == DType::Bool => to != DType::Bool,
        _ => matches!((from, to), (DType::F16 | DType::BF16, DType::F32 | DType::F64) | (DType::F32, DType::F64)),
    }
}

fn cast_of_cast(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let Op::Cast(Cast { to }) = node.op else { return None };
    let inner = rw.node(node.inputs[0]);
    let Op::Cast(Cast { to: between }) = inner.op else { return None };
    let from = rw.ty(inner.inputs[0]).dtype;
    if !keeps_values(from, between) {
        return None;
    }
    let x = rw.new_of(inner.inputs[0]);
    if from == to { Some(x) } else { rw.add(Cast { to }, &[x]) }
}

fn known_choice(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    let (Op::Select(op), &[cond, x, y]) = (&node.op, &node.inputs[..]) else { return None };
    match rw.splat(cond) {
        Some(Scalar::Bool(true)) => return Some(rw.new_of(x)),
        Some(_) => return Some(rw.new_of(y)),
        None if x == y => return Some(rw.new_of(x)),
        None => {}
    }
    let inner = rw.node(cond);
    if inner.op != Op::Unary(Unary { f: UnaryFn::Not }) {
        return None;
    }
    let operands = [inner.inputs[0], y, x].map(|x| rw.new_of(x));
    rw.add(op.clone(), &operands)
}

/// A constant of equal elements is one that code can hold.
fn splat_is_a_scalar(rw: &mut Rewrite<'_>, id: NodeId) -> Option<NodeId> {
    let node = rw.node(id);
    if !matches!(node.op, Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_)) {
        return None;
    }
    let splat = |rw: &Rewrite<'_>, x: NodeId| match rw.old.op(x) {
        Op::Const(t) if t.count() > 1 => rw.splat(x),
        _ => None,
    };
    if rw.is_fixed(id) || !node.inputs.iter().any(|&x| splat(rw, x).is_some()) {
        return None;
    }
    let mut operands = vec![];
    for &x in &node.inputs {
        let operand = match splat(rw, x) {
            Some(value) => rw.fill(value, rw.ty(x))?,
            None => rw.new_of(x),
        };
        operands.push(operand);
    }
    rw.add(node.op.clone(), &operands)
}
