"""Sparse tensors: rows of indices and values in order, out of order, more than once, out of range, and none."""

import numpy as np

from .spec import FLOATS, INF, INTS, NAN, NUMBERS, case, const, rand, tensor


def rows(*values, rank=2):
    return tensor(values, "i64").reshape(-1, rank)


IN_ORDER = rows([0, 1], [0, 3], [2, 0], [2, 2], [4, 1])
# Rows 1, 3 and 5 are missing; row 2 comes thrice.
MIXED = rows([4, 1], [2, 0], [0, 3], [2, 2], [0, 1], [2, 1])
NOTHING = rows()


def empty_rows():
    op, shape = "SparseFillEmptyRows", const([6, 4], "i64")
    for dtype in [*NUMBERS, "bool"]:
        case(op, f"in order {dtype}", IN_ORDER, rand(5, dtype=dtype), shape, rand(dtype=dtype, seed=1), optional=True)
        case(op, f"out of order {dtype}", MIXED, rand(6, dtype=dtype), shape, rand(dtype=dtype, seed=1), optional=True)
    default = tensor(-7.5)
    case(op, "all rows full", rows([0, 1], [1, 0], [1, 3]), rand(3), const([2, 4], "i64"), default)
    case(op, "all rows full, out of order", rows([1, 1], [0, 0], [1, 0]), rand(3), const([2, 4], "i64"), default)
    case(op, "one element twice", rows([1, 1], [1, 1], [0, 0]), rand(3), const([3, 4], "i64"), default)
    case(op, "no elements", NOTHING, rand(0), const([3, 4], "i64"), default)
    case(op, "no rows", NOTHING, rand(0), const([0, 4], "i64"), default)
    case(op, "no columns", NOTHING, rand(0), const([2, 0], "i64"), default)
    case(op, "one row", rows([0, 2]), rand(1), const([1, 4], "i64"), default)
    case(op, "rank 1", rows([3], [1], rank=1), rand(2), const([5], "i64"), default)
    case(op, "rank 3", rows([3, 1, 0], [1, 0, 2], [1, 1, 1], rank=3), rand(3), const([4, 2, 3], "i64"), default)
    case(op, "columns out of range", rows([0, 9], [1, -3]), rand(2), const([3, 4], "i64"), default)
    case(op, "NaN and infinity", MIXED, tensor([NAN, INF, -INF, 0.0, -0.0, 1.0]), shape, tensor(NAN))
    case(op, "constants", const(MIXED, "i64"), const(rand(6), "f32"), shape, const(-1.0, "f32"))
    case(op, "row too large", rows([0, 1], [6, 0]), rand(2), shape, default, fails=True)
    case(op, "negative row", rows([0, 1], [-1, 0]), rand(2), shape, default, fails=True)
    case(op, "no rows for an element", rows([0, 1]), rand(1), const([0, 4], "i64"), default, fails=True)
    case(op, "too few values", IN_ORDER, rand(4), shape, default, fails=True)
    case(op, "no extents", NOTHING, rand(0), tensor([], "i64"), default, fails=True)
    case(op, "negative extent", NOTHING, rand(0), tensor([-1, 2], "i64"), default, fails=True)
    case(op, "vector of indices", tensor([0, 1], "i64"), rand(2), shape, default, fails=True)
    case(op, "matrix of values", IN_ORDER, rand(5, 1), shape, default, fails=True)
    case(op, "matrix of extents", IN_ORDER, rand(5), tensor([[6, 4]], "i64"), default, fails=True)
    case(op, "vector of defaults", IN_ORDER, rand(5), shape, tensor([1.0]), fails=True)


def gradients():
    op = "SparseFillEmptyRowsGrad"
    for dtype in NUMBERS:
        case(op, f"some {dtype}", tensor([2, 1, 5], "i64"), rand(6, dtype=dtype), optional=True)
    case(op, "all", tensor([2, 0, 1], "i64"), rand(3))
    case(op, "none", tensor([], "i64"), rand(3))
    case(op, "of nothing", tensor([], "i64"), rand(0))
    case(op, "one twice", tensor([1, 1], "i64"), rand(3))
    case(op, "NaN seen", tensor([1], "i64"), tensor([1, NAN, 2]))
    case(op, "NaN not seen", tensor([0], "i64"), tensor([1, NAN, 2]))
    case(op, "too large", tensor([3], "i64"), rand(3), fails=True)
    case(op, "negative", tensor([-1], "i64"), rand(3), fails=True)
    case(op, "matrix", tensor([[1]], "i64"), rand(3), fails=True)
    case(op, "matrix of values", tensor([1], "i64"), rand(3, 1), fails=True)


