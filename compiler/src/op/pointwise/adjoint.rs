//! The slopes of functions of single elements, with the choice at kinks and ties that models are trained with.

use super::*;

/// The gradient of `x` where the result is `y = f(x)`. Steps have none, also where they jump.
pub fn unary(f: UnaryFn, at: &mut Adjoint<'_>) -> Gradients {
    use UnaryFn::*;
    if matches!(f, Not | Floor | Ceil | Trunc | Round) {
        return Ok(vec![None]);
    }
    at.first(|at| {
        let (x, y, g) = (at.operands[0], at.result, at.gradient);
        match f {
            Neg => at.neg(g),
            // At 0 and NaN the product is 0 and NaN.
            Abs => {
                let (zero, minus, none) = (at.number(x, 0.0)?, at.neg(g)?, at.mul(g, x)?);
                let (above, below) = (at.compare(CompareFn::Gt, x, zero)?, at.compare(CompareFn::Lt, x, zero)?);
                let rest = at.select(below, minus, none)?;
                at.select(above, g, rest)
            }
            Sqrt => {
                let half = at.scaled(g, 0.5)?;
                let slope = at.div(half, y)?;
                at.unless_nothing(slope)
            }
            Exp => at.mul(g, y),
            Expm1 => {
                let product = at.mul(g, y)?;
                at.sum(product, g)
            }
            Log => at.div(g, x),
            Log1p => {
                let one = at.number(x, 1.0)?;
                let sum = at.sum(one, x)?;
                at.div(g, sum)
            }
            Sin => times(at, Cos, x),
            Cos => {
                let slope = times(at, Sin, x)?;
                at.neg(slope)
            }
            Tan => {
                let square = at.square(y)?;
                let product = at.mul(g, square)?;
                at.sum(g, product)
            }
            Asin | Acos => {
                let rest = one_minus_square(at, x)?;
                let slope = over(at, Sqrt, rest)?;
                if f == Asin { Ok(slope) } else { at.neg(slope) }
            }
            Atan => {
                let (one, square) = (at.number(x, 1.0)?, at.square(x)?);
                let sum = at.sum(one, square)?;
                at.div(g, sum)
            }
            Sinh => times(at, Cosh, x),
            Cosh => times(at, Sinh, x),
            Tanh => {
                let rest = one_minus_square(at, y)?;
                at.mul(g, rest)
            }
            Asinh => over(at, Cosh, y),
            Acosh => over(at, Sinh, y),
            Atanh => {
                let rest = one_minus_square(at, x)?;
                at.div(g, rest)
            }
            Erf | Erfc => {
                let square = at.square(x)?;
                let square = at.neg(square)?;
                let bell = at.unary(Exp, square)?;
                let factor = std::f64::consts::FRAC_2_SQRT_PI;
                let bell = at.scaled(bell, if f == Erf { factor } else { -factor })?;
                at.mul(g, bell)
            }
            Not | Floor | Ceil | Trunc | Round => unreachable!("steps have no slope"),
        }
    })
}

/// The gradient times `f(x)`.
fn times(at: &mut Adjoint<'_>, f: UnaryFn, x: Value) -> Infer<Value> {
    let (g, slope) = (at.gradient, at.unary(f, x)?);
    at.mul(g, slope)
}

/// The gradient over `f(x)`.
fn over(at: &mut Adjoint<'_>, f: UnaryFn, x: Value) -> Infer<Value> {
    let (g, slope) = (at.gradient, at.unary(f, x)?);
    at.div(g, slope)
}

fn one_minus_square(at: &mut Adjoint<'_>, x: Value) -> Infer<Value> {
    let (one, square) = (at.number(x, 1.0)?, at.square(x)?);
    at.sub(one, square)
}

/// The gradients of `x` and `y` where the result is `f(x, y)`. At a tie the first operand has all of it. A divisor has no
/// share in what is not used, so that 0/0 does not spoil it.
pub fn binary(f: BinaryFn, at: &mut Adjoint<'_>) -> Gradients {
    use BinaryFn::*;
    let [x, y] = [at.operands[0], at.operands[1]];
    let (result, g) = (at.result, at.gradient);
    at.each(|at, n| match (f, n) {
        (Add, _) | (Sub | Rem, 0) => Ok(g),
        (Sub, _) => at.neg(g),
        (Mul, 0) => at.mul(g, y),
        (Mul, _) => at.mul(g, x),
        (Div, 0) => at.div(g, y),
        (Div, _) => {
            let ratio = at.div(result, y)?;
            let slope = at.mul(g, ratio)?;
            let slope = at.neg(slope)?;
            at.unless_nothing(slope)
        }
        // x - y trunc(x / y)
        (Rem, _) => {
            let ratio = at.div(x, y)?;
            let whole = at.unary(UnaryFn::Trunc, ratio)?;
            let slope = at.mul(g, whole)?;
            at.neg(slope)
        }
        (Max | Min, _) => {
            let takes = at.compare(if f == Max { CompareFn::Ge } else { CompareFn::Le }, x, y)?;
            let zero = at.number(g, 0.0)?;
            if n == 0 { at.select(takes, g, zero) } else { at.select(takes, zero, g) }
        }
        (Pow, 0) => {
            let one = at.number(y, 1.0)?;
            let less = at.sub(y, one)?;
            let power = at.binary(Pow, x, less)?;
            let slope = at.mul(y, power)?;
            at.mul(g, slope)
        }
        // Where no logarithm is, the exponent is taken for a constant.
        (Pow, _) => {
            let (zero, one) = (at.number(x, 0.0)?, at.number(x, 1.0)?);
            let positive = at.compare(CompareFn::Gt, x, zero)?;
            let safe = at.select(positive, x, one)?;
            let log = at.unary(UnaryFn::Log, safe)?;
            let slope = at.mul(result, log)?;
            let slope = at.mul(g, slope)?;
            at.only(positive, slope)
        }
        // Of the angle of the point (y, x).
        (Atan2, _) => {
            let (a, b) = (at.square(x)?, at.square(y)?);
            let squares = at.sum(a, b)?;
            let part = at.div(g, squares)?;
            let product = at.mul(part, if n == 0 { y } else { x })?;
            if n == 0 { Ok(product) } else { at.neg(product) }
        }
        (And | Or | Xor | Shl | Shr, _) => unreachable!("what is of floats has no bits"),
    })
}

/// Of what `cond ? x : y` takes.
pub fn select(at: &mut Adjoint<'_>) -> Gradients {
    let (cond, g) = (at.operands[0], at.gradient);
    let mut all = vec![None; 3];
    if at.wants(1) {
        all[1] = Some(at.only(cond, g)?);
    }
    if at.wants(2) {
        let zero = at.number(g, 0.0)?;
        all[2] = Some(at.select(cond, zero, g)?);
    }
    Ok(all)
}

/// Of a float in another type of floats; numbers of other types have none.
pub fn cast(at: &mut Adjoint<'_>) -> Gradients {
    let from = at.dtype(at.operands[0]);
    if !from.is_float() {
        return Ok(vec![None]);
    }
    let g = at.gradient;
    at.first(|at| at.add(Cast { to: from }, &[g]))
}
