"""Unary, binary, comparison, logic, bit, selection and conversion operators: edge values of every dtype, broadcasting, emptiness."""

import numpy as np

from .spec import COMPLEX, DTYPES, FLOATS, INF, INTS, NAN, NUMBERS, case, const, distinct, edges, rand, tensor

# Where f(x) is defined and neither overflows nor is denormal; None: everywhere.
UNARY = {
    "Abs": None, "Neg": None, "Sign": None, "Square": (-1e18, 1e18), "Sqrt": None, "Rsqrt": None, "Exp": (-87, 88),
    "Expm1": (-87, 88), "Log": None, "Log1p": None, "Sin": (-1e6, 1e6), "Cos": (-1e6, 1e6), "Tan": (-1e6, 1e6), "Asin": (-1, 1),
    "Acos": (-1, 1), "Atan": None, "Sinh": (-80, 80), "Cosh": (-80, 80), "Tanh": None, "Asinh": None, "Acosh": (1, 1e30),
    "Atanh": (-1, 1), "Erf": None, "Erfc": (-1e30, 9), "Sigmoid": (-87, 1e30), "Floor": None, "Ceil": None, "Round": None, "Rint": None,
    "Reciprocal": (-1e30, 1e30), "Inv": (-1e30, 1e30), "Relu": None, "Relu6": None, "Elu": (-87, 1e30), "Selu": (-80, 1e30),
    "Softplus": (-80, 1e30), "Softsign": None, "IsNan": None, "IsInf": None, "IsFinite": None,
}  # fmt: skip


def spread(dtype, domain):
    """Both signs, every magnitude: powers of two times odd mantissas, cut to the domain."""
    info = np.finfo(np.float16 if dtype == "f16" else np.float32)
    powers = np.arange(-12, 13, 2.0) if dtype in ("f16", "bf16") else np.arange(-60, 61, 6.0)
    values = np.concatenate([sign * 2.0**powers * mantissa for sign in (1, -1) for mantissa in (1.0, 1.625)])
    values = np.concatenate([values, np.linspace(-8, 8, 17) + 0.03125])
    low, high = domain or (-info.max, info.max)
    return tensor(values[(values >= low) & (values <= high)], dtype)


def clipped(values, domain):
    if domain is None:
        return values
    low, high = domain
    wide = values.astype(np.float64)
    return values[~np.isfinite(wide) | ((wide >= low) & (wide <= high))]


def unary():
    for op, domain in UNARY.items():
        if op == "Rsqrt":
            domain = (-1e30, 1e30)
        for dtype in NUMBERS:
            values = edges(dtype)
            if dtype in FLOATS:
                values = clipped(values, domain)
                if op in ("Sqrt", "Square", "Reciprocal", "Inv", "Asinh", "Atan", "Tanh", "Softsign", "Expm1", "Sin", "Tan", "Log1p", "Erf"):
                    values = values[values != tensor(np.float64(edges(dtype)[18]), dtype)]
            case(op, f"edges {dtype}", values, optional=True)
        case(op, "spread f32", spread("f32", domain if op != "Square" else (-1e15, 1e15)))
        case(op, "spread f64", spread("f64", domain))
        case(op, "empty", rand(0, 3))
        case(op, "scalar", tensor(0.75 if op != "Acosh" else 1.75))
        case(op, "rank 4", np.abs(rand(2, 1, 3, 2)) + tensor(1) if op == "Acosh" else rand(2, 1, 3, 2) / tensor(2))
    for alpha in (0.2, 0.0, 1.5, -0.5):
        for dtype in FLOATS if alpha == 0.2 else ("f32",):
            case("LeakyRelu", f"edges alpha {alpha} {dtype}", edges(dtype), alpha=alpha)
    case("LeakyRelu", "empty", rand(3, 0))
    case("LeakyRelu", "default alpha", rand(2, 5))
    for dtype in COMPLEX:
        for op in ("Real", "Imag", "Conj", "ComplexAbs", "Angle"):
            attrs = {} if op == "Conj" else {"Tout": DTYPES["f32" if dtype == "c64" else "f64"]}
            case(op, f"edges {dtype}", edges(dtype), **attrs)
    case("ComplexAbs", "large", tensor([3e30 + 4e30j, -3e30j], "c64"), Tout=DTYPES["f32"])
    case("LogicalNot", "values", tensor([True, False, True], "bool"))
    case("LogicalNot", "empty", rand(0, dtype="bool"))
    for dtype in INTS:
        case("Invert", f"edges {dtype}", edges(dtype))
        case("PopulationCount", f"edges {dtype}", edges(dtype))


