"""Bands of diagonals, and counting."""

import itertools

from .spec import case, const, rand, tensor

NONE = tensor([])


def bands():
    for version, aligns in (("V2", [{}]), ("V3", [{"align": a} for a in ("RIGHT_LEFT", "LEFT_RIGHT", "LEFT_LEFT", "RIGHT_RIGHT")])):
        for align, k in itertools.product(aligns, (0, 1, -1, [-1, 1], [-2, 0], [0, 2], [1, 2], [-2, -1])):
            name = f"{k} {align.get('align', '')}".strip()
            many = [] if isinstance(k, int) else [k[1] - k[0] + 1]
            case(f"MatrixDiag{version}", name, rand(2, *many, 3), const(k), const(-1), const(-1), tensor(0.5), **align)
            case(f"MatrixDiagPart{version}", name, rand(2, 4, 3), const(k), tensor(9.0), **align)
            low, high = (k, k) if isinstance(k, int) else k
            longest = min(4 + min(high, 0), 3 - max(low, 0))
            case(f"MatrixSetDiag{version}", name, rand(2, 4, 3), rand(2, *many, longest, seed=1), const(k), **align)
        case(f"MatrixDiag{version}", "wider", rand(2), const(1), const(2), const(5), tensor(0.0))
        case(f"MatrixDiag{version}", "more rows", rand(2), const(-1), const(5), const(-1), tensor(0.0))
        case(f"MatrixDiag{version}", "i32", rand(3, dtype="i32"), const(0), const(-1), const(-1), tensor(-1, "i32"))
        case(f"MatrixDiagPart{version}", "f64", rand(3, 3, dtype="f64"), const(0), tensor(0.0, "f64"))
        case(f"MatrixSetDiag{version}", "i64", rand(3, 3, dtype="i64"), rand(3, dtype="i64", seed=1), const(0))


def counts():
    for dtype in ("f32", "f64", "i32", "i64"):
        case("Bucketize", f"four {dtype}", tensor([-7, -1, 0, 1, 2, 3, 100], dtype), boundaries=[-1.0, 0.0, 2.5, 3.0])
    case("Bucketize", "NaN", tensor([float("nan"), float("inf"), -float("inf")]), boundaries=[0.0, 1.0])
    case("Bucketize", "matrix", rand(2, 3), boundaries=[0.25])
    numbers = tensor([1, 0, 3, 1, 5, 1], "i32")
    weights = rand(6)
    case("Bincount", "plain", numbers, const(4), NONE)
    case("Bincount", "weights", numbers, const(6), weights)
    case("Bincount", "negative", tensor([1, -1], "i32"), const(4), NONE, fails=True)
    for dtype in ("i32", "i64"):
        values = tensor([[1, 0, 3], [1, 5, 1]], dtype)
        size = const(4, dtype)
        case("DenseBincount", f"rows {dtype}", values, size, NONE)
        case("DenseBincount", f"rows, weights {dtype}", values, size, rand(2, 3))
        case("DenseBincount", f"rows, present {dtype}", values, size, NONE, binary_output=True)
        case("DenseBincount", f"vector {dtype}", values[0], size, NONE)
        case("DenseBincount", f"vector, whole {dtype}", values[0], size, tensor([], "i64"))
    for op in ("Bincount", "DenseBincount"):
        for dtype in ("i32", "i64", "f32", "f64"):
            case(op, f"weights {dtype}", numbers, const(4), rand(6, dtype=dtype))
            case(op, f"none {dtype}", numbers, const(4), tensor([], dtype))
        case(op, "no bins", numbers, const(0), NONE)
        case(op, "negative size", numbers, const(-1), NONE, fails=True)
        case(op, "too few weights", numbers, const(4), rand(5), fails=True)
    case("Bincount", "matrix", numbers.reshape(2, 3), const(4), weights.reshape(2, 3))
    case("Bincount", "scalar", tensor(2, "i32"), const(4), NONE)
    case("DenseBincount", "present, no bins", numbers.reshape(2, 3), const(0), NONE, binary_output=True)
    case("DenseBincount", "negative in a row", tensor([[1, 0], [2, -1]], "i32"), const(4), NONE, fails=True)
    case("DenseBincount", "vector, present", numbers, const(7), NONE, binary_output=True)
    case("DenseBincount", "present, weights", numbers.reshape(2, 3), const(4), weights.reshape(2, 3), binary_output=True, optional=True)
    case("DenseBincount", "three axes", numbers.reshape(1, 2, 3), const(4), NONE, fails=True)
    case("DenseBincount", "negative", tensor([1, -1], "i32"), const(4), NONE, fails=True)
    case("DenseBincount", "no values", tensor([], "i32"), const(3), NONE)


bands()
counts()
