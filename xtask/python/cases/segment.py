"""Rows folded by segments: sorted ids, ids in any order, and rows looked up first; gaps, empty segments, ids out of range."""

import numpy as np

from .spec import FLOATS, INF, INTS, NAN, NUMBERS, Run, case, const, rand, tensor


def sorted_ids():
    for fold in ("Sum", "Mean", "Prod", "Min", "Max"):
        op = f"Segment{fold}"
        for dtype in NUMBERS:
            case(op, f"rows {dtype}", rand(5, 2, dtype=dtype), const([0, 0, 1, 3, 3]), optional=True)
            case(op, f"elements {dtype}", rand(6, dtype=dtype, seed=1), const([1, 1, 1, 2, 2, 2]), optional=True)
        for index in ("i32", "i64"):
            case(op, f"ids {index}", rand(4, 3), const([0, 1, 1, 2], index))
        case(op, "three axes", rand(3, 2, 2), const([0, 0, 2]))
        case(op, "one segment", rand(4, 2), const([0, 0, 0, 0]))
        case(op, "late start", rand(2, 2), const([3, 5]))
        case(op, "nothing", rand(0, 2), const(np.zeros(0)))
        case(op, "rows of nothing", rand(3, 0), const([0, 0, 1]))
        case(op, "falling", rand(3), const([1, 0, 2]), fails=True)
        case(op, "negative", rand(3), const([-1, 0, 2]), fails=True)
        case(op, "too few ids", rand(3), const([0, 1]), fails=True)
        case(op, "given ids", rand(3, 2), tensor([0, 0, 1], "i32"))
        for dtype in ("f16", "bf16"):
            case(op, f"many {dtype}", tensor(np.ones(300), dtype), const(np.zeros(300)))
    for dtype in INTS:
        case("SegmentMean", f"wrapped {dtype}", tensor([100, 100, 100, 3, -7 if dtype[0] == "i" else 7], dtype), const([0, 0, 0, 1, 1]))
    for op in ("SegmentMin", "SegmentMax"):
        case(op, "infinities", tensor([INF, INF, -INF, -INF, INF, -INF]), const([0, 0, 1, 1, 2, 2]))
        case(op, "NaN", tensor([1, NAN, 2, NAN, 3, 4, NAN, NAN]), const([0, 0, 0, 1, 1, 2, 2, 3]))


def gradients():
    """Ids in any order, rows that several indices name, and what is out of range."""
    for fold, version in ((f, v) for f in ("Sum", "Mean", "SqrtN") for v in ("", "V2")):
        op, rows = f"SparseSegment{fold}Grad{version}", const(5)
        for dtype in FLOATS:
            case(op, f"rows {dtype}", rand(3, 2, dtype=dtype), tensor([3, 0, 1, 3], "i32"), tensor([0, 0, 1, 2], "i32"), rows)
        for index, ids in (("i32", "i64"), ("i64", "i32"), ("i64", "i64")):
            case(op, f"indices {index}, ids {ids}", rand(3, 2), tensor([3, 0, 1], index), tensor([0, 2, 2], ids), rows)
        case(op, "any order", rand(3, 2), tensor([3, 3, 0, 4], "i32"), tensor([2, 0, 2, 1], "i32"), rows)
        case(op, "elements", rand(3), tensor([3, 3, 0, 4], "i32"), tensor([0, 1, 1, 1], "i32"), rows)
        case(op, "three axes", rand(2, 2, 2), tensor([0, 0], "i32"), tensor([0, 1], "i32"), const(1))
        case(op, "constant ids", rand(2, 2), const([1, 0, 1]), const([0, 0, 0]), rows)
        case(op, "thirds", tensor([1.0, 2.0]), tensor([0, 1, 2], "i32"), tensor([0, 0, 0], "i32"), const(3))
        # Where nothing is added, the first versions leave what lay in memory.
        nothing = (rand(0, 2), tensor([], "i32"), tensor([], "i32"), rows)
        case(op, "no rows", *nothing, via=Run(op, nothing, {}, lambda outputs: [np.zeros_like(outputs[0]), *outputs[1:]], always=True))
        case(op, "no place", rand(2, 2), tensor([], "i32"), tensor([], "i32"), const(0))
        bad = {"index too large": ([0, 5], [0, 1], 5), "index negative": ([0, -1], [0, 1], 5), "id too large": ([0, 1], [0, 3], 5), "id negative": ([0, 1], [-1, 0], 5),
               "number negative": ([], [], -1), "lengths": ([0, 1], [0], 5)}  # fmt: skip
        for name, (indices, ids, number) in bad.items():
            case(op, name, rand(3, 2), tensor(indices, "i32"), tensor(ids, "i32"), const(number), fails=True)


