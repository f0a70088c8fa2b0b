//! The definitions of the pointwise functions on single values.

use crate::{
    loops::{BinaryFn, CompareFn, Fault, UnaryFn},
    tensor::{DType, Scalar},
};

/// `f(x)` in `dtype`; floats are computed in f64 and rounded once.
pub fn unary(f: UnaryFn, dtype: DType, x: Scalar) -> Scalar {
    match x {
        Scalar::Bool(b) => Scalar::Bool(!b),
        Scalar::Int(n) => Scalar::Int(match f {
            UnaryFn::Neg => n.wrapping_neg(),
            UnaryFn::Abs => n.wrapping_abs(),
            _ => !n,
        })
        .wrap(dtype),
        Scalar::Uint(n) => Scalar::Uint(match f {
            UnaryFn::Neg => n.wrapping_neg(),
            UnaryFn::Abs => n,
            _ => !n,
        })
        .wrap(dtype),
        Scalar::F32(v) => Scalar::F32(float_unary(f, v as f64) as f32).wrap(dtype),
        Scalar::F64(v) => Scalar::F64(float_unary(f, v)),
        Scalar::C64(..) | Scalar::C128(..) | Scalar::Span(..) => unreachable!("only numbers have pointwise functions"),
    }
}

fn float_unary(f: UnaryFn, x: f64) -> f64 {
    match f {
        UnaryFn::Neg => -x,
        UnaryFn::Abs => x.abs(),
        UnaryFn::Not => unreachable!("refused by infer"),
        UnaryFn::Sqrt => x.sqrt(),
        UnaryFn::Floor => x.floor(),
        UnaryFn::Ceil => x.ceil(),
        UnaryFn::Trunc => x.trunc(),
        UnaryFn::Round => x.round_ties_even(),
        UnaryFn::Exp => x.exp(),
        UnaryFn::Expm1 => x.exp_m1(),
        UnaryFn::Log => x.ln(),
        UnaryFn::Log1p => x.ln_1p(),
        UnaryFn::Sin => x.sin(),
        UnaryFn::Cos => x.cos(),
        UnaryFn::Tan => x.tan(),
        UnaryFn::Asin => x.asin(),
        UnaryFn::Acos => x.acos(),
        UnaryFn::Atan => x.atan(),
        UnaryFn::Sinh => x.sinh(),
        UnaryFn::Cosh => x.cosh(),
        UnaryFn::Tanh => x.tanh(),
        // The standard library overflows for the greatest doubles.
        UnaryFn::Asinh => libm::asinh(x),
        UnaryFn::Acosh => x.acosh(),
        UnaryFn::Atanh => x.atanh(),
        UnaryFn::Erf => libm::erf(x),
        UnaryFn::Erfc => libm::erfc(x),
    }
}

/// `f(x, y)` in `dtype`.
pub fn binary(f: BinaryFn, dtype: DType, x: Scalar, y: Scalar) -> Result<Scalar, Fault> {
    Ok(match (x, y) {
        (Scalar::Bool(a), Scalar::Bool(b)) => Scalar::Bool(match f {
            BinaryFn::And => a & b,
            BinaryFn::Or => a | b,
            _ => a ^ b,
        }),
        (Scalar::Int(a), Scalar::Int(b)) => Scalar::Int(signed(f, dtype, a, b)?).wrap(dtype),
        (Scalar::Uint(a), Scalar::Uint(b)) => Scalar::Uint(unsigned(f, dtype, a, b)?).wrap(dtype),
        (Scalar::F32(a), Scalar::F32(b)) => Scalar::F32(single(f, a, b)).wrap(dtype),
        (Scalar::F64(a), Scalar::F64(b)) => Scalar::F64(double(f, a, b)),
        _ => unreachable!("infer gives both operands one type"),
    })
}

