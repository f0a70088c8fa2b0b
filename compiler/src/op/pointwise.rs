//! Functions of single elements. All operands have the result's shape.
//!
//! `eval` follows the definitions of [`UnaryFn`], [`BinaryFn`], [`CompareFn`] and `Cast` in the loop IR, but computes
//! floats in double precision and rounds once, and shares no code with the interpreter of that IR.

mod adjoint;
pub(super) mod eval;

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, CompareFn, UnaryFn},
    tensor::DType,
};

/// `f(x)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    pub f: UnaryFn,
}

/// `f(x, y)` of one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binary {
    pub f: BinaryFn,
}

/// `x ? y` as a bool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    pub f: CompareFn,
}

/// `cond ? x : y`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Select {}

/// The value in another type, as `Expr::Cast` converts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cast {
    pub to: DType,
}

/// The same bits in another type of the same size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bitcast {
    pub to: DType,
}

/// One type for both operands, or how they differ.
pub(super) fn same_type<'a>(x: &'a TensorType, y: &TensorType, facts: &Facts) -> Infer<&'a TensorType> {
    let same_shape = x.rank() == y.rank() && x.shape.iter().zip(&y.shape).all(|(a, b)| facts.equal(a, b));
    if x.dtype == y.dtype && same_shape { Ok(x) } else { Err(format!("the operands differ: {x} and {y}")) }
}

impl Unary {
    fn accepts(&self, dtype: DType) -> bool {
        match self.f {
            UnaryFn::Neg | UnaryFn::Abs => dtype.is_int() || dtype.is_float(),
            UnaryFn::Not => dtype.is_int() || dtype == DType::Bool,
            _ => dtype.is_float(),
        }
    }
}

impl Primitive for Unary {
    const NAME: &'static str = "unary";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        if self.accepts(x.dtype) { Ok(x.clone()) } else { Err(format!("{:?} is not defined for {}", self.f, x.dtype)) }
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let x = inputs[0];
        Ok(Tensor::from_scalars(x.dtype, out, x.scalars().map(|v| eval::unary(self.f, x.dtype, v))))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        at.w.unary(self.f, x)
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], _: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        inputs[0]?.iter().map(|x| number::unary(self.f, out.dtype, x)).collect()
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        adjoint::unary(self.f, at)
    }
}

impl Binary {
    fn accepts(&self, dtype: DType) -> bool {
        match self.f {
            BinaryFn::Atan2 => dtype.is_float(),
            BinaryFn::And | BinaryFn::Or | BinaryFn::Xor => dtype.is_int() || dtype == DType::Bool,
            BinaryFn::Shl | BinaryFn::Shr => dtype.is_int(),
            _ => dtype.is_int() || dtype.is_float(),
        }
    }
}

impl Primitive for Binary {
    const NAME: &'static str = "binary";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, y] = operands(inputs)?;
        let ty = same_type(x, y, facts)?;
        if self.accepts(ty.dtype) {
            Ok(ty.clone())
        } else {
            Err(format!("{:?} is not defined for {}", self.f, ty.dtype))
        }
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let [x, y] = [inputs[0], inputs[1]];
        if x.dtype == DType::F32 {
            return Ok(Tensor::from_bytes(x.dtype, out, eval::singles(self.f, x.bytes(), y.bytes())));
        }
        let pairs = x.scalars().zip(y.scalars());
        let mut fault = None;
        let result = Tensor::from_scalars(
            x.dtype,
            out,
            pairs.map(|(a, b)| {
                eval::binary(self.f, x.dtype, a, b).unwrap_or_else(|f| {
                    fault = Some(f);
                    a
                })
            }),
        );
        fault.map_or(Ok(result), Err)
    }
    /// Integer divisions and powers check their operands first.
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (x, y) = (at.read(0, ix), at.read(1, ix));
        let dtype = at.w.dtype(y);
        let checked = match self.f {
            BinaryFn::Div | BinaryFn::Rem if dtype.is_int() => Some((CompareFn::Ne, Fault::DivisionByZero)),
            BinaryFn::Pow if dtype.is_signed_int() => Some((CompareFn::Ge, Fault::NegativeExponent)),
            _ => None,
        };
        if let Some((f, fault)) = checked {
            let zero = at.w.int(dtype, 0);
            let fine = at.w.compare(f, y, zero);
            at.w.check(fine, fault);
        }
        at.w.binary(self.f, x, y)
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], _: &[&TensorType], out: &TensorType) -> Option<Vec<Number>> {
        inputs[0]?.iter().zip(inputs[1]?).map(|(x, y)| number::binary(self.f, out.dtype, x, y)).collect()
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        adjoint::binary(self.f, at)
    }
}

