//! Values of the steps that stand for what no sum and product says: floats, bits, choices, powers.
//!
//! A float is on the stack as the bits of a double; nothing here needs a library of mathematics.

use crate::descriptor::Action;

/// From here on a double has no fraction.
const WHOLE: f64 = 4503599627370496.0;

/// The value of an action of [`Action::arity`] operands; `None` where it has none.
pub fn apply(action: Action, args: &[i64]) -> Option<i64> {
    match *args {
        [x] => one(action, x),
        [x, y] => two(action, x, y),
        [c, x, y] if action == Action::Select => Some(if c != 0 { x } else { y }),
        _ => None,
    }
}

fn real(bits: i64) -> f64 {
    f64::from_bits(bits as u64)
}

fn bits(x: f64) -> Option<i64> {
    Some(x.to_bits() as i64)
}

fn one(action: Action, x: i64) -> Option<i64> {
    let r = real(x);
    match action {
        Action::ToI32 => (r > -2147483649.0 && r < 2147483648.0).then_some(r as i64),
        Action::ToI64 => (-9223372036854775808.0..9223372036854775808.0).contains(&r).then_some(r as i64),
        Action::ToReal => bits(x as f64),
        Action::Single => bits(r as f32 as f64),
        Action::Neg => bits(-r),
        Action::Abs => bits(if r < 0.0 { -r } else { r }),
        Action::Floor => bits(rounded(r, floor)),
        Action::Ceil => bits(rounded(r, |r| -floor(-r))),
        Action::Trunc => bits(rounded(r, |r| r as i64 as f64)),
        Action::Round => bits(rounded(r, nearest)),
        _ => None,
    }
}

/// What has a fraction, by `f`.
fn rounded(r: f64, f: fn(f64) -> f64) -> f64 {
    if r > -WHOLE && r < WHOLE { f(r) } else { r }
}

fn floor(r: f64) -> f64 {
    let whole = r as i64 as f64;
    if whole > r { whole - 1.0 } else { whole }
}

/// Halves go to even.
fn nearest(r: f64) -> f64 {
    let below = floor(r);
    let rest = r - below;
    if rest > 0.5 || rest == 0.5 && below as i64 & 1 == 1 { below + 1.0 } else { below }
}

fn two(action: Action, x: i64, y: i64) -> Option<i64> {
    let (r, s) = (real(x), real(y));
    let amount = u32::try_from(y).ok().filter(|&n| n < 64);
    match action {
        Action::Add => x.checked_add(y),
        Action::Mul => x.checked_mul(y),
        Action::FloorDiv if y >= 1 => Some(x.div_euclid(y)),
        Action::Max => Some(x.max(y)),
        Action::Less => Some((r < s).into()),
        Action::LessEqual => Some((r <= s).into()),
        Action::Equal => Some((r == s).into()),
        Action::And => Some(x & y),
        Action::Or => Some(x | y),
        Action::Xor => Some(x ^ y),
        Action::Shl => amount.map(|n| x << n).filter(|&shifted| amount.is_some_and(|n| shifted >> n == x)),
        Action::Shr => amount.map(|n| x >> n),
        Action::Pow => x.checked_pow(amount?),
        Action::Quotient => {
            let (quotient, rest) = (x.checked_div(y)?, x.checked_rem(y)?);
            Some(quotient - i64::from(rest != 0 && (rest < 0) != (y < 0)))
        }
        Action::AddReal => bits(r + s),
        Action::SubReal => bits(r - s),
        Action::MulReal => bits(r * s),
        Action::DivReal => bits(r / s),
        Action::MinReal => bits(if r < s || r.is_nan() { r } else { s }),
        Action::MaxReal => bits(if r > s || r.is_nan() { r } else { s }),
        _ => None,
    }
}
