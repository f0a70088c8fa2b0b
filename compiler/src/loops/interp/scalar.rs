//! The functions of the loop IR on single values, each as its definition says.
//!
//! f16 and bf16 are computed in f32 and rounded; elementary functions of f32 are computed in f64 and rounded.

use super::*;

/// `f(x)` for a type that the function accepts.
pub fn unary(f: UnaryFn, dtype: DType, x: Scalar) -> Scalar {
    match x {
        Scalar::Bool(b) => Scalar::Bool(!b),
        Scalar::Int(n) => {
            let value = match f {
                UnaryFn::Neg => n.wrapping_neg(),
                UnaryFn::Abs => n.wrapping_abs(),
                _ => !n,
            };
            Scalar::Int(value).wrap(dtype)
        }
        Scalar::Uint(n) => {
            let value = match f {
                UnaryFn::Neg => n.wrapping_neg(),
                UnaryFn::Abs => n,
                _ => !n,
            };
            Scalar::Uint(value).wrap(dtype)
        }
        Scalar::F32(v) => {
            let value = match f {
                UnaryFn::Neg => -v,
                UnaryFn::Abs => v.abs(),
                UnaryFn::Sqrt => v.sqrt(),
                UnaryFn::Floor => v.floor(),
                UnaryFn::Ceil => v.ceil(),
                UnaryFn::Trunc => v.trunc(),
                UnaryFn::Round => v.round_ties_even(),
                f => elementary(f, v as f64) as f32,
            };
            Scalar::F32(value).wrap(dtype)
        }
        Scalar::F64(v) => Scalar::F64(match f {
            UnaryFn::Neg => -v,
            UnaryFn::Abs => v.abs(),
            UnaryFn::Sqrt => v.sqrt(),
            UnaryFn::Floor => v.floor(),
            UnaryFn::Ceil => v.ceil(),
            UnaryFn::Trunc => v.trunc(),
            UnaryFn::Round => v.round_ties_even(),
            f => elementary(f, v),
        }),
        Scalar::C64(..) | Scalar::C128(..) | Scalar::Span(..) => x,
    }
}

fn elementary(f: UnaryFn, x: f64) -> f64 {
    match f {
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
        UnaryFn::Asinh => libm::asinh(x),
        // libm answers below -1 too.
        UnaryFn::Acosh if x < 1.0 => f64::NAN,
        UnaryFn::Acosh => libm::acosh(x),
        UnaryFn::Atanh => libm::atanh(x),
        UnaryFn::Erf => libm::erf(x),
        UnaryFn::Erfc => libm::erfc(x),
        UnaryFn::Neg
        | UnaryFn::Abs
        | UnaryFn::Not
        | UnaryFn::Sqrt
        | UnaryFn::Floor
        | UnaryFn::Ceil
        | UnaryFn::Trunc
        | UnaryFn::Round => unreachable!("{f:?} is not elementary"),
    }
}