impl Primitive for Compare {
    const NAME: &'static str = "compare";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [x, y] = operands(inputs)?;
        let ty = same_type(x, y, facts)?;
        let ordered = ty.dtype.is_int() || ty.dtype.is_float();
        let equality = matches!(self.f, CompareFn::Eq | CompareFn::Ne) && ty.dtype == DType::Bool;
        if !ordered && !equality {
            return Err(format!("{:?} is not defined for {}", self.f, ty.dtype));
        }
        Ok(TensorType::new(DType::Bool, ty.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let pairs = inputs[0].scalars().zip(inputs[1].scalars());
        Ok(Tensor::from_scalars(DType::Bool, out, pairs.map(|(a, b)| eval::compare(self.f, a, b))))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (x, y) = (at.read(0, ix), at.read(1, ix));
        at.w.compare(self.f, x, y)
    }
    /// 1 for true and 0 for false.
    fn numbers(&self, inputs: &[Option<&[Number]>], _: &[&TensorType], _: &TensorType) -> Option<Vec<Number>> {
        inputs[0]?.iter().zip(inputs[1]?).map(|(x, y)| number::compare(self.f, x, y)).collect()
    }
}

impl Primitive for Select {
    const NAME: &'static str = "select";
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [cond, x, y] = operands(inputs)?;
        let ty = same_type(x, y, facts)?;
        same_type(cond, &TensorType::new(DType::Bool, ty.shape.clone()), facts)?;
        Ok(ty.clone())
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        pick::moved(inputs, |inputs| {
            let [cond, x, y] = [inputs[0], inputs[1], inputs[2]];
            let pick = |n: usize| if cond.get(n).as_bool() == Some(true) { x.get(n) } else { y.get(n) };
            Ok(Tensor::from_scalars(x.dtype, out, (0..x.count()).map(pick)))
        })
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let (cond, x, y) = (at.read(0, ix), at.read(1, ix), at.read(2, ix));
        at.w.select(cond, x, y)
    }
    fn numbers(&self, inputs: &[Option<&[Number]>], _: &[&TensorType], _: &TensorType) -> Option<Vec<Number>> {
        let (cond, x, y) = (inputs[0]?, inputs[1]?, inputs[2]?);
        (0..x.len()).map(|n| number::select(&cond[n], &x[n], &y[n])).collect()
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        adjoint::select(at)
    }
}

impl Primitive for Cast {
    const NAME: &'static str = "cast";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        if [x.dtype, self.to].iter().any(|d| d.is_complex() || *d == DType::Str) {
            return Err(format!("{} does not convert to {}", x.dtype, self.to));
        }
        Ok(TensorType::new(self.to, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        Ok(Tensor::from_scalars(self.to, out, inputs[0].scalars().map(|v| eval::cast(self.to, v))))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        at.w.cast(self.to, x)
    }
    /// Extents fit every integer type that a model keeps them in, but for the narrow ones.
    fn numbers(&self, inputs: &[Option<&[Number]>], types: &[&TensorType], _: &TensorType) -> Option<Vec<Number>> {
        inputs[0]?.iter().map(|x| number::cast(types[0].dtype, self.to, x)).collect()
    }
    fn adjoint(&self, at: &mut Adjoint<'_>) -> Gradients {
        adjoint::cast(at)
    }
}

impl Primitive for Bitcast {
    const NAME: &'static str = "bitcast";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x] = operands(inputs)?;
        let plain = |d: DType| d.is_int() || d.is_float();
        if !plain(x.dtype) || !plain(self.to) || x.dtype.size() != self.to.size() {
            return Err(format!("{} does not have the bits of {}", x.dtype, self.to));
        }
        Ok(TensorType::new(self.to, x.shape.clone()))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        Ok(Tensor::from_bytes(self.to, out, inputs[0].bytes().to_vec()))
    }
    /// Bits have no slope.
    fn adjoint(&self, _: &mut Adjoint<'_>) -> Gradients {
        Ok(vec![None])
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        at.w.bits(self.to, x)
    }
}