fn signed(f: BinaryFn, dtype: DType, a: i64, b: i64) -> Result<i64, Fault> {
    let bits = dtype.bits() as i64;
    Ok(match f {
        BinaryFn::Add => a.wrapping_add(b),
        BinaryFn::Sub => a.wrapping_sub(b),
        BinaryFn::Mul => a.wrapping_mul(b),
        BinaryFn::Div | BinaryFn::Rem if b == 0 => return Err(Fault::DivisionByZero),
        BinaryFn::Div => a.wrapping_div(b),
        BinaryFn::Rem => a.wrapping_rem(b),
        BinaryFn::Max => a.max(b),
        BinaryFn::Min => a.min(b),
        BinaryFn::And => a & b,
        BinaryFn::Or => a | b,
        BinaryFn::Xor => a ^ b,
        BinaryFn::Shl if b.clamp(0, bits) == bits => 0,
        BinaryFn::Shl => a << b.clamp(0, bits),
        BinaryFn::Shr => a >> b.clamp(0, bits - 1),
        BinaryFn::Pow if b < 0 => return Err(Fault::NegativeExponent),
        BinaryFn::Pow => power(a as u64, b as u64) as i64,
        BinaryFn::Atan2 => unreachable!("refused by infer"),
    })
}

fn unsigned(f: BinaryFn, dtype: DType, a: u64, b: u64) -> Result<u64, Fault> {
    let bits = dtype.bits() as u64;
    Ok(match f {
        BinaryFn::Add => a.wrapping_add(b),
        BinaryFn::Sub => a.wrapping_sub(b),
        BinaryFn::Mul => a.wrapping_mul(b),
        BinaryFn::Div | BinaryFn::Rem if b == 0 => return Err(Fault::DivisionByZero),
        BinaryFn::Div => a / b,
        BinaryFn::Rem => a % b,
        BinaryFn::Max => a.max(b),
        BinaryFn::Min => a.min(b),
        BinaryFn::And => a & b,
        BinaryFn::Or => a | b,
        BinaryFn::Xor => a ^ b,
        BinaryFn::Shl | BinaryFn::Shr if b >= bits => 0,
        BinaryFn::Shl => a << b,
        BinaryFn::Shr => a >> b,
        BinaryFn::Pow => power(a, b),
        BinaryFn::Atan2 => unreachable!("refused by infer"),
    })
}

/// `base` to the `exponent`, modulo 2^64.
fn power(base: u64, exponent: u64) -> u64 {
    let (mut result, mut square, mut rest) = (1u64, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        rest >>= 1;
    }
    result
}

/// `f` of the elements of f32 tensors, all bytes little-endian. Weights are scaled by this, and they are many.
pub fn singles(f: BinaryFn, x: &[u8], y: &[u8]) -> Vec<u8> {
    let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("an f32 has four bytes"));
    let mut result = Vec::with_capacity(x.len());
    for (a, b) in x.chunks_exact(4).zip(y.chunks_exact(4)) {
        result.extend_from_slice(&single(f, float(a), float(b)).to_le_bytes());
    }
    result
}

/// In f32 what f64 would round twice; the rest in f64.
fn single(f: BinaryFn, a: f32, b: f32) -> f32 {
    match f {
        BinaryFn::Add => a + b,
        BinaryFn::Sub => a - b,
        BinaryFn::Mul => a * b,
        BinaryFn::Div => a / b,
        BinaryFn::Rem => a % b,
        f => double(f, a as f64, b as f64) as f32,
    }
}

fn double(f: BinaryFn, a: f64, b: f64) -> f64 {
    match f {
        BinaryFn::Add => a + b,
        BinaryFn::Sub => a - b,
        BinaryFn::Mul => a * b,
        BinaryFn::Div => a / b,
        BinaryFn::Rem => a % b,
        BinaryFn::Max | BinaryFn::Min if a.is_nan() || b.is_nan() => f64::NAN,
        BinaryFn::Max => {
            if b > a {
                b
            } else {
                a
            }
        }
        BinaryFn::Min => {
            if b < a {
                b
            } else {
                a
            }
        }
        BinaryFn::Pow => a.powf(b),
        BinaryFn::Atan2 => a.atan2(b),
        _ => unreachable!("refused by infer"),
    }
}