def orders():
    op, shape = "SparseReorder", tensor([6, 4], "i64")
    for dtype in [*NUMBERS, "bool"]:
        case(op, f"in order {dtype}", IN_ORDER, rand(5, dtype=dtype), shape, optional=True)
        case(op, f"out of order {dtype}", MIXED, rand(6, dtype=dtype), shape, optional=True)
    case(op, "one element twice", rows([1, 1], [0, 2], [1, 1], [0, 0]), rand(4), shape)
    case(op, "nothing", NOTHING, rand(0), shape)
    case(op, "rank 1", rows([3], [1], [2], rank=1), rand(3), tensor([5], "i64"))
    case(op, "rank 3", rows([3, 1, 0], [1, 1, 2], [1, 1, 1], [1, 0, 2], rank=3), rand(4), tensor([4, 2, 3], "i64"))
    case(op, "out of range", rows([9, 1], [-1, 0], [0, 7]), rand(3), shape)
    case(op, "constants", const(MIXED, "i64"), const(rand(6), "f32"), const([6, 4], "i64"))
    many = np.random.default_rng(5).permutation(60)
    case(op, "many", np.stack([many // 10, many % 10], 1).astype(np.int64), rand(60), tensor([6, 10], "i64"))
    case(op, "an extent of 0", MIXED, rand(6), tensor([0, 4], "i64"))
    case(op, "negative extent", MIXED, rand(6), tensor([-1, 4], "i64"))
    case(op, "other extents", MIXED, rand(6), tensor([6, 4, 2], "i64"), fails=True)
    case(op, "too few values", IN_ORDER, rand(4), shape, fails=True)
    case(op, "vector of indices", tensor([0, 1], "i64"), rand(2), shape, fails=True)
    case(op, "matrix of values", IN_ORDER, rand(5, 1), shape, fails=True)


def shapes():
    op, shape = "SparseReshape", tensor([6, 4], "i64")
    for new in ([4, 6], [24], [-1], [2, -1, 4], [6, 4], [3, 8, 1], [-1, 4], [1, 1, 24, 1], [-1, 24]):
        case(op, f"to {new}", MIXED, shape, const(new, "i64"))
        case(op, f"to given {new}", MIXED, shape, tensor(new, "i64"))
    case(op, "constants", const(MIXED, "i64"), const([6, 4], "i64"), const([8, -1], "i64"))
    case(op, "of rank 1", rows([3], [11], rank=1), tensor([12], "i64"), const([3, 4], "i64"))
    case(op, "of rank 3", rows([3, 1, 0], [1, 1, 2], rank=3), tensor([4, 2, 3], "i64"), const([8, 3], "i64"))
    case(op, "nothing", NOTHING, shape, const([2, 12], "i64"))
    case(op, "of no elements", NOTHING, tensor([0, 4], "i64"), const([2, 0], "i64"))
    case(op, "of no elements, open", NOTHING, tensor([0, 4], "i64"), const([-1, 2], "i64"))
    case(op, "the same out of range", rows([9, 1], [-1, 0]), shape, const([6, 4], "i64"))
    case(op, "out of range", rows([9, 1], [-1, 0]), shape, const([4, 6], "i64"))
    case(op, "the same without elements, but one", rows([1, 2]), tensor([0, 4], "i64"), const([0, 4], "i64"))
    case(op, "to a scalar", rows([0, 0]), tensor([1, 1], "i64"), const([], "i64"))
    case(op, "two open", MIXED, shape, tensor([-1, -1], "i64"), fails=True)
    case(op, "open beside 0", NOTHING, tensor([0, 4], "i64"), tensor([-1, 0], "i64"), fails=True)
    case(op, "negative", MIXED, shape, tensor([-2, 12], "i64"), fails=True)
    case(op, "two negative", MIXED, shape, tensor([-4, -6], "i64"), fails=True)
    case(op, "negative extents", MIXED, tensor([-6, -4], "i64"), tensor([4, 6], "i64"), fails=True)
    case(op, "too many", MIXED, shape, tensor([5, 5], "i64"), fails=True)
    case(op, "not divisible", MIXED, shape, tensor([5, -1], "i64"), fails=True)
    case(op, "constant and not divisible", MIXED, const([6, 4], "i64"), const([5, -1], "i64"), fails=True)
    case(op, "an element of none", rows([0, 0]), tensor([0, 4], "i64"), tensor([4, 0], "i64"), fails=True)
    case(op, "vector of indices", tensor([0, 1], "i64"), shape, const([24], "i64"), fails=True)
    case(op, "matrix of extents", MIXED, shape, tensor([[24]], "i64"), fails=True)


def dense():
    op, default = "SparseToDense", tensor(-7.5)
    for dtype in [*FLOATS, *INTS, "bool"]:
        case(op, f"matrix {dtype}", IN_ORDER, const([6, 4], "i64"), rand(5, dtype=dtype), rand(dtype=dtype, seed=1), optional=True)
    for index in ("i32", "i64"):
        case(op, f"vector {index}", tensor([1, 3, 4], index), const([6], index), rand(3), default)
        case(op, f"scalar {index}", tensor(2, index), const([6], index), rand(), default)
        case(op, f"one value {index}", tensor([1, 3], index), const([6], index), rand(), default)
    case(op, "rank 3", rows([0, 0, 1], [0, 1, 0], [2, 0, 0], rank=3), const([3, 2, 2], "i64"), rand(3), default)
    case(op, "nothing", NOTHING, const([2, 3], "i64"), rand(0), default)
    case(op, "of no elements", NOTHING, const([0, 3], "i64"), rand(0), default)
    for name, at in {"falling": [3, 1], "twice": [1, 1]}.items():
        case(op, f"not looked at, {name}", tensor(at, "i32"), const([4]), rand(2), default, validate_indices=False)
        case(op, name, tensor(at, "i32"), const([4]), rand(2), default, fails=True)
    case(op, "not looked at, out of order", MIXED, const([6, 4], "i64"), rand(6), default, validate_indices=False)
    case(op, "out of order", MIXED, const([6, 4], "i64"), rand(6), default, fails=True)
    case(op, "a column falls", rows([0, 2], [0, 1]), const([6, 4], "i64"), rand(2), default, fails=True)
    for validate in (False, True):
        for name, at in {"too large": [1, 4], "negative": [-1, 2]}.items():
            case(op, f"{name}, {validate}", tensor(at, "i32"), const([4]), rand(2), default, validate_indices=validate, fails=True)
        case(op, f"a column too large, {validate}", rows([0, 4], [1, 0]), const([6, 4], "i64"), rand(2), default, validate_indices=validate, fails=True)
        case(op, f"nowhere, {validate}", rows([0, 0]), const([0, 4], "i64"), rand(1), default, validate_indices=validate, fails=True)
    case(op, "other extents", IN_ORDER, const([6], "i64"), rand(5), default, fails=True)
    case(op, "too few values", IN_ORDER, const([6, 4], "i64"), rand(4), default, fails=True)
    case(op, "negative extent", NOTHING, const([-1, 3], "i64"), rand(0), default, fails=True)
    case(op, "vector of defaults", IN_ORDER, const([6, 4], "i64"), rand(5), tensor([1.0]), fails=True)


def products():
    op, shape = "SparseTensorDenseMatMul", const([6, 4], "i64")
    for dtype in ("f32", "f64", "i32", "bf16"):
        for index in ("i32", "i64"):
            case(op, f"{dtype} at {index}", MIXED.astype(tensor(0, index).dtype), rand(6, dtype=dtype), shape, rand(4, 3, dtype=dtype), optional=True)
    for adjoint_a in (False, True):
        for adjoint_b in (False, True):
            attrs = {"adjoint_a": adjoint_a, "adjoint_b": adjoint_b}
            b = rand(*((6 if adjoint_a else 4, 3)[:: -1 if adjoint_b else 1]))
            wide = rand(*((6 if adjoint_a else 4, 40)[:: -1 if adjoint_b else 1]))
            case(op, f"{adjoint_a} by {adjoint_b}", MIXED, rand(6), shape, b, **attrs)
            case(op, f"wide {adjoint_a} by {adjoint_b}", MIXED, rand(6), shape, wide, **attrs)
    case(op, "one element twice", rows([1, 1], [1, 1]), rand(2), shape, rand(4, 3))
    case(op, "nothing", NOTHING, rand(0), shape, rand(4, 3))
    case(op, "no rows", NOTHING, rand(0), const([0, 4], "i64"), rand(4, 3))
    case(op, "no columns", NOTHING, rand(0), const([6, 0], "i64"), rand(0, 3))
    case(op, "of no width", MIXED, rand(6), shape, rand(4, 0))
    case(op, "NaN and infinity", rows([0, 0], [1, 1]), tensor([INF, NAN]), shape, tensor([[0, 1], [1, 2], [3, NAN], [1, 1]]))
    case(op, "given extents of columns", rows([0, 0], [1, 1]), rand(2), const([2, 4], "i64"), rand(4, 3))
    case(op, "row too large", rows([6, 0]), rand(1), shape, rand(4, 3), fails=True)
    case(op, "negative row", rows([-1, 0]), rand(1), shape, rand(4, 3), fails=True)
    case(op, "column too large", rows([0, 4]), rand(1), shape, rand(4, 3), fails=True)
    case(op, "negative column", rows([0, -1]), rand(1), shape, rand(4, 3), fails=True)
    case(op, "other columns", MIXED, rand(6), shape, rand(5, 3), fails=True)
    case(op, "too few values", MIXED, rand(5), shape, rand(4, 3), fails=True)
    case(op, "rank 3", rows([0, 0, 0], rank=3), rand(1), tensor([2, 2, 4], "i64"), rand(4, 3), fails=True)
    case(op, "a vector", MIXED, rand(6), shape, rand(4), fails=True)


empty_rows()
gradients()
orders()
shapes()
dense()
products()