/// `f(x, y)`, or which precondition the operands break.
pub fn binary(f: BinaryFn, dtype: DType, x: Scalar, y: Scalar) -> Result<Scalar, String> {
    let bits = i64::from(dtype.bits());
    Ok(match (x, y) {
        (Scalar::Bool(a), Scalar::Bool(b)) => Scalar::Bool(match f {
            BinaryFn::And => a && b,
            BinaryFn::Or => a || b,
            _ => a != b,
        }),
        (Scalar::Int(a), Scalar::Int(b)) => Scalar::Int(match f {
            BinaryFn::Add => a.wrapping_add(b),
            BinaryFn::Sub => a.wrapping_sub(b),
            BinaryFn::Mul => a.wrapping_mul(b),
            BinaryFn::Div | BinaryFn::Rem if b == 0 => return Err("an integer is divided by 0".into()),
            BinaryFn::Div => a.wrapping_div(b),
            BinaryFn::Rem => a.wrapping_rem(b),
            BinaryFn::Max => a.max(b),
            BinaryFn::Min => a.min(b),
            BinaryFn::And => a & b,
            BinaryFn::Or => a | b,
            BinaryFn::Xor => a ^ b,
            BinaryFn::Shl => a.checked_shl(b.clamp(0, bits) as u32).unwrap_or(0),
            // Shifting by the width is filling with the sign, which one less does too.
            BinaryFn::Shr => a >> b.clamp(0, bits - 1),
            BinaryFn::Pow if b < 0 => return Err("an integer is raised to a negative power".into()),
            BinaryFn::Pow => power(a as u64, b as u64) as i64,
            BinaryFn::Atan2 => unreachable!("integers have no atan2"),
        })
        .wrap(dtype),
        (Scalar::Uint(a), Scalar::Uint(b)) => {
            let amount = b.min(bits as u64) as u32;
            Scalar::Uint(match f {
                BinaryFn::Add => a.wrapping_add(b),
                BinaryFn::Sub => a.wrapping_sub(b),
                BinaryFn::Mul => a.wrapping_mul(b),
                BinaryFn::Div | BinaryFn::Rem if b == 0 => return Err("an integer is divided by 0".into()),
                BinaryFn::Div => a / b,
                BinaryFn::Rem => a % b,
                BinaryFn::Max => a.max(b),
                BinaryFn::Min => a.min(b),
                BinaryFn::And => a & b,
                BinaryFn::Or => a | b,
                BinaryFn::Xor => a ^ b,
                BinaryFn::Shl => a.checked_shl(amount).unwrap_or(0),
                BinaryFn::Shr => a.checked_shr(amount).unwrap_or(0),
                BinaryFn::Pow => power(a, b),
                BinaryFn::Atan2 => unreachable!("integers have no atan2"),
            })
            .wrap(dtype)
        }
        (Scalar::F32(a), Scalar::F32(b)) => Scalar::F32(match f {
            BinaryFn::Add => a + b,
            BinaryFn::Sub => a - b,
            BinaryFn::Mul => a * b,
            BinaryFn::Div => a / b,
            BinaryFn::Rem => a % b,
            f => double(f, a as f64, b as f64) as f32,
        })
        .wrap(dtype),
        (Scalar::F64(a), Scalar::F64(b)) => Scalar::F64(double(f, a, b)),
        _ => unreachable!("operands have one type"),
    })
}

fn double(f: BinaryFn, a: f64, b: f64) -> f64 {
    match f {
        BinaryFn::Add => a + b,
        BinaryFn::Sub => a - b,
        BinaryFn::Mul => a * b,
        BinaryFn::Div => a / b,
        BinaryFn::Rem => a % b,
        BinaryFn::Max | BinaryFn::Min if a.is_nan() => a,
        BinaryFn::Max | BinaryFn::Min if b.is_nan() => b,
        BinaryFn::Max if b > a => b,
        BinaryFn::Min if b < a => b,
        BinaryFn::Max | BinaryFn::Min => a,
        BinaryFn::Pow => a.powf(b),
        BinaryFn::Atan2 => a.atan2(b),
        BinaryFn::And | BinaryFn::Or | BinaryFn::Xor | BinaryFn::Shl | BinaryFn::Shr => {
            unreachable!("floats have no bits to combine")
        }
    }
}

/// `base` to the `exponent`, modulo 2^64.
fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1u64;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent /= 2;
    }
    result
}

/// Floats are rounded once (f16 and bf16 after f32).
pub fn mul_add(dtype: DType, x: Scalar, y: Scalar, z: Scalar) -> Scalar {
    match (x, y, z) {
        (Scalar::F32(a), Scalar::F32(b), Scalar::F32(c)) => Scalar::F32(a.mul_add(b, c)).wrap(dtype),
        (Scalar::F64(a), Scalar::F64(b), Scalar::F64(c)) => Scalar::F64(a.mul_add(b, c)),
        (Scalar::Int(a), Scalar::Int(b), Scalar::Int(c)) => Scalar::Int(a.wrapping_mul(b).wrapping_add(c)).wrap(dtype),
        (Scalar::Uint(a), Scalar::Uint(b), Scalar::Uint(c)) => {
            Scalar::Uint(a.wrapping_mul(b).wrapping_add(c)).wrap(dtype)
        }
        _ => unreachable!("operands have one type"),
    }
}