def pairs(left, right):
    return left.reshape(-1, 1), right.reshape(1, -1)


def small_edges(dtype):
    """Fewer values than `edges`, so that all pairs of them stay a short case."""
    if dtype in FLOATS:
        return tensor([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, -7.0, 100.0, INF, -INF, NAN], dtype)
    return edges(dtype)


def broadcasts(op, **attrs):
    """The shapes an element-wise binary operator must bring together."""
    low = 1 if op == "Pow" else -32
    case(op, "same shape", rand(2, 3, low=low), rand(2, 3, seed=1), **attrs)
    case(op, "scalar right", rand(2, 3, low=low), tensor(1.5), **attrs)
    case(op, "scalar left", tensor(1.5), rand(4, low=low, seed=2), **attrs)
    case(op, "scalars", tensor(2.5), tensor(-0.5), **attrs)
    case(op, "row", rand(3, 4, low=low), rand(4, seed=3), **attrs)
    case(op, "column", rand(3, 4, low=low), rand(3, 1, seed=4), **attrs)
    case(op, "both ways", rand(2, 1, 3, low=low), rand(4, 1, seed=5), **attrs)
    case(op, "empty", rand(0, 3), rand(1, 3), **attrs)
    case(op, "one meets zero", rand(2, 1), rand(2, 0), **attrs)
    case(op, "rank 5", rand(1, 2, 1, 2, 1, low=low), rand(2, 1, 2, 1, 3, seed=6), **attrs)
    case(op, "shapes differ", rand(2, 3), rand(2, 4), fails=True, **attrs)


ARITHMETIC = ("AddV2", "Add", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference", "RealDiv", "Div", "DivNoNan", "MulNoNan",
              "FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod", "Xdivy", "Xlogy", "Xlog1py", "Pow", "Atan2")  # fmt: skip
DIVIDES = ("FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod", "Div")
COMPARISONS = ("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual")


def binary():
    for op in ARITHMETIC:
        broadcasts(op) if op not in ("TruncateDiv",) else None
        for dtype in NUMBERS:
            left = right = small_edges(dtype)
            if op == "Mod" and dtype in FLOATS:
                left = right = left[np.isfinite(left)]
            if dtype in INTS and op in DIVIDES:
                right = right[right != 0]
            if dtype in INTS and op == "Pow":
                right = tensor([0, 1, 2, 3, 7], dtype)
            if op in ("Pow", "Xlogy", "Xlog1py", "Xdivy", "RealDiv", "Div", "DivNoNan") and dtype in COMPLEX:
                right = right[right != 0]
                left = left[left != 0] if op == "Pow" else left
            case(op, f"all pairs {dtype}", *pairs(left, right), optional=True)
    for op in DIVIDES:
        for dtype in ("i32", "i64", "u8"):
            case(op, f"division by zero {dtype}", tensor([1, 2, 3], dtype), tensor([1, 0, 2], dtype), fails=True, optional=True)
    case("Pow", "negative exponent", tensor([1, 2, 3], "i32"), tensor([2, -1, 0], "i32"), fails=True)
    for op in COMPARISONS:
        broadcasts(op)
        for dtype in ("bool", *NUMBERS):
            case(op, f"all pairs {dtype}", *pairs(small_edges(dtype), small_edges(dtype)), optional=True)
    for op in ("Equal", "NotEqual"):
        case(op, "strings", tensor([b"a", b"b", b""], "str"), tensor([b"a", b"c", b""], "str"))
        case(op, "shapes differ allowed", rand(2), rand(3), incompatible_shape_error=False)
    truth = tensor([False, True], "bool")
    for op in ("LogicalAnd", "LogicalOr"):
        case(op, "all pairs", *pairs(truth, truth))
        case(op, "empty", rand(0, 2, dtype="bool"), rand(2, dtype="bool"))
        case(op, "scalar", tensor(True, "bool"), rand(2, 3, dtype="bool"))
    for dtype in INTS:
        for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
            case(op, f"all pairs {dtype}", *pairs(edges(dtype), edges(dtype)))
        bits = DTYPES[dtype].itemsize * 8
        amounts = tensor([0, 1, 3, bits - 1, bits, 100], dtype)
        for op in ("LeftShift", "RightShift"):
            case(op, f"all pairs {dtype}", *pairs(edges(dtype), amounts))
            if dtype[0] == "i":
                case(op, f"negative amount {dtype}", edges(dtype), tensor(-3, dtype))
    for dtype in FLOATS:
        values = tensor([0.0, 1.0, 1.0, NAN, INF, -INF, 2.0, -3.0], dtype)
        others = tensor([-0.0, 1.25, 1.125, NAN, INF, INF, 2.0, 3.0], dtype)
        case("ApproximateEqual", f"quarter {dtype}", values, others, tolerance=0.25, optional=True)
        case("ApproximateEqual", f"default tolerance {dtype}", values, others, optional=True)
    for dtype, part in (("c64", "f32"), ("c128", "f64")):
        case("Complex", f"broadcast to {dtype}", rand(2, 1, dtype=part), rand(3, dtype=part, seed=1), Tout=DTYPES[dtype])


