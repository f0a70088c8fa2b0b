"""Reductions, arg-reductions, scans and selections of the largest: axes, ties, NaN, emptiness, accumulation."""

import numpy as np

from .spec import COMPLEX, DTYPES, FLOATS, INF, INTS, NAN, NUMBERS, case, const, distinct, rand, tensor


def reductions():
    for op in ("Sum", "Prod", "Mean", "Max", "Min", "EuclideanNorm"):
        low, high = (8, 24) if op == "Prod" else (-32, 32)
        for dtype in NUMBERS:
            case(op, f"last axis {dtype}", rand(2, 3, 2, dtype=dtype, low=low, high=high), const([2]), optional=True)
        x = rand(2, 3, 4, low=low, high=high)
        for name, axes in {"first": [0], "middle": [1], "two": [0, 2], "all": [0, 1, 2], "negative": [-1, -3], "none": []}.items():
            case(op, f"axes {name}", x, const(axes, "i32"))
            case(op, f"axes {name}, kept", x, const(axes, "i32"), keep_dims=True)
        case(op, "scalar axis", x, const(1))
        case(op, "axes of 64 bits", x, const([1], "i64"))
        case(op, "scalar operand", tensor(2.5), const([], "i32"))
        case(op, "rank 5", rand(2, 2, 1, 3, 2, low=low, high=high), const([1, 3]))
        for dtype in ("f32", "i32"):
            case(op, f"over nothing {dtype}", rand(2, 0, dtype=dtype), const([1]), optional=True)
        case(op, "nothing left", rand(0, 3), const([1]))
        case(op, "NaN and infinities", tensor([[1, NAN, 2], [INF, 1, -INF], [-INF, -INF, -INF]]), const([1]))
        case(op, "axis out of range", x, const([3]), fails=True)
        case(op, "axis repeated", x, const([1, 1]), fails=True)
    case("Sum", "wraps", tensor([100, 100, 100], "i8"), const([0]))
    case("Prod", "wraps", tensor([100, 100, 100], "i32") * 100, const([0]))
    case("Mean", "truncates toward zero", tensor([[1, 2], [-1, -2], [3, 4]], "i32"), const([1]))
    case("Mean", "accumulates wide", tensor([2**31 - 1, 2**31 - 1], "i32"), const([0]))
    case("Mean", "accumulates wide u8", tensor([250, 251, 252], "u8"), const([0]))
    case("Max", "signed zeros", tensor([[-0.0, -0.0]]), const([1]))
    for op in ("All", "Any"):
        x = tensor([[True, True], [True, False], [False, False]], "bool")
        for axes in ([0], [1], [-1], [0, 1], []):
            for keep in (False, True):
                case(op, f"axes {axes}{', kept' if keep else ''}", x, const(axes, "i32"), keep_dims=keep)
        case(op, "over nothing", rand(2, 0, dtype="bool"), const([1]))
        case(op, "scalar operand", tensor(True, "bool"), const([], "i32"))
        case(op, "rank 3", rand(2, 3, 2, dtype="bool"), const([0, 2]))


def arg_reductions():
    for op in ("ArgMax", "ArgMin"):
        for dtype in (*FLOATS, *INTS, "bool"):
            case(op, f"last axis {dtype}", rand(3, 5, dtype=dtype), const(-1), output_type=DTYPES["i64"], optional=True)
        x = rand(2, 3, 4)
        for axis in (0, 1, 2, -2):
            case(op, f"axis {axis}", x, const(axis), output_type=DTYPES["i32"])
        case(op, "axis of 64 bits", x, const(1, "i64"), output_type=DTYPES["i64"])
        case(op, "ties", tensor([[3, 3, 1, 1], [1, 3, 3, 1]]), const(1), output_type=DTYPES["i64"])
        case(op, "NaN", tensor([[NAN, 1, 3], [1, NAN, 3], [NAN, NAN, NAN], [3, 1, NAN]]), const(1), output_type=DTYPES["i64"])
        case(op, "infinities", tensor([[-INF, -INF], [INF, INF], [-INF, INF]]), const(1), output_type=DTYPES["i64"])
        case(op, "signed zeros", tensor([[-0.0, 0.0], [0.0, -0.0]]), const(1), output_type=DTYPES["i64"])
        case(op, "nothing left", rand(0, 3), const(1), output_type=DTYPES["i64"])
        case(op, "over nothing", rand(2, 0), const(1), output_type=DTYPES["i64"], fails=True)
    case("ArgMax", "to u16", rand(2, 3), const(1), output_type=DTYPES["u16"])
    case("ArgMax", "to i16", rand(2, 3), const(1), output_type=DTYPES["i16"])


def scans():
    for op in ("Cumsum", "Cumprod"):
        low, high = (8, 24) if op == "Cumprod" else (-32, 32)
        for dtype in NUMBERS:
            case(op, f"last axis {dtype}", rand(2, 4, dtype=dtype, low=low, high=high), const(1), optional=True)
        x = rand(2, 3, 4, low=low, high=high)
        for axis in (0, 1, -1, -3):
            for exclusive in (False, True):
                for reverse in (False, True):
                    name = f"axis {axis}{' exclusive' * exclusive}{' reverse' * reverse}"
                    case(op, name, x, const(axis), exclusive=exclusive, reverse=reverse)
        case(op, "empty", rand(2, 0), const(1), exclusive=True)
        case(op, "axis of 64 bits", x, const(2, "i64"))
        case(op, "NaN and infinities", tensor([1, INF, 2, NAN, 3]), const(0))
        case(op, "axis out of range", x, const(3), fails=True)


def largest():
    for dtype in FLOATS + INTS:
        case("TopKV2", f"three {dtype}", distinct(2, 6, dtype=dtype) if dtype[0] != "u" else np.abs(rand(2, 6, dtype=dtype)), const(3))
    case("TopKV2", "ties", tensor([[1, 3, 3, 2, 3, 1], [0, 0, 0, 0, 0, 0]]), const(4))
    case("TopKV2", "all", distinct(3, 4), const(4))
    case("TopKV2", "none", distinct(3, 4), const(0))
    case("TopKV2", "one", distinct(2, 2, 5), const(1))
    case("TopKV2", "infinities", tensor([1, -INF, INF, 0]), const(4))
    case("TopKV2", "signed zeros", tensor([-0.0, 0.0, -1.0]), const(3))
    case("TopKV2", "vector", distinct(7), const(2))
    case("TopKV2", "wide indices", distinct(2, 5), const(2), index_type=DTYPES["i64"])
    case("TopKV2", "no rows", rand(0, 4), const(2))
    case("TopKV2", "too many", distinct(3), const(4), fails=True)
    for dtype in FLOATS:
        case("L2Loss", f"values {dtype}", rand(2, 3, dtype=dtype))
    case("L2Loss", "empty", rand(0, 2))
    case("L2Loss", "scalar", tensor(3.0))


reductions()
arg_reductions()
scans()
largest()
