"""Sparse tensors joined, cut, added, compared and folded: in order, of nothing, of no rows, of other extents, and what does not fit."""

import itertools

import numpy as np

from .spec import FLOATS, NUMBERS, Beside, Sizes, case, const, extent, rand, sweep, tensor

ALL = [*NUMBERS, "bool", "str"]


def at(*values, rank=2):
    return tensor(values, "i64").reshape(-1, rank)


A, B, MIXED = at([0, 1], [0, 3], [2, 0]), at([0, 1], [1, 1], [2, 0], [2, 3]), at([2, 0], [0, 3], [0, 1])
SHAPE, NOTHING = [3, 4], at()


def shape(*values):
    return const(values or SHAPE, "i64")


def elements(k, columns=2, rows=3):
    """k different indices in order."""
    place = np.arange(k) % max(rows * columns, 1)
    return tensor(np.stack([place // max(columns, 1), place % max(columns, 1)], 1), "i64").reshape(k, 2)


def joined():
    op = "SparseConcat"
    for dtype in ALL:
        for axis in (0, 1, -1):
            case(op, f"{dtype} on axis {axis}", [A, B], [rand(3, dtype=dtype), rand(4, dtype=dtype, seed=1)], [shape(), shape()], concat_dim=axis, optional=True)
    case(op, "of several extents", [A, B, A], [rand(3), rand(4), rand(3, seed=2)], [shape(), shape(3, 7), shape(3, 4)], concat_dim=1)
    case(op, "given extents", [A, B], [rand(3), rand(4)], [tensor(SHAPE, "i64"), tensor([3, 7], "i64")], concat_dim=1)
    case(op, "out of order", [MIXED, B], [rand(3), rand(4)], [shape(), shape()], concat_dim=1)
    case(op, "nothing", [NOTHING, B], [rand(0), rand(4)], [shape(), shape()], concat_dim=0)
    case(op, "nothing at all", [NOTHING, NOTHING], [rand(0), rand(0)], [shape(), shape()], concat_dim=0)
    case(op, "vectors", [at([1], [3], rank=1), at([0], rank=1)], [rand(2, dtype="str"), rand(1, dtype="str")], [shape(5), shape(2)], concat_dim=0)
    case(op, "rank 3", [at([0, 1, 0], [1, 0, 2], rank=3)] * 2, [rand(2), rand(2)], [shape(2, 2, 3)] * 2, concat_dim=1)
    case(op, "other extents", [A, B], [rand(3), rand(4)], [tensor(SHAPE, "i64"), tensor([3, 5], "i64")], concat_dim=0, fails=True)
    case(op, "too few values", [A, B], [rand(3), rand(3)], [shape(), shape()], concat_dim=0, fails=True)
    some = (0, 1, 4)
    for axis in (0, 1):
        runs = [([elements(k), elements(m)], [rand(k), rand(m, seed=1)], [const([3, 2], "i64")] * 2) for k in some for m in some]
        sweep(op, f"on axis {axis}", runs, concat_dim=axis)


def split():
    op = "SparseSplit"
    for dtype in ALL:
        for axis in (0, 1):
            case(op, f"{dtype} on axis {axis}", const(axis, "i64"), B, rand(4, dtype=dtype), shape(), num_split=2, optional=True)
    for n in (1, 3, 4):
        case(op, f"in {n}", const(1, "i64"), B, rand(4), shape(), num_split=n)
    case(op, "from the last", const(-1, "i64"), B, rand(4), shape(), num_split=3)
    case(op, "out of order", const(1, "i64"), MIXED, rand(3), shape(), num_split=2)
    case(op, "nothing", const(1, "i64"), NOTHING, rand(0), shape(), num_split=2)
    case(op, "a vector", const(0, "i64"), at([1], [3], [6], rank=1), rand(3), shape(7), num_split=3)
    case(op, "too many", const(1, "i64"), A, rand(3), tensor([3, 4], "i64"), num_split=5, fails=True)
    case(op, "an index too large", const(1, "i64"), at([0, 4]), rand(1), shape(), num_split=2, fails=True)
    case(op, "a negative index", const(1, "i64"), at([0, -1]), rand(1), shape(), num_split=2, fails=True)
    for axis in (0, 1):
        sweep(op, f"on axis {axis}", [(const(axis, "i64"), elements(k), rand(k), const([3, 2], "i64")) for k in (0, 1, 4)], num_split=2)


def sliced():
    op = "SparseSlice"
    for dtype in ALL:
        case(op, f"{dtype}", B, rand(4, dtype=dtype), shape(), const([0, 1], "i64"), const([2, 9], "i64"), optional=True)
    for start, size in (((0, 0), (3, 4)), ((1, 0), (1, 4)), ((5, 1), (2, 9)), ((-1, 0), (2, 9)), ((0, 0), (0, 0)), ((2, 3), (1, 1)), ((0, 4), (3, 1))):
        case(op, f"from {start} of {size}", B, rand(4), shape(), const(start, "i64"), const(size, "i64"))
        case(op, f"from given {start} of {size}", B, rand(4), tensor(SHAPE, "i64"), tensor(start, "i64"), tensor(size, "i64"))
    case(op, "out of order", MIXED, rand(3), shape(), const([0, 0], "i64"), const([3, 3], "i64"))
    case(op, "nothing", NOTHING, rand(0), shape(), const([0, 0], "i64"), const([3, 3], "i64"))
    case(op, "negative size", B, rand(4), shape(), tensor([0, 0], "i64"), tensor([-1, 4], "i64"), fails=True)
    case(op, "too few numbers", B, rand(4), shape(), tensor([0], "i64"), tensor([4], "i64"), fails=True)
    sweep(op, "elements", [(elements(k), rand(k), const([3, 2], "i64"), const([1, 0], "i64"), const([1, 9], "i64")) for k in (0, 1, 3, 5)])
    op = "SparseSliceGrad"
    for dtype in NUMBERS:
        case(op, f"{dtype}", rand(2, dtype=dtype), A, const([0, 1], "i64"), at([0, 0], [0, 2]), optional=True)
    case(op, "of nothing", rand(0), A, const([0, 1], "i64"), NOTHING)
    case(op, "nothing of nothing", rand(0), NOTHING, const([0, 1], "i64"), NOTHING)
    case(op, "all", rand(3), A, const([0, 0], "i64"), A)
    case(op, "what is not there", rand(1), A, const([0, 1], "i64"), at([0, 1]), fails=True)
    case(op, "of nothing, more", rand(1), NOTHING, const([0, 1], "i64"), at([0, 1]), fails=True)
    case(op, "out of order", rand(2), A, const([0, 1], "i64"), at([0, 2], [0, 0]), fails=True)
    sweep(op, "elements", [(rand(m), elements(k), const([0, 0], "i64"), elements(m)) for k in (0, 1, 3) for m in (0, 1, 3)])


def pairs(op, **attrs):
    """Two tensors of all types and of different elements."""
    more = lambda dtype: (tensor(1, dtype),) if op == "SparseAdd" else ()
    for dtype in NUMBERS:
        case(op, f"{dtype}", A, rand(3, dtype=dtype), shape(), B, rand(4, dtype=dtype, seed=1), shape(), *more(dtype), optional=True)
    for name, (a, b) in {"nothing": (NOTHING, B), "to nothing": (A, NOTHING), "nothing at all": (NOTHING, NOTHING), "the same": (B, B)}.items():
        case(op, name, a, rand(len(a)), shape(), b, rand(len(b), seed=1), shape(), *more("f32"))
    case(op, "vectors", at([1], [3], rank=1), rand(2), shape(5), at([0], [3], rank=1), rand(2, seed=1), shape(5), *more("f32"))
    case(op, "rank 3", at([0, 1, 0], [1, 0, 2], rank=3), rand(2), shape(2, 2, 3), at([0, 0, 1], [0, 1, 0], rank=3), rand(2, seed=1), shape(2, 2, 3), *more("f32"))
    case(op, "other extents", A, rand(3), tensor(SHAPE, "i64"), B, rand(4), tensor([3, 5], "i64"), *more("f32"), fails=True)
    case(op, "other ranks", A, rand(3), shape(), at([1], rank=1), rand(1), shape(3), *more("f32"), fails=True)
    case(op, "too few values", A, rand(2), shape(), B, rand(4), shape(), *more("f32"), fails=True)
    some = (0, 1, 4)
    runs = [(elements(k), rand(k), const([3, 2], "i64"), elements(m), rand(m, seed=1), const([3, 2], "i64"), *more("f32")) for k in some for m in some]
    sweep(op, "elements", runs)


def sums():
    pairs("SparseAdd")
    pairs("SparseSparseMaximum")
    pairs("SparseSparseMinimum")
    for least in (0.0, 3.0, -1.0, 0.5, 100.0):
        case("SparseAdd", f"above {least}", A, tensor([1, 2, 3]), shape(), B, tensor([10, 20, -3, -0.5]), shape(), tensor(least))
    case("SparseAdd", "whole numbers above 4", A, tensor([1, 2, 3], "i32"), shape(), B, tensor([-5, 20, 1, 7], "i32"), shape(), tensor(4, "i32"))
    case("SparseAdd", "the least number", at([0, 0]), tensor([-128], "i8"), shape(), at([0, 0]), tensor([0], "i8"), shape(), tensor(4, "i8"))
    op, both = "SparseAddGrad", at([0, 1], [0, 3], [1, 1], [2, 0], [2, 3])
    for dtype in NUMBERS:
        case(op, f"{dtype}", rand(5, dtype=dtype), A, B, both, optional=True)
    case(op, "less than all", rand(3), A, B, both[:3])
    case(op, "nothing", rand(0), A, B, NOTHING)
    case(op, "of nothing", rand(5), NOTHING, NOTHING, both)
    sweep(op, "elements", [(rand(m), elements(k), elements(k)[:1], elements(m)) for k in (0, 1, 3) for m in (0, 1, 3)])
    op, dense = "SparseTensorDenseAdd", rand(3, 4, seed=2)
    for dtype in NUMBERS:
        for index in ("i32", "i64"):
            case(op, f"{dtype} at {index}", A.astype(tensor(0, index).dtype), rand(3, dtype=dtype), const(SHAPE, index), rand(3, 4, dtype=dtype, seed=2), optional=True)
    case(op, "one element twice", at([1, 1], [1, 1]), rand(2), shape(), dense)
    case(op, "out of order", MIXED, rand(3), shape(), dense)
    case(op, "nothing", NOTHING, rand(0), shape(), dense)
    case(op, "an index too large", at([0, 4]), rand(1), shape(), dense, fails=True)
    case(op, "a negative index", at([-1, 0]), rand(1), shape(), dense, fails=True)
    case(op, "other extents", A, rand(3), tensor([3, 5], "i64"), dense, fails=True)
    sweep(op, "elements", [(elements(k), rand(k), Sizes([extent(3, 0), 2], "i64"), rand(n, 2)) for k in (0, 1, 4) for n in (1, 3)])


def with_dense():
    for name in ("Add", "Mul", "Div"):
        op = f"SparseDenseCwise{name}"
        for dtype in NUMBERS:
            dense = np.abs(rand(3, 4, dtype=dtype, seed=2)) + np.ones((), tensor(0, dtype).dtype)
            case(op, f"{dtype}", A, rand(3, dtype=dtype), shape(), tensor(dense, dtype), optional=True)
        for of in ((1, 4), (3, 1), (1, 1), (4,), (1,), ()):
            case(op, f"of {of}", A, rand(3), shape(), tensor(np.abs(rand(*of, seed=2)) + 1))
        dense = tensor(np.abs(rand(3, 4, seed=2)) + 1)
        case(op, "out of order", MIXED, rand(3), shape(), dense)
        case(op, "nothing", NOTHING, rand(0), shape(), dense)
        case(op, "sparse of one row", at([0, 1]), rand(1), tensor([1, 4], "i64"), dense, fails=True)
        case(op, "more axes", A, rand(3), shape(), dense[None], fails=True)
        case(op, "an index too large", at([3, 0]), rand(1), shape(), dense, fails=True)
        case(op, "other extents", A, rand(3), tensor([3, 4], "i64"), rand(3, 5), fails=True)
        runs = [(elements(k), rand(k), Sizes([extent(4, 0), 2], "i64"), tensor(np.ones((n, 2)) * 2), Beside(rand(b))) for k in (0, 1, 4) for n in (1, 3) for b in (1, 3)]
        sweep(op, "elements", runs)


def reduced():
    for name, sparse in itertools.product(("Sum", "Max"), ("", "Sparse")):
        op = f"SparseReduce{name}{sparse}"
        for dtype in NUMBERS:
            case(op, f"{dtype}", B, rand(4, dtype=dtype), shape(), const([1]), optional=True)
        for axes, keeps in itertools.product(([0], [1], [-1], [0, 1], [1, 0], [], [0, 0]), (False, True)):
            case(op, f"{axes} {keeps}", B, rand(4) - 3, shape(), const(axes), keep_dims=keeps)
        case(op, "a scalar axis", B, rand(4), shape(), const(1))
        case(op, "out of order", MIXED, rand(3), shape(), const([1]))
        case(op, "one element twice", at([1, 1], [1, 1]), rand(2), shape(), const([]))
        case(op, "nothing", NOTHING, rand(0), shape(), const([1]))
        case(op, "nothing at all", NOTHING, rand(0), shape(), const([0, 1]))
        case(op, "of rank 3", at([0, 1, 0], [0, 1, 2], [1, 0, 2], rank=3), rand(3), shape(2, 2, 3), const([0, 2]))
        case(op, "of rank 3, the middle", at([0, 0, 2], [0, 1, 2], [1, 0, 2], rank=3), rand(3), shape(2, 2, 3), const([1]))
        case(op, "no such axis", B, rand(4), shape(), const([2]), fails=True)
        sweep(op, "elements", [(elements(k), rand(k), const([3, 2], "i64"), const([1])) for k in (0, 1, 3, 5)])
        sweep(op, "all elements", [(elements(k), rand(k), const([3, 2], "i64"), const([0, 1])) for k in (0, 1, 3, 5)])
        if not sparse:
            runs = [(elements(k), rand(k), Sizes([extent(4, 0), 2], "i64"), const([1]), Beside(rand(n))) for k in (0, 1, 3) for n in (3, 4)]
            sweep(op, "open rows", runs)
            case(op, "an index too large", at([3, 0]), rand(1), shape(), const([1]), fails=True)


def softmax():
    op = "SparseSoftmax"
    for dtype in FLOATS:
        case(op, f"{dtype}", B, rand(4, dtype=dtype), shape(), optional=True)
    case(op, "out of order", at([0, 1], [1, 0], [0, 2]), rand(3), shape())
    case(op, "nothing", NOTHING, rand(0), shape())
    case(op, "rank 3", at([0, 1, 0], [0, 1, 2], [1, 0, 2], rank=3), rand(3), shape(2, 2, 3))
    case(op, "large", B, tensor([1000.0, 0.0, -1000.0, -1001.0]), shape())
    case(op, "a vector", at([1], rank=1), rand(1), shape(3), fails=True)
    case(op, "too few values", B, rand(3), shape(), fails=True)
    sweep(op, "elements", [(elements(k), rand(k), const([3, 2], "i64")) for k in (0, 1, 3, 5)])


joined()
split()
sliced()
sums()
with_dense()
reduced()
softmax()