def select():
    for op in ("Select", "SelectV2"):
        for dtype in ("bool", *NUMBERS, "str"):
            case(op, f"same shape {dtype}", rand(2, 3, dtype="bool"), rand(2, 3, dtype=dtype), rand(2, 3, dtype=dtype, seed=1))
        case(op, "scalar condition", tensor(True, "bool"), rand(2, 3), rand(2, 3, seed=1))
        case(op, "keeps NaN out", tensor([True, False], "bool"), tensor([1.0, NAN]), tensor([NAN, -0.0]))
        case(op, "empty", rand(0, 2, dtype="bool"), rand(0, 2), rand(0, 2))
    case("Select", "rows", tensor([True, False, True], "bool"), rand(3, 2, 2), rand(3, 2, 2, seed=1))
    case("SelectV2", "three-way broadcast", rand(2, 1, 1, dtype="bool"), rand(3, 1), rand(4, seed=1))
    case("SelectV2", "a row each", rand(1, 3, dtype="bool"), rand(2, 3), rand(1, 3, seed=1))
    case("SelectV2", "none of one", rand(1, 2, dtype="bool"), rand(0, 2), rand(1, 2, seed=1))
    case("SelectV2", "scalar branches", rand(2, 3, dtype="bool"), tensor(1.0), tensor(-1.0))
    case("SelectV2", "condition wider", rand(2, 2, 3, dtype="bool"), tensor(5, "i64"), rand(3, dtype="i64"))
    for dtype in FLOATS + INTS:
        values = edges(dtype)
        low, high = tensor(1 if dtype[0] == "u" else -2, dtype), tensor(3, dtype)
        case("ClipByValue", f"edges {dtype}", values, low, high, optional=True)
        if dtype in FLOATS:
            nan, bounds = tensor(NAN, dtype), (np.arange(values.size) % 3).astype(values.dtype)
            for place, limits in {"below": (nan, high), "above": (low, nan), "on both sides": (nan, nan)}.items():
                case("ClipByValue", f"no limit {place} {dtype}", values, *limits, optional=True)
                fixed = [const(limit, dtype) for limit in limits]
                case("ClipByValue", f"no constant limit {place} {dtype}", values, *fixed, optional=True)
            bounds[bounds == 1] = NAN
            case("ClipByValue", f"limits per element, some none, {dtype}", values, bounds - tensor(1, dtype), bounds, optional=True)
    case("ClipByValue", "limits crossed", rand(8), tensor(1.0), tensor(-1.0))
    case("ClipByValue", "limits of a row", rand(2, 3), rand(3, seed=1, high=0), rand(3, seed=2, low=0), fails=True)
    case("ClipByValue", "one limit for all", rand(3), rand(1, seed=1, high=0), tensor(1.0), fails=True)
    case("ClipByValue", "limits of one row", rand(1, 2), rand(3, 2, seed=1, high=0), tensor(1.0), fails=True)
    case("ClipByValue", "limits per element", rand(2, 2), rand(2, 2, seed=1, high=0), rand(2, 2, seed=2, low=0))