def any_ids():
    for fold in ("Sum", "Prod", "Min", "Max"):
        op = f"UnsortedSegment{fold}"
        for dtype in NUMBERS:
            case(op, f"rows {dtype}", rand(5, 2, dtype=dtype), tensor([2, 0, 2, -1, 0], "i32"), const(4), optional=True)
            case(op, f"elements {dtype}", rand(6, dtype=dtype, seed=1), tensor([1, 3, 1, 1, 3, 1], "i32"), const(4), optional=True)
        for index in ("i16", "i32", "i64"):
            case(op, f"ids {index}", rand(4, 3), tensor([2, 1, 1, 0], index), const(3), optional=True)
            case(op, f"constant ids {index}", rand(4, 3), const([2, 1, 1, 0], index), const(3, "i64"), optional=True)
        case(op, "matrix of ids", rand(2, 3, 2), tensor([[0, 1, -1], [1, 1, 4]], "i32"), const(5))
        case(op, "one id", rand(2, 3), tensor(1, "i32"), const(3))
        case(op, "one element", rand(), tensor(1, "i32"), const(3))
        case(op, "all dropped", rand(2), tensor([-1, -7], "i32"), const(2))
        case(op, "no segments", rand(2), tensor([-1, -1], "i32"), const(0))
        case(op, "nothing", rand(0, 2), tensor([], "i32"), const(2))
        case(op, "rows of nothing", rand(2, 0), tensor([0, 1], "i32"), const(2))
        case(op, "rows of nothing out of range", rand(2, 0), tensor([0, 9], "i32"), const(2))
        case(op, "too large", rand(2), tensor([0, 4], "i32"), const(4), fails=True)
        case(op, "no place", rand(2), tensor([0, -1], "i32"), const(0), fails=True)
        case(op, "negative number", rand(2), tensor([-1, -1], "i32"), const(-1), fails=True)
        case(op, "shapes differ", rand(2), tensor([0], "i32"), const(3), fails=True)
        case(op, "ids of more axes", rand(2), tensor([[0, 1]], "i32"), const(3), fails=True)
        for dtype in ("f16", "bf16"):
            case(op, f"many {dtype}", tensor(np.ones((300, 2)), dtype), tensor(np.zeros(300), "i32"), const(1))
        case(op, "long rows", rand(4, 70, low=-16, high=16), tensor([1, 0, 1, 1], "i32"), const(2))
    for op in ("UnsortedSegmentMin", "UnsortedSegmentMax"):
        for dtype in FLOATS:
            values = [[2, NAN], [2, NAN, 1], [NAN, 1], [NAN], [0.0, -0.0], [-0.0, 0.0], [INF], [-INF]]
            ids = [n for n, some in enumerate(values) for _ in some]
            case(op, f"special values {dtype}", tensor([v for some in values for v in some], dtype), tensor(ids, "i32"), const(len(values)))


