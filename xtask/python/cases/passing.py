"""Operators that hand their operand on: identities, checks, and what asks for a tensor's shape."""

import numpy as np

from .spec import DTYPES, INF, NAN, NUMBERS, case, const, rand, tensor

EVERY = ("bool", *NUMBERS)


def identities():
    for op in ("Identity", "StopGradient", "PreventGradient", "Snapshot", "DeepCopy"):
        for dtype in EVERY:
            case(op, f"values {dtype}", rand(2, 3, dtype=dtype), optional=True)
        case(op, "bits", tensor([NAN, INF, -INF, -0.0]))
        case(op, "empty", rand(0, 2))
        case(op, "scalar", tensor(1.5))
    case("Identity", "strings", rand(3, dtype="str"))
    case("IdentityN", "three types", [rand(2), rand(2, 2, dtype="i64"), rand(1, dtype="bool")])
    case("IdentityN", "one", [rand(0, 3)])
    case("IdentityN", "strings", [rand(2, dtype="str"), rand(2)])
    for dtype in ("f16", "bf16", "f32", "f64"):
        case("CheckNumerics", f"finite {dtype}", rand(2, 3, dtype=dtype), message="checked")
    case("CheckNumerics", "empty", rand(0), message="checked")
    case("CheckNumerics", "NaN", tensor([1.0, NAN]), message="checked", fails=True)
    case("CheckNumerics", "infinity", tensor([INF]), message="checked", fails=True)
    for dtype in ("f32", "i32", "bool"):
        case("PlaceholderWithDefault", f"default {dtype}", const(rand(2, 3, dtype=dtype), dtype), shape=[2, 3])
    case("PlaceholderWithDefault", "free batch", const(rand(2, 3), "f32"), shape=[None, 3])
    case("EnsureShape", "exact", rand(2, 3), shape=[2, 3])
    case("EnsureShape", "free dimension", rand(2, 3), shape=[None, 3])
    case("EnsureShape", "unknown rank", rand(2, 3), shape=None)
    case("EnsureShape", "scalar", tensor(5, "i32"), shape=[])
    case("EnsureShape", "wrong dimension", rand(2, 3), shape=[None, 4], fails=True)
    case("EnsureShape", "wrong rank", rand(2, 3), shape=[None], fails=True)
    case("GuaranteeConst", "values", rand(2, 2))
    for dtype in ("f32", "i64", "bool"):
        case("Print", f"values {dtype}", rand(2, 3, dtype=dtype), [rand(2), tensor([7, 8], "i32")], message="x: ")
    case("NoOp", "nothing")
    case("Assert", "holds", tensor(True, "bool"), [rand(2)])
    case("Assert", "fails", tensor(False, "bool"), [tensor([1, 2], "i32"), tensor([b"why"], "str")], fails=True)


def likes():
    for op in ("ZerosLike", "OnesLike"):
        for dtype in EVERY:
            case(op, f"values {dtype}", rand(2, 2, dtype=dtype))
        case(op, "NaN", tensor([NAN, INF]))
        case(op, "empty", rand(0, 2))
        case(op, "scalar", tensor(2.0))


def shapes():
    for op in ("Shape", "Size"):
        for out in ("i32", "i64"):
            for shape in ((2, 3), (), (0, 4), (1, 2, 3, 4, 1)):
                case(op, f"{list(shape)} to {out}", rand(*shape), out_type=DTYPES[out])
        case(op, "of bool", rand(2, dtype="bool"), out_type=DTYPES["i32"])
        case(op, "of strings", rand(2, dtype="str"), out_type=DTYPES["i32"])
    for out in ("i32", "i64"):
        case("ShapeN", f"three to {out}", [rand(2, 3), rand(0, 1), rand(4, 5)], out_type=DTYPES[out])
    case("ShapeN", "ranks differ", [rand(2), rand(2, 3, 1), tensor(1.0)], out_type=DTYPES["i32"])
    for shape in ((2, 3), (), (0,), (1, 2, 1, 1, 2)):
        case("Rank", f"{list(shape)}", rand(*shape))
    case("Rank", "of i64", rand(2, dtype="i64"))
    case("BroadcastArgs", "both ways", const([2, 1, 3]), const([4, 1]))
    case("BroadcastArgs", "scalar", const([], "i32"), const([4, 1]))
    case("BroadcastGradientArgs", "both ways", const([2, 1, 3]), const([4, 1]))
    case("ConcatOffset", "three", const(1), [const([2, 3, 1]), const([2, 1, 1]), const([2, 2, 1])])
    case("InvertPermutation", "four", tensor([2, 0, 3, 1], "i32"))
    case("InvertPermutation", "wide", tensor([1, 0], "i64"))
    case("InvertPermutation", "repeated", tensor([1, 1], "i32"), fails=True)
    for values in ([1, 2, 3, 4], [[1, 2], [3, 4], [5, 6], [7, 8]]):
        case("DataFormatVecPermute", f"rank {np.ndim(values)}", tensor(values, "i32"))
        case("DataFormatVecPermute", f"back, rank {np.ndim(values)}", tensor(values, "i32"), src_format="NCHW", dst_format="NHWC")
    case("DataFormatDimMap", "every axis", tensor([0, 1, 2, 3, -1, -2, -3, -4], "i32"))


identities()
likes()
shapes()
