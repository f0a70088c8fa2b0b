//! Which types each kind of expression accepts and has.

use super::*;

/// Kernels compute with bools, integers, floats and strings only.
pub fn plain(dtype: DType) -> Check {
    ensure(!dtype.is_complex(), || format!("{dtype} has no place in a kernel"))
}

fn numeric(dtype: DType) -> bool {
    dtype.is_int() || dtype.is_float()
}

pub fn unary(f: UnaryFn, dtype: DType) -> bool {
    match f {
        UnaryFn::Neg | UnaryFn::Abs => numeric(dtype),
        UnaryFn::Not => dtype.is_int() || dtype == DType::Bool,
        _ => dtype.is_float(),
    }
}

pub fn binary(f: BinaryFn, dtype: DType) -> bool {
    match f {
        BinaryFn::Atan2 => dtype.is_float(),
        BinaryFn::And | BinaryFn::Or | BinaryFn::Xor => dtype.is_int() || dtype == DType::Bool,
        BinaryFn::Shl | BinaryFn::Shr => dtype.is_int(),
        _ => numeric(dtype),
    }
}

fn compare(f: CompareFn, dtype: DType) -> bool {
    numeric(dtype) || dtype == DType::Bool && matches!(f, CompareFn::Eq | CompareFn::Ne)
}

/// Whether a scalar is a value of the type.
fn constant(value: Scalar, dtype: DType) -> bool {
    let kind = match value {
        Scalar::Bool(_) => dtype == DType::Bool,
        Scalar::Int(_) => dtype.is_signed_int(),
        Scalar::Uint(_) => dtype.is_unsigned_int(),
        Scalar::F32(_) => dtype.is_float() && dtype != DType::F64,
        Scalar::F64(_) => dtype == DType::F64,
        Scalar::C64(..) | Scalar::C128(..) => false,
        // Code names no place: of strings, only the empty one is a constant.
        Scalar::Span(start, bytes) => dtype == DType::Str && (start, bytes) == (0, 0),
    };
    let nan = matches!(value, Scalar::F32(x) if x.is_nan());
    kind && (nan || value.same_bits(value.wrap(dtype)))
}

/// The element type of a local that is indexed by its rank.
pub fn element(kernel: &Kernel, local: LocalId, index: &[Dim]) -> Check<DType> {
    let n = local.index();
    let local = kernel.locals.get(local).ok_or_else(|| format!("there is no local {n}"))?;
    let rank = local.shape.len();
    ensure(rank == index.len(), || format!("local {n} has rank {rank}, not {}", index.len()))?;
    Ok(local.dtype)
}

/// Checks one expression whose operands are checked already.
pub fn expression(kernel: &Kernel, typed: &Typed) -> Check {
    let dtype = typed.dtype;
    plain(dtype)?;
    let of = |x: ExprId| kernel.dtype(x);
    let accepts = |ok: bool, f: &dyn fmt::Debug| ensure(ok, || format!("{f:?} is not defined for {dtype}"));
    let same = |x: ExprId, dtype: DType| {
        ensure(of(x) == dtype, || format!("operand {} is a {}, not a {dtype}", x.index(), of(x)))
    };
    let is = |what: DType| ensure(what == dtype, || format!("its type is {what}, not {dtype}"));
    match &typed.expr {
        Expr::Const(value) => ensure(constant(*value, dtype), || format!("{value:?} is not a {dtype}")),
        Expr::Var(var) => match &kernel.vars[*var] {
            Var::Value { dtype } => is(*dtype),
            _ => Err(format!("variable {} is an index", var.index())),
        },
        Expr::Index(_) => is(DType::I64),
        Expr::Load(buffer, _) => {
            let n = buffer.index();
            let buffer = kernel.buffers.get(*buffer).ok_or_else(|| format!("there is no buffer {n}"))?;
            ensure(!buffer.written, || format!("buffer {n} is loaded but marked written"))?;
            is(buffer.dtype)
        }
        Expr::Local(local, index) => is(element(kernel, *local, index)?),
        Expr::Unary(f, x) => same(*x, dtype).and(accepts(unary(*f, dtype), f)),
        Expr::Binary(f, x, y) => same(*x, dtype).and(same(*y, dtype)).and(accepts(binary(*f, dtype), f)),
        Expr::MulAdd(x, y, z) => {
            [x, y, z].into_iter().try_for_each(|x| same(*x, dtype)).and(accepts(numeric(dtype), &"MulAdd"))
        }
        Expr::Scale(x, n) => {
            let float = matches!(dtype, DType::F32 | DType::F64);
            same(*x, dtype).and(same(*n, dtype)).and(accepts(float, &"Scale"))
        }
        Expr::Exponent(x) | Expr::Mantissa(x) => {
            same(*x, dtype).and(accepts(matches!(dtype, DType::F32 | DType::F64), &"a part of a float"))
        }
        Expr::Table(_, index) => same(*index, DType::I32).and(is(DType::F32)),
        Expr::Compare(f, x, y) => {
            same(*y, of(*x))?;
            ensure(compare(*f, of(*x)), || format!("{f:?} is not defined for {}", of(*x)))?;
            is(DType::Bool)
        }
        Expr::Select(cond, x, y) => same(*cond, DType::Bool).and(same(*x, dtype)).and(same(*y, dtype)),
        Expr::Cast(x) => {
            let fits = of(*x) != DType::Str && dtype != DType::Str;
            ensure(fits, || format!("a {} is not converted to a {dtype}", of(*x)))
        }
        Expr::Start(x) | Expr::Length(x) => same(*x, DType::Str).and(is(DType::I64)),
        Expr::Span(x, n) => same(*x, DType::I64).and(same(*n, DType::I64)).and(is(DType::Str)),
        Expr::Byte(x, n) => same(*x, DType::Str).and(same(*n, DType::I64)).and(is(DType::U8)),
        Expr::Word(x, n) => same(*x, DType::Str).and(same(*n, DType::I64)).and(is(DType::U64)),
        Expr::Bits(x) => {
            let fits = numeric(of(*x)) && numeric(dtype) && of(*x).size() == dtype.size();
            ensure(fits, || format!("{} does not have the bits of {dtype}", of(*x)))
        }
    }
}