def looked_up():
    x, nothing = rand(4, 2), const(np.zeros(0))
    for fold in ("Sum", "Mean", "SqrtN"):
        for op, more in ((f"SparseSegment{fold}", ()), (f"SparseSegment{fold}WithNumSegments", (const(6),))):
            for dtype in NUMBERS:
                case(op, f"rows {dtype}", rand(4, 2, dtype=dtype), tensor([3, 0, 1], "i32"), const([1, 1, 3]), *more, optional=True)
            for dtype in ("f16", "bf16"):
                small = tensor([1, 1 / 256, 1 / 256, 1 / 256], dtype)
                case(op, f"small {dtype}", small, tensor([0, 1, 2, 3], "i32"), const([0, 0, 0, 0]), *more)
                case(op, f"many {dtype}", tensor([1.0], dtype), tensor(np.zeros(300), "i32"), const(np.zeros(300)), *more)
            for index in ("i32", "i64"):
                case(op, f"indices {index}", x, tensor([3, 0, 1], index), const([0, 1, 1], "i64"), *more)
            case(op, "elements", rand(4), tensor([3, 0, 1, 1], "i32"), const([1, 1, 3, 3]), *more)
            case(op, "three axes", rand(3, 2, 2), tensor([0, 0], "i32"), const([1, 1]), *more)
            case(op, "thirds", tensor([1.0, 2.0, 4.0]), tensor([0, 1, 2], "i32"), const([0, 0, 0]), *more)
            case(op, "constant indices", x, const([3, 0, 1]), const([1, 1, 3]), *more)
            case(op, "for gradients", x, tensor([3, 0, 1], "i32"), const([1, 1, 3]), *more, sparse_gradient=True)
            case(op, "nothing", x, tensor([], "i32"), nothing, *more)
            case(op, "rows of nothing", rand(3, 0), tensor([0, 1], "i32"), const([1, 1]), *more)
            case(op, "falling", x, tensor([3, 0, 1], "i32"), const([1, 0, 3]), *more, fails=True)
            case(op, "negative", x, tensor([3, 0, 1], "i32"), const([-1, 0, 3]), *more, fails=True)
            case(op, "index too large", x, tensor([3, 0, 4], "i32"), const([0, 0, 1]), *more, fails=True)
            case(op, "negative index", x, tensor([3, 0, -1], "i32"), const([0, 0, 1]), *more, fails=True)
            case(op, "numbers differ", x, tensor([3], "i32"), const([0, 0]), *more, fails=True)
            case(op, "matrix of indices", x, tensor([[3]], "i32"), const([0]), *more, fails=True)
            case(op, "scalar", rand(), tensor([0], "i32"), const([0]), *more, fails=True)
        op = f"SparseSegment{fold}"
        case(op, "given ids", x, tensor([3, 0, 1], "i32"), tensor([0, 1, 1], "i32"))
        op = f"SparseSegment{fold}WithNumSegments"
        for index in ("i32", "i64"):
            case(op, f"given ids {index}", x, tensor([3, 0, 1, 1, 2], "i32"), tensor([0, 2, 2, 2, 5], index), const(6, index))
        case(op, "given elements", rand(4), tensor([3, 0, 1], "i32"), tensor([0, 2, 2], "i32"), const(4))
        case(op, "nothing given", x, tensor([], "i32"), tensor([], "i32"), const(2))
        case(op, "no segments", x, tensor([], "i32"), tensor([], "i32"), const(0))
        case(op, "given ids fall", x, tensor([3, 0, 1], "i32"), tensor([1, 0, 3], "i32"), const(6), fails=True)
        case(op, "given ids negative", x, tensor([3, 0, 1], "i32"), tensor([-1, 0, 3], "i32"), const(6), fails=True)
        case(op, "too few segments", x, tensor([3, 0, 1], "i32"), tensor([0, 0, 3], "i32"), const(3), fails=True)
        case(op, "no place", x, tensor([3], "i32"), tensor([0], "i32"), const(0), fails=True)
        case(op, "negative number", x, tensor([], "i32"), tensor([], "i32"), const(-1), fails=True)


sorted_ids()
any_ids()
looked_up()
gradients()
