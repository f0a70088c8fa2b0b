//! Functions of single elements on numbers that follow from extents, with the meaning that the primitives have.
//!
//! Integers are those of shapes: they fit the types that models keep them in, so that nothing wraps; narrow types are
//! tracked where they are constants. Truth values are 0 and 1. Floats round as f32 and f64 do.

use crate::{
    base::{
        Dim,
        dim::{Function, NoVars, Number},
    },
    loops::{BinaryFn, CompareFn, UnaryFn},
    tensor::{DType, Scalar},
};

/// A constant's element.
pub fn constant(value: Scalar) -> Option<Number> {
    match value {
        Scalar::F32(x) => Number::real(x.into()),
        Scalar::F64(x) => Number::real(x),
        other => other.as_i64().map(|n| Number::Int(n.into())),
    }
}

/// Whether elements of the type are tracked.
pub fn is_tracked(dtype: DType) -> bool {
    dtype.is_int() || matches!(dtype, DType::Bool | DType::F32 | DType::F64)
}

/// A result as its type rounds it.
fn rounded(dtype: DType, x: Number) -> Option<Number> {
    if dtype == DType::F32 { Number::of(Function::Single, &[x]) } else { Some(x) }
}

fn is_real(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64)
}

pub fn unary(f: UnaryFn, dtype: DType, x: &Number) -> Option<Number> {
    if let Number::Int(x) = x {
        return match f {
            UnaryFn::Not if dtype == DType::Bool => Some(x.negated()),
            UnaryFn::Not if dtype.is_signed_int() => Some(-x - Dim::one()),
            UnaryFn::Neg if dtype.is_signed_int() => Some(-x),
            UnaryFn::Abs => Some(x.magnitude()),
            _ => None,
        }
        .map(Number::Int);
    }
    let f = match f {
        UnaryFn::Neg => Function::Neg,
        UnaryFn::Abs => Function::Abs,
        UnaryFn::Floor => Function::Floor,
        UnaryFn::Ceil => Function::Ceil,
        UnaryFn::Round => Function::Round,
        UnaryFn::Trunc => Function::Trunc,
        _ => return None,
    };
    rounded(dtype, Number::of(f, std::slice::from_ref(x))?)
}

pub fn binary(f: BinaryFn, dtype: DType, x: &Number, y: &Number) -> Option<Number> {
    if let (Number::Int(x), Number::Int(y)) = (x, y) {
        return integers(f, dtype, x, y).map(Number::Int);
    }
    let f = match f {
        BinaryFn::Add => Function::Add,
        BinaryFn::Sub => Function::Sub,
        BinaryFn::Mul => Function::Mul,
        BinaryFn::Div => Function::Div,
        BinaryFn::Max => Function::Max,
        BinaryFn::Min => Function::Min,
        _ => return None,
    };
    rounded(dtype, Number::of(f, &[x.clone(), y.clone()])?)
}

fn integers(f: BinaryFn, dtype: DType, x: &Dim, y: &Dim) -> Option<Dim> {
    let logical = dtype == DType::Bool;
    match f {
        BinaryFn::Add => Some(x + y),
        // An unsigned difference below 0 wraps.
        BinaryFn::Sub => Some(x - y).filter(|d| !dtype.is_unsigned_int() || d.is_nonneg(&NoVars)),
        BinaryFn::Mul => Some(x * y),
        BinaryFn::Max => Some(x.at_least(y)),
        BinaryFn::Min => Some(x.at_most(y)),
        BinaryFn::Div => x.truncated_over(y),
        BinaryFn::Rem => Some(x - y * x.truncated_over(y)?),
        BinaryFn::Pow => x.power(y),
        BinaryFn::And if logical => Some(x.at_most(y)),
        BinaryFn::Or if logical => Some(x.at_least(y)),
        BinaryFn::Xor if logical => Some(x.equals(y).negated()),
        BinaryFn::And => x.bits_and(y),
        BinaryFn::Or => x.bits_or(y),
        BinaryFn::Xor => x.bits_xor(y),
        BinaryFn::Shl => x.shifted_left(y),
        BinaryFn::Shr => x.shifted_right(y),
        BinaryFn::Atan2 => None,
    }
}

pub fn compare(f: CompareFn, x: &Number, y: &Number) -> Option<Number> {
    if let (Number::Int(x), Number::Int(y)) = (x, y) {
        let holds = match f {
            CompareFn::Eq => x.equals(y),
            CompareFn::Ne => x.equals(y).negated(),
            CompareFn::Lt => (y - x).sign(),
            CompareFn::Le => (y - x + 1).sign(),
            CompareFn::Gt => (x - y).sign(),
            CompareFn::Ge => (x - y + 1).sign(),
        };
        return Some(holds.into());
    }
    let of = |f, x: &Number, y: &Number| Number::of(f, &[x.clone(), y.clone()]);
    match f {
        CompareFn::Eq => of(Function::Equal, x, y),
        CompareFn::Ne => Some(of(Function::Equal, x, y)?.as_dim()?.negated().into()),
        CompareFn::Lt => of(Function::Less, x, y),
        CompareFn::Le => of(Function::LessEqual, x, y),
        CompareFn::Gt => of(Function::Less, y, x),
        CompareFn::Ge => of(Function::LessEqual, y, x),
    }
}

pub fn select(cond: &Number, x: &Number, y: &Number) -> Option<Number> {
    match (cond, x, y) {
        (Number::Int(cond), Number::Int(x), Number::Int(y)) => cond.choose(x, y).map(Number::Int),
        _ => Number::of(Function::Select, &[cond.clone(), x.clone(), y.clone()]),
    }
}

pub fn cast(from: DType, to: DType, x: &Number) -> Option<Number> {
    let wide = |d: DType| matches!(d, DType::I32 | DType::I64 | DType::U32 | DType::U64);
    match x {
        Number::Int(dim) if is_real(to) => {
            rounded(to, Number::of(Function::ToReal, std::slice::from_ref(x))?).filter(|_| dim.is_exact_double())
        }
        Number::Int(dim) if to == DType::Bool && from != DType::Bool => Some(dim.equals(&Dim::zero()).negated().into()),
        Number::Int(dim) => {
            let kept = |n: i64| super::pointwise::eval::cast(to, Scalar::Int(n)).as_i64() == Some(n);
            let keeps = wide(to) && (wide(from) || from == DType::Bool) || to == from;
            (keeps || to.is_int() && dim.as_int().is_some_and(kept)).then(|| x.clone())
        }
        Number::Real(_) if to == DType::Bool => compare(CompareFn::Ne, x, &Number::real(0.0)?),
        Number::Real(_) if is_real(to) => rounded(to, x.clone()),
        Number::Real(_) => {
            let f = match to {
                DType::I32 => Function::ToI32,
                DType::I64 => Function::ToI64,
                _ => return None,
            };
            Number::of(f, std::slice::from_ref(x))
        }
    }
}