/// `x * 2^floor(n)`: beyond these powers nothing changes.
pub fn scale(x: Scalar, n: Scalar) -> Scalar {
    let power = |n: f64| n.floor().clamp(-5000.0, 5000.0) as i32;
    match (x, n) {
        (Scalar::F32(_), Scalar::F32(n)) if n.is_nan() => Scalar::F32(n),
        (Scalar::F64(_), Scalar::F64(n)) if n.is_nan() => Scalar::F64(n),
        (Scalar::F32(x), Scalar::F32(n)) => Scalar::F32(libm::scalbnf(x, power(n.into()))),
        (Scalar::F64(x), Scalar::F64(n)) => Scalar::F64(libm::scalbn(x, power(n))),
        _ => unreachable!("operands are floats of one type"),
    }
}

/// `floor(log2 |x|)`.
pub fn exponent(x: Scalar) -> Scalar {
    fn of(x: f64) -> f64 {
        if x == 0.0 {
            return f64::NEG_INFINITY;
        }
        if x.is_finite() { f64::from(libm::frexp(x).1 - 1) } else { x.abs() }
    }
    match x {
        Scalar::F32(x) => Scalar::F32(of(x.into()) as f32),
        Scalar::F64(x) => Scalar::F64(of(x)),
        _ => unreachable!("the operand is a float"),
    }
}

/// `x 2^-k`, from 3/4 up to 3/2.
pub fn mantissa(x: Scalar) -> Scalar {
    fn of(x: f64) -> f64 {
        if x < 0.0 || x.is_nan() {
            return f64::NAN;
        }
        if x == 0.0 || x.is_infinite() {
            return 1.0;
        }
        let half = libm::frexp(x).0;
        if half < 0.75 { 2.0 * half } else { half }
    }
    match x {
        Scalar::F32(x) => Scalar::F32(of(x.into()) as f32),
        Scalar::F64(x) => Scalar::F64(of(x)),
        _ => unreachable!("the operand is a float"),
    }
}

/// What an update makes of an element and a value.
pub fn combine(f: Combine, dtype: DType, old: Scalar, value: Scalar) -> Result<Scalar, String> {
    let by = |f| binary(f, dtype, old, value);
    let choose = |f, yes, no| if compare(f, old, value) { yes } else { no };
    Ok(match f {
        Combine::Set => value,
        Combine::Add => by(BinaryFn::Add)?,
        Combine::Sub => by(BinaryFn::Sub)?,
        Combine::Mul => by(BinaryFn::Mul)?,
        Combine::Div => by(BinaryFn::Div)?,
        Combine::Or => by(BinaryFn::Or)?,
        Combine::Max => choose(CompareFn::Lt, value, old),
        Combine::Min => choose(CompareFn::Gt, value, old),
        Combine::LastMax => choose(CompareFn::Gt, old, value),
        Combine::LastMin => choose(CompareFn::Lt, old, value),
    })
}

pub fn compare(f: CompareFn, x: Scalar, y: Scalar) -> bool {
    fn of<T: PartialOrd>(f: CompareFn, a: T, b: T) -> bool {
        match f {
            CompareFn::Eq => a == b,
            CompareFn::Ne => a != b,
            CompareFn::Lt => a < b,
            CompareFn::Le => a <= b,
            CompareFn::Gt => a > b,
            CompareFn::Ge => a >= b,
        }
    }
    match (x, y) {
        (Scalar::Bool(a), Scalar::Bool(b)) => of(f, a, b),
        (Scalar::Int(a), Scalar::Int(b)) => of(f, a, b),
        (Scalar::Uint(a), Scalar::Uint(b)) => of(f, a, b),
        (Scalar::F32(a), Scalar::F32(b)) => of(f, a, b),
        (Scalar::F64(a), Scalar::F64(b)) => of(f, a, b),
        _ => unreachable!("operands have one type"),
    }
}