def cast():
    """Conversions between all pairs of types on values both can hold, then what overflow, NaN and rounding do where it is defined."""
    every = ("bool", *NUMBERS)
    for source in every:
        for target in every:
            values = tensor([0, 1, 0, 1, 1], "i32") if "bool" in (source, target) else tensor([0, 1, 2, 63, 100, 127], "i32")
            case("Cast", f"{source} to {target}", values.astype(DTYPES[source]), DstT=DTYPES[target])
    fraction = tensor([0.5, -0.5, 1.5, -1.5, 2.75, -2.75, 99.99, -99.99, -0.0, 0.999], "f64")
    for source in FLOATS:
        for target in ("i8", "i16", "i32", "i64"):
            case("Cast", f"fractions {source} to {target}", fraction.astype(DTYPES[source]), DstT=DTYPES[target])
        case("Cast", f"truth of {source}", edges(source), DstT=DTYPES["bool"])
    for source in ("f32", "f64"):
        beyond = tensor([3e9, -3e9, 1e20, -1e20, NAN, INF, -INF, 2147483648.0, -2147483648.0, 5.0], source)
        for target in ("i32", "i64"):
            case("Cast", f"out of range {source} to {target}", beyond, DstT=DTYPES[target])
        # Whole vectors saturate, what is left over wraps; the former is what images meet. Doubles saturate by way of 16 bits.
        far = [40000.0, -40000.0] if source == "f32" else []
        beyond = np.repeat(tensor([300.0, -1.0, -129.0, 256.5, *far, 3e9, NAN, INF, 127.9, -5.5], source), 32)
        for target in ("i8", "u8", "i16", "u16"):
            case("Cast", f"saturates {source} to {target}", beyond, DstT=DTYPES[target])
    for source in INTS:
        for target in INTS:
            if DTYPES[source].itemsize >= DTYPES[target].itemsize and source != target:
                case("Cast", f"wraps {source} to {target}", edges(source), DstT=DTYPES[target])
        for target in FLOATS:
            values = edges(source)
            values = values if target in ("f32", "f64", "bf16") else values[np.abs(values.astype(np.float64)) < 60000]
            case("Cast", f"rounds {source} to {target}", values, DstT=DTYPES[target])
    rounding = tensor([1 + 2**-11, 1 + 2**-10 + 2**-11, 1 + 2**-8, 1 + 2**-7 + 2**-8, 2049.0, 257.0, 65504.0, 65520.0, 1e5, -0.0, NAN, INF], "f32")
    for target in ("f16", "bf16"):
        case("Cast", f"ties to even f32 to {target}", rounding, DstT=DTYPES[target])
        case("Cast", f"ties to even f64 to {target}", rounding.astype(np.float64), DstT=DTYPES[target])
    case("Cast", "truncating f32 to bf16", rounding, DstT=DTYPES["bf16"], Truncate=True)
    case("Cast", "narrows f64 to f32", tensor([1 / 3, 1e300, -1e300, 16777217.0, NAN], "f64"), DstT=DTYPES["f32"])
    case("Cast", "empty", rand(0, 2), DstT=DTYPES["i32"])


def add_n():
    for dtype in NUMBERS:
        case("AddN", f"three {dtype}", [rand(2, 2, dtype=dtype, seed=s) for s in range(3)], optional=True)
    case("AddN", "one", [rand(3)])
    case("AddN", "ten", [rand(3, seed=s) for s in range(10)])
    case("AddN", "empty", [rand(0, 2), rand(0, 2)])
    case("AddN", "wraps", [tensor([100], "i8"), tensor([100], "i8")])
    case("AddN", "shapes differ", [rand(2), rand(3)], fails=True)


unary()
binary()
select()
cast()
add_n()