pub fn compare(f: CompareFn, x: Scalar, y: Scalar) -> Scalar {
    let order = match (x, y) {
        (Scalar::Int(a), Scalar::Int(b)) => Some(a.cmp(&b)),
        (Scalar::Uint(a), Scalar::Uint(b)) => Some(a.cmp(&b)),
        (Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(&b)),
        (Scalar::F32(a), Scalar::F32(b)) => a.partial_cmp(&b),
        (Scalar::F64(a), Scalar::F64(b)) => a.partial_cmp(&b),
        _ => unreachable!("infer gives both operands one type"),
    };
    Scalar::Bool(match f {
        CompareFn::Eq => order == Some(std::cmp::Ordering::Equal),
        CompareFn::Ne => order != Some(std::cmp::Ordering::Equal),
        CompareFn::Lt => order.is_some_and(|o| o.is_lt()),
        CompareFn::Le => order.is_some_and(|o| o.is_le()),
        CompareFn::Gt => order.is_some_and(|o| o.is_gt()),
        CompareFn::Ge => order.is_some_and(|o| o.is_ge()),
    })
}

/// The conversion that `Expr::Cast` defines.
pub fn cast(to: DType, x: Scalar) -> Scalar {
    match (to, x) {
        (DType::Bool, x) => Scalar::Bool(match x {
            Scalar::Bool(b) => b,
            Scalar::Int(n) => n != 0,
            Scalar::Uint(n) => n != 0,
            Scalar::F32(v) => v != 0.0,
            Scalar::F64(v) => v != 0.0,
            Scalar::C64(..) | Scalar::C128(..) | Scalar::Span(..) => unreachable!("refused by infer"),
        }),
        (d, Scalar::F32(v)) if d.is_int() => truncate(d, v as f64),
        (d, Scalar::F64(v)) if d.is_int() => truncate(d, v),
        (d, Scalar::Uint(n)) if d.is_signed_int() => Scalar::Int(n as i64).wrap(d),
        (d, Scalar::Uint(n)) if d.is_unsigned_int() => Scalar::Uint(n).wrap(d),
        (d, x) if d.is_signed_int() => Scalar::Int(x.as_i64().unwrap_or(0)).wrap(d),
        (d, x) if d.is_unsigned_int() => Scalar::Uint(x.as_i64().unwrap_or(0) as u64).wrap(d),
        // An integer becomes f32 in one rounding, not by way of f64.
        (DType::F32, Scalar::Int(n)) => Scalar::F32(n as f32),
        (DType::F32, Scalar::Uint(n)) => Scalar::F32(n as f32),
        (DType::F16 | DType::BF16, Scalar::Int(n)) => Scalar::F32(n as f32).wrap(to),
        (DType::F16 | DType::BF16, Scalar::Uint(n)) => Scalar::F32(n as f32).wrap(to),
        (DType::F16 | DType::BF16, Scalar::F64(v)) => Scalar::F32(v as f32).wrap(to),
        (d, x) => Scalar::from_f64(d, x.as_f64().unwrap_or(f64::NAN)),
    }
}

fn truncate(to: DType, v: f64) -> Scalar {
    let (low, high) = (-(2f64.powi(63)), 2f64.powi(63));
    let i64_of = |v: f64| if v >= low && v < high { v as i64 } else { i64::MIN };
    let i32_of = |v: f64| if v > -2147483649.0 && v < 2147483648.0 { v as i32 } else { i32::MIN };
    match to {
        DType::I64 => Scalar::Int(i64_of(v)),
        DType::I32 => Scalar::Int(i32_of(v) as i64),
        DType::I8 | DType::I16 => Scalar::Int(i32_of(v) as i64).wrap(to),
        DType::U8 | DType::U16 => Scalar::Uint(i32_of(v) as u64).wrap(to),
        DType::U32 => Scalar::Uint(i64_of(v) as u64).wrap(to),
        _ if v >= high && v < 2.0 * high => Scalar::Uint(v as u64),
        _ => Scalar::Uint(i64_of(v) as u64),
    }
}