/// The conversion that [`Expr::Cast`] defines.
pub fn cast(to: DType, x: Scalar) -> Scalar {
    match x {
        Scalar::Bool(b) => from_int(to, i128::from(b)),
        Scalar::Int(n) => from_int(to, i128::from(n)),
        Scalar::Uint(n) => from_int(to, i128::from(n)),
        Scalar::F32(v) => from_float(to, v as f64),
        Scalar::F64(v) => from_float(to, v),
        Scalar::C64(..) | Scalar::C128(..) | Scalar::Span(..) => {
            unreachable!("kernels convert neither complex numbers nor strings")
        }
    }
}

fn from_int(to: DType, n: i128) -> Scalar {
    match to {
        DType::Bool => Scalar::Bool(n != 0),
        DType::F64 => Scalar::F64(n as f64),
        to if to.is_float() => Scalar::F32(n as f32).wrap(to),
        to if to.is_signed_int() => Scalar::Int(n as i64).wrap(to),
        to => Scalar::Uint(n as u64).wrap(to),
    }
}

fn from_float(to: DType, v: f64) -> Scalar {
    // What a machine conversion gives: the least value for what is not representable.
    let truncated = |least: i128| {
        let whole = v.trunc();
        if whole >= least as f64 && whole < -(least as f64) { whole as i64 } else { least as i64 }
    };
    let (to_i32, to_i64) = (|| truncated(i32::MIN.into()), || truncated(i64::MIN.into()));
    match to {
        DType::Bool => Scalar::Bool(v != 0.0),
        DType::F64 => Scalar::F64(v),
        DType::F32 | DType::F16 | DType::BF16 => Scalar::F32(v as f32).wrap(to),
        DType::I8 | DType::I16 | DType::I32 => Scalar::Int(to_i32()).wrap(to),
        DType::U8 | DType::U16 => Scalar::Uint(to_i32() as u64).wrap(to),
        DType::I64 => Scalar::Int(to_i64()),
        DType::U32 => Scalar::Uint(to_i64() as u64).wrap(to),
        DType::U64 if (2f64.powi(63)..2f64.powi(64)).contains(&v) => Scalar::Uint(v as u64),
        _ => Scalar::Uint(to_i64() as u64),
    }
}

/// The same bits in another type of the same size.
pub fn bits(from: DType, to: DType, x: Scalar) -> Scalar {
    let mut bytes = [0; 8];
    let bytes = &mut bytes[..from.size()];
    write(from, x, bytes);
    Scalar::read_le(to, bytes)
}

/// Writes the little-endian bytes of an element.
pub fn write(dtype: DType, x: Scalar, to: &mut [u8]) {
    match (x, dtype) {
        (Scalar::Bool(b), _) => to[0] = b as u8,
        (Scalar::Int(n), _) => to.copy_from_slice(&n.to_le_bytes()[..to.len()]),
        (Scalar::Uint(n), _) => to.copy_from_slice(&n.to_le_bytes()[..to.len()]),
        (Scalar::F32(v), DType::F16) => to.copy_from_slice(&half::f16::from_f32(v).to_le_bytes()),
        (Scalar::F32(v), DType::BF16) => to.copy_from_slice(&half::bf16::from_f32(v).to_le_bytes()),
        (Scalar::F32(v), _) => to.copy_from_slice(&v.to_le_bytes()),
        (Scalar::F64(v), _) => to.copy_from_slice(&v.to_le_bytes()),
        (Scalar::Span(start, bytes), _) => {
            to[..8].copy_from_slice(&start.to_le_bytes());
            to[8..].copy_from_slice(&bytes.to_le_bytes());
        }
        (Scalar::C64(..) | Scalar::C128(..), _) => unreachable!("kernels do not compute with complex numbers"),
    }
}
